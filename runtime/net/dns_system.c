/* dns_system.c: the name of this machine, its domain, its DNS servers.
 *
 * Called by the bindings for facts that are shown; the resolver reads the same files for itself.
 * Reads them each time: they may have changed, and nobody asks often.
 */
#include "qn/dns_system.h"

#include "net/resolv_conf.h"

#include <string.h>
#include <unistd.h>

_Static_assert(QN_SYSTEM_SERVERS >= QN__RESOLV_SERVERS_MAX, "a server would be cut off");
_Static_assert(QN_SYSTEM_NAME > QN_HOST_MAX, "a domain would be cut off");

#define RESOLV_CONF "/etc/resolv.conf"

static size_t put(char out[QN_SYSTEM_NAME], const char *text)
{
  size_t n = strnlen(text, QN_SYSTEM_NAME - 1);
  memmove(out, text, n);
  out[n] = 0;
  return n;
}

size_t qn_system_host_name(char out[QN_SYSTEM_NAME])
{
  if (gethostname(out, QN_SYSTEM_NAME) < 0) {
    return put(out, "");
  }
  out[QN_SYSTEM_NAME - 1] = 0;
  return strlen(out);
}

size_t qn_system_domain_name(char out[QN_SYSTEM_NAME])
{
  qn__resolv_file_t file = {0};
  return put(out, qn__resolv_conf_domain(qn__resolv_file_get(&file, RESOLV_CONF)));
}

size_t qn_system_dns_servers(const char *path, qn_addr_t out[QN_SYSTEM_SERVERS])
{
  qn__resolv_file_t file = {0};
  const qn__resolv_conf_t *conf = qn__resolv_file_get(&file, path != NULL ? path : RESOLV_CONF);
  memcpy(out, conf->servers, conf->n_servers * sizeof *out);
  return conf->n_servers;
}

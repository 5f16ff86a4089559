/* Fuzz target of resolv.conf and nsswitch.conf: any text, and its first line as the environment.
 *
 * Every number of the result must be within its cap and every domain a string of its length.
 * covers: runtime/net/resolv_conf.c runtime/net/nsswitch.c
 */
#include "net/nsswitch.h"
#include "net/resolv_conf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
  if (!holds) {
    __builtin_trap();
  }
}

static void check_conf(const qn__resolv_conf_t *c)
{
  check(c->n_servers <= QN__RESOLV_SERVERS_MAX && c->n_search <= QN__RESOLV_SEARCH_MAX);
  check(c->ndots <= QN__RESOLV_NDOTS_MAX);
  check(c->timeout >= 1 && c->timeout <= QN__RESOLV_TIMEOUT_MAX);
  check(c->attempts >= 1 && c->attempts <= QN__RESOLV_ATTEMPTS_MAX);
  for (size_t i = 0; i < c->n_servers; i++) {
    qn_family_t family = qn_addr_family(&c->servers[i]);
    check(family == QN_FAMILY_IPV4 || family == QN_FAMILY_IPV6);
    check(qn_addr_port(&c->servers[i]) == 53);
  }
  for (size_t i = 0; i < c->n_search; i++) {
    size_t n = strnlen(c->search[i], sizeof c->search[i]);
    check(n > 0 && n <= QN_HOST_MAX);
  }
}

static void try_nsswitch(char *text, size_t size)
{
  qn__nsswitch_t s;
  qn_addr_t a;
  qn__nsswitch_parse(&s, text, size);
  check(s.n <= QN__NSSWITCH_SERVICES_MAX && (s.foreign || s.n > 0));
  text[size] = '\0';
  qn__nsswitch_can_find(&s, text, NULL);
  qn__nsswitch_can_find(&s, text, "host.example");
  qn__nsswitch_can_find(&s, "host.example", text);
  qn_addr_parse(&a, "169.254.1.1", 0, QN_FAMILY_ANY);
  qn__nsswitch_can_reverse(&s, &a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  qn__resolv_conf_t conf;
  char *text = malloc(size > 0 ? size : 1), *line = malloc(size + 1);
  if (text != NULL && line != NULL) {
    if (size > 0) {
      memcpy(text, data, size);
      memcpy(line, data, size);
    }
    qn__resolv_conf_parse(&conf, text, size);
    check_conf(&conf);
    line[size] = '\0';
    line[strcspn(line, "\n")] = '\0';
    qn__resolv_conf_environ(&conf, line, line);
    qn__resolv_conf_finish(&conf, line);
    check_conf(&conf);
    check(conf.n_servers > 0 && strlen(qn__resolv_conf_domain(&conf)) <= QN_HOST_MAX);
    if (size > 0) {
      memcpy(line, data, size);
    }
    try_nsswitch(line, size);
  }
  free(text);
  free(line);
  return 0;
}

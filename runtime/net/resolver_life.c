/* resolver_life.c: resolvers: made, configured, closed; the loop's own one.
 *
 * Called by embedders and the bindings; the look-ups ask here for the configuration. Files of the
 * system are read when they are needed first and again when they have changed. A resolver that
 * nobody uses holds memory only. Invariant: what is under way ends with QN_E_CLOSED before the
 * resolver's parts go.
 */
#include "net/resolver_i.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HOSTS_PATH "/etc/hosts"
#define RESOLV_PATH "/etc/resolv.conf"
#define NSSWITCH_PATH "/etc/nsswitch.conf"
#define DNS_PORT 53

/* --- options ---------------------------------------------------------------------------------- */

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53". */
static int parse_server(const char *text, qn_addr_t *out)
{
  char host[QN_ADDR_TEXT];
  const char *port = NULL;
  size_t size = strlen(text);
  unsigned number = 0;
  if (text[0] == '[') {
    const char *end = strchr(text, ']');
    if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
      return QN_E_INVALID;
    }
    port = end[1] == ':' ? end + 2 : NULL;
    text++;
    size = (size_t)(end - text);
  } else if (strchr(text, ':') != NULL && strchr(text, ':') == strrchr(text, ':')) {
    size = (size_t)(strchr(text, ':') - text);
    port = text + size + 1;
  }
  if (size == 0 || size >= sizeof host || (size == 1 && *text == '*')) {
    return QN_E_INVALID;
  }
  memcpy(host, text, size);
  host[size] = '\0';
  if (port != NULL && (*port == '\0' || strlen(port) > 5 || port[strspn(port, "0123456789")])) {
    return QN_E_INVALID;
  }
  for (; port != NULL && *port != '\0'; port++) {
    number = number * 10 + (unsigned)(*port - '0');
  }
  if (port != NULL && (number == 0 || number > UINT16_MAX)) {
    return QN_E_INVALID;
  }
  return qn_addr_parse(out, host, port != NULL ? (uint16_t)number : DNS_PORT, QN_FAMILY_ANY);
}

static int copy_servers(qn_resolver_t *r, const qn_resolver_opts_t *o)
{
  size_t n = o->servers != NULL ? o->n_servers : 0;
  if (n > QN__DNS_SERVERS_MAX) {
    return QN_E_LIMIT;
  }
  for (size_t i = 0; i < n; i++) {
    if (parse_server(o->servers[i], &r->servers[i]) < 0) {
      return QN_E_INVALID;
    }
  }
  r->n_servers = n;
  return 0;
}

static int copy_search(qn_resolver_t *r, const qn_resolver_opts_t *o)
{
  if (o->search == NULL) {
    return 0;
  }
  if (o->n_search > QN__RESOLV_SEARCH_MAX) {
    return QN_E_LIMIT;
  }
  r->search = qn_calloc(o->n_search + 1, sizeof *r->search);
  if (r->search == NULL) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < o->n_search; i++) {
    size_t size = strnlen(o->search[i], QN_HOST_MAX + 2);
    size -= size > 0 && o->search[i][size - 1] == '.';
    if (size > QN_HOST_MAX) {
      return QN_E_INVALID;
    }
    memcpy(r->search[r->n_search], o->search[i], size);
    r->n_search += size > 0; /* the root: the name as it is, which is tried anyway */
  }
  return 0;
}

static int copy_paths(qn_resolver_t *r, const qn_resolver_opts_t *o)
{
  const char *nsswitch = r->n_servers > 0 ? "" : NSSWITCH_PATH;
  if (r->n_servers == 0 && o->nsswitch_path != NULL) {
    nsswitch = o->nsswitch_path;
  }
  r->hosts_path = qn_strdup(o->hosts_path != NULL ? o->hosts_path : HOSTS_PATH);
  r->resolv_path = qn_strdup(o->resolv_path != NULL ? o->resolv_path : RESOLV_PATH);
  r->nsswitch_path = qn_strdup(nsswitch);
  return r->hosts_path != NULL && r->resolv_path != NULL && r->nsswitch_path != NULL ? 0 : -ENOMEM;
}

/* --- configuration ---------------------------------------------------------------------------- */

static bool is_due(qn_loop_t *loop, uint64_t *at)
{
  uint64_t now = qn_loop_now(loop);
  if (*at != 0 && now < *at + QN__RESOLVER_CHECK_MS) {
    return false;
  }
  *at = now != 0 ? now : 1;
  return true;
}

static int configure(qn_resolver_t *r)
{
  const qn__resolv_conf_t *conf = r->conf;
  qn__dns_ways_t ways = {
      .try_timeout = r->try_timeout != 0 ? r->try_timeout : (uint64_t)conf->timeout * 1000,
      .tries = r->tries != 0 ? r->tries : conf->attempts,
      .rotate = conf->rotate && r->n_servers == 0,
      .use_tcp = conf->use_tcp && r->n_servers == 0,
      /* who names a server trusts it, and the way to it, as far as he wishes */
      .trust_ad = conf->trust_ad || r->n_servers > 0,
  };
  int rc = r->n_servers > 0 ? qn__dns_set_servers(&r->dns, r->servers, r->n_servers, &ways)
                            : qn__dns_set_servers(&r->dns, conf->servers, conf->n_servers, &ways);
  if (rc == 0) {
    qn__dns_cache_clear(&r->dns.cache); /* it may be another network */
    r->configured = true;
    r->generation = r->resolv_file.generation;
  }
  return rc;
}

int qn__resolver_refresh(qn_resolver_t *r)
{
  if (r->closed) {
    return QN_E_CLOSED;
  }
  if (is_due(r->loop, &r->conf_at)) {
    static const qn__nsswitch_t ours = {.n = 2, .v = {QN__NSS_FILES, QN__NSS_DNS}};
    r->conf = qn__resolv_file_get(&r->resolv_file, r->resolv_path);
    r->nsswitch = *r->nsswitch_path != '\0'
                      ? qn__nsswitch_file_get(&r->nsswitch_file, r->nsswitch_path)
                      : &ours;
    bool read =
        r->resolv_file.stamp.known && (r->nsswitch == &ours || r->nsswitch_file.stamp.known);
    r->conf_at = read ? r->conf_at : 0; /* no descriptor, no memory: again with the next look-up */
  }
  return r->configured && r->generation == r->resolv_file.generation ? 0 : configure(r);
}

const qn__hosts_t *qn__resolver_hosts(qn_resolver_t *r)
{
  if (*r->hosts_path != '\0' && is_due(r->loop, &r->hosts_at)) {
    r->hosts = qn__hosts_file_get(&r->hosts_file, r->hosts_path);
    r->hosts_at = r->hosts_file.stamp.known ? r->hosts_at : 0;
  }
  return r->hosts;
}

size_t qn__resolver_n_search(const qn_resolver_t *r)
{
  return r->search != NULL ? r->n_search : r->conf->n_search;
}

const char *qn__resolver_search(const qn_resolver_t *r, size_t i)
{
  return r->search != NULL ? r->search[i] : r->conf->search[i];
}

unsigned qn__resolver_ndots(const qn_resolver_t *r)
{
  return r->ndots != 0 ? r->ndots : r->conf->ndots;
}

/* --- life ------------------------------------------------------------------------------------- */

static void destroy(qn_resolver_t *r)
{
  qn__hosts_file_drop(&r->hosts_file);
  qn_free(r->hosts_path);
  qn_free(r->resolv_path);
  qn_free(r->nsswitch_path);
  qn_free(r->search);
  qn_free(r);
}

int qn_resolver_new(qn_loop_t *loop, const qn_resolver_opts_t *opts, qn_resolver_t **out)
{
  static const qn_resolver_opts_t none;
  const qn_resolver_opts_t *o = opts != NULL ? opts : &none;
  *out = NULL;
  qn_resolver_t *r = qn_calloc(1, sizeof *r);
  if (r == NULL) {
    return -ENOMEM;
  }
  r->loop = loop;
  r->refs = 1;
  r->try_timeout = o->try_timeout;
  r->tries = o->tries;
  r->ndots = o->ndots;
  qn__list_init(&r->ops);
  int rc = copy_servers(r, o);
  rc = rc == 0 ? copy_search(r, o) : rc;
  rc = rc == 0 ? copy_paths(r, o) : rc;
  if (rc < 0) {
    destroy(r);
    return rc;
  }
  size_t cache = o->cache_size != 0 ? o->cache_size : QN__DNS_CACHE_DEFAULT;
  qn__dns_init(&r->dns, loop, o->no_cache ? 0 : cache);
  r->uncounted = o->uncounted;
  if (!r->uncounted) {
    qn__object_born(loop, "resolver");
  }
  *out = r;
  return 0;
}

void qn_resolver_close(qn_resolver_t *r)
{
  if (r == NULL || r->closed) {
    return;
  }
  r->closed = true;
  while (!qn__list_empty(&r->ops)) {
    qn_op_cancel(QN__CONTAINER(r->ops.next, qn_op_t, link), QN_E_CLOSED);
  }
  qn__dns_close(&r->dns);
  if (!r->uncounted) {
    qn__object_gone(r->loop, "resolver");
  }
}

void qn_resolver_release(qn_resolver_t *r)
{
  if (r == NULL || --r->refs > 0) {
    return;
  }
  qn_resolver_close(r);
  destroy(r);
}

void qn_resolver_clear_cache(qn_resolver_t *r) { qn__dns_cache_clear(&r->dns.cache); }

/* --- the loop's own --------------------------------------------------------------------------- */

static void loop_closes(qn__at_close_t *a)
{
  qn_resolver_t *r = QN__CONTAINER(a, qn_resolver_t, at_close);
  qn_resolver_close(r);
  qn_resolver_release(r);
}

qn_resolver_t *qn_resolver_default(qn_loop_t *loop)
{
  qn__at_close_t *a = qn__loop_at_close_find(loop, loop_closes);
  if (a != NULL) {
    return QN__CONTAINER(a, qn_resolver_t, at_close);
  }
  qn_resolver_t *r;
  qn_resolver_opts_t o = {.uncounted = true};
  if (qn_resolver_new(loop, &o, &r) < 0) {
    return NULL;
  }
  r->at_close.run = loop_closes;
  qn__loop_at_close(loop, &r->at_close);
  return r;
}

int qn__resolver_use(qn_loop_t *loop, qn_resolver_t *r, qn_resolver_t **out)
{
  r = r != NULL ? r : qn_resolver_default(loop);
  int rc = r != NULL ? qn__resolver_refresh(r) : -ENOMEM;
  *out = rc == 0 ? qn__resolver_retain(r) : NULL;
  return rc;
}

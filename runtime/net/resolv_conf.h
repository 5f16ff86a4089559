/* resolv_conf.h: resolv.conf(5): which servers to ask, and how. Not public.
 *
 * For the resolver, on the loop's thread. Values only: a qn__resolv_conf_t may be copied, nothing
 * in it is allocated. Caps and defaults are glibc's. Unknown keywords and options are ignored, so
 * are `sortlist`, `debug`, `inet6`, `ip6-*`, `no-check-names`, `no-reload` and `no-tld-query`
 * (obsolete, or of no effect here), and `single-request`, `single-request-reopen` (each of our
 * questions has its own id and is matched by it, so answers cannot be mixed up).
 */
#ifndef QN_NET_RESOLV_CONF_H
#define QN_NET_RESOLV_CONF_H

#include "net/sys_file.h"
#include "qn/dns.h"

#define QN__RESOLV_SIZE_MAX \
  ((size_t)256 << 10)            /* bytes of the file: a larger one counts as empty */
#define QN__RESOLV_SERVERS_MAX 3 /* as glibc's MAXNS: further ones are ignored */
#define QN__RESOLV_SEARCH_MAX 32 /* domains; further ones are ignored */
#define QN__RESOLV_NDOTS_MAX 15
#define QN__RESOLV_TIMEOUT_MAX 30 /* seconds */
#define QN__RESOLV_ATTEMPTS_MAX 5

typedef struct qn__resolv_conf {
  size_t n_servers;                          /* never 0 after qn__resolv_conf_finish */
  qn_addr_t servers[QN__RESOLV_SERVERS_MAX]; /* with port 53 */
  bool has_search; /* a domain or search line, or LOCALDOMAIN: no default by the host's name */
  size_t n_search;
  char search[QN__RESOLV_SEARCH_MAX]
             [QN_HOST_MAX + 1]; /* without final dots; the root is left out */
  unsigned ndots;               /* 0 to 15; 1: names with fewer dots are searched first */
  unsigned timeout;             /* seconds for one try of one server, 1 to 30; 5 */
  unsigned attempts;            /* rounds over all servers, 1 to 5; 2 */
  bool rotate;                  /* begin with another server each time */
  bool use_tcp;                 /* use-vc */
  bool edns0;
  bool trust_ad; /* the AD bit of these servers may be believed */
  bool no_aaaa;  /* ask for no AAAA records in look-ups */
} qn__resolv_conf_t;

/* The text of a file over the defaults; then the environment, then what is still missing. */
void qn__resolv_conf_parse(qn__resolv_conf_t *conf, const char *text, size_t size);
/* LOCALDOMAIN (domains that replace the search list) and RES_OPTIONS; either may be NULL. */
void qn__resolv_conf_environ(qn__resolv_conf_t *conf, const char *localdomain, const char *options);
/* No server: 127.0.0.1. No search or domain line: the part of `host_name` behind its first dot. */
void qn__resolv_conf_finish(qn__resolv_conf_t *conf, const char *host_name);
/* The local domain (HI-09): the first search domain, "" when there is none. Owned by `conf`. */
const char *qn__resolv_conf_domain(const qn__resolv_conf_t *conf);

/* All three for a file, which is read again when it has changed. Zero-initialise. The environment
 * counts as it is at the first reading of each change. */
typedef struct qn__resolv_file {
  qn__stamp_t stamp;
  unsigned generation; /* counts every change */
  qn__resolv_conf_t conf;
} qn__resolv_file_t;

/* The configuration as it is now; a file that is absent or unreadable gives the defaults. One stat
 * call when nothing has changed. Never NULL; valid (and unchanged) until the next call. */
const qn__resolv_conf_t *qn__resolv_file_get(qn__resolv_file_t *file, const char *path);

#endif

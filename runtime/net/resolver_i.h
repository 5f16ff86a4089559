/* resolver_i.h: what a resolver is: configuration, questions, operations under way. Not public.
 *
 * resolver_life.c owns it; the look-ups (hostinfo*.c, dns_query.c) read the configuration through
 * qn__resolver_refresh and ask through `dns`. Files are looked at once per second at most.
 */
#ifndef QN_NET_RESOLVER_I_H
#define QN_NET_RESOLVER_I_H

#include "net/addr_sort.h"
#include "net/dns_question.h"
#include "net/hosts_file.h"
#include "net/nsswitch.h"
#include "net/resolv_conf.h"
#include "qn/dns.h"

#include "loop/loop_i.h"

#define QN__RESOLVER_CHECK_MS 1000u /* between two looks at the system's files */

struct qn_resolver {
  qn_loop_t *loop;
  unsigned refs;
  bool closed, uncounted;
  qn__at_close_t at_close;
  qn__dns_t dns;
  qn_list_t ops; /* of the callers, by their `link`: closing cancels them */

  char *hosts_path, *resolv_path, *nsswitch_path; /* ours; "": none */
  qn_addr_t servers[QN__DNS_SERVERS_MAX];
  size_t n_servers;                /* 0: those of resolv.conf */
  char (*search)[QN_HOST_MAX + 1]; /* ours; NULL: that of resolv.conf */
  size_t n_search;
  uint64_t try_timeout;
  unsigned tries, ndots; /* 0: resolv.conf's */

  bool configured;            /* the servers of `conf` are those of `dns` */
  uint64_t conf_at, hosts_at; /* when the files were looked at; 0: never */
  unsigned generation;
  const qn__resolv_conf_t *conf;
  const qn__nsswitch_t *nsswitch;
  const qn__hosts_t *hosts;
  qn__resolv_file_t resolv_file;
  qn__nsswitch_file_t nsswitch_file;
  qn__hosts_file_t hosts_file;
  qn__local_addrs_t local;
};

/* Brings `conf`, `nsswitch` and the servers up to date. 0, QN_E_CLOSED or -ENOMEM. */
int qn__resolver_refresh(qn_resolver_t *r);
/* The hosts file as it is; NULL: there is none. */
const qn__hosts_t *qn__resolver_hosts(qn_resolver_t *r);
/* The number of search domains, and each. */
size_t qn__resolver_n_search(const qn_resolver_t *r);
const char *qn__resolver_search(const qn_resolver_t *r, size_t i);
unsigned qn__resolver_ndots(const qn_resolver_t *r);
/* The resolver that an operation uses: `r`, or the loop's own when NULL; refreshed and retained. 0
 * or an error. */
int qn__resolver_use(qn_loop_t *loop, qn_resolver_t *r, qn_resolver_t **out);

static inline qn_resolver_t *qn__resolver_retain(qn_resolver_t *r)
{
  r->refs++;
  return r;
}

#endif

/* qn/dns.h: names to addresses, addresses to names, and any question to the DNS.
 *
 * A look-up follows the system: nsswitch.conf decides whether our resolver does it (services
 * `files` and `dns`: hosts file, search list, DNS servers, all without a thread) or the system's
 * own call in the thread pool. Equal questions are asked once, answers are kept for their TTL,
 * everything is bounded.
 */
#ifndef QN_DNS_H
#define QN_DNS_H

#include "qn/addr.h"
#include "qn/dns_record.h"
#include "qn/op.h"

#define QN_HOST_MAX 253   /* bytes of a name, without a final dot */
#define QN_RESOLVE_MAX 64 /* addresses of one answer; more are dropped */
#define QN_DNS_TIMEOUT_DEFAULT_MS 10000u

typedef struct qn_resolver qn_resolver_t;

/* Zero-initialise: everything unset is the system's. */
typedef struct qn_resolver_opts {
  const char *const *servers; /* "192.0.2.1", "192.0.2.1:53", "[::1]:5353"; NULL: resolv.conf */
  size_t n_servers;
  const char *const *search; /* with n_search 0 and not NULL: no search */
  size_t n_search;
  const char *hosts_path;    /* NULL: /etc/hosts; "": none */
  const char *resolv_path;   /* NULL: /etc/resolv.conf */
  const char *nsswitch_path; /* NULL: /etc/nsswitch.conf, "": files dns. Not read with `servers` */
  size_t cache_size;         /* answers that are kept; 0: 1,000 */
  bool no_cache;
  uint64_t try_timeout; /* ms for one try of one server; 0: resolv.conf's (5 s) */
  unsigned tries;       /* rounds over all servers; 0: resolv.conf's (2) */
  unsigned ndots;       /* 0: resolv.conf's (1) */
  bool uncounted;       /* not among the objects of qn_loop_stats: nobody can forget it */
} qn_resolver_opts_t;

/* QN_E_INVALID: a server that is no literal; QN_E_LIMIT: more than 8 servers or 32 domains. */
QN_API int qn_resolver_new(qn_loop_t *loop, const qn_resolver_opts_t *opts, qn_resolver_t **out);
/* The loop's own one, made on first use by the system's files, which are read again when they have
 * changed. The loop frees it. NULL when out of memory. */
QN_API qn_resolver_t *qn_resolver_default(qn_loop_t *loop);
/* Pending questions settle with QN_E_CLOSED. Idempotent. */
QN_API void qn_resolver_close(qn_resolver_t *r);
QN_API void qn_resolver_release(qn_resolver_t *r);
QN_API void qn_resolver_clear_cache(qn_resolver_t *r);

typedef struct qn_addr_list {
  size_t n;
  qn_addr_t *v;
} qn_addr_list_t;

typedef struct qn_resolve_opts {
  const char *host; /* copied; names that are not ASCII are UTF-8 and go through IDNA (UTS 46) */
  uint16_t port;
  qn_family_t family;
  qn_resolver_t *resolver; /* NULL: the loop's */
  bool stepwise;           /* see qn_resolve_more */
} qn_resolve_opts_t;

/* Literals are answered at once: returns 0 and fills `*out` (`op` is not used). QN_AGAIN: `op`
 * settles with 0 or an error; in `done`, qn_resolved(op) gives the list until qn_resolve_end(op),
 * which every `done` must call. Addresses are in the order of RFC 6724; without `family`, those of
 * one wait for the other two seconds at most, and no more than half of the time that `op` has
 * (qn_op_deadline). QN_E_HOST_NOT_FOUND: no such name, or no address of `family`; QN_E_INVALID: the
 * name is empty, a wildcard or too long; QN_E_BAD_HOST: IDNA refuses it; QN_E_TIMEOUT and the
 * QN_E_DNS_ errors: the servers. */
QN_API int qn_resolve(qn_loop_t *loop, const qn_resolve_opts_t *opts, qn_op_t *op, qn_addr_t *out);
/* NULL when the look-up failed. */
QN_API const qn_addr_list_t *qn_resolved(const qn_op_t *op);
/* The canonical name (end of the CNAME chain, with the search domain), or NULL. */
QN_API const char *qn_resolved_name(const qn_op_t *op);
/* Seconds that the answer may still be kept; 0 when unknown. */
QN_API uint32_t qn_resolved_ttl(const qn_op_t *op);
/* After a `stepwise` look-up has settled with 0: are answers of the other family still to come (RFC
 * 8305 section 3: IPv6 settles at once, IPv4 50 ms later at the latest)? 0: no, the list is whole.
 * QN_AGAIN: `op` is pending again and settles when they are there, with 0 (the list has grown, or
 * has not) and keeps the list valid meanwhile; its elements never move or change. */
QN_API int qn_resolve_more(qn_op_t *op);
QN_API void qn_resolve_end(qn_op_t *op);

/* The names of an address: hosts file, then PTR. QN_AGAIN; in `done`, qn_reversed(op, i) gives
 * names (NULL behind the last) until qn_reverse_end(op). QN_E_HOST_NOT_FOUND: none. */
QN_API int qn_reverse(qn_loop_t *loop, qn_resolver_t *r, const qn_addr_t *a, qn_op_t *op);
QN_API const char *qn_reversed(const qn_op_t *op, size_t i);
QN_API void qn_reverse_end(qn_op_t *op);

/* One question to the DNS, whatever nsswitch says; no hosts file, no search list. `name` in ASCII.
 * QN_AGAIN; in `done`, qn_dns_answer(op) gives the answer (NULL when it failed) until
 * qn_dns_query_end(op). Errors: those of qn_dns_parse, QN_E_TIMEOUT, QN_E_DNS_UNREACHABLE,
 * QN_E_LIMIT (too many questions). */
QN_API int qn_dns_query(qn_loop_t *loop, qn_resolver_t *r, const char *name, uint16_t type,
                        qn_op_t *op);
QN_API const qn_dns_answer_t *qn_dns_answer(const qn_op_t *op);
QN_API void qn_dns_query_end(qn_op_t *op);

#endif

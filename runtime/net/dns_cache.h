/* dns_cache.h: answers of the DNS, kept for their TTL. Not public.
 *
 * Answers are shared: the cache, and everybody who was given one, hold a reference. Bounded by
 * number and by memory; the one that was not asked for the longest goes first. Failures are not
 * kept: equal questions that are asked at once share one message anyway, and a server that has
 * recovered is asked at once.
 */
#ifndef QN_NET_DNS_CACHE_H
#define QN_NET_DNS_CACHE_H

#include "net/dns_table.h"
#include "qn/dns_record.h"
#include "qn/op.h"

#define QN__DNS_TTL_MAX 86400u         /* s; a longer TTL counts as this */
#define QN__DNS_NEGATIVE_TTL_MAX 3600u /* s; RFC 2308 section 5: one to three hours */
#define QN__DNS_CACHE_DEFAULT 1000u    /* answers */
#define QN__DNS_CACHE_MAX 1000000u     /* answers, whatever is asked for */
#define QN__DNS_CACHE_BYTES (8u << 20) /* of all answers together */

/* An answer and what it means: 0, QN_E_HOST_NOT_FOUND or QN_E_NO_DATA. */
typedef struct qn__dns_result {
  unsigned refs;
  int rc;
  uint64_t at, expires; /* ms on the loop's clock; equal: not to be kept */
  size_t bytes;         /* about what it takes */
  qn_dns_answer_t *answer;
} qn__dns_result_t;

/* Takes `answer`, also when it fails (NULL: out of memory). `wire`: bytes of the reply. */
qn__dns_result_t *qn__dns_result_new(int rc, qn_dns_answer_t *answer, size_t wire, uint64_t now);
static inline qn__dns_result_t *qn__dns_result_retain(qn__dns_result_t *r)
{
  r->refs++;
  return r;
}
void qn__dns_result_release(qn__dns_result_t *r); /* NULL: nothing */

typedef struct qn__dns_cache {
  qn__dns_table_t table;
  qn_list_t used; /* the latest first */
  size_t most, bytes;
} qn__dns_cache_t;

/* `most` 0: nothing is kept. */
void qn__dns_cache_init(qn__dns_cache_t *c, size_t most);
/* NULL when there is none or it has expired; not retained. */
qn__dns_result_t *qn__dns_cache_find(qn__dns_cache_t *c, const qn__dns_key_t *key, uint64_t now);
/* Keeps it if it may be kept; replaces an older one. Out of memory: it is not kept. */
void qn__dns_cache_put(qn__dns_cache_t *c, const qn__dns_key_t *key, qn__dns_result_t *r);
void qn__dns_cache_clear(qn__dns_cache_t *c);

#endif

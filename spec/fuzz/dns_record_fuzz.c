/* Fuzz target of qn_dns_parse: a reply from anywhere, to a question that it may choose itself.
 *
 * The first byte says which question: one of a few types with the name in the reply, or another
 * name. What is accepted must be consistent (names that encode, slices inside the block, ascending
 * keys), must be the same when it is read again, and can be put into order.
 * covers: runtime/codec/dns_reply.c runtime/codec/dns_rdata.c runtime/codec/dns_svcb.c
 */
#include "qn/dns_record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
  if (!holds) {
    __builtin_trap();
  }
}

static void check_name(const char *name)
{
  uint8_t wire[255];
  char again[QN_DNS_NAME_TEXT];
  size_t at = 0;
  int n = qn_dns_name_encode(name, wire);
  must(n > 0 && qn_dns_name_decode(wire, (size_t)n, &at, again) == 0);
  must(strcmp(name, again) == 0 && qn_dns_name_equal(name, again));
}

static unsigned sum; /* what is read must be there: a sanitizer says otherwise */

static void check_slice(qn_slice_t s)
{
  for (size_t i = 0; i < s.size; i++) {
    sum += s.data[i];
  }
}

static void check_record(const qn_dns_record_t *r)
{
  check_name(r->name);
  must(r->ttl <= INT32_MAX);
  switch (r->type) {
  case QN_DNS_A:
  case QN_DNS_AAAA: sum += r->u.aaaa[3]; break;
  case QN_DNS_NS:
  case QN_DNS_CNAME:
  case QN_DNS_PTR: check_name(r->u.target); break;
  case QN_DNS_MX: check_name(r->u.mx.exchange); break;
  case QN_DNS_SRV: check_name(r->u.srv.target); break;
  case QN_DNS_SOA: check_name(r->u.soa.mname), check_name(r->u.soa.rname); break;
  case QN_DNS_TXT:
    must(r->u.txt.n > 0);
    for (size_t i = 0; i < r->u.txt.n; i++) {
      check_slice(r->u.txt.v[i]);
    }
    break;
  case QN_DNS_TLSA: check_slice(r->u.tlsa.data); break;
  case QN_DNS_CAA:
    check_slice(r->u.caa.tag), check_slice(r->u.caa.value);
    must(r->u.caa.tag.size > 0);
    break;
  case QN_DNS_NAPTR:
    check_slice(r->u.naptr.flags), check_slice(r->u.naptr.services);
    check_slice(r->u.naptr.regexp), check_name(r->u.naptr.replacement);
    break;
  case QN_DNS_SVCB:
  case QN_DNS_HTTPS:
    check_name(r->u.svcb.target);
    for (size_t i = 0; i < r->u.svcb.n; i++) {
      must(i == 0 || r->u.svcb.v[i - 1].key < r->u.svcb.v[i].key);
      check_slice(r->u.svcb.v[i].value);
    }
    break;
  default: check_slice(r->u.other);
  }
}

static uint64_t next_random(void *arg) { return (*(uint64_t *)arg)++ * 0x9e3779b97f4a7c15u >> 7; }

static void check_order(const qn_dns_answer_t *a, uint16_t type)
{
  uint64_t state = a->n;
  qn_dns_record_t *v = malloc(a->n * sizeof *v);
  must(v != NULL);
  memcpy(v, a->v, a->n * sizeof *v);
  if (type == QN_DNS_MX) {
    qn_dns_order_mx(v, a->n, next_random, &state);
  } else {
    qn_dns_order_srv(v, a->n, next_random, &state);
  }
  for (size_t i = 1; i < a->n; i++) {
    must(type == QN_DNS_MX ? v[i - 1].u.mx.preference <= v[i].u.mx.preference
                           : v[i - 1].u.srv.priority <= v[i].u.srv.priority);
  }
  free(v);
}

static void check_answer(const qn_dns_answer_t *a, const char *name, uint16_t type)
{
  must(a->n <= QN_DNS_RECORDS_MAX && a->n_chain <= 16 && a->ttl <= INT32_MAX);
  check_name(a->canonical);
  const char *at = name;
  for (size_t i = 0; i < a->n_chain; i++) {
    must(a->chain[i].type == QN_DNS_CNAME && qn_dns_name_equal(a->chain[i].name, at));
    check_record(&a->chain[i]);
    at = a->chain[i].u.target;
  }
  must(qn_dns_name_equal(a->canonical, at));
  for (size_t i = 0; i < a->n; i++) {
    must(type == QN_DNS_ANY || a->v[i].type == type);
    must(qn_dns_name_equal(a->v[i].name, at));
    check_record(&a->v[i]);
  }
  if (a->n > 0 && (type == QN_DNS_MX || type == QN_DNS_SRV)) {
    check_order(a, type);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const uint16_t types[] = {QN_DNS_A,     QN_DNS_NS,    QN_DNS_CNAME, QN_DNS_SOA,
                                   QN_DNS_PTR,   QN_DNS_MX,    QN_DNS_TXT,   QN_DNS_AAAA,
                                   QN_DNS_SRV,   QN_DNS_NAPTR, QN_DNS_TLSA,  QN_DNS_SVCB,
                                   QN_DNS_HTTPS, QN_DNS_ANY,   QN_DNS_CAA,   999};
  if (size == 0) {
    return 0;
  }
  uint16_t type = types[data[0] & 15];
  bool other = (data[0] & 16) != 0;
  size--;
  uint8_t *copy = malloc(size > 0 ? size : 1); /* exactly as long as it is */
  must(copy != NULL);
  memcpy(copy, data + 1, size);
  char name[QN_DNS_NAME_TEXT];
  size_t at = 12;
  qn_dns_answer_t *a, *again;
  if (other || qn_dns_name_decode(copy, size, &at, name) < 0) {
    memcpy(name, "qn.test", 8);
  } else if (size - at >= 4) { /* the question that was asked */
    copy[at] = (uint8_t)(type >> 8);
    copy[at + 1] = (uint8_t)type;
  }
  int rc = qn_dns_parse(copy, size, name, type, &a);
  must((a != NULL) == (rc == 0 || rc == QN_E_NO_DATA || rc == QN_E_HOST_NOT_FOUND));
  must(qn_dns_parse(copy, size, name, type, &again) == rc);
  if (a != NULL) {
    check_answer(a, name, type);
    must(a->n == again->n && a->ttl == again->ttl && (rc == 0) == (a->n > 0));
  }
  qn_dns_answer_free(a);
  qn_dns_answer_free(again);
  free(copy);
  return 0;
}

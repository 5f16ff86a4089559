/* dns_order.c: the order in which the targets of MX and SRV records are to be tried.
 *
 * Called by who uses the records, with a source of random numbers of his own. The one rule: one
 * number is drawn per choice, and only where there is a choice, so that tests can foresee it.
 */
#include "qn/dns_record.h"

#include <stdlib.h>

static void swap(qn_dns_record_t *a, qn_dns_record_t *b)
{
  qn_dns_record_t kept = *a;
  *a = *b;
  *b = kept;
}

static int by_preference(const void *a, const void *b)
{
  const qn_dns_record_t *x = a, *y = b;
  return x->u.mx.preference - y->u.mx.preference;
}

/* RFC 2782, "Weight": those of weight 0 come first in the list from which is chosen. */
static int by_priority(const void *a, const void *b)
{
  const qn_dns_record_t *x = a, *y = b;
  int difference = x->u.srv.priority - y->u.srv.priority;
  return difference != 0 ? difference : (x->u.srv.weight != 0) - (y->u.srv.weight != 0);
}

void qn_dns_order_mx(qn_dns_record_t *v, size_t n, qn_dns_random_fn random, void *arg)
{
  if (n < 2) {
    return;
  }
  qsort(v, n, sizeof *v, by_preference);
  for (size_t start = 0, end; start < n; start = end) {
    for (end = start + 1; end < n && by_preference(&v[start], &v[end]) == 0;) {
      end++;
    }
    for (size_t i = end - start; i > 1; i--) {
      swap(&v[start + i - 1], &v[start + random(arg) % i]);
    }
  }
}

/* One priority: each next one is that at which the running sum reaches the number. */
static void choose_by_weight(qn_dns_record_t *v, size_t n, qn_dns_random_fn random, void *arg)
{
  size_t zeros = 0;
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += v[i].u.srv.weight;
    zeros += v[i].u.srv.weight == 0;
  }
  for (size_t first = 0; first + 1 < n && sum > 0; first++) {
    uint64_t drawn = random(arg) % (sum + 1), running = 0;
    size_t chosen = first;
    while ((running += v[chosen].u.srv.weight) < drawn) {
      chosen++;
    }
    sum -= v[chosen].u.srv.weight;
    if (chosen >= zeros) { /* else it is the first one of weight 0 already */
      swap(&v[zeros], &v[chosen]);
      swap(&v[first], &v[zeros++]);
    }
  }
}

void qn_dns_order_srv(qn_dns_record_t *v, size_t n, qn_dns_random_fn random, void *arg)
{
  if (n < 2) {
    return;
  }
  qsort(v, n, sizeof *v, by_priority);
  for (size_t start = 0, end; start < n; start = end) {
    for (end = start + 1; end < n && v[start].u.srv.priority == v[end].u.srv.priority;) {
      end++;
    }
    choose_by_weight(v + start, end - start, random, arg);
  }
}

/* dial_list.c: the order in which the addresses of a dial are tried, and their errors.
 *
 * Called by dial.c and f_happy.c. Does no I/O and allocates nothing. The order is decided anew at
 * each step, so addresses that come late are in their right place by construction. Invariant: each
 * address is handed out once, unless it is given back.
 */
#include "stream/dial_list.h"

#include <errno.h>

_Static_assert(QN_RESOLVE_MAX <= 64, "the bits of qn__dial_list_t.taken");
#define BIT(i) (UINT64_C(1) << (i))

void qn__dial_list_set(qn__dial_list_t *l, const qn_addr_t *v, size_t n)
{
  l->v = v;
  l->n = n < QN_RESOLVE_MAX ? n : QN_RESOLVE_MAX;
}

/* The first free one of another family than `other`, or of any when it is NULL. */
static int find(const qn__dial_list_t *l, const qn_addr_t *other)
{
  for (size_t i = 0; i < l->n; i++) {
    if ((l->taken & BIT(i)) == 0 &&
        (other == NULL || l->v[i].u.sa.sa_family != other->u.sa.sa_family)) {
      return (int)i;
    }
  }
  return -1;
}

int qn__dial_list_next(qn__dial_list_t *l)
{
  int i = -1;
  if (!l->in_order && l->given > 0) {
    i = find(l, &l->v[l->order[l->given - 1]]);
  }
  if (i < 0) {
    i = find(l, NULL);
  }
  if (i >= 0) {
    l->taken |= BIT(i);
    l->errors[i] = 0;
    l->order[l->given++] = (uint8_t)i;
  }
  return i;
}

void qn__dial_list_undo(qn__dial_list_t *l)
{
  if (l->given > 0) {
    l->taken &= ~BIT(l->order[--l->given]);
  }
}

bool qn__dial_list_left(const qn__dial_list_t *l) { return l->given < l->n; }

static int weight(int error)
{
  switch (error) {
  case 0: return 0;
  case -EAFNOSUPPORT: return 1;
  case -EADDRNOTAVAIL:
  case -ENETUNREACH:
  case -EHOSTUNREACH:
  case -ENETDOWN: return 2;
  default: return 3;
  }
}

int qn__dial_list_error(const qn__dial_list_t *l)
{
  int best = 0;
  for (size_t k = 0; k < l->given; k++) {
    int error = l->errors[l->order[k]];
    if (weight(error) > weight(best)) {
      best = error;
    }
  }
  return best;
}

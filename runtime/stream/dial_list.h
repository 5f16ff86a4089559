/* dial_list.h: the addresses of one dial: which one is tried next, and what became of each.
 *
 * Not public. Used by dial.c and f_happy.c. The addresses are the resolver's (or the dial's own)
 * and may grow in number at the end, but never move.
 */
#ifndef QN_STREAM_DIAL_LIST_H
#define QN_STREAM_DIAL_LIST_H

#include "qn/dns.h"

typedef struct qn__dial_list {
  const qn_addr_t *v;
  size_t n;
  bool in_order;                 /* as they come; else by family in turn (RFC 8305 section 4) */
  uint8_t given;                 /* how many were handed out */
  uint64_t taken;                /* bit i: v[i] was handed out */
  uint8_t order[QN_RESOLVE_MAX]; /* which ones, in the order of handing out */
  int errors[QN_RESOLVE_MAX];    /* by place in v; 0: still running, or never tried */
} qn__dial_list_t;

/* Makes `n` addresses at `v` the list; what lies behind the limit is left out. */
void qn__dial_list_set(qn__dial_list_t *l, const qn_addr_t *v, size_t n);
/* The place of the next address, which counts as handed out; -1 when there is none. The families
 * take turns, each in its own order, also with addresses that came later. */
int qn__dial_list_next(qn__dial_list_t *l);
/* Takes back the address that was handed out last. */
void qn__dial_list_undo(qn__dial_list_t *l);
bool qn__dial_list_left(const qn__dial_list_t *l);
/* What the failures come to: the first of the most telling kind. What a peer or the network did
 * says more than that the address cannot be reached from here, and that more than that it is of the
 * wrong family. 0 when nothing has failed. */
int qn__dial_list_error(const qn__dial_list_t *l);

#endif

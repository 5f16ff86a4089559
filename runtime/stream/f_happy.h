/* f_happy.h: the filter that races several connection attempts (RFC 8305), and what it shares with
 * the dial.
 *
 * Not public. Used by dial.c and f_happy.c only.
 */
#ifndef QN_STREAM_F_HAPPY_H
#define QN_STREAM_F_HAPPY_H

#include "stream/dial_list.h"
#include "stream/stream_i.h"

/* The dial owns it and outlives the filter. Whoever changes it from outside wakes the stream with
 * QN_WAKE_START. */
typedef struct qn__race qn__race_t;
struct qn__race {
  qn__dial_list_t *list;
  const qn_addr_t *local; /* to be bound to, or NULL */
  bool more;              /* the look-up is still going to add addresses */
  bool due;               /* the delay after the last start is over */
  /* An attempt has been started and addresses are left, or may come: `due` is to become true after
   * the delay. 0 or an error, which ends the race. */
  int (*begun)(qn__race_t *r);
};

/* A bottom filter which is up as soon as one attempt is; the socket then takes its place. */
int qn__f_happy_new(qn__race_t *race, qn_filter_t **out);

#endif

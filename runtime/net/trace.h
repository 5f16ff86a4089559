/* net/trace.h: how layers report to a loop's trace function. Not public.
 */
#ifndef QN_NET_TRACE_H
#define QN_NET_TRACE_H

#include "qn/trace.h"

#include "loop/loop_i.h"

static inline bool qn__traced(const qn_loop_t *loop)
{
  return qn__loop_trace_get(loop, NULL) != NULL;
}

/* Tells the loop's trace function, if there is one now. */
void qn__trace(const qn_loop_t *loop, const qn_trace_event_t *e);

#endif

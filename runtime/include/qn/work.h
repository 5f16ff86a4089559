/* qn/work.h: a blocking call in the thread pool, as an operation with deadline and cancellation.
 *
 * A call that already runs cannot be stopped: when its op is cancelled the request becomes an
 * orphan that owns its memory, is counted apart (qn_loop_stats) and frees itself when the call
 * returns.
 */
#ifndef QN_WORK_H
#define QN_WORK_H

#include "qn/loop.h"

typedef struct qn_work qn_work_t;
struct qn_work {
  /* Runs in a pool thread; may touch nothing but its own request. The result settles the op. */
  int64_t (*run)(qn_work_t *w);
  /* Frees the request and what it holds, nothing more; called on the loop's thread, perhaps beneath
   * a libuv callback. */
  void (*free)(qn_work_t *w);
  void *job; /* the runtime's */
};

/* Starts `w` for `op`. Failure (negative): nothing was started, the caller still owns `w`.
 * Success: when `op` settles with the call's result, the request is still there (op->owner == w)
 * and the `done` callback must end it with qn_work_end(w); after a cancelled op the runtime frees
 * it (op->owner is NULL then). Who forgets an op (qn_op_forget) ends op->owner as well, unless
 * NULL. */
QN_API int qn_work_start(qn_loop_t *loop, qn_work_t *w, qn_op_t *op);
QN_API void qn_work_end(qn_work_t *w); /* a no-op for NULL */

#endif

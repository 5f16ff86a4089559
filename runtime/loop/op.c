/* op.c: begin, settle, cancel, deadline: the only place that changes an operation's state.
 *
 * Called by owners (begin, settle, complete) and by whoever waits (cancel, deadline, forget).
 * `done` runs from the ready phase, with the op idle again, so it may start the op anew or free its
 * memory. Invariant: between begin and done an op settles exactly once, and its deadline is armed
 * only while it is pending.
 */
#include "loop/loop_core.h"

#include <errno.h>

/* The op may be gone when this returns. */
static inline void finish(qn_op_t *op)
{
  op->state = QN_OP_IDLE;
  op->loop->ops--;
  if (op->done != NULL) {
    op->done(op);
  }
}

static void run_settled(qn_ready_t *r) { finish(QN__CONTAINER(r, qn_op_t, ready)); }

/* PENDING -> SETTLED, without queueing. */
static inline bool settle(qn_op_t *op, int64_t result)
{
  QN__ASSERT(op->state == QN_OP_PENDING);
  if (QN_UNLIKELY(op->state != QN_OP_PENDING)) {
    return false;
  }
  if (qn_timer_armed(&op->timer)) {
    qn_timer_stop(op->loop, &op->timer);
  }
  op->result = result;
  op->state = QN_OP_SETTLED;
  return true;
}

/* Lets the owner take the op out of its slots; the owner may settle it meanwhile. */
static void withdraw(qn_op_t *op)
{
  void (*cancel)(qn_op_t * op) = op->cancel;
  op->cancel = NULL;
  if (cancel != NULL) {
    cancel(op);
  }
}

void qn_op_init(qn_op_t *op, qn_loop_t *loop, void (*done)(qn_op_t *op))
{
  *op = (qn_op_t){.loop = loop, .done = done, .ready = {.run = run_settled}};
}

void qn_op_begin(qn_op_t *op, void *owner, void (*cancel)(qn_op_t *op))
{
  QN__ASSERT(op->state == QN_OP_IDLE);
  op->owner = owner;
  op->cancel = cancel;
  op->result = 0;
  op->state = QN_OP_PENDING;
  op->loop->ops++;
}

void qn_op_settle(qn_op_t *op, int64_t result)
{
  if (settle(op, result)) {
    qn__ready_append(op->loop, &op->loop->ready, &op->ready);
  }
}

void qn_op_complete(qn_op_t *op, int64_t result)
{
  QN__ASSERT(op->loop->in_phase);
  if (settle(op, result)) {
    finish(op);
  }
}

bool qn_op_cancel(qn_op_t *op, int err)
{
  QN__ASSERT(err < 0);
  if (op->state != QN_OP_PENDING) {
    return false;
  }
  withdraw(op);
  if (op->state == QN_OP_PENDING) {
    qn_op_settle(op, err);
  }
  return true;
}

static void deadline_passed(qn_timer_t *t)
{
  qn_op_t *op = QN__CONTAINER(t, qn_op_t, timer);
  withdraw(op);
  if (op->state == QN_OP_PENDING) {
    qn_op_complete(op, op->deadline_error);
  }
}

void qn_op_deadline(qn_op_t *op, uint64_t at, int err)
{
  if (op->state != QN_OP_PENDING) {
    return;
  }
  if (at == UINT64_MAX) {
    qn_timer_stop(op->loop, &op->timer);
    return;
  }
  op->deadline_error = err;
  int rc = qn_timer_start(op->loop, &op->timer, at, deadline_passed);
  if (rc < 0) { /* better a failed operation than one that waits for ever */
    qn_op_cancel(op, rc);
  }
}

void qn_op_forget(qn_op_t *op)
{
  if (op->state == QN_OP_PENDING) {
    withdraw(op);
  }
  if (op->state == QN_OP_IDLE) {
    return;
  }
  qn_timer_stop(op->loop, &op->timer);
  qn_ready_drop(&op->ready);
  op->state = QN_OP_IDLE;
  op->loop->ops--;
}

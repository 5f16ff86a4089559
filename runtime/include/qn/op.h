/* qn/op.h: one waiting operation, the only thing that can be pending anywhere in the runtime.
 *
 * The caller embeds a qn_op_t in a struct of its own (it is the one open struct), so waiting
 * allocates nothing. Life: IDLE -> qn_op_begin (by the owner: stream, listener, timer ...) ->
 * PENDING
 * -> settled exactly once -> `done` runs from qn_loop_turn, never inside the call that started it.
 * After `done` was entered the op is IDLE again and may be reused, even inside `done`.
 */
#ifndef QN_OP_H
#define QN_OP_H

#include "qn/base.h"

typedef struct qn_loop qn_loop_t;
typedef struct qn_op qn_op_t;

/* Intrusive doubly linked list; a node that is not linked points to itself or is zero. */
typedef struct qn_list {
  struct qn_list *next, *prev;
} qn_list_t;

/* Something that the turn runs once after it was queued; queueing twice is queueing once. */
typedef struct qn_ready qn_ready_t;
struct qn_ready {
  qn_list_t link;
  void (*run)(qn_ready_t *r);
};

/* A timer in the loop's heap. Zero-initialise; `fire` runs in the turn, the timer is disarmed. */
typedef struct qn_timer qn_timer_t;
struct qn_timer {
  uint64_t at;   /* milliseconds on the loop's clock */
  uint32_t slot; /* 1-based place in the heap; 0 = not armed */
  void (*fire)(qn_timer_t *t);
};

typedef enum qn_op_state { QN_OP_IDLE, QN_OP_PENDING, QN_OP_SETTLED } qn_op_state_t;

struct qn_op {
  qn_ready_t ready; /* place in the ready list once settled */
  qn_list_t link;   /* for the owner: its queue of waiters */
  qn_timer_t timer; /* the deadline */
  qn_loop_t *loop;
  void (*done)(qn_op_t *op);   /* set by the caller; reads op->result */
  void (*cancel)(qn_op_t *op); /* set by the owner: take op out of your slots */
  void *owner;                 /* for the owner */
  int64_t result;              /* >= 0, or a negative error */
  int deadline_error;          /* what `result` becomes when the timer fires */
  uint8_t state;
};

/* Caller's side. */
QN_API void qn_op_init(qn_op_t *op, qn_loop_t *loop, void (*done)(qn_op_t *op));
static inline bool qn_op_pending(const qn_op_t *op) { return op->state == QN_OP_PENDING; }
static inline bool qn_op_idle(const qn_op_t *op) { return op->state == QN_OP_IDLE; }
/* Settles a pending op with `err` (negative); false when it is not pending (idle or already
 * settled). */
QN_API bool qn_op_cancel(qn_op_t *op, int err);
/* Arms (or moves) the deadline of a pending op: at `at` ms on the loop's clock it settles with
 * `err`. at == UINT64_MAX disarms. */
QN_API void qn_op_deadline(qn_op_t *op, uint64_t at, int err);
/* Drops a settled op from the ready list, or cancels a pending one, without calling `done`. For the
 * end of the struct that embeds it. */
QN_API void qn_op_forget(qn_op_t *op);

/* Owner's side. */
QN_API void qn_op_begin(qn_op_t *op, void *owner, void (*cancel)(qn_op_t *op));
/* PENDING -> SETTLED; `done` runs in the next turn's ready phase. */
QN_API void qn_op_settle(qn_op_t *op, int64_t result);
/* The same, but `done` runs now: only from code that the ready phase itself runs. */
QN_API void qn_op_complete(qn_op_t *op, int64_t result);

#endif

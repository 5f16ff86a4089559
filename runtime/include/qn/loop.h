/* qn/loop.h: the turn. One loop belongs to one thread.
 *
 * A turn: run what is ready (only what was ready at its start) -> flush dirty streams -> stop if
 * nothing is alive -> poll. User code (`done`, `run`, `fire`) runs in the ready phase only, never
 * beneath a libuv callback, so nothing can be freed while it is being used.
 */
#ifndef QN_LOOP_H
#define QN_LOOP_H

#include "qn/op.h"

struct uv_loop_s;

typedef enum qn_turn_mode {
  QN_TURN_ONCE,  /* wait for events when nothing is ready */
  QN_TURN_NOWAIT /* never wait */
} qn_turn_mode_t;

/* `uv`: a libuv loop of the host, which the host runs (the turn then hangs on our prepare and check
 * handles), or NULL for an own one. NULL when out of memory. */
QN_API qn_loop_t *qn_loop_new(struct uv_loop_s *uv);
/* Runs the loop until every handle of ours is closed, then frees it. All objects on it must have
 * been closed; returns the number of those that were not (0 = clean; they are named on stderr in
 * debug builds). Waits for calls that still run in the thread pool, orphans included: a program
 * that does not want to wait for them ends without freeing the loop. */
QN_API int qn_loop_free(qn_loop_t *loop);

/* One turn; false when nothing is alive any more (no ready work, no armed timer, no active handle).
 * Work that has what it wanted calls qn_loop_stop: else the turn goes on to wait for the next
 * event. */
QN_API bool qn_loop_turn(qn_loop_t *loop, qn_turn_mode_t mode);
/* Turns until qn_loop_stop or until nothing is alive. A stop also keeps the turn under way from
 * waiting; the next turn, and the end of qn_loop_run, forget it. */
QN_API void qn_loop_run(qn_loop_t *loop);
/* Whether a turn (or a phase on a host's loop) is under way: another one cannot be begun now. */
QN_API bool qn_loop_in_turn(const qn_loop_t *loop);
QN_API void qn_loop_stop(qn_loop_t *loop);
QN_API bool qn_loop_alive(const qn_loop_t *loop);
/* Keeps the loop alive although no handle does (counted). Orphans in the thread pool keep it alive
 * too: qn_loop_stats tells them apart. */
QN_API void qn_loop_hold(qn_loop_t *loop, bool on);

/* For foreign poll loops: wait until `fd` is readable or `timeout` ms have passed (-1 = no limit),
 * then call qn_loop_turn(loop, QN_TURN_NOWAIT). Ask for the timeout before each wait: it also tells
 * the kernel what was started since the last turn. */
QN_API int qn_loop_fd(const qn_loop_t *loop);
QN_API int qn_loop_timeout(qn_loop_t *loop);

/* Milliseconds, monotonic. `now` is the time at the start of the phase, `fresh` asks the clock. */
QN_API uint64_t qn_loop_now(const qn_loop_t *loop);
QN_API uint64_t qn_loop_fresh(qn_loop_t *loop);
QN_API struct uv_loop_s *qn_loop_uv(qn_loop_t *loop);

/* The embedder's pointer (the bindings keep their state here). */
QN_API void qn_loop_set_data(qn_loop_t *loop, void *data);
QN_API void *qn_loop_data(const qn_loop_t *loop);

/* Wakes the loop; the only function here that other threads and signal handlers may call. */
QN_API void qn_loop_wakeup(qn_loop_t *loop);
/* Queues `r` after each wake-up (several may count as one); NULL: nothing. */
QN_API void qn_loop_on_wakeup(qn_loop_t *loop, qn_ready_t *r);

/* Ready list. */
QN_API void qn_ready_init(qn_ready_t *r, void (*run)(qn_ready_t *r));
QN_API void qn_ready_queue(qn_loop_t *loop, qn_ready_t *r);
QN_API bool qn_ready_queued(const qn_ready_t *r);
QN_API void qn_ready_drop(qn_ready_t *r);
/* The flush list: runs at the end of the ready phase, and after every 64 items of a long one. */
QN_API void qn_flush_queue(qn_loop_t *loop, qn_ready_t *r);
/* How many turns have begun: lets callers bound what they do in one. */
QN_API uint64_t qn_loop_turns(const qn_loop_t *loop);

/* Timers. */
QN_API int qn_timer_start(qn_loop_t *loop, qn_timer_t *t, uint64_t at, void (*fire)(qn_timer_t *t));
QN_API void qn_timer_stop(qn_loop_t *loop, qn_timer_t *t);
static inline bool qn_timer_armed(const qn_timer_t *t) { return t->slot != 0; }
/* Makes room for `n` more armed timers, so that the next `n` starts cannot fail. */
QN_API int qn_timer_reserve(qn_loop_t *loop, size_t n);

/* Counters for leak checks and qn.stats(). */
typedef struct qn_loop_stats {
  int64_t handles; /* libuv handles of ours that are not closed */
  int64_t ops;     /* pending or settled operations */
  int64_t objects; /* live reference-counted objects (streams, listeners, files ...) */
  int64_t orphans; /* thread-pool calls whose operation is gone */
  int64_t timers;  /* armed */
  uint64_t turns;
  int64_t chunks; /* pooled read chunks that are lent out */
} qn_loop_stats_t;
QN_API void qn_loop_stats(const qn_loop_t *loop, qn_loop_stats_t *out);

#endif

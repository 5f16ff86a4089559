/* sched.h: tasks, coroutines, scopes and nurseries: the structs behind section 3 of the API.
 *
 * Private to sched.c, await.c, scope.c, nursery.c, coroutine.c, park.c and embed.c. A task is one
 * line of execution; it may run through several nested coroutines, but waits for one thing at a
 * time, so it has one operation. A wake-up names the task and its wait number (`seq`), never a
 * coroutine.
 */
#ifndef QNL_SCHED_H
#define QNL_SCHED_H

#include "qnl.h"

#include <signal.h>

typedef struct qnl_co qnl_co_t;
typedef struct qnl_scope qnl_scope_t;
typedef struct qnl_nursery qnl_nursery_t;

typedef enum qnl_scope_kind {
  QNL_SCOPE_DEADLINE,
  QNL_SCOPE_SHIELD,
  QNL_SCOPE_NURSERY
} qnl_scope_kind_t;

/* Opened by a coroutine, innermost first; covers what that coroutine does beneath. */
struct qnl_scope {
  qnl_state_t *G;
  qnl_co_t *co; /* NULL = closed */
  qnl_scope_t *outer, *inner;
  uint64_t at;    /* DEADLINE: when; SHIELD: when it was entered; NURSERY: cancelled when */
  uint64_t grace; /* SHIELD */
  uint8_t kind;
};

/* What the scheduler knows of one coroutine. */
struct qnl_co {
  lua_State *L;
  qnl_task_t *task;    /* NULL: not reached from a task by our resume */
  qnl_co_t *parent;    /* who resumed it, while it runs or waits */
  qnl_scope_t *scopes; /* innermost */
  qn_list_t link;      /* in task->cos; not for the task's own coroutine */
  int top;             /* its stack while in_wait: who resumes it by hand adds arguments */
  bool in_wait;        /* suspended because something beneath waits for I/O */
  bool dead;           /* stands for the thread of a task that has ended */
};

typedef enum qnl_status {
  QNL_TASK_NEW,      /* held back by its nursery's limit, or not yet queued */
  QNL_TASK_READY,    /* in the ready list */
  QNL_TASK_RUNNING,  /* it, or a coroutine inside it, runs */
  QNL_TASK_WAITING,  /* suspended on its operation */
  QNL_TASK_DRAINING, /* its function has returned, its children have not */
  QNL_TASK_DONE,
  QNL_TASK_FAILED,
  QNL_TASK_CANCELLED
} qnl_status_t;

typedef enum qnl_policy { QNL_REPORT, QNL_CANCEL_SIBLINGS, QNL_COLLECT } qnl_policy_t;

struct qnl_nursery {
  qnl_task_t *owner;                     /* NULL for the root */
  qn_list_t children;                    /* every task that has not ended */
  qn_list_t failed;                      /* ended with an error that nobody has looked at */
  uint32_t n_children, n_running, limit; /* limit 0 = none */
  uint8_t policy;
  bool is_explicit, draining;
};

/* A failed task that nobody has looked at, in the list of its nursery. */
typedef struct qnl_failure {
  qn_list_t link;
  qnl_task_t *t; /* may be gone: ask the weak table */
} qnl_failure_t;

/* What qn.group opens: a nursery that is a scope of the coroutine, too. */
typedef struct qnl_group {
  qnl_nursery_t n;   /* first; n.is_explicit is set */
  qnl_scope_t scope; /* scope.co is set while it is open */
} qnl_group_t;

struct qnl_task {
  qnl_box_t box;
  qnl_state_t *G;
  qnl_co_t co;
  qn_op_t op;
  qnl_wait_t wait;
  qnl_co_t *wait_co; /* the innermost coroutine of the current wait */
  uint64_t seq;      /* number of the current or last wait */
  uint64_t id;
  uint64_t cancel_at;     /* UINT64_MAX = not cancelled */
  qn_list_t all;          /* in the state's list of live tasks */
  qn_list_t sibling;      /* in nursery->children, then nursery->failed */
  qn_list_t joiners;      /* ops of tasks that wait for this one */
  qn_list_t cos;          /* coroutines that ran in it last */
  qnl_failure_t *failure; /* in the `failed` list of an implicit nursery */
  qnl_nursery_t *nursery; /* where it was born; NULL once that is gone */
  qnl_nursery_t own;      /* implicit nursery of its children */
  int nargs;
  int anchor; /* where the registry holds it */
  int site_line;
  char site[36]; /* the end of the file name */
  uint8_t status;
  bool detached, claimed, started, blocking, woken, failed_body, cancelled_body, is_handler;
  bool doomed;         /* it has swallowed its cancellation too often: ended from outside */
  bool body_gone;      /* its coroutine was closed while children were alive */
  bool known_thread;   /* user code has its thread (coroutine.running) */
  bool closed_by_hand; /* its coroutine was closed by the stock coroutine.close while it waited */
  uint32_t n_scopes;   /* open ones of all its coroutines: waits must look when there are any */
  uint32_t n_refused;  /* waits that were refused because it is cancelled */
  uint64_t ticket;     /* drawn by core.ticket, used by core.park; 0 = none */
};

struct qnl_state {
  qn_loop_t *loop;
  lua_State *L;          /* main thread */
  qnl_co_t *running;     /* the coroutine that runs now */
  qnl_task_t *main_task; /* task 0 */
  qnl_task_t *until;     /* the loop is being turned until this one has ended */
  qnl_task_t *blocker;   /* stands for the main thread when it waits without being a task */
  qnl_nursery_t root;    /* detached tasks, task 0, handlers */
  qn_list_t tasks;
  uint64_t next_id;
  int64_t n_tasks, n_spawned, n_leaked, n_switches, n_handlers;
  unsigned budget; /* ready results left before the running task must step back */
  int exit_status;
  bool exiting, stopping,
      closing; /* qn.exit was called; tasks are being cancelled; lua_close runs */
  bool had_unhandled, own_loop;
  bool stock;     /* a stock interpreter (or a host that only opens the module): nobody drives us */
  bool installed; /* the coroutine library is ours (qn.install) */
  bool interrupted_main;           /* an interrupt has cancelled task 0 */
  volatile sig_atomic_t interrupt; /* a qnl_interrupt_t */
  qnl_scope_t *line; /* what an interrupt ends instead of task 0 (the line of a REPL) */
  qn_ready_t interrupt_ready;
  uint64_t grace_end; /* when stopping: until then there is patience */
  qnl_task_t
      *closing_task;   /* it is closed from outside: its coroutines wait like the main thread */
  void *sentinel;      /* state.c: notices lua_close before any handle is collected */
  qnl_state_t **owner; /* set to NULL when this state goes away */
  bool *whole;         /* what qnl_state_close has said, for who cannot ask */
  qn_ready_t collect_ready; /* collects so that dropped failed tasks are reported */
  qn_timer_t collect_timer;
  uint64_t collect_after;
  qn_ready_t unhandled_ready;
  qn_list_t emitters; /* objects with queued events (events.c) */
  qn_ready_t emit_ready;
};

/* First signal: PENDING until Lua or the loop's thread has seen it, then DELIVERED; the next one is
 * not taken any more. */
typedef enum qnl_interrupt { QNL_INT_NONE, QNL_INT_PENDING, QNL_INT_DELIVERED } qnl_interrupt_t;

#define QNL_GRACE 5000u /* ms: the end of a program waits so long for clean-up and unsent bytes */
#define QNL_ORPHAN_GRACE 200u /* ms: ... and for calls in the thread pool that nobody waits for */
#define QNL_BUDGET 64
/* A cancelled task that goes on waiting is closed from outside when it has been refused so often,
 * and for so long (ms). */
#define QNL_REFUSALS 1000
#define QNL_DEFIANCE 1000

/* Registry tables, keyed by the address of these. */
extern const char qnl_key_state, qnl_key_tasks, qnl_key_coroutines, qnl_key_unhandled,
    qnl_key_traces, qnl_key_anchors, qnl_key_handles;

/* Lists of tasks and operations. */
static inline void qnl_list_init(qn_list_t *l) { l->next = l->prev = l; }

static inline void qnl_list_append(qn_list_t *head, qn_list_t *node)
{
  node->prev = head->prev;
  node->next = head;
  head->prev->next = node;
  head->prev = node;
}

/* Also of a node that is in no list. */
static inline void qnl_list_remove(qn_list_t *node)
{
  if (node->next != NULL) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
  }
}

/* sched.c */
qnl_task_t *qnl_running_task(const qnl_state_t *G);
/* Function and nargs arguments are on top of L's stack (popped); pushes the task. */
qnl_task_t *qnl_spawn(lua_State *L, qnl_state_t *G, qnl_nursery_t *n, int nargs);
void qnl_task_schedule(qnl_task_t *t);
void qnl_task_cancel(lua_State *L, qnl_task_t *t, int reason_idx); /* reason_idx 0 = none */
/* The same with the very value that its waits raise. */
void qnl_task_stop(lua_State *L, qnl_task_t *t, int value_idx);
bool qnl_task_ended(const qnl_task_t *t);
/* Ends what the task runs from outside: its pending <close> variables run, then it waits for its
 * children, which are cancelled. */
void qnl_task_close(qnl_task_t *t);
void qnl_task_anchor(lua_State *L, qnl_task_t *t, int idx);
void qnl_task_unanchor(lua_State *L, qnl_task_t *t);
void qnl_push_task(lua_State *L, qnl_task_t *t); /* an anchored one */
/* Pushes results (after true) or false and the error; the number pushed. */
int qnl_push_outcome(lua_State *L, qnl_task_t *t);
void qnl_claim(qnl_task_t *t); /* somebody has looked at the failure */
void qnl_report_failed(qnl_state_t *G, qn_list_t *failed);
int qnl_message_handler(lua_State *L);
/* Pushes the traceback that belongs to the error value at `idx`, or nil. */
void qnl_push_trace(lua_State *L, qnl_state_t *G, int idx);
void qnl_close_thread(lua_State *co, lua_State *from);

/* await.c */
uint64_t qnl_from_now(qnl_state_t *G, uint64_t ms); /* QNL_NEVER stays */
/* Recomputes the deadline and cancellation of a waiting task after something around it has changed.
 */
void qnl_reconsider(qnl_task_t *t);
void qnl_resume(qnl_task_t *t); /* the one place that calls lua_resume on a task */
/* Is somebody asking this task to stop right now? Raises what must be raised. */
void qnl_check_stop(lua_State *L, qnl_task_t *t);
void qnl_wake_op(qn_op_t *op); /* the `done` of every task's operation */

/* scope.c */
/* When must what runs on `co` of `t` stop, and why? *cause NULL = the task's own cancellation. */
uint64_t qnl_limit(qnl_task_t *t, qnl_co_t *co, qnl_scope_t **cause);
void qnl_scope_enter(qnl_scope_t *s, qnl_co_t *co, qnl_scope_kind_t kind);
void qnl_scope_leave(qnl_scope_t *s);
/* Raises what `cause` stands for. */
int qnl_raise_cause(lua_State *L, qnl_task_t *t, qnl_scope_t *cause);
void qnl_co_forget_scopes(qnl_co_t *co);
/* From now on `co` runs in `to` (NULL: its task has ended): its scopes count there. */
void qnl_co_move(qnl_co_t *co, qnl_task_t *to);

/* nursery.c */
void qnl_nursery_init(qnl_nursery_t *n, qnl_task_t *owner);
void qnl_nursery_child_ended(lua_State *L, qnl_nursery_t *n, qnl_task_t *child);
/* An explicit one that is being cancelled: what is spawned in it is cancelled at once. */
bool qnl_nursery_is_cancelled(const qnl_nursery_t *n);
void qnl_nursery_cancel(lua_State *L, qnl_nursery_t *n, int reason_idx);
/* Nobody can wait for this explicit nursery any more: its children are cancelled and become those
 * of the task that opened it, or of the runtime. */
void qnl_nursery_abandon(lua_State *L, qnl_scope_t *s);
/* Whether a group that `co` has open waits for `t`, directly or not: then `t` cannot become its
 * owner. */
bool qnl_co_is_awaited_by(const qnl_co_t *co, const qnl_task_t *t);
void qnl_nursery_set_owner(qnl_scope_t *s, qnl_task_t *owner);
/* Hands the live children of `from` over to `to` and cancels them. */
void qnl_nursery_adopt(lua_State *L, qnl_nursery_t *from, qnl_nursery_t *to);
/* The innermost open nursery of the running coroutine, or its task's own, or the root. */
qnl_nursery_t *qnl_innermost_nursery(qnl_state_t *G);

/* await.c */
/* A coroutine that waits was resumed by somebody else: it waits on. */
int qnl_wait_on(lua_State *L, qnl_co_t *co, lua_KContext ctx, lua_KFunction k);
static inline bool qnl_resumed_by_us(const lua_State *L, const qnl_state_t *G)
{
  return G->running != NULL && G->running->L == L;
}
/* The wait that is being prepared or under way ends without its results: gives back what it holds.
 * For who ends a coroutine from outside; its stack must still be there. */
void qnl_abandon(qnl_task_t *t);

/* Whether what runs on L waits by turning the loop itself: the main thread outside of tasks, and
 * <close> variables of a coroutine that qnl_stop closes. */
static inline bool qnl_is_blocking(const lua_State *L, const qnl_state_t *G)
{
  return G->running == NULL && (L == G->L || G->closing_task != NULL);
}
/* Whether a finalizer is at work on L. */
bool qnl_in_finalizer(lua_State *L);
/* Raises not_yieldable when what runs on L cannot wait now. */
void qnl_check_yieldable(lua_State *L, qnl_state_t *G, const char *op);

/* coroutine.c */
qnl_co_t *qnl_co_of(lua_State *L, lua_State *co, bool create);
/* The task has ended: its thread, where user code has it, is that of a dead coroutine. */
void qnl_co_task_ended(lua_State *L, qnl_task_t *t);
/* Closes what `t` has suspended, the innermost coroutine first, without its own one. */
void qnl_co_close_inner(lua_State *L, qnl_task_t *t, qnl_co_t *until);

/* task.c */
/* Gives the failures that are queued to their handler; raises nothing. */
void qnl_flush_unhandled(qnl_state_t *G);
/* Gives the handlers of failures that are under way or queued a while to end. */
void qnl_finish_handlers(qnl_state_t *G, uint64_t grace_ms);

/* run.c */
/* Turns the loop until `t` has ended, qn.exit was called, or nothing can happen any more (then `t`
 * and what is beneath it get a deadlock error and have one more chance). */
void qnl_run_until(qnl_state_t *G, qnl_task_t *t);
/* Once: cancels every task and gives them `grace_ms`, then closes what is left of them from outside
 * and sends what streams still hold. Afterwards nothing runs any more. */
void qnl_stop(qnl_state_t *G, uint64_t grace_ms);
/* One wait for events until `until` (ms), then a turn without waiting: unlike a turn that waits it
 * comes back as soon as something has happened. */
bool qnl_step(qnl_state_t *G, uint64_t until);

/* state.c */
/* Makes the state of `L` with a loop of its own, or one on the host's. Raises. */
qnl_state_t *qnl_state_new(lua_State *L, struct uv_loop_s *uv);
/* Stops, closes all handles and the loop. Functions of qn raise from now on. False: calls in the
 * thread pool were still running, so the loop's memory was left to them. */
bool qnl_state_close(qnl_state_t *G);
/* Where nobody tells us that the Lua state will be closed: the last thing before code of the main
 * thread goes on. Raises when out of memory. */
void qnl_watch_close(lua_State *L, qnl_state_t *G);

/* init.c */
int qnl_forget_modules(lua_State *L);

/* class.c */
void qnl_collect_all(qnl_state_t *G);

/* exit.c */
/* The process ends now: only for standalone states, on the main thread, outside of the loop. */
int qnl_exit_process(qnl_state_t *G);
/* Whether the task has called exit and sleeps for good. */
bool qnl_is_parked(const qnl_task_t *t);

/* interrupt.c */
/* Async-signal-safe. False: an earlier one has not been dealt with. */
bool qnl_interrupt(qnl_state_t *G);
/* Makes an interrupt that came a moment ago reach the coroutine that is about to run. */
void qnl_interrupt_arm(qnl_co_t *co);

#endif

/* await.c: the bridge between operations and coroutines: enter, wait, resume.
 *
 * A waiting method starts its operation on the task's own op and yields; when the op is done the
 * turn resumes the task, and the continuation, running on the task itself, pushes results or
 * raises. The one invariant: nothing that can raise or allocate touches a coroutine that is not
 * running, and lua_resume on a task happens here only.
 */
#include "sched.h"

#include <stdio.h>
#include <string.h>

qn_op_t *qnl_op(qnl_task_t *t) { return &t->op; }
qnl_wait_t *qnl_waiting(qnl_task_t *t) { return &t->wait; }

/* The loop's clock is cut to whole milliseconds: one more makes sure that no time limit comes
 * early. */
uint64_t qnl_from_now(qnl_state_t *G, uint64_t ms)
{
  uint64_t now = ms == QNL_NEVER ? 0 : qn_loop_fresh(G->loop);
  return ms >= QNL_NEVER - now - 1 ? QNL_NEVER : now + ms + (ms != 0);
}

void qnl_wait_for(qnl_task_t *t, uint64_t ms) { t->wait.at = qnl_from_now(t->G, ms); }

/* --- where waiting is impossible ------------------------------------------------------------- */

typedef struct blocker_name {
  const char *library, *name, *fix;
} blocker_name_t;

/* Functions of the standard library that call back and cannot be interrupted. */
static const blocker_name_t blocker_names[] = {
    {"table", "sort", "use qn.sort"},
    {"string", "gsub", "use qn.gsub"},
    {"_G", "require", "use qn.install() or the program qnlua, whose require can wait"},
    {"_G", "tostring", "wait first, then convert"},
    {"string", "format", "wait first, then convert"},
    {"table", "concat", "wait first, then concatenate"},
    {"_G", "print", "wait first, then print"},
    {"_G", "load", "read the chunk first, then load it"},
    {"_G", "xpcall", "a message handler cannot wait: return from it first"},
    {"coroutine", "wrap", "use qn.install() or the program qnlua, whose coroutines can wait"},
    {"coroutine", "resume", "use qn.install() or the program qnlua, whose coroutines can wait"},
    {"_G", "collectgarbage", "a finalizer cannot wait: let a task do it"}};

static const blocker_name_t *name_of_function(lua_State *L)
{
  for (size_t i = 0; i < sizeof blocker_names / sizeof *blocker_names; i++) {
    const blocker_name_t *b = &blocker_names[i];
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    bool same = false;
    if (lua_getfield(L, -1, b->library) == LUA_TTABLE) {
      lua_pushstring(L, b->name);
      lua_rawget(L, -2);
      same = lua_rawequal(L, -1, -4);
      lua_pop(L, 1);
    }
    lua_pop(L, 2);
    if (same) {
      return b;
    }
  }
  return NULL;
}

static bool is_finalizer(const lua_Debug *ar)
{
  return ar->namewhat[0] == 'm' && ar->name != NULL && strcmp(ar->name, "__gc") == 0;
}

bool qnl_in_finalizer(lua_State *L)
{
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar) != 0; level++) {
    lua_getinfo(L, "n", &ar);
    if (is_finalizer(&ar)) {
      return true;
    }
  }
  return false;
}

/* Whether what this C function calls may wait, or it raises what a message handler looks at. */
static bool is_harmless(const lua_Debug *ar)
{
  static const char *const names[] = {"pcall", "dofile", "resume", "wrap", "error", "assert"};
  for (size_t i = 0; ar->name != NULL && i < sizeof names / sizeof *names; i++) {
    if (strcmp(ar->name, names[i]) == 0) {
      return true;
    }
  }
  return false;
}

/* Whether L runs <close> handlers because another coroutine closes it. */
static bool is_being_closed(lua_State *L, const qnl_state_t *G)
{
  lua_Debug ar;
  lua_State *by = G->running != NULL ? G->running->L : L;
  return by != L && lua_getstack(by, 0, &ar) != 0 && lua_getinfo(by, "Sn", &ar) != 0 &&
         *ar.what == 'C' && ar.name != NULL && strcmp(ar.name, "close") == 0;
}

static int not_yieldable(lua_State *L, const char *op)
{
  lua_Debug ar;
  bool found = false; /* the innermost C function that is not known to let waits through */
  const char *name = NULL;
  qnl_state_t *G = qnl_state_of(L);
  if (is_being_closed(L, G)) { /* first: an xpcall of the handler would be blamed for it */
    return qnl_throw(
        L, QN_KIND_NOT_YIELDABLE, "NOT_YIELDABLE",
        "'%s' would wait in a <close> handler beneath coroutine.close, which cannot be "
        "interrupted: let the coroutine end by itself",
        op);
  }
  for (int level = 1; lua_getstack(L, level, &ar) != 0; level++) {
    lua_getinfo(L, "Sfn", &ar);
    if (is_finalizer(&ar)) {
      return qnl_throw(
          L, QN_KIND_NOT_YIELDABLE, "NOT_YIELDABLE",
          "'%s' would wait inside a finalizer (__gc), which cannot wait: let a task do it", op);
    }
    const blocker_name_t *b = *ar.what == 'C' ? name_of_function(L) : NULL;
    lua_pop(L, 1);
    if (b == NULL && !found && *ar.what == 'C' && !is_harmless(&ar)) {
      found = true;
      name = ar.name;
    } else if (b != NULL && strcmp(b->name, "xpcall") == 0 && name != NULL) {
      break; /* its body calls the true one */
    } else if (b != NULL) {
      bool global = strcmp(b->library, "_G") == 0;
      return qnl_throw(L, QN_KIND_NOT_YIELDABLE, "NOT_YIELDABLE",
                       "'%s' would wait beneath %s%s%s, which cannot be interrupted: %s", op,
                       global ? "" : b->library, global ? "" : ".", b->name, b->fix);
    }
  }
  if (L == G->L) {
    return qnl_throw(L, QN_KIND_NOT_YIELDABLE, "NOT_YIELDABLE",
                     "'%s' would wait on the main thread while %s", op,
                     G->own_loop ? "the loop runs: spawn a task for it"
                                 : "the host runs the loop: use qn_runtime_spawn");
  }
  if (qnl_running_task(G) == NULL) {
    return qnl_throw(
        L, QN_KIND_NOT_YIELDABLE, "NOT_YIELDABLE",
        "'%s' would wait in a coroutine outside any task: use qn.run (or the program qnlua)", op);
  }
  if (G->running->L != L) {
    return qnl_throw(
        L, QN_KIND_NOT_YIELDABLE, "NOT_YIELDABLE",
        "'%s' would wait in a coroutine that the scheduler did not resume: use qn.install() "
        "(or the program qnlua), whose coroutine library passes waits through",
        op);
  }
  return qnl_throw(L, QN_KIND_NOT_YIELDABLE, "NOT_YIELDABLE",
                   "'%s' would wait beneath %s%s%sa C function that cannot be interrupted: call it "
                   "from Lua code of the task itself",
                   op, name != NULL ? "'" : "", name != NULL ? name : "",
                   name != NULL ? "', " : "");
}

/* Whether something ends what the task does now. */
static bool must_stop(qnl_task_t *t, qnl_scope_t **cause, uint64_t *limit)
{
  if (t->n_scopes == 0 && t->cancel_at == QNL_NEVER) {
    return false;
  }
  *limit = qnl_limit(t, t->blocking ? &t->co : t->G->running, cause);
  return *limit != QNL_NEVER && *limit <= qn_loop_fresh(t->G->loop);
}

/* --- enter ----------------------------------------------------------------------------------- */

void qnl_check_stop(lua_State *L, qnl_task_t *t)
{
  qnl_scope_t *cause;
  uint64_t limit;
  if (QN_LIKELY(!must_stop(t, &cause, &limit))) {
    return;
  }
  if (cause == NULL && ++t->n_refused > QNL_REFUSALS &&
      qn_loop_fresh(t->G->loop) - limit > QNL_DEFIANCE && !t->blocking) {
    qnl_co_t *co = t->G->running;
    t->doomed = true; /* it swallows its cancellation for ever: qnl_resume closes it */
    t->wait_co = co;
    co->in_wait = true;
    lua_yieldk(L, 0, 0, NULL);
  }
  qnl_raise_cause(L, t, cause);
}

void qnl_check_yieldable(lua_State *L, qnl_state_t *G, const char *op)
{
  qnl_co_t *co = G->running;
  if (QN_UNLIKELY(co == NULL || co->L != L)) {
    not_yieldable(L, op);
    return;
  }
  for (qnl_co_t *c = co; c != NULL; c = c->parent) {
    if (QN_UNLIKELY(!lua_isyieldable(c->L) ||
                    (c->parent == NULL && (co->task == NULL || c != &co->task->co)))) {
      not_yieldable(L, op);
    }
  }
}

qnl_task_t *qnl_enter(lua_State *L, qnl_state_t *G, const char *op)
{
  qnl_task_t *t;
  if (QN_UNLIKELY(!G->closing && qnl_is_blocking(L, G))) {
    t = G->blocker; /* no task: the call itself runs the loop */
    if (!G->own_loop || qn_loop_in_turn(G->loop) || qnl_in_finalizer(L)) {
      not_yieldable(L, op);
    }
  } else {
    qnl_check_yieldable(L, G, op);
    t = G->running->task;
  }
  if (QN_UNLIKELY(G->budget == 0)) {
    return NULL; /* also for what is refused below: others must run meanwhile */
  }
  G->budget--;
  t->wait = (qnl_wait_t){.op = op, .at = QNL_NEVER, .code = QN_E_TIMEOUT};
  qnl_check_stop(L, t);
  return t;
}

/* --- wait ------------------------------------------------------------------------------------ */

void qnl_abandon(qnl_task_t *t)
{
  void (*abandon)(qnl_task_t * t) = t->wait.abandon;
  t->wait.abandon = NULL;
  if (abandon != NULL) {
    abandon(t);
  }
}

/* Raising would unwind the stack on which the operation's memory lies, while it goes on. */
int qnl_wait_on(lua_State *L, qnl_co_t *co, lua_KContext ctx, lua_KFunction k)
{
  lua_settop(L, co->top);
  return lua_yieldk(L, 0, ctx, k);
}

static int await_k(lua_State *L, int status, lua_KContext ctx)
{
  qnl_task_t *t = (qnl_task_t *)ctx;
  (void)status;
  if (QN_UNLIKELY(!t->blocking && !qnl_resumed_by_us(L, t->G))) {
    return qnl_wait_on(L, t->wait_co, ctx, await_k);
  }
  int64_t result = t->op.result;
  qnl_scope_t *cause;
  uint64_t limit;
  if (t->wait.returnable && result >= 0 && must_stop(t, &cause, &limit)) {
    result = QNL_R_CANCEL;
  }
  if (QN_UNLIKELY(result == QNL_R_CANCEL || result == QNL_R_SCOPE)) {
    qnl_abandon(t);
    limit = qnl_limit(t, t->blocking ? &t->co : t->G->running, &cause);
    if (limit > qn_loop_fresh(t->G->loop)) { /* the scope that ended it was closed meanwhile */
      qnl_push_error(
          L, &(qnl_errinfo_t){.code = QN_E_TIMEOUT, .op = t->wait.op, .phase = t->wait.phase});
      return lua_error(L);
    }
    return qnl_raise_cause(L, t, cause);
  }
  t->wait.abandon = NULL;
  return t->wait.push(L, t, result);
}

static void arm(qnl_task_t *t)
{
  uint64_t at = t->wait.at;
  int code = t->wait.code;
  if ((t->n_scopes != 0 || t->cancel_at != QNL_NEVER) && !t->wait.deaf) {
    qnl_scope_t *cause;
    uint64_t limit = qnl_limit(t, t->wait_co, &cause);
    if (limit < at) {
      at = limit;
      code = QNL_R_SCOPE;
    }
  }
  if (at != QNL_NEVER || qn_timer_armed(&t->op.timer)) {
    qn_op_deadline(&t->op, at, code);
  }
}

/* The main thread does not go on after qn.exit. */
static void leave(lua_State *L, qnl_task_t *t)
{
  if (t->G->stock) {
    qnl_exit_process(t->G);
  }
  t->status = QNL_TASK_RUNNING;
  qn_op_forget(&t->op);
  qnl_abandon(t);
  luaL_error(L, "the program is ending");
}

/* The main thread of a stock interpreter or of a C host waits: it runs the loop itself. */
static int block(lua_State *L, qnl_task_t *t)
{
  qnl_state_t *G = t->G;
  t->woken = false;
  t->status = QNL_TASK_WAITING;
  while (!t->woken) {
    bool alive = qn_loop_turn(G->loop, QN_TURN_ONCE);
    if (G->exiting && !G->stopping) { /* a task has called qn.exit */
      leave(L, t);
    }
    if (!alive && !t->woken) {
      t->status = QNL_TASK_RUNNING;
      qn_op_forget(&t->op);
      qnl_abandon(t);
      qnl_push_error(L, &(qnl_errinfo_t){.code = QN_E_DEADLOCK, .op = t->wait.op});
      return lua_error(L);
    }
  }
  t->status = QNL_TASK_RUNNING;
  G->budget = QNL_BUDGET;
  if (G->stock && L == G->L) {
    qnl_watch_close(L, G);
  }
  return await_k(L, LUA_OK, (lua_KContext)t);
}

int qnl_wait(lua_State *L, qnl_task_t *t, qnl_push_fn push)
{
  t->wait.push = push;
  t->seq++;
  if (QN_UNLIKELY(t->blocking)) {
    t->wait_co = &t->co;
    arm(t);
    return block(L, t);
  }
  t->wait_co = t->G->running;
  arm(t);
  t->status = QNL_TASK_WAITING;
  t->wait_co->in_wait = true;
  t->wait_co->top = lua_gettop(L);
  return lua_yieldk(L, 0, (lua_KContext)t, await_k);
}

static int restart_k(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  lua_CFunction fn = (lua_CFunction)ctx;
  qnl_state_t *G = qnl_G(L);
  if (QN_UNLIKELY(!qnl_resumed_by_us(L, G))) {
    for (qn_list_t *node = G->tasks.next; node != &G->tasks; node = node->next) {
      qnl_task_t *t = (qnl_task_t *)(void *)((char *)node - offsetof(qnl_task_t, all));
      if (t->status == QNL_TASK_WAITING && t->wait_co != NULL && t->wait_co->L == L) {
        return qnl_wait_on(L, t->wait_co, ctx, restart_k);
      }
    }
  }
  return fn(L);
}

static void nothing_to_cancel(qn_op_t *op) { (void)op; }

/* Steps back so that others run, then calls the method again from its start (its arguments are
 * still on its stack). */
int qnl_requeue(lua_State *L, lua_CFunction fn)
{
  qnl_state_t *G = qnl_G(L);
  qnl_co_t *co = G->running;
  if (co == NULL) { /* the blocking main thread */
    qn_loop_turn(G->loop, QN_TURN_NOWAIT);
    if (G->exiting && !G->stopping) {
      leave(L, G->blocker);
    }
    G->budget = QNL_BUDGET;
    return fn(L);
  }
  qnl_task_t *t = co->task;
  t->wait.push = NULL;
  t->seq++;
  t->wait_co = co;
  qn_op_begin(&t->op, NULL, nothing_to_cancel);
  qn_op_settle(&t->op, 0);
  t->status = QNL_TASK_WAITING;
  co->in_wait = true;
  co->top = lua_gettop(L);
  return lua_yieldk(L, 0, (lua_KContext)fn, restart_k);
}

void qnl_reconsider(qnl_task_t *t)
{
  if (t->status != QNL_TASK_WAITING || !qn_op_pending(&t->op) || t->wait.deaf ||
      t->wait_co == NULL) {
    return;
  }
  qnl_scope_t *cause;
  uint64_t limit = qnl_limit(t, t->wait_co, &cause);
  if (limit <= qn_loop_fresh(t->G->loop)) {
    qn_op_cancel(&t->op, QNL_R_CANCEL);
    if (t->op.result == QNL_R_CANCEL) { /* others find what it lets go before it runs again */
      qnl_abandon(t);
    }
  } else {
    arm(t);
  }
}

void qnl_wake_op(qn_op_t *op)
{
  qnl_task_t *t = (qnl_task_t *)(void *)((char *)op - offsetof(qnl_task_t, op));
  if (t->blocking) {
    t->woken = true;
    qn_loop_stop(t->G->loop);
    return;
  }
  qnl_resume(t);
}

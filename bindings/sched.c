/* sched.c: the life of a task: spawn, resume, the trampoline, cancel, the end.
 *
 * Called by the turn (through ops and ready items), by nursery.c and task.c. A task's function runs
 * protected beneath a C trampoline whose message handler takes the traceback before unwinding;
 * after it the task waits for its children. Invariant: lua_resume on a task happens in qnl_resume
 * only, and what runs there outside the coroutine neither raises nor allocates.
 */
#include "sched.h"

#include <stdio.h>
#include <string.h>

const char qnl_key_tasks = 0, qnl_key_coroutines = 0, qnl_key_unhandled = 0, qnl_key_traces = 0,
           qnl_key_anchors = 0;

qnl_task_t *qnl_running_task(const qnl_state_t *G)
{
  return G->running != NULL ? G->running->task : NULL;
}

bool qnl_task_ended(const qnl_task_t *t) { return t->status >= QNL_TASK_DONE; }

void qnl_close_thread(lua_State *co, lua_State *from)
{
#if LUA_VERSION_RELEASE_NUM >= 50406
  lua_closethread(co, from);
#elif LUA_VERSION_RELEASE_NUM >= 50405
  lua_resetthread(co, from);
#else
  (void)from;
  lua_resetthread(co);
#endif
}

/* Live tasks are anchored in a registry table until they end; the running code may drop its handle.
 */
void qnl_push_task(lua_State *L, qnl_task_t *t)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_tasks);
  lua_rawgeti(L, -1, t->anchor);
  lua_remove(L, -2);
}

/* A list with free slots (luaL_ref) instead of a map by address: 40 bytes less per task. */
void qnl_task_anchor(lua_State *L, qnl_task_t *t, int idx)
{
  idx = lua_absindex(L, idx);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_tasks);
  lua_pushvalue(L, idx);
  t->anchor = luaL_ref(L, -2);
  lua_pop(L, 1);
}

void qnl_task_unanchor(lua_State *L, qnl_task_t *t)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_tasks);
  luaL_unref(L, -1, t->anchor);
  t->anchor = LUA_NOREF;
  lua_pop(L, 1);
}

#define TASK_OF(node, member) ((qnl_task_t *)(void *)((char *)(node)-offsetof(qnl_task_t, member)))

/* --- tracebacks ------------------------------------------------------------------------------ */

/* Keeps the traceback of the error value beside the task, so that a rethrow does not hide the place
 * of the first raise. The registry's trace table holds {value, text} under the state's address. */
int qnl_message_handler(lua_State *L)
{
  qnl_state_t *G = qnl_state_of(L);
  lua_settop(L, 1);
  if (G == NULL || qnl_is_cancelled(L, 1)) {
    return 1;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
  if (lua_rawgetp(L, 2, G) == LUA_TTABLE) {
    lua_rawgeti(L, 3, 1);
    if (lua_rawequal(L, 1, 4)) { /* the same value again: the first place is the true one */
      lua_settop(L, 1);
      return 1;
    }
  }
  lua_settop(L, 2);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 3, 1);
  luaL_traceback(L, L, NULL, 1);
  lua_rawseti(L, 3, 2);
  lua_rawsetp(L, 2, G);
  lua_settop(L, 1);
  return 1;
}

void qnl_push_trace(lua_State *L, qnl_state_t *G, int idx)
{
  idx = lua_absindex(L, idx);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
  if (lua_rawgetp(L, -1, G) == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    bool same = lua_rawequal(L, -1, idx);
    lua_pop(L, 1);
    if (same) {
      lua_rawgeti(L, -1, 2);
      lua_replace(L, -3);
      lua_pop(L, 1);
      return;
    }
  }
  lua_pop(L, 2);
  lua_pushnil(L);
}

/* --- the trampoline -------------------------------------------------------------------------- */

static void drained(qn_op_t *op) { (void)op; }

/* Groups that its coroutines have left open (a generator that was dropped) end with the task. */
static void close_groups(qnl_task_t *t)
{
  for (qn_list_t *node = t->cos.next; node != &t->cos; node = node->next) {
    qnl_co_t *co = (qnl_co_t *)(void *)((char *)node - offsetof(qnl_co_t, link));
    for (qnl_scope_t *s = co->scopes, *outer; s != NULL; s = outer) {
      outer = s->outer;
      if (s->kind == QNL_SCOPE_NURSERY) {
        qnl_nursery_abandon(t->G->L, s);
      }
    }
  }
}

/* Waits for the children; cancellation of the task reaches them directly and does not end this
 * wait. */
static int drain(lua_State *L, qnl_task_t *t);

static int drain_k(lua_State *L, int status, lua_KContext ctx)
{
  qnl_task_t *t = (qnl_task_t *)ctx;
  (void)status;
  return qnl_resumed_by_us(L, t->G) ? drain(L, t) : qnl_wait_on(L, &t->co, ctx, drain_k);
}

static int drain(lua_State *L, qnl_task_t *t)
{
  qnl_co_forget_scopes(&t->co);
  close_groups(t);
  if (t->own.n_children != 0) {
    if (t->cancel_at != QNL_NEVER && lua_checkstack(L, 8)) { /* those that were born since, too */
      qnl_nursery_cancel(L, &t->own, 0);
    }
    t->own.draining = true;
    t->wait = (qnl_wait_t){.op = "children", .at = QNL_NEVER, .deaf = true};
    t->seq++;
    t->wait_co = &t->co;
    qn_op_begin(&t->op, NULL, drained);
    t->status = QNL_TASK_DRAINING;
    t->co.in_wait = true;
    t->co.top = lua_gettop(L);
    return lua_yieldk(L, 0, (lua_KContext)t, drain_k);
  }
  return lua_gettop(L) - 2;
}

static int body_k(lua_State *L, int status, lua_KContext ctx)
{
  qnl_task_t *t = (qnl_task_t *)ctx;
  if (status != LUA_OK && status != LUA_YIELD) {
    if (qnl_is_cancelled(L, -1)) {
      t->cancelled_body = true;
    } else {
      t->failed_body = true;
      qnl_push_task(L, t);
      if (lua_getiuservalue(L, -1, 3) == LUA_TNIL) { /* else core.report knows better */
        qnl_push_trace(L, t->G,
                       -3); /* nil: no handler ran, the stack or the memory was exhausted */
        lua_setiuservalue(L, -3, 3); /* for task:traceback() */
      }
    }
    lua_settop(L, 3);
    qnl_nursery_cancel(L, &t->own, 0);
  }
  return drain(L, t);
}

/* Stack: the task as light userdata, the function, its arguments. */
static int trampoline(lua_State *L)
{
  qnl_task_t *t = lua_touserdata(L, 1);
  lua_pushcfunction(L, qnl_message_handler);
  lua_insert(L, 2);
  int status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, (lua_KContext)t, body_k);
  return body_k(L, status, (lua_KContext)t);
}

/* In a stock interpreter user code may close the thread of a task (coroutine.running tells it)
 * while an operation uses memory on its stack. Then this is the last to run there. */
static int thread_closed(lua_State *L)
{
  qnl_task_t *t = *(qnl_task_t **)lua_touserdata(L, 1);
  if (!qn_op_idle(&t->op)) { /* else it ends by itself, or by our hand */
    qn_op_forget(&t->op);
    qnl_abandon(t);
    t->own.draining = false;
    t->closed_by_hand = true;
    qn_op_begin(&t->op, NULL, drained);
    qn_op_settle(&t->op, 0);
  }
  return 0;
}

static int guarded_k(lua_State *L, int status, lua_KContext ctx)
{
  (void)status, (void)ctx;
  return lua_gettop(L) - 1;
}

/* The trampoline with a last <close> variable beneath it. */
static int guarded_trampoline(lua_State *L)
{
  qnl_task_t **guard = lua_newuserdatauv(L, sizeof(qnl_task_t *), 0);
  *guard = lua_touserdata(L, 1);
  if (luaL_newmetatable(L, "qn.task.guard")) {
    lua_pushcfunction(L, thread_closed);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_insert(L, 1);
  lua_toclose(L, 1);
  lua_pushcfunction(L, trampoline);
  lua_insert(L, 2);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, guarded_k);
  return guarded_k(L, LUA_OK, 0);
}

/* --- spawn ----------------------------------------------------------------------------------- */

static void note_site(lua_State *L, qnl_task_t *t)
{
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar) != 0; level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline > 0 && strncmp(ar.source, "@qn/", 4) != 0) {
      size_t n = strlen(ar.short_src), room = sizeof t->site - 1; /* the end of a path says most */
      memcpy(t->site, ar.short_src + (n > room ? n - room : 0), n > room ? room : n);
      t->site_line = ar.currentline;
      return;
    }
  }
}

qnl_task_t *qnl_spawn(lua_State *L, qnl_state_t *G, qnl_nursery_t *n, int nargs)
{
  int base = lua_gettop(L) - nargs; /* the function */
  luaL_checkstack(L, 8, "too many arguments");
  if (G->closing) { /* it would be freed without a word while the loop still knows it */
    luaL_error(L, "no task can begin while the Lua state is being closed");
  }
  qnl_task_t *t = lua_newuserdatauv(L, sizeof *t, 3);
  memset(t, 0, sizeof *t);
  t->box = (qnl_box_t){&qnl_class_task, t};
  t->G = G;
  t->cancel_at = QNL_NEVER;
  t->status = QNL_TASK_NEW;
  t->nargs = nargs;
  t->co.task = t;
  qnl_list_init(&t->joiners);
  qnl_list_init(&t->cos);
  qnl_nursery_init(&t->own, t);
  qn_op_init(&t->op, G->loop, qnl_wake_op);
  lua_State *co = lua_newthread(L);
  t->co.L = co;
  lua_setiuservalue(L, -2, 1);
  if (!lua_checkstack(co, nargs + 4)) {
    luaL_error(L, "too many arguments to a task");
  }
  qnl_set_metatable(L, &qnl_class_task);
  qnl_task_anchor(L, t, -1);
  lua_insert(L, base); /* below the function */
  lua_pushcfunction(co, G->installed ? trampoline : guarded_trampoline);
  lua_pushlightuserdata(co, t);
  lua_xmove(L, co, nargs + 1);
  note_site(L, t);
  /* nothing below can fail */
  t->id = G->next_id++;
  qnl_list_append(&G->tasks, &t->all);
  G->n_tasks++;
  G->n_spawned++;
  t->nursery = n;
  qnl_list_append(&n->children, &t->sibling);
  n->n_children++;
  if (n->limit == 0 || n->n_running < n->limit) {
    n->n_running++;
    qnl_task_schedule(t);
  }
  if (qnl_nursery_is_cancelled(n)) {
    qnl_task_cancel(L, t, 0);
  }
  return t;
}

void qnl_task_schedule(qnl_task_t *t)
{
  t->status = QNL_TASK_READY;
  qn_op_begin(&t->op, NULL, drained);
  qn_op_settle(&t->op, 0);
}

/* --- the end --------------------------------------------------------------------------------- */

static void settle_joiners(qnl_task_t *t)
{
  while (t->joiners.next != &t->joiners) {
    qn_list_t *node = t->joiners.next;
    qnl_list_remove(node);
    t->claimed = true;
    qn_op_settle((qn_op_t *)(void *)((char *)node - offsetof(qn_op_t, link)), 0);
  }
}

static void finish(qnl_task_t *t, qnl_status_t status)
{
  qnl_state_t *G = t->G;
  lua_State *L = G->L;
  t->status = (uint8_t)status;
  qn_op_forget(&t->op);
  lua_checkstack(L, 16);
  qnl_co_forget_scopes(&t->co);
  close_groups(t);
  while (t->cos.next != &t->cos) { /* they may outlive it, and run on in another task */
    qnl_co_move((qnl_co_t *)(void *)((char *)t->cos.next - offsetof(qnl_co_t, link)), NULL);
  }
  qnl_nursery_adopt(L, &t->own, &G->root); /* none, unless the coroutine was closed from outside */
  qnl_list_remove(&t->all);
  G->n_tasks--;
  G->n_handlers -= t->is_handler;
  if (t->known_thread) {
    qnl_co_task_ended(L, t);
  }
  if (t->cancel_at != QNL_NEVER) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
    lua_pushnil(L);
    lua_rawsetp(L, -2, t);
    lua_pop(L, 1);
  }
  qnl_push_task(L, t); /* keeps it alive until the end of this function */
  qnl_task_unanchor(L, t);
  if (t == G->until ||
      G->n_tasks == 0) { /* whoever turns the loop for it must not poll once more */
    qn_loop_stop(G->loop);
  }
  settle_joiners(t);
  qnl_nursery_child_ended(L, t->nursery, t);
  lua_pop(L, 1);
}

/* A task that was cancelled before it ran leaves the cancellation as its outcome. */
static void finish_unstarted(qnl_task_t *t)
{
  lua_State *co = t->co.L;
  lua_settop(co, 0);
  lua_rawgetp(co, LUA_REGISTRYINDEX, &qnl_key_traces);
  lua_rawgetp(co, 1, t);
  t->started = true;
  finish(t, QNL_TASK_CANCELLED);
}

static void finish_body(qnl_task_t *t)
{
  finish(t, t->failed_body      ? QNL_TASK_FAILED
            : t->cancelled_body ? QNL_TASK_CANCELLED
                                : QNL_TASK_DONE);
}

/* The coroutine cannot go on (its outcome is on top of its stack): what is left are the children.
 */
static void end_body(qnl_task_t *t)
{
  lua_State *L = t->G->L;
  t->nargs = 1;
  t->body_gone = true;
  t->wait_co = NULL;
  t->co.in_wait = false;
  if (t->own.n_children != 0) {
    lua_checkstack(L, 12);
    qnl_nursery_cancel(L, &t->own, 0);
    t->wait = (qnl_wait_t){.op = "children", .at = QNL_NEVER, .deaf = true};
    t->own.draining = true;
    t->status = QNL_TASK_DRAINING;
    qn_op_begin(&t->op, NULL, drained);
  } else {
    finish_body(t);
  }
}

/* Suspended, and must not be resumed again. */
static void close_body(qnl_task_t *t)
{
  lua_State *co = t->co.L;
  if (t->doomed) {
    qnl_co_close_inner(t->G->L, t, &t->co);
  }
  qnl_close_thread(co, t->G->L);
  lua_settop(co, 0);
  if (t->doomed) {
    t->cancelled_body = true;
    lua_rawgetp(co, LUA_REGISTRYINDEX, &qnl_key_traces);
    lua_rawgetp(co, 1, t);
  } else {
    t->failed_body = true;
    lua_pushliteral(
        co, "attempt to yield from outside a coroutine (a task is suspended only by waiting)");
  }
  end_body(t);
}

void qnl_task_close(qnl_task_t *t)
{
  qn_op_forget(&t->op);
  qnl_abandon(t);
  t->doomed = true;
  if (!t->started || t->body_gone) {
    t->started = true;
    lua_settop(t->co.L, 0);
    lua_pushnil(t->co.L);
    t->cancelled_body = true;
    end_body(t);
  } else {
    close_body(t);
  }
}

void qnl_resume(qnl_task_t *t)
{
  qnl_state_t *G = t->G;
  qnl_co_t *outer = G->running;
  lua_State *co = t->co.L;
  int nargs = 0, nres = 0;
  if (QN_UNLIKELY(t->body_gone)) { /* the last child has ended */
    finish_body(t);
    return;
  }
  if (QN_UNLIKELY(t->closed_by_hand)) {
    t->closed_by_hand = false;
    t->cancelled_body = true;
    lua_settop(co, 0);
    end_body(t);
    return;
  }
  if (QN_UNLIKELY(!t->started)) {
    if (t->cancel_at != QNL_NEVER) {
      finish_unstarted(t);
      return;
    }
    t->started = true;
    nargs = t->nargs + 2;
  }
  if (t->status != QNL_TASK_DRAINING) {
    t->status = QNL_TASK_RUNNING;
  }
  t->co.in_wait = false;
  G->running = &t->co;
  G->budget = QNL_BUDGET;
  G->n_switches++;
  if (QN_UNLIKELY(G->interrupt == QNL_INT_PENDING)) { /* it came while nothing ran */
    qnl_interrupt_arm(&t->co);
  }
  int status = lua_resume(co, G->L, nargs, &nres);
  G->running = outer;
  if (QN_LIKELY(status == LUA_YIELD)) {
    if (QN_UNLIKELY(!t->co.in_wait ||
                    t->doomed)) { /* by other means than a wait of ours, or for good */
      close_body(t);
    }
    return;
  }
  if (QN_UNLIKELY(status != LUA_OK)) { /* the trampoline itself failed: out of memory */
    t->failed_body = true;
    end_body(t);
    return;
  }
  t->nargs = nres;
  finish_body(t);
}

int qnl_push_outcome(lua_State *L, qnl_task_t *t)
{
  lua_State *co = t->co.L;
  int n = t->status == QNL_TASK_DONE ? t->nargs : 1;
  luaL_checkstack(L, n + 2, "too many results");
  qnl_claim(t);
  lua_pushboolean(L, t->status == QNL_TASK_DONE);
  if (t->status != QNL_TASK_DONE && lua_gettop(co) == 0) {
    qnl_push_cancelled(L, 0);
    return 2;
  }
  if (!lua_checkstack(co, n)) {
    luaL_error(L, "too many results");
  }
  int first = lua_gettop(co) - n + 1;
  for (int i = 0; i < n; i++) {
    lua_pushvalue(co, first + i);
  }
  lua_xmove(co, L, n);
  return n + 1;
}

/* --- cancel ---------------------------------------------------------------------------------- */

static void cancel_one(lua_State *L, qnl_task_t *t, int value_idx, uint64_t now)
{
  if (t->cancel_at != QNL_NEVER || qnl_task_ended(t)) {
    return;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
  lua_pushvalue(L, value_idx);
  lua_rawsetp(L, -2, t);
  lua_pop(L, 1);
  t->cancel_at = now;
  if (t->status == QNL_TASK_NEW &&
      t->nursery != NULL) { /* waits for its nursery's limit: end it now */
    t->nursery->n_running++;
    qnl_task_schedule(t);
  } else {
    qnl_reconsider(t);
  }
}

/* Depth first over the tree of tasks without recursion: its depth is the user's. */
static qnl_task_t *next_in_tree(qnl_task_t *root, qnl_task_t *t)
{
  if (t->own.children.next != &t->own.children) {
    return TASK_OF(t->own.children.next, sibling);
  }
  while (t != root) {
    qnl_nursery_t *n = t->nursery;
    if (t->sibling.next != &n->children) {
      return TASK_OF(t->sibling.next, sibling);
    }
    t = n->owner;
  }
  return NULL;
}

void qnl_task_stop(lua_State *L, qnl_task_t *t, int value_idx)
{
  uint64_t now = qn_loop_fresh(t->G->loop);
  value_idx = lua_absindex(L, value_idx);
  for (qnl_task_t *each = t; each != NULL; each = next_in_tree(t, each)) {
    cancel_one(L, each, value_idx, now);
  }
}

void qnl_task_cancel(lua_State *L, qnl_task_t *t, int reason_idx)
{
  if (!qnl_task_ended(t)) {
    qnl_push_cancelled(L, reason_idx);
    qnl_task_stop(L, t, -1);
    lua_pop(L, 1);
  }
}

/* task.c: tasks as Lua sees them: spawn, detach, join, cancel, names, the tree, unhandled errors.
 *
 * The life itself is in sched.c. User values of a task: 1 its thread, 2 its name, 3 the traceback
 * of its failure.
 */
#include "sched.h"

#include <stdio.h>
#include <string.h>

static qnl_task_t *check_task(lua_State *L, int idx) { return qnl_check(L, idx, &qnl_class_task); }

static void push_name(lua_State *L, qnl_task_t *t, int idx)
{
  idx = lua_absindex(L, idx);
  if (lua_getiuservalue(L, idx, 2) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushfstring(L, "task %I", (LUAI_UACINT)t->id);
  }
}

static const char *status_name(const qnl_task_t *t)
{
  static const char *const names[] = {"new",      "ready", "running", "waiting",
                                      "draining", "done",  "failed",  "cancelled"};
  return names[t->status];
}

/* --- spawn, detach --------------------------------------------------------------------------- */

static void check_callable(lua_State *L, int idx)
{
  if (!lua_isfunction(L, idx) && luaL_getmetafield(L, idx, "__call") == LUA_TNIL) {
    luaL_typeerror(L, idx, "function");
  }
  lua_settop(L, lua_gettop(L) - (lua_isfunction(L, idx) ? 0 : 1));
}

static int core_spawn(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  check_callable(L, 1);
  qnl_spawn(L, G, qnl_innermost_nursery(G), lua_gettop(L) - 1);
  return 1;
}

static int core_detach(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  check_callable(L, 1);
  qnl_spawn(L, G, &G->root, lua_gettop(L) - 1)->detached = true;
  return 1;
}

/* --- join ------------------------------------------------------------------------------------ */

enum { MAX_CHAIN = 1000 }; /* of tasks that join each other: how far a circle is looked for */

static void stop_joining(qn_op_t *op) { qnl_list_remove(&op->link); }

static int push_join(lua_State *L, qnl_task_t *t, int64_t result)
{
  (void)t;
  if (result < 0) {
    return qnl_fail(L, (int)result, "join");
  }
  return qnl_push_outcome(L, check_task(L, 1));
}

/* Whether `upper` cannot end before `t` has. */
static bool is_or_is_beneath(const qnl_task_t *t, const qnl_task_t *upper)
{
  for (; t != NULL && t != upper; t = t->nursery != NULL ? t->nursery->owner : NULL) {
  }
  return t != NULL;
}

/* Which task `t` waits for without a limit, or NULL. */
static qnl_task_t *joined_by(const qnl_task_t *t)
{
  bool joins = qn_op_pending(&t->op) && t->op.cancel == stop_joining;
  return joins && !qn_timer_armed(&t->op.timer) ? t->op.owner : NULL;
}

static int task_join(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_task_t *target = check_task(L, 1);
  uint64_t timeout = qnl_seconds(L, 2, QNL_NEVER);
  QNL_ENTER(L, G, t, task_join, "join");
  qnl_task_t *on = target;
  int steps = 0;
  do {
    if (is_or_is_beneath(t, on)) {
      return luaL_error(L, "a task cannot join itself or a task that waits for it to end");
    }
    on = timeout == QNL_NEVER ? joined_by(on) : NULL; /* a limit ends the circle */
  } while (on != NULL && ++steps < MAX_CHAIN);
  if (qnl_task_ended(target)) {
    return qnl_push_outcome(L, target);
  }
  qn_op_begin(&t->op, target, stop_joining);
  qnl_list_append(&target->joiners, &t->op.link);
  qnl_wait_for(t, timeout);
  return qnl_wait(L, t, push_join);
}

/* --- methods --------------------------------------------------------------------------------- */

static int task_cancel(lua_State *L)
{
  qnl_task_t *t = check_task(L, 1);
  lua_settop(L, 2);
  qnl_task_cancel(L, t, lua_isnil(L, 2) ? 0 : 2);
  return 0;
}

static int task_status(lua_State *L)
{
  lua_pushstring(L, status_name(check_task(L, 1)));
  return 1;
}

static int task_name(lua_State *L)
{
  qnl_task_t *t = check_task(L, 1);
  if (!lua_isnoneornil(L, 2)) {
    luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, 2);
  }
  push_name(L, t, 1);
  return 1;
}

/* Where it was spawned: "file.lua:12". */
static void push_site(lua_State *L, const qnl_task_t *t)
{
  if (t->site[0] == 0) {
    lua_pushliteral(L, "?");
  } else {
    lua_pushfstring(L, "%s:%d", t->site, t->site_line);
  }
}

static int task_site(lua_State *L)
{
  push_site(L, check_task(L, 1));
  return 1;
}

/* The innermost coroutine of a waiting task, else its own; for a failed one the traceback of the
 * error. */
static int task_traceback(lua_State *L)
{
  qnl_task_t *t = check_task(L, 1);
  if (t->status == QNL_TASK_FAILED) {
    if (lua_getiuservalue(L, 1, 3) == LUA_TNIL) {
      lua_pushliteral(L, "stack traceback: (none)");
    }
  } else if (qnl_task_ended(t)) {
    lua_pushliteral(L, "stack traceback:\n\t(ended)");
  } else {
    qnl_co_t *co = t->wait_co != NULL && t->status == QNL_TASK_WAITING ? t->wait_co : &t->co;
    luaL_traceback(L, co->L, NULL, t->status == QNL_TASK_RUNNING && co->L == L ? 1 : 0);
  }
  lua_pushliteral(L, "\n\t(spawned at ");
  push_site(L, t);
  lua_pushliteral(L, ")");
  lua_concat(L, 4);
  return 1;
}

static int task_tostring(lua_State *L)
{
  qnl_task_t *t = check_task(L, 1);
  push_name(L, t, 1);
  lua_pushfstring(L, "qn.Task: %s (%s)", lua_tostring(L, -1), status_name(t));
  return 1;
}

/* --- the tree -------------------------------------------------------------------------------- */

#define TASK_OF(node, member) ((qnl_task_t *)(void *)((char *)(node)-offsetof(qnl_task_t, member)))

/* core.tasks() -> list of {id=, parent=id|nil, name=, status=, site=, waiting=, task=} of all live
 * tasks, oldest first; lua/qn/task.lua makes the tree of it. */
static int core_tasks(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  lua_newtable(L);
  lua_Integer i = 0;
  for (qn_list_t *node = G->tasks.next; node != &G->tasks; node = node->next) {
    qnl_task_t *t = TASK_OF(node, all);
    lua_createtable(L, 0, 7);
    qnl_push_task(L, t);
    push_name(L, t, -1);
    lua_setfield(L, -3, "name");
    lua_setfield(L, -2, "task");
    lua_pushinteger(L, (lua_Integer)t->id);
    lua_setfield(L, -2, "id");
    if (t->nursery != NULL && t->nursery->owner != NULL) {
      lua_pushinteger(L, (lua_Integer)t->nursery->owner->id);
      lua_setfield(L, -2, "parent");
    }
    lua_pushstring(L, status_name(t));
    lua_setfield(L, -2, "status");
    push_site(L, t);
    lua_setfield(L, -2, "site");
    if (t->status == QNL_TASK_WAITING && t->wait.op != NULL) {
      lua_pushstring(L, t->wait.op);
      lua_setfield(L, -2, "waiting");
    }
    lua_rawseti(L, -2, ++i);
  }
  return 1;
}

/* core.current() -> the running task, or nil on a main thread without one. */
static int core_current(lua_State *L)
{
  qnl_task_t *t = qnl_running_task(qnl_G(L));
  if (t == NULL) {
    lua_pushnil(L);
  } else {
    qnl_push_task(L, t);
  }
  return 1;
}

static int rethrow(lua_State *L)
{
  lua_settop(L, 1);
  return lua_error(L);
}

/* core.report(err, name): an error that has no task to fail (of an event handler) becomes the
 * failure of a detached one, with the traceback that core.stash took. */
static int core_report(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  qnl_push_trace(L, G, 1);
  lua_pushcfunction(L, rethrow);
  lua_pushvalue(L, 1);
  qnl_spawn(L, G, &G->root, 1)->detached = true;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 2);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 3);
  return 1;
}

/* --- unhandled errors ------------------------------------------------------------------------ */

/* Stack: error value, task. Prints what the default handler prints. */
static int print_unhandled(lua_State *L)
{
  qnl_task_t *t = check_task(L, 2);
  const char *text = luaL_tolstring(L, 1, NULL);
  push_name(L, t, 2);
  lua_getiuservalue(L, 2, 3);
  push_site(L, t);
  fprintf(stderr, "qnlua: unhandled error in %s: %s\n%s\n\t(spawned at %s)\n", lua_tostring(L, -3),
          text, lua_isstring(L, -2) ? lua_tostring(L, -2) : "stack traceback: (none)",
          lua_tostring(L, -1));
  fflush(stderr);
  return 0;
}

static const char key_handler = 0;

/* Stack: error value, task (popped). An error value whose __tostring fails must not hide the
 * failure. */
static void print_safely(lua_State *L, qnl_state_t *G)
{
  G->had_unhandled = true;
  lua_pushcfunction(L, print_unhandled);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    lua_pushcfunction(L, print_unhandled);
    lua_pushfstring(L, "(the error is a %s that cannot be shown)", luaL_typename(L, -3));
    lua_pushvalue(L, -3);
    lua_call(L, 2, 0);
  }
  lua_pop(L, 2);
}

/* Protected: takes the queue and gives each failure to the user's handler (in a task of its own) or
 * to the default one. A handler that fails is reported by the default one; so is everything at the
 * very end, when no task can run any more. */
static int dispatch_unhandled(lua_State *L)
{
  qnl_state_t *G = qnl_state_of(L);
  bool last = lua_toboolean(L, 1);
  lua_settop(L, 0);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_unhandled);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &qnl_key_unhandled);
  for (lua_Integer i = 1; lua_rawgeti(L, 1, i) != LUA_TNIL; i++) {
    qnl_task_t *t = check_task(L, -1);
    lua_State *co = t->co.L;
    bool user =
        lua_rawgetp(L, LUA_REGISTRYINDEX, &key_handler) == LUA_TFUNCTION && !t->is_handler && !last;
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    lua_pushvalue(L, -3);
    if (user) {
      qnl_task_t *handler = qnl_spawn(L, G, &G->root, 2);
      handler->detached = handler->is_handler = true;
      G->n_handlers++;
      lua_pushliteral(L, "on_unhandled");
      lua_setiuservalue(L, -2, 2);
    } else {
      print_safely(L, G);
    }
    lua_settop(L, 1);
  }
  return 0;
}

static void dispatch(qnl_state_t *G, bool last)
{
  lua_pushcfunction(G->L, dispatch_unhandled);
  lua_pushboolean(G->L, last);
  if (lua_pcall(G->L, 1, 0, 0) != LUA_OK) {
    const char *text = lua_tostring(G->L, -1);
    fprintf(stderr, "qnlua: error while reporting an error: %s\n", text != NULL ? text : "?");
    G->had_unhandled = true;
    lua_pop(G->L, 1);
  }
}

static void run_unhandled(qn_ready_t *r)
{
  dispatch((qnl_state_t *)(void *)((char *)r - offsetof(qnl_state_t, unhandled_ready)), false);
}

void qnl_flush_unhandled(qnl_state_t *G)
{
  qn_ready_drop(&G->unhandled_ready);
  dispatch(G, true);
}

void qnl_finish_handlers(qnl_state_t *G, uint64_t grace_ms)
{
  uint64_t end = qn_loop_fresh(G->loop) + grace_ms;
  while ((G->n_handlers > 0 || qn_ready_queued(&G->unhandled_ready)) && !G->exiting &&
         qn_loop_fresh(G->loop) < end) {
    if (!qnl_step(G, end)) {
      break;
    }
  }
}

static int core_on_unhandled(lua_State *L)
{
  if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
  }
  lua_settop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_handler);
  lua_insert(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_handler);
  return 1;
}

/* A failed task that nobody joins is reported when its handle is gone. To notice that soon, collect
 * after a failure, but never for more than a fiftieth of the time. */
static void run_collect(qn_ready_t *r)
{
  qnl_state_t *G = (qnl_state_t *)(void *)((char *)r - offsetof(qnl_state_t, collect_ready));
  uint64_t now = qn_loop_fresh(G->loop);
  if (now < G->collect_after) {
    if (!qn_timer_armed(&G->collect_timer)) {
      qn_timer_start(G->loop, &G->collect_timer, G->collect_after, G->collect_timer.fire);
    }
    return;
  }
  lua_gc(G->L, LUA_GCCOLLECT);
  uint64_t end = qn_loop_fresh(G->loop);
  G->collect_after = end + (end - now) * 50;
}

static void collect_later(qn_timer_t *timer)
{
  qnl_state_t *G = (qnl_state_t *)(void *)((char *)timer - offsetof(qnl_state_t, collect_timer));
  qn_ready_queue(G->loop, &G->collect_ready);
}

static void queue_unhandled_now(lua_State *L, qnl_task_t *t, int idx)
{
  qnl_claim(t);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_unhandled);
  lua_pushvalue(L, idx);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
  qn_ready_queue(t->G->loop, &t->G->unhandled_ready);
}

static int task_gc(lua_State *L)
{
  qnl_task_t *t = lua_touserdata(L, 1);
  qnl_state_t *G = t->G;
  if (t->box.obj == NULL) {
    return 0;
  }
  if (t->status == QNL_TASK_FAILED && !t->claimed && !G->closing) {
    queue_unhandled_now(L, t, 1); /* lives once more, until the report */
    return 0;
  }
  if (!qnl_task_ended(t) &&
      !t->blocking) { /* a live one is anchored: the whole state is being closed */
    G->closing = true;
    qn_op_forget(&t->op);
    if (t->started && t->status != QNL_TASK_RUNNING && !t->body_gone) {
      qnl_co_close_inner(L, t, &t->co); /* nobody awaits it: at least its <close> variables run */
      qnl_close_thread(t->co.L, L);
      lua_settop(t->co.L, 0);
    }
  }
  t->box.obj = NULL;
  qn_op_forget(&t->op);
  qnl_co_forget_scopes(&t->co);
  qnl_claim(t);
  return 0;
}

static const qnl_method_t task_methods[] = {{"join", task_join, 0},
                                            {"cancel", task_cancel, 0},
                                            {"status", task_status, 0},
                                            {"traceback", task_traceback, 0},
                                            {"name", task_name, 0},
                                            {"site", task_site, 0},
                                            {NULL, NULL, 0}};
static const qnl_method_t task_meta[] = {
    {"__tostring", task_tostring, 0}, {"__gc", task_gc, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_task = {.name = "qn.Task", .methods = task_methods, .meta = task_meta};

void qnl_open_sched(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"spawn", core_spawn, 0},
                                           {"detach", core_detach, 0},
                                           {"tasks", core_tasks, 0},
                                           {"current", core_current, 0},
                                           {"on_unhandled", core_on_unhandled, 0},
                                           {"report", core_report, 0},
                                           {NULL, NULL, 0}};
  qn_ready_init(&G->unhandled_ready, run_unhandled);
  qn_ready_init(&G->collect_ready, run_collect);
  G->collect_timer.fire = collect_later;
  qnl_class_register(L, G, &qnl_class_task);
  qnl_setfuncs(L, G, functions);
}

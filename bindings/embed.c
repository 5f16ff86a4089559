/* embed.c: qn/lua.h: runtimes for C hosts and for the program qnlua.
 *
 * Order of the end: cancel tasks, close streams, turn the loop, lua_close, close the loop. The state's
 * own memory is freed last, because finalizers still look at it.
 */
#include "qn/lua.h"

#include "sched.h"

#include <stdlib.h>
#include <string.h>

struct qn_runtime {
  lua_State *L;
  qnl_state_t *G;
  qn_loop_t *loop;
  bool own_state, host_loop;
};

static int open_libraries(lua_State *L)
{
  bool own = lua_toboolean(L, 1), install = lua_toboolean(L, 2);
  if (own) {
    luaL_openlibs(L);
  }
  luaL_requiref(L, "qn.core", luaopen_qn_core, 0);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "qn");
  lua_call(L, 1, 1);
  if (own) {
    lua_pushvalue(L, -1);
    lua_setglobal(L, "qn");
  }
  if (install) {
    lua_getfield(L, -1, "install");
    lua_call(L, 0, 0);
  }
  return 0;
}

qn_runtime_t *qn_runtime_new(const qn_runtime_opts_t *opts)
{
  static const qn_runtime_opts_t none = {0};
  opts = opts != NULL ? opts : &none;
  qn_runtime_t *rt = qn_calloc(1, sizeof *rt);
  if (rt == NULL) {
    return NULL;
  }
  rt->own_state = opts->L == NULL;
  rt->host_loop = opts->uv != NULL;
  rt->L = rt->own_state ? luaL_newstate() : opts->L;
  rt->loop = qn_loop_new(opts->uv);
  if (rt->L == NULL || rt->loop == NULL) {
    goto fail;
  }
  if (rt->own_state) {
    lua_gc(rt->L, LUA_GCGEN, 0, 0);
  }
  rt->G = qnl_state_new(rt->L, rt->loop, !rt->host_loop);
  if (rt->G == NULL) {
    goto fail;
  }
  lua_pushcfunction(rt->L, open_libraries);
  lua_pushboolean(rt->L, rt->own_state);
  lua_pushboolean(rt->L, !opts->keep_globals);
  if (lua_pcall(rt->L, 2, 0, 0) != LUA_OK) {
    lua_writestringerror("qn_runtime_new: %s\n", luaL_tolstring(rt->L, -1, NULL));
    lua_pop(rt->L, 2);
    goto fail;
  }
  return rt;
fail:
  if (rt->own_state && rt->L != NULL) {
    lua_close(rt->L);
  }
  if (rt->loop != NULL) {
    qn_loop_free(rt->loop);
  }
  qn_free(rt->G);
  qn_free(rt);
  return NULL;
}

lua_State *qn_runtime_state(qn_runtime_t *rt) { return rt->L; }

/* --- running --------------------------------------------------------------------------------- */

/* Protected: function and arguments -> task. */
static int spawn_root(lua_State *L)
{
  qnl_state_t *G = qnl_state_of(L);
  qnl_spawn(L, G, &G->root, lua_gettop(L) - 1);
  return 1;
}

int qn_runtime_spawn(qn_runtime_t *rt, int nargs)
{
  lua_State *L = rt->L;
  lua_pushcfunction(L, spawn_root);
  lua_insert(L, -(nargs + 2));
  int status = lua_pcall(L, nargs + 1, 1, 0);
  if (status == LUA_OK) {
    ((qnl_task_t *)qnl_test(L, -1, &qnl_class_task))->detached = true;
    lua_pop(L, 1);
  }
  return status;
}

/* Protected: the ended task -> its outcome. */
static int take_outcome(lua_State *L)
{
  qnl_task_t *t = qnl_check(L, 1, &qnl_class_task);
  if (!qnl_task_ended(t)) {
    return luaL_error(L, "the program is ending");
  }
  int n = qnl_push_outcome(L, t);
  if (!lua_toboolean(L, -n)) {
    if (lua_getiuservalue(L, 1, 3) == LUA_TSTRING && lua_type(L, -2) == LUA_TSTRING) {
      lua_pushliteral(L, "\n");
      lua_insert(L, -2);
      lua_concat(L, 3); /* message and traceback */
    } else {
      lua_pop(L, 1);
    }
    return lua_error(L);
  }
  return n - 1;
}

int qn_runtime_call(qn_runtime_t *rt, int nargs, int nres)
{
  lua_State *L = rt->L;
  qnl_state_t *G = rt->G;
  if (G->running != NULL || rt->host_loop) {
    lua_pop(L, nargs + 1);
    lua_pushstring(L, rt->host_loop ? "the host runs the loop: use qn_runtime_spawn"
                                    : "qn_runtime_call inside a task: call the function itself");
    return LUA_ERRRUN;
  }
  lua_pushcfunction(L, spawn_root);
  lua_insert(L, -(nargs + 2));
  int status = lua_pcall(L, nargs + 1, 1, 0);
  if (status != LUA_OK) {
    return status;
  }
  qnl_task_t *t = qnl_test(L, -1, &qnl_class_task);
  t->claimed = true;
  qnl_task_t *outer = G->main_task;
  G->main_task = t;
  qnl_run_until(G, t);
  qnl_finish_handlers(G, 5000);
  G->main_task = outer;
  lua_pushcfunction(L, take_outcome);
  lua_insert(L, -2);
  return lua_pcall(L, 1, nres, 0);
}

int qn_runtime_dofile(qn_runtime_t *rt, const char *path)
{
  int status = luaL_loadfile(rt->L, path);
  return status != LUA_OK ? status : qn_runtime_call(rt, 0, 0);
}

int qn_runtime_dostring(qn_runtime_t *rt, const char *code)
{
  int status = luaL_loadstring(rt->L, code);
  return status != LUA_OK ? status : qn_runtime_call(rt, 0, 0);
}

bool qn_runtime_run(qn_runtime_t *rt, qn_run_mode_t mode)
{
  qnl_state_t *G = rt->G;
  do {
    bool alive = qn_loop_turn(rt->loop, mode == QN_RUN_NOWAIT ? QN_TURN_NOWAIT : QN_TURN_ONCE);
    if (!alive && mode == QN_RUN_UNTIL_DONE) {
      break;
    }
  } while (mode == QN_RUN_UNTIL_DONE && G->n_tasks > 0 && !G->exiting);
  return G->n_tasks > 0 && !G->exiting;
}

int qn_runtime_fd(qn_runtime_t *rt) { return qn_loop_fd(rt->loop); }
int qn_runtime_timeout(qn_runtime_t *rt) { return qn_loop_timeout(rt->loop); }
bool qn_runtime_step(qn_runtime_t *rt) { return qn_runtime_run(rt, QN_RUN_NOWAIT); }

bool qn_runtime_exiting(qn_runtime_t *rt, int *status)
{
  if (status != NULL && rt->G->exiting) {
    *status = rt->G->exit_status;
  }
  return rt->G->exiting;
}

bool qn_runtime_failed(qn_runtime_t *rt) { return rt->G->had_unhandled; }

/* --- interruption ---------------------------------------------------------------------------- */

/* Runs as a hook at the next instruction of whatever Lua code is running. */
static void interrupt_hook(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  qnl_state_t *G = qnl_state_of(L);
  if (G->interrupted) {
    G->interrupted = false;
    lua_pushliteral(L, "interrupted");
    if (G->main_task != NULL && !qnl_task_ended(G->main_task)) {
      qnl_task_cancel(L, G->main_task, -1);
    }
    qnl_push_cancelled(L, -1);
    lua_error(L);
  }
}

void qn_runtime_interrupt(qn_runtime_t *rt)
{
  qnl_state_t *G = rt->G;
  G->interrupted = true;
  qnl_co_t *co = G->running;
  if (co != NULL) {
    lua_sethook(co->L, interrupt_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  }
  qn_loop_wakeup(rt->loop);
}

/* --- the end --------------------------------------------------------------------------------- */

bool qn_runtime_shutdown(qn_runtime_t *rt, double grace)
{
  qnl_state_t *G = rt->G;
  if (!rt->host_loop) {
    qnl_shutdown(G, grace > 0 ? (uint64_t)(grace * 1000) : 0);
  }
  if (rt->own_state) {
    G->closing = true;
    lua_close(rt->L);
  } else {
    lua_gc(rt->L, LUA_GCCOLLECT);
    lua_gc(rt->L, LUA_GCCOLLECT);
    G->closing = true;
  }
  bool fine = !G->had_unhandled;
  qn_timer_stop(rt->loop, &G->collect_timer);
  qn_ready_drop(&G->unhandled_ready);
  qn_ready_drop(&G->collect_ready);
  qn_ready_drop(&G->emit_ready);
  qn_loop_free(rt->loop);
  if (rt->own_state) {
    qn_free(G);
  }
  qn_free(rt);
  return fine;
}

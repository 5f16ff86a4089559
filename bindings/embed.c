/* embed.c: qn/lua.h: runtimes for C hosts and for the program qnlua.
 *
 * Order of the end: cancel tasks, close streams, turn the loop (qnl_stop), then lua_close, whose
 * last finalizer closes the loop; in a host's state qnl_state_close does that part. Nothing here
 * may raise through the host: whatever touches Lua runs protected. Invariant: rt->G is NULL once
 * the state has gone.
 */
#include "qn/lua.h"

#include "sched.h"

#include <string.h>
#include <sys/random.h>

struct qn_runtime {
  lua_State *L;
  qnl_state_t *G;
  bool own_state, host_loop, installed;
};

static const char key_traceback = 0;

typedef struct setup {
  qn_runtime_t *rt;
  const qn_runtime_opts_t *opts;
} setup_t;

/* Lua seeds math.random from the time and an address: where the system gives the same addresses to
 * every process, programs that begin in the same second would have the same numbers. The kernel's
 * do not repeat. */
static void seed_random(lua_State *L)
{
  lua_Integer seed[2];
  if (getrandom(seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
    return; /* early at boot: Lua's own seed has to do */
  }
  lua_getglobal(L, LUA_MATHLIBNAME);
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, seed[0]);
  lua_pushinteger(L, seed[1]);
  lua_call(L, 2, 0);
  lua_pop(L, 1);
}

/* Protected. */
static int set_up(lua_State *L)
{
  setup_t *s = lua_touserdata(L, 1);
  qn_runtime_t *rt = s->rt;
  if (qnl_state_of(L) != NULL) {
    return luaL_error(L, "the state has a runtime already");
  }
  if (rt->own_state) {
    if (s->opts->ignore_env) {
      lua_pushboolean(L, 1);
      lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    }
    luaL_openlibs(L);
    seed_random(L);
  }
  rt->G = qnl_state_new(L, s->opts->uv);
  rt->G->owner = &rt->G;
  luaL_requiref(L, "qn.core", luaopen_qn_core, 0);
  if (lua_getglobal(L, "require") != LUA_TFUNCTION) {
    return luaL_error(L, "the state needs Lua's standard libraries");
  }
  lua_pushliteral(L, "qn");
  lua_call(L, 1, 1);
  if (rt->own_state) {
    lua_pushvalue(L, -1);
    lua_setglobal(L, "qn");
  } else {
    qnl_watch_close(L, rt->G);
  }
  if (rt->own_state ? !s->opts->keep_globals : s->opts->install) {
    lua_getfield(L, -1, "install");
    lua_call(L, 0, 0);
    rt->installed = true;
  }
  return 0;
}

static void report(lua_State *L)
{
  const char *text = lua_tostring(L, -1);
  lua_writestringerror("qn_runtime_new: %s\n", text != NULL ? text : "an error that is no string");
  lua_pop(L, 1);
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
  if (rt->L == NULL) {
    qn_free(rt);
    return NULL;
  }
  if (rt->own_state) {
    lua_gc(rt->L, LUA_GCGEN, 0, 0);
  }
  setup_t s = {rt, opts};
  lua_pushcfunction(rt->L, set_up);
  lua_pushlightuserdata(rt->L, &s);
  if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) {
    report(rt->L);
    qn_runtime_shutdown(rt, 0);
    return NULL;
  }
  return rt;
}

lua_State *qn_runtime_state(qn_runtime_t *rt)
{
  return rt->own_state || rt->G != NULL ? rt->L : NULL;
}

/* --- running --------------------------------------------------------------------------------- */

/* Protected: function and arguments -> task. */
static int spawn_root(lua_State *L)
{
  qnl_state_t *G = qnl_state_of(L);
  qnl_spawn(L, G, &G->root, lua_gettop(L) - 1);
  return 1;
}

static int refuse(lua_State *L, int nargs, const char *why)
{
  lua_pop(L, nargs + 1);
  lua_pushstring(L, why);
  return LUA_ERRRUN;
}

int qn_runtime_spawn(qn_runtime_t *rt, int nargs)
{
  lua_State *L = rt->L;
  if (rt->G->stopping || rt->G->exiting) {
    return refuse(L, nargs, "the runtime has been stopped");
  }
  lua_pushcfunction(L, spawn_root);
  lua_insert(L, -(nargs + 2));
  int status = lua_pcall(L, nargs + 1, 1, 0);
  if (status == LUA_OK) {
    ((qnl_task_t *)qnl_test(L, -1, &qnl_class_task))->detached = true;
    lua_pop(L, 1);
  }
  return status;
}

/* Protected: the task -> its results, or its error, raised. */
static int take_outcome(lua_State *L)
{
  qnl_task_t *t = qnl_check(L, 1, &qnl_class_task);
  if (t->G->exiting) {
    return luaL_error(L, "the program is ending");
  }
  if (!qnl_task_ended(t)) {
    return luaL_error(L, "every task waits and nothing can wake one");
  }
  int n = qnl_push_outcome(L, t);
  if (!lua_toboolean(L, -n)) {
    lua_getiuservalue(L, 1, 3);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_traceback);
    return lua_error(L);
  }
  return n - 1;
}

static void forget_traceback(lua_State *L)
{
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_traceback);
}

int qn_runtime_call(qn_runtime_t *rt, int nargs, int nres)
{
  lua_State *L = rt->L;
  qnl_state_t *G = rt->G;
  forget_traceback(L);
  if (rt->host_loop) {
    return refuse(L, nargs, "the host runs the loop: use qn_runtime_spawn");
  }
  if (G->running != NULL || qn_loop_in_turn(G->loop)) {
    return refuse(L, nargs, "qn_runtime_call inside a task: call the function itself");
  }
  if (G->stopping || G->exiting) {
    return refuse(L, nargs, "the runtime has been stopped");
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

const char *qn_runtime_traceback(qn_runtime_t *rt)
{
  lua_rawgetp(rt->L, LUA_REGISTRYINDEX, &key_traceback);
  const char *text = lua_tostring(rt->L, -1); /* the registry keeps it */
  lua_pop(rt->L, 1);
  return text;
}

int qn_runtime_dofile(qn_runtime_t *rt, const char *path)
{
  forget_traceback(rt->L);
  int status = luaL_loadfile(rt->L, path);
  return status != LUA_OK ? status : qn_runtime_call(rt, 0, 0);
}

int qn_runtime_dostring(qn_runtime_t *rt, const char *code)
{
  forget_traceback(rt->L);
  int status = luaL_loadstring(rt->L, code);
  return status != LUA_OK ? status : qn_runtime_call(rt, 0, 0);
}

bool qn_runtime_run(qn_runtime_t *rt, qn_run_mode_t mode)
{
  qnl_state_t *G = rt->G;
  do {
    bool alive = qn_loop_turn(G->loop, mode == QN_RUN_NOWAIT ? QN_TURN_NOWAIT : QN_TURN_ONCE);
    if (!alive && mode == QN_RUN_UNTIL_DONE) {
      break;
    }
  } while (mode == QN_RUN_UNTIL_DONE && G->n_tasks > 0 && !G->exiting);
  return G->n_tasks > 0 && !G->exiting;
}

int qn_runtime_fd(qn_runtime_t *rt) { return qn_loop_fd(rt->G->loop); }
int qn_runtime_timeout(qn_runtime_t *rt) { return qn_loop_timeout(rt->G->loop); }
bool qn_runtime_step(qn_runtime_t *rt) { return qn_runtime_run(rt, QN_RUN_NOWAIT); }

bool qn_runtime_exiting(qn_runtime_t *rt, int *status)
{
  if (status != NULL && rt->G->exiting) {
    *status = rt->G->exit_status;
  }
  return rt->G->exiting;
}

bool qn_runtime_failed(qn_runtime_t *rt) { return rt->G->had_unhandled; }
bool qn_runtime_interrupt(qn_runtime_t *rt) { return qnl_interrupt(rt->G); }
bool qn_runtime_interrupted(qn_runtime_t *rt) { return rt->G->interrupted_main; }

/* --- the end --------------------------------------------------------------------------------- */

void qn_runtime_stop(qn_runtime_t *rt, double grace)
{
  if (rt->G != NULL) {
    qnl_stop(rt->G, grace > 0 ? grace < 1e6 ? (uint64_t)(grace * 1000) : 1000000000u : 0);
  }
}

/* Protected: globals and modules of a host's state are as before. */
static int take_back(lua_State *L)
{
  if (lua_toboolean(L, 1)) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "qn.install");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "uninstall");
    lua_call(L, 0, 0);
  }
  lua_pushcfunction(L, qnl_forget_modules);
  lua_call(L, 0, 0);
  return 0;
}

bool qn_runtime_shutdown(qn_runtime_t *rt, double grace)
{
  lua_State *L = rt->L;
  bool whole = true;
  qn_runtime_stop(rt, grace);
  if (rt->own_state) {
    if (rt->G != NULL) {
      rt->G->closing = true;
      rt->G->whole = &whole;
    }
    lua_close(L); /* the guard of state.c closes the loop */
  } else if (rt->G != NULL) {
    lua_pushcfunction(L, take_back);
    lua_pushboolean(L, rt->installed);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
      lua_pop(L, 1);
    }
    rt->G->owner = NULL;
    whole = qnl_state_close(rt->G);
  }
  qn_free(rt);
  return whole;
}

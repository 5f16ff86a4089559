/* b_signal.c: operating-system signals: core.signal("int") -> handle with wait and close. */
#include "qn/signal.h"

#include "sched.h"

#include <string.h>

typedef struct signal_box {
  qnl_box_t box; /* obj = this struct */
  qn_signal_t *s;
  bool closed;
} signal_box_t;

static int push_count(lua_State *L, qnl_task_t *t, int64_t result)
{
  (void)t;
  if (result < 0) {
    return qnl_fail(L, (int)result, "signal");
  }
  lua_pushinteger(L, (lua_Integer)result);
  return 1;
}

/* signal:wait([timeout]) ! -> number of deliveries since the last wait | nil, err */
static int signal_wait(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  const signal_box_t *u = qnl_check(L, 1, &qnl_class_signal);
  uint64_t timeout = qnl_seconds(L, 2, QNL_NEVER);
  QNL_ENTER(L, G, t, signal_wait, "signal");
  int64_t rc = qn_signal_wait(u->s, &t->op);
  if (rc == QN_AGAIN) {
    qnl_wait_for(t, timeout);
    return qnl_wait(L, t, push_count);
  }
  return push_count(L, t, rc);
}

static void signal_class_close(qnl_state_t *G, lua_State *L, void *obj)
{
  signal_box_t *u = obj;
  (void)G, (void)L;
  u->closed = true;
  qn_signal_close(u->s);
}

static int signal_close(lua_State *L)
{
  signal_class_close(qnl_G(L), L, qnl_check(L, 1, &qnl_class_signal));
  return 0;
}

static void signal_collect(qnl_state_t *G, void *obj)
{
  signal_box_t *u = obj;
  (void)G;
  qn_signal_close(u->s);
  qn_signal_release(u->s);
}

static bool signal_is_open(void *obj) { return !((const signal_box_t *)obj)->closed; }

/* core.signal(name | number) -> signal: watches from now on. */
static int core_signal(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  int number;
  if (lua_type(L, 1) == LUA_TNUMBER) {
    lua_Integer n = luaL_checkinteger(L, 1);
    luaL_argcheck(L, n >= 1 && n <= 64, 1, "a signal number is from 1 to 64");
    number = (int)n;
  } else {
    const char *name = luaL_checkstring(L, 1);
    number = qn_signal_number(name);
    luaL_argcheck(L, number != 0, 1, "unknown signal name");
  }
  signal_box_t *u = lua_newuserdatauv(L, sizeof *u, 0);
  *u = (signal_box_t){.box.cls = &qnl_class_signal};
  qnl_set_metatable(L, &qnl_class_signal);
  qnl_note_site(L);
  int rc = qn_signal_open(G->loop, number, &u->s);
  luaL_argcheck(L, rc != QN_E_INVALID, 1, "this signal cannot be watched");
  if (rc < 0) {
    return qnl_fail(L, rc, "signal");
  }
  u->box.obj = u;
  return 1;
}

static const qnl_method_t signal_methods[] = {
    {"wait", signal_wait, 0}, {"close", signal_close, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_signal = {.name = "qn.Signal",
                                .methods = signal_methods,
                                .collect = signal_collect,
                                .is_open = signal_is_open,
                                .close = signal_class_close};

void qnl_open_signal(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"signal", core_signal, 0}, {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_signal);
  qnl_setfuncs(L, G, functions);
}

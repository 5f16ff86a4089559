/* b_notifier.c: qn.notifier: when a foreign descriptor can be read, written, or has something
 * exceptional.
 *
 * `wait` is for users; the events are made in lua/qn/notifier.lua by a task that waits in
 * notifier_watch, so the two never stand in each other's way. The descriptor is never closed here.
 */
#include "qn/notifier.h"

#include "sched.h"

#include <errno.h>
#include <stdio.h>

typedef struct notifier_box {
  qnl_box_t box; /* obj = this struct */
  qn_notifier_t *n;
  qn_op_t *watcher; /* the task that makes the events */
} notifier_box_t;

static const char *const type_names[] = {"read", "write", "exception", NULL};

static notifier_box_t *check(lua_State *L) { return qnl_check(L, 1, &qnl_class_notifier); }

static int fail(lua_State *L, int fd, int code, const char *op)
{
  const char *message = code == -EPERM ? "a file or a directory cannot be watched"
                        : code == -EEXIST
                            ? "there is a notifier of this type for the descriptor already"
                            : NULL;
  char peer[32];
  snprintf(peer, sizeof peer, "descriptor %d", fd);
  return qnl_fail_info(L,
                       &(qnl_errinfo_t){.code = code, .op = op, .peer = peer, .message = message});
}

/* --- waiting --------------------------------------------------------------------------------- */

static int push_result(lua_State *L, qnl_task_t *t, int64_t result)
{
  const notifier_box_t *u = t->wait.obj;
  if (result < 0) {
    return fail(L, qn_notifier_fd(u->n), (int)result, "wait");
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* notifier:wait([timeout]) ! -> true | nil, err */
static int notifier_wait(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  notifier_box_t *u = check(L);
  uint64_t timeout = qnl_seconds(L, 2, QNL_NEVER);
  QNL_ENTER(L, G, t, notifier_wait, "notifier");
  t->wait.obj = u;
  int rc = qn_notifier_wait(u->n, &t->op);
  if (rc == QN_AGAIN) {
    qnl_wait_for(t, timeout);
    return qnl_wait(L, t, push_result);
  }
  return push_result(L, t, rc);
}

static void on_note(qn_notifier_t *n, int err, void *data)
{
  notifier_box_t *u = data;
  (void)n;
  if (u->watcher != NULL) {
    qn_op_t *op = u->watcher;
    u->watcher = NULL;
    qn_op_settle(op, err);
  }
}

static void cancel_watch(qn_op_t *op)
{
  notifier_box_t *u = op->owner;
  u->watcher = NULL;
  qn_notifier_observe(u->n, NULL, NULL);
}

/* core.notifier_watch(notifier, activated) ! -> true | nil, err: for the one task that makes the
 * events. Without `activated` it waits for the end only. */
static int core_notifier_watch(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  notifier_box_t *u = check(L);
  bool activated = lua_toboolean(L, 2);
  QNL_ENTER(L, G, t, core_notifier_watch, "notifier");
  t->wait.obj = u;
  if (qn_notifier_is_closed(u->n) || u->watcher != NULL) {
    return push_result(L, t, u->watcher != NULL ? QN_E_BUSY : QN_E_CLOSED);
  }
  u->watcher = &t->op;
  qn_op_begin(&t->op, u, cancel_watch);
  if (activated) {
    qn_notifier_observe(u->n, on_note, u);
    qn_notifier_resume(u->n);
  }
  return qnl_wait(L, t, push_result);
}

/* --- switches and facts ---------------------------------------------------------------------- */

/* notifier:set_enabled(on) -> true | nil, err */
static int notifier_set_enabled(lua_State *L)
{
  const notifier_box_t *u = check(L);
  luaL_checktype(L, 2, LUA_TBOOLEAN);
  int rc = qn_notifier_set_enabled(u->n, lua_toboolean(L, 2));
  if (rc < 0) {
    return fail(L, qn_notifier_fd(u->n), rc, "set_enabled");
  }
  lua_pushboolean(L, 1);
  return 1;
}

enum { N_ENABLED, N_DESCRIPTOR, N_TYPE, N_CLOSED };

static int notifier_fact(lua_State *L)
{
  const notifier_box_t *u = check(L);
  switch (qnl_magic(L)) {
  case N_ENABLED: lua_pushboolean(L, qn_notifier_is_enabled(u->n)); break;
  case N_DESCRIPTOR: lua_pushinteger(L, qn_notifier_fd(u->n)); break;
  case N_TYPE: lua_pushstring(L, type_names[qn_notifier_type(u->n)]); break;
  default: lua_pushboolean(L, qn_notifier_is_closed(u->n)); break;
  }
  return 1;
}

static int notifier_tostring(lua_State *L)
{
  const notifier_box_t *u = check(L);
  lua_pushfstring(L, "qn.Notifier: %s of descriptor %d%s", type_names[qn_notifier_type(u->n)],
                  qn_notifier_fd(u->n), qn_notifier_is_closed(u->n) ? " (closed)" : "");
  return 1;
}

/* --- life ------------------------------------------------------------------------------------ */

static void class_close(qnl_state_t *G, lua_State *L, void *obj)
{
  notifier_box_t *u = obj;
  (void)G, (void)L;
  qn_notifier_close(u->n);
  if (u->watcher != NULL) {
    qn_op_cancel(u->watcher, QN_E_CLOSED);
  }
}

static int notifier_close(lua_State *L)
{
  class_close(qnl_G(L), L, check(L));
  return 0;
}

static void collect(qnl_state_t *G, void *obj)
{
  notifier_box_t *u = obj;
  class_close(G, NULL, u);
  qn_notifier_release(u->n);
}

static bool is_open(void *obj) { return !qn_notifier_is_closed(((const notifier_box_t *)obj)->n); }

/* A number, or a file of the io library. */
static int check_descriptor(lua_State *L)
{
  const luaL_Stream *file = luaL_testudata(L, 1, LUA_FILEHANDLE);
  if (file != NULL) {
    luaL_argcheck(L, file->closef != NULL, 1, "the file is closed");
    return fileno(file->f);
  }
  lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd < 1 << 30, 1, "a descriptor must not be negative");
  return (int)fd;
}

/* core.notifier(fd | file, "read" | "write" | "exception") -> notifier | nil, err */
static int core_notifier(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  int fd = check_descriptor(L);
  int type = luaL_checkoption(L, 2, NULL, type_names);
  lua_settop(L, 2);
  notifier_box_t *u = lua_newuserdatauv(L, sizeof *u, 1);
  *u = (notifier_box_t){.box.cls = &qnl_class_notifier};
  qnl_set_metatable(L, &qnl_class_notifier);
  lua_pushvalue(L, 1); /* a file stays open as long as it is watched */
  lua_setiuservalue(L, -2, 1);
  qnl_note_site(L);
  int rc = qn_notifier_open(G->loop, fd, (qn_notify_t)type, &u->n);
  if (rc < 0) {
    return fail(L, fd, rc, "notifier");
  }
  u->box.obj = u;
  return 1;
}

static const qnl_method_t methods[] = {{"wait", notifier_wait, 0},
                                       {"set_enabled", notifier_set_enabled, 0},
                                       {"is_enabled", notifier_fact, N_ENABLED},
                                       {"descriptor", notifier_fact, N_DESCRIPTOR},
                                       {"type", notifier_fact, N_TYPE},
                                       {"is_closed", notifier_fact, N_CLOSED},
                                       {"close", notifier_close, 0},
                                       {NULL, NULL, 0}};
static const qnl_method_t meta[] = {{"__tostring", notifier_tostring, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_notifier = {.name = "qn.Notifier",
                                  .methods = methods,
                                  .meta = meta,
                                  .collect = collect,
                                  .is_open = is_open,
                                  .close = class_close};

void qnl_open_notifier(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {
      {"notifier", core_notifier, 0}, {"notifier_watch", core_notifier_watch, 0}, {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_notifier);
  qnl_setfuncs(L, G, functions);
}

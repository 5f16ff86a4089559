/* b_listen.c: listening sockets: listen, accept, pause, facts. serve, each and the graceful close
 * are in lua/qn/server.lua.
 *
 * Accepted connections wait in a bounded queue of the runtime; accept takes the first or waits.
 */
#include "b_tls_accept.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

qnl_listener_t *qnl_check_listener(lua_State *L, int idx)
{
  return qnl_check(L, idx, &qnl_class_listener);
}

enum {
  O_BACKLOG,
  O_MAX_PENDING,
  O_REUSE_PORT,
  O_V6ONLY,
  O_FD,
  O_EXCLUSIVE,
  O_NODELAY,
  O_TLS,
  O_COUNT
};
static const qnl_opt_t listen_desc[O_COUNT] = {
    [O_BACKLOG] = {.name = "backlog", .type = QNL_OPT_INTEGER, .min = 1, .max = 65535},
    [O_MAX_PENDING] = {.name = "max_pending", .type = QNL_OPT_INTEGER, .min = 1, .max = 1 << 20},
    [O_REUSE_PORT] = {.name = "reuse_port", .type = QNL_OPT_BOOL},
    [O_V6ONLY] = {.name = "v6only", .type = QNL_OPT_BOOL},
    [O_FD] = {.name = "fd", .type = QNL_OPT_INTEGER, .min = 0, .max = 1 << 30},
    [O_EXCLUSIVE] = {.name = "exclusive", .type = QNL_OPT_BOOL},
    [O_NODELAY] = {.name = "nodelay", .type = QNL_OPT_BOOL},
    [O_TLS] = {.name = "tls", .type = QNL_OPT_ANY}};

static int open_listener(lua_State *L, const qn_addr_t *a, const qn_listen_opts_t *o, int nodelay)
{
  qnl_state_t *G = qnl_G(L);
  qnl_listener_t *u = lua_newuserdatauv(L, sizeof *u, 0);
  memset(u, 0, sizeof *u);
  u->box.cls = &qnl_class_listener;
  qnl_set_metatable(L, &qnl_class_listener);
  qnl_note_site(L);
  int rc = qn_listener_open(G->loop, a, o, &u->l);
  if (rc == 0 && nodelay >= 0) {
    rc = qn_listener_set_option(u->l, "nodelay", nodelay);
    if (rc < 0) {
      qn_listener_close(u->l);
      qn_listener_release(u->l);
    }
  }
  if (rc < 0) {
    char text[QN_ADDR_TEXT + 8] = "";
    qn_addr_text(a, text, sizeof text);
    return qnl_fail_info(L, &(qnl_errinfo_t){.code = rc, .op = "listen", .peer = text});
  }
  u->box.obj = u;
  return 1;
}

/* A qn.Address or a literal; "*" when there is none. */
static bool listen_address(lua_State *L, int idx, uint16_t port, qn_addr_t *a)
{
  if (lua_isnoneornil(L, idx)) {
    return qn_addr_parse(a, "*", port, QN_FAMILY_ANY) == 0;
  }
  if (qnl_to_address(L, idx, port, QN_FAMILY_ANY, a)) {
    return true;
  }
  return lua_type(L, idx) == LUA_TSTRING && strcmp(lua_tostring(L, idx), "localhost") == 0 &&
         qn_addr_parse(a, "127.0.0.1", port, QN_FAMILY_ANY) == 0;
}

/* The option is set, and not to false: lua/qn/tls/server.lua calls again without it. */
static bool wants_tls(lua_State *L, int idx)
{
  bool wants =
      lua_istable(L, idx) && lua_getfield(L, idx, "tls") != LUA_TNIL && lua_toboolean(L, -1);
  lua_settop(L, idx);
  return wants;
}

/* core.tcp_listen(addr, port [, opts]) -> server | nil, err */
static int core_tcp_listen(lua_State *L)
{
  qnl_opt_value_t v[O_COUNT];
  qn_listen_opts_t o;
  qn_addr_t a;
  uint16_t port = lua_isnoneornil(L, 2) ? 0 : qnl_port(L, 2);
  qnl_opts(L, 3, "listen", listen_desc, O_COUNT, v);
  qn_listen_opts_init(&o);
  if (v[O_BACKLOG].set) {
    o.backlog = (int)v[O_BACKLOG].i;
  }
  if (v[O_MAX_PENDING].set) {
    o.max_pending = (size_t)v[O_MAX_PENDING].i;
  }
  o.reuse_port = v[O_REUSE_PORT].i != 0;
  if (v[O_V6ONLY].set) {
    o.v6only = (int)v[O_V6ONLY].i;
  }
  if (v[O_FD].set) {
    o.fd = (int)v[O_FD].i;
  }
  o.exclusive = v[O_EXCLUSIVE].i != 0;
  if (!listen_address(L, 1, port, &a)) {
    return luaL_argerror(L, 1, "an address literal, \"*\" or \"localhost\" is expected");
  }
  if (v[O_TLS].set && wants_tls(L, 3)) {
    return qnl_tls_call(L, "tcp_listen");
  }
  return open_listener(L, &a, &o, v[O_NODELAY].set ? (int)v[O_NODELAY].i : -1);
}

/* core.unix_listen(path [, opts]) -> server | nil, err */
static int core_unix_listen(lua_State *L)
{
  static const qnl_opt_t desc[] = {
      {.name = "backlog", .type = QNL_OPT_INTEGER, .min = 1, .max = 65535},
      {.name = "max_pending", .type = QNL_OPT_INTEGER, .min = 1, .max = 1 << 20},
      {.name = "mode", .type = QNL_OPT_INTEGER, .min = 0, .max = 0777},
      {.name = "unlink", .type = QNL_OPT_BOOL},
      {.name = "fd", .type = QNL_OPT_INTEGER, .min = 0, .max = 1 << 30},
      {.name = "tls", .type = QNL_OPT_ANY}};
  qnl_opt_value_t v[6];
  qn_listen_opts_t o;
  qn_addr_t a;
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  qnl_opts(L, 2, "listen", desc, 6, v);
  qn_listen_opts_init(&o);
  if (v[0].set) {
    o.backlog = (int)v[0].i;
  }
  if (v[1].set) {
    o.max_pending = (size_t)v[1].i;
  }
  o.unix_mode = v[2].set ? (unsigned)v[2].i : 0;
  o.unlink = v[3].set && v[3].i != 0;
  if (v[4].set) {
    o.fd = (int)v[4].i;
  }
  int rc = qn_addr_unix(&a, path, size);
  luaL_argcheck(L, rc != QN_E_INVALID, 1, "invalid socket name");
  luaL_argcheck(L, rc != QN_E_LIMIT, 1, "socket name too long");
  if (v[5].set && wants_tls(L, 2)) {
    return qnl_tls_call(L, "unix_listen");
  }
  return open_listener(L, &a, &o, -1);
}

/* core.unix_remove(path) -> true | nil, err: a socket file that a dead server has left; nothing
 * else is ever removed. That there is none is no error. */
static int core_unix_remove(lua_State *L)
{
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, size > 0, 1, "the name of a socket expected");
  struct stat st;
  int rc = 0;
  if (path[0] != '@' && path[0] != 0) { /* abstract names leave nothing behind */
    luaL_argcheck(L, strlen(path) == size, 1, "a path must not hold zeros");
    if (lstat(path, &st) < 0) {
      rc = -errno;
    } else if (!S_ISSOCK(st.st_mode)) {
      rc = -ENOTSOCK;
    } else {
      rc = unlink(path) < 0 ? -errno : 0;
    }
  }
  if (rc < 0 && rc != -ENOENT) {
    return qnl_fail_info(L, &(qnl_errinfo_t){.code = rc, .op = "remove", .peer = path});
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- accept ---------------------------------------------------------------------------------- */

int qnl_listener_fail(lua_State *L, qnl_listener_t *u, int code, const char *op)
{
  char text[QN_ADDR_TEXT + 8];
  qn_addr_t a;
  bool known = qn_listener_addr(u->l, &a) == 0 && qn_addr_text(&a, text, sizeof text) > 0;
  return qnl_fail_info(L, &(qnl_errinfo_t){.code = code, .op = op, .peer = known ? text : NULL});
}

/* The empty socket that is to hold the connection is on top of the stack: taking cannot fail. */
static int push_accepted(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *s = t->wait.obj;
  if (result < 0) {
    return qnl_listener_fail(L, qnl_check_listener(L, 1), (int)result, "accept");
  }
  s->s = qn_listener_taken(&t->op);
  s->box.obj = s;
  return 1;
}

/* A connection that came in the moment in which its taker went is the next one's. */
static void abandon_accept(qnl_task_t *t)
{
  qn_stream_t *s = qn_listener_taken(&t->op);
  if (s != NULL) {
    qn_listener_give_back(((qnl_listener_t *)t->wait.a)->l, s);
  }
}

static int listener_accept(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_listener_t *u = qnl_check_listener(L, 1);
  uint64_t timeout = qnl_seconds(L, 2, QNL_NEVER);
  QNL_ENTER(L, G, t, listener_accept, "accept");
  if (u->tls != NULL) {
    return qnl_tls_server_accept(L, t, u, timeout);
  }
  qnl_stream_t *s = qnl_push_stream(L, G, &qnl_class_socket);
  s->box.obj = NULL;
  int rc = qn_listener_accept(u->l, &t->op, &s->s);
  if (rc == 0) {
    s->box.obj = s;
    return 1;
  }
  if (rc == QN_AGAIN) {
    t->wait.obj = s;
    t->wait.a = (intptr_t)u;
    t->wait.abandon = abandon_accept;
    t->wait.returnable = true;
    qnl_wait_for(t, timeout);
    return qnl_wait(L, t, push_accepted);
  }
  return qnl_listener_fail(L, u, rc, "accept");
}

/* --- facts and switches ---------------------------------------------------------------------- */

enum {
  L_ADDRESS,
  L_PORT,
  L_IS_LISTENING,
  L_PENDING,
  L_MAX_PENDING,
  L_PAUSED,
  L_DESCRIPTOR,
  L_STATE
};

static size_t pending(const qnl_listener_t *u)
{
  return u->tls != NULL ? qnl_tls_server_pending(u->tls) : qn_listener_pending(u->l);
}

static int listener_fact(lua_State *L)
{
  qnl_listener_t *u = qnl_check_listener(L, 1);
  bool closed = qn_listener_is_closed(u->l);
  qn_addr_t a;
  switch (qnl_magic(L)) {
  case L_ADDRESS:
    if (qn_listener_addr(u->l, &a) == 0) {
      qnl_push_address(L, qnl_G_raw(L), &a);
    } else {
      lua_pushnil(L);
    }
    break;
  case L_PORT:
    if (qn_listener_addr(u->l, &a) == 0) {
      lua_pushinteger(L, qn_addr_port(&a));
    } else {
      lua_pushnil(L);
    }
    break;
  case L_IS_LISTENING: lua_pushboolean(L, !closed); break;
  case L_PENDING: lua_pushinteger(L, (lua_Integer)pending(u)); break;
  case L_MAX_PENDING: lua_pushinteger(L, (lua_Integer)qn_listener_max_pending(u->l)); break;
  case L_PAUSED: lua_pushboolean(L, qn_listener_paused(u->l)); break;
  case L_STATE:
    lua_pushstring(L, qn_state_name(closed ? QN_STATE_UNCONNECTED : QN_STATE_LISTENING));
    break;
  default: {
    int fd = closed ? -1 : qn_listener_fd(u->l);
    if (fd < 0) {
      lua_pushnil(L);
    } else {
      lua_pushinteger(L, fd);
    }
  }
  }
  return 1;
}

static int listener_error(lua_State *L)
{
  qnl_listener_t *u = qnl_check_listener(L, 1);
  int err = qn_listener_error(u->l);
  if (err == 0) {
    lua_pushnil(L);
    return 1;
  }
  qnl_listener_fail(L, u, err, "accept");
  return 1;
}

/* server:stats() -> table of counts */
static int listener_stats(lua_State *L)
{
  const qnl_listener_t *u = qnl_check_listener(L, 1);
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, (lua_Integer)pending(u));
  lua_setfield(L, -2, "pending");
  if (u->tls != NULL) {
    qnl_tls_server_stats(L, u->tls);
  }
  return 1;
}

/* Magic 1 pause, 0 resume. */
static int listener_pause(lua_State *L)
{
  qn_listener_pause(qnl_check_listener(L, 1)->l, qnl_magic(L) == 1);
  return 0;
}

static int listener_set_max_pending(lua_State *L)
{
  qnl_listener_t *u = qnl_check_listener(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 1 && n <= 1 << 20, 2, "must be from 1 to 1048576");
  qn_listener_set_max_pending(u->l, (size_t)n);
  if (u->tls != NULL) {
    qnl_tls_server_set_max_pending(u->tls, (size_t)n);
  }
  return 0;
}

static int listener_stop(lua_State *L)
{
  qnl_listener_t *u = qnl_check_listener(L, 1);
  qnl_tls_server_close(u->tls);
  qn_listener_close(u->l);
  lua_settop(L, 1);
  qnl_listener_over(L, u);
  qnl_unanchor(L, u->emitter);
  return 0;
}

static int listener_tostring(lua_State *L)
{
  qnl_listener_t *u = qnl_check_listener(L, 1);
  char text[QN_ADDR_TEXT + 8] = "closed";
  qn_addr_t a;
  if (qn_listener_addr(u->l, &a) == 0) {
    qn_addr_text(&a, text, sizeof text);
  }
  lua_pushfstring(L, "qn.Server: %s", text);
  return 1;
}

static bool listener_is_open(void *obj)
{
  return !qn_listener_is_closed(((qnl_listener_t *)obj)->l);
}

static void listener_collect(qnl_state_t *G, void *obj)
{
  qnl_listener_t *u = obj;
  (void)G;
  qnl_listener_forget_events(u);
  qnl_tls_server_free(u->tls);
  u->tls = NULL;
  qn_listener_close(u->l);
  qn_listener_release(u->l);
}

static void listener_class_close(qnl_state_t *G, lua_State *L, void *obj)
{
  qnl_listener_t *u = obj;
  (void)G;
  qnl_tls_server_close(u->tls);
  qn_listener_close(u->l);
  lua_pushvalue(L, 1);
  qnl_listener_over(L, u);
  lua_pop(L, 1);
  qnl_unanchor(L, u->emitter);
}

static const qnl_method_t listener_methods[] = {{"accept", listener_accept, 0},
                                                {"pause", listener_pause, 1},
                                                {"resume", listener_pause, 0},
                                                {"stop", listener_stop, 0},
                                                {"address", listener_fact, L_ADDRESS},
                                                {"port", listener_fact, L_PORT},
                                                {"is_listening", listener_fact, L_IS_LISTENING},
                                                {"pending", listener_fact, L_PENDING},
                                                {"max_pending", listener_fact, L_MAX_PENDING},
                                                {"set_max_pending", listener_set_max_pending, 0},
                                                {"is_paused", listener_fact, L_PAUSED},
                                                {"descriptor", listener_fact, L_DESCRIPTOR},
                                                {"state", listener_fact, L_STATE},
                                                {"error", listener_error, 0},
                                                {"stats", listener_stats, 0},
                                                {NULL, NULL, 0}};
static const qnl_method_t listener_meta[] = {{"__tostring", listener_tostring, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_listener = {.name = "qn.Server",
                                  .methods = listener_methods,
                                  .meta = listener_meta,
                                  .collect = listener_collect,
                                  .is_open = listener_is_open,
                                  .close = listener_class_close};

void qnl_open_listen(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"tcp_listen", core_tcp_listen, 0},
                                           {"unix_listen", core_unix_listen, 0},
                                           {"unix_remove", core_unix_remove, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_listener);
  qnl_setfuncs(L, G, functions);
  qnl_open_tls_accept(L, G);
}

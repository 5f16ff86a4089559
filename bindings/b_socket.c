/* b_socket.c: TCP and Unix-domain sockets: connect, bind, options, addresses, descriptors.
 *
 * A socket is a stream that can be dialled. Options that are set before the connection are kept and
 * applied to every descriptor that is made for it. Listening sockets are in b_listen.c.
 */
#include "b_tls.h"

#include "qn/dial.h"
#include "qn/sockopt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char *const family_names[] = {"any", "ipv4", "ipv6", NULL};

/* "10.0.0.1", "10.0.0.1:4000", "[::1]:4000", "::1" */
static int parse_local(qn_addr_t *a, const char *text, qn_family_t family)
{
  char host[QN_ADDR_TEXT];
  const char *colon = strrchr(text, ':');
  long port = 0;
  size_t n = strlen(text);
  bool bracket = text[0] == '[';
  if (bracket || (colon != NULL && strchr(text, ':') == colon)) {
    const char *end = bracket ? strchr(text, ']') : colon;
    if (end == NULL || (bracket && end[1] != 0 && end[1] != ':')) {
      return QN_E_INVALID;
    }
    const char *digits = bracket ? (end[1] == ':' ? end + 2 : NULL) : colon + 1;
    if (digits != NULL) {
      char *stop;
      if (*digits < '0' || *digits > '9') {
        return QN_E_INVALID;
      }
      port = strtol(digits, &stop, 10);
      if (*stop != 0 || port > 65535) {
        return QN_E_INVALID;
      }
    }
    text += bracket;
    n = (size_t)(end - text);
  }
  if (n >= sizeof host) {
    return QN_E_INVALID;
  }
  memcpy(host, text, n);
  host[n] = 0;
  return qn_addr_parse(a, host, (uint16_t)port, family);
}

/* --- connect --------------------------------------------------------------------------------- */

enum {
  C_TIMEOUT,
  C_BIND,
  C_NODELAY,
  C_KEEPALIVE,
  C_FAMILY,
  C_HAPPY_EYEBALLS,
  C_RESOLVER,
  C_TLS,
  C_COUNT
};
static const qnl_opt_t connect_desc[C_COUNT] = {
    [C_TIMEOUT] = {.name = "timeout", .type = QNL_OPT_SECONDS},
    [C_BIND] = {.name = "bind", .type = QNL_OPT_ANY},
    [C_NODELAY] = {.name = "nodelay", .type = QNL_OPT_BOOL},
    [C_KEEPALIVE] = {.name = "keepalive", .type = QNL_OPT_ANY},
    [C_FAMILY] = {.name = "family", .type = QNL_OPT_ENUM, .names = family_names},
    [C_HAPPY_EYEBALLS] = {.name = "happy_eyeballs", .type = QNL_OPT_BOOL},
    [C_RESOLVER] = {.name = "resolver", .type = QNL_OPT_ANY},
    [C_TLS] = {.name = "tls", .type = QNL_OPT_ANY}};

typedef struct connect_opts {
  uint64_t timeout;
  qn_family_t family;
  bool has_timeout, has_bind, in_order;
  qn_resolver_t *resolver;
  qn_addr_t bind;
  int nodelay,
      keepalive; /* -1 unset; keepalive: 0 off, 1 on, more = seconds of silence before probes */
} connect_opts_t;

/* The option 'bind': a qn.Address, or text with or without a port. */
static void get_bind(lua_State *L, int idx, const char *where, connect_opts_t *o)
{
  lua_getfield(L, idx, "bind");
  size_t size = 0;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
  bool good = text != NULL ? strlen(text) == size && parse_local(&o->bind, text, o->family) == 0
                           : qnl_to_address(L, -1, 0, o->family, &o->bind);
  if (!good) {
    luaL_error(L, "%s: option 'bind' must be an address literal, with or without a port (got '%s')",
               where, luaL_tolstring(L, -1, NULL));
  }
  o->has_bind = true;
  lua_pop(L, 1);
}

static void get_connect_opts(lua_State *L, int idx, const char *where, connect_opts_t *o)
{
  qnl_opt_value_t v[C_COUNT];
  qnl_opts(L, idx, where, connect_desc, C_COUNT, v);
  *o = (connect_opts_t){.timeout = QN_CONNECT_TIMEOUT_DEFAULT_MS, .nodelay = -1, .keepalive = -1};
  if (v[C_TIMEOUT].set) {
    o->has_timeout = true;
    o->timeout = (uint64_t)v[C_TIMEOUT].i;
  }
  static const qn_family_t families[] = {QN_FAMILY_ANY, QN_FAMILY_IPV4, QN_FAMILY_IPV6};
  o->family = families[v[C_FAMILY].i];
  o->in_order = v[C_HAPPY_EYEBALLS].set && v[C_HAPPY_EYEBALLS].i == 0;
  if (v[C_BIND].set) {
    get_bind(L, idx, where, o);
  }
  if (v[C_RESOLVER].set) {
    lua_getfield(L, idx, "resolver");
    o->resolver = qnl_test_resolver(L, -1);
    if (o->resolver == NULL) {
      luaL_error(L, "%s: option 'resolver' must be a qn.Resolver (got %s)", where,
                 luaL_typename(L, -1));
    }
    lua_pop(L, 1);
  }
  if (v[C_NODELAY].set) {
    o->nodelay = (int)v[C_NODELAY].i;
  }
  if (v[C_KEEPALIVE].set) {
    lua_getfield(L, idx, "keepalive");
    if (lua_isboolean(L, -1)) {
      o->keepalive = lua_toboolean(L, -1);
    } else {
      int is_num;
      lua_Number seconds = lua_tonumberx(L, -1, &is_num);
      if (!is_num || lua_type(L, -1) != LUA_TNUMBER || !(seconds >= 1 && seconds <= 32767)) {
        luaL_error(L, "%s: option 'keepalive' must be a boolean or 1 to 32767 seconds", where);
      }
      o->keepalive = (int)seconds + 1;
    }
    lua_pop(L, 1);
  }
}

/* 0 or an error; options are stored, so this cannot fail for lack of a descriptor. */
static int apply(qnl_stream_t *u, const connect_opts_t *o)
{
  int rc = 0;
  if (o->nodelay >= 0) {
    rc = qn_stream_set_option(u->s, "nodelay", o->nodelay);
  }
  if (rc == 0 && o->keepalive >= 0) {
    rc = qn_stream_set_option(u->s, "keepalive", o->keepalive != 0);
  }
  if (rc == 0 && o->keepalive > 1) {
    rc = qn_stream_set_option(u->s, "keepalive_idle", o->keepalive - 1);
  }
  return rc;
}

static void set_name(lua_State *L, qnl_stream_t *u, const char *name)
{
  qn_free(u->name);
  u->name = qn_strdup(name);
  if (u->name == NULL) {
    luaL_error(L, "out of memory");
  }
}

/* "connection refused (::1 ENETUNREACH, 192.0.2.1 ECONNREFUSED, and 3 more)" */
static const char *sum_up(lua_State *L, int code, const qn_dial_failure_t *v, size_t n)
{
  enum { SHOWN = 4 };
  char host[QN_ADDR_TEXT];
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, qn_err_text(code));
  for (size_t i = 0; i < n && i < SHOWN; i++) {
    qn_addr_host(&v[i].address, host, sizeof host);
    luaL_addstring(&b, i == 0 ? " (" : ", ");
    luaL_addstring(&b, host);
    luaL_addchar(&b, ' ');
    luaL_addstring(&b, qn_err_name(v[i].error));
  }
  if (n > SHOWN) {
    snprintf(host, sizeof host, ", and %d more", (int)(n - SHOWN));
    luaL_addstring(&b, host);
  }
  luaL_addchar(&b, ')');
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* The error object on top gets its list of attempts. */
static void add_attempts(lua_State *L, const qn_dial_failure_t *v, size_t n)
{
  char peer[QN_ADDR_TEXT];
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    qn_addr_text(&v[i].address, peer, sizeof peer);
    qnl_push_error(
        L, &(qnl_errinfo_t){.code = v[i].error, .op = "connect", .peer = peer, .phase = "connect"});
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  qnl_error_set(L, "attempts");
}

static int connect_fail(lua_State *L, qnl_stream_t *u, int code, const char *host, int port)
{
  const qn_dial_failure_t *v;
  size_t n = qn_dial_failures(u->s, &v);
  const char *peer = host, *message = NULL;
  if (port >= 0) {
    peer = lua_pushfstring(L, strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, port);
  }
  if (n > 0) {
    message = sum_up(L, code, v, n);
  }
  const char *phase = qn_dial_phase(u->s);
  qn_stream_hold(u->s, false);
  qnl_fail_info(L, &(qnl_errinfo_t){.code = code,
                                    .op = "connect",
                                    .peer = peer,
                                    .message = message,
                                    .phase = *phase != 0 ? phase : "connect"});
  if (n > 0) {
    add_attempts(L, v, n);
  }
  return 2;
}

/* Results of socket:connect (wait.b == 0: true) and of the connect functions (wait.b = index of the
 * new socket on the stack). */
static int push_connected(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *u = t->wait.obj;
  int port = (int)t->wait.a;
  if (result < 0) {
    int host = t->wait.b != 0 ? 1 : 2;
    return connect_fail(L, u, (int)result, lua_tostring(L, host), port);
  }
  if (t->wait.b == 0) {
    lua_pushboolean(L, 1);
  } else {
    lua_pushvalue(L, (int)t->wait.b);
  }
  return 1;
}

/* A connect function that is cancelled leaves nothing behind: the half-made socket was its own. */
static void abandon_connect(qnl_task_t *t)
{
  qn_stream_t *s = ((qnl_stream_t *)t->wait.obj)->s;
  qn_stream_hold(s, false);
  if (t->wait.b != 0) {
    qn_stream_abort(s);
  }
}

/* What core.hold is: the argument of lua/qn/tls/socket.lua, which is going to push a layer. */
static const char key_hold = 0;

static bool is_held(lua_State *L, int idx) { return lua_touserdata(L, idx) == &key_hold; }

/* `hold`: nothing passes until the layer is there that the caller is going to push. */
static int start(lua_State *L, qnl_task_t *t, qnl_stream_t *u, const qn_dial_opts_t *d, int port,
                 int result_idx, bool hold)
{
  t->wait.obj = u;
  t->wait.a = port;
  t->wait.b = result_idx;
  t->wait.phase = "connect";
  qn_stream_hold(u->s, hold);
  int rc = qn_dial(u->s, d, &t->op);
  if (rc == QN_AGAIN) {
    if (result_idx == 0) {
      qnl_anchor_observed(L, u, 1);
    }
    t->wait.abandon = abandon_connect;
    return qnl_wait(L, t, push_connected);
  }
  return push_connected(L, t, rc);
}

static qn_dial_opts_t dial_opts(const connect_opts_t *o, const char *host, uint16_t port)
{
  return (qn_dial_opts_t){.host = host,
                          .port = port,
                          .family = o->family,
                          .bind = o->has_bind ? &o->bind : NULL,
                          .resolver = o->resolver,
                          .in_order = o->in_order,
                          .timeout = o->timeout == QNL_NEVER ? 0
                                     : o->timeout == 0       ? 1
                                                             : o->timeout};
}

static qnl_stream_t *push_socket(lua_State *L, qnl_state_t *G)
{
  qnl_stream_t *u = qnl_push_stream(L, G, &qnl_class_socket);
  u->box.obj = NULL;
  u->s = qn_stream_new(G->loop);
  if (u->s == NULL) {
    luaL_error(L, "out of memory");
  }
  u->box.obj = u;
  return u;
}

/* A host name, a literal, or a qn.Address, which becomes its text. */
static const char *check_host(lua_State *L, int idx)
{
  if (qnl_test(L, idx, &qnl_class_address) != NULL) {
    luaL_tolstring(L, idx, NULL);
    lua_replace(L, idx);
  }
  return qnl_host(L, idx);
}

/* The resolver stays alive as long as its handle lies on the waiting stack. */
static void pin_resolver(lua_State *L, int idx, const connect_opts_t *o)
{
  if (o->resolver != NULL) {
    lua_getfield(L, idx, "resolver");
  }
}

/* Whether the options ask for TLS: then lua/qn/tls/socket.lua does the whole, and calls again
 * without that option. */
static bool wants_tls(lua_State *L, int idx)
{
  if (!lua_istable(L, idx)) {
    return false;
  }
  lua_getfield(L, idx, "tls");
  bool wants = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return wants;
}

/* core.tcp_connect(host, port [, opts [, hold]]) ! -> socket | nil, err */
static int core_tcp_connect(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  connect_opts_t o;
  lua_settop(L, 4);
  const char *host = check_host(L, 1);
  uint16_t port = qnl_port(L, 2);
  get_connect_opts(L, 3, "connect", &o);
  if (wants_tls(L, 3)) {
    return qnl_tls_call(L, "tcp_connect");
  }
  QNL_ENTER(L, G, t, core_tcp_connect, "connect");
  pin_resolver(L, 3, &o);
  qnl_stream_t *u = push_socket(L, G);
  set_name(L, u, host);
  int rc = apply(u, &o);
  if (rc < 0) {
    return connect_fail(L, u, rc, host, port);
  }
  qn_dial_opts_t d = dial_opts(&o, host, port);
  return start(L, t, u, &d, port, lua_gettop(L), is_held(L, 4));
}

/* core.unix_connect(path [, opts [, hold]]) ! -> socket | nil, err */
static int core_unix_connect(lua_State *L)
{
  static const qnl_opt_t desc[] = {{.name = "timeout", .type = QNL_OPT_SECONDS},
                                   {.name = "tls", .type = QNL_OPT_ANY}};
  qnl_opt_value_t v[2];
  qnl_state_t *G = qnl_G(L);
  size_t size;
  lua_settop(L, 3);
  const char *path = luaL_checklstring(L, 1, &size);
  qn_addr_t a;
  qnl_opts(L, 2, "connect", desc, 2, v);
  int rc = qn_addr_unix(&a, path, size);
  luaL_argcheck(L, rc != QN_E_INVALID, 1, "invalid socket name");
  luaL_argcheck(L, rc != QN_E_LIMIT, 1, "socket name too long");
  if (wants_tls(L, 2)) {
    return qnl_tls_call(L, "unix_connect");
  }
  QNL_ENTER(L, G, t, core_unix_connect, "connect");
  qnl_stream_t *u = push_socket(L, G);
  set_name(L, u, path[0] == 0 ? path + 1 : path);
  connect_opts_t o = {.timeout = v[0].set ? (uint64_t)v[0].i : QN_CONNECT_TIMEOUT_DEFAULT_MS};
  qn_dial_opts_t d = dial_opts(&o, NULL, 0);
  d.address = &a;
  return start(L, t, u, &d, -1, lua_gettop(L), is_held(L, 3));
}

/* socket:connect(host, port [, opts [, hold]]) ! -> true | nil, err */
static int socket_connect(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  connect_opts_t o;
  qnl_stream_t *u = qnl_check(L, 1, &qnl_class_socket);
  lua_settop(L, 5);
  const char *host = check_host(L, 2);
  uint16_t port = qnl_port(L, 3);
  get_connect_opts(L, 4, "connect", &o);
  if (wants_tls(L, 4)) {
    uint64_t limit = u->timeouts != NULL ? u->timeouts->connect : QN_CONNECT_TIMEOUT_DEFAULT_MS;
    if (limit == QNL_NEVER) {
      lua_pushboolean(L, 0);
    } else {
      lua_pushnumber(L, (lua_Number)limit / 1000);
    }
    return qnl_tls_call(L, "socket_connect");
  }
  if (u->timeouts != NULL && !o.has_timeout) {
    o.timeout = u->timeouts->connect;
  }
  QNL_ENTER(L, G, t, socket_connect, "connect");
  qn_state_t state = qn_stream_state(u->s);
  if (state != QN_STATE_UNCONNECTED && state != QN_STATE_BOUND) {
    return luaL_error(L, "connect: the socket is already %s", qn_state_name(state));
  }
  pin_resolver(L, 4, &o);
  set_name(L, u, host);
  int rc = apply(u, &o);
  if (rc < 0) {
    return connect_fail(L, u, rc, host, port);
  }
  qn_dial_opts_t d = dial_opts(&o, host, port);
  return start(L, t, u, &d, port, 0, is_held(L, 5));
}

/* core.tcp_socket([opts]) -> unconnected socket */
static int core_tcp_socket(lua_State *L)
{
  static const qnl_opt_t desc[] = {{.name = "nodelay", .type = QNL_OPT_BOOL},
                                   {.name = "keepalive", .type = QNL_OPT_BOOL}};
  qnl_opt_value_t v[2];
  qnl_opts(L, 1, "socket", desc, 2, v);
  qnl_stream_t *u = push_socket(L, qnl_G(L));
  connect_opts_t o = {.nodelay = v[0].set ? (int)v[0].i : -1,
                      .keepalive = v[1].set ? (int)v[1].i : -1};
  int rc = apply(u, &o);
  return rc < 0 ? qnl_fail(L, rc, "socket") : 1;
}

/* core.adopt(fd) -> socket | nil, err */
static int core_adopt(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd < 1 << 30, 1, "a descriptor must not be negative");
  struct sockaddr_storage peer;
  socklen_t size = sizeof peer;
  int type = 0;
  socklen_t type_size = sizeof type;
  /* A mistake: what is no connected socket, or one of datagrams, stays open. */
  if (getpeername((int)fd, (struct sockaddr *)&peer, &size) < 0 ||
      getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &type_size) < 0) {
    return qnl_fail(L, -errno, "adopt");
  }
  if (type != SOCK_STREAM) {
    return qnl_fail(L, QN_E_UNSUPPORTED, "adopt");
  }
  qnl_stream_t *u = qnl_push_stream(L, G, &qnl_class_socket);
  u->box.obj = NULL;
  int rc = qn_stream_adopt(G->loop, (int)fd, &u->s);
  if (rc < 0) {
    return qnl_fail(L, rc, "adopt");
  }
  u->box.obj = u;
  return 1;
}

/* --- bind, options, addresses ---------------------------------------------------------------- */

static int socket_bind(lua_State *L)
{
  static const char *const modes[] = {"default", "share", "exclusive", "reuse", NULL};
  static const unsigned flags[] = {0, QN_BIND_SHARE, QN_BIND_EXCLUSIVE, QN_BIND_REUSE_HINT};
  qnl_stream_t *u = qnl_check(L, 1, &qnl_class_socket);
  uint16_t port = lua_isnoneornil(L, 3) ? 0 : qnl_port(L, 3);
  unsigned mode = flags[luaL_checkoption(L, 4, "default", modes)];
  qn_addr_t a;
  if (lua_isnoneornil(L, 2)) {
    qn_addr_parse(&a, "*", port, QN_FAMILY_ANY);
  } else {
    qnl_check_address(L, 2, port, QN_FAMILY_ANY, &a);
  }
  int rc = qn_stream_bind(u->s, &a, mode);
  if (rc == QN_E_IS_CONNECTED) {
    return luaL_error(L, "bind: the socket is already %s", qn_state_name(qn_stream_state(u->s)));
  }
  if (rc < 0) {
    char peer[QN_ADDR_TEXT + 8];
    qn_addr_text(&a, peer, sizeof peer);
    return qnl_fail_info(L, &(qnl_errinfo_t){.code = rc, .op = "bind", .peer = peer});
  }
  lua_pushboolean(L, 1);
  return 1;
}

static bool known_option(const char *name)
{
  for (const char *const *n = qn_sockopt_names(); *n != NULL; n++) {
    if (strcmp(*n, name) == 0) {
      return true;
    }
  }
  return false;
}

/* option(name) -> integer; option(name, integer | boolean) -> true | nil, err */
static int socket_option(lua_State *L)
{
  qnl_stream_t *u = qnl_check(L, 1, &qnl_class_socket);
  const char *name = luaL_checkstring(L, 2);
  if (!known_option(name)) {
    return qnl_unknown_sockopt(L, name);
  }
  if (lua_isnoneornil(L, 3)) {
    int64_t value = 0;
    int rc = qn_stream_get_option(u->s, name, &value);
    if (rc < 0) {
      return qnl_stream_fail(L, u, rc, "option", NULL);
    }
    lua_pushinteger(L, (lua_Integer)value);
    return 1;
  }
  int64_t value = lua_isboolean(L, 3) ? lua_toboolean(L, 3) : luaL_checkinteger(L, 3);
  int rc = qn_stream_set_option(u->s, name, value);
  if (rc == QN_E_INVALID || rc == -EINVAL) {
    return luaL_argerror(L, 3, lua_pushfstring(L, "bad value for socket option '%s'", name));
  }
  if (rc < 0) {
    return qnl_stream_fail(L, u, rc, "option", NULL);
  }
  lua_pushboolean(L, 1);
  return 1;
}

enum { A_LOCAL_ADDRESS, A_LOCAL_PORT, A_PEER_ADDRESS, A_PEER_PORT };

/* nil while there is none. */
static int socket_address(lua_State *L)
{
  qnl_stream_t *u = qnl_check(L, 1, &qnl_class_socket);
  int what = qnl_magic(L);
  qn_addr_t a;
  int rc = what <= A_LOCAL_PORT ? qn_stream_local_addr(u->s, &a) : qn_stream_peer_addr(u->s, &a);
  if (rc < 0 || a.size == 0) {
    lua_pushnil(L);
  } else if (what == A_LOCAL_PORT || what == A_PEER_PORT) {
    lua_pushinteger(L, qn_addr_port(&a));
  } else {
    qnl_push_address(L, qnl_G_raw(L), &a);
  }
  return 1;
}

static int socket_peer_name(lua_State *L)
{
  qnl_stream_t *u = qnl_check(L, 1, &qnl_class_socket);
  lua_pushstring(L, u->name);
  return 1;
}

static int socket_descriptor(lua_State *L)
{
  qnl_stream_t *u = qnl_check(L, 1, &qnl_class_socket);
  int fd = qn_stream_fd(u->s);
  if (fd < 0) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, fd);
  }
  return 1;
}

static const qnl_method_t socket_methods[] = {{"connect", socket_connect, 0},
                                              {"bind", socket_bind, 0},
                                              {"option", socket_option, 0},
                                              {"local_address", socket_address, A_LOCAL_ADDRESS},
                                              {"local_port", socket_address, A_LOCAL_PORT},
                                              {"peer_address", socket_address, A_PEER_ADDRESS},
                                              {"peer_port", socket_address, A_PEER_PORT},
                                              {"peer_name", socket_peer_name, 0},
                                              {"descriptor", socket_descriptor, 0},
                                              {NULL, NULL, 0}};
qnl_class_t qnl_class_socket = {
    .name = "qn.Socket", .base = &qnl_class_stream, .methods = socket_methods};

void qnl_open_socket(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"tcp_connect", core_tcp_connect, 0},
                                           {"tcp_socket", core_tcp_socket, 0},
                                           {"unix_connect", core_unix_connect, 0},
                                           {"adopt", core_adopt, 0},
                                           {NULL, NULL, 0}};
  lua_pushlightuserdata(L, (void *)(uintptr_t)&key_hold);
  lua_setfield(L, -2, "hold");
  qnl_class_register(L, G, &qnl_class_socket);
  qnl_inherit(L, &qnl_class_socket, &qnl_class_stream);
  qnl_setfuncs(L, G, functions);
}

/* b_udp.c: datagram sockets: making, binding, connecting, the end.
 *
 * qn.udp.bind, qn.udp.connect, request and the events are in lua/qn/udp.lua. Receiving is in
 * b_udp_recv.c, sending in b_udp_send.c, options and multicast in b_udp_facts.c.
 */
#include "b_udp.h"

#include "qn/dns.h"

#include <errno.h>
#include <string.h>

/* --- errors ---------------------------------------------------------------------------------- */

void qnl_udp_push_error(lua_State *L, const qnl_udp_t *u, int code, const char *op,
                        const qn_addr_t *peer)
{
  char text[QN_ADDR_TEXT + 8];
  qn_addr_t a = {0};
  if (peer != NULL && peer->size != 0) {
    a = *peer;
  } else if (qn_udp_peer_addr(u->u, &a) < 0) {
    a.size = 0;
  }
  bool known = a.size != 0 && qn_addr_text(&a, text, sizeof text) > 0;
  const char *phase = code != QN_E_TIMEOUT ? NULL : strcmp(op, "send") == 0 ? "write" : "read";
  qnl_push_error(
      L, &(qnl_errinfo_t){.code = code, .op = op, .peer = known ? text : NULL, .phase = phase});
}

int qnl_udp_fail(lua_State *L, const qnl_udp_t *u, int code, const char *op, const qn_addr_t *peer)
{
  lua_pushnil(L);
  qnl_udp_push_error(L, u, code, op, peer);
  return 2;
}

/* --- events ---------------------------------------------------------------------------------- */

static const char key_dispatcher = 0;

/* Tells the listeners of the socket at `idx`; Lua only queues it. `value` NULL: none. */
static void note(lua_State *L, int idx, const char *event, const char *value)
{
  const qnl_udp_t *u = qnl_test(L, idx, &qnl_class_udp);
  if (u != NULL && u->observed) {
    lua_pushvalue(L, idx);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key_dispatcher) == LUA_TFUNCTION) {
      lua_insert(L, -2);
      lua_pushstring(L, event);
      lua_pushstring(L, value);
      if (lua_pcall(L, 3, 0, 0) == LUA_OK) {
        return;
      }
    } else {
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
}

/* core.udp_observe(socket, on, datagrams) */
static int core_udp_observe(lua_State *L)
{
  qnl_udp_t *u = qnl_check_udp(L, 1);
  u->observed = lua_toboolean(L, 2);
  u->listened = lua_toboolean(L, 3);
  return 0;
}

/* core.udp_set_dispatcher(f) */
static int core_udp_set_dispatcher(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_dispatcher);
  return 0;
}

/* --- making ---------------------------------------------------------------------------------- */

enum {
  O_V6ONLY,
  O_REUSE_PORT,
  O_ERRORS,
  O_GRO,
  O_DETAILS,
  O_FAMILY,
  O_FLAGS, /* how many of the above */
  O_RECEIVE_BUFFER = O_FLAGS,
  O_SEND_BUFFER,
  O_BROADCAST,
  O_TTL,
  O_MULTICAST_TTL,
  O_MULTICAST_LOOPBACK,
  O_COUNT
};
static const char *const family_names[] = {"any", "ipv4", "ipv6", NULL};
static const qnl_opt_t socket_desc[O_COUNT] = {
    [O_V6ONLY] = {.name = "v6only", .type = QNL_OPT_BOOL},
    [O_REUSE_PORT] = {.name = "reuse_port", .type = QNL_OPT_BOOL},
    [O_ERRORS] = {.name = "errors", .type = QNL_OPT_BOOL},
    [O_GRO] = {.name = "gro", .type = QNL_OPT_BOOL},
    [O_DETAILS] = {.name = "details", .type = QNL_OPT_BOOL},
    [O_FAMILY] = {.name = "family", .type = QNL_OPT_ENUM, .names = family_names},
    [O_RECEIVE_BUFFER] = {.name = "receive_buffer",
                          .type = QNL_OPT_INTEGER,
                          .min = 0,
                          .max = INT32_MAX / 2},
    [O_SEND_BUFFER] = {.name = "send_buffer",
                       .type = QNL_OPT_INTEGER,
                       .min = 0,
                       .max = INT32_MAX / 2},
    [O_BROADCAST] = {.name = "broadcast", .type = QNL_OPT_BOOL},
    [O_TTL] = {.name = "ttl", .type = QNL_OPT_INTEGER, .min = 1, .max = 255},
    [O_MULTICAST_TTL] = {.name = "multicast_ttl", .type = QNL_OPT_INTEGER, .min = 0, .max = 255},
    [O_MULTICAST_LOOPBACK] = {.name = "multicast_loopback", .type = QNL_OPT_BOOL}};

static unsigned flags_of(const qnl_opt_value_t *v)
{
  static const unsigned flags[O_FAMILY] = {QN_UDP_V6ONLY, QN_UDP_REUSE_PORT, QN_UDP_ERRORS,
                                           QN_UDP_GRO, QN_UDP_DETAILS};
  unsigned all = 0;
  for (int i = 0; i < O_FAMILY; i++) {
    all |= v[i].i != 0 ? flags[i] : 0;
  }
  return all | (v[O_FAMILY].i == 1 ? QN_UDP_IPV4 : v[O_FAMILY].i == 2 ? QN_UDP_V6ONLY : 0u);
}

static qnl_udp_t *push_udp(lua_State *L)
{
  qnl_udp_t *u = lua_newuserdatauv(L, sizeof *u, 1);
  *u = (qnl_udp_t){.box.cls = &qnl_class_udp};
  qnl_set_metatable(L, &qnl_class_udp);
  qnl_note_site(L);
  return u;
}

static int set_options(lua_State *L, qnl_udp_t *u, const qnl_opt_value_t *v)
{
  for (int i = O_FLAGS; i < O_COUNT; i++) {
    int rc = v[i].set ? qn_udp_set_option(u->u, socket_desc[i].name, v[i].i) : 0;
    if (rc < 0) {
      qn_udp_close(u->u);
      return qnl_udp_fail(L, u, rc, "socket", NULL);
    }
  }
  return 1;
}

/* core.udp_socket([opts]) -> socket without a descriptor | nil, err */
static int core_udp_socket(lua_State *L)
{
  qnl_opt_value_t v[O_COUNT];
  qnl_state_t *G = qnl_G(L);
  qnl_opts(L, 1, "socket", socket_desc, O_COUNT, v);
  qnl_udp_t *u = push_udp(L);
  int rc = qn_udp_new(G->loop, flags_of(v), &u->u);
  if (rc < 0) {
    return qnl_fail(L, rc, "socket");
  }
  u->box.obj = u;
  return set_options(L, u, v);
}

/* core.udp_adopt(fd [, opts]) -> socket | nil, err */
static int core_udp_adopt(lua_State *L)
{
  qnl_opt_value_t v[O_COUNT];
  qnl_state_t *G = qnl_G(L);
  lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd < 1 << 30, 1, "a descriptor must not be negative");
  qnl_opts(L, 2, "adopt", socket_desc, O_COUNT, v);
  qnl_udp_t *u = push_udp(L);
  int rc = qn_udp_adopt(G->loop, (int)fd, flags_of(v), &u->u);
  if (rc < 0) {
    return qnl_fail(L, rc, "adopt");
  }
  u->box.obj = u;
  return set_options(L, u, v);
}

/* --- bind, connect --------------------------------------------------------------------------- */

static const char *state_name(const qnl_udp_t *u)
{
  if (u->lookup != NULL) {
    return "host_lookup";
  }
  switch (qn_udp_state(u->u)) {
  case QN_UDP_BOUND: return "bound";
  case QN_UDP_CONNECTED: return "connected";
  default: return "unconnected";
  }
}

/* bind([addr [, port [, mode]]]) -> true | nil, err */
static int udp_bind(lua_State *L)
{
  static const char *const modes[] = {"default", "share", "exclusive", "reuse", NULL};
  static const unsigned flags[] = {0, QN_UDP_SHARE, 0, QN_UDP_SHARE};
  qnl_udp_t *u = qnl_check_udp(L, 1);
  uint16_t port = lua_isnoneornil(L, 3) ? 0 : qnl_port(L, 3);
  unsigned mode = flags[luaL_checkoption(L, 4, "default", modes)];
  qn_family_t family = qn_udp_family(u->u);
  qn_addr_t a;
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_pushliteral(L, "*");
  }
  if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "localhost") == 0) {
    qn_addr_parse(&a, family == QN_FAMILY_IPV6 ? "::1" : "127.0.0.1", port, QN_FAMILY_ANY);
  } else if (!qnl_to_address(L, 2, port, family, &a)) {
    qnl_check_address(L, 2, port, QN_FAMILY_ANY, &a);
    return qnl_udp_fail(L, u, -EAFNOSUPPORT, "bind", &a);
  }
  int rc = qn_udp_bind(u->u, &a, mode);
  if (rc == QN_E_IS_CONNECTED) {
    return luaL_error(L, "bind: the socket is already %s", state_name(u));
  }
  if (rc < 0) {
    return qnl_udp_fail(L, u, rc, "bind", &a);
  }
  note(L, 1, "state_changed", "bound");
  lua_pushboolean(L, 1);
  return 1;
}

static int connect_fail(lua_State *L, int code, const char *phase)
{
  const char *host = lua_tostring(L, 2);
  if (host == NULL) {
    host = luaL_tolstring(L, 2, NULL);
  }
  const char *peer = lua_pushfstring(L, strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host,
                                     (int)lua_tointeger(L, 3));
  return qnl_fail_info(
      L, &(qnl_errinfo_t){.code = code, .op = "connect", .peer = peer, .phase = phase});
}

/* The first address that the kernel has a route to. */
static int connect_any(lua_State *L, qnl_udp_t *u, const qn_addr_t *v, size_t n)
{
  int rc = QN_E_HOST_NOT_FOUND;
  for (size_t i = 0; i < n; i++) {
    rc = qn_udp_connect(u->u, &v[i]);
    if (rc == 0) {
      note(L, 1, "state_changed", "connected");
      note(L, 1, "connected", NULL);
      lua_pushboolean(L, 1);
      return 1;
    }
  }
  return connect_fail(L, rc, "connect");
}

static void end_lookup(qnl_task_t *t)
{
  ((qnl_udp_t *)t->wait.obj)->lookup = NULL;
  qn_resolve_end(&t->op);
}

static int push_looked_up(lua_State *L, qnl_task_t *t, int64_t result)
{
  qn_addr_t v[QN_RESOLVE_MAX];
  const qn_addr_list_t *list = result < 0 ? NULL : qn_resolved(&t->op);
  size_t n = list != NULL ? list->n : 0;
  if (n > 0) {
    memcpy(v, list->v, n * sizeof *v);
  }
  end_lookup(t);
  if (result < 0) {
    note(L, 1, "state_changed", state_name(t->wait.obj));
    return connect_fail(L, (int)result, "dns");
  }
  note(L, 1, "host_found", NULL);
  return connect_any(L, t->wait.obj, v, n);
}

/* connect(host, port [, opts]) ! -> true | nil, err */
static int udp_connect(lua_State *L)
{
  static const qnl_opt_t desc[] = {{.name = "timeout", .type = QNL_OPT_SECONDS},
                                   {.name = "family", .type = QNL_OPT_ENUM, .names = family_names}};
  static const qn_family_t families[] = {QN_FAMILY_ANY, QN_FAMILY_IPV4, QN_FAMILY_IPV6};
  qnl_opt_value_t v[2];
  qnl_state_t *G = qnl_G(L);
  qnl_udp_t *u = qnl_check_udp(L, 1);
  uint16_t port = qnl_port(L, 3);
  qn_addr_t a;
  luaL_argcheck(L, port != 0, 3, "port 0 cannot be connected to");
  qnl_opts(L, 4, "connect", desc, 2, v);
  qn_family_t family = families[v[1].i];
  bool literal = lua_rawlen(L, 2) != 0 && qnl_to_address(L, 2, port, QN_FAMILY_ANY, &a);
  const char *host = literal ? NULL : qnl_host(L, 2);
  QNL_ENTER(L, G, t, udp_connect, "connect");
  if (u->lookup != NULL || qn_udp_state(u->u) == QN_UDP_CONNECTED) {
    return luaL_error(L, "connect: the socket is already %s", state_name(u));
  }
  if (qn_udp_state(u->u) == QN_UDP_CLOSED) {
    return connect_fail(L, QN_E_CLOSED, "connect");
  }
  if (literal) {
    if (family != QN_FAMILY_ANY && family != qn_addr_family(&a)) {
      return connect_fail(L, QN_E_HOST_NOT_FOUND, "dns");
    }
    return connect_any(L, u, &a, 1);
  }
  qn_resolve_opts_t ask = {
      .host = host, .port = port, .family = family != QN_FAMILY_ANY ? family : qn_udp_family(u->u)};
  int rc = qn_resolve(G->loop, &ask, &t->op, &a);
  if (rc == QN_AGAIN) {
    t->wait.obj = u;
    t->wait.phase = "dns";
    t->wait.abandon = end_lookup;
    u->lookup = &t->op;
    note(L, 1, "state_changed", "host_lookup");
    qnl_wait_for(t, v[0].set ? (uint64_t)v[0].i : QN_DNS_TIMEOUT_DEFAULT_MS);
    return qnl_wait(L, t, push_looked_up);
  }
  return rc < 0 ? connect_fail(L, rc, "dns") : connect_any(L, u, &a, 1);
}

/* disconnect() -> true | nil, err */
static int udp_disconnect(lua_State *L)
{
  const qnl_udp_t *u = qnl_check_udp(L, 1);
  int rc = qn_udp_disconnect(u->u);
  if (rc < 0) {
    return qnl_udp_fail(L, u, rc, "disconnect", NULL);
  }
  note(L, 1, "state_changed", state_name(u));
  note(L, 1, "disconnected", NULL);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- the end --------------------------------------------------------------------------------- */

static int udp_state(lua_State *L)
{
  lua_pushstring(L, state_name(qnl_check_udp(L, 1)));
  return 1;
}

static int udp_tostring(lua_State *L)
{
  const qnl_udp_t *u = qnl_check_udp(L, 1);
  char text[QN_ADDR_TEXT + 8] = "";
  qn_addr_t a;
  if (qn_udp_local_addr(u->u, &a) == 0) {
    qn_addr_text(&a, text, sizeof text);
  }
  lua_pushfstring(L, "qn.UdpSocket: %s",
                  *text != 0                            ? text
                  : qn_udp_state(u->u) == QN_UDP_CLOSED ? "closed"
                                                        : "unconnected");
  return 1;
}

static void class_close(qnl_state_t *G, lua_State *L, void *obj)
{
  qnl_udp_t *u = obj;
  qn_udp_state_t before = qn_udp_state(u->u);
  (void)G;
  qn_udp_close(u->u);
  if (u->lookup != NULL) {
    qn_op_cancel(u->lookup, QN_E_CLOSED);
  }
  if (before != QN_UDP_CLOSED) {
    if (before != QN_UDP_UNCONNECTED) {
      note(L, 1, "state_changed", "unconnected");
    }
    if (before == QN_UDP_CONNECTED) {
      note(L, 1, "disconnected", NULL);
    }
    note(L, 1, "closed", NULL);
  }
}

/* core.udp_close(socket) */
static int core_udp_close(lua_State *L)
{
  class_close(qnl_G(L), L, qnl_check_udp(L, 1));
  return 0;
}

/* core.udp_is_closed(socket) */
static int core_udp_is_closed(lua_State *L)
{
  lua_pushboolean(L, qn_udp_state(qnl_check_udp(L, 1)->u) == QN_UDP_CLOSED);
  return 1;
}

static void collect(qnl_state_t *G, void *obj)
{
  (void)G;
  qn_udp_release(((qnl_udp_t *)obj)->u);
}

static bool is_open(void *obj) { return qn_udp_state(((qnl_udp_t *)obj)->u) != QN_UDP_CLOSED; }

static const qnl_method_t udp_methods[] = {
    {"bind", udp_bind, 0},   {"connect", udp_connect, 0},  {"disconnect", udp_disconnect, 0},
    {"state", udp_state, 0}, {"close", core_udp_close, 0}, {NULL, NULL, 0}};
static const qnl_method_t udp_meta[] = {{"__tostring", udp_tostring, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_udp = {.name = "qn.UdpSocket",
                             .methods = udp_methods,
                             .meta = udp_meta,
                             .collect = collect,
                             .is_open = is_open,
                             .close = class_close};

void qnl_open_udp(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"udp_socket", core_udp_socket, 0},
                                           {"udp_adopt", core_udp_adopt, 0},
                                           {"udp_is_closed", core_udp_is_closed, 0},
                                           {"udp_observe", core_udp_observe, 0},
                                           {"udp_set_dispatcher", core_udp_set_dispatcher, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_udp);
  qnl_push_methods(L, &qnl_class_udp);
  qnl_setfuncs(L, G, qnl_udp_fact_methods);
  qnl_setfuncs(L, G, qnl_udp_recv_methods);
  qnl_setfuncs(L, G, qnl_udp_send_methods);
  lua_pop(L, 1);
  qnl_class_register(L, G, &qnl_class_datagram);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_datagram);
  lua_pushnil(L);
  lua_setfield(L, -2, "__gc"); /* it has nothing to free, and there are many */
  lua_pop(L, 1);
  qnl_setfuncs(L, G, functions);
  qnl_setfuncs(L, G, qnl_udp_recv_functions);
}

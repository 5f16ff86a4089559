/* b_dtls_server.c: endpoints of DTLS: servers over a datagram socket, and cookies for those who
 * have a socket of their own.
 *
 * qn.dtls.listen, its options and questions of handshakes are in lua/qn/dtls.lua, which makes the
 * socket, too. Must not let go of the socket's userdata before the endpoint's. Invariant: the
 * configuration and verifier in use are user values of the endpoint.
 */
#include "b_dtls.h"

#include <string.h>

static qnl_dtls_endpoint_t *check(lua_State *L) { return qnl_check(L, 1, &qnl_class_dtls_server); }

static int fail(lua_State *L, const qnl_dtls_endpoint_t *u, int code, const char *op)
{
  return qnl_fail_info(
      L, &(qnl_errinfo_t){.code = code,
                          .op = op,
                          .message = code == QN_E_NOT_CONNECTED && u != NULL
                                         ? "nobody can come: the endpoint is for clients"
                                         : NULL});
}

/* --- making ----------------------------------------------------------------------------------- */

/* core.dtls_endpoint(socket, owned) -> endpoint | nil, err */
static int core_dtls_endpoint(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_udp_t *socket = qnl_check_udp(L, 1);
  qnl_dtls_endpoint_t *u = lua_newuserdatauv(L, sizeof *u, QNL_DTLS_VALUES);
  *u = (qnl_dtls_endpoint_t){.box.cls = &qnl_class_dtls_server};
  qnl_set_metatable(L, &qnl_class_dtls_server);
  qnl_note_site(L);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, QNL_DTLS_SOCKET);
  lua_newtable(L);
  lua_setiuservalue(L, -2, QNL_DTLS_OWN);
  int rc = QN_E_BUSY; /* listeners of "datagram" get what arrives */
  if (!socket->listened || qn_udp_state(socket->u) == QN_UDP_CLOSED) {
    rc = qn_dtls_endpoint_new(G->loop, socket->u, lua_toboolean(L, 2), &u->e);
  }
  if (rc < 0) {
    return fail(L, NULL, rc, "listen");
  }
  u->box.obj = u;
  return 1;
}

static uint32_t limit_of(lua_State *L, const char *name)
{
  lua_getfield(L, 3, name);
  uint32_t n = (uint32_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

static uint64_t seconds_of(lua_State *L, const char *name)
{
  lua_getfield(L, 3, name);
  uint64_t ms = qnl_seconds(L, lua_gettop(L), 0);
  lua_pop(L, 1);
  return ms;
}

static bool flag_of(lua_State *L, const char *name)
{
  lua_getfield(L, 3, name);
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

static int config_fail(lua_State *L, const qnl_tls_config_t *config, int rc)
{
  const char *why = qn_tls_config_problem(config->c);
  return qnl_fail_info(
      L, &(qnl_errinfo_t){.code = rc, .op = "listen", .message = *why != 0 ? why : NULL});
}

/* core.dtls_serve(endpoint, configuration, {verifier=, max_connections=, max_handshakes=,
 * handshake_timeout=, idle_timeout=, mtu=, ask_sni=, ask_verify=, notes=}) -> true | nil, err */
static int core_dtls_serve(lua_State *L)
{
  qnl_dtls_endpoint_t *u = check(L);
  qnl_tls_config_t *config = qnl_check_tls_config(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  qn_dtls_serve_t o = {.max_connections = limit_of(L, "max_connections"),
                       .max_handshakes = limit_of(L, "max_handshakes"),
                       .handshake_timeout_ms = seconds_of(L, "handshake_timeout"),
                       .idle_timeout_ms = seconds_of(L, "idle_timeout"),
                       .mtu = limit_of(L, "mtu"),
                       .retransmit_ms = (uint32_t)seconds_of(L, "retransmit_timeout"),
                       .ask_sni = flag_of(L, "ask_sni"),
                       .ask_verify = flag_of(L, "ask_verify"),
                       .notes = flag_of(L, "notes")};
  lua_getfield(L, 3, "verifier");
  o.verifier = qnl_test(L, -1, &qnl_class_dtls_verifier);
  o.no_cookies = o.verifier == NULL;
  lua_setiuservalue(L, 1, QNL_DTLS_VERIFIER);
  int rc = qn_dtls_serve(u->e, config->c, &o);
  if (rc < 0) {
    return config_fail(L, config, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* core.dtls_configure(endpoint, configuration, ask_sni, ask_verify) -> true | nil, err */
static int core_dtls_configure(lua_State *L)
{
  qnl_dtls_endpoint_t *u = check(L);
  qnl_tls_config_t *config = qnl_check_tls_config(L, 2);
  int rc = qn_dtls_configure(u->e, config->c, lua_toboolean(L, 3), lua_toboolean(L, 4));
  if (rc < 0) {
    return config_fail(L, config, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* core.dtls_know(configuration): it may be that of a connection */
static int core_dtls_know(lua_State *L)
{
  qnl_dtls_know_config(L, 1);
  return 0;
}

/* core.dtls_own(endpoint) -> table: what Lua keeps as long as the endpoint lives */
static int core_dtls_own(lua_State *L)
{
  check(L);
  lua_getiuservalue(L, 1, QNL_DTLS_OWN);
  return 1;
}

/* core.dtls_notes(endpoint, failures, others): which of them core.dtls_note tells */
static int core_dtls_notes(lua_State *L)
{
  qn_dtls_endpoint_t *e = check(L)->e;
  qn_dtls_set_notes(e, lua_toboolean(L, 2));
  qn_dtls_set_others(e, lua_toboolean(L, 3) && !qn_dtls_endpoint_is_closed(e));
  return 0;
}

/* --- accepting -------------------------------------------------------------------------------- */

static int push_accepted(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_dtls_endpoint_t *u = t->wait.obj;
  qn_dtls_t *a = result < 0 ? NULL : qn_dtls_accepted(u->e);
  if (a == NULL && result >= 0) { /* another task was faster */
    result = qn_dtls_accept(u->e, &t->op);
    if (result == QN_AGAIN) {
      return qnl_wait_again(L, t, push_accepted);
    }
  }
  if (a == NULL) {
    return fail(L, u, (int)result, "accept");
  }
  qnl_push_dtls(L, 1, a)->handed = true;
  return 1;
}

/* accept([timeout]) ! -> connection | nil, err */
static int server_accept(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_dtls_endpoint_t *u = check(L);
  uint64_t timeout = qnl_seconds(L, 2, QNL_NEVER);
  lua_settop(L, 2);
  QNL_ENTER(L, G, t, server_accept, "accept");
  t->wait.obj = u;
  int rc = qn_dtls_accept(u->e, &t->op);
  if (rc == QN_AGAIN) {
    qnl_wait_for(t, timeout);
    return qnl_wait(L, t, push_accepted);
  }
  return push_accepted(L, t, rc);
}

static int push_note(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_dtls_endpoint_t *u = t->wait.obj;
  qn_dtls_t *a = NULL;
  qn_dtls_note_t note = result < 0 ? QN_DTLS_NOTE_NONE : qn_dtls_take_note(u->e, &a);
  qn_addr_t peer;
  qn_slice_t data;
  qn_udp_info_t info;
  if (result >= 0 && note == QN_DTLS_NOTE_NONE && qn_dtls_other(u->e, &data, &info)) {
    lua_pushliteral(L, "other");
    lua_pushlstring(L, (const char *)data.data, data.size);
    lua_getiuservalue(L, 1, QNL_DTLS_SOCKET);
    qnl_push_datagram(L, lua_gettop(L), &info);
    lua_remove(L, -2);
    qn_dtls_drop_other(u->e);
    return 3;
  }
  if (result >= 0 && note == QN_DTLS_NOTE_NONE) { /* it was taken back */
    result = qn_dtls_wait_note(u->e, &t->op);
    if (result == QN_AGAIN) {
      return qnl_wait_again(L, t, push_note);
    }
  }
  if (note == QN_DTLS_NOTE_NONE) {
    return 0;
  }
  qnl_push_dtls(L, 1, a);
  switch (note) {
  case QN_DTLS_NOTE_SNI:
    lua_pushliteral(L, "sni");
    lua_pushvalue(L, -2);
    lua_pushstring(L, qn_tls_server_name(qn_dtls_tls(a)));
    return 3;
  case QN_DTLS_NOTE_VERIFY:
    lua_pushliteral(L, "verify");
    lua_pushvalue(L, -2);
    qnl_push_tls_errors(L, qn_dtls_tls(a));
    return 3;
  default:
    lua_pushliteral(L, "failed");
    qnl_dtls_push_error(L, a, qn_dtls_error(a), "accept");
    qn_dtls_peer(a, &peer);
    qnl_push_address(L, t->G, &peer);
    return 3;
  }
}

/* core.dtls_note(endpoint) ! -> "sni", connection, name | "verify", connection, errors |
 * "failed", err, address | "other", data, datagram | nothing: the server was closed */
static int core_dtls_note(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_dtls_endpoint_t *u = check(L);
  lua_settop(L, 1);
  QNL_ENTER(L, G, t, core_dtls_note, "note");
  t->wait.obj = u;
  int rc = qn_dtls_wait_note(u->e, &t->op);
  return rc == QN_AGAIN ? qnl_wait(L, t, push_note) : push_note(L, t, rc);
}

/* --- facts, the end --------------------------------------------------------------------------- */

enum { S_ADDRESS, S_PORT, S_LISTENING, S_STATE };

static bool local_of(lua_State *L, qn_addr_t *out)
{
  lua_getiuservalue(L, 1, QNL_DTLS_SOCKET);
  const qnl_udp_t *socket = qnl_test(L, -1, &qnl_class_udp);
  bool known = socket != NULL && qn_udp_local_addr(socket->u, out) == 0;
  lua_pop(L, 1);
  return known;
}

static int server_fact(lua_State *L)
{
  const qnl_dtls_endpoint_t *u = check(L);
  qn_addr_t a;
  switch (qnl_magic(L)) {
  case S_ADDRESS:
    if (local_of(L, &a)) {
      qnl_push_address(L, qnl_G_raw(L), &a);
    } else {
      lua_pushnil(L);
    }
    break;
  case S_PORT:
    if (local_of(L, &a)) {
      lua_pushinteger(L, qn_addr_port(&a));
    } else {
      lua_pushnil(L);
    }
    break;
  case S_LISTENING: lua_pushboolean(L, qn_dtls_is_listening(u->e)); break;
  default:
    lua_pushstring(L, qn_dtls_endpoint_is_closed(u->e) ? "closed"
                      : qn_dtls_is_listening(u->e)     ? "listening"
                                                       : "open");
  }
  return 1;
}

/* stats() -> table */
static int server_stats(lua_State *L)
{
  qn_dtls_endpoint_stats_t s;
  qn_dtls_endpoint_get_stats(check(L)->e, &s);
  const struct {
    const char *name;
    uint64_t value;
  } all[] = {{"received", s.received},
             {"invalid", s.invalid},
             {"cookies_sent", s.cookies_sent},
             {"accepted", s.accepted},
             {"failed", s.failed},
             {"refused", s.refused},
             {"connections", s.connections},
             {"handshakes", s.handshakes},
             {"waiting", s.waiting}};
  lua_createtable(L, 0, 9);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    lua_pushinteger(L, (lua_Integer)all[i].value);
    lua_setfield(L, -2, all[i].name);
  }
  return 1;
}

/* stop() */
static int server_stop(lua_State *L)
{
  qn_dtls_stop(check(L)->e);
  return 0;
}

static int server_tostring(lua_State *L)
{
  const qnl_dtls_endpoint_t *u = check(L);
  char text[QN_ADDR_TEXT + 8] = "closed";
  qn_addr_t a;
  if (!qn_dtls_endpoint_is_closed(u->e) && local_of(L, &a)) {
    qn_addr_text(&a, text, sizeof text);
  }
  lua_pushfstring(L, "qn.DtlsServer: %s", text);
  return 1;
}

static void server_collect(qnl_state_t *G, void *obj)
{
  (void)G;
  qn_dtls_endpoint_release(((qnl_dtls_endpoint_t *)obj)->e);
}

static bool server_is_open(void *obj)
{
  return !qn_dtls_endpoint_is_closed(((qnl_dtls_endpoint_t *)obj)->e);
}

static void server_close(qnl_state_t *G, lua_State *L, void *obj)
{
  (void)G, (void)L;
  qn_dtls_stop(((qnl_dtls_endpoint_t *)obj)->e);
}

static const qnl_method_t server_methods[] = {{"accept", server_accept, 0},
                                              {"stop", server_stop, 0},
                                              {"address", server_fact, S_ADDRESS},
                                              {"port", server_fact, S_PORT},
                                              {"is_listening", server_fact, S_LISTENING},
                                              {"state", server_fact, S_STATE},
                                              {"stats", server_stats, 0},
                                              {NULL, NULL, 0}};
static const qnl_method_t server_meta[] = {{"__tostring", server_tostring, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_dtls_server = {.name = "qn.DtlsServer",
                                     .methods = server_methods,
                                     .meta = server_meta,
                                     .collect = server_collect,
                                     .is_open = server_is_open,
                                     .close = server_close};

/* --- cookies ---------------------------------------------------------------------------------- */

/* core.dtls_verifier(digest or nil, secret or nil) -> verifier | nil, err */
static int core_dtls_verifier(lua_State *L)
{
  qn_slice_t secret = {0};
  const char *digest = luaL_optstring(L, 1, NULL);
  secret.data = (const uint8_t *)luaL_optlstring(L, 2, "", &secret.size);
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_dtls_verifier);
  qn_dtls_verifier_t *v = NULL;
  int rc = qn_dtls_verifier_new(digest, secret, &v);
  if (rc < 0) {
    return qnl_fail(L, rc, "verifier");
  }
  box->obj = v;
  return 1;
}

/* verifier:check(datagram, address, port) -> true | false, reply | nil: no ClientHello */
static int verifier_check(lua_State *L)
{
  const qn_dtls_verifier_t *v = qnl_check(L, 1, &qnl_class_dtls_verifier);
  qn_slice_t d;
  qn_addr_t peer;
  uint8_t reply[QN_DTLS_REPLY_MAX];
  size_t size = 0;
  d.data = (const uint8_t *)luaL_checklstring(L, 2, &d.size);
  qnl_check_address(L, 3, qnl_port(L, 4), QN_FAMILY_ANY, &peer);
  int rc = qn_dtls_verify_hello(v, d, &peer, reply, &size);
  if (rc < 0 && rc != QN_E_INVALID) {
    return luaL_error(L, "%s", qn_err_text(rc));
  }
  if (rc < 0) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushboolean(L, rc == 1);
  if (rc == 1) {
    return 1;
  }
  lua_pushlstring(L, (const char *)reply, size);
  return 2;
}

static void verifier_collect(qnl_state_t *G, void *obj)
{
  (void)G;
  qn_dtls_verifier_free(obj);
}

static const qnl_method_t verifier_methods[] = {{"check", verifier_check, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_dtls_verifier = {
    .name = "qn.DtlsVerifier", .methods = verifier_methods, .collect = verifier_collect};

void qnl_open_dtls_server(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"dtls_endpoint", core_dtls_endpoint, 0},
                                           {"dtls_serve", core_dtls_serve, 0},
                                           {"dtls_configure", core_dtls_configure, 0},
                                           {"dtls_own", core_dtls_own, 0},
                                           {"dtls_know", core_dtls_know, 0},
                                           {"dtls_notes", core_dtls_notes, 0},
                                           {"dtls_note", core_dtls_note, 0},
                                           {"dtls_verifier", core_dtls_verifier, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_dtls_server);
  qnl_class_register(L, G, &qnl_class_dtls_verifier);
  qnl_setfuncs(L, G, functions);
}

/* b_dtls.c: connections of DTLS: the handshake that a task waits for, messages, facts, the end.
 *
 * qn.dtls.connect, options and events are in lua/qn/dtls.lua; servers in b_dtls_server.c. A message
 * is taken out of the queue only when its string exists, so a cancelled wait loses none. Must not
 * leave a connection behind whose handshake nobody waits for: a cancelled one is ended.
 */
#include "b_dtls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static qnl_dtls_t *check(lua_State *L) { return qnl_check(L, 1, &qnl_class_dtls); }

/* --- errors ----------------------------------------------------------------------------------- */

void qnl_dtls_push_error(lua_State *L, const qn_dtls_t *a, int code, const char *op)
{
  char peer[QN_ADDR_TEXT + 8];
  qn_addr_t addr;
  const qn_tls_t *t = qn_dtls_tls(a);
  qn_dtls_peer(a, &addr);
  qn_addr_text(&addr, peer, sizeof peer);
  bool over = qn_dtls_state(a) == QN_DTLS_CLOSED && qn_dtls_error(a) == code;
  if (over && !qn_tls_is_up(t)) {
    qnl_push_tls_failure(L, t, code, op, peer);
    return;
  }
  const char *why = over && code != QN_E_CLOSED ? qn_tls_problem(t) : "";
  qnl_push_error(L, &(qnl_errinfo_t){.code = code,
                                     .op = op,
                                     .peer = peer,
                                     .phase = code != QN_E_TIMEOUT ? NULL
                                              : over               ? "idle"
                                              : *op == 's'         ? "write"
                                                                   : "read",
                                     .message = *why != 0 ? why : NULL});
  if (over && qn_tls_alert_received(t) > 0) {
    lua_pushstring(L, qn_tls_alert_name(qn_tls_alert_received(t)));
    qnl_error_set(L, "alert");
  }
}

static int fail(lua_State *L, const qn_dtls_t *a, int code, const char *op)
{
  lua_pushnil(L);
  qnl_dtls_push_error(L, a, code, op);
  return 2;
}

/* --- one userdata per association ------------------------------------------------------------- */

/* association -> userdata, configuration of C -> userdata (weak values) */
static const char key_all = 0, key_configs = 0;

void qnl_dtls_know_config(lua_State *L, int idx)
{
  const qnl_tls_config_t *config = qnl_check_tls_config(L, idx);
  idx = lua_absindex(L, idx);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_configs);
  lua_pushvalue(L, idx);
  lua_rawsetp(L, -2, config->c);
  lua_pop(L, 1);
}

/* The userdata on top holds on to its configuration: in a handshake, and for who asks. */
static void hold_config(lua_State *L, const qn_dtls_t *a)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_configs);
  lua_rawgetp(L, -1, qn_dtls_config(a));
  lua_setiuservalue(L, -3, 2);
  lua_pop(L, 1);
}

qnl_dtls_t *qnl_push_dtls(lua_State *L, int endpoint, qn_dtls_t *a)
{
  endpoint = lua_absindex(L, endpoint);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_all);
  if (lua_rawgetp(L, -1, a) == LUA_TUSERDATA) {
    lua_remove(L, -2);
    hold_config(L, a);
    qn_dtls_release(a);
    return lua_touserdata(L, -1);
  }
  lua_pop(L, 1);
  qnl_dtls_t *u = lua_newuserdatauv(L, sizeof *u, 2);
  *u = (qnl_dtls_t){.box.cls = &qnl_class_dtls};
  qnl_set_metatable(L, &qnl_class_dtls);
  qnl_note_site(L);
  u->a = a;
  u->box.obj = u; /* owns it from here on */
  lua_pushvalue(L, endpoint);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, a);
  lua_remove(L, -2);
  hold_config(L, a);
  return u;
}

static void collect(qnl_state_t *G, void *obj)
{
  qnl_dtls_t *u = obj;
  (void)G;
  if (u->handed) {
    qn_dtls_close(u->a);
  }
  qn_dtls_release(u->a);
}

static bool is_open(void *obj)
{
  const qnl_dtls_t *u = obj;
  return u->handed && qn_dtls_state(u->a) != QN_DTLS_CLOSED;
}

static void class_close(qnl_state_t *G, lua_State *L, void *obj)
{
  (void)G, (void)L;
  qn_dtls_close(((qnl_dtls_t *)obj)->a);
}

/* close() */
static int dtls_close(lua_State *L)
{
  qn_dtls_close(check(L)->a);
  return 0;
}

/* abort() */
static int dtls_abort(lua_State *L)
{
  qn_dtls_abort(check(L)->a);
  return 0;
}

/* --- the handshake of a client ---------------------------------------------------------------- */

static const char *text_field(lua_State *L, const char *name)
{
  lua_getfield(L, 3, name); /* stays on the stack, and so stays valid */
  return lua_tostring(L, -1);
}

/* core.dtls_begin(endpoint, configuration, {address=, port=, server_name=, verify_name=, peer=,
 * session=, mtu=, idle_timeout=, retransmit_timeout=, ask=}) -> connection | nil, err */
static int core_dtls_begin(lua_State *L)
{
  qnl_dtls_endpoint_t *ep = qnl_check(L, 1, &qnl_class_dtls_server);
  qnl_tls_config_t *config = qnl_check_tls_config(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  qn_dtls_connect_t o = {0};
  qn_addr_t peer;
  qn_dtls_t *a = NULL;
  lua_getfield(L, 3, "port");
  uint16_t port = (uint16_t)lua_tointeger(L, -1);
  lua_getfield(L, 3, "address");
  if (!lua_isnil(L, -1)) {
    if (!qnl_to_address(L, lua_gettop(L), port, QN_FAMILY_ANY, &peer)) { /* of no interface here */
      return qnl_fail_info(L, &(qnl_errinfo_t){.code = QN_E_INVALID,
                                               .op = "connect",
                                               .peer = luaL_tolstring(L, -1, NULL),
                                               .message = "the address cannot be sent to"});
    }
    o.peer = &peer;
  }
  lua_getfield(L, 3, "mtu");
  o.mtu = (uint32_t)lua_tointeger(L, -1);
  lua_getfield(L, 3, "idle_timeout");
  o.idle_timeout_ms = qnl_seconds(L, lua_gettop(L), 0);
  lua_getfield(L, 3, "retransmit_timeout");
  o.retransmit_ms = (uint32_t)qnl_seconds(L, lua_gettop(L), 0);
  lua_getfield(L, 3, "ask");
  o.ask_verify = lua_toboolean(L, -1);
  lua_getfield(L, 3, "session");
  o.tls.session = qnl_test(L, -1, &qnl_class_tls_session);
  o.tls.server_name = text_field(L, "server_name");
  o.tls.verify_name = text_field(L, "verify_name");
  o.tls.peer = text_field(L, "peer");
  int rc = qn_dtls_connect(ep->e, config->c, &o, &a);
  if (rc < 0) {
    const char *why = qn_tls_config_problem(config->c);
    return qnl_fail_info(
        L, &(qnl_errinfo_t){
               .code = rc, .op = "connect", .phase = "tls", .message = *why != 0 ? why : NULL});
  }
  qnl_dtls_know_config(L, 2);
  qnl_push_dtls(L, 1, a)->handed = true;
  return 1;
}

static void abandon_shake(qnl_task_t *t) { qn_dtls_abort(((qnl_dtls_t *)t->wait.obj)->a); }

static int push_shaken(lua_State *L, qnl_task_t *t, int64_t result)
{
  qn_dtls_t *a = ((qnl_dtls_t *)t->wait.obj)->a;
  if (result == 1) {
    lua_pushliteral(L, "verify");
    qnl_push_tls_errors(L, qn_dtls_tls(a));
    return 2;
  }
  if (result < 0) {
    lua_pushnil(L);
    qnl_push_tls_failure(L, qn_dtls_tls(a), (int)result, "connect", lua_tostring(L, 3));
    qn_dtls_abort(a);
    return 2;
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* core.dtls_shake(connection, timeout, peer) ! -> true | "verify", errors | nil, err */
static int core_dtls_shake(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_dtls_t *u = check(L);
  uint64_t timeout = qnl_seconds(L, 2, QNL_NEVER);
  lua_settop(L, 3);
  QNL_ENTER(L, G, t, core_dtls_shake, "connect");
  t->wait.obj = u;
  t->wait.phase = "tls";
  int rc = qn_dtls_wait_up(u->a, &t->op);
  if (rc == QN_AGAIN) {
    t->wait.abandon = abandon_shake;
    qnl_wait_for(t, timeout);
    return qnl_wait(L, t, push_shaken);
  }
  return push_shaken(L, t, rc);
}

/* core.dtls_answer(connection, true | false): what of the errors.
 * core.dtls_answer(connection, configuration | nil | "refuse"): who serves the name. */
static int core_dtls_answer(lua_State *L)
{
  qn_tls_t *t = qn_dtls_tls(check(L)->a);
  lua_settop(L, 2);
  if (lua_isboolean(L, 2)) {
    qn_tls_answer_verify(t, lua_toboolean(L, 2));
  } else if (lua_isstring(L, 2)) {
    qn_tls_answer_config(t, NULL, QN_E_TLS);
  } else {
    qnl_tls_config_t *config = lua_isnil(L, 2) ? NULL : qnl_check_tls_config(L, 2);
    if (config != NULL) {
      qnl_dtls_know_config(L, 2);
    }
    qn_tls_answer_config(t, config != NULL ? config->c : NULL, 0);
  }
  return 0;
}

/* --- messages --------------------------------------------------------------------------------- */

enum { RECV, EACH, FETCH };

static int give(lua_State *L, qnl_task_t *t);

static int push_received(lua_State *L, qnl_task_t *t, int64_t result)
{
  qn_dtls_t *a = ((qnl_dtls_t *)t->wait.obj)->a;
  if (result == 0) {
    return give(L, t);
  }
  if (t->wait.a == EACH) {
    if (result == QN_E_CLOSED || result == QN_E_EOF) {
      lua_pushnil(L);
      return 1;
    }
    qnl_dtls_push_error(L, a, (int)result, "recv");
    return lua_error(L);
  }
  return fail(L, a, (int)result, "recv");
}

static int give(lua_State *L, qnl_task_t *t)
{
  qn_dtls_t *a = ((qnl_dtls_t *)t->wait.obj)->a;
  qn_slice_t data = {0};
  int rc = qn_dtls_peek(a, &data);
  if (QN_LIKELY(rc == 0)) {
    lua_pushlstring(L, (const char *)data.data, data.size);
    qn_dtls_take(a);
    return 1;
  }
  if (rc == QN_AGAIN) { /* another reader was faster */
    rc = qn_dtls_wait(a, &t->op);
    if (rc == QN_AGAIN) {
      return qnl_wait_again(L, t, push_received);
    }
  }
  return push_received(L, t, rc);
}

static int receive(lua_State *L, qnl_task_t *t, qnl_dtls_t *u, int how, uint64_t timeout)
{
  t->wait.obj = u;
  t->wait.a = how;
  t->wait.phase = "read";
  qn_slice_t data;
  int rc = u->listened && how != FETCH ? qn_dtls_peek(u->a, &data) : QN_E_CLOSED;
  if (rc == 0 || rc == QN_AGAIN) {
    return push_received(L, t, QN_E_BUSY);
  }
  rc = qn_dtls_wait(u->a, &t->op);
  if (rc == QN_AGAIN) {
    if (timeout != QNL_NEVER) {
      qnl_wait_for(t, timeout);
    }
    return qnl_wait(L, t, push_received);
  }
  return push_received(L, t, rc);
}

static uint64_t timeout_of(lua_State *L, const char *where)
{
  static const qnl_opt_t desc[] = {{.name = "timeout", .type = QNL_OPT_SECONDS}};
  qnl_opt_value_t v[1];
  qnl_opts(L, 2, where, desc, 1, v);
  return v[0].set ? (uint64_t)v[0].i : QNL_NEVER;
}

/* recv([opts]) ! -> data | nil, err */
static int dtls_recv(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_dtls_t *u = check(L);
  uint64_t timeout = timeout_of(L, "recv");
  QNL_ENTER(L, G, t, dtls_recv, "recv");
  return receive(L, t, u, RECV, timeout);
}

/* core.dtls_fetch(connection) ! -> data | nil, err: recv, for the listeners of "message" */
static int core_dtls_fetch(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_dtls_t *u = check(L);
  QNL_ENTER(L, G, t, core_dtls_fetch, "recv");
  return receive(L, t, u, FETCH, QNL_NEVER);
}

/* core.dtls_listen(connection, on): whether recv and each are busy */
static int core_dtls_listen(lua_State *L)
{
  check(L)->listened = lua_toboolean(L, 2);
  return 0;
}

static int each_next(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_dtls_t *u = check(L);
  QNL_ENTER(L, G, t, each_next, "recv");
  return receive(L, t, u, EACH, (uint64_t)lua_tointeger(L, lua_upvalueindex(3)));
}

/* each([opts]) -> iterator: data; ends with the connection, throws other errors */
static int dtls_each(lua_State *L)
{
  check(L);
  uint64_t timeout = timeout_of(L, "each");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushinteger(L, (lua_Integer)timeout);
  lua_pushcclosure(L, each_next, 3);
  lua_pushvalue(L, 1);
  return 2;
}

static int send_failed(lua_State *L, const qn_dtls_t *a, int rc, size_t size, const char *op)
{
  lua_pushnil(L);
  if (rc != QN_E_DGRAM_SIZE) {
    qnl_dtls_push_error(L, a, rc, op);
    return 2;
  }
  char text[QN_ADDR_TEXT + 8], message[96];
  qn_addr_t peer;
  qn_dtls_peer(a, &peer);
  qn_addr_text(&peer, text, sizeof text);
  size_t most = qn_dtls_max_size(a);
  lua_Number is = (lua_Number)size;
  snprintf(message, sizeof message, "the message of %.0f bytes is too large, at most %zu fit", is,
           most);
  qnl_push_error(L, &(qnl_errinfo_t){.code = rc, .op = op, .peer = text, .message = message});
  lua_pushinteger(L, (lua_Integer)size);
  qnl_error_set(L, "size");
  lua_pushinteger(L, (lua_Integer)most);
  qnl_error_set(L, "limit");
  return 2;
}

/* The bytes stay on the stack at 2, a buffer is pinned by nobody: it is read again each time. */
static qn_slice_t get_data(lua_State *L)
{
  qn_slice_t data;
  if (lua_type(L, 2) == LUA_TSTRING) {
    data.data = (const uint8_t *)lua_tolstring(L, 2, &data.size);
    return data;
  }
  const qnl_buffer_t *b = qnl_test_buffer(L, 2);
  if (b == NULL) {
    luaL_typeerror(L, 2, "string or qn.Buffer");
    return (qn_slice_t){0};
  }
  return (qn_slice_t){qn_buf_data(&b->b), qn_buf_size(&b->b)};
}

static int push_sent(lua_State *L, qnl_task_t *t, int64_t result)
{
  qn_dtls_t *a = ((qnl_dtls_t *)t->wait.obj)->a;
  qn_slice_t data = get_data(L);
  int rc = result < 0 ? (int)result : qn_dtls_send(a, data);
  if (rc == QN_AGAIN) {
    rc = qn_udp_wait_writable(qn_dtls_socket(a), &t->op);
    if (rc == QN_AGAIN) {
      return qnl_wait_again(L, t, push_sent);
    }
  }
  if (rc < 0) {
    return send_failed(L, a, rc, data.size, "send");
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* send(data) ! -> true | nil, err */
static int dtls_send(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_dtls_t *u = check(L);
  luaL_argcheck(L, get_data(L).size != 0, 2, "a message has at least one byte");
  lua_settop(L, 2);
  QNL_ENTER(L, G, t, dtls_send, "send");
  t->wait.obj = u;
  t->wait.phase = "write";
  return push_sent(L, t, 0);
}

/* try_send(data) -> true | nil, err: never waits */
static int dtls_try_send(lua_State *L)
{
  qnl_dtls_t *u = check(L);
  qn_slice_t data = get_data(L);
  luaL_argcheck(L, data.size != 0, 2, "a message has at least one byte");
  int rc = qn_dtls_send(u->a, data);
  if (rc < 0) {
    return send_failed(L, u->a, rc == QN_AGAIN ? -EAGAIN : rc, data.size, "try_send");
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- events ----------------------------------------------------------------------------------- */

static int push_event(lua_State *L, qnl_task_t *t, int64_t result)
{
  static const char *const names[] = {[QN_TLS_EVENT_UP] = "encrypted",
                                      [QN_TLS_EVENT_ALERT_RECEIVED] = "alert_received",
                                      [QN_TLS_EVENT_ALERT_SENT] = "alert_sent",
                                      [QN_TLS_EVENT_SESSION] = "new_session",
                                      [QN_TLS_EVENT_VERIFY_ERROR] = "verify_error"};
  qn_dtls_t *a = ((qnl_dtls_t *)t->wait.obj)->a;
  int event, value;
  if (result < 0 || !qn_dtls_take_event(a, &event, &value)) {
    return 0;
  }
  lua_pushstring(L, names[event]);
  if (event == QN_TLS_EVENT_ALERT_RECEIVED || event == QN_TLS_EVENT_ALERT_SENT) {
    lua_pushstring(L, qn_tls_alert_name(value));
    lua_pushinteger(L, value);
    return 3;
  } else if (event == QN_TLS_EVENT_SESSION) {
    qnl_push_tls_session(L, qn_dtls_tls(a));
  } else {
    lua_pushnil(L);
  }
  return 2;
}

/* core.dtls_event(connection) ! -> name, value, number | nothing: there will be no more */
static int core_dtls_event(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_dtls_t *u = check(L);
  QNL_ENTER(L, G, t, core_dtls_event, "event");
  t->wait.obj = u;
  int rc = qn_dtls_wait_event(u->a, &t->op);
  return rc == QN_AGAIN ? qnl_wait(L, t, push_event) : push_event(L, t, rc);
}

static int push_watched(lua_State *L, qnl_task_t *t, int64_t result)
{
  const qn_dtls_t *a = ((qnl_dtls_t *)t->wait.obj)->a;
  qn_slice_t data;
  if (result < 0 || qn_dtls_peek(a, &data) != 0) {
    return 0;
  }
  lua_pushinteger(L, (lua_Integer)qn_dtls_taken(a));
  return 1;
}

/* core.dtls_watch(connection, mark) ! -> mark | nothing: it is over */
static int core_dtls_watch(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_dtls_t *u = check(L);
  uint64_t mark = (uint64_t)luaL_checkinteger(L, 2);
  QNL_ENTER(L, G, t, core_dtls_watch, "watch");
  t->wait.obj = u;
  int rc = qn_dtls_watch(u->a, mark, &t->op);
  return rc == QN_AGAIN ? qnl_wait(L, t, push_watched) : push_watched(L, t, rc);
}

/* --- facts ------------------------------------------------------------------------------------ */

enum {
  F_STATE,
  F_PEER_ADDRESS,
  F_PEER_PORT,
  F_LOCAL_ADDRESS,
  F_LOCAL_PORT,
  F_ID,
  F_MTU,
  F_MAX_SIZE,
  F_PENDING,
  F_HAS_PENDING,
  F_ERROR
};

static bool local_of(const qn_dtls_t *a, qn_addr_t *out)
{
  const qn_udp_t *u = qn_dtls_socket(a);
  return u != NULL && qn_udp_local_addr(u, out) == 0;
}

static int dtls_fact(lua_State *L)
{
  static const char *const states[] = {"handshake", "connected", "closed"};
  const qn_dtls_t *a = check(L)->a;
  qn_addr_t addr;
  qn_slice_t data;
  bool has = qn_dtls_peek(a, &data) == 0;
  qn_dtls_peer(a, &addr);
  switch (qnl_magic(L)) {
  case F_STATE: lua_pushstring(L, states[qn_dtls_state(a)]); break;
  case F_PEER_ADDRESS: qnl_push_address(L, qnl_G_raw(L), &addr); break;
  case F_PEER_PORT: lua_pushinteger(L, qn_addr_port(&addr)); break;
  case F_LOCAL_ADDRESS:
    if (local_of(a, &addr)) {
      qnl_push_address(L, qnl_G_raw(L), &addr);
    } else {
      lua_pushnil(L);
    }
    break;
  case F_LOCAL_PORT:
    if (local_of(a, &addr)) {
      lua_pushinteger(L, qn_addr_port(&addr));
    } else {
      lua_pushnil(L);
    }
    break;
  case F_ID: lua_pushinteger(L, (lua_Integer)qn_dtls_id(a)); break;
  case F_MTU: lua_pushinteger(L, (lua_Integer)qn_dtls_mtu(a)); break;
  case F_MAX_SIZE: lua_pushinteger(L, (lua_Integer)qn_dtls_max_size(a)); break;
  case F_PENDING:
    if (has) {
      lua_pushinteger(L, (lua_Integer)data.size);
    } else {
      lua_pushnil(L);
    }
    break;
  case F_HAS_PENDING: lua_pushboolean(L, has); break;
  default:
    if (qn_dtls_state(a) == QN_DTLS_CLOSED) {
      qnl_dtls_push_error(L, a, qn_dtls_error(a), "recv");
    } else {
      lua_pushnil(L);
    }
  }
  return 1;
}

/* set_mtu(bytes) */
static int dtls_set_mtu(lua_State *L)
{
  qnl_dtls_t *u = check(L);
  lua_Integer mtu = luaL_checkinteger(L, 2);
  bool fits = mtu >= (lua_Integer)QN_DTLS_MTU_MIN && mtu <= (lua_Integer)QN_DTLS_MTU_MAX;
  luaL_argcheck(L, fits && qn_dtls_set_mtu(u->a, (unsigned)mtu) == 0, 2,
                "from 228 to 16717 bytes are possible");
  return 0;
}

/* stats() -> table */
static int dtls_stats(lua_State *L)
{
  qn_dtls_stats_t s;
  qn_dtls_get_stats(check(L)->a, &s);
  const struct {
    const char *name;
    uint64_t value;
  } all[] = {{"received", s.received},
             {"received_bytes", s.received_bytes},
             {"sent", s.sent},
             {"sent_bytes", s.sent_bytes},
             {"dropped", s.dropped},
             {"discarded", s.discarded},
             {"retransmissions", s.retransmissions},
             {"queued", s.queued}};
  lua_createtable(L, 0, 8);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    lua_pushinteger(L, (lua_Integer)all[i].value);
    lua_setfield(L, -2, all[i].name);
  }
  return 1;
}

/* core.dtls_facts(connection) -> table */
static int core_dtls_facts(lua_State *L)
{
  qnl_push_tls_facts(L, qn_dtls_tls(check(L)->a));
  lua_getiuservalue(L, 1, 2);
  lua_setfield(L, -2, "configuration");
  return 1;
}

static int dtls_tostring(lua_State *L)
{
  const qn_dtls_t *a = check(L)->a;
  char text[QN_ADDR_TEXT + 8];
  qn_addr_t peer;
  qn_dtls_peer(a, &peer);
  qn_addr_text(&peer, text, sizeof text);
  lua_pushfstring(L, "qn.DtlsConnection: %s%s", text,
                  qn_dtls_state(a) == QN_DTLS_CLOSED ? " (closed)" : "");
  return 1;
}

static const qnl_method_t dtls_methods[] = {{"recv", dtls_recv, 0},
                                            {"each", dtls_each, 0},
                                            {"send", dtls_send, 0},
                                            {"try_send", dtls_try_send, 0},
                                            {"close", dtls_close, 0},
                                            {"abort", dtls_abort, 0},
                                            {"state", dtls_fact, F_STATE},
                                            {"peer_address", dtls_fact, F_PEER_ADDRESS},
                                            {"peer_port", dtls_fact, F_PEER_PORT},
                                            {"local_address", dtls_fact, F_LOCAL_ADDRESS},
                                            {"local_port", dtls_fact, F_LOCAL_PORT},
                                            {"id", dtls_fact, F_ID},
                                            {"mtu", dtls_fact, F_MTU},
                                            {"max_size", dtls_fact, F_MAX_SIZE},
                                            {"pending_size", dtls_fact, F_PENDING},
                                            {"has_pending", dtls_fact, F_HAS_PENDING},
                                            {"error", dtls_fact, F_ERROR},
                                            {"set_mtu", dtls_set_mtu, 0},
                                            {"stats", dtls_stats, 0},
                                            {NULL, NULL, 0}};
static const qnl_method_t dtls_meta[] = {{"__tostring", dtls_tostring, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_dtls = {.name = "qn.DtlsConnection",
                              .methods = dtls_methods,
                              .meta = dtls_meta,
                              .collect = collect,
                              .is_open = is_open,
                              .close = class_close};

void qnl_open_dtls(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"dtls_begin", core_dtls_begin, 0},
                                           {"dtls_shake", core_dtls_shake, 0},
                                           {"dtls_answer", core_dtls_answer, 0},
                                           {"dtls_event", core_dtls_event, 0},
                                           {"dtls_watch", core_dtls_watch, 0},
                                           {"dtls_fetch", core_dtls_fetch, 0},
                                           {"dtls_listen", core_dtls_listen, 0},
                                           {"dtls_facts", core_dtls_facts, 0},
                                           {NULL, NULL, 0}};
  static const char *const weak[] = {&key_all, &key_configs};
  for (int i = 0; i < 2; i++) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, weak[i]);
  }
  qnl_class_register(L, G, &qnl_class_dtls);
  qnl_setfuncs(L, G, functions);
  qnl_open_dtls_server(L, G);
}

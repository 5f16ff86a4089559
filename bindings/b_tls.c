/* b_tls.c: TLS layers on streams: the handshake that a task waits for, and what it asks meanwhile.
 *
 * lua/qn/tls/socket.lua and server.lua check options and call core.tls_start. Questions of the
 * layer (which configuration for this name, what of these errors) are noted, and handed to Lua from
 * the loop; answers come by core.tls_answer. Must not run Lua inside a hook. Invariant: a handshake
 * that fails, times out or is cancelled leaves no stream that anybody could write to in clear.
 */
#include "b_tls.h"

#include <stdio.h>
#include <string.h>

/* Connection -> stream userdata (weak values); connection -> configuration that SNI chose;
 * functions of lua/qn/tls. */
static const char key_streams = 0, key_pins = 0, key_functions = 0;

/* --- calling Lua ----------------------------------------------------------------------------- */

static int called(lua_State *L, int status, lua_KContext ctx)
{
  (void)status, (void)ctx;
  return lua_gettop(L);
}

int qnl_tls_call(lua_State *L, const char *name)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key_functions) != LUA_TTABLE ||
      lua_getfield(L, -1, name) != LUA_TFUNCTION) {
    lua_settop(L, lua_gettop(L) - 1);
    return luaL_error(L, "TLS is not loaded");
  }
  lua_remove(L, -2);
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, called);
  return lua_gettop(L);
}

/* core.tls_functions(table): what C calls: question(stream, what, value), accept(server, ...) ...
 */
static int core_tls_functions(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_functions);
  return 0;
}

/* --- questions ------------------------------------------------------------------------------- */

/* The function that answers, the stream at `stream` and what is asked; a value goes behind them. */
static void begin_question(lua_State *L, int stream, const char *what)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_functions);
  lua_getfield(L, -1, "question");
  lua_replace(L, -2);
  lua_pushvalue(L, stream);
  lua_pushstring(L, what);
}

/* Protected. Argument: the connection. */
static int ask(lua_State *L)
{
  qnl_tls_conn_t *conn = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_streams);
  lua_rawgetp(L, -1, conn);
  int stream = lua_gettop(L);
  if (lua_isnil(L, stream)) {
    return 0; /* nobody has the stream any more: it is about to be closed */
  }
  bool sni = conn->asked_sni, verify = conn->asked_verify;
  conn->asked_sni = conn->asked_verify = false;
  if (sni) {
    begin_question(L, stream, "sni");
    lua_pushstring(L, qn_tls_server_name(conn->t));
    lua_call(L, 3, 0);
  }
  if (verify) {
    begin_question(L, stream, "verify");
    qnl_push_tls_errors(L, conn->t);
    lua_call(L, 3, 0);
  }
  return 0;
}

static void run_questions(qn_ready_t *r)
{
  qnl_tls_conn_t *conn = (qnl_tls_conn_t *)(void *)((char *)r - offsetof(qnl_tls_conn_t, ready));
  lua_State *L = conn->G->L;
  bool sni = conn->asked_sni, verify = conn->asked_verify;
  lua_pushcfunction(L, ask);
  lua_pushlightuserdata(L, conn);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "qnlua: error in a question of TLS: %s\n", text != NULL ? text : "?");
    conn->G->had_unhandled = true;
    lua_pop(L, 1);
    if (sni) {
      qn_tls_answer_config(conn->t, NULL, QN_E_TLS);
    }
    if (verify) {
      qn_tls_answer_verify(conn->t, false);
    }
  }
}

static void on_sni(qn_tls_t *t, const char *name, void *arg)
{
  qnl_tls_conn_t *conn = arg;
  (void)t, (void)name; /* qn_tls_server_name has it still when it is asked */
  conn->asked_sni = true;
  qn_ready_queue(conn->G->loop, &conn->ready);
}

static void on_verify(qn_tls_t *t, void *arg)
{
  qnl_tls_conn_t *conn = arg;
  if (!qnl_observed(conn->u, QNL_EVENT_SSL_ERRORS | QNL_EVENT_VERIFY_ERROR)) {
    qn_tls_answer_verify(t, false); /* at once: so the peer gets the alert that says why */
    return;
  }
  conn->asked_verify = true;
  qn_ready_queue(conn->G->loop, &conn->ready);
}

void qnl_tls_on_event(qn_tls_t *t, int event, int value, void *arg)
{
  static const int events[] = {[QN_TLS_EVENT_UP] = QNL_EVENT_ENCRYPTED,
                               [QN_TLS_EVENT_ALERT_RECEIVED] = QNL_EVENT_ALERT_RECEIVED,
                               [QN_TLS_EVENT_ALERT_SENT] = QNL_EVENT_ALERT_SENT,
                               [QN_TLS_EVENT_SESSION] = QNL_EVENT_SESSION,
                               [QN_TLS_EVENT_VERIFY_ERROR] = QNL_EVENT_VERIFY_ERROR};
  const qnl_tls_conn_t *conn = arg;
  (void)t;
  if (event == QN_TLS_EVENT_SESSION) { /* of which layer, counted from below */
    for (const qnl_tls_conn_t *c = conn->under; c != NULL; c = c->under) {
      value++;
    }
  }
  if (conn->u != NULL && event >= 0 && event < (int)(sizeof events / sizeof *events)) {
    qnl_note(conn->u, events[event], value);
  }
}

static qnl_tls_conn_t *check_conn(lua_State *L)
{
  qnl_tls_conn_t *conn = qnl_check_stream(L, 1)->tls;
  luaL_argcheck(L, conn != NULL, 1, "the stream has no TLS layer");
  return conn;
}

/* core.tls_answer(stream, true | false): the errors are accepted, or not.
 * core.tls_answer(stream, configuration | nil): that one, or the one it has. "refuse": none. */
static int core_tls_answer(lua_State *L)
{
  qnl_tls_conn_t *conn = check_conn(L);
  lua_settop(L, 2);
  if (lua_isboolean(L, 2)) {
    qn_tls_answer_verify(conn->t, lua_toboolean(L, 2));
  } else if (lua_isstring(L, 2)) {
    qn_tls_answer_config(conn->t, NULL, QN_E_TLS);
  } else {
    qnl_tls_config_t *config = lua_isnil(L, 2) ? NULL : qnl_check_tls_config(L, 2);
    if (config != NULL) { /* its functions must be there until the handshake is done */
      lua_rawgetp(L, LUA_REGISTRYINDEX, &key_pins);
      lua_pushvalue(L, 2);
      lua_rawsetp(L, -2, conn);
    }
    qn_tls_answer_config(conn->t, config != NULL ? config->c : NULL, 0);
  }
  return 0;
}

/* What is at `idx` is ignored: {{code, certificate} ...} | true. */
static int ignore(lua_State *L, int idx, const qnl_tls_conn_t *conn)
{
  qn_tls_ignore_t list[QN_TLS_ERRORS_MAX];
  bool all = lua_isboolean(L, idx);
  int n = all ? 0 : qnl_tls_ignores(L, idx, list);
  return n < 0 ? n : qn_tls_ignore(conn->t, list, (size_t)n, all);
}

/* core.tls_ignore(stream, {{code, certificate} ...} | true) -> true | nil, err */
static int core_tls_ignore(lua_State *L)
{
  int rc = ignore(L, 2, check_conn(L));
  if (rc < 0) {
    return qnl_fail(L, rc, "ignore_ssl_errors");
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- life ------------------------------------------------------------------------------------ */

static void forget(lua_State *L, const void *table, const qnl_tls_conn_t *conn)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, table) == LUA_TTABLE) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, conn);
  }
  lua_pop(L, 1);
}

void qnl_tls_settled(const qnl_tls_conn_t *conn) { forget(conn->G->L, &key_pins, conn); }

void qnl_tls_conn_free(qnl_tls_conn_t *conn)
{
  if (conn->gone != NULL) {
    conn->gone(conn);
  }
  forget(conn->G->L, &key_streams, conn);
  forget(conn->G->L, &key_pins, conn);
  qn_ready_drop(&conn->ready);
  if (conn->t != NULL) {
    qn_tls_unhook(conn->t);
    qn_tls_release(conn->t);
  }
  qn_free(conn);
}

/* Unlinks and frees the topmost connection. */
static void drop_top(qnl_stream_t *u)
{
  qnl_tls_conn_t *conn = u->tls;
  u->tls = conn->under;
  qnl_tls_conn_free(conn);
}

void qnl_tls_drop(qnl_stream_t *u)
{
  while (u->tls != NULL) {
    drop_top(u);
  }
}

void qnl_tls_conn_init(qnl_tls_conn_t *conn, qnl_state_t *G)
{
  *conn = (qnl_tls_conn_t){.G = G};
  qn_ready_init(&conn->ready, run_questions);
}

void qnl_tls_conn_name(lua_State *L, int idx, const qnl_tls_conn_t *conn)
{
  idx = lua_absindex(L, idx);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_streams);
  lua_pushvalue(L, idx);
  lua_rawsetp(L, -2, conn);
  lua_pop(L, 1);
}

/* Stack: the stream at 1. */
static qnl_tls_conn_t *new_conn(lua_State *L, qnl_state_t *G, qnl_stream_t *u)
{
  qnl_tls_conn_t *conn = qn_malloc(sizeof *conn);
  if (conn == NULL) {
    luaL_error(L, "out of memory");
    return NULL;
  }
  qnl_tls_conn_init(conn, G);
  conn->u = u;
  conn->under = u->tls;
  u->tls = conn;
  qnl_tls_conn_name(L, 1, conn);
  return conn;
}

/* --- the handshake --------------------------------------------------------------------------- */

void qnl_push_tls_failure(lua_State *L, const qn_tls_t *t, int code, const char *op,
                          const char *peer)
{
  const char *why = code == QN_E_TIMEOUT || code == QN_E_LIMIT ? "" : qn_tls_problem(t);
  qnl_push_error(
      L,
      &(qnl_errinfo_t){
          .code = code, .op = op, .peer = peer, .phase = "tls", .message = *why != 0 ? why : NULL});
  lua_pushliteral(L, "tls");
  qnl_error_set(L, "phase");
  int alert = qn_tls_alert_received(t) > 0 ? qn_tls_alert_received(t) : qn_tls_alert_sent(t);
  if (alert > 0) {
    lua_pushstring(L, qn_tls_alert_name(alert));
    qnl_error_set(L, "alert");
  }
  if (qn_tls_error_count(t) > 0) {
    qnl_push_tls_errors(L, t);
    qnl_error_set(L, "errors");
  }
}

/* Stack: 1 stream, 2 configuration, 3 options, 4 name of the operation, 5 peer or nil. */
static int push_started(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *u = t->wait.obj;
  qnl_tls_settled(u->tls);
  if (result < 0) {
    luaL_pushfail(L);
    char text[QN_ADDR_TEXT + 8];
    const char *peer = lua_tostring(L, 5);
    qnl_push_tls_failure(L, u->tls->t, (int)result, lua_tostring(L, 4),
                         peer != NULL ? peer : qnl_peer_text(u, text, sizeof text));
    if (result == QN_E_TIMEOUT) {
      qn_stream_abort(u->s);
    } else {
      qn_stream_close(u->s); /* an alert may still be on its way out */
    }
    return 2;
  }
  lua_pushboolean(L, 1);
  return 1;
}

static void abandon_start(qnl_task_t *t) { qn_stream_abort(((qnl_stream_t *)t->wait.obj)->s); }

static const char *opt_field(lua_State *L, const char *name)
{
  lua_getfield(L, 3, name); /* stays on the stack, and so stays valid */
  return lua_tostring(L, -1);
}

static void read_opts(lua_State *L, qnl_tls_conn_t *conn, qn_tls_opts_t *o)
{
  *o = (qn_tls_opts_t){.hooks = {.arg = conn, .verify = on_verify, .event = qnl_tls_on_event}};
  lua_getfield(L, 3, "server");
  o->server = lua_toboolean(L, -1);
  lua_getfield(L, 3, "ask_sni");
  o->hooks.sni = lua_toboolean(L, -1) ? on_sni : NULL;
  o->server_name = opt_field(L, "server_name");
  o->verify_name = opt_field(L, "verify_name");
  o->peer = opt_field(L, "peer");
  lua_getfield(L, 3, "session");
  o->session = qnl_test(L, -1, &qnl_class_tls_session);
}

/* What leaves the stream as it was. */
static bool is_refused(int rc)
{
  return rc == QN_E_PLAINTEXT || rc == QN_E_BUSY || rc == QN_E_CLOSED || rc == QN_E_NOT_CONNECTED ||
         rc == QN_E_LIMIT || rc == QN_E_SHUTDOWN;
}

/* core.tls_start(stream, configuration, {server=, server_name=, verify_name=, peer=, session=,
 * ask_sni=, ignore=, timeout=}, op, peer) ! -> true | nil, err */
static int core_tls_start(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  qnl_tls_config_t *config = qnl_check_tls_config(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  const char *op = luaL_checkstring(L, 4);
  if (u->txn != NULL) { /* what it gives back would look as if it had come through the new layer */
    return luaL_error(L, "%s: a transaction is open", op);
  }
  lua_settop(L, 5);
  lua_getfield(L, 3, "timeout");
  uint64_t timeout = qnl_seconds(L, 6, 10000);
  lua_settop(L, 5);
  QNL_ENTER(L, G, t, core_tls_start, op);
  qn_tls_opts_t o;
  qnl_tls_conn_t *conn = new_conn(L, G, u);
  read_opts(L, conn, &o);
  int rc = qn_tls_new(config->c, &o, &conn->t);
  if (rc == 0 && lua_getfield(L, 3, "ignore") != LUA_TNIL) {
    rc = ignore(L, lua_gettop(L), conn);
  }
  if (rc < 0) {
    const char *why = qn_tls_config_problem(config->c);
    drop_top(u);
    return qnl_fail_info(L, &(qnl_errinfo_t){.code = rc,
                                             .op = op,
                                             .phase = "tls",
                                             .peer = lua_tostring(L, 5),
                                             .message = *why != 0 ? why : NULL});
  }
  t->wait.obj = u;
  t->wait.phase = "tls";
  rc = qn_tls_start(conn->t, u->s, &t->op);
  if (!is_refused(rc)) {
    qnl_note(u, QNL_EVENT_MODE, o.server);
  }
  if (rc == QN_AGAIN) {
    t->wait.abandon = abandon_start;
    qnl_wait_for(t, timeout);
    return qnl_wait(L, t, push_started);
  }
  if (is_refused(rc)) {
    drop_top(u);
    return qnl_stream_fail(L, u, rc, op, "tls");
  }
  return push_started(L, t, rc);
}

/* core.tls_key_update(stream, request) -> true | nil, err */
static int core_tls_key_update(lua_State *L)
{
  qnl_tls_conn_t *conn = check_conn(L);
  int rc = qn_tls_key_update(conn->t, lua_toboolean(L, 2));
  if (rc < 0) {
    return qnl_stream_fail(L, conn->u, rc, "update_keys", NULL);
  }
  lua_pushboolean(L, 1);
  return 1;
}

void qnl_open_tls(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {
      {"tls_start", core_tls_start, 0},         {"tls_answer", core_tls_answer, 0},
      {"tls_ignore", core_tls_ignore, 0},       {"tls_key_update", core_tls_key_update, 0},
      {"tls_functions", core_tls_functions, 0}, {NULL, NULL, 0}};
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_streams);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_pins);
  qnl_setfuncs(L, G, functions);
  qnl_open_tls_config(L, G);
  qnl_open_tls_facts(L, G);
}

/* b_tls_facts.c: what is known of a TLS connection (stream:tls()), and sessions to resume with.
 *
 * Facts are copied into a table at each call; certificates and sessions are values with references
 * of their own, so they outlive the stream. A session is a secret: it shows nothing of itself.
 */
#include "b_tls.h"

#include <string.h>

static void set_string(lua_State *L, const char *field, const char *value)
{
  if (value != NULL) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
  }
}

static void set_bytes(lua_State *L, const char *field, qn_slice_t value)
{
  if (value.size != 0) {
    lua_pushlstring(L, (const char *)value.data, value.size);
    lua_setfield(L, -2, field);
  }
}

static void set_integer(lua_State *L, const char *field, lua_Integer value)
{
  lua_pushinteger(L, value);
  lua_setfield(L, -2, field);
}

static void set_boolean(lua_State *L, const char *field, bool value)
{
  lua_pushboolean(L, value);
  lua_setfield(L, -2, field);
}

/* As the standards of TLS call a curve; others have one name only. */
static const char *curve_name(const char *name)
{
  static const char *const names[][2] = {
      {"prime256v1", "P-256"}, {"secp384r1", "P-384"}, {"secp521r1", "P-521"}};
  for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++) {
    if (strcmp(name, names[i][0]) == 0) {
      return names[i][1];
    }
  }
  return name;
}

/* Pushes the certificate (one reference is taken over when the box exists). */
static void push_cert(lua_State *L, const qn_tls_t *t, size_t i)
{
  qn_cert_t *cert = NULL;
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_certificate);
  if (qn_tls_peer_cert(t, i, &cert) < 0) {
    luaL_error(L, "out of memory");
  }
  box->obj = cert;
}

/* --- verification errors ---------------------------------------------------------------------- */

void qnl_push_tls_errors(lua_State *L, const qn_tls_t *t)
{
  size_t n = qn_tls_error_count(t);
  if (n == 0) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    qn_tls_error_t e = qn_tls_error_at(t, i);
    qnl_push_error(
        L, &(qnl_errinfo_t){.code = e.err, .op = "verify", .message = e.text, .phase = "tls"});
    lua_pushinteger(L, e.depth);
    qnl_error_set(L, "depth");
    if (e.cert != NULL) {
      qnl_box_t *box = qnl_push_empty(L, &qnl_class_certificate);
      box->obj = qn_cert_retain(e.cert);
      qnl_error_set(L, "certificate");
    }
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* --- sessions -------------------------------------------------------------------------------- */

void qnl_push_tls_session(lua_State *L, const qn_tls_t *t)
{
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_tls_session);
  box->obj = qn_tls_session(t);
  if (box->obj == NULL) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

static void session_collect(qnl_state_t *G, void *obj)
{
  (void)G;
  qn_tls_session_release(obj);
}

/* session:export() -> bytes */
static int session_export(lua_State *L)
{
  qn_tls_session_t *s = qnl_check(L, 1, &qnl_class_tls_session);
  uint8_t *bytes = NULL;
  size_t size = 0;
  int rc = qn_tls_session_export(s, &bytes, &size);
  if (rc < 0) {
    return qnl_fail(L, rc, "export");
  }
  lua_pushlstring(L, (const char *)bytes, size);
  qn_secret_free(bytes, size);
  return 1;
}

static int session_index(lua_State *L)
{
  const qn_tls_session_t *s = qnl_check(L, 1, &qnl_class_tls_session);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "version") == 0) {
    lua_pushstring(L, qn_tls_version_name(qn_tls_session_version(s)));
  } else if (strcmp(key, "expires") == 0) {
    lua_pushinteger(L, (lua_Integer)qn_tls_session_expires(s));
  } else {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
  }
  return 1;
}

static int session_tostring(lua_State *L)
{
  const qn_tls_session_t *s = qnl_check(L, 1, &qnl_class_tls_session);
  lua_pushfstring(L, "qn.TlsSession: %s", qn_tls_version_name(qn_tls_session_version(s)));
  return 1;
}

/* core.tls_session(bytes) -> session | nil, err */
static int core_tls_session(lua_State *L)
{
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_tls_session);
  qn_tls_session_t *s = NULL;
  int rc = qn_tls_session_import((qn_slice_t){(const uint8_t *)bytes, size}, &s);
  if (rc < 0) {
    return qnl_fail(L, rc, "session");
  }
  box->obj = s;
  return 1;
}

static const qnl_method_t session_methods[] = {{"export", session_export, 0}, {NULL, NULL, 0}};
static const qnl_method_t session_meta[] = {{"__tostring", session_tostring, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_tls_session = {.name = "qn.TlsSession",
                                     .methods = session_methods,
                                     .meta = session_meta,
                                     .collect = session_collect,
                                     .index = session_index,
                                     .weight = 4};

/* --- facts ----------------------------------------------------------------------------------- */

static void push_chain(lua_State *L, const qn_tls_t *t)
{
  size_t n = qn_tls_peer_count(t);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    push_cert(L, t, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  if (n > 0) {
    lua_rawgeti(L, -1, 1);
    lua_setfield(L, -3, "peer");
  }
  lua_setfield(L, -2, "chain");
}

void qnl_push_tls_facts(lua_State *L, const qn_tls_t *t)
{
  int bits = 0;
  lua_createtable(L, 0, 16);
  set_boolean(L, "encrypted", qn_tls_is_up(t));
  set_boolean(L, "server", qn_tls_is_server(t));
  set_boolean(L, "resumed", qn_tls_resumed(t));
  if (qn_tls_version(t) != 0) {
    set_string(L, "version", qn_tls_version_name(qn_tls_version(t)));
  }
  set_string(L, "cipher", qn_tls_cipher(t));
  if (qn_tls_cipher_bits(t) != 0) {
    set_integer(L, "cipher_bits", qn_tls_cipher_bits(t));
  }
  uint64_t received, sent;
  qn_tls_wire(t, &received, &sent);
  set_integer(L, "wire_received", (lua_Integer)received);
  set_integer(L, "wire_sent", (lua_Integer)sent);
  set_string(L, "server_name", qn_tls_server_name(t));
  set_string(L, "ephemeral_key", curve_name(qn_tls_ephemeral_key(t, &bits)));
  if (bits != 0) {
    set_integer(L, "ephemeral_key_bits", bits);
  }
  set_bytes(L, "alpn", qn_tls_alpn(t));
  set_string(L, "psk_identity", qn_tls_psk_identity(t));
  if (qnl_push_tls_ocsp(L, t)) {
    lua_setfield(L, -2, "ocsp");
  }
  if (qn_tls_alert_received(t) >= 0) {
    set_string(L, "alert_received", qn_tls_alert_name(qn_tls_alert_received(t)));
  }
  if (qn_tls_alert_sent(t) >= 0) {
    set_string(L, "alert_sent", qn_tls_alert_name(qn_tls_alert_sent(t)));
  }
  push_chain(L, t);
  qnl_push_tls_errors(L, t);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
  }
  lua_setfield(L, -2, "errors");
  qnl_push_tls_session(L, t);
  lua_setfield(L, -2, "session");
}

/* core.tls_facts(stream) -> table | nil */
static int core_tls_facts(lua_State *L)
{
  const qnl_stream_t *u = qnl_check_stream(L, 1);
  if (u->tls == NULL) {
    lua_pushnil(L);
  } else {
    qnl_push_tls_facts(L, u->tls->t);
  }
  return 1;
}

/* core.tls_state(stream) -> nil (no TLS), "handshake" (also one that has failed), "up" */
static int core_tls_state(lua_State *L)
{
  const qnl_stream_t *u = qnl_check_stream(L, 1);
  if (u->tls == NULL) {
    lua_pushnil(L);
  } else {
    lua_pushstring(L, qn_tls_is_up(u->tls->t) ? "up" : "handshake");
  }
  return 1;
}

/* core.tls_library() -> text, {versions} */
static int core_tls_library(lua_State *L)
{
  lua_pushstring(L, qn_tls_library());
  lua_newtable(L);
  for (int i = 0; qn_tls_protocols()[i] != 0; i++) {
    lua_pushstring(L, qn_tls_version_name(qn_tls_protocols()[i]));
    lua_rawseti(L, -2, i + 1);
  }
  return 2;
}

void qnl_open_tls_facts(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"tls_facts", core_tls_facts, 0},
                                           {"tls_session", core_tls_session, 0},
                                           {"tls_library", core_tls_library, 0},
                                           {"tls_state", core_tls_state, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_tls_session);
  qnl_open_ocsp(L, G);
  qnl_setfuncs(L, G, functions);
}

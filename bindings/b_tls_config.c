/* b_tls_config.c: the class qn.TlsConfiguration: what lua/qn/tls/configuration.lua sets up.
 *
 * core.tls_config() makes an empty one, core.tls_set(config, what, ...) changes it: true, or nil
 * and an error that says why. Options were checked in Lua; certificates and keys are values or the
 * bytes of PEM or DER. Must not wait or run Lua but the function that chooses a protocol
 * (b_tls_choice.c).
 */
#include "b_tls.h"

#include <stdio.h>
#include <string.h>

qnl_tls_config_t *qnl_check_tls_config(lua_State *L, int idx)
{
  return qnl_check(L, idx, &qnl_class_tls_config);
}

static int config_fail(lua_State *L, const qnl_tls_config_t *u, int rc)
{
  const char *why = qn_tls_config_problem(u->c);
  return qnl_fail_info(
      L, &(qnl_errinfo_t){.code = rc, .op = "configuration", .message = *why != 0 ? why : NULL});
}

/* --- certificates and keys ------------------------------------------------------------------- */

/* Adds what the value at `idx` is or holds. Raises for another type. */
static int collect_certs(lua_State *L, int idx, qn_certs_t *list)
{
  qn_cert_t *cert = qnl_test(L, idx, &qnl_class_certificate);
  if (cert != NULL) {
    return qn_certs_add(list, cert);
  }
  size_t size;
  const char *bytes = lua_tolstring(L, idx, &size);
  return bytes != NULL ? qn_certs_parse(bytes, size, list) : QN_E_CERT_FORMAT;
}

/* The same of a list. */
static int collect_list(lua_State *L, int idx, qn_certs_t *list)
{
  int rc = 0;
  for (lua_Integer i = 1; rc == 0 && lua_istable(L, idx) && lua_rawgeti(L, idx, i) != LUA_TNIL;
       i++) {
    rc = collect_certs(L, lua_gettop(L), list);
    lua_pop(L, 1);
  }
  return rc;
}

/* core.tls_set(config, "ca", certificate) */
static int set_ca(lua_State *L, qnl_tls_config_t *u)
{
  qn_certs_t list = {0};
  int rc = collect_certs(L, 3, &list);
  for (size_t i = 0; rc == 0 && i < list.count; i++) {
    rc = qn_tls_config_add_ca(u->c, list.items[i]);
  }
  qn_certs_free(&list);
  return rc;
}

/* core.tls_set(config, "client_ca", {certificates}) */
static int set_client_ca(lua_State *L, qnl_tls_config_t *u)
{
  qn_certs_t list = {0};
  int rc = collect_list(L, 3, &list);
  if (rc == 0) {
    rc = qn_tls_config_set_client_ca(u->c, list.items, list.count);
  }
  qn_certs_free(&list);
  return rc;
}

/* core.tls_set(config, "cert", certificate, {chain}, key, passphrase): what a bundle holds behind
 * its first certificate is chain, too. */
static int set_cert(lua_State *L, qnl_tls_config_t *u)
{
  qn_certs_t list = {0};
  qn_key_t *key = qnl_test(L, 5, &qnl_class_key), *own = NULL;
  int rc = collect_certs(L, 3, &list);
  if (rc == 0) {
    rc = collect_list(L, 4, &list);
  }
  if (rc == 0 && key == NULL) {
    size_t size, pass_size = 0;
    const char *bytes = lua_tolstring(L, 5, &size);
    const char *pass = lua_tolstring(L, 6, &pass_size);
    rc = bytes != NULL ? qn_key_parse(bytes, size, pass, pass_size, &own) : QN_E_KEY_FORMAT;
    key = own;
  }
  if (rc == 0) {
    rc = qn_tls_config_add_cert(u->c, list.items[0], list.items + 1, list.count - 1, key);
  }
  qn_key_release(own);
  qn_certs_free(&list);
  return rc;
}

/* --- lists ----------------------------------------------------------------------------------- */

/* core.tls_set(config, "alpn", {names}) */
static int set_alpn(lua_State *L, qnl_tls_config_t *u)
{
  qn_slice_t names[QN_TLS_ALPN_NAMES_MAX];
  size_t n = 0;
  luaL_checkstack(L, (int)QN_TLS_ALPN_NAMES_MAX + 2, NULL);
  for (; lua_rawgeti(L, 3, (lua_Integer)n + 1) == LUA_TSTRING; n++) {
    if (n == QN_TLS_ALPN_NAMES_MAX) {
      return QN_E_LIMIT;
    }
    names[n].data = (const uint8_t *)lua_tolstring(L, -1, &names[n].size);
  }
  return qn_tls_config_set_alpn(u->c, names, n);
}

/* core.tls_set(config, "pins", {32 bytes each}) and "ticket_keys", {80 bytes each} */
static int set_blocks(lua_State *L, qnl_tls_config_t *u, bool pins)
{
  size_t n = (size_t)lua_rawlen(L, 3), each = pins ? 32 : 80;
  uint8_t *all = lua_newuserdatauv(L, n * each + 1, 0);
  for (size_t i = 0; i < n; i++) {
    size_t size;
    lua_rawgeti(L, 3, (lua_Integer)i + 1);
    const char *bytes = lua_tolstring(L, -1, &size);
    if (bytes == NULL || size != each) {
      return QN_E_INVALID;
    }
    memcpy(all + i * each, bytes, each);
    lua_pop(L, 1);
  }
  int rc = pins ? qn_tls_config_set_pins(u->c, (const uint8_t(*)[32])all, n)
                : qn_tls_config_set_ticket_keys(u->c, (const uint8_t(*)[80])all, n);
  explicit_bzero(all, n * each);
  return rc;
}

int qnl_tls_ignores(lua_State *L, int idx, qn_tls_ignore_t list[QN_TLS_ERRORS_MAX])
{
  int n = 0;
  for (; lua_rawgeti(L, idx, (lua_Integer)n + 1) == LUA_TTABLE; n++) {
    if (n == (int)QN_TLS_ERRORS_MAX) {
      return QN_E_LIMIT;
    }
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    list[n] = (qn_tls_ignore_t){.err = qnl_verify_code(lua_tostring(L, -2)),
                                .cert = qnl_test(L, -1, &qnl_class_certificate)};
    lua_pop(L, 3);
  }
  lua_pop(L, 1);
  return n;
}

/* core.tls_set(config, "ignore", {{code, certificate or nil} ...} | true | false) */
static int set_ignore(lua_State *L, qnl_tls_config_t *u)
{
  qn_tls_ignore_t list[QN_TLS_ERRORS_MAX];
  if (lua_isboolean(L, 3)) {
    return qn_tls_config_set_ignore_all(u->c, lua_toboolean(L, 3));
  }
  int n = qnl_tls_ignores(L, 3, list);
  return n < 0 ? n : qn_tls_config_set_ignore(u->c, list, (size_t)n);
}

/* --- the ALPN choice ------------------------------------------------------------------------- */

typedef struct choice {
  qnl_tls_config_t *u;
  const qn_slice_t *names;
  size_t n;
  int chosen;
} choice_t;

/* Protected. The user's function gets the list of names and gives one of them, or nil. */
static int choose(lua_State *L)
{
  choice_t *c = lua_touserdata(L, 1);
  qnl_tls_push_choice(L, c->u, "alpn");
  lua_createtable(L, (int)c->n, 0);
  for (size_t i = 0; i < c->n; i++) {
    lua_pushlstring(L, (const char *)c->names[i].data, c->names[i].size);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_call(L, 1, 1);
  size_t size;
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
  for (size_t i = 0; name != NULL && i < c->n; i++) {
    if (c->names[i].size == size && memcmp(c->names[i].data, name, size) == 0) {
      c->chosen = (int)i;
      break;
    }
  }
  return 0;
}

static int on_alpn(qn_tls_t *t, const qn_slice_t *names, size_t n, void *arg)
{
  (void)t;
  choice_t c = {.u = arg, .names = names, .n = n, .chosen = -1};
  return qnl_tls_ask_choice(c.u->G, choose, &c, "the choice of alpn") ? c.chosen : -1;
}

/* core.tls_set(config, "alpn_choice", function) */
static int set_alpn_choice(lua_State *L, qnl_tls_config_t *u)
{
  qnl_tls_keep_choice(L, u, "alpn");
  return qn_tls_config_set_alpn_choice(u->c, on_alpn, u);
}

/* --- the switchboard ------------------------------------------------------------------------- */

enum {
  SET_VERSIONS,
  SET_CIPHERS,
  SET_CIPHERSUITES,
  SET_CURVES,
  SET_CA,
  SET_CA_PATH,
  SET_SYSTEM_CA,
  SET_VERIFY,
  SET_DEPTH,
  SET_IGNORE,
  SET_PINS,
  SET_CERT,
  SET_CLIENT_CA,
  SET_ALPN,
  SET_ALPN_CHOICE,
  SET_SESSIONS,
  SET_TICKETS,
  SET_TICKET_KEYS,
  SET_ROTATE,
  SET_SNI,
  SET_KEYLOG,
  SET_OCSP,
  SET_STAPLE,
  SET_ORDER,
  SET_OPENSSL,
  SET_PSK,
  SET_PSK_HINT,
  SET_PREPARE,
  SET_FORGET
};
static const char *const set_names[] = {
    "versions",  "ciphers", "ciphersuites", "curves",   "ca",          "ca_path",
    "system_ca", "verify",  "verify_depth", "ignore",   "pin_sha256",  "cert",
    "client_ca", "alpn",    "alpn_choice",  "sessions", "tickets",     "ticket_keys",
    "rotate",    "sni",     "keylog",       "ocsp",     "ocsp_staple", "cipher_preference",
    "openssl",   "psk",     "psk_hint",     "prepare",  "forget",      NULL};
static const char *const ocsp_names[] = {"off", "request", "require", NULL};
static const char *const verify_names[] = {"auto", "none", "query", "peer", NULL};

static int set_staple(lua_State *L, qnl_tls_config_t *u)
{
  qn_slice_t der = {0};
  if (!lua_isnoneornil(L, 3)) {
    der.data = (const uint8_t *)luaL_checklstring(L, 3, &der.size);
  }
  return qn_tls_config_set_ocsp_staple(u->c, der);
}

static int set_sni(lua_State *L, qnl_tls_config_t *u)
{
  qnl_tls_config_t *other = lua_isnoneornil(L, 4) ? NULL : qnl_check_tls_config(L, 4);
  return qn_tls_config_set_sni(u->c, luaL_checkstring(L, 3), other != NULL ? other->c : NULL);
}

static int set_one(lua_State *L, qnl_tls_config_t *u, int what)
{
  qn_tls_config_t *c = u->c;
  switch (what) {
  case SET_VERSIONS:
    return qn_tls_config_set_versions(c, (int)luaL_optinteger(L, 3, 0),
                                      (int)luaL_optinteger(L, 4, 0));
  case SET_CIPHERS: return qn_tls_config_set_ciphers(c, luaL_checkstring(L, 3));
  case SET_CIPHERSUITES: return qn_tls_config_set_ciphersuites(c, luaL_checkstring(L, 3));
  case SET_CURVES: return qn_tls_config_set_curves(c, luaL_checkstring(L, 3));
  case SET_CA: return set_ca(L, u);
  case SET_CA_PATH: return qn_tls_config_add_ca_path(c, luaL_checkstring(L, 3));
  case SET_SYSTEM_CA: return qn_tls_config_set_system_ca(c, lua_toboolean(L, 3));
  case SET_VERIFY:
    return qn_tls_config_set_verify(c, (qn_tls_verify_t)luaL_checkoption(L, 3, NULL, verify_names));
  case SET_DEPTH: return qn_tls_config_set_depth(c, (int)luaL_checkinteger(L, 3));
  case SET_IGNORE: return set_ignore(L, u);
  case SET_PINS: return set_blocks(L, u, true);
  case SET_CERT: return set_cert(L, u);
  case SET_CLIENT_CA: return set_client_ca(L, u);
  case SET_ALPN: return set_alpn(L, u);
  case SET_ALPN_CHOICE: return set_alpn_choice(L, u);
  case SET_SESSIONS: return qn_tls_config_set_sessions(c, lua_toboolean(L, 3));
  case SET_TICKETS: return qn_tls_config_set_tickets(c, lua_toboolean(L, 3));
  case SET_TICKET_KEYS: return set_blocks(L, u, false);
  case SET_ROTATE: return qn_tls_config_rotate_tickets(c);
  case SET_SNI: return set_sni(L, u);
  case SET_KEYLOG: return qn_tls_config_set_keylog(c, luaL_checkstring(L, 3));
  case SET_OCSP:
    return qn_tls_config_set_ocsp(c, (qn_tls_ocsp_t)luaL_checkoption(L, 3, NULL, ocsp_names));
  case SET_STAPLE: return set_staple(L, u);
  case SET_ORDER:
    return qn_tls_config_set_client_order(c, strcmp(luaL_checkstring(L, 3), "client") == 0);
  case SET_OPENSSL:
    return qn_tls_config_add_openssl(c, luaL_checkstring(L, 3), luaL_checkstring(L, 4));
  case SET_PSK: return qnl_tls_set_psk(L, u);
  case SET_PSK_HINT: return qn_tls_config_set_psk_hint(c, luaL_checkstring(L, 3));
  case SET_PREPARE: return qn_tls_config_prepare(c, lua_toboolean(L, 3));
  default: qn_tls_config_forget(c, luaL_optstring(L, 3, NULL)); return 0;
  }
}

/* core.tls_set(config, what, ...) -> true | nil, err */
static int core_tls_set(lua_State *L)
{
  qnl_tls_config_t *u = qnl_check_tls_config(L, 1);
  int what = luaL_checkoption(L, 2, NULL, set_names);
  lua_settop(L, 6);
  int rc = set_one(L, u, what);
  if (rc < 0) {
    return config_fail(L, u, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- life ------------------------------------------------------------------------------------ */

/* core.tls_config() -> an empty configuration; its user value is a table for Lua files. */
static int core_tls_config(lua_State *L)
{
  qnl_tls_config_t *u = lua_newuserdatauv(L, sizeof *u, 1);
  memset(u, 0, sizeof *u);
  u->box.cls = &qnl_class_tls_config;
  u->G = qnl_G(L);
  qnl_set_metatable(L, &qnl_class_tls_config);
  u->c = qn_tls_config_new();
  if (u->c == NULL) {
    return luaL_error(L, "out of memory");
  }
  u->box.obj = u;
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* core.tls_own(config) -> the table that belongs to it */
static int core_tls_own(lua_State *L)
{
  qnl_check_tls_config(L, 1);
  lua_getiuservalue(L, 1, 1);
  return 1;
}

static void config_collect(qnl_state_t *G, void *obj)
{
  qnl_tls_config_t *u = obj;
  qnl_tls_forget_choices(G->L, u);
  qn_tls_config_release(u->c);
  u->c = NULL;
}

/* A copy of the list (or list of lists) at the top replaces it: fields are read-only. */
static void copy_list(lua_State *L)
{
  luaL_checkstack(L, 8, NULL);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3) != 0) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    if (lua_istable(L, -1)) {
      copy_list(L);
    }
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

/* Methods, then what lua/qn/tls/configuration.lua has put into the table that belongs to it. */
static int config_index(lua_State *L)
{
  qnl_check_tls_config(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  if (lua_isnil(L, -1)) {
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    if (lua_istable(L, -1)) {
      copy_list(L);
    }
  }
  return 1;
}

static int config_newindex(lua_State *L)
{
  return luaL_error(L, "attempt to change field '%s' of a qn.TlsConfiguration (use with)",
                    luaL_tolstring(L, 2, NULL));
}

/* core.tls_is(value, "configuration" | "certificate" | "key" | "session") -> boolean */
static int core_tls_is(lua_State *L)
{
  static const char *const names[] = {"configuration", "certificate", "key", "session", NULL};
  static const qnl_class_t *const classes[] = {&qnl_class_tls_config, &qnl_class_certificate,
                                               &qnl_class_key, &qnl_class_tls_session};
  lua_pushboolean(L, qnl_test(L, 1, classes[luaL_checkoption(L, 2, NULL, names)]) != NULL);
  return 1;
}

int qnl_verify_code(const char *name)
{
  for (int n = 1; n < 200; n++) {
    if (name != NULL && strcmp(qn_err_name(QN_E_VERIFY(n)), name) == 0) {
      return QN_E_VERIFY(n);
    }
  }
  return 0;
}

/* core.tls_error_name(text) -> whether it is the code of a verification error */
static int core_tls_error_name(lua_State *L)
{
  lua_pushboolean(L, qnl_verify_code(lua_tostring(L, 1)) != 0);
  return 1;
}

static int config_tostring(lua_State *L)
{
  lua_pushfstring(L, "qn.TlsConfiguration: %p", (void *)qnl_check_tls_config(L, 1));
  return 1;
}

static const qnl_method_t config_methods[] = {{NULL, NULL, 0}};
static const qnl_method_t config_meta[] = {
    {"__tostring", config_tostring, 0}, {"__newindex", config_newindex, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_tls_config = {.name = "qn.TlsConfiguration",
                                    .methods = config_methods,
                                    .meta = config_meta,
                                    .collect = config_collect,
                                    .index = config_index};

void qnl_open_tls_config(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"tls_config", core_tls_config, 0},
                                           {"tls_own", core_tls_own, 0},
                                           {"tls_set", core_tls_set, 0},
                                           {"tls_is", core_tls_is, 0},
                                           {"tls_error_name", core_tls_error_name, 0},
                                           {NULL, NULL, 0}};
  qnl_open_tls_choice(L);
  qnl_class_register(L, G, &qnl_class_tls_config);
  qnl_setfuncs(L, G, functions);
}

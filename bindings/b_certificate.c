/* b_certificate.c: qn.Certificate values: fields, text, comparison.
 *
 * Lists become tables in b_certificate_list.c; reading and verifying are in b_certificate_read.c. A
 * value holds one reference to an immutable certificate; fields are made when they are asked for,
 * lists are copies. Must not wait. Invariant: what the core gave is freed on every path: it becomes
 * Lua values in a protected call.
 */
#include "b_certificate.h"

#include "b_key.h"
#include "sched.h"

#include <string.h>
#include <time.h>

/* --- results of the core become values -------------------------------------------------------- */

int qnl_protected_push(lua_State *L, lua_CFunction push, const void *from)
{
  lua_pushcfunction(L, push);
  lua_pushlightuserdata(L, (void *)(uintptr_t)from);
  return lua_pcall(L, 1, 1, 0);
}

static int push_bytes(lua_State *L)
{
  const qn_cert_bytes_t *bytes = lua_touserdata(L, 1);
  lua_pushlstring(L, (const char *)bytes->data, bytes->size);
  return 1;
}

int qnl_give_bytes(lua_State *L, int rc, qn_cert_bytes_t *bytes, const char *op)
{
  if (rc != 0) {
    return qnl_fail(L, rc, op);
  }
  int status = qnl_protected_push(L, push_bytes, bytes);
  qn_free(bytes->data);
  return status == LUA_OK ? 1 : lua_error(L);
}

int qnl_certificate_push(lua_State *L, qn_cert_t *cert)
{
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_certificate);
  box->obj = qn_cert_retain(cert);
  return 1;
}

typedef int (*list_fn)(const qn_cert_t *cert, qn_cert_list_t *out);

/* Only memory can be short: limits cut lists. */
static int show(lua_State *L, int rc, qn_cert_list_t *list, lua_CFunction push)
{
  if (rc != 0) {
    return luaL_error(L, "qn.Certificate: %s", qn_err_text(rc));
  }
  int status = qnl_protected_push(L, push, list);
  qn_cert_list_free(list);
  return status == LUA_OK ? 1 : lua_error(L);
}

static int give_list(lua_State *L, const qn_cert_t *cert, list_fn list_of, lua_CFunction push)
{
  qn_cert_list_t list = {NULL, 0, 0, false};
  return show(L, list_of(cert, &list), &list, push);
}

static int give_values(lua_State *L, const qn_cert_t *cert, const char *id, lua_CFunction push)
{
  qn_cert_list_t list = {NULL, 0, 0, false};
  return show(L, qn_cert_extension_values(cert, id, &list), &list, push);
}

/* --- fields ----------------------------------------------------------------------------------- */

typedef enum field {
  SUBJECT = 1,
  ISSUER,
  SERIAL,
  VERSION,
  NOT_BEFORE,
  NOT_AFTER,
  IS_VALID,
  NAMES,
  EXTENSIONS,
  PUBLIC_KEY,
  SELF_SIGNED,
  IS_CA,
  PATH_LENGTH,
  KEY_USAGE,
  USAGE,
  KEY_ID,
  ISSUER_KEY_ID,
  OCSP_URLS,
  ISSUER_URLS,
  CRL_URLS,
  SIGNATURE_ALGORITHM,
  SUBJECT_DISPLAY_NAME,
  ISSUER_DISPLAY_NAME
} field_t;

static const struct {
  const char *name;
  field_t id;
} fields[] = {{"subject", SUBJECT},
              {"issuer", ISSUER},
              {"serial", SERIAL},
              {"version", VERSION},
              {"not_before", NOT_BEFORE},
              {"not_after", NOT_AFTER},
              {"is_valid", IS_VALID},
              {"names", NAMES},
              {"extensions", EXTENSIONS},
              {"public_key", PUBLIC_KEY},
              {"self_signed", SELF_SIGNED},
              {"is_ca", IS_CA},
              {"path_length", PATH_LENGTH},
              {"key_usage", KEY_USAGE},
              {"usage", USAGE},
              {"key_id", KEY_ID},
              {"issuer_key_id", ISSUER_KEY_ID},
              {"ocsp_urls", OCSP_URLS},
              {"issuer_urls", ISSUER_URLS},
              {"crl_urls", CRL_URLS},
              {"signature_algorithm", SIGNATURE_ALGORITHM},
              {"subject_display_name", SUBJECT_DISPLAY_NAME},
              {"issuer_display_name", ISSUER_DISPLAY_NAME}};

/* What extensions say, by their number. */
#define EXT_USAGE "2.5.29.37"
#define EXT_ACCESS "1.3.6.1.5.5.7.1.1"
#define EXT_CRL "2.5.29.31"
#define EXT_KEY_ID "2.5.29.14"
#define EXT_ISSUER_KEY_ID "2.5.29.35"

static int push_serial_text(lua_State *L)
{
  const qn_cert_bytes_t *bytes = lua_touserdata(L, 1);
  qnl_push_hex(L, bytes->data, bytes->size);
  return 1;
}

static int push_serial(lua_State *L, const qn_cert_t *cert)
{
  qn_cert_bytes_t bytes;
  bool negative;
  int rc = qn_cert_serial(cert, &bytes, &negative);
  if (rc != 0) {
    return luaL_error(L, "qn.Certificate: %s", qn_err_text(rc));
  }
  int status = qnl_protected_push(L, push_serial_text, &bytes);
  qn_free(bytes.data);
  if (status != LUA_OK) {
    return lua_error(L);
  }
  if (negative) {
    lua_pushliteral(L, "-");
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return 1;
}

static int push_time(lua_State *L, int64_t t)
{
  if (t == QN_CERT_NO_TIME) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, t);
  }
  return 1;
}

static bool dates_are_valid(const qn_cert_t *cert)
{
  int64_t from = qn_cert_not_before(cert), to = qn_cert_not_after(cert), now = time(NULL);
  return from != QN_CERT_NO_TIME && to != QN_CERT_NO_TIME && from <= now && now <= to;
}

static int push_display_name(lua_State *L, const qn_cert_t *cert, bool of_issuer)
{
  qn_cert_bytes_t bytes;
  int rc = qn_cert_display_name(cert, of_issuer, &bytes);
  return rc != 0 ? luaL_error(L, "qn.Certificate: %s", qn_err_text(rc))
                 : qnl_give_bytes(L, rc, &bytes, NULL);
}

static int push_algorithm(lua_State *L, const qn_cert_t *cert)
{
  char text[160];
  lua_pushlstring(L, text, qn_cert_signature_algorithm(cert, text, sizeof text));
  return 1;
}

static int push_path_length(lua_State *L, const qn_cert_t *cert)
{
  int n = qn_cert_path_length(cert);
  if (n >= 0) {
    lua_pushinteger(L, n);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static int push_usage(lua_State *L, const qn_cert_t *cert)
{
  give_values(L, cert, EXT_USAGE, qnl_push_usages);
  if (lua_rawlen(L, -1) == 0) {
    lua_pushnil(L);
  }
  return 1;
}

static int push_field(lua_State *L, const qn_cert_t *cert, field_t id)
{
  switch (id) {
  case SUBJECT: return give_list(L, cert, qn_cert_subject, qnl_push_attributes);
  case ISSUER: return give_list(L, cert, qn_cert_issuer, qnl_push_attributes);
  case NAMES: return give_list(L, cert, qn_cert_names, qnl_push_names);
  case EXTENSIONS: return give_list(L, cert, qn_cert_extensions, qnl_push_extensions);
  case SERIAL: return push_serial(L, cert);
  case VERSION: lua_pushinteger(L, qn_cert_version(cert)); return 1;
  case NOT_BEFORE: return push_time(L, qn_cert_not_before(cert));
  case NOT_AFTER: return push_time(L, qn_cert_not_after(cert));
  case IS_VALID: lua_pushboolean(L, dates_are_valid(cert)); return 1;
  case SELF_SIGNED: lua_pushboolean(L, qn_cert_self_signed(cert)); return 1;
  case IS_CA: lua_pushboolean(L, qn_cert_is_ca(cert)); return 1;
  case PATH_LENGTH: return push_path_length(L, cert);
  case KEY_USAGE: qnl_push_key_usage(L, qn_cert_key_usage(cert)); return 1;
  case USAGE: return push_usage(L, cert);
  case KEY_ID: return give_values(L, cert, EXT_KEY_ID, qnl_push_key_id);
  case ISSUER_KEY_ID: return give_values(L, cert, EXT_ISSUER_KEY_ID, qnl_push_key_id);
  case OCSP_URLS: return give_values(L, cert, EXT_ACCESS, qnl_push_ocsp_urls);
  case ISSUER_URLS: return give_values(L, cert, EXT_ACCESS, qnl_push_issuer_urls);
  case CRL_URLS: return give_values(L, cert, EXT_CRL, qnl_push_crl_urls);
  case SIGNATURE_ALGORITHM: return push_algorithm(L, cert);
  case SUBJECT_DISPLAY_NAME: return push_display_name(L, cert, false);
  case ISSUER_DISPLAY_NAME: return push_display_name(L, cert, true);
  case PUBLIC_KEY: {
    qnl_box_t *box = qnl_push_empty(L, &qnl_class_key);
    qn_key_t *key = NULL;
    if (qn_cert_public_key(cert, &key) != 0) {
      lua_pushnil(L); /* of a kind that nobody here knows */
      return 1;
    }
    box->obj = key;
    return 1;
  }
  }
  return 0;
}

static int certificate_index(lua_State *L)
{
  const qn_cert_t *cert = qnl_test(L, 1, &qnl_class_certificate);
  lua_settop(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNUMBER || cert == NULL) {
    return 1;
  }
  return push_field(L, cert, (field_t)lua_tointeger(L, -1));
}

/* --- methods ---------------------------------------------------------------------------------- */

static qn_cert_t *check(lua_State *L, int idx) { return qnl_check(L, idx, &qnl_class_certificate); }

static int to_pem(lua_State *L)
{
  qn_cert_bytes_t bytes;
  return qnl_give_bytes(L, qn_cert_to_pem(check(L, 1), &bytes), &bytes, "to_pem");
}

static int to_der(lua_State *L)
{
  qn_cert_bytes_t bytes;
  return qnl_give_bytes(L, qn_cert_to_der(check(L, 1), &bytes), &bytes, "to_der");
}

static int to_text(lua_State *L)
{
  qn_cert_bytes_t bytes;
  return qnl_give_bytes(L, qn_cert_to_text(check(L, 1), &bytes), &bytes, "to_text");
}

static int digest(lua_State *L)
{
  const qn_cert_t *cert = check(L, 1);
  int which = luaL_checkoption(L, 2, "sha256", qn_cert_digest_names);
  uint8_t out[QN_CERT_DIGEST_SIZE];
  int n = qn_cert_digest(cert, qn_cert_digest_names[which], out);
  if (n < 0) {
    return qnl_fail(L, n, "digest");
  }
  lua_pushlstring(L, (const char *)out, (size_t)n);
  return 1;
}

static int matches_host(lua_State *L)
{
  const qn_cert_t *cert = check(L, 1);
  size_t size;
  const char *host = luaL_checklstring(L, 2, &size);
  int rc = qn_cert_match_host(cert, host, size);
  if (rc == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  char text[1024];
  if (!QN_E_IS_VERIFY(rc)) {
    return qnl_fail(L, rc, "matches_host");
  }
  qn_cert_mismatch_text(cert, host, size, text, sizeof text);
  return qnl_fail_info(L, &(qnl_errinfo_t){.code = rc, .op = "verify", .message = text});
}

static int has_key(lua_State *L)
{
  const qn_cert_t *cert = check(L, 1);
  lua_pushboolean(L, qn_cert_has_key(cert, qnl_check(L, 2, &qnl_class_key)));
  return 1;
}

static int certificate_eq(lua_State *L)
{
  const qn_cert_t *a = qnl_test(L, 1, &qnl_class_certificate);
  const qn_cert_t *b = qnl_test(L, 2, &qnl_class_certificate);
  lua_pushboolean(L, a != NULL && b != NULL && qn_cert_equal(a, b));
  return 1;
}

static int certificate_tostring(lua_State *L)
{
  char text[512];
  qn_cert_summary(check(L, 1), text, sizeof text);
  lua_pushfstring(L, "qn.Certificate: %s", text);
  return 1;
}

static int certificate_newindex(lua_State *L)
{
  return luaL_error(L, "a qn.Certificate cannot be changed");
}

static void certificate_collect(qnl_state_t *G, void *obj)
{
  (void)G;
  qn_cert_release(obj);
}

static const qnl_method_t methods[] = {{"to_pem", to_pem, 0},
                                       {"to_der", to_der, 0},
                                       {"to_text", to_text, 0},
                                       {"digest", digest, 0},
                                       {"matches_host", matches_host, 0},
                                       {"has_key", has_key, 0},
                                       {NULL, NULL, 0}};
static const qnl_method_t meta[] = {{"__eq", certificate_eq, 0},
                                    {"__newindex", certificate_newindex, 0},
                                    {"__tostring", certificate_tostring, 0},
                                    {NULL, NULL, 0}};

qnl_class_t qnl_class_certificate = {.name = "qn.Certificate",
                                     .methods = methods,
                                     .meta = meta,
                                     .collect = certificate_collect,
                                     .index = certificate_index,
                                     .weight = 6};

void qnl_open_certificate(lua_State *L, qnl_state_t *G)
{
  qnl_class_register(L, G, &qnl_class_certificate);
  qnl_push_methods(L, &qnl_class_certificate);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushinteger(L, fields[i].id);
    lua_setfield(L, -2, fields[i].name);
  }
  lua_pop(L, 1);
  qnl_open_certificate_list(L, G);
  qnl_open_certificate_read(L, G);
}

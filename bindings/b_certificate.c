/* b_certificate.c: qn.Certificate values and qn.CertificateRequest: fields, text, comparison.
 *
 * lua/qn/tls/certificate.lua makes the module of it. A value holds one reference to an immutable
 * certificate; fields are made when they are asked for, lists are copies. Must not wait. Invariant:
 * what the core gave is freed on every path: it becomes Lua values in a protected call.
 */
#include "b_certificate.h"

#include "b_key.h"
#include "sched.h"

#include <string.h>
#include <time.h>

/* --- results of the core become values -------------------------------------------------------- */

static int protected_push(lua_State *L, lua_CFunction push, void *from)
{
  lua_pushcfunction(L, push);
  lua_pushlightuserdata(L, from);
  return lua_pcall(L, 1, 1, 0);
}

static int push_bytes(lua_State *L)
{
  const qn_cert_bytes_t *bytes = lua_touserdata(L, 1);
  lua_pushlstring(L, (const char *)bytes->data, bytes->size);
  return 1;
}

static int give_bytes(lua_State *L, int rc, qn_cert_bytes_t *bytes, const char *op)
{
  if (rc != 0) {
    return qnl_fail(L, rc, op);
  }
  int status = protected_push(L, push_bytes, bytes);
  qn_free(bytes->data);
  return status == LUA_OK ? 1 : lua_error(L);
}

int qnl_certificate_push(lua_State *L, qn_cert_t *cert)
{
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_certificate);
  box->obj = qn_cert_retain(cert);
  return 1;
}

static int push_certs(lua_State *L)
{
  const qn_certs_t *list = lua_touserdata(L, 1);
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    qnl_certificate_push(L, list->items[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void push_slice(lua_State *L, qn_slice_t s)
{
  lua_pushlstring(L, s.size > 0 ? (const char *)s.data : "", s.size);
}

static int push_attributes(lua_State *L)
{
  const qn_cert_list_t *list = lua_touserdata(L, 1);
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    const qn_cert_entry_t *e = &list->items[i];
    lua_createtable(L, 0, 4);
    lua_pushstring(L, e->id);
    lua_setfield(L, -2, "oid");
    lua_pushstring(L, e->name);
    lua_setfield(L, -2, "name");
    push_slice(L, e->value);
    lua_setfield(L, -2, "value");
    lua_pushinteger(L, e->set);
    lua_setfield(L, -2, "set");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void push_name_value(lua_State *L, const qn_cert_entry_t *e)
{
  if (e->type != QN_CERT_IP) {
    push_slice(L, e->value);
    return;
  }
  qn_addr_t a;
  memset(&a, 0, sizeof a);
  if (e->value.size == 4) {
    a.u.in4.sin_family = AF_INET;
    memcpy(&a.u.in4.sin_addr, e->value.data, 4);
    a.size = sizeof a.u.in4;
  } else {
    a.u.in6.sin6_family = AF_INET6;
    memcpy(&a.u.in6.sin6_addr, e->value.data, 16);
    a.size = sizeof a.u.in6;
  }
  qnl_push_address(L, qnl_state_of(L), &a);
}

static int push_names(lua_State *L)
{
  static const struct {
    qn_cert_entry_type_t type;
    const char *name;
  } kinds[] = {{QN_CERT_DNS, "dns"},
               {QN_CERT_IP, "ip"},
               {QN_CERT_EMAIL, "email"},
               {QN_CERT_URI, "uri"},
               {QN_CERT_DIRECTORY, "directory"},
               {QN_CERT_OTHER, "other"}};
  const qn_cert_list_t *list = lua_touserdata(L, 1);
  lua_createtable(L, 0, 6);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    lua_Integer n = 0;
    lua_newtable(L);
    for (size_t i = 0; i < list->count; i++) {
      if (list->items[i].type == kinds[k].type) {
        push_name_value(L, &list->items[i]);
        lua_rawseti(L, -2, ++n);
      }
    }
    lua_setfield(L, -2, kinds[k].name);
  }
  return 1;
}

static int push_extensions(lua_State *L)
{
  const qn_cert_list_t *list = lua_touserdata(L, 1);
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    const qn_cert_entry_t *e = &list->items[i];
    lua_createtable(L, 0, 6);
    lua_pushstring(L, e->id);
    lua_setfield(L, -2, "oid");
    lua_pushstring(L, e->name);
    lua_setfield(L, -2, "name");
    push_slice(L, e->value);
    lua_setfield(L, -2, "value");
    push_slice(L, e->text);
    lua_setfield(L, -2, "text");
    lua_pushboolean(L, e->critical);
    lua_setfield(L, -2, "critical");
    lua_pushboolean(L, e->supported);
    lua_setfield(L, -2, "supported");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

typedef int (*list_fn)(const qn_cert_t *cert, qn_cert_list_t *out);

static int give_list(lua_State *L, const qn_cert_t *cert, list_fn list_of, lua_CFunction push)
{
  qn_cert_list_t list = {NULL, 0, 0};
  int rc = list_of(cert, &list);
  if (rc != 0) {
    return luaL_error(L, "qn.Certificate: %s", qn_err_text(rc));
  }
  int status = protected_push(L, push, &list);
  qn_cert_list_free(&list);
  return status == LUA_OK ? 1 : lua_error(L);
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
  IS_CA
} field_t;

static const struct {
  const char *name;
  field_t id;
} fields[] = {{"subject", SUBJECT},         {"issuer", ISSUER},
              {"serial", SERIAL},           {"version", VERSION},
              {"not_before", NOT_BEFORE},   {"not_after", NOT_AFTER},
              {"is_valid", IS_VALID},       {"names", NAMES},
              {"extensions", EXTENSIONS},   {"public_key", PUBLIC_KEY},
              {"self_signed", SELF_SIGNED}, {"is_ca", IS_CA}};

static int push_serial_text(lua_State *L)
{
  static const char digits[] = "0123456789abcdef";
  const qn_cert_bytes_t *bytes = lua_touserdata(L, 1);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < bytes->size; i++) {
    if (i > 0) {
      luaL_addchar(&b, ':');
    }
    luaL_addchar(&b, digits[bytes->data[i] >> 4]);
    luaL_addchar(&b, digits[bytes->data[i] & 15]);
  }
  luaL_pushresult(&b);
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
  int status = protected_push(L, push_serial_text, &bytes);
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

static int push_field(lua_State *L, const qn_cert_t *cert, field_t id)
{
  switch (id) {
  case SUBJECT: return give_list(L, cert, qn_cert_subject, push_attributes);
  case ISSUER: return give_list(L, cert, qn_cert_issuer, push_attributes);
  case NAMES: return give_list(L, cert, qn_cert_names, push_names);
  case EXTENSIONS: return give_list(L, cert, qn_cert_extensions, push_extensions);
  case SERIAL: return push_serial(L, cert);
  case VERSION: lua_pushinteger(L, qn_cert_version(cert)); return 1;
  case NOT_BEFORE: return push_time(L, qn_cert_not_before(cert));
  case NOT_AFTER: return push_time(L, qn_cert_not_after(cert));
  case IS_VALID: lua_pushboolean(L, dates_are_valid(cert)); return 1;
  case SELF_SIGNED: lua_pushboolean(L, qn_cert_self_signed(cert)); return 1;
  case IS_CA: lua_pushboolean(L, qn_cert_is_ca(cert)); return 1;
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
  return give_bytes(L, qn_cert_to_pem(check(L, 1), &bytes), &bytes, "to_pem");
}

static int to_der(lua_State *L)
{
  qn_cert_bytes_t bytes;
  return give_bytes(L, qn_cert_to_der(check(L, 1), &bytes), &bytes, "to_der");
}

static int to_text(lua_State *L)
{
  qn_cert_bytes_t bytes;
  return give_bytes(L, qn_cert_to_text(check(L, 1), &bytes), &bytes, "to_text");
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

static int certificate_newindex(lua_State *L)
{
  return luaL_error(L, "a qn.Certificate cannot be changed");
}

static void certificate_collect(qnl_state_t *G, void *obj)
{
  (void)G;
  qn_cert_release(obj);
}

/* core.certificate(text): the first one. */
static int core_certificate(lua_State *L)
{
  size_t size;
  const char *data = luaL_checklstring(L, 1, &size);
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_certificate);
  qn_cert_t *cert = NULL;
  int rc = qn_cert_parse(data, size, &cert);
  if (rc != 0) {
    return qnl_fail(L, rc, "certificate");
  }
  box->obj = cert;
  return 1;
}

/* core.certificates(text): all of a bundle. */
static int core_certificates(lua_State *L)
{
  size_t size;
  const char *data = luaL_checklstring(L, 1, &size);
  qn_certs_t list = {NULL, 0, 0};
  int rc = qn_certs_parse(data, size, &list);
  int status = rc == 0 ? protected_push(L, push_certs, &list) : LUA_OK;
  qn_certs_free(&list);
  if (status != LUA_OK) {
    return lua_error(L);
  }
  return rc == 0 ? 1 : qnl_fail(L, rc, "certificates");
}

/* core.certificates_of_system() */
static int core_system(lua_State *L)
{
  qn_certs_t list = {NULL, 0, 0};
  int rc = qn_trust_system_list(&list);
  int status = rc == 0 ? protected_push(L, push_certs, &list) : LUA_OK;
  qn_certs_free(&list);
  if (status != LUA_OK) {
    return lua_error(L);
  }
  return rc == 0 ? 1 : qnl_fail(L, rc, "system_certificates");
}

/* --- verification ----------------------------------------------------------------------------- */

typedef struct report {
  const qn_findings_t *findings;
  const qn_verify_t *in;
} report_t;

static int push_findings(lua_State *L)
{
  const report_t *report = lua_touserdata(L, 1);
  const qn_findings_t *found = report->findings;
  char text[1024];
  lua_createtable(L, (int)found->count, 0);
  for (size_t i = 0; i < found->count; i++) {
    const qn_finding_t *f = &found->items[i];
    qnl_errinfo_t info = {.code = f->code, .op = "verify"};
    if ((f->code == QN_E_VERIFY(62) || f->code == QN_E_VERIFY(64)) && report->in->host != NULL) {
      qn_cert_mismatch_text(f->cert, report->in->host, report->in->host_size, text, sizeof text);
      info.message = text;
    }
    qnl_push_error(L, &info);
    lua_pushinteger(L, f->depth);
    qnl_error_set(L, "depth");
    if (f->cert != NULL) {
      qnl_certificate_push(L, f->cert);
      qnl_error_set(L, "certificate");
    }
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* The certificates of the list at `idx` are on the Lua stack's tables, which keep them alive. */
static size_t read_chain(lua_State *L, int idx, qn_cert_t *chain[QN_CERT_MAX_CHAIN])
{
  lua_Integer n = luaL_len(L, idx);
  luaL_argcheck(L, n >= 1 && n <= QN_CERT_MAX_CHAIN, idx, "1 to 100 certificates expected");
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    chain[i - 1] = check(L, -1);
    lua_pop(L, 1);
  }
  return (size_t)n;
}

/* core.certificate_verify(chain, host|nil, ca list|nil, purpose, time|nil, depth|nil, partial) */
static int core_verify(lua_State *L)
{
  static const char *const purposes[] = {"any", "server", "client", NULL};
  qn_cert_t *chain[QN_CERT_MAX_CHAIN];
  qn_findings_t found;
  qn_verify_t in = {.chain = chain, .count = read_chain(L, 1, chain)};
  in.host = luaL_optlstring(L, 2, NULL, &in.host_size);
  in.purpose = (qn_purpose_t)luaL_checkoption(L, 4, "any", purposes);
  in.time = luaL_optinteger(L, 5, QN_CERT_NO_TIME);
  in.depth = (int)luaL_optinteger(L, 6, -1);
  in.partial = lua_toboolean(L, 7) != 0;
  int rc = 0;
  if (!lua_isnoneornil(L, 3)) {
    lua_Integer n = luaL_len(L, 3);
    for (lua_Integer i = 1; i <= n; i++) { /* all that may raise comes first */
      lua_rawgeti(L, 3, i);
      (void)check(L, -1);
      lua_pop(L, 1);
    }
    rc = qn_trust_new(&in.trust);
    for (lua_Integer i = 1; rc == 0 && i <= n; i++) {
      lua_rawgeti(L, 3, i);
      rc = qn_trust_add(in.trust, qnl_test(L, -1, &qnl_class_certificate));
      lua_pop(L, 1);
    }
  }
  rc = rc != 0 ? rc : qn_cert_verify(&in, &found);
  qn_trust_release(in.trust);
  if (rc != 0) {
    return qnl_fail(L, rc, "verify");
  }
  if (found.count == 0) {
    qn_findings_free(&found);
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  int status = protected_push(L, push_findings, &(report_t){&found, &in});
  qn_findings_free(&found);
  return status == LUA_OK ? 2 : lua_error(L);
}

static const qnl_method_t methods[] = {{"to_pem", to_pem, 0},
                                       {"to_der", to_der, 0},
                                       {"to_text", to_text, 0},
                                       {"digest", digest, 0},
                                       {"matches_host", matches_host, 0},
                                       {"has_key", has_key, 0},
                                       {NULL, NULL, 0}};
static const qnl_method_t meta[] = {
    {"__eq", certificate_eq, 0}, {"__newindex", certificate_newindex, 0}, {NULL, NULL, 0}};

qnl_class_t qnl_class_certificate = {.name = "qn.Certificate",
                                     .methods = methods,
                                     .meta = meta,
                                     .collect = certificate_collect,
                                     .index = certificate_index};
qnl_class_t qnl_class_csr = {.name = "qn.CertificateRequest",
                             .methods = (const qnl_method_t[]){{NULL, NULL, 0}}};

void qnl_open_certificate(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"certificate", core_certificate, 0},
                                           {"certificates", core_certificates, 0},
                                           {"certificates_of_system", core_system, 0},
                                           {"certificate_verify", core_verify, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_certificate);
  qnl_class_register(L, G, &qnl_class_csr);
  qnl_push_methods(L, &qnl_class_certificate);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushinteger(L, fields[i].id);
    lua_setfield(L, -2, fields[i].name);
  }
  lua_pop(L, 1);
  qnl_setfuncs(L, G, functions);
}

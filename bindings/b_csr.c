/* b_csr.c: qn.CertificateRequest values: fields, text, comparison, their own signature.
 *
 * Made by core.csr from text and by core.csr_make (b_cert_make.c). A value holds one reference to
 * an immutable request; fields are made when they are asked for, lists are copies. Must not wait.
 * Invariant: what the core gave is freed on every path: it becomes Lua values in a protected call.
 */
#include "b_csr.h"

#include "b_certificate.h"

#include <string.h>

static qn_csr_t *check(lua_State *L) { return qnl_check(L, 1, &qnl_class_csr); }

/* --- fields ----------------------------------------------------------------------------------- */

typedef int (*list_fn)(const qn_csr_t *csr, qn_cert_list_t *out);

static int give_list(lua_State *L, const qn_csr_t *csr, list_fn list_of, lua_CFunction push)
{
  qn_cert_list_t list = {NULL, 0, 0};
  int rc = list_of(csr, &list);
  if (rc != 0) {
    return luaL_error(L, "qn.CertificateRequest: %s", qn_err_text(rc));
  }
  int status = qnl_protected_push(L, push, &list);
  qn_cert_list_free(&list);
  return status == LUA_OK ? 1 : lua_error(L);
}

static int push_public_key(lua_State *L, const qn_csr_t *csr)
{
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_key);
  qn_key_t *key = NULL;
  if (qn_csr_public_key(csr, &key) != 0) {
    lua_pushnil(L); /* of a kind that nobody here knows */
    return 1;
  }
  box->obj = key;
  return 1;
}

/* Upvalues: the state, the methods. */
static int csr_index(lua_State *L)
{
  const qn_csr_t *csr = check(L);
  const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(field, "subject") == 0) {
    return give_list(L, csr, qn_csr_subject, qnl_push_attributes);
  }
  if (strcmp(field, "names") == 0) {
    return give_list(L, csr, qn_csr_names, qnl_push_names);
  }
  if (strcmp(field, "extensions") == 0) {
    return give_list(L, csr, qn_csr_extensions, qnl_push_extensions);
  }
  if (strcmp(field, "usage") == 0) {
    give_list(L, csr, qn_csr_usages, qnl_push_usages);
    if (lua_rawlen(L, -1) == 0) {
      lua_pushnil(L);
    }
    return 1;
  }
  if (strcmp(field, "key_usage") == 0) {
    qnl_push_key_usage(L, qn_csr_key_usage(csr));
    return 1;
  }
  if (strcmp(field, "public_key") == 0) {
    return push_public_key(L, csr);
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  return 1;
}

static int csr_newindex(lua_State *L)
{
  return luaL_error(L, "a qn.CertificateRequest cannot be changed");
}

static int csr_eq(lua_State *L)
{
  const qn_csr_t *a = qnl_test(L, 1, &qnl_class_csr), *b = qnl_test(L, 2, &qnl_class_csr);
  lua_pushboolean(L, a != NULL && b != NULL && qn_csr_equal(a, b));
  return 1;
}

/* --- methods ---------------------------------------------------------------------------------- */

static int to_pem(lua_State *L)
{
  qn_cert_bytes_t bytes;
  return qnl_give_bytes(L, qn_csr_to_pem(check(L), &bytes), &bytes, "to_pem");
}

static int to_der(lua_State *L)
{
  qn_cert_bytes_t bytes;
  return qnl_give_bytes(L, qn_csr_to_der(check(L), &bytes), &bytes, "to_der");
}

static int to_text(lua_State *L)
{
  qn_cert_bytes_t bytes;
  return qnl_give_bytes(L, qn_csr_to_text(check(L), &bytes), &bytes, "to_text");
}

/* csr:verify() -> true | nil, err */
static int csr_verify(lua_State *L)
{
  int rc = qn_csr_verify(check(L));
  if (rc != 0) {
    return qnl_fail_info(
        L, &(qnl_errinfo_t){.code = rc,
                            .op = "verify",
                            .message = "the request is not signed with the key that it names"});
  }
  lua_pushboolean(L, 1);
  return 1;
}

static void collect(qnl_state_t *G, void *obj)
{
  (void)G;
  qn_csr_release(obj);
}

/* core.csr(data) -> request | nil, err */
static int core_csr(lua_State *L)
{
  size_t size;
  const char *data = luaL_checklstring(L, 1, &size);
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_csr);
  qn_csr_t *csr = NULL;
  int rc = qn_csr_parse(data, size, &csr);
  if (rc != 0) {
    return qnl_fail_info(
        L,
        &(qnl_errinfo_t){.code = rc,
                         .op = "certificate_request",
                         .message = rc == QN_E_CERT_FORMAT ? "not a certificate request" : NULL});
  }
  box->obj = csr;
  return 1;
}

static const qnl_method_t methods[] = {{"verify", csr_verify, 0},
                                       {"to_pem", to_pem, 0},
                                       {"to_der", to_der, 0},
                                       {"to_text", to_text, 0},
                                       {NULL, NULL, 0}};
static const qnl_method_t meta[] = {
    {"__eq", csr_eq, 0}, {"__newindex", csr_newindex, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_csr = {.name = "qn.CertificateRequest",
                             .methods = methods,
                             .meta = meta,
                             .collect = collect,
                             .index = csr_index,
                             .weight = 4};

void qnl_open_csr(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"csr", core_csr, 0}, {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_csr);
  qnl_setfuncs(L, G, functions);
}

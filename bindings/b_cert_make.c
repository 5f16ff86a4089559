/* b_cert_make.c: certificates and requests are made of what lua/qn/tls/issue.lua has checked.
 *
 * What they shall say comes as a flat list of three strings each: what it is, the text, the name of
 * an attribute. Invariant: all that may raise is done before the plan owns anything; what runs
 * then looks at strings on the Lua stack only.
 */
#include "b_certificate.h"
#include "b_csr.h"
#include "b_key.h"

#include <errno.h>
#include <string.h>

enum { STRIDE = 3 };

/* Settings stay on the Lua stack while their strings are used. */
static void read_settings(lua_State *L, int idx, qn_cert_plan_t *plan)
{
  luaL_checktype(L, idx, LUA_TTABLE);
  luaL_checkstack(L, 16, NULL);
  qn_cert_plan_init(plan);
  lua_getfield(L, idx, "not_before");
  plan->not_before = luaL_optinteger(L, -1, QN_CERT_NO_TIME);
  lua_getfield(L, idx, "not_after");
  plan->not_after = luaL_optinteger(L, -1, QN_CERT_NO_TIME);
  lua_getfield(L, idx, "lifetime");
  plan->lifetime = luaL_optinteger(L, -1, 0);
  lua_getfield(L, idx, "serial");
  plan->serial = (const uint8_t *)luaL_optlstring(L, -1, NULL, &plan->serial_size);
  luaL_argcheck(L, plan->serial_size <= 1024, idx, "the serial number is too long");
  lua_getfield(L, idx, "ca");
  plan->ca = lua_toboolean(L, -1) != 0;
  lua_getfield(L, idx, "path_length");
  plan->path_length = (int)luaL_optinteger(L, -1, -1);
  lua_getfield(L, idx, "key_usage");
  plan->key_usage = (uint32_t)luaL_optinteger(L, -1, 0);
  lua_getfield(L, idx, "digest");
  plan->digest = luaL_optstring(L, -1, NULL);
  lua_getfield(L, idx, "padding");
  const char *padding = luaL_optstring(L, -1, "");
  plan->pss = strcmp(padding, "pss") == 0;
  plan->pkcs1 = strcmp(padding, "pkcs1") == 0;
}

static int say(qn_cert_plan_t *plan, const char *what, const char *text, size_t size,
               const char *id)
{
  static const char *const forms[] = {"any", "dns", "ip", "email", "uri"}; /* qn_cert_form_t */
  static const struct {
    const char *what;
    qn_cert_entry_type_t type;
  } urls[] = {{"ocsp", QN_CERT_OCSP}, {"issuers", QN_CERT_ISSUERS}, {"crl", QN_CERT_CRL}};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (strcmp(what, forms[i]) == 0) {
      return qn_cert_say_name(&plan->says, (qn_cert_form_t)i, text, size, &plan->why);
    }
  }
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    if (strcmp(what, urls[i].what) == 0) {
      return qn_cert_say_url(&plan->says, urls[i].type, text, size, &plan->why);
    }
  }
  if (strcmp(what, "usage") == 0) {
    return qn_cert_say_usage(&plan->says, text, &plan->why);
  }
  return qn_cert_say_attribute(&plan->says, id, text, size, strcmp(what, "joined") == 0,
                               &plan->why);
}

static void check_texts(lua_State *L, int idx)
{
  luaL_checktype(L, idx, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  for (lua_Integer i = 1; i <= n; i++) {
    luaL_argcheck(L, lua_rawgeti(L, idx, i) == LUA_TSTRING, idx, "strings expected");
    lua_pop(L, 1);
  }
  luaL_argcheck(L, n % STRIDE == 0, idx, "three strings each expected");
}

/* Raises nothing: check_texts has seen the list. */
static int read_texts(lua_State *L, int idx, qn_cert_plan_t *plan)
{
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  int rc = 0;
  for (lua_Integer i = 1; rc == 0 && i <= n; i += STRIDE) {
    size_t size;
    lua_rawgeti(L, idx, i);
    lua_rawgeti(L, idx, i + 1);
    lua_rawgeti(L, idx, i + 2);
    const char *text = lua_tolstring(L, -2, &size);
    rc = say(plan, lua_tostring(L, -3), text, size, lua_tostring(L, -1));
    lua_pop(L, STRIDE);
  }
  return rc;
}

static int fail(lua_State *L, int rc, const qn_cert_plan_t *plan, const char *op)
{
  return qnl_fail_info(L, &(qnl_errinfo_t){.code = rc,
                                           .op = op,
                                           .message = plan->why.text[0] != '\0' && rc != -ENOMEM
                                                          ? plan->why.text
                                                          : NULL});
}

/* core.cert_make(key | request, issuer | nil, issuer's key, texts, settings, op) -> certificate |
 * nil, err */
static int core_cert_make(lua_State *L)
{
  qn_cert_plan_t plan;
  const qn_csr_t *request = qnl_test(L, 1, &qnl_class_csr);
  const qn_key_t *subject = request == NULL ? qnl_check(L, 1, &qnl_class_key) : NULL;
  const qn_cert_t *issuer = lua_isnil(L, 2) ? NULL : qnl_check(L, 2, &qnl_class_certificate);
  const qn_key_t *key = qnl_check(L, 3, &qnl_class_key);
  const char *op = luaL_checkstring(L, 6);
  check_texts(L, 4);
  read_settings(L, 5, &plan);
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_certificate);
  qn_cert_t *cert = NULL;
  int rc = read_texts(L, 4, &plan);
  if (rc == 0) {
    rc = request != NULL ? qn_cert_make_for(&plan, request, issuer, key, &cert)
                         : qn_cert_make(&plan, subject, issuer, key, &cert);
  }
  qn_cert_list_free(&plan.says);
  if (rc != 0) {
    return fail(L, rc, &plan, op);
  }
  box->obj = cert;
  return 1;
}

/* core.csr_make(key, texts, settings) -> request | nil, err */
static int core_csr_make(lua_State *L)
{
  qn_cert_plan_t plan;
  const qn_key_t *key = qnl_check(L, 1, &qnl_class_key);
  check_texts(L, 2);
  read_settings(L, 3, &plan);
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_csr);
  qn_csr_t *csr = NULL;
  int rc = read_texts(L, 2, &plan);
  rc = rc != 0 ? rc : qn_csr_make(&plan, key, &csr);
  qn_cert_list_free(&plan.says);
  if (rc != 0) {
    return fail(L, rc, &plan, "request");
  }
  box->obj = csr;
  return 1;
}

void qnl_open_cert_make(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {
      {"cert_make", core_cert_make, 0}, {"csr_make", core_csr_make, 0}, {NULL, NULL, 0}};
  qnl_open_csr(L, G);
  qnl_setfuncs(L, G, functions);
}

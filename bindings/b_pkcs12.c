/* b_pkcs12.c: PKCS#12 files become keys and certificates, and the other way.
 *
 * Called by lua/qn/tls/pkcs12.lua, which checks options. The work is done in the thread pool; a
 * task that is cancelled meanwhile leaves nothing behind. Invariant: what the core gave is freed on
 * every path: it becomes Lua values in a protected call.
 */
#include "b_certificate.h"
#include "b_key.h"

#include "sched.h"

#include "qn/pkcs12.h"

#include <errno.h>

/* --- reading ---------------------------------------------------------------------------------- */

static void abandon_read(qnl_task_t *t)
{
  qn_pkcs12_t parts;
  qn_cert_why_t why;
  (void)qn_pkcs12_result(&t->op, &parts, &why);
  qn_pkcs12_free(&parts);
}

static int push_parts(lua_State *L)
{
  const qn_pkcs12_t *parts = lua_touserdata(L, 1);
  lua_createtable(L, 0, 4);
  if (parts->cert != NULL) {
    qnl_certificate_push(L, parts->cert);
    lua_setfield(L, -2, "certificate");
  }
  if (parts->key != NULL) {
    qnl_push_key(L, parts->key);
    lua_setfield(L, -2, "key");
  }
  lua_pushstring(L, parts->name); /* nil for NULL */
  lua_setfield(L, -2, "name");
  lua_createtable(L, (int)parts->chain.count, 0);
  for (size_t i = 0; i < parts->chain.count; i++) {
    qnl_certificate_push(L, parts->chain.items[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "chain");
  return 1;
}

static int finish_read(lua_State *L, qnl_task_t *t, int64_t result)
{
  qn_pkcs12_t parts;
  qn_cert_why_t why;
  int rc = qn_pkcs12_result(&t->op, &parts, &why);
  rc = result < 0 ? (int)result : rc;
  if (rc < 0) {
    qn_pkcs12_free(&parts);
    return qnl_fail_info(
        L, &(qnl_errinfo_t){.code = rc,
                            .op = "import_pkcs12",
                            .message = why.text[0] != '\0' && rc != -ENOMEM ? why.text : NULL});
  }
  lua_pushcfunction(L, push_parts); /* cannot fail: a light function */
  lua_pushlightuserdata(L, &parts);
  int status = lua_pcall(L, 1, 1, 0);
  qn_pkcs12_free(&parts);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* core.pkcs12_read(data, passphrase | nil) ! -> table | nil, err */
static int core_read(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  size_t size, pass_size = 0;
  const char *data = luaL_checklstring(L, 1, &size);
  const char *pass = luaL_optlstring(L, 2, NULL, &pass_size);
  QNL_ENTER(L, G, t, core_read, "import_pkcs12");
  int rc = qn_pkcs12_start_read(qnl_loop(G), &t->op, data, size, pass, pass_size);
  if (rc != QN_AGAIN) {
    return qnl_fail(L, rc, "import_pkcs12");
  }
  t->wait.abandon = abandon_read;
  return qnl_wait(L, t, finish_read);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void abandon_write(qnl_task_t *t)
{
  char *bytes = NULL;
  size_t size = 0;
  if (qn_pkcs12_written(&t->op, &bytes, &size) == 0) {
    qn_secret_free(bytes, size);
  }
}

static int finish_write(lua_State *L, qnl_task_t *t, int64_t result)
{
  char *bytes = NULL;
  size_t size = 0;
  int rc = qn_pkcs12_written(&t->op, &bytes, &size);
  rc = result < 0 ? (int)result : rc;
  if (rc < 0) {
    qn_secret_free(bytes, size);
    return qnl_fail(L, rc, "export_pkcs12");
  }
  return qnl_push_secret(L, bytes, size);
}

/* core.pkcs12_write(certificate | nil, key | nil, chain, name | nil, passphrase, iterations) ! ->
 * string | nil, err */
static int core_write(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  size_t pass_size;
  qn_pkcs12_t from = {NULL, NULL, {NULL, 0, 0}, NULL};
  from.cert = lua_isnil(L, 1) ? NULL : qnl_check(L, 1, &qnl_class_certificate);
  from.key = lua_isnil(L, 2) ? NULL : qnl_check(L, 2, &qnl_class_key);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 3);
  for (lua_Integer i = 1; i <= n; i++) { /* all that may raise comes first */
    lua_rawgeti(L, 3, i);
    (void)qnl_check(L, -1, &qnl_class_certificate);
    lua_pop(L, 1);
  }
  const char *name = luaL_optstring(L, 4, NULL);
  const char *pass = luaL_checklstring(L, 5, &pass_size);
  lua_Integer iterations = luaL_checkinteger(L, 6);
  QNL_ENTER(L, G, t, core_write, "export_pkcs12");
  int rc = 0;
  for (lua_Integer i = 1; rc == 0 && i <= n; i++) {
    lua_rawgeti(L, 3, i);
    rc = qn_certs_add(&from.chain, qnl_test(L, -1, &qnl_class_certificate));
    lua_pop(L, 1);
  }
  from.name = (char *)name; /* read only */
  rc = rc < 0 ? rc
              : qn_pkcs12_start_write(qnl_loop(G), &t->op, &from, pass, pass_size,
                                      (uint32_t)iterations);
  qn_certs_free(&from.chain);
  if (rc != QN_AGAIN) {
    return qnl_fail(L, rc, "export_pkcs12");
  }
  t->wait.abandon = abandon_write;
  return qnl_wait(L, t, finish_write);
}

void qnl_open_pkcs12(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {
      {"pkcs12_read", core_read, 0}, {"pkcs12_write", core_write, 0}, {NULL, NULL, 0}};
  qnl_setfuncs(L, G, functions);
}

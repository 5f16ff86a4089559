/* b_certificate_read.c: certificates out of text and out of the system, and the verification of
 * chains.
 *
 * lua/qn/tls/certificate.lua makes functions of qn.tls of it. Must not wait. Invariant: what the
 * core gave is freed on every path: it becomes Lua values in a protected call.
 */
#include "b_certificate.h"

#include "sched.h"

#include <errno.h>
#include <string.h>

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

static int push_first(lua_State *L)
{
  const qn_certs_t *list = lua_touserdata(L, 1);
  return qnl_certificate_push(L, list->items[0]);
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* The only files that the core reads itself are the system's: the error should say so. */
static int fail(lua_State *L, int rc, const char *op)
{
  bool is_system = rc > -4096 && rc != -ENOMEM;
  return qnl_fail_info(
      L,
      &(qnl_errinfo_t){.code = rc,
                       .op = op,
                       .message = is_system ? "the system's certificates cannot be read" : NULL});
}

/* The result of reading, and the list is freed. */
static int give(lua_State *L, int rc, qn_certs_t *list, lua_CFunction push, const char *op)
{
  int status = rc == 0 ? qnl_protected_push(L, push, list) : LUA_OK;
  qn_certs_free(list);
  if (status != LUA_OK) {
    return lua_error(L);
  }
  return rc == 0 ? 1 : fail(L, rc, op);
}

/* Reads the text at 1; 2 is the name of its file or nil. */
static int read_text(lua_State *L, bool first, const char *op)
{
  size_t size;
  const char *data = luaL_checklstring(L, 1, &size);
  const char *name = luaL_optstring(L, 2, NULL);
  qn_certs_t list = {NULL, 0, 0};
  qn_cert_fault_t fault;
  int rc = qn_certs_read(data, size, first, &list, &fault);
  if (rc == 0 || fault.text[0] == '\0') {
    return give(L, rc, &list, first ? push_first : push_certs, op);
  }
  qn_certs_free(&list);
  const char *message = name != NULL ? lua_pushfstring(L, "%s: %s", name, fault.text) : fault.text;
  qnl_fail_info(L, &(qnl_errinfo_t){.code = rc, .op = op, .message = message});
  if (fault.line > 0) {
    lua_pushinteger(L, (lua_Integer)fault.line);
    qnl_error_set(L, "line");
  }
  return 2;
}

/* core.certificate(text [, file]): the first one. */
static int core_certificate(lua_State *L) { return read_text(L, true, "certificate"); }

/* core.certificates(text [, file]): all of a bundle. */
static int core_certificates(lua_State *L) { return read_text(L, false, "certificates"); }

/* core.certificates_of_system() */
static int core_system(lua_State *L)
{
  qn_certs_t list = {NULL, 0, 0};
  int rc = qn_trust_system_list(&list);
  return give(L, rc, &list, push_certs, "system_certificates");
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
    qn_cert_error_text(f->code, f->cert, report->in->host, report->in->host_size, text,
                       sizeof text);
    qnl_push_error(L, &(qnl_errinfo_t){.code = f->code, .op = "verify", .message = text});
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

static qn_cert_t *check(lua_State *L, int idx) { return qnl_check(L, idx, &qnl_class_certificate); }

/* The certificates of the list at `idx` are on the Lua stack's tables, which keep them alive. */
static size_t read_chain(lua_State *L, int idx, qn_cert_t *chain[QN_CERT_MAX_CHAIN])
{
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  luaL_argcheck(L, n >= 1 && n <= QN_CERT_MAX_CHAIN, idx, "1 to 100 certificates expected");
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    chain[i - 1] = check(L, -1);
    lua_pop(L, 1);
  }
  return (size_t)n;
}

/* A store of the certificates in the list at `idx`, and of the system's when the flag behind it
 * says so. All that may raise comes first. */
static int read_trust(lua_State *L, int idx, qn_trust_t **out)
{
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, idx, i);
    (void)check(L, -1);
    lua_pop(L, 1);
  }
  int rc = qn_trust_new(out);
  rc = rc == 0 && lua_toboolean(L, idx + 1) ? qn_trust_add_system(*out) : rc;
  for (lua_Integer i = 1; rc == 0 && i <= n; i++) {
    lua_rawgeti(L, idx, i);
    rc = qn_trust_add(*out, qnl_test(L, -1, &qnl_class_certificate));
    lua_pop(L, 1);
  }
  return rc;
}

/* core.certificate_verify(chain, host|nil, ca list|nil, system too, purpose, time|nil, depth|nil,
 * partial) */
static int core_verify(lua_State *L)
{
  static const char *const purposes[] = {"any", "server", "client", NULL};
  qn_cert_t *chain[QN_CERT_MAX_CHAIN];
  qn_findings_t found;
  luaL_checktype(L, 1, LUA_TTABLE);
  qn_verify_t in = {.chain = chain, .count = read_chain(L, 1, chain)};
  in.host = luaL_optlstring(L, 2, NULL, &in.host_size);
  in.purpose = (qn_purpose_t)luaL_checkoption(L, 5, "any", purposes);
  in.time = luaL_optinteger(L, 6, QN_CERT_NO_TIME);
  in.depth = (int)luaL_optinteger(L, 7, -1);
  in.partial = lua_toboolean(L, 8) != 0;
  int rc = lua_isnoneornil(L, 3) ? 0 : read_trust(L, 3, &in.trust);
  rc = rc != 0 ? rc : qn_cert_verify(&in, &found);
  qn_trust_release(in.trust);
  if (rc != 0) {
    return fail(L, rc, "verify");
  }
  if (found.count == 0) {
    qn_findings_free(&found);
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  int status = qnl_protected_push(L, push_findings, &(report_t){&found, &in});
  qn_findings_free(&found);
  return status == LUA_OK ? 2 : lua_error(L);
}

void qnl_open_certificate_read(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"certificate", core_certificate, 0},
                                           {"certificates", core_certificates, 0},
                                           {"certificates_of_system", core_system, 0},
                                           {"certificate_verify", core_verify, 0},
                                           {NULL, NULL, 0}};
  qnl_setfuncs(L, G, functions);
}

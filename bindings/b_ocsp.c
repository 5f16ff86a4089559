/* b_ocsp.c: OCSP answers as tables: those of connections, which were checked, and bytes of anybody,
 * which were not.
 *
 * Called by b_tls_facts.c and lua/qn/tls/ocsp.lua. Times are Unix seconds. Must not judge.
 */
#include "b_tls.h"

static void set_time(lua_State *L, const char *field, int64_t seconds)
{
  if (seconds != 0) {
    lua_pushinteger(L, (lua_Integer)seconds);
    lua_setfield(L, -2, field);
  }
}

static void push_ocsp(lua_State *L, const qn_ocsp_t *o, qn_slice_t der)
{
  const char *reason = qn_ocsp_reason_name(o->reason);
  lua_createtable(L, 0, 8);
  lua_pushstring(L, qn_ocsp_status_name(o->status));
  lua_setfield(L, -2, "status");
  if (reason != NULL) {
    lua_pushstring(L, reason);
    lua_setfield(L, -2, "reason");
  }
  set_time(L, "this_update", o->this_update);
  set_time(L, "next_update", o->next_update);
  set_time(L, "produced_at", o->produced_at);
  set_time(L, "revoked_at", o->revoked_at);
  lua_pushlstring(L, (const char *)der.data, der.size);
  lua_setfield(L, -2, "der");
}

bool qnl_push_tls_ocsp(lua_State *L, const qn_tls_t *t)
{
  qn_ocsp_t o;
  const char *problem;
  if (!qn_tls_ocsp_info(t, &o, &problem)) {
    return false;
  }
  push_ocsp(L, &o, qn_tls_ocsp(t));
  if (problem != NULL) {
    lua_pushstring(L, problem);
    lua_setfield(L, -2, "problem");
  }
  return true;
}

/* core.ocsp(der) -> table | nil, err */
static int core_ocsp(lua_State *L)
{
  qn_slice_t der = {0};
  qn_ocsp_t o;
  der.data = (const uint8_t *)luaL_checklstring(L, 1, &der.size);
  int rc = qn_ocsp_read(der, &o);
  if (rc < 0) {
    return qnl_fail_info(
        L, &(qnl_errinfo_t){.code = rc,
                            .op = "ocsp",
                            .message = rc == QN_E_INVALID ? "not an OCSP answer" : NULL});
  }
  push_ocsp(L, &o, der);
  return 1;
}

void qnl_open_ocsp(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"ocsp", core_ocsp, 0}, {NULL, NULL, 0}};
  qnl_setfuncs(L, G, functions);
}

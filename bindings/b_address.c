/* b_address.c */
#include "sched.h"

qnl_class_t qnl_class_address = {.name = "qn.Address",
                                 .methods = (const qnl_method_t[]){{NULL, NULL, 0}}};

void qnl_open_address(lua_State *L, qnl_state_t *G)
{
  qnl_class_register(L, G, &qnl_class_address);
}

void qnl_push_address(lua_State *L, qnl_state_t *G, const qn_addr_t *a)
{
  char text[QN_ADDR_TEXT];
  (void)G;
  lua_pushlstring(L, text, qn_addr_host(a, text, sizeof text));
}
bool qnl_to_address(lua_State *L, int idx, uint16_t port, qn_family_t family, qn_addr_t *out)
{
  return lua_type(L, idx) == LUA_TSTRING &&
         qn_addr_parse(out, lua_tostring(L, idx), port, family) == 0;
}
void qnl_check_address(lua_State *L, int idx, uint16_t port, qn_family_t family, qn_addr_t *out)
{
  luaL_argcheck(L, qnl_to_address(L, idx, port, family, out), idx,
                "an address literal is expected");
}

/* b_dns.c */
#include "sched.h"

qnl_class_t qnl_class_resolver = {.name = "qn.Resolver",
                                  .methods = (const qnl_method_t[]){{NULL, NULL, 0}}};

void qnl_open_dns(lua_State *L, qnl_state_t *G) { qnl_class_register(L, G, &qnl_class_resolver); }
qn_resolver_t *qnl_test_resolver(lua_State *L, int idx)
{
  return qnl_test(L, idx, &qnl_class_resolver);
}

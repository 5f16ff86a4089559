/* b_key.c */
#include "sched.h"

qnl_class_t qnl_class_key = {.name = "qn.Key", .methods = (const qnl_method_t[]){{NULL, NULL, 0}}};

void qnl_open_key(lua_State *L, qnl_state_t *G)
{
  qnl_class_register(L, G, &qnl_class_key);
}

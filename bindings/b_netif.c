/* b_netif.c */
#include "sched.h"

void qnl_open_netif(lua_State *L, qnl_state_t *G) { (void)L, (void)G; }

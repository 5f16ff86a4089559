/* b_crypto.c */
#include "sched.h"


void qnl_open_crypto(lua_State *L, qnl_state_t *G)
{
  (void)L, (void)G;
}

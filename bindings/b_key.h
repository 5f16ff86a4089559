/* b_key.h: keys for the other bindings. The userdata's obj is the qn_key_t. */
#ifndef B_KEY_H
#define B_KEY_H

#include "qn/key.h"

#include "qnl.h"

/* Pushes a new userdata for `k`, retained by it. Raises when out of memory. */
void qnl_push_key(lua_State *L, qn_key_t *k);

/* Opens the functions of b_key_make.c. */
void qnl_open_key_make(lua_State *L, qnl_state_t *G);

/* The bytes of a secret as a Lua string: pushes it and gives the memory back, also when that
 * raises. Returns 1. */
int qnl_push_secret(lua_State *L, char *bytes, size_t size);

/* The name of a digest that is there (b_crypto.c); raises otherwise, with the nearest name. */
const char *qnl_check_digest(lua_State *L, int idx);

#endif

/*
 * A program of somebody else that embeds Lua with qn: it runs a script that waits, calls a Lua
 * function and reads its result. It includes installed headers only. Prints "host 42".
 */
#include <qn/lua.h>

#include <lauxlib.h>
#include <stdio.h>

int main(void)
{
  qn_runtime_t *rt = qn_runtime_new(NULL);
  if (rt == NULL) {
    return 1;
  }
  const char *script = "function answer(x) qn.sleep(0.001) return x * 2 end qn.sleep(0.001)";
  lua_State *L = qn_runtime_state(rt);
  if (qn_runtime_dostring(rt, script) != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    return 2;
  }
  lua_getglobal(L, "answer");
  lua_pushinteger(L, 21);
  if (qn_runtime_call(rt, 1, 1) != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    return 3;
  }
  printf("host %d\n", (int)lua_tointeger(L, -1));
  lua_pop(L, 1);
  qn_runtime_shutdown(rt, 1.0);
  return 0;
}

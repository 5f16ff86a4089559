/*
 * embed: a C program with Lua inside: the runtime makes its own Lua state and loop.
 *
 * Shows: running a script; calling a Lua function from C, which waits, and taking its results; a C
 * function that Lua calls from a task; calling back later, in a task, a Lua function that the
 * script has handed over; an error with its traceback; an orderly end.
 *
 *   embed
 *
 *     C: greet("script")
 *     script: has the answer of C
 *     Lua: 6 * 7 = 42
 *     C: the call has failed: no such luck
 *     Lua: called back with "later"
 */
#include <qn/lua.h>

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

static const char script[] = "greet('script')\n"
                             "print('script: has the answer of C')\n"
                             "function multiply(a, b)\n"
                             "  qn.sleep(0.01) -- a call from C may wait\n"
                             "  return a * b\n"
                             "end\n"
                             "function fail() qn.sleep(0.01) error('no such luck', 0) end\n"
                             "on_event(function(what)\n"
                             "  qn.sleep(0.01)\n"
                             "  print(('Lua: called back with %q'):format(what))\n"
                             "end)\n";

/* --- what Lua may call ----------------------------------------------------------------------- */

static int greet(lua_State *L)
{
  printf("C: greet(\"%s\")\n", luaL_checkstring(L, 1));
  fflush(stdout);
  return 0;
}

static int callback = LUA_NOREF; /* the function that the script wants called, in the registry */

static int on_event(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_unref(L, LUA_REGISTRYINDEX, callback);
  lua_settop(L, 1);
  callback = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* --- what C calls ---------------------------------------------------------------------------- */

static int report(qn_runtime_t *rt, const char *what)
{
  lua_State *L = qn_runtime_state(rt);
  const char *trace = qn_runtime_traceback(rt);
  fprintf(stderr, "embed: %s: %s\n%s\n", what, luaL_tolstring(L, -1, NULL), trace ? trace : "");
  return EXIT_FAILURE;
}

static int multiply(qn_runtime_t *rt)
{
  lua_State *L = qn_runtime_state(rt);
  lua_getglobal(L, "multiply");
  lua_pushinteger(L, 6);
  lua_pushinteger(L, 7);
  if (qn_runtime_call(rt, 2, 1) != LUA_OK) { /* turns the loop until the function has returned */
    return report(rt, "multiply");
  }
  printf("Lua: 6 * 7 = %lld\n", (long long)lua_tointeger(L, -1));
  lua_pop(L, 1);
  lua_getglobal(L, "fail");
  if (qn_runtime_call(rt, 0, 0) == LUA_OK) {
    return EXIT_FAILURE;
  }
  printf("C: the call has failed: %s\n", lua_tostring(L, -1));
  lua_pop(L, 1);
  fflush(stdout);
  return EXIT_SUCCESS;
}

/* As a task of its own: this call returns at once, the task runs when the loop does. */
static int call_back(qn_runtime_t *rt)
{
  lua_State *L = qn_runtime_state(rt);
  lua_rawgeti(L, LUA_REGISTRYINDEX, callback);
  lua_pushliteral(L, "later");
  if (qn_runtime_spawn(rt, 1) != LUA_OK) {
    return report(rt, "spawn");
  }
  qn_runtime_run(rt, QN_RUN_UNTIL_DONE);
  luaL_unref(L, LUA_REGISTRYINDEX, callback);
  return EXIT_SUCCESS;
}

int main(void)
{
  qn_runtime_t *rt = qn_runtime_new(NULL);
  if (rt == NULL) {
    return EXIT_FAILURE;
  }
  lua_State *L = qn_runtime_state(rt);
  lua_register(L, "greet", greet);
  lua_register(L, "on_event", on_event);
  int status = EXIT_SUCCESS;
  if (qn_runtime_dostring(rt, script) != LUA_OK) {
    status = report(rt, "script");
  } else if (multiply(rt) != EXIT_SUCCESS || call_back(rt) != EXIT_SUCCESS) {
    status = EXIT_FAILURE;
  }
  qn_runtime_shutdown(rt, 5);
  return status;
}

/* b_tls_choice.c: functions of users that OpenSSL asks in the middle of a handshake: alpn, psk.
 *
 * Such a function runs on a thread of its own and must not wait; what it raises goes where the
 * errors of tasks go, and counts as no answer. It is kept in the table that belongs to its
 * configuration, which is found again through a weak table: so it may hold whatever it likes, the
 * configuration itself too. Must not leave anything on the stack of the state.
 */
#include "b_tls.h"

#include <stdio.h>

static const char key_configs = 0; /* registry: qnl_tls_config_t * -> its userdata, weak */

typedef struct call {
  lua_CFunction ask;
  void *choice;
  const char *what;
} call_t;

void qnl_tls_keep_choice(lua_State *L, qnl_tls_config_t *u, const char *field)
{
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, field);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_configs);
  lua_pushvalue(L, 1);
  lua_rawsetp(L, -2, u);
  lua_pop(L, 2);
}

void qnl_tls_push_choice(lua_State *L, const qnl_tls_config_t *u, const char *field)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_configs);
  lua_rawgetp(L, -1, u);
  lua_getiuservalue(L, -1, 1);
  lua_getfield(L, -1, field);
  lua_replace(L, -4);
  lua_pop(L, 2);
}

/* Protected: makes the thread that the function runs on, and reports what it raises. */
static int run(lua_State *L)
{
  const call_t *call = lua_touserdata(L, 1);
  lua_State *own = lua_newthread(L);
  lua_pushcfunction(own, call->ask);
  lua_pushlightuserdata(own, call->choice);
  if (lua_pcall(own, 1, 0, 0) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "qn.core");
  lua_getfield(L, -1, "report");
  lua_xmove(own, L, 1);
  lua_pushstring(L, call->what);
  lua_call(L, 2, 0);
  return 0;
}

bool qnl_tls_ask_choice(qnl_state_t *G, lua_CFunction ask, void *choice, const char *what)
{
  call_t call = {.ask = ask, .choice = choice, .what = what};
  lua_State *L = G->L;
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &call);
  bool good = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_toboolean(L, -1);
  if (!good && !lua_isnil(L, -1)) { /* out of memory, or the state is being closed */
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "qnlua: error in %s: %s\n", what, text != NULL ? text : "?");
    G->had_unhandled = true;
  }
  lua_pop(L, 1);
  return good;
}

void qnl_tls_forget_choices(lua_State *L, const qnl_tls_config_t *u)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key_configs) == LUA_TTABLE) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, u);
  }
  lua_pop(L, 1);
}

void qnl_open_tls_choice(lua_State *L)
{
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_configs);
}

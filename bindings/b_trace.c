/* b_trace.c: core.trace: what passes on the wire, as text on standard error.
 *
 * Used by the program's --trace before anything is connected. The runtime puts its trace filter
 * only into streams that are made while a trace function is set.
 */
#include "qn/trace.h"

#include "sched.h"

#include <stdio.h>
#include <string.h>

static const char *const layers[] = {"socket", "tls"};
#define N_LAYERS (sizeof layers / sizeof *layers)

/* A bit per layer; of the process, as its standard error is. */
static unsigned chosen;

static void on_trace(const qn_trace_event_t *e, void *arg)
{
  bool socket = strcmp(e->layer, "tls") != 0;
  if ((chosen & (socket ? 1u : 2u)) != 0) {
    qn_trace_hexdump(e, arg);
  }
}

/* core.trace(layer ...): from now on new streams report what passes through these layers; without
 * one the trace is off. A name that is no layer raises. */
static int core_trace(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  int n = lua_gettop(L);
  unsigned bits = 0;
  for (int i = 1; i <= n; i++) {
    const char *name = luaL_checkstring(L, i);
    size_t at = 0;
    while (at < N_LAYERS && strcmp(layers[at], name) != 0) {
      at++;
    }
    luaL_argcheck(L, at < N_LAYERS, i, "unknown layer");
    bits |= 1u << at;
  }
  chosen = bits;
  qn_loop_set_trace(G->loop, n > 0 ? on_trace : NULL, n > 0 ? stderr : NULL);
  return 0;
}

void qnl_open_trace(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"trace", core_trace, 0}, {NULL, NULL, 0}};
  qnl_setfuncs(L, G, functions);
  lua_createtable(L, N_LAYERS, 0);
  for (size_t i = 0; i < N_LAYERS; i++) {
    lua_pushstring(L, layers[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "trace_layers");
}

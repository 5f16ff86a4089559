/* b_loop.c: clocks and counters: the small calls about the runtime itself.
 *
 * qn.now is monotonic, qn.time is the wall clock; both in seconds. Nothing here waits.
 */
#include "sched.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double clock_seconds(clockid_t id)
{
  struct timespec ts;
  clock_gettime(id, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int core_now(lua_State *L)
{
  lua_pushnumber(L, clock_seconds(CLOCK_MONOTONIC));
  return 1;
}

static int core_time(lua_State *L)
{
  lua_pushnumber(L, clock_seconds(CLOCK_REALTIME));
  return 1;
}

static void set(lua_State *L, const char *key, int64_t value)
{
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, key);
}

/* core.stats() -> table of counters. */
static int core_stats(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qn_loop_stats_t s;
  qn_loop_stats(G->loop, &s);
  lua_createtable(L, 0, 12);
  set(L, "tasks", G->n_tasks);
  set(L, "spawned", G->n_spawned);
  set(L, "switches", G->n_switches);
  set(L, "leaked", G->n_leaked);
  set(L, "handles", s.handles);
  set(L, "ops", s.ops);
  set(L, "objects", s.objects);
  set(L, "orphans", s.orphans);
  set(L, "timers", s.timers);
  set(L, "turns", (int64_t)s.turns);
  set(L, "allocations", qn_alloc_live());
  return 1;
}

static int core_pid(lua_State *L)
{
  lua_pushinteger(L, getpid());
  return 1;
}

#ifdef QN_DEBUG
/* core.alloc_fail_at(nth) -> whether the failure that was armed before has happened: for tests. The
 * nth allocation of the runtime from now fails, once; 0 = none. */
static int core_alloc_fail_at(lua_State *L)
{
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0, 1, "must not be negative");
  bool failed = qn_alloc_failed();
  qn_alloc_fail_at((uint64_t)n);
  lua_pushboolean(L, failed);
  return 1;
}
#endif

void qnl_open_loop(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"now", core_now, 0},
                                           {"time", core_time, 0},
                                           {"stats", core_stats, 0},
                                           {"pid", core_pid, 0},
#ifdef QN_DEBUG
                                           {"alloc_fail_at", core_alloc_fail_at, 0},
#endif
                                           {NULL, NULL, 0}};
  qnl_setfuncs(L, G, functions);
}

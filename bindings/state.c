/* state.c: the life of a qnl_state_t: its memory, its loop, and the end that always comes.
 *
 * Its memory is a userdata that is marked for finalization before anything else of ours, so that it
 * is finalized last and freed after every finalizer has run: whatever those find, the state is
 * there. Who shuts down in order (embed.c) closes it before; otherwise lua_close does, and a second
 * userdata, the sentinel, marked after all others, stops the tasks while their handles are still
 * whole. Invariant: loop == NULL means over, and no C object of ours is left then.
 */
#include "sched.h"

#include <string.h>

static const char key_sentinel = 0;

static void new_registry_table(lua_State *L, const void *key, const char *mode)
{
  lua_newtable(L);
  if (mode != NULL) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

static void set_gc(lua_State *L, lua_CFunction gc)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

/* Inside a turn (os.exit of a stock interpreter called by a task) nothing can be closed in order,
 * and the process ends anyway. */
static bool can_close(const qnl_state_t *G) { return G->loop != NULL && !qn_loop_in_turn(G->loop); }

static int guard_gc(lua_State *L)
{
  qnl_state_t *G = lua_touserdata(L, 1);
  G->closing = true;
  if (can_close(G)) {
    bool whole = qnl_state_close(G);
    if (G->whole != NULL) {
      *G->whole = whole;
    }
  }
  if (G->owner != NULL) {
    *G->owner = NULL;
  }
  return 0;
}

qnl_state_t *qnl_state_new(lua_State *L, struct uv_loop_s *uv)
{
  qnl_state_t *G = lua_newuserdatauv(L, sizeof *G, 0);
  memset(G, 0, sizeof *G);
  G->tasks.next = G->tasks.prev = &G->tasks;
  G->emitters.next = G->emitters.prev = &G->emitters;
  set_gc(L, guard_gc);
  /* closures know it by its address: it stays until lua_close, whatever comes after it */
  lua_rawsetp(L, LUA_REGISTRYINDEX, (char *)G + 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  G->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  new_registry_table(L, &qnl_key_tasks, NULL);
  new_registry_table(L, &qnl_key_unhandled, NULL);
  new_registry_table(L, &qnl_key_traces, NULL);
  new_registry_table(L, &qnl_key_anchors, "v");
  new_registry_table(L, &qnl_key_handles, "k");
  qnl_nursery_init(&G->root, NULL);
  lua_pushlightuserdata(L, G);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &qnl_key_state);
  G->loop = qn_loop_new(uv);
  if (G->loop == NULL) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &qnl_key_state);
    luaL_error(L, "out of memory");
  }
  G->own_loop = uv == NULL;
  qn_loop_set_data(G->loop, G);
  return G;
}

/* --- the end --------------------------------------------------------------------------------- */

/* Calls in the pool cannot be stopped; those that end soon are waited for. */
static bool wait_for_orphans(qnl_state_t *G)
{
  qn_loop_stats_t stats;
  uint64_t end = qn_loop_fresh(G->loop) + QNL_ORPHAN_GRACE;
  for (;;) {
    qn_loop_stats(G->loop, &stats);
    if (stats.orphans == 0) {
      return true;
    }
    if (qn_loop_fresh(G->loop) >= end) {
      return false;
    }
    qnl_step(G, end);
  }
}

bool qnl_state_close(qnl_state_t *G)
{
  lua_State *L = G->L;
  qn_loop_t *loop = G->loop;
  qnl_stop(G, QNL_GRACE);
  G->closing = true;
  qnl_collect_all(G);
  qn_streams_abort(loop);
  qn_timer_stop(loop, &G->collect_timer);
  qn_ready_drop(&G->unhandled_ready);
  qn_ready_drop(&G->collect_ready);
  qn_ready_drop(&G->emit_ready);
  qn_loop_on_wakeup(loop, NULL);
  qn_ready_drop(&G->interrupt_ready);
  bool whole = wait_for_orphans(G);
  G->loop = NULL;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &qnl_key_state);
  if (whole) {
    qn_loop_free(loop);
  }
  return whole;
}

/* --- lua_close, noticed in time -------------------------------------------------------------- */

/* A replaced sentinel is only garbage; the current one is anchored until lua_close. */
static int sentinel_gc(lua_State *L)
{
  void *self = lua_touserdata(L, 1);
  qnl_state_t *G = *(qnl_state_t **)self;
  if (G->sentinel == self && can_close(G)) {
    qnl_stop(G, QNL_GRACE);
    G->closing = true;
  }
  return 0;
}

void qnl_watch_close(lua_State *L, qnl_state_t *G)
{
  if (qnl_in_finalizer(L)) { /* of lua_close, perhaps: then a new one would never be finalized */
    return;
  }
  qnl_state_t **s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = G;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key_sentinel) == LUA_TUSERDATA) {
    lua_getmetatable(L, -1);
    lua_setmetatable(L, -3);
    lua_pop(L, 1);
  } else {
    lua_pop(L, 1);
    set_gc(L, sentinel_gc);
  }
  G->sentinel = s;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_sentinel);
}

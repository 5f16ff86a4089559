/* class.c: static class tables become metatables; userdata hold one pointer to a C object.
 *
 * The type check compares the class pointer that every userdata of ours begins with, so it hashes
 * nothing. Base methods are copied into the derived method table: a look-up is one table access
 * deep. The collector is only the safety net: what it finds open is closed and counted as a leak.
 */
#include "sched.h"

#include <stdio.h>
#include <string.h>

/* No list of C holds a userdata: Lua frees one without calling its finalizer when that happens
 * while a stack is exhausted. What lists link is malloc'ed; then it stays, and is lost. */
const char qnl_key_state = 0, qnl_key_handles = 0;

qnl_state_t *qnl_state_of(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_state);
  qnl_state_t *G = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return G;
}

void qnl_setfuncs(lua_State *L, qnl_state_t *G, const qnl_method_t *methods)
{
  for (; methods != NULL && methods->name != NULL; methods++) {
    lua_pushlightuserdata(L, G);
    lua_pushinteger(L, methods->magic);
    lua_pushcclosure(L, methods->fn, 2);
    lua_setfield(L, -2, methods->name);
  }
}

/* Leaks are reported with the place that made the handle, in debug builds only. */
#ifdef QN_DEBUG
static const char key_sites = 0;

void qnl_note_site(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key_sites) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_sites);
  }
  luaL_where(L, 1);
  lua_pushvalue(L, -3);
  lua_insert(L, -2);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static void print_leak(lua_State *L, const qnl_class_t *cls)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key_sites) == LUA_TTABLE) {
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
    const char *site = lua_tostring(L, -1);
    fprintf(stderr, "qnlua: leaked %s made at %s(closed by the collector)\n", cls->name,
            site != NULL && *site != 0 ? site : "? ");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}
#else
void qnl_note_site(lua_State *L) { (void)L; }
#endif

/* The nearest class, from `cls` to its roots, that has the function: inheritance without writing to
 * the static tables. */
#define INHERITED(cls, member)                       \
  do {                                               \
    while ((cls) != NULL && (cls)->member == NULL) { \
      (cls) = (cls)->base;                           \
    }                                                \
  } while (0)

static void collect(qnl_state_t *G, qnl_box_t *box)
{
  const qnl_class_t *cls = box->cls;
  void *obj = box->obj;
  box->obj = NULL;
  INHERITED(cls, collect);
  if (obj != NULL && cls != NULL) {
    cls->collect(G, obj);
  }
}

static int class_gc(lua_State *L)
{
  qnl_state_t *G = qnl_G_raw(L);
  qnl_box_t *box = lua_touserdata(L, 1);
  const qnl_class_t *cls = box != NULL ? box->cls : NULL;
  INHERITED(cls, is_open);
  if (cls != NULL && box->obj != NULL && !G->closing && cls->is_open(box->obj)) {
    G->n_leaked++;
#ifdef QN_DEBUG
    print_leak(L, box->cls);
#endif
  }
  if (box != NULL) {
    cls = box->cls;
    INHERITED(cls, collect);
    if (cls != NULL) {
      collect(G, box);
    } else {
      box->obj = NULL;
    }
  }
  return 0;
}

void qnl_collect_all(qnl_state_t *G)
{
  lua_State *L = G->L;
  if (!lua_checkstack(L, 8)) {
    return;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_handles);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    collect(G, lua_touserdata(L, -1));
  }
  lua_pop(L, 1);
}

static int class_close(lua_State *L)
{
  qnl_box_t *box = lua_touserdata(L, 1);
  const qnl_class_t *cls = box != NULL ? box->cls : NULL;
  INHERITED(cls, close);
  if (cls != NULL && box->obj != NULL) {
    cls->close(qnl_G_raw(L), L, box->obj);
  }
  return 0;
}

static int class_tostring(lua_State *L)
{
  qnl_box_t *box = lua_touserdata(L, 1);
  lua_pushfstring(L, "%s: %p", box->cls->name, box->obj);
  return 1;
}

static void copy_methods(lua_State *L, qnl_state_t *G, const qnl_class_t *cls)
{
  if (cls->base != NULL) {
    copy_methods(L, G, cls->base);
  }
  qnl_setfuncs(L, G, cls->methods);
}

void qnl_class_register(lua_State *L, qnl_state_t *G, const qnl_class_t *cls)
{
  static const qnl_method_t common[] = {
      {"__gc", class_gc, 0}, {"__tostring", class_tostring, 0}, {NULL, NULL, 0}};
  const qnl_class_t *closer = cls, *meta = cls;
  INHERITED(closer, close);
  INHERITED(meta, meta);
  lua_createtable(L, 0, 8);
  qnl_setfuncs(L, G, common);
  if (closer != NULL) {
    lua_pushlightuserdata(L, G);
    lua_pushcclosure(L, class_close, 1);
    lua_setfield(L, -2, "__close");
  }
  lua_pushstring(L, cls->name);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "qn");
  lua_setfield(L, -2, "__metatable");
  qnl_setfuncs(L, G, meta != NULL ? meta->meta : NULL);
  lua_createtable(L, 0, 32);
  copy_methods(L, G, cls);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, (const char *)cls + 1);
  if (cls->index != NULL) {
    lua_pushlightuserdata(L, G);
    lua_insert(L, -2);
    lua_pushcclosure(L, cls->index, 2); /* upvalues: state, method table */
  }
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, cls);
}

void qnl_inherit(lua_State *L, const qnl_class_t *cls, const qnl_class_t *base)
{
  qnl_push_methods(L, cls);
  qnl_push_methods(L, base);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pushvalue(L, -2);
    if (lua_rawget(L, -5) == LUA_TNIL) {
      lua_pushvalue(L, -3);
      lua_pushvalue(L, -3);
      lua_rawset(L, -7);
    }
    lua_pop(L, 2);
  }
  lua_pop(L, 2);
}

void qnl_push_methods(lua_State *L, const qnl_class_t *cls)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, (const char *)cls + 1);
}

void qnl_set_metatable(lua_State *L, const qnl_class_t *cls)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, cls);
  lua_setmetatable(L, -2);
  INHERITED(cls, collect);
  if (cls != NULL) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_handles);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    qnl_state_t *G = qnl_state_of(L);
    if (G->stock && G->running == NULL && !G->closing) {
      qnl_watch_close(L, G); /* so that the end is noticed before it is collected */
    }
  }
}

/* The collector sees a userdata of some bytes: without this, garbage of C grows until Lua's own
 * heap has doubled. */
void qnl_weigh(lua_State *L, const qnl_class_t *cls)
{
  if (cls->weight > 0 && lua_gc(L, LUA_GCISRUNNING) == 1) {
    lua_gc(L, LUA_GCSTEP, cls->weight);
  }
}

qnl_box_t *qnl_push(lua_State *L, const qnl_class_t *cls, void *obj)
{
  qnl_weigh(L, cls);
  qnl_box_t *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->cls = cls;
  box->obj = obj;
  qnl_set_metatable(L, cls);
  if (cls->is_open != NULL) {
    qnl_note_site(L);
  }
  return box;
}

int qnl_raise_over(lua_State *L) { return luaL_error(L, "qn has been shut down"); }

static bool is_a(const void *cls, const qnl_class_t *want)
{
  /* `cls` may be garbage of a foreign userdata: it is compared, never followed */
  static qnl_class_t *const all[] = {
      &qnl_class_stream,    &qnl_class_socket,      &qnl_class_file,     &qnl_class_listener,
      &qnl_class_buffer,    &qnl_class_task,        &qnl_class_scope,    &qnl_class_nursery,
      &qnl_class_error,     &qnl_class_cancelled,   &qnl_class_signal,   &qnl_class_address,
      &qnl_class_resolver,  &qnl_class_udp,         &qnl_class_datagram, &qnl_class_notifier,
      &qnl_class_url,       &qnl_class_certificate, &qnl_class_key,      &qnl_class_csr,
      &qnl_class_tls_config};
  if (cls == want) {
    return true;
  }
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (cls == all[i]) {
      for (const qnl_class_t *c = all[i]->base; c != NULL; c = c->base) {
        if (c == want) {
          return true;
        }
      }
      return false;
    }
  }
  return false;
}

void *qnl_test(lua_State *L, int idx, const qnl_class_t *cls)
{
  qnl_box_t *box = lua_touserdata(L, idx);
  if (QN_LIKELY(box != NULL && lua_rawlen(L, idx) >= sizeof *box && is_a(box->cls, cls))) {
    return box->obj;
  }
  return NULL;
}

void *qnl_check(lua_State *L, int idx, const qnl_class_t *cls)
{
  void *obj = qnl_test(L, idx, cls);
  if (QN_UNLIKELY(obj == NULL)) {
    luaL_typeerror(L, idx, cls->name);
  }
  return obj;
}

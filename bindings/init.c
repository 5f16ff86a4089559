/* init.c: the core module, the searcher for embedded Lua modules, qn.run.
 *
 * luaopen_qn_core makes the state for an interpreter that has none (stock Lua); programs and C
 * hosts make it first (embed.c) with a loop of their choice. Must not change globals: qn.install
 * does.
 */
#include "embedded.h"
#include "sched.h"

#include <stdlib.h>
#include <string.h>

qn_loop_t *qnl_loop(qnl_state_t *G) { return G->loop; }
lua_State *qnl_main(qnl_state_t *G) { return G->L; }

static const char key_core = 0;

/* A task without a coroutine that stands for the main thread when that waits by itself. */
static void make_blocker(lua_State *L, qnl_state_t *G)
{
  qnl_task_t *t = lua_newuserdatauv(L, sizeof *t, 3);
  memset(t, 0, sizeof *t);
  t->box = (qnl_box_t){&qnl_class_task, t};
  t->G = G;
  t->cancel_at = QNL_NEVER;
  t->blocking = true;
  t->started = true;
  t->status = QNL_TASK_RUNNING;
  t->co.task = t;
  t->co.L = G->L;
  t->joiners.next = t->joiners.prev = &t->joiners;
  t->cos.next = t->cos.prev = &t->cos;
  qnl_nursery_init(&t->own, t);
  qn_op_init(&t->op, G->loop, qnl_wake_op);
  qnl_set_metatable(L, &qnl_class_task);
  lua_pushliteral(L, "main thread");
  lua_setiuservalue(L, -2, 2);
  G->blocker = t;
  lua_rawsetp(L, LUA_REGISTRYINDEX, G);
}

/* --- embedded modules ------------------------------------------------------------------------ */

static const struct qnl_embedded *find_embedded(const char *name)
{
  for (const struct qnl_embedded *m = qnl_embedded_modules; m->name != NULL; m++) {
    if (strcmp(m->name, name) == 0) {
      return m;
    }
  }
  return NULL;
}

static int search_embedded(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  const struct qnl_embedded *m = find_embedded(name);
  if (m == NULL) {
    lua_pushfstring(L, "no embedded module '%s'", name);
    return 1;
  }
  if (luaL_loadbufferx(L, (const char *)m->data, m->size, m->chunkname, "t") != LUA_OK) {
    return luaL_error(L, "error loading module '%s': %s", name, lua_tostring(L, -1));
  }
  lua_pushfstring(L, "embedded:%s", name);
  return 2;
}

static int core_embedded(lua_State *L)
{
  lua_newtable(L);
  lua_Integer i = 0;
  for (const struct qnl_embedded *m = qnl_embedded_modules; m->name != NULL; m++) {
    lua_pushstring(L, m->name);
    lua_rawseti(L, -2, ++i);
  }
  return 1;
}

/* Puts our searcher behind preload and before the file searchers, once. */
static void add_searcher(lua_State *L)
{
  lua_getglobal(L, LUA_LOADLIBNAME);
  if (lua_istable(L, -1) && lua_getfield(L, -1, "searchers") == LUA_TTABLE) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = n; i >= 2; i--) {
      lua_rawgeti(L, -1, i);
      lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, search_embedded);
    lua_rawseti(L, -2, n >= 1 ? 2 : 1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Takes back what this file has put into the Lua state of a host, so that the next runtime finds it
 * as it was. Argument: none. */
int qnl_forget_modules(lua_State *L)
{
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_core);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, 1) !=
         0) { /* a table must not lose keys that it gains meanwhile: names first */
    lua_pop(L, 1);
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (strcmp(name, "qn") == 0 || strncmp(name, "qn.", 3) == 0) {
      lua_pushvalue(L, -1);
      lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
    }
  }
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, 2); i >= 1; i--) {
    lua_rawgeti(L, 2, i);
    lua_pushnil(L);
    lua_rawset(L, 1);
  }
  lua_getglobal(L, LUA_LOADLIBNAME);
  if (lua_istable(L, -1) && lua_getfield(L, -1, "searchers") == LUA_TTABLE) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1), to = 1;
    for (lua_Integer i = 1; i <= n; i++) {
      lua_rawgeti(L, -1, i);
      if (lua_tocfunction(L, -1) == search_embedded) {
        lua_pop(L, 1);
      } else {
        lua_rawseti(L, -2, to++);
      }
    }
    for (; to <= n; to++) {
      lua_pushnil(L);
      lua_rawseti(L, -2, to);
    }
  }
  return 0;
}

/* --- the core module ------------------------------------------------------------------------- */

/* core.methods(class name) -> the method table that Lua files add to. */
static int core_methods(lua_State *L)
{
  static qnl_class_t *const classes[] = {
      &qnl_class_stream,      &qnl_class_socket,       &qnl_class_file,        &qnl_class_listener,
      &qnl_class_buffer,      &qnl_class_task,         &qnl_class_signal,      &qnl_class_nursery,
      &qnl_class_address,     &qnl_class_resolver,     &qnl_class_udp,         &qnl_class_datagram,
      &qnl_class_notifier,    &qnl_class_url,          &qnl_class_certificate, &qnl_class_key,
      &qnl_class_csr,         &qnl_class_tls_config,   &qnl_class_tls_session, &qnl_class_dtls,
      &qnl_class_dtls_server, &qnl_class_dtls_verifier};
  const char *name = luaL_checkstring(L, 1);
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    if (strcmp(classes[i]->name + 3, name) == 0) {
      qnl_push_methods(L, classes[i]);
      return 1;
    }
  }
  return luaL_argerror(L, 1, "unknown class");
}

/* core.stash: a message handler that remembers the traceback of an error for whoever reports it. */
static int core_stash(lua_State *L) { return qnl_message_handler(L); }

static int call_k(lua_State *L, int status, lua_KContext ctx)
{
  (void)status, (void)ctx;
  return lua_gettop(L);
}

/* core.call(f, ...): f's results. In a traceback f has no name then, as a chunk should. */
static int core_call(lua_State *L)
{
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, call_k);
  return call_k(L, LUA_OK, 0);
}

/* core.installed(on): whether the globals of Lua are those of qn.install. */
static int core_installed(lua_State *L)
{
  qnl_G(L)->installed = lua_toboolean(L, 1);
  return 0;
}

/* core.run(f, ...): qn.run without a task: runs the loop until f is done. */
static int core_run(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (G->running != NULL || L != G->L || qn_loop_in_turn(G->loop)) {
    return luaL_error(L, "qn.run cannot be called from inside a task: call the function itself");
  }
  if (G->stopping || !G->own_loop) {
    return luaL_error(L, "qn.run: %s",
                      G->stopping ? "the program is ending" : "the host runs the loop");
  }
  qnl_task_t *t = qnl_spawn(L, G, &G->root, lua_gettop(L) - 1);
  t->claimed = true;
  qnl_run_until(G, t);
  qnl_finish_handlers(G, QNL_GRACE);
  if (G->exiting) {
    return G->stock ? qnl_exit_process(G) : luaL_error(L, "qn.run: the program is ending");
  }
  if (!qnl_task_ended(t)) { /* a deadlock that was caught */
    return luaL_error(L, "qn.run: every task waits and nothing can wake one");
  }
  if (G->stock) {
    qnl_watch_close(L, G);
  }
  int n = qnl_push_outcome(L, t);
  if (!lua_toboolean(L, -n)) {
    return lua_error(L);
  }
  return n - 1;
}

static int open_core(lua_State *L)
{
  static const qnl_method_t functions[] = {{"methods", core_methods, 0},
                                           {"stash", core_stash, 0},
                                           {"call", core_call, 0},
                                           {"installed", core_installed, 0},
                                           {"run", core_run, 0},
                                           {"embedded", core_embedded, 0},
                                           {NULL, NULL, 0}};
  qnl_state_t *G = qnl_state_of(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key_core) == LUA_TTABLE) {
    return 1;
  }
  lua_pop(L, 1);
  lua_newtable(L);
  qnl_open_error(L, G);
  qnl_open_sched(L, G);
  qnl_open_scope(L, G);
  qnl_open_nursery(L, G);
  qnl_open_coroutine(L, G);
  qnl_open_park(L, G);
  qnl_open_loop(L, G);
  qnl_open_exit(L, G);
  qnl_open_interrupt(L, G);
  qnl_open_console(L, G);
  qnl_open_trace(L, G);
  qnl_open_stream(L, G);
  qnl_open_bulk(L, G);
  qnl_open_socket(L, G);
  qnl_open_listen(L, G);
  qnl_open_buffer(L, G);
  qnl_open_file(L, G);
  qnl_open_signal(L, G);
  qnl_open_events(L, G);
  qnl_open_address(L, G);
  qnl_open_netif(L, G);
  qnl_open_dns(L, G);
  qnl_open_udp(L, G);
  qnl_open_notifier(L, G);
  qnl_open_url(L, G);
  qnl_open_certificate(L, G);
  qnl_open_cert_make(L, G);
  qnl_open_pkcs12(L, G);
  qnl_open_key(L, G);
  qnl_open_crypto(L, G);
  qnl_open_tls(L, G);
  qnl_open_dtls(L, G);
  qnl_setfuncs(L, G, functions);
  lua_pushliteral(L, QN_VERSION);
  lua_setfield(L, -2, "version");
  G->budget = QNL_BUDGET;
  make_blocker(L, G);
  add_searcher(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_core);
  return 1;
}

int luaopen_qn_core(lua_State *L)
{
  if (qnl_state_of(L) == NULL) {
    qnl_state_t *G = qnl_state_new(L, NULL);
    G->stock = true;
    open_core(L);
    qnl_watch_close(L, G);
    return 1;
  }
  return open_core(L);
}

/* `require "qn"` of a stock interpreter that finds qn.so: the Lua module from the embedded sources.
 */
int luaopen_qn(lua_State *L)
{
  luaL_requiref(L, "qn.core", luaopen_qn_core, 0);
  lua_pushcfunction(L, search_embedded);
  lua_pushliteral(L, "qn");
  lua_call(L, 1, 1); /* the chunk */
  lua_pushliteral(L, "qn");
  lua_call(L, 1, 1);
  return 1;
}

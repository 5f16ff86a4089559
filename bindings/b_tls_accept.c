/* b_tls_accept.c: servers that speak TLS: handshakes without a task each, their questions and
 * failures told to lua/qn/tls/server.lua, finished connections as sockets.
 *
 * A connection that nobody has taken is no userdata, unless it must be shown to Lua before (a
 * question): then that one is handed out later. Hooks only take notes; notes are handed on from the
 * loop. Must not forget a configuration while a handshake may call its functions. Invariant: every
 * incoming_t is owned either by the runtime's listener or by the userdata of its stream.
 */
#include "b_tls_accept.h"

#include <errno.h>
#include <stdio.h>

/* What handshakes began with: the configuration's userdata is pinned for as long. */
typedef struct generation {
  qnl_state_t *G;
  const qn_tls_config_t *config;
  unsigned refs;
  bool ask_sni;
} generation_t;

typedef struct incoming incoming_t;
struct qnl_tls_server {
  qn_tls_listener_t *l;
  qnl_listener_t *u;
  qnl_state_t *G;
  generation_t *gen;
  qn_ready_t ready;
  qn_list_t notes;
};

typedef enum note_kind { NOTE_BEGIN, NOTE_SNI, NOTE_VERIFY, NOTE_LOST, NOTE_FAILED } note_kind_t;

typedef struct note {
  qn_list_t link; /* in srv->notes */
  note_kind_t kind;
} note_t;

struct incoming {
  qnl_tls_conn_t conn; /* first: freed with it */
  qnl_tls_server_t *srv;
  qn_tls_incoming_t *in;         /* NULL: handed out or lost */
  generation_t *gen;             /* NULL: the handshake is over */
  const qn_tls_config_t *config; /* its connection holds it */
  note_t note;
};

/* A handshake that failed while somebody listened. */
typedef struct failure {
  note_t note;
  qn_tls_t *t;
  int err;
  qn_addr_t peer;
} failure_t;

/* Generation -> configuration; incoming -> stream userdata that Lua has seen; server -> userdata
 * and configuration -> userdata (weak). */
static const char key_generations = 0, key_shown = 0, key_servers = 0, key_configs = 0;

#define OF_CONN(c) ((incoming_t *)(void *)(c))
#define OF_NOTE(n) ((incoming_t *)(void *)((char *)(n)-offsetof(incoming_t, note)))
#define OF_LINK(node) ((note_t *)(void *)(node))

static void registry_set(lua_State *L, const void *table, const void *key, int idx)
{
  if (idx != 0) {
    idx = lua_absindex(L, idx);
  }
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, table) == LUA_TTABLE) {
    if (idx != 0) {
      lua_pushvalue(L, idx);
    } else {
      lua_pushnil(L);
    }
    lua_rawsetp(L, -2, key);
  }
  lua_pop(L, 1);
}

static int registry_get(lua_State *L, const void *table, const void *key)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, table);
  int type = lua_rawgetp(L, -1, key);
  lua_remove(L, -2);
  return type;
}

/* --- generations ------------------------------------------------------------------------------ */

/* `ask_sni`: names are asked of a function. The configuration is at `idx`. Raises without memory.
 */
static generation_t *new_generation(lua_State *L, qnl_state_t *G, int idx, bool ask_sni)
{
  generation_t *gen = qn_calloc(1, sizeof *gen);
  if (gen == NULL) {
    luaL_error(L, "out of memory");
    return NULL;
  }
  const qn_tls_config_t *config = qnl_check_tls_config(L, idx)->c;
  *gen = (generation_t){G, config, 1, ask_sni};
  registry_set(L, &key_generations, gen, idx);
  registry_set(L, &key_configs, config, idx);
  return gen;
}

static void drop_generation(generation_t *gen)
{
  if (gen != NULL && --gen->refs == 0) {
    registry_set(gen->G->L, &key_generations, gen, 0);
    qn_free(gen);
  }
}

/* --- notes ------------------------------------------------------------------------------------ */

static void take_note(qnl_tls_server_t *srv, note_t *n, note_kind_t kind)
{
  n->kind = kind;
  if (n->link.next == NULL) {
    qnl_list_append(&srv->notes, &n->link);
  }
  qn_ready_queue(srv->G->loop, &srv->ready);
}

/* A ClientHello has come: who listens to that is told first, then the name is asked for. */
static void on_hello(qn_tls_t *t, const char *name, void *arg)
{
  incoming_t *inc = OF_CONN(arg);
  (void)name;
  if (qnl_listener_observed(inc->srv->u, QNL_EVENT_HANDSHAKE_STARTED)) {
    take_note(inc->srv, &inc->note, NOTE_BEGIN);
  } else if (inc->gen->ask_sni) {
    take_note(inc->srv, &inc->note, NOTE_SNI);
  } else {
    qn_tls_answer_config(t, NULL, 0);
  }
}

static void on_verify(qn_tls_t *t, void *arg)
{
  incoming_t *inc = OF_CONN(arg);
  (void)t;
  take_note(inc->srv, &inc->note, NOTE_VERIFY);
}

/* --- the runtime's hooks ---------------------------------------------------------------------- */

/* The userdata of the stream goes away first: only while everything is closed. */
static void on_gone(qnl_tls_conn_t *conn)
{
  incoming_t *inc = OF_CONN(conn);
  if (inc->in != NULL) {
    inc->in->conn = NULL;
  }
  qnl_list_remove(&inc->note.link);
  drop_generation(inc->gen);
}

static int on_begin(void *arg, qn_tls_incoming_t *in, qn_tls_opts_t *opts)
{
  qnl_tls_server_t *srv = arg;
  incoming_t *inc = qn_calloc(1, sizeof *inc);
  if (inc == NULL) {
    return -ENOMEM;
  }
  qnl_tls_conn_init(&inc->conn, srv->G);
  inc->conn.gone = on_gone;
  inc->srv = srv;
  inc->in = in;
  inc->gen = srv->gen;
  inc->gen->refs++;
  inc->config = inc->gen->config;
  in->conn = inc;
  opts->hooks.arg = &inc->conn;
  opts->hooks.event = qnl_tls_on_event;
  bool told = qnl_listener_observed(srv->u, QNL_EVENT_HANDSHAKE_STARTED);
  opts->hooks.sni = told || inc->gen->ask_sni ? on_hello : NULL;
  opts->hooks.verify =
      qnl_listener_observed(srv->u, QNL_EVENT_HANDSHAKE_SSL_ERRORS) ? on_verify : NULL;
  return 0;
}

static void on_ready(void *arg, qn_tls_incoming_t *in)
{
  const qnl_tls_server_t *srv = arg;
  (void)in;
  qnl_listener_note(srv->u, 'c');
}

/* Without memory the event is lost; the count is not. */
static void note_failure(qnl_tls_server_t *srv, const qn_tls_incoming_t *in, int err)
{
  failure_t *f = in->t != NULL ? qn_calloc(1, sizeof *f) : NULL;
  if (f != NULL) {
    qn_tls_retain(in->t);
    f->t = in->t;
    f->err = err;
    if (qn_stream_peer_addr(in->s, &f->peer) < 0) {
      f->peer.size = 0;
    }
    take_note(srv, &f->note, NOTE_FAILED);
  }
}

static void on_lost(void *arg, qn_tls_incoming_t *in, int err)
{
  qnl_tls_server_t *srv = arg;
  incoming_t *inc = in->conn;
  if (qnl_listener_observed(srv->u, QNL_EVENT_HANDSHAKE_ERROR) &&
      !qn_listener_is_closed(srv->u->l)) { /* its end is no error of theirs */
    note_failure(srv, in, err);
  }
  if (inc == NULL) {
    return;
  }
  in->conn = NULL;
  inc->in = NULL;
  if (in->t != NULL) {
    qn_tls_unhook(in->t);
  }
  drop_generation(inc->gen);
  inc->gen = NULL;
  if (inc->conn.u != NULL) { /* the userdata owns it; a task may be thinking about it */
    take_note(srv, &inc->note, NOTE_LOST);
  } else {
    qnl_tls_conn_free(&inc->conn);
  }
}

/* --- telling Lua ------------------------------------------------------------------------------ */

/* Pushes the socket of a connection that nobody has taken yet. */
static void push_shown(lua_State *L, incoming_t *inc)
{
  if (registry_get(L, &key_shown, inc) != LUA_TNIL) {
    return;
  }
  lua_pop(L, 1);
  qnl_stream_t *u = qnl_push_stream(L, inc->conn.G, &qnl_class_socket);
  u->box.obj = NULL;
  registry_set(L, &key_shown, inc, -1);
  qnl_tls_conn_name(L, -1, &inc->conn);
  qn_stream_retain(inc->in->s);
  qn_tls_retain(inc->in->t);
  u->s = inc->in->s;
  u->tls = &inc->conn;
  inc->conn.t = inc->in->t;
  inc->conn.u = u;
  u->box.obj = u;
}

/* Pushes what the note is about: socket, what, value [, value]. */
static int push_note(lua_State *L, incoming_t *inc, note_kind_t kind)
{
  switch (kind) {
  case NOTE_BEGIN:
    push_shown(L, inc);
    lua_pushliteral(L, "started");
    return 2;
  case NOTE_SNI:
    push_shown(L, inc);
    lua_pushliteral(L, "sni");
    lua_pushstring(L, qn_tls_server_name(inc->conn.t));
    return 3;
  case NOTE_VERIFY:
    push_shown(L, inc);
    lua_pushliteral(L, "verify");
    qnl_push_tls_errors(L, inc->conn.t);
    return 3;
  default:
    registry_get(L, &key_shown, inc);
    registry_set(L, &key_shown, inc, 0);
    qnl_tls_settled(&inc->conn);
    lua_pushliteral(L, "lost");
    return 2;
  }
}

static int push_failure(lua_State *L, const failure_t *f, qnl_state_t *G)
{
  char text[QN_ADDR_TEXT + 8];
  bool known = f->peer.size != 0 && qn_addr_text(&f->peer, text, sizeof text) > 0;
  lua_pushnil(L);
  lua_pushliteral(L, "failed");
  qnl_push_tls_failure(L, f->t, f->err, "handshake", known ? text : NULL);
  qnl_push_address(L, G, &f->peer);
  return 4;
}

/* Protected. Arguments: the server's struct, the note. */
static int tell(lua_State *L)
{
  qnl_tls_server_t *srv = lua_touserdata(L, 1);
  note_t *n = lua_touserdata(L, 2);
  lua_settop(L, 0);
  if (registry_get(L, &key_servers, srv) == LUA_TNIL) {
    return 0; /* it is about to be closed */
  }
  if (n->kind == NOTE_FAILED) {
    push_failure(L, (const failure_t *)(const void *)n, srv->G);
  } else {
    push_note(L, OF_NOTE(n), n->kind);
  }
  return qnl_tls_call(L, "server_question");
}

static void free_failure(note_t *n)
{
  failure_t *f = (failure_t *)(void *)n;
  qn_tls_release(f->t);
  qn_free(f);
}

/* Nobody will answer. */
static void refuse(const incoming_t *inc)
{
  if (inc->in != NULL) {
    qn_tls_answer_config(inc->in->t, NULL, QN_E_TLS);
    qn_tls_answer_verify(inc->in->t, false);
  }
}

static void hand_on(qnl_tls_server_t *srv, note_t *n)
{
  lua_State *L = srv->G->L;
  note_kind_t kind = n->kind;
  lua_pushcfunction(L, tell);
  lua_pushlightuserdata(L, srv);
  lua_pushlightuserdata(L, n);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    const char *text = luaL_tolstring(L, -1, NULL);
    fprintf(stderr, "qnlua: error in a question of a TLS server: %s\n", text);
    srv->G->had_unhandled = true;
    lua_pop(L, 2);
    if (kind != NOTE_FAILED && kind != NOTE_LOST) {
      refuse(OF_NOTE(n));
    }
  }
  if (kind == NOTE_FAILED) {
    free_failure(n);
  }
}

static void run_notes(qn_ready_t *r)
{
  qnl_tls_server_t *srv =
      (qnl_tls_server_t *)(void *)((char *)r - offsetof(qnl_tls_server_t, ready));
  lua_checkstack(srv->G->L, 16);
  while (srv->notes.next != &srv->notes) {
    note_t *n = OF_LINK(srv->notes.next);
    qnl_list_remove(&n->link);
    hand_on(srv, n);
  }
}

/* core.tls_server_go(socket): those who were told of the handshake have returned. */
static int core_tls_server_go(lua_State *L)
{
  const qnl_stream_t *u = qnl_check_stream(L, 1);
  incoming_t *inc = u->tls != NULL && u->tls->gone == on_gone ? OF_CONN(u->tls) : NULL;
  if (inc == NULL || inc->in == NULL) {
    return 0;
  }
  if (inc->gen->ask_sni) {
    take_note(inc->srv, &inc->note, NOTE_SNI);
  } else {
    qn_tls_answer_config(inc->in->t, NULL, 0);
  }
  return 0;
}

/* --- accepting -------------------------------------------------------------------------------- */

/* Pushes the socket; `s` is the empty one that was made before. Cannot fail for unseen ones. */
static int push_incoming(lua_State *L, qnl_stream_t *s, const qn_tls_incoming_t *in)
{
  incoming_t *inc = in->conn;
  inc->in = NULL;
  inc->srv = NULL;
  drop_generation(inc->gen);
  inc->gen = NULL;
  if (inc->conn.u != NULL) {
    qnl_list_remove(&inc->note.link);
    registry_get(L, &key_shown, inc);
    registry_set(L, &key_shown, inc, 0);
    qnl_tls_settled(&inc->conn);
    qn_stream_release(in->s);
    qn_tls_release(in->t);
    return 1;
  }
  inc->conn.t = in->t;
  inc->conn.u = s;
  s->tls = &inc->conn;
  s->s = in->s;
  s->box.obj = s;
  return 1;
}

static int push_taken(lua_State *L, qnl_task_t *t, int64_t result)
{
  qn_tls_incoming_t in;
  if (result < 0 || !qn_tls_listener_taken(&t->op, &in)) {
    return qnl_listener_fail(L, qnl_check_listener(L, 1), result < 0 ? (int)result : QN_E_CLOSED,
                             "accept");
  }
  return push_incoming(L, t->wait.obj, &in);
}

static void abandon_accept(qnl_task_t *t) { qn_tls_listener_untake(&t->op); }

int qnl_tls_server_accept(lua_State *L, qnl_task_t *t, qnl_listener_t *u, uint64_t timeout)
{
  qn_tls_incoming_t in;
  qnl_stream_t *s = qnl_push_stream(L, u->tls->G, &qnl_class_socket);
  s->box.obj = NULL;
  int rc = qn_tls_listener_accept(u->tls->l, &t->op, &in);
  if (rc == 0) {
    return push_incoming(L, s, &in);
  }
  if (rc != QN_AGAIN) {
    return qnl_listener_fail(L, u, rc, "accept");
  }
  t->wait.obj = s;
  t->wait.abandon = abandon_accept;
  t->wait.returnable = true;
  qnl_wait_for(t, timeout);
  return qnl_wait(L, t, push_taken);
}

/* --- servers ---------------------------------------------------------------------------------- */

static int config_fail(lua_State *L, const qnl_tls_config_t *config, int rc, const char *op)
{
  const char *why = qn_tls_config_problem(config->c);
  return qnl_fail_info(
      L, &(qnl_errinfo_t){.code = rc, .op = op, .phase = "tls", .message = *why != 0 ? why : NULL});
}

static qnl_tls_server_t *new_server(lua_State *L, qnl_state_t *G, qnl_listener_t *u)
{
  registry_set(L, &key_servers, u, 0); /* whatever can raise comes before the memory */
  qnl_tls_server_t *srv = qn_calloc(1, sizeof *srv);
  if (srv == NULL) {
    luaL_error(L, "out of memory");
    return NULL;
  }
  srv->u = u;
  srv->G = G;
  qn_ready_init(&srv->ready, run_notes);
  qnl_list_init(&srv->notes);
  u->tls = srv; /* from now on it goes with the userdata */
  srv->gen = new_generation(L, G, 2, lua_toboolean(L, 5));
  registry_set(L, &key_servers, srv, 1);
  return srv;
}

/* core.tls_serve(server, configuration, handshake_timeout, max_handshakes, ask_sni)
 * -> server | nil, err: from now on it gives sockets whose handshake is done. */
static int core_tls_serve(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_listener_t *u = qnl_check_listener(L, 1);
  qnl_tls_config_t *config = qnl_check_tls_config(L, 2);
  uint64_t timeout = qnl_seconds(L, 3, QN_TLS_HANDSHAKE_MS);
  lua_Integer most = luaL_optinteger(L, 4, QN_TLS_HANDSHAKES_MAX);
  lua_settop(L, 5);
  luaL_argcheck(L, most >= 1, 4, "at least 1");
  luaL_argcheck(L, u->tls == NULL, 1, "it is a TLS server already");
  qn_tls_listen_opts_t opts;
  qn_tls_listen_opts_init(&opts, u->l);
  opts.handshake_ms = timeout;
  opts.max_handshakes = (size_t)most;
  qnl_tls_server_t *srv = new_server(L, G, u);
  opts.hooks =
      (qn_tls_listen_hooks_t){.arg = srv, .begin = on_begin, .ready = on_ready, .lost = on_lost};
  int rc = qn_tls_listener_new(u->l, config->c, &opts, &srv->l);
  if (rc < 0) {
    qn_listener_close(u->l);
    return config_fail(L, config, rc, "listen");
  }
  lua_settop(L, 1);
  return 1;
}

static qnl_tls_server_t *check_server(lua_State *L)
{
  qnl_listener_t *u = qnl_check_listener(L, 1);
  luaL_argcheck(L, u->tls != NULL && u->tls->l != NULL, 1, "the server does not speak TLS");
  return u->tls;
}

/* core.tls_reconfigure(server, configuration, ask_sni) -> true | nil, err */
static int core_tls_reconfigure(lua_State *L)
{
  qnl_tls_server_t *srv = check_server(L);
  qnl_tls_config_t *config = qnl_check_tls_config(L, 2);
  generation_t *gen = new_generation(L, srv->G, 2, lua_toboolean(L, 3));
  int rc = qn_tls_listener_configure(srv->l, config->c);
  if (rc < 0) {
    drop_generation(gen);
    return config_fail(L, config, rc, "configure");
  }
  drop_generation(srv->gen);
  srv->gen = gen;
  lua_pushboolean(L, 1);
  return 1;
}

/* core.tls_server_config(server) -> configuration | nil: for connections to come; false: closed */
static int core_tls_server_config(lua_State *L)
{
  const qnl_listener_t *u = qnl_check_listener(L, 1);
  if (u->tls != NULL && u->tls->gen != NULL) {
    registry_get(L, &key_generations, u->tls->gen);
  } else if (u->tls != NULL) {
    lua_pushboolean(L, 0);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* core.tls_accepted_config(socket) -> the configuration that it began with, nil: not of a server */
static int core_tls_accepted_config(lua_State *L)
{
  const qnl_stream_t *u = qnl_check_stream(L, 1);
  if (u->tls != NULL && u->tls->gone == on_gone) {
    registry_get(L, &key_configs, OF_CONN(u->tls)->config);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static void set_count(lua_State *L, const char *field, uint64_t n)
{
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, field);
}

void qnl_tls_server_stats(lua_State *L, const qnl_tls_server_t *srv)
{
  qn_tls_listen_stats_t s;
  qn_tls_listener_stats(srv->l, &s);
  set_count(L, "handshaking", s.handshaking);
  set_count(L, "handshakes", s.begun);
  set_count(L, "established", s.up);
  set_count(L, "failed", s.failed);
  set_count(L, "timed_out", s.timed_out);
  set_count(L, "dropped", s.dropped);
}

/* --- life ------------------------------------------------------------------------------------- */

void qnl_tls_server_close(qnl_tls_server_t *srv)
{
  if (srv != NULL) {
    if (srv->l != NULL) {
      qn_tls_listener_close(srv->l);
    }
    drop_generation(srv->gen); /* its functions may hold the server */
    srv->gen = NULL;
  }
}

void qnl_tls_server_free(qnl_tls_server_t *srv)
{
  if (srv == NULL) {
    return;
  }
  qnl_tls_server_close(srv);
  while (srv->notes.next != &srv->notes) {
    note_t *n = OF_LINK(srv->notes.next);
    qnl_list_remove(&n->link);
    if (n->kind == NOTE_FAILED) {
      free_failure(n);
    } else { /* its userdata goes, too */
      registry_set(srv->G->L, &key_shown, OF_NOTE(n), 0);
    }
  }
  qn_ready_drop(&srv->ready);
  if (srv->l != NULL) {
    qn_tls_listener_release(srv->l);
  }
  qn_free(srv);
}

size_t qnl_tls_server_pending(const qnl_tls_server_t *srv)
{
  qn_tls_listen_stats_t s;
  qn_tls_listener_stats(srv->l, &s);
  return s.pending;
}

void qnl_tls_server_set_max_pending(qnl_tls_server_t *srv, size_t n)
{
  qn_tls_listener_set_max_pending(srv->l, n);
}

void qnl_open_tls_accept(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"tls_serve", core_tls_serve, 0},
                                           {"tls_reconfigure", core_tls_reconfigure, 0},
                                           {"tls_server_config", core_tls_server_config, 0},
                                           {"tls_accepted_config", core_tls_accepted_config, 0},
                                           {"tls_server_go", core_tls_server_go, 0},
                                           {NULL, NULL, 0}};
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_generations);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_shown);
  static const char *const weak[] = {&key_servers, &key_configs};
  for (int i = 0; i < 2; i++) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, weak[i]);
  }
  qnl_setfuncs(L, G, functions);
}

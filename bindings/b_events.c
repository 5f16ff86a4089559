/* b_events.c: what happens to streams and listeners becomes named events of their Lua objects.
 *
 * The runtime's observer only takes notes here (no Lua); the ready phase hands the notes to the Lua
 * dispatcher (lua/qn/events.lua), which runs handlers as tasks. An object with listeners that can
 * still have events is anchored: the collector leaves it alone. No listener, no emitter, no cost.
 */
#include "b_listen.h"
#include "b_tls.h"

#include <stdio.h>
#include <string.h>

typedef struct note {
  int event; /* a qn_event_t, or 'c' / 'e' of a listener */
  int64_t arg;
} note_t;

struct qnl_emitter {
  qn_list_t link; /* in G->emitters while notes wait */
  qnl_state_t *G;
  note_t *notes;
  size_t n, cap;
  unsigned mask;   /* what somebody listens to */
  bool connecting; /* as far as the notes have been handed on */
};

/* Emitter -> object: all of them (weak), and those that must not be collected. */
static const char key_objects = 0, key_anchor = 0, key_dispatcher = 0;

typedef struct event_name {
  const char *name;
  int event;
} event_name_t;

static const event_name_t stream_events[] = {{"state_changed", QN_EVENT_STATE},
                                             {"host_found", QN_EVENT_HOST_FOUND},
                                             {"connected", QN_EVENT_CONNECTED},
                                             {"ready_read", QN_EVENT_READY_READ},
                                             {"bytes_written", QN_EVENT_WRITTEN},
                                             {"error", QN_EVENT_ERROR},
                                             {"disconnected", QN_EVENT_DISCONNECTED},
                                             {"read_channel_finished", QN_EVENT_READ_ENDED},
                                             {"closed", QN_EVENT_CLOSED},
                                             {"mode_changed", QNL_EVENT_MODE},
                                             {"encrypted", QNL_EVENT_ENCRYPTED},
                                             {"ssl_errors", QNL_EVENT_SSL_ERRORS},
                                             {"peer_verify_error", QNL_EVENT_VERIFY_ERROR},
                                             {"alert_received", QNL_EVENT_ALERT_RECEIVED},
                                             {"alert_sent", QNL_EVENT_ALERT_SENT},
                                             {"new_session", QNL_EVENT_SESSION}};
static const event_name_t listener_events[] = {{"new_connection", 'c'},
                                               {"accept_error", 'e'},
                                               {"handshake_started", QNL_EVENT_HANDSHAKE_STARTED},
                                               {"handshake_error", QNL_EVENT_HANDSHAKE_ERROR},
                                               {"ssl_errors", QNL_EVENT_HANDSHAKE_SSL_ERRORS}};
enum { LISTENER_PLAIN = 2 }; /* so many of them without TLS */
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* --- taking notes (no Lua) ------------------------------------------------------------------- */

static void add_note(qnl_emitter_t *e, int event, int64_t arg, bool merge)
{
  if (merge && e->n > 0 && e->notes[e->n - 1].event == event) {
    e->notes[e->n - 1].arg += arg;
    return;
  }
  if (e->n == e->cap) {
    size_t cap = e->cap == 0 ? 8 : e->cap * 2;
    note_t *grown = qn_realloc(e->notes, cap * sizeof *grown);
    if (grown == NULL) {
      return; /* out of memory: the event is lost, the stream itself is not affected */
    }
    e->notes = grown;
    e->cap = cap;
  }
  e->notes[e->n++] = (note_t){event, arg};
  if (e->link.next == NULL) {
    qnl_list_append(&e->G->emitters, &e->link);
    qn_ready_queue(e->G->loop, &e->G->emit_ready);
  }
}

static void stream_observer(qn_stream_t *s, qn_event_t event, int64_t arg, void *data)
{
  (void)s;
  add_note(data, (int)event, arg, event == QN_EVENT_READY_READ || event == QN_EVENT_WRITTEN);
}

void qnl_note(const qnl_stream_t *u, int event, int64_t arg)
{
  if (u->emitter != NULL && (u->emitter->mask & (unsigned)event) != 0) {
    add_note(u->emitter, event, arg, false);
  }
}

bool qnl_observed(const qnl_stream_t *u, unsigned events)
{
  return u->emitter != NULL && (u->emitter->mask & events) != 0;
}

static void listener_observer(qn_listener_t *l, char event, int err, void *data)
{
  (void)l;
  add_note(data, event, err, false);
}

/* New connections of a TLS server are those that are ready: qnl_listener_note. */
static void tls_listener_observer(qn_listener_t *l, char event, int err, void *data)
{
  if (event != 'c') {
    listener_observer(l, event, err, data);
  }
}

bool qnl_listener_observed(const qnl_listener_t *u, unsigned event)
{
  return u->emitter != NULL && (u->emitter->mask & event) != 0;
}

void qnl_listener_note(const qnl_listener_t *u, char event)
{
  if (u->emitter != NULL && (u->emitter->mask & (unsigned)event) == (unsigned)event) {
    add_note(u->emitter, event, 0, false);
  }
}

/* --- handing them to Lua --------------------------------------------------------------------- */

static void unlink_emitter(qnl_emitter_t *e) { qnl_list_remove(&e->link); }

static void enter(lua_State *L, const void *table, qnl_emitter_t *e, int idx)
{
  lua_pushvalue(L, idx);
  lua_rawgetp(L, LUA_REGISTRYINDEX, table);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, e);
  lua_pop(L, 1);
}

void qnl_unanchor(lua_State *L, qnl_emitter_t *e)
{
  if (e != NULL) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_anchor);
    lua_pushnil(L);
    lua_rawsetp(L, -2, e);
    lua_pop(L, 1);
  }
}

/* Whether events can come without anybody calling a method first. */
static bool has_events_to_come(const qnl_stream_t *u)
{
  qn_state_t state = qn_stream_state(u->s);
  return state != QN_STATE_UNCONNECTED && state != QN_STATE_BOUND;
}

void qnl_anchor_observed(lua_State *L, qnl_stream_t *u, int idx)
{
  if (u->emitter != NULL && u->emitter->mask != 0) {
    enter(L, &key_anchor, u->emitter, idx);
  }
}

static const char *name_of(int event)
{
  for (int i = 0; i < COUNT(stream_events); i++) {
    if (stream_events[i].event == event) {
      return stream_events[i].name;
    }
  }
  return event == 'c' ? "new_connection" : "accept_error";
}

static bool is_connecting(int64_t state)
{
  return state == QN_STATE_HOST_LOOKUP || state == QN_STATE_CONNECTING;
}

/* Stack: 1 the object. After the i-th note the state is `state`: did a connect fail, so that what
 * is waited for will not come? Calls dispatcher(object, "failed", error). */
static void note_failure(lua_State *L, qnl_emitter_t *e, size_t i, int64_t state)
{
  bool failed = e->connecting && state == QN_STATE_UNCONNECTED;
  e->connecting = is_connecting(state);
  qnl_stream_t *u = failed ? qnl_test(L, 1, &qnl_class_stream) : NULL;
  if (u == NULL || qn_stream_is_closed(u->s) ||
      (e->mask & (QN_EVENT_CONNECTED | QN_EVENT_HOST_FOUND)) == 0) {
    return;
  }
  bool told = i + 1 < e->n && e->notes[i + 1].event == QN_EVENT_ERROR;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_dispatcher);
  lua_pushvalue(L, 1);
  lua_pushliteral(L, "failed");
  qnl_push_stream_error(L, u, told ? (int)e->notes[i + 1].arg : QN_E_CANCELLED, "connect", NULL);
  lua_call(L, 3, 0);
}

/* The session of the layer that has `below` others beneath it; nil: it is gone. */
static void push_session(lua_State *L, const qnl_tls_conn_t *conn, int64_t below)
{
  int64_t depth = -1;
  for (const qnl_tls_conn_t *c = conn; c != NULL; c = c->under) {
    depth++;
  }
  for (; conn != NULL && depth != below; depth--) {
    conn = conn->under;
  }
  if (conn == NULL) {
    lua_pushnil(L);
  } else {
    qnl_push_tls_session(L, conn->t);
  }
}

/* Pushes the one or two values of an event of the TLS layer; how many. */
static int push_tls_event(lua_State *L, int event, int64_t arg)
{
  switch (event) {
  case QNL_EVENT_MODE: lua_pushstring(L, arg != 0 ? "server" : "client"); return 1;
  case QNL_EVENT_VERIFY_ERROR:
    qnl_push_error(L, &(qnl_errinfo_t){.code = (int)arg, .op = "verify", .phase = "tls"});
    return 1;
  case QNL_EVENT_ALERT_RECEIVED:
  case QNL_EVENT_ALERT_SENT:
    lua_pushstring(L, qn_tls_alert_name((int)arg));
    lua_pushinteger(L, (lua_Integer)arg);
    return 2;
  case QNL_EVENT_SESSION: push_session(L, qnl_check_stream(L, 1)->tls, arg); return 1;
  default: lua_pushnil(L); return 1; /* an event without a value */
  }
}

/* Stack: 1 the object. Calls dispatcher(object, name, arg). */
static void dispatch(lua_State *L, int event, int64_t arg)
{
  int n = 1;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_dispatcher);
  lua_pushvalue(L, 1);
  lua_pushstring(L, name_of(event));
  switch (event) {
  case QN_EVENT_STATE: lua_pushstring(L, qn_state_name((qn_state_t)arg)); break;
  case QN_EVENT_WRITTEN: lua_pushinteger(L, (lua_Integer)arg); break;
  case QN_EVENT_ERROR:
    qnl_push_stream_error(L, qnl_check_stream(L, 1), (int)arg, NULL, NULL);
    break;
  case 'e': qnl_push_error(L, &(qnl_errinfo_t){.code = (int)arg, .op = "accept"}); break;
  default: n = push_tls_event(L, event, arg); break;
  }
  lua_call(L, 2 + n, 0);
}

/* Protected. Argument: the emitter. */
static int deliver(lua_State *L)
{
  qnl_emitter_t *e = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_objects);
  lua_rawgetp(L, 1, e);
  lua_remove(L, 1);
  if (lua_isnil(L, 1)) {
    e->n = 0;
    return 0;
  }
  bool closed = false, was_up = false;
  for (size_t i = 0; i < e->n; i++) {
    note_t note = e->notes[i];
    closed = closed || note.event == QN_EVENT_CLOSED;
    was_up = was_up || note.event == QN_EVENT_DISCONNECTED;
    if ((e->mask & (unsigned)note.event) != 0) {
      dispatch(L, note.event, note.arg);
    }
    if (note.event == QN_EVENT_STATE) {
      note_failure(L, e, i, note.arg);
    }
  }
  e->n = 0;
  if (closed && (e->mask & QN_EVENT_CLOSED) == 0) {
    dispatch(L, QN_EVENT_CLOSED, 0); /* who waits for another event learns that it will not come */
  }
  qnl_stream_t *u = qnl_test(L, 1, &qnl_class_stream);
  if (u != NULL && !has_events_to_come(u) && (closed || !was_up)) {
    /* the last event, or a connection that did not come about: CLOSED comes only after DISCONNECTED
     */
    qnl_unanchor(L, e);
  }
  return 0;
}

void qnl_listener_over(lua_State *L, const qnl_listener_t *u)
{
  if (u->emitter != NULL && u->emitter->mask != 0) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key_dispatcher);
    lua_pushvalue(L, -2);
    lua_pushliteral(L, "closed");
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
      lua_pop(L, 1);
    }
  }
}

static void run_emit(qn_ready_t *r)
{
  qnl_state_t *G = (qnl_state_t *)(void *)((char *)r - offsetof(qnl_state_t, emit_ready));
  while (G->emitters.next != &G->emitters) {
    qnl_emitter_t *e =
        (qnl_emitter_t *)(void *)((char *)G->emitters.next - offsetof(qnl_emitter_t, link));
    unlink_emitter(e);
    lua_pushcfunction(G->L, deliver);
    lua_pushlightuserdata(G->L, e);
    if (lua_pcall(G->L, 1, 0, 0) != LUA_OK) {
      const char *text = lua_tostring(G->L, -1);
      fprintf(stderr, "qnlua: error while delivering events: %s\n", text != NULL ? text : "?");
      G->had_unhandled = true;
      lua_pop(G->L, 1);
    }
  }
}

/* --- switching on and off -------------------------------------------------------------------- */

static qnl_emitter_t *need_emitter(lua_State *L, qnl_emitter_t **slot)
{
  if (*slot == NULL) {
    qnl_emitter_t *e = qn_calloc(1, sizeof *e);
    if (e == NULL) {
      luaL_error(L, "out of memory");
      return NULL;
    }
    e->G = qnl_G(L);
    *slot = e;
  }
  return *slot;
}

static void free_emitter(qnl_emitter_t **slot)
{
  if (*slot != NULL) {
    unlink_emitter(*slot);
    qn_free((*slot)->notes);
    qn_free(*slot);
    *slot = NULL;
  }
}

void qnl_emitter_free(qnl_stream_t *u)
{
  if (u->emitter != NULL && u->s != NULL) {
    qn_stream_observe(u->s, 0, NULL, NULL);
  }
  free_emitter(&u->emitter);
}

void qnl_listener_forget_events(qnl_listener_t *u)
{
  if (u->emitter != NULL) {
    qn_listener_observe(u->l, NULL, NULL);
  }
  free_emitter(&u->emitter);
}

/* The event of a name, or 0 with a message on the stack. */
static int find_event(lua_State *L, int idx, const event_name_t *names, int n)
{
  const char *all[24];
  if (lua_type(L, idx) != LUA_TSTRING) {
    lua_pushfstring(L, "the name of an event expected, got %s", luaL_typename(L, idx));
    return 0;
  }
  const char *name = lua_tostring(L, idx);
  for (int i = 0; i < n; i++) {
    if (strcmp(names[i].name, name) == 0) {
      return names[i].event;
    }
    all[i] = names[i].name;
  }
  const char *near = qnl_nearest(name, all, n);
  if (near != NULL) {
    lua_pushfstring(L, "unknown event '%s' (did you mean '%s'?)", name, near);
  } else {
    lua_pushfstring(L, "unknown event '%s'", name);
  }
  return 0;
}

static int event_of(lua_State *L, const qnl_listener_t *listener, int idx)
{
  int n = listener != NULL && listener->tls == NULL ? LISTENER_PLAIN : COUNT(listener_events);
  return listener != NULL ? find_event(L, idx, listener_events, n)
                          : find_event(L, idx, stream_events, COUNT(stream_events));
}

/* core.check_event(object, name) -> nil, or a message */
static int core_check_event(lua_State *L)
{
  qnl_listener_t *listener = qnl_test(L, 1, &qnl_class_listener);
  if (listener == NULL) {
    qnl_check_stream(L, 1);
  }
  lua_settop(L, 2);
  return event_of(L, listener, 2) != 0 ? 0 : 1;
}

/* core.observe(object, {names}): exactly these events are delivered from now on; none = off. */
static int core_observe(lua_State *L)
{
  luaL_checktype(L, 2, LUA_TTABLE);
  unsigned mask = 0;
  qnl_listener_t *listener = qnl_test(L, 1, &qnl_class_listener);
  qnl_stream_t *u = listener == NULL ? qnl_check_stream(L, 1) : NULL;
  for (lua_Integer i = 1; lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
    int event = event_of(L, listener, -1);
    luaL_argcheck(L, event != 0, 2, "names of events expected");
    mask |= (unsigned)event;
    lua_pop(L, 1);
  }
  qnl_emitter_t *e = need_emitter(L, listener != NULL ? &listener->emitter : &u->emitter);
  bool over = listener != NULL ? qn_listener_is_closed(listener->l) : !has_events_to_come(u);
  enter(L, &key_objects, e, 1);
  if (e->mask == 0 && u != NULL) {
    e->connecting = is_connecting(qn_stream_state(u->s));
  }
  if (mask == 0) {
    qnl_unanchor(L, e);
  } else if (!over) {
    enter(L, &key_anchor, e, 1);
  }
  e->mask = mask;
  if (listener != NULL) {
    qn_listener_observe(listener->l,
                        mask == 0               ? NULL
                        : listener->tls != NULL ? tls_listener_observer
                                                : listener_observer,
                        e);
  } else {
    unsigned ends = QN_EVENT_STATE | QN_EVENT_DISCONNECTED |
                    QN_EVENT_CLOSED | /* for the anchoring */
                    QN_EVENT_ERROR;   /* for note_failure */
    unsigned own = mask & ~(unsigned)QNL_EVENT_TLS_MASK;
    qn_stream_observe(u->s, mask != 0 ? own | ends : 0, mask != 0 ? stream_observer : NULL, e);
    qn_stream_read_ahead(
        u->s, (mask & (QN_EVENT_READY_READ | QN_EVENT_DISCONNECTED | QN_EVENT_READ_ENDED)) != 0);
  }
  return 0;
}

/* core.is_over(object): it was closed, no event will come any more. */
static int core_is_over(lua_State *L)
{
  qnl_listener_t *listener = qnl_test(L, 1, &qnl_class_listener);
  if (listener != NULL) {
    lua_pushboolean(L, qn_listener_is_closed(listener->l));
  } else {
    const qn_stream_t *s = qnl_check_stream(L, 1)->s;
    lua_pushboolean(L, qn_stream_is_closed(s) && qn_stream_state(s) == QN_STATE_UNCONNECTED);
  }
  return 1;
}

static int core_set_dispatcher(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_dispatcher);
  return 0;
}

void qnl_open_events(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"observe", core_observe, 0},
                                           {"is_over", core_is_over, 0},
                                           {"check_event", core_check_event, 0},
                                           {"set_dispatcher", core_set_dispatcher, 0},
                                           {NULL, NULL, 0}};
  qn_ready_init(&G->emit_ready, run_emit);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_anchor);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_objects);
  qnl_setfuncs(L, G, functions);
}

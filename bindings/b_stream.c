/* b_stream.c: the stream userdata: life, facts, limits, time limits, read transactions.
 *
 * Reading, writing and bulk transfer are in b_read.c, b_write.c and b_bulk.c; sockets and files add
 * their own methods on top. The userdata owns one reference of the qn_stream_t.
 */
#include "b_tls.h"

#include "qn/dial.h"

#include <errno.h>
#include <string.h>

qnl_stream_t *qnl_push_stream(lua_State *L, qnl_state_t *G, const qnl_class_t *cls)
{
  (void)G;
  qnl_stream_t *u = lua_newuserdatauv(L, sizeof *u, 0);
  memset(u, 0, sizeof *u);
  u->box.cls = cls;
  qnl_set_metatable(L, cls);
  qnl_note_site(L);
  u->box.obj = u;
  return u;
}

qnl_stream_t *qnl_check_stream(lua_State *L, int idx)
{
  return qnl_check(L, idx, &qnl_class_stream);
}

const char *qnl_peer_text(qnl_stream_t *u, char *buf, size_t size)
{
  qn_addr_t a;
  if (qn_stream_peer_addr(u->s, &a) == 0 && qn_addr_text(&a, buf, size) > 0) {
    return buf;
  }
  return u->name;
}

void qnl_push_stream_error(lua_State *L, qnl_stream_t *u, int code, const char *op,
                           const char *phase)
{
  char peer[QN_ADDR_TEXT + 8];
  const qn_tls_t *tls = u->tls != NULL && qn_err_kind(code) == QN_KIND_TLS ? u->tls->t : NULL;
  const char *why = tls != NULL ? qn_tls_problem(tls) : "";
  qnl_push_error(L, &(qnl_errinfo_t){.code = code,
                                     .op = op,
                                     .peer = qnl_peer_text(u, peer, sizeof peer),
                                     .phase = phase,
                                     .message = *why != 0 ? why : NULL});
  int alert = tls == NULL ? 0 : qn_tls_alert_received(tls);
  alert = tls != NULL && alert <= 0 ? qn_tls_alert_sent(tls) : alert;
  if (alert > 0) {
    lua_pushstring(L, qn_tls_alert_name(alert));
    qnl_error_set(L, "alert");
  }
}

int qnl_stream_fail(lua_State *L, qnl_stream_t *u, int code, const char *op, const char *phase)
{
  luaL_pushfail(L);
  qnl_push_stream_error(L, u, code, op, phase);
  return 2;
}

uint64_t qnl_read_timeout(const qnl_stream_t *u)
{
  return u->timeouts != NULL ? u->timeouts->read : QNL_NEVER;
}

/* --- life ------------------------------------------------------------------------------------ */

static bool stream_is_open(void *obj)
{
  qnl_stream_t *u = obj;
  return u->s != NULL && !qn_stream_is_closed(u->s) &&
         qn_stream_state(u->s) != QN_STATE_UNCONNECTED;
}

static void txn_free(qnl_txn_t **txn)
{
  if (*txn != NULL) {
    qn_buf_free(&(*txn)->taken);
    qn_free(*txn);
    *txn = NULL;
  }
}

/* A small block stays for the next read of several formats. */
void qnl_items_forget(qnl_stream_t *u)
{
  if (u->items != NULL) {
    qn_buf_consume(&u->items->taken, qn_buf_size(&u->items->taken));
  }
}

static void stream_collect(qnl_state_t *G, void *obj)
{
  qnl_stream_t *u = obj;
  qnl_emitter_free(u);
  qnl_tls_drop(u);
  if (u->s != NULL) {
    qn_stream_t *s = u->s;
    u->s = NULL;
    qn_stream_close(s); /* what was written is still sent */
    qn_stream_release(s);
  }
  txn_free(&u->txn);
  txn_free(&u->items);
  qn_free(u->timeouts);
  qn_free(u->name);
  u->timeouts = NULL;
  u->name = NULL;
}

static void stream_class_close(qnl_state_t *G, lua_State *L, void *obj)
{
  qnl_stream_t *u = obj;
  (void)G, (void)L;
  qn_stream_close(u->s);
}

/* Magic 0 close, 1 abort. */
static int stream_close(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  if (qnl_magic(L) == 1) {
    qn_stream_abort(u->s);
  } else {
    qn_stream_close(u->s);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int push_true(lua_State *L, qnl_task_t *t, int64_t result)
{
  if (result < 0) {
    return qnl_stream_fail(L, qnl_check_stream(L, 1), (int)result, t->wait.op, t->wait.phase);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Waits until a closing stream has sent what it holds and its descriptor is gone. */
static int stream_wait_closed(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  uint64_t timeout = qnl_seconds(L, 2, QNL_NEVER);
  QNL_ENTER(L, G, t, stream_wait_closed, "close");
  int rc = qn_stream_closed(u->s, &t->op);
  if (rc == QN_AGAIN) {
    qnl_wait_for(t, timeout);
    return qnl_wait(L, t, push_true);
  }
  return push_true(L, t, rc);
}

/* --- facts ----------------------------------------------------------------------------------- */

enum {
  FACT_AVAILABLE,
  FACT_QUEUED,
  FACT_CAN_READ_LINE,
  FACT_AT_END,
  FACT_STATE,
  FACT_IS_OPEN,
  FACT_ID,
  FACT_LAYERS,
  FACT_SENT,
  FACT_RECEIVED,
  FACT_READ_BUFFER,
  FACT_WRITE_MARK
};

static int stream_fact(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  char text[256];
  switch (qnl_magic(L)) {
  case FACT_AVAILABLE: lua_pushinteger(L, (lua_Integer)qn_stream_available(u->s)); break;
  case FACT_QUEUED: lua_pushinteger(L, (lua_Integer)qn_stream_queued(u->s)); break;
  case FACT_CAN_READ_LINE: {
    qn_slice_t d = qn_stream_data(u->s);
    lua_pushboolean(L, d.size > 0 && memchr(d.data, '\n', d.size) != NULL);
    break;
  }
  case FACT_AT_END: lua_pushboolean(L, qn_stream_at_end(u->s)); break;
  case FACT_STATE: lua_pushstring(L, qn_state_name(qn_stream_state(u->s))); break;
  case FACT_IS_OPEN: lua_pushboolean(L, stream_is_open(u)); break;
  case FACT_ID: lua_pushinteger(L, (lua_Integer)qn_stream_id(u->s)); break;
  case FACT_LAYERS: lua_pushlstring(L, text, qn_stream_describe(u->s, text, sizeof text)); break;
  case FACT_SENT: lua_pushinteger(L, (lua_Integer)qn_stream_sent(u->s)); break;
  case FACT_RECEIVED: lua_pushinteger(L, (lua_Integer)qn_stream_received(u->s)); break;
  case FACT_READ_BUFFER: lua_pushinteger(L, (lua_Integer)qn_stream_read_limit(u->s)); break;
  default: lua_pushinteger(L, (lua_Integer)qn_stream_write_mark(u->s)); break;
  }
  return 1;
}

static int stream_error(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  int err = qn_stream_error(u->s);
  if (err == 0) {
    lua_pushnil(L);
  } else {
    qnl_push_stream_error(L, u, err, NULL, NULL);
  }
  return 1;
}

static int stream_tostring(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  char peer[QN_ADDR_TEXT + 8];
  const char *text = qnl_peer_text(u, peer, sizeof peer);
  lua_pushfstring(L, "%s: #%I %s%s%s", u->box.cls->name, (LUAI_UACINT)qn_stream_id(u->s),
                  qn_state_name(qn_stream_state(u->s)), text != NULL ? " " : "",
                  text != NULL ? text : "");
  return 1;
}

/* --- limits ---------------------------------------------------------------------------------- */

static int stream_set_read_buffer_size(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0, 2, "size must not be negative (0 = unlimited)");
  qn_stream_set_read_limit(u->s, (size_t)n);
  return 0;
}

static int stream_set_write_mark(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 1, 2, "the mark must be at least 1");
  qn_stream_set_write_mark(u->s, (size_t)n);
  return 0;
}

/* set_timeouts{connect=, read=, write=, idle=}: seconds or false; keys that are absent stay. */
static int stream_set_timeouts(lua_State *L)
{
  static const qnl_opt_t desc[] = {{.name = "connect", .type = QNL_OPT_SECONDS},
                                   {.name = "read", .type = QNL_OPT_SECONDS},
                                   {.name = "write", .type = QNL_OPT_SECONDS},
                                   {.name = "idle", .type = QNL_OPT_SECONDS}};
  qnl_opt_value_t v[4];
  qnl_stream_t *u = qnl_check_stream(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  qnl_opts(L, 2, "set_timeouts", desc, 4, v);
  if (u->timeouts == NULL) {
    u->timeouts = qn_malloc(sizeof *u->timeouts);
    if (u->timeouts == NULL) {
      return luaL_error(L, "out of memory");
    }
    *u->timeouts = (qnl_timeouts_t){QN_CONNECT_TIMEOUT_DEFAULT_MS, QNL_NEVER, QNL_NEVER};
  }
  if (v[0].set) {
    u->timeouts->connect = (uint64_t)v[0].i;
  }
  if (v[1].set) {
    u->timeouts->read = (uint64_t)v[1].i;
  }
  if (v[2].set) {
    uint64_t ms = (uint64_t)v[2].i;
    qn_stream_set_stall(u->s, ms == QNL_NEVER ? 0 : ms == 0 ? 1 : ms);
  }
  if (v[3].set) {
    u->timeouts->idle = (uint64_t)v[3].i;
  }
  return 0;
}

/* --- items of one read ----------------------------------------------------------------------- */

int qnl_items_keep(qnl_stream_t *u, size_t size, bool first)
{
  if (first) {
    qnl_items_forget(u);
  }
  if (u->items == NULL && (u->items = qn_calloc(1, sizeof *u->items)) == NULL) {
    return -ENOMEM;
  }
  return qn_buf_append(&u->items->taken, qn_stream_data(u->s).data, size);
}

/* The last `size` bytes have gone back already; `txn` may be NULL. */
static void drop_kept(qnl_txn_t *txn, size_t size)
{
  size_t kept = txn != NULL ? qn_buf_size(&txn->taken) : 0;
  if (kept > 0) {
    txn->taken.tail -= size < kept ? size : kept;
  }
}

void qnl_items_give_back(qnl_task_t *t)
{
  qnl_stream_t *u = t->wait.obj;
  qn_slice_t d = {qn_buf_data(&u->items->taken), qn_buf_size(&u->items->taken)};
  if (qn_stream_unread(u->s, d) == 0) {
    drop_kept(u->txn, d.size);
  }
  qnl_items_forget(u);
}

/* --- transactions ---------------------------------------------------------------------------- */

enum { TXN_BEGIN, TXN_COMMIT, TXN_ROLLBACK };

static int stream_transaction(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  int what = qnl_magic(L);
  if (what == TXN_BEGIN) {
    if (u->txn != NULL) {
      return luaL_error(L, "begin: a transaction is already open");
    }
    u->txn = qn_calloc(1, sizeof *u->txn);
    if (u->txn == NULL) {
      return luaL_error(L, "out of memory");
    }
    return 0;
  }
  if (u->txn == NULL) {
    return luaL_error(L, "%s: no transaction is open", what == TXN_COMMIT ? "commit" : "rollback");
  }
  int rc = 0;
  if (what == TXN_ROLLBACK && qn_buf_size(&u->txn->taken) > 0) {
    rc = qn_stream_unread(u->s,
                          (qn_slice_t){qn_buf_data(&u->txn->taken), qn_buf_size(&u->txn->taken)});
    if (rc == 0) { /* a read that waits for a later item does not give them back once more */
      drop_kept(u->items, qn_buf_size(&u->txn->taken));
    }
  }
  if (rc == 0) {
    txn_free(&u->txn);
  }
  if (rc < 0) {
    return qnl_stream_fail(L, u, rc, "rollback", NULL);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- making streams without a network -------------------------------------------------------- */

/* core.pair() -> s1, s2 */
static int core_pair(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *a = qnl_push_stream(L, G, &qnl_class_stream);
  qnl_stream_t *b = qnl_push_stream(L, G, &qnl_class_stream);
  a->box.obj = b->box.obj = NULL;
  int rc = qn_stream_pair(G->loop, &a->s, &b->s);
  if (rc < 0) {
    return qnl_fail(L, rc, "pair");
  }
  a->box.obj = a;
  b->box.obj = b;
  return 2;
}

/* core.memory_stream([string [, limit]]) -> s: reads the string, collects what is written. */
static int core_memory(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  size_t size = 0;
  const char *bytes = luaL_optlstring(L, 1, "", &size);
  size_t limit = qnl_size(L, 2, "limit", QN_ALL_MAX_DEFAULT, SIZE_MAX / 2);
  qnl_stream_t *u = qnl_push_stream(L, G, &qnl_class_stream);
  u->box.obj = NULL;
  int rc = qn_stream_memory(G->loop, (qn_slice_t){(const uint8_t *)bytes, size}, limit, &u->s);
  if (rc < 0) {
    return qnl_fail(L, rc, "memory_stream");
  }
  u->box.obj = u;
  return 1;
}

static int stream_written(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  qn_slice_t d = qn_stream_written(u->s);
  lua_pushlstring(L, (const char *)d.data, d.size);
  return 1;
}

static const qnl_method_t life_methods[] = {
    {"close", stream_close, 0},
    {"abort", stream_close, 1},
    {"wait_closed", stream_wait_closed, 0},
    {"bytes_available", stream_fact, FACT_AVAILABLE},
    {"bytes_to_write", stream_fact, FACT_QUEUED},
    {"can_read_line", stream_fact, FACT_CAN_READ_LINE},
    {"at_end", stream_fact, FACT_AT_END},
    {"state", stream_fact, FACT_STATE},
    {"is_open", stream_fact, FACT_IS_OPEN},
    {"id", stream_fact, FACT_ID},
    {"layers", stream_fact, FACT_LAYERS},
    {"bytes_sent", stream_fact, FACT_SENT},
    {"bytes_received", stream_fact, FACT_RECEIVED},
    {"read_buffer_size", stream_fact, FACT_READ_BUFFER},
    {"write_mark", stream_fact, FACT_WRITE_MARK},
    {"error", stream_error, 0},
    {"set_read_buffer_size", stream_set_read_buffer_size, 0},
    {"set_write_mark", stream_set_write_mark, 0},
    {"set_timeouts", stream_set_timeouts, 0},
    {"begin", stream_transaction, TXN_BEGIN},
    {"commit", stream_transaction, TXN_COMMIT},
    {"rollback", stream_transaction, TXN_ROLLBACK},
    {"written", stream_written, 0},
    {NULL, NULL, 0}};
static const qnl_method_t stream_meta[] = {{"__tostring", stream_tostring, 0}, {NULL, NULL, 0}};

qnl_class_t qnl_class_stream = {.name = "qn.Stream",
                                .methods = life_methods,
                                .meta = stream_meta,
                                .collect = stream_collect,
                                .is_open = stream_is_open,
                                .close = stream_class_close};

void qnl_open_stream(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {
      {"pair", core_pair, 0}, {"memory_stream", core_memory, 0}, {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_stream);
  qnl_push_methods(L, &qnl_class_stream);
  qnl_setfuncs(L, G, qnl_read_methods);
  qnl_setfuncs(L, G, qnl_write_methods);
  qnl_setfuncs(L, G, qnl_bulk_methods);
  lua_pop(L, 1);
  qnl_setfuncs(L, G, functions);
}

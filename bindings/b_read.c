/* b_read.c: the reading half of section 4: read forms, recv, read_until, unpack, peek, skip,
 * unread.
 *
 * A read is a want (qn/stream.h) and a way to push what satisfied it. Bytes leave the stream's
 * buffer only when they are pushed, so a cancelled or timed-out read loses nothing. Several formats
 * are one want after the other; a cancellation gives back what the earlier ones had taken.
 */
#include "b_stream.h"

#include <string.h>

static const qnl_opt_t read_desc[] = {
    {.name = "timeout", .type = QNL_OPT_SECONDS},
    {.name = "max", .type = QNL_OPT_INTEGER, .min = 1, .max = INT64_MAX / 2},
    {.name = "include", .type = QNL_OPT_BOOL}};

typedef struct read_opts {
  uint64_t timeout;
  size_t max;
  bool include;
} read_opts_t;

static read_opts_t get_opts(lua_State *L, int idx, const qnl_stream_t *u, const char *where,
                            int n_desc)
{
  read_opts_t o = {.timeout = qnl_read_timeout(u)};
  if (!lua_isnoneornil(L, idx)) {
    qnl_opt_value_t v[3];
    qnl_opts(L, idx, where, read_desc, n_desc, v);
    o.timeout = v[0].set ? (uint64_t)v[0].i : o.timeout;
    o.max = n_desc > 1 && v[1].set ? (size_t)v[1].i : 0;
    o.include = n_desc > 2 && v[2].set && v[2].i != 0;
  }
  return o;
}

static uint64_t traffic(const qnl_stream_t *u)
{
  return qn_stream_sent(u->s) + qn_stream_received(u->s);
}

static const char phase_idle[] = "idle";

/* Arms what ends the wait first: the read's own end, or the idle limit from now. */
static void arm(qnl_task_t *t, qnl_stream_t *u)
{
  uint64_t idle = u->timeouts != NULL ? u->timeouts->idle : QNL_NEVER;
  t->wait.phase = "read";
  t->wait.at = t->wait.until;
  if (idle != QNL_NEVER) {
    uint64_t now = qn_loop_fresh(t->G->loop);
    if (idle < t->wait.until - now || t->wait.until <= now) {
      t->wait.phase = phase_idle;
      u->timeouts->traffic = traffic(u);
      qnl_wait_for(t, idle);
    }
  }
}

/* A read begins, with a time limit in ms. */
static void begin_read(qnl_task_t *t, qnl_stream_t *u, uint64_t timeout)
{
  t->wait.obj = u;
  qnl_wait_for(t, timeout);
  t->wait.until = t->wait.at;
  arm(t, u);
}

/* An idle limit is about both directions: traffic since the wait began starts it anew. */
static bool still_busy(qnl_task_t *t, qnl_stream_t *u, int64_t result)
{
  return result == QN_E_TIMEOUT && t->wait.phase == phase_idle &&
         traffic(u) != u->timeouts->traffic;
}

/* --- taking bytes ---------------------------------------------------------------------------- */

/* Notes what is about to be consumed while a transaction is open. */
static int note(qnl_stream_t *u, qn_slice_t d)
{
  if (QN_LIKELY(u->txn == NULL)) {
    return 0;
  }
  size_t limit = qn_stream_read_limit(u->s);
  if (limit != 0 && qn_buf_size(&u->txn->taken) + d.size > limit) {
    return QN_E_LIMIT;
  }
  return qn_buf_append(&u->txn->taken, d.data, d.size);
}

/* Pushes `size` bytes from the front without the last `drop`, consumes all of them. */
static int take(lua_State *L, qnl_stream_t *u, size_t size, size_t drop)
{
  qn_slice_t d = qn_stream_data(u->s);
  int rc = note(u, (qn_slice_t){d.data, size});
  if (rc < 0) {
    qn_stream_keep(u->s);
    return rc;
  }
  lua_pushlstring(L, (const char *)d.data, size - drop);
  size_t left =
      qn_stream_available(u->s); /* a finalizer may have run just now and closed the stream */
  qn_stream_consume(u->s, size < left ? size : left);
  return 0;
}

/* nil, err; for an item that was cut short the rest becomes err.partial. */
static int fail(lua_State *L, qnl_stream_t *u, qnl_task_t *t, int code)
{
  qn_stream_keep(u->s);
  luaL_pushfail(L);
  qnl_push_stream_error(L, u, code, "read", t->wait.phase);
  if (code == QN_E_EOF) {
    size_t left = qn_stream_available(u->s);
    if (take(L, u, left, 0) == 0) {
      qnl_error_set(L, "partial");
    }
  }
  return 2;
}

/* The text on top is no number: nil, err in its place. */
static void push_not_a_number(lua_State *L, qnl_stream_t *u)
{
  char peer[QN_ADDR_TEXT + 8];
  luaL_pushfail(L);
  qnl_push_error(L, &(qnl_errinfo_t){.code = QN_E_INVALID,
                                     .op = "read",
                                     .peer = qnl_peer_text(u, peer, sizeof peer),
                                     .message = "not a number"});
  lua_rotate(L, -3, 2); /* nil, err, the text */
  qnl_error_set(L, "partial");
}

/* --- read(formats) --------------------------------------------------------------------------- */

/* The wait's `a` is the index of the current format, `b` the number of arguments, `c` opts.max. */
static int read_rest(lua_State *L, qnl_task_t *t, qnl_stream_t *u);

/* nil, err for one format of several. */
static void fail_item(lua_State *L, qnl_stream_t *u, qnl_task_t *t, int format, int code)
{
  if (format == 'n' && code == QN_E_INVALID) { /* no numeral can begin here: nothing was taken */
    qn_stream_keep(u->s);
    lua_pushliteral(L, "");
    push_not_a_number(L, u);
  } else {
    fail(L, u, t, code);
  }
}

/* Turns the text on top into a number. False: nil or nil, err was pushed; the text is gone, as in
 * io.read. */
static bool push_number(lua_State *L, qnl_stream_t *u, bool ended)
{
  const char *text = lua_tostring(L, -1);
  text += strspn(text, " \f\n\r\t\v");
  if (lua_stringtonumber(L, text) != 0) {
    lua_remove(L, -2);
    return true;
  }
  if (*text == 0 && ended) {
    lua_pop(L, 1);
    luaL_pushfail(L);
  } else {
    push_not_a_number(L, u);
  }
  return false;
}

/* Pushes item `i`; false when the read ends here (nil or nil, err pushed). */
static bool push_item(lua_State *L, qnl_task_t *t, qnl_stream_t *u, int i, int format,
                      const qn_got_t *got)
{
  int rc = i == t->wait.n_formats ? 0 : qnl_items_keep(u, got->size, i == 2);
  if (rc < 0) {
    qn_stream_keep(u->s);
  } else if (format == 'n') {
    rc = take(L, u, got->size, 0);
    if (rc == 0) {
      return push_number(L, u, got->ended);
    }
  } else if (format == 'a') {
    rc = take(L, u, got->size, 0);
  } else if (got->size == 0 && got->ended) {
    qn_stream_keep(u->s);
    luaL_pushfail(L);
    return false;
  } else if (format == '0') { /* only asks for the end */
    qn_stream_keep(u->s);
    lua_pushliteral(L, "");
    return true;
  } else if (format == 'l') {
    size_t drop = got->delim_size;
    rc = take(L, u, got->size, drop);
  } else {
    rc = take(L, u, got->size, 0);
  }
  if (rc < 0) {
    fail(L, u, t, rc);
    return false;
  }
  return true;
}

/* The read ends at item `i`; at the first, what is kept is of another task's read, which waits. */
static int end_read(lua_State *L, qnl_task_t *t, qnl_stream_t *u, int i)
{
  if (QN_UNLIKELY(t->wait.n_formats > 2 && i > 2)) {
    qnl_items_forget(u);
  }
  return lua_gettop(L) - (int)t->wait.b;
}

static int push_read(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *u = t->wait.obj;
  int i = (int)t->wait.a;
  if (still_busy(t, u, result)) {
    arm(t, u);
    return read_rest(L, t, u);
  }
  qn_got_t got = qn_stream_got(u->s);
  if (result < 0) {
    fail_item(L, u, t, (int)t->wait.c, (int)result);
  } else if (push_item(L, t, u, i, (int)t->wait.c, &got)) {
    t->wait.a = i + 1;
    return read_rest(L, t, u);
  }
  return end_read(L, t, u, i);
}

static int parse_format(lua_State *L, int i)
{
  const char *f = luaL_checkstring(L, i);
  f += *f == '*';
  if (f[0] == 0 || f[1] != 0 || strchr("lLan", f[0]) == NULL) {
    luaL_argerror(L, i, "invalid format: a number of bytes, 'l', 'L', 'a' or 'n' is expected");
  }
  return f[0];
}

static qn_want_t want_of(int format, size_t n, size_t max)
{
  switch (format) {
  case '0': return (qn_want_t){.kind = QN_WANT_SOME, .n = 1};
  case '#': return (qn_want_t){.kind = QN_WANT_UPTO, .n = n};
  case 'l':
  case 'L': return (qn_want_t){.kind = QN_WANT_DELIM, .delim = "\n", .delim_size = 1, .max = max};
  case 'a': return (qn_want_t){.kind = QN_WANT_ALL, .max = max};
  default: /* white space without end is no more welcome than a line without end */
    return (qn_want_t){
        .kind = QN_WANT_SCAN, .scan = qnl_scan_number, .max = max != 0 ? max : QN_LINE_MAX_DEFAULT};
  }
}

/* Formats from wait.a on; those with index above n_formats are options. */
static int read_rest(lua_State *L, qnl_task_t *t, qnl_stream_t *u)
{
  int i, last = t->wait.n_formats;
  for (i = (int)t->wait.a; i <= last; i++) {
    qn_got_t got;
    bool sized = lua_type(L, i) == LUA_TNUMBER;
    size_t size = sized ? (size_t)lua_tointeger(L, i) : 0;
    int format = !sized ? parse_format(L, i) : size == 0 ? '0' : '#';
    qn_want_t want = want_of(format, size, t->wait.max);
    want.arg = &t->wait.note; /* for the scanner's notes */
    luaL_checkstack(L, 4, "too many results");
    int rc = qn_stream_want(u->s, &t->op, &want, &got);
    if (rc == QN_AGAIN) {
      t->wait.a = i;
      t->wait.c = format;
      t->wait.abandon = i > 2 ? qnl_items_give_back : NULL;
      return qnl_wait(L, t, push_read);
    }
    if (rc < 0) {
      fail_item(L, u, t, format, rc);
      break;
    }
    if (!push_item(L, t, u, i, format, &got)) {
      break;
    }
  }
  return end_read(L, t, u, i);
}

static int stream_read(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  while (lua_gettop(L) > 1 && lua_isnil(L, -1)) { /* absent options */
    lua_pop(L, 1);
  }
  int n = lua_gettop(L), last = n;
  read_opts_t o = {.timeout = qnl_read_timeout(u)};
  if (n > 1 && lua_type(L, n) == LUA_TTABLE) {
    o = get_opts(L, n, u, "read", 2);
    last = n - 1;
  }
  if (last < 2) { /* no format: a line, as io.read does */
    lua_pushliteral(L, "l");
    lua_insert(L, 2);
    n++;
    last = 2;
  }
  for (int i = 2; i <= last; i++) {
    if (lua_type(L, i) == LUA_TNUMBER) {
      luaL_argcheck(L, luaL_checkinteger(L, i) >= 0, i, "the number of bytes must not be negative");
    } else {
      parse_format(L, i);
    }
  }
  QNL_ENTER(L, G, t, stream_read, "read");
  t->wait.a = 2;
  t->wait.b = n;
  t->wait.n_formats = last;
  t->wait.max = o.max;
  begin_read(t, u, o.timeout);
  return read_rest(L, t, u);
}

/* --- the single-item forms ------------------------------------------------------------------- */

typedef struct item {
  qn_want_t want;
  int how; /* how to push */
} item_t;

enum { ITEM_BYTES, ITEM_EXACT, ITEM_UNTIL, ITEM_UNTIL_INCLUDE, ITEM_UNPACK, ITEM_PEEK, ITEM_INTO };

static int push_unpacked(lua_State *L, qnl_task_t *t, qnl_stream_t *u, const qn_got_t *got)
{
  int top = lua_gettop(L);
  luaL_checkstack(L, 4, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_stream.methods); /* string.unpack */
  lua_pushvalue(L, 2);
  int rc = take(L, u, got->size, 0);
  if (rc < 0) {
    lua_settop(L, top);
    return fail(L, u, t, rc);
  }
  lua_call(L, 2, LUA_MULTRET);
  lua_pop(L, 1); /* the position behind the values */
  return lua_gettop(L) - top;
}

static int push_got(lua_State *L, qnl_task_t *t, qnl_stream_t *u, int how, const qn_got_t *got)
{
  qn_slice_t d;
  size_t drop = 0;
  int rc;
  switch (how) {
  case ITEM_UNPACK:
    if (got->size > 0) {
      return push_unpacked(L, t, u, got);
    }
    break; /* nothing at all of it: the plain end of the stream */
  case ITEM_PEEK:
    d = qn_stream_data(u->s);
    if (d.size == 0) {
      luaL_pushfail(L);
    } else {
      lua_pushlstring(L, (const char *)d.data, got->size);
    }
    qn_stream_keep(u->s);
    return 1;
  case ITEM_UNTIL:
    drop = got->delim_size;
    /* fall through */
  case ITEM_UNTIL_INCLUDE:
    if (got->delim_size == 0 && got->size > 0) { /* the stream ended inside the item */
      return fail(L, u, t, QN_E_EOF);
    }
    break;
  default: break;
  }
  if (got->size == 0 && got->ended) {
    qn_stream_keep(u->s);
    luaL_pushfail(L);
    return 1;
  }
  rc = take(L, u, got->size, drop);
  return rc < 0 ? fail(L, u, t, rc) : 1;
}

static int start_item(lua_State *L, qnl_task_t *t, qnl_stream_t *u, const qn_want_t *want, int how);

static int push_one(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *u = t->wait.obj;
  if (still_busy(t, u, result)) {
    qn_want_t want = u->timeouts->want;
    arm(t, u);
    return start_item(L, t, u, &want, (int)t->wait.a);
  }
  if (result == QN_E_EOF && t->wait.a == ITEM_UNPACK && qn_stream_available(u->s) == 0) {
    luaL_pushfail(L); /* nothing at all of it: the plain end of the stream */
    return 1;
  }
  if (result < 0) {
    return fail(L, u, t, (int)result);
  }
  qn_got_t got = qn_stream_got(u->s);
  return push_got(L, t, u, (int)t->wait.a, &got);
}

static int start_item(lua_State *L, qnl_task_t *t, qnl_stream_t *u, const qn_want_t *want, int how)
{
  qn_got_t got;
  t->wait.obj = u;
  t->wait.a = how;
  int rc = qn_stream_want(u->s, &t->op, want, &got);
  if (rc == 0) {
    return push_got(L, t, u, how, &got);
  }
  if (rc == QN_AGAIN) {
    if (u->timeouts != NULL) {
      u->timeouts->want = *want;
    }
    return qnl_wait(L, t, push_one);
  }
  return push_one(L, t, rc);
}

static int stream_recv(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  size_t max = SIZE_MAX;
  uint64_t timeout = qnl_read_timeout(u);
  if (lua_gettop(L) > 1) {
    int opts = 2;
    if (lua_type(L, 2) != LUA_TTABLE) {
      max = qnl_size(L, 2, "max", SIZE_MAX, SIZE_MAX / 2);
      luaL_argcheck(L, max > 0, 2, "max must be at least 1");
      opts = 3;
    }
    timeout = get_opts(L, opts, u, "recv", 1).timeout;
  }
  QNL_ENTER(L, G, t, stream_recv, "read");
  begin_read(t, u, timeout);
  return start_item(L, t, u, &(qn_want_t){.kind = QN_WANT_SOME, .n = max}, ITEM_BYTES);
}

static int stream_read_exactly(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0, 2, "the number of bytes must not be negative");
  read_opts_t o = get_opts(L, 3, u, "read_exactly", 1);
  if (n == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  QNL_ENTER(L, G, t, stream_read_exactly, "read");
  begin_read(t, u, o.timeout);
  return start_item(L, t, u, &(qn_want_t){.kind = QN_WANT_EXACT, .n = (size_t)n}, ITEM_EXACT);
}

static int stream_read_until(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  size_t size;
  const char *delim = luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, size >= 1 && size <= 64, 2, "the delimiter must have 1 to 64 bytes");
  read_opts_t o = get_opts(L, 3, u, "read_until", 3);
  QNL_ENTER(L, G, t, stream_read_until, "read");
  begin_read(t, u, o.timeout);
  qn_want_t want = {.kind = QN_WANT_DELIM, .delim = delim, .delim_size = size, .max = o.max};
  return start_item(L, t, u, &want, o.include ? ITEM_UNTIL_INCLUDE : ITEM_UNTIL);
}

static int stream_unpack(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  const char *fmt = luaL_checkstring(L, 2);
  read_opts_t o = get_opts(L, 3, u, "unpack", 2);
  qnl_unpack_scan_t probe = {.fmt = fmt, .max = o.max != 0 ? o.max : QN_ALL_MAX_DEFAULT};
  size_t need = 0;
  int64_t rc = qnl_scan_unpack((const uint8_t *)"", 0, false, &need, &probe);
  luaL_argcheck(L, rc != QN_E_INVALID, 2, probe.error);
  QNL_ENTER(L, G, t, stream_unpack, "read");
  if (rc < 0) { /* larger than the limit whatever comes */
    return fail(L, u, t, (int)rc);
  }
  if (rc == 0 && need == 0) { /* an item of no bytes */
    return push_unpacked(L, t, u, &(qn_got_t){0});
  }
  begin_read(t, u, o.timeout);
  qnl_unpack_scan_t *scan = lua_newuserdatauv(L, sizeof *scan, 0);
  *scan = probe;
  qn_want_t want = {.kind = QN_WANT_SCAN, .scan = qnl_scan_unpack, .arg = scan, .max = probe.max};
  return start_item(L, t, u, &want, ITEM_UNPACK);
}

static int stream_peek(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 1 && n <= (lua_Integer)QN_ALL_MAX_DEFAULT, 2,
                "the number of bytes must be from 1 to 64 MiB");
  read_opts_t o = get_opts(L, 3, u, "peek", 1);
  QNL_ENTER(L, G, t, stream_peek, "read");
  begin_read(t, u, o.timeout);
  return start_item(L, t, u, &(qn_want_t){.kind = QN_WANT_UPTO, .n = (size_t)n}, ITEM_PEEK);
}

/* --- skip, unread ---------------------------------------------------------------------------- */

static int skip_rest(lua_State *L, qnl_task_t *t, qnl_stream_t *u);

static int push_skip(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *u = t->wait.obj;
  if (result < 0 && !still_busy(t, u, result)) {
    fail(L, u, t, (int)result);
    lua_pushinteger(L, t->wait.a);
    qnl_error_set(L, "skipped");
    return 2;
  }
  if (result >= 0) {
    qn_got_t got = qn_stream_got(u->s);
    if (got.size == 0) {
      qn_stream_keep(u->s);
      lua_pushinteger(L, t->wait.a);
      return 1;
    }
    qn_slice_t d = qn_stream_data(u->s);
    int rc = note(u, (qn_slice_t){d.data, got.size});
    if (rc < 0) {
      return fail(L, u, t, rc);
    }
    qn_stream_consume(u->s, got.size);
    t->wait.a += (intptr_t)got.size;
  } else {
    arm(t, u);
  }
  return skip_rest(L, t, u);
}

static int skip_rest(lua_State *L, qnl_task_t *t, qnl_stream_t *u)
{
  while (t->wait.a < t->wait.b) {
    qn_got_t got;
    qn_want_t want = {.kind = QN_WANT_SOME, .n = (size_t)(t->wait.b - t->wait.a)};
    int rc = qn_stream_want(u->s, &t->op, &want, &got);
    if (rc == QN_AGAIN) {
      return qnl_wait(L, t, push_skip);
    }
    if (rc < 0) {
      return push_skip(L, t, rc);
    }
    if (got.size == 0) {
      qn_stream_keep(u->s);
      break;
    }
    qn_slice_t d = qn_stream_data(u->s);
    rc = note(u, (qn_slice_t){d.data, got.size});
    if (rc < 0) {
      return fail(L, u, t, rc);
    }
    qn_stream_consume(u->s, got.size);
    t->wait.a += (intptr_t)got.size;
  }
  lua_pushinteger(L, t->wait.a);
  return 1;
}

static int stream_skip(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0, 2, "the number of bytes must not be negative");
  read_opts_t o = get_opts(L, 3, u, "skip", 1);
  QNL_ENTER(L, G, t, stream_skip, "read");
  begin_read(t, u, o.timeout);
  t->wait.a = 0;
  t->wait.b = (intptr_t)n;
  return skip_rest(L, t, u);
}

static int stream_unread(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  if (u->txn != NULL) {
    return luaL_error(L, "unread: a transaction is open");
  }
  int rc = qn_stream_unread(u->s, (qn_slice_t){(const uint8_t *)data, size});
  if (rc < 0) {
    return qnl_stream_fail(L, u, rc, "unread", NULL);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- read_into ------------------------------------------------------------------------------- */

static int into_done(lua_State *L, qnl_stream_t *u, qnl_buffer_t *buf, int64_t n)
{
  if (n == 0) {
    luaL_pushfail(L);
    return 1;
  }
  buf->b.tail += (size_t)n;
  int rc = note(u, (qn_slice_t){buf->b.base + buf->b.tail - n, (size_t)n});
  if (rc < 0) {
    buf->b.tail -= (size_t)n;
    qn_stream_unread(u->s, (qn_slice_t){buf->b.base + buf->b.tail, (size_t)n});
    return qnl_stream_fail(L, u, rc, "read", NULL);
  }
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

static int into_start(lua_State *L, qnl_task_t *t, qnl_stream_t *u, qnl_buffer_t *buf);

static int push_into(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *u = t->wait.obj;
  qnl_buffer_t *buf = qnl_check_buffer(L, 2);
  buf->pins--;
  if (result < 0 && !still_busy(t, u, result)) {
    return fail(L, u, t, (int)result);
  }
  if (result < 0) {
    arm(t, u);
  }
  return into_start(L, t, u, buf);
}

static void abandon_into(qnl_task_t *t)
{
  qnl_buffer_t *buf = (qnl_buffer_t *)t->wait.b;
  buf->pins--;
}

static int into_start(lua_State *L, qnl_task_t *t, qnl_stream_t *u, qnl_buffer_t *buf)
{
  int64_t n = qn_stream_read_into(u->s, &t->op, buf->b.base + buf->b.tail, (size_t)t->wait.a);
  if (n == QN_AGAIN) {
    buf->pins++; /* nobody moves its memory meanwhile */
    t->wait.b = (intptr_t)buf;
    t->wait.abandon = abandon_into;
    return qnl_wait(L, t, push_into);
  }
  if (n < 0) {
    return fail(L, u, t, (int)n);
  }
  return into_done(L, u, buf, n);
}

/* read_into(buf [, max] [, opts]) -> n: replaces the content of the buffer, or appends to it with
 * opts.append. Reads at most `max` bytes; default: as many as the buffer was made for. */
static int stream_read_into(lua_State *L)
{
  static const qnl_opt_t desc[] = {{.name = "timeout", .type = QNL_OPT_SECONDS},
                                   {.name = "append", .type = QNL_OPT_BOOL}};
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  qnl_buffer_t *buf = qnl_check_free_buffer(L, 2);
  uint64_t timeout = qnl_read_timeout(u);
  size_t max = buf->capacity;
  bool append = false;
  if (lua_gettop(L) > 2) {
    int opts = 3;
    if (lua_type(L, 3) != LUA_TTABLE) {
      max = qnl_size(L, 3, "max", buf->capacity, QN_ALL_MAX_DEFAULT);
      luaL_argcheck(L, max > 0, 3, "max must be at least 1");
      opts = 4;
    }
    qnl_opt_value_t v[2];
    qnl_opts(L, opts, "read_into", desc, 2, v);
    timeout = v[0].set ? (uint64_t)v[0].i : timeout;
    append = v[1].set && v[1].i != 0;
  }
  QNL_ENTER(L, G, t, stream_read_into, "read");
  if (!append) {
    buf->b.head = buf->b.tail = 0;
  }
  if (buf->b.cap - buf->b.tail < max && qn_buf_reserve(&buf->b, max) < 0) {
    return luaL_error(L, "out of memory");
  }
  begin_read(t, u, timeout);
  t->wait.a = (intptr_t)max;
  return into_start(L, t, u, buf);
}

const qnl_method_t qnl_read_methods[] = {
    {"read", stream_read, 0},           {"read_exactly", stream_read_exactly, 0},
    {"recv", stream_recv, 0},           {"read_until", stream_read_until, 0},
    {"unpack", stream_unpack, 0},       {"peek", stream_peek, 0},
    {"skip", stream_skip, 0},           {"unread", stream_unread, 0},
    {"read_into", stream_read_into, 0}, {NULL, NULL, 0}};

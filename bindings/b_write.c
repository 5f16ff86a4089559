/* b_write.c: the writing half of section 4: write, pack, flush, shutdown.
 *
 * The usual write copies small pieces into the stream's queue and never waits. Above the high-water
 * mark the pieces stay where they are, on the caller's Lua stack, and the rest is handed over as
 * room comes; what cannot be taken back is reported as err.partial.
 */
#include "b_stream.h"

#define FAST_SLICES 16

/* Storage of a write that waits, pinned on the caller's stack. */
typedef struct pending {
  qn_writer_t writer;
  qn_slice_t v[];
} pending_t;

/* Strings, numbers and buffers at indexes first..last. */
static int collect(lua_State *L, int first, int last, qn_slice_t *v)
{
  int n = 0;
  for (int i = first; i <= last; i++) {
    size_t size;
    if (lua_type(L, i) == LUA_TSTRING || lua_type(L, i) == LUA_TNUMBER) {
      const char *s = lua_tolstring(L, i, &size);
      v[n++] = (qn_slice_t){(const uint8_t *)s, size};
    } else {
      qnl_buffer_t *b = qnl_test_buffer(L, i);
      if (b == NULL) {
        return luaL_typeerror(L, i, "string, number or qn.Buffer");
      }
      v[n++] = (qn_slice_t){qn_buf_data(&b->b), qn_buf_size(&b->b)};
    }
  }
  return n;
}

/* Buffers must not move while a write looks at them. */
static void pin(lua_State *L, int last, int by)
{
  for (int i = 2; i <= last; i++) {
    qnl_buffer_t *b = lua_type(L, i) == LUA_TUSERDATA ? qnl_test_buffer(L, i) : NULL;
    if (b != NULL) {
      b->pins += by;
    }
  }
}

static int fail(lua_State *L, qnl_stream_t *u, int code, const char *op)
{
  luaL_pushfail(L);
  qnl_push_stream_error(L, u, code, op, "write");
  return 2;
}

static int fail_write(lua_State *L, qnl_stream_t *u, int code, const qn_writer_t *w)
{
  fail(L, u, code, "write");
  lua_pushinteger(L, (lua_Integer)w->taken);
  qnl_error_set(L, "partial");
  return 2;
}

static int push_written(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *u = t->wait.obj;
  pin(L, (int)t->wait.a, -1);
  if (result < 0) {
    const pending_t *p = (const pending_t *)t->wait.b;
    return p != NULL ? fail_write(L, u, (int)result, &p->writer)
                     : fail(L, u, (int)result, t->wait.op);
  }
  lua_settop(L, 1); /* the stream itself is true enough for chains, but the contract says true */
  lua_pushboolean(L, 1);
  return 1;
}

static void unpin(qnl_task_t *t) { pin(t->wait_co->L, (int)t->wait.a, -1); }

/* The slow way: what the fast one did not take waits for room. */
static int write_slow(lua_State *L, qnl_task_t *t, qnl_stream_t *u, int last)
{
  int n = last - 1;
  pending_t *p = lua_newuserdatauv(L, sizeof *p + (size_t)n * sizeof(qn_slice_t), 0);
  p->writer = (qn_writer_t){0};
  n = collect(L, 2, last, p->v);
  t->wait.obj = u;
  t->wait.a = last;
  t->wait.b = (intptr_t)p;
  t->wait.phase = "write";
  int rc = qn_stream_write(u->s, &t->op, &p->writer, p->v, n);
  if (rc == QN_AGAIN) {
    pin(L, last, 1);
    t->wait.abandon = unpin;
    return qnl_wait(L, t, push_written);
  }
  if (rc < 0) {
    return fail_write(L, u, rc, &p->writer);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int write_args(lua_State *L, qnl_task_t *t, qnl_stream_t *u, int last)
{
  qn_slice_t v[FAST_SLICES];
  if (last - 1 <= FAST_SLICES) {
    qn_writer_t w;
    int n = collect(L, 2, last, v);
    int rc = qn_stream_write(u->s, NULL, &w, v, n);
    if (QN_LIKELY(rc == 0)) {
      lua_pushboolean(L, 1);
      return 1;
    }
    if (rc != QN_AGAIN) {
      return fail_write(L, u, rc, &w);
    }
  }
  return write_slow(L, t, u, last);
}

static int stream_write(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  int last = lua_gettop(L);
  QNL_ENTER(L, G, t, stream_write, "write");
  return write_args(L, t, u, last);
}

/* pack(fmt, ...): string.pack, then write. */
static int stream_pack(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  luaL_checkstring(L, 2);
  QNL_ENTER(L, G, t, stream_pack, "write");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_stream.meta); /* string.pack */
  lua_insert(L, 2);
  lua_call(L, lua_gettop(L) - 2, 1);
  return write_args(L, t, u, 2);
}

/* Magic 0 flush, 1 shutdown. */
static int stream_flush(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  bool finish = qnl_magic(L) == 1;
  if (finish) {
    static const char *const sides[] = {"w", NULL};
    luaL_checkoption(L, 2, "w", sides);
  }
  lua_settop(L, 1);
  QNL_ENTER(L, G, t, stream_flush, finish ? "shutdown" : "flush");
  pending_t *p = lua_newuserdatauv(L, sizeof *p, 0);
  p->writer = (qn_writer_t){0};
  t->wait.obj = u;
  t->wait.a = 1;
  t->wait.phase = "write";
  int rc = finish ? qn_stream_finish(u->s, &t->op, &p->writer)
                  : qn_stream_flush(u->s, &t->op, &p->writer);
  if (rc == QN_AGAIN) {
    return qnl_wait(L, t, push_written);
  }
  if (rc < 0) {
    return fail(L, u, rc, t->wait.op);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* push() -> bytes: sends what is queued now, without waiting (QAbstractSocket::flush). */
static int stream_push(lua_State *L)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  int64_t n = qn_stream_push_out(u->s);
  if (n < 0) {
    return fail(L, u, (int)n, "push");
  }
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

const qnl_method_t qnl_write_methods[] = {{"write", stream_write, 0}, {"pack", stream_pack, 0},
                                          {"flush", stream_flush, 0}, {"shutdown", stream_flush, 1},
                                          {"push", stream_push, 0},   {NULL, NULL, 0}};

/* b_udp_recv.c: receiving datagrams: recv, recv_into, each, recv_batch, and the wait of listeners.
 *
 * A datagram is taken out of the socket only when its Lua values exist, by the task that gets it:
 * a wait that is cancelled loses nothing. Bytes are copied once, from the loop's buffers into the
 * string.
 */
#include "b_stream.h"
#include "b_udp.h"

#include <string.h>

/* Everything that can come with one: more means that nothing is cut off. */
#define ANY_SIZE SIZE_MAX

enum { R_TIMEOUT, R_MAX, R_COUNT };
static const qnl_opt_t recv_desc[R_COUNT] = {
    [R_TIMEOUT] = {.name = "timeout", .type = QNL_OPT_SECONDS},
    [R_MAX] = {.name = "max", .type = QNL_OPT_INTEGER, .min = 0, .max = INT32_MAX}};

static void get_opts(lua_State *L, int idx, const char *where, uint64_t *timeout, size_t *max)
{
  qnl_opt_value_t v[R_COUNT];
  *timeout = QNL_NEVER;
  *max = ANY_SIZE;
  if (!lua_isnoneornil(L, idx)) {
    qnl_opts(L, idx, where, recv_desc, R_COUNT, v);
    *timeout = v[R_TIMEOUT].set ? (uint64_t)v[R_TIMEOUT].i : QNL_NEVER;
    *max = v[R_MAX].set ? (size_t)v[R_MAX].i : ANY_SIZE;
  }
}

/* The first datagram, or the error or QN_AGAIN in its place. */
static int look(qn_udp_t *s, qn_slice_t *data, qn_udp_info_t *info, qn_addr_t *peer, size_t max)
{
  int rc = qn_udp_peek(s, data, info, peer);
  if (rc == 0 && data->size > max) {
    data->size = max;
    info->truncated = true;
  }
  return rc;
}

/* The values differ in nothing that can be seen. */
static bool same_info(const qn_udp_info_t *a, const qn_udp_info_t *b)
{
  return a->size == b->size && a->truncated == b->truncated && a->hop_limit == b->hop_limit &&
         a->interface == b->interface && a->has_to == b->has_to &&
         memcmp(&a->from.u, &b->from.u, qn_udp_end_size(&b->from)) == 0 &&
         memcmp(&a->to, &b->to, sizeof a->to) == 0 &&
         memcmp(&a->answer, &b->answer, sizeof a->answer) == 0;
}

/* A datagram is a value: one that came the same way as the last one is the same. */
static void push_from(lua_State *L, const qn_udp_info_t *info)
{
  lua_getiuservalue(L, 1, 1);
  const qnl_datagram_t *last = lua_touserdata(L, -1);
  if (last != NULL && same_info(&last->info, info)) {
    return;
  }
  lua_pop(L, 1);
  qnl_push_datagram(L, 1, info);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
}

/* What the wait in t->wait is for; stored so that it can be begun again. */
enum how { RECV, INTO, EACH, BATCH, FETCH };

static int wait_more(lua_State *L, qnl_task_t *t);

static int fail(lua_State *L, qnl_task_t *t, int code, const qn_addr_t *peer)
{
  const qnl_udp_t *u = t->wait.obj;
  if (t->wait.a == EACH) {
    if (code == QN_E_CLOSED) {
      lua_pushnil(L);
      return 1;
    }
    qnl_udp_push_error(L, u, code, "recv", peer);
    return lua_error(L);
  }
  return qnl_udp_fail(L, u, code, "recv", peer);
}

static int give_batch(lua_State *L, qnl_task_t *t)
{
  const qnl_udp_t *u = t->wait.obj;
  lua_Integer most = (lua_Integer)t->wait.b, n = 0;
  qn_slice_t data;
  qn_udp_info_t info;
  lua_createtable(L, most < (lua_Integer)QN_UDP_BATCH ? (int)most : (int)QN_UDP_BATCH, 0);
  /* An error that comes behind the datagrams waits for the next call. */
  for (; n < most && qn_udp_has_next(u->u); n++) {
    qn_addr_t peer;
    if (look(u->u, &data, &info, &peer, t->wait.max) < 0) {
      break;
    }
    /* First the bytes: a finalizer may close the socket, or receive into the same buffers. */
    lua_pushlstring(L, (const char *)data.data, data.size);
    qnl_push_datagram(L, 1, &info);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, QNL_DATAGRAM_DATA);
    lua_rawseti(L, -2, n + 1);
    qn_udp_take(u->u, t->wait.max);
  }
  return 1;
}

/* Something is there, or was: another reader may have been faster. */
static int give(lua_State *L, qnl_task_t *t)
{
  const qnl_udp_t *u = t->wait.obj;
  qn_slice_t data = {0};
  qn_udp_info_t info;
  qn_addr_t peer = {0};
  int rc = look(u->u, &data, &info, &peer, t->wait.max);
  if (QN_UNLIKELY(rc == QN_AGAIN)) {
    return wait_more(L, t);
  }
  if (QN_UNLIKELY(rc < 0)) {
    return fail(L, t, rc, &peer);
  }
  if (t->wait.a == BATCH) {
    return give_batch(L, t);
  }
  if (t->wait.a == INTO) {
    qnl_buffer_t *buf = qnl_check_free_buffer(L, 2);
    if (t->wait.b == 0) {
      buf->b.head = buf->b.tail = 0;
    }
    if (qn_buf_append(&buf->b, data.data, data.size) < 0) {
      return luaL_error(L, "out of memory");
    }
    lua_pushinteger(L, (lua_Integer)data.size);
  } else {
    lua_pushlstring(L, (const char *)data.data, data.size);
  }
  push_from(L, &info);
  qn_udp_take(u->u, t->wait.max);
  return 2;
}

static int push_result(lua_State *L, qnl_task_t *t, int64_t result)
{
  return result < 0 ? fail(L, t, (int)result, NULL) : give(L, t);
}

static int wait_more(lua_State *L, qnl_task_t *t)
{
  const qnl_udp_t *u = t->wait.obj;
  int rc = qn_udp_wait(u->u, &t->op);
  return rc == QN_AGAIN ? qnl_wait_again(L, t, push_result) : push_result(L, t, rc);
}

static int start(lua_State *L, qnl_task_t *t, qnl_udp_t *u, enum how how, intptr_t b,
                 uint64_t timeout, size_t max)
{
  t->wait.obj = u;
  t->wait.a = how;
  t->wait.b = b;
  t->wait.max = max;
  t->wait.phase = "read";
  if (u->listened && how != FETCH && qn_udp_state(u->u) != QN_UDP_CLOSED) {
    return push_result(L, t, QN_E_BUSY);
  }
  if (timeout == 0) {
    (void)qn_udp_pending(u->u); /* no time to be told: ask */
  }
  int rc = qn_udp_wait(u->u, &t->op);
  if (rc == QN_AGAIN) {
    if (timeout != QNL_NEVER) {
      qnl_wait_for(t, timeout);
    }
    return qnl_wait(L, t, push_result);
  }
  return push_result(L, t, rc);
}

/* recv([opts]) ! -> data, from | nil, err */
static int udp_recv(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_udp_t *u = qnl_check_udp(L, 1);
  uint64_t timeout;
  size_t max;
  get_opts(L, 2, "recv", &timeout, &max);
  QNL_ENTER(L, G, t, udp_recv, "recv");
  return start(L, t, u, RECV, 0, timeout, max);
}

/* core.udp_fetch(socket) ! -> data, from | nil, err: recv, for the listeners of "datagram" */
static int core_udp_fetch(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_udp_t *u = qnl_check_udp(L, 1);
  QNL_ENTER(L, G, t, core_udp_fetch, "recv");
  return start(L, t, u, FETCH, 0, QNL_NEVER, ANY_SIZE);
}

/* recv_into(buf [, opts]) ! -> n, from | nil, err */
static int udp_recv_into(lua_State *L)
{
  static const qnl_opt_t desc[] = {
      [R_TIMEOUT] = {.name = "timeout", .type = QNL_OPT_SECONDS},
      [R_MAX] = {.name = "max", .type = QNL_OPT_INTEGER, .min = 0, .max = INT32_MAX},
      {.name = "append", .type = QNL_OPT_BOOL}};
  qnl_state_t *G = qnl_G(L);
  qnl_udp_t *u = qnl_check_udp(L, 1);
  const qnl_buffer_t *buf = qnl_check_free_buffer(L, 2);
  qnl_opt_value_t v[3] = {{0}};
  if (!lua_isnoneornil(L, 3)) {
    qnl_opts(L, 3, "recv_into", desc, 3, v);
  }
  QNL_ENTER(L, G, t, udp_recv_into, "recv");
  return start(L, t, u, INTO, v[2].i != 0, v[R_TIMEOUT].set ? (uint64_t)v[R_TIMEOUT].i : QNL_NEVER,
               v[R_MAX].set ? (size_t)v[R_MAX].i : buf->capacity);
}

/* recv_batch(n [, opts]) ! -> list of datagrams | nil, err */
static int udp_recv_batch(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_udp_t *u = qnl_check_udp(L, 1);
  lua_Integer n = luaL_optinteger(L, 2, QN_UDP_SEND_BATCH);
  uint64_t timeout;
  size_t max;
  luaL_argcheck(L, n >= 1 && n <= 65536, 2, "n must be from 1 to 65536");
  get_opts(L, 3, "recv_batch", &timeout, &max);
  QNL_ENTER(L, G, t, udp_recv_batch, "recv");
  return start(L, t, u, BATCH, (intptr_t)n, timeout, max);
}

/* The iterator of each: (socket) -> data, from. Upvalues 3 and 4: timeout and max. */
static int each_next(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_udp_t *u = qnl_check_udp(L, 1);
  QNL_ENTER(L, G, t, each_next, "recv");
  return start(L, t, u, EACH, 0, (uint64_t)lua_tointeger(L, lua_upvalueindex(3)),
               (size_t)lua_tointeger(L, lua_upvalueindex(4)));
}

/* each([opts]) -> iterator: data, from; ends when the socket is closed, throws other errors. */
static int udp_each(lua_State *L)
{
  uint64_t timeout;
  size_t max;
  qnl_check_udp(L, 1);
  get_opts(L, 2, "each", &timeout, &max);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushinteger(L, (lua_Integer)timeout);
  lua_pushinteger(L, (lua_Integer)max);
  lua_pushcclosure(L, each_next, 4);
  lua_pushvalue(L, 1);
  return 2;
}

/* pending_size() -> size of the first datagram | nil; has_pending() -> boolean (magic 1) */
static int udp_pending(lua_State *L)
{
  int64_t size = qn_udp_pending(qnl_check_udp(L, 1)->u);
  if (qnl_magic(L) == 1) {
    lua_pushboolean(L, size >= 0);
  } else if (size >= 0) {
    lua_pushinteger(L, (lua_Integer)size);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static int push_watched(lua_State *L, qnl_task_t *t, int64_t result)
{
  const qnl_udp_t *u = t->wait.obj;
  if (result < 0) {
    return qnl_udp_fail(L, u, (int)result, "watch", NULL);
  }
  lua_pushinteger(L, (lua_Integer)qn_udp_taken(u->u));
  return 1;
}

/* core.udp_watch(socket, mark) ! -> mark: something is there that was not at the last mark; for
 * the event "ready_read". */
static int core_udp_watch(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_udp_t *u = qnl_check_udp(L, 1);
  uint64_t mark = (uint64_t)luaL_checkinteger(L, 2);
  QNL_ENTER(L, G, t, core_udp_watch, "watch");
  t->wait.obj = u;
  int rc = qn_udp_watch(u->u, mark, &t->op);
  return rc == QN_AGAIN ? qnl_wait(L, t, push_watched) : push_watched(L, t, rc);
}

const qnl_method_t qnl_udp_recv_methods[] = {
    {"recv", udp_recv, 0}, {"recv_into", udp_recv_into, 0},  {"recv_batch", udp_recv_batch, 0},
    {"each", udp_each, 0}, {"pending_size", udp_pending, 0}, {"has_pending", udp_pending, 1},
    {NULL, NULL, 0}};
const qnl_method_t qnl_udp_recv_functions[] = {
    {"udp_watch", core_udp_watch, 0}, {"udp_fetch", core_udp_fetch, 0}, {NULL, NULL, 0}};

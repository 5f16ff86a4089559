/* b_bulk.c: bytes that never become Lua strings: core.copy and send_file.
 *
 * qn.join is built from two copies in lua/qn/stream.lua. Both calls hold the reading or writing
 * side of the streams they use; others get kind busy.
 */
#include "b_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* --- copy ------------------------------------------------------------------------------------ */

/* nil, err with what was moved and which side it was. */
static int fail_copy(lua_State *L, qnl_stream_t *u, int code, const char *side, uint64_t moved)
{
  qnl_stream_fail(L, u, code, "copy", side);
  lua_pushinteger(L, (lua_Integer)moved);
  qnl_error_set(L, "partial");
  lua_pushstring(L, side);
  qnl_error_set(L, "side");
  return 2;
}

static int push_copied(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *src = qnl_check_stream(L, 1), *dst = qnl_check_stream(L, 2);
  uint64_t moved = qn_pump_moved(&t->op);
  char failed = qn_pump_failed(&t->op);
  qn_pump_end(&t->op);
  if (result < 0) {
    /* a time limit names the side that it waited for */
    bool writes = failed == 'w' || (failed == 0 && qn_stream_queued(dst->s) > 0);
    return fail_copy(L, writes ? dst : src, (int)result, writes ? "write" : "read", moved);
  }
  lua_pushinteger(L, (lua_Integer)moved);
  return 1;
}

static void abandon_copy(qnl_task_t *t) { qn_pump_end(&t->op); }

static int core_copy(lua_State *L)
{
  static const qnl_opt_t desc[] = {
      {.name = "finish", .type = QNL_OPT_BOOL},
      {.name = "limit", .type = QNL_OPT_INTEGER, .min = 1, .max = INT64_MAX},
      {.name = "timeout", .type = QNL_OPT_SECONDS}};
  qnl_opt_value_t v[3];
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *src = qnl_check_stream(L, 1), *dst = qnl_check_stream(L, 2);
  qnl_opts(L, 3, "copy", desc, 3, v);
  if (src->txn != NULL) {
    return luaL_error(L, "copy: a transaction is open");
  }
  QNL_ENTER(L, G, t, core_copy, "copy");
  qn_pump_opts_t o = {.limit = v[1].set ? (uint64_t)v[1].i : 0,
                      .keep_open = v[0].set && v[0].i == 0};
  int rc = qn_pump_start(src->s, dst->s, &o, &t->op);
  if (rc != QN_AGAIN) {
    bool writes = rc != QN_E_BUSY && qn_stream_readable(src->s) && !qn_stream_writable(dst->s);
    return fail_copy(L, writes ? dst : src, rc, writes ? "write" : "read", 0);
  }
  t->wait.abandon = abandon_copy;
  qnl_wait_for(t, v[2].set ? (uint64_t)v[2].i : QNL_NEVER);
  return qnl_wait(L, t, push_copied);
}

/* --- send_file ------------------------------------------------------------------------------- */

/* wait.a: a descriptor of our own plus one, beside the user's, who may close his meanwhile. */
static void close_own(qnl_task_t *t)
{
  if (t->wait.a > 0) {
    close((int)t->wait.a - 1);
    t->wait.a = 0;
  }
}

static void end_send(qnl_task_t *t)
{
  qn_send_file_end(&t->op);
  close_own(t);
}

static int fail_open(lua_State *L, int code)
{
  return qnl_fail_info(L, &(qnl_errinfo_t){.code = code, .op = "open", .peer = lua_tostring(L, 2)});
}

static int push_sent(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *u = qnl_check_stream(L, 1);
  uint64_t sent = qn_send_file_sent(&t->op);
  bool opened = qn_send_file_opened(&t->op);
  end_send(t);
  if (result >= 0) {
    lua_pushinteger(L, (lua_Integer)result);
    return 1;
  }
  if (!opened && qn_stream_writable(u->s) && result != QN_E_TIMEOUT) {
    return fail_open(L, (int)result);
  }
  qnl_stream_fail(L, u, (int)result, "send_file", "write");
  lua_pushinteger(L, (lua_Integer)sent);
  qnl_error_set(L, "partial");
  return 2;
}

typedef struct send_range {
  uint64_t offset, count, timeout;
} send_range_t;

static send_range_t get_range(lua_State *L, int idx)
{
  static const qnl_opt_t desc[] = {
      {.name = "offset", .type = QNL_OPT_INTEGER, .min = 0, .max = INT64_MAX},
      {.name = "count", .type = QNL_OPT_INTEGER, .min = 0, .max = INT64_MAX},
      {.name = "timeout", .type = QNL_OPT_SECONDS}};
  qnl_opt_value_t v[3];
  qnl_opts(L, idx, "send_file", desc, 3, v);
  return (send_range_t){v[0].set ? (uint64_t)v[0].i : 0, v[1].set ? (uint64_t)v[1].i : UINT64_MAX,
                        v[2].set ? (uint64_t)v[2].i : QNL_NEVER};
}

static int stream_send_file(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = qnl_check_stream(L, 1);
  bool by_path = lua_type(L, 2) == LUA_TSTRING;
  qnl_stream_t *file = by_path ? NULL : qnl_check(L, 2, &qnl_class_file);
  send_range_t range = get_range(L, 3);
  luaL_argcheck(L, !by_path || strlen(lua_tostring(L, 2)) == lua_rawlen(L, 2), 2,
                "a path must not hold zeros");
  QNL_ENTER(L, G, t, stream_send_file, "send_file");
  int rc;
  if (by_path) {
    rc = qn_send_file_path(u->s, lua_tostring(L, 2), range.offset, range.count, &t->op);
  } else {
    int fd = qn_stream_fd(file->s);
    if (fd < 0) {
      return qnl_fail(L, QN_E_CLOSED, "send_file");
    }
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
      return qnl_fail(L, -errno, "send_file");
    }
    t->wait.a = (intptr_t)fd + 1;
    rc = qn_send_file(u->s, fd, range.offset, range.count, &t->op);
  }
  if (rc != QN_AGAIN) {
    close_own(t);
    return qnl_stream_fail(L, u, rc, "send_file", "write");
  }
  t->wait.abandon = end_send;
  t->wait.phase = "write";
  qnl_wait_for(t, range.timeout);
  return qnl_wait(L, t, push_sent);
}

const qnl_method_t qnl_bulk_methods[] = {{"send_file", stream_send_file, 0}, {NULL, NULL, 0}};

void qnl_open_bulk(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"copy", core_copy, 0}, {NULL, NULL, 0}};
  qnl_setfuncs(L, G, functions);
}

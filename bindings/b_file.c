/* b_file.c: files as streams: open, the standard three, seek, truncate, sync, stat; calls on names.
 *
 * Every call that may touch the disk runs in the thread pool and waits. Errors name the path as
 * their peer. What is built from these calls (read, write, append of a whole file) is in
 * lua/qn/file.lua.
 */
#include "b_stream.h"

#include "qn/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static qnl_stream_t *check_file(lua_State *L, int idx)
{
  return qnl_check(L, idx, &qnl_class_file);
}

static const char *check_path(lua_State *L, int idx)
{
  size_t size;
  const char *path = luaL_checklstring(L, idx, &size);
  luaL_argcheck(L, strlen(path) == size, idx, "a path must not hold zeros");
  return path;
}

static int fail(lua_State *L, int code, const char *op, const char *path)
{
  return qnl_fail_info(L, &(qnl_errinfo_t){.code = code, .op = op, .peer = path});
}

/* An empty file on top of the stack; obj is set when there is a stream. */
static qnl_stream_t *push_file(lua_State *L, qnl_state_t *G, const char *name)
{
  qnl_stream_t *u = qnl_push_stream(L, G, &qnl_class_file);
  u->name = qn_strdup(name);
  if (u->name == NULL) {
    luaL_error(L, "out of memory");
  }
  return u;
}

/* Takes `f`. 0 or an error. */
static int fill_file(qnl_state_t *G, qnl_stream_t *u, qn_file_t *f, int mode, int64_t offset)
{
  return qn_stream_file(G->loop, f, (mode & 1) != 0, (mode & 2) != 0, offset, &u->s);
}

/* --- open ------------------------------------------------------------------------------------ */

/* Which directions a mode of io.open has: 1 reading, 2 writing; raises for what is no mode. */
static int check_mode(lua_State *L, int idx, const char *mode)
{
  size_t bare = strspn(mode, "rwa") == 1 ? 1 : 0, rest = bare;
  bool plus = false, binary = false, exclusive = false;
  for (; bare != 0 && mode[rest] != 0; rest++) {
    bool *seen = mode[rest] == '+'   ? &plus
                 : mode[rest] == 'b' ? &binary
                 : mode[rest] == 'x' ? &exclusive
                                     : NULL;
    if (seen == NULL || *seen) {
      bare = 0;
      break;
    }
    *seen = true;
  }
  luaL_argcheck(L, bare != 0 && !(exclusive && mode[0] == 'r'), idx,
                "invalid mode: r, w or a is expected, then + and b, and x for a new file");
  return plus ? 3 : mode[0] == 'r' ? 1 : 2;
}

static void abandon_call(qnl_task_t *t) { qn_file_end(&t->op); }

static int push_opened(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_state_t *G = t->G;
  qnl_stream_t *u = t->wait.obj;
  qn_file_t *f = result < 0 ? NULL : qn_file_opened(&t->op);
  qn_file_end(&t->op);
  int rc = result < 0 ? (int)result : fill_file(G, u, f, (int)t->wait.a, 0);
  if (rc < 0) {
    return fail(L, rc, "open", u->name);
  }
  lua_settop(L, (int)t->wait.b);
  return 1;
}

/* core.file_open(path [, mode]) ! -> file | nil, err */
static int core_file_open(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  const char *path = check_path(L, 1), *mode = luaL_optstring(L, 2, "r");
  int directions = check_mode(L, 2, mode);
  QNL_ENTER(L, G, t, core_file_open, "open");
  qnl_stream_t *u = push_file(L, G, path);
  t->wait.obj = u;
  t->wait.a = directions;
  t->wait.b = lua_gettop(L);
  int rc = qn_file_open(G->loop, &t->op, path, mode);
  if (rc != QN_AGAIN) {
    return fail(L, rc, "open", path);
  }
  t->wait.abandon = abandon_call;
  return qnl_wait(L, t, push_opened);
}

/* core.file_standard(0 | 1 | 2) -> file | nil, err: a descriptor of its own beside the process's.
 */
static int core_file_standard(lua_State *L)
{
  static const char *const names[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
  qnl_state_t *G = qnl_G(L);
  lua_Integer which = luaL_checkinteger(L, 1);
  luaL_argcheck(L, which >= 0 && which <= 2, 1, "0, 1 or 2 is expected");
  qnl_stream_t *u = push_file(L, G, names[which]);
  qn_file_t *f = NULL;
  int fd = fcntl((int)which, F_DUPFD_CLOEXEC, 3);
  int rc = fd < 0 ? -errno : qn_file_adopt(G->loop, fd, &f);
  if (rc < 0 && fd >= 0) {
    close(fd);
  }
  rc = rc < 0 ? rc : fill_file(G, u, f, which == 0 ? 1 : 2, -1);
  return rc < 0 ? fail(L, rc, "open", names[which]) : 1;
}

/* --- position and contents ------------------------------------------------------------------- */

static void abandon_task(qnl_task_t *t) { qn_stream_file_end(&t->op); }

/* The op's owner is not ours while nothing has waited. */
static int push_number_or_true(lua_State *L, qnl_task_t *t, int64_t result)
{
  if (result < 0) {
    return qnl_stream_fail(L, check_file(L, 1), (int)result, t->wait.op, NULL);
  }
  if (t->wait.a != 0) {
    lua_pushinteger(L, (lua_Integer)result);
  } else {
    lua_pushboolean(L, 1);
  }
  return 1;
}

static int push_moved(lua_State *L, qnl_task_t *t, int64_t result)
{
  qn_stream_file_end(&t->op);
  return push_number_or_true(L, t, result);
}

static int no_transaction(lua_State *L, const qnl_stream_t *u, const char *op)
{
  return u->txn != NULL ? luaL_error(L, "%s: a read transaction is open", op) : 0;
}

/* seek([whence [, offset]]) ! -> position | nil, err */
static int file_seek(lua_State *L)
{
  static const char *const names[] = {"set", "cur", "end", NULL};
  static const qn_whence_t whences[] = {QN_SEEK_SET, QN_SEEK_CUR, QN_SEEK_END};
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = check_file(L, 1);
  qn_whence_t whence = whences[luaL_checkoption(L, 2, "cur", names)];
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  if (whence != QN_SEEK_CUR || offset != 0) {
    no_transaction(L, u, "seek");
  }
  QNL_ENTER(L, G, t, file_seek, "seek");
  t->wait.a = 1;
  int64_t rc = qn_stream_seek(u->s, &t->op, whence, offset);
  if (rc != QN_AGAIN) {
    return push_number_or_true(L, t, rc);
  }
  t->wait.abandon = abandon_task;
  return qnl_wait(L, t, push_moved);
}

/* truncate(n) ! -> true | nil, err; magic 1: sync() ! -> true | nil, err */
static int file_truncate(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = check_file(L, 1);
  bool sync = qnl_magic(L) == 1;
  lua_Integer size = sync ? 0 : luaL_checkinteger(L, 2);
  luaL_argcheck(L, size >= 0, 2, "the size must not be negative");
  if (!sync) {
    no_transaction(L, u, "truncate");
  }
  QNL_ENTER(L, G, t, file_truncate, sync ? "sync" : "truncate");
  int rc = sync ? qn_stream_sync(u->s, &t->op) : qn_stream_truncate(u->s, &t->op, (uint64_t)size);
  if (rc != QN_AGAIN) {
    return push_number_or_true(L, t, rc);
  }
  t->wait.abandon = abandon_task;
  return qnl_wait(L, t, push_moved);
}

/* --- stat ------------------------------------------------------------------------------------ */

static const char *type_name(char type)
{
  switch (type) {
  case 'f': return "file";
  case 'd': return "directory";
  case 'l': return "link";
  case 'p': return "pipe";
  case 's': return "socket";
  case 'c': return "character";
  case 'b': return "block";
  default: return "unknown";
  }
}

static void set_integer(lua_State *L, const char *name, uint64_t value)
{
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, double value)
{
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

static int push_stat(lua_State *L, qn_file_stat_t st)
{
  lua_createtable(L, 0, 10);
  set_integer(L, "size", st.size);
  lua_pushstring(L, type_name(st.type));
  lua_setfield(L, -2, "type");
  set_time(L, "modified", st.modified);
  set_time(L, "accessed", st.accessed);
  set_time(L, "changed", st.changed);
  set_integer(L, "mode", st.mode);
  set_integer(L, "uid", st.uid);
  set_integer(L, "gid", st.gid);
  set_integer(L, "inode", st.inode);
  set_integer(L, "device", st.device);
  return 1;
}

static int push_path_stat(lua_State *L, qnl_task_t *t, int64_t result)
{
  const qn_file_stat_t *found = qn_file_stat_result(&t->op);
  qn_file_stat_t st = found != NULL ? *found : (qn_file_stat_t){0};
  qn_file_end(&t->op);
  return result < 0 ? fail(L, (int)result, "stat", lua_tostring(L, 1)) : push_stat(L, st);
}

/* core.file_stat(path [, {follow=true}]) ! -> table | nil, err */
static int core_file_stat(lua_State *L)
{
  static const qnl_opt_t desc[] = {{.name = "follow", .type = QNL_OPT_BOOL}};
  qnl_opt_value_t v[1];
  qnl_state_t *G = qnl_G(L);
  const char *path = check_path(L, 1);
  qnl_opts(L, 2, "stat", desc, 1, v);
  QNL_ENTER(L, G, t, core_file_stat, "stat");
  int rc = qn_file_stat(G->loop, &t->op, path, !v[0].set || v[0].i != 0);
  if (rc != QN_AGAIN) {
    return fail(L, rc, "stat", path);
  }
  t->wait.abandon = abandon_call;
  return qnl_wait(L, t, push_path_stat);
}

static int push_file_stat(lua_State *L, qnl_task_t *t, int64_t result)
{
  const qn_file_stat_t *found = qn_stream_stat_result(&t->op);
  qn_file_stat_t st = found != NULL ? *found : (qn_file_stat_t){0};
  qn_stream_file_end(&t->op);
  return result < 0 ? qnl_stream_fail(L, check_file(L, 1), (int)result, "stat", NULL)
                    : push_stat(L, st);
}

static int file_stat(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = check_file(L, 1);
  QNL_ENTER(L, G, t, file_stat, "stat");
  int rc = qn_stream_stat(u->s, &t->op);
  if (rc != QN_AGAIN) {
    return qnl_stream_fail(L, u, rc, "stat", NULL);
  }
  t->wait.abandon = abandon_task;
  return qnl_wait(L, t, push_file_stat);
}

/* --- the rest of the object ------------------------------------------------------------------ */

static int push_closed(lua_State *L, qnl_task_t *t, int64_t result)
{
  qnl_stream_t *u = check_file(L, 1);
  int code = result < 0 ? (int)result : qn_stream_file_error(u->s);
  if (code < 0) {
    return qnl_stream_fail(L, u, code, "close", t->wait.phase);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* wait_closed([timeout]) ! -> true | nil, err: also tells why something written did not get there.
 */
static int file_wait_closed(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_stream_t *u = check_file(L, 1);
  uint64_t timeout = qnl_seconds(L, 2, QNL_NEVER);
  QNL_ENTER(L, G, t, file_wait_closed, "close");
  int rc = qn_stream_closed(u->s, &t->op);
  if (rc != QN_AGAIN) {
    return push_closed(L, t, rc);
  }
  qnl_wait_for(t, timeout);
  return qnl_wait(L, t, push_closed);
}

static int file_path(lua_State *L)
{
  lua_pushstring(L, check_file(L, 1)->name);
  return 1;
}

static int file_descriptor(lua_State *L)
{
  int fd = qn_stream_fd(check_file(L, 1)->s);
  if (fd < 0) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, fd);
  }
  return 1;
}

/* --- names ----------------------------------------------------------------------------------- */

enum { NAME_REMOVE, NAME_RENAME, NAME_MKDIR, NAME_CHMOD };
static const char *const name_ops[] = {"remove", "rename", "mkdir", "chmod"};

static void abandon_names(qnl_task_t *t) { qn_file_end_names(&t->op); }

static int push_named(lua_State *L, qnl_task_t *t, int64_t result)
{
  qn_file_end_names(&t->op);
  if (result < 0) {
    return fail(L, (int)result, t->wait.op, lua_tostring(L, 1));
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* core.file_remove(path) file_rename(from, to) file_mkdir(path [, mode]) file_chmod(path, mode) !
 */
static int core_file_name(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  int what = qnl_magic(L);
  const char *path = check_path(L, 1);
  const char *to = what == NAME_RENAME ? check_path(L, 2) : NULL;
  lua_Integer mode = what == NAME_MKDIR   ? luaL_optinteger(L, 2, 0777)
                     : what == NAME_CHMOD ? luaL_checkinteger(L, 2)
                                          : 0;
  luaL_argcheck(L, mode >= 0 && mode <= 07777, 2, "a mode is from 0 to 4095 (octal 7777)");
  QNL_ENTER(L, G, t, core_file_name, name_ops[what]);
  int rc;
  switch (what) {
  case NAME_REMOVE: rc = qn_file_remove(G->loop, &t->op, path); break;
  case NAME_RENAME: rc = qn_file_rename(G->loop, &t->op, path, to); break;
  case NAME_MKDIR: rc = qn_file_mkdir(G->loop, &t->op, path, (uint32_t)mode); break;
  default: rc = qn_file_chmod(G->loop, &t->op, path, (uint32_t)mode); break;
  }
  if (rc != QN_AGAIN) {
    return fail(L, rc, name_ops[what], path);
  }
  t->wait.abandon = abandon_names;
  return qnl_wait(L, t, push_named);
}

#define LIST_FIRST (16u * 1024u)
#define LIST_MOST (256u * 1024u * 1024u) /* bytes of names in one directory */

static int start_list(lua_State *L, qnl_task_t *t);

static int push_list(lua_State *L, qnl_task_t *t, int64_t result)
{
  if (result > t->wait.a) { /* they did not fit */
    qn_file_end_names(&t->op);
    t->wait.a = (intptr_t)result * 2;
    return result > LIST_MOST ? fail(L, QN_E_LIMIT, "list", lua_tostring(L, 1)) : start_list(L, t);
  }
  if (result < 0) {
    qn_file_end_names(&t->op);
    return fail(L, (int)result, "list", lua_tostring(L, 1));
  }
  /* One string first: making it is all that can fail while the request is still ours. */
  qn_slice_t names = qn_file_names(&t->op);
  lua_pushlstring(L, (const char *)names.data, names.size);
  qn_file_end_names(&t->op);
  size_t size;
  const char *p = lua_tolstring(L, -1, &size), *end = p + size;
  lua_newtable(L);
  for (lua_Integer i = 1; p < end; i++, p += strlen(p) + 1) {
    lua_pushstring(L, p);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static int start_list(lua_State *L, qnl_task_t *t)
{
  const char *path = lua_tostring(L, 1);
  int rc = qn_file_list(t->G->loop, &t->op, path, (size_t)t->wait.a);
  if (rc != QN_AGAIN) {
    return fail(L, rc, "list", path);
  }
  t->wait.abandon = abandon_names;
  return qnl_wait_again(L, t, push_list);
}

/* core.file_list(path) ! -> names in no order | nil, err */
static int core_file_list(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  check_path(L, 1);
  QNL_ENTER(L, G, t, core_file_list, "list");
  t->wait.a = LIST_FIRST;
  return start_list(L, t);
}

/* --- the class ------------------------------------------------------------------------------- */

static const qnl_method_t file_methods[] = {{"seek", file_seek, 0},
                                            {"truncate", file_truncate, 0},
                                            {"sync", file_truncate, 1},
                                            {"stat", file_stat, 0},
                                            {"wait_closed", file_wait_closed, 0},
                                            {"path", file_path, 0},
                                            {"descriptor", file_descriptor, 0},
                                            {NULL, NULL, 0}};
qnl_class_t qnl_class_file = {
    .name = "qn.File", .base = &qnl_class_stream, .methods = file_methods};

void qnl_open_file(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"file_open", core_file_open, 0},
                                           {"file_standard", core_file_standard, 0},
                                           {"file_stat", core_file_stat, 0},
                                           {"file_remove", core_file_name, NAME_REMOVE},
                                           {"file_rename", core_file_name, NAME_RENAME},
                                           {"file_mkdir", core_file_name, NAME_MKDIR},
                                           {"file_chmod", core_file_name, NAME_CHMOD},
                                           {"file_list", core_file_list, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_file);
  qnl_inherit(L, &qnl_class_file, &qnl_class_stream);
  qnl_setfuncs(L, G, functions);
}

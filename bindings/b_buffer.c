/* b_buffer.c: qn.buffer: reusable bytes, for code that must not make a Lua string per read.
 *
 * A buffer is plain memory of the runtime with a begin and an end; read_into fills it, write sends
 * it. While a waiting call looks at the bytes (pins > 0) whatever would move them raises.
 */
#include "b_stream.h"

#include <string.h>

qnl_buffer_t *qnl_test_buffer(lua_State *L, int idx) { return qnl_test(L, idx, &qnl_class_buffer); }
qnl_buffer_t *qnl_check_buffer(lua_State *L, int idx)
{
  return qnl_check(L, idx, &qnl_class_buffer);
}

qnl_buffer_t *qnl_check_free_buffer(lua_State *L, int idx)
{
  qnl_buffer_t *b = qnl_check_buffer(L, idx);
  if (b->pins > 0) {
    qnl_throw(L, QN_KIND_BUSY, "BUSY", "the buffer is in use by a waiting call of another task");
  }
  return b;
}

#define BUFFER_DEFAULT (64u * 1024u)

static void add(lua_State *L, qnl_buffer_t *b, const void *data, size_t size)
{
  if (qn_buf_append(&b->b, data, size) < 0) {
    luaL_error(L, "out of memory");
  }
}

/* core.buffer([size | string]) */
static int core_buffer(lua_State *L)
{
  size_t size = BUFFER_DEFAULT;
  const char *text = NULL;
  if (lua_type(L, 1) == LUA_TSTRING) {
    text = lua_tolstring(L, 1, &size);
  } else if (!lua_isnoneornil(L, 1)) {
    size = qnl_size(L, 1, "size", BUFFER_DEFAULT, QN_ALL_MAX_DEFAULT);
    luaL_argcheck(L, size > 0, 1, "size must be at least 1");
  }
  struct {
    qnl_box_t box;
    qnl_buffer_t b;
  } *ud = lua_newuserdatauv(L, sizeof *ud, 0);
  memset(ud, 0, sizeof *ud);
  ud->box = (qnl_box_t){&qnl_class_buffer, &ud->b};
  ud->b.capacity = size > 0 ? size : 1;
  qnl_set_metatable(L, &qnl_class_buffer);
  if (qn_buf_reserve(&ud->b.b, ud->b.capacity) < 0) {
    return luaL_error(L, "out of memory");
  }
  if (text != NULL) {
    add(L, &ud->b, text, size);
  }
  return 1;
}

static void buffer_collect(qnl_state_t *G, void *obj)
{
  (void)G;
  qn_buf_free(&((qnl_buffer_t *)obj)->b);
}

static int buffer_len(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)qn_buf_size(&qnl_check_buffer(L, 1)->b));
  return 1;
}

/* Positions as in string.sub. */
static size_t start_of(lua_Integer pos, size_t size)
{
  if (pos > 0) {
    return (size_t)pos;
  }
  return pos == 0 || pos < -(lua_Integer)size ? 1 : size + (size_t)pos + 1;
}

static int buffer_tostring(lua_State *L)
{
  qnl_buffer_t *b = qnl_check_buffer(L, 1);
  size_t size = qn_buf_size(&b->b);
  size_t i = start_of(luaL_optinteger(L, 2, 1), size);
  lua_Integer jj = luaL_optinteger(L, 3, -1);
  size_t j = jj >= 0                   ? ((size_t)jj > size ? size : (size_t)jj)
             : jj < -(lua_Integer)size ? 0
                                       : size + (size_t)(jj + 1);
  if (i > j) {
    lua_pushliteral(L, "");
  } else {
    lua_pushlstring(L, (const char *)qn_buf_data(&b->b) + i - 1, j - i + 1);
  }
  return 1;
}

/* find(delim [, init]) -> first, last | nil: plain bytes. */
static int buffer_find(lua_State *L)
{
  qnl_buffer_t *b = qnl_check_buffer(L, 1);
  size_t n;
  const char *what = luaL_checklstring(L, 2, &n);
  size_t size = qn_buf_size(&b->b), from = start_of(luaL_optinteger(L, 3, 1), size) - 1;
  luaL_argcheck(L, n > 0, 2, "the delimiter must not be empty");
  const uint8_t *data = qn_buf_data(&b->b);
  const uint8_t *hit =
      from <= size && size - from >= n ? memmem(data + from, size - from, what, n) : NULL;
  if (hit == NULL) {
    luaL_pushfail(L);
    return 1;
  }
  lua_pushinteger(L, (lua_Integer)(hit - data) + 1);
  lua_pushinteger(L, (lua_Integer)((size_t)(hit - data) + n));
  return 2;
}

/* unpack(fmt [, i]) -> values..., next position; the bytes stay. Raises when there are too few, as
 * string.unpack does. */
static int buffer_unpack(lua_State *L)
{
  qnl_buffer_t *b = qnl_check_buffer(L, 1);
  size_t size = qn_buf_size(&b->b), need = 0;
  const char *fmt = luaL_checkstring(L, 2);
  size_t from = start_of(luaL_optinteger(L, 3, 1), size) - 1;
  luaL_argcheck(L, from <= size, 3, "initial position out of buffer");
  size_t before = from % 16; /* bytes that are passed only so that the alignment is the buffer's */
  qnl_unpack_scan_t scan = {.fmt = fmt, .max = SIZE_MAX / 4, .first = before};
  int64_t total =
      qnl_scan_unpack((const uint8_t *)qn_buf_data(&b->b) + from, size - from, true, &need, &scan);
  luaL_argcheck(L, total != QN_E_INVALID, 2, scan.error);
  bool whole = total > 0 || (total == 0 && need == 0);
  luaL_argcheck(L, whole || total == QN_E_PROTOCOL, 2, "too few bytes in the buffer");
  size_t taken = total >= 0 ? (size_t)total : size - from;
  lua_settop(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_stream.methods); /* string.unpack */
  lua_pushvalue(L, 2);
  lua_pushlstring(L, (const char *)qn_buf_data(&b->b) + from - before, before + taken);
  lua_pushinteger(L, (lua_Integer)before + 1);
  lua_call(L, 3, LUA_MULTRET);
  lua_pushinteger(L, lua_tointeger(L, -1) + (lua_Integer)(from - before));
  lua_replace(L, -2);
  return lua_gettop(L) - 2;
}

static int buffer_pack(lua_State *L)
{
  qnl_buffer_t *b = qnl_check_free_buffer(L, 1);
  size_t size;
  luaL_checkstring(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_stream.meta); /* string.pack */
  lua_insert(L, 2);
  lua_call(L, lua_gettop(L) - 2, 1);
  const char *s = lua_tolstring(L, -1, &size);
  add(L, b, s, size);
  lua_settop(L, 1);
  return 1;
}

static int buffer_append(lua_State *L)
{
  qnl_buffer_t *b = qnl_check_free_buffer(L, 1);
  for (int i = 2, n = lua_gettop(L); i <= n; i++) {
    size_t size;
    qnl_buffer_t *other = qnl_test_buffer(L, i);
    if (other == b) { /* appending to itself moves the source */
      lua_pushlstring(L, (const char *)qn_buf_data(&b->b), qn_buf_size(&b->b));
      const char *copy = lua_tolstring(L, -1, &size);
      add(L, b, copy, size);
      lua_pop(L, 1);
    } else if (other != NULL) {
      add(L, b, qn_buf_data(&other->b), qn_buf_size(&other->b));
    } else {
      const char *s = luaL_checklstring(L, i, &size);
      add(L, b, s, size);
    }
  }
  lua_settop(L, 1);
  return 1;
}

static int buffer_consume(lua_State *L)
{
  qnl_buffer_t *b = qnl_check_free_buffer(L, 1);
  size_t n = qnl_size(L, 2, "n", 0, qn_buf_size(&b->b));
  b->b.head += n;
  if (b->b.head == b->b.tail) {
    b->b.head = b->b.tail = 0;
  }
  lua_settop(L, 1);
  return 1;
}

static int buffer_clear(lua_State *L)
{
  qnl_buffer_t *b = qnl_check_free_buffer(L, 1);
  b->b.head = b->b.tail = 0;
  lua_settop(L, 1);
  return 1;
}

static int buffer_capacity(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)qnl_check_buffer(L, 1)->capacity);
  return 1;
}

static const qnl_method_t buffer_methods[] = {{"tostring", buffer_tostring, 0},
                                              {"find", buffer_find, 0},
                                              {"unpack", buffer_unpack, 0},
                                              {"pack", buffer_pack, 0},
                                              {"append", buffer_append, 0},
                                              {"consume", buffer_consume, 0},
                                              {"clear", buffer_clear, 0},
                                              {"capacity", buffer_capacity, 0},
                                              {NULL, NULL, 0}};
static const qnl_method_t buffer_meta[] = {{"__len", buffer_len, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_buffer = {
    .name = "qn.Buffer", .methods = buffer_methods, .meta = buffer_meta, .collect = buffer_collect};

/* string.pack and string.unpack are kept in the registry: a script may change its globals. */
static void keep_string_function(lua_State *L, const char *name, const void *key)
{
  lua_getglobal(L, "string");
  lua_getfield(L, -1, name);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  lua_pop(L, 1);
}

void qnl_open_buffer(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"buffer", core_buffer, 0}, {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_buffer);
  keep_string_function(L, "unpack", &qnl_class_stream.methods);
  keep_string_function(L, "pack", &qnl_class_stream.meta);
  qnl_setfuncs(L, G, functions);
}

/* opts.c: options tables and common arguments, checked before anything is allocated or started.
 *
 * Every option that a call understands stands in a static descriptor; what is not there is an error
 * that names the key and the nearest known one. Called by every binding that takes options.
 */
#include "qnl.h"

#include "qn/sockopt.h"

#include <math.h>
#include <string.h>

/* Levenshtein distance of short names; gives up above 32 characters. */
static int distance(const char *a, const char *b)
{
  size_t n = strlen(a), m = strlen(b);
  int row[33];
  if (n > 32 || m > 32) {
    return 99;
  }
  for (size_t j = 0; j <= m; j++) {
    row[j] = (int)j;
  }
  for (size_t i = 1; i <= n; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      int above = row[j];
      int best = diagonal + (a[i - 1] != b[j - 1]);
      if (above + 1 < best) {
        best = above + 1;
      }
      if (row[j - 1] + 1 < best) {
        best = row[j - 1] + 1;
      }
      diagonal = above;
      row[j] = best;
    }
  }
  return row[m];
}

const char *qnl_nearest(const char *key, const char *const *names, int n)
{
  const char *best = NULL;
  int best_distance = (int)strlen(key) / 3 + 2;
  for (int i = 0; i < n && names[i] != NULL; i++) {
    int d = distance(key, names[i]);
    if (d < best_distance) {
      best_distance = d;
      best = names[i];
    }
  }
  return best;
}

static int unknown_key(lua_State *L, const char *where, const char *key, const qnl_opt_t *desc,
                       int n)
{
  const char *names[64];
  int count = 0;
  for (int i = 0; i < n && count < 64; i++) {
    names[count++] = desc[i].name;
  }
  const char *near = qnl_nearest(key, names, count);
  if (near != NULL) {
    return luaL_error(L, "%s: unknown option '%s' (did you mean '%s'?)", where, key, near);
  }
  return luaL_error(L, "%s: unknown option '%s'", where, key);
}

static _Noreturn void bad_option(lua_State *L, const char *where, const char *key,
                                 const char *expected)
{
  luaL_error(L, "%s: option '%s' must be %s (got %s)", where, key, expected, luaL_typename(L, -1));
  __builtin_unreachable();
}

static uint64_t to_ms(lua_State *L, lua_Number seconds, const char *what)
{
  if (!(seconds >= 0)) { /* negative or NaN */
    luaL_error(L, "%s must not be negative or NaN (got %f)", what, seconds);
  }
  if (seconds > 3.0e9) { /* about a century */
    luaL_error(L, "%s is too large (false means no limit)", what);
  }
  return (uint64_t)ceil(seconds * 1000.0);
}

uint64_t qnl_seconds_of(lua_State *L, int idx, const char *what)
{
  if (lua_type(L, idx) == LUA_TBOOLEAN && !lua_toboolean(L, idx)) {
    return QNL_NEVER;
  }
  if (lua_type(L, idx) != LUA_TNUMBER) {
    luaL_error(L, "%s must be a number of seconds or false (got %s)", what, luaL_typename(L, idx));
  }
  return to_ms(L, lua_tonumber(L, idx), what);
}

/* A bad time limit that came through Lua files of ours is the fault of who called these, and is
 * told in their terms. Returns when there are none: the caller raises an argument error then. */
static void blame_caller(lua_State *L, const char *wrong)
{
  lua_Debug ar;
  int level = 1;
  while (lua_getstack(L, level, &ar) != 0 && lua_getinfo(L, "S", &ar) != 0 &&
         strncmp(ar.short_src, "qn/", 3) == 0) {
    level++;
  }
  if (level == 1) {
    return;
  }
  lua_getstack(L, level - 1, &ar);
  lua_getinfo(L, "n", &ar);
  luaL_where(L, level);
  if (ar.name != NULL) {
    lua_pushfstring(L, "bad time limit for '%s' (%s)", ar.name, wrong);
  } else {
    lua_pushfstring(L, "bad time limit (%s)", wrong);
  }
  lua_concat(L, 2);
  lua_error(L);
}

uint64_t qnl_seconds(lua_State *L, int idx, uint64_t def)
{
  if (lua_isnoneornil(L, idx)) {
    return def;
  }
  if (lua_type(L, idx) == LUA_TBOOLEAN && !lua_toboolean(L, idx)) {
    return QNL_NEVER;
  }
  if (!lua_isnumber(L, idx)) {
    blame_caller(L, lua_pushfstring(L, "number expected, got %s", luaL_typename(L, idx)));
  }
  lua_Number seconds = luaL_checknumber(L, idx);
  const char *wrong = seconds < 0 || seconds != seconds ? "seconds must not be negative or NaN"
                      : seconds > 3.0e9                 ? "too many seconds (false means no limit)"
                                                        : NULL;
  if (wrong != NULL) {
    blame_caller(L, wrong);
    luaL_argerror(L, idx, wrong);
  }
  return to_ms(L, seconds, "seconds");
}

uint64_t qnl_seconds_required(lua_State *L, int idx)
{
  if (lua_isnoneornil(L, idx)) {
    luaL_argerror(L, idx, "number of seconds or false expected");
  }
  return qnl_seconds(L, idx, QNL_NEVER);
}

static void read_value(lua_State *L, const char *where, const qnl_opt_t *o, qnl_opt_value_t *v)
{
  int type = lua_type(L, -1);
  v->set = true;
  switch (o->type) {
  case QNL_OPT_BOOL:
    if (type != LUA_TBOOLEAN) {
      bad_option(L, where, o->name, "a boolean");
    }
    v->i = lua_toboolean(L, -1);
    break;
  case QNL_OPT_INTEGER: {
    int is_int = 0;
    v->i = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_int) : 0;
    if (!is_int) {
      bad_option(L, where, o->name, "an integer");
    }
    if (v->i < o->min || v->i > o->max) {
      luaL_error(L, "%s: option '%s' must be from %I to %I (got %I)", where, o->name,
                 (LUAI_UACINT)o->min, (LUAI_UACINT)o->max, (LUAI_UACINT)v->i);
    }
    break;
  }
  case QNL_OPT_SECONDS: {
    char what[96];
    snprintf(what, sizeof what, "%s: option '%s'", where, o->name);
    v->i = (int64_t)qnl_seconds_of(L, -1, what);
    break;
  }
  case QNL_OPT_STRING:
    if (type != LUA_TSTRING) {
      bad_option(L, where, o->name, "a string");
    }
    v->s = lua_tolstring(L, -1, &v->size);
    break;
  case QNL_OPT_ENUM: {
    const char *s = type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (s == NULL) {
      bad_option(L, where, o->name, "a string");
    }
    int n = 0;
    for (; o->names[n] != NULL; n++) {
      if (strcmp(s, o->names[n]) == 0) {
        v->i = n;
        return;
      }
    }
    const char *near = qnl_nearest(s, o->names, n);
    luaL_error(L, "%s: option '%s': unknown value '%s' (did you mean '%s'?)", where, o->name, s,
               near != NULL ? near : o->names[0]);
    break;
  }
  case QNL_OPT_ANY: break;
  }
}

void qnl_opts(lua_State *L, int idx, const char *where, const qnl_opt_t *desc, int n_desc,
              qnl_opt_value_t *values)
{
  memset(values, 0, (size_t)n_desc * sizeof *values);
  if (lua_isnoneornil(L, idx)) {
    return;
  }
  if (lua_type(L, idx) != LUA_TTABLE) {
    luaL_error(L, "%s: options must be a table (got %s)", where, luaL_typename(L, idx));
  }
  idx = lua_absindex(L, idx);
  lua_pushnil(L);
  while (lua_next(L, idx) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      luaL_error(L, "%s: option names are strings (got a %s key)", where, luaL_typename(L, -2));
    }
    const char *key = lua_tostring(L, -2);
    int i = 0;
    while (i < n_desc && strcmp(key, desc[i].name) != 0) {
      i++;
    }
    if (i == n_desc) {
      unknown_key(L, where, key, desc, n_desc);
    }
    read_value(L, where, &desc[i], &values[i]);
    lua_pop(L, 1);
  }
}

size_t qnl_size(lua_State *L, int idx, const char *what, size_t def, size_t max)
{
  if (lua_isnoneornil(L, idx)) {
    return def;
  }
  lua_Integer n = luaL_checkinteger(L, idx);
  if (n < 0 || (lua_Unsigned)n > max) {
    luaL_argerror(L, idx, lua_pushfstring(L, "%s must be from 0 to %I", what, (LUAI_UACINT)max));
  }
  return (size_t)n;
}

uint16_t qnl_port(lua_State *L, int idx)
{
  lua_Integer port = luaL_checkinteger(L, idx);
  luaL_argcheck(L, port >= 0 && port <= 65535, idx, "port must be from 0 to 65535");
  return (uint16_t)port;
}

const char *qnl_host(lua_State *L, int idx)
{
  size_t size;
  const char *host = luaL_checklstring(L, idx, &size);
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)host[i];
    luaL_argcheck(L, c > 0x20 && c != 0x7f, idx,
                  "a host must not hold blanks or control characters");
  }
  return host;
}

int qnl_unknown_sockopt(lua_State *L, const char *name)
{
  int n = 0;
  const char *const *names = qn_sockopt_names();
  while (names[n] != NULL) {
    n++;
  }
  const char *near = qnl_nearest(name, names, n);
  return luaL_argerror(
      L, 2,
      near != NULL
          ? lua_pushfstring(L, "unknown socket option '%s' (did you mean '%s'?)", name, near)
          : lua_pushfstring(L, "unknown socket option '%s'", name));
}

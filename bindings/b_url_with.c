/* b_url_with.c: url:with{...}: another URL with some components changed.
 *
 * lua/qn/url.lua turns `query_items` into a query first. Modes of RFC 3986 change components and
 * build the URL once; whatwg mode runs the setters of the URL Standard one after the other. Must
 * not wait. Invariant: a component that is given twice raises, so that the order of a table never
 * matters.
 */
#include "b_url.h"

#include <stdarg.h>
#include <string.h>

/* What a key says: text for people, text as on the wire, a name of the URL Standard's class. */
enum { PLAIN, WIRE, STANDARD, MARKED };
enum { C_PORT = QN_URL_PARTS, C_AUTHORITY, C_USER_INFO, N_COMPONENTS };

typedef struct key {
  const char *name;
  int component, kind;
  qn_url_setter_t setter;
  char mark; /* MARKED: stands before it */
} key_t_;

static const key_t_ keys[] = {{"authority", C_AUTHORITY, WIRE, QN_URL_SET_HOST, 0},
                              {"encoded_authority", C_AUTHORITY, WIRE, QN_URL_SET_HOST, 0},
                              {"user_info", C_USER_INFO, WIRE, QN_URL_SET_USERNAME, 0},
                              {"encoded_user_info", C_USER_INFO, WIRE, QN_URL_SET_USERNAME, 0},
                              {"scheme", QN_URL_SCHEME, PLAIN, QN_URL_SET_PROTOCOL, 0},
                              {"protocol", QN_URL_SCHEME, STANDARD, QN_URL_SET_PROTOCOL, 0},
                              {"user", QN_URL_USER, PLAIN, QN_URL_SET_USERNAME, 0},
                              {"encoded_user", QN_URL_USER, WIRE, QN_URL_SET_USERNAME, 0},
                              {"username", QN_URL_USER, STANDARD, QN_URL_SET_USERNAME, 0},
                              {"password", QN_URL_PASSWORD, PLAIN, QN_URL_SET_PASSWORD, 0},
                              {"encoded_password", QN_URL_PASSWORD, WIRE, QN_URL_SET_PASSWORD, 0},
                              {"host", QN_URL_HOST, PLAIN, QN_URL_SET_HOST, 0},
                              {"encoded_host", QN_URL_HOST, WIRE, QN_URL_SET_HOSTNAME, 0},
                              {"hostname", QN_URL_HOST, STANDARD, QN_URL_SET_HOSTNAME, 0},
                              {"port", C_PORT, PLAIN, QN_URL_SET_PORT, 0},
                              {"path", QN_URL_PATH, PLAIN, QN_URL_SET_PATHNAME, 0},
                              {"encoded_path", QN_URL_PATH, WIRE, QN_URL_SET_PATHNAME, 0},
                              {"pathname", QN_URL_PATH, STANDARD, QN_URL_SET_PATHNAME, 0},
                              {"query", QN_URL_QUERY, PLAIN, QN_URL_SET_SEARCH, '?'},
                              {"encoded_query", QN_URL_QUERY, WIRE, QN_URL_SET_SEARCH, '?'},
                              {"search", QN_URL_QUERY, MARKED, QN_URL_SET_SEARCH, '?'},
                              {"fragment", QN_URL_FRAGMENT, PLAIN, QN_URL_SET_HASH, '#'},
                              {"encoded_fragment", QN_URL_FRAGMENT, WIRE, QN_URL_SET_HASH, '#'},
                              {"hash", QN_URL_FRAGMENT, MARKED, QN_URL_SET_HASH, '#'}};

enum { N_KEYS = sizeof keys / sizeof *keys };

static int index_of(const char *name)
{
  for (int i = 0; i < N_KEYS; i++) {
    if (strcmp(keys[i].name, name) == 0) {
      return i;
    }
  }
  return -1;
}

/* Blames the caller of the Lua function around this one. */
static int misuse(lua_State *L, const char *fmt, ...)
{
  va_list args;
  luaL_where(L, 2);
  lua_pushliteral(L, "url:with: ");
  va_start(args, fmt);
  lua_pushvfstring(L, fmt, args);
  va_end(args);
  lua_concat(L, 3);
  return lua_error(L);
}

static int unknown(lua_State *L, const char *name)
{
  const char *names[N_KEYS];
  for (int i = 0; i < N_KEYS; i++) {
    names[i] = keys[i].name;
  }
  const char *near = qnl_nearest(name, names, N_KEYS);
  return near != NULL ? misuse(L, "unknown option '%s' (did you mean '%s'?)", name, near)
                      : misuse(L, "unknown option '%s'", name);
}

static bool is_whole(lua_State *L, int idx)
{
  int whole;
  (void)lua_tointegerx(L, idx, &whole);
  return whole != 0;
}

/* `setters`: whatwg mode, where a port may be text, as in the URL API ("8080/x" sets 8080). */
static void check_value(lua_State *L, int i, bool setters)
{
  int type = lua_type(L, -1);
  bool port = keys[i].component == C_PORT;
  bool fine =
      (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) ||
      (port && type == LUA_TNUMBER ? is_whole(L, -1) : type == LUA_TSTRING && (!port || setters));
  if (!fine) {
    misuse(L, "option '%s': %s or false expected, got %s", keys[i].name,
           port ? "an integer" : "a string", luaL_typename(L, -1));
  }
  if (port && type == LUA_TNUMBER && (lua_tointeger(L, -1) < 0 || lua_tointeger(L, -1) > 65535)) {
    misuse(L, "option 'port': a number from 0 to 65535 expected");
  }
}

/* Which keys are given; raises for what makes no sense. */
static void check_keys(lua_State *L, bool given[N_KEYS], bool setters)
{
  const char *by[N_COMPONENTS] = {0};
  luaL_checktype(L, 2, LUA_TTABLE);
  memset(given, 0, N_KEYS * sizeof *given);
  lua_pushnil(L);
  while (lua_next(L, 2) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      misuse(L, "names of components expected as keys");
    }
    int i = index_of(lua_tostring(L, -2));
    if (i < 0) {
      unknown(L, lua_tostring(L, -2));
    }
    check_value(L, i, setters);
    if (by[keys[i].component] != NULL) {
      misuse(L, "'%s' and '%s' are the same component", by[keys[i].component], keys[i].name);
    }
    by[keys[i].component] = keys[i].name;
    given[i] = true;
    lua_pop(L, 1);
  }
}

/* --- the modes of RFC 3986 ------------------------------------------------------------------- */

static void set_part(qn_url_parts_t *p, qn_url_part_t part, const char *text, size_t size,
                     bool plain)
{
  p->has[part] = text != NULL;
  p->part[part] = (qn_slice_t){(const uint8_t *)(text != NULL ? text : ""), size};
  p->decoded[part] = plain;
}

static void set_user_info(qn_url_parts_t *p, const char *text, size_t size)
{
  const char *colon = text != NULL ? memchr(text, ':', size) : NULL;
  size_t n = colon != NULL ? (size_t)(colon - text) : size;
  set_part(p, QN_URL_USER, text, n, false);
  set_part(p, QN_URL_PASSWORD, colon != NULL ? colon + 1 : NULL, colon != NULL ? size - n - 1 : 0,
           false);
}

/* Reads an authority by the mode; the value that holds its parts stays on the stack. */
static int set_authority(lua_State *L, qn_url_parts_t *p, const char *text, size_t size)
{
  qn_url_parts_t of;
  qn_url_error_t err = {0, "a character that no authority may have"};
  qn_url_place_t place = {NULL, 0, NULL};
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '/' || text[i] == '?' || text[i] == '#') {
      err.at = i;
      return qnl_url_fail(L, QN_E_BAD_URL, &err, "authority");
    }
  }
  if (text == NULL) {
    of = (qn_url_parts_t){.port = -1};
  } else {
    lua_pushliteral(L, "//");
    lua_pushlstring(L, text, size);
    lua_concat(L, 2);
    const char *all = lua_tostring(L, -1);
    int rc = qn_url_parse_at(all, size + 2, p->mode, NULL, &place, &err);
    if (rc != 0) {
      err.at -= err.at > 2 ? 2 : err.at;
      return qnl_url_fail(L, rc, &err, "authority");
    }
    qnl_url_take(L, &place);
    qn_url_split(qnl_url_check(L, -1), &of);
  }
  for (int i = QN_URL_USER; i <= QN_URL_HOST; i++) {
    p->part[i] = of.part[i];
    p->has[i] = of.has[i];
    p->decoded[i] = false;
  }
  p->port = of.port;
  return 0;
}

/* One key of the table; its value is on the stack's top and stays alive in the table. */
static int apply(lua_State *L, qn_url_parts_t *p, const key_t_ *key)
{
  size_t size = 0;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
  if (key->component == C_PORT) {
    p->port = lua_type(L, -1) == LUA_TNUMBER ? (int)lua_tointeger(L, -1) : -1;
    return 0;
  }
  if (key->component == C_AUTHORITY) {
    return set_authority(L, p, text, size);
  }
  if (key->component == C_USER_INFO) {
    set_user_info(p, text, size);
    return 0;
  }
  if (key->kind == STANDARD && key->component == QN_URL_SCHEME && size > 0 &&
      text[size - 1] == ':') {
    size--;
  }
  if (key->kind == MARKED && text != NULL) {
    bool marked = size > 0 && text[0] == key->mark;
    text = size == 0 ? NULL : text + marked;
    size -= marked;
  }
  set_part(p, (qn_url_part_t)key->component, text, size, key->kind == PLAIN);
  if (key->component == QN_URL_PASSWORD && text != NULL && !p->has[QN_URL_USER]) {
    set_part(p, QN_URL_USER, "", 0, false);
  }
  if (key->component == QN_URL_USER && text == NULL) { /* no password without a user */
    set_part(p, QN_URL_PASSWORD, NULL, 0, false);
  }
  return 0;
}

static int with_parts(lua_State *L, const qn_url_t *u, const bool given[N_KEYS])
{
  qn_url_parts_t p;
  qn_url_error_t err;
  qn_url_split(u, &p);
  for (int i = 0; i < N_KEYS; i++) {
    if (given[i]) {
      lua_getfield(L, 2, keys[i].name);
      int failed = apply(L, &p, &keys[i]);
      if (failed != 0) {
        return failed;
      }
    }
  }
  if (!p.has[QN_URL_HOST]) { /* host=false takes with it what stands around a host */
    bool asked = given[index_of("port")] || given[index_of("user")] || given[index_of("password")];
    if (!asked) {
      set_user_info(&p, NULL, 0);
      p.port = -1;
    }
  }
  QNL_URL_PLACE(place);
  int rc = qn_url_build(&p, &place, &err);
  static const char *const names[] = {"with", "scheme", "user",  "password",
                                      "host", "path",   "query", "fragment"};
  return rc == 0 ? qnl_url_take(L, &place) : qnl_url_fail(L, rc, &err, names[err.part]);
}

/* --- whatwg mode ----------------------------------------------------------------------------- */

/* Pushes what a setter of the standard wants for the value on top. */
static const char *setter_text(lua_State *L, const key_t_ *key, size_t *size)
{
  if (lua_type(L, -1) == LUA_TBOOLEAN) {
    lua_pushliteral(L, "");
  } else if (key->component == C_PORT && lua_type(L, -1) == LUA_TNUMBER) {
    lua_pushfstring(L, "%d", (int)lua_tointeger(L, -1));
  } else {
    luaL_tolstring(L, -1, NULL);
    bool named = key->component == C_PORT || key->kind == STANDARD || key->kind == MARKED ||
                 key->component == QN_URL_PASSWORD;
    bool raw = named || key->kind == WIRE || key->component == QN_URL_HOST;
    if (!raw && key->component != QN_URL_QUERY) {
      luaL_gsub(L, lua_tostring(L, -1), "%", "%25"); /* plain text has no escapes */
    }
    if (!named && key->mark != 0) {
      lua_pushlstring(L, &key->mark, 1);
      lua_insert(L, -2);
      lua_concat(L, 2);
    }
  }
  return lua_tolstring(L, -1, size);
}

static int with_setters(lua_State *L, const qn_url_t *u, const bool given[N_KEYS])
{
  luaL_checkstack(L, 4 * N_KEYS, NULL);
  lua_pushvalue(L, 1);
  for (int i = 0; i < N_KEYS; i++) {
    if (!given[i]) {
      continue;
    }
    if (keys[i].component == C_AUTHORITY || keys[i].component == C_USER_INFO) {
      return misuse(L, "'%s' cannot be set in whatwg mode", keys[i].name);
    }
    size_t size;
    qn_url_error_t err;
    lua_getfield(L, 2, keys[i].name);
    const char *text = setter_text(L, &keys[i], &size);
    QNL_URL_PLACE(place);
    int rc = qn_url_set(u, keys[i].setter, text, size, &place, &err);
    if (rc != 0) {
      return qnl_url_fail(L, rc, &err, keys[i].name);
    }
    qnl_url_take(L, &place);
    u = qnl_url_check(L, -1);
  }
  return 1;
}

/* core.url_with(url, changes) */
int qnl_url_with(lua_State *L)
{
  bool given[N_KEYS];
  const qn_url_t *u = qnl_url_check(L, 1);
  lua_settop(L, 2);
  bool setters = qn_url_mode(u) == QN_URL_WHATWG;
  check_keys(L, given, setters);
  luaL_checkstack(L, 2 * N_KEYS + 8, NULL);
  return setters ? with_setters(L, u, given) : with_parts(L, u, given);
}

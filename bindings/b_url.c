/* b_url.c: qn.Url values: parsing, comparing, the class.
 *
 * lua/qn/url.lua makes the module of it. A value is one userdata without a finalizer that holds the
 * whole qn_url_t; fields are made when they are asked for. Must not wait. Invariant: no error
 * message has a part of the text in it (a URL may have a password).
 */
#include "b_url.h"

#include "sched.h"

#include <stdio.h>
#include <string.h>

static void push_bare(lua_State *L, const qn_url_t *u)
{
  size_t size = qn_url_bytes(u);
  qnl_box_t *box = lua_newuserdatauv(L, sizeof *box + size, 0);
  box->cls = &qnl_class_url;
  box->obj = memcpy(box + 1, u, size);
}

int qnl_url_push(lua_State *L, const qn_url_t *u)
{
  push_bare(L, u);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_url);
  lua_setmetatable(L, -2);
  return 1;
}

static int push_copy(lua_State *L) { return qnl_url_push(L, lua_touserdata(L, 1)); }

void qnl_url_drop(qn_url_place_t *place)
{
  if (place->url != place->mem) {
    qn_url_free(place->url);
  }
  place->url = NULL;
}

int qnl_url_take(lua_State *L, qn_url_place_t *place)
{
  if (QN_LIKELY(place->url == place->mem)) {
    return qnl_url_push(L, place->url);
  }
  lua_pushcfunction(L, push_copy); /* it may raise: the URL must be freed all the same */
  lua_pushlightuserdata(L, place->url);
  int status = lua_pcall(L, 1, 1, 0);
  qnl_url_drop(place);
  return status == LUA_OK ? 1 : lua_error(L);
}

int qnl_url_fail(lua_State *L, int rc, const qn_url_error_t *err, const char *what)
{
  if (rc != QN_E_BAD_URL) {
    return qnl_fail(L, rc, "url");
  }
  luaL_pushfail(L);
  char text[256];
  snprintf(text, sizeof text, "%s%s%s (at byte %zu)", what != NULL ? what : "",
           what != NULL ? ": " : "", err->text, err->at + 1);
  qnl_push_error(L, &(qnl_errinfo_t){.code = rc, .op = "url", .message = text});
  lua_pushinteger(L, (lua_Integer)err->at + 1);
  qnl_error_set(L, "position");
  return 2;
}

static const char *const mode_names[] = {"tolerant", "strict", "user_input", "whatwg", NULL};

static int misuse(lua_State *L, const char *message)
{
  luaL_where(L, 1);
  lua_pushfstring(L, "qn.url: %s", message);
  lua_concat(L, 2);
  return lua_error(L);
}

static qn_url_mode_t mode_arg(lua_State *L, int idx)
{
  if (QN_LIKELY(lua_isnoneornil(L, idx))) {
    return QN_URL_TOLERANT;
  }
  const char *name = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : luaL_typename(L, idx);
  int n = sizeof mode_names / sizeof *mode_names - 1;
  for (int i = 0; i < n; i++) {
    if (mode_names[i][0] == name[0] && strcmp(mode_names[i], name) == 0) {
      return (qn_url_mode_t)i;
    }
  }
  const char *near = qnl_nearest(name, mode_names, n);
  misuse(L, near != NULL ? lua_pushfstring(L, "unknown mode '%s' (did you mean '%s'?)", name, near)
                         : lua_pushfstring(L, "unknown mode '%s'", name));
  return QN_URL_TOLERANT;
}

/* core.url_parse(text [, mode [, base]]), beginning at `idx`; `meta`: where the metatable is, 0 =
 * look for it. */
static int parse(lua_State *L, int idx, int meta)
{
  size_t size;
  const qn_url_t *base = NULL;
  const char *text;
  if (QN_LIKELY(lua_type(L, idx) == LUA_TSTRING)) {
    text = lua_tolstring(L, idx, &size);
  } else {
    const qn_url_t *u = qnl_test(L, idx, &qnl_class_url);
    if (u == NULL) {
      return misuse(L, lua_pushfstring(L, "a string expected, got %s", luaL_typename(L, idx)));
    }
    if (lua_isnoneornil(L, idx + 1) && lua_isnoneornil(L, idx + 2)) {
      lua_settop(L, idx);
      return 1;
    }
    text = (const char *)qn_url_text(u).data; /* read again by another mode */
    size = qn_url_text(u).size;
  }
  qn_url_mode_t mode = mode_arg(L, idx + 1);
  if (!lua_isnoneornil(L, idx + 2)) {
    base = qnl_test(L, idx + 2, &qnl_class_url);
    if (base == NULL) {
      return misuse(L, "option 'base': a URL expected");
    }
  }
  qn_url_error_t err;
  QNL_URL_PLACE(place);
  int rc = qn_url_parse_at(text, size, mode, base, &place, &err);
  if (QN_LIKELY(rc == 0 && meta != 0 && place.url == place.mem)) {
    push_bare(L, place.url);
    lua_pushvalue(L, meta);
    lua_setmetatable(L, -2);
    return 1;
  }
  return QN_LIKELY(rc == 0) ? qnl_url_take(L, &place) : qnl_url_fail(L, rc, &err, NULL);
}

static int core_parse(lua_State *L) { return parse(L, 1, 0); }

static int call_options_k(lua_State *L, int status, lua_KContext ctx)
{
  (void)status, (void)ctx;
  return lua_gettop(L);
}

/* The call of the module: self, text, mode, options. What has options goes to the function of the
 * third upvalue. */
static int call_module(lua_State *L)
{
  if (QN_LIKELY(lua_isnoneornil(L, 4))) {
    return parse(L, 2, lua_upvalueindex(4));
  }
  lua_pushvalue(L, lua_upvalueindex(3));
  lua_replace(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, call_options_k); /* it may look for a file */
  return lua_gettop(L);
}

/* core.url_caller(f): the __call of the module. */
static int core_caller(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushinteger(L, 0);
  lua_pushvalue(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_url);
  lua_pushcclosure(L, call_module, 4);
  return 1;
}

/* core.url_from_file(path) */
static int core_from_file(lua_State *L)
{
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  qn_url_error_t err = {0, NULL};
  QNL_URL_PLACE(place);
  int rc = qn_url_from_file(path, size, &place, &err);
  return rc != 0 ? qnl_url_fail(L, rc, &err, NULL) : qnl_url_take(L, &place);
}

/* --- comparing ------------------------------------------------------------------------------- */

static int url_eq(lua_State *L)
{
  const qn_url_t *a = qnl_test(L, 1, &qnl_class_url), *b = qnl_test(L, 2, &qnl_class_url);
  int rc = a != NULL && b != NULL ? qn_url_equal(a, b) : 0;
  if (rc < 0) {
    return luaL_error(L, "not enough memory");
  }
  lua_pushboolean(L, rc);
  return 1;
}

/* Normal forms in the order of their bytes. */
static int compare(lua_State *L)
{
  const qn_url_t *a = qnl_url_check(L, 1), *b = qnl_url_check(L, 2);
  QNL_URL_PLACE(pa);
  QNL_URL_PLACE(pb);
  int order = 0, rc = qn_url_normalize(a, &pa);
  rc = rc != 0 ? rc : qn_url_normalize(b, &pb);
  if (rc == 0) {
    qn_slice_t ta = qn_url_text(pa.url), tb = qn_url_text(pb.url);
    order = memcmp(ta.data, tb.data, ta.size < tb.size ? ta.size : tb.size);
    order = order != 0 ? order : (ta.size > tb.size) - (ta.size < tb.size);
  }
  qnl_url_drop(&pa);
  qnl_url_drop(&pb);
  return rc == 0 ? order : luaL_error(L, "not enough memory");
}

static int url_lt(lua_State *L)
{
  lua_pushboolean(L, compare(L) < 0);
  return 1;
}

static int url_le(lua_State *L)
{
  lua_pushboolean(L, compare(L) <= 0);
  return 1;
}

/* --- the class ------------------------------------------------------------------------------- */

static int url_index(lua_State *L)
{
  qnl_box_t *box = lua_touserdata(L, 1);
  lua_settop(L, 2);
  int type = lua_rawget(L, lua_upvalueindex(2));
  if (type != LUA_TNUMBER || box == NULL || box->cls != &qnl_class_url) {
    return 1;
  }
  return qnl_url_push_field(L, box->obj, (int)lua_tointeger(L, -1));
}

static int url_concat(lua_State *L)
{
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

static int url_newindex(lua_State *L)
{
  return luaL_error(L, "a qn.Url cannot be changed: url:with{...} makes a new one");
}

/* Without the password: what is printed ends in logs. */
static int url_tostring(lua_State *L)
{
  const qn_url_t *u = qnl_url_check(L, 1);
  qn_slice_t text = qn_url_text(u), password = qn_url_get(u, QN_URL_PASSWORD);
  if (!qn_url_has(u, QN_URL_PASSWORD)) {
    lua_pushlstring(L, (const char *)text.data, text.size);
    return 1;
  }
  size_t before = (size_t)(password.data - text.data) - 1; /* its colon goes, too */
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, (const char *)text.data, before);
  luaL_addlstring(&b, (const char *)password.data + password.size,
                  text.size - before - 1 - password.size);
  luaL_pushresult(&b);
  return 1;
}

static const qnl_method_t meta[] = {{"__tostring", url_tostring, 0},
                                    {"__eq", url_eq, 0},
                                    {"__lt", url_lt, 0},
                                    {"__le", url_le, 0},
                                    {"__newindex", url_newindex, 0},
                                    {"__concat", url_concat, 0},
                                    {NULL, NULL, 0}};

qnl_class_t qnl_class_url = {
    .name = "qn.Url", .methods = qnl_url_edit_methods, .meta = meta, .index = url_index};

void qnl_open_url(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"url_parse", core_parse, 0},
                                           {"url_caller", core_caller, 0},
                                           {"url_from_file", core_from_file, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_url);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_url);
  lua_pushnil(L); /* nothing to collect: no finalizer, which would cost more than the value */
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  qnl_push_methods(L, &qnl_class_url);
  for (const qnl_url_field_t *f = qnl_url_fields; f->name != NULL; f++) {
    lua_pushinteger(L, f->id);
    lua_setfield(L, -2, f->name);
  }
  lua_pop(L, 1);
  qnl_setfuncs(L, G, functions);
  qnl_setfuncs(L, G, qnl_url_text_functions);
}

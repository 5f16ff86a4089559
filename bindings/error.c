/* error.c: error objects (nil, err) and the value that cancellation throws.
 *
 * Both are read-only values: a userdata whose one user value is the table of fields. tostring gives
 * one line: op, peer, text, code. Called by every binding through qnl_fail and qnl_push_error.
 */
#include "qnl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void new_value(lua_State *L, const qnl_class_t *cls)
{
  qnl_box_t *box = lua_newuserdatauv(L, sizeof *box, 1);
  box->cls = cls;
  box->obj = box;
  qnl_set_metatable(L, cls);
  lua_createtable(L, 0, 6);
}

static void set_string(lua_State *L, const char *field, const char *value)
{
  if (value != NULL) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
  }
}

int qnl_push_error(lua_State *L, const qnl_errinfo_t *e)
{
  qn_kind_t kind = qn_err_kind(e->code);
  new_value(L, &qnl_class_error);
  set_string(L, "kind", qn_kind_name(kind));
  set_string(L, "code", qn_err_name(e->code));
  set_string(L, "message", e->message != NULL ? e->message : qn_err_text(e->code));
  set_string(L, "op", e->op);
  set_string(L, "peer", e->peer);
  if (kind == QN_KIND_TIMEOUT) {
    set_string(L, "phase", e->phase != NULL ? e->phase : e->op);
  }
  lua_pushboolean(L, qn_err_temporary(e->code));
  lua_setfield(L, -2, "temporary");
  lua_setiuservalue(L, -2, 1);
  return 1;
}

int qnl_fail_info(lua_State *L, const qnl_errinfo_t *e)
{
  luaL_pushfail(L);
  qnl_push_error(L, e);
  return 2;
}

int qnl_fail(lua_State *L, int code, const char *op)
{
  return qnl_fail_info(L, &(qnl_errinfo_t){.code = code, .op = op});
}

void qnl_error_set(lua_State *L, const char *field)
{
  lua_getiuservalue(L, -2, 1);
  lua_insert(L, -2);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

int qnl_throw(lua_State *L, qn_kind_t kind, const char *code, const char *fmt, ...)
{
  char text[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  new_value(L, &qnl_class_error);
  set_string(L, "kind", qn_kind_name(kind));
  set_string(L, "code", code);
  luaL_where(L, 1);
  lua_pushstring(L, text);
  lua_concat(L, 2);
  lua_setfield(L, -2, "message");
  lua_setiuservalue(L, -2, 1);
  return lua_error(L);
}

int qnl_push_user_error(lua_State *L, qn_kind_t kind, int message_idx, int fields_idx)
{
  new_value(L, &qnl_class_error);
  if (fields_idx != 0) {
    lua_pushnil(L);
    while (lua_next(L, fields_idx) != 0) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    }
  }
  set_string(L, "kind", qn_kind_name(kind));
  lua_pushvalue(L, message_idx);
  lua_setfield(L, -2, "message");
  if (lua_getfield(L, -1, "temporary") == LUA_TNIL) {
    lua_pushboolean(L, kind == QN_KIND_TIMEOUT || kind == QN_KIND_BUSY);
    lua_setfield(L, -3, "temporary");
  }
  lua_pop(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

int qnl_push_cancelled(lua_State *L, int reason_idx)
{
  if (reason_idx != 0) {
    reason_idx = lua_absindex(L, reason_idx);
  }
  new_value(L, &qnl_class_cancelled);
  set_string(L, "message", "cancelled");
  if (reason_idx != 0) {
    lua_pushvalue(L, reason_idx);
    lua_setfield(L, -2, "reason");
  }
  lua_setiuservalue(L, -2, 1);
  return 1;
}

bool qnl_is_error(lua_State *L, int idx) { return qnl_test(L, idx, &qnl_class_error) != NULL; }
bool qnl_is_cancelled(lua_State *L, int idx)
{
  return qnl_test(L, idx, &qnl_class_cancelled) != NULL;
}

/* Upvalues: state, method table. */
static int value_index(lua_State *L)
{
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
  }
  return 1;
}

static int value_newindex(lua_State *L)
{
  return luaL_error(L, "attempt to change field '%s' of a read-only value",
                    luaL_tolstring(L, 2, NULL));
}

static int error_tostring(lua_State *L)
{
  luaL_Buffer b;
  lua_getiuservalue(L, 1, 1);
  lua_getfield(L, 2, "op");
  lua_getfield(L, 2, "peer");
  lua_getfield(L, 2, "message");
  lua_getfield(L, 2, "code");
  const char *op = lua_tostring(L, 3), *peer = lua_tostring(L, 4), *code = lua_tostring(L, 6);
  const char *message = luaL_tolstring(L, 5, NULL);
  luaL_buffinit(L, &b);
  if (op != NULL) {
    luaL_addstring(&b, op);
    if (peer != NULL) {
      luaL_addchar(&b, ' ');
    }
  }
  if (peer != NULL) {
    luaL_addstring(&b, peer);
  }
  if (op != NULL || peer != NULL) {
    luaL_addstring(&b, ": ");
  }
  luaL_addstring(&b, message);
  if (code != NULL) {
    luaL_addstring(&b, " (");
    luaL_addstring(&b, code);
    luaL_addchar(&b, ')');
  }
  luaL_pushresult(&b);
  return 1;
}

static int cancelled_tostring(lua_State *L)
{
  lua_getiuservalue(L, 1, 1);
  if (lua_getfield(L, 2, "reason") == LUA_TNIL) {
    lua_pushliteral(L, "cancelled");
  } else {
    lua_pushfstring(L, "cancelled: %s", luaL_tolstring(L, 3, NULL));
  }
  return 1;
}

static int value_concat(lua_State *L)
{
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

/* For debuggers and loggers: a copy of the fields. */
static int error_fields(lua_State *L)
{
  qnl_check(L, 1, &qnl_class_error);
  lua_getiuservalue(L, 1, 1);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3) != 0) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  return 1;
}

static const qnl_method_t error_methods[] = {{"fields", error_fields, 0}, {NULL, NULL, 0}};
static const qnl_method_t error_meta[] = {{"__tostring", error_tostring, 0},
                                          {"__concat", value_concat, 0},
                                          {"__newindex", value_newindex, 0},
                                          {NULL, NULL, 0}};
static const qnl_method_t cancelled_meta[] = {{"__tostring", cancelled_tostring, 0},
                                              {"__concat", value_concat, 0},
                                              {"__newindex", value_newindex, 0},
                                              {NULL, NULL, 0}};
qnl_class_t qnl_class_error = {
    .name = "qn.Error", .methods = error_methods, .meta = error_meta, .index = value_index};
qnl_class_t qnl_class_cancelled = {
    .name = "qn.Cancelled", .meta = cancelled_meta, .index = value_index};

/* qn.error(kind, message [, fields]) -> err */
static int core_error(lua_State *L)
{
  static const char *const kinds[] = {
      "timeout", "refused",  "reset",   "unreachable", "closed",        "eof",  "dns",
      "tls",     "protocol", "http",    "limit",       "denied",        "busy", "exists",
      "proxy",   "auth",     "invalid", "unsupported", "not_yieldable", "io"};
  const char *name = luaL_checkstring(L, 1);
  int kind = qn_kind_from_name(name);
  if (kind < 0) {
    const char *near = qnl_nearest(name, kinds, (int)(sizeof kinds / sizeof *kinds));
    return luaL_argerror(L, 1,
                         lua_pushfstring(L, "unknown error kind '%s'%s%s%s", name,
                                         near != NULL ? " (did you mean '" : "",
                                         near != NULL ? near : "", near != NULL ? "'?)" : ""));
  }
  luaL_checkstring(L, 2);
  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TTABLE);
  }
  return qnl_push_user_error(L, (qn_kind_t)kind, 2, lua_istable(L, 3) ? 3 : 0);
}

/* qn.is_error(v [, kind]) -> boolean */
static int core_is_error(lua_State *L)
{
  bool is = qnl_is_error(L, 1);
  if (is && !lua_isnoneornil(L, 2)) {
    const char *kind = luaL_checkstring(L, 2);
    luaL_argcheck(L, qn_kind_from_name(kind) >= 0, 2, "unknown error kind");
    lua_getiuservalue(L, 1, 1);
    lua_getfield(L, -1, "kind");
    is = strcmp(lua_tostring(L, -1), kind) == 0;
  }
  lua_pushboolean(L, is);
  return 1;
}

static int core_is_cancelled(lua_State *L)
{
  luaL_checkany(L, 1);
  lua_pushboolean(L, qnl_is_cancelled(L, 1));
  return 1;
}

void qnl_open_error(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"error", core_error, 0},
                                           {"is_error", core_is_error, 0},
                                           {"is_cancelled", core_is_cancelled, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_error);
  qnl_class_register(L, G, &qnl_class_cancelled);
  qnl_setfuncs(L, G, functions);
}

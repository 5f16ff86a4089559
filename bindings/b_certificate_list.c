/* b_certificate_list.c: what a certificate lists, as Lua tables: names, extensions, usages.
 *
 * Used by b_certificate.c and b_csr.c inside protected calls: the list belongs to the caller, who
 * frees it afterwards. A qn.DistinguishedName is a plain table of attributes with a metatable:
 * fields by the name of an attribute, `values`, ==, tostring. Must not keep the list. Tables are
 * copies: whoever changes one changes nothing else.
 */
#include "b_certificate.h"

#include "qn/cert_make.h"

#include <string.h>

static const char dn_name[] = "qn.DistinguishedName";

static void push_slice(lua_State *L, qn_slice_t s)
{
  lua_pushlstring(L, s.size > 0 ? (const char *)s.data : "", s.size);
}

/* --- distinguished names ---------------------------------------------------------------------- */

/* A table of `room` fields with what attributes and extensions have in common. */
static void push_entry(lua_State *L, const qn_cert_entry_t *e, int room)
{
  lua_createtable(L, 0, room);
  lua_pushstring(L, e->id);
  lua_setfield(L, -2, "oid");
  lua_pushstring(L, e->name);
  lua_setfield(L, -2, "name");
  push_slice(L, e->value);
  lua_setfield(L, -2, "value");
}

int qnl_push_attributes(lua_State *L)
{
  const qn_cert_list_t *list = lua_touserdata(L, 1);
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    const qn_cert_entry_t *e = &list->items[i];
    push_entry(L, e, 4);
    lua_pushinteger(L, e->set);
    lua_setfield(L, -2, "set");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  luaL_setmetatable(L, dn_name);
  return 1;
}

/* Whether the attribute at the top is of this type; `id` is its number. */
static bool is_of(lua_State *L, const char *id)
{
  bool yes = false;
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "oid");
    yes = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), id) == 0;
    lua_pop(L, 1);
  }
  return yes;
}

/* Pushes the value of the next attribute of this type from `at` on; its index, or 0. */
static lua_Integer next_value(lua_State *L, int idx, const char *id, lua_Integer at)
{
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  for (; at <= n; at++) {
    lua_rawgeti(L, idx, at);
    if (is_of(L, id)) {
      lua_getfield(L, -1, "value");
      lua_remove(L, -2);
      return at;
    }
    lua_pop(L, 1);
  }
  return 0;
}

#define ID_SIZE 160

/* name:values(type) -> all values, in order */
static int dn_values(lua_State *L)
{
  char id[ID_SIZE];
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *type = luaL_checkstring(L, 2);
  lua_newtable(L);
  if (qn_cert_attribute_id(type, id, sizeof id) > 0) {
    lua_Integer n = 0;
    for (lua_Integer at = 0; (at = next_value(L, 1, id, at + 1)) != 0;) {
      lua_rawseti(L, 3, ++n);
    }
  }
  return 1;
}

/* Upvalues: the state, the methods. */
static int dn_index(lua_State *L)
{
  char id[ID_SIZE];
  if (lua_type(L, 2) != LUA_TSTRING) {
    return 0;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
    return 1;
  }
  size_t n = qn_cert_attribute_id(lua_tostring(L, 2), id, sizeof id);
  return n > 0 && next_value(L, 1, id, 1) != 0;
}

static bool same_field(lua_State *L, const char *field)
{
  lua_getfield(L, -2, field);
  lua_getfield(L, -2, field);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* Whether this and the one before are in the same multi-valued part. */
static bool joins(lua_State *L, int idx, lua_Integer i)
{
  lua_rawgeti(L, idx, i - 1);
  lua_rawgeti(L, idx, i);
  bool yes = i > 1 && lua_istable(L, -1) && lua_istable(L, -2) && same_field(L, "set");
  lua_pop(L, 2);
  return yes;
}

static int dn_eq(lua_State *L)
{
  bool same = lua_istable(L, 1) && lua_istable(L, 2) && lua_rawlen(L, 1) == lua_rawlen(L, 2);
  lua_Integer n = same ? (lua_Integer)lua_rawlen(L, 1) : 0;
  for (lua_Integer i = 1; same && i <= n; i++) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 2, i);
    same =
        lua_istable(L, -1) && lua_istable(L, -2) && same_field(L, "oid") && same_field(L, "value");
    lua_pop(L, 2);
    same = same && joins(L, 1, i) == joins(L, 2, i);
  }
  lua_pushboolean(L, same);
  return 1;
}

static void add_hex(luaL_Buffer *b, const char *s, size_t size)
{
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < size; i++) {
    luaL_addchar(b, '\\');
    luaL_addchar(b, digits[(unsigned char)s[i] >> 4]);
    luaL_addchar(b, digits[s[i] & 15]);
  }
}

/* A value as in RFC 4514, but all that is not fit to be shown as \XX. */
static void add_escaped(luaL_Buffer *b, const char *s, size_t size)
{
  for (size_t i = 0; i < size;) {
    int n = qn_cert_next_shown(s + i, size - i);
    size_t step = (size_t)(n < 0 ? -n : n);
    bool edge = i == 0 || i + 1 == size;
    if (n < 0) {
      add_hex(b, s + i, step);
    } else {
      if (strchr(",+\"\\<>;", s[i]) != NULL || (s[i] == ' ' && edge) || (s[i] == '#' && i == 0)) {
        luaL_addchar(b, '\\');
      }
      luaL_addlstring(b, s + i, step);
    }
    i += step;
  }
}

/* "C=DE, O=Example + OU=x, CN=leaf" */
static int dn_tostring(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  lua_settop(L, 1);
  luaL_Buffer b;
  lua_pushnil(L); /* 2: name, 3: value: below the buffer */
  lua_pushnil(L);
  luaL_buffinit(L, &b);
  for (lua_Integer i = 1; i <= n; i++) {
    bool more = joins(L, 1, i);
    lua_rawgeti(L, 1, i);
    if (!lua_istable(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    lua_getfield(L, -1, "name");
    lua_replace(L, 2);
    lua_getfield(L, -1, "value");
    lua_replace(L, 3);
    lua_pop(L, 1);
    size_t size = 0;
    const char *name = lua_tostring(L, 2), *value = lua_tolstring(L, 3, &size);
    luaL_addstring(&b, i == 1 ? "" : more ? " + " : ", ");
    luaL_addstring(&b, name != NULL ? name : "?");
    luaL_addchar(&b, '=');
    add_escaped(&b, value != NULL ? value : "", size);
  }
  luaL_pushresult(&b);
  return 1;
}

void qnl_open_certificate_list(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t methods[] = {{"values", dn_values, 0}, {NULL, NULL, 0}};
  static const luaL_Reg meta[] = {{"__eq", dn_eq}, {"__tostring", dn_tostring}, {NULL, NULL}};
  luaL_newmetatable(L, dn_name);
  luaL_setfuncs(L, meta, 0);
  lua_pushlightuserdata(L, G);
  lua_newtable(L);
  qnl_setfuncs(L, G, methods);
  lua_pushcclosure(L, dn_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "qn");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

/* --- alternative names ------------------------------------------------------------------------ */

static void push_name_value(lua_State *L, const qn_cert_entry_t *e)
{
  if (e->type != QN_CERT_IP) {
    push_slice(L, e->value);
    return;
  }
  qn_addr_t a;
  memset(&a, 0, sizeof a);
  if (e->value.size == 4) {
    a.u.in4.sin_family = AF_INET;
    memcpy(&a.u.in4.sin_addr, e->value.data, 4);
    a.size = sizeof a.u.in4;
  } else {
    a.u.in6.sin6_family = AF_INET6;
    memcpy(&a.u.in6.sin6_addr, e->value.data, 16);
    a.size = sizeof a.u.in6;
  }
  qnl_push_address(L, qnl_state_of(L), &a);
}

int qnl_push_names(lua_State *L)
{
  static const struct {
    qn_cert_entry_type_t type;
    const char *name;
  } kinds[] = {{QN_CERT_DNS, "dns"},
               {QN_CERT_IP, "ip"},
               {QN_CERT_EMAIL, "email"},
               {QN_CERT_URI, "uri"},
               {QN_CERT_DIRECTORY, "directory"},
               {QN_CERT_OTHER, "other"}};
  const qn_cert_list_t *list = lua_touserdata(L, 1);
  lua_createtable(L, 0, 6);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    lua_Integer n = 0;
    lua_newtable(L);
    for (size_t i = 0; i < list->count; i++) {
      if (list->items[i].type == kinds[k].type) {
        push_name_value(L, &list->items[i]);
        lua_rawseti(L, -2, ++n);
      }
    }
    lua_setfield(L, -2, kinds[k].name);
  }
  if (list->cut) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "cut");
  }
  return 1;
}

/* --- extensions ------------------------------------------------------------------------------- */

int qnl_push_extensions(lua_State *L)
{
  const qn_cert_list_t *list = lua_touserdata(L, 1);
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    const qn_cert_entry_t *e = &list->items[i];
    push_entry(L, e, 6);
    push_slice(L, e->text);
    lua_setfield(L, -2, "text");
    lua_pushboolean(L, e->critical);
    lua_setfield(L, -2, "critical");
    lua_pushboolean(L, e->supported);
    lua_setfield(L, -2, "supported");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* --- plain lists ------------------------------------------------------------------------------ */

/* The names that qn.tls.self_signed takes, too; others are numbers. */
static const char *usage_name(const qn_cert_entry_t *e)
{
  static const char *const names[][2] = {
      {"1.3.6.1.5.5.7.3.1", "server"}, {"1.3.6.1.5.5.7.3.2", "client"},
      {"1.3.6.1.5.5.7.3.3", "code"},   {"1.3.6.1.5.5.7.3.4", "email"},
      {"1.3.6.1.5.5.7.3.8", "time"},   {"1.3.6.1.5.5.7.3.9", "ocsp"},
      {"2.5.29.37.0", "any"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(e->id, names[i][0]) == 0) {
      return names[i][1];
    }
  }
  return e->id;
}

int qnl_push_usages(lua_State *L)
{
  const qn_cert_list_t *list = lua_touserdata(L, 1);
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    lua_pushstring(L, usage_name(&list->items[i]));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int push_urls(lua_State *L, qn_cert_entry_type_t type)
{
  const qn_cert_list_t *list = lua_touserdata(L, 1);
  lua_Integer n = 0;
  lua_newtable(L);
  for (size_t i = 0; i < list->count; i++) {
    if (list->items[i].type == type) {
      push_slice(L, list->items[i].value);
      lua_rawseti(L, -2, ++n);
    }
  }
  return 1;
}

int qnl_push_ocsp_urls(lua_State *L) { return push_urls(L, QN_CERT_OCSP); }
int qnl_push_issuer_urls(lua_State *L) { return push_urls(L, QN_CERT_ISSUERS); }
int qnl_push_crl_urls(lua_State *L) { return push_urls(L, QN_CERT_CRL); }

/* "01:ab" */
void qnl_push_hex(lua_State *L, const uint8_t *data, size_t size)
{
  static const char digits[] = "0123456789abcdef";
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < size; i++) {
    if (i > 0) {
      luaL_addchar(&b, ':');
    }
    luaL_addchar(&b, digits[data[i] >> 4]);
    luaL_addchar(&b, digits[data[i] & 15]);
  }
  luaL_pushresult(&b);
}

int qnl_push_key_id(lua_State *L)
{
  const qn_cert_list_t *list = lua_touserdata(L, 1);
  if (list->count == 0) {
    return 0;
  }
  qnl_push_hex(L, list->items[0].value.data, list->items[0].value.size);
  return 1;
}

/* In the order of their bits. */
void qnl_push_key_usage(lua_State *L, uint32_t bits)
{
  lua_Integer n = 0;
  if (bits == UINT32_MAX) {
    lua_pushnil(L);
    return;
  }
  lua_newtable(L);
  for (size_t i = 0; i < QN_CERT_KEY_USAGES; i++) {
    if ((bits >> i & 1) != 0) {
      lua_pushstring(L, qn_cert_key_usage_names[i]);
      lua_rawseti(L, -2, ++n);
    }
  }
}

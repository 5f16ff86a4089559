/* b_address_ops.c: what a qn.Address can be asked: its fields, methods and operators.
 *
 * Values are read only: every method that changes something gives another value. Fields are not
 * stored but worked out when they are read. Must not make values but through qnl_address_push,
 * which keeps one userdata for each.
 */
#include "b_address.h"

#include <stdio.h>
#include <string.h>

/* What a field shows: the bits of qn/ip.h, or one of these. */
enum { FIELD_PROTOCOL = 1 << 20, FIELD_SCOPE_ID, FIELD_SCOPE_INDEX, FIELD_BYTES, FIELD_IS_NULL };

static const struct {
  const char *name;
  int what;
} fields[] = {
    {"protocol", FIELD_PROTOCOL},
    {"scope_id", FIELD_SCOPE_ID},
    {"scope_index", FIELD_SCOPE_INDEX},
    {"bytes", FIELD_BYTES},
    {"is_null", FIELD_IS_NULL},
    {"is_unspecified", QN_IP_UNSPECIFIED},
    {"is_loopback", QN_IP_LOOPBACK},
    {"is_global", QN_IP_GLOBAL},
    {"is_link_local", QN_IP_LINK_LOCAL},
    {"is_site_local", QN_IP_SITE_LOCAL},
    {"is_unique_local", QN_IP_UNIQUE_LOCAL},
    {"is_private", QN_IP_PRIVATE},
    {"is_multicast", QN_IP_MULTICAST},
    {"is_broadcast", QN_IP_BROADCAST},
    {"is_shared", QN_IP_SHARED},
    {"is_documentation", QN_IP_DOCUMENTATION},
    {"is_reserved", QN_IP_RESERVED},
    {"is_mapped", QN_IP_MAPPED},
};

static const qnl_address_t *self(lua_State *L) { return qnl_check(L, 1, &qnl_class_address); }

static size_t n_bytes(const qnl_address_t *a)
{
  return a->family == QNL_ADDRESS_NULL ? 0 : a->family == QNL_ADDRESS_IPV4 ? 4 : 16;
}

static int push_field(lua_State *L, const qnl_address_t *a, int what)
{
  static const char *const protocols[] = {"unknown", "any", "ipv4", "ipv6"};
  char zone[QNL_ZONE_SIZE];
  switch (what) {
  case FIELD_PROTOCOL: lua_pushstring(L, protocols[a->family]); break;
  case FIELD_SCOPE_ID: lua_pushlstring(L, zone, qnl_address_zone(a, zone)); break;
  case FIELD_SCOPE_INDEX: lua_pushinteger(L, a->index); break;
  case FIELD_BYTES: lua_pushlstring(L, (const char *)a->bytes, n_bytes(a)); break;
  case FIELD_IS_NULL: lua_pushboolean(L, a->family == QNL_ADDRESS_NULL); break;
  default: lua_pushboolean(L, (qnl_address_class(a) & (unsigned)what) != 0); break;
  }
  return 1;
}

/* Upvalues: state, method table, field table. */
static int address_index(lua_State *L)
{
  const qnl_address_t *a = self(L);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
    return 1;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(3)) == LUA_TNIL) {
    return 1;
  }
  return push_field(L, a, (int)lua_tointeger(L, -1));
}

void qnl_address_set_index(lua_State *L, qnl_state_t *G)
{
  lua_pushlightuserdata(L, G);
  qnl_push_methods(L, &qnl_class_address);
  lua_createtable(L, 0, (int)(sizeof fields / sizeof *fields));
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushinteger(L, fields[i].what);
    lua_setfield(L, -2, fields[i].name);
  }
  lua_pushcclosure(L, address_index, 3);
  lua_setfield(L, -2, "__index");
}

static int address_newindex(lua_State *L)
{
  return luaL_error(L, "attempt to change field '%s' of a read-only value",
                    luaL_tolstring(L, 2, NULL));
}

/* --- conversions ----------------------------------------------------------------------------- */

/* a:to_ipv4() -> integer? */
static int to_ipv4(lua_State *L)
{
  const qnl_address_t *a = self(L);
  const uint8_t *p = a->bytes;
  if (a->family == QNL_ADDRESS_IPV6 && (qn_ip6_class(p) & QN_IP_MAPPED) != 0) {
    p += 12;
  } else if (a->family != QNL_ADDRESS_IPV4 && a->family != QNL_ADDRESS_ANY) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(
      L, (lua_Integer)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]));
  return 1;
}

/* a:to_ipv6() -> 16 bytes? */
static int to_ipv6(lua_State *L)
{
  const qnl_address_t *a = self(L);
  uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};
  switch ((qnl_address_family_t)a->family) {
  case QNL_ADDRESS_NULL: lua_pushnil(L); return 1;
  case QNL_ADDRESS_IPV4: memcpy(bytes + 12, a->bytes, 4); break;
  default: memcpy(bytes, a->bytes, sizeof bytes); break;
  }
  lua_pushlstring(L, (const char *)bytes, sizeof bytes);
  return 1;
}

/* a:unmapped() -> the IPv4 address inside a mapped one; others stay. */
static int unmapped(lua_State *L)
{
  const qnl_address_t *a = self(L);
  lua_settop(L, 1);
  if (a->family == QNL_ADDRESS_IPV6 && (qn_ip6_class(a->bytes) & QN_IP_MAPPED) != 0) {
    qnl_address_t v = {.family = QNL_ADDRESS_IPV4};
    memcpy(v.bytes, a->bytes + 12, 4);
    qnl_address_push(L, &v);
  }
  return 1;
}

/* a:with_scope(name | index | nil) -> address */
static int with_scope(lua_State *L)
{
  qnl_address_t v = *self(L);
  size_t size = 0;
  const char *zone = NULL;
  bool none = lua_isnoneornil(L, 2) || (lua_isinteger(L, 2) && lua_tointeger(L, 2) == 0);
  if (!none) {
    luaL_argcheck(L,
                  lua_type(L, 2) != LUA_TNUMBER || (lua_isinteger(L, 2) && lua_tointeger(L, 2) > 0),
                  2, "the name or the index of an interface is expected");
    zone = luaL_checklstring(L, 2, &size);
  }
  luaL_argcheck(L, size == 0 || v.family == QNL_ADDRESS_IPV6, 2,
                "only IPv6 addresses have a scope");
  luaL_argcheck(L, qnl_address_set_zone(&v, zone, size), 2,
                "the name or the index of an interface is expected");
  qnl_address_push(L, &v);
  return 1;
}

/* --- comparing ------------------------------------------------------------------------------- */

static int zone_order(const qnl_address_t *a, const qnl_address_t *b)
{
  int named = (a->zone[0] != '\0') - (b->zone[0] != '\0');
  if (named != 0) {
    return named;
  }
  return a->index != b->index ? (a->index < b->index ? -1 : 1) : strcmp(a->zone, b->zone);
}

static int order(const qnl_address_t *a, const qnl_address_t *b)
{
  if (a->family != b->family) {
    return (int)a->family - (int)b->family;
  }
  int c = memcmp(a->bytes, b->bytes, n_bytes(a));
  return c != 0 ? c : zone_order(a, b);
}

static int address_compare(lua_State *L)
{
  const qnl_address_t *a = qnl_test(L, 1, &qnl_class_address);
  const qnl_address_t *b = qnl_test(L, 2, &qnl_class_address);
  if (a == NULL || b == NULL) {
    return luaL_error(L, "attempt to compare %s with %s",
                      a != NULL ? qnl_class_address.name : luaL_typename(L, 1),
                      b != NULL ? qnl_class_address.name : luaL_typename(L, 2));
  }
  int c = order(a, b);
  lua_pushboolean(L, qnl_magic(L) != 0 ? c <= 0 : c < 0);
  return 1;
}

/* Equal ones are one userdata, but for one that a finalizer brought back after the collector had
 * dropped it from the table of those that are alive. */
static int address_eq(lua_State *L)
{
  const qnl_address_t *a = qnl_test(L, 1, &qnl_class_address);
  const qnl_address_t *b = qnl_test(L, 2, &qnl_class_address);
  lua_pushboolean(L, a != NULL && b != NULL && order(a, b) == 0);
  return 1;
}

enum { V4_MAPPED = 1, V4_COMPAT = 2, UNSPECIFIED = 4, LOCALHOST = 8, TOLERANT = 0xff };

static int check_mode(lua_State *L, int idx)
{
  static const struct {
    const char *name;
    int bits;
  } modes[] = {{"strict", 0},
               {"tolerant", TOLERANT},
               {"v4_mapped", V4_MAPPED},
               {"v4_compat", V4_COMPAT},
               {"unspecified", UNSPECIFIED},
               {"localhost", LOCALHOST}};
  if (lua_isnoneornil(L, idx)) {
    return TOLERANT;
  }
  if (lua_istable(L, idx)) {
    int all = 0;
    for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL; i++) {
      luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, idx, "a list of modes is expected");
      all |= check_mode(L, lua_absindex(L, -1));
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return all;
  }
  const char *name = luaL_checkstring(L, idx);
  const char *names[sizeof modes / sizeof *modes];
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    names[i] = modes[i].name;
    if (strcmp(modes[i].name, name) == 0) {
      return modes[i].bits;
    }
  }
  const char *near = qnl_nearest(name, names, (int)(sizeof names / sizeof *names));
  return luaL_error(L, "bad argument #2 to 'equals' (unknown mode '%s'%s%s%s)", name,
                    near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                    near != NULL ? "'?" : "");
}

/* The IPv4 address that an IPv6 one stands for under these modes. */
static bool converted(const uint8_t six[16], int mode, uint8_t out[4])
{
  static const uint8_t zeros[12] = {0}, one[4] = {0, 0, 0, 1}, loopback[4] = {127, 0, 0, 1};
  const uint8_t *tail = six + 12;
  memcpy(out, tail, 4);
  if ((qn_ip6_class(six) & QN_IP_MAPPED) != 0) {
    return (mode & V4_MAPPED) != 0;
  }
  if (memcmp(six, zeros, sizeof zeros) != 0) {
    return false;
  }
  if (memcmp(tail, zeros, 4) == 0) {
    return (mode & UNSPECIFIED) != 0;
  }
  if (memcmp(tail, one, 4) == 0) {
    memcpy(out, loopback, 4);
    return (mode & LOCALHOST) != 0;
  }
  return (mode & V4_COMPAT) != 0;
}

static bool equal(const qnl_address_t *a, const qnl_address_t *b, int mode)
{
  uint8_t four[4];
  if (order(a, b) == 0) {
    return true;
  }
  if (a->family > b->family) {
    const qnl_address_t *swap = a;
    a = b;
    b = swap;
  }
  if (a->family == QNL_ADDRESS_ANY) { /* b is 0.0.0.0 or :: */
    return (mode & UNSPECIFIED) != 0 && b->index == 0 && b->zone[0] == '\0' &&
           qnl_address_class(b) == QN_IP_UNSPECIFIED;
  }
  return a->family == QNL_ADDRESS_IPV4 && b->family == QNL_ADDRESS_IPV6 && b->index == 0 &&
         b->zone[0] == '\0' && converted(b->bytes, mode, four) && memcmp(four, a->bytes, 4) == 0;
}

/* a:equals(b [, mode]) -> boolean */
static int address_equals(lua_State *L)
{
  const qnl_address_t *a = self(L);
  qnl_address_t b;
  lua_settop(L, 3);
  qnl_address_arg(L, 2, &b);
  lua_pushboolean(L, equal(a, &b, check_mode(L, 3)));
  return 1;
}

/* a:is_in_subnet(net [, bits]) -> boolean */
static int is_in_subnet(lua_State *L)
{
  const qnl_address_t *a = self(L);
  qnl_address_t net = {0};
  int bits = 0;
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    size_t size;
    if (lua_type(L, 2) != LUA_TSTRING) {
      luaL_checkinteger(L, qnl_test(L, 2, &qnl_class_address) != NULL ? 3 : 2);
    }
    const char *text = lua_tolstring(L, 2, &size);
    int family = qn_subnet_parse(text, size, net.bytes, &bits);
    luaL_argcheck(L, family != 0, 2, lua_pushfstring(L, "'%s' is no subnet", text));
    net.family = family == 4 ? QNL_ADDRESS_IPV4 : QNL_ADDRESS_IPV6;
  } else {
    qnl_address_arg(L, 2, &net);
    lua_Integer n = luaL_checkinteger(L, 3);
    int width = net.family == QNL_ADDRESS_IPV6 ? 128 : 32;
    luaL_argcheck(L, n >= 0 && n <= width, 3,
                  lua_pushfstring(L, "0 to %d bits are expected", width));
    bits = (int)n;
  }
  bool ip = a->family == QNL_ADDRESS_IPV4 || a->family == QNL_ADDRESS_IPV6;
  bool zoned = net.index != 0 || net.zone[0] != '\0';
  lua_pushboolean(L, ip && a->family == net.family && qn_ip_same_net(a->bytes, net.bytes, bits) &&
                         (!zoned || zone_order(a, &net) == 0));
  return 1;
}

/* --- operators ------------------------------------------------------------------------------- */

static int address_tostring(lua_State *L)
{
  char text[QNL_ADDRESS_TEXT];
  lua_pushlstring(L, text, qnl_address_text(self(L), text));
  return 1;
}

static int address_concat(lua_State *L)
{
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

const qnl_method_t qnl_address_methods[] = {{"to_ipv4", to_ipv4, 0},
                                            {"to_ipv6", to_ipv6, 0},
                                            {"unmapped", unmapped, 0},
                                            {"with_scope", with_scope, 0},
                                            {"equals", address_equals, 0},
                                            {"is_in_subnet", is_in_subnet, 0},
                                            {NULL, NULL, 0}};
const qnl_method_t qnl_address_meta[] = {{"__tostring", address_tostring, 0},
                                         {"__concat", address_concat, 0},
                                         {"__newindex", address_newindex, 0},
                                         {"__lt", address_compare, 0},
                                         {"__le", address_compare, 1},
                                         {"__eq", address_eq, 0},
                                         {NULL, NULL, 0}};

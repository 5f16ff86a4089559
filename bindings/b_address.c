/* b_address.c: qn.Address values are made here, from text, bytes, numbers and sockets.
 *
 * One weak table of the state holds all that are alive, by their canonical bytes and zone; the rest
 * of the class is in b_address_ops.c. No finalizer and no list knows them: a value that nobody
 * holds is simply gone. Invariant: two userdata never have the same value, but for one that a
 * finalizer brings back when a new one was made meanwhile; `__eq` is for that. What comes from a
 * socket is IPv4 when it is IPv4, also on a dual-stack one.
 */
#include "b_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

qnl_class_t qnl_class_address = {
    .name = "qn.Address", .methods = qnl_address_methods, .meta = qnl_address_meta};

static const char key_interned = 0;

/* --- interning ------------------------------------------------------------------------------- */

static lua_Integer ip4_number(const uint8_t bytes[4])
{
  return (lua_Integer)((uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                       (uint32_t)bytes[2] << 8 | bytes[3]);
}

static void put_ip4_number(uint8_t bytes[4], uint32_t n)
{
  for (int i = 0; i < 4; i++) {
    bytes[i] = (uint8_t)(n >> (24 - 8 * i));
  }
}

/* Anything but IPv4, which has its number as key: 16 bytes, then NUL and the index, or '%' and the
 * name. Short strings: an address that is alive has its key alive, and nothing is allocated. */
static size_t make_key(const qnl_address_t *v, char key[16 + 1 + QNL_ZONE_SIZE])
{
  if (v->family != QNL_ADDRESS_IPV6) {
    key[0] = v->family == QNL_ADDRESS_ANY ? '*' : '0';
    return 1;
  }
  memcpy(key, v->bytes, 16);
  if (v->zone[0] != '\0') {
    size_t n = strlen(v->zone);
    key[16] = '%';
    memcpy(key + 17, v->zone, n);
    return 17 + n;
  }
  if (v->index != 0) {
    key[16] = '\0';
    memcpy(key + 17, &v->index, sizeof v->index);
    return 17 + sizeof v->index;
  }
  return 16;
}

void qnl_address_push(lua_State *L, const qnl_address_t *value)
{
  char key[16 + 1 + QNL_ZONE_SIZE];
  lua_Integer number = 0;
  size_t n = 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_interned);
  if (value->family == QNL_ADDRESS_IPV4) {
    number = ip4_number(value->bytes);
    lua_rawgeti(L, -1, number);
  } else {
    n = make_key(value, key);
    lua_pushlstring(L, key, n);
    lua_rawget(L, -2);
  }
  if (!lua_isnil(L, -1)) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  qnl_address_t *a = lua_newuserdatauv(L, sizeof *a, 0);
  *a = *value;
  a->box = (qnl_box_t){&qnl_class_address, a};
  qnl_set_metatable(L, &qnl_class_address);
  if (value->family == QNL_ADDRESS_IPV4) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, number);
  } else {
    lua_pushlstring(L, key, n);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

/* --- text ------------------------------------------------------------------------------------ */

/* What a name of an interface may be made of; the kernel refuses the rest. */
static bool is_zone_name(const char *text, size_t size)
{
  if (size == 0 || size >= QNL_ZONE_SIZE) {
    return false;
  }
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c <= ' ' || c == 0x7f || c == '/' || c == ':' || c == '%') {
      return false;
    }
  }
  return true;
}

bool qnl_address_set_zone(qnl_address_t *a, const char *text, size_t size)
{
  uint64_t n = 0;
  size_t digits = 0;
  a->index = 0;
  memset(a->zone, 0, sizeof a->zone);
  if (size == 0) {
    return true;
  }
  if (a->family != QNL_ADDRESS_IPV6 || !is_zone_name(text, size)) {
    return false;
  }
  while (digits < size && text[digits] >= '0' && text[digits] <= '9') {
    n = n * 10 + (uint64_t)(text[digits++] - '0');
  }
  if (digits == size) {
    a->index = (uint32_t)n;
    return n > 0 && n <= UINT32_MAX;
  }
  memcpy(a->zone, text, size);
  a->index = if_nametoindex(a->zone);
  if (a->index != 0) {
    memset(a->zone, 0, sizeof a->zone);
  }
  return true;
}

static bool parse_special(qnl_address_t *out, const char *text, size_t size)
{
  static const struct {
    const char *name;
    qnl_address_family_t family;
    uint8_t bytes[16];
  } specials[] = {
      {"any", QNL_ADDRESS_ANY, {0}},
      {"*", QNL_ADDRESS_ANY, {0}},
      {"any_ipv4", QNL_ADDRESS_IPV4, {0}},
      {"any_ipv6", QNL_ADDRESS_IPV6, {0}},
      {"localhost", QNL_ADDRESS_IPV4, {127, 0, 0, 1}},
      {"localhost_ipv6", QNL_ADDRESS_IPV6, {[15] = 1}},
      {"broadcast", QNL_ADDRESS_IPV4, {255, 255, 255, 255}},
      {"null", QNL_ADDRESS_NULL, {0}},
  };
  for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
    if (strlen(specials[i].name) == size && memcmp(specials[i].name, text, size) == 0) {
      out->family = (uint8_t)specials[i].family;
      memcpy(out->bytes, specials[i].bytes, sizeof out->bytes);
      return true;
    }
  }
  return false;
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool qnl_address_parse(qnl_address_t *out, const char *text, size_t size, bool loose)
{
  memset(out, 0, sizeof *out);
  while (size > 0 && is_blank(text[0])) {
    text++;
    size--;
  }
  while (size > 0 && is_blank(text[size - 1])) {
    size--;
  }
  if (size == 0) {
    return false;
  }
  out->family = QNL_ADDRESS_IPV4;
  if (loose ? qn_ip4_parse_loose(text, size, out->bytes) : qn_ip4_parse(text, size, out->bytes)) {
    return true;
  }
  const char *percent = memchr(text, '%', size);
  size_t host = percent != NULL ? (size_t)(percent - text) : size;
  out->family = QNL_ADDRESS_IPV6;
  if (qn_ip6_parse(text, host, out->bytes)) {
    return percent == NULL ||
           (host + 1 < size && qnl_address_set_zone(out, percent + 1, size - host - 1));
  }
  return parse_special(out, text, size);
}

size_t qnl_address_zone(const qnl_address_t *a, char buf[QNL_ZONE_SIZE])
{
  _Static_assert(QNL_ZONE_SIZE == IF_NAMESIZE, "names of interfaces are zones");
  if (a->index == 0) {
    memcpy(buf, a->zone, QNL_ZONE_SIZE);
  } else if (if_indextoname(a->index, buf) == NULL) {
    char digits[10];
    size_t n = 0, at = sizeof digits;
    for (uint32_t i = a->index; i > 0; i /= 10) {
      digits[--at] = (char)('0' + i % 10);
    }
    for (; at < sizeof digits; at++) {
      buf[n++] = digits[at];
    }
    buf[n] = '\0';
  }
  return strlen(buf);
}

size_t qnl_address_text(const qnl_address_t *a, char buf[QNL_ADDRESS_TEXT])
{
  size_t n;
  switch ((qnl_address_family_t)a->family) {
  case QNL_ADDRESS_NULL: buf[0] = '\0'; return 0;
  case QNL_ADDRESS_ANY:
  case QNL_ADDRESS_IPV4: return qn_ip4_print(a->bytes, buf);
  default:
    n = qn_ip6_print(a->bytes, buf, true);
    if (a->index != 0 || a->zone[0] != '\0') {
      buf[n++] = '%';
      n += qnl_address_zone(a, buf + n);
    }
    return n;
  }
}

unsigned qnl_address_class(const qnl_address_t *a)
{
  switch ((qnl_address_family_t)a->family) {
  case QNL_ADDRESS_NULL: return 0;
  case QNL_ADDRESS_ANY: return QN_IP_UNSPECIFIED;
  case QNL_ADDRESS_IPV4: return qn_ip4_class(a->bytes);
  default: return qn_ip6_class(a->bytes);
  }
}

/* --- the contract with other bindings ----------------------------------------------------------
 */

void qnl_push_address(lua_State *L, qnl_state_t *G, const qn_addr_t *a)
{
  char text[QN_ADDR_TEXT];
  qnl_address_t v;
  (void)G;
  memset(&v, 0, sizeof v);
  switch (qn_addr_family(a)) {
  case QN_FAMILY_IPV4:
    v.family = QNL_ADDRESS_IPV4;
    memcpy(v.bytes, &a->u.in4.sin_addr, 4);
    qnl_address_push(L, &v);
    break;
  case QN_FAMILY_IPV6:
    if (IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr)) {
      v.family = QNL_ADDRESS_IPV4;
      memcpy(v.bytes, a->u.in6.sin6_addr.s6_addr + 12, 4);
    } else {
      v.family = QNL_ADDRESS_IPV6;
      memcpy(v.bytes, &a->u.in6.sin6_addr, 16);
      v.index = a->u.in6.sin6_scope_id;
    }
    qnl_address_push(L, &v);
    break;
  case QN_FAMILY_UNIX: lua_pushlstring(L, text, qn_addr_host(a, text, sizeof text)); break;
  default: lua_pushnil(L); break;
  }
}

static bool to_endpoint(const qnl_address_t *v, uint16_t port, qn_family_t family, qn_addr_t *out)
{
  uint32_t index = v->index;
  if (family == QN_FAMILY_UNIX || v->family == QNL_ADDRESS_NULL) {
    return false;
  }
  if (v->family == QNL_ADDRESS_ANY) {
    return qn_addr_parse(out, "*", port, family) == 0;
  }
  memset(out, 0, sizeof *out);
  if (v->family == QNL_ADDRESS_IPV4) {
    out->u.in4.sin_family = AF_INET;
    out->u.in4.sin_port = htons(port);
    memcpy(&out->u.in4.sin_addr, v->bytes, 4);
    out->size = sizeof out->u.in4;
    return family != QN_FAMILY_IPV6;
  }
  if (v->zone[0] != '\0') {
    index = if_nametoindex(v->zone); /* it may have come meanwhile */
    if (index == 0) {
      return false;
    }
  }
  out->u.in6.sin6_family = AF_INET6;
  out->u.in6.sin6_port = htons(port);
  out->u.in6.sin6_scope_id = index;
  memcpy(&out->u.in6.sin6_addr, v->bytes, 16);
  out->size = sizeof out->u.in6;
  if (family != QN_FAMILY_IPV6) {
    qn_addr_unmap(out);
  }
  return family == QN_FAMILY_ANY || qn_addr_family(out) == family;
}

bool qnl_to_address(lua_State *L, int idx, uint16_t port, qn_family_t family, qn_addr_t *out)
{
  if (lua_type(L, idx) == LUA_TSTRING) {
    size_t size;
    const char *text = lua_tolstring(L, idx, &size);
    return strlen(text) == size && qn_addr_parse(out, text, port, family) == 0;
  }
  const qnl_address_t *v = qnl_test(L, idx, &qnl_class_address);
  return v != NULL && to_endpoint(v, port, family, out);
}

void qnl_check_address(lua_State *L, int idx, uint16_t port, qn_family_t family, qn_addr_t *out)
{
  if (!qnl_to_address(L, idx, port, family, out)) {
    const char *given = luaL_tolstring(L, idx, NULL);
    if (lua_type(L, idx) != LUA_TSTRING && qnl_test(L, idx, &qnl_class_address) == NULL) {
      luaL_typeerror(L, idx, "qn.Address or string");
    }
    luaL_argerror(L, idx,
                  lua_pushfstring(L, "'%s' is no %saddress", given,
                                  family == QN_FAMILY_IPV4   ? "IPv4 "
                                  : family == QN_FAMILY_IPV6 ? "IPv6 "
                                                             : ""));
  }
}

void qnl_address_arg(lua_State *L, int idx, qnl_address_t *out)
{
  const qnl_address_t *v = qnl_test(L, idx, &qnl_class_address);
  if (v != NULL) {
    *out = *v;
  } else if (lua_type(L, idx) == LUA_TSTRING) {
    size_t size;
    const char *text = lua_tolstring(L, idx, &size);
    if (!qnl_address_parse(out, text, size, false)) {
      luaL_argerror(L, idx, lua_pushfstring(L, "'%s' is no address", text));
    }
  } else {
    luaL_typeerror(L, idx, "qn.Address or string");
  }
}

/* --- making them -------------------------------------------------------------------------------
 */

/* Text of anybody in a message: printable, and not too much of it. */
static int refuse(lua_State *L, const char *what, const char *text, size_t size)
{
  enum { SHOWN = 64 };
  char shown[SHOWN + 4];
  size_t n = size < SHOWN ? size : SHOWN;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    shown[i] = c < ' ' || c == 0x7f ? '?' : text[i];
  }
  memcpy(shown + n, size > SHOWN ? "..." : "", size > SHOWN ? 4 : 1);
  const char *message = lua_pushfstring(L, "not %s: '%s'", what, shown);
  return qnl_fail_info(
      L, &(qnl_errinfo_t){.code = QN_E_BAD_ADDRESS, .op = "address", .message = message});
}

static int push_bytes(lua_State *L, const uint8_t *bytes, size_t size)
{
  qnl_address_t v = {.family = size == 4 ? QNL_ADDRESS_IPV4 : QNL_ADDRESS_IPV6};
  memcpy(v.bytes, bytes, size);
  qnl_address_push(L, &v);
  return 1;
}

static int from_number(lua_State *L, int idx)
{
  uint8_t bytes[4];
  int exact;
  lua_Integer n = lua_tointegerx(L, idx, &exact);
  if (!exact || n < 0 || n > UINT32_MAX) {
    size_t size;
    const char *text = luaL_tolstring(L, idx, &size);
    return refuse(L, "an IPv4 address", text, size);
  }
  put_ip4_number(bytes, (uint32_t)n);
  return push_bytes(L, bytes, sizeof bytes);
}

static int from_table(lua_State *L, int idx)
{
  uint8_t bytes[16];
  lua_Unsigned n = lua_rawlen(L, idx);
  if (n != 4 && n != 16) {
    const char *text = lua_pushfstring(L, "a table of %I", (LUAI_UACINT)n);
    return refuse(L, "4 or 16 bytes", text, strlen(text));
  }
  for (lua_Unsigned i = 0; i < n; i++) {
    int exact;
    lua_rawgeti(L, idx, (lua_Integer)i + 1);
    lua_Integer byte = lua_tointegerx(L, -1, &exact);
    if (!exact || byte < 0 || byte > 255) {
      size_t size;
      const char *text = luaL_tolstring(L, -1, &size);
      return refuse(L, "a byte", text, size);
    }
    bytes[i] = (uint8_t)byte;
    lua_pop(L, 1);
  }
  return push_bytes(L, bytes, (size_t)n);
}

/* The call of the table qn.address: (self, value [, options]). */
static int address_new(lua_State *L)
{
  static const qnl_opt_t desc[] = {{.name = "loose", .type = QNL_OPT_BOOL}};
  qnl_opt_value_t opts[1];
  qnl_address_t v;
  size_t size;
  const char *text;
  lua_settop(L, 3);
  qnl_opts(L, 3, "qn.address", desc, 1, opts);
  switch (lua_type(L, 2)) {
  case LUA_TSTRING:
    text = lua_tolstring(L, 2, &size);
    if (!qnl_address_parse(&v, text, size, opts[0].set && opts[0].i != 0)) {
      return refuse(L, "an address", text, size);
    }
    qnl_address_push(L, &v);
    return 1;
  case LUA_TNUMBER: return from_number(L, 2);
  case LUA_TTABLE: return from_table(L, 2);
  default:
    if (qnl_test(L, 2, &qnl_class_address) == NULL) {
      return luaL_error(L,
                        "bad argument #1 to 'qn.address' (string, integer, table of bytes or "
                        "qn.Address expected, got %s)",
                        luaL_typename(L, 2));
    }
    lua_settop(L, 2);
    return 1;
  }
}

static int from_ipv4(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TNUMBER);
  return from_number(L, 1);
}

static int from_bytes(lua_State *L)
{
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  if (size != 4 && size != 16) {
    const char *text = lua_pushfstring(L, "a string of %I", (LUAI_UACINT)size);
    return refuse(L, "4 or 16 bytes", text, strlen(text));
  }
  return push_bytes(L, (const uint8_t *)bytes, size);
}

static int parse_subnet(lua_State *L)
{
  uint8_t net[16];
  int bits;
  size_t size;
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &size), *given = text;
  size_t all = size;
  while (size > 0 && is_blank(text[0])) {
    text++;
    size--;
  }
  while (size > 0 && is_blank(text[size - 1])) {
    size--;
  }
  int family = qn_subnet_parse(text, size, net, &bits);
  if (family == 0) {
    return refuse(L, "a subnet", given, all);
  }
  push_bytes(L, net, family == 4 ? 4 : 16);
  lua_pushinteger(L, bits);
  return 2;
}

void qnl_open_address(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"address", address_new, 0},
                                           {"address_from_ipv4", from_ipv4, 0},
                                           {"address_from_bytes", from_bytes, 0},
                                           {"parse_subnet", parse_subnet, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_address);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_address);
  lua_pushnil(L);
  lua_setfield(L, -2, "__gc"); /* there is nothing to finalize */
  qnl_address_set_index(L, G);
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_interned);
  qnl_setfuncs(L, G, functions);
}

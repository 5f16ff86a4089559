/* b_dns_record.c: answers of the DNS as Lua tables, names of types, the orders of MX and SRV.
 *
 * Called by b_dns.c in a protected call, because an answer must be given back whatever happens.
 * Bytes stay bytes: strings of TXT may hold anything. Names of fields are those of
 * lua/qn/_meta/dns.lua.
 */
#include "b_dns.h"

#include <string.h>
#include <sys/random.h>

static void set_string(lua_State *L, const char *field, const char *value)
{
  lua_pushstring(L, value);
  lua_setfield(L, -2, field);
}

static void set_slice(lua_State *L, const char *field, qn_slice_t value)
{
  lua_pushlstring(L, (const char *)value.data, value.size);
  lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, lua_Integer value)
{
  lua_pushinteger(L, value);
  lua_setfield(L, -2, field);
}

static void push_type(lua_State *L, uint16_t type)
{
  const char *name = qn_dns_type_name(type);
  if (name != NULL) {
    lua_pushstring(L, name);
  } else {
    lua_pushfstring(L, "TYPE%d", (int)type);
  }
}

/* `size` is 4 or 16. */
static void push_address(lua_State *L, qnl_state_t *G, const uint8_t *bytes, size_t size)
{
  qn_addr_t a;
  memset(&a, 0, sizeof a);
  if (size == 4) {
    a.u.in4.sin_family = AF_INET;
    memcpy(&a.u.in4.sin_addr, bytes, 4);
    a.size = sizeof a.u.in4;
  } else {
    a.u.in6.sin6_family = AF_INET6;
    memcpy(&a.u.in6.sin6_addr, bytes, 16);
    a.size = sizeof a.u.in6;
  }
  qnl_push_address(L, G, &a);
}

/* --- parameters of SVCB ---------------------------------------------------------------------- */

static void push_key(lua_State *L, unsigned key)
{
  static const char *const names[] = {"mandatory", "alpn",     "no_default_alpn",
                                      "port",      "ipv4hint", "ech",
                                      "ipv6hint",  "dohpath",  "ohttp"};
  if (key < sizeof names / sizeof *names) {
    lua_pushstring(L, names[key]);
  } else {
    lua_pushfstring(L, "key%d", (int)key);
  }
}

/* The codec has checked the formats of all of these. */
static void push_value(lua_State *L, qnl_state_t *G, const qn_dns_param_t *p)
{
  const uint8_t *v = p->value.data;
  size_t size = p->value.size;
  lua_Integer n = 0;
  switch (p->key) {
  case 0: /* mandatory */
    lua_createtable(L, (int)(size / 2), 0);
    for (size_t i = 0; i < size; i += 2) {
      push_key(L, (unsigned)(v[i] << 8 | v[i + 1]));
      lua_rawseti(L, -2, ++n);
    }
    break;
  case 1: /* alpn */
    lua_newtable(L);
    for (size_t i = 0; i < size; i += (size_t)v[i] + 1) {
      lua_pushlstring(L, (const char *)v + i + 1, v[i]);
      lua_rawseti(L, -2, ++n);
    }
    break;
  case 2: /* no-default-alpn */
  case 8: /* ohttp */ lua_pushboolean(L, 1); break;
  case 3: lua_pushinteger(L, v[0] << 8 | v[1]); break;
  case 4: /* ipv4hint */
  case 6: /* ipv6hint */ {
    size_t step = p->key == 4 ? 4 : 16;
    lua_createtable(L, (int)(size / step), 0);
    for (size_t i = 0; i < size; i += step) {
      push_address(L, G, v + i, step);
      lua_rawseti(L, -2, ++n);
    }
    break;
  }
  default: lua_pushlstring(L, (const char *)v, size);
  }
}

static void set_params(lua_State *L, qnl_state_t *G, const qn_dns_record_t *r)
{
  lua_createtable(L, 0, (int)r->u.svcb.n);
  for (size_t i = 0; i < r->u.svcb.n; i++) {
    push_key(L, r->u.svcb.v[i].key);
    push_value(L, G, &r->u.svcb.v[i]);
    lua_rawset(L, -3);
  }
  lua_setfield(L, -2, "params");
}

/* --- records --------------------------------------------------------------------------------- */

static void set_text(lua_State *L, const qn_dns_record_t *r)
{
  luaL_Buffer b;
  lua_createtable(L, (int)r->u.txt.n, 0);
  for (size_t i = 0; i < r->u.txt.n; i++) {
    lua_pushlstring(L, (const char *)r->u.txt.v[i].data, r->u.txt.v[i].size);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "strings");
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < r->u.txt.n; i++) {
    luaL_addlstring(&b, (const char *)r->u.txt.v[i].data, r->u.txt.v[i].size);
  }
  luaL_pushresult(&b);
  lua_setfield(L, -2, "text");
}

static void set_soa(lua_State *L, const qn_dns_record_t *r)
{
  set_string(L, "mname", r->u.soa.mname);
  set_string(L, "rname", r->u.soa.rname);
  set_integer(L, "serial", r->u.soa.serial);
  set_integer(L, "refresh", r->u.soa.refresh);
  set_integer(L, "retry", r->u.soa.retry);
  set_integer(L, "expire", r->u.soa.expire);
  set_integer(L, "minimum", r->u.soa.minimum);
}

static void set_naptr(lua_State *L, const qn_dns_record_t *r)
{
  set_integer(L, "order", r->u.naptr.order);
  set_integer(L, "preference", r->u.naptr.preference);
  set_slice(L, "flags", r->u.naptr.flags);
  set_slice(L, "services", r->u.naptr.services);
  set_slice(L, "regexp", r->u.naptr.regexp);
  set_string(L, "replacement", r->u.naptr.replacement);
}

static void set_data(lua_State *L, qnl_state_t *G, const qn_dns_record_t *r)
{
  switch (r->type) {
  case QN_DNS_A:
  case QN_DNS_AAAA:
    push_address(L, G, r->u.a, r->type == QN_DNS_A ? 4 : 16);
    lua_setfield(L, -2, "address");
    break;
  case QN_DNS_NS:
  case QN_DNS_CNAME:
  case QN_DNS_PTR: set_string(L, "target", r->u.target); break;
  case QN_DNS_MX:
    set_integer(L, "preference", r->u.mx.preference);
    set_string(L, "exchange", r->u.mx.exchange);
    break;
  case QN_DNS_SRV:
    set_integer(L, "priority", r->u.srv.priority);
    set_integer(L, "weight", r->u.srv.weight);
    set_integer(L, "port", r->u.srv.port);
    set_string(L, "target", r->u.srv.target);
    break;
  case QN_DNS_TXT: set_text(L, r); break;
  case QN_DNS_SOA: set_soa(L, r); break;
  case QN_DNS_TLSA:
    set_integer(L, "usage", r->u.tlsa.usage);
    set_integer(L, "selector", r->u.tlsa.selector);
    set_integer(L, "matching", r->u.tlsa.matching);
    set_slice(L, "data", r->u.tlsa.data);
    break;
  case QN_DNS_CAA:
    set_integer(L, "flags", r->u.caa.flags);
    set_slice(L, "tag", r->u.caa.tag);
    set_slice(L, "value", r->u.caa.value);
    break;
  case QN_DNS_NAPTR: set_naptr(L, r); break;
  case QN_DNS_SVCB:
  case QN_DNS_HTTPS:
    set_integer(L, "priority", r->u.svcb.priority);
    set_string(L, "target", r->u.svcb.target);
    set_params(L, G, r);
    break;
  default: set_slice(L, "data", r->u.other);
  }
}

static void push_record(lua_State *L, qnl_state_t *G, const qn_dns_record_t *r)
{
  lua_createtable(L, 0, 8);
  set_string(L, "name", r->name);
  push_type(L, r->type);
  lua_setfield(L, -2, "type");
  set_integer(L, "ttl", r->ttl);
  set_data(L, G, r);
}

static void push_records(lua_State *L, qnl_state_t *G, const qn_dns_record_t *v, size_t n)
{
  lua_createtable(L, (int)n, 5);
  for (size_t i = 0; i < n; i++) {
    push_record(L, G, &v[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

void qnl_push_dns_answer(lua_State *L, qnl_state_t *G, const qn_dns_answer_t *answer)
{
  push_records(L, G, answer->v, answer->n);
  push_records(L, G, answer->chain, answer->n_chain);
  lua_setfield(L, -2, "chain");
  set_string(L, "canonical", answer->canonical);
  set_integer(L, "ttl", answer->ttl);
  lua_pushboolean(L, answer->authoritative);
  lua_setfield(L, -2, "authoritative");
  lua_pushboolean(L, answer->authentic);
  lua_setfield(L, -2, "authentic");
}

/* --- types ----------------------------------------------------------------------------------- */

/* Pushes what is wrong with the name. */
static void push_unknown(lua_State *L, const char *name)
{
  const char *names[64];
  char upper[32];
  size_t size = strlen(name), n = 0;
  while (n < 64 && (names[n] = qn_dns_type_at(n)) != NULL) {
    n++;
  }
  for (size_t i = 0; i <= size && i < sizeof upper; i++) {
    upper[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 0x20) : name[i];
  }
  const char *near = size > 0 && size < sizeof upper ? qnl_nearest(upper, names, (int)n) : NULL;
  lua_pushfstring(L, "unknown record type '%s'%s%s%s", name, near != NULL ? " (did you mean '" : "",
                  near != NULL ? near : "", near != NULL ? "'?)" : "");
}

/* core.dns_type(name | number) -> number, canonical name | nil, what is wrong */
int qnl_dns_type(lua_State *L)
{
  lua_Integer number = 0;
  int is_integer = 0;
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TNUMBER) {
    number = lua_tointegerx(L, 1, &is_integer);
    if (!is_integer || number < 1 || number > 65535) {
      lua_pushnil(L);
      lua_pushliteral(L, "a record type is an integer from 1 to 65535");
      return 2;
    }
  } else if (lua_type(L, 1) == LUA_TSTRING) {
    number = qn_dns_type_number(lua_tostring(L, 1));
    if (number == 0) {
      lua_pushnil(L);
      push_unknown(L, lua_tostring(L, 1));
      return 2;
    }
  } else {
    lua_pushnil(L);
    lua_pushfstring(L, "name or number of a record type expected, got %s", luaL_typename(L, 1));
    return 2;
  }
  lua_pushinteger(L, number);
  push_type(L, (uint16_t)number);
  return 2;
}

/* --- order ----------------------------------------------------------------------------------- */

typedef struct numbers {
  lua_State *L;
  bool given; /* the list of them is at index 3 */
  lua_Integer used;
  uint64_t state;
} numbers_t;

static uint64_t next_number(void *arg)
{
  numbers_t *r = arg;
  if (r->given) {
    lua_rawgeti(r->L, 3, ++r->used);
    uint64_t number = (uint64_t)lua_tointeger(r->L, -1);
    lua_pop(r->L, 1);
    return number;
  }
  uint64_t z = r->state += 0x9e3779b97f4a7c15u; /* splitmix64 */
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return z;
}

static uint16_t field(lua_State *L, const char *name)
{
  lua_getfield(L, -1, name);
  lua_Integer value = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return (uint16_t)value;
}

/* core.dns_order(list, type [, numbers]): puts the list of record tables into the order in which
 * they are to be tried: SRV by RFC 2782; MX, SVCB and HTTPS by their number, equals shuffled (RFC
 * 5321, RFC 9460). The numbers, as many as there are records, are used one per choice. */
int qnl_dns_order(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *type = luaL_checkstring(L, 2);
  bool is_srv = strcmp(type, "SRV") == 0;
  const char *number = strcmp(type, "MX") == 0 ? "preference" : "priority";
  lua_settop(L, 3);
  size_t n = lua_rawlen(L, 1);
  if (n < 2 || n > QN_DNS_RECORDS_MAX) {
    return 0;
  }
  numbers_t r = {.L = L, .given = lua_istable(L, 3)};
  if (!r.given && getrandom(&r.state, sizeof r.state, 0) < 0) {
    r.state = (uint64_t)(uintptr_t)&r; /* no kernel of today; better than none */
  }
  qn_dns_record_t *v = lua_newuserdatauv(L, n * sizeof *v, 0);
  memset(v, 0, n * sizeof *v);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    v[i].ttl = (uint32_t)i + 1; /* where it was */
    if (is_srv) {
      v[i].u.srv.priority = field(L, number);
      v[i].u.srv.weight = field(L, "weight");
    } else {
      v[i].u.mx.preference = field(L, number);
    }
    lua_pop(L, 1);
  }
  (is_srv ? qn_dns_order_srv : qn_dns_order_mx)(v, n, next_number, &r);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, 1, (lua_Integer)v[i].ttl);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  for (size_t i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i);
    lua_rawseti(L, 1, (lua_Integer)i);
  }
  return 0;
}

/* b_udp_facts.c: what can be asked of and set on a datagram socket: multicast, options, addresses,
 * counters.
 *
 * Nothing here waits. What the options are stands in runtime/net/sockopt.c.
 */
#include "b_udp.h"

#include "qn/sockopt.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

/* --- multicast ------------------------------------------------------------------------------- */

/* An interface by name, index or address; nothing or 0: the system chooses. */
static int get_interface(lua_State *L, int idx, unsigned *out)
{
  qn_addr_t a;
  *out = 0;
  if (lua_isnoneornil(L, idx)) {
    return 0;
  }
  if (lua_isinteger(L, idx)) {
    lua_Integer i = lua_tointeger(L, idx);
    luaL_argcheck(L, i >= 0 && i <= INT32_MAX, idx, "an interface index must not be negative");
    *out = (unsigned)i;
    return 0;
  }
  if (qnl_to_address(L, idx, 0, QN_FAMILY_ANY, &a)) {
    int index = qn_addr_is_any(&a) ? 0 : qn_udp_interface_of(&a);
    *out = index > 0 ? (unsigned)index : 0;
    return index < 0 ? index : 0;
  }
  if (lua_istable(L, idx) || lua_isuserdata(L, idx)) { /* a qn.interface */
    if (lua_getfield(L, idx, "index") == LUA_TNUMBER) {
      *out = (unsigned)lua_tointeger(L, -1);
    }
    luaL_argcheck(L, *out != 0, idx, "an interface expected");
    lua_pop(L, 1);
    return 0;
  }
  size_t size;
  const char *name = luaL_checklstring(L, idx, &size);
  *out = strlen(name) == size ? if_nametoindex(name) : 0;
  return *out == 0 ? -ENODEV : 0;
}

static bool is_group(const qn_addr_t *a)
{
  return qn_addr_family(a) == QN_FAMILY_IPV4
             ? (ntohl(a->u.in4.sin_addr.s_addr) >> 28) == 14
             : qn_addr_family(a) == QN_FAMILY_IPV6 && IN6_IS_ADDR_MULTICAST(&a->u.in6.sin6_addr);
}

/* join / leave (magic 1) (group [, interface [, source]]) -> true | nil, err */
static int udp_join(lua_State *L)
{
  const qnl_udp_t *u = qnl_check_udp(L, 1);
  const char *op = qnl_magic(L) == 1 ? "leave" : "join";
  bool specific = !lua_isnoneornil(L, 4);
  qn_addr_t group, source;
  unsigned interface;
  qnl_check_address(L, 2, 0, QN_FAMILY_ANY, &group);
  luaL_argcheck(L, is_group(&group), 2, "a multicast address is expected");
  int rc = get_interface(L, 3, &interface);
  if (specific) {
    qnl_check_address(L, 4, 0, QN_FAMILY_ANY, &source);
    luaL_argcheck(L, qn_addr_family(&source) == qn_addr_family(&group), 4,
                  "the source must be of the family of the group");
  }
  if (rc == 0) {
    rc = (qnl_magic(L) == 1 ? qn_udp_leave : qn_udp_join)(u->u, &group, interface,
                                                          specific ? &source : NULL);
  }
  if (rc == QN_E_NOT_CONNECTED) {
    return luaL_error(L, "%s: the socket is not bound", op);
  }
  if (rc < 0) {
    return qnl_udp_fail(L, u, rc, op, &group);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* multicast_interface() -> index, name | nil: the system chooses; (interface) -> true | nil, err */
static int udp_multicast_interface(lua_State *L)
{
  const qnl_udp_t *u = qnl_check_udp(L, 1);
  unsigned interface = 0;
  char name[IF_NAMESIZE];
  int rc;
  if (lua_isnoneornil(L, 2)) {
    rc = qn_udp_multicast_interface(u->u, &interface);
    if (rc == 0 && interface == 0) {
      lua_pushnil(L);
      return 1;
    }
    if (rc == 0) {
      lua_pushinteger(L, interface);
      lua_pushstring(L, if_indextoname(interface, name));
      return 2;
    }
  } else {
    rc = get_interface(L, 2, &interface);
    rc = rc == 0 ? qn_udp_set_multicast_interface(u->u, interface) : rc;
  }
  if (rc < 0) {
    return qnl_udp_fail(L, u, rc, "multicast_interface", NULL);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- options and facts ----------------------------------------------------------------------- */

/* option(name) -> integer; option(name, integer | boolean) -> true | nil, err */
static int udp_option(lua_State *L)
{
  const qnl_udp_t *u = qnl_check_udp(L, 1);
  const char *name = luaL_checkstring(L, 2);
  int64_t value = 0;
  if (qn_sockopt_kind(name) == QN_SOCKOPT_UNKNOWN) {
    return qnl_unknown_sockopt(L, name);
  }
  bool asks = lua_isnoneornil(L, 3);
  int rc;
  if (asks) {
    rc = qn_udp_get_option(u->u, name, &value);
  } else {
    value = lua_isboolean(L, 3) ? lua_toboolean(L, 3) : luaL_checkinteger(L, 3);
    rc = qn_udp_set_option(u->u, name, value);
    if (rc == QN_E_INVALID || rc == -EINVAL) {
      return luaL_argerror(L, 3, lua_pushfstring(L, "bad value for socket option '%s'", name));
    }
  }
  if (rc < 0) {
    return qnl_udp_fail(L, u, rc, "option", NULL);
  }
  if (asks) {
    lua_pushinteger(L, (lua_Integer)value);
  } else {
    lua_pushboolean(L, 1);
  }
  return 1;
}

enum { A_LOCAL_ADDRESS, A_LOCAL_PORT, A_PEER_ADDRESS, A_PEER_PORT };

/* nil while there is none. */
static int udp_address(lua_State *L)
{
  const qnl_udp_t *u = qnl_check_udp(L, 1);
  int what = qnl_magic(L);
  qn_addr_t a;
  int rc = what <= A_LOCAL_PORT ? qn_udp_local_addr(u->u, &a) : qn_udp_peer_addr(u->u, &a);
  if (rc < 0) {
    lua_pushnil(L);
  } else if (what == A_LOCAL_PORT || what == A_PEER_PORT) {
    lua_pushinteger(L, qn_addr_port(&a));
  } else {
    qnl_push_address(L, qnl_G(L), &a);
  }
  return 1;
}

static int udp_descriptor(lua_State *L)
{
  int fd = qn_udp_fd(qnl_check_udp(L, 1)->u);
  if (fd < 0) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, fd);
  }
  return 1;
}

static int udp_id(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)qn_udp_id(qnl_check_udp(L, 1)->u));
  return 1;
}

static int udp_stats(lua_State *L)
{
  qn_udp_stats_t s;
  qn_udp_get_stats(qnl_check_udp(L, 1)->u, &s);
  const struct {
    const char *name;
    uint64_t value;
  } fields[] = {{"received", s.received},  {"received_bytes", s.received_bytes},
                {"sent", s.sent},          {"sent_bytes", s.sent_bytes},
                {"dropped", s.dropped},    {"truncated", s.truncated},
                {"system_calls", s.calls}, {"queued", s.queued}};
  lua_createtable(L, 0, (int)(sizeof fields / sizeof *fields));
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushinteger(L, (lua_Integer)fields[i].value);
    lua_setfield(L, -2, fields[i].name);
  }
  return 1;
}

const qnl_method_t qnl_udp_fact_methods[] = {{"join", udp_join, 0},
                                             {"leave", udp_join, 1},
                                             {"multicast_interface", udp_multicast_interface, 0},
                                             {"option", udp_option, 0},
                                             {"local_address", udp_address, A_LOCAL_ADDRESS},
                                             {"local_port", udp_address, A_LOCAL_PORT},
                                             {"peer_address", udp_address, A_PEER_ADDRESS},
                                             {"peer_port", udp_address, A_PEER_PORT},
                                             {"id", udp_id, 0},
                                             {"descriptor", udp_descriptor, 0},
                                             {"stats", udp_stats, 0},
                                             {NULL, NULL, 0}};

/* b_datagram.c: qn.Datagram: what came with a datagram, as a value with read-only fields.
 *
 * It holds the raw addresses; Lua values are made when a field is looked at. It keeps its socket,
 * so that it can be answered. Must not have a finalizer: a server makes one per datagram.
 */
#include "b_udp.h"

#include <string.h>

qnl_datagram_t *qnl_push_datagram(lua_State *L, int socket_idx, const qn_udp_info_t *info)
{
  qnl_datagram_t *d = lua_newuserdatauv(L, sizeof *d, 2);
  d->box = (qnl_box_t){&qnl_class_datagram, d};
  d->info = *info;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_class_datagram);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, socket_idx);
  lua_setiuservalue(L, -2, QNL_DATAGRAM_SOCKET);
  return d;
}

/* The address that it was sent to: told with it, or that of the socket if it has one only. */
static bool destination(lua_State *L, const qnl_datagram_t *d, qn_addr_t *out)
{
  qn_addr_t local;
  lua_getiuservalue(L, 1, QNL_DATAGRAM_SOCKET);
  const qnl_udp_t *s = qnl_test(L, -1, &qnl_class_udp);
  lua_pop(L, 1);
  bool known = s != NULL && s->u != NULL && qn_udp_local_addr(s->u, &local) == 0;
  if (!d->info.has_to) {
    *out = local;
    return known && !qn_addr_is_any(&local);
  }
  *out = (qn_addr_t){.size = sizeof out->u.in6};
  out->u.in6.sin6_family = AF_INET6;
  out->u.in6.sin6_addr = d->info.to;
  if (IN6_IS_ADDR_LINKLOCAL(&d->info.to)) {
    out->u.in6.sin6_scope_id = d->info.interface;
  }
  qn_addr_unmap(out);
  qn_addr_set_port(out, known ? qn_addr_port(&local) : 0);
  return true;
}

enum field {
  F_NONE,
  F_DATA,
  F_ADDRESS,
  F_PORT,
  F_DESTINATION,
  F_DESTINATION_PORT,
  F_INTERFACE_INDEX,
  F_HOP_LIMIT,
  F_TRUNCATED,
  F_SIZE
};

static enum field field_of(const char *key)
{
  static const struct {
    const char *name;
    enum field field;
  } names[] = {{"address", F_ADDRESS},
               {"port", F_PORT},
               {"data", F_DATA},
               {"truncated", F_TRUNCATED},
               {"size", F_SIZE},
               {"destination", F_DESTINATION},
               {"destination_port", F_DESTINATION_PORT},
               {"interface_index", F_INTERFACE_INDEX},
               {"hop_limit", F_HOP_LIMIT}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(names[i].name, key) == 0) {
      return names[i].field;
    }
  }
  return F_NONE;
}

static void push_field(lua_State *L, const qnl_datagram_t *d, enum field field)
{
  qn_addr_t a;
  switch (field) {
  case F_ADDRESS:
    qn_udp_end_addr(&d->info.from, &a);
    qnl_push_address(L, qnl_G(L), &a);
    return;
  case F_PORT:
    qn_udp_end_addr(&d->info.from, &a);
    lua_pushinteger(L, qn_addr_port(&a));
    return;
  case F_DATA: lua_getiuservalue(L, 1, QNL_DATAGRAM_DATA); return;
  case F_TRUNCATED: lua_pushboolean(L, d->info.truncated); return;
  case F_SIZE: lua_pushinteger(L, d->info.size); return;
  case F_DESTINATION:
    if (destination(L, d, &a)) {
      qnl_push_address(L, qnl_G(L), &a);
      return;
    }
    break;
  case F_DESTINATION_PORT:
    (void)destination(L, d, &a);
    if (qn_addr_port(&a) != 0) {
      lua_pushinteger(L, qn_addr_port(&a));
      return;
    }
    break;
  case F_INTERFACE_INDEX:
    if (d->info.interface != 0) {
      lua_pushinteger(L, d->info.interface);
      return;
    }
    break;
  case F_HOP_LIMIT:
    if (d->info.hop_limit >= 0) {
      lua_pushinteger(L, d->info.hop_limit);
      return;
    }
    break;
  default: break;
  }
  lua_pushnil(L);
}

/* Upvalue 2: the method table. [1] and [2] are what recv returns: data, datagram. */
static int datagram_index(lua_State *L)
{
  const qnl_datagram_t *d = qnl_check(L, 1, &qnl_class_datagram);
  if (lua_type(L, 2) == LUA_TSTRING) {
    enum field field = field_of(lua_tostring(L, 2));
    if (field != F_NONE) {
      push_field(L, d, field);
      return 1;
    }
  } else if (lua_isinteger(L, 2)) {
    lua_Integer i = lua_tointeger(L, 2);
    if (i == 1) {
      push_field(L, d, F_DATA);
    } else if (i == 2) {
      lua_pushvalue(L, 1);
    } else {
      lua_pushnil(L);
    }
    return 1;
  }
  lua_settop(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  return 1;
}

static int datagram_tostring(lua_State *L)
{
  const qnl_datagram_t *d = qnl_check(L, 1, &qnl_class_datagram);
  char text[QN_ADDR_TEXT + 8];
  qn_addr_t a;
  qn_udp_end_addr(&d->info.from, &a);
  lua_pushlstring(L, text, qn_addr_text(&a, text, sizeof text));
  return 1;
}

static const qnl_method_t methods[] = {{"reply", qnl_datagram_reply, 0}, {NULL, NULL, 0}};
static const qnl_method_t meta[] = {{"__tostring", datagram_tostring, 0}, {NULL, NULL, 0}};
qnl_class_t qnl_class_datagram = {
    .name = "qn.Datagram", .methods = methods, .meta = meta, .index = datagram_index};

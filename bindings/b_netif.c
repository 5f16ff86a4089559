/* b_netif.c: the interfaces of this machine as plain tables; lua/qn/interfaces.lua seals them.
 *
 * Each call takes a snapshot and copies it; nothing of C stays. Invariant: the snapshot is freed
 * also when Lua runs out of memory while it is copied.
 */
#include "qn/netif.h"
#include "qnl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char key_snapshot = 0;

static int snapshot_gc(lua_State *L)
{
  qn_netifs_free(lua_touserdata(L, 1));
  return 0;
}

/* An empty snapshot that frees itself, on top of the stack. */
static qn_netifs_t *push_snapshot(lua_State *L)
{
  qn_netifs_t *list = lua_newuserdatauv(L, sizeof *list, 0);
  memset(list, 0, sizeof *list);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key_snapshot);
  lua_setmetatable(L, -2);
  return list;
}

static void set_address(lua_State *L, qnl_state_t *G, const char *name, const qn_addr_t *a)
{
  if (a->size != 0) {
    qnl_push_address(L, G, a);
    lua_setfield(L, -2, name);
  }
}

static void set_bool(lua_State *L, const char *name, bool value)
{
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

static void set_lifetime(lua_State *L, const char *name, uint32_t seconds)
{
  lua_pushnumber(L, seconds == QN_NETIF_FOREVER ? HUGE_VAL : (lua_Number)seconds);
  lua_setfield(L, -2, name);
}

static void push_entry(lua_State *L, qnl_state_t *G, const qn_netif_entry_t *entry)
{
  lua_createtable(L, 0, 12);
  set_address(L, G, "ip", &entry->ip);
  set_address(L, G, "netmask", &entry->netmask);
  set_address(L, G, "broadcast", &entry->broadcast);
  set_address(L, G, "peer", &entry->peer);
  lua_pushinteger(L, entry->prefix_length);
  lua_setfield(L, -2, "prefix_length");
  set_lifetime(L, "validity_lifetime", entry->valid);
  set_lifetime(L, "preferred_lifetime", entry->preferred);
  set_bool(L, "is_lifetime_known", entry->lifetime_known);
  set_bool(L, "is_permanent", entry->valid == QN_NETIF_FOREVER);
  set_bool(L, "is_temporary", entry->temporary);
  set_bool(L, "is_deprecated", entry->deprecated);
  set_bool(L, "is_tentative", entry->tentative);
  set_bool(L, "is_dns_eligible", entry->dns_eligible);
}

static void push_hardware(lua_State *L, const qn_netif_t *netif)
{
  char text[3 * QN_NETIF_HARDWARE + 1] = "";
  for (size_t i = 0; i < netif->hardware_size; i++) {
    snprintf(text + (i > 0 ? 3 * i - 1 : 0), 4, i > 0 ? ":%02X" : "%02X", netif->hardware[i]);
  }
  lua_pushstring(L, text);
}

static void push_flags(lua_State *L, unsigned flags)
{
  static const struct {
    const char *name;
    unsigned bit;
  } names[] = {{"up", QN_NETIF_UP},
               {"running", QN_NETIF_RUNNING},
               {"broadcast", QN_NETIF_BROADCAST},
               {"loopback", QN_NETIF_LOOPBACK},
               {"point_to_point", QN_NETIF_POINT_TO_POINT},
               {"multicast", QN_NETIF_MULTICAST}};
  lua_createtable(L, 0, (int)(sizeof names / sizeof *names));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    set_bool(L, names[i].name, (flags & names[i].bit) != 0);
  }
}

static void push_netif(lua_State *L, qnl_state_t *G, const qn_netif_t *netif)
{
  lua_createtable(L, 0, 10);
  lua_pushstring(L, netif->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, netif->alias[0] != '\0' ? netif->alias : netif->name);
  lua_setfield(L, -2, "human_name");
  lua_pushinteger(L, netif->index);
  lua_setfield(L, -2, "index");
  lua_pushinteger(L, netif->mtu);
  lua_setfield(L, -2, "mtu");
  lua_pushstring(L, qn_netif_type_name(netif->type));
  lua_setfield(L, -2, "type");
  push_hardware(L, netif);
  lua_setfield(L, -2, "hardware_address");
  push_flags(L, netif->flags);
  lua_setfield(L, -2, "flags");
  lua_createtable(L, (int)netif->n_entries, 0);
  for (size_t i = 0; i < netif->n_entries; i++) {
    push_entry(L, G, &netif->entries[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "entries");
}

/* core.interfaces() -> list of tables | nil, err */
static int core_interfaces(lua_State *L)
{
  qnl_state_t *G = qnl_G_raw(L);
  qn_netifs_t *list = push_snapshot(L);
  int rc = qn_netifs_read(list);
  if (rc < 0) {
    return qnl_fail(L, rc, "interfaces");
  }
  lua_createtable(L, (int)list->n, 0);
  for (size_t i = 0; i < list->n; i++) {
    push_netif(L, G, &list->v[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  qn_netifs_free(list);
  return 1;
}

/* core.interface_name(index) -> string | nil, err */
static int core_interface_name(lua_State *L)
{
  char name[QN_NETIF_NAME];
  lua_Integer index = luaL_checkinteger(L, 1);
  int rc = qn_netif_name(index > 0 && index <= UINT32_MAX ? (uint32_t)index : 0, name);
  if (rc < 0) {
    return qnl_fail(L, rc, "interfaces");
  }
  lua_pushstring(L, name);
  return 1;
}

/* core.interface_index(name) -> integer | nil, err */
static int core_interface_index(lua_State *L)
{
  size_t size;
  uint32_t index;
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *name = lua_tolstring(L, 1, &size);
  int rc = qn_netif_index(strlen(name) == size ? name : "", &index);
  if (rc < 0) {
    return qnl_fail(L, rc, "interfaces");
  }
  lua_pushinteger(L, index);
  return 1;
}

void qnl_open_netif(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"interfaces", core_interfaces, 0},
                                           {"interface_name", core_interface_name, 0},
                                           {"interface_index", core_interface_index, 0},
                                           {NULL, NULL, 0}};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, snapshot_gc);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_snapshot);
  qnl_setfuncs(L, G, functions);
}

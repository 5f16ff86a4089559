/* b_tls_psk.c: shared keys of TLS configurations: lists of them, and functions that choose.
 *
 * Called by the switchboard of b_tls_config.c. A function runs in the middle of a handshake and
 * must not wait (b_tls_choice.c); what it raises is reported and counts as "none". Must not leave
 * keys behind in memory of ours.
 */
#include "b_tls.h"

#include <string.h>

typedef struct choice {
  qnl_tls_config_t *u;
  const char *text; /* hint or identity; NULL */
  bool server;
  qn_tls_psk_t *out;
  bool found;
} choice_t;

static const char *bytes_at(lua_State *L, int idx, const char *what, size_t least, size_t most,
                            size_t *size)
{
  const char *bytes = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, size) : NULL;
  if (bytes == NULL || *size < least || *size > most) {
    luaL_error(L, "the %s of a shared key must be a string of %d to %d bytes", what, (int)least,
               (int)most);
  }
  return bytes;
}

/* Protected. Client: (hint, "client") -> identity, key; server: (identity, "server") -> key; nil:
 * none. */
static int choose(lua_State *L)
{
  choice_t *c = lua_touserdata(L, 1);
  size_t size = 0;
  qnl_tls_push_choice(L, c->u, "psk");
  lua_pushstring(L, c->text);
  lua_pushstring(L, c->server ? "server" : "client");
  lua_call(L, 2, 2);
  if (!lua_toboolean(L, -2)) {
    return 0;
  }
  int key = c->server ? -2 : -1;
  if (!c->server) {
    const char *id = bytes_at(L, -2, "identity", 1, QN_TLS_PSK_IDENTITY_MAX, &size);
    if (memchr(id, 0, size) != NULL) {
      return luaL_error(L, "the identity of a shared key must not hold a zero byte");
    }
    memcpy(c->out->identity, id, size);
    c->out->identity[size] = 0;
  }
  const char *bytes = bytes_at(L, key, "key", QN_TLS_PSK_KEY_MIN, QN_TLS_PSK_KEY_MAX, &size);
  memcpy(c->out->key, bytes, size);
  c->out->key_size = size;
  c->found = true;
  return 0;
}

static bool on_psk(qn_tls_t *t, const char *text, qn_tls_psk_t *out, void *arg)
{
  choice_t c = {.u = arg, .text = text, .server = qn_tls_is_server(t), .out = out};
  return qnl_tls_ask_choice(c.u->G, choose, &c, "the choice of psk") && c.found;
}

/* core.tls_set(config, "psk", function | {{identity, key} ...}) */
int qnl_tls_set_psk(lua_State *L, qnl_tls_config_t *u)
{
  if (lua_isfunction(L, 3)) {
    qnl_tls_keep_choice(L, u, "psk");
    return qn_tls_config_set_psk_choice(u->c, on_psk, u);
  }
  luaL_checktype(L, 3, LUA_TTABLE);
  int rc = 0;
  for (lua_Integer i = 1; rc == 0 && lua_rawgeti(L, 3, i) == LUA_TTABLE; i++) {
    qn_slice_t key = {0};
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    key.data = (const uint8_t *)luaL_checklstring(L, -1, &key.size);
    rc = qn_tls_config_add_psk(u->c, luaL_checkstring(L, -2), key);
    lua_settop(L, 6);
  }
  return rc;
}

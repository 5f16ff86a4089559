/* b_key_make.c: new keys, and the lists of curves and cipher suites.
 *
 * Called by lua/qn/tls/key.lua, which checks options and makes values of the lists. Keys are made
 * in the thread pool; a task that is cancelled meanwhile leaves nothing behind.
 */
#include "b_key.h"

#include "sched.h"

#include <errno.h>

static void abandon(qnl_task_t *t) { qn_key_release(qn_key_made(&t->op)); }

static int push_made(lua_State *L, qnl_task_t *t, int64_t result)
{
  qn_key_t *k = qn_key_made(&t->op);
  if (result < 0 || k == NULL) {
    qn_key_release(k);
    return qnl_fail(L, result < 0 ? (int)result : -ENOMEM, "generate_key");
  }
  qnl_box_t *box = t->wait.obj;
  box->obj = k;
  lua_settop(L, (int)t->wait.a);
  return 1;
}

/* core.generate_key(type, curve | nil, bits) ! -> key | nil, err */
static int core_generate_key(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  const char *type = luaL_checkstring(L, 1), *curve = luaL_optstring(L, 2, NULL);
  lua_Integer bits = luaL_checkinteger(L, 3);
  QNL_ENTER(L, G, t, core_generate_key, "generate_key");
  t->wait.obj = qnl_push_empty(L, &qnl_class_key);
  t->wait.a = lua_gettop(L);
  int rc = qn_key_make(qnl_loop(G), &t->op, type, curve, (int)bits);
  if (rc != QN_AGAIN) {
    return qnl_fail(L, rc, "generate_key");
  }
  t->wait.abandon = abandon;
  return qnl_wait(L, t, push_made);
}

static void set_string(lua_State *L, const char *name, const char *value)
{
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_boolean(lua_State *L, const char *name, bool value)
{
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

/* core.curves() -> list of tables | nil, err */
static int core_curves(lua_State *L)
{
  enum { MOST = 130 };
  qn_curve_t *list = lua_newuserdatauv(L, MOST * sizeof *list, 0);
  int n = qn_curves(list, MOST);
  if (n < 0) {
    return qnl_fail(L, n, "curves");
  }
  n = n < MOST ? n : MOST;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_createtable(L, 0, 5);
    set_string(L, "name", list[i].name);
    set_string(L, "short_name", list[i].short_name);
    set_string(L, "long_name", list[i].long_name);
    set_integer(L, "bits", list[i].bits);
    set_boolean(L, "is_tls", list[i].is_tls);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static void push_cipher(lua_State *L, const qn_cipher_t *c)
{
  lua_createtable(L, 0, 11);
  set_string(L, "name", c->name);
  set_string(L, "standard_name", c->standard_name);
  set_string(L, "protocol", c->protocol);
  set_string(L, "key_exchange", c->key_exchange);
  set_string(L, "authentication", c->authentication);
  set_string(L, "encryption", c->encryption);
  set_string(L, "mac", c->mac);
  set_integer(L, "id", c->id);
  set_integer(L, "bits", c->bits);
  set_integer(L, "strength", c->strength);
  set_boolean(L, "aead", c->aead);
}

/* core.ciphers([filter]) -> list of tables | nil, err */
static int core_ciphers(lua_State *L)
{
  enum { MOST = 512 };
  const char *filter = luaL_optstring(L, 1, NULL);
  qn_cipher_t *list = lua_newuserdatauv(L, MOST * sizeof *list, 0);
  int n = qn_ciphers(filter, list, MOST);
  if (n < 0) {
    return qnl_fail_info(
        L, &(qnl_errinfo_t){.code = n,
                            .op = "ciphers",
                            .message = n == QN_E_INVALID ? "the filter names no cipher" : NULL});
  }
  n = n < MOST ? n : MOST;
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    push_cipher(L, &list[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* core.cipher(id) -> table | nil, err */
static int core_cipher(lua_State *L)
{
  lua_Integer id = luaL_checkinteger(L, 1);
  luaL_argcheck(L, id >= 0 && id <= 0xffff, 1, "the number of a cipher is from 0 to 65535");
  qn_cipher_t c;
  int rc = qn_cipher_find((uint16_t)id, &c);
  if (rc < 0) {
    return qnl_fail(L, rc, "cipher");
  }
  push_cipher(L, &c);
  return 1;
}

void qnl_open_key_make(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"generate_key", core_generate_key, 0},
                                           {"curves", core_curves, 0},
                                           {"ciphers", core_ciphers, 0},
                                           {"cipher", core_cipher, 0},
                                           {NULL, NULL, 0}};
  qnl_setfuncs(L, G, functions);
}

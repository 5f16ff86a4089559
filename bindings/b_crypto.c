/* b_crypto.c: the core of qn.crypto: digests, random numbers, keys from passwords, text forms.
 *
 * Called by lua/qn/crypto.lua, which reads streams and makes text of results. Names and limits are
 * checked here, before anything is started, and errors name the argument. Secrets on the C stack
 * are overwritten; Lua strings cannot be, which the guide says. Must not put data into errors.
 */
#include "b_key.h"
#include "b_stream.h"

#include "qn/crypto.h"

#include <errno.h>
#include <string.h>

static qnl_class_t class_hasher;

typedef struct hasher {
  qnl_box_t box; /* obj = this struct, from the beginning */
  qn_hasher_t *h;
  bool over; /* final was called */
} hasher_t;

/* --- arguments ---------------------------------------------------------------------------------
 */

/* A string or a qn.Buffer. */
static qn_slice_t check_bytes(lua_State *L, int idx)
{
  qnl_buffer_t *b = qnl_test_buffer(L, idx);
  if (b != NULL) {
    return (qn_slice_t){qn_buf_data(&b->b), qn_buf_size(&b->b)};
  }
  qn_slice_t s;
  s.data = (const uint8_t *)luaL_checklstring(L, idx, &s.size);
  return s;
}

const char *qnl_check_digest(lua_State *L, int idx)
{
  size_t size;
  const char *name = luaL_checklstring(L, idx, &size);
  luaL_argcheck(L, strlen(name) == size, idx, "the name of a digest must not hold zeros");
  if (qn_digest_find(name) == NULL) {
    const char *names[64];
    int n = 0;
    for (; n < qn_digest_count && n < 64; n++) {
      names[n] = qn_digests[n].name;
    }
    const char *near = qnl_nearest(name, names, n);
    luaL_argerror(L, idx,
                  near != NULL
                      ? lua_pushfstring(L, "unknown digest '%s' (did you mean '%s'?)", name, near)
                      : lua_pushfstring(L, "unknown digest '%s'", name));
  }
  return name;
}

/* core.is_bytes(v) -> whether it is a qn.Buffer */
static int core_is_bytes(lua_State *L)
{
  lua_pushboolean(L, qnl_test_buffer(L, 1) != NULL);
  return 1;
}

/* --- digests -----------------------------------------------------------------------------------
 */

static int push_digest(lua_State *L, uint8_t bytes[QN_DIGEST_MAX], int rc, const char *op)
{
  if (rc < 0) {
    return qnl_fail(L, rc, op);
  }
  lua_pushlstring(L, (const char *)bytes, (size_t)rc);
  qn_secret_clean(bytes, QN_DIGEST_MAX);
  return 1;
}

/* core.digest(name, data) -> bytes */
static int core_digest(lua_State *L)
{
  uint8_t out[QN_DIGEST_MAX];
  const char *name = qnl_check_digest(L, 1);
  qn_slice_t data = check_bytes(L, 2);
  return push_digest(L, out, qn_digest(name, data.data, data.size, out), "digest");
}

/* core.hmac(name, key, data) -> bytes */
static int core_hmac(lua_State *L)
{
  uint8_t out[QN_DIGEST_MAX];
  const char *name = qnl_check_digest(L, 1);
  qn_slice_t key = check_bytes(L, 2), data = check_bytes(L, 3);
  int rc = qn_hmac(name, key.data, key.size, data.data, data.size, out);
  return push_digest(L, out, rc, "hmac");
}

/* core.digests() -> list of {name, size, block_size} */
static int core_digests(lua_State *L)
{
  lua_createtable(L, qn_digest_count, 0);
  for (int i = 0, n = 0; i < qn_digest_count; i++) {
    if (qn_digest_find(qn_digests[i].name) != NULL) {
      lua_createtable(L, 0, 3);
      lua_pushstring(L, qn_digests[i].name);
      lua_setfield(L, -2, "name");
      lua_pushinteger(L, qn_digests[i].size);
      lua_setfield(L, -2, "size");
      lua_pushinteger(L, qn_digests[i].block);
      lua_setfield(L, -2, "block_size");
      lua_rawseti(L, -2, ++n);
    }
  }
  return 1;
}

/* --- in pieces ---------------------------------------------------------------------------------
 */

static hasher_t *check_hasher(lua_State *L) { return qnl_check(L, 1, &class_hasher); }

static hasher_t *push_hasher(lua_State *L)
{
  qnl_weigh(L, &class_hasher);
  hasher_t *u = lua_newuserdatauv(L, sizeof *u, 0);
  *u = (hasher_t){.box = {&class_hasher, u}};
  qnl_set_metatable(L, &class_hasher);
  return u;
}

static int checked(lua_State *L, int rc, const char *op)
{
  return rc < 0 ? luaL_error(L, "%s: %s", op, qn_err_text(rc)) : 0;
}

/* core.hasher(name [, key]) -> hasher; with a key it makes an HMAC. */
static int core_hasher(lua_State *L)
{
  const char *name = qnl_check_digest(L, 1);
  bool keyed = !lua_isnoneornil(L, 2);
  qn_slice_t key = keyed ? check_bytes(L, 2) : (qn_slice_t){NULL, 0};
  hasher_t *u = push_hasher(L);
  checked(L,
          keyed ? qn_hasher_new_hmac(name, key.data, key.size, &u->h) : qn_hasher_new(name, &u->h),
          "hasher");
  return 1;
}

static hasher_t *check_unfinished(lua_State *L, const char *op)
{
  hasher_t *u = check_hasher(L);
  if (u->over) {
    luaL_error(L, "%s: the hasher is finished (reset it to begin again)", op);
  }
  return u;
}

static int hasher_update(lua_State *L)
{
  hasher_t *u = check_unfinished(L, "update");
  int n = lua_gettop(L);
  luaL_checkany(L, 2);
  for (int i = 2; i <= n; i++) {
    check_bytes(L, i);
  }
  for (int i = 2; i <= n; i++) {
    qn_slice_t data = check_bytes(L, i);
    checked(L, qn_hasher_update(u->h, data.data, data.size), "update");
  }
  lua_settop(L, 1);
  return 1;
}

/* hasher:_final() -> bytes */
static int hasher_final(lua_State *L)
{
  uint8_t out[QN_DIGEST_MAX];
  hasher_t *u = check_unfinished(L, "final");
  int rc = qn_hasher_final(u->h, out);
  u->over = true;
  checked(L, rc, "final");
  return push_digest(L, out, rc, "final");
}

static int hasher_reset(lua_State *L)
{
  hasher_t *u = check_hasher(L);
  checked(L, qn_hasher_reset(u->h), "reset");
  u->over = false;
  lua_settop(L, 1);
  return 1;
}

static int hasher_copy(lua_State *L)
{
  hasher_t *u = check_unfinished(L, "copy"), *c = push_hasher(L);
  checked(L, qn_hasher_copy(u->h, &c->h), "copy");
  return 1;
}

static int hasher_digest(lua_State *L)
{
  lua_pushstring(L, qn_hasher_info(check_hasher(L)->h)->name);
  return 1;
}

static int hasher_size(lua_State *L)
{
  lua_pushinteger(L, qn_hasher_info(check_hasher(L)->h)->size);
  return 1;
}

static int hasher_tostring(lua_State *L)
{
  const hasher_t *u = check_hasher(L);
  lua_pushfstring(L, "qn.Hasher: %s%s", u->h != NULL ? qn_hasher_info(u->h)->name : "none",
                  u->over ? " (finished)" : "");
  return 1;
}

static void collect(qnl_state_t *G, void *obj)
{
  hasher_t *u = obj;
  (void)G;
  qn_hasher_free(u->h);
  u->h = NULL;
}

/* --- random, comparing -------------------------------------------------------------------------
 */

/* core.random(n) -> bytes */
static int core_random(lua_State *L)
{
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= (lua_Integer)QN_RANDOM_MAX, 1,
                "the number of bytes is from 0 to 16777216");
  luaL_Buffer b;
  char *p = luaL_buffinitsize(L, &b, (size_t)n);
  checked(L, qn_random(p, (size_t)n), "random");
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

/* core.random_integer(lo, hi) -> integer */
static int core_random_integer(lua_State *L)
{
  lua_Integer lo = luaL_checkinteger(L, 1), hi = luaL_checkinteger(L, 2);
  int64_t n = 0;
  luaL_argcheck(L, lo <= hi, 2, "the upper bound is below the lower one");
  checked(L, qn_random_integer(lo, hi, &n), "random_integer");
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

/* core.secret_equal(a, b) -> boolean */
static int core_secret_equal(lua_State *L)
{
  qn_slice_t a = check_bytes(L, 1), b = check_bytes(L, 2);
  lua_pushboolean(L, a.size == b.size && qn_secret_equal(a.data, b.data, a.size));
  return 1;
}

/* --- keys from secrets -------------------------------------------------------------------------
 */

static int push_derived(lua_State *L, qnl_task_t *t, int64_t result)
{
  if (result < 0) {
    qn_derive_end(&t->op);
    return qnl_fail(L, (int)result, t->wait.op);
  }
  qn_slice_t s = qn_derived(&t->op);
  char *copy = lua_newuserdatauv(L, s.size, 0); /* may raise: the task's end ends the request */
  memcpy(copy, s.data, s.size);
  qn_derive_end(&t->op);
  lua_pushlstring(L, copy, s.size);
  qn_secret_clean(copy, s.size);
  return 1;
}

static void abandon_derive(qnl_task_t *t) { qn_derive_end(&t->op); }

static lua_Integer check_positive(lua_State *L, int idx, const char *what)
{
  lua_Integer n = luaL_checkinteger(L, idx);
  luaL_argcheck(L, n >= 1, idx, lua_pushfstring(L, "%s must be at least 1", what));
  return n;
}

static int derive(lua_State *L, const qn_derive_t *d, lua_CFunction again, const char *op)
{
  qnl_state_t *G = qnl_G(L);
  int code;
  const char *wrong = qn_derive_check(d, &code);
  if (wrong != NULL) {
    return luaL_error(L, "%s: %s", op, wrong);
  }
  QNL_ENTER(L, G, t, again, op);
  int rc = qn_derive_start(qnl_loop(G), &t->op, d);
  if (rc != QN_AGAIN) {
    return qnl_fail(L, rc, op);
  }
  t->wait.abandon = abandon_derive;
  return qnl_wait(L, t, push_derived);
}

/* core.pbkdf1(digest, password, salt, iterations, size) ! and core.pbkdf2 -> bytes | nil, err */
static int core_pbkdf(lua_State *L)
{
  qn_derive_t d = {.kind = qnl_magic(L) == 1 ? QN_PBKDF1 : QN_PBKDF2};
  d.digest = qnl_check_digest(L, 1);
  d.password = check_bytes(L, 2);
  d.salt = check_bytes(L, 3);
  d.iterations = (uint64_t)check_positive(L, 4, "iterations");
  d.size = (size_t)check_positive(L, 5, "the number of bytes");
  return derive(L, &d, core_pbkdf, d.kind == QN_PBKDF1 ? "pbkdf1" : "pbkdf2");
}

/* core.scrypt(password, salt, size, n, r, p) ! -> bytes | nil, err */
static int core_scrypt(lua_State *L)
{
  qn_derive_t d = {.kind = QN_SCRYPT};
  d.password = check_bytes(L, 1);
  d.salt = check_bytes(L, 2);
  d.size = (size_t)check_positive(L, 3, "the number of bytes");
  d.n = (uint64_t)check_positive(L, 4, "n");
  lua_Integer r = check_positive(L, 5, "r"), p = check_positive(L, 6, "p");
  d.r = r > INT32_MAX ? INT32_MAX : (uint32_t)r; /* refused all the same */
  d.p = p > INT32_MAX ? INT32_MAX : (uint32_t)p;
  return derive(L, &d, core_scrypt, "scrypt");
}

/* core.hkdf(digest, key, salt, info, size) -> bytes */
static int core_hkdf(lua_State *L)
{
  const char *name = qnl_check_digest(L, 1);
  qn_slice_t key = check_bytes(L, 2), salt = check_bytes(L, 3), info = check_bytes(L, 4);
  lua_Integer size = check_positive(L, 5, "the number of bytes");
  lua_Integer most = 255 * (lua_Integer)qn_digest_find(name)->size;
  luaL_argcheck(L, size <= most, 5,
                lua_pushfstring(L, "at most %I bytes with this digest", (LUAI_UACINT)most));
  char *out = lua_newuserdatauv(L, (size_t)size, 0);
  int rc = qn_hkdf(name, key, salt, info, out, (size_t)size);
  if (rc < 0) {
    return qnl_fail(L, rc, "hkdf");
  }
  lua_pushlstring(L, out, (size_t)size);
  qn_secret_clean(out, (size_t)size);
  return 1;
}

/* --- text --------------------------------------------------------------------------------------
 */

/* core.to_hex(data) -> text */
static int core_to_hex(lua_State *L)
{
  qn_slice_t data = check_bytes(L, 1);
  luaL_Buffer b;
  qn_hex_encode(data.data, data.size, luaL_buffinitsize(L, &b, qn_hex_size(data.size)));
  luaL_pushresultsize(&b, qn_hex_size(data.size));
  return 1;
}

static const char *const variants[] = {"standard", "url", NULL};

/* core.to_base64(data [, "standard" | "url"]) -> text */
static int core_to_base64(lua_State *L)
{
  qn_slice_t data = check_bytes(L, 1);
  bool url = luaL_checkoption(L, 2, "standard", variants) == 1;
  size_t size = qn_base64_size(data.size, url);
  luaL_Buffer b;
  qn_base64_encode(data.data, data.size, url, luaL_buffinitsize(L, &b, size));
  luaL_pushresultsize(&b, size);
  return 1;
}

/* core.from_hex(text) and core.from_base64(text [, variant]) -> data | nil, err */
static int core_decode(lua_State *L)
{
  bool hex = qnl_magic(L) == 1;
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  bool url = !hex && luaL_checkoption(L, 2, "standard", variants) == 1;
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, hex ? size / 2 + 1 : size / 4 * 3 + 3);
  int64_t n = hex ? qn_hex_decode(text, size, out) : qn_base64_decode(text, size, url, out);
  if (n < 0) {
    const char *name = hex ? "hexadecimal" : "base64";
    lua_Integer at = (lua_Integer)(-1 - n);
    const char *message =
        (size_t)at >= size
            ? lua_pushfstring(L, "not %s: the text ends too early", name)
            : lua_pushfstring(L, "not %s: wrong at character %I", name, (LUAI_UACINT)at + 1);
    return qnl_fail_info(L, &(qnl_errinfo_t){.code = QN_E_INVALID,
                                             .op = hex ? "from_hex" : "from_base64",
                                             .message = message});
  }
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

static const qnl_method_t methods[] = {{"update", hasher_update, 0},
                                       {"_final", hasher_final, 0},
                                       {"reset", hasher_reset, 0},
                                       {"copy", hasher_copy, 0},
                                       {"digest", hasher_digest, 0},
                                       {"size", hasher_size, 0},
                                       {NULL, NULL, 0}};
static const qnl_method_t meta[] = {{"__tostring", hasher_tostring, 0}, {NULL, NULL, 0}};
static qnl_class_t class_hasher = {
    .name = "qn.Hasher", .methods = methods, .meta = meta, .collect = collect, .weight = 1};

/* core.hasher_methods() -> the table of methods, to which the Lua half adds its own. */
static int core_hasher_methods(lua_State *L)
{
  qnl_push_methods(L, &class_hasher);
  return 1;
}

void qnl_open_crypto(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"is_bytes", core_is_bytes, 0},
                                           {"digest", core_digest, 0},
                                           {"hmac", core_hmac, 0},
                                           {"digests", core_digests, 0},
                                           {"hasher", core_hasher, 0},
                                           {"hasher_methods", core_hasher_methods, 0},
                                           {"random", core_random, 0},
                                           {"random_integer", core_random_integer, 0},
                                           {"secret_equal", core_secret_equal, 0},
                                           {"pbkdf1", core_pbkdf, 1},
                                           {"pbkdf2", core_pbkdf, 2},
                                           {"scrypt", core_scrypt, 0},
                                           {"hkdf", core_hkdf, 0},
                                           {"to_hex", core_to_hex, 0},
                                           {"to_base64", core_to_base64, 0},
                                           {"from_hex", core_decode, 1},
                                           {"from_base64", core_decode, 2},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &class_hasher);
  qnl_setfuncs(L, G, functions);
}

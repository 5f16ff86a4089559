/* b_key.c: qn.Key: a private or public key as a value with read-only fields.
 *
 * Made by core.key, by core.generate_key (b_key_make.c) and from certificates. What a key holds
 * leaves it only through to_pem and to_der: tostring and errors must not show any of it. Two keys
 * are equal when they are the same key, both private or both public.
 */
#include "b_key.h"

#include "sched.h"

#include "qn/crypto.h"

#include <string.h>

static qn_key_t *check(lua_State *L) { return qnl_check(L, 1, &qnl_class_key); }

static int fail(lua_State *L, int code, const char *op, const char *message)
{
  return qnl_fail_info(L, &(qnl_errinfo_t){.code = code, .op = op, .message = message});
}

void qnl_push_key(lua_State *L, qn_key_t *k)
{
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_key);
  box->obj = qn_key_retain(k);
}

typedef struct secret {
  char *bytes;
  size_t size;
} secret_t;

static int push_bytes(lua_State *L)
{
  const secret_t *s = lua_touserdata(L, 1);
  lua_pushlstring(L, s->bytes, s->size);
  return 1;
}

int qnl_push_secret(lua_State *L, char *bytes, size_t size)
{
  secret_t s = {bytes, size};
  lua_pushcfunction(L, push_bytes); /* cannot fail: a light function */
  lua_pushlightuserdata(L, &s);
  int status = lua_pcall(L, 1, 1, 0);
  qn_secret_free(bytes, size);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* core.key(data [, passphrase]) -> key | nil, err */
static int core_key(lua_State *L)
{
  size_t size, pass_size = 0;
  const char *data = luaL_checklstring(L, 1, &size);
  luaL_argexpected(L, lua_isnoneornil(L, 2) || lua_type(L, 2) == LUA_TSTRING, 2, "string");
  const char *pass = luaL_optlstring(L, 2, NULL, &pass_size);
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_key);
  qn_key_t *k = NULL;
  int rc = qn_key_parse(data, size, pass, pass_size, &k);
  if (rc < 0) {
    const char *message =
        rc == QN_E_KEY_PASSPHRASE ? pass == NULL ? "the key is encrypted: a passphrase is needed"
                                                 : "the passphrase is wrong"
        : rc == QN_E_LIMIT        ? "the data, the key or the work for its passphrase "
                                    "is above the limit"
        : rc == QN_E_UNSUPPORTED  ? "this kind of key or of its encryption is not supported"
                                  : NULL;
    return fail(L, rc, "key", message);
  }
  box->obj = k;
  return 1;
}

/* --- fields ------------------------------------------------------------------------------------
 */

static int push_public(lua_State *L, qn_key_t *k)
{
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_key);
  qn_key_t *public = NULL;
  if (qn_key_public(k, &public) < 0) {
    lua_pushnil(L);
  }
  box->obj = public;
  return 1;
}

/* Upvalues: the state, the methods. */
static int key_index(lua_State *L)
{
  qn_key_t *k = check(L);
  const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(field, "type") == 0) {
    lua_pushstring(L, qn_key_type(k));
  } else if (strcmp(field, "bits") == 0) {
    lua_pushinteger(L, qn_key_bits(k));
  } else if (strcmp(field, "curve") == 0) {
    lua_pushstring(L, qn_key_curve(k)); /* nil for NULL */
  } else if (strcmp(field, "is_private") == 0) {
    lua_pushboolean(L, qn_key_is_private(k));
  } else if (strcmp(field, "public") == 0) {
    return push_public(L, k);
  } else {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
  }
  return 1;
}

static int key_newindex(lua_State *L)
{
  return luaL_error(L, "attempt to change field '%s' of a read-only value",
                    luaL_tolstring(L, 2, NULL));
}

static int key_eq(lua_State *L)
{
  const qn_key_t *a = qnl_test(L, 1, &qnl_class_key), *b = qnl_test(L, 2, &qnl_class_key);
  lua_pushboolean(L, a != NULL && b != NULL && qn_key_equal(a, b));
  return 1;
}

static int key_tostring(lua_State *L)
{
  const qn_key_t *k = check(L);
  const char *curve = qn_key_curve(k);
  lua_pushfstring(L, "qn.Key: %s %s, %s%s%d bits", qn_key_is_private(k) ? "private" : "public",
                  qn_key_type(k), curve != NULL ? curve : "", curve != NULL ? ", " : "",
                  qn_key_bits(k));
  return 1;
}

/* key:matches(other) -> boolean */
static int key_matches(lua_State *L)
{
  const qn_key_t *a = check(L), *b = qnl_check(L, 2, &qnl_class_key);
  lua_pushboolean(L, qn_key_matches(a, b));
  return 1;
}

/* --- writing -----------------------------------------------------------------------------------
 */

static const char *to_enum(const qnl_opt_value_t *v, const char *const *names)
{
  return v->set ? names[v->i] : NULL;
}

/* key:to_pem([passphrase [, {cipher=, iterations=}]]) -> string | nil, err */
static int key_to_pem(lua_State *L)
{
  static const qnl_opt_t desc[] = {
      {.name = "cipher", .type = QNL_OPT_ENUM, .names = qn_key_ciphers},
      {.name = "iterations", .type = QNL_OPT_INTEGER, .min = 1, .max = QN_KEY_MAX_ITERATIONS}};
  qnl_opt_value_t v[2];
  const qn_key_t *k = check(L);
  qn_key_seal_t seal = {0};
  luaL_argexpected(L, lua_isnoneornil(L, 2) || lua_type(L, 2) == LUA_TSTRING, 2, "string");
  seal.pass = luaL_optlstring(L, 2, NULL, &seal.pass_size);
  qnl_opts(L, 3, "to_pem", desc, 2, v);
  luaL_argcheck(L, seal.pass == NULL || qn_key_is_private(k), 2,
                "a public key is not encrypted with a passphrase");
  luaL_argcheck(L, seal.pass != NULL || (!v[0].set && !v[1].set), 3,
                "these options need a passphrase");
  luaL_argcheck(L, seal.pass_size <= QN_KEY_MAX_PASSPHRASE, 2,
                "the passphrase is longer than 1024 bytes");
  seal.cipher = to_enum(&v[0], qn_key_ciphers);
  seal.iterations = v[1].set ? (uint32_t)v[1].i : 0;
  char *pem;
  size_t size;
  int rc = qn_key_to_pem(k, &seal, &pem, &size);
  return rc < 0 ? fail(L, rc, "to_pem", NULL) : qnl_push_secret(L, pem, size);
}

/* key:to_der() -> string | nil, err */
static int key_to_der(lua_State *L)
{
  char *der;
  size_t size;
  int rc = qn_key_to_der(check(L), &der, &size);
  return rc < 0 ? fail(L, rc, "to_der", NULL) : qnl_push_secret(L, der, size);
}

/* key:fingerprint([digest]) -> hexadecimal digest of the public key | nil, err */
static int key_fingerprint(lua_State *L)
{
  const qn_key_t *k = check(L);
  const char *digest = lua_isnoneornil(L, 2) ? "sha256" : qnl_check_digest(L, 2);
  char *der;
  size_t size;
  uint8_t hash[QN_DIGEST_MAX];
  char text[2 * QN_DIGEST_MAX];
  int rc = qn_key_spki(k, &der, &size);
  if (rc == 0) {
    rc = qn_digest(digest, der, size, hash);
    qn_secret_free(der, size);
  }
  if (rc < 0) {
    return fail(L, rc, "fingerprint", NULL);
  }
  qn_hex_encode(hash, (size_t)rc, text);
  lua_pushlstring(L, text, 2 * (size_t)rc);
  return 1;
}

/* --- signing -----------------------------------------------------------------------------------
 */

typedef struct how {
  const char *digest;
  qn_key_padding_t padding;
} how_t;

static how_t check_how(lua_State *L, int idx, const char *where, const qn_key_t *k)
{
  static const char *const paddings[] = {"pkcs1", "pss", NULL};
  static const qnl_opt_t desc[] = {{.name = "digest", .type = QNL_OPT_STRING},
                                   {.name = "padding", .type = QNL_OPT_ENUM, .names = paddings}};
  qnl_opt_value_t v[2];
  qnl_opts(L, idx, where, desc, 2, v);
  const char *type = qn_key_type(k);
  if (v[0].set && !qn_key_has_digest(k)) {
    luaL_error(L, "%s: option 'digest': a key of type %s has its own", where, type);
  }
  if (v[0].set && (strlen(v[0].s) != v[0].size || qn_digest_find(v[0].s) == NULL)) {
    const char *names[64];
    int n = 0;
    for (; n < qn_digest_count && n < 64; n++) {
      names[n] = qn_digests[n].name;
    }
    const char *near = qnl_nearest(v[0].s, names, n);
    luaL_error(L, "%s: option 'digest': unknown digest '%s'%s%s%s", where, v[0].s,
               near != NULL ? " (did you mean '" : "", near != NULL ? near : "",
               near != NULL ? "'?)" : "");
  }
  if (v[1].set && strncmp(type, "rsa", 3) != 0) {
    luaL_error(L, "%s: option 'padding' is for RSA keys, this is one of type %s", where, type);
  }
  if (v[1].set && v[1].i == 0 && strcmp(type, "rsa_pss") == 0) {
    luaL_error(L, "%s: option 'padding': a key of type rsa_pss signs with pss only", where);
  }
  return (how_t){v[0].set ? v[0].s : NULL, !v[1].set     ? QN_KEY_PADDING_DEFAULT
                                           : v[1].i == 0 ? QN_KEY_PKCS1
                                                         : QN_KEY_PSS};
}

static int fail_signing(lua_State *L, const qn_key_t *k, int code, const char *op)
{
  const char *message = NULL;
  if (code == QN_E_UNSUPPORTED) {
    message = lua_pushfstring(L, "a key of type %s does not sign", qn_key_type(k));
  } else if (code == QN_E_INVALID) {
    message = "a public key does not sign";
  }
  return fail(L, code, op, message);
}

/* key:sign(data [, {digest=, padding=}]) -> signature | nil, err */
static int key_sign(lua_State *L)
{
  const qn_key_t *k = check(L);
  size_t size, n;
  const char *data = luaL_checklstring(L, 2, &size);
  how_t how = check_how(L, 3, "sign", k);
  char *signature;
  int rc = qn_key_sign(k, data, size, how.digest, how.padding, &signature, &n);
  return rc < 0 ? fail_signing(L, k, rc, "sign") : qnl_push_secret(L, signature, n);
}

/* key:verify(signature, data [, {digest=, padding=}]) -> boolean | nil, err */
static int key_verify(lua_State *L)
{
  const qn_key_t *k = check(L);
  size_t size, signature_size;
  const char *signature = luaL_checklstring(L, 2, &signature_size);
  const char *data = luaL_checklstring(L, 3, &size);
  how_t how = check_how(L, 4, "verify", k);
  int rc = qn_key_verify(k, signature, signature_size, data, size, how.digest, how.padding);
  if (rc < 0) {
    return fail_signing(L, k, rc, "verify");
  }
  lua_pushboolean(L, rc);
  return 1;
}

static void collect(qnl_state_t *G, void *obj)
{
  (void)G;
  qn_key_release(obj);
}

static const qnl_method_t methods[] = {{"matches", key_matches, 0},
                                       {"to_pem", key_to_pem, 0},
                                       {"to_der", key_to_der, 0},
                                       {"fingerprint", key_fingerprint, 0},
                                       {"sign", key_sign, 0},
                                       {"verify", key_verify, 0},
                                       {NULL, NULL, 0}};
static const qnl_method_t meta[] = {{"__tostring", key_tostring, 0},
                                    {"__eq", key_eq, 0},
                                    {"__newindex", key_newindex, 0},
                                    {NULL, NULL, 0}};
qnl_class_t qnl_class_key = {.name = "qn.Key",
                             .methods = methods,
                             .meta = meta,
                             .collect = collect,
                             .index = key_index,
                             .weight = 2};

void qnl_open_key(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"key", core_key, 0}, {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_key);
  qnl_setfuncs(L, G, functions);
  qnl_open_key_make(L, G);
}

/* crypto.c: digests and HMAC, whole and in pieces; random numbers; comparing secrets.
 *
 * Used by the bindings and by everything on this floor that needs a digest by name. Digests are
 * fetched once per process, since a look-up in OpenSSL 3 costs more than a small digest. Must not
 * log or keep what it is given: the key of an HMAC lives in OpenSSL's context, which overwrites it.
 */
#include "tls/crypto_i.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <string.h>

/* --- OpenSSL as a whole ------------------------------------------------------------------------
 */

void qn__crypto_begin(void)
{
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
  ERR_clear_error();
}

static bool is_unsupported(unsigned long error)
{
  int reason = ERR_GET_REASON(error);
  return reason == ERR_R_UNSUPPORTED ||
         (ERR_GET_LIB(error) == ERR_LIB_EVP &&
          (reason == EVP_R_UNSUPPORTED_ALGORITHM || reason == EVP_R_UNSUPPORTED_CIPHER ||
           reason == EVP_R_UNKNOWN_PBE_ALGORITHM || reason == EVP_R_UNSUPPORTED_PRF ||
           reason == EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION ||
           reason == EVP_R_OPERATION_NOT_SUPPORTED_FOR_THIS_KEYTYPE));
}

int qn__crypto_failed(int otherwise)
{
  unsigned long error;
  while ((error = ERR_get_error()) != 0) {
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
      otherwise = -ENOMEM;
    } else if (is_unsupported(error) && otherwise != -ENOMEM) {
      otherwise = QN_E_UNSUPPORTED;
    }
  }
  return otherwise;
}

void qn_secret_clean(void *p, size_t size)
{
  if (size > 0) {
    OPENSSL_cleanse(p, size);
  }
}

void qn_secret_free(void *p, size_t size)
{
  if (p != NULL) {
    qn_secret_clean(p, size);
    qn_free(p);
  }
}

char *qn__secret_copy(const void *data, size_t size)
{
  char *copy = qn_malloc(size + 1);
  if (copy != NULL) {
    if (size > 0) {
      memcpy(copy, data, size);
    }
    copy[size] = '\0';
  }
  return copy;
}

bool qn_secret_equal(const void *a, const void *b, size_t size)
{
  return size == 0 || CRYPTO_memcmp(a, b, size) == 0;
}

/* --- names -------------------------------------------------------------------------------------
 */

const qn_digest_info_t qn_digests[] = {
    {"md5", 16, 64},         {"sha1", 20, 64},        {"sha224", 28, 64},
    {"sha256", 32, 64},      {"sha384", 48, 128},     {"sha512", 64, 128},
    {"sha512-224", 28, 128}, {"sha512-256", 32, 128}, {"sha3-224", 28, 144},
    {"sha3-256", 32, 136},   {"sha3-384", 48, 104},   {"sha3-512", 64, 72},
    {"blake2b512", 64, 128}, {"blake2s256", 32, 64},  {"ripemd160", 20, 64},
    {"sm3", 32, 64}};
enum { N_DIGESTS = sizeof qn_digests / sizeof *qn_digests };
const int qn_digest_count = N_DIGESTS;

/* What OpenSSL calls those whose names differ. */
static const char *fetch_name(const qn_digest_info_t *info)
{
  return strcmp(info->name, "sha512-224") == 0   ? "SHA512-224"
         : strcmp(info->name, "sha512-256") == 0 ? "SHA512-256"
                                                 : info->name;
}

static _Atomic(EVP_MD *) fetched[N_DIGESTS];

static EVP_MD *fetch(const qn_digest_info_t *info)
{
  _Atomic(EVP_MD *) *place = &fetched[info - qn_digests];
  EVP_MD *md = atomic_load(place);
  if (md != NULL) {
    return md;
  }
  qn__crypto_begin();
  md = EVP_MD_fetch(NULL, fetch_name(info), NULL);
  EVP_MD *other = NULL;
  if (md == NULL) {
    ERR_clear_error();
  } else if (!atomic_compare_exchange_strong(place, &other, md)) {
    EVP_MD_free(md); /* another thread was first */
    md = other;
  }
  return md;
}

/* Letters and digits of `name` in lower case; false when they do not fit. */
static bool fold(const char *name, char out[16])
{
  size_t n = 0;
  for (; *name != '\0'; name++) {
    if (*name == '-' || *name == '_' || *name == '/') {
      continue;
    }
    if (n == 15 || !isalnum((unsigned char)*name)) {
      return false;
    }
    out[n++] = (char)tolower((unsigned char)*name);
  }
  out[n] = '\0';
  return true;
}

const qn_digest_info_t *qn_digest_find(const char *name)
{
  char wanted[16], known[16];
  if (!fold(name, wanted)) {
    return NULL;
  }
  for (int i = 0; i < N_DIGESTS; i++) {
    if (fold(qn_digests[i].name, known) && strcmp(known, wanted) == 0) {
      return fetch(&qn_digests[i]) != NULL ? &qn_digests[i] : NULL;
    }
  }
  return NULL;
}

const EVP_MD *qn__digest_md(const char *name)
{
  const qn_digest_info_t *info = qn_digest_find(name);
  return info != NULL ? fetch(info) : NULL;
}

/* --- in pieces ---------------------------------------------------------------------------------
 */

struct qn_hasher {
  const qn_digest_info_t *info;
  EVP_MD_CTX *md;   /* one of the two */
  EVP_MAC_CTX *mac; /* as it goes; `fresh` is what it is copied from */
  EVP_MAC_CTX *fresh;
};

static EVP_MAC *hmac_method(void)
{
  static _Atomic(EVP_MAC *) method;
  EVP_MAC *m = atomic_load(&method), *other = NULL;
  if (m == NULL && (m = EVP_MAC_fetch(NULL, "HMAC", NULL)) != NULL &&
      !atomic_compare_exchange_strong(&method, &other, m)) {
    EVP_MAC_free(m);
    m = other;
  }
  return m;
}

static qn_hasher_t *new_hasher(const qn_digest_info_t *info)
{
  qn_hasher_t *h = qn_calloc(1, sizeof *h);
  if (h != NULL) {
    h->info = info;
  }
  return h;
}

void qn_hasher_free(qn_hasher_t *h)
{
  if (h != NULL) {
    EVP_MD_CTX_free(h->md);
    EVP_MAC_CTX_free(h->mac);
    EVP_MAC_CTX_free(h->fresh);
    qn_free(h);
  }
}

/* Takes `h`. */
static int give(qn_hasher_t *h, bool good, qn_hasher_t **out)
{
  if (!good) {
    qn_hasher_free(h);
    return qn__crypto_failed(QN_E_CRYPTO);
  }
  *out = h;
  return 0;
}

int qn_hasher_new(const char *name, qn_hasher_t **out)
{
  qn__crypto_begin();
  const qn_digest_info_t *info = qn_digest_find(name);
  if (info == NULL) {
    return QN_E_UNSUPPORTED;
  }
  qn_hasher_t *h = new_hasher(info);
  if (h == NULL) {
    return -ENOMEM;
  }
  h->md = EVP_MD_CTX_new();
  return give(h, h->md != NULL && EVP_DigestInit_ex2(h->md, fetch(info), NULL) == 1, out);
}

/* A context that has its key; NULL: failed. */
static EVP_MAC_CTX *keyed(const qn_digest_info_t *info, const void *key, size_t size)
{
  char name[16];
  memcpy(name, fetch_name(info), strlen(fetch_name(info)) + 1);
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                         OSSL_PARAM_construct_end()};
  EVP_MAC *method = hmac_method();
  EVP_MAC_CTX *ctx = method != NULL ? EVP_MAC_CTX_new(method) : NULL;
  /* without bytes a key must still be there */
  if (ctx != NULL && EVP_MAC_init(ctx, size > 0 ? key : "", size, params) != 1) {
    EVP_MAC_CTX_free(ctx);
    ctx = NULL;
  }
  return ctx;
}

int qn_hasher_new_hmac(const char *name, const void *key, size_t size, qn_hasher_t **out)
{
  qn__crypto_begin();
  const qn_digest_info_t *info = qn_digest_find(name);
  if (info == NULL) {
    return QN_E_UNSUPPORTED;
  }
  qn_hasher_t *h = new_hasher(info);
  if (h == NULL) {
    return -ENOMEM;
  }
  h->fresh = keyed(info, key, size);
  h->mac = h->fresh != NULL ? EVP_MAC_CTX_dup(h->fresh) : NULL;
  return give(h, h->mac != NULL, out);
}

int qn_hasher_update(qn_hasher_t *h, const void *data, size_t size)
{
  int good =
      h->md != NULL ? EVP_DigestUpdate(h->md, data, size) : EVP_MAC_update(h->mac, data, size);
  return good == 1 ? 0 : qn__crypto_failed(QN_E_CRYPTO);
}

int qn_hasher_final(qn_hasher_t *h, uint8_t out[QN_DIGEST_MAX])
{
  unsigned n = 0;
  size_t size = 0;
  int good = h->md != NULL ? EVP_DigestFinal_ex(h->md, out, &n)
                           : EVP_MAC_final(h->mac, out, &size, QN_DIGEST_MAX);
  return good == 1 ? (int)(n + size) : qn__crypto_failed(QN_E_CRYPTO);
}

int qn_hasher_reset(qn_hasher_t *h)
{
  if (h->md != NULL) {
    return EVP_DigestInit_ex2(h->md, fetch(h->info), NULL) == 1 ? 0
                                                                : qn__crypto_failed(QN_E_CRYPTO);
  }
  EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(h->fresh);
  if (mac == NULL) {
    return qn__crypto_failed(QN_E_CRYPTO);
  }
  EVP_MAC_CTX_free(h->mac);
  h->mac = mac;
  return 0;
}

int qn_hasher_copy(const qn_hasher_t *h, qn_hasher_t **out)
{
  qn_hasher_t *c = new_hasher(h->info);
  if (c == NULL) {
    return -ENOMEM;
  }
  if (h->md != NULL) {
    c->md = EVP_MD_CTX_new();
    return give(c, c->md != NULL && EVP_MD_CTX_copy_ex(c->md, h->md) == 1, out);
  }
  c->mac = EVP_MAC_CTX_dup(h->mac);
  c->fresh = EVP_MAC_CTX_dup(h->fresh);
  return give(c, c->mac != NULL && c->fresh != NULL, out);
}

const qn_digest_info_t *qn_hasher_info(const qn_hasher_t *h) { return h->info; }

/* --- in one call -------------------------------------------------------------------------------
 */

int qn_digest(const char *name, const void *data, size_t size, uint8_t out[QN_DIGEST_MAX])
{
  const EVP_MD *md = qn__digest_md(name);
  unsigned n = 0;
  if (md == NULL) {
    return QN_E_UNSUPPORTED;
  }
  return EVP_Digest(data, size, out, &n, md, NULL) == 1 ? (int)n : qn__crypto_failed(QN_E_CRYPTO);
}

int qn_hmac(const char *name, const void *key, size_t key_size, const void *data, size_t size,
            uint8_t out[QN_DIGEST_MAX])
{
  qn__crypto_begin();
  const qn_digest_info_t *info = qn_digest_find(name);
  if (info == NULL) {
    return QN_E_UNSUPPORTED;
  }
  size_t n = 0;
  EVP_MAC_CTX *ctx = keyed(info, key, key_size);
  bool good = ctx != NULL && EVP_MAC_update(ctx, data, size) == 1 &&
              EVP_MAC_final(ctx, out, &n, QN_DIGEST_MAX) == 1;
  EVP_MAC_CTX_free(ctx);
  return good ? (int)n : qn__crypto_failed(QN_E_CRYPTO);
}

/* --- random ------------------------------------------------------------------------------------
 */

int qn_random(void *out, size_t size)
{
  if (size > QN_RANDOM_MAX) {
    return QN_E_LIMIT;
  }
  if (size == 0) {
    return 0;
  }
  qn__crypto_begin();
  return RAND_bytes(out, (int)size) == 1 ? 0 : qn__crypto_failed(QN_E_CRYPTO);
}

int qn_random_integer(int64_t lo, int64_t hi, int64_t *out)
{
  uint64_t span = (uint64_t)hi - (uint64_t)lo, mask = span, n = 0;
  if (lo > hi) {
    return QN_E_INVALID;
  }
  for (int shift = 1; shift < 64; shift *= 2) {
    mask |= mask >> shift;
  }
  /* What is above the span is drawn again: at most every second draw. */
  do {
    int rc = qn_random(&n, sizeof n);
    if (rc < 0) {
      return rc;
    }
    n &= mask;
  } while (n > span);
  *out = (int64_t)((uint64_t)lo + n);
  return 0;
}

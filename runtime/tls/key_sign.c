/* key_sign.c: signatures of data, made with a private key and checked with a public one.
 *
 * Called by the bindings. RSA signs with PKCS#1 v1.5 or PSS (salt as long as the digest; any length
 * is taken when checking), DSA and EC give DER, Ed25519 and Ed448 choose their digest themselves.
 * A signature that is nonsense is not good; it is no error.
 */
#include "tls/crypto_i.h"
#include "tls/key_i.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

static bool is_rsa(const qn_key_t *k)
{
  int id = EVP_PKEY_get_base_id(k->pkey);
  return id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS;
}

static bool can_sign(const qn_key_t *k)
{
  int id = EVP_PKEY_get_base_id(k->pkey);
  return is_rsa(k) || id == EVP_PKEY_EC || id == EVP_PKEY_DSA || id == EVP_PKEY_ED25519 ||
         id == EVP_PKEY_ED448;
}

bool qn_key_has_digest(const qn_key_t *k)
{
  int id = EVP_PKEY_get_base_id(k->pkey);
  return id != EVP_PKEY_ED25519 && id != EVP_PKEY_ED448;
}

/* What both need: the digest that is meant, and whether key, digest and padding fit. */
static int check(const qn_key_t *k, const char *digest, qn_key_padding_t padding, const EVP_MD **md)
{
  *md = NULL;
  if (!can_sign(k)) {
    return QN_E_UNSUPPORTED;
  }
  if ((digest != NULL && !qn_key_has_digest(k)) ||
      (padding != QN_KEY_PADDING_DEFAULT && !is_rsa(k)) ||
      (padding == QN_KEY_PKCS1 && EVP_PKEY_get_base_id(k->pkey) == EVP_PKEY_RSA_PSS)) {
    return QN_E_INVALID;
  }
  if (qn_key_has_digest(k)) {
    *md = qn__digest_md(digest != NULL ? digest : "sha256");
    return *md != NULL ? 0 : QN_E_UNSUPPORTED;
  }
  return 0;
}

static bool pad(EVP_PKEY_CTX *ctx, qn_key_padding_t padding, int salt)
{
  return padding != QN_KEY_PSS || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                                   EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt) == 1);
}

int qn_key_sign(const qn_key_t *k, const void *data, size_t size, const char *digest,
                qn_key_padding_t padding, char **out, size_t *out_size)
{
  const EVP_MD *md;
  qn__crypto_begin();
  int rc = k->is_private ? check(k, digest, padding, &md) : QN_E_INVALID;
  if (rc < 0) {
    return rc;
  }
  EVP_PKEY_CTX *pctx = NULL; /* the context's */
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  char *bytes = NULL;
  size_t n = 0, room;
  bool good = ctx != NULL && EVP_DigestSignInit(ctx, &pctx, md, NULL, k->pkey) == 1 &&
              pad(pctx, padding, RSA_PSS_SALTLEN_DIGEST) &&
              EVP_DigestSign(ctx, NULL, &n, data, size) == 1;
  room = n;
  if (good && (bytes = qn_malloc(room + 1)) == NULL) {
    rc = -ENOMEM;
  } else if (!good || EVP_DigestSign(ctx, (unsigned char *)bytes, &n, data, size) != 1) {
    rc = qn__crypto_failed(QN_E_CRYPTO);
    qn_free(bytes);
  } else {
    *out = bytes;
    *out_size = n;
  }
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return rc;
}

int qn_key_verify(const qn_key_t *k, const void *signature, size_t signature_size, const void *data,
                  size_t size, const char *digest, qn_key_padding_t padding)
{
  const EVP_MD *md;
  qn__crypto_begin();
  int rc = check(k, digest, padding, &md);
  if (rc < 0) {
    return rc;
  }
  EVP_PKEY_CTX *pctx = NULL; /* the context's */
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  if (ctx == NULL || EVP_DigestVerifyInit(ctx, &pctx, md, NULL, k->pkey) != 1 ||
      !pad(pctx, padding, RSA_PSS_SALTLEN_AUTO)) {
    rc = qn__crypto_failed(QN_E_CRYPTO);
  } else {
    rc = EVP_DigestVerify(ctx, signature, signature_size, data, size) == 1;
  }
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return rc;
}

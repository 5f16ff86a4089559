/* key_write.c: keys as PEM and DER, private ones also encrypted with a passphrase.
 *
 * Called by the bindings. What is encrypted is PKCS#8 with PBES2: PBKDF2 with HMAC-SHA256 and a
 * random salt, so the same key gives another text each time. Plain bytes of a private key are only
 * in memory that is overwritten before it is freed.
 */
#include "tls/crypto_i.h"
#include "tls/key_i.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

#define SALT_SIZE 16

const char *const qn_key_ciphers[] = {"aes-256-cbc", "aes-192-cbc", "aes-128-cbc", "des-ede3-cbc",
                                      NULL};

static const EVP_CIPHER *cipher_of(const char *name)
{
  if (name == NULL) {
    return EVP_aes_256_cbc();
  }
  for (int i = 0; qn_key_ciphers[i] != NULL; i++) {
    if (strcmp(qn_key_ciphers[i], name) == 0) {
      return EVP_get_cipherbyname(name);
    }
  }
  return NULL;
}

/* What a BIO has collected, as ours; the BIO's own copy is overwritten. Takes `bio`. */
static int take(BIO *bio, bool good, char **out, size_t *size)
{
  int rc = good ? 0 : qn__crypto_failed(QN_E_CRYPTO);
  char *bytes = NULL;
  long n = bio != NULL ? BIO_get_mem_data(bio, &bytes) : 0;
  if (rc == 0) {
    *out = qn__secret_copy(bytes, (size_t)n);
    *size = (size_t)n;
    rc = *out != NULL ? 0 : -ENOMEM;
  }
  if (n > 0) {
    OPENSSL_cleanse(bytes, (size_t)n);
  }
  BIO_free(bio);
  return rc;
}

/* NULL: failed. */
static X509_SIG *seal_info(PKCS8_PRIV_KEY_INFO *info, const EVP_CIPHER *cipher,
                           const qn_key_seal_t *seal)
{
  unsigned char salt[SALT_SIZE];
  uint32_t count = seal->iterations != 0 ? seal->iterations : QN_KEY_ITERATIONS;
  if (qn_random(salt, sizeof salt) < 0) {
    return NULL;
  }
  X509_ALGOR *how =
      PKCS5_pbe2_set_iv(cipher, (int)count, salt, SALT_SIZE, NULL, NID_hmacWithSHA256);
  X509_SIG *sealed =
      how != NULL ? PKCS8_set0_pbe(seal->pass, (int)seal->pass_size, info, how) : NULL;
  if (sealed == NULL) {
    X509_ALGOR_free(how);
  }
  return sealed;
}

static int write_sealed(const qn_key_t *k, const qn_key_seal_t *seal, char **out, size_t *size)
{
  const EVP_CIPHER *cipher = cipher_of(seal->cipher);
  if (cipher == NULL) {
    return QN_E_UNSUPPORTED;
  }
  if (seal->iterations > QN_KEY_MAX_ITERATIONS || seal->pass_size > QN_KEY_MAX_PASSPHRASE) {
    return QN_E_LIMIT;
  }
  BIO *bio = BIO_new(BIO_s_mem());
  PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(k->pkey);
  X509_SIG *sealed = info != NULL ? seal_info(info, cipher, seal) : NULL;
  bool good = bio != NULL && sealed != NULL && PEM_write_bio_PKCS8(bio, sealed) == 1;
  X509_SIG_free(sealed);
  PKCS8_PRIV_KEY_INFO_free(info);
  return take(bio, good, out, size);
}

int qn_key_to_pem(const qn_key_t *k, const qn_key_seal_t *seal, char **out, size_t *size)
{
  qn__crypto_begin();
  if (seal != NULL && seal->pass != NULL) {
    return k->is_private ? write_sealed(k, seal, out, size) : QN_E_INVALID;
  }
  BIO *bio = BIO_new(BIO_s_mem());
  PKCS8_PRIV_KEY_INFO *info = k->is_private ? EVP_PKEY2PKCS8(k->pkey) : NULL;
  bool good = bio != NULL &&
              (k->is_private ? info != NULL && PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, info) == 1
                             : PEM_write_bio_PUBKEY(bio, k->pkey) == 1);
  PKCS8_PRIV_KEY_INFO_free(info);
  return take(bio, good, out, size);
}

int qn_key_to_der(const qn_key_t *k, char **out, size_t *size)
{
  if (!k->is_private) {
    return qn_key_spki(k, out, size);
  }
  qn__crypto_begin();
  unsigned char *der = NULL;
  PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(k->pkey);
  int n = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
  PKCS8_PRIV_KEY_INFO_free(info);
  if (n < 0) {
    return qn__crypto_failed(QN_E_CRYPTO);
  }
  *out = qn__secret_copy(der, (size_t)n);
  *size = (size_t)n;
  OPENSSL_clear_free(der, (size_t)n);
  return *out != NULL ? 0 : -ENOMEM;
}

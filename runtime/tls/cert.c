/* cert.c: qn_cert_t: comparing, writing, the plain facts.
 *
 * Called by the bindings and by the TLS filter. What is listed (names, extensions) is in
 * cert_list.c, reading in cert_parse.c. Must not change the X509 once it is wrapped. Invariant:
 * OpenSSL's error queue is empty after each call.
 */
#include "qn/key.h"
#include "tls/cert_i.h"
#include "tls/key_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

qn_cert_t *qn__cert_wrap(X509 *x509)
{
  qn_cert_t *cert = x509 != NULL ? qn_malloc(sizeof *cert) : NULL;
  if (cert == NULL) {
    X509_free(x509);
    return NULL;
  }
  /* computes what OpenSSL caches, so that nothing is written later */
  (void)X509_check_purpose(x509, -1, 0);
  ERR_clear_error();
  *cert = (qn_cert_t){1, x509};
  return cert;
}

qn_cert_t *qn_cert_retain(qn_cert_t *cert)
{
  cert->refs++;
  return cert;
}

void qn_cert_release(qn_cert_t *cert)
{
  if (cert != NULL && --cert->refs == 0) {
    X509_free(cert->x509);
    qn_free(cert);
  }
}

bool qn_cert_equal(const qn_cert_t *a, const qn_cert_t *b)
{
  return a == b || X509_cmp(a->x509, b->x509) == 0;
}

/* --- lists ----------------------------------------------------------------------------------- */

static int take(qn_certs_t *list, qn_cert_t *cert)
{
  if (list->count == list->room) {
    size_t room = list->room > 0 ? list->room * 2 : 4;
    qn_cert_t **items = qn_realloc(list->items, room * sizeof *items);
    if (items == NULL) {
      qn_cert_release(cert);
      return -ENOMEM;
    }
    list->items = items;
    list->room = room;
  }
  list->items[list->count++] = cert;
  return 0;
}

int qn_certs_add(qn_certs_t *list, qn_cert_t *cert) { return take(list, qn_cert_retain(cert)); }

void qn_certs_free(qn_certs_t *list)
{
  for (size_t i = 0; i < list->count; i++) {
    qn_cert_release(list->items[i]);
  }
  qn_free(list->items);
  *list = (qn_certs_t){NULL, 0, 0};
}

/* --- writing --------------------------------------------------------------------------------- */

int qn_cert_to_der(const qn_cert_t *cert, qn_cert_bytes_t *out)
{
  int n = i2d_X509(cert->x509, NULL);
  uint8_t *p = n > 0 ? qn_malloc((size_t)n) : NULL;
  if (p == NULL) {
    return n > 0 ? -ENOMEM : qn__ossl_fail(QN_E_CERT_FORMAT);
  }
  *out = (qn_cert_bytes_t){p, (size_t)n};
  i2d_X509(cert->x509, &p);
  return 0;
}

int qn_cert_to_pem(const qn_cert_t *cert, qn_cert_bytes_t *out)
{
  BIO *bio = BIO_new(BIO_s_mem());
  bool ok = bio != NULL && PEM_write_bio_X509(bio, cert->x509) == 1;
  return qn__ossl_take(bio, ok, -ENOMEM, &out->data, &out->size);
}

/* --- facts ----------------------------------------------------------------------------------- */

int qn_cert_version(const qn_cert_t *cert) { return (int)X509_get_version(cert->x509) + 1; }

static int64_t seconds_of(const ASN1_TIME *time)
{
  struct tm tm;
  memset(&tm, 0, sizeof tm);
  if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1) {
    ERR_clear_error();
    return QN_CERT_NO_TIME;
  }
  return (int64_t)timegm(&tm);
}

int64_t qn_cert_not_before(const qn_cert_t *cert)
{
  return seconds_of(X509_get0_notBefore(cert->x509));
}

int64_t qn_cert_not_after(const qn_cert_t *cert)
{
  return seconds_of(X509_get0_notAfter(cert->x509));
}

size_t qn_cert_signature_algorithm(const qn_cert_t *cert, char *buf, size_t size)
{
  const X509_ALGOR *algorithm = NULL;
  const ASN1_OBJECT *object = NULL;
  X509_get0_signature(NULL, &algorithm, cert->x509);
  X509_ALGOR_get0(&object, NULL, NULL, algorithm);
  int n = OBJ_obj2txt(buf, (int)size, object, 0);
  ERR_clear_error();
  return n <= 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

int qn_cert_serial(const qn_cert_t *cert, qn_cert_bytes_t *out, bool *negative)
{
  BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert->x509), NULL);
  if (n == NULL) {
    return qn__ossl_fail(-ENOMEM);
  }
  size_t size = (size_t)BN_num_bytes(n);
  out->data = qn_calloc(1, size > 0 ? size : 1);
  out->size = size > 0 ? size : 1;
  *negative = BN_is_negative(n) != 0;
  if (out->data != NULL) {
    BN_bn2bin(n, out->data);
  }
  BN_free(n);
  return out->data == NULL ? -ENOMEM : 0;
}

bool qn_cert_self_signed(const qn_cert_t *cert)
{
  bool yes = X509_self_signed(cert->x509, 1) == 1;
  ERR_clear_error();
  return yes;
}

/* What a version 1 certificate is, nobody knows: only the extension counts. */
bool qn_cert_is_ca(const qn_cert_t *cert)
{
  return (X509_get_extension_flags(cert->x509) & (EXFLAG_CA | EXFLAG_INVALID)) == EXFLAG_CA;
}

int qn_cert_path_length(const qn_cert_t *cert)
{
  long n = X509_get_pathlen(cert->x509);
  return n >= 0 && n <= INT_MAX ? (int)n : -1;
}

uint32_t qn_cert_key_usage(const qn_cert_t *cert)
{
  /* OpenSSL keeps the first byte of the bit string with bit 0 at its top */
  uint32_t raw = X509_get_key_usage(cert->x509), bits = 0;
  if (raw == UINT32_MAX) {
    return raw;
  }
  for (unsigned i = 0; i < 8; i++) {
    bits |= (raw & (0x80U >> i)) != 0 ? 1U << i : 0;
  }
  return bits | ((raw & KU_DECIPHER_ONLY) != 0 ? 1U << 8 : 0);
}

int qn_cert_public_key(const qn_cert_t *cert, qn_key_t **out)
{
  ERR_clear_error();
  EVP_PKEY *pkey = X509_get_pubkey(cert->x509);
  return pkey == NULL ? qn__ossl_fail(QN_E_KEY_FORMAT) : qn__key_adopt(pkey, false, out);
}

bool qn_cert_has_key(const qn_cert_t *cert, const qn_key_t *key)
{
  EVP_PKEY *mine = X509_get0_pubkey(cert->x509);
  bool yes = mine != NULL && EVP_PKEY_eq(mine, key->pkey) == 1;
  ERR_clear_error();
  return yes;
}

const char *const qn_cert_digest_names[] = {"sha256",   "sha1",     "sha224",   "sha384",
                                            "sha512",   "md5",      "sha3-224", "sha3-256",
                                            "sha3-384", "sha3-512", NULL};

int qn_cert_digest(const qn_cert_t *cert, const char *algorithm, uint8_t out[QN_CERT_DIGEST_SIZE])
{
  unsigned n = 0;
  _Static_assert(QN_CERT_DIGEST_SIZE >= EVP_MAX_MD_SIZE, "any digest fits");
  const EVP_MD *md = NULL;
  for (const char *const *name = qn_cert_digest_names; md == NULL && *name != NULL; name++) {
    md = strcmp(*name, algorithm) == 0 ? EVP_get_digestbyname(*name) : NULL;
  }
  if (md == NULL || X509_digest(cert->x509, md, out, &n) != 1) {
    return qn__ossl_fail(QN_E_UNSUPPORTED); /* a system may refuse an old one */
  }
  return (int)n;
}

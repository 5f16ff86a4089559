/* pkcs12_mac.c: the MAC of a PKCS#12 file: the classic one, and PBMAC1 (RFC 9579).
 *
 * Called by pkcs12_read.c, in a thread of the pool. It tells a wrong passphrase from a right one
 * before anything is decrypted. PBMAC1 is computed here: OpenSSL knows it from 3.4 on only.
 */
#include "tls/cert_make_i.h"
#include "tls/crypto_i.h"
#include "tls/ossl.h"
#include "tls/pbe_i.h"
#include "tls/pkcs12_i.h"

#include <errno.h>
#include <limits.h>
#include <openssl/asn1t.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <string.h>

#define PBMAC1 "1.2.840.113549.1.5.14"
#define MIN_KEY 20 /* bytes (RFC 9579, section 5) */
#define MAX_KEY 256

static int damaged(qn_cert_why_t *why)
{
  ERR_clear_error();
  return qn__cert_refuse(why, QN_E_CERT_FORMAT, "the PKCS#12 file is damaged");
}

int qn__pkcs12_spend(qn__pkcs12_budget_t *budget, uint64_t work, qn_cert_why_t *why)
{
  if (work > QN_KEY_MAX_ITERATIONS || work > budget->work) {
    return qn__cert_refuse(why, QN_E_LIMIT,
                           "the passphrase of the file costs too much: %llu "
                           "iterations",
                           (unsigned long long)work);
  }
  budget->work -= work;
  return 0;
}

/* What is told when the MAC does not fit. */
static int wrong_pass(const char *pass, qn_cert_why_t *why)
{
  ERR_clear_error();
  return qn__cert_refuse(why, QN_E_KEY_PASSPHRASE,
                         pass != NULL ? "the passphrase is wrong" : "a passphrase is needed");
}

/* --- the classic one -------------------------------------------------------------------------- */

static int check_classic(PKCS12 *p12, const X509_ALGOR *algorithm, const ASN1_INTEGER *count,
                         const char **pass, size_t pass_size, qn__pkcs12_budget_t *budget,
                         qn_cert_why_t *why)
{
  uint64_t work = 1;
  char digest[80] = "";
  bool none = *pass == NULL || pass_size == 0;
  int rc = count != NULL ? qn__pbe_count(count, &work) : 0;
  if (rc == QN_E_KEY_FORMAT || work == 0) {
    return damaged(why);
  }
  rc = qn__pkcs12_spend(budget, work, why);
  if (rc < 0) {
    return rc;
  }
  OBJ_obj2txt(digest, sizeof digest, algorithm->algorithm, 0);
  EVP_MD *md = EVP_MD_fetch(NULL, digest, NULL);
  EVP_MD_free(md);
  ERR_clear_error();
  if (md == NULL) {
    return qn__cert_refuse(why, QN_E_UNSUPPORTED, "the MAC of the file is of an unknown kind: %s",
                           digest);
  }
  if (PKCS12_verify_mac(p12, none ? "" : *pass, none ? 0 : (int)pass_size) == 1) {
    *pass = none ? "" : *pass;
    return 0;
  }
  if (none && qn__pkcs12_spend(budget, work, why) == 0 && PKCS12_verify_mac(p12, NULL, 0) == 1) {
    *pass = NULL;
    ERR_clear_error();
    return 0;
  }
  return wrong_pass(*pass, why);
}

/* --- PBMAC1 ----------------------------------------------------------------------------------- */

/* The digest of an HMAC by its number; NULL: unknown. */
static const EVP_MD *digest_of(const X509_ALGOR *hmac)
{
  int md = NID_undef;
  if (hmac == NULL) {
    return EVP_sha1(); /* the default of PBKDF2 */
  }
  if (EVP_PBE_find(EVP_PBE_TYPE_PRF, OBJ_obj2nid(hmac->algorithm), NULL, &md, NULL) != 1) {
    return NULL;
  }
  return EVP_get_digestbynid(md);
}

typedef struct pbmac {
  const ASN1_OCTET_STRING *mac, *salt;
  uint64_t count, key_size;
  const EVP_MD *prf, *md;
} pbmac_t;

/* The content that the MAC is about, computed and compared. 1, 0, or less. */
static int compare(const pbmac_t *m, const uint8_t *data, size_t size, const char *pass,
                   size_t pass_size)
{
  uint8_t key[MAX_KEY], mac[EVP_MAX_MD_SIZE];
  const uint8_t *p = data;
  long length = 0;
  int tag, class, rc = -1;
  unsigned n = 0;
  /* PFX ::= SEQUENCE { version INTEGER, authSafe ContentInfo, ... } */
  if ((ASN1_get_object(&p, &length, &tag, &class, (long)size) & 0x80) != 0 ||
      (ASN1_get_object(&p, &length, &tag, &class, (long)(data + size - p)) & 0x80) != 0) {
    return -1;
  }
  p += length;
  PKCS7 *safe = d2i_PKCS7(NULL, &p, (long)(data + size - p));
  if (safe != NULL && PKCS7_type_is_data(safe) && safe->d.data != NULL &&
      PKCS5_PBKDF2_HMAC(pass != NULL ? pass : "", (int)pass_size, m->salt->data, m->salt->length,
                        (int)m->count, m->prf, (int)m->key_size, key) == 1 &&
      HMAC(m->md, key, (int)m->key_size, safe->d.data->data, (size_t)safe->d.data->length, mac,
           &n) != NULL) {
    rc = (int)n == m->mac->length && CRYPTO_memcmp(mac, m->mac->data, n) == 0;
  }
  OPENSSL_cleanse(key, sizeof key);
  PKCS7_free(safe);
  ERR_clear_error();
  return rc;
}

static int check_pbmac1(const uint8_t *data, size_t size, const X509_ALGOR *algorithm,
                        const ASN1_OCTET_STRING *mac, const char **pass, size_t pass_size,
                        qn__pkcs12_budget_t *budget, qn_cert_why_t *why)
{
  /* PBMAC1-params has the form of those of PBES2: how the key is made, and what it is used for */
  PBE2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter);
  PBKDF2PARAM *kdf =
      p != NULL && OBJ_obj2nid(p->keyfunc->algorithm) == NID_id_pbkdf2
          ? ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), p->keyfunc->parameter)
          : NULL;
  pbmac_t m = {.mac = mac};
  int rc = 0;
  if (kdf == NULL || kdf->salt->type != V_ASN1_OCTET_STRING ||
      ASN1_INTEGER_get_uint64(&m.key_size, kdf->keylength) != 1 || m.key_size < MIN_KEY ||
      m.key_size > MAX_KEY || qn__pbe_count(kdf->iter, &m.count) == QN_E_KEY_FORMAT ||
      m.count == 0) {
    rc = damaged(why);
  } else {
    m.salt = kdf->salt->value.octet_string;
    m.prf = digest_of(kdf->prf);
    m.md = digest_of(p->encryption);
    rc = m.prf == NULL || m.md == NULL
             ? qn__cert_refuse(why, QN_E_UNSUPPORTED, "the MAC of the file is of an unknown kind")
             : qn__pkcs12_spend(budget, m.count, why);
  }
  if (rc == 0) {
    int good = m.salt == NULL ? -1 : compare(&m, data, size, *pass, pass_size);
    rc = good < 0 ? damaged(why) : good == 0 ? wrong_pass(*pass, why) : 0;
    *pass = rc == 0 && *pass == NULL ? "" : *pass;
  }
  PBKDF2PARAM_free(kdf);
  PBE2PARAM_free(p);
  ERR_clear_error();
  return rc;
}

int qn__pkcs12_check_mac(const uint8_t *data, size_t size, PKCS12 *p12, const char **pass,
                         size_t pass_size, qn__pkcs12_budget_t *budget, qn_cert_why_t *why)
{
  const ASN1_OCTET_STRING *mac = NULL, *salt = NULL;
  const X509_ALGOR *algorithm = NULL;
  const ASN1_INTEGER *count = NULL;
  char kind[80] = "";
  PKCS12_get0_mac(&mac, &algorithm, &salt, &count, p12);
  if (mac == NULL) {
    return qn__cert_refuse(why, QN_E_UNSUPPORTED,
                           "the PKCS#12 file has no MAC: nothing says that it is whole");
  }
  OBJ_obj2txt(kind, sizeof kind, algorithm->algorithm, 1);
  return strcmp(kind, PBMAC1) == 0
             ? check_pbmac1(data, size, algorithm, mac, pass, pass_size, budget, why)
             : check_classic(p12, algorithm, count, pass, pass_size, budget, why);
}

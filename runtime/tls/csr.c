/* csr.c: qn_csr_t: requests for certificates (PKCS#10, RFC 2986): read, asked, checked, made.
 *
 * Called by the bindings and by cert_make.c. A request comes from a stranger: what is in it is
 * bounded, listed and never believed; qn_csr_verify says only that its sender has the key. Must not
 * change the X509_REQ once it is wrapped. OpenSSL's error queue is empty after each call.
 */
#include "tls/cert_make_i.h"
#include "tls/crypto_i.h"
#include "tls/key_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

/* Takes `req`, also when it fails. */
static int wrap(X509_REQ *req, qn_csr_t **out)
{
  qn_csr_t *csr = qn_malloc(sizeof *csr);
  if (csr == NULL) {
    X509_REQ_free(req);
    return -ENOMEM;
  }
  *csr = (qn_csr_t){1, req};
  *out = csr;
  return 0;
}

qn_csr_t *qn_csr_retain(qn_csr_t *csr)
{
  csr->refs++;
  return csr;
}

void qn_csr_release(qn_csr_t *csr)
{
  if (csr != NULL && --csr->refs == 0) {
    X509_REQ_free(csr->req);
    qn_free(csr);
  }
}

/* --- reading ---------------------------------------------------------------------------------- */

static int parse_der(const uint8_t *data, long size, qn_csr_t **out)
{
  const uint8_t *p = data;
  X509_REQ *req = d2i_X509_REQ(NULL, &p, size);
  if (req == NULL || p != data + size) {
    X509_REQ_free(req);
    return qn__ossl_fail(QN_E_CERT_FORMAT);
  }
  return wrap(req, out);
}

static int parse_pem(const void *data, size_t size, qn_csr_t **out)
{
  BIO *bio = qn__ossl_source(data, size);
  int rc = bio != NULL ? 1 : -ENOMEM;
  while (rc == 1) {
    char *name = NULL, *header = NULL;
    uint8_t *block = NULL;
    long n = 0;
    if (PEM_read_bio(bio, &name, &header, &block, &n) != 1) {
      rc = qn__ossl_fail(QN_E_CERT_FORMAT);
      break;
    }
    if (strcmp(name, PEM_STRING_X509_REQ) == 0 || strcmp(name, PEM_STRING_X509_REQ_OLD) == 0) {
      rc = parse_der(block, n, out);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(block, (size_t)n); /* a file may hold the key, too */
  }
  BIO_free(bio);
  return rc;
}

int qn_csr_parse(const void *data, size_t size, qn_csr_t **out)
{
  if (size > QN_CSR_MAX_INPUT) {
    return QN_E_LIMIT;
  }
  qn__crypto_begin();
  int rc = size > 0 && *(const uint8_t *)data == 0x30 ? parse_der(data, (long)size, out)
                                                      : parse_pem(data, size, out);
  ERR_clear_error();
  return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

int qn_csr_to_der(const qn_csr_t *csr, qn_cert_bytes_t *out)
{
  int n = i2d_X509_REQ(csr->req, NULL);
  uint8_t *p = n > 0 ? qn_malloc((size_t)n) : NULL;
  if (p == NULL) {
    return n > 0 ? -ENOMEM : qn__ossl_fail(QN_E_CERT_FORMAT);
  }
  *out = (qn_cert_bytes_t){p, (size_t)n};
  i2d_X509_REQ(csr->req, &p);
  return 0;
}

int qn_csr_to_pem(const qn_csr_t *csr, qn_cert_bytes_t *out)
{
  BIO *bio = BIO_new(BIO_s_mem());
  bool ok = bio != NULL && PEM_write_bio_X509_REQ(bio, csr->req) == 1;
  return qn__ossl_take(bio, ok, -ENOMEM, &out->data, &out->size);
}

/* --- what it says ----------------------------------------------------------------------------- */

bool qn_csr_equal(const qn_csr_t *a, const qn_csr_t *b)
{
  qn_cert_bytes_t one = {NULL, 0}, other = {NULL, 0};
  bool same = a == b || (qn_csr_to_der(a, &one) == 0 && qn_csr_to_der(b, &other) == 0 &&
                         one.data != NULL && other.data != NULL && one.size == other.size &&
                         memcmp(one.data, other.data, one.size) == 0);
  qn_free(one.data);
  qn_free(other.data);
  return same;
}

int qn_csr_verify(const qn_csr_t *csr)
{
  qn__crypto_begin();
  EVP_PKEY *key = X509_REQ_get0_pubkey(csr->req);
  bool good = key != NULL && EVP_PKEY_get_bits(key) <= QN_KEY_MAX_BITS &&
              X509_REQ_verify(csr->req, key) == 1;
  ERR_clear_error();
  return good ? 0 : QN_E_VERIFY(X509_V_ERR_CERT_SIGNATURE_FAILURE);
}

int qn_csr_public_key(const qn_csr_t *csr, qn_key_t **out)
{
  qn__crypto_begin();
  EVP_PKEY *pkey = X509_REQ_get_pubkey(csr->req);
  return pkey == NULL ? qn__ossl_fail(QN_E_KEY_FORMAT) : qn__key_adopt(pkey, false, out);
}

static int undo(int rc, qn_cert_list_t *out)
{
  if (rc != 0) {
    qn_cert_list_free(out);
  }
  ERR_clear_error();
  return rc;
}

int qn_csr_subject(const qn_csr_t *csr, qn_cert_list_t *out)
{
  return undo(qn__list_name(X509_REQ_get_subject_name(csr->req), out), out);
}

/* NULL: it asks for none, or what it asks for cannot be read. */
static STACK_OF(X509_EXTENSION) * extensions_of(const qn_csr_t *csr)
{
  STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(csr->req);
  ERR_clear_error();
  return list;
}

int qn_csr_names(const qn_csr_t *csr, qn_cert_list_t *out)
{
  STACK_OF(X509_EXTENSION) *list = extensions_of(csr);
  GENERAL_NAMES *names =
      list != NULL ? X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL) : NULL;
  int rc = qn__list_general(names, out);
  GENERAL_NAMES_free(names);
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  return undo(rc, out);
}

int qn_csr_extensions(const qn_csr_t *csr, qn_cert_list_t *out)
{
  STACK_OF(X509_EXTENSION) *list = extensions_of(csr);
  int rc = 0;
  for (int i = 0; rc == 0 && i < sk_X509_EXTENSION_num(list); i++) {
    rc = qn__list_extension(sk_X509_EXTENSION_value(list, i), out);
  }
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  return undo(rc, out);
}

int qn_csr_usages(const qn_csr_t *csr, qn_cert_list_t *out)
{
  STACK_OF(X509_EXTENSION) *list = extensions_of(csr);
  EXTENDED_KEY_USAGE *usages =
      list != NULL ? X509V3_get_d2i(list, NID_ext_key_usage, NULL, NULL) : NULL;
  int rc = 0;
  for (int i = 0; rc == 0 && !out->cut && i < sk_ASN1_OBJECT_num(usages); i++) {
    rc = qn__list_add(out, QN_CERT_USAGE, sk_ASN1_OBJECT_value(usages, i), NULL, 0);
  }
  EXTENDED_KEY_USAGE_free(usages);
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  return undo(rc, out);
}

uint32_t qn_csr_key_usage(const qn_csr_t *csr)
{
  STACK_OF(X509_EXTENSION) *list = extensions_of(csr);
  ASN1_BIT_STRING *value = list != NULL ? X509V3_get_d2i(list, NID_key_usage, NULL, NULL) : NULL;
  uint32_t bits = value != NULL ? 0 : UINT32_MAX;
  for (int i = 0; value != NULL && i < QN_CERT_KEY_USAGES; i++) {
    bits |= ASN1_BIT_STRING_get_bit(value, i) != 0 ? 1U << i : 0;
  }
  ASN1_BIT_STRING_free(value);
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  ERR_clear_error();
  return bits;
}

/* --- making ----------------------------------------------------------------------------------- */

static int fill(X509_REQ *req, const qn_cert_plan_t *plan, const qn_key_t *key)
{
  X509_NAME *subject = NULL;
  STACK_OF(X509_EXTENSION) *list = NULL;
  int rc = qn__cert_subject_of(plan, &subject);
  if (rc == 0 && subject == NULL && (subject = X509_NAME_new()) == NULL) {
    rc = qn__ossl_fail(-ENOMEM);
  }
  if (rc == 0) {
    rc = qn__cert_extensions_of(plan, key->pkey, subject, true, &list);
  }
  if (rc == 0 &&
      (X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
       X509_REQ_set_pubkey(req, key->pkey) != 1 || X509_REQ_set_subject_name(req, subject) != 1 ||
       (sk_X509_EXTENSION_num(list) > 0 && X509_REQ_add_extensions(req, list) != 1))) {
    rc = qn__ossl_fail(QN_E_CRYPTO);
  }
  X509_NAME_free(subject);
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  return rc;
}

int qn_csr_make(qn_cert_plan_t *plan, const qn_key_t *key, qn_csr_t **out)
{
  qn__crypto_begin();
  plan->why.text[0] = '\0';
  int rc = qn__cert_check_plan(plan, 0, false);
  EVP_MD_CTX *signer = rc == 0 ? qn__cert_signer(plan, key, &rc) : NULL;
  X509_REQ *req = rc == 0 ? X509_REQ_new() : NULL;
  if (rc == 0) {
    rc = req != NULL ? fill(req, plan, key) : qn__ossl_fail(-ENOMEM);
  }
  if (rc == 0 && X509_REQ_sign_ctx(req, signer) <= 0) {
    rc = qn__crypto_failed(QN_E_CRYPTO);
  }
  EVP_MD_CTX_free(signer);
  if (rc < 0) {
    X509_REQ_free(req);
  } else {
    rc = wrap(req, out);
  }
  ERR_clear_error();
  return rc;
}

/* cert_parse.c: certificates out of bytes: PEM, DER, bundles of both, PKCS#7.
 *
 * Called by the bindings and by whoever reads files of certificates. What else is in PEM text
 * (keys, words) is skipped and forgotten. Bounded by QN_CERT_MAX_INPUT, QN_CERT_MAX_SIZE and the
 * caller's `most`. Must not keep pointers into the data. Invariant: a failure adds nothing to the
 * list, and says where it is.
 */
#include "tls/cert_i.h"
#include "tls/crypto_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <stdio.h>
#include <string.h>

typedef struct reading {
  const uint8_t *data;
  size_t size, most;
  qn_certs_t found;
  qn_cert_fault_t *fault;
} reading_t;

/* `at` = where the bytes in question begin. Takes OpenSSL's reason when `why` is NULL. */
static int fail(reading_t *r, int code, size_t at, bool pem, const char *why)
{
  const char *reason = ERR_reason_error_string(ERR_peek_error()); /* the innermost one */
  code = qn__ossl_fail(code);
  qn_cert_fault_t *f = r->fault;
  if (f == NULL) {
    return code;
  }
  *f = (qn_cert_fault_t){.index = r->found.count, .offset = at};
  if (pem) {
    f->line = 1;
    for (size_t i = 0; i < at; i++) {
      f->line += r->data[i] == '\n';
    }
  }
  const char *text = why != NULL ? why : reason != NULL ? reason : "it is not a certificate";
  if (pem) {
    snprintf(f->text, sizeof f->text, "certificate %zu (line %zu): %s", f->index + 1, f->line,
             text);
  } else {
    snprintf(f->text, sizeof f->text, "certificate %zu (byte %zu): %s", f->index + 1, at, text);
  }
  return code;
}

/* About the whole of it. */
static int fail_all(reading_t *r, int code, const char *why, const char *other)
{
  if (r->fault != NULL) {
    *r->fault = (qn_cert_fault_t){.index = r->found.count};
    snprintf(r->fault->text, sizeof r->fault->text, "%s%s", why, other);
  }
  return code;
}

/* Nothing that begins as a certificate. */
static int fail_none(reading_t *r, const char *other)
{
  const char *why = r->size == 0       ? "no certificate: there is nothing"
                    : other[0] != '\0' ? "no certificate, but PEM of another kind: "
                                       : "no certificate: neither PEM nor DER";
  return fail_all(r, QN_E_CERT_FORMAT, why, other);
}

static int take(reading_t *r, X509 *x509)
{
  qn_cert_t *cert = qn__cert_wrap(x509);
  int rc = cert == NULL ? -ENOMEM : qn_certs_add(&r->found, cert);
  qn_cert_release(cert);
  return rc;
}

/* --- PKCS#7 ---------------------------------------------------------------------------------- */

/* A SEQUENCE that begins with an object identifier is no certificate. */
static bool is_pkcs7(const uint8_t *p, size_t size)
{
  long n = 0;
  int tag = 0, class = 0;
  const uint8_t *end = p + size;
  int flags = ASN1_get_object(&p, &n, &tag, &class, (long)size);
  ERR_clear_error();
  return (flags & 0x80) == 0 && tag == V_ASN1_SEQUENCE && p < end && *p == V_ASN1_OBJECT;
}

static int take_pkcs7(reading_t *r, const uint8_t **at, size_t size, size_t where, bool pem)
{
  PKCS7 *p7 = d2i_PKCS7(NULL, at, (long)size);
  if (p7 == NULL || !PKCS7_type_is_signed(p7) || p7->d.sign == NULL) {
    bool other = p7 != NULL;
    PKCS7_free(p7);
    return fail(r, QN_E_CERT_FORMAT, where, pem,
                other ? "a PKCS#7 structure without certificates" : NULL);
  }
  int rc = 0, n = p7->d.sign->cert != NULL ? sk_X509_num(p7->d.sign->cert) : 0;
  for (int i = 0; rc == 0 && i < n && r->found.count < r->most; i++) {
    X509 *x509 = sk_X509_value(p7->d.sign->cert, i);
    X509_up_ref(x509);
    rc = take(r, x509);
  }
  PKCS7_free(p7);
  return rc;
}

/* --- DER ------------------------------------------------------------------------------------- */

static int parse_der(reading_t *r)
{
  const uint8_t *p = r->data, *end = r->data + r->size;
  if (is_pkcs7(p, r->size)) {
    int rc = take_pkcs7(r, &p, r->size, 0, false);
    return rc == 0 && p != end ? fail(r, QN_E_CERT_FORMAT, (size_t)(p - r->data), false,
                                      "there is more behind the PKCS#7 structure")
                               : rc;
  }
  while (p < end && r->found.count < r->most) {
    const uint8_t *begin = p;
    X509 *x509 = d2i_X509(NULL, &p, (long)(end - p));
    size_t at = (size_t)(begin - r->data);
    if (x509 == NULL) {
      return fail(r, QN_E_CERT_FORMAT, at, false, NULL);
    }
    if (p - begin > QN_CERT_MAX_SIZE) {
      X509_free(x509);
      return fail(r, QN_E_LIMIT, at, false, "it is larger than 1 MiB");
    }
    int rc = take(r, x509);
    if (rc != 0) {
      return rc;
    }
  }
  return 0;
}

/* --- PEM ------------------------------------------------------------------------------------- */

typedef struct block {
  char *name, *header;
  uint8_t *data;
  long size;
  size_t at;
} block_t;

static bool is_name(const block_t *b, const char *name) { return strcmp(b->name, name) == 0; }

static int take_x509(reading_t *r, const block_t *b)
{
  const uint8_t *p = b->data;
  bool trusted = is_name(b, PEM_STRING_X509_TRUSTED);
  X509 *x509 = NULL;
  if (b->size > QN_CERT_MAX_SIZE) {
    return fail(r, QN_E_LIMIT, b->at, true, "it is larger than 1 MiB");
  }
  x509 = trusted ? d2i_X509_AUX(NULL, &p, b->size) : d2i_X509(NULL, &p, b->size);
  if (x509 == NULL) {
    return fail(r, QN_E_CERT_FORMAT, b->at, true, NULL);
  }
  if (p != b->data + b->size) {
    X509_free(x509);
    return fail(r, QN_E_CERT_FORMAT, b->at, true, "there is more behind the certificate");
  }
  return take(r, x509);
}

static int take_block(reading_t *r, const block_t *b, char *other, size_t other_size)
{
  const uint8_t *p = b->data;
  if (is_name(b, PEM_STRING_X509) || is_name(b, PEM_STRING_X509_OLD) ||
      is_name(b, PEM_STRING_X509_TRUSTED)) {
    return take_x509(r, b);
  }
  if (is_name(b, PEM_STRING_PKCS7) || is_name(b, PEM_STRING_PKCS7_SIGNED) ||
      is_name(b, PEM_STRING_CMS)) {
    return take_pkcs7(r, &p, (size_t)b->size, b->at, true);
  }
  snprintf(other, other_size, "%.40s", b->name);
  for (char *c = other; *c != '\0'; c++) {
    *c = *c < ' ' || *c > '~' ? '?' : *c; /* it goes into a message */
  }
  return 0;
}

/* The first "-----BEGIN" from `from` on. */
static size_t block_begin(const reading_t *r, size_t from)
{
  static const char mark[] = "-----BEGIN";
  const void *p = memmem(r->data + from, r->size - from, mark, sizeof mark - 1);
  return p != NULL ? (size_t)((const uint8_t *)p - r->data) : from;
}

static int parse_pem(reading_t *r)
{
  char other[48] = "";
  BIO *bio = qn__ossl_source(r->data, r->size);
  int rc = bio == NULL ? -ENOMEM : 0;
  while (rc == 0 && r->found.count < r->most) {
    block_t b = {.at = block_begin(r, r->size - (size_t)BIO_ctrl_pending(bio))};
    if (PEM_read_bio(bio, &b.name, &b.header, &b.data, &b.size) != 1) {
      unsigned long e = ERR_peek_last_error();
      bool over = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
      rc = over ? 0 : fail(r, QN_E_CERT_FORMAT, b.at, true, NULL);
      ERR_clear_error();
      break;
    }
    rc = take_block(r, &b, other, sizeof other);
    OPENSSL_free(b.name);
    OPENSSL_free(b.header);
    OPENSSL_clear_free(b.data, (size_t)b.size); /* a bundle may hold keys, too */
  }
  BIO_free(bio);
  return rc == 0 && r->found.count == 0 ? fail_none(r, other) : rc;
}

/* --------------------------------------------------------------------------------------------- */

/* Never the first two bytes of text. No certificate is shorter than 128 bytes. */
static bool is_der(const uint8_t *p, size_t size)
{
  return size > 1 && p[0] == 0x30 && p[1] >= 0x80;
}

static int parse(reading_t *r)
{
  if (r->size > QN_CERT_MAX_INPUT) {
    return fail_all(r, QN_E_LIMIT, "certificates of more than 16 MiB", "");
  }
  int rc = is_der(r->data, r->size) ? parse_der(r) : parse_pem(r);
  if (rc == 0 && r->found.count == 0) {
    return fail_none(r, "");
  }
  return rc == 0 && r->found.count > QN_CERT_MAX_BUNDLE
             ? fail_all(r, QN_E_LIMIT, "more than 4096 certificates", "")
             : rc;
}

int qn_certs_read(const void *data, size_t size, bool first, qn_certs_t *list,
                  qn_cert_fault_t *fault)
{
  reading_t r = {data, size, first ? 1 : QN_CERT_MAX_BUNDLE + 1, {NULL, 0, 0}, fault};
  static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* some editors put it before PEM */
  if (fault != NULL) {
    *fault = (qn_cert_fault_t){.index = 0};
  }
  if (size >= sizeof mark && memcmp(data, mark, sizeof mark) == 0) {
    r.data += sizeof mark;
    r.size -= sizeof mark;
  }
  qn__crypto_begin();
  int rc = parse(&r);
  for (size_t i = 0; rc == 0 && i < r.found.count; i++) {
    rc = qn_certs_add(list, r.found.items[i]);
  }
  qn_certs_free(&r.found);
  return rc;
}

int qn_certs_parse(const void *data, size_t size, qn_certs_t *list)
{
  return qn_certs_read(data, size, false, list, NULL);
}

int qn_cert_parse(const void *data, size_t size, qn_cert_t **out)
{
  qn_certs_t list = {NULL, 0, 0};
  int rc = qn_certs_read(data, size, true, &list, NULL);
  if (rc == 0) {
    *out = qn_cert_retain(list.items[0]);
  }
  qn_certs_free(&list);
  return rc;
}

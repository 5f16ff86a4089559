/* cert_print.c: certificates and requests as text for people, of several lines.
 *
 * OpenSSL prints the strings of extensions and attributes as they are: one with a line break in it
 * could write lines of its own. So extensions are printed from copies without line breaks, and the
 * whole is made harmless in the end. Called by the bindings. Must not change what it prints.
 */
#include "codec/percent.h"
#include "tls/cert_make_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#define NAMES (XN_FLAG_ONELINE & ~(unsigned long)ASN1_STRFLGS_ESC_MSB)
#define DEPTH_MAX 32
#define NOTHING_HERE (DEPTH_MAX + 1)

/* --- characters ------------------------------------------------------------------------------- */

/* Control characters, and what has no form but changes lines or the direction of text. */
static bool steers(int32_t c)
{
  return c < ' ' || (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

int qn_cert_next_shown(const void *text, size_t size)
{
  const uint8_t *from = text, *p = from;
  int32_t c = qn__utf8_next(&p, from + size); /* -1: no UTF-8 */
  int n = (int)(p - from);
  return steers(c) ? -n : n;
}

void qn__cert_harmless(uint8_t *text, size_t size)
{
  for (size_t i = 0; i < size;) {
    int n = qn_cert_next_shown(text + i, size - i);
    size_t step = (size_t)(n < 0 ? -n : n);
    if (n < 0 && text[i] != '\n') {
      memset(text + i, '.', step);
    }
    i += step;
  }
}

/* --- extensions ------------------------------------------------------------------------------- */

static void one_line(uint8_t *p, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    p[i] = p[i] == '\n' ? '.' : p[i];
  }
}

/* How deep a context tag is that of a name (a mail address, a DNS name, a URI), not of a number. */
static int depth_of_names(int nid)
{
  switch (nid) {
  case NID_authority_key_identifier:
  case NID_issuing_distribution_point: return 2;
  case NID_crl_distribution_points:
  case NID_freshest_crl: return 3;
  case NID_policy_constraints: return NOTHING_HERE;
  default: return 1;
  }
}

static bool is_text(int tag, int class, int depth, int nid)
{
  if (class == V_ASN1_CONTEXT_SPECIFIC) {
    return (tag == GEN_EMAIL || tag == GEN_DNS || tag == GEN_URI) && depth >= depth_of_names(nid);
  }
  return class == V_ASN1_UNIVERSAL &&
         (tag == V_ASN1_UTF8STRING || (tag >= V_ASN1_NUMERICSTRING && tag <= V_ASN1_IA5STRING) ||
          (tag >= V_ASN1_GRAPHICSTRING && tag <= V_ASN1_BMPSTRING) ||
          (tag == V_ASN1_OCTET_STRING && nid == NID_proxyCertInfo));
}

/* The strings in DER. What is no DER has no structure to be kept. */
static void clean(uint8_t *data, size_t size, int depth, int nid)
{
  const uint8_t *end = data + size;
  while (data < end) {
    const uint8_t *p = data;
    long n = 0;
    int tag = 0, class = 0, flags = ASN1_get_object(&p, &n, &tag, &class, end - data);
    if ((flags & 0x81) != 0 || depth > DEPTH_MAX) { /* an error; a length that is not told */
      one_line(data, (size_t)(end - data));
      return;
    }
    uint8_t *content = data + (p - data);
    if ((flags & V_ASN1_CONSTRUCTED) != 0) {
      clean(content, (size_t)n, depth + 1, nid);
    } else if (is_text(tag, class, depth, nid)) {
      one_line(content, (size_t)n);
    }
    data = content + n;
  }
}

static bool can_be_read(X509_EXTENSION *ext)
{
  const X509V3_EXT_METHOD *method = X509V3_EXT_get(ext);
  void *value = method != NULL ? X509V3_EXT_d2i(ext) : NULL;
  if (value != NULL && method->it != NULL) {
    ASN1_item_free(value, ASN1_ITEM_ptr(method->it));
  } else if (value != NULL) {
    method->ext_free(value);
  }
  return value != NULL;
}

/* False: out of memory. */
static bool clean_extension(X509_EXTENSION *ext)
{
  ASN1_OCTET_STRING *s = X509_EXTENSION_get_data(ext);
  const uint8_t *data = ASN1_STRING_get0_data(s);
  size_t size = (size_t)ASN1_STRING_length(s);
  if (size == 0 || memchr(data, '\n', size) == NULL) {
    return true;
  }
  uint8_t *copy = OPENSSL_memdup(data, size);
  if (copy == NULL) {
    return false;
  }
  if (can_be_read(ext)) {
    clean(copy, size, 0, OBJ_obj2nid(X509_EXTENSION_get_object(ext)));
  } else {
    one_line(copy, size); /* it is shown as bytes */
  }
  ASN1_STRING_set0(s, copy, (int)size);
  return true;
}

/* Cleans `list` itself. */
static bool print_extensions(BIO *bio, const char *title, STACK_OF(X509_EXTENSION) * list,
                             int indent)
{
  for (int i = 0; i < sk_X509_EXTENSION_num(list); i++) {
    if (!clean_extension(sk_X509_EXTENSION_value(list, i))) {
      return false;
    }
  }
  return sk_X509_EXTENSION_num(list) <= 0 ||
         X509V3_extensions_print(bio, title, list, 0, indent) == 1;
}

static STACK_OF(X509_EXTENSION) * copy_extensions(const X509 *x509)
{
  const STACK_OF(X509_EXTENSION) *from = X509_get0_extensions(x509);
  return from != NULL ? sk_X509_EXTENSION_deep_copy(from, X509_EXTENSION_dup, X509_EXTENSION_free)
                      : sk_X509_EXTENSION_new_null();
}

/* --- the whole -------------------------------------------------------------------------------- */

static int take(BIO *bio, bool ok, qn_cert_bytes_t *out)
{
  int rc = qn__ossl_take(bio, ok, QN_E_CERT_FORMAT, &out->data, &out->size);
  if (rc == 0) {
    qn__cert_harmless(out->data, out->size);
  }
  ERR_clear_error(); /* of what cannot be printed */
  return rc;
}

int qn_cert_to_text(const qn_cert_t *cert, qn_cert_bytes_t *out)
{
  const ASN1_BIT_STRING *signature = NULL;
  const X509_ALGOR *algorithm = NULL;
  BIO *bio = BIO_new(BIO_s_mem());
  STACK_OF(X509_EXTENSION) *list = copy_extensions(cert->x509);
  X509_get0_signature(&signature, &algorithm, cert->x509);
  bool ok = bio != NULL && list != NULL &&
            X509_print_ex(bio, cert->x509, NAMES,
                          X509_FLAG_NO_EXTENSIONS | X509_FLAG_NO_SIGDUMP | X509_FLAG_NO_AUX) == 1 &&
            print_extensions(bio, "X509v3 extensions", list, 8) &&
            X509_signature_print(bio, algorithm, signature) == 1 &&
            X509_aux_print(bio, cert->x509, 0) == 1;
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  return take(bio, ok, out);
}

/* --- requests --------------------------------------------------------------------------------- */

/* Of a copy. */
static bool clean_attributes(X509_REQ *req)
{
  bool ok = true;
  for (int i = 0; ok && i < X509_REQ_get_attr_count(req); i++) {
    X509_ATTRIBUTE *a = X509_REQ_get_attr(req, i);
    for (int k = 0; ok && k < X509_ATTRIBUTE_count(a); k++) {
      const ASN1_TYPE *value = X509_ATTRIBUTE_get0_type(a, k);
      if (!is_text(value->type, V_ASN1_UNIVERSAL, 0, NID_undef)) {
        continue;
      }
      ASN1_STRING *s = value->value.asn1_string;
      size_t size = (size_t)ASN1_STRING_length(s);
      uint8_t *copy = size > 0 ? OPENSSL_memdup(ASN1_STRING_get0_data(s), size) : NULL;
      ok = size == 0 || copy != NULL;
      if (copy != NULL) {
        one_line(copy, size);
        ASN1_STRING_set0(s, copy, (int)size);
      }
    }
  }
  return ok;
}

int qn_csr_to_text(const qn_csr_t *csr, qn_cert_bytes_t *out)
{
  const ASN1_BIT_STRING *signature = NULL;
  const X509_ALGOR *algorithm = NULL;
  BIO *bio = BIO_new(BIO_s_mem());
  X509_REQ *req = X509_REQ_dup(csr->req);
  STACK_OF(X509_EXTENSION) *list = req != NULL ? X509_REQ_get_extensions(req) : NULL;
  bool ok =
      bio != NULL && req != NULL && clean_attributes(req) &&
      X509_REQ_print_ex(bio, req, NAMES, X509_FLAG_NO_EXTENSIONS | X509_FLAG_NO_SIGDUMP) == 1 &&
      print_extensions(bio, "Requested Extensions", list, 12);
  if (ok) {
    X509_REQ_get0_signature(req, &signature, &algorithm);
    ok = X509_signature_print(bio, algorithm, signature) == 1;
  }
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  X509_REQ_free(req);
  return take(bio, ok, out);
}

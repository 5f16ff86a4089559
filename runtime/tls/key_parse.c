/* key_parse.c: keys from PEM and DER, plain and encrypted.
 *
 * Called by the bindings and by configurations. The data may come from a stranger: its size, the
 * bits of the key and the work that its passphrase costs are checked before anything expensive is
 * done. Each form is told apart by its label or its first tags, never by trying a passphrase on
 * everything. Must not ask anybody for a passphrase: OpenSSL's default would read the terminal.
 */
#include "tls/crypto_i.h"
#include "tls/key_i.h"
#include "tls/pbe_i.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

typedef struct source {
  const unsigned char *data;
  long size;
  const char *pass;
  int pass_size;
} source_t;

/* Takes `pkey`; NULL = what failed just now. */
static int adopt(EVP_PKEY *pkey, bool is_private, qn_key_t **out)
{
  return pkey != NULL ? qn__key_adopt(pkey, is_private, out) : qn__crypto_failed(QN_E_KEY_FORMAT);
}

/* --- PKCS#8 ------------------------------------------------------------------------------------
 */

/* Where the public key begins that version 2 (RFC 5958) may have at its end, tag [1]; NULL: there
 * is none. */
static const unsigned char *public_part(const unsigned char *p, long size)
{
  const unsigned char *end = p + size, *last = NULL;
  long length = 0;
  int tag = 0, class = 0;
  if ((ASN1_get_object(&p, &length, &tag, &class, size) & 0x81) != 0) {
    return NULL;
  }
  while (p < end) {
    last = p;
    if ((ASN1_get_object(&p, &length, &tag, &class, end - p) & 0x81) != 0) {
      return NULL;
    }
    p += length;
  }
  return last != NULL && class == V_ASN1_CONTEXT_SPECIFIC && tag == 1 ? last : NULL;
}

/* OpenSSL 3.0 knows version 1 only: the private key says the same without the public one. */
static PKCS8_PRIV_KEY_INFO *read_info(const unsigned char **p, long size)
{
  const unsigned char *in = *p, *rest = public_part(in, size);
  if (rest == NULL) {
    ERR_clear_error();
    return d2i_PKCS8_PRIV_KEY_INFO(NULL, p, size);
  }
  long whole = 0;
  int tag, class;
  const unsigned char *body = in;
  (void)ASN1_get_object(&body, &whole, &tag, &class, size);
  int left = (int)(rest - body), total = ASN1_object_size(1, left, V_ASN1_SEQUENCE);
  unsigned char *copy = total > 0 ? qn_malloc((size_t)total) : NULL, *out = copy;
  PKCS8_PRIV_KEY_INFO *info = NULL;
  if (copy != NULL) {
    const unsigned char *from = copy;
    ASN1_put_object(&out, 1, left, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    memcpy(out, body, (size_t)left);
    info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &from, total);
    *p = info != NULL ? in + size : in;
    explicit_bzero(copy, (size_t)total);
    qn_free(copy);
  }
  return info;
}

/* Takes `info`. */
static int from_info(PKCS8_PRIV_KEY_INFO *info, qn_key_t **out)
{
  EVP_PKEY *pkey = EVP_PKCS82PKEY(info);
  PKCS8_PRIV_KEY_INFO_free(info);
  return adopt(pkey, true, out);
}

/* Takes `sealed`. */
static int from_sealed(X509_SIG *sealed, const source_t *s, qn_key_t **out)
{
  const X509_ALGOR *algorithm;
  const ASN1_OCTET_STRING *bytes;
  X509_SIG_get0(sealed, &algorithm, &bytes);
  uint64_t work;
  int rc = qn__pbe_work(algorithm, &work);
  if (rc == 0 && s->pass == NULL) {
    rc = QN_E_KEY_PASSPHRASE;
  }
  PKCS8_PRIV_KEY_INFO *info = NULL;
  if (rc == 0) {
    ERR_clear_error();
    unsigned char *plain = NULL;
    int size = 0;
    if (PKCS12_pbe_crypt(algorithm, s->pass, s->pass_size, ASN1_STRING_get0_data(bytes),
                         ASN1_STRING_length(bytes), &plain, &size, 0) != NULL) {
      const unsigned char *p = plain;
      info = read_info(&p, size);
    }
    OPENSSL_clear_free(plain, (size_t)size);
    rc = info != NULL ? 0 : qn__crypto_failed(QN_E_KEY_PASSPHRASE);
  }
  X509_SIG_free(sealed);
  ERR_clear_error();
  return rc < 0 ? rc : from_info(info, out);
}

/* --- DER ---------------------------------------------------------------------------------------
 */

typedef int decode_fn(const unsigned char **p, long size, const source_t *s, qn_key_t **out);

static int decode_info(const unsigned char **p, long size, const source_t *s, qn_key_t **out)
{
  (void)s;
  PKCS8_PRIV_KEY_INFO *info = read_info(p, size);
  return info != NULL ? from_info(info, out) : QN_E_KEY_FORMAT;
}

static int decode_sealed(const unsigned char **p, long size, const source_t *s, qn_key_t **out)
{
  X509_SIG *sealed = d2i_X509_SIG(NULL, p, size);
  return sealed != NULL ? from_sealed(sealed, s, out) : QN_E_KEY_FORMAT;
}

static int decode_public(const unsigned char **p, long size, const source_t *s, qn_key_t **out)
{
  (void)s;
  return adopt(d2i_PUBKEY(NULL, p, size), false, out);
}

static int decode_rsa_public(const unsigned char **p, long size, const source_t *s, qn_key_t **out)
{
  (void)s;
  return adopt(d2i_PublicKey(EVP_PKEY_RSA, NULL, p, size), false, out);
}

static int decode_old(int type, const unsigned char **p, long size, qn_key_t **out)
{
  return adopt(d2i_PrivateKey(type, NULL, p, size), true, out);
}

static int decode_rsa(const unsigned char **p, long size, const source_t *s, qn_key_t **out)
{
  (void)s;
  return decode_old(EVP_PKEY_RSA, p, size, out);
}

static int decode_ec(const unsigned char **p, long size, const source_t *s, qn_key_t **out)
{
  (void)s;
  return decode_old(EVP_PKEY_EC, p, size, out);
}

static int decode_dsa(const unsigned char **p, long size, const source_t *s, qn_key_t **out)
{
  (void)s;
  return decode_old(EVP_PKEY_DSA, p, size, out);
}

/* The outermost SEQUENCE must span all of the data; OpenSSL's readers stop where they are content.
 */
static bool is_one_sequence(const unsigned char *data, long size)
{
  const unsigned char *p = data;
  long length = 0;
  int tag = 0, class = 0;
  int flags = size > 0 ? ASN1_get_object(&p, &length, &tag, &class, size) : 0x80;
  ERR_clear_error();
  return (flags & 0x81) == 0 && tag == V_ASN1_SEQUENCE && class == V_ASN1_UNIVERSAL &&
         length == size - (p - data);
}

static int decode(decode_fn *f, const unsigned char *data, long size, const source_t *s,
                  qn_key_t **out)
{
  const unsigned char *p = data;
  if (!is_one_sequence(data, size)) {
    return QN_E_KEY_FORMAT;
  }
  qn_key_t *k = NULL;
  int rc = f(&p, size, s, &k);
  ERR_clear_error();
  if (rc == 0 && p != data + size) {
    qn_key_release(k);
    rc = QN_E_KEY_FORMAT;
  }
  if (rc == 0) {
    *out = k;
  }
  return rc;
}

/* The tags of the first elements and how many there are say which form it is. */
static int parse_der(const source_t *s, qn_key_t **out)
{
  enum { DSA_ELEMENTS = 6, MOST = 16 };
  const unsigned char *p = s->data, *end = s->data + s->size;
  int tags[2] = {-1, -1}, tag, class, count = 0;
  long length = 0;
  if (!is_one_sequence(s->data, s->size)) {
    return QN_E_KEY_FORMAT;
  }
  ASN1_get_object(&p, &length, &tag, &class, s->size);
  for (; count < MOST && p < end; count++) {
    if ((ASN1_get_object(&p, &length, &tag, &class, end - p) & 0x81) != 0) {
      ERR_clear_error();
      return QN_E_KEY_FORMAT;
    }
    if (count < 2) {
      tags[count] = tag;
    }
    p += length;
  }
  if (tags[0] == V_ASN1_SEQUENCE) {
    return decode(tags[1] == V_ASN1_OCTET_STRING ? decode_sealed : decode_public, s->data, s->size,
                  s, out);
  }
  if (tags[0] != V_ASN1_INTEGER) {
    return QN_E_KEY_FORMAT;
  }
  if (tags[1] == V_ASN1_SEQUENCE) {
    return decode(decode_info, s->data, s->size, s, out);
  }
  if (tags[1] == V_ASN1_OCTET_STRING) {
    return decode(decode_ec, s->data, s->size, s, out);
  }
  return decode(count == 2              ? decode_rsa_public
                : count == DSA_ELEMENTS ? decode_dsa
                                        : decode_rsa,
                s->data, s->size, s, out);
}

/* --- PEM ---------------------------------------------------------------------------------------
 */

static const struct label {
  const char *name;
  decode_fn *decode;
} labels[] = {{PEM_STRING_PKCS8INF, decode_info},        {PEM_STRING_PKCS8, decode_sealed},
              {PEM_STRING_PUBLIC, decode_public},        {PEM_STRING_RSA, decode_rsa},
              {PEM_STRING_ECPRIVATEKEY, decode_ec},      {PEM_STRING_DSA, decode_dsa},
              {PEM_STRING_RSA_PUBLIC, decode_rsa_public}};

static int give_pass(char *out, int room, int writing, void *u)
{
  const source_t *s = u;
  (void)writing;
  if (s->pass == NULL || s->pass_size > room) {
    return -1;
  }
  memcpy(out, s->pass, (size_t)s->pass_size);
  return s->pass_size;
}

/* Undoes the older encryption of a block (a header above it names the cipher), in place. */
static int unseal_block(char *header, unsigned char *data, long *size, source_t *s, bool *sealed)
{
  EVP_CIPHER_INFO info;
  if (PEM_get_EVP_CIPHER_INFO(header, &info) != 1) {
    return qn__crypto_failed(QN_E_KEY_FORMAT);
  }
  *sealed = info.cipher != NULL;
  if (!*sealed) {
    return 0;
  }
  if (s->pass == NULL) {
    return QN_E_KEY_PASSPHRASE;
  }
  return PEM_do_header(&info, data, size, give_pass, s) == 1
             ? 0
             : qn__crypto_failed(QN_E_KEY_PASSPHRASE);
}

static int parse_block(const struct label *label, char *header, unsigned char *data, long size,
                       source_t *s, qn_key_t **out)
{
  bool sealed = false;
  int rc = unseal_block(header, data, &size, s, &sealed);
  if (rc < 0) {
    return rc;
  }
  rc = decode(label->decode, data, size, s, out);
  /* One wrong passphrase of 256 leaves good padding around nonsense. */
  return rc == QN_E_KEY_FORMAT && sealed ? QN_E_KEY_PASSPHRASE : rc;
}

static const struct label *label_of(const char *name)
{
  for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
    if (strcmp(labels[i].name, name) == 0) {
      return &labels[i];
    }
  }
  return NULL;
}

static int parse_pem(source_t *s, qn_key_t **out)
{
  BIO *bio = BIO_new_mem_buf(s->data, (int)s->size);
  int rc = bio != NULL ? 1 : -ENOMEM;
  while (rc == 1) {
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long size = 0;
    if (PEM_read_bio(bio, &name, &header, &data, &size) != 1) {
      rc = qn__crypto_failed(QN_E_KEY_FORMAT);
      break;
    }
    const struct label *label = label_of(name);
    if (label != NULL) {
      rc = parse_block(label, header, data, size, s, out);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, (size_t)size);
  }
  BIO_free(bio);
  return rc;
}

int qn_key_parse(const void *data, size_t size, const char *pass, size_t pass_size, qn_key_t **out)
{
  static const char begin[] = "-----BEGIN ";
  if (size > QN_KEY_MAX_DATA || pass_size > QN_KEY_MAX_PASSPHRASE) {
    return QN_E_LIMIT;
  }
  qn__crypto_begin();
  source_t s = {data, (long)size, pass, (int)pass_size};
  int rc;
  if (is_one_sequence(s.data, s.size)) {
    rc = parse_der(&s, out);
  } else {
    bool is_pem = false;
    for (size_t i = 0; i + sizeof begin - 1 <= size && !is_pem; i++) {
      is_pem = memcmp(s.data + i, begin, sizeof begin - 1) == 0;
    }
    rc = is_pem ? parse_pem(&s, out) : QN_E_KEY_FORMAT;
  }
  ERR_clear_error();
  return rc;
}

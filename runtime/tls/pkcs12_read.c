/* pkcs12_read.c: what is in a PKCS#12 file (RFC 7292).
 *
 * Called in a thread of the pool, or by C without one. The file may come from a stranger: its size,
 * the number and depth of its bags and the work for its passphrases are bounded, and nothing is
 * decrypted before the MAC is good. The first key counts; its certificate is the one that has it,
 * all others are the chain, in their order.
 */
#include "tls/cert_i.h"
#include "tls/cert_make_i.h"
#include "tls/crypto_i.h"
#include "tls/ossl.h"
#include "tls/pbe_i.h"
#include "tls/pkcs12_i.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

typedef struct reader {
  const char *pass;
  int pass_size;
  qn__pkcs12_budget_t budget;
  qn__pkcs12_t *out;
  ASN1_OCTET_STRING *key_id; /* of the key, a copy */
  qn_cert_why_t *why;
} reader_t;

void qn__pkcs12_free(qn__pkcs12_t *p)
{
  EVP_PKEY_free(p->key);
  X509_free(p->cert);
  sk_X509_pop_free(p->chain, X509_free);
  OPENSSL_free(p->name);
  *p = (qn__pkcs12_t){NULL, NULL, NULL, NULL};
}

static int damaged(qn_cert_why_t *why)
{
  return qn__ossl_fail(0) == -ENOMEM
             ? -ENOMEM
             : qn__cert_refuse(why, QN_E_CERT_FORMAT, "the PKCS#12 file is damaged");
}

/* Whether something may be decrypted: its cost, and whether there is such a cipher. */
static int check_cipher(reader_t *r, const X509_ALGOR *algorithm)
{
  uint64_t work = 0;
  char name[80] = "";
  int cipher = NID_undef, rc = qn__pbe_work(algorithm, &work);
  if (rc == QN_E_KEY_FORMAT) {
    return damaged(r->why);
  }
  if (rc == 0 && OBJ_obj2nid(algorithm->algorithm) != NID_pbes2 &&
      EVP_PBE_find(EVP_PBE_TYPE_OUTER, OBJ_obj2nid(algorithm->algorithm), &cipher, NULL, NULL) ==
          1) {
    EVP_CIPHER *found = EVP_CIPHER_fetch(NULL, OBJ_nid2sn(cipher), NULL);
    rc = found != NULL ? 0 : QN_E_UNSUPPORTED;
    EVP_CIPHER_free(found);
  }
  ERR_clear_error();
  if (rc == QN_E_UNSUPPORTED) {
    OBJ_obj2txt(name, sizeof name, algorithm->algorithm, 0);
    return qn__cert_refuse(r->why, rc, "the file is encrypted with %s, which is not supported",
                           name);
  }
  return qn__pkcs12_spend(&r->budget, work, r->why);
}

/* What cannot be decrypted although the MAC is good. */
static int undecipherable(reader_t *r)
{
  int rc = qn__crypto_failed(QN_E_CERT_FORMAT);
  return rc == -ENOMEM ? rc
         : rc == QN_E_UNSUPPORTED
             ? qn__cert_refuse(r->why, rc, "the file is encrypted with what is not supported")
             : qn__cert_refuse(r->why, rc, "a part of the PKCS#12 file cannot be decrypted");
}

/* --- bags ------------------------------------------------------------------------------------- */

static void take_name(reader_t *r, PKCS12_SAFEBAG *bag)
{
  if (r->out->name == NULL) {
    r->out->name = PKCS12_get_friendlyname(bag);
  }
}

static int take_key(reader_t *r, PKCS12_SAFEBAG *bag, const PKCS8_PRIV_KEY_INFO *info)
{
  if (r->out->key != NULL) {
    return 0;
  }
  r->out->key = EVP_PKCS82PKEY(info);
  if (r->out->key == NULL) {
    return qn__crypto_failed(QN_E_UNSUPPORTED) == -ENOMEM
               ? -ENOMEM
               : qn__cert_refuse(r->why, QN_E_UNSUPPORTED,
                                 "the key in the file is damaged, or of an unknown kind");
  }
  if (EVP_PKEY_get_bits(r->out->key) > QN_KEY_MAX_BITS) {
    return qn__cert_refuse(r->why, QN_E_LIMIT, "the key in the file has more than %d bits",
                           QN_KEY_MAX_BITS);
  }
  const ASN1_TYPE *id = PKCS12_SAFEBAG_get0_attr(bag, NID_localKeyID);
  if (id != NULL && id->type == V_ASN1_OCTET_STRING) {
    r->key_id = ASN1_OCTET_STRING_dup(id->value.octet_string);
  }
  OPENSSL_free(r->out->name); /* that of the key comes before those of certificates */
  r->out->name = NULL;
  take_name(r, bag);
  return 0;
}

static int take_sealed_key(reader_t *r, PKCS12_SAFEBAG *bag)
{
  const X509_ALGOR *algorithm = NULL;
  const ASN1_OCTET_STRING *bytes = NULL;
  const X509_SIG *sealed = PKCS12_SAFEBAG_get0_pkcs8(bag);
  if (r->out->key != NULL) {
    return 0;
  }
  if (sealed == NULL) {
    return damaged(r->why);
  }
  X509_SIG_get0(sealed, &algorithm, &bytes);
  int rc = check_cipher(r, algorithm);
  if (rc < 0) {
    return rc;
  }
  PKCS8_PRIV_KEY_INFO *info = PKCS12_decrypt_skey(bag, r->pass, r->pass_size);
  rc = info != NULL ? take_key(r, bag, info) : undecipherable(r);
  PKCS8_PRIV_KEY_INFO_free(info);
  return rc;
}

static int take_cert(reader_t *r, PKCS12_SAFEBAG *bag)
{
  if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate) {
    return 0;
  }
  X509 *x = PKCS12_SAFEBAG_get1_cert(bag);
  if (x == NULL) {
    return damaged(r->why);
  }
  const ASN1_TYPE *id = PKCS12_SAFEBAG_get0_attr(bag, NID_localKeyID);
  if (id != NULL && id->type == V_ASN1_OCTET_STRING) {
    /* compared when the key is known, which may come behind */
    X509_keyid_set1(x, id->value.octet_string->data, id->value.octet_string->length);
  }
  if (sk_X509_push(r->out->chain, x) == 0) {
    X509_free(x);
    return qn__ossl_fail(-ENOMEM);
  }
  return 0;
}

static int take_bags(reader_t *r, const STACK_OF(PKCS12_SAFEBAG) * bags, int depth);

static int take_bag(reader_t *r, PKCS12_SAFEBAG *bag, int depth)
{
  if (--r->budget.bags < 0 || depth > QN_PKCS12_MAX_DEPTH) {
    return qn__cert_refuse(r->why, QN_E_LIMIT, "there is too much in the PKCS#12 file");
  }
  switch (PKCS12_SAFEBAG_get_nid(bag)) {
  case NID_keyBag: {
    const PKCS8_PRIV_KEY_INFO *info = PKCS12_SAFEBAG_get0_p8inf(bag);
    return info != NULL ? take_key(r, bag, info) : damaged(r->why);
  }
  case NID_pkcs8ShroudedKeyBag: return take_sealed_key(r, bag);
  case NID_certBag: return take_cert(r, bag);
  case NID_safeContentsBag: return take_bags(r, PKCS12_SAFEBAG_get0_safes(bag), depth + 1);
  default: return 0; /* revocation lists, secrets of others */
  }
}

static int take_bags(reader_t *r, const STACK_OF(PKCS12_SAFEBAG) * bags, int depth)
{
  int rc = 0;
  for (int i = 0; rc == 0 && i < sk_PKCS12_SAFEBAG_num(bags); i++) {
    rc = take_bag(r, sk_PKCS12_SAFEBAG_value(bags, i), depth);
  }
  return rc;
}

/* One part of the file: plain, or encrypted. Those for a public key are nothing for us. */
static int take_safe(reader_t *r, PKCS7 *safe)
{
  STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
  int rc = 0;
  if (--r->budget.bags < 0) {
    return qn__cert_refuse(r->why, QN_E_LIMIT, "there is too much in the PKCS#12 file");
  }
  if (PKCS7_type_is_data(safe)) {
    bags = safe->d.data != NULL ? PKCS12_unpack_p7data(safe) : NULL;
    rc = bags != NULL ? 0 : damaged(r->why);
  } else if (PKCS7_type_is_encrypted(safe) && safe->d.encrypted != NULL &&
             safe->d.encrypted->enc_data != NULL &&
             safe->d.encrypted->enc_data->algorithm != NULL) {
    rc = check_cipher(r, safe->d.encrypted->enc_data->algorithm);
    bags = rc == 0 ? PKCS12_unpack_p7encdata(safe, r->pass, r->pass_size) : NULL;
    rc = rc == 0 && bags == NULL ? undecipherable(r) : rc;
  } else {
    return qn__cert_refuse(r->why, QN_E_UNSUPPORTED,
                           "a part of the PKCS#12 file is encrypted for a public key");
  }
  rc = rc < 0 ? rc : take_bags(r, bags, 0);
  sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
  return rc;
}

/* --- the file --------------------------------------------------------------------------------- */

/* The certificate of the key: one with its identifier, else any that has it. */
static void find_leaf(reader_t *r)
{
  int at = -1;
  for (int i = 0; r->out->key != NULL && i < sk_X509_num(r->out->chain); i++) {
    X509 *x = sk_X509_value(r->out->chain, i);
    int n = 0;
    const unsigned char *id = X509_keyid_get0(x, &n);
    bool same = id != NULL && r->key_id != NULL && n == r->key_id->length &&
                memcmp(id, r->key_id->data, (size_t)n) == 0;
    if ((at < 0 || same) && X509_check_private_key(x, r->out->key) == 1) {
      at = i;
      if (same) {
        break;
      }
    }
  }
  for (int i = 0; i < sk_X509_num(r->out->chain); i++) {
    X509_keyid_set1(sk_X509_value(r->out->chain, i), NULL, 0);
  }
  ERR_clear_error();
  if (at >= 0) {
    r->out->cert = sk_X509_delete(r->out->chain, at);
  }
}

static int read_safes(reader_t *r, PKCS12 *p12)
{
  STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
  int rc = safes != NULL ? 0 : damaged(r->why);
  for (int i = 0; rc == 0 && i < sk_PKCS7_num(safes); i++) {
    rc = take_safe(r, sk_PKCS7_value(safes, i));
  }
  sk_PKCS7_pop_free(safes, PKCS7_free);
  return rc;
}

static int open_der(const uint8_t *data, size_t size, const char *pass, size_t pass_size,
                    uint64_t most, qn__pkcs12_t *out, qn_cert_why_t *why)
{
  const uint8_t *p = data;
  PKCS12 *p12 = d2i_PKCS12(NULL, &p, (long)size);
  if (p12 == NULL || p != data + size) {
    PKCS12_free(p12);
    return qn__ossl_fail(0) == -ENOMEM
               ? -ENOMEM
               : qn__cert_refuse(why, QN_E_CERT_FORMAT, "not a PKCS#12 file");
  }
  reader_t r = {.budget = {most, QN_PKCS12_MAX_BAGS}, .out = out, .why = why};
  out->chain = sk_X509_new_null();
  int rc = out->chain != NULL ? 0 : -ENOMEM;
  rc = rc < 0 ? rc : qn__pkcs12_check_mac(data, size, p12, &pass, pass_size, &r.budget, why);
  if (rc == 0) {
    r.pass = pass;
    r.pass_size = pass != NULL ? (int)pass_size : 0;
    rc = read_safes(&r, p12);
  }
  if (rc == 0) {
    find_leaf(&r);
  }
  ASN1_OCTET_STRING_free(r.key_id);
  PKCS12_free(p12);
  return rc;
}

/* PEM text with a block PKCS12; its bytes in DER are for OPENSSL_clear_free. */
static bool from_pem(const uint8_t *data, size_t size, uint8_t **der, long *der_size)
{
  BIO *bio = qn__ossl_source(data, size);
  bool found = false;
  while (bio != NULL && !found) {
    char *name = NULL, *header = NULL;
    if (PEM_read_bio(bio, &name, &header, der, der_size) != 1) {
      break;
    }
    found = strcmp(name, "PKCS12") == 0;
    OPENSSL_free(name);
    OPENSSL_free(header);
    if (!found) {
      OPENSSL_clear_free(*der, (size_t)*der_size);
    }
  }
  BIO_free(bio);
  ERR_clear_error();
  return found;
}

int qn__pkcs12_open(const uint8_t *data, size_t size, const char *pass, size_t pass_size,
                    uint64_t most, qn__pkcs12_t *out, qn_cert_why_t *why)
{
  uint8_t *der = NULL;
  long der_size = 0;
  *out = (qn__pkcs12_t){NULL, NULL, NULL, NULL};
  why->text[0] = '\0';
  if (size > QN_PKCS12_MAX_INPUT || pass_size > QN_KEY_MAX_PASSPHRASE) {
    return QN_E_LIMIT;
  }
  qn__crypto_begin();
  int rc;
  if (size > 0 && data[0] == '-' && from_pem(data, size, &der, &der_size)) {
    rc = open_der(der, (size_t)der_size, pass, pass_size, most, out, why);
    OPENSSL_clear_free(der, (size_t)der_size);
  } else {
    rc = open_der(data, size, pass, pass_size, most, out, why);
  }
  ERR_clear_error();
  if (rc < 0) {
    qn__pkcs12_free(out);
  }
  return rc;
}

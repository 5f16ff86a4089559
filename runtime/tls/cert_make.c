/* cert_make.c: certificates from plans: self-signed ones, and those that an authority signs.
 *
 * Called by the bindings. Everything that RFC 5280 or the issuer forbids is refused before anything
 * is signed, with the reason in the plan. Of a request only its key and its subject are taken: what
 * else goes into the certificate is decided by the plan. Invariant: an end entity never becomes an
 * authority because somebody asked for it.
 */
#include "qn/crypto.h"
#include "tls/cert_make_i.h"
#include "tls/crypto_i.h"
#include "tls/key_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>
#include <time.h>

#define KEY_ID_SIZE 20

void qn_cert_plan_init(qn_cert_plan_t *plan)
{
  *plan = (qn_cert_plan_t){
      .not_before = QN_CERT_NO_TIME, .not_after = QN_CERT_NO_TIME, .path_length = -1};
}

/* --- who signs, and how ----------------------------------------------------------------------- */

static const char *usual_digest(const qn_key_t *key)
{
  int bits = EVP_PKEY_get_base_id(key->pkey) == EVP_PKEY_EC ? EVP_PKEY_get_bits(key->pkey) : 0;
  return bits > 384 ? "sha512" : bits > 256 ? "sha384" : "sha256";
}

static int check_signer(qn_cert_plan_t *plan, const qn_key_t *key)
{
  static const int signing[] = {EVP_PKEY_RSA, EVP_PKEY_RSA_PSS, EVP_PKEY_EC,
                                EVP_PKEY_DSA, EVP_PKEY_ED25519, EVP_PKEY_ED448};
  int id = EVP_PKEY_get_base_id(key->pkey);
  bool signs = false;
  for (size_t i = 0; i < sizeof signing / sizeof *signing; i++) {
    signs = signs || signing[i] == id;
  }
  if (!signs) {
    return qn__cert_refuse(&plan->why, QN_E_UNSUPPORTED, "a key of type %s does not sign",
                           qn_key_type(key));
  }
  if (!key->is_private) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "a public key does not sign");
  }
  if (plan->digest != NULL && !qn_key_has_digest(key)) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "a key of type %s has a digest of its own",
                           qn_key_type(key));
  }
  if (plan->pss && id != EVP_PKEY_RSA && id != EVP_PKEY_RSA_PSS) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "PSS is for RSA keys, this one is of type %s",
                           qn_key_type(key));
  }
  if (plan->pkcs1 && id != EVP_PKEY_RSA) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID,
                           "PKCS #1 padding is for keys of type rsa, this one is of type %s",
                           qn_key_type(key));
  }
  return 0;
}

EVP_MD_CTX *qn__cert_signer(qn_cert_plan_t *plan, const qn_key_t *key, int *rc)
{
  *rc = check_signer(plan, key);
  if (*rc < 0) {
    return NULL;
  }
  const char *name = plan->digest != NULL ? plan->digest : usual_digest(key);
  const EVP_MD *md = qn_key_has_digest(key) ? qn__digest_md(name) : NULL;
  EVP_PKEY_CTX *pctx = NULL; /* the context's */
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  if (ctx == NULL || EVP_DigestSignInit(ctx, &pctx, md, NULL, key->pkey) != 1 ||
      (plan->pss && (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
                     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) != 1))) {
    EVP_MD_CTX_free(ctx);
    *rc = qn__crypto_failed(QN_E_CRYPTO);
    return NULL;
  }
  return ctx;
}

/* --- what the issuer allows ------------------------------------------------------------------- */

static int check_issuer(qn_cert_plan_t *plan, const qn_cert_t *issuer, const qn_key_t *key)
{
  uint32_t usage = X509_get_key_usage(issuer->x509);
  int limit = qn_cert_path_length(issuer);
  if (!qn_cert_is_ca(issuer)) {
    return qn__cert_refuse(&plan->why, QN_E_VERIFY(X509_V_ERR_INVALID_CA),
                           "the issuer's certificate is not one of an authority");
  }
  if ((usage & KU_KEY_CERT_SIGN) == 0) { /* all bits are set when it has no such extension */
    return qn__cert_refuse(&plan->why, QN_E_VERIFY(X509_V_ERR_KEYUSAGE_NO_CERTSIGN),
                           "the issuer's certificate is not for signing certificates");
  }
  if (!qn_cert_has_key(issuer, key)) {
    return qn__cert_refuse(&plan->why, QN_E_KEY_MISMATCH,
                           "the issuer's key is not that of its certificate");
  }
  if (X509_NAME_entry_count(X509_get_subject_name(issuer->x509)) == 0) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "the issuer's certificate has no subject");
  }
  if (plan->ca && limit >= 0 && (limit == 0 || plan->path_length >= limit)) {
    return qn__cert_refuse(&plan->why, QN_E_VERIFY(X509_V_ERR_PATH_LENGTH_EXCEEDED),
                           "the issuer's certificate allows a path length of %d", limit);
  }
  return 0;
}

int qn__cert_check_plan(qn_cert_plan_t *plan, int attributes, bool is_issuer)
{
  if (plan->path_length >= 0 && !plan->ca) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "a path length is for authorities only");
  }
  if ((plan->key_usage & 1U << 5) != 0 && !plan->ca) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID,
                           "key usage key_cert_sign is for authorities only");
  }
  if ((plan->key_usage & ((1U << QN_CERT_KEY_USAGES) - 1)) != plan->key_usage) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "an unknown key usage");
  }
  if (plan->ca && plan->key_usage != 0 && (plan->key_usage & 1U << 5) == 0) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "an authority needs key usage key_cert_sign");
  }
  if (attributes == 0 && is_issuer) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "an issuer needs a subject");
  }
  return 0;
}

/* --- when ------------------------------------------------------------------------------------- */

static int set_dates(qn_cert_plan_t *plan, const qn_cert_t *issuer, X509 *x)
{
  int64_t now = time(NULL), from = plan->not_before, to = plan->not_after;
  bool usual_from = from == QN_CERT_NO_TIME, usual_to = to == QN_CERT_NO_TIME;
  from = usual_from ? now - QN_CERT_BACKDATE : from;
  if (plan->lifetime > 0) {
    int64_t base = usual_from ? now : plan->not_before, most = QN_CERT_MAX_TIME - base;
    to = base + (plan->lifetime < most ? plan->lifetime : most);
    usual_to = false;
  }
  to = usual_to ? (usual_from ? now : from) + QN_CERT_LIFETIME : to;
  if (issuer != NULL) {
    int64_t first = qn_cert_not_before(issuer), last = qn_cert_not_after(issuer);
    if (first == QN_CERT_NO_TIME || last == QN_CERT_NO_TIME) {
      return qn__cert_refuse(&plan->why, QN_E_CERT_FORMAT,
                             "the dates of the issuer's certificate cannot be read");
    }
    if (last < now && usual_to) {
      return qn__cert_refuse(&plan->why, QN_E_VERIFY(X509_V_ERR_CERT_HAS_EXPIRED),
                             "the issuer's certificate has expired");
    }
    from = usual_from && from < first ? first : from;
    to = usual_to && to > last ? last : to;
    if (from < first || to > last) {
      return qn__cert_refuse(&plan->why, QN_E_INVALID,
                             "it would be valid when the issuer's certificate is not");
    }
  }
  if (from >= to) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "it would end before it begins");
  }
  if (from < QN_CERT_MIN_TIME || to > QN_CERT_MAX_TIME) {
    return qn__cert_refuse(&plan->why, QN_E_INVALID, "dates are from 1950 to 9999");
  }
  return ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from) != NULL &&
                 ASN1_TIME_set(X509_getm_notAfter(x), (time_t)to) != NULL
             ? 0
             : qn__ossl_fail(-ENOMEM);
}

static int set_serial(qn_cert_plan_t *plan, X509 *x)
{
  uint8_t bytes[QN_CERT_MAX_SERIAL];
  const uint8_t *from = plan->serial;
  size_t size = plan->serial_size;
  if (from == NULL) {
    int rc = qn_random(bytes, sizeof bytes);
    if (rc < 0) {
      return rc;
    }
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and always of the same size */
    from = bytes;
    size = sizeof bytes;
  }
  BIGNUM *n = BN_bin2bn(from, (int)size, NULL);
  int rc = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL
               ? 0
               : qn__ossl_fail(-ENOMEM);
  if (rc == 0 && (BN_is_zero(n) || BN_num_bits(n) >= QN_CERT_MAX_SERIAL * 8)) {
    rc =
        qn__cert_refuse(&plan->why, QN_E_INVALID,
                        "a serial number is positive and has at most %d bytes", QN_CERT_MAX_SERIAL);
  }
  BN_free(n);
  return rc;
}

/* --- which keys ------------------------------------------------------------------------------- */

/* RFC 7093, method 1: what is left of SHA-256 of the key after 160 bits. */
static ASN1_OCTET_STRING *id_of_key(const X509 *x)
{
  uint8_t hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
  if (id == NULL || X509_pubkey_digest(x, EVP_sha256(), hash, &size) != 1 ||
      ASN1_OCTET_STRING_set(id, hash, KEY_ID_SIZE) != 1) {
    ASN1_OCTET_STRING_free(id);
    return NULL;
  }
  return id;
}

/* By its identifier, or by name and number when it has none. NULL: out of memory. */
static AUTHORITY_KEYID *id_of_issuer(const X509 *issuer, const ASN1_OCTET_STRING *id)
{
  AUTHORITY_KEYID *out = AUTHORITY_KEYID_new();
  if (out == NULL) {
    return NULL;
  }
  if (id != NULL) {
    out->keyid = ASN1_OCTET_STRING_dup(id);
  } else {
    GENERAL_NAME *name = GENERAL_NAME_new();
    X509_NAME *subject = X509_NAME_dup(X509_get_issuer_name(issuer));
    out->issuer = GENERAL_NAMES_new();
    out->serial = ASN1_INTEGER_dup(X509_get0_serialNumber(issuer));
    if (name != NULL && subject != NULL) {
      GENERAL_NAME_set0_value(name, GEN_DIRNAME, subject);
      subject = NULL;
    }
    if (name != NULL && name->type == GEN_DIRNAME && out->issuer != NULL &&
        sk_GENERAL_NAME_push(out->issuer, name) > 0) {
      name = NULL;
    } else {
      ASN1_INTEGER_free(out->serial);
      out->serial = NULL;
    }
    GENERAL_NAME_free(name);
    X509_NAME_free(subject);
  }
  if (out->keyid == NULL && out->serial == NULL) {
    AUTHORITY_KEYID_free(out);
    return NULL;
  }
  return out;
}

static int add_key_ids(X509 *x, const qn_cert_t *issuer, STACK_OF(X509_EXTENSION) * *list)
{
  ASN1_OCTET_STRING *own = id_of_key(x);
  AUTHORITY_KEYID *theirs =
      own == NULL ? NULL
                  : id_of_issuer(issuer != NULL ? issuer->x509 : x,
                                 issuer != NULL ? X509_get0_subject_key_id(issuer->x509) : own);
  bool ok = theirs != NULL && qn__cert_extend(list, NID_subject_key_identifier, own, false) &&
            qn__cert_extend(list, NID_authority_key_identifier, theirs, false);
  ASN1_OCTET_STRING_free(own);
  AUTHORITY_KEYID_free(theirs);
  return ok ? 0 : qn__ossl_fail(-ENOMEM);
}

/* --- all together ----------------------------------------------------------------------------- */

static int add_extensions(X509 *x, qn_cert_plan_t *plan, EVP_PKEY *key, const qn_cert_t *issuer)
{
  STACK_OF(X509_EXTENSION) *list = NULL;
  int rc = qn__cert_extensions_of(plan, key, X509_get_subject_name(x), false, &list);
  if (rc == 0) {
    rc = add_key_ids(x, issuer, &list);
  }
  for (int i = 0; rc == 0 && i < sk_X509_EXTENSION_num(list); i++) {
    rc = X509_add_ext(x, sk_X509_EXTENSION_value(list, i), -1) == 1 ? 0 : qn__ossl_fail(-ENOMEM);
  }
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  return rc;
}

/* Everything but the signature. */
static int fill(X509 *x, qn_cert_plan_t *plan, X509_NAME *subject, EVP_PKEY *key,
                const qn_cert_t *issuer)
{
  X509_NAME *by = issuer != NULL ? X509_get_subject_name(issuer->x509) : subject;
  int rc = set_dates(plan, issuer, x);
  rc = rc < 0 ? rc : set_serial(plan, x);
  if (rc == 0 && (X509_set_version(x, X509_VERSION_3) != 1 || X509_set_pubkey(x, key) != 1 ||
                  X509_set_subject_name(x, subject) != 1 || X509_set_issuer_name(x, by) != 1)) {
    rc = qn__ossl_fail(QN_E_CRYPTO);
  }
  return rc < 0 ? rc : add_extensions(x, plan, key, issuer);
}

static int sign(qn_cert_plan_t *plan, X509_NAME *subject, EVP_PKEY *key, const qn_cert_t *issuer,
                const qn_key_t *issuer_key, qn_cert_t **out)
{
  int rc = qn__cert_check_plan(plan, X509_NAME_entry_count(subject), plan->ca || issuer == NULL);
  rc = rc < 0 || issuer == NULL ? rc : check_issuer(plan, issuer, issuer_key);
  EVP_MD_CTX *signer = rc == 0 ? qn__cert_signer(plan, issuer_key, &rc) : NULL;
  X509 *x = rc == 0 ? X509_new() : NULL;
  if (rc == 0) {
    rc = x != NULL ? fill(x, plan, subject, key, issuer) : qn__ossl_fail(-ENOMEM);
  }
  if (rc == 0 && X509_sign_ctx(x, signer) <= 0) {
    rc = qn__crypto_failed(QN_E_CRYPTO);
  }
  EVP_MD_CTX_free(signer);
  if (rc < 0) {
    X509_free(x);
  } else {
    *out = qn__cert_wrap(x);
    rc = *out != NULL ? 0 : -ENOMEM;
  }
  ERR_clear_error();
  return rc;
}

int qn_cert_make(qn_cert_plan_t *plan, const qn_key_t *subject, const qn_cert_t *issuer,
                 const qn_key_t *issuer_key, qn_cert_t **out)
{
  qn__crypto_begin();
  plan->why.text[0] = '\0';
  if (issuer == NULL && !qn_key_matches(subject, issuer_key)) {
    return qn__cert_refuse(&plan->why, QN_E_KEY_MISMATCH,
                           "a self-signed certificate is signed with its own key");
  }
  X509_NAME *name = NULL;
  int rc = qn__cert_subject_of(plan, &name);
  if (rc == 0 && name == NULL && (name = X509_NAME_new()) == NULL) {
    rc = qn__ossl_fail(-ENOMEM);
  }
  rc = rc < 0 ? rc : sign(plan, name, subject->pkey, issuer, issuer_key, out);
  X509_NAME_free(name);
  return rc;
}

int qn_cert_make_for(qn_cert_plan_t *plan, const qn_csr_t *request, const qn_cert_t *issuer,
                     const qn_key_t *issuer_key, qn_cert_t **out)
{
  plan->why.text[0] = '\0';
  int rc = qn_csr_verify(request);
  if (rc < 0) {
    return qn__cert_refuse(&plan->why, rc, "the request is not signed with the key that it names");
  }
  EVP_PKEY *key = X509_REQ_get0_pubkey(request->req); /* there: it was verified with it */
  X509_NAME *name = NULL;
  if (EVP_PKEY_get_bits(key) > QN_KEY_MAX_BITS) {
    return QN_E_LIMIT;
  }
  rc = qn__cert_subject_of(plan, &name);
  if (rc == 0 && name == NULL) {
    name = X509_NAME_dup(X509_REQ_get_subject_name(request->req));
    rc = name != NULL ? 0 : qn__ossl_fail(-ENOMEM);
  }
  rc = rc < 0 ? rc : sign(plan, name, key, issuer, issuer_key, out);
  X509_NAME_free(name);
  return rc;
}

/* key.c: the life of a key and what it tells about itself.
 *
 * Called by the bindings and by everything on this floor that carries a key. Must not change the
 * EVP_PKEY that it holds: several configurations share it. Invariant: is_private says what the key
 * was read or made as, so a public key never signs, whatever the EVP_PKEY could do.
 */
#include "tls/key_i.h"

#include "tls/crypto_i.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <string.h>

int qn__key_adopt(EVP_PKEY *pkey, bool is_private, qn_key_t **out)
{
  if (EVP_PKEY_get_bits(pkey) > QN_KEY_MAX_BITS) {
    EVP_PKEY_free(pkey);
    return QN_E_LIMIT;
  }
  qn_key_t *k = qn_calloc(1, sizeof *k);
  if (k == NULL) {
    EVP_PKEY_free(pkey);
    return -ENOMEM;
  }
  *k = (qn_key_t){.refs = 1, .pkey = pkey, .is_private = is_private};
  *out = k;
  return 0;
}

qn_key_t *qn_key_retain(qn_key_t *k)
{
  if (k != NULL) {
    k->refs++;
  }
  return k;
}

void qn_key_release(qn_key_t *k)
{
  if (k != NULL && --k->refs == 0) {
    EVP_PKEY_free(k->pkey);
    qn_free(k);
  }
}

bool qn_key_matches(const qn_key_t *a, const qn_key_t *b)
{
  qn__crypto_begin();
  bool same = a->pkey == b->pkey || EVP_PKEY_eq(a->pkey, b->pkey) == 1;
  qn__crypto_failed(0);
  return same;
}

bool qn_key_equal(const qn_key_t *a, const qn_key_t *b)
{
  return a == b || (a->is_private == b->is_private && qn_key_matches(a, b));
}

static const struct type_name {
  int id;
  const char *name;
} type_names[] = {
    {EVP_PKEY_RSA, "rsa"},         {EVP_PKEY_RSA_PSS, "rsa_pss"}, {EVP_PKEY_DSA, "dsa"},
    {EVP_PKEY_DH, "dh"},           {EVP_PKEY_DHX, "dh"},          {EVP_PKEY_EC, "ec"},
    {EVP_PKEY_ED25519, "ed25519"}, {EVP_PKEY_ED448, "ed448"},     {EVP_PKEY_X25519, "x25519"},
    {EVP_PKEY_X448, "x448"},       {EVP_PKEY_SM2, "sm2"}};

const char *qn_key_type(const qn_key_t *k)
{
  int id = EVP_PKEY_get_base_id(k->pkey);
  for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
    if (type_names[i].id == id) {
      return type_names[i].name;
    }
  }
  return "unknown";
}

int qn_key_bits(const qn_key_t *k) { return EVP_PKEY_get_bits(k->pkey); }

const char *qn_key_curve(const qn_key_t *k)
{
  char name[64];
  size_t size = 0;
  if (strcmp(qn_key_type(k), "ec") != 0 ||
      EVP_PKEY_get_group_name(k->pkey, name, sizeof name, &size) != 1) {
    qn__crypto_failed(0);
    return NULL;
  }
  int nid = OBJ_txt2nid(name);
  const char *nist = EC_curve_nid2nist(nid);
  return nid == NID_undef ? NULL : nist != NULL ? nist : OBJ_nid2sn(nid);
}

bool qn_key_is_private(const qn_key_t *k) { return k->is_private; }

int qn_key_spki(const qn_key_t *k, char **out, size_t *size)
{
  qn__crypto_begin();
  unsigned char *der = NULL;
  int n = i2d_PUBKEY(k->pkey, &der);
  if (n < 0) {
    return qn__crypto_failed(QN_E_CRYPTO);
  }
  *out = qn__secret_copy(der, (size_t)n);
  *size = (size_t)n;
  OPENSSL_free(der);
  return *out != NULL ? 0 : -ENOMEM;
}

int qn_key_public(qn_key_t *k, qn_key_t **out)
{
  if (!k->is_private) {
    *out = qn_key_retain(k);
    return 0;
  }
  char *der = NULL;
  size_t size = 0;
  int rc = qn_key_spki(k, &der, &size);
  if (rc < 0) {
    return rc;
  }
  const unsigned char *p = (const unsigned char *)der;
  EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)size);
  qn_secret_free(der, size);
  return pkey != NULL ? qn__key_adopt(pkey, false, out) : qn__crypto_failed(QN_E_CRYPTO);
}

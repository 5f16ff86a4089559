/* cipher.c: the cipher suites of this OpenSSL and what they are made of.
 *
 * Called by the bindings, for lists and for the facts of a connection. Each call looks at a context
 * of its own, since OpenSSL tells about suites through one only. Invariant: all texts that are
 * given out are static, so the lists outlive that context.
 */
#include "tls/crypto_i.h"

#include "qn/key.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <string.h>

typedef struct part_name {
  int nid;
  const char *name;
} part_name_t;

static const char *part_of(const part_name_t *names, int nid, const char *otherwise)
{
  for (; names->name != NULL; names++) {
    if (names->nid == nid) {
      return names->name;
    }
  }
  return otherwise;
}

static const char *key_exchange(const SSL_CIPHER *c)
{
  static const part_name_t names[] = {{NID_kx_rsa, "RSA"},
                                      {NID_kx_dhe, "DHE"},
                                      {NID_kx_ecdhe, "ECDHE"},
                                      {NID_kx_psk, "PSK"},
                                      {NID_kx_rsa_psk, "RSAPSK"},
                                      {NID_kx_dhe_psk, "DHEPSK"},
                                      {NID_kx_ecdhe_psk, "ECDHEPSK"},
                                      {NID_kx_srp, "SRP"},
                                      {NID_kx_gost, "GOST"},
                                      {NID_kx_any, "any"},
                                      {0, NULL}};
  return part_of(names, SSL_CIPHER_get_kx_nid(c), "unknown");
}

static const char *authentication(const SSL_CIPHER *c)
{
  static const part_name_t names[] = {{NID_auth_rsa, "RSA"}, {NID_auth_ecdsa, "ECDSA"},
                                      {NID_auth_dss, "DSS"}, {NID_auth_psk, "PSK"},
                                      {NID_auth_srp, "SRP"}, {NID_auth_null, "none"},
                                      {NID_auth_any, "any"}, {0, NULL}};
  return part_of(names, SSL_CIPHER_get_auth_nid(c), "unknown");
}

static const char *encryption(const SSL_CIPHER *c)
{
  static const part_name_t names[] = {{NID_aes_128_gcm, "AES-128-GCM"},
                                      {NID_aes_256_gcm, "AES-256-GCM"},
                                      {NID_aes_128_ccm, "AES-128-CCM"},
                                      {NID_aes_256_ccm, "AES-256-CCM"},
                                      {NID_aes_128_cbc, "AES-128-CBC"},
                                      {NID_aes_256_cbc, "AES-256-CBC"},
                                      {NID_chacha20_poly1305, "CHACHA20-POLY1305"},
                                      {NID_des_ede3_cbc, "3DES-CBC"},
                                      {NID_camellia_128_cbc, "CAMELLIA-128-CBC"},
                                      {NID_camellia_256_cbc, "CAMELLIA-256-CBC"},
                                      {NID_aria_128_gcm, "ARIA-128-GCM"},
                                      {NID_aria_256_gcm, "ARIA-256-GCM"},
                                      {NID_seed_cbc, "SEED-CBC"},
                                      {NID_rc4, "RC4"},
                                      {NID_undef, "none"},
                                      {0, NULL}};
  int nid = SSL_CIPHER_get_cipher_nid(c);
  const char *other = OBJ_nid2sn(nid);
  return part_of(names, nid, other != NULL ? other : "unknown");
}

static const char *mac(const SSL_CIPHER *c)
{
  int nid = SSL_CIPHER_get_digest_nid(c);
  const char *name = nid != NID_undef ? OBJ_nid2sn(nid) : NULL;
  return SSL_CIPHER_is_aead(c) ? "AEAD" : name != NULL ? name : "none";
}

static void describe(const SSL_CIPHER *c, qn_cipher_t *out)
{
  const char *standard = SSL_CIPHER_standard_name(c);
  out->name = SSL_CIPHER_get_name(c);
  out->standard_name = standard != NULL ? standard : out->name;
  out->protocol = SSL_CIPHER_get_version(c);
  out->key_exchange = key_exchange(c);
  out->authentication = authentication(c);
  out->encryption = encryption(c);
  out->mac = mac(c);
  out->id = SSL_CIPHER_get_protocol_id(c);
  out->strength = SSL_CIPHER_get_bits(c, &out->bits);
  out->aead = SSL_CIPHER_is_aead(c) == 1;
}

static SSL_CTX *new_context(void)
{
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
  OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
  ERR_clear_error();
  return SSL_CTX_new(TLS_method());
}

int qn_ciphers(const char *filter, qn_cipher_t *list, int room)
{
  SSL_CTX *ctx = new_context();
  if (ctx == NULL) {
    return qn__crypto_failed(QN_E_CRYPTO);
  }
  int count = QN_E_INVALID;
  if (SSL_CTX_set_cipher_list(ctx, filter != NULL ? filter : "ALL:!aNULL:!eNULL") == 1) {
    STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
    count = sk_SSL_CIPHER_num(all);
    for (int i = 0; i < count && i < room; i++) {
      describe(sk_SSL_CIPHER_value(all, i), &list[i]);
    }
  }
  SSL_CTX_free(ctx);
  ERR_clear_error();
  return count;
}

int qn_cipher_find(uint16_t id, qn_cipher_t *out)
{
  const unsigned char bytes[2] = {(unsigned char)(id >> 8), (unsigned char)id};
  SSL_CTX *ctx = new_context();
  SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
  const SSL_CIPHER *c = ssl != NULL ? SSL_CIPHER_find(ssl, bytes) : NULL;
  if (c != NULL) {
    describe(c, out);
  }
  SSL_free(ssl);
  SSL_CTX_free(ctx);
  ERR_clear_error();
  return c != NULL ? 0 : QN_E_UNSUPPORTED;
}

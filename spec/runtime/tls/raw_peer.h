/* The other side of a TLS connection in the hands of a test: plain OpenSSL over memory, and records
 * sealed with the connection's own keys, so that a peer that has shaken hands can send what OpenSSL
 * never would (empty records, foreign messages, floods). Used by foe.h, tls_trace_test.c and
 * the fuzz target; AES-128-GCM only. */
#ifndef QN_SPEC_TLS_RAW_PEER_H
#define QN_SPEC_TLS_RAW_PEER_H

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RAW_UNUSED __attribute__((unused))

typedef struct raw {
  SSL_CTX *ctx;
  SSL *ssl;
  BIO *in, *out;
  bool server, hold; /* hold: what was written stays in `out` */
  int version;       /* TLS1_2_VERSION or TLS1_3_VERSION */
  uint8_t secret[48];
  size_t secret_size;
  uint64_t seq;
} raw_t;

static int raw_from_hex(const char *hex, uint8_t *out, size_t room)
{
  int n = 0;
  for (char pair[3] = ""; (size_t)n < room && hex[0] > ' ' && hex[1] > ' '; hex += 2) {
    memcpy(pair, hex, 2);
    out[n++] = (uint8_t)strtoul(pair, NULL, 16);
  }
  return n;
}

static void raw_keylog(const SSL *ssl, const char *line)
{
  raw_t *r = SSL_get_app_data(ssl);
  const char *want = r->version == TLS1_2_VERSION ? "CLIENT_RANDOM "
                     : r->server                  ? "SERVER_TRAFFIC_SECRET_0 "
                                                  : "CLIENT_TRAFFIC_SECRET_0 ";
  const char *last = strrchr(line, ' ');
  if (r->version != 0 && strncmp(line, want, strlen(want)) == 0 && last != NULL) {
    r->secret_size = (size_t)raw_from_hex(last + 1, r->secret, sizeof r->secret);
  }
}

static X509 *raw_cert(const char *pem)
{
  BIO *bio = BIO_new_mem_buf(pem, -1);
  X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
  BIO_free(bio);
  return x509;
}

static bool raw_use(raw_t *r, const char *cert, const char *key)
{
  BIO *bio = BIO_new_mem_buf(key, -1);
  EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
  X509 *x509 = raw_cert(cert);
  bool ok = SSL_CTX_use_certificate(r->ctx, x509) && SSL_CTX_use_PrivateKey(r->ctx, pkey);
  BIO_free(bio);
  X509_free(x509);
  EVP_PKEY_free(pkey);
  return ok;
}

/* Only the context: the test may change it before raw_begin. */
RAW_UNUSED static void raw_open(raw_t *r, bool server, int version)
{
  memset(r, 0, sizeof *r);
  r->server = server;
  r->version = version;
  r->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
  SSL_CTX_set_min_proto_version(r->ctx, version);
  SSL_CTX_set_max_proto_version(r->ctx, version);
  SSL_CTX_set_cipher_list(r->ctx, "ECDHE+AESGCM:PSK+AESGCM:!AES256");
  SSL_CTX_set_ciphersuites(r->ctx, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_num_tickets(r->ctx, 0);
  SSL_CTX_set_keylog_callback(r->ctx, raw_keylog);
}

RAW_UNUSED static void raw_begin(raw_t *r)
{
  r->ssl = SSL_new(r->ctx);
  r->in = BIO_new(BIO_s_mem());
  r->out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(r->in, -1);
  BIO_set_mem_eof_return(r->out, -1);
  SSL_set_bio(r->ssl, r->in, r->out);
  SSL_set_app_data(r->ssl, r);
  if (r->server) {
    SSL_set_accept_state(r->ssl);
  } else {
    SSL_set_connect_state(r->ssl);
    SSL_set_tlsext_host_name(r->ssl, "localhost");
  }
}

RAW_UNUSED static void raw_close(raw_t *r)
{
  SSL_free(r->ssl);
  SSL_CTX_free(r->ctx);
  ERR_clear_error();
}

/* --- records of our own ----------------------------------------------------------------------- */

static void raw_expand(const raw_t *r, const char *label, uint8_t *out, size_t size)
{
  uint8_t info[64];
  size_t n = strlen(label) + 6, at = 0;
  info[at++] = 0;
  info[at++] = (uint8_t)size;
  info[at++] = (uint8_t)n;
  memcpy(info + at, "tls13 ", 6);
  memcpy(info + at + 6, label, n - 6);
  at += n;
  info[at++] = 0;
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
  EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)r->secret,
                                        r->secret_size),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, at),
      OSSL_PARAM_construct_end(),
  };
  EVP_KDF_derive(ctx, out, size, params);
  EVP_KDF_CTX_free(ctx);
  EVP_KDF_free(kdf);
}

static void raw_key_block(const raw_t *r, uint8_t out[40])
{
  uint8_t seed[13 + 64];
  static const uint8_t label[13] = {'k', 'e', 'y', ' ', 'e', 'x', 'p',
                                    'a', 'n', 's', 'i', 'o', 'n'};
  memcpy(seed, label, sizeof label);
  SSL_get_server_random(r->ssl, seed + 13, 32);
  SSL_get_client_random(r->ssl, seed + 45, 32);
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
  EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)(uintptr_t)r->secret,
                                        r->secret_size),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
      OSSL_PARAM_construct_end(),
  };
  EVP_KDF_derive(ctx, out, 40, params);
  EVP_KDF_CTX_free(ctx);
  EVP_KDF_free(kdf);
}

static void raw_put16(uint8_t *p, size_t n)
{
  p[0] = (uint8_t)(n >> 8);
  p[1] = (uint8_t)n;
}

/* One record into `out` (room: size + 64), encrypted as the connection's next one. Gives its size.
 * Valid while nothing was sent over `ssl` since the handshake but by this function. */
RAW_UNUSED static size_t raw_seal(raw_t *r, uint8_t type, const void *data, size_t size,
                                  uint8_t *out)
{
  bool new = r->version == TLS1_3_VERSION;
  uint8_t key[16], iv[12], aad[13], last = type;
  uint64_t seq = r->seq++ + (new ? 0 : 1); /* Finished was 0 in TLS 1.2 */
  size_t head = new ? 5 : 13, body = size + (new ? 1 : 0), aad_size;
  out[0] = new ? 23 : type;
  out[1] = 3;
  out[2] = 3;
  raw_put16(out + 3, new ? body + 16 : body + 24);
  if (new) {
    raw_expand(r, "key", key, sizeof key);
    raw_expand(r, "iv", iv, sizeof iv);
    for (int i = 0; i < 8; i++) {
      iv[4 + i] ^= (uint8_t)(seq >> (56 - 8 * i));
    }
    memcpy(aad, out, aad_size = 5);
  } else {
    uint8_t block[40];
    raw_key_block(r, block);
    memcpy(key, block + (r->server ? 16 : 0), 16);
    memcpy(iv, block + 32 + (r->server ? 4 : 0), 4);
    for (int i = 0; i < 8; i++) {
      iv[4 + i] = out[5 + i] = aad[i] = (uint8_t)(seq >> (56 - 8 * i));
    }
    memcpy(aad + 8, out, 3);
    raw_put16(aad + 11, size);
    aad_size = 13;
  }
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  int n = 0, at = 0;
  EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, key, iv);
  EVP_EncryptUpdate(c, NULL, &n, aad, (int)aad_size);
  if (size != 0) {
    EVP_EncryptUpdate(c, out + head, &n, data, (int)size);
    at += n;
  }
  if (new) {
    EVP_EncryptUpdate(c, out + head + at, &n, &last, 1);
    at += n;
  }
  EVP_EncryptFinal_ex(c, out + head + at, &n);
  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, out + head + at);
  EVP_CIPHER_CTX_free(c);
  return head + (size_t)at + 16;
}

#endif

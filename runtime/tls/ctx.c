/* ctx.c: the OpenSSL context of a configuration, one for clients and one for servers.
 *
 * Built at the first connection or by qn_tls_config_prepare, which is also where what only OpenSSL
 * can judge (lists of ciphers, files of certificates) is judged. Must leave the error queue empty.
 * Invariant: compression, renegotiation and early data are off in every context.
 */
#include "tls/config_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_DEFAULT 20
#define LEVEL 2 /* 112 bits, as in verify_chain.c; a list of ciphers may say otherwise */
#define SYSTEM_CA "the system's certificates cannot be read"

static int refuse(qn_tls_config_t *c, int err, const char *what)
{
  char reason[128];
  qn__ossl_reason(reason, sizeof reason);
  return qn__tls_config_fail(c, qn__ossl_fail(err), "%s%s%s", what, reason[0] != 0 ? ": " : "",
                             reason);
}

/* DTLS 1.0 is a TLS 1.1, and its 1.2 the newest that OpenSSL has. */
static int datagram_version(int version)
{
  return version == 0 || version >= TLS1_2_VERSION ? DTLS1_2_VERSION : DTLS1_VERSION;
}

static int set_list(qn_tls_config_t *c, SSL_CTX *ctx, qn__tls_list_t which, const char *text)
{
  bool ok = true;
  switch (text != NULL ? (int)which : -1) {
  case QN__TLS_CIPHERS: ok = SSL_CTX_set_cipher_list(ctx, text) == 1; break;
  case QN__TLS_SUITES: ok = SSL_CTX_set_ciphersuites(ctx, text) == 1; break;
  case QN__TLS_CURVES: ok = SSL_CTX_set1_groups_list(ctx, text) == 1; break;
  default: break;
  }
  static const char *const wrong[] = {"no cipher of the list can be used",
                                      "not a list of TLS 1.3 cipher suites",
                                      "not a list of curves"};
  return ok ? 0 : refuse(c, QN_E_TLS_CONFIG, wrong[which]);
}

int qn__tls_try_list(qn_tls_config_t *c, qn__tls_list_t which, const char *text)
{
  ERR_clear_error();
  SSL_CTX *ctx = SSL_CTX_new(TLS_method());
  int rc = ctx != NULL ? set_list(c, ctx, which, text) : refuse(c, -ENOMEM, "no memory for TLS");
  SSL_CTX_free(ctx);
  ERR_clear_error();
  return rc;
}

static int set_lists(qn_tls_config_t *c, SSL_CTX *ctx)
{
  int min = c->min != 0 ? c->min : TLS1_2_VERSION, max = c->max;
  if (SSL_CTX_get_ssl_method(ctx) == DTLS_client_method() ||
      SSL_CTX_get_ssl_method(ctx) == DTLS_server_method()) {
    if (min > TLS1_2_VERSION) {
      return refuse(c, QN_E_TLS_CONFIG, "DTLS 1.3 is not available");
    }
    min = datagram_version(min);
    max = datagram_version(max);
  }
  if (!SSL_CTX_set_min_proto_version(ctx, min) || !SSL_CTX_set_max_proto_version(ctx, max)) {
    return refuse(c, QN_E_TLS_CONFIG, "these TLS versions are not available");
  }
  int rc = set_list(c, ctx, QN__TLS_CIPHERS, c->ciphers);
  rc = rc == 0 ? set_list(c, ctx, QN__TLS_SUITES, c->suites) : rc;
  return rc == 0 ? set_list(c, ctx, QN__TLS_CURVES, c->curves) : rc;
}

/* --- trust ------------------------------------------------------------------------------------ */

static int add_path(qn_tls_config_t *c, X509_STORE *store, const char *path)
{
  struct stat st;
  if (stat(path, &st) != 0) {
    int err = -errno;
    return qn__tls_config_fail(c, err, "%s: %s", path, qn_err_text(err));
  }
  int ok =
      S_ISDIR(st.st_mode) ? X509_STORE_load_path(store, path) : X509_STORE_load_file(store, path);
  return ok ? 0 : refuse(c, QN_E_CERT_FORMAT, path);
}

static int own_store(qn_tls_config_t *c, X509_STORE *store)
{
  qn__path_store(store);
  for (size_t i = 0; i < c->ca.count; i++) {
    if (!X509_STORE_add_cert(store, c->ca.items[i]->x509)) {
      return refuse(c, QN_E_TLS_CONFIG, "a certificate cannot be trusted");
    }
  }
  for (size_t i = 0; i < c->ca_path_count; i++) {
    int rc = add_path(c, store, c->ca_paths[i]);
    if (rc < 0) {
      return rc;
    }
  }
  int rc = c->system_ca ? qn__trust_add_system(store) : 0;
  return rc == 0 ? 0 : refuse(c, rc, SYSTEM_CA);
}

static int set_trust(qn_tls_config_t *c, SSL_CTX *ctx, bool server)
{
  if (c->own_ca) {
    return own_store(c, SSL_CTX_get_cert_store(ctx));
  }
  if (qn__tls_config_mode(c, server) == QN_TLS_VERIFY_NONE) {
    return 0; /* nobody asks: the files need not be read */
  }
  X509_STORE *store = NULL;
  int rc = qn__trust_system_store(&store);
  if (rc < 0) {
    return refuse(c, rc, SYSTEM_CA);
  }
  SSL_CTX_set1_cert_store(ctx, store);
  return 0;
}

static int set_verify(qn_tls_config_t *c, SSL_CTX *ctx, bool server)
{
  qn_tls_verify_t mode = qn__tls_config_mode(c, server);
  int flags = mode == QN_TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
  if (mode == QN_TLS_VERIFY_PEER) {
    flags |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  SSL_CTX_set_verify(ctx, flags, NULL);
  SSL_CTX_set_verify_depth(ctx, c->depth >= 0 ? c->depth : DEPTH_DEFAULT);
  for (size_t i = 0; server && i < c->client_ca.count; i++) {
    if (!SSL_CTX_add_client_CA(ctx, c->client_ca.items[i]->x509)) {
      return refuse(c, -ENOMEM, "the names of client CAs");
    }
  }
  qn__tls_verify_setup(ctx);
  return 0;
}

/* --- who we are ------------------------------------------------------------------------------- */

static int set_own(qn_tls_config_t *c, SSL_CTX *ctx, const qn__tls_own_t *o)
{
  STACK_OF(X509) *chain = sk_X509_new_null();
  bool ok = chain != NULL;
  for (size_t i = 0; ok && i < o->chain.count; i++) {
    ok = sk_X509_push(chain, o->chain.items[i]->x509) > 0;
  }
  ok = ok && SSL_CTX_use_cert_and_key(ctx, o->cert->x509, o->key->pkey, chain, 1) == 1;
  sk_X509_free(chain); /* the context has references of its own */
  return ok ? 0 : refuse(c, QN_E_TLS_CONFIG, "the certificate cannot be used");
}

static int set_up(qn_tls_config_t *c, SSL_CTX *ctx, bool server)
{
  if (SSL_CTX_get_security_level(ctx) < LEVEL) {
    SSL_CTX_set_security_level(ctx, LEVEL); /* whatever OpenSSL was built with */
  }
  SSL_CTX_set_options(ctx, SSL_OP_PRIORITIZE_CHACHA);
  if (server && !c->client_order) {
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
  }
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_max_cert_list(ctx, QN_TLS_CHAIN_MAX);
  SSL_CTX_set_read_ahead(ctx, 0);
  int rc = set_lists(c, ctx);
  rc = rc == 0 ? qn__tls_conf_use(c, ctx, NULL) : rc;
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_IGNORE_UNEXPECTED_EOF); /* bio.c knows better */
  SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                                 SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
  rc = rc == 0 ? set_trust(c, ctx, server) : rc;
  rc = rc == 0 ? set_verify(c, ctx, server) : rc;
  for (size_t i = 0; rc == 0 && i < c->own_count; i++) {
    rc = set_own(c, ctx, &c->own[i]);
  }
  rc = rc == 0 && c->keylog != NULL ? qn__tls_keylog_open(c) : rc;
  rc = rc == 0 && server ? qn__tls_ticket_first(c) : rc;
  if (rc < 0) {
    return rc;
  }
  if (c->keylog != NULL) {
    qn__tls_keylog_setup(ctx);
  }
  qn__tls_alert_setup(ctx);
  qn__tls_session_setup(c, ctx, server);
  if (server) {
    qn__tls_alpn_setup(ctx);
    qn__tls_sni_setup(ctx);
  } else if (c->alpn != NULL && SSL_CTX_set_alpn_protos(ctx, c->alpn, (unsigned)c->alpn_size)) {
    return refuse(c, -ENOMEM, "ALPN"); /* 0 is success */
  }
  if (!qn__tls_psk_setup(c, ctx, server)) {
    return refuse(c, QN_E_TLS_CONFIG, "shared keys");
  }
  if (!server) {
    qn__tls_staple_setup(c, ctx);
  }
  return 0;
}

static bool new_id(qn_tls_config_t *c, bool server)
{
  static const uint8_t none[sizeof c->id];
  if (!qn__tls_settings(c, server)) {
    return false;
  }
  if (c->keys_given && server) { /* who shares ticket keys and verifies alike shares sessions */
    memcpy(c->id, c->settings[1], sizeof c->id);
  }
  return memcmp(c->id, none, sizeof none) != 0 || RAND_bytes(c->id, sizeof c->id) == 1;
}

int qn__tls_ctx(qn_tls_config_t *c, bool server, bool dtls, SSL_CTX **out)
{
  size_t at = (size_t)server + 2 * (size_t)dtls;
  if (c->ctx[at] == NULL) {
    ERR_clear_error();
    if (server && c->own_count == 0 && !qn__tls_psk_any(c)) {
      return qn__tls_config_fail(c, QN_E_TLS_CONFIG, "a server needs a certificate and its key");
    }
    SSL_CTX *ctx = SSL_CTX_new(dtls     ? server ? DTLS_server_method() : DTLS_client_method()
                                   : server ? TLS_server_method()
                                        : TLS_client_method());
    if (ctx == NULL || !new_id(c, server)) {
      SSL_CTX_free(ctx);
      return refuse(c, -ENOMEM, "no memory for TLS");
    }
    int rc = set_up(c, ctx, server);
    if (rc < 0) {
      ERR_clear_error();
      SSL_CTX_free(ctx);
      return rc;
    }
    ERR_clear_error();
    if (dtls && server) {
      qn__dtls_cookie_setup(ctx);
    }
    c->ctx[at] = ctx;
    c->frozen = true;
  }
  *out = c->ctx[at];
  return 0;
}

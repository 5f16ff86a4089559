/* session.c: resumption: what a client remembers, the keys of a server's tickets, sessions as
 * bytes.
 *
 * Clients keep at most QN_TLS_SESSIONS_MAX sessions per configuration, newest last; one of TLS 1.3
 * is used once (RFC 8446, C.4). Servers keep no state for tickets but the ring of keys. Must not
 * resume across configurations: the session id context is each one's own.
 * Invariant: keys[0] is the one in use; the others are younger than two lives.
 */
#include "tls/f_tls_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#define PER_PEER 4 /* sessions of TLS 1.3 that are kept for one peer */

struct qn_tls_session {
  unsigned refs;
  SSL_SESSION *session;
};

/* --- what a client remembers ------------------------------------------------------------------ */

static void drop_at(qn_tls_config_t *c, size_t i)
{
  qn__tls_remembered_t *r = &c->remembered[i];
  qn_free(r->peer);
  SSL_SESSION_free(r->session);
  c->remembered_count--;
  memmove(r, r + 1, (c->remembered_count - i) * sizeof *r);
}

void qn_tls_config_forget(qn_tls_config_t *c, const char *peer)
{
  for (size_t i = c->remembered_count; i-- > 0;) {
    if (peer == NULL || strcmp(c->remembered[i].peer, peer) == 0) {
      drop_at(c, i);
    }
  }
}

static void make_room_for(qn_tls_config_t *c, const char *peer, bool only_one)
{
  size_t same = 0;
  for (size_t i = c->remembered_count; i-- > 0;) {
    if (strcmp(c->remembered[i].peer, peer) == 0 && (only_one || ++same >= PER_PEER)) {
      drop_at(c, i);
    }
  }
  if (c->remembered_count >= QN_TLS_SESSIONS_MAX) {
    drop_at(c, 0);
  }
}

/* Without memory nothing is remembered. */
static void remember(qn_tls_config_t *c, const char *peer, SSL_SESSION *session)
{
  if (c->remembered == NULL) {
    c->remembered = qn_malloc(QN_TLS_SESSIONS_MAX * sizeof *c->remembered);
  }
  char *name = c->remembered != NULL ? qn_strdup(peer) : NULL;
  if (name == NULL) {
    return;
  }
  make_room_for(c, peer, SSL_SESSION_get_protocol_version(session) != TLS1_3_VERSION);
  SSL_SESSION_up_ref(session);
  c->remembered[c->remembered_count++] = (qn__tls_remembered_t){name, session};
}

SSL_SESSION *qn__tls_recall(qn_tls_config_t *c, const char *peer)
{
  for (size_t i = c->remembered_count; i-- > 0;) {
    SSL_SESSION *session = c->remembered[i].session;
    if (strcmp(c->remembered[i].peer, peer) != 0) {
      continue;
    }
    if (SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) <= time(NULL) ||
        !qn__tls_memo_fits(session, c, false)) {
      drop_at(c, i);
      continue;
    }
    SSL_SESSION_up_ref(session);
    if (SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION) {
      drop_at(c, i);
    }
    return session;
  }
  return NULL;
}

/* OpenSSL: a session can be resumed from now on. 1: we keep the reference. */
static int new_session(SSL *ssl, SSL_SESSION *session)
{
  qn_tls_t *t = qn__tls_of_ssl(ssl);
  if (t->server || !SSL_SESSION_is_resumable(session)) {
    return 0;
  }
  if (t->session != NULL) {
    SSL_SESSION_free(t->session);
  }
  t->session = session;
  if (t->peer != NULL && !t->config->no_sessions && !qn__tls_psk_any(t->config)) {
    remember(t->config, t->peer, session);
  }
  qn__tls_event(t, QN_TLS_EVENT_SESSION, 0);
  return 1;
}

/* --- tickets ---------------------------------------------------------------------------------- */

static int64_t seconds(void)
{
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec;
}

static int new_key(qn_tls_config_t *c)
{
  qn__tls_ticket_key_t key = {.made = seconds()};
  if (RAND_bytes(key.bytes, sizeof key.bytes) != 1) {
    return qn__ossl_fail(QN_E_CRYPTO);
  }
  memmove(c->keys + 1, c->keys, (QN_TLS_TICKET_KEYS_MAX - 1) * sizeof key);
  c->keys[0] = key;
  c->key_count += c->key_count < QN_TLS_TICKET_KEYS_MAX;
  explicit_bzero(&key, sizeof key);
  return 0;
}

int qn__tls_ticket_first(qn_tls_config_t *c) { return c->key_count != 0 ? 0 : new_key(c); }

int qn_tls_config_rotate_tickets(qn_tls_config_t *c)
{
  c->problem[0] = 0;
  return new_key(c);
}

int qn_tls_config_set_ticket_keys(qn_tls_config_t *c, const uint8_t (*keys)[80], size_t n)
{
  c->problem[0] = 0;
  if (n > QN_TLS_TICKET_KEYS_MAX) {
    return qn__tls_config_fail(c, QN_E_INVALID, "more than %u ticket keys", QN_TLS_TICKET_KEYS_MAX);
  }
  if (c->server_used && !c->keys_given && n != 0) {
    return qn__tls_config_fail(c, QN_E_BUSY, "the server has begun with keys of its own");
  }
  explicit_bzero(c->keys, sizeof c->keys);
  for (size_t i = 0; i < n; i++) {
    memcpy(c->keys[i].bytes, keys[i], sizeof c->keys[i].bytes);
    c->keys[i].made = seconds();
  }
  c->key_count = n;
  c->keys_given = n != 0;
  return n == 0 && c->server_used ? new_key(c) : 0;
}

/* The ring without what is too old. */
static void age(qn_tls_config_t *c)
{
  int64_t now = seconds();
  if (c->keys_given) {
    return;
  }
  if (c->key_count == 0 || now - c->keys[0].made >= (int64_t)QN_TLS_TICKET_LIFE_S) {
    (void)new_key(c); /* without random numbers the old one goes on */
  }
  while (c->key_count > 1 &&
         now - c->keys[c->key_count - 1].made >= 2 * (int64_t)QN_TLS_TICKET_LIFE_S) {
    explicit_bzero(&c->keys[--c->key_count], sizeof c->keys[0]);
  }
}

static bool use_key(const qn__tls_ticket_key_t *key, const uint8_t *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int encrypt)
{
  uint8_t secret[32];
  char digest[] = "SHA256";
  memcpy(secret, key->bytes + 48, sizeof secret);
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof secret),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  bool ok = EVP_MAC_CTX_set_params(mac, params) == 1 &&
            EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->bytes + 16, iv, encrypt) == 1;
  explicit_bzero(secret, sizeof secret);
  return ok;
}

/* OpenSSL: 1 take it, 2 take it and send a new one, 0 unknown key, -1 failure. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int encrypt)
{
  qn_tls_config_t *c = qn__tls_of_ssl(ssl)->config;
  age(c);
  if (encrypt) {
    memcpy(name, c->keys[0].bytes, 16);
    return c->key_count != 0 && RAND_bytes(iv, 16) == 1 && use_key(&c->keys[0], iv, cipher, mac, 1)
               ? 1
               : -1;
  }
  for (size_t i = 0; i < c->key_count; i++) {
    if (CRYPTO_memcmp(name, c->keys[i].bytes, 16) == 0) {
      return !use_key(&c->keys[i], iv, cipher, mac, 0)      ? -1
             : i == 0 && SSL_version(ssl) != TLS1_3_VERSION ? 1
                                                            : 2;
    }
  }
  return 0;
}

/* OpenSSL: what was decrypted. Without it clients make a full handshake. */
static SSL_TICKET_RETURN ticket_used(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                     size_t name_size, SSL_TICKET_STATUS status, void *arg)
{
  const qn_tls_config_t *c = qn__tls_effective(qn__tls_of_ssl(ssl));
  (void)name, (void)name_size, (void)arg;
  if ((status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) ||
      !qn__tls_memo_fits(session, c, true)) {
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

void qn__tls_session_setup(qn_tls_config_t *c, SSL_CTX *ctx, bool server)
{
  long mode = SSL_SESS_CACHE_OFF;
  SSL_CTX_set_timeout(ctx, QN_TLS_TICKET_LIFE_S);
  if (c->no_tickets || (server && c->no_sessions)) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
  }
  if (server) {
    c->server_used = true;
    SSL_CTX_set_session_id_context(ctx, c->id, sizeof c->id);
    mode = c->no_sessions ? SSL_SESS_CACHE_OFF : SSL_SESS_CACHE_SERVER;
    SSL_CTX_sess_set_cache_size(ctx, QN_TLS_SESSIONS_MAX);
    if (c->no_sessions) {
      SSL_CTX_set_num_tickets(ctx, 0);
    }
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
    SSL_CTX_set_session_ticket_cb(ctx, NULL, ticket_used, NULL);
  } else {
    mode = SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL;
    SSL_CTX_sess_set_new_cb(ctx, new_session);
  }
  SSL_CTX_set_session_cache_mode(ctx, mode);
}

/* --- sessions in the embedder's hands --------------------------------------------------------- */

/* Takes over the reference. */
static qn_tls_session_t *wrap(SSL_SESSION *session)
{
  qn_tls_session_t *s = qn_calloc(1, sizeof *s);
  if (s == NULL) {
    SSL_SESSION_free(session);
    return NULL;
  }
  s->refs = 1;
  s->session = session;
  return s;
}

qn_tls_session_t *qn_tls_session(const qn_tls_t *t)
{
  SSL_SESSION *session = t->session;
  if (session != NULL) {
    SSL_SESSION_up_ref(session);
    return wrap(session);
  }
  session = t->server || !t->up ? NULL : SSL_get1_session(t->ssl);
  if (session != NULL && !SSL_SESSION_is_resumable(session)) {
    SSL_SESSION_free(session);
    session = NULL;
  }
  return session != NULL ? wrap(session) : NULL;
}

void qn_tls_session_retain(qn_tls_session_t *s) { s->refs++; }

void qn_tls_session_release(qn_tls_session_t *s)
{
  if (s != NULL && --s->refs == 0) {
    SSL_SESSION_free(s->session);
    qn_free(s);
  }
}

int qn_tls_session_export(const qn_tls_session_t *s, uint8_t **out, size_t *size)
{
  ERR_clear_error();
  int n = i2d_SSL_SESSION(s->session, NULL);
  if (n <= 0) {
    return qn__ossl_fail(QN_E_CRYPTO);
  }
  if (n > (int)QN_TLS_SESSION_BYTES_MAX) {
    return QN_E_LIMIT;
  }
  uint8_t *p = qn_malloc((size_t)n), *end = p;
  if (p == NULL) {
    return -ENOMEM;
  }
  *size = (size_t)i2d_SSL_SESSION(s->session, &end);
  *out = p;
  return 0;
}

int qn_tls_session_import(qn_slice_t bytes, qn_tls_session_t **out)
{
  const unsigned char *p = bytes.data;
  if (bytes.size > QN_TLS_SESSION_BYTES_MAX) {
    return QN_E_LIMIT;
  }
  ERR_clear_error();
  SSL_SESSION *session = d2i_SSL_SESSION(NULL, &p, (long)bytes.size);
  if (session == NULL || p != bytes.data + bytes.size) {
    SSL_SESSION_free(session);
    return qn__ossl_fail(QN_E_INVALID);
  }
  *out = wrap(session);
  return *out != NULL ? 0 : -ENOMEM;
}

int qn_tls_session_version(const qn_tls_session_t *s)
{
  return SSL_SESSION_get_protocol_version(s->session);
}

int64_t qn_tls_session_expires(const qn_tls_session_t *s)
{
  return (int64_t)SSL_SESSION_get_time(s->session) + SSL_SESSION_get_timeout(s->session);
}

SSL_SESSION *qn__tls_session_peek(const qn_tls_session_t *s) { return s->session; }

/* psk.c: shared keys instead of certificates (RFC 4279, RFC 8446 2.2), from a table or a function.
 *
 * OpenSSL asks in the middle of a handshake, for TLS 1.2 and 1.3 alike; keys of TLS 1.3 go with
 * SHA-256. Looking one up takes as long for identities that exist as for others, and where nothing
 * else could authenticate an unknown one is answered with a key that nobody has: who guesses learns
 * nothing. Must not show keys. Invariant: identities have 1 to QN_TLS_PSK_IDENTITY_MAX bytes
 * without a zero, keys QN_TLS_PSK_KEY_MIN to QN_TLS_PSK_KEY_MAX.
 */
#include "tls/f_tls_i.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define DECOY_SIZE 32u
/* Those of SHA-256 first, or else a server with a certificate would never take a shared key. */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
#define CIPHERS "DEFAULT:-kRSAPSK:-kDHEPSK:-kPSK:kPSK" /* forward secrecy first */

struct qn__tls_psk {
  qn_tls_psk_t *items;
  size_t count;
  qn_tls_psk_fn fn;
  void *arg;
  char hint[QN_TLS_PSK_IDENTITY_MAX + 1];
};

/* --- settings --------------------------------------------------------------------------------- */

static int begin(qn_tls_config_t *c)
{
  c->problem[0] = 0;
  if (c->frozen) {
    return qn__tls_config_fail(c, QN_E_BUSY,
                               "the TLS configuration is in use: copy it to change it");
  }
  if (c->psk == NULL) {
    c->psk = qn_calloc(1, sizeof *c->psk);
  }
  return c->psk != NULL ? 0 : -ENOMEM;
}

static void free_items(struct qn__tls_psk *p)
{
  explicit_bzero(p->items, p->count * sizeof *p->items);
  qn_free(p->items);
  p->items = NULL;
  p->count = 0;
}

void qn__tls_psk_free(qn_tls_config_t *c)
{
  if (c->psk != NULL) {
    if (c->psk->items != NULL) {
      free_items(c->psk);
    }
    qn_free(c->psk);
    c->psk = NULL;
  }
}

bool qn__tls_psk_any(const qn_tls_config_t *c)
{
  return c->psk != NULL && (c->psk->count != 0 || c->psk->fn != NULL);
}

static bool fits(const qn_tls_psk_t *k)
{
  size_t size = strnlen(k->identity, sizeof k->identity);
  return size != 0 && size <= QN_TLS_PSK_IDENTITY_MAX && k->key_size >= QN_TLS_PSK_KEY_MIN &&
         k->key_size <= QN_TLS_PSK_KEY_MAX;
}

int qn_tls_config_add_psk(qn_tls_config_t *c, const char *identity, qn_slice_t key)
{
  int rc = begin(c);
  if (rc < 0) {
    return rc;
  }
  if (identity == NULL) {
    if (c->psk->items != NULL) {
      free_items(c->psk);
    }
    return 0;
  }
  size_t size = strlen(identity);
  if (size == 0 || size > QN_TLS_PSK_IDENTITY_MAX) {
    return qn__tls_config_fail(c, QN_E_INVALID, "the identity of a shared key has 1 to %u bytes",
                               QN_TLS_PSK_IDENTITY_MAX);
  }
  if (key.size < QN_TLS_PSK_KEY_MIN || key.size > QN_TLS_PSK_KEY_MAX) {
    return qn__tls_config_fail(c, QN_E_INVALID, "a shared key has %u to %u bytes, this one %zu",
                               QN_TLS_PSK_KEY_MIN, QN_TLS_PSK_KEY_MAX, key.size);
  }
  if (c->psk->count >= QN_TLS_PSKS_MAX) {
    return qn__tls_config_fail(c, QN_E_LIMIT, "more than %u shared keys", QN_TLS_PSKS_MAX);
  }
  qn_tls_psk_t *list = qn_malloc((c->psk->count + 1) * sizeof *list);
  if (list == NULL) {
    return -ENOMEM;
  }
  qn_tls_psk_t *k = &list[c->psk->count];
  memset(k, 0, sizeof *k); /* identities are compared whole */
  memcpy(k->identity, identity, size);
  memcpy(k->key, key.data, key.size);
  k->key_size = key.size;
  size_t count = c->psk->count;
  if (count != 0) {
    memcpy(list, c->psk->items, count * sizeof *list);
    free_items(c->psk); /* not realloc: nothing of a key stays behind */
  }
  c->psk->items = list;
  c->psk->count = count + 1;
  return 0;
}

int qn_tls_config_set_psk_choice(qn_tls_config_t *c, qn_tls_psk_fn fn, void *arg)
{
  int rc = begin(c);
  if (rc == 0) {
    c->psk->fn = fn;
    c->psk->arg = arg;
  }
  return rc;
}

int qn_tls_config_set_psk_hint(qn_tls_config_t *c, const char *hint)
{
  int rc = begin(c);
  size_t size = hint != NULL ? strlen(hint) : 0;
  if (rc == 0 && size > QN_TLS_PSK_IDENTITY_MAX) {
    return qn__tls_config_fail(c, QN_E_INVALID, "the hint for shared keys has up to %u bytes",
                               QN_TLS_PSK_IDENTITY_MAX);
  }
  if (rc == 0) {
    memcpy(c->psk->hint, size != 0 ? hint : "", size + 1);
  }
  return rc;
}

int qn__tls_psk_copy(qn_tls_config_t *to, const qn_tls_config_t *from)
{
  const struct qn__tls_psk *p = from->psk;
  if (p == NULL) {
    return 0;
  }
  int rc = qn_tls_config_set_psk_choice(to, p->fn, p->arg);
  rc = rc == 0 ? qn_tls_config_set_psk_hint(to, p->hint) : rc;
  for (size_t i = 0; rc == 0 && i < p->count; i++) {
    rc = qn_tls_config_add_psk(to, p->items[i].identity,
                               (qn_slice_t){p->items[i].key, p->items[i].key_size});
  }
  return rc;
}

/* --- looking one up --------------------------------------------------------------------------- */

/* All of the table is compared with, whichever fits. */
static bool in_table(const struct qn__tls_psk *p, const char *identity, qn_tls_psk_t *out)
{
  char wanted[QN_TLS_PSK_IDENTITY_MAX + 1] = "";
  size_t at = p->count;
  memcpy(wanted, identity, strlen(identity));
  for (size_t i = 0; i < p->count; i++) {
    if (CRYPTO_memcmp(wanted, p->items[i].identity, sizeof wanted) == 0) {
      at = i;
    }
  }
  if (at == p->count) {
    return false;
  }
  *out = p->items[at];
  return true;
}

static bool find(qn_tls_t *t, const struct qn__tls_psk *p, const char *text, qn_tls_psk_t *out)
{
  memset(out, 0, sizeof *out);
  if (p->fn != NULL) {
    if (!p->fn(t, text, out, p->arg)) {
      return false;
    }
    if (t->server && text != NULL) {
      memset(out->identity, 0, sizeof out->identity);
      memcpy(out->identity, text, strlen(text));
    }
    return fits(out);
  }
  if (!t->server) {
    *out = p->items[0];
    return p->count != 0;
  }
  return text != NULL && in_table(p, text, out);
}

static bool note(qn_tls_t *t, const qn_tls_psk_t *k)
{
  char *copy = qn_strdup(k->identity);
  if (copy == NULL) {
    return false;
  }
  qn_free(t->psk_identity);
  t->psk_identity = copy;
  t->psk_state = QN__TLS_PSK_OURS;
  return true;
}

static unsigned give_key(qn_tls_psk_t *k, unsigned char *key, unsigned room)
{
  unsigned size = k->key_size <= room ? (unsigned)k->key_size : 0;
  memcpy(key, k->key, size);
  explicit_bzero(k, sizeof *k);
  return size;
}

static unsigned client_key(SSL *ssl, const char *hint, char *identity, unsigned identity_room,
                           unsigned char *key, unsigned key_room)
{
  qn_tls_t *t = qn__tls_of_ssl(ssl);
  const struct qn__tls_psk *p = t->config->psk;
  qn_tls_psk_t k;
  if (hint != NULL && (hint[0] == 0 || strlen(hint) > QN_TLS_PSK_IDENTITY_MAX)) {
    hint = NULL;
  }
  if (p == NULL || !find(t, p, hint, &k) || strlen(k.identity) >= identity_room || !note(t, &k)) {
    return 0;
  }
  memcpy(identity, k.identity, strlen(k.identity) + 1);
  if (t->trace != NULL) {
    qn__tls_trace_say(t, "shared key offered (identity of %zu bytes)", strlen(k.identity));
  }
  return give_key(&k, key, key_room);
}

/* Whether certificates or tickets could still be meant. */
static bool others_possible(const qn_tls_t *t)
{
  return SSL_version(t->ssl) == TLS1_3_VERSION && qn__tls_effective(t)->own_count != 0;
}

static unsigned server_key(SSL *ssl, const char *identity, unsigned char *key, unsigned key_room)
{
  qn_tls_t *t = qn__tls_of_ssl(ssl);
  const struct qn__tls_psk *p = qn__tls_effective(t)->psk;
  qn_tls_psk_t k;
  size_t size = identity != NULL ? strnlen(identity, QN_TLS_PSK_IDENTITY_MAX + 1) : 0;
  if (p == NULL) {
    return 0;
  }
  bool known = size != 0 && size <= QN_TLS_PSK_IDENTITY_MAX && find(t, p, identity, &k);
  if (t->trace != NULL) {
    qn__tls_trace_say(t, "shared key asked for (identity of %zu bytes): %s", size,
                      known ? "known" : "not known");
  }
  if (known) {
    return note(t, &k) ? give_key(&k, key, key_room) : 0;
  }
  if (others_possible(t) || key_room < DECOY_SIZE || RAND_bytes(key, DECOY_SIZE) != 1) {
    return 0;
  }
  t->psk_state = QN__TLS_PSK_DECOY;
  return DECOY_SIZE;
}

/* --- contexts and connections ----------------------------------------------------------------- */

bool qn__tls_psk_setup(const qn_tls_config_t *c, SSL_CTX *ctx, bool server)
{
  if (!qn__tls_psk_any(c)) {
    return true;
  }
  if (!server) {
    SSL_CTX_set_psk_client_callback(ctx, client_key);
  } else {
    SSL_CTX_set_psk_server_callback(ctx, server_key);
    if (c->own_count == 0) {
      SSL_CTX_set_num_tickets(ctx, 0); /* a shared key resumes as cheaply */
    }
    if (c->psk->hint[0] != 0 && !SSL_CTX_use_psk_identity_hint(ctx, c->psk->hint)) {
      return false;
    }
  }
  return (c->ciphers != NULL || SSL_CTX_set_cipher_list(ctx, CIPHERS)) &&
         (c->suites != NULL || SSL_CTX_set_ciphersuites(ctx, SUITES));
}

bool qn__tls_psk_switch(qn_tls_t *t, const qn_tls_config_t *c)
{
  bool any = qn__tls_psk_any(c);
  SSL_set_psk_server_callback(t->ssl, any ? server_key : NULL);
  if (any && ((c->ciphers == NULL && !SSL_set_cipher_list(t->ssl, CIPHERS)) ||
              (c->suites == NULL && !SSL_set_ciphersuites(t->ssl, SUITES)))) {
    return false;
  }
  return SSL_use_psk_identity_hint(t->ssl, any && c->psk->hint[0] != 0 ? c->psk->hint : NULL);
}

void qn__tls_psk_up(qn_tls_t *t)
{
  if (t->psk_state != QN__TLS_PSK_OURS) {
    return;
  }
  bool used;
  if (SSL_version(t->ssl) == TLS1_3_VERSION) {
    used = SSL_session_reused(t->ssl) &&
           (t->server || !SSL_SESSION_has_ticket(SSL_get_session(t->ssl)));
  } else {
    used = SSL_get_psk_identity(t->ssl) != NULL;
  }
  t->psk_state = used ? QN__TLS_PSK_USED : QN__TLS_PSK_NONE;
}

const char *qn_tls_psk_identity(const qn_tls_t *t)
{
  if (t->is_dtls) {
    return t->up ? SSL_get_psk_identity(t->ssl) : NULL;
  }
  return t->psk_state == QN__TLS_PSK_USED ? t->psk_identity : NULL;
}

/* verify_memo.c: what a session remembers of the verification, so that resuming it gets past none.
 *
 * A session carries a note (OpenSSL's application data; a server's tickets and exported sessions
 * have it too): how the settings were by which the peer was looked at, and all that was wrong. The
 * settings decide whether a session may be resumed at all; what was wrong is judged anew each time.
 * Must not depend on what one connection ignored. Invariant: without a note nothing is taken for
 * good.
 */
#include "tls/f_tls_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#define FORMAT 1
#define HEAD (2 + QN__TLS_SETTINGS) /* format, settings, number of errors */
#define DIGEST 32u
#define EACH (2 + DIGEST) /* code, depth, certificate */

/* --- the settings ----------------------------------------------------------------------------- */

static bool add(EVP_MD_CTX *md, const void *data, size_t size)
{
  uint64_t prefix = size;
  return EVP_DigestUpdate(md, &prefix, sizeof prefix) && EVP_DigestUpdate(md, data, size);
}

/* Clients check in the same way whether they go on or not. */
static bool add_settings(EVP_MD_CTX *md, const qn_tls_config_t *c, bool server)
{
  qn_tls_verify_t mode = qn__tls_config_mode(c, server);
  int plain[] = {server,    server ? (int)mode : mode != QN_TLS_VERIFY_NONE,
                 c->depth,  (int)c->ocsp,
                 c->own_ca, c->system_ca};
  bool ok = add(md, plain, sizeof plain) && add(md, c->pins, c->pin_count * 32);
  for (size_t i = 0; ok && i < c->ca.count; i++) {
    uint8_t digest[DIGEST];
    ok = X509_digest(c->ca.items[i]->x509, EVP_sha256(), digest, NULL) &&
         add(md, digest, sizeof digest);
  }
  for (size_t i = 0; ok && i < c->ca_path_count; i++) {
    ok = add(md, c->ca_paths[i], strlen(c->ca_paths[i]));
  }
  return ok;
}

bool qn__tls_settings(qn_tls_config_t *c, bool server)
{
  uint8_t digest[EVP_MAX_MD_SIZE];
  EVP_MD_CTX *md = EVP_MD_CTX_new();
  bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
            add_settings(md, c, server) && EVP_DigestFinal_ex(md, digest, NULL);
  EVP_MD_CTX_free(md);
  if (ok) {
    memcpy(c->settings[server], digest, sizeof c->settings[server]);
  }
  return ok;
}

/* --- writing ---------------------------------------------------------------------------------- */

bool qn__tls_memo_write(const qn_tls_t *t)
{
  uint8_t note[HEAD + QN_TLS_ERRORS_MAX * EACH] = {FORMAT}, *p = note + HEAD;
  SSL_SESSION *session = SSL_get_session(t->ssl);
  memcpy(note + 1, qn__tls_effective(t)->settings[t->server], QN__TLS_SETTINGS);
  note[HEAD - 1] = (uint8_t)t->fault_count;
  ERR_set_mark();
  for (size_t i = 0; i < t->fault_count; i++, p += EACH) {
    const qn__tls_fault_t *f = &t->faults[i];
    p[0] = (uint8_t)(-f->err - 5200);
    p[1] = (uint8_t)(f->depth < UINT8_MAX ? f->depth : UINT8_MAX);
    if (f->cert != NULL) {
      (void)X509_digest(f->cert->x509, EVP_sha256(), p + 2, NULL);
    }
  }
  bool ok =
      session != NULL && SSL_SESSION_set1_ticket_appdata(session, note, (size_t)(p - note)) == 1;
  ERR_pop_to_mark();
  return ok;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The note of a session that was made with these settings; NULL: there is none. */
static const uint8_t *note_of(SSL_SESSION *session, const qn_tls_config_t *c, bool server)
{
  void *data = NULL;
  size_t size = 0;
  if (session == NULL || !SSL_SESSION_get0_ticket_appdata(session, &data, &size) || size < HEAD) {
    return NULL;
  }
  const uint8_t *note = data;
  return note[0] == FORMAT && memcmp(note + 1, c->settings[server], QN__TLS_SETTINGS) == 0 &&
                 size == HEAD + note[HEAD - 1] * (size_t)EACH
             ? note
             : NULL;
}

bool qn__tls_memo_fits(SSL_SESSION *session, const qn_tls_config_t *c, bool server)
{
  qn_tls_verify_t mode = qn__tls_config_mode(c, server);
  X509 *leaf = SSL_SESSION_get0_peer(session);
  if (mode == QN_TLS_VERIFY_NONE) {
    return true;
  }
  if (leaf == NULL) {
    return server && mode == QN_TLS_VERIFY_QUERY;
  }
  return note_of(session, c, server) != NULL && X509_cmp_time(X509_get0_notAfter(leaf), NULL) > 0;
}

static X509 *ignored_with(const qn__tls_ignores_t *l, const uint8_t *wanted)
{
  uint8_t digest[DIGEST];
  for (size_t i = 0; i < l->count; i++) {
    X509 *x509 = l->items[i].cert != NULL ? l->items[i].cert->x509 : NULL;
    if (x509 != NULL && X509_digest(x509, EVP_sha256(), digest, NULL) &&
        memcmp(digest, wanted, sizeof digest) == 0) {
      return x509;
    }
  }
  return NULL;
}

/* The certificate of this digest, of those that are known still: sent ones, ones to ignore. */
static X509 *known(const qn_tls_t *t, X509 *leaf, const uint8_t *wanted)
{
  uint8_t digest[DIGEST];
  STACK_OF(X509) *chain = SSL_get_peer_cert_chain(t->ssl);
  for (int i = -1; i < sk_X509_num(chain); i++) {
    X509 *x509 = i < 0 ? leaf : sk_X509_value(chain, i);
    if (X509_digest(x509, EVP_sha256(), digest, NULL) &&
        memcmp(digest, wanted, sizeof digest) == 0) {
      return x509;
    }
  }
  X509 *x509 = ignored_with(&t->ignore, wanted);
  return x509 != NULL ? x509 : ignored_with(&qn__tls_effective(t)->ignore, wanted);
}

static bool about_names(int code)
{
  return code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

int qn__tls_memo_read(qn_tls_t *t, X509 *leaf)
{
  const qn_tls_config_t *c = qn__tls_effective(t);
  const uint8_t *note = note_of(SSL_get_session(t->ssl), c, t->server), *p;
  int rc = 0;
  if (note == NULL) {
    return qn__tls_config_mode(c, t->server) == QN_TLS_VERIFY_NONE
               ? 0
               : qn__tls_add_fault(t, X509_V_ERR_CERT_REJECTED, 0, leaf, NULL);
  }
  p = note + HEAD;
  for (int n = note[HEAD - 1]; rc == 0 && n > 0; n--, p += EACH) {
    if (!about_names(p[0])) { /* the name may be another one */
      char text[512];
      X509 *x509 = known(t, leaf, p + 2);
      struct qn_cert cert = {.refs = 1, .x509 = x509};
      qn_cert_error_text(QN_E_VERIFY(p[0]), x509 != NULL ? &cert : NULL, NULL, 0, text,
                         sizeof text);
      rc = qn__tls_add_fault(t, p[0], p[1], x509, text);
    }
  }
  return rc;
}

/* verify_peer.c: is this the peer that was meant: chain, name, pinned keys, and who may say "go
 * on".
 *
 * Called by OpenSSL in the middle of a handshake. All errors are collected, not the first only, and
 * they are this connection's. The embedder may be asked; a client's handshake is held meanwhile by
 * SSL_set_retry_verify, a server's by giving it nothing to read. Must not accept a resumed session
 * for another name: name and noted errors are looked at again.
 * Invariant: `verified` = the errors in the list are those of this handshake.
 */
#include "tls/f_tls_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

/* --- the list --------------------------------------------------------------------------------- */

int qn__tls_add_fault(qn_tls_t *t, int code, int depth, X509 *x509, const char *text)
{
  for (size_t i = 0; i < t->fault_count; i++) { /* OpenSSL may come by twice */
    const qn__tls_fault_t *f = &t->faults[i];
    if (f->err == QN_E_VERIFY(code) && f->depth == depth) {
      return 0;
    }
  }
  if (t->fault_count >= QN_TLS_ERRORS_MAX) {
    return 0;
  }
  if (t->fault_count == QN_TLS_ERRORS_MAX - 1) { /* what is not kept must not count as ignored */
    code = X509_V_ERR_UNSPECIFIED;
    depth = 0;
    x509 = NULL;
    text = "there are more errors than are kept";
  }
  qn__tls_fault_t *list = qn_realloc(t->faults, (t->fault_count + 1) * sizeof *list);
  if (list == NULL) {
    return -ENOMEM;
  }
  t->faults = list;
  qn__tls_fault_t f = {.err = QN_E_VERIFY(code), .depth = depth};
  if (x509 != NULL) {
    X509_up_ref(x509);
    f.cert = qn__cert_wrap(x509);
    if (f.cert == NULL) {
      return -ENOMEM;
    }
  }
  f.text = text != NULL ? qn_strdup(text) : NULL;
  if (text != NULL && f.text == NULL) {
    qn_cert_release(f.cert);
    return -ENOMEM;
  }
  list[t->fault_count++] = f;
  qn__tls_event(t, QN_TLS_EVENT_VERIFY_ERROR, f.err);
  return 0;
}

size_t qn_tls_error_count(const qn_tls_t *t) { return t->fault_count; }

qn_tls_error_t qn_tls_error_at(const qn_tls_t *t, size_t i)
{
  if (i >= t->fault_count) {
    return (qn_tls_error_t){0};
  }
  const qn__tls_fault_t *f = &t->faults[i];
  return (qn_tls_error_t){f->err, f->depth, f->cert,
                          f->text != NULL ? f->text : qn_err_text(f->err)};
}

static bool ignored(const qn_tls_t *t, const qn__tls_fault_t *f)
{
  const qn_tls_config_t *c = qn__tls_effective(t);
  return t->ignore_all || c->ignore_all || qn__tls_ignores_has(&t->ignore, f->err, f->cert) ||
         qn__tls_ignores_has(&c->ignore, f->err, f->cert);
}

static const qn__tls_fault_t *first_serious(const qn_tls_t *t)
{
  for (size_t i = 0; i < t->fault_count; i++) {
    if (!ignored(t, &t->faults[i])) {
      return &t->faults[i];
    }
  }
  return NULL;
}

int qn_tls_ignore(qn_tls_t *t, const qn_tls_ignore_t *list, size_t n, bool all)
{
  int rc = n != 0 ? qn__tls_ignores_set(&t->ignore, list, n, true) : 0;
  t->ignore_all = t->ignore_all || all;
  if (rc == 0 && t->wait == QN__TLS_WAIT_VERIFY && first_serious(t) == NULL) {
    qn_tls_answer_verify(t, true);
  }
  return rc;
}

/* --- looking ---------------------------------------------------------------------------------- */

static bool pinned_cert(const qn_tls_config_t *c, const X509 *x509)
{
  uint8_t digest[32];
  unsigned char *der = NULL;
  int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);
  if (n <= 0) {
    return false;
  }
  SHA256(der, (size_t)n, digest);
  OPENSSL_free(der);
  for (size_t i = 0; i < c->pin_count; i++) {
    if (CRYPTO_memcmp(digest, c->pins[i], sizeof digest) == 0) {
      return true;
    }
  }
  return false;
}

static bool pinned(const qn_tls_config_t *c, X509 *leaf, STACK_OF(X509) * chain)
{
  bool found = pinned_cert(c, leaf);
  for (int i = 0; !found && i < sk_X509_num(chain); i++) {
    found = pinned_cert(c, sk_X509_value(chain, i));
  }
  return found;
}

static int look_at_name(qn_tls_t *t, X509 *leaf)
{
  char text[512];
  struct qn_cert cert = {.refs = 1, .x509 = leaf};
  size_t size = t->verify_name != NULL ? strlen(t->verify_name) : 0;
  int rc = size != 0 ? qn_cert_match_host(&cert, t->verify_name, size) : 0;
  if (rc == 0) {
    return 0;
  }
  qn_cert_mismatch_text(&cert, t->verify_name, size, text, sizeof text);
  return qn__tls_add_fault(t, QN_E_IS_VERIFY(rc) ? -rc - 5200 : X509_V_ERR_HOSTNAME_MISMATCH, 0,
                           leaf, text);
}

/* What OpenSSL's look at the chain does not cover. */
static int look_beyond(qn_tls_t *t, X509 *leaf, STACK_OF(X509) * chain)
{
  const qn_tls_config_t *c = qn__tls_effective(t);
  int rc = look_at_name(t, leaf);
  if (rc == 0 && c->pin_count != 0 && !pinned(c, leaf, chain)) {
    rc = qn__tls_add_fault(t, QN_TLS_VERIFY_NOT_PINNED, 0, leaf, NULL);
  }
  return rc;
}

static int collect(int ok, X509_STORE_CTX *ctx)
{
  SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
  qn_tls_t *t = qn__tls_of_ssl(ssl);
  if (!ok) {
    char text[512];
    int code = X509_STORE_CTX_get_error(ctx);
    X509 *x509 = X509_STORE_CTX_get_current_cert(ctx);
    struct qn_cert cert = {.refs = 1, .x509 = x509};
    qn_cert_error_text(QN_E_VERIFY(code), x509 != NULL ? &cert : NULL, NULL, 0, text, sizeof text);
    if (qn__tls_add_fault(t, code, X509_STORE_CTX_get_error_depth(ctx), x509, text) < 0) {
      t->io_error = -ENOMEM;
      return 0;
    }
  }
  return 1;
}

/* --- deciding --------------------------------------------------------------------------------- */

static int refuse(qn_tls_t *t)
{
  const qn__tls_fault_t *f = first_serious(t);
  t->verify_err = f != NULL ? f->err : QN_E_VERIFY(X509_V_ERR_CERT_REJECTED);
  qn__tls_say(t, f != NULL && f->text != NULL ? f->text : qn_err_text(t->verify_err));
  return t->verify_err;
}

int qn__tls_decide(qn_tls_t *t)
{
  if (t->io_error < 0) {
    return t->io_error;
  }
  if (qn__tls_config_mode(qn__tls_effective(t), t->server) != QN_TLS_VERIFY_PEER ||
      first_serious(t) == NULL || t->verify_answer > 0) {
    return 0;
  }
  if (t->verify_answer < 0 || t->hooks.verify == NULL) {
    return refuse(t);
  }
  t->wait = QN__TLS_WAIT_VERIFY;
  if (!t->verify_asked) {
    t->verify_asked = true;
    t->hooks.verify(t, t->hooks.arg); /* may answer at once */
  }
  return t->wait == QN__TLS_WAIT_NONE ? qn__tls_decide(t) : QN_AGAIN;
}

void qn_tls_answer_verify(qn_tls_t *t, bool accept)
{
  if (t->wait != QN__TLS_WAIT_VERIFY) {
    return;
  }
  t->verify_answer = accept ? 1 : -1;
  t->wait = QN__TLS_WAIT_NONE;
  qn__tls_go_on(t);
}

/* OpenSSL: 1 accept (or held), 0 refuse. */
static int verify(X509_STORE_CTX *ctx, void *arg)
{
  SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
  qn_tls_t *t = qn__tls_of_ssl(ssl);
  (void)arg;
  if (!t->verified) {
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    ERR_set_mark();
    int ok = qn__path_verify(ctx, collect);
    ERR_pop_to_mark();
    qn__tls_note_issuer(t, leaf, X509_STORE_CTX_get0_chain(ctx));
    if (ok <= 0 && t->fault_count == 0) { /* it could not even begin */
      (void)collect(0, ctx);
    }
    if (t->io_error == 0 && look_beyond(t, leaf, X509_STORE_CTX_get0_chain(ctx)) < 0) {
      t->io_error = -ENOMEM;
    }
    if (t->io_error == 0 && SSL_version(ssl) == TLS1_3_VERSION &&
        qn__tls_look_at_staple(t, leaf) < 0) {
      t->io_error = -ENOMEM;
    }
    t->verified = true;
    if (t->io_error == 0 && !qn__tls_memo_write(t)) {
      t->io_error = -ENOMEM;
    }
    if (t->trace != NULL) {
      qn__tls_trace_verified(t);
    }
  }
  int rc = qn__tls_decide(t);
  const qn__tls_fault_t *f = first_serious(t);
  f = f == NULL && t->fault_count != 0 ? &t->faults[0] : f;
  int code = f != NULL ? -f->err - 5200 : X509_V_OK;
  /* What the session remembers; the alert is chosen by it. */
  X509_STORE_CTX_set_error(ctx,
                           code < QN_TLS_VERIFY_NO_PEER_CERT ? code : X509_V_ERR_CERT_REJECTED);
  if (rc == QN_AGAIN && !t->server) {
    return SSL_set_retry_verify(ssl) > 0;
  }
  return rc == 0 || rc == QN_AGAIN; /* servers: bio.c gives nothing more to read for now */
}

void qn__tls_verify_setup(SSL_CTX *ctx) { SSL_CTX_set_cert_verify_callback(ctx, verify, NULL); }

/* A resumed session brings no certificate message: its name and what was wrong then count again. */
static int look_again(qn_tls_t *t, X509 *leaf)
{
  int rc = leaf != NULL ? look_at_name(t, leaf) : 0;
  return rc == 0 && leaf != NULL ? qn__tls_memo_read(t, leaf) : rc;
}

/* Some ciphers have no certificates at all; sessions of shared keys have none either. */
static bool is_nobody(const qn_tls_t *t, const X509 *leaf)
{
  const qn_tls_config_t *c = qn__tls_effective(t);
  return leaf == NULL && qn__tls_config_mode(c, t->server) == QN_TLS_VERIFY_PEER &&
         t->psk_state != QN__TLS_PSK_USED &&
         !(t->server && SSL_session_reused(t->ssl) && qn__tls_psk_any(c));
}

/* Once the handshake is complete: 0, QN_AGAIN or the error. */
static int verify_again(qn_tls_t *t)
{
  X509 *leaf = SSL_get0_peer_certificate(t->ssl);
  int rc = 0;
  if (!t->verified) {
    t->verified = true;
    rc = SSL_session_reused(t->ssl) ? look_again(t, leaf) : 0;
    if (rc == 0 && is_nobody(t, leaf)) {
      rc = qn__tls_add_fault(t, QN_TLS_VERIFY_NO_PEER_CERT, 0, NULL, NULL);
    }
  }
  return rc < 0 ? rc : t->fault_count != 0 ? qn__tls_decide(t) : 0;
}

/* The signature behind a refused certificate is not looked at: alert handshake_failure. */
static int no_signature(const SSL *ssl, const SSL_CTX *ctx, int op, int bits, int nid, void *other,
                        void *arg)
{
  (void)ssl, (void)ctx, (void)bits, (void)nid, (void)other, (void)arg;
  return op != SSL_SECOP_SIGALG_CHECK;
}

void qn__tls_refuse_held(qn_tls_t *t)
{
  (void)refuse(t);
  if (t->server) {
    SSL_set_security_callback(t->ssl, no_signature);
  } else {
    t->poison = true;
  }
}

/* OpenSSL has no call that sends an alert when a handshake is complete, but it sends one for a
 * record that is too large. */
static void alert_late(qn_tls_t *t)
{
  uint8_t byte;
  size_t n;
  ERR_clear_error();
  t->poison = true;
  (void)SSL_read_ex(t->ssl, &byte, 1, &n);
  ERR_clear_error();
}

int qn__tls_verify_late(qn_tls_t *t)
{
  int rc = verify_again(t);
  if (rc < 0 && rc != QN_AGAIN && t->server && !t->is_dtls) {
    alert_late(t);
  }
  return rc;
}

/* verify_staple.c: what a client makes of the OCSP answer that its server has stapled, or has not.
 *
 * With TLS 1.3 the answer comes with the certificate and is looked at together with it; with TLS
 * 1.2 it comes behind, and OpenSSL calls on_status when it has it. Must not be content with less
 * than the configuration asks for. Invariant: looked at once per handshake; a resumed session was
 * looked at when it was made.
 */
#include "tls/f_tls_i.h"
#include "tls/ocsp_i.h"

#include <errno.h>
#include <openssl/err.h>
#include <time.h>

static X509 *issuer_in(X509 *leaf, STACK_OF(X509) * certs)
{
  for (int i = 0; i < sk_X509_num(certs); i++) {
    X509 *x509 = sk_X509_value(certs, i);
    if (X509_check_issued(x509, leaf) == X509_V_OK) {
      return x509;
    }
  }
  return NULL;
}

/* A handshake that was held forgets its chain. */
void qn__tls_note_issuer(qn_tls_t *t, X509 *leaf, STACK_OF(X509) * chain)
{
  X509 *issuer = t->server || t->config->ocsp == QN_TLS_OCSP_OFF ? NULL : issuer_in(leaf, chain);
  if (issuer != NULL && t->issuer == NULL) {
    X509_up_ref(issuer);
    t->issuer = issuer;
  }
}

/* What is wrong, of what the mode minds. */
static int minded(const qn_tls_config_t *c, int code, X509 *leaf)
{
  if (code == X509_V_OK || code == X509_V_ERR_CERT_REVOKED || c->ocsp == QN_TLS_OCSP_REQUIRE) {
    return code;
  }
  /* A certificate that demands an answer is good with a valid one only. */
  return qn__ocsp_must_staple(leaf) ? code : X509_V_OK;
}

int qn__tls_look_at_staple(qn_tls_t *t, X509 *leaf)
{
  qn_slice_t der = qn_tls_ocsp(t);
  const qn_tls_config_t *c = t->config;
  const char *problem = NULL;
  char text[256];
  int code = X509_V_ERR_OCSP_VERIFY_NEEDED;
  if (t->server || c->ocsp == QN_TLS_OCSP_OFF || t->staple_seen || leaf == NULL) {
    return 0;
  }
  t->staple_seen = true;
  t->ocsp = (qn_ocsp_t){.reason = -1};
  ERR_set_mark();
  if (der.size != 0) {
    X509 *issuer = t->issuer;
    issuer = issuer == NULL ? issuer_in(leaf, SSL_get_peer_cert_chain(t->ssl)) : issuer;
    code = qn__ocsp_check(der, leaf, issuer, (int64_t)time(NULL), &t->ocsp, &problem);
    t->ocsp_problem = problem;
  }
  if (t->trace != NULL) {
    qn__tls_trace_say(t, "OCSP answer: %s%s%s",
                      der.size != 0 ? qn_ocsp_status_name(t->ocsp.status) : "none",
                      problem != NULL ? ": " : "", problem != NULL ? problem : "");
  }
  int what = minded(c, code, leaf);
  ERR_pop_to_mark();
  if (what == X509_V_OK) {
    return 0;
  }
  qn__ocsp_text(&t->ocsp, what, problem, text, sizeof text);
  return qn__tls_add_fault(t, what, 0, leaf, text);
}

/* OpenSSL: 1 go on, 0 refuse, -1 an error of ours. */
static int on_status(SSL *ssl, void *arg)
{
  qn_tls_t *t = qn__tls_of_ssl(ssl);
  X509 *leaf = SSL_get0_peer_certificate(ssl);
  size_t before = t->fault_count;
  (void)arg;
  if (t->staple_seen || leaf == NULL || SSL_session_reused(ssl)) {
    return 1;
  }
  if (qn__tls_look_at_staple(t, leaf) < 0) {
    t->io_error = -ENOMEM;
    return -1;
  }
  if (t->fault_count == before) {
    return 1;
  }
  if (!qn__tls_memo_write(t)) {
    t->io_error = -ENOMEM;
    return -1;
  }
  t->verify_answer = 0; /* what was said of the others does not count for this one */
  t->verify_asked = false;
  int rc = qn__tls_decide(t);
  t->held_late = rc == QN_AGAIN;
  return rc == 0 || rc == QN_AGAIN;
}

void qn__tls_staple_setup(const qn_tls_config_t *c, SSL_CTX *ctx)
{
  if (c->ocsp != QN_TLS_OCSP_OFF) {
    SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp);
    SSL_CTX_set_tlsext_status_cb(ctx, on_status);
  }
}

bool qn_tls_ocsp_info(const qn_tls_t *t, qn_ocsp_t *out, const char **problem)
{
  *out = t->ocsp;
  *problem = t->ocsp_problem;
  return t->staple_seen && qn_tls_ocsp(t).size != 0;
}

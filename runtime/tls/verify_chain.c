/* verify_chain.c: whether a chain of certificates is good, and everything that is wrong with it.
 *
 * Verification goes on after each finding, so that all are reported, each once per certificate.
 * Called by the bindings. No revocation lists are asked. Keys and digests weaker than 112 bits are
 * findings (level 2 of OpenSSL, as for TLS). Bounded by QN_CERT_MAX_CHAIN and QN_CERT_MAX_ERRORS.
 */
#include "tls/cert_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#define LEVEL 2

static int note(qn_findings_t *out, int code, int depth, X509 *x509)
{
  for (size_t i = 0; i < out->count; i++) {
    if (out->items[i].code == code && out->items[i].depth == depth) {
      return 0;
    }
  }
  if (out->count == QN_CERT_MAX_ERRORS) {
    return 0;
  }
  if (out->count == out->room) {
    size_t room = out->room > 0 ? out->room * 2 : 4;
    qn_finding_t *items = qn_realloc(out->items, room * sizeof *items);
    if (items == NULL) {
      return -ENOMEM;
    }
    out->items = items;
    out->room = room;
  }
  qn_cert_t *cert = NULL;
  if (x509 != NULL) {
    X509_up_ref(x509);
    cert = qn__cert_wrap(x509);
    if (cert == NULL) {
      return -ENOMEM;
    }
  }
  out->items[out->count++] = (qn_finding_t){code, depth, cert};
  return 0;
}

typedef struct run {
  qn_findings_t *out;
  int rc;
} run_t;

static int on_step(int ok, X509_STORE_CTX *ctx)
{
  run_t *run = X509_STORE_CTX_get_app_data(ctx);
  if (ok) {
    return 1;
  }
  int rc = note(run->out, QN_E_VERIFY(X509_STORE_CTX_get_error(ctx)),
                X509_STORE_CTX_get_error_depth(ctx), X509_STORE_CTX_get_current_cert(ctx));
  run->rc = rc != 0 ? rc : run->rc;
  return rc == 0;
}

static void set_rules(X509_STORE_CTX *ctx, const qn_verify_t *in)
{
  X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
  X509_VERIFY_PARAM_set_auth_level(param, LEVEL);
  if (in->purpose != QN_PURPOSE_ANY) {
    bool server = in->purpose == QN_PURPOSE_SERVER;
    X509_VERIFY_PARAM_set_purpose(param,
                                  server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
    X509_VERIFY_PARAM_set_trust(param, server ? X509_TRUST_SSL_SERVER : X509_TRUST_SSL_CLIENT);
  }
  if (in->time != QN_CERT_NO_TIME) {
    X509_VERIFY_PARAM_set_time(param, (time_t)in->time);
  }
  if (in->depth >= 0) {
    X509_VERIFY_PARAM_set_depth(param, in->depth);
  }
  if (in->partial) {
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  }
}

static int run_verification(const qn_verify_t *in, qn_trust_t *trust, STACK_OF(X509) * others,
                            qn_findings_t *out)
{
  run_t run = {out, 0};
  X509_STORE_CTX *ctx = X509_STORE_CTX_new();
  if (ctx == NULL || X509_STORE_CTX_init(ctx, trust->store, in->chain[0]->x509, others) != 1) {
    X509_STORE_CTX_free(ctx);
    return qn__ossl_fail(-ENOMEM);
  }
  set_rules(ctx, in);
  X509_STORE_CTX_set_app_data(ctx, &run);
  int good = qn__path_verify(ctx, on_step);
  if (good != 1 && run.rc == 0 && out->count == 0) { /* it ended before it could tell */
    run.rc = note(out, QN_E_VERIFY(X509_V_ERR_UNSPECIFIED), 0, in->chain[0]->x509);
  }
  STACK_OF(X509) *built = X509_STORE_CTX_get0_chain(ctx);
  for (int i = 0; run.rc == 0 && built != NULL && i < sk_X509_num(built); i++) {
    X509 *x509 = sk_X509_value(built, i);
    X509_up_ref(x509);
    qn_cert_t *cert = qn__cert_wrap(x509);
    run.rc = cert == NULL ? -ENOMEM : qn_certs_add(&out->chain, cert);
    qn_cert_release(cert);
  }
  X509_STORE_CTX_free(ctx);
  ERR_clear_error();
  return run.rc;
}

int qn_cert_verify(const qn_verify_t *in, qn_findings_t *out)
{
  *out = (qn_findings_t){NULL, 0, 0, {NULL, 0, 0}};
  if (in->count == 0 || in->count > QN_CERT_MAX_CHAIN) {
    return in->count == 0 ? QN_E_INVALID : QN_E_LIMIT;
  }
  qn_trust_t *trust = in->trust;
  STACK_OF(X509) *others = sk_X509_new_null();
  int rc = others == NULL ? -ENOMEM : 0;
  if (rc == 0) {
    rc = trust == NULL ? qn_trust_system(&trust) : (qn_trust_retain(trust), 0);
  }
  for (size_t i = 1; rc == 0 && i < in->count; i++) {
    rc = sk_X509_push(others, in->chain[i]->x509) > 0 ? 0 : -ENOMEM;
  }
  if (rc == 0) {
    rc = run_verification(in, trust, others, out);
  }
  if (rc == 0 && in->host != NULL) {
    int match = qn_cert_match_host(in->chain[0], in->host, in->host_size);
    rc = match == 0 || !QN_E_IS_VERIFY(match) ? match : note(out, match, 0, in->chain[0]->x509);
  }
  if (trust != NULL) {
    qn_trust_release(trust);
  }
  sk_X509_free(others);
  if (rc != 0) {
    qn_findings_free(out);
  }
  return rc;
}

void qn_findings_free(qn_findings_t *findings)
{
  for (size_t i = 0; i < findings->count; i++) {
    qn_cert_release(findings->items[i].cert);
  }
  qn_free(findings->items);
  qn_certs_free(&findings->chain);
  *findings = (qn_findings_t){NULL, 0, 0, {NULL, 0, 0}};
}

/* ocsp.c: OCSP answers (RFC 6960) that servers staple: read, and checked against a certificate.
 *
 * Used by verify_peer.c and the bindings. An answer counts when the issuer of the certificate, or
 * who was named by it for that, has signed it, and when it is about this certificate and this time.
 * The certificate's own chain is judged elsewhere: here its issuer is given. Must not fetch
 * anything. Invariant: answers are the peer's bytes, at most QN_OCSP_MAX of them.
 */
#include "tls/ocsp_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *qn_ocsp_status_name(qn_ocsp_status_t status)
{
  switch (status) {
  case QN_OCSP_GOOD: return "good";
  case QN_OCSP_REVOKED: return "revoked";
  case QN_OCSP_UNKNOWN: return "unknown";
  default: return "invalid";
  }
}

const char *qn_ocsp_reason_name(int reason)
{
  static const char *const names[] = {
      "unspecified",     "key_compromise",         "ca_compromise",    "affiliation_changed",
      "superseded",      "cessation_of_operation", "certificate_hold", NULL,
      "remove_from_crl", "privilege_withdrawn",    "aa_compromise"};
  return reason >= 0 && reason < (int)(sizeof names / sizeof names[0]) ? names[reason] : NULL;
}

/* 0 when there is none or it is nonsense. */
static int64_t seconds_of(const ASN1_GENERALIZEDTIME *t)
{
  struct tm tm;
  return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static OCSP_BASICRESP *parse(qn_slice_t der, const char **problem)
{
  const unsigned char *p = der.data;
  *problem = "it cannot be read";
  if (der.size == 0 || der.size > QN_OCSP_MAX) {
    return NULL;
  }
  OCSP_RESPONSE *answer = d2i_OCSP_RESPONSE(NULL, &p, (long)der.size);
  if (answer == NULL || p != der.data + der.size) {
    OCSP_RESPONSE_free(answer);
    return NULL;
  }
  int status = OCSP_response_status(answer);
  OCSP_BASICRESP *basic = NULL;
  switch (status) {
  case OCSP_RESPONSE_STATUS_SUCCESSFUL: basic = OCSP_response_get1_basic(answer); break;
  case OCSP_RESPONSE_STATUS_MALFORMEDREQUEST: *problem = "malformed request"; break;
  case OCSP_RESPONSE_STATUS_INTERNALERROR: *problem = "internal error of the responder"; break;
  case OCSP_RESPONSE_STATUS_TRYLATER: *problem = "the responder says: try later"; break;
  case OCSP_RESPONSE_STATUS_SIGREQUIRED: *problem = "the responder wants a signature"; break;
  case OCSP_RESPONSE_STATUS_UNAUTHORIZED: *problem = "the responder is not authorized"; break;
  default: break;
  }
  OCSP_RESPONSE_free(answer);
  return basic;
}

static void describe(OCSP_SINGLERESP *single, const OCSP_BASICRESP *basic, qn_ocsp_t *out)
{
  ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *until = NULL;
  int reason = -1, status = OCSP_single_get0_status(single, &reason, &revoked, &from, &until);
  out->status = status == V_OCSP_CERTSTATUS_GOOD      ? QN_OCSP_GOOD
                : status == V_OCSP_CERTSTATUS_REVOKED ? QN_OCSP_REVOKED
                                                      : QN_OCSP_UNKNOWN;
  out->reason = out->status == QN_OCSP_REVOKED && reason >= 0 ? reason : -1;
  out->revoked_at = out->status == QN_OCSP_REVOKED ? seconds_of(revoked) : 0;
  out->this_update = seconds_of(from);
  out->next_update = seconds_of(until);
  out->produced_at = seconds_of(OCSP_resp_get0_produced_at(basic));
}

int qn_ocsp_read(qn_slice_t der, qn_ocsp_t *out)
{
  const char *problem;
  *out = (qn_ocsp_t){.reason = -1};
  if (der.size > QN_OCSP_MAX) {
    return QN_E_LIMIT;
  }
  ERR_clear_error();
  OCSP_BASICRESP *basic = parse(der, &problem);
  if (basic == NULL || OCSP_resp_count(basic) < 1) {
    OCSP_BASICRESP_free(basic);
    return qn__ossl_fail(QN_E_INVALID);
  }
  describe(OCSP_resp_get0(basic, 0), basic, out);
  OCSP_BASICRESP_free(basic);
  ERR_clear_error();
  return 0;
}

/* --- checking --------------------------------------------------------------------------------- */

/* The issuer is trusted here, and so is whom it has named for signing answers. */
static bool signed_well(OCSP_BASICRESP *basic, X509 *issuer)
{
  STACK_OF(X509) *known = sk_X509_new_null();
  X509_STORE *store = X509_STORE_new();
  bool ok = known != NULL && store != NULL && sk_X509_push(known, issuer) > 0 &&
            X509_STORE_add_cert(store, issuer) &&
            X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) &&
            OCSP_basic_verify(basic, known, store, 0) > 0;
  sk_X509_free(known);
  X509_STORE_free(store);
  return ok;
}

/* Serial numbers are of one issuer: its name and key must fit, too, by whatever digest is used. */
static bool is_about(OCSP_SINGLERESP *single, X509 *leaf, X509 *issuer)
{
  OCSP_CERTID *id = (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single);
  ASN1_OBJECT *digest = NULL;
  if (id == NULL || OCSP_id_get0_info(NULL, &digest, NULL, NULL, id) != 1) {
    return false;
  }
  const EVP_MD *md = EVP_get_digestbyobj(digest);
  OCSP_CERTID *ours = md != NULL ? OCSP_cert_to_id(md, leaf, issuer) : NULL;
  bool same = ours != NULL && OCSP_id_cmp(ours, id) == 0;
  OCSP_CERTID_free(ours);
  return same;
}

static OCSP_SINGLERESP *find(OCSP_BASICRESP *basic, X509 *leaf, X509 *issuer)
{
  int n = OCSP_resp_count(basic);
  for (int i = 0; i < n && i < QN_OCSP_ANSWERS_MAX; i++) {
    OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
    if (is_about(single, leaf, issuer)) {
      return single;
    }
  }
  return NULL;
}

static int bad(qn_ocsp_t *out, const char **problem, int code, const char *text)
{
  out->status = QN_OCSP_INVALID;
  *problem = text;
  return code;
}

int qn__ocsp_check(qn_slice_t der, X509 *leaf, X509 *issuer, int64_t now, qn_ocsp_t *out,
                   const char **problem)
{
  *out = (qn_ocsp_t){.reason = -1};
  OCSP_BASICRESP *basic = parse(der, problem);
  OCSP_SINGLERESP *single = NULL;
  int code = X509_V_ERR_OCSP_VERIFY_FAILED;
  if (basic == NULL) {
    return bad(out, problem, code, *problem);
  }
  *problem = NULL;
  if (issuer == NULL) {
    code = bad(out, problem, code, "the certificate's issuer is not known");
  } else if (!signed_well(basic, issuer)) {
    code = bad(out, problem, code, "nobody who may has signed it");
  } else if ((single = find(basic, leaf, issuer)) == NULL) {
    code = bad(out, problem, code, "it is about other certificates");
  } else {
    describe(single, basic, out);
    int64_t until = out->next_update != 0 ? out->next_update : out->this_update + QN_OCSP_AGE_MAX_S;
    if (out->status == QN_OCSP_REVOKED) { /* which does not pass */
      code = X509_V_ERR_CERT_REVOKED;
    } else if (out->this_update == 0 || out->this_update > now + QN_OCSP_SKEW_S) {
      code = bad(out, problem, QN__OCSP_NOT_YET, "it is not valid yet");
    } else if (until < now - QN_OCSP_SKEW_S) {
      code = bad(out, problem, QN__OCSP_EXPIRED, "it is too old");
    } else {
      code = out->status == QN_OCSP_GOOD ? X509_V_OK : X509_V_ERR_OCSP_CERT_UNKNOWN;
    }
  }
  OCSP_BASICRESP_free(basic);
  return code;
}

bool qn__ocsp_must_staple(X509 *leaf)
{
  TLS_FEATURE *list = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
  bool found = false;
  for (int i = 0; i < sk_ASN1_INTEGER_num(list); i++) {
    found = found || ASN1_INTEGER_get(sk_ASN1_INTEGER_value(list, i)) == TLSEXT_TYPE_status_request;
  }
  TLS_FEATURE_free(list);
  return found;
}

void qn__ocsp_text(const qn_ocsp_t *o, int code, const char *problem, char *out, size_t size)
{
  char when[32] = "";
  struct tm tm;
  time_t at = (time_t)o->revoked_at;
  if (code != X509_V_ERR_CERT_REVOKED) {
    snprintf(out, size, "%s%s%s", qn_err_text(QN_E_VERIFY(code)), problem != NULL ? ": " : "",
             problem != NULL ? problem : "");
    return;
  }
  if (o->revoked_at != 0 && gmtime_r(&at, &tm) != NULL) {
    strftime(when, sizeof when, " on %Y-%m-%d %H:%M:%S UTC", &tm);
  }
  const char *reason = qn_ocsp_reason_name(o->reason);
  snprintf(out, size, "the certificate was revoked%s%s%s%s", when, reason != NULL ? " (" : "",
           reason != NULL ? reason : "", reason != NULL ? ")" : "");
}

/* alert.c: what went wrong: alerts sent and received, and OpenSSL's queue turned into one error.
 *
 * qn__tls_failure is called right behind the call of OpenSSL that failed. The order says what
 * counts: the layer below, our own verification, the peer's alert, the missing rest, OpenSSL's
 * reason. Must leave the queue empty. Invariant: the text belongs to the connection and is set
 * once.
 */
#include "tls/f_tls_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

static const struct {
  uint8_t number;
  const char *name;
} alerts[] = {
    {0, "close_notify"},
    {10, "unexpected_message"},
    {20, "bad_record_mac"},
    {21, "decryption_failed"},
    {22, "record_overflow"},
    {30, "decompression_failure"},
    {40, "handshake_failure"},
    {41, "no_certificate"},
    {42, "bad_certificate"},
    {43, "unsupported_certificate"},
    {44, "certificate_revoked"},
    {45, "certificate_expired"},
    {46, "certificate_unknown"},
    {47, "illegal_parameter"},
    {48, "unknown_ca"},
    {49, "access_denied"},
    {50, "decode_error"},
    {51, "decrypt_error"},
    {60, "export_restriction"},
    {70, "protocol_version"},
    {71, "insufficient_security"},
    {80, "internal_error"},
    {86, "inappropriate_fallback"},
    {90, "user_canceled"},
    {100, "no_renegotiation"},
    {109, "missing_extension"},
    {110, "unsupported_extension"},
    {111, "certificate_unobtainable"},
    {112, "unrecognized_name"},
    {113, "bad_certificate_status_response"},
    {114, "bad_certificate_hash_value"},
    {115, "unknown_psk_identity"},
    {116, "certificate_required"},
    {120, "no_application_protocol"},
};

const char *qn_tls_alert_name(int alert)
{
  for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
    if (alerts[i].number == alert) {
      return alerts[i].name;
    }
  }
  return "unknown";
}

int qn_tls_alert_received(const qn_tls_t *t) { return t->alert_in; }
int qn_tls_alert_sent(const qn_tls_t *t) { return t->alert_out; }

static void on_info(const SSL *ssl, int where, int value)
{
  qn_tls_t *t = qn__tls_of_ssl(ssl);
  if ((where & SSL_CB_ALERT) == 0 || t == NULL) {
    return;
  }
  int alert = value & 0xff;
  if ((where & SSL_CB_READ) != 0) {
    t->alert_in = alert;
    qn__tls_event(t, QN_TLS_EVENT_ALERT_RECEIVED, alert);
  } else {
    t->alert_out = alert;
    qn__tls_event(t, QN_TLS_EVENT_ALERT_SENT, alert);
  }
}

void qn__tls_alert_setup(SSL_CTX *ctx) { SSL_CTX_set_info_callback(ctx, on_info); }

/* --- one error -------------------------------------------------------------------------------- */

static bool is_garbage(int reason, int alert)
{
  switch (reason) {
  case SSL_R_WRONG_VERSION_NUMBER:
  case SSL_R_HTTP_REQUEST:
  case SSL_R_HTTPS_PROXY_REQUEST:
  case SSL_R_BAD_RECORD_TYPE:
  case SSL_R_PACKET_LENGTH_TOO_LONG:
  case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
  case SSL_R_UNEXPECTED_RECORD: return true;
  default: break;
  }
  switch (alert) {
  case SSL_AD_UNEXPECTED_MESSAGE:
  case SSL_AD_BAD_RECORD_MAC:
  case SSL_AD_RECORD_OVERFLOW:
  case SSL_AD_DECODE_ERROR:
  case SSL_AD_ILLEGAL_PARAMETER: return true;
  default: return false;
  }
}

/* Of the first bytes of a peer. */
static bool is_no_tls(int reason)
{
  return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
         reason == SSL_R_HTTPS_PROXY_REQUEST;
}

/* What comes of different keys on both sides. */
static bool is_wrong_key(int reason)
{
  return reason == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC ||
         reason == SSL_R_DIGEST_CHECK_FAILED || reason == SSL_R_BINDER_DOES_NOT_VERIFY ||
         reason == SSL_R_BAD_PSK;
}

static int no_peer_cert(qn_tls_t *t)
{
  int err = QN_E_VERIFY(QN_TLS_VERIFY_NO_PEER_CERT);
  qn__tls_say(t, "the client did not show a certificate");
  t->verify_err = err;
  return err;
}

/* The first error with a reason says what happened, those behind it who else noticed. */
static unsigned long first_error(void)
{
  unsigned long e, first = ERR_get_error();
  while (ERR_GET_LIB(first) != ERR_LIB_SSL && (e = ERR_get_error()) != 0) {
    first = e;
  }
  ERR_clear_error();
  return first;
}

int qn__tls_failure(qn_tls_t *t, bool handshake)
{
  char text[160];
  bool no_memory = false;
  for (unsigned long e = ERR_peek_last_error(); e != 0; e = 0) {
    no_memory = ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE;
  }
  unsigned long e = first_error();
  int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
  if (t->io_error < 0) {
    return t->io_error;
  }
  if (t->verify_err < 0) {
    return t->verify_err; /* its text is there */
  }
  if (no_memory) {
    return -ENOMEM;
  }
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    return no_peer_cert(t);
  }
  if (t->alert_in > 0 && (reason == 0 || reason > SSL_AD_REASON_OFFSET)) {
    const char *name = qn_tls_alert_name(t->alert_in);
    bool known = strcmp(name, "unknown") != 0;
    snprintf(text, sizeof text,
             known ? "the peer sent TLS alert: %s" : "the peer sent TLS alert: %s (%d)", name,
             t->alert_in);
    qn__tls_say(t, text);
    return QN_E_ALERT(t->alert_in);
  }
  if (t->ended || (handshake && t->alert_in == SSL_AD_CLOSE_NOTIFY)) {
    qn__tls_say(t, handshake ? "the connection ended in the TLS handshake"
                             : qn_err_text(QN_E_TLS_TRUNCATED));
    return handshake ? QN_E_EOF : QN_E_TLS_TRUNCATED;
  }
  if (handshake && t->psk_state != QN__TLS_PSK_NONE && is_wrong_key(reason)) {
    qn__tls_say(t, t->psk_state == QN__TLS_PSK_DECOY
                       ? "the identity of the client's shared key is not known"
                       : "the shared key is not the peer's");
    return QN_E_TLS;
  }
  if (handshake && is_no_tls(reason) && SSL_get_current_cipher(t->ssl) == NULL) {
    snprintf(text, sizeof text, "the peer does not speak TLS: %s", ERR_reason_error_string(e));
    qn__tls_say(t, text);
    return QN_E_TLS_DATA;
  }
  int err = !handshake || is_garbage(reason, t->alert_out) ? QN_E_TLS_DATA : QN_E_TLS;
  const char *why = e != 0 ? ERR_reason_error_string(e) : NULL;
  if (why != NULL) {
    snprintf(text, sizeof text, "%s: %s", qn_err_text(err), why);
    qn__tls_say(t, text);
  }
  return err;
}

/* cert_text.c: what is wrong with a certificate, in words, and what it is called.
 *
 * Called by verify_peer.c and the bindings for messages to people. What a certificate says is shown
 * as one line of valid UTF-8 without control characters, cut where it gets long: a hostile issuer
 * may have written it. Invariant: the text ends with a NUL whenever there is room for one.
 */
#include "qn/ip.h"
#include "tls/cert_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SHOWN 3       /* names in a message */
#define SHOWN_SIZE 80 /* bytes of one */
#define HOST_SIZE 256 /* bytes of a host */

static const qn_slice_t empty = {(const uint8_t *)"", 0};

typedef struct text {
  char *buf;
  size_t size, at;
} text_t;

/* Whole characters only; what steers a terminal or is no UTF-8 becomes "?". */
static void put(text_t *t, const void *data, size_t size)
{
  const char *p = data;
  while (size > 0) {
    int next = qn_cert_next_shown(p, size);
    size_t step = (size_t)(next < 0 ? -next : next), n = next < 0 ? 1 : step;
    if (t->at + n + 1 > t->size) {
      return;
    }
    memcpy(t->buf + t->at, next < 0 ? "?" : p, n);
    t->at += n;
    p += step;
    size -= step;
  }
}

static void put_text(text_t *t, const char *text) { put(t, text, strlen(text)); }

static void put_cut(text_t *t, const void *data, size_t size, size_t most)
{
  put(t, data, size < most ? size : most);
  if (size > most) {
    put_text(t, "...");
  }
}

static size_t finish(text_t *t)
{
  if (t->size > 0) {
    t->buf[t->at] = '\0';
  }
  return t->at;
}

/* --- names ----------------------------------------------------------------------------------- */

static const qn_cert_entry_t *first_of(const qn_cert_list_t *list, const char *id)
{
  for (size_t i = 0; i < list->count; i++) {
    if (strcmp(list->items[i].id, id) == 0) {
      return &list->items[i];
    }
  }
  return NULL;
}

static int copy(qn_slice_t from, qn_cert_bytes_t *out)
{
  out->data = qn_calloc(1, from.size + 1);
  out->size = from.size;
  if (out->data != NULL && from.size > 0) {
    memcpy(out->data, from.data, from.size);
  }
  return out->data != NULL ? 0 : -ENOMEM;
}

static int ip_text(const qn_cert_entry_t *e, qn_cert_bytes_t *out)
{
  char ip[QN_IP_TEXT];
  size_t n =
      e->value.size == 4 ? qn_ip4_print(e->value.data, ip) : qn_ip6_print(e->value.data, ip, true);
  return copy((qn_slice_t){(const uint8_t *)ip, n}, out);
}

static int name_by_alternative(const qn_cert_t *cert, qn_cert_bytes_t *out)
{
  qn_cert_list_t names = {NULL, 0, 0, false};
  int rc = qn_cert_names(cert, &names);
  if (rc == 0 && names.count > 0) {
    const qn_cert_entry_t *e = &names.items[0];
    rc = e->type == QN_CERT_IP ? ip_text(e, out) : copy(e->value, out);
  } else if (rc == 0) {
    rc = copy(empty, out);
  }
  qn_cert_list_free(&names);
  return rc;
}

int qn_cert_display_name(const qn_cert_t *cert, bool of_issuer, qn_cert_bytes_t *out)
{
  static const char *const ids[] = {"2.5.4.3", "2.5.4.10", "2.5.4.11"};
  qn_cert_list_t list = {NULL, 0, 0, false};
  const qn_cert_entry_t *e = NULL;
  int rc = of_issuer ? qn_cert_issuer(cert, &list) : qn_cert_subject(cert, &list);
  for (size_t i = 0; rc == 0 && e == NULL && i < sizeof ids / sizeof *ids; i++) {
    e = first_of(&list, ids[i]);
  }
  if (rc == 0 && e == NULL && !of_issuer) {
    rc = name_by_alternative(cert, out);
  } else if (rc == 0) {
    rc = copy(e != NULL ? e->value : empty, out);
  }
  qn_cert_list_free(&list);
  return rc;
}

/* `"leaf"`, quoted. */
static void put_display(text_t *t, const qn_cert_t *cert, bool of_issuer)
{
  qn_cert_bytes_t name = {NULL, 0};
  if (qn_cert_display_name(cert, of_issuer, &name) == 0) {
    put_text(t, "\"");
    put_cut(t, name.data, name.size, SHOWN_SIZE);
    put_text(t, "\"");
    qn_free(name.data);
  }
}

static void put_time(text_t *t, int64_t seconds)
{
  char text[64];
  struct tm tm;
  time_t when = (time_t)seconds;
  if (seconds == QN_CERT_NO_TIME || gmtime_r(&when, &tm) == NULL) {
    put_text(t, "a date that cannot be read");
    return;
  }
  size_t n = strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
  put(t, text, n);
}

size_t qn_cert_summary(const qn_cert_t *cert, char *buf, size_t size)
{
  text_t t = {buf, size, 0};
  put_display(&t, cert, false);
  put_text(&t, ", issued by ");
  put_display(&t, cert, true);
  put_text(&t, ", valid until ");
  put_time(&t, qn_cert_not_after(cert));
  return finish(&t);
}

/* --- hosts ----------------------------------------------------------------------------------- */

static bool is_host(const qn_cert_entry_t *e)
{
  return e->type == QN_CERT_DNS || e->type == QN_CERT_IP;
}

static void put_name(text_t *t, const qn_cert_entry_t *e)
{
  qn_cert_bytes_t ip;
  if (e->type != QN_CERT_IP) {
    put_cut(t, e->value.data, e->value.size, SHOWN_SIZE);
  } else if (ip_text(e, &ip) == 0) {
    put(t, ip.data, ip.size);
    qn_free(ip.data);
  }
}

static void put_mismatch(text_t *t, const qn_cert_t *cert, const char *host, size_t host_size)
{
  qn_cert_list_t names = {NULL, 0, 0, false};
  size_t hosts = 0, shown = 0;
  (void)qn_cert_names(cert, &names);
  for (size_t i = 0; i < names.count; i++) {
    hosts += is_host(&names.items[i]);
  }
  put_text(t, hosts > 0 ? "certificate for " : "certificate without host names");
  for (size_t i = 0; i < names.count && shown < SHOWN; i++) {
    if (is_host(&names.items[i])) {
      put_text(t, shown == 0 ? "" : hosts > SHOWN || shown + 1 < hosts ? ", " : " and ");
      put_name(t, &names.items[i]);
      shown++;
    }
  }
  if (hosts > shown) {
    char more[48];
    snprintf(more, sizeof more, " and %s%zu more", names.cut ? "over " : "", hosts - shown);
    put_text(t, more);
  }
  put_text(t, " does not match host \"");
  put_cut(t, host, host_size, HOST_SIZE);
  put_text(t, "\"");
  qn_cert_list_free(&names);
}

size_t qn_cert_mismatch_text(const qn_cert_t *cert, const char *host, size_t host_size, char *buf,
                             size_t size)
{
  text_t t = {buf, size, 0};
  put_mismatch(&t, cert, host, host_size);
  return finish(&t);
}

/* --- errors ---------------------------------------------------------------------------------- */

static void put_key(text_t *t, const qn_cert_t *cert)
{
  EVP_PKEY *key = X509_get0_pubkey(cert->x509);
  char text[96];
  const char *type = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;
  if (type != NULL) {
    snprintf(text, sizeof text, ": %s of %d bits", type, EVP_PKEY_get_bits(key));
    put_text(t, text);
  }
  ERR_clear_error();
}

/* "the certificate of "leaf"" + rest */
static void put_certificate(text_t *t, const char *before, const qn_cert_t *cert, const char *rest)
{
  put_text(t, before);
  put_display(t, cert, false);
  put_text(t, rest);
}

static void put_error(text_t *t, int code, const qn_cert_t *cert)
{
  char algorithm[80];
  switch (code) {
  case QN_E_VERIFY(X509_V_ERR_CERT_HAS_EXPIRED):
    put_certificate(t, "the certificate of ", cert, " has expired: it was valid until ");
    put_time(t, qn_cert_not_after(cert));
    return;
  case QN_E_VERIFY(X509_V_ERR_CERT_NOT_YET_VALID):
    put_certificate(t, "the certificate of ", cert, " is not yet valid: it will be from ");
    put_time(t, qn_cert_not_before(cert));
    return;
  case QN_E_VERIFY(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT):
  case QN_E_VERIFY(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY):
    put_certificate(t, "the issuer of the certificate of ", cert, " is not known: ");
    put_display(t, cert, true);
    return;
  case QN_E_VERIFY(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT):
    put_certificate(t, "the certificate of ", cert, " is self-signed and not trusted");
    return;
  case QN_E_VERIFY(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN):
    put_certificate(t, "the chain ends at the self-signed certificate of ", cert,
                    ", which is not trusted");
    return;
  case QN_E_VERIFY(X509_V_ERR_EE_KEY_TOO_SMALL):
  case QN_E_VERIFY(X509_V_ERR_CA_KEY_TOO_SMALL):
    put_certificate(t, "the key of the certificate of ", cert, " is too weak");
    put_key(t, cert);
    return;
  case QN_E_VERIFY(X509_V_ERR_CA_MD_TOO_WEAK):
    put_certificate(t, "the signature of the certificate of ", cert, " is too weak: ");
    put(t, algorithm, qn_cert_signature_algorithm(cert, algorithm, sizeof algorithm));
    return;
  default: put_text(t, qn_err_text(code)); put_certificate(t, " (certificate of ", cert, ")");
  }
}

size_t qn_cert_error_text(int code, const qn_cert_t *cert, const char *host, size_t host_size,
                          char *buf, size_t size)
{
  text_t t = {buf, size, 0};
  bool mismatch = code == QN_E_VERIFY(X509_V_ERR_HOSTNAME_MISMATCH) ||
                  code == QN_E_VERIFY(X509_V_ERR_IP_ADDRESS_MISMATCH);
  if (cert == NULL) {
    put_text(&t, qn_err_text(code));
  } else if (mismatch && host != NULL) {
    put_mismatch(&t, cert, host, host_size);
  } else {
    put_error(&t, code, cert);
  }
  return finish(&t);
}

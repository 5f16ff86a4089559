/* cert_host.c: whether a certificate is for a host (RFC 6125 section 6.4, RFC 9525).
 *
 * Alternative names only: the common name means nothing. "*" stands for one whole left-most label
 * with two more behind it. An address matches addresses, a name matches names. Called by the
 * bindings and after a chain was verified. What a certificate says is compared, never parsed: a
 * name with a NUL, a blank or non-ASCII bytes equals no host.
 */
#include "codec/idna.h"
#include "qn/ip.h"
#include "tls/cert_i.h"

#include <stdio.h>
#include <string.h>

#define NO_MATCH QN_E_VERIFY(X509_V_ERR_HOSTNAME_MISMATCH)
#define NO_MATCH_IP QN_E_VERIFY(X509_V_ERR_IP_ADDRESS_MISMATCH)

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool same(const char *a, const char *b, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    if (lower(a[i]) != b[i]) {
      return false;
    }
  }
  return true;
}

bool qn__cert_covers(const char *pattern, size_t pattern_size, const char *host, size_t size)
{
  if (size == 0 || pattern_size == 0) {
    return false;
  }
  if (pattern_size < 2 || pattern[0] != '*' || pattern[1] != '.') {
    return pattern_size == size && same(pattern, host, size);
  }
  const char *dot = memchr(host, '.', size);
  if (dot == NULL || dot == host) {
    return false;
  }
  size_t rest = size - (size_t)(dot - host); /* ".example.org" */
  return memchr(dot + 1, '.', rest - 1) != NULL && pattern_size - 1 == rest &&
         same(pattern + 1, dot, rest);
}

typedef struct host {
  uint8_t ip[16];
  size_t ip_size; /* 4, 16, or 0 = a name */
  char name[QN__IDNA_OUT];
  size_t size;
} host_t;

static int read_host(const char *text, size_t size, host_t *out)
{
  out->ip_size = 0;
  const char *zone = memchr(text, '%', size); /* of an IPv6 address: says the way, not who */
  if (qn_ip4_parse(text, size, out->ip)) {
    out->ip_size = 4;
  } else if (qn_ip6_parse(text, zone != NULL ? (size_t)(zone - text) : size, out->ip)) {
    out->ip_size = 16;
  }
  if (out->ip_size != 0) {
    return 0;
  }
  int rc = qn__idna_to_ascii(text, size, 0, out->name);
  if (rc != 0) {
    return rc;
  }
  out->size = strlen(out->name);
  if (out->size > 0 && out->name[out->size - 1] == '.') {
    out->size--;
  }
  return out->size == 0 || out->size > 253 ? QN_E_BAD_HOST : 0;
}

static bool matches(const qn_cert_entry_t *e, const host_t *host)
{
  const char *value = (const char *)e->value.data;
  return host->ip_size == 0 ? e->type == QN_CERT_DNS &&
                                  qn__cert_covers(value, e->value.size, host->name, host->size)
                            : e->type == QN_CERT_IP && e->value.size == host->ip_size &&
                                  memcmp(value, host->ip, host->ip_size) == 0;
}

int qn_cert_match_host(const qn_cert_t *cert, const char *text, size_t size)
{
  host_t host;
  qn_cert_list_t names = {NULL, 0, 0};
  int rc = read_host(text, size, &host);
  if (rc == 0) {
    rc = qn_cert_names(cert, &names);
  }
  if (rc == 0) {
    rc = host.ip_size == 0 ? NO_MATCH : NO_MATCH_IP;
    for (size_t i = 0; i < names.count; i++) {
      if (matches(&names.items[i], &host)) {
        rc = 0;
        break;
      }
    }
  }
  qn_cert_list_free(&names);
  return rc;
}

/* --- in words -------------------------------------------------------------------------------- */

typedef struct text {
  char *buf;
  size_t size, at;
} text_t;

/* What comes from a certificate or a user: one line of printable ASCII, or UTF-8. */
static void put(text_t *t, const void *data, size_t size)
{
  const unsigned char *p = data;
  for (size_t i = 0; i < size && t->at + 1 < t->size; i++) {
    t->buf[t->at++] = p[i] < ' ' || p[i] == 0x7f ? '?' : (char)p[i];
  }
}

static void put_text(text_t *t, const char *text) { put(t, text, strlen(text)); }

#define SHOWN 3       /* names in the message */
#define SHOWN_SIZE 80 /* bytes of one */

static void put_name(text_t *t, const qn_cert_entry_t *e)
{
  char ip[QN_IP_TEXT];
  if (e->type == QN_CERT_IP) {
    size_t n = e->value.size == 4 ? qn_ip4_print(e->value.data, ip)
                                  : qn_ip6_print(e->value.data, ip, true);
    put(t, ip, n);
    return;
  }
  put(t, e->value.data, e->value.size < SHOWN_SIZE ? e->value.size : SHOWN_SIZE);
  if (e->value.size > SHOWN_SIZE) {
    put_text(t, "...");
  }
}

size_t qn_cert_mismatch_text(const qn_cert_t *cert, const char *host, size_t host_size, char *buf,
                             size_t size)
{
  qn_cert_list_t names = {NULL, 0, 0};
  text_t t = {buf, size, 0};
  size_t hosts = 0, shown = 0;
  (void)qn_cert_names(cert, &names);
  for (size_t i = 0; i < names.count; i++) {
    hosts += names.items[i].type == QN_CERT_DNS || names.items[i].type == QN_CERT_IP;
  }
  put_text(&t, hosts > 0 ? "certificate for " : "certificate without host names");
  for (size_t i = 0; i < names.count && shown < SHOWN; i++) {
    if (names.items[i].type == QN_CERT_DNS || names.items[i].type == QN_CERT_IP) {
      put_text(&t, shown == 0 ? "" : hosts > SHOWN || shown + 1 < hosts ? ", " : " and ");
      put_name(&t, &names.items[i]);
      shown++;
    }
  }
  if (hosts > shown) {
    char more[32];
    snprintf(more, sizeof more, " and %zu more", hosts - shown);
    put_text(&t, more);
  }
  put_text(&t, " does not match host \"");
  put(&t, host, host_size < 256 ? host_size : 256);
  put_text(&t, "\"");
  qn_cert_list_free(&names);
  if (size > 0) {
    buf[t.at] = '\0';
  }
  return t.at;
}

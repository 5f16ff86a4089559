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

#include <openssl/err.h>
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
  size -= size > 0 && text[size - 1] == '.';
  int rc = qn__idna_to_ascii(text, size, QN__IDNA_LENGTHS, out->name);
  if (rc != 0) {
    return rc;
  }
  out->size = strlen(out->name);
  bool bad = out->size == 0 || out->name[0] == '.' || strstr(out->name, "..") != NULL;
  for (size_t i = 0; i < out->size; i++) {
    bad = bad || out->name[i] <= ' ' || out->name[i] == 0x7f;
  }
  return bad ? QN_E_BAD_HOST : 0;
}

static bool matches(const GENERAL_NAME *name, const host_t *host)
{
  if (host->ip_size != 0) {
    return name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == (int)host->ip_size &&
           memcmp(ASN1_STRING_get0_data(name->d.iPAddress), host->ip, host->ip_size) == 0;
  }
  return name->type == GEN_DNS &&
         qn__cert_covers((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                         (size_t)ASN1_STRING_length(name->d.dNSName), host->name, host->size);
}

int qn_cert_match_host(const qn_cert_t *cert, const char *text, size_t size)
{
  host_t host;
  int rc = read_host(text, size, &host);
  if (rc != 0) {
    return rc;
  }
  GENERAL_NAMES *names = X509_get_ext_d2i(cert->x509, NID_subject_alt_name, NULL, NULL);
  bool found = false;
  for (int i = 0; !found && names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
    found = matches(sk_GENERAL_NAME_value(names, i), &host);
  }
  GENERAL_NAMES_free(names);
  ERR_clear_error();
  return found ? 0 : host.ip_size != 0 ? NO_MATCH_IP : NO_MATCH;
}

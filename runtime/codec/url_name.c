/* url_name.c: the host of a URL in the RFC modes: names, IPv4 and IPv6 addresses, IPvFuture.
 *
 * Called by url_rfc.c. Strict follows the grammar and rewrites nothing but case; tolerant decodes,
 * maps by UTS 46 and writes addresses in their usual form. Must not look anything up. Invariant:
 * the result is lower case where case means nothing, and the same host again when it is read again.
 */
#include "codec/idna.h"
#include "codec/percent.h"
#include "codec/url_rfc.h"
#include "qn/ip.h"

enum { OTHER, NAME, DIGIT, DOT };

static int class_of(char c)
{
  if ((c >= 'a' && c <= 'z') || c == '-' || c == '_') {
    return NAME;
  }
  return c >= '0' && c <= '9' ? DIGIT : c == '.' ? DOT : OTHER;
}

bool qn__url_host_is_plain(const char *text, size_t size)
{
  if (size == 0) {
    return true;
  }
  if (size > QN__IDNA_MAX) {
    return false;
  }
  size_t label = 0; /* where the last label begins */
  for (size_t i = 0; i < size; i++) {
    int c = class_of(text[i]);
    if (QN_LIKELY(c == NAME || c == DIGIT)) {
      continue;
    }
    if (c == OTHER || i == label || (i + 1 == size)) {
      return false; /* also "a..b", ".a" and "a." */
    }
    if (i - label >= 4 && memcmp(text + label, "xn--", 4) == 0) {
      return false;
    }
    label = i + 1;
  }
  size_t last = size - label;
  return class_of(text[label]) == NAME && (last < 4 || memcmp(text + label, "xn--", 4) != 0);
}

static int refuse(const char **why, const char *text)
{
  *why = text;
  return QN_E_BAD_URL;
}

/* --- IP literals ----------------------------------------------------------------------------- */

static void lower_case(char *text, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
  }
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool is_ip_future(const char *text, size_t size)
{
  size_t i = 1;
  while (i < size && qn__hex_digit((uint8_t)text[i]) >= 0) {
    i++;
  }
  return i > 1 && i + 1 < size && text[i] == '.' &&
         qn__pct_clean(text + i + 1, size - i - 1, QN__PCT_RFC_PASSWORD);
}

/* The zone behind an address: "%25eth0" or "%eth0"; in the form of RFC 6874. */
static int put_zone(const char *text, size_t size, char *out, const char **why)
{
  size_t skip = size >= 3 && memcmp(text, "%25", 3) == 0 && size > 3 ? 3 : 1;
  if (size == skip) {
    return refuse(why, "the zone of the IPv6 address is empty");
  }
  for (size_t i = skip; i < size; i++) {
    if (qn__pct_in((uint8_t)text[i], QN__PCT_RFC_UNRESERVED)) {
      return refuse(why, "a character that no zone of an IPv6 address may have");
    }
  }
  if (size - skip > 64) {
    return refuse(why, "the zone of the IPv6 address is too long");
  }
  qn__url_put(out, "%25");
  memcpy(out + 3, text + skip, size - skip);
  return (int)(3 + size - skip);
}

static int literal(const char *text, size_t size, bool strict, char *out, const char **why)
{
  if (size > QN__HOST_MAX) {
    return refuse(why, "the host is too long");
  }
  if (size > 0 && (text[0] | 0x20) == 'v') {
    if (!is_ip_future(text, size)) {
      return refuse(why, "not an address of a future version (\"v1.x\")");
    }
    memcpy(out, text, size);
    lower_case(out, size);
    return (int)size;
  }
  uint8_t bytes[16];
  const char *zone = strict ? NULL : memchr(text, '%', size);
  size_t length = zone != NULL ? (size_t)(zone - text) : size;
  if (!qn_ip6_parse(text, length, bytes)) {
    return refuse(why, "not an IPv6 address in the brackets");
  }
  if (strict) {
    memcpy(out, text, size);
    lower_case(out, size);
    return (int)size;
  }
  size_t n = qn_ip6_print(bytes, out, true);
  int more = zone != NULL ? put_zone(zone, size - length, out + n, why) : 0;
  return more < 0 ? more : (int)n + more;
}

/* --- names ----------------------------------------------------------------------------------- */

static char upper(char c) { return (char)(c >= 'a' && c <= 'z' ? c & ~0x20 : c); }

/* reg-name = *( unreserved / pct-encoded / sub-delims ) */
static int strict_name(const char *text, size_t size, char *out, const char **why, size_t *at)
{
  if (size > QN__HOST_MAX) {
    return refuse(why, "the host is too long");
  }
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    if (!qn__pct_in((uint8_t)c, QN__PCT_RFC_HOST)) {
      continue;
    }
    *at = i;
    if (c != '%') {
      return refuse(why, "a character that no host may have");
    }
    if (size - i < 3 || qn__hex_digit((uint8_t)text[i + 1]) < 0 ||
        qn__hex_digit((uint8_t)text[i + 2]) < 0) {
      return refuse(why, "'%' is not followed by two hexadecimal digits");
    }
    out[i + 1] = upper(text[i + 1]);
    out[i + 2] = upper(text[i + 2]);
    i += 2;
  }
  return (int)size;
}

/* Whether the last label is a number: then the host is an IPv4 address or nothing. */
static bool ends_in_number(const char *text, size_t size)
{
  size_t from = size;
  while (from > 0 && text[from - 1] != '.') {
    from--;
  }
  const char *label = text + from;
  size_t n = size - from;
  bool hex = n >= 2 && label[0] == '0' && (label[1] | 0x20) == 'x';
  for (size_t i = hex ? 2 : 0; i < n; i++) {
    if (hex ? qn__hex_digit((uint8_t)label[i]) < 0 : label[i] < '0' || label[i] > '9') {
      return false;
    }
  }
  return n > 0;
}

static int check_labels(const char *text, size_t size, const char **why)
{
  size_t label = 0;
  for (size_t i = 0; i <= size; i++) {
    if (i == size || text[i] == '.') {
      if (i == label && !(i == size && size > 1)) { /* one dot at the end is the root */
        return refuse(why, "the host has an empty label");
      }
      label = i + 1;
    } else if (qn__pct_in((uint8_t)text[i], QN__PCT_RFC_HOST)) {
      return refuse(why, "a character that no host may have");
    }
  }
  return (int)size;
}

static int tolerant_name(const char *text, size_t size, char *out, const char **why)
{
  char plain[QN__IDNA_MAX];
  if (size > QN__IDNA_MAX) {
    return refuse(why, "the host is too long");
  }
  size_t n = qn__pct_decode(text, size, plain);
  if (memchr(plain, 0, n) != NULL) {
    return refuse(why, "a character that no host may have");
  }
  if (qn__idna_to_ascii(plain, n, 0, out) != 0) {
    return refuse(why, "the host is no domain name by UTS 46");
  }
  size_t length = strlen(out);
  size_t number = length > 1 && out[length - 1] == '.' ? length - 1 : length;
  if (ends_in_number(out, number)) {
    uint8_t bytes[4];
    if (!qn_ip4_parse_loose(out, number, bytes)) {
      return refuse(why, "the host looks like an IPv4 address, but is none");
    }
    return (int)qn_ip4_print(bytes, out);
  }
  return check_labels(out, length, why);
}

int qn__url_host_rfc(const char *text, size_t size, bool strict, char *out, bool *ip_literal,
                     const char **why, size_t *at)
{
  *at = 0;
  *ip_literal = size >= 2 && text[0] == '[' && text[size - 1] == ']';
  if (*ip_literal) {
    return literal(text + 1, size - 2, strict, out, why);
  }
  if (size == 0) {
    return 0;
  }
  return strict ? strict_name(text, size, out, why, at) : tolerant_name(text, size, out, why);
}

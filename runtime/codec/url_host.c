/* url_host.c: the host parser of the URL Standard (section 3.5): domains, IP addresses, opaque
 * hosts.
 *
 * Called by url_whatwg.c. A domain of plain ASCII, the usual one, is read once; only what is not
 * goes through percent-decoding and IDNA. ASCII domains are only lower-cased: since 2026 the
 * standard no longer fails for labels with a broken "xn--". Invariant: at most QN__HOST_MAX bytes
 * are written.
 */
#include "codec/idna.h"
#include "codec/percent.h"
#include "codec/url_i.h"
#include "qn/ip.h"

#include <string.h>

#define DOMAIN_INPUT_MAX (QN__HOST_MAX / 2) /* bytes of a domain that is decoded or mapped */

static const char forbidden[] = "the host has a character that is forbidden there";

static int fail(const char **why, const char *text)
{
  *why = text;
  return QN_E_BAD_URL;
}

/* The IPv4 number parser; values above 32 bits become UINT64_MAX. */
static bool parse_number(const char *text, size_t size, uint64_t *value)
{
  unsigned radix = 10;
  if (size == 0) {
    return false;
  }
  if (size >= 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
    radix = 16;
    text += 2;
    size -= 2;
  } else if (size >= 2 && text[0] == '0') {
    radix = 8;
    text++;
    size--;
  }
  uint64_t n = 0;
  for (size_t i = 0; i < size; i++) {
    int digit = qn__hex_digit((uint8_t)text[i]);
    if (digit < 0 || (unsigned)digit >= radix) {
      return false;
    }
    n = n > UINT32_MAX ? UINT64_MAX : n * radix + (unsigned)digit;
  }
  *value = n;
  return true;
}

static bool all_digits(const char *text, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') {
      return false;
    }
  }
  return size > 0;
}

/* The ends in a number checker. */
static bool ends_in_number(const char *text, size_t size)
{
  if (size > 0 && text[size - 1] == '.') {
    size--;
  }
  size_t from = size;
  while (from > 0 && text[from - 1] != '.') {
    from--;
  }
  if (from == size || text[from] < '0' || text[from] > '9') {
    return false;
  }
  uint64_t value;
  return all_digits(text + from, size - from) || parse_number(text + from, size - from, &value);
}

/* The IPv4 parser, and its result written over the text. */
static int parse_ip4(char *text, size_t size, const char **why)
{
  uint64_t numbers[4];
  unsigned n = 0;
  if (size > 1 && text[size - 1] == '.') {
    size--;
  }
  for (size_t at = 0; at <= size;) {
    const char *dot = memchr(text + at, '.', size - at);
    size_t part = dot != NULL ? (size_t)(dot - text) - at : size - at;
    if (n == 4) {
      return fail(why, "the IPv4 address has more than four parts");
    }
    if (!parse_number(text + at, part, &numbers[n++])) {
      return fail(why, "the host ends in a number, but is no IPv4 address");
    }
    at += part + 1;
  }
  for (unsigned i = 0; i + 1 < n; i++) {
    if (numbers[i] > 255) {
      return fail(why, "a part of the IPv4 address is above 255");
    }
  }
  if (numbers[n - 1] >= UINT64_C(1) << 8 * (5 - n)) {
    return fail(why, "the last part of the IPv4 address is too large");
  }
  uint32_t address = (uint32_t)numbers[n - 1];
  for (unsigned i = 0; i + 1 < n; i++) {
    address += (uint32_t)numbers[i] << 8 * (3 - i);
  }
  const uint8_t bytes[4] = {(uint8_t)(address >> 24), (uint8_t)(address >> 16),
                            (uint8_t)(address >> 8), (uint8_t)address};
  char print[QN_IP_TEXT];
  size = qn_ip4_print(bytes, print);
  memcpy(text, print, size);
  return (int)size;
}

static int parse_ip6(const char *text, size_t size, char *out, const char **why)
{
  uint8_t address[16];
  if (size < 2 || text[size - 1] != ']') {
    return fail(why, "the bracket of the IPv6 address is not closed");
  }
  if (!qn_ip6_parse(text + 1, size - 2, address)) {
    return fail(why, "what stands in brackets is no IPv6 address");
  }
  return (int)qn_ip6_print(address, out, false);
}

static int parse_opaque(const char *text, size_t size, char *out, const char **why)
{
  size_t room = QN__HOST_MAX - size;
  for (size_t i = 0; i < size; i++) {
    if (qn__pct_in((uint8_t)text[i], QN__PCT_FORBIDDEN_HOST)) {
      return fail(why, forbidden);
    }
    bool encoded = qn__pct_in((uint8_t)text[i], QN__PCT_C0);
    if (encoded && room < 2) {
      return fail(why, "the host is too long");
    }
    room -= encoded ? 2 : 0;
  }
  return (int)qn__pct_encode(text, size, QN__PCT_C0, out);
}

/* Lower-cases ASCII into `out`; the sets of all bytes. */
static unsigned lower(const char *text, size_t size, char *out)
{
  uint32_t seen = 0;
  for (size_t i = 0; i < size; i++) {
    uint8_t c = (uint8_t)text[i];
    seen |= qn__pct_sets[c];
    out[i] = (char)((unsigned)(c - 'A') < 26 ? c | 0x20 : c);
  }
  return seen;
}

static bool is_ascii(const char *text, size_t size)
{
  uint8_t seen = 0;
  for (size_t i = 0; i < size; i++) {
    seen |= (uint8_t)text[i];
  }
  return seen < 0x80;
}

/* A domain with '%' or beyond ASCII: decoded, and mapped by UTS 46. */
static int map_domain(const char *text, size_t size, char *out, const char **why)
{
  char decoded[DOMAIN_INPUT_MAX];
  if (size > DOMAIN_INPUT_MAX) {
    return fail(why, "the host is too long");
  }
  size_t n = qn__pct_decode(text, size, decoded);
  lower(decoded, n, out);
  if (is_ascii(decoded, n)) {
    return qn__pct_clean(out, n, QN__PCT_FORBIDDEN_DOMAIN) ? (int)n : fail(why, forbidden);
  }
  if (!qn__utf8_valid(decoded, n)) {
    return fail(why, "the host is not UTF-8");
  }
  if (qn__idna_to_ascii(decoded, n, 0, out) != 0) {
    return fail(why, "the host is not a valid international domain name");
  }
  n = strlen(out);
  if (n == 0) {
    return fail(why, "the host is empty");
  }
  return qn__pct_clean(out, n, QN__PCT_FORBIDDEN_DOMAIN) ? (int)n : fail(why, forbidden);
}

int qn__url_host_whatwg(const char *text, size_t size, bool special, char *out, bool *ip_literal,
                        const char **why)
{
  *ip_literal = size > 0 && text[0] == '[';
  if (*ip_literal) {
    return parse_ip6(text, size, out, why);
  }
  if (size > QN__HOST_MAX) {
    return fail(why, "the host is too long");
  }
  if (!special) {
    return parse_opaque(text, size, out, why);
  }
  if (size == 0) {
    return fail(why, "the host is empty");
  }
  int n = (int)size;
  /* beyond ASCII, and DEL: in the C0 set; controls and '%' are forbidden anyway */
  if ((lower(text, size, out) & (QN__PCT_C0 | QN__PCT_FORBIDDEN_DOMAIN)) != 0) {
    n = map_domain(text, size, out, why);
  }
  return n > 0 && ends_in_number(out, (size_t)n) ? parse_ip4(out, (size_t)n, why) : n;
}

/* ip.c: IPv4 and IPv6 addresses as text, both ways, by hand.
 *
 * Called by everything that reads or shows an address: address values, URLs, DNS, configuration
 * files. Must not call inet_pton or the like: those differ between systems, and want a NUL where
 * our text is a slice. Invariant: nothing is read behind `size`, and `out` is written only when the
 * whole text is an address.
 */
#include "qn/ip.h"

#include <string.h>

enum { IP6_GROUPS = 8, IP4_PARTS = 4 };

static int hex_value(char c)
{
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool qn_ip4_parse(const char *text, size_t size, uint8_t out[4])
{
  uint8_t octets[IP4_PARTS];
  size_t at = 0;
  for (int part = 0; part < IP4_PARTS; part++) {
    unsigned value = 0;
    size_t start;
    if (part > 0 && (at == size || text[at++] != '.')) {
      return false;
    }
    for (start = at; at < size && at - start < 3 && text[at] >= '0' && text[at] <= '9'; at++) {
      value = value * 10 + (unsigned)(text[at] - '0');
    }
    if (at == start || value > 255 || (at - start > 1 && text[start] == '0')) {
      return false;
    }
    octets[part] = (uint8_t)value;
  }
  if (at != size) {
    return false;
  }
  memcpy(out, octets, sizeof octets);
  return true;
}

/* One part of inet_aton's forms, up to the next dot; false when it is none or above 2^32 - 1. */
static bool loose_part(const char *text, size_t size, size_t *at, uint64_t *value)
{
  unsigned base = 10;
  size_t i = *at;
  if (i < size && text[i] == '0') {
    base = 8;
    if (i + 1 < size && (text[i + 1] | 0x20) == 'x') {
      base = 16;
      i += 2;
    }
  }
  size_t start = i;
  for (*value = 0; i < size && text[i] != '.'; i++) {
    int digit = hex_value(text[i]);
    if (digit < 0 || (unsigned)digit >= base) {
      return false;
    }
    *value = *value * base + (unsigned)digit;
    if (*value > UINT32_MAX) {
      return false;
    }
  }
  *at = i;
  return i > start;
}

bool qn_ip4_parse_loose(const char *text, size_t size, uint8_t out[4])
{
  uint64_t address = 0, value;
  size_t at = 0;
  for (int part = 0;; part++) {
    if (part == IP4_PARTS || !loose_part(text, size, &at, &value)) {
      return false;
    }
    if (at == size) { /* the last one fills the rest */
      if (value >> (8 * (IP4_PARTS - part)) != 0) {
        return false;
      }
      address |= value;
      break;
    }
    if (value > 255) {
      return false;
    }
    address |= value << (8 * (IP4_PARTS - 1 - part));
    at++; /* the dot */
  }
  for (int i = 0; i < IP4_PARTS; i++) {
    out[i] = (uint8_t)(address >> (8 * (IP4_PARTS - 1 - i)));
  }
  return true;
}

bool qn_ip6_parse(const char *text, size_t size, uint8_t out[16])
{
  uint8_t bytes[2 * IP6_GROUPS];
  int n = 0, gap = -1; /* groups so far; where "::" is */
  size_t at = 0;
  if (size >= 2 && text[0] == ':' && text[1] == ':') {
    gap = 0;
    at = 2;
  }
  while (at < size || (n == 0 && gap < 0)) {
    unsigned value = 0;
    size_t start = at;
    if (n == IP6_GROUPS) {
      return false;
    }
    for (int digit; at < size && at - start < 4 && (digit = hex_value(text[at])) >= 0; at++) {
      value = value << 4 | (unsigned)digit;
    }
    if (at == start) {
      return false;
    }
    if (at < size && text[at] == '.') { /* the last 32 bits as IPv4 */
      if (n > IP6_GROUPS - 2 || !qn_ip4_parse(text + start, size - start, bytes + 2 * (size_t)n)) {
        return false;
      }
      n += 2;
      break;
    }
    bytes[2 * n] = (uint8_t)(value >> 8);
    bytes[2 * n + 1] = (uint8_t)value;
    n++;
    if (at == size) {
      break;
    }
    if (text[at++] != ':' || at == size) {
      return false;
    }
    if (text[at] == ':') {
      if (gap >= 0) {
        return false;
      }
      gap = n;
      at++;
    }
  }
  if (gap < 0 ? n != IP6_GROUPS : n == IP6_GROUPS) { /* "::" stands for at least one group */
    return false;
  }
  memset(out, 0, sizeof bytes);
  size_t before = 2 * (size_t)(gap < 0 ? n : gap), after = 2 * (size_t)n - before;
  memcpy(out, bytes, before);
  memcpy(out + sizeof bytes - after, bytes + before, after);
  return true;
}

static char *print_ip4(const uint8_t in[4], char *p)
{
  for (int i = 0; i < IP4_PARTS; i++) {
    unsigned n = in[i];
    if (i > 0) {
      *p++ = '.';
    }
    if (n >= 100) {
      *p++ = (char)('0' + n / 100);
    }
    if (n >= 10) {
      *p++ = (char)('0' + n / 10 % 10);
    }
    *p++ = (char)('0' + n % 10);
  }
  return p;
}

size_t qn_ip4_print(const uint8_t in[4], char out[QN_IP_TEXT])
{
  char *end = print_ip4(in, out);
  *end = '\0';
  return (size_t)(end - out);
}

static char *print_group(unsigned value, char *p)
{
  static const char digits[] = "0123456789abcdef";
  for (int shift = 12; shift >= 0; shift -= 4) {
    if (shift == 0 || value >> shift != 0) {
      *p++ = digits[value >> shift & 15];
    }
  }
  return p;
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952 section 4.2). */
static int zero_run(const uint8_t in[16], int groups, int *at)
{
  int best = 0;
  *at = -1;
  for (int i = 0, run = 0; i < groups; i++) {
    run = in[2 * i] == 0 && in[2 * i + 1] == 0 ? run + 1 : 0;
    if (run > best && run >= 2) {
      best = run;
      *at = i + 1 - run;
    }
  }
  return best;
}

size_t qn_ip6_print(const uint8_t in[16], char out[QN_IP_TEXT], bool mixed)
{
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  bool tail = mixed && memcmp(in, mapped, sizeof mapped) == 0;
  int groups = tail ? IP6_GROUPS - 2 : IP6_GROUPS, gap;
  int run = zero_run(in, groups, &gap);
  char *p = out;
  for (int i = 0; i < groups; i++) {
    if (i == gap) {
      *p++ = ':';
      i += run - 1;
      if (i == groups - 1) {
        *p++ = ':';
      }
      continue;
    }
    if (i > 0) {
      *p++ = ':';
    }
    p = print_group((unsigned)in[2 * i] << 8 | in[2 * i + 1], p);
  }
  if (tail) {
    *p++ = ':';
    p = print_ip4(in + 12, p);
  }
  *p = '\0';
  return (size_t)(p - out);
}

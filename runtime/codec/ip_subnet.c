/* ip_subnet.c: subnets as text, netmasks as numbers of bits.
 *
 * Called by address values (access lists, is_in_subnet) and by the interface list. Octets and
 * numbers of bits are decimal without leading zeros: "010" means ten to some and eight to others.
 * Invariant: the bits of a parsed network behind its prefix are zero.
 */
#include "qn/ip.h"

#include <string.h>

int qn_ip_mask_bits(const uint8_t *mask, size_t size)
{
  int bits = 0;
  bool ended = false;
  for (size_t i = 0; i < 8 * size; i++) {
    bool one = (mask[i / 8] >> (7 - i % 8) & 1) != 0;
    if (one && ended) {
      return -1;
    }
    ended = !one;
    bits += one;
  }
  return bits;
}

/* A decimal number up to `max` without leading zeros, or -1. */
static int small_number(const char *text, size_t size, int max)
{
  int n = 0;
  if (size == 0 || size > 3 || (size > 1 && text[0] == '0')) {
    return -1;
  }
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') {
      return -1;
    }
    n = n * 10 + (text[i] - '0');
  }
  return n <= max ? n : -1;
}

/* One to four octets, the last of fewer than four with or without a dot behind; returns how many,
 * or 0. */
static int octets(const char *text, size_t size, uint8_t out[4])
{
  int n = 0;
  memset(out, 0, 4);
  for (size_t at = 0; at < size;) {
    const char *dot = memchr(text + at, '.', size - at);
    size_t end = dot != NULL ? (size_t)(dot - text) : size;
    int value = n < 4 ? small_number(text + at, end - at, 255) : -1;
    if (value < 0 || (dot != NULL && n == 3)) {
      return 0;
    }
    out[n++] = (uint8_t)value;
    at = dot != NULL ? end + 1 : size;
  }
  return n;
}

static void clear_rest(uint8_t *address, size_t size, int bits)
{
  for (size_t i = (size_t)bits / 8; i < size; i++) {
    unsigned keep = i == (size_t)bits / 8 ? (unsigned)bits % 8 : 0;
    address[i] &= (uint8_t)(0xff00U >> keep);
  }
}

int qn_subnet_parse(const char *text, size_t size, uint8_t out[16], int *bits)
{
  uint8_t net[16] = {0}, mask[4];
  const char *slash = size > 0 ? memchr(text, '/', size) : NULL;
  size_t host = slash != NULL ? (size_t)(slash - text) : size;
  const char *tail = slash != NULL ? slash + 1 : NULL;
  size_t tail_size = slash != NULL ? size - host - 1 : 0;
  bool six = host > 0 && memchr(text, ':', host) != NULL;
  int width = six ? 128 : 32, given = 4, n = -1;
  if (six ? !qn_ip6_parse(text, host, net) : (given = octets(text, host, net)) == 0) {
    return 0;
  }
  if (tail == NULL) {
    n = six ? width : 8 * given;
  } else if (!six && tail_size > 0 && memchr(tail, '.', tail_size) != NULL) {
    n = qn_ip4_parse(tail, tail_size, mask) ? qn_ip_mask_bits(mask, sizeof mask) : -1;
  } else {
    n = small_number(tail, tail_size, width);
  }
  if (n < 0) {
    return 0;
  }
  clear_rest(net, sizeof net, n);
  memcpy(out, net, six ? 16 : 4);
  *bits = n;
  return six ? 6 : 4;
}

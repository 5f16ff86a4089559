/* punycode.c: RFC 3492 with the parameters of IDNA.
 *
 * See punycode.h. All arithmetic is checked: what a peer writes may ask for any number. Quadratic
 * in the length of a label, which is bounded.
 */
#include "codec/punycode.h"

#include <string.h>

enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, BIAS = 72, FIRST = 0x80 };

static uint32_t adapt(uint32_t delta, uint32_t count, bool first)
{
  uint32_t k = 0;
  delta = first ? delta / DAMP : delta / 2;
  delta += delta / count;
  for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE) {
    delta /= BASE - T_MIN;
  }
  return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static uint32_t threshold(uint32_t k, uint32_t bias)
{
  return k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
}

static char digit(uint32_t value) { return (char)(value < 26 ? 'a' + value : '0' + value - 26); }

/* A generalized variable-length integer; the new end, or NULL without room. */
static char *put_number(uint32_t q, uint32_t bias, char *to, const char *end)
{
  for (uint32_t k = BASE;; k += BASE) {
    uint32_t t = threshold(k, bias);
    if (to == end) {
      return NULL;
    }
    if (q < t) {
      *to = digit(q);
      return to + 1;
    }
    *to++ = digit(t + (q - t) % (BASE - t));
    q = (q - t) / (BASE - t);
  }
}

int qn__punycode_encode(const uint32_t *label, size_t size, char *out, size_t room)
{
  char *to = out;
  const char *end = out + room;
  if (size > QN__PUNYCODE_MAX || size >= room) {
    return -1;
  }
  for (size_t i = 0; i < size; i++) {
    if (label[i] < FIRST) {
      *to++ = (char)label[i];
    }
  }
  uint32_t basic = (uint32_t)(to - out), done = basic;
  if (basic > 0) {
    *to++ = '-';
  }
  uint32_t n = FIRST, delta = 0, bias = BIAS;
  while (done < size) {
    uint32_t next = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
      next = label[i] >= n && label[i] < next ? label[i] : next;
    }
    uint64_t grown = delta + (uint64_t)(next - n) * (done + 1);
    if (grown > INT32_MAX) {
      return -1;
    }
    delta = (uint32_t)grown;
    n = next;
    for (size_t i = 0; i < size; i++) {
      delta += label[i] < n;
      if (label[i] == n) {
        to = put_number(delta, bias, to, end);
        if (to == NULL) {
          return -1;
        }
        bias = adapt(delta, done + 1, done == basic);
        delta = 0;
        done++;
      }
    }
    delta++;
    n++;
  }
  return (int)(to - out);
}

static int digit_value(char c)
{
  if (c >= '0' && c <= '9') {
    return c - '0' + 26;
  }
  char low = (char)(c | 0x20);
  return low >= 'a' && low <= 'z' ? low - 'a' : -1;
}

/* Reads one number; false when it is cut short, has a bad digit, or is too large. */
static bool get_number(const char **at, const char *end, uint32_t bias, uint32_t *i)
{
  uint64_t value = *i, weight = 1;
  for (uint32_t k = BASE;; k += BASE) {
    int d = *at < end ? digit_value(*(*at)++) : -1;
    if (d < 0) {
      return false;
    }
    value += (uint64_t)d * weight;
    if (value > INT32_MAX) {
      return false;
    }
    uint32_t t = threshold(k, bias);
    if ((uint32_t)d < t) {
      *i = (uint32_t)value;
      return true;
    }
    weight *= BASE - t;
    if (weight > INT32_MAX) {
      return false;
    }
  }
}

int qn__punycode_decode(const char *text, size_t size, uint32_t *out, size_t room)
{
  const char *at = text, *end = text + size;
  size_t basic = size, count = 0;
  while (basic > 0 && text[basic - 1] != '-') {
    basic--;
  }
  basic -= basic > 0; /* a delimiter in front is no delimiter, and no digit either */
  at += basic > 0 ? basic + 1 : 0;
  room = room < QN__PUNYCODE_MAX ? room : QN__PUNYCODE_MAX;
  if (basic > room) {
    return -1;
  }
  for (; count < basic; count++) {
    if ((uint8_t)text[count] >= FIRST) {
      return -1;
    }
    out[count] = (uint8_t)text[count];
  }
  uint32_t n = FIRST, i = 0, bias = BIAS;
  while (at < end) {
    uint32_t before = i;
    if (count == room || !get_number(&at, end, bias, &i)) {
      return -1;
    }
    bias = adapt(i - before, (uint32_t)count + 1, before == 0);
    n += i / (uint32_t)(count + 1);
    i %= (uint32_t)(count + 1);
    if (n > 0x10ffff || (n >= 0xd800 && n <= 0xdfff)) {
      return -1;
    }
    memmove(out + i + 1, out + i, (count - i) * sizeof *out);
    out[i++] = n;
    count++;
  }
  return (int)count;
}

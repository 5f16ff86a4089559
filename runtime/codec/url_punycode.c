/* url_punycode.c: Punycode (RFC 3492) of one label, and names to and from their ASCII form.
 *
 * Called by the bindings; URLs themselves go through codec/idna.h. Bounded: a label of more than
 * QN_IDN_LABEL code points is refused. Invariant: decoding what was encoded gives the same label.
 */
#include "codec/idna.h"
#include "codec/percent.h"
#include "codec/url_i.h"

enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, BIAS = 72, FIRST = 0x80 };

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
  uint32_t k = 0;
  delta = first ? delta / DAMP : delta / 2;
  for (delta += delta / points; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE) {
    delta /= BASE - T_MIN;
  }
  return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static uint32_t threshold(uint32_t k, uint32_t bias)
{
  return k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
}

static char digit(uint32_t d) { return (char)(d < 26 ? 'a' + d : '0' + d - 26); }

static size_t put_number(uint32_t q, uint32_t bias, char *out)
{
  size_t n = 0;
  for (uint32_t k = BASE;; k += BASE) {
    uint32_t t = threshold(k, bias);
    if (q < t) {
      break;
    }
    out[n++] = digit(t + (q - t) % (BASE - t));
    q = (q - t) / (BASE - t);
  }
  out[n++] = digit(q);
  return n;
}

int qn_punycode_encode(const char *text, size_t size, char out[QN_IDN_OUT])
{
  uint32_t points[QN_IDN_LABEL];
  uint32_t n_points = 0, done = 0, delta = 0, bias = BIAS, n = FIRST;
  size_t used = 0;
  const uint8_t *at = (const uint8_t *)text, *end = at + size;
  while (at < end) {
    int32_t c = qn__utf8_next(&at, end);
    if (c < 0 || n_points == QN_IDN_LABEL) {
      return QN_E_BAD_HOST;
    }
    points[n_points++] = (uint32_t)c;
    if (c < 0x80) {
      out[used++] = (char)c;
      done++;
    }
  }
  uint32_t basic = done;
  if (basic > 0) {
    out[used++] = '-';
  }
  while (done < n_points) {
    uint32_t next = UINT32_MAX;
    for (uint32_t i = 0; i < n_points; i++) {
      next = points[i] >= n && points[i] < next ? points[i] : next;
    }
    delta += (next - n) * (done + 1); /* below 0x110000 * 1025: no overflow */
    n = next;
    for (uint32_t i = 0; i < n_points; i++) {
      delta += points[i] < n;
      if (points[i] == n) {
        used += put_number(delta, bias, out + used);
        bias = adapt(delta, done + 1, done == basic);
        delta = 0;
        done++;
      }
    }
    delta++;
    n++;
  }
  out[used] = 0;
  return (int)used;
}

static int digit_of(char c)
{
  if (c >= '0' && c <= '9') {
    return c - '0' + 26;
  }
  c |= 0x20;
  return c >= 'a' && c <= 'z' ? c - 'a' : -1;
}

int qn_punycode_decode(const char *text, size_t size, char out[QN_IDN_OUT])
{
  uint32_t points[QN_IDN_LABEL];
  uint32_t n_points = 0, n = FIRST, i = 0, bias = BIAS;
  size_t at = size;
  while (at > 0 && text[at - 1] != '-') {
    at--;
  }
  if (size > QN_IDN_LABEL) {
    return QN_E_BAD_HOST;
  }
  for (size_t k = 0; k + 1 < at; k++) {
    if ((uint8_t)text[k] >= 0x80) {
      return QN_E_BAD_HOST;
    }
    points[n_points++] = (uint8_t)text[k];
  }
  while (at < size) {
    uint64_t sum = i, weight = 1;
    for (uint32_t k = BASE;; k += BASE) {
      int d = at < size ? digit_of(text[at++]) : -1;
      uint32_t t = threshold(k, bias);
      if (d < 0) {
        return QN_E_BAD_HOST;
      }
      sum += (uint64_t)d * weight;
      if (sum > UINT32_MAX || weight > UINT32_MAX) {
        return QN_E_BAD_HOST;
      }
      if ((uint32_t)d < t) {
        break;
      }
      weight *= BASE - t;
    }
    bias = adapt((uint32_t)sum - i, n_points + 1, i == 0);
    uint64_t c = n + sum / (n_points + 1);
    i = (uint32_t)(sum % (n_points + 1));
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || n_points == QN_IDN_LABEL) {
      return QN_E_BAD_HOST;
    }
    n = (uint32_t)c;
    memmove(points + i + 1, points + i, (n_points - i) * sizeof *points);
    points[i++] = n;
    n_points++;
  }
  size_t used = 0;
  for (uint32_t k = 0; k < n_points; k++) {
    used += qn__utf8_put(points[k], out + used);
  }
  out[used] = 0;
  return (int)used;
}

static unsigned idna_flags(unsigned flags)
{
  return ((flags & QN_IDN_LENGTHS) != 0 ? QN__IDNA_LENGTHS : 0u) |
         ((flags & QN_IDN_STD3) != 0 ? QN__IDNA_STD3 : 0u) |
         ((flags & QN_IDN_HYPHENS) != 0 ? QN__IDNA_HYPHENS : 0u) |
         ((flags & QN_IDN_TRANSITIONAL) != 0 ? QN__IDNA_TRANSITIONAL : 0u) |
         ((flags & QN_IDN_LENIENT) != 0 ? QN__IDNA_LENIENT : 0u);
}

int qn_idn_to_ascii(const char *text, size_t size, unsigned flags, char out[QN_IDN_OUT])
{
  return qn__idna_to_ascii(text, size, idna_flags(flags), out);
}

int qn_idn_to_unicode(const char *text, size_t size, unsigned flags, char out[QN_IDN_OUT])
{
  return qn__idna_to_unicode(text, size, idna_flags(flags), out);
}

/* percent_utf8.c: UTF-8 in and out, with the Encoding Standard's idea of what is ill-formed.
 *
 * Called by the URL codec and IDNA. Overlong forms, surrogates and values above U+10FFFF are
 * ill-formed; each maximal part of such a sequence counts once. See percent.h.
 */
#include "codec/percent.h"

#include <string.h>

int32_t qn__utf8_next(const uint8_t **at, const uint8_t *end)
{
  const uint8_t *p = *at;
  uint8_t lead = *p++;
  uint8_t low = 0x80, high = 0xbf; /* what the second byte may be */
  int more;
  int32_t c;
  if (lead < 0x80) {
    *at = p;
    return lead;
  }
  if (lead >= 0xc2 && lead <= 0xdf) {
    more = 1;
    c = lead & 0x1f;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    more = 2;
    c = lead & 0x0f;
    low = lead == 0xe0 ? 0xa0 : low;
    high = lead == 0xed ? 0x9f : high;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    more = 3;
    c = lead & 0x07;
    low = lead == 0xf0 ? 0x90 : low;
    high = lead == 0xf4 ? 0x8f : high;
  } else {
    *at = p;
    return -1;
  }
  for (; more > 0; more--, p++) {
    if (p == end || *p < low || *p > high) {
      *at = p;
      return -1;
    }
    c = c << 6 | (*p & 0x3f);
    low = 0x80;
    high = 0xbf;
  }
  *at = p;
  return c;
}

size_t qn__utf8_put(uint32_t c, char *out)
{
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3f));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3f));
    out[2] = (char)(0x80 | (c & 0x3f));
    return 3;
  }
  out[0] = (char)(0xf0 | c >> 18);
  out[1] = (char)(0x80 | (c >> 12 & 0x3f));
  out[2] = (char)(0x80 | (c >> 6 & 0x3f));
  out[3] = (char)(0x80 | (c & 0x3f));
  return 4;
}

/* How many bytes at the beginning are ASCII, eight at a time. */
static size_t ascii_run(const uint8_t *at, const uint8_t *end)
{
  const uint8_t *p = at;
  while (end - p >= 8) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    if ((word & UINT64_C(0x8080808080808080)) != 0) {
      break;
    }
    p += 8;
  }
  while (p < end && *p < 0x80) {
    p++;
  }
  return (size_t)(p - at);
}

bool qn__utf8_valid(const char *text, size_t size)
{
  const uint8_t *at = (const uint8_t *)text, *end = at + size;
  while (at < end) {
    at += ascii_run(at, end);
    if (at < end && qn__utf8_next(&at, end) < 0) {
      return false;
    }
  }
  return true;
}

size_t qn__utf8_repair(const char *text, size_t size, char *out)
{
  const uint8_t *at = (const uint8_t *)text, *end = at + size;
  char *to = out;
  while (at < end) {
    const uint8_t *from = at;
    if (qn__utf8_next(&at, end) < 0) {
      to += qn__utf8_put(0xfffd, to);
    } else {
      memcpy(to, from, (size_t)(at - from));
      to += at - from;
    }
  }
  return (size_t)(to - out);
}

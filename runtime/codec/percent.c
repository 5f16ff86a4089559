/* percent.c: the table of byte sets, encoding and decoding by it.
 *
 * The table is written out so that it is constant data; a unit test builds it again from the
 * definitions. See percent.h.
 */
#include "codec/percent.h"

/* Made from the definitions of URL Standard section 1.3 and RFC 3986 section 3; bits as in the enum
 * of percent.h. */
/* clang-format off */
const uint32_t qn__pct_sets[256] = {
    0x1ffff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, /* 00 */
    0x17fff, 0x1ffff, 0x1ffff, 0x17fff, 0x17fff, 0x1ffff, 0x17fff, 0x17fff, /* 08 */
    0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, /* 10 */
    0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, 0x17fff, /* 18 */
    0x1fffe, 0x00180, 0x07ffe, 0x1fffc, 0x001c0, 0x37fc0, 0x001c0, 0x00188, /*  !"#$%&' */
    0x00180, 0x00180, 0x00100, 0x001c0, 0x001c0, 0x00000, 0x20000, 0x19fe0, /* ()*+,-./ */
    0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, /* 01234567 */
    0x00000, 0x00000, 0x18be0, 0x001e0, 0x1fffe, 0x001e0, 0x1fffe, 0x1bff0, /* 89:;<=>? */
    0x18fe0, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, /* @ABCDEFG */
    0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, /* HIJKLMNO */
    0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, /* PQRSTUVW */
    0x00000, 0x00000, 0x00000, 0x1ffe0, 0x3ffe0, 0x1ffe0, 0x1fff0, 0x00000, /* XYZ[\]^_ */
    0x07ff2, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, /* `abcdefg */
    0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, /* hijklmno */
    0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, 0x00000, /* pqrstuvw */
    0x00000, 0x00000, 0x00000, 0x07ff0, 0x1ffe0, 0x07ff0, 0x00080, 0x17fff, /* xyz{|}~. */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* 80 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* 88 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* 90 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* 98 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* a0 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* a8 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* b0 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* b8 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* c0 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* c8 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* d0 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* d8 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* e0 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* e8 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* f0 */
    0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, 0x07fff, /* f8 */
};
/* clang-format on */

static const char hex[] = "0123456789ABCDEF";

int qn__hex_digit(uint8_t c)
{
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool qn__pct_joins(const char *out, size_t n, uint8_t c)
{
  return qn__hex_digit(c) >= 0 &&
         ((n >= 1 && out[n - 1] == '%') ||
          (n >= 2 && out[n - 2] == '%' && qn__hex_digit((uint8_t)out[n - 1]) >= 0));
}

bool qn__pct_clean(const char *text, size_t size, unsigned sets)
{
  const uint8_t *in = (const uint8_t *)text;
  uint32_t seen = 0;
  for (size_t i = 0; i < size; i++) {
    seen |= qn__pct_sets[in[i]];
  }
  return (seen & sets) == 0;
}

static inline char *put_encoded(char *to, uint8_t c)
{
  to[0] = '%';
  to[1] = hex[c >> 4];
  to[2] = hex[c & 15];
  return to + 3;
}

size_t qn__pct_encode(const char *text, size_t size, unsigned sets, char *out)
{
  const uint8_t *in = (const uint8_t *)text;
  char *to = out;
  for (size_t i = 0; i < size; i++) {
    if (QN_LIKELY(!qn__pct_in(in[i], sets))) {
      *to++ = (char)in[i];
    } else {
      to = put_encoded(to, in[i]);
    }
  }
  return (size_t)(to - out);
}

static bool is_triplet(const uint8_t *at, const uint8_t *end)
{
  return end - at >= 3 && qn__hex_digit(at[1]) >= 0 && qn__hex_digit(at[2]) >= 0;
}

size_t qn__pct_encode_rest(const char *text, size_t size, unsigned sets, char *out)
{
  const uint8_t *in = (const uint8_t *)text;
  char *to = out;
  for (size_t i = 0; i < size; i++) {
    if (QN_LIKELY(!qn__pct_in(in[i], sets)) || (in[i] == '%' && is_triplet(in + i, in + size))) {
      *to++ = (char)in[i];
    } else {
      to = put_encoded(to, in[i]);
    }
  }
  return (size_t)(to - out);
}

size_t qn__pct_decode(const char *text, size_t size, char *out)
{
  const uint8_t *in = (const uint8_t *)text;
  char *to = out;
  for (size_t i = 0; i < size; i++) {
    if (in[i] == '%' && is_triplet(in + i, in + size)) {
      *to++ = (char)(qn__hex_digit(in[i + 1]) * 16 + qn__hex_digit(in[i + 2]));
      i += 2;
    } else {
      *to++ = (char)in[i];
    }
  }
  return (size_t)(to - out);
}

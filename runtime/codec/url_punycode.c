/* url_punycode.c: the public functions of Punycode and UTS 46: text in, text out.
 *
 * Called by the bindings; URLs themselves go through codec/idna.h. Bounded: a label of more than
 * QN_IDN_LABEL code points is refused. Invariant: decoding what was encoded gives the same label.
 */
#include "codec/idna.h"
#include "codec/percent.h"
#include "codec/punycode.h"
#include "codec/url_i.h"

int qn_punycode_encode(const char *text, size_t size, char out[QN_IDN_OUT])
{
  uint32_t label[QN_IDN_LABEL];
  size_t n = 0;
  const uint8_t *at = (const uint8_t *)text, *end = at + size;
  while (at < end) {
    int32_t c = qn__utf8_next(&at, end);
    if (c < 0 || n == QN_IDN_LABEL) {
      return QN_E_BAD_HOST;
    }
    label[n++] = (uint32_t)c;
  }
  int used = qn__punycode_encode(label, n, out, QN_IDN_OUT - 1);
  if (used < 0) {
    return QN_E_BAD_HOST;
  }
  out[used] = 0;
  return used;
}

int qn_punycode_decode(const char *text, size_t size, char out[QN_IDN_OUT])
{
  uint32_t label[QN_IDN_LABEL];
  if (size > QN_IDN_LABEL) {
    return QN_E_BAD_HOST;
  }
  int n = qn__punycode_decode(text, size, label, QN_IDN_LABEL), used = 0;
  if (n < 0) {
    return QN_E_BAD_HOST;
  }
  for (int i = 0; i < n; i++) {
    used += (int)qn__utf8_put(label[i], out + used);
  }
  out[used] = 0;
  return used;
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

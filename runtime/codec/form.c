/* form.c: application/x-www-form-urlencoded: encode, decode, and walk the pairs.
 *
 * See form.h. Nothing here allocates; the decoder works from the end of its room so that a repair
 * of ill-formed UTF-8 never overtakes what it reads.
 */
#include "codec/form.h"

#include "codec/percent.h"

#include <string.h>

size_t qn__form_encode(const char *text, size_t size, char *out)
{
  const uint8_t *at = (const uint8_t *)text, *end = at + size;
  char *to = out;
  while (at < end) {
    const uint8_t *from = at;
    char bad[4];
    if (*at == ' ') {
      *to++ = '+';
      at++;
    } else if (qn__utf8_next(&at, end) >= 0) {
      to += qn__pct_encode((const char *)from, (size_t)(at - from), QN__PCT_FORM, to);
    } else {
      to += qn__pct_encode(bad, qn__utf8_put(0xfffd, bad), QN__PCT_FORM, to);
    }
  }
  return (size_t)(to - out);
}

size_t qn__form_decode(const char *text, size_t size, char *out)
{
  char *raw =
      out + 2 * size; /* the last third: a repair writes at most 3 bytes for each one read */
  for (size_t i = 0; i < size; i++) {
    raw[i] = text[i] == '+' ? ' ' : text[i];
  }
  size_t n = qn__pct_decode(raw, size, raw);
  if (qn__utf8_valid(raw, n)) {
    memmove(out, raw, n);
    return n;
  }
  char *from = out + 3 * size - n;
  memmove(from, raw, n);
  return qn__utf8_repair(from, n, out);
}

bool qn__form_next(const char **at, const char *end, qn_slice_t *name, qn_slice_t *value)
{
  const char *p = *at;
  while (p < end && *p == '&') {
    p++;
  }
  if (p == end) {
    *at = p;
    return false;
  }
  const char *stop = memchr(p, '&', (size_t)(end - p));
  stop = stop != NULL ? stop : end;
  const char *equal = memchr(p, '=', (size_t)(stop - p));
  const char *name_end = equal != NULL ? equal : stop;
  const char *from = equal != NULL ? equal + 1 : stop;
  *name = (qn_slice_t){(const uint8_t *)p, (size_t)(name_end - p)};
  *value = (qn_slice_t){(const uint8_t *)from, (size_t)(stop - from)};
  *at = stop;
  return true;
}

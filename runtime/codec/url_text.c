/* url_text.c: components as people read them, percent-encoding by choice, query pieces.
 *
 * Called by the bindings. Pure functions over bytes; the caller provides the room that qn/url.h
 * names. Invariant: what qn_url_pretty writes means the same when tolerant mode reads it again,
 * unless QN_URL_DECODE_ALL was asked for.
 */
#include "codec/percent.h"
#include "codec/url_rfc.h"

#define TRIPLE 3u

static bool is_triplet(const char *text, size_t size, size_t i)
{
  return text[i] == '%' && size - i >= TRIPLE && qn__hex_digit((uint8_t)text[i + 1]) >= 0 &&
         qn__hex_digit((uint8_t)text[i + 2]) >= 0;
}

static uint8_t value_of(const char *text)
{
  return (uint8_t)(qn__hex_digit((uint8_t)text[1]) * 16 + qn__hex_digit((uint8_t)text[2]));
}

/* Code points that cannot be seen, that change the order of what is seen, or that are nothing. */
static bool is_invisible(int32_t c)
{
  return (c >= 0x80 && c <= 0xa0) || c == 0xad || c == 0x61c || c == 0x115f || c == 0x1160 ||
         c == 0x1680 || c == 0x180e || (c >= 0x2000 && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202f) || (c >= 0x205f && c <= 0x206f) || c == 0x3000 ||
         c == 0x3164 || (c >= 0xe000 && c <= 0xf8ff) || (c >= 0xfe00 && c <= 0xfe0f) ||
         c == 0xfeff || c == 0xffa0 || (c >= 0xfff0 && c <= 0xffff) || c >= 0xe0000;
}

/* Escapes of one UTF-8 sequence at `i`; returns how many bytes of text they take, 0 when they are
 * better left as they are. */
static size_t decode_unicode(const char *text, size_t size, size_t i, char *out, size_t *n_out)
{
  uint8_t bytes[4];
  size_t n = 0;
  for (size_t at = i; n < sizeof bytes && at < size && is_triplet(text, size, at); at += TRIPLE) {
    bytes[n++] = value_of(text + at);
  }
  const uint8_t *at = bytes;
  int32_t c = qn__utf8_next(&at, bytes + n);
  if (c < 0x80 || is_invisible(c)) {
    return 0;
  }
  *n_out = (size_t)(at - bytes);
  memcpy(out, bytes, *n_out);
  return *n_out * TRIPLE;
}

static bool decodes(uint8_t c, unsigned flags)
{
  if (c < 0x20 || c == 0x7f || c == '%') {
    return false;
  }
  if (c == ' ') {
    return (flags & QN_URL_ENCODE_SPACES) == 0;
  }
  if (!qn__pct_in(c, QN__PCT_RFC_UNRESERVED)) {
    return true;
  }
  return strchr("\"<>\\^`{|}", c) != NULL && (flags & QN_URL_DECODE_RESERVED) != 0;
}

static bool encodes(uint8_t c, unsigned flags)
{
  return (flags & QN_URL_ENCODE_DELIMITERS) != 0 && c != 0 && strchr("!$&'()*+,;=:@", c) != NULL;
}

size_t qn_url_pretty(const char *text, size_t size, unsigned flags, char *out)
{
  size_t n = 0, n_out = 0, used;
  if ((flags & QN_URL_DECODE_ALL) != 0) {
    return qn__pct_decode(text, size, out);
  }
  for (size_t i = 0; i < size;) {
    uint8_t c = (uint8_t)text[i];
    if (!is_triplet(text, size, i)) {
      n += qn__pct_encode(text + i, 1, encodes(c, flags) ? QN__PCT_RFC_UNRESERVED : 0, out + n);
      i++;
      continue;
    }
    c = value_of(text + i);
    if (c >= 0x80 && (flags & QN_URL_ENCODE_UNICODE) == 0 &&
        (used = decode_unicode(text, size, i, out + n, &n_out)) > 0) {
      n += n_out;
      i += used;
    } else if (c < 0x80 && decodes(c, flags) && !qn__pct_joins(out, n, c)) {
      out[n++] = (char)c;
      i += TRIPLE;
    } else {
      memcpy(out + n, text + i, TRIPLE);
      n += TRIPLE;
      i += TRIPLE;
    }
  }
  return n;
}

size_t qn_url_decode(const char *text, size_t size, char *out)
{
  return qn__pct_decode(text, size, out);
}

size_t qn_url_encode(const char *text, size_t size, const char *exclude, const char *include,
                     char *out)
{
  static const char digits[] = "0123456789ABCDEF";
  size_t n = 0;
  for (size_t i = 0; i < size; i++) {
    uint8_t c = (uint8_t)text[i];
    bool plain = !qn__pct_in(c, QN__PCT_RFC_UNRESERVED) || (c != 0 && strchr(exclude, c) != NULL);
    if (plain && (c == 0 || strchr(include, c) == NULL)) {
      out[n++] = (char)c;
    } else {
      out[n++] = '%';
      out[n++] = digits[c >> 4];
      out[n++] = digits[c & 15];
    }
  }
  return n;
}

size_t qn_url_clean_path(const char *path, size_t size, char *out)
{
  if (size > 0) {
    memcpy(out, path, size);
  }
  return size > 0 && path[0] == '/' ? qn__url_remove_dots(out, size) : size;
}

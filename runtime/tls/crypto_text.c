/* crypto_text.c: bytes as hexadecimal and base64 text, and back.
 *
 * Called by the bindings. Decoding is strict: one text per value, so that what was signed or
 * compared as text cannot be written in a second way. Needs nothing of OpenSSL.
 */
#include "qn/crypto.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t qn_hex_size(size_t size) { return size * 2; }

size_t qn_base64_size(size_t size, bool url)
{
  size_t rest = size % 3;
  return size / 3 * 4 + (rest == 0 ? 0 : url ? rest + 1 : 4);
}

void qn_hex_encode(const void *data, size_t size, char *out)
{
  const uint8_t *p = data;
  for (size_t i = 0; i < size; i++) {
    out[2 * i] = hex_digits[p[i] >> 4];
    out[2 * i + 1] = hex_digits[p[i] & 15];
  }
}

static int hex_value(char c)
{
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

int64_t qn_hex_decode(const char *text, size_t size, void *out)
{
  uint8_t *p = out;
  for (size_t i = 0; i < size; i++) {
    int v = hex_value(text[i]);
    if (v < 0) {
      return -1 - (int64_t)i;
    }
    if (i % 2 == 0) {
      p[i / 2] = (uint8_t)(v << 4);
    } else {
      p[i / 2] |= (uint8_t)v;
    }
  }
  return size % 2 == 0 ? (int64_t)(size / 2) : -1 - (int64_t)size;
}

void qn_base64_encode(const void *data, size_t size, bool url, char *out)
{
  const char *alphabet = url ? for_urls : standard;
  const uint8_t *p = data;
  for (; size >= 3; p += 3, size -= 3) {
    uint32_t n = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    *out++ = alphabet[n >> 18];
    *out++ = alphabet[n >> 12 & 63];
    *out++ = alphabet[n >> 6 & 63];
    *out++ = alphabet[n & 63];
  }
  if (size > 0) {
    uint32_t n = (uint32_t)p[0] << 16 | (size == 2 ? (uint32_t)p[1] << 8 : 0);
    *out++ = alphabet[n >> 18];
    *out++ = alphabet[n >> 12 & 63];
    if (size == 2) {
      *out++ = alphabet[n >> 6 & 63];
    }
    if (!url) {
      *out++ = '=';
      if (size == 1) {
        *out++ = '=';
      }
    }
  }
}

/* What each character stands for; above 63: it is not of the alphabet. */
static void fill_values(uint8_t values[256], const char *alphabet)
{
  memset(values, 255, 256);
  for (uint8_t i = 0; i < 64; i++) {
    values[(uint8_t)alphabet[i]] = i;
  }
}

int64_t qn_base64_decode(const char *text, size_t size, bool url, void *out)
{
  uint8_t *p = out;
  size_t digits = size, at = 0;
  uint8_t values[256];
  fill_values(values, url ? for_urls : standard);
  if (!url) {
    while (digits > 0 && size - digits < 2 && text[digits - 1] == '=') {
      digits--;
    }
  }
  uint32_t n = 0;
  for (size_t i = 0; i < digits; i++) {
    uint8_t v = values[(uint8_t)text[i]];
    if (v > 63) {
      return -1 - (int64_t)i;
    }
    n = n << 6 | v;
    if (i % 4 == 3) {
      p[at++] = (uint8_t)(n >> 16);
      p[at++] = (uint8_t)(n >> 8);
      p[at++] = (uint8_t)n;
      n = 0;
    }
  }
  size_t rest = digits % 4, padding = size - digits;
  if (rest == 1 || (!url && rest != 0 && rest + padding < 4)) {
    return -1 - (int64_t)size;
  }
  if (!url && (rest + padding) % 4 != 0) {
    return -1 - (int64_t)(digits + (rest == 0 ? 0 : 4 - rest)); /* padding that nothing needs */
  }
  if (rest == 2 || rest == 3) {
    if ((n & (rest == 2 ? 15u : 3u)) != 0) {
      return -1 - (int64_t)(digits - 1); /* bits that no byte has */
    }
    p[at++] = (uint8_t)(rest == 2 ? n >> 4 : n >> 10);
    if (rest == 3) {
      p[at++] = (uint8_t)(n >> 2);
    }
  }
  return (int64_t)at;
}

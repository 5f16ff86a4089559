/* Fuzz target of UTS 46 and Punycode: names from anywhere.
 *
 * The first byte is the flags. What is accepted must be ASCII, must map to itself, and must come
 * back from its Unicode form; Punycode that decodes must encode to what decodes the same. covers:
 * runtime/codec/idna.c
 */
#include "codec/idna.h"
#include "codec/percent.h"
#include "codec/punycode.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
  if (!ok) {
    __builtin_trap();
  }
}

static void name(const char *text, size_t size, unsigned flags)
{
  static char ascii[QN__IDNA_OUT], unicode[QN__IDNA_OUT], again[QN__IDNA_OUT];
  unsigned plain = flags & ~(unsigned)(QN__IDNA_TRANSITIONAL | QN__IDNA_LENIENT);
  if (qn__idna_to_ascii(text, size, flags, ascii) == 0 && strlen(ascii) <= QN__IDNA_MAX) {
    for (size_t i = 0; ascii[i] != 0; i++) {
      must((uint8_t)ascii[i] < 0x80);
    }
    must(qn__idna_to_ascii(ascii, strlen(ascii), plain, again) == 0 && strcmp(ascii, again) == 0);
    must(qn__idna_to_unicode(ascii, strlen(ascii), plain, unicode) == 0);
    if (strlen(unicode) <= QN__IDNA_MAX) {
      must(qn__idna_to_ascii(unicode, strlen(unicode), plain, again) == 0);
      must(strcmp(ascii, again) == 0);
    }
  }
  if (qn__idna_to_unicode(text, size, flags, unicode) == 0) {
    must(qn__utf8_valid(unicode, strlen(unicode)));
  }
}

static void punycode(const char *text, size_t size)
{
  static uint32_t label[QN__PUNYCODE_MAX], again[QN__PUNYCODE_MAX];
  static char encoded[8 * QN__PUNYCODE_MAX];
  int n = qn__punycode_decode(text, size, label, QN__PUNYCODE_MAX);
  if (n > 0) {
    int m = qn__punycode_encode(label, (size_t)n, encoded, sizeof encoded);
    must(m > 0);
    must(qn__punycode_decode(encoded, (size_t)m, again, QN__PUNYCODE_MAX) == n);
    must(memcmp(label, again, (size_t)n * sizeof *label) == 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0) {
    return 0;
  }
  char *text = malloc(size);
  must(text != NULL);
  memcpy(text, data + 1, size - 1);
  name(text, size - 1, data[0] & 31u);
  punycode(text, size - 1);
  free(text);
  return 0;
}

/* Fuzz target of the URL Standard's parser and setters: text from anywhere.
 *
 * The first byte chooses a setter, the second the length of a base URL. What is accepted must be
 * ASCII and must parse again to the same URL, whatever a setter did before; a refusal says where
 * and why. covers: runtime/codec/url_whatwg.c
 */
#include "qn/url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
  if (!ok) {
    __builtin_trap();
  }
}

/* The bytes in memory of exactly their size, so that a sanitizer sees the end. */
static char *exactly(const uint8_t *data, size_t size)
{
  char *copy = malloc(size > 0 ? size : 1);
  must(copy != NULL);
  if (size > 0) {
    memcpy(copy, data, size);
  }
  return copy;
}

static void is_stable(const qn_url_t *u)
{
  qn_slice_t text = qn_url_text(u);
  qn_url_t *again = NULL;
  for (size_t i = 0; i < text.size; i++) {
    must(text.data[i] >= ' ' && text.data[i] < 0x7f);
  }
  must(qn_url_parse((const char *)text.data, text.size, QN_URL_WHATWG, NULL, &again, NULL) == 0);
  qn_slice_t other = qn_url_text(again);
  must(other.size == text.size && memcmp(other.data, text.data, text.size) == 0);
  must(qn_url_port(u) == qn_url_port(again) && qn_url_is_opaque(u) == qn_url_is_opaque(again));
  for (int i = 0; i < QN_URL_PARTS; i++) {
    qn_slice_t a = qn_url_get(u, (qn_url_part_t)i), b = qn_url_get(again, (qn_url_part_t)i);
    must(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    must(qn_url_has(u, (qn_url_part_t)i) == qn_url_has(again, (qn_url_part_t)i));
  }
  qn_url_free(again);
}

static qn_url_t *parse(const uint8_t *data, size_t size, const qn_url_t *base)
{
  char *text = exactly(data, size);
  qn_url_t *u = NULL;
  qn_url_error_t err = {0, NULL};
  int rc = qn_url_parse(text, size, QN_URL_WHATWG, base, &u, &err);
  free(text);
  must((rc == 0) == (u != NULL));
  if (rc != 0) {
    must(rc == QN_E_BAD_URL && err.at <= size && err.text != NULL);
    return NULL;
  }
  is_stable(u);
  return u;
}

static void set(const qn_url_t *u, uint8_t setter, const uint8_t *data, size_t size)
{
  char *text = exactly(data, size);
  qn_url_place_t place = {NULL, 0, NULL};
  qn_url_error_t err = {0, NULL};
  int rc =
      qn_url_set(u, (qn_url_setter_t)(setter % (QN_URL_SET_HASH + 1)), text, size, &place, &err);
  free(text);
  must(rc == 0 || (rc == QN_E_BAD_URL && err.text != NULL));
  if (rc == 0) {
    is_stable(place.url);
  }
  qn_url_free(place.url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 2) {
    return 0;
  }
  uint8_t setter = data[0];
  size_t base_size = data[1] < size - 2 ? data[1] : size - 2;
  const uint8_t *rest = data + 2 + base_size;
  size_t rest_size = size - 2 - base_size;
  qn_url_t *base = base_size > 0 ? parse(data + 2, base_size, NULL) : NULL;
  qn_url_t *u = parse(rest, rest_size, base);
  if (base != NULL) {
    set(base, setter, rest, rest_size);
  }
  qn_url_free(u);
  qn_url_free(base);
  return 0;
}

/* Fuzz target of URLs: the first byte chooses the mode, "\n" parts a base from a reference.
 *
 * What is accepted is written so that it is read again as the same URL; what tolerant mode repaired
 * is strict; normal forms are their own normal form; what is resolved, built, shown or named as a
 * file keeps its meaning. covers: runtime/codec/url.c runtime/codec/url_rfc.c
 * runtime/codec/url_name.c runtime/codec/url_resolve.c runtime/codec/url_build.c
 * runtime/codec/url_input.c runtime/codec/url_text.c runtime/codec/url_punycode.c
 */
#include "codec/url_i.h"
#include "qn/url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
  if (!holds) {
    __builtin_trap();
  }
}

static bool same_text(const qn_url_t *a, const qn_url_t *b)
{
  return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

static void check_shape(const qn_url_t *u)
{
  must(u->size <= QN_URL_MAX && u->text[u->size] == 0 && u->port >= -1 && u->port <= 65535);
  must(memchr(u->text, 0, u->size) == NULL);
  for (int i = 0; i < QN_URL_PARTS; i++) {
    must(u->at[i] + u->len[i] <= u->size);
  }
  for (size_t i = 0; i < u->size; i++) {
    must((uint8_t)u->text[i] > 0x20 && (uint8_t)u->text[i] < 0x7f);
  }
}

/* Read again, in the mode it has now, it is the same. */
static void check_again(const qn_url_t *u)
{
  qn_url_t *again = NULL;
  qn_url_error_t err;
  check_shape(u);
  must(qn_url_parse(u->text, u->size, (qn_url_mode_t)u->mode, NULL, &again, &err) == 0);
  must(same_text(u, again) && memcmp(u->at, again->at, sizeof u->at) == 0);
  must(memcmp(u->len, again->len, sizeof u->len) == 0 && u->has == again->has);
  qn_url_free(again);
  if (u->mode == QN_URL_TOLERANT && !(u->ip_literal && strstr(u->text, "%25") != NULL)) {
    must(qn_url_parse(u->text, u->size, QN_URL_STRICT, NULL, &again, &err) == 0);
    must(same_text(u, again));
    qn_url_free(again);
  }
}

static void check_normal(const qn_url_t *u)
{
  qn_url_place_t one = {NULL, 0, NULL}, two = {NULL, 0, NULL};
  must(qn_url_normalize(u, &one) == 0);
  check_again(one.url);
  must(qn_url_normalize(one.url, &two) == 0);
  must(same_text(one.url, two.url));
  must(qn_url_equal(u, one.url) == 1);
  qn_url_free(one.url);
  qn_url_free(two.url);
}

static void check_built(const qn_url_t *u)
{
  qn_url_place_t place = {NULL, 0, NULL};
  qn_url_parts_t parts;
  qn_url_error_t err;
  qn_url_split(u, &parts);
  must(qn_url_build(&parts, &place, &err) == 0);
  must(same_text(u, place.url));
  qn_url_free(place.url);
}

/* A component as people see it, read by tolerant mode, has the same normal form. */
static void check_pretty(const qn_url_t *u, qn_url_part_t part, unsigned flags)
{
  qn_slice_t s = qn_url_get(u, part);
  qn_url_place_t shown = {NULL, 0, NULL}, plain = {NULL, 0, NULL};
  qn_url_error_t err;
  qn_url_parts_t p = {.port = -1, .mode = QN_URL_TOLERANT};
  char *text = malloc(3 * s.size + 1);
  size_t n = qn_url_pretty((const char *)s.data, s.size, flags, text);
  must(n <= 3 * s.size);
  p.has[part] = true;
  p.part[part] = s;
  must(qn_url_build(&p, &plain, &err) == 0);
  p.part[part] = (qn_slice_t){(const uint8_t *)text, n};
  must(qn_url_build(&p, &shown, &err) == 0);
  must(qn_url_equal(shown.url, plain.url) == 1);
  qn_url_free(shown.url);
  qn_url_free(plain.url);
  free(text);
}

static void check_file(const char *path, size_t size)
{
  qn_url_place_t place = {NULL, 0, NULL};
  qn_url_error_t err;
  if (qn_url_from_file(path, size, &place, &err) != 0) {
    return;
  }
  check_again(place.url);
  char *out = malloc(place.url->size + 1);
  size_t n = qn_url_to_file(place.url, out);
  must(n <= place.url->size);
  if (size > 0 && path[0] == '/' && (size < 2 || path[1] != '/') &&
      !(size > 2 && path[2] == ':')) { /* neither a host nor a drive */
    must(n == size && memcmp(out, path, size) == 0);
  }
  free(out);
  qn_url_free(place.url);
}

static void check_punycode(const char *text, size_t size)
{
  char label[QN_IDN_OUT], back[QN_IDN_OUT];
  int n = qn_punycode_decode(text, size, label);
  if (n >= 0) {
    int m = qn_punycode_encode(label, (size_t)n, back);
    must(m < 0 || qn_punycode_decode(back, (size_t)m, back) == n);
    must(m < 0 || memcmp(back, label, (size_t)n) == 0);
  }
  n = qn_punycode_encode(text, size, label);
  must(n < 0 ||
       (qn_punycode_decode(label, (size_t)n, back) == (int)size && memcmp(back, text, size) == 0) ||
       n > QN_IDN_LABEL);
}

static void check_resolved(const qn_url_t *base, const qn_url_t *ref)
{
  for (int strict = 0; strict < 2; strict++) {
    qn_url_place_t place = {NULL, 0, NULL};
    if (qn_url_resolve(base, ref, strict != 0, &place) == 0 && base->mode != QN_URL_WHATWG) {
      check_again(place.url);
    }
    qn_url_free(place.url);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 20000) {
    return 0;
  }
  qn_url_mode_t mode = (qn_url_mode_t)(data[0] & 3);
  size--;
  char *text = malloc(size + 1); /* exactly as long as it is, so that a sanitizer sees the end */
  memcpy(text, data + 1, size);
  text[size] = 0;
  char *line = memchr(text, '\n', size);
  size_t first = line != NULL ? (size_t)(line - text) : size;
  qn_url_t *u = NULL, *ref = NULL;
  qn_url_error_t err;
  if (qn_url_parse(text, first, mode, NULL, &u, &err) == 0) {
    if (mode != QN_URL_WHATWG) {
      check_again(u);
      check_normal(u);
      check_built(u);
      check_pretty(u, QN_URL_PATH, 0);
      check_pretty(u, QN_URL_QUERY, QN_URL_DECODE_RESERVED);
      check_pretty(u, QN_URL_FRAGMENT, QN_URL_ENCODE_UNICODE | QN_URL_ENCODE_SPACES);
    }
    check_file(text, first);
    if (line != NULL && qn_url_parse(line + 1, size - first - 1, mode, NULL, &ref, &err) == 0) {
      check_resolved(u, ref);
    }
  } else {
    must(err.text != NULL && err.at <= first);
  }
  check_punycode(text, first);
  qn_url_free(u);
  qn_url_free(ref);
  free(text);
  return 0;
}

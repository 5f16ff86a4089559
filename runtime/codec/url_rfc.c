/* url_rfc.c: RFC 3986, strict or tolerant, in one pass over the text.
 *
 * Called by qn_url_parse and by everything that makes a URL of components. Clean components stay
 * slices of the input; only what must be encoded goes through scratch memory. Invariants: linear
 * time; the result of either mode is a URI reference by the grammar of RFC 3986 (but for a zone in
 * an IPv6 address, which tolerant mode takes in the form of RFC 6874).
 */
#include "codec/url_rfc.h"

#include "codec/percent.h"

#include <errno.h>

#define BAD_ESCAPE "'%' is not followed by two hexadecimal digits"
#define BAD_BYTE "a character that must be percent-encoded here"
#define TRIPLE 3u

static const unsigned sets_of[QN_URL_PARTS] = {
    [QN_URL_USER] = QN__PCT_RFC_USER,   [QN_URL_PASSWORD] = QN__PCT_RFC_PASSWORD,
    [QN_URL_PATH] = QN__PCT_RFC_PATH,   [QN_URL_QUERY] = QN__PCT_RFC_QUERY,
    [QN_URL_HOST] = QN__PCT_RFC_HOST,   [QN_URL_FRAGMENT] = QN__PCT_RFC_QUERY,
    [QN_URL_SCHEME] = QN__PCT_RFC_HOST,
};

char *qn__url_scratch(qn__url_scratch_t *s, size_t size)
{
  if (size <= sizeof s->stack - s->used) {
    char *at = s->stack + s->used;
    s->used += size;
    return at;
  }
  qn__url_block_t *block = qn_malloc(sizeof *block + size);
  if (block == NULL) {
    return NULL;
  }
  block->next = s->blocks;
  s->blocks = block;
  return block->text;
}

void qn__url_scratch_end(qn__url_scratch_t *s)
{
  while (s->blocks != NULL) {
    qn__url_block_t *next = s->blocks->next;
    qn_free(s->blocks);
    s->blocks = next;
  }
}

static int bad(qn_url_error_t *err, size_t at, const char *text)
{
  *err = (qn_url_error_t){at, text};
  return QN_E_BAD_URL;
}

static bool is_triplet(const char *text, size_t size, size_t i)
{
  return size - i >= TRIPLE && qn__hex_digit((uint8_t)text[i + 1]) >= 0 &&
         qn__hex_digit((uint8_t)text[i + 2]) >= 0;
}

/* The position of the first byte that may not stand there as it is; `size` when there is none. */
static size_t first_bad(const char *text, size_t size, unsigned set)
{
  size_t i = 0;
  while (i < size) {
    if (QN_LIKELY(!qn__pct_in((uint8_t)text[i], set))) {
      i++;
    } else if (text[i] == '%' && is_triplet(text, size, i)) {
      i += TRIPLE;
    } else {
      break;
    }
  }
  return i;
}

int qn__url_component(qn_url_part_t part, const char *text, size_t size, bool strict,
                      qn__url_scratch_t *scratch, qn_slice_t *out, qn_url_error_t *err)
{
  unsigned set = sets_of[part];
  size_t at = first_bad(text, size, set);
  if (at == size) {
    *out = qn__url_slice(text, size);
    return 0;
  }
  if (strict) {
    return bad(err, at, text[at] == '%' ? BAD_ESCAPE : BAD_BYTE);
  }
  char *to = qn__url_scratch(scratch, at + TRIPLE * (size - at));
  if (to == NULL) {
    return -ENOMEM;
  }
  memcpy(to, text, at);
  *out = qn__url_slice(to, at + qn__pct_encode_rest(text + at, size - at, set, to + at));
  return 0;
}

int qn__url_plain(qn_url_part_t part, const char *text, size_t size, qn__url_scratch_t *scratch,
                  qn_slice_t *out)
{
  if (qn__pct_clean(text, size, sets_of[part])) {
    *out = qn__url_slice(text, size);
    return 0;
  }
  char *to = qn__url_scratch(scratch, TRIPLE * size);
  if (to == NULL) {
    return -ENOMEM;
  }
  *out = qn__url_slice(to, qn__pct_encode(text, size, sets_of[part], to));
  return 0;
}

static bool is_alpha(char c)
{
  c |= 0x20;
  return c >= 'a' && c <= 'z';
}

static bool is_scheme_char(char c)
{
  return is_alpha(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

int qn__url_scheme(const char *text, size_t size, qn__url_scratch_t *scratch, qn_slice_t *out,
                   qn_url_error_t *err)
{
  bool upper = false;
  if (size == 0 || !is_alpha(text[0])) {
    return bad(err, 0, "a scheme begins with a letter");
  }
  for (size_t i = 0; i < size; i++) {
    if (!is_scheme_char(text[i])) {
      return bad(err, i, "a character that no scheme may have");
    }
    upper |= text[i] >= 'A' && text[i] <= 'Z';
  }
  *out = qn__url_slice(text, size);
  if (upper) {
    char *to = qn__url_scratch(scratch, size);
    if (to == NULL) {
      return -ENOMEM;
    }
    for (size_t i = 0; i < size; i++) {
      to[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    }
    *out = qn__url_slice(to, size);
  }
  return 0;
}

static int parse_port(const char *text, size_t size, int *port, qn_url_error_t *err)
{
  int value = 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') {
      return bad(err, i, "the port is no number");
    }
    value = value * 10 + (text[i] - '0');
    if (value > 65535) {
      return bad(err, i, "the port is greater than 65535");
    }
  }
  *port = size > 0 ? value : -1;
  return 0;
}

/* Where a parse is: the whole input, for offsets. */
typedef struct parse {
  const char *text;
  bool strict;
  qn__url_parts_t *parts;
  qn__url_scratch_t *scratch;
  qn_url_error_t *err;
} parse_t;

static int take(parse_t *p, qn_url_part_t part, const char *from, const char *to)
{
  int rc = qn__url_component(part, from, (size_t)(to - from), p->strict, p->scratch,
                             &p->parts->part[part], p->err);
  p->parts->has[part] = true;
  if (rc == QN_E_BAD_URL) {
    p->err->at += (size_t)(from - p->text);
  }
  return rc;
}

static int take_userinfo(parse_t *p, const char *from, const char *to)
{
  const char *colon = memchr(from, ':', (size_t)(to - from));
  int rc = take(p, QN_URL_USER, from, colon != NULL ? colon : to);
  return rc != 0 || colon == NULL ? rc : take(p, QN_URL_PASSWORD, colon + 1, to);
}

int qn__url_host(const char *text, size_t size, bool strict, qn__url_scratch_t *scratch,
                 qn__url_parts_t *parts, qn_url_error_t *err)
{
  parts->has[QN_URL_HOST] = true;
  if (qn__url_host_is_plain(text, size)) {
    parts->part[QN_URL_HOST] = qn__url_slice(text, size);
    parts->ip_literal = false;
    return 0;
  }
  char *to = qn__url_scratch(scratch, QN__HOST_MAX);
  const char *why = NULL;
  size_t at = 0;
  if (to == NULL) {
    return -ENOMEM;
  }
  int rc = qn__url_host_rfc(text, size, strict, to, &parts->ip_literal, &why, &at);
  if (rc < 0) {
    return rc == QN_E_BAD_URL ? bad(err, at, why) : rc;
  }
  parts->part[QN_URL_HOST] = qn__url_slice(to, (size_t)rc);
  return 0;
}

static const char *last_of(const char *from, const char *to, char c)
{
  while (to > from) {
    if (*--to == c) {
      return to;
    }
  }
  return NULL;
}

static int take_authority(parse_t *p, const char *from, const char *to)
{
  const char *at = memchr(from, '@', (size_t)(to - from)), *end = to;
  at = at != NULL ? last_of(at, to, '@') : NULL;
  const char *host = at != NULL ? at + 1 : from;
  int rc = at != NULL ? take_userinfo(p, from, at) : 0;
  if (rc != 0) {
    return rc;
  }
  const char *colon;
  if (host < to && *host == '[') {
    const char *close = memchr(host, ']', (size_t)(to - host));
    if (close == NULL) {
      return bad(p->err, (size_t)(host - p->text), "'[' without ']'");
    }
    colon = close + 1 < to ? close + 1 : NULL;
    if (colon != NULL && *colon != ':') {
      return bad(p->err, (size_t)(colon - p->text),
                 "only a port may follow an address in brackets");
    }
  } else {
    colon = memchr(host, ':', (size_t)(to - host));
  }
  if (colon != NULL) {
    end = colon;
    rc = parse_port(colon + 1, (size_t)(to - colon - 1), &p->parts->port, p->err);
    if (rc != 0) {
      p->err->at += (size_t)(colon + 1 - p->text);
      return rc;
    }
  }
  rc = qn__url_host(host, (size_t)(end - host), p->strict, p->scratch, p->parts, p->err);
  if (rc == QN_E_BAD_URL) {
    p->err->at += (size_t)(host - p->text);
  }
  return rc;
}

/* The scheme, when there is one; `*rest` is behind its colon. */
static int take_scheme(parse_t *p, size_t size, const char **rest)
{
  size_t i = 0;
  while (i < size && is_scheme_char(p->text[i])) {
    i++;
  }
  if (i < size && p->text[i] == ':' && i > 0 && is_alpha(p->text[0])) {
    *rest = p->text + i + 1;
    p->parts->has[QN_URL_SCHEME] = true;
    return qn__url_scheme(p->text, i, p->scratch, &p->parts->part[QN_URL_SCHEME], p->err);
  }
  for (size_t at = i; at < size; at++) { /* the first segment of a relative path has no colon */
    char c = p->text[at];
    if (c == '/' || c == '?' || c == '#') {
      break;
    }
    if (c == ':') {
      return bad(p->err, i == at ? 0 : i, "no valid scheme stands before the first colon");
    }
  }
  *rest = p->text;
  return 0;
}

static bool ends_authority(char c) { return c == '/' || c == '?' || c == '#'; }

/* A component that ends before one of two bytes: at once where it is clean. */
static int take_until(parse_t *p, qn_url_part_t part, const char **at, const char *end, char stop,
                      char other)
{
  const char *from = *at;
  size_t n = first_bad(from, (size_t)(end - from), sets_of[part]);
  const char *to = from + n;
  if (QN_LIKELY(to == end || *to == stop || *to == other)) {
    p->parts->part[part] = qn__url_slice(from, n);
    p->parts->has[part] = true;
    *at = to;
    return 0;
  }
  while (to < end && *to != stop && *to != other) {
    to++;
  }
  *at = to;
  return take(p, part, from, to);
}

static int take_all(parse_t *p, size_t size)
{
  const char *at = p->text, *end = p->text + size;
  int rc = take_scheme(p, size, &at);
  if (rc == 0 && end - at >= 2 && at[0] == '/' && at[1] == '/') {
    const char *from = at += 2;
    while (at < end && !ends_authority(*at)) {
      at++;
    }
    rc = take_authority(p, from, at);
  }
  rc = rc == 0 ? take_until(p, QN_URL_PATH, &at, end, '?', '#') : rc;
  if (rc == 0 && at < end && *at == '?') {
    at++;
    rc = take_until(p, QN_URL_QUERY, &at, end, '#', '#');
  }
  return rc == 0 && at < end ? take(p, QN_URL_FRAGMENT, at + 1, end) : rc;
}

int qn__url_parse_rfc(const char *text, size_t size, qn_url_mode_t mode, qn__url_out_t *out,
                      qn_url_error_t *err)
{
  qn__url_scratch_t scratch;
  qn__url_scratch_begin(&scratch);
  qn__url_parts_t parts = {.port = -1, .mode = mode};
  parse_t p = {text, mode == QN_URL_STRICT, &parts, &scratch, err};
  int rc = take_all(&p, size);
  if (rc == 0) {
    rc = qn__url_assemble(&parts, out);
  }
  qn__url_scratch_end(&scratch);
  return rc;
}

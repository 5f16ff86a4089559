/* url_whatwg.c: the basic URL parser of the URL Standard (section 4.4), without state override.
 *
 * Called by url.c. The states of the standard are functions here; each takes the position where its
 * state begins and works on runs of bytes, not on code points. Input that has tabs, newlines or
 * ill-formed UTF-8 is copied first. What a component needs no encoding for stays a slice of the
 * input until qn__url_assemble copies it. Linear time, no recursion.
 */
#include "codec/url_whatwg.h"
#include "codec/percent.h"

#include <errno.h>
#include <string.h>

/* The base URL of a parse; NULL parts when there is none. */
typedef struct base {
  const qn__url_parts_t *p;
  qn__special_t special;
} base_t;

static bool is_slash(const qn__whatwg_t *w, char c)
{
  return c == '/' || (c == '\\' && w->special != QN__SPECIAL_NOT);
}

/* The first '?' or '#', or the end. */
static const char *path_end(const qn__whatwg_t *w, const char *p)
{
  while (p < w->end && *p != '?' && *p != '#') {
    p++;
  }
  return p;
}

static void tail(qn__whatwg_t *w, const char *p)
{
  if (p < w->end && *p == '?') {
    const char *hash = memchr(p, '#', (size_t)(w->end - p));
    hash = hash != NULL ? hash : w->end;
    qn__whatwg_query(w, p + 1, (size_t)(hash - p - 1));
    p = hash;
  }
  if (p < w->end) {
    qn__whatwg_fragment(w, p + 1, (size_t)(w->end - p - 1));
  }
}

static int path(qn__whatwg_t *w, qn_slice_t prefix, const char *p)
{
  const char *end = path_end(w, p);
  qn__whatwg_path(w, prefix, p, end);
  tail(w, end);
  return 0;
}

/* The end of a path from '/' on that is its own result: nothing to encode, no dot segment, no
 * backslash. NULL when it is not. */
static const char *plain_path(const qn__whatwg_t *w, const char *p)
{
  for (; p < w->end; p++) {
    uint8_t c = (uint8_t)*p;
    if (QN_LIKELY(!qn__pct_in(c, QN__PCT_PATH | QN__PCT_PATH_CARE))) {
      continue;
    }
    if (c == '?' || c == '#') {
      break;
    }
    if (c == '.' ? p[-1] == '/' : c != '%' || (w->end - p > 2 && (p[2] | 0x20) == 'e')) {
      return NULL;
    }
  }
  return p;
}

/* The path start state. */
static int path_start(qn__whatwg_t *w, const char *p)
{
  if (p < w->end && *p == '/' && w->special != QN__SPECIAL_FILE) {
    const char *end = plain_path(w, p);
    if (end != NULL) {
      qn__whatwg_set(w, QN_URL_PATH, p, (size_t)(end - p));
      tail(w, end);
      return 0;
    }
  }
  if (w->special == QN__SPECIAL_NOT && (p == w->end || *p == '?' || *p == '#')) {
    tail(w, p);
    return 0;
  }
  if (p < w->end && is_slash(w, *p)) {
    p++;
  }
  return path(w, (qn_slice_t){NULL, 0}, p);
}

static int port(qn__whatwg_t *w, const char *p, const char *end)
{
  unsigned value = 0;
  const char *from = p;
  for (; p < end; p++) {
    if (!qn__is_digit(*p)) {
      return qn__whatwg_fail(w, p, "the port is not a number");
    }
    value = value * 10 + (unsigned)(*p - '0');
    if (value > 65535) {
      return qn__whatwg_fail(w, from, "the port is above 65535");
    }
  }
  if (p > from && (int)value != qn__special_port(w->special)) {
    w->p.port = (int)value;
  }
  return 0;
}

/* user[:password] as it stands before the last '@'. */
static void credentials(qn__whatwg_t *w, const char *p, const char *end)
{
  const char *colon = memchr(p, ':', (size_t)(end - p));
  const char *user_end = colon != NULL ? colon : end;
  const char *password = colon != NULL ? colon + 1 : end;
  if (user_end > p || password < end) {
    qn__whatwg_encode(w, QN_URL_USER, p, (size_t)(user_end - p), QN__PCT_USERINFO);
  }
  if (password < end) {
    qn__whatwg_encode(w, QN_URL_PASSWORD, password, (size_t)(end - password), QN__PCT_USERINFO);
  }
}

/* The authority state, the host state and the port state. */
static int authority(qn__whatwg_t *w, const char *p)
{
  const char *at = NULL, *colon = NULL, *stop = p;
  bool brackets = false;
  for (; stop < w->end; stop++) {
    if (QN_LIKELY(!qn__pct_in((uint8_t)*stop, QN__PCT_FORBIDDEN_HOST))) {
      continue;
    }
    if (is_slash(w, *stop) || *stop == '?' || *stop == '#') {
      break;
    }
    if (*stop == '@') {
      at = stop;
      colon = NULL;
    }
    colon = *stop == ':' && colon == NULL ? stop : colon;
    brackets = brackets || *stop == '[';
  }
  if (at != NULL) {
    credentials(w, p, at);
    p = at + 1;
  }
  const char *end = brackets ? qn__whatwg_host_end(p, stop) : colon != NULL ? colon : stop;
  if (p == end && (at != NULL || end < stop || w->special != QN__SPECIAL_NOT)) {
    return qn__whatwg_fail(w, p, "the host is missing");
  }
  int rc = qn__whatwg_host(w, p, (size_t)(end - p));
  if (rc == 0 && end < stop) {
    rc = port(w, end + 1, stop);
  }
  return rc != 0 ? rc : path_start(w, stop);
}

/* The special authority ignore slashes state. */
static int after_slashes(qn__whatwg_t *w, const char *p)
{
  while (p < w->end && (*p == '/' || *p == '\\')) {
    p++;
  }
  return authority(w, p);
}

static void copy(qn__whatwg_t *w, const base_t *base, qn_url_part_t part)
{
  w->p.part[part] = base->p->part[part];
  w->p.has[part] = base->p->has[part];
}

static void copy_host(qn__whatwg_t *w, const base_t *base)
{
  copy(w, base, QN_URL_HOST);
  w->p.ip_literal = base->p->ip_literal;
}

/* What a reference of an empty path keeps: path and query. False: a path follows. */
static bool keep_path(qn__whatwg_t *w, const base_t *base, const char *p)
{
  if (p < w->end && *p != '?' && *p != '#') {
    return false;
  }
  copy(w, base, QN_URL_PATH);
  copy(w, base, QN_URL_QUERY);
  tail(w, p);
  return true;
}

/* The relative state and the relative slash state. */
static int relative(qn__whatwg_t *w, const base_t *base, const char *p)
{
  const qn_slice_t none = {NULL, 0};
  copy(w, base, QN_URL_SCHEME);
  w->special = base->special;
  bool slash = p < w->end && is_slash(w, *p);
  if (slash && p + 1 < w->end && is_slash(w, p[1])) {
    return w->special != QN__SPECIAL_NOT ? after_slashes(w, p + 2) : authority(w, p + 2);
  }
  copy(w, base, QN_URL_USER);
  copy(w, base, QN_URL_PASSWORD);
  copy_host(w, base);
  w->p.port = base->p->port;
  if (slash) {
    return path(w, none, p + 1);
  }
  if (keep_path(w, base, p)) {
    return 0;
  }
  return path(w, qn__whatwg_shorten(base->p->part[QN_URL_PATH], w->special), p);
}

/* The file host state. */
static int file_host(qn__whatwg_t *w, const char *p)
{
  const char *stop = p;
  while (stop < w->end && !is_slash(w, *stop) && *stop != '?' && *stop != '#') {
    stop++;
  }
  if (stop - p == 2 && qn__whatwg_has_drive(p, stop)) {
    return path(w, (qn_slice_t){NULL, 0}, p);
  }
  if (stop > p) {
    int rc = qn__whatwg_host(w, p, (size_t)(stop - p));
    if (rc != 0) {
      return rc;
    }
  }
  return path_start(w, stop);
}

/* The file state and the file slash state. */
static int file(qn__whatwg_t *w, const base_t *base, const char *p)
{
  qn_slice_t prefix = {NULL, 0};
  qn__whatwg_set(w, QN_URL_SCHEME, "file", 4);
  qn__whatwg_set(w, QN_URL_HOST, "", 0);
  w->special = QN__SPECIAL_FILE;
  bool based = base->p != NULL && base->special == QN__SPECIAL_FILE;
  if (p < w->end && is_slash(w, *p)) {
    if (p + 1 < w->end && is_slash(w, p[1])) {
      return file_host(w, p + 2);
    }
    p++;
    if (based) {
      copy_host(w, base);
      if (!qn__whatwg_has_drive(p, w->end) &&
          qn__whatwg_path_has_drive(base->p->part[QN_URL_PATH])) {
        prefix = (qn_slice_t){base->p->part[QN_URL_PATH].data, 3};
      }
    }
  } else if (based) {
    copy_host(w, base);
    if (keep_path(w, base, p)) {
      return 0;
    }
    if (!qn__whatwg_has_drive(p, w->end)) {
      prefix = qn__whatwg_shorten(base->p->part[QN_URL_PATH], QN__SPECIAL_FILE);
    }
  }
  return path(w, prefix, p);
}

/* The opaque path state: of the spaces before '?' or '#' only the last one is encoded. */
static int opaque_path(qn__whatwg_t *w, const char *p)
{
  const char *end = path_end(w, p);
  w->p.opaque = true;
  if (end > p && end < w->end && end[-1] == ' ') {
    char *from = w->scratch;
    w->scratch += qn__pct_encode(p, (size_t)(end - p) - 1, QN__PCT_C0, from);
    memcpy(w->scratch, "%20", 3);
    w->scratch += 3;
    qn__whatwg_set(w, QN_URL_PATH, from, (size_t)(w->scratch - from));
  } else {
    qn__whatwg_encode(w, QN_URL_PATH, p, (size_t)(end - p), QN__PCT_C0);
  }
  tail(w, end);
  return 0;
}

/* The no scheme state. */
static int no_scheme(qn__whatwg_t *w, const base_t *base, const char *p)
{
  if (base->p == NULL) {
    return qn__whatwg_fail(w, p, "the URL is relative, and there is no base URL");
  }
  if (!base->p->opaque) {
    return base->special == QN__SPECIAL_FILE ? file(w, base, p) : relative(w, base, p);
  }
  if (p == w->end || *p != '#') {
    return qn__whatwg_fail(w, p, "the URL is relative, and the base URL has an opaque path");
  }
  copy(w, base, QN_URL_SCHEME);
  w->p.opaque = true;
  keep_path(w, base, p);
  return 0;
}

/* From the scheme start state on. */
static int run(qn__whatwg_t *w, const base_t *base, const char *p)
{
  const char *colon = p;
  if (p < w->end && qn__is_alpha(*p)) {
    while (colon < w->end && (qn__is_alpha(*colon) || qn__is_digit(*colon) || *colon == '+' ||
                              *colon == '-' || *colon == '.')) {
      colon++;
    }
  }
  if (colon == p || colon == w->end || *colon != ':') {
    return no_scheme(w, base, p);
  }
  char *scheme = w->scratch;
  size_t size = (size_t)(colon - p);
  for (size_t i = 0; i < size; i++) {
    scheme[i] = (char)((unsigned)(p[i] - 'A') < 26 ? p[i] | 0x20 : p[i]);
  }
  w->scratch += size;
  w->special = qn__special_of(scheme, size);
  qn__whatwg_set(w, QN_URL_SCHEME, scheme, size);
  p = colon + 1;
  if (w->special == QN__SPECIAL_FILE) {
    return file(w, base, p);
  }
  bool double_slash = w->end - p >= 2 && p[0] == '/' && p[1] == '/';
  if (w->special != QN__SPECIAL_NOT) {
    bool same = base->p != NULL && base->special == w->special;
    return same && !double_slash ? relative(w, base, p) : after_slashes(w, p);
  }
  if (double_slash) {
    return authority(w, p + 2);
  }
  return p < w->end && *p == '/' ? path_start(w, p) : opaque_path(w, p);
}

/* The offset in the input that an offset in its plain form comes from. */
static size_t origin_of(const char *text, size_t size, size_t plain)
{
  const uint8_t *at = (const uint8_t *)text, *end = at + size;
  while (at < end) {
    const uint8_t *from = at;
    bool good = qn__utf8_next(&at, end) >= 0;
    bool skipped = *from == '\t' || *from == '\n' || *from == '\r';
    size_t n = skipped ? 0 : good ? (size_t)(at - from) : 3;
    if (!skipped && plain < n) {
      return (size_t)(from - (const uint8_t *)text);
    }
    plain -= n;
  }
  return size;
}

/* A base of another mode counts as what the standard makes of its text. */
static int parse_base(const qn_url_t *base, qn__url_out_t *out, qn_url_error_t *err)
{
  int rc = qn__url_parse_whatwg(base->text, base->size, NULL, out, err);
  if (rc == QN_E_BAD_URL) {
    *err = (qn_url_error_t){0, "the base URL is no URL of the URL Standard"};
  }
  return rc;
}

static int parse(const char *text, size_t size, const qn__url_parts_t *base, qn__url_out_t *out,
                 qn_url_error_t *err)
{
  char room[QN__WHATWG_SCRATCH];
  char *memory = room;
  bool plain = qn__whatwg_is_plain(text, size);
  size_t most = plain ? size : 3 * size;
  size_t need = (plain ? 0 : most) + 3 * most + QN__HOST_MAX + 8;
  need += base != NULL ? base->part[QN_URL_PATH].size : 0;
  if (need > sizeof room) {
    memory = qn_malloc(need);
    if (memory == NULL) {
      return -ENOMEM;
    }
  }
  const char *from = text;
  qn__whatwg_t w = {.end = text + size, .scratch = memory};
  w.p.port = -1;
  w.p.mode = QN_URL_WHATWG;
  w.p.has[QN_URL_PATH] = true;
  if (!plain) {
    from = memory;
    w.scratch += qn__whatwg_plain(text, size, memory);
    w.end = w.scratch;
  }
  base_t b = {base, QN__SPECIAL_NOT};
  if (base != NULL) {
    b.special = qn__special_of((const char *)base->part[QN_URL_SCHEME].data,
                               base->part[QN_URL_SCHEME].size);
  }
  int rc = run(&w, &b, from);
  if (rc == 0) {
    rc = qn__url_assemble(&w.p, out);
  } else {
    size_t at = (size_t)(w.at - from);
    *err = (qn_url_error_t){plain ? at : origin_of(text, size, at), w.why};
  }
  if (memory != room) {
    qn_free(memory);
  }
  return rc;
}

int qn__url_parse_whatwg(const char *text, size_t size, const qn_url_t *base, qn__url_out_t *out,
                         qn_url_error_t *err)
{
  const char *from = text;
  qn__url_out_t own = {NULL, 0, NULL};
  qn__url_parts_t parts;
  if (base != NULL && base->mode != QN_URL_WHATWG) {
    int rc = parse_base(base, &own, err);
    if (rc != 0) {
      return rc;
    }
    base = own.url;
  }
  while (size > 0 && (uint8_t)from[size - 1] <= ' ') {
    size--;
  }
  while (size > 0 && (uint8_t)*from <= ' ') {
    from++;
    size--;
  }
  if (base != NULL) {
    qn__url_split(base, &parts);
  }
  int rc = parse(from, size, base != NULL ? &parts : NULL, out, err);
  if (rc == QN_E_BAD_URL) {
    err->at += (size_t)(from - text);
  }
  qn_url_free(own.url);
  return rc;
}

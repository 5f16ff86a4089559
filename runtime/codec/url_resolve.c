/* url_resolve.c: references against a base (RFC 3986 section 5.2), normal forms (section 6.2),
 * equality.
 *
 * Called by the bindings. Works on components of valid URLs, so nothing here can be malformed; dot
 * segments are removed in linear time. Invariant: what is made can be told apart when it is read
 * again (no path that looks like an authority, no first segment that looks like a scheme).
 */
#include "codec/percent.h"
#include "codec/url_rfc.h"
#include "qn/ip.h"

#include <errno.h>

typedef struct known_port {
  const char *scheme;
  int port;
} known_port_t;

int qn_url_default_port(qn_slice_t scheme)
{
  static const known_port_t known[] = {
      {"http", 80},   {"https", 443}, {"ws", 80},     {"wss", 443},   {"ftp", 21},
      {"ftps", 990},  {"ssh", 22},    {"sftp", 22},   {"telnet", 23}, {"smtp", 25},
      {"smtps", 465}, {"gopher", 70}, {"pop3", 110},  {"nntp", 119},  {"imap", 143},
      {"ldap", 389},  {"rtsp", 554},  {"ldaps", 636}, {"imaps", 993}, {"pop3s", 995},
      {"mqtt", 1883}, {"sip", 5060},  {"sips", 5061}, {"redis", 6379}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strlen(known[i].scheme) == scheme.size &&
        memcmp(known[i].scheme, scheme.data, scheme.size) == 0) {
      return known[i].port;
    }
  }
  return -1;
}

/* --- dot segments ---------------------------------------------------------------------------- */

static bool is_dots(const char *name, size_t n, size_t dots)
{
  return n == dots && name[0] == '.' && name[n - 1] == '.';
}

size_t qn__url_remove_dots(char *path, size_t size)
{
  size_t from = 0, to = 0;
  while (from < size) {
    size_t name = from + (path[from] == '/'), end = name;
    while (end < size && path[end] != '/') {
      end++;
    }
    bool one = is_dots(path + name, end - name, 1), two = is_dots(path + name, end - name, 2);
    if ((one || two) && name == from) { /* rules A and D: at the beginning, without '/' */
      from = end + (end < size);
    } else if (one || two) { /* rules B and C */
      while (two && to > 0 && path[--to] != '/') {
      }
      if (end == size) {
        path[to++] = '/';
      }
      from = end;
    } else { /* rule E */
      memmove(path + to, path + from, end - from);
      to += end - from;
      from = end;
    }
  }
  return to;
}

/* The same for a path that stays relative: ".." that lead out of it stay, and it does not become
 * empty or rooted, which would mean something else. `path` has one byte more than `size`. */
static size_t remove_dots_relative(char *path, size_t size)
{
  size_t to = 0, floor = 0; /* below `floor` are only ".." */
  for (size_t from = 0, end; from < size; from = end + 1) {
    end = from;
    while (end < size && path[end] != '/') {
      end++;
    }
    size_t n = end - from;
    bool two = is_dots(path + from, n, 2);
    if (two && to > floor) {
      to--;
      while (to > floor && path[to - 1] != '/') {
        to--;
      }
    } else if (!is_dots(path + from, n, 1)) {
      memmove(path + to, path + from, n);
      to += n;
      if (end < size) {
        path[to++] = '/';
      }
      floor = two ? to : floor;
    }
  }
  if (size > 0 && (to == 0 || path[0] == '/')) {
    memmove(path + 2, path, to);
    qn__url_put(path, "./");
    to += 2;
  }
  return to;
}

/* --- what must not be misread ---------------------------------------------------------------- */

static bool has_colon_first(qn_slice_t path)
{
  for (size_t i = 0; i < path.size && path.data[i] != '/'; i++) {
    if (path.data[i] == ':') {
      return true;
    }
  }
  return false;
}

int qn__url_guard_path(qn__url_parts_t *p, qn__url_scratch_t *scratch)
{
  qn_slice_t path = p->part[QN_URL_PATH];
  const char *before = NULL;
  if (p->has[QN_URL_HOST]) {
    before = path.size > 0 && path.data[0] != '/' ? "/" : NULL;
  } else if (path.size >= 2 && path.data[0] == '/' && path.data[1] == '/') {
    before = "/.";
  } else if (!p->has[QN_URL_SCHEME] && has_colon_first(path)) {
    before = "./";
  }
  if (before == NULL) {
    return 0;
  }
  size_t n = strlen(before);
  char *to = qn__url_scratch(scratch, n + path.size);
  if (to == NULL) {
    return -ENOMEM;
  }
  qn__url_put(to, before);
  memcpy(to + n, path.data, path.size);
  p->part[QN_URL_PATH] = qn__url_slice(to, n + path.size);
  return 0;
}

/* --- resolving ------------------------------------------------------------------------------- */

static int set_path(qn__url_parts_t *t, qn_slice_t head, qn_slice_t tail,
                    qn__url_scratch_t *scratch)
{
  char *to = qn__url_scratch(scratch, head.size + tail.size + 1);
  if (to == NULL) {
    return -ENOMEM;
  }
  if (head.size > 0) {
    memcpy(to, head.data, head.size);
  }
  if (tail.size > 0) {
    memcpy(to + head.size, tail.data, tail.size);
  }
  size_t size = head.size + tail.size;
  bool rooted = size > 0 && to[0] == '/';
  size = rooted || t->has[QN_URL_SCHEME] || t->has[QN_URL_HOST] ? qn__url_remove_dots(to, size)
                                                                : remove_dots_relative(to, size);
  t->part[QN_URL_PATH] = qn__url_slice(to, size);
  return 0;
}

/* Everything of the base's path up to its last '/' (section 5.2.3). */
static qn_slice_t merge_head(const qn__url_parts_t *base)
{
  qn_slice_t path = base->part[QN_URL_PATH];
  if (base->has[QN_URL_HOST] && path.size == 0) {
    return qn__url_slice("/", 1);
  }
  while (path.size > 0 && path.data[path.size - 1] != '/') {
    path.size--;
  }
  return path;
}

static void copy(qn__url_parts_t *to, const qn__url_parts_t *from, qn_url_part_t part)
{
  to->part[part] = from->part[part];
  to->has[part] = from->has[part];
}

static void copy_authority(qn__url_parts_t *to, const qn__url_parts_t *from)
{
  copy(to, from, QN_URL_USER);
  copy(to, from, QN_URL_PASSWORD);
  copy(to, from, QN_URL_HOST);
  to->port = from->port;
  to->ip_literal = from->ip_literal;
}

static bool same(const qn__url_parts_t *a, const qn__url_parts_t *b, qn_url_part_t part)
{
  return a->has[part] == b->has[part] && a->part[part].size == b->part[part].size &&
         (a->part[part].size == 0 ||
          memcmp(a->part[part].data, b->part[part].data, a->part[part].size) == 0);
}

static int transform(const qn__url_parts_t *base, const qn__url_parts_t *ref, bool strict,
                     qn__url_parts_t *t, qn__url_scratch_t *scratch)
{
  const qn_slice_t none = {(const uint8_t *)"", 0};
  bool own_scheme = ref->has[QN_URL_SCHEME] && (strict || !same(base, ref, QN_URL_SCHEME));
  *t = *ref;
  t->mode = base->mode;
  t->opaque = false;
  if (own_scheme) {
    return set_path(t, none, ref->part[QN_URL_PATH], scratch);
  }
  copy(t, base, QN_URL_SCHEME);
  if (ref->has[QN_URL_HOST]) {
    return set_path(t, none, ref->part[QN_URL_PATH], scratch);
  }
  copy_authority(t, base);
  if (ref->part[QN_URL_PATH].size == 0) {
    copy(t, base, QN_URL_PATH);
    if (!ref->has[QN_URL_QUERY]) {
      copy(t, base, QN_URL_QUERY);
    }
    return 0;
  }
  bool rooted = ref->part[QN_URL_PATH].data[0] == '/';
  return set_path(t, rooted ? none : merge_head(base), ref->part[QN_URL_PATH], scratch);
}

int qn_url_resolve(const qn_url_t *base, const qn_url_t *ref, bool strict, qn_url_place_t *place)
{
  qn__url_out_t out = {place->mem, place->room, NULL};
  int rc;
  if (base->mode == QN_URL_WHATWG) {
    qn_url_error_t err;
    rc = qn__url_parse_whatwg(ref->text, ref->size, base, &out, &err);
  } else {
    qn__url_scratch_t scratch;
    qn__url_parts_t b, r, t;
    qn__url_out_t again = {NULL, 0, NULL};
    qn_url_error_t err;
    rc = 0;
    if (ref->mode != base->mode) { /* its characters must be those of the mode of the result */
      rc = qn__url_parse_rfc(ref->text, ref->size, (qn_url_mode_t)base->mode, &again, &err);
    }
    qn__url_scratch_begin(&scratch);
    if (rc == 0) {
      qn__url_split(base, &b);
      qn__url_split(again.url != NULL ? again.url : ref, &r);
      rc = transform(&b, &r, strict, &t, &scratch);
    }
    if (rc == 0) {
      rc = qn__url_guard_path(&t, &scratch);
    }
    if (rc == 0) {
      rc = qn__url_assemble(&t, &out);
    }
    qn__url_scratch_end(&scratch);
    qn_url_free(again.url);
  }
  place->url = out.url;
  return rc;
}

/* --- normal forms ---------------------------------------------------------------------------- */

/* A path of "/" and an IPv4 tail make a normal form longer. Comparing must not fail for that. */
enum { NORMAL_SLACK = 16 };

static char hex_upper(uint8_t c) { return (char)(c >= 'a' ? c & ~0x20 : c); }

/* Decodes what needs no encoding, writes escapes in upper case; `fold`: letters in lower case. */
static size_t normal_text(qn_slice_t in, bool fold, char *to)
{
  size_t n = 0;
  for (size_t i = 0; i < in.size; i++) {
    uint8_t c = in.data[i];
    if (c == '%' && i + 2 < in.size && qn__hex_digit(in.data[i + 1]) >= 0 &&
        qn__hex_digit(in.data[i + 2]) >= 0) {
      uint8_t value = (uint8_t)(qn__hex_digit(in.data[i + 1]) * 16 + qn__hex_digit(in.data[i + 2]));
      if (qn__pct_in(value, QN__PCT_RFC_UNRESERVED) || qn__pct_joins(to, n, value)) {
        to[n++] = '%';
        to[n++] = hex_upper(in.data[i + 1]);
        to[n++] = hex_upper(in.data[i + 2]);
        i += 2;
        continue;
      }
      c = value;
      i += 2;
    }
    to[n++] = (char)(fold && c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  }
  return n;
}

static bool is_text(qn_slice_t s, const char *text)
{
  return s.size == strlen(text) && memcmp(s.data, text, s.size) == 0;
}

static int normal_host(qn__url_parts_t *p, qn__url_scratch_t *scratch)
{
  uint8_t bytes[16];
  qn_slice_t host = p->part[QN_URL_HOST];
  char *to = qn__url_scratch(scratch, host.size + QN_IP_TEXT);
  if (to == NULL) {
    return -ENOMEM;
  }
  size_t n;
  if (p->ip_literal) {
    if (!qn_ip6_parse((const char *)host.data, host.size, bytes)) {
      return 0; /* an IPvFuture, or with a zone, whose case matters */
    }
    n = qn_ip6_print(bytes, to, true);
  } else {
    n = normal_text(host, true, to);
  }
  p->part[QN_URL_HOST] = qn__url_slice(to, n);
  if (p->has[QN_URL_SCHEME] && is_text(p->part[QN_URL_SCHEME], "file") &&
      is_text(p->part[QN_URL_HOST], "localhost")) {
    p->part[QN_URL_HOST].size = 0; /* RFC 8089 section 2 */
  }
  return 0;
}

static int normal_path(qn__url_parts_t *p, qn__url_scratch_t *scratch)
{
  qn_slice_t path = p->part[QN_URL_PATH];
  if (p->opaque) {
    return 0;
  }
  char *to = qn__url_scratch(scratch, path.size + 1);
  if (to == NULL) {
    return -ENOMEM;
  }
  size_t n = normal_text(path, false, to);
  if (n > 0 && to[0] == '/' && (p->has[QN_URL_SCHEME] || p->has[QN_URL_HOST])) {
    n = qn__url_remove_dots(to, n); /* those of references have a meaning */
  }
  if (n == 0 && p->has[QN_URL_HOST]) {
    to[n++] = '/';
  }
  p->part[QN_URL_PATH] = qn__url_slice(to, n);
  /* the URL Standard's "/." is no part of the path: it is written with the URL */
  return p->mode == QN_URL_WHATWG ? 0 : qn__url_guard_path(p, scratch);
}

static int normalize(qn__url_parts_t *p, qn__url_scratch_t *scratch)
{
  static const qn_url_part_t texts[] = {QN_URL_USER, QN_URL_PASSWORD, QN_URL_QUERY,
                                        QN_URL_FRAGMENT};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    qn_slice_t *part = &p->part[texts[i]];
    if (part->size > 0 && memchr(part->data, '%', part->size) != NULL) {
      char *to = qn__url_scratch(scratch, part->size);
      if (to == NULL) {
        return -ENOMEM;
      }
      *part = qn__url_slice(to, normal_text(*part, false, to));
    }
  }
  int rc = p->has[QN_URL_HOST] ? normal_host(p, scratch) : 0;
  if (p->has[QN_URL_SCHEME] && p->port == qn_url_default_port(p->part[QN_URL_SCHEME])) {
    p->port = -1;
  }
  return rc != 0 ? rc : normal_path(p, scratch);
}

int qn_url_normalize(const qn_url_t *u, qn_url_place_t *place)
{
  qn__url_out_t out = {place->mem, place->room, NULL};
  qn__url_scratch_t scratch;
  qn__url_parts_t p;
  qn__url_scratch_begin(&scratch);
  qn__url_split(u, &p);
  int rc = normalize(&p, &scratch);
  p.slack = NORMAL_SLACK;
  if (rc == 0) {
    rc = qn__url_assemble(&p, &out);
  }
  qn__url_scratch_end(&scratch);
  place->url = out.url;
  return rc;
}

int qn_url_equal(const qn_url_t *a, const qn_url_t *b)
{
  if (a->size == b->size && memcmp(a->text, b->text, a->size) == 0) {
    return 1;
  }
  _Alignas(16) char mem_a[1024], mem_b[1024];
  qn_url_place_t pa = {mem_a, sizeof mem_a, NULL}, pb = {mem_b, sizeof mem_b, NULL};
  int rc = qn_url_normalize(a, &pa);
  if (rc == 0) {
    rc = qn_url_normalize(b, &pb);
  }
  if (rc == 0) {
    rc = pa.url->size == pb.url->size && memcmp(pa.url->text, pb.url->text, pa.url->size) == 0;
  }
  if (pa.url != NULL && (char *)pa.url != mem_a) {
    qn_url_free(pa.url);
  }
  if (pb.url != NULL && (char *)pb.url != mem_b) {
    qn_url_free(pb.url);
  }
  return rc;
}

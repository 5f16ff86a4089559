/* url_input.c: URLs of what somebody types, and of names of local files.
 *
 * Called by qn_url_parse and by the bindings. Guesses by the text alone: whether a file exists is
 * for the caller to know. Invariant: a URL that is found is valid in tolerant mode.
 */
#include "codec/percent.h"
#include "codec/url_rfc.h"
#include "qn/ip.h"

#include <errno.h>

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_drive(const char *text, size_t size)
{
  return size >= 2 && text[1] == ':' && (text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z' &&
         (size == 2 || text[2] == '/' || text[2] == '\\');
}

/* --- local files ----------------------------------------------------------------------------- */

static int build_file(qn_slice_t host, const char *path, size_t size, bool rooted,
                      qn_url_place_t *place, qn_url_error_t *err)
{
  qn_url_parts_t p = {.port = -1, .mode = QN_URL_TOLERANT};
  p.part[QN_URL_SCHEME] = qn__url_slice("file", 4);
  p.has[QN_URL_SCHEME] = true;
  p.part[QN_URL_HOST] = host;
  p.has[QN_URL_HOST] = rooted;
  p.decoded[QN_URL_HOST] = true;
  p.part[QN_URL_PATH] = qn__url_slice(path, size);
  p.decoded[QN_URL_PATH] = p.has[QN_URL_PATH] = true;
  return qn_url_build(&p, place, err);
}

int qn_url_from_file(const char *path, size_t size, qn_url_place_t *place, qn_url_error_t *err)
{
  const qn_slice_t none = {(const uint8_t *)"", 0};
  char *copy = NULL;
  place->url = NULL;
  if (size > QN_URL_MAX || memchr(path, 0, size) != NULL) {
    *err = (qn_url_error_t){0, size > QN_URL_MAX ? "it is too long" : "a file name has no NUL"};
    return size > QN_URL_MAX ? QN_E_LIMIT : QN_E_BAD_URL;
  }
  if (is_drive(path, size) || (size >= 2 && path[0] == '\\' && path[1] == '\\')) {
    copy = qn_malloc(size + 1); /* the backslash separates in names of that system only */
    if (copy == NULL) {
      return -ENOMEM;
    }
    for (size_t i = 0; i < size; i++) {
      copy[i] = (char)(path[i] == '\\' ? '/' : path[i]);
    }
    path = copy;
  }
  int rc = QN_E_BAD_URL;
  if (size > 2 && path[0] == '/' && path[1] == '/' && path[2] != '/') { /* "//host/share" */
    const char *slash = memchr(path + 2, '/', size - 2);
    size_t n = slash != NULL ? (size_t)(slash - path) - 2 : size - 2;
    rc = build_file(qn__url_slice(path + 2, n), path + 2 + n, size - 2 - n, true, place, err);
  }
  if (rc == QN_E_BAD_URL) {
    bool rooted = size > 0 && (path[0] == '/' || is_drive(path, size));
    rc = build_file(none, path, size, rooted, place, err);
  }
  qn_free(copy);
  return rc;
}

size_t qn_url_to_file(const qn_url_t *u, char *out)
{
  qn_slice_t scheme = qn__url_part(u, QN_URL_SCHEME), host = qn__url_part(u, QN_URL_HOST);
  qn_slice_t path = qn__url_part(u, QN_URL_PATH);
  size_t n = 0;
  if (scheme.size != 4 || memcmp(scheme.data, "file", 4) != 0 || path.size == 0) {
    return 0;
  }
  if (host.size > 0 && !(host.size == 9 && memcmp(host.data, "localhost", 9) == 0)) {
    qn__url_put(out, "//");
    memcpy(out + 2, host.data, host.size);
    n = 2 + host.size;
  }
  size_t size = qn__pct_decode((const char *)path.data, path.size, out + n);
  if (n == 0 && size >= 3 && out[0] == '/' && is_drive(out + 1, size - 1)) {
    size--;
    memmove(out, out + 1, size);
  }
  return memchr(out, 0, n + size) != NULL ? 0 : n + size;
}

/* --- what somebody types --------------------------------------------------------------------- */

/* `with` is in lower case. */
static bool begins(const char *text, size_t size, const char *with)
{
  size_t n = strlen(with);
  for (size_t i = 0; i < n; i++) {
    if (i >= size || (text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]) != with[i]) {
      return false;
    }
  }
  return true;
}

/* An IPv6 address, whose first group may look like a scheme ("fe80::1%eth0"). */
static bool is_ip6(const char *text, size_t size)
{
  uint8_t bytes[16];
  const char *zone = memchr(text, '%', size);
  return qn_ip6_parse(text, zone != NULL ? (size_t)(zone - text) : size, bytes);
}

static int parse_prepended(const char *text, size_t size, qn__url_out_t *out, qn_url_error_t *err)
{
  bool ip6 = is_ip6(text, size);
  const char *scheme = begins(text, size, "ftp.") ? "ftp://" : "http://";
  size_t n = strlen(scheme), all = n + size + (ip6 ? 2 : 0);
  char *copy = qn_malloc(all + 1);
  if (copy == NULL) {
    return -ENOMEM;
  }
  qn__url_put(copy, scheme);
  copy[n] = '[';
  memcpy(copy + n + ip6, text, size);
  if (ip6) {
    copy[all - 1] = ']';
  }
  int rc = qn__url_parse_rfc(copy, all, QN_URL_TOLERANT, out, err);
  qn_free(copy);
  if (rc == QN_E_BAD_URL) {
    err->at -= err->at > n + ip6 ? n + ip6 : err->at;
  } else if (rc == 0 && out->url->len[QN_URL_HOST] == 0) {
    if (out->url != out->mem) {
      qn_url_free(out->url);
    }
    out->url = NULL;
    *err = (qn_url_error_t){0, "there is no host"};
    rc = QN_E_BAD_URL;
  }
  return rc;
}

/* "host:80/x" is no scheme with a path: digits follow the colon, up to the end of an authority. */
static bool is_host_port(const char *text, size_t size)
{
  const char *colon = memchr(text, ':', size);
  size_t i = colon != NULL ? (size_t)(colon - text) + 1 : size, from = i;
  while (i < size && text[i] >= '0' && text[i] <= '9') {
    i++;
  }
  return i > from && (i == size || text[i] == '/' || text[i] == '?' || text[i] == '#');
}

static bool has_scheme(const char *text, size_t size)
{
  const char *colon = memchr(text, ':', size);
  qn__url_scratch_t scratch;
  qn_url_error_t err;
  qn_slice_t scheme;
  qn__url_scratch_begin(&scratch);
  bool has = colon != NULL && colon - text < 64 &&
             qn__url_scheme(text, (size_t)(colon - text), &scratch, &scheme, &err) == 0;
  qn__url_scratch_end(&scratch);
  return has && !is_host_port(text, size);
}

int qn__url_parse_input(const char *text, size_t size, qn__url_out_t *out, qn_url_error_t *err)
{
  size_t skipped = 0;
  while (size > 0 && is_space(text[size - 1])) {
    size--;
  }
  while (skipped < size && is_space(text[skipped])) {
    skipped++;
  }
  text += skipped;
  size -= skipped;
  int rc;
  if (size == 0) {
    *err = (qn_url_error_t){0, "it is empty"};
    return QN_E_BAD_URL;
  }
  if (text[0] == '/' || (size > 2 && is_drive(text, size))) {
    qn_url_place_t place = {out->mem, out->room, NULL};
    rc = qn_url_from_file(text, size, &place, err);
    out->url = place.url;
  } else if (!is_ip6(text, size) && has_scheme(text, size)) {
    rc = qn__url_parse_rfc(text, size, QN_URL_TOLERANT, out, err);
  } else {
    rc = parse_prepended(text, size, out, err);
  }
  if (rc == QN_E_BAD_URL) {
    err->at += skipped;
  }
  return rc;
}

/* url_whatwg_set.c: the setters of the URL class (URL Standard, section 6.1), and the origin.
 *
 * Called by url.c. Each setter runs the parser's steps with a state override on the components of a
 * URL and has a new one written. Invariant: a setter that the standard ignores gives an equal URL;
 * QN_E_BAD_URL says that it was ignored because the parser failed before it had changed anything.
 */
#include "codec/percent.h"
#include "codec/url_whatwg.h"

#include <errno.h>
#include <string.h>

/* "includes credentials or has a non-null port" */
static bool has_extras(const qn__whatwg_t *w)
{
  return w->p.has[QN_URL_USER] || w->p.has[QN_URL_PASSWORD] || w->p.port >= 0;
}

/* "cannot have a username/password/port" */
static bool lacks_authority(const qn__whatwg_t *w)
{
  return w->p.part[QN_URL_HOST].size == 0 || w->special == QN__SPECIAL_FILE;
}

static int set_protocol(qn__whatwg_t *w, const char *text)
{
  char *scheme = w->scratch;
  size_t size = 0;
  for (; text < w->end && *text != ':'; text++, size++) {
    bool first = size == 0;
    if (!qn__is_alpha(*text) &&
        (first || !(qn__is_digit(*text) || *text == '+' || *text == '-' || *text == '.'))) {
      return qn__whatwg_fail(w, text, "a scheme cannot have this character");
    }
    scheme[size] = (char)((unsigned)(*text - 'A') < 26 ? *text | 0x20 : *text);
  }
  if (size == 0) {
    return qn__whatwg_fail(w, text, "the scheme is empty");
  }
  qn__special_t special = qn__special_of(scheme, size);
  if ((special != QN__SPECIAL_NOT) != (w->special != QN__SPECIAL_NOT) ||
      (special == QN__SPECIAL_FILE && has_extras(w)) ||
      (w->special == QN__SPECIAL_FILE && w->p.part[QN_URL_HOST].size == 0)) {
    return 0;
  }
  w->scratch += size;
  qn__whatwg_set(w, QN_URL_SCHEME, scheme, size);
  if (w->p.port == qn__special_port(special)) {
    w->p.port = -1;
  }
  return 0;
}

static int set_port(qn__whatwg_t *w, const char *text)
{
  unsigned value = 0;
  const char *p = text;
  for (; p < w->end && qn__is_digit(*p); p++) {
    value = value * 10 + (unsigned)(*p - '0');
    if (value > 65535) {
      return qn__whatwg_fail(w, text, "the port is above 65535");
    }
  }
  if (p == text) {
    return qn__whatwg_fail(w, text, "the port is not a number");
  }
  w->p.port = (int)value == qn__special_port(w->special) ? -1 : (int)value;
  return 0;
}

static int set_host(qn__whatwg_t *w, const char *text, bool with_port)
{
  if (w->p.opaque) {
    return 0;
  }
  const char *stop = text;
  while (stop < w->end && *stop != '/' && *stop != '?' && *stop != '#' &&
         !(*stop == '\\' && w->special != QN__SPECIAL_NOT)) {
    stop++;
  }
  if (w->special == QN__SPECIAL_FILE) {
    if (stop > text) {
      return qn__whatwg_host(w, text, (size_t)(stop - text));
    }
    qn__whatwg_set(w, QN_URL_HOST, "", 0);
    w->p.ip_literal = false;
    return 0;
  }
  const char *end = qn__whatwg_host_end(text, stop);
  if (end == text && (end < stop || w->special != QN__SPECIAL_NOT || has_extras(w))) {
    return qn__whatwg_fail(w, text, "the host is missing");
  }
  if (end < stop && !with_port) {
    return qn__whatwg_fail(w, end, "the host has a port");
  }
  int rc = qn__whatwg_host(w, text, (size_t)(end - text));
  if (rc == 0 && end < stop) {
    set_port(w, end + 1); /* a bad port leaves the port; the host is set */
  }
  return rc;
}

static int set_path(qn__whatwg_t *w, const char *text)
{
  bool special = w->special != QN__SPECIAL_NOT;
  if (w->p.opaque) {
    return 0;
  }
  if (!special && text == w->end && w->p.has[QN_URL_HOST]) {
    qn__whatwg_set(w, QN_URL_PATH, "", 0);
    return 0;
  }
  if (text < w->end && (*text == '/' || (special && *text == '\\'))) {
    text++;
  }
  qn__whatwg_path(w, (qn_slice_t){NULL, 0}, text, w->end);
  return 0;
}

static int run(qn__whatwg_t *w, qn_url_setter_t setter, const char *text)
{
  size_t size = (size_t)(w->end - text);
  switch (setter) {
  case QN_URL_SET_PROTOCOL: return set_protocol(w, text);
  case QN_URL_SET_HOST: return set_host(w, text, true);
  case QN_URL_SET_HOSTNAME: return set_host(w, text, false);
  case QN_URL_SET_PATHNAME: return set_path(w, text);
  case QN_URL_SET_PORT: return lacks_authority(w) ? 0 : set_port(w, text);
  case QN_URL_SET_SEARCH: qn__whatwg_query(w, text, size); return 0;
  case QN_URL_SET_HASH: qn__whatwg_fragment(w, text, size); return 0;
  case QN_URL_SET_USERNAME:
  case QN_URL_SET_PASSWORD: break;
  }
  if (!lacks_authority(w)) {
    bool user = setter == QN_URL_SET_USERNAME;
    qn_url_part_t other = user ? QN_URL_PASSWORD : QN_URL_USER;
    qn__whatwg_encode(w, user ? QN_URL_USER : QN_URL_PASSWORD, text, size, QN__PCT_USERINFO);
    bool password = w->p.part[QN_URL_PASSWORD].size > 0;
    w->p.has[other] = w->p.part[other].size > 0;
    w->p.has[QN_URL_PASSWORD] = password;
    w->p.has[QN_URL_USER] = password || w->p.part[QN_URL_USER].size > 0;
  }
  return 0;
}

/* Empty text takes these components away, before tabs and newlines are dropped. */
static bool clear(qn__whatwg_t *w, qn_url_setter_t setter)
{
  switch (setter) {
  case QN_URL_SET_PORT: w->p.port = -1; return true;
  case QN_URL_SET_SEARCH: w->p.has[QN_URL_QUERY] = false; return true;
  case QN_URL_SET_HASH: w->p.has[QN_URL_FRAGMENT] = false; return true;
  default: return false;
  }
}

int qn__url_set_whatwg(const qn_url_t *u, qn_url_setter_t setter, const char *text, size_t size,
                       qn__url_out_t *out, qn_url_error_t *err)
{
  qn__whatwg_t w = {.why = NULL};
  qn__url_split(u, &w.p);
  w.special =
      qn__special_of((const char *)w.p.part[QN_URL_SCHEME].data, w.p.part[QN_URL_SCHEME].size);
  if (size == 0 && clear(&w, setter)) {
    return qn__url_assemble(&w.p, out);
  }
  char lead = setter == QN_URL_SET_SEARCH ? '?' : setter == QN_URL_SET_HASH ? '#' : 0;
  size_t skipped = size > 0 && lead != 0 && text[0] == lead ? 1 : 0;
  text += skipped;
  size -= skipped;
  char *memory = qn_malloc(12 * size + QN__HOST_MAX + 8); /* plain form, encoded form, host */
  if (memory == NULL) {
    return -ENOMEM;
  }
  bool encoded = setter == QN_URL_SET_USERNAME || setter == QN_URL_SET_PASSWORD;
  w.end = memory +
          (encoded ? qn__utf8_repair(text, size, memory) : qn__whatwg_plain(text, size, memory));
  w.scratch = memory + 3 * size;
  int rc = run(&w, setter, memory);
  if (rc == 0) {
    rc = qn__url_assemble(&w.p, out);
  } else {
    *err = (qn_url_error_t){skipped + (size_t)(w.at - memory), w.why};
  }
  qn_free(memory);
  return rc;
}

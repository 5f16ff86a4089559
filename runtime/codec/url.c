/* url.c: the URL value: written down in one place, read by accessors, parsed by mode.
 *
 * Called by the bindings and by every other URL file. Invariants: a URL is one block without
 * pointers; its text is NUL-terminated and at most QN_URL_MAX bytes (a normal form: 16 more);
 * components are ranges of it.
 */
#include "codec/url_i.h"

#include <errno.h>

static size_t write_port(int port, char out[8])
{
  char digits[8];
  size_t n = 0;
  do {
    digits[n++] = (char)('0' + port % 10);
    port /= 10;
  } while (port > 0);
  for (size_t i = 0; i < n; i++) {
    out[i] = digits[n - 1 - i];
  }
  return n;
}

static char *put(qn_url_t *u, qn_url_part_t part, const qn__url_parts_t *p, char *to)
{
  size_t size = p->part[part].size;
  u->at[part] = (uint32_t)(to - u->text);
  u->len[part] = (uint32_t)size;
  u->has |= (uint8_t)(1u << part);
  if (size > 0) {
    memcpy(to, p->part[part].data, size);
  }
  return to + size;
}

static char *put_authority(qn_url_t *u, const qn__url_parts_t *p, char *to, size_t n_port,
                           const char *port)
{
  *to++ = '/';
  *to++ = '/';
  if (p->has[QN_URL_USER] || p->has[QN_URL_PASSWORD]) {
    to = put(u, QN_URL_USER, p, to);
    if (p->has[QN_URL_PASSWORD]) {
      *to++ = ':';
      to = put(u, QN_URL_PASSWORD, p, to);
    }
    *to++ = '@';
  }
  if (p->ip_literal) {
    *to++ = '[';
  }
  to = put(u, QN_URL_HOST, p, to);
  if (p->ip_literal) {
    *to++ = ']';
  }
  if (p->port >= 0) {
    *to++ = ':';
    memcpy(to, port, n_port);
    to += n_port;
  }
  return to;
}

int qn__url_assemble(const qn__url_parts_t *p, qn__url_out_t *out)
{
  char port[8];
  size_t n_port = p->port >= 0 ? write_port(p->port, port) : 0;
  uint64_t size = 16 + n_port; /* room for all delimiters and "/." */
  for (int i = 0; i < QN_URL_PARTS; i++) {
    size += p->has[i] ? p->part[i].size : 0;
  }
  if (size > QN_URL_MAX + 16 + p->slack) {
    return QN_E_LIMIT;
  }
  qn_url_t *u = out->mem;
  if (u == NULL || sizeof *u + size > out->room) {
    u = qn_malloc(sizeof *u + (size_t)size);
    if (u == NULL) {
      return -ENOMEM;
    }
  }
  memset(u, 0, sizeof *u);
  u->mode = (uint8_t)p->mode;
  char *to = u->text;
  if (p->has[QN_URL_SCHEME]) {
    to = put(u, QN_URL_SCHEME, p, to);
    *to++ = ':';
  }
  bool authority = p->has[QN_URL_HOST];
  if (authority) {
    to = put_authority(u, p, to, n_port, port);
  } else if (p->part[QN_URL_PATH].size >= 2 && memcmp(p->part[QN_URL_PATH].data, "//", 2) == 0) {
    *to++ = '/';
    *to++ = '.';
  }
  to = put(u, QN_URL_PATH, p, to);
  if (p->has[QN_URL_QUERY]) {
    *to++ = '?';
    to = put(u, QN_URL_QUERY, p, to);
  }
  if (p->has[QN_URL_FRAGMENT]) {
    *to++ = '#';
    to = put(u, QN_URL_FRAGMENT, p, to);
  }
  *to = 0;
  u->size = (uint32_t)(to - u->text);
  u->port = authority ? p->port : -1;
  u->ip_literal = authority && p->ip_literal;
  u->opaque = p->opaque;
  if (u->size > QN_URL_MAX + p->slack) {
    if (u != out->mem) {
      qn_url_free(u);
    }
    return QN_E_LIMIT;
  }
  out->url = u;
  return 0;
}

void qn__url_split(const qn_url_t *u, qn__url_parts_t *p)
{
  for (int i = 0; i < QN_URL_PARTS; i++) {
    p->part[i] = qn__url_part(u, (qn_url_part_t)i);
    p->has[i] = qn__url_has(u, (qn_url_part_t)i);
  }
  p->ip_literal = u->ip_literal;
  p->opaque = u->opaque;
  p->port = u->port;
  p->mode = (qn_url_mode_t)u->mode;
  p->slack = 0;
}

int qn_url_parse_at(const char *text, size_t size, qn_url_mode_t mode, const qn_url_t *base,
                    qn_url_place_t *place, qn_url_error_t *err)
{
  qn__url_out_t out = {place->mem, place->room, NULL};
  qn_url_error_t mine = {0, NULL};
  int rc;
  place->url = NULL;
  if (size > QN_URL_MAX) {
    rc = QN_E_LIMIT;
  } else if (mode == QN_URL_WHATWG) {
    rc = qn__url_parse_whatwg(text, size, base, &out, &mine);
  } else if (mode == QN_URL_USER_INPUT) {
    rc = qn__url_parse_input(text, size, &out, &mine);
  } else {
    rc = qn__url_parse_rfc(text, size, mode, &out, &mine);
  }
  place->url = out.url;
  if (err != NULL) {
    *err = mine;
    if (rc != 0 && err->text == NULL) {
      err->text = rc == QN_E_LIMIT ? "it is too long" : qn_err_text(rc);
    }
  }
  return rc;
}

int qn_url_parse(const char *text, size_t size, qn_url_mode_t mode, const qn_url_t *base,
                 qn_url_t **out, qn_url_error_t *err)
{
  qn_url_place_t place = {NULL, 0, NULL};
  int rc = qn_url_parse_at(text, size, mode, base, &place, err);
  *out = place.url;
  return rc;
}

void qn_url_free(qn_url_t *u) { qn_free(u); }

size_t qn_url_bytes(const qn_url_t *u) { return sizeof *u + u->size + 1; }

bool qn_url_has(const qn_url_t *u, qn_url_part_t part) { return qn__url_has(u, part); }

qn_slice_t qn_url_get(const qn_url_t *u, qn_url_part_t part) { return qn__url_part(u, part); }

int qn_url_port(const qn_url_t *u) { return u->port; }

qn_url_mode_t qn_url_mode(const qn_url_t *u) { return (qn_url_mode_t)u->mode; }

bool qn_url_is_ip_literal(const qn_url_t *u) { return u->ip_literal; }

bool qn_url_is_opaque(const qn_url_t *u) { return u->opaque; }

qn_slice_t qn_url_text(const qn_url_t *u) { return qn__url_slice(u->text, u->size); }

int qn_url_effective_port(const qn_url_t *u)
{
  return u->port >= 0 || !qn__url_has(u, QN_URL_SCHEME)
             ? u->port
             : qn_url_default_port(qn__url_part(u, QN_URL_SCHEME));
}

int qn_url_set(const qn_url_t *u, qn_url_setter_t setter, const char *text, size_t size,
               qn_url_place_t *place, qn_url_error_t *err)
{
  qn__url_out_t out = {place->mem, place->room, NULL};
  qn_url_error_t mine = {0, NULL};
  int rc = u->mode != QN_URL_WHATWG ? QN_E_INVALID
           : size > QN_URL_MAX      ? QN_E_LIMIT
                                    : qn__url_set_whatwg(u, setter, text, size, &out, &mine);
  place->url = out.url;
  if (err != NULL) {
    *err = mine;
    if (rc != 0 && err->text == NULL) {
      err->text = rc == QN_E_LIMIT ? "it is too long" : qn_err_text(rc);
    }
  }
  return rc;
}

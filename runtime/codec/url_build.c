/* url_build.c: a URL of components, plain or as on the wire.
 *
 * Called by the bindings for everything that changes a URL. Each component is checked on its own by
 * the rules of the mode, so that no component can reach into another one. Invariant: what is built
 * is read again as the same components (the path may get "/", "./" or "/." in front).
 */
#include "codec/url_rfc.h"

#include <errno.h>

typedef struct build {
  const qn_url_parts_t *from;
  qn__url_parts_t parts;
  qn__url_scratch_t scratch;
  bool strict;
} build_t;

static int refuse(qn_url_error_t *err, const char *text)
{
  *err = (qn_url_error_t){.text = text};
  return QN_E_BAD_URL;
}

/* A host in plain text: an IPv6 address may come without brackets. */
static int plain_host(build_t *b, const char *text, size_t size, qn_url_error_t *err)
{
  if (size > 0 && text[0] != '[' && memchr(text, ':', size) != NULL) {
    if (size > QN__HOST_MAX) {
      return refuse(err, "the host is too long");
    }
    char *to = qn__url_scratch(&b->scratch, size + 2);
    if (to == NULL) {
      return -ENOMEM;
    }
    to[0] = '[';
    memcpy(to + 1, text, size);
    to[size + 1] = ']';
    int rc = qn__url_host(to, size + 2, false, &b->scratch, &b->parts, err);
    err->at -= rc == QN_E_BAD_URL && err->at > 0;
    return rc;
  }
  if (memchr(text, '%', size) != NULL && text[0] != '[') {
    return refuse(err, "a character that no host may have");
  }
  return qn__url_host(text, size, false, &b->scratch, &b->parts, err);
}

/* Zones of RFC 6874 are beyond the grammar of RFC 3986. */
static int plain_host_of_mode(build_t *b, const char *text, size_t size, qn_url_error_t *err)
{
  int rc = plain_host(b, text, size, err);
  qn_slice_t host = b->parts.part[QN_URL_HOST];
  bool zone = rc == 0 && b->strict && b->parts.ip_literal && memchr(host.data, '%', host.size);
  return zone ? refuse(err, "strict mode has no zones of IPv6 addresses") : rc;
}

static int take(build_t *b, qn_url_part_t part, qn_url_error_t *err)
{
  const char *text = (const char *)b->from->part[part].data;
  size_t size = b->from->part[part].size;
  bool plain = b->from->decoded[part];
  text = text != NULL ? text : "";
  b->parts.has[part] = true;
  if (size > QN_URL_MAX) {
    return QN_E_LIMIT; /* before room is made for its escapes */
  }
  if (part == QN_URL_SCHEME) {
    return qn__url_scheme(text, size, &b->scratch, &b->parts.part[part], err);
  }
  if (part == QN_URL_HOST) {
    return plain ? plain_host_of_mode(b, text, size, err)
                 : qn__url_host(text, size, b->strict, &b->scratch, &b->parts, err);
  }
  if (plain && part == QN_URL_QUERY) { /* a query has escapes that plain text needs, too */
    return qn__url_component(part, text, size, false, &b->scratch, &b->parts.part[part], err);
  }
  return plain ? qn__url_plain(part, text, size, &b->scratch, &b->parts.part[part])
               : qn__url_component(part, text, size, b->strict, &b->scratch, &b->parts.part[part],
                                   err);
}

static int build(build_t *b, qn_url_error_t *err)
{
  const qn_url_parts_t *from = b->from;
  for (int i = 0; i < QN_URL_PARTS; i++) {
    int rc = from->has[i] || i == QN_URL_PATH ? take(b, (qn_url_part_t)i, err) : 0;
    if (rc != 0) {
      err->part = 1 + i;
      return rc;
    }
  }
  if (!from->has[QN_URL_HOST] &&
      (from->has[QN_URL_USER] || from->has[QN_URL_PASSWORD] || from->port >= 0)) {
    return refuse(err, "a user, a password and a port need a host");
  }
  if (from->port > 65535) {
    return refuse(err, "the port is greater than 65535");
  }
  b->parts.port = from->port;
  return qn__url_guard_path(&b->parts, &b->scratch);
}

/* Parts of a URL of whatwg mode, as they are. */
static void take_raw(build_t *b)
{
  const qn_url_parts_t *from = b->from;
  qn__url_parts_t *to = &b->parts;
  for (int i = 0; i < QN_URL_PARTS; i++) {
    to->part[i] = from->part[i];
    to->has[i] = from->has[i] || i == QN_URL_PATH;
  }
  qn_slice_t *host = &to->part[QN_URL_HOST];
  to->ip_literal = to->has[QN_URL_HOST] && host->size >= 2 && host->data[0] == '[';
  if (to->ip_literal) {
    host->data++;
    host->size -= 2;
  }
  to->port = from->port;
  to->opaque = from->opaque;
  to->mode = QN_URL_WHATWG;
}

int qn_url_build(const qn_url_parts_t *parts, qn_url_place_t *place, qn_url_error_t *err)
{
  qn__url_out_t out = {place->mem, place->room, NULL};
  qn_url_error_t mine = {0};
  build_t b = {.from = parts, .strict = parts->mode == QN_URL_STRICT};
  b.parts = (qn__url_parts_t){.port = -1, .mode = b.strict ? QN_URL_STRICT : QN_URL_TOLERANT};
  qn__url_scratch_begin(&b.scratch);
  int rc = 0;
  if (parts->mode == QN_URL_WHATWG) {
    take_raw(&b);
  } else {
    rc = build(&b, &mine);
  }
  if (rc == 0) {
    rc = qn__url_assemble(&b.parts, &out);
  }
  qn__url_scratch_end(&b.scratch);
  place->url = out.url;
  if (err != NULL) {
    *err = mine;
    if (rc != 0 && err->text == NULL) {
      err->text = rc == QN_E_LIMIT ? "it is too long" : qn_err_text(rc);
    }
  }
  return rc;
}

void qn_url_split(const qn_url_t *u, qn_url_parts_t *parts)
{
  for (int i = 0; i < QN_URL_PARTS; i++) {
    parts->part[i] = qn__url_part(u, (qn_url_part_t)i);
    parts->has[i] = qn__url_has(u, (qn_url_part_t)i);
    parts->decoded[i] = false;
  }
  if (u->ip_literal) { /* the brackets stand around it in the text */
    parts->part[QN_URL_HOST].data--;
    parts->part[QN_URL_HOST].size += 2;
  }
  parts->port = u->port;
  parts->opaque = u->opaque;
  parts->mode = (qn_url_mode_t)u->mode;
}

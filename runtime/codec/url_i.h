/* codec/url_i.h: what the URL files share: the value and how a parser makes one.
 *
 * A parser (url_rfc.c, url_whatwg.c) collects the components, encoded as they go on the wire, and
 * calls qn__url_assemble, which is the only place that writes a URL down. Invariant: the components
 * of a qn_url_t are slices of its own `text`.
 */
#ifndef QN_CODEC_URL_I_H
#define QN_CODEC_URL_I_H

#include "qn/url.h"

typedef struct qn__url_parts {
  qn_slice_t part[QN_URL_PARTS]; /* host: IPv6 and IPvFuture without brackets */
  bool has[QN_URL_PARTS];
  bool ip_literal; /* the host stands in brackets */
  bool opaque;     /* whatwg: the path is not a list of segments */
  int port;        /* -1: none */
  qn_url_mode_t mode;
} qn__url_parts_t;

struct qn_url {
  qn__url_parts_t p; /* slices of text */
  size_t size;
  char text[]; /* NUL-terminated */
};

/* Writes scheme:[//[user[:password]@]host[:port]]path[?query][#fragment]; authority when a host is
 * there (it may be empty). Puts "/." before a path that begins with "//" where there is no
 * authority (URL Standard, section 4.5; it is not part of the path). 0, QN_E_LIMIT, -ENOMEM. */
int qn__url_assemble(const qn__url_parts_t *parts, qn_url_t **out);

/* url_whatwg.c: the basic URL parser of the URL Standard. */
int qn__url_parse_whatwg(const char *text, size_t size, const qn_url_t *base, qn_url_t **out,
                         qn_url_error_t *err);
/* The host parser of the URL Standard ("special" schemes or not). `out` must have QN__HOST_MAX
 * bytes; returns its size or QN_E_BAD_URL with `why`. `*ip_literal`: it is an IPv6 address (written
 * without brackets). */
#define QN__HOST_MAX 4096
int qn__url_host_whatwg(const char *text, size_t size, bool special, char *out, bool *ip_literal,
                        const char **why);

#endif

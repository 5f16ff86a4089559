/* qn/url.h: URLs as immutable values: RFC 3986 strict, tolerant, from what users type, and the URL
 * Standard.
 *
 * Components are kept as on the wire (percent-encoded ASCII). Parsing is bounded (QN_URL_MAX bytes)
 * and linear. No I/O.
 */
#ifndef QN_URL_H
#define QN_URL_H

#include "qn/base.h"

#define QN_URL_MAX (1024u * 1024u) /* bytes of input and of the result */

typedef enum qn_url_mode {
  QN_URL_TOLERANT,   /* repairs what browsers and QUrl repair: spaces, stray '%', non-ASCII */
  QN_URL_STRICT,     /* RFC 3986 (RFC 3987 input is refused) */
  QN_URL_USER_INPUT, /* what somebody types: "example.com:80/x", "/etc/passwd", "ftp.host" */
  QN_URL_WHATWG      /* url.spec.whatwg.org */
} qn_url_mode_t;

typedef struct qn_url qn_url_t;

/* Where and why a text is no URL. */
typedef struct qn_url_error {
  size_t at;        /* byte offset in the input */
  const char *text; /* static: "the port is not a number up to 65535" */
} qn_url_error_t;

typedef enum qn_url_part {
  QN_URL_SCHEME,
  QN_URL_USER,
  QN_URL_PASSWORD,
  QN_URL_HOST, /* IPv6 literals without brackets */
  QN_URL_PATH,
  QN_URL_QUERY,    /* without '?' */
  QN_URL_FRAGMENT, /* without '#' */
  QN_URL_PARTS
} qn_url_part_t;

/* `base` (NULL: none): a relative reference is resolved against it (whatwg mode; the others leave
 * that to qn_url_resolve and accept relative references). 0, QN_E_BAD_URL (`err` says where and
 * why), QN_E_LIMIT, -ENOMEM. */
QN_API int qn_url_parse(const char *text, size_t size, qn_url_mode_t mode, const qn_url_t *base,
                        qn_url_t **out, qn_url_error_t *err);
QN_API void qn_url_free(qn_url_t *u);

/* Whether the component is there: "?" with nothing behind it is an empty query, not an absent one.
 * A path is always there. */
QN_API bool qn_url_has(const qn_url_t *u, qn_url_part_t part);
/* As on the wire; empty when absent. Valid as long as the URL. */
QN_API qn_slice_t qn_url_get(const qn_url_t *u, qn_url_part_t part);
QN_API int qn_url_port(const qn_url_t *u); /* -1: none */
QN_API qn_url_mode_t qn_url_mode(const qn_url_t *u);
QN_API bool qn_url_is_opaque(const qn_url_t *u); /* whatwg: an opaque path ("mailto:x") */
/* The whole URL on the wire, NUL-terminated. */
QN_API qn_slice_t qn_url_text(const qn_url_t *u);

#endif

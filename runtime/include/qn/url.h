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
  const char *text; /* static: "the port is greater than 65535" */
  int part;         /* qn_url_build: 1 + the component; 0: none of them alone */
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
/* A URL from qn_malloc. One in memory of the caller is not freed. */
QN_API void qn_url_free(qn_url_t *u);

/* The functions that make a URL have a second form for callers with memory of their own, so that
 * nothing is allocated for a URL of the usual size. `place->mem` must be aligned as by malloc. The
 * result is `place->url`: in `mem`, or, when it needs more than `room` bytes, from qn_malloc (then
 * qn_url_free it). A URL holds no pointers: its qn_url_bytes may be copied elsewhere. */
typedef struct qn_url_place {
  void *mem;
  size_t room;
  qn_url_t *url;
} qn_url_place_t;

QN_API int qn_url_parse_at(const char *text, size_t size, qn_url_mode_t mode, const qn_url_t *base,
                           qn_url_place_t *place, qn_url_error_t *err);
QN_API size_t qn_url_bytes(const qn_url_t *u);

/* Whether the component is there: "?" with nothing behind it is an empty query, not an absent one.
 * A path is always there. */
QN_API bool qn_url_has(const qn_url_t *u, qn_url_part_t part);
/* As on the wire; empty when absent. Valid as long as the URL. */
QN_API qn_slice_t qn_url_get(const qn_url_t *u, qn_url_part_t part);
QN_API int qn_url_port(const qn_url_t *u); /* -1: none */
/* The port, or the one that the scheme has by default; -1 when neither is known. */
QN_API int qn_url_effective_port(const qn_url_t *u);
/* `scheme` in lower case; -1 when it has no default that we know. */
QN_API int qn_url_default_port(qn_slice_t scheme);
QN_API qn_url_mode_t qn_url_mode(const qn_url_t *u);
QN_API bool qn_url_is_ip_literal(const qn_url_t *u); /* the host stands in brackets */
QN_API bool qn_url_is_opaque(const qn_url_t *u);     /* whatwg: an opaque path ("mailto:x") */
/* The whole URL on the wire, NUL-terminated. */
QN_API qn_slice_t qn_url_text(const qn_url_t *u);

/* --- new URLs from old ones ------------------------------------------------------------------ */

/* RFC 3986 section 5.2. `strict` false: a reference with the scheme of the base counts as one
 * without (section 5.2.2). The result has the mode of the base. */
QN_API int qn_url_resolve(const qn_url_t *base, const qn_url_t *ref, bool strict,
                          qn_url_place_t *place);
/* RFC 3986 section 6.2.2 and 6.2.3: case, needless percent-encoding, dot segments, default port,
 * empty path behind an authority, spelling of IPv6 addresses. It may be 16 bytes longer than
 * QN_URL_MAX, so that comparing fails for nothing but memory. */
QN_API int qn_url_normalize(const qn_url_t *u, qn_url_place_t *place);
/* Whether the normal forms are the same. 1, 0, or -ENOMEM. */
QN_API int qn_url_equal(const qn_url_t *a, const qn_url_t *b);

/* Components to make a URL of. */
typedef struct qn_url_parts {
  qn_slice_t part[QN_URL_PARTS];
  bool has[QN_URL_PARTS];
  bool decoded[QN_URL_PARTS]; /* plain text, which is encoded; else as on the wire */
  int port;                   /* -1: none */
  bool opaque;                /* as qn_url_is_opaque */
  qn_url_mode_t mode;
} qn_url_parts_t;

/* The components of a URL, as on the wire (an IP literal in brackets). */
QN_API void qn_url_split(const qn_url_t *u, qn_url_parts_t *parts);
/* Makes a URL of components, each checked by the rules of the mode (strict, else tolerant). A
 * decoded host is a name, or an address with or without brackets. `err->at` counts within the
 * component. whatwg mode takes what a URL of that mode was split into, and parts of it; it checks
 * nothing (qn_url_set changes such URLs). */
QN_API int qn_url_build(const qn_url_parts_t *parts, qn_url_place_t *place, qn_url_error_t *err);

/* The URL of a file name: "/a b", "C:/x", "C:\\x", "//host/share" (whole, not relative to
 * anything).
 */
QN_API int qn_url_from_file(const char *path, size_t size, qn_url_place_t *place,
                            qn_url_error_t *err);
/* The file name of a "file" URL into `out`, which has room for the whole text of the URL. Returns
 * its size; 0 when the URL names no file. */
QN_API size_t qn_url_to_file(const qn_url_t *u, char *out);

/* The setters of the URL Standard, section 6.1. */
typedef enum qn_url_setter {
  QN_URL_SET_PROTOCOL,
  QN_URL_SET_USERNAME,
  QN_URL_SET_PASSWORD,
  QN_URL_SET_HOST, /* with a port */
  QN_URL_SET_HOSTNAME,
  QN_URL_SET_PORT,
  QN_URL_SET_PATHNAME,
  QN_URL_SET_SEARCH,
  QN_URL_SET_HASH
} qn_url_setter_t;

/* `u` must be of whatwg mode. What the standard ignores gives an equal URL. */
QN_API int qn_url_set(const qn_url_t *u, qn_url_setter_t setter, const char *text, size_t size,
                      qn_url_place_t *place, qn_url_error_t *err);

/* --- text ------------------------------------------------------------------------------------ */

/* How a component is shown. 0: escapes are decoded where that changes nothing: unreserved
 * characters, spaces, UTF-8 that can be seen. */
enum {
  QN_URL_ENCODE_SPACES = 1,
  QN_URL_ENCODE_UNICODE = 2,
  QN_URL_ENCODE_DELIMITERS =
      4,                      /* sub-delims, ':' and '@' are encoded even where they need not be */
  QN_URL_DECODE_RESERVED = 8, /* decodes what no URL may have: " < > \ ^ ` { | } */
  QN_URL_DECODE_ALL = 16      /* everything, bytes as they are: not a part of a URL any more */
};
/* `out` has room for `size` bytes, with QN_URL_ENCODE_DELIMITERS for 3 * size. */
QN_API size_t qn_url_pretty(const char *text, size_t size, unsigned flags, char *out);
/* A '%' without two hexadecimal digits stays. `out` has `size` bytes. */
QN_API size_t qn_url_decode(const char *text, size_t size, char *out);
/* Encodes all but ALPHA DIGIT - . _ ~ and `exclude`; those of `include` in any case. `out` has
 * 3 * size bytes. */
QN_API size_t qn_url_encode(const char *text, size_t size, const char *exclude, const char *include,
                            char *out);
/* A path without its dot segments (RFC 3986 section 5.2.4); a relative one stays as it is. `out`
 * has `size` bytes. */
QN_API size_t qn_url_clean_path(const char *path, size_t size, char *out);

/* --- international names --------------------------------------------------------------------- */

#define QN_IDN_OUT 4352  /* bytes that suffice for each result below, with its NUL */
#define QN_IDN_LABEL 512 /* code points of a label */

enum {
  QN_IDN_LENGTHS = 1,      /* at most 63 bytes per label, 253 in all */
  QN_IDN_STD3 = 2,         /* letters, digits and hyphens only */
  QN_IDN_HYPHENS = 4,      /* none at the ends of a label, none at its places 3 and 4 */
  QN_IDN_TRANSITIONAL = 8, /* as IDNA2003 did: sharp s, final sigma, joiners */
  QN_IDN_LENIENT = 16      /* to Unicode: labels that cannot be decoded stay */
};

/* UTS 46. 0 and a NUL-terminated `out`, or QN_E_BAD_HOST. */
QN_API int qn_idn_to_ascii(const char *text, size_t size, unsigned flags, char out[QN_IDN_OUT]);
QN_API int qn_idn_to_unicode(const char *text, size_t size, unsigned flags, char out[QN_IDN_OUT]);
/* RFC 3492, one label, without "xn--"; no mapping, no checks of what is allowed. Returns the size
 * of the NUL-terminated `out`, or QN_E_BAD_HOST. */
QN_API int qn_punycode_encode(const char *text, size_t size, char out[QN_IDN_OUT]);
QN_API int qn_punycode_decode(const char *text, size_t size, char out[QN_IDN_OUT]);

#endif

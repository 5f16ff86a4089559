/* codec/url_whatwg.h: what the files of the URL Standard share: the parser's memory and the steps
 * that the setters run, too.
 *
 * Included by url_whatwg.c, url_whatwg_path.c and url_whatwg_set.c. Invariants: the components in
 * `p` are slices of the input, of the base, or of `scratch`; scratch only grows by appending and
 * has room for three bytes for each one of the input, the base's path and a host.
 */
#ifndef QN_CODEC_URL_WHATWG_H
#define QN_CODEC_URL_WHATWG_H

#include "codec/url_i.h"

typedef enum qn__special {
  QN__SPECIAL_NOT,
  QN__SPECIAL_FTP,
  QN__SPECIAL_FILE,
  QN__SPECIAL_HTTP,
  QN__SPECIAL_HTTPS,
  QN__SPECIAL_WS,
  QN__SPECIAL_WSS
} qn__special_t;

typedef struct qn__whatwg {
  qn__url_parts_t p;
  qn__special_t special; /* of p's scheme */
  const char *end;       /* of the input */
  const char *at;        /* where a failure was found */
  const char *why;
  char *scratch; /* the next free byte */
} qn__whatwg_t;

#define QN__WHATWG_SCRATCH 8192 /* bytes on the stack; longer input takes memory */

qn__special_t qn__special_of(const char *scheme, size_t size);
int qn__special_port(qn__special_t special); /* -1: none */

static inline bool qn__is_alpha(char c) { return (unsigned)((c | 0x20) - 'a') < 26; }
static inline bool qn__is_digit(char c) { return (unsigned)(c - '0') < 10; }

/* The input as the state machine sees it: well-formed UTF-8 without tab, CR, LF. NULL: it is so
 * already. Else the result is in `out`, which has 3 * size bytes. */
bool qn__whatwg_is_plain(const char *text, size_t size);
size_t qn__whatwg_plain(const char *text, size_t size, char *out);

int qn__whatwg_fail(qn__whatwg_t *w, const char *at, const char *why); /* QN_E_BAD_URL */
void qn__whatwg_set(qn__whatwg_t *w, qn_url_part_t part, const char *text, size_t size);
/* Encodes into scratch when a byte needs it. */
void qn__whatwg_encode(qn__whatwg_t *w, qn_url_part_t part, const char *text, size_t size,
                       unsigned set);
int qn__whatwg_host(qn__whatwg_t *w, const char *text, size_t size); /* the host parser */
void qn__whatwg_query(qn__whatwg_t *w, const char *text, size_t size);
void qn__whatwg_fragment(qn__whatwg_t *w, const char *text, size_t size);
/* Where the host that begins at `from` ends: the first ':' outside of brackets, or `end`. */
const char *qn__whatwg_host_end(const char *from, const char *end);

/* url_whatwg_path.c: the path state over text..end (which has no '?' or '#' unless a setter put
 * them there), appended to the path that `prefix` is (none, or a base's without its last segment).
 */
void qn__whatwg_path(qn__whatwg_t *w, qn_slice_t prefix, const char *text, const char *end);
/* Whether text..end starts with a Windows drive letter ("c:", "c|", then nothing or one of /\?#).
 */
bool qn__whatwg_has_drive(const char *text, const char *end);
/* "/c:" and nothing else, or the beginning of a longer path. */
bool qn__whatwg_path_has_drive(qn_slice_t path);
/* The path without its last segment. */
qn_slice_t qn__whatwg_shorten(qn_slice_t path, qn__special_t special);

#endif

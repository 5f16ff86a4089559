/* codec/url_i.h: what the URL files share: the value and how a parser makes one.
 *
 * A parser (url_rfc.c, url_whatwg.c) collects the components, encoded as they go on the wire, and
 * calls qn__url_assemble, which is the only place that writes a URL down. Invariant: a qn_url_t
 * holds offsets into its own `text` and no pointer: it may be copied as bytes to any place that is
 * aligned for it (bindings keep it inside a Lua userdata).
 */
#ifndef QN_CODEC_URL_I_H
#define QN_CODEC_URL_I_H

#include "qn/url.h"

#include <string.h>

/* The components while they are collected: slices of the input, of scratch memory, of another URL.
 */
typedef struct qn__url_parts {
  qn_slice_t part[QN_URL_PARTS]; /* host: IPv6 and IPvFuture without brackets */
  bool has[QN_URL_PARTS];
  bool ip_literal; /* the host stands in brackets */
  bool opaque;     /* whatwg: the path is not a list of segments */
  int port;        /* -1: none */
  qn_url_mode_t mode;
  unsigned slack; /* how much longer than QN_URL_MAX it may become: for normal forms */
} qn__url_parts_t;

struct qn_url {
  uint32_t at[QN_URL_PARTS], len[QN_URL_PARTS]; /* of text; 0, 0 when absent */
  uint32_t size;                                /* of text */
  int32_t port;
  uint8_t has; /* bit 1 << part */
  bool ip_literal, opaque;
  uint8_t mode;
  char text[]; /* NUL-terminated */
};

/* Where a result goes. With `mem` (aligned as by malloc) a URL that needs at most `room` bytes is
 * made there; else, and for a larger one, memory is allocated. `url` is the result. A parser only
 * hands it on to qn__url_assemble. */
typedef struct qn__url_out {
  void *mem;
  size_t room;
  qn_url_t *url;
} qn__url_out_t;

static inline qn_slice_t qn__url_part(const qn_url_t *u, qn_url_part_t part)
{
  return (qn_slice_t){(const uint8_t *)u->text + u->at[part], u->len[part]};
}

static inline bool qn__url_has(const qn_url_t *u, qn_url_part_t part)
{
  return ((unsigned)u->has >> part & 1u) != 0;
}

static inline qn_slice_t qn__url_slice(const char *text, size_t size)
{
  return (qn_slice_t){(const uint8_t *)text, size};
}

/* The components of a URL, as slices of its text: where an editing or resolving function begins. */
void qn__url_split(const qn_url_t *u, qn__url_parts_t *parts);

/* Writes scheme:[//[user[:password]@]host[:port]]path[?query][#fragment]; authority when a host is
 * there (it may be empty). Puts "/." before a path that begins with "//" where there is no
 * authority (URL Standard, section 4.5; it is not part of the path). 0, QN_E_LIMIT, -ENOMEM. */
int qn__url_assemble(const qn__url_parts_t *parts, qn__url_out_t *out);

/* url_whatwg.c: the basic URL parser of the URL Standard. */
int qn__url_parse_whatwg(const char *text, size_t size, const qn_url_t *base, qn__url_out_t *out,
                         qn_url_error_t *err);
/* The setters of the URL class (section 6.1), with its state override: a URL like `u` (whatwg mode)
 * with one thing changed. What the standard ignores gives an equal URL. 0, QN_E_BAD_URL only for
 * what the setter refuses by failure (`err` says why; callers may ignore it as the standard does),
 * QN_E_LIMIT, -ENOMEM. */
int qn__url_set_whatwg(const qn_url_t *u, qn_url_setter_t setter, const char *text, size_t size,
                       qn__url_out_t *out, qn_url_error_t *err);
/* The host parser of the URL Standard ("special" schemes or not). `out` must have QN__HOST_MAX
 * bytes; returns its size or QN_E_BAD_URL with `why`. `*ip_literal`: it is an IPv6 address (written
 * without brackets). */
#define QN__HOST_MAX 4096
int qn__url_host_whatwg(const char *text, size_t size, bool special, char *out, bool *ip_literal,
                        const char **why);

/* url_rfc.c: RFC 3986, strict or tolerant; relative references are URLs, too. */
int qn__url_parse_rfc(const char *text, size_t size, qn_url_mode_t mode, qn__url_out_t *out,
                      qn_url_error_t *err);
/* url_input.c: what somebody types. Looks at no file. */
int qn__url_parse_input(const char *text, size_t size, qn__url_out_t *out, qn_url_error_t *err);
/* url_name.c: a host as it stands in a URL of the RFC modes, without brackets around it unless it
 * is an IP literal. `out` must have QN__HOST_MAX bytes; returns its size or QN_E_BAD_URL with `why`
 * and, counted in `text`, `at`. */
int qn__url_host_rfc(const char *text, size_t size, bool strict, char *out, bool *ip_literal,
                     const char **why, size_t *at);

#endif

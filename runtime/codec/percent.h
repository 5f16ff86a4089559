/* codec/percent.h: percent-encoding by byte sets, and UTF-8 as the Encoding Standard reads it.
 *
 * Called by every URL file. A set names the bytes that must be encoded; sets of the URL Standard
 * (section 1.3) and of RFC 3986 share one table, so that a look-up is one load. Pure functions:
 * nothing allocates, nothing fails; the caller provides the room that the comments name. Invariant:
 * the output of a URL Standard set is ASCII.
 */
#ifndef QN_CODEC_PERCENT_H
#define QN_CODEC_PERCENT_H

#include "qn/base.h"

/* Sets: may be joined with `|`. */
enum {
  QN__PCT_C0 = 1u << 0,
  QN__PCT_FRAGMENT = 1u << 1,
  QN__PCT_QUERY = 1u << 2,
  QN__PCT_SPECIAL_QUERY = 1u << 3,
  QN__PCT_PATH = 1u << 4,
  QN__PCT_USERINFO = 1u << 5,
  QN__PCT_COMPONENT = 1u << 6, /* encodes '%'; encodeURIComponent() */
  QN__PCT_FORM = 1u << 7,      /* encodes '%'; the space too, which a form writes as '+' */
  /* RFC 3986: all that is not allowed in the component, '%' included. */
  QN__PCT_RFC_UNRESERVED = 1u << 8, /* keeps ALPHA DIGIT - . _ ~ */
  QN__PCT_RFC_USER = 1u << 9,       /* keeps unreserved and sub-delims */
  QN__PCT_RFC_PASSWORD = 1u << 10,  /* the same and ':' */
  QN__PCT_RFC_HOST = 1u << 11,      /* reg-name: unreserved and sub-delims */
  QN__PCT_RFC_SEGMENT = 1u << 12,   /* pchar */
  QN__PCT_RFC_PATH = 1u << 13,      /* pchar and '/' */
  QN__PCT_RFC_QUERY = 1u << 14,     /* pchar, '/' and '?'; fragments too */
  /* Not for encoding: the host parser refuses these. */
  QN__PCT_FORBIDDEN_HOST = 1u << 15,
  QN__PCT_FORBIDDEN_DOMAIN = 1u << 16,
  QN__PCT_PATH_CARE = 1u << 17 /* '.', '%', '\\': a path with them may change its shape */
};

extern const uint32_t qn__pct_sets[256]; /* of each byte: the sets it is in */

static inline bool qn__pct_in(uint8_t c, unsigned sets) { return (qn__pct_sets[c] & sets) != 0; }

/* 0 to 15, or -1. */
int qn__hex_digit(uint8_t c);
/* Whether `c`, decoded behind `out`, would make an escape with a '%' that was none (whatwg mode
 * keeps such ones: "%%41f" is not "%Af"). */
bool qn__pct_joins(const char *out, size_t n, uint8_t c);

/* Whether no byte is in the sets. */
bool qn__pct_clean(const char *text, size_t size, unsigned sets);

/* Encodes into `out`, which has 3 * size bytes. Returns the size written. Hexadecimal digits are
 * upper case. */
size_t qn__pct_encode(const char *text, size_t size, unsigned sets, char *out);
/* The same, but a '%' that two hexadecimal digits follow is kept as it is; a stray one is encoded
 * if it is in the sets. */
size_t qn__pct_encode_rest(const char *text, size_t size, unsigned sets, char *out);

/* Decodes "%41" and leaves a stray '%' alone. `out` has `size` bytes and may be `text`. */
size_t qn__pct_decode(const char *text, size_t size, char *out);

/* The next code point of well-formed UTF-8, or -1; moves `*at` beyond it, or beyond the maximal
 * ill-formed part (which the Encoding Standard replaces by one U+FFFD). `*at` is before `end`. */
int32_t qn__utf8_next(const uint8_t **at, const uint8_t *end);
/* Writes one scalar value: 1 to 4 bytes. */
size_t qn__utf8_put(uint32_t c, char *out);
bool qn__utf8_valid(const char *text, size_t size);
/* "UTF-8 decode without BOM": a BOM stays, what is ill-formed becomes U+FFFD. `out` has 3 * size
 * bytes. */
size_t qn__utf8_repair(const char *text, size_t size, char *out);

#endif

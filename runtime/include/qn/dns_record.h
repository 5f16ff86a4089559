/* qn/dns_record.h: an answer of the DNS as records: bytes in, structs out; no sockets.
 *
 * Bounded: QN_DNS_RECORDS_MAX records, QN_DNS_ANSWER_MAX bytes (more is QN_E_LIMIT), compression
 * pointers go strictly backward, a name has at most 255 bytes on the wire. Names are shown as RFC
 * 1035 section 5.1 writes them (dots and other odd bytes of a label as \. and \DDD), without the
 * final dot; the root is ".".
 */
#ifndef QN_DNS_RECORD_H
#define QN_DNS_RECORD_H

#include "qn/base.h"

#define QN_DNS_RECORDS_MAX 4096      /* addresses that the largest message can carry: 4,094 */
#define QN_DNS_ANSWER_MAX (2u << 20) /* bytes of an answer in memory */
#define QN_DNS_NAME_TEXT 1025        /* the longest name as text, each byte as \DDD, with its NUL */

typedef enum qn_dns_type {
  QN_DNS_A = 1,
  QN_DNS_NS = 2,
  QN_DNS_CNAME = 5,
  QN_DNS_SOA = 6,
  QN_DNS_PTR = 12,
  QN_DNS_MX = 15,
  QN_DNS_TXT = 16,
  QN_DNS_AAAA = 28,
  QN_DNS_SRV = 33,
  QN_DNS_NAPTR = 35,
  QN_DNS_TLSA = 52,
  QN_DNS_SVCB = 64,
  QN_DNS_HTTPS = 65,
  QN_DNS_ANY = 255,
  QN_DNS_CAA = 257
} qn_dns_type_t;

/* One parameter of SVCB or HTTPS (RFC 9460), raw; known keys are explained by the bindings. */
typedef struct qn_dns_param {
  uint16_t key;
  qn_slice_t value;
} qn_dns_param_t;

typedef struct qn_dns_record {
  const char *name; /* the owner */
  uint16_t type;
  uint32_t ttl; /* seconds; values with the top bit set count as 0 (RFC 2181 section 8) */
  union {
    uint8_t a[4];
    uint8_t aaaa[16];
    const char *target; /* CNAME NS PTR */
    struct {
      uint16_t preference;
      const char *exchange;
    } mx;
    struct {
      uint16_t priority, weight, port;
      const char *target;
    } srv;
    struct {
      const char *mname, *rname;
      uint32_t serial, refresh, retry, expire, minimum;
    } soa;
    struct {
      size_t n;
      const qn_slice_t *v;
    } txt;
    struct {
      uint8_t usage, selector, matching;
      qn_slice_t data;
    } tlsa;
    struct {
      uint8_t flags;
      qn_slice_t tag, value;
    } caa;
    struct {
      uint16_t order, preference;
      qn_slice_t flags, services, regexp;
      const char *replacement;
    } naptr;
    struct {
      uint16_t priority; /* 0 = alias form */
      const char *target;
      size_t n;
      const qn_dns_param_t *v; /* in ascending order of keys */
    } svcb;
    qn_slice_t other; /* a type that is not in the list above: its raw data */
  } u;
} qn_dns_record_t;

typedef struct qn_dns_answer {
  int rcode;
  bool authoritative, truncated, authentic; /* AA, TC, AD */
  const char *canonical; /* the end of the CNAME chain that starts at the question */
  size_t n;
  const qn_dns_record_t
      *v; /* of the type asked for and owned by `canonical`, in order of arrival */
  size_t n_chain;
  const qn_dns_record_t *chain; /* the CNAME records that lead there */
  uint32_t ttl; /* seconds the whole answer may be kept: the least TTL of chain and records, or for
                 * negative answers that of the SOA (RFC 2308 section 5); 0 = not at all */
} qn_dns_answer_t;

/* Reads a reply to the question (`name`, `type`); QN_DNS_ANY keeps every record of the name. One
 * block is allocated, freed by qn_dns_answer_free. Returns 0; QN_E_HOST_NOT_FOUND (NXDOMAIN) and
 * QN_E_NO_DATA also give an answer (for its ttl); other errors do not: QN_E_DNS_REPLY (malformed,
 * another question, a CNAME loop or more than 16 links), QN_E_DNS_FORMERR, _SERVFAIL, _NOTIMP,
 * _REFUSED, QN_E_LIMIT, -ENOMEM. `size` up to 65,535. */
QN_API int qn_dns_parse(const uint8_t *data, size_t size, const char *name, uint16_t type,
                        qn_dns_answer_t **out);
/* The same for a name as qn_dns_name_encode gives it. */
QN_API int qn_dns_parse_wire(const uint8_t *data, size_t size, const uint8_t *name,
                             size_t name_size, uint16_t type, qn_dns_answer_t **out);
QN_API void qn_dns_answer_free(qn_dns_answer_t *answer);

/* "MX" -> 15, "TYPE65" -> 65, any case; 0 when unknown. Types that are not decoded are known, too.
 */
QN_API uint16_t qn_dns_type_number(const char *text);
/* "MX"; NULL for numbers without a name here. */
QN_API const char *qn_dns_type_name(uint16_t type);
/* The names by an index from 0; NULL behind the last. */
QN_API const char *qn_dns_type_at(size_t i);

/* A name as text to the wire (labels, escapes understood, with or without a final dot). Returns the
 * size written, or QN_E_BAD_HOST (empty or long label, over 255 bytes, bad escape). */
QN_API int qn_dns_name_encode(const char *text, uint8_t out[255]);
/* A name as a user has written it, in ASCII: others are UTF-8 and go through IDNA (UTS 46). 0 or
 * QN_E_BAD_HOST, also where qn_dns_name_encode would refuse it. */
QN_API int qn_dns_name_ascii(const char *text, char out[QN_DNS_NAME_TEXT]);
/* Reads a name at `*at`, following pointers; moves `*at` behind it. 0 or QN_E_DNS_REPLY. */
QN_API int qn_dns_name_decode(const uint8_t *data, size_t size, size_t *at,
                              char out[QN_DNS_NAME_TEXT]);
/* RFC 1035 section 2.3.3: ASCII letters compare without case. */
QN_API bool qn_dns_name_equal(const char *a, const char *b);
/* The name for a reverse look-up: "4.3.2.1.in-addr.arpa", "...ip6.arpa". `size` is 4 or 16. */
QN_API size_t qn_dns_reverse_name(const uint8_t *address, size_t size, char out[QN_DNS_NAME_TEXT]);

/* Orders in which targets are to be tried. `random` gives uniform 64-bit numbers (seeded in tests).
 * MX: by preference, equals shuffled (RFC 5321 section 5.1). SRV: by priority, then chosen by
 * weight (RFC 2782), with one number per choice. Both reorder `v` in place. */
typedef uint64_t (*qn_dns_random_fn)(void *arg);
QN_API void qn_dns_order_mx(qn_dns_record_t *v, size_t n, qn_dns_random_fn random, void *arg);
QN_API void qn_dns_order_srv(qn_dns_record_t *v, size_t n, qn_dns_random_fn random, void *arg);

#endif

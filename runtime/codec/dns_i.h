/* dns_i.h: what the files of the DNS codec share: names on the wire, and the block of an answer.
 *
 * Private to runtime/codec/dns_*.c. A "wire name" is uncompressed: labels with their lengths and
 * the final zero, at most QN__DNS_WIRE bytes. An answer is read twice: first with an arena without
 * memory, which only counts, then into one block of exactly that size.
 */
#ifndef QN_DNS_I_H
#define QN_DNS_I_H

#include "qn/dns_record.h"

#define QN__DNS_WIRE 255     /* RFC 1035 section 2.3.4 */
#define QN__DNS_LABEL 63     /* the same */
#define QN__DNS_POINTERS 128 /* in one name: more than it can have labels */

typedef struct qn__dns_message {
  const uint8_t *data;
  size_t size;
} qn__dns_message_t;

typedef struct qn__dns_arena {
  uint8_t *base; /* NULL: count only */
  size_t used;
} qn__dns_arena_t;

static inline uint16_t qn__dns_u16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t qn__dns_u32(const uint8_t *p)
{
  return (uint32_t)qn__dns_u16(p) << 16 | qn__dns_u16(p + 2);
}

/* Reads the name at `*at` into `out` and moves `*at` behind it. Its size, or QN_E_DNS_REPLY. */
int qn__dns_name_read(const uint8_t *data, size_t size, size_t *at, uint8_t out[QN__DNS_WIRE]);
/* Wire names, without regard to the case of ASCII letters. */
bool qn__dns_wire_equal(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);
/* Prints a wire name (NULL: counts); returns the length without NUL. */
size_t qn__dns_name_print(const uint8_t *wire, char *out);

/* A piece of the block; NULL while it is only counted. */
void *qn__dns_take(qn__dns_arena_t *a, size_t size, size_t align);
const char *qn__dns_take_name(qn__dns_arena_t *a, const uint8_t *wire);

/* Reads the data of a record of `type`, which is `size` bytes at `at`. 0 or QN_E_DNS_REPLY.
 * Pointers in `out` are right only when the arena has memory. */
int qn__dns_rdata(const qn__dns_message_t *m, size_t at, size_t size, uint16_t type,
                  qn__dns_arena_t *a, qn_dns_record_t *out);
/* The same for SVCB and HTTPS (RFC 9460). */
int qn__dns_svcb(const qn__dns_message_t *m, size_t at, size_t size, qn__dns_arena_t *a,
                 qn_dns_record_t *out);

#endif

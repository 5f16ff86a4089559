/* dns_rig.h: builds replies of the DNS byte by byte, for the tests of the codec. */
#ifndef QN_SPEC_DNS_RIG_H
#define QN_SPEC_DNS_RIG_H

#include "qn/dns_record.h"
#include "test.h"

typedef struct message {
  uint8_t data[70000];
  size_t size;
  size_t data_at; /* of the last record: where its data begins */
} message_t;

TEST_UNUSED static void put(message_t *m, const void *bytes, size_t size)
{
  memcpy(m->data + m->size, bytes, size);
  m->size += size;
}

TEST_UNUSED static void put8(message_t *m, unsigned v) { m->data[m->size++] = (uint8_t)v; }

TEST_UNUSED static void put16(message_t *m, unsigned v)
{
  put8(m, v >> 8);
  put8(m, v);
}

TEST_UNUSED static void put32(message_t *m, uint32_t v)
{
  put16(m, v >> 16);
  put16(m, v & 0xffff);
}

TEST_UNUSED static void put_name(message_t *m, const char *text)
{
  uint8_t wire[255];
  int n = qn_dns_name_encode(text, wire);
  REQUIRE(n > 0);
  put(m, wire, (size_t)n);
}

TEST_UNUSED static void put_string(message_t *m, const char *text)
{
  put8(m, (unsigned)strlen(text));
  put(m, text, strlen(text));
}

TEST_UNUSED static void set16(message_t *m, size_t at, unsigned v)
{
  m->data[at] = (uint8_t)(v >> 8);
  m->data[at + 1] = (uint8_t)v;
}

TEST_UNUSED static unsigned get16(const message_t *m, size_t at)
{
  return (unsigned)m->data[at] << 8 | m->data[at + 1];
}

/* A reply without records. */
TEST_UNUSED static void begin(message_t *m, const char *name, unsigned type, unsigned flags)
{
  m->size = 0;
  put16(m, 0x1234);
  put16(m, 0x8180 | flags);
  put16(m, 1);
  put16(m, 0);
  put16(m, 0);
  put16(m, 0);
  put_name(m, name);
  put16(m, type);
  put16(m, 1);
}

/* Sections: 6 answer, 8 authority, 10 additional (where the head counts them). NULL: the name is
 * that of the question, compressed. The data follows; `done` sets its length. */
TEST_UNUSED static void record(message_t *m, size_t section, const char *name, unsigned type,
                               uint32_t ttl)
{
  set16(m, section, get16(m, section) + 1);
  if (name == NULL) {
    put16(m, 0xc00c);
  } else {
    put_name(m, name);
  }
  put16(m, type);
  put16(m, 1);
  put32(m, ttl);
  put16(m, 0);
  m->data_at = m->size;
}

TEST_UNUSED static void done(message_t *m)
{
  set16(m, m->data_at - 2, (unsigned)(m->size - m->data_at));
}

/* Parses an exact copy, so that a sanitizer sees its end. */
TEST_UNUSED static int parse(const message_t *m, const char *name, uint16_t type,
                             qn_dns_answer_t **out)
{
  uint8_t *copy = malloc(m->size > 0 ? m->size : 1);
  REQUIRE(copy != NULL);
  memcpy(copy, m->data, m->size);
  int rc = qn_dns_parse(copy, m->size, name, type, out);
  free(copy);
  return rc;
}

TEST_UNUSED static uint64_t next_random(void *arg)
{
  uint64_t *state = arg; /* splitmix64 */
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

#endif

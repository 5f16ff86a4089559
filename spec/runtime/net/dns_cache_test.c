/* dns_cache_test.c: answers by question: TTL, limits, the order in which they go. */
#include "net/dns_cache.h"
#include "test.h"

#include <errno.h>
#include <limits.h>

enum { SEED = 5 };

/* A reply to an A question: one record with this TTL, or NXDOMAIN with an SOA of this minimum. */
static qn__dns_result_t *result(uint32_t ttl, int rc, size_t wire, uint64_t now)
{
  uint8_t m[128] = {0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1};
  uint8_t t[] = {(uint8_t)(ttl >> 24), (uint8_t)(ttl >> 16), (uint8_t)(ttl >> 8), (uint8_t)ttl};
  qn_dns_answer_t *answer = NULL;
  size_t n = 19;
  if (rc == 0) {
    uint8_t rr[] = {0xc0, 12, 0, 1, 0, 1, t[0], t[1], t[2], t[3], 0, 4, 1, 2, 3, 4};
    m[7] = 1;
    memcpy(m + n, rr, sizeof rr);
    n += sizeof rr;
  } else {
    uint8_t rr[34] = {0, 0, 6, 0, 1, t[0], t[1], t[2], t[3], 0, 22};
    m[3] |= 3;
    m[9] = 1;
    memcpy(rr + 29, t, 4);
    memcpy(m + n, rr, 33);
    n += 33;
  }
  int got = qn_dns_parse(m, n, "a", QN_DNS_A, &answer);
  REQUIRE_INT(got, rc);
  return qn__dns_result_new(rc, answer, wire, now);
}

static const qn__dns_key_t *key(const char *name)
{
  static qn__dns_key_t k;
  REQUIRE_INT(qn__dns_key_make(&k, name, QN_DNS_A, SEED), 0);
  return &k;
}

static void put(qn__dns_cache_t *c, const char *name, uint32_t ttl, int rc, size_t wire,
                uint64_t now)
{
  qn__dns_result_t *r = result(ttl, rc, wire, now);
  REQUIRE(r != NULL);
  qn__dns_cache_put(c, key(name), r);
  qn__dns_result_release(r);
}

static bool has(qn__dns_cache_t *c, const char *name, uint64_t now)
{
  return qn__dns_cache_find(c, key(name), now) != NULL;
}

TEST(time)
{
  qn__dns_cache_t c;
  int64_t live = qn_alloc_live();
  qn__dns_cache_init(&c, 10);
  put(&c, "a", 5, 0, 50, 1000);
  put(&c, "never", 0, 0, 50, 1000);
  put(&c, "week", 604800, 0, 50, 1000);
  put(&c, "not", 604800, QN_E_HOST_NOT_FOUND, 50, 1000);
  CHECK(has(&c, "a", 5999));
  CHECK(!has(&c, "a", 6000));
  CHECK(!has(&c, "a", 1000)); /* gone for good */
  CHECK(!has(&c, "never", 1000));
  CHECK(has(&c, "not", 1000 + 3599999));
  CHECK(!has(&c, "not", 1000 + 3600000));
  CHECK(has(&c, "week", 1000 + 86399999));
  CHECK(!has(&c, "week", 1000 + 86400000));
  CHECK_UINT(c.bytes, 0);
  qn__dns_cache_clear(&c);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(replacing)
{
  qn__dns_cache_t c;
  qn__dns_cache_init(&c, 10);
  put(&c, "a", 5, 0, 50, 0);
  qn__dns_result_t *old = qn__dns_result_retain(qn__dns_cache_find(&c, key("a"), 0));
  put(&c, "a", 50, 0, 50, 0);
  CHECK_UINT(c.table.n, 1);
  CHECK(has(&c, "a", 20000));
  CHECK_UINT(old->answer->v[0].ttl, 5); /* whoever holds it, keeps it */
  qn__dns_result_release(old);
  put(&c, "a", 0, 0, 50, 20000); /* may not be kept, and the older one is no better */
  CHECK(!has(&c, "a", 20000));
  qn__dns_cache_clear(&c);
}

TEST(the_number_is_bounded)
{
  qn__dns_cache_t c;
  qn__dns_cache_init(&c, 3);
  put(&c, "a", 50, 0, 50, 0);
  put(&c, "b", 50, 0, 50, 0);
  put(&c, "c", 50, 0, 50, 0);
  CHECK(has(&c, "a", 1)); /* used: b is the next to go */
  put(&c, "d", 50, 0, 50, 0);
  CHECK(!has(&c, "b", 1));
  CHECK(has(&c, "a", 1) && has(&c, "c", 1) && has(&c, "d", 1));
  qn__dns_cache_clear(&c);
  CHECK_UINT(c.table.n, 0);
  put(&c, "a", 50, 0, 50, 0); /* clear is no end */
  CHECK(has(&c, "a", 1));
  qn__dns_cache_clear(&c);
  qn__dns_cache_init(&c, 0);
  put(&c, "a", 50, 0, 50, 0);
  CHECK(!has(&c, "a", 1));
  qn__dns_cache_init(&c, SIZE_MAX);
  CHECK_UINT(c.most, QN__DNS_CACHE_MAX);
}

TEST(the_memory_is_bounded)
{
  qn__dns_cache_t c;
  char name[32];
  qn__dns_cache_init(&c, 100000);
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "n%d", i);
    put(&c, name, 50, 0, 60000, 0);
    CHECK(c.bytes <= QN__DNS_CACHE_BYTES);
  }
  CHECK(c.table.n > 20 && c.table.n < 100);
  CHECK(has(&c, "n299", 1));
  CHECK(!has(&c, "n1", 1));
  put(&c, "huge", 50, 0, QN__DNS_CACHE_BYTES / 16, 0);
  CHECK(!has(&c, "huge", 1));
  CHECK(has(&c, "n299", 1));
  qn__dns_cache_clear(&c);
  CHECK_UINT(c.bytes, 0);
}

TEST(no_memory)
{
  qn__dns_cache_t c;
  int64_t live = qn_alloc_live();
  qn__dns_cache_init(&c, 10);
  qn__dns_result_t *r = result(50, 0, 50, 0);
  for (uint64_t nth = 1; nth <= 2; nth++) {
    qn_alloc_fail_at(nth);
    qn__dns_cache_put(&c, key("a"), r);
    CHECK(qn_alloc_failed());
    CHECK(!has(&c, "a", 1));
    CHECK_UINT(r->refs, 1);
  }
  qn__dns_cache_put(&c, key("a"), r);
  CHECK(has(&c, "a", 1));
  qn__dns_result_release(r);
  qn__dns_cache_clear(&c);
  CHECK_INT(qn_alloc_live(), live);
}

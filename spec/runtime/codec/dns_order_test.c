/* dns_order_test.c: the orders of MX and SRV records, with numbers that are known beforehand. */
#include "dns_rig.h"

typedef struct tape {
  const uint64_t *v;
  size_t n, used;
} tape_t;

static uint64_t from_tape(void *arg)
{
  tape_t *t = arg;
  REQUIRE(t->used < t->n);
  return t->v[t->used++];
}

static qn_dns_record_t mx(uint16_t preference, const char *exchange)
{
  return (qn_dns_record_t){.type = QN_DNS_MX, .u.mx = {preference, exchange}};
}

static qn_dns_record_t srv(uint16_t priority, uint16_t weight, const char *target)
{
  return (qn_dns_record_t){.type = QN_DNS_SRV, .u.srv = {priority, weight, 80, target}};
}

static const char *targets(const qn_dns_record_t *v, size_t n)
{
  static char text[256];
  text[0] = 0;
  for (size_t i = 0; i < n; i++) {
    const char *one = v[i].type == QN_DNS_MX ? v[i].u.mx.exchange : v[i].u.srv.target;
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s", one);
  }
  return text;
}

TEST(mx_by_preference)
{
  uint64_t state = 1;
  qn_dns_record_t v[] = {mx(30, "c"), mx(10, "a"), mx(65535, "d"), mx(20, "b")};
  tape_t none = {NULL, 0, 0};
  qn_dns_order_mx(v, 4, from_tape, &none); /* no choice: no number is drawn */
  CHECK_STR(targets(v, 4), "abcd");
  qn_dns_order_mx(v, 0, next_random, &state);
  qn_dns_order_mx(v, 1, from_tape, &none);
}

TEST(equal_mx_are_shuffled_evenly)
{
  uint64_t state = 7;
  unsigned seen[6] = {0};
  for (int round = 0; round < 6000; round++) {
    qn_dns_record_t v[] = {mx(10, "b"), mx(5, "0"), mx(10, "a"), mx(20, "9"), mx(10, "c")};
    qn_dns_order_mx(v, 5, next_random, &state);
    const char *text = targets(v, 5);
    REQUIRE(text[0] == '0' && text[4] == '9');
    seen[(text[1] - 'a') * 2 + (text[2] > text[3])]++;
  }
  for (int i = 0; i < 6; i++) {
    CHECK(seen[i] > 850 && seen[i] < 1150);
  }
}

TEST(srv_by_priority_then_as_the_numbers_say)
{
  /* The sums of the running list (weight 0 first): z 0, a 1, b 3, c 6. */
  static const struct {
    uint64_t first;
    char chosen;
  } cases[] = {{0, 'z'}, {1, 'a'}, {2, 'b'}, {3, 'b'}, {4, 'c'}, {6, 'c'}, {7, 'z'}, {13, 'c'}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint64_t numbers[] = {cases[i].first, 0, 0};
    tape_t tape = {numbers, 3, 0};
    qn_dns_record_t v[] = {srv(9, 1, "y"), srv(5, 1, "a"), srv(5, 2, "b"),
                           srv(5, 0, "z"), srv(5, 3, "c"), srv(1, 7, "x")};
    TEST_ROUND("%d", (int)cases[i].first);
    qn_dns_order_srv(v, 6, from_tape, &tape);
    const char *text = targets(v, 6);
    CHECK(text[0] == 'x');
    CHECK(text[1] == cases[i].chosen);
    CHECK(text[5] == 'y');
    CHECK(strlen(text) == 6 && strchr(text, 'a') && strchr(text, 'b') && strchr(text, 'c') &&
          strchr(text, 'z'));
  }
}

TEST(srv_shares_are_those_of_the_weights)
{
  uint64_t state = 99;
  unsigned first[4] = {0}, second_after_c = 0, of_c = 0;
  const unsigned rounds = 40000;
  for (unsigned i = 0; i < rounds; i++) {
    qn_dns_record_t v[] = {srv(0, 0, "a"), srv(0, 100, "b"), srv(0, 300, "c"), srv(0, 0, "d")};
    qn_dns_order_srv(v, 4, next_random, &state);
    const char *text = targets(v, 4);
    first[text[0] - 'a']++;
    of_c += text[0] == 'c';
    second_after_c += text[0] == 'c' && text[1] == 'b';
  }
  CHECK(first[1] > rounds * 24 / 100 && first[1] < rounds * 26 / 100);
  CHECK(first[2] > rounds * 73 / 100 && first[2] < rounds * 76 / 100);
  CHECK(first[0] + first[3] > rounds / 1000 && first[0] + first[3] < rounds / 200); /* 1 in 401 */
  CHECK(second_after_c > of_c * 98 / 100 && second_after_c < of_c);                 /* 100 in 101 */
}

TEST(srv_of_weight_zero_need_no_number)
{
  tape_t none = {NULL, 0, 0};
  qn_dns_record_t v[] = {srv(2, 0, "b"), srv(1, 0, "a"), srv(3, 5, "c")};
  qn_dns_order_srv(v, 3, from_tape, &none);
  CHECK_STR(targets(v, 3), "abc");
  qn_dns_order_srv(v, 1, from_tape, &none);
  qn_dns_order_srv(v, 0, from_tape, &none);
}

TEST(many_records_keep_all)
{
  enum { N = 3000 };
  static qn_dns_record_t v[N];
  static bool seen[N];
  uint64_t state = 3;
  for (size_t i = 0; i < N; i++) {
    v[i] = srv((uint16_t)(i % 3), (uint16_t)(i % 5 == 0 ? 0 : 65535), "x");
    v[i].ttl = (uint32_t)i;
  }
  qn_dns_order_srv(v, N, next_random, &state);
  for (size_t i = 0; i < N; i++) {
    CHECK(!seen[v[i].ttl]);
    seen[v[i].ttl] = true;
    CHECK(i == 0 || v[i - 1].u.srv.priority <= v[i].u.srv.priority);
  }
}

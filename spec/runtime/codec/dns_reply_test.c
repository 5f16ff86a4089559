/* dns_reply_test.c: whole replies: what answers the question, chains, negative answers, lies,
 * limits.
 */
#include "dns_rig.h"

#include <errno.h>

static message_t m;
static qn_dns_answer_t *a;

static void put_a(const char *name, unsigned last, uint32_t ttl)
{
  record(&m, 6, name, QN_DNS_A, ttl);
  put32(&m, 0x7f000000 | last);
  done(&m);
}

static void put_cname(const char *name, const char *target, uint32_t ttl)
{
  record(&m, 6, name, QN_DNS_CNAME, ttl);
  put_name(&m, target);
  done(&m);
}

static void put_soa(const char *name, uint32_t ttl, uint32_t minimum)
{
  record(&m, 8, name, QN_DNS_SOA, ttl);
  put(&m, "\2ns\0\4host\0", 10);
  for (int i = 0; i < 4; i++) {
    put32(&m, 7);
  }
  put32(&m, minimum);
  done(&m);
}

TEST(records_of_the_question)
{
  begin(&m, "www.QN.test", QN_DNS_A, 0x0420);
  put_a(NULL, 1, 300);
  put_a("WWW.qn.TEST", 2, 200);
  put_a("other.qn.test", 3, 1);
  record(&m, 6, NULL, QN_DNS_AAAA, 2);
  put(&m, "0123456789abcdef", 16);
  done(&m);
  record(&m, 10, "www.qn.test", QN_DNS_A, 3);
  put32(&m, 1);
  done(&m);
  REQUIRE_INT(parse(&m, "www.qn.test.", QN_DNS_A, &a), 0);
  CHECK_UINT(a->n, 2);
  CHECK_INT(a->v[0].u.a[3], 1);
  CHECK_INT(a->v[1].u.a[3], 2);
  CHECK_UINT(a->ttl, 200);
  CHECK_STR(a->canonical, "www.qn.test");
  CHECK_STR(a->v[1].name, "www.qn.test");
  CHECK_UINT(a->n_chain, 0);
  CHECK(a->authoritative);
  CHECK(a->authentic);
  CHECK(!a->truncated);
  CHECK_INT(a->rcode, 0);
  qn_dns_answer_free(a);
}

TEST(another_class_is_not_ours)
{
  begin(&m, "a", QN_DNS_A, 0);
  put_a(NULL, 1, 300);
  set16(&m, m.data_at - 8, 3);
  CHECK_INT(parse(&m, "a", QN_DNS_A, &a), QN_E_NO_DATA);
  qn_dns_answer_free(a);
  set16(&m, 12 + 3 + 2, 3); /* of the question */
  CHECK_INT(parse(&m, "a", QN_DNS_A, &a), QN_E_DNS_REPLY);
}

TEST(any_keeps_all_of_the_name)
{
  begin(&m, "a", QN_DNS_ANY, 0);
  put_cname("a", "b", 5);
  put_a("a", 1, 300);
  put_a("b", 2, 300);
  REQUIRE_INT(parse(&m, "a", QN_DNS_ANY, &a), 0);
  CHECK_UINT(a->n, 2);
  CHECK_INT(a->v[0].type, QN_DNS_CNAME);
  CHECK_INT(a->v[1].type, QN_DNS_A);
  CHECK_STR(a->canonical, "a");
  qn_dns_answer_free(a);
}

TEST(a_chain_is_followed_in_any_order)
{
  begin(&m, "c1", QN_DNS_A, 0);
  put_a("A", 7, 300);
  put_cname("c3", "a", 100);
  put_cname("c2", "C3", 50);
  put_cname("c1", "c2", 200);
  put_cname("stray", "c1", 1);
  REQUIRE_INT(parse(&m, "c1", QN_DNS_A, &a), 0);
  CHECK_UINT(a->n, 1);
  CHECK_INT(a->v[0].u.a[3], 7);
  CHECK_UINT(a->n_chain, 3);
  CHECK_STR(a->chain[0].name, "c1");
  CHECK_STR(a->chain[0].u.target, "c2");
  CHECK_STR(a->chain[1].name, "c2");
  CHECK_STR(a->chain[2].u.target, "a");
  CHECK_INT(a->chain[2].type, QN_DNS_CNAME);
  CHECK_UINT(a->chain[2].ttl, 100);
  CHECK_STR(a->canonical, "a");
  CHECK_STR(a->v[0].name, "a");
  CHECK_UINT(a->ttl, 50);
  qn_dns_answer_free(a);
  /* The question was for the alias itself. */
  set16(&m, 12 + 4, QN_DNS_CNAME);
  REQUIRE_INT(parse(&m, "c1", QN_DNS_CNAME, &a), 0);
  CHECK_UINT(a->n, 1);
  CHECK_UINT(a->n_chain, 0);
  CHECK_STR(a->v[0].u.target, "c2");
  qn_dns_answer_free(a);
}

TEST(a_name_with_the_records_asked_for_is_no_alias)
{
  begin(&m, "x", QN_DNS_A, 0);
  put_cname("x", "y", 5);
  put_a("x", 1, 300);
  put_a("y", 2, 300);
  REQUIRE_INT(parse(&m, "x", QN_DNS_A, &a), 0);
  CHECK_STR(a->canonical, "x");
  CHECK_UINT(a->n, 1);
  qn_dns_answer_free(a);
}

TEST(a_chain_that_leads_nowhere_has_no_data)
{
  begin(&m, "x", QN_DNS_A, 0);
  put_cname("x", "sub.y", 5);
  REQUIRE_INT(parse(&m, "x", QN_DNS_A, &a), QN_E_NO_DATA);
  CHECK_STR(a->canonical, "sub.y");
  CHECK_UINT(a->n_chain, 1);
  CHECK_UINT(a->n, 0);
  CHECK_UINT(a->ttl, 0);
  qn_dns_answer_free(a);
  put_soa("y", 600, 60); /* covers the end of the chain */
  REQUIRE_INT(parse(&m, "x", QN_DNS_A, &a), QN_E_NO_DATA);
  CHECK_UINT(a->ttl, 5);
  qn_dns_answer_free(a);
}

TEST(circles_and_long_chains_are_refused)
{
  begin(&m, "x", QN_DNS_A, 0);
  put_cname("x", "X", 5);
  CHECK_INT(parse(&m, "x", QN_DNS_A, &a), QN_E_DNS_REPLY);
  begin(&m, "l1", QN_DNS_A, 0);
  put_cname("l1", "l2", 5);
  put_cname("l2", "l1", 5);
  CHECK_INT(parse(&m, "l1", QN_DNS_A, &a), QN_E_DNS_REPLY);
  CHECK_NULL(a);
  for (unsigned links = 16; links <= 17; links++) {
    begin(&m, "n0", QN_DNS_A, 0);
    for (unsigned i = 0; i < links; i++) {
      char from[16], to[16];
      snprintf(from, sizeof from, "n%u", i);
      snprintf(to, sizeof to, "n%u", i + 1);
      put_cname(from, to, 60);
    }
    put_a(links == 16 ? "n16" : "n17", 1, 60);
    CHECK_INT(parse(&m, "n0", QN_DNS_A, &a), links == 16 ? 0 : QN_E_DNS_REPLY);
    CHECK(a == NULL || a->n_chain == 16);
    qn_dns_answer_free(a);
  }
}

TEST(negative_answers_have_the_ttl_of_the_soa)
{
  static const struct {
    const char *owner;
    uint32_t ttl, minimum, want;
  } cases[] = {
      {"qn.test", 600, 60, 60},    {"QN.test", 30, 60, 30},        {".", 600, 60, 60},
      {"no.qn.test", 600, 60, 60}, {"other.test", 600, 60, 0},     {"x.no.qn.test", 600, 60, 0},
      {"n.test", 600, 60, 0},      {"qn.test", 0x80000001, 60, 0}, {"qn.test", 600, UINT32_MAX, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int rcode = 0; rcode <= 3; rcode += 3) {
      TEST_ROUND("%s %d", cases[i].owner, rcode);
      begin(&m, "no.qn.test", QN_DNS_A, (unsigned)rcode);
      put_soa(cases[i].owner, cases[i].ttl, cases[i].minimum);
      REQUIRE_INT(parse(&m, "no.qn.test", QN_DNS_A, &a),
                  rcode == 0 ? QN_E_NO_DATA : QN_E_HOST_NOT_FOUND);
      CHECK_UINT(a->ttl, cases[i].want);
      CHECK_INT(a->rcode, rcode);
      CHECK_UINT(a->n, 0);
      qn_dns_answer_free(a);
    }
  }
}

TEST(a_name_that_does_not_exist_has_no_records)
{
  begin(&m, "x", QN_DNS_A, 3);
  put_a("x", 1, 300);
  REQUIRE_INT(parse(&m, "x", QN_DNS_A, &a), QN_E_HOST_NOT_FOUND);
  CHECK_UINT(a->n, 0);
  CHECK_UINT(a->ttl, 0);
  qn_dns_answer_free(a);
}

TEST(codes_of_the_server)
{
  static const int want[16] = {
      QN_E_NO_DATA,      QN_E_DNS_FORMERR,  QN_E_DNS_SERVFAIL, QN_E_HOST_NOT_FOUND,
      QN_E_DNS_NOTIMP,   QN_E_DNS_REFUSED,  QN_E_DNS_SERVFAIL, QN_E_DNS_SERVFAIL,
      QN_E_DNS_SERVFAIL, QN_E_DNS_SERVFAIL, QN_E_DNS_SERVFAIL, QN_E_DNS_SERVFAIL,
      QN_E_DNS_SERVFAIL, QN_E_DNS_SERVFAIL, QN_E_DNS_SERVFAIL, QN_E_DNS_SERVFAIL};
  for (unsigned i = 0; i < 16; i++) {
    TEST_ROUND("%u", i);
    begin(&m, "x", QN_DNS_A, i);
    CHECK_INT(parse(&m, "x", QN_DNS_A, &a), want[i]);
    qn_dns_answer_free(a);
    m.size = 12; /* only the head, without the question */
    set16(&m, 4, 0);
    CHECK_INT(parse(&m, "x", QN_DNS_A, &a), i == 0 || i == 3 ? QN_E_DNS_REPLY : want[i]);
    CHECK_NULL(a);
  }
  begin(&m, "x", QN_DNS_A, 0); /* BADVERS: the upper bits are in the OPT record */
  record(&m, 10, ".", 41, 0x01000000);
  done(&m);
  CHECK_INT(parse(&m, "x", QN_DNS_A, &a), QN_E_DNS_NOTIMP);
}

TEST(what_is_no_reply_to_the_question_is_refused)
{
  begin(&m, "x.y", QN_DNS_A, 0);
  put_a("x.y", 1, 300);
  CHECK_INT(parse(&m, "x.z", QN_DNS_A, &a), QN_E_DNS_REPLY);
  CHECK_INT(parse(&m, "y", QN_DNS_A, &a), QN_E_DNS_REPLY);
  CHECK_INT(parse(&m, "x.y", QN_DNS_AAAA, &a), QN_E_DNS_REPLY);
  m.data[2] &= 0x7f; /* a question */
  CHECK_INT(parse(&m, "x.y", QN_DNS_A, &a), QN_E_DNS_REPLY);
  m.data[2] = 0x80 | 2 << 3; /* another operation */
  CHECK_INT(parse(&m, "x.y", QN_DNS_A, &a), QN_E_DNS_REPLY);
  m.data[2] = 0x81;
  for (unsigned questions = 0; questions < 4; questions++) {
    set16(&m, 4, questions);
    int rc = parse(&m, "x.y", QN_DNS_A, &a);
    CHECK_INT(rc, questions == 1 ? 0 : QN_E_DNS_REPLY);
    qn_dns_answer_free(a);
  }
  CHECK_INT(parse(&m, "a..b", QN_DNS_A, &a), QN_E_BAD_HOST);
  CHECK_INT(qn_dns_parse(m.data, 65536, "x.y", QN_DNS_A, &a), QN_E_LIMIT);
  CHECK_INT(qn_dns_parse(m.data, 0, "x.y", QN_DNS_A, &a), QN_E_DNS_REPLY);
}

TEST(counts_that_lie_are_refused)
{
  for (size_t at = 6; at <= 10; at += 2) {
    static const unsigned lies[] = {2, 3, 100, 65535};
    for (size_t i = 0; i < 4; i++) {
      TEST_ROUND("%zu %u", at, lies[i]);
      begin(&m, "x", QN_DNS_A, 0);
      put_a("x", 1, 300);
      set16(&m, at, lies[i]);
      CHECK_INT(parse(&m, "x", QN_DNS_A, &a), QN_E_DNS_REPLY);
    }
  }
}

TEST(bytes_behind_the_last_record_do_not_matter)
{
  begin(&m, "x", QN_DNS_A, 0);
  put_a("x", 1, 300);
  put32(&m, 0xffffffff);
  CHECK_INT(parse(&m, "x", QN_DNS_A, &a), 0);
  qn_dns_answer_free(a);
}

TEST(a_truncated_reply_gives_what_is_whole)
{
  begin(&m, "x", QN_DNS_A, 0x200);
  put_a("x", 1, 300);
  put_a("x", 2, 300);
  m.size -= 3;
  REQUIRE_INT(parse(&m, "x", QN_DNS_A, &a), 0);
  CHECK(a->truncated);
  CHECK_UINT(a->n, 1);
  qn_dns_answer_free(a);
  begin(&m, "x", QN_DNS_A, 0x200);
  set16(&m, 6, 60000);
  REQUIRE_INT(parse(&m, "x", QN_DNS_A, &a), QN_E_NO_DATA);
  CHECK(a->truncated);
  qn_dns_answer_free(a);
}

TEST(ttls_with_the_top_bit_are_zero)
{
  begin(&m, "x", QN_DNS_A, 0);
  put_a("x", 1, 0x7fffffff);
  REQUIRE_INT(parse(&m, "x", QN_DNS_A, &a), 0);
  CHECK_UINT(a->ttl, 0x7fffffff);
  qn_dns_answer_free(a);
  put_a("x", 2, 0x80000000);
  REQUIRE_INT(parse(&m, "x", QN_DNS_A, &a), 0);
  CHECK_UINT(a->ttl, 0);
  CHECK_UINT(a->v[1].ttl, 0);
  qn_dns_answer_free(a);
}

TEST(the_largest_answer)
{
  begin(&m, "x", QN_DNS_A, 0);
  while (m.size + 16 <= 65535) {
    put_a(NULL, 1, 60);
  }
  REQUIRE_INT(parse(&m, "x", QN_DNS_A, &a), 0);
  CHECK_UINT(a->n, get16(&m, 6));
  CHECK(a->n >= 4093);
  qn_dns_answer_free(a);
}

TEST(more_records_or_bytes_than_the_limits)
{
  begin(&m, "x", 999, 0);
  for (int i = 0; i < QN_DNS_RECORDS_MAX + 1; i++) {
    record(&m, 6, NULL, 999, 60);
    done(&m);
  }
  CHECK_INT(parse(&m, "x", 999, &a), QN_E_LIMIT);
  CHECK_NULL(a);
  m.size -= 12;
  set16(&m, 6, QN_DNS_RECORDS_MAX);
  CHECK_INT(parse(&m, "x", 999, &a), 0);
  qn_dns_answer_free(a);
  /* The longest name again and again, behind a pointer. */
  begin(&m, "x", QN_DNS_PTR, 0);
  size_t at = m.size + 12;
  for (int i = 0; i < 4000; i++) {
    record(&m, 6, NULL, QN_DNS_PTR, 60);
    if (i == 0) {
      for (int k = 0; k < 4; k++) {
        put8(&m, k < 3 ? 63 : 61);
        memset(m.data + m.size, 1, 63);
        m.size += k < 3 ? 63 : 61;
      }
      put8(&m, 0);
    } else {
      put16(&m, 0xc000 | (unsigned)at);
    }
    done(&m);
  }
  CHECK_INT(parse(&m, "x", QN_DNS_PTR, &a), QN_E_LIMIT);
  set16(&m, 6, 1500);
  CHECK_INT(parse(&m, "x", QN_DNS_PTR, &a), 0);
  qn_dns_answer_free(a);
}

/* A reply with a bit of everything. */
static void rich(uint16_t type)
{
  begin(&m, "c.qn.test", type, 0x400);
  put_cname(NULL, "a.qn.test", 60);
  for (int i = 0; i < 30; i++) {
    put_a("a.qn.test", (unsigned)i, 60);
  }
  record(&m, 6, "a.qn.test", QN_DNS_MX, 60);
  put(&m, "\0\1\4mail\300\016", 9);
  done(&m);
  record(&m, 6, "a.qn.test", QN_DNS_TXT, 60);
  put(&m, "\3one\3two", 8);
  done(&m);
  record(&m, 6, "a.qn.test", QN_DNS_SVCB, 60);
  put(&m, "\0\1\0\0\0\0\4\0\1\0\4\0\1\0\3\2h2\0\4\0\4abcd", 26);
  done(&m);
  record(&m, 6, "a.qn.test", QN_DNS_NAPTR, 60);
  put(&m, "\0\1\0\1\1s\3SIP\0\300\016", 13);
  done(&m);
  put_soa("qn.test", 60, 60);
  record(&m, 10, ".", 41, 0);
  done(&m);
}

static const uint16_t rich_types[] = {QN_DNS_A,    QN_DNS_MX,    QN_DNS_TXT,
                                      QN_DNS_SVCB, QN_DNS_NAPTR, QN_DNS_AAAA};

TEST(a_reply_that_ends_at_any_byte_is_refused)
{
  for (size_t t = 0; t < sizeof rich_types / sizeof *rich_types; t++) {
    rich(rich_types[t]);
    size_t whole = m.size;
    CHECK_INT(parse(&m, "c.qn.test", rich_types[t], &a),
              rich_types[t] == QN_DNS_AAAA ? QN_E_NO_DATA : 0);
    qn_dns_answer_free(a);
    for (m.size = 0; m.size < whole; m.size++) {
      TEST_ROUND("%zu of %zu", m.size, whole);
      CHECK_INT(parse(&m, "c.qn.test", rich_types[t], &a), QN_E_DNS_REPLY);
      CHECK_NULL(a);
    }
    m.data[2] |= 2; /* truncated by the server's own word */
    for (m.size = 0; m.size < whole; m.size++) {
      parse(&m, "c.qn.test", rich_types[t], &a);
      qn_dns_answer_free(a);
    }
  }
}

TEST(no_flipped_bit_does_harm)
{
  int64_t live = qn_alloc_live();
  for (size_t t = 0; t < sizeof rich_types / sizeof *rich_types; t++) {
    rich(rich_types[t]);
    for (size_t bit = 0; bit < m.size * 8; bit++) {
      m.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
      int rc = parse(&m, "c.qn.test", rich_types[t], &a);
      CHECK((a != NULL) == (rc == 0 || rc == QN_E_NO_DATA || rc == QN_E_HOST_NOT_FOUND));
      qn_dns_answer_free(a);
      m.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
  }
  CHECK_INT(qn_alloc_live(), live);
}

TEST(every_allocation_may_fail)
{
  rich(QN_DNS_A);
  for (uint64_t nth = 1;; nth++) {
    int64_t live = qn_alloc_live();
    qn_alloc_fail_at(nth);
    int rc = parse(&m, "c.qn.test", QN_DNS_A, &a);
    if (!qn_alloc_failed()) {
      CHECK_INT(rc, 0);
      CHECK(nth == 3);
      qn_dns_answer_free(a);
      qn_alloc_fail_at(0);
      break;
    }
    CHECK_INT(rc, -ENOMEM);
    CHECK_NULL(a);
    CHECK_INT(qn_alloc_live(), live);
  }
}

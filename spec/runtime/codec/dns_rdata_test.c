/* dns_rdata_test.c: the data of records of each type from their bytes, and lengths that lie. */
#include "dns_rig.h"

static message_t m;

static void start(uint16_t type)
{
  begin(&m, "x.qn.test", type, 0);
  record(&m, 6, NULL, type, 300);
}

static qn_dns_answer_t *answer(uint16_t type)
{
  qn_dns_answer_t *a = NULL;
  done(&m);
  REQUIRE_INT(parse(&m, "x.qn.test", type, &a), 0);
  REQUIRE(a->n == 1);
  CHECK_INT(a->v[0].type, type);
  CHECK_UINT(a->v[0].ttl, 300);
  CHECK_STR(a->v[0].name, "x.qn.test");
  return a;
}

/* With the last byte missing, and with one too much. */
static void check_exact(uint16_t type)
{
  qn_dns_answer_t *a;
  size_t size = m.size - m.data_at;
  put8(&m, 0);
  done(&m);
  CHECK_INT(parse(&m, "x.qn.test", type, &a), QN_E_DNS_REPLY);
  m.size -= 2;
  if (size > 0) {
    done(&m);
    CHECK_INT(parse(&m, "x.qn.test", type, &a), QN_E_DNS_REPLY);
  }
}

TEST(a)
{
  start(QN_DNS_A);
  put(&m, "\177\0\0\1", 4);
  qn_dns_answer_t *a = answer(QN_DNS_A);
  CHECK_MEM(a->v[0].u.a, 4, "\177\0\0\1", 4);
  qn_dns_answer_free(a);
  check_exact(QN_DNS_A);
}

TEST(aaaa)
{
  start(QN_DNS_AAAA);
  put(&m, "0123456789abcdef", 16);
  qn_dns_answer_t *a = answer(QN_DNS_AAAA);
  CHECK_MEM(a->v[0].u.aaaa, 16, "0123456789abcdef", 16);
  qn_dns_answer_free(a);
  check_exact(QN_DNS_AAAA);
}

TEST(names)
{
  static const uint16_t types[] = {QN_DNS_NS, QN_DNS_PTR, QN_DNS_CNAME};
  for (size_t i = 0; i < 3; i++) {
    TEST_ROUND("%s", qn_dns_type_name(types[i]));
    start(types[i]);
    put_name(&m, "Target.example");
    qn_dns_answer_t *a = answer(types[i]);
    CHECK_STR(a->v[0].u.target, "Target.example");
    qn_dns_answer_free(a);
    check_exact(types[i]);
    start(types[i]);
    put(&m, "\2ns\300\016", 5); /* "qn.test" of the question */
    a = answer(types[i]);
    CHECK_STR(a->v[0].u.target, "ns.qn.test");
    qn_dns_answer_free(a);
    check_exact(types[i]);
  }
}

TEST(mx)
{
  start(QN_DNS_MX);
  put16(&m, 10);
  put(&m, "\4mail\300\016", 7);
  qn_dns_answer_t *a = answer(QN_DNS_MX);
  CHECK_INT(a->v[0].u.mx.preference, 10);
  CHECK_STR(a->v[0].u.mx.exchange, "mail.qn.test");
  qn_dns_answer_free(a);
  check_exact(QN_DNS_MX);
  start(QN_DNS_MX); /* RFC 7505: takes no mail */
  put(&m, "\0\0\0", 3);
  a = answer(QN_DNS_MX);
  CHECK_STR(a->v[0].u.mx.exchange, ".");
  qn_dns_answer_free(a);
}

TEST(srv)
{
  start(QN_DNS_SRV);
  put(&m, "\0\1\0\2\0\120\1a\0", 9);
  qn_dns_answer_t *a = answer(QN_DNS_SRV);
  CHECK_INT(a->v[0].u.srv.priority, 1);
  CHECK_INT(a->v[0].u.srv.weight, 2);
  CHECK_INT(a->v[0].u.srv.port, 80);
  CHECK_STR(a->v[0].u.srv.target, "a");
  qn_dns_answer_free(a);
  check_exact(QN_DNS_SRV);
}

TEST(soa)
{
  start(QN_DNS_SOA);
  put_name(&m, "ns.qn.test");
  put_name(&m, "john\\.doe.qn.test");
  for (uint32_t i = 1; i <= 5; i++) {
    put32(&m, i << 28 | i);
  }
  qn_dns_answer_t *a = answer(QN_DNS_SOA);
  CHECK_STR(a->v[0].u.soa.mname, "ns.qn.test");
  CHECK_STR(a->v[0].u.soa.rname, "john\\.doe.qn.test");
  CHECK_UINT(a->v[0].u.soa.serial, 0x10000001);
  CHECK_UINT(a->v[0].u.soa.refresh, 0x20000002);
  CHECK_UINT(a->v[0].u.soa.retry, 0x30000003);
  CHECK_UINT(a->v[0].u.soa.expire, 0x40000004);
  CHECK_UINT(a->v[0].u.soa.minimum, 0x50000005);
  qn_dns_answer_free(a);
  check_exact(QN_DNS_SOA);
}

TEST(txt)
{
  start(QN_DNS_TXT);
  put(&m, "\3one\0\4\0\377\"\\", 10);
  qn_dns_answer_t *a = answer(QN_DNS_TXT);
  CHECK_UINT(a->v[0].u.txt.n, 3);
  CHECK_MEM(a->v[0].u.txt.v[0].data, a->v[0].u.txt.v[0].size, "one", 3);
  CHECK_UINT(a->v[0].u.txt.v[1].size, 0);
  CHECK_MEM(a->v[0].u.txt.v[2].data, a->v[0].u.txt.v[2].size, "\0\377\"\\", 4);
  qn_dns_answer_free(a);
  m.size--;
  done(&m);
  CHECK_INT(parse(&m, "x.qn.test", QN_DNS_TXT, &a), QN_E_DNS_REPLY);
  start(QN_DNS_TXT); /* RFC 6763 section 6.1 */
  a = answer(QN_DNS_TXT);
  CHECK_UINT(a->v[0].u.txt.n, 1);
  CHECK_UINT(a->v[0].u.txt.v[0].size, 0);
  qn_dns_answer_free(a);
}

TEST(tlsa)
{
  start(QN_DNS_TLSA);
  put(&m, "\3\1\2digest", 9);
  qn_dns_answer_t *a = answer(QN_DNS_TLSA);
  CHECK_INT(a->v[0].u.tlsa.usage, 3);
  CHECK_INT(a->v[0].u.tlsa.selector, 1);
  CHECK_INT(a->v[0].u.tlsa.matching, 2);
  CHECK_MEM(a->v[0].u.tlsa.data.data, a->v[0].u.tlsa.data.size, "digest", 6);
  qn_dns_answer_free(a);
  start(QN_DNS_TLSA);
  put(&m, "\3\1", 2);
  done(&m);
  CHECK_INT(parse(&m, "x.qn.test", QN_DNS_TLSA, &a), QN_E_DNS_REPLY);
}

TEST(caa)
{
  start(QN_DNS_CAA);
  put(&m, "\200\5issueca.example", 17);
  qn_dns_answer_t *a = answer(QN_DNS_CAA);
  CHECK_INT(a->v[0].u.caa.flags, 128);
  CHECK_MEM(a->v[0].u.caa.tag.data, a->v[0].u.caa.tag.size, "issue", 5);
  CHECK_MEM(a->v[0].u.caa.value.data, a->v[0].u.caa.value.size, "ca.example", 10);
  qn_dns_answer_free(a);
  static const char *const bad[] = {"", "\0", "\0\0", "\0\5issu"};
  static const size_t sizes[] = {0, 1, 2, 6};
  for (size_t i = 0; i < 4; i++) {
    TEST_ROUND("%d", (int)i);
    start(QN_DNS_CAA);
    put(&m, bad[i], sizes[i]);
    done(&m);
    CHECK_INT(parse(&m, "x.qn.test", QN_DNS_CAA, &a), QN_E_DNS_REPLY);
  }
}

TEST(naptr)
{
  start(QN_DNS_NAPTR);
  put16(&m, 100);
  put16(&m, 10);
  put_string(&m, "u");
  put_string(&m, "E2U+sip");
  put_string(&m, "!^.*$!sip:info@qn.test!");
  put8(&m, 0);
  qn_dns_answer_t *a = answer(QN_DNS_NAPTR);
  const qn_dns_record_t *r = &a->v[0];
  CHECK_INT(r->u.naptr.order, 100);
  CHECK_INT(r->u.naptr.preference, 10);
  CHECK_MEM(r->u.naptr.flags.data, r->u.naptr.flags.size, "u", 1);
  CHECK_MEM(r->u.naptr.services.data, r->u.naptr.services.size, "E2U+sip", 7);
  CHECK_MEM(r->u.naptr.regexp.data, r->u.naptr.regexp.size, "!^.*$!sip:info@qn.test!", 23);
  CHECK_STR(r->u.naptr.replacement, ".");
  qn_dns_answer_free(a);
  check_exact(QN_DNS_NAPTR);
}

TEST(unknown_types_are_raw)
{
  start(999);
  put(&m, "\0any\xff", 5);
  qn_dns_answer_t *a = answer(999);
  CHECK_MEM(a->v[0].u.other.data, a->v[0].u.other.size, "\0any\xff", 5);
  qn_dns_answer_free(a);
  start(13);
  a = answer(13);
  CHECK_UINT(a->v[0].u.other.size, 0);
  qn_dns_answer_free(a);
}

TEST(a_name_must_not_cross_the_end_of_its_data)
{
  qn_dns_answer_t *a;
  start(QN_DNS_MX);
  put16(&m, 10);
  put_name(&m, "mail.qn.test");
  set16(&m, m.data_at - 2, 4);
  CHECK_INT(parse(&m, "x.qn.test", QN_DNS_MX, &a), QN_E_DNS_REPLY);
}

/* dns_svcb_test.c: SVCB and HTTPS records: the vectors of RFC 9460 appendix D, and what it refuses.
 */
#include "dns_rig.h"

static int read_rdata(uint16_t type, const char *data, size_t size, qn_dns_answer_t **out)
{
  static message_t m;
  begin(&m, "_x.qn.test", type, 0);
  record(&m, 6, NULL, type, 60);
  put(&m, data, size);
  done(&m);
  return parse(&m, "_x.qn.test", type, out);
}

#define READ(data, out) read_rdata(QN_DNS_SVCB, data, sizeof(data) - 1, out)

static void check_param(const qn_dns_record_t *r, size_t i, uint16_t key, const char *value,
                        size_t size)
{
  REQUIRE(i < r->u.svcb.n);
  CHECK_INT(r->u.svcb.v[i].key, key);
  CHECK_MEM(r->u.svcb.v[i].value.data, r->u.svcb.v[i].value.size, value, size);
}

#define FOO "\003foo\007example\003com\000"

TEST(alias_form)
{
  qn_dns_answer_t *a;
  REQUIRE_INT(READ("\000\000" FOO, &a), 0);
  CHECK_INT(a->v[0].u.svcb.priority, 0);
  CHECK_STR(a->v[0].u.svcb.target, "foo.example.com");
  CHECK_UINT(a->v[0].u.svcb.n, 0);
  qn_dns_answer_free(a);
  REQUIRE_INT(READ("\000\000" FOO "\000\003\000\002\000\065 anything", &a), 0);
  CHECK_UINT(a->v[0].u.svcb.n, 0); /* section 2.4.2: ignored */
  qn_dns_answer_free(a);
}

TEST(service_form_without_parameters)
{
  qn_dns_answer_t *a;
  REQUIRE_INT(READ("\000\001\000", &a), 0);
  CHECK_INT(a->v[0].u.svcb.priority, 1);
  CHECK_STR(a->v[0].u.svcb.target, ".");
  CHECK_UINT(a->v[0].u.svcb.n, 0);
  CHECK_NULL(a->v[0].u.svcb.v);
  qn_dns_answer_free(a);
}

TEST(port)
{
  qn_dns_answer_t *a;
  REQUIRE_INT(READ("\000\020" FOO "\000\003\000\002\000\065", &a), 0);
  CHECK_INT(a->v[0].u.svcb.priority, 16);
  CHECK_UINT(a->v[0].u.svcb.n, 1);
  check_param(&a->v[0], 0, 3, "\000\065", 2);
  qn_dns_answer_free(a);
}

TEST(a_key_without_a_name)
{
  qn_dns_answer_t *a;
  REQUIRE_INT(READ("\000\001" FOO "\002\233\000\011hello\322qoo", &a), 0);
  check_param(&a->v[0], 0, 667, "hello\322qoo", 9);
  qn_dns_answer_free(a);
}

TEST(two_ipv6_hints)
{
  qn_dns_answer_t *a;
  REQUIRE_INT(READ("\000\001" FOO "\000\006\000\040"
                   "\040\001\015\270\0\0\0\0\0\0\0\0\0\0\0\001"
                   "\040\001\015\270\0\0\0\0\0\0\0\0\0\123\000\001",
                   &a),
              0);
  CHECK_UINT(a->v[0].u.svcb.v[0].value.size, 32);
  qn_dns_answer_free(a);
}

TEST(alpn_mandatory_and_an_ipv4_hint)
{
  qn_dns_answer_t *a;
  REQUIRE_INT(READ("\000\020\003foo\007example\003org\000"
                   "\000\000\000\004\000\001\000\004"
                   "\000\001\000\011\002h2\005h3-19"
                   "\000\004\000\004\300\000\002\001",
                   &a),
              0);
  CHECK_STR(a->v[0].u.svcb.target, "foo.example.org");
  CHECK_UINT(a->v[0].u.svcb.n, 3);
  check_param(&a->v[0], 0, 0, "\000\001\000\004", 4);
  check_param(&a->v[0], 1, 1, "\002h2\005h3-19", 9);
  check_param(&a->v[0], 2, 4, "\300\000\002\001", 4);
  qn_dns_answer_free(a);
}

TEST(every_known_key)
{
  qn_dns_answer_t *a;
  REQUIRE_INT(READ("\000\001\000"
                   "\000\001\000\003\002h2"
                   "\000\002\000\000"
                   "\000\003\000\002\037\220"
                   "\000\004\000\004\177\000\000\001"
                   "\000\005\000\001x"
                   "\000\006\000\020\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\001"
                   "\000\007\000\012/dns{?dns}"
                   "\000\010\000\000",
                   &a),
              0);
  CHECK_UINT(a->v[0].u.svcb.n, 8);
  check_param(&a->v[0], 1, 2, "", 0);
  check_param(&a->v[0], 6, 7, "/dns{?dns}", 10);
  qn_dns_answer_free(a);
}

TEST(malformed_records_are_refused)
{
#define CASE(text, data)         \
  {                              \
    text, data, sizeof(data) - 1 \
  }
  static const struct {
    const char *what, *data;
    size_t size;
  } bad[] = {
      CASE("nothing", ""),
      CASE("no priority", "\000"),
      CASE("no target", "\000\001"),
      CASE("half a target", "\000\001\003fo"),
      CASE("a compressed target", "\000\001\300\014"),
      CASE("a target that is compressed at its end", "\000\001\001a\300\014"),
      CASE("half a head", "\000\001\000\000\003\000"),
      CASE("a value that is cut off", "\000\001\000\000\003\000\002\000"),
      CASE("something left over", "\000\001\000\000\003\000\002\000\065\000"),
      CASE("a key twice", "\000\001\000\000\003\000\002\000\065\000\003\000\002\000\065"),
      CASE("keys that descend", "\000\001\000\000\004\000\004abcd\000\003\000\002\000\065"),
      CASE("a port of one byte", "\000\001\000\000\003\000\001\065"),
      CASE("a port of three bytes", "\000\001\000\000\003\000\003\000\065\000"),
      CASE("an empty list of alpn", "\000\001\000\000\001\000\000"),
      CASE("an empty alpn", "\000\001\000\000\001\000\004\000\002h2"),
      CASE("an alpn that is cut off", "\000\001\000\000\001\000\003\003h2"),
      CASE("no-default-alpn with a value", "\000\001\000\000\002\000\001x"),
      CASE("no ipv4hint in it", "\000\001\000\000\004\000\000"),
      CASE("an ipv4hint of five bytes", "\000\001\000\000\004\000\005abcde"),
      CASE("no ipv6hint in it", "\000\001\000\000\006\000\000"),
      CASE("an ipv6hint of four bytes", "\000\001\000\000\006\000\004abcd"),
      CASE("an empty ech", "\000\001\000\000\005\000\000"),
      CASE("an empty dohpath", "\000\001\000\000\007\000\000"),
      CASE("ohttp with a value", "\000\001\000\000\010\000\001x"),
      CASE("the invalid key", "\000\001\000\377\377\000\000"),
      CASE("mandatory without a key", "\000\001\000\000\000\000\000\000\003\000\002\000\065"),
      CASE("mandatory of an odd size", "\000\001\000\000\000\000\001\000\000\003\000\002\000\065"),
      CASE("mandatory with itself",
           "\000\001\000\000\000\000\004\000\000\000\003\000\003\000\002\000\065"),
      CASE("a mandatory key that is not there",
           "\000\001\000\000\000\000\002\000\004\000\003\000\002\000\065"),
      CASE("a mandatory key behind the last one",
           "\000\001\000\000\000\000\004\000\003\000\004\000\003\000\002\000\065"),
      CASE("mandatory with a key twice",
           "\000\001\000\000\000\000\004\000\003\000\003\000\003\000\002\000\065"),
      CASE("mandatory that descends", "\000\001\000\000\000\000\004\000\004\000\003"
                                      "\000\003\000\002\000\065\000\004\000\004abcd"),
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    qn_dns_answer_t *a;
    TEST_ROUND("%s", bad[i].what);
    CHECK_INT(read_rdata(QN_DNS_SVCB, bad[i].data, bad[i].size, &a), QN_E_DNS_REPLY);
    CHECK_INT(read_rdata(QN_DNS_HTTPS, bad[i].data, bad[i].size, &a), QN_E_DNS_REPLY);
    CHECK_NULL(a);
  }
}

TEST(one_malformed_record_spoils_the_set)
{
  static message_t m;
  qn_dns_answer_t *a;
  begin(&m, "qn.test", QN_DNS_HTTPS, 0);
  record(&m, 6, NULL, QN_DNS_HTTPS, 60);
  put(&m, "\000\001\000", 3);
  done(&m);
  record(&m, 6, NULL, QN_DNS_HTTPS, 60);
  put(&m, "\000\002\000\000\003\000\001\001", 8);
  done(&m);
  CHECK_INT(parse(&m, "qn.test", QN_DNS_HTTPS, &a), QN_E_DNS_REPLY);
}

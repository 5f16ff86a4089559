/* hostinfo_test.c: what is no question: literals, bad names; names that are not ASCII. */
#include "qn/dns.h"
#include "test.h"
#include "wire.h"

#include "dns_peer.h"
#include "resolver_rig.h"

static int ask(const char *host, qn_family_t family, qn_op_t *op, qn_addr_t *one)
{
  qn_resolve_opts_t opts = {.host = host, .port = 80, .family = family, .resolver = rig.resolver};
  return qn_resolve(wire.loop, &opts, op, one);
}

TEST(literals_are_no_questions)
{
  wire_op_t w;
  qn_addr_t a, expected;
  loop_begin();
  CHECK_INT(ask("127.0.0.1", QN_FAMILY_ANY, op_new(&w), &a), 0);
  expected = loopback(80);
  CHECK(qn_addr_equal(&a, &expected));
  CHECK_INT(ask("127.1", QN_FAMILY_ANY, op_new(&w), &a), 0);
  CHECK(qn_addr_equal(&a, &expected));
  CHECK_INT(ask("0x7f000001", QN_FAMILY_IPV4, op_new(&w), &a), 0);
  CHECK(qn_addr_equal(&a, &expected));
  CHECK_INT(ask("::1", QN_FAMILY_ANY, op_new(&w), &a), 0);
  CHECK_INT(qn_addr_family(&a), QN_FAMILY_IPV6);
  CHECK_INT(ask("::1", QN_FAMILY_IPV4, &w.op, &a), QN_E_HOST_NOT_FOUND);
  CHECK_INT(ask("1.2.3.4", QN_FAMILY_IPV6, &w.op, &a), QN_E_HOST_NOT_FOUND);
  CHECK_INT(ask("1.2", QN_FAMILY_IPV6, &w.op, &a), QN_E_HOST_NOT_FOUND);
  CHECK(qn_op_idle(&w.op));
  loop_end();
}

TEST(bad_names)
{
  char name[300];
  wire_op_t w;
  qn_addr_t a;
  static const char *bad[] = {"a..b", ".a", "a b", "a/b", "a\\.b", "a@b", "..", ".", "a\nb", "a%b"};
  rig_begin();
  op_new(&w);
  CHECK_INT(ask("", QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK_INT(ask("*", QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK_INT(ask("fe80::1%nowhere", QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK_INT(ask("[::1]", QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK_INT(ask("two.test", QN_FAMILY_UNIX, &w.op, &a), QN_E_INVALID);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    TEST_ROUND("%s", bad[i]);
    CHECK_INT(ask(bad[i], QN_FAMILY_ANY, &w.op, &a), QN_E_BAD_HOST);
  }
  memset(name, 'a', sizeof name);
  name[64] = '\0';
  CHECK_INT(ask(name, QN_FAMILY_ANY, &w.op, &a), QN_E_BAD_HOST);
  for (int i = 0; i < 300; i++) {
    name[i] = i % 50 == 49 ? '.' : 'a';
  }
  name[254] = '\0';
  CHECK_INT(ask(name, QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  name[254] = 'a';
  name[299] = '\0';
  CHECK_INT(ask(name, QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK(qn_op_idle(&w.op));
  CHECK_INT(atomic_load(&rig.peer.asked), 0);
  name[253] = '\0'; /* long, but a name */
  CHECK_STR(rig_find(name, QN_FAMILY_IPV4), "127.0.0.2");
  name[253] = '.';
  name[254] = '\0';
  CHECK_STR(rig_find(name, QN_FAMILY_IPV4), "127.0.0.2");
  rig_end();
}

TEST(names_that_are_not_ascii)
{
  wire_op_t w;
  qn_addr_t a;
  rig_begin();
  rig_write(rig.hosts, "192.0.2.1 xn--mnchen-3ya.test\n");
  CHECK_STR(rig_find("M\xc3\xbcnchen.test", QN_FAMILY_ANY), "192.0.2.1");
  CHECK_STR(rig_find("m\xc3\xbcnchen\xe3\x80\x82test", QN_FAMILY_ANY), "192.0.2.1");
  CHECK_INT(ask("\xff.test", QN_FAMILY_ANY, op_new(&w), &a), QN_E_BAD_HOST);
  CHECK_INT(ask("a\xe2\x80\xae.test", QN_FAMILY_ANY, op_new(&w), &a), QN_E_BAD_HOST);
  CHECK_INT(atomic_load(&rig.peer.asked), 0);
  rig_end();
}

TEST(the_loop_has_a_resolver_of_its_own)
{
  wire_op_t w;
  qn_addr_t a;
  qn_loop_stats_t stats;
  loop_begin();
  CHECK_INT(ask("localhost", QN_FAMILY_IPV4, op_new(&w), &a), QN_AGAIN);
  CHECK_PTR(qn_resolver_default(wire.loop), qn_resolver_default(wire.loop));
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  CHECK(qn_resolved(&w.op) != NULL && qn_resolved(&w.op)->n >= 1);
  qn_resolve_end(&w.op);
  qn_loop_stats(wire.loop, &stats);
  CHECK_INT(stats.objects, 0);
  loop_end();
}

/* hostinfo_reverse_test.c: names of addresses: hosts file, PTR, nobody. */
#include "qn/dns.h"
#include "test.h"
#include "wire.h"

#include "dns_peer.h"
#include "resolver_rig.h"

/* All names, or the error. */
static const char *names_of(const char *literal)
{
  static char out[1024];
  wire_op_t w;
  qn_addr_t a;
  REQUIRE_INT(qn_addr_parse(&a, literal, 0, QN_FAMILY_ANY), 0);
  int rc = qn_reverse(wire.loop, rig.resolver, &a, op_new(&w));
  if (rc != QN_AGAIN) {
    return qn_err_name(rc);
  }
  CHECK(!w.done);
  WAIT_UNTIL(w.done);
  out[0] = '\0';
  for (size_t i = 0; qn_reversed(&w.op, i) != NULL; i++) {
    strncat(out, i > 0 ? " " : "", 2);
    strncat(out, qn_reversed(&w.op, i), 300);
  }
  CHECK(w.result == 0 || out[0] == '\0');
  qn_reverse_end(&w.op);
  qn_reverse_end(&w.op);
  return w.result == 0 ? out : qn_err_name((int)w.result);
}

TEST(names)
{
  rig_begin();
  rig_write(rig.hosts, "192.0.2.1 here.test alias\n");
  CHECK_STR(names_of("192.0.2.1"), "here.test alias");
  CHECK_STR(names_of("::ffff:192.0.2.1"), "here.test alias");
  CHECK_INT(atomic_load(&rig.peer.asked), 0);
  CHECK_STR(names_of("192.0.2.2"), "name.test other.test");
  CHECK_STR(names_of("2001:db8::1"), "name.test other.test");
  CHECK_STR(names_of("192.0.2.9"), "HOST_NOT_FOUND");
  CHECK_STR(names_of("192.0.2.2"), "name.test other.test"); /* out of the cache */
  CHECK_INT(atomic_load(&rig.peer.asked), 3);
  rig_end();
}

TEST(refusals)
{
  wire_op_t w;
  qn_addr_t a;
  rig_begin();
  qn_addr_unix(&a, "/x", 2);
  CHECK_INT(qn_reverse(wire.loop, rig.resolver, &a, op_new(&w)), QN_E_INVALID);
  CHECK(qn_op_idle(&w.op));
  atomic_store(&rig.peer.force, 2);
  CHECK_STR(names_of("192.0.2.2"), "DNS_SERVFAIL");
  qn_resolver_close(rig.resolver);
  CHECK_STR(names_of("192.0.2.2"), "CLOSED");
  rig_end();
}

TEST(leaving)
{
  wire_op_t w;
  qn_addr_t a;
  rig_begin();
  atomic_store(&rig.peer.deaf, true);
  qn_addr_parse(&a, "192.0.2.2", 0, QN_FAMILY_ANY);
  REQUIRE_INT(qn_reverse(wire.loop, rig.resolver, &a, op_new(&w)), QN_AGAIN);
  WAIT_UNTIL(atomic_load(&rig.peer.asked) == 1);
  CHECK(qn_op_cancel(&w.op, QN_E_CANCELLED));
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CANCELLED);
  qn_reverse_end(&w.op);
  REQUIRE_INT(qn_reverse(wire.loop, rig.resolver, &a, op_new(&w)), QN_AGAIN);
  qn_resolver_close(rig.resolver);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  qn_reverse_end(&w.op);
  rig_end();
}

TEST(no_memory)
{
  for (int which = 0; which < 2; which++) {
    bool failed = true;
    for (uint64_t nth = 1; failed && nth < 100; nth++) {
      wire_op_t w;
      qn_addr_t a;
      rig_begin();
      rig_write(rig.hosts, "192.0.2.1 here.test alias\n");
      TEST_ROUND("%d, allocation %d", which, (int)nth);
      qn_addr_parse(&a, which ? "192.0.2.1" : "192.0.2.2", 0, QN_FAMILY_ANY);
      qn_alloc_fail_at(nth);
      int64_t rc = qn_reverse(wire.loop, rig.resolver, &a, op_new(&w));
      if (rc == QN_AGAIN) {
        WAIT_UNTIL(w.done);
        rc = w.result;
      }
      failed = qn_alloc_failed();
      CHECK(rc == 0 || failed);
      qn_reverse_end(&w.op);
      rig_end();
    }
    CHECK(!failed);
  }
}

/* hostinfo_system_test.c: look-ups through a getaddrinfo of our own (fake_names.h), which
 * nsswitch.conf asks for: order, bounds, errors, leaving. */
#include "qn/dns.h"
#include "test.h"
#include "wire.h"

#include "dns_peer.h"
#include "fake_names.h"
#include "resolver_rig.h"

static void begin(void)
{
  rig_begin();
  names_begin();
  qn_resolver_opts_t o = rig_opts();
  o.n_servers = 0;
  o.servers = NULL;
  rig_write(rig.nsswitch, "hosts: files ldap dns\n");
  rig_resolver(&o);
}

static void end(void)
{
  CHECK_INT(atomic_load(&rig.peer.asked), 0);
  names_end();
  rig_end();
}

TEST(the_list_is_in_order_and_without_repetition)
{
  begin();
  CHECK_STR(rig_find("two.test", QN_FAMILY_ANY), "127.0.0.2 127.0.0.1");
  CHECK_INT(names_asked(), 1);
  end();
}

TEST(the_list_is_bounded)
{
  wire_op_t w;
  begin();
  REQUIRE_INT(rig_ask("many.test", QN_FAMILY_ANY, false, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  REQUIRE(qn_resolved(&w.op) != NULL);
  CHECK_UINT(qn_resolved(&w.op)->n, QN_RESOLVE_MAX);
  CHECK_NULL(qn_resolved_name(&w.op));
  CHECK_UINT(qn_resolved_ttl(&w.op), 0);
  qn_resolve_end(&w.op);
  qn_resolve_end(&w.op);
  CHECK_NULL(qn_resolved(&w.op));
  end();
}

TEST(the_family_reaches_the_system)
{
  begin();
  CHECK_STR(rig_find("both.test", QN_FAMILY_IPV6), "::1");
  CHECK_STR(rig_find("both.test", QN_FAMILY_ANY), "::1 127.0.0.1");
  CHECK_STR(rig_find("two.test", QN_FAMILY_IPV6), "HOST_NOT_FOUND");
  end();
}

/* AI_ADDRCONFIG hides addresses on a machine that has only its loopback interface. */
TEST(asks_again_without_address_configuration)
{
  begin();
  CHECK_STR(rig_find("hidden.test", QN_FAMILY_ANY), "127.0.0.1");
  CHECK_INT(names_asked(), 2);
  end();
}

TEST(errors)
{
  begin();
  CHECK_STR(rig_find("none.test", QN_FAMILY_ANY), "HOST_NOT_FOUND");
  CHECK_STR(rig_find("none.test.", QN_FAMILY_ANY), "HOST_NOT_FOUND");
  CHECK_STR(rig_find("again.test", QN_FAMILY_ANY), "EAI_AGAIN");
  CHECK_STR(rig_find("fail.test", QN_FAMILY_ANY), "EAI_FAIL");
  CHECK_STR(rig_find("system.test", QN_FAMILY_ANY), "ENFILE");
  end();
}

TEST(a_look_up_that_hangs_can_be_left)
{
  wire_op_t w;
  qn_loop_stats_t stats;
  begin();
  REQUIRE_INT(rig_ask("hang.test", QN_FAMILY_ANY, true, &w), QN_AGAIN);
  WAIT_UNTIL(names_hanging() == 1);
  CHECK(qn_op_cancel(&w.op, QN_E_CANCELLED));
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CANCELLED);
  CHECK_NULL(qn_resolved(&w.op));
  qn_resolve_end(&w.op);
  qn_loop_stats(wire.loop, &stats);
  CHECK_INT(stats.orphans, 1);
  names_release();
  do {
    turn();
    qn_loop_stats(wire.loop, &stats);
  } while (stats.orphans != 0);
  end();
}

TEST(closing_the_resolver_leaves_it)
{
  wire_op_t w;
  begin();
  REQUIRE_INT(rig_ask("hang.test", QN_FAMILY_ANY, false, &w), QN_AGAIN);
  qn_resolver_close(rig.resolver);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  qn_resolve_end(&w.op);
  names_release();
  end();
}

TEST(names_of_addresses)
{
  wire_op_t w;
  qn_addr_t a = loopback(0);
  begin();
  REQUIRE_INT(qn_reverse(wire.loop, rig.resolver, &a, op_new(&w)), QN_AGAIN);
  WAIT_UNTIL(w.done);
  CHECK(w.result == 0 ? qn_reversed(&w.op, 0) != NULL : qn_reversed(&w.op, 0) == NULL);
  CHECK_NULL(qn_reversed(&w.op, 1));
  qn_reverse_end(&w.op);
  qn_addr_parse(&a, "192.0.2.7", 0, QN_FAMILY_ANY);
  REQUIRE_INT(qn_reverse(wire.loop, rig.resolver, &a, op_new(&w)), QN_AGAIN);
  qn_op_cancel(&w.op, QN_E_CANCELLED);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CANCELLED);
  qn_reverse_end(&w.op);
  end();
}

TEST(no_memory)
{
  bool failed = true;
  for (uint64_t nth = 1; failed && nth < 100; nth++) {
    wire_op_t w;
    begin();
    TEST_ROUND("allocation %d", (int)nth);
    qn_alloc_fail_at(nth);
    int64_t rc = rig_ask("two.test", QN_FAMILY_ANY, false, &w);
    if (rc == QN_AGAIN) {
      WAIT_UNTIL(w.done);
      rc = w.result;
    } else {
      CHECK(qn_op_idle(&w.op));
    }
    failed = qn_alloc_failed();
    CHECK(rc == 0 || failed); /* a file that cannot be read counts as absent */
    qn_resolve_end(&w.op);
    end();
  }
  CHECK(!failed);
}

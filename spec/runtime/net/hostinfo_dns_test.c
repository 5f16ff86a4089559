/* hostinfo_dns_test.c: hosts file, search list, families, steps, by a server that does what the
 * name says (dns_peer.h). The machine's own families decide what is asked first, so most tests name
 * one.
 */
#include "qn/dns.h"
#include "test.h"
#include "wire.h"

#include "dns_peer.h"
#include "net/addr_sort.h"
#include "resolver_rig.h"

static int asked(void) { return atomic_load(&rig.peer.asked); }

static void search_for(uint64_t try_timeout, const char *const *v, size_t n, unsigned ndots)
{
  qn_resolver_opts_t o = rig_opts();
  o.try_timeout = try_timeout;
  o.search = v;
  o.n_search = n;
  o.ndots = ndots;
  o.no_cache = true;
  rig_resolver(&o);
  atomic_store(&rig.peer.asked, 0);
}

static void search(const char *const *v, size_t n, unsigned ndots)
{
  search_for(RIG_PATIENT_MS, v, n, ndots);
}

TEST(addresses_of_each_family)
{
  rig_begin();
  CHECK_STR(rig_find("v4.test", QN_FAMILY_ANY), "127.0.0.2");
  CHECK_STR(rig_find("v4.test", QN_FAMILY_IPV4), "127.0.0.2");
  CHECK_STR(rig_find("v4.test", QN_FAMILY_IPV6), "HOST_NOT_FOUND");
  CHECK_STR(rig_find("v6.test", QN_FAMILY_IPV6), "fd00::2");
  CHECK_STR(rig_find("v6.test", QN_FAMILY_IPV4), "HOST_NOT_FOUND");
  CHECK_STR(rig_find("v6.test", QN_FAMILY_ANY), "fd00::2"); /* whatever this machine has */
  CHECK_STR(rig_find("none.test", QN_FAMILY_ANY), "HOST_NOT_FOUND");
  CHECK_STR(rig_find("nx.test", QN_FAMILY_ANY), "HOST_NOT_FOUND");
  rig_end();
}

TEST(errors_of_the_server)
{
  rig_begin();
  CHECK_STR(rig_find("servfail.test", QN_FAMILY_ANY), "DNS_SERVFAIL");
  CHECK_STR(rig_find("refused.test", QN_FAMILY_ANY), "DNS_REFUSED");
  CHECK_STR(rig_find("garbage.test", QN_FAMILY_IPV4), "DNS_BAD_REPLY");
  qn_resolver_opts_t o = rig_opts();
  o.try_timeout = RIG_SHORT_MS;
  rig_resolver(&o);
  CHECK_STR(rig_find("drop.test", QN_FAMILY_IPV4), "TIMEOUT");
  rig_end();
}

TEST(facts_of_an_answer)
{
  wire_op_t w;
  rig_begin();
  REQUIRE_INT(rig_ask("chain.test", QN_FAMILY_IPV4, false, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  CHECK_STR(rig_list(&w), "127.0.0.2");
  CHECK_STR(qn_resolved_name(&w.op), "one.test");
  CHECK(qn_resolved_ttl(&w.op) > 290 && qn_resolved_ttl(&w.op) <= 300);
  CHECK_INT(qn_resolve_more(&w.op), 0);
  qn_resolve_end(&w.op);
  rig_end();
}

TEST(many_addresses)
{
  wire_op_t w;
  rig_begin();
  REQUIRE_INT(rig_ask("many.test", QN_FAMILY_IPV4, false, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  REQUIRE(qn_resolved(&w.op) != NULL);
  CHECK_UINT(qn_resolved(&w.op)->n, QN_RESOLVE_MAX);
  qn_resolve_end(&w.op);
  rig_end();
}

/* --- hosts file and names that nobody is asked for ---------------------------------------------
 */

TEST(the_hosts_file)
{
  wire_op_t w;
  rig_begin();
  rig_write(rig.hosts, "192.0.2.1 here.test alias\n127.0.0.5 both\n::1 both\n2001:db8::1 six\n");
  CHECK_STR(rig_find("HERE.test.", QN_FAMILY_ANY), "192.0.2.1");
  CHECK_STR(rig_find("alias", QN_FAMILY_IPV4), "192.0.2.1");
  CHECK_STR(rig_find("six", QN_FAMILY_ANY), "2001:db8::1"); /* there is nothing else */
  CHECK_STR(rig_find("both", QN_FAMILY_IPV4), "127.0.0.5");
  CHECK_INT(asked(), 0);
  CHECK_STR(rig_find("alias", QN_FAMILY_IPV6), "HOST_NOT_FOUND"); /* goes on to the DNS */
  CHECK_INT(asked(), 1);
  REQUIRE_INT(rig_ask("alias", QN_FAMILY_ANY, true, &w), QN_AGAIN);
  CHECK(!w.done);
  WAIT_UNTIL(w.done);
  CHECK_STR(qn_resolved_name(&w.op), "here.test");
  CHECK_INT(qn_resolve_more(&w.op), 0);
  qn_resolve_end(&w.op);
  rig_end();
}

TEST(the_hosts_file_changes)
{
  rig_begin();
  rig_write(rig.hosts, "192.0.2.1 here\n");
  CHECK_STR(rig_find("here", QN_FAMILY_ANY), "192.0.2.1");
  rig_write(rig.hosts, "192.0.2.22 here\n");
  WAIT_UNTIL(strcmp(rig_find("here", QN_FAMILY_ANY), "192.0.2.22") == 0);
  rig_end();
}

TEST(names_that_do_not_leave_the_machine)
{
  rig_begin();
  CHECK_STR(rig_find("localhost", QN_FAMILY_IPV4), "127.0.0.1");
  CHECK_STR(rig_find("LocalHost.", QN_FAMILY_IPV6), "::1");
  CHECK_STR(rig_find("a.b.localhost", QN_FAMILY_IPV4), "127.0.0.1");
  CHECK_STR(rig_find("x.onion", QN_FAMILY_ANY), "HOST_NOT_FOUND");
  CHECK_STR(rig_find("x.invalid", QN_FAMILY_ANY), "HOST_NOT_FOUND");
  CHECK_INT(asked(), 0);
  CHECK_STR(rig_find("notlocalhost", QN_FAMILY_IPV4), "127.0.0.2");
  CHECK_INT(asked(), 1);
  rig_write(rig.hosts, "127.9.9.9 localhost\n192.0.2.4 x.onion\n");
  qn_resolver_opts_t o = rig_opts();
  rig_resolver(&o);
  CHECK_STR(rig_find("localhost", QN_FAMILY_IPV4), "127.9.9.9");
  CHECK_STR(rig_find("x.onion", QN_FAMILY_IPV4), "192.0.2.4");
  rig_end();
}

/* --- the search list -------------------------------------------------------------------------- */

TEST(search)
{
  static const char *const two[] = {"nx", "b.test."};
  rig_begin();
  search(two, 2, 0);
  CHECK_STR(rig_find("v4", QN_FAMILY_IPV4), "127.0.0.2"); /* v4.nx: the label says it all */
  CHECK_INT(asked(), 1);
  CHECK_STR(rig.resolver != NULL ? "" : NULL, "");
  search(two, 2, 0);
  CHECK_STR(rig_find("nx", QN_FAMILY_IPV4), "HOST_NOT_FOUND"); /* nx.nx nx.b.test nx */
  CHECK_INT(asked(), 3);
  search(two, 2, 0);
  CHECK_STR(rig_find("nx.", QN_FAMILY_IPV4), "HOST_NOT_FOUND");
  CHECK_INT(asked(), 1);
  search(two, 2, 0);
  CHECK_STR(rig_find("none.x", QN_FAMILY_IPV4),
            "HOST_NOT_FOUND"); /* as it is first, then the list */
  CHECK_INT(asked(), 3);
  search(two, 2, 2);
  CHECK_STR(rig_find("servfail.x", QN_FAMILY_IPV4), "DNS_SERVFAIL"); /* goes on */
  CHECK_INT(asked(), 3);
  search_for(RIG_SHORT_MS, two, 2, 0);
  CHECK_STR(rig_find("drop", QN_FAMILY_IPV4), "TIMEOUT"); /* does not */
  CHECK_INT(asked(), 1);
  search(two, 0, 0);
  CHECK_STR(rig_find("nx", QN_FAMILY_IPV4), "HOST_NOT_FOUND");
  CHECK_INT(asked(), 1);
  rig_end();
}

TEST(the_first_candidate_that_has_an_address)
{
  wire_op_t w;
  static const char *const one[] = {"b.test"};
  rig_begin();
  search(one, 1, 0);
  REQUIRE_INT(rig_ask("v4", QN_FAMILY_IPV4, false, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  CHECK_STR(qn_resolved_name(&w.op), "v4.b.test");
  qn_resolve_end(&w.op);
  search(one, 1, 0);
  REQUIRE_INT(rig_ask("v4.a", QN_FAMILY_IPV4, false, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  CHECK_STR(qn_resolved_name(&w.op), "v4.a");
  qn_resolve_end(&w.op);
  rig_end();
}

TEST(a_domain_that_makes_the_name_too_long)
{
  char name[260] = "", domain[200];
  const char *v[] = {domain};
  rig_begin();
  memset(domain, 'd', sizeof domain);
  domain[60] = domain[120] = '.';
  domain[180] = '\0';
  search(v, 1, 15);
  for (int i = 0; i < 10; i++) {
    strncat(name, "aaaaaaaaa.", 11);
  }
  CHECK_STR(rig_find(name, QN_FAMILY_IPV4), "127.0.0.2");
  name[strlen(name) - 1] = '\0';
  CHECK_STR(rig_find(name, QN_FAMILY_IPV4), "127.0.0.2");
  CHECK_INT(asked(), 2);
  rig_end();
}

/* --- nsswitch.conf ---------------------------------------------------------------------------- */

TEST(services_in_their_order)
{
  char resolv[200];
  rig_begin();
  /* Without `servers`, so that the file counts: but port 53 is not ours, so nobody answers. */
  snprintf(resolv, sizeof resolv, "nameserver 127.255.255.253\noptions timeout:1 attempts:1\n");
  rig_write(rig.resolv, resolv);
  rig_write(rig.hosts, "192.0.2.9 v4.test\n");
  qn_resolver_opts_t o = rig_opts();
  o.servers = NULL;
  o.n_servers = 0;
  o.try_timeout = RIG_SHORT_MS;
  rig_write(rig.nsswitch, "hosts: files\n");
  rig_resolver(&o);
  CHECK_STR(rig_find("v4.test", QN_FAMILY_ANY), "192.0.2.9");
  CHECK_STR(rig_find("other.test", QN_FAMILY_ANY), "HOST_NOT_FOUND");
  CHECK_STR(rig_find("localhost", QN_FAMILY_IPV4), "127.0.0.1");
  rig_write(rig.nsswitch, "hosts: dns files\n");
  rig_resolver(&o);
  CHECK_STR(rig_find("v4.test", QN_FAMILY_ANY), "192.0.2.9");
  const char *other = rig_find("other.test", QN_FAMILY_ANY);
  CHECK(strcmp(other, "DNS_UNREACHABLE") == 0 || strcmp(other, "TIMEOUT") == 0);
  rig_end();
}

/* --- steps ------------------------------------------------------------------------------------ */

/* Both families must be asked: on a machine that has one only, the other comes second. */
static bool asks_both(void)
{
  static qn__local_addrs_t local;
  return qn__addr_families_present(&local, 0) == (QN__HAS_IPV4 | QN__HAS_IPV6);
}

TEST(steps_ipv4_is_late)
{
  wire_op_t w;
  rig_begin();
  atomic_store(&rig.peer.held, asks_both());
  REQUIRE_INT(rig_ask("late4.test", QN_FAMILY_ANY, true, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  if (asks_both()) {
    CHECK_STR(rig_list(&w), "fd00::2");
    const qn_addr_t *v = qn_resolved(&w.op)->v;
    w.done = false;
    CHECK_INT(qn_resolve_more(&w.op), QN_AGAIN);
    CHECK_STR(rig_list(&w), "fd00::2");
    atomic_store(&rig.peer.held, false);
    WAIT_UNTIL(w.done);
    CHECK_INT(w.result, 0);
    CHECK_STR(rig_list(&w), "fd00::2 127.0.0.2");
    CHECK_PTR(qn_resolved(&w.op)->v, v);
    CHECK_INT(qn_resolve_more(&w.op), 0);
  }
  qn_resolve_end(&w.op);
  rig_end();
}

TEST(steps_ipv6_is_late)
{
  wire_op_t w;
  rig_begin();
  atomic_store(&rig.peer.held, asks_both());
  REQUIRE_INT(rig_ask("late6.test", QN_FAMILY_ANY, true, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  CHECK_STR(rig_list(&w), "127.0.0.2");
  if (asks_both()) {
    /* It comes before it is asked for, and is given all the same. */
    atomic_store(&rig.peer.held, false);
    WAIT_UNTIL(atomic_load(&rig.peer.late_sent) == 1);
    turns(5);
    CHECK_STR(rig_list(&w), "127.0.0.2");
    w.done = false;
    CHECK_INT(qn_resolve_more(&w.op), QN_AGAIN);
    CHECK(!w.done);
    WAIT_UNTIL(w.done);
    CHECK_STR(rig_list(&w), "127.0.0.2 fd00::2");
  }
  CHECK_INT(qn_resolve_more(&w.op), 0);
  qn_resolve_end(&w.op);
  rig_end();
}

/* A server that says nothing of IPv6 does not make the name unknown, nor take all the time. */
TEST(a_family_that_never_comes)
{
  wire_op_t w;
  rig_begin();
  qn_resolver_opts_t o = rig_opts();
  o.try_timeout = 60000;
  rig_resolver(&o);
  REQUIRE_INT(rig_ask("no6.test", QN_FAMILY_ANY, false, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  CHECK_STR(rig_list(&w), "127.0.0.2");
  CHECK_INT(qn_resolve_more(&w.op), 0);
  qn_resolve_end(&w.op);
  WAIT_UNTIL(!qn_loop_alive(wire.loop));
  rig_end();
}

TEST(steps_can_be_left)
{
  for (int step = 0; step < 4; step++) {
    wire_op_t w;
    rig_begin();
    TEST_ROUND("step %d", step);
    atomic_store(&rig.peer.held, step > 0 && asks_both());
    REQUIRE_INT(rig_ask("late4.test", QN_FAMILY_ANY, true, &w), QN_AGAIN);
    if (step > 0) {
      WAIT_UNTIL(w.done);
    }
    if (step > 1 && asks_both()) {
      w.done = false;
      CHECK_INT(qn_resolve_more(&w.op), QN_AGAIN);
      if (step == 2) {
        CHECK(qn_op_cancel(&w.op, QN_E_CANCELLED));
        WAIT_UNTIL(w.done);
        CHECK_INT(w.result, QN_E_CANCELLED);
        CHECK_STR(rig_list(&w), "fd00::2"); /* until the end */
        CHECK_INT(qn_resolve_more(&w.op), 0);
      } else {
        qn_resolver_close(rig.resolver);
        WAIT_UNTIL(w.done);
        CHECK_INT(w.result, QN_E_CLOSED);
      }
    }
    qn_op_forget(&w.op);
    qn_resolve_end(&w.op);
    rig_end();
  }
}

TEST(steps_without_more)
{
  wire_op_t w;
  rig_begin();
  REQUIRE_INT(rig_ask("v4.test", QN_FAMILY_ANY, true, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  CHECK_STR(rig_list(&w), "127.0.0.2");
  CHECK_INT(qn_resolve_more(&w.op), 0);
  qn_resolve_end(&w.op);
  REQUIRE_INT(rig_ask("nx.test", QN_FAMILY_ANY, true, &w), QN_AGAIN);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_HOST_NOT_FOUND);
  CHECK_INT(qn_resolve_more(&w.op), 0);
  qn_resolve_end(&w.op);
  rig_end();
}

/* --- shortages, leaving ------------------------------------------------------------------------
 */

TEST(cancelled_at_each_step)
{
  static const char *const one[] = {"nx"};
  for (int step = 0; step < 10; step++) {
    wire_op_t w;
    rig_begin();
    search(one, 1, 0);
    TEST_ROUND("after %d turns", step);
    REQUIRE_INT(rig_ask("nx", QN_FAMILY_ANY, step % 2, &w), QN_AGAIN);
    for (int i = 0; i < step && !w.done; i++) {
      qn_loop_turn(wire.loop, QN_TURN_ONCE);
    }
    bool pending = qn_op_cancel(&w.op, QN_E_CANCELLED);
    WAIT_UNTIL(w.done);
    CHECK_INT(w.result, pending ? QN_E_CANCELLED : QN_E_HOST_NOT_FOUND);
    CHECK_NULL(qn_resolved(&w.op));
    qn_resolve_end(&w.op);
    WAIT_UNTIL(!qn_loop_alive(wire.loop));
    rig_end();
  }
}

TEST(no_memory)
{
  static const char *const names[] = {"both.test", "here", "localhost", "chain.test"};
  for (int which = 0; which < 4; which++) {
    bool failed = true;
    for (uint64_t nth = 1; failed && nth < 100; nth++) {
      wire_op_t w;
      rig_begin();
      rig_write(rig.hosts, "192.0.2.1 here\n");
      TEST_ROUND("%s, allocation %d", names[which], (int)nth);
      qn_alloc_fail_at(nth);
      int64_t rc = rig_ask(names[which], QN_FAMILY_ANY, nth % 2, &w);
      if (rc == QN_AGAIN) {
        WAIT_UNTIL(w.done);
        rc = w.result;
      }
      failed = qn_alloc_failed();
      CHECK(rc == 0 || failed);
      qn_resolve_end(&w.op);
      rig_end();
    }
    CHECK(!failed);
  }
}

/* resolver_life_test.c: options, files that change, closing, the loop's own resolver. */
#include "net/resolver_i.h"
#include "test.h"
#include "wire.h"

#include "dns_peer.h"
#include "resolver_rig.h"

#include <sys/resource.h>

static int make(const char *server, qn_addr_t *out)
{
  qn_resolver_t *r = NULL;
  qn_resolver_opts_t o = {.servers = &server, .n_servers = 1};
  int rc = qn_resolver_new(wire.loop, &o, &r);
  if (rc == 0) {
    *out = r->servers[0];
    qn_resolver_release(r);
  }
  CHECK(rc == 0 || r == NULL);
  return rc;
}

TEST(servers)
{
  static const struct {
    const char *text, *means;
  } good[] = {
      {"192.0.2.1", "192.0.2.1:53"},
      {"192.0.2.1:5353", "192.0.2.1:5353"},
      {"2001:db8::1", "[2001:db8::1]:53"},
      {"::1", "[::1]:53"},
      {"[::1]", "[::1]:53"},
      {"[::1]:5353", "[::1]:5353"},
      {"[192.0.2.1]:5", "192.0.2.1:5"},
  };
  static const char *bad[] = {"",          "*",         "a.test",        "1.2.3",
                              "1.2.3.4:",  "1.2.3.4:0", ":53",           "[::1",
                              "[::1]x",    "[::1]:",    "1.2.3.4:65536", "1:2:3",
                              "1.2.3.4:x", "[]:53",     "1.2.3.4:-1",    "[::1]:+5"};
  qn_addr_t a;
  char text[QN_ADDR_TEXT];
  loop_begin();
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    TEST_ROUND("%s", good[i].text);
    CHECK_INT(make(good[i].text, &a), 0);
    qn_addr_text(&a, text, sizeof text);
    CHECK_STR(text, good[i].means);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    TEST_ROUND("%s", bad[i]);
    CHECK_INT(make(bad[i], &a), QN_E_INVALID);
  }
  loop_end();
}

TEST(limits_of_options)
{
  const char *many[QN__RESOLV_SEARCH_MAX + 1];
  char domain[300];
  qn_resolver_t *r;
  for (int i = 0; i <= QN__RESOLV_SEARCH_MAX; i++) {
    many[i] = "::1";
  }
  loop_begin();
  qn_resolver_opts_t o = {.servers = many, .n_servers = QN__DNS_SERVERS_MAX + 1};
  CHECK_INT(qn_resolver_new(wire.loop, &o, &r), QN_E_LIMIT);
  o = (qn_resolver_opts_t){.search = many, .n_search = QN__RESOLV_SEARCH_MAX + 1};
  CHECK_INT(qn_resolver_new(wire.loop, &o, &r), QN_E_LIMIT);
  memset(domain, 'a', sizeof domain);
  domain[254] = '\0';
  many[0] = domain;
  o.n_search = 1;
  CHECK_INT(qn_resolver_new(wire.loop, &o, &r), QN_E_INVALID);
  for (uint64_t nth = 1; nth <= 5; nth++) {
    many[0] = "a.test";
    qn_alloc_fail_at(nth);
    CHECK_INT(qn_resolver_new(wire.loop, &o, &r), -ENOMEM);
    CHECK(qn_alloc_failed());
  }
  loop_end();
}

TEST(a_resolver_is_counted)
{
  qn_loop_stats_t stats;
  qn_resolver_t *r;
  loop_begin();
  REQUIRE_INT(qn_resolver_new(wire.loop, NULL, &r), 0);
  qn_loop_stats(wire.loop, &stats);
  CHECK_INT(stats.objects, 1);
  CHECK_INT(stats.handles, 0);
  qn_resolver_close(r);
  qn_resolver_close(r);
  qn_resolver_clear_cache(r);
  qn_loop_stats(wire.loop, &stats);
  CHECK_INT(stats.objects, 0);
  qn_resolver_release(r);
  qn_resolver_release(NULL);
  qn_resolver_close(NULL);
  loop_end();
}

TEST(released_while_it_is_used)
{
  wire_op_t w;
  rig_begin();
  REQUIRE_INT(rig_ask("v4.test", QN_FAMILY_IPV4, false, &w), QN_AGAIN);
  qn_resolver_release(rig.resolver); /* the look-up holds it */
  WAIT_UNTIL(w.done);
  CHECK_STR(rig_list(&w), "127.0.0.2");
  qn_resolve_end(&w.op); /* the last one */
  qn_resolver_opts_t o = rig_opts();
  rig.resolver = NULL;
  rig_resolver(&o);
  rig_end();
}

TEST(values_of_resolv_conf)
{
  rig_begin();
  rig_write(rig.resolv, "search a.test b.test\noptions ndots:3 timeout:7 attempts:4 rotate\n");
  qn_resolver_opts_t o = rig_opts();
  o.try_timeout = 0;
  o.tries = 0;
  rig_resolver(&o);
  REQUIRE_INT(qn__resolver_refresh(rig.resolver), 0);
  CHECK_UINT(rig.resolver->dns.ways.try_timeout, 7000);
  CHECK_UINT(rig.resolver->dns.ways.tries, 4);
  CHECK(!rig.resolver->dns.ways.rotate); /* ours are not its servers */
  CHECK_UINT(qn__resolver_ndots(rig.resolver), 3);
  CHECK_UINT(qn__resolver_n_search(rig.resolver), 2);
  CHECK_STR(qn__resolver_search(rig.resolver, 1), "b.test");
  o.ndots = 2;
  o.search = (const char *const[]){"c.test.", "."};
  o.n_search = 2;
  rig_resolver(&o);
  REQUIRE_INT(qn__resolver_refresh(rig.resolver), 0);
  CHECK_UINT(qn__resolver_ndots(rig.resolver), 2);
  REQUIRE_INT(qn__resolver_n_search(rig.resolver), 1);
  CHECK_STR(qn__resolver_search(rig.resolver, 0), "c.test");
  rig_end();
}

/* What is under way goes to the new servers, what was kept belongs to another network. */
TEST(resolv_conf_changes)
{
  wire_op_t w;
  rig_begin();
  qn_resolver_opts_t o = rig_opts();
  o.servers = NULL;
  o.n_servers = 0;
  rig_write(rig.resolv, "nameserver 127.255.255.252\noptions timeout:30\n");
  rig_resolver(&o);
  REQUIRE_INT(qn__resolver_refresh(rig.resolver), 0);
  qn__dns_t *d = &rig.resolver->dns;
  qn__dns_ways_t ways = d->ways;
  REQUIRE_INT(qn__dns_set_servers(d, &rig.peer.at, 1, &ways), 0);
  CHECK_STR(rig_find("v4.test", QN_FAMILY_IPV4), "127.0.0.2");
  atomic_store(&rig.peer.deaf, true);
  REQUIRE_INT(rig_ask("other.test", QN_FAMILY_IPV4, false, &w), QN_AGAIN);
  WAIT_UNTIL(atomic_load(&rig.peer.asked) == 2);
  atomic_store(&rig.peer.deaf, false);
  REQUIRE_INT(qn__dns_set_servers(d, &rig.peer.at, 1, &ways), 0);
  WAIT_UNTIL(w.done);
  CHECK_STR(rig_list(&w), "127.0.0.2");
  qn_resolve_end(&w.op);
  qn_alloc_fail_at(1);
  CHECK_INT(qn__dns_set_servers(d, &rig.peer.at, 1, &ways), -ENOMEM);
  CHECK_STR(rig_find("third.test", QN_FAMILY_IPV4), "127.0.0.2");
  CHECK_UINT(d->cache.table.n, 3);
  rig_write(rig.resolv, "nameserver 127.255.255.251\n");
  do {
    turn();
    REQUIRE_INT(qn__resolver_refresh(rig.resolver), 0);
  } while (d->cache.table.n != 0);
  CHECK_UINT(rig.resolver->generation, rig.resolver->resolv_file.generation);
  rig_end();
}

/* Files that could not be read for want of a descriptor are read as soon as there is one. */
TEST(no_descriptor_for_the_files)
{
  struct rlimit old, few;
  rig_begin();
  rig_write(rig.hosts, "192.0.2.1 here\n");
  rig_write(rig.resolv, "nameserver 192.0.2.53\n");
  rig_write(rig.nsswitch, "hosts: dns files\n");
  qn_resolver_opts_t o = rig_opts();
  o.servers = NULL;
  o.n_servers = 0;
  rig_resolver(&o);
  qn_resolver_t *r = rig.resolver;
  int fd = dup(0);
  REQUIRE_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
  few = old;
  few.rlim_cur = (rlim_t)fd;
  close(fd);
  REQUIRE_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
  int rc = qn__resolver_refresh(r);
  const qn__hosts_t *none = qn__resolver_hosts(r);
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK_INT(rc, 0);
  CHECK_NULL(none);
  CHECK_INT(qn__resolver_refresh(r), 0);
  CHECK(qn__resolver_hosts(r) != NULL);
  CHECK_INT(ntohl(r->conf->servers[0].u.in4.sin_addr.s_addr), 0xc0000235);
  CHECK_INT(r->nsswitch->v[0], QN__NSS_DNS);
  rig_end();
}

TEST(the_loop_closes_its_own)
{
  wire_op_t w, other;
  qn_addr_t a;
  qn_loop_stats_t stats;
  loop_begin();
  dns_peer_begin(&rig.peer);
  qn_resolver_t *r = qn_resolver_default(wire.loop);
  REQUIRE(r != NULL);
  REQUIRE_INT(qn__resolver_refresh(r), 0);
  qn__dns_ways_t ways = {.try_timeout = 30000, .tries = 1};
  REQUIRE_INT(qn__dns_set_servers(&r->dns, &rig.peer.at, 1, &ways), 0);
  REQUIRE_INT(qn_dns_query(wire.loop, NULL, "one.test", QN_DNS_A, op_new(&w)), QN_AGAIN);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  qn_dns_query_end(&w.op);
  qn_loop_stats(wire.loop, &stats);
  CHECK_INT(stats.objects, 0);
  atomic_store(&rig.peer.deaf, true);
  REQUIRE_INT(qn_dns_query(wire.loop, NULL, "two.test", QN_DNS_A, op_new(&w)), QN_AGAIN);
  qn_addr_parse(&a, "192.0.2.2", 0, QN_FAMILY_ANY);
  REQUIRE_INT(qn_reverse(wire.loop, NULL, &a, op_new(&other)), QN_AGAIN);
  WAIT_UNTIL(atomic_load(&rig.peer.asked) >= 1);
  dns_peer_end(&rig.peer);
  qn_ready_drop(&wire.nudge);
  CHECK_INT(qn_loop_free(wire.loop), 0);
  CHECK(w.done && other.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  qn_dns_query_end(&w.op);
  qn_reverse_end(&other.op);
  CHECK_INT(qn_alloc_live(), wire.blocks);
}

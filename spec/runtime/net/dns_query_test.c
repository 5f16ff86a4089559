/* dns_query_test.c: questions as operations, against a server that does what the name says.
 * covers: runtime/net/resolver.c, runtime/net/dns_question.c
 * because nothing of them shows but what comes of a question. */
#include "net/resolver_i.h"
#include "qn/dns.h"
#include "test.h"
#include "wire.h"

#include "dns_peer.h"

#include <sys/resource.h>

static dns_peer_t peer;
static qn_resolver_t *resolver;

/* A resolver with this server, twice if `also` is given, and short tries. */
static void resolver_begin(const char *also, uint64_t try_timeout, bool cache)
{
  const char *servers[] = {also != NULL ? also : peer.text, peer.text};
  qn_resolver_opts_t o = {
      .servers = servers,
      .n_servers = also != NULL ? 2 : 1,
      .hosts_path = "",
      .resolv_path = "/dev/null",
      .try_timeout = try_timeout,
      .tries = 2,
      .no_cache = !cache,
  };
  REQUIRE_INT(qn_resolver_new(wire.loop, &o, &resolver), 0);
}

#define PATIENT_MS 10000u /* only what is never answered takes that long */
#define SHORT_MS 150u     /* for what is never answered */

static void begin(void)
{
  loop_begin();
  dns_peer_begin(&peer);
  resolver_begin(NULL, PATIENT_MS, false);
}

static void resolver_again(const char *also, uint64_t try_timeout)
{
  qn_resolver_close(resolver);
  qn_resolver_release(resolver);
  resolver_begin(also, try_timeout, false);
}

static void end(void)
{
  qn_resolver_close(resolver);
  qn_resolver_release(resolver);
  dns_peer_end(&peer);
  loop_end();
}

static int ask(const char *name, uint16_t type, wire_op_t *w)
{
  return qn_dns_query(wire.loop, resolver, name, type, op_new(w));
}

/* Asks and waits; the caller ends w->op. */
static int64_t query(const char *name, uint16_t type, wire_op_t *w)
{
  int rc = ask(name, type, w);
  if (rc != QN_AGAIN) {
    return rc;
  }
  WAIT_UNTIL(w->done);
  return w->result;
}

static int64_t result_of(const char *name)
{
  wire_op_t w;
  int64_t rc = query(name, QN_DNS_A, &w);
  if (rc == 0) {
    const qn_dns_answer_t *a = qn_dns_answer(&w.op);
    CHECK(a != NULL && a->n >= 1);
  } else {
    CHECK_NULL(qn_dns_answer(&w.op));
  }
  qn_dns_query_end(&w.op);
  qn_dns_query_end(&w.op);
  return rc;
}

static void check_idle(void)
{
  qn_loop_stats_t stats;
  WAIT_UNTIL(!qn_loop_alive(wire.loop));
  qn_loop_stats(wire.loop, &stats);
  CHECK_INT(stats.handles, 0);
  CHECK_INT(stats.timers, 0);
  CHECK_INT(stats.ops, 0);
}

TEST(an_answer)
{
  wire_op_t w;
  begin();
  CHECK_INT(query("one.test", QN_DNS_A, &w), 0);
  const qn_dns_answer_t *a = qn_dns_answer(&w.op);
  REQUIRE(a != NULL);
  REQUIRE_INT(a->n, 1);
  CHECK_MEM(a->v[0].u.a, 4, "\x7f\0\0\2", 4);
  CHECK_UINT(a->v[0].ttl, 300);
  CHECK_STR(a->canonical, "one.test");
  qn_dns_query_end(&w.op);
  CHECK_INT(query("Text.Test.", QN_DNS_TXT, &w), 0);
  a = qn_dns_answer(&w.op);
  REQUIRE(a != NULL);
  CHECK_MEM(a->v[0].u.txt.v[0].data, a->v[0].u.txt.v[0].size, "hello", 5);
  qn_dns_query_end(&w.op);
  check_idle();
  end();
}

TEST(every_way_to_answer)
{
  static const struct {
    const char *name;
    int rc;
    bool grows; /* comes after the end of a try: with the first limit that is long enough */
  } table[] = {
      {"one.test", 0},
      {"chain.test", 0},
      {"empty.test", 0},
      {"echo.test", 0},
      {"flood.test", 0},
      {"noedns.test", 0},
      {"mute.test", 0, true},
      {"tc.test", 0},
      {"tcsplit.test", 0},
      {"many.test", 0},
      {"none.test", QN_E_NO_DATA},
      {"nx.test", QN_E_HOST_NOT_FOUND},
      {"nxraw.test", QN_E_HOST_NOT_FOUND},
      {"servfail.test", QN_E_DNS_SERVFAIL},
      {"refused.test", QN_E_DNS_REFUSED},
      {"notimp.test", QN_E_DNS_NOTIMP},
      {"formerr.test", QN_E_DNS_FORMERR},
      {"garbage.test", QN_E_DNS_REPLY},
      {"loop.test", QN_E_DNS_REPLY},
      {"drop.test", QN_E_TIMEOUT},
      {"wrongid.test", QN_E_TIMEOUT},
      {"wrongq.test", QN_E_TIMEOUT},
      {"short.test", QN_E_TIMEOUT},
      {"tcwait.test", QN_E_TIMEOUT},
      {"tcfail.test", QN_E_DNS_UNREACHABLE},
  };
  begin();
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    TEST_ROUND("%s", table[i].name);
    bool is_short = table[i].rc == QN_E_TIMEOUT || table[i].grows;
    uint64_t limit = is_short ? SHORT_MS : PATIENT_MS;
    int64_t rc;
    do {
      resolver_again(NULL, limit);
      rc = result_of(table[i].name);
      limit *= 8;
    } while (table[i].grows && rc != table[i].rc && limit < PATIENT_MS);
    CHECK_INT(rc, table[i].rc);
  }
  check_idle();
  end();
}

TEST(all_records_of_a_long_answer)
{
  wire_op_t w;
  begin();
  CHECK_INT(query("many.test", QN_DNS_A, &w), 0);
  REQUIRE(qn_dns_answer(&w.op) != NULL);
  CHECK_UINT(qn_dns_answer(&w.op)->n, 400);
  CHECK_INT(atomic_load(&peer.asked_tcp), 1);
  qn_dns_query_end(&w.op);
  end();
}

TEST(names)
{
  wire_op_t w;
  char name[300];
  begin();
  CHECK_INT(ask("", QN_DNS_A, &w), QN_E_BAD_HOST);
  CHECK_INT(ask("a..b", QN_DNS_A, &w), QN_E_BAD_HOST);
  memset(name, 'a', sizeof name);
  name[64] = '\0';
  CHECK_INT(ask(name, QN_DNS_A, &w), QN_E_BAD_HOST);
  CHECK(qn_op_idle(&w.op));
  CHECK_INT(query(".", QN_DNS_A, &w), 0);
  qn_dns_query_end(&w.op);
  CHECK_INT(atomic_load(&peer.asked), 1);
  end();
}

TEST(equal_questions_are_one)
{
  enum { N = 200 };
  static wire_op_t w[N];
  begin();
  for (int i = 0; i < N; i++) {
    CHECK_INT(ask(i % 2 ? "same.test" : "SAME.test.", QN_DNS_A, &w[i]), QN_AGAIN);
  }
  for (int i = 0; i < N; i++) {
    WAIT_UNTIL(w[i].done);
    CHECK_INT(w[i].result, 0);
    CHECK_PTR(qn_dns_answer(&w[i].op), qn_dns_answer(&w[0].op));
  }
  for (int i = 0; i < N; i++) {
    qn_dns_query_end(&w[i].op);
  }
  CHECK_INT(atomic_load(&peer.asked), 1);
  end();
}

TEST(many_questions_at_once)
{
  enum { N = 5000 };
  static wire_op_t w[N];
  char name[64];
  int lost = 0;
  loop_begin();
  dns_peer_begin(&peer);
  resolver_begin(NULL, PATIENT_MS, false);
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "n%d.test", i);
    CHECK_INT(ask(name, QN_DNS_A, &w[i]), QN_AGAIN);
  }
  for (int i = 0; i < N; i++) {
    WAIT_UNTIL(w[i].done);
    lost += w[i].result != 0;
    qn_dns_query_end(&w[i].op);
  }
  CHECK_INT(lost, 0);
  CHECK_INT(atomic_load(&peer.asked), N); /* none had to be asked twice */
  CHECK(atomic_load(&peer.ports) >= 5);   /* that who forges would have to know */
  check_idle();
  end();
}

TEST(a_server_that_closes_after_each_answer)
{
  enum { N = 12 };
  static wire_op_t w[N];
  char name[64];
  loop_begin();
  dns_peer_begin(&peer);
  resolver_begin(NULL, PATIENT_MS, false);
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "tcone%d.test", i);
    CHECK_INT(ask(name, QN_DNS_A, &w[i]), QN_AGAIN);
  }
  for (int i = 0; i < N; i++) {
    WAIT_UNTIL(w[i].done);
    CHECK_INT(w[i].result, 0);
    qn_dns_query_end(&w[i].op);
  }
  end();
}

TEST(a_server_that_resets_connections)
{
  begin();
  atomic_store(&peer.cuts, 3);
  CHECK_INT(result_of("tc.test"), 0);
  CHECK_INT(atomic_load(&peer.asked_tcp), 4);
  atomic_store(&peer.cuts, 1000);
  CHECK_INT(result_of("tc2.test"), QN_E_DNS_UNREACHABLE);
  CHECK(atomic_load(&peer.asked_tcp) <= 4 + 4 + 4); /* each try once, and four times more */
  atomic_store(&peer.cuts, 0);
  CHECK_INT(result_of("tc3.test"), 0);
  end();
}

/* --- servers ---------------------------------------------------------------------------------- */

TEST(another_server_is_asked)
{
  static dns_peer_t first;
  static const int rcodes[] = {2, 4, 5};
  begin();
  dns_peer_begin(&first);
  resolver_again(first.text, PATIENT_MS);
  for (size_t i = 0; i < 3; i++) {
    atomic_store(&first.force, rcodes[i]);
    CHECK_INT(result_of("one.test"), 0);
  }
  CHECK_INT(atomic_load(&first.asked), 3);
  CHECK_INT(atomic_load(&peer.asked), 3);
  atomic_store(&peer.force, 5);
  atomic_store(&first.force, 2);
  CHECK_INT(result_of("one.test"), QN_E_DNS_REFUSED); /* the last one's */
  CHECK_INT(atomic_load(&first.asked), 4);            /* and neither was asked twice */
  atomic_store(&peer.force, 0);
  atomic_store(&first.deaf, true);
  resolver_again(first.text, 800); /* each of four tries takes that long, and no answer may */
  CHECK_INT(result_of("one.test"), 0);
  CHECK_INT(result_of("nx.test"), QN_E_HOST_NOT_FOUND);
  CHECK_INT(result_of("one.test"), 0);
  int asked = atomic_load(&first.asked);
  CHECK_INT(asked, 7);
  CHECK_INT(result_of("two.test"),
            0); /* it is looked after now and then only (the first time here) */
  CHECK_INT(result_of("two.test"), 0);
  CHECK_INT(result_of("two.test"), 0);
  CHECK_INT(atomic_load(&first.asked), asked + 1);
  dns_peer_end(&first);
  end();
}

TEST(a_server_without_edns)
{
  begin();
  CHECK_INT(result_of("formerr.test"), QN_E_DNS_FORMERR);
  CHECK_INT(atomic_load(&peer.asked), 2); /* it is no matter of EDNS */
  CHECK_INT(result_of("noedns.test"), 0);
  CHECK_INT(atomic_load(&peer.asked), 4);
  CHECK_INT(result_of("noedns.test"), 0); /* known by now */
  CHECK_INT(atomic_load(&peer.asked), 5);
  end();
}

TEST(a_closed_port)
{
  qn_addr_t at;
  char text[QN_ADDR_TEXT];
  int fd = peer_listen(&at, 1);
  qn_addr_text(&at, text, sizeof text);
  close(fd);
  begin();
  resolver_again(text, PATIENT_MS);
  CHECK_INT(result_of("one.test"), 0); /* at once: the kernel says that nobody is there */
  dns_peer_end(&peer);
  CHECK_INT(result_of("one.test"), QN_E_DNS_UNREACHABLE);
  check_idle();
  dns_peer_begin(&peer);
  end();
}

TEST(no_route)
{
  const char *servers[] = {"255.255.255.255"};
  qn_resolver_opts_t o = {.servers = servers, .n_servers = 1, .resolv_path = "/dev/null"};
  begin();
  qn_resolver_close(resolver);
  qn_resolver_release(resolver);
  REQUIRE_INT(qn_resolver_new(wire.loop, &o, &resolver), 0);
  CHECK_INT(result_of("one.test"), QN_E_DNS_UNREACHABLE);
  check_idle();
  end();
}

/* --- the cache -------------------------------------------------------------------------------- */

TEST(answers_are_kept_for_their_time)
{
  wire_op_t w;
  loop_begin();
  dns_peer_begin(&peer);
  resolver_begin(NULL, PATIENT_MS, true);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(result_of("one.test"), 0);
    CHECK_INT(result_of("nx.test"), QN_E_HOST_NOT_FOUND);
    CHECK_INT(result_of("none.test"), QN_E_NO_DATA);
    CHECK_INT(result_of("ttl100.test"), 0);
  }
  CHECK_INT(atomic_load(&peer.asked), 4);
  CHECK_INT(result_of("ttl0.test"), 0);
  CHECK_INT(result_of("ttl0.test"), 0);
  CHECK_INT(result_of("nxraw.test"), QN_E_HOST_NOT_FOUND);
  CHECK_INT(result_of("nxraw.test"), QN_E_HOST_NOT_FOUND);
  CHECK_INT(result_of("servfail.test"), QN_E_DNS_SERVFAIL);
  CHECK_INT(result_of("servfail.test"), QN_E_DNS_SERVFAIL);
  CHECK_INT(atomic_load(&peer.asked), 10);
  CHECK_INT(result_of("ttl1.test"), 0);
  uint64_t at = qn_loop_fresh(wire.loop) + 1100;
  WAIT_UNTIL(qn_loop_fresh(wire.loop) >= at);
  CHECK_INT(atomic_load(&peer.asked), 11);
  CHECK_INT(result_of("ttl1.test"), 0);
  CHECK_INT(atomic_load(&peer.asked), 12);
  CHECK_INT(query("one.test", QN_DNS_A, &w), 0); /* what is left of it */
  CHECK_INT(atomic_load(&peer.asked), 12);
  const qn_dns_answer_t *a = qn_dns_answer(&w.op);
  REQUIRE(a != NULL);
  CHECK(a->v[0].ttl < 300 && a->v[0].ttl > 250);
  CHECK_UINT(a->ttl, a->v[0].ttl);
  qn_resolver_clear_cache(resolver);
  CHECK_STR(a->v[0].name, "one.test"); /* what was given stays */
  qn_dns_query_end(&w.op);
  CHECK_INT(result_of("one.test"), 0);
  CHECK_INT(atomic_load(&peer.asked), 13);
  end();
}

/* --- leaving ---------------------------------------------------------------------------------- */

TEST(cancelled_at_each_step)
{
  for (int step = 0; step < 12; step++) {
    wire_op_t w, other;
    begin();
    TEST_ROUND("after %d turns", step);
    REQUIRE_INT(ask("tcsplit.test", QN_DNS_A, &w), QN_AGAIN);
    REQUIRE_INT(ask("tcsplit.test", QN_DNS_A, &other), QN_AGAIN);
    for (int i = 0; i < step && !w.done; i++) {
      qn_loop_turn(wire.loop, QN_TURN_ONCE);
    }
    bool pending = qn_op_cancel(&w.op, QN_E_CANCELLED);
    WAIT_UNTIL(w.done);
    CHECK_INT(w.result, pending ? QN_E_CANCELLED : 0);
    qn_dns_query_end(&w.op);
    if (step % 2) {
      WAIT_UNTIL(other.done);
      CHECK_INT(other.result, 0);
    } else {
      qn_op_forget(&other.op);
    }
    qn_dns_query_end(&other.op);
    check_idle();
    end();
  }
}

TEST(a_deadline)
{
  wire_op_t w, again;
  begin();
  resolver_again(NULL, SHORT_MS); /* what nobody waits for any more lives as long as a try */
  REQUIRE_INT(ask("drop.test", QN_DNS_A, &w), QN_AGAIN);
  qn_op_deadline(&w.op, qn_loop_fresh(wire.loop) + 20, QN_E_TIMEOUT);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_TIMEOUT);
  qn_dns_query_end(&w.op);
  REQUIRE_INT(ask("drop.test", QN_DNS_A, &again), QN_AGAIN); /* asked anew */
  WAIT_UNTIL(atomic_load(&peer.asked) >= 2);
  qn_op_cancel(&again.op, QN_E_CANCELLED);
  WAIT_UNTIL(again.done);
  check_idle();
  end();
}

TEST(closing_ends_what_is_pending)
{
  wire_op_t sent, waiting, later;
  begin();
  REQUIRE_INT(ask("drop.test", QN_DNS_A, &sent), QN_AGAIN);
  WAIT_UNTIL(atomic_load(&peer.asked) == 1);
  REQUIRE_INT(ask("one.test", QN_DNS_A, &waiting), QN_AGAIN);
  qn_resolver_close(resolver);
  qn_resolver_close(resolver);
  CHECK(!sent.done);
  WAIT_UNTIL(sent.done && waiting.done);
  CHECK_INT(sent.result, QN_E_CLOSED);
  CHECK_INT(waiting.result, QN_E_CLOSED);
  CHECK_INT(ask("one.test", QN_DNS_A, &later), QN_E_CLOSED);
  qn_dns_query_end(&sent.op);
  qn_dns_query_end(&waiting.op);
  check_idle();
  end();
}

/* Names that nobody answers must not keep others waiting until all of them were sent, nor may many
 * be sent at once. */
TEST(a_newcomer_does_not_stand_behind_the_unanswered)
{
  enum { MUTE = 20 * QN__DNS_WINDOW, N = MUTE + 240 };
  static wire_op_t w[N];
  char name[64];
  loop_begin();
  dns_peer_begin(&peer);
  resolver_begin(NULL, 10000, false);
  uint64_t began = qn_loop_fresh(wire.loop);
  for (int i = 0; i < MUTE; i++) {
    snprintf(name, sizeof name, "drop.n%d", i);
    CHECK_INT(ask(name, QN_DNS_A, &w[i]), QN_AGAIN);
  }
  WAIT_UNTIL(atomic_load(&peer.asked) >= (int)QN__DNS_WINDOW);
  turns(5);
  uint64_t most = (qn_loop_fresh(wire.loop) - began) / QN__DNS_YOUNG_MS + 1;
  CHECK(atomic_load(&peer.asked) <= (int)(most * QN__DNS_WINDOW));
  CHECK_INT(ask("new.test", QN_DNS_A, &w[MUTE]), QN_AGAIN);
  WAIT_UNTIL(w[MUTE].done);
  CHECK(atomic_load(&peer.asked) < MUTE);
  for (int i = MUTE + 1; i < N; i++) {
    snprintf(name, sizeof name, "n%d", i);
    CHECK_INT(ask(name, QN_DNS_A, &w[i]), QN_AGAIN);
  }
  for (int i = MUTE; i < N; i++) {
    WAIT_UNTIL(w[i].done);
    CHECK_INT(w[i].result, 0);
    qn_dns_query_end(&w[i].op);
  }
  for (int i = 0; i < MUTE; i++) {
    qn_op_forget(&w[i].op);
    qn_dns_query_end(&w[i].op);
  }
  check_idle();
  end();
}

/* The first one is a closed port. */
static void two_servers(void)
{
  qn_addr_t at;
  char text[QN_ADDR_TEXT];
  int fd = peer_listen(&at, 1);
  qn_addr_text(&at, text, sizeof text);
  close(fd);
  resolver_begin(text, 15000, false);
}

/* A refusal is told to one socket call only: it must not be lost on a message that is sent next. */
TEST(two_at_once_to_a_closed_port)
{
  wire_op_t a, b;
  loop_begin();
  dns_peer_begin(&peer);
  two_servers();
  uint64_t began = qn_loop_fresh(wire.loop);
  REQUIRE_INT(ask("one.test", QN_DNS_A, &a), QN_AGAIN);
  REQUIRE_INT(ask("two.test", QN_DNS_A, &b), QN_AGAIN);
  WAIT_UNTIL(a.done && b.done);
  CHECK(qn_loop_fresh(wire.loop) - began < 10000);
  CHECK_INT(a.result, 0);
  CHECK_INT(b.result, 0);
  qn_dns_query_end(&a.op);
  qn_dns_query_end(&b.op);
  end();
}

/* A reply of the second server is there when only one server is left. */
TEST(a_reply_of_a_server_that_is_gone)
{
  wire_op_t w;
  loop_begin();
  dns_peer_begin(&peer);
  two_servers();
  REQUIRE_INT(ask("tcone.test", QN_DNS_A, &w), QN_AGAIN);
  qn__dns_t *d = &resolver->dns;
  while (atomic_load(&peer.asked) == 0 || d->arrived.next == &d->arrived) {
    qn_loop_turn(wire.loop, QN_TURN_NOWAIT);
  }
  qn__dns_ways_t ways = d->ways;
  REQUIRE_INT(qn__dns_set_servers(d, &peer.at, 1, &ways), 0);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  qn_dns_query_end(&w.op);
  check_idle();
  end();
}

TEST(a_server_that_takes_only_so_many)
{
  enum { N = 400 };
  static wire_op_t w[N];
  char name[64];
  loop_begin();
  dns_peer_begin(&peer);
  resolver_begin(NULL, PATIENT_MS, false);
  atomic_store(&peer.held, true); /* until it has more than it takes */
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "crowd%d.test", i);
    CHECK_INT(ask(name, QN_DNS_A, &w[i]), QN_AGAIN);
  }
  WAIT_UNTIL(atomic_load(&peer.asked) > 150);
  atomic_store(&peer.held, false);
  for (int i = 0; i < N; i++) {
    WAIT_UNTIL(w[i].done);
    CHECK_INT(w[i].result, 0);
    qn_dns_query_end(&w[i].op);
  }
  CHECK(atomic_load(&peer.asked) > N);
  end();
}

TEST(the_number_of_questions_is_bounded)
{
  enum { N = 32768 };
  static wire_op_t w[N + 1];
  char name[64];
  begin();
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "drop.n%d", i);
    if (ask(name, QN_DNS_A, &w[i]) != QN_AGAIN) {
      FAIL("question %d", i);
      break;
    }
  }
  CHECK_INT(ask("drop.one.more", QN_DNS_A, &w[N]), QN_E_LIMIT);
  CHECK_INT(ask("drop.n1", QN_DNS_A, &w[N]), QN_AGAIN); /* this one is asked already */
  for (int i = 0; i <= N; i++) {
    qn_op_forget(&w[i].op);
    qn_dns_query_end(&w[i].op);
  }
  end();
}

/* --- shortages -------------------------------------------------------------------------------- */

TEST(no_memory)
{
  bool failed = true;
  for (uint64_t nth = 1; failed && nth < 100; nth++) {
    wire_op_t w;
    loop_begin();
    dns_peer_begin(&peer);
    resolver_begin(NULL, PATIENT_MS, true);
    TEST_ROUND("allocation %d", (int)nth);
    qn_alloc_fail_at(nth);
    int64_t rc = query("tc.test", QN_DNS_A, &w);
    failed = qn_alloc_failed();
    CHECK(rc == 0 || (failed && (rc == -ENOMEM || rc == QN_E_DNS_UNREACHABLE)));
    qn_dns_query_end(&w.op);
    CHECK_INT(result_of("one.test"), 0);
    end();
  }
  CHECK(!failed);
}

TEST(no_descriptors)
{
  struct rlimit old, few;
  wire_op_t w;
  begin();
  turns(2);
  int fd = dup(0);
  REQUIRE_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
  few = old;
  few.rlim_cur = (rlim_t)fd;
  close(fd);
  REQUIRE_INT(ask("one.test", QN_DNS_A, &w), QN_AGAIN);
  REQUIRE_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
  WAIT_UNTIL(w.done);
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK_INT(w.result, -EMFILE);
  qn_dns_query_end(&w.op);
  CHECK_INT(result_of("one.test"), 0);
  check_idle();
  end();
}

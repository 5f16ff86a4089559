/* udp_test.c: datagram sockets from C: life, batches that several sockets share, errors, limits.
 * covers: runtime/net/udp_recv.c, runtime/net/udp_send.c, runtime/net/udp_group.c,
 * runtime/net/udp_trace.c (with spec/bindings/b_trace_spec.lua),
 * runtime/net/udp_facts.c
 */
#include "qn/udp.h"

#include "test.h"
#include "wire.h"

#include <sys/resource.h>

static qn_udp_t *bound(const char *host, unsigned flags)
{
  qn_udp_t *u = NULL;
  qn_addr_t a;
  REQUIRE_INT(qn_addr_parse(&a, host, 0, QN_FAMILY_ANY), 0);
  REQUIRE_INT(qn_udp_new(wire.loop, flags, &u), 0);
  REQUIRE_INT(qn_udp_bind(u, &a, 0), 0);
  CHECK_INT(qn_udp_state(u), QN_UDP_BOUND);
  return u;
}

static qn_addr_t address_of(const qn_udp_t *u)
{
  qn_addr_t a;
  REQUIRE_INT(qn_udp_local_addr(u, &a), 0);
  if (qn_addr_is_any(&a)) {
    REQUIRE_INT(qn_addr_parse(&a, "127.0.0.1", qn_addr_port(&a), QN_FAMILY_ANY), 0);
  }
  return a;
}

static int send_text(qn_udp_t *u, const char *text, const qn_udp_t *to)
{
  qn_addr_t a = address_of(to);
  qn_udp_out_t o = {.data = {(const uint8_t *)text, strlen(text)}};
  qn_udp_out_to(&o, &a);
  return qn_udp_send(u, &o);
}

/* Waits for one datagram and compares it. */
static void expect(qn_udp_t *u, const char *text)
{
  wire_op_t w;
  qn_slice_t data;
  qn_udp_info_t info;
  qn_addr_t peer;
  int rc = qn_udp_wait(u, op_new(&w));
  if (rc == QN_AGAIN) {
    WAIT_UNTIL(w.done);
    rc = (int)w.result;
  }
  REQUIRE_INT(rc, 0);
  REQUIRE_INT(qn_udp_peek(u, &data, &info, &peer), 0);
  CHECK_MEM(data.data, data.size, text, strlen(text));
  CHECK_INT(info.size, strlen(text));
  qn_udp_take(u, SIZE_MAX);
}

TEST(one_there_and_back)
{
  loop_begin();
  qn_udp_t *a = bound("127.0.0.1", 0), *b = bound("*", 0);
  CHECK_INT(send_text(a, "ping", b), 0);
  expect(b, "ping");
  CHECK_INT(send_text(b, "", a), 0);
  expect(a, "");
  qn_udp_release(a);
  qn_udp_release(b);
  loop_end();
}

TEST(a_batch_that_another_socket_interrupts_is_kept)
{
  loop_begin();
  qn_udp_t *a = bound("127.0.0.1", 0), *b = bound("127.0.0.1", 0), *c = bound("127.0.0.1", 0);
  char text[16];
  for (int i = 0; i < 20; i++) {
    snprintf(text, sizeof text, "b%d", i);
    CHECK_INT(send_text(a, text, b), 0);
    text[0] = 'c';
    CHECK_INT(send_text(a, text, c), 0);
  }
  qn_udp_stats_t s;
  for (int i = 0; i < 20; i++) {
    TEST_ROUND("%d", i);
    snprintf(text, sizeof text, "b%d", i);
    expect(b, text);
    text[0] = 'c';
    expect(c, text);
    qn_udp_get_stats(b, &s);
    CHECK(s.queued <= QN_UDP_BATCH);
  }
  CHECK_INT(s.received, 20);
  CHECK(s.calls < 20);
  CHECK_INT(qn_udp_pending(b), QN_AGAIN);
  CHECK_INT(send_text(a, "left", b), 0);
  CHECK_INT(send_text(a, "lost", b), 0);
  CHECK_INT(qn_udp_pending(b), 4);
  CHECK_INT(send_text(a, "x", c), 0);
  CHECK_INT(qn_udp_pending(c), 1); /* b's batch moves out */
  expect(b, "left");
  qn_udp_release(b); /* with a datagram in its own block */
  qn_udp_release(c); /* with one in the area */
  qn_udp_release(a);
  loop_end();
}

TEST(no_memory_to_move_a_batch_out_loses_nothing)
{
  loop_begin();
  qn_udp_t *a = bound("127.0.0.1", 0), *b = bound("127.0.0.1", 0), *c = bound("127.0.0.1", 0);
  qn_slice_t data;
  qn_udp_info_t info;
  qn_addr_t peer;
  CHECK_INT(send_text(a, "b", b), 0);
  CHECK_INT(qn_udp_pending(b), 1);
  CHECK_INT(send_text(a, "c", c), 0);
  qn_alloc_fail_at(1);
  CHECK_INT(qn_udp_pending(c), QN_AGAIN);
  CHECK(qn_alloc_failed());
  CHECK_INT(qn_udp_peek(c, &data, &info, &peer), -ENOMEM);
  expect(b, "b");
  expect(c, "c");
  qn_udp_release(a);
  qn_udp_release(b);
  qn_udp_release(c);
  loop_end();
}

/* Everything that allocates, with the Nth request failing. */
static int whole_life(qn_udp_t **u)
{
  qn_addr_t a;
  qn_udp_stats_t s;
  int rc = qn_udp_new(wire.loop, 0, u);
  rc = rc == 0 ? qn_udp_set_option(*u, "ttl", 9) : rc;
  qn_addr_parse(&a, "127.0.0.1", 0, QN_FAMILY_ANY);
  rc = rc == 0 ? qn_udp_bind(*u, &a, 0) : rc;
  if (rc == 0) {
    qn_slice_t data;
    qn_udp_info_t info;
    REQUIRE_INT(send_text(*u, "x", *u), 0);
    (void)qn_udp_pending(*u);
    rc = qn_udp_peek(*u, &data, &info, &a);
    qn_udp_get_stats(*u, &s);
  }
  return rc;
}

TEST(the_nth_allocation_fails)
{
  int rc = -ENOMEM;
  for (uint64_t n = 1; rc < 0 && n < 20; n++) {
    qn_udp_t *u = NULL;
    TEST_ROUND("%d", (int)n);
    loop_begin();
    qn_alloc_fail_at(n);
    rc = whole_life(&u);
    if (qn_alloc_failed()) {
      CHECK_INT(rc, -ENOMEM);
    } else {
      CHECK_INT(rc, 0);
    }
    qn_alloc_fail_at(0);
    qn_udp_release(u);
    turns(2);
    loop_end();
  }
  CHECK_INT(rc, 0);
}

TEST(many_at_once_in_segments)
{
  loop_begin();
  qn_udp_t *a = bound("127.0.0.1", 0), *b = bound("127.0.0.1", 0);
  qn_addr_t to = address_of(b);
  qn_udp_out_t v[QN_UDP_SEND_BATCH + 1];
  char texts[QN_UDP_SEND_BATCH + 1][24];
  for (size_t i = 0; i < QN_UDP_SEND_BATCH + 1; i++) {
    snprintf(texts[i], sizeof texts[i], "%03d%.*s", (int)i, (int)(i == 40) * 2, "longer");
    v[i] = (qn_udp_out_t){.data = {(const uint8_t *)texts[i], strlen(texts[i])}};
    qn_udp_out_to(&v[i], &to);
  }
  CHECK_INT(qn_udp_send_many(a, v, QN_UDP_SEND_BATCH + 1), QN_UDP_SEND_BATCH);
  for (size_t i = 0; i < QN_UDP_SEND_BATCH; i++) {
    TEST_ROUND("%d", (int)i);
    expect(b, texts[i]);
  }
  qn_udp_stats_t s;
  qn_udp_get_stats(a, &s);
  CHECK_INT(s.sent, QN_UDP_SEND_BATCH);
  CHECK_INT(qn_udp_send_many(a, v, 0), 0);
  qn_udp_release(a);
  qn_udp_release(b);
  loop_end();
}

TEST(joined_datagrams_are_taken_apart)
{
  loop_begin();
  qn_udp_t *a = bound("127.0.0.1", 0), *b = bound("127.0.0.1", QN_UDP_GRO);
  qn_addr_t to = address_of(b);
  qn_udp_out_t v[10];
  char text[10][16];
  for (size_t i = 0; i < 10; i++) {
    snprintf(text[i], sizeof text[i], i == 9 ? "%d" : "%d234", (int)i);
    v[i] = (qn_udp_out_t){.data = {(const uint8_t *)text[i], strlen(text[i])}};
    qn_udp_out_to(&v[i], &to);
  }
  CHECK_INT(qn_udp_send_many(a, v, 10), 10);
  for (size_t i = 0; i < 10; i++) {
    TEST_ROUND("%d", (int)i);
    expect(b, text[i]);
  }
  CHECK_INT(qn_udp_pending(b), QN_AGAIN);
  qn_udp_release(a);
  qn_udp_release(b);
  loop_end();
}

TEST(one_reader_and_one_onlooker)
{
  loop_begin();
  qn_udp_t *a = bound("127.0.0.1", 0);
  wire_op_t reader, second, looker;
  CHECK_INT(qn_udp_wait(a, op_new(&reader)), QN_AGAIN);
  CHECK_INT(qn_udp_wait(a, op_new(&second)), QN_E_BUSY);
  CHECK_INT(qn_udp_watch(a, UINT64_MAX, op_new(&looker)), QN_AGAIN);
  CHECK_INT(qn_udp_watch(a, UINT64_MAX, op_new(&second)), QN_E_BUSY);
  CHECK(qn_op_cancel(&reader.op, QN_E_CANCELLED));
  CHECK_INT(send_text(a, "x", a), 0);
  WAIT_UNTIL(looker.done);
  CHECK_INT(looker.result, 0);
  uint64_t mark = qn_udp_taken(a);
  CHECK_INT(qn_udp_watch(a, mark, op_new(&looker)), QN_AGAIN); /* not twice for the same */
  CHECK_INT(send_text(a, "y", a), 0);
  turns(5);
  CHECK(!looker.done);
  expect(a, "x");
  WAIT_UNTIL(looker.done); /* y is there, and x was looked at */
  expect(a, "y");
  CHECK_INT(qn_udp_wait(a, op_new(&reader)), QN_AGAIN);
  CHECK_INT(qn_udp_watch(a, qn_udp_taken(a), op_new(&looker)), QN_AGAIN);
  CHECK_INT(qn_udp_wait_writable(a, op_new(&second)), QN_AGAIN);
  qn_udp_close(a);
  qn_udp_close(a);
  WAIT_UNTIL(reader.done && looker.done && second.done);
  CHECK_INT(reader.result, QN_E_CLOSED);
  CHECK_INT(looker.result, QN_E_CLOSED);
  CHECK_INT(second.result, QN_E_CLOSED);
  CHECK_INT(qn_udp_wait(a, op_new(&reader)), QN_E_CLOSED);
  qn_udp_release(a);
  loop_end();
}

TEST(writers_are_woken)
{
  loop_begin();
  qn_udp_t *a = bound("127.0.0.1", 0);
  wire_op_t one, two;
  CHECK_INT(qn_udp_wait_writable(a, op_new(&one)), QN_AGAIN);
  CHECK_INT(qn_udp_wait_writable(a, op_new(&two)), QN_AGAIN);
  CHECK(qn_op_cancel(&one.op, QN_E_CANCELLED));
  WAIT_UNTIL(one.done && two.done);
  CHECK_INT(two.result, 0);
  turns(5); /* nothing spins, nothing is left */
  qn_udp_release(a);
  loop_end();
}

/* A bind after a connection makes a new descriptor, which those who wait must not miss. */
TEST(writers_are_woken_by_a_new_descriptor)
{
  loop_begin();
  qn_udp_t *u = NULL;
  qn_addr_t a = loopback(9), local = loopback(0);
  wire_op_t w;
  REQUIRE_INT(qn_udp_new(wire.loop, 0, &u), 0);
  REQUIRE_INT(qn_udp_connect(u, &a), 0);
  CHECK_INT(qn_udp_wait_writable(u, op_new(&w)), QN_AGAIN);
  CHECK_INT(qn_udp_disconnect(u), 0);
  CHECK_INT(qn_udp_bind(u, &local, 0), 0);
  turns(5);
  CHECK(w.done);
  qn_udp_release(u);
  loop_end();
}

TEST(a_socket_that_nobody_reads_lets_the_loop_sleep)
{
  loop_begin();
  qn_udp_t *a = bound("127.0.0.1", 0);
  wire_op_t w;
  CHECK_INT(qn_udp_wait(a, op_new(&w)), QN_AGAIN);
  CHECK(qn_op_cancel(&w.op, QN_E_CANCELLED));
  CHECK_INT(send_text(a, "x", a), 0);
  WAIT_UNTIL(w.done);
  turns(3);
  uint64_t before = qn_loop_turns(wire.loop);
  for (int i = 0; i < 3; i++) {
    turn(); /* each waits for a tick */
  }
  CHECK(qn_loop_turns(wire.loop) - before <= 6);
  expect(a, "x");
  qn_udp_release(a);
  loop_end();
}

TEST(refusals_are_errors_of_the_next_call)
{
  loop_begin();
  qn_udp_t *gone = bound("127.0.0.1", 0), *u = NULL;
  qn_addr_t dead = address_of(gone), peer;
  qn_slice_t data;
  qn_udp_info_t info;
  wire_op_t w;
  qn_udp_release(gone);
  REQUIRE_INT(qn_udp_new(wire.loop, 0, &u), 0);
  CHECK_INT(qn_udp_send(u, &(qn_udp_out_t){0}), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_udp_disconnect(u), QN_E_NOT_CONNECTED);
  REQUIRE_INT(qn_udp_connect(u, &dead), 0);
  CHECK_INT(qn_udp_connect(u, &dead), QN_E_IS_CONNECTED);
  CHECK_INT(qn_udp_send(u, &(qn_udp_out_t){.data = {(const uint8_t *)"x", 1}}), 0);
  if (qn_udp_wait(u, op_new(&w)) == QN_AGAIN) {
    WAIT_UNTIL(w.done);
  }
  CHECK_INT(qn_udp_peek(u, &data, &info, &peer), -ECONNREFUSED);
  CHECK_INT(qn_udp_peek(u, &data, &info, &peer), QN_AGAIN);
  CHECK_INT(qn_udp_disconnect(u), 0);
  CHECK_INT(qn_udp_state(u), QN_UDP_UNCONNECTED); /* its port went with the connection */
  qn_udp_release(u);
  /* unconnected, with reports: the peer is named, and other peers are not disturbed */
  qn_udp_t *other = bound("127.0.0.1", 0);
  u = bound("127.0.0.1", QN_UDP_ERRORS);
  qn_udp_out_t o = {.data = {(const uint8_t *)"x", 1}};
  qn_udp_out_to(&o, &dead);
  CHECK_INT(qn_udp_send(u, &o), 0);
  CHECK_INT(send_text(u, "fine", other), 0);
  expect(other, "fine");
  if (qn_udp_wait(u, op_new(&w)) == QN_AGAIN) {
    WAIT_UNTIL(w.done);
  }
  CHECK_INT(qn_udp_peek(u, &data, &info, &peer), -ECONNREFUSED);
  CHECK(qn_addr_equal(&peer, &dead));
  qn_udp_release(u);
  qn_udp_release(other);
  loop_end();
}

/* Who made it had asked for reports: while one waits, poll says so again and again. */
TEST(reports_of_an_adopted_socket_do_not_spin)
{
  loop_begin();
  qn_udp_t *gone = bound("127.0.0.1", 0), *u = NULL;
  qn_addr_t dead = address_of(gone), peer;
  qn_slice_t data;
  qn_udp_info_t info;
  wire_op_t w;
  int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  REQUIRE_INT(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
  REQUIRE_INT(qn_udp_adopt(wire.loop, fd, 0, &u), 0);
  qn_udp_out_t o = {.data = {(const uint8_t *)"x", 1}};
  qn_udp_out_to(&o, &dead);
  qn_udp_release(gone);
  CHECK_INT(qn_udp_send(u, &o), 0);
  int told = 0;
  for (int i = 0; i < 4 && told < 3; i++) { /* the kernel tells it twice at most */
    if (qn_udp_wait(u, op_new(&w)) == QN_AGAIN) {
      turns(5);
      if (!w.done) {
        break;
      }
    }
    told += qn_udp_peek(u, &data, &info, &peer) == -ECONNREFUSED;
  }
  CHECK(told == 1 || told == 2);
  CHECK(!w.done);
  qn_udp_stats_t before, after;
  qn_udp_get_stats(u, &before);
  turns(20);
  qn_udp_get_stats(u, &after);
  CHECK_INT(after.calls, before.calls);
  qn_udp_release(u);
  loop_end();
}

TEST(descriptors_run_out)
{
  loop_begin();
  struct rlimit old, none;
  qn_addr_t a = loopback(0);
  qn_udp_t *u = NULL;
  REQUIRE_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
  none = old;
  none.rlim_cur = 0;
  REQUIRE_INT(qn_udp_new(wire.loop, 0, &u), 0);
  REQUIRE_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
  int rc = qn_udp_bind(u, &a, 0), rc2 = qn_udp_connect(u, &a);
  REQUIRE_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
  CHECK_INT(rc, -EMFILE);
  CHECK_INT(rc2, -EMFILE);
  CHECK_INT(qn_udp_bind(u, &a, 0), 0); /* nothing was spoilt */
  qn_udp_release(u);
  loop_end();
}

TEST(adopting)
{
  loop_begin();
  qn_udp_t *u = NULL;
  int fds[2], tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(qn_udp_adopt(wire.loop, tcp, 0, &u), QN_E_UNSUPPORTED);
  CHECK_INT(close(tcp), 0); /* it stayed ours */
  REQUIRE_INT(pipe2(fds, O_CLOEXEC), 0);
  CHECK_INT(qn_udp_adopt(wire.loop, fds[0], 0, &u), -ENOTSOCK);
  close(fds[0]);
  close(fds[1]);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  REQUIRE_INT(qn_udp_adopt(wire.loop, fd, 0, &u), 0);
  CHECK_INT(qn_udp_state(u), QN_UDP_UNCONNECTED);
  CHECK_INT(qn_udp_fd(u), fd);
  qn_addr_t a = loopback(0);
  CHECK_INT(qn_udp_bind(u, &a, 0), 0);
  qn_udp_release(u);
  loop_end();
}

TEST(groups)
{
  loop_begin();
  qn_udp_t *u = NULL;
  qn_addr_t group, group6, plain = loopback(0);
  unsigned interface = 99;
  qn_addr_parse(&group, "239.255.43.21", 0, QN_FAMILY_ANY);
  qn_addr_parse(&group6, "ff01::114", 0, QN_FAMILY_ANY);
  int lo = qn_udp_interface_of(&plain);
  CHECK(lo > 0);
  qn_addr_t foreign;
  qn_addr_parse(&foreign, "192.0.2.77", 0, QN_FAMILY_ANY);
  CHECK_INT(qn_udp_interface_of(&foreign), -ENODEV);
  REQUIRE_INT(qn_udp_new(wire.loop, 0, &u), 0);
  CHECK_INT(qn_udp_join(u, &group, (unsigned)lo, NULL), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_udp_set_multicast_interface(u, (unsigned)lo), 0); /* kept over bind */
  qn_addr_parse(&plain, "*", 0, QN_FAMILY_ANY);
  REQUIRE_INT(qn_udp_bind(u, &plain, 0), 0);
  CHECK_INT(qn_udp_multicast_interface(u, &interface), 0);
  CHECK_INT(interface, lo);
  CHECK_INT(qn_udp_join(u, &group, (unsigned)lo, NULL), 0);
  CHECK_INT(qn_udp_join(u, &group, (unsigned)lo, NULL), -EADDRINUSE);
  CHECK_INT(qn_udp_join(u, &group6, (unsigned)lo, NULL), 0);
  qn_udp_out_t o = {.data = {(const uint8_t *)"all", 3}};
  qn_addr_t own = address_of(u);
  qn_addr_set_port(&group, qn_addr_port(&own));
  qn_udp_out_to(&o, &group);
  CHECK_INT(qn_udp_send(u, &o), 0);
  expect(u, "all");
  CHECK_INT(qn_udp_leave(u, &group, (unsigned)lo, NULL), 0);
  CHECK_INT(qn_udp_leave(u, &group, (unsigned)lo, NULL), -EADDRNOTAVAIL);
  CHECK_INT(qn_udp_leave(u, &group6, (unsigned)lo, NULL), 0);
  CHECK_INT(qn_udp_join(u, &group, (unsigned)lo, &group6), QN_E_INVALID);
  qn_udp_release(u);
  loop_end();
}

/* f_socket_test.c: the socket filter against raw peers: readiness, partial writes, every end.
 * covers: runtime/stream/f_socket_io.c
 */
#include "test.h"
#include "wire.h"

#include "stream/stream_i.h"

#include <netinet/tcp.h>

#define MIB (1024u * 1024u)

static uint8_t pattern(size_t i) { return (uint8_t)(i * 131 + (i >> 8)); }

static uint8_t *make_pattern(size_t size)
{
  uint8_t *p = malloc(size);
  if (p == NULL) {
    abort();
  }
  for (size_t i = 0; i < size; i++) {
    p[i] = pattern(i);
  }
  return p;
}

/* --- reading --------------------------------------------------------------------------------- */

TEST(bytes_then_the_end)
{
  int fds[2];
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  CHECK_INT(qn_stream_state(s), QN_STATE_CONNECTED);
  send(fds[1], "hello", 5, 0);
  CHECK_INT(want(s, QN_WANT_SOME, 100), 5);
  CHECK(got_is(s, "hello"));
  send(fds[1], "more", 4, 0);
  close(fds[1]);
  CHECK_INT(want(s, QN_WANT_UPTO, 100), 4);
  CHECK(got_is(s, "more"));
  CHECK_INT(want(s, QN_WANT_SOME, 100), 0);
  CHECK(qn_stream_at_end(s));
  CHECK_INT(want(s, QN_WANT_SOME, 100), 0);
  stream_end(s);
  loop_end();
}

/* As much as the socket takes now. */
static size_t send_some(int fd, const uint8_t *p, size_t size)
{
  size_t sent = 0;
  while (sent < size) {
    ssize_t n = send(fd, p + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
      break;
    }
    REQUIRE(n > 0);
    sent += (size_t)n;
  }
  return sent;
}

TEST(reads_larger_than_a_chunk)
{
  int fds[2];
  size_t total = 5 * MIB, sent = 0, seen = 0;
  uint8_t *bytes = make_pattern(total);
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  while (seen < total) {
    sent += send_some(fds[1], bytes + sent, total - sent);
    int64_t n = want(s, QN_WANT_SOME, SIZE_MAX);
    REQUIRE(n > 0);
    REQUIRE(memcmp(qn_stream_data(s).data, bytes + seen, (size_t)n) == 0);
    qn_stream_consume(s, (size_t)n);
    seen += (size_t)n;
  }
  CHECK_UINT(seen, total);
  CHECK_UINT(qn_stream_received(s), total);
  free(bytes);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

TEST(exact_wants_of_a_mebibyte)
{
  int fds[2];
  uint8_t *bytes = make_pattern(MIB);
  size_t sent = 0;
  wire_op_t w;
  qn_got_t got;
  loop_begin();
  unix_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  qn_want_t all = {.kind = QN_WANT_EXACT, .n = MIB};
  REQUIRE_INT(qn_stream_want(s, op_new(&w), &all, &got), QN_AGAIN);
  while (!w.done) {
    sent += send_some(fds[1], bytes + sent, MIB - sent);
    turns(1);
  }
  CHECK_INT(w.result, 0);
  REQUIRE_INT(qn_stream_got(s).size, MIB);
  CHECK(memcmp(qn_stream_data(s).data, bytes, MIB) == 0);
  free(bytes);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

TEST(nobody_reads_then_nothing_spins)
{
  int fds[2];
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  turns(2);
  CHECK(!qn_loop_alive(wire.loop)); /* nobody has asked: nothing is watched */
  send(fds[1], "a", 1, 0);
  CHECK_INT(want(s, QN_WANT_SOME, 1), 1);
  CHECK(got_is(s, "a"));
  qn_stream_set_read_limit(s, 4);
  send(fds[1], "0123456789", 10, 0);
  for (int i = 0; i < 100 && qn_loop_alive(wire.loop); i++) {
    qn_loop_turn(wire.loop, QN_TURN_NOWAIT);
  }
  CHECK(!qn_loop_alive(wire.loop)); /* POLLIN is off although there are bytes */
  CHECK_INT(want(s, QN_WANT_EXACT, 10), 10);
  CHECK(got_is(s, "0123456789"));
  close(fds[1]);
  stream_end(s);
  loop_end();
}

TEST(after_the_end_nothing_spins)
{
  int fds[2];
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  shutdown(fds[1], SHUT_WR);
  CHECK_INT(want(s, QN_WANT_SOME, 1), 0);
  for (int i = 0; i < 100 && qn_loop_alive(wire.loop); i++) {
    qn_loop_turn(wire.loop, QN_TURN_NOWAIT);
  }
  CHECK(!qn_loop_alive(wire.loop));
  close(fds[1]);
  stream_end(s);
  loop_end();
}

TEST(read_into_foreign_memory)
{
  static uint8_t mine[100];
  int fds[2];
  wire_op_t w;
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  CHECK_INT(qn_stream_read_into(s, op_new(&w), mine, sizeof mine), QN_AGAIN);
  send(fds[1], "straight", 8, 0);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  CHECK_INT(qn_stream_read_into(s, op_new(&w), mine, sizeof mine), 8);
  CHECK_MEM(mine, 8, "straight", 8);
  CHECK_INT(qn_stream_read_into(s, op_new(&w), mine, sizeof mine), QN_AGAIN);
  close(fds[1]);
  WAIT_UNTIL(w.done);
  CHECK_INT(qn_stream_read_into(s, op_new(&w), mine, sizeof mine), 0);
  stream_end(s);
  loop_end();
}

/* --- writing --------------------------------------------------------------------------------- */

TEST(small_writes_leave_together_at_the_end_of_the_turn)
{
  int fds[2];
  char text[32];
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(qn_stream_write(s, NULL, NULL, &(qn_slice_t){(const uint8_t *)"abc", 3}, 1), 0);
  }
  CHECK_UINT(qn_stream_queued(s), 9);
  CHECK(!peer_readable(fds[1]));
  turns(1);
  CHECK_UINT(qn_stream_queued(s), 0);
  CHECK_INT(recv(fds[1], text, sizeof text, 0), 9);
  CHECK_MEM(text, 9, "abcabcabc", 9);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

TEST(large_writes_leave_at_once_behind_small_ones)
{
  static uint8_t seen[32 * 1024];
  int fds[2];
  uint8_t *bytes = make_pattern(20 * 1024);
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  CHECK_INT(qn_stream_write(s, NULL, NULL, &(qn_slice_t){(const uint8_t *)"<small>", 7}, 1), 0);
  CHECK(!peer_readable(fds[1]));
  qn_slice_t v[3] = {{bytes, 4096}, {bytes + 4096, 0}, {bytes + 4096, 16384}};
  CHECK_INT(qn_stream_write(s, NULL, NULL, v, 3), 0);
  CHECK_UINT(qn_stream_queued(s), 0);
  size_t n = 0;
  while (n < 7 + 20480) { /* no turn of the loop in between */
    ssize_t got = recv(fds[1], seen + n, sizeof seen - n, 0);
    REQUIRE(got > 0);
    n += (size_t)got;
  }
  CHECK_MEM(seen, 7, "<small>", 7);
  CHECK(memcmp(seen + 7, bytes, 20480) == 0);
  free(bytes);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

static void slow_reader(int fds[2], size_t total, size_t slices)
{
  uint8_t *bytes = make_pattern(total);
  uint8_t block[3000];
  qn_slice_t v[64];
  wire_op_t w, flushed;
  size_t seen = 0;
  qn_stream_t *s = stream_on(fds[0]);
  REQUIRE_INT(qn_stream_set_option(s, "send_buffer", 4096), 0);
  qn_stream_set_write_mark(s, 64 * 1024);
  for (size_t i = 0, at = 0; i < slices; i++) {
    size_t size = i + 1 < slices ? total / slices : total - at;
    v[i] = (qn_slice_t){bytes + at, size};
    at += size;
  }
  int rc = qn_stream_write(s, op_new(&w), &w.writer, v, (int)slices);
  REQUIRE(rc == 0 || rc == QN_AGAIN);
  op_new(&flushed);
  REQUIRE_INT(qn_stream_flush(s, &flushed.op, &flushed.writer), QN_AGAIN);
  while (seen < total) {
    qn_loop_turn(wire.loop, QN_TURN_NOWAIT);
    CHECK(qn_stream_queued(s) <= 64 * 1024 + 64 * 1024);
    ssize_t n = recv(fds[1], block, sizeof block, MSG_DONTWAIT);
    REQUIRE(n > 0 || errno == EAGAIN);
    for (ssize_t i = 0; i < n; i++) {
      REQUIRE(block[i] == pattern(seen + (size_t)i));
    }
    seen += n > 0 ? (size_t)n : 0;
  }
  WAIT_UNTIL(flushed.done);
  CHECK(rc == 0 || (w.done && w.result == 0));
  CHECK_INT(flushed.result, 0);
  CHECK_UINT(qn_stream_queued(s), 0);
  CHECK_UINT(qn_stream_sent(s), total);
  free(bytes);
  close(fds[1]);
  stream_end(s);
}

TEST(partial_writes_tcp)
{
  int fds[2], small = 4096;
  loop_begin();
  tcp_pair(fds);
  setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  slow_reader(fds, 60000, 1);
  loop_end();
}

TEST(partial_writes_unix_in_many_slices)
{
  int fds[2];
  loop_begin();
  unix_pair(fds);
  slow_reader(fds, 300001, 61);
  loop_end();
}

TEST(more_slices_than_one_system_call_takes)
{
  enum { N = 3000 };
  static qn_slice_t v[N];
  static uint8_t seen[N * 8];
  int fds[2];
  wire_op_t w;
  loop_begin();
  unix_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  for (int i = 0; i < N; i++) {
    v[i] = (qn_slice_t){(const uint8_t *)"12345678", 8};
  }
  int rc = qn_stream_write(s, op_new(&w), &w.writer, v, N);
  if (rc == QN_AGAIN) {
    WAIT_UNTIL(w.done);
  } else {
    turns(1);
  }
  for (size_t n = 0; n < sizeof seen;) {
    ssize_t got = recv(fds[1], seen + n, sizeof seen - n, 0);
    REQUIRE(got > 0);
    n += (size_t)got;
  }
  for (int i = 0; i < N; i++) {
    REQUIRE(memcmp(seen + i * 8, "12345678", 8) == 0);
  }
  close(fds[1]);
  stream_end(s);
  loop_end();
}

/* --- ends ------------------------------------------------------------------------------------ */

TEST(half_close_by_us)
{
  int fds[2];
  char byte;
  wire_op_t w;
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  qn_stream_write(s, NULL, NULL, &(qn_slice_t){(const uint8_t *)"x", 1}, 1);
  int rc = qn_stream_finish(s, op_new(&w), &w.writer);
  if (rc == QN_AGAIN) {
    WAIT_UNTIL(w.done);
    rc = (int)w.result;
  }
  CHECK_INT(rc, 0);
  CHECK_INT(recv(fds[1], &byte, 1, 0), 1);
  CHECK_INT(recv(fds[1], &byte, 1, 0), 0);
  send(fds[1], "still", 5, 0);
  CHECK_INT(want(s, QN_WANT_EXACT, 5), 5);
  CHECK(got_is(s, "still"));
  close(fds[1]);
  CHECK_INT(want(s, QN_WANT_SOME, 1), 0);
  stream_end(s);
  loop_end();
}

TEST(half_close_by_the_peer)
{
  int fds[2];
  char text[8];
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  send(fds[1], "bye", 3, 0);
  shutdown(fds[1], SHUT_WR);
  CHECK_INT(want(s, QN_WANT_UPTO, 100), 3);
  CHECK(got_is(s, "bye"));
  CHECK_INT(want(s, QN_WANT_SOME, 1), 0);
  CHECK_INT(qn_stream_write(s, NULL, NULL, &(qn_slice_t){(const uint8_t *)"answer", 6}, 1), 0);
  turns(1);
  CHECK_INT(recv(fds[1], text, sizeof text, 0), 6);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

TEST(a_reset_is_told_after_the_bytes_before_it)
{
  int fds[2];
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  send(fds[1], "last", 4, 0);
  CHECK_INT(want(s, QN_WANT_SOME, 4), 4);
  peer_reset(fds[1]);
  CHECK_INT(want(s, QN_WANT_EXACT, 10), -ECONNRESET);
  CHECK(got_is(s, "last"));
  CHECK_INT(qn_stream_error(s), -ECONNRESET);
  stream_end(s);
  loop_end();
}

TEST(our_abort_resets_the_peer)
{
  int fds[2];
  char byte;
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  qn_stream_abort(s);
  qn_stream_release(s);
  CHECK_INT(recv(fds[1], &byte, 1, 0), -1);
  CHECK_INT(errno, ECONNRESET);
  close(fds[1]);
  loop_end();
}

TEST(our_close_sends_what_is_queued_first)
{
  int fds[2];
  char text[16];
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  qn_stream_write(s, NULL, NULL, &(qn_slice_t){(const uint8_t *)"goodbye", 7}, 1);
  stream_end(s);
  turns(2);
  CHECK_INT(recv(fds[1], text, sizeof text, MSG_WAITALL), 7);
  close(fds[1]);
  loop_end();
}

TEST(writing_to_a_peer_that_has_gone)
{
  int fds[2];
  wire_op_t w;
  loop_begin();
  unix_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  close(fds[1]);
  int rc = qn_stream_write(s, NULL, NULL, &(qn_slice_t){(const uint8_t *)"x", 1}, 1);
  CHECK_INT(rc, 0);
  rc = qn_stream_flush(s, op_new(&w), &w.writer);
  if (rc == QN_AGAIN) {
    WAIT_UNTIL(w.done);
    rc = (int)w.result;
  }
  CHECK_INT(rc, -EPIPE); /* and no signal has killed us */
  CHECK_INT(qn_stream_write(s, NULL, NULL, &(qn_slice_t){(const uint8_t *)"x", 1}, 1), -EPIPE);
  stream_end(s);
  loop_end();
}

/* The kernel tells ECONNRESET once. A send that gets it must not turn the read side into a clean
 * end. */
TEST(a_reset_seen_by_a_send_is_not_a_clean_end)
{
  int fds[2];
  wire_op_t w, r;
  qn_got_t got;
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  qn_want_t some = {.kind = QN_WANT_SOME, .n = 1};
  REQUIRE_INT(qn_stream_want(s, op_new(&r), &some, &got), QN_AGAIN);
  peer_reset(fds[1]);
  qn_stream_write(s, NULL, NULL, &(qn_slice_t){(const uint8_t *)"x", 1}, 1);
  int rc = qn_stream_flush(s, op_new(&w), &w.writer);
  if (rc == QN_AGAIN) {
    WAIT_UNTIL(w.done);
    rc = (int)w.result;
  }
  CHECK_INT(rc, -ECONNRESET);
  WAIT_UNTIL(r.done);
  CHECK_INT(r.result, -ECONNRESET);
  stream_end(s);
  loop_end();
}

/* --- facts ----------------------------------------------------------------------------------- */

TEST(addresses_and_options)
{
  int fds[2];
  qn_addr_t a, b;
  socklen_t size = sizeof b.u;
  int64_t value = -1;
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  CHECK_INT(qn_stream_fd(s), fds[0]);
  CHECK_INT(qn_stream_local_addr(s, &a), 0);
  getpeername(fds[1], &b.u.sa, &size);
  b.size = size;
  CHECK(qn_addr_equal(&a, &b));
  CHECK_INT(qn_stream_peer_addr(s, &a), 0);
  size = sizeof b.u;
  getsockname(fds[1], &b.u.sa, &size);
  CHECK(qn_addr_equal(&a, &b));
  CHECK_INT(qn_stream_set_option(s, "keepalive_idle", 33), 0);
  CHECK_INT(qn_stream_get_option(s, "keepalive_idle", &value), 0);
  CHECK_INT(value, 33);
  CHECK_INT(qn_stream_get_option(s, "error", &value), 0);
  CHECK_INT(value, 0);
  CHECK_INT(qn_stream_set_option(s, "bogus", 1), QN_E_INVALID);
  peer_reset(fds[1]);
  CHECK_INT(want(s, QN_WANT_SOME, 1), -ECONNRESET);
  CHECK_INT(qn_stream_peer_addr(s, &b), 0);
  CHECK(qn_addr_equal(&a, &b));
  stream_end(s);
  loop_end();
}

TEST(adopting_checks_the_descriptor)
{
  int fds[2];
  qn_stream_t *s;
  qn_addr_t at;
  loop_begin();
  REQUIRE_INT(pipe(fds), 0);
  CHECK_INT(qn_stream_adopt(wire.loop, fds[0], &s), -ENOTSOCK);
  CHECK_NULL(s);
  CHECK_INT(fcntl(fds[0], F_GETFD), -1); /* taken over and closed */
  close(fds[1]);
  int l = peer_listen(&at, 1);
  CHECK_INT(qn_stream_adopt(wire.loop, l, &s), QN_E_INVALID);
  CHECK_INT(qn_stream_adopt(wire.loop, socket(AF_INET, SOCK_STREAM, 0), &s), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_stream_adopt(wire.loop, socket(AF_INET, SOCK_DGRAM, 0), &s), QN_E_UNSUPPORTED);
  CHECK_INT(qn_stream_adopt(wire.loop, -1, &s), -EBADF);
  loop_end();
}

TEST(no_memory_anywhere)
{
  for (uint64_t nth = 1; nth < 40; nth++) {
    int fds[2];
    qn_stream_t *s = NULL;
    uint8_t block[40000] = {0};
    TEST_ROUND("allocation %d", (int)nth);
    loop_begin();
    tcp_pair(fds);
    send(fds[1], "hello", 5, 0);
    qn_alloc_fail_at(nth);
    int rc = qn_stream_adopt(wire.loop, fds[0], &s);
    if (rc == 0) {
      int64_t n = want(s, QN_WANT_EXACT, 5);
      CHECK(n == 5 || n == -ENOMEM);
      rc = qn_stream_write(s, NULL, NULL, &(qn_slice_t){block, 1}, 1);
      CHECK(rc == 0 || rc == -ENOMEM || n == -ENOMEM);
      rc = qn_stream_write(s, NULL, NULL, &(qn_slice_t){block, sizeof block}, 1);
      CHECK(rc == 0 || rc == -ENOMEM || n == -ENOMEM);
      turns(2);
      stream_end(s);
    } else {
      CHECK_INT(rc, -ENOMEM);
    }
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    close(fds[1]);
    loop_end();
    if (!failed) {
      CHECK(nth > 3);
      return;
    }
  }
  FAIL("the failing allocation never came to an end");
}

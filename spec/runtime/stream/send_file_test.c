/* send_file_test.c: files to streams: by the kernel, by hand, slow readers, order, every bad end.
 */
#include "test.h"
#include "wire.h"

#include "stream/stream_i.h"

#include <sys/stat.h>

#define MIB (1024u * 1024u)

static uint8_t pattern(size_t i) { return (uint8_t)(i * 131 + (i >> 9)); }

/* A file without a name that holds `size` bytes of the pattern. */
static int make_file(size_t size)
{
  char name[] = "/tmp/qn-send-file-XXXXXX";
  static uint8_t block[65536];
  int fd = mkstemp(name);
  REQUIRE(fd >= 0);
  unlink(name);
  for (size_t at = 0; at < size;) {
    size_t n = size - at < sizeof block ? size - at : sizeof block;
    for (size_t i = 0; i < n; i++) {
      block[i] = pattern(at + i);
    }
    REQUIRE_INT(write(fd, block, n), (ssize_t)n);
    at += n;
  }
  return fd;
}

typedef struct reader {
  int fd;
  size_t seen;   /* bytes of the file so far */
  size_t offset; /* where in the file it began */
  bool same, ended;
} reader_t;

/* Takes what is there, at most `size`, and compares. */
static void read_some(reader_t *r, size_t size)
{
  static uint8_t block[65536];
  ssize_t n = recv(r->fd, block, size < sizeof block ? size : sizeof block, MSG_DONTWAIT);
  r->ended = r->ended || n == 0 || (n < 0 && errno != EAGAIN);
  for (ssize_t i = 0; i < n; i++) {
    r->same = r->same && block[i] == pattern(r->offset + r->seen + (size_t)i);
  }
  r->seen += n > 0 ? (size_t)n : 0;
}

static int64_t run(wire_op_t *w, reader_t *r, size_t total, size_t piece)
{
  for (long i = 0; i < 20000000 && !(w->done && (r->seen >= total || w->result < 0)); i++) {
    qn_loop_turn(wire.loop, QN_TURN_NOWAIT);
    read_some(r, piece);
  }
  REQUIRE(w->done);
  return w->result;
}

static void whole_file(qn_stream_t *s, int peer, size_t size, size_t piece)
{
  wire_op_t w;
  reader_t r = {.fd = peer, .same = true};
  int file = make_file(size);
  REQUIRE_INT(qn_send_file(s, file, 0, UINT64_MAX, op_new(&w)), QN_AGAIN);
  CHECK_INT(run(&w, &r, size, piece), (int64_t)size);
  CHECK_UINT(r.seen, size);
  CHECK(r.same);
  CHECK_UINT(qn_send_file_sent(&w.op), size);
  CHECK_UINT(qn_stream_sent(s), size);
  CHECK_UINT(qn_stream_queued(s), 0);
  CHECK_INT(lseek(file, 0, SEEK_CUR), (off_t)size); /* the descriptor's own position is not used */
  qn_send_file_end(&w.op);
  CHECK_UINT(qn_send_file_sent(&w.op), 0);
  qn_send_file_end(&w.op);
  close(file);
}

TEST(whole_files)
{
  static const size_t sizes[] = {0, 1, 65536, 3 * MIB + 17};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    int fds[2];
    TEST_ROUND("%zu", sizes[i]);
    loop_begin();
    tcp_pair(fds);
    qn_stream_t *s = stream_on(fds[0]);
    whole_file(s, fds[1], sizes[i], SIZE_MAX);
    close(fds[1]);
    stream_end(s);
    loop_end();
  }
}

TEST(a_slow_reader)
{
  int fds[2], small = 4096;
  loop_begin();
  tcp_pair(fds);
  setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  qn_stream_t *s = stream_on(fds[0]);
  qn_stream_set_option(s, "send_buffer", 4096);
  whole_file(s, fds[1], 60001, 2000);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

/* With a layer between, nothing can go past it. */
static void no_trace(const qn_trace_event_t *e, void *data)
{
  (void)e;
  (void)data;
}

TEST(through_a_layer)
{
  int fds[2];
  char text[64];
  loop_begin();
  qn_loop_set_trace(wire.loop, no_trace, NULL);
  unix_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  qn_stream_describe(s, text, sizeof text);
  CHECK(strstr(text, "trace") != NULL);
  CHECK(!qn__filter_is_socket(qn_stream_top(s)));
  CHECK(!qn__filter_is_socket(NULL));
  qn_stream_set_write_mark(s, 100000);
  whole_file(s, fds[1], 2 * MIB + 3, 50000);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

TEST(a_part_of_a_file)
{
  int fds[2], file = make_file(100000);
  wire_op_t w;
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  reader_t r = {.fd = fds[1], .same = true, .offset = 12345};
  REQUIRE_INT(qn_send_file(s, file, 12345, 6789, op_new(&w)), QN_AGAIN);
  CHECK_INT(run(&w, &r, 6789, SIZE_MAX), 6789);
  qn_send_file_end(&w.op);
  CHECK_UINT(r.seen, 6789);
  CHECK(r.same);
  REQUIRE_INT(qn_send_file(s, file, 200000, 5, op_new(&w)), QN_AGAIN); /* behind the end */
  CHECK_INT(run(&w, &r, 0, SIZE_MAX), 0);
  qn_send_file_end(&w.op);
  REQUIRE_INT(qn_send_file(s, file, 0, 0, op_new(&w)), QN_AGAIN);
  CHECK_INT(run(&w, &r, 0, SIZE_MAX), 0);
  qn_send_file_end(&w.op);
  close(file);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

/* write, file, write, file: the bytes arrive in this order however the calls overlap. */
TEST(order_with_other_writers)
{
  enum { SIZE = 400000 };
  static uint8_t seen[3 * 3 + 2 * SIZE];
  int fds[2], file = make_file(SIZE);
  wire_op_t w[5];
  size_t n = 0;
  loop_begin();
  unix_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  qn_slice_t one = {(const uint8_t *)"one", 3}, two = {(const uint8_t *)"two", 3};
  CHECK_INT(qn_stream_write(s, NULL, NULL, &one, 1), 0);
  REQUIRE_INT(qn_send_file(s, file, 0, UINT64_MAX, op_new(&w[0])), QN_AGAIN);
  REQUIRE_INT(qn_stream_write(s, op_new(&w[1]), &w[1].writer, &two, 1), QN_AGAIN);
  REQUIRE_INT(qn_send_file(s, file, 0, UINT64_MAX, op_new(&w[2])), QN_AGAIN);
  REQUIRE_INT(qn_stream_write(s, op_new(&w[3]), &w[3].writer, &one, 1), QN_AGAIN);
  REQUIRE_INT(qn_stream_finish(s, op_new(&w[4]), &w[4].writer), QN_AGAIN);
  for (;;) {
    turns(1);
    ssize_t got = recv(fds[1], seen + n, sizeof seen - n + (n == sizeof seen), MSG_DONTWAIT);
    if (got == 0) {
      break;
    }
    REQUIRE(got > 0 || errno == EAGAIN);
    n += got > 0 ? (size_t)got : 0;
    REQUIRE(n <= sizeof seen);
  }
  CHECK_UINT(n, sizeof seen);
  CHECK_MEM(seen, 3, "one", 3);
  CHECK(seen[3] == pattern(0) && seen[3 + SIZE - 1] == pattern(SIZE - 1));
  CHECK_MEM(seen + 3 + SIZE, 3, "two", 3);
  CHECK(seen[6 + SIZE] == pattern(0));
  CHECK_MEM(seen + 6 + 2 * SIZE, 3, "one", 3);
  for (int i = 0; i < 5; i++) {
    CHECK(w[i].done && w[i].result >= 0);
  }
  qn_send_file_end(&w[0].op);
  qn_send_file_end(&w[2].op);
  close(file);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

TEST(a_file_that_shrinks_ends_early)
{
  for (int layered = 0; layered < 2; layered++) {
    int fds[2], file = make_file(4 * MIB);
    wire_op_t w;
    TEST_ROUND("layered %d", layered);
    loop_begin();
    if (layered) {
      qn_loop_set_trace(wire.loop, no_trace, NULL);
    }
    unix_pair(fds);
    qn_stream_t *s = stream_on(fds[0]);
    qn_stream_set_write_mark(s, 100000);
    reader_t r = {.fd = fds[1], .same = true};
    REQUIRE_INT(qn_send_file(s, file, 0, UINT64_MAX, op_new(&w)), QN_AGAIN);
    turns(3);
    CHECK(!w.done);
    REQUIRE_INT(ftruncate(file, 2 * MIB), 0);
    CHECK_INT(run(&w, &r, 2 * MIB, SIZE_MAX), 2 * MIB);
    CHECK(r.same);
    CHECK(qn_stream_writable(s));
    qn_send_file_end(&w.op);
    close(file);
    close(fds[1]);
    stream_end(s);
    loop_end();
  }
}

TEST(the_peer_goes_away)
{
  int fds[2], file = make_file(4 * MIB);
  wire_op_t w;
  loop_begin();
  unix_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  REQUIRE_INT(qn_send_file(s, file, 0, UINT64_MAX, op_new(&w)), QN_AGAIN);
  turns(3);
  CHECK(!w.done);
  close(fds[1]);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, -EPIPE); /* and no signal */
  CHECK(qn_send_file_sent(&w.op) > 0);
  CHECK(qn_send_file_sent(&w.op) < 4 * MIB);
  CHECK(!qn_stream_writable(s));
  qn_send_file_end(&w.op);
  close(file);
  stream_end(s);
  loop_end();
}

TEST(cancelled_half_way_the_writing_side_is_over)
{
  int fds[2], file = make_file(4 * MIB);
  wire_op_t w, next;
  loop_begin();
  unix_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  REQUIRE_INT(qn_send_file(s, file, 0, UINT64_MAX, op_new(&w)), QN_AGAIN);
  turns(3);
  CHECK(!w.done);
  CHECK(qn_op_cancel(&w.op, QN_E_CANCELLED));
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CANCELLED);
  CHECK(qn_send_file_sent(&w.op) > 0);
  qn_send_file_end(&w.op);
  CHECK(!qn_stream_writable(s)); /* the peer would see a torn file */
  CHECK(qn_send_file(s, file, 0, 1, op_new(&next)) < 0);
  close(file);
  close(fds[1]);
  stream_end(s);
  loop_end();
}

TEST(closing_the_stream_settles_it)
{
  int fds[2], file = make_file(4 * MIB);
  wire_op_t w;
  loop_begin();
  unix_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  REQUIRE_INT(qn_send_file(s, file, 0, UINT64_MAX, op_new(&w)), QN_AGAIN);
  turns(3);
  qn_stream_abort(s);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  qn_send_file_end(&w.op);
  qn_stream_release(s);
  close(file);
  close(fds[1]);
  loop_end();
}

TEST(what_cannot_be_sent)
{
  int fds[2], pipes[2];
  wire_op_t w;
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  op_new(&w);
  CHECK_INT(qn_send_file(s, -1, 0, 1, &w.op), -EBADF);
  int folder = open("/tmp", O_RDONLY | O_DIRECTORY);
  CHECK_INT(qn_send_file(s, folder, 0, 1, &w.op), QN_E_INVALID);
  close(folder);
  REQUIRE_INT(pipe(pipes), 0);
  CHECK_INT(qn_send_file(s, pipes[0], 0, 1, &w.op), QN_E_INVALID);
  close(pipes[0]);
  close(pipes[1]);
  int write_only = open("/dev/null", O_WRONLY);
  CHECK_INT(qn_send_file(s, write_only, 0, 1, &w.op), -EBADF);
  close(write_only);
  int file = make_file(10);
  CHECK_INT(qn_send_file(s, file, UINT64_MAX, 1, &w.op), QN_E_INVALID);
  CHECK(qn_op_idle(&w.op));
  CHECK(qn_stream_writable(s));
  stream_end(s);
  qn_stream_t *unconnected = qn_stream_new(wire.loop);
  CHECK_INT(qn_send_file(unconnected, file, 0, 1, &w.op), QN_E_NOT_CONNECTED);
  qn_stream_close(unconnected);
  CHECK_INT(qn_send_file(unconnected, file, 0, 1, &w.op), QN_E_CLOSED);
  qn_stream_release(unconnected);
  close(file);
  close(fds[1]);
  loop_end();
}

TEST(no_memory)
{
  for (int layered = 0; layered < 2; layered++) {
    for (uint64_t nth = 1; nth < 20; nth++) {
      int fds[2], file = make_file(100000);
      wire_op_t w;
      TEST_ROUND("layered %d, allocation %d", layered, (int)nth);
      loop_begin();
      if (layered) {
        qn_loop_set_trace(wire.loop, no_trace, NULL);
      }
      tcp_pair(fds);
      qn_stream_t *s = stream_on(fds[0]);
      reader_t r = {.fd = fds[1], .same = true};
      qn_alloc_fail_at(nth);
      int64_t rc = qn_send_file(s, file, 0, UINT64_MAX, op_new(&w));
      if (rc == QN_AGAIN) {
        rc = run(&w, &r, 100000, SIZE_MAX);
        CHECK(rc == 100000 || rc == -ENOMEM);
        qn_send_file_end(&w.op);
      } else {
        CHECK_INT(rc, -ENOMEM);
      }
      bool failed = qn_alloc_failed();
      qn_alloc_fail_at(0);
      CHECK(r.same);
      close(file);
      close(fds[1]);
      stream_end(s);
      loop_end();
      if (!failed) {
        break;
      }
      CHECK(nth < 19);
    }
  }
}

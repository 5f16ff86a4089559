/* Streams over files: sizes around the pieces, the shared position, append, errors that nobody
 * loses, cancellation and closing at any point, memory that runs out.
 */
#include "runtime/stream/file_rig.h"

#include <signal.h>
#include <sys/resource.h>

enum { PIECE = 64 * 1024 };
static uint8_t pattern[5 * PIECE + 1000];

static void fill_pattern(void)
{
  for (size_t i = 0; i < sizeof pattern; i++) {
    pattern[i] = (uint8_t)(i * 31 + i / 251);
  }
}

/* Everything until the end, in items of at most `item` bytes; true: it is the pattern. */
static bool same_from(files_t *x, size_t from, size_t size, size_t item)
{
  for (size_t at = 0;;) {
    note_t note;
    qn_got_t got;
    qn_want_t want = {.kind = QN_WANT_UPTO, .n = item};
    note_init(&note, x->loop);
    int rc = qn_stream_want(x->s, &note.op, &want, &got);
    if (rc == QN_AGAIN) {
      TURN_UNTIL(x->loop, note.done);
      rc = (int)note.result;
      got = qn_stream_got(x->s);
    }
    if (rc != 0) {
      return false;
    }
    if (got.size == 0) {
      return at == size;
    }
    if (at + got.size > size ||
        memcmp(qn_stream_data(x->s).data, pattern + from + at, got.size) != 0) {
      return false;
    }
    at += got.size;
    qn_stream_consume(x->s, got.size);
  }
}

/* --- reading ---------------------------------------------------------------------------------- */

TEST(sizes_around_the_pieces)
{
  static const size_t sizes[] = {0,         1,         PIECE - 1,     PIECE,
                                 PIECE + 1, 2 * PIECE, 4 * PIECE - 1, 4 * PIECE + 1};
  static const size_t items[] = {1000, PIECE - 1, PIECE, PIECE + 1, 6 * PIECE};
  fill_pattern();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    for (size_t k = 0; k < sizeof items / sizeof items[0]; k++) {
      TEST_ROUND("size %zu item %zu", sizes[i], items[k]);
      files_t x;
      files_open(&x, pattern, sizes[i]);
      over(&x, O_RDONLY);
      CHECK(same_from(&x, 0, sizes[i], items[k]));
      CHECK(qn_stream_at_end(x.s));
      CHECK_INT(qn_stream_state(x.s), QN_STATE_CONNECTED);
      files_close(&x);
    }
  }
}

TEST(reads_ahead_up_to_the_limit_and_not_unasked)
{
  files_t x;
  reading_t r;
  fill_pattern();
  files_open(&x, pattern, sizeof pattern);
  over(&x, O_RDONLY);
  settle_all(x.loop);
  CHECK_INT(stats_of(x.loop).ops, 0);
  CHECK_UINT(qn_stream_available(x.s), 0);
  CHECK_INT(get(&x, &r, exact(10)), 0);
  TURN_UNTIL(x.loop, qn_stream_available(x.s) == 4 * PIECE);
  settle_all(x.loop);
  CHECK_UINT(qn_stream_available(x.s), 4 * PIECE);
  CHECK_INT(stats_of(x.loop).ops, 0); /* the limit holds it back */
  files_close(&x);
}

TEST(a_small_limit_means_small_reads)
{
  files_t x;
  reading_t r;
  fill_pattern();
  files_open(&x, pattern, 3000);
  over(&x, O_RDONLY);
  qn_stream_set_read_limit(x.s, 100);
  CHECK_INT(get(&x, &r, exact(10)), 0);
  settle_all(x.loop);
  CHECK(qn_stream_available(x.s) <= 100);
  CHECK(same_from(&x, 10, 2990, 77));
  files_close(&x);
}

TEST(an_offset_to_begin_with)
{
  files_t x;
  reading_t r;
  files_open(&x, "0123456789", 10);
  int fd = open(x.path, O_RDONLY);
  REQUIRE_INT(stream_over(&x, fd, 7), 0);
  CHECK_INT(tell(&x), 7);
  CHECK_INT(get(&x, &r, all(0)), 0);
  CHECK_READ(r, "789");
  files_close(&x);
}

TEST(a_cancelled_read_loses_nothing)
{
  fill_pattern();
  for (int turns = 0; turns < 8; turns++) {
    TEST_ROUND("after %d turns", turns);
    files_t x;
    reading_t r;
    files_open(&x, pattern, 2 * PIECE);
    over(&x, O_RDONLY);
    REQUIRE_INT(start_read(&r, x.s, exact(2 * PIECE)), QN_AGAIN);
    for (int i = 0; i < turns && !r.note.done; i++) {
      qn_loop_turn(x.loop, QN_TURN_NOWAIT);
    }
    if (qn_op_cancel(&r.note.op, QN_E_CANCELLED)) {
      TURN_UNTIL(x.loop, r.note.done);
      CHECK(same_from(&x, 0, 2 * PIECE, 5000));
    }
    files_close(&x);
  }
}

/* --- writing ---------------------------------------------------------------------------------- */

TEST(written_in_order_whatever_the_sizes)
{
  fill_pattern();
  for (size_t piece = 1000; piece <= 2 * PIECE; piece = piece * 3 + 1) {
    TEST_ROUND("pieces of %zu", piece);
    files_t x;
    static uint8_t back[sizeof pattern];
    files_open(&x, "", 0);
    over(&x, O_WRONLY);
    for (size_t at = 0; at < sizeof pattern; at += piece) {
      size_t n = sizeof pattern - at < piece ? sizeof pattern - at : piece;
      CHECK_INT(put(x.s, pattern + at, n), 0);
    }
    CHECK_INT(tell(&x), sizeof pattern);
    drop_stream(&x); /* sends what is queued */
    CHECK_UINT(on_disk(&x, back, sizeof back), sizeof pattern);
    CHECK_INT(memcmp(back, pattern, sizeof pattern), 0);
    files_close(&x);
  }
}

TEST(much_is_bounded_by_the_mark)
{
  files_t x;
  writing_t w;
  static uint8_t much[3 << 20], back[3 << 20];
  for (size_t i = 0; i < sizeof much; i++) {
    much[i] = (uint8_t)(i * 7 + i / 253);
  }
  files_open(&x, "", 0);
  over(&x, O_WRONLY);
  qn_stream_set_write_mark(x.s, 100000);
  REQUIRE_INT(start_write(&w, x.s, much, sizeof much), QN_AGAIN);
  size_t most = 0;
  TURN_UNTIL(x.loop,
             (most = qn_stream_queued(x.s) > most ? qn_stream_queued(x.s) : most, w.note.done));
  CHECK_INT(w.note.result, 0);
  CHECK(most <= 100000);
  CHECK_INT(flush(&x), 0);
  CHECK_UINT(qn_stream_sent(x.s), sizeof much);
  CHECK_UINT(on_disk(&x, back, sizeof back), sizeof much);
  CHECK_INT(memcmp(back, much, sizeof much), 0);
  files_close(&x);
}

TEST(close_sends_what_is_queued_and_abort_does_not_promise)
{
  files_t x;
  files_open(&x, "", 0);
  over(&x, O_WRONLY);
  CHECK_INT(put_text(x.s, "kept"), 0);
  drop_stream(&x);
  CHECK_DISK(&x, "kept");
  over(&x, O_WRONLY);
  CHECK_INT(put_text(x.s, "gone"), 0);
  qn_stream_abort(x.s);
  TURN_UNTIL(x.loop, x.s->dying == 0);
  CHECK_INT(qn_stream_file_error(x.s), QN_E_CANCELLED);
  CHECK_DISK(&x, "kept");
  files_close(&x);
}

TEST(the_end_of_writing_closes_what_cannot_be_read)
{
  files_t x;
  note_t note;
  files_open(&x, "", 0);
  over(&x, O_WRONLY);
  CHECK_INT(put_text(x.s, "text"), 0);
  CHECK_INT(qn_stream_finish(x.s, NULL, NULL), QN_AGAIN);
  note_init(&note, x.loop);
  REQUIRE_INT(qn_stream_closed(x.s, &note.op), QN_AGAIN);
  TURN_UNTIL(x.loop, note.done);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
  CHECK_INT(qn_stream_file_error(x.s), 0);
  CHECK_INT(put_text(x.s, "more"), QN_E_SHUTDOWN);
  CHECK_DISK(&x, "text");
  files_close(&x);
}

/* --- one position ----------------------------------------------------------------------------- */

TEST(a_write_goes_where_reading_has_got_to)
{
  files_t x;
  reading_t r;
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  CHECK_INT(get(&x, &r, exact(3)), 0);
  CHECK_UINT(qn_stream_available(x.s), 7);
  CHECK_INT(tell(&x), 3);
  CHECK_INT(put_text(x.s, "ab"), 0);
  CHECK_UINT(qn_stream_available(x.s), 0);
  CHECK_INT(tell(&x), 5);
  CHECK_INT(get(&x, &r, exact(2)), 0); /* behind what was written, and not before it was */
  CHECK_READ(r, "56");
  CHECK_INT(put_text(x.s, "cd"), 0);
  CHECK_INT(put_text(x.s, "e"), 0);
  CHECK_INT(get(&x, &r, all(0)), 0);
  CHECK_READ(r, "");
  CHECK_DISK(&x, "012ab56cde");
  files_close(&x);
}

TEST(a_write_at_the_end_that_was_only_looked_at)
{
  files_t x;
  reading_t r;
  qn_got_t got;
  qn_want_t want = upto(100);
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  CHECK_INT(get(&x, &r, exact(2)), 0);
  REQUIRE_INT(start_read(&r, x.s, exact(100)), QN_AGAIN);
  TURN_UNTIL(x.loop, r.note.done);
  CHECK_INT(r.note.result, QN_E_EOF); /* the end is known, eight bytes are still there */
  CHECK_UINT(qn_stream_available(x.s), 8);
  CHECK_INT(put_text(x.s, "ab"), 0);
  CHECK_INT(get(&x, &r, want), 0);
  CHECK_READ(r, "456789");
  CHECK_DISK(&x, "01ab456789");
  CHECK_INT(qn_stream_want(x.s, NULL, &want, &got), 0);
  CHECK(got.ended && got.size == 0);
  files_close(&x);
}

TEST(a_write_while_a_read_runs)
{
  files_t x;
  reading_t r;
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  REQUIRE_INT(start_read(&r, x.s, exact(4)), QN_AGAIN); /* the pool has begun */
  CHECK_INT(put_text(x.s, "ab"), 0);
  TURN_UNTIL(x.loop, r.note.done);
  CHECK_READ(r, "2345");
  CHECK_INT(tell(&x), 6);
  CHECK_DISK(&x, "ab23456789");
  files_close(&x);
}

TEST(appending_writes_at_the_end_and_reads_go_on_there)
{
  files_t x;
  reading_t r;
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR | O_APPEND);
  CHECK_INT(tell(&x), 0);
  CHECK_INT(get(&x, &r, exact(3)), 0);
  CHECK_INT(put_text(x.s, "ab"), 0);
  CHECK_INT(tell(&x), 12);
  CHECK_INT(get(&x, &r, upto(5)), 0);
  CHECK(r.got.ended);
  CHECK_INT(seek(&x, QN_SEEK_SET, 8), 8);
  CHECK_INT(get(&x, &r, upto(50)), 0);
  CHECK_READ(r, "89ab");
  CHECK_INT(put_text(x.s, "cd"), 0);
  CHECK_INT(flush(&x), 0);
  CHECK_DISK(&x, "0123456789abcd");
  drop_stream(&x);
  over(&x, O_WRONLY | O_APPEND);
  CHECK_INT(tell(&x), 14);
  files_close(&x);
}

TEST(stays_open_at_its_end)
{
  files_t x;
  reading_t r;
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  CHECK_INT(get(&x, &r, all(0)), 0);
  CHECK_INT(put_text(x.s, "ab"), 0);
  CHECK_INT(qn_stream_finish(x.s, NULL, NULL), QN_AGAIN);
  TURN_UNTIL(x.loop, qn_stream_queued(x.s) == 0);
  settle_all(x.loop);
  CHECK_INT(put_text(x.s, "ab"), QN_E_SHUTDOWN);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_CONNECTED);
  CHECK_INT(seek(&x, QN_SEEK_SET, 8), 8);
  CHECK_INT(get(&x, &r, all(0)), 0);
  CHECK_READ(r, "89ab");
  files_close(&x);
}

TEST(bytes_given_back_count)
{
  files_t x;
  reading_t r;
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  CHECK_INT(get(&x, &r, exact(4)), 0);
  CHECK_INT(qn_stream_unread(x.s, (qn_slice_t){(const uint8_t *)"23", 2}), 0);
  CHECK_INT(tell(&x), 2);
  CHECK_INT(qn_stream_unread(x.s, (qn_slice_t){(const uint8_t *)"much too much", 13}), 0);
  CHECK_INT(tell(&x), 0);
  CHECK_INT(put_text(x.s, "X"), 0);
  CHECK_INT(get(&x, &r, upto(3)), 0);
  CHECK_READ(r, "123");
  files_close(&x);
}

/* --- directions that are not there ------------------------------------------------------------ */

TEST(reading_what_is_only_written)
{
  files_t x;
  reading_t r;
  files_open(&x, "", 0);
  over(&x, O_WRONLY);
  CHECK_INT(get(&x, &r, some(1)), -EBADF);
  CHECK(!qn_stream_readable(x.s));
  CHECK_INT(put_text(x.s, "x"), 0); /* the other side is well */
  CHECK_INT(flush(&x), 0);
  CHECK_INT(qn_stream_error(x.s), 0);
  files_close(&x);
}

TEST(writing_what_is_only_read)
{
  files_t x;
  reading_t r;
  files_open(&x, "text", 4);
  over(&x, O_RDONLY);
  CHECK_INT(put_text(x.s, "x"), -EBADF);
  CHECK(!qn_stream_writable(x.s));
  CHECK_INT(get(&x, &r, all(0)), 0);
  CHECK_READ(r, "text");
  CHECK_INT(put_text(x.s, "x"), -EBADF);
  CHECK_INT(seek(&x, QN_SEEK_SET, 1), 1); /* still open at its end */
  CHECK_INT(get(&x, &r, all(0)), 0);
  CHECK_READ(r, "ext");
  drop_stream(&x);
  files_close(&x);
}

TEST(a_directory_is_refused_and_closed)
{
  files_t x;
  files_open(&x, "", 0);
  int fd = open("/tmp", O_RDONLY | O_DIRECTORY);
  CHECK_INT(stream_over(&x, fd, 0), -EISDIR);
  CHECK_NULL(x.s);
  TURN_UNTIL(x.loop, fcntl(fd, F_GETFD) < 0);
  files_close(&x);
}

/* --- errors ----------------------------------------------------------------------------------- */

TEST(no_space_is_told_by_everyone)
{
  files_t x;
  note_t note;
  files_open(&x, "", 0);
  int fd = open("/dev/full", O_WRONLY);
  REQUIRE(fd >= 0);
  REQUIRE_INT(stream_over(&x, fd, 0), 0);
  CHECK_INT(put_text(x.s, "text"), 0);
  CHECK_INT(flush(&x), -ENOSPC);
  CHECK_INT(flush(&x), -ENOSPC);
  CHECK_INT(put_text(x.s, "text"), -ENOSPC);
  CHECK_INT(qn_stream_finish(x.s, NULL, NULL), -ENOSPC);
  CHECK_INT(qn_stream_error(x.s), -ENOSPC);
  CHECK_INT(qn_stream_file_error(x.s), -ENOSPC);
  CHECK_UINT(qn_stream_sent(x.s), 0);
  note_init(&note, x.loop);
  qn_stream_close(x.s);
  if (qn_stream_closed(x.s, &note.op) == QN_AGAIN) {
    TURN_UNTIL(x.loop, note.done);
  }
  CHECK_INT(qn_stream_file_error(x.s), -ENOSPC);
  files_close(&x);
}

TEST(an_error_that_only_the_close_can_tell)
{
  files_t x;
  files_open(&x, "", 0);
  int fd = open("/dev/full", O_WRONLY);
  REQUIRE_INT(stream_over(&x, fd, 0), 0);
  CHECK_INT(put_text(x.s, "text"), 0);
  qn_stream_close(x.s);
  TURN_UNTIL(x.loop, x.s->top == NULL && x.s->dying == 0);
  CHECK_INT(qn_stream_file_error(x.s), -ENOSPC);
  CHECK_INT(qn_stream_error(x.s), -ENOSPC);
  files_close(&x);
}

TEST(a_limit_of_the_file_size)
{
  files_t x;
  struct rlimit before, small;
  fill_pattern();
  files_open(&x, "", 0);
  over(&x, O_RDWR);
  signal(SIGXFSZ, SIG_IGN);
  REQUIRE_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before;
  small.rlim_cur = 1000;
  REQUIRE_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
  CHECK_INT(put(x.s, pattern, 5000), 0);
  CHECK_INT(flush(&x), -EFBIG);
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK_INT(seek(&x, QN_SEEK_SET, 10), 10); /* reading is not affected */
  CHECK(same_from(&x, 10, 990, 100));
  CHECK_INT(put_text(x.s, "x"), -EFBIG);
  files_close(&x);
}

TEST(a_failed_read_leaves_the_other_side_alone)
{
  files_t x;
  reading_t r;
  files_open(&x, "", 0);
  int fd = open("/proc/self/mem", O_RDWR);
  REQUIRE(fd >= 0);
  REQUIRE_INT(stream_over(&x, fd, 0), 0);
  CHECK_INT(get(&x, &r, some(10)), -EIO); /* nothing is mapped at 0 */
  CHECK_INT(get(&x, &r, some(10)), -EIO);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_CONNECTED);
  CHECK(qn_stream_writable(x.s));
  static char text[] = "some bytes";
  CHECK_INT(seek(&x, QN_SEEK_SET, (int64_t)(intptr_t)text), (intptr_t)text);
  CHECK_INT(get(&x, &r, exact(10)), 0);
  CHECK_READ(r, "some bytes");
  files_close(&x);
}

/* --- facts and ends --------------------------------------------------------------------------- */

TEST(facts)
{
  files_t x;
  char text[64];
  qn_addr_t a;
  files_open(&x, "", 0);
  int fd = open(x.path, O_RDWR);
  REQUIRE_INT(stream_over(&x, fd, 0), 0);
  CHECK_INT(qn_stream_fd(x.s), fd);
  qn_stream_describe(x.s, text, sizeof text);
  CHECK_STR(text, "file");
  CHECK(qn_stream_peer_addr(x.s, &a) < 0);
  CHECK_INT(qn_stream_set_option(x.s, "nodelay", 1), QN_E_UNSUPPORTED);
  drop_stream(&x);
  CHECK_INT(fcntl(fd, F_GETFD), -1);
  files_close(&x);
}

TEST(closed_or_released_at_any_point)
{
  fill_pattern();
  for (int how = 0; how < 3; how++) {
    for (int turns = 0; turns < 10; turns++) {
      TEST_ROUND("how %d turns %d", how, turns);
      files_t x;
      reading_t r;
      files_open(&x, pattern, sizeof pattern);
      over(&x, O_RDWR);
      CHECK_INT(put(x.s, pattern, PIECE + 5), 0);
      (void)start_read(&r, x.s, exact(1000));
      for (int i = 0; i < turns; i++) {
        qn_loop_turn(x.loop, QN_TURN_NOWAIT);
      }
      switch (how) {
      case 0: qn_stream_close(x.s); break;
      case 1: qn_stream_abort(x.s); break;
      default: break;
      }
      qn_op_cancel(&r.note.op, QN_E_CANCELLED);
      qn_stream_release(x.s);
      x.s = NULL;
      settle_all(x.loop);
      files_close(&x);
    }
  }
}

TEST(a_pump_moves_a_file)
{
  files_t x;
  note_t note;
  fill_pattern();
  files_open(&x, pattern, sizeof pattern);
  over(&x, O_RDONLY);
  char to[] = "/tmp/qn-f-file-XXXXXX";
  close(mkstemp(to));
  int fd = open(to, O_WRONLY); /* the end of writing is the end of the stream */
  qn_stream_t *src = x.s;
  REQUIRE_INT(stream_over(&x, fd, 0), 0);
  note_init(&note, x.loop);
  REQUIRE_INT(qn_pump_start(src, x.s, NULL, &note.op), QN_AGAIN);
  TURN_UNTIL(x.loop, note.done);
  CHECK_INT(note.result, sizeof pattern);
  qn_pump_end(&note.op);
  CHECK_INT(qn_stream_file_error(x.s), 0);
  qn_stream_release(x.s);
  x.s = src;
  static uint8_t back[sizeof pattern];
  fd = open(to, O_RDONLY);
  CHECK_INT(read(fd, back, sizeof back), sizeof back);
  CHECK_INT(memcmp(back, pattern, sizeof back), 0);
  close(fd);
  unlink(to);
  files_close(&x);
}

TEST(whichever_allocation_fails)
{
  for (uint64_t nth = 1; nth < 60; nth++) {
    TEST_ROUND("allocation %d", (int)nth);
    files_t x;
    reading_t r = {0};
    bool wrong = false;
    files_open(&x, "0123456789", 10);
    int fd = open(x.path, O_RDWR);
    qn_alloc_fail_at(nth);
    int rc = stream_over(&x, fd, 0);
    if (rc == 0) {
      int64_t got = get(&x, &r, exact(4));
      wrong = got != 0 && got != -ENOMEM;
      int sent = put_text(x.s, "abc");
      wrong = wrong || (sent != 0 && sent != -ENOMEM);
      int64_t flushed = sent == 0 ? flush(&x) : 0;
      wrong = wrong || (flushed != 0 && flushed != -ENOMEM);
      int64_t at = seek(&x, QN_SEEK_END, -1);
      wrong = wrong || (at < 0 && at != -ENOMEM);
    } else {
      wrong = rc != -ENOMEM;
    }
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    CHECK(!wrong);
    files_close(&x);
    if (!failed) {
      CHECK(nth > 8);
      return;
    }
  }
  CHECK(!"never got through");
}

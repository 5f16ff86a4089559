/* writer.c: order of writers above the mark, what is copied and what waits, flush, finish, cancel
 * half-way, errors. The rest is in writer_life_test.c. */
#include "runtime/stream/rig.h"

static char big[300000];

__attribute__((constructor)) static void fill_big(void)
{
  for (size_t i = 0; i < sizeof big; i++) {
    big[i] = (char)(i * 31 + i / 251);
  }
}

static size_t wire_size(const fake_t *k) { return qn_buf_size(&k->wire); }
static const uint8_t *wire_data(const fake_t *k) { return qn_buf_data(&k->wire); }

TEST(small_writes_go_out_together_at_the_end_of_the_turn)
{
  wire_t x;
  wire_open(&x);
  CHECK_INT(put_text(x.s, "a"), 0);
  CHECK_INT(put_text(x.s, ""), 0);
  CHECK_INT(put_text(x.s, "bc"), 0);
  CHECK_UINT(wire_size(x.k), 0);
  CHECK_UINT(qn_stream_queued(x.s), 3);
  CHECK_UINT(qn_stream_sent(x.s), 0);
  int flushes = x.k->flushes;
  qn_loop_turn(x.loop, QN_TURN_NOWAIT);
  CHECK_INT(x.k->flushes - flushes, 1);
  CHECK_MEM(wire_data(x.k), wire_size(x.k), "abc", 3);
  CHECK_UINT(qn_stream_sent(x.s), 3);
  flushes = x.k->flushes;
  settle_all(x.loop);
  CHECK_INT(x.k->flushes, flushes); /* nothing to do, nothing done */
  wire_close(&x);
}

TEST(slices_in_order)
{
  wire_t x;
  note_t note;
  qn_writer_t w;
  qn_slice_t v[80];
  char want[200];
  size_t n = 0;
  wire_open(&x);
  note_init(&note, x.loop);
  for (size_t i = 0; i < 80; i++) {
    v[i] = (qn_slice_t){(uint8_t *)big + i * 3, i % 3};
    memcpy(want + n, v[i].data, v[i].size);
    n += v[i].size;
  }
  CHECK_INT(qn_stream_write(x.s, &note.op, &w, v, 80), 0);
  CHECK_UINT(w.taken, n);
  settle_all(x.loop);
  CHECK_MEM(wire_data(x.k), wire_size(x.k), want, n);
  CHECK_INT(qn_stream_write(x.s, &note.op, &w, v, 0), 0);
  wire_close(&x);
}

/* Writers above the mark are served strictly in order, at each size of the kernel's gifts. */
TEST(fifo_above_the_mark)
{
  static const size_t gifts[] = {1, 100, 999, 5000, 100000};
  for (size_t g = 0; g < sizeof gifts / sizeof *gifts; g++) {
    TEST_ROUND("gifts of %zu", gifts[g]);
    wire_t x;
    writing_t w[4];
    static const size_t sizes[4] = {3000, 1, 2500, 40};
    size_t off = 0;
    wire_open(&x);
    x.k->accept = 0;
    qn_stream_set_write_mark(x.s, 1000);
    for (int i = 0; i < 4; i++) {
      int rc = start_write(&w[i], x.s, big + off, sizes[i]);
      CHECK_INT(rc, QN_AGAIN);
      off += sizes[i];
    }
    settle_all(x.loop);
    CHECK_UINT(qn_stream_queued(x.s), 1000);
    CHECK_INT(put_text(x.s, "x"), QN_AGAIN);
    int order = 0;
    for (int tries = 0; wire_size(x.k) < off && tries < 6000; tries++) {
      fake_room(x.k, gifts[g]);
      qn_loop_turn(x.loop, QN_TURN_NOWAIT);
      while (order < 4 && w[order].note.done) {
        order++;
      }
      for (int i = order; i < 4; i++) {
        CHECK_INT(w[i].note.done, 0); /* nobody overtakes */
      }
    }
    settle_all(x.loop);
    for (int i = 0; i < 4; i++) {
      CHECK_INT(w[i].note.done, 1);
      CHECK_INT(w[i].note.result, 0);
      CHECK_UINT(w[i].w.taken, sizes[i]);
    }
    CHECK_MEM(wire_data(x.k), wire_size(x.k), big, off);
    CHECK_UINT(qn_stream_sent(x.s), off);
    wire_close(&x);
  }
}

TEST(what_fits_below_the_mark_does_not_wait)
{
  wire_t x;
  writing_t w;
  wire_open(&x);
  x.k->accept = 0;
  CHECK_INT(start_write(&w, x.s, big, 200000), 0);
  CHECK_INT(start_write(&w, x.s, big, 300000), 0);
  CHECK_UINT(qn_stream_queued(x.s), 500000);
  CHECK_INT(put(x.s, big, 300000), 0);
  CHECK_INT(put(x.s, big, 300000), QN_AGAIN); /* 800,000 and 300,000 are above 1 MiB */
  CHECK_UINT(qn_stream_queued(x.s), 800000);
  wire_close(&x);
}

TEST(a_large_write_is_not_copied_whole)
{
  wire_t x;
  writing_t w;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 100000);
  CHECK_INT(start_write(&w, x.s, big, 300000), QN_AGAIN);
  CHECK(qn_stream_queued(x.s) <= QN__PIECE);
  CHECK_UINT(w.w.taken, qn_stream_queued(x.s));
  size_t most = 0;
  for (int i = 0; i < 200 && !w.note.done; i++) {
    fake_room(x.k, 7000);
    qn_loop_turn(x.loop, QN_TURN_NOWAIT);
    size_t queued = qn_stream_queued(x.s);
    most = queued > most ? queued : most;
  }
  CHECK_INT(w.note.done, 1);
  CHECK(most <= 100000 && most > 0);
  fake_room(x.k, SIZE_MAX);
  settle_all(x.loop);
  CHECK_MEM(wire_data(x.k), wire_size(x.k), big, 300000);
  wire_close(&x);
}

/* Who cannot wait does not get more into the queue than the mark allows, also when it is empty. */
TEST(a_large_write_without_a_waiter_is_refused)
{
  wire_t x;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 100000);
  CHECK_INT(put(x.s, big, 100001), QN_AGAIN);
  CHECK_UINT(qn_stream_queued(x.s), 0);
  CHECK_INT(put(x.s, big, 100000), 0);
  CHECK_INT(put(x.s, big, 1), QN_AGAIN);
  CHECK_UINT(qn_stream_queued(x.s), 100000);
  wire_close(&x);
}

TEST(the_mark_may_be_reached)
{
  wire_t x;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 100);
  CHECK_INT(put(x.s, big, 40), 0);
  CHECK_INT(put(x.s, big, 61), QN_AGAIN);
  CHECK_INT(put(x.s, big, 60), 0);
  CHECK_INT(put(x.s, big, 1), QN_AGAIN);
  CHECK_INT(put(x.s, big, 0), 0);
  wire_close(&x);
}

/* Part of the queue goes when it is tried, and then the new bytes fit. */
TEST(a_partial_flush_makes_room)
{
  wire_t x;
  writing_t w;
  wire_open(&x);
  x.k->accept = 50;
  qn_stream_set_write_mark(x.s, 100);
  CHECK_INT(put(x.s, big, 100), 0);
  CHECK_INT(start_write(&w, x.s, big, 50), 0);
  CHECK_UINT(qn_stream_queued(x.s), 100);
  CHECK_UINT(wire_size(x.k), 50);
  wire_close(&x);
}

TEST(a_refused_flush_is_not_repeated_before_the_wake)
{
  wire_t x;
  wire_open(&x);
  x.k->accept = 1;
  put_text(x.s, "abc");
  settle_all(x.loop);
  int flushes = x.k->flushes;
  for (int i = 0; i < 3; i++) {
    put_text(x.s, "d");
    qn_stream_push_out(x.s);
    settle_all(x.loop);
  }
  CHECK_INT(x.k->flushes, flushes);
  fake_room(x.k, SIZE_MAX);
  settle_all(x.loop);
  CHECK_INT(x.k->flushes, flushes + 1);
  CHECK_MEM(wire_data(x.k), wire_size(x.k), "abcddd", 6);
  wire_close(&x);
}

/* --- flush and finish ------------------------------------------------------------------------- */

TEST(flush_waits_until_the_queue_is_empty)
{
  wire_t x;
  note_t note;
  qn_writer_t w;
  wire_open(&x);
  note_init(&note, x.loop);
  CHECK_INT(qn_stream_flush(x.s, &note.op, &w), 0);
  put_text(x.s, "abc");
  CHECK_INT(qn_stream_flush(x.s, &note.op, &w), 0); /* goes at once */
  CHECK_UINT(wire_size(x.k), 3);
  x.k->accept = 2;
  put_text(x.s, "abcd");
  REQUIRE_INT(qn_stream_flush(x.s, &note.op, &w), QN_AGAIN);
  CHECK_INT(qn_stream_flush(x.s, NULL, NULL), QN_AGAIN);
  settle_all(x.loop);
  CHECK_INT(note.done, 0);
  CHECK_UINT(qn_stream_queued(x.s), 2);
  fake_room(x.k, 1);
  settle_all(x.loop);
  CHECK_INT(note.done, 0);
  fake_room(x.k, 1);
  settle_all(x.loop);
  CHECK_INT(note.done, 1);
  CHECK_INT(note.result, 0);
  wire_close(&x);
}

TEST(push_out_says_how_much_went)
{
  wire_t x;
  wire_open(&x);
  x.k->accept = 2;
  put_text(x.s, "abcd");
  CHECK_INT(qn_stream_push_out(x.s), 2);
  CHECK_INT(qn_stream_push_out(x.s), 0);
  wire_close(&x);
}

TEST(finish_comes_behind_all_writers)
{
  wire_t x;
  writing_t first, second;
  note_t end;
  qn_writer_t w;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 10);
  REQUIRE_INT(start_write(&first, x.s, big, 1000), QN_AGAIN);
  REQUIRE_INT(start_write(&second, x.s, big + 1000, 50), QN_AGAIN);
  note_init(&end, x.loop);
  REQUIRE_INT(qn_stream_finish(x.s, &end.op, &w), QN_AGAIN);
  CHECK(!qn_stream_writable(x.s));
  CHECK_INT(put_text(x.s, "x"), QN_E_SHUTDOWN);
  for (int i = 0; i < 300 && !end.done; i++) {
    CHECK(!x.k->fin || wire_size(x.k) == 1050);
    fake_room(x.k, 10);
    settle_all(x.loop);
  }
  CHECK_INT(first.note.done + second.note.done + end.done, 3);
  CHECK(x.k->fin);
  CHECK_MEM(wire_data(x.k), wire_size(x.k), big, 1050);
  CHECK_INT(qn_stream_finish(x.s, &end.op, &w), 0); /* again */
  CHECK_INT(qn_stream_flush(x.s, &end.op, &w), 0);
  CHECK_INT(put_text(x.s, "x"), QN_E_SHUTDOWN);
  wire_close(&x);
}

TEST(finish_goes_on_without_a_waiter)
{
  for (int how = 0; how < 2; how++) {
    wire_t x;
    note_t end;
    qn_writer_t w;
    wire_open(&x);
    x.k->accept = 0;
    put_text(x.s, "abc");
    note_init(&end, x.loop);
    if (how == 0) {
      CHECK_INT(qn_stream_finish(x.s, NULL, NULL), QN_AGAIN);
    } else {
      REQUIRE_INT(qn_stream_finish(x.s, &end.op, &w), QN_AGAIN);
      qn_op_cancel(&end.op, QN_E_TIMEOUT);
    }
    settle_all(x.loop);
    CHECK(!x.k->fin);
    fake_room(x.k, SIZE_MAX);
    settle_all(x.loop);
    CHECK(x.k->fin);
    wire_close(&x);
  }
}

/* --- cancel ----------------------------------------------------------------------------------- */

TEST(cancel_before_and_half_way)
{
  for (int half_way = 0; half_way < 2; half_way++) {
    TEST_ROUND("half way: %d", half_way);
    wire_t x;
    writing_t first, second, third;
    wire_open(&x);
    x.k->accept = 0;
    qn_stream_set_write_mark(x.s, 1000);
    REQUIRE_INT(start_write(&first, x.s, big, QN__PIECE + 500), QN_AGAIN);
    CHECK_UINT(first.w.taken, 1000);
    REQUIRE_INT(start_write(&second, x.s, big, 700), QN_AGAIN);
    REQUIRE_INT(start_write(&third, x.s, big + 700, 700), QN_AGAIN);
    CHECK(qn_op_cancel(half_way ? &first.note.op : &second.note.op, QN_E_TIMEOUT));
    settle_all(x.loop);
    if (half_way) {
      CHECK_INT(first.note.result, QN_E_TIMEOUT);
      CHECK_UINT(first.w.taken, 1000); /* err.partial */
      CHECK_INT(second.note.result, QN_E_CANCELLED);
      CHECK_INT(third.note.result, QN_E_CANCELLED);
      CHECK_INT(put_text(x.s, "x"), QN_E_CANCELLED);
      CHECK(!qn_stream_writable(x.s));
      CHECK(qn_stream_readable(x.s));
    } else {
      CHECK_INT(second.note.result, QN_E_TIMEOUT);
      CHECK_UINT(second.w.taken, 0);
      fake_room(x.k, SIZE_MAX);
      settle_all(x.loop);
      CHECK_INT(first.note.result + third.note.result, 0);
      CHECK_INT(third.note.done, 1);
      CHECK_UINT(wire_size(x.k), QN__PIECE + 500 + 700);
      CHECK_MEM(wire_data(x.k) + QN__PIECE + 500, 700, big + 700, 700);
    }
    wire_close(&x);
  }
}

TEST(cancel_lets_the_next_one_go)
{
  wire_t x;
  writing_t first, second;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 1000);
  put(x.s, big, 900);
  REQUIRE_INT(start_write(&first, x.s, big, 500), QN_AGAIN);
  CHECK_UINT(first.w.taken, 0);
  REQUIRE_INT(start_write(&second, x.s, big, 50), QN_AGAIN); /* would fit, but not out of order */
  settle_all(x.loop);
  CHECK_INT(second.note.done, 0);
  qn_op_cancel(&first.note.op, QN_E_CANCELLED);
  settle_all(x.loop);
  CHECK_INT(second.note.done, 1);
  CHECK_INT(second.note.result, 0);
  wire_close(&x);
}

/* --- errors ----------------------------------------------------------------------------------- */

TEST(a_failure_settles_everybody)
{
  wire_t x;
  writing_t first, second;
  note_t flush;
  qn_writer_t w;
  reading_t r;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 10);
  REQUIRE_INT(start_read(&r, x.s, some(9)), QN_AGAIN);
  REQUIRE_INT(start_write(&first, x.s, big, 100000), QN_AGAIN);
  REQUIRE_INT(start_write(&second, x.s, big, 10), QN_AGAIN);
  note_init(&flush, x.loop);
  REQUIRE_INT(qn_stream_flush(x.s, &flush.op, &w), QN_AGAIN);
  x.k->write_error = -EPIPE;
  qn_stream_wake(x.s, QN_WAKE_WRITE);
  settle_all(x.loop);
  CHECK_INT(first.note.result, -EPIPE);
  CHECK_INT(second.note.result, -EPIPE);
  CHECK_INT(flush.result, -EPIPE);
  CHECK_INT(put_text(x.s, "x"), -EPIPE);
  CHECK_INT(qn_stream_error(x.s), -EPIPE);
  /* What the peer had sent can still be read; the connection is over when it ends. */
  CHECK_INT(qn_stream_state(x.s), QN_STATE_CONNECTED);
  fake_arrive(x.k, "bye", 3);
  settle_all(x.loop);
  CHECK_READ(r, "bye");
  fake_end(x.k, 0);
  CHECK_INT(read_now(&r, x.s, some(1)), 0);
  CHECK(r.got.ended);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
  wire_close(&x);
}

TEST(gates)
{
  rig_t rig;
  rig_open(&rig);
  qn_stream_t *s = qn_stream_new(rig.loop);
  note_t note;
  qn_writer_t w;
  note_init(&note, rig.loop);
  CHECK_INT(put_text(s, "x"), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_stream_flush(s, &note.op, &w), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_stream_finish(s, &note.op, &w), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_stream_push_out(s), QN_E_NOT_CONNECTED);
  qn_stream_close(s);
  CHECK_INT(put_text(s, "x"), QN_E_CLOSED);
  CHECK_INT(qn_stream_flush(s, &note.op, &w), QN_E_CLOSED);
  CHECK_INT(qn_stream_finish(s, &note.op, &w), QN_E_CLOSED);
  CHECK_INT(qn_stream_push_out(s), QN_E_CLOSED);
  qn_stream_release(s);
  rig_close(&rig);
}

TEST(errors_found_by_a_flush_or_a_finish)
{
  for (int how = 0; how < 4; how++) {
    TEST_ROUND("how %d", how);
    wire_t x;
    writing_t w;
    wire_open(&x);
    put_text(x.s, "abc");
    if (how == 3) {
      x.k->finish_error = -EIO;
    } else {
      x.k->write_error = -EIO;
    }
    qn_stream_set_write_mark(x.s, 3);
    int64_t rc = how == 0   ? qn_stream_flush(x.s, NULL, NULL)
                 : how == 1 ? qn_stream_push_out(x.s)
                 : how == 2 ? start_write(&w, x.s, "d", 1)
                            : qn_stream_finish(x.s, NULL, NULL);
    CHECK_INT(rc, -EIO);
    CHECK_INT(qn_stream_error(x.s), -EIO);
    CHECK_INT(put_text(x.s, "x"), -EIO);
    CHECK_INT(qn_stream_finish(x.s, NULL, NULL), -EIO);
    wire_close(&x);
  }
}

TEST(after_finish_and_close)
{
  wire_t x;
  note_t note;
  qn_writer_t w;
  wire_open(&x);
  note_init(&note, x.loop);
  CHECK_INT(qn_stream_finish(x.s, &note.op, &w), 0);
  CHECK_INT(qn_stream_flush(x.s, &note.op, &w), 0);
  qn_stream_close(x.s);
  CHECK_INT(qn_stream_finish(x.s, &note.op, &w), QN_E_CLOSED);
  CHECK_INT(qn_stream_flush(x.s, &note.op, &w), QN_E_CLOSED);
  CHECK_INT(put_text(x.s, "x"), QN_E_CLOSED);
  wire_close(&x);
}

TEST(a_flush_behind_a_finish)
{
  wire_t x;
  note_t end, flush;
  qn_writer_t ew, fw;
  wire_open(&x);
  x.k->accept = 0;
  x.k->late = true;
  qn_stream_read_ahead(x.s, true);
  fake_end(x.k, 0);
  settle_all(x.loop);
  put_text(x.s, "abc");
  note_init(&end, x.loop);
  note_init(&flush, x.loop);
  REQUIRE_INT(qn_stream_finish(x.s, &end.op, &ew), QN_AGAIN);
  REQUIRE_INT(qn_stream_flush(x.s, &flush.op, &fw), QN_AGAIN);
  fake_room(x.k, 3); /* both sides are over with it */
  settle_all(x.loop);
  CHECK_INT(end.done + flush.done, 2);
  CHECK_INT(end.result + flush.result, 0);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
  qn_filter_gone(&x.k->filter);
  wire_close(&x);
}

/* f_mem.c: a pair is bounded like two sockets, ends like them, and forgets nothing; memory streams.
 */
#include "runtime/stream/rig.h"

static char bytes[200000];

TEST(writes_beyond_the_readers_limit_count_as_queued)
{
  pair_t p;
  note_t note;
  qn_writer_t w;
  pair_open(&p);
  qn_stream_set_read_limit(p.b, 1000);
  CHECK_INT(put(p.a, bytes, 1000), 0);
  CHECK_UINT(qn_stream_queued(p.a), 0);
  note_init(&note, p.loop);
  CHECK_INT(qn_stream_flush(p.a, &note.op, &w), 0);
  CHECK_INT(put(p.a, bytes, 10), 0);
  CHECK_UINT(qn_stream_queued(p.a), 10);
  REQUIRE_INT(qn_stream_flush(p.a, &note.op, &w), QN_AGAIN);
  settle_all(p.loop);
  CHECK_INT(note.done, 0);
  reading_t r;
  CHECK_INT(read_now(&r, p.b, exact(20)), 0); /* consumption wakes the writer */
  settle_all(p.loop);
  CHECK_INT(note.done, 1);
  CHECK_UINT(qn_stream_sent(p.a), 1010);
  pair_close(&p);
}

TEST(a_limit_that_grows_does_not_lose_the_wake_of_the_writer)
{
  pair_t p;
  note_t note;
  qn_writer_t w;
  reading_t r;
  pair_open(&p);
  qn_stream_set_read_limit(p.b, 1000);
  note_init(&note, p.loop);
  CHECK_INT(put(p.a, bytes, 1010), 0);
  REQUIRE_INT(qn_stream_flush(p.a, &note.op, &w), QN_AGAIN);
  qn_stream_set_read_limit(p.b, 4000);
  CHECK_INT(read_now(&r, p.b, exact(20)), 0);
  settle_all(p.loop);
  CHECK_INT(note.done, 1);
  CHECK_INT(note.result, 0);
  pair_close(&p);
}

TEST(an_unlimited_reader_that_does_not_read_is_bounded)
{
  pair_t p;
  pair_open(&p);
  qn_stream_set_read_limit(p.b, 0);
  int n = 0;
  while (n < 100 && put(p.a, bytes, sizeof bytes) == 0) {
    n++;
  }
  CHECK(n >= 5 && n <= 8); /* 256 KiB and the mark of 1 MiB */
  pair_close(&p);
}

TEST(much_through_a_small_window)
{
  pair_t p;
  writing_t w;
  pair_open(&p);
  for (size_t i = 0; i < sizeof bytes; i++) {
    bytes[i] = (char)(i * 11 + i / 255);
  }
  qn_stream_set_read_limit(p.b, 777);
  qn_stream_set_write_mark(p.a, 5000);
  REQUIRE_INT(start_write(&w, p.a, bytes, sizeof bytes), QN_AGAIN);
  reading_t r;
  size_t at = 0;
  while (at < sizeof bytes) {
    int64_t rc = read_now(&r, p.b, some(4000));
    REQUIRE_INT(rc, 0);
    CHECK(qn_stream_available(p.b) <= 777);
    CHECK_MEM(r.data, r.got.size, bytes + at, r.got.size);
    at += r.got.size;
  }
  settle_all(p.loop);
  CHECK_INT(w.note.done, 1);
  pair_close(&p);
}

TEST(both_directions_are_separate)
{
  pair_t p;
  reading_t r;
  pair_open(&p);
  put_text(p.a, "to b");
  put_text(p.b, "to a");
  CHECK_INT(qn_stream_finish(p.a, NULL, NULL), 0);
  CHECK_INT(read_now(&r, p.b, all(0)), 0);
  CHECK_READ(r, "to b");
  CHECK_INT(put_text(p.b, ", still"), 0);
  CHECK_INT(read_now(&r, p.a, exact(11)), 0);
  CHECK_READ(r, "to a, still");
  pair_close(&p);
}

TEST(close_and_abort_at_the_other_end)
{
  for (int how = 0; how < 3; how++) {
    TEST_ROUND("how %d", how);
    pair_t p;
    reading_t r;
    pair_open(&p);
    qn_stream_set_read_limit(p.b, 4);
    put_text(p.a, "sent");
    put_text(p.a, "queued");
    switch (how) {
    case 0: qn_stream_close(p.a); break;
    case 1: qn_stream_abort(p.a); break;
    default: qn_stream_release(p.a); p.a = NULL;
    }
    CHECK_INT(read_now(&r, p.b, upto(20)), how == 0 ? 0 : -ECONNRESET);
    if (how == 0) {
      CHECK_READ(r, "sentqueued");
      CHECK(r.got.ended);
    } else {
      CHECK_INT(read_now(&r, p.b, some(20)), 0);
      CHECK_READ(r, "sent");
      CHECK_INT(read_now(&r, p.b, some(20)), -ECONNRESET);
    }
    CHECK_INT(put_text(p.b, "x"), how == 0 ? -EPIPE : -ECONNRESET);
    pair_close(&p);
  }
}

TEST(a_writer_learns_that_the_reader_is_gone)
{
  pair_t p;
  writing_t w;
  pair_open(&p);
  qn_stream_set_read_limit(p.b, 4);
  qn_stream_set_write_mark(p.a, 4);
  REQUIRE_INT(start_write(&w, p.a, "much more than that", 19), QN_AGAIN);
  qn_stream_close(p.b);
  settle_all(p.loop);
  CHECK_INT(w.note.result, -EPIPE);
  pair_close(&p);
}

TEST(a_paused_reader_is_not_woken)
{
  pair_t p;
  pair_open(&p);
  put_text(p.a, "x");
  CHECK(!qn_ready_queued(&p.b->ready));
  qn_stream_read_ahead(p.b, true);
  settle_all(p.loop);
  CHECK_UINT(qn_stream_available(p.b), 1);
  put_text(p.a, "y");
  CHECK(qn_ready_queued(&p.b->ready));
  pair_close(&p);
}

TEST(a_reader_that_makes_room_goes_on_by_itself)
{
  pair_t p;
  pair_open(&p);
  qn_stream_set_read_limit(p.b, 4);
  qn_stream_read_ahead(p.b, true);
  put_text(p.a, "abcdefgh");
  settle_all(p.loop);
  CHECK_UINT(qn_stream_available(p.b), 4);
  qn_stream_consume(p.b, 3);
  settle_all(p.loop);
  CHECK_MEM(qn_stream_data(p.b).data, qn_stream_available(p.b), "defg", 4);
  pair_close(&p);
}

TEST(a_flush_learns_that_the_reader_is_gone)
{
  for (int how = 0; how < 2; how++) {
    pair_t p;
    note_t note;
    qn_writer_t w;
    pair_open(&p);
    qn_stream_set_read_limit(p.b, 4);
    put_text(p.a, "abcdefgh");
    note_init(&note, p.loop);
    REQUIRE_INT(how == 0 ? qn_stream_flush(p.a, &note.op, &w) : qn_stream_finish(p.a, &note.op, &w),
                QN_AGAIN);
    qn_stream_close(p.b);
    settle_all(p.loop);
    CHECK_INT(note.result, -EPIPE); /* four bytes were never taken */
    pair_close(&p);
  }
}

TEST(a_block_is_handed_over_not_copied)
{
  pair_t p;
  qn_got_t got;
  qn_want_t w = some(0);
  pair_open(&p);
  put(p.a, bytes, 50000);
  int64_t live = qn_alloc_live();
  CHECK_INT(qn_stream_want(p.b, NULL, &w, &got), 0);
  CHECK_UINT(got.size, 50000);
  CHECK_INT(qn_alloc_live(), live);
  pair_close(&p);
}

/* --- memory streams --------------------------------------------------------------------------- */

TEST(memory_stream)
{
  rig_t rig;
  qn_stream_t *s;
  reading_t r;
  char input[] = "line one\nline two";
  rig_open(&rig);
  REQUIRE_INT(qn_stream_memory(rig.loop, (qn_slice_t){(uint8_t *)input, strlen(input)}, 10, &s), 0);
  memset(input, 'x', sizeof input); /* it was copied */
  CHECK_INT(qn_stream_state(s), QN_STATE_CONNECTED);
  CHECK_UINT(qn_stream_written(s).size, 0);
  CHECK_INT(read_now(&r, s, delim("\n", 0)), 0);
  CHECK_READ(r, "line one\n");
  CHECK_INT(put_text(s, "hello"), 0);
  CHECK_INT(put_text(s, "world"), 0);
  CHECK_MEM(qn_stream_written(s).data, qn_stream_written(s).size, "helloworld", 10);
  CHECK_INT(read_now(&r, s, delim("\n", 0)), 0);
  CHECK_READ(r, "line two");
  CHECK_INT(qn_stream_finish(s, NULL, NULL), 0);
  CHECK_INT(read_now(&r, s, some(9)), 0);
  CHECK(r.got.ended);
  CHECK_INT(qn_stream_state(s), QN_STATE_UNCONNECTED);
  CHECK_MEM(qn_stream_written(s).data, qn_stream_written(s).size, "helloworld", 10); /* still */
  qn_stream_release(s);
  rig_close(&rig);
}

TEST(memory_stream_limit)
{
  rig_t rig;
  qn_stream_t *s;
  rig_open(&rig);
  REQUIRE_INT(qn_stream_memory(rig.loop, (qn_slice_t){NULL, 0}, 4, &s), 0);
  CHECK_INT(put_text(s, "abc"), 0);
  CHECK_INT(put_text(s, "de"), QN_E_LIMIT);
  CHECK_MEM(qn_stream_written(s).data, qn_stream_written(s).size, "abc", 3);
  qn_stream_release(s);
  rig_close(&rig);
  pair_t p;
  pair_open(&p);
  put_text(p.a, "x");
  CHECK_UINT(qn_stream_written(p.a).size, 0); /* other streams keep nothing */
  pair_close(&p);
}

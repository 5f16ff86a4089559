/* reader.c: wants that wait, busy, cancel, limits and pausing, unread, lent memory, end and errors.
 */
#include "runtime/stream/rig.h"

/* Every kind of want, the input arriving in two parts cut at each place, while the reader waits. */
TEST(every_kind_at_every_split)
{
  static const struct {
    qn_want_kind_t kind;
    const char *want;
  } kinds[] = {{QN_WANT_UPTO, "ab\ncd"},
               {QN_WANT_EXACT, "ab\ncd"},
               {QN_WANT_DELIM, "ab\n"},
               {QN_WANT_ALL, "ab\ncdef"}};
  const char *input = "ab\ncdef";
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    for (size_t cut = 0; cut <= strlen(input); cut++) {
      TEST_ROUND("kind %d, cut at %zu", (int)kinds[k].kind, cut);
      pair_t p;
      reading_t r;
      pair_open(&p);
      qn_want_t w = {.kind = kinds[k].kind, .n = 5, .delim = "\n", .delim_size = 1};
      REQUIRE_INT(start_read(&r, p.b, w), QN_AGAIN);
      CHECK_INT(put(p.a, input, cut), 0);
      settle_all(p.loop);
      CHECK_INT(put_text(p.a, input + cut), 0);
      CHECK_INT(qn_stream_finish(p.a, NULL, NULL), 0);
      settle_all(p.loop);
      CHECK_INT(r.note.done, 1);
      CHECK_INT(r.note.result, 0);
      CHECK_READ(r, kinds[k].want);
      qn_slice_t rest = qn_stream_data(p.b);
      if (kinds[k].kind != QN_WANT_ALL) {
        CHECK_INT(read_now(&r, p.b, all(0)), 0);
        CHECK_READ(r, input + strlen(kinds[k].want));
      } else {
        CHECK_UINT(rest.size, 0);
      }
      pair_close(&p);
    }
  }
}

TEST(buffered_bytes_answer_at_once)
{
  pair_t p;
  reading_t r;
  pair_open(&p);
  put_text(p.a, "hello world");
  CHECK_INT(start_read(&r, p.b, some(5)), 0); /* pulled before anything had turned */
  CHECK_READ(r, "hello");
  CHECK_INT(start_read(&r, p.b, upto(6)), 0);
  CHECK_READ(r, " world");
  CHECK_UINT(qn_stream_received(p.b), 11);
  CHECK_INT(start_read(&r, p.b, some(5)), QN_AGAIN);
  CHECK_INT(r.note.done, 0);
  qn_op_cancel(&r.note.op, QN_E_CANCELLED);
  pair_close(&p);
}

TEST(after_the_end)
{
  pair_t p;
  reading_t r;
  pair_open(&p);
  put_text(p.a, "x");
  qn_stream_finish(p.a, NULL, NULL);
  CHECK_INT(read_now(&r, p.b, some(5)), 0);
  CHECK_READ(r, "x");
  for (int i = 0; i < 3; i++) {
    CHECK_INT(read_now(&r, p.b, some(5)), 0);
    CHECK_UINT(r.got.size, 0);
    CHECK(r.got.ended);
    CHECK_INT(read_now(&r, p.b, delim("\n", 0)), 0);
    CHECK(r.got.ended && r.got.size == 0);
    CHECK_INT(read_now(&r, p.b, exact(1)), QN_E_EOF);
  }
  CHECK(qn_stream_at_end(p.b));
  CHECK(!qn_stream_readable(p.b));
  /* Bytes that are put back can be read although the stream has ended. */
  CHECK_INT(qn_stream_unread(p.b, (qn_slice_t){(const uint8_t *)"abc", 3}), 0);
  CHECK(!qn_stream_at_end(p.b));
  CHECK_INT(read_now(&r, p.b, exact(4)), QN_E_EOF);
  CHECK_UINT(qn_stream_available(p.b), 3);
  CHECK_INT(read_now(&r, p.b, exact(3)), 0);
  CHECK_READ(r, "abc");
  pair_close(&p);
}

TEST(second_reader_is_busy)
{
  pair_t p;
  reading_t first, second;
  pair_open(&p);
  REQUIRE_INT(start_read(&first, p.b, exact(4)), QN_AGAIN);
  CHECK_INT(start_read(&second, p.b, some(1)), QN_E_BUSY);
  uint8_t byte;
  CHECK_INT(qn_stream_read_into(p.b, &second.note.op, &byte, 1), QN_E_BUSY);
  put_text(p.a, "abcd");
  settle_all(p.loop);
  CHECK_INT(first.note.done, 1);
  CHECK_READ(first, "abcd");
  CHECK_INT(second.note.done, 0);
  pair_close(&p);
}

TEST(cancelled_wants_lose_nothing)
{
  const char *input = "abcdef";
  for (size_t cut = 0; cut <= strlen(input); cut++) {
    TEST_ROUND("cancelled after %zu bytes", cut);
    pair_t p;
    reading_t r;
    pair_open(&p);
    REQUIRE_INT(start_read(&r, p.b, exact(7)), QN_AGAIN);
    put(p.a, input, cut);
    settle_all(p.loop);
    CHECK(qn_op_cancel(&r.note.op, QN_E_TIMEOUT));
    settle_all(p.loop);
    CHECK_INT(r.note.result, QN_E_TIMEOUT);
    put_text(p.a, input + cut);
    CHECK_INT(read_now(&r, p.b, exact(6)), 0);
    CHECK_READ(r, input);
    pair_close(&p);
  }
}

TEST(limits_leave_the_bytes)
{
  pair_t p;
  reading_t r;
  pair_open(&p);
  put_text(p.a, "0123456789");
  CHECK_INT(read_now(&r, p.b, delim("\n", 4)), QN_E_LIMIT);
  CHECK_INT(read_now(&r, p.b, all(9)), QN_E_LIMIT);
  CHECK_UINT(qn_stream_available(p.b), 10);
  CHECK_INT(read_now(&r, p.b, upto(10)), 0);
  CHECK_READ(r, "0123456789");
  qn_want_t bad = {.kind = QN_WANT_DELIM};
  CHECK_INT(start_read(&r, p.b, bad), QN_E_INVALID);
  pair_close(&p);
}

TEST(errors_come_after_the_bytes)
{
  for (int kind = QN_WANT_SOME; kind <= QN_WANT_ALL; kind++) {
    TEST_ROUND("kind %d", kind);
    wire_t x;
    reading_t r;
    wire_open(&x);
    qn_want_t w = {.kind = (qn_want_kind_t)kind, .n = 9, .delim = "\n", .delim_size = 1};
    int rc = start_read(&r, x.s, w);
    REQUIRE_INT(rc, QN_AGAIN);
    REQUIRE_INT(qn_buf_append(&x.k->in, "abc", 3), 0);
    fake_end(x.k, -ECONNRESET);
    settle_all(x.loop);
    CHECK_INT(r.note.done, 1);
    if (kind == QN_WANT_SOME) {
      CHECK_INT(r.note.result, 0);
      CHECK_READ(r, "abc");
      CHECK_INT(read_now(&r, x.s, w), -ECONNRESET);
    } else {
      CHECK_INT(r.note.result, -ECONNRESET);
      CHECK_INT(read_now(&r, x.s, some(9)), 0); /* the bytes are still there, after the stack */
      CHECK_READ(r, "abc");
    }
    CHECK_INT(read_now(&r, x.s, some(9)), -ECONNRESET);
    CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
    CHECK_INT(qn_stream_error(x.s), -ECONNRESET);
    CHECK(!qn_stream_at_end(x.s));
    CHECK_INT(qn_stream_unread(x.s, (qn_slice_t){(const uint8_t *)"zz", 2}), 0);
    CHECK_INT(read_now(&r, x.s, some(9)), 0);
    CHECK_READ(r, "zz");
    wire_close(&x);
  }
}

/* --- when to read ----------------------------------------------------------------------------- */

TEST(nothing_is_read_before_somebody_wants)
{
  wire_t x;
  reading_t r;
  wire_open(&x);
  CHECK(x.k->paused);
  fake_arrive(x.k, "abc", 3);
  settle_all(x.loop);
  CHECK_INT(x.k->fills, 0);
  CHECK_INT(start_read(&r, x.s, some(9)), 0);
  CHECK_READ(r, "abc");
  CHECK_INT(start_read(&r, x.s, some(9)), QN_AGAIN);
  CHECK(!x.k->paused);
  qn_op_cancel(&r.note.op, QN_E_CANCELLED);
  settle_all(x.loop);
  CHECK(!x.k->paused); /* stays started: the next bytes are read ahead */
  fake_arrive(x.k, "def", 3);
  settle_all(x.loop);
  CHECK_UINT(qn_stream_available(x.s), 3);
  wire_close(&x);
}

TEST(read_ahead_stops_at_the_limit)
{
  wire_t x;
  char bytes[100];
  memset(bytes, 'x', sizeof bytes);
  wire_open(&x);
  qn_stream_set_read_limit(x.s, 10);
  qn_stream_read_ahead(x.s, true);
  CHECK(!x.k->paused);
  fake_arrive(x.k, bytes, sizeof bytes);
  settle_all(x.loop);
  CHECK_UINT(qn_stream_available(x.s), 10); /* not one more */
  CHECK(x.k->paused);
  int fills = x.k->fills;
  qn_stream_wake(x.s, QN_WAKE_READ);
  settle_all(x.loop);
  CHECK_INT(x.k->fills, fills);
  qn_stream_consume(x.s, 4);
  CHECK(!x.k->paused);
  qn_stream_wake(x.s, QN_WAKE_READ);
  settle_all(x.loop);
  CHECK_UINT(qn_stream_available(x.s), 10);
  qn_stream_set_read_limit(x.s, 0);
  CHECK(!x.k->paused);
  qn_stream_wake(x.s, QN_WAKE_READ);
  settle_all(x.loop);
  CHECK_UINT(qn_stream_available(x.s), 96);
  qn_stream_read_ahead(x.s, false);
  CHECK(x.k->paused);
  wire_close(&x);
}

TEST(a_want_raises_the_limit_for_its_time)
{
  wire_t x;
  reading_t r;
  char bytes[100];
  memset(bytes, 'x', sizeof bytes);
  wire_open(&x);
  qn_stream_set_read_limit(x.s, 10);
  REQUIRE_INT(start_read(&r, x.s, exact(60)), QN_AGAIN);
  fake_arrive(x.k, bytes, sizeof bytes);
  settle_all(x.loop);
  CHECK_INT(r.note.done, 1);
  CHECK_UINT(r.got.size, 60);
  CHECK_UINT(qn_stream_received(x.s), 60);
  REQUIRE_INT(start_read(&r, x.s, exact(50)), QN_AGAIN); /* 40 are there and are taken in */
  CHECK(!x.k->paused);
  CHECK_UINT(qn_stream_available(x.s), 40);
  qn_op_cancel(&r.note.op, QN_E_CANCELLED);
  CHECK(x.k->paused); /* 40 are more than 10 */
  wire_close(&x);
}

TEST(one_stream_does_not_keep_the_loop_for_itself)
{
  wire_t x;
  reading_t r;
  char *bytes = calloc(1, 100000);
  wire_open(&x);
  qn_stream_set_read_limit(x.s, 1); /* so that each fill brings little */
  REQUIRE_INT(start_read(&r, x.s, delim("\n", 3)), QN_AGAIN);
  qn_op_cancel(&r.note.op, QN_E_CANCELLED);
  settle_all(x.loop);
  qn_stream_set_read_limit(x.s, 0);
  x.k->lend = true;
  for (int i = 0; i < 30; i++) {
    fake_arrive(x.k, bytes, 100000);
  }
  int fills = x.k->fills;
  qn_loop_turn(x.loop, QN_TURN_NOWAIT);
  CHECK(x.k->fills - fills <= QN__FILLS_PER_RUN);
  settle_all(x.loop);
  CHECK_UINT(qn_stream_available(x.s), 3000000);
  free(bytes);
  wire_close(&x);
}

/* --- lent memory ------------------------------------------------------------------------------ */

static int64_t lent(qn_loop_t *loop) { return stats_of(loop).chunks; }

TEST(lent_chunks_go_back)
{
  static const size_t sizes[] = {1, 100, 8191, 8192, 30000, 65536, 70000};
  char *bytes = malloc(70000);
  for (size_t i = 0; i < 70000; i++) {
    bytes[i] = (char)(i * 7);
  }
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (int how = 0; how < 4; how++) {
      TEST_ROUND("%zu bytes, way %d", sizes[i], how);
      wire_t x;
      qn_got_t got;
      qn_want_t w = some(0);
      wire_open(&x);
      x.k->lend = true;
      fake_arrive(x.k, bytes, sizes[i]);
      REQUIRE_INT(qn_stream_want(x.s, NULL, &w, &got), 0);
      CHECK_INT(lent(x.loop), 1);
      CHECK_MEM(qn_stream_data(x.s).data, got.size, bytes, got.size);
      size_t taken = how == 0 ? got.size : how == 1 ? 1 : how == 2 ? got.size / 2 : 0;
      if (how == 3) {
        qn_stream_keep(x.s);
      } else {
        qn_stream_consume(x.s, taken);
      }
      CHECK_INT(lent(x.loop), 0);
      CHECK_MEM(qn_stream_data(x.s).data, qn_stream_available(x.s), bytes + taken,
                got.size - taken);
      wire_close(&x);
    }
  }
  free(bytes);
}

static void look_only(qn_op_t *op) { note_done(op); }

TEST(a_done_that_takes_nothing_still_returns_the_chunk)
{
  wire_t x;
  reading_t r;
  wire_open(&x);
  x.k->lend = true;
  REQUIRE_INT(start_read(&r, x.s, some(10)), QN_AGAIN);
  r.note.op.done = look_only;
  fake_arrive(x.k, "hello", 5);
  settle_all(x.loop);
  CHECK_INT(r.note.done, 1);
  CHECK_INT(lent(x.loop), 0);
  CHECK_UINT(qn_stream_available(x.s), 5);
  /* So does a want that is not satisfied. */
  REQUIRE_INT(start_read(&r, x.s, exact(20)), QN_AGAIN);
  fake_arrive(x.k, "world", 5);
  settle_all(x.loop);
  CHECK_INT(lent(x.loop), 0);
  fake_arrive(x.k, "0123456789", 10);
  settle_all(x.loop);
  CHECK_INT(r.note.done, 1);
  CHECK_READ(r, "helloworld0123456789");
  wire_close(&x);
}

TEST(closing_with_a_lent_chunk)
{
  for (int how = 0; how < 3; how++) {
    wire_t x;
    qn_got_t got;
    qn_want_t w = some(0);
    wire_open(&x);
    x.k->lend = true;
    fake_arrive(x.k, "hello", 5);
    REQUIRE_INT(qn_stream_want(x.s, NULL, &w, &got), 0);
    if (how == 0) {
      qn_stream_close(x.s);
    } else if (how == 1) {
      qn_stream_abort(x.s);
    } else {
      qn__connection_failed(x.s, -ECONNRESET);
      CHECK_UINT(qn_stream_available(x.s), 5);
    }
    CHECK_INT(lent(x.loop), 0);
    wire_close(&x);
  }
}

/* --- unread ----------------------------------------------------------------------------------- */

TEST(unread_puts_in_front)
{
  pair_t p;
  reading_t r;
  pair_open(&p);
  put_text(p.a, "world");
  CHECK_INT(qn_stream_unread(p.b, (qn_slice_t){(const uint8_t *)"hello ", 6}), 0);
  CHECK_INT(read_now(&r, p.b, exact(11)), 0);
  CHECK_READ(r, "hello world");
  /* A waiting reader sees them, and its search begins anew. */
  REQUIRE_INT(start_read(&r, p.b, delim("\r\n", 0)), QN_AGAIN);
  put_text(p.a, "\nrest");
  settle_all(p.loop);
  CHECK_INT(r.note.done, 0);
  CHECK_INT(qn_stream_unread(p.b, (qn_slice_t){(const uint8_t *)"line\r", 5}), 0);
  settle_all(p.loop);
  CHECK_INT(r.note.done, 1);
  CHECK_READ(r, "line\r\n");
  CHECK_UINT(qn_stream_available(p.b), 4);
  pair_close(&p);
}

TEST(unread_limits)
{
  rig_t rig;
  rig_open(&rig);
  qn_stream_t *s = qn_stream_new(rig.loop);
  uint8_t byte = 'x';
  CHECK_INT(qn_stream_unread(s, (qn_slice_t){&byte, 1}), QN_E_NOT_CONNECTED);
  reading_t r;
  CHECK_INT(start_read(&r, s, some(1)), QN_E_NOT_CONNECTED);
  qn_stream_close(s);
  CHECK_INT(qn_stream_unread(s, (qn_slice_t){&byte, 1}), QN_E_CLOSED);
  CHECK_INT(start_read(&r, s, some(1)), QN_E_CLOSED);
  qn_stream_release(s);
  rig_close(&rig);
  pair_t p;
  pair_open(&p);
  put_text(p.a, "x");
  CHECK_INT(read_now(&r, p.b, upto(0)), 0);
  CHECK_INT(qn_stream_unread(p.b, (qn_slice_t){&byte, (64u << 20) + 1}), QN_E_LIMIT);
  pair_close(&p);
}

/* --- read_into -------------------------------------------------------------------------------- */

TEST(read_into_copies_or_receives_straight)
{
  for (int into = 0; into < 2; into++) {
    TEST_ROUND(into ? "straight" : "copied");
    wire_t x;
    note_t note;
    uint8_t data[8];
    wire_open(&x);
    x.k->filter.ops = into ? &fake_into_ops : &fake_ops;
    x.k->lend = true;
    note_init(&note, x.loop);
    REQUIRE_INT(qn_stream_read_into(x.s, &note.op, data, sizeof data), QN_AGAIN);
    fake_arrive(x.k, "hello world", 11);
    settle_all(x.loop);
    CHECK_INT(note.done, 1);
    CHECK_INT(note.result, 0);
    CHECK_INT(qn_stream_read_into(x.s, &note.op, data, sizeof data), 8);
    CHECK_MEM(data, 8, "hello wo", 8);
    CHECK_UINT(qn_stream_available(x.s), into ? 0 : 3);
    CHECK_INT(qn_stream_read_into(x.s, &note.op, data, sizeof data), 3);
    CHECK_MEM(data, 3, "rld", 3);
    CHECK_INT(qn_stream_unread(x.s, (qn_slice_t){(const uint8_t *)"abc", 3}), 0);
    CHECK_INT(qn_stream_read_into(x.s, &note.op, data, 2), 2);
    CHECK_INT(qn_stream_read_into(x.s, &note.op, data, 2), 1);
    CHECK_INT(qn_stream_read_into(x.s, &note.op, data, 0), QN_E_INVALID);
    CHECK_UINT(qn_stream_received(x.s), 11);
    fake_end(x.k, 0);
    CHECK_INT(qn_stream_read_into(x.s, &note.op, data, sizeof data), 0);
    CHECK_INT(qn_stream_read_into(x.s, &note.op, data, sizeof data), 0);
    CHECK_INT(lent(x.loop), 0);
    wire_close(&x);
  }
}

TEST(read_into_sees_errors)
{
  for (int into = 0; into < 2; into++) {
    wire_t x;
    note_t note;
    uint8_t data[8];
    wire_open(&x);
    x.k->filter.ops = into ? &fake_into_ops : &fake_ops;
    note_init(&note, x.loop);
    REQUIRE_INT(qn_stream_read_into(x.s, &note.op, data, sizeof data), QN_AGAIN);
    fake_end(x.k, -ECONNRESET);
    settle_all(x.loop);
    CHECK_INT(note.done, 1);
    CHECK_INT(qn_stream_read_into(x.s, &note.op, data, sizeof data), -ECONNRESET);
    CHECK_INT(qn_stream_read_into(x.s, &note.op, data, sizeof data), -ECONNRESET);
    wire_close(&x);
  }
}

/* --- `done` does what it likes ---------------------------------------------------------------- */

typedef struct wild {
  reading_t r;
  int what;
  reading_t again;
} wild_t;

static void wild_done(qn_op_t *op)
{
  wild_t *w = (wild_t *)(void *)((char *)op - offsetof(wild_t, r.note.op));
  note_done(op);
  switch (w->what) {
  case 0: qn_stream_close(w->r.s); break;
  case 1: qn_stream_abort(w->r.s); break;
  case 2: qn_stream_release(w->r.s); break;
  case 3: start_read(&w->again, w->r.s, all(0)); break;
  case 4: qn_stream_unread(w->r.s, (qn_slice_t){(const uint8_t *)"zz", 2}); break;
  default: put_text(w->r.s, "answer"); break;
  }
}

TEST(done_may_do_anything)
{
  for (int what = 0; what < 6; what++) {
    TEST_ROUND("what %d", what);
    pair_t p;
    wild_t w;
    pair_open(&p);
    REQUIRE_INT(start_read(&w.r, p.b, some(3)), QN_AGAIN);
    w.what = what;
    w.r.note.op.done = wild_done;
    put_text(p.a, "abcdef");
    qn_stream_finish(p.a, NULL, NULL);
    settle_all(p.loop);
    CHECK_INT(w.r.note.done, 1);
    if (what == 2) {
      p.b = NULL;
    }
    if (what == 3) {
      CHECK_READ(w.again, "abcdef");
    }
    pair_close(&p);
  }
}

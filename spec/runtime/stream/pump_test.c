/* pump.c: everything arrives once and in order, nothing is lost on cancel or failure, no copy of
 * what is lent, back-pressure, limit, keep_open, src == dst. */
#include "runtime/stream/rig.h"

static char bytes[400000];

__attribute__((constructor)) static void fill_bytes(void)
{
  for (size_t i = 0; i < sizeof bytes; i++) {
    bytes[i] = (char)(i * 13 + i / 255);
  }
}

typedef struct pumping {
  note_t note;
  uint64_t moved;
  char failed;
} pumping_t;

static void pump_done(qn_op_t *op)
{
  pumping_t *p = (pumping_t *)(void *)((char *)op - offsetof(pumping_t, note.op));
  note_done(op);
  p->moved = qn_pump_moved(op);
  p->failed = qn_pump_failed(op);
  qn_pump_end(op);
}

static int pump(pumping_t *p, qn_stream_t *src, qn_stream_t *dst, uint64_t limit, bool keep_open)
{
  qn_pump_opts_t opts = {.limit = limit, .keep_open = keep_open};
  memset(p, 0, sizeof *p);
  qn_op_init(&p->note.op, qn_stream_loop(src), pump_done);
  return qn_pump_start(src, dst, &opts, &p->note.op);
}

/* Two wires on one loop. */
typedef struct two {
  wire_t x;
  qn_stream_t *t;
  fake_t *k;
  int destroyed;
} two_t;

static void two_open(two_t *w)
{
  wire_open(&w->x);
  w->t = qn_stream_new(w->x.loop);
  w->k = fake_new();
  w->k->destroyed = &w->destroyed;
  w->destroyed = 0;
  REQUIRE_INT(qn__stream_plug(w->t, &w->k->filter), 0);
}

static void two_close(two_t *w)
{
  qn_stream_release(w->t);
  settle_all(w->x.loop);
  CHECK_INT(w->destroyed, 1);
  wire_close(&w->x);
}

#define CHECK_WIRE(k, data, size) \
  CHECK_MEM(qn_buf_data(&(k)->wire), qn_buf_size(&(k)->wire), (data), (size))

TEST(moves_all_and_ends_the_other_side)
{
  for (int lend = 0; lend < 2; lend++) {
    two_t w;
    pumping_t p;
    two_open(&w);
    w.x.k->lend = lend;
    REQUIRE_INT(pump(&p, w.x.s, w.t, 0, false), QN_AGAIN);
    CHECK(!w.x.k->paused);
    for (size_t at = 0, n = 1; at < sizeof bytes; at += n, n = n * 3 + 1) {
      n = n < sizeof bytes - at ? n : sizeof bytes - at;
      fake_arrive(w.x.k, bytes + at, n);
      settle_all(w.x.loop);
      CHECK_INT(stats_of(w.x.loop).chunks, 0);
    }
    CHECK_INT(p.note.done, 0);
    fake_end(w.x.k, 0);
    settle_all(w.x.loop);
    CHECK_INT(p.note.done, 1);
    CHECK_INT(p.note.result, sizeof bytes);
    CHECK_UINT(p.moved, sizeof bytes);
    CHECK_INT(p.failed, 0);
    CHECK(w.k->fin);
    CHECK_WIRE(w.k, bytes, sizeof bytes);
    two_close(&w);
  }
}

/* The lent chunk goes down as it is: the destination sees the very memory. */
static const uint8_t *seen;
static int seeing_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  seen = v[0].data;
  return fake_write(f, v, n);
}

TEST(hands_the_lent_chunk_straight_on)
{
  two_t w;
  pumping_t p;
  qn_filter_ops_t ops = fake_ops;
  ops.write = seeing_write;
  two_open(&w);
  w.k->filter.ops = &ops;
  w.x.k->lend = true;
  uint8_t *chunk = qn__chunk_lend(w.x.loop);
  qn__chunk_back(w.x.loop, chunk);
  REQUIRE_INT(pump(&p, w.x.s, w.t, 0, false), QN_AGAIN);
  fake_arrive(w.x.k, bytes, 65536);
  uint64_t turn = qn_loop_turns(w.x.loop);
  qn_loop_turn(w.x.loop, QN_TURN_NOWAIT);
  CHECK_UINT(qn_loop_turns(w.x.loop) - turn, 1);
  CHECK_PTR(seen, chunk);
  CHECK_WIRE(w.k, bytes, 65536); /* in the turn in which it arrived */
  qn_op_cancel(&p.note.op, QN_E_CANCELLED);
  two_close(&w);
}

TEST(echo)
{
  wire_t x;
  pumping_t p;
  reading_t r;
  wire_open(&x);
  x.k->late = true;
  x.k->lend = true;
  REQUIRE_INT(pump(&p, x.s, x.s, 0, false), QN_AGAIN);
  CHECK_INT(start_read(&r, x.s, some(1)), QN_E_BUSY);
  CHECK_INT(put_text(x.s, "x"), QN_E_BUSY);
  CHECK_INT(qn_stream_finish(x.s, NULL, NULL), QN_E_BUSY);
  pumping_t q;
  CHECK_INT(pump(&q, x.s, x.s, 0, false), QN_E_BUSY);
  for (size_t at = 0; at < sizeof bytes; at += 50000) {
    fake_arrive(x.k, bytes + at, 50000);
    settle_all(x.loop);
  }
  x.k->accept = 0;
  fake_arrive(x.k, bytes, 100000);
  settle_all(x.loop);
  fake_end(x.k, 0);
  settle_all(x.loop);
  CHECK_INT(p.note.done, 0);
  fake_room(x.k, SIZE_MAX);
  settle_all(x.loop);
  CHECK_INT(p.note.done, 1);
  CHECK_INT(p.note.result, sizeof bytes + 100000);
  CHECK(x.k->fin && x.k->closed); /* both ends are done */
  CHECK_MEM(qn_buf_data(&x.k->wire), sizeof bytes, bytes, sizeof bytes);
  qn_filter_gone(&x.k->filter);
  wire_close(&x);
}

TEST(a_full_destination_stops_the_source)
{
  two_t w;
  pumping_t p;
  two_open(&w);
  w.x.k->lend = true;
  w.k->accept = 1000;
  REQUIRE_INT(pump(&p, w.x.s, w.t, 0, true), QN_AGAIN);
  fake_arrive(w.x.k, bytes, sizeof bytes);
  settle_all(w.x.loop);
  CHECK(w.x.k->paused);
  CHECK(qn_stream_queued(w.t) <= QN__PIECE); /* one refused rest is copied, no more */
  CHECK_INT(stats_of(w.x.loop).chunks, 0);
  CHECK_INT(stats_of(w.x.loop).timers, 1); /* the stall clock of the destination */
  CHECK_UINT(qn_buf_size(&w.x.k->in) + qn_stream_available(w.x.s) + qn_stream_queued(w.t) +
                 qn_buf_size(&w.k->wire),
             sizeof bytes);
  for (int i = 0; i < 500 && qn_buf_size(&w.k->wire) < sizeof bytes; i++) {
    fake_room(w.k, 3000);
    settle_all(w.x.loop);
  }
  CHECK_WIRE(w.k, bytes, sizeof bytes);
  CHECK(!w.x.k->paused);
  CHECK_INT(stats_of(w.x.loop).timers, 0);
  fake_end(w.x.k, 0);
  settle_all(w.x.loop);
  CHECK_INT(p.note.result, sizeof bytes);
  CHECK(!w.k->fin); /* keep_open */
  CHECK_INT(put_text(w.t, "more"), 0);
  two_close(&w);
}

TEST(limits)
{
  static const uint64_t limits[] = {1, 5, 65536, 65537, 399999, 400000};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    TEST_ROUND("limit %d", (int)limits[i]);
    two_t w;
    pumping_t p;
    reading_t r;
    two_open(&w);
    w.x.k->lend = true;
    REQUIRE_INT(qn_buf_append(&w.x.k->in, bytes, sizeof bytes), 0);
    REQUIRE_INT(pump(&p, w.x.s, w.t, limits[i], true), QN_AGAIN);
    settle_all(w.x.loop);
    CHECK_INT(p.note.done, 1);
    CHECK_INT(p.note.result, limits[i]);
    CHECK_WIRE(w.k, bytes, limits[i]);
    size_t rest = sizeof bytes - (size_t)limits[i], n = rest < 4000 ? rest : 4000;
    if (n != 0) {
      CHECK_INT(read_now(&r, w.x.s, exact(n)), 0); /* what is behind the limit is still ours */
      CHECK_MEM(r.data, r.got.size, bytes + limits[i], n);
    }
    two_close(&w);
  }
}

TEST(bytes_that_were_buffered_before_go_first)
{
  two_t w;
  pumping_t p;
  two_open(&w);
  qn_stream_read_ahead(w.x.s, true);
  fake_arrive(w.x.k, "def", 3);
  settle_all(w.x.loop);
  qn_stream_unread(w.x.s, (qn_slice_t){(const uint8_t *)"abc", 3});
  fake_end(w.x.k, 0);
  settle_all(w.x.loop);
  REQUIRE_INT(pump(&p, w.x.s, w.t, 0, false), QN_AGAIN); /* the source has ended already */
  settle_all(w.x.loop);
  CHECK_INT(p.note.result, 6);
  CHECK_WIRE(w.k, "abcdef", 6);
  two_close(&w);
}

TEST(a_limit_within_what_is_buffered)
{
  two_t w;
  pumping_t p;
  reading_t r;
  two_open(&w);
  qn_stream_read_ahead(w.x.s, true);
  fake_arrive(w.x.k, "abcdef", 6);
  settle_all(w.x.loop);
  REQUIRE_INT(pump(&p, w.x.s, w.t, 4, true), QN_AGAIN);
  settle_all(w.x.loop);
  CHECK_INT(p.note.result, 4);
  CHECK_WIRE(w.k, "abcd", 4);
  CHECK_INT(read_now(&r, w.x.s, some(9)), 0);
  CHECK_READ(r, "ef");
  two_close(&w);
}

/* Cancelled after each number of turns, with the destination full or not: each byte is either
 * handed over or still to be read. */
TEST(cancel_loses_nothing)
{
  for (int full = 0; full < 2; full++) {
    for (int turns = 0; turns < 5; turns++) {
      TEST_ROUND("full %d, %d turns", full, turns);
      two_t w;
      pumping_t p;
      two_open(&w);
      w.x.k->lend = true;
      w.k->accept = full ? 100 : SIZE_MAX;
      REQUIRE_INT(pump(&p, w.x.s, w.t, 0, false), QN_AGAIN);
      fake_arrive(w.x.k, bytes, 200000);
      for (int i = 0; i < turns; i++) {
        qn_loop_turn(w.x.loop, QN_TURN_NOWAIT);
      }
      if (!p.note.done) {
        CHECK(qn_op_cancel(&p.note.op, QN_E_TIMEOUT));
      }
      settle_all(w.x.loop);
      CHECK_INT(p.note.result, QN_E_TIMEOUT);
      CHECK_INT(p.failed, 0);
      size_t handed = qn_buf_size(&w.k->wire) + qn_stream_queued(w.t);
      CHECK_UINT(p.moved, handed);
      CHECK_UINT(handed + qn_stream_available(w.x.s) + qn_buf_size(&w.x.k->in), 200000);
      CHECK_INT(put_text(w.t, "x"), 0); /* the side is free again and not torn */
      qn_slice_t rest = qn_stream_data(w.x.s);
      CHECK_MEM(rest.data, rest.size, bytes + handed, rest.size);
      two_close(&w);
    }
  }
}

TEST(failures_name_their_side)
{
  for (int how = 0; how < 7; how++) {
    TEST_ROUND("how %d", how);
    two_t w;
    pumping_t p;
    two_open(&w);
    w.x.k->lend = true;
    if (how == 3) {
      w.k->finish_error = -EIO;
    }
    REQUIRE_INT(pump(&p, w.x.s, w.t, 0, false), QN_AGAIN);
    fake_arrive(w.x.k, bytes, 1000);
    settle_all(w.x.loop);
    switch (how) {
    case 0: fake_end(w.x.k, -ECONNRESET); break;
    case 1:
      w.k->write_error = -EPIPE;
      fake_arrive(w.x.k, bytes, 50000);
      break;
    case 2:
      w.k->accept = 0;
      fake_arrive(w.x.k, bytes, 50000);
      settle_all(w.x.loop);
      w.k->write_error = -EPIPE;
      qn_stream_wake(w.t, QN_WAKE_WRITE);
      break;
    case 3: fake_end(w.x.k, 0); break;
    case 4: qn_stream_close(w.x.s); break;
    case 5: qn_stream_close(w.t); break;
    default: qn_stream_abort(w.t); break;
    }
    settle_all(w.x.loop);
    CHECK_INT(p.note.done, 1);
    static const int64_t errors[] = {-ECONNRESET, -EPIPE,      -EPIPE,     -EIO,
                                     QN_E_CLOSED, QN_E_CLOSED, QN_E_CLOSED};
    CHECK_INT(p.note.result, errors[how]);
    CHECK_INT(p.failed, "rwwwrww"[how]);
    CHECK_INT(stats_of(w.x.loop).chunks, 0);
    if (how == 1) {
      CHECK_UINT(qn_stream_available(w.x.s), 50000); /* not handed over, not lost */
    }
    two_close(&w);
  }
}

TEST(echo_of_a_reset)
{
  wire_t x;
  pumping_t p;
  wire_open(&x);
  REQUIRE_INT(pump(&p, x.s, x.s, 0, false), QN_AGAIN);
  fake_end(x.k, -ECONNRESET);
  settle_all(x.loop);
  CHECK_INT(p.note.result, -ECONNRESET);
  CHECK_INT(p.failed, 'r');
  wire_close(&x);
}

TEST(pump_between_connecting_streams)
{
  wire_t x;
  pumping_t p;
  rig_t *rig = &x.rig;
  (void)rig;
  wire_open(&x);
  qn_stream_t *t = qn_stream_new(x.loop);
  fake_t *k = fake_new();
  k->start_rc = QN_AGAIN;
  qn__stream_set_state(t, QN_STATE_CONNECTING);
  REQUIRE_INT(qn__stream_set_bottom(t, &k->filter), 0);
  REQUIRE_INT(qn__stream_start(t, NULL), QN_AGAIN);
  REQUIRE_INT(pump(&p, x.s, t, 0, false), QN_AGAIN);
  fake_arrive(x.k, bytes, 1000);
  settle_all(x.loop);
  CHECK_UINT(p.note.done, 0);
  k->start_rc = 0;
  qn_stream_wake(t, QN_WAKE_START);
  settle_all(x.loop);
  CHECK_WIRE(k, bytes, 1000);
  fake_end(x.k, 0);
  settle_all(x.loop);
  CHECK_INT(p.note.result, 1000);
  qn_stream_release(t);
  wire_close(&x);
}

TEST(pump_keeps_its_streams)
{
  pair_t p, q;
  pumping_t m;
  pair_open(&p);
  q.rig = p.rig;
  q.loop = p.loop;
  REQUIRE_INT(qn_stream_pair(p.loop, &q.a, &q.b), 0);
  REQUIRE_INT(pump(&m, p.b, q.a, 0, false), QN_AGAIN);
  qn_stream_release(p.b);
  qn_stream_release(q.a);
  reading_t r;
  put_text(p.a, "through");
  qn_stream_finish(p.a, NULL, NULL);
  CHECK_INT(read_now(&r, q.b, all(0)), 0);
  CHECK_READ(r, "through");
  settle_all(p.loop);
  CHECK_INT(m.note.result, 7);
  qn_stream_release(q.b);
  p.b = NULL;
  pair_close(&p);
}

TEST(one_pump_does_not_keep_the_loop_for_itself)
{
  two_t w;
  pumping_t p;
  two_open(&w);
  w.x.k->lend = true;
  REQUIRE_INT(pump(&p, w.x.s, w.t, 0, false), QN_AGAIN);
  for (int i = 0; i < 10; i++) {
    fake_arrive(w.x.k, bytes, sizeof bytes);
  }
  int fills = w.x.k->fills;
  qn_loop_turn(w.x.loop, QN_TURN_NOWAIT);
  CHECK(w.x.k->fills - fills <= QN__FILLS_PER_RUN + 1);
  settle_all(w.x.loop); /* a chunk per turn */
  settle_all(w.x.loop);
  CHECK_UINT(qn_buf_size(&w.k->wire), 10 * sizeof bytes);
  qn_op_cancel(&p.note.op, QN_E_CANCELLED);
  two_close(&w);
}

TEST(forgotten_pump)
{
  two_t w;
  pumping_t p;
  two_open(&w);
  REQUIRE_INT(pump(&p, w.x.s, w.t, 0, false), QN_AGAIN);
  qn_op_forget(&p.note.op);
  qn_pump_end(&p.note.op);
  CHECK_INT(put_text(w.t, "x"), 0);
  two_close(&w);
}

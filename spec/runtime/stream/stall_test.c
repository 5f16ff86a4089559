/* stall.c: no progress ends what waits; progress goes on for ever; nobody waits, no timer. Time is
 * short and real: tests wait for the outcome and check its order only. */
#include "runtime/stream/rig.h"

static int64_t timers(const wire_t *x) { return stats_of(x->loop).timers; }

TEST(armed_only_while_somebody_waits)
{
  wire_t x;
  writing_t w;
  note_t flush;
  qn_writer_t fw;
  wire_open(&x);
  x.k->accept = 0;
  put_text(x.s, "abc");
  settle_all(x.loop);
  CHECK_INT(timers(&x), 0); /* a queue alone is nobody who waits */
  note_init(&flush, x.loop);
  REQUIRE_INT(qn_stream_flush(x.s, &flush.op, &fw), QN_AGAIN);
  CHECK_INT(timers(&x), 1);
  fake_room(x.k, 3);
  settle_all(x.loop);
  CHECK_INT(flush.done, 1);
  CHECK_INT(timers(&x), 0);
  qn_stream_set_write_mark(x.s, 1);
  put_text(x.s, "a");
  REQUIRE_INT(start_write(&w, x.s, "b", 1), QN_AGAIN);
  CHECK_INT(timers(&x), 1);
  qn_op_cancel(&w.note.op, QN_E_CANCELLED);
  settle_all(x.loop);
  CHECK_INT(timers(&x), 0);
  REQUIRE_INT(qn_stream_finish(x.s, NULL, NULL), QN_AGAIN);
  CHECK_INT(timers(&x), 1);
  qn_stream_set_stall(x.s, 0);
  CHECK_INT(timers(&x), 0);
  wire_close(&x);
}

TEST(no_progress_fails_the_writing_side)
{
  wire_t x;
  writing_t first, second;
  reading_t r;
  wire_open(&x);
  put_text(x.s, "progress before");
  settle_all(x.loop);
  x.k->accept = 1;
  qn_stream_set_stall(x.s, 5);
  qn_stream_set_write_mark(x.s, 2);
  REQUIRE_INT(start_write(&first, x.s, "abcd", 4), QN_AGAIN);
  REQUIRE_INT(start_write(&second, x.s, "ef", 2), QN_AGAIN);
  TURN_UNTIL(x.loop, first.note.done && second.note.done);
  CHECK_INT(first.note.result, QN_E_TIMEOUT);
  CHECK_INT(second.note.result, QN_E_TIMEOUT);
  CHECK_INT(put_text(x.s, "x"), QN_E_TIMEOUT);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_CONNECTED); /* reading goes on */
  fake_arrive(x.k, "abc", 3);
  CHECK_INT(read_now(&r, x.s, some(9)), 0);
  CHECK_READ(r, "abc");
  wire_close(&x);
}

typedef struct drip {
  qn_timer_t timer;
  fake_t *k;
  uint64_t pause;
  int left;
} drip_t;

static void drop_falls(qn_timer_t *t)
{
  drip_t *d = (drip_t *)(void *)((char *)t - offsetof(drip_t, timer));
  fake_room(d->k, 1);
  if (--d->left > 0) {
    qn_loop_t *loop = d->k->filter.stream->loop;
    qn_timer_start(loop, t, qn_loop_now(loop) + d->pause, drop_falls);
  }
}

/* Each byte comes within a fifth of the stall time, all of them do not. */
static int64_t drip(uint64_t stall)
{
  wire_t x;
  writing_t w;
  drip_t d = {.left = 12, .pause = stall / 5};
  wire_open(&x);
  d.k = x.k;
  x.k->accept = 0;
  qn_stream_set_stall(x.s, stall);
  qn_stream_set_write_mark(x.s, 1);
  REQUIRE_INT(start_write(&w, x.s, "0123456789", 10), QN_AGAIN);
  qn_timer_start(x.loop, &d.timer, qn_loop_now(x.loop) + d.pause, drop_falls);
  TURN_UNTIL(x.loop, w.note.done);
  int64_t result = w.note.result;
  TURN_UNTIL(x.loop, d.left == 0);
  wire_close(&x);
  return result;
}

/* A machine that stands still for most of the stall time gets more of it. */
TEST(slow_progress_is_progress)
{
  int64_t result = QN_E_TIMEOUT;
  for (uint64_t stall = 100; result == QN_E_TIMEOUT && stall < 10000; stall *= 5) {
    result = drip(stall);
  }
  CHECK_INT(result, 0);
}

TEST(a_closing_stream_that_stalls_is_aborted)
{
  wire_t x;
  wire_open(&x);
  x.k->accept = 0;
  x.k->late = true;
  qn_stream_set_stall(x.s, 5);
  put_text(x.s, "never");
  qn_stream_close(x.s);
  CHECK_INT(timers(&x), 1);
  TURN_UNTIL(x.loop, x.k->closed);
  CHECK(x.k->aborted);
  CHECK_INT(qn_stream_error(x.s), QN_E_TIMEOUT);
  qn_filter_gone(&x.k->filter);
  wire_close(&x);
}

TEST(not_while_connecting)
{
  wire_t x;
  writing_t w;
  wire_open_unstarted(&x);
  qn_stream_set_stall(x.s, 1);
  qn_stream_set_write_mark(x.s, 1);
  x.k->start_rc = QN_AGAIN;
  qn__stream_set_state(x.s, QN_STATE_CONNECTING);
  REQUIRE_INT(qn__stream_set_bottom(x.s, &x.k->filter), 0);
  REQUIRE_INT(qn__stream_start(x.s, NULL), QN_AGAIN);
  put_text(x.s, "a");
  REQUIRE_INT(start_write(&w, x.s, "b", 1), QN_AGAIN);
  CHECK_INT(timers(&x), 0);
  x.k->start_rc = 0;
  x.k->accept = 0;
  qn_stream_wake(x.s, QN_WAKE_START);
  TURN_UNTIL(x.loop, w.note.done);
  CHECK_INT(w.note.result, QN_E_TIMEOUT); /* but from then on */
  wire_close(&x);
}

TEST(setting_it_later_counts)
{
  wire_t x;
  writing_t w;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 1);
  put_text(x.s, "a");
  REQUIRE_INT(start_write(&w, x.s, "b", 1), QN_AGAIN);
  qn_stream_set_stall(x.s, 1);
  TURN_UNTIL(x.loop, w.note.done);
  CHECK_INT(w.note.result, QN_E_TIMEOUT);
  wire_close(&x);
}

/* --- lingering: a layer that has sent all and awaits the peer's end ----------------------------
 */

typedef struct layer {
  qn_filter_t filter; /* first */
  int asked;
} layer_t;

static int layer_finish(qn_filter_t *f)
{
  ((layer_t *)(void *)f)->asked++;
  f->below->room = 100;
  int64_t n = qn_filter_fill_below(f);
  if (n != QN_AGAIN) {
    qn_filter_consume(f->below, qn_buf_size(&f->below->rd));
    return 0;
  }
  qn_stream_linger(f->stream);
  return QN_AGAIN;
}

static int layer_start(qn_filter_t *f) { return qn_filter_start_below(f); }
static int64_t layer_fill(qn_filter_t *f) { return qn_filter_fill_below(f); }
static int layer_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  return qn_filter_write_below(f, v, n);
}
static void layer_destroy(qn_filter_t *f) { (void)f; }

static const qn_filter_ops_t layer_ops = {.name = "layer",
                                          .flags = QN_FILTER_LINGERS,
                                          .start = layer_start,
                                          .fill = layer_fill,
                                          .write = layer_write,
                                          .finish = layer_finish,
                                          .destroy = layer_destroy};

static void close_lingering(wire_t *x, layer_t *layer)
{
  wire_open(x);
  *layer = (layer_t){.filter = {.ops = &layer_ops}};
  x->k->late = true;
  REQUIRE_INT(qn_stream_push(x->s, &layer->filter, NULL), 0);
  put_text(x->s, "words");
  qn_stream_close(x->s);
  settle_all(x->loop);
  CHECK_INT(qn_stream_state(x->s), QN_STATE_CLOSING);
  CHECK(!x->k->paused);
  CHECK_INT(timers(x), 1);
}

TEST(a_lingering_close_ends_with_the_peers_end)
{
  wire_t x;
  layer_t layer;
  close_lingering(&x, &layer);
  int before = layer.asked;
  fake_end(x.k, 0);
  TURN_UNTIL(x.loop, x.k->closed);
  CHECK_INT(layer.asked, before + 1);
  CHECK(!x.k->aborted);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
  CHECK_INT(qn_stream_error(x.s), 0);
  CHECK_INT(timers(&x), 0);
  qn_filter_gone(&x.k->filter);
  wire_close(&x);
}

TEST(a_lingering_close_has_its_time_and_is_no_abort)
{
  wire_t x;
  layer_t layer;
  wire_open(&x);
  layer = (layer_t){.filter = {.ops = &layer_ops}};
  x.k->late = true;
  REQUIRE_INT(qn_stream_push(x.s, &layer.filter, NULL), 0);
  qn_stream_set_stall(x.s, 5);
  qn_stream_close(x.s);
  TURN_UNTIL(x.loop, x.k->closed);
  CHECK(!x.k->aborted);
  CHECK_INT(qn_stream_error(x.s), 0);
  qn_filter_gone(&x.k->filter);
  wire_close(&x);
}

TEST(a_lingering_close_can_be_aborted)
{
  wire_t x;
  layer_t layer;
  close_lingering(&x, &layer);
  qn_stream_abort(x.s);
  CHECK(x.k->closed);
  CHECK(x.k->aborted);
  CHECK_INT(timers(&x), 0);
  qn_filter_gone(&x.k->filter);
  wire_close(&x);
}

/* close.c: graceful close, abort, the peer's reset, both ends done, the last release, and who is
 * told. */
#include "runtime/stream/rig.h"

TEST(close_sends_what_was_written)
{
  wire_t x;
  reading_t r;
  writing_t w;
  note_t closed;
  wire_open(&x);
  x.k->accept = 0;
  x.k->late = true;
  qn_stream_set_write_mark(x.s, 10);
  put_text(x.s, "0123456789");
  REQUIRE_INT(start_read(&r, x.s, some(1)), QN_AGAIN);
  REQUIRE_INT(start_write(&w, x.s, "waits", 5), QN_AGAIN);
  qn_stream_close(x.s);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_CLOSING);
  CHECK(qn_stream_is_closed(x.s));
  CHECK_INT(r.note.done + w.note.done, 0); /* never inside the call */
  qn_loop_turn(x.loop, QN_TURN_NOWAIT);
  CHECK_INT(r.note.result, QN_E_CLOSED); /* and not a turn later */
  CHECK_INT(w.note.result, QN_E_CLOSED);
  CHECK(x.k->paused);
  note_init(&closed, x.loop);
  REQUIRE_INT(qn_stream_closed(x.s, &closed.op), QN_AGAIN);
  note_t other;
  note_init(&other, x.loop);
  CHECK_INT(qn_stream_closed(x.s, &other.op), QN_E_BUSY);
  fake_room(x.k, 4);
  settle_all(x.loop);
  CHECK(!x.k->closed);
  fake_room(x.k, 6);
  settle_all(x.loop);
  CHECK(x.k->closed && !x.k->aborted);
  CHECK_MEM(qn_buf_data(&x.k->wire), qn_buf_size(&x.k->wire), "0123456789", 10);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
  CHECK_INT(closed.done, 0);
  qn_filter_gone(&x.k->filter);
  settle_all(x.loop);
  CHECK_INT(closed.done, 1);
  CHECK_INT(qn_stream_closed(x.s, &closed.op), 0);
  qn_stream_close(x.s); /* idempotent */
  qn_stream_abort(x.s);
  wire_close(&x);
}

TEST(a_closing_stream_keeps_itself_alive)
{
  wire_t x;
  wire_open(&x);
  x.k->accept = 0;
  put_text(x.s, "bye");
  fake_t *k = x.k;
  qn_stream_t *s = x.s;
  qn_stream_close(s);
  qn_stream_retain(s); /* ours, to look at it */
  qn_stream_release(s);
  qn_stream_release(s);
  settle_all(x.loop);
  CHECK_INT(x.destroyed, 0);
  fake_room(k, SIZE_MAX);
  settle_all(x.loop);
  CHECK_INT(x.destroyed, 1);
  rig_close(&x.rig);
}

TEST(closing_drops_what_was_not_read)
{
  wire_t x;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_read_ahead(x.s, true);
  fake_arrive(x.k, "abc", 3);
  settle_all(x.loop);
  put_text(x.s, "q");
  qn_stream_retain(x.s);
  qn_stream_close(x.s);
  CHECK_UINT(qn_stream_available(x.s), 0);
  CHECK_UINT(qn_stream_data(x.s).size, 0);
  CHECK(x.k->paused);
  fake_arrive(x.k, "def", 3); /* nobody reads it any more */
  settle_all(x.loop);
  CHECK_UINT(qn_stream_available(x.s), 0);
  qn_stream_release(x.s);
  qn_stream_abort(x.s);
  wire_close(&x);
}

TEST(who_gives_up_waiting_for_the_end)
{
  wire_t x;
  note_t closed, again;
  wire_open(&x);
  note_init(&closed, x.loop);
  note_init(&again, x.loop);
  REQUIRE_INT(qn_stream_closed(x.s, &closed.op), QN_AGAIN);
  qn_op_cancel(&closed.op, QN_E_TIMEOUT);
  REQUIRE_INT(qn_stream_closed(x.s, &again.op), QN_AGAIN);
  qn_stream_close(x.s);
  settle_all(x.loop);
  CHECK_INT(closed.result, QN_E_TIMEOUT);
  CHECK_INT(again.done, 1);
  CHECK_INT(again.result, 0);
  wire_close(&x);
}

TEST(abort_drops_the_queue)
{
  for (int closing = 0; closing < 2; closing++) {
    wire_t x;
    writing_t w;
    wire_open(&x);
    x.k->accept = 2;
    put_text(x.s, "abcd");
    settle_all(x.loop);
    qn_stream_set_write_mark(x.s, 1);
    REQUIRE_INT(start_write(&w, x.s, "ef", 2), QN_AGAIN);
    x.k->late = true;
    if (closing) {
      qn_stream_close(x.s);
      settle_all(x.loop);
      CHECK(!x.k->closed);
    }
    qn_stream_abort(x.s);
    CHECK(x.k->closed && x.k->aborted);
    CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
    CHECK_UINT(qn_stream_sent(x.s), 2);
    settle_all(x.loop);
    CHECK_INT(w.note.result, QN_E_CLOSED);
    qn_filter_gone(&x.k->filter);
    wire_close(&x);
  }
}

TEST(the_last_release_aborts)
{
  wire_t x;
  reading_t r;
  wire_open(&x);
  put_text(x.s, "abc");
  x.k->late = true;
  fake_t *k = x.k;
  REQUIRE_INT(start_read(&r, x.s, some(1)), QN_AGAIN);
  qn_stream_release(x.s);
  CHECK(k->closed && k->aborted);
  qn_loop_turn(x.loop, QN_TURN_NOWAIT);
  CHECK_INT(r.note.result, QN_E_CLOSED);
  CHECK_INT(stats_of(x.loop).objects, 1);
  qn_filter_gone(&k->filter);
  CHECK_INT(stats_of(x.loop).objects, 0);
  rig_close(&x.rig);
}

TEST(close_of_an_unconnected_stream)
{
  rig_t rig;
  note_t closed;
  rig_open(&rig);
  note_init(&closed, rig.loop);
  for (int how = 0; how < 2; how++) {
    qn_stream_t *s = qn_stream_new(rig.loop);
    CHECK_INT(qn_stream_closed(s, &closed.op), 0);
    if (how == 0) {
      qn_stream_close(s);
    } else {
      qn_stream_abort(s);
    }
    CHECK(qn_stream_is_closed(s));
    CHECK_INT(qn_stream_closed(s, &closed.op), 0);
    qn_stream_release(s);
  }
  rig_close(&rig);
}

TEST(an_error_while_closing_ends_it)
{
  wire_t x;
  wire_open(&x);
  x.k->accept = 0;
  put_text(x.s, "abc");
  qn_stream_retain(x.s);
  qn_stream_close(x.s);
  CHECK_INT(x.destroyed, 0);
  x.k->write_error = -ECONNRESET;
  qn_stream_wake(x.s, QN_WAKE_WRITE);
  settle_all(x.loop);
  CHECK_INT(x.destroyed, 1);
  CHECK_INT(qn_stream_error(x.s), -ECONNRESET);
  qn_stream_release(x.s);
  wire_close(&x);
}

/* --- ends that come from the other side ------------------------------------------------------- */

TEST(both_ends_done)
{
  for (int order = 0; order < 2; order++) {
    TEST_ROUND("we end %s", order == 0 ? "first" : "last");
    wire_t x;
    reading_t r;
    qn_addr_t peer;
    wire_open(&x);
    CHECK_INT(qn_stream_fd(x.s), 77);
    qn_stream_read_ahead(x.s, true);
    put_text(x.s, "bye");
    if (order == 0) {
      CHECK_INT(qn_stream_finish(x.s, NULL, NULL), 0);
      CHECK_INT(qn_stream_state(x.s), QN_STATE_CONNECTED);
    }
    REQUIRE_INT(qn_buf_append(&x.k->in, "rest", 4), 0);
    fake_end(x.k, 0);
    settle_all(x.loop);
    if (order == 1) {
      CHECK_INT(qn_stream_state(x.s), QN_STATE_CONNECTED);
      CHECK_INT(put_text(x.s, "!"), 0); /* half-open: we may go on writing */
      CHECK_INT(qn_stream_finish(x.s, NULL, NULL), 0);
    }
    CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
    CHECK_INT(x.destroyed, 1);
    CHECK_INT(qn_stream_fd(x.s), -1);
    CHECK(!qn_stream_is_closed(x.s));
    CHECK_INT(qn_stream_error(x.s), 0);
    CHECK_UINT(qn_stream_available(x.s), 4); /* unread bytes stay */
    CHECK_INT(read_now(&r, x.s, upto(9)), 0);
    CHECK_READ(r, "rest");
    CHECK_INT(read_now(&r, x.s, some(9)), 0);
    CHECK(r.got.ended && r.got.size == 0);
    CHECK_INT(put_text(x.s, "x"), QN_E_SHUTDOWN);
    CHECK_INT(qn_stream_peer_addr(x.s, &peer), 0); /* known until close */
    CHECK_UINT(qn_addr_port(&peer), 99);
    qn_stream_close(x.s);
    CHECK_INT(qn_stream_peer_addr(x.s, &peer), QN_E_NOT_CONNECTED);
    CHECK_INT(read_now(&r, x.s, some(9)), QN_E_CLOSED);
    wire_close(&x);
  }
}

/* Nobody reads the rest, nobody closes: the last release cleans up. */
TEST(forgotten_after_the_end)
{
  for (int how = 0; how < 2; how++) {
    wire_t x;
    wire_open(&x);
    qn_stream_read_ahead(x.s, true);
    fake_arrive(x.k, "abc", 3);
    settle_all(x.loop);
    fake_end(x.k, -ECONNRESET);
    settle_all(x.loop);
    CHECK_UINT(qn_stream_available(x.s), 3);
    if (how == 1) { /* the next connection */
      fake_t *k = fake_new();
      qn__stream_set_state(x.s, QN_STATE_CONNECTING);
      REQUIRE_INT(qn__stream_plug(x.s, &k->filter), 0);
      CHECK_UINT(qn_stream_available(x.s), 0);
      CHECK_INT(qn_stream_error(x.s), 0);
      CHECK(qn_stream_readable(x.s) && qn_stream_writable(x.s));
      reading_t r;
      fake_arrive(k, "new", 3);
      CHECK_INT(read_now(&r, x.s, some(9)), 0);
      CHECK_READ(r, "new");
    }
    wire_close(&x);
  }
}

TEST(a_reset_ends_both_sides)
{
  wire_t x;
  reading_t r;
  writing_t w;
  note_t flush, closed;
  qn_writer_t fw;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 1);
  put_text(x.s, "q");
  REQUIRE_INT(start_read(&r, x.s, exact(5)), QN_AGAIN);
  REQUIRE_INT(start_write(&w, x.s, "waits", 5), QN_AGAIN);
  note_init(&flush, x.loop);
  REQUIRE_INT(qn_stream_flush(x.s, &flush.op, &fw), QN_AGAIN);
  note_init(&closed, x.loop);
  REQUIRE_INT(qn_stream_closed(x.s, &closed.op), QN_AGAIN);
  fake_end(x.k, -ECONNRESET);
  settle_all(x.loop);
  CHECK_INT(r.note.result, -ECONNRESET);
  CHECK_INT(w.note.result, -ECONNRESET);
  CHECK_INT(flush.result, -ECONNRESET);
  CHECK_INT(closed.done, 1);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
  CHECK_INT(put_text(x.s, "x"), -ECONNRESET);
  CHECK_INT(qn_stream_finish(x.s, &flush.op, &fw), -ECONNRESET);
  wire_close(&x);
}

TEST(unread_bytes_are_gone_after_our_close)
{
  pair_t p;
  reading_t r;
  pair_open(&p);
  put_text(p.a, "abc");
  CHECK_INT(read_now(&r, p.b, some(1)), 0);
  qn_stream_close(p.b);
  CHECK_UINT(qn_stream_available(p.b), 0);
  CHECK_UINT(qn_stream_data(p.b).size, 0);
  CHECK_INT(read_now(&r, p.b, some(1)), QN_E_CLOSED);
  pair_close(&p);
}

/* --- while a dial is under way ---------------------------------------------------------------- */

typedef struct dialling {
  wire_t x;
  note_t up;
  int stopped;
} dialling_t;

static void stop(void *dial) { ++*(int *)dial; }

static void dial_begin(dialling_t *d)
{
  memset(d, 0, sizeof *d);
  wire_open_unstarted(&d->x);
  d->x.k->start_rc = QN_AGAIN;
  qn__stream_set_state(d->x.s, QN_STATE_CONNECTING);
  qn__stream_set_dial(d->x.s, &d->stopped, stop);
  REQUIRE_INT(qn__stream_set_bottom(d->x.s, &d->x.k->filter), 0);
  note_init(&d->up, d->x.loop);
  REQUIRE_INT(qn__stream_start(d->x.s, &d->up.op), QN_AGAIN);
}

TEST(close_while_dialling)
{
  for (int how = 0; how < 2; how++) {
    dialling_t d;
    dial_begin(&d);
    CHECK_PTR(qn__stream_dial(d.x.s), &d.stopped);
    if (how == 0) {
      qn_stream_close(d.x.s);
    } else {
      put_text(d.x.s, "never sent");
      qn_stream_abort(d.x.s);
    }
    CHECK_INT(d.stopped, 1);
    CHECK_INT(qn_stream_state(d.x.s), QN_STATE_UNCONNECTED);
    CHECK_INT(d.x.destroyed, 1);
    settle_all(d.x.loop);
    CHECK_INT(d.up.done, 1);
    CHECK_INT(d.up.result, QN_E_CLOSED);
    wire_close(&d.x);
  }
}

TEST(close_with_bytes_while_dialling_sends_them_first)
{
  dialling_t d;
  reading_t r;
  dial_begin(&d);
  put_text(d.x.s, "last words");
  REQUIRE_INT(start_read(&r, d.x.s, some(1)), QN_AGAIN);
  qn_stream_close(d.x.s);
  CHECK_INT(d.stopped, 0);
  CHECK_INT(put_text(d.x.s, "x"), QN_E_CLOSED);
  settle_all(d.x.loop);
  CHECK_INT(r.note.result, QN_E_CLOSED);
  CHECK_INT(d.up.done, 0);
  CHECK_INT(qn_stream_state(d.x.s), QN_STATE_CONNECTING);
  d.x.k->late = true;
  d.x.k->start_rc = 0;
  qn_stream_wake(d.x.s, QN_WAKE_START);
  settle_all(d.x.loop);
  CHECK_INT(d.up.result, 0);
  CHECK(d.x.k->closed && !d.x.k->aborted);
  CHECK_MEM(qn_buf_data(&d.x.k->wire), qn_buf_size(&d.x.k->wire), "last words", 10);
  qn_filter_gone(&d.x.k->filter);
  wire_close(&d.x);
}

TEST(close_with_bytes_and_the_dial_fails)
{
  for (int how = 0; how < 3; how++) {
    TEST_ROUND("how %d", how);
    dialling_t d;
    dial_begin(&d);
    put_text(d.x.s, "last words");
    qn_stream_close(d.x.s);
    if (how == 2) { /* the owner goes away meanwhile */
      qn_stream_retain(d.x.s);
      qn_stream_release(d.x.s);
    }
    if (how == 1) {
      qn_stream_abort(d.x.s); /* does not want to wait any more */
      CHECK_INT(d.stopped, 1);
    } else {
      d.x.k->start_rc = -ECONNREFUSED;
      qn_stream_wake(d.x.s, QN_WAKE_START);
      settle_all(d.x.loop);
      CHECK_INT(d.up.result, -ECONNREFUSED);
      qn__stream_set_dial(d.x.s, NULL, NULL);
      qn__stream_drop_filters(d.x.s);
      qn__stream_set_state(d.x.s, QN_STATE_UNCONNECTED);
      qn__stream_set_error(d.x.s, -ECONNREFUSED);
    }
    settle_all(d.x.loop);
    CHECK_UINT(qn_stream_queued(d.x.s), 0);
    wire_close(&d.x);
  }
}

/* --- from inside a filter --------------------------------------------------------------------- */

static bool gracefully;

static int64_t closing_fill(qn_filter_t *f)
{
  if (gracefully) {
    qn_stream_close(f->stream); /* as a callback of a TLS library might */
  } else {
    qn_stream_abort(f->stream);
  }
  CHECK(f->stream->top == f);
  return QN_AGAIN;
}

TEST(a_close_inside_a_filter_waits_for_its_return)
{
  for (int how = 0; how < 2; how++) {
    wire_t x;
    reading_t r;
    qn_filter_ops_t ops = fake_ops;
    ops.fill = closing_fill;
    gracefully = how == 0;
    wire_open(&x);
    x.k->filter.ops = &ops;
    put_text(x.s, "abc");
    x.k->accept = 0;
    REQUIRE_INT(start_read(&r, x.s, some(1)), QN_AGAIN);
    CHECK_INT(x.destroyed, 0);
    settle_all(x.loop);
    CHECK_INT(r.note.result, QN_E_CLOSED);
    CHECK_INT(x.destroyed, !gracefully);
    if (gracefully) {
      fake_room(x.k, SIZE_MAX);
      settle_all(x.loop);
      CHECK_INT(x.destroyed, 1);
    }
    wire_close(&x);
  }
}

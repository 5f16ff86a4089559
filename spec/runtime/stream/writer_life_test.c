/* writer.c: writes before the stack is up, steps (send_file's way of writing), and completions that
 * close, release or write again. The rest is in writer_test.c. */
#include "runtime/stream/rig.h"

static char big[1000];

static size_t wire_size(const fake_t *k) { return qn_buf_size(&k->wire); }
static const uint8_t *wire_data(const fake_t *k) { return qn_buf_data(&k->wire); }

/* --- before the stack is up ------------------------------------------------------------------- */

TEST(written_while_connecting)
{
  wire_t x;
  note_t up, end;
  writing_t w;
  qn_writer_t fw;
  wire_open_unstarted(&x);
  qn__stream_set_state(x.s, QN_STATE_HOST_LOOKUP);
  CHECK_INT(put_text(x.s, "early "), 0);
  CHECK_UINT(qn_stream_queued(x.s), 6);
  x.k->start_rc = QN_AGAIN;
  qn__stream_set_state(x.s, QN_STATE_CONNECTING);
  REQUIRE_INT(qn__stream_set_bottom(x.s, &x.k->filter), 0);
  note_init(&up, x.loop);
  REQUIRE_INT(qn__stream_start(x.s, &up.op), QN_AGAIN);
  CHECK_INT(put_text(x.s, "bird "), 0);
  qn_stream_set_write_mark(x.s, 20);
  REQUIRE_INT(start_write(&w, x.s, "catches the worm", 16), QN_AGAIN); /* above the mark */
  note_init(&end, x.loop);
  REQUIRE_INT(qn_stream_finish(x.s, &end.op, &fw), QN_AGAIN);
  settle_all(x.loop);
  CHECK_UINT(qn_buf_size(&x.k->queue) + wire_size(x.k), 0);
  CHECK_INT(w.note.done, 0);
  x.k->start_rc = 0;
  qn_stream_wake(x.s, QN_WAKE_START);
  settle_all(x.loop);
  CHECK_INT(up.done, 1);
  CHECK_INT(w.note.done, 1);
  CHECK_INT(end.done, 1);
  CHECK(x.k->fin);
  CHECK_MEM(wire_data(x.k), wire_size(x.k), "early bird catches the worm", 27);
  CHECK_UINT(qn_stream_sent(x.s), 27);
  wire_close(&x);
}

TEST(the_mark_counts_before_the_stack_is_up)
{
  wire_t x;
  wire_open_unstarted(&x);
  qn__stream_set_state(x.s, QN_STATE_CONNECTING);
  qn_stream_set_write_mark(x.s, 100);
  CHECK_INT(put(x.s, big, 40), 0);
  CHECK_INT(put(x.s, big, 61), QN_AGAIN);
  CHECK_INT(put(x.s, big, 60), 0);
  CHECK_INT(put(x.s, big, 1), QN_AGAIN);
  note_t note;
  qn_writer_t w;
  note_init(&note, x.loop);
  REQUIRE_INT(qn_stream_flush(x.s, &note.op, &w), QN_AGAIN);
  CHECK_INT(qn_stream_push_out(x.s), 0);
  REQUIRE_INT(qn__stream_plug(x.s, &x.k->filter), 0);
  settle_all(x.loop);
  CHECK_INT(note.done, 1);
  CHECK_INT(note.result, 0);
  CHECK_UINT(wire_size(x.k), 100);
  wire_close(&x);
}

TEST(a_dial_that_fails_settles_readers_and_writers)
{
  wire_t x;
  writing_t w;
  reading_t r;
  wire_open_unstarted(&x);
  qn__stream_set_state(x.s, QN_STATE_CONNECTING);
  qn_stream_set_write_mark(x.s, 5);
  put_text(x.s, "abc");
  REQUIRE_INT(start_write(&w, x.s, "defg", 4), QN_AGAIN);
  REQUIRE_INT(start_read(&r, x.s, some(1)), QN_AGAIN);
  qn__stream_set_state(x.s, QN_STATE_UNCONNECTED);
  qn__stream_set_error(x.s, -ECONNREFUSED);
  settle_all(x.loop);
  CHECK_INT(w.note.result, -ECONNREFUSED);
  CHECK_INT(r.note.result, -ECONNREFUSED);
  CHECK_UINT(qn_stream_queued(x.s), 0);
  CHECK_INT(put_text(x.s, "x"), QN_E_NOT_CONNECTED);
  /* The next one succeeds and does not see what was left. */
  qn__stream_set_state(x.s, QN_STATE_CONNECTING);
  CHECK_INT(qn_stream_error(x.s), 0);
  REQUIRE_INT(qn__stream_plug(x.s, &x.k->filter), 0);
  put_text(x.s, "new");
  settle_all(x.loop);
  CHECK_MEM(wire_data(x.k), wire_size(x.k), "new", 3);
  wire_close(&x);
}

TEST(a_new_dial_before_the_old_ones_waiters_were_told)
{
  wire_t x;
  writing_t w;
  reading_t r;
  wire_open_unstarted(&x);
  qn__stream_set_state(x.s, QN_STATE_CONNECTING);
  qn_stream_set_write_mark(x.s, 5);
  put_text(x.s, "abc");
  REQUIRE_INT(start_write(&w, x.s, "defg", 4), QN_AGAIN);
  REQUIRE_INT(start_read(&r, x.s, some(1)), QN_AGAIN);
  qn__stream_set_state(x.s, QN_STATE_UNCONNECTED);
  qn__stream_set_error(x.s, -ECONNREFUSED);
  qn__stream_set_state(x.s, QN_STATE_CONNECTING);
  REQUIRE_INT(qn__stream_plug(x.s, &x.k->filter), 0);
  settle_all(x.loop);
  CHECK_INT(w.note.result, -ECONNREFUSED);
  CHECK_INT(r.note.result, -ECONNREFUSED);
  CHECK_UINT(wire_size(x.k), 0);
  wire_close(&x);
}

/* --- steps ------------------------------------------------------------------------------------ */

typedef struct stepper {
  int calls, until;
  int64_t result;
  bool puts, notes;
} stepper_t;

static int64_t one_step(qn_stream_t *s, void *arg)
{
  stepper_t *p = arg;
  p->calls++;
  if (p->puts) {
    qn_slice_t v = {(const uint8_t *)"step", 4};
    int rc = qn__stream_put(s, &v, 1);
    if (rc < 0) {
      return rc;
    }
  }
  if (p->notes) {
    qn__stream_note_sent(s, 7);
  }
  if (p->calls < p->until) {
    qn_stream_wake(s, QN_WAKE_WRITE);
    return QN_AGAIN;
  }
  return p->result;
}

TEST(steps_queue_with_the_writers)
{
  wire_t x;
  note_t note;
  qn_writer_t w;
  writing_t before, behind;
  stepper_t st = {.until = 3, .result = 12, .puts = true};
  qn__steps_t steps = {one_step, &st};
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 10);
  put_text(x.s, "0123456789");
  REQUIRE_INT(start_write(&before, x.s, "before", 6), QN_AGAIN);
  note_init(&note, x.loop);
  REQUIRE_INT(qn__stream_steps(x.s, &note.op, &w, &steps), QN_AGAIN);
  REQUIRE_INT(start_write(&behind, x.s, "behind", 6), QN_AGAIN);
  settle_all(x.loop);
  CHECK_INT(st.calls, 0);
  fake_room(x.k, SIZE_MAX);
  settle_all(x.loop);
  CHECK_INT(st.calls, 3);
  CHECK_INT(note.result, 12);
  CHECK_INT(behind.note.done, 1);
  CHECK_MEM(wire_data(x.k), wire_size(x.k), "0123456789beforestepstepstepbehind", 34);
  wire_close(&x);
}

TEST(steps_that_fail_or_are_cancelled)
{
  for (int how = 0; how < 4; how++) {
    TEST_ROUND("how %d", how);
    wire_t x;
    note_t note;
    qn_writer_t w;
    stepper_t st = {
        .until = how == 0 ? 1 : 1000, .result = -EIO, .puts = how == 1, .notes = how == 3};
    qn__steps_t steps = {one_step, &st};
    wire_open(&x);
    note_init(&note, x.loop);
    REQUIRE_INT(qn__stream_steps(x.s, &note.op, &w, &steps), QN_AGAIN);
    qn_loop_turn(x.loop, QN_TURN_NOWAIT);
    CHECK_INT(st.calls, 1);
    if (how != 0) {
      qn_op_cancel(&note.op, QN_E_TIMEOUT);
    }
    settle_all(x.loop);
    CHECK_INT(st.calls, 1);
    CHECK_INT(note.result, how == 0 ? -EIO : QN_E_TIMEOUT);
    CHECK_INT(put_text(x.s, "x"), how == 0 ? -EIO : how == 2 ? 0 : QN_E_CANCELLED);
    wire_close(&x);
  }
}

/* A step that fills the queue and waits for a flush that comes at the end of the turn. */
static int64_t filling_step(qn_stream_t *s, void *arg)
{
  int *left = arg;
  for (; *left > 0; --*left) {
    if (qn_stream_queued(s) >= 8) {
      return QN_AGAIN;
    }
    qn_slice_t v = {(const uint8_t *)"step", 4};
    int rc = qn__stream_put(s, &v, 1);
    if (rc < 0) {
      return rc;
    }
  }
  return qn__stream_try_flush(s);
}

TEST(steps_go_on_after_the_flush_of_the_turn)
{
  wire_t x;
  note_t note;
  qn_writer_t w;
  int left = 9;
  qn__steps_t steps = {filling_step, &left};
  wire_open(&x);
  note_init(&note, x.loop);
  REQUIRE_INT(qn__stream_steps(x.s, &note.op, &w, &steps), QN_AGAIN);
  settle_all(x.loop);
  CHECK_INT(note.done, 1);
  CHECK_INT(note.result, 0);
  CHECK_UINT(wire_size(x.k), 36);
  CHECK_UINT(w.taken, 36);
  wire_close(&x);
}

TEST(bytes_sent_past_the_queue_count)
{
  wire_t x;
  wire_open(&x);
  qn__stream_note_sent(x.s, 500);
  put_text(x.s, "abc");
  CHECK_UINT(qn_stream_sent(x.s), 500);
  settle_all(x.loop);
  CHECK_UINT(qn_stream_sent(x.s), 503);
  wire_close(&x);
}

/* --- `done` does what it likes ---------------------------------------------------------------- */

typedef struct wild {
  writing_t x;
  qn_stream_t *s;
  int what;
  writing_t again;
} wild_t;

static void wild_done(qn_op_t *op)
{
  wild_t *w = (wild_t *)(void *)((char *)op - offsetof(wild_t, x.note.op));
  note_done(op);
  switch (w->what) {
  case 0: qn_stream_close(w->s); break;
  case 1: qn_stream_abort(w->s); break;
  case 2: qn_stream_release(w->s); break;
  case 3: start_write(&w->again, w->s, "again", 5); break;
  default: qn_stream_finish(w->s, NULL, NULL); break;
  }
}

TEST(done_may_do_anything)
{
  for (int what = 0; what < 5; what++) {
    TEST_ROUND("what %d", what);
    wire_t x;
    wild_t w;
    writing_t behind;
    int destroyed = 0;
    wire_open(&x);
    x.k->destroyed = &destroyed;
    x.k->accept = 0;
    qn_stream_set_write_mark(x.s, 10);
    put_text(x.s, "0123456789");
    REQUIRE_INT(start_write(&w.x, x.s, "first", 5), QN_AGAIN);
    REQUIRE_INT(start_write(&behind, x.s, "second", 6), QN_AGAIN);
    w.x.note.op.done = wild_done;
    w.s = x.s;
    w.what = what;
    if (what != 2) {
      qn_stream_retain(x.s);
    }
    fake_room(x.k, SIZE_MAX);
    settle_all(x.loop);
    CHECK_INT(w.x.note.done, 1);
    CHECK_INT(behind.note.done, 1);
    CHECK_INT(behind.note.result, what < 2 ? QN_E_CLOSED : 0);
    if (what == 3) {
      CHECK_INT(w.again.note.done, 1);
      CHECK_MEM(wire_data(x.k), wire_size(x.k), "0123456789firstsecondagain", 26);
    }
    if (what != 2) {
      qn_stream_release(x.s);
      qn_stream_release(x.s);
    }
    settle_all(x.loop);
    CHECK_INT(destroyed, 1);
    rig_close(&x.rig);
  }
}

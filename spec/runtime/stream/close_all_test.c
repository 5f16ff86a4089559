/* close_all.c: the end of a program: all streams of a loop, whatever state they are in. */
#include "runtime/stream/rig.h"

TEST(close_all_sends_what_was_written)
{
  wire_t x;
  note_t closed;
  wire_open(&x);
  x.k->accept = 0;
  x.k->late = true;
  put_text(x.s, "last words");
  qn_stream_t *idle = qn_stream_new(x.loop); /* one that was never connected is closed at once */
  CHECK(!qn_streams_closing(x.loop));        /* open, not closing */
  qn_streams_close(x.loop);
  CHECK(qn_stream_is_closed(x.s) && qn_stream_is_closed(idle));
  CHECK(qn_streams_closing(x.loop));
  settle_all(x.loop);
  CHECK(qn_streams_closing(x.loop));
  fake_room(x.k, SIZE_MAX);
  settle_all(x.loop);
  CHECK(!qn_streams_closing(x.loop));
  CHECK_MEM(qn_buf_data(&x.k->wire), qn_buf_size(&x.k->wire), "last words", 10);
  CHECK(!x.k->aborted);
  qn_filter_gone(&x.k->filter);
  note_init(&closed, x.loop);
  CHECK_INT(qn_stream_closed(idle, &closed.op), 0);
  qn_stream_release(idle);
  wire_close(&x);
}

TEST(abort_all_ends_those_that_nobody_holds)
{
  wire_t x;
  wire_open(&x);
  x.k->accept = 0;
  x.k->late = true;
  put_text(x.s, "never sent");
  qn_stream_retain(x.s); /* ours, to look at it */
  qn_stream_close(x.s);
  qn_stream_release(x.s);
  CHECK(qn_streams_closing(x.loop));
  qn_streams_abort(x.loop);
  CHECK(!qn_streams_closing(x.loop));
  CHECK(x.k->aborted);
  qn_filter_gone(&x.k->filter);
  wire_close(&x);
}

TEST(a_pair_is_closed_from_both_sides)
{
  pair_t p;
  reading_t r;
  pair_open(&p);
  REQUIRE_INT(start_read(&r, p.a, some(1)), QN_AGAIN);
  put_text(p.b, "x");
  qn_streams_close(p.loop);
  settle_all(p.loop);
  CHECK_INT(r.note.done, 1);
  CHECK(!qn_streams_closing(p.loop));
  CHECK(qn_stream_is_closed(p.a) && qn_stream_is_closed(p.b));
  qn_streams_close(p.loop); /* idempotent */
  qn_streams_abort(p.loop);
  pair_close(&p);
}

TEST(an_empty_loop_has_nothing_to_close)
{
  rig_t rig;
  rig_open(&rig);
  qn_streams_close(rig.loop);
  qn_streams_abort(rig.loop);
  CHECK(!qn_streams_closing(rig.loop));
  rig_close(&rig);
}

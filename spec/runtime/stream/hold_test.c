/* qn_stream_hold: what is written before a layer comes waits for it, and never passes below. */
#include "runtime/stream/seal.h"

/* A held stream before it is connected, then connected. */
static void held_open(wire_t *x)
{
  wire_open_unstarted(x);
  qn_stream_hold(x->s, true);
  REQUIRE_INT(qn__stream_plug(x->s, &x->k->filter), 0);
  CHECK_INT(qn_stream_state(x->s), QN_STATE_CONNECTED);
}

/* The layer's first message, and the answer that brings it up. */
static void bring_up(wire_t *x, note_t *up)
{
  note_init(up, x->loop);
  REQUIRE_INT(qn_stream_push(x->s, &seal_new(true, 1)->filter, &up->op), QN_AGAIN);
  settle_all(x->loop);
  CHECK_MEM(qn_buf_data(&x->k->wire), qn_buf_size(&x->k->wire), "h\0\2ih", 5);
  CHECK_INT(up->done, 0);
  fake_arrive(x->k, "H\0\2ih", 5);
  settle_all(x->loop);
}

TEST(what_is_written_waits_for_the_layer)
{
  wire_t x;
  note_t up;
  reading_t r;
  writing_t w;
  held_open(&x);
  CHECK_INT(put_text(x.s, "a"), 0);
  qn_stream_set_write_mark(x.s, 2);
  REQUIRE_INT(start_write(&w, x.s, "bcd", 3), QN_AGAIN);
  REQUIRE_INT(start_read(&r, x.s, exact(2)), QN_AGAIN);
  settle_all(x.loop);
  CHECK_INT(qn_buf_size(&x.k->wire), 0);
  CHECK(x.k->paused); /* nobody looks at what comes */
  CHECK_INT(qn_stream_queued(x.s), 1);
  bring_up(&x, &up);
  CHECK_INT(up.result, 0);
  CHECK_INT(w.note.done, 1);
  CHECK_INT(w.note.result, 0);
  CHECK_MEM(qn_buf_data(&x.k->wire) + 5, 4, "d\0\1`", 4);
  fake_arrive(x.k, "d\0\2in", 5);
  settle_all(x.loop);
  CHECK_READ(r, "ho");
  wire_close(&x);
}

TEST(without_a_layer_it_goes_as_it_is)
{
  wire_t x;
  reading_t r;
  held_open(&x);
  CHECK_INT(put_text(x.s, "ab"), 0);
  REQUIRE_INT(start_read(&r, x.s, exact(2)), QN_AGAIN);
  fake_arrive(x.k, "xy", 2);
  settle_all(x.loop);
  CHECK_INT(r.note.done, 0);
  qn_stream_hold(x.s, false);
  settle_all(x.loop);
  CHECK_MEM(qn_buf_data(&x.k->wire), qn_buf_size(&x.k->wire), "ab", 2);
  CHECK_READ(r, "xy");
  wire_close(&x);
}

TEST(a_close_with_bytes_waits_for_the_layer)
{
  for (int when = 0; when < 2; when++) {
    wire_t x;
    note_t up;
    held_open(&x);
    x.k->late = true;
    CHECK_INT(put_text(x.s, "a"), 0);
    if (when == 0) { /* before the layer, or in its handshake */
      qn_stream_close(x.s);
      settle_all(x.loop);
      CHECK(!x.k->closed);
    }
    note_init(&up, x.loop);
    REQUIRE_INT(qn_stream_push(x.s, &seal_new(true, 1)->filter, &up.op), QN_AGAIN);
    settle_all(x.loop);
    if (when == 1) {
      qn_stream_close(x.s);
      settle_all(x.loop);
      CHECK(!x.k->closed);
    }
    fake_arrive(x.k, "H\0\2ih", 5);
    settle_all(x.loop);
    CHECK_INT(up.done, 1);
    CHECK_MEM(qn_buf_data(&x.k->wire), qn_buf_size(&x.k->wire), "h\0\2ihd\0\1`e\0\0", 12);
    CHECK(x.k->closed && !x.k->aborted);
    qn_filter_gone(&x.k->filter);
    wire_close(&x);
  }
}

TEST(a_close_without_bytes_does_not_wait)
{
  wire_t x;
  note_t up;
  held_open(&x);
  x.k->late = true;
  seal_t *k = seal_new(true, 1);
  note_init(&up, x.loop);
  qn_stream_close(x.s);
  settle_all(x.loop);
  CHECK(x.k->closed);
  CHECK_INT(qn_stream_push(x.s, &k->filter, &up.op), QN_E_CLOSED);
  qn_free(k);
  qn_filter_gone(&x.k->filter);
  wire_close(&x);
}

TEST(a_layer_that_fails_takes_the_bytes_with_it)
{
  for (int closed = 0; closed < 2; closed++) {
    wire_t x;
    note_t up;
    held_open(&x);
    CHECK_INT(put_text(x.s, "secret"), 0);
    note_init(&up, x.loop);
    REQUIRE_INT(qn_stream_push(x.s, &seal_new(true, 1)->filter, &up.op), QN_AGAIN);
    if (closed) {
      qn_stream_close(x.s);
    }
    fake_arrive(x.k, "nonsense", 8);
    settle_all(x.loop);
    CHECK_INT(up.done, 1);
    CHECK(up.result < 0);
    CHECK_INT(qn_stream_queued(x.s), 0);
    wire_close(&x);
  }
}

TEST(abort_ends_it_at_once)
{
  wire_t x;
  reading_t r;
  held_open(&x);
  CHECK_INT(put_text(x.s, "secret"), 0);
  REQUIRE_INT(start_read(&r, x.s, some(1)), QN_AGAIN);
  qn_stream_close(x.s);
  qn_stream_abort(x.s);
  settle_all(x.loop);
  CHECK_INT(r.note.result, QN_E_CLOSED);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
  wire_close(&x);
}

TEST(a_layer_may_claim_what_is_buffered)
{
  pair_t p;
  reading_t r;
  note_t up;
  pair_open(&p);
  seal_t *k = seal_new(false, 1);
  note_init(&up, p.loop);
  put(p.a, "goh\0\2ih", 7);
  CHECK_INT(read_now(&r, p.b, exact(2)), 0);
  CHECK_INT(qn_stream_push(p.b, &k->filter, &up.op), QN_E_PLAINTEXT);
  k->filter.takes_rest = true;
  CHECK_INT(qn_stream_push(p.b, &k->filter, &up.op), 0);
  CHECK_INT(read_now(&r, p.a, exact(5)), 0);
  CHECK_MEM(r.data, r.got.size, "H\0\2ih", 5);
  pair_close(&p);
}

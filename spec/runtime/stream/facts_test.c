/* facts.c: every question has an answer in every state. */
#include "runtime/stream/rig.h"

TEST(an_unconnected_stream)
{
  rig_t rig;
  char about[8] = "x";
  qn_addr_t a;
  rig_open(&rig);
  qn_stream_t *s = qn_stream_new(rig.loop), *t = qn_stream_new(rig.loop);
  CHECK_PTR(qn_stream_loop(s), rig.loop);
  CHECK_INT(qn_stream_state(s), QN_STATE_UNCONNECTED);
  CHECK(!qn_stream_is_closed(s) && !qn_stream_readable(s) && !qn_stream_writable(s));
  CHECK(!qn_stream_at_end(s));
  CHECK_INT(qn_stream_error(s), 0);
  CHECK_INT(qn_stream_fd(s), -1);
  CHECK_INT(qn_stream_local_addr(s, &a), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_stream_peer_addr(s, &a), QN_E_NOT_CONNECTED);
  CHECK_UINT(qn_stream_describe(s, about, sizeof about), 0);
  CHECK_STR(about, "");
  CHECK_NULL(qn_stream_top(s));
  CHECK_UINT(qn_stream_available(s) + qn_stream_queued(s), 0);
  CHECK_UINT(qn_stream_received(s) + qn_stream_sent(s), 0);
  CHECK_UINT(qn_stream_data(s).size, 0);
  CHECK_UINT(qn_stream_written(s).size, 0);
  CHECK(qn_stream_id(s) != 0 && qn_stream_id(t) == qn_stream_id(s) + 1);
  CHECK_UINT(qn_stream_read_limit(s), QN_READ_LIMIT_DEFAULT);
  CHECK_UINT(qn_stream_write_mark(s), QN_WRITE_MARK_DEFAULT);
  qn_stream_consume(s, 0);
  qn_stream_keep(s);
  qn_stream_read_ahead(s, true);
  qn_stream_set_stall(s, 7);
  qn_stream_set_read_limit(s, 7);
  CHECK_UINT(qn_stream_read_limit(s), 7);
  qn_stream_set_write_mark(s, 8);
  CHECK_UINT(qn_stream_write_mark(s), 8);
  settle_all(rig.loop);
  qn_stream_release(s);
  qn_stream_release(t);
  rig_close(&rig);
}

TEST(a_connected_stream)
{
  wire_t x;
  char about[8];
  qn_addr_t a;
  wire_open(&x);
  CHECK(qn_stream_readable(x.s) && qn_stream_writable(x.s));
  CHECK_INT(qn_stream_fd(x.s), 77);
  CHECK_INT(qn_stream_peer_addr(x.s, &a), 0);
  CHECK_INT(qn_stream_local_addr(x.s, &a), QN_E_UNSUPPORTED);
  CHECK_UINT(qn_stream_describe(x.s, about, 3), 4); /* as snprintf does */
  CHECK_STR(about, "fa");
  CHECK_UINT(qn_stream_describe(x.s, NULL, 0), 4);
  wire_close(&x);
}

/* A layer that makes the queue grow by bytes of its own must not make progress run backwards. */
TEST(sent_never_falls)
{
  wire_t x;
  wire_open(&x);
  put_text(x.s, "abcdef");
  settle_all(x.loop);
  CHECK_UINT(qn_stream_sent(x.s), 6);
  REQUIRE_INT(qn_buf_append(&x.k->queue, "overhead", 8), 0);
  CHECK_UINT(qn_stream_sent(x.s), 6);
  put_text(x.s, "g");
  CHECK_UINT(qn_stream_sent(x.s), 6);
  settle_all(x.loop);
  CHECK_UINT(qn_stream_sent(x.s), 7);
  wire_close(&x);
}

TEST(a_lower_mark_or_a_higher_one_counts_at_once)
{
  wire_t x;
  writing_t w;
  wire_open(&x);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 2);
  put_text(x.s, "ab");
  REQUIRE_INT(start_write(&w, x.s, "cd", 2), QN_AGAIN);
  qn_stream_set_write_mark(x.s, 100);
  settle_all(x.loop);
  CHECK_INT(w.note.done, 1);
  wire_close(&x);
}

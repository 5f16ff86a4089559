/* events.c: the orders that qn/stream.h promises, and that nothing is noted that nobody asked for.
 */
#include "runtime/stream/rig.h"

typedef struct log {
  char text[1000];
} log_t;

static void add(qn_stream_t *s, qn_event_t event, int64_t arg, void *data)
{
  log_t *log = data;
  char item[64];
  switch (event) {
  case QN_EVENT_STATE:
    CHECK_INT(qn_stream_state(s), arg);
    snprintf(item, sizeof item, "state:%s", qn_state_name((qn_state_t)arg));
    break;
  case QN_EVENT_HOST_FOUND: snprintf(item, sizeof item, "host_found"); break;
  case QN_EVENT_CONNECTED: snprintf(item, sizeof item, "connected"); break;
  case QN_EVENT_READY_READ: snprintf(item, sizeof item, "ready_read"); break;
  case QN_EVENT_WRITTEN: snprintf(item, sizeof item, "written:%d", (int)arg); break;
  case QN_EVENT_ERROR: snprintf(item, sizeof item, "error:%s", qn_err_name((int)arg)); break;
  case QN_EVENT_DISCONNECTED: snprintf(item, sizeof item, "disconnected"); break;
  case QN_EVENT_READ_ENDED: snprintf(item, sizeof item, "read_ended"); break;
  case QN_EVENT_CLOSED: snprintf(item, sizeof item, "closed"); break;
  }
  size_t used = strlen(log->text);
  snprintf(log->text + used, sizeof log->text - used, "%s ", item);
}

static void observe(qn_stream_t *s, log_t *log)
{
  log->text[0] = '\0';
  qn_stream_observe(s, 0x1ff, add, log);
}

#define CHECK_LOG(log, want)     \
  do {                           \
    CHECK_STR((log).text, want); \
    (log).text[0] = '\0';        \
  } while (0)

static void connect_observed(wire_t *x, log_t *log)
{
  wire_open_unstarted(x);
  observe(x->s, log);
  qn__stream_set_state(x->s, QN_STATE_HOST_LOOKUP);
  qn__stream_set_state(x->s, QN_STATE_CONNECTING);
  qn__stream_set_state(x->s, QN_STATE_CONNECTING);
  qn__stream_emit(x->s, QN_EVENT_HOST_FOUND, 0);
  REQUIRE_INT(qn__stream_plug(x->s, &x->k->filter), 0);
  CHECK_LOG(*log, "state:host_lookup state:connecting host_found state:connected connected ");
}

TEST(connect_and_close)
{
  wire_t x;
  log_t log;
  connect_observed(&x, &log);
  x.k->late = true;
  x.k->accept = 2;
  put_text(x.s, "abc");
  settle_all(x.loop);
  CHECK_LOG(log, "written:2 ");
  qn_stream_close(x.s);
  settle_all(x.loop);
  CHECK_LOG(log, "state:closing ");
  fake_room(x.k, 5);
  settle_all(x.loop);
  CHECK_LOG(log, "written:1 state:unconnected read_ended disconnected ");
  qn_filter_gone(&x.k->filter);
  CHECK_LOG(log, "closed ");
  qn_stream_abort(x.s);
  settle_all(x.loop);
  CHECK_LOG(log, "");
  wire_close(&x);
}

TEST(close_before_there_is_a_connection)
{
  wire_t x;
  log_t log;
  for (int how = 0; how < 3; how++) {
    TEST_ROUND("how %d", how);
    wire_open_unstarted(&x);
    observe(x.s, &log);
    qn__stream_set_state(x.s, QN_STATE_HOST_LOOKUP);
    log.text[0] = 0;
    if (how == 2) { /* remembered, then the dial fails */
      put_text(x.s, "abc");
      qn_stream_close(x.s);
      CHECK_LOG(log, "");
      qn__stream_set_state(x.s, QN_STATE_UNCONNECTED);
      qn__stream_set_error(x.s, QN_E_HOST_NOT_FOUND);
      settle_all(x.loop);
      CHECK_LOG(log, "state:unconnected error:HOST_NOT_FOUND closed ");
    } else {
      if (how == 0) {
        qn_stream_close(x.s);
      } else {
        qn_stream_abort(x.s);
      }
      CHECK_LOG(log, "state:unconnected closed ");
    }
    CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
    qn_stream_release(x.s);
    x.k->filter.ops->destroy(&x.k->filter);
    rig_close(&x.rig);
  }
}

TEST(written_while_closing)
{
  wire_t x;
  log_t log;
  connect_observed(&x, &log);
  x.k->accept = 0;
  put_text(x.s, "abcd");
  qn_stream_close(x.s);
  fake_room(x.k, 1);
  settle_all(x.loop);
  fake_room(x.k, 1);
  settle_all(x.loop);
  CHECK_LOG(log, "state:closing written:1 written:1 ");
  qn_stream_abort(x.s);
  wire_close(&x);
}

TEST(nothing_happens_nothing_is_noted)
{
  wire_t x;
  log_t log;
  connect_observed(&x, &log);
  CHECK_INT(qn_stream_flush(x.s, NULL, NULL), 0);
  CHECK_INT(qn_stream_push_out(x.s), 0);
  qn_stream_wake(x.s, QN_WAKE_READ | QN_WAKE_WRITE | QN_WAKE_START);
  settle_all(x.loop);
  CHECK_LOG(log, "");
  wire_close(&x);
}

TEST(abort_events)
{
  wire_t x;
  log_t log;
  connect_observed(&x, &log);
  qn_stream_abort(x.s);
  CHECK_LOG(log, "state:unconnected read_ended disconnected closed ");
  wire_close(&x);
}

TEST(reset_events)
{
  wire_t x;
  log_t log;
  connect_observed(&x, &log);
  qn_stream_read_ahead(x.s, true);
  REQUIRE_INT(qn_buf_append(&x.k->in, "abc", 3), 0);
  fake_end(x.k, -ECONNRESET);
  settle_all(x.loop);
  CHECK_LOG(log, "ready_read error:ECONNRESET state:unconnected read_ended disconnected closed ");
  qn_stream_close(x.s);
  CHECK_LOG(log, "");
  wire_close(&x);
}

TEST(end_of_the_peer)
{
  wire_t x;
  log_t log;
  connect_observed(&x, &log);
  qn_stream_read_ahead(x.s, true);
  fake_end(x.k, 0);
  settle_all(x.loop);
  CHECK_LOG(log, "ready_read read_ended ");
  qn_stream_finish(x.s, NULL, NULL);
  settle_all(x.loop);
  CHECK_LOG(log, "state:unconnected disconnected closed ");
  wire_close(&x);
}

TEST(our_end_first)
{
  wire_t x;
  log_t log;
  connect_observed(&x, &log);
  qn_stream_read_ahead(x.s, true);
  qn_stream_finish(x.s, NULL, NULL);
  settle_all(x.loop);
  CHECK_LOG(log, "");
  fake_end(x.k, 0);
  settle_all(x.loop);
  CHECK_LOG(log, "ready_read read_ended state:unconnected disconnected closed ");
  wire_close(&x);
}

TEST(failed_dial)
{
  wire_t x;
  log_t log;
  wire_open_unstarted(&x);
  observe(x.s, &log);
  qn__stream_set_state(x.s, QN_STATE_CONNECTING);
  REQUIRE_INT(qn__stream_set_bottom(x.s, &x.k->filter), 0);
  x.k->start_rc = -ECONNREFUSED;
  CHECK_INT(qn__stream_start(x.s, NULL), -ECONNREFUSED);
  qn__stream_drop_filters(x.s);
  qn__stream_set_state(x.s, QN_STATE_UNCONNECTED);
  qn__stream_set_error(x.s, -ECONNREFUSED);
  settle_all(x.loop);
  CHECK_LOG(log, "state:connecting state:unconnected error:ECONNREFUSED ");
  qn_stream_close(x.s);
  CHECK_LOG(log, "closed ");
  wire_close(&x);
}

TEST(ready_read_once_per_arrival)
{
  wire_t x;
  log_t log;
  reading_t r;
  connect_observed(&x, &log);
  x.k->lend = true;
  qn_stream_read_ahead(x.s, true);
  for (int i = 0; i < 3; i++) {
    fake_arrive(x.k, "abc", 3);
  }
  settle_all(x.loop);
  CHECK_LOG(log, "ready_read ");
  fake_arrive(x.k, "def", 3);
  settle_all(x.loop);
  CHECK_LOG(log, "ready_read ");
  /* A want that pulls for itself: bytes that it leaves are announced, too. */
  REQUIRE_INT(qn_buf_append(&x.k->in, "ghi", 3), 0);
  CHECK_INT(start_read(&r, x.s, exact(13)), 0);
  CHECK_LOG(log, "ready_read ");
  CHECK_UINT(qn_stream_available(x.s), 2);
  wire_close(&x);
}

TEST(errors_on_the_writing_side)
{
  wire_t x;
  log_t log;
  writing_t w;
  connect_observed(&x, &log);
  x.k->write_error = -EPIPE;
  CHECK_INT(put_text(x.s, "x"), -EPIPE);
  CHECK_LOG(log, "error:EPIPE ");
  CHECK_INT(put_text(x.s, "x"), -EPIPE);
  CHECK_LOG(log, "");
  wire_close(&x);
  /* A torn write is our own doing, not news. */
  connect_observed(&x, &log);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 1);
  REQUIRE_INT(start_write(&w, x.s, x.rig.loop, 0), 0);
  char *bytes = calloc(1, 100000);
  REQUIRE_INT(start_write(&w, x.s, bytes, 100000), QN_AGAIN);
  qn_op_cancel(&w.note.op, QN_E_CANCELLED);
  settle_all(x.loop);
  CHECK_LOG(log, "");
  free(bytes);
  wire_close(&x);
}

TEST(the_mask_and_switching_off)
{
  wire_t x;
  log_t log = {{0}};
  wire_open(&x);
  put_text(x.s, "before");
  settle_all(x.loop);
  qn_stream_observe(x.s, QN_EVENT_WRITTEN, add, &log);
  put_text(x.s, "abc");
  settle_all(x.loop);
  CHECK_LOG(log, "written:3 "); /* not what was sent before */
  qn_stream_observe(x.s, 0, NULL, NULL);
  put_text(x.s, "abc");
  qn_stream_abort(x.s);
  settle_all(x.loop);
  CHECK_LOG(log, "");
  wire_close(&x);
}

TEST(names_of_states)
{
  CHECK_STR(qn_state_name(QN_STATE_HOST_LOOKUP), "host_lookup");
  CHECK_STR(qn_state_name(QN_STATE_CLOSING), "closing");
  CHECK_STR(qn_state_name(QN_STATE_COUNT), "unknown");
}

/* f_trace.c: every byte is reported once with its direction, nothing is copied or changed. */
#include "runtime/stream/rig.h"

#include "qn/trace.h"

typedef struct record {
  char text[2000];
} record_t;

static void note_event(const qn_trace_event_t *e, void *data)
{
  static const char *const names[] = {"open", "<", ">", "end", "finish", "close", "error"};
  record_t *rec = data;
  size_t used = strlen(rec->text);
  char peer[QN_ADDR_TEXT] = "-";
  if (e->peer != NULL) {
    qn_addr_text(e->peer, peer, sizeof peer);
  }
  CHECK_STR(e->layer, "fake");
  CHECK(e->id != 0);
  if (e->what == QN_TRACE_OPEN) {
    CHECK_STR(peer, "127.0.0.9:99");
  }
  snprintf(rec->text + used, sizeof rec->text - used, "%s%.*s%s ", names[e->what],
           (int)e->bytes.size, (const char *)e->bytes.data,
           e->error != 0 ? qn_err_name(e->error) : "");
}

static void traced_open(wire_t *x, record_t *rec)
{
  wire_open_unstarted(x);
  rec->text[0] = '\0';
  qn_loop_set_trace(x->loop, note_event, rec);
  REQUIRE_INT(qn__stream_plug(x->s, &x->k->filter), 0);
}

TEST(reports_what_passes)
{
  for (int lend = 0; lend < 2; lend++) {
    wire_t x;
    record_t rec;
    reading_t r;
    char about[32];
    traced_open(&x, &rec);
    x.k->lend = lend;
    qn_stream_describe(x.s, about, sizeof about);
    CHECK_STR(about, "trace>fake");
    put_text(x.s, "hello");
    settle_all(x.loop);
    REQUIRE_INT(start_read(&r, x.s, exact(6)), QN_AGAIN);
    fake_arrive(x.k, "abc", 3);
    settle_all(x.loop);
    fake_arrive(x.k, "defg", 4);
    settle_all(x.loop);
    CHECK_READ(r, "abcdef");
    CHECK_INT(stats_of(x.loop).chunks, 0);
    fake_arrive(x.k, "hij", 3);
    settle_all(x.loop);
    fake_end(x.k, 0);
    CHECK_INT(read_now(&r, x.s, upto(9)), 0);
    CHECK_READ(r, "ghij");
    CHECK_INT(qn_stream_finish(x.s, NULL, NULL), 0);
    CHECK_STR(rec.text, "open >hello <abc <defg <hij end finish close ");
    wire_close(&x);
  }
}

TEST(reports_errors_once)
{
  wire_t x;
  record_t rec;
  reading_t r;
  traced_open(&x, &rec);
  x.k->accept = 0;
  put_text(x.s, "hello");
  settle_all(x.loop);
  x.k->write_error = -EPIPE;
  qn_stream_wake(x.s, QN_WAKE_WRITE);
  settle_all(x.loop);
  fake_end(x.k, -ECONNRESET);
  CHECK_INT(read_now(&r, x.s, some(1)), -ECONNRESET);
  CHECK_STR(rec.text, "open >hello errorEPIPE errorECONNRESET close ");
  wire_close(&x);
}

TEST(a_start_that_fails)
{
  wire_t x;
  record_t rec = {{0}};
  wire_open_unstarted(&x);
  qn_loop_set_trace(x.loop, note_event, &rec);
  x.k->start_rc = QN_AGAIN;
  note_t up;
  note_init(&up, x.loop);
  REQUIRE_INT(qn__stream_set_bottom(x.s, &x.k->filter), 0);
  REQUIRE_INT(qn__stream_start(x.s, &up.op), QN_AGAIN);
  x.k->start_rc = -ECONNREFUSED;
  qn_stream_wake(x.s, QN_WAKE_START);
  settle_all(x.loop);
  CHECK_INT(up.result, -ECONNREFUSED);
  CHECK_STR(rec.text, "errorECONNREFUSED ");
  wire_close(&x);
}

TEST(no_trace_no_filter)
{
  wire_t x;
  record_t rec;
  traced_open(&x, &rec);
  qn_loop_set_trace(x.loop, NULL, NULL); /* also for streams that have the filter */
  put_text(x.s, "secret");
  settle_all(x.loop);
  CHECK_STR(rec.text, "open ");
  qn_stream_t *s = qn_stream_new(x.loop);
  fake_t *k = fake_new();
  REQUIRE_INT(qn__stream_plug(s, &k->filter), 0);
  CHECK_PTR(qn_stream_top(s), &k->filter);
  qn_stream_release(s);
  wire_close(&x);
  /* Memory has no wire. */
  pair_t p;
  pair_open(&p);
  pair_close(&p);
}

TEST(memory_is_not_traced)
{
  rig_t rig;
  record_t rec = {{0}};
  qn_stream_t *a, *b;
  rig_open(&rig);
  qn_loop_set_trace(rig.loop, note_event, &rec);
  REQUIRE_INT(qn_stream_pair(rig.loop, &a, &b), 0);
  put_text(a, "x");
  settle_all(rig.loop);
  CHECK_STR(rec.text, "");
  qn_stream_release(a);
  qn_stream_release(b);
  rig_close(&rig);
}

TEST(bytes_pass_without_a_copy)
{
  wire_t x;
  record_t rec;
  qn_got_t got;
  qn_want_t w = some(0);
  traced_open(&x, &rec);
  qn_loop_set_trace(x.loop, NULL, NULL);
  x.k->lend = true;
  uint8_t *chunk = qn__chunk_lend(x.loop);
  qn__chunk_back(x.loop, chunk);
  fake_arrive(x.k, "hello", 5);
  REQUIRE_INT(qn_stream_want(x.s, NULL, &w, &got), 0);
  CHECK_PTR(qn_stream_data(x.s).data, chunk);
  qn_stream_consume(x.s, 5);
  CHECK_INT(stats_of(x.loop).chunks, 0);
  wire_close(&x);
}

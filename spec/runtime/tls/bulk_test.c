/* TLS over sockets: 10 MiB both ways with integrity, many slices, a wire that is full at the end,
 * TCP. */
#include "runtime/tls/tls_rig.h"

#include "qn/dial.h"
#include "qn/listen.h"

#include <sys/socket.h>
#include <unistd.h>

#define BULK (10u * 1024u * 1024u)

static uint8_t byte_at(size_t i) { return (uint8_t)(i * 2654435761u >> 13); }

static void use_sockets(duo_t *d)
{
  int fd[2];
  REQUIRE_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
  qn_stream_release(d->p.a);
  qn_stream_release(d->p.b);
  d->p.a = d->p.b = NULL;
  settle_all(d->p.loop);
  REQUIRE_INT(qn_stream_adopt(d->p.loop, fd[0], &d->p.a), 0);
  REQUIRE_INT(qn_stream_adopt(d->p.loop, fd[1], &d->p.b), 0);
}

typedef struct sink {
  note_t note;
  qn_stream_t *s;
  size_t at, wrong;
  int err;
} sink_t;

static void drain(sink_t *k)
{
  qn_want_t want = {.kind = QN_WANT_SOME};
  qn_got_t got;
  int rc;
  while ((rc = qn_stream_want(k->s, &k->note.op, &want, &got)) == 0) {
    qn_slice_t v = qn_stream_data(k->s);
    if (got.size == 0) {
      k->note.done = 1;
      return;
    }
    for (size_t i = 0; i < got.size; i++) {
      k->wrong += v.data[i] != byte_at(k->at + i);
    }
    k->at += got.size;
    qn_stream_consume(k->s, got.size);
  }
  k->err = rc == QN_AGAIN ? 0 : rc;
  k->note.done = k->err != 0;
}

static void drain_more(qn_op_t *op)
{
  sink_t *k = (sink_t *)(void *)((char *)op - offsetof(sink_t, note.op));
  if (op->result < 0) {
    k->err = (int)op->result;
    k->note.done = 1;
    return;
  }
  qn_got_t got = qn_stream_got(k->s);
  qn_slice_t v = qn_stream_data(k->s);
  for (size_t i = 0; i < got.size; i++) {
    k->wrong += v.data[i] != byte_at(k->at + i);
  }
  k->at += got.size;
  qn_stream_consume(k->s, got.size);
  if (got.size == 0) {
    k->note.done = 1;
    return;
  }
  drain(k);
}

static void sink_start(sink_t *k, qn_stream_t *s)
{
  memset(k, 0, sizeof *k);
  k->s = s;
  qn_op_init(&k->note.op, qn_stream_loop(s), drain_more);
  drain(k);
}

TEST(ten_mebibytes_both_ways)
{
  uint8_t *data = malloc(BULK);
  REQUIRE(data != NULL);
  for (size_t i = 0; i < BULK; i++) {
    data[i] = byte_at(i);
  }
  for (int version = QN_TLS_1_2; version <= QN_TLS_1_3; version++) {
    for (int sockets = 0; sockets < 2; sockets++) {
      TEST_ROUND("version %x, %s", version, sockets ? "sockets" : "memory");
      duo_t d;
      sink_t ka, kb;
      writing_t wa, wb;
      duo_init(&d);
      if (sockets) {
        use_sockets(&d);
      }
      d.cc = client_config();
      CHECK_INT(qn_tls_config_set_versions(d.cc, version, version), 0);
      duo_shake(&d);
      duo_require_up(&d);
      sink_start(&ka, d.p.a);
      sink_start(&kb, d.p.b);
      CHECK_INT(start_write(&wa, d.p.a, data, BULK), QN_AGAIN);
      CHECK_INT(start_write(&wb, d.p.b, data, BULK), QN_AGAIN);
      TURN_UNTIL(d.p.loop, wa.note.done && wb.note.done);
      (void)qn_stream_finish(d.p.a, NULL, NULL);
      (void)qn_stream_finish(d.p.b, NULL, NULL);
      TURN_UNTIL(d.p.loop, ka.note.done && kb.note.done);
      CHECK_INT(ka.err + kb.err, 0);
      CHECK_UINT(ka.at, BULK);
      CHECK_UINT(kb.at, BULK);
      CHECK_UINT(ka.wrong + kb.wrong, 0);
      duo_close(&d);
    }
  }
  free(data);
}

TEST(slices_of_all_sizes_share_records)
{
  enum { N = 300 };
  static uint8_t data[N * 200];
  qn_slice_t v[N];
  size_t at = 0;
  duo_t d;
  sink_t k;
  qn_writer_t w;
  note_t note;
  for (size_t i = 0; i < sizeof data; i++) {
    data[i] = byte_at(i);
  }
  for (size_t i = 0; i < N; i++) {
    size_t size = i % 7 == 0 ? 0 : i == 150 ? 20000 : i % 101;
    v[i] = (qn_slice_t){data + at, size};
    at += size;
  }
  duo_init(&d);
  duo_shake(&d);
  duo_require_up(&d);
  sink_start(&k, d.p.b);
  note_init(&note, d.p.loop);
  int rc = qn_stream_write(d.p.a, &note.op, &w, v, N);
  CHECK(rc == 0 || rc == QN_AGAIN);
  TURN_UNTIL(d.p.loop, k.at == at);
  CHECK_UINT(k.wrong, 0);
  duo_close(&d);
}

/* The end waits for a wire that is full; the loop sleeps meanwhile. */
TEST(a_full_wire_at_the_end_does_not_spin)
{
  duo_t d;
  wire_t x;
  note_t note;
  qn_writer_t w;
  static uint8_t data[100000];
  duo_zero(&d);
  wire_open(&x);
  d.p.loop = x.loop;
  d.cc = client_config();
  d.sc = server_config();
  qn_stream_t *b = qn_stream_new(x.loop);
  fake_t *kb = fake_new();
  REQUIRE(b != NULL && kb != NULL);
  REQUIRE_INT(qn__stream_plug(b, &kb->filter), 0);
  duo_make(&d);
  note_init(&d.up_c, x.loop);
  note_init(&d.up_s, x.loop);
  CHECK_INT(qn_tls_start(d.s, b, &d.up_s.op), QN_AGAIN);
  CHECK_INT(qn_tls_start(d.c, x.s, &d.up_c.op), QN_AGAIN);
  for (int i = 0; i < 10; i++) {
    settle_all(x.loop);
    fake_arrive(kb, qn_buf_data(&x.k->wire), qn_buf_size(&x.k->wire));
    qn_buf_consume(&x.k->wire, qn_buf_size(&x.k->wire));
    settle_all(x.loop);
    fake_arrive(x.k, qn_buf_data(&kb->wire), qn_buf_size(&kb->wire));
    qn_buf_consume(&kb->wire, qn_buf_size(&kb->wire));
  }
  settle_all(x.loop);
  duo_require_up(&d);
  x.k->accept = 100;
  put(x.s, data, sizeof data);
  note_init(&note, x.loop);
  CHECK_INT(qn_stream_finish(x.s, &note.op, &w), QN_AGAIN);
  settle_all(x.loop);
  int flushes = x.k->flushes;
  settle_all(x.loop);
  CHECK_INT(x.k->flushes, flushes);
  CHECK_INT(note.done, 0);
  fake_room(x.k, 200000);
  settle_all(x.loop);
  CHECK_INT(note.done, 1);
  CHECK_INT(note.result, 0);
  CHECK(x.k->fin);
  CHECK_INT(d.hc.out, 0);
  qn_stream_release(b);
  qn_tls_release(d.c);
  qn_tls_release(d.s);
  qn_tls_config_release(d.cc);
  qn_tls_config_release(d.sc);
  settle_all(x.loop);
  wire_close(&x);
}

TEST(over_tcp)
{
  duo_t d;
  qn_listener_t *l;
  qn_addr_t at;
  note_t taken;
  qn_stream_t *b = NULL;
  duo_init(&d);
  duo_configs(&d);
  duo_make(&d);
  REQUIRE_INT(qn_addr_parse(&at, "127.0.0.1", 0, QN_FAMILY_ANY), 0);
  REQUIRE_INT(qn_listener_open(d.p.loop, &at, NULL, &l), 0);
  REQUIRE_INT(qn_listener_addr(l, &at), 0);
  note_init(&taken, d.p.loop);
  int rc = qn_listener_accept(l, &taken.op, &b);
  CHECK_INT(rc, QN_AGAIN);
  qn_stream_t *a = qn_stream_new(d.p.loop);
  note_t connected;
  note_init(&connected, d.p.loop);
  CHECK_INT(qn_dial(a, &(qn_dial_opts_t){.address = &at, .timeout = 5000}, &connected.op),
            QN_AGAIN);
  TURN_UNTIL(d.p.loop, taken.done && connected.done);
  b = qn_listener_taken(&taken.op);
  note_init(&d.up_c, d.p.loop);
  note_init(&d.up_s, d.p.loop);
  CHECK_INT(qn_tls_start(d.s, b, &d.up_s.op), QN_AGAIN);
  CHECK_INT(qn_tls_start(d.c, a, &d.up_c.op), QN_AGAIN);
  TURN_UNTIL(d.p.loop, d.up_c.done && d.up_s.done);
  duo_require_up(&d);
  CHECK(qn_stream_fd(a) >= 0); /* questions reach the socket */
  CHECK_INT(qn_stream_peer_addr(a, &at), 0);
  qn_stream_release(a);
  qn_stream_release(b);
  qn_listener_close(l);
  qn_listener_release(l);
  duo_close(&d);
}

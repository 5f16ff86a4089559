/* What the stream tests share: a pair of streams in memory, short forms of write and want, and
 * `fake`, a bottom filter whose wire is in the hands of the test (what has arrived, what the kernel
 * accepts, when a start or a close is done, lent memory). */
#ifndef QN_SPEC_STREAM_RIG_H
#define QN_SPEC_STREAM_RIG_H

#include "runtime/loop/rig.h"

#include "qn/filter.h"
#include "stream/stream_p.h"

#include <errno.h>

/* Everything that is ready now, and what follows from it, without waiting. */
TEST_UNUSED static void settle_all(qn_loop_t *loop)
{
  for (int i = 0; i < 40; i++) {
    qn_loop_turn(loop, QN_TURN_NOWAIT);
  }
}

/* --- short forms ------------------------------------------------------------------------------ */

typedef struct pair {
  rig_t rig;
  qn_loop_t *loop;
  qn_stream_t *a, *b;
} pair_t;

TEST_UNUSED static void pair_open(pair_t *p)
{
  rig_open(&p->rig);
  p->loop = p->rig.loop;
  REQUIRE_INT(qn_stream_pair(p->loop, &p->a, &p->b), 0);
}

TEST_UNUSED static void pair_close(pair_t *p)
{
  if (p->a != NULL) {
    qn_stream_release(p->a);
  }
  if (p->b != NULL) {
    qn_stream_release(p->b);
  }
  settle_all(p->loop);
  rig_close(&p->rig);
}

/* A write that nobody waits for. */
TEST_UNUSED static int put(qn_stream_t *s, const void *data, size_t size)
{
  qn_slice_t v = {data, size};
  return qn_stream_write(s, NULL, NULL, &v, 1);
}
TEST_UNUSED static int put_text(qn_stream_t *s, const char *text)
{
  return put(s, text, strlen(text));
}

typedef struct writing {
  note_t note;
  qn_writer_t w;
  qn_slice_t v;
} writing_t;

TEST_UNUSED static int start_write(writing_t *x, qn_stream_t *s, const void *data, size_t size)
{
  note_init(&x->note, qn_stream_loop(s));
  x->v = (qn_slice_t){data, size};
  return qn_stream_write(s, &x->note.op, &x->w, &x->v, 1);
}

TEST_UNUSED static qn_want_t some(size_t n) { return (qn_want_t){.kind = QN_WANT_SOME, .n = n}; }
TEST_UNUSED static qn_want_t upto(size_t n) { return (qn_want_t){.kind = QN_WANT_UPTO, .n = n}; }
TEST_UNUSED static qn_want_t exact(size_t n) { return (qn_want_t){.kind = QN_WANT_EXACT, .n = n}; }
TEST_UNUSED static qn_want_t all(size_t max)
{
  return (qn_want_t){.kind = QN_WANT_ALL, .max = max};
}
TEST_UNUSED static qn_want_t delim(const char *d, size_t max)
{
  return (qn_want_t){.kind = QN_WANT_DELIM, .max = max, .delim = d, .delim_size = strlen(d)};
}

/* A reader that takes its bytes in `done`, as the bindings do. */
typedef struct reading {
  note_t note;
  qn_stream_t *s;
  qn_got_t got;
  char data[4096];
} reading_t;

TEST_UNUSED static void take_got(reading_t *r, qn_got_t got)
{
  qn_slice_t bytes = qn_stream_data(r->s);
  r->got = got;
  if (got.size != 0 && got.size <= sizeof r->data) {
    memcpy(r->data, bytes.data, got.size);
  }
  qn_stream_consume(r->s, got.size);
}

TEST_UNUSED static void reading_done(qn_op_t *op)
{
  reading_t *r = (reading_t *)(void *)((char *)op - offsetof(reading_t, note.op));
  note_done(op);
  if (op->result == 0) {
    take_got(r, qn_stream_got(r->s));
  }
}

/* 0: r->got and r->data are set; QN_AGAIN: later. */
TEST_UNUSED static int start_read(reading_t *r, qn_stream_t *s, qn_want_t want)
{
  qn_got_t got;
  memset(r, 0, sizeof *r);
  r->s = s;
  qn_op_init(&r->note.op, qn_stream_loop(s), reading_done);
  int rc = qn_stream_want(s, &r->note.op, &want, &got);
  if (rc == 0) {
    take_got(r, got);
  }
  return rc;
}

/* Reads, turning until it is done: 0 or an error. */
TEST_UNUSED static int64_t read_now(reading_t *r, qn_stream_t *s, qn_want_t want)
{
  int rc = start_read(r, s, want);
  if (rc != QN_AGAIN) {
    return rc;
  }
  settle_all(qn_stream_loop(s));
  if (!r->note.done) {
    qn_op_cancel(&r->note.op, QN_E_TIMEOUT);
    settle_all(qn_stream_loop(s));
  }
  return r->note.result;
}

#define CHECK_READ(r, text) CHECK_MEM((r).data, (r).got.size, (text), strlen(text))

/* --- a bottom filter in the test's hands ------------------------------------------------------ */

typedef struct fake {
  qn_filter_t filter; /* first */
  qn_buf_t in;        /* arrived */
  bool ended;
  int read_error, write_error, finish_error;
  size_t accept; /* what the kernel still takes */
  qn_buf_t queue, wire;
  bool fin;
  int start_rc; /* what start says */
  bool lend;    /* fills into the loop's chunk */
  bool late;    /* gone comes from fake_gone only */
  bool paused, closed, aborted;
  int starts, fills, flushes;
  int *destroyed;
} fake_t;

static fake_t *fake_of(qn_filter_t *f) { return (fake_t *)(void *)f; }

static int fake_start(qn_filter_t *f)
{
  fake_of(f)->starts++;
  return fake_of(f)->start_rc;
}

static int64_t fake_fill(qn_filter_t *f)
{
  fake_t *k = fake_of(f);
  size_t size = qn_buf_size(&k->in), n = size < f->room ? size : f->room;
  k->fills++;
  if (size == 0) {
    return k->read_error != 0 ? k->read_error : k->ended ? 0 : QN_AGAIN;
  }
  if ((f->ops->flags & QN_FILTER_INTO) != 0 && f->rd.lent && qn_buf_size(&f->rd) == 0) {
    n = n < f->rd.cap ? n : f->rd.cap;
  } else if (k->lend && qn_buf_size(&f->rd) == 0 && !f->rd.lent) {
    uint8_t *chunk = qn__chunk_lend(f->stream->loop);
    if (chunk != NULL) {
      qn_buf_free(&f->rd);
      f->rd = (qn_buf_t){.base = chunk, .cap = QN__CHUNK, .lent = true};
      n = n < QN__CHUNK ? n : QN__CHUNK;
    }
  }
  int rc = qn_buf_append(&f->rd, qn_buf_data(&k->in), n);
  if (rc < 0) {
    return rc;
  }
  qn_buf_consume(&k->in, n);
  return (int64_t)n;
}

static int fake_flush(qn_filter_t *f)
{
  fake_t *k = fake_of(f);
  size_t size = qn_buf_size(&k->queue), n = size < k->accept ? size : k->accept;
  k->flushes++;
  if (k->write_error != 0) {
    return k->write_error;
  }
  if (n != 0) {
    int rc = qn_buf_append(&k->wire, qn_buf_data(&k->queue), n);
    if (rc < 0) {
      return rc;
    }
    qn_buf_consume(&k->queue, n);
    if (k->accept != SIZE_MAX) {
      k->accept -= n;
    }
  }
  return qn_buf_size(&k->queue) == 0 ? 0 : QN_AGAIN;
}

static int fake_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  fake_t *k = fake_of(f);
  if (k->write_error != 0) {
    return k->write_error;
  }
  for (int i = 0; i < n; i++) {
    int rc = qn_buf_append(&k->queue, v[i].data, v[i].size);
    if (rc < 0) {
      return rc;
    }
  }
  int rc = qn_buf_size(&k->queue) >= 16384 ? fake_flush(f) : 0;
  return rc == QN_AGAIN ? 0 : rc;
}

static int fake_finish(qn_filter_t *f)
{
  fake_t *k = fake_of(f);
  if (k->finish_error != 0) {
    return k->finish_error;
  }
  int rc = fake_flush(f);
  k->fin = k->fin || rc == 0;
  return rc;
}

static int fake_query(qn_filter_t *f, int what, void *out)
{
  fake_t *k = fake_of(f);
  switch (what) {
  case QN_QUERY_QUEUED: *(size_t *)out = qn_buf_size(&k->queue); return 0;
  case QN_QUERY_PAUSE_READ: k->paused = *(const int *)out != 0; return 0;
  case QN_QUERY_FD: *(int *)out = 77; return 0;
  case QN_QUERY_PEER_ADDR: return qn_addr_parse(out, "127.0.0.9", 99, QN_FAMILY_ANY);
  default: return QN_E_UNSUPPORTED;
  }
}

static void fake_close(qn_filter_t *f, bool abort)
{
  fake_t *k = fake_of(f);
  k->closed = true;
  k->aborted = abort;
  if (!k->late) {
    qn_filter_gone(f);
  }
}

static void fake_destroy(qn_filter_t *f)
{
  fake_t *k = fake_of(f);
  if (k->destroyed != NULL) {
    ++*k->destroyed;
  }
  qn_buf_free(&k->in);
  qn_buf_free(&k->queue);
  qn_buf_free(&k->wire);
  qn_free(k);
}

#define FAKE_OPS(id, bits)                        \
  TEST_UNUSED static const qn_filter_ops_t id = { \
      .name = "fake",                             \
      .flags = (bits),                            \
      .start = fake_start,                        \
      .fill = fake_fill,                          \
      .write = fake_write,                        \
      .flush = fake_flush,                        \
      .finish = fake_finish,                      \
      .query = fake_query,                        \
      .close = fake_close,                        \
      .destroy = fake_destroy,                    \
  };
FAKE_OPS(fake_ops, 0)
FAKE_OPS(fake_into_ops, QN_FILTER_INTO)

TEST_UNUSED static fake_t *fake_new(void)
{
  fake_t *k = qn_calloc(1, sizeof *k);
  if (k != NULL) {
    k->filter.ops = &fake_ops;
    k->accept = SIZE_MAX;
    k->paused = true;
  }
  return k;
}

/* Bytes arrive and the stream is told. */
TEST_UNUSED static void fake_arrive(fake_t *k, const void *data, size_t size)
{
  REQUIRE_INT(qn_buf_append(&k->in, data, size), 0);
  qn_stream_wake(k->filter.stream, QN_WAKE_READ);
}

TEST_UNUSED static void fake_end(fake_t *k, int err)
{
  k->ended = err == 0;
  k->read_error = err;
  qn_stream_wake(k->filter.stream, QN_WAKE_READ);
}

/* The kernel takes `n` more bytes. */
TEST_UNUSED static void fake_room(fake_t *k, size_t n)
{
  k->accept = n == SIZE_MAX ? n : k->accept + n;
  qn_stream_wake(k->filter.stream, QN_WAKE_WRITE);
}

/* A connected stream over a fake. */
typedef struct wire {
  rig_t rig;
  qn_loop_t *loop;
  qn_stream_t *s;
  fake_t *k;
  int destroyed;
} wire_t;

TEST_UNUSED static void wire_open_unstarted(wire_t *x)
{
  memset(x, 0, sizeof *x);
  rig_open(&x->rig);
  x->loop = x->rig.loop;
  x->s = qn_stream_new(x->loop);
  x->k = fake_new();
  REQUIRE(x->s != NULL && x->k != NULL);
  x->k->destroyed = &x->destroyed;
}

TEST_UNUSED static void wire_open(wire_t *x)
{
  wire_open_unstarted(x);
  REQUIRE_INT(qn__stream_plug(x->s, &x->k->filter), 0);
}

TEST_UNUSED static void wire_close(wire_t *x)
{
  qn_stream_release(x->s);
  settle_all(x->loop);
  CHECK_INT(x->destroyed, 1);
  rig_close(&x->rig);
}

#endif

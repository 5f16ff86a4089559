/* f_mem.c: bottom filters without a wire: the two ends of a pair, and a stream over bytes in
 * memory.
 *
 * Made by qn_stream_pair and qn_stream_memory. A pair behaves like two sockets: each end holds the
 * bytes that it has not read yet (like a kernel buffer, its size is the reader's limit); what is
 * written beyond that counts as queued at the writer until the reader has taken some. Must not wake
 * a stream that does not want to read. Invariant: ends know each other until one of them closes;
 * then the other one's `peer` is NULL.
 */
#include "stream/stream_p.h"

#include <errno.h>

typedef struct mem mem_t;
struct mem {
  qn_filter_t filter; /* first */
  mem_t *peer;
  qn_buf_t in; /* written by the peer, not read yet */
  bool ended;  /* the peer's writing side has ended behind `in` */
  bool reset;  /* the peer is gone without an end */
  bool lost;   /* ... and bytes that were queued for it with it */
  bool paused;
};

static mem_t *self(qn_filter_t *f) { return QN__CONTAINER(f, mem_t, filter); }

/* --- pair ------------------------------------------------------------------------------------- */

static size_t window(const mem_t *m)
{
  size_t limit = m->filter.stream->read_limit;
  return limit != 0 ? limit : QN_READ_LIMIT_DEFAULT;
}

/* What `m` has been sent beyond its window: still on the writer's side, so to speak. */
static size_t excess(const mem_t *m)
{
  size_t size = qn_buf_size(&m->in), room = window(m);
  return size > room ? size - room : 0;
}

static void tell_reader(mem_t *m)
{
  if (!m->paused) {
    qn_stream_wake(m->filter.stream, QN_WAKE_READ);
  }
}

static int mem_start(qn_filter_t *f)
{
  (void)f;
  return 0;
}

static int64_t mem_fill(qn_filter_t *f)
{
  mem_t *m = self(f);
  size_t size = qn_buf_size(&m->in), n = size < f->room ? size : f->room;
  if (size == 0) {
    return m->reset ? -ECONNRESET : m->ended ? 0 : QN_AGAIN;
  }
  bool was_queued = excess(m) != 0;
  /* The limit may have grown since the writer was told to wait. */
  was_queued = was_queued || (m->peer != NULL && m->peer->filter.stream->blocked);
  if (n == size && qn_buf_size(&f->rd) == 0) {
    qn_buf_free(&f->rd);
    f->rd = m->in; /* no copy */
    m->in = (qn_buf_t){0};
  } else {
    int rc = qn_buf_append(&f->rd, qn_buf_data(&m->in), n);
    if (rc < 0) {
      return rc;
    }
    qn_buf_consume(&m->in, n);
    tell_reader(m); /* there is more */
  }
  if (was_queued && m->peer != NULL) {
    qn_stream_wake(m->peer->filter.stream, QN_WAKE_WRITE);
  }
  return (int64_t)n;
}

static int mem_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  mem_t *to = self(f)->peer;
  size_t total = 0;
  if (to == NULL) {
    return -EPIPE;
  }
  for (int i = 0; i < n; i++) {
    total += v[i].size;
  }
  int rc = qn_buf_reserve(&to->in, total);
  if (rc < 0) {
    return rc;
  }
  for (int i = 0; i < n; i++) {
    (void)qn_buf_append(&to->in, v[i].data, v[i].size); /* reserved */
  }
  tell_reader(to);
  return 0;
}

static int mem_flush(qn_filter_t *f)
{
  mem_t *m = self(f);
  if (m->lost) {
    return -EPIPE;
  }
  return m->peer != NULL && excess(m->peer) != 0 ? QN_AGAIN : 0;
}

static int mem_finish(qn_filter_t *f)
{
  mem_t *to = self(f)->peer;
  int rc = mem_flush(f);
  if (rc == 0 && to != NULL && !to->ended) {
    to->ended = true;
    tell_reader(to);
  }
  return rc;
}

static int mem_query(qn_filter_t *f, int what, void *out)
{
  mem_t *m = self(f);
  switch (what) {
  case QN_QUERY_QUEUED: *(size_t *)out = m->peer != NULL ? excess(m->peer) : 0; return 0;
  case QN_QUERY_PAUSE_READ:
    m->paused = *(const int *)out != 0;
    if (qn_buf_size(&m->in) != 0 || m->ended || m->reset) {
      tell_reader(m);
    }
    return 0;
  default: return QN_E_UNSUPPORTED;
  }
}

static void part(mem_t *m, bool abort)
{
  mem_t *peer = m->peer;
  if (peer == NULL) {
    return;
  }
  m->peer = peer->peer = NULL;
  peer->lost = excess(m) != 0;
  if (abort && !peer->ended) {
    size_t queued = excess(peer); /* dropped as from a queue */
    peer->in.tail -= queued;
    peer->reset = true;
  }
  peer->ended = true;
  tell_reader(peer);
  qn_stream_wake(peer->filter.stream, QN_WAKE_WRITE);
}

static void mem_close(qn_filter_t *f, bool abort)
{
  part(self(f), abort);
  qn_filter_gone(f);
}

static void mem_destroy(qn_filter_t *f)
{
  mem_t *m = self(f);
  part(m, true);
  qn_buf_free(&m->in);
  qn_free(m);
}

static const qn_filter_ops_t pair_ops = {
    .name = "memory",
    .flags = QN_FILTER_MEMORY,
    .start = mem_start,
    .fill = mem_fill,
    .write = mem_write,
    .flush = mem_flush,
    .finish = mem_finish,
    .query = mem_query,
    .close = mem_close,
    .destroy = mem_destroy,
};

/* A new stream with a bottom filter of `ops`. */
static int make(qn_loop_t *loop, const qn_filter_ops_t *ops, qn_stream_t **s, mem_t **m)
{
  *s = qn__stream_make(loop);
  *m = *s != NULL ? qn_calloc(1, sizeof **m) : NULL;
  if (*m == NULL) {
    if (*s != NULL) {
      qn_stream_release(*s);
    }
    return -ENOMEM;
  }
  (*m)->filter.ops = ops;
  (*m)->paused = true;
  int rc = qn__stream_plug(*s, &(*m)->filter);
  if (rc < 0) {
    qn_stream_release(*s);
  }
  return rc;
}

int qn_stream_pair(qn_loop_t *loop, qn_stream_t **a, qn_stream_t **b)
{
  qn_stream_t *s, *t;
  mem_t *m, *n;
  *a = *b = NULL;
  int rc = make(loop, &pair_ops, &s, &m);
  if (rc < 0) {
    return rc;
  }
  rc = make(loop, &pair_ops, &t, &n);
  if (rc < 0) {
    qn_stream_release(s);
    return rc;
  }
  m->peer = n;
  n->peer = m;
  *a = s;
  *b = t;
  return 0;
}

/* --- bytes in memory -------------------------------------------------------------------------- */

typedef struct sink {
  mem_t mem;    /* first; no peer: `in` is what can be read */
  size_t limit; /* of what may be written */
} sink_t;

static int sink_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  qn_buf_t *out = &f->stream->extra->written;
  sink_t *k = QN__CONTAINER(self(f), sink_t, mem);
  size_t total = 0;
  for (int i = 0; i < n; i++) {
    total += v[i].size;
  }
  if (total > k->limit - qn_buf_size(out)) {
    return QN_E_LIMIT;
  }
  int rc = qn_buf_reserve(out, total);
  for (int i = 0; i < n && rc == 0; i++) {
    rc = qn_buf_append(out, v[i].data, v[i].size);
  }
  return rc;
}

static const qn_filter_ops_t sink_ops = {
    .name = "memory",
    .flags = QN_FILTER_MEMORY,
    .start = mem_start,
    .fill = mem_fill,
    .write = sink_write,
    .flush = mem_flush,
    .finish = mem_finish,
    .query = mem_query,
    .close = mem_close,
    .destroy = mem_destroy,
};

int qn_stream_memory(qn_loop_t *loop, qn_slice_t bytes, size_t limit, qn_stream_t **out)
{
  qn_stream_t *s = qn__stream_make(loop);
  sink_t *k = NULL;
  int rc = -ENOMEM;
  *out = NULL;
  if (s == NULL || qn__extra(s) == NULL) {
    goto fail;
  }
  k = qn_calloc(1, sizeof *k);
  if (k == NULL || qn_buf_append(&k->mem.in, bytes.data, bytes.size) < 0) {
    goto fail;
  }
  k->mem.filter.ops = &sink_ops;
  k->mem.ended = true;
  k->mem.paused = true;
  k->limit = limit;
  rc = qn__stream_plug(s, &k->mem.filter); /* owns k from here on */
  k = NULL;
  if (rc < 0) {
    goto fail;
  }
  *out = s;
  return 0;
fail:
  qn_free(k);
  if (s != NULL) {
    qn_stream_release(s);
  }
  return rc;
}

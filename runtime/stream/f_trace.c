/* f_trace.c: the filter that reports what passes.
 *
 * Put on top of the bottom filter by qn__stream_set_bottom when the loop has a trace function.
 * Bytes pass without a copy: the buffer of the one below becomes ours. Must not change what passes,
 * nor fail on its own account. Invariant: each byte is reported once, in the order in which it
 * passes.
 */
#include "qn/trace.h"

#include "net/trace.h"
#include "stream/stream_p.h"

#include <errno.h>

typedef struct trace {
  qn_filter_t filter; /* first */
  qn_addr_t peer;
  int noted; /* the last error, which comes again with each call */
} trace_t;

static trace_t *self(qn_filter_t *f) { return QN__CONTAINER(f, trace_t, filter); }

static void report(qn_filter_t *f, qn_trace_what_t what, const uint8_t *data, size_t size, int err)
{
  trace_t *t = self(f);
  if (what == QN_TRACE_ERROR && err == t->noted) {
    return;
  }
  if (what == QN_TRACE_ERROR) {
    t->noted = err;
  }
  qn_trace_event_t e = {
      .what = what,
      .id = f->stream->id,
      .layer = f->below->ops->name,
      .bytes = {data, size},
      .error = err,
      .peer = t->peer.size != 0 ? &t->peer : NULL,
  };
  qn__trace(f->stream->loop, &e);
}

static int64_t report_result(qn_filter_t *f, int64_t rc)
{
  if (rc < 0 && rc != QN_AGAIN) {
    report(f, QN_TRACE_ERROR, NULL, 0, (int)rc);
  }
  return rc;
}

static int trace_start(qn_filter_t *f)
{
  trace_t *t = self(f);
  int rc = (int)report_result(f, qn_filter_start_below(f));
  if (rc == 0) {
    if (qn_filter_query_below(f, QN_QUERY_PEER_ADDR, &t->peer) < 0) {
      t->peer.size = 0;
    }
    report(f, QN_TRACE_OPEN, NULL, 0, 0);
  }
  return rc;
}

static int64_t trace_fill(qn_filter_t *f)
{
  f->below->room = f->room;
  int64_t n = qn_filter_fill_below(f);
  qn_buf_t *from = &f->below->rd;
  if (n == 0) {
    report(f, QN_TRACE_END, NULL, 0, 0);
  }
  if (n <= 0) {
    return report_result(f, n);
  }
  size_t size = qn_buf_size(from);
  report(f, QN_TRACE_READ, qn_buf_data(from), size, 0);
  if (qn_buf_size(&f->rd) == 0) {
    qn_buf_free(&f->rd);
    f->rd = *from;
    *from = (qn_buf_t){0};
  } else {
    int rc = qn_buf_append(&f->rd, qn_buf_data(from), size);
    if (rc < 0) {
      return report_result(f, rc);
    }
    qn_filter_consume(f->below, size);
  }
  return (int64_t)size;
}

static int trace_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  for (int i = 0; i < n; i++) {
    report(f, QN_TRACE_WRITE, v[i].data, v[i].size, 0);
  }
  return (int)report_result(f, qn_filter_write_below(f, v, n));
}

static int trace_flush(qn_filter_t *f) { return (int)report_result(f, qn_filter_flush_below(f)); }

static int trace_finish(qn_filter_t *f)
{
  int rc = (int)report_result(f, qn_filter_finish_below(f));
  if (rc == 0) {
    report(f, QN_TRACE_FINISH, NULL, 0, 0);
  }
  return rc;
}

static void trace_close(qn_filter_t *f, bool abort)
{
  report(f, QN_TRACE_CLOSE, NULL, 0, 0);
  qn_filter_close_below(f, abort);
}

static void trace_destroy(qn_filter_t *f) { qn_free(self(f)); }

static const qn_filter_ops_t trace_ops = {
    .name = "trace",
    .start = trace_start,
    .fill = trace_fill,
    .write = trace_write,
    .flush = trace_flush,
    .finish = trace_finish,
    .close = trace_close,
    .destroy = trace_destroy,
};

int qn__f_trace_new(qn_loop_t *loop, qn_filter_t **out)
{
  (void)loop;
  trace_t *t = qn_calloc(1, sizeof *t);
  if (t == NULL) {
    *out = NULL;
    return -ENOMEM;
  }
  t->filter.ops = &trace_ops;
  *out = &t->filter;
  return 0;
}

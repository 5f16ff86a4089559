/* f_trace.c: the filter that reports what passes, and the ready-made hex dump.
 *
 * Put on top of the bottom filter by qn__stream_set_bottom when the loop has a trace function.
 * Bytes pass without a copy: the buffer of the one below becomes ours. Must not change what passes,
 * nor fail on its own account. Invariant: each byte is reported once, in the order in which it
 * passes.
 */
#include "qn/trace.h"

#include "stream/stream_p.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct trace {
  qn_filter_t filter; /* first */
  qn_addr_t peer;
  int noted; /* the last error, which comes again with each call */
} trace_t;

static trace_t *self(qn_filter_t *f) { return QN__CONTAINER(f, trace_t, filter); }

static void report(qn_filter_t *f, qn_trace_what_t what, const uint8_t *data, size_t size, int err)
{
  trace_t *t = self(f);
  void *arg = NULL;
  qn__trace_fn fn = qn__loop_trace_get(f->stream->loop, &arg);
  if (fn == NULL || (what == QN_TRACE_ERROR && err == t->noted)) {
    return;
  }
  if (what == QN_TRACE_ERROR) {
    t->noted = err;
  }
  qn_trace_event_t e = {
      .what = what,
      .stream_id = f->stream->id,
      .layer = f->below->ops->name,
      .bytes = {data, size},
      .error = err,
      .peer = t->peer.size != 0 ? &t->peer : NULL,
  };
  fn(&e, arg);
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

/* --- hex dump --------------------------------------------------------------------------------- */

static void dump(FILE *file, qn_slice_t bytes)
{
  static const char digits[] = "0123456789abcdef";
  for (size_t at = 0; at < bytes.size; at += 16) {
    char hex[16 * 3 + 2], text[17];
    size_t n = bytes.size - at < 16 ? bytes.size - at : 16, h = 0;
    for (size_t i = 0; i < 16; i++) {
      uint8_t c = i < n ? bytes.data[at + i] : 0;
      hex[h++] = i < n ? digits[c >> 4] : ' ';
      hex[h++] = i < n ? digits[c & 15] : ' ';
      hex[h++] = ' ';
      if (i == 7) {
        hex[h++] = ' ';
      }
      if (i < n) {
        text[i] = c >= 0x20 && c < 0x7f ? (char)c : '.';
      }
    }
    hex[h] = '\0';
    text[n] = '\0';
    fprintf(file, "  %06zx  %s |%s|\n", at, hex, text);
  }
}

static char mark_of(qn_trace_what_t what)
{
  switch (what) {
  case QN_TRACE_WRITE:
  case QN_TRACE_FINISH:
  case QN_TRACE_NOTE_OUT: return '>';
  case QN_TRACE_READ:
  case QN_TRACE_END:
  case QN_TRACE_NOTE_IN: return '<';
  default: return '*';
  }
}

void qn_trace_hexdump(const qn_trace_event_t *e, void *arg)
{
  static const char *const words[] = {"open", "", "", "end", "finish", "close", "error"};
  FILE *file = arg;
  char peer[QN_ADDR_TEXT] = "-", clock[16] = "";
  struct timespec now;
  struct tm tm;
  char mark = mark_of(e->what);
  clock_gettime(CLOCK_REALTIME, &now);
  if (localtime_r(&now.tv_sec, &tm) != NULL) {
    strftime(clock, sizeof clock, "%H:%M:%S", &tm);
  }
  if (e->peer != NULL) {
    qn_addr_text(e->peer, peer, sizeof peer);
  }
  fprintf(file, "%c #%llu %s.%03d %s ", mark, (unsigned long long)e->stream_id, clock,
          (int)(now.tv_nsec / 1000000), peer);
  switch (e->what) {
  case QN_TRACE_READ:
  case QN_TRACE_WRITE:
    fprintf(file, "%zu bytes\n", e->bytes.size);
    dump(file, e->bytes);
    return;
  case QN_TRACE_NOTE:
  case QN_TRACE_NOTE_IN:
  case QN_TRACE_NOTE_OUT:
    fprintf(file, "%s: %.*s\n", e->layer, (int)e->bytes.size, (const char *)e->bytes.data);
    return;
  case QN_TRACE_ERROR: fprintf(file, "error %s\n", qn_err_name(e->error)); return;
  default: fprintf(file, "%s\n", words[e->what]);
  }
}

/* filter.c: the stack: who calls whom, how filters come and go.
 *
 * The stream calls the top through qn__filter_*, filters call the one below through
 * qn_filter_*_below. start recurses down to the first filter that is not up; its depth is that of
 * the stack, which no peer controls. Must not run user code. Invariant: a filter is freed only
 * between calls into the stack, never while one of its functions or of those above runs on it:
 * start and fill take it out after they have returned.
 */
#include "stream/stream_p.h"

#include <errno.h>

void qn__filter_destroy(qn_filter_t *f)
{
  if (f->rd.lent) {
    f->rd.head = f->rd.tail;
    qn__buf_settle(f->stream->loop, &f->rd);
  }
  qn_buf_free(&f->rd);
  f->ops->destroy(f);
}

static void take_out(qn_filter_t **slot)
{
  qn_filter_t *f = *slot;
  QN__ASSERT(f->below != NULL && qn_buf_size(&f->rd) == 0);
  *slot = f->below;
  qn__filter_destroy(f);
}

/* --- one filter ------------------------------------------------------------------------------- */

int qn__filter_start(qn_filter_t **slot)
{
  qn_filter_t *f = *slot;
  if (!f->up) {
    int rc = f->ops->start(f);
    if (rc < 0) {
      return rc;
    }
    f->up = true;
  }
  if ((f->ops->flags & QN_FILTER_HANDSHAKE) != 0 && f->below != NULL) {
    take_out(slot);
  }
  return 0;
}

/* Takes a filter that leaves out; what it still holds goes in front of what lies below. Returns how
 * many bytes lay there. */
static int64_t merge_out(qn_filter_t **slot)
{
  qn_filter_t *f = *slot;
  qn_buf_t *under = &f->below->rd;
  if (under->lent) {
    qn__buf_settle(f->stream->loop, under);
  }
  size_t surplus = qn_buf_size(under);
  if (surplus == 0) {
    qn_buf_free(under);
    *under = f->rd;
    f->rd = (qn_buf_t){0};
  } else if (qn_buf_size(&f->rd) != 0) {
    int rc = qn_buf_prepend(under, qn_buf_data(&f->rd), qn_buf_size(&f->rd));
    if (rc < 0) {
      return rc;
    }
  }
  *slot = f->below;
  qn__filter_destroy(f);
  return (int64_t)surplus;
}

int64_t qn__filter_fill(qn_filter_t **slot)
{
  size_t room = (*slot)->room;
  for (;;) { /* once for each filter that leaves */
    qn_filter_t *f = *slot;
    int64_t n = f->leaving ? QN_AGAIN : f->ops->fill(f);
    if (!f->leaving || (n <= 0 && n != QN_AGAIN)) {
      return n;
    }
    int64_t surplus = merge_out(slot);
    if (surplus < 0) {
      return surplus;
    }
    n = (n > 0 ? n : 0) + surplus;
    if (n > 0) {
      return n;
    }
    (*slot)->room = room;
  }
}

int qn__filter_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  while (f->leaving && f->below != NULL) {
    f = f->below;
  }
  return f->ops->write(f, v, n);
}

int qn__filter_flush(qn_filter_t *f)
{
  return f->ops->flush != NULL ? f->ops->flush(f) : qn_filter_flush_below(f);
}

int qn__filter_finish(qn_filter_t *f)
{
  return f->ops->finish != NULL && !f->leaving ? f->ops->finish(f) : qn_filter_finish_below(f);
}

void qn__filter_close(qn_filter_t *f, bool abort)
{
  if (f->ops->close != NULL) {
    f->ops->close(f, abort);
  } else {
    qn_filter_close_below(f, abort);
  }
}

int qn_filter_query(qn_filter_t *f, int what, void *out)
{
  return f->ops->query != NULL ? f->ops->query(f, what, out) : qn_filter_query_below(f, what, out);
}

/* --- for filters ------------------------------------------------------------------------------ */

int qn_filter_start_below(qn_filter_t *f)
{
  return f->below != NULL ? qn__filter_start(&f->below) : 0;
}

int64_t qn_filter_fill_below(qn_filter_t *f)
{
  if (f->below == NULL) {
    return QN_E_NOT_CONNECTED;
  }
  qn_buf_t *rd = &f->below->rd;
  if (rd->lent && qn_buf_size(rd) != 0) {
    qn__buf_settle(f->stream->loop, rd); /* a fill may need to grow it */
  }
  return qn__filter_fill(&f->below);
}

int qn_filter_write_below(qn_filter_t *f, const qn_slice_t *v, int n)
{
  return f->below != NULL ? qn__filter_write(f->below, v, n) : QN_E_NOT_CONNECTED;
}

int qn_filter_flush_below(qn_filter_t *f)
{
  return f->below != NULL ? qn__filter_flush(f->below) : 0;
}

int qn_filter_finish_below(qn_filter_t *f)
{
  return f->below != NULL ? qn__filter_finish(f->below) : 0;
}

int qn_filter_query_below(qn_filter_t *f, int what, void *out)
{
  return f->below != NULL ? qn_filter_query(f->below, what, out) : QN_E_UNSUPPORTED;
}

void qn_filter_close_below(qn_filter_t *f, bool abort)
{
  if (f->below != NULL) {
    qn__filter_close(f->below, abort);
  }
}

void qn_filter_consume(qn_filter_t *f, size_t n)
{
  QN__ASSERT(n <= qn_buf_size(&f->rd));
  if (f->rd.lent) {
    f->rd.head += n;
    if (f->rd.head == f->rd.tail) {
      qn__buf_settle(f->stream->loop, &f->rd);
    }
  } else {
    qn_buf_consume(&f->rd, n);
  }
}

void qn_filter_leave(qn_filter_t *f)
{
  QN__ASSERT(f->below != NULL);
  f->leaving = f->below != NULL;
}

/* --- the stack comes up ----------------------------------------------------------------------- */

/* The first time it is the connection that is up; later a layer that was pushed on it. */
static void went_up(qn_stream_t *s)
{
  s->starting = false;
  if (!s->established) {
    s->established = true;
    qn__stream_set_state(s, QN_STATE_CONNECTED);
    qn__stream_emit(s, QN_EVENT_CONNECTED, 0);
  }
  if (s->held) {
    return; /* what waits goes through the layer that comes */
  }
  (void)qn__send_pre(s); /* a failure is the writing side's: its waiters get it */
  if (s->reader != NULL || s->read_hold != NULL || s->ahead) {
    qn_stream_wake(s, QN_WAKE_READ);
  }
  if (!qn__list_empty(&s->writers) || s->write_hold != NULL || s->fin == QN__FIN_WANTED ||
      s->closed) {
    qn_stream_wake(s, QN_WAKE_WRITE);
  }
}

int qn__start_step(qn_stream_t *s)
{
  s->started = s->starting = true;
  s->in_filter++;
  int rc = qn__filter_start(&s->top);
  s->in_filter--;
  qn__settle_lent(s->loop, s->top);
  qn__dirty(s); /* handshakes write */
  if (rc == 0) {
    went_up(s);
  } else if (rc != QN_AGAIN) {
    s->starting = false;
  }
  qn__update_pause(s);
  return rc;
}

void qn__start_run(qn_stream_t *s)
{
  bool live = s->established;
  int rc = qn__start_step(s);
  if (rc == QN_AGAIN) {
    return;
  }
  qn_op_t *op = s->starter;
  s->starter = NULL;
  if (rc < 0 && live) {
    qn__connection_failed(s, rc);
  }
  if (op != NULL) {
    qn_op_complete(op, rc);
  }
}

static void cancel_starter(qn_op_t *op)
{
  qn_stream_t *s = op->owner;
  s->starter = NULL;
}

static int start(qn_stream_t *s, qn_op_t *op)
{
  int rc = qn__start_step(s);
  if (rc == QN_AGAIN && op != NULL) {
    s->starter = op;
    qn_op_begin(op, s, cancel_starter);
  }
  return rc;
}

int qn__stream_start(qn_stream_t *s, qn_op_t *op)
{
  if (s->top == NULL) {
    return QN_E_NOT_CONNECTED;
  }
  return s->starting ? QN_E_BUSY : start(s, op);
}

int qn__stream_set_bottom(qn_stream_t *s, qn_filter_t *f)
{
  void *data;
  qn_filter_t *trace = NULL;
  if (s->top != NULL || (s->closed && !qn__connecting(s))) {
    f->ops->destroy(f);
    return s->top != NULL ? QN_E_IS_CONNECTED : QN_E_CLOSED;
  }
  if (!qn__connecting(s)) {
    qn__stream_reset(s);
  }
  if (qn__loop_trace_get(s->loop, &data) != NULL && (f->ops->flags & QN_FILTER_MEMORY) == 0 &&
      qn__f_trace_new(s->loop, &trace) < 0) {
    f->ops->destroy(f);
    return -ENOMEM;
  }
  f->stream = s;
  f->below = NULL;
  s->top = f;
  s->started = s->starting = false;
  s->paused = true;
  if (trace != NULL) {
    trace->stream = s;
    trace->below = f;
    s->top = trace;
  }
  return 0;
}

int qn__stream_plug(qn_stream_t *s, qn_filter_t *f)
{
  int rc = qn__stream_set_bottom(s, f);
  return rc < 0 ? rc : qn__stream_start(s, NULL);
}

int qn_stream_push(qn_stream_t *s, qn_filter_t *f, qn_op_t *op)
{
  int depth = 1;
  if (s->closed && !(s->held && s->self_ref)) {
    return QN_E_CLOSED;
  }
  if (s->top == NULL || (!s->started && op != NULL)) {
    return QN_E_NOT_CONNECTED;
  }
  bool waits = s->reader != NULL || s->read_hold != NULL || s->write_hold != NULL ||
               !qn__list_empty(&s->writers);
  if (s->starting || (waits && !s->held)) {
    return QN_E_BUSY;
  }
  if (s->fin != QN__FIN_NONE && s->started) {
    return QN_E_SHUTDOWN; /* its first word could not be sent */
  }
  if (qn_buf_size(&s->top->rd) != 0 && !f->takes_rest) {
    return QN_E_PLAINTEXT;
  }
  for (qn_filter_t *g = s->top; g != NULL; g = g->below) {
    depth++;
  }
  if (depth > QN_FILTERS_MAX) {
    return QN_E_LIMIT;
  }
  f->stream = s;
  f->below = s->top;
  s->top = f;
  s->held = false; /* it is not up, and so nothing passes still */
  if (!s->started) {
    return 0;
  }
  int rc = start(s, op);
  if (rc < 0 && rc != QN_AGAIN && s->top == f) {
    s->top = f->below; /* still the caller's */
  }
  return rc;
}

void qn_stream_hold(qn_stream_t *s, bool on)
{
  if (s->held == on) {
    return;
  }
  s->held = on;
  if (!on && s->top != NULL && s->top->up && s->established) {
    went_up(s); /* without a layer */
  }
  qn__update_pause(s);
}

void qn__stream_drop_filters(qn_stream_t *s)
{
  if (s->top == NULL) {
    return;
  }
  if (s->starter != NULL) {
    qn_op_t *op = s->starter;
    s->starter = NULL;
    qn_op_settle(op, QN_E_CANCELLED);
  }
  qn__stack_close(s, true);
}

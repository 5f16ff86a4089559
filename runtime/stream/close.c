/* close.c: every way in which a connection ends: our close and abort, the peer's reset, both ends
 * done.
 *
 * A graceful close lets the queue run dry (watched by the stall timer), lingers for the peer's end
 * where a layer wants it, then closes the stack; the stream keeps itself alive meanwhile. Filters
 * above the bottom are destroyed when close returns, the bottom one when it says that it is gone.
 * Must not run user code: callers are anywhere. Invariant: after close or abort no operation is
 * pending on the stream but qn_stream_closed's.
 */
#include "stream/stream_p.h"

#include <errno.h>

/* --- the stack -------------------------------------------------------------------------------- */

static void note_closed(qn_stream_t *s)
{
  if (s->dying != 0 || s->top != NULL || qn__connecting(s)) {
    return;
  }
  if (s->over) {
    s->over = false;
    qn__stream_emit(s, QN_EVENT_CLOSED, 0);
  }
  if (s->extra != NULL && s->extra->closer != NULL) {
    qn_op_t *op = s->extra->closer;
    s->extra->closer = NULL;
    qn_op_settle(op, 0);
  }
}

static void bottom_gone(qn_filter_t *f)
{
  qn_stream_t *s = f->stream;
  qn__filter_destroy(f);
  s->dying--;
  note_closed(s);
  qn_stream_release(s);
}

void qn_filter_gone(qn_filter_t *f)
{
  qn_stream_t *s = f->stream;
  if (s->closing_bottom == f) {
    s->gone_early = true;
  } else {
    bottom_gone(f);
  }
}

void qn__stack_close(qn_stream_t *s, bool abort)
{
  qn_filter_t *f = s->top, *bottom = f;
  while (bottom->below != NULL) {
    bottom = bottom->below;
  }
  s->accepted = qn_stream_sent(s); /* what is dropped was not sent */
  s->sent = s->accepted;
  s->top = NULL;
  s->started = s->starting = s->blocked = false;
  s->paused = true;
  s->dying++;
  qn_stream_retain(s); /* until bottom_gone */
  s->closing_bottom = bottom;
  s->gone_early = false;
  qn__filter_close(f, abort);
  s->closing_bottom = NULL;
  while (f != bottom) {
    qn_filter_t *below = f->below;
    qn__filter_destroy(f);
    f = below;
  }
  if (s->gone_early) {
    bottom_gone(bottom);
  }
}

/* For those who ask after the end. Without memory they get no answer. */
static void keep_addrs(qn_stream_t *s)
{
  qn__addrs_t a;
  if (qn_filter_query(s->top, QN_QUERY_LOCAL_ADDR, &a.local) < 0) {
    a.local.size = 0;
  }
  if (qn_filter_query(s->top, QN_QUERY_PEER_ADDR, &a.peer) < 0) {
    a.peer.size = 0;
  }
  if ((a.local.size == 0 && a.peer.size == 0) || qn__extra(s) == NULL) {
    return;
  }
  qn_free(s->extra->addrs);
  s->extra->addrs = qn_malloc(sizeof a);
  if (s->extra->addrs != NULL) {
    *s->extra->addrs = a;
  }
}

static void drop_unread(qn_stream_t *s)
{
  if (s->top != NULL) {
    qn_filter_consume(s->top, qn_buf_size(&s->top->rd));
  }
  qn_buf_free(&s->rest);
  if (s->extra != NULL) {
    qn_free(s->extra->addrs);
    s->extra->addrs = NULL;
    qn_buf_free(&s->extra->pre);
  }
}

static void settle_starter(qn_stream_t *s, int err)
{
  if (s->starter != NULL) {
    qn_op_t *op = s->starter;
    s->starter = NULL;
    qn_op_settle(op, err);
  }
}

static void emit_end(qn_stream_t *s)
{
  bool was_up = s->state == QN_STATE_CONNECTED || s->state == QN_STATE_CLOSING;
  qn__stream_set_state(s, QN_STATE_UNCONNECTED);
  s->dial_failed = false; /* this end is ours: nobody waits any more */
  if (was_up) {
    qn__note_read_end(s);
    qn__stream_emit(s, QN_EVENT_DISCONNECTED, 0);
  }
}

void qn__teardown(qn_stream_t *s, bool abort)
{
  if (s->top == NULL) {
    return;
  }
  qn_stream_retain(s);
  if (!s->closed) {
    qn_buf_t *rd = &s->top->rd;
    if (rd->lent) {
      qn__buf_settle(s->loop, rd);
    }
    qn_buf_free(&s->rest);
    s->rest = *rd;
    *rd = (qn_buf_t){0};
    keep_addrs(s);
  }
  qn__note_progress(s);
  s->closing = s->held = false;
  qn__stack_close(s, abort);
  emit_end(s);
  s->over = true; /* CLOSED is the last event, also when the bottom filter is gone already */
  settle_starter(s, s->closed ? QN_E_CLOSED : s->error < 0 ? s->error : QN_E_NOT_CONNECTED);
  (void)qn__stall_check(s); /* stops it: nobody waits any more */
  note_closed(s);
  if (s->self_ref) {
    s->self_ref = false;
    qn_stream_release(s);
  }
  qn_stream_release(s);
}

/* --- ends that come by themselves ------------------------------------------------------------- */

void qn__connection_failed(qn_stream_t *s, int err)
{
  if (!s->ended && s->read_error == 0) {
    s->read_error = err;
  }
  if (s->write_error == 0 && s->fin != QN__FIN_DONE) {
    s->write_error = err;
  }
  qn__stream_set_error(s, err);
  if (s->extra != NULL) {
    qn_buf_free(&s->extra->pre); /* had waited for a layer */
  }
  qn__teardown(s, true);
  qn__writers_settle(s, err);
  if (s->reader != NULL || s->read_hold != NULL) {
    qn_stream_wake(s, QN_WAKE_READ); /* gets what is buffered, then the error */
  }
}

void qn__check_over(qn_stream_t *s)
{
  bool read_over = s->ended || s->read_error != 0;
  bool failed = s->write_error != 0 && !s->torn;
  if (s->top != NULL && (s->top->ops->flags & QN_FILTER_APART) != 0) {
    read_over = s->no_reading; /* an end or an error there may be left behind */
    failed = false;
  }
  if (!s->closed && s->top != NULL && read_over && (s->fin == QN__FIN_DONE || failed)) {
    qn__teardown(s, failed);
  }
}

void qn__dial_over(qn_stream_t *s)
{
  int err = s->error < 0 ? s->error : QN_E_NOT_CONNECTED;
  s->dial_failed = false;
  if (s->closed) { /* had waited for the dial */
    drop_unread(s);
    s->over = true;
    note_closed(s);
    if (s->self_ref) {
      s->self_ref = false;
      qn_stream_release(s); /* the caller has another one */
    }
    return;
  }
  if (s->extra != NULL) {
    qn_buf_free(&s->extra->pre);
  }
  s->fin = QN__FIN_NONE;
  qn__reader_fail(s, err);
  qn__writers_settle(s, err);
  note_closed(s);
}

/* --- our own ends ----------------------------------------------------------------------------- */

static void settle_waiters(qn_stream_t *s)
{
  qn__reader_fail(s, QN_E_CLOSED);
  qn__writers_settle(s, QN_E_CLOSED);
}

static void stop_dial(qn_stream_t *s)
{
  void *dial = s->dial;
  void (*stop)(void *dial) = s->dial_stop;
  s->dial = NULL;
  s->dial_stop = NULL;
  if (dial != NULL && stop != NULL) {
    stop(dial);
  }
}

/* Without a connection, or with one that is not up yet. */
static void close_unconnected(qn_stream_t *s)
{
  stop_dial(s);
  drop_unread(s);
  if (s->top != NULL) {
    qn__teardown(s, true);
    return;
  }
  s->over = s->over || !s->end_noted; /* CLOSED comes once */
  emit_end(s);
  note_closed(s);
}

void qn__close_step(qn_stream_t *s)
{
  if (s->top == NULL || !s->closed || !s->established || qn__awaits_layer(s)) {
    return;
  }
  if (!s->closing) { /* a close that had waited for the dial, or for a layer */
    s->closing = true;
    qn__stream_set_state(s, QN_STATE_CLOSING);
  }
  qn_stream_retain(s);
  s->in_filter++;
  /* After half a message the peer must not see a clean end. Files have no such end. */
  bool broken = s->write_error != 0 && (!s->torn || (s->top->ops->flags & QN_FILTER_APART) == 0);
  int rc = broken ? s->write_error : qn__filter_flush(s->top);
  bool said = s->fin == QN__FIN_DONE && (s->top->ops->flags & QN_FILTER_LINGERS) == 0;
  if (rc == 0 && s->top->up && s->top->below != NULL && !said && s->write_error == 0) {
    rc = qn__filter_finish(s->top); /* a close_notify; a bare socket's FIN comes with its close */
  }
  s->in_filter--;
  if (rc == QN_AGAIN) {
    s->blocked = true;
    qn__note_progress(s);
    rc = qn__stall_check(s);
    if (rc == 0) {
      qn_stream_release(s);
      return;
    }
  }
  if (rc < 0 && s->write_error == 0) {
    qn__stream_set_error(s, rc);
  }
  qn__teardown(s, rc < 0);
  qn_stream_release(s);
}

void qn_stream_linger(qn_stream_t *s)
{
  int pause = 0;
  if (s->lingers || !s->closing || s->top == NULL) {
    return;
  }
  if (s->extra != NULL) {
    qn_timer_stop(s->loop, &s->extra->stall); /* that was for the queue */
  }
  s->lingers = true;
  s->paused = false;
  (void)qn_filter_query(s->top, QN_QUERY_PAUSE_READ, &pause);
}

void qn_stream_close(qn_stream_t *s)
{
  if (s->closed) {
    return;
  }
  if (s->in_filter != 0) {
    s->want_close = s->want_close > QN__CLOSE_GRACEFUL ? s->want_close : QN__CLOSE_GRACEFUL;
    qn_stream_wake(s, 0);
    return;
  }
  s->closed = true;
  settle_waiters(s);
  bool has_bytes = s->extra != NULL && qn_buf_size(&s->extra->pre) != 0;
  if (s->established && s->top != NULL) {
    qn_stream_retain(s);
    s->self_ref = true;
    if (has_bytes && qn__awaits_layer(s)) {
      return; /* goes on until they are sent */
    }
    s->held = false;
    s->starting = false; /* a handshake of a pushed layer goes no further */
    settle_starter(s, QN_E_CLOSED);
    drop_unread(s);
    qn__update_pause(s);
    qn__close_step(s);
  } else if (s->top != NULL || s->dial != NULL || qn__connecting(s)) {
    if (has_bytes) { /* goes on until they are sent */
      qn_stream_retain(s);
      s->self_ref = true;
    } else {
      close_unconnected(s);
    }
  } else {
    close_unconnected(s);
  }
}

void qn_stream_abort(qn_stream_t *s)
{
  if (s->in_filter != 0) {
    s->want_close = QN__CLOSE_ABORT;
    qn_stream_wake(s, 0);
    return;
  }
  bool first = !s->closed;
  qn_stream_retain(s);
  s->closed = true;
  if (first) {
    settle_waiters(s);
  }
  if (s->established && s->top != NULL) {
    drop_unread(s);
    qn__teardown(s, true);
  } else if (first || s->self_ref) {
    close_unconnected(s);
  }
  if (s->self_ref) {
    s->self_ref = false;
    qn_stream_release(s);
  }
  qn_stream_release(s);
}

void qn__close_later(qn_stream_t *s)
{
  qn__close_t how = (qn__close_t)s->want_close;
  s->want_close = QN__CLOSE_NONE;
  if (how == QN__CLOSE_ABORT) {
    qn_stream_abort(s);
  } else {
    qn_stream_close(s);
  }
}

/* --- waiting for it --------------------------------------------------------------------------- */

static void cancel_closer(qn_op_t *op)
{
  qn_stream_t *s = op->owner;
  s->extra->closer = NULL;
}

int qn_stream_closed(qn_stream_t *s, qn_op_t *op)
{
  if (s->top == NULL && s->dying == 0 && !qn__connecting(s)) {
    return 0;
  }
  qn__extra_t *x = qn__extra(s);
  if (x == NULL) {
    return -ENOMEM;
  }
  if (x->closer != NULL) {
    return QN_E_BUSY;
  }
  x->closer = op;
  qn_op_begin(op, s, cancel_closer);
  return QN_AGAIN;
}

/* writer.c: the writing side: the queue of waiting writers, hand-over, flush, finish.
 *
 * Bytes go down to the top filter in pieces while the filters' queue has room below the mark; the
 * rest stays in the caller's memory, pinned by its operation. What was handed down goes to the
 * kernel at the end of the turn (one flush per stream) unless the bottom filter has sent it at
 * once. Must not hold bytes of its own but those written before the stack is up. Invariant: writers
 * are served strictly in order; a writer that leaves half-way fails the side.
 */
#include "stream/stream_p.h"

#include <errno.h>
#include <string.h>

enum { KIND_WRITE, KIND_FLUSH, KIND_FINISH, KIND_STEPS, MAX_PIECES = 32 };

static qn_writer_t *head_writer(qn_stream_t *s)
{
  if (qn__list_empty(&s->writers)) {
    return NULL;
  }
  return QN__CONTAINER(s->writers.next, qn_op_t, link)->owner;
}

void qn__dirty(qn_stream_t *s)
{
  if (s->top != NULL) {
    qn_flush_queue(s->loop, &s->flush);
  }
}

/* --- failing ---------------------------------------------------------------------------------- */

static void take_writer(qn_writer_t *w) { qn__list_remove(&w->op->link); }

void qn__writers_settle(qn_stream_t *s, int err)
{
  for (qn_writer_t *w; (w = head_writer(s)) != NULL;) {
    take_writer(w);
    qn_op_settle(w->op, err);
  }
  if (s->write_hold != NULL) {
    qn__hold_t *h = s->write_hold;
    s->write_hold = NULL;
    h->fail(h, err);
  }
  (void)qn__stall_check(s); /* nobody waits: it can only be stopped */
}

void qn__writing_failed(qn_stream_t *s, int err, bool torn)
{
  if (s->write_error == 0) {
    s->write_error = err;
    s->torn = torn;
  }
  if (s->fin == QN__FIN_WANTED) {
    s->fin = QN__FIN_NONE;
  }
  if (!torn) {
    qn__stream_set_error(s, err);
  }
  qn__writers_settle(s, err);
  qn__check_over(s);
}

/* --- calls down ------------------------------------------------------------------------------- */

int qn__stream_put(qn_stream_t *s, const qn_slice_t *v, int n)
{
  size_t size = 0;
  for (int i = 0; i < n; i++) {
    size += v[i].size;
  }
  if (s->top == NULL) {
    return s->write_error != 0 ? s->write_error : QN_E_NOT_CONNECTED;
  }
  s->in_filter++;
  int rc = qn__filter_write(s->top, v, n);
  s->in_filter--;
  if (rc < 0) {
    return rc;
  }
  s->accepted += size;
  qn_writer_t *w = head_writer(s);
  if (w != NULL && w->what == KIND_STEPS) {
    w->taken += size;
  }
  qn__dirty(s);
  return 0;
}

void qn__stream_note_sent(qn_stream_t *s, size_t n)
{
  qn_writer_t *w = head_writer(s);
  s->accepted += n;
  if (w != NULL && w->what == KIND_STEPS) {
    w->taken += n;
  }
  qn__note_progress(s);
}

/* Towards the kernel: 0 nothing is queued, QN_AGAIN, or an error that the caller has to act on. */
static int flush_down(qn_stream_t *s)
{
  if (s->top == NULL) {
    return qn__connecting(s) ? QN_AGAIN : s->write_error != 0 ? s->write_error : QN_E_NOT_CONNECTED;
  }
  if (s->blocked) {
    return QN_AGAIN;
  }
  s->in_filter++;
  int rc = qn__filter_flush(s->top);
  s->in_filter--;
  s->blocked = rc == QN_AGAIN;
  qn__note_progress(s);
  if (rc == 0 && s->extra != NULL && qn_buf_size(&s->extra->pre) != 0) {
    return QN_AGAIN; /* goes when the stack is up */
  }
  return rc;
}

/* 0 nothing is queued, or QN_AGAIN; false: the side has failed. */
static bool flush_or_fail(qn_stream_t *s, int *rc)
{
  *rc = flush_down(s);
  if (*rc < 0 && *rc != QN_AGAIN) {
    qn__writing_failed(s, *rc, false);
    return false;
  }
  return true;
}

int qn__stream_try_flush(qn_stream_t *s) { return flush_down(s); }

int qn__send_pre(qn_stream_t *s)
{
  qn_buf_t *pre = s->extra != NULL ? &s->extra->pre : NULL;
  while (pre != NULL && qn_buf_size(pre) != 0) {
    size_t size = qn_buf_size(pre);
    qn_slice_t v = {qn_buf_data(pre), size < QN__PIECE ? size : QN__PIECE};
    s->accepted -= v.size; /* counted when they were taken */
    int rc = qn__stream_put(s, &v, 1);
    if (rc < 0) {
      qn_buf_free(pre);
      qn__writing_failed(s, rc, false);
      return rc;
    }
    qn_buf_consume(pre, v.size);
  }
  return 0;
}

/* --- handing over ----------------------------------------------------------------------------- */

/* The next pieces of `w`, at most `most` bytes. */
static int gather(const qn_writer_t *w, size_t most, qn_slice_t *v, size_t *size)
{
  int used = 0;
  size_t off = w->off;
  *size = 0;
  for (int i = w->i; i < w->n && used < MAX_PIECES && *size < most; i++, off = 0) {
    size_t room = most - *size, n = w->v[i].size - off;
    if (n == 0) {
      continue;
    }
    n = n < room ? n : room;
    v[used++] = (qn_slice_t){w->v[i].data + off, n};
    *size += n;
  }
  return used;
}

static void advance(qn_writer_t *w, size_t n)
{
  w->taken += n;
  w->left -= n;
  while (n != 0) {
    size_t rest = w->v[w->i].size - w->off;
    if (n < rest) {
      w->off += n;
      return;
    }
    n -= rest;
    w->i++;
    w->off = 0;
  }
}

/* Before the stack is up: what fits below the mark is kept. */
static int keep_pre(qn_stream_t *s, qn_writer_t *w)
{
  qn__extra_t *x = qn__extra(s);
  if (x == NULL) {
    return -ENOMEM;
  }
  size_t held = qn_buf_size(&x->pre);
  if ((held >= s->mark || w->left > s->mark - held) && (held != 0 || w->left > QN__PIECE)) {
    return QN_AGAIN;
  }
  int rc = qn_buf_reserve(&x->pre, w->left);
  if (rc < 0) {
    return rc;
  }
  while (w->left != 0) {
    qn_slice_t v[MAX_PIECES];
    size_t size;
    int n = gather(w, QN__PIECE, v, &size);
    for (int i = 0; i < n; i++) {
      (void)qn_buf_append(&x->pre, v[i].data, v[i].size); /* reserved */
    }
    s->accepted += size;
    advance(w, size);
  }
  return 0;
}

static bool fits(const qn_stream_t *s, size_t size)
{
  size_t queued = qn_stream_queued(s);
  return queued == 0 || (queued < s->mark && size <= s->mark - queued);
}

/* Whether `w` may hand over now: straight from its memory when nothing is queued, into the queue
 * when all of it fits below the mark. So what waits anyway is not copied. */
static int room_for(qn_stream_t *s, const qn_writer_t *w)
{
  if (fits(s, w->left)) {
    return 0;
  }
  int rc = flush_down(s);
  if (rc < 0 && rc != QN_AGAIN) {
    return rc;
  }
  return fits(s, w->left) ? 0 : QN_AGAIN;
}

/* 0 all taken, QN_AGAIN, or an error. `force`: whatever the mark says. */
static int hand_over(qn_stream_t *s, qn_writer_t *w, bool force)
{
  if (!qn__is_up(s)) {
    return keep_pre(s, w);
  }
  do {
    int rc = force ? 0 : room_for(s, w);
    if (rc == 0) {
      qn_slice_t v[MAX_PIECES];
      size_t size, most = QN__PIECE;
      if (!force && s->mark != 0 && s->mark < most) {
        most = s->mark; /* the queue never exceeds it */
      }
      int n = gather(w, most, v, &size);
      rc = qn__stream_put(s, v, n);
      if (rc == 0) {
        advance(w, size);
      }
    }
    if (rc < 0) {
      return rc;
    }
  } while (w->left != 0);
  return 0;
}

/* --- the queue of writers --------------------------------------------------------------------- */

static int gate(const qn_stream_t *s)
{
  if (s->closed) {
    return QN_E_CLOSED;
  }
  if (s->write_error != 0) {
    return s->write_error;
  }
  if (s->top == NULL && !qn__connecting(s)) {
    return QN_E_NOT_CONNECTED;
  }
  return s->write_hold != NULL ? QN_E_BUSY : 0;
}

static int gate_bytes(const qn_stream_t *s)
{
  return !s->closed && s->fin != QN__FIN_NONE ? QN_E_SHUTDOWN : gate(s);
}

static void cancel_writer(qn_op_t *op)
{
  qn_writer_t *w = op->owner;
  qn_stream_t *s = w->stream;
  take_writer(w);
  bool half_way = w->taken != 0 && (w->what == KIND_WRITE || w->what == KIND_STEPS);
  if (half_way) {
    qn__writing_failed(s, QN_E_CANCELLED, true);
  } else {
    qn_stream_wake(s, QN_WAKE_WRITE); /* the next one may fit */
  }
}

static int wait_writer(qn_stream_t *s, qn_op_t *op, qn_writer_t *w, uint8_t what)
{
  w->what = what;
  w->op = op;
  w->stream = s;
  qn__list_append(&s->writers, &op->link);
  int rc = qn__stall_check(s);
  if (rc < 0) { /* nobody would notice a peer that takes nothing */
    take_writer(w);
    if (what == KIND_WRITE && w->taken != 0) {
      qn__writing_failed(s, rc, true);
    }
    return rc;
  }
  qn_op_begin(op, w, cancel_writer);
  return QN_AGAIN;
}

int qn_stream_write(qn_stream_t *s, qn_op_t *op, qn_writer_t *w, const qn_slice_t *v, int n)
{
  qn_writer_t tmp;
  bool may_wait = w != NULL && op != NULL;
  w = w != NULL ? w : &tmp;
  *w = (qn_writer_t){.v = v, .n = n};
  int rc = gate_bytes(s);
  if (rc < 0) {
    return rc;
  }
  for (int i = 0; i < n; i++) {
    w->left += v[i].size;
  }
  if (w->left == 0) {
    return 0;
  }
  if (!qn__list_empty(&s->writers)) {
    return may_wait ? wait_writer(s, op, w, KIND_WRITE) : QN_AGAIN;
  }
  if (!may_wait && (!fits(s, w->left) || (w->left > s->mark && w->left > QN__PIECE))) {
    return QN_AGAIN;
  }
  rc = hand_over(s, w, !may_wait);
  if (rc == QN_AGAIN) {
    return may_wait ? wait_writer(s, op, w, KIND_WRITE) : QN_AGAIN;
  }
  if (rc < 0) {
    qn__writing_failed(s, rc, false);
  }
  return rc;
}

int qn_stream_flush(qn_stream_t *s, qn_op_t *op, qn_writer_t *w)
{
  if (!s->closed && s->fin == QN__FIN_DONE) {
    return 0;
  }
  int rc = gate(s);
  if (rc < 0) {
    return rc;
  }
  if (qn__list_empty(&s->writers)) {
    if (!flush_or_fail(s, &rc) || rc == 0) {
      return rc;
    }
  }
  if (w == NULL || op == NULL) {
    return QN_AGAIN;
  }
  *w = (qn_writer_t){0};
  return wait_writer(s, op, w, KIND_FLUSH);
}

int qn__finish_step(qn_stream_t *s)
{
  if (s->fin == QN__FIN_DONE) {
    return 0;
  }
  if (!qn__is_up(s)) {
    return QN_AGAIN;
  }
  int rc = flush_down(s);
  if (rc == 0) {
    s->in_filter++;
    rc = qn__filter_finish(s->top);
    s->in_filter--;
    qn__dirty(s);
  }
  if (rc == 0) {
    s->fin = QN__FIN_DONE;
    qn__check_over(s);
  } else if (rc != QN_AGAIN) {
    qn__writing_failed(s, rc, false);
  }
  return rc;
}

int qn_stream_finish(qn_stream_t *s, qn_op_t *op, qn_writer_t *w)
{
  if (!s->closed && s->fin == QN__FIN_DONE) {
    return 0;
  }
  int rc = gate(s);
  if (rc < 0) {
    return rc;
  }
  s->fin = QN__FIN_WANTED;
  rc = qn__list_empty(&s->writers) ? qn__finish_step(s) : QN_AGAIN;
  if (rc != QN_AGAIN) {
    return rc;
  }
  if (w == NULL || op == NULL) {
    rc = qn__stall_check(s);
    return rc < 0 ? rc : QN_AGAIN;
  }
  *w = (qn_writer_t){0};
  return wait_writer(s, op, w, KIND_FINISH);
}

int qn__stream_steps(qn_stream_t *s, qn_op_t *op, qn_writer_t *w, const qn__steps_t *steps)
{
  int rc = gate_bytes(s);
  if (rc < 0) {
    return rc;
  }
  *w = (qn_writer_t){.steps = steps};
  rc = wait_writer(s, op, w, KIND_STEPS);
  if (rc == QN_AGAIN && head_writer(s) == w) {
    qn_stream_wake(s, QN_WAKE_WRITE);
  }
  return rc;
}

/* --- the ready phase -------------------------------------------------------------------------- */

/* One look at the head: >= 0 it is done, QN_AGAIN, or an error. */
static int64_t serve(qn_stream_t *s, qn_writer_t *w)
{
  switch (w->what) {
  case KIND_WRITE: return hand_over(s, w, false);
  case KIND_FLUSH: return s->fin == QN__FIN_DONE ? 0 : flush_down(s);
  case KIND_FINISH: return s->fin == QN__FIN_DONE ? 0 : QN_AGAIN; /* done behind the last writer */
  default: {
    const qn__steps_t *steps = w->steps;
    return qn__is_up(s) ? steps->step(s, steps->arg) : QN_AGAIN;
  }
  }
}

static bool only_finish_waits(qn_stream_t *s)
{
  qn_writer_t *w = head_writer(s);
  return s->fin == QN__FIN_WANTED && (w == NULL || w->what == KIND_FINISH);
}

static void serve_writers(qn_stream_t *s)
{
  if (only_finish_waits(s)) {
    (void)qn__finish_step(s);
  }
  for (qn_writer_t *w; (w = head_writer(s)) != NULL;) {
    int64_t rc = serve(s, w);
    if (rc == QN_AGAIN) {
      return;
    }
    if (rc < 0) {
      qn__writing_failed(s, (int)rc, false); /* settles this one and all behind it */
      return;
    }
    take_writer(w);
    qn_op_complete(w->op, rc); /* may have done anything to the stream */
    if (only_finish_waits(s)) {
      (void)qn__finish_step(s);
    }
  }
}

void qn__writer_run(qn_stream_t *s)
{
  int rc;
  s->blocked = false;
  if (s->closed && !qn__awaits_layer(s)) {
    qn__close_step(s);
    return;
  }
  if (s->top == NULL || !flush_or_fail(s, &rc)) {
    return;
  }
  serve_writers(s);
  if (s->write_hold != NULL) {
    s->write_hold->wake(s->write_hold);
  }
  if (qn__stall_check(s) < 0) {
    qn__writing_failed(s, -ENOMEM, true);
  }
}

/* No user code in this phase: who waits is served in the next turn. */
void qn__flush_run(qn_ready_t *r)
{
  qn_stream_t *s = QN__CONTAINER(r, qn_stream_t, flush);
  int rc;
  if (s->top == NULL || s->blocked) {
    return;
  }
  qn_stream_retain(s);
  if (s->closed && !qn__awaits_layer(s)) {
    qn__close_step(s);
  } else if (flush_or_fail(s, &rc) && rc == 0 &&
             (head_writer(s) != NULL || (s->write_hold != NULL && s->write_hold->waits))) {
    qn_stream_wake(s, QN_WAKE_WRITE);
  }
  qn_stream_release(s);
}

int64_t qn_stream_push_out(qn_stream_t *s)
{
  int rc = gate(s);
  if (rc < 0 && rc != QN_E_BUSY) {
    return rc;
  }
  uint64_t before = qn_stream_sent(s);
  if (!flush_or_fail(s, &rc)) {
    return rc;
  }
  return (int64_t)(qn_stream_sent(s) - before);
}

int qn__hold_writer(qn_stream_t *s, qn__hold_t *h)
{
  int rc = gate_bytes(s);
  if (rc < 0) {
    return rc;
  }
  if (!qn__list_empty(&s->writers)) {
    return QN_E_BUSY;
  }
  s->write_hold = h;
  return 0;
}

void qn__let_writer(qn_stream_t *s)
{
  s->write_hold = NULL;
  (void)qn__stall_check(s); /* can only stop it */
}

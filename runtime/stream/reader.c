/* reader.c: the reading side: wants that wait, read-ahead, lent memory, end and errors.
 *
 * Bytes are pulled from the top filter only here: by a want before it waits, by the ready phase for
 * the waiting reader or ahead of it, by a pump. Memory that fill lends is given back before
 * anything else runs. Must not fill more than the limit and the pending want ask for. Invariant: a
 * satisfied reader is completed in the ready phase, with its bytes at the front of the buffer, and
 * they stay there until somebody consumes them.
 */
#include "stream/stream_p.h"

#include <errno.h>
#include <string.h>

/* --- lent memory ------------------------------------------------------------------------------ */

void qn__buf_settle(qn_loop_t *loop, qn_buf_t *b)
{
  size_t size = qn_buf_size(b);
  if (!b->lent) {
    return;
  }
  if (size == 0) {
    qn__chunk_back(loop, b->base);
    *b = (qn_buf_t){0};
    return;
  }
  uint8_t *own = size < QN__KEEP_CHUNK ? qn_malloc(size) : NULL;
  if (own == NULL) { /* much, or no memory: then the chunk is memory enough */
    qn__chunk_keep(loop, b->base);
    b->lent = false;
    return;
  }
  memcpy(own, qn_buf_data(b), size);
  qn__chunk_back(loop, b->base);
  *b = (qn_buf_t){.base = own, .tail = size, .cap = size};
}

void qn__settle_lent(qn_loop_t *loop, qn_filter_t *f)
{
  for (; f != NULL; f = f->below) {
    if (f->rd.lent) {
      qn__buf_settle(loop, &f->rd);
    }
  }
}

/* --- filling ---------------------------------------------------------------------------------- */

static size_t read_limit(const qn_stream_t *s)
{
  return s->read_limit != 0 ? s->read_limit : SIZE_MAX;
}

void qn__update_pause(qn_stream_t *s)
{
  bool wanted;
  if (s->top == NULL || !s->started) {
    return;
  }
  if (s->closed || s->ended || s->read_error != 0) {
    wanted = false;
  } else if (!s->top->up) {
    wanted = s->top->below != NULL; /* handshakes read */
  } else if (s->held) {
    wanted = false;
  } else if (s->read_hold != NULL) {
    wanted = s->read_hold->waits;
  } else {
    wanted =
        s->reader != NULL || ((s->reading || s->ahead) &&
                              (s->read_limit == 0 || qn_buf_size(&s->top->rd) < s->read_limit));
  }
  if (wanted == s->paused) {
    int pause = !wanted;
    s->paused = !wanted;
    (void)qn_filter_query(s->top, QN_QUERY_PAUSE_READ, &pause);
  }
}

/* What became of a fill. */
static void note_fill(qn_stream_t *s, int64_t n)
{
  if (n > 0) {
    s->received += (uint64_t)n;
    qn__note_arrival(s);
  } else if (n == 0) {
    s->ended = true;
    qn__note_arrival(s);
    qn__note_read_end(s);
    qn__check_over(s);
  } else if (n != QN_AGAIN && (s->top->ops->flags & QN_FILTER_APART) != 0) {
    s->read_error = (int)n;
    qn__stream_set_error(s, (int)n);
    qn__note_read_end(s);
    qn__check_over(s);
  } else if (n != QN_AGAIN) {
    qn__connection_failed(s, (int)n);
  }
}

static int64_t fill_top(qn_stream_t *s, size_t room)
{
  s->top->room = room;
  s->in_filter++;
  int64_t n = qn__filter_fill(&s->top);
  s->in_filter--;
  if (s->top->below != NULL) {
    qn__settle_lent(s->loop, s->top->below);
    qn__dirty(s); /* a layer may have answered by itself */
  }
  return n;
}

int64_t qn__stream_fill(qn_stream_t *s, size_t room)
{
  if (s->read_error != 0 || s->ended) {
    return s->read_error;
  }
  if (!qn__is_up(s)) {
    return s->top != NULL || qn__connecting(s) ? QN_AGAIN : QN_E_NOT_CONNECTED;
  }
  if (s->top->rd.lent && qn_buf_size(&s->top->rd) != 0) {
    qn__buf_settle(s->loop, &s->top->rd); /* a fill may need to grow it */
  }
  int64_t n = fill_top(s, room);
  note_fill(s, n);
  return n;
}

/* --- wants ------------------------------------------------------------------------------------ */

static qn_slice_t buffered(qn_stream_t *s)
{
  const qn_buf_t *b = qn__rd(s);
  return (qn_slice_t){b->base != NULL ? b->base + b->head : NULL, qn_buf_size(b)};
}

/* Looks, fills, looks again: 0, QN_AGAIN or an error. A want may need more than the limit. */
static int pull(qn_stream_t *s, const qn_want_t *want, qn__scan_t *scan, qn_got_t *got)
{
  size_t goal = read_limit(s), bound = qn__want_bound(want);
  goal = bound > goal ? bound : goal;
  for (int fills = 0;; fills++) {
    qn_slice_t bytes = buffered(s);
    int rc = qn__want_eval(want, scan, bytes, s->ended, s->read_error, got);
    if (rc != QN_AGAIN) {
      return rc;
    }
    if (fills == QN__FILLS_PER_RUN) {
      qn_stream_wake(s, QN_WAKE_READ);
      return QN_AGAIN;
    }
    int64_t n = qn__stream_fill(s, goal > bytes.size ? goal - bytes.size : 1);
    if (n == QN_AGAIN || (n < 0 && s->read_error == 0)) {
      return (int)n;
    }
  }
}

/* Whether a reader may begin now. */
static int read_gate(const qn_stream_t *s)
{
  if (s->closed) {
    return QN_E_CLOSED;
  }
  if (s->reader != NULL || s->read_hold != NULL) {
    return QN_E_BUSY;
  }
  if (s->top == NULL && !qn__connecting(s) && !s->ended && s->read_error == 0) {
    return QN_E_NOT_CONNECTED;
  }
  return 0;
}

static void cancel_reader(qn_op_t *op)
{
  qn_stream_t *s = op->owner;
  s->reader = NULL;
  qn__update_pause(s);
}

static int wait_reader(qn_stream_t *s, qn_op_t *op)
{
  if (op != NULL) {
    s->reader = op;
    qn_op_begin(op, s, cancel_reader);
  }
  qn__update_pause(s);
  return QN_AGAIN;
}

int qn_stream_want(qn_stream_t *s, qn_op_t *op, const qn_want_t *want, qn_got_t *got)
{
  int rc = read_gate(s);
  if (rc < 0) {
    return rc;
  }
  rc = qn__want_check(want);
  if (rc < 0) {
    return rc;
  }
  s->want = *want;
  s->scan = (qn__scan_t){0};
  s->reading = true;
  rc = pull(s, &s->want, &s->scan, got);
  if (rc == 0) {
    s->got = *got;
    return 0;
  }
  qn_stream_keep(s);
  return rc == QN_AGAIN ? wait_reader(s, op) : rc;
}

qn_got_t qn_stream_got(const qn_stream_t *s) { return s->got; }

qn_slice_t qn_stream_data(const qn_stream_t *s) { return buffered((qn_stream_t *)(uintptr_t)s); }

void qn_stream_consume(qn_stream_t *s, size_t n)
{
  qn_buf_t *b = qn__rd(s);
  QN__ASSERT(n <= qn_buf_size(b));
  if (n > qn_buf_size(b)) {
    n = qn_buf_size(b);
  }
  if (b->lent) {
    b->head += n;
    qn__buf_settle(s->loop, b);
  } else if (n != 0) {
    qn_buf_consume(b, n);
  }
  if (s->paused) {
    qn__update_pause(s);
  }
}

void qn_stream_keep(qn_stream_t *s) { qn__settle_lent(s->loop, s->top); }

int qn_stream_unread(qn_stream_t *s, qn_slice_t bytes)
{
  if (s->closed) {
    return QN_E_CLOSED;
  }
  if (s->top == NULL && !s->ended && s->read_error == 0) {
    return QN_E_NOT_CONNECTED;
  }
  qn_buf_t *b = qn__rd(s);
  if (bytes.size > QN__UNREAD_MAX || qn_buf_size(b) > QN__UNREAD_MAX - bytes.size) {
    return QN_E_LIMIT;
  }
  if (b->lent) {
    qn__buf_settle(s->loop, b);
  }
  int rc = qn_buf_prepend(b, bytes.data, bytes.size);
  if (rc == 0 && s->reader != NULL && bytes.size != 0) {
    s->scan = (qn__scan_t){0}; /* the item begins anew */
    qn_stream_wake(s, QN_WAKE_READ);
  }
  return rc;
}

/* --- straight into the caller's memory -------------------------------------------------------- */

/* The bottom filter receives there itself. */
static int64_t fill_into(qn_stream_t *s, uint8_t *data, size_t size)
{
  qn_buf_t *rd = &s->top->rd;
  qn_buf_free(rd);
  *rd = (qn_buf_t){.base = data, .cap = size, .lent = true};
  int64_t n = fill_top(s, size);
  QN__ASSERT(rd->base == data);
  *rd = (qn_buf_t){0};
  note_fill(s, n);
  return n;
}

int64_t qn_stream_read_into(qn_stream_t *s, qn_op_t *op, uint8_t *data, size_t size)
{
  int rc = read_gate(s);
  if (rc < 0 || size == 0) {
    return rc < 0 ? rc : QN_E_INVALID;
  }
  s->reading = true;
  int64_t n;
  if (qn_buf_size(qn__rd(s)) == 0 && qn__is_up(s) && !s->ended && s->read_error == 0 &&
      (s->top->ops->flags & QN_FILTER_INTO) != 0) {
    n = fill_into(s, data, size);
  } else {
    n = qn_buf_size(qn__rd(s)) != 0 ? 1 : qn__stream_fill(s, read_limit(s));
    qn_slice_t bytes = buffered(s);
    if (n > 0 && bytes.data != NULL) {
      n = (int64_t)(bytes.size < size ? bytes.size : size);
      memcpy(data, bytes.data, (size_t)n);
      qn_stream_consume(s, (size_t)n);
    }
  }
  if (n != QN_AGAIN) {
    return n;
  }
  s->want = (qn_want_t){.kind = QN__WANT_READY};
  return wait_reader(s, op);
}

/* --- the ready phase -------------------------------------------------------------------------- */

static void run_reader(qn_stream_t *s)
{
  qn_got_t got = {0};
  int rc = s->want.kind == QN__WANT_READY ? 0 : pull(s, &s->want, &s->scan, &got);
  qn_op_t *op = s->reader;
  if (rc == QN_AGAIN || op == NULL) {
    qn_stream_keep(s);
    return;
  }
  s->reader = NULL;
  s->got = got;
  qn_op_complete(op, rc);
}

static void run_ahead(qn_stream_t *s)
{
  size_t goal = read_limit(s);
  for (int fills = 0; qn__is_up(s); fills++) {
    size_t size = qn_buf_size(&s->top->rd);
    if (size >= goal) {
      return;
    }
    if (fills == QN__FILLS_PER_RUN) {
      qn_stream_wake(s, QN_WAKE_READ);
      return;
    }
    if (qn__stream_fill(s, goal - size) <= 0) {
      return;
    }
    qn_stream_keep(s);
  }
}

void qn__reader_run(qn_stream_t *s)
{
  if (s->closed) {
    if (s->lingers) {
      qn__close_step(s);
    }
    return;
  }
  if (s->read_hold != NULL) {
    s->read_hold->wake(s->read_hold);
  } else if (s->reader != NULL) {
    run_reader(s);
  } else if ((s->reading || s->ahead) && !s->ended && s->read_error == 0) {
    run_ahead(s);
  }
  qn__update_pause(s);
}

void qn__reader_fail(qn_stream_t *s, int err)
{
  if (s->reader != NULL) {
    qn_op_t *op = s->reader;
    s->reader = NULL;
    qn_op_settle(op, err);
  }
  if (s->read_hold != NULL) {
    qn__hold_t *h = s->read_hold;
    s->read_hold = NULL;
    h->fail(h, err);
  }
}

int qn__hold_reader(qn_stream_t *s, qn__hold_t *h)
{
  int rc = read_gate(s);
  if (rc < 0) {
    return rc;
  }
  s->read_hold = h;
  s->reading = true;
  return 0;
}

void qn__let_reader(qn_stream_t *s)
{
  s->read_hold = NULL;
  qn__update_pause(s);
}

/* --- facts and limits ------------------------------------------------------------------------- */

bool qn_stream_at_end(const qn_stream_t *s) { return s->ended && qn_stream_available(s) == 0; }

size_t qn_stream_available(const qn_stream_t *s)
{
  return qn_buf_size(s->top != NULL ? &s->top->rd : &s->rest);
}

void qn_stream_set_read_limit(qn_stream_t *s, size_t limit)
{
  s->read_limit = limit;
  qn__update_pause(s);
}

void qn_stream_read_ahead(qn_stream_t *s, bool on)
{
  s->ahead = on;
  if (on) {
    qn__update_pause(s);
    qn_stream_wake(s, QN_WAKE_READ); /* pull before you wait */
  } else {
    s->reading = s->reader != NULL || s->read_hold != NULL;
    qn__update_pause(s);
  }
}

/* stream.c: the life of a stream and its one ready item.
 *
 * stream_run is where everything happens that a wake-up announces; it is the only place from which
 * the heart runs user code (qn_op_complete in the ready phase). Bottom filters wake, nobody else
 * calls in.
 * Invariant: a reference is held across each run, so `done` may close or release the stream.
 */
#include "stream/stream_p.h"

#include <errno.h>

/* --- the ready phase -------------------------------------------------------------------------- */

void qn_stream_wake(qn_stream_t *s, unsigned what)
{
  s->wakes |= (uint8_t)what;
  qn_ready_queue(s->loop, &s->ready);
}

static void stream_run(qn_ready_t *r)
{
  qn_stream_t *s = QN__CONTAINER(r, qn_stream_t, ready);
  qn_stream_retain(s);
  if (s->want_close != QN__CLOSE_NONE) {
    qn__close_later(s);
  }
  if (s->starting) {
    qn__start_run(s); /* adds to the wakes when the stack comes up */
  }
  if (s->dial_failed) {
    qn__dial_over(s);
  }
  unsigned wakes = s->wakes;
  s->wakes = 0;
  if ((wakes & QN_WAKE_READ) != 0) {
    qn__reader_run(s);
  }
  if ((wakes & QN_WAKE_WRITE) != 0) {
    qn__writer_run(s);
  }
  qn__settle_lent(s->loop, s->top);
  qn_stream_release(s);
}

/* --- life ------------------------------------------------------------------------------------- */

qn_stream_t *qn__stream_make(qn_loop_t *loop)
{
  qn_stream_t *s = qn_calloc(1, sizeof *s);
  if (s == NULL) {
    return NULL;
  }
  s->loop = loop;
  s->refs = 1;
  s->id = qn__loop_next_id(loop);
  s->paused = true;
  s->stall_ms = QN_STALL_DEFAULT_MS;
  s->read_limit = QN_READ_LIMIT_DEFAULT;
  s->mark = QN_WRITE_MARK_DEFAULT;
  qn_ready_init(&s->ready, stream_run);
  qn_ready_init(&s->flush, qn__flush_run);
  qn__list_init(&s->writers);
  qn__list_append(qn__loop_streams(loop), &s->live);
  qn__object_born(loop, "stream");
  return s;
}

qn_stream_t *qn_stream_new(qn_loop_t *loop) { return qn__stream_make(loop); }

void qn_stream_retain(qn_stream_t *s) { s->refs++; }

static void free_extra(qn_stream_t *s, qn__extra_t *x)
{
  qn_timer_stop(s->loop, &x->stall);
  qn_buf_free(&x->pre);
  qn_buf_free(&x->written);
  qn_free(x->addrs);
  for (int i = 0; i < QN__SLOT_COUNT; i++) {
    if (x->slots[i].p != NULL && x->slots[i].free_fn != NULL) {
      x->slots[i].free_fn(x->slots[i].p);
    }
  }
  qn_free(x);
}

void qn_stream_release(qn_stream_t *s)
{
  QN__ASSERT(s->refs > 0);
  if (--s->refs > 0) {
    return;
  }
  s->refs = 1; /* nothing that the end does may end it again */
  qn_stream_abort(s);
  if (--s->refs > 0) {
    return; /* a descriptor that is being closed keeps it a little longer */
  }
  QN__ASSERT(s->reader == NULL && s->read_hold == NULL && s->write_hold == NULL);
  QN__ASSERT(qn__list_empty(&s->writers) && s->top == NULL && s->dying == 0);
  qn_ready_drop(&s->ready);
  qn_ready_drop(&s->flush);
  qn_buf_free(&s->rest);
  if (s->extra != NULL) {
    free_extra(s, s->extra);
  }
  qn__list_remove(&s->live);
  qn__object_gone(s->loop, "stream");
  qn_free(s);
}

qn__extra_t *qn__extra(qn_stream_t *s)
{
  if (s->extra == NULL) {
    s->extra = qn_calloc(1, sizeof *s->extra);
    if (s->extra != NULL) {
      s->extra->stream = s;
    }
  }
  return s->extra;
}

void qn__stream_reset(qn_stream_t *s)
{
  if (s->dial_failed) {
    qn__dial_over(s);
  }
  qn_buf_free(&s->rest);
  s->error = s->read_error = s->write_error = 0;
  s->fin = QN__FIN_NONE;
  s->scan = (qn__scan_t){0};
  s->ended = s->end_noted = s->blocked = s->torn = s->over = s->established = false;
  s->reading = s->reader != NULL;
  if (s->extra != NULL) {
    qn_free(s->extra->addrs);
    s->extra->addrs = NULL;
    qn_buf_free(&s->extra->pre);
  }
}

int qn_stream_adopt(qn_loop_t *loop, int fd, qn_stream_t **out)
{
  qn_filter_t *f = NULL;
  *out = NULL;
  int rc = qn__f_socket_adopt(loop, fd, &f);
  if (rc < 0) {
    return rc;
  }
  qn_stream_t *s = qn__stream_make(loop);
  if (s == NULL) {
    f->ops->destroy(f);
    return -ENOMEM;
  }
  rc = qn__stream_plug(s, f);
  if (rc < 0) {
    qn_stream_release(s);
    return rc;
  }
  *out = s;
  return 0;
}

/* --- private slots ---------------------------------------------------------------------------- */

int qn__stream_set_slot(qn_stream_t *s, qn__slot_t slot, void *p, void (*free_fn)(void *p))
{
  qn__extra_t *x = qn__extra(s);
  if (x == NULL) {
    return -ENOMEM;
  }
  if (x->slots[slot].p != NULL && x->slots[slot].p != p && x->slots[slot].free_fn != NULL) {
    x->slots[slot].free_fn(x->slots[slot].p);
  }
  x->slots[slot].p = p;
  x->slots[slot].free_fn = free_fn;
  return 0;
}

void *qn__stream_slot(const qn_stream_t *s, qn__slot_t slot)
{
  return s->extra != NULL ? s->extra->slots[slot].p : NULL;
}

void qn__stream_set_dial(qn_stream_t *s, void *dial, void (*stop)(void *dial))
{
  s->dial = dial;
  s->dial_stop = stop;
}

void *qn__stream_dial(const qn_stream_t *s) { return s->dial; }

/* file_ops.c: what files can do and other streams cannot: seek, truncate, sync, stat.
 *
 * Called by users of the stream. Each waits until what was written has reached the system, then
 * asks the thread pool if it has to; a position that is known is changed at once. Must not be mixed
 * with a waiting read, whose bytes would come from two places. Invariant: the operation holds the
 * stream until it settles; its result stays readable until qn_stream_file_end.
 */
#include "stream/f_file.h"

#include <errno.h>

typedef enum what { SEEK, TRUNCATE, SYNC, STAT } what_t;

typedef struct file_task {
  qn_stream_t *s; /* held while the operation runs, NULL afterwards */
  qn_op_t *op;    /* the caller's */
  qn_op_t inner;  /* the flush, then the call in the pool */
  qn_writer_t writer;
  what_t what;
  qn_whence_t whence;
  int64_t number; /* offset or size */
  bool calling;   /* inner is a call in the pool */
  qn_file_stat_t stat;
} file_task_t;

/* Why the stream has no file to ask. */
static int no_file(const qn_stream_t *s)
{
  if (qn__stream_slot(s, QN__SLOT_FILE) == NULL || (s->top != NULL && !s->closed)) {
    return QN_E_UNSUPPORTED;
  }
  int err = qn_stream_file_error(s);
  return err != 0 ? err : QN_E_CLOSED;
}

static bool is_dirty(qn_stream_t *s, const qn__f_file_t *k)
{
  return qn__f_file_is_dirty(k) || !qn__list_empty(&s->writers);
}

/* --- steps ----------------------------------------------------------------------------------- */

static int64_t move_to(qn__f_file_t *k, int64_t from, int64_t by)
{
  if (by > 0 ? from > INT64_MAX - by : from < -by) {
    return by > 0 ? -EOVERFLOW : -EINVAL;
  }
  qn__f_file_move(k, from + by);
  return from + by;
}

/* When everything is written and the size of the file is known, if it has to be. */
static int64_t apply(file_task_t *t, int64_t result)
{
  qn__f_file_t *k = qn__f_file_of(t->s);
  if (result < 0 || t->what == SYNC || t->what == STAT) {
    return result < 0 ? result : 0;
  }
  if (k == NULL) {
    return t->what == SEEK ? no_file(t->s) : 0;
  }
  int64_t at = qn__f_file_tell(k);
  if (t->what == TRUNCATE) {
    if (at >= 0 && !qn__f_file_is_dirty(k)) {
      qn__f_file_move(k, at); /* what was read ahead may be gone */
    }
    return 0;
  }
  if (t->whence == QN_SEEK_CUR && t->number == 0) {
    return (int64_t)t->stat.size;
  }
  return move_to(k, (int64_t)t->stat.size, t->number);
}

/* The call in the pool, once nothing is dirty. QN_AGAIN or an error. */
static int call(file_task_t *t, const qn__f_file_t *k)
{
  qn_file_t *file = qn__f_file_handle(k);
  t->calling = true;
  switch (t->what) {
  case SYNC: return qn_file_sync(file, &t->inner);
  case TRUNCATE: return qn_file_truncate(file, &t->inner, (uint64_t)t->number);
  default: return qn_file_fstat(file, &t->inner);
  }
}

/* The result, or QN_AGAIN: inner waits. */
static int64_t step(file_task_t *t)
{
  qn__f_file_t *k = qn__f_file_of(t->s);
  if (k == NULL) {
    return no_file(t->s);
  }
  if (is_dirty(t->s, k)) {
    int rc = qn_stream_flush(t->s, &t->inner, &t->writer);
    if (rc != 0) {
      return rc;
    }
    k = qn__f_file_of(t->s);
    if (k == NULL || is_dirty(t->s, k)) {
      return k == NULL ? no_file(t->s) : QN_E_BUSY;
    }
  }
  if (t->what == SEEK && t->whence != QN_SEEK_END) {
    int64_t from = t->whence == QN_SEEK_SET ? 0 : qn__f_file_tell(k);
    if (from != QN_AGAIN) {
      return from < 0 ? from : move_to(k, from, t->number);
    }
  }
  return call(t, k);
}

static void let_go(file_task_t *t)
{
  qn_stream_t *s = t->s;
  t->s = NULL;
  qn_stream_release(s);
}

static void finish(file_task_t *t, int64_t result)
{
  let_go(t);
  qn_op_complete(t->op, result);
}

static void on_inner(qn_op_t *inner)
{
  file_task_t *t = QN__CONTAINER(inner, file_task_t, inner);
  int64_t result = inner->result;
  if (!t->calling) {
    result = result < 0 ? result : step(t); /* others may have written meanwhile */
    if (result != QN_AGAIN) {
      finish(t, result);
    }
    return;
  }
  const qn_file_stat_t *stat = qn_file_stat_result(inner);
  if (stat != NULL) {
    t->stat = *stat;
  }
  qn_file_end(inner);
  finish(t, apply(t, result));
}

/* --- the operation --------------------------------------------------------------------------- */

static void forget_inner(file_task_t *t)
{
  qn_op_forget(&t->inner);
  if (t->calling) {
    qn_file_end(&t->inner);
  }
}

static void cancelled(qn_op_t *op)
{
  file_task_t *t = op->owner;
  op->owner = NULL;
  forget_inner(t);
  let_go(t);
  qn_free(t);
}

static int64_t start(qn_stream_t *s, qn_op_t *op, what_t what, qn_whence_t whence, int64_t number)
{
  if (what != STAT && qn_stream_file_error(s) != 0 && what != SEEK) {
    return qn_stream_file_error(s);
  }
  file_task_t *t = qn_calloc(1, sizeof *t);
  if (t == NULL) {
    return -ENOMEM;
  }
  *t = (file_task_t){.s = s, .op = op, .what = what, .whence = whence, .number = number};
  qn_op_init(&t->inner, qn_stream_loop(s), on_inner);
  int64_t rc = step(t);
  if (rc != QN_AGAIN) {
    qn_free(t);
    return rc;
  }
  qn_stream_retain(s);
  qn_op_begin(op, t, cancelled);
  return QN_AGAIN;
}

int64_t qn_stream_seek(qn_stream_t *s, qn_op_t *op, qn_whence_t whence, int64_t offset)
{
  const qn__f_file_t *k = qn__f_file_of(s);
  if (k == NULL) {
    return no_file(s);
  }
  int64_t at = qn__f_file_tell(k);
  if (at == -ESPIPE || (whence == QN_SEEK_CUR && offset == 0 && at != QN_AGAIN)) {
    return at; /* only asks: nothing moves */
  }
  if (s->reader != NULL || s->read_hold != NULL) {
    return QN_E_BUSY;
  }
  if (offset == INT64_MIN || (whence == QN_SEEK_SET && offset < 0)) {
    return -EINVAL;
  }
  return start(s, op, SEEK, whence, offset);
}

int qn_stream_truncate(qn_stream_t *s, qn_op_t *op, uint64_t size)
{
  return size > INT64_MAX ? QN_E_INVALID : (int)start(s, op, TRUNCATE, QN_SEEK_SET, (int64_t)size);
}

int qn_stream_sync(qn_stream_t *s, qn_op_t *op) { return (int)start(s, op, SYNC, QN_SEEK_SET, 0); }

int qn_stream_stat(qn_stream_t *s, qn_op_t *op) { return (int)start(s, op, STAT, QN_SEEK_SET, 0); }

const qn_file_stat_t *qn_stream_stat_result(const qn_op_t *op)
{
  const file_task_t *t = op->owner;
  return t != NULL && t->what == STAT && op->result >= 0 ? &t->stat : NULL;
}

void qn_stream_file_end(qn_op_t *op)
{
  file_task_t *t = op->owner;
  if (t != NULL) {
    op->owner = NULL;
    qn_free(t);
  }
}

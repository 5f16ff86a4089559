/* f_file.c: the bottom filter over a file: reads ahead and writes behind through the thread pool.
 *
 * Made by qn_stream_file. One call of each direction runs at a time. A file with a position has
 * one, as in C stdio, so its reads wait for its writes and a write drops what was read ahead;
 * pipes, terminals and other shared descriptors have two independent directions, and a call is made
 * only when the descriptor is ready, so that no thread of the pool sleeps in it. Must not touch the
 * disk on the loop's thread. Invariant: `pos` is the offset behind the bytes in rd, and behind
 * those in `out` once something was written.
 */
#include "stream/f_file.h"

#include "loop/watch_i.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (64u * 1024u)   /* of one read; a queue of this size is written at once */
#define WRITE_MOST (1u << 20) /* of one write */

/* Outlives the filter: what went wrong with the bytes that were accepted. */
typedef struct note {
  int error;
} note_t;

struct qn__f_file {
  qn_filter_t filter; /* first */
  qn_loop_t *loop;
  qn_file_t *file;    /* NULL once closed */
  note_t *note;       /* the stream's */
  qn__watch_t *watch; /* NULL: the descriptor is always ready */
  qn_op_t read, write;
  int64_t pos;
  int64_t out_at; /* where the first byte of the running or next write goes */
  qn_buf_t out;   /* taken and not written; the running write has a copy of its front */
  int64_t got;    /* result of the finished read while `have` */
  int write_error;
  bool positioned, append, readable;
  bool at_end; /* the position is the end of the file, wherever that is */
  bool have;   /* a read has finished and nobody has taken its bytes */
  bool stale;  /* the running read is of a place that we have left */
  bool paused;
  bool read_ready, write_ready; /* as the watch has said */
  bool wants_read, wants_write; /* what the watch was asked for */
  bool read_waits;              /* for the writes */
};

static qn__f_file_t *self(qn_filter_t *f) { return QN__CONTAINER(f, qn__f_file_t, filter); }

static bool has_queue(const qn__f_file_t *k) { return qn_buf_size(&k->out) != 0; }

bool qn__f_file_is_dirty(const qn__f_file_t *k) { return k->write_error == 0 && has_queue(k); }

/* --- readiness ------------------------------------------------------------------------------- */

static void wake(qn__f_file_t *k, unsigned what) { qn_stream_wake(k->filter.stream, what); }

static int tell_watch(qn__f_file_t *k)
{
  return qn__watch_wish(k->watch, (k->wants_read ? QN__WATCH_READ : 0u) |
                                      (k->wants_write ? QN__WATCH_WRITE : 0u));
}

static void on_ready(void *arg, unsigned what)
{
  qn__f_file_t *k = arg;
  if ((what & QN__WATCH_READ) != 0) {
    k->wants_read = false;
    k->read_ready = true;
    if (!k->paused) {
      wake(k, QN_WAKE_READ);
    }
  }
  if ((what & QN__WATCH_WRITE) != 0) {
    k->wants_write = false;
    k->write_ready = true;
    wake(k, QN_WAKE_WRITE);
  }
}

/* 0: go on, QN_AGAIN: the wake comes, or an error. */
static int wait_ready(qn__f_file_t *k, bool ready, bool *wants)
{
  if (k->watch == NULL || ready) {
    return 0;
  }
  if (*wants) {
    return QN_AGAIN;
  }
  *wants = true;
  int rc = tell_watch(k);
  if (rc < 0) {
    *wants = false;
    return rc;
  }
  return QN_AGAIN;
}

/* --- reading --------------------------------------------------------------------------------- */

static void on_read(qn_op_t *op)
{
  qn__f_file_t *k = QN__CONTAINER(op, qn__f_file_t, read);
  if (k->stale) {
    k->stale = false;
    qn_file_end(op);
  } else {
    k->have = true;
    k->got = op->result;
  }
  if (!k->paused) {
    wake(k, QN_WAKE_READ);
  }
}

/* QN_AGAIN: it runs, or has to wait; 0: there is nothing behind the position; or an error. */
static int start_read(qn__f_file_t *k, size_t room)
{
  if (!qn_op_idle(&k->read)) {
    return QN_AGAIN;
  }
  if (k->positioned && qn__f_file_is_dirty(k)) {
    k->read_waits = true;
    return QN_AGAIN;
  }
  if (k->positioned && k->at_end) {
    return 0;
  }
  int rc = wait_ready(k, k->read_ready, &k->wants_read);
  if (rc == 0) {
    k->read_ready = false;
    rc = qn_file_read(k->file, &k->read, room < PIECE ? room : PIECE, k->positioned ? k->pos : -1);
  }
  return rc;
}

/* Moves what a finished read has brought into rd. */
static int64_t take_read(qn__f_file_t *k)
{
  int64_t n = k->got;
  if (n > 0) {
    int rc = qn_buf_append(&k->filter.rd, qn_file_bytes(&k->read), (size_t)n);
    if (rc < 0) {
      return rc; /* the bytes stay where they are */
    }
    k->pos += n;
  }
  k->have = false;
  qn_file_end(&k->read);
  return n;
}

static int64_t file_fill(qn_filter_t *f)
{
  qn__f_file_t *k = self(f);
  if (!k->have) {
    return start_read(k, f->room != 0 ? f->room : 1);
  }
  int64_t n = take_read(k);
  if (n > 0 && (size_t)n < f->room && !k->paused) {
    (void)start_read(k, f->room - (size_t)n); /* what comes of it is seen by the next fill */
  }
  return n;
}

static void drop_read_ahead(qn__f_file_t *k)
{
  qn_stream_t *s = k->filter.stream;
  k->stale = k->stale || !qn_op_idle(&k->read);
  if (k->have) {
    k->have = false;
    qn_file_end(&k->read);
  }
  qn_buf_consume(&k->filter.rd, qn_buf_size(&k->filter.rd));
  s->scan = (qn__scan_t){0};
  s->ended = s->end_noted = false;
  if (k->readable) {
    s->read_error = 0;
  }
  qn__update_pause(s);
  if (!k->paused) {
    wake(k, QN_WAKE_READ);
  }
}

static void set_paused(qn__f_file_t *k, bool on)
{
  k->paused = on;
  if (!on && (k->have || qn_op_idle(&k->read))) {
    wake(k, QN_WAKE_READ);
  }
  if (on && k->wants_read) {
    k->wants_read = false;
    (void)tell_watch(k); /* at worst it wakes for nothing */
  }
}

/* --- writing --------------------------------------------------------------------------------- */

/* Reads of a file with a position wait for its writes. */
static void go_on_reading(qn__f_file_t *k)
{
  if (k->read_waits && !qn__f_file_is_dirty(k)) {
    k->read_waits = false;
    wake(k, QN_WAKE_READ);
  }
}

static int fail_write(qn__f_file_t *k, int err)
{
  if (k->write_error == 0) {
    k->write_error = err;
  }
  if (k->note->error == 0) {
    k->note->error = err;
  }
  go_on_reading(k);
  return err;
}

/* Gives the front of the queue to the pool: 0 or an error; also 0 when it has to wait. */
static int start_write(qn__f_file_t *k)
{
  size_t size = qn_buf_size(&k->out);
  if (size == 0 || !qn_op_idle(&k->write)) {
    return 0;
  }
  int rc = wait_ready(k, k->write_ready, &k->wants_write);
  if (rc == QN_AGAIN) {
    return 0;
  }
  if (rc == 0 && k->watch != NULL) {
    k->write_ready = false;
    qn_slice_t v = {qn_buf_data(&k->out), size < PIECE ? size : PIECE};
    rc = qn_file_write_some(k->file, &k->write, v);
  } else if (rc == 0) {
    qn_slice_t v = {qn_buf_data(&k->out), size < WRITE_MOST ? size : WRITE_MOST};
    bool placed = k->positioned && !k->append;
    rc = qn_file_write(k->file, &k->write, &v, 1, placed ? k->out_at : -1);
  }
  return rc == QN_AGAIN ? 0 : fail_write(k, rc);
}

static void on_write(qn_op_t *op)
{
  qn__f_file_t *k = QN__CONTAINER(op, qn__f_file_t, write);
  int64_t result = op->result;
  qn_file_end(op);
  if (result < 0) {
    fail_write(k, (int)result); /* the queue stays: its bytes were not sent */
  } else {
    qn_buf_consume(&k->out, (size_t)result);
    k->out_at += result;
    (void)start_write(k); /* a failure is told by the flush that follows the wake */
  }
  wake(k, QN_WAKE_WRITE);
  go_on_reading(k);
}

/* Reads and writes share the position: what was read ahead is given back to the file. */
static void begin_writing(qn__f_file_t *k)
{
  if (!has_queue(k)) {
    int64_t ahead = (int64_t)qn_buf_size(&k->filter.rd);
    k->pos -= ahead < k->pos ? ahead : k->pos;
    k->out_at = k->pos;
  }
  if (qn_buf_size(&k->filter.rd) != 0 || k->have || !qn_op_idle(&k->read)) {
    drop_read_ahead(k);
  }
  k->at_end = k->at_end || k->append;
}

static int file_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  qn__f_file_t *k = self(f);
  size_t total = 0;
  if (k->write_error != 0) {
    return k->write_error;
  }
  for (int i = 0; i < n; i++) {
    total += v[i].size;
  }
  int rc = qn_buf_reserve(&k->out, total);
  if (rc < 0) {
    return rc;
  }
  if (k->positioned && total != 0) {
    begin_writing(k);
    if (!k->append && k->pos > INT64_MAX - (int64_t)total) {
      return -EFBIG;
    }
    k->pos += k->append ? 0 : (int64_t)total;
  }
  for (int i = 0; i < n; i++) {
    (void)qn_buf_append(&k->out, v[i].data, v[i].size); /* reserved */
  }
  return qn_buf_size(&k->out) >= PIECE ? start_write(k) : 0;
}

static int file_flush(qn_filter_t *f)
{
  qn__f_file_t *k = self(f);
  if (k->write_error == 0) {
    (void)start_write(k);
  }
  return k->write_error != 0 ? k->write_error : has_queue(k) ? QN_AGAIN : 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static int file_start(qn_filter_t *f)
{
  (void)f;
  return 0;
}

static int file_query(qn_filter_t *f, int what, void *out)
{
  qn__f_file_t *k = self(f);
  switch (what) {
  case QN_QUERY_QUEUED: *(size_t *)out = qn_buf_size(&k->out); return 0;
  case QN_QUERY_PAUSE_READ: set_paused(k, *(const int *)out != 0); return 0;
  case QN_QUERY_FD: *(int *)out = qn_file_fd(k->file); return 0;
  default: return QN_E_UNSUPPORTED;
  }
}

static void on_closed(void *arg, int result)
{
  qn__f_file_t *k = arg;
  k->file = NULL;
  if (k->note->error == 0) {
    k->note->error = result;
  }
  qn_filter_gone(&k->filter);
}

/* Running calls end by themselves; the descriptor waits for them. */
static void forget_calls(qn__f_file_t *k)
{
  qn_op_forget(&k->read);
  qn_file_end(&k->read);
  qn_op_forget(&k->write);
  qn_file_end(&k->write);
  qn__watch_free(k->watch);
  k->watch = NULL;
  k->have = false;
}

static void file_close(qn_filter_t *f, bool abort)
{
  qn__f_file_t *k = self(f);
  if (abort && k->note->error == 0 && has_queue(k)) {
    int why = f->stream->error; /* what was accepted is dropped here */
    k->note->error = why < 0 ? why : QN_E_CANCELLED;
  }
  forget_calls(k);
  qn_file_on_close(k->file, on_closed, k);
  qn_file_close(k->file);
}

static void file_destroy(qn_filter_t *f)
{
  qn__f_file_t *k = self(f);
  if (k->file != NULL) { /* was never part of a stream */
    forget_calls(k);
    qn_file_close(k->file);
  }
  qn_buf_free(&f->rd);
  qn_buf_free(&k->out);
  qn_free(k);
}

static const qn_filter_ops_t file_ops = {
    .name = "file",
    .flags = QN_FILTER_MEMORY | QN_FILTER_APART,
    .start = file_start,
    .fill = file_fill,
    .write = file_write,
    .flush = file_flush,
    .finish = file_flush,
    .query = file_query,
    .close = file_close,
    .destroy = file_destroy,
};

/* --- position -------------------------------------------------------------------------------- */

qn__f_file_t *qn__f_file_of(const qn_stream_t *s)
{
  return s->top != NULL && !s->closed && s->top->ops == &file_ops ? self(s->top) : NULL;
}

qn_file_t *qn__f_file_handle(const qn__f_file_t *k) { return k->file; }

int64_t qn__f_file_tell(const qn__f_file_t *k)
{
  if (!k->positioned) {
    return -ESPIPE;
  }
  if (k->at_end) {
    return QN_AGAIN;
  }
  int64_t ahead = qn__f_file_is_dirty(k) ? 0 : (int64_t)qn_buf_size(&k->filter.rd);
  return ahead < k->pos ? k->pos - ahead : 0;
}

void qn__f_file_move(qn__f_file_t *k, int64_t position)
{
  k->pos = position;
  k->at_end = false;
  drop_read_ahead(k);
}

int qn_stream_file_error(const qn_stream_t *s)
{
  const note_t *note = qn__stream_slot(s, QN__SLOT_FILE);
  return note != NULL ? note->error : 0;
}

/* --- making ---------------------------------------------------------------------------------- */

/* What kind of descriptor it is; asks the kernel only, the disk has answered when it was opened. */
static int look_at(qn__f_file_t *k, int64_t offset)
{
  struct stat st;
  int fd = qn_file_fd(k->file), flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fstat(fd, &st) < 0) {
    return -errno;
  }
  if (S_ISDIR(st.st_mode)) {
    return -EISDIR;
  }
  k->positioned = offset >= 0 && lseek(fd, 0, SEEK_CUR) >= 0;
  k->append = (flags & O_APPEND) != 0;
  k->at_end = k->positioned && k->append && !k->readable; /* as fopen does it */
  k->pos = k->out_at = offset >= 0 ? offset : 0;
  if (k->positioned) {
    return 0;
  }
  int rc = qn__watch_new(k->loop, fd, on_ready, k, &k->watch);
  return rc == -EPERM ? 0 : rc;
}

int qn_stream_file(qn_loop_t *loop, qn_file_t *file, bool readable, bool writable, int64_t offset,
                   qn_stream_t **out)
{
  qn_stream_t *s = qn__stream_make(loop);
  note_t *note = qn_calloc(1, sizeof *note);
  qn__f_file_t *k = qn_calloc(1, sizeof *k);
  int rc = -ENOMEM;
  *out = NULL;
  if (s == NULL || note == NULL || k == NULL) {
    goto fail;
  }
  *k = (qn__f_file_t){.filter.ops = &file_ops, .loop = loop, .file = file, .note = note};
  k->readable = readable;
  k->paused = true;
  qn_op_init(&k->read, loop, on_read);
  qn_op_init(&k->write, loop, on_write);
  rc = look_at(k, offset);
  if (rc == 0) {
    rc = qn__stream_set_slot(s, QN__SLOT_FILE, note, qn_free);
  }
  if (rc < 0) {
    goto fail;
  }
  note = NULL;
  qn_filter_t *f = &k->filter;
  k = NULL; /* the stream's from here on, and with it the file */
  file = NULL;
  rc = qn__stream_plug(s, f);
  if (rc < 0) {
    goto fail;
  }
  /* A direction that there is not has failed already; that is no failure of the stream. */
  s->read_error = readable ? 0 : -EBADF;
  s->write_error = writable ? 0 : -EBADF;
  s->torn = !writable;
  s->no_reading = !readable;
  *out = s;
  return 0;
fail:
  if (k != NULL) {
    qn__watch_free(k->watch);
    qn_free(k);
  }
  qn_free(note);
  if (s != NULL) {
    qn_stream_release(s);
  }
  qn_file_close(file);
  return rc;
}

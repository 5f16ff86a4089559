/* send_file.c: a file to a stream without a detour through the caller.
 *
 * Called by embedders. It is a writer like others and waits for its turn in the stream's queue;
 * a file that is given by its path is opened meanwhile;
 * then each step moves a bounded piece: by sendfile(2) when the stack is a bare socket with an
 * empty queue, else by pread(2) and a hand-over to the top filter. Must not read ahead of the
 * queue's mark. Invariant: `sent` counts the bytes that the stream has taken, in the order of the
 * file; it stays readable until qn_send_file_end, however the operation ended.
 */
#include "loop/loop_i.h"
#include "stream/f_socket.h"

#include "qn/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MOST (1024u * 1024u)
#define PIECE (64u * 1024u)

typedef struct send_file {
  qn_stream_t *s; /* held while the operation runs, NULL afterwards */
  qn_op_t *op;    /* the caller's */
  qn_op_t inner;  /* in the stream's queue of writers */
  qn_op_t open;   /* of a file that is given by its path */
  qn_file_t *file;
  qn_writer_t writer;
  qn__steps_t steps;
  int fd; /* -1: still being opened */
  off_t offset;
  uint64_t left, sent;
  bool by_hand;   /* sendfile(2) cannot do this file */
  uint8_t *piece; /* memory for pread */
} send_file_t;

static void moved(send_file_t *sf, size_t n)
{
  sf->sent += n;
  sf->left -= n;
}

/* One sendfile(2). QN_E_UNSUPPORTED: it has to be done by hand. */
static int64_t step_kernel(send_file_t *sf)
{
  size_t most = sf->left < STEP_MOST ? (size_t)sf->left : STEP_MOST;
  int rc = qn__stream_try_flush(sf->s);
  if (rc != 0) {
    return rc;
  }
  int64_t n = qn__f_socket_send_file(qn_stream_top(sf->s), sf->fd, &sf->offset, most);
  if (n <= 0) {
    return n == 0 ? (int64_t)sf->sent : n; /* the file is shorter than it was */
  }
  qn__stream_note_sent(sf->s, (size_t)n);
  moved(sf, (size_t)n);
  if (sf->left == 0) {
    return (int64_t)sf->sent;
  }
  qn_stream_wake(sf->s, QN_WAKE_WRITE);
  return QN_AGAIN;
}

static int64_t step_by_hand(send_file_t *sf)
{
  if (sf->piece == NULL) {
    sf->piece = qn_malloc(PIECE);
    if (sf->piece == NULL) {
      return -ENOMEM;
    }
  }
  for (size_t done = 0; done < STEP_MOST; done += PIECE) {
    if (sf->left == 0) {
      return (int64_t)sf->sent;
    }
    if (qn_stream_queued(sf->s) >= qn_stream_write_mark(sf->s)) {
      return QN_AGAIN;
    }
    ssize_t n = pread(sf->fd, sf->piece, sf->left < PIECE ? (size_t)sf->left : PIECE, sf->offset);
    if (n <= 0) {
      return n == 0 ? (int64_t)sf->sent : -errno;
    }
    qn_slice_t slice = {sf->piece, (size_t)n};
    int rc = qn__stream_put(sf->s, &slice, 1);
    if (rc < 0) {
      return rc;
    }
    sf->offset += n;
    moved(sf, (size_t)n);
  }
  qn_stream_wake(sf->s, QN_WAKE_WRITE);
  return QN_AGAIN;
}

static int64_t step(qn_stream_t *s, void *arg)
{
  send_file_t *sf = arg;
  if (sf->fd < 0) {
    return QN_AGAIN;
  }
  if (sf->left == 0) {
    return (int64_t)sf->sent;
  }
  if (!sf->by_hand && qn__filter_is_socket(qn_stream_top(s))) {
    int64_t rc = step_kernel(sf);
    if (rc != QN_E_UNSUPPORTED) {
      return rc;
    }
    sf->by_hand = true;
  }
  return step_by_hand(sf);
}

static void let_go(send_file_t *sf)
{
  qn_stream_t *s = sf->s;
  sf->s = NULL;
  qn_op_forget(&sf->open);
  qn_file_end(&sf->open);
  qn_stream_release(s);
}

static void on_inner(qn_op_t *inner)
{
  send_file_t *sf = QN__CONTAINER(inner, send_file_t, inner);
  let_go(sf);
  qn_op_complete(sf->op, inner->result);
}

static void cancelled(qn_op_t *op)
{
  send_file_t *sf = op->owner;
  qn_op_forget(&sf->inner);
  let_go(sf);
}

/* What sendfile and pread can take bytes from at an offset. */
static int check_file(int fd)
{
  struct stat st;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fstat(fd, &st) < 0) {
    return -errno;
  }
  if ((flags & O_ACCMODE) == O_WRONLY) {
    return -EBADF;
  }
  return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? 0 : QN_E_INVALID;
}

static void on_open(qn_op_t *open)
{
  send_file_t *sf = QN__CONTAINER(open, send_file_t, open);
  int rc = (int)open->result;
  if (rc >= 0) {
    sf->file = qn_file_opened(open);
    sf->fd = qn_file_fd(sf->file);
    rc = check_file(sf->fd);
  }
  qn_file_end(open);
  if (rc >= 0) {
    qn_stream_wake(sf->s, QN_WAKE_WRITE);
    return;
  }
  qn_op_forget(&sf->inner);
  let_go(sf);
  qn_op_complete(sf->op, rc);
}

static void free_send_file(send_file_t *sf)
{
  qn_file_close(sf->file);
  qn_free(sf->piece);
  qn_free(sf);
}

/* Takes its place among the writers. `fd` is -1 when `path` is to be opened meanwhile. */
static int start(qn_stream_t *s, int fd, const char *path, uint64_t offset, uint64_t count,
                 qn_op_t *op)
{
  qn_loop_t *loop = qn_stream_loop(s);
  if (offset > INT64_MAX) {
    return QN_E_INVALID;
  }
  send_file_t *sf = qn_calloc(1, sizeof *sf);
  if (sf == NULL) {
    return -ENOMEM;
  }
  sf->s = s;
  sf->op = op;
  sf->fd = fd;
  sf->offset = (off_t)offset;
  sf->left = count < INT64_MAX - offset ? count : INT64_MAX - offset;
  sf->steps = (qn__steps_t){step, sf};
  qn_op_init(&sf->inner, loop, on_inner);
  qn_op_init(&sf->open, loop, on_open);
  int rc = qn__stream_steps(s, &sf->inner, &sf->writer, &sf->steps);
  if (rc == QN_AGAIN && path != NULL) {
    rc = qn_file_open(loop, &sf->open, path, "r");
    if (rc != QN_AGAIN) {
      qn_op_forget(&sf->inner);
    }
  }
  if (rc != QN_AGAIN) {
    qn_free(sf);
    return rc;
  }
  qn_stream_retain(s);
  qn_op_begin(op, sf, cancelled);
  return QN_AGAIN;
}

int qn_send_file(qn_stream_t *s, int fd, uint64_t offset, uint64_t count, qn_op_t *op)
{
  int rc = check_file(fd);
  return rc < 0 ? rc : start(s, fd, NULL, offset, count, op);
}

int qn_send_file_path(qn_stream_t *s, const char *path, uint64_t offset, uint64_t count,
                      qn_op_t *op)
{
  return start(s, -1, path, offset, count, op);
}

bool qn_send_file_opened(const qn_op_t *op)
{
  const send_file_t *sf = op->owner;
  return sf != NULL && sf->fd >= 0;
}

uint64_t qn_send_file_sent(const qn_op_t *op)
{
  const send_file_t *sf = op->owner;
  return sf != NULL ? sf->sent : 0;
}

void qn_send_file_end(qn_op_t *op)
{
  send_file_t *sf = op->owner;
  if (sf != NULL) {
    op->owner = NULL;
    free_send_file(sf);
  }
}

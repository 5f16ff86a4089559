/* f_socket_io.c: the bytes of the socket filter: recv, sendmsg, sendfile and the queue in between.
 *
 * Called through the filter's operations (f_socket.c, which also watches for readiness). Asks the
 * kernel only when it is known or likely to have an answer: after a short read or a short send the
 * next call waits for the poll handle. Must not call upward.
 * Invariant: what was taken by write is in the queue or with the kernel, in order; write_error and
 * read_error are the first ones and stay.
 */
#include "stream/f_socket_p.h"

#include "loop/chunk_i.h"
#include "stream/f_socket.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define SEND_AT_ONCE (16u * 1024u) /* queue and new bytes together: then a send is tried */
#define READ_ROOM (16u * 1024u)    /* least room of a recv that cannot use the lent chunk */
#define READ_ROOM_MAX (256u * 1024u)
#define IOV_BATCH 64

/* --- reading --------------------------------------------------------------------------------- */

/* Makes room in rd: the block that the stream has put there, the loop's chunk for an empty buffer
 * (*lent), or memory of our own. */
static int make_room(f_socket_t *s, bool *lent)
{
  qn_buf_t *rd = &s->filter.rd;
  size_t held = qn_buf_size(rd);
  if (held == 0) {
    uint8_t *chunk = rd->lent ? NULL : qn__chunk_lend(s->loop);
    if (chunk != NULL) {
      qn_buf_free(rd);
      *rd = (qn_buf_t){.base = chunk, .cap = QN__CHUNK, .lent = true};
      *lent = true;
    }
    if (rd->lent) {
      return 0;
    }
  } else if (rd->lent) {
    qn__buf_settle(s->loop, rd);
  }
  size_t room = held < READ_ROOM ? READ_ROOM : held > READ_ROOM_MAX ? READ_ROOM_MAX : held;
  return qn_buf_reserve(rd, room < s->filter.room ? room : s->filter.room);
}

static void give_back(f_socket_t *s, bool lent)
{
  if (lent) {
    qn__chunk_back(s->loop, s->filter.rd.base);
    s->filter.rd = (qn_buf_t){0};
  }
}

static int64_t received_nothing(f_socket_t *s, ssize_t n, int err)
{
  s->readable = false;
  if (n == 0) {
    /* The kernel tells an error once. When a send got it, recv sees an end that is none. */
    if (s->write_error != 0 && s->write_error != -EPIPE) {
      s->read_error = s->write_error;
      return s->read_error;
    }
    s->ended = true;
    return 0;
  }
  if (err != EAGAIN && err != EWOULDBLOCK) {
    s->read_error = -err;
    return s->read_error;
  }
  int rc = qn__socket_arm(s);
  return rc < 0 ? rc : QN_AGAIN;
}

int64_t qn__socket_fill(qn_filter_t *f)
{
  f_socket_t *s = qn__socket(f);
  bool lent = false;
  int rc;
  if (s->read_error != 0 || s->ended) {
    return s->read_error;
  }
  s->reading = true;
  if (!s->readable || s->phase != PHASE_UP || f->room == 0) {
    rc = qn__socket_arm(s);
    return rc < 0 ? rc : QN_AGAIN;
  }
  rc = make_room(s, &lent);
  if (rc < 0) {
    return rc;
  }
  size_t size = f->rd.cap - f->rd.tail;
  size = size < f->room ? size : f->room;
  ssize_t n;
  do {
    n = recv(s->fd, f->rd.base + f->rd.tail, size, 0);
  } while (n < 0 && errno == EINTR);
  s->told = s->hold = false;
  if (n <= 0) {
    int err = errno;
    give_back(s, lent);
    return received_nothing(s, n, err);
  }
  f->rd.tail += (size_t)n;
  s->readable = (size_t)n == size; /* a short read has emptied the socket */
  rc = qn__socket_arm(s);
  return rc < 0 ? rc : n;
}

/* --- writing --------------------------------------------------------------------------------- */

static int fail_write(f_socket_t *s, int err)
{
  s->write_error = err;
  s->blocked = false;
  return err;
}

static int wait_writable(f_socket_t *s)
{
  s->blocked = true;
  int rc = qn__socket_arm(s);
  return rc < 0 ? fail_write(s, rc) : QN_AGAIN;
}

/* The next bytes to send: the queue, then `v` from *i, *off on. */
static int gather(f_socket_t *s, struct iovec *iov, const qn_slice_t *v, int n, int i, size_t off)
{
  int used = 0;
  if (qn_buf_size(&s->out) > 0) {
    iov[used++] = (struct iovec){qn_buf_data(&s->out), qn_buf_size(&s->out)};
  }
  for (; i < n && used < IOV_BATCH; i++, off = 0) {
    if (v[i].size > off) {
      iov[used++] = (struct iovec){(void *)(uintptr_t)(v[i].data + off), v[i].size - off};
    }
  }
  return used;
}

static void skip(const qn_slice_t *v, int n, int *i, size_t *off, size_t sent)
{
  while (*i < n && sent >= v[*i].size - *off) {
    sent -= v[*i].size - *off;
    ++*i;
    *off = 0;
  }
  *off += sent;
}

/* Sends the queue and then `v` until the kernel refuses; *i and *off say how far into `v` it got.
 * 0 all gone, QN_AGAIN, or an error. */
static int send_now(f_socket_t *s, const qn_slice_t *v, int n, int *i, size_t *off)
{
  struct iovec iov[IOV_BATCH];
  for (;;) {
    struct msghdr msg = {.msg_iov = iov};
    size_t total = 0;
    int count = gather(s, iov, v, n, *i, *off);
    if (count == 0) {
      return 0;
    }
    for (int k = 0; k < count; k++) {
      total += iov[k].iov_len;
    }
    msg.msg_iovlen = (size_t)count;
    ssize_t sent = count == 1 /* what it mostly is, and cheaper for the kernel */
                       ? send(s->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL)
                       : sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno == EAGAIN || errno == EWOULDBLOCK ? wait_writable(s) : fail_write(s, -errno);
    }
    size_t queued = qn_buf_size(&s->out);
    queued = queued < (size_t)sent ? queued : (size_t)sent;
    if (queued > 0) {
      qn_buf_consume(&s->out, queued);
    }
    skip(v, n, i, off, (size_t)sent - queued);
    if ((size_t)sent < total) {
      return wait_writable(s); /* a short send means that there is no room: no need to ask again */
    }
  }
}

static int keep_rest(f_socket_t *s, const qn_slice_t *v, int n, int i, size_t off)
{
  size_t total = 0;
  for (int k = i; k < n; k++) {
    total += v[k].size;
  }
  if (total == 0) {
    return 0;
  }
  int rc = qn_buf_reserve(&s->out, total - off);
  if (rc < 0) {
    return i > 0 || off > 0 ? fail_write(s, rc) : rc; /* torn, or nothing has happened */
  }
  for (; i < n && rc == 0; i++, off = 0) {
    rc = qn_buf_append(&s->out, v[i].data + off, v[i].size - off); /* cannot fail: reserved */
  }
  return rc;
}

int qn__socket_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  f_socket_t *s = qn__socket(f);
  size_t total = qn_buf_size(&s->out), off = 0;
  int i = 0;
  if (s->write_error != 0) {
    return s->write_error;
  }
  for (int k = 0; k < n; k++) {
    total += v[k].size;
  }
  if (total >= SEND_AT_ONCE && !s->blocked && s->phase == PHASE_UP) {
    int rc = send_now(s, v, n, &i, &off);
    if (rc != QN_AGAIN) {
      return rc;
    }
  }
  return keep_rest(s, v, n, i, off);
}

int qn__socket_flush(qn_filter_t *f)
{
  f_socket_t *s = qn__socket(f);
  size_t off = 0;
  int i = 0;
  if (s->write_error != 0) {
    return s->write_error;
  }
  if (qn_buf_size(&s->out) == 0) {
    return 0;
  }
  if (s->blocked || s->phase != PHASE_UP) {
    return QN_AGAIN;
  }
  return send_now(s, NULL, 0, &i, &off);
}

int qn__socket_finish(qn_filter_t *f)
{
  f_socket_t *s = qn__socket(f);
  int rc = s->phase == PHASE_UP ? qn__socket_flush(f) : QN_AGAIN;
  if (rc != 0 || s->finished) {
    return rc;
  }
  if (shutdown(s->fd, SHUT_WR) < 0) {
    /* The peer's reset has already ended the connection and somebody else got the news. */
    return fail_write(s, errno == ENOTCONN ? -EPIPE : -errno);
  }
  s->finished = true;
  return 0;
}

int qn__f_socket_want_write(qn_filter_t *f)
{
  f_socket_t *s = qn__socket(f);
  return s->write_error != 0 ? s->write_error : s->blocked ? QN_AGAIN : 0;
}

/* sendfile(2) knows no MSG_NOSIGNAL: a SIGPIPE of ours is blocked and taken back. */
static ssize_t send_file_quietly(int out, int in, off_t *offset, size_t count)
{
  sigset_t sigpipe, pending, before;
  struct timespec no_time = {0};
  ssize_t n;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
  do {
    n = sendfile(out, in, offset, count);
  } while (n < 0 && errno == EINTR);
  int err = n < 0 ? errno : 0;
  if (err == EPIPE && !sigismember(&pending, SIGPIPE)) {
    sigtimedwait(&sigpipe, NULL, &no_time);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = err;
  return n;
}

int64_t qn__f_socket_send_file(qn_filter_t *f, int fd, off_t *offset, size_t count)
{
  f_socket_t *s = qn__socket(f);
  int rc = qn__socket_flush(f);
  if (rc == 0) {
    rc = qn__f_socket_want_write(f);
  }
  if (rc < 0) {
    return rc;
  }
  ssize_t n = send_file_quietly(s->fd, fd, offset, count);
  if (n >= 0) {
    return n;
  }
  switch (errno) {
  case EAGAIN: return wait_writable(s);
  case EINVAL:
  case ENOSYS:
  case ESPIPE: return QN_E_UNSUPPORTED;
  default: return -errno;
  }
}

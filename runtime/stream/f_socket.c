/* f_socket.c: the bottom filter over a non-blocking stream socket: one poll handle, recv and
 * sendmsg.
 *
 * Made by dial.c, listen.c and qn_stream_adopt. The poll callback notes what the kernel said and
 * wakes the stream; bytes move only when the stream asks. Must not call upward otherwise and has no
 * timers.
 *
 * Invariants: (1) no event of the level-triggered poll can repeat without somebody acting on it: an
 * event that finds its predecessor unused takes itself out of the watch; interest comes back with
 * the next fill or refused send. Dropping is lazy, since most drops would be undone before they
 * matter. (2) The watcher (the poll handle's memory) frees itself in its close callback and may
 * outlive us.
 */
#include "stream/f_socket.h"

#include "loop/loop_i.h"
#include "net/sock.h"

#include <errno.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <uv.h>

#define SEND_AT_ONCE                                                                          \
  (16u * 1024u)                 /* queue and new bytes together: from here on a send is tried \
                                 */
#define READ_ROOM (16u * 1024u) /* least room of a recv that cannot use the lent chunk */
#define READ_ROOM_MAX (256u * 1024u)
#define IOV_BATCH 64

typedef struct f_socket f_socket_t;

typedef struct watcher {
  uv_poll_t uv;
  qn_loop_t *loop;
  f_socket_t *f; /* NULL once the filter is destroyed */
} watcher_t;

typedef enum phase { PHASE_NEW, PHASE_CONNECTING, PHASE_UP } phase_t;

struct f_socket {
  qn_filter_t filter; /* first */
  qn_loop_t *loop;
  watcher_t *watcher; /* NULL once it is gone */
  int fd;             /* -1 after close */
  int armed;          /* UV_READABLE | UV_WRITABLE as the poll handle has them */
  int read_error, write_error;
  phase_t phase;
  bool reading; /* somebody has called fill */
  bool paused;
  bool readable; /* recv may have something */
  bool told;     /* the kernel said so and nobody has received since */
  bool hold;     /* keep POLLIN off until the next recv */
  bool ended;
  bool blocked;  /* the kernel took less than we had: wait for POLLOUT */
  bool finished; /* FIN was sent */
  qn_buf_t out;
  qn_addr_t peer;
};

static f_socket_t *self(qn_filter_t *f) { return QN__CONTAINER(f, f_socket_t, filter); }

/* --- readiness ------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *uv, int status, int events);

static int wanted(const f_socket_t *s)
{
  int events = 0;
  if (s->reading && !s->hold && !s->ended && s->read_error == 0) {
    events |= UV_READABLE;
  }
  if (s->blocked) {
    events |= UV_WRITABLE;
  }
  return events;
}

static int watch(f_socket_t *s, int events)
{
  if (s->fd < 0 || events == s->armed) {
    return 0;
  }
  int rc =
      events != 0 ? uv_poll_start(&s->watcher->uv, events, on_poll) : uv_poll_stop(&s->watcher->uv);
  if (rc == 0) {
    s->armed = events;
  }
  return rc;
}

/* Adds what is missing. Interest that is no longer needed stays until it fires (on_poll drops it)
 * or something is added. */
static int arm(f_socket_t *s)
{
  int events = wanted(s);
  return (events & ~s->armed) != 0 ? watch(s, events) : 0;
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
  watcher_t *w = QN__CONTAINER(uv, watcher_t, uv);
  f_socket_t *s = w->f;
  unsigned wake = 0;
  if (s == NULL) {
    return;
  }
  if (status < 0) { /* POLLERR: libuv has stopped the handle; recv and send will say what it is */
    s->armed = 0;
    s->hold = true;
    events = UV_READABLE | UV_WRITABLE;
  }
  if (events & UV_READABLE) {
    s->hold = s->hold || s->paused || s->told;
    s->told = s->readable = true;
    wake |= s->paused ? 0 : QN_WAKE_READ;
  }
  bool unused = (events & ~wanted(s)) != 0;
  if ((events & UV_WRITABLE) && s->blocked) {
    s->blocked = false;
    wake |= s->phase == PHASE_CONNECTING ? QN_WAKE_START : QN_WAKE_WRITE;
  }
  if (unused && status == 0) {
    watch(s, wanted(s));
  }
  if (wake != 0) {
    qn_stream_wake(s->filter.stream, wake);
  }
}

/* --- start ----------------------------------------------------------------------------------- */

static int connect_now(f_socket_t *s)
{
  if (connect(s->fd, &s->peer.u.sa, s->peer.size) < 0) {
    if (errno != EINPROGRESS && errno != EINTR) {
      return -errno; /* EAGAIN too: the backlog of a Unix listener is full, nothing will wake us */
    }
    s->phase = PHASE_CONNECTING;
    s->blocked = true;
    int rc = arm(s);
    return rc < 0 ? rc : QN_AGAIN;
  }
  s->phase = PHASE_UP;
  return 0;
}

static int connect_result(f_socket_t *s)
{
  qn_addr_t peer;
  if (s->blocked) {
    return QN_AGAIN;
  }
  int rc = qn__sock_error(s->fd);
  if (rc == 0 && qn__sock_peer(s->fd, &peer) == -ENOTCONN) {
    s->blocked = true; /* woken for nothing */
    rc = arm(s);
    return rc < 0 ? rc : QN_AGAIN;
  }
  if (rc < 0) {
    return rc;
  }
  s->phase = PHASE_UP;
  s->told = s->readable = s->hold = false;
  return 0;
}

static int socket_start(qn_filter_t *f)
{
  f_socket_t *s = self(f);
  int rc = 0;
  if (s->phase == PHASE_UP) {
    f->up = true;
    return 0;
  }
  rc = s->phase == PHASE_NEW ? connect_now(s) : connect_result(s);
  /* A port of the ephemeral range where nobody listens may get connected to itself. */
  if (rc == 0 && qn__sock_is_self_connected(s->fd)) {
    rc = -ECONNREFUSED;
  }
  f->up = rc == 0;
  return rc;
}

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
  int rc = arm(s);
  return rc < 0 ? rc : QN_AGAIN;
}

static int64_t socket_fill(qn_filter_t *f)
{
  f_socket_t *s = self(f);
  bool lent = false;
  int rc;
  if (s->read_error != 0 || s->ended) {
    return s->read_error;
  }
  s->reading = true;
  if (!s->readable || s->phase != PHASE_UP || f->room == 0) {
    rc = arm(s);
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
  rc = arm(s);
  return rc < 0 ? rc : n;
}

static void set_paused(f_socket_t *s, bool on)
{
  bool missed = s->paused && s->readable;
  s->paused = on;
  if (!on) {
    s->reading = true;
    s->hold = false;
    arm(s);
    if (missed) {
      qn_stream_wake(s->filter.stream, QN_WAKE_READ);
    }
  }
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
  int rc = arm(s);
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
    ssize_t sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
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

static int socket_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  f_socket_t *s = self(f);
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

static int socket_flush(qn_filter_t *f)
{
  f_socket_t *s = self(f);
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

static int socket_finish(qn_filter_t *f)
{
  f_socket_t *s = self(f);
  int rc = s->phase == PHASE_UP ? socket_flush(f) : QN_AGAIN;
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
  f_socket_t *s = self(f);
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
  f_socket_t *s = self(f);
  int rc = socket_flush(f);
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

/* --- questions and the end ------------------------------------------------------------------- */

static int query_option(f_socket_t *s, qn_option_t *option)
{
  return option->set ? qn__sockopt_set(s->fd, option->name, option->value)
                     : qn__sockopt_get(s->fd, option->name, &option->value);
}

static int query_peer(f_socket_t *s, qn_addr_t *out)
{
  int rc = 0;
  if (s->peer.size == 0) { /* kept: after a reset the kernel no longer knows it */
    rc = qn__sock_peer(s->fd, &s->peer);
  }
  *out = s->peer;
  qn_addr_unmap(out);
  return rc;
}

static int socket_query(qn_filter_t *f, int what, void *out)
{
  f_socket_t *s = self(f);
  switch (what) {
  case QN_QUERY_QUEUED: *(size_t *)out = qn_buf_size(&s->out); return 0;
  case QN_QUERY_PAUSE_READ: set_paused(s, *(const int *)out != 0); return 0;
  default: break;
  }
  if (s->fd < 0) {
    return QN_E_NOT_CONNECTED;
  }
  switch (what) {
  case QN_QUERY_FD: *(int *)out = s->fd; return 0;
  case QN_QUERY_LOCAL_ADDR: return qn__sock_local(s->fd, out);
  case QN_QUERY_PEER_ADDR: return query_peer(s, out);
  case QN_QUERY_OPTION: return query_option(s, out);
  default: return QN_E_UNSUPPORTED;
  }
}

static void on_watcher_closed(uv_handle_t *handle)
{
  watcher_t *w = QN__CONTAINER(handle, watcher_t, uv);
  f_socket_t *s = w->f;
  qn__handle_closed(w->loop);
  qn_free(w);
  if (s != NULL) {
    s->watcher = NULL;
    qn_filter_gone(&s->filter);
  }
}

static void socket_close(qn_filter_t *f, bool abort)
{
  f_socket_t *s = self(f);
  if (s->fd < 0) {
    return;
  }
  uv_close((uv_handle_t *)&s->watcher->uv, on_watcher_closed);
  /* libuv no longer looks at the descriptor: the peer need not wait for the callback. */
  qn__sock_close(s->fd, abort && s->phase == PHASE_UP);
  s->fd = -1;
  s->armed = 0;
}

static void socket_destroy(qn_filter_t *f)
{
  f_socket_t *s = self(f);
  socket_close(f, true);
  if (s->watcher != NULL) {
    s->watcher->f = NULL;
  }
  qn_buf_free(&f->rd);
  qn_buf_free(&s->out);
  qn_free(s);
}

static const qn_filter_ops_t socket_ops = {
    .name = "socket",
    .flags = QN_FILTER_INTO,
    .start = socket_start,
    .fill = socket_fill,
    .write = socket_write,
    .flush = socket_flush,
    .finish = socket_finish,
    .query = socket_query,
    .close = socket_close,
    .destroy = socket_destroy,
};

bool qn__filter_is_socket(const qn_filter_t *f) { return f != NULL && f->ops == &socket_ops; }

/* --- making ---------------------------------------------------------------------------------- */

static int make(qn_loop_t *loop, int fd, const qn_addr_t *peer, phase_t phase, qn_filter_t **out)
{
  int rc = -ENOMEM;
  f_socket_t *s = qn_calloc(1, sizeof *s);
  watcher_t *w = qn_calloc(1, sizeof *w);
  *out = NULL;
  if (s == NULL || w == NULL) {
    goto fail;
  }
  rc = uv_poll_init(qn_loop_uv(loop), &w->uv, fd);
  if (rc < 0) {
    goto fail;
  }
  qn__handle_opened(loop);
  w->loop = loop;
  w->f = s;
  s->filter.ops = &socket_ops;
  s->filter.up = phase == PHASE_UP;
  s->loop = loop;
  s->watcher = w;
  s->fd = fd;
  s->phase = phase;
  s->peer = *peer;
  *out = &s->filter;
  return 0;
fail:
  qn_free(w);
  qn_free(s);
  return rc;
}

static int make_or_close(qn_loop_t *loop, int fd, const qn_addr_t *peer, phase_t phase,
                         qn_filter_t **out)
{
  int rc = make(loop, fd, peer, phase, out);
  if (rc < 0) {
    qn__sock_close(fd, false);
  }
  return rc;
}

int qn__f_socket_accepted(qn_loop_t *loop, int fd, const qn_addr_t *peer, qn_filter_t **out)
{
  return make(loop, fd, peer, PHASE_UP, out);
}

int qn__f_socket_connect(qn_loop_t *loop, int fd, const qn_addr_t *peer, qn_filter_t **out)
{
  return make_or_close(loop, fd, peer, PHASE_NEW, out);
}

int qn__f_socket_adopt(qn_loop_t *loop, int fd, qn_filter_t **out)
{
  qn_addr_t peer;
  int rc = qn__sock_check_connected(fd, &peer);
  if (rc < 0) {
    *out = NULL;
    qn__sock_close(fd, false);
    return rc;
  }
  return make_or_close(loop, fd, &peer, PHASE_UP, out);
}

/* f_socket.c: the bottom filter over a non-blocking stream socket: readiness, connect, life.
 *
 * Made by dial.c, listen.c and qn_stream_adopt. The poll callback notes what the kernel said and
 * wakes the stream; bytes move only when the stream asks (f_socket_io.c). Must not call upward
 * otherwise and has no timers.
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
#include "stream/f_socket_p.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

struct qn__watcher {
  uv_poll_t uv;
  qn_loop_t *loop;
  f_socket_t *f; /* NULL once the filter is destroyed */
};
typedef struct qn__watcher watcher_t;

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
int qn__socket_arm(f_socket_t *s)
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

static void set_paused(f_socket_t *s, bool on)
{
  bool missed = s->paused && s->readable;
  s->paused = on;
  if (!on) {
    s->reading = true;
    s->hold = false;
    qn__socket_arm(s);
    if (missed) {
      qn_stream_wake(s->filter.stream, QN_WAKE_READ);
    }
  }
}

/* --- start ----------------------------------------------------------------------------------- */

static int connect_now(f_socket_t *s)
{
  if (connect(s->fd, (const struct sockaddr *)(const void *)s->peer, s->peer_size) < 0) {
    if (errno != EINPROGRESS && errno != EINTR) {
      return -errno; /* EAGAIN too: the backlog of a Unix listener is full, nothing will wake us */
    }
    s->phase = PHASE_CONNECTING;
    s->blocked = true;
    int rc = qn__socket_arm(s);
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
    rc = qn__socket_arm(s);
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
  f_socket_t *s = qn__socket(f);
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

/* --- questions and the end ------------------------------------------------------------------- */

static int query_option(f_socket_t *s, qn_option_t *option)
{
  return option->set ? qn__sockopt_set(s->fd, option->name, option->value)
                     : qn__sockopt_get(s->fd, option->name, &option->value);
}

static int query_peer(f_socket_t *s, qn_addr_t *out)
{
  int rc = 0;
  if (s->peer_size == 0) {
    rc = qn__sock_peer(s->fd, out);
  } else {
    *out = (qn_addr_t){.size = s->peer_size};
    memcpy(&out->u, s->peer, s->peer_size);
  }
  qn_addr_unmap(out);
  return rc;
}

static int socket_query(qn_filter_t *f, int what, void *out)
{
  f_socket_t *s = qn__socket(f);
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
  case QN_QUERY_LOOK: s->readable = s->phase == PHASE_UP; return 0;
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
  f_socket_t *s = qn__socket(f);
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
  f_socket_t *s = qn__socket(f);
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
    .fill = qn__socket_fill,
    .write = qn__socket_write,
    .flush = qn__socket_flush,
    .finish = qn__socket_finish,
    .query = socket_query,
    .close = socket_close,
    .destroy = socket_destroy,
};

bool qn__filter_is_socket(const qn_filter_t *f) { return f != NULL && f->ops == &socket_ops; }

/* --- making ---------------------------------------------------------------------------------- */

static int make(qn_loop_t *loop, int fd, const qn_addr_t *peer, phase_t phase, qn_filter_t **out)
{
  int rc = -ENOMEM;
  f_socket_t *s = qn_calloc(1, sizeof *s + peer->size);
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
  s->peer_size = peer->size;
  memcpy(s->peer, &peer->u, peer->size);
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
  rc = make(loop, fd, &peer, PHASE_UP, out);
  if (rc < 0 &&
      rc != -EEXIST) { /* EEXIST: the loop watches it already, for a stream that owns it */
    qn__sock_close(fd, false);
  }
  return rc;
}

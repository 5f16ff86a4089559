/* listen.c: accepts connections, queues them up to a limit, hands them out as streams.
 *
 * Called by embedders. The descriptor is made by listen_socket.c. No user code runs here: waiters
 * are settled, the observer only takes notes. Must not take a connection that it cannot keep: what
 * a connection needs is allocated before accept4(2), and a stream is made when somebody takes it.
 *
 * Invariant: the poll handle runs exactly while a connection would be accepted (may_accept), so no
 * event repeats unused and a full process (EMFILE) waits for its timer.
 */
#include "qn/listen.h"

#include "loop/loop_i.h"
#include "net/sock.h"
#include "stream/f_socket.h"
#include "stream/listen_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <uv.h>

#define ACCEPTS_PER_WAKE 64
#define RETRY_FIRST_MS 100u
#define RETRY_MOST_MS 1000u

/* A connection that nobody has taken: a bare descriptor, or a stream that was given back. */
typedef struct pending {
  qn_list_t link;
  int fd;
  qn_addr_t peer;
  qn_stream_t *s;
} pending_t;

typedef struct watcher {
  uv_poll_t uv;
  qn_loop_t *loop;
  qn_listener_t *l; /* NULL once it is closed */
} watcher_t;

struct qn_listener {
  qn_loop_t *loop;
  size_t refs;
  watcher_t *watcher; /* NULL after close */
  qn__listen_socket_t socket;
  bool apply_options; /* accepted sockets do not inherit them from this one */
  bool watching, paused, closed;
  int error;
  int fatal;         /* accept can never succeed again */
  uint64_t retry_ms; /* 0: the last accept did not fail for want of resources */
  qn_timer_t retry;
  qn__sockopts_t *options;
  size_t max_pending, n_pending;
  qn_list_t pending;
  pending_t *spare;  /* for the next connection */
  qn_list_t waiters; /* of qn_op_t */
  void (*observer)(qn_listener_t *l, char event, int err, void *data);
  void *observer_data;
};

static void note(qn_listener_t *l, char event, int err)
{
  if (l->observer != NULL) {
    l->observer(l, event, err, l->observer_data);
  }
}

/* --- handing out ----------------------------------------------------------------------------- */

static int make_stream(qn_listener_t *l, pending_t *p, qn_stream_t **out)
{
  qn_filter_t *f;
  qn_stream_t *s = qn_stream_new(l->loop);
  if (s == NULL) {
    return -ENOMEM;
  }
  int rc = qn__f_socket_accepted(l->loop, p->fd, &p->peer, &f);
  if (rc == 0) {
    p->fd = -1;
    rc = qn__stream_set_bottom(s, f);
  }
  if (rc == 0) {
    rc = qn__stream_start(s, NULL);
  }
  if (rc < 0) {
    qn_stream_release(s);
    return rc;
  }
  *out = s;
  return 0;
}

static void free_pending(pending_t *p)
{
  qn__sock_close(p->fd, true);
  if (p->s != NULL) {
    qn_stream_abort(p->s);
    qn_stream_release(p->s);
  }
  qn_free(p);
}

static void drop_first(qn_listener_t *l)
{
  pending_t *p = QN__CONTAINER(l->pending.next, pending_t, link);
  qn__list_remove(&p->link);
  l->n_pending--;
  free_pending(p);
}

/* The oldest connection as a stream. On failure it stays where it is, if it can. */
static int take_first(qn_listener_t *l, qn_stream_t **out)
{
  pending_t *p = QN__CONTAINER(l->pending.next, pending_t, link);
  int rc = 0;
  if (p->s != NULL) {
    *out = p->s;
    p->s = NULL;
  } else {
    rc = make_stream(l, p, out);
  }
  if (rc == 0 || p->fd < 0) {
    drop_first(l);
  }
  return rc;
}

static void serve_waiters(qn_listener_t *l)
{
  while (!qn__list_empty(&l->pending) && !qn__list_empty(&l->waiters)) {
    qn_op_t *op = QN__CONTAINER(l->waiters.next, qn_op_t, link);
    qn_stream_t *s = NULL;
    int rc = take_first(l, &s);
    qn__list_remove(&op->link);
    op->owner = s;
    qn_op_settle(op, rc);
  }
}

static void fail_waiters(qn_listener_t *l, int err)
{
  while (!qn__list_empty(&l->waiters)) {
    qn_op_t *op = QN__CONTAINER(l->waiters.next, qn_op_t, link);
    qn__list_remove(&op->link);
    op->owner = NULL;
    qn_op_settle(op, err);
  }
}

/* --- accepting ------------------------------------------------------------------------------- */

static bool may_accept(const qn_listener_t *l)
{
  return !l->closed && !l->paused && l->fatal == 0 && !qn_timer_armed(&l->retry) &&
         (l->n_pending < l->max_pending || !qn__list_empty(&l->waiters));
}

static void on_poll(uv_poll_t *uv, int status, int events);
static void back_off(qn_listener_t *l, int err);

static void update_watch(qn_listener_t *l)
{
  bool on = may_accept(l);
  if (l->closed || on == l->watching) {
    return;
  }
  int rc =
      on ? uv_poll_start(&l->watcher->uv, UV_READABLE, on_poll) : uv_poll_stop(&l->watcher->uv);
  if (rc == 0) {
    l->watching = on;
  } else {
    back_off(l, rc);
  }
}

static void give_up(qn_listener_t *l, int err)
{
  l->error = l->fatal = err;
  fail_waiters(l, err);
  note(l, 'e', err);
}

static void on_retry(qn_timer_t *t);

static void back_off(qn_listener_t *l, int err)
{
  l->error = err;
  l->retry_ms = l->retry_ms == 0 ? RETRY_FIRST_MS : l->retry_ms * 2;
  if (l->retry_ms > RETRY_MOST_MS) {
    l->retry_ms = RETRY_MOST_MS;
  }
  int rc = qn_timer_start(l->loop, &l->retry, qn_loop_now(l->loop) + l->retry_ms, on_retry);
  if (rc < 0) {
    give_up(l, rc);
    return;
  }
  note(l, 'e', err);
}

/* Everything that a new connection needs. */
static int prepare(qn_listener_t *l)
{
  if (l->spare == NULL) {
    l->spare = qn_calloc(1, sizeof *l->spare);
  }
  return l->spare != NULL ? 0 : -ENOMEM;
}

/* 0 = one more is pending (or it was lost before we got it), QN_AGAIN, or an error. */
static int accept_one(qn_listener_t *l)
{
  int rc = prepare(l);
  if (rc < 0) {
    return rc;
  }
  pending_t *p = l->spare;
  socklen_t size = sizeof p->peer.u;
  int fd = accept4(l->socket.fd, &p->peer.u.sa, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    switch (errno) {
    case EAGAIN: return QN_AGAIN;
    case EINTR:
    case ECONNABORTED:
    case EPERM: /* a firewall rule */
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH: return 0; /* errors of a connection that nobody will miss */
    default: return -errno;
    }
  }
  p->peer.size = size < sizeof p->peer.u ? size : (socklen_t)sizeof p->peer.u;
  qn_addr_unmap(&p->peer);
  p->fd = fd;
  l->spare = NULL;
  if (l->apply_options) {
    (void)qn__sockopts_apply(l->options, fd); /* they worked on the listening socket */
  }
  qn__list_append(&l->pending, &p->link);
  l->n_pending++;
  l->error = 0;
  l->retry_ms = 0;
  note(l, 'c', 0);
  serve_waiters(l);
  return 0;
}

static bool is_shortage(int err)
{
  return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

static void accept_some(qn_listener_t *l)
{
  int rc = 0;
  for (int i = 0; i < ACCEPTS_PER_WAKE && rc == 0 && may_accept(l); i++) {
    rc = accept_one(l);
  }
  if (rc < 0 && rc != QN_AGAIN) {
    if (is_shortage(rc)) {
      back_off(l, rc);
    } else {
      give_up(l, rc);
    }
  }
  update_watch(l);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
  watcher_t *w = QN__CONTAINER(uv, watcher_t, uv);
  qn_listener_t *l = w->l;
  if (l == NULL) {
    return;
  }
  if (status <
      0) { /* libuv has stopped the handle; a pause keeps a lasting POLLERR from spinning */
    int err = qn__sock_error(l->socket.fd);
    l->watching = false;
    back_off(l, err != 0 ? err : -EIO);
    return;
  }
  accept_some(l);
}

static void on_retry(qn_timer_t *t) { accept_some(QN__CONTAINER(t, qn_listener_t, retry)); }

/* --- life ------------------------------------------------------------------------------------ */

void qn_listen_opts_init(qn_listen_opts_t *o)
{
  *o = (qn_listen_opts_t){.backlog = 511, .max_pending = 30, .v6only = -1, .fd = -1};
}

static int open_watcher(qn_listener_t *l)
{
  watcher_t *w = qn_calloc(1, sizeof *w);
  if (w == NULL) {
    return -ENOMEM;
  }
  int rc = uv_poll_init(qn_loop_uv(l->loop), &w->uv, l->socket.fd);
  if (rc < 0) {
    qn_free(w);
    return rc;
  }
  qn__handle_opened(l->loop);
  w->loop = l->loop;
  w->l = l;
  l->watcher = w;
  return 0;
}

int qn_listener_open(qn_loop_t *loop, const qn_addr_t *addr, const qn_listen_opts_t *opts,
                     qn_listener_t **out)
{
  qn_listen_opts_t defaults;
  *out = NULL;
  qn_listen_opts_init(&defaults);
  opts = opts != NULL ? opts : &defaults;
  if (opts->fd < 0 && addr->size == 0) {
    return QN_E_INVALID;
  }
  qn_listener_t *l = qn_calloc(1, sizeof *l);
  if (l == NULL) {
    return -ENOMEM;
  }
  int rc = qn__listen_socket_open(&l->socket, addr, opts);
  if (rc == 0) {
    l->loop = loop;
    rc = open_watcher(l);
    if (rc < 0 && opts->fd >= 0) {
      l->socket.fd = -1; /* remains the caller's */
    }
  }
  if (rc < 0) {
    qn__listen_socket_close(&l->socket);
    qn_free(l);
    return rc;
  }
  l->refs = 1;
  l->max_pending = opts->max_pending;
  /* Linux clones the options of a listening TCP socket into those that it accepts; a descriptor
   * from elsewhere may be shared, so it is left as it is. */
  l->apply_options = opts->fd >= 0 || qn_addr_family(&l->socket.addr) == QN_FAMILY_UNIX;
  qn__list_init(&l->pending);
  qn__list_init(&l->waiters);
  qn__object_born(loop, "listener");
  if (opts->fd >= 0 && qn_addr_family(&l->socket.addr) != QN_FAMILY_UNIX) {
    rc = qn__sockopts_put(&l->options, "nodelay", 1);
  }
  if (rc < 0) {
    l->socket.fd = -1;
    qn_listener_release(l);
    return rc;
  }
  update_watch(l);
  *out = l;
  return 0;
}

void qn_listener_retain(qn_listener_t *l) { l->refs++; }

void qn_listener_release(qn_listener_t *l)
{
  if (--l->refs > 0) {
    return;
  }
  qn_listener_close(l);
  qn__object_gone(l->loop, "listener");
  qn__sockopts_free(l->options);
  qn_free(l);
}

static void on_watcher_closed(uv_handle_t *handle)
{
  watcher_t *w = QN__CONTAINER(handle, watcher_t, uv);
  qn__handle_closed(w->loop);
  qn_free(w);
}

void qn_listener_close(qn_listener_t *l)
{
  if (l->closed) {
    return;
  }
  l->closed = true;
  l->watcher->l = NULL;
  uv_close((uv_handle_t *)&l->watcher->uv, on_watcher_closed);
  l->watcher = NULL;
  qn_timer_stop(l->loop, &l->retry);
  qn__listen_socket_close(&l->socket);
  while (!qn__list_empty(&l->pending)) {
    drop_first(l);
  }
  qn_free(l->spare);
  l->spare = NULL;
  fail_waiters(l, QN_E_CLOSED);
}

qn_loop_t *qn_listener_loop(const qn_listener_t *l) { return l->loop; }

bool qn_listener_is_closed(const qn_listener_t *l) { return l->closed; }

/* --- taking ---------------------------------------------------------------------------------- */

static void cancel_accept(qn_op_t *op)
{
  qn_listener_t *l = op->owner;
  qn__list_remove(&op->link);
  op->owner = NULL;
  update_watch(l);
}

int qn_listener_accept(qn_listener_t *l, qn_op_t *op, qn_stream_t **out)
{
  *out = NULL;
  if (l->closed) {
    return QN_E_CLOSED;
  }
  if (!qn__list_empty(&l->pending)) {
    int rc = take_first(l, out);
    update_watch(l);
    return rc;
  }
  if (l->fatal != 0) {
    return l->fatal;
  }
  qn_op_begin(op, l, cancel_accept);
  qn__list_append(&l->waiters, &op->link);
  update_watch(l);
  return QN_AGAIN;
}

qn_stream_t *qn_listener_taken(qn_op_t *op)
{
  qn_stream_t *s = op->state != QN_OP_PENDING && op->result == 0 ? op->owner : NULL;
  op->owner = NULL;
  return s;
}

void qn_listener_give_back(qn_listener_t *l, qn_stream_t *s)
{
  pending_t *p = l->closed ? NULL : qn_calloc(1, sizeof *p);
  if (p == NULL) {
    qn_stream_abort(s);
    qn_stream_release(s);
    return;
  }
  p->fd = -1;
  p->s = s;
  qn__list_prepend(&l->pending, &p->link);
  l->n_pending++;
  serve_waiters(l);
  update_watch(l);
}

/* --- facts and switches ---------------------------------------------------------------------- */

size_t qn_listener_pending(const qn_listener_t *l) { return l->n_pending; }

void qn_listener_set_max_pending(qn_listener_t *l, size_t n)
{
  l->max_pending = n;
  update_watch(l);
}

size_t qn_listener_max_pending(const qn_listener_t *l) { return l->max_pending; }

void qn_listener_pause(qn_listener_t *l, bool on)
{
  l->paused = on;
  update_watch(l);
}

bool qn_listener_paused(const qn_listener_t *l) { return l->paused; }

int qn_listener_addr(const qn_listener_t *l, qn_addr_t *out)
{
  *out = l->closed ? (qn_addr_t){0} : l->socket.addr;
  return l->closed ? QN_E_CLOSED : 0;
}

int qn_listener_fd(const qn_listener_t *l) { return l->socket.fd; }

int qn_listener_error(const qn_listener_t *l) { return l->error; }

int qn_listener_set_option(qn_listener_t *l, const char *name, int64_t value)
{
  if (l->closed) {
    return QN_E_CLOSED;
  }
  int rc = qn__sockopt_set(l->socket.fd, name, value);
  return rc == 0 ? qn__sockopts_put(&l->options, name, value) : rc;
}

void qn_listener_observe(qn_listener_t *l,
                         void (*fn)(qn_listener_t *l, char event, int err, void *data), void *data)
{
  l->observer = fn;
  l->observer_data = data;
}

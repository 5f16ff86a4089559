/* notifier.c: notifiers of foreign descriptors: one epoll set of our own per loop, which libuv
 * watches.
 *
 * Called by embedders. libuv's poll handles will not do here: there may be only one per descriptor,
 * they make it non-blocking, and a descriptor that was closed behind our back makes libuv abort.
 * epoll tells at once what is wrong. Each descriptor is in the set once, for all its notifiers, and
 * one-shot: after an event it is quiet until it is armed again.
 *
 * Invariants: (1) `armed` is what the kernel watches for, and never more than somebody wants; (2)
 * events carry the number of their descriptor and a serial, so late ones of descriptors that are
 * gone find nobody; (3) no user code runs beneath the libuv callback.
 */
#include "qn/notifier.h"

#include "loop/loop_i.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

enum { BUCKETS = 64, EVENTS_MAX = 64 };

typedef struct hub hub_t;

/* A watched descriptor. */
typedef struct watched {
  struct watched *next; /* in its bucket */
  hub_t *hub;
  qn_notifier_t *v[QN_NOTIFY_COUNT];
  int fd;
  uint32_t serial;
  uint32_t armed; /* EPOLL bits that the kernel watches for; 0: quiet */
} watched_t;

struct hub {
  uv_poll_t uv;
  qn_loop_t *loop;
  int set;
  uint32_t serial;
  size_t n;       /* descriptors */
  size_t n_armed; /* libuv looks, and the loop is alive, while there are some */
  watched_t *buckets[BUCKETS];
};

struct qn_notifier {
  qn_ready_t ready; /* a report to the observer */
  qn_loop_t *loop;
  watched_t *w; /* NULL once it is closed */
  qn_op_t *waiter;
  qn_notify_fn notify;
  void *data;
  int fd, err;
  qn_notify_t type;
  bool enabled;
  bool reported; /* to the observer, who has not dealt with it */
};

/* What a type waits for and what it is told: as select(2) and Qt have it. */
static const uint32_t wanted_bits[] = {EPOLLIN | EPOLLRDHUP, EPOLLOUT, EPOLLPRI};
static const uint32_t told_bits[] = {EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR,
                                     EPOLLOUT | EPOLLHUP | EPOLLERR,
                                     EPOLLPRI | EPOLLHUP | EPOLLERR};

/* --- the set --------------------------------------------------------------------------------- */

static void on_set(uv_poll_t *uv, int status, int events);

static watched_t **find(hub_t *h, int fd)
{
  watched_t **at = &h->buckets[(unsigned)fd % BUCKETS];
  while (*at != NULL && (*at)->fd != fd) {
    at = &(*at)->next;
  }
  return at;
}

static void on_hub_closed(uv_handle_t *handle)
{
  hub_t *h = QN__CONTAINER(handle, hub_t, uv);
  qn__handle_closed(h->loop);
  qn_free(h);
}

static void hub_close(hub_t *h)
{
  *qn__loop_notifiers(h->loop) = NULL;
  uv_close((uv_handle_t *)&h->uv, on_hub_closed);
  close(h->set);
}

/* One-shot. Hang-ups and errors come unasked, but once only. */
static struct epoll_event event_of(const watched_t *w, uint32_t bits)
{
  return (struct epoll_event){.events = bits | EPOLLONESHOT,
                              .data.u64 = (uint64_t)w->serial << 32 | (uint32_t)w->fd};
}

static int hub_of(qn_loop_t *loop, hub_t **out)
{
  hub_t *h = *qn__loop_notifiers(loop);
  if (h == NULL) {
    h = qn_calloc(1, sizeof *h);
    if (h == NULL) {
      return -ENOMEM;
    }
    h->loop = loop;
    h->set = epoll_create1(EPOLL_CLOEXEC);
    int rc = h->set < 0 ? -errno : uv_poll_init(qn_loop_uv(loop), &h->uv, h->set);
    if (rc < 0) {
      if (h->set >= 0) {
        close(h->set);
      }
      qn_free(h);
      return rc;
    }
    qn__handle_opened(loop);
    *qn__loop_notifiers(loop) = h;
  }
  *out = h;
  return 0;
}

static void count_armed(hub_t *h, bool was, bool is)
{
  if (is && !was && h->n_armed++ == 0) {
    (void)uv_poll_start(&h->uv, UV_READABLE, on_set); /* of a live handle: cannot fail */
  } else if (was && !is && --h->n_armed == 0) {
    uv_poll_stop(&h->uv);
  }
}

/* The kernel watches `w` for `bits` from now on. */
static int arm(watched_t *w, uint32_t bits)
{
  hub_t *h = w->hub;
  struct epoll_event e = event_of(w, bits);
  int rc = epoll_ctl(h->set, EPOLL_CTL_MOD, w->fd, &e);
  if (rc < 0 && errno == ENOENT) { /* closed and opened again as another file: that one, then */
    rc = epoll_ctl(h->set, EPOLL_CTL_ADD, w->fd, &e);
  }
  rc = rc < 0 ? -errno : 0;
  bits = rc < 0 ? 0 : bits;
  count_armed(h, w->armed != 0, bits != 0);
  w->armed = bits;
  return rc;
}

static bool is_wanted(const qn_notifier_t *n)
{
  return n != NULL && n->enabled && (n->waiter != NULL || (n->notify != NULL && !n->reported));
}

static void failed(watched_t *w, int err);

static void settle(qn_notifier_t *n, int result)
{
  if (n->waiter != NULL) {
    qn_op_t *op = n->waiter;
    n->waiter = NULL;
    qn_op_settle(op, result);
  }
}

/* Arms for what is wanted now. An error is everybody's who wants something. */
static int rearm(watched_t *w)
{
  uint32_t bits = 0;
  for (int i = 0; i < QN_NOTIFY_COUNT; i++) {
    bits |= is_wanted(w->v[i]) ? wanted_bits[i] : 0;
  }
  /* Fewer bits are not worth a call: what nobody wants is left out when it comes. */
  if ((bits & ~w->armed) == 0 && (bits != 0 || w->armed == 0)) {
    return 0;
  }
  int rc = arm(w, bits);
  if (rc < 0 && bits != 0) {
    failed(w, rc);
    return rc;
  }
  return 0;
}

static void report(qn_notifier_t *n, int err)
{
  n->reported = true;
  n->err = err;
  qn_ready_queue(n->loop, &n->ready);
}

/* The descriptor cannot be watched: waiting operations and observers learn it. */
static void failed(watched_t *w, int err)
{
  for (int i = 0; i < QN_NOTIFY_COUNT; i++) {
    qn_notifier_t *n = w->v[i];
    if (is_wanted(n)) {
      settle(n, err);
      if (n->notify != NULL && !n->reported) {
        n->enabled = false;
        report(n, err);
      }
    }
  }
}

static void told(watched_t *w, uint32_t events)
{
  count_armed(w->hub, w->armed != 0, false);
  w->armed = 0;
  for (int i = 0; i < QN_NOTIFY_COUNT; i++) {
    qn_notifier_t *n = w->v[i];
    if (is_wanted(n) && (events & told_bits[i]) != 0) {
      settle(n, 0);
      if (n->notify != NULL && !n->reported) {
        report(n, 0);
      }
    }
  }
  (void)rearm(w);
}

static void on_set(uv_poll_t *uv, int status, int events)
{
  hub_t *h = QN__CONTAINER(uv, hub_t, uv);
  struct epoll_event v[EVENTS_MAX];
  (void)status, (void)events;
  int n = epoll_wait(h->set, v, EVENTS_MAX, 0); /* more are there in the next turn */
  for (int i = 0; i < n; i++) {
    watched_t *w = *find(h, (int)(uint32_t)v[i].data.u64);
    if (w != NULL && w->serial == (uint32_t)(v[i].data.u64 >> 32)) {
      told(w, v[i].events);
    }
  }
}

/* --- opening and closing --------------------------------------------------------------------- */

static int watched_of(hub_t *h, int fd, watched_t **out)
{
  watched_t **at = find(h, fd), *w = *at;
  if (w == NULL) {
    w = qn_calloc(1, sizeof *w);
    if (w == NULL) {
      return -ENOMEM;
    }
    *w = (watched_t){.hub = h, .fd = fd, .serial = ++h->serial};
    struct epoll_event quiet = event_of(w, 0);
    int rc = epoll_ctl(h->set, EPOLL_CTL_ADD, fd, &quiet) < 0 ? -errno : 0;
    if (rc == -EEXIST) { /* left by a descriptor of this number that was closed too early */
      rc = epoll_ctl(h->set, EPOLL_CTL_MOD, fd, &quiet) < 0 ? -errno : 0;
    }
    if (rc < 0) {
      qn_free(w);
      return rc;
    }
    *at = w;
    h->n++;
  }
  *out = w;
  return 0;
}

static void watched_drop(watched_t *w)
{
  hub_t *h = w->hub;
  for (int i = 0; i < QN_NOTIFY_COUNT; i++) {
    if (w->v[i] != NULL) {
      (void)rearm(w);
      return;
    }
  }
  count_armed(h, w->armed != 0, false);
  struct epoll_event none = {0};
  (void)epoll_ctl(h->set, EPOLL_CTL_DEL, w->fd, &none);
  *find(h, w->fd) = w->next;
  qn_free(w);
  if (--h->n == 0) {
    hub_close(h);
  }
}

static void run_report(qn_ready_t *r)
{
  qn_notifier_t *n = QN__CONTAINER(r, qn_notifier_t, ready);
  if (n->notify != NULL) {
    n->notify(n, n->err, n->data);
  }
}

int qn_notifier_open(qn_loop_t *loop, int fd, qn_notify_t type, qn_notifier_t **out)
{
  hub_t *h = NULL;
  watched_t *w = NULL;
  *out = NULL;
  if ((unsigned)type >= QN_NOTIFY_COUNT) {
    return QN_E_INVALID;
  }
  if (fd < 0) {
    return -EBADF;
  }
  qn_notifier_t *n = qn_calloc(1, sizeof *n);
  if (n == NULL) {
    return -ENOMEM;
  }
  int rc = hub_of(loop, &h);
  if (rc == 0) {
    rc = watched_of(h, fd, &w);
  }
  if (rc == 0 && w->v[type] != NULL) {
    rc = -EEXIST;
  }
  if (rc < 0) {
    qn_free(n);
    if (h != NULL && h->n == 0) {
      hub_close(h);
    }
    return rc;
  }
  n->loop = loop;
  n->w = w;
  n->fd = fd;
  n->type = type;
  n->enabled = true;
  qn_ready_init(&n->ready, run_report);
  w->v[type] = n;
  qn__object_born(loop, "notifier");
  *out = n;
  return 0;
}

void qn_notifier_close(qn_notifier_t *n)
{
  watched_t *w = n->w;
  if (w == NULL) {
    return;
  }
  n->w = NULL;
  n->enabled = false;
  n->notify = NULL;
  qn_ready_drop(&n->ready);
  settle(n, QN_E_CLOSED);
  w->v[n->type] = NULL;
  watched_drop(w);
}

void qn_notifier_release(qn_notifier_t *n)
{
  if (n != NULL) {
    qn_notifier_close(n);
    qn__object_gone(n->loop, "notifier");
    qn_free(n);
  }
}

/* --- waiting and watching -------------------------------------------------------------------- */

static void cancel(qn_op_t *op)
{
  qn_notifier_t *n = op->owner;
  n->waiter = NULL;
  if (n->w != NULL) {
    (void)rearm(n->w);
  }
}

/* 0: the condition is there; QN_AGAIN: not yet; -EBADF. */
static int look(const qn_notifier_t *n)
{
  static const short asked[] = {POLLIN | POLLRDHUP, POLLOUT, POLLPRI};
  struct pollfd p = {.fd = n->fd, .events = asked[n->type]};
  if (poll(&p, 1, 0) <= 0) {
    return QN_AGAIN;
  }
  return (p.revents & POLLNVAL) != 0 ? -EBADF : 0;
}

int qn_notifier_wait(qn_notifier_t *n, qn_op_t *op)
{
  if (n->w == NULL) {
    return QN_E_CLOSED;
  }
  if (n->waiter != NULL) {
    return QN_E_BUSY;
  }
  int rc = n->enabled ? look(n) : QN_AGAIN;
  if (rc != QN_AGAIN) {
    return rc;
  }
  n->waiter = op;
  qn_op_begin(op, n, cancel);
  (void)rearm(n->w); /* a failure has settled it */
  return QN_AGAIN;
}

void qn_notifier_observe(qn_notifier_t *n, qn_notify_fn notify, void *data)
{
  if (n->w == NULL) {
    return;
  }
  n->notify = notify;
  n->data = data;
  if (notify == NULL) {
    qn_ready_drop(&n->ready);
    n->reported = false;
  }
  (void)rearm(n->w); /* a failure has been reported */
}

void qn_notifier_resume(qn_notifier_t *n)
{
  if (n->w != NULL && n->reported && !qn_ready_queued(&n->ready)) {
    n->reported = false;
    n->err = 0;
    (void)rearm(n->w);
  }
}

int qn_notifier_set_enabled(qn_notifier_t *n, bool on)
{
  if (n->w == NULL) {
    return on ? QN_E_CLOSED : 0;
  }
  if (on == n->enabled) {
    return 0;
  }
  if (on) {
    int rc = look(n);
    if (rc < 0 && rc != QN_AGAIN) {
      return rc;
    }
  } else if (n->err == 0) {
    n->reported = n->reported && !qn_ready_queued(&n->ready);
    qn_ready_drop(&n->ready); /* no report comes after this call */
  }
  n->enabled = on;
  return rearm(n->w);
}

bool qn_notifier_is_enabled(const qn_notifier_t *n) { return n->enabled; }
int qn_notifier_fd(const qn_notifier_t *n) { return n->fd; }
qn_notify_t qn_notifier_type(const qn_notifier_t *n) { return n->type; }
bool qn_notifier_is_closed(const qn_notifier_t *n) { return n->w == NULL; }

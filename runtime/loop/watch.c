/* watch.c: readiness of a borrowed descriptor, through an epoll set of its own.
 *
 * Called by f_file.c for pipes, terminals and whatever else can keep a reader waiting. libuv makes
 * what it polls non-blocking, which would change a terminal for every process that shares it; so it
 * polls the epoll set, and the set holds the descriptor. Must not read or write it.
 * Invariant: the poll handle is active exactly while there is a wish.
 */
#include "loop/watch_i.h"

#include "loop/loop_core.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

struct qn__watch {
  uv_poll_t uv; /* of the set */
  qn_loop_t *loop;
  void (*ready)(void *arg, unsigned what);
  void *arg;
  int set, fd;
  unsigned wish;
};

static int tell_set(const qn__watch_t *w, int op)
{
  struct epoll_event e = {.events = EPOLLONESHOT};
  e.events |= (w->wish & QN__WATCH_READ) != 0 ? (uint32_t)EPOLLIN : 0;
  e.events |= (w->wish & QN__WATCH_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0;
  return epoll_ctl(w->set, op, w->fd, &e) < 0 ? -errno : 0;
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
  qn__watch_t *w = QN__CONTAINER(uv, qn__watch_t, uv);
  struct epoll_event e = {0};
  unsigned what = 0;
  (void)events;
  if (status < 0) {
    what = w->wish;
  } else if (epoll_wait(w->set, &e, 1, 0) > 0) {
    what |= (e.events & EPOLLIN) != 0 ? QN__WATCH_READ : 0;
    what |= (e.events & EPOLLOUT) != 0 ? QN__WATCH_WRITE : 0;
    if ((e.events & (EPOLLHUP | EPOLLERR)) != 0) {
      what = w->wish;
    }
  }
  what &= w->wish;
  if (what != 0 || status < 0) {
    if (qn__watch_wish(w, w->wish & ~what) < 0) {
      what |= w->wish; /* better a call that may block than a wish that nobody grants */
      w->wish = 0;
    }
    w->ready(w->arg, what);
  }
}

int qn__watch_new(qn_loop_t *loop, int fd, void (*ready)(void *arg, unsigned what), void *arg,
                  qn__watch_t **out)
{
  *out = NULL;
  qn__watch_t *w = qn_calloc(1, sizeof *w);
  if (w == NULL) {
    return -ENOMEM;
  }
  *w = (qn__watch_t){.loop = loop, .ready = ready, .arg = arg, .fd = fd};
  w->set = epoll_create1(EPOLL_CLOEXEC);
  int rc = w->set < 0 ? -errno : tell_set(w, EPOLL_CTL_ADD);
  if (rc == 0) {
    rc = uv_poll_init(loop->uv, &w->uv, w->set);
  }
  if (rc < 0) {
    if (w->set >= 0) {
      close(w->set);
    }
    qn_free(w);
    return rc;
  }
  qn__handle_opened(loop);
  *out = w;
  return 0;
}

int qn__watch_wish(qn__watch_t *w, unsigned what)
{
  if (what == w->wish && what == 0) {
    return 0;
  }
  w->wish = what;
  int rc = tell_set(w, EPOLL_CTL_MOD);
  if (rc == 0) {
    rc = what != 0 ? uv_poll_start(&w->uv, UV_READABLE, on_poll) : uv_poll_stop(&w->uv);
  }
  if (rc < 0) {
    w->wish = 0;
    uv_poll_stop(&w->uv);
  }
  return rc;
}

static void on_closed(uv_handle_t *handle)
{
  qn__watch_t *w = QN__CONTAINER(handle, qn__watch_t, uv);
  qn__handle_closed(w->loop);
  qn_free(w);
}

void qn__watch_free(qn__watch_t *w)
{
  if (w != NULL) {
    uv_close((uv_handle_t *)&w->uv, on_closed);
    close(w->set); /* libuv has stopped looking at it */
    w->set = -1;
  }
}

/* signal.c: one watched signal: deliveries are counted, one operation may wait for the next.
 *
 * Called by the bindings. The libuv callback only counts and queues; `notify` runs in the ready
 * phase. When the last watcher of a signal closes, libuv gives it the system's default: what the
 * program had installed before is put back. Invariant: freed when the handle is closed and the
 * owner has released it, in either order.
 */
#include "qn/signal.h"

#include "loop/loop_core.h"

#include <errno.h>
#include <signal.h>

struct qn_signal {
  uv_signal_t handle;
  struct sigaction before; /* what the process did at this signal; restored when libuv lets go */
  qn_loop_t *loop;
  qn_op_t *waiter;
  int64_t pending;    /* deliveries that nobody has taken */
  int64_t unnotified; /* deliveries that `notify` has not seen */
  void (*notify)(void *data);
  void *data;
  qn_ready_t ready;
  bool closed, handle_gone, released;
};

static void free_if_done(qn_signal_t *s)
{
  if (s->handle_gone && s->released) {
    qn__object_gone(s->loop, "signal");
    qn_free(s);
  }
}

static void on_closed(uv_handle_t *handle)
{
  qn_signal_t *s = handle->data;
  s->handle_gone = true;
  qn__handle_closed(s->loop);
  free_if_done(s);
}

static void on_signal(uv_signal_t *handle, int signum)
{
  qn_signal_t *s = handle->data;
  (void)signum;
  if (s->waiter != NULL) {
    qn_op_t *op = s->waiter;
    s->waiter = NULL;
    qn_op_settle(op, 1);
  } else {
    s->pending++;
  }
  if (s->notify != NULL) {
    s->unnotified++;
    qn_ready_queue(s->loop, &s->ready);
  }
}

/* `notify` may close and release: the memory stays until the poll that follows, and `closed` tells.
 */
static void run_notify(qn_ready_t *r)
{
  qn_signal_t *s = QN__CONTAINER(r, qn_signal_t, ready);
  int64_t n = s->unnotified;
  s->unnotified = 0;
  while (n-- > 0 && !s->closed && s->notify != NULL) {
    s->notify(s->data);
  }
}

/* libuv's own handler is not worth keeping: another watcher has put it there. */
static void keep_action(qn_signal_t *s, const struct sigaction *before)
{
  struct sigaction now;
  s->before.sa_handler = SIG_DFL;
  if (sigaction(s->handle.signum, NULL, &now) == 0 && now.sa_handler != before->sa_handler) {
    s->before = *before;
  }
}

static void restore_action(const qn_signal_t *s, int signum)
{
  struct sigaction now;
  if (signum != 0 && s->before.sa_handler != SIG_DFL && sigaction(signum, NULL, &now) == 0 &&
      now.sa_handler == SIG_DFL) {
    sigaction(signum, &s->before, NULL);
  }
}

int qn_signal_open(qn_loop_t *loop, int signum, qn_signal_t **out)
{
  *out = NULL;
  if (signum <= 0 || signum > SIGRTMAX || signum == SIGKILL || signum == SIGSTOP) {
    return QN_E_INVALID;
  }
  qn_signal_t *s = qn_calloc(1, sizeof *s);
  if (s == NULL) {
    return -ENOMEM;
  }
  int rc = uv_signal_init(loop->uv, &s->handle);
  if (rc < 0) {
    qn_free(s);
    return rc;
  }
  s->loop = loop;
  s->handle.data = s;
  qn_ready_init(&s->ready, run_notify);
  qn__handle_opened(loop);
  qn__object_born(loop, "signal");
  struct sigaction before;
  rc = sigaction(signum, NULL, &before) < 0 ? -errno : 0;
  if (rc == 0) {
    rc = uv_signal_start(&s->handle, on_signal, signum);
  }
  if (rc < 0) {
    qn_signal_close(s);
    qn_signal_release(s);
    return rc;
  }
  keep_action(s, &before);
  *out = s;
  return 0;
}

static void cancel(qn_op_t *op)
{
  qn_signal_t *s = op->owner;
  s->waiter = NULL;
}

int64_t qn_signal_wait(qn_signal_t *s, qn_op_t *op)
{
  if (s->closed) {
    return QN_E_CLOSED;
  }
  if (s->waiter != NULL) {
    return QN_E_BUSY;
  }
  if (s->pending != 0) {
    int64_t n = s->pending;
    s->pending = 0;
    return n;
  }
  s->waiter = op;
  qn_op_begin(op, s, cancel);
  return QN_AGAIN;
}

void qn_signal_on_delivery(qn_signal_t *s, void (*notify)(void *data), void *data)
{
  s->notify = notify;
  s->data = data;
}

void qn_signal_ref(qn_signal_t *s, bool on)
{
  if (s->closed) {
    return;
  }
  if (on) {
    uv_ref((uv_handle_t *)&s->handle);
  } else {
    uv_unref((uv_handle_t *)&s->handle);
  }
}

void qn_signal_close(qn_signal_t *s)
{
  if (s->closed) {
    return;
  }
  s->closed = true;
  qn_ready_drop(&s->ready);
  if (s->waiter != NULL) {
    qn_op_cancel(s->waiter, QN_E_CLOSED);
  }
  int signum = s->handle.signum;
  uv_close((uv_handle_t *)&s->handle, on_closed);
  restore_action(s, signum);
}

void qn_signal_release(qn_signal_t *s)
{
  if (s == NULL || s->released) {
    return;
  }
  qn_signal_close(s);
  s->released = true;
  free_if_done(s);
}

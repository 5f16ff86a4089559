/* loop.c: the loop's life and its turn: ready phase -> flush -> poll.
 *
 * Called by the embedder (or, for a host's libuv loop, by attach.c). Everything that may run user
 * code is queued and run here, so nothing is freed beneath a libuv callback. Must never run uv_run
 * inside uv_run, and never wait while something is ready.
 * Invariant: one phase runs what was queued before it began; what it queues itself runs in the
 * next, after a poll, so no chain of ready work can starve the sockets.
 */
#include "loop/loop_core.h"

/* The poll has ended, which is what most want. */
static void on_wake(uv_async_t *wake)
{
  qn_loop_t *loop = wake->data;
  if (loop->on_wakeup != NULL) {
    qn_ready_queue(loop, loop->on_wakeup);
  }
}

/* --- life ------------------------------------------------------------------------------------ */

static int open_services(qn_loop_t *loop)
{
  int rc = uv_async_init(loop->uv, &loop->wake, on_wake);
  if (rc < 0) {
    return rc;
  }
  loop->wake.data = loop;
  loop->services++;
  uv_unref((uv_handle_t *)&loop->wake);
  uv_timer_init(loop->uv, &loop->alarm);
  loop->alarm.data = loop;
  loop->services++;
  uv_unref((uv_handle_t *)&loop->alarm);
  return loop->attached ? qn__attach_open(loop) : 0;
}

void qn__service_closed(uv_handle_t *handle)
{
  qn_loop_t *loop = handle->data;
  loop->services--;
}

static void close_services(qn_loop_t *loop)
{
  if (loop->attached) {
    qn__attach_close(loop);
  }
  uv_close((uv_handle_t *)&loop->wake, qn__service_closed);
  uv_close((uv_handle_t *)&loop->alarm, qn__service_closed);
  while (loop->services > 0) {
    uv_run(loop->uv, UV_RUN_NOWAIT);
  }
}

qn_loop_t *qn_loop_new(struct uv_loop_s *uv)
{
  qn_loop_t *loop = qn_calloc(1, sizeof *loop);
  if (loop == NULL) {
    return NULL;
  }
  qn__list_init(&loop->ready);
  qn__list_init(&loop->flush);
  qn__list_init(&loop->streams);
  qn__list_init(&loop->at_close);
  loop->attached = uv != NULL;
  loop->uv = uv != NULL ? uv : &loop->own;
  if (uv == NULL && uv_loop_init(&loop->own) < 0) {
    qn_free(loop);
    return NULL;
  }
  if (open_services(loop) < 0) { /* only the first handle can fail, so there is nothing to close */
    if (uv == NULL) {
      uv_loop_close(&loop->own);
    }
    qn_free(loop);
    return NULL;
  }
  return loop;
}

static void note_closing(uv_handle_t *handle, void *found)
{
  if (uv_is_closing(handle)) {
    *(bool *)found = true;
  }
}

static void close_leaked(uv_handle_t *handle, void *unused)
{
  (void)unused;
  if (!uv_is_closing(handle)) {
    uv_close(handle, NULL);
  }
}

/* Turns until nothing is on its way any more: ready work, handles being closed, calls in the pool
 * (libuv cannot be closed while one runs). Ready work that queues itself for ever is cut off. */
static void drain(qn_loop_t *loop)
{
  for (int idle_rounds = 0; idle_rounds < 1000;) {
    bool closing = false;
    qn__loop_phase(loop);
    uv_walk(loop->uv, note_closing, &closing);
    if (closing || qn__loop_has_work(loop)) {
      idle_rounds += !closing;
      uv_run(loop->uv, UV_RUN_NOWAIT);
    } else if (loop->calls > 0) {
      uv_run(loop->uv, UV_RUN_ONCE);
    } else {
      return;
    }
  }
}

void qn__loop_at_close(qn_loop_t *loop, qn__at_close_t *a)
{
  qn__list_append(&loop->at_close, &a->link);
}

qn__at_close_t *qn__loop_at_close_find(const qn_loop_t *loop, void (*run)(qn__at_close_t *a))
{
  for (const qn_list_t *l = loop->at_close.next; l != &loop->at_close; l = l->next) {
    qn__at_close_t *a = QN__CONTAINER(l, qn__at_close_t, link);
    if (a->run == run) {
      return a;
    }
  }
  return NULL;
}

static void close_companions(qn_loop_t *loop)
{
  while (!qn__list_empty(&loop->at_close)) {
    qn__at_close_t *a = QN__CONTAINER(loop->at_close.next, qn__at_close_t, link);
    qn__list_remove(&a->link);
    a->run(a);
  }
}

int qn_loop_free(qn_loop_t *loop)
{
  if (loop == NULL) {
    return 0;
  }
  QN__ASSERT(!loop->in_turn && !loop->in_phase);
  loop->in_turn = true; /* the phases are run here, not by the host's iteration */
  close_companions(loop);
  drain(loop);
  int leaks = qn__books_leaks(loop);
  close_services(loop);
  if (!loop->attached) {
    uv_walk(loop->uv, close_leaked, NULL);
    uv_run(loop->uv, UV_RUN_DEFAULT);
    int rc = uv_loop_close(loop->uv);
    QN__ASSERT(rc == 0);
    (void)rc;
  }
  qn__timers_free(loop);
  qn_free(loop->chunk);
  qn_free(loop->area);
  qn_free(loop);
  return leaks;
}

/* A long ready phase sends now and then, while what was written is still in the processor's cache:
 * a tenth of an echo at 1,000 connections. */
#define FLUSH_EVERY 64

/* --- the turn -------------------------------------------------------------------------------- */

static void take_all(qn_list_t *from, qn_list_t *to)
{
  qn__list_init(to);
  if (!qn__list_empty(from)) {
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    qn__list_init(from);
  }
}

static void run_first(qn_list_t *list)
{
  qn_ready_t *r = QN__CONTAINER(list->next, qn_ready_t, link);
  qn__list_remove(&r->link);
  r->run(r);
}

static void run_all(qn_list_t *list)
{
  while (!qn__list_empty(list)) {
    run_first(list);
  }
}

static void flush(qn_loop_t *loop)
{
  qn_list_t dirty;
  take_all(&loop->flush, &dirty);
  run_all(&dirty);
}

void qn__loop_phase(qn_loop_t *loop)
{
  qn_list_t batch; /* entries may still be dropped from it: they are unlinked wherever they are */
  QN__ASSERT(!loop->in_phase);
  loop->in_phase = true;
  loop->turns++;
  uv_update_time(loop->uv);
  take_all(&loop->ready, &batch);
  if (loop->heap.n != 0) {
    qn__timers_run(loop);
  }
  for (int n = 1; !qn__list_empty(&batch); n++) {
    run_first(&batch);
    if (n % FLUSH_EVERY == 0) {
      flush(loop);
    }
  }
  flush(loop);
  loop->in_phase = false;
}

bool qn_loop_turn(qn_loop_t *loop, qn_turn_mode_t mode)
{
  QN__ASSERT(!loop->in_turn && !loop->in_phase);
  if (loop->in_turn || loop->in_phase) {
    return false;
  }
  loop->in_turn = true;
  loop->stop = false;
  if (QN_UNLIKELY(loop->kicked)) {
    qn__attach_unkick(loop);
  }
  qn__loop_phase(loop);
  bool alive = qn_loop_alive(loop);
  if (alive) {
    bool wait = mode == QN_TURN_ONCE && !loop->stop && !qn__loop_has_work(loop);
    qn__timers_sync(loop);
    uv_run(loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    alive = qn_loop_alive(loop);
  }
  loop->in_turn = false;
  if (QN_UNLIKELY(loop->attached) && (loop->heap.n != 0 || qn__loop_has_work(loop))) {
    qn__attach_kick(loop);
  }
  return alive;
}

void qn_loop_run(qn_loop_t *loop)
{
  while (!loop->stop && qn_loop_turn(loop, QN_TURN_ONCE)) {
  }
  loop->stop = false;
}

bool qn_loop_in_turn(const qn_loop_t *loop) { return loop->in_turn || loop->in_phase; }

void qn_loop_stop(qn_loop_t *loop) { loop->stop = true; }

bool qn_loop_alive(const qn_loop_t *loop)
{
  return qn__loop_has_work(loop) || loop->heap.n != 0 || uv_loop_alive(loop->uv) != 0;
}

void qn_loop_hold(qn_loop_t *loop, bool on)
{
  QN__ASSERT(on || loop->holds > 0);
  if (on && loop->holds++ == 0) {
    uv_ref((uv_handle_t *)&loop->wake);
  } else if (!on && loop->holds > 0 && --loop->holds == 0) {
    uv_unref((uv_handle_t *)&loop->wake);
  }
}

void qn_loop_on_wakeup(qn_loop_t *loop, qn_ready_t *r) { loop->on_wakeup = r; }

void qn_loop_wakeup(qn_loop_t *loop) { uv_async_send(&loop->wake); }

/* --- foreign poll loops ---------------------------------------------------------------------- */

int qn_loop_fd(const qn_loop_t *loop) { return uv_backend_fd(loop->uv); }

int qn_loop_timeout(qn_loop_t *loop)
{
  if (!loop->in_turn && !loop->in_phase && !loop->attached && uv_loop_alive(loop->uv)) {
    /* libuv tells the kernel of a new watcher only when it polls next. What was started since the
     * last turn would not make the descriptor readable. Callbacks that run now only queue. */
    loop->in_turn = true;
    qn__timers_sync(loop);
    uv_run(loop->uv, UV_RUN_NOWAIT);
    loop->in_turn = false;
    if (!qn_loop_alive(loop)) {
      return 0; /* the last handle has just closed: the next turn tells the caller */
    }
  }
  if (qn__loop_has_work(loop)) {
    return 0;
  }
  int timeout = -1;
  uv_update_time(loop->uv);
  if (uv_loop_alive(loop->uv)) {
    timeout = uv_backend_timeout(loop->uv);
  }
  if (loop->heap.n != 0) {
    uint64_t at = loop->heap.entries[0].at, now = uv_now(loop->uv);
    uint64_t left = at > now ? at - now : 0;
    if (timeout < 0 || left < (uint64_t)timeout) {
      timeout = left > INT32_MAX ? INT32_MAX : (int)left;
    }
  }
  return timeout;
}

/* --- the lists ------------------------------------------------------------------------------- */

void qn_ready_init(qn_ready_t *r, void (*run)(qn_ready_t *r))
{
  r->link.next = r->link.prev = NULL;
  r->run = run;
}

void qn_ready_queue(qn_loop_t *loop, qn_ready_t *r) { qn__ready_append(loop, &loop->ready, r); }

bool qn_ready_queued(const qn_ready_t *r) { return qn__list_linked(&r->link); }

void qn_ready_drop(qn_ready_t *r) { qn__list_remove(&r->link); }

void qn_flush_queue(qn_loop_t *loop, qn_ready_t *r) { qn__ready_append(loop, &loop->flush, r); }

/* --- facts ----------------------------------------------------------------------------------- */

uint64_t qn_loop_now(const qn_loop_t *loop) { return uv_now(loop->uv); }

uint64_t qn_loop_fresh(qn_loop_t *loop)
{
  uv_update_time(loop->uv);
  return uv_now(loop->uv);
}

struct uv_loop_s *qn_loop_uv(qn_loop_t *loop) { return loop->uv; }
void qn_loop_set_data(qn_loop_t *loop, void *data) { loop->data = data; }
void *qn_loop_data(const qn_loop_t *loop) { return loop->data; }
uint64_t qn_loop_turns(const qn_loop_t *loop) { return loop->turns; }

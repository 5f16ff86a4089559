/* The turn: fairness, order, flush, staying alive, waking up, foreign poll loops, two threads. */
#include "rig.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#include <uv.h>

/* --- ready and flush ------------------------------------------------------------------------- */

typedef struct step {
  qn_ready_t ready;
  qn_loop_t *loop;
  struct step *other;
  int runs;
  uint64_t turn;
  int place;
} step_t;

static int places;

static void run_count(qn_ready_t *r)
{
  step_t *s = (step_t *)(void *)r;
  s->runs++;
  s->turn = qn_loop_turns(s->loop);
  s->place = ++places;
}

static void run_requeue(qn_ready_t *r)
{
  step_t *s = (step_t *)(void *)r;
  run_count(r);
  qn_ready_queue(s->loop, r);
}

static void run_drop_other(qn_ready_t *r)
{
  run_count(r);
  qn_ready_drop(&((step_t *)(void *)r)->other->ready);
}

static void run_queue_other(qn_ready_t *r)
{
  step_t *s = (step_t *)(void *)r;
  run_count(r);
  qn_ready_queue(s->loop, &s->other->ready);
}

static void run_flush_other(qn_ready_t *r)
{
  step_t *s = (step_t *)(void *)r;
  run_count(r);
  qn_flush_queue(s->loop, &s->other->ready);
}

static void run_flush_again(qn_ready_t *r)
{
  step_t *s = (step_t *)(void *)r;
  run_count(r);
  if (s->runs < 3) {
    qn_flush_queue(s->loop, r);
  }
}

static step_t step(const rig_t *rig, void (*run)(qn_ready_t *r))
{
  step_t s = {.loop = rig->loop};
  qn_ready_init(&s.ready, run);
  return s;
}

TEST(queueing_twice_is_queueing_once_in_order)
{
  rig_t rig;
  rig_open(&rig);
  step_t a = step(&rig, run_count), b = step(&rig, run_count);
  CHECK(!qn_ready_queued(&a.ready));
  qn_ready_queue(rig.loop, &a.ready);
  qn_ready_queue(rig.loop, &b.ready);
  qn_ready_queue(rig.loop, &a.ready);
  CHECK(qn_ready_queued(&a.ready));
  CHECK(!qn_loop_turn(rig.loop, QN_TURN_ONCE));
  CHECK(!qn_ready_queued(&a.ready));
  CHECK_INT(a.runs, 1);
  CHECK_INT(b.runs, 1);
  CHECK(a.place < b.place);
  rig_close(&rig);
}

TEST(what_is_queued_in_a_phase_runs_in_the_next)
{
  rig_t rig;
  rig_open(&rig);
  step_t b = step(&rig, run_count), a = step(&rig, run_queue_other);
  a.other = &b;
  qn_ready_queue(rig.loop, &a.ready);
  CHECK(qn_loop_turn(rig.loop, QN_TURN_NOWAIT));
  CHECK_INT(b.runs, 0);
  qn_loop_run(rig.loop);
  CHECK_INT(b.runs, 1);
  CHECK_UINT(b.turn, a.turn + 1);
  rig_close(&rig);
}

TEST(an_entry_can_be_dropped_from_the_running_batch)
{
  rig_t rig;
  rig_open(&rig);
  step_t b = step(&rig, run_count), c = step(&rig, run_count), a = step(&rig, run_drop_other);
  a.other = &b;
  qn_ready_queue(rig.loop, &a.ready);
  qn_ready_queue(rig.loop, &b.ready);
  qn_ready_queue(rig.loop, &c.ready);
  qn_ready_drop(&c.ready);
  qn_ready_drop(&c.ready);
  qn_ready_queue(rig.loop, &c.ready);
  qn_loop_run(rig.loop);
  CHECK_INT(b.runs, 0);
  CHECK_INT(c.runs, 1);
  rig_close(&rig);
}

TEST(flush_runs_at_the_end_of_the_same_phase)
{
  rig_t rig;
  rig_open(&rig);
  step_t f = step(&rig, run_count), a = step(&rig, run_flush_other),
         b = step(&rig, run_flush_other);
  a.other = b.other = &f;
  qn_ready_queue(rig.loop, &a.ready);
  qn_ready_queue(rig.loop, &b.ready);
  qn_loop_turn(rig.loop, QN_TURN_NOWAIT);
  CHECK_INT(f.runs, 1);
  CHECK_UINT(f.turn, a.turn);
  CHECK(f.place > b.place);
  rig_close(&rig);
}

TEST(a_long_phase_flushes_in_between)
{
  enum { N = 100 };
  static step_t items[N];
  rig_t rig;
  rig_open(&rig);
  step_t f = step(&rig, run_count);
  for (int i = 0; i < N; i++) {
    items[i] = step(&rig, i == 0 ? run_flush_other : run_count);
    items[i].other = &f;
    qn_ready_queue(rig.loop, &items[i].ready);
  }
  qn_loop_turn(rig.loop, QN_TURN_NOWAIT);
  CHECK_INT(f.runs, 1);
  CHECK_UINT(f.turn, items[N - 1].turn);
  CHECK(f.place > items[0].place && f.place < items[N - 1].place);
  rig_close(&rig);
}

TEST(a_flush_queued_while_flushing_runs_next_turn_without_waiting)
{
  rig_t rig;
  rig_open(&rig);
  step_t f = step(&rig, run_flush_again);
  qn_loop_hold(rig.loop, true); /* a poll that waited would never end */
  qn_flush_queue(rig.loop, &f.ready);
  CHECK_INT(qn_loop_timeout(rig.loop), 0);
  for (int i = 1; i <= 2; i++) {
    CHECK(qn_loop_turn(rig.loop, QN_TURN_ONCE));
    CHECK_INT(f.runs, i);
  }
  qn_loop_hold(rig.loop, false);
  CHECK(!qn_loop_turn(rig.loop, QN_TURN_ONCE));
  CHECK_INT(f.runs, 3);
  rig_close(&rig);
}

typedef struct watch {
  uv_poll_t poll;
  int events;
} watch_t;

static void on_poll(uv_poll_t *poll, int status, int events)
{
  watch_t *w = poll->data;
  char byte;
  (void)status;
  (void)events;
  w->events++;
  CHECK_INT(read(w->poll.io_watcher.fd, &byte, 1), 1);
}

static void watch_open(watch_t *w, qn_loop_t *loop, int fd)
{
  w->events = 0;
  w->poll.data = w;
  REQUIRE_INT(uv_poll_init(qn_loop_uv(loop), &w->poll, fd), 0);
  REQUIRE_INT(uv_poll_start(&w->poll, UV_READABLE, on_poll), 0);
}

TEST(endless_ready_work_does_not_starve_polling)
{
  rig_t rig;
  int fds[2];
  watch_t w;
  rig_open(&rig);
  REQUIRE_INT(pipe(fds), 0);
  watch_open(&w, rig.loop, fds[0]);
  step_t a = step(&rig, run_requeue);
  qn_ready_queue(rig.loop, &a.ready);
  CHECK_INT(write(fds[1], "xx", 2), 2);
  for (int i = 0; i < 10; i++) {
    qn_loop_turn(rig.loop, QN_TURN_ONCE);
  }
  CHECK_INT(a.runs, 10);
  CHECK_INT(w.events, 2);
  qn_ready_drop(&a.ready);
  uv_close((uv_handle_t *)&w.poll, NULL);
  rig_close(&rig);
  close(fds[0]);
  close(fds[1]);
}

/* --- staying alive --------------------------------------------------------------------------- */

static void fire_nothing(qn_timer_t *t) { (void)t; }

TEST(a_loop_with_nothing_is_not_alive)
{
  rig_t rig;
  rig_open(&rig);
  CHECK(!qn_loop_alive(rig.loop));
  CHECK(!qn_loop_turn(rig.loop, QN_TURN_ONCE));
  qn_timer_t t = {0};
  qn_timer_start(rig.loop, &t, qn_loop_now(rig.loop) + 100000, fire_nothing);
  CHECK(qn_loop_alive(rig.loop));
  CHECK(qn_loop_turn(rig.loop, QN_TURN_NOWAIT));
  qn_timer_stop(rig.loop, &t); /* the alarm still runs, but keeps nothing alive */
  CHECK(!qn_loop_alive(rig.loop));
  CHECK(!qn_loop_turn(rig.loop, QN_TURN_ONCE));
  rig_close(&rig);
}

TEST(hold_is_counted)
{
  rig_t rig;
  rig_open(&rig);
  qn_loop_hold(rig.loop, true);
  qn_loop_hold(rig.loop, true);
  qn_loop_hold(rig.loop, false);
  CHECK(qn_loop_alive(rig.loop));
  CHECK(qn_loop_turn(rig.loop, QN_TURN_NOWAIT));
  qn_loop_hold(rig.loop, false);
  CHECK(!qn_loop_alive(rig.loop));
  rig_close(&rig);
}

static void run_stop(qn_ready_t *r)
{
  run_count(r);
  qn_loop_stop(((step_t *)(void *)r)->loop);
}

TEST(stop_ends_run_without_waiting)
{
  rig_t rig;
  rig_open(&rig);
  step_t a = step(&rig, run_stop);
  qn_loop_hold(rig.loop, true);
  for (int i = 1; i <= 3; i++) {
    qn_ready_queue(rig.loop, &a.ready);
    qn_loop_run(rig.loop);
    CHECK_INT(a.runs, i);
  }
  qn_loop_hold(rig.loop, false);
  rig_close(&rig);
}

static void run_dawdle(qn_ready_t *r)
{
  uint64_t until = uv_hrtime() + 4000000;
  run_count(r);
  while (uv_hrtime() < until) {
  }
}

static void done_stop(qn_op_t *op)
{
  note_done(op);
  qn_loop_stop(op->loop);
}

/* libuv runs its timers before it polls: if the alarm rings there, the poll must not wait for the
 * next event, which may never come. */
TEST(an_alarm_that_rings_before_the_poll_is_not_slept_over)
{
  rig_t rig;
  rig_open(&rig);
  step_t slow = step(&rig, run_dawdle);
  note_t n;
  note_init(&n, rig.loop);
  qn_loop_hold(rig.loop, true);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, qn_loop_fresh(rig.loop) + 2, QN_E_TIMEOUT);
  n.op.done = done_stop;
  qn_ready_queue(rig.loop, &slow.ready);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  qn_loop_hold(rig.loop, false);
  rig_close(&rig);
}

TEST(an_earlier_timer_moves_the_alarm)
{
  rig_t rig;
  note_t n;
  qn_timer_t far = {0};
  rig_open(&rig);
  note_init(&n, rig.loop);
  n.op.done = done_stop;
  uint64_t now = qn_loop_fresh(rig.loop);
  qn_timer_start(rig.loop, &far, now + 10000000, fire_nothing);
  qn_loop_turn(rig.loop, QN_TURN_NOWAIT); /* arms the alarm for the far one */
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, now + 5, QN_E_TIMEOUT);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  qn_timer_stop(rig.loop, &far);
  rig_close(&rig);
}

TEST(a_stop_between_turns_is_forgotten_by_the_next)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, qn_loop_fresh(rig.loop) + 20, QN_E_TIMEOUT);
  qn_loop_stop(rig.loop);
  while (qn_loop_turn(rig.loop, QN_TURN_ONCE)) {
  }
  CHECK_INT(n.done, 1);
  CHECK(qn_loop_turns(rig.loop) < 10); /* it waited rather than span */
  rig_close(&rig);
}

TEST(an_early_alarm_does_no_harm)
{
  rig_t rig;
  note_t n;
  qn_timer_t early = {0};
  rig_open(&rig);
  note_init(&n, rig.loop);
  uint64_t now = qn_loop_fresh(rig.loop);
  qn_timer_start(rig.loop, &early, now + 2, fire_nothing);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, now + 10, QN_E_TIMEOUT);
  qn_loop_turn(rig.loop, QN_TURN_NOWAIT); /* arms the alarm for the early one */
  qn_timer_stop(rig.loop, &early);
  TURN_UNTIL(rig.loop, n.done);
  CHECK(qn_loop_now(rig.loop) >= now + 10);
  rig_close(&rig);
}

static void *wake_after_turns(void *arg)
{
  for (int i = 0; i < 100; i++) {
    qn_loop_wakeup(arg);
  }
  return NULL;
}

TEST(another_thread_can_wake_a_waiting_loop)
{
  rig_t rig;
  pthread_t thread;
  rig_open(&rig);
  qn_loop_hold(rig.loop, true);
  REQUIRE_INT(pthread_create(&thread, NULL, wake_after_turns, rig.loop), 0);
  CHECK(qn_loop_turn(rig.loop, QN_TURN_ONCE));
  pthread_join(thread, NULL);
  qn_loop_hold(rig.loop, false);
  rig_close(&rig);
}

/* --- a foreign poll loop --------------------------------------------------------------------- */

static void foreign_step(qn_loop_t *loop)
{
  struct pollfd p = {.fd = qn_loop_fd(loop), .events = POLLIN};
  int timeout = qn_loop_timeout(loop);
  CHECK(poll(&p, 1, timeout < 0 || timeout > 5000 ? 5000 : timeout) >= 0);
  qn_loop_turn(loop, QN_TURN_NOWAIT);
}

TEST(stepping_from_a_foreign_poll_loop)
{
  rig_t rig;
  int fds[2];
  watch_t w;
  note_t n;
  rig_open(&rig);
  CHECK_INT(qn_loop_timeout(rig.loop), -1);
  note_init(&n, rig.loop);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, qn_loop_fresh(rig.loop) + 10, QN_E_TIMEOUT);
  CHECK(qn_loop_timeout(rig.loop) <= 10);
  int steps = 0;
  while (!n.done && ++steps < 20) {
    foreign_step(rig.loop);
  }
  CHECK_INT(n.done, 1);
  CHECK(steps < 10); /* it slept rather than span */

  REQUIRE_INT(pipe(fds), 0);
  watch_open(&w, rig.loop, fds[0]);
  CHECK_INT(qn_loop_timeout(rig.loop), -1);
  CHECK_INT(write(fds[1], "x", 1), 1);
  struct pollfd p = {.fd = qn_loop_fd(rig.loop), .events = POLLIN};
  CHECK_INT(poll(&p, 1, 5000), 1); /* the watcher started since the last turn is seen */
  qn_loop_turn(rig.loop, QN_TURN_NOWAIT);
  CHECK_INT(w.events, 1);

  step_t a = step(&rig, run_count);
  qn_ready_queue(rig.loop, &a.ready);
  CHECK_INT(qn_loop_timeout(rig.loop), 0);
  foreign_step(rig.loop);
  CHECK_INT(a.runs, 1);
  uv_close((uv_handle_t *)&w.poll, NULL);
  CHECK_INT(qn_loop_timeout(rig.loop), 0); /* it closes here, so the next turn reports the end */
  CHECK(!qn_loop_turn(rig.loop, QN_TURN_NOWAIT));
  CHECK_INT(qn_loop_timeout(rig.loop), -1);
  rig_close(&rig);
  close(fds[0]);
  close(fds[1]);
}

TEST(a_far_timer_gives_a_finite_timeout)
{
  rig_t rig;
  qn_timer_t t = {0};
  rig_open(&rig);
  qn_timer_start(rig.loop, &t, UINT64_MAX - 1, fire_nothing);
  CHECK(qn_loop_timeout(rig.loop) > 1000000);
  CHECK(qn_loop_turn(rig.loop, QN_TURN_NOWAIT));
  qn_timer_stop(rig.loop, &t);
  rig_close(&rig);
}

/* --- life ------------------------------------------------------------------------------------ */

TEST(a_loop_that_cannot_be_made_is_null)
{
  int64_t live = qn_alloc_live();
  qn_alloc_fail_at(1);
  CHECK_NULL(qn_loop_new(NULL));
  CHECK(qn_alloc_failed());
  CHECK_INT(qn_alloc_live(), live);
  CHECK_INT(qn_loop_free(NULL), 0);
}

TEST(free_runs_what_is_still_ready)
{
  rig_t rig;
  rig_open(&rig);
  step_t b = step(&rig, run_count), a = step(&rig, run_queue_other);
  a.other = &b;
  qn_ready_queue(rig.loop, &a.ready);
  rig_close(&rig);
  CHECK_INT(a.runs + b.runs, 2);
}

TEST(free_is_not_held_up_by_endless_work)
{
  rig_t rig;
  rig_open(&rig);
  step_t a = step(&rig, run_requeue);
  qn_ready_queue(rig.loop, &a.ready);
  rig_close(&rig);
  CHECK(a.runs > 10);
}

TEST(the_embedders_pointer)
{
  rig_t rig;
  rig_open(&rig);
  CHECK_NULL(qn_loop_data(rig.loop));
  qn_loop_set_data(rig.loop, &rig);
  CHECK_PTR(qn_loop_data(rig.loop), &rig);
  rig_close(&rig);
}

/* --- two threads ----------------------------------------------------------------------------- */

typedef struct worker {
  int timeouts;
  int leaks;
  int64_t live;
} worker_t;

typedef struct ticker {
  note_t note;
  int left;
} ticker_t;

static void tick(qn_op_t *op)
{
  ticker_t *t = (ticker_t *)(void *)op;
  t->note.done++;
  if (--t->left > 0) {
    qn_op_begin(op, NULL, NULL);
    qn_op_deadline(op, qn_loop_now(op->loop) + (unsigned)t->left % 3, QN_E_TIMEOUT);
  }
}

/* Both loops exist before one is freed: libuv closes descriptors behind the thread sanitizer's
 * back, which would take a reused number for a race. */
static pthread_barrier_t both_made;

static void *run_worker(void *arg)
{
  worker_t *w = arg;
  ticker_t tickers[50];
  int64_t live = qn_alloc_live();
  qn_loop_t *loop = qn_loop_new(NULL);
  pthread_barrier_wait(&both_made);
  for (int i = 0; i < 50; i++) {
    tickers[i].left = 20;
    note_init(&tickers[i].note, loop);
    tickers[i].note.op.done = tick;
    qn_op_begin(&tickers[i].note.op, NULL, NULL);
    qn_op_deadline(&tickers[i].note.op, 0, QN_E_TIMEOUT);
  }
  qn_loop_run(loop);
  for (int i = 0; i < 50; i++) {
    w->timeouts += tickers[i].note.done;
  }
  w->leaks = qn_loop_free(loop);
  w->live = qn_alloc_live() - live;
  return NULL;
}

TEST(two_loops_in_two_threads)
{
  worker_t w[2] = {{0}};
  pthread_t threads[2];
  pthread_barrier_init(&both_made, NULL, 2);
  for (int i = 0; i < 2; i++) {
    REQUIRE_INT(pthread_create(&threads[i], NULL, run_worker, &w[i]), 0);
  }
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    CHECK_INT(w[i].timeouts, 1000);
    CHECK_INT(w[i].leaks, 0);
    CHECK_INT(w[i].live, 0);
  }
  pthread_barrier_destroy(&both_made);
}

typedef struct woken {
  qn_ready_t ready;
  qn_loop_t *loop;
  int runs, turning;
} woken_t;

static void note_wakeup(qn_ready_t *r)
{
  woken_t *w = (woken_t *)(void *)((char *)r - offsetof(woken_t, ready));
  w->runs++;
  w->turning += qn_loop_in_turn(w->loop);
}

TEST(a_wakeup_queues_what_the_embedder_wants)
{
  rig_t rig;
  woken_t w = {0};
  rig_open(&rig);
  w.loop = rig.loop;
  qn_ready_init(&w.ready, note_wakeup);
  qn_loop_on_wakeup(rig.loop, &w.ready);
  CHECK(!qn_loop_in_turn(rig.loop));
  qn_loop_hold(rig.loop, true); /* else the loop is not alive and does not poll */
  qn_loop_wakeup(rig.loop);
  TURN_UNTIL(rig.loop, w.runs > 0);
  CHECK_INT(w.turning, w.runs);
  CHECK(!qn_loop_in_turn(rig.loop));
  qn_loop_on_wakeup(rig.loop, NULL);
  int runs = w.runs;
  qn_loop_wakeup(rig.loop);
  for (int i = 0; i < 5; i++) {
    qn_loop_turn(rig.loop, QN_TURN_NOWAIT);
  }
  CHECK_INT(w.runs, runs);
  qn_loop_hold(rig.loop, false);
  rig_close(&rig);
}

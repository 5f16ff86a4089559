/* Thread-pool calls: results, cancellation in the queue and while running, orphans, failures. */
#include "rig.h"

#include "loop/work_i.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

/* Before libuv's pool starts: two threads, so that a third call has to queue. */
__attribute__((constructor)) static void small_pool(void) { setenv("UV_THREADPOOL_SIZE", "2", 1); }

typedef struct call {
  qn_work_t work;
  sem_t *started, *go; /* may be NULL */
  int64_t result;
  pthread_t thread;
  int *freed;
} call_t;

static int64_t run_call(qn_work_t *w)
{
  call_t *c = (call_t *)(void *)w;
  c->thread = pthread_self();
  if (c->started != NULL) {
    sem_post(c->started);
  }
  if (c->go != NULL) {
    while (sem_wait(c->go) != 0) {
    }
  }
  return c->result;
}

static void free_call(qn_work_t *w)
{
  ++*((call_t *)(void *)w)->freed;
  qn_free(w);
}

static call_t *call_new(int *freed, sem_t *started, sem_t *go, int64_t result)
{
  call_t *c = qn_calloc(1, sizeof *c);
  REQUIRE(c != NULL);
  c->work.run = run_call;
  c->work.free = free_call;
  c->started = started;
  c->go = go;
  c->result = result;
  c->freed = freed;
  return c;
}

static void end_and_note(qn_op_t *op)
{
  note_done(op);
  if (op->owner != NULL) {
    call_t *c = op->owner;
    CHECK(!pthread_equal(c->thread, pthread_self()));
    CHECK_INT(c->result, op->result);
  }
  qn_work_end(op->owner);
}

static void note_work(note_t *n, qn_loop_t *loop)
{
  note_init(n, loop);
  n->op.done = end_and_note;
}

TEST(the_result_settles_the_op)
{
  static const int64_t results[] = {0, 1234567890123, -ENOENT};
  rig_t rig;
  rig_open(&rig);
  for (int i = 0; i < 3; i++) {
    note_t n;
    int freed = 0;
    note_work(&n, rig.loop);
    call_t *c = call_new(&freed, NULL, NULL, results[i]);
    REQUIRE_INT(qn_work_start(rig.loop, &c->work, &n.op), 0);
    CHECK_PTR(n.op.owner, c);
    CHECK(qn_op_pending(&n.op));
    qn_loop_run(rig.loop);
    CHECK_INT(n.done, 1);
    CHECK_INT(n.result, results[i]);
    CHECK_INT(freed, 1);
  }
  rig_close(&rig);
}

TEST(many_calls)
{
  enum { MANY = 200 };
  static note_t notes[MANY];
  rig_t rig;
  int freed = 0;
  rig_open(&rig);
  for (int i = 0; i < MANY; i++) {
    note_work(&notes[i], rig.loop);
    call_t *c = call_new(&freed, NULL, NULL, i);
    REQUIRE_INT(qn_work_start(rig.loop, &c->work, &notes[i].op), 0);
  }
  qn_loop_run(rig.loop);
  for (int i = 0; i < MANY; i++) {
    CHECK_INT(notes[i].result, i);
  }
  CHECK_INT(freed, MANY);
  rig_close(&rig);
}

TEST(cancelling_calls_that_run_and_that_queue)
{
  enum { RUNNING = 2, N = 5 };
  rig_t rig;
  note_t n[N];
  int freed = 0;
  sem_t started, go;
  rig_open(&rig);
  sem_init(&started, 0, 0);
  sem_init(&go, 0, 0);
  for (int i = 0; i < N; i++) {
    note_work(&n[i], rig.loop);
    call_t *c = call_new(&freed, &started, &go, i);
    REQUIRE_INT(qn_work_start(rig.loop, &c->work, &n[i].op), 0);
  }
  for (int i = 0; i < RUNNING; i++) {
    sem_wait(&started);
  }
  for (int i = 0; i < N; i++) {
    CHECK(qn_op_cancel(&n[i].op, QN_E_CANCELLED));
    CHECK_NULL(n[i].op.owner);
  }
  CHECK_INT(stats_of(rig.loop).orphans, RUNNING);
  TURN_UNTIL(rig.loop, n[N - 1].done);
  for (int i = 0; i < N; i++) {
    CHECK_INT(n[i].done, 1);
    CHECK_INT(n[i].result, QN_E_CANCELLED);
  }
  TURN_UNTIL(rig.loop, freed == N - RUNNING); /* the queued ones are gone, the others still run */
  CHECK_INT(stats_of(rig.loop).orphans, RUNNING);
  CHECK_INT(stats_of(rig.loop).ops, 0);
  CHECK(qn_loop_alive(rig.loop));
  sem_post(&go);
  TURN_UNTIL(rig.loop, freed == N - RUNNING + 1);
  CHECK_INT(stats_of(rig.loop).orphans, RUNNING - 1);
  sem_post(&go);
  qn_loop_run(rig.loop);
  CHECK_INT(freed, N);
  CHECK_INT(stats_of(rig.loop).orphans, 0);
  rig_close(&rig);
  sem_destroy(&started);
  sem_destroy(&go);
}

TEST(a_deadline_makes_an_orphan)
{
  rig_t rig;
  note_t n;
  int freed = 0;
  sem_t go;
  rig_open(&rig);
  sem_init(&go, 0, 0);
  note_work(&n, rig.loop);
  call_t *c = call_new(&freed, NULL, &go, 1);
  sem_t started;
  sem_init(&started, 0, 0);
  c->started = &started;
  REQUIRE_INT(qn_work_start(rig.loop, &c->work, &n.op), 0);
  sem_wait(&started);
  qn_op_deadline(&n.op, qn_loop_fresh(rig.loop) + 5, QN_E_TIMEOUT);
  for (int i = 0; i < 1000 && !n.done; i++) {
    struct timespec ms = {.tv_nsec = 1000000};
    qn_loop_turn(rig.loop, QN_TURN_NOWAIT);
    nanosleep(&ms, NULL);
  }
  CHECK_INT(n.result, QN_E_TIMEOUT);
  CHECK_INT(freed, 0);
  sem_post(&go);
  rig_close(&rig); /* waits for the orphan */
  CHECK_INT(freed, 1);
  sem_destroy(&go);
  sem_destroy(&started);
}

static void cancel_then_note(qn_op_t *op)
{
  CHECK(!qn_op_cancel(op, QN_E_CANCELLED));
  end_and_note(op);
}

TEST(a_call_that_has_come_back_can_no_longer_be_cancelled)
{
  rig_t rig;
  note_t n;
  int freed = 0;
  rig_open(&rig);
  note_work(&n, rig.loop);
  n.op.done = cancel_then_note;
  call_t *c = call_new(&freed, NULL, NULL, 3);
  REQUIRE_INT(qn_work_start(rig.loop, &c->work, &n.op), 0);
  qn_loop_run(rig.loop);
  CHECK_INT(n.result, 3);
  CHECK_INT(freed, 1);
  rig_close(&rig);
}

TEST(forgetting_at_every_stage)
{
  rig_t rig;
  rig_open(&rig);
  for (int turns = 0; turns < 3; turns++) {
    TEST_ROUND("turns %d", turns);
    note_t n;
    int freed = 0;
    sem_t started;
    sem_init(&started, 0, 0);
    note_work(&n, rig.loop);
    call_t *c = call_new(&freed, &started, NULL, 3);
    REQUIRE_INT(qn_work_start(rig.loop, &c->work, &n.op), 0);
    sem_wait(&started);
    if (turns > 0) {
      while (qn_op_pending(&n.op)) { /* until it has come back, before done */
        qn_loop_turn(rig.loop, QN_TURN_ONCE);
      }
    }
    if (turns > 1) {
      qn_loop_run(rig.loop);
    }
    qn_op_forget(&n.op);
    if (turns == 1) {
      qn_work_end(n.op.owner);
    }
    qn_loop_run(rig.loop);
    CHECK_INT(n.done, turns == 2);
    CHECK_INT(freed, 1);
    sem_destroy(&started);
  }
  rig_close(&rig);
}

TEST(a_detached_call_frees_itself)
{
  rig_t rig;
  int freed = 0;
  rig_open(&rig);
  call_t *c = call_new(&freed, NULL, NULL, 0);
  qn__job_t *job = qn__job_new();
  REQUIRE(job != NULL);
  qn__work_detach(rig.loop, &c->work, job);
  CHECK_INT(stats_of(rig.loop).orphans, 0);
  rig_close(&rig);
  CHECK_INT(freed, 1);
}

TEST(a_call_that_cannot_start_stays_the_callers)
{
  rig_t rig;
  note_t n;
  int freed = 0;
  rig_open(&rig);
  note_work(&n, rig.loop);
  call_t *c = call_new(&freed, NULL, NULL, 0);
  qn_alloc_fail_at(1);
  CHECK_INT(qn_work_start(rig.loop, &c->work, &n.op), -ENOMEM);
  CHECK(qn_alloc_failed());
  CHECK(qn_op_idle(&n.op));
  CHECK(!qn_loop_alive(rig.loop));
  qn_work_end(&c->work);
  qn_work_end(NULL);
  CHECK_INT(freed, 1);
  rig_close(&rig);
}

/* Both loops exist before one is freed: libuv closes descriptors behind the thread sanitizer's
 * back, which would take a reused number for a race. */
static pthread_barrier_t both_made;

static void *run_loop(void *arg)
{
  int *ok = arg;
  int freed = 0;
  note_t notes[50];
  qn_loop_t *loop = qn_loop_new(NULL);
  pthread_barrier_wait(&both_made);
  for (int i = 0; i < 50; i++) {
    note_work(&notes[i], loop);
    call_t *c = call_new(&freed, NULL, NULL, i);
    qn_work_start(loop, &c->work, &notes[i].op);
    if (i % 3 == 0) {
      qn_op_cancel(&notes[i].op, QN_E_CANCELLED);
    }
  }
  qn_loop_run(loop);
  *ok = qn_loop_free(loop) == 0 && freed == 50 && qn_alloc_live() == 0;
  return NULL;
}

TEST(two_loops_share_the_pool)
{
  pthread_t threads[2];
  int ok[2] = {0, 0};
  pthread_barrier_init(&both_made, NULL, 2);
  for (int i = 0; i < 2; i++) {
    REQUIRE_INT(pthread_create(&threads[i], NULL, run_loop, &ok[i]), 0);
  }
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    CHECK(ok[i]);
  }
  pthread_barrier_destroy(&both_made);
}

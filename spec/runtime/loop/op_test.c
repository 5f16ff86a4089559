/* The life of an operation: settled once, done later, reusable in done, deadlines, forgetting. */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static int cancels;
static void count_cancel(qn_op_t *op)
{
  (void)op;
  cancels++;
}

TEST(done_runs_in_a_later_turn_with_the_op_idle)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  CHECK(qn_op_idle(&n.op));
  int owner;
  qn_op_begin(&n.op, &owner, count_cancel);
  CHECK(qn_op_pending(&n.op));
  CHECK_PTR(n.op.owner, &owner);
  qn_op_settle(&n.op, 42);
  CHECK(!qn_op_pending(&n.op) && !qn_op_idle(&n.op));
  CHECK_INT(n.done, 0);
  CHECK_INT(stats_of(rig.loop).ops, 1);
  CHECK(qn_loop_alive(rig.loop));
  CHECK(!qn_loop_turn(rig.loop, QN_TURN_ONCE));
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, 42);
  CHECK(qn_op_idle(&n.op));
  CHECK_INT(stats_of(rig.loop).ops, 0);
  rig_close(&rig);
}

typedef struct starter {
  qn_ready_t ready;
  note_t *note;
  uint64_t turn;
} starter_t;

static void start_and_settle(qn_ready_t *r)
{
  starter_t *s = (starter_t *)(void *)r;
  qn_op_begin(&s->note->op, NULL, NULL);
  qn_op_settle(&s->note->op, 1);
  s->turn = qn_loop_turns(s->note->op.loop);
  CHECK_INT(s->note->done, 0);
}

TEST(settling_in_the_turn_that_started_it_waits_for_the_next)
{
  rig_t rig;
  note_t n;
  starter_t s = {.note = &n};
  rig_open(&rig);
  note_init(&n, rig.loop);
  qn_ready_init(&s.ready, start_and_settle);
  qn_ready_queue(rig.loop, &s.ready);
  TURN_UNTIL(rig.loop, n.done == 1);
  CHECK_UINT(n.turn, s.turn + 1);
  rig_close(&rig);
}

static void start_and_complete(qn_ready_t *r)
{
  starter_t *s = (starter_t *)(void *)r;
  qn_op_begin(&s->note->op, NULL, NULL);
  qn_op_complete(&s->note->op, 5);
  CHECK_INT(s->note->done, 1);
}

TEST(complete_runs_done_at_once)
{
  rig_t rig;
  note_t n;
  starter_t s = {.note = &n};
  rig_open(&rig);
  note_init(&n, rig.loop);
  qn_ready_init(&s.ready, start_and_complete);
  qn_ready_queue(rig.loop, &s.ready);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, 5);
  rig_close(&rig);
}

/* --- cancel ---------------------------------------------------------------------------------- */

TEST(cancel_withdraws_and_settles_once)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  cancels = 0;
  CHECK(!qn_op_cancel(&n.op, QN_E_CANCELLED));
  qn_op_begin(&n.op, NULL, count_cancel);
  CHECK(qn_op_cancel(&n.op, QN_E_CANCELLED));
  CHECK(!qn_op_cancel(&n.op, QN_E_CLOSED));
  CHECK_INT(cancels, 1);
  CHECK_INT(n.done, 0);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, QN_E_CANCELLED);
  rig_close(&rig);
}

static void settle_in_cancel(qn_op_t *op) { qn_op_settle(op, 7); }

TEST(the_owner_may_settle_in_cancel)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  qn_op_begin(&n.op, NULL, settle_in_cancel);
  CHECK(qn_op_cancel(&n.op, QN_E_CANCELLED));
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, 7);
  rig_close(&rig);
}

typedef struct pair {
  note_t first;
  note_t *second;
  bool took;
} pair_t;

static void cancel_second(qn_op_t *op)
{
  pair_t *p = (pair_t *)(void *)op;
  note_done(op);
  p->took = qn_op_cancel(&p->second->op, QN_E_CANCELLED);
}

TEST(cancel_in_done_of_another)
{
  rig_t rig;
  note_t second;
  pair_t p = {.second = &second};
  rig_open(&rig);
  for (int settled = 0; settled < 2; settled++) {
    TEST_ROUND("settled %d", settled);
    note_init(&second, rig.loop);
    qn_op_init(&p.first.op, rig.loop, cancel_second);
    qn_op_begin(&p.first.op, NULL, NULL);
    qn_op_begin(&second.op, NULL, NULL);
    qn_op_settle(&p.first.op, 0);
    if (settled) {
      qn_op_settle(&second.op, 3);
    }
    qn_loop_run(rig.loop);
    CHECK(p.took == !settled);
    CHECK_INT(second.done, 1);
    CHECK_INT(second.result, settled ? 3 : QN_E_CANCELLED);
  }
  rig_close(&rig);
}

/* --- done ------------------------------------------------------------------------------------ */

static void reuse(qn_op_t *op)
{
  note_done(op);
  if (op->result < 5) {
    int64_t next = op->result + 1;
    qn_op_begin(op, NULL, NULL);
    CHECK_INT(op->result, 0);
    qn_op_settle(op, next);
  }
}

TEST(done_may_start_the_op_again)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  n.op.done = reuse;
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_settle(&n.op, 0);
  uint64_t before = qn_loop_turns(rig.loop);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 6);
  CHECK_UINT(qn_loop_turns(rig.loop), before + 6);
  CHECK_INT(stats_of(rig.loop).ops, 0);
  rig_close(&rig);
}

static int freed;
static void free_in_done(qn_op_t *op)
{
  freed++;
  qn_free(op);
}

TEST(done_may_free_the_op)
{
  rig_t rig;
  rig_open(&rig);
  freed = 0;
  for (int i = 0; i < 3; i++) {
    qn_op_t *op = qn_malloc(sizeof *op);
    qn_op_init(op, rig.loop, free_in_done);
    qn_op_begin(op, NULL, NULL);
    if (i == 0) {
      qn_op_settle(op, 1);
    } else if (i == 1) {
      qn_op_cancel(op, QN_E_CANCELLED);
    } else {
      qn_op_deadline(op, 0, QN_E_TIMEOUT);
    }
  }
  TURN_UNTIL(rig.loop, freed == 3);
  rig_close(&rig);
}

/* --- deadlines ------------------------------------------------------------------------------- */

TEST(a_deadline_settles_with_its_error)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  cancels = 0;
  qn_op_begin(&n.op, NULL, count_cancel);
  qn_op_deadline(&n.op, qn_loop_fresh(rig.loop) + 5, QN_E_TIMEOUT);
  CHECK_INT(stats_of(rig.loop).timers, 1);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, QN_E_TIMEOUT);
  CHECK_INT(cancels, 1);
  CHECK_INT(stats_of(rig.loop).timers, 0);
  rig_close(&rig);
}

TEST(what_settled_first_wins_against_a_due_deadline)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, qn_loop_now(rig.loop), QN_E_TIMEOUT); /* due at once */
  qn_op_settle(&n.op, 9);
  CHECK_INT(stats_of(rig.loop).timers, 0);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, 9);
  rig_close(&rig);
}

TEST(a_deadline_can_be_moved_and_disarmed)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  qn_op_deadline(&n.op, 1, QN_E_TIMEOUT); /* idle: nothing to time */
  CHECK_INT(stats_of(rig.loop).timers, 0);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, 0, QN_E_TIMEOUT);
  qn_op_deadline(&n.op, UINT64_MAX, QN_E_TIMEOUT);
  CHECK_INT(stats_of(rig.loop).timers, 0);
  CHECK(!qn_loop_turn(rig.loop, QN_TURN_NOWAIT));
  CHECK_INT(n.done, 0);
  qn_op_deadline(&n.op, UINT64_MAX - 1, QN_E_TIMEOUT);
  qn_op_deadline(&n.op, qn_loop_now(rig.loop) + 1, QN_E_CLOSED);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, QN_E_CLOSED);
  rig_close(&rig);
}

TEST(a_deadline_that_cannot_be_armed_fails_the_op)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  cancels = 0;
  qn_op_begin(&n.op, NULL, count_cancel);
  qn_alloc_fail_at(1);
  qn_op_deadline(&n.op, 1, QN_E_TIMEOUT);
  CHECK(qn_alloc_failed());
  CHECK_INT(cancels, 1);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, -ENOMEM);
  rig_close(&rig);
}

/* --- forget ---------------------------------------------------------------------------------- */

TEST(forget_ends_an_op_without_done)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  for (int state = 0; state < 4; state++) {
    TEST_ROUND("state %d", state);
    note_init(&n, rig.loop);
    cancels = 0;
    if (state > 0) {
      qn_op_begin(&n.op, NULL, state == 3 ? settle_in_cancel : count_cancel);
      qn_op_deadline(&n.op, 1, QN_E_TIMEOUT);
    }
    if (state == 2) {
      qn_op_settle(&n.op, 1);
    }
    qn_op_forget(&n.op);
    qn_op_forget(&n.op);
    CHECK(qn_op_idle(&n.op));
    CHECK_INT(cancels, state == 1);
    CHECK_INT(stats_of(rig.loop).ops, 0);
    CHECK_INT(stats_of(rig.loop).timers, 0);
    CHECK(!qn_loop_turn(rig.loop, QN_TURN_ONCE));
    CHECK_INT(n.done, 0);
  }
  rig_close(&rig);
}

static void forget_second(qn_op_t *op)
{
  pair_t *p = (pair_t *)(void *)op;
  qn_op_forget(&p->second->op);
}

TEST(forget_takes_an_op_out_of_the_running_batch)
{
  rig_t rig;
  note_t second;
  pair_t p = {.second = &second};
  rig_open(&rig);
  note_init(&second, rig.loop);
  qn_op_init(&p.first.op, rig.loop, forget_second);
  qn_op_begin(&p.first.op, NULL, NULL);
  qn_op_begin(&second.op, NULL, NULL);
  qn_op_settle(&p.first.op, 0);
  qn_op_settle(&second.op, 0);
  qn_loop_run(rig.loop);
  CHECK_INT(second.done, 0);
  CHECK_INT(stats_of(rig.loop).ops, 0);
  rig_close(&rig);
}

/* --- assertions ------------------------------------------------------------------------------ */

#ifdef QN_DEBUG
TEST(settling_twice_is_caught_in_debug_builds)
{
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    note_t n;
    if (freopen("/dev/null", "w", stderr) == NULL) {
      _exit(1);
    }
    note_init(&n, qn_loop_new(NULL));
    qn_op_begin(&n.op, NULL, NULL);
    qn_op_settle(&n.op, 1);
    qn_op_settle(&n.op, 2);
    _exit(0);
  }
  int status = 0;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
#else
TEST(settling_twice_keeps_the_first_result)
{
  rig_t rig;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_settle(&n.op, 1);
  qn_op_settle(&n.op, 2);
  qn_loop_run(rig.loop);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, 1);
  rig_close(&rig);
}
#endif

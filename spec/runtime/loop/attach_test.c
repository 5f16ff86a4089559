/* A loop attached to the host's libuv loop: the host runs uv_run, our work happens in it. */
#include "rig.h"

#include <uv.h>

typedef struct host {
  uv_loop_t uv;
  rig_t rig;
} host_t;

static void host_open(host_t *h)
{
  REQUIRE_INT(uv_loop_init(&h->uv), 0);
  h->rig.live = qn_alloc_live();
  h->rig.loop = qn_loop_new(&h->uv);
  REQUIRE(h->rig.loop != NULL);
  CHECK_PTR(qn_loop_uv(h->rig.loop), &h->uv);
}

static void host_close(host_t *h)
{
  rig_close(&h->rig);
  CHECK_INT(uv_loop_close(&h->uv), 0);
}

TEST(an_idle_attached_loop_keeps_nothing_alive)
{
  host_t h;
  host_open(&h);
  CHECK_INT(uv_run(&h.uv, UV_RUN_DEFAULT), 0);
  CHECK(!qn_loop_alive(h.rig.loop));
  host_close(&h);
}

TEST(ready_work_runs_in_the_hosts_loop)
{
  host_t h;
  note_t n;
  host_open(&h);
  note_init(&n, h.rig.loop);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_settle(&n.op, 4);
  CHECK_INT(uv_run(&h.uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, 4);
  host_close(&h);
}

TEST(timers_keep_the_hosts_loop_alive_until_they_fire)
{
  host_t h;
  note_t n;
  host_open(&h);
  note_init(&n, h.rig.loop);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, qn_loop_fresh(h.rig.loop) + 10, QN_E_TIMEOUT);
  CHECK_INT(uv_run(&h.uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(n.done, 1);
  CHECK_INT(n.result, QN_E_TIMEOUT);
  host_close(&h);
}

static void again(qn_op_t *op)
{
  note_done(op);
  note_t *n = (note_t *)(void *)op;
  if (n->done < 5) {
    qn_op_begin(op, NULL, NULL);
    qn_op_deadline(op, qn_loop_fresh(op->loop) + 2, QN_E_TIMEOUT);
  }
}

TEST(work_that_starts_timers_goes_on)
{
  host_t h;
  note_t n;
  host_open(&h);
  note_init(&n, h.rig.loop);
  n.op.done = again;
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_settle(&n.op, 0);
  CHECK_INT(uv_run(&h.uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(n.done, 5);
  host_close(&h);
}

static note_t *host_note;

static void on_host_timer(uv_timer_t *t)
{
  (void)t;
  qn_op_settle(&host_note->op, 1); /* the host's callback: outside of our phases */
}

TEST(what_a_host_callback_settles_does_not_wait_for_an_event)
{
  host_t h;
  note_t n;
  uv_timer_t t;
  host_open(&h);
  note_init(&n, h.rig.loop);
  host_note = &n;
  qn_loop_hold(h.rig.loop, true);
  qn_op_begin(&n.op, NULL, NULL);
  uv_timer_init(&h.uv, &t);
  uv_timer_start(&t, on_host_timer, 5, 0);
  for (int i = 0; i < 50 && !n.done; i++) {
    uv_run(&h.uv, UV_RUN_ONCE); /* blocks for ever if the ready work is slept over */
  }
  CHECK_INT(n.done, 1);
  qn_loop_hold(h.rig.loop, false);
  uv_close((uv_handle_t *)&t, NULL);
  CHECK_INT(uv_run(&h.uv, UV_RUN_DEFAULT), 0);
  host_close(&h);
}

static void release_hold(qn_op_t *op)
{
  note_done(op);
  qn_loop_hold(op->loop, false);
}

static void wake_host(void *loop) { qn_loop_wakeup(loop); }

TEST(hold_keeps_the_hosts_loop_alive)
{
  host_t h;
  note_t n;
  uv_thread_t thread;
  host_open(&h);
  note_init(&n, h.rig.loop);
  n.op.done = release_hold;
  qn_loop_hold(h.rig.loop, true);
  CHECK(uv_run(&h.uv, UV_RUN_NOWAIT) != 0);
  REQUIRE_INT(uv_thread_create(&thread, wake_host, h.rig.loop), 0);
  uv_run(&h.uv, UV_RUN_ONCE);
  uv_thread_join(&thread);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, qn_loop_fresh(h.rig.loop) + 1, QN_E_TIMEOUT);
  CHECK_INT(uv_run(&h.uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(n.done, 1);
  host_close(&h);
}

TEST(our_turn_may_run_the_hosts_loop)
{
  host_t h;
  note_t n;
  host_open(&h);
  note_init(&n, h.rig.loop);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_deadline(&n.op, qn_loop_fresh(h.rig.loop) + 5, QN_E_TIMEOUT);
  uint64_t turns = qn_loop_turns(h.rig.loop);
  CHECK(qn_loop_turn(h.rig.loop, QN_TURN_NOWAIT));
  CHECK_UINT(qn_loop_turns(h.rig.loop), turns + 1);
  TURN_UNTIL(h.rig.loop, n.done == 1);
  CHECK(!qn_loop_turn(h.rig.loop, QN_TURN_ONCE));
  host_close(&h);
}

TEST(timers_left_by_our_turn_fire_in_the_hosts_run)
{
  host_t h;
  note_t n;
  host_open(&h);
  note_init(&n, h.rig.loop);
  qn_op_begin(&n.op, NULL, NULL);
  qn_op_settle(&n.op, 0);
  n.op.done = again;
  qn_loop_turn(h.rig.loop, QN_TURN_NOWAIT);
  CHECK_INT(n.done, 1);
  CHECK_INT(uv_run(&h.uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(n.done, 5);
  host_close(&h);
}

TEST(the_hosts_handles_survive_our_loop)
{
  host_t h;
  uv_timer_t t;
  host_open(&h);
  uv_timer_init(&h.uv, &t);
  rig_close(&h.rig);
  CHECK(!uv_is_closing((uv_handle_t *)&t));
  uv_close((uv_handle_t *)&t, NULL);
  CHECK_INT(uv_run(&h.uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(uv_loop_close(&h.uv), 0);
}

/* attach.c: a loop that hangs on the host's libuv loop.
 *
 * The host runs uv_run; our prepare and check handles run a phase before and after each poll. None
 * of the handles keeps the host's loop alive by itself: the alarm does while a timer is armed, the
 * idle handle while something is ready, the wake handle while the loop is held. Must not run
 * uv_run. Invariant: when the host's loop goes to poll, nothing of ours is ready, or the poll does
 * not wait.
 */
#include "loop/loop_core.h"

static void on_idle(uv_idle_t *idle) { (void)idle; /* its being active makes the poll not wait */ }

void qn__attach_kick(qn_loop_t *loop)
{
  if (!loop->kicked) {
    loop->kicked = true;
    uv_idle_start(&loop->idle, on_idle);
  }
}

void qn__attach_unkick(qn_loop_t *loop)
{
  if (loop->kicked) {
    loop->kicked = false;
    uv_idle_stop(&loop->idle);
  }
}

static void run_phase(qn_loop_t *loop)
{
  if (loop->in_turn) { /* our own qn_loop_turn runs the host's loop and the phases around it */
    return;
  }
  qn__loop_phase(loop);
  qn__timers_sync(loop);
  if (qn__loop_has_work(loop)) {
    qn__attach_kick(loop);
  } else {
    qn__attach_unkick(loop);
  }
}

static void on_prepare(uv_prepare_t *prepare) { run_phase(prepare->data); }

static void on_check(uv_check_t *check) { run_phase(check->data); }

int qn__attach_open(qn_loop_t *loop)
{
  uv_prepare_init(loop->uv, &loop->prepare);
  uv_check_init(loop->uv, &loop->check);
  uv_idle_init(loop->uv, &loop->idle);
  loop->prepare.data = loop->check.data = loop->idle.data = loop;
  loop->services += 3;
  uv_prepare_start(&loop->prepare, on_prepare);
  uv_check_start(&loop->check, on_check);
  uv_unref((uv_handle_t *)&loop->prepare);
  uv_unref((uv_handle_t *)&loop->check);
  return 0;
}

void qn__attach_close(qn_loop_t *loop)
{
  uv_close((uv_handle_t *)&loop->prepare, qn__service_closed);
  uv_close((uv_handle_t *)&loop->check, qn__service_closed);
  uv_close((uv_handle_t *)&loop->idle, qn__service_closed);
}

/*
 * A program of somebody else that uses the C core without Lua: a timer on a loop of its own. It
 * includes installed headers only. Prints "core <version>" and ends with status 0 when all went
 * well.
 */
#include <qn/qn.h>

#include <stdio.h>

static int n_fired;

static void on_timer(qn_timer_t *timer)
{
  (void)timer;
  n_fired++;
}

int main(void)
{
  qn_loop_t *loop = qn_loop_new(NULL);
  if (loop == NULL) {
    return 1;
  }
  qn_timer_t timer = {0};
  if (qn_timer_start(loop, &timer, qn_loop_now(loop) + 1, on_timer) != 0) {
    return 2;
  }
  qn_loop_run(loop);
  if (qn_loop_free(loop) != 0 || n_fired != 1) {
    return 3;
  }
  printf("core %s\n", QN_VERSION);
  return 0;
}

/* Timer costs of the C core: qn_timer_start and qn_timer_stop. Built by CMake (target bench_timers)
 * and started by scripts/bench/run; prints one JSON line per case, with its own CPU time. Nothing
 * ever expires. Invariant: each timer that is started is stopped within the measured time. */
#include "qn/qn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COUNT = 1000000, IDLE_MS = 60000 };

static double cpu_ns(void)
{
  struct timespec ts;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void report(const char *name, double started)
{
  printf("{\"case\":\"%s\",\"count\":%d,\"cpu_ns\":%.0f}\n", name, COUNT, cpu_ns() - started);
}

static void on_timer(qn_timer_t *t)
{
  (void)t;
  fprintf(stderr, "timers: a timer of a minute or more expired\n");
  exit(1);
}

static void start(qn_loop_t *loop, qn_timer_t *t, uint64_t ms)
{
  if (qn_timer_start(loop, t, qn_loop_now(loop) + ms, on_timer) < 0) {
    fprintf(stderr, "timers: qn_timer_start failed\n");
    exit(1);
  }
}

int main(void)
{
  qn_loop_t *loop = qn_loop_new(NULL);
  qn_timer_t *timers = calloc(COUNT, sizeof *timers);
  qn_timer_t one = {0};
  if (loop == NULL || timers == NULL) {
    return 1;
  }
  double started = cpu_ns();
  for (int i = 0; i < COUNT; i++) {
    start(loop, &one, IDLE_MS);
    qn_timer_stop(loop, &one);
  }
  report("arm and cancel, one at a time", started);

  started = cpu_ns();
  for (unsigned i = 0; i < COUNT; i++) {
    start(loop, &timers[i], IDLE_MS + i * 7919u % IDLE_MS);
  }
  for (int i = 0; i < COUNT; i++) {
    qn_timer_stop(loop, &timers[i]);
  }
  report("1,000,000 armed together, then cancelled", started);
  free(timers);
  return qn_loop_free(loop) == 0 ? 0 : 1;
}

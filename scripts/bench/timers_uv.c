/* Timer costs of raw C libuv, the reference of the timers benchmark. scripts/bench/run starts it;
 * it prints one JSON line per case, with its own CPU time. Nothing ever expires.
 * Invariant: each timer that is started is stopped within the measured time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

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

static void on_timer(uv_timer_t *t)
{
  (void)t;
  fprintf(stderr, "timers_uv: a timer of a minute or more expired\n");
  exit(1);
}

int main(void)
{
  uv_loop_t *loop = uv_default_loop();
  uv_timer_t *timers = calloc(COUNT, sizeof *timers);
  uv_timer_t one;
  if (timers == NULL) {
    return 1;
  }
  uv_timer_init(loop, &one);
  double started = cpu_ns();
  for (int i = 0; i < COUNT; i++) {
    uv_timer_start(&one, on_timer, IDLE_MS, 0);
    uv_timer_stop(&one);
  }
  report("arm and cancel, one at a time", started);

  started = cpu_ns();
  for (unsigned i = 0; i < COUNT; i++) {
    uv_timer_init(loop, &timers[i]);
    uv_timer_start(&timers[i], on_timer, IDLE_MS + i * 7919u % IDLE_MS, 0);
  }
  for (int i = 0; i < COUNT; i++) {
    uv_timer_stop(&timers[i]);
  }
  report("1,000,000 armed together, then cancelled", started);
  free(timers);
  return 0;
}

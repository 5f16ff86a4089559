/* usage.h: what the load generators measure with: clocks, CPU time of another process, and how long
 * processes were ready but waited for a core. Included by one source file per program. */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline void usage_die(const char *what, int error)
{
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  exit(1);
}

static inline uint64_t clock_ns(clockid_t clock)
{
  struct timespec ts;
  if (clock_gettime(clock, &ts) != 0) {
    usage_die("clock_gettime", errno);
  }
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* CPU time of another process, all its threads, from the scheduler's nanosecond accounting. */
static inline uint64_t process_cpu_ns(int pid)
{
  clockid_t clock;
  if (pid == 0) {
    return 0;
  }
  int rc = clock_getcpuclockid(pid, &clock);
  if (rc != 0) {
    usage_die("CPU clock of --pid", rc);
  }
  return clock_ns(clock);
}

/* How long a process's main thread was ready to run but waited for its core. 0: this process. */
static inline uint64_t process_wait_ns(int pid)
{
  char path[64];
  unsigned long long ran = 0, waited = 0;
  snprintf(path, sizeof path, pid == 0 ? "/proc/self/schedstat" : "/proc/%d/schedstat", pid);
  FILE *f = fopen(path, "r");
  if (f == NULL) {
    return 0; /* a kernel without schedstat: nothing is known about disturbance */
  }
  if (fscanf(f, "%llu %llu", &ran, &waited) != 2) {
    waited = 0;
  }
  fclose(f);
  return waited;
}

typedef struct usage {
  uint64_t server, own, waited, wall;
} usage_t;

static inline usage_t usage_now(int pid)
{
  usage_t u = {.server = process_cpu_ns(pid), .own = clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
  u.waited = process_wait_ns(0) + (pid != 0 ? process_wait_ns(pid) : 0);
  u.wall = now_ns();
  return u;
}

#endif

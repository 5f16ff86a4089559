/* Look-ups by our C core without Lua: COUNT distinct names at once through qn_resolve.
 * Started by scripts/bench/run; prints one JSON line. The system's files say which server is asked.
 * Invariant: every look-up must give an address, else the program fails. */
#include "qn/dns.h"
#include "qn/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned answers, pending;

static void on_done(qn_op_t *op)
{
  const qn_addr_list_t *list = qn_resolved(op);
  if (list != NULL && list->n > 0) {
    answers++;
  }
  qn_resolve_end(op);
  pending--;
}

static double clock_ns(clockid_t clock)
{
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int look_up(qn_loop_t *loop, unsigned count, const char *prefix)
{
  qn_op_t *ops = calloc(count, sizeof *ops);
  if (ops == NULL) {
    return -1;
  }
  for (unsigned i = 0; i < count; i++) {
    char name[64];
    qn_addr_t literal;
    snprintf(name, sizeof name, "%s%u.bench.test", prefix, i);
    qn_resolve_opts_t opts = {.host = name, .port = 80};
    qn_op_init(&ops[i], loop, on_done);
    if (qn_resolve(loop, &opts, &ops[i], &literal) != QN_AGAIN) {
      return -1;
    }
    pending++;
  }
  while (pending > 0 && qn_loop_turn(loop, QN_TURN_ONCE)) {
  }
  free(ops);
  return 0;
}

int main(int argc, char **argv)
{
  unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
  qn_loop_t *loop = qn_loop_new(NULL);
  if (count == 0 || loop == NULL || look_up(loop, 1, "warm") != 0) {
    fprintf(stderr, "usage: dns_core COUNT\n");
    return 2;
  }
  answers = 0;
  double cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), start = clock_ns(CLOCK_MONOTONIC);
  if (look_up(loop, count, "n") != 0 || answers != count) {
    fprintf(stderr, "dns_core: %u of %u look-ups failed\n", count - answers, count);
    return 1;
  }
  printf("{\"count\":%u,\"wall_ns\":%.0f,\"cpu_ns\":%.0f}\n", count,
         clock_ns(CLOCK_MONOTONIC) - start, clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
  return 0;
}

/* Look-ups by libuv's uv_getaddrinfo: COUNT distinct names at once, with its default thread pool.
 * Started by scripts/bench/run; prints one JSON line. The system's files say which server is asked.
 * Invariant: every look-up must give an address, else the program fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static unsigned answers, failures;

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
  (void)request;
  if (status == 0 && info != NULL) {
    answers++;
  } else if (failures++ == 0) {
    fprintf(stderr, "dns_uv: %s\n", uv_strerror(status));
  }
  uv_freeaddrinfo(info);
}

static double cpu_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int look_up(unsigned count, const char *prefix)
{
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  uv_getaddrinfo_t *requests = calloc(count, sizeof *requests);
  if (requests == NULL) {
    return -1;
  }
  for (unsigned i = 0; i < count; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s%u.bench.test", prefix, i);
    if (uv_getaddrinfo(uv_default_loop(), &requests[i], on_answer, name, NULL, &hints) != 0) {
      return -1;
    }
  }
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  free(requests);
  return 0;
}

int main(int argc, char **argv)
{
  unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
  if (count == 0 || look_up(1, "warm") != 0) {
    fprintf(stderr, "usage: dns_uv COUNT\n");
    return 2;
  }
  answers = failures = 0;
  double cpu = cpu_ns(), start = (double)uv_hrtime();
  if (look_up(count, "n") != 0 || answers != count) {
    fprintf(stderr, "dns_uv: %u of %u look-ups failed\n", count - answers, count);
    return 1;
  }
  printf("{\"count\":%u,\"wall_ns\":%.0f,\"cpu_ns\":%.0f}\n", count, (double)uv_hrtime() - start,
         cpu_ns() - cpu);
  return 0;
}

/* Runs one command and reports what it cost, for the start-up benchmark: a JSON line with wall
 * time, CPU time (the kernel's accounting of the ended child) and peak resident size.
 * scripts/bench/run starts it. The command's stdout is dropped, a failing command fails this one,
 * and a command that hangs is killed after LIMIT_S.
 * Invariant: exactly one child, and it has been waited for at the end. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_S = 60 };

static pid_t child;

static void on_alarm(int number)
{
  (void)number;
  kill(child, SIGKILL);
}

static double now_ns(void)
{
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double time_ns(struct timeval t) { return (double)t.tv_sec * 1e9 + (double)t.tv_usec * 1e3; }

int main(int argc, char **argv)
{
  if (argc < 2) {
    fprintf(stderr, "usage: once COMMAND [ARGUMENT...]\n");
    return 2;
  }
  double t0 = now_ns();
  child = fork();
  if (child < 0) {
    perror("once: fork");
    return 1;
  }
  if (child == 0) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    execvp(argv[1], argv + 1);
    perror("once: exec");
    _exit(127);
  }
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  alarm(LIMIT_S);
  int status;
  struct rusage usage;
  if (wait4(child, &status, 0, &usage) != child) {
    perror("once: wait4");
    return 1;
  }
  double wall = now_ns() - t0;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "once: %s failed\n", argv[1]);
    return 1;
  }
  printf("{\"case\":\"empty script\",\"count\":1,\"cpu_ns\":%.0f,\"wall_ns\":%.0f,"
         "\"rss_kib\":%ld}\n",
         time_ns(usage.ru_utime) + time_ns(usage.ru_stime), wall, usage.ru_maxrss);
  return 0;
}

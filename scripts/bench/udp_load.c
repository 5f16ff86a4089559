/* Load generator of the UDP benchmark: one connected socket keeps a window of datagrams under way.
 *   udp_load --port N [--size S] [--window W] [--warm MS] [--time MS] [--pid P] [--single]
 * Each datagram that comes back is compared and the next one is sent. --single: one system call
 * per datagram instead of batches; --pid: also the CPU time of that process within the window. One
 * JSON line at the end. Datagrams that are lost are counted and sent anew after STALL_MS. It must
 * not hide a failure: a surprise is a message and status 1. */
#include "usage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  MAX_WINDOW = 64,
  MAX_SIZE = 8192,
  MIN_SIZE = 16,
  STALL_MS = 100,
  SETUP_MS = 10000,
  BUFFER = 4 << 20
};

typedef struct load {
  int fd, port, pid;
  bool single;
  size_t size;
  unsigned window;
  uint64_t warm_ms, time_ms, seq, ops, lost, under_way;
  unsigned char out[MAX_WINDOW][MAX_SIZE], in[MAX_WINDOW][MAX_SIZE];
  struct mmsghdr send[MAX_WINDOW], receive[MAX_WINDOW];
  struct iovec send_iov[MAX_WINDOW], receive_iov[MAX_WINDOW];
} load_t;

static void die(const char *what, const char *why)
{
  fprintf(stderr, "udp_load: %s: %s\n", what, why);
  exit(1);
}

static void open_socket(load_t *l)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->port)};
  int bytes = BUFFER;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  l->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&to, sizeof to) != 0) {
    die("connect", strerror(errno));
  }
  (void)setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  for (unsigned i = 0; i < MAX_WINDOW; i++) {
    memset(l->out[i], 'a' + (int)(i % 26), l->size);
    l->send_iov[i] = (struct iovec){l->out[i], l->size};
    l->receive_iov[i] = (struct iovec){l->in[i], MAX_SIZE};
    l->send[i].msg_hdr = (struct msghdr){.msg_iov = &l->send_iov[i], .msg_iovlen = 1};
    l->receive[i].msg_hdr = (struct msghdr){.msg_iov = &l->receive_iov[i], .msg_iovlen = 1};
  }
}

static void send_next(load_t *l, unsigned n)
{
  unsigned step = l->single ? 1 : n, done = 0;
  for (unsigned i = 0; i < n; i++) {
    l->seq++;
    memcpy(l->out[i], &l->seq, sizeof l->seq);
    memcpy(l->out[i] + l->size - sizeof l->seq, &l->seq, sizeof l->seq);
  }
  while (done < n) {
    int rc = sendmmsg(l->fd, l->send + done, step < n - done ? step : n - done, MSG_NOSIGNAL);
    if (rc < 0 && errno != EAGAIN && errno != EINTR) {
      die("send", strerror(errno));
    }
    done += rc > 0 ? (unsigned)rc : 0;
  }
  l->under_way += n;
}

static void check(const load_t *l, unsigned i)
{
  uint64_t first, last;
  memcpy(&first, l->in[i], sizeof first);
  memcpy(&last, l->in[i] + l->size - sizeof last, sizeof last);
  if (l->receive[i].msg_len != l->size || first != last || first == 0 || first > l->seq) {
    die("echo", "what came back is not what was sent");
  }
}

static void turn(load_t *l)
{
  struct pollfd p = {.fd = l->fd, .events = POLLIN};
  int n = recvmmsg(l->fd, l->receive, l->single ? 1 : l->window, 0, NULL);
  if (n > 0) {
    for (int i = 0; i < n; i++) {
      check(l, (unsigned)i);
    }
    l->ops += (uint64_t)n;
    l->under_way -= (uint64_t)n < l->under_way ? (uint64_t)n : l->under_way;
    send_next(l, (unsigned)n);
  } else if (errno != EAGAIN && errno != EINTR) {
    die("receive", strerror(errno));
  } else if (poll(&p, 1, STALL_MS) == 0) {
    l->lost += l->under_way;
    l->under_way = 0;
    send_next(l, l->window);
  }
}

static void run(load_t *l, uint64_t ms)
{
  uint64_t end = clock_ns(CLOCK_MONOTONIC) + ms * 1000000u;
  while (clock_ns(CLOCK_MONOTONIC) < end) {
    turn(l);
  }
}

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
  char *end = NULL;
  unsigned long long v = text != NULL ? strtoull(text, &end, 10) : 0;
  if (text == NULL || *text == '\0' || *end != '\0' || v < min || v > max) {
    fprintf(stderr, "udp_load: %s wants a number from %llu to %llu\n", name,
            (unsigned long long)min, (unsigned long long)max);
    exit(2);
  }
  return v;
}

static void parse(load_t *l, int argc, char **argv)
{
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i];
    if (strcmp(name, "--single") == 0) {
      l->single = true;
      continue;
    }
    const char *value = ++i < argc ? argv[i] : NULL;
    if (strcmp(name, "--port") == 0) {
      l->port = (int)number(name, value, 1, 65535);
    } else if (strcmp(name, "--size") == 0) {
      l->size = number(name, value, MIN_SIZE, MAX_SIZE);
    } else if (strcmp(name, "--window") == 0) {
      l->window = (unsigned)number(name, value, 1, MAX_WINDOW);
    } else if (strcmp(name, "--warm") == 0) {
      l->warm_ms = number(name, value, 0, 60000);
    } else if (strcmp(name, "--time") == 0) {
      l->time_ms = number(name, value, 1, 60000);
    } else if (strcmp(name, "--pid") == 0) {
      l->pid = (int)number(name, value, 1, 1u << 30);
    } else {
      die("unknown option", name);
    }
  }
  if (l->port == 0) {
    die("--port", "is missing");
  }
}

int main(int argc, char **argv)
{
  static load_t l = {.size = 64, .window = 64, .warm_ms = 300, .time_ms = 2000};
  parse(&l, argc, argv);
  open_socket(&l);
  send_next(&l, l.window);
  run(&l, l.warm_ms);
  for (unsigned waited = 0; l.ops == 0 && waited < SETUP_MS; waited += STALL_MS) {
    turn(&l); /* on a busy machine the server may not have run yet */
  }
  l.ops = l.lost = 0;
  uint64_t server = process_cpu_ns(l.pid), own = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  uint64_t waited = process_wait_ns(0) + (l.pid != 0 ? process_wait_ns(l.pid) : 0);
  uint64_t wall = clock_ns(CLOCK_MONOTONIC);
  run(&l, l.time_ms);
  wall = clock_ns(CLOCK_MONOTONIC) - wall;
  waited = process_wait_ns(0) + (l.pid != 0 ? process_wait_ns(l.pid) : 0) - waited;
  server = process_cpu_ns(l.pid) - server;
  own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
  if (l.ops == 0) {
    die("echo", "nothing came back");
  }
  double ops = (double)l.ops, ns = (double)wall;
  printf("{\"ops\":%llu,\"lost\":%llu,\"ops_per_second\":%.1f,", (unsigned long long)l.ops,
         (unsigned long long)l.lost, ops * 1e9 / ns);
  printf("\"server_cpu_ns_per_op\":%.2f,\"server_busy\":%.4f,\"load_busy\":%.4f,",
         (double)server / ops, (double)server / ns, (double)own / ns);
  printf("\"disturbed\":%.4f}\n", (double)waited / ns);
  return 0;
}

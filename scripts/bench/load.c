/* Load generator of the benchmarks: one thread, epoll, no dependency. scripts/bench/run starts it.
 *   load echo --port N [--conns N] [--size S] [--warm MS] [--time MS] [--ops N] [--pid P] [--spin]
 *   load idle --port N [--conns N] [--touch]
 * echo: ping-pong on each connection: send a message, read it back whole, compare every byte,
 * repeat; one JSON line at the end. --pid: also the CPU time of that process within the window;
 * --spin: poll without sleeping. idle: opens the connections (--touch: with one byte each way),
 * prints a JSON line and holds them until its stdin ends. It must not hide a failure: a surprise is
 * a message and status 1. Invariant: all is bounded, by --time, SETUP_MS, STALL_MS or HOLD_MS. */
#include "usage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  MAX_CONNS = 60000,
  MAX_SIZE = 16 << 20,
  SETUP_MS = 30000,        /* to open all connections */
  STALL_MS = 5000,         /* without one byte from the server */
  HOLD_MS = 600000,        /* idle connections are held no longer than this */
  SETUP_BATCH = 128,       /* connections being opened at once: below every server's backlog */
  CONNS_PER_SOURCE = 4000, /* then the next address 127.0.1.x, so that ports never run out */
  PATTERN = 1 << 16,       /* messages are windows into PATTERN random bytes */
  EVENTS = 512,
  BUCKETS_PER_OCTAVE = 64,
  OCTAVES = 40
};

typedef struct conn {
  int fd;
  uint32_t id;
  uint32_t seq; /* number of the message under way */
  size_t sent;  /* bytes of it that the kernel took */
  size_t got;   /* bytes of it that came back */
  uint64_t t0;  /* when it was first sent, ns */
  bool up;
  bool wants_out;
} conn_t;

typedef enum { PHASE_SETUP, PHASE_WARM, PHASE_MEASURE, PHASE_DONE } phase_t;

typedef struct load {
  bool idle, touch, spin;
  int port, n_conns, pid;
  size_t size;
  uint64_t warm_ms, time_ms, max_ops;
  int ep;
  conn_t *conns;
  unsigned char *pattern, *in;
  phase_t phase;
  int opening, ready;
  uint64_t ops, last_byte_ns;
  uint64_t histogram[OCTAVES * BUCKETS_PER_OCTAVE];
} load_t;

static void die(const char *what, const char *why)
{
  fprintf(stderr, "load: %s: %s\n", what, why);
  exit(1);
}

static void die_errno(const char *what, int error) { die(what, strerror(error)); }

/* --- Latency histogram: linear steps within each power of two, error below 1.6 % ------------- */

static void histogram_add(load_t *l, uint64_t ns)
{
  unsigned octave = 0;
  while ((ns >> octave) >= 2 * BUCKETS_PER_OCTAVE && octave < OCTAVES - 2) {
    octave++;
  }
  uint64_t step = ns >> octave;
  uint64_t index = (uint64_t)octave * BUCKETS_PER_OCTAVE + step;
  uint64_t last = OCTAVES * BUCKETS_PER_OCTAVE - 1;
  l->histogram[index < last ? index : last]++;
}

/* The upper edge, in microseconds, of the bucket that holds the given share of all operations. */
static double histogram_us(const load_t *l, double share)
{
  uint64_t wanted = (uint64_t)(share * (double)l->ops), seen = 0;
  for (uint64_t i = 0; i < OCTAVES * BUCKETS_PER_OCTAVE; i++) {
    seen += l->histogram[i];
    if (seen > wanted) {
      uint64_t octave = i < 2 * BUCKETS_PER_OCTAVE ? 0 : i / BUCKETS_PER_OCTAVE - 1;
      uint64_t step = i - octave * BUCKETS_PER_OCTAVE;
      return (double)((step + 1) << octave) / 1000.0;
    }
  }
  return 0;
}

/* --- Connections ----------------------------------------------------------------------------- */

static const unsigned char *message(const load_t *l, const conn_t *c)
{
  return l->pattern + ((c->id * 131u + c->seq * 17u) & (PATTERN - 1));
}

static size_t message_size(const load_t *l) { return l->idle ? 1 : l->size; }

static void watch(load_t *l, conn_t *c, int op, bool out)
{
  struct epoll_event ev = {.events = EPOLLIN | (out ? EPOLLOUT : 0u), .data = {.ptr = c}};
  if (epoll_ctl(l->ep, op, c->fd, &ev) != 0) {
    die_errno("epoll_ctl", errno);
  }
  c->wants_out = out;
}

static void conn_open(load_t *l, conn_t *c)
{
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) {
    die_errno("socket", errno);
  }
  (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (l->n_conns > CONNS_PER_SOURCE) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000101u + c->id / CONNS_PER_SOURCE);
    (void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) != 0) {
      die_errno("bind", errno);
    }
  }
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
    die_errno("connect", errno);
  }
  watch(l, c, EPOLL_CTL_ADD, true);
  l->opening++;
}

static void conn_send(load_t *l, conn_t *c)
{
  size_t size = message_size(l);
  while (c->sent < size) {
    ssize_t n = send(c->fd, message(l, c) + c->sent, size - c->sent, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN) {
        break;
      }
      die_errno("send", errno);
    }
    c->sent += (size_t)n;
  }
  bool out = c->sent < size;
  if (out != c->wants_out) {
    watch(l, c, EPOLL_CTL_MOD, out);
  }
}

static void conn_next(load_t *l, conn_t *c, uint64_t now)
{
  c->seq++;
  c->sent = c->got = 0;
  c->t0 = now;
  conn_send(l, c);
}

static void conn_ready(load_t *l)
{
  l->opening--;
  l->ready++;
}

static void conn_up(load_t *l, conn_t *c)
{
  int error = 0;
  socklen_t len = sizeof error;
  if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
    die_errno("connect", error != 0 ? error : errno);
  }
  c->up = true;
  if (l->idle && !l->touch) {
    watch(l, c, EPOLL_CTL_MOD, false);
    conn_ready(l);
  } else {
    conn_next(l, c, now_ns());
  }
}

/* One whole message is back. While setting up, the connection then rests until all are there. */
static void conn_complete(load_t *l, conn_t *c)
{
  if (l->phase == PHASE_SETUP) {
    conn_ready(l);
    return;
  }
  uint64_t now = now_ns();
  if (l->phase == PHASE_MEASURE) {
    histogram_add(l, now - c->t0);
  }
  l->ops++;
  conn_next(l, c, now);
}

static void conn_receive(load_t *l, conn_t *c)
{
  size_t size = message_size(l);
  ssize_t n = recv(c->fd, l->in, PATTERN, 0);
  if (n < 0 && errno == EAGAIN) {
    return;
  }
  if (n <= 0) {
    die("connection ended early", n == 0 ? "end of stream" : strerror(errno));
  }
  if ((size_t)n > c->sent - c->got) {
    die("echo", "more bytes came back than were sent");
  }
  if (memcmp(l->in, message(l, c) + c->got, (size_t)n) != 0) {
    die("echo", "the bytes that came back are not those that were sent");
  }
  c->got += (size_t)n;
  if (c->got == size) {
    conn_complete(l, c);
  }
}

/* Waits once and serves what is ready. */
static void turn(load_t *l)
{
  struct epoll_event events[EVENTS];
  int n = epoll_wait(l->ep, events, EVENTS, l->spin && l->phase != PHASE_SETUP ? 0 : 20);
  if (n < 0 && errno != EINTR) {
    die_errno("epoll_wait", errno);
  }
  if (n > 0) {
    l->last_byte_ns = now_ns();
  } else if (now_ns() - l->last_byte_ns > STALL_MS * 1000000ull && !l->idle) {
    die("stalled", "the server sent nothing for 5 seconds");
  }
  for (int i = 0; i < n; i++) {
    conn_t *c = events[i].data.ptr;
    if (!c->up) {
      conn_up(l, c);
      continue;
    }
    if ((events[i].events & EPOLLOUT) != 0) {
      conn_send(l, c);
    }
    if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      conn_receive(l, c);
    }
  }
}

/* --- The two modes --------------------------------------------------------------------------- */

static void open_all(load_t *l)
{
  uint64_t deadline = now_ns() + SETUP_MS * 1000000ull;
  l->last_byte_ns = now_ns();
  for (int opened = 0; l->ready < l->n_conns;) {
    while (opened < l->n_conns && l->opening < SETUP_BATCH) {
      conn_t *c = &l->conns[opened];
      c->id = (uint32_t)opened++;
      conn_open(l, c);
    }
    turn(l);
    if (now_ns() > deadline) {
      die("setup", "not all connections could be opened in 30 seconds");
    }
  }
}

static void run_until(load_t *l, phase_t phase, uint64_t ms, uint64_t max_ops)
{
  l->phase = phase;
  l->ops = 0;
  uint64_t end = now_ns() + ms * 1000000u;
  while (now_ns() < end && (max_ops == 0 || l->ops < max_ops)) {
    turn(l);
  }
}

static void run_echo(load_t *l)
{
  l->phase = PHASE_WARM;
  for (int i = 0; i < l->n_conns; i++) {
    conn_next(l, &l->conns[i], now_ns());
  }
  run_until(l, PHASE_WARM, l->warm_ms, 0);
  usage_t before = usage_now(l->pid), after;
  run_until(l, PHASE_MEASURE, l->time_ms, l->max_ops);
  after = usage_now(l->pid);
  double wall = (double)(after.wall - before.wall);
  double server = (double)(after.server - before.server), own = (double)(after.own - before.own);
  if (l->ops == 0) {
    die("echo", "no operation was finished within the window");
  }
  double seconds = wall / 1e9, ops = (double)l->ops;
  printf("{\"mode\":\"echo\",\"conns\":%d,\"size\":%zu,\"ops\":%llu,\"seconds\":%.6f,", l->n_conns,
         l->size, (unsigned long long)l->ops, seconds);
  printf("\"ops_per_second\":%.1f,\"bytes_per_second\":%.1f,", ops / seconds,
         ops * (double)l->size / seconds);
  printf("\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f,", histogram_us(l, 0.50),
         histogram_us(l, 0.90), histogram_us(l, 0.99));
  printf("\"server_cpu_ns_per_op\":%.2f,\"server_busy\":%.4f,\"load_busy\":%.4f,", server / ops,
         server / wall, own / wall);
  printf("\"disturbed\":%.4f}\n", (double)(after.waited - before.waited) / wall);
}

/* Says that all is open, then waits for the end of stdin. A connection that ends is an error. */
static void run_idle(load_t *l)
{
  printf("{\"mode\":\"idle\",\"conns\":%d}\n", l->n_conns);
  fflush(stdout);
  struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = l->ep, .events = POLLIN}};
  uint64_t end = now_ns() + HOLD_MS * 1000000ull;
  while (now_ns() < end) {
    char byte;
    if (poll(fds, 2, 1000) < 0 && errno != EINTR) {
      die_errno("poll", errno);
    }
    if (fds[1].revents != 0) {
      die("idle", "the server sent something or ended a connection");
    }
    if (fds[0].revents != 0 && read(STDIN_FILENO, &byte, 1) <= 0) {
      return;
    }
  }
  die("idle", "held for ten minutes, nobody ended it");
}

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
  char *end = NULL;
  errno = 0;
  unsigned long long v = text != NULL ? strtoull(text, &end, 10) : 0;
  if (text == NULL || *text == '\0' || *end != '\0' || errno != 0 || v < min || v > max) {
    fprintf(stderr, "load: %s wants a number from %llu to %llu\n", name, (unsigned long long)min,
            (unsigned long long)max);
    exit(2);
  }
  return v;
}

static void parse(load_t *l, int argc, char **argv)
{
  if (argc < 2 || (strcmp(argv[1], "echo") != 0 && strcmp(argv[1], "idle") != 0)) {
    fprintf(stderr, "usage: load echo|idle --port N [options]; see the head of load.c\n");
    exit(2);
  }
  l->idle = strcmp(argv[1], "idle") == 0;
  for (int i = 2; i < argc; i++) {
    const char *name = argv[i];
    if (strcmp(name, "--touch") == 0 || strcmp(name, "--spin") == 0) {
      *(name[2] == 't' ? &l->touch : &l->spin) = true;
      continue;
    }
    const char *value = ++i < argc ? argv[i] : NULL;
    if (strcmp(name, "--port") == 0) {
      l->port = (int)number(name, value, 1, 65535);
    } else if (strcmp(name, "--conns") == 0) {
      l->n_conns = (int)number(name, value, 1, MAX_CONNS);
    } else if (strcmp(name, "--size") == 0) {
      l->size = number(name, value, 1, MAX_SIZE);
    } else if (strcmp(name, "--warm") == 0) {
      l->warm_ms = number(name, value, 0, 60000);
    } else if (strcmp(name, "--time") == 0) {
      l->time_ms = number(name, value, 1, 600000);
    } else if (strcmp(name, "--ops") == 0) {
      l->max_ops = number(name, value, 1, UINT64_MAX);
    } else if (strcmp(name, "--pid") == 0) {
      l->pid = (int)number(name, value, 1, INT_MAX);
    } else {
      fprintf(stderr, "load: unknown option %s\n", name);
      exit(2);
    }
  }
  if (l->port == 0) {
    fprintf(stderr, "load: --port is missing\n");
    exit(2);
  }
}

int main(int argc, char **argv)
{
  static load_t l = {.n_conns = 1, .size = 64, .warm_ms = 200, .time_ms = 1000};
  parse(&l, argc, argv);
  signal(SIGPIPE, SIG_IGN);
  l.ep = epoll_create1(EPOLL_CLOEXEC);
  l.conns = calloc((size_t)l.n_conns, sizeof *l.conns);
  l.pattern = malloc(PATTERN + l.size);
  l.in = malloc(PATTERN);
  if (l.ep < 0 || l.conns == NULL || l.pattern == NULL || l.in == NULL) {
    die_errno("setup", errno);
  }
  uint64_t x = 88172645463325252u;
  for (size_t i = 0; i < PATTERN + l.size; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    l.pattern[i] = (unsigned char)(x >> 32);
  }
  if (l.idle) {
    memset(l.pattern, 'x', PATTERN + l.size); /* never 'g', which asks a server to collect */
  }
  open_all(&l);
  if (l.idle) {
    run_idle(&l);
  } else {
    run_echo(&l);
  }
  for (int i = 0; i < l.n_conns; i++) {
    close(l.conns[i].fd);
  }
  free(l.conns);
  free(l.pattern);
  free(l.in);
  return 0;
}

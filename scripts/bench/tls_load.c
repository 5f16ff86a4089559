/* Load generator of the TLS benchmark: OpenSSL over epoll, one thread. scripts/bench/run starts it.
 *   tls_load shake|resume|bulk|idle --port N [--conns N] [--warm MS] [--time MS] [--pid P]
 *            [--path TEXT]
 * shake: connect, full handshake, until the server's first ticket is there, close; again. resume:
 * the same with the newest session, until the handshake is done. bulk: "GET <path> HTTP/1.0", read
 * until the server ends, again; an operation is one MiB. One JSON line at the end. idle: holds the
 * connections until stdin ends. TLS 1.3 only, AES-128-GCM, X25519. It must not hide a failure: a
 * surprise is a message and status 1. Invariant: all is bounded, by --time, STALL_MS or HOLD_MS. */
#include "usage.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  MAX_CONNS = 20000,
  OPENING = 64,     /* connections of idle that are being opened at once */
  STALL_MS = 10000, /* without anything from the server */
  HOLD_MS = 600000, /* idle connections are held no longer than this */
  READ_SIZE = 1 << 16,
  BULK_LEAST = 1 << 20, /* a bulk answer shorter than this is none */
  EVENTS = 256
};

typedef enum { SHAKE, RESUME, BULK, IDLE } kind_t;

typedef struct conn {
  int fd;
  SSL *ssl;
  SSL_SESSION *session; /* of the connection before */
  uint64_t got;         /* bytes of the answer */
  bool up, asked, has_ticket;
} conn_t;

typedef struct load {
  kind_t mode;
  int port, n_conns, pid, ep, opened, ready;
  uint64_t warm_ms, time_ms, ops, bytes, last_ns;
  const char *path;
  SSL_CTX *ctx;
  conn_t *conns;
  bool measuring;
} load_t;

static void die(const char *what, const char *why)
{
  unsigned long e = ERR_peek_error();
  fprintf(stderr, "tls_load: %s: %s%s%s\n", what, why, e != 0 ? ": " : "",
          e != 0 ? ERR_reason_error_string(e) : "");
  exit(1);
}

/* --- connections ------------------------------------------------------------------------------ */

static void conn_open(load_t *l, conn_t *c)
{
  int one = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0) {
    die("socket", strerror(errno));
  }
  /* Ends with a reset, so that no port waits; by then the server has said all that counts. */
  struct linger now = {.l_onoff = l->mode == SHAKE, .l_linger = 0};
  (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) {
    die("connect", strerror(errno));
  }
  if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0) {
    die("O_NONBLOCK", strerror(errno));
  }
  c->ssl = SSL_new(l->ctx);
  if (c->ssl == NULL || !SSL_set_fd(c->ssl, c->fd)) {
    die("SSL_new", "failed");
  }
  SSL_set_app_data(c->ssl, c);
  SSL_set_connect_state(c->ssl);
  (void)SSL_set_tlsext_host_name(c->ssl, "localhost");
  if (l->mode == RESUME && c->session != NULL) {
    SSL_SESSION *copy = SSL_SESSION_dup(c->session); /* one that was used is not used again */
    if (copy == NULL || !SSL_set_session(c->ssl, copy)) {
      die("SSL_set_session", "failed");
    }
    SSL_SESSION_free(copy);
  }
  c->up = c->asked = c->has_ticket = false;
  c->got = 0;
  struct epoll_event ev = {.events = EPOLLIN, .data = {.ptr = c}};
  if (epoll_ctl(l->ep, EPOLL_CTL_ADD, c->fd, &ev) != 0) {
    die("epoll_ctl", strerror(errno));
  }
}

static void conn_close(conn_t *c)
{
  SSL_set_quiet_shutdown(c->ssl, 1);
  (void)SSL_shutdown(c->ssl); /* else OpenSSL takes the session for spoilt */
  SSL_free(c->ssl);
  close(c->fd);
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
  conn_t *c = SSL_get_app_data(ssl);
  SSL_SESSION_free(c->session);
  c->session = session;
  c->has_ticket = true;
  return 1;
}

/* Did the last call only have to wait? Dies otherwise. */
static bool waits(const conn_t *c, int rc, const char *what)
{
  int why = SSL_get_error(c->ssl, rc);
  if (why == SSL_ERROR_WANT_READ) {
    return true;
  }
  die(what, why == SSL_ERROR_SYSCALL ? strerror(errno) : "TLS error");
  return false;
}

static void again(load_t *l, conn_t *c)
{
  conn_close(c);
  conn_open(l, c);
  int rc = SSL_do_handshake(c->ssl);
  if (rc != 1) {
    (void)waits(c, rc, "handshake");
  }
}

/* false: the connection was replaced by the next. */
static bool on_up(load_t *l, conn_t *c)
{
  c->up = true;
  if (l->mode == RESUME && c->session != NULL && !SSL_session_reused(c->ssl) && l->measuring) {
    die("resume", "the session was not reused");
  }
  if (l->mode == BULK) {
    char request[256];
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", l->path);
    if (SSL_write(c->ssl, request, n) != n) {
      die("request", "not taken");
    }
  } else if (l->mode == RESUME && SSL_session_reused(c->ssl)) {
    l->ops++; /* some servers send no ticket now */
    again(l, c);
    return false;
  }
  return true;
}

static void on_readable(load_t *l, conn_t *c)
{
  static char in[READ_SIZE];
  ERR_clear_error();
  if (!c->up) {
    int rc = SSL_do_handshake(c->ssl);
    if (rc != 1) {
      (void)waits(c, rc, "handshake");
      return;
    }
    if (!on_up(l, c)) {
      return;
    }
  }
  for (;;) {
    int n = SSL_read(c->ssl, in, sizeof in);
    if (n <= 0) {
      if (l->mode == BULK && c->got >= BULK_LEAST) {
        int why = SSL_get_error(c->ssl, n);
        if (why != SSL_ERROR_WANT_READ) { /* also without close_notify */
          again(l, c);
          return;
        }
      } else if (waits(c, n, "read") && c->has_ticket && l->mode != BULK) {
        if (l->mode == IDLE) {
          l->ready += !c->asked;
          c->asked = true;
          return;
        }
        l->ops++;
        again(l, c);
      }
      return;
    }
    c->got += (uint64_t)n;
    l->bytes += (uint64_t)n;
  }
}

/* --- the runs --------------------------------------------------------------------------------- */

static void turn(load_t *l)
{
  struct epoll_event events[EVENTS];
  int n = epoll_wait(l->ep, events, EVENTS, 20);
  if (n < 0 && errno != EINTR) {
    die("epoll_wait", strerror(errno));
  }
  if (n > 0) {
    l->last_ns = now_ns();
  } else if (now_ns() - l->last_ns > STALL_MS * 1000000ull) {
    die("stalled", "the server sent nothing for 10 seconds");
  }
  for (int i = 0; i < n; i++) {
    on_readable(l, events[i].data.ptr);
  }
}

static void start_next(load_t *l)
{
  conn_t *c = &l->conns[l->opened++];
  conn_open(l, c);
  int rc = SSL_do_handshake(c->ssl);
  if (rc != 1) {
    (void)waits(c, rc, "handshake");
  }
}

static void run_for(load_t *l, uint64_t ms)
{
  uint64_t end = now_ns() + ms * 1000000u;
  while (now_ns() < end) {
    turn(l);
  }
}

static void run_window(load_t *l)
{
  while (l->opened < l->n_conns) {
    start_next(l);
  }
  run_for(l, l->warm_ms);
  l->ops = l->bytes = 0;
  l->measuring = true;
  usage_t before = usage_now(l->pid);
  run_for(l, l->time_ms);
  usage_t after = usage_now(l->pid);
  double ops = l->mode == BULK ? (double)l->bytes / 1048576.0 : (double)l->ops;
  if (ops <= 0) {
    die("load", "no operation was finished within the window");
  }
  double wall = (double)(after.wall - before.wall), server = (double)(after.server - before.server);
  printf("{\"conns\":%d,\"ops_per_second\":%.2f,\"server_cpu_ns_per_op\":%.2f,"
         "\"server_busy\":%.4f,\"load_busy\":%.4f,\"disturbed\":%.4f}\n",
         l->n_conns, ops / (wall / 1e9), server / ops, server / wall,
         (double)(after.own - before.own) / wall, (double)(after.waited - before.waited) / wall);
}

static void run_idle(load_t *l)
{
  uint64_t end = now_ns() + HOLD_MS * 1000000ull;
  while (l->ready < l->n_conns) {
    while (l->opened < l->n_conns && l->opened - l->ready < OPENING) {
      start_next(l);
    }
    turn(l);
  }
  printf("{\"conns\":%d}\n", l->n_conns);
  fflush(stdout);
  struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = l->ep, .events = POLLIN}};
  while (now_ns() < end) {
    char byte;
    if (poll(fds, 2, 1000) < 0 && errno != EINTR) {
      die("poll", strerror(errno));
    }
    if (fds[1].revents != 0) {
      turn(l); /* a late ticket; an end is an error */
    }
    if (fds[0].revents != 0 && read(STDIN_FILENO, &byte, 1) <= 0) {
      return;
    }
  }
  die("idle", "held for ten minutes, nobody ended it");
}

/* --- start ------------------------------------------------------------------------------------ */

static uint64_t number(const char *name, const char *text, uint64_t max)
{
  char *end = NULL;
  unsigned long long v = text != NULL ? strtoull(text, &end, 10) : 0;
  if (text == NULL || *text == '\0' || *end != '\0' || v > max) {
    fprintf(stderr, "tls_load: %s wants a number up to %llu\n", name, (unsigned long long)max);
    exit(2);
  }
  return v;
}

static void parse(load_t *l, int argc, char **argv)
{
  static const char *const modes[] = {"shake", "resume", "bulk", "idle"};
  int mode = 0;
  while (argc > 1 && mode < 4 && strcmp(argv[1], modes[mode]) != 0) {
    mode++;
  }
  if (argc < 2 || mode == 4) {
    fprintf(stderr,
            "usage: tls_load shake|resume|bulk|idle --port N; see the head of its source\n");
    exit(2);
  }
  l->mode = (kind_t)mode;
  for (int i = 2; i < argc; i += 2) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(name, "--port") == 0) {
      l->port = (int)number(name, value, 65535);
    } else if (strcmp(name, "--conns") == 0) {
      l->n_conns = (int)number(name, value, MAX_CONNS);
    } else if (strcmp(name, "--warm") == 0) {
      l->warm_ms = number(name, value, 60000);
    } else if (strcmp(name, "--time") == 0) {
      l->time_ms = number(name, value, 600000);
    } else if (strcmp(name, "--pid") == 0) {
      l->pid = (int)number(name, value, INT32_MAX);
    } else if (strcmp(name, "--path") == 0 && value != NULL) {
      l->path = value;
    } else {
      fprintf(stderr, "tls_load: unknown option %s\n", name);
      exit(2);
    }
  }
  if (l->port == 0 || l->n_conns == 0) {
    fprintf(stderr, "tls_load: --port and --conns must not be missing or 0\n");
    exit(2);
  }
}

static SSL_CTX *make_ctx(void)
{
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  if (ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
      !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") ||
      !SSL_CTX_set1_groups_list(ctx, "X25519")) {
    die("SSL_CTX", "cannot be set up");
  }
  SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL); /* the cost of the client is not the question */
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, on_session);
  return ctx;
}

int main(int argc, char **argv)
{
  static load_t l = {.n_conns = 1, .warm_ms = 200, .time_ms = 1000, .path = "/bulk"};
  parse(&l, argc, argv);
  signal(SIGPIPE, SIG_IGN);
  l.ep = epoll_create1(EPOLL_CLOEXEC);
  l.conns = calloc((size_t)l.n_conns, sizeof *l.conns);
  l.ctx = make_ctx();
  if (l.ep < 0 || l.conns == NULL) {
    die("setup", strerror(errno));
  }
  l.last_ns = now_ns();
  if (l.mode == IDLE) {
    run_idle(&l);
  } else {
    run_window(&l);
  }
  for (int i = 0; i < l.opened; i++) {
    conn_close(&l.conns[i]);
    SSL_SESSION_free(l.conns[i].session);
  }
  free(l.conns);
  SSL_CTX_free(l.ctx);
  return 0;
}

/* The reference of the TLS benchmark: a raw C server over epoll and OpenSSL with a custom BIO: one
 * receive buffer for all connections, what OpenSSL writes in a turn leaves with one send, buffers
 * released when idle. tls_raw CERT KEY. Prints "port N"; a line from the client is answered with 64
 * MiB and the end. Ends when its stdin ends or by SIGTERM. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 65536, PIECE = 65536, BULK = 64 << 20, OUT_SIZE = 1 << 17, EVENTS = 256 };

typedef struct conn {
  int fd;
  SSL *ssl;
  char *rest; /* what the kernel refused */
  size_t rest_size;
  size_t left; /* bytes of the answer that are not written yet */
  bool up, wants_out, closing;
} conn_t;

static char in[READ_SIZE], out[OUT_SIZE], piece[PIECE];
static size_t in_from, in_to, out_size; /* of the connection that is being served */
static bool in_ended;
static int ep;
static SSL_CTX *ctx;
static BIO_METHOD *method;

static void die(const char *what)
{
  fprintf(stderr, "tls_raw: %s: %s\n", what, strerror(errno));
  ERR_print_errors_fp(stderr);
  exit(1);
}

/* --- the BIO ---------------------------------------------------------------------------------- */

static bool receive(const conn_t *c)
{
  ssize_t n = recv(c->fd, in, sizeof in, 0);
  in_from = 0;
  in_to = n > 0 ? (size_t)n : 0;
  in_ended = n == 0 || (n < 0 && errno != EAGAIN);
  return n > 0;
}

static int on_read(BIO *bio, char *to, int size)
{
  const conn_t *c = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (in_from == in_to && !receive(c)) {
    if (in_ended) {
      return 0;
    }
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t n = in_to - in_from < (size_t)size ? in_to - in_from : (size_t)size;
  memcpy(to, in + in_from, n);
  in_from += n;
  return (int)n;
}

static int on_write(BIO *bio, const char *data, int size)
{
  BIO_clear_retry_flags(bio);
  if ((size_t)size > sizeof out - out_size) {
    return -1; /* never: one piece is written per flush */
  }
  memcpy(out + out_size, data, (size_t)size);
  out_size += (size_t)size;
  return size;
}

static long on_ctrl(BIO *bio, int what, long number, void *p)
{
  (void)bio, (void)number, (void)p;
  return what == BIO_CTRL_FLUSH ? 1 : 0;
}

/* --- connections ------------------------------------------------------------------------------ */

static void conn_free(conn_t *c)
{
  out_size = 0; /* what was not flushed is nobody else's */
  SSL_free(c->ssl);
  close(c->fd);
  free(c->rest);
  free(c);
}

static void watch(conn_t *c, bool wants_out)
{
  struct epoll_event ev = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0u), .data = {.ptr = c}};
  if (wants_out != c->wants_out && epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev) != 0) {
    die("epoll_ctl");
  }
  c->wants_out = wants_out;
}

/* false: the connection is broken. */
static bool flush(conn_t *c)
{
  size_t size = out_size;
  out_size = 0;
  if (size == 0) {
    return true;
  }
  ssize_t n = send(c->fd, out, size, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) {
    return false;
  }
  n = n < 0 ? 0 : n;
  if ((size_t)n < size) {
    c->rest_size = size - (size_t)n;
    c->rest = malloc(c->rest_size);
    if (c->rest == NULL) {
      die("malloc");
    }
    memcpy(c->rest, out + n, c->rest_size);
    watch(c, true);
  }
  return true;
}

/* What was refused before; false: broken. */
static bool flush_rest(conn_t *c)
{
  ssize_t n = send(c->fd, c->rest, c->rest_size, MSG_NOSIGNAL);
  if (n < 0) {
    return errno == EAGAIN;
  }
  memmove(c->rest, c->rest + n, c->rest_size - (size_t)n);
  c->rest_size -= (size_t)n;
  if (c->rest_size == 0) {
    free(c->rest);
    c->rest = NULL;
    watch(c, false);
  }
  return true;
}

static bool answer(conn_t *c)
{
  while (c->left != 0 && c->rest_size == 0) {
    if (SSL_write(c->ssl, piece, PIECE) != PIECE) {
      return false;
    }
    c->left -= PIECE;
    if (c->left == 0) {
      (void)SSL_shutdown(c->ssl);
      c->closing = true;
    }
    if (!flush(c)) {
      return false;
    }
  }
  return !c->closing || c->rest_size != 0;
}

static bool serve(conn_t *c)
{
  char plain[4096];
  in_from = in_to = 0;
  in_ended = false;
  ERR_clear_error();
  if (!c->up) {
    int rc = SSL_do_handshake(c->ssl);
    c->up = rc == 1;
    if (rc != 1 && SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ) {
      return false;
    }
  }
  for (int n; c->up;) {
    n = SSL_read(c->ssl, plain, sizeof plain);
    if (n <= 0) {
      if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ) {
        return false;
      }
      break;
    }
    if (memchr(plain, '\n', (size_t)n) != NULL && c->left == 0) {
      c->left = BULK;
    }
  }
  return flush(c) && answer(c);
}

static void accept_all(int listener)
{
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    int one = 1;
    conn_t *c = calloc(1, sizeof *c);
    BIO *bio = BIO_new(method);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (c == NULL || bio == NULL || (c->ssl = SSL_new(ctx)) == NULL) {
      die("accept");
    }
    c->fd = fd;
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(c->ssl, bio, bio);
    SSL_set_accept_state(c->ssl);
    struct epoll_event ev = {.events = EPOLLIN, .data = {.ptr = c}};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) != 0) {
      die("epoll_ctl");
    }
  }
}

int main(int argc, char **argv)
{
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof at;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  signal(SIGPIPE, SIG_IGN);
  ctx = SSL_CTX_new(TLS_server_method());
  if (argc != 3 || ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, argv[1]) != 1 ||
      SSL_CTX_use_PrivateKey_file(ctx, argv[2], SSL_FILETYPE_PEM) != 1) {
    die("usage: tls_raw CERT KEY");
  }
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "raw");
  if (method == NULL || !BIO_meth_set_read(method, on_read) ||
      !BIO_meth_set_write(method, on_write) || !BIO_meth_set_ctrl(method, on_ctrl)) {
    die("BIO");
  }
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  ep = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event ev = {.events = EPOLLIN, .data = {.ptr = NULL}};
  if (listener < 0 || ep < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) != 0 ||
      listen(listener, 511) != 0 || getsockname(listener, (struct sockaddr *)&at, &len) != 0 ||
      epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) != 0) {
    die("listen");
  }
  memset(piece, 'x', sizeof piece);
  printf("port %d\n", ntohs(at.sin_port));
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(ep, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      conn_t *c = events[i].data.ptr;
      if (c == NULL) {
        accept_all(listener);
        continue;
      }
      bool good = true;
      if ((events[i].events & EPOLLOUT) != 0) {
        good = flush_rest(c) && answer(c);
      }
      if (good && (events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
        good = serve(c);
      }
      if (!good) {
        conn_free(c);
      }
    }
  }
}

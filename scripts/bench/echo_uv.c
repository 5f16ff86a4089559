/* The reference of the echo benchmark: the fastest honest echo server in raw C on libuv. One read
 * buffer for all connections, the write tried at once, only a refused rest copied and queued;
 * reading pauses while much is queued. Prints "port N"; ends on SIGTERM or when its stdin ends.
 * Invariant: with a rest queued, libuv refuses a try, so bytes never overtake each other. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { READ_SIZE = 65536, HIGH_WATER = 1 << 20, BACKLOG = 511 };

typedef struct rest {
  uv_write_t req;
  char bytes[];
} rest_t;

static char shared[READ_SIZE];

static void check(int rc, const char *what)
{
  if (rc < 0) {
    fprintf(stderr, "echo_uv: %s: %s\n", what, uv_strerror(rc));
    exit(1);
  }
}

static void on_close(uv_handle_t *h) { free(h); }

static void close_stream(uv_stream_t *s)
{
  if (!uv_is_closing((uv_handle_t *)s)) {
    uv_close((uv_handle_t *)s, on_close);
  }
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
  (void)h, (void)suggested;
  *buf = uv_buf_init(shared, sizeof shared);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf);

static void on_written(uv_write_t *req, int status)
{
  uv_stream_t *s = req->handle;
  free(req->data);
  if (status < 0) {
    close_stream(s);
  } else if (uv_stream_get_write_queue_size(s) == 0 && !uv_is_closing((uv_handle_t *)s)) {
    (void)uv_read_start(s, on_alloc, on_read); /* UV_EALREADY when it never stopped */
  }
}

static void queue_rest(uv_stream_t *s, const char *bytes, size_t n)
{
  rest_t *rest = malloc(sizeof *rest + n);
  if (rest == NULL) {
    close_stream(s);
    return;
  }
  memcpy(rest->bytes, bytes, n);
  rest->req.data = rest;
  uv_buf_t buf = uv_buf_init(rest->bytes, (unsigned)n);
  if (uv_write(&rest->req, s, &buf, 1, on_written) < 0) {
    free(rest);
    close_stream(s);
  } else if (uv_stream_get_write_queue_size(s) > HIGH_WATER) {
    uv_read_stop(s);
  }
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
  if (n < 0) {
    close_stream(s);
    return;
  }
  if (n == 0) {
    return;
  }
  uv_buf_t out = uv_buf_init(buf->base, (unsigned)n);
  int done = uv_try_write(s, &out, 1);
  if (done == UV_EAGAIN) {
    done = 0;
  }
  if (done < 0) {
    close_stream(s);
  } else if (done < n) {
    queue_rest(s, buf->base + done, (size_t)(n - done));
  }
}

static void on_connection(uv_stream_t *server, int status)
{
  if (status < 0) {
    return;
  }
  uv_tcp_t *client = malloc(sizeof *client);
  if (client == NULL) {
    return;
  }
  check(uv_tcp_init(server->loop, client), "uv_tcp_init");
  if (uv_accept(server, (uv_stream_t *)client) < 0) {
    close_stream((uv_stream_t *)client);
    return;
  }
  uv_tcp_nodelay(client, 1);
  check(uv_read_start((uv_stream_t *)client, on_alloc, on_read), "uv_read_start");
}

static void on_signal(uv_signal_t *h, int number)
{
  (void)number;
  uv_stop(h->loop);
}

static void on_stdin(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
  (void)buf;
  if (n < 0) {
    uv_stop(s->loop);
  }
}

int main(void)
{
  signal(SIGPIPE, SIG_IGN);
  uv_loop_t *loop = uv_default_loop();
  static uv_tcp_t server;
  static uv_signal_t term;
  static uv_pipe_t in;
  struct sockaddr_in addr;
  int len = sizeof addr;

  check(uv_ip4_addr("127.0.0.1", 0, &addr), "uv_ip4_addr");
  check(uv_tcp_init(loop, &server), "uv_tcp_init");
  check(uv_tcp_bind(&server, (struct sockaddr *)&addr, 0), "uv_tcp_bind");
  check(uv_listen((uv_stream_t *)&server, BACKLOG, on_connection), "uv_listen");
  check(uv_tcp_getsockname(&server, (struct sockaddr *)&addr, &len), "uv_tcp_getsockname");
  check(uv_signal_init(loop, &term), "uv_signal_init");
  check(uv_signal_start(&term, on_signal, SIGTERM), "uv_signal_start");
  if (uv_guess_handle(0) == UV_NAMED_PIPE) {
    check(uv_pipe_init(loop, &in, 0), "uv_pipe_init");
    check(uv_pipe_open(&in, 0), "uv_pipe_open");
    check(uv_read_start((uv_stream_t *)&in, on_alloc, on_stdin), "uv_read_start");
  }
  printf("port %d\n", (int)((addr.sin_port >> 8) | ((addr.sin_port & 0xff) << 8)));
  fflush(stdout);
  uv_run(loop, UV_RUN_DEFAULT);
  return 0;
}

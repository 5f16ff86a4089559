/* The reference of the UDP benchmark: an echo server in raw C on libuv: one receive buffer, each
 * answer tried at once, a refused one copied and queued. With the argument "mmsg" libuv receives
 * several datagrams per system call. Prints "port N"; ends on SIGTERM or when its stdin ends. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { READ_SIZE = 65536, BATCH = 20 };

typedef struct rest {
  uv_udp_send_t req;
  char bytes[];
} rest_t;

static char *shared;
static size_t shared_size;

static void check(int rc, const char *what)
{
  if (rc < 0) {
    fprintf(stderr, "udp_uv: %s: %s\n", what, uv_strerror(rc));
    exit(1);
  }
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
  (void)h, (void)suggested;
  *buf = uv_buf_init(shared, (unsigned)shared_size);
}

static void on_sent(uv_udp_send_t *req, int status)
{
  (void)status;
  free(req->data);
}

static void on_datagram(uv_udp_t *u, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
  if (n < 0 || from == NULL || (flags & UV_UDP_MMSG_FREE) != 0) {
    return;
  }
  uv_buf_t out = uv_buf_init(buf->base, (unsigned)n);
  if (uv_udp_try_send(u, &out, 1, from) != UV_EAGAIN) {
    return;
  }
  rest_t *rest = malloc(sizeof *rest + (size_t)n);
  if (rest != NULL) {
    memcpy(rest->bytes, buf->base, (size_t)n);
    rest->req.data = rest;
    out = uv_buf_init(rest->bytes, (unsigned)n);
    if (uv_udp_send(&rest->req, u, &out, 1, from, on_sent) < 0) {
      free(rest);
    }
  }
}

static void on_signal(uv_signal_t *h, int number)
{
  (void)number;
  uv_stop(h->loop);
}

static void on_in_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
  static char bytes[64];
  (void)h, (void)suggested;
  *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_stdin(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
  (void)buf;
  if (n < 0) {
    uv_stop(s->loop);
  }
}

int main(int argc, char **argv)
{
  uv_loop_t *loop = uv_default_loop();
  static uv_udp_t server;
  static uv_signal_t term;
  static uv_pipe_t in;
  struct sockaddr_in addr;
  int len = sizeof addr;
  unsigned flags = argc > 1 && strcmp(argv[1], "mmsg") == 0 ? UV_UDP_RECVMMSG : 0;

  shared_size = (size_t)READ_SIZE * (flags != 0 ? BATCH : 1);
  shared = malloc(shared_size);
  check(shared != NULL ? 0 : UV_ENOMEM, "malloc");
  check(uv_ip4_addr("127.0.0.1", 0, &addr), "uv_ip4_addr");
  check(uv_udp_init_ex(loop, &server, AF_INET | flags), "uv_udp_init_ex");
  check(uv_udp_bind(&server, (struct sockaddr *)&addr, 0), "uv_udp_bind");
  check(uv_udp_recv_start(&server, on_alloc, on_datagram), "uv_udp_recv_start");
  check(uv_udp_getsockname(&server, (struct sockaddr *)&addr, &len), "uv_udp_getsockname");
  check(uv_signal_init(loop, &term), "uv_signal_init");
  check(uv_signal_start(&term, on_signal, SIGTERM), "uv_signal_start");
  if (uv_guess_handle(0) == UV_NAMED_PIPE) {
    check(uv_pipe_init(loop, &in, 0), "uv_pipe_init");
    check(uv_pipe_open(&in, 0), "uv_pipe_open");
    check(uv_read_start((uv_stream_t *)&in, on_in_alloc, on_stdin), "uv_read_start");
  }
  printf("port %d\n", (int)((addr.sin_port >> 8) | ((addr.sin_port & 0xff) << 8)));
  fflush(stdout);
  uv_run(loop, UV_RUN_DEFAULT);
  free(shared);
  return 0;
}

/* wire.h: what C unit tests of sockets share: a loop with a guard, waits that end, raw peers.
 *
 * #include it after test.h. A raw peer is a plain blocking descriptor with a receive timeout, so a
 * test that goes wrong fails instead of hanging. Invariant: loop_end fails the test when an object,
 * a handle or a block of memory is left.
 */
#ifndef QN_SPEC_WIRE_H
#define QN_SPEC_WIRE_H

#include "qn/qn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WIRE_LIMIT_MS 20000u
#define WIRE_TICK_MS 20u /* how often conditions that no operation announces are looked at */

static struct {
  qn_loop_t *loop;
  qn_timer_t tick;
  qn_ready_t nudge; /* queued: the turn does not wait in its poll */
  int64_t blocks;
} wire;

static void wire_tick(qn_timer_t *t) { (void)t; }
static void wire_nudge(qn_ready_t *r) { (void)r; }

TEST_UNUSED static qn_loop_t *loop_begin(void)
{
  wire.blocks = qn_alloc_live();
  wire.tick = (qn_timer_t){0};
  qn_ready_init(&wire.nudge, wire_nudge);
  wire.loop = qn_loop_new(NULL);
  REQUIRE(wire.loop != NULL);
  return wire.loop;
}

/* One turn, which may wait for a tick. */
TEST_UNUSED static void turn(void)
{
  qn_timer_start(wire.loop, &wire.tick, qn_loop_fresh(wire.loop) + WIRE_TICK_MS, wire_tick);
  qn_loop_turn(wire.loop, QN_TURN_ONCE);
  qn_timer_stop(wire.loop, &wire.tick);
}

/* A number of turns that do not wait. */
TEST_UNUSED static void turns(int n)
{
  for (int i = 0; i < n; i++) {
    qn_loop_turn(wire.loop, QN_TURN_NOWAIT);
  }
}

#define WAIT_UNTIL(cond)                                          \
  do {                                                            \
    uint64_t wire_end = qn_loop_fresh(wire.loop) + WIRE_LIMIT_MS; \
    while (!(cond) && qn_loop_fresh(wire.loop) < wire_end) {      \
      turn();                                                     \
    }                                                             \
    REQUIRE(cond);                                                \
  } while (0)

TEST_UNUSED static void loop_end(void)
{
  qn_ready_drop(&wire.nudge);
  CHECK_INT(qn_loop_free(wire.loop), 0);
  CHECK_INT(qn_alloc_live(), wire.blocks);
  wire.loop = NULL;
}

/* --- operations ------------------------------------------------------------------------------ */

typedef struct wire_op {
  qn_op_t op; /* first */
  bool done;
  int64_t result;
  qn_writer_t writer;
} wire_op_t;

TEST_UNUSED static void wire_done(qn_op_t *op)
{
  wire_op_t *w = (wire_op_t *)op;
  w->done = true;
  w->result = op->result;
  qn_ready_queue(wire.loop, &wire.nudge);
}

TEST_UNUSED static qn_op_t *op_new(wire_op_t *w)
{
  memset(w, 0, sizeof *w);
  qn_op_init(&w->op, wire.loop, wire_done);
  return &w->op;
}

/* --- raw peers ------------------------------------------------------------------------------- */

TEST_UNUSED static void peer_setup(int fd)
{
  struct timeval limit = {.tv_sec = WIRE_LIMIT_MS / 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

TEST_UNUSED static qn_addr_t loopback(uint16_t port)
{
  qn_addr_t a;
  qn_addr_parse(&a, "127.0.0.1", port, QN_FAMILY_ANY);
  return a;
}

/* A blocking TCP listener on a free port. */
TEST_UNUSED static int peer_listen(qn_addr_t *at, int backlog)
{
  qn_addr_t a = loopback(0);
  socklen_t size = sizeof at->u;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  REQUIRE(fd >= 0);
  *at = a;
  peer_setup(fd);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE_INT(bind(fd, &a.u.sa, a.size), 0);
  REQUIRE_INT(listen(fd, backlog), 0);
  REQUIRE_INT(getsockname(fd, &at->u.sa, &size), 0);
  at->size = size;
  return fd;
}

TEST_UNUSED static int peer_connect(const qn_addr_t *to)
{
  int fd = socket(to->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  peer_setup(fd);
  REQUIRE_INT(connect(fd, &to->u.sa, to->size), 0);
  return fd;
}

TEST_UNUSED static int peer_accept(int l)
{
  int fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
  REQUIRE(fd >= 0);
  peer_setup(fd);
  return fd;
}

/* What the kernel says of a listener: the connections that wait to be accepted (unacked), and the
 * number above which nobody is answered any more (sacked). */
TEST_UNUSED static struct tcp_info peer_backlog(int l)
{
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  REQUIRE_INT(getsockopt(l, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  return info;
}

/* Connects until nobody who comes behind is answered; how many that took. */
TEST_UNUSED static int peer_fill(int l, const qn_addr_t *at, int *fds, int most)
{
  int n = 0;
  while (peer_backlog(l).tcpi_unacked <= peer_backlog(l).tcpi_sacked) {
    REQUIRE(n < most);
    fds[n++] = peer_connect(at);
    for (int i = 0; i < 20000 && peer_backlog(l).tcpi_unacked < (unsigned)n; i++) {
      usleep(1000);
    }
  }
  return n;
}

/* fds[0] goes to the runtime, fds[1] is the raw peer. */
TEST_UNUSED static void tcp_pair(int fds[2])
{
  qn_addr_t at;
  int l = peer_listen(&at, 1);
  fds[0] = peer_connect(&at);
  fds[1] = peer_accept(l);
  close(l);
}

TEST_UNUSED static void unix_pair(int fds[2])
{
  REQUIRE_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  peer_setup(fds[1]);
}

TEST_UNUSED static void peer_reset(int fd)
{
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

/* Whether the peer could read something (or the end) right now. */
TEST_UNUSED static bool peer_readable(int fd)
{
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* --- streams --------------------------------------------------------------------------------- */

TEST_UNUSED static qn_stream_t *stream_on(int fd)
{
  qn_stream_t *s = NULL;
  REQUIRE_INT(qn_stream_adopt(wire.loop, fd, &s), 0);
  return s;
}

TEST_UNUSED static void stream_end(qn_stream_t *s)
{
  qn_stream_close(s);
  qn_stream_release(s);
}

/* Waits for bytes: their number (left in the buffer), 0 at the end, or an error. */
TEST_UNUSED static int64_t want(qn_stream_t *s, qn_want_kind_t kind, size_t n)
{
  wire_op_t w;
  qn_got_t got = {0};
  int rc = qn_stream_want(s, op_new(&w), &(qn_want_t){.kind = kind, .n = n}, &got);
  if (rc == QN_AGAIN) {
    uint64_t end = qn_loop_fresh(wire.loop) + WIRE_LIMIT_MS;
    while (!w.done && qn_loop_fresh(wire.loop) < end) {
      turn();
    }
    qn_op_forget(&w.op);
    REQUIRE(w.done);
    rc = (int)w.result;
    got = qn_stream_got(s);
  }
  return rc < 0 ? rc : (int64_t)got.size;
}

TEST_UNUSED static bool got_is(qn_stream_t *s, const char *text)
{
  qn_slice_t data = qn_stream_data(s);
  bool same = data.size >= strlen(text) && memcmp(data.data, text, strlen(text)) == 0;
  qn_stream_consume(s, same ? strlen(text) : 0);
  return same;
}

#endif

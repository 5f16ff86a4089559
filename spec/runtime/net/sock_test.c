/* sock_test.c: making, binding, asking and ending stream sockets. */
#include "net/sock.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static qn_addr_t loopback(uint16_t port)
{
  qn_addr_t a;
  qn_addr_parse(&a, "127.0.0.1", port, QN_FAMILY_ANY);
  return a;
}

static int listening(qn_addr_t *at)
{
  qn_addr_t a = loopback(0);
  int fd;
  REQUIRE_INT(qn__sock_open(&a, &fd), 0);
  REQUIRE_INT(qn__sock_bind(fd, &a, QN__SOCK_REUSE_ADDRESS), 0);
  REQUIRE_INT(listen(fd, 8), 0);
  REQUIRE_INT(qn__sock_local(fd, at), 0);
  return fd;
}

/* A connected pair over TCP. */
static void connected(int fds[2])
{
  qn_addr_t at;
  int l = listening(&at);
  fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE_INT(connect(fds[0], &at.u.sa, at.size), 0);
  fcntl(l, F_SETFL, 0);
  fds[1] = accept(l, NULL, NULL);
  REQUIRE(fds[1] >= 0);
  close(l);
}

TEST(sockets_do_not_block_and_are_not_inherited)
{
  qn_addr_t a = loopback(0), none = {.size = 0};
  int fd;
  CHECK_INT(qn__sock_open(&a, &fd), 0);
  CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
  CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  qn__sock_close(fd, false);
  CHECK_INT(fcntl(fd, F_GETFD), -1);
  CHECK_INT(qn__sock_open(&none, &fd), QN_E_INVALID);
  CHECK_INT(fd, -1);
  qn__sock_close(-1, true);
}

TEST(bind_tells_errors_and_the_port)
{
  qn_addr_t at, again, a = loopback(0);
  int l = listening(&at), fd;
  CHECK(qn_addr_port(&at) != 0);
  CHECK_INT(qn__sock_open(&a, &fd), 0);
  CHECK_INT(qn__sock_bind(fd, &at, QN__SOCK_REUSE_ADDRESS), -EADDRINUSE);
  CHECK_INT(qn__sock_bind(fd, &a, QN__SOCK_LATE_PORT), 0);
  CHECK_INT(qn__sock_local(fd, &again), 0);
  CHECK_INT(qn_addr_port(&again), 0);
  close(fd);
  close(l);
}

TEST(ports_are_shared_only_by_those_who_want_it)
{
  qn_addr_t at, a = loopback(0);
  int one, two, three;
  CHECK_INT(qn__sock_open(&a, &one), 0);
  CHECK_INT(qn__sock_bind(one, &a, QN__SOCK_REUSE_PORT), 0);
  CHECK_INT(qn__sock_local(one, &at), 0);
  CHECK_INT(qn__sock_open(&a, &two), 0);
  CHECK_INT(qn__sock_bind(two, &at, QN__SOCK_REUSE_PORT), 0);
  CHECK_INT(qn__sock_open(&a, &three), 0);
  CHECK_INT(qn__sock_bind(three, &at, 0), -EADDRINUSE);
  close(one);
  close(two);
  close(three);
}

TEST(checks_of_foreign_descriptors)
{
  int fds[2], pair[2], pipes[2];
  qn_addr_t at, peer;
  int l = listening(&at);
  connected(fds);
  CHECK_INT(qn__sock_check_connected(fds[0], &peer), 0);
  CHECK_INT(qn_addr_family(&peer), QN_FAMILY_IPV4);
  CHECK_INT(qn__sock_check_connected(l, &peer), QN_E_INVALID);
  CHECK_INT(qn__sock_check_listening(l), 0);
  CHECK_INT(qn__sock_check_listening(fds[0]), QN_E_INVALID);
  REQUIRE_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  CHECK_INT(qn__sock_check_connected(pair[0], &peer), 0);
  CHECK_INT(qn_addr_family(&peer), QN_FAMILY_UNIX);
  close(pair[0]);
  close(pair[1]);
  REQUIRE_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
  CHECK_INT(qn__sock_check_connected(pair[0], &peer), QN_E_UNSUPPORTED);
  close(pair[0]);
  close(pair[1]);
  REQUIRE_INT(pipe(pipes), 0);
  CHECK_INT(qn__sock_check_connected(pipes[0], &peer), -ENOTSOCK);
  CHECK_INT(qn__sock_check_listening(pipes[0]), -ENOTSOCK);
  close(pipes[0]);
  close(pipes[1]);
  close(fds[0]);
  fds[0] = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_INT(qn__sock_check_connected(fds[0], &peer), QN_E_NOT_CONNECTED);
  close(fds[0]);
  close(fds[1]);
  close(l);
  CHECK_INT(qn__sock_check_connected(-1, &peer), -EBADF);
}

TEST(addresses_of_both_ends)
{
  int fds[2];
  qn_addr_t local, peer;
  connected(fds);
  CHECK_INT(qn__sock_local(fds[0], &local), 0);
  CHECK_INT(qn__sock_peer(fds[1], &peer), 0);
  CHECK(qn_addr_equal(&local, &peer));
  CHECK(!qn__sock_is_self_connected(fds[0]));
  CHECK_INT(qn__sock_error(fds[0]), 0);
  close(fds[0]);
  close(fds[1]);
}

TEST(mapped_addresses_are_shown_as_ipv4)
{
  qn_addr_t any, at, mapped, seen;
  int l, fd, got;
  qn_addr_parse(&any, "", 0, QN_FAMILY_ANY);
  if (qn__sock_open(&any, &l) < 0) {
    return; /* a machine without IPv6 */
  }
  int off = 0;
  setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  REQUIRE_INT(qn__sock_bind(l, &any, 0), 0);
  REQUIRE_INT(listen(l, 1), 0);
  REQUIRE_INT(qn__sock_local(l, &at), 0);
  mapped = loopback(qn_addr_port(&at));
  fd = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE_INT(connect(fd, &mapped.u.sa, mapped.size), 0);
  fcntl(l, F_SETFL, 0);
  got = accept(l, NULL, NULL);
  CHECK_INT(qn__sock_peer(got, &seen), 0);
  CHECK_INT(qn_addr_family(&seen), QN_FAMILY_IPV4);
  CHECK_INT(qn__sock_local(got, &seen), 0);
  CHECK(qn_addr_equal(&seen, &mapped));
  close(got);
  close(fd);
  close(l);
}

TEST(a_socket_connected_to_itself_is_recognised)
{
  qn_addr_t a = loopback(0), at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE_INT(qn__sock_bind(fd, &a, 0), 0);
  REQUIRE_INT(qn__sock_local(fd, &at), 0);
  REQUIRE_INT(connect(fd, &at.u.sa, at.size), 0);
  CHECK(qn__sock_is_self_connected(fd));
  close(fd);
}

TEST(reset_resets_and_close_does_not)
{
  char byte;
  for (int reset = 0; reset < 2; reset++) {
    int fds[2];
    TEST_ROUND("%d", reset);
    connected(fds);
    qn__sock_close(fds[0], reset != 0);
    ssize_t n = recv(fds[1], &byte, 1, 0); /* blocks until the other end has spoken */
    if (reset) {
      CHECK_INT(n, -1);
      CHECK_INT(errno, ECONNRESET);
    } else {
      CHECK_INT(n, 0);
    }
    close(fds[1]);
  }
}

TEST(close_does_not_linger)
{
  static char block[1 << 16];
  int fds[2];
  struct linger linger = {.l_onoff = 1, .l_linger = 30};
  connected(fds);
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  for (int i = 0; i < 1000 && send(fds[0], block, sizeof block, MSG_NOSIGNAL) > 0; i++) {
  }
  alarm(20); /* close(2) would wait 30 s for a peer that does not read: then the test dies */
  qn__sock_close(fds[0], false);
  alarm(0);
  close(fds[1]);
}

TEST(nodelay)
{
  qn_addr_t a = loopback(0);
  int fd;
  int64_t on = 0;
  qn__sock_open(&a, &fd);
  CHECK_INT(qn__sock_nodelay(fd), 0);
  CHECK_INT(qn__sockopt_get(fd, "nodelay", &on), 0);
  CHECK_INT(on, 1);
  close(fd);
}

/* sockopt_test.c: every option by name, on every family that has it; options that wait. */
#include "net/sockopt.h"
#include "test.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static int tcp4(void) { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }
static int tcp6(void) { return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0); }
static int local(void) { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

TEST(names_are_sorted_and_known)
{
  const char *const *names = qn_sockopt_names();
  size_t n = 0;
  for (; names[n] != NULL; n++) {
    TEST_ROUND("%s", names[n]);
    CHECK(qn_sockopt_kind(names[n]) != QN_SOCKOPT_UNKNOWN);
    CHECK(n == 0 || strcmp(names[n - 1], names[n]) < 0);
  }
  CHECK(n > 10);
  CHECK_INT(qn_sockopt_kind("nodelay"), QN_SOCKOPT_SWITCH);
  CHECK_INT(qn_sockopt_kind("ttl"), QN_SOCKOPT_NUMBER);
  CHECK_INT(qn_sockopt_kind("no_delay"), QN_SOCKOPT_UNKNOWN);
  CHECK(qn_sockopt_settable("ttl"));
  CHECK(!qn_sockopt_settable("error"));
  CHECK(!qn_sockopt_settable("bogus"));
}

static const struct {
  const char *name;
  int64_t value, other;
} values[] = {
    {"broadcast", 1, 0},
    {"keepalive", 1, 0},
    {"keepalive_count", 3, 127},
    {"keepalive_idle", 7, 32767},
    {"keepalive_interval", 9, 1},
    {"linger", 5, -1},
    {"linger", 0, 65535},
    {"mtu_discover", 2, 0},
    {"multicast_loopback", 0, 1},
    {"nodelay", 1, 0},
    {"oob_inline", 1, 0},
    {"reuse_address", 1, 0},
    {"reuse_port", 1, 0},
    {"tos", 0x10, 0},
    {"ttl", 3, 255},
};

static void round_trips(int fd)
{
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    int64_t got = -99;
    TEST_ROUND("%s", values[i].name);
    CHECK_INT(qn__sockopt_set(fd, values[i].name, values[i].value), 0);
    CHECK_INT(qn__sockopt_get(fd, values[i].name, &got), 0);
    CHECK_INT(got, values[i].value);
    CHECK_INT(qn__sockopt_set(fd, values[i].name, values[i].other), 0);
    CHECK_INT(qn__sockopt_get(fd, values[i].name, &got), 0);
    CHECK_INT(got, values[i].other);
  }
}

TEST(values_come_back_ipv4)
{
  int fd = tcp4();
  round_trips(fd);
  close(fd);
}

TEST(values_come_back_ipv6)
{
  int fd = tcp6();
  int64_t only = -1;
  if (fd < 0) {
    return; /* a machine without IPv6 */
  }
  round_trips(fd);
  CHECK_INT(qn__sockopt_get(fd, "only_v6", &only), 0);
  CHECK(only == 0 || only == 1);
  int hops = 0;
  socklen_t size = sizeof hops;
  qn__sockopt_set(fd, "ttl", 77); /* really the IPv6 option */
  getsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, &size);
  CHECK_INT(hops, 77);
  close(fd);
}

/* Of datagram sockets only; one that takes both families has these for each. */
TEST(dual_stack_sockets_have_both)
{
  static const struct {
    const char *name;
    int number4, value;
  } both[] = {{"multicast_ttl", IP_MULTICAST_TTL, 4},
              {"multicast_loopback", IP_MULTICAST_LOOP, 0},
              {"ttl", IP_TTL, 9},
              {"tos", IP_TOS, 0x10},
              {"mtu_discover", IP_MTU_DISCOVER, 2}};
  int fds[] = {socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0),
               socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  REQUIRE(fds[0] >= 0 && fds[1] >= 0); /* else the first option would be blamed */
  for (size_t i = 0; i < 2 * sizeof both / sizeof both[0]; i++) {
    int fd = fds[i % 2], got4 = -1;
    int64_t got = -1;
    socklen_t size = sizeof got4;
    TEST_ROUND("%s", both[i / 2].name);
    CHECK_INT(qn__sockopt_set(fd, both[i / 2].name, both[i / 2].value), 0);
    CHECK_INT(qn__sockopt_get(fd, both[i / 2].name, &got), 0);
    CHECK_INT(got, both[i / 2].value);
    CHECK_INT(getsockopt(fd, IPPROTO_IP, both[i / 2].number4, &got4, &size), 0);
    CHECK_INT(got4, both[i / 2].value);
  }
  close(fds[0]);
  close(fds[1]);
}

TEST(buffer_sizes_are_at_least_what_was_asked_for)
{
  int fd = tcp4();
  int64_t got = 0;
  CHECK_INT(qn__sockopt_set(fd, "send_buffer", 16384), 0);
  CHECK_INT(qn__sockopt_get(fd, "send_buffer", &got), 0);
  CHECK(got >= 16384);
  CHECK_INT(qn__sockopt_set(fd, "receive_buffer", 16384), 0);
  CHECK_INT(qn__sockopt_get(fd, "receive_buffer", &got), 0);
  CHECK(got >= 16384);
  close(fd);
}

TEST(bad_names_and_values)
{
  int fd = tcp4();
  int64_t got = 0;
  CHECK_INT(qn__sockopt_set(fd, "bogus", 1), QN_E_INVALID);
  CHECK_INT(qn__sockopt_get(fd, "bogus", &got), QN_E_INVALID);
  CHECK_INT(qn__sockopt_check("bogus", 1), QN_E_INVALID);
  CHECK_INT(qn__sockopt_set(fd, "nodelay", 2), QN_E_INVALID);
  CHECK_INT(qn__sockopt_set(fd, "nodelay", -1), QN_E_INVALID);
  CHECK_INT(qn__sockopt_set(fd, "ttl", 0), QN_E_INVALID);
  CHECK_INT(qn__sockopt_set(fd, "ttl", 256), QN_E_INVALID);
  CHECK_INT(qn__sockopt_set(fd, "linger", -2), QN_E_INVALID);
  CHECK_INT(qn__sockopt_set(fd, "send_buffer", (int64_t)1 << 40), QN_E_INVALID);
  CHECK_INT(qn__sockopt_set(fd, "error", 0), QN_E_UNSUPPORTED);
  CHECK_INT(qn__sockopt_set(fd, "path_mtu", 1500), QN_E_UNSUPPORTED);
  CHECK_INT(qn__sockopt_get(fd, "error", &got), 0);
  CHECK_INT(got, 0);
  CHECK_INT(qn__sockopt_get(fd, "path_mtu", &got), -ENOTCONN);
  CHECK_INT(qn__sockopt_get(fd, "only_v6", &got), QN_E_UNSUPPORTED);
  close(fd);
  CHECK_INT(qn__sockopt_set(-1, "keepalive", 1), -EBADF);
  CHECK_INT(qn__sockopt_set(-1, "nodelay", 1), -EBADF);
}

TEST(unix_sockets_have_only_the_general_ones)
{
  int fd = local();
  int64_t got = 0;
  CHECK_INT(qn__sockopt_set(fd, "nodelay", 1), QN_E_UNSUPPORTED);
  CHECK_INT(qn__sockopt_get(fd, "ttl", &got), QN_E_UNSUPPORTED);
  CHECK_INT(qn__sockopt_set(fd, "send_buffer", 8192), 0);
  CHECK_INT(qn__sockopt_set(fd, "linger", 3), 0);
  close(fd);
}

TEST(options_wait_for_a_descriptor)
{
  qn__sockopts_t *list = NULL;
  int64_t got = 0;
  int fd = tcp4();
  CHECK_INT(qn__sockopts_get(list, "ttl", &got), QN_E_NOT_CONNECTED);
  CHECK_INT(qn__sockopts_put(&list, "ttl", 0), QN_E_INVALID);
  CHECK_NULL(list);
  CHECK_INT(qn__sockopts_put(&list, "ttl", 9), 0);
  CHECK_INT(qn__sockopts_put(&list, "keepalive", 1), 0);
  CHECK_INT(qn__sockopts_put(&list, "ttl", 11), 0);
  CHECK_INT(qn__sockopts_put(&list, "error", 0), QN_E_UNSUPPORTED);
  CHECK_INT(qn__sockopts_get(list, "ttl", &got), 0);
  CHECK_INT(got, 11);
  CHECK_INT(qn__sockopts_get(list, "tos", &got), QN_E_NOT_CONNECTED);
  CHECK_INT(qn__sockopts_get(list, "bogus", &got), QN_E_INVALID);
  CHECK_INT(qn__sockopts_apply(list, fd), 0);
  CHECK_INT(qn__sockopt_get(fd, "ttl", &got), 0);
  CHECK_INT(got, 11);
  CHECK_INT(qn__sockopt_get(fd, "keepalive", &got), 0);
  CHECK_INT(got, 1);
  CHECK_INT(qn__sockopts_apply(NULL, fd), 0);
  CHECK_INT(qn__sockopts_put(&list, "nodelay", 1), 0);
  close(fd);
  fd = local();
  CHECK_INT(qn__sockopts_apply(list, fd), QN_E_UNSUPPORTED);
  close(fd);
  for (const char *const *name = qn_sockopt_names(); *name != NULL; name++) {
    TEST_ROUND("%s", *name);
    CHECK_INT(qn__sockopts_put(&list, *name, 1), qn_sockopt_settable(*name) ? 0 : QN_E_UNSUPPORTED);
  }
  qn__sockopts_free(list);
}

TEST(no_memory_for_the_list)
{
  qn__sockopts_t *list = NULL;
  qn_alloc_fail_at(1);
  CHECK_INT(qn__sockopts_put(&list, "ttl", 9), -ENOMEM);
  CHECK(qn_alloc_failed());
  CHECK_NULL(list);
}

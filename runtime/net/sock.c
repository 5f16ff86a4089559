/* sock.c: the system calls that make, bind, ask and end a stream socket, with their oddities.
 *
 * Called by f_socket.c, bind.c and listen_socket.c. Knows no loop and no stream, keeps no state.
 * Invariant: each descriptor made here is non-blocking and close-on-exec.
 */
#include "net/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static int switch_on(int fd, int level, int option)
{
  int on = 1;
  return setsockopt(fd, level, option, &on, sizeof on) < 0 ? -errno : 0;
}

static int ask(int fd, int option, int *value)
{
  socklen_t size = sizeof *value;
  return getsockopt(fd, SOL_SOCKET, option, value, &size) < 0 ? -errno : 0;
}

int qn__sock_open(const qn_addr_t *a, int *fd)
{
  *fd = -1;
  if (a->size == 0) {
    return QN_E_INVALID;
  }
  *fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return *fd < 0 ? -errno : 0;
}

int qn__sock_bind(int fd, const qn_addr_t *local, unsigned flags)
{
  int rc = 0;
  if (flags & QN__SOCK_REUSE_ADDRESS) {
    rc = switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
  }
  if (rc == 0 && (flags & QN__SOCK_REUSE_PORT)) {
    rc = switch_on(fd, SOL_SOCKET, SO_REUSEPORT);
  }
  if (rc < 0) {
    return rc;
  }
  if ((flags & QN__SOCK_LATE_PORT) && qn_addr_port(local) == 0 &&
      qn_addr_family(local) != QN_FAMILY_UNIX) {
    (void)switch_on(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT); /* an optimisation, may be missing */
  }
  return bind(fd, &local->u.sa, local->size) < 0 ? -errno : 0;
}

int qn__sock_nodelay(int fd) { return switch_on(fd, IPPROTO_TCP, TCP_NODELAY); }

typedef int (*ask_name_fn)(int fd, struct sockaddr *sa, socklen_t *size);

static int ask_name(ask_name_fn fn, int fd, qn_addr_t *out)
{
  *out = (qn_addr_t){0};
  socklen_t size = sizeof out->u;
  if (fn(fd, &out->u.sa, &size) < 0) {
    return -errno;
  }
  out->size = size < sizeof out->u ? size : (socklen_t)sizeof out->u;
  qn_addr_unmap(out);
  return 0;
}

int qn__sock_local(int fd, qn_addr_t *out) { return ask_name(getsockname, fd, out); }

int qn__sock_peer(int fd, qn_addr_t *out) { return ask_name(getpeername, fd, out); }

int qn__sock_error(int fd)
{
  int err = 0;
  int rc = ask(fd, SO_ERROR, &err);
  return rc < 0 ? rc : -err;
}

static int check_stream(int fd, int *listens)
{
  int type = 0;
  int rc = ask(fd, SO_TYPE, &type);
  if (rc == 0 && type != SOCK_STREAM) {
    rc = QN_E_UNSUPPORTED;
  }
  return rc == 0 ? ask(fd, SO_ACCEPTCONN, listens) : rc;
}

int qn__sock_check_connected(int fd, qn_addr_t *peer)
{
  int listens = 0;
  int rc = check_stream(fd, &listens);
  if (rc == 0 && listens) {
    rc = QN_E_INVALID;
  }
  if (rc == 0) {
    rc = qn__sock_peer(fd, peer);
  }
  return rc == -ENOTCONN ? QN_E_NOT_CONNECTED : rc;
}

int qn__sock_check_listening(int fd)
{
  int listens = 0;
  int rc = check_stream(fd, &listens);
  return rc == 0 && !listens ? QN_E_INVALID : rc;
}

bool qn__sock_is_self_connected(int fd)
{
  qn_addr_t local, peer;
  return qn__sock_local(fd, &local) == 0 && qn_addr_port(&local) != 0 &&
         qn__sock_peer(fd, &peer) == 0 && qn_addr_equal(&local, &peer);
}

void qn__sock_close(int fd, bool reset)
{
  if (fd < 0) {
    return;
  }
  struct linger linger = {.l_onoff = reset, .l_linger = 0};
  struct linger set = {0};
  socklen_t size = sizeof set;
  if (!reset) {
    (void)getsockopt(fd, SOL_SOCKET, SO_LINGER, &set, &size);
  }
  /* With a linger time close(2) would block, although the descriptor does not: without it the
   * kernel sends the rest by itself. */
  if (reset || (set.l_onoff && set.l_linger > 0)) {
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  }
  (void)close(fd); /* on Linux the descriptor is gone even after EINTR */
}

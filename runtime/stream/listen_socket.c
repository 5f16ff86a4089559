/* listen_socket.c: socket, bind and listen for TCP and Unix listeners, and adopting a descriptor.
 *
 * Called by listen.c. Knows no loop and accepts nothing. Invariant: a socket file is removed only
 * when nobody answers on it (before binding) or when it is the very one that was made here (at the
 * end): never somebody else's.
 */
#include "stream/listen_socket.h"

#include "net/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_path(const qn_addr_t *a)
{
  return qn_addr_family(a) == QN_FAMILY_UNIX && a->u.un.sun_path[0] != '\0';
}

/* --- TCP ------------------------------------------------------------------------------------- */

static int bind_tcp(int fd, const qn_addr_t *addr, const qn_listen_opts_t *opts)
{
  unsigned flags = opts->exclusive ? 0 : QN__SOCK_REUSE_ADDRESS;
  if (opts->reuse_port) {
    flags |= QN__SOCK_REUSE_PORT;
  }
  if (qn_addr_family(addr) == QN_FAMILY_IPV6 && opts->v6only >= 0) {
    int only = opts->v6only != 0;
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0) {
      return -errno;
    }
  }
  int rc = qn__sock_bind(fd, addr, flags);
  return rc == 0 ? qn__sock_nodelay(fd) : rc; /* accepted sockets inherit it */
}

/* --- Unix ------------------------------------------------------------------------------------ */

/* Whether the file is a socket on which nobody listens. */
static bool is_stale(const qn_addr_t *addr)
{
  struct stat st;
  int fd;
  if (lstat(addr->u.un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
    return false;
  }
  if (qn__sock_open(addr, &fd) < 0) {
    return false;
  }
  bool refused = connect(fd, &addr->u.sa, addr->size) < 0 && errno == ECONNREFUSED;
  qn__sock_close(fd, false);
  return refused;
}

static int bind_unix(qn__listen_socket_t *ls, const qn_addr_t *addr, const qn_listen_opts_t *opts)
{
  const char *path = addr->u.un.sun_path;
  struct stat st;
  if (is_path(addr) && opts->unix_mode != 0) {
    /* The file is made with these bits less the umask: at no moment are there more than wanted. */
    (void)fchmod(ls->fd, opts->unix_mode);
  }
  int rc = qn__sock_bind(ls->fd, addr, 0);
  if (rc == -EADDRINUSE && opts->unlink && is_path(addr) && is_stale(addr)) {
    (void)unlink(path);
    rc = qn__sock_bind(ls->fd, addr, 0);
  }
  if (rc < 0 || !is_path(addr)) {
    return rc;
  }
  if (lstat(path, &st) < 0) {
    return -errno;
  }
  ls->own_file = true;
  ls->device = st.st_dev;
  ls->inode = st.st_ino;
  return opts->unix_mode != 0 && chmod(path, opts->unix_mode) < 0 ? -errno : 0;
}

/* --- both ------------------------------------------------------------------------------------ */

static int adopt(qn__listen_socket_t *ls, int fd)
{
  int flags, rc = qn__sock_check_listening(fd);
  if (rc < 0) {
    return rc;
  }
  flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    return -errno;
  }
  rc = qn__sock_local(fd, &ls->addr);
  if (rc == 0) {
    ls->fd = fd;
  }
  return rc;
}

/* "::" on a machine without IPv6 means 0.0.0.0, unless only IPv6 is wanted. */
static int open_socket(qn_addr_t *addr, const qn_listen_opts_t *opts, int *fd)
{
  int rc = qn__sock_open(addr, fd);
  if (rc == -EAFNOSUPPORT && qn_addr_family(addr) == QN_FAMILY_IPV6 && qn_addr_is_any(addr) &&
      opts->v6only <= 0) {
    qn_addr_parse(addr, "", qn_addr_port(addr), QN_FAMILY_IPV4);
    rc = qn__sock_open(addr, fd);
  }
  return rc;
}

int qn__listen_socket_open(qn__listen_socket_t *ls, const qn_addr_t *addr,
                           const qn_listen_opts_t *opts)
{
  *ls = (qn__listen_socket_t){.fd = -1};
  if (opts->fd >= 0) {
    return adopt(ls, opts->fd);
  }
  qn_addr_t at = *addr;
  int rc = open_socket(&at, opts, &ls->fd);
  if (rc < 0) {
    return rc;
  }
  rc = qn_addr_family(&at) == QN_FAMILY_UNIX ? bind_unix(ls, &at, opts)
                                             : bind_tcp(ls->fd, &at, opts);
  if (rc == 0 && listen(ls->fd, opts->backlog) < 0) {
    rc = -errno;
  }
  if (rc == 0) {
    rc = qn__sock_local(ls->fd, &ls->addr);
  }
  if (rc < 0) {
    ls->addr = at; /* names the file to be removed, if there is one */
    qn__listen_socket_close(ls);
  }
  return rc;
}

void qn__listen_socket_close(qn__listen_socket_t *ls)
{
  struct stat st;
  if (ls->own_file && lstat(ls->addr.u.un.sun_path, &st) == 0 && st.st_dev == ls->device &&
      st.st_ino == ls->inode) {
    (void)unlink(ls->addr.u.un.sun_path);
  }
  ls->own_file = false;
  qn__sock_close(ls->fd, false);
  ls->fd = -1;
}

/* sock.h: making, binding and asking stream sockets. Not public; for the filters and listeners
 * above.
 *
 * Every function works on a plain descriptor and returns 0 or a negative error.
 */
#ifndef QN_NET_SOCK_H
#define QN_NET_SOCK_H

#include "net/sockopt.h"
#include "qn/addr.h"

enum {
  QN__SOCK_REUSE_ADDRESS = 1,
  QN__SOCK_REUSE_PORT = 2,
  QN__SOCK_LATE_PORT = 4 /* port 0 is chosen at connect: ports are shared between peers */
};

/* A non-blocking, close-on-exec stream socket for addresses like `a`. */
int qn__sock_open(const qn_addr_t *a, int *fd);
int qn__sock_bind(int fd, const qn_addr_t *local, unsigned flags);
int qn__sock_nodelay(int fd);
int qn__sock_local(int fd, qn_addr_t *out);
int qn__sock_peer(int fd, qn_addr_t *out);
/* Takes the error that the kernel keeps for the socket: 0 or negative. */
int qn__sock_error(int fd);
/* A connected stream socket? -ENOTSOCK, QN_E_UNSUPPORTED (another type), QN_E_NOT_CONNECTED,
 * QN_E_INVALID (it listens). `peer` is set on success. */
int qn__sock_check_connected(int fd, qn_addr_t *peer);
/* A listening stream socket? QN_E_INVALID when it does not listen. */
int qn__sock_check_listening(int fd);
/* Whether the kernel connected a loopback socket to itself (same address and port at both ends). */
bool qn__sock_is_self_connected(int fd);
/* Closes, never waits; `reset` makes TCP send RST and drop what is queued. -1 is ignored. */
void qn__sock_close(int fd, bool reset);

#endif

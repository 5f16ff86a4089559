/* udp_facts.c: what can be asked of a datagram socket: state, addresses, family, options.
 *
 * Called by embedders and by udp.c. Changes nothing but options, which are kept for the descriptors
 * that come later. Counters are in udp_recv.c.
 */
#include "net/sock.h"
#include "net/udp_p.h"

#include <sys/socket.h>

qn_udp_state_t qn_udp_state(const qn_udp_t *u)
{
  /* The kernel binds a socket at its first send. */
  qn_addr_t a;
  return u->state == QN_UDP_UNCONNECTED && qn_udp_local_addr(u, &a) == 0 ? QN_UDP_BOUND : u->state;
}

int qn_udp_fd(const qn_udp_t *u) { return u->fd; }
uint64_t qn_udp_id(const qn_udp_t *u) { return u->id; }

int qn_udp_local_addr(const qn_udp_t *u, qn_addr_t *out)
{
  int rc = u->fd >= 0 ? qn__sock_local(u->fd, out) : QN_E_NOT_CONNECTED;
  return rc == 0 && qn_addr_port(out) == 0 ? QN_E_NOT_CONNECTED : rc;
}

int qn_udp_peer_addr(const qn_udp_t *u, qn_addr_t *out)
{
  return u->state == QN_UDP_CONNECTED ? qn__sock_peer(u->fd, out) : QN_E_NOT_CONNECTED;
}

qn_family_t qn_udp_family(const qn_udp_t *u)
{
  if (u->fd < 0) {
    return (u->flags & QN_UDP_IPV4)     ? QN_FAMILY_IPV4
           : (u->flags & QN_UDP_V6ONLY) ? QN_FAMILY_IPV6
                                        : QN_FAMILY_ANY;
  }
  int64_t only = 0;
  if (u->domain == AF_INET) {
    return QN_FAMILY_IPV4;
  }
  return qn__sockopt_get(u->fd, "only_v6", &only) == 0 && only == 0 ? QN_FAMILY_ANY
                                                                    : QN_FAMILY_IPV6;
}

int qn_udp_set_option(qn_udp_t *u, const char *name, int64_t value)
{
  int rc = qn__sockopt_check(name, value);
  if (rc < 0 || u->state == QN_UDP_CLOSED) {
    return rc < 0 ? rc : QN_E_CLOSED;
  }
  if (!qn__sockopt_fits(name, SOCK_DGRAM)) {
    return QN_E_UNSUPPORTED;
  }
  if (u->fd >= 0) {
    rc = qn__sockopt_set(u->fd, name, value);
  }
  return rc == 0 ? qn__sockopts_put(&u->options, name, value) : rc;
}

int qn_udp_get_option(qn_udp_t *u, const char *name, int64_t *value)
{
  if (qn_sockopt_kind(name) == QN_SOCKOPT_UNKNOWN) {
    return QN_E_INVALID;
  }
  if (u->state == QN_UDP_CLOSED) {
    return QN_E_CLOSED;
  }
  if (!qn__sockopt_fits(name, SOCK_DGRAM)) {
    return QN_E_UNSUPPORTED;
  }
  return u->fd >= 0 ? qn__sockopt_get(u->fd, name, value)
                    : qn__sockopts_get(u->options, name, value);
}

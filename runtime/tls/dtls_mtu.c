/* dtls_mtu.c: how large the datagrams of an association may be.
 *
 * The kernel knows the smallest link on the way as far as it has heard of it; it is asked when an
 * association begins and when it has refused a datagram. Must not send anything. Invariant: the
 * size lies between QN_DTLS_MTU_MIN and what was set.
 */
#include "tls/dtls_i.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADERS_IPV4 28u
#define HEADERS_IPV6 48u

/* Payload that the way to `peer` takes; 0: not known. Only a connected socket can be asked, and
 * that of an endpoint may not be one. */
unsigned qn__dtls_path_mtu(const qn_addr_t *peer)
{
  bool v6 = qn_addr_family(peer) == QN_FAMILY_IPV6;
  int mtu = 0, fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  socklen_t size = sizeof mtu;
  if (fd < 0) {
    return 0;
  }
  if (connect(fd, &peer->u.sa, peer->size) < 0 ||
      getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU : IP_MTU, &mtu, &size) < 0) {
    mtu = 0;
  }
  (void)close(fd);
  unsigned headers = v6 ? HEADERS_IPV6 : HEADERS_IPV4;
  return mtu <= 0 ? 0 : (unsigned)mtu > headers ? (unsigned)mtu - headers : QN_DTLS_MTU_MIN;
}

unsigned qn__dtls_first_mtu(unsigned wanted, const qn_addr_t *peer)
{
  unsigned mtu = wanted != 0 ? wanted : QN_DTLS_MTU_DEFAULT, path = qn__dtls_path_mtu(peer);
  mtu = path != 0 && path < mtu ? path : mtu;
  return mtu > QN_DTLS_MTU_MIN ? mtu : QN_DTLS_MTU_MIN;
}

/* The next usual size. */
static unsigned step_below(unsigned mtu)
{
  static const unsigned steps[] = {8192, 4096, 1472, 1400, 1200, 1024, QN_DTLS_MTU_FALLBACK, 400};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    if (steps[i] < mtu) {
      return steps[i];
    }
  }
  return QN_DTLS_MTU_MIN;
}

void qn__dtls_lower_mtu(qn_dtls_t *a)
{
  unsigned path = qn__dtls_path_mtu(&a->peer);
  unsigned mtu = path != 0 && path < a->mtu ? path : step_below(a->mtu);
  (void)qn_dtls_set_mtu(a, mtu > QN_DTLS_MTU_MIN ? mtu : QN_DTLS_MTU_MIN);
}

unsigned qn_dtls_mtu(const qn_dtls_t *a) { return a->mtu; }

int qn_dtls_set_mtu(qn_dtls_t *a, unsigned mtu)
{
  if (mtu < QN_DTLS_MTU_MIN || mtu > QN_DTLS_MTU_MAX) {
    return QN_E_INVALID;
  }
  a->mtu = mtu;
  SSL_set_mtu(a->t->ssl, (long)mtu);
  return 0;
}

/* udp_group.c: multicast: joining and leaving groups, and the interface that multicast leaves by.
 *
 * Called by embedders. A dual-stack socket takes groups of both families; the kernel keeps the
 * memberships and ends them with the descriptor. Must not guess an interface: 0 leaves the choice
 * to the routing table.
 */
#include "net/udp_p.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static int check(const qn_udp_t *u, const qn_addr_t *group, const qn_addr_t *source)
{
  if (u->state == QN_UDP_CLOSED) {
    return QN_E_CLOSED;
  }
  if (u->fd < 0) {
    return QN_E_NOT_CONNECTED;
  }
  qn_family_t family = qn_addr_family(group);
  if ((family != QN_FAMILY_IPV4 && family != QN_FAMILY_IPV6) ||
      (source != NULL && qn_addr_family(source) != family)) {
    return QN_E_INVALID;
  }
  return family == QN_FAMILY_IPV6 && u->domain == AF_INET ? -EAFNOSUPPORT : 0;
}

static int change(qn_udp_t *u, const qn_addr_t *group, unsigned interface, const qn_addr_t *source,
                  int plain, int specific)
{
  int rc = check(u, group, source);
  if (rc < 0) {
    return rc;
  }
  int level = qn_addr_family(group) == QN_FAMILY_IPV6 ? IPPROTO_IPV6 : IPPROTO_IP;
  if (level == IPPROTO_IPV6 && interface == 0) {
    interface = group->u.in6.sin6_scope_id;
  }
  if (source != NULL) {
    struct group_source_req r = {.gsr_interface = interface};
    memcpy(&r.gsr_group, &group->u, group->size);
    memcpy(&r.gsr_source, &source->u, source->size);
    return setsockopt(u->fd, level, specific, &r, sizeof r) < 0 ? -errno : 0;
  }
  struct group_req r = {.gr_interface = interface};
  memcpy(&r.gr_group, &group->u, group->size);
  return setsockopt(u->fd, level, plain, &r, sizeof r) < 0 ? -errno : 0;
}

int qn_udp_join(qn_udp_t *u, const qn_addr_t *group, unsigned interface, const qn_addr_t *source)
{
  return change(u, group, interface, source, MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP);
}

int qn_udp_leave(qn_udp_t *u, const qn_addr_t *group, unsigned interface, const qn_addr_t *source)
{
  return change(u, group, interface, source, MCAST_LEAVE_GROUP, MCAST_LEAVE_SOURCE_GROUP);
}

int qn__udp_leave_by(int fd, int domain, unsigned interface)
{
  struct ip_mreqn request = {.imr_ifindex = (int)interface};
  int index = (int)interface, rc = 0;
  if (domain == AF_INET6) {
    rc = setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
  }
  if (rc == 0) {
    rc = setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request);
  }
  return rc < 0 ? -errno : 0;
}

int qn_udp_set_multicast_interface(qn_udp_t *u, unsigned interface)
{
  if (u->state == QN_UDP_CLOSED) {
    return QN_E_CLOSED;
  }
  int rc = qn__udp_need_fd(u, (u->flags & QN_UDP_V6ONLY) ? AF_INET6 : AF_UNSPEC);
  if (rc == 0) {
    rc = qn__udp_leave_by(u->fd, u->domain, interface);
  }
  if (rc == 0) {
    u->multicast_interface = interface;
  }
  return rc;
}

int qn_udp_multicast_interface(qn_udp_t *u, unsigned *interface)
{
  *interface = u->multicast_interface; /* of IPv4 the kernel tells an address only */
  return u->state == QN_UDP_CLOSED ? QN_E_CLOSED : 0;
}

int qn_udp_interface_of(const qn_addr_t *a)
{
  struct ifaddrs *all = NULL;
  int index = -ENODEV;
  if (getifaddrs(&all) < 0) {
    return -errno;
  }
  for (const struct ifaddrs *i = all; i != NULL && index < 0; i = i->ifa_next) {
    qn_addr_t other = {0};
    int family = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;
    if (family == AF_INET || family == AF_INET6) {
      other.size = family == AF_INET ? sizeof other.u.in4 : sizeof other.u.in6;
      memcpy(&other.u, i->ifa_addr, other.size);
      qn_addr_set_port(&other, qn_addr_port(a));
      if (qn_addr_family(a) == QN_FAMILY_IPV6 && family == AF_INET6 &&
          a->u.in6.sin6_scope_id == 0) {
        other.u.in6.sin6_scope_id = 0;
      }
      index = qn_addr_equal(&other, a) ? (int)if_nametoindex(i->ifa_name) : index;
    }
  }
  freeifaddrs(all);
  return index;
}

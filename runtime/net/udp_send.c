/* udp_send.c: sending: one datagram at once, or many in few system calls.
 *
 * Called by embedders. Nothing is kept for later: the result is what the kernel said. Who is
 * refused for lack of room waits for the poll handle. Must not change what the caller gave.
 * Invariant: a segmented send is tried only where the kernel knows it (an older one would send all
 * as one datagram), and is repeated without segments when the route cannot take it.
 */
#include "net/udp_p.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define CONTROL (CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t)))
#define SEGMENTS 64u         /* the kernel takes no more in one send */
#define SEGMENTED_MAX 65000u /* bytes of them together */

typedef union control {
  struct cmsghdr align;
  uint8_t bytes[CONTROL];
} control_t;

static struct cmsghdr *add_control(struct msghdr *h, control_t *c, int level, int type, size_t size)
{
  struct cmsghdr *m = (struct cmsghdr *)(void *)(c->bytes + h->msg_controllen);
  memset(m, 0, CMSG_SPACE(size)); /* with its padding */
  m->cmsg_level = level;
  m->cmsg_type = type;
  m->cmsg_len = CMSG_LEN(size);
  h->msg_control = c->bytes;
  h->msg_controllen += CMSG_SPACE(size);
  return m;
}

/* The address that the datagram came to is where the answer leaves from. */
static void add_source(const qn_udp_t *u, struct msghdr *h, control_t *c, const qn_udp_info_t *a)
{
  if (IN6_IS_ADDR_UNSPECIFIED(&a->answer)) {
    return;
  }
  if (u->domain == AF_INET6) {
    struct in6_pktinfo p = {.ipi6_addr = a->answer};
    if (IN6_IS_ADDR_LINKLOCAL(&a->answer)) {
      p.ipi6_ifindex = a->interface;
    }
    memcpy(CMSG_DATA(add_control(h, c, IPPROTO_IPV6, IPV6_PKTINFO, sizeof p)), &p, sizeof p);
  } else {
    struct in_pktinfo p = {0};
    memcpy(&p.ipi_spec_dst, &a->answer.s6_addr[12], sizeof p.ipi_spec_dst);
    memcpy(CMSG_DATA(add_control(h, c, IPPROTO_IP, IP_PKTINFO, sizeof p)), &p, sizeof p);
  }
}

static int check(qn_udp_t *u, const qn_udp_out_t *o)
{
  if (QN_UNLIKELY(u->state == QN_UDP_CLOSED)) {
    return QN_E_CLOSED;
  }
  if (o->to.u.sa.sa_family == AF_UNSPEC && u->state != QN_UDP_CONNECTED) {
    return QN_E_NOT_CONNECTED;
  }
  if (QN_UNLIKELY(u->fd < 0)) {
    int rc = qn__udp_need_fd(u, (u->flags & QN_UDP_V6ONLY) ? AF_INET6 : AF_UNSPEC);
    if (rc < 0) {
      return rc;
    }
  }
  return 0;
}

static int failed(qn_udp_t *u, const qn_udp_out_t *o, int err)
{
  if (err == EAGAIN || err == EWOULDBLOCK) {
    u->blocked = true;
    return QN_AGAIN;
  }
  int rc = err == EMSGSIZE ? QN_E_DGRAM_SIZE : -err;
  if (QN_UNLIKELY(u->traced)) {
    qn_addr_t to;
    qn_udp_end_addr(&o->to, &to);
    qn__udp_trace_error(u, rc, &to);
  }
  return rc;
}

/* With reports wanted, the kernel hands an error about one peer to the next send, whoever that is
 * for. The report itself stays in its queue for the reader, so the send is simply repeated. */
static bool is_about_another(qn_udp_t *u, int err, int *tries)
{
  if (!(u->flags & QN_UDP_ERRORS) || u->state == QN_UDP_CONNECTED || err == EAGAIN || *tries == 0) {
    return false;
  }
  --*tries;
  u->has_error = true;
  return true;
}

int qn_udp_send(qn_udp_t *u, const qn_udp_out_t *o)
{
  control_t control;
  int rc = check(u, o), tries = 2;
  if (rc < 0) {
    return rc;
  }
  qn_udp_end_t to = o->to;
  struct iovec iov = {(void *)(uintptr_t)o->data.data, o->data.size};
  struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
  qn__udp_map(u, &to);
  h.msg_namelen = qn_udp_end_size(&to);
  h.msg_name = h.msg_namelen > 0 ? &to.u : NULL;
  if (o->answer != NULL) {
    add_source(u, &h, &control, o->answer);
  }
  for (;;) {
    u->stats.calls++;
    /* sendto copies less into the kernel: a twentieth of the cost of a small datagram. */
    ssize_t n = h.msg_controllen == 0 ? sendto(u->fd, o->data.data, o->data.size, MSG_NOSIGNAL,
                                               h.msg_name, h.msg_namelen)
                                      : sendmsg(u->fd, &h, MSG_NOSIGNAL);
    if (n >= 0) {
      u->stats.sent++;
      u->stats.sent_bytes += o->data.size;
      if (QN_UNLIKELY(u->traced)) {
        qn__udp_trace_sent(u, o, 1);
      }
      return 0;
    }
    if (errno != EINTR && !is_about_another(u, errno, &tries)) {
      return failed(u, o, errno);
    }
  }
}

/* --- many ------------------------------------------------------------------------------------ */

typedef struct many {
  struct mmsghdr headers[QN_UDP_SEND_BATCH];
  struct iovec iov[QN_UDP_SEND_BATCH];
  qn_udp_end_t to[QN_UDP_SEND_BATCH];
  control_t control[QN_UDP_SEND_BATCH];
  uint8_t count[QN_UDP_SEND_BATCH]; /* datagrams of each header */
} many_t;

static bool knows_segments(qn_udp_t *u)
{
  int value = 0;
  socklen_t size = sizeof value;
  if (!u->no_gso && getsockopt(u->fd, IPPROTO_UDP, UDP_SEGMENT, &value, &size) < 0) {
    u->no_gso = true;
  }
  return !u->no_gso;
}

static bool same_way(const qn_udp_out_t *a, const qn_udp_out_t *b)
{
  socklen_t size = qn_udp_end_size(&a->to);
  if (a->to.u.sa.sa_family != b->to.u.sa.sa_family || memcmp(&a->to.u, &b->to.u, size) != 0) {
    return false;
  }
  return a->answer == b->answer ||
         (a->answer != NULL && b->answer != NULL &&
          memcmp(&a->answer->answer, &b->answer->answer, sizeof a->answer->answer) == 0);
}

/* How many from v[0] on can leave as segments of one send: all of one size, the last may be
 * shorter. */
static size_t run_length(const qn_udp_out_t *v, size_t n)
{
  size_t size = v[0].data.size, total = size, k = 1;
  while (k < n && k < SEGMENTS && size > 0 && v[k].data.size > 0 && v[k].data.size <= size &&
         total + v[k].data.size <= SEGMENTED_MAX && same_way(&v[0], &v[k])) {
    total += v[k++].data.size;
    if (v[k - 1].data.size < size) {
      break;
    }
  }
  return k;
}

static unsigned prepare(qn_udp_t *u, many_t *m, const qn_udp_out_t *v, size_t n, bool segments)
{
  unsigned used = 0;
  for (size_t i = 0; i < n; used++) {
    struct msghdr *h = &m->headers[used].msg_hdr;
    size_t k = segments ? run_length(v + i, n - i) : 1;
    for (size_t j = i; j < i + k; j++) {
      m->iov[j] = (struct iovec){(void *)(uintptr_t)v[j].data.data, v[j].data.size};
    }
    m->to[used] = v[i].to;
    qn__udp_map(u, &m->to[used]);
    *h = (struct msghdr){.msg_iov = &m->iov[i], .msg_iovlen = k};
    h->msg_namelen = qn_udp_end_size(&m->to[used]);
    h->msg_name = h->msg_namelen > 0 ? &m->to[used].u : NULL;
    if (v[i].answer != NULL) {
      add_source(u, h, &m->control[used], v[i].answer);
    }
    if (k > 1) {
      uint16_t size = (uint16_t)v[i].data.size;
      struct cmsghdr *c = add_control(h, &m->control[used], IPPROTO_UDP, UDP_SEGMENT, sizeof size);
      memcpy(CMSG_DATA(c), &size, sizeof size);
    }
    m->count[used] = (uint8_t)k;
    i += k;
  }
  return used;
}

/* What a route or a device says that cannot send segments. */
static bool refuses_segments(int err)
{
  return err == EINVAL || err == EIO || err == EMSGSIZE || err == EOPNOTSUPP || err == ENOPROTOOPT;
}

int qn_udp_send_many(qn_udp_t *u, const qn_udp_out_t *v, size_t n)
{
  many_t m;
  size_t sane = 0;
  int rc = 0, tries = 2, sent;
  n = n < QN_UDP_SEND_BATCH ? n : QN_UDP_SEND_BATCH;
  while (sane < n && (rc = check(u, &v[sane])) == 0) {
    sane++;
  }
  if (sane == 0) {
    return n == 0 ? 0 : rc;
  }
  bool segments = sane > 1 && knows_segments(u);
  unsigned used = prepare(u, &m, v, sane, segments);
  for (;;) {
    u->stats.calls++;
    sent = sendmmsg(u->fd, m.headers, used, MSG_NOSIGNAL);
    if (sent > 0) {
      break;
    }
    if (segments && m.count[0] > 1 && refuses_segments(errno)) {
      u->no_gso = errno != EMSGSIZE && errno != EINVAL; /* those two are about the size */
      segments = false;
      used = prepare(u, &m, v, sane, false);
    } else if (errno != EINTR && !is_about_another(u, errno, &tries)) {
      return failed(u, v, errno);
    }
  }
  size_t done = 0;
  for (int i = 0; i < sent; i++) {
    done += m.count[i];
  }
  for (size_t i = 0; i < done; i++) {
    u->stats.sent_bytes += v[i].data.size;
  }
  u->stats.sent += done;
  if (QN_UNLIKELY(u->traced)) {
    qn__udp_trace_sent(u, v, done);
  }
  return (int)done;
}

/* --- waiting --------------------------------------------------------------------------------- */

static void cancel_writer(qn_op_t *op) { qn__list_remove(&op->link); }

int qn_udp_wait_writable(qn_udp_t *u, qn_op_t *op)
{
  if (u->fd < 0) {
    return u->state == QN_UDP_CLOSED ? QN_E_CLOSED : QN_E_NOT_CONNECTED;
  }
  u->blocked = true;
  int rc = qn__udp_arm(u);
  if (rc < 0) {
    return rc;
  }
  qn_op_begin(op, u, cancel_writer);
  qn__list_append(&u->writers, &op->link);
  return QN_AGAIN;
}

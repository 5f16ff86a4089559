/* udp_recv.c: receiving: the batch that one recvmmsg fetches, who waits for it, and error reports.
 *
 * Called by udp.c (readiness) and by embedders. One area of buffers per loop takes each batch; it
 * is lent to the socket that fetched last, until all is taken. When another socket fetches
 * meanwhile, the rest is copied out, so nothing is lost and idle sockets hold no more than their
 * bytes. Invariant: at most one socket has the area, and `area->owner` is that one.
 */
#include "net/udp_p.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h> /* before linux/net_tstamp.h */

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define ROOM 65536u          /* for one datagram, or for what the kernel joined: never too small */
#define STRIDE (ROOM + 192u) /* so that the first bytes of all do not share cache sets */
#define CONTROL 128u         /* packet info, hop limits of both families, segment size */

struct qn__udp_area {
  qn_udp_t *owner;
  struct mmsghdr headers[QN_UDP_BATCH];
  struct iovec iov[QN_UDP_BATCH];
  qn_udp_end_t names[QN_UDP_BATCH];
  union {
    struct cmsghdr align;
    uint8_t bytes[CONTROL];
  } control[QN_UDP_BATCH];
  qn__udp_item_t items[QN_UDP_BATCH];
  uint8_t bytes[];
};

/* --- the area -------------------------------------------------------------------------------- */

/* Pages of it that no datagram has reached cost no memory. */
static qn__udp_area_t *the_area(qn_loop_t *loop)
{
  void **slot = qn__loop_area(loop);
  qn__udp_area_t *a = *slot;
  if (a == NULL) {
    a = qn_malloc(sizeof *a + (size_t)QN_UDP_BATCH * STRIDE);
    if (a == NULL) {
      return NULL;
    }
    memset(a, 0, sizeof *a);
    for (size_t i = 0; i < QN_UDP_BATCH; i++) {
      struct msghdr *h = &a->headers[i].msg_hdr;
      a->iov[i] = (struct iovec){a->bytes + i * STRIDE, ROOM};
      h->msg_iov = &a->iov[i];
      h->msg_iovlen = 1;
      h->msg_name = &a->names[i].u;
      h->msg_control = a->control[i].bytes;
      h->msg_namelen = sizeof a->names[i].u;
      h->msg_controllen = CONTROL;
    }
    *slot = a;
  }
  return a;
}

/* Copies what the socket has not taken into a block of its own. */
static int move_out(qn_udp_t *u)
{
  size_t total = 0, count = u->n - u->at;
  for (uint32_t i = u->at; i < u->n; i++) {
    total += u->items[i].size;
  }
  qn__udp_item_t *items = qn_malloc(count * sizeof *items + total);
  if (items == NULL) {
    return -ENOMEM;
  }
  uint8_t *bytes = (uint8_t *)(items + count);
  memcpy(items, u->items + u->at, count * sizeof *items);
  for (size_t i = 0; i < count; i++) {
    memcpy(bytes, items[i].data, items[i].size);
    items[i].data = bytes;
    bytes += items[i].size;
  }
  u->block = items;
  u->items = items;
  u->area = NULL;
  u->at = 0;
  u->n = (uint32_t)count;
  return 0;
}

static qn__udp_area_t *lend(qn_udp_t *u)
{
  qn__udp_area_t *a = the_area(u->loop);
  if (a != NULL && a->owner != NULL && a->owner != u && move_out(a->owner) < 0) {
    return NULL;
  }
  if (a != NULL) {
    a->owner = u;
    u->area = a;
  }
  return a;
}

void qn__udp_drop_batch(qn_udp_t *u)
{
  if (u->area != NULL) {
    u->area->owner = NULL;
    u->area = NULL;
  }
  qn_free(u->block);
  u->block = NULL;
  u->items = NULL;
  u->at = u->n = u->offset = 0;
}

/* --- fetching -------------------------------------------------------------------------------- */

static void put_ipv4(struct in6_addr *out, const struct in_addr *a)
{
  memset(out, 0, sizeof *out);
  if (a->s_addr != 0) {
    out->s6_addr[10] = out->s6_addr[11] = 0xff;
    memcpy(&out->s6_addr[12], a, sizeof *a);
  }
}

/* Whole: who made an adopted socket may have asked for more than there is room for. */
static bool is(const struct cmsghdr *c, int level, int type, size_t size)
{
  return c->cmsg_level == level && c->cmsg_type == type && c->cmsg_len >= CMSG_LEN(size);
}

static void read_control(struct msghdr *h, qn__udp_item_t *item)
{
  qn_udp_info_t *info = &item->info;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
    int number = 0;
    if (c->cmsg_len < CMSG_LEN(sizeof number)) {
      continue;
    }
    memcpy(&number, CMSG_DATA(c), sizeof number);
    if (is(c, IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo))) {
      struct in_pktinfo p;
      memcpy(&p, CMSG_DATA(c), sizeof p);
      put_ipv4(&info->to, &p.ipi_addr);
      put_ipv4(&info->answer, &p.ipi_spec_dst);
      info->interface = (uint32_t)p.ipi_ifindex;
      info->has_to = true;
    } else if (is(c, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo))) {
      struct in6_pktinfo p;
      memcpy(&p, CMSG_DATA(c), sizeof p);
      info->to = p.ipi6_addr;
      info->interface = p.ipi6_ifindex;
      info->has_to = true;
      /* Of IPv4 on a dual-stack socket the other message knows whether this is a broadcast. */
      if (!IN6_IS_ADDR_MULTICAST(&p.ipi6_addr) && !IN6_IS_ADDR_V4MAPPED(&p.ipi6_addr)) {
        info->answer = p.ipi6_addr;
      }
    } else if (is(c, IPPROTO_IP, IP_TTL, sizeof number) ||
               is(c, IPPROTO_IPV6, IPV6_HOPLIMIT, sizeof number)) {
      info->hop_limit = (int16_t)number;
    } else if (is(c, IPPROTO_UDP, UDP_GRO, sizeof number) && number > 0) {
      item->segment = (uint32_t)number < item->size ? (uint32_t)number : 0;
    }
  }
}

static void parse(qn__udp_area_t *a, uint32_t i)
{
  struct msghdr *h = &a->headers[i].msg_hdr;
  qn__udp_item_t *item = &a->items[i];
  uint32_t size = a->headers[i].msg_len;
  *item = (qn__udp_item_t){.data = a->iov[i].iov_base, .size = size < ROOM ? size : ROOM};
  item->info.from = a->names[i];
  item->info.size = size;
  item->info.hop_limit = -1;
  item->info.truncated = size > ROOM;
  if (h->msg_controllen > 0) {
    read_control(h, item);
  }
  h->msg_namelen = sizeof a->names[i].u;
}

static int no_message(qn_udp_t *u, int err)
{
  bool nothing = err == EAGAIN || err == EWOULDBLOCK;
  if (nothing) {
    u->readable = false;
  }
  /* Also without the flag: who made an adopted socket may have wanted reports, and while there are
   * some, poll does not rest. */
  bool look = u->has_error || ((u->flags & QN_UDP_ERRORS) && !nothing);
  if (look && qn__udp_next_report(u)) {
    return 0;
  }
  u->has_error = false;
  return nothing ? 0 : -err;
}

void qn__udp_fill(qn_udp_t *u)
{
  if (u->at < u->n || u->error != 0 || !u->readable || u->fd < 0) {
    return;
  }
  int n;
  qn__udp_drop_batch(u);
  qn__udp_area_t *a = lend(u);
  if (a == NULL) {
    u->error = -ENOMEM;
    return;
  }
  for (size_t i = 0; i < QN_UDP_BATCH; i++) {
    a->headers[i].msg_hdr.msg_controllen = u->has_control ? CONTROL : 0;
  }
  do {
    n = recvmmsg(u->fd, a->headers, QN_UDP_BATCH, MSG_TRUNC, NULL);
  } while (n < 0 && errno == EINTR);
  u->told = false;
  u->stats.calls++;
  if (n <= 0) {
    int err = n < 0 ? errno : EAGAIN;
    qn__udp_drop_batch(u);
    err = no_message(u, err);
    u->error = u->error != 0 ? u->error : err;
    if (QN_UNLIKELY(u->traced) && u->error != 0) {
      qn__udp_trace_error(u, u->error, &u->error_peer);
    }
    return;
  }
  u->readable = n == (int)QN_UDP_BATCH; /* fewer: the socket is empty */
  u->items = a->items;
  u->n = (uint32_t)n;
  for (uint32_t i = 0; i < u->n; i++) {
    parse(a, i);
  }
  if (QN_UNLIKELY(u->traced)) {
    qn__udp_trace_received(u);
  }
}

bool qn__udp_next_report(qn_udp_t *u)
{
  qn_udp_end_t peer = {0};
  union {
    struct cmsghdr align;
    uint8_t bytes[512];
  } control;
  uint8_t byte;
  struct iovec iov = {&byte, sizeof byte};
  struct msghdr h = {.msg_name = &peer.u,
                     .msg_namelen = sizeof peer.u,
                     .msg_iov = &iov,
                     .msg_iovlen = 1,
                     .msg_control = control.bytes,
                     .msg_controllen = sizeof control};
  while (recvmsg(u->fd, &h, MSG_ERRQUEUE) < 0) {
    if (errno != EINTR) {
      return false;
    }
  }
  u->error = -EIO;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL; c = CMSG_NXTHDR(&h, c)) {
    if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
        (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
      struct sock_extended_err e;
      memcpy(&e, CMSG_DATA(c), sizeof e);
      u->error = e.ee_errno == EMSGSIZE ? QN_E_DGRAM_SIZE : -(int)e.ee_errno;
    }
  }
  qn_udp_end_addr(&peer, &u->error_peer);
  return true;
}

/* --- waiting and taking ---------------------------------------------------------------------- */

static void cancel_reader(qn_op_t *op) { ((qn_udp_t *)op->owner)->reader = NULL; }
static void cancel_onlooker(qn_op_t *op) { ((qn_udp_t *)op->owner)->onlooker = NULL; }

static int begin(qn_udp_t *u, qn_op_t **slot, qn_op_t *op, void (*cancel)(qn_op_t *op))
{
  *slot = op;
  int rc = qn__udp_arm(u);
  if (rc < 0) {
    *slot = NULL;
    return rc;
  }
  qn_op_begin(op, u, cancel);
  return QN_AGAIN;
}

int qn_udp_wait(qn_udp_t *u, qn_op_t *op)
{
  if (u->fd < 0) {
    return u->state == QN_UDP_CLOSED ? QN_E_CLOSED : QN_E_NOT_CONNECTED;
  }
  if (u->reader != NULL) {
    return QN_E_BUSY;
  }
  qn__udp_fill(u);
  return qn__udp_has(u) ? 0 : begin(u, &u->reader, op, cancel_reader);
}

int qn_udp_watch(qn_udp_t *u, uint64_t mark, qn_op_t *op)
{
  if (u->state == QN_UDP_CLOSED) {
    return QN_E_CLOSED;
  }
  if (u->onlooker != NULL) {
    return QN_E_BUSY;
  }
  qn__udp_fill(u);
  if (qn__udp_has(u) && u->taken != mark) {
    return 0;
  }
  u->mark = mark;
  return begin(u, &u->onlooker, op, cancel_onlooker);
}

void qn__udp_wake_onlooker(qn_udp_t *u)
{
  qn_op_t *op = u->onlooker;
  if (op != NULL && u->taken != u->mark) {
    u->onlooker = NULL;
    qn_op_settle(op, 0);
  }
}

uint64_t qn_udp_taken(const qn_udp_t *u) { return u->taken; }

static void count_taken(qn_udp_t *u)
{
  u->taken++;
  if (QN_UNLIKELY(u->onlooker != NULL)) {
    qn_ready_queue(u->loop, &u->ready);
  }
}

/* The part of a joined item that comes next. */
static uint32_t part(const qn_udp_t *u, const qn__udp_item_t *item)
{
  uint32_t left = item->size - u->offset;
  return item->segment == 0 || left < item->segment ? left : item->segment;
}

int qn_udp_peek(qn_udp_t *u, qn_slice_t *data, qn_udp_info_t *info, qn_addr_t *peer)
{
  qn__udp_fill(u);
  if (QN_LIKELY(u->at < u->n)) {
    const qn__udp_item_t *item = &u->items[u->at];
    *data = (qn_slice_t){item->data + u->offset, part(u, item)};
    *info = item->info;
    if (item->segment != 0) {
      info->size = (uint32_t)data->size;
    }
    return 0;
  }
  if (u->error != 0) {
    int err = u->error;
    *peer = u->error_peer;
    u->error = 0;
    u->error_peer.size = 0;
    count_taken(u);
    return err;
  }
  return u->state == QN_UDP_CLOSED ? QN_E_CLOSED : QN_AGAIN;
}

void qn_udp_take(qn_udp_t *u, size_t most)
{
  if (u->at == u->n) {
    return;
  }
  const qn__udp_item_t *item = &u->items[u->at];
  uint32_t size = part(u, item);
  u->stats.received++;
  u->stats.received_bytes += size;
  u->stats.truncated += item->info.truncated || size > most;
  u->offset += size;
  if (item->segment == 0 || u->offset >= item->size) {
    u->offset = 0;
    if (++u->at == u->n) {
      qn__udp_drop_batch(u);
    }
  }
  count_taken(u);
}

bool qn_udp_has_next(qn_udp_t *u)
{
  qn__udp_fill(u);
  return u->at < u->n;
}

int64_t qn_udp_pending(qn_udp_t *u)
{
  if (!qn__udp_has(u)) {
    u->readable = true; /* ask the kernel even when it has not said anything */
    qn__udp_fill(u);
    if (qn__udp_has(u) && (u->reader != NULL || u->onlooker != NULL)) {
      qn_ready_queue(u->loop, &u->ready); /* the kernel will not tell them any more */
    }
  }
  return u->at < u->n ? (int64_t)part(u, &u->items[u->at]) : QN_AGAIN;
}

static size_t count_queued(const qn_udp_t *u)
{
  size_t n = 0;
  for (uint32_t i = u->at; i < u->n; i++) {
    const qn__udp_item_t *item = &u->items[i];
    uint32_t left = item->size - (i == u->at ? u->offset : 0);
    n += item->segment == 0 ? 1 : (left + item->segment - 1) / item->segment;
  }
  return n;
}

void qn_udp_get_stats(qn_udp_t *u, qn_udp_stats_t *out)
{
  uint32_t memory[16] = {0};
  socklen_t size = sizeof memory;
  *out = u->stats;
  out->dropped = u->kernel_drops;
  out->queued = count_queued(u);
  /* SK_MEMINFO_DROPS is the ninth of them. */
  if (u->fd >= 0 && getsockopt(u->fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0 &&
      size >= 9 * sizeof memory[0]) {
    out->dropped += memory[8];
  }
}

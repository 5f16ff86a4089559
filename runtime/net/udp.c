/* udp.c: a datagram socket: making, binding, connecting, readiness and the end.
 *
 * Called by embedders. The poll callback notes what the kernel said and queues the socket; the
 * ready phase fetches a batch and completes whoever waits (udp_recv.c). Must not call user code
 * beneath libuv.
 *
 * Invariant: no event of the level-triggered poll can repeat without somebody acting on it: one
 * that finds its predecessor unused takes itself out of the watch (see f_socket.c). The watcher
 * frees itself in its close callback and may outlive the socket.
 */
#include "net/sock.h"
#include "net/udp_p.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

struct qn__udp_watcher {
  uv_poll_t uv;
  qn_loop_t *loop;
  qn_udp_t *u; /* NULL once the socket has let go */
};

/* --- readiness ------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *uv, int status, int events);

static int wanted(const qn_udp_t *u)
{
  int events = 0;
  if (!u->readable && !qn__udp_has(u) && (u->reader != NULL || u->onlooker != NULL)) {
    events |= UV_READABLE;
  }
  if (u->blocked) {
    events |= UV_WRITABLE;
  }
  return events;
}

static int watch(qn_udp_t *u, int events)
{
  if (u->watcher == NULL || events == u->armed) {
    return 0;
  }
  int rc =
      events != 0 ? uv_poll_start(&u->watcher->uv, events, on_poll) : uv_poll_stop(&u->watcher->uv);
  if (rc == 0) {
    u->armed = events;
  }
  return rc;
}

int qn__udp_arm(qn_udp_t *u)
{
  int events = wanted(u);
  return (events & ~u->armed) != 0 ? watch(u, events) : 0;
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
  qn_udp_t *u = QN__CONTAINER(uv, qn__udp_watcher_t, uv)->u;
  if (u == NULL) {
    return;
  }
  if (status < 0) { /* POLLERR: libuv has stopped the handle; the next calls will say what it is */
    u->armed = 0;
    u->has_error = true;
    events = UV_READABLE | UV_WRITABLE;
  }
  bool unused = status == 0 &&
                (((events & UV_READABLE) && u->told) || ((events & UV_WRITABLE) && !u->blocked));
  if (events & UV_READABLE) {
    u->readable = u->told = true;
  }
  if (events & UV_WRITABLE) {
    u->blocked = false;
  }
  if (unused) {
    watch(u, wanted(u));
  }
  qn_ready_queue(u->loop, &u->ready);
}

static void wake_writers(qn_udp_t *u)
{
  while (!u->blocked && !qn__list_empty(&u->writers)) {
    qn_list_t *node = u->writers.next;
    qn__list_remove(node);
    qn_op_settle(QN__CONTAINER(node, qn_op_t, link), 0);
  }
}

/* In the ready phase. What completes may close and release the socket. */
static void run_ready(qn_ready_t *r)
{
  qn_udp_t *u = QN__CONTAINER(r, qn_udp_t, ready);
  wake_writers(u);
  if (u->reader == NULL && u->onlooker == NULL) {
    return;
  }
  qn__udp_fill(u);
  if (!qn__udp_has(u)) {
    int rc = qn__udp_arm(u);
    if (rc < 0) {
      u->error = rc;
    } else {
      return;
    }
  }
  qn__udp_wake_onlooker(u);
  if (u->reader != NULL) {
    qn_op_t *op = u->reader;
    u->reader = NULL;
    qn_op_complete(op, 0);
  }
}

/* --- descriptors ----------------------------------------------------------------------------- */

static void on_watcher_closed(uv_handle_t *handle)
{
  qn__udp_watcher_t *w = QN__CONTAINER(handle, qn__udp_watcher_t, uv);
  qn__handle_closed(w->loop);
  qn_free(w);
}

static void keep_drops(qn_udp_t *u)
{
  qn_udp_stats_t now;
  qn_udp_get_stats(u, &now);
  u->kernel_drops = now.dropped;
}

static void drop_fd(qn_udp_t *u)
{
  if (u->watcher == NULL) {
    return;
  }
  keep_drops(u);
  if (u->traced) {
    qn__udp_trace(u, QN_TRACE_CLOSE);
  }
  u->watcher->u = NULL;
  uv_close((uv_handle_t *)&u->watcher->uv, on_watcher_closed);
  u->watcher = NULL;
  if (u->fd >= 0) {
    (void)close(u->fd); /* libuv has stopped looking at it */
  }
  u->fd = -1;
  u->armed = 0;
  u->readable = u->told = u->blocked = u->has_error = false;
}

/* `fd` belongs to the socket when this succeeds. */
static int take_fd(qn_udp_t *u, int fd, int domain)
{
  qn__udp_watcher_t *w = qn_calloc(1, sizeof *w);
  if (w == NULL) {
    return -ENOMEM;
  }
  int rc = uv_poll_init(qn_loop_uv(u->loop), &w->uv, fd);
  if (rc < 0) {
    qn_free(w);
    return rc;
  }
  qn__handle_opened(u->loop);
  w->loop = u->loop;
  w->u = u;
  u->watcher = w;
  u->fd = fd;
  u->domain = domain;
  u->has_control = u->local_any || (u->flags & (QN_UDP_DETAILS | QN_UDP_GRO));
  if (!qn__list_empty(&u->writers)) { /* they waited for room in the one before */
    qn_ready_queue(u->loop, &u->ready);
  }
  rc = qn__udp_arm(u); /* an onlooker may have come first */
  if (rc < 0) {
    u->fd = -1; /* it stays the caller's */
    drop_fd(u);
  } else if (u->traced) {
    qn__udp_trace(u, QN_TRACE_OPEN);
  }
  return rc;
}

static int switch_on(int fd, int level, int option)
{
  int on = 1;
  return setsockopt(fd, level, option, &on, sizeof on) < 0 ? -errno : 0;
}

/* Destination, interface and hop limit of each datagram, for both families of a dual-stack socket.
 */
static int want_details(const qn_udp_t *u, int fd, int domain)
{
  int rc = 0;
  if (domain == AF_INET6) {
    rc = switch_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
    (void)switch_on(fd, IPPROTO_IP, IP_PKTINFO);
    if (rc == 0 && (u->flags & QN_UDP_DETAILS)) {
      rc = switch_on(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT);
      (void)switch_on(fd, IPPROTO_IP, IP_RECVTTL);
    }
    return rc;
  }
  rc = switch_on(fd, IPPROTO_IP, IP_PKTINFO);
  if (rc == 0 && (u->flags & QN_UDP_DETAILS)) {
    rc = switch_on(fd, IPPROTO_IP, IP_RECVTTL);
  }
  return rc;
}

static int set_up(const qn_udp_t *u, int fd, int domain, bool ours)
{
  int rc = 0;
  if (ours) {
    rc = switch_on(fd, SOL_SOCKET, SO_BROADCAST);
    if (rc == 0 && domain == AF_INET6) {
      int only = (u->flags & QN_UDP_V6ONLY) != 0;
      rc = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0 ? -errno : 0;
    }
  }
  if (rc == 0 && (u->flags & QN_UDP_SHARE)) {
    rc = switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
  }
  if (rc == 0 && (u->flags & QN_UDP_REUSE_PORT)) {
    rc = switch_on(fd, SOL_SOCKET, SO_REUSEPORT);
  }
  if (rc == 0 && (u->flags & QN_UDP_ERRORS)) {
    rc = domain == AF_INET6 ? switch_on(fd, IPPROTO_IPV6, IPV6_RECVERR) : 0;
    rc = rc == 0 ? switch_on(fd, IPPROTO_IP, IP_RECVERR) : rc;
  }
  if (rc == 0 && (u->flags & QN_UDP_GRO)) {
    (void)switch_on(fd, IPPROTO_UDP, UDP_GRO); /* an optimisation, may be missing */
  }
  if (rc == 0 && (u->flags & QN_UDP_DETAILS)) {
    rc = want_details(u, fd, domain);
  }
  if (rc == 0 && u->multicast_interface != 0) {
    rc = qn__udp_leave_by(fd, domain, u->multicast_interface);
  }
  return rc == 0 ? qn__sockopts_apply(u->options, fd) : rc;
}

/* AF_UNSPEC: dual stack if the system has IPv6, else IPv4. */
static int open_fd(const qn_udp_t *u, int *domain, int *out)
{
  int ask = *domain != AF_UNSPEC ? *domain : AF_INET6;
  int fd = socket(ask, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 && errno == EAFNOSUPPORT && *domain == AF_UNSPEC && !(u->flags & QN_UDP_V6ONLY)) {
    ask = AF_INET;
    fd = socket(ask, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  }
  if (fd < 0) {
    return -errno;
  }
  int rc = set_up(u, fd, ask, true);
  if (rc < 0) {
    (void)close(fd);
    return rc;
  }
  *domain = ask;
  *out = fd;
  return 0;
}

int qn__udp_need_fd(qn_udp_t *u, int domain)
{
  int fd = -1, rc;
  if (u->fd >= 0) {
    return 0;
  }
  if (domain == AF_UNSPEC && (u->flags & QN_UDP_IPV4)) {
    domain = AF_INET;
  }
  rc = open_fd(u, &domain, &fd);
  if (rc == 0) {
    rc = take_fd(u, fd, domain);
    if (rc < 0) {
      (void)close(fd);
    }
  }
  return rc;
}

/* --- addresses ------------------------------------------------------------------------------- */

socklen_t qn_udp_end_size(const qn_udp_end_t *e)
{
  switch (e->u.sa.sa_family) {
  case AF_INET: return sizeof e->u.in4;
  case AF_INET6: return sizeof e->u.in6;
  default: return 0;
  }
}

void qn_udp_end_addr(const qn_udp_end_t *e, qn_addr_t *out)
{
  *out = (qn_addr_t){.size = qn_udp_end_size(e)};
  memcpy(&out->u, &e->u, out->size);
  qn_addr_unmap(out);
}

void qn_udp_out_to(qn_udp_out_t *o, const qn_addr_t *to)
{
  memset(&o->to, 0, sizeof o->to);
  if (to->size <= sizeof o->to.u && qn_addr_family(to) != QN_FAMILY_UNIX) {
    memcpy(&o->to.u, &to->u, to->size);
  }
}

void qn__udp_map(const qn_udp_t *u, qn_udp_end_t *e)
{
  if (u->domain == AF_INET6 && e->u.sa.sa_family == AF_INET) {
    struct sockaddr_in in4 = e->u.in4;
    memset(e, 0, sizeof *e);
    e->u.in6.sin6_family = AF_INET6;
    e->u.in6.sin6_port = in4.sin_port;
    e->u.in6.sin6_addr.s6_addr[10] = e->u.in6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&e->u.in6.sin6_addr.s6_addr[12], &in4.sin_addr, 4);
  } else if (u->domain == AF_INET && e->u.sa.sa_family == AF_INET6 &&
             IN6_IS_ADDR_V4MAPPED(&e->u.in6.sin6_addr)) {
    struct sockaddr_in6 in6 = e->u.in6;
    memset(e, 0, sizeof *e);
    e->u.in4.sin_family = AF_INET;
    e->u.in4.sin_port = in6.sin6_port;
    memcpy(&e->u.in4.sin_addr, &in6.sin6_addr.s6_addr[12], 4);
  }
}

static int check_ip(const qn_addr_t *a)
{
  qn_family_t family = qn_addr_family(a);
  return family == QN_FAMILY_IPV4 || family == QN_FAMILY_IPV6 ? 0 : QN_E_INVALID;
}

int qn_udp_bind(qn_udp_t *u, const qn_addr_t *local, unsigned mode)
{
  int rc = check_ip(local), fd = -1;
  unsigned before = u->flags;
  if (qn_udp_state(u) != QN_UDP_UNCONNECTED) {
    return u->state == QN_UDP_CLOSED ? QN_E_CLOSED : QN_E_IS_CONNECTED;
  }
  if (rc < 0) {
    return rc;
  }
  bool v6 = qn_addr_family(local) == QN_FAMILY_IPV6, any = qn_addr_is_any(local);
  bool dual = v6 && any && !(u->flags & QN_UDP_V6ONLY);
  int domain = dual ? AF_UNSPEC : v6 ? AF_INET6 : AF_INET;
  qn_addr_t a = *local;
  u->flags |= mode;
  rc = open_fd(u, &domain, &fd);
  if (rc < 0) {
    u->flags = before;
    return rc;
  }
  if (dual && domain == AF_INET) {
    qn_addr_parse(&a, "", qn_addr_port(local), QN_FAMILY_IPV4);
  }
  rc = bind(fd, &a.u.sa, a.size) < 0 ? -errno : 0;
  if (rc == 0 && any) {
    rc = want_details(u, fd, domain);
  }
  if (rc == 0) {
    drop_fd(u); /* of an earlier connection that was dissolved */
    u->local_any = any;
    rc = take_fd(u, fd, domain);
  }
  if (rc < 0) {
    (void)close(fd);
    u->flags = before; /* the next attempt may be for an address of its own */
    return rc;
  }
  qn_addr_t chosen;
  u->local = a;
  if (qn__sock_local(fd, &chosen) == 0) {
    qn_addr_set_port(&u->local, qn_addr_port(&chosen));
  }
  u->state = QN_UDP_BOUND;
  return 0;
}

int qn_udp_connect(qn_udp_t *u, const qn_addr_t *peer)
{
  qn_udp_out_t o = {0};
  int rc = check_ip(peer);
  if (u->state == QN_UDP_CLOSED || u->state == QN_UDP_CONNECTED) {
    return u->state == QN_UDP_CLOSED ? QN_E_CLOSED : QN_E_IS_CONNECTED;
  }
  if (rc < 0) {
    return rc;
  }
  if (qn_udp_state(u) == QN_UDP_UNCONNECTED) {
    drop_fd(u);
  }
  rc = qn__udp_need_fd(u, qn_addr_family(peer) == QN_FAMILY_IPV6 ? AF_INET6 : AF_INET);
  if (rc < 0) {
    return rc;
  }
  qn_udp_out_to(&o, peer);
  qn__udp_map(u, &o.to);
  if (connect(u->fd, &o.to.u.sa, qn_udp_end_size(&o.to)) < 0) {
    return -errno;
  }
  u->state = QN_UDP_CONNECTED;
  return 0;
}

int qn_udp_disconnect(qn_udp_t *u)
{
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  qn_addr_t now;
  if (u->state != QN_UDP_CONNECTED) {
    return u->state == QN_UDP_CLOSED ? QN_E_CLOSED : QN_E_NOT_CONNECTED;
  }
  if (connect(u->fd, &none, sizeof none) < 0) {
    return -errno;
  }
  u->state = u->local.size != 0 ? QN_UDP_BOUND : QN_UDP_UNCONNECTED;
  /* What the kernel chose goes with the connection: also a port that it chose for a bind. */
  if (u->local.size != 0 && (qn__sock_local(u->fd, &now) < 0 || qn_addr_port(&now) == 0) &&
      bind(u->fd, &u->local.u.sa, u->local.size) < 0) {
    u->local.size = 0;
    u->state = QN_UDP_UNCONNECTED;
    return -errno;
  }
  return 0;
}

/* --- making and the end ---------------------------------------------------------------------- */

int qn_udp_new(qn_loop_t *loop, unsigned flags, qn_udp_t **out)
{
  qn_udp_t *u = qn_calloc(1, sizeof *u);
  *out = u;
  if (u == NULL) {
    return -ENOMEM;
  }
  u->loop = loop;
  u->id = qn__loop_next_id(loop);
  u->traced = qn__traced(loop);
  u->fd = -1;
  u->flags = flags;
  qn__list_init(&u->writers);
  qn_ready_init(&u->ready, run_ready);
  qn__object_born(loop, "datagram socket");
  return 0;
}

static int ask(int fd, int option, int *value)
{
  socklen_t size = sizeof *value;
  return getsockopt(fd, SOL_SOCKET, option, value, &size) < 0 ? -errno : 0;
}

int qn_udp_adopt(qn_loop_t *loop, int fd, unsigned flags, qn_udp_t **out)
{
  int type = 0, domain = 0;
  qn_addr_t a;
  *out = NULL;
  int rc = ask(fd, SO_TYPE, &type);
  rc = rc == 0 ? ask(fd, SO_DOMAIN, &domain) : rc;
  if (rc == 0 && (type != SOCK_DGRAM || (domain != AF_INET && domain != AF_INET6))) {
    rc = QN_E_UNSUPPORTED;
  }
  if (rc == 0) {
    rc = qn_udp_new(loop, flags, out);
  }
  if (rc == 0) {
    rc = set_up(*out, fd, domain, false);
    bool bound = qn__sock_local(fd, &a) == 0 && qn_addr_port(&a) != 0;
    (*out)->local_any = bound && qn_addr_is_any(&a);
    (*out)->state = bound ? QN_UDP_BOUND : QN_UDP_UNCONNECTED;
    if (bound && qn__sock_peer(fd, &a) == 0) {
      (*out)->state = QN_UDP_CONNECTED;
    }
  }
  if (rc == 0 && (*out)->local_any) {
    rc = want_details(*out, fd, domain);
  }
  if (rc == 0) {
    rc = take_fd(*out, fd, domain);
  }
  if (rc < 0) {
    qn_udp_release(*out);
    *out = NULL;
  }
  return rc;
}

void qn_udp_close(qn_udp_t *u)
{
  if (u->state == QN_UDP_CLOSED) {
    return;
  }
  u->state = QN_UDP_CLOSED;
  drop_fd(u);
  qn_ready_drop(&u->ready);
  qn__udp_drop_batch(u);
  u->error = 0;
  if (u->reader != NULL) {
    qn_op_cancel(u->reader, QN_E_CLOSED);
  }
  if (u->onlooker != NULL) {
    qn_op_cancel(u->onlooker, QN_E_CLOSED);
  }
  while (!qn__list_empty(&u->writers)) {
    qn_op_cancel(QN__CONTAINER(u->writers.next, qn_op_t, link), QN_E_CLOSED);
  }
}

void qn_udp_release(qn_udp_t *u)
{
  if (u == NULL) {
    return;
  }
  qn_udp_close(u);
  qn__object_gone(u->loop, "datagram socket");
  qn__sockopts_free(u->options);
  qn_free(u);
}

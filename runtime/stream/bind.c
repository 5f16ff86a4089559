/* bind.c: the sockets of streams that are going to connect: options, local address, descriptor.
 *
 * Called by dial.c for each attempt and by embedders that bind first. Must not connect (f_socket.c
 * does). Invariant: a binding belongs to one dial; its first attempt takes the descriptor that was
 * bound, later attempts bind a new one to the same address and port.
 */
#include "qn/dial.h"

#include "net/sock.h"
#include "stream/dial_i.h"
#include "stream/f_socket.h"

#include <errno.h>

typedef struct binding {
  int fd; /* -1 once an attempt has taken it */
  unsigned flags;
  qn_addr_t local;
} binding_t;

static binding_t *binding_of(const qn_stream_t *s) { return qn__stream_slot(s, QN__SLOT_BIND); }

static void free_binding(void *p)
{
  binding_t *b = p;
  qn__sock_close(b->fd, false);
  qn_free(b);
}

int qn__dial_bound_fd(const qn_stream_t *s)
{
  binding_t *b = binding_of(s);
  return b != NULL ? b->fd : -1;
}

int qn__dial_bound_addr(const qn_stream_t *s, qn_addr_t *out)
{
  binding_t *b = binding_of(s);
  if (b == NULL) {
    return QN_E_NOT_CONNECTED;
  }
  *out = b->local;
  qn_addr_unmap(out);
  return 0;
}

void qn__dial_unbind(qn_stream_t *s)
{
  if (binding_of(s) != NULL) {
    qn__stream_set_slot(s, QN__SLOT_BIND, NULL, NULL);
  }
}

static bool same_family(const qn_addr_t *a, const qn_addr_t *b)
{
  return a->u.sa.sa_family == b->u.sa.sa_family;
}

bool qn__dial_can_reach(const qn_stream_t *s, const qn_addr_t *local, const qn_addr_t *peer)
{
  binding_t *b = binding_of(s);
  if (local == NULL && b != NULL) {
    local = &b->local;
  }
  return local == NULL || same_family(local, peer) || qn_addr_is_any(local);
}

static unsigned bind_flags(unsigned mode)
{
  switch (mode) {
  case QN_BIND_EXCLUSIVE: return 0;
  case QN_BIND_SHARE: return QN__SOCK_REUSE_ADDRESS | QN__SOCK_REUSE_PORT;
  default: return QN__SOCK_REUSE_ADDRESS;
  }
}

/* A socket for `a` with our defaults and with the options that wait for one. */
static int open_socket(const qn_stream_t *s, const qn_addr_t *a, int *fd)
{
  int rc = qn__sock_open(a, fd);
  if (rc == 0 && qn_addr_family(a) != QN_FAMILY_UNIX) {
    rc = qn__sock_nodelay(*fd);
  }
  if (rc == 0) {
    rc = qn__sockopts_apply(qn__stream_slot(s, QN__SLOT_OPTIONS), *fd);
  }
  if (rc < 0) {
    qn__sock_close(*fd, false);
    *fd = -1;
  }
  return rc;
}

static bool is_mode(unsigned mode)
{
  return mode == 0 || mode == QN_BIND_SHARE || mode == QN_BIND_EXCLUSIVE ||
         mode == QN_BIND_REUSE_HINT;
}

int qn_stream_bind(qn_stream_t *s, const qn_addr_t *local, unsigned mode)
{
  int rc;
  if (qn_stream_is_closed(s)) {
    return QN_E_CLOSED;
  }
  if (qn_stream_state(s) != QN_STATE_UNCONNECTED || qn_stream_top(s) != NULL) {
    return QN_E_IS_CONNECTED;
  }
  if (local->size == 0 || !is_mode(mode)) {
    return QN_E_INVALID;
  }
  if (qn_addr_family(local) == QN_FAMILY_UNIX) {
    return QN_E_UNSUPPORTED;
  }
  binding_t *b = qn_calloc(1, sizeof *b);
  if (b == NULL) {
    return -ENOMEM;
  }
  b->flags = bind_flags(mode);
  b->local = *local;
  rc = open_socket(s, local, &b->fd);
  if (rc == 0) {
    rc = qn__sock_bind(b->fd, local, b->flags);
  }
  if (rc == 0) {
    qn_addr_t chosen;
    rc = qn__sock_local(b->fd, &chosen);
    qn_addr_set_port(&b->local, qn_addr_port(&chosen));
  }
  if (rc == 0) {
    rc = qn__stream_set_slot(s, QN__SLOT_BIND, b, free_binding);
  }
  if (rc < 0) {
    free_binding(b);
    return rc;
  }
  qn__stream_set_state(s, QN_STATE_BOUND);
  return 0;
}

/* Binds to `local`, or to the any-address of the peer's family with the same port. */
static int bind_for(int fd, const qn_addr_t *local, unsigned flags, const qn_addr_t *peer)
{
  qn_addr_t other;
  if (qn_addr_family(local) == QN_FAMILY_UNIX) {
    return QN_E_UNSUPPORTED;
  }
  if (!same_family(local, peer)) {
    if (!qn_addr_is_any(local)) {
      return -EAFNOSUPPORT;
    }
    qn_addr_parse(&other, "", qn_addr_port(local), qn_addr_family(peer));
    local = &other;
  }
  return qn__sock_bind(fd, local, flags);
}

int qn__f_socket_dial(qn_stream_t *s, const qn_addr_t *peer, const qn_addr_t *local,
                      unsigned bind_mode, qn_filter_t **out)
{
  binding_t *b = local == NULL ? binding_of(s) : NULL;
  int fd, rc;
  *out = NULL;
  if (b != NULL && b->fd >= 0) {
    fd = b->fd;
    b->fd = -1;
    if (same_family(&b->local, peer)) {
      return qn__f_socket_connect(qn_stream_loop(s), fd, peer, out);
    }
    qn__sock_close(fd, false);
  }
  rc = open_socket(s, peer, &fd);
  if (rc < 0) {
    return rc;
  }
  if (local != NULL) {
    rc = bind_for(fd, local, bind_flags(bind_mode) | QN__SOCK_LATE_PORT, peer);
  } else if (b != NULL) {
    rc = bind_for(fd, &b->local, b->flags, peer);
  }
  if (rc < 0) {
    qn__sock_close(fd, false);
    return rc;
  }
  return qn__f_socket_connect(qn_stream_loop(s), fd, peer, out);
}

/* udp_trace.c: what a datagram socket does, for the loop's trace function.
 *
 * Called by the other files of datagram sockets when the loop had a trace function while the socket
 * was made. A datagram is reported when the kernel has taken or given it, which is before anybody
 * reads it; those that the kernel had joined, one by one.
 */
#include "net/sock.h"
#include "net/udp_p.h"

static void report(const qn_udp_t *u, qn_trace_what_t what, qn_slice_t bytes, int err,
                   const qn_addr_t *peer)
{
  qn_trace_event_t e = {.what = what,
                        .id = u->id,
                        .layer = "udp",
                        .bytes = bytes,
                        .error = err,
                        .peer = peer->size != 0 ? peer : NULL};
  qn__trace(u->loop, &e);
}

/* The one it is connected to, also when it is about to close; size 0: it is not. */
static qn_addr_t connected_to(const qn_udp_t *u)
{
  qn_addr_t a;
  if (qn__sock_peer(u->fd, &a) < 0) {
    a.size = 0;
  }
  return a;
}

void qn__udp_trace(const qn_udp_t *u, qn_trace_what_t what)
{
  qn_addr_t peer = connected_to(u);
  report(u, what, (qn_slice_t){0}, 0, &peer);
}

void qn__udp_trace_sent(const qn_udp_t *u, const qn_udp_out_t *v, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    qn_addr_t to;
    if (qn_udp_end_size(&v[i].to) > 0) {
      qn_udp_end_addr(&v[i].to, &to);
    } else {
      to = connected_to(u);
    }
    report(u, QN_TRACE_WRITE, v[i].data, 0, &to);
  }
}

void qn__udp_trace_received(const qn_udp_t *u)
{
  for (uint32_t i = u->at; i < u->n; i++) {
    const qn__udp_item_t *item = &u->items[i];
    qn_slice_t left = {item->data, item->size};
    qn_addr_t from;
    qn_udp_end_addr(&item->info.from, &from);
    do { /* a datagram may be empty */
      size_t size = item->segment != 0 && left.size > item->segment ? item->segment : left.size;
      report(u, QN_TRACE_READ, (qn_slice_t){left.data, size}, 0, &from);
      left = (qn_slice_t){left.data + size, left.size - size};
    } while (left.size > 0);
  }
}

void qn__udp_trace_error(const qn_udp_t *u, int err, const qn_addr_t *peer)
{
  qn_addr_t to = peer->size != 0 ? *peer : connected_to(u);
  report(u, QN_TRACE_ERROR, (qn_slice_t){0}, err, &to);
}

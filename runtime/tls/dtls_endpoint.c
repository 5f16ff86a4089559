/* dtls_endpoint.c: reading the socket: whose datagram is it?
 *
 * One operation waits on the socket for as long as the endpoint is open; at most BUDGET datagrams
 * are looked at in a turn. A datagram goes to the association of its sender, a ClientHello of
 * somebody unknown to the server, the rest is dropped and counted. Must not use a datagram after
 * it was handed on. Invariant: closed = `u` is NULL; then nothing of it waits or is in a list.
 */
#include "tls/dtls_i.h"

#include "qn/crypto.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define BUDGET 64

/* --- one datagram ----------------------------------------------------------------------------- */

/* The peer of an established association begins anew, or its old ClientHello comes late. */
static void hello_again(qn_dtls_endpoint_t *e, qn_dtls_t *a, qn_slice_t d,
                        const qn__dtls_hello_t *h, const qn_addr_t *peer, const qn_udp_info_t *info)
{
  if (memcmp(h->random, a->random, sizeof a->random) == 0) {
    qn__dtls_step(a, d, false); /* OpenSSL knows what is late */
  } else if (a->heir != NULL && memcmp(h->random, a->heir->random, sizeof a->random) == 0) {
    qn__dtls_step(a->heir, d, false);
  } else if (e->listening && !(a->state == QN_DTLS_HANDSHAKE && e->opts.no_cookies)) {
    qn__dtls_hello(e, d, h, peer, info, a);
  } else {
    a->stats.discarded++;
  }
}

void qn__dtls_input(qn_dtls_endpoint_t *e, qn_slice_t d, const qn_udp_info_t *info)
{
  qn_addr_t peer;
  qn__dtls_key_t key;
  qn__dtls_hello_t h;
  e->stats.received++;
  qn_udp_end_addr(&info->from, &peer);
  qn__dtls_key(&key, &peer);
  qn_dtls_t *a = qn__dtls_find(e, &key);
  if (d.size == 0 || d.data[0] < 20 || d.data[0] > 63) {
    qn__dtls_keep_other(e, d, info);
    return;
  }
  if (!qn__dtls_record(d)) {
    e->stats.invalid++;
    return;
  }
  bool hello = qn__dtls_parse_hello(d, &h);
  if (a == NULL) {
    if (hello && e->listening) {
      qn__dtls_hello(e, d, &h, &peer, info, NULL);
    } else {
      e->stats.invalid++;
    }
  } else if (hello && a->t->server) {
    hello_again(e, a, d, &h, &peer, info);
  } else if (a->heir == NULL) {
    qn__dtls_step(a, d, false);
  } else if (d.data[3] == 0 && d.data[4] == 0) { /* epoch 0: not of an established one */
    qn__dtls_step(a->heir, d, false);
  } else { /* may be of either, which only its keys can tell */
    qn_dtls_t *heir = a->heir;
    qn_dtls_retain(heir);
    qn__dtls_step(a, d, false);
    qn__dtls_step(heir, d, false);
    qn_dtls_release(heir);
  }
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The kernel reports an ICMP message. It can be forged, so only a handshake that we have begun ends
 * by it. */
static void on_error(qn_dtls_endpoint_t *e, int err, const qn_addr_t *about)
{
  qn_addr_t peer = *about;
  qn__dtls_key_t key;
  if (peer.size == 0 && qn_udp_peer_addr(e->u, &peer) < 0) {
    return;
  }
  qn__dtls_key(&key, &peer);
  qn_dtls_t *a = qn__dtls_find(e, &key);
  if (a != NULL && !a->t->server && a->state == QN_DTLS_HANDSHAKE && err != QN_E_DGRAM_SIZE) {
    qn__dtls_end(a, err);
  } else if (a != NULL && err == QN_E_DGRAM_SIZE) {
    qn__dtls_lower_mtu(a);
  }
}

static void shut(qn_dtls_endpoint_t *e, int err);

static void read_some(qn_dtls_endpoint_t *e)
{
  for (int i = 0; i < BUDGET && e->u != NULL; i++) {
    qn_slice_t d;
    qn_udp_info_t info;
    qn_addr_t peer = {0};
    int rc = qn_udp_peek(e->u, &d, &info, &peer);
    if (rc == 0) {
      qn__dtls_input(e, d, &info);
      if (e->u != NULL) {
        qn_udp_take(e->u, d.size);
      }
      continue;
    }
    if (rc == QN_AGAIN) {
      rc = qn_udp_wait(e->u, &e->op);
      if (rc == QN_AGAIN) {
        return;
      }
    }
    if (rc == QN_E_CLOSED || rc == QN_E_BUSY || rc == QN_E_NOT_CONNECTED) {
      shut(e, rc);
      return;
    }
    if (rc < 0) {
      on_error(e, rc, &peer);
    }
  }
  if (e->u != NULL) {
    qn_ready_queue(e->loop, &e->again);
  }
}

static void on_readable(qn_op_t *op)
{
  qn_dtls_endpoint_t *e = QN__CONTAINER(op, qn_dtls_endpoint_t, op);
  e->refs++;
  if (op->result < 0) {
    shut(e, (int)op->result);
  } else {
    read_some(e);
  }
  qn_dtls_endpoint_release(e);
}

static void run_again(qn_ready_t *r)
{
  qn_dtls_endpoint_t *e = QN__CONTAINER(r, qn_dtls_endpoint_t, again);
  e->refs++;
  read_some(e);
  qn_dtls_endpoint_release(e);
}

/* --- life ------------------------------------------------------------------------------------- */

/* Datagrams are not fragmented on their way (RFC 6347, 4.1.1.1); the kernel says when one is too
 * large. Where that cannot be set, the default size is small enough. */
static void forbid_fragments(const qn_udp_t *u)
{
  int fd = qn_udp_fd(u), on = IP_PMTUDISC_DO, on6 = IPV6_PMTUDISC_DO;
  if (fd >= 0) {
    (void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &on6, sizeof on6);
  }
}

int qn_dtls_endpoint_new(qn_loop_t *loop, qn_udp_t *u, bool owned, qn_dtls_endpoint_t **out)
{
  qn_dtls_endpoint_t *e = qn_calloc(1, sizeof *e);
  if (e == NULL) {
    return -ENOMEM;
  }
  e->refs = 1;
  e->loop = loop;
  e->held = true;
  e->owned = owned;
  e->send = qn_udp_send;
  qn__list_init(&e->shaking);
  qn__list_init(&e->ready);
  qn__list_init(&e->notes);
  qn__list_init(&e->acceptors);
  qn_op_init(&e->op, loop, on_readable);
  qn_ready_init(&e->again, run_again);
  int rc = qn_random(&e->seed, sizeof e->seed);
  rc = rc < 0 ? rc : qn_udp_wait(u, &e->op);
  if (rc < 0 && rc != QN_AGAIN) {
    qn_free(e);
    return rc;
  }
  if (rc == 0) {
    qn_ready_queue(loop, &e->again);
  }
  if (owned) {
    forbid_fragments(u);
  }
  e->u = u;
  qn__object_born(loop, "DTLS endpoint");
  *out = e;
  return 0;
}

static void end_all(qn_dtls_endpoint_t *e, int err)
{
  for (size_t i = 0; i < e->buckets; i++) {
    while (e->table[i] != NULL) {
      qn__dtls_end(e->table[i], err);
    }
  }
}

static void shut(qn_dtls_endpoint_t *e, int err)
{
  qn_udp_t *u = e->u;
  if (u == NULL || e->shutting) {
    return;
  }
  e->shutting = true; /* the last association that ends comes here, too */
  e->refs++;
  qn_dtls_stop(e);
  end_all(e, err);
  e->u = NULL;
  qn_op_forget(&e->op);
  qn_ready_drop(&e->again);
  if (e->owned) {
    qn_udp_close(u);
  }
  qn_dtls_endpoint_release(e);
}

void qn__dtls_endpoint_check(qn_dtls_endpoint_t *e)
{
  if (!e->held && e->count == 0) {
    shut(e, QN_E_CLOSED);
  }
}

void qn_dtls_endpoint_close(qn_dtls_endpoint_t *e) { shut(e, QN_E_CLOSED); }

void qn_dtls_endpoint_release(qn_dtls_endpoint_t *e)
{
  if (e == NULL || --e->refs != 0) {
    return;
  }
  e->refs = 1; /* what ends meanwhile may look at it */
  shut(e, QN_E_CLOSED);
  qn__dtls_drop_others(e);
  qn_tls_config_release(e->config);
  qn__object_gone(e->loop, "DTLS endpoint");
  qn_free(e->table);
  qn_free(e);
}

bool qn_dtls_endpoint_is_closed(const qn_dtls_endpoint_t *e) { return e->u == NULL; }

/* udp_p.h: the inside of a datagram socket, shared by udp*.c only.
 *
 * udp.c makes and ends it and watches for readiness, udp_recv.c owns the batch, udp_send.c sends,
 * udp_group.c does multicast, udp_trace.c reports. Invariant: `fd` and `watcher` come and go
 * together.
 */
#ifndef QN_UDP_P_H
#define QN_UDP_P_H

#include "qn/udp.h"

#include "base/assert.h"
#include "loop/loop_i.h"
#include "net/sockopt.h"
#include "net/trace.h"

typedef struct qn__udp_watcher qn__udp_watcher_t;
typedef struct qn__udp_area qn__udp_area_t;

/* A received datagram (or several that the kernel joined) that nobody has taken yet. */
typedef struct qn__udp_item {
  const uint8_t *data;
  uint32_t size;    /* bytes there */
  uint32_t segment; /* size of each joined datagram; 0: it is one */
  qn_udp_info_t info;
} qn__udp_item_t;

struct qn_udp {
  qn_loop_t *loop;
  uint64_t id;
  qn__udp_watcher_t *watcher; /* the poll handle; NULL without a descriptor */
  int fd, domain;
  unsigned flags;
  qn_udp_state_t state;
  int armed;        /* events that the poll handle watches for */
  bool readable;    /* the kernel may have something */
  bool told;        /* it said so and nobody has looked */
  bool blocked;     /* it refused a send; writers wait */
  bool has_error;   /* it reports an error: look into the error queue, too */
  bool local_any;   /* bound to every address: datagrams say where they were sent to */
  qn_addr_t local;  /* what it was bound to, with the port; size 0: never */
  bool has_control; /* something was asked for that comes beside the bytes */
  bool traced;      /* the loop had a trace function when it was made */
  bool no_gso;      /* segmented sends do not work here */
  unsigned multicast_interface;
  qn_op_t *reader, *onlooker;
  uint64_t mark; /* of the onlooker */
  qn_list_t writers;
  qn_ready_t ready;
  qn__sockopts_t *options;
  /* the batch: items[at..n), in the loop's area or in a block of our own */
  qn__udp_area_t *area;
  void *block;
  qn__udp_item_t *items;
  uint32_t at, n, offset; /* offset: into a joined item */
  int error;              /* waits to be told; comes behind the batch */
  qn_addr_t error_peer;
  uint64_t taken, kernel_drops;
  qn_udp_stats_t stats;
};

/* udp.c */
int qn__udp_arm(qn_udp_t *u);
/* Makes a descriptor and binds it to nothing; `domain` AF_UNSPEC: dual stack when there is IPv6. */
int qn__udp_need_fd(qn_udp_t *u, int domain);
/* Puts an IPv4 address into the form that the socket takes. */
void qn__udp_map(const qn_udp_t *u, qn_udp_end_t *e);

/* udp_trace.c: to be called when u->traced only */
void qn__udp_trace(const qn_udp_t *u, qn_trace_what_t what);
void qn__udp_trace_sent(const qn_udp_t *u, const qn_udp_out_t *v, size_t n);
/* All of the batch. */
void qn__udp_trace_received(const qn_udp_t *u);
/* `peer` may have no size: it is not known. */
void qn__udp_trace_error(const qn_udp_t *u, int err, const qn_addr_t *peer);

/* udp_group.c */
int qn__udp_leave_by(int fd, int domain, unsigned interface);

/* udp_recv.c */
/* Fetches when the batch is empty and the kernel may have something. */
void qn__udp_fill(qn_udp_t *u);
static inline bool qn__udp_has(const qn_udp_t *u) { return u->at < u->n || u->error != 0; }
void qn__udp_drop_batch(qn_udp_t *u);
/* Takes one report out of the error queue: false when it is empty. */
bool qn__udp_next_report(qn_udp_t *u);
void qn__udp_wake_onlooker(qn_udp_t *u);

#endif

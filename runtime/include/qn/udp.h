/* qn/udp.h: datagram sockets: bind, connect, send and receive, one at a time or many at once.
 *
 * Nothing is queued for sending: a datagram is with the kernel, or the call says why not. What was
 * received and not taken yet is one batch at most (QN_UDP_BATCH datagrams); the kernel keeps the
 * rest, bounded by its receive buffer, and counts what it drops. One reader at a time. A
 * cancelled wait loses no datagram: they are taken out only by qn_udp_take.
 */
#ifndef QN_UDP_H
#define QN_UDP_H

#include "qn/addr.h"
#include "qn/op.h"

#define QN_UDP_BATCH 16u            /* datagrams of one receiving system call */
#define QN_UDP_SEND_BATCH 64u       /* datagrams of one sending call */
#define QN_UDP_MAX 65507u           /* payload of the largest IPv4 datagram */
#define QN_UDP_QUEUE_BYTES 1048576u /* memory that a batch can take */

typedef struct qn_udp qn_udp_t;

/* How others may use the port, and what the socket reports. */
typedef enum qn_udp_flags {
  QN_UDP_SHARE = 1,      /* several sockets that all say so (SO_REUSEADDR) */
  QN_UDP_REUSE_PORT = 2, /* the kernel spreads datagrams over the sockets that say so */
  QN_UDP_V6ONLY = 4,     /* an IPv6 socket does not take IPv4 */
  QN_UDP_ERRORS = 8,     /* ICMP errors of unconnected sockets are reported, with their peer */
  QN_UDP_GRO = 16,       /* the kernel may join datagrams; they are taken apart here */
  QN_UDP_DETAILS = 32,   /* destination, interface and hop limit of each datagram, always */
  QN_UDP_IPV4 = 64       /* a socket that is bound by its first datagram is an IPv4 one */
} qn_udp_flags_t;

/* An IP endpoint without the slack of a qn_addr_t. As the kernel gave it: IPv4 on a dual-stack
 * socket is mapped. */
typedef struct qn_udp_end {
  union {
    struct sockaddr sa;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
  } u;
} qn_udp_end_t;
QN_API socklen_t qn_udp_end_size(const qn_udp_end_t *e); /* 0: none */
/* Unmapped. */
QN_API void qn_udp_end_addr(const qn_udp_end_t *e, qn_addr_t *out);

/* What came with a datagram. */
typedef struct qn_udp_info {
  qn_udp_end_t from;
  struct in6_addr to;     /* where it was sent to (IPv4 mapped); valid with `has_to` */
  struct in6_addr answer; /* the local address to answer from; all zero: the kernel chooses */
  uint32_t interface;     /* 0: unknown */
  uint32_t size;          /* of the whole datagram */
  int16_t hop_limit;      /* -1: unknown */
  bool has_to;
  bool truncated; /* the socket was given more than it had room for */
} qn_udp_info_t;

/* No descriptor yet; `flags` hold for each that it makes. */
QN_API int qn_udp_new(qn_loop_t *loop, unsigned flags, qn_udp_t **out);
/* A descriptor of the caller, which belongs to the socket from now on. QN_E_UNSUPPORTED: no
 * datagram socket of IP; then it stays the caller's. */
QN_API int qn_udp_adopt(qn_loop_t *loop, int fd, unsigned flags, qn_udp_t **out);
/* The any-address of IPv6 is dual stack unless QN_UDP_V6ONLY, and becomes that of IPv4 on systems
 * without IPv6. QN_E_IS_CONNECTED: bound or connected already. `mode`: flags for this one, or 0. */
QN_API int qn_udp_bind(qn_udp_t *u, const qn_addr_t *local, unsigned mode);
/* Only datagrams of `peer` are received and it is where they go by default. */
QN_API int qn_udp_connect(qn_udp_t *u, const qn_addr_t *peer);
QN_API int qn_udp_disconnect(qn_udp_t *u);
typedef enum qn_udp_state {
  QN_UDP_UNCONNECTED,
  QN_UDP_BOUND,
  QN_UDP_CONNECTED,
  QN_UDP_CLOSED
} qn_udp_state_t;
QN_API qn_udp_state_t qn_udp_state(const qn_udp_t *u);
/* Waiting operations settle with QN_E_CLOSED, what was not taken is dropped. Idempotent. */
QN_API void qn_udp_close(qn_udp_t *u);
QN_API void qn_udp_release(qn_udp_t *u);

/* 0: something is there (a datagram or an error: qn_udp_peek tells); QN_AGAIN: `op` settles with 0
 * when something is; QN_E_BUSY, QN_E_CLOSED, QN_E_NOT_CONNECTED (bound to nothing). */
QN_API int qn_udp_wait(qn_udp_t *u, qn_op_t *op);
/* The same for an onlooker who takes nothing: settles when something is there and `mark` is not
 * qn_udp_taken(u): so each waits until the last one was looked at. A socket without a descriptor is
 * waited for, too. */
QN_API int qn_udp_watch(qn_udp_t *u, uint64_t mark, qn_op_t *op);
/* Number of datagrams and errors that have been taken. */
QN_API uint64_t qn_udp_taken(const qn_udp_t *u);
/* The first datagram: 0, and it stays until qn_udp_take. Else the error that waits (it is taken
 * with that, `peer` says about whom, if known), or QN_AGAIN: nothing there. `data` is valid until
 * the next call on any datagram socket of the loop. */
QN_API int qn_udp_peek(qn_udp_t *u, qn_slice_t *data, qn_udp_info_t *info, qn_addr_t *peer);
/* Takes it out; the taker has kept at most `most` bytes of it. */
QN_API void qn_udp_take(qn_udp_t *u, size_t most);
/* Size of the first datagram; QN_AGAIN: there is none. Errors stay where they are. */
QN_API int64_t qn_udp_pending(qn_udp_t *u);
/* Whether one can be taken without waiting; asks the kernel only when it may have some. */
QN_API bool qn_udp_has_next(qn_udp_t *u);

/* One datagram to be sent. */
typedef struct qn_udp_out {
  qn_slice_t data;
  qn_udp_end_t to;             /* family AF_UNSPEC: the peer of a connected socket */
  const qn_udp_info_t *answer; /* answers this one: leaves from the address that it came to */
} qn_udp_out_t;
QN_API void qn_udp_out_to(qn_udp_out_t *o, const qn_addr_t *to);

/* 0 sent; QN_AGAIN the kernel has no room now; QN_E_DGRAM_SIZE too large; QN_E_NOT_CONNECTED no
 * destination; or what the kernel says (of a connected socket also the answer to an earlier
 * datagram, such as -ECONNREFUSED). A socket without a descriptor is bound to any port first. */
QN_API int qn_udp_send(qn_udp_t *u, const qn_udp_out_t *o);
/* Sends up to QN_UDP_SEND_BATCH of them in few system calls, equal sizes to one destination in one
 * segmented send where the kernel can. The number sent (> 0), or why the first one was not. */
QN_API int qn_udp_send_many(qn_udp_t *u, const qn_udp_out_t *v, size_t n);
/* QN_AGAIN: `op` settles with 0 when sending may work again. */
QN_API int qn_udp_wait_writable(qn_udp_t *u, qn_op_t *op);

/* Multicast. `interface` is an index, 0: the system chooses; `source` NULL: any. The socket must be
 * bound. */
QN_API int qn_udp_join(qn_udp_t *u, const qn_addr_t *group, unsigned interface,
                       const qn_addr_t *source);
QN_API int qn_udp_leave(qn_udp_t *u, const qn_addr_t *group, unsigned interface,
                        const qn_addr_t *source);
/* Through which interface multicast is sent; 0: the system chooses. */
QN_API int qn_udp_set_multicast_interface(qn_udp_t *u, unsigned interface);
QN_API int qn_udp_multicast_interface(qn_udp_t *u, unsigned *interface);
/* The index of the interface that has this address, or a negative error. */
QN_API int qn_udp_interface_of(const qn_addr_t *a);

/* Facts. */
QN_API int qn_udp_fd(const qn_udp_t *u);      /* -1: none */
QN_API uint64_t qn_udp_id(const qn_udp_t *u); /* per loop, from 1; what traces show */
QN_API int qn_udp_local_addr(const qn_udp_t *u, qn_addr_t *out);
QN_API int qn_udp_peer_addr(const qn_udp_t *u, qn_addr_t *out);
/* Which addresses it can send to: QN_FAMILY_ANY for dual stack, and while there is no descriptor.
 */
QN_API qn_family_t qn_udp_family(const qn_udp_t *u);
/* Options as in qn/sockopt.h; before there is a descriptor they are kept for it. */
QN_API int qn_udp_set_option(qn_udp_t *u, const char *name, int64_t value);
QN_API int qn_udp_get_option(qn_udp_t *u, const char *name, int64_t *value);

typedef struct qn_udp_stats {
  uint64_t received, received_bytes; /* datagrams taken */
  uint64_t sent, sent_bytes;
  uint64_t dropped; /* by the kernel: receive buffer full, bad checksum */
  uint64_t truncated;
  uint64_t calls; /* receiving and sending system calls */
  size_t queued;  /* fetched, not taken */
} qn_udp_stats_t;
QN_API void qn_udp_get_stats(qn_udp_t *u, qn_udp_stats_t *out);

#endif

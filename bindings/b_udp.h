/* b_udp.h: what the bindings of datagram sockets share: the userdata and how errors name their
 * peer.
 *
 * Private to b_udp.c, b_udp_facts.c, b_udp_recv.c, b_udp_send.c and b_datagram.c. The userdata of
 * a socket has one user value: the last datagram that was handed out, which is handed out again
 * when the next one came the same way.
 */
#ifndef QNL_B_UDP_H
#define QNL_B_UDP_H

#include "qn/udp.h"

#include "sched.h"

typedef struct qnl_udp {
  qnl_box_t box; /* obj = this struct while it is alive */
  qn_udp_t *u;
  qn_op_t *lookup; /* of a connect that looks its host up */
  bool observed;   /* somebody listens to its events */
  bool listened;   /* and gets the datagrams: nobody else does */
} qnl_udp_t;

/* User values of a datagram. */
enum { QNL_DATAGRAM_SOCKET = 1, QNL_DATAGRAM_DATA = 2 };

typedef struct qnl_datagram {
  qnl_box_t box; /* obj = this struct */
  qn_udp_info_t info;
} qnl_datagram_t;

static inline qnl_udp_t *qnl_check_udp(lua_State *L, int idx)
{
  return qnl_check(L, idx, &qnl_class_udp);
}

/* Pushes a datagram value that belongs to the socket at `socket_idx`. */
qnl_datagram_t *qnl_push_datagram(lua_State *L, int socket_idx, const qn_udp_info_t *info);
/* nil, err: `peer` NULL or of size 0: the peer of a connected socket, or none. */
int qnl_udp_fail(lua_State *L, const qnl_udp_t *u, int code, const char *op, const qn_addr_t *peer);
void qnl_udp_push_error(lua_State *L, const qnl_udp_t *u, int code, const char *op,
                        const qn_addr_t *peer);

/* b_udp_facts.c, b_udp_recv.c, b_udp_send.c: their methods are added to the class. */
extern const qnl_method_t qnl_udp_fact_methods[], qnl_udp_recv_methods[], qnl_udp_send_methods[];
extern const qnl_method_t qnl_udp_recv_functions[];
/* datagram:reply(data) */
int qnl_datagram_reply(lua_State *L);

#endif

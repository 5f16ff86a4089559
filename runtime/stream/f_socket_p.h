/* f_socket_p.h: the inside of the socket filter, for f_socket.c (readiness, life) and f_socket_io.c
 * (bytes) and nobody else.
 */
#ifndef QN_STREAM_F_SOCKET_P_H
#define QN_STREAM_F_SOCKET_P_H

#include "loop/loop_i.h"
#include "stream/stream_i.h"

typedef enum phase { PHASE_NEW, PHASE_CONNECTING, PHASE_UP } phase_t;

typedef struct f_socket {
  qn_filter_t filter; /* first */
  qn_loop_t *loop;
  struct qn__watcher *watcher; /* NULL once it is gone */
  int fd;                      /* -1 after close */
  int armed;                   /* UV_READABLE | UV_WRITABLE as the poll handle has them */
  int read_error, write_error;
  phase_t phase;
  bool reading; /* somebody has asked for bytes */
  bool paused;
  bool readable; /* recv may have something */
  bool told;     /* the kernel said so and nobody has received since */
  bool hold;     /* keep POLLIN off until the next recv */
  bool ended;
  bool blocked;  /* the kernel took less than we had: wait for POLLOUT */
  bool finished; /* FIN was sent */
  qn_buf_t out;
  /* The peer's address: kept, because after a reset the kernel no longer knows it, and only as long
   * as it is, because a qn_addr_t would be a third of an idle connection. */
  socklen_t peer_size;
  _Alignas(8) uint8_t peer[];
} f_socket_t;

static inline f_socket_t *qn__socket(qn_filter_t *f)
{
  return QN__CONTAINER(f, f_socket_t, filter);
}

/* f_socket.c: watches for what is wanted now. 0 or an error. */
int qn__socket_arm(f_socket_t *s);

/* f_socket_io.c: operations of the filter. */
int64_t qn__socket_fill(qn_filter_t *f);
int qn__socket_write(qn_filter_t *f, const qn_slice_t *v, int n);
int qn__socket_flush(qn_filter_t *f);
int qn__socket_finish(qn_filter_t *f);

#endif

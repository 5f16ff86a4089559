/* qn/trace.h: the wire trace. While a loop has a trace function, each new socket stream gets a
 * trace filter that reports every piece of data with its direction, and each new datagram socket
 * reports its datagrams; without one nothing of it is there and it costs nothing.
 */
#ifndef QN_TRACE_H
#define QN_TRACE_H

#include "qn/addr.h"
#include "qn/loop.h"

typedef enum qn_trace_what {
  QN_TRACE_OPEN, /* the layer below is up, the descriptor is there */
  QN_TRACE_READ, /* of datagram sockets: one event for each datagram */
  QN_TRACE_WRITE,
  QN_TRACE_END,    /* the peer ended its writing side */
  QN_TRACE_FINISH, /* we ended ours */
  QN_TRACE_CLOSE,
  QN_TRACE_ERROR,
  QN_TRACE_NOTE,    /* a layer says in words what it has done, */
  QN_TRACE_NOTE_IN, /* received, */
  QN_TRACE_NOTE_OUT /* sent */
} qn_trace_what_t;

typedef struct qn_trace_event {
  qn_trace_what_t what;
  uint64_t id;       /* of the stream or datagram socket (qn_stream_id, qn_udp_id) */
  const char *layer; /* name of the layer below the trace, or that speaks: "socket", "udp", "tls"
                      */
  qn_slice_t bytes;  /* READ, WRITE: data, NOTE...: text; valid during the call */
  int error;         /* ERROR */
  const qn_addr_t *peer; /* NULL when it is not known */
} qn_trace_event_t;

/* Takes notes only: it must not call into streams or sockets. */
typedef void (*qn_trace_fn)(const qn_trace_event_t *e, void *data);
/* For streams and datagram sockets that are made from now on; NULL switches it off for all. */
QN_API void qn_loop_set_trace(qn_loop_t *loop, qn_trace_fn fn, void *data);
/* A ready-made function: `> #3 12:00:00.123 127.0.0.1:80 5 bytes` (`>` out, `<` in, `*` others) and
 * a hex + ASCII dump, 16 bytes a line, or `> #3 ... tls: client hello sent: TLS 1.3`, on `file` (a
 * FILE *). */
QN_API void qn_trace_hexdump(const qn_trace_event_t *e, void *file);

#endif

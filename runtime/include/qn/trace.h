/* qn/trace.h: the wire trace. When a loop has a trace function, each new socket stream gets a trace
 * filter that reports every piece of data with its direction; without one the filter is not there and
 * costs nothing.
 */
#ifndef QN_TRACE_H
#define QN_TRACE_H

#include "qn/stream.h"

typedef enum qn_trace_what {
  QN_TRACE_OPEN, QN_TRACE_READ, QN_TRACE_WRITE, QN_TRACE_END, QN_TRACE_FINISH, QN_TRACE_CLOSE, QN_TRACE_ERROR
} qn_trace_what_t;

typedef struct qn_trace_event {
  qn_trace_what_t what;
  uint64_t stream_id;
  const char *layer;   /* "socket" */
  qn_slice_t bytes;    /* READ, WRITE */
  int error;           /* ERROR */
  const qn_addr_t *peer;
} qn_trace_event_t;

typedef void (*qn_trace_fn)(const qn_trace_event_t *e, void *data);
QN_API void qn_loop_set_trace(qn_loop_t *loop, qn_trace_fn fn, void *data);
/* A ready-made function: `> #3 12:00:00.123 127.0.0.1:80 5 bytes` and a hex + ASCII dump on `data`
 * (a FILE *). */
QN_API void qn_trace_hexdump(const qn_trace_event_t *e, void *file);

#endif

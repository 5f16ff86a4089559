/* qn/dial.h: from a name and a port to a connected stream: look-up, address walk, connect.
 *
 * States go host_lookup -> connecting -> connected (events in Qt's order); on failure back to
 * unconnected with the error of the last attempt. Addresses are tried in order; the remaining time is
 * shared among the remaining ones (at least 2 s each) so that one that never answers does not use it up.
 */
#ifndef QN_DIAL_H
#define QN_DIAL_H

#include "qn/stream.h"

#define QN_CONNECT_TIMEOUT_DEFAULT_MS 30000u

typedef struct qn_dial_opts {
  const char *host;          /* name or literal (copied) */
  uint16_t port;
  qn_family_t family;
  const qn_addr_t *bind;     /* local address or NULL */
  const qn_addr_t *address;  /* instead of host and port: no look-up (Unix sockets) */
  uint64_t timeout;          /* ms for everything; 0 = none. The phase of a timeout is in qn_dial_phase */
} qn_dial_opts_t;

/* `s` must be unconnected (QN_E_IS_CONNECTED). QN_AGAIN, or an error at once. `op` settles with 0 or
 * the error. Cancelling `op` returns the stream to unconnected. */
QN_API int qn_dial(qn_stream_t *s, const qn_dial_opts_t *opts, qn_op_t *op);
/* "dns" or "connect": what the last dial of `s` was doing when it ended. */
QN_API const char *qn_dial_phase(const qn_stream_t *s);
/* Binds an unconnected stream before it is dialled. `mode`: QN_BIND_... */
enum { QN_BIND_SHARE = 1, QN_BIND_EXCLUSIVE = 2, QN_BIND_REUSE_HINT = 4 };
QN_API int qn_stream_bind(qn_stream_t *s, const qn_addr_t *local, unsigned mode);

/* Name look-up through the system (getaddrinfo in the thread pool). Literals are answered at once
 * (returns 0 and fills `out`). QN_AGAIN: in `done`, qn_resolved(op) gives the list until qn_resolve_end. */
typedef struct qn_addr_list {
  size_t n;
  qn_addr_t *v;
} qn_addr_list_t;
QN_API int qn_resolve(qn_loop_t *loop, const char *host, uint16_t port, qn_family_t family, qn_op_t *op);
QN_API const qn_addr_list_t *qn_resolved(const qn_op_t *op);
QN_API void qn_resolve_end(qn_op_t *op);

#endif

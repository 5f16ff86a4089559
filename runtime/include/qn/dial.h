/* qn/dial.h: from a name and a port to a connected stream: look-up, address walk, connect.
 *
 * States go host_lookup -> connecting -> connected (events in Qt's order); on failure back to
 * unconnected with the error of the last attempt. Addresses are tried in order; the remaining time
 * is shared among the remaining ones (at least 2 s each) so that one that never answers does not
 * use it up.
 */
#ifndef QN_DIAL_H
#define QN_DIAL_H

#include "qn/dns.h"
#include "qn/stream.h"

#define QN_CONNECT_TIMEOUT_DEFAULT_MS 30000u

typedef struct qn_dial_opts {
  const char *host; /* name or literal (copied) */
  uint16_t port;
  qn_family_t family;
  const qn_addr_t *bind;    /* local address or NULL; instead of an earlier qn_stream_bind */
  const qn_addr_t *address; /* instead of host and port: no look-up (Unix sockets) */
  uint64_t timeout; /* ms for everything; 0 = none. The phase of a timeout is in qn_dial_phase */
} qn_dial_opts_t;

/* `s` must be unconnected or bound (else QN_E_IS_CONNECTED). QN_AGAIN, or an error at once, which
 * leaves `s` as it was. `op` settles with 0 or the error. Cancelling `op` returns the stream to
 * unconnected; closing the stream settles it with QN_E_CLOSED. A dial keeps the stream retained. */
QN_API int qn_dial(qn_stream_t *s, const qn_dial_opts_t *opts, qn_op_t *op);
/* "dns" or "connect": what the last dial of `s` was doing when it ended; "" before the first. */
QN_API const char *qn_dial_phase(const qn_stream_t *s);

/* Binds an unconnected stream before it is dialled, for its next dial: a socket is made now, so
 * that errors and the chosen port show at once. `mode`: QN_BIND_SHARE (others that share may use
 * the same port), QN_BIND_EXCLUSIVE, or QN_BIND_REUSE_HINT, which is also the default (a port that
 * is merely in TIME_WAIT may be used). Unix addresses: QN_E_UNSUPPORTED. */
enum { QN_BIND_SHARE = 1, QN_BIND_EXCLUSIVE = 2, QN_BIND_REUSE_HINT = 4 };
QN_API int qn_stream_bind(qn_stream_t *s, const qn_addr_t *local, unsigned mode);

#endif

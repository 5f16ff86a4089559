/* qn/dial.h: from a name and a port to a connected stream: look-up, race of addresses, connect.
 *
 * States go host_lookup -> connecting -> connected (events in Qt's order); on failure back to
 * unconnected with an error. Several addresses are raced as RFC 8305 says: the families take turns,
 * the next attempt starts after a delay, or at once when one fails, earlier ones go on, the first
 * that connects wins and the others are closed. Addresses that a look-up finds later join in.
 */
#ifndef QN_DIAL_H
#define QN_DIAL_H

#include "qn/dns.h"
#include "qn/stream.h"

#define QN_CONNECT_TIMEOUT_DEFAULT_MS 30000u
#define QN_DIAL_DELAY_MS 250u /* between the starts of two attempts (RFC 8305 section 8) */
#define QN_DIAL_DELAY_MIN_MS 10u
#define QN_DIAL_DELAY_MAX_MS 2000u
/* Attempts at a time: every address of an answer, so that no silent one keeps a good one out. */
#define QN_DIAL_RACE_MAX QN_RESOLVE_MAX

typedef struct qn_dial_opts {
  const char *host; /* name or literal (copied) */
  uint16_t port;
  qn_family_t family;
  const qn_addr_t *bind;    /* local address or NULL; instead of an earlier qn_stream_bind */
  const qn_addr_t *address; /* instead of host and port: no look-up (Unix sockets) */
  uint64_t timeout; /* ms for everything; 0 = none. The phase of a timeout is in qn_dial_phase */
  const qn_addr_t *addresses; /* copied; instead of host, port and address; best first */
  size_t n_addresses;         /* those behind QN_RESOLVE_MAX are left out */
  qn_resolver_t *resolver;    /* stays valid until the dial is over; NULL: the loop's */
  uint64_t attempt_delay;     /* ms; 0: QN_DIAL_DELAY_MS; kept between the _MIN_ and the _MAX_ */
  /* One address after the other, as they come; the remaining time is shared among the remaining
   * ones (at least 2 s each), so that one that never answers does not use it up. The dial of a
   * stream that was bound by qn_stream_bind is always like this: its socket can make one attempt.
   */
  bool in_order;
} qn_dial_opts_t;

/* `s` must be unconnected or bound (else QN_E_IS_CONNECTED). QN_AGAIN, or an error at once, which
 * leaves `s` as it was. `op` settles with 0 or the error. Cancelling `op` returns the stream to
 * unconnected; closing the stream settles it with QN_E_CLOSED. A dial keeps the stream retained. */
QN_API int qn_dial(qn_stream_t *s, const qn_dial_opts_t *opts, qn_op_t *op);
/* "dns" or "connect": what the last dial of `s` was doing when it ended; "" before the first. */
QN_API const char *qn_dial_phase(const qn_stream_t *s);

/* What became of each address when the last dial of `s` has failed with more than one, in the order
 * of the attempts; 0 = none. The error of the dial is the first of the most telling kind among
 * them: what a peer or the network did, else no route, else the wrong family; or QN_E_TIMEOUT when
 * the time was over, which is then also the error of the attempts that ran. Valid until the next
 * dial. */
typedef struct qn_dial_failure {
  qn_addr_t address;
  int error;
} qn_dial_failure_t;
QN_API size_t qn_dial_failures(const qn_stream_t *s, const qn_dial_failure_t **out);

/* Binds an unconnected stream before it is dialled, for its next dial: a socket is made now, so
 * that errors and the chosen port show at once. `mode`: QN_BIND_SHARE (others that share may use
 * the same port), QN_BIND_EXCLUSIVE, or QN_BIND_REUSE_HINT, which is also the default (a port that
 * is merely in TIME_WAIT may be used). Unix addresses: QN_E_UNSUPPORTED. */
enum { QN_BIND_SHARE = 1, QN_BIND_EXCLUSIVE = 2, QN_BIND_REUSE_HINT = 4 };
QN_API int qn_stream_bind(qn_stream_t *s, const qn_addr_t *local, unsigned mode);

#endif

/* qn/listen.h: a listening socket with a bounded queue of accepted connections.
 *
 * Accepting stops while `max_pending` connections wait (the kernel's backlog holds the rest), while
 * it is paused, and for a growing pause after EMFILE and its kin, which are reported and never
 * spin.
 */
#ifndef QN_LISTEN_H
#define QN_LISTEN_H

#include "qn/stream.h"

typedef struct qn_listener qn_listener_t;

typedef struct qn_listen_opts {
  int backlog;        /* default 511 */
  size_t max_pending; /* default 30; 0 = accept only when somebody waits */
  bool reuse_port;
  int v6only;         /* -1 system default, 0 dual stack, 1 only IPv6 */
  int fd;             /* -1, or an already listening descriptor (then the address is ignored) */
  bool exclusive;     /* no SO_REUSEADDR */
  unsigned unix_mode; /* permission bits for a Unix path, 0 = by umask */
  bool unlink;        /* remove a stale socket file first (only when nobody answers on it) */
} qn_listen_opts_t;
QN_API void qn_listen_opts_init(qn_listen_opts_t *o);

/* `opts` may be NULL. "::" falls back to 0.0.0.0 on machines without IPv6 unless v6only is 1. */
QN_API int qn_listener_open(qn_loop_t *loop, const qn_addr_t *addr, const qn_listen_opts_t *opts,
                            qn_listener_t **out);
QN_API void qn_listener_retain(qn_listener_t *l);
/* The last release closes. */
QN_API void qn_listener_release(qn_listener_t *l);
/* Stops listening, drops connections that nobody took, settles waiters with QN_E_CLOSED, removes
 * the socket file that it made. Idempotent. */
QN_API void qn_listener_close(qn_listener_t *l);
QN_API qn_loop_t *qn_listener_loop(const qn_listener_t *l);
QN_API bool qn_listener_is_closed(const qn_listener_t *l);

/* 0: *out is the connection (the caller owns one reference). QN_AGAIN: `op` waits; in `done`, with
 * result 0, qn_listener_taken(op) gives it, once. Several waiters are served in order. Who forgets
 * an op that has settled must take what it holds (and may give it back). */
QN_API int qn_listener_accept(qn_listener_t *l, qn_op_t *op, qn_stream_t **out);
QN_API qn_stream_t *qn_listener_taken(qn_op_t *op);
/* An accepted connection whose taker vanished between settling and `done` goes back to the front
 * (the listener takes over the reference). */
QN_API void qn_listener_give_back(qn_listener_t *l, qn_stream_t *s);
QN_API size_t qn_listener_pending(const qn_listener_t *l);
QN_API void qn_listener_set_max_pending(qn_listener_t *l, size_t n);
QN_API size_t qn_listener_max_pending(const qn_listener_t *l);
/* Paused: the kernel's backlog fills up; what is already pending can still be taken. */
QN_API void qn_listener_pause(qn_listener_t *l, bool on);
QN_API bool qn_listener_paused(const qn_listener_t *l);
/* Of a closed listener: QN_E_CLOSED and -1. */
QN_API int qn_listener_addr(const qn_listener_t *l, qn_addr_t *out);
QN_API int qn_listener_fd(const qn_listener_t *l);
/* The last accept error, 0 after a success. */
QN_API int qn_listener_error(const qn_listener_t *l);
/* Options that accepted sockets get (names as in qn_stream_set_option), nodelay is on by default
 * for TCP. They are tried on the listening socket at once: buffer sizes must be known before the
 * handshake. */
QN_API int qn_listener_set_option(qn_listener_t *l, const char *name, int64_t value);
/* Notes: `event` is 'c' (a connection was accepted) or 'e' (accept failed with `err`). The observer
 * must not call back into the listener. */
QN_API void qn_listener_observe(qn_listener_t *l,
                                void (*fn)(qn_listener_t *l, char event, int err, void *data),
                                void *data);

#endif

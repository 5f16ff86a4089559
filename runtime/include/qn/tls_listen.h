/* qn/tls_listen.h: a listener that hands out connections whose TLS handshake is done.
 *
 * Put on a qn_listener_t, whose only taker it then is. Handshakes run at the same time, within
 * named limits of time and number; finished ones wait in a bounded queue, and accepting stops while
 * it is full. A handshake that fails is told to `lost` and never to who accepts. Configurations may
 * be exchanged at any time; handshakes under way keep the one that they began with.
 */
#ifndef QN_TLS_LISTEN_H
#define QN_TLS_LISTEN_H

#include "qn/listen.h"
#include "qn/tls.h"

/* Limits, as defaults. */
#define QN_TLS_HANDSHAKE_MS 5000u       /* for one handshake */
#define QN_TLS_HANDSHAKES_MAX 256u      /* under way at the same time */
#define QN_TLS_HANDSHAKE_YOUNG_MS 1000u /* one that is older makes room when there are too many */

typedef struct qn_tls_listener qn_tls_listener_t;

/* A connection before it is handed out. */
typedef struct qn_tls_incoming {
  qn_stream_t *s;
  qn_tls_t *t; /* NULL in `begin` */
  void *conn;  /* the embedder's, from `begin` */
} qn_tls_incoming_t;

/* Functions that are called on the loop; they must not call the listener or run user code that
 * does, but for qn_tls_listener_go. NULL where nothing is to be done. */
typedef struct qn_tls_listen_hooks {
  void *arg;
  /* A handshake is to begin: may set in->conn and opts->hooks. 0: go on; QN_AGAIN: it is held until
   * qn_tls_listener_go (its time runs); an error: it is lost. */
  int (*begin)(void *arg, qn_tls_incoming_t *in, qn_tls_opts_t *opts);
  /* A connection can be taken. */
  void (*ready)(void *arg, qn_tls_incoming_t *in);
  /* It will not be handed out: in->conn is not used any more, `s` and `t` are let go of afterwards.
   * err: that of the handshake, QN_E_TIMEOUT, QN_E_LIMIT (dropped because too many were under way),
   * QN_E_CLOSED (the listener was closed). */
  void (*lost)(void *arg, qn_tls_incoming_t *in, int err);
} qn_tls_listen_hooks_t;

typedef struct qn_tls_listen_opts {
  uint64_t handshake_ms; /* UINT64_MAX: no limit */
  size_t max_handshakes;
  size_t max_pending; /* finished ones that wait to be taken, at least 1 */
  qn_tls_listen_hooks_t hooks;
} qn_tls_listen_opts_t;
/* The defaults: those above, and what the listener below has as max_pending. */
QN_API void qn_tls_listen_opts_init(qn_tls_listen_opts_t *o, const qn_listener_t *below);

/* Holds a reference of `below`. `opts` may be NULL. 0, -ENOMEM or what qn_tls_config_prepare says.
 */
QN_API int qn_tls_listener_new(qn_listener_t *below, qn_tls_config_t *c,
                               const qn_tls_listen_opts_t *opts, qn_tls_listener_t **out);
QN_API void qn_tls_listener_retain(qn_tls_listener_t *l);
/* The last release closes. */
QN_API void qn_tls_listener_release(qn_tls_listener_t *l);
/* Closes the listener below, ends handshakes under way, drops connections that nobody took, settles
 * waiters with QN_E_CLOSED. Idempotent. */
QN_API void qn_tls_listener_close(qn_tls_listener_t *l);
/* For connections to come. 0 or the configuration's error: then nothing has changed. */
QN_API int qn_tls_listener_configure(qn_tls_listener_t *l, qn_tls_config_t *c);
/* A held handshake goes on. Does nothing for others. */
QN_API void qn_tls_listener_go(qn_tls_incoming_t *in);

/* 0: *out is the connection (the caller owns one reference of `s` and of `t`). QN_AGAIN: `op`
 * waits; in `done`, with result 0, qn_tls_listener_taken gives it, once. Several waiters are served
 * in order. */
QN_API int qn_tls_listener_accept(qn_tls_listener_t *l, qn_op_t *op, qn_tls_incoming_t *out);
/* False: there is none. */
QN_API bool qn_tls_listener_taken(qn_op_t *op, qn_tls_incoming_t *out);
/* Who forgets an op that has settled gives back what it holds: it is the next one's. */
QN_API void qn_tls_listener_untake(qn_op_t *op);

QN_API void qn_tls_listener_set_max_pending(qn_tls_listener_t *l, size_t n);
QN_API size_t qn_tls_listener_max_pending(const qn_tls_listener_t *l);

typedef struct qn_tls_listen_stats {
  size_t handshaking, pending; /* now */
  uint64_t begun, up, failed;  /* since it began; failed: also timed out and dropped */
  uint64_t timed_out, dropped;
} qn_tls_listen_stats_t;
QN_API void qn_tls_listener_stats(const qn_tls_listener_t *l, qn_tls_listen_stats_t *out);

#endif

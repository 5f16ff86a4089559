/* qn/dtls.h: DTLS 1.2 over datagram sockets: associations with peers, servers, cookies.
 *
 * An endpoint reads one qn_udp_t and gives each datagram to the association of its sender. It
 * accepts peers (a server), or associations are begun on it (clients), or both. A server keeps
 * nothing about a peer that has not sent its cookie back. One datagram out for each one sent here:
 * application data is never split. What cannot be authenticated is dropped and counted. Settings,
 * facts and errors of an association are those of qn/tls.h. One loop, one thread.
 */
#ifndef QN_DTLS_H
#define QN_DTLS_H

#include "qn/tls.h"
#include "qn/udp.h"

typedef struct qn_dtls_verifier qn_dtls_verifier_t;
typedef struct qn_dtls_endpoint qn_dtls_endpoint_t;
typedef struct qn_dtls qn_dtls_t;

/* Limits and defaults. */
#define QN_DTLS_MTU_DEFAULT 1200u      /* bytes of a datagram that is sent (payload of UDP) */
#define QN_DTLS_MTU_MIN 228u           /* 256 without the headers of UDP and IPv4 */
#define QN_DTLS_MTU_MAX 16717u         /* a record of 16,384 bytes with all that is around it */
#define QN_DTLS_MTU_FALLBACK 548u      /* after two timeouts of a handshake */
#define QN_DTLS_QUEUE_MAX 256u         /* received messages that nobody has taken yet */
#define QN_DTLS_QUEUE_BYTES 262144u    /* and their bytes; what is beyond is dropped, counted */
#define QN_DTLS_CONNECTIONS_MAX 10000u /* default of a server's limit */
#define QN_DTLS_HANDSHAKES_MAX 256u    /* default of handshakes that are under way */
#define QN_DTLS_HANDSHAKE_TIMEOUT_MS 10000u
#define QN_DTLS_IDLE_TIMEOUT_MS 300000u   /* default for servers; clients: none */
#define QN_DTLS_RETRANSMIT_FIRST_MS 1000u /* RFC 6347, 4.2.4.1: doubled each time */
#define QN_DTLS_RETRANSMIT_MIN_MS 20u
#define QN_DTLS_RETRANSMIT_MAX_MS 60000u
#define QN_DTLS_NOTES_MAX 64u  /* failed handshakes that nobody has looked at */
#define QN_DTLS_OTHERS_MAX 64u /* datagrams of other protocols that nobody has taken */
#define QN_DTLS_EVENTS_MAX 32u /* events of an association, likewise */
#define QN_DTLS_SECRET_MIN 16u /* bytes of a cookie secret */
#define QN_DTLS_SECRET_MAX 1024u
#define QN_DTLS_COOKIE_LIFE_S 60u /* a cookie is taken for one to two of these */
#define QN_DTLS_REPLY_MAX 60u     /* bytes of a HelloVerifyRequest */

/* --- cookies ---------------------------------------------------------------------------------- */

/* Servers that share a secret (and a clock) take each other's cookies. No secret: a random one.
 * `digest`: of the HMAC, NULL for "sha256". QN_E_UNSUPPORTED: no such digest; QN_E_LIMIT: the size
 * of the secret; -ENOMEM. */
QN_API int qn_dtls_verifier_new(const char *digest, qn_slice_t secret, qn_dtls_verifier_t **out);
QN_API void qn_dtls_verifier_free(qn_dtls_verifier_t *v);
/* A datagram from `peer`: 1 it is a ClientHello with a right cookie; 0 it is one without:
 * send `reply` (*size bytes); QN_E_INVALID it begins with something else. */
QN_API int qn_dtls_verify_hello(const qn_dtls_verifier_t *v, qn_slice_t datagram,
                                const qn_addr_t *peer, uint8_t reply[QN_DTLS_REPLY_MAX],
                                size_t *size);

/* --- endpoints -------------------------------------------------------------------------------- */

/* Reads `u` from now on; nobody else may (QN_E_BUSY). `u` stays the caller's and must live longer;
 * `owned`: it is closed when the endpoint is. */
QN_API int qn_dtls_endpoint_new(qn_loop_t *loop, qn_udp_t *u, bool owned, qn_dtls_endpoint_t **out);
/* Peers may come. `c` can be changed at any time, which counts for peers to come. */
typedef struct qn_dtls_serve {
  bool no_cookies;
  const qn_dtls_verifier_t *verifier; /* not with no_cookies; must live as long as the endpoint */
  uint32_t max_connections, max_handshakes;       /* 0: the default */
  uint64_t handshake_timeout_ms, idle_timeout_ms; /* UINT64_MAX: none, 0: the default */
  uint32_t mtu;                                   /* 0: the default */
  uint32_t retransmit_ms;                         /* first wait for an answer, 0: the default */
  bool ask_sni, ask_verify;                       /* questions come as notes (qn_dtls_note) */
  bool notes;                                     /* failed handshakes do, too */
} qn_dtls_serve_t;
QN_API int qn_dtls_serve(qn_dtls_endpoint_t *e, qn_tls_config_t *c, const qn_dtls_serve_t *opts);
QN_API int qn_dtls_configure(qn_dtls_endpoint_t *e, qn_tls_config_t *c, bool ask_sni,
                             bool ask_verify);
/* An association whose handshake is done, to be taken by qn_dtls_accepted: 0, QN_AGAIN (`op`
 * settles; several may wait), QN_E_CLOSED, QN_E_NOT_CONNECTED (no server). */
QN_API int qn_dtls_accept(qn_dtls_endpoint_t *e, qn_op_t *op);
QN_API qn_dtls_t *qn_dtls_accepted(qn_dtls_endpoint_t *e); /* the caller's reference; NULL: none */
/* Whether failed handshakes come as notes, from now on. */
QN_API void qn_dtls_set_notes(qn_dtls_endpoint_t *e, bool on);
/* Whether datagrams that are not DTLS (first byte not 20 to 63, RFC 7983) are kept for
 * qn_dtls_other; else they count as invalid. */
QN_API void qn_dtls_set_others(qn_dtls_endpoint_t *e, bool on);
/* The first of them; false: there is none. It stays until qn_dtls_drop_other. */
QN_API bool qn_dtls_other(const qn_dtls_endpoint_t *e, qn_slice_t *data, qn_udp_info_t *info);
QN_API void qn_dtls_drop_other(qn_dtls_endpoint_t *e);
/* What to do or know about a peer, or such a datagram: 0 (qn_dtls_take_note has it), QN_AGAIN,
 * QN_E_BUSY, or as qn_dtls_accept. */
QN_API int qn_dtls_wait_note(qn_dtls_endpoint_t *e, qn_op_t *op);
typedef enum qn_dtls_note {
  QN_DTLS_NOTE_NONE,
  QN_DTLS_NOTE_SNI,    /* answer with qn_tls_answer_config */
  QN_DTLS_NOTE_VERIFY, /* answer with qn_tls_answer_verify */
  QN_DTLS_NOTE_FAILED  /* its handshake: qn_dtls_error says why */
} qn_dtls_note_t;
QN_API qn_dtls_note_t qn_dtls_take_note(qn_dtls_endpoint_t *e, qn_dtls_t **out); /* a reference */
/* No new peers; associations go on, and the endpoint closes with the last of them. */
QN_API void qn_dtls_stop(qn_dtls_endpoint_t *e);
/* Associations end without a word: close each before where it matters. */
QN_API void qn_dtls_endpoint_close(qn_dtls_endpoint_t *e);
QN_API void qn_dtls_endpoint_release(qn_dtls_endpoint_t *e);
QN_API bool qn_dtls_is_listening(const qn_dtls_endpoint_t *e);
QN_API bool qn_dtls_endpoint_is_closed(const qn_dtls_endpoint_t *e);

typedef struct qn_dtls_endpoint_stats {
  uint64_t received;     /* datagrams */
  uint64_t invalid;      /* of unknown peers and no ClientHello, or not well formed */
  uint64_t cookies_sent; /* HelloVerifyRequests */
  uint64_t accepted;     /* handshakes that were completed */
  uint64_t failed;       /* handshakes that failed, timed out or were pushed out */
  uint64_t refused;      /* peers with a right cookie for whom there was no room */
  uint32_t connections, handshakes, waiting; /* now; waiting: not accepted yet */
} qn_dtls_endpoint_stats_t;
QN_API void qn_dtls_endpoint_get_stats(const qn_dtls_endpoint_t *e, qn_dtls_endpoint_stats_t *out);

/* --- associations ----------------------------------------------------------------------------- */

typedef struct qn_dtls_connect {
  const qn_addr_t *peer;    /* NULL: that of the connected socket */
  uint32_t mtu;             /* 0: the default */
  uint32_t retransmit_ms;   /* likewise */
  uint64_t idle_timeout_ms; /* 0 or UINT64_MAX: none */
  bool ask_verify;          /* a question makes qn_dtls_wait_up settle with 1 */
  qn_tls_opts_t tls;        /* `hooks` and `server` are not looked at */
} qn_dtls_connect_t;
/* Begins one. QN_E_IS_CONNECTED: there is one with this peer. Errors of qn_tls_new. */
QN_API int qn_dtls_connect(qn_dtls_endpoint_t *e, qn_tls_config_t *c, const qn_dtls_connect_t *opts,
                           qn_dtls_t **out);
/* 0: the handshake is done; 1: the errors of the peer's certificate are to be judged, then wait
 * again; QN_AGAIN: `op` settles with one of these; QN_E_BUSY; or why it failed (qn_tls_problem). */
QN_API int qn_dtls_wait_up(qn_dtls_t *a, qn_op_t *op);
/* 0: there is a message or the end (qn_dtls_peek tells); QN_AGAIN: `op` settles with 0 when there
 * is; QN_E_BUSY, QN_E_NOT_CONNECTED (no handshake yet). */
QN_API int qn_dtls_wait(qn_dtls_t *a, qn_op_t *op);
/* As qn_dtls_wait, for one onlooker who takes nothing: `mark` as with qn_udp_watch. */
QN_API int qn_dtls_watch(qn_dtls_t *a, uint64_t mark, qn_op_t *op);
QN_API uint64_t qn_dtls_taken(const qn_dtls_t *a);
/* The first message: 0, until qn_dtls_take; QN_AGAIN: none; or why no more will come: QN_E_EOF (the
 * peer has said so), QN_E_CLOSED, QN_E_TIMEOUT (idle), QN_E_ALERT(n), an error of the socket. */
QN_API int qn_dtls_peek(const qn_dtls_t *a, qn_slice_t *data);
QN_API void qn_dtls_take(qn_dtls_t *a);
/* 0: with the kernel; QN_AGAIN: no room there, wait with qn_udp_wait_writable and send again;
 * QN_E_DGRAM_SIZE: more than qn_dtls_max_size; QN_E_INVALID: empty; or why it is over. */
QN_API int qn_dtls_send(qn_dtls_t *a, qn_slice_t data);
/* Largest message for qn_dtls_send. */
QN_API size_t qn_dtls_max_size(const qn_dtls_t *a);
QN_API uint64_t qn_dtls_id(const qn_dtls_t *a); /* that of its datagram socket */
QN_API unsigned qn_dtls_mtu(const qn_dtls_t *a);
/* QN_DTLS_MTU_MIN to QN_DTLS_MTU_MAX, else QN_E_INVALID. */
QN_API int qn_dtls_set_mtu(qn_dtls_t *a, unsigned mtu);
/* Says close_notify (once) and ends it. Messages that are there can still be taken. */
QN_API void qn_dtls_close(qn_dtls_t *a);
QN_API void qn_dtls_abort(qn_dtls_t *a); /* without a word */
QN_API void qn_dtls_retain(qn_dtls_t *a);
/* The endpoint has a reference of its own while it goes on. */
QN_API void qn_dtls_release(qn_dtls_t *a);

typedef enum qn_dtls_state { QN_DTLS_HANDSHAKE, QN_DTLS_UP, QN_DTLS_CLOSED } qn_dtls_state_t;
QN_API qn_dtls_state_t qn_dtls_state(const qn_dtls_t *a);
QN_API int qn_dtls_error(const qn_dtls_t *a); /* why it is closed; 0: it is not */
/* Facts, questions and sessions; lives as long as the association. */
QN_API qn_tls_t *qn_dtls_tls(const qn_dtls_t *a);
/* The configuration that counts for it: that which it began with, or the one that was chosen by
 * name. Not retained. */
QN_API qn_tls_config_t *qn_dtls_config(const qn_dtls_t *a);
QN_API qn_udp_t *qn_dtls_socket(const qn_dtls_t *a); /* NULL: it is over */
QN_API void qn_dtls_peer(const qn_dtls_t *a, qn_addr_t *out);
/* Events (QN_TLS_EVENT_...) in order, from the first call on: 0, QN_AGAIN, QN_E_BUSY, QN_E_CLOSED
 * (none will come any more). */
QN_API int qn_dtls_wait_event(qn_dtls_t *a, qn_op_t *op);
QN_API bool qn_dtls_take_event(qn_dtls_t *a, int *event, int *value);

typedef struct qn_dtls_stats {
  uint64_t received, received_bytes, sent, sent_bytes; /* messages */
  uint64_t dropped;                                    /* queue full */
  uint64_t discarded;       /* not authentic, replayed, or of an old handshake */
  uint64_t retransmissions; /* of handshake flights, by the timer */
  uint32_t queued;
} qn_dtls_stats_t;
QN_API void qn_dtls_get_stats(const qn_dtls_t *a, qn_dtls_stats_t *out);

#endif

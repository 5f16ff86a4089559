/* dtls_i.h: what is inside of an endpoint and an association, for the files runtime/tls/dtls*.c
 * only.
 *
 * dtls_endpoint.c reads the socket and finds whose datagram it is, dtls_table.c is the hash of
 * peers, dtls_server.c accepts, dtls.c is what embedders do with an association, dtls_shake.c talks
 * to OpenSSL, dtls_bio.c carries single datagrams in and out of it, dtls_cookie.c checks cookies.
 * Invariant: an association is in the table, or is the heir of one that is, exactly while it is not
 * closed, and has one reference for that.
 */
#ifndef QN_TLS_DTLS_I_H
#define QN_TLS_DTLS_I_H

#include "qn/dtls.h"

#include "loop/loop_i.h"
#include "tls/f_tls_i.h"

/* --- cookies ---------------------------------------------------------------------------------- */

typedef struct qn__dtls_hello {
  const uint8_t *sequence; /* epoch and number of the record, 8 bytes */
  const uint8_t *random;   /* 32 bytes */
  unsigned message;        /* message_seq */
  qn_slice_t fixed;        /* version, random, session id */
  qn_slice_t cookie;
} qn__dtls_hello_t;

/* Whether it begins with the header of a record that fits. */
bool qn__dtls_record(qn_slice_t datagram);
/* Whether it begins with the first fragment of a ClientHello. */
bool qn__dtls_parse_hello(qn_slice_t datagram, qn__dtls_hello_t *out);
int qn__dtls_check_hello(const qn_dtls_verifier_t *v, const qn__dtls_hello_t *h,
                         const qn_addr_t *peer, uint8_t reply[QN_DTLS_REPLY_MAX], size_t *size);

/* --- peers ------------------------------------------------------------------------------------ */

typedef struct qn__dtls_key {
  uint8_t ip[16]; /* IPv4: mapped */
  uint32_t scope;
  uint16_t port; /* network order */
} qn__dtls_key_t;

void qn__dtls_key(qn__dtls_key_t *key, const qn_addr_t *a);

typedef struct qn__dtls_message {
  struct qn__dtls_message *next;
  size_t size;
  uint8_t data[];
} qn__dtls_message_t;

struct qn_dtls {
  unsigned refs;
  uint64_t id;           /* of the socket, for traces */
  qn_dtls_endpoint_t *e; /* NULL once closed */
  qn_tls_t *t;
  qn_dtls_t *next;     /* in the table */
  qn_dtls_t *heir;     /* same peer, begun anew, not proven yet (RFC 6347, 4.2.8) */
  qn_dtls_t *elder;    /* whose heir it is */
  qn_list_t link;      /* server: e->shaking, then e->ready */
  qn_list_t note_link; /* server: e->notes */
  bool in_shaking, in_ready, in_notes, no_cookie;
  uint8_t note; /* qn_dtls_note_t */
  qn__dtls_key_t key;
  qn_addr_t peer;
  qn_udp_out_t out; /* how to send to it */
  qn_udp_info_t info;
  bool connected; /* the socket is */
  qn_dtls_state_t state;
  int error;
  bool busy, rests;   /* rests: OpenSSL has no buffers */
  uint8_t random[32]; /* of the ClientHello that made it */
  qn_loop_t *loop;
  qn_timer_t timer;
  uint64_t began, deadline, idle_ms, heard, used; /* ms; deadline: of the handshake */
  qn_ready_t resume;                              /* a question was answered */
  qn_slice_t in;                                  /* the datagram that OpenSSL may read now */
  int sent;                                       /* how sending the last datagram went */
  unsigned mtu, timeouts, retransmit_ms;
  qn_op_t *up, *reader, *onlooker, *watcher;
  uint64_t mark, taken;
  qn__dtls_message_t *first, *last;
  size_t queued, queued_bytes;
  bool observed;
  uint8_t events[QN_DTLS_EVENTS_MAX];
  int16_t values[QN_DTLS_EVENTS_MAX];
  unsigned event_at, event_count;
  qn_dtls_stats_t stats;
};

typedef struct qn__dtls_other {
  struct qn__dtls_other *next;
  qn_udp_info_t info;
  size_t size;
  uint8_t data[];
} qn__dtls_other_t;

struct qn_dtls_endpoint {
  unsigned refs;
  qn_loop_t *loop;
  qn_udp_t *u; /* NULL once closed */
  bool owned, held, listening, shutting;
  qn_op_t op;       /* of reading */
  qn_ready_t again; /* more to read in the next turn */
  qn_dtls_t **table;
  size_t buckets, count;
  uint64_t seed;
  qn_tls_config_t *config;
  qn_dtls_serve_t opts;
  qn_list_t shaking, ready, notes;
  uint32_t n_shaking, n_ready, n_failed, n_up;
  qn_list_t acceptors; /* operations */
  qn_op_t *asker;
  bool wants_others;
  qn__dtls_other_t *first, *last;
  size_t n_others;
  qn_dtls_endpoint_stats_t stats;
  int (*send)(qn_udp_t *u, const qn_udp_out_t *o); /* qn_udp_send; tests put their own */
};

/* dtls_table.c */
qn_dtls_t *qn__dtls_find(const qn_dtls_endpoint_t *e, const qn__dtls_key_t *key);
int qn__dtls_insert(qn_dtls_endpoint_t *e, qn_dtls_t *a); /* QN_E_IS_CONNECTED, -ENOMEM */
void qn__dtls_remove(qn_dtls_endpoint_t *e, qn_dtls_t *a);
/* The heir takes the place of its elder. */
void qn__dtls_replace(qn_dtls_endpoint_t *e, qn_dtls_t *a, qn_dtls_t *heir);

/* dtls_endpoint.c */
/* One datagram. The only reader of what peers send; also what the fuzz target calls. */
void qn__dtls_input(qn_dtls_endpoint_t *e, qn_slice_t d, const qn_udp_info_t *info);
/* After an association has gone: a stopped endpoint without any closes. */
void qn__dtls_endpoint_check(qn_dtls_endpoint_t *e);

/* dtls_other.c */
void qn__dtls_keep_other(qn_dtls_endpoint_t *e, qn_slice_t d, const qn_udp_info_t *info);
void qn__dtls_drop_others(qn_dtls_endpoint_t *e);

/* dtls_server.c */
void qn__dtls_wake_asker(qn_dtls_endpoint_t *e);
void qn__dtls_hello(qn_dtls_endpoint_t *e, qn_slice_t d, const qn__dtls_hello_t *h,
                    const qn_addr_t *peer, const qn_udp_info_t *info, qn_dtls_t *elder);
void qn__dtls_server_up(qn_dtls_t *a);
void qn__dtls_server_failed(qn_dtls_t *a);
void qn__dtls_server_unlink(qn_dtls_t *a);
void qn__dtls_server_asks(qn_dtls_t *a, qn_dtls_note_t note);

/* dtls.c */
int qn__dtls_make(qn_dtls_endpoint_t *e, qn_tls_config_t *c, const qn_tls_opts_t *opts,
                  const qn_addr_t *peer, unsigned mtu, unsigned retransmit_ms, qn_dtls_t **out);
/* Whether these are allowed; 0 is. */
bool qn__dtls_in_range(unsigned mtu, unsigned retransmit_ms);
/* Ends it with `err`, which whoever waits gets. May drop the last reference but the caller's. */
void qn__dtls_end(qn_dtls_t *a, int err);
/* The same with a close_notify first. */
void qn__dtls_finish(qn_dtls_t *a, int err);
void qn__dtls_deliver(qn_dtls_t *a, const uint8_t *data, size_t size);
void qn__dtls_wake_up(qn_dtls_t *a, int result);
void qn__dtls_event(qn_tls_t *t, int event, int value, void *arg);

/* dtls_shake.c */
/* Before each call of OpenSSL that reads or writes records. False: no memory. */
bool qn__dtls_wake_engine(qn_dtls_t *a);
/* Settings of a new connection that are DTLS's own. */
void qn__dtls_engine(qn_dtls_t *a);
/* A datagram for it (or none: go on after an answer). `listen`: the first one, with a cookie. */
void qn__dtls_step(qn_dtls_t *a, qn_slice_t d, bool listen);
void qn__dtls_arm(qn_dtls_t *a);
void qn__dtls_on_timer(qn_timer_t *timer);

/* dtls_mtu.c */
unsigned qn__dtls_path_mtu(const qn_addr_t *peer);
/* `wanted` (0: the default), or less when the way to `peer` takes less. */
unsigned qn__dtls_first_mtu(unsigned wanted, const qn_addr_t *peer);
/* The kernel has refused a datagram. */
void qn__dtls_lower_mtu(qn_dtls_t *a);

/* dtls_bio.c */
BIO *qn__dtls_bio(qn_tls_t *t);

#endif

/* f_tls_i.h: what is inside of a TLS connection, for the files of runtime/tls only.
 *
 * The filter is part of the connection; the stream holds one reference from qn_tls_start until it
 * destroys the filter, embedders hold others. Invariant: OpenSSL's error queue is empty before each
 * call of it (qn__tls_enter) and is read by the function that made the call only.
 */
#ifndef QN_TLS_F_TLS_I_H
#define QN_TLS_F_TLS_I_H

#include "tls/config_i.h"

#include "qn/filter.h"

typedef struct qn__tls_fault {
  int err, depth;
  qn_cert_t *cert;
  char *text;
} qn__tls_fault_t;

typedef enum qn__tls_wait {
  QN__TLS_WAIT_NONE,
  QN__TLS_WAIT_CONFIG, /* the sni hook was called */
  QN__TLS_WAIT_VERIFY  /* the verify hook was called */
} qn__tls_wait_t;

typedef enum qn__tls_psk_state {
  QN__TLS_PSK_NONE,
  QN__TLS_PSK_OURS,  /* a key of ours was handed to OpenSSL */
  QN__TLS_PSK_DECOY, /* a key that nobody has */
  QN__TLS_PSK_USED   /* it has authenticated the connection */
} qn__tls_psk_state_t;

struct qn_tls {
  qn_filter_t filter; /* first */
  unsigned refs;
  bool server, used, attached, no_sni, up, shaken;
  bool is_dtls;    /* no filter of a stream, but the engine of an association (dtls_i.h) */
  bool wrote;      /* the BIO wrote since the last look */
  bool filling;    /* OpenSSL reads */
  bool ended;      /* the layer below has ended */
  bool heard;      /* something has come behind the handshake */
  bool said_close; /* close_notify was sent (or must not be any more) */
  bool farewell;   /* it was all that was left to send, and the peer had ended */
  bool hello_asked, verify_asked, verified, ignore_all;
  bool staple_seen, held_late; /* verify_staple.c */
  bool begun;                  /* the handshake */
  bool poison;                 /* the next read gives a record that is too large */
  int8_t verify_answer;        /* 0 none yet, 1 accept, -1 refuse */
  uint8_t wait;                /* qn__tls_wait_t */
  uint8_t quiet;               /* records in a row that brought no data, since quiet_at */
  bool config_answered;
  int config_err;
  int io_error;   /* of the layer below */
  int failed;     /* what ended it */
  int verify_err; /* the first error that was not ignored */
  int alert_in, alert_out;
  qn_buf_t late;        /* to be written when the rest of a message of the peer's has come */
  qn_buf_t *batch;      /* gathers the records of one large write, so that they leave together */
  uint32_t shake_bytes; /* read in the handshake */
  uint32_t burst;       /* bytes sent since the last pause, up to BURST_SMALL */
  uint64_t sent_at;     /* loop time of the last write, ms */
  uint64_t quiet_at;    /* loop time, ms */
  uint32_t answers;     /* bytes that were written while we read, ... */
  uint64_t answers_end; /* ... since this much had been written */
  SSL *ssl;
  qn_tls_config_t *config; /* the one it began with: sessions, ticket keys */
  qn_tls_config_t *chosen; /* by SNI; else NULL */
  qn_tls_hooks_t hooks;
  char *server_name, *verify_name, *peer;
  char *psk_identity;
  qn__tls_psk_state_t psk_state;
  qn_ocsp_t ocsp;
  const char *ocsp_problem; /* static */
  X509 *issuer;             /* of the peer's certificate, when an answer is wanted */
  qn__tls_fault_t *faults;
  size_t fault_count;
  qn__tls_ignores_t ignore;
  SSL_SESSION *session; /* came by itself */
  char *problem;
  struct qn__tls_trace *trace; /* tls_trace.c; NULL: nobody looks */
  void (*go_on)(qn_tls_t *t);  /* DTLS: a question was answered */
  void *owner;                 /* DTLS: the association */
};

extern const qn_filter_ops_t qn__tls_ops;

static inline qn_tls_t *qn__tls_of_ssl(const SSL *ssl) { return SSL_get_app_data(ssl); }
static inline qn_tls_config_t *qn__tls_effective(const qn_tls_t *t)
{
  return t->chosen != NULL ? t->chosen : t->config;
}
/* f_tls_new.c */
/* What qn_tls_new does, with another kind of BIO; `bio` makes it. */
int qn__tls_make(qn_tls_config_t *c, const qn_tls_opts_t *opts, bool dtls, BIO *(*bio)(qn_tls_t *t),
                 void *owner, qn_tls_t **out);
/* A question of the handshake was answered: it goes on. */
void qn__tls_go_on(qn_tls_t *t);
void qn__tls_say(qn_tls_t *t, const char *text);
void qn__tls_event(qn_tls_t *t, int event, int value);

/* tls_trace.c: installs itself when the loop has a trace function; the others only then (t->trace
 * != NULL). */
/* Where the peer's address is to be put, or NULL: nobody looks. `id` is that of the stream or
 * socket. */
qn_addr_t *qn__tls_trace_begin(qn_tls_t *t, qn_loop_t *loop, uint64_t id);
void qn__tls_trace_say(const qn_tls_t *t, const char *format, ...) QN_PRINTF(2, 3);
void qn__tls_trace_verified(const qn_tls_t *t);
void qn__tls_trace_up(const qn_tls_t *t);
/* What is sent where there is no connection yet. */
void qn__tls_trace_sent(qn_loop_t *loop, uint64_t id, const qn_addr_t *peer, const char *what);

/* bio.c: a new BIO over t's layer below; NULL: no memory. */
BIO *qn__tls_bio(qn_tls_t *t);

/* alert.c: the error of a failed call of OpenSSL, whose queue it reads and clears. */
int qn__tls_failure(qn_tls_t *t, bool handshake);

/* verify_peer.c: an error of verification for the list: 0 or -ENOMEM. */
int qn__tls_add_fault(qn_tls_t *t, int code, int depth, X509 *x509, const char *text);
/* 0 go on, QN_AGAIN the embedder is asked, or the error. */
int qn__tls_decide(qn_tls_t *t);
/* verify_staple.c: looks once; adds what the configuration minds: 0 or -ENOMEM. */
int qn__tls_look_at_staple(qn_tls_t *t, X509 *leaf);
void qn__tls_note_issuer(qn_tls_t *t, X509 *leaf, STACK_OF(X509) * chain);

/* verify_memo.c: notes the list with the session, takes over what a resumed one brings; false, or
 * -ENOMEM: no memory. */
bool qn__tls_memo_write(const qn_tls_t *t);
int qn__tls_memo_read(qn_tls_t *t, X509 *leaf);

/* verify_peer.c: 0 accepted, QN_AGAIN (asked), or the error. Once the handshake is complete. */
int qn__tls_verify_late(qn_tls_t *t);
/* The handshake was held and the answer is no: the next step of it fails. */
void qn__tls_refuse_held(qn_tls_t *t);

/* psk.c: the keys of another configuration; false: no memory. The handshake is done. */
bool qn__tls_psk_switch(qn_tls_t *t, const qn_tls_config_t *c);
void qn__tls_psk_up(qn_tls_t *t);

/* sni.c: switches to another configuration: 0 or an error. */
int qn__tls_switch(qn_tls_t *t, qn_tls_config_t *c);

#endif

/* qn/tls.h: TLS as a layer on a stream: configurations, connections, sessions.
 *
 * A configuration (qn_tls_config_t) is set up, then used by any number of connections; its first
 * use freezes it. A connection (qn_tls_t) is made from one, put on a stream by qn_tls_start, and
 * stays readable (facts, errors) for as long as somebody holds it. Nothing of OpenSSL is touched
 * before the first configuration is used. All strings that come out are UTF-8 or ASCII with NUL;
 * texts are for people. Not thread-safe: one loop per configuration and connection.
 */
#ifndef QN_TLS_H
#define QN_TLS_H

#include "qn/stream.h"

typedef struct qn_cert qn_cert_t; /* qn/cert.h */
typedef struct qn_key qn_key_t;   /* qn/key.h */
typedef struct qn_tls_config qn_tls_config_t;
typedef struct qn_tls qn_tls_t;
typedef struct qn_tls_session qn_tls_session_t;

/* Limits. */
#define QN_TLS_ALPN_MAX 255u /* bytes of one ALPN name, and 64 names */
#define QN_TLS_ALPN_NAMES_MAX 64u
#define QN_TLS_CHAIN_MAX 102400u        /* bytes of the peer's certificate message */
#define QN_TLS_HANDSHAKE_MAX 262144u    /* bytes read in a handshake */
#define QN_TLS_ERRORS_MAX 32u           /* verification errors kept per connection */
#define QN_TLS_DEPTH_MAX 100u           /* largest verify depth; the default: 20 */
#define QN_TLS_SESSIONS_MAX 256u        /* client sessions remembered per configuration */
#define QN_TLS_TICKET_KEYS_MAX 4u       /* the current key and older ones still accepted */
#define QN_TLS_TICKET_LIFE_S 7200u      /* life of a session and of a ticket key */
#define QN_TLS_SESSION_BYTES_MAX 65536u /* of an exported session */
#define QN_TLS_PSK_IDENTITY_MAX 128u    /* bytes of the identity of a shared key, of a hint */
#define QN_TLS_PSK_KEY_MIN 16u          /* bytes of a shared key */
#define QN_TLS_PSK_KEY_MAX 64u
#define QN_TLS_PSKS_MAX 1024u       /* shared keys of one configuration */
#define QN_TLS_CONF_MAX 64          /* commands of OpenSSL of one configuration, */
#define QN_TLS_CONF_NAME_MAX 64u    /* bytes of one, */
#define QN_TLS_CONF_VALUE_MAX 4096u /* and of its value */
#define QN_OCSP_MAX 65536u          /* bytes of an OCSP answer */
#define QN_OCSP_ANSWERS_MAX 64      /* certificates that one may be about */
#define QN_OCSP_SKEW_S 300          /* seconds that clocks may differ by */
#define QN_OCSP_AGE_MAX_S 604800    /* of an answer that does not say how long it is valid */
#define QN_TLS_KEY_UPDATES_MAX 32u  /* records in a row without data, within a minute */

/* Verification errors that OpenSSL has no number for: QN_E_VERIFY(n). */
#define QN_TLS_VERIFY_NO_PEER_CERT 198 /* a client that must show a certificate did not */
#define QN_TLS_VERIFY_NOT_PINNED 199   /* no key of the chain is in the list of pinned keys */

enum { QN_TLS_1_0 = 0x0301, QN_TLS_1_1 = 0x0302, QN_TLS_1_2 = 0x0303, QN_TLS_1_3 = 0x0304 };
/* "TLSv1.3" ...; "unknown". */
QN_API const char *qn_tls_version_name(int version);

/* "OpenSSL 3.0.17 1 Jul 2025". */
QN_API const char *qn_tls_library(void);
/* The versions that it can speak when a configuration allows them, ascending, 0 at the end. */
QN_API const int *qn_tls_protocols(void);

/* --- configurations --------------------------------------------------------------------------- */

/* NULL: no memory. */
QN_API qn_tls_config_t *qn_tls_config_new(void);
/* The same settings, not frozen, with no remembered sessions; ticket keys and the SNI table are
 * copied too. NULL: no memory. */
QN_API qn_tls_config_t *qn_tls_config_copy(const qn_tls_config_t *c);
QN_API void qn_tls_config_retain(qn_tls_config_t *c);
QN_API void qn_tls_config_release(qn_tls_config_t *c);
QN_API bool qn_tls_config_frozen(const qn_tls_config_t *c);
/* Builds what a client (or server) needs now instead of at the first connection, and so checks it:
 * 0, -ENOMEM, QN_E_TLS_CONFIG, QN_E_KEY_MISMATCH or what reading the trust store gave. Freezes. */
QN_API int qn_tls_config_prepare(qn_tls_config_t *c, bool server);
/* Why the last call on `c` failed, in words; "" when it did not. Valid until the next call on it.
 */
QN_API const char *qn_tls_config_problem(const qn_tls_config_t *c);

/* The setters give 0, QN_E_BUSY (frozen), QN_E_INVALID (see _problem) or -ENOMEM; they copy or
 * retain what they get, and NULL (or n == 0) takes a setting back to its default. */

/* QN_TLS_...; 0: default (1.2 up to the newest). Versions below 1.2 also need a cipher list with
 * "@SECLEVEL=0" in many installations. */
QN_API int qn_tls_config_set_versions(qn_tls_config_t *c, int min, int max);
/* OpenSSL syntax: TLS 1.2 and older; TLS 1.3; key exchange groups ("X25519:P-256").
 * QN_E_TLS_CONFIG: OpenSSL cannot use it, and the old one stays. */
QN_API int qn_tls_config_set_ciphers(qn_tls_config_t *c, const char *list);
QN_API int qn_tls_config_set_ciphersuites(qn_tls_config_t *c, const char *list);
QN_API int qn_tls_config_set_curves(qn_tls_config_t *c, const char *list);

/* Servers: whose order of ciphers counts, ours (the default) or the client's. */
QN_API int qn_tls_config_set_client_order(qn_tls_config_t *c, bool on);
/* What has no setter, by the names of SSL_CONF_cmd(3), as in files: ("RecordPadding", "512"). Tried
 * at once: QN_E_INVALID, with its name in the problem; QN_E_LIMIT. Commands for certificates, keys
 * and verification are refused; compression and renegotiation stay off. */
QN_API int qn_tls_config_add_openssl(qn_tls_config_t *c, const char *name, const char *value);

/* Who is trusted. Default: the system's store. From the first of these calls on: only what they
 * name. `path`: a PEM file, or a directory in OpenSSL's hashed form. qn_tls_config_set_system_ca
 * (true) takes the system's in as well. */
QN_API int qn_tls_config_add_ca(qn_tls_config_t *c, qn_cert_t *cert);
QN_API int qn_tls_config_add_ca_path(qn_tls_config_t *c, const char *path);
QN_API int qn_tls_config_set_system_ca(qn_tls_config_t *c, bool on);

/* AUTO: peer for clients, none for servers. NONE: servers ask for no certificate; clients go on
 * whatever they get. QUERY: checked, errors are noted (qn_tls_error_at), the connection goes on; a
 * client need not show a certificate. PEER: errors end the handshake unless they are ignored or the
 * `verify` hook says otherwise; clients must show a certificate. */
typedef enum qn_tls_verify {
  QN_TLS_VERIFY_AUTO,
  QN_TLS_VERIFY_NONE,
  QN_TLS_VERIFY_QUERY,
  QN_TLS_VERIFY_PEER
} qn_tls_verify_t;
QN_API int qn_tls_config_set_verify(qn_tls_config_t *c, qn_tls_verify_t mode);
/* Intermediate certificates between the peer's and a trusted one; < 0 (default): 20. */
QN_API int qn_tls_config_set_depth(qn_tls_config_t *c, int depth);
/* Errors that are no reason to end: `err` is QN_E_VERIFY(n); `cert` may be NULL (any). The
 * handshake goes on only if every error of it is in the list. n == 0 empties it. */
typedef struct qn_tls_ignore {
  int err;
  qn_cert_t *cert;
} qn_tls_ignore_t;
QN_API int qn_tls_config_set_ignore(qn_tls_config_t *c, const qn_tls_ignore_t *list, size_t n);
/* Every error (default: false). It counts beside the list. */
QN_API int qn_tls_config_set_ignore_all(qn_tls_config_t *c, bool on);
/* SHA-256 of a SubjectPublicKeyInfo that must occur in the chain: n times 32 bytes. Checked in
 * modes QUERY and PEER, beside everything else. */
QN_API int qn_tls_config_set_pins(qn_tls_config_t *c, const uint8_t (*pins)[32], size_t n);

/* Own certificate, the rest of its chain in order, and its key. Servers need one; a second call
 * with another type of key adds it (at most one per type: RSA, EC, Ed25519 ...), the peer's
 * abilities decide. QN_E_KEY_MISMATCH. cert == NULL removes all. */
QN_API int qn_tls_config_add_cert(qn_tls_config_t *c, qn_cert_t *cert, qn_cert_t *const *chain,
                                  size_t n, qn_key_t *key);
/* Names of CAs that a server tells clients when it asks for a certificate. */
QN_API int qn_tls_config_set_client_ca(qn_tls_config_t *c, qn_cert_t *const *certs, size_t n);

/* Client: offered, best first. Server: accepted, best first; no common name: the handshake fails
 * with alert no_application_protocol. A client that offers none is served without. */
QN_API int qn_tls_config_set_alpn(qn_tls_config_t *c, const qn_slice_t *names, size_t n);
/* Server: chooses itself instead: index into `names`, or -1 = refuse. It must answer at once and
 * not touch the stream. */
typedef int (*qn_tls_alpn_fn)(qn_tls_t *t, const qn_slice_t *names, size_t n, void *arg);
QN_API int qn_tls_config_set_alpn_choice(qn_tls_config_t *c, qn_tls_alpn_fn fn, void *arg);

/* Shared keys (PSK), beside certificates or instead of them. Clients offer the first that was
 * added, servers take any; identity == NULL removes all. With TLS 1.3 the keys go with SHA-256;
 * with TLS 1.2, key exchanges with forward secrecy come first. A connection with a shared key has
 * no certificates, and `verify` has nothing to look at. Configurations with shared keys do not
 * resume sessions as clients, nor as servers without a certificate. QN_E_INVALID: sizes;
 * QN_E_LIMIT. */
QN_API int qn_tls_config_add_psk(qn_tls_config_t *c, const char *identity, qn_slice_t key);
typedef struct qn_tls_psk {
  char identity[QN_TLS_PSK_IDENTITY_MAX + 1]; /* with 0 at the end */
  uint8_t key[QN_TLS_PSK_KEY_MAX];
  size_t key_size;
} qn_tls_psk_t;
/* Asked instead, in the middle of a handshake; it must answer at once and not touch the stream.
 * Client: `text` is the server's hint (TLS 1.2; NULL: none), fills all of `out`. Server: `text` is
 * the client's identity (also bytes of tickets that are not ours), fills the key. false: none. */
typedef bool (*qn_tls_psk_fn)(qn_tls_t *t, const char *text, qn_tls_psk_t *out, void *arg);
QN_API int qn_tls_config_set_psk_choice(qn_tls_config_t *c, qn_tls_psk_fn fn, void *arg);
/* Servers, TLS 1.2: tells clients which identity to use. */
QN_API int qn_tls_config_set_psk_hint(qn_tls_config_t *c, const char *hint);

/* Session reuse, on by default: clients remember sessions by `peer` (qn_tls_opts_t), servers take
 * tickets. off: neither. Tickets off: TLS 1.2 servers and clients use session ids (a server's
 * memory then holds at most QN_TLS_SESSIONS_MAX). */
QN_API int qn_tls_config_set_sessions(qn_tls_config_t *c, bool on);
QN_API int qn_tls_config_set_tickets(qn_tls_config_t *c, bool on);
/* Servers: allowed at any time. A new key for tickets from now on; older ones are still taken for
 * QN_TLS_TICKET_LIFE_S (at most QN_TLS_TICKET_KEYS_MAX). Happens by itself after that time. */
QN_API int qn_tls_config_rotate_tickets(qn_tls_config_t *c);
/* The same keys in several servers: n keys of 80 bytes, newest first, n <= QN_TLS_TICKET_KEYS_MAX;
 * allowed at any time; no rotation by itself from then on. */
QN_API int qn_tls_config_set_ticket_keys(qn_tls_config_t *c, const uint8_t (*keys)[80], size_t n);

/* Servers: which configuration serves a name: "www.example.org" or "*.example.org" (one label),
 * UTF-8 or ASCII. Allowed at any time, so certificates can be changed while connections go on;
 * `other` == NULL removes the name. Others get `c` itself. QN_E_INVALID: not a name, or other == c.
 * Of `other` everything counts but its ticket keys. */
QN_API int qn_tls_config_set_sni(qn_tls_config_t *c, const char *name, qn_tls_config_t *other);

/* Writes the keys of every connection to this file (appended, made with mode 0600): for debugging
 * with other programs. Off unless asked for; the environment is not looked at. */
QN_API int qn_tls_config_set_keylog(qn_tls_config_t *c, const char *path);
/* Clients. REQUEST: a stapled OCSP answer is asked for and checked; CERT_REVOKED ends the handshake
 * as other errors of verification do, answers that do not count are as none. REQUIRE: the answer
 * must be there, valid and good (CERT_OCSP_...). With both, certificates that demand stapling (RFC
 * 7633) are good with a valid answer only. OFF, the default: nothing is asked for or looked at.
 * Sessions that are resumed were checked when they began. */
typedef enum qn_tls_ocsp {
  QN_TLS_OCSP_OFF,
  QN_TLS_OCSP_REQUEST,
  QN_TLS_OCSP_REQUIRE
} qn_tls_ocsp_t;
QN_API int qn_tls_config_set_ocsp(qn_tls_config_t *c, qn_tls_ocsp_t mode);
/* Servers: the answer to staple, in DER; allowed at any time. */
QN_API int qn_tls_config_set_ocsp_staple(qn_tls_config_t *c, qn_slice_t der);

/* --- connections ------------------------------------------------------------------------------ */

/* Hooks are called in the middle of a handshake: they must not call into the stream or run user
 * code that does; they take a note, and answer at once or later by the function named. Until then
 * the handshake waits; other connections go on. Not answered: the deadline of the start decides. */
typedef struct qn_tls_hooks {
  void *arg;
  /* Server: a ClientHello has come; `name` is NULL without SNI, else lower case. Asked before the
   * table. Answer: qn_tls_answer_config. */
  void (*sni)(qn_tls_t *t, const char *name, void *arg);
  /* Mode PEER: there are errors (qn_tls_error_at) that the list does not ignore. Answer:
   * qn_tls_answer_verify. The handshake is held meanwhile, and nothing of what the peer sends is
   * handed up. Without this hook, or answered inside of it, a refused peer gets the alert that says
   * what is wrong. Answered later: clients send the same; servers send handshake_failure, or
   * record_overflow when the handshake is complete (a resumed session, a client whose certificate
   * and signature share a record), since OpenSSL has no call for another. */
  void (*verify)(qn_tls_t *t, void *arg);
  /* Something to tell; never waits. QN_TLS_EVENT_...; arg2: see there. */
  void (*event)(qn_tls_t *t, int event, int value, void *arg);
} qn_tls_hooks_t;

enum {
  QN_TLS_EVENT_UP,             /* the handshake is done */
  QN_TLS_EVENT_ALERT_RECEIVED, /* value: the alert's number; also close_notify (0) */
  QN_TLS_EVENT_ALERT_SENT,     /* value: the alert's number */
  QN_TLS_EVENT_SESSION,        /* clients: a session to resume with has come (qn_tls_session) */
  QN_TLS_EVENT_VERIFY_ERROR    /* value: QN_E_VERIFY(n), as it is found */
};

typedef struct qn_tls_opts {
  bool server;
  const char *server_name;   /* client: SNI, and checked unless verify_name is set; IP literals are
                                checked and not sent. International names in either form */
  const char *verify_name;   /* the name or address that the certificate must be for; "" = any */
  bool no_sni;               /* client: server_name is not sent */
  const char *peer;          /* client: key of the session memory ("host:port"); NULL: none */
  qn_tls_session_t *session; /* client: resume this one, if it was made with the same rules
                                of verification (or there are none) */
  qn_tls_hooks_t hooks;
} qn_tls_opts_t;

/* A connection that is not started. A client in mode PEER (or AUTO) must have a name to check:
 * QN_E_INVALID otherwise. Freezes the configuration; its errors: qn_tls_config_prepare. */
QN_API int qn_tls_new(qn_tls_config_t *c, const qn_tls_opts_t *opts, qn_tls_t **out);
QN_API void qn_tls_retain(qn_tls_t *t);
QN_API void qn_tls_release(qn_tls_t *t);
/* Puts it on a connected stream (once), as qn_stream_push does: 0, QN_AGAIN (`op` settles) or an
 * error (QN_E_PLAINTEXT: unread bytes are buffered; QN_E_BUSY: already used, or somebody waits on
 * the stream). What is written meanwhile goes out encrypted. Errors of a handshake: QN_E_VERIFY(n),
 * QN_E_ALERT(n) received, QN_E_TLS, QN_E_TLS_DATA, QN_E_EOF, or those of the layer below; what is
 * wrong in words: qn_tls_problem. Afterwards reads give QN_E_TLS_TRUNCATED when the connection ends
 * without close_notify, QN_E_TLS_DATA when the peer breaks the protocol. */
QN_API int qn_tls_start(qn_tls_t *t, qn_stream_t *s, qn_op_t *op);
/* Called when the hooks' owner goes away first. */
QN_API void qn_tls_unhook(qn_tls_t *t);
/* The topmost TLS layer of a stream, not retained; NULL: none. */
QN_API qn_tls_t *qn_tls_of(const qn_stream_t *s);

/* Answers. Ignored when nothing was asked. `c` NULL: the configuration it has; err < 0: refuse (the
 * peer gets alert unrecognized_name, the start gives `err`). */
QN_API void qn_tls_answer_config(qn_tls_t *t, qn_tls_config_t *c, int err);
QN_API void qn_tls_answer_verify(qn_tls_t *t, bool accept);
/* More to ignore, also while `verify` is asked: as qn_tls_config_set_ignore; `all`: every error. */
QN_API int qn_tls_ignore(qn_tls_t *t, const qn_tls_ignore_t *list, size_t n, bool all);
/* New keys for what we send; request: the peer shall do the same. TLS 1.3, else QN_E_UNSUPPORTED;
 * QN_E_NOT_CONNECTED. */
QN_API int qn_tls_key_update(qn_tls_t *t, bool request);

/* --- facts ------------------------------------------------------------------------------------ */

QN_API bool qn_tls_is_up(const qn_tls_t *t); /* the handshake was completed and accepted */
QN_API bool qn_tls_is_server(const qn_tls_t *t);
/* Why it failed, in words, with the host, the certificate's names, the alert or OpenSSL's reason;
 * "" when nothing has. */
QN_API const char *qn_tls_problem(const qn_tls_t *t);
QN_API int qn_tls_version(const qn_tls_t *t);        /* 0: not known yet */
QN_API const char *qn_tls_cipher(const qn_tls_t *t); /* "TLS_AES_128_GCM_SHA256"; NULL */
QN_API int qn_tls_cipher_bits(const qn_tls_t *t);    /* 0: not known yet */
QN_API qn_slice_t qn_tls_alpn(const qn_tls_t *t);    /* size 0: none */
QN_API bool qn_tls_resumed(const qn_tls_t *t);
QN_API const char *qn_tls_psk_identity(const qn_tls_t *t); /* of the shared key in use; NULL */
/* Bytes of records, handshake and all, that came from and went to the layer below. */
QN_API void qn_tls_wire(const qn_tls_t *t, uint64_t *received, uint64_t *sent);
QN_API const char *qn_tls_server_name(const qn_tls_t *t);              /* sent or received; NULL */
QN_API const char *qn_tls_ephemeral_key(const qn_tls_t *t, int *bits); /* "X25519"; NULL */
QN_API qn_slice_t qn_tls_ocsp(const qn_tls_t *t); /* what was stapled, DER; size 0: nothing */
/* What came of checking it. false: there is none. `problem`: why it does not count (status
 * INVALID), NULL when it does. */
typedef enum qn_ocsp_status {
  QN_OCSP_INVALID,
  QN_OCSP_GOOD,
  QN_OCSP_REVOKED,
  QN_OCSP_UNKNOWN
} qn_ocsp_status_t;
typedef struct qn_ocsp {
  qn_ocsp_status_t status;
  int reason;                                    /* of RFC 5280; -1: none was given */
  int64_t this_update, next_update, produced_at; /* Unix seconds; 0: not said */
  int64_t revoked_at;
} qn_ocsp_t;
QN_API bool qn_tls_ocsp_info(const qn_tls_t *t, qn_ocsp_t *out, const char **problem);
/* An answer as it stands, about the first certificate in it; nothing is checked. QN_E_INVALID,
 * QN_E_LIMIT. */
QN_API int qn_ocsp_read(qn_slice_t der, qn_ocsp_t *out);
QN_API const char *qn_ocsp_status_name(qn_ocsp_status_t status); /* "good" ... */
QN_API const char *qn_ocsp_reason_name(int reason);              /* "key_compromise" ...; NULL */
/* The peer's certificates as it sent them, leaf first; a new reference. 0 when there are none;
 * QN_E_INVALID: no such index. */
QN_API size_t qn_tls_peer_count(const qn_tls_t *t);
QN_API int qn_tls_peer_cert(const qn_tls_t *t, size_t i, qn_cert_t **out);
/* All verification errors of this connection, in the order they were found. */
typedef struct qn_tls_error {
  int err;          /* QN_E_VERIFY(n) */
  int depth;        /* 0: the peer's own certificate */
  qn_cert_t *cert;  /* not retained, lives as long as the connection; NULL: none is concerned */
  const char *text; /* a sentence; for names: `certificate for a, b does not match host "h"` */
} qn_tls_error_t;
QN_API size_t qn_tls_error_count(const qn_tls_t *t);
QN_API qn_tls_error_t qn_tls_error_at(const qn_tls_t *t, size_t i);
QN_API int qn_tls_alert_received(const qn_tls_t *t); /* the last alert's number, -1: none */
QN_API int qn_tls_alert_sent(const qn_tls_t *t);
/* "close_notify", "handshake_failure" ... "unknown". */
QN_API const char *qn_tls_alert_name(int alert);

/* --- sessions --------------------------------------------------------------------------------- */

/* The session to resume with, a new reference; NULL: none (yet; TLS 1.3 sends it behind the
 * handshake: QN_TLS_EVENT_SESSION). */
QN_API qn_tls_session_t *qn_tls_session(const qn_tls_t *t);
QN_API void qn_tls_session_retain(qn_tls_session_t *s);
QN_API void qn_tls_session_release(qn_tls_session_t *s);
/* Its bytes (secret!), to be freed with qn_free. */
QN_API int qn_tls_session_export(const qn_tls_session_t *s, uint8_t **out, size_t *size);
QN_API int qn_tls_session_import(qn_slice_t bytes, qn_tls_session_t **out);
QN_API int qn_tls_session_version(const qn_tls_session_t *s);
QN_API int64_t qn_tls_session_expires(const qn_tls_session_t *s); /* Unix seconds */
/* Forgets what `c` remembers for `peer` (NULL: all). */
QN_API void qn_tls_config_forget(qn_tls_config_t *c, const char *peer);

#endif

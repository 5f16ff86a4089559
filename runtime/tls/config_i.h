/* config_i.h: what is inside of a TLS configuration, for the files of runtime/tls only.
 *
 * config.c owns the settings, ctx.c builds the two SSL_CTX from them at the first use, session.c
 * the remembered sessions and ticket keys, sni.c the table of names. Invariant: what `ctx` was
 * built from does not change any more (`frozen`); names, ticket keys and the staple may.
 */
#ifndef QN_TLS_CONFIG_I_H
#define QN_TLS_CONFIG_I_H

#include "qn/tls.h"
#include "tls/cert_i.h"
#include "tls/key_i.h"

#include <openssl/ssl.h>

#define QN__TLS_SETTINGS 16 /* bytes that name how peers are verified */

typedef struct qn__tls_own {
  qn_cert_t *cert;
  qn_certs_t chain;
  qn_key_t *key;
} qn__tls_own_t;

typedef struct qn__tls_sni {
  char *name; /* "*.x" keeps ".x" */
  bool wild;
  qn_tls_config_t *config;
} qn__tls_sni_t;

typedef struct qn__tls_remembered {
  char *peer;
  SSL_SESSION *session;
} qn__tls_remembered_t;

typedef struct qn__tls_ignores {
  qn_tls_ignore_t *items;
  size_t count;
} qn__tls_ignores_t;

typedef struct qn__tls_ticket_key {
  uint8_t bytes[80]; /* name 16, AES-256 32, HMAC-SHA-256 32 */
  int64_t made;      /* monotonic seconds */
} qn__tls_ticket_key_t;

struct qn_tls_config {
  unsigned refs, in_tables;
  bool frozen, server_used;
  int min, max, depth;
  char *ciphers, *suites, *curves, *keylog;
  int keylog_fd;
  qn_tls_verify_t verify;
  qn_certs_t ca;
  char **ca_paths;
  size_t ca_path_count;
  bool own_ca, system_ca, no_sessions, no_tickets, keys_given, client_order, ignore_all;
  qn_tls_ocsp_t ocsp;
  qn__tls_ignores_t ignore;
  uint8_t (*pins)[32];
  size_t pin_count;
  qn__tls_own_t *own;
  size_t own_count;
  qn_certs_t client_ca;
  uint8_t *alpn; /* as on the wire */
  size_t alpn_size;
  qn_tls_alpn_fn alpn_fn;
  void *alpn_arg;
  qn__tls_sni_t *sni;
  size_t sni_count;
  qn__tls_remembered_t *remembered; /* oldest first */
  size_t remembered_count;
  qn__tls_ticket_key_t keys[QN_TLS_TICKET_KEYS_MAX]; /* newest first */
  size_t key_count;
  struct qn__tls_conf *conf; /* conf.c; NULL: none */
  struct qn__tls_psk *psk;   /* psk.c; NULL: none */
  uint8_t *staple;
  size_t staple_size;
  uint8_t id[16]; /* session id context: sessions of one configuration are not another's */
  uint8_t settings[2][QN__TLS_SETTINGS]; /* how clients, servers verify: a digest */
  SSL_CTX *ctx[4];                       /* client, server, DTLS client, DTLS server */
  char problem[256];
};

/* config.c */
int qn__tls_config_fail(qn_tls_config_t *c, int err, const char *format, ...) QN_PRINTF(3, 4);
int qn__tls_ignores_set(qn__tls_ignores_t *l, const qn_tls_ignore_t *list, size_t n, bool add);
void qn__tls_ignores_free(qn__tls_ignores_t *l);
bool qn__tls_ignores_has(const qn__tls_ignores_t *l, int err, const qn_cert_t *cert);
qn_tls_verify_t qn__tls_config_mode(const qn_tls_config_t *c, bool server);

/* ctx.c */
typedef enum qn__tls_list { QN__TLS_CIPHERS, QN__TLS_SUITES, QN__TLS_CURVES } qn__tls_list_t;
/* Whether OpenSSL can use such a list; else the problem of the configuration says why not. */
int qn__tls_try_list(qn_tls_config_t *c, qn__tls_list_t which, const char *text);
/* The context, built when it is first asked for; also freezes. */
int qn__tls_ctx(qn_tls_config_t *c, bool server, bool dtls, SSL_CTX **out);

/* session.c */
void qn__tls_session_setup(qn_tls_config_t *c, SSL_CTX *ctx, bool server);
int qn__tls_ticket_first(qn_tls_config_t *c);
/* The newest session for `peer`, a new reference, or NULL. */
SSL_SESSION *qn__tls_recall(qn_tls_config_t *c, const char *peer);
SSL_SESSION *qn__tls_session_peek(const qn_tls_session_t *s);

/* sni.c */
void qn__tls_sni_free(qn_tls_config_t *c);
int qn__tls_sni_copy(qn_tls_config_t *to, const qn_tls_config_t *from);
void qn__tls_sni_setup(SSL_CTX *ctx);

/* verify_memo.c: computes settings[server]; false: no memory. */
bool qn__tls_settings(qn_tls_config_t *c, bool server);
/* Whether resuming this session says as much of the peer as a whole handshake would. */
bool qn__tls_memo_fits(SSL_SESSION *session, const qn_tls_config_t *c, bool server);

/* verify_staple.c */
void qn__tls_staple_setup(const qn_tls_config_t *c, SSL_CTX *ctx);

/* conf.c */
int qn__tls_conf_use(qn_tls_config_t *c, SSL_CTX *ctx, SSL *ssl);
void qn__tls_conf_free(qn_tls_config_t *c);
int qn__tls_conf_copy(qn_tls_config_t *to, const qn_tls_config_t *from);

/* psk.c */
void qn__tls_psk_free(qn_tls_config_t *c);
bool qn__tls_psk_any(const qn_tls_config_t *c);
int qn__tls_psk_copy(qn_tls_config_t *to, const qn_tls_config_t *from);
bool qn__tls_psk_setup(const qn_tls_config_t *c, SSL_CTX *ctx, bool server);

/* alpn.c, keylog.c, alert.c, verify_peer.c: callbacks of a context. */
void qn__tls_alpn_setup(SSL_CTX *ctx);
int qn__tls_keylog_open(qn_tls_config_t *c);
void qn__tls_keylog_setup(SSL_CTX *ctx);
void qn__tls_alert_setup(SSL_CTX *ctx);
void qn__tls_verify_setup(SSL_CTX *ctx);

/* dtls_shake.c */
void qn__dtls_cookie_setup(SSL_CTX *ctx);

#endif

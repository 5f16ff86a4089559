/* b_tls.h: what the TLS bindings share: configurations and the connections of streams.
 *
 * Private to b_tls.c, b_tls_config.c, b_tls_facts.c, b_stream.c, b_events.c and b_listen.c. A
 * connection belongs to the stream's userdata and lives as long; a configuration is a userdata that
 * whoever waits for a handshake has on its stack, so its Lua functions are there while they can be
 * asked.
 */
#ifndef QNL_B_TLS_H
#define QNL_B_TLS_H

#include "b_stream.h"
#include "qn/cert.h"
#include "qn/key.h"
#include "qn/tls.h"

typedef struct qnl_tls_config {
  qnl_box_t box; /* obj = this struct */
  qn_tls_config_t *c;
  qnl_state_t *G;
} qnl_tls_config_t;

qnl_tls_config_t *qnl_check_tls_config(lua_State *L, int idx);
void qnl_open_tls_config(lua_State *L, qnl_state_t *G);
/* b_ocsp.c: pushes what came of a stapled answer; false: nothing was, and nothing is pushed. */
bool qnl_push_tls_ocsp(lua_State *L, const qn_tls_t *t);
void qnl_open_ocsp(lua_State *L, qnl_state_t *G);

/* b_tls_psk.c */
int qnl_tls_set_psk(lua_State *L, qnl_tls_config_t *u);

/* {{code, certificate or nil} ...} at `idx`: how many, or QN_E_LIMIT. */
int qnl_tls_ignores(lua_State *L, int idx, qn_tls_ignore_t list[QN_TLS_ERRORS_MAX]);

/* b_tls_choice.c: the function at 3 of the configuration at 1 is kept, pushed, asked (by `ask`,
 * protected, which gets `choice` as light userdata): false when it raised, which is reported. */
void qnl_tls_keep_choice(lua_State *L, qnl_tls_config_t *u, const char *field);
void qnl_tls_push_choice(lua_State *L, const qnl_tls_config_t *u, const char *field);
bool qnl_tls_ask_choice(qnl_state_t *G, lua_CFunction ask, void *choice, const char *what);
void qnl_tls_forget_choices(lua_State *L, const qnl_tls_config_t *u);
void qnl_open_tls_choice(lua_State *L);
void qnl_open_tls_facts(lua_State *L, qnl_state_t *G);

/* QN_E_VERIFY(n) of the name of a verification error; 0: there is none of this name. */
int qnl_verify_code(const char *name);

/* One TLS layer of a stream; the topmost is in u->tls. */
typedef struct qnl_tls_conn {
  qn_tls_t *t;
  struct qnl_tls_conn *under;
  qnl_stream_t *u;
  qnl_state_t *G;
  qn_ready_t ready;
  void (*gone)(struct qnl_tls_conn *conn); /* it is freed; NULL: nobody needs to know */
  bool asked_sni, asked_verify;
} qnl_tls_conn_t;

/* Pushes the error of a handshake: with the reason in words, the alert, and what is wrong with the
 * certificate. `peer` may be NULL. */
void qnl_push_tls_failure(lua_State *L, const qn_tls_t *t, int code, const char *op,
                          const char *peer);
/* A connection that is not in a stream's userdata: `conn` is allocated, or the first member of what
 * is. Freed with its reference of `t`. */
void qnl_tls_conn_init(qnl_tls_conn_t *conn, qnl_state_t *G);
void qnl_tls_conn_free(qnl_tls_conn_t *conn);
/* From now on the stream at `idx` is whom questions of the connection are about. */
void qnl_tls_conn_name(lua_State *L, int idx, const qnl_tls_conn_t *conn);
/* The handshake is over: lets go of the configuration that core.tls_answer gave. Raises nothing. */
void qnl_tls_settled(const qnl_tls_conn_t *conn);
/* The `event` hook; `arg` is a qnl_tls_conn_t, whose `u` may be NULL. */
void qnl_tls_on_event(qn_tls_t *t, int event, int value, void *arg);
/* The stream goes away: frees its connections. */
void qnl_tls_drop(qnl_stream_t *u);
/* Pushes the list of verification errors as error objects; nil when there are none. */
void qnl_push_tls_errors(lua_State *L, const qn_tls_t *t);
/* Pushes what is known of a connection, a table. */
void qnl_push_tls_facts(lua_State *L, const qn_tls_t *t);
/* Pushes the session to resume with, or nil. */
void qnl_push_tls_session(lua_State *L, const qn_tls_t *t);
/* Calls the Lua function that lua/qn/tls/... has registered under `name` with all arguments of the
 * C function; its results are the results. May wait. */
int qnl_tls_call(lua_State *L, const char *name);

/* b_events.c: notes an event that no observer of the stream makes (QNL_EVENT_...). */
enum {
  QNL_EVENT_ENCRYPTED = 1 << 16,
  QNL_EVENT_SSL_ERRORS = 1 << 17,
  QNL_EVENT_VERIFY_ERROR = 1 << 18,
  QNL_EVENT_ALERT_RECEIVED = 1 << 19,
  QNL_EVENT_ALERT_SENT = 1 << 20,
  QNL_EVENT_SESSION = 1 << 21,
  QNL_EVENT_MODE = 1 << 22,
  QNL_EVENT_TLS_MASK = 0x7f << 16
};
/* Whether somebody listens to one of them. */
bool qnl_observed(const qnl_stream_t *u, unsigned events);
void qnl_note(const qnl_stream_t *u, int event, int64_t arg);

#endif

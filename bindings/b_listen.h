/* b_listen.h: the userdata of a listening socket, shared by b_listen.c and b_events.c. */
#ifndef QNL_B_LISTEN_H
#define QNL_B_LISTEN_H

#include "b_stream.h"
#include "qn/listen.h"

typedef struct qnl_listener {
  qnl_box_t box;
  qn_listener_t *l;
  qnl_emitter_t *emitter;
  struct qnl_tls_server *tls; /* b_tls_accept.c; NULL: connections are handed out as they come */
} qnl_listener_t;
typedef struct qnl_tls_server qnl_tls_server_t;

/* Events that lua/qn/tls/server.lua makes. */
enum {
  QNL_EVENT_HANDSHAKE_STARTED = 1 << 8,
  QNL_EVENT_HANDSHAKE_ERROR = 1 << 9,
  QNL_EVENT_HANDSHAKE_SSL_ERRORS = 1 << 10
};

qnl_listener_t *qnl_check_listener(lua_State *L, int idx);
/* nil, err with the server's address. */
int qnl_listener_fail(lua_State *L, qnl_listener_t *u, int code, const char *op);
/* Whether somebody listens to this event. */
bool qnl_listener_observed(const qnl_listener_t *u, unsigned event);
/* Notes an event that the listener below does not make. */
void qnl_listener_note(const qnl_listener_t *u, char event);
void qnl_listener_forget_events(qnl_listener_t *u);
/* The listener on top of the stack was closed: who waits for one of its events learns it. */
void qnl_listener_over(lua_State *L, const qnl_listener_t *u);

#endif

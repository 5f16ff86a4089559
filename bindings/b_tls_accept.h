/* b_tls_accept.h: the TLS half of a server, for b_listen.c and b_events.c.
 *
 * A server speaks TLS when its userdata has one of these; accept, close and the counts then go
 * there. It belongs to the userdata.
 */
#ifndef QNL_B_TLS_ACCEPT_H
#define QNL_B_TLS_ACCEPT_H

#include "b_listen.h"
#include "b_tls.h"
#include "qn/tls_listen.h"

/* The rest of `accept`, behind QNL_ENTER. */
int qnl_tls_server_accept(lua_State *L, qnl_task_t *t, qnl_listener_t *u, uint64_t timeout);
/* NULL is fine. */
void qnl_tls_server_close(qnl_tls_server_t *srv);
void qnl_tls_server_free(qnl_tls_server_t *srv);
/* Adds fields to the table on top. */
void qnl_tls_server_stats(lua_State *L, const qnl_tls_server_t *srv);
size_t qnl_tls_server_pending(const qnl_tls_server_t *srv);
void qnl_tls_server_set_max_pending(qnl_tls_server_t *srv, size_t n);
void qnl_open_tls_accept(lua_State *L, qnl_state_t *G);

#endif

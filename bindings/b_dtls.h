/* b_dtls.h: what the bindings of DTLS share: servers (endpoints) and connections (associations).
 *
 * Private to b_dtls.c and b_dtls_server.c. An endpoint's userdata holds its socket's, a
 * connection's holds its endpoint's: so each outlives what it stands on. One association has one
 * userdata while anybody has it.
 */
#ifndef QNL_B_DTLS_H
#define QNL_B_DTLS_H

#include "b_tls.h"
#include "b_udp.h"

#include "qn/dtls.h"

/* User values of an endpoint; of a connection the first is its endpoint, the second its
 * configuration, as soon as it is known. */
enum { QNL_DTLS_SOCKET = 1, QNL_DTLS_OWN = 2, QNL_DTLS_VERIFIER = 3, QNL_DTLS_VALUES = 3 };

typedef struct qnl_dtls_endpoint {
  qnl_box_t box; /* obj = this struct */
  qn_dtls_endpoint_t *e;
} qnl_dtls_endpoint_t;

typedef struct qnl_dtls {
  qnl_box_t box; /* obj = this struct */
  qn_dtls_t *a;
  bool handed;   /* somebody has it: collected while open = a leak */
  bool listened; /* its listeners get the messages: nobody else does */
} qnl_dtls_t;

/* Pushes the userdata of an association of the endpoint at `endpoint`, which takes over the
 * caller's reference. Raises when there is no memory; then the reference is gone, too. */
qnl_dtls_t *qnl_push_dtls(lua_State *L, int endpoint, qn_dtls_t *a);
/* Pushes why it failed or ended. */
void qnl_dtls_push_error(lua_State *L, const qn_dtls_t *a, int code, const char *op);
/* Notes the configuration at `idx`, so that connections of a server find theirs. */
void qnl_dtls_know_config(lua_State *L, int idx);
void qnl_open_dtls_server(lua_State *L, qnl_state_t *G);

#endif

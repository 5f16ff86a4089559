/* b_listen.h: the userdata of a listening socket, shared by b_listen.c and b_events.c. */
#ifndef QNL_B_LISTEN_H
#define QNL_B_LISTEN_H

#include "b_stream.h"
#include "qn/listen.h"

typedef struct qnl_listener {
  qnl_box_t box;
  qn_listener_t *l;
  qnl_emitter_t *emitter;
} qnl_listener_t;

qnl_listener_t *qnl_check_listener(lua_State *L, int idx);
void qnl_listener_forget_events(qnl_listener_t *u);
/* The listener on top of the stack was closed: who waits for one of its events learns it. */
void qnl_listener_over(lua_State *L, const qnl_listener_t *u);

#endif

/* b_udp.c */
#include "sched.h"

qnl_class_t qnl_class_udp = {.name = "qn.UdpSocket",
                             .methods = (const qnl_method_t[]){{NULL, NULL, 0}}};
qnl_class_t qnl_class_datagram = {.name = "qn.Datagram",
                                  .methods = (const qnl_method_t[]){{NULL, NULL, 0}}};

void qnl_open_udp(lua_State *L, qnl_state_t *G)
{
  qnl_class_register(L, G, &qnl_class_udp);
  qnl_class_register(L, G, &qnl_class_datagram);
}

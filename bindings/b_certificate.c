/* b_certificate.c */
#include "sched.h"

qnl_class_t qnl_class_certificate = {.name = "qn.Certificate", .methods = (const qnl_method_t[]){{NULL, NULL, 0}}};
qnl_class_t qnl_class_csr = {.name = "qn.CertificateRequest", .methods = (const qnl_method_t[]){{NULL, NULL, 0}}};

void qnl_open_certificate(lua_State *L, qnl_state_t *G)
{
  qnl_class_register(L, G, &qnl_class_certificate);
  qnl_class_register(L, G, &qnl_class_csr);
}

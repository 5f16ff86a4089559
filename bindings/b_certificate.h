/* b_certificate.h: certificates as Lua values, for the bindings that have one to show.
 */
#ifndef B_CERTIFICATE_H
#define B_CERTIFICATE_H

#include "qn/cert.h"
#include "qnl.h"

/* Pushes a qn.Certificate that holds a reference of its own; returns 1. */
int qnl_certificate_push(lua_State *L, qn_cert_t *cert);

#endif

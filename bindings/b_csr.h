/* b_csr.h: requests for certificates, for the bindings that make and sign them.
 */
#ifndef B_CSR_H
#define B_CSR_H

#include "qn/cert_make.h"

#include "qnl.h"

/* Registers the class and its functions. */
void qnl_open_csr(lua_State *L, qnl_state_t *G);

#endif

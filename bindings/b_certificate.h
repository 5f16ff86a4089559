/* b_certificate.h: certificates as Lua values, for the bindings that have one to show.
 */
#ifndef B_CERTIFICATE_H
#define B_CERTIFICATE_H

#include "qn/cert.h"
#include "qnl.h"

/* Pushes a qn.Certificate that holds a reference of its own; returns 1. */
int qnl_certificate_push(lua_State *L, qn_cert_t *cert);

/* C functions for a protected call with a light userdata, the qn_cert_list_t: one table each, or
 * text, or nothing (key_id of an empty list). */
int qnl_push_attributes(lua_State *L); /* a qn.DistinguishedName */
int qnl_push_names(lua_State *L);
int qnl_push_extensions(lua_State *L);
int qnl_push_usages(lua_State *L);
int qnl_push_ocsp_urls(lua_State *L);
int qnl_push_issuer_urls(lua_State *L);
int qnl_push_crl_urls(lua_State *L);
int qnl_push_key_id(lua_State *L);

/* Calls `push` with a light userdata, protected, so that what the core gave can be freed whatever
 * happens; the status of lua_pcall, its one result is on the stack. */
int qnl_protected_push(lua_State *L, lua_CFunction push, const void *from);
/* A string of these bytes, which are freed; or nil and the error `rc`. */
int qnl_give_bytes(lua_State *L, int rc, qn_cert_bytes_t *bytes, const char *op);

void qnl_push_hex(lua_State *L, const uint8_t *data, size_t size);
/* A list of names, or nil when there is no such extension. */
void qnl_push_key_usage(lua_State *L, uint32_t bits);

void qnl_open_certificate_list(lua_State *L, qnl_state_t *G);
/* core.certificate, certificates, certificates_of_system, certificate_verify. */
void qnl_open_certificate_read(lua_State *L, qnl_state_t *G);

#endif

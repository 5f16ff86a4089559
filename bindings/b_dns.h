/* b_dns.h: what the files of the DNS binding share: records become tables.
 *
 * The tables are plain; lua/qn/dns/record.lua makes read-only values of them.
 */
#ifndef QNL_B_DNS_H
#define QNL_B_DNS_H

#include "qn/dns.h"

#include "sched.h"

/* Pushes a list of the records, with the facts of the answer as its fields. */
void qnl_push_dns_answer(lua_State *L, qnl_state_t *G, const qn_dns_answer_t *answer);
/* core.dns_type, core.dns_order */
int qnl_dns_type(lua_State *L);
int qnl_dns_order(lua_State *L);

#endif

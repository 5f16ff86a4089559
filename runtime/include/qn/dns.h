/* qn/dns.h: name look-up through the system (getaddrinfo in the thread pool).
 *
 * What /etc/hosts, nsswitch and the resolver configuration say is what one gets. Answers are
 * bounded.
 */
#ifndef QN_DNS_H
#define QN_DNS_H

#include "qn/addr.h"
#include "qn/work.h"

#define QN_HOST_MAX 253   /* bytes of a name, without a final dot */
#define QN_RESOLVE_MAX 64 /* addresses of one answer; more are dropped */

typedef struct qn_addr_list {
  size_t n;
  qn_addr_t *v;
} qn_addr_list_t;

/* Literals are answered at once: returns 0 and fills `*out` (`op` is not used). QN_AGAIN: `op`
 * settles with 0 or an error; in `done`, qn_resolved(op) gives the list until qn_resolve_end(op),
 * which every `done` must call. QN_E_HOST_NOT_FOUND: no such name, or no address of `family`;
 * QN_E_INVALID: the name is empty, a wildcard or too long. `host` is copied. */
QN_API int qn_resolve(qn_loop_t *loop, const char *host, uint16_t port, qn_family_t family,
                      qn_op_t *op, qn_addr_t *out);
/* NULL when the look-up failed. */
QN_API const qn_addr_list_t *qn_resolved(const qn_op_t *op);
QN_API void qn_resolve_end(qn_op_t *op);

#endif

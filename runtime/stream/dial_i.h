/* dial_i.h: what stream.c and dial.c may ask about the socket of a bound stream (bind.c).
 *
 * Not public.
 */
#ifndef QN_STREAM_DIAL_I_H
#define QN_STREAM_DIAL_I_H

#include "qn/stream.h"

/* The descriptor of a stream that is bound and not yet dialled, or -1. */
int qn__dial_bound_fd(const qn_stream_t *s);
/* Its address; QN_E_NOT_CONNECTED when there is none. */
int qn__dial_bound_addr(const qn_stream_t *s, qn_addr_t *out);
/* Whether a socket bound to `local` can connect to `peer`; NULL means what the stream was bound to.
 */
bool qn__dial_can_reach(const qn_stream_t *s, const qn_addr_t *local, const qn_addr_t *peer);
/* Forgets the binding. */
void qn__dial_unbind(qn_stream_t *s);

#endif

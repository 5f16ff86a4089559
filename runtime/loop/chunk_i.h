/* chunk_i.h: the loop's one scratch chunk, lent to whoever reads from the kernel. Not public.
 *
 * A read lands in the chunk; the borrower consumes it in place, or copies the small rest and gives
 * the chunk back, or keeps the block when the rest is large. One chunk per loop is enough because
 * it is given back before anything else runs.
 */
#ifndef QN_CHUNK_I_H
#define QN_CHUNK_I_H

#include "qn/loop.h"

#define QN__CHUNK (64u * 1024u)

/* NULL when it is lent already or memory is out. */
uint8_t *qn__chunk_lend(qn_loop_t *loop);
void qn__chunk_back(qn_loop_t *loop, uint8_t *chunk);
/* The borrower keeps the block for good (it is freed by qn_free); the loop makes itself a new one.
 */
void qn__chunk_keep(qn_loop_t *loop, uint8_t *chunk);

#endif

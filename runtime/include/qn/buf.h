/* qn/buf.h: a growable queue of bytes: append behind, consume in front.
 *
 * Used by filters for what is readable and by streams for what is not sent yet. It knows no limit:
 * whoever fills it compares qn_buf_size with a named one first. Zero-initialise it.
 */
#ifndef QN_BUF_H
#define QN_BUF_H

#include "qn/base.h"

/* What is queued lies contiguously at base + head. */
typedef struct qn_buf {
  uint8_t *base;
  size_t head, tail, cap;
  bool lent; /* base is someone else's, who gets it back: used in place, never grown or freed */
} qn_buf_t;

static inline size_t qn_buf_size(const qn_buf_t *b) { return b->tail - b->head; }
static inline uint8_t *qn_buf_data(const qn_buf_t *b) { return b->base + b->head; }
/* At least `room` free bytes behind tail. 0, -ENOMEM, or QN_E_INVALID when a lent block is too
 * small; the contents are unchanged after a failure. */
QN_API int qn_buf_reserve(qn_buf_t *b, size_t room);
/* `data` must not lie in the queue itself. */
QN_API int qn_buf_append(qn_buf_t *b, const void *data, size_t size);
QN_API int qn_buf_prepend(qn_buf_t *b, const void *data, size_t size);
QN_API void qn_buf_consume(qn_buf_t *b, size_t n); /* frees large blocks when it becomes empty */
QN_API void qn_buf_free(qn_buf_t *b);              /* a lent block must have been given back */

#endif

/* watch_i.h: one descriptor, watched for readiness one time per wish. For floors above; not public.
 *
 * For descriptors that belong to others (standard input, terminals, FIFOs): neither their flags nor
 * their place in libuv's own tables are touched.
 */
#ifndef QN_WATCH_I_H
#define QN_WATCH_I_H

#include "qn/loop.h"

typedef struct qn__watch qn__watch_t;

enum { QN__WATCH_READ = 1, QN__WATCH_WRITE = 2 };

/* `ready` is called beneath the poll, at most once for each wish: it may queue and wake, nothing
 * else. A hang-up or an error is reported as everything that was wished for. -EPERM: descriptors of
 * this kind (regular files, most devices) are always ready. */
int qn__watch_new(qn_loop_t *loop, int fd, void (*ready)(void *arg, unsigned what), void *arg,
                  qn__watch_t **out);
/* What is wished for from now on; 0 = nothing. Keeps the loop alive while there is something. */
int qn__watch_wish(qn__watch_t *w, unsigned what);
/* `ready` is not called again; `fd` may be closed now. NULL does nothing. */
void qn__watch_free(qn__watch_t *w);

#endif

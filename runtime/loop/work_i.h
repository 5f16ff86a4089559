/* work_i.h: a call in the thread pool that nobody waits for. Not public. */
#ifndef QN_WORK_I_H
#define QN_WORK_I_H

#include "qn/work.h"

/* Memory for one call, taken in advance so that qn__work_detach cannot fail. */
typedef struct qn__job qn__job_t;
qn__job_t *qn__job_new(void);
void qn__job_free(qn__job_t *job);

/* Runs `w` in the pool, then frees it (w->free) on the loop's thread. Takes `job`. */
void qn__work_detach(qn_loop_t *loop, qn_work_t *w, qn__job_t *job);

#endif

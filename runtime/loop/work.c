/* work.c: blocking calls in libuv's thread pool, as operations.
 *
 * Called by file.c, hostinfo.c and embedders. The pool thread sees the request only; everything
 * else happens on the loop's thread. A running call cannot be stopped: its op settles at once and
 * the request lives on as an orphan until the call returns. Invariant: job->op is NULL once the op
 * has settled, so a call that returns late touches no op.
 */
#include "loop/work_i.h"

#include "loop/loop_core.h"

#include <errno.h>

struct qn__job {
  uv_work_t req;
  qn_loop_t *loop;
  qn_work_t *work;
  qn_op_t *op;
  int64_t result;
  bool orphan;
};

qn__job_t *qn__job_new(void) { return qn_calloc(1, sizeof(qn__job_t)); }

void qn__job_free(qn__job_t *job) { qn_free(job); }

static void run(uv_work_t *req)
{
  qn__job_t *job = req->data;
  job->result = job->work->run(job->work);
}

static void after(uv_work_t *req, int status)
{
  qn__job_t *job = req->data;
  qn_work_t *work = job->work;
  qn_op_t *op = job->op;
  qn_loop_t *loop = job->loop;
  int64_t result = job->result;
  loop->calls--;
  loop->orphans -= job->orphan;
  qn_free(job);
  work->job = NULL;
  if (op != NULL) {
    qn_op_settle(op, status < 0 ? status : result);
  } else {
    qn_work_end(work);
  }
}

static void cancel(qn_op_t *op)
{
  qn_work_t *work = op->owner;
  qn__job_t *job = work->job;
  op->owner = NULL;
  job->op = NULL;
  if (uv_cancel((uv_req_t *)&job->req) != 0) { /* it runs, or has run and not reported yet */
    job->orphan = true;
    job->loop->orphans++;
  }
}

static int start(qn_loop_t *loop, qn_work_t *w, qn_op_t *op, qn__job_t *job)
{
  job->loop = loop;
  job->work = w;
  job->op = op;
  job->req.data = job;
  w->job = job;
  int rc = uv_queue_work(loop->uv, &job->req, run, after);
  if (rc == 0) {
    loop->calls++;
  }
  return rc;
}

int qn_work_start(qn_loop_t *loop, qn_work_t *w, qn_op_t *op)
{
  qn__job_t *job = qn__job_new();
  if (job == NULL) {
    return -ENOMEM;
  }
  int rc = start(loop, w, op, job);
  if (rc < 0) {
    qn_free(job);
    return rc;
  }
  qn_op_begin(op, w, cancel);
  return 0;
}

void qn__work_detach(qn_loop_t *loop, qn_work_t *w, qn__job_t *job)
{
  int rc = start(loop, w, NULL, job); /* fails for a missing function only */
  QN__ASSERT(rc == 0);
  (void)rc;
}

void qn_work_end(qn_work_t *w)
{
  if (w != NULL) {
    QN__ASSERT(w->job == NULL);
    (*w->free)(w);
  }
}

/* dns_query.c: one question to the DNS as an operation: no hosts file, no search list.
 *
 * Called by the bindings. The answer is shared with the cache; one that has been there for a while
 * is shown with what is left of its TTLs. Must not settle beneath libuv. Invariant: op->owner is
 * the query until qn_dns_query_end, or NULL after it was cancelled.
 */
#include "net/resolver_i.h"

#include <errno.h>
#include <string.h>

typedef struct query {
  qn_op_t *op; /* pending; NULL once it was told */
  qn_resolver_t *resolver;
  qn__dns_ask_t ask;
  qn__dns_result_t *result;
  qn_dns_answer_t *aged; /* ours, its texts are the result's; NULL: the result's is as good */
} query_t;

static void destroy(query_t *q)
{
  qn__dns_unask(&q->ask);
  qn__dns_result_release(q->result);
  qn_resolver_release(q->resolver);
  qn_free(q->aged);
  qn_free(q);
}

static uint32_t less(uint32_t ttl, uint64_t age) { return ttl > age ? ttl - (uint32_t)age : 0; }

/* A copy whose TTLs are `age` seconds lower. */
static qn_dns_answer_t *copy_aged(const qn_dns_answer_t *from, uint64_t age)
{
  qn_dns_answer_t *a = qn_malloc(sizeof *a + (from->n + from->n_chain) * sizeof *from->v);
  if (a == NULL) {
    return NULL;
  }
  qn_dns_record_t *v = (qn_dns_record_t *)(void *)(a + 1);
  *a = *from;
  a->v = v;
  a->chain = v + from->n;
  for (size_t i = 0; i < from->n + from->n_chain; i++) {
    v[i] = i < from->n ? from->v[i] : from->chain[i - from->n];
    v[i].ttl = less(v[i].ttl, age);
  }
  a->ttl = less(a->ttl, age);
  return a;
}

static void tell(query_t *q, int rc)
{
  qn_op_t *op = q->op;
  q->op = NULL;
  qn__list_remove(&op->link);
  qn_op_settle(op, rc);
}

static void take(query_t *q, int rc)
{
  uint64_t now = qn_loop_now(q->resolver->loop);
  uint64_t age = rc == 0 && now > q->result->at ? (now - q->result->at) / 1000 : 0;
  if (age > 0) {
    q->aged = copy_aged(q->result->answer, age);
    rc = q->aged != NULL ? 0 : -ENOMEM;
  }
  tell(q, rc);
}

static void answered(qn__dns_ask_t *ask, int rc, qn__dns_result_t *result)
{
  query_t *q = QN__CONTAINER(ask, query_t, ask);
  q->result = rc == 0 ? qn__dns_result_retain(result) : NULL;
  take(q, rc);
}

static void cancelled(qn_op_t *op)
{
  qn__list_remove(&op->link);
  destroy(op->owner);
  op->owner = NULL;
}

int qn_dns_query(qn_loop_t *loop, qn_resolver_t *r, const char *name, uint16_t type, qn_op_t *op)
{
  uint8_t wire[QN__DNS_WIRE_MAX];
  int rc = qn_dns_name_encode(name, wire);
  if (rc < 0) {
    return rc;
  }
  query_t *q = qn_calloc(1, sizeof *q);
  if (q == NULL) {
    return -ENOMEM;
  }
  rc = qn__resolver_use(loop, r, &q->resolver);
  if (rc < 0) {
    qn_free(q);
    return rc;
  }
  q->ask.answered = answered;
  rc = qn__dns_ask(&q->resolver->dns, name, type, &q->ask, &q->result);
  if (rc < 0 && rc != QN_AGAIN && q->result == NULL) {
    destroy(q);
    return rc;
  }
  qn_op_begin(op, q, cancelled);
  qn__list_append(&q->resolver->ops, &op->link);
  q->op = op;
  if (rc != QN_AGAIN) {
    take(q, rc);
  }
  return QN_AGAIN;
}

const qn_dns_answer_t *qn_dns_answer(const qn_op_t *op)
{
  const query_t *q = op->owner;
  if (q == NULL || q->op != NULL || op->result != 0) {
    return NULL;
  }
  return q->aged != NULL ? q->aged : q->result->answer;
}

void qn_dns_query_end(qn_op_t *op)
{
  if (op->owner != NULL) {
    destroy(op->owner);
    op->owner = NULL;
  }
}

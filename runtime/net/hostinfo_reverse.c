/* hostinfo_reverse.c: addresses to names: hosts file, then PTR; or the system's call in a thread.
 *
 * Called by the bindings. nsswitch.conf decides as for names. Names are copied, so they outlive
 * what they were found in. Invariant: op->owner is the look-up until qn_reverse_end, or NULL after
 * it was cancelled.
 */
#include "net/hostinfo_i.h"

#include <errno.h>
#include <string.h>

#define NAMES_MAX 64u /* of one address; more are dropped */

typedef struct reverse {
  qn_op_t *op; /* pending; NULL once it was told */
  qn_resolver_t *resolver;
  qn_addr_t address;
  size_t service; /* of nsswitch.conf: the next one */
  int error;      /* of the DNS */
  qn__dns_ask_t ask;
  qn_op_t work;
  char *names[NAMES_MAX];
  size_t n;
} reverse_t;

static void destroy(reverse_t *v)
{
  qn__dns_unask(&v->ask);
  if (v->work.loop != NULL) {
    qn__system_name_end(&v->work);
  }
  qn_resolver_release(v->resolver);
  for (size_t i = 0; i < v->n; i++) {
    qn_free(v->names[i]);
  }
  qn_free(v);
}

static void tell(reverse_t *v, int rc)
{
  qn_op_t *op = v->op;
  v->op = NULL;
  qn__list_remove(&op->link);
  qn_op_settle(op, rc);
}

static int add(reverse_t *v, const char *name)
{
  if (v->n < NAMES_MAX) {
    v->names[v->n] = qn_strdup(name);
    if (v->names[v->n] == NULL) {
      return -ENOMEM;
    }
    v->n++;
  }
  return 0;
}

static int ask_files(reverse_t *v)
{
  const char *names[NAMES_MAX];
  const qn__hosts_t *hosts = qn__resolver_hosts(v->resolver);
  size_t n = hosts != NULL ? qn__hosts_names(hosts, &v->address, names, NAMES_MAX) : 0;
  for (size_t i = 0; i < n; i++) {
    if (add(v, names[i]) < 0) {
      return -ENOMEM;
    }
  }
  return n > 0 ? 0 : QN_AGAIN;
}

static int take_names(reverse_t *v, const qn_dns_answer_t *answer)
{
  for (size_t i = 0; i < answer->n; i++) {
    if (add(v, answer->v[i].u.target) < 0) {
      return -ENOMEM;
    }
  }
  return answer->n > 0 ? 0 : QN_E_HOST_NOT_FOUND;
}

static int ask_dns(reverse_t *v)
{
  char name[QN_DNS_NAME_TEXT];
  qn__dns_result_t *result;
  const qn_addr_t *a = &v->address;
  if (qn_addr_family(a) == QN_FAMILY_IPV4) {
    qn_dns_reverse_name((const uint8_t *)&a->u.in4.sin_addr, 4, name);
  } else {
    qn_dns_reverse_name((const uint8_t *)&a->u.in6.sin6_addr, 16, name);
  }
  int rc = qn__dns_ask(&v->resolver->dns, name, QN_DNS_PTR, &v->ask, &result);
  rc = rc == 0 ? take_names(v, result->answer) : rc;
  qn__dns_result_release(result);
  return rc;
}

/* From service to service, until one has a name or has to be waited for. */
static void walk(reverse_t *v)
{
  const qn__nsswitch_t *s = v->resolver->nsswitch;
  while (v->service < s->n) {
    bool dns = s->v[v->service++] == QN__NSS_DNS;
    int rc = dns ? ask_dns(v) : ask_files(v);
    if (rc == 0 || rc == -ENOMEM) {
      tell(v, rc);
      return;
    }
    if (dns && rc == QN_AGAIN) {
      return;
    }
    v->error = dns ? rc : v->error;
  }
  bool none = v->error == 0 || v->error == QN_E_NO_DATA;
  tell(v, none ? QN_E_HOST_NOT_FOUND : v->error);
}

static void answered(qn__dns_ask_t *ask, int rc, qn__dns_result_t *result)
{
  reverse_t *v = QN__CONTAINER(ask, reverse_t, ask);
  rc = rc == 0 ? take_names(v, result->answer) : rc;
  if (rc == 0) {
    tell(v, 0);
    return;
  }
  v->error = rc;
  walk(v);
}

static void on_system(qn_op_t *op)
{
  reverse_t *v = QN__CONTAINER(op, reverse_t, work);
  const char *name = qn__system_name_got(op);
  int rc = name != NULL ? add(v, name) : (int)op->result;
  qn__system_name_end(op);
  tell(v, rc);
}

static void cancelled(qn_op_t *op)
{
  qn__list_remove(&op->link);
  destroy(op->owner);
  op->owner = NULL;
}

int qn_reverse(qn_loop_t *loop, qn_resolver_t *r, const qn_addr_t *a, qn_op_t *op)
{
  qn_family_t family = qn_addr_family(a);
  if (family != QN_FAMILY_IPV4 && family != QN_FAMILY_IPV6) {
    return QN_E_INVALID;
  }
  reverse_t *v = qn_calloc(1, sizeof *v);
  if (v == NULL) {
    return -ENOMEM;
  }
  int rc = qn__resolver_use(loop, r, &v->resolver);
  if (rc < 0) {
    qn_free(v);
    return rc;
  }
  v->address = *a;
  qn_addr_unmap(&v->address);
  v->ask.answered = answered;
  bool ours = qn__nsswitch_can_reverse(v->resolver->nsswitch, &v->address);
  if (!ours) {
    qn_op_init(&v->work, loop, on_system);
    rc = qn__system_name(loop, &v->address, &v->work);
    if (rc < 0) {
      destroy(v);
      return rc;
    }
  }
  qn_op_begin(op, v, cancelled);
  qn__list_append(&v->resolver->ops, &op->link);
  v->op = op;
  if (ours) {
    walk(v);
  }
  return QN_AGAIN;
}

const char *qn_reversed(const qn_op_t *op, size_t i)
{
  const reverse_t *v = op->owner;
  bool good = v != NULL && v->op == NULL && op->result == 0 && i < v->n;
  return good ? v->names[i] : NULL;
}

void qn_reverse_end(qn_op_t *op)
{
  if (op->owner != NULL) {
    destroy(op->owner);
    op->owner = NULL;
  }
}

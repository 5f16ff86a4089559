/* hostinfo_system.c: names and addresses by the system's own calls, in a pool thread.
 *
 * For what nsswitch.conf leaves to other services (mDNS, LDAP, containers). The request owns all
 * memory that the thread writes to, so a look-up whose asker has gone harms nobody. Must not
 * allocate with qn_malloc in the thread (blocks are counted per thread).
 */
#include "net/hostinfo_i.h"

#include "qn/work.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#define LOOKUP_ERROR(uv_number, eai) \
  case eai: return uv_number

typedef struct call {
  qn_work_t work;
  char name[NI_MAXHOST]; /* looked up, or found */
  qn_addr_t address;     /* whose name is wanted */
  int family;
  struct addrinfo *info;
} call_t;

typedef struct qn__system_lookup {
  qn_op_t op; /* of the call */
  qn__lookup_t *lookup;
} system_lookup_t;

/* getaddrinfo's codes as the error table numbers them (libuv's numbers). */
static int lookup_error(int code)
{
  switch (code) {
  case EAI_NONAME:
  case EAI_NODATA:
  case EAI_ADDRFAMILY: return QN_E_HOST_NOT_FOUND;
  case EAI_SYSTEM:
    return errno != 0 ? -errno : -EIO;
    LOOKUP_ERROR(-3001, EAI_AGAIN);
    LOOKUP_ERROR(-3002, EAI_BADFLAGS);
    LOOKUP_ERROR(-3004, EAI_FAIL);
    LOOKUP_ERROR(-3005, EAI_FAMILY);
    LOOKUP_ERROR(-3006, EAI_MEMORY);
    LOOKUP_ERROR(-3009, EAI_OVERFLOW);
    LOOKUP_ERROR(-3010, EAI_SERVICE);
    LOOKUP_ERROR(-3011, EAI_SOCKTYPE);
  default: return -3004;
  }
}

static void free_call(qn_work_t *work)
{
  call_t *c = QN__CONTAINER(work, call_t, work);
  if (c->info != NULL) {
    freeaddrinfo(c->info);
  }
  qn_free(c);
}

/* --- names to addresses ----------------------------------------------------------------------- */

/* In a pool thread. */
static int64_t run_find(qn_work_t *work)
{
  call_t *c = QN__CONTAINER(work, call_t, work);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_CANONNAME};
  hints.ai_family = c->family;
  errno = 0;
  int code = getaddrinfo(c->name, NULL, &hints, &c->info);
  if (code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY || code == EAI_BADFLAGS) {
    /* Perhaps the machine merely has no address of the right family but the loopback one. */
    hints.ai_flags &= ~AI_ADDRCONFIG;
    code = getaddrinfo(c->name, NULL, &hints, &c->info);
  }
  return code != 0 ? lookup_error(code) : 0;
}

static bool fits(const struct addrinfo *info)
{
  return (info->ai_family == AF_INET || info->ai_family == AF_INET6) &&
         info->ai_addrlen <= sizeof(((qn_addr_t *)0)->u);
}

static int take(qn__lookup_t *l, const struct addrinfo *info)
{
  size_t n = 0, at = 0;
  for (const struct addrinfo *i = info; i != NULL; i = i->ai_next) {
    n += fits(i);
  }
  n = n < QN_RESOLVE_MAX ? n : QN_RESOLVE_MAX;
  qn_addr_t *v = n > 0 ? qn__lookup_room(l, n) : NULL;
  if (n > 0 && (v == NULL || qn__lookup_name(l, info->ai_canonname) < 0)) {
    return -ENOMEM;
  }
  for (const struct addrinfo *i = info; i != NULL && at < n; i = i->ai_next) {
    if (fits(i)) {
      memcpy(&v[at].u, i->ai_addr, i->ai_addrlen);
      v[at++].size = i->ai_addrlen;
    }
  }
  if (n > 0) {
    qn__lookup_take(l, n);
  }
  return n > 0 ? 0 : QN_E_HOST_NOT_FOUND;
}

static void on_found(qn_op_t *op)
{
  qn__lookup_t *l = QN__CONTAINER(op, system_lookup_t, op)->lookup;
  const call_t *c = op->owner;
  int rc = (int)op->result;
  if (rc == 0) {
    rc = take(l, c->info);
  }
  qn_work_end(op->owner);
  op->owner = NULL;
  if (rc == 0) {
    qn__lookup_found(l);
  } else {
    qn__lookup_failed(l, rc);
  }
}

static int begin(qn__lookup_t *l, call_t *c)
{
  memcpy(c->name, l->host, l->size);
  memcpy(c->name + l->size, l->absolute ? "." : "", 2 - !l->absolute);
  c->family = l->family == QN_FAMILY_IPV4   ? AF_INET
              : l->family == QN_FAMILY_IPV6 ? AF_INET6
                                            : AF_UNSPEC;
  c->work.run = run_find;
  c->work.free = free_call;
  qn_op_init(&l->system->op, l->loop, on_found);
  l->system->lookup = l;
  return qn_work_start(l->loop, &c->work, &l->system->op);
}

void qn__lookup_system(qn__lookup_t *l)
{
  call_t *c = qn_calloc(1, sizeof *c);
  l->system = qn_malloc(sizeof *l->system);
  int rc = c != NULL && l->system != NULL ? begin(l, c) : -ENOMEM;
  if (rc < 0) {
    qn_free(c);
    qn_free(l->system);
    l->system = NULL;
    qn__lookup_failed(l, rc);
  }
}

void qn__lookup_system_end(qn__lookup_t *l)
{
  if (l->system != NULL) {
    qn__system_name_end(&l->system->op);
    qn_free(l->system);
    l->system = NULL;
  }
}

/* --- addresses to names ----------------------------------------------------------------------- */

static int64_t run_name(qn_work_t *work)
{
  call_t *c = QN__CONTAINER(work, call_t, work);
  errno = 0;
  int code =
      getnameinfo(&c->address.u.sa, c->address.size, c->name, sizeof c->name, NULL, 0, NI_NAMEREQD);
  return code != 0 ? lookup_error(code) : 0;
}

int qn__system_name(qn_loop_t *loop, const qn_addr_t *a, qn_op_t *op)
{
  call_t *c = qn_calloc(1, sizeof *c);
  if (c == NULL) {
    return -ENOMEM;
  }
  c->address = *a;
  c->work.run = run_name;
  c->work.free = free_call;
  int rc = qn_work_start(loop, &c->work, op);
  if (rc < 0) {
    qn_free(c);
  }
  return rc;
}

const char *qn__system_name_got(const qn_op_t *op)
{
  return op->result == 0 && op->owner != NULL ? QN__CONTAINER(op->owner, call_t, work)->name : NULL;
}

void qn__system_name_end(qn_op_t *op)
{
  qn_op_forget(op);
  qn_work_end(op->owner);
  op->owner = NULL;
}

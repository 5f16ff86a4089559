/* hostinfo.c: host names to addresses by the system's own resolver, in a pool thread.
 *
 * Called by dial.c and the bindings. The request owns all memory that the thread writes to, so a
 * look-up whose asker has gone harms nobody. Must not allocate with qn_malloc in the thread (blocks
 * are counted per thread). Invariant: literals never reach a thread.
 */
#include "qn/dns.h"
#include "qn/work.h"

#include "loop/loop_i.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#define LOOKUP_ERROR(uv_number, eai) \
  case eai: return uv_number

typedef struct lookup {
  qn_work_t work;
  char host[QN_HOST_MAX + 2]; /* a final dot, NUL */
  uint16_t port;
  qn_family_t family;
  qn_addr_list_t list;
  qn_addr_t v[QN_RESOLVE_MAX];
} lookup_t;

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

static bool known(const qn_addr_list_t *list, const qn_addr_t *a)
{
  for (size_t i = 0; i < list->n; i++) {
    if (qn_addr_equal(&list->v[i], a)) {
      return true;
    }
  }
  return false;
}

static void take(lookup_t *l, const struct addrinfo *info)
{
  for (; info != NULL && l->list.n < QN_RESOLVE_MAX; info = info->ai_next) {
    qn_addr_t *a = &l->v[l->list.n];
    if ((info->ai_family != AF_INET && info->ai_family != AF_INET6) ||
        info->ai_addrlen > sizeof a->u) {
      continue;
    }
    memset(a, 0, sizeof *a);
    memcpy(&a->u, info->ai_addr, info->ai_addrlen);
    a->size = info->ai_addrlen;
    qn_addr_set_port(a, l->port);
    if (!known(&l->list, a)) {
      l->list.n++;
    }
  }
}

/* In a pool thread. */
static int64_t run_lookup(qn_work_t *work)
{
  lookup_t *l = QN__CONTAINER(work, lookup_t, work);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  struct addrinfo *info = NULL;
  hints.ai_family = l->family == QN_FAMILY_IPV4   ? AF_INET
                    : l->family == QN_FAMILY_IPV6 ? AF_INET6
                                                  : AF_UNSPEC;
  errno = 0;
  int code = getaddrinfo(l->host, NULL, &hints, &info);
  if (code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY || code == EAI_BADFLAGS) {
    /* Perhaps the machine merely has no address of the right family but the loopback one. */
    hints.ai_flags = 0;
    code = getaddrinfo(l->host, NULL, &hints, &info);
  }
  if (code != 0) {
    return lookup_error(code);
  }
  take(l, info);
  freeaddrinfo(info);
  return l->list.n > 0 ? 0 : QN_E_HOST_NOT_FOUND;
}

static void free_lookup(qn_work_t *work) { qn_free(QN__CONTAINER(work, lookup_t, work)); }

static bool is_valid_name(const char *host, size_t size)
{
  size_t most = size > 0 && host[size - 1] == '.' ? QN_HOST_MAX + 1 : QN_HOST_MAX;
  return size > 0 && size <= most && strcmp(host, "*") != 0;
}

int qn_resolve(qn_loop_t *loop, const qn_resolve_opts_t *opts, qn_op_t *op, qn_addr_t *out)
{
  const char *host = opts->host;
  uint16_t port = opts->port;
  qn_family_t family = opts->family;
  size_t size = strnlen(host, QN_HOST_MAX + 2);
  if (family == QN_FAMILY_UNIX || !is_valid_name(host, size)) {
    return QN_E_INVALID;
  }
  if (qn_addr_parse(out, host, port, family) == 0) {
    return 0;
  }
  if (qn_addr_parse(out, host, port, QN_FAMILY_ANY) == 0) {
    out->size = 0;
    return QN_E_HOST_NOT_FOUND; /* a literal of the other family */
  }
  if (strchr(host, ':') != NULL) {
    return QN_E_INVALID; /* a bad IPv6 literal: no name holds a colon */
  }
  lookup_t *l = qn_calloc(1, sizeof *l);
  if (l == NULL) {
    return -ENOMEM;
  }
  memcpy(l->host, host, size);
  l->port = port;
  l->family = family;
  l->list.v = l->v;
  l->work.run = run_lookup;
  l->work.free = free_lookup;
  int rc = qn_work_start(loop, &l->work, op);
  if (rc < 0) {
    qn_free(l);
    return rc;
  }
  return QN_AGAIN;
}

const qn_addr_list_t *qn_resolved(const qn_op_t *op)
{
  return op->result == 0 && op->owner != NULL ? &QN__CONTAINER(op->owner, lookup_t, work)->list
                                              : NULL;
}

void qn_resolve_end(qn_op_t *op)
{
  if (op->owner != NULL) {
    qn_work_end(op->owner);
    op->owner = NULL;
  }
}

int qn_resolve_more(qn_op_t *op)
{
  (void)op;
  return 0;
}

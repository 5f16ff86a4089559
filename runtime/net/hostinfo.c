/* hostinfo.c: names to addresses: what is no question, who answers, telling the asker.
 *
 * Called by dial.c and the bindings. Literals are answered at once; otherwise the name is made
 * ASCII and nsswitch.conf decides whether our walk (hostinfo_dns.c) or the system's own call
 * (hostinfo_system.c) looks it up. Must not settle inside a callback of c-ares.
 * Invariant: op->owner is the look-up from qn_resolve to qn_resolve_end, or NULL after it was
 * cancelled before it had found anything.
 */
#include "net/hostinfo_i.h"

#include "codec/idna.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* --- the end ---------------------------------------------------------------------------------- */

static void stop(qn__lookup_t *l)
{
  qn__lookup_walk_end(l);
  qn__lookup_system_end(l);
}

static void destroy(qn__lookup_t *l)
{
  stop(l);
  qn_resolver_release(l->resolver);
  qn_free(l->list.v);
  qn_free(l->canonical);
  qn_free(l);
}

static void tell(qn__lookup_t *l, int rc)
{
  qn_op_t *op = l->op;
  l->op = NULL;
  if (op != NULL) {
    qn__list_remove(&op->link);
    qn_op_settle(op, rc);
  }
}

void qn__lookup_found(qn__lookup_t *l)
{
  l->found = true;
  tell(l, 0);
}

void qn__lookup_failed(qn__lookup_t *l, int rc)
{
  stop(l);
  tell(l, rc);
}

static void cancelled(qn_op_t *op)
{
  qn__lookup_t *l = op->owner;
  qn__list_remove(&op->link);
  l->op = NULL;
  if (l->found) { /* the list is in use until qn_resolve_end */
    stop(l);
    l->late = false;
    return;
  }
  op->owner = NULL;
  destroy(l);
}

static void wait_for(qn__lookup_t *l, qn_op_t *op)
{
  qn_op_begin(op, l, cancelled);
  qn__list_append(&l->resolver->ops, &op->link);
  l->op = op;
}

/* --- what is in the list ---------------------------------------------------------------------- */

qn_addr_t *qn__lookup_room(qn__lookup_t *l, size_t n)
{
  if (l->list.v == NULL) {
    size_t room = l->late ? QN_RESOLVE_MAX : n;
    l->list.v = qn_calloc(room != 0 ? room : 1, sizeof *l->list.v);
  }
  return l->list.v != NULL ? l->list.v + l->list.n : NULL;
}

static bool is_known(const qn_addr_list_t *list, const qn_addr_t *a)
{
  for (size_t i = 0; i < list->n; i++) {
    if (qn_addr_equal(&list->v[i], a)) {
      return true;
    }
  }
  return false;
}

void qn__lookup_take(qn__lookup_t *l, size_t n)
{
  const qn_addr_t *from = l->list.v + l->list.n;
  for (size_t i = 0; i < n; i++) {
    qn_addr_t a = from[i];
    qn_addr_set_port(&a, l->port);
    if (!is_known(&l->list, &a)) {
      l->list.v[l->list.n++] = a;
    }
  }
}

int qn__lookup_name(qn__lookup_t *l, const char *canonical)
{
  if (canonical != NULL && l->canonical == NULL) {
    l->canonical = qn_strdup(canonical);
    return l->canonical != NULL ? 0 : -ENOMEM;
  }
  return 0;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* Letters, digits, hyphens and underscores in labels of 1 to 63 bytes; `size` without a final dot.
 */
static bool is_host_name(const char *host, size_t size)
{
  size_t label = 0;
  for (size_t i = 0; i < size; i++) {
    char c = host[i];
    if (c == '.' && (label == 0 || label > 63)) {
      return false;
    }
    if (c != '.' && c != '-' && c != '_' && !(c >= '0' && c <= '9') &&
        !((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) {
      return false;
    }
    label = c == '.' ? 0 : label + 1;
  }
  return label > 0 && label <= 63;
}

/* A look-up of the name in ASCII, without its final dot. */
static int make_lookup(const char *host, size_t size, qn__lookup_t **out)
{
  char ace[QN__IDNA_OUT];
  bool ascii = true;
  for (size_t i = 0; i < size; i++) {
    ascii = ascii && (unsigned char)host[i] < 0x80;
  }
  if (!ascii) {
    int rc = qn__idna_to_ascii(host, size, 0, ace);
    if (rc < 0) {
      return rc;
    }
    host = ace;
    size = strlen(ace);
  }
  bool absolute = size > 0 && host[size - 1] == '.';
  size -= absolute;
  if (size > QN_HOST_MAX) {
    return QN_E_INVALID;
  }
  if (!is_host_name(host, size)) {
    return QN_E_BAD_HOST;
  }
  qn__lookup_t *l = qn_calloc(1, sizeof *l + size + 1);
  *out = l;
  if (l == NULL) {
    return -ENOMEM;
  }
  memcpy(l->host, host, size);
  l->absolute = absolute;
  l->size = size;
  return 0;
}

/* 0: it is an address, in `out`; QN_AGAIN: it is a name. */
static int parse_literal(const qn_resolve_opts_t *o, qn_addr_t *out)
{
  if (qn_addr_parse(out, o->host, o->port, o->family) == 0) {
    return 0;
  }
  if (qn_addr_parse(out, o->host, o->port, QN_FAMILY_ANY) == 0) {
    out->size = 0;
    return QN_E_HOST_NOT_FOUND; /* a literal of the other family */
  }
  if (strchr(o->host, ':') != NULL) {
    return QN_E_INVALID; /* a bad IPv6 literal: no name holds a colon */
  }
  if (qn_addr_parse_loose(out, o->host, o->port) == 0) {
    bool fits = o->family != QN_FAMILY_IPV6;
    out->size = fits ? out->size : 0;
    return fits ? 0 : QN_E_HOST_NOT_FOUND;
  }
  return QN_AGAIN;
}

static bool is_ours(qn__lookup_t *l)
{
  char machine[QN_HOST_MAX + 1] = "";
  const qn__nsswitch_t *s = l->resolver->nsswitch;
  bool known = s->host_name && gethostname(machine, sizeof machine - 1) == 0;
  return qn__nsswitch_can_find(s, l->host, known ? machine : NULL);
}

int qn_resolve(qn_loop_t *loop, const qn_resolve_opts_t *opts, qn_op_t *op, qn_addr_t *out)
{
  size_t size = strnlen(opts->host, QN__IDNA_MAX + 1);
  if (opts->family == QN_FAMILY_UNIX || size == 0 || size > QN__IDNA_MAX ||
      strcmp(opts->host, "*") == 0) {
    return QN_E_INVALID;
  }
  int rc = parse_literal(opts, out);
  if (rc != QN_AGAIN) {
    return rc;
  }
  qn__lookup_t *l = NULL;
  rc = make_lookup(opts->host, size, &l);
  rc = rc == 0 ? qn__resolver_use(loop, opts->resolver, &l->resolver) : rc;
  if (rc < 0) {
    qn_free(l);
    return rc;
  }
  l->loop = loop;
  l->port = opts->port;
  l->family = opts->family;
  l->stepwise = opts->stepwise && opts->family == QN_FAMILY_ANY;
  wait_for(l, op);
  if (is_ours(l)) {
    qn__lookup_walk(l);
  } else {
    qn__lookup_system(l);
  }
  return QN_AGAIN;
}

/* --- reading ---------------------------------------------------------------------------------- */

static qn__lookup_t *found_by(const qn_op_t *op)
{
  qn__lookup_t *l = op->owner;
  return l != NULL && l->found ? l : NULL;
}

const qn_addr_list_t *qn_resolved(const qn_op_t *op)
{
  const qn__lookup_t *l = found_by(op);
  return l != NULL ? &l->list : NULL;
}

const char *qn_resolved_name(const qn_op_t *op)
{
  const qn__lookup_t *l = found_by(op);
  return l != NULL ? l->canonical : NULL;
}

uint32_t qn_resolved_ttl(const qn_op_t *op)
{
  const qn__lookup_t *l = found_by(op);
  uint64_t now = l != NULL ? qn_loop_now(l->loop) : 0;
  return l != NULL && l->expires > now ? (uint32_t)((l->expires - now + 999) / 1000) : 0;
}

int qn_resolve_more(qn_op_t *op)
{
  qn__lookup_t *l = found_by(op);
  if (l == NULL || !l->late) {
    return 0;
  }
  if (l->resolver->closed) {
    l->late = false;
    return 0;
  }
  wait_for(l, op);
  if (l->pending == 0) {
    qn__lookup_add_late(l);
  }
  return QN_AGAIN;
}

void qn_resolve_end(qn_op_t *op)
{
  qn__lookup_t *l = op->owner;
  if (l != NULL) {
    op->owner = NULL;
    destroy(l);
  }
}

/* hostinfo_dns.c: a name looked up by ourselves: hosts file, search list, A and AAAA at once.
 *
 * Called by hostinfo.c. The services of nsswitch.conf answer in their order, the first that has an
 * address wins. The walk through the search list is that of glibc: no such name, no address and
 * errors of a server go on to the next candidate, silence and an unreachable server end the walk.
 * Families of which this machine has no address are asked only when the others have none.
 * Invariant: l->pending has the families whose questions are linked.
 */
#include "net/hostinfo_i.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const struct {
  unsigned bit;
  uint16_t type;
} parts[QN__PARTS] = {{QN__HAS_IPV4, QN_DNS_A}, {QN__HAS_IPV6, QN_DNS_AAAA}};

static void clear_parts(qn__lookup_t *l)
{
  for (int i = 0; i < QN__PARTS; i++) {
    qn__dns_unask(&l->part[i].ask);
    qn__dns_result_release(l->part[i].result);
    l->part[i].result = NULL;
    l->part[i].rc = 0;
  }
  l->pending = 0;
}

void qn__lookup_walk_end(qn__lookup_t *l)
{
  clear_parts(l);
  qn_timer_stop(l->loop, &l->delay);
}

/* --- what was found --------------------------------------------------------------------------- */

static void put(qn_addr_t *a, const qn_dns_record_t *record)
{
  *a = (qn_addr_t){0};
  if (record->type == QN_DNS_A) {
    a->size = sizeof a->u.in4;
    a->u.in4.sin_family = AF_INET;
    memcpy(&a->u.in4.sin_addr, record->u.a, sizeof record->u.a);
  } else {
    a->size = sizeof a->u.in6;
    a->u.in6.sin6_family = AF_INET6;
    memcpy(&a->u.in6.sin6_addr, record->u.aaaa, sizeof record->u.aaaa);
    qn_addr_unmap(a);
  }
}

static size_t count(const qn__lookup_part_t *p)
{
  return p->rc == 0 && p->result != NULL ? p->result->answer->n : 0;
}

/* Moves what has arrived into the list. */
static int collect(qn__lookup_t *l)
{
  size_t n[QN__PARTS], room = QN_RESOLVE_MAX - l->list.n, half = room / 2;
  for (int i = 0; i < QN__PARTS; i++) {
    n[i] = count(&l->part[i]);
  }
  n[QN__PART_IPV4] = n[QN__PART_IPV4] < room ? n[QN__PART_IPV4] : room;
  n[QN__PART_IPV6] = n[QN__PART_IPV6] < room ? n[QN__PART_IPV6] : room;
  if (n[0] + n[1] > room) { /* a fair share of each family */
    int less = n[1] < n[0];
    n[less] = n[less] < half ? n[less] : half;
    n[!less] = room - n[less];
  }
  qn_addr_t *v = qn__lookup_room(l, n[0] + n[1]);
  if (v == NULL) {
    return -ENOMEM;
  }
  size_t at = 0;
  for (int i = QN__PARTS - 1; i >= 0; i--) {
    qn__lookup_part_t *p = &l->part[i];
    for (size_t k = 0; k < n[i]; k++) {
      put(&v[at++], &p->result->answer->v[k]);
    }
    if (n[i] > 0) {
      l->expires =
          l->expires == 0 || p->result->expires < l->expires ? p->result->expires : l->expires;
      int rc = qn__lookup_name(l, p->result->answer->canonical);
      if (rc < 0) {
        return rc;
      }
    }
    qn__dns_result_release(p->result);
    p->result = NULL;
  }
  qn__addr_sort(v, at, &l->resolver->local, qn_loop_now(l->loop));
  qn__lookup_take(l, at);
  return 0;
}

/* --- not from the DNS ------------------------------------------------------------------------- */

static bool is_loopback(const qn_addr_t *a)
{
  return a->u.sa.sa_family == AF_INET ? (ntohl(a->u.in4.sin_addr.s_addr) >> 24) == 127
                                      : IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr);
}

/* Leaves out families that this machine does not have, unless there is nothing else. */
static size_t filter(qn__lookup_t *l, qn_addr_t *v, size_t n)
{
  unsigned present = qn__addr_families_present(&l->resolver->local, qn_loop_now(l->loop));
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    bool v4 = v[i].u.sa.sa_family == AF_INET;
    bool good = is_loopback(&v[i]) || (present & (v4 ? QN__HAS_IPV4 : QN__HAS_IPV6)) != 0;
    if (good) {
      qn_addr_t a = v[i];
      memmove(&v[kept + 1], &v[kept], (i - kept) * sizeof *v);
      v[kept++] = a;
    }
  }
  return kept > 0 ? kept : n;
}

static int give(qn__lookup_t *l, qn_addr_t *v, size_t n, const char *canonical)
{
  n = l->family == QN_FAMILY_ANY ? filter(l, v, n) : n;
  qn__addr_sort(v, n, &l->resolver->local, qn_loop_now(l->loop));
  qn_addr_t *room = qn__lookup_room(l, n);
  if (room == NULL || qn__lookup_name(l, canonical) < 0) {
    return -ENOMEM;
  }
  memcpy(room, v, n * sizeof *v);
  qn__lookup_take(l, n);
  return 0;
}

/* 0: found; QN_AGAIN: not there. */
static int ask_files(qn__lookup_t *l)
{
  qn_addr_t v[QN_RESOLVE_MAX];
  const char *canonical = NULL;
  const qn__hosts_t *hosts = qn__resolver_hosts(l->resolver);
  size_t n = 0;
  if (hosts != NULL) {
    n = qn__hosts_find(hosts, l->host, l->family, v, QN_RESOLVE_MAX, &canonical);
  }
  return n > 0 ? give(l, v, n, canonical) : QN_AGAIN;
}

static bool is_under(const char *host, size_t size, const char *domain)
{
  size_t n = strlen(domain);
  return size >= n && strcasecmp(host + size - n, domain) == 0 &&
         (size == n || host[size - n - 1] == '.');
}

/* Names that must not reach the DNS: RFC 6761 sections 6.3 and 6.4, RFC 7686. 0: answered. */
static int ask_nobody(qn__lookup_t *l)
{
  qn_addr_t v[2];
  size_t n = 0;
  if (is_under(l->host, l->size, "onion") || is_under(l->host, l->size, "invalid")) {
    return QN_E_HOST_NOT_FOUND;
  }
  if (!is_under(l->host, l->size, "localhost")) {
    return QN_AGAIN;
  }
  if (l->family != QN_FAMILY_IPV4) {
    qn_addr_parse(&v[n++], "::1", 0, QN_FAMILY_ANY);
  }
  if (l->family != QN_FAMILY_IPV6) {
    qn_addr_parse(&v[n++], "127.0.0.1", 0, QN_FAMILY_ANY);
  }
  return give(l, v, n, NULL);
}

/* --- the search list -------------------------------------------------------------------------- */

static unsigned dots_in(const char *host)
{
  unsigned n = 0;
  for (; *host != '\0'; host++) {
    n += *host == '.';
  }
  return n;
}

/* The candidate number `i`: false behind the last one. `out` is empty when it would be too long. */
static bool candidate(const qn__lookup_t *l, size_t i, char out[QN_HOST_MAX + 1])
{
  size_t n = l->absolute ? 0 : qn__resolver_n_search(l->resolver);
  bool first = l->absolute || dots_in(l->host) >= qn__resolver_ndots(l->resolver);
  out[0] = '\0';
  if (i > n) {
    return false;
  }
  if (i == (first ? 0 : n)) {
    memcpy(out, l->host, l->size + 1);
    return true;
  }
  const char *domain = qn__resolver_search(l->resolver, first ? i - 1 : i);
  size_t size = strlen(domain);
  if (l->size + 1 + size <= QN_HOST_MAX) {
    memcpy(out, l->host, l->size);
    out[l->size] = '.';
    memcpy(out + l->size + 1, domain, size + 1);
  }
  return true;
}

static void proceed(qn__lookup_t *l);

static void part_answered(qn__lookup_t *l, int i, int rc, qn__dns_result_t *result)
{
  l->returned = true; /* qn_resolve has: replies come in the ready phase */
  l->part[i].rc = rc;
  l->part[i].result = result != NULL ? qn__dns_result_retain(result) : NULL;
  l->pending &= ~parts[i].bit;
  proceed(l);
}

static void on_ipv4(qn__dns_ask_t *ask, int rc, qn__dns_result_t *result)
{
  part_answered(QN__CONTAINER(ask, qn__lookup_t, part[QN__PART_IPV4].ask), QN__PART_IPV4, rc,
                result);
}

static void on_ipv6(qn__dns_ask_t *ask, int rc, qn__dns_result_t *result)
{
  part_answered(QN__CONTAINER(ask, qn__lookup_t, part[QN__PART_IPV6].ask), QN__PART_IPV6, rc,
                result);
}

static void ask_families(qn__lookup_t *l, const char *name)
{
  clear_parts(l);
  for (int i = QN__PARTS - 1; i >= 0; i--) {
    qn__lookup_part_t *p = &l->part[i];
    if ((l->asked & parts[i].bit) == 0) {
      continue;
    }
    p->ask.answered = i == QN__PART_IPV4 ? on_ipv4 : on_ipv6;
    p->rc = qn__dns_ask(&l->resolver->dns, name, parts[i].type, &p->ask, &p->result);
    l->pending |= p->rc == QN_AGAIN ? parts[i].bit : 0;
  }
}

/* --- the walk --------------------------------------------------------------------------------- */

static bool has_addresses(const qn__lookup_t *l)
{
  return count(&l->part[QN__PART_IPV4]) + count(&l->part[QN__PART_IPV6]) > 0;
}

/* No family of the candidate has an address. 0: go on with the next one. */
static int judge(qn__lookup_t *l)
{
  for (int i = 0; i < QN__PARTS; i++) {
    if ((l->asked & parts[i].bit) == 0) {
      continue;
    }
    switch (l->part[i].rc) {
    case 0: /* an answer without a record */
    case QN_E_NO_DATA: l->saw_no_data = true; break;
    case QN_E_HOST_NOT_FOUND: break;
    case QN_E_BAD_HOST: break; /* too long with this domain */
    case QN_E_DNS_FORMERR:
    case QN_E_DNS_SERVFAIL:
    case QN_E_DNS_NOTIMP:
    case QN_E_DNS_REFUSED:
    case QN_E_DNS_REPLY: l->error = l->part[i].rc; break;
    default: return l->part[i].rc;
    }
  }
  return 0;
}

/* Asks the next candidate: false when there is none. */
static bool ask_next(qn__lookup_t *l)
{
  char name[QN_HOST_MAX + 1];
  while (candidate(l, l->candidate, name)) {
    l->candidate++;
    if (name[0] != '\0') {
      ask_families(l, name);
      return true;
    }
  }
  return false;
}

/* The other services, now that the DNS has nothing. */
static void give_up(qn__lookup_t *l, int rc)
{
  const qn__nsswitch_t *s = l->resolver->nsswitch;
  clear_parts(l);
  while (l->service < s->n) {
    if (s->v[l->service++] == QN__NSS_FILES) {
      int found = ask_files(l);
      if (found != QN_AGAIN) {
        if (found == 0) {
          qn__lookup_found(l);
        } else {
          qn__lookup_failed(l, found);
        }
        return;
      }
    }
  }
  qn__lookup_failed(l, rc);
}

static void succeed(qn__lookup_t *l)
{
  qn_timer_stop(l->loop, &l->delay);
  l->late = l->pending != 0;
  int rc = collect(l);
  if (rc < 0) {
    l->late = false;
    qn__lookup_failed(l, rc);
  } else {
    qn__lookup_found(l);
  }
}

static void on_delay(qn_timer_t *t);

/* Waits a while for the other family; less when the asker has less time, so that what is there does
 * not get lost. Before qn_resolve has returned nobody can tell how much that is. */
static void wait_for_rest(qn__lookup_t *l)
{
  uint64_t now = qn_loop_now(l->loop), wait = QN__RESOLUTION_DELAY_MS;
  const qn_timer_t *limit = &l->op->timer;
  if (!l->stepwise && qn_timer_armed(limit)) {
    uint64_t half = limit->at > now ? (limit->at - now) / 2 : 0;
    wait = half < QN__FAMILY_WAIT_MS ? half : QN__FAMILY_WAIT_MS;
  } else if (!l->stepwise) {
    wait = l->returned ? QN__FAMILY_WAIT_MS : 0;
  }
  if (qn_timer_start(l->loop, &l->delay, now + wait, on_delay) < 0) {
    succeed(l);
  }
}

/* Waited long enough: the rest comes later, or never. */
static void on_delay(qn_timer_t *t)
{
  qn__lookup_t *l = QN__CONTAINER(t, qn__lookup_t, delay);
  if (!l->stepwise && !l->returned) {
    l->returned = true;
    wait_for_rest(l);
    return;
  }
  for (int i = 0; i < QN__PARTS && !l->stepwise; i++) {
    qn__dns_unask(&l->part[i].ask);
    l->pending &= ~parts[i].bit;
  }
  succeed(l);
}

/* Part of the answers is there: RFC 8305 section 3. */
static void proceed_in_part(qn__lookup_t *l)
{
  if (l->late || !has_addresses(l) || qn_timer_armed(&l->delay)) {
    return;
  }
  if (l->stepwise && count(&l->part[QN__PART_IPV6]) > 0) {
    succeed(l);
  } else {
    wait_for_rest(l);
  }
}

static void proceed(qn__lookup_t *l)
{
  while (l->pending == 0) {
    if (l->late) {
      if (l->op != NULL) {
        qn__lookup_add_late(l);
      }
      return;
    }
    if (l->candidate > 0 && has_addresses(l)) {
      succeed(l);
      return;
    }
    int rc = l->candidate > 0 ? judge(l) : 0;
    if (rc < 0) {
      give_up(l, rc);
      return;
    }
    if (!ask_next(l)) {
      if (l->rest == 0 || !l->saw_no_data) {
        give_up(l, l->error != 0 ? l->error : QN_E_HOST_NOT_FOUND);
        return;
      }
      l->asked = l->rest; /* nothing of the families that this machine has: any then */
      l->rest = 0;
      l->candidate = 0;
    }
  }
  proceed_in_part(l);
}

void qn__lookup_add_late(qn__lookup_t *l)
{
  l->late = false;
  (void)collect(l); /* out of memory: what is there is a good answer */
  qn__lookup_found(l);
}

static void ask_dns(qn__lookup_t *l)
{
  unsigned all = QN__HAS_IPV4 | QN__HAS_IPV6;
  if (l->family != QN_FAMILY_ANY) {
    l->asked = l->family == QN_FAMILY_IPV4 ? QN__HAS_IPV4 : QN__HAS_IPV6;
  } else {
    all &= l->resolver->conf->no_aaaa ? ~(unsigned)QN__HAS_IPV6 : all;
    l->asked = qn__addr_families_present(&l->resolver->local, qn_loop_now(l->loop)) & all;
    l->asked = l->asked != 0 ? l->asked : all;
    l->rest = all & ~l->asked;
  }
  proceed(l);
}

void qn__lookup_walk(qn__lookup_t *l)
{
  const qn__nsswitch_t *s = l->resolver->nsswitch;
  int rc = QN_AGAIN;
  bool dns = false;
  while (rc == QN_AGAIN && !dns && l->service < s->n) {
    dns = s->v[l->service++] == QN__NSS_DNS;
    rc = dns ? QN_AGAIN : ask_files(l);
  }
  rc = rc == QN_AGAIN ? ask_nobody(l) : rc;
  if (rc == 0) {
    qn__lookup_found(l);
  } else if (rc == QN_AGAIN && dns) {
    ask_dns(l);
  } else {
    give_up(l, rc == QN_AGAIN ? QN_E_HOST_NOT_FOUND : rc);
  }
}

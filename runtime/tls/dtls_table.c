/* dtls_table.c: the associations of an endpoint by the peer's address and port.
 *
 * Chained, doubled when it is full; its size follows the number of associations, which is limited.
 * The hash has a seed of its own, so that peers cannot choose addresses that share a chain. Must
 * not look at anything but keys. Invariant: one entry per peer; an heir is not in the table.
 */
#include "tls/dtls_i.h"

#include <errno.h>
#include <string.h>

#define BUCKETS_FIRST 16u

void qn__dtls_key(qn__dtls_key_t *key, const qn_addr_t *a)
{
  memset(key, 0, sizeof *key);
  if (a->u.sa.sa_family == AF_INET6) {
    memcpy(key->ip, &a->u.in6.sin6_addr, 16);
    key->port = a->u.in6.sin6_port;
    key->scope = a->u.in6.sin6_scope_id;
  } else {
    key->ip[10] = key->ip[11] = 0xff;
    memcpy(key->ip + 12, &a->u.in4.sin_addr, 4);
    key->port = a->u.in4.sin_port;
  }
}

static bool same(const qn__dtls_key_t *a, const qn__dtls_key_t *b)
{
  return memcmp(a->ip, b->ip, sizeof a->ip) == 0 && a->port == b->port && a->scope == b->scope;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
  h = (h ^ v) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

static size_t bucket(const qn_dtls_endpoint_t *e, const qn__dtls_key_t *key)
{
  uint64_t hi, lo;
  memcpy(&hi, key->ip, 8);
  memcpy(&lo, key->ip + 8, 8);
  uint64_t h = mix(mix(mix(e->seed, hi), lo), (uint64_t)key->scope << 16 | key->port);
  return (size_t)(mix(h, e->seed) & (e->buckets - 1));
}

qn_dtls_t *qn__dtls_find(const qn_dtls_endpoint_t *e, const qn__dtls_key_t *key)
{
  qn_dtls_t *a = e->buckets != 0 ? e->table[bucket(e, key)] : NULL;
  while (a != NULL && !same(&a->key, key)) {
    a = a->next;
  }
  return a;
}

static int grow(qn_dtls_endpoint_t *e)
{
  size_t old = e->buckets, n = old != 0 ? old * 2 : BUCKETS_FIRST;
  qn_dtls_t **before = e->table, **table = qn_calloc(n, sizeof *table);
  if (table == NULL) {
    return -ENOMEM;
  }
  e->table = table;
  e->buckets = n;
  for (size_t i = 0; i < old; i++) {
    for (qn_dtls_t *a = before[i], *next; a != NULL; a = next) {
      next = a->next;
      size_t at = bucket(e, &a->key);
      a->next = table[at];
      table[at] = a;
    }
  }
  qn_free(before);
  return 0;
}

int qn__dtls_insert(qn_dtls_endpoint_t *e, qn_dtls_t *a)
{
  if (qn__dtls_find(e, &a->key) != NULL) {
    return QN_E_IS_CONNECTED;
  }
  int rc = e->count >= e->buckets ? grow(e) : 0;
  if (rc < 0) {
    return rc;
  }
  size_t at = bucket(e, &a->key);
  a->next = e->table[at];
  e->table[at] = a;
  e->count++;
  return 0;
}

static qn_dtls_t **place(qn_dtls_endpoint_t *e, const qn_dtls_t *a)
{
  qn_dtls_t **p = &e->table[bucket(e, &a->key)];
  while (*p != a) {
    p = &(*p)->next;
  }
  return p;
}

void qn__dtls_remove(qn_dtls_endpoint_t *e, qn_dtls_t *a)
{
  qn_dtls_t **p = place(e, a);
  *p = a->next;
  a->next = NULL;
  e->count--;
}

void qn__dtls_replace(qn_dtls_endpoint_t *e, qn_dtls_t *a, qn_dtls_t *heir)
{
  qn_dtls_t **p = place(e, a);
  heir->next = a->next;
  *p = heir;
  a->next = NULL;
}

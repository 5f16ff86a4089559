/* dns_cache.c: answers by question, the least recently used go first: see dns_cache.h.
 *
 * Called by dns_question.c. No timers: what has expired goes when it is found, or when room is
 * needed. Invariant: every entry is in the table and in the list, and counted in `bytes`.
 */
#include "net/dns_cache.h"

#include "loop/loop_i.h"

#include <string.h>

#define ENTRY_SHARE 8 /* one answer takes at most this part of the whole memory */

typedef struct entry {
  qn__dns_node_t node;
  qn_list_t link;
  qn__dns_result_t *result;
  size_t bytes;
  uint8_t name[];
} entry_t;

qn__dns_result_t *qn__dns_result_new(int rc, qn_dns_answer_t *answer, size_t wire, uint64_t now)
{
  qn__dns_result_t *r = qn_malloc(sizeof *r);
  if (r == NULL) {
    qn_dns_answer_free(answer);
    return NULL;
  }
  uint32_t most = rc == 0 ? QN__DNS_TTL_MAX : QN__DNS_NEGATIVE_TTL_MAX;
  uint32_t ttl = answer->ttl < most ? answer->ttl : most;
  *r = (qn__dns_result_t){
      .refs = 1,
      .rc = rc,
      .at = now,
      .expires = now + (uint64_t)ttl * 1000,
      .bytes = sizeof *r + (answer->n + answer->n_chain) * sizeof *answer->v + 4 * wire,
      .answer = answer,
  };
  return r;
}

void qn__dns_result_release(qn__dns_result_t *r)
{
  if (r != NULL && --r->refs == 0) {
    qn_dns_answer_free(r->answer);
    qn_free(r);
  }
}

void qn__dns_cache_init(qn__dns_cache_t *c, size_t most)
{
  *c = (qn__dns_cache_t){.most = most < QN__DNS_CACHE_MAX ? most : QN__DNS_CACHE_MAX};
  qn__list_init(&c->used);
}

static void evict(qn__dns_cache_t *c, entry_t *e)
{
  qn__dns_table_remove(&c->table, &e->node);
  qn__list_remove(&e->link);
  c->bytes -= e->bytes;
  qn__dns_result_release(e->result);
  qn_free(e);
}

static entry_t *find(const qn__dns_cache_t *c, const qn__dns_key_t *key)
{
  qn__dns_node_t *node = qn__dns_table_find(&c->table, key);
  return node != NULL ? QN__CONTAINER(node, entry_t, node) : NULL;
}

qn__dns_result_t *qn__dns_cache_find(qn__dns_cache_t *c, const qn__dns_key_t *key, uint64_t now)
{
  entry_t *e = find(c, key);
  if (e == NULL) {
    return NULL;
  }
  if (now >= e->result->expires) {
    evict(c, e);
    return NULL;
  }
  qn__list_remove(&e->link);
  qn__list_prepend(&c->used, &e->link);
  return e->result;
}

void qn__dns_cache_put(qn__dns_cache_t *c, const qn__dns_key_t *key, qn__dns_result_t *r)
{
  entry_t *e = find(c, key);
  size_t size = sizeof *e + key->size, bytes = size + r->bytes;
  if (e != NULL) {
    evict(c, e);
  }
  if (c->most == 0 || r->expires <= r->at || bytes > QN__DNS_CACHE_BYTES / ENTRY_SHARE) {
    return;
  }
  while (!qn__list_empty(&c->used) &&
         (c->table.n >= c->most || c->bytes + bytes > QN__DNS_CACHE_BYTES)) {
    evict(c, QN__CONTAINER(c->used.prev, entry_t, link));
  }
  e = qn_malloc(size);
  if (e == NULL) {
    return;
  }
  memcpy(e->name, key->name, key->size);
  if (qn__dns_table_add(&c->table, &e->node, key, e->name) < 0) {
    qn_free(e);
    return;
  }
  e->result = qn__dns_result_retain(r);
  e->bytes = bytes;
  c->bytes += bytes;
  qn__list_prepend(&c->used, &e->link);
}

void qn__dns_cache_clear(qn__dns_cache_t *c)
{
  while (!qn__list_empty(&c->used)) {
    evict(c, QN__CONTAINER(c->used.next, entry_t, link));
  }
  qn__dns_table_drop(&c->table);
}

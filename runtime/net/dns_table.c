/* dns_table.c: questions by name and type: see dns_table.h.
 *
 * Called by the cache and by the questions that are under way. Grows to one node per slot, never
 * shrinks while it holds something. Must not look into the things that embed its nodes.
 */
#include "net/dns_table.h"

#include "qn/dns_record.h"

#include <errno.h>
#include <string.h>

enum { FIRST_CAP = 16 };

static uint32_t hash_of(const qn__dns_key_t *key, uint64_t seed)
{
  uint64_t h = seed ^ (key->type * 0x9e3779b97f4a7c15u);
  for (size_t i = 0; i < key->size; i++) {
    h = (h ^ key->name[i]) * 0x100000001b3u;
    h ^= h >> 29;
  }
  h *= 0xbf58476d1ce4e5b9u;
  return (uint32_t)(h >> 32);
}

int qn__dns_key_make(qn__dns_key_t *key, const char *name, uint16_t type, uint64_t seed)
{
  int size = qn_dns_name_encode(name, key->name);
  if (size < 0) {
    return size;
  }
  /* Lengths of labels are below 'A'. */
  for (int i = 0; i < size; i++) {
    uint8_t c = key->name[i];
    key->name[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
  }
  key->size = (uint8_t)size;
  key->type = type;
  key->hash = hash_of(key, seed);
  return 0;
}

qn__dns_node_t *qn__dns_table_find(const qn__dns_table_t *t, const qn__dns_key_t *key)
{
  qn__dns_node_t *node = t->cap != 0 ? t->slots[key->hash & (t->cap - 1)] : NULL;
  while (node != NULL &&
         (node->hash != key->hash || node->type != key->type || node->size != key->size ||
          memcmp(node->name, key->name, key->size) != 0)) {
    node = node->next;
  }
  return node;
}

static int grow(qn__dns_table_t *t)
{
  size_t cap = t->cap != 0 ? t->cap * 2 : FIRST_CAP;
  qn__dns_node_t **slots = qn_calloc(cap, sizeof *slots);
  if (slots == NULL) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < t->cap; i++) {
    for (qn__dns_node_t *node = t->slots[i], *next; node != NULL; node = next) {
      next = node->next;
      node->next = slots[node->hash & (cap - 1)];
      slots[node->hash & (cap - 1)] = node;
    }
  }
  qn_free(t->slots);
  t->slots = slots;
  t->cap = cap;
  return 0;
}

int qn__dns_table_add(qn__dns_table_t *t, qn__dns_node_t *node, const qn__dns_key_t *key,
                      const uint8_t *name)
{
  int rc = t->n == t->cap ? grow(t) : 0;
  if (rc < 0) {
    return rc;
  }
  qn__dns_node_t **slot = &t->slots[key->hash & (t->cap - 1)];
  *node = (qn__dns_node_t){
      .next = *slot, .name = name, .hash = key->hash, .type = key->type, .size = key->size};
  *slot = node;
  t->n++;
  return 0;
}

void qn__dns_table_remove(qn__dns_table_t *t, qn__dns_node_t *node)
{
  qn__dns_node_t **at = &t->slots[node->hash & (t->cap - 1)];
  while (*at != node) {
    at = &(*at)->next;
  }
  *at = node->next;
  node->next = NULL;
  t->n--;
}

void qn__dns_table_drop(qn__dns_table_t *t)
{
  qn_free(t->slots);
  *t = (qn__dns_table_t){0};
}

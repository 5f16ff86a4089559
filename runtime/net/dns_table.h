/* dns_table.h: a hash table of things that have a name and a record type. Not public.
 *
 * Nodes are embedded in the things; the table owns nothing but its slots. Names are as on the wire,
 * letters in lower case, so that equal questions are equal bytes. The hash is seeded: whoever
 * chooses names cannot choose where they land.
 */
#ifndef QN_NET_DNS_TABLE_H
#define QN_NET_DNS_TABLE_H

#include "qn/base.h"

#define QN__DNS_WIRE_MAX 255

/* A question, to look for; the name in `name`. */
typedef struct qn__dns_key {
  uint32_t hash; /* the table's */
  uint16_t type;
  uint8_t size;
  uint8_t name[QN__DNS_WIRE_MAX];
} qn__dns_key_t;

typedef struct qn__dns_node qn__dns_node_t;
struct qn__dns_node {
  qn__dns_node_t *next;
  const uint8_t *name; /* in the thing itself */
  uint32_t hash;
  uint16_t type;
  uint8_t size;
};

typedef struct qn__dns_table {
  qn__dns_node_t **slots;
  size_t n, cap; /* cap: 0 or a power of two */
} qn__dns_table_t;

/* `name` as text to the wire, folded and hashed. 0 or QN_E_BAD_HOST. */
int qn__dns_key_make(qn__dns_key_t *key, const char *name, uint16_t type, uint64_t seed);
qn__dns_node_t *qn__dns_table_find(const qn__dns_table_t *t, const qn__dns_key_t *key);
/* Takes the node in under `key`, which is not there yet; `name` is the key's name in the thing. 0
 * or -ENOMEM. */
int qn__dns_table_add(qn__dns_table_t *t, qn__dns_node_t *node, const qn__dns_key_t *key,
                      const uint8_t *name);
void qn__dns_table_remove(qn__dns_table_t *t, qn__dns_node_t *node);
/* Frees the slots. */
void qn__dns_table_drop(qn__dns_table_t *t);

#endif

/* dns_table_test.c: questions by name and type: case, growth, removal, no memory. */
#include "net/dns_table.h"
#include "test.h"

#include <errno.h>

typedef struct thing {
  qn__dns_node_t node;
  qn__dns_key_t key;
} thing_t;

enum { SEED = 77 };

static int make(qn__dns_key_t *key, const char *name, uint16_t type)
{
  return qn__dns_key_make(key, name, type, SEED);
}

static int add(qn__dns_table_t *t, thing_t *thing, const char *name, uint16_t type)
{
  REQUIRE_INT(make(&thing->key, name, type), 0);
  return qn__dns_table_add(t, &thing->node, &thing->key, thing->key.name);
}

static thing_t *find(const qn__dns_table_t *t, const char *name, uint16_t type)
{
  qn__dns_key_t key;
  REQUIRE_INT(make(&key, name, type), 0);
  return (thing_t *)(void *)qn__dns_table_find(t, &key);
}

TEST(equal_questions)
{
  qn__dns_table_t t = {0};
  thing_t a, b;
  int64_t live = qn_alloc_live();
  CHECK_NULL(find(&t, "a.test", 1));
  CHECK_INT(add(&t, &a, "A.Test", 1), 0);
  CHECK_INT(add(&t, &b, "a.test", 28), 0);
  CHECK_PTR(find(&t, "a.tesT.", 1), &a);
  CHECK_PTR(find(&t, "\\097.test", 1), &a); /* the same bytes on the wire */
  CHECK_PTR(find(&t, "a.test", 28), &b);
  CHECK_NULL(find(&t, "a.test", 2));
  CHECK_NULL(find(&t, "a\\.test", 1));
  CHECK_NULL(find(&t, ".", 1));
  qn__dns_table_remove(&t, &a.node);
  CHECK_NULL(find(&t, "a.test", 1));
  CHECK_PTR(find(&t, "a.test", 28), &b);
  qn__dns_table_drop(&t);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(bad_names)
{
  qn__dns_key_t key;
  CHECK_INT(make(&key, "", 1), QN_E_BAD_HOST);
  CHECK_INT(make(&key, "a..b", 1), QN_E_BAD_HOST);
}

TEST(many)
{
  enum { N = 3000 };
  static thing_t things[N];
  qn__dns_table_t t = {0};
  char name[32];
  size_t longest = 0;
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "n%d.test", i);
    CHECK_INT(add(&t, &things[i], name, 1), 0);
  }
  CHECK_UINT(t.n, N);
  CHECK(t.cap >= N && t.cap <= 2 * N);
  for (size_t i = 0; i < t.cap; i++) {
    size_t n = 0;
    for (const qn__dns_node_t *node = t.slots[i]; node != NULL; node = node->next) {
      n++;
    }
    longest = n > longest ? n : longest;
  }
  CHECK(longest < 12);
  for (int i = 0; i < N; i += 2) {
    qn__dns_table_remove(&t, &things[i].node);
  }
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "N%d.TEST", i);
    CHECK_PTR(find(&t, name, 1), i % 2 ? &things[i] : NULL);
  }
  qn__dns_table_drop(&t);
}

TEST(no_memory)
{
  qn__dns_table_t t = {0};
  static thing_t things[20];
  char name[32];
  qn_alloc_fail_at(1);
  CHECK_INT(add(&t, &things[0], "a", 1), -ENOMEM);
  for (int i = 0; i < 16; i++) {
    snprintf(name, sizeof name, "n%d", i);
    CHECK_INT(add(&t, &things[i], name, 1), 0);
  }
  qn_alloc_fail_at(1);
  CHECK_INT(add(&t, &things[16], "last", 1), -ENOMEM);
  CHECK_NULL(find(&t, "last", 1));
  CHECK_PTR(find(&t, "n7", 1), &things[7]);
  qn__dns_table_drop(&t);
}

/* The memory hooks: the count of live blocks and the failure of the Nth request. */
#include "test.h"

#include "qn/base.h"

TEST(live_blocks_are_counted)
{
  int64_t before = qn_alloc_live();
  void *a = qn_malloc(10), *b = qn_calloc(3, 4);
  char *c = qn_strdup("text");
  CHECK_INT(qn_alloc_live(), before + 3);
  a = qn_realloc(a, 1000);
  CHECK_INT(qn_alloc_live(), before + 3);
  CHECK_STR(c, "text");
  for (int i = 0; i < 12; i++) {
    CHECK_INT(((char *)b)[i], 0);
  }
  qn_free(a);
  qn_free(b);
  qn_free(c);
  qn_free(NULL);
  CHECK_INT(qn_alloc_live(), before);
}

TEST(empty_blocks_are_blocks)
{
  int64_t before = qn_alloc_live();
  void *a = qn_malloc(0), *b = qn_calloc(0, 8), *c = qn_realloc(NULL, 0);
  CHECK(a != NULL && b != NULL && c != NULL);
  c = qn_realloc(c, 0);
  CHECK(c != NULL);
  CHECK_INT(qn_alloc_live(), before + 3);
  qn_free(a);
  qn_free(b);
  qn_free(c);
  CHECK_INT(qn_alloc_live(), before);
}

TEST(the_nth_request_fails_once)
{
  int64_t before = qn_alloc_live();
  for (uint64_t nth = 1; nth <= 4; nth++) {
    TEST_ROUND("nth %d", (int)nth);
    qn_alloc_fail_at(nth);
    void *p[5];
    p[0] = qn_malloc(1);
    p[1] = qn_calloc(1, 1);
    p[2] = qn_strdup("x");
    p[3] = qn_realloc(NULL, 5);
    p[4] = qn_malloc(1);
    for (uint64_t i = 0; i < 5; i++) {
      CHECK((p[i] == NULL) == (i + 1 == nth));
      qn_free(p[i]);
    }
    CHECK(qn_alloc_failed());
    CHECK(!qn_alloc_failed());
  }
  CHECK_INT(qn_alloc_live(), before);
}

TEST(a_failed_realloc_leaves_the_block)
{
  char *p = qn_strdup("kept");
  qn_alloc_fail_at(1);
  CHECK_NULL(qn_realloc(p, 100));
  CHECK(qn_alloc_failed());
  CHECK_STR(p, "kept");
  qn_free(p);
}

TEST(asking_disarms)
{
  qn_alloc_fail_at(3);
  CHECK(!qn_alloc_failed());
  for (int i = 0; i < 5; i++) {
    void *p = qn_malloc(1);
    CHECK(p != NULL);
    qn_free(p);
  }
  qn_alloc_fail_at(1);
  qn_alloc_fail_at(0);
  void *p = qn_malloc(1);
  CHECK(p != NULL);
  qn_free(p);
}

TEST(a_size_that_overflows_fails)
{
  volatile size_t half = SIZE_MAX / 2;
  int64_t before = qn_alloc_live();
  CHECK_NULL(qn_calloc(half, 4));
  CHECK_INT(qn_alloc_live(), before);
}

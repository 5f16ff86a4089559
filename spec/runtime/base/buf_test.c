/* The byte queue against a model, its block sizes, lent blocks and failing allocations. */
#include "test.h"

#include "qn/buf.h"

#include <errno.h>

static uint32_t seed = 12345;

static uint32_t random_below(uint32_t n)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

static void check_invariant(const qn_buf_t *b)
{
  CHECK(b->head <= b->tail && b->tail <= b->cap);
  if (qn_buf_size(b) == 0 && b->head != 0) {
    FAIL("an empty queue begins at %zu", b->head);
  }
  CHECK((b->base == NULL) == (b->cap == 0));
}

enum { MODEL = 8192 };

typedef struct model {
  uint8_t bytes[MODEL];
  size_t size;
} model_t;

static void random_step(qn_buf_t *b, model_t *m)
{
  uint8_t piece[600];
  size_t n = random_below(10) == 0 ? random_below(sizeof piece) : random_below(20);
  for (size_t i = 0; i < n; i++) {
    piece[i] = (uint8_t)random_below(256);
  }
  switch (random_below(4)) {
  case 0:
    if (m->size + n <= MODEL) {
      CHECK_INT(qn_buf_append(b, piece, n), 0);
      memcpy(m->bytes + m->size, piece, n);
      m->size += n;
    }
    break;
  case 1:
    if (m->size + n <= MODEL) {
      CHECK_INT(qn_buf_prepend(b, piece, n), 0);
      memmove(m->bytes + n, m->bytes, m->size);
      memcpy(m->bytes, piece, n);
      m->size += n;
    }
    break;
  case 2:
    CHECK_INT(qn_buf_reserve(b, n), 0);
    CHECK(b->cap - b->tail >= n);
    break;
  default:
    n = random_below(6) == 0 ? m->size : random_below((uint32_t)m->size + 1);
    qn_buf_consume(b, n);
    memmove(m->bytes, m->bytes + n, m->size - n);
    m->size -= n;
  }
}

TEST(random_operations_match_a_model)
{
  static model_t m;
  int64_t live = qn_alloc_live();
  for (int round = 0; round < 50 && !TEST_FAILED(); round++) {
    qn_buf_t b = {0};
    m.size = 0;
    for (int step = 0; step < 2000 && !TEST_FAILED(); step++) {
      TEST_ROUND("round %d step %d", round, step);
      random_step(&b, &m);
      check_invariant(&b);
      CHECK_MEM(qn_buf_data(&b), qn_buf_size(&b), m.bytes, m.size);
      CHECK(b.cap <= 2 * MODEL);
    }
    qn_buf_free(&b);
    CHECK_NULL(b.base);
  }
  CHECK_INT(qn_alloc_live(), live);
}

TEST(an_empty_queue_keeps_small_blocks_only)
{
  static uint8_t bytes[5000];
  int64_t live = qn_alloc_live();
  qn_buf_t b = {0};
  CHECK_INT(qn_buf_append(&b, bytes, 200), 0);
  qn_buf_consume(&b, 200);
  CHECK_INT(qn_alloc_live(), live + 1);
  CHECK(b.cap >= 200 && b.cap <= 256);
  CHECK_INT(qn_buf_append(&b, bytes, 5000), 0);
  qn_buf_consume(&b, 4999);
  CHECK_INT(qn_alloc_live(), live + 1);
  qn_buf_consume(&b, 1);
  CHECK_INT(qn_alloc_live(), live);
  CHECK_UINT(b.cap, 0);
  qn_buf_free(&b);
}

TEST(growth_is_bounded_by_what_was_asked)
{
  static uint8_t bytes[100000];
  qn_buf_t b = {0};
  CHECK_INT(qn_buf_append(&b, bytes, sizeof bytes), 0);
  CHECK_UINT(b.cap, sizeof bytes);
  CHECK_INT(qn_buf_append(&b, bytes, 1), 0);
  CHECK(b.cap <= sizeof bytes * 3 / 2);
  qn_buf_free(&b);
  CHECK_INT(qn_buf_reserve(&b, 1000), 0);
  CHECK_UINT(b.cap, 1000);
  qn_buf_free(&b);
}

TEST(a_sliding_window_does_not_grow)
{
  uint8_t piece[100] = {0};
  qn_buf_t b = {0};
  CHECK_INT(qn_buf_append(&b, piece, 100), 0);
  for (int i = 0; i < 10000; i++) {
    CHECK_INT(qn_buf_append(&b, piece, 100), 0);
    qn_buf_consume(&b, 100);
  }
  CHECK_UINT(qn_buf_size(&b), 100);
  CHECK(b.cap <= 400);
  qn_buf_free(&b);
}

TEST(absurd_sizes_are_refused)
{
  qn_buf_t b = {0};
  CHECK_INT(qn_buf_append(&b, "abc", 3), 0);
  CHECK_INT(qn_buf_reserve(&b, SIZE_MAX), -ENOMEM);
  CHECK_INT(qn_buf_reserve(&b, SIZE_MAX - 2), -ENOMEM);
  CHECK_INT(qn_buf_reserve(&b, SIZE_MAX / 2 - 2), -ENOMEM);
  CHECK_INT(qn_buf_prepend(&b, "x", SIZE_MAX - 1), -ENOMEM);
  CHECK_MEM(qn_buf_data(&b), qn_buf_size(&b), "abc", 3);
  qn_buf_free(&b);
}

TEST(a_failed_allocation_changes_nothing)
{
  static uint8_t bytes[1000];
  qn_buf_t b = {0};
  qn_alloc_fail_at(1);
  CHECK_INT(qn_buf_append(&b, bytes, 10), -ENOMEM);
  CHECK(qn_alloc_failed());
  CHECK_INT(qn_buf_append(&b, "0123456789", 10), 0);
  qn_buf_consume(&b, 4);
  qn_alloc_fail_at(1);
  CHECK_INT(qn_buf_append(&b, bytes, 1000), -ENOMEM);
  CHECK(qn_alloc_failed());
  qn_alloc_fail_at(1);
  CHECK_INT(qn_buf_prepend(&b, bytes, 1000), -ENOMEM);
  CHECK(qn_alloc_failed());
  CHECK_MEM(qn_buf_data(&b), qn_buf_size(&b), "456789", 6);
  qn_buf_free(&b);
}

TEST(growing_falls_back_to_the_room_in_front)
{
  uint8_t bytes[100];
  memset(bytes, 'x', sizeof bytes);
  qn_buf_t b = {0};
  CHECK_INT(qn_buf_append(&b, bytes, 100), 0);
  qn_buf_consume(&b, 10);
  qn_alloc_fail_at(1);
  CHECK_INT(qn_buf_append(&b, bytes, 10), 0);
  qn_alloc_failed();
  CHECK_UINT(qn_buf_size(&b), 100);
  qn_buf_free(&b);
}

TEST(lent_blocks_are_used_but_not_owned)
{
  uint8_t block[512]; /* large enough that an own one would be freed when empty */
  int64_t live = qn_alloc_live();
  qn_buf_t b = {.base = block, .cap = sizeof block, .lent = true};
  CHECK_INT(qn_buf_append(&b, "hello world", 11), 0);
  qn_buf_consume(&b, 6);
  CHECK_INT(qn_buf_prepend(&b, "big ", 4), 0);
  CHECK_MEM(qn_buf_data(&b), qn_buf_size(&b), "big world", 9);
  CHECK_INT(qn_buf_reserve(&b, 503), 0);
  CHECK_PTR(b.base, block);
  CHECK_INT(qn_buf_reserve(&b, 504), QN_E_INVALID);
  CHECK_INT(qn_buf_prepend(&b, block, 504), QN_E_INVALID);
  CHECK_MEM(qn_buf_data(&b), qn_buf_size(&b), "big world", 9);
  qn_buf_consume(&b, 9);
  CHECK_PTR(b.base, block);
  CHECK_UINT(b.tail, 0);
  CHECK_INT(qn_alloc_live(), live);
}

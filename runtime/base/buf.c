/* buf.c: the byte queue between filters (qn/buf.h): append behind, consume in front, prepend.
 *
 * Called by filters and streams. Knows no limit of its own: callers compare qn_buf_size with theirs
 * before they append. A lent block (the loop's chunk) is used in place but never grown or freed
 * here: its borrower gives it back. Invariant: head <= tail <= cap; an empty queue has head == tail
 * == 0 and holds at most KEEP bytes.
 */
#include "qn/buf.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

enum {
  MIN_BLOCK = 64,
  KEEP = 256 /* an empty queue keeps a block of this size, and frees a larger one */
};

/* The new size of the block for `need` bytes: half as much again as before, so that many small
 * appends copy each byte a bounded number of times; a first block is what was asked for. */
static size_t block_size(const qn_buf_t *b, size_t need)
{
  size_t grown = b->cap <= SIZE_MAX / 4 ? b->cap + b->cap / 2 : 0;
  size_t size = need > grown ? need : grown;
  return size < MIN_BLOCK ? MIN_BLOCK : size;
}

/* Moves the contents into a block of `cap` bytes, at `at`. The queue is unchanged on failure. */
static int move_to_block(qn_buf_t *b, size_t cap, size_t at)
{
  size_t size = qn_buf_size(b);
  uint8_t *base;
  if (b->lent) {
    return QN_E_INVALID;
  }
  if (b->head == 0 && at == 0) {
    base = qn_realloc(b->base, cap);
    if (base == NULL) {
      return -ENOMEM;
    }
  } else {
    base = qn_malloc(cap);
    if (base == NULL) {
      return -ENOMEM;
    }
    if (size != 0) {
      memcpy(base + at, qn_buf_data(b), size);
    }
    qn_free(b->base);
  }
  b->base = base;
  b->cap = cap;
  b->head = at;
  b->tail = at + size;
  return 0;
}

static void move_within(qn_buf_t *b, size_t at)
{
  size_t size = qn_buf_size(b);
  if (size != 0) {
    memmove(b->base + at, qn_buf_data(b), size);
  }
  b->head = at;
  b->tail = at + size;
}

int qn_buf_reserve(qn_buf_t *b, size_t room)
{
  size_t size = qn_buf_size(b);
  if (QN_LIKELY(b->cap - b->tail >= room)) {
    return 0;
  }
  if (room > SIZE_MAX / 2 - size) {
    return -ENOMEM;
  }
  bool fits = b->cap - size >= room;
  if (fits &&
      (b->head >= size / 2 || b->lent)) { /* paid for by the bytes consumed since last time */
    move_within(b, 0);
    return 0;
  }
  int rc = move_to_block(b, block_size(b, size + room), 0);
  if (rc < 0 && fits) {
    move_within(b, 0);
    return 0;
  }
  return rc;
}

int qn_buf_append(qn_buf_t *b, const void *data, size_t size)
{
  if (size == 0) {
    return 0;
  }
  int rc = qn_buf_reserve(b, size);
  if (rc < 0) {
    return rc;
  }
  memcpy(b->base + b->tail, data, size);
  b->tail += size;
  return 0;
}

int qn_buf_prepend(qn_buf_t *b, const void *data, size_t size)
{
  if (size == 0) {
    return 0;
  }
  if (b->head < size) {
    size_t used = qn_buf_size(b);
    if (size > SIZE_MAX / 2 - used) {
      return -ENOMEM;
    }
    size_t total = used + size;
    /* Half of what is free goes in front, so that a run of small prepends is not a run of moves. */
    if (total <= b->cap) {
      move_within(b, size + (b->cap - total) / 2);
    } else {
      size_t cap = block_size(b, total);
      int rc = move_to_block(b, cap, size + (cap - total) / 2);
      if (rc < 0) {
        return rc;
      }
    }
  }
  b->head -= size;
  memcpy(b->base + b->head, data, size);
  return 0;
}

void qn_buf_consume(qn_buf_t *b, size_t n)
{
  QN__ASSERT(n <= qn_buf_size(b));
  if (n < qn_buf_size(b)) {
    b->head += n;
    return;
  }
  b->head = b->tail = 0;
  if (b->cap > KEEP && !b->lent) {
    qn_free(b->base);
    b->base = NULL;
    b->cap = 0;
  }
}

void qn_buf_free(qn_buf_t *b)
{
  QN__ASSERT(!b->lent);
  if (!b->lent) {
    qn_free(b->base);
  }
  *b = (qn_buf_t){0};
}

/* alloc.c: the memory hooks: libc's allocator plus a count of live blocks and a failure on request.
 *
 * Called by everything in the runtime; nothing else calls malloc or free. Must not lock: the
 * counter and the hook belong to the thread, so a block has to be freed by the thread that
 * allocated it (pool threads hand their requests back to the loop's thread for that). Invariant:
 * qn_alloc_live() = blocks handed out by this thread minus blocks taken back.
 */
#include "qn/base.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local int64_t live;
static _Thread_local uint64_t fail_in; /* 0 = off, else the failing request counts down to 0 */
static _Thread_local bool fail_armed, fail_happened;

static bool must_fail(void)
{
  if (QN_LIKELY(fail_in == 0) || --fail_in != 0) {
    return false;
  }
  fail_happened = true;
  return true;
}

static void *counted(void *p)
{
  if (QN_LIKELY(p != NULL)) {
    live++;
  }
  return p;
}

void *qn_malloc(size_t size)
{
  if (QN_UNLIKELY(must_fail())) {
    return NULL;
  }
  return counted(malloc(size != 0 ? size : 1));
}

void *qn_calloc(size_t count, size_t size)
{
  if (count == 0 || size == 0) {
    count = size = 1;
  }
  if (QN_UNLIKELY(must_fail()) || size > SIZE_MAX / count) {
    return NULL;
  }
  return counted(calloc(count, size));
}

void *qn_realloc(void *p, size_t size)
{
  if (p == NULL) {
    return qn_malloc(size);
  }
  if (QN_UNLIKELY(must_fail())) {
    return NULL;
  }
  return realloc(p, size != 0 ? size : 1);
}

char *qn_strdup(const char *s)
{
  size_t size = strlen(s) + 1;
  char *copy = qn_malloc(size);
  if (copy != NULL) {
    memcpy(copy, s, size);
  }
  return copy;
}

void qn_free(void *p)
{
  if (p != NULL) {
    live--;
    free(p);
  }
}

void qn_alloc_fail_at(uint64_t nth)
{
  fail_in = nth;
  fail_armed = nth != 0;
  fail_happened = false;
}

bool qn_alloc_failed(void)
{
  bool happened = fail_armed && fail_happened;
  fail_in = 0;
  fail_armed = fail_happened = false;
  return happened;
}

int64_t qn_alloc_live(void) { return live; }

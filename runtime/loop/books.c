/* books.c: what is alive on a loop: handles, objects by type, the trace function, serial numbers.
 *
 * Called by whoever opens or closes something, and by leak checks. Must not allocate: counting has
 * to work when memory is out. Invariant: everything that was born and is not gone is counted under
 * its type's name.
 */
#include "loop/loop_core.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* qn/trace.h declares this with the types of a higher floor, which this floor must not include.
 */
QN_API void qn_loop_set_trace(qn_loop_t *loop, qn__trace_fn fn, void *data);

static qn__type_count_t *count_of(qn_loop_t *loop, const char *type)
{
  for (int i = 0; i < QN__MAX_TYPES - 1; i++) {
    qn__type_count_t *c = &loop->types[i];
    if (c->type == NULL) {
      c->type = type;
    }
    if (c->type == type || strcmp(c->type, type) == 0) {
      return c;
    }
  }
  loop->types[QN__MAX_TYPES - 1].type = "other";
  return &loop->types[QN__MAX_TYPES - 1];
}

void qn__object_born(qn_loop_t *loop, const char *type)
{
  loop->objects++;
  count_of(loop, type)->live++;
}

void qn__object_gone(qn_loop_t *loop, const char *type)
{
  qn__type_count_t *c = count_of(loop, type);
  loop->objects--;
  c->live--;
  QN__ASSERT(c->live >= 0);
}

void qn__handle_opened(qn_loop_t *loop) { loop->handles++; }

void qn__handle_closed(qn_loop_t *loop)
{
  loop->handles--;
  QN__ASSERT(loop->handles >= 0);
}

void qn_loop_stats(const qn_loop_t *loop, qn_loop_stats_t *out)
{
  *out = (qn_loop_stats_t){
      .handles = loop->handles,
      .ops = loop->ops,
      .objects = loop->objects,
      .orphans = loop->orphans,
      .timers = (int64_t)loop->heap.n,
      .turns = loop->turns,
      .chunks = loop->chunk_lent,
  };
}

int qn__books_leaks(const qn_loop_t *loop)
{
  /* A leaked object usually holds a handle and an operation too: it is one leak, not three. */
  int64_t leaks = loop->objects;
  leaks = leaks > loop->ops ? leaks : loop->ops;
  leaks = leaks > loop->handles ? leaks : loop->handles;
  leaks = leaks > (int64_t)loop->heap.n ? leaks : (int64_t)loop->heap.n;
  leaks = leaks > loop->chunk_lent ? leaks : loop->chunk_lent;
#ifdef QN_DEBUG
  if (leaks != 0) {
    fprintf(stderr, "qn: left on the loop: %lld handles, %lld operations, %zu timers, %d chunks\n",
            (long long)loop->handles, (long long)loop->ops, loop->heap.n, loop->chunk_lent);
    for (int i = 0; i < QN__MAX_TYPES; i++) {
      if (loop->types[i].live != 0) {
        fprintf(stderr, "qn: left on the loop: %lld x %s\n", (long long)loop->types[i].live,
                loop->types[i].type);
      }
    }
  }
#endif
  return leaks > INT_MAX ? INT_MAX : (int)leaks;
}

void qn__loop_trace_set(qn_loop_t *loop, qn__trace_fn fn, void *data)
{
  loop->trace = fn;
  loop->trace_data = data;
}

void qn_loop_set_trace(qn_loop_t *loop, qn__trace_fn fn, void *data)
{
  qn__loop_trace_set(loop, fn, data);
}

qn__trace_fn qn__loop_trace_get(const qn_loop_t *loop, void **data)
{
  if (data != NULL) {
    *data = loop->trace_data;
  }
  return loop->trace;
}

qn_list_t *qn__loop_streams(qn_loop_t *loop) { return &loop->streams; }

void **qn__loop_notifiers(qn_loop_t *loop) { return &loop->notifiers; }

uint64_t qn__loop_next_id(qn_loop_t *loop) { return ++loop->last_id; }

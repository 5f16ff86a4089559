/* timer.c: all timers of a loop in one heap (four children per node) over one libuv timer.
 *
 * Called by op.c for deadlines, by owners of plain timers, and by the turn. The libuv timer is only
 * the poll's alarm: it is moved at most once per turn, and may ring for nothing. `fire` runs in the
 * ready phase. Must not call back while sifting.
 * Invariant: entries[t->slot - 1].timer == t for every armed timer; slot 0 = not armed.
 */
#include "loop/loop_core.h"

#include <errno.h>

enum { FIRST_CAP = 16, SHRINK_ABOVE = 1024 };

static inline bool before(const qn__timer_entry_t *a, const qn__timer_entry_t *b)
{
  return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static inline void put(qn__heap_t *h, size_t i, qn__timer_entry_t e)
{
  h->entries[i] = e;
  e.timer->slot = (uint32_t)(i + 1);
}

static void sift_up(qn__heap_t *h, size_t i, qn__timer_entry_t e)
{
  while (i > 0) {
    size_t parent = (i - 1) / 4;
    if (!before(&e, &h->entries[parent])) {
      break;
    }
    put(h, i, h->entries[parent]);
    i = parent;
  }
  put(h, i, e);
}

static void sift_down(qn__heap_t *h, size_t i, qn__timer_entry_t e)
{
  for (;;) {
    size_t first = 4 * i + 1, best = first;
    if (first >= h->n) {
      break;
    }
    size_t end = first + 4 < h->n ? first + 4 : h->n;
    for (size_t c = first + 1; c < end; c++) {
      if (before(&h->entries[c], &h->entries[best])) {
        best = c;
      }
    }
    if (!before(&h->entries[best], &e)) {
      break;
    }
    put(h, i, h->entries[best]);
    i = best;
  }
  put(h, i, e);
}

/* Puts `e` into the hole at i, whichever way it has to go. */
static void settle_at(qn__heap_t *h, size_t i, qn__timer_entry_t e)
{
  if (i > 0 && before(&e, &h->entries[(i - 1) / 4])) {
    sift_up(h, i, e);
  } else {
    sift_down(h, i, e);
  }
}

static void remove_at(qn__heap_t *h, size_t i)
{
  h->entries[i].timer->slot = 0;
  qn__timer_entry_t last = h->entries[--h->n];
  if (i < h->n) {
    settle_at(h, i, last);
  }
}

static int resize(qn__heap_t *h, size_t cap)
{
  if (cap >= UINT32_MAX || cap > SIZE_MAX / sizeof *h->entries) {
    return -ENOMEM;
  }
  qn__timer_entry_t *entries = qn_realloc(h->entries, cap * sizeof *entries);
  if (entries == NULL) {
    return -ENOMEM;
  }
  h->entries = entries;
  h->cap = cap;
  return 0;
}

static void shrink(qn__heap_t *h)
{
  size_t cap = h->cap / 2;
  if (h->cap > SHRINK_ABOVE && h->n < h->cap / 8 && cap >= h->floor) {
    (void)resize(h, cap); /* a block that stays too large is not an error */
  }
}

/* The alarm keeps the loop alive while a timer is armed. */
static void reference(qn_loop_t *loop)
{
  uv_ref((uv_handle_t *)&loop->alarm);
  if (loop->attached && !loop->in_phase) {
    qn__attach_kick(loop); /* the next prepare arms the alarm */
  }
}

static void take(qn_loop_t *loop, qn_timer_t *t)
{
  remove_at(&loop->heap, t->slot - 1);
  if (loop->heap.n == 0) {
    uv_unref((uv_handle_t *)&loop->alarm);
  }
}

int qn_timer_reserve(qn_loop_t *loop, size_t n)
{
  qn__heap_t *h = &loop->heap;
  if (n > UINT32_MAX - h->n) {
    return -ENOMEM;
  }
  size_t need = h->n + n;
  int rc = need > h->cap ? resize(h, need) : 0;
  if (rc == 0 && need > h->floor) {
    h->floor = need;
  }
  return rc;
}

int qn_timer_start(qn_loop_t *loop, qn_timer_t *t, uint64_t at, void (*fire)(qn_timer_t *t))
{
  qn__heap_t *h = &loop->heap;
  uint64_t now = uv_now(loop->uv);
  /* A past time counts as now: a timer that `fire` starts then sorts behind all that are due. */
  qn__timer_entry_t e = {at < now ? now : at, h->order, t};
  if (t->slot == 0) {
    if (h->n == h->cap) {
      int rc = resize(h, h->cap < FIRST_CAP ? FIRST_CAP : h->cap * 2);
      if (rc < 0) {
        return rc;
      }
    }
    sift_up(h, h->n++, e);
    if (h->n == 1) {
      reference(loop);
    }
  } else {
    settle_at(h, t->slot - 1, e);
  }
  h->order++;
  t->at = e.at;
  t->fire = fire;
  return 0;
}

void qn_timer_stop(qn_loop_t *loop, qn_timer_t *t)
{
  if (t->slot != 0) {
    take(loop, t);
    shrink(&loop->heap);
  }
}

void qn__timers_run(qn_loop_t *loop)
{
  qn__heap_t *h = &loop->heap;
  uint64_t now = uv_now(loop->uv), end = h->order;
  while (h->n != 0 && h->entries[0].at <= now && h->entries[0].order < end) {
    qn_timer_t *t = h->entries[0].timer;
    take(loop, t);
    t->fire(t);
  }
  shrink(h);
}

/* Rings before libuv polls as well as after; in the first case the poll must not wait, since the
 * alarm that would have ended it is spent. */
void qn__alarm_fired(uv_timer_t *alarm)
{
  qn_loop_t *loop = alarm->data;
  loop->alarm_on = false;
  if (loop->in_turn) {
    uv_stop(loop->uv);
  }
}

void qn__timers_sync(qn_loop_t *loop)
{
  if (loop->heap.n == 0) {
    return;
  }
  uint64_t at = loop->heap.entries[0].at;
  if (!loop->alarm_on || at < loop->alarm_at) {
    uint64_t now = uv_now(loop->uv);
    loop->alarm_on = true;
    loop->alarm_at = at;
    uv_timer_start(&loop->alarm, qn__alarm_fired, at > now ? at - now : 0, 0);
  }
}

void qn__timers_free(qn_loop_t *loop)
{
  while (loop->heap.n != 0) {
    remove_at(&loop->heap, loop->heap.n - 1);
  }
  qn_free(loop->heap.entries);
  loop->heap.entries = NULL;
}

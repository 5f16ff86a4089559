/* loop_core.h: the loop's inside, shared by the files of this folder only.
 *
 * loop.c runs the turn, attach.c hangs it on a host's libuv loop, timer.c owns the heap, books.c
 * the counters, op.c and work.c the operations. The ready list is inline here because it is on the
 * path of every wake-up.
 */
#ifndef QN_LOOP_CORE_H
#define QN_LOOP_CORE_H

#include "base/assert.h"
#include "loop/loop_i.h"

#include <uv.h>

/* Keys lie beside each other in the array, so that sifting does not touch the timers. */
typedef struct qn__timer_entry {
  uint64_t at;
  uint64_t order; /* equal times fire in the order of starting */
  qn_timer_t *timer;
} qn__timer_entry_t;

typedef struct qn__heap {
  qn__timer_entry_t *entries;
  size_t n, cap;
  size_t floor; /* capacity promised by qn_timer_reserve */
  uint64_t order;
} qn__heap_t;

enum { QN__MAX_TYPES = 32 };

typedef struct qn__type_count {
  const char *type;
  int64_t live;
} qn__type_count_t;

struct qn_loop {
  qn_list_t ready, flush;
  qn_list_t streams;  /* of the stream floor; its nodes mean nothing here */
  qn_list_t at_close; /* what lives as long as the loop */
  uv_loop_t *uv;
  bool attached; /* the host runs the uv loop */
  bool in_turn;  /* qn_loop_turn is running: it runs the phases, not prepare and check */
  bool in_phase;
  bool stop;
  bool kicked; /* the idle handle is active */
  bool alarm_on;
  bool chunk_lent;
  int64_t ops, handles, objects, orphans;
  int64_t calls; /* thread-pool calls that have not come back, orphans included */
  uint64_t turns, last_id;
  uint64_t alarm_at;
  qn__heap_t heap;
  uint8_t *chunk;
  void *area;      /* of the net floor: freed with the loop (qn__loop_area) */
  void *notifiers; /* of net/notifier.c, which keeps and frees it */
  void *data;
  qn_ready_t *on_wakeup; /* of the embedder: queued when the wake handle fires */
  unsigned holds;
  int services; /* service handles that are not closed */
  qn__trace_fn trace;
  void *trace_data;
  qn__type_count_t types[QN__MAX_TYPES];
  uv_timer_t alarm; /* ends the poll when the first timer is due; referenced while one is armed */
  uv_async_t wake;  /* referenced while the loop is held */
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t
      idle; /* attached loops: active while something is ready, so that polling does not wait */
  uv_loop_t own;
};

/* One ready phase: due timers, ready list, flush list. (loop.c) */
void qn__loop_phase(qn_loop_t *loop);
static inline bool qn__loop_has_work(const qn_loop_t *loop)
{
  return !qn__list_empty(&loop->ready) || !qn__list_empty(&loop->flush);
}

/* Attached loops: makes the host's next iteration run a phase without waiting. (attach.c) */
void qn__attach_kick(qn_loop_t *loop);
void qn__attach_unkick(qn_loop_t *loop);
int qn__attach_open(qn_loop_t *loop);
void qn__attach_close(qn_loop_t *loop);
void qn__service_closed(uv_handle_t *handle);

/* Fires what is due at the start of the phase. (timer.c) */
void qn__timers_run(qn_loop_t *loop);
/* Makes sure that the poll ends in time for the first timer. */
void qn__timers_sync(qn_loop_t *loop);
void qn__timers_free(qn_loop_t *loop);
void qn__alarm_fired(uv_timer_t *alarm);

/* Prints what is left (debug builds) and returns its number. (books.c) */
int qn__books_leaks(const qn_loop_t *loop);

static inline void qn__ready_append(qn_loop_t *loop, qn_list_t *list, qn_ready_t *r)
{
  if (qn__list_linked(&r->link)) {
    return;
  }
  qn__list_append(list, &r->link);
  if (QN_UNLIKELY(loop->attached) && !loop->in_phase) {
    qn__attach_kick(loop);
  }
}

#endif

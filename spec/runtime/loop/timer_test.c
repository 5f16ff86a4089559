/* The timer heap against a naive model, order of firing, cancellation from `fire`, reserve. */
#include "loop/loop_core.h"
#include "rig.h"

#include <errno.h>

static uint32_t seed = 99;

static uint32_t random_below(uint32_t n)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

static void check_heap(const qn_loop_t *loop)
{
  const qn__heap_t *h = &loop->heap;
  for (size_t i = 0; i < h->n; i++) {
    const qn__timer_entry_t *e = &h->entries[i], *parent = &h->entries[i > 0 ? (i - 1) / 4 : 0];
    if (e->timer->slot != i + 1 || e->timer->at != e->at ||
        (i > 0 && (e->at < parent->at || (e->at == parent->at && e->order <= parent->order)))) {
      FAIL("entry %zu of %zu is out of place", i, h->n);
      return;
    }
  }
}

/* --- model ----------------------------------------------------------------------------------- */

enum { N = 300 };

typedef struct item {
  qn_timer_t timer;
  bool armed;
  uint64_t at, order;
  int fired;
} item_t;

static item_t items[N];
static uint64_t order, last_at, last_order;

static void model_fire(qn_timer_t *t)
{
  item_t *item = (item_t *)(void *)t;
  CHECK(item->armed);
  CHECK(!qn_timer_armed(t));
  CHECK(item->at > last_at || (item->at == last_at && item->order >= last_order));
  last_at = item->at;
  last_order = item->order;
  item->armed = false;
  item->fired++;
}

static void run_due(qn_loop_t *loop)
{
  last_at = last_order = 0;
  loop->uv->time += random_below(40);
  qn__timers_run(loop);
  for (int i = 0; i < N; i++) {
    if (items[i].armed && items[i].at <= uv_now(loop->uv)) {
      FAIL("timer %d was due and did not fire", i);
    }
    if (items[i].armed != qn_timer_armed(&items[i].timer)) {
      FAIL("timer %d: armed is %d", i, !items[i].armed);
    }
  }
}

TEST(random_operations_match_a_model)
{
  rig_t rig;
  rig_open(&rig);
  memset(items, 0, sizeof items);
  int fired = 0;
  for (int step = 0; step < 20000 && !TEST_FAILED(); step++) {
    TEST_ROUND("step %d", step);
    item_t *item = &items[random_below(N)];
    switch (random_below(8)) {
    case 0: run_due(rig.loop); break;
    case 1:
    case 2:
      qn_timer_stop(rig.loop, &item->timer);
      item->armed = false;
      CHECK(!qn_timer_armed(&item->timer));
      break;
    default:
      item->at = uv_now(rig.loop->uv) + random_below(200);
      item->order = ++order;
      item->armed = true;
      CHECK_INT(qn_timer_start(rig.loop, &item->timer, item->at, model_fire), 0);
      CHECK(qn_timer_armed(&item->timer));
    }
    check_heap(rig.loop);
  }
  for (int i = 0; i < N; i++) {
    fired += items[i].fired;
    qn_timer_stop(rig.loop, &items[i].timer);
  }
  CHECK(fired > 1000);
  CHECK_INT(stats_of(rig.loop).timers, 0);
  rig_close(&rig);
}

/* --- what fire may do ------------------------------------------------------------------------ */

typedef struct actor {
  qn_timer_t timer;
  qn_loop_t *loop;
  struct actor *victim;
  int fired;
} actor_t;

static void fire_count(qn_timer_t *t) { ((actor_t *)(void *)t)->fired++; }

static void fire_stop_victim(qn_timer_t *t)
{
  actor_t *a = (actor_t *)(void *)t;
  a->fired++;
  qn_timer_stop(a->loop, &a->victim->timer);
}

static void fire_again_at_once(qn_timer_t *t)
{
  actor_t *a = (actor_t *)(void *)t;
  a->fired++;
  qn_timer_start(a->loop, t, 0, fire_again_at_once);
}

static void fire_start_victim(qn_timer_t *t)
{
  actor_t *a = (actor_t *)(void *)t;
  a->fired++;
  qn_timer_start(a->loop, &a->victim->timer, 0, fire_count);
}

TEST(fire_may_stop_another_due_timer)
{
  rig_t rig;
  rig_open(&rig);
  actor_t b = {.loop = rig.loop}, a = {.loop = rig.loop, .victim = &b};
  uint64_t at = qn_loop_now(rig.loop);
  qn_timer_start(rig.loop, &a.timer, at, fire_stop_victim);
  qn_timer_start(rig.loop, &b.timer, at, fire_count);
  while (qn_loop_turn(rig.loop, QN_TURN_ONCE)) {
  }
  CHECK_INT(a.fired, 1);
  CHECK_INT(b.fired, 0);
  rig_close(&rig);
}

TEST(a_timer_started_by_fire_waits_for_the_next_turn)
{
  rig_t rig;
  rig_open(&rig);
  actor_t b = {.loop = rig.loop}, a = {.loop = rig.loop, .victim = &b}, c = {.loop = rig.loop};
  qn_timer_start(rig.loop, &a.timer, 0, fire_start_victim);
  qn_timer_start(rig.loop, &c.timer, 0, fire_again_at_once);
  CHECK(qn_loop_turn(rig.loop, QN_TURN_NOWAIT));
  CHECK_INT(a.fired, 1);
  CHECK_INT(b.fired, 0);
  CHECK_INT(c.fired, 1);
  CHECK(qn_loop_turn(rig.loop, QN_TURN_NOWAIT));
  CHECK_INT(b.fired, 1);
  CHECK_INT(c.fired, 2);
  qn_timer_stop(rig.loop, &c.timer);
  rig_close(&rig);
}

TEST(a_due_timer_behind_a_restarting_one_still_fires)
{
  rig_t rig;
  rig_open(&rig);
  actor_t a = {.loop = rig.loop}, b = {.loop = rig.loop};
  qn_timer_start(rig.loop, &a.timer, 0, fire_again_at_once);
  qn_timer_start(rig.loop, &b.timer, qn_loop_now(rig.loop) + 1, fire_count);
  TURN_UNTIL(rig.loop, b.fired == 1);
  qn_timer_stop(rig.loop, &a.timer);
  rig_close(&rig);
}

TEST(a_moved_timer_keeps_its_new_time_and_function)
{
  rig_t rig;
  rig_open(&rig);
  actor_t a = {.loop = rig.loop};
  qn_timer_start(rig.loop, &a.timer, UINT64_MAX - 1, fire_again_at_once);
  CHECK_INT(stats_of(rig.loop).timers, 1);
  qn_timer_start(rig.loop, &a.timer, qn_loop_now(rig.loop) + 2, fire_count);
  CHECK_INT(stats_of(rig.loop).timers, 1);
  TURN_UNTIL(rig.loop, a.fired == 1);
  CHECK(qn_loop_fresh(rig.loop) >= a.timer.at);
  CHECK(!qn_loop_alive(rig.loop));
  rig_close(&rig);
}

/* --- memory ---------------------------------------------------------------------------------- */

TEST(a_million_timers)
{
  enum { MILLION = 1000000 };
  rig_t rig;
  rig_open(&rig);
  qn_timer_t *timers = calloc(MILLION, sizeof *timers);
  REQUIRE(timers != NULL);
  uint64_t now = qn_loop_now(rig.loop);
  for (int i = 0; i < MILLION; i++) {
    REQUIRE_INT(
        qn_timer_start(rig.loop, &timers[i], now + 60000 + random_below(600000), fire_count), 0);
  }
  CHECK_INT(stats_of(rig.loop).timers, MILLION);
  check_heap(rig.loop);
  for (int i = 0; i < MILLION; i++) {
    int k = (int)(((uint64_t)i * 7919) % MILLION); /* 7919 is prime: a permutation */
    qn_timer_stop(rig.loop, &timers[k]);
    if (i % 100000 == 0) {
      check_heap(rig.loop);
    }
  }
  CHECK_INT(stats_of(rig.loop).timers, 0);
  CHECK(rig.loop->heap.cap <= 1024);
  free(timers);
  rig_close(&rig);
}

TEST(starting_fails_cleanly_without_memory)
{
  rig_t rig;
  rig_open(&rig);
  static qn_timer_t timers[200];
  int failures = 0;
  for (int i = 0; i < 200; i++) {
    qn_alloc_fail_at(1);
    int rc = qn_timer_start(rig.loop, &timers[i], UINT64_MAX, fire_count);
    if (qn_alloc_failed()) {
      failures++;
      CHECK_INT(rc, -ENOMEM);
      CHECK(!qn_timer_armed(&timers[i]));
      CHECK_INT(stats_of(rig.loop).timers, i);
      rc = qn_timer_start(rig.loop, &timers[i], UINT64_MAX, fire_count);
    }
    CHECK_INT(rc, 0);
  }
  CHECK(failures >= 2);
  check_heap(rig.loop);
  for (int i = 0; i < 200; i++) {
    qn_timer_stop(rig.loop, &timers[i]);
  }
  rig_close(&rig);
}

TEST(reserved_starts_cannot_fail)
{
  rig_t rig;
  rig_open(&rig);
  static qn_timer_t timers[3000];
  qn_alloc_fail_at(1);
  CHECK_INT(qn_timer_reserve(rig.loop, 3000), -ENOMEM);
  qn_alloc_failed();
  CHECK_INT(qn_timer_reserve(rig.loop, 3000), 0);
  CHECK_INT(qn_timer_reserve(rig.loop, SIZE_MAX), -ENOMEM);
  for (int round = 0; round < 2; round++) {
    qn_alloc_fail_at(1);
    for (int i = 0; i < 3000; i++) {
      CHECK_INT(qn_timer_start(rig.loop, &timers[i], UINT64_MAX, fire_count), 0);
    }
    for (int i = 0; i < 3000; i++) {
      qn_timer_stop(rig.loop, &timers[i]);
    }
    CHECK(!qn_alloc_failed());
  }
  rig_close(&rig);
}

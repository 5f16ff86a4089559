/* The loop's books: counts by type, leaks reported by qn_loop_free, serial numbers, trace function.
 */
#include "loop/loop_core.h"
#include "qn/trace.h"
#include "rig.h"

TEST(objects_and_handles_are_counted)
{
  rig_t rig;
  rig_open(&rig);
  static const char stream[] = "stream";
  qn__object_born(rig.loop, stream);
  qn__object_born(rig.loop, "file");
  qn__object_born(rig.loop, "stream"); /* the same name at another address */
  qn__handle_opened(rig.loop);
  CHECK_INT(stats_of(rig.loop).objects, 3);
  CHECK_INT(stats_of(rig.loop).handles, 1);
  CHECK_INT(rig.loop->types[0].live, 2);
  qn__object_gone(rig.loop, "stream");
  qn__object_gone(rig.loop, "stream");
  qn__object_gone(rig.loop, "file");
  qn__handle_closed(rig.loop);
  CHECK_INT(stats_of(rig.loop).objects, 0);
  CHECK_INT(stats_of(rig.loop).handles, 0);
  rig_close(&rig);
}

TEST(more_types_than_places_are_counted_together)
{
  rig_t rig;
  static char names[2 * QN__MAX_TYPES][16];
  rig_open(&rig);
  for (int i = 0; i < 2 * QN__MAX_TYPES; i++) {
    snprintf(names[i], sizeof names[i], "t%d", i);
    qn__object_born(rig.loop, names[i]);
  }
  CHECK_INT(stats_of(rig.loop).objects, 2 * QN__MAX_TYPES);
  for (int i = 0; i < 2 * QN__MAX_TYPES; i++) {
    qn__object_gone(rig.loop, names[i]);
  }
  CHECK_INT(stats_of(rig.loop).objects, 0);
  rig_close(&rig);
}

static void fire(qn_timer_t *t) { (void)t; }

/* What qn_loop_free returns, and what it prints. */
static int free_and_read(qn_loop_t *loop, char *text, size_t size)
{
  FILE *f = tmpfile();
  REQUIRE(f != NULL);
  fflush(stderr);
  int saved = dup(2);
  REQUIRE(dup2(fileno(f), 2) == 2);
  int leaks = qn_loop_free(loop);
  fflush(stderr);
  REQUIRE(dup2(saved, 2) == 2);
  close(saved);
  rewind(f);
  text[fread(text, 1, size - 1, f)] = '\0';
  fclose(f);
  return leaks;
}

TEST(what_is_left_is_reported_by_free)
{
  char text[1000];
  for (int what = 0; what < 5; what++) {
    TEST_ROUND("what %d", what);
    rig_t rig;
    note_t n;
    qn_timer_t t = {0};
    rig_open(&rig);
    note_init(&n, rig.loop);
    switch (what) {
    case 0: qn__object_born(rig.loop, "stream"); break;
    case 1: qn__handle_opened(rig.loop); break;
    case 2: qn_op_begin(&n.op, NULL, NULL); break;
    case 3: qn_timer_start(rig.loop, &t, UINT64_MAX - 1, fire); break;
    default:
      qn__object_born(rig.loop, "stream");
      qn__object_born(rig.loop, "file");
      qn__handle_opened(rig.loop);
    }
    CHECK_INT(free_and_read(rig.loop, text, sizeof text), what == 4 ? 2 : 1);
    CHECK_INT(qn_alloc_live(), rig.live);
#ifdef QN_DEBUG
    CHECK(strstr(text, "left on the loop") != NULL);
    CHECK((strstr(text, "1 x stream") != NULL) == (what == 0 || what == 4));
    CHECK((strstr(text, "1 x file") != NULL) == (what == 4));
#else
    CHECK_STR(text, "");
#endif
  }
}

TEST(a_leaked_handle_does_not_hang_free)
{
  rig_t rig;
  char text[1000];
  static uv_idle_t idle;
  rig_open(&rig);
  uv_idle_init(qn_loop_uv(rig.loop), &idle);
  qn__handle_opened(rig.loop);
  CHECK_INT(free_and_read(rig.loop, text, sizeof text), 1);
  CHECK_INT(qn_alloc_live(), rig.live);
}

TEST(serial_numbers)
{
  rig_t rig;
  rig_open(&rig);
  CHECK_UINT(qn__loop_next_id(rig.loop), 1);
  CHECK_UINT(qn__loop_next_id(rig.loop), 2);
  rig_close(&rig);
}

static void trace(const qn_trace_event_t *e, void *data)
{
  (void)e;
  (void)data;
}

TEST(the_trace_function_is_kept)
{
  rig_t rig;
  void *data = &rig;
  rig_open(&rig);
  CHECK(qn__loop_trace_get(rig.loop, &data) == NULL);
  CHECK_NULL(data);
  qn_loop_set_trace(rig.loop, trace, &rig);
  CHECK(qn__loop_trace_get(rig.loop, &data) == trace);
  CHECK_PTR(data, &rig);
  qn_loop_set_trace(rig.loop, NULL, NULL);
  CHECK(qn__loop_trace_get(rig.loop, NULL) == NULL);
  rig_close(&rig);
}

/* --- what lives as long as the loop ----------------------------------------------------------- */

typedef struct companion {
  qn__at_close_t at_close;
  qn_loop_t *loop;
  qn_ready_t ready;
  int closed, ran;
} companion_t;

static void companion_ready(qn_ready_t *r) { QN__CONTAINER(r, companion_t, ready)->ran++; }

static void companion_close(qn__at_close_t *a)
{
  companion_t *c = QN__CONTAINER(a, companion_t, at_close);
  c->closed++;
  qn_ready_queue(c->loop, &c->ready); /* the loop still turns */
}

static void another_close(qn__at_close_t *a) { companion_close(a); }

TEST(companions_end_with_the_loop)
{
  rig_t rig;
  companion_t c = {.at_close = {.run = companion_close}}, d = {.at_close = {.run = another_close}};
  rig_open(&rig);
  c.loop = d.loop = rig.loop;
  qn_ready_init(&c.ready, companion_ready);
  qn_ready_init(&d.ready, companion_ready);
  CHECK_NULL(qn__loop_at_close_find(rig.loop, companion_close));
  qn__loop_at_close(rig.loop, &d.at_close);
  qn__loop_at_close(rig.loop, &c.at_close);
  CHECK_PTR(qn__loop_at_close_find(rig.loop, companion_close), &c.at_close);
  CHECK_PTR(qn__loop_at_close_find(rig.loop, another_close), &d.at_close);
  CHECK(!qn_loop_alive(rig.loop));
  qn_loop_turn(rig.loop, QN_TURN_NOWAIT);
  CHECK_INT(c.closed, 0);
  rig_close(&rig);
  CHECK_INT(c.closed, 1);
  CHECK_INT(c.ran, 1);
  CHECK_INT(d.ran, 1);
}

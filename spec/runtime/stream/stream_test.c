/* stream.c: life and size of a stream, private slots, failing allocations, and a random walk over
 * all calls that must end without a leak, a stuck operation or a byte out of order. */
#include "runtime/stream/seal.h"

#include <sys/socket.h>

TEST(an_idle_connection_is_small)
{
  size_t size = sizeof(qn_stream_t) + sizeof(qn_filter_t);
  CHECK(size <= 600);
  pair_t p;
  pair_open(&p);
  CHECK_NULL(p.a->extra); /* rarely used things are not there before they are used */
  put_text(p.a, "x");
  reading_t r;
  CHECK_INT(read_now(&r, p.b, some(1)), 0);
  CHECK_NULL(p.a->extra);
  CHECK_NULL(p.b->extra);
  pair_close(&p);
}

TEST(references)
{
  rig_t rig;
  rig_open(&rig);
  qn_stream_t *s = qn_stream_new(rig.loop);
  CHECK_INT(stats_of(rig.loop).objects, 1);
  qn_stream_retain(s);
  qn_stream_release(s);
  CHECK_INT(stats_of(rig.loop).objects, 1);
  qn_stream_wake(s, QN_WAKE_READ | QN_WAKE_WRITE | QN_WAKE_START);
  qn_stream_release(s); /* with a wake-up under way */
  CHECK_INT(stats_of(rig.loop).objects, 0);
  settle_all(rig.loop);
  rig_close(&rig);
}

static int freed;
static void free_slot(void *p)
{
  freed++;
  qn_free(p);
}

TEST(slots)
{
  rig_t rig;
  rig_open(&rig);
  qn_stream_t *s = qn_stream_new(rig.loop);
  freed = 0;
  CHECK_NULL(qn__stream_slot(s, QN__SLOT_BIND));
  void *p = qn_malloc(1), *q = qn_malloc(1);
  CHECK_INT(qn__stream_set_slot(s, QN__SLOT_BIND, p, free_slot), 0);
  CHECK_PTR(qn__stream_slot(s, QN__SLOT_BIND), p);
  CHECK_INT(qn__stream_set_slot(s, QN__SLOT_BIND, p, free_slot), 0);
  CHECK_INT(freed, 0);
  CHECK_INT(qn__stream_set_slot(s, QN__SLOT_BIND, q, free_slot), 0);
  CHECK_INT(freed, 1);
  CHECK_INT(qn__stream_set_slot(s, QN__SLOT_DIAL, &freed, NULL), 0);
  qn_stream_release(s);
  CHECK_INT(freed, 2);
  rig_close(&rig);
}

/* --- over a real socket ------------------------------------------------------------------------
 */

TEST(adopted_sockets)
{
  rig_t rig;
  qn_stream_t *a, *b;
  reading_t r;
  int fd[2];
  rig_open(&rig);
  REQUIRE_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
  REQUIRE_INT(qn_stream_adopt(rig.loop, fd[0], &a), 0);
  REQUIRE_INT(qn_stream_adopt(rig.loop, fd[1], &b), 0);
  CHECK_INT(qn_stream_state(a), QN_STATE_CONNECTED);
  CHECK_INT(qn_stream_fd(a), fd[0]);
  put_text(a, "over the wire");
  REQUIRE_INT(start_read(&r, b, exact(13)), QN_AGAIN);
  TURN_UNTIL(rig.loop, r.note.done);
  CHECK_READ(r, "over the wire");
  qn_stream_close(a);
  REQUIRE_INT(start_read(&r, b, all(0)), QN_AGAIN);
  TURN_UNTIL(rig.loop, r.note.done);
  CHECK_INT(r.note.result, 0);
  CHECK(r.got.ended && r.got.size == 0);
  qn_stream_release(a);
  qn_stream_release(b);
  settle_all(rig.loop);
  CHECK_INT(qn_stream_adopt(rig.loop, -1, &a), -EBADF);
  CHECK_NULL(a);
  rig_close(&rig);
}

TEST(adopting_without_memory_closes_the_descriptor)
{
  bool failed = true;
  for (uint64_t n = 1; failed && n < 20; n++) {
    TEST_ROUND("allocation %d", (int)n);
    rig_t rig;
    qn_stream_t *s;
    int fd[2];
    char byte;
    rig_open(&rig);
    REQUIRE_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    qn_alloc_fail_at(n);
    int rc = qn_stream_adopt(rig.loop, fd[0], &s);
    failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    CHECK_INT(rc, failed ? -ENOMEM : 0);
    if (rc == 0) {
      qn_stream_release(s);
    }
    settle_all(rig.loop);
    CHECK_INT(read(fd[1], &byte, 1), 0); /* the other end sees it closed */
    close(fd[1]);
    rig_close(&rig);
  }
}

/* --- the Nth allocation fails ----------------------------------------------------------------- */

static void count_only(qn_stream_t *s, qn_event_t event, int64_t arg, void *data)
{
  (void)s, (void)event, (void)arg;
  ++*(int *)data;
}

static void pump_done(qn_op_t *op)
{
  note_done(op);
  qn_pump_end(op);
}

/* A bit of everything. Whatever fails, all operations settle and nothing is left. */
static void scenario(qn_loop_t *loop)
{
  qn_stream_t *a = NULL, *b = NULL, *m = NULL;
  note_t up_a, up_b, pumped;
  reading_t r, line;
  writing_t w;
  int events = 0;
  char big[3000];
  memset(big, 'x', sizeof big);
  if (qn_stream_pair(loop, &a, &b) < 0) {
    CHECK(a == NULL && b == NULL);
    return;
  }
  qn_stream_observe(b, 0x1ff, count_only, &events);
  qn_stream_set_read_limit(b, 500);
  qn_stream_set_write_mark(a, 500);
  int writing = start_write(&w, a, big, sizeof big);
  int reading = start_read(&r, b, upto(1000));
  settle_all(loop);
  if (reading == QN_AGAIN && !r.note.done) {
    qn_op_cancel(&r.note.op, QN_E_CANCELLED);
    settle_all(loop);
  }
  qn_stream_unread(b, (qn_slice_t){(const uint8_t *)"unread", 6});
  for (int i = 0; i < 20 && start_read(&r, b, some(0)) == 0; i++) {
    settle_all(loop);
  }
  if (qn_op_pending(&r.note.op)) {
    qn_op_cancel(&r.note.op, QN_E_CANCELLED);
  }
  settle_all(loop);
  if (writing == QN_AGAIN && !w.note.done) {
    qn_op_cancel(&w.note.op, QN_E_CANCELLED);
  }
  seal_t *ka = seal_new(true, 3), *kb = seal_new(false, 3);
  note_init(&up_a, loop);
  note_init(&up_b, loop);
  int rb = kb != NULL ? qn_stream_push(b, &kb->filter, &up_b.op) : -ENOMEM;
  int ra = ka != NULL ? qn_stream_push(a, &ka->filter, &up_a.op) : -ENOMEM;
  if (ra < 0 && ra != QN_AGAIN) {
    qn_free(ka);
  }
  if (rb < 0 && rb != QN_AGAIN) {
    qn_free(kb);
  }
  put_text(a, "line\nrest");
  settle_all(loop);
  int rl = start_read(&line, b, delim("\n", 0));
  settle_all(loop);
  if (rl == QN_AGAIN && !line.note.done) {
    qn_op_cancel(&line.note.op, QN_E_CANCELLED);
  }
  int rp = -1;
  if (qn_stream_memory(loop, (qn_slice_t){(const uint8_t *)big, sizeof big}, 10000, &m) == 0) {
    memset(&pumped, 0, sizeof pumped);
    qn_op_init(&pumped.op, loop, pump_done);
    rp = qn_pump_start(m, a, NULL, &pumped.op);
    settle_all(loop);
    qn_stream_release(m);
  }
  settle_all(loop);
  qn_stream_close(a);
  settle_all(loop);
  qn_stream_release(a);
  qn_stream_release(b);
  settle_all(loop);
  if (rp == QN_AGAIN) {
    CHECK_INT(pumped.done, 1);
  }
  CHECK(ra != QN_AGAIN || up_a.done == 1);
  CHECK(rb != QN_AGAIN || up_b.done == 1);
  CHECK(writing != QN_AGAIN || w.note.done == 1);
}

TEST(each_allocation_fails_once)
{
  uint64_t n = 1;
  for (bool failed = true; failed && n < 500; n++) {
    TEST_ROUND("allocation %d", (int)n);
    rig_t rig;
    rig_open(&rig);
    qn_timer_reserve(rig.loop, 16);
    qn_alloc_fail_at(n);
    scenario(rig.loop);
    failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    CHECK_INT(stats_of(rig.loop).ops, 0);
    CHECK_INT(stats_of(rig.loop).chunks, 0);
    rig_close(&rig);
  }
  CHECK(n > 15);
}

TEST(each_allocation_fails_for_good_around_a_fake)
{
  for (uint64_t n = 1; n < 25; n++) {
    TEST_ROUND("allocation %d", (int)n);
    wire_t x;
    writing_t w;
    reading_t r;
    wire_open(&x);
    x.k->lend = true;
    x.k->accept = 100;
    qn_stream_set_write_mark(x.s, 100);
    qn_alloc_fail_at(n);
    int rw = start_write(&w, x.s, "0123456789", 10);
    rw = rw == 0 ? start_write(&w, x.s, qn_err_text(0), 1) : rw;
    int rr = start_read(&r, x.s, exact(20));
    if (qn_buf_append(&x.k->in, "0123456789", 10) == 0) {
      qn_stream_wake(x.s, QN_WAKE_READ);
    }
    settle_all(x.loop);
    qn_stream_close(x.s);
    settle_all(x.loop);
    qn_alloc_fail_at(0);
    CHECK(rw != QN_AGAIN || w.note.done == 1);
    CHECK(rr != QN_AGAIN || r.note.done == 1);
    CHECK_INT(stats_of(x.loop).chunks, 0);
    wire_close(&x);
  }
}

/* --- a random walk ---------------------------------------------------------------------------- */

enum { ENDS = 2, WRITERS = 4 };

typedef struct end {
  qn_stream_t *s;
  reading_t r;
  writing_t w[WRITERS];
  char out[WRITERS][3000];
  bool busy[WRITERS], bad;
  uint32_t next_out; /* the number that the next byte written carries */
  uint32_t next_in;
} end_t;

static uint32_t seed;
static uint32_t roll(uint32_t n)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

static void check_bytes(end_t *e, qn_got_t got)
{
  for (size_t i = 0; i < got.size && i < sizeof e->r.data; i++) {
    if ((uint8_t)e->r.data[i] != (uint8_t)(e->next_in + i)) {
      FAIL("byte %u is out of order", (unsigned)(e->next_in + i));
      break;
    }
  }
  e->next_in += (uint32_t)got.size;
}

static void walk_read(end_t *e)
{
  if (!qn_op_idle(&e->r.note.op)) {
    if (roll(4) == 0) {
      qn_op_cancel(&e->r.note.op, QN_E_CANCELLED);
    }
    return;
  }
  qn_want_t w = roll(2) ? some(1 + roll(900)) : roll(2) ? upto(roll(900)) : exact(roll(900));
  int rc = start_read(&e->r, e->s, w);
  if (rc == 0) {
    check_bytes(e, e->r.got);
  }
}

static void walk_write(end_t *e)
{
  for (int i = 0; i < WRITERS; i++) {
    if (e->busy[i]) {
      continue;
    }
    size_t size = roll(3) == 0 ? roll(3000) : roll(50);
    for (size_t k = 0; k < size; k++) {
      e->out[i][k] = (char)(e->next_out + k);
    }
    int rc = start_write(&e->w[i], e->s, e->out[i], size);
    if (rc == 0 || rc == QN_AGAIN) {
      e->next_out += (uint32_t)size;
      e->busy[i] = rc == QN_AGAIN;
    } else {
      e->bad = true;
    }
    return;
  }
}

static void notice(end_t *e)
{
  if (e->r.note.done && e->r.note.result == 0) {
    e->r.note.done = 0;
    check_bytes(e, e->r.got);
  }
  for (int i = 0; i < WRITERS; i++) {
    if (e->busy[i] && e->w[i].note.done) {
      e->busy[i] = false;
    }
  }
}

static void walk(end_t *e, qn_loop_t *loop)
{
  notice(e);
  switch (roll(12)) {
  case 0:
  case 1:
  case 2: walk_read(e); break;
  case 3:
  case 4: walk_write(e); break;
  case 5: qn_stream_set_read_limit(e->s, roll(2000)); break;
  case 6: qn_stream_set_write_mark(e->s, roll(4000)); break;
  case 7: qn_stream_read_ahead(e->s, roll(2)); break;
  case 8: qn_stream_push_out(e->s); break;
  case 9:
    if (roll(60) == 0) {
      qn_stream_finish(e->s, NULL, NULL);
    } else if (roll(150) == 0) {
      qn_stream_close(e->s);
    } else if (roll(150) == 0) {
      qn_stream_abort(e->s);
    }
    break;
  default: qn_loop_turn(loop, QN_TURN_NOWAIT);
  }
}

TEST(random_walks)
{
  for (uint32_t round = 1; round <= 300; round++) {
    TEST_ROUND("seed %u", round);
    pair_t p;
    end_t *ends = calloc(ENDS, sizeof *ends);
    int destroyed = 0;
    seed = round;
    pair_open(&p);
    if (round % 3 == 0) { /* through a layer that frames */
      seal_t *ka = seal_new(true, 3), *kb = seal_new(false, 3);
      ka->destroyed = kb->destroyed = &destroyed;
      ka->room = kb->room = round % 2 ? 1 : SIZE_MAX;
      REQUIRE_INT(qn_stream_push(p.b, &kb->filter, NULL), QN_AGAIN);
      REQUIRE_INT(qn_stream_push(p.a, &ka->filter, NULL), QN_AGAIN);
    }
    for (int i = 0; i < ENDS; i++) {
      ends[i].s = i == 0 ? p.a : p.b;
      qn_op_init(&ends[i].r.note.op, p.loop, reading_done);
    }
    for (int step = 0; step < 800; step++) {
      walk(&ends[roll(ENDS)], p.loop);
    }
    CHECK(ends[1].next_in <= ends[0].next_out && ends[0].next_in <= ends[1].next_out);
    qn_stream_close(p.a);
    qn_stream_abort(p.b);
    settle_all(p.loop);
    CHECK_INT(stats_of(p.loop).ops, 0);
    CHECK_INT(stats_of(p.loop).timers, 0);
    pair_close(&p);
    CHECK_INT(destroyed, round % 3 == 0 ? 2 : 0);
    free(ends);
  }
}

/* filter.c: stacks of layers that frame, shake hands, leave and take themselves out; pushing on a
 * live stream; lent memory beneath them. */
#include "runtime/stream/seal.h"

static char text[5000];

__attribute__((constructor)) static void fill_text(void)
{
  for (size_t i = 0; i < sizeof text; i++) {
    text[i] = (char)('a' + i % 26);
  }
}

typedef struct sealed {
  pair_t p;
  note_t up_a, up_b;
  int destroyed;
} sealed_t;

/* Pushes a layer on both ends and turns until both are up. */
static void push_both(sealed_t *x, uint8_t key, size_t room)
{
  seal_t *a = seal_new(true, key), *b = seal_new(false, key);
  REQUIRE(a != NULL && b != NULL);
  a->destroyed = b->destroyed = &x->destroyed;
  a->room = b->room = room;
  note_init(&x->up_a, x->p.loop);
  note_init(&x->up_b, x->p.loop);
  REQUIRE_INT(qn_stream_push(x->p.b, &b->filter, &x->up_b.op), QN_AGAIN);
  REQUIRE_INT(qn_stream_push(x->p.a, &a->filter, &x->up_a.op), QN_AGAIN);
  settle_all(x->p.loop);
  REQUIRE_INT(x->up_a.done + x->up_b.done, 2);
  REQUIRE_INT(x->up_a.result, 0);
  REQUIRE_INT(x->up_b.result, 0);
}

static void check_both_ways(pair_t *p)
{
  reading_t r, q;
  REQUIRE_INT(start_read(&r, p->b, exact(4000)), QN_AGAIN);
  REQUIRE_INT(start_read(&q, p->a, exact(3)), QN_AGAIN);
  CHECK_INT(put(p->a, text, 4000), 0);
  CHECK_INT(put_text(p->b, "yes"), 0);
  for (int i = 0; i < 200 && !(r.note.done && q.note.done); i++) {
    settle_all(p->loop);
  }
  CHECK_INT(r.note.result + q.note.result, 0);
  CHECK_MEM(r.data, r.got.size, text, 4000);
  CHECK_READ(q, "yes");
}

/* Several layers, and every byte of the layer below in a fill of its own. */
TEST(stacked_layers)
{
  for (int layers = 1; layers <= 3; layers++) {
    for (int bytewise = 0; bytewise < 2; bytewise++) {
      TEST_ROUND("%d layers%s", layers, bytewise ? ", byte by byte" : "");
      sealed_t x = {0};
      char about[64];
      pair_open(&x.p);
      for (int i = 0; i < layers; i++) {
        push_both(&x, (uint8_t)(17 * (i + 1)), bytewise ? 1 : SIZE_MAX);
      }
      qn_stream_describe(x.p.a, about, sizeof about);
      CHECK_STR(about, &"seal>seal>seal>memory"[(3 - layers) * 5]);
      check_both_ways(&x.p);
      check_both_ways(&x.p);
      pair_close(&x.p);
      CHECK_INT(x.destroyed, 2 * layers);
    }
  }
}

TEST(the_wire_shows_frames_only)
{
  wire_t x;
  note_t up;
  wire_open(&x);
  seal_t *k = seal_new(true, 1);
  put_text(x.s, "plain");
  note_init(&up, x.loop);
  REQUIRE_INT(qn_stream_push(x.s, &k->filter, &up.op), QN_AGAIN);
  CHECK(!x.k->paused);               /* handshakes read */
  CHECK_INT(put_text(x.s, "ab"), 0); /* kept until the layer is up */
  settle_all(x.loop);
  CHECK_MEM(qn_buf_data(&x.k->wire), qn_buf_size(&x.k->wire), "plainh\0\2ih", 10);
  CHECK_UINT(qn_stream_queued(x.s), 2);
  fake_arrive(x.k, "H\0\2ih", 5);
  settle_all(x.loop);
  CHECK_INT(up.result, 0);
  CHECK_MEM(qn_buf_data(&x.k->wire) + 10, qn_buf_size(&x.k->wire) - 10, "d\0\2`c", 5);
  wire_close(&x);
}

/* --- STARTTLS --------------------------------------------------------------------------------- */

TEST(plaintext_must_not_cross_into_the_layer)
{
  pair_t p;
  reading_t r;
  note_t up;
  pair_open(&p);
  seal_t *k = seal_new(false, 9);
  note_init(&up, p.loop);
  put_text(p.a, "STARTTLS\r\nevil");
  CHECK_INT(read_now(&r, p.b, delim("\r\n", 0)), 0);
  CHECK_INT(qn_stream_push(p.b, &k->filter, &up.op), QN_E_PLAINTEXT);
  CHECK_INT(up.done, 0);
  CHECK_INT(read_now(&r, p.b, some(9)), 0);
  CHECK_READ(r, "evil");
  CHECK_INT(qn_stream_push(p.b, &k->filter, &up.op), QN_AGAIN); /* now it may */
  qn_stream_abort(p.b);
  settle_all(p.loop);
  CHECK_INT(up.result, QN_E_CLOSED);
  pair_close(&p);
}

TEST(push_is_refused_while_somebody_waits)
{
  wire_t x;
  reading_t r;
  writing_t w;
  note_t up;
  wire_open(&x);
  seal_t *k = seal_new(true, 9), *other = seal_new(true, 9);
  note_init(&up, x.loop);
  REQUIRE_INT(start_read(&r, x.s, some(1)), QN_AGAIN);
  CHECK_INT(qn_stream_push(x.s, &k->filter, &up.op), QN_E_BUSY);
  qn_op_cancel(&r.note.op, QN_E_CANCELLED);
  x.k->accept = 0;
  qn_stream_set_write_mark(x.s, 1);
  put_text(x.s, "x");
  REQUIRE_INT(start_write(&w, x.s, "y", 1), QN_AGAIN);
  CHECK_INT(qn_stream_push(x.s, &k->filter, &up.op), QN_E_BUSY);
  qn_op_cancel(&w.note.op, QN_E_CANCELLED);
  REQUIRE_INT(qn_stream_push(x.s, &k->filter, &up.op), QN_AGAIN);
  CHECK_INT(qn_stream_push(x.s, &other->filter, NULL), QN_E_BUSY); /* one start at a time */
  qn_free(other);
  wire_close(&x);
  CHECK_INT(up.result, QN_E_CLOSED);
}

TEST(too_many_layers)
{
  wire_t x;
  wire_open_unstarted(&x);
  REQUIRE_INT(qn__stream_set_bottom(x.s, &x.k->filter), 0);
  for (int i = 1; i < QN_FILTERS_MAX; i++) {
    REQUIRE_INT(qn_stream_push(x.s, &seal_new(true, 1)->filter, NULL), 0);
  }
  seal_t *k = seal_new(true, 1);
  CHECK_INT(qn_stream_push(x.s, &k->filter, NULL), QN_E_LIMIT);
  note_t up;
  note_init(&up, x.loop);
  CHECK_INT(qn_stream_push(x.s, &k->filter, &up.op),
            QN_E_NOT_CONNECTED); /* nobody would settle op */
  qn_free(k);
  wire_close(&x);
}

TEST(a_handshake_that_fails_ends_the_connection)
{
  for (int waits = 0; waits < 2; waits++) {
    wire_t x;
    note_t up;
    reading_t r;
    int destroyed = 0;
    wire_open(&x);
    seal_t *k = seal_new(true, 1);
    k->destroyed = &destroyed;
    note_init(&up, x.loop);
    REQUIRE_INT(qn_stream_push(x.s, &k->filter, waits ? &up.op : NULL), QN_AGAIN);
    REQUIRE_INT(start_read(&r, x.s, some(1)), QN_AGAIN); /* waits for the layer */
    fake_arrive(x.k, "nonsense", 8);
    settle_all(x.loop);
    if (waits) {
      CHECK_INT(up.result, QN_E_PROTOCOL);
    }
    CHECK_INT(r.note.result, QN_E_PROTOCOL);
    CHECK_INT(put_text(x.s, "x"), QN_E_PROTOCOL);
    CHECK_INT(qn_stream_state(x.s), QN_STATE_UNCONNECTED);
    CHECK_INT(destroyed, 1);
    wire_close(&x);
  }
}

TEST(a_push_that_fails_at_once_leaves_the_filter_to_the_caller)
{
  wire_t x;
  note_t up;
  int destroyed = 0;
  wire_open(&x);
  x.k->write_error = -EPIPE;
  seal_t *k = seal_new(true, 1);
  k->destroyed = &destroyed;
  note_init(&up, x.loop);
  CHECK_INT(qn_stream_push(x.s, &k->filter, &up.op), -EPIPE);
  CHECK_INT(destroyed, 0);
  CHECK_PTR(qn_stream_top(x.s), &x.k->filter);
  qn_free(k);
  wire_close(&x);
}

TEST(giving_up_on_a_handshake_does_not_stop_it)
{
  wire_t x;
  note_t up;
  wire_open(&x);
  note_init(&up, x.loop);
  REQUIRE_INT(qn_stream_push(x.s, &seal_new(true, 1)->filter, &up.op), QN_AGAIN);
  qn_op_cancel(&up.op, QN_E_TIMEOUT);
  fake_arrive(x.k, "H\0\2ih", 5);
  settle_all(x.loop);
  CHECK_INT(up.result, QN_E_TIMEOUT);
  CHECK(qn_stream_top(x.s)->up);
  wire_close(&x);
}

/* --- a stack that is made before it is started ------------------------------------------------ */

/* socket, hello, seal: the plan of a connection through a proxy. The proxy's answer and the other
 * side's handshake arrive in one piece, cut at each place. */
TEST(a_plan_with_a_handshake_filter)
{
  static const char answer[] = "OK\nH\0\2ihd\0\3bcd";
  size_t size = sizeof answer - 1;
  for (size_t cut = 0; cut <= size; cut++) {
    TEST_ROUND("cut at %zu", cut);
    wire_t x;
    note_t up;
    reading_t r;
    char about[64];
    wire_open_unstarted(&x);
    qn__stream_set_state(x.s, QN_STATE_CONNECTING);
    x.k->start_rc = QN_AGAIN;
    x.k->lend = true;
    REQUIRE_INT(qn__stream_set_bottom(x.s, &x.k->filter), 0);
    REQUIRE_INT(qn_stream_push(x.s, hello_new(), NULL), 0);
    REQUIRE_INT(qn_stream_push(x.s, &seal_new(true, 1)->filter, NULL), 0);
    note_init(&up, x.loop);
    REQUIRE_INT(qn__stream_start(x.s, &up.op), QN_AGAIN);
    CHECK_INT(qn__stream_start(x.s, &up.op), QN_E_BUSY);
    CHECK_INT(start_read(&r, x.s, some(9)), QN_AGAIN);
    CHECK_INT(put_text(x.s, "early"), 0);
    x.k->start_rc = 0;
    qn_stream_wake(x.s, QN_WAKE_START);
    settle_all(x.loop);
    CHECK_MEM(qn_buf_data(&x.k->wire), qn_buf_size(&x.k->wire), "HELLO\n", 6);
    CHECK_INT(x.k->starts, 2);
    fake_arrive(x.k, answer, cut);
    settle_all(x.loop);
    CHECK_INT(stats_of(x.loop).chunks, 0);
    fake_arrive(x.k, answer + cut, size - cut);
    settle_all(x.loop);
    CHECK_INT(up.result, 0);
    CHECK_INT(up.done, 1);
    qn_stream_describe(x.s, about, sizeof about);
    CHECK_STR(about, "seal>fake");
    CHECK_INT(r.note.done, 1);
    CHECK_READ(r, "cbe");
    CHECK_MEM(qn_buf_data(&x.k->wire) + 6, qn_buf_size(&x.k->wire) - 6, "h\0\2ihd\0\5d`smx", 13);
    CHECK_INT(x.k->starts, 2); /* up once is up */
    wire_close(&x);
  }
}

TEST(a_handshake_filter_on_top_leaves_surplus_below)
{
  wire_t x;
  note_t up;
  reading_t r;
  wire_open_unstarted(&x);
  REQUIRE_INT(qn__stream_set_bottom(x.s, &x.k->filter), 0);
  REQUIRE_INT(qn_stream_push(x.s, hello_new(), NULL), 0);
  note_init(&up, x.loop);
  REQUIRE_INT(qn__stream_start(x.s, &up.op), QN_AGAIN);
  fake_arrive(x.k, "OK\nsurplus", 10);
  settle_all(x.loop);
  CHECK_INT(up.result, 0);
  CHECK_PTR(qn_stream_top(x.s), &x.k->filter);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_CONNECTED);
  CHECK_INT(read_now(&r, x.s, some(20)), 0);
  CHECK_READ(r, "surplus");
  wire_close(&x);
}

TEST(attempts_are_new_stacks)
{
  wire_t x;
  note_t up;
  int destroyed = 0;
  wire_open_unstarted(&x);
  qn__stream_set_state(x.s, QN_STATE_CONNECTING);
  x.k->start_rc = -ECONNREFUSED;
  x.k->late = true;
  REQUIRE_INT(qn__stream_set_bottom(x.s, &x.k->filter), 0);
  CHECK_INT(qn__stream_start(x.s, NULL), -ECONNREFUSED);
  qn__stream_drop_filters(x.s);
  CHECK(x.k->closed);
  CHECK_NULL(qn_stream_top(x.s));
  fake_t *k = fake_new();
  k->destroyed = &destroyed;
  k->start_rc = QN_AGAIN;
  REQUIRE_INT(qn__stream_set_bottom(x.s, &k->filter), 0);
  note_init(&up, x.loop);
  REQUIRE_INT(qn__stream_start(x.s, &up.op), QN_AGAIN);
  fake_t *third = fake_new();
  CHECK_INT(qn__stream_set_bottom(x.s, &third->filter), QN_E_IS_CONNECTED); /* and frees it */
  qn_filter_gone(&x.k->filter); /* the first one, while the second is at work */
  CHECK_INT(x.destroyed, 1);
  k->start_rc = 0;
  qn_stream_wake(x.s, QN_WAKE_START);
  settle_all(x.loop);
  CHECK_INT(up.result, 0);
  CHECK_INT(qn_stream_state(x.s), QN_STATE_CONNECTED);
  wire_close(&x);
  CHECK_INT(destroyed, 1);
}

/* What a layer leaves in lent memory below it is kept at once: the caller only knows of the top. */
TEST(lent_memory_beneath_a_layer)
{
  wire_t x;
  note_t up;
  qn_got_t got;
  qn_want_t w = some(0);
  wire_open(&x);
  x.k->lend = true;
  note_init(&up, x.loop);
  REQUIRE_INT(qn_stream_push(x.s, &seal_new(true, 1)->filter, &up.op), QN_AGAIN);
  fake_arrive(x.k, "H\0\2ihd\0", 7);
  settle_all(x.loop);
  CHECK_INT(up.result, 0);
  fake_arrive(x.k, "\3bcdd\0\2b", 8);
  REQUIRE_INT(qn_stream_want(x.s, NULL, &w, &got), 0);
  CHECK_INT(stats_of(x.loop).chunks, 0);
  CHECK_MEM(qn_stream_data(x.s).data, got.size, "cbe", 3);
  qn_stream_consume(x.s, 3);
  fake_arrive(x.k, "c", 1);
  REQUIRE_INT(qn_stream_want(x.s, NULL, &w, &got), 0);
  CHECK_MEM(qn_stream_data(x.s).data, got.size, "cb", 2);
  CHECK_INT(stats_of(x.loop).chunks, 0);
  wire_close(&x);
}

/* --- the end of a layer ----------------------------------------------------------------------- */

/* The layer ends by message while data is on its way; what follows is plain. */
TEST(a_layer_leaves_a_live_stream)
{
  for (int layers = 1; layers <= 2; layers++) {
    for (size_t before = 0; before <= 3; before++) {
      TEST_ROUND("%d layers, %zu bytes before", layers, before);
      sealed_t x = {0};
      reading_t r;
      pair_open(&x.p);
      for (int i = 0; i < layers; i++) {
        push_both(&x, (uint8_t)(i + 5), SIZE_MAX);
      }
      REQUIRE_INT(start_read(&r, x.p.b, exact(before + 6)), QN_AGAIN);
      put(x.p.a, "xyz", before);
      CHECK_INT(seal_leave(seal_of(qn_stream_top(x.p.a))), 0);
      put_text(x.p.a, "plain1");
      settle_all(x.p.loop);
      CHECK_INT(r.note.done, 1);
      CHECK_INT(r.note.result, 0);
      CHECK_MEM(r.data, before, "xyz", before);
      CHECK_MEM(r.data + before, r.got.size - before, "plain1", 6);
      put_text(x.p.b, "plain2");
      CHECK_INT(read_now(&r, x.p.a, exact(6)), 0);
      CHECK_READ(r, "plain2");
      char about[64];
      qn_stream_describe(x.p.a, about, sizeof about);
      CHECK_STR(about, layers == 1 ? "memory" : "seal>memory");
      check_both_ways(&x.p);
      pair_close(&x.p);
      CHECK_INT(x.destroyed, 2 * layers);
    }
  }
}

/* Also beneath another one, with surplus in each. */
TEST(a_lower_layer_leaves)
{
  sealed_t x = {0};
  pair_open(&x.p);
  push_both(&x, 3, SIZE_MAX);
  push_both(&x, 4, SIZE_MAX);
  seal_t *low = seal_of(qn_stream_top(x.p.a)->below);
  put_text(x.p.a, "one ");
  CHECK_INT(seal_leave(low), 0);
  put_text(x.p.a, "two");
  reading_t r;
  CHECK_INT(read_now(&r, x.p.b, exact(7)), 0);
  CHECK_READ(r, "one two");
  put_text(x.p.b, "three");
  CHECK_INT(read_now(&r, x.p.a, exact(5)), 0);
  CHECK_READ(r, "three");
  check_both_ways(&x.p);
  char about[64];
  qn_stream_describe(x.p.a, about, sizeof about);
  CHECK_STR(about, "seal>memory");
  CHECK_INT(x.destroyed, 2);
  pair_close(&x.p);
}

TEST(end_and_cut)
{
  for (int cut = 0; cut < 2; cut++) {
    sealed_t x = {0};
    reading_t r;
    pair_open(&x.p);
    push_both(&x, 3, SIZE_MAX);
    put_text(x.p.a, "bye");
    if (cut) {
      qn_stream_flush(x.p.a, NULL, NULL);
      qn_stream_abort(x.p.a);
    } else {
      qn_stream_close(x.p.a); /* ends the layer properly */
    }
    CHECK_INT(read_now(&r, x.p.b, upto(9)), cut ? -ECONNRESET : 0);
    if (!cut) {
      CHECK_READ(r, "bye");
      CHECK(r.got.ended);
    }
    pair_close(&x.p);
  }
}

TEST(the_layers_last_word_goes_out)
{
  for (int how = 0; how < 2; how++) {
    wire_t x;
    note_t up;
    wire_open(&x);
    note_init(&up, x.loop);
    REQUIRE_INT(qn_stream_push(x.s, &seal_new(true, 1)->filter, &up.op), QN_AGAIN);
    fake_arrive(x.k, "H\0\2ih", 5);
    settle_all(x.loop);
    x.k->late = true;
    x.k->accept = how == 0 ? SIZE_MAX : 0;
    put_text(x.s, "a");
    if (how == 0) {
      CHECK_INT(qn_stream_finish(x.s, NULL, NULL), 0);
    } else {
      qn_stream_close(x.s);
      fake_room(x.k, SIZE_MAX);
    }
    settle_all(x.loop);
    CHECK_MEM(qn_buf_data(&x.k->wire) + 5, qn_buf_size(&x.k->wire) - 5, "d\0\1`e\0\0", 7);
    CHECK(x.k->fin);
    if (how == 0) {
      qn_stream_abort(x.s);
    }
    CHECK(x.k->closed);
    qn_filter_gone(&x.k->filter);
    wire_close(&x);
  }
}

TEST(questions_fall_through)
{
  sealed_t x = {0};
  int n = 0;
  qn_addr_t a;
  pair_open(&x.p);
  push_both(&x, 3, SIZE_MAX);
  CHECK_INT(qn_filter_query(qn_stream_top(x.p.a), QN_QUERY_FIRST_OWN, &n), QN_E_UNSUPPORTED);
  CHECK_INT(qn_stream_local_addr(x.p.a, &a), QN_E_UNSUPPORTED);
  CHECK_INT(qn_stream_fd(x.p.a), -1);
  pair_close(&x.p);
}

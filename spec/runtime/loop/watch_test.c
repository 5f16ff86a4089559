/* Watching a borrowed descriptor: one answer per wish, hang-ups, flags left alone, what cannot be
 * watched.
 */
#include "rig.h"

#include "loop/watch_i.h"

#include <errno.h>
#include <fcntl.h>

typedef struct seen {
  int calls;
  unsigned what;
} seen_t;

static void on_ready(void *arg, unsigned what)
{
  seen_t *seen = arg;
  seen->calls++;
  seen->what |= what;
}

typedef struct watched {
  rig_t rig;
  int fds[2];
  seen_t seen;
  qn__watch_t *w;
} watched_t;

static void open_pipe(watched_t *x, int end)
{
  memset(x, 0, sizeof *x);
  rig_open(&x->rig);
  REQUIRE_INT(pipe(x->fds), 0);
  REQUIRE_INT(qn__watch_new(x->rig.loop, x->fds[end], on_ready, &x->seen, &x->w), 0);
}

static void close_pipe(watched_t *x)
{
  qn__watch_free(x->w);
  close(x->fds[0]);
  close(x->fds[1]);
  rig_close(&x->rig);
}

static void some_turns(watched_t *x)
{
  for (int i = 0; i < 20; i++) {
    qn_loop_turn(x->rig.loop, QN_TURN_NOWAIT);
  }
}

TEST(one_answer_per_wish)
{
  watched_t x;
  open_pipe(&x, 0);
  CHECK_INT(write(x.fds[1], "abc", 3), 3);
  some_turns(&x);
  CHECK_INT(x.seen.calls, 0); /* nobody has wished */
  CHECK(!qn_loop_alive(x.rig.loop));
  for (int i = 1; i <= 3; i++) {
    CHECK_INT(qn__watch_wish(x.w, QN__WATCH_READ), 0);
    CHECK(qn_loop_alive(x.rig.loop));
    TURN_UNTIL(x.rig.loop, x.seen.calls == i);
    some_turns(&x);
    CHECK_INT(x.seen.calls, i);
    CHECK_UINT(x.seen.what, QN__WATCH_READ);
    CHECK(!qn_loop_alive(x.rig.loop));
  }
  close_pipe(&x);
}

TEST(waits_until_something_comes)
{
  watched_t x;
  open_pipe(&x, 0);
  CHECK_INT(qn__watch_wish(x.w, QN__WATCH_READ), 0);
  some_turns(&x);
  CHECK_INT(x.seen.calls, 0);
  CHECK_INT(write(x.fds[1], "a", 1), 1);
  TURN_UNTIL(x.rig.loop, x.seen.calls == 1);
  close_pipe(&x);
}

TEST(a_wish_can_be_taken_back)
{
  watched_t x;
  open_pipe(&x, 0);
  CHECK_INT(qn__watch_wish(x.w, QN__WATCH_READ), 0);
  CHECK_INT(write(x.fds[1], "a", 1), 1);
  CHECK_INT(qn__watch_wish(x.w, 0), 0);
  CHECK_INT(qn__watch_wish(x.w, 0), 0);
  some_turns(&x);
  CHECK_INT(x.seen.calls, 0);
  close_pipe(&x);
}

TEST(a_hang_up_grants_every_wish)
{
  watched_t x;
  open_pipe(&x, 0);
  CHECK_INT(qn__watch_wish(x.w, QN__WATCH_READ), 0);
  close(x.fds[1]);
  x.fds[1] = dup(x.fds[0]);
  TURN_UNTIL(x.rig.loop, x.seen.calls == 1);
  CHECK_UINT(x.seen.what, QN__WATCH_READ);
  close_pipe(&x);
  open_pipe(&x, 1);
  CHECK_INT(qn__watch_wish(x.w, QN__WATCH_WRITE), 0);
  close(x.fds[0]);
  x.fds[0] = dup(x.fds[1]);
  TURN_UNTIL(x.rig.loop, x.seen.calls == 1);
  CHECK_UINT(x.seen.what, QN__WATCH_WRITE);
  close_pipe(&x);
}

TEST(one_direction_may_be_ready_before_the_other)
{
  watched_t x;
  int extra[2];
  memset(&x, 0, sizeof x);
  rig_open(&x.rig);
  char name[64];
  REQUIRE_INT(pipe(extra), 0);
  snprintf(name, sizeof name, "/proc/self/fd/%d", extra[0]);
  int both = open(name, O_RDWR); /* a FIFO that is its own peer */
  REQUIRE(both >= 0);
  REQUIRE_INT(qn__watch_new(x.rig.loop, both, on_ready, &x.seen, &x.w), 0);
  CHECK_INT(qn__watch_wish(x.w, QN__WATCH_READ | QN__WATCH_WRITE), 0);
  TURN_UNTIL(x.rig.loop, x.seen.calls == 1);
  CHECK_UINT(x.seen.what, QN__WATCH_WRITE);
  CHECK(qn_loop_alive(x.rig.loop)); /* the other wish stands */
  CHECK_INT(write(both, "a", 1), 1);
  TURN_UNTIL(x.rig.loop, x.seen.calls == 2);
  CHECK_UINT(x.seen.what, QN__WATCH_READ | QN__WATCH_WRITE);
  x.fds[0] = extra[0];
  x.fds[1] = extra[1];
  close_pipe(&x);
  close(both);
}

TEST(flags_of_the_descriptor_stay)
{
  watched_t x;
  open_pipe(&x, 0);
  CHECK_INT(qn__watch_wish(x.w, QN__WATCH_READ), 0);
  CHECK_INT(fcntl(x.fds[0], F_GETFL) & O_NONBLOCK, 0);
  close_pipe(&x);
}

TEST(what_is_always_ready_cannot_be_watched)
{
  static const char *const always[] = {"/dev/null", "/dev/zero", "/proc/self/stat", "/"};
  rig_t rig;
  qn__watch_t *w;
  rig_open(&rig);
  for (size_t i = 0; i < sizeof always / sizeof always[0]; i++) {
    TEST_ROUND("%s", always[i]);
    int fd = open(always[i], O_RDONLY);
    CHECK_INT(qn__watch_new(rig.loop, fd, on_ready, NULL, &w), -EPERM);
    CHECK_NULL(w);
    close(fd);
  }
  CHECK_INT(qn__watch_new(rig.loop, -1, on_ready, NULL, &w), -EBADF);
  qn__watch_free(NULL);
  qn_alloc_fail_at(1);
  CHECK_INT(qn__watch_new(rig.loop, 0, on_ready, NULL, &w), -ENOMEM);
  qn_alloc_fail_at(0);
  CHECK_INT(stats_of(rig.loop).handles, 0);
  rig_close(&rig);
}

TEST(freed_with_a_wish)
{
  watched_t x;
  open_pipe(&x, 0);
  CHECK_INT(qn__watch_wish(x.w, QN__WATCH_READ), 0);
  CHECK_INT(write(x.fds[1], "a", 1), 1);
  close_pipe(&x);
  CHECK_INT(x.seen.calls, 0);
}

/* notifier_test.c: notifiers of pipes, sockets and what cannot be watched; several of one
 * descriptor; closing in every order, also behind our back.
 */
#include "qn/notifier.h"

#include "test.h"
#include "wire.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

static qn_notifier_t *open_on(int fd, qn_notify_t type)
{
  qn_notifier_t *n = NULL;
  REQUIRE_INT(qn_notifier_open(wire.loop, fd, type, &n), 0);
  CHECK_INT(qn_notifier_fd(n), fd);
  CHECK_INT(qn_notifier_type(n), type);
  CHECK(qn_notifier_is_enabled(n));
  CHECK(!qn_notifier_is_closed(n));
  return n;
}

static int64_t wait_on(qn_notifier_t *n)
{
  wire_op_t w;
  int rc = qn_notifier_wait(n, op_new(&w));
  if (rc != QN_AGAIN) {
    return rc;
  }
  WAIT_UNTIL(w.done);
  return w.result;
}

typedef struct pipe_pair {
  int r, w;
} pipe_pair_t;

static pipe_pair_t pipe_open(void)
{
  int fds[2];
  REQUIRE_INT(pipe2(fds, O_CLOEXEC), 0);
  return (pipe_pair_t){fds[0], fds[1]};
}

static void pipe_end(pipe_pair_t p)
{
  close(p.r);
  close(p.w);
}

static void fill(int fd)
{
  char block[4096] = {0};
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  while (write(fd, block, sizeof block) > 0) {
  }
  fcntl(fd, F_SETFL, flags);
}

static void drain(int fd)
{
  char block[65536];
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  while (read(fd, block, sizeof block) > 0) {
  }
  fcntl(fd, F_SETFL, flags);
}

/* --- waiting --------------------------------------------------------------------------------- */

TEST(readable_writable_and_level_triggered)
{
  wire_op_t w;
  loop_begin();
  pipe_pair_t p = pipe_open();
  qn_notifier_t *r = open_on(p.r, QN_NOTIFY_READ), *out = open_on(p.w, QN_NOTIFY_WRITE);
  CHECK_INT(wait_on(out), 0); /* there is room now */
  REQUIRE_INT(qn_notifier_wait(r, op_new(&w)), QN_AGAIN);
  turns(3);
  CHECK(!w.done);
  CHECK_INT(write(p.w, "x", 1), 1);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  CHECK_INT(wait_on(r), 0); /* nobody has read it: it is still so */
  drain(p.r);
  REQUIRE_INT(qn_notifier_wait(r, op_new(&w)), QN_AGAIN);
  fill(p.w);
  WAIT_UNTIL(w.done);
  wire_op_t o;
  REQUIRE_INT(qn_notifier_wait(out, op_new(&o)), QN_AGAIN);
  turns(3);
  CHECK(!o.done);
  drain(p.r);
  WAIT_UNTIL(o.done);
  CHECK_INT(o.result, 0);
  CHECK_INT(fcntl(p.r, F_GETFL) & O_NONBLOCK, 0); /* left as it was */
  REQUIRE_INT(qn_notifier_wait(r, op_new(&w)), QN_AGAIN);
  qn_notifier_close(out);
  close(p.w); /* the end is something to read, too */
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  qn_notifier_release(r);
  qn_notifier_release(out);
  qn_notifier_release(NULL);
  close(p.r);
  loop_end();
}

TEST(any_kind_of_descriptor)
{
  uint64_t count = 1;
  int fds[2];
  loop_begin();
  int e = eventfd(0, EFD_CLOEXEC);
  qn_addr_t at;
  int l = peer_listen(&at, 4);
  unix_pair(fds);
  qn_notifier_t *v[] = {open_on(e, QN_NOTIFY_READ), open_on(l, QN_NOTIFY_READ),
                        open_on(fds[0], QN_NOTIFY_READ)};
  wire_op_t w[3];
  for (int i = 0; i < 3; i++) {
    REQUIRE_INT(qn_notifier_wait(v[i], op_new(&w[i])), QN_AGAIN);
  }
  turns(2);
  CHECK(!w[0].done && !w[1].done && !w[2].done);
  CHECK_INT(write(e, &count, sizeof count), sizeof count);
  int peer = peer_connect(&at);
  send(fds[1], "x", 1, 0);
  WAIT_UNTIL(w[0].done && w[1].done && w[2].done);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(w[i].result, 0);
    qn_notifier_release(v[i]);
  }
  close(peer);
  close(fds[0]);
  close(fds[1]);
  close(l);
  close(e);
  loop_end();
}

TEST(urgent_data_is_exceptional)
{
  int fds[2];
  wire_op_t w;
  char byte;
  loop_begin();
  tcp_pair(fds);
  qn_notifier_t *x = open_on(fds[0], QN_NOTIFY_EXCEPTION), *n = open_on(fds[0], QN_NOTIFY_READ);
  REQUIRE_INT(qn_notifier_wait(x, op_new(&w)), QN_AGAIN);
  send(fds[1], "a", 1, 0);
  CHECK_INT(wait_on(n), 0);
  turns(3);
  CHECK(!w.done); /* ordinary data is not */
  CHECK_INT(recv(fds[0], &byte, 1, 0), 1);
  send(fds[1], "!", 1, MSG_OOB);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  CHECK_INT(recv(fds[0], &byte, 1, MSG_OOB), 1);
  CHECK_INT(byte, '!');
  REQUIRE_INT(qn_notifier_wait(x, op_new(&w)), QN_AGAIN);
  peer_reset(fds[1]); /* an error and a hang-up concern everybody */
  WAIT_UNTIL(w.done);
  CHECK_INT(wait_on(n), 0);
  qn_notifier_release(x);
  qn_notifier_release(n);
  close(fds[0]);
  loop_end();
}

TEST(all_types_of_one_descriptor)
{
  int fds[2];
  wire_op_t r, w, x;
  loop_begin();
  unix_pair(fds);
  qn_notifier_t *read = open_on(fds[0], QN_NOTIFY_READ), *again = NULL;
  qn_notifier_t *write = open_on(fds[0], QN_NOTIFY_WRITE);
  qn_notifier_t *exception = open_on(fds[0], QN_NOTIFY_EXCEPTION);
  for (qn_notify_t t = 0; t < QN_NOTIFY_COUNT; t++) {
    CHECK_INT(qn_notifier_open(wire.loop, fds[0], t, &again), -EEXIST);
    CHECK(again == NULL);
  }
  fill(fds[0]);
  REQUIRE_INT(qn_notifier_wait(read, op_new(&r)), QN_AGAIN);
  REQUIRE_INT(qn_notifier_wait(write, op_new(&w)), QN_AGAIN);
  REQUIRE_INT(qn_notifier_wait(exception, op_new(&x)), QN_AGAIN);
  send(fds[1], "x", 1, 0);
  WAIT_UNTIL(r.done);
  turns(3);
  CHECK(!w.done && !x.done);
  qn_notifier_release(read); /* the others go on */
  drain(fds[1]);
  WAIT_UNTIL(w.done);
  CHECK(!x.done);
  read = open_on(fds[0], QN_NOTIFY_READ); /* and its place is free again */
  CHECK_INT(wait_on(read), 0);
  qn_notifier_release(write);
  qn_notifier_release(read);
  close(fds[1]);
  WAIT_UNTIL(x.done);
  qn_notifier_release(exception);
  close(fds[0]);
  loop_end();
}

TEST(a_descriptor_of_our_own_stream)
{
  int fds[2];
  loop_begin();
  tcp_pair(fds);
  qn_stream_t *s = stream_on(fds[0]);
  qn_notifier_t *n = open_on(fds[0], QN_NOTIFY_READ);
  wire_op_t w;
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN);
  send(fds[1], "hello", 5, 0);
  WAIT_UNTIL(w.done);
  CHECK_INT(want(s, QN_WANT_EXACT, 5), 5);
  CHECK(got_is(s, "hello"));
  qn_notifier_release(n);
  stream_end(s);
  close(fds[1]);
  loop_end();
}

TEST(what_cannot_be_watched)
{
  qn_notifier_t *n = NULL;
  loop_begin();
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK_INT(qn_notifier_open(wire.loop, file, QN_NOTIFY_READ, &n), -EPERM);
  CHECK_INT(qn_notifier_open(wire.loop, dir, QN_NOTIFY_READ, &n), -EPERM);
  close(dir);
  close(file);
  CHECK_INT(qn_notifier_open(wire.loop, 1 << 20, QN_NOTIFY_READ, &n), -EBADF);
  CHECK_INT(qn_notifier_open(wire.loop, -1, QN_NOTIFY_READ, &n), -EBADF);
  CHECK_INT(qn_notifier_open(wire.loop, 0, QN_NOTIFY_COUNT, &n), QN_E_INVALID);
  CHECK(n == NULL);
  loop_end();
}

/* --- ends of a wait -------------------------------------------------------------------------- */

TEST(one_waits_at_a_time)
{
  wire_op_t w, second;
  loop_begin();
  pipe_pair_t p = pipe_open();
  qn_notifier_t *n = open_on(p.r, QN_NOTIFY_READ);
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN);
  CHECK_INT(qn_notifier_wait(n, op_new(&second)), QN_E_BUSY);
  CHECK(qn_op_cancel(&w.op, QN_E_CANCELLED));
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CANCELLED);
  turns(1);
  CHECK(!qn_loop_alive(wire.loop)); /* nothing is watched for nobody */
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN);
  qn_op_deadline(&w.op, qn_loop_now(wire.loop), QN_E_TIMEOUT);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_TIMEOUT);
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN);
  CHECK(qn_loop_alive(wire.loop));
  qn_notifier_close(n);
  qn_notifier_close(n);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  CHECK(qn_notifier_is_closed(n));
  CHECK(!qn_notifier_is_enabled(n));
  CHECK_INT(qn_notifier_wait(n, op_new(&w)), QN_E_CLOSED);
  CHECK_INT(qn_notifier_set_enabled(n, true), QN_E_CLOSED);
  CHECK_INT(qn_notifier_set_enabled(n, false), 0);
  qn_notifier_release(n);
  CHECK_INT(fcntl(p.r, F_GETFD) >= 0, 1); /* the descriptor is not ours */
  pipe_end(p);
  loop_end();
}

TEST(disabled_while_waiting)
{
  wire_op_t w;
  loop_begin();
  pipe_pair_t p = pipe_open();
  qn_notifier_t *n = open_on(p.r, QN_NOTIFY_READ);
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN);
  CHECK_INT(qn_notifier_set_enabled(n, false), 0);
  CHECK(!qn_notifier_is_enabled(n));
  CHECK_INT(write(p.w, "x", 1), 1);
  turns(5);
  CHECK(!w.done);
  CHECK_INT(qn_notifier_set_enabled(n, true), 0);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  CHECK_INT(qn_notifier_set_enabled(n, false), 0);
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN); /* although it is so */
  turns(3);
  CHECK(!w.done);
  qn_notifier_release(n);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  pipe_end(p);
  loop_end();
}

TEST(closed_behind_our_back)
{
  wire_op_t w;
  loop_begin();
  pipe_pair_t p = pipe_open(), q = pipe_open();
  qn_notifier_t *n = open_on(p.r, QN_NOTIFY_READ), *other = open_on(q.r, QN_NOTIFY_READ);
  close(p.r);
  CHECK_INT(qn_notifier_wait(n, op_new(&w)), -EBADF);
  CHECK_INT(qn_notifier_set_enabled(n, false), 0);
  CHECK_INT(qn_notifier_set_enabled(n, true), -EBADF);
  CHECK(!qn_notifier_is_enabled(n));
  qn_notifier_release(n);
  close(p.w);
  /* while it waits: the kernel says nothing, the next call does */
  p = pipe_open();
  n = open_on(p.r, QN_NOTIFY_READ);
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN);
  turns(2);
  close(p.r);
  turns(3);
  CHECK(!w.done);
  CHECK_INT(qn_notifier_set_enabled(n, false), 0);
  CHECK_INT(qn_notifier_set_enabled(n, true), -EBADF);
  qn_notifier_release(n);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  close(p.w);
  CHECK_INT(write(q.w, "x", 1), 1); /* the others never noticed */
  CHECK_INT(wait_on(other), 0);
  qn_notifier_release(other);
  pipe_end(q);
  loop_end();
}

/* A copy elsewhere keeps the file, and the kernel's watch on it, alive: its event comes once, for a
 * number that is closed or means something else now. */
TEST(closed_while_a_copy_lives)
{
  wire_op_t w;
  loop_begin();
  pipe_pair_t p = pipe_open();
  int copy = dup(p.r);
  qn_notifier_t *n = open_on(p.r, QN_NOTIFY_READ);
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN);
  turns(2);
  close(p.r);
  CHECK_INT(write(p.w, "x", 1), 1);
  WAIT_UNTIL(w.done); /* it was readable */
  CHECK_INT(w.result, 0);
  CHECK_INT(qn_notifier_wait(n, op_new(&w)), -EBADF);
  qn_notifier_release(n);
  /* closed without its notifier, then another file gets the number */
  n = open_on(copy, QN_NOTIFY_READ);
  pipe_pair_t q = pipe_open();
  int number = copy, spare = dup(copy);
  REQUIRE_INT(dup2(q.r, number), number);
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN); /* waits for what is there now */
  turns(3);
  CHECK(!w.done);
  CHECK_INT(write(q.w, "y", 1), 1);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  uint64_t before = qn_loop_turns(wire.loop);
  REQUIRE(qn_notifier_wait(n, op_new(&w)) == 0);
  turns(2);
  CHECK(qn_loop_turns(wire.loop) - before < 10);
  qn_notifier_release(n);
  close(spare);
  close(number);
  close(p.w);
  pipe_end(q);
  loop_end();
}

/* --- observers ------------------------------------------------------------------------------- */

typedef struct seen {
  int n, err;
  bool close;
} seen_t;

static void on_activated(qn_notifier_t *n, int err, void *data)
{
  seen_t *seen = data;
  CHECK(qn_loop_in_turn(wire.loop));
  seen->n++;
  seen->err = err;
  qn_ready_queue(wire.loop, &wire.nudge);
  if (seen->close) {
    qn_notifier_release(n);
  }
}

TEST(an_observer_is_told_once_until_it_resumes)
{
  seen_t seen = {0};
  wire_op_t w;
  loop_begin();
  pipe_pair_t p = pipe_open();
  qn_notifier_t *n = open_on(p.w, QN_NOTIFY_WRITE);
  qn_notifier_observe(n, on_activated, &seen);
  WAIT_UNTIL(seen.n == 1);
  CHECK_INT(seen.err, 0);
  turns(20);
  CHECK_INT(seen.n, 1); /* does not spin although there is room all the time */
  CHECK(!qn_loop_alive(wire.loop));
  qn_notifier_resume(n);
  qn_notifier_resume(n);
  WAIT_UNTIL(seen.n == 2);
  fill(p.w);
  qn_notifier_resume(n);
  turns(5);
  CHECK_INT(seen.n, 2);
  REQUIRE_INT(qn_notifier_wait(n, op_new(&w)), QN_AGAIN); /* beside a waiting operation */
  drain(p.r);
  WAIT_UNTIL(seen.n == 3 && w.done);
  CHECK_INT(qn_notifier_set_enabled(n, false), 0);
  qn_notifier_resume(n);
  turns(5);
  CHECK_INT(seen.n, 3);
  CHECK_INT(qn_notifier_set_enabled(n, true), 0);
  WAIT_UNTIL(seen.n == 4);
  qn_notifier_observe(n, NULL, NULL);
  turns(3);
  qn_notifier_observe(n, on_activated, &seen);
  WAIT_UNTIL(seen.n == 5);
  qn_notifier_observe(n, NULL, NULL);
  qn_notifier_observe(n, on_activated, &seen);
  seen.close = true;
  WAIT_UNTIL(seen.n == 6);
  pipe_end(p);
  loop_end();
}

TEST(disabling_takes_a_report_back)
{
  seen_t seen = {0};
  loop_begin();
  pipe_pair_t p = pipe_open();
  qn_notifier_t *n = open_on(p.w, QN_NOTIFY_WRITE);
  qn_notifier_observe(n, on_activated, &seen);
  qn_loop_turn(wire.loop, QN_TURN_NOWAIT); /* its poll queues the report */
  CHECK_INT(qn_notifier_set_enabled(n, false), 0);
  turns(5);
  CHECK_INT(seen.n, 0);
  CHECK_INT(qn_notifier_set_enabled(n, true), 0);
  WAIT_UNTIL(seen.n == 1);
  qn_notifier_release(n);
  pipe_end(p);
  loop_end();
}

TEST(an_observer_learns_that_the_descriptor_is_gone)
{
  seen_t seen = {0};
  loop_begin();
  pipe_pair_t p = pipe_open();
  qn_notifier_t *n = open_on(p.w, QN_NOTIFY_WRITE);
  qn_notifier_observe(n, on_activated, &seen);
  WAIT_UNTIL(seen.n == 1);
  close(p.w);
  qn_notifier_resume(n);
  WAIT_UNTIL(seen.n == 2);
  CHECK_INT(seen.err, -EBADF);
  CHECK(!qn_notifier_is_enabled(n));
  turns(5);
  CHECK_INT(seen.n, 2);
  qn_notifier_resume(n);
  turns(3);
  CHECK_INT(seen.n, 2);
  qn_notifier_release(n);
  close(p.r);
  loop_end();
}

/* --- many, and little ------------------------------------------------------------------------ */

TEST(many_descriptors)
{
  enum { N = 200 };
  static pipe_pair_t p[N];
  static qn_notifier_t *n[N];
  static wire_op_t w[N];
  int done = 0;
  loop_begin();
  for (int i = 0; i < N; i++) {
    p[i] = pipe_open();
    n[i] = open_on(p[i].r, QN_NOTIFY_READ);
    REQUIRE_INT(qn_notifier_wait(n[i], op_new(&w[i])), QN_AGAIN);
  }
  turns(1);
  for (int i = 0; i < N; i += 2) {
    CHECK_INT(write(p[i].w, "x", 1), 1);
  }
  turns(8); /* more than one look holds */
  for (int i = 0; i < N; i++) {
    CHECK_INT(w[i].done, i % 2 == 0);
    done += w[i].done;
    qn_notifier_release(n[i]);
    pipe_end(p[i]);
  }
  CHECK_INT(done, N / 2);
  turns(1);
  loop_end();
}

TEST(no_memory_and_no_descriptors)
{
  qn_notifier_t *n = NULL;
  loop_begin();
  pipe_pair_t p = pipe_open();
  for (uint64_t nth = 1; nth < 10; nth++) {
    qn_alloc_fail_at(nth);
    int rc = qn_notifier_open(wire.loop, p.r, QN_NOTIFY_READ, &n);
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    CHECK_INT(rc, failed ? -ENOMEM : 0);
    if (!failed) {
      CHECK(nth > 2);
      break;
    }
    CHECK(n == NULL);
  }
  qn_notifier_release(n);
  struct rlimit old, low;
  REQUIRE_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
  low = old;
  low.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &low);
  int rc = qn_notifier_open(wire.loop, p.r, QN_NOTIFY_READ, &n);
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK_INT(rc, -EMFILE);
  CHECK(n == NULL);
  pipe_end(p);
  loop_end();
}

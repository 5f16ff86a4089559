/* Signals as operations, by raise(); and the names of signals.
 * covers: runtime/loop/signal_names.c
 */
#include "rig.h"

#include "qn/signal.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* Turns until `n` deliveries can be taken; raise() is synchronous, their way through libuv is not.
 */
static void take(rig_t *rig, qn_signal_t *s, int64_t n)
{
  int64_t taken = 0;
  for (int i = 0; i < 1000 && taken < n; i++) {
    note_t note;
    note_init(&note, rig->loop);
    int64_t rc = qn_signal_wait(s, &note.op);
    if (rc == QN_AGAIN) {
      TURN_UNTIL(rig->loop, note.done);
      rc = note.result;
    }
    REQUIRE(rc >= 1);
    taken += rc;
  }
  CHECK_INT(taken, n);
}

TEST(a_waiting_op_settles_at_the_delivery)
{
  rig_t rig;
  qn_signal_t *s;
  note_t n, second;
  rig_open(&rig);
  note_init(&n, rig.loop);
  note_init(&second, rig.loop);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR1, &s), 0);
  CHECK_INT(stats_of(rig.loop).objects, 1);
  CHECK_INT(stats_of(rig.loop).handles, 1);
  CHECK_INT(qn_signal_wait(s, &n.op), QN_AGAIN);
  CHECK_INT(qn_signal_wait(s, &second.op), QN_E_BUSY);
  raise(SIGUSR1);
  CHECK_INT(n.done, 0);
  TURN_UNTIL(rig.loop, n.done);
  CHECK_INT(n.result, 1);
  CHECK_INT(second.done, 0);
  qn_signal_close(s);
  qn_signal_close(s);
  qn_signal_release(s);
  rig_close(&rig);
}

TEST(deliveries_that_nobody_waits_for_are_counted)
{
  rig_t rig;
  qn_signal_t *s;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR1, &s), 0);
  for (int i = 0; i < 5; i++) {
    raise(SIGUSR1);
  }
  take(&rig, s, 5);
  CHECK_INT(qn_signal_wait(s, &n.op), QN_AGAIN);
  CHECK(qn_op_cancel(&n.op, QN_E_CANCELLED));
  TURN_UNTIL(rig.loop, n.done);
  raise(SIGUSR1);
  take(&rig, s, 1); /* the cancelled one took nothing */
  qn_signal_release(s);
  rig_close(&rig);
}

TEST(close_settles_the_waiter)
{
  rig_t rig;
  qn_signal_t *s;
  note_t n;
  rig_open(&rig);
  note_init(&n, rig.loop);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR2, &s), 0);
  CHECK_INT(qn_signal_wait(s, &n.op), QN_AGAIN);
  qn_signal_close(s);
  CHECK_INT(qn_signal_wait(s, &n.op), QN_E_CLOSED);
  qn_signal_ref(s, false);
  qn_loop_run(rig.loop);
  CHECK_INT(n.result, QN_E_CLOSED);
  CHECK_INT(stats_of(rig.loop).handles, 0);
  CHECK_INT(stats_of(rig.loop).objects, 1);
  qn_signal_release(s);
  CHECK_INT(stats_of(rig.loop).objects, 0);
  rig_close(&rig);
}

TEST(an_unreferenced_watcher_keeps_nothing_alive)
{
  rig_t rig;
  qn_signal_t *s;
  rig_open(&rig);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR1, &s), 0);
  CHECK(qn_loop_alive(rig.loop));
  qn_signal_ref(s, false);
  CHECK(!qn_loop_alive(rig.loop));
  qn_signal_ref(s, true);
  CHECK(qn_loop_alive(rig.loop));
  qn_signal_release(s);
  rig_close(&rig);
}

/* --- notify ---------------------------------------------------------------------------------- */

static int notified;
static void count(void *data)
{
  (void)data;
  notified++;
}

static void close_it(void *data)
{
  notified++;
  qn_signal_close(data);
  qn_signal_release(data);
}

TEST(notify_runs_for_each_delivery_waiter_or_not)
{
  rig_t rig;
  qn_signal_t *s;
  rig_open(&rig);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR1, &s), 0);
  notified = 0;
  qn_signal_on_delivery(s, count, NULL);
  for (int i = 0; i < 3; i++) {
    raise(SIGUSR1);
  }
  TURN_UNTIL(rig.loop, notified == 3);
  take(&rig, s, 3);
  qn_signal_on_delivery(s, NULL, NULL);
  raise(SIGUSR1);
  take(&rig, s, 1);
  CHECK_INT(notified, 3);
  qn_signal_release(s);
  rig_close(&rig);
}

TEST(notify_may_close_and_release)
{
  rig_t rig;
  qn_signal_t *s;
  rig_open(&rig);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR1, &s), 0);
  notified = 0;
  qn_signal_on_delivery(s, close_it, s);
  for (int i = 0; i < 3; i++) {
    raise(SIGUSR1);
  }
  qn_loop_run(rig.loop);
  CHECK_INT(notified, 1);
  rig_close(&rig);
}

TEST(two_watchers_of_one_signal)
{
  rig_t rig;
  qn_signal_t *a, *b;
  rig_open(&rig);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR1, &a), 0);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR1, &b), 0);
  raise(SIGUSR1);
  take(&rig, a, 1);
  take(&rig, b, 1);
  qn_signal_release(a);
  raise(SIGUSR1); /* still watched by b */
  take(&rig, b, 1);
  qn_signal_release(b);
  rig_close(&rig);
}

/* --- arguments ------------------------------------------------------------------------------- */

TEST(signals_that_cannot_be_watched)
{
  static const int bad[] = {0, -1, 65, 1000, INT32_MAX, SIGKILL, SIGSTOP};
  rig_t rig;
  rig_open(&rig);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    qn_signal_t *s = (qn_signal_t *)(void *)&rig;
    CHECK_INT(qn_signal_open(rig.loop, bad[i], &s), QN_E_INVALID);
    CHECK_NULL(s);
  }
  qn_signal_t *s;
  qn_alloc_fail_at(1);
  CHECK_INT(qn_signal_open(rig.loop, SIGUSR1, &s), -ENOMEM);
  CHECK(qn_alloc_failed());
  CHECK(qn_signal_open(rig.loop, 32, &s) < 0); /* the C library keeps it for itself */
  qn_signal_release(NULL);
  rig_close(&rig);
}

TEST(names)
{
  static const char *const ints[] = {"int", "INT", "SIGINT", "sigint", "SigInt"};
  static const char *const none[] = {"", "sig", "SIG", "nonsense", "SIGSIGINT", "int ", "2"};
  for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
    CHECK_INT(qn_signal_number(ints[i]), SIGINT);
  }
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    TEST_ROUND("%s", none[i]);
    CHECK_INT(qn_signal_number(none[i]), 0);
  }
  CHECK_STR(qn_signal_name(SIGINT), "SIGINT");
  CHECK_STR(qn_signal_name(SIGABRT), "SIGABRT");
  CHECK_STR(qn_signal_name(SIGIO), "SIGIO");
  CHECK_INT(qn_signal_number("kill"), SIGKILL);
  CHECK_INT(qn_signal_number("winch"), SIGWINCH);
  CHECK_NULL(qn_signal_name(0));
  CHECK_NULL(qn_signal_name(-5));
  for (int i = 1; i < 32; i++) {
    TEST_ROUND("%d", i);
    REQUIRE(qn_signal_name(i) != NULL);
    CHECK_INT(qn_signal_number(qn_signal_name(i)), i);
  }
}

static void own_handler(int signum) { (void)signum; }

TEST(what_the_program_did_before_is_restored)
{
  rig_t rig;
  struct sigaction own = {.sa_handler = own_handler}, now;
  qn_signal_t *s;
  rig_open(&rig);
  sigaction(SIGUSR2, &own, NULL);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR2, &s), 0);
  sigaction(SIGUSR2, NULL, &now);
  CHECK(now.sa_handler != own_handler);
  qn_signal_close(s);
  qn_signal_release(s);
  sigaction(SIGUSR2, NULL, &now);
  CHECK(now.sa_handler == own_handler);

  qn_signal_t *first,
      *second; /* the first one knows it; whoever closes last leaves it or the default */
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR2, &first), 0);
  REQUIRE_INT(qn_signal_open(rig.loop, SIGUSR2, &second), 0);
  qn_signal_close(second);
  qn_signal_release(second);
  sigaction(SIGUSR2, NULL, &now);
  CHECK(now.sa_handler != own_handler && now.sa_handler != SIG_DFL); /* still watched */
  qn_signal_close(first);
  qn_signal_release(first);
  sigaction(SIGUSR2, NULL, &now);
  CHECK(now.sa_handler == own_handler);
  signal(SIGUSR2, SIG_DFL);
  rig_close(&rig);
}

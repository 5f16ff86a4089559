/* f_happy_test.c: races of addresses: who wins, when the next one starts, what becomes of losers.
 *
 * The program has a dial.c of its own whose look-ups are answered by a script (below), so that
 * answers come when the test says. covers: runtime/stream/f_happy.c.
 */
#define qn_resolve script_resolve
#define qn_resolved script_resolved
#define qn_resolve_more script_more
#define qn_resolve_end script_end
#include "stream/dial.c"

#include "test.h"
#include "wire.h"

#include <dirent.h>
#include <sys/resource.h>

/* --- look-ups by script ---------------------------------------------------------------------- */

static struct {
  qn_addr_t v[8];
  qn_addr_list_t list; /* what is known so far */
  bool stepwise, asked, ended, more;
  qn_op_t *op;
} script;

static void script_cancel(qn_op_t *op)
{
  (void)op;
  script.op = NULL;
}

int qn_resolve(qn_loop_t *loop, const qn_resolve_opts_t *opts, qn_op_t *op, qn_addr_t *out)
{
  (void)loop, (void)out;
  script.stepwise = opts->stepwise;
  script.asked = true;
  script.op = op;
  qn_op_begin(op, &script, script_cancel);
  return QN_AGAIN;
}

const qn_addr_list_t *qn_resolved(const qn_op_t *op)
{
  return op->result == 0 ? &script.list : NULL;
}

int qn_resolve_more(qn_op_t *op)
{
  if (!script.more) {
    return 0;
  }
  script.op = op;
  qn_op_begin(op, &script, script_cancel);
  return QN_AGAIN;
}

void qn_resolve_end(qn_op_t *op)
{
  (void)op;
  script.ended = true;
}

/* Settles the look-up with `n` addresses in all; `more`: another answer is to come. */
static void answer(size_t n, bool more)
{
  REQUIRE(script.op != NULL);
  qn_op_t *op = script.op;
  script.op = NULL;
  script.list = (qn_addr_list_t){.n = n, .v = script.v};
  script.more = more;
  qn_op_settle(op, 0);
}

/* --- servers --------------------------------------------------------------------------------- */

#define N_SITES 6
typedef enum what { GOOD, SILENT, DEAD, NO_ROUTE } what_t;

/* An address where a server listens, one whose backlog is full (SYNs are dropped), one where nobody
 * listens, or one of a family or range that cannot be reached. */
typedef struct site {
  int fd, fill[16], n;
  qn_addr_t at;
} site_t;

static site_t sites[N_SITES];
static int n_sites;

static bool settles(int fd)
{
  struct timeval tv = {.tv_usec = 5000};
  fd_set set;
  FD_ZERO(&set);
  FD_SET(fd, &set);
  return select(fd + 1, NULL, &set, NULL, &tv) > 0;
}

static void site_open(const char *text, what_t what)
{
  site_t *s = &sites[n_sites];
  *s = (site_t){.fd = -1};
  REQUIRE_INT(qn_addr_parse(&s->at, text, 0, QN_FAMILY_ANY), 0);
  script.v[n_sites++] = s->at;
  if (what == NO_ROUTE) {
    qn_addr_set_port(&s->at, 9);
    script.v[n_sites - 1] = s->at;
    return;
  }
  s->fd = socket(s->at.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(s->fd >= 0);
  peer_setup(s->fd);
  REQUIRE_INT(bind(s->fd, &s->at.u.sa, s->at.size), 0);
  s->at.size = sizeof s->at.u;
  REQUIRE_INT(getsockname(s->fd, &s->at.u.sa, &s->at.size), 0);
  script.v[n_sites - 1] = s->at;
  if (what == DEAD) { /* bound, so that nobody else gets the port, but not listening */
    return;
  }
  REQUIRE_INT(listen(s->fd, what == GOOD ? 8 : 0), 0);
  while (what == SILENT) {
    REQUIRE(s->n < 16);
    int fd = socket(s->at.u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->fill[s->n++] = fd;
    (void)connect(fd, &s->at.u.sa, s->at.size);
    if (!settles(fd)) {
      break;
    }
  }
}

static void sites_begin(void)
{
  n_sites = 0;
  memset(&script, 0, sizeof script);
}

static void sites_end(void)
{
  while (n_sites > 0) {
    site_t *s = &sites[--n_sites];
    while (s->n > 0) {
      close(s->fill[--s->n]);
    }
    if (s->fd >= 0) {
      close(s->fd);
    }
  }
}

/* Whether site i has a connection; with `fd` it is taken. */
static bool came(int i)
{
  fd_set set;
  struct timeval now = {0};
  FD_ZERO(&set);
  FD_SET(sites[i].fd, &set);
  return select(sites[i].fd + 1, &set, NULL, NULL, &now) > 0;
}

static int open_fds(void)
{
  int n = 0;
  DIR *dir = opendir("/proc/self/fd");
  REQUIRE(dir != NULL);
  while (readdir(dir) != NULL) {
    n++;
  }
  closedir(dir);
  return n;
}

/* --- dialling -------------------------------------------------------------------------------- */

#define SOON 10u /* the delay where it must pass */

static qn_stream_t *stream;
static wire_op_t dialled;
static char events[256];

static void observe(qn_stream_t *s, qn_event_t event, int64_t arg, void *data)
{
  (void)s, (void)data;
  size_t used = strlen(events);
  const char *text = event == QN_EVENT_STATE        ? qn_state_name((qn_state_t)arg)
                     : event == QN_EVENT_HOST_FOUND ? "HOST_FOUND"
                     : event == QN_EVENT_CONNECTED  ? "CONNECTED"
                     : event == QN_EVENT_ERROR      ? qn_err_name((int)arg)
                                                    : NULL;
  if (text != NULL) {
    snprintf(events + used, sizeof events - used, "%s%s", used > 0 ? " " : "", text);
  }
}

static void begin_stream(void)
{
  loop_begin();
  sites_begin();
  events[0] = '\0';
  stream = qn_stream_new(wire.loop);
  REQUIRE(stream != NULL);
  qn_stream_observe(stream, UINT32_MAX, observe, NULL);
}

static void end_stream(void)
{
  stream_end(stream);
  sites_end();
  loop_end();
}

static void start_with(qn_dial_opts_t opts)
{
  if (opts.host == NULL && opts.n_addresses == 0) {
    opts.addresses = script.v;
    opts.n_addresses = (size_t)n_sites;
  }
  REQUIRE_INT(qn_dial(stream, &opts, op_new(&dialled)), QN_AGAIN);
  CHECK(!dialled.done);
}

static int64_t finish_dial(void)
{
  WAIT_UNTIL(dialled.done);
  return dialled.result;
}

static int64_t race(uint64_t delay)
{
  start_with((qn_dial_opts_t){.attempt_delay = delay, .timeout = 15000});
  return finish_dial();
}

static bool peer_is(int i)
{
  qn_addr_t seen;
  return qn_stream_peer_addr(stream, &seen) == 0 && qn_addr_equal(&seen, &sites[i].at);
}

static const char *failures_text(void)
{
  static char text[512];
  const qn_dial_failure_t *v;
  size_t n = qn_dial_failures(stream, &v), used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < n; i++) {
    char host[QN_ADDR_TEXT];
    qn_addr_host(&v[i].address, host, sizeof host);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %s", i > 0 ? ", " : "", host,
                             qn_err_name(v[i].error));
  }
  return text;
}

static bool after_fired;
static void on_after(qn_timer_t *t)
{
  (void)t;
  after_fired = true;
}

/* --- who wins -------------------------------------------------------------------------------- */

TEST(the_first_address_that_answers)
{
  begin_stream();
  site_open("::1", GOOD);
  site_open("127.0.0.1", GOOD);
  CHECK_INT(race(0), 0);
  CHECK(peer_is(0));
  CHECK_STR(events, "host_lookup connecting HOST_FOUND connected CONNECTED");
  CHECK(came(0));
  CHECK(!came(1)); /* was not even tried */
  char layers[64];
  qn_stream_describe(stream, layers, sizeof layers);
  CHECK_STR(layers, "socket");
  CHECK_STR(failures_text(), "");
  end_stream();
}

/* A timer that is started before the race and lasts as long as the delay has not fired yet. */
TEST(a_failure_starts_the_next_at_once)
{
  qn_timer_t after = {0};
  begin_stream();
  site_open("127.0.0.1", DEAD);
  site_open("127.0.0.2", DEAD);
  site_open("::1", DEAD);
  site_open("127.0.0.3", GOOD);
  after_fired = false;
  qn_timer_start(wire.loop, &after, qn_loop_fresh(wire.loop) + QN_DIAL_DELAY_MAX_MS, on_after);
  CHECK_INT(race(QN_DIAL_DELAY_MAX_MS), 0);
  CHECK(!after_fired);
  CHECK(peer_is(3));
  qn_timer_stop(wire.loop, &after);
  end_stream();
}

TEST(silence_starts_the_next_after_the_delay)
{
  qn_timer_t after = {0};
  begin_stream();
  site_open("127.0.0.1", SILENT);
  site_open("::1", GOOD);
  int before = open_fds();
  after_fired = false;
  qn_timer_start(wire.loop, &after, qn_loop_fresh(wire.loop) + 100, on_after);
  CHECK_INT(race(150), 0);
  CHECK(after_fired);
  CHECK(peer_is(1));
  CHECK_INT(open_fds(), before + 1); /* the loser's descriptor is gone */
  qn_timer_stop(wire.loop, &after);
  end_stream();
}

TEST(the_delay_does_not_end_the_earlier_attempt)
{
  begin_stream();
  site_open("127.0.0.1", SILENT);
  site_open("127.0.0.2", SILENT);
  site_open("127.0.0.3", SILENT);
  int before = open_fds();
  start_with((qn_dial_opts_t){.attempt_delay = SOON});
  WAIT_UNTIL(open_fds() == before + 3);                       /* all of them run */
  int taken = accept4(sites[0].fd, NULL, NULL, SOCK_CLOEXEC); /* room: its next SYN is answered */
  CHECK(taken >= 0);
  while (sites[0].n > 0) {
    close(sites[0].fill[--sites[0].n]);
    if (came(0)) {
      close(accept4(sites[0].fd, NULL, NULL, SOCK_CLOEXEC));
    }
  }
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(0));
  close(taken);
  end_stream();
}

TEST(at_most_one_connection_survives)
{
  int lost = 0;
  for (int round = 0; round < 5; round++) {
    int fds[3], n = 0, live = 0;
    TEST_ROUND("%d", round);
    begin_stream();
    site_open("127.0.0.1", SILENT);
    site_open("::1", GOOD);
    site_open("127.0.0.2", GOOD);
    CHECK_INT(race(SOON), 0);
    int sent = qn_stream_write(stream, NULL, NULL, &(qn_slice_t){(const uint8_t *)"x", 1}, 1);
    CHECK_INT(sent, 0);
    turns(2);
    for (int i = 1; i < 3; i++) {
      while (came(i)) {
        fds[n++] = peer_accept(sites[i].fd);
      }
    }
    for (int i = 0; i < n; i++) {
      char byte;
      ssize_t got = recv(fds[i], &byte, 1, 0);
      live += got == 1;
      lost += got != 1;
      close(fds[i]);
    }
    CHECK_INT(live, 1);
    end_stream();
  }
  (void)lost;
}

TEST(in_order_without_happy_eyeballs)
{
  begin_stream();
  site_open("::1", DEAD);
  site_open("::1", GOOD);
  site_open("127.0.0.1", GOOD);
  start_with((qn_dial_opts_t){.in_order = true});
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(1)); /* a race goes to the other family first */
  end_stream();
  begin_stream();
  site_open("::1", DEAD);
  site_open("::1", GOOD);
  site_open("127.0.0.1", GOOD);
  CHECK_INT(race(0), 0);
  CHECK(peer_is(2));
  end_stream();
}

TEST(many_addresses)
{
  qn_addr_t v[QN_RESOLVE_MAX + 10];
  begin_stream();
  site_open("127.0.0.1", GOOD);
  site_open("127.0.0.2", SILENT);
  for (int i = 0; i < QN_RESOLVE_MAX + 10; i++) {
    v[i] = sites[1].at;
  }
  v[QN_RESOLVE_MAX - 1] = sites[0].at; /* the last one that counts */
  start_with((qn_dial_opts_t){
      .addresses = v, .n_addresses = QN_RESOLVE_MAX + 10, .attempt_delay = 1, .timeout = 15000});
  memset(v, 0, sizeof v); /* they were copied */
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(0));
  end_stream();
}

/* --- failures -------------------------------------------------------------------------------- */

TEST(all_fail)
{
  begin_stream();
  site_open("::1", NO_ROUTE);
  qn_addr_parse(&script.v[0], "ff02::1", 9, QN_FAMILY_ANY); /* no TCP to a multicast group */
  site_open("127.0.0.1", DEAD);
  site_open("127.0.0.2", DEAD);
  CHECK_INT(race(0), -ECONNREFUSED);
  CHECK_STR(events, "host_lookup connecting HOST_FOUND unconnected ECONNREFUSED");
  const qn_dial_failure_t *v;
  REQUIRE_INT(qn_dial_failures(stream, &v), 3);
  CHECK(v[0].error != 0 && v[0].error != -ECONNREFUSED); /* not hidden */
  CHECK(qn_addr_equal(&v[0].address, &script.v[0]));
  CHECK_INT(v[1].error, -ECONNREFUSED);
  CHECK(qn_addr_equal(&v[2].address, &sites[2].at));
  site_open("127.0.0.3", GOOD); /* the same stream tries again */
  start_with(
      (qn_dial_opts_t){.address = &sites[3].at, .addresses = &sites[3].at, .n_addresses = 1});
  CHECK_INT(qn_dial_failures(stream, &v), 0);
  CHECK_INT(finish_dial(), 0);
  end_stream();
}

TEST(the_time_is_over)
{
  begin_stream();
  site_open("127.0.0.1", DEAD);
  site_open("127.0.0.2", SILENT);
  site_open("127.0.0.3", SILENT);
  int before = open_fds();
  start_with((qn_dial_opts_t){.attempt_delay = SOON, .timeout = 80});
  CHECK_INT(finish_dial(), QN_E_TIMEOUT);
  CHECK_STR(qn_dial_phase(stream), "connect");
  CHECK_STR(failures_text(), "127.0.0.1 ECONNREFUSED, 127.0.0.2 TIMEOUT, 127.0.0.3 TIMEOUT");
  CHECK_INT(open_fds(), before);
  end_stream();
}

TEST(no_descriptor_left_for_the_next_attempt)
{
  struct rlimit old, low;
  begin_stream();
  site_open("127.0.0.1", SILENT);
  site_open("127.0.0.2", GOOD);
  start_with((qn_dial_opts_t){.attempt_delay = 60});
  turns(1); /* the first attempt runs */
  REQUIRE_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
  low = old;
  low.rlim_cur = 0;
  REQUIRE_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
  qn_timer_t after = {0};
  after_fired = false;
  qn_timer_start(wire.loop, &after, qn_loop_fresh(wire.loop) + 100, on_after);
  WAIT_UNTIL(after_fired);
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK(!dialled.done); /* the second has failed to start and the first goes on */
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(1)); /* tried again */
  end_stream();
  begin_stream();
  site_open("127.0.0.1", GOOD);
  site_open("127.0.0.2", GOOD);
  setrlimit(RLIMIT_NOFILE, &low);
  qn_dial_opts_t opts = {.addresses = script.v, .n_addresses = 2};
  REQUIRE_INT(qn_dial(stream, &opts, op_new(&dialled)), QN_AGAIN);
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK_INT(finish_dial(), -EMFILE);
  end_stream();
}

/* --- answers that come late ------------------------------------------------------------------ */

static void start_by_name(bool in_order)
{
  start_with((qn_dial_opts_t){.host = "script.test",
                              .attempt_delay = QN_DIAL_DELAY_MAX_MS,
                              .timeout = 15000,
                              .in_order = in_order});
  CHECK(script.asked);
  CHECK_INT(script.stepwise, !in_order);
}

TEST(a_late_answer_is_tried_when_all_others_have_failed)
{
  begin_stream();
  site_open("::1", DEAD);
  site_open("127.0.0.1", GOOD);
  start_by_name(false);
  answer(1, true);
  turns(20);
  CHECK(!dialled.done);
  CHECK_STR(events, "host_lookup connecting HOST_FOUND");
  answer(2, false);
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(1));
  CHECK(script.ended);
  CHECK_STR(events, "host_lookup connecting HOST_FOUND connected CONNECTED");
  end_stream();
}

TEST(a_late_answer_that_brings_nothing)
{
  for (int more = 0; more < 2; more++) {
    begin_stream();
    site_open("::1", DEAD);
    start_by_name(false);
    answer(1, true);
    turns(20);
    CHECK(!dialled.done);
    if (more != 0) { /* and a later one neither */
      answer(1, true);
      turns(20);
      CHECK(!dialled.done);
    }
    answer(1, false);
    CHECK_INT(finish_dial(), -ECONNREFUSED);
    CHECK(script.ended);
    end_stream();
  }
}

TEST(a_late_answer_waits_for_the_delay)
{
  begin_stream();
  site_open("::1", SILENT);
  site_open("127.0.0.1", GOOD);
  start_with((qn_dial_opts_t){.host = "script.test", .attempt_delay = 300});
  answer(1, true);
  turns(5);
  answer(2, false);
  turns(20);
  CHECK(!came(1));
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(1));
  end_stream();
}

TEST(a_late_answer_after_the_delay_is_tried_at_once)
{
  qn_timer_t after = {0};
  begin_stream();
  site_open("::1", SILENT);
  site_open("127.0.0.1", GOOD);
  start_with((qn_dial_opts_t){.host = "script.test", .attempt_delay = SOON});
  answer(1, true);
  after_fired = false;
  qn_timer_start(wire.loop, &after, qn_loop_fresh(wire.loop) + 5 * SOON, on_after);
  WAIT_UNTIL(after_fired);
  CHECK(!dialled.done);
  answer(2, true); /* a third one never comes */
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(1));
  CHECK(script.op == NULL && script.ended); /* the look-up was ended, too */
  end_stream();
}

TEST(a_look_up_that_fails_in_its_second_step)
{
  begin_stream();
  site_open("::1", GOOD);
  start_by_name(false);
  answer(1, true);
  CHECK_INT(finish_dial(), 0);
  end_stream();
  begin_stream();
  site_open("::1", DEAD);
  start_by_name(false);
  answer(1, true);
  turns(20);
  qn_op_cancel(script.op, QN_E_TIMEOUT);
  CHECK_INT(finish_dial(), -ECONNREFUSED);
  end_stream();
}

TEST(one_address_is_not_raced)
{
  begin_stream();
  site_open("127.0.0.1", GOOD);
  start_by_name(false);
  answer(1, false);
  char layers[64];
  turns(1);
  if (!dialled.done) {
    qn_stream_describe(stream, layers, sizeof layers);
    CHECK_STR(layers, "socket");
  }
  CHECK_INT(finish_dial(), 0);
  end_stream();
}

TEST(in_order_asks_for_the_whole_answer)
{
  begin_stream();
  site_open("::1", DEAD);
  site_open("127.0.0.1", GOOD);
  start_by_name(true);
  answer(2, false);
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(1));
  end_stream();
}

/* --- sockets of one's own -------------------------------------------------------------------- */

TEST(options_reach_every_attempt)
{
  int64_t value = 0;
  begin_stream();
  CHECK_INT(qn_stream_set_option(stream, "keepalive", 1), 0);
  site_open("127.0.0.1", SILENT);
  site_open("::1", GOOD);
  start_with((qn_dial_opts_t){.attempt_delay = 100});
  turns(1);
  CHECK_INT(qn_stream_set_option(stream, "keepalive_idle", 77), 0); /* while they run */
  CHECK_INT(qn_stream_get_option(stream, "keepalive_idle", &value), 0);
  CHECK_INT(value, 77);
  qn_addr_t a;
  CHECK_INT(qn_stream_local_addr(stream, &a), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_stream_fd(stream), -1);
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(1));
  CHECK_INT(qn_stream_get_option(stream, "keepalive", &value), 0);
  CHECK_INT(value, 1);
  CHECK_INT(qn_stream_get_option(stream, "keepalive_idle", &value), 0);
  CHECK_INT(value, 77);
  CHECK_INT(qn_stream_get_option(stream, "nodelay", &value), 0);
  CHECK_INT(value, 1);
  end_stream();
}

TEST(a_local_address_leaves_the_other_family_out)
{
  qn_addr_t local, seen;
  begin_stream();
  qn_addr_parse(&local, "127.0.0.9", 0, QN_FAMILY_ANY);
  site_open("::1", GOOD);
  site_open("127.0.0.1", SILENT);
  site_open("127.0.0.2", GOOD);
  start_with((qn_dial_opts_t){.attempt_delay = SOON, .bind = &local});
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(2));
  CHECK(!came(0));
  CHECK_INT(qn_stream_local_addr(stream, &seen), 0);
  qn_addr_set_port(&seen, 0);
  CHECK(qn_addr_equal(&seen, &local));
  end_stream();
  begin_stream();
  site_open("::1", GOOD);
  site_open("::1", GOOD);
  start_with((qn_dial_opts_t){.bind = &local});
  CHECK_INT(finish_dial(), -EAFNOSUPPORT);
  end_stream();
}

TEST(a_bound_stream_walks)
{
  qn_addr_t local, seen;
  begin_stream();
  qn_addr_parse(&local, "127.0.0.9", 0, QN_FAMILY_ANY);
  REQUIRE_INT(qn_stream_bind(stream, &local, 0), 0);
  REQUIRE_INT(qn_stream_local_addr(stream, &local), 0);
  site_open("127.0.0.1", DEAD);
  site_open("::1", GOOD);
  site_open("127.0.0.2", GOOD);
  start_with((qn_dial_opts_t){.timeout = 15000});
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(2));
  CHECK_INT(qn_stream_local_addr(stream, &seen), 0);
  CHECK(qn_addr_equal(&seen, &local)); /* also in the second attempt */
  end_stream();
}

static void on_trace(const qn_trace_event_t *e, void *data)
{
  int *opened = data;
  *opened += e->what == QN_TRACE_OPEN;
}

TEST(beneath_a_trace)
{
  int opened = 0;
  char text[8];
  begin_stream();
  qn_loop_set_trace(wire.loop, on_trace, &opened);
  site_open("127.0.0.1", SILENT);
  site_open("::1", GOOD);
  CHECK_INT(race(SOON), 0);
  CHECK_INT(opened, 1);
  int fd = peer_accept(sites[1].fd);
  send(fd, "hello", 5, 0);
  CHECK_INT(want(stream, QN_WANT_EXACT, 5), 5);
  CHECK(got_is(stream, "hello"));
  CHECK_INT(qn_stream_write(stream, NULL, NULL, &(qn_slice_t){(const uint8_t *)"you", 3}, 1), 0);
  turns(2);
  CHECK_INT(recv(fd, text, sizeof text, 0), 3);
  close(fd);
  end_stream();
}

TEST(what_was_written_and_wanted_before)
{
  char text[8];
  wire_op_t w;
  qn_got_t got;
  begin_stream();
  site_open("127.0.0.1", SILENT);
  site_open("::1", GOOD);
  start_with((qn_dial_opts_t){.attempt_delay = SOON});
  CHECK_INT(qn_stream_write(stream, NULL, NULL, &(qn_slice_t){(const uint8_t *)"early", 5}, 1), 0);
  int rc = qn_stream_want(stream, op_new(&w), &(qn_want_t){.kind = QN_WANT_SOME}, &got);
  REQUIRE_INT(rc, QN_AGAIN);
  CHECK_INT(finish_dial(), 0);
  int fd = peer_accept(sites[1].fd);
  turns(2);
  CHECK_INT(recv(fd, text, sizeof text, 0), 5);
  send(fd, "hi", 2, 0);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  CHECK(got_is(stream, "hi"));
  close(fd);
  end_stream();
}

/* --- ends ------------------------------------------------------------------------------------ */

TEST(interrupted_at_any_moment)
{
  for (int how = 0; how < 5; how++) {
    for (int when = 0; when < 4; when++) {
      static const int64_t results[] = {QN_E_CANCELLED, QN_E_TIMEOUT, QN_E_CLOSED, QN_E_CLOSED};
      TEST_ROUND("how %d, when %d", how, when);
      begin_stream();
      site_open("127.0.0.1", SILENT);
      site_open("127.0.0.2", SILENT);
      site_open("::1", DEAD);
      int before = open_fds();
      start_with((qn_dial_opts_t){.host = "script.test", .attempt_delay = SOON});
      if (when > 0) {
        answer(when > 1 ? 2 : 1, true);
        WAIT_UNTIL(open_fds() == before + (when > 1 ? 2 : 1)); /* attempts run */
      }
      if (when == 3) {
        answer(3, true);
      }
      switch (how) {
      case 0: CHECK(qn_op_cancel(&dialled.op, QN_E_CANCELLED)); break;
      case 1: qn_op_deadline(&dialled.op, qn_loop_now(wire.loop), QN_E_TIMEOUT); break;
      case 2: qn_stream_close(stream); break;
      case 3: qn_stream_abort(stream); break;
      default: qn_op_forget(&dialled.op); break;
      }
      if (how < 4) {
        CHECK_INT(finish_dial(), results[how]);
      }
      CHECK_INT(open_fds(), before);
      CHECK(script.op == NULL && script.ended);
      CHECK_INT(qn_stream_state(stream), QN_STATE_UNCONNECTED);
      CHECK(strstr(events, "CONNECTED") == NULL && strstr(events, "unconnected") != NULL);
      turns(3);
      if (how < 4) {
        CHECK(dialled.done);
      }
      if (how != 2 && how != 3) { /* as new */
        site_open("127.0.0.4", GOOD);
        qn_dial_opts_t again = {.address = &sites[3].at};
        REQUIRE_INT(qn_dial(stream, &again, op_new(&dialled)), QN_AGAIN);
        CHECK_INT(finish_dial(), 0);
      }
      end_stream();
    }
  }
}

/* Somebody has won, but the caller has not been told yet. */
TEST(interrupted_after_the_win)
{
  for (int how = 0; how < 2; how++) {
    begin_stream();
    site_open("127.0.0.1", DEAD);
    site_open("::1", GOOD);
    start_with((qn_dial_opts_t){0});
    WAIT_UNTIL(came(1));
    if (how == 0) {
      qn_stream_abort(stream);
    } else {
      qn_op_cancel(&dialled.op, QN_E_CANCELLED);
    }
    WAIT_UNTIL(dialled.done);
    end_stream();
  }
}

TEST(released_while_racing)
{
  begin_stream();
  site_open("127.0.0.1", SILENT);
  site_open("127.0.0.2", SILENT);
  start_with((qn_dial_opts_t){.attempt_delay = SOON});
  turns(2);
  qn_stream_retain(stream);
  qn_streams_abort(wire.loop);
  WAIT_UNTIL(dialled.done);
  CHECK_INT(dialled.result, QN_E_CLOSED);
  qn_stream_release(stream);
  end_stream();
}

TEST(no_memory_anywhere)
{
  for (uint64_t nth = 1; nth < 80; nth++) {
    TEST_ROUND("allocation %d", (int)nth);
    begin_stream();
    site_open("127.0.0.1", SILENT);
    site_open("127.0.0.2", DEAD);
    site_open("::1", GOOD);
    int before = open_fds();
    qn_alloc_fail_at(nth);
    qn_dial_opts_t opts = {.host = "script.test", .attempt_delay = SOON, .timeout = 15000};
    int64_t rc = qn_dial(stream, &opts, op_new(&dialled));
    if (rc == QN_AGAIN) {
      if (script.op != NULL) { /* else its deadline has found no memory */
        answer(1, true);
      }
      turns(2);
      if (script.op != NULL) {
        answer(3, false);
      }
      rc = finish_dial();
    }
    CHECK(rc == 0 || rc == -ENOMEM);
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    CHECK_INT(open_fds(), before + (rc == 0));
    CHECK_INT(qn_stream_state(stream), rc == 0 ? QN_STATE_CONNECTED : QN_STATE_UNCONNECTED);
    end_stream();
    if (!failed) {
      CHECK(nth > 5);
      return;
    }
  }
  FAIL("the failing allocation never came to an end");
}

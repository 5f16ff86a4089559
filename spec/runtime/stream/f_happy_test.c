/* f_happy_test.c: races of addresses: who wins, when the next one starts, what becomes of losers.
 *
 * Answers that come late and ends of races are in f_happy_late_test.c.
 */
#include "race_rig.h"

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

/* The first site is dead, the others are silent. `last`: the time suffices, whatever became of it.
 */
static bool time_is_over(qn_dial_opts_t opts, int n, const char *failures, bool last)
{
  static const char *const hosts[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
  begin_stream();
  for (int i = 0; i < n; i++) {
    site_open(hosts[i], i == 0 ? DEAD : SILENT);
  }
  int before = open_fds();
  start_with(opts);
  CHECK_INT(finish_dial(), QN_E_TIMEOUT);
  CHECK_STR(qn_dial_phase(stream), "connect");
  bool complete = strcmp(failures_text(), failures) == 0;
  if (last) {
    CHECK_STR(failures_text(), failures);
  }
  CHECK_INT(open_fds(), before);
  end_stream();
  return complete;
}

/* A limit that suffices for all attempts to begin: it grows where the machine is slow. */
TEST(the_time_is_over)
{
  bool complete = false;
  for (uint64_t limit = 80; !complete && limit < 10000; limit *= 8) {
    complete =
        time_is_over((qn_dial_opts_t){.attempt_delay = SOON, .timeout = limit}, 3,
                     "127.0.0.1 ECONNREFUSED, 127.0.0.2 TIMEOUT, 127.0.0.3 TIMEOUT", limit > 1250);
  }
  complete = false;
  for (uint64_t limit = 50; !complete && limit < 10000; limit *= 8) {
    complete = time_is_over((qn_dial_opts_t){.in_order = true, .timeout = limit}, 2,
                            "127.0.0.1 ECONNREFUSED, 127.0.0.2 TIMEOUT", limit > 1250);
  }
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

/* Two attempts from one local port go to different peers. */
TEST(a_local_port_serves_every_attempt)
{
  qn_addr_t local, seen;
  begin_stream();
  site_open("127.0.0.8", DEAD); /* its port is free on other addresses, most likely */
  qn_addr_parse(&local, "127.0.0.9", qn_addr_port(&sites[0].at), QN_FAMILY_ANY);
  script.v[0] = sites[0].at;
  site_open("127.0.0.1", SILENT);
  site_open("127.0.0.2", GOOD);
  start_with((qn_dial_opts_t){.attempt_delay = SOON, .bind = &local});
  CHECK_INT(finish_dial(), 0);
  CHECK(peer_is(2));
  CHECK_INT(qn_stream_local_addr(stream, &seen), 0);
  CHECK(qn_addr_equal(&seen, &local));
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

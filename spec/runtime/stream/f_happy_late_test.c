/* f_happy_late_test.c: races whose addresses come late, and races that are ended from outside.
 */
#include "race_rig.h"

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
  qn_timer_t after = {0};
  begin_stream();
  site_open("::1", SILENT);
  site_open("127.0.0.1", GOOD);
  after_fired = false;
  qn_timer_start(wire.loop, &after, qn_loop_fresh(wire.loop) + 250, on_after);
  start_with((qn_dial_opts_t){.host = "script.test", .attempt_delay = 300});
  answer(1, true);
  turns(5);
  answer(2, false);
  turns(20);
  CHECK(!came(1) || after_fired);
  CHECK_INT(finish_dial(), 0);
  CHECK(after_fired);
  CHECK(peer_is(1));
  qn_timer_stop(wire.loop, &after);
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

TEST(a_local_address_asks_for_its_family)
{
  static const struct {
    const char *local;
    qn_family_t given, asked;
  } cases[] = {
      {"127.0.0.9", QN_FAMILY_ANY, QN_FAMILY_IPV4},  {"::1", QN_FAMILY_ANY, QN_FAMILY_IPV6},
      {"0.0.0.0", QN_FAMILY_ANY, QN_FAMILY_ANY},     {"::", QN_FAMILY_ANY, QN_FAMILY_ANY},
      {"127.0.0.9", QN_FAMILY_IPV6, QN_FAMILY_IPV6},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    qn_addr_t local;
    TEST_ROUND("%zu", i);
    begin_stream();
    qn_addr_parse(&local, cases[i].local, 0, QN_FAMILY_ANY);
    start_with((qn_dial_opts_t){.host = "script.test", .bind = &local, .family = cases[i].given});
    CHECK_INT(script.family, cases[i].asked);
    qn_stream_abort(stream);
    CHECK_INT(finish_dial(), QN_E_CLOSED);
    end_stream();
  }
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

/* Bytes that were written are sent although nobody holds the stream open any more. */
TEST(closed_with_bytes_to_send)
{
  char text[8];
  begin_stream();
  site_open("127.0.0.1", SILENT);
  site_open("::1", GOOD);
  start_with((qn_dial_opts_t){.attempt_delay = SOON});
  CHECK_INT(qn_stream_write(stream, NULL, NULL, &(qn_slice_t){(const uint8_t *)"early", 5}, 1), 0);
  qn_stream_close(stream);
  CHECK_INT(finish_dial(), 0);
  int fd = peer_accept(sites[1].fd);
  turns(3);
  CHECK_INT(recv(fd, text, sizeof text, 0), 5);
  CHECK_INT(recv(fd, text, sizeof text, 0), 0);
  close(fd);
  end_stream();
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

/* dial_test.c: connecting: order of events, address walk, time-outs, cancellation at every stage.
 */
#include "qn/dial.h"

#include "test.h"
#include "wire.h"

#include "fake_names.h"

typedef struct log {
  char text[512];
} log_t;

static void note(log_t *log, const char *text)
{
  size_t used = strlen(log->text);
  snprintf(log->text + used, sizeof log->text - used, "%s%s", used > 0 ? " " : "", text);
}

static void observe(qn_stream_t *s, qn_event_t event, int64_t arg, void *data)
{
  (void)s;
  switch (event) {
  case QN_EVENT_STATE: note(data, qn_state_name((qn_state_t)arg)); break;
  case QN_EVENT_HOST_FOUND: note(data, "HOST_FOUND"); break;
  case QN_EVENT_CONNECTED: note(data, "CONNECTED"); break;
  case QN_EVENT_ERROR: note(data, qn_err_name((int)arg)); break;
  case QN_EVENT_DISCONNECTED: note(data, "DISCONNECTED"); break;
  default: break;
  }
}

static qn_stream_t *stream_new(log_t *log)
{
  qn_stream_t *s = qn_stream_new(wire.loop);
  REQUIRE(s != NULL);
  if (log != NULL) {
    log->text[0] = '\0';
    qn_stream_observe(s, UINT32_MAX, observe, log);
  }
  return s;
}

static int64_t dial_with(qn_stream_t *s, const qn_dial_opts_t *opts)
{
  wire_op_t w;
  int rc = qn_dial(s, opts, op_new(&w));
  if (rc != QN_AGAIN) {
    return rc;
  }
  CHECK(!w.done); /* never inside the call */
  WAIT_UNTIL(w.done);
  return w.result;
}

static int64_t dial(qn_stream_t *s, const char *host, uint16_t port)
{
  return dial_with(s, &(qn_dial_opts_t){.host = host, .port = port, .timeout = 10000});
}

/* A port on which nobody listens: it is bound until the next call, so that nobody else gets it. */
static uint16_t dead_port(void)
{
  static int held = -1;
  qn_addr_t at = loopback(0);
  socklen_t size = sizeof at.u;
  if (held >= 0) {
    close(held);
  }
  held = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE_INT(bind(held, &at.u.sa, at.size), 0);
  REQUIRE_INT(getsockname(held, &at.u.sa, &size), 0);
  return qn_addr_port(&at);
}

/* A listener whose backlog is full: a connection to it is never answered. */
typedef struct full {
  int l, fds[64], n;
  qn_addr_t at;
} full_t;

static void full_begin(full_t *f)
{
  f->l = peer_listen(&f->at, 0);
  f->n = peer_fill(f->l, &f->at, f->fds, 64);
}

static void full_end(full_t *f)
{
  for (int i = 0; i < f->n; i++) {
    close(f->fds[i]);
  }
  close(f->l);
}

/* --- success --------------------------------------------------------------------------------- */

TEST(a_literal_and_the_order_of_events)
{
  log_t log;
  qn_addr_t at, seen;
  int64_t nodelay = 0;
  loop_begin();
  names_begin();
  int l = peer_listen(&at, 4);
  qn_stream_t *s = stream_new(&log);
  CHECK_STR(qn_dial_phase(s), "");
  CHECK_INT(dial(s, "127.0.0.1", qn_addr_port(&at)), 0);
  CHECK_STR(log.text, "host_lookup connecting HOST_FOUND connected CONNECTED");
  CHECK_INT(names_asked(), 0);
  CHECK_INT(qn_stream_state(s), QN_STATE_CONNECTED);
  CHECK_STR(qn_dial_phase(s), "connect");
  CHECK_INT(qn_stream_peer_addr(s, &seen), 0);
  CHECK(qn_addr_equal(&at, &seen));
  CHECK_INT(qn_stream_get_option(s, "nodelay", &nodelay), 0);
  CHECK_INT(nodelay, 1);
  int fd = peer_accept(l);
  send(fd, "hello", 5, 0);
  CHECK_INT(want(s, QN_WANT_EXACT, 5), 5);
  CHECK(got_is(s, "hello"));
  CHECK_INT(dial(s, "127.0.0.1", 1), QN_E_IS_CONNECTED);
  stream_end(s);
  close(fd);
  close(l);
  names_end();
  loop_end();
}

TEST(a_name)
{
  log_t log;
  qn_addr_t at;
  loop_begin();
  names_begin();
  int l = peer_listen(&at, 4);
  qn_stream_t *s = stream_new(&log);
  CHECK_INT(dial(s, "one.test", qn_addr_port(&at)), 0);
  CHECK_STR(log.text, "host_lookup connecting HOST_FOUND connected CONNECTED");
  CHECK_INT(names_asked(), 1);
  stream_end(s);
  close(l);
  names_end();
  loop_end();
}

TEST(the_next_address_is_tried_after_a_refusal)
{
  log_t log;
  qn_addr_t at, seen;
  loop_begin();
  names_begin();
  int l = peer_listen(&at, 4); /* on 127.0.0.1, the second address; nobody is on 127.0.0.2 */
  qn_stream_t *s = stream_new(&log);
  CHECK_INT(dial(s, "two.test", qn_addr_port(&at)), 0);
  CHECK_STR(log.text, "host_lookup connecting HOST_FOUND connected CONNECTED");
  qn_stream_peer_addr(s, &seen);
  CHECK(qn_addr_equal(&at, &seen));
  stream_end(s);
  close(l);
  names_end();
  loop_end();
}

TEST(a_unix_address_needs_no_look_up)
{
  char name[40];
  log_t log;
  qn_addr_t at;
  loop_begin();
  snprintf(name, sizeof name, "@qn-dial-test-%ld", (long)getpid());
  qn_addr_unix(&at, name, strlen(name));
  int l = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE_INT(bind(l, &at.u.sa, at.size), 0);
  REQUIRE_INT(listen(l, 1), 0);
  qn_stream_t *s = stream_new(&log);
  CHECK_INT(dial_with(s, &(qn_dial_opts_t){.address = &at}), 0);
  CHECK_STR(log.text, "connecting connected CONNECTED");
  stream_end(s);
  close(l);
  s = stream_new(&log);
  CHECK_INT(dial_with(s, &(qn_dial_opts_t){.address = &at}), -ECONNREFUSED);
  CHECK_STR(log.text, "connecting unconnected ECONNREFUSED");
  qn_addr_unix(&at, "/nowhere/at/all", 15);
  CHECK_INT(dial_with(s, &(qn_dial_opts_t){.address = &at}),
            -ENOENT); /* the stream can be used again */
  stream_end(s);
  loop_end();
}

TEST(a_full_unix_backlog_is_waited_for)
{
  char name[40];
  qn_addr_t at;
  int fds[64], n = 0;
  loop_begin();
  snprintf(name, sizeof name, "@qn-dial-full-%ld", (long)getpid());
  qn_addr_unix(&at, name, strlen(name));
  int l = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE_INT(bind(l, &at.u.sa, at.size), 0);
  REQUIRE_INT(listen(l, 0), 0);
  for (; n < 64; n++) {
    fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fds[n], &at.u.sa, at.size) < 0) {
      close(fds[n]);
      break;
    }
  }
  qn_stream_t *s = stream_new(NULL);
  CHECK_INT(dial_with(s, &(qn_dial_opts_t){.address = &at, .timeout = 30}), QN_E_TIMEOUT);
  stream_end(s);
  int taken = accept(l, NULL, NULL); /* room for one */
  CHECK(taken >= 0);
  s = stream_new(NULL);
  CHECK_INT(dial_with(s, &(qn_dial_opts_t){.address = &at, .timeout = 5000}), 0);
  stream_end(s);
  close(taken);
  while (n > 0) {
    close(fds[--n]);
  }
  close(l);
  loop_end();
}

TEST(what_was_written_before_goes_out_after)
{
  char text[8];
  qn_addr_t at;
  wire_op_t w;
  loop_begin();
  int l = peer_listen(&at, 4);
  qn_stream_t *s = stream_new(NULL);
  qn_dial_opts_t opts = {.host = "127.0.0.1", .port = qn_addr_port(&at)};
  REQUIRE_INT(qn_dial(s, &opts, op_new(&w)), QN_AGAIN);
  CHECK_INT(qn_stream_write(s, NULL, NULL, &(qn_slice_t){(const uint8_t *)"early", 5}, 1), 0);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  turns(2);
  int fd = peer_accept(l);
  CHECK_INT(recv(fd, text, sizeof text, 0), 5);
  close(fd);
  close(l);
  stream_end(s);
  loop_end();
}

/* --- failure --------------------------------------------------------------------------------- */

TEST(refused)
{
  log_t log;
  loop_begin();
  uint16_t port = dead_port();
  qn_stream_t *s = stream_new(&log);
  CHECK_INT(dial(s, "127.0.0.1", port), -ECONNREFUSED);
  CHECK_STR(log.text, "host_lookup connecting HOST_FOUND unconnected ECONNREFUSED");
  CHECK_INT(qn_stream_error(s), -ECONNREFUSED);
  CHECK_INT(qn_stream_state(s), QN_STATE_UNCONNECTED);
  qn_addr_t at; /* and the same stream may try again */
  int l = peer_listen(&at, 1);
  CHECK_INT(dial(s, "127.0.0.1", qn_addr_port(&at)), 0);
  stream_end(s);
  close(l);
  loop_end();
}

TEST(not_found)
{
  log_t log;
  loop_begin();
  names_begin();
  qn_stream_t *s = stream_new(&log);
  CHECK_INT(dial(s, "none.test", 80), QN_E_HOST_NOT_FOUND);
  CHECK_STR(log.text, "host_lookup unconnected HOST_NOT_FOUND");
  CHECK_STR(qn_dial_phase(s), "dns");
  stream_end(s);
  names_end();
  loop_end();
}

TEST(mistakes_are_told_at_once_and_change_nothing)
{
  log_t log;
  wire_op_t w;
  qn_addr_t none = {.size = 0};
  loop_begin();
  names_begin();
  qn_stream_t *s = stream_new(&log);
  op_new(&w);
  CHECK_INT(qn_dial(s, &(qn_dial_opts_t){.host = ""}, &w.op), QN_E_INVALID);
  CHECK_INT(qn_dial(s, &(qn_dial_opts_t){.host = NULL}, &w.op), QN_E_INVALID);
  CHECK_INT(qn_dial(s, &(qn_dial_opts_t){.address = &none}, &w.op), QN_E_INVALID);
  CHECK_INT(qn_dial(s, &(qn_dial_opts_t){.host = "::1", .bind = &none}, &w.op), QN_E_INVALID);
  CHECK_INT(qn_dial(s, &(qn_dial_opts_t){.host = "::1", .family = QN_FAMILY_IPV4}, &w.op),
            QN_E_HOST_NOT_FOUND);
  CHECK(qn_op_idle(&w.op));
  CHECK_STR(log.text, "");
  CHECK_INT(qn_dial(s, &(qn_dial_opts_t){.host = "hang.test"}, &w.op), QN_AGAIN);
  wire_op_t second;
  CHECK_INT(qn_dial(s, &(qn_dial_opts_t){.host = "::1"}, op_new(&second)), QN_E_IS_CONNECTED);
  qn_stream_close(s);
  CHECK_INT(qn_dial(s, &(qn_dial_opts_t){.host = "::1"}, &second.op), QN_E_CLOSED);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  qn_stream_release(s);
  names_end();
  loop_end();
}

/* A free port of the ephemeral range: sooner or later the kernel connects such a socket to itself.
 */
TEST(a_socket_connected_to_itself_counts_as_refused)
{
  qn_addr_t at = loopback(0), port_taken;
  loop_begin();
  int probe = socket(AF_INET, SOCK_STREAM, 0);
  socklen_t size = sizeof port_taken.u;
  REQUIRE_INT(bind(probe, &at.u.sa, at.size), 0);
  getsockname(probe, &port_taken.u.sa, &size);
  port_taken.size = size;
  close(probe);
  qn_stream_t *s = stream_new(NULL);
  REQUIRE_INT(qn_stream_bind(s, &port_taken, 0), 0);
  CHECK_INT(dial(s, "127.0.0.1", qn_addr_port(&port_taken)), -ECONNREFUSED);
  stream_end(s);
  loop_end();
}

/* --- time ------------------------------------------------------------------------------------ */

TEST(connect_times_out)
{
  full_t full;
  log_t log;
  loop_begin();
  full_begin(&full);
  qn_stream_t *s = stream_new(&log);
  qn_dial_opts_t opts = {.host = "127.0.0.1", .port = qn_addr_port(&full.at), .timeout = 50};
  CHECK_INT(dial_with(s, &opts), QN_E_TIMEOUT);
  CHECK_STR(qn_dial_phase(s), "connect");
  CHECK_STR(log.text, "host_lookup connecting HOST_FOUND unconnected TIMEOUT");
  stream_end(s);
  full_end(&full);
  loop_end();
}

TEST(look_up_times_out)
{
  log_t log;
  loop_begin();
  names_begin();
  qn_stream_t *s = stream_new(&log);
  CHECK_INT(dial_with(s, &(qn_dial_opts_t){.host = "hang.test", .timeout = 30}), QN_E_TIMEOUT);
  CHECK_STR(qn_dial_phase(s), "dns");
  CHECK_STR(log.text, "host_lookup unconnected TIMEOUT");
  stream_end(s);
  names_end();
  loop_end();
}

/* two.test: nobody answers on the first address, so half of the time goes to the second. */
TEST(a_silent_address_leaves_time_for_the_next)
{
  enum { ON = 1 };
  full_t full;
  qn_addr_t at, second;
  int on = ON;
  loop_begin();
  names_begin();
  /* The full listener sits on 127.0.0.2, the good one on 127.0.0.1, both on the same port. */
  full_begin(&full);
  full_end(&full);
  qn_addr_parse(&at, "127.0.0.2", qn_addr_port(&full.at), QN_FAMILY_ANY);
  full.l = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(full.l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE_INT(bind(full.l, &at.u.sa, at.size), 0);
  REQUIRE_INT(listen(full.l, 0), 0);
  for (full.n = 0; full.n < 8; full.n++) { /* more than it takes */
    full.fds[full.n] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)connect(full.fds[full.n], &at.u.sa, at.size);
  }
  second = loopback(qn_addr_port(&full.at));
  int l = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE_INT(bind(l, &second.u.sa, second.size), 0);
  REQUIRE_INT(listen(l, 4), 0);
  qn_stream_t *s = stream_new(NULL);
  qn_dial_opts_t opts = {.host = "two.test", .port = qn_addr_port(&second), .timeout = 4400};
  CHECK_INT(dial_with(s, &opts), 0);
  qn_stream_peer_addr(s, &at);
  CHECK(qn_addr_equal(&at, &second));
  stream_end(s);
  close(l);
  full_end(&full);
  names_end();
  loop_end();
}

/* --- cancellation and closing ---------------------------------------------------------------- */

typedef enum how { CANCEL, DEADLINE, CLOSE, ABORT, FORGET, HOW_COUNT } how_t;

static void interrupt(qn_stream_t *s, wire_op_t *w, how_t how)
{
  static const int results[] = {QN_E_CANCELLED, QN_E_TIMEOUT, QN_E_CLOSED, QN_E_CLOSED};
  switch (how) {
  case CANCEL: CHECK(qn_op_cancel(&w->op, QN_E_CANCELLED)); break;
  case DEADLINE: qn_op_deadline(&w->op, qn_loop_now(wire.loop), QN_E_TIMEOUT); break;
  case CLOSE: qn_stream_close(s); break;
  case ABORT: qn_stream_abort(s); break;
  default:
    qn_op_forget(&w->op);
    turns(3);
    CHECK(!w->done);
    return;
  }
  WAIT_UNTIL(w->done);
  CHECK_INT(w->result, results[how]);
}

TEST(interrupted_look_up)
{
  for (how_t how = CANCEL; how < HOW_COUNT; how++) {
    log_t log;
    wire_op_t w;
    TEST_ROUND("%d", (int)how);
    loop_begin();
    names_begin();
    qn_stream_t *s = stream_new(&log);
    REQUIRE_INT(qn_dial(s, &(qn_dial_opts_t){.host = "hang.test"}, op_new(&w)), QN_AGAIN);
    WAIT_UNTIL(names_hanging() == 1);
    interrupt(s, &w, how);
    CHECK_INT(qn_stream_state(s), QN_STATE_UNCONNECTED);
    CHECK_STR(log.text, "host_lookup unconnected");
    names_end(); /* the answer comes to nobody */
    if (how == CANCEL || how == DEADLINE || how == FORGET) {
      qn_addr_t at; /* and the stream is as new */
      int l = peer_listen(&at, 1);
      CHECK_INT(dial(s, "127.0.0.1", qn_addr_port(&at)), 0);
      close(l);
    }
    stream_end(s);
    loop_end();
  }
}

TEST(interrupted_connect)
{
  full_t full;
  loop_begin();
  full_begin(&full);
  loop_end();
  for (how_t how = CANCEL; how < HOW_COUNT; how++) {
    log_t log;
    wire_op_t w;
    TEST_ROUND("%d", (int)how);
    loop_begin();
    qn_stream_t *s = stream_new(&log);
    qn_dial_opts_t opts = {.host = "127.0.0.1", .port = qn_addr_port(&full.at)};
    REQUIRE_INT(qn_dial(s, &opts, op_new(&w)), QN_AGAIN);
    turns(2);
    CHECK(!w.done);
    CHECK_INT(qn_stream_state(s), QN_STATE_CONNECTING);
    interrupt(s, &w, how);
    CHECK_INT(qn_stream_state(s), QN_STATE_UNCONNECTED);
    CHECK_STR(log.text, "host_lookup connecting HOST_FOUND unconnected");
    if (how == CANCEL || how == DEADLINE || how == FORGET) {
      qn_addr_t at;
      int l = peer_listen(&at, 1);
      CHECK_INT(dial(s, "127.0.0.1", qn_addr_port(&at)), 0);
      close(l);
    }
    stream_end(s);
    loop_end();
  }
  full_end(&full);
}

/* The result is there, but `done` has not run yet. */
TEST(interrupted_between_settling_and_done)
{
  for (int how = 0; how < 3; how++) {
    qn_addr_t at;
    wire_op_t w;
    TEST_ROUND("%d", how);
    loop_begin();
    int l = peer_listen(&at, 4);
    qn_stream_t *s = stream_new(NULL);
    qn_addr_t unix_at;
    qn_addr_unix(&unix_at, "/nowhere/at/all", 15);
    REQUIRE_INT(qn_dial(s, &(qn_dial_opts_t){.address = &unix_at}, op_new(&w)), QN_AGAIN);
    CHECK(!qn_op_cancel(&w.op, QN_E_CANCELLED)); /* settled already */
    if (how == 0) {
      qn_op_forget(&w.op);
    } else if (how == 1) {
      qn_stream_close(s);
    }
    turns(2);
    CHECK_INT(w.done, how != 0);
    stream_end(s);
    close(l);
    loop_end();
  }
}

TEST(a_dial_holds_its_stream)
{
  qn_addr_t at;
  wire_op_t w;
  loop_begin();
  int l = peer_listen(&at, 4);
  qn_stream_t *s = stream_new(NULL);
  qn_dial_opts_t opts = {.host = "127.0.0.1", .port = qn_addr_port(&at)};
  REQUIRE_INT(qn_dial(s, &opts, op_new(&w)), QN_AGAIN);
  qn_stream_release(s);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, 0);
  close(l);
  loop_end();
}

TEST(no_memory_anywhere)
{
  uint8_t block[40000] = {0};
  for (uint64_t nth = 1; nth < 80; nth++) {
    qn_addr_t at;
    TEST_ROUND("allocation %d", (int)nth);
    loop_begin();
    names_begin();
    int l = peer_listen(&at, 4);
    qn_stream_t *s = qn_stream_new(wire.loop);
    REQUIRE(s != NULL);
    qn_alloc_fail_at(nth);
    int64_t rc = qn_stream_set_option(s, "keepalive", 1);
    CHECK(rc == 0 || rc == -ENOMEM);
    rc = dial(s, "one.test", qn_addr_port(&at));
    CHECK(rc == 0 || rc == -ENOMEM);
    if (rc == 0) {
      int fd = peer_accept(l);
      send(fd, "hello", 5, 0);
      rc = want(s, QN_WANT_EXACT, 5);
      CHECK(rc == 5 || rc == -ENOMEM);
      int sent = qn_stream_write(s, NULL, NULL, &(qn_slice_t){block, sizeof block}, 1);
      CHECK(sent == 0 || sent == -ENOMEM || rc == -ENOMEM);
      turns(2);
      close(fd);
    } else {
      CHECK_INT(qn_stream_state(s), QN_STATE_UNCONNECTED);
    }
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    stream_end(s);
    close(l);
    names_end();
    loop_end();
    if (!failed) {
      CHECK(nth > 5);
      return;
    }
  }
  FAIL("the failing allocation never came to an end");
}

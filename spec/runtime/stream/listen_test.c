/* listen_test.c: accepting, back-pressure, shortages, Unix paths, adopted descriptors.
 * covers: runtime/stream/listen_socket.c
 */
#include "qn/listen.h"

#include "test.h"
#include "wire.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static qn_listener_t *open_on(const qn_addr_t *at, const qn_listen_opts_t *opts)
{
  qn_listener_t *l = NULL;
  REQUIRE_INT(qn_listener_open(wire.loop, at, opts, &l), 0);
  return l;
}

static qn_listener_t *open_tcp(size_t max_pending, qn_addr_t *at)
{
  qn_addr_t any = loopback(0);
  qn_listen_opts_t opts;
  qn_listen_opts_init(&opts);
  opts.max_pending = max_pending;
  qn_listener_t *l = open_on(&any, &opts);
  REQUIRE_INT(qn_listener_addr(l, at), 0);
  CHECK(qn_addr_port(at) != 0);
  return l;
}

static void listener_end(qn_listener_t *l)
{
  qn_listener_close(l);
  qn_listener_release(l);
}

static qn_stream_t *take(qn_listener_t *l)
{
  qn_stream_t *s = NULL;
  wire_op_t w;
  int rc = qn_listener_accept(l, op_new(&w), &s);
  if (rc == QN_AGAIN) {
    WAIT_UNTIL(w.done);
    rc = (int)w.result;
    s = qn_listener_taken(&w.op);
  }
  REQUIRE_INT(rc, 0);
  REQUIRE(s != NULL);
  return s;
}

/* --- the usual ------------------------------------------------------------------------------- */

TEST(a_connection_comes_as_a_connected_stream)
{
  qn_addr_t at, mine, seen;
  socklen_t size = sizeof mine.u;
  int64_t value = 0;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  int fd = peer_connect(&at);
  qn_stream_t *s = take(l);
  CHECK_INT(qn_stream_state(s), QN_STATE_CONNECTED);
  getsockname(fd, &mine.u.sa, &size);
  mine.size = size;
  CHECK_INT(qn_stream_peer_addr(s, &seen), 0);
  CHECK(qn_addr_equal(&mine, &seen));
  CHECK_INT(qn_stream_local_addr(s, &seen), 0);
  CHECK(qn_addr_equal(&at, &seen));
  CHECK_INT(qn_stream_get_option(s, "nodelay", &value), 0);
  CHECK_INT(value, 1);
  CHECK(fcntl(qn_stream_fd(s), F_GETFD) & FD_CLOEXEC);
  send(fd, "hi", 2, 0);
  CHECK_INT(want(s, QN_WANT_EXACT, 2), 2);
  CHECK(got_is(s, "hi"));
  listener_end(l); /* what was taken survives */
  send(fd, "ho", 2, 0);
  CHECK_INT(want(s, QN_WANT_EXACT, 2), 2);
  stream_end(s);
  close(fd);
  loop_end();
}

TEST(waiters_are_served_in_order)
{
  enum { N = 3 };
  wire_op_t w[N];
  qn_stream_t *s[N];
  int fd[N];
  qn_addr_t at;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  for (int i = 0; i < N; i++) {
    CHECK_INT(qn_listener_accept(l, op_new(&w[i]), &s[i]), QN_AGAIN);
  }
  CHECK(qn_op_cancel(&w[1].op, QN_E_CANCELLED));
  fd[0] = peer_connect(&at);
  WAIT_UNTIL(w[0].done);
  CHECK(w[1].done && w[1].result == QN_E_CANCELLED);
  CHECK(!w[2].done);
  CHECK_NULL(qn_listener_taken(&w[1].op));
  fd[1] = peer_connect(&at);
  WAIT_UNTIL(w[2].done);
  for (int i = 0; i < N; i += 2) {
    s[i] = qn_listener_taken(&w[i].op);
    REQUIRE(s[i] != NULL);
    CHECK_NULL(qn_listener_taken(&w[i].op)); /* once */
    stream_end(s[i]);
    close(fd[i / 2]);
  }
  listener_end(l);
  loop_end();
}

typedef struct notes {
  int accepted, failed, last_error;
} notes_t;

static void observe(qn_listener_t *l, char event, int err, void *data)
{
  notes_t *n = data;
  (void)l;
  n->accepted += event == 'c';
  n->failed += event == 'e';
  n->last_error = event == 'e' ? err : n->last_error;
}

TEST(back_pressure)
{
  enum { N = 6 };
  int fd[N];
  notes_t notes = {0};
  qn_addr_t at;
  loop_begin();
  qn_listener_t *l = open_tcp(2, &at);
  qn_listener_observe(l, observe, &notes);
  for (int i = 0; i < N; i++) {
    fd[i] = peer_connect(&at); /* the backlog takes them all */
  }
  WAIT_UNTIL(qn_listener_pending(l) == 2);
  turns(5);
  CHECK_UINT(qn_listener_pending(l), 2);
  CHECK_INT(notes.accepted, 2);
  CHECK(!qn_loop_alive(wire.loop)); /* the listener is full: nothing is watched */
  for (int i = 0; i < N; i++) {
    qn_addr_t mine, seen;
    socklen_t size = sizeof mine.u;
    qn_stream_t *s = take(l);
    getsockname(fd[i], &mine.u.sa, &size);
    mine.size = size;
    CHECK_INT(qn_stream_peer_addr(s, &seen), 0);
    CHECK(qn_addr_equal(&mine, &seen)); /* first come, first served */
    stream_end(s);
    turns(2);
    CHECK(qn_listener_pending(l) <= 2);
    close(fd[i]);
  }
  CHECK_INT(notes.accepted, N);
  CHECK_INT(notes.failed, 0);
  listener_end(l);
  loop_end();
}

TEST(max_pending_can_change_and_be_zero)
{
  qn_addr_t at;
  loop_begin();
  qn_listener_t *l = open_tcp(0, &at);
  CHECK_UINT(qn_listener_max_pending(l), 0);
  int one = peer_connect(&at), two = peer_connect(&at);
  turns(5);
  CHECK_UINT(qn_listener_pending(l), 0);
  stream_end(take(l)); /* accepts on demand */
  turns(5);
  CHECK_UINT(qn_listener_pending(l), 0);
  qn_listener_set_max_pending(l, 1);
  WAIT_UNTIL(qn_listener_pending(l) == 1);
  close(one);
  close(two);
  listener_end(l);
  loop_end();
}

TEST(pause_and_resume)
{
  qn_stream_t *s;
  qn_addr_t at;
  wire_op_t w;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  int one = peer_connect(&at);
  WAIT_UNTIL(qn_listener_pending(l) == 1);
  qn_listener_pause(l, true);
  CHECK(qn_listener_paused(l));
  int two = peer_connect(&at);
  turns(5);
  CHECK_UINT(qn_listener_pending(l), 1);
  stream_end(take(l)); /* what is pending can be taken */
  REQUIRE_INT(qn_listener_accept(l, op_new(&w), &s), QN_AGAIN);
  turns(5);
  CHECK(!w.done);
  qn_listener_pause(l, false);
  WAIT_UNTIL(w.done);
  stream_end(qn_listener_taken(&w.op));
  close(one);
  close(two);
  listener_end(l);
  loop_end();
}

TEST(a_connection_can_be_given_back)
{
  qn_addr_t at, first, seen;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  int one = peer_connect(&at), two = peer_connect(&at);
  qn_stream_t *s = take(l);
  qn_stream_peer_addr(s, &first);
  qn_listener_give_back(l, s);
  s = take(l);
  qn_stream_peer_addr(s, &seen);
  CHECK(qn_addr_equal(&first, &seen));
  qn_listener_give_back(l, s);
  listener_end(l); /* drops it */
  char byte;
  CHECK(recv(one, &byte, 1, 0) <= 0);
  close(one);
  close(two);
  loop_end();
}

TEST(closing)
{
  qn_stream_t *s;
  qn_addr_t at;
  wire_op_t w;
  char byte;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  int fd = peer_connect(&at);
  WAIT_UNTIL(qn_listener_pending(l) == 1);
  stream_end(take(l));
  close(fd);
  REQUIRE_INT(qn_listener_accept(l, op_new(&w), &s), QN_AGAIN);
  qn_listener_close(l);
  qn_listener_close(l);
  CHECK(qn_listener_is_closed(l));
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  CHECK_NULL(qn_listener_taken(&w.op));
  CHECK_INT(qn_listener_accept(l, op_new(&w), &s), QN_E_CLOSED);
  CHECK_INT(qn_listener_fd(l), -1);
  CHECK_INT(qn_listener_addr(l, &at), QN_E_CLOSED);
  CHECK_INT(qn_listener_set_option(l, "nodelay", 1), QN_E_CLOSED);
  qn_listener_release(l);
  l = open_tcp(30, &at); /* the last release closes, and drops what nobody took */
  fd = peer_connect(&at);
  WAIT_UNTIL(qn_listener_pending(l) == 1);
  qn_listener_release(l);
  CHECK(recv(fd, &byte, 1, 0) <= 0);
  close(fd);
  loop_end();
}

TEST(accepted_sockets_inherit_options)
{
  qn_addr_t at;
  int64_t value = 0;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  CHECK_INT(qn_listener_set_option(l, "keepalive", 1), 0);
  CHECK_INT(qn_listener_set_option(l, "keepalive_idle", 44), 0);
  CHECK_INT(qn_listener_set_option(l, "nodelay", 0), 0);
  CHECK_INT(qn_listener_set_option(l, "bogus", 0), QN_E_INVALID);
  CHECK_INT(qn_listener_set_option(l, "error", 0), QN_E_UNSUPPORTED);
  int fd = peer_connect(&at);
  qn_stream_t *s = take(l);
  CHECK_INT(qn_stream_get_option(s, "keepalive", &value), 0);
  CHECK_INT(value, 1);
  CHECK_INT(qn_stream_get_option(s, "keepalive_idle", &value), 0);
  CHECK_INT(value, 44);
  CHECK_INT(qn_stream_get_option(s, "nodelay", &value), 0);
  CHECK_INT(value, 0);
  stream_end(s);
  close(fd);
  listener_end(l);
  loop_end();
}

/* --- addresses ------------------------------------------------------------------------------- */

TEST(address_in_use_and_shared_ports)
{
  qn_addr_t at;
  qn_listener_t *l2 = NULL;
  qn_listen_opts_t opts;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  CHECK_INT(qn_listener_open(wire.loop, &at, NULL, &l2), -EADDRINUSE);
  CHECK_NULL(l2);
  listener_end(l);
  qn_listen_opts_init(&opts);
  opts.reuse_port = true;
  at = loopback(0);
  l = open_on(&at, &opts);
  qn_listener_addr(l, &at);
  l2 = open_on(&at, &opts);
  listener_end(l);
  listener_end(l2);
  at.size = 0;
  CHECK_INT(qn_listener_open(wire.loop, &at, NULL, &l2), QN_E_INVALID);
  loop_end();
}

/* A port in TIME_WAIT can be listened on again, unless the listener is exclusive. */
TEST(reuse_and_exclusive)
{
  qn_addr_t at;
  qn_listen_opts_t opts;
  qn_listener_t *l2;
  char byte;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  int fd = peer_connect(&at);
  qn_stream_t *s = take(l);
  listener_end(l);
  stream_end(s); /* our end closes first: TIME_WAIT is on our port */
  turns(3);
  CHECK_INT(recv(fd, &byte, 1, 0), 0);
  close(fd);
  qn_listen_opts_init(&opts);
  opts.exclusive = true;
  CHECK_INT(qn_listener_open(wire.loop, &at, &opts, &l2), -EADDRINUSE);
  listener_end(open_on(&at, NULL));
  loop_end();
}

TEST(dual_stack_and_only_ipv6)
{
  qn_addr_t any, at, v4, seen;
  qn_listen_opts_t opts;
  int probe = socket(AF_INET6, SOCK_STREAM, 0);
  loop_begin();
  qn_listen_opts_init(&opts);
  opts.v6only = 0;
  qn_addr_parse(&any, "", 0, QN_FAMILY_ANY);
  qn_listener_t *l = open_on(&any, &opts); /* 0.0.0.0 on a machine without IPv6 */
  qn_listener_addr(l, &at);
  CHECK_INT(qn_addr_family(&at), probe >= 0 ? QN_FAMILY_IPV6 : QN_FAMILY_IPV4);
  v4 = loopback(qn_addr_port(&at));
  int fd = peer_connect(&v4);
  qn_stream_t *s = take(l);
  CHECK_INT(qn_stream_peer_addr(s, &seen), 0);
  CHECK_INT(qn_addr_family(&seen), QN_FAMILY_IPV4); /* not ::ffff:127.0.0.1 */
  stream_end(s);
  close(fd);
  listener_end(l);
  if (probe >= 0) {
    opts.v6only = 1;
    l = open_on(&any, &opts);
    qn_listener_addr(l, &at);
    v4 = loopback(qn_addr_port(&at));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(connect(fd, &v4.u.sa, v4.size), -1);
    CHECK_INT(errno, ECONNREFUSED);
    close(fd);
    listener_end(l);
    close(probe);
  }
  loop_end();
}

/* --- Unix ------------------------------------------------------------------------------------ */

static char folder[64];

static qn_addr_t path_in_folder(char *path, size_t size, const char *name)
{
  qn_addr_t a;
  if (folder[0] == '\0') {
    snprintf(folder, sizeof folder, "/tmp/qn-listen-%ld", (long)getpid());
  }
  mkdir(folder, 0700);
  snprintf(path, size, "%s/%s", folder, name);
  unlink(path);
  REQUIRE_INT(qn_addr_unix(&a, path, strlen(path)), 0);
  return a;
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

TEST(unix_path)
{
  char path[100];
  struct stat st;
  qn_addr_t seen;
  qn_listen_opts_t opts;
  loop_begin();
  qn_addr_t at = path_in_folder(path, sizeof path, "a");
  qn_listen_opts_init(&opts);
  opts.unix_mode = 0622;
  mode_t before = umask(077);
  qn_listener_t *l = open_on(&at, &opts);
  umask(before);
  REQUIRE_INT(stat(path, &st), 0);
  CHECK_INT(st.st_mode & 0777, 0622);
  int fd = peer_connect(&at);
  qn_stream_t *s = take(l);
  CHECK_INT(qn_stream_peer_addr(s, &seen), 0);
  CHECK_INT(qn_addr_family(&seen), QN_FAMILY_UNIX); /* unnamed */
  CHECK_INT(qn_stream_local_addr(s, &seen), 0);
  CHECK(qn_addr_equal(&seen, &at));
  send(fd, "x", 1, 0);
  CHECK_INT(want(s, QN_WANT_SOME, 1), 1);
  stream_end(s);
  close(fd);
  listener_end(l);
  CHECK(!exists(path));
  rmdir(folder);
  loop_end();
}

TEST(unix_stale_file_is_replaced_only_on_request)
{
  char path[100];
  qn_listener_t *l = NULL;
  qn_listen_opts_t opts;
  loop_begin();
  qn_addr_t at = path_in_folder(path, sizeof path, "stale");
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE_INT(bind(fd, &at.u.sa, at.size), 0);
  close(fd); /* nobody listens, the file stays */
  CHECK_INT(qn_listener_open(wire.loop, &at, NULL, &l), -EADDRINUSE);
  CHECK(exists(path));
  qn_listen_opts_init(&opts);
  opts.unlink = true;
  l = open_on(&at, &opts);
  fd = peer_connect(&at);
  stream_end(take(l));
  close(fd);
  listener_end(l);
  CHECK(!exists(path));
  rmdir(folder);
  loop_end();
}

TEST(unix_files_of_others_are_left_alone)
{
  char path[100];
  qn_listener_t *l = NULL, *l2 = NULL;
  qn_listen_opts_t opts;
  loop_begin();
  qn_listen_opts_init(&opts);
  opts.unlink = true;
  qn_addr_t at = path_in_folder(path, sizeof path, "other");
  int fd = open(path, O_CREAT | O_WRONLY, 0600); /* a plain file */
  close(fd);
  CHECK_INT(qn_listener_open(wire.loop, &at, &opts, &l), -EADDRINUSE);
  CHECK(exists(path));
  unlink(path);
  fd = socket(AF_UNIX, SOCK_DGRAM, 0); /* alive, but of another type: it does not refuse */
  REQUIRE_INT(bind(fd, &at.u.sa, at.size), 0);
  CHECK_INT(qn_listener_open(wire.loop, &at, &opts, &l), -EADDRINUSE);
  CHECK(exists(path));
  close(fd);
  unlink(path);
  l = open_on(&at, &opts); /* somebody answers on it */
  CHECK_INT(qn_listener_open(wire.loop, &at, &opts, &l2), -EADDRINUSE);
  CHECK(exists(path));
  unlink(path); /* another one has taken the place when we close */
  l2 = open_on(&at, &opts);
  listener_end(l);
  CHECK(exists(path));
  listener_end(l2);
  CHECK(!exists(path));
  rmdir(folder);
  CHECK_INT(qn_listener_open(wire.loop, &at, &opts, &l), -ENOENT);
  loop_end();
}

TEST(unix_abstract_names)
{
  char name[40];
  qn_addr_t at, seen;
  loop_begin();
  snprintf(name, sizeof name, "@qn-listen-test-%ld", (long)getpid());
  REQUIRE_INT(qn_addr_unix(&at, name, strlen(name)), 0);
  qn_listener_t *l = open_on(&at, NULL), *l2 = NULL;
  CHECK_INT(qn_listener_open(wire.loop, &at, NULL, &l2), -EADDRINUSE);
  CHECK_INT(qn_listener_addr(l, &seen), 0);
  CHECK(qn_addr_equal(&at, &seen));
  int fd = peer_connect(&at);
  stream_end(take(l));
  close(fd);
  listener_end(l);
  listener_end(open_on(&at, NULL));
  loop_end();
}

/* --- adopted descriptors --------------------------------------------------------------------- */

TEST(a_listening_descriptor_is_adopted)
{
  qn_addr_t at, seen, none = {.size = 0};
  qn_listener_t *l = NULL;
  qn_listen_opts_t opts;
  int64_t value = 0;
  loop_begin();
  qn_listen_opts_init(&opts);
  opts.fd = peer_listen(&at, 8);
  l = open_on(&none, &opts);
  CHECK_INT(qn_listener_fd(l), opts.fd);
  CHECK_INT(qn_listener_addr(l, &seen), 0);
  CHECK(qn_addr_equal(&at, &seen));
  int fd = peer_connect(&at);
  qn_stream_t *s = take(l);
  CHECK_INT(qn_stream_get_option(s, "nodelay", &value), 0);
  CHECK_INT(value, 1);
  stream_end(s);
  close(fd);
  listener_end(l);
  CHECK_INT(fcntl(opts.fd, F_GETFD), -1);
  opts.fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_INT(qn_listener_open(wire.loop, &none, &opts, &l), QN_E_INVALID);
  CHECK(fcntl(opts.fd, F_GETFD) >= 0); /* still the caller's */
  close(opts.fd);
  loop_end();
}

/* --- shortages ------------------------------------------------------------------------------- */

static int count_fds(void)
{
  int n = 0;
  for (int fd = 0; fd < 256; fd++) {
    n += fcntl(fd, F_GETFD) >= 0;
  }
  return n;
}

/* In a process of its own: the limit would harm the other tests. */
static void without_descriptors(void)
{
  struct rlimit limit, few;
  notes_t notes = {0};
  qn_addr_t at;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  qn_listener_observe(l, observe, &notes);
  int fd = peer_connect(&at);
  getrlimit(RLIMIT_NOFILE, &limit);
  few = limit;
  few.rlim_cur = (rlim_t)fd + 1;
  REQUIRE_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
  uint64_t began = qn_loop_fresh(wire.loop);
  WAIT_UNTIL(notes.failed >= 1);
  CHECK_INT(notes.last_error, -EMFILE);
  CHECK_INT(qn_listener_error(l), -EMFILE);
  turns(200);
  uint64_t most = 1 + (qn_loop_fresh(wire.loop) - began) / 100;
  CHECK((uint64_t)notes.failed <= most); /* it waits for its timer and does not try each turn */
  WAIT_UNTIL(notes.failed >= 2);
  CHECK_INT(notes.accepted, 0);
  setrlimit(RLIMIT_NOFILE, &limit);
  WAIT_UNTIL(notes.accepted == 1); /* the connection was not lost */
  CHECK_INT(qn_listener_error(l), 0);
  qn_stream_t *s = take(l);
  send(fd, "here", 4, 0);
  CHECK_INT(want(s, QN_WANT_EXACT, 4), 4);
  stream_end(s);
  close(fd);
  listener_end(l);
  loop_end();
}

TEST(too_many_open_files)
{
  int status = -1;
  CHECK(count_fds() < 200);
  fflush(stdout);
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    if (setjmp(test_exit) == 0) {
      without_descriptors();
    }
    fflush(stdout);
    _exit(TEST_FAILED() ? 1 : 0);
  }
  REQUIRE_INT(waitpid(pid, &status, 0), pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(a_socket_that_stops_listening_is_given_up)
{
  qn_stream_t *s;
  notes_t notes = {0};
  qn_addr_t at;
  wire_op_t w;
  loop_begin();
  qn_listener_t *l = open_tcp(30, &at);
  qn_listener_observe(l, observe, &notes);
  REQUIRE_INT(qn_listener_accept(l, op_new(&w), &s), QN_AGAIN);
  shutdown(qn_listener_fd(l), SHUT_RD);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, -EINVAL);
  CHECK_INT(notes.failed, 1);
  CHECK_INT(qn_listener_accept(l, op_new(&w), &s), -EINVAL);
  turns(5);
  CHECK(!qn_loop_alive(wire.loop));
  listener_end(l);
  loop_end();
}

TEST(no_memory_anywhere)
{
  for (uint64_t nth = 1; nth < 40; nth++) {
    qn_addr_t at = loopback(0);
    qn_listener_t *l = NULL;
    notes_t notes = {0};
    TEST_ROUND("allocation %d", (int)nth);
    loop_begin();
    qn_alloc_fail_at(nth);
    int rc = qn_listener_open(wire.loop, &at, NULL, &l), fd = -1;
    CHECK(rc == 0 || rc == -ENOMEM);
    if (rc == 0) {
      qn_listener_observe(l, observe, &notes);
      qn_listener_addr(l, &at);
      fd = peer_connect(&at);
      qn_stream_t *s = NULL;
      wire_op_t w;
      for (int tries = 0; tries < 2 && s == NULL; tries++) { /* the connection is not lost */
        rc = qn_listener_accept(l, op_new(&w), &s);
        if (rc == QN_AGAIN) {
          WAIT_UNTIL(w.done);
          rc = (int)w.result;
          s = qn_listener_taken(&w.op);
        }
        CHECK(rc == 0 || rc == -ENOMEM);
        if (rc <
            0) { /* the connection may be lost with the memory; the next one must come through */
          close(fd);
          fd = peer_connect(&at);
        }
      }
      CHECK(s != NULL);
      if (s != NULL) {
        stream_end(s);
      }
      close(fd);
      listener_end(l);
    }
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    loop_end();
    if (!failed) {
      CHECK(nth > 3);
      return;
    }
  }
  FAIL("the failing allocation never came to an end");
}

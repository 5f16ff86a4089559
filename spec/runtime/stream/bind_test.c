/* bind_test.c: local addresses and stored options of streams that are going to connect.
 * covers: runtime/stream/sock_options.c
 */
#include "qn/dial.h"

#include "test.h"
#include "wire.h"

#include "stream/dial_i.h"

static qn_stream_t *stream_new(void)
{
  qn_stream_t *s = qn_stream_new(wire.loop);
  REQUIRE(s != NULL);
  return s;
}

static int64_t dial(qn_stream_t *s, const qn_addr_t *at, const qn_addr_t *local)
{
  wire_op_t w;
  qn_dial_opts_t opts = {.address = at, .bind = local};
  int rc = qn_dial(s, &opts, op_new(&w));
  if (rc != QN_AGAIN) {
    return rc;
  }
  WAIT_UNTIL(w.done);
  return w.result;
}

/* Where the connection that `l` has accepted came from. */
static qn_addr_t came_from(int l)
{
  qn_addr_t a;
  socklen_t size = sizeof a.u;
  int fd = peer_accept(l);
  getpeername(fd, &a.u.sa, &size);
  a.size = size;
  close(fd);
  return a;
}

TEST(the_port_is_chosen_at_once_and_kept)
{
  qn_addr_t at, local = loopback(0), bound, seen;
  loop_begin();
  int l = peer_listen(&at, 4);
  qn_stream_t *s = stream_new();
  CHECK_INT(qn_stream_local_addr(s, &seen), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_stream_bind(s, &local, 0), 0);
  CHECK_INT(qn_stream_state(s), QN_STATE_BOUND);
  CHECK_INT(qn_stream_local_addr(s, &bound), 0);
  CHECK(qn_addr_port(&bound) != 0);
  CHECK(qn__dial_bound_fd(s) >= 0);
  CHECK_INT(qn_stream_bind(s, &local, 0), QN_E_IS_CONNECTED);
  CHECK_INT(dial(s, &at, NULL), 0);
  CHECK_INT(qn_stream_local_addr(s, &seen), 0);
  CHECK(qn_addr_equal(&bound, &seen));
  seen = came_from(l);
  CHECK(qn_addr_equal(&bound, &seen));
  stream_end(s);
  close(l);
  loop_end();
}

TEST(an_any_address_serves_both_families)
{
  qn_addr_t at, local, bound, seen;
  loop_begin();
  int l = peer_listen(&at, 4);
  qn_stream_t *s = stream_new();
  qn_addr_parse(&local, "", 0, QN_FAMILY_ANY);
  REQUIRE_INT(qn_stream_bind(s, &local, 0), 0);
  CHECK_INT(qn_stream_local_addr(s, &bound), 0);
  CHECK_INT(dial(s, &at, NULL), 0);
  seen = came_from(l);
  CHECK_INT(qn_addr_port(&seen), qn_addr_port(&bound));
  stream_end(s);
  s = stream_new();
  qn_addr_parse(&local, "::1", 0, QN_FAMILY_ANY);
  REQUIRE_INT(qn_stream_bind(s, &local, 0), 0);
  CHECK_INT(dial(s, &at, NULL), -EAFNOSUPPORT);
  CHECK_INT(qn_stream_state(s), QN_STATE_UNCONNECTED);
  CHECK_INT(dial(s, &at, NULL), 0); /* the binding was for one dial */
  stream_end(s);
  close(l);
  loop_end();
}

TEST(binding_in_the_dial)
{
  qn_addr_t at, local, seen;
  loop_begin();
  int l = peer_listen(&at, 4);
  qn_stream_t *s = stream_new();
  qn_addr_parse(&local, "127.0.0.3", 0, QN_FAMILY_ANY);
  CHECK_INT(dial(s, &at, &local), 0);
  seen = came_from(l);
  qn_addr_set_port(&seen, 0);
  CHECK(qn_addr_equal(&local, &seen));
  stream_end(s);
  s = stream_new();
  qn_addr_parse(&local, "192.0.2.1", 0, QN_FAMILY_ANY); /* not ours */
  CHECK_INT(dial(s, &at, &local), -EADDRNOTAVAIL);
  qn_addr_unix(&local, "@x", 2);
  CHECK(dial(s, &at, &local) < 0);
  stream_end(s);
  close(l);
  loop_end();
}

TEST(modes)
{
  qn_addr_t local = loopback(0), bound, unix_name, none = {.size = 0};
  loop_begin();
  qn_stream_t *one = stream_new(), *two = stream_new();
  CHECK_INT(qn_stream_bind(one, &none, 0), QN_E_INVALID);
  CHECK_INT(qn_stream_bind(one, &local, 8), QN_E_INVALID);
  CHECK_INT(qn_stream_bind(one, &local, QN_BIND_SHARE | QN_BIND_EXCLUSIVE), QN_E_INVALID);
  qn_addr_unix(&unix_name, "@x", 2);
  CHECK_INT(qn_stream_bind(one, &unix_name, 0), QN_E_UNSUPPORTED);
  CHECK_INT(qn_stream_state(one), QN_STATE_UNCONNECTED);
  CHECK_INT(qn_stream_bind(one, &local, QN_BIND_EXCLUSIVE), 0);
  qn_stream_local_addr(one, &bound);
  CHECK_INT(qn_stream_bind(two, &bound, QN_BIND_SHARE), -EADDRINUSE);
  stream_end(one);
  turns(2);
  CHECK_INT(qn_stream_bind(two, &bound, QN_BIND_SHARE), 0); /* the close has freed the port */
  one = stream_new();
  CHECK_INT(qn_stream_bind(one, &bound, QN_BIND_SHARE), 0);
  stream_end(one);
  CHECK_INT(qn_stream_bind(one = stream_new(), &bound, QN_BIND_EXCLUSIVE), -EADDRINUSE);
  stream_end(one);
  stream_end(two);
  CHECK_INT(qn__dial_bound_fd(one = stream_new()), -1);
  qn_stream_close(one);
  CHECK_INT(qn_stream_bind(one, &local, 0), QN_E_CLOSED);
  qn_stream_release(one);
  loop_end();
}

TEST(options_wait_for_the_connection)
{
  qn_addr_t at;
  int64_t value = -1;
  loop_begin();
  int l = peer_listen(&at, 4);
  qn_stream_t *s = stream_new();
  CHECK_INT(qn_stream_get_option(s, "ttl", &value), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_stream_set_option(s, "ttl", 0), QN_E_INVALID);
  CHECK_INT(qn_stream_set_option(s, "bogus", 0), QN_E_INVALID);
  CHECK_INT(qn_stream_get_option(s, "bogus", &value), QN_E_INVALID);
  CHECK_INT(qn_stream_set_option(s, "ttl", 44), 0);
  CHECK_INT(qn_stream_set_option(s, "nodelay", 0), 0);
  CHECK_INT(qn_stream_get_option(s, "ttl", &value), 0);
  CHECK_INT(value, 44);
  CHECK_INT(dial(s, &at, NULL), 0);
  CHECK_INT(qn_stream_get_option(s, "ttl", &value), 0);
  CHECK_INT(value, 44);
  CHECK_INT(qn_stream_get_option(s, "nodelay", &value), 0);
  CHECK_INT(value, 0); /* ours wins against the default */
  CHECK_INT(qn_stream_set_option(s, "ttl", 55), 0);
  CHECK_INT(qn_stream_get_option(s, "ttl", &value), 0);
  CHECK_INT(value, 55);
  qn_stream_close(s);
  CHECK_INT(qn_stream_set_option(s, "ttl", 55), QN_E_CLOSED);
  CHECK_INT(qn_stream_get_option(s, "ttl", &value), QN_E_CLOSED);
  qn_stream_release(s);
  close(l);
  loop_end();
}

TEST(options_of_a_bound_stream)
{
  qn_addr_t at, local = loopback(0);
  int64_t value = -1;
  loop_begin();
  int l = peer_listen(&at, 4);
  qn_stream_t *s = stream_new();
  qn_stream_set_option(s, "ttl", 7);
  CHECK_INT(qn_stream_bind(s, &local, 0), 0);
  CHECK_INT(qn_stream_get_option(s, "ttl", &value), 0);
  CHECK_INT(value, 7);
  CHECK_INT(qn_stream_set_option(s, "ttl", 8), 0);
  CHECK_INT(qn_stream_get_option(s, "keepalive", &value), 0); /* there is a descriptor to ask */
  CHECK_INT(value, 0);
  CHECK_INT(dial(s, &at, NULL), 0);
  CHECK_INT(qn_stream_get_option(s, "ttl", &value), 0);
  CHECK_INT(value, 8);
  stream_end(s);
  close(l);
  loop_end();
}

TEST(options_that_do_not_fit_fail_the_dial)
{
  int l = socket(AF_UNIX, SOCK_STREAM, 0);
  qn_addr_t at;
  char name[40];
  loop_begin();
  snprintf(name, sizeof name, "@qn-bind-test-%ld", (long)getpid());
  qn_addr_unix(&at, name, strlen(name));
  REQUIRE_INT(bind(l, &at.u.sa, at.size), 0);
  REQUIRE_INT(listen(l, 4), 0);
  qn_stream_t *s = stream_new();
  CHECK_INT(qn_stream_set_option(s, "nodelay", 1), 0);
  CHECK_INT(dial(s, &at, NULL), QN_E_UNSUPPORTED);
  stream_end(s);
  close(l);
  loop_end();
}

TEST(no_memory)
{
  for (uint64_t nth = 1; nth < 10; nth++) {
    qn_addr_t local = loopback(0);
    TEST_ROUND("allocation %d", (int)nth);
    loop_begin();
    qn_stream_t *s = stream_new();
    qn_alloc_fail_at(nth);
    int rc = qn_stream_set_option(s, "ttl", 9);
    CHECK(rc == 0 || rc == -ENOMEM);
    rc = qn_stream_bind(s, &local, 0);
    CHECK(rc == 0 || rc == -ENOMEM);
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    stream_end(s);
    loop_end();
    if (!failed) {
      CHECK(nth > 2);
      return;
    }
  }
}

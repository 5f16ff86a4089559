/* listener.c: handshakes side by side, waiters in order, limits, held handshakes, configurations
 * exchanged, every end. Clients are raw descriptors, or TLS of ours on the same loop.
 */
#include "qn/tls_listen.h"

#include "test.h"
#include "wire.h"

#include "qn/cert.h"
#include "qn/key.h"
#include "runtime/tls/pem.h"

typedef struct rig {
  qn_listener_t *below;
  qn_tls_listener_t *l;
  qn_tls_config_t *sc, *cc;
  qn_addr_t at;
  int begun, ready, lost, last_lost, hold; /* hold: what `begin` gives */
  qn_tls_incoming_t *last;
} rig_t;

static int on_begin(void *arg, qn_tls_incoming_t *in, qn_tls_opts_t *opts)
{
  rig_t *r = arg;
  (void)opts;
  in->conn = &r->begun;
  CHECK_NULL(in->t);
  r->begun++;
  r->last = in;
  return r->hold;
}

static void on_ready(void *arg, qn_tls_incoming_t *in)
{
  rig_t *r = arg;
  CHECK_PTR(in->conn, &r->begun);
  CHECK(qn_tls_is_up(in->t));
  r->ready++;
}

static void on_lost(void *arg, qn_tls_incoming_t *in, int err)
{
  rig_t *r = arg;
  CHECK_PTR(in->conn, &r->begun);
  r->lost++;
  r->last_lost = err;
}

static qn_tls_config_t *config_with(const char *cert_pem, const char *key_pem)
{
  qn_tls_config_t *c = qn_tls_config_new();
  qn_cert_t *cert = NULL;
  qn_key_t *key = NULL;
  REQUIRE_INT(qn_cert_parse(cert_pem, strlen(cert_pem), &cert), 0);
  if (key_pem != NULL) {
    REQUIRE_INT(qn_key_parse(key_pem, strlen(key_pem), NULL, 0, &key), 0);
    REQUIRE_INT(qn_tls_config_add_cert(c, cert, NULL, 0, key), 0);
  } else {
    REQUIRE_INT(qn_tls_config_add_ca(c, cert), 0);
  }
  qn_cert_release(cert);
  qn_key_release(key);
  return c;
}

static void rig_open(rig_t *r, size_t max_handshakes, size_t max_pending, uint64_t ms)
{
  qn_addr_t any = loopback(0);
  qn_tls_listen_opts_t opts;
  *r = (rig_t){0};
  loop_begin();
  r->sc = config_with(pem_server, pem_server_key);
  r->cc = config_with(pem_ca, NULL);
  REQUIRE_INT(qn_listener_open(wire.loop, &any, NULL, &r->below), 0);
  CHECK_PTR(qn_listener_loop(r->below), wire.loop);
  REQUIRE_INT(qn_listener_addr(r->below, &r->at), 0);
  qn_tls_listen_opts_init(&opts, r->below);
  CHECK_UINT(opts.max_handshakes, QN_TLS_HANDSHAKES_MAX);
  CHECK_UINT(opts.max_pending, qn_listener_max_pending(r->below));
  CHECK_UINT(opts.handshake_ms, QN_TLS_HANDSHAKE_MS);
  opts.max_handshakes = max_handshakes;
  opts.max_pending = max_pending;
  opts.handshake_ms = ms;
  opts.hooks =
      (qn_tls_listen_hooks_t){.arg = r, .begin = on_begin, .ready = on_ready, .lost = on_lost};
  REQUIRE_INT(qn_tls_listener_new(r->below, r->sc, &opts, &r->l), 0);
}

static void rig_close(rig_t *r)
{
  qn_tls_listener_close(r->l);
  qn_tls_listener_close(r->l);
  CHECK(qn_listener_is_closed(r->below));
  qn_tls_listener_retain(r->l);
  qn_tls_listener_release(r->l);
  qn_tls_listener_release(r->l);
  qn_listener_release(r->below);
  qn_tls_config_release(r->sc);
  qn_tls_config_release(r->cc);
  loop_end();
}

typedef struct client {
  qn_stream_t *s;
  qn_tls_t *t;
  wire_op_t up;
} client_t;

static void client_open(client_t *c, rig_t *r)
{
  qn_tls_opts_t opts = {.server_name = "localhost"};
  REQUIRE_INT(qn_stream_adopt(wire.loop, peer_connect(&r->at), &c->s), 0);
  REQUIRE_INT(qn_tls_new(r->cc, &opts, &c->t), 0);
  REQUIRE_INT(qn_tls_start(c->t, c->s, op_new(&c->up)), QN_AGAIN);
}

static void client_close(client_t *c)
{
  qn_stream_abort(c->s);
  qn_stream_release(c->s);
  qn_op_forget(&c->up.op);
  qn_tls_release(c->t);
}

static void let_go(qn_tls_incoming_t *in)
{
  qn_stream_abort(in->s);
  qn_stream_release(in->s);
  qn_tls_release(in->t);
}

static qn_tls_listen_stats_t stats(const rig_t *r)
{
  qn_tls_listen_stats_t s;
  qn_tls_listener_stats(r->l, &s);
  return s;
}

static bool can_take(rig_t *r)
{
  qn_tls_incoming_t in;
  wire_op_t w;
  int rc = qn_tls_listener_accept(r->l, op_new(&w), &in);
  if (rc == QN_AGAIN) {
    qn_op_forget(&w.op);
    return false;
  }
  CHECK_INT(rc, 0);
  let_go(&in);
  return true;
}

TEST(finished_handshakes_are_handed_out)
{
  rig_t r;
  client_t a, b;
  wire_op_t w[3];
  qn_tls_incoming_t in[3];
  rig_open(&r, 10, 10, 5000);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(qn_tls_listener_accept(r.l, op_new(&w[i]), &in[i]), QN_AGAIN);
  }
  CHECK(qn_op_cancel(&w[1].op, QN_E_CANCELLED));
  int silent = peer_connect(&r.at); /* holds up nobody */
  client_open(&a, &r);
  WAIT_UNTIL(w[0].done);
  CHECK(!w[2].done);
  client_open(&b, &r);
  WAIT_UNTIL(w[2].done);
  WAIT_UNTIL(a.up.done && b.up.done);
  for (int i = 0; i < 3; i += 2) {
    CHECK_INT(w[i].result, 0);
    CHECK(qn_tls_listener_taken(&w[i].op, &in[i]));
    CHECK(in[i].s != NULL && in[i].t != NULL && in[i].conn == &r.begun);
    CHECK_PTR(qn_tls_of(in[i].s), in[i].t);
    let_go(&in[i]);
    CHECK(!qn_tls_listener_taken(&w[i].op, &in[i])); /* once */
  }
  CHECK(!qn_tls_listener_taken(&w[1].op, &in[1]));
  CHECK_INT(r.ready, 2);
  CHECK_UINT(stats(&r).handshaking, 1);
  CHECK_UINT(stats(&r).up, 2);
  client_close(&a);
  client_close(&b);
  close(silent);
  WAIT_UNTIL(r.lost == 1);
  CHECK_INT(r.last_lost, QN_E_EOF);
  CHECK_UINT(stats(&r).failed, 1);
  rig_close(&r);
}

TEST(the_queue_is_bounded)
{
  enum { N = 6 };
  rig_t r;
  client_t c[N];
  rig_open(&r, 10, 1, 5000);
  CHECK_UINT(qn_tls_listener_max_pending(r.l), 1);
  for (int i = 0; i < N; i++) {
    client_open(&c[i], &r);
  }
  WAIT_UNTIL(stats(&r).pending >= 1 && stats(&r).handshaking == 0);
  turns(50);
  size_t waiting = stats(&r).pending;
  client_t late;
  client_open(&late, &r);
  turns(50);
  CHECK_UINT(stats(&r).pending, waiting);
  CHECK(!late.up.done);
  for (size_t i = 0; i < waiting; i++) {
    CHECK(can_take(&r));
  }
  WAIT_UNTIL(stats(&r).pending != 0);
  qn_tls_listener_set_max_pending(r.l, 20);
  WAIT_UNTIL(late.up.done);
  CHECK_INT(late.up.result, 0);
  for (int i = 0; i < N; i++) {
    client_close(&c[i]);
  }
  client_close(&late);
  rig_close(&r); /* some are ready still */
}

TEST(time_ends_a_handshake)
{
  rig_t r;
  char byte;
  rig_open(&r, 10, 10, 20);
  int silent = peer_connect(&r.at);
  WAIT_UNTIL(r.lost == 1);
  CHECK_INT(r.last_lost, QN_E_TIMEOUT);
  CHECK_UINT(stats(&r).timed_out, 1);
  CHECK(recv(silent, &byte, 1, 0) <= 0);
  close(silent);
  rig_close(&r);
}

TEST(the_oldest_makes_room)
{
  rig_t r;
  client_t c;
  int fd[3];
  rig_open(&r, 2, 10, UINT64_MAX);
  for (int i = 0; i < 2; i++) {
    fd[i] = peer_connect(&r.at);
  }
  WAIT_UNTIL(stats(&r).handshaking == 2);
  client_open(&c, &r);
  turns(20);
  CHECK_INT(r.begun, 2); /* all are young */
  WAIT_UNTIL(c.up.done);
  CHECK_INT(c.up.result, 0);
  CHECK_INT(r.last_lost, QN_E_LIMIT);
  CHECK_UINT(stats(&r).dropped, 1);
  fd[2] = peer_connect(&r.at);
  WAIT_UNTIL(stats(&r).handshaking == 2);
  CHECK_INT(r.lost, 1);
  client_close(&c);
  for (int i = 0; i < 3; i++) {
    close(fd[i]);
  }
  WAIT_UNTIL(r.lost == 3);
  rig_close(&r);
}

TEST(a_held_handshake_waits)
{
  rig_t r;
  client_t c;
  rig_open(&r, 10, 10, 5000);
  r.hold = QN_AGAIN;
  client_open(&c, &r);
  WAIT_UNTIL(r.begun == 1);
  turns(20);
  CHECK(!c.up.done);
  CHECK(r.last->t != NULL);
  qn_tls_listener_go(r.last);
  qn_tls_listener_go(r.last);
  WAIT_UNTIL(r.ready == 1);
  WAIT_UNTIL(c.up.done);
  client_close(&c);
  r.hold = -ENOMEM; /* it cannot begin */
  client_open(&c, &r);
  WAIT_UNTIL(r.lost == 1);
  CHECK_INT(r.last_lost, -ENOMEM);
  client_close(&c);
  r.hold = QN_AGAIN;
  int fd = peer_connect(&r.at);
  WAIT_UNTIL(r.begun == 3);
  rig_close(&r);
  CHECK_INT(r.last_lost, QN_E_CLOSED);
  close(fd);
}

TEST(who_goes_gives_back)
{
  rig_t r;
  client_t c;
  wire_op_t w, next;
  qn_tls_incoming_t in;
  rig_open(&r, 10, 10, 5000);
  for (int round = 0; round < 3; round++) {
    CHECK_INT(qn_tls_listener_accept(r.l, op_new(&w), &in), QN_AGAIN);
    client_open(&c, &r);
    WAIT_UNTIL(w.done);
    if (round == 1) { /* somebody else waits */
      CHECK_INT(qn_tls_listener_accept(r.l, op_new(&next), &in), QN_AGAIN);
    } else if (round == 2) {
      qn_tls_listener_close(r.l);
    }
    qn_tls_listener_untake(&w.op);
    qn_tls_listener_untake(&w.op);
    if (round == 1) {
      WAIT_UNTIL(next.done);
      CHECK(qn_tls_listener_taken(&next.op, &in));
      let_go(&in);
    } else if (round == 0) {
      CHECK_UINT(stats(&r).pending, 1);
      CHECK(can_take(&r));
    } else {
      CHECK_INT(r.last_lost, QN_E_CLOSED);
    }
    client_close(&c);
  }
  CHECK_INT(qn_tls_listener_accept(r.l, op_new(&w), &in), QN_E_CLOSED);
  rig_close(&r);
}

TEST(closing_ends_all)
{
  rig_t r;
  client_t c;
  wire_op_t w;
  qn_tls_incoming_t in;
  rig_open(&r, 1, 10, 5000);
  client_open(&c, &r);
  WAIT_UNTIL(r.ready == 1);
  int under_way = peer_connect(&r.at);
  WAIT_UNTIL(stats(&r).handshaking == 1);
  int held = peer_connect(&r.at), below = peer_connect(&r.at);
  turns(20);
  CHECK(can_take(&r));
  CHECK_INT(qn_tls_listener_accept(r.l, op_new(&w), &in), QN_AGAIN);
  qn_tls_listener_close(r.l);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  CHECK_INT(r.lost, 1);
  CHECK_UINT(stats(&r).handshaking + stats(&r).pending, 0);
  client_close(&c);
  close(under_way);
  close(held);
  close(below);
  rig_close(&r);
}

TEST(the_listener_below_is_closed)
{
  rig_t r;
  wire_op_t w;
  qn_tls_incoming_t in;
  rig_open(&r, 10, 10, 5000);
  CHECK_INT(qn_tls_listener_accept(r.l, op_new(&w), &in), QN_AGAIN);
  qn_listener_close(r.below);
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CLOSED);
  CHECK_INT(qn_tls_listener_accept(r.l, op_new(&w), &in), QN_E_CLOSED);
  qn_tls_listen_opts_t opts;
  qn_tls_listener_t *other = NULL;
  qn_tls_listen_opts_init(&opts, r.below);
  CHECK_INT(qn_tls_listener_new(r.below, r.sc, &opts, &other), QN_E_CLOSED);
  opts.max_pending = 0;
  CHECK_INT(qn_tls_listener_new(r.below, r.sc, &opts, &other), QN_E_INVALID);
  CHECK_NULL(other);
  rig_close(&r);
}

TEST(without_options_the_defaults_count)
{
  rig_t r;
  client_t c;
  qn_addr_t any = loopback(0);
  rig_open(&r, 10, 10, 5000);
  qn_tls_listener_close(r.l);
  qn_tls_listener_release(r.l);
  qn_listener_release(r.below);
  REQUIRE_INT(qn_listener_open(wire.loop, &any, NULL, &r.below), 0);
  REQUIRE_INT(qn_listener_addr(r.below, &r.at), 0);
  REQUIRE_INT(qn_tls_listener_new(r.below, r.sc, NULL, &r.l), 0);
  CHECK_UINT(qn_tls_listener_max_pending(r.l), qn_listener_max_pending(r.below));
  client_open(&c, &r);
  WAIT_UNTIL(stats(&r).up == 1);
  CHECK(can_take(&r));
  client_close(&c);
  rig_close(&r);
}

TEST(configurations_are_exchanged)
{
  rig_t r;
  client_t old, new;
  rig_open(&r, 10, 10, 5000);
  CHECK_INT(qn_tls_config_set_verify(r.cc, QN_TLS_VERIFY_QUERY), 0);
  r.hold = QN_AGAIN;
  client_open(&old, &r);
  WAIT_UNTIL(r.begun == 1);
  qn_tls_incoming_t *first = r.last;
  r.hold = 0;
  CHECK_INT(qn_tls_listener_configure(r.l, r.cc), QN_E_TLS_CONFIG); /* no certificate */
  qn_tls_config_t *second = config_with(pem_second, pem_second_key);
  CHECK_INT(qn_tls_listener_configure(r.l, second), 0);
  qn_tls_config_release(second);
  client_open(&new, &r);
  WAIT_UNTIL(new.up.done);
  qn_tls_listener_go(first);
  WAIT_UNTIL(old.up.done);
  client_t *clients[] = {&old, &new};
  const char *wanted[] = {pem_server, pem_second};
  for (int i = 0; i < 2; i++) {
    qn_cert_t *want = NULL, *got = NULL;
    CHECK_INT(clients[i]->up.result, 0);
    REQUIRE_INT(qn_cert_parse(wanted[i], strlen(wanted[i]), &want), 0);
    REQUIRE_INT(qn_tls_peer_cert(clients[i]->t, 0, &got), 0);
    CHECK(qn_cert_equal(want, got));
    qn_cert_release(want);
    qn_cert_release(got);
    client_close(clients[i]);
  }
  rig_close(&r);
}

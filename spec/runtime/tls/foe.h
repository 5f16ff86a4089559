/* A foe: a connection of ours over a fake wire, with plain OpenSSL as the peer that breaks the
 * protocol. Used by hostile_test.c and hostile_up_test.c; included once per test program.
 */
#ifndef QN_SPEC_TLS_FOE_H
#define QN_SPEC_TLS_FOE_H

#include "runtime/tls/raw_peer.h"
#include "runtime/tls/tls_rig.h"

TEST_UNUSED static const int versions[] = {QN_TLS_1_2, QN_TLS_1_3};

/* Ours over a fake, the peer plain OpenSSL. */
typedef struct foe {
  wire_t w;
  raw_t r;
  qn_tls_config_t *config;
  qn_tls_t *t;
  note_t up;
  heard_t heard;
  int raw_error;
  uint8_t read[256]; /* by the peer */
  int read_size;
  size_t moved, sent; /* bytes to us, bytes from us */
} foe_t;

/* Opens everything but starts nothing. `server`: we are. */
TEST_UNUSED static void foe_open(foe_t *x, bool server, int version)
{
  memset(x, 0, sizeof *x);
  wire_open(&x->w);
  x->config = server ? server_config() : client_config();
  raw_open(&x->r, !server, version);
  if (!server) {
    REQUIRE(raw_use(&x->r, pem_server, pem_server_key));
  }
}

/* Another connection with the contexts of `first`, which take long to make. */
TEST_UNUSED static void foe_open_as(foe_t *x, const foe_t *first)
{
  memset(x, 0, sizeof *x);
  wire_open(&x->w);
  x->config = first->config;
  qn_tls_config_retain(x->config);
  x->r = (raw_t){.ctx = first->r.ctx, .server = first->r.server, .version = first->r.version};
  SSL_CTX_up_ref(x->r.ctx);
}

TEST_UNUSED static void foe_begin(foe_t *x)
{
  qn_tls_opts_t o = {.server = !x->r.server, .server_name = x->r.server ? "localhost" : NULL};
  x->heard = (heard_t){.in = -1, .out = -1};
  o.hooks = (qn_tls_hooks_t){.event = hear, .arg = &x->heard};
  REQUIRE_INT(qn_tls_new(x->config, &o, &x->t), 0);
  note_init(&x->up, x->w.loop);
  raw_begin(&x->r);
  REQUIRE_INT(qn_tls_start(x->t, x->w.s, &x->up.op), QN_AGAIN);
}

TEST_UNUSED static void foe_close(foe_t *x)
{
  qn_stream_abort(x->w.s);
  settle_all(x->w.loop);
  raw_close(&x->r);
  qn_tls_release(x->t);
  qn_tls_config_release(x->config);
  wire_close(&x->w);
}

TEST_UNUSED static void few(foe_t *x)
{
  for (int i = 0; i < 4; i++) {
    qn_loop_turn(x->w.loop, QN_TURN_NOWAIT);
  }
}

TEST_UNUSED static bool alive(const foe_t *x) { return x->w.s->top != NULL; }

/* What the peer sends while it is heard: a layer that has failed has no wire. */
TEST_UNUSED static void arrive(foe_t *x, const void *data, size_t size)
{
  if (alive(x)) {
    fake_arrive(x->w.k, data, size);
  }
}

TEST_UNUSED static void end_wire(foe_t *x)
{
  if (alive(x)) {
    fake_end(x->w.k, 0);
  }
}

TEST_UNUSED static void peer_step(foe_t *x)
{
  if (!SSL_is_init_finished(x->r.ssl)) {
    int rc = SSL_do_handshake(x->r.ssl);
    int why = SSL_get_error(x->r.ssl, rc);
    x->raw_error = rc != 1 && why != SSL_ERROR_WANT_READ ? why : 0;
  } else if ((size_t)x->read_size < sizeof x->read) {
    int n = SSL_read(x->r.ssl, x->read + x->read_size, (int)sizeof x->read - x->read_size);
    x->read_size += n > 0 ? n : 0;
    int why = SSL_get_error(x->r.ssl, n);
    x->raw_error = n <= 0 && why != SSL_ERROR_WANT_READ ? why : 0;
  }
  ERR_clear_error();
}

/* Moves bytes in steps until nothing moves, at most `most` to us in all. */
TEST_UNUSED static void foe_run(foe_t *x, size_t step, size_t most)
{
  uint8_t buf[4096];
  for (;;) {
    size_t moved = 0;
    few(x);
    if (!alive(x)) {
      break;
    }
    size_t n = qn_buf_size(&x->w.k->wire);
    n = n < step ? n : step;
    if (n != 0) {
      BIO_write(x->r.in, qn_buf_data(&x->w.k->wire), (int)n);
      qn_buf_consume(&x->w.k->wire, n);
      x->sent += n;
      moved += n;
    }
    peer_step(x);
    size_t left = most - x->moved, room = left < step ? left : step;
    room = room < sizeof buf ? room : sizeof buf;
    int got = room != 0 && !x->r.hold ? BIO_read(x->r.out, buf, (int)room) : 0;
    if (got > 0) {
      arrive(x, buf, (size_t)got);
      x->moved += (size_t)got;
      moved += (size_t)got;
    }
    if (moved == 0) {
      break;
    }
  }
}

TEST_UNUSED static void foe_shake(foe_t *x)
{
  foe_begin(x);
  foe_run(x, SIZE_MAX, SIZE_MAX);
  if (x->up.result != 0) {
    FAIL("ours: %s", qn_tls_problem(x->t));
  }
  REQUIRE_INT(x->up.done, 1);
  REQUIRE_INT(x->up.result, 0);
}

TEST_UNUSED static void foe_up(foe_t *x, bool server, int version)
{
  foe_open(x, server, version);
  foe_shake(x);
}

TEST_UNUSED static void send_sealed(foe_t *x, uint8_t type, const void *data, size_t size)
{
  uint8_t *out = malloc(size + 64);
  size_t n = raw_seal(&x->r, type, data, size, out);
  arrive(x, out, n);
  free(out);
}

TEST_UNUSED static void says(const foe_t *x, const char *words)
{
  if (strstr(qn_tls_problem(x->t), words) == NULL) {
    FAIL("\"%s\" is not in \"%s\"", words, qn_tls_problem(x->t));
  }
}

#define EACH_SIDE(x)                                                         \
  for (int side = 0; side < 2; side++)                                       \
    for (int v = 0; v < 2; v++)                                              \
      if (TEST_ROUND("%s, TLS %x", side ? "server" : "client", versions[v]), \
          memset(&(x), 0, sizeof(x)), true)

#endif

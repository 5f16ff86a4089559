/* tls_fuzz.c: the TLS layer, client and server, against a peer that sends anything.
 *
 * Input: a byte (1: we are the server, 2: TLS 1.3 instead of 1.2, 4: a byte at a time, 8: client
 * certificates are asked for, 16: the whole handshake is done first, 32: it is told in words), two
 * bytes (how much of a real peer's handshake comes first), then what the peer sends; behind a whole
 * handshake as records of type, length (2) and data, sealed with the connection's keys. Random
 * numbers are the same each time. Nothing may be lost, nothing may go on for ever, an error must
 * have words.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "runtime/tls/raw_peer.h"

#include "qn/cert.h"
#include "qn/key.h"
#include "qn/loop.h"
#include "qn/tls.h"
#include "qn/trace.h"

#define TEST_UNUSED __attribute__((unused))
#include "runtime/tls/pem.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_that(bool ok, const char *what)
{
  if (!ok) {
    fprintf(stderr, "tls_fuzz: %s\n", what);
    abort();
  }
}

/* --- the same random numbers each time -------------------------------------------------------- */

static uint64_t seed;

static int fill_random(unsigned char *out, int n)
{
  for (int i = 0; i < n; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    out[i] = (unsigned char)(seed >> 56);
  }
  return 1;
}
static int random_is_there(void) { return 1; }

static const RAND_METHOD same_random = {
    .bytes = fill_random, .pseudorand = fill_random, .status = random_is_there};

/* --- configurations, made once ---------------------------------------------------------------- */

static qn_tls_config_t *configs[3]; /* client, server, server that asks for a certificate */

static void make_configs(void)
{
  qn_cert_t *cert = NULL, *ca = NULL;
  qn_key_t *key = NULL;
  RAND_set_rand_method(&same_random);
  require_that(qn_cert_parse(pem_server, strlen(pem_server), &cert) == 0 &&
                   qn_cert_parse(pem_ca, strlen(pem_ca), &ca) == 0 &&
                   qn_key_parse(pem_server_key, strlen(pem_server_key), NULL, 0, &key) == 0,
               "certificates");
  for (int i = 0; i < 3; i++) {
    qn_tls_config_t *c = configs[i] = qn_tls_config_new();
    require_that(c != NULL && qn_tls_config_set_sessions(c, false) == 0 &&
                     qn_tls_config_add_ca(c, ca) == 0 &&
                     (i == 0 || qn_tls_config_add_cert(c, cert, NULL, 0, key) == 0) &&
                     (i != 2 || qn_tls_config_set_verify(c, QN_TLS_VERIFY_QUERY) == 0) &&
                     qn_tls_config_prepare(c, i != 0) == 0,
                 "configurations");
  }
  qn_cert_release(cert);
  qn_cert_release(ca);
  qn_key_release(key);
}

/* --- one connection --------------------------------------------------------------------------- */

typedef struct run {
  qn_loop_t *loop;
  qn_stream_t *peer, *ours;
  qn_tls_t *t;
  qn_op_t up, reading_peer, reading_ours;
  bool up_done, peer_pending, ours_pending, ended;
  int64_t result;
  raw_t raw;
} run_t;

static void up_done(qn_op_t *op)
{
  run_t *x = (run_t *)(void *)((char *)op - offsetof(run_t, up));
  x->up_done = true;
  x->result = op->result;
}

static void peer_done(qn_op_t *op)
{
  run_t *x = (run_t *)(void *)((char *)op - offsetof(run_t, reading_peer));
  x->peer_pending = false;
}

static void ours_done(qn_op_t *op)
{
  run_t *x = (run_t *)(void *)((char *)op - offsetof(run_t, reading_ours));
  x->ours_pending = false;
}

static void turn(run_t *x)
{
  qn_want_t want = {.kind = QN_WANT_SOME, .n = 65536};
  qn_got_t got;
  for (int i = 0; i < 4; i++) {
    if (!x->peer_pending) {
      qn_slice_t bytes = qn_stream_data(x->peer);
      if (bytes.size != 0) {
        if (x->raw.ssl != NULL) {
          BIO_write(x->raw.in, bytes.data, (int)bytes.size);
        }
        qn_stream_consume(x->peer, bytes.size);
      }
      qn_op_init(&x->reading_peer, x->loop, peer_done);
      x->peer_pending = qn_stream_want(x->peer, &x->reading_peer, &want, &got) == QN_AGAIN;
    }
    if (x->up_done && x->result == 0 && !x->ours_pending && !x->ended) {
      qn_stream_consume(x->ours, qn_stream_data(x->ours).size);
      qn_op_init(&x->reading_ours, x->loop, ours_done);
      int rc = qn_stream_want(x->ours, &x->reading_ours, &want, &got);
      x->ours_pending = rc == QN_AGAIN;
      x->ended = rc < 0 && rc != QN_AGAIN;
      require_that(!x->ended || qn_tls_problem(x->t)[0] != 0 || rc == QN_E_EOF, "no words");
    }
    qn_loop_turn(x->loop, QN_TURN_NOWAIT);
  }
}

static void deliver(run_t *x, const uint8_t *data, size_t size, bool single)
{
  for (size_t at = 0; at < size; at += single ? 1 : size) {
    qn_slice_t v = {data + at, single ? 1 : size};
    (void)qn_stream_write(x->peer, NULL, NULL, &v, 1);
    if (single && at % 64 == 0) {
      turn(x);
    }
  }
  turn(x);
}

/* A real peer, up to `most` of its bytes. */
static void shake(run_t *x, size_t most)
{
  uint8_t buf[4096];
  for (int i = 0; i < 20 && most != 0; i++) {
    turn(x);
    if (!SSL_is_init_finished(x->raw.ssl)) {
      (void)SSL_do_handshake(x->raw.ssl);
      ERR_clear_error();
    }
    int n = BIO_read(x->raw.out, buf, (int)(most < sizeof buf ? most : sizeof buf));
    if (n > 0) {
      most -= (size_t)n;
      deliver(x, buf, (size_t)n, false);
    }
  }
}

static void send_records(run_t *x, const uint8_t *data, size_t size, bool single)
{
  uint8_t out[65536 + 64];
  while (size >= 3) {
    size_t n = (size_t)data[1] << 8 | data[2];
    n = n < size - 3 ? n : size - 3;
    deliver(x, out, raw_seal(&x->raw, data[0], data + 3, n, out), single);
    data += 3 + n;
    size -= 3 + n;
  }
}

static void told(const qn_trace_event_t *e, void *data)
{
  (void)data;
  for (size_t i = 0; i < e->bytes.size; i++) {
    require_that(e->bytes.data[i] >= ' ' && e->bytes.data[i] <= '~',
                 "a trace that is no plain text");
  }
}

static void begin(run_t *x, bool server, int version, qn_tls_config_t *config, bool traced)
{
  qn_tls_opts_t o = {.server = server, .server_name = server ? NULL : "localhost"};
  raw_open(&x->raw, !server, version);
  require_that(server || raw_use(&x->raw, pem_server, pem_server_key), "raw certificate");
  raw_begin(&x->raw);
  x->loop = qn_loop_new(NULL);
  require_that(x->loop != NULL && qn_stream_pair(x->loop, &x->peer, &x->ours) == 0, "a pair");
  if (traced) {
    qn_loop_set_trace(x->loop, told, NULL);
  }
  require_that(qn_tls_new(config, &o, &x->t) == 0, "a connection");
  qn_op_init(&x->up, x->loop, up_done);
  require_that(qn_tls_start(x->t, x->ours, &x->up) == QN_AGAIN, "start");
}

static void finish(run_t *x)
{
  qn_stream_close(x->peer);
  for (int i = 0; i < 10; i++) {
    turn(x);
  }
  require_that(x->up_done, "the handshake hangs");
  require_that(x->result == 0 || qn_tls_problem(x->t)[0] != 0, "a failure without words");
  qn_stream_abort(x->ours);
  qn_stream_abort(x->peer);
  for (int i = 0; i < 20; i++) {
    qn_loop_turn(x->loop, QN_TURN_NOWAIT);
  }
  qn_tls_release(x->t);
  qn_stream_release(x->ours);
  qn_stream_release(x->peer);
  for (int i = 0; i < 20; i++) {
    qn_loop_turn(x->loop, QN_TURN_NOWAIT);
  }
  require_that(qn_loop_free(x->loop) == 0, "the loop is not clean");
  raw_close(&x->raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 3) {
    return 0;
  }
  if (configs[0] == NULL) {
    make_configs();
  }
  seed = 1;
  int64_t live = qn_alloc_live();
  bool server = data[0] & 1, single = data[0] & 4, whole = data[0] & 16;
  size_t most = whole ? SIZE_MAX : (size_t)data[1] << 8 | data[2];
  run_t *x = calloc(1, sizeof *x);
  begin(x, server, data[0] & 2 ? TLS1_3_VERSION : TLS1_2_VERSION,
        configs[!server       ? 0
                : data[0] & 8 ? 2
                              : 1],
        data[0] & 32);
  shake(x, most);
  if (whole) {
    require_that(x->up_done && x->result == 0, "a real handshake fails");
    send_records(x, data + 3, size - 3, single);
  } else {
    deliver(x, data + 3, size - 3, single);
  }
  finish(x);
  free(x);
  require_that(qn_alloc_live() == live, "memory was lost");
  return 0;
}

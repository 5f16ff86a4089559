/* f_tls.c: handshake, records, close_notify, truncation, STARTTLS, TLS in TLS, byte by byte.
 * covers: runtime/tls/f_tls.c, runtime/tls/bio.c, runtime/tls/f_tls_new.c,
 * runtime/tls/f_tls_facts.c
 */
#include "runtime/tls/tls_rig.h"

TEST(a_handshake_and_what_is_known_afterwards)
{
  duo_t d;
  int bits = 0;
  char about[64];
  duo_init(&d);
  duo_shake(&d);
  duo_require_up(&d);
  CHECK(qn_tls_is_up(d.c) && qn_tls_is_up(d.s));
  CHECK(!qn_tls_is_server(d.c) && qn_tls_is_server(d.s));
  CHECK_STR(qn_tls_version_name(qn_tls_version(d.c)), "TLSv1.3");
  CHECK(qn_tls_cipher(d.c) != NULL && qn_tls_cipher_bits(d.c) >= 128);
  CHECK_STR(qn_tls_cipher(d.c), qn_tls_cipher(d.s));
  CHECK_STR(qn_tls_server_name(d.s), "localhost");
  CHECK_STR(qn_tls_ephemeral_key(d.c, &bits), "X25519");
  CHECK_INT(qn_tls_alpn(d.c).size, 0);
  CHECK(!qn_tls_resumed(d.c));
  CHECK_UINT(qn_tls_peer_count(d.c), 1);
  CHECK_UINT(qn_tls_peer_count(d.s), 0);
  CHECK_UINT(qn_tls_error_count(d.c), 0);
  CHECK_STR(qn_tls_problem(d.c), "");
  qn_cert_t *peer = NULL, *want = cert_of(pem_server);
  CHECK_INT(qn_tls_peer_cert(d.c, 0, &peer), 0);
  CHECK(qn_cert_equal(peer, want));
  CHECK_INT(qn_tls_peer_cert(d.c, 1, &peer), QN_E_INVALID);
  qn_cert_release(peer);
  qn_cert_release(want);
  CHECK_PTR(qn_tls_of(d.p.a), d.c);
  qn_stream_describe(d.p.a, about, sizeof about);
  CHECK_STR(about, "tls>memory");
  CHECK_INT(d.hc.up + d.hs.up, 2);
  CHECK_INT(qn_tls_start(d.c, d.p.a, NULL), QN_E_BUSY);
  duo_talk(&d);
  duo_close(&d);
}

TEST(every_version_and_key)
{
  static const int versions[] = {QN_TLS_1_2, QN_TLS_1_3};
  for (int i = 0; i < 2; i++) {
    for (int rsa = 0; rsa < 2; rsa++) {
      TEST_ROUND("version %x, %s", versions[i], rsa ? "RSA" : "P-256");
      duo_t d;
      duo_init(&d);
      d.cc = client_config();
      d.sc = new_config();
      add_cert(d.sc, rsa ? pem_rsa : pem_server, NULL, rsa ? pem_rsa_key : pem_server_key);
      CHECK_INT(qn_tls_config_set_versions(d.cc, versions[i], versions[i]), 0);
      duo_shake(&d);
      duo_require_up(&d);
      CHECK_INT(qn_tls_version(d.s), versions[i]);
      duo_talk(&d);
      duo_close(&d);
    }
  }
}

/* --- the end ---------------------------------------------------------------------------------- */

TEST(close_notify_both_ways)
{
  for (int first = 0; first < 2; first++) {
    TEST_ROUND("%s first", first ? "server" : "client");
    duo_t d;
    reading_t r;
    duo_init(&d);
    duo_shake(&d);
    duo_require_up(&d);
    qn_stream_t *x = first ? d.p.b : d.p.a, *y = first ? d.p.a : d.p.b;
    put_text(x, "last");
    (void)qn_stream_finish(x, NULL, NULL);
    CHECK_INT(read_now(&r, y, all(0)), 0);
    CHECK_READ(r, "last");
    CHECK(r.got.ended);
    CHECK_INT(put_text(x, "x"), QN_E_SHUTDOWN);
    put_text(y, "still"); /* the other direction goes on */
    (void)qn_stream_finish(y, NULL, NULL);
    CHECK_INT(read_now(&r, x, all(0)), 0);
    CHECK_READ(r, "still");
    settle_all(d.p.loop);
    CHECK_INT(qn_stream_state(x), QN_STATE_UNCONNECTED);
    CHECK_INT(first ? d.hc.in : d.hs.in, 0);
    duo_close(&d);
  }
}

TEST(a_graceful_close_says_close_notify)
{
  duo_t d;
  reading_t r;
  duo_init(&d);
  duo_shake(&d);
  duo_require_up(&d);
  put_text(d.p.a, "bye");
  qn_stream_close(d.p.a);
  CHECK_INT(read_now(&r, d.p.b, all(0)), 0);
  CHECK_READ(r, "bye");
  CHECK_INT(d.hs.in, 0);
  duo_close(&d);
}

/* A wire that the test holds: what the client sends can be cut or changed. */
typedef struct cut {
  wire_t w; /* the server's side */
  qn_stream_t *a;
  fake_t *ka;
  duo_t d;
  size_t moved; /* bytes that went to the server */
} cut_t;

static void cut_open(cut_t *x)
{
  memset(x, 0, sizeof *x);
  duo_zero(&x->d);
  wire_open(&x->w);
  duo_configs(&x->d);
  x->a = qn_stream_new(x->w.loop);
  x->ka = fake_new();
  REQUIRE(x->a != NULL && x->ka != NULL);
  REQUIRE_INT(qn__stream_plug(x->a, &x->ka->filter), 0);
  x->d.p.loop = x->w.loop;
  duo_make(&x->d);
  note_init(&x->d.up_c, x->w.loop);
  note_init(&x->d.up_s, x->w.loop);
  CHECK_INT(qn_tls_start(x->d.s, x->w.s, &x->d.up_s.op), QN_AGAIN);
  CHECK_INT(qn_tls_start(x->d.c, x->a, &x->d.up_c.op), QN_AGAIN);
}

static void cut_close(cut_t *x)
{
  qn_stream_release(x->a);
  qn_tls_release(x->d.c);
  qn_tls_release(x->d.s);
  qn_tls_config_release(x->d.cc);
  qn_tls_config_release(x->d.sc);
  settle_all(x->w.loop);
  wire_close(&x->w);
}

static size_t carry(fake_t *from, fake_t *to, size_t most)
{
  size_t n = qn_buf_size(&from->wire);
  n = n < most ? n : most;
  if (n != 0) {
    fake_arrive(to, qn_buf_data(&from->wire), n);
    qn_buf_consume(&from->wire, n);
  }
  return n;
}

static void few_turns(qn_loop_t *loop)
{
  for (int i = 0; i < 4; i++) {
    qn_loop_turn(loop, QN_TURN_NOWAIT);
  }
}

/* Moves bytes in steps until nothing moves, at most `most` to the server. */
static void cut_run(cut_t *x, size_t step, size_t most)
{
  bool a_on, b_on;
  do {
    few_turns(x->w.loop);
    a_on = x->a->top != NULL;
    b_on = x->w.s->top != NULL;
    size_t left = most - x->moved, n = 0;
    if (a_on && b_on) {
      n = carry(x->ka, x->w.k, left < step ? left : step);
      x->moved += n;
    }
    n += a_on && b_on ? carry(x->w.k, x->ka, step) : 0;
    if (n == 0) {
      break;
    }
  } while (true);
}

TEST(byte_by_byte)
{
  static const size_t steps[] = {1, 2, 3, 5, 7, 64, 1000};
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    TEST_ROUND("%zu bytes a time", steps[i]);
    cut_t x;
    reading_t r;
    cut_open(&x);
    cut_run(&x, steps[i], SIZE_MAX);
    duo_require_up(&x.d);
    put_text(x.a, "hello");
    CHECK_INT(start_read(&r, x.w.s, exact(5)), QN_AGAIN);
    cut_run(&x, steps[i], SIZE_MAX);
    CHECK_INT(r.note.result, 0);
    CHECK_READ(r, "hello");
    cut_close(&x);
  }
}

TEST(the_connection_ends_at_every_byte)
{
  cut_t x;
  cut_open(&x);
  cut_run(&x, SIZE_MAX, SIZE_MAX);
  size_t whole = x.moved;
  cut_close(&x);
  REQUIRE(whole > 100);
  for (size_t at = 0; at < whole; at += at < 100 ? 1 : 3) {
    TEST_ROUND("after %zu bytes", at);
    cut_open(&x);
    cut_run(&x, SIZE_MAX, at);
    fake_end(x.w.k, 0);
    few_turns(x.w.loop);
    CHECK_INT(x.d.up_s.done, 1);
    CHECK_INT(x.d.up_s.result, QN_E_EOF);
    CHECK_STR(qn_tls_problem(x.d.s), "the connection ended in the TLS handshake");
    cut_close(&x);
  }
}

TEST(an_error_below_is_the_error)
{
  cut_t x;
  cut_open(&x);
  cut_run(&x, SIZE_MAX, 50);
  fake_end(x.w.k, -ECONNRESET);
  few_turns(x.w.loop);
  CHECK_INT(x.d.up_s.result, -ECONNRESET);
  cut_close(&x);
}

TEST(garbage_and_changed_bytes)
{
  static const char http[] = "GET / HTTP/1.1\r\n\r\n";
  static const char huge[] = "\x16\x03\x01\xff\xff\x01";
  cut_t x;
  cut_open(&x);
  fake_arrive(x.w.k, http, sizeof http - 1);
  few_turns(x.w.loop);
  CHECK_INT(x.d.up_s.result, QN_E_TLS_DATA);
  CHECK(strstr(qn_tls_problem(x.d.s), "http request") != NULL);
  cut_close(&x);
  cut_open(&x);
  fake_arrive(x.w.k, huge, sizeof huge - 1);
  few_turns(x.w.loop);
  CHECK_INT(x.d.up_s.result, QN_E_TLS_DATA);
  cut_close(&x);
  for (size_t at = 0; at < 1400; at += 29) {
    TEST_ROUND("byte %zu changed", at);
    cut_open(&x);
    cut_run(&x, SIZE_MAX, at);
    if (qn_buf_size(&x.ka->wire) != 0 && x.w.s->top != NULL) {
      *qn_buf_data(&x.ka->wire) ^= 0x55;
    }
    cut_run(&x, SIZE_MAX, SIZE_MAX);
    CHECK(x.d.up_s.result <= 0); /* whatever it is: no crash, no leak, no loop */
    cut_close(&x);
  }
}

TEST(truncation_after_the_handshake)
{
  cut_t x;
  reading_t r;
  cut_open(&x);
  cut_run(&x, SIZE_MAX, SIZE_MAX);
  duo_require_up(&x.d);
  put_text(x.a, "all");
  few_turns(x.w.loop);
  cut_run(&x, SIZE_MAX, SIZE_MAX);
  fake_end(x.w.k, 0);
  CHECK_INT(read_now(&r, x.w.s, exact(3)), 0); /* what came is delivered */
  CHECK_READ(r, "all");
  CHECK_INT(read_now(&r, x.w.s, some(9)), QN_E_TLS_TRUNCATED);
  CHECK_INT(qn_err_kind(QN_E_TLS_TRUNCATED), QN_KIND_TLS);
  cut_close(&x);
}

TEST(records_without_data_are_bounded)
{
  duo_t d;
  reading_t r;
  duo_init(&d);
  duo_shake(&d);
  duo_require_up(&d);
  for (int i = 0; i < 4; i++) { /* a few are fine */
    CHECK_INT(qn_tls_key_update(d.c, true), 0);
    duo_talk(&d);
  }
  for (unsigned i = 0; i < QN_TLS_KEY_UPDATES_MAX + 1; i++) {
    CHECK_INT(qn_tls_key_update(d.c, false), 0);
  }
  CHECK_INT(read_now(&r, d.p.b, some(1)), QN_E_TLS_DATA);
  duo_close(&d);
}

TEST(key_update_is_for_the_living)
{
  duo_t d;
  duo_init(&d);
  d.cc = client_config();
  CHECK_INT(qn_tls_config_set_versions(d.cc, QN_TLS_1_2, QN_TLS_1_2), 0);
  duo_shake(&d);
  duo_require_up(&d);
  CHECK_INT(qn_tls_key_update(d.c, false), QN_E_UNSUPPORTED);
  qn_stream_abort(d.p.a);
  settle_all(d.p.loop);
  CHECK_INT(qn_tls_key_update(d.c, false), QN_E_NOT_CONNECTED);
  CHECK_INT(qn_tls_version(d.c), QN_TLS_1_2); /* facts stay */
  duo_close(&d);
}

/* --- layers ----------------------------------------------------------------------------------- */

TEST(tls_in_tls)
{
  duo_t d, inner;
  char about[64];
  duo_init(&d);
  duo_shake(&d);
  duo_require_up(&d);
  duo_zero(&inner);
  inner.p = d.p;
  duo_configs(&inner);
  duo_begin(&inner);
  duo_finish(&inner);
  duo_require_up(&inner);
  qn_stream_describe(d.p.a, about, sizeof about);
  CHECK_STR(about, "tls>tls>memory");
  CHECK_PTR(qn_tls_of(d.p.a), inner.c);
  duo_talk(&inner);
  qn_tls_release(inner.c);
  qn_tls_release(inner.s);
  qn_tls_config_release(inner.cc);
  qn_tls_config_release(inner.sc);
  duo_close(&d);
}

TEST(starttls)
{
  duo_t d;
  reading_t r;
  duo_init(&d);
  duo_configs(&d);
  duo_make(&d);
  put_text(d.p.a, "STARTTLS\r\nNOOP\r\n");
  CHECK_INT(read_now(&r, d.p.b, delim("\r\n", 0)), 0);
  CHECK_INT(qn_tls_start(d.s, d.p.b, &d.up_s.op), QN_E_PLAINTEXT);
  CHECK_INT(read_now(&r, d.p.b, delim("\r\n", 0)), 0);
  note_init(&d.up_c, d.p.loop);
  note_init(&d.up_s, d.p.loop);
  CHECK_INT(qn_tls_start(d.s, d.p.b, &d.up_s.op), QN_AGAIN); /* now it may */
  CHECK_INT(qn_tls_start(d.c, d.p.a, &d.up_c.op), QN_AGAIN);
  duo_finish(&d);
  duo_require_up(&d);
  duo_talk(&d);
  duo_close(&d);
}

TEST(what_is_written_before_goes_out_encrypted)
{
  duo_t d;
  reading_t r;
  duo_init(&d);
  duo_configs(&d);
  duo_begin(&d);
  CHECK_INT(put_text(d.p.a, "early"), 0);
  CHECK_INT(read_now(&r, d.p.b, exact(5)), 0);
  CHECK_READ(r, "early");
  duo_require_up(&d);
  duo_close(&d);
}

/* --- stopping --------------------------------------------------------------------------------- */

TEST(cancelled_and_aborted_at_each_step)
{
  for (int turns = 0; turns < 12; turns++) {
    for (int how = 0; how < 3; how++) {
      TEST_ROUND("after %d turns, way %d", turns, how);
      duo_t d;
      duo_init(&d);
      duo_configs(&d);
      duo_begin(&d);
      for (int i = 0; i < turns; i++) {
        qn_loop_turn(d.p.loop, QN_TURN_NOWAIT);
      }
      if (how == 0 && !d.up_c.done) {
        qn_op_cancel(&d.up_c.op, QN_E_TIMEOUT);
      }
      if (how == 1) {
        qn_stream_abort(d.p.a);
      }
      if (how == 2) {
        qn_stream_close(d.p.b);
      }
      settle_all(d.p.loop);
      qn_stream_abort(d.p.a);
      qn_stream_abort(d.p.b);
      settle_all(d.p.loop);
      CHECK_INT(d.up_c.done, 1);
      CHECK_INT(d.up_s.done, 1);
      duo_close(&d);
    }
  }
}

TEST(every_allocation_of_ours_fails)
{
  /* The configurations are OpenSSL's for the most part: made once. */
  bool failed = true;
  for (uint64_t nth = 1; failed; nth++) {
    TEST_ROUND("allocation %u", (unsigned)nth);
    duo_t d;
    duo_init(&d);
    duo_configs(&d);
    CHECK_INT(qn_tls_config_prepare(d.cc, false), 0);
    CHECK_INT(qn_tls_config_prepare(d.sc, true), 0);
    d.co.peer = "localhost:1";
    qn_alloc_fail_at(nth);
    note_init(&d.up_c, d.p.loop);
    note_init(&d.up_s, d.p.loop);
    bool made = qn_tls_new(d.cc, &d.co, &d.c) == 0 && qn_tls_new(d.sc, &d.so, &d.s) == 0;
    if (made) {
      int rc = qn_tls_start(d.s, d.p.b, &d.up_s.op);
      if (rc == QN_AGAIN) {
        rc = qn_tls_start(d.c, d.p.a, &d.up_c.op);
      }
      for (int i = 0; i < 60; i++) {
        qn_loop_turn(d.p.loop, QN_TURN_NOWAIT);
      }
    }
    failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    qn_stream_abort(d.p.a);
    qn_stream_abort(d.p.b);
    settle_all(d.p.loop);
    duo_close(&d);
    REQUIRE(nth < 500);
  }
}

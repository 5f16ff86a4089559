/* The layer against peers that break the protocol once the handshake is done: floods, new keys
 * without end, renegotiation, messages that have no place there, early data.
 * covers: runtime/tls/f_tls.c, runtime/tls/bio.c
 */
#include "runtime/tls/foe.h"

typedef struct flood {
  uint8_t type;
  const char *data;
  size_t size;
} flood_t;

static void flood_after(bool server, int version, const flood_t *f)
{
  foe_t x;
  reading_t r;
  foe_up(&x, server, version);
  CHECK_INT(start_read(&r, x.w.s, some(1)), QN_AGAIN);
  size_t before = x.sent, n = 0;
  for (; n < 1000 && !r.note.done; n++) {
    send_sealed(&x, f->type, f->data, f->size);
    few(&x);
  }
  CHECK(n <= 2 * QN_TLS_KEY_UPDATES_MAX + 2);
  CHECK_INT(r.note.done, 1);
  CHECK_INT(r.note.result, QN_E_TLS_DATA);
  CHECK(qn_tls_problem(x.t)[0] != 0);
  CHECK(x.sent - before + (alive(&x) ? qn_buf_size(&x.w.k->wire) : 0) < 4096);
  foe_close(&x);
}

TEST(floods_after_the_handshake)
{
  static const flood_t old[] = {
      {23, "", 0},
      {21, "\x01\x64", 2},
      {22, "\x00\x00\x00\x00", 4}, /* HelloRequest */
      {22, "", 0},
  };
  static const flood_t new[] = {
      {23, "", 0},
      {21, "\x01\x5a", 2},
      {22, "\x18\x00\x00\x01\x00",
       5}, /* KeyUpdate: the keys change, so the second one is garbage */
      {22, "", 0},
  };
  for (int side = 0; side < 2; side++) {
    for (size_t i = 0; i < 4; i++) {
      TEST_ROUND("side %d, flood %zu", side, i);
      if (i != 2 || side == 0) { /* servers take a HelloRequest for an offence at once */
        flood_after(side, QN_TLS_1_2, &old[i]);
      }
      flood_after(side, QN_TLS_1_3, &new[i]);
    }
  }
}

/* By a peer that really changes its keys, with and without asking for ours. */
TEST(key_updates_are_bounded)
{
  for (int side = 0; side < 2; side++) {
    for (int ask = 0; ask < 2; ask++) {
      TEST_ROUND("side %d, ask %d", side, ask);
      foe_t x;
      reading_t r;
      foe_up(&x, side, QN_TLS_1_3);
      CHECK_INT(start_read(&r, x.w.s, some(1)), QN_AGAIN);
      size_t before = x.sent;
      unsigned n = 0;
      for (; n < 200 && !r.note.done; n++) {
        SSL_key_update(x.r.ssl, ask ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
        SSL_do_handshake(x.r.ssl);
        foe_run(&x, SIZE_MAX, SIZE_MAX);
      }
      CHECK_INT(r.note.result, QN_E_TLS_DATA);
      CHECK(n > 1 && n <= QN_TLS_KEY_UPDATES_MAX + 1);
      CHECK(x.sent - before < 4096);
      says(&x, "too many records without data");
      foe_close(&x);
    }
  }
}

/* With data between them, by a peer that does not read our answers: what is queued is bounded. */
TEST(answers_to_key_updates_are_bounded)
{
  for (int reads = 0; reads < 2; reads++) {
    TEST_ROUND("reads %d", reads);
    foe_t x;
    foe_up(&x, false, QN_TLS_1_3);
    x.w.k->accept = reads ? SIZE_MAX : 0;
    unsigned n = 0;
    size_t most = 0;
    bool ended = false;
    for (; n < 4000 && !ended; n++) {
      reading_t r;
      x.read_size = 0;
      SSL_key_update(x.r.ssl, SSL_KEY_UPDATE_REQUESTED);
      SSL_do_handshake(x.r.ssl);
      SSL_write(x.r.ssl, "x", 1);
      int rc = start_read(&r, x.w.s, some(1));
      foe_run(&x, SIZE_MAX, SIZE_MAX);
      ended = (rc == QN_AGAIN ? r.note.result : rc) != 0;
      most = qn_stream_queued(x.w.s) > most ? qn_stream_queued(x.w.s) : most;
      if (ended) {
        CHECK_INT(rc == QN_AGAIN ? r.note.result : rc, QN_E_TLS_DATA);
        says(&x, "does not take them");
      }
    }
    CHECK_INT(ended, !reads);
    CHECK(most < 200000);
    foe_close(&x);
  }
}

/* A ticket in two records: between them OpenSSL does not write. */
TEST(what_is_written_in_the_middle_of_a_message_goes_behind_it)
{
  static const uint8_t ticket[] = {4, 0, 0, 18, 0, 0,   14,  16,  1,   2, 3,
                                   4, 1, 0, 0,  4, 't', 'i', 'c', 'k', 0, 0};
  foe_t x;
  reading_t r;
  note_t flushed;
  qn_writer_t w;
  foe_up(&x, false, QN_TLS_1_3);
  CHECK_INT(start_read(&r, x.w.s, some(1)), QN_AGAIN);
  send_sealed(&x, 22, ticket, 9);
  few(&x);
  CHECK_INT(put_text(x.w.s, "first,"), 0);
  CHECK_INT(put_text(x.w.s, "second"), 0);
  note_init(&flushed, x.w.loop);
  CHECK_INT(qn_stream_flush(x.w.s, &flushed.op, &w), QN_AGAIN);
  foe_run(&x, SIZE_MAX, SIZE_MAX);
  CHECK_INT(x.read_size, 0);
  CHECK_UINT(qn_stream_queued(x.w.s), 12);
  CHECK_INT(flushed.done, 0);
  send_sealed(&x, 22, ticket + 9, sizeof ticket - 9);
  foe_run(&x, SIZE_MAX, SIZE_MAX);
  CHECK_MEM(x.read, (size_t)x.read_size, "first,second", 12);
  CHECK_INT(flushed.done, 1);
  CHECK_INT(flushed.result, 0);
  CHECK_INT(x.heard.sessions, 1);
  CHECK_UINT(qn_stream_queued(x.w.s), 0);
  /* and never behind an end */
  send_sealed(&x, 22, ticket, 9);
  few(&x);
  CHECK_INT(put_text(x.w.s, "third"), 0);
  end_wire(&x);
  few(&x);
  CHECK_INT(r.note.result, QN_E_TLS_TRUNCATED);
  foe_close(&x);
}

/* --- what is refused -------------------------------------------------------------------------- */

TEST(renegotiation_is_refused)
{
  for (int side = 0; side < 2; side++) {
    TEST_ROUND("side %d", side);
    foe_t x;
    reading_t r;
    foe_up(&x, side, QN_TLS_1_2);
    CHECK_INT(start_read(&r, x.w.s, exact(4)), QN_AGAIN);
    CHECK_INT(SSL_renegotiate(x.r.ssl), 1);
    SSL_do_handshake(x.r.ssl);
    ERR_clear_error();
    foe_run(&x, SIZE_MAX, SIZE_MAX);
    CHECK_INT(qn_tls_alert_sent(x.t), 100); /* no_renegotiation: a warning */
    CHECK(SSL_num_renegotiations(x.r.ssl) <= 1);
    if (!r.note.done) { /* the connection goes on, if the peer likes */
      send_sealed(&x, 23, "data", 4);
      few(&x);
      (void)x;
    }
    foe_close(&x);
  }
}

/* A HelloRequest by itself, then data: as if nothing had been. */
TEST(a_hello_request_is_answered_and_forgotten)
{
  foe_t x;
  reading_t r;
  foe_up(&x, false, QN_TLS_1_2);
  CHECK_INT(start_read(&r, x.w.s, exact(4)), QN_AGAIN);
  send_sealed(&x, 22, "\x00\x00\x00\x00", 4);
  few(&x);
  CHECK_INT(qn_tls_alert_sent(x.t), 100);
  send_sealed(&x, 23, "data", 4);
  few(&x);
  CHECK_INT(r.note.result, 0);
  CHECK_READ(r, "data");
  foe_close(&x);
}

TEST(messages_that_have_no_place_behind_the_handshake)
{
  static const struct {
    bool server;
    int version;
    const char *bytes;
    size_t size;
  } cases[] = {
      {false, QN_TLS_1_3, "\x0d\x00\x00\x0b\x00\x00\x08\x00\x0d\x00\x04\x00\x02\x04\x03", 15},
      {false, QN_TLS_1_3, "\x00\x00\x00\x00", 4},         /* HelloRequest */
      {false, QN_TLS_1_3, "\x01\x00\x00\x02\x03\x03", 6}, /* ClientHello from a server */
      {true, QN_TLS_1_3, "\x01\x00\x00\x02\x03\x03", 6},  /* a second ClientHello */
      {true, QN_TLS_1_3, "\x04\x00\x00\x02\x03\x03", 6},  /* a ticket from a client */
      {true, QN_TLS_1_3, "\x18\x00\x00\x01\x07", 5},      /* KeyUpdate of no kind */
      {false, QN_TLS_1_3, "\x18\x00\x00\x02\x00\x00", 6}, /* KeyUpdate too long */
      {true, QN_TLS_1_2, "\x14\x00\x00\x02\x03\x03", 6},  /* Finished again */
      {false, QN_TLS_1_2, "\x0b\x00\x00\x03\x00\x00\x00", 7},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    TEST_ROUND("case %zu", i);
    foe_t x;
    reading_t r;
    foe_up(&x, cases[i].server, cases[i].version);
    CHECK_INT(start_read(&r, x.w.s, some(1)), QN_AGAIN);
    send_sealed(&x, 22, cases[i].bytes, cases[i].size);
    few(&x);
    CHECK_INT(r.note.done, 1);
    CHECK_INT(r.note.result, QN_E_TLS_DATA);
    CHECK(qn_tls_alert_sent(x.t) > 0);
    CHECK_INT(put_text(x.w.s, "x") != 0, 1);
    foe_close(&x);
  }
}

/* Asked for with the extension, too, nobody gets a certificate out of a client later. */
TEST(authentication_after_the_handshake_is_refused)
{
  foe_t x;
  foe_up(&x, false, QN_TLS_1_3);
  SSL_set_verify(x.r.ssl, SSL_VERIFY_PEER, NULL);
  CHECK_INT(SSL_verify_client_post_handshake(x.r.ssl), 0); /* the client has not offered it */
  foe_close(&x);
}

/* A client that sends data in its first flight: the server skips it and goes on. */
static void early(size_t size, int result)
{
  foe_t x;
  reading_t r;
  static uint8_t data[40000];
  foe_open(&x, true, QN_TLS_1_3);
  foe_begin(&x);
  foe_run(&x, SIZE_MAX, SIZE_MAX);
  REQUIRE_INT(x.up.result, 0);
  SSL_SESSION *session = SSL_get1_session(x.r.ssl);
  CHECK_UINT(SSL_SESSION_get_max_early_data(session), 0);
  CHECK(SSL_SESSION_is_resumable(session));
  SSL_SESSION_set_max_early_data(session, 100000);
  qn_tls_release(x.t);
  qn_stream_abort(x.w.s);
  settle_all(x.w.loop);
  qn_stream_release(x.w.s);
  settle_all(x.w.loop);
  SSL_set_shutdown(x.r.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* keeps the session */
  SSL_free(x.r.ssl);
  x.r.ssl = NULL;
  x.w.s = qn_stream_new(x.w.loop);
  x.w.k = fake_new();
  x.w.destroyed = 0;
  x.w.k->destroyed = &x.w.destroyed;
  REQUIRE_INT(qn__stream_plug(x.w.s, &x.w.k->filter), 0);
  qn_tls_opts_t o = {.server = true};
  REQUIRE_INT(qn_tls_new(x.config, &o, &x.t), 0);
  note_init(&x.up, x.w.loop);
  raw_begin(&x.r);
  SSL_set_session(x.r.ssl, session);
  SSL_SESSION_free(session);
  REQUIRE_INT(qn_tls_start(x.t, x.w.s, &x.up.op), QN_AGAIN);
  for (size_t at = 0, n = 0; at < size; at += n) {
    REQUIRE_INT(SSL_write_early_data(x.r.ssl, data, size < 10000 ? size : 10000, &n), 1);
  }
  foe_run(&x, SIZE_MAX, SIZE_MAX);
  CHECK_INT(x.up.done, 1);
  CHECK_INT(x.up.result, result);
  if (result == 0) {
    CHECK(qn_tls_resumed(x.t));
    CHECK_INT(SSL_get_early_data_status(x.r.ssl), SSL_EARLY_DATA_REJECTED);
    CHECK_INT(start_read(&r, x.w.s, exact(5)), QN_AGAIN);
    SSL_write(x.r.ssl, "after", 5);
    foe_run(&x, SIZE_MAX, SIZE_MAX);
    CHECK_READ(r, "after"); /* nothing of the early data */
  } else {
    CHECK(qn_tls_problem(x.t)[0] != 0);
  }
  foe_close(&x);
}

TEST(early_data_is_skipped_up_to_a_limit)
{
  early(5, 0);
  early(10000, 0);
  early(40000, QN_E_TLS_DATA);
}

TEST(compression_is_off)
{
  foe_t x;
  EACH_SIDE(x)
  {
    foe_up(&x, side, versions[v]);
    CHECK_NULL(SSL_get_current_compression(x.r.ssl));
    CHECK_NULL(SSL_get_current_expansion(x.r.ssl));
    foe_close(&x);
  }
}

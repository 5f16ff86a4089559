/* The layer against peers that break the protocol: cut at every byte, byte by byte, garbage,
 * records and messages too large or too many, renegotiation, early data. Each ends with its own
 * error and text, sends the right alert, costs bounded memory, and never hangs. covers:
 * runtime/tls/f_tls.c, runtime/tls/bio.c, runtime/tls/alert.c
 */
#include "runtime/tls/raw_peer.h"
#include "runtime/tls/tls_rig.h"

static const int versions[] = {QN_TLS_1_2, QN_TLS_1_3};

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
static void foe_open(foe_t *x, bool server, int version)
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
static void foe_open_as(foe_t *x, const foe_t *first)
{
  memset(x, 0, sizeof *x);
  wire_open(&x->w);
  x->config = first->config;
  qn_tls_config_retain(x->config);
  x->r = (raw_t){.ctx = first->r.ctx, .server = first->r.server, .version = first->r.version};
  SSL_CTX_up_ref(x->r.ctx);
}

static void foe_begin(foe_t *x)
{
  qn_tls_opts_t o = {.server = !x->r.server, .server_name = x->r.server ? "localhost" : NULL};
  x->heard = (heard_t){.in = -1, .out = -1};
  o.hooks = (qn_tls_hooks_t){.event = hear, .arg = &x->heard};
  REQUIRE_INT(qn_tls_new(x->config, &o, &x->t), 0);
  note_init(&x->up, x->w.loop);
  raw_begin(&x->r);
  REQUIRE_INT(qn_tls_start(x->t, x->w.s, &x->up.op), QN_AGAIN);
}

static void foe_close(foe_t *x)
{
  qn_stream_abort(x->w.s);
  settle_all(x->w.loop);
  raw_close(&x->r);
  qn_tls_release(x->t);
  qn_tls_config_release(x->config);
  wire_close(&x->w);
}

static void few(foe_t *x)
{
  for (int i = 0; i < 4; i++) {
    qn_loop_turn(x->w.loop, QN_TURN_NOWAIT);
  }
}

static bool alive(const foe_t *x) { return x->w.s->top != NULL; }

/* What the peer sends while it is heard: a layer that has failed has no wire. */
static void arrive(foe_t *x, const void *data, size_t size)
{
  if (alive(x)) {
    fake_arrive(x->w.k, data, size);
  }
}

static void end_wire(foe_t *x)
{
  if (alive(x)) {
    fake_end(x->w.k, 0);
  }
}

static void peer_step(foe_t *x)
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
static void foe_run(foe_t *x, size_t step, size_t most)
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

static void foe_shake(foe_t *x)
{
  foe_begin(x);
  foe_run(x, SIZE_MAX, SIZE_MAX);
  if (x->up.result != 0) {
    FAIL("ours: %s", qn_tls_problem(x->t));
  }
  REQUIRE_INT(x->up.done, 1);
  REQUIRE_INT(x->up.result, 0);
}

static void foe_up(foe_t *x, bool server, int version)
{
  foe_open(x, server, version);
  foe_shake(x);
}

static void send_sealed(foe_t *x, uint8_t type, const void *data, size_t size)
{
  uint8_t *out = malloc(size + 64);
  size_t n = raw_seal(&x->r, type, data, size, out);
  arrive(x, out, n);
  free(out);
}

static void says(const foe_t *x, const char *words)
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

/* --- cut and crumbled ------------------------------------------------------------------------- */

TEST(cut_at_every_byte_of_the_handshake)
{
  foe_t x, first;
  EACH_SIDE(first)
  {
    foe_up(&first, side, versions[v]);
    size_t whole = first.moved;
    REQUIRE(whole > 200);
    for (size_t at = 0; at < whole; at++) {
      TEST_ROUND("%s, TLS %x, after %zu bytes", side ? "server" : "client", versions[v], at);
      foe_open_as(&x, &first);
      foe_begin(&x);
      foe_run(&x, SIZE_MAX, at);
      end_wire(&x);
      few(&x);
      if (x.moved != at) { /* signatures differ in length by a byte or two */
        CHECK(at + 8 > whole);
      } else if (x.up.result != 0 || at + 8 < whole) {
        CHECK_INT(x.up.done, 1);
        CHECK_INT(x.up.result, QN_E_EOF);
        says(&x, "the connection ended in the TLS handshake");
        CHECK(!qn_tls_is_up(x.t));
      }
      foe_close(&x);
    }
    foe_close(&first);
  }
}

TEST(one_byte_a_time_both_ways)
{
  foe_t x;
  reading_t r;
  EACH_SIDE(x)
  {
    foe_open(&x, side, versions[v]);
    foe_begin(&x);
    foe_run(&x, 1, SIZE_MAX);
    REQUIRE_INT(x.up.result, 0);
    SSL_write(x.r.ssl, "hello", 5);
    CHECK_INT(start_read(&r, x.w.s, exact(5)), QN_AGAIN);
    foe_run(&x, 1, SIZE_MAX);
    CHECK_INT(r.note.result, 0);
    CHECK_READ(r, "hello");
    put_text(x.w.s, "answer");
    foe_run(&x, 1, SIZE_MAX);
    CHECK_MEM(x.read, x.read_size, "answer", 6);
    foe_close(&x);
  }
}

/* One handshake message in records of one byte each. */
TEST(a_hello_in_crumbs)
{
  for (int v = 0; v < 2; v++) {
    foe_t x;
    uint8_t hello[2048], crumb[6] = {22, 3, 1, 0, 1, 0};
    foe_open(&x, true, versions[v]);
    foe_begin(&x);
    peer_step(&x);
    int n = BIO_read(x.r.out, hello, sizeof hello);
    REQUIRE(n > 100);
    for (int i = 5; i < n; i++) {
      crumb[5] = hello[i];
      arrive(&x, crumb, sizeof crumb);
    }
    foe_run(&x, SIZE_MAX, SIZE_MAX);
    CHECK_INT(x.up.result, 0);
    CHECK_INT(x.up.done, 1);
    foe_close(&x);
  }
}

/* --- garbage ---------------------------------------------------------------------------------- */

TEST(garbage_before_and_in_the_handshake)
{
  static const struct {
    const char *bytes;
    size_t size;
    bool server;
    int result;
    const char *words;
  } cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 18, true, QN_E_TLS_DATA, "http request"},
      {"CONNECT a:1 HTTP/1.1\r\n\r\n", 24, true, QN_E_TLS_DATA, "https proxy request"},
      {"HTTP/1.1 400 Bad\r\n\r\n", 20, false, QN_E_TLS_DATA, "wrong version number"},
      {"220 smtp.example.org ESMTP\r\n", 28, false, QN_E_TLS_DATA, "wrong version number"},
      {"SSH-2.0-OpenSSH_9.2\r\n", 21, true, QN_E_TLS_DATA, "wrong version number"},
      {"\x16\x03\x01\xff\xff\x01", 6, true, QN_E_TLS_DATA, "packet length too long"},
      {"\x16\x03\x03\x48\x01\x02", 6, false, QN_E_TLS_DATA, "packet length too long"},
      {"\x16\x05\x01\x00\x05\x01\x00\x00\x01\x00", 10, true, QN_E_TLS_DATA, "wrong version number"},
      {"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", 11, true, QN_E_EOF, "ended"}, /* SSL 2 */
      {"\x17\x03\x03\x00\x05hello", 10, true, QN_E_TLS_DATA, ""}, /* data before the handshake */
      {"\x17\x03\x03\x00\x05hello", 10, false, QN_E_TLS_DATA, ""},
      {"\x16\x03\x01\x00\x04\x14\x00\x00\x00", 9, true, QN_E_TLS_DATA, "unexpected message"},
      {"\x16\x03\x01\x00\x04\x0b\x00\x00\x00", 9, false, QN_E_TLS_DATA, "unexpected message"},
      {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, true, QN_E_TLS_DATA, "excessive message size"},
      {"\x16\x03\x03\x00\x04\x02\xff\xff\xff", 9, false, QN_E_TLS_DATA, "excessive message size"},
      {"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", 10, true, QN_E_TLS_DATA, ""},
      {"\x16\x03\x03\x00\x05\x02\x00\x00\x01\x03", 10, false, QN_E_TLS_DATA, ""},
      {"\x15\x03\x01\x00\x02\x01\x00", 7, true, QN_E_TLS_DATA, "unexpected message"},
      {"\x15\x03\x03\x00\x02\x01\x00", 7, false, QN_E_EOF, "ended in the TLS handshake"},
      {"\x15\x03\x01\x00\x02\x02\x28", 7, true, QN_E_TLS_DATA, "unexpected message"},
      {"\x15\x03\x03\x00\x02\x02\x46", 7, false, QN_E_ALERT(70), "protocol_version"},
      {"\x15\x03\x01\x00\x02\x07\x07", 7, true, QN_E_TLS_DATA, ""},     /* an alert of no level */
      {"\x15\x03\x01\x00\x01\x02", 6, true, QN_E_TLS_DATA, ""},         /* half an alert */
      {"\x18\x03\x01\x00\x03\x01\x40\x00", 8, true, QN_E_TLS_DATA, ""}, /* heartbeat */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    TEST_ROUND("case %zu", i);
    foe_t x;
    foe_open(&x, cases[i].server, QN_TLS_1_3);
    foe_begin(&x);
    few(&x);
    arrive(&x, cases[i].bytes, cases[i].size);
    few(&x);
    end_wire(&x);
    few(&x);
    CHECK_INT(x.up.done, 1);
    CHECK_INT(x.up.result, cases[i].result);
    says(&x, cases[i].words);
    CHECK(qn_tls_problem(x.t)[0] != 0);
    foe_close(&x);
  }
}

TEST(random_bytes)
{
  uint32_t seed = 12345;
  foe_t first[4];
  for (int i = 0; i < 4; i++) {
    foe_up(&first[i], i & 1, versions[i >> 1]);
  }
  for (int i = 0; i < 200; i++) {
    TEST_ROUND("round %d", i);
    foe_t x;
    uint8_t bytes[600];
    foe_open_as(&x, &first[i & 3]);
    foe_begin(&x);
    few(&x);
    for (size_t k = 0; k < sizeof bytes; k++) {
      seed = seed * 1664525u + 1013904223u;
      bytes[k] = (uint8_t)(seed >> 24);
    }
    if (i & 4) { /* a proper record, a proper message's head */
      static const uint8_t record[] = {22, 3, 3, 2, 0}, message[] = {0, 1, 0xfc, 3, 3};
      memcpy(bytes, record, sizeof record);
      bytes[5] = i & 1 ? 1 : 2;
      memcpy(bytes + 6, message, sizeof message);
    }
    arrive(&x, bytes, sizeof bytes);
    few(&x);
    end_wire(&x);
    few(&x);
    CHECK_INT(x.up.done, 1);
    CHECK(x.up.result < 0);
    CHECK(qn_tls_problem(x.t)[0] != 0);
    foe_close(&x);
  }
  for (int i = 3; i >= 0; i--) {
    foe_close(&first[i]);
  }
}

/* --- too large -------------------------------------------------------------------------------- */

TEST(records_that_are_too_large)
{
  foe_t x;
  reading_t r;
  static uint8_t big[17000];
  EACH_SIDE(x)
  {
    /* by their header: 2^14 + 256 is the most in TLS 1.3, 2^14 + 2048 in TLS 1.2 */
    size_t size = 16384 + (v == 0 ? 2049 : 257);
    uint8_t head[5] = {23, 3, 3, (uint8_t)(size >> 8), (uint8_t)size};
    foe_up(&x, side, versions[v]);
    arrive(&x, head, sizeof head);
    CHECK_INT(read_now(&r, x.w.s, some(1)), QN_E_TLS_DATA);
    CHECK_INT(qn_tls_alert_sent(x.t), 22);
    says(&x, "length too long");
    foe_close(&x);
    /* by what is inside */
    foe_up(&x, side, versions[v]);
    send_sealed(&x, 23, big, 16384);
    CHECK_INT(read_now(&r, x.w.s, exact(16384)), 0);
    send_sealed(&x, 23, big, 16385);
    CHECK_INT(read_now(&r, x.w.s, some(1)), QN_E_TLS_DATA);
    CHECK_INT(qn_tls_alert_sent(x.t), 22);
    foe_close(&x);
  }
}

TEST(a_certificate_message_that_is_too_large)
{
  for (int v = 0; v < 2; v++) {
    for (int side = 0; side < 2; side++) {
      TEST_ROUND("%s, TLS %x", side ? "server" : "client", versions[v]);
      foe_t x;
      foe_open(&x, side, versions[v]);
      if (side) {
        add_ca(x.config, pem_ca);
        CHECK_INT(qn_tls_config_set_verify(x.config, QN_TLS_VERIFY_PEER), 0);
        REQUIRE(raw_use(&x.r, pem_client, pem_client_key));
      }
      for (size_t size = 0; size < QN_TLS_CHAIN_MAX + 4096; size += 400) {
        SSL_CTX_add_extra_chain_cert(x.r.ctx, raw_cert(pem_second));
      }
      foe_begin(&x);
      int64_t before = qn_alloc_live();
      foe_run(&x, SIZE_MAX, SIZE_MAX);
      CHECK(qn_alloc_live() - before < 200000);
      CHECK_INT(x.up.result, QN_E_TLS_DATA);
      says(&x, "excessive message size");
      CHECK_INT(qn_tls_alert_sent(x.t), 47);
      foe_close(&x);
    }
  }
}

/* --- too many --------------------------------------------------------------------------------- */

static void flood_handshake(bool server, const char *record, size_t size, int result)
{
  foe_t x;
  foe_open(&x, server, QN_TLS_1_3);
  foe_begin(&x);
  few(&x);
  size_t sent = 0;
  for (; sent < QN_TLS_HANDSHAKE_MAX + 4096 && !x.up.done; sent += 50 * size) {
    for (int i = 0; i < 50 && alive(&x); i++) {
      REQUIRE_INT(qn_buf_append(&x.w.k->in, record, size), 0);
    }
    arrive(&x, record, 0);
    few(&x);
  }
  CHECK(sent < 5000 || strstr(qn_tls_problem(x.t), "too long") != NULL);
  CHECK_INT(x.up.done, 1);
  CHECK_INT(x.up.result, result);
  foe_close(&x);
}

TEST(floods_in_the_handshake)
{
  static const char empty[] = "\x16\x03\x03\x00\x00", warning[] = "\x15\x03\x03\x00\x02\x01\x5a",
                    change[] = "\x14\x03\x03\x00\x01\x01",
                    request[] = "\x16\x03\x03\x00\x04\x00\x00\x00\x00";
  for (int side = 0; side < 2; side++) {
    TEST_ROUND("side %d", side);
    flood_handshake(side, empty, sizeof empty - 1, QN_E_TLS_DATA);
    flood_handshake(side, warning, sizeof warning - 1, QN_E_TLS_DATA);
    flood_handshake(side, change, sizeof change - 1, QN_E_TLS_DATA);
  }
  flood_handshake(true, request, sizeof request - 1, QN_E_TLS_DATA);
  flood_handshake(false, request, sizeof request - 1, QN_E_TLS_DATA);
}

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

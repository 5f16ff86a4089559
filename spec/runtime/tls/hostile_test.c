/* The layer against peers that break the protocol in the handshake: cut at every byte, byte by
 * byte, garbage, records and messages too large or too many. Each ends with its own error and text,
 * sends the right alert, costs bounded memory, and never hangs. covers: runtime/tls/f_tls.c,
 * runtime/tls/bio.c, runtime/tls/alert.c
 */
#include "runtime/tls/foe.h"

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

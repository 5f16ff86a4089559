/* covers: runtime/tls/dtls_bio.c runtime/tls/dtls_cookie.c runtime/tls/dtls_endpoint.c
 * runtime/tls/dtls_mtu.c runtime/tls/dtls_other.c runtime/tls/dtls_server.c
 * runtime/tls/dtls_shake.c runtime/tls/dtls_table.c
 *
 * DTLS from C, without a network: datagrams of two endpoints are handed over by the test, in any
 * order, cut, changed or not at all; every allocation fails once.
 */
#include "test.h"

#include "tls/dtls_i.h"

#include "runtime/tls/tls_rig.h"

/* --- a wire ----------------------------------------------------------------------------------- */

#define WIRE_MAX 64

typedef struct packet {
  bool up; /* towards the server */
  qn_slice_t d;
} packet_t;

typedef struct path {
  rig_t rig;
  qn_loop_t *loop;
  qn_udp_t *cu, *su;
  qn_dtls_endpoint_t *c, *s;
  qn_tls_config_t *cc, *sc;
  qn_dtls_verifier_t *v;
  qn_dtls_t *ca, *sa;
  packet_t queue[WIRE_MAX];
  size_t n;
} path_t;

static path_t w;

static int capture(qn_udp_t *u, const qn_udp_out_t *o)
{
  if (w.n < WIRE_MAX) {
    uint8_t *copy = malloc(o->data.size + 1);
    memcpy(copy, o->data.data, o->data.size);
    w.queue[w.n++] = (packet_t){u == w.cu, {copy, o->data.size}};
  }
  return 0;
}

static void address(const char *host, uint16_t port, qn_udp_info_t *info)
{
  qn_addr_t a;
  qn_udp_out_t o;
  *info = (qn_udp_info_t){0};
  REQUIRE_INT(qn_addr_parse(&a, host, port, QN_FAMILY_ANY), 0);
  qn_udp_out_to(&o, &a);
  info->from = o.to;
}

static void give(bool up, qn_slice_t d)
{
  qn_udp_info_t info;
  address("127.0.0.1", up ? 1001 : 1002, &info);
  qn__dtls_input(up ? w.s : w.c, d, &info);
}

static packet_t take(void)
{
  packet_t p = w.queue[0];
  memmove(w.queue, w.queue + 1, --w.n * sizeof p);
  return p;
}

static void drop(packet_t p) { free((void *)(uintptr_t)p.d.data); }

/* Hands over all that is under way. */
static void deliver(void)
{
  while (w.n != 0) {
    packet_t p = take();
    give(p.up, p.d);
    drop(p);
  }
}

static qn_udp_t *bound(void)
{
  qn_udp_t *u = NULL;
  qn_addr_t a;
  REQUIRE_INT(qn_addr_parse(&a, "127.0.0.1", 0, QN_FAMILY_ANY), 0);
  REQUIRE_INT(qn_udp_new(w.loop, 0, &u), 0);
  REQUIRE_INT(qn_udp_bind(u, &a, 0), 0);
  return u;
}

static int open_server(bool cookies)
{
  qn_dtls_serve_t o = {.no_cookies = !cookies, .verifier = w.v};
  return qn_dtls_serve(w.s, w.sc, &o);
}

static void path_open(bool cookies)
{
  memset(&w, 0, sizeof w);
  rig_open(&w.rig);
  w.loop = w.rig.loop;
  w.cu = bound();
  w.su = bound();
  w.cc = client_config();
  w.sc = server_config();
  REQUIRE_INT(qn_dtls_verifier_new(NULL, (qn_slice_t){0}, &w.v), 0);
  REQUIRE_INT(qn_dtls_endpoint_new(w.loop, w.cu, false, &w.c), 0);
  REQUIRE_INT(qn_dtls_endpoint_new(w.loop, w.su, true, &w.s), 0);
  w.c->send = w.s->send = capture;
  REQUIRE_INT(open_server(cookies), 0);
}

static void path_close(void)
{
  qn_dtls_release(w.ca);
  qn_dtls_release(w.sa);
  qn_dtls_endpoint_release(w.c);
  qn_dtls_endpoint_release(w.s);
  qn_dtls_verifier_free(w.v);
  qn_tls_config_release(w.cc);
  qn_tls_config_release(w.sc);
  qn_udp_release(w.cu);
  qn_udp_release(w.su);
  while (w.n != 0) {
    drop(take());
  }
  settle_all(w.loop);
  rig_close(&w.rig);
}

static int begin(void)
{
  qn_addr_t peer;
  REQUIRE_INT(qn_addr_parse(&peer, "127.0.0.1", 1002, QN_FAMILY_ANY), 0);
  qn_dtls_connect_t o = {.peer = &peer, .tls = {.server_name = "localhost"}};
  return qn_dtls_connect(w.c, w.cc, &o, &w.ca);
}

static void path_up(bool cookies)
{
  path_open(cookies);
  REQUIRE_INT(begin(), 0);
  deliver();
  w.sa = qn_dtls_accepted(w.s);
  REQUIRE(w.sa != NULL);
  REQUIRE_INT(qn_dtls_state(w.ca), QN_DTLS_UP);
  REQUIRE_INT(qn_dtls_state(w.sa), QN_DTLS_UP);
}

static void check_message(qn_dtls_t *a, const char *text)
{
  qn_slice_t d;
  REQUIRE_INT(qn_dtls_peek(a, &d), 0);
  CHECK_UINT(d.size, strlen(text));
  CHECK(memcmp(d.data, text, d.size) == 0);
  qn_dtls_take(a);
}

/* --- what it is for --------------------------------------------------------------------------- */

TEST(messages_go_both_ways_and_the_end_is_said)
{
  for (int cookies = 0; cookies < 2; cookies++) {
    path_up(cookies);
    CHECK_UINT(w.s->stats.cookies_sent, cookies);
    CHECK_INT(qn_dtls_send(w.ca, slice_of("question")), 0);
    CHECK_INT(qn_dtls_send(w.sa, slice_of("answer")), 0);
    deliver();
    check_message(w.sa, "question");
    check_message(w.ca, "answer");
    CHECK_STR(qn_tls_version_name(qn_tls_version(qn_dtls_tls(w.ca))), "DTLSv1.2");
    CHECK_INT(qn_dtls_send(w.ca, (qn_slice_t){0}), QN_E_INVALID);
    uint8_t big[2000] = {0};
    CHECK_INT(qn_dtls_send(w.ca, (qn_slice_t){big, sizeof big}), QN_E_DGRAM_SIZE);
    qn_dtls_close(w.ca);
    deliver();
    qn_slice_t d;
    CHECK_INT(qn_dtls_peek(w.sa, &d), QN_E_EOF);
    CHECK_INT(qn_dtls_error(w.ca), QN_E_CLOSED);
    CHECK_INT(qn_dtls_send(w.sa, slice_of("late")), QN_E_EOF);
    path_close();
  }
}

static int refuse_size(qn_udp_t *u, const qn_udp_out_t *o)
{
  (void)u;
  return o->data.size > 500 ? QN_E_DGRAM_SIZE : 0;
}
static int refuse_room(qn_udp_t *u, const qn_udp_out_t *o)
{
  (void)u, (void)o;
  return QN_AGAIN;
}
static int refuse_route(qn_udp_t *u, const qn_udp_out_t *o)
{
  (void)u, (void)o;
  return -ENETUNREACH;
}

TEST(what_the_kernel_says_of_a_datagram_is_told)
{
  uint8_t big[600] = {0};
  path_up(true);
  w.c->send = refuse_size;
  CHECK_INT(qn_dtls_send(w.ca, (qn_slice_t){big, sizeof big}), QN_E_DGRAM_SIZE);
  CHECK(qn_dtls_mtu(w.ca) < QN_DTLS_MTU_DEFAULT);
  w.c->send = refuse_room;
  CHECK_INT(qn_dtls_send(w.ca, slice_of("x")), QN_AGAIN);
  w.c->send = refuse_route;
  CHECK_INT(qn_dtls_send(w.ca, slice_of("x")), -ENETUNREACH);
  CHECK_INT(qn_dtls_state(w.ca), QN_DTLS_UP);
  w.c->send = capture;
  CHECK_INT(qn_dtls_send(w.ca, slice_of("after all")), 0);
  deliver();
  check_message(w.sa, "after all");
  path_close();

  path_open(true); /* a handshake that cannot begin */
  w.c->send = refuse_route;
  REQUIRE_INT(begin(), 0);
  CHECK_INT(qn_dtls_state(w.ca), QN_DTLS_CLOSED);
  CHECK_INT(qn_dtls_error(w.ca), -ENETUNREACH);
  path_close();
}

TEST(arguments_out_of_range_are_refused)
{
  qn_addr_t peer;
  qn_dtls_t *a = NULL;
  qn_dtls_verifier_t *v = NULL;
  path_open(true);
  REQUIRE_INT(qn_addr_parse(&peer, "127.0.0.1", 9, QN_FAMILY_ANY), 0);
  qn_dtls_connect_t o = {.peer = &peer, .mtu = 100, .tls = {.server_name = "localhost"}};
  CHECK_INT(qn_dtls_connect(w.c, w.cc, &o, &a), QN_E_INVALID);
  o = (qn_dtls_connect_t){.peer = &peer, .retransmit_ms = 1, .tls = {.server_name = "localhost"}};
  CHECK_INT(qn_dtls_connect(w.c, w.cc, &o, &a), QN_E_INVALID);
  o = (qn_dtls_connect_t){.peer = &peer}; /* no name to verify */
  CHECK_INT(qn_dtls_connect(w.c, w.cc, &o, &a), QN_E_INVALID);
  qn_dtls_serve_t s = {.verifier = NULL};
  CHECK_INT(qn_dtls_serve(w.s, w.sc, &s), QN_E_INVALID);
  CHECK_INT(qn_dtls_verifier_new("no digest", (qn_slice_t){0}, &v), QN_E_UNSUPPORTED);
  CHECK_INT(qn_dtls_verifier_new(NULL, slice_of("short"), &v), QN_E_LIMIT);
  CHECK_INT(qn_dtls_accept(w.c, NULL), QN_E_NOT_CONNECTED);
  qn_udp_close(w.cu);
  settle_all(w.loop);
  CHECK(qn_dtls_endpoint_is_closed(w.c));
  o = (qn_dtls_connect_t){.peer = &peer, .tls = {.server_name = "localhost"}};
  CHECK_INT(qn_dtls_connect(w.c, w.cc, &o, &a), QN_E_CLOSED);
  path_close();
}

/* --- many ------------------------------------------------------------------------------------- */

/* The first datagram of a client. */
static packet_t first_hello(void)
{
  REQUIRE_INT(begin(), 0);
  packet_t p = take();
  qn_dtls_abort(w.ca);
  return p;
}

TEST(handshakes_are_limited_and_found_again)
{
  qn_udp_info_t info;
  path_open(false);
  packet_t hello = first_hello();
  for (int i = 0; i < 400; i++) {
    address(i % 2 ? "::1" : "10.0.0.1", (uint16_t)(2000 + i / 2), &info);
    qn__dtls_input(w.s, hello.d, &info);
    while (w.n != 0) {
      drop(take());
    }
  }
  CHECK_UINT(w.s->n_shaking, QN_DTLS_HANDSHAKES_MAX);
  CHECK_UINT(w.s->count, QN_DTLS_HANDSHAKES_MAX);
  CHECK_UINT(w.s->stats.refused, 400 - QN_DTLS_HANDSHAKES_MAX);
  for (int i = 0; i < (int)QN_DTLS_HANDSHAKES_MAX; i++) {
    qn_addr_t a;
    qn__dtls_key_t key;
    address(i % 2 ? "::1" : "10.0.0.1", (uint16_t)(2000 + i / 2), &info);
    qn_udp_end_addr(&info.from, &a);
    qn__dtls_key(&key, &a);
    CHECK(qn__dtls_find(w.s, &key) != NULL);
  }
  drop(hello);
  qn_dtls_stop(w.s);
  CHECK_UINT(w.s->count, 0);
  CHECK(qn_dtls_endpoint_is_closed(w.s));
  path_close();
}

/* --- cut and changed -------------------------------------------------------------------------- */

TEST(a_hello_is_read_with_care)
{
  qn__dtls_hello_t h;
  path_open(true);
  packet_t hello = first_hello();
  CHECK(qn__dtls_parse_hello(hello.d, &h));
  for (size_t n = 0; n < hello.d.size;
       n++) { /* in a block of its own, so that a look beyond is seen */
    uint8_t *copy = malloc(n + 1);
    memcpy(copy, hello.d.data, n);
    CHECK(!qn__dtls_parse_hello((qn_slice_t){copy, n}, &h));
    if (n >= 13) { /* as if the record ended there */
      copy[11] = (uint8_t)((n - 13) >> 8);
      copy[12] = (uint8_t)(n - 13);
      (void)qn__dtls_parse_hello((qn_slice_t){copy, n}, &h);
      if (n >= 25) {
        memset(copy + 19, 0, 3);
        copy[22] = 0;
        copy[23] = (uint8_t)((n - 25) >> 8);
        copy[24] = (uint8_t)(n - 25);
        (void)qn__dtls_parse_hello((qn_slice_t){copy, n}, &h);
      }
    }
    free(copy);
  }
  drop(hello);
  path_close();
}

/* Each datagram of a handshake comes cut at every length, then whole. */
TEST(cut_datagrams_do_no_harm)
{
  for (size_t at = 0; at < 8; at++) {
    size_t size = 1;
    for (size_t cut = 0; cut < size; cut += cut < 26 ? 1 : 97) {
      size_t i = 0;
      path_open(true);
      REQUIRE_INT(begin(), 0);
      while (w.n != 0) {
        packet_t p = take();
        if (i++ == at) {
          size = p.d.size;
          uint8_t *copy = malloc(cut + 1);
          memcpy(copy, p.d.data, cut < size ? cut : size);
          give(p.up, (qn_slice_t){copy, cut});
          free(copy);
        }
        give(p.up, p.d);
        drop(p);
      }
      CHECK_INT(qn_dtls_state(w.ca), QN_DTLS_UP);
      path_close();
    }
  }
}

/* Any byte of it changed: the handshake may fail, nothing else may. */
TEST(changed_datagrams_do_no_harm)
{
  uint32_t dice = 1;
  for (int round = 0; round < 60; round++) {
    path_open(round % 2);
    REQUIRE_INT(begin(), 0);
    while (w.n != 0) {
      packet_t p = take();
      uint8_t *bytes = (uint8_t *)(uintptr_t)p.d.data;
      dice = dice * 1103515245u + 12345u;
      if ((dice >> 16) % 3 == 0 && p.d.size != 0) {
        bytes[(dice >> 8) % p.d.size] ^= (uint8_t)(1u << (dice >> 28) % 8);
      }
      give(p.up, p.d);
      drop(p);
    }
    path_close();
  }
}

/* --- no memory -------------------------------------------------------------------------------- */

TEST(every_allocation_may_fail)
{
  for (uint64_t nth = 1;; nth++) {
    path_open(true);
    qn_alloc_fail_at(nth);
    int rc = begin();
    deliver();
    w.sa = qn_dtls_accepted(w.s);
    if (rc == 0) {
      (void)qn_dtls_send(w.ca, slice_of("text"));
      deliver();
    }
    bool failed = qn_alloc_failed();
    path_close();
    if (!failed) {
      CHECK(nth > 10);
      break;
    }
  }
}

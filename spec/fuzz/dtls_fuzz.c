/* A server of DTLS fed with datagrams: unknown peers, half a handshake, an established connection.
 *
 * First byte: 1 cookies off, 2 behind a real handshake, 4 behind the client's first datagrams, 8
 * other protocols are kept, 16 what happens is told in words. Then datagrams: two bytes (sender 0
 * or 1 in the top bit, size), their bytes. Nothing may crash or leak, nothing be kept for a sender
 * without a cookie, and no answer to one be longer than its question.
 */
#define TEST_UNUSED __attribute__((unused))

#include "tls/dtls_i.h"

#include "qn/trace.h"

#include "runtime/tls/pem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUEUE 32

typedef struct packet {
  bool up;
  size_t size;
  uint8_t data[QN_DTLS_MTU_DEFAULT + 64];
} packet_t;

static struct {
  qn_loop_t *loop;
  qn_tls_config_t *client, *server;
  qn_dtls_verifier_t *verifier;
  qn_udp_t *cu, *su;
  qn_dtls_endpoint_t *c, *s;
  packet_t queue[QUEUE];
  size_t n, out;
} f;

static int capture(qn_udp_t *u, const qn_udp_out_t *o)
{
  f.out += o->data.size;
  if (f.n < QUEUE && o->data.size <= sizeof f.queue[0].data) {
    packet_t *p = &f.queue[f.n++];
    p->up = u == f.cu;
    p->size = o->data.size;
    memcpy(p->data, o->data.data, p->size);
  }
  return 0;
}

static void need(bool ok)
{
  if (!ok) {
    abort();
  }
}

static qn_udp_t *bound(void)
{
  qn_udp_t *u = NULL;
  qn_addr_t a;
  need(qn_addr_parse(&a, "127.0.0.1", 0, QN_FAMILY_ANY) == 0);
  need(qn_udp_new(f.loop, 0, &u) == 0 && qn_udp_bind(u, &a, 0) == 0);
  return u;
}

static void set_up(void)
{
  qn_cert_t *ca = NULL, *cert = NULL;
  qn_key_t *key = NULL;
  f.loop = qn_loop_new(NULL);
  f.client = qn_tls_config_new();
  f.server = qn_tls_config_new();
  need(qn_cert_parse(pem_ca, strlen(pem_ca), &ca) == 0);
  need(qn_cert_parse(pem_server, strlen(pem_server), &cert) == 0);
  need(qn_key_parse(pem_server_key, strlen(pem_server_key), NULL, 0, &key) == 0);
  need(qn_tls_config_add_ca(f.client, ca) == 0 && qn_tls_config_add_ca(f.server, ca) == 0);
  need(qn_tls_config_add_cert(f.server, cert, NULL, 0, key) == 0);
  need(qn_tls_config_set_verify(f.server, QN_TLS_VERIFY_QUERY) == 0);
  need(qn_dtls_verifier_new(NULL, (qn_slice_t){0}, &f.verifier) == 0);
  qn_cert_release(ca);
  qn_cert_release(cert);
  qn_key_release(key);
  f.cu = bound();
  f.su = bound();
}

static void give(bool up, uint16_t port, const uint8_t *data, size_t size)
{
  qn_udp_info_t info = {0};
  qn_addr_t a;
  qn_udp_out_t o;
  need(qn_addr_parse(&a, "127.0.0.1", port, QN_FAMILY_ANY) == 0);
  qn_udp_out_to(&o, &a);
  info.from = o.to;
  uint8_t *copy = malloc(size + 1); /* a look beyond its end is seen */
  memcpy(copy, data, size);
  qn__dtls_input(up ? f.s : f.c, (qn_slice_t){copy, size}, &info);
  free(copy);
}

/* Hands over at most `most` datagrams between client and server. */
static void deliver(size_t most)
{
  while (f.n != 0 && most-- != 0) {
    packet_t p = f.queue[0];
    memmove(f.queue, f.queue + 1, --f.n * sizeof p);
    give(p.up, p.up ? 1000 : 2000, p.data, p.size);
  }
  f.n = 0;
}

static void feed(const uint8_t *data, size_t size, bool cookies)
{
  while (size >= 2) {
    size_t n = (size_t)(data[0] & 0x7f) << 8 | data[1];
    uint16_t port = data[0] & 0x80 ? 1000 : 3000;
    data += 2;
    size -= 2;
    n = n < size ? n : size;
    uint32_t known = f.s->n_shaking + f.s->n_up;
    f.out = 0;
    give(true, port, data, n);
    need(!cookies || known != 0 || f.out <= n);
    f.n = 0;
    data += n;
    size -= n;
  }
}

static void told(const qn_trace_event_t *e, void *data)
{
  (void)data;
  for (size_t i = 0; i < e->bytes.size; i++) {
    need(e->bytes.data[i] >= ' ' && e->bytes.data[i] <= '~');
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  qn_dtls_t *a = NULL, *b;
  qn_addr_t peer;
  if (size == 0) {
    return 0;
  }
  if (f.loop == NULL) {
    set_up();
  }
  int mode = data[0];
  qn_loop_set_trace(f.loop, mode & 16 ? told : NULL, NULL);
  f.n = 0;
  need(qn_dtls_endpoint_new(f.loop, f.cu, false, &f.c) == 0);
  need(qn_dtls_endpoint_new(f.loop, f.su, false, &f.s) == 0);
  f.c->send = f.s->send = capture;
  qn_dtls_serve_t o = {.no_cookies = mode & 1, .verifier = f.verifier};
  need(qn_dtls_serve(f.s, f.server, &o) == 0);
  qn_dtls_set_others(f.s, mode & 8);
  if (mode & 6) {
    need(qn_addr_parse(&peer, "127.0.0.1", 2000, QN_FAMILY_ANY) == 0);
    qn_dtls_connect_t co = {.peer = &peer, .tls = {.server_name = "localhost"}};
    need(qn_dtls_connect(f.c, f.client, &co, &a) == 0);
    deliver(mode & 2 ? QUEUE : 3);
  }
  feed(data + 1, size - 1, !(mode & 1));
  qn_dtls_release(a);
  while ((b = qn_dtls_accepted(f.s)) != NULL) {
    qn_slice_t d;
    while (qn_dtls_peek(b, &d) == 0) {
      qn_dtls_take(b);
    }
    qn_dtls_release(b);
  }
  qn_dtls_endpoint_release(f.c);
  qn_dtls_endpoint_release(f.s);
  return 0;
}

/* What the TLS tests share: configurations from the certificates of pem.h, a pair of connections
 * over any two streams, hooks that take notes. */
#ifndef QN_SPEC_TLS_RIG_H
#define QN_SPEC_TLS_RIG_H

#include "runtime/stream/rig.h"

#include "qn/cert.h"
#include "qn/key.h"
#include "qn/tls.h"
#include "runtime/tls/pem.h"

TEST_UNUSED static qn_cert_t *cert_of(const char *pem)
{
  qn_cert_t *cert = NULL;
  REQUIRE_INT(qn_cert_parse(pem, strlen(pem), &cert), 0);
  return cert;
}

TEST_UNUSED static qn_key_t *key_of(const char *pem)
{
  qn_key_t *key = NULL;
  REQUIRE_INT(qn_key_parse(pem, strlen(pem), NULL, 0, &key), 0);
  return key;
}

TEST_UNUSED static void add_cert(qn_tls_config_t *c, const char *cert_pem, const char *chain_pem,
                                 const char *key_pem)
{
  qn_cert_t *cert = cert_of(cert_pem), *chain = chain_pem != NULL ? cert_of(chain_pem) : NULL;
  qn_key_t *key = key_of(key_pem);
  CHECK_INT(qn_tls_config_add_cert(c, cert, &chain, chain != NULL, key), 0);
  qn_cert_release(cert);
  qn_cert_release(chain);
  qn_key_release(key);
}

TEST_UNUSED static void add_ca(qn_tls_config_t *c, const char *pem)
{
  qn_cert_t *cert = cert_of(pem);
  CHECK_INT(qn_tls_config_add_ca(c, cert), 0);
  qn_cert_release(cert);
}

TEST_UNUSED static qn_tls_config_t *new_config(void)
{
  qn_tls_config_t *c = qn_tls_config_new();
  REQUIRE(c != NULL);
  return c;
}

/* Trusts "Spec CA". */
TEST_UNUSED static qn_tls_config_t *client_config(void)
{
  qn_tls_config_t *c = new_config();
  add_ca(c, pem_ca);
  return c;
}

TEST_UNUSED static qn_tls_config_t *server_config(void)
{
  qn_tls_config_t *c = new_config();
  add_cert(c, pem_server, NULL, pem_server_key);
  return c;
}

TEST_UNUSED static qn_slice_t slice_of(const char *text)
{
  return (qn_slice_t){(const uint8_t *)text, strlen(text)};
}

typedef struct heard {
  int up, sessions, in, out, faults; /* in, out: the last alert, -1: none */
} heard_t;

TEST_UNUSED static void hear(qn_tls_t *t, int event, int value, void *arg)
{
  heard_t *h = arg;
  (void)t;
  switch (event) {
  case QN_TLS_EVENT_UP: h->up++; break;
  case QN_TLS_EVENT_SESSION: h->sessions++; break;
  case QN_TLS_EVENT_ALERT_RECEIVED: h->in = value; break;
  case QN_TLS_EVENT_ALERT_SENT: h->out = value; break;
  default: h->faults++; break;
  }
}

/* A client (a) and a server (b). */
typedef struct duo {
  pair_t p;
  qn_tls_config_t *cc, *sc;
  qn_tls_opts_t co, so;
  qn_tls_t *c, *s;
  note_t up_c, up_s;
  heard_t hc, hs;
} duo_t;

TEST_UNUSED static void duo_zero(duo_t *d)
{
  memset(d, 0, sizeof *d);
  d->co.server_name = "localhost";
  d->so.server = true;
  d->hc.in = d->hc.out = d->hs.in = d->hs.out = -1;
}

TEST_UNUSED static void duo_init(duo_t *d)
{
  duo_zero(d);
  pair_open(&d->p); /* counts memory from here on */
}

/* With configurations that it owns from now on (NULL: the usual ones). */
TEST_UNUSED static void duo_configs(duo_t *d)
{
  d->cc = d->cc != NULL ? d->cc : client_config();
  d->sc = d->sc != NULL ? d->sc : server_config();
}

TEST_UNUSED static void duo_make(duo_t *d)
{
  d->co.hooks.event = d->so.hooks.event = hear;
  d->co.hooks.arg = d->co.hooks.arg != NULL ? d->co.hooks.arg : &d->hc;
  d->so.hooks.arg = d->so.hooks.arg != NULL ? d->so.hooks.arg : &d->hs;
  CHECK_INT(qn_tls_new(d->cc, &d->co, &d->c), 0);
  CHECK_STR(qn_tls_config_problem(d->cc), "");
  CHECK_INT(qn_tls_new(d->sc, &d->so, &d->s), 0);
  CHECK_STR(qn_tls_config_problem(d->sc), "");
  REQUIRE(d->c != NULL && d->s != NULL);
}

TEST_UNUSED static void duo_begin(duo_t *d)
{
  duo_make(d);
  note_init(&d->up_c, d->p.loop);
  note_init(&d->up_s, d->p.loop);
  REQUIRE_INT(qn_tls_start(d->s, d->p.b, &d->up_s.op), QN_AGAIN);
  REQUIRE_INT(qn_tls_start(d->c, d->p.a, &d->up_c.op), QN_AGAIN);
}

TEST_UNUSED static void duo_finish(duo_t *d)
{
  for (int i = 0; i < 3000 && !(d->up_c.done && d->up_s.done); i++) {
    qn_loop_turn(d->p.loop, QN_TURN_NOWAIT);
  }
}

/* The whole handshake over a pair in memory; the results are in up_c and up_s. */
TEST_UNUSED static void duo_shake(duo_t *d)
{
  duo_configs(d);
  duo_begin(d);
  duo_finish(d);
}

TEST_UNUSED static void duo_require_up(duo_t *d)
{
  if (d->up_c.result != 0 || d->up_s.result != 0) {
    FAIL("client: %s, server: %s", qn_tls_problem(d->c), qn_tls_problem(d->s));
  }
  REQUIRE_INT(d->up_c.done + d->up_s.done, 2);
  REQUIRE_INT(d->up_c.result, 0);
  REQUIRE_INT(d->up_s.result, 0);
}

TEST_UNUSED static void duo_close(duo_t *d)
{
  qn_tls_release(d->c);
  qn_tls_release(d->s);
  qn_tls_config_release(d->cc);
  qn_tls_config_release(d->sc);
  pair_close(&d->p);
}

/* Another connection of the same configurations. */
TEST_UNUSED static void duo_again(duo_t *d)
{
  qn_tls_release(d->c);
  qn_tls_release(d->s);
  qn_stream_release(d->p.a);
  qn_stream_release(d->p.b);
  d->c = d->s = NULL;
  d->hc = d->hs = (heard_t){.in = -1, .out = -1};
  settle_all(d->p.loop);
  REQUIRE_INT(qn_stream_pair(d->p.loop, &d->p.a, &d->p.b), 0);
  duo_begin(d);
  duo_finish(d);
}

TEST_UNUSED static void duo_talk(duo_t *d)
{
  reading_t r;
  CHECK_INT(put_text(d->p.a, "question\n"), 0);
  CHECK_INT(read_now(&r, d->p.b, delim("\n", 0)), 0);
  CHECK_READ(r, "question\n");
  CHECK_INT(put_text(d->p.b, "answer\n"), 0);
  CHECK_INT(read_now(&r, d->p.a, delim("\n", 0)), 0);
  CHECK_READ(r, "answer\n");
}

#endif

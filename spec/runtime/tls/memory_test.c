/* Memory runs out at each place of a connection's life, for either side: the handshake with a
 * client's certificate, a name of its own, questions that are answered later, a resumption, data,
 * new keys, the end. Nothing leaks, nothing is accepted that should not be. */
#include "runtime/tls/tls_rig.h"

typedef struct plan {
  int version;
  qn_tls_t *asked; /* verification */
  qn_tls_t *sni;
  qn_tls_config_t *other;
} plan_t;

static void ask(qn_tls_t *t, void *arg) { ((plan_t *)arg)->asked = t; }
static void ask_name(qn_tls_t *t, const char *name, void *arg)
{
  (void)name;
  ((plan_t *)arg)->sni = t;
}

static void note_off(note_t *n, int rc)
{
  if (rc != QN_AGAIN) {
    n->done = 1;
    n->result = rc;
  }
}

static void turns(duo_t *d, plan_t *p)
{
  for (int i = 0; i < 400 && !(d->up_c.done && d->up_s.done); i++) {
    qn_loop_turn(d->p.loop, QN_TURN_NOWAIT);
    qn_tls_t *t = p->asked, *s = p->sni;
    p->asked = p->sni = NULL;
    if (t != NULL) {
      qn_tls_answer_verify(t, true);
    }
    if (s != NULL) {
      qn_tls_answer_config(s, p->other, 0);
    }
  }
}

/* One connection; true: both are up. */
static bool connect_once(duo_t *d, plan_t *p)
{
  d->co.hooks = d->so.hooks = (qn_tls_hooks_t){.arg = p, .verify = ask};
  d->so.hooks.sni = ask_name;
  note_init(&d->up_c, d->p.loop);
  note_init(&d->up_s, d->p.loop);
  if (qn_stream_pair(d->p.loop, &d->p.a, &d->p.b) < 0) {
    d->p.a = d->p.b = NULL;
    return false;
  }
  if (qn_tls_new(d->cc, &d->co, &d->c) < 0 || qn_tls_new(d->sc, &d->so, &d->s) < 0) {
    return false;
  }
  note_off(&d->up_s, qn_tls_start(d->s, d->p.b, &d->up_s.op));
  note_off(&d->up_c, qn_tls_start(d->c, d->p.a, &d->up_c.op));
  turns(d, p);
  if (!d->up_c.done || !d->up_s.done) { /* a peer without memory is silent */
    qn_stream_abort(d->p.a);
    qn_stream_abort(d->p.b);
    settle_all(d->p.loop);
  }
  return d->up_c.done && d->up_s.done && d->up_c.result == 0 && d->up_s.result == 0;
}

static void talk(duo_t *d)
{
  static char big[60000];
  reading_t r;
  (void)put(d->p.a, big, sizeof big);
  (void)qn_tls_key_update(d->c, true);
  (void)read_now(&r, d->p.b, exact(4000));
  (void)put_text(d->p.b, "answer\n");
  (void)read_now(&r, d->p.a, delim("\n", 0));
  qn_tls_session_t *s = qn_tls_session(d->c);
  qn_tls_session_release(s);
}

static void end_one(duo_t *d)
{
  if (d->p.a != NULL) {
    qn_stream_close(d->p.a);
    qn_stream_release(d->p.a);
    qn_stream_release(d->p.b);
  }
  settle_all(d->p.loop);
  qn_tls_release(d->c);
  qn_tls_release(d->s);
  d->p.a = d->p.b = NULL;
  d->c = d->s = NULL;
}

TEST(runs_out_anywhere)
{
  for (int version = QN_TLS_1_2; version <= QN_TLS_1_3; version++) {
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
      TEST_ROUND("version %x, request %llu", version, (unsigned long long)nth);
      duo_t d;
      plan_t p = {.version = version};
      duo_init(&d);
      qn_stream_release(d.p.a);
      qn_stream_release(d.p.b);
      d.p.a = d.p.b = NULL;
      settle_all(d.p.loop);
      d.cc = client_config();
      d.sc = server_config();
      p.other = server_config();
      add_ca(p.other, pem_other); /* not who has signed the client's */
      add_cert(d.cc, pem_client, NULL, pem_client_key);
      CHECK_INT(qn_tls_config_set_versions(d.cc, version, version), 0);
      CHECK_INT(qn_tls_config_set_verify(p.other, QN_TLS_VERIFY_PEER), 0);
      d.co.verify_name = "wrong.test";
      d.co.peer = "p";
      qn_alloc_fail_at(nth);
      int up = 0;
      for (int i = 0; i < 2; i++) {
        if (connect_once(&d, &p)) {
          up++;
          CHECK(qn_tls_error_count(d.c) >= 1 && qn_tls_error_count(d.s) >= 1);
          talk(&d);
        }
        end_one(&d);
      }
      failed = qn_alloc_failed();
      qn_alloc_fail_at(0);
      CHECK(failed || up == 2);
      qn_tls_config_release(p.other);
      duo_close(&d);
    }
  }
}

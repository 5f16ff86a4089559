/* sni.c: the table, wildcards, the hook that answers now or later, what of a configuration counts.
 */
#include "runtime/tls/tls_rig.h"

static qn_tls_config_t *second_config(void)
{
  qn_tls_config_t *c = new_config();
  add_cert(c, pem_second, NULL, pem_second_key);
  return c;
}

static void check_served(duo_t *d, const char *name, const char *cert_pem)
{
  TEST_ROUND("%s", name);
  d->co.server_name = name;
  duo_again(d);
  duo_require_up(d);
  qn_cert_t *want = cert_of(cert_pem), *got = NULL;
  CHECK_INT(qn_tls_peer_cert(d->c, 0, &got), 0);
  CHECK(qn_cert_equal(got, want));
  qn_cert_release(got);
  qn_cert_release(want);
}

TEST(the_table)
{
  duo_t d;
  duo_init(&d);
  d.cc = client_config();
  CHECK_INT(qn_tls_config_set_verify(d.cc, QN_TLS_VERIFY_QUERY), 0);
  d.sc = server_config();
  qn_tls_config_t *second = second_config(), *third = server_config();
  CHECK_INT(qn_tls_config_set_sni(d.sc, "Second.Test", second), 0);
  CHECK_INT(qn_tls_config_set_sni(d.sc, "*.wild.test", second), 0);
  CHECK_INT(qn_tls_config_set_sni(d.sc, "plain.wild.test", third), 0);
  CHECK_INT(qn_tls_config_set_sni(d.sc, "", second), QN_E_INVALID);
  CHECK_INT(qn_tls_config_set_sni(d.sc, "a b", second), QN_E_INVALID);
  CHECK_INT(qn_tls_config_set_sni(d.sc, "x.test", d.sc), QN_E_INVALID);
  CHECK_INT(qn_tls_config_set_sni(second, "x.test", third), QN_E_INVALID); /* nested */
  CHECK(qn_tls_config_problem(second)[0] != 0);
  duo_shake(&d);
  check_served(&d, "localhost", pem_server);
  check_served(&d, "second.test", pem_second);
  check_served(&d, "SECOND.test", pem_second);
  check_served(&d, "a.wild.test", pem_second);
  check_served(&d, "plain.wild.test", pem_server);
  check_served(&d, "a.b.wild.test", pem_server);
  check_served(&d, "wild.test", pem_server);
  check_served(&d, "127.0.0.1", pem_server);
  /* Certificates change while the server goes on. */
  CHECK_INT(qn_tls_config_set_sni(d.sc, "localhost", second), 0);
  check_served(&d, "localhost", pem_second);
  CHECK_INT(qn_tls_config_set_sni(d.sc, "localhost", third), 0);
  check_served(&d, "localhost", pem_server);
  CHECK_INT(qn_tls_config_set_sni(d.sc, "second.test", NULL), 0);
  check_served(&d, "second.test", pem_server);
  qn_tls_config_t *copy = qn_tls_config_copy(d.sc);
  REQUIRE(copy != NULL);
  CHECK(qn_tls_config_frozen(d.sc) && !qn_tls_config_frozen(copy));
  qn_tls_config_release(d.sc);
  d.sc = copy;
  check_served(&d, "a.wild.test", pem_second);
  qn_tls_config_release(second);
  qn_tls_config_release(third);
  duo_close(&d);
}

TEST(what_else_the_chosen_configuration_decides)
{
  duo_t d;
  duo_init(&d);
  d.cc = client_config();
  d.sc = server_config();
  qn_tls_config_t *second = second_config();
  qn_slice_t h2 = slice_of("h2"), http = slice_of("http/1.1");
  CHECK_INT(qn_tls_config_set_alpn(d.cc, (qn_slice_t[]){h2, http}, 2), 0);
  CHECK_INT(qn_tls_config_set_alpn(d.sc, &http, 1), 0);
  CHECK_INT(qn_tls_config_set_alpn(second, &h2, 1), 0);
  CHECK_INT(qn_tls_config_set_versions(second, 0, QN_TLS_1_2), 0);
  add_ca(second, pem_ca);
  CHECK_INT(qn_tls_config_set_verify(second, QN_TLS_VERIFY_PEER), 0);
  add_cert(d.cc, pem_client, NULL, pem_client_key);
  CHECK_INT(qn_tls_config_set_sni(d.sc, "second.test", second), 0);
  d.co.server_name = "second.test";
  duo_shake(&d);
  duo_require_up(&d);
  CHECK_INT(qn_tls_version(d.c), QN_TLS_1_2);
  CHECK_MEM(qn_tls_alpn(d.c).data, qn_tls_alpn(d.c).size, "h2", 2);
  CHECK_UINT(qn_tls_peer_count(d.s), 1);
  qn_tls_config_release(second);
  duo_close(&d);
}

/* A session of one name is none of another, whose server wants a certificate. */
TEST(no_resumption_across_names)
{
  duo_t d;
  duo_init(&d);
  d.cc = client_config();
  d.sc = server_config();
  CHECK_INT(qn_tls_config_set_verify(d.cc, QN_TLS_VERIFY_QUERY), 0);
  qn_tls_config_t *second = second_config();
  add_ca(second, pem_ca);
  CHECK_INT(qn_tls_config_set_verify(second, QN_TLS_VERIFY_PEER), 0);
  CHECK_INT(qn_tls_config_set_sni(d.sc, "second.test", second), 0);
  d.co.peer = "same";
  duo_shake(&d);
  duo_talk(&d);
  d.co.server_name = "second.test";
  duo_again(&d);
  settle_all(d.p.loop);
  CHECK(d.up_s.result < 0); /* no certificate, no way in */
  qn_tls_config_release(second);
  duo_close(&d);
}

/* --- the hook --------------------------------------------------------------------------------- */

typedef struct hooked {
  heard_t heard; /* first */
  char name[64];
  int count, err;
  bool now;
  qn_tls_config_t *config;
} hooked_t;

static void on_sni(qn_tls_t *t, const char *name, void *arg)
{
  hooked_t *h = arg;
  h->count++;
  snprintf(h->name, sizeof h->name, "%s", name != NULL ? name : "(none)");
  if (h->now) {
    qn_tls_answer_config(t, h->config, h->err);
  }
}

TEST(the_hook_answers_now_or_later)
{
  for (int how = 0; how < 6; how++) { /* now/later x chosen, its own, refused */
    TEST_ROUND("way %d", how);
    duo_t d;
    duo_init(&d);
    qn_tls_config_t *second = second_config();
    hooked_t h = {.now = how < 3, .config = how % 3 == 0 ? second : NULL};
    h.err = how % 3 == 2 ? QN_E_TIMEOUT : 0;
    d.cc = client_config();
    CHECK_INT(qn_tls_config_set_verify(d.cc, QN_TLS_VERIFY_QUERY), 0);
    d.co.server_name = "Some.Test";
    d.so.hooks.sni = on_sni;
    d.so.hooks.arg = &h;
    duo_configs(&d);
    duo_begin(&d);
    settle_all(d.p.loop);
    CHECK_INT(h.count, 1);
    CHECK_STR(h.name, "some.test");
    if (!h.now) {
      CHECK_INT(d.up_s.done, 0);
      qn_tls_answer_config(d.s, h.config, h.err);
      qn_tls_answer_config(d.s, NULL, -1); /* only the first counts */
      settle_all(d.p.loop);
    }
    if (how % 3 == 2) {
      CHECK_INT(d.up_s.result, QN_E_TIMEOUT);
      CHECK_INT(d.up_c.result, QN_E_ALERT(112));
    } else {
      duo_require_up(&d);
      qn_cert_t *want = cert_of(how % 3 == 0 ? pem_second : pem_server), *got = NULL;
      CHECK_INT(qn_tls_peer_cert(d.c, 0, &got), 0);
      CHECK(qn_cert_equal(got, want));
      qn_cert_release(want);
      qn_cert_release(got);
    }
    CHECK_INT(h.count, 1);
    qn_tls_config_release(second);
    duo_close(&d);
  }
}

TEST(gone_while_asked)
{
  duo_t d;
  hooked_t h = {.now = false};
  duo_init(&d);
  d.so.hooks.sni = on_sni;
  d.so.hooks.arg = &h;
  duo_configs(&d);
  duo_begin(&d);
  settle_all(d.p.loop);
  qn_stream_abort(d.p.b);
  settle_all(d.p.loop);
  CHECK_INT(d.up_s.result, QN_E_CLOSED);
  qn_tls_unhook(d.s);
  qn_tls_answer_config(d.s, NULL, 0);
  duo_close(&d);
}

/* --- staples ---------------------------------------------------------------------------------- */

TEST(a_staple_reaches_who_asks)
{
  for (int asks = 0; asks < 2; asks++) {
    duo_t d;
    duo_init(&d);
    d.cc = client_config();
    d.sc = server_config();
    CHECK_INT(qn_tls_config_set_ocsp(d.cc, asks), 0);
    CHECK_INT(qn_tls_config_set_ocsp_staple(d.sc, slice_of("bytes of DER")), 0);
    duo_shake(&d);
    duo_require_up(&d);
    CHECK_UINT(qn_tls_ocsp(d.c).size, asks ? 12 : 0);
    CHECK_UINT(qn_tls_ocsp(d.s).size, 0);
    duo_close(&d);
  }
}

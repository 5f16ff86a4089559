/* verify_peer.c, alert.c: each kind of bad certificate gives its own error and text, all errors are
 * listed, what is ignored or accepted is, and the peer is told why.
 * covers: runtime/tls/verify_peer.c, runtime/tls/alert.c
 */
#include "runtime/tls/tls_rig.h"

#include "tls/f_tls_i.h"

#include "qn/crypto.h"

enum { EXPIRED = 10, SELF_SIGNED = 19, NO_ISSUER = 20, MISMATCH = 62, IP_MISMATCH = 64 };

static void use_server(duo_t *d, const char *cert, const char *chain, const char *key)
{
  d->sc = new_config();
  add_cert(d->sc, cert, chain, key);
}

static bool has_error(const qn_tls_t *t, int code)
{
  for (size_t i = 0; i < qn_tls_error_count(t); i++) {
    if (qn_tls_error_at(t, i).err == QN_E_VERIFY(code)) {
      return true;
    }
  }
  return false;
}

TEST(each_bad_certificate_says_why)
{
  static const struct {
    const char *cert, *key, *name;
    int code, alert;
    const char *text;
  } cases[] = {
      {pem_expired, pem_expired_key, "localhost", EXPIRED, 45, "expired"},
      {pem_second, pem_second_key, "localhost", MISMATCH, 42,
       "certificate for second.test does not match host \"localhost\""},
      {pem_server, pem_server_key, "a.b.example.org", MISMATCH, 42, "does not match host"},
      {pem_server, pem_server_key, "127.0.0.2", IP_MISMATCH, 42, "does not match host"},
      {pem_chained, pem_chained_key, "localhost", NO_ISSUER, 48, "issuer"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (int version = QN_TLS_1_2; version <= QN_TLS_1_3; version++) {
      TEST_ROUND("case %zu, version %x", i, version);
      duo_t d;
      duo_init(&d);
      d.cc = client_config();
      CHECK_INT(qn_tls_config_set_versions(d.cc, version, version), 0);
      use_server(&d, cases[i].cert, NULL, cases[i].key);
      d.co.server_name = cases[i].name;
      duo_shake(&d);
      CHECK_INT(d.up_c.result, QN_E_VERIFY(cases[i].code));
      CHECK(!qn_tls_is_up(d.c));
      CHECK(has_error(d.c, cases[i].code));
      if (strstr(qn_tls_problem(d.c), cases[i].text) == NULL) {
        FAIL("text: %s", qn_tls_problem(d.c));
      }
      CHECK_INT(qn_tls_error_at(d.c, 0).depth, 0);
      CHECK(qn_tls_error_at(d.c, 0).cert != NULL);
      CHECK_INT(d.hc.out, cases[i].alert);
      CHECK_INT(d.hs.in, cases[i].alert);
      if (version == QN_TLS_1_2) {
        CHECK_INT(d.up_s.result, QN_E_ALERT(cases[i].alert));
        CHECK(strstr(qn_tls_problem(d.s), qn_tls_alert_name(cases[i].alert)) != NULL);
      }
      duo_close(&d);
    }
  }
}

TEST(names_that_match)
{
  static const char *const names[] = {"localhost", "LOCALHOST", "localhost.", "www.example.org",
                                      "127.0.0.1"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    TEST_ROUND("%s", names[i]);
    duo_t d;
    duo_init(&d);
    d.co.server_name = names[i];
    duo_shake(&d);
    duo_require_up(&d);
    CHECK(qn_tls_server_name(d.s) == NULL || names[i][0] != '1'); /* addresses are not sent */
    duo_close(&d);
  }
}

TEST(a_chain_with_its_intermediate)
{
  duo_t d;
  duo_init(&d);
  use_server(&d, pem_chained, pem_inter, pem_chained_key);
  duo_shake(&d);
  duo_require_up(&d);
  CHECK_UINT(qn_tls_peer_count(d.c), 2);
  duo_close(&d);
  duo_init(&d);
  d.cc = client_config();
  CHECK_INT(qn_tls_config_set_depth(d.cc, 0), 0);
  use_server(&d, pem_chained, pem_inter, pem_chained_key);
  duo_shake(&d);
  CHECK_INT(d.up_c.result, QN_E_VERIFY(22)); /* chain too long */
  duo_close(&d);
}

TEST(unknown_authority)
{
  duo_t d;
  duo_init(&d);
  d.cc = new_config();
  add_ca(d.cc, pem_other);
  duo_shake(&d);
  CHECK_INT(d.up_c.result, QN_E_VERIFY(NO_ISSUER));
  CHECK_INT(d.hs.in, 48);
  duo_close(&d);
}

TEST(all_errors_are_listed_and_only_all_of_them_can_be_ignored)
{
  for (int round = 0; round < 5; round++) {
    TEST_ROUND("round %d", round);
    duo_t d;
    duo_init(&d);
    qn_cert_t *cert = cert_of(pem_expired), *wrong = cert_of(pem_server);
    qn_tls_ignore_t list[] = {{QN_E_VERIFY(EXPIRED), NULL}, {QN_E_VERIFY(MISMATCH), cert}};
    d.cc = client_config();
    use_server(&d, pem_expired, NULL, pem_expired_key);
    d.co.server_name = "other.test";
    if (round == 1) { /* one of two */
      CHECK_INT(qn_tls_config_set_ignore(d.cc, list, 1), 0);
    } else if (round == 2) { /* for another certificate */
      list[1].cert = wrong;
      CHECK_INT(qn_tls_config_set_ignore(d.cc, list, 2), 0);
    } else if (round == 3) {
      CHECK_INT(qn_tls_config_set_ignore(d.cc, list, 2), 0);
    }
    duo_configs(&d);
    duo_make(&d);
    if (round == 4) {
      CHECK_INT(qn_tls_ignore(d.c, list, 2, false), 0);
    }
    note_init(&d.up_c, d.p.loop);
    note_init(&d.up_s, d.p.loop);
    CHECK_INT(qn_tls_start(d.s, d.p.b, &d.up_s.op), QN_AGAIN);
    CHECK_INT(qn_tls_start(d.c, d.p.a, &d.up_c.op), QN_AGAIN);
    duo_finish(&d);
    CHECK_INT(d.up_c.result, round >= 3   ? 0
                             : round == 1 ? QN_E_VERIFY(MISMATCH)
                             : round == 2 ? QN_E_VERIFY(MISMATCH)
                                          : QN_E_VERIFY(EXPIRED));
    CHECK_UINT(qn_tls_error_count(d.c), 2);
    CHECK_INT(d.hc.faults, 2);
    CHECK(has_error(d.c, EXPIRED) && has_error(d.c, MISMATCH));
    qn_cert_release(cert);
    qn_cert_release(wrong);
    duo_close(&d);
  }
}

/* Else a long chain of ignored errors would hide that it is for another host. */
TEST(errors_beyond_the_limit_are_not_ignored)
{
  for (unsigned n = QN_TLS_ERRORS_MAX - 2; n <= QN_TLS_ERRORS_MAX + 1; n++) {
    TEST_ROUND("%u", n);
    duo_t d;
    duo_init(&d);
    qn_tls_ignore_t list[] = {{QN_E_VERIFY(EXPIRED), NULL}};
    d.cc = client_config();
    CHECK_INT(qn_tls_config_set_ignore(d.cc, list, 1), 0);
    d.co.server_name = "other.test";
    duo_configs(&d);
    duo_begin(&d);
    for (unsigned i = 0; i < n; i++) {
      CHECK_INT(qn__tls_add_fault(d.c, EXPIRED, (int)i, NULL, NULL), 0);
    }
    duo_finish(&d);
    bool full = n >= QN_TLS_ERRORS_MAX - 1;
    CHECK_INT(d.up_c.result, full ? QN_E_VERIFY(1) : QN_E_VERIFY(MISMATCH));
    CHECK_UINT(qn_tls_error_count(d.c), full ? QN_TLS_ERRORS_MAX : n + 1);
    duo_close(&d);
  }
}

TEST(query_and_none_go_on)
{
  for (int i = QN_TLS_VERIFY_NONE; i <= QN_TLS_VERIFY_QUERY; i++) {
    duo_t d;
    duo_init(&d);
    d.cc = client_config();
    CHECK_INT(qn_tls_config_set_verify(d.cc, (qn_tls_verify_t)i), 0);
    use_server(&d, pem_expired, NULL, pem_expired_key);
    duo_shake(&d);
    duo_require_up(&d);
    CHECK(has_error(d.c, EXPIRED));
    duo_talk(&d);
    duo_close(&d);
  }
}

/* --- asking ----------------------------------------------------------------------------------- */

typedef struct asked {
  heard_t heard; /* first: `hear` uses it */
  int count;
  int answer; /* 0 later, 1 yes, -1 no */
} asked_t;

static void ask(qn_tls_t *t, void *arg)
{
  asked_t *a = arg;
  a->count++;
  if (a->answer != 0) {
    qn_tls_answer_verify(t, a->answer > 0);
  }
}

TEST(the_embedder_decides_now_or_later)
{
  for (int server = 0; server < 2; server++) {
    for (int how = 0; how < 5; how++) { /* now yes, now no, later yes, later no, ignore later */
      TEST_ROUND("%s, way %d", server ? "server" : "client", how);
      duo_t d;
      asked_t a = {.answer = how == 0 ? 1 : how == 1 ? -1 : 0};
      duo_init(&d);
      d.cc = client_config();
      if (server) {
        d.sc = server_config();
        add_ca(d.sc, pem_other);
        CHECK_INT(qn_tls_config_set_verify(d.sc, QN_TLS_VERIFY_PEER), 0);
        add_cert(d.cc, pem_client, NULL, pem_client_key);
        d.so.hooks.verify = ask;
        d.so.hooks.arg = &a;
      } else {
        use_server(&d, pem_expired, NULL, pem_expired_key);
        d.co.hooks.verify = ask;
        d.co.hooks.arg = &a;
      }
      duo_configs(&d);
      duo_begin(&d);
      settle_all(d.p.loop);
      qn_tls_t *t = server ? d.s : d.c;
      note_t *up = server ? &d.up_s : &d.up_c;
      CHECK_INT(a.count, 1);
      if (how >= 2) {
        CHECK_INT(up->done, 0);
        CHECK(!qn_tls_is_up(t));
        if (how == 4) {
          CHECK_INT(qn_tls_ignore(t, NULL, 0, true), 0);
        } else {
          qn_tls_answer_verify(t, how == 2);
        }
        settle_all(d.p.loop);
      }
      CHECK_INT(up->done, 1);
      bool yes = how == 0 || how == 2 || how == 4;
      CHECK_INT(up->result, yes ? 0 : server ? QN_E_VERIFY(NO_ISSUER) : QN_E_VERIFY(EXPIRED));
      CHECK_INT(a.count, 1);
      if (yes) {
        duo_require_up(&d);
        duo_talk(&d);
      }
      qn_tls_answer_verify(t, true); /* nobody has asked */
      duo_close(&d);
    }
  }
}

/* A server that refuses: the client is told, and nothing of what it has sent is handed up. */
TEST(a_refused_client_is_told_and_not_heard)
{
  for (int version = QN_TLS_1_2; version <= QN_TLS_1_3; version++) {
    for (int how = 0; how < 3; how++) { /* no hook, asked now, asked later */
      TEST_ROUND("version %x, way %d", version, how);
      duo_t d;
      reading_t r;
      asked_t a = {.answer = how == 1 ? -1 : 0};
      duo_init(&d);
      d.cc = client_config();
      d.sc = server_config();
      add_ca(d.sc, pem_other);
      add_cert(d.cc, pem_client, NULL, pem_client_key);
      CHECK_INT(qn_tls_config_set_versions(d.cc, version, version), 0);
      CHECK_INT(qn_tls_config_set_verify(d.sc, QN_TLS_VERIFY_PEER), 0);
      if (how != 0) {
        d.so.hooks.verify = ask;
        d.so.hooks.arg = &a;
      }
      duo_configs(&d);
      duo_begin(&d);
      d.hc = (heard_t){.in = -1, .out = -1};
      put_text(d.p.a, "unheard");
      for (int i = 0; i < 60; i++) {
        qn_loop_turn(d.p.loop, QN_TURN_NOWAIT);
      }
      if (how == 2) {
        CHECK_INT(d.up_s.done, 0);
        CHECK_INT(version == QN_TLS_1_2 && d.up_c.done, 0); /* TLS 1.2: held for the client, too */
        CHECK_INT(qn_stream_available(d.p.b), 0);
        qn_tls_answer_verify(d.s, false);
        settle_all(d.p.loop);
      }
      CHECK_INT(d.up_s.done, 1);
      CHECK_INT(d.up_s.result, QN_E_VERIFY(NO_ISSUER));
      CHECK_INT(read_now(&r, d.p.b, some(1)), QN_E_VERIFY(NO_ISSUER));
      CHECK_INT(qn_tls_alert_sent(d.s), how == 2 ? 40 : 48);
      if (version == QN_TLS_1_2) {
        CHECK_INT(d.up_c.result, QN_E_ALERT(how == 2 ? 40 : 48));
      } else {
        CHECK_INT(read_now(&r, d.p.a, some(1)), QN_E_ALERT(how == 2 ? 40 : 48));
      }
      duo_close(&d);
    }
  }
}

/* A resumed session brings what was wrong with it: it is refused behind the handshake. */
TEST(a_resumed_client_can_be_refused)
{
  for (int version = QN_TLS_1_2; version <= QN_TLS_1_3; version++) {
    TEST_ROUND("version %x", version);
    duo_t d;
    reading_t r;
    asked_t a = {.answer = 1};
    duo_init(&d);
    d.cc = client_config();
    d.sc = server_config();
    add_ca(d.sc, pem_other);
    add_cert(d.cc, pem_client, NULL, pem_client_key);
    CHECK_INT(qn_tls_config_set_versions(d.cc, version, version), 0);
    CHECK_INT(qn_tls_config_set_verify(d.sc, QN_TLS_VERIFY_PEER), 0);
    d.so.hooks.verify = ask;
    d.so.hooks.arg = &a;
    d.co.peer = "localhost:1";
    duo_shake(&d);
    duo_require_up(&d);
    duo_talk(&d);
    a = (asked_t){.answer = -1};
    duo_again(&d);
    CHECK_INT(a.count, 1);
    CHECK_INT(d.up_c.result, 0);
    CHECK(qn_tls_resumed(d.s));
    CHECK_INT(d.up_s.result, QN_E_VERIFY(NO_ISSUER));
    CHECK_INT(qn_tls_alert_sent(d.s), 22);
    CHECK_INT(read_now(&r, d.p.a, some(1)), QN_E_ALERT(22));
    duo_close(&d);
  }
}

/* --- certificates of clients ------------------------------------------------------------------ */

TEST(client_certificates)
{
  for (int round = 0; round < 5; round++) { /* good, none, none in query, other CA, alert */
    for (int version = QN_TLS_1_2; version <= QN_TLS_1_3; version++) {
      TEST_ROUND("round %d, version %x", round, version);
      duo_t d;
      duo_init(&d);
      d.cc = client_config();
      d.sc = server_config();
      CHECK_INT(qn_tls_config_set_versions(d.cc, version, version), 0);
      qn_cert_t *ca = cert_of(pem_ca);
      CHECK_INT(qn_tls_config_set_client_ca(d.sc, &ca, 1), 0);
      qn_cert_release(ca);
      add_ca(d.sc, round == 3 ? pem_other : pem_ca);
      qn_tls_config_set_verify(d.sc, round == 2 ? QN_TLS_VERIFY_QUERY : QN_TLS_VERIFY_PEER);
      if (round == 0 || round == 3) {
        add_cert(d.cc, pem_client, NULL, pem_client_key);
      }
      duo_shake(&d);
      if (round == 0 || round == 2) {
        duo_require_up(&d);
        CHECK_UINT(qn_tls_peer_count(d.s), round == 0);
        duo_talk(&d);
      } else if (round == 3) {
        CHECK_INT(d.up_s.result, QN_E_VERIFY(NO_ISSUER));
      } else {
        CHECK_INT(d.up_s.result, QN_E_VERIFY(QN_TLS_VERIFY_NO_PEER_CERT));
        CHECK_STR(qn_tls_problem(d.s), "the client did not show a certificate");
        settle_all(d.p.loop);
        if (version == QN_TLS_1_3) { /* the client is up by then: its first read says it */
          reading_t r;
          CHECK_INT(read_now(&r, d.p.a, some(1)), QN_E_ALERT(116));
        }
        CHECK_INT(d.hc.in, version == QN_TLS_1_3 ? 116 : 40);
      }
      duo_close(&d);
    }
  }
}

/* --- pinned keys ------------------------------------------------------------------------------ */

static void pin_of(const char *cert_pem, uint8_t out[32])
{
  qn_cert_t *cert = cert_of(cert_pem);
  qn_key_t *key = NULL;
  char *der = NULL;
  size_t size = 0;
  REQUIRE_INT(qn_cert_public_key(cert, &key), 0);
  REQUIRE_INT(qn_key_spki(key, &der, &size), 0);
  uint8_t digest[QN_DIGEST_MAX];
  REQUIRE_INT(qn_digest("sha256", der, size, digest), 32);
  memcpy(out, digest, 32);
  qn_free(der);
  qn_key_release(key);
  qn_cert_release(cert);
}

TEST(pinned_keys)
{
  static const char *const pins[] = {pem_server, pem_ca, pem_other};
  for (int i = 0; i < 3; i++) {
    TEST_ROUND("pin %d", i);
    duo_t d;
    uint8_t pin[1][32];
    duo_init(&d);
    d.cc = client_config();
    pin_of(pins[i], pin[0]);
    CHECK_INT(qn_tls_config_set_pins(d.cc, (const uint8_t(*)[32])pin, 1), 0);
    duo_shake(&d);
    CHECK_INT(d.up_c.result, i < 2 ? 0 : QN_E_VERIFY(QN_TLS_VERIFY_NOT_PINNED));
    duo_close(&d);
  }
}

TEST(alert_names)
{
  CHECK_STR(qn_tls_alert_name(0), "close_notify");
  CHECK_STR(qn_tls_alert_name(120), "no_application_protocol");
  CHECK_STR(qn_tls_alert_name(77), "unknown");
  CHECK_STR(qn_err_name(QN_E_ALERT(40)), "ALERT_HANDSHAKE_FAILURE");
  CHECK_INT(qn_err_kind(QN_E_ALERT(40)), QN_KIND_TLS);
}

/* session.c: resumption in both versions, by tickets and ids, from memory and from bytes; rotation
 * of ticket keys; never for another name or another configuration. */
#include "runtime/tls/tls_rig.h"

static void versions(duo_t *d, int version)
{
  d->cc = client_config();
  d->sc = server_config();
  CHECK_INT(qn_tls_config_set_versions(d->cc, version, version), 0);
}

TEST(remembered_by_peer)
{
  for (int version = QN_TLS_1_2; version <= QN_TLS_1_3; version++) {
    for (int tickets = 0; tickets < 2; tickets++) {
      TEST_ROUND("version %x, tickets %d", version, tickets);
      duo_t d;
      duo_init(&d);
      versions(&d, version);
      CHECK_INT(qn_tls_config_set_tickets(d.sc, tickets), 0);
      d.co.peer = "localhost:443";
      duo_shake(&d);
      duo_require_up(&d);
      CHECK(!qn_tls_resumed(d.c));
      duo_talk(&d);
      CHECK(d.hc.sessions >= 1);
      for (int i = 0; i < 3; i++) {
        duo_again(&d);
        duo_require_up(&d);
        CHECK(qn_tls_resumed(d.c) && qn_tls_resumed(d.s));
        CHECK_UINT(qn_tls_peer_count(d.c) >= 1, 1);
        duo_talk(&d);
      }
      d.co.peer = "localhost:444";
      duo_again(&d);
      CHECK(!qn_tls_resumed(d.c));
      d.co.peer = "localhost:443";
      qn_tls_config_forget(d.cc, "localhost:443");
      duo_again(&d);
      CHECK(!qn_tls_resumed(d.c));
      duo_close(&d);
    }
  }
}

TEST(switched_off)
{
  for (int side = 0; side < 2; side++) {
    for (int version = QN_TLS_1_2; version <= QN_TLS_1_3; version++) {
      duo_t d;
      duo_init(&d);
      versions(&d, version);
      CHECK_INT(qn_tls_config_set_sessions(side ? d.sc : d.cc, false), 0);
      d.co.peer = "x";
      duo_shake(&d);
      duo_talk(&d);
      duo_again(&d);
      duo_require_up(&d);
      CHECK(!qn_tls_resumed(d.c));
      duo_close(&d);
    }
  }
}

TEST(as_bytes)
{
  for (int version = QN_TLS_1_2; version <= QN_TLS_1_3; version++) {
    duo_t d;
    uint8_t *bytes = NULL;
    size_t size = 0;
    duo_init(&d);
    versions(&d, version);
    duo_shake(&d);
    duo_require_up(&d);
    duo_talk(&d);
    qn_tls_session_t *s = qn_tls_session(d.c), *copy = NULL;
    REQUIRE(s != NULL);
    CHECK_INT(qn_tls_session_version(s), version);
    CHECK(qn_tls_session_expires(s) > 1700000000);
    REQUIRE_INT(qn_tls_session_export(s, &bytes, &size), 0);
    qn_tls_session_release(s);
    REQUIRE_INT(qn_tls_session_import((qn_slice_t){bytes, size}, &copy), 0);
    CHECK_INT(qn_tls_session_import((qn_slice_t){bytes, size - 1}, &s), QN_E_INVALID);
    CHECK_INT(qn_tls_session_import((qn_slice_t){bytes, 0}, &s), QN_E_INVALID);
    CHECK_INT(qn_tls_session_import((qn_slice_t){bytes, QN_TLS_SESSION_BYTES_MAX + 1}, &s),
              QN_E_LIMIT);
    qn_free(bytes);
    d.co.session = copy;
    duo_again(&d);
    duo_require_up(&d);
    CHECK(qn_tls_resumed(d.c));
    d.co.server_name = "second.test"; /* not what the session's certificate is for */
    duo_again(&d);
    if (qn_tls_resumed(d.c) || d.up_c.result != 0) {
      CHECK_INT(d.up_c.result, QN_E_VERIFY(62));
      CHECK(strstr(qn_tls_problem(d.c), "second.test") != NULL);
    }
    qn_tls_session_release(copy);
    duo_close(&d);
  }
}

TEST(a_refused_certificate_is_refused_when_resumed_too)
{
  duo_t d;
  duo_init(&d);
  d.cc = client_config();
  d.sc = new_config();
  add_cert(d.sc, pem_expired, NULL, pem_expired_key);
  CHECK_INT(qn_tls_config_set_verify(d.cc, QN_TLS_VERIFY_QUERY), 0);
  duo_shake(&d);
  duo_require_up(&d);
  duo_talk(&d);
  qn_tls_session_t *s = qn_tls_session(d.c);
  REQUIRE(s != NULL);
  qn_tls_config_release(d.cc);
  d.cc = client_config(); /* one that insists */
  d.co.session = s;
  duo_again(&d);
  CHECK_INT(d.up_c.result, QN_E_VERIFY(10));
  qn_tls_session_release(s);
  duo_close(&d);
}

TEST(rotation_of_ticket_keys)
{
  duo_t d;
  duo_init(&d);
  d.co.peer = "p";
  duo_shake(&d);
  duo_talk(&d);
  CHECK_INT(qn_tls_config_rotate_tickets(d.sc), 0);
  duo_again(&d);
  CHECK(qn_tls_resumed(d.c)); /* older keys still count */
  duo_talk(&d);
  for (unsigned i = 0; i < QN_TLS_TICKET_KEYS_MAX; i++) {
    CHECK_INT(qn_tls_config_rotate_tickets(d.sc), 0);
  }
  duo_again(&d);
  duo_require_up(&d);
  CHECK(!qn_tls_resumed(d.c));
  duo_close(&d);
}

TEST(servers_that_share_keys_share_sessions)
{
  uint8_t keys[2][80];
  memset(keys[0], 1, 80);
  memset(keys[1], 2, 80);
  for (int shared = 0; shared < 2; shared++) {
    duo_t d;
    duo_init(&d);
    d.sc = server_config();
    d.co.peer = "p";
    qn_tls_config_t *other = server_config();
    if (shared) {
      CHECK_INT(qn_tls_config_set_ticket_keys(d.sc, (const uint8_t(*)[80])keys, 1), 0);
      CHECK_INT(qn_tls_config_set_ticket_keys(other, (const uint8_t(*)[80])keys, 2), 0);
    }
    CHECK_INT(qn_tls_config_set_ticket_keys(other, (const uint8_t(*)[80])keys, 5), QN_E_INVALID);
    duo_shake(&d);
    duo_talk(&d);
    qn_tls_config_release(d.sc);
    d.sc = other;
    duo_again(&d);
    duo_require_up(&d);
    CHECK_INT(qn_tls_resumed(d.c), shared);
    if (!shared) {
      CHECK_INT(qn_tls_config_set_ticket_keys(d.sc, (const uint8_t(*)[80])keys, 1), QN_E_BUSY);
    }
    duo_close(&d);
  }
}

TEST(memory_is_bounded)
{
  duo_t d;
  char peer[16];
  duo_init(&d);
  d.cc = client_config();
  CHECK_INT(qn_tls_config_set_versions(d.cc, QN_TLS_1_2, QN_TLS_1_2), 0);
  d.co.peer = "first";
  duo_shake(&d);
  for (unsigned i = 0; i < QN_TLS_SESSIONS_MAX; i++) {
    snprintf(peer, sizeof peer, "p%u", i);
    d.co.peer = peer;
    duo_again(&d);
  }
  duo_again(&d);
  CHECK(qn_tls_resumed(d.c));
  d.co.peer = "first";
  duo_again(&d);
  CHECK(!qn_tls_resumed(d.c)); /* the oldest went */
  duo_close(&d);
}

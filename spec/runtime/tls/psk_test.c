/* psk.c: shared keys in TLS 1.2 and 1.3, by table and by function, with hints, beside certificates;
 * sizes; keys that do not fit and identities that are not known.
 */
#include "runtime/tls/tls_rig.h"

static const char key_a[] = "0123456789abcdef", key_b[] = "fedcba9876543210fedcba9876543210";

static void give(qn_tls_config_t *c, const char *identity, const char *key)
{
  CHECK_INT(qn_tls_config_add_psk(c, identity, slice_of(key)), 0);
  CHECK_STR(qn_tls_config_problem(c), "");
}

/* A server without certificate, a client that trusts nobody. */
static void psk_duo(duo_t *d, int version)
{
  qn_tls_config_t *first = new_config(); /* what is kept for the process is read */
  CHECK_INT(qn_tls_config_prepare(first, false), 0);
  qn_tls_config_release(first);
  duo_init(d);
  d->cc = new_config();
  d->sc = new_config();
  CHECK_INT(qn_tls_config_set_versions(d->cc, version, version), 0);
}

#define EACH_VERSION(v)                          \
  for (int v = QN_TLS_1_2; v <= QN_TLS_1_3; v++) \
    if (TEST_ROUND("version %x", v), true)

TEST(keys_of_a_table)
{
  EACH_VERSION(v)
  {
    duo_t d;
    psk_duo(&d, v);
    give(d.cc, "bob", key_b);
    give(d.sc, "alice", key_a);
    give(d.sc, "bob", key_b);
    d.co.peer = "localhost:1";
    duo_shake(&d);
    duo_require_up(&d);
    CHECK_STR(qn_tls_psk_identity(d.c), "bob");
    CHECK_STR(qn_tls_psk_identity(d.s), "bob");
    CHECK(!qn_tls_resumed(d.c) && !qn_tls_resumed(d.s));
    CHECK_UINT(qn_tls_peer_count(d.c), 0);
    CHECK_UINT(qn_tls_error_count(d.c), 0);
    if (v == QN_TLS_1_2) {
      CHECK(strstr(qn_tls_cipher(d.c), "ECDHE-PSK") != NULL); /* forward secrecy */
    }
    duo_talk(&d);
    duo_again(&d);
    duo_require_up(&d);
    CHECK_STR(qn_tls_psk_identity(d.s), "bob");
    duo_close(&d);
  }
}

typedef struct chooser {
  heard_t heard; /* first: `hear` uses it */
  int asked;
  char text[64];
  const char *identity, *key;
} chooser_t;

static bool choose(qn_tls_t *t, const char *text, qn_tls_psk_t *out, void *arg)
{
  chooser_t *x = arg;
  x->asked++;
  snprintf(x->text, sizeof x->text, "%s", text != NULL ? text : "-");
  if (x->key == NULL) {
    return false;
  }
  if (!qn_tls_is_server(t)) {
    snprintf(out->identity, sizeof out->identity, "%s", x->identity);
  }
  out->key_size = strlen(x->key);
  memcpy(out->key, x->key, out->key_size);
  return true;
}

TEST(keys_of_functions_and_the_hint)
{
  EACH_VERSION(v)
  {
    duo_t d;
    chooser_t c = {.identity = "carol", .key = key_a}, s = {.key = key_a};
    psk_duo(&d, v);
    CHECK_INT(qn_tls_config_set_psk_choice(d.cc, choose, &c), 0);
    CHECK_INT(qn_tls_config_set_psk_choice(d.sc, choose, &s), 0);
    CHECK_INT(qn_tls_config_set_psk_hint(d.sc, "be carol"), 0);
    duo_shake(&d);
    duo_require_up(&d);
    CHECK_STR(c.text, v == QN_TLS_1_2 ? "be carol" : "-");
    CHECK_STR(s.text, "carol");
    CHECK_INT(s.asked, 1);
    CHECK_STR(qn_tls_psk_identity(d.s), "carol");
    duo_close(&d);
  }
}

/* Who guesses sees the same of an unknown identity as of a wrong key. */
TEST(wrong_keys_and_unknown_identities)
{
  EACH_VERSION(v)
  {
    int alert[2] = {-1, -1};
    for (int unknown = 0; unknown < 2; unknown++) {
      TEST_ROUND("version %x, unknown %d", v, unknown);
      duo_t d;
      psk_duo(&d, v);
      give(d.cc, unknown ? "mallory" : "alice", key_b);
      give(d.sc, "alice", key_a);
      duo_shake(&d);
      CHECK_INT(d.up_s.result, QN_E_TLS);
      CHECK_STR(qn_tls_problem(d.s), unknown
                                         ? "the identity of the client's shared key is not known"
                                         : "the shared key is not the peer's");
      alert[unknown] = qn_tls_alert_received(d.c);
      CHECK_INT(d.up_c.result, QN_E_ALERT(alert[unknown]));
      CHECK_NULL(qn_tls_psk_identity(d.s));
      CHECK_NULL(qn_tls_psk_identity(d.c));
      duo_close(&d);
    }
    CHECK_INT(alert[0], alert[1]);
    CHECK(alert[0] > 0);
  }
}

TEST(certificates_for_those_without_a_key)
{
  EACH_VERSION(v)
  {
    for (int round = 0; round < 3; round++) { /* known, none, unknown */
      TEST_ROUND("version %x, round %d", v, round);
      duo_t d;
      duo_init(&d);
      d.cc = client_config();
      d.sc = server_config();
      CHECK_INT(qn_tls_config_set_versions(d.cc, v, v), 0);
      give(d.sc, "alice", key_a);
      if (round != 1) {
        give(d.cc, round == 0 ? "alice" : "mallory", key_a);
      }
      duo_shake(&d);
      duo_require_up(&d);
      bool used = round == 0 && v == QN_TLS_1_3; /* TLS 1.2: certificates come first */
      CHECK_INT(qn_tls_psk_identity(d.s) != NULL, used);
      CHECK_INT(qn_tls_psk_identity(d.c) != NULL, used);
      CHECK_UINT(qn_tls_peer_count(d.c), used ? 0 : 1);
      CHECK(!qn_tls_resumed(d.c));
      duo_talk(&d);
      duo_close(&d);
    }
  }
}

TEST(nobody_has_a_key)
{
  EACH_VERSION(v)
  {
    duo_t d;
    psk_duo(&d, v);
    chooser_t c = {.identity = "x"};
    CHECK_INT(qn_tls_config_set_psk_choice(d.cc, choose, &c), 0);
    give(d.sc, "alice", key_a);
    duo_shake(&d);
    CHECK(d.up_c.result < 0);
    CHECK(d.up_s.result < 0);
    CHECK(c.asked >= 1);
    CHECK(qn_tls_problem(d.c)[0] != 0);
    duo_close(&d);
  }
}

TEST(sizes)
{
  char longest[QN_TLS_PSK_IDENTITY_MAX + 2];
  uint8_t big[QN_TLS_PSK_KEY_MAX + 1] = {1};
  memset(longest, 'i', sizeof longest);
  longest[sizeof longest - 1] = 0;
  duo_t d;
  psk_duo(&d, QN_TLS_1_3);
  qn_tls_config_t *c = d.sc;
  CHECK_INT(qn_tls_config_add_psk(c, longest, slice_of(key_a)), QN_E_INVALID);
  CHECK_STR(qn_tls_config_problem(c), "the identity of a shared key has 1 to 128 bytes");
  CHECK_INT(qn_tls_config_add_psk(c, "", slice_of(key_a)), QN_E_INVALID);
  CHECK_INT(qn_tls_config_add_psk(c, "a", slice_of("too short")), QN_E_INVALID);
  CHECK_STR(qn_tls_config_problem(c), "a shared key has 16 to 64 bytes, this one 9");
  CHECK_INT(qn_tls_config_add_psk(c, "a", (qn_slice_t){big, sizeof big}), QN_E_INVALID);
  CHECK_INT(qn_tls_config_set_psk_hint(c, longest), QN_E_INVALID);
  CHECK_INT(qn_tls_config_prepare(c, true), QN_E_TLS_CONFIG); /* neither certificate nor key */
  for (unsigned i = 0; i < QN_TLS_PSKS_MAX; i++) {
    char name[16];
    snprintf(name, sizeof name, "%u", i);
    give(c, name, key_a);
  }
  CHECK_INT(qn_tls_config_add_psk(c, "more", slice_of(key_a)), QN_E_LIMIT);
  CHECK_INT(qn_tls_config_add_psk(c, NULL, (qn_slice_t){0}), 0);
  CHECK_INT(qn_tls_config_prepare(c, true), QN_E_TLS_CONFIG);
  longest[sizeof longest - 2] = 0;
  CHECK_INT(qn_tls_config_add_psk(c, longest, (qn_slice_t){big, QN_TLS_PSK_KEY_MAX}), 0);
  qn_tls_config_t *copy = qn_tls_config_copy(c);
  qn_tls_config_release(d.cc);
  d.cc = copy;
  duo_shake(&d);
  duo_require_up(&d);
  CHECK_STR(qn_tls_psk_identity(d.s), longest);
  CHECK_INT(qn_tls_config_add_psk(c, "late", slice_of(key_a)), QN_E_BUSY);
  qn_tls_config_t *again = qn_tls_config_copy(c);
  CHECK_INT(qn_tls_config_prepare(again, true), 0);
  qn_tls_config_release(again);
  duo_close(&d);
}

TEST(keys_of_the_configuration_that_sni_chose)
{
  EACH_VERSION(v)
  {
    duo_t d;
    psk_duo(&d, v);
    qn_tls_config_t *other = new_config();
    give(other, "alice", key_a);
    give(d.cc, "alice", key_a);
    give(d.sc, "alice", key_b);
    CHECK_INT(qn_tls_config_set_sni(d.sc, "localhost", other), 0);
    qn_tls_config_release(other);
    duo_shake(&d);
    duo_require_up(&d);
    CHECK_STR(qn_tls_psk_identity(d.s), "alice");
    duo_close(&d);
  }
}

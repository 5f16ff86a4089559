/* config.c, ctx.c, keylog.c: settings are checked, frozen, copied; what OpenSSL refuses has words.
 * covers: runtime/tls/config.c, runtime/tls/ctx.c, runtime/tls/keylog.c
 */
#include "runtime/tls/tls_rig.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(setters_check)
{
  qn_tls_config_t *c = new_config();
  CHECK_INT(qn_tls_config_set_versions(c, QN_TLS_1_3, QN_TLS_1_2), QN_E_INVALID);
  CHECK(qn_tls_config_problem(c)[0] != 0);
  CHECK_INT(qn_tls_config_set_versions(c, 0, QN_TLS_1_1), QN_E_INVALID);
  CHECK_INT(qn_tls_config_set_versions(c, 7, 0), QN_E_INVALID);
  CHECK_INT(qn_tls_config_set_versions(c, QN_TLS_1_0, QN_TLS_1_1), 0);
  CHECK_STR(qn_tls_config_problem(c), "");
  CHECK_INT(qn_tls_config_set_depth(c, (int)QN_TLS_DEPTH_MAX + 1), QN_E_INVALID);
  CHECK_INT(qn_tls_config_set_depth(c, -1), 0);
  qn_cert_t *cert = cert_of(pem_server);
  qn_key_t *other = key_of(pem_second_key), *open = NULL;
  CHECK_INT(qn_tls_config_add_cert(c, cert, NULL, 0, other), QN_E_KEY_MISMATCH);
  CHECK_INT(qn_tls_config_add_cert(c, cert, NULL, 0, NULL), QN_E_INVALID);
  CHECK_INT(qn_cert_public_key(cert, &open), 0);
  CHECK_INT(qn_tls_config_add_cert(c, cert, NULL, 0, open), QN_E_INVALID);
  qn_cert_release(cert);
  qn_key_release(other);
  qn_key_release(open);
  qn_tls_config_release(c);
}

TEST(prepare_says_what_cannot_be_used)
{
  for (int i = 0; i < 3; i++) {
    TEST_ROUND("case %d", i);
    qn_tls_config_t *c = i == 0 ? new_config() : server_config();
    int want = QN_E_TLS_CONFIG;
    CHECK_INT(qn_tls_config_set_system_ca(c, false), 0);
    switch (i) {
    case 0: break; /* no certificate */
    case 1:
      CHECK_INT(qn_tls_config_add_ca_path(c, "/nonexistent/ca.pem"), 0);
      want = -ENOENT;
      break;
    default: CHECK_INT(qn_tls_config_set_keylog(c, "/nonexistent/keys"), 0); want = -ENOENT;
    }
    CHECK_INT(qn_tls_config_prepare(c, true), want);
    CHECK(qn_tls_config_problem(c)[0] != 0);
    CHECK(!qn_tls_config_frozen(c));
    qn_tls_config_release(c);
  }
}

TEST(lists_are_judged_when_they_are_set)
{
  qn_tls_config_t *c = server_config();
  CHECK_INT(qn_tls_config_set_ciphers(c, "HIGH"), 0);
  CHECK_INT(qn_tls_config_set_ciphers(c, "NO-SUCH"), QN_E_TLS_CONFIG);
  CHECK(qn_tls_config_problem(c)[0] != 0);
  CHECK_INT(qn_tls_config_set_ciphersuites(c, "TLS_NO"), QN_E_TLS_CONFIG);
  CHECK(qn_tls_config_problem(c)[0] != 0);
  CHECK_INT(qn_tls_config_set_curves(c, "P-000"), QN_E_TLS_CONFIG);
  CHECK(qn_tls_config_problem(c)[0] != 0);
  CHECK_INT(qn_tls_config_set_curves(c, "P-256:P-000"), QN_E_TLS_CONFIG);
  CHECK_INT(qn_tls_config_set_ciphersuites(c, NULL), 0);
  CHECK_INT(qn_tls_config_prepare(c, true), 0); /* with HIGH */
  qn_tls_config_release(c);
}

TEST(frozen_by_use)
{
  qn_tls_config_t *c = server_config();
  CHECK(!qn_tls_config_frozen(c));
  CHECK_INT(qn_tls_config_prepare(c, true), 0);
  CHECK_INT(qn_tls_config_prepare(c, true), 0);
  CHECK(qn_tls_config_frozen(c));
  CHECK_INT(qn_tls_config_set_ciphers(c, "ALL"), QN_E_BUSY);
  CHECK_INT(qn_tls_config_set_verify(c, QN_TLS_VERIFY_PEER), QN_E_BUSY);
  CHECK_INT(qn_tls_config_add_cert(c, NULL, NULL, 0, NULL), QN_E_BUSY);
  CHECK_INT(qn_tls_config_set_ocsp_staple(c, slice_of("x")), 0); /* at any time */
  qn_tls_config_t *copy = qn_tls_config_copy(c);
  REQUIRE(copy != NULL);
  CHECK_INT(qn_tls_config_set_ciphers(copy, "HIGH"), 0);
  CHECK_INT(qn_tls_config_prepare(copy, true), 0);
  qn_tls_config_release(copy);
  qn_tls_config_release(c);
}

TEST(a_copy_needs_all_its_memory)
{
  int64_t live = qn_alloc_live();
  qn_tls_config_t *c = server_config(), *copy;
  qn_slice_t name = slice_of("h2");
  qn_tls_ignore_t ignore = {QN_E_VERIFY(10), NULL};
  uint8_t pin[1][32] = {{0}};
  add_ca(c, pem_ca);
  CHECK_INT(qn_tls_config_add_ca_path(c, "/tmp"), 0);
  CHECK_INT(qn_tls_config_set_ciphers(c, "HIGH"), 0);
  CHECK_INT(qn_tls_config_set_alpn(c, &name, 1), 0);
  CHECK_INT(qn_tls_config_set_ignore(c, &ignore, 1), 0);
  CHECK_INT(qn_tls_config_set_pins(c, (const uint8_t(*)[32])pin, 1), 0);
  CHECK_INT(qn_tls_config_set_ocsp_staple(c, name), 0);
  bool failed = true;
  for (uint64_t nth = 1; failed; nth++) {
    qn_alloc_fail_at(nth);
    copy = qn_tls_config_copy(c);
    failed = qn_alloc_failed();
    CHECK_INT(copy == NULL, failed);
    qn_tls_config_release(copy);
    REQUIRE(nth < 100);
  }
  qn_tls_config_release(c);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(a_client_must_know_whom_it_calls)
{
  qn_tls_config_t *c = client_config();
  qn_tls_t *t = NULL;
  CHECK_INT(qn_tls_new(c, &(qn_tls_opts_t){0}, &t), QN_E_INVALID);
  CHECK(strstr(qn_tls_config_problem(c), "no name") != NULL);
  CHECK_INT(qn_tls_new(c, &(qn_tls_opts_t){.verify_name = ""}, &t), 0);
  qn_tls_release(t);
  qn_tls_config_release(c);
}

TEST(ciphers_curves_and_their_disagreement)
{
  duo_t d;
  duo_init(&d);
  d.cc = client_config();
  d.sc = server_config();
  CHECK_INT(qn_tls_config_set_ciphersuites(d.cc, "TLS_CHACHA20_POLY1305_SHA256"), 0);
  CHECK_INT(qn_tls_config_set_curves(d.cc, "P-384"), 0);
  duo_shake(&d);
  duo_require_up(&d);
  int bits = 0;
  CHECK_STR(qn_tls_cipher(d.c), "TLS_CHACHA20_POLY1305_SHA256");
  CHECK_STR(qn_tls_ephemeral_key(d.c, &bits), "secp384r1");
  CHECK_INT(bits, 384);
  duo_close(&d);
  duo_init(&d);
  d.cc = client_config();
  d.sc = server_config();
  CHECK_INT(qn_tls_config_set_versions(d.cc, 0, QN_TLS_1_2), 0);
  CHECK_INT(qn_tls_config_set_versions(d.sc, QN_TLS_1_3, 0), 0);
  duo_shake(&d);
  CHECK_INT(d.up_c.result, QN_E_ALERT(70));
  CHECK_INT(d.up_s.result, QN_E_TLS);
  CHECK(strstr(qn_tls_problem(d.s), "unsupported protocol") != NULL);
  duo_close(&d);
}

TEST(two_kinds_of_keys)
{
  duo_t d;
  duo_init(&d);
  d.cc = client_config();
  d.sc = server_config();
  add_cert(d.sc, pem_rsa, NULL, pem_rsa_key);
  CHECK_INT(qn_tls_config_set_versions(d.cc, 0, QN_TLS_1_2), 0);
  CHECK_INT(qn_tls_config_set_ciphers(d.cc, "ECDHE-RSA-AES128-GCM-SHA256"), 0);
  duo_shake(&d);
  duo_require_up(&d);
  CHECK_STR(qn_tls_cipher(d.s), "ECDHE-RSA-AES128-GCM-SHA256");
  duo_close(&d);
}

TEST(trust_from_files)
{
  char path[] = "/tmp/qn-tls-ca-XXXXXX";
  int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  REQUIRE_INT(write(fd, pem_ca, strlen(pem_ca)), (long)strlen(pem_ca));
  close(fd);
  duo_t d;
  duo_init(&d);
  d.cc = new_config();
  CHECK_INT(qn_tls_config_add_ca_path(d.cc, path), 0);
  duo_shake(&d);
  duo_require_up(&d);
  duo_close(&d);
  unlink(path);
}

TEST(keys_in_a_file)
{
  char path[] = "/tmp/qn-tls-keys-XXXXXX", text[4096];
  int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  duo_t d;
  duo_init(&d);
  d.cc = client_config();
  CHECK_INT(qn_tls_config_set_keylog(d.cc, path), 0);
  duo_shake(&d);
  duo_require_up(&d);
  ssize_t n = read(fd, text, sizeof text - 1);
  REQUIRE(n > 0);
  text[n] = 0;
  CHECK(strstr(text, "CLIENT_TRAFFIC_SECRET_0 ") != NULL);
  duo_close(&d);
  close(fd);
  unlink(path);
}

/* The system's store knows nothing of our CA. */
TEST(the_system_is_trusted_by_default)
{
  duo_t d;
  duo_init(&d);
  d.cc = new_config();
  duo_shake(&d);
  CHECK(QN_E_IS_VERIFY(d.up_c.result));
  duo_close(&d);
  duo_init(&d);
  d.cc = client_config();
  CHECK_INT(qn_tls_config_set_system_ca(d.cc, true), 0); /* beside our own */
  duo_shake(&d);
  duo_require_up(&d);
  duo_close(&d);
}

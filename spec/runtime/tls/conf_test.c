/* conf.c: settings by OpenSSL's names: used, refused by name, and never against what is off for
 * good; whose order of ciphers counts.
 */
#include "runtime/tls/tls_rig.h"

TEST(commands_are_used)
{
  duo_t d;
  duo_init(&d);
  d.cc = client_config();
  CHECK_INT(qn_tls_config_add_openssl(d.cc, "MaxProtocol", "TLSv1.2"), 0);
  CHECK_INT(qn_tls_config_add_openssl(d.cc, "CipherString", "ECDHE-ECDSA-AES128-GCM-SHA256"), 0);
  CHECK_INT(qn_tls_config_add_openssl(d.cc, "Options", "ServerPreference"), 0);
  qn_tls_config_t *copy = qn_tls_config_copy(d.cc);
  qn_tls_config_release(d.cc);
  d.cc = copy;
  duo_shake(&d);
  duo_require_up(&d);
  CHECK_INT(qn_tls_version(d.c), QN_TLS_1_2);
  CHECK_STR(qn_tls_cipher(d.c), "ECDHE-ECDSA-AES128-GCM-SHA256");
  CHECK_INT(qn_tls_config_add_openssl(d.cc, "MaxProtocol", "TLSv1.3"), QN_E_BUSY);
  duo_close(&d);
}

TEST(what_is_wrong_is_named)
{
  static const struct {
    const char *name, *value, *problem;
    int err;
  } cases[] = {
      {"Nonsense", "1", "OpenSSL has no command \"Nonsense\" for this", QN_E_INVALID},
      {"PrivateKey", "/dev/null", "OpenSSL has no command \"PrivateKey\" for this", QN_E_INVALID},
      {"Certificate", "x", "OpenSSL has no command \"Certificate\" for this", QN_E_INVALID},
      {"VerifyCAFile", "x", "OpenSSL has no command \"VerifyCAFile\" for this", QN_E_INVALID},
      {"VerifyMode", "Request", "OpenSSL has no command \"VerifyMode\" for this", QN_E_INVALID},
      {"MinProtocol", "TLSv9", "OpenSSL refuses \"TLSv9\" for the command \"MinProtocol\"",
       QN_E_INVALID},
      {"Options", "Hope", "OpenSSL refuses \"Hope\" for the command \"Options\"", QN_E_INVALID},
      {"CipherString", "none-such",
       "OpenSSL refuses \"none-such\" for the command \"CipherString\"", QN_E_INVALID},
      {"", "", "OpenSSL has no command \"\" for this", QN_E_INVALID},
  };
  qn_tls_config_t *c = new_config();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    TEST_ROUND("case %zu", i);
    CHECK_INT(qn_tls_config_add_openssl(c, cases[i].name, cases[i].value), cases[i].err);
    CHECK_STR(qn_tls_config_problem(c), cases[i].problem);
  }
  char name[QN_TLS_CONF_NAME_MAX + 2];
  memset(name, 'n', sizeof name);
  name[sizeof name - 1] = 0;
  CHECK_INT(qn_tls_config_add_openssl(c, name, "1"), QN_E_LIMIT);
  for (int i = 0; i < QN_TLS_CONF_MAX; i++) {
    CHECK_INT(qn_tls_config_add_openssl(c, "RecordPadding", "64"), 0);
  }
  CHECK_INT(qn_tls_config_add_openssl(c, "RecordPadding", "64"), QN_E_LIMIT);
  qn_tls_config_release(c);
}

TEST(what_keeps_connections_safe_stays)
{
  duo_t d;
  duo_init(&d);
  d.cc = new_config();
  add_ca(d.cc, pem_other);
  CHECK_INT(qn_tls_config_add_openssl(d.cc, "Options",
                                      "Compression,UnsafeLegacyRenegotiation,ClientRenegotiation"),
            0);
  duo_shake(&d);
  CHECK(d.up_c.result <= QN_E_VERIFY(1) && d.up_c.result > QN_E_VERIFY(199));
  duo_close(&d);
}

TEST(whose_order_counts)
{
  for (int client = 0; client < 2; client++) {
    for (int v = QN_TLS_1_2; v <= QN_TLS_1_3; v++) {
      TEST_ROUND("client %d, version %x", client, v);
      duo_t d;
      duo_init(&d);
      d.cc = client_config();
      d.sc = server_config();
      CHECK_INT(qn_tls_config_set_versions(d.cc, v, v), 0);
      CHECK_INT(qn_tls_config_set_ciphers(d.cc, "ECDHE-ECDSA-AES128-GCM-SHA256:"
                                                "ECDHE-ECDSA-AES256-GCM-SHA384"),
                0);
      CHECK_INT(qn_tls_config_set_ciphersuites(d.cc, "TLS_AES_128_GCM_SHA256:"
                                                     "TLS_AES_256_GCM_SHA384"),
                0);
      CHECK_INT(qn_tls_config_set_client_order(d.sc, client), 0);
      duo_shake(&d);
      duo_require_up(&d);
      CHECK(strstr(qn_tls_cipher(d.c), client ? "128" : "256") != NULL ||
            strstr(qn_tls_cipher(d.c), client ? "_128" : "_256") != NULL);
      duo_close(&d);
    }
  }
}

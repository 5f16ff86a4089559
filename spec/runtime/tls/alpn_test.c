/* alpn.c: lists, the server's preference, its function, no common name. */
#include "runtime/tls/tls_rig.h"

static int second_one(qn_tls_t *t, const qn_slice_t *names, size_t n, void *arg)
{
  (void)t;
  (void)names;
  *(int *)arg += (int)n;
  return n > 1 ? 1 : -1;
}

static void check(const char *c1, const char *c2, const char *s1, const char *s2, const char *want)
{
  duo_t d;
  qn_slice_t c[2] = {slice_of(c1), slice_of(c2)}, s[2] = {slice_of(s1), slice_of(s2)};
  TEST_ROUND("%s %s | %s %s", c1, c2, s1, s2);
  duo_init(&d);
  d.cc = client_config();
  d.sc = server_config();
  CHECK_INT(qn_tls_config_set_alpn(d.cc, c, (*c1 != 0) + (*c2 != 0)), 0);
  CHECK_INT(qn_tls_config_set_alpn(d.sc, s, (*s1 != 0) + (*s2 != 0)), 0);
  duo_shake(&d);
  if (want == NULL) {
    CHECK_INT(d.up_c.result, QN_E_ALERT(120));
    CHECK_INT(d.up_s.result, QN_E_TLS);
    CHECK_INT(d.hs.out, 120);
  } else {
    duo_require_up(&d);
    CHECK_MEM(qn_tls_alpn(d.c).data, qn_tls_alpn(d.c).size, want, strlen(want));
    CHECK_MEM(qn_tls_alpn(d.s).data, qn_tls_alpn(d.s).size, want, strlen(want));
  }
  duo_close(&d);
}

TEST(the_server_prefers)
{
  check("h2", "http/1.1", "h2", "http/1.1", "h2");
  check("h2", "http/1.1", "http/1.1", "h2", "http/1.1");
  check("a", "", "b", "a", "a");
  check("", "", "h2", "", "");
  check("h2", "", "", "", "");
  check("h2", "", "h", "", NULL);
}

TEST(a_function_chooses)
{
  for (int n = 1; n <= 2; n++) {
    duo_t d;
    int seen = 0;
    qn_slice_t names[2] = {slice_of("one"), slice_of("two")};
    duo_init(&d);
    d.cc = client_config();
    d.sc = server_config();
    CHECK_INT(qn_tls_config_set_alpn(d.cc, names, (size_t)n), 0);
    CHECK_INT(qn_tls_config_set_alpn_choice(d.sc, second_one, &seen), 0);
    duo_shake(&d);
    CHECK_INT(d.up_c.result, n == 1 ? QN_E_ALERT(120) : 0);
    CHECK_INT(seen, n);
    CHECK_INT(qn_tls_config_set_alpn_choice(d.sc, NULL, NULL), QN_E_BUSY); /* frozen */
    CHECK_INT(qn_tls_config_set_alpn(d.sc, names, 1), QN_E_BUSY);
    duo_close(&d);
  }
}

TEST(limits)
{
  static const uint8_t big[256];
  qn_slice_t names[QN_TLS_ALPN_NAMES_MAX + 1];
  qn_tls_config_t *c = new_config();
  for (size_t i = 0; i <= QN_TLS_ALPN_NAMES_MAX; i++) {
    names[i] = (qn_slice_t){big, 255};
  }
  CHECK_INT(qn_tls_config_set_alpn(c, names, QN_TLS_ALPN_NAMES_MAX), 0);
  CHECK_INT(qn_tls_config_set_alpn(c, names, QN_TLS_ALPN_NAMES_MAX + 1), QN_E_INVALID);
  names[0].size = 0;
  CHECK_INT(qn_tls_config_set_alpn(c, names, 1), QN_E_INVALID);
  names[0].size = 256;
  CHECK_INT(qn_tls_config_set_alpn(c, names, 1), QN_E_INVALID);
  CHECK_STR(qn_tls_config_problem(c), "an ALPN name has 1 to 255 bytes");
  qn_tls_config_release(c);
}

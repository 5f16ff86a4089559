/* dns_idn_test.c: names of questions in other scripts. */
#include "qn/dns_record.h"
#include "test.h"

static const char *ascii(const char *text)
{
  static char out[QN_DNS_NAME_TEXT];
  int rc = qn_dns_name_ascii(text, out);
  if (rc < 0) {
    CHECK_INT(rc, QN_E_BAD_HOST);
    return NULL;
  }
  return out;
}

TEST(names_of_ascii_stay_as_they_are)
{
  static const char *const same[] = {"a",   "WWW.Example.com.",   "_sip._tcp.x", "a\\.b.c", ".",
                                     "*.x", "xn--bcher-kva.test", NULL};
  for (size_t i = 0; same[i] != NULL; i++) {
    CHECK_STR(ascii(same[i]), same[i]);
  }
}

TEST(other_scripts_become_ascii)
{
  CHECK_STR(ascii("b\303\274cher.test"), "xn--bcher-kva.test");
  CHECK_STR(ascii("B\303\234CHER.Test"), "xn--bcher-kva.test");
  CHECK_STR(ascii("_sip._tcp.b\303\274cher.test"), "_sip._tcp.xn--bcher-kva.test");
}

TEST(bad_names_are_refused)
{
  char large[QN_DNS_NAME_TEXT + 10];
  CHECK_NULL(ascii(""));
  CHECK_NULL(ascii("a..b"));
  CHECK_NULL(ascii("\377\376"));
  CHECK_NULL(ascii("\303"));
  CHECK_NULL(ascii("a\302\240b.test"));               /* a blank, when it is mapped */
  CHECK_NULL(ascii("a\357\274\274000\303\274.test")); /* a backslash */
  memset(large, 'a', sizeof large);
  large[sizeof large - 1] = 0;
  CHECK_NULL(ascii(large));
  memset(large, 'a', 64);
  large[64] = 0;
  CHECK_NULL(ascii(large));
}

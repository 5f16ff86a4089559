/* The texts of URLs, and Punycode.
 * covers: runtime/codec/url_punycode.c
 */
#include "test.h"

#include "qn/url.h"

static char shown[4096];

typedef struct pair {
  const char *from, *to;
} pair_t;

static const char *pretty(const char *text, unsigned flags)
{
  shown[qn_url_pretty(text, strlen(text), flags, shown)] = 0;
  return shown;
}

TEST(pretty)
{
  CHECK_STR(pretty("%41%20%25%2f%3F%7e%00%1f%7F", 0), "A %25%2f%3F~%00%1f%7F");
  CHECK_STR(pretty("%20x", QN_URL_ENCODE_SPACES), "%20x");
  CHECK_STR(pretty("%C3%BC%e2%82%ac%F0%9F%98%80", 0), "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK_STR(pretty("%C3%BC", QN_URL_ENCODE_UNICODE), "%C3%BC");
  CHECK_STR(pretty("%C3%C3%BC%ff%e2%82", 0), "%C3\xc3\xbc%ff%e2%82"); /* ill-formed stays */
  CHECK_STR(pretty("%E2%80%AE%E2%80%8B%C2%A0%EF%BB%BF", 0), "%E2%80%AE%E2%80%8B%C2%A0%EF%BB%BF");
  CHECK_STR(pretty("%ED%A0%80%C0%80", 0), "%ED%A0%80%C0%80");
  CHECK_STR(pretty("%7B%22", 0), "%7B%22");
  CHECK_STR(pretty("%7B%22", QN_URL_DECODE_RESERVED), "{\"");
  CHECK_STR(pretty("a:b@c", QN_URL_ENCODE_DELIMITERS), "a%3Ab%40c");
  CHECK_STR(pretty("%2F%41%", QN_URL_DECODE_ALL), "/A%");
  CHECK_STR(pretty("%", 0), "%");
  CHECK_STR(pretty("%4", 0), "%4");
}

TEST(percent)
{
  char out[64];
  out[qn_url_encode("az09-._~ /\xc3\xbc%", 13, "", "", out)] = 0;
  CHECK_STR(out, "az09-._~%20%2F%C3%BC%25");
  out[qn_url_encode("a/b:c", 5, "/:", "b:", out)] = 0;
  CHECK_STR(out, "a/%62%3Ac");
  CHECK_INT((int)qn_url_encode("\0", 1, "/", "", out), 3);
  out[qn_url_decode("%41%4%zz%", 9, out)] = 0;
  CHECK_STR(out, "A%4%zz%");
  out[qn_url_clean_path("/a/./b/../c", 11, out)] = 0;
  CHECK_STR(out, "/a/c");
  out[qn_url_clean_path("a/../b", 6, out)] = 0;
  CHECK_STR(out, "a/../b");
}

/* RFC 3492 section 7.1, and what is no Punycode */
TEST(punycode)
{
  static const pair_t pairs[] = {
      {"b\xc3\xbc"
       "cher",
       "bcher-kva"},
      {"\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88\xe4\xb8\x8d\xe8\xaf\xb4\xe4\xb8"
       "\xad\xe6\x96\x87",
       "ihqwcrb4cv8a8dqg056pqjye"},
      {"Pro\xc4\x8dprost\xc4\x9bnemluv\xc3\xad\xc4\x8d"
       "esky",
       "Proprostnemluvesky-uyb24dma41a"},
      {"-> $1.00 <-", "-> $1.00 <--"},
      {"abc", "abc-"},
      {"", ""}};
  char out[QN_IDN_OUT];
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    TEST_ROUND("%s", pairs[i].to);
    CHECK_INT(qn_punycode_encode(pairs[i].from, strlen(pairs[i].from), out),
              (int)strlen(pairs[i].to));
    CHECK_STR(out, pairs[i].to);
    CHECK(qn_punycode_decode(pairs[i].to, strlen(pairs[i].to), out) >= 0);
    CHECK_STR(out, pairs[i].from);
  }
  static const char *const wrong[] = {"99999999", "a-z!", "\xc3\xbc-", "zzzzzzzzzzzzzzzzz"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    TEST_ROUND("%s", wrong[i]);
    CHECK_INT(qn_punycode_decode(wrong[i], strlen(wrong[i]), out), QN_E_BAD_HOST);
  }
  char many[3 * QN_IDN_LABEL];
  memset(many, 'a', sizeof many);
  CHECK_INT(qn_punycode_encode(many, QN_IDN_LABEL + 1, out), QN_E_BAD_HOST);
  CHECK_INT(qn_punycode_decode(many, QN_IDN_LABEL + 1, out), QN_E_BAD_HOST);
  CHECK_INT(qn_punycode_encode("\xff", 1, out), QN_E_BAD_HOST);
  for (size_t i = 0; i < QN_IDN_LABEL; i++) { /* far apart, alternating: the longest there is */
    memcpy(many + 2 * i, i % 2 == 0 ? "a" : "\xc3\xbc", i % 2 == 0 ? 1 : 2);
  }
  CHECK(qn_punycode_encode(many, 0, out) == 0);
}

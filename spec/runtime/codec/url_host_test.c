/* The host parser of the URL Standard: domains, IPv4 in all its forms, IPv6, opaque hosts. */
#include "test.h"

#include "codec/url_i.h"
#include "qn/base.h"

static void host(const char *text, bool special, const char *want)
{
  char out[QN__HOST_MAX + 1];
  bool literal;
  const char *why = NULL;
  int n = qn__url_host_whatwg(text, strlen(text), special, out, &literal, &why);
  TEST_ROUND("%s", test_show(text, strlen(text)));
  if (want == NULL) {
    CHECK_INT(n, QN_E_BAD_URL);
    CHECK(why != NULL);
  } else if (CHECK(n >= 0)) {
    out[n] = 0;
    CHECK_STR(out, want);
    CHECK_INT(literal, text[0] == '[');
  }
}

static void domain(const char *text, const char *want) { host(text, true, want); }
static void opaque(const char *text, const char *want) { host(text, false, want); }

TEST(domains)
{
  domain("EXAMPLE.com", "example.com");
  domain("example%2Ecom", "example.com");
  domain("fa\xc3\x9f.example", "xn--fa-hia.example");
  domain("fa%C3%9F.example", "xn--fa-hia.example");
  domain("a_b~!$&'()*+,;=\"`{}", "a_b~!$&'()*+,;=\"`{}");
  domain("-a-..b.", "-a-..b.");
  domain(".", ".");
  domain("xn--a", "xn--a"); /* ASCII is only lower-cased */
  domain("XN--8I7CAA", "xn--8i7caa");
  domain("xn--a.\xc3\x9f", NULL);
  domain("", NULL);
  domain("\xc2\xad", NULL); /* maps to nothing */
  domain("%ff", NULL);
  domain("\xff", NULL);
  domain("a%00b", NULL);
  domain("%", NULL);
  domain("a%zz", NULL);
  domain("%2541", NULL);
  domain("\xef\xbc\x85"
         "41",
         NULL);                   /* a full-width '%' */
  domain("\xef\xbc\x8f", NULL);   /* a full-width '/' */
  domain("<\xcc\xb8", "xn--gdh"); /* composes to what is allowed */
}

TEST(forbidden_code_points)
{
  for (int c = 0; c < 0x80; c++) {
    char text[4] = {'a', (char)c, 'b', 0};
    char out[QN__HOST_MAX];
    bool literal;
    const char *why;
    bool in_host = c == 0 || strchr("\t\n\r #/:<>?@[\\]^|", c) != NULL;
    bool in_domain = in_host || c < 0x20 || c == '%' || c == 0x7f;
    TEST_ROUND("%d", c);
    CHECK_INT(qn__url_host_whatwg(text, 3, true, out, &literal, &why) < 0, in_domain);
    CHECK_INT(qn__url_host_whatwg(text, 3, false, out, &literal, &why) < 0, in_host);
  }
}

TEST(numbers_are_ipv4_addresses)
{
  domain("1.2.3.4", "1.2.3.4");
  domain("1.2.3.4.", "1.2.3.4");
  domain("0", "0.0.0.0");
  domain("%30", "0.0.0.0");
  domain("0x", "0.0.0.0");
  domain("0xffffffff", "255.255.255.255");
  domain("0XFf.0x.0X1.010", "255.0.1.8");
  domain("4294967295", "255.255.255.255");
  domain("1.65535", "1.0.255.255");
  domain("1.16777215", "1.255.255.255");
  domain("1.2.65535", "1.2.255.255");
  domain("0000000000000000000000000000000001", "0.0.0.1");
  domain("\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97\xe3\x80\x82"
         "1",
         "127.0.0.1");
}

TEST(what_ends_in_a_number_must_be_an_address)
{
  domain("1.2.3.4.5", NULL);
  domain("1.2.3.4..", "1.2.3.4.."); /* the last label is empty: no number */
  domain("1..2", NULL);
  domain("256.1", NULL);
  domain("a.1", NULL);
  domain("a.0x1", NULL);
  domain("a.0x", NULL);
  domain("a.09", NULL);
  domain("09", NULL);
  domain("08.1", NULL);
  domain("0x.0xg", "0x.0xg");
  domain("a.1x", "a.1x");
  domain("1.a", "1.a");
  domain("4294967296", NULL);
  domain("0x100000000", NULL);
  domain("1.16777216", NULL);
  domain("1.2.65536", NULL);
  domain("1.2.3.256", NULL);
  domain("1.256.3.4", NULL);
  domain("99999999999999999999999999999999", NULL);
  domain(".1", NULL);
  domain("1.", "0.0.0.1");
}

TEST(ipv6)
{
  domain("[::]", "::");
  domain("[::1]", "::1");
  domain("[1:2:3:4:5:6:7:8]", "1:2:3:4:5:6:7:8");
  domain("[0001:002:03:4:5:6:7:F]", "1:2:3:4:5:6:7:f");
  domain("[1:0:0:2:0:0:0:3]", "1:0:0:2::3");
  domain("[0:f:0:0:f:f:0:0]", "0:f::f:f:0:0");
  domain("[1:2:3:4:5:6:7::]", "1:2:3:4:5:6:7:0");
  domain("[::ffff:1.2.3.4]", "::ffff:102:304");
  domain("[1:2:3:4:5:6:1.2.3.4]", "1:2:3:4:5:6:102:304");
  opaque("[::1]", "::1");
  static const char *const bad[] = {"[]",
                                    "[",
                                    "[::1",
                                    "[:1]",
                                    "[1:]",
                                    "[::1::]",
                                    "[:::]",
                                    "[1:2:3]",
                                    "[12345::]",
                                    "[g::]",
                                    "[::1]x",
                                    "[::%31]",
                                    "[::1%25eth]",
                                    "[1:2:3:4:5:6:7:8:9]",
                                    "[::1.2.3]",
                                    "[::1.2.3.]",
                                    "[::.1.2.3]",
                                    "[::1.2.3.4.5]",
                                    "[::1.2.3.256]",
                                    "[::01.2.3.4]",
                                    "[::1.2.3.4:5]",
                                    "[1:2:3:4:5:6:7:1.2.3.4]",
                                    "[::0x1.2.3.4]",
                                    "[::1 ]"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    domain(bad[i], NULL);
    opaque(bad[i], NULL);
  }
}

TEST(opaque_hosts_keep_what_they_are)
{
  opaque("EXAMPLE.com", "EXAMPLE.com");
  opaque("example%2Ecom", "example%2Ecom");
  opaque("fa\xc3\x9f", "fa%C3%9F");
  opaque("0x7f.1", "0x7f.1");
  opaque("%zz%", "%zz%");
  opaque("\x01\x7f\"`{}", "%01%7F\"`{}");
  opaque("", "");
}

TEST(long_hosts)
{
  static char text[QN__HOST_MAX + 2], out[QN__HOST_MAX];
  bool literal;
  const char *why;
  memset(text, 'a', sizeof text);
  CHECK_INT(qn__url_host_whatwg(text, QN__HOST_MAX, true, out, &literal, &why), QN__HOST_MAX);
  CHECK_INT(qn__url_host_whatwg(text, QN__HOST_MAX, false, out, &literal, &why), QN__HOST_MAX);
  CHECK_INT(qn__url_host_whatwg(text, QN__HOST_MAX + 1, true, out, &literal, &why), QN_E_BAD_URL);
  text[0] = '\x01';
  CHECK_INT(qn__url_host_whatwg(text, QN__HOST_MAX - 1, false, out, &literal, &why), QN_E_BAD_URL);
  CHECK_INT(qn__url_host_whatwg(text, QN__HOST_MAX - 2, false, out, &literal, &why), QN__HOST_MAX);
  text[0] = '%';
  CHECK_INT(qn__url_host_whatwg(text, QN__HOST_MAX, true, out, &literal, &why), QN_E_BAD_URL);
}

/* ip_test.c: address text both ways, compared with the system's own functions where they agree. */
#include "qn/ip.h"
#include "test.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* Copies the text to a block of its exact size, so that sanitizers see what is read behind it. */
static bool parsed(bool (*parse)(const char *, size_t, uint8_t *), const char *text, uint8_t *out)
{
  size_t size = strlen(text);
  char *copy = malloc(size > 0 ? size : 1);
  CHECK(copy != NULL);
  memcpy(copy, text, size);
  bool ok = parse(copy, size, out);
  free(copy);
  return ok;
}

TEST(dotted_quads)
{
  static const char *good[] = {"0.0.0.0", "1.2.3.4", "10.20.30.40", "255.255.255.255",
                               "100.99.9.0"};
  static const char *bad[] = {"",           "1",         "1.2.3",     "1.2.3.",     "1.2.3.4.",
                              "1.2.3.4.5",  ".1.2.3.4",  "1..2.3",    "256.1.1.1",  "1.1.1.256",
                              "1.1.1.1000", "01.2.3.4",  "1.2.3.04",  "00.0.0.0",   "1.2.3.4 ",
                              " 1.2.3.4",   "1.2.3.4\n", "1.2.3.a",   "0x1.2.3.4",  "+1.2.3.4",
                              "-1.2.3.4",   "1,2,3,4",   "1.2.3.4/8", "1.2.3.4%lo", "::1"};
  uint8_t out[4], want[4];
  char text[QN_IP_TEXT];
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    TEST_ROUND("%s", good[i]);
    CHECK(parsed(qn_ip4_parse, good[i], out));
    CHECK_INT(inet_pton(AF_INET, good[i], want), 1);
    CHECK_MEM(out, 4, want, 4);
    CHECK_UINT(qn_ip4_print(out, text), strlen(good[i]));
    CHECK_STR(text, good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    TEST_ROUND("%s", bad[i]);
    memset(out, 7, sizeof out);
    CHECK(!parsed(qn_ip4_parse, bad[i], out));
    CHECK_MEM(out, 4, "\7\7\7\7", 4);
  }
  CHECK(!qn_ip4_parse("1.2.3.4\0", 8, out));
  CHECK(!qn_ip4_parse("1.2\0.3.4", 8, out));
  CHECK(qn_ip4_parse("1.2.3.45", 7, out));
}

TEST(loose_forms)
{
  static const struct {
    const char *text;
    uint8_t want[4];
  } good[] = {
      {"1.2.3.4", {1, 2, 3, 4}},
      {"127.1", {127, 0, 0, 1}},
      {"127.0.1", {127, 0, 0, 1}},
      {"123.0.0", {123, 0, 0, 0}},
      {"1.2.65535", {1, 2, 255, 255}},
      {"1.16777215", {1, 255, 255, 255}},
      {"0", {0, 0, 0, 0}},
      {"1", {0, 0, 0, 1}},
      {"4294967295", {255, 255, 255, 255}},
      {"0x7f000001", {127, 0, 0, 1}},
      {"0X7F.1", {127, 0, 0, 1}},
      {"0177.0.0.01", {127, 0, 0, 1}},
      {"037777777777", {255, 255, 255, 255}},
      {"00000000000000001.2.3.4", {1, 2, 3, 4}},
      {"0x0000000000000000007f.1", {127, 0, 0, 1}},
  };
  static const char *bad[] = {"",
                              ".",
                              "1.",
                              "1.2.3.4.",
                              "1.2.3.4.5",
                              "256.1",
                              "1.2.256.1",
                              "1.2.65536",
                              "1.16777216",
                              "4294967296",
                              "08",
                              "09.1.1.1",
                              "0x",
                              "0xg",
                              "0x.1",
                              "1..2",
                              "a",
                              "1.2.3.f",
                              "99999999999999999999999999",
                              "1 ",
                              "-1",
                              "0x100000000"};
  uint8_t out[4];
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    struct in_addr in;
    TEST_ROUND("%s", good[i].text);
    CHECK(parsed(qn_ip4_parse_loose, good[i].text, out));
    CHECK_MEM(out, 4, good[i].want, 4);
    CHECK_INT(inet_aton(good[i].text, &in), 1);
    CHECK_MEM(out, 4, &in, 4);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    TEST_ROUND("%s", bad[i]);
    CHECK(!parsed(qn_ip4_parse_loose, bad[i], out));
  }
}

TEST(ipv6_forms)
{
  static const struct {
    const char *text, *shown;
  } good[] = {
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
      {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* one zero group is not shortened */
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* the longest run */
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* the first of equals */
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"1:0:0:4:5:6:0:0", "1::4:5:6:0:0"},
      {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"},
      {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
      {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
      {"::ffff:102:304", "::ffff:1.2.3.4"},
      {"::FFFF:0:0", "::ffff:0.0.0.0"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"::1.2.3.4", "::102:304"},
      {"1::1.2.3.4", "1::102:304"},
      {"ff02::1:ff00:0", "ff02::1:ff00:0"},
      {"fe80::1234:5678:9abc:def0", "fe80::1234:5678:9abc:def0"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  static const char *bad[] = {"",
                              ":",
                              ":::",
                              "1",
                              "1:",
                              ":1",
                              "1:2",
                              "::1::",
                              "1::2::3",
                              ":1:2:3:4:5:6:7:8",
                              "::1:",
                              "1:2:3:4:5:6:7",
                              "1:2:3:4:5:6:7:8:9",
                              "1:2:3:4:5:6:7:8::",
                              "::1:2:3:4:5:6:7:8",
                              "1:2:3:4::5:6:7:8",
                              "1:2:3:4:5:6:7:8:",
                              "12345::",
                              "::00001",
                              "g::",
                              "::g",
                              "1.2.3.4",
                              "::1.2.3",
                              "::1.2.3.4.5",
                              "::1.2.3.256",
                              "::01.2.3.4",
                              "::1.2.3.4:5",
                              "::1.2.3.4:",
                              "1:2:3:4:5:6:7:1.2.3.4",
                              "1:2:3:4:5:1.2.3.4",
                              "1:2:3:4:5:6:7:8.1.1.1",
                              "::.1.2.3",
                              "fe80::1%lo",
                              "[::1]",
                              "::1 ",
                              " ::1",
                              "::1\n",
                              "::1/128",
                              "-1::",
                              "::ffff:0x1.2.3.4",
                              "::12345.2.3.4",
                              "::1a.2.3.4",
                              "1:::2",
                              "1: :2"};
  uint8_t out[16], want[16];
  char text[QN_IP_TEXT];
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    TEST_ROUND("%s", good[i].text);
    CHECK(parsed(qn_ip6_parse, good[i].text, out));
    CHECK_INT(inet_pton(AF_INET6, good[i].text, want), 1);
    CHECK_MEM(out, 16, want, 16);
    CHECK_UINT(qn_ip6_print(out, text, true), strlen(good[i].shown));
    CHECK_STR(text, good[i].shown);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    TEST_ROUND("%s", bad[i]);
    memset(out, 7, sizeof out);
    CHECK(!parsed(qn_ip6_parse, bad[i], out));
    CHECK_INT(out[0] + out[15], 14);
  }
  CHECK(!qn_ip6_parse("::1\0", 4, out));
  CHECK(qn_ip6_parse("::12", 3, out));
}

TEST(mapped_addresses_without_a_dotted_tail)
{
  uint8_t out[16];
  char text[QN_IP_TEXT];
  CHECK(qn_ip6_parse("::ffff:1.2.3.4", 14, out));
  CHECK_UINT(qn_ip6_print(out, text, false), 14);
  CHECK_STR(text, "::ffff:102:304");
  CHECK(qn_ip6_parse("::ffff:0.0.0.0", 14, out));
  CHECK_UINT(qn_ip6_print(out, text, false), 10);
  CHECK_STR(text, "::ffff:0:0");
}

/* Every pattern of zero groups, against an own, slower rule: try each way of shortening. */
TEST(every_pattern_of_zeros_is_shortest)
{
  for (unsigned mask = 0; mask < 256; mask++) {
    uint8_t in[16] = {0}, again[16];
    char text[QN_IP_TEXT], system[INET6_ADDRSTRLEN];
    for (int i = 0; i < 8; i++) {
      in[2 * i + 1] = (mask >> i & 1) != 0 ? (uint8_t)(i + 1) : 0;
    }
    TEST_ROUND("%u", mask);
    size_t n = qn_ip6_print(in, text, true);
    CHECK(qn_ip6_parse(text, n, again));
    CHECK_MEM(in, 16, again, 16);
    inet_ntop(AF_INET6, in, system, sizeof system);
    if (strchr(system, '.') == NULL) { /* the system also shows ::0007:0008 as IPv4 */
      CHECK_STR(text, system);
    }
  }
}

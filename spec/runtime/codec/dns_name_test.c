/* dns_name_test.c: names of the DNS as text and on the wire, pointers, limits, reverse names. */
#include "dns_rig.h"

static const struct {
  const char *text;
  const char *wire;
  size_t size;
  const char *shown; /* NULL: as it was */
} good[] = {
    {".", "\0", 1, NULL},
    {"a", "\1a\0", 3, NULL},
    {"a.", "\1a\0", 3, "a"},
    {"www.Example.com", "\3www\7Example\3com\0", 17, NULL},
    {"_http._tcp.qn.test", "\5_http\4_tcp\2qn\4test\0", 20, NULL},
    {"a\\.b.c", "\3a.b\1c\0", 7, NULL},
    {"a\\046b.c", "\3a.b\1c\0", 7, "a\\.b.c"},
    {"\\000\\255", "\2\0\377\0", 4, NULL},
    {"\\x\\ y", "\3x y\0", 5, "x\\032y"},
    {"a\\\\b", "\3a\\b\0", 5, NULL},
    {"x\\@y\\;z", "\5x@y;z\0", 7, NULL},
    {"x@y", "\3x@y\0", 5, "x\\@y"},
    {"\303\244", "\2\303\244\0", 4, "\\195\\164"},
    {"*.wild", "\1*\4wild\0", 8, NULL},
};

TEST(text_becomes_wire_and_text_again)
{
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    uint8_t wire[255];
    char text[QN_DNS_NAME_TEXT];
    size_t at = 0;
    TEST_ROUND("%s", good[i].text);
    int n = qn_dns_name_encode(good[i].text, wire);
    REQUIRE(n > 0);
    CHECK_MEM(wire, (size_t)n, good[i].wire, good[i].size);
    CHECK_INT(qn_dns_name_decode(wire, (size_t)n, &at, text), 0);
    CHECK_UINT(at, good[i].size);
    CHECK_STR(text, good[i].shown != NULL ? good[i].shown : good[i].text);
  }
}

TEST(bad_text_is_refused)
{
  static const char *const bad[] = {"",     "..",    ".a",   "a..b",  "a..",   "\\",   "a\\", "\\1",
                                    "\\12", "\\12x", "\\1x", "\\256", "\\999", ".\\.", NULL};
  uint8_t wire[255];
  for (size_t i = 0; bad[i] != NULL; i++) {
    TEST_ROUND("%s", bad[i]);
    CHECK_INT(qn_dns_name_encode(bad[i], wire), QN_E_BAD_HOST);
  }
}

TEST(labels_and_names_have_their_limits)
{
  char text[1100];
  uint8_t wire[255];
  memset(text, 'a', sizeof text);
  text[63] = 0;
  CHECK_INT(qn_dns_name_encode(text, wire), 65);
  text[63] = 'a';
  text[64] = 0;
  CHECK_INT(qn_dns_name_encode(text, wire), QN_E_BAD_HOST);
  text[64] = 'a';
  text[63] = text[127] = text[191] = '.';
  text[253] = 0; /* 63.63.63.61: 255 bytes */
  CHECK_INT(qn_dns_name_encode(text, wire), 255);
  text[253] = '.';
  text[254] = 0;
  CHECK_INT(qn_dns_name_encode(text, wire), 255);
  text[253] = 'a';
  CHECK_INT(qn_dns_name_encode(text, wire), QN_E_BAD_HOST);
}

TEST(the_longest_text_fits)
{
  uint8_t wire[255];
  char text[QN_DNS_NAME_TEXT];
  size_t at = 0;
  memset(wire, 1, sizeof wire);
  wire[0] = wire[64] = wire[128] = 63;
  wire[192] = 61;
  wire[254] = 0;
  CHECK_INT(qn_dns_name_decode(wire, sizeof wire, &at, text), 0);
  CHECK_UINT(strlen(text), 4 * 250 + 3);
  uint8_t again[255];
  CHECK_INT(qn_dns_name_encode(text, again), 255);
  CHECK_MEM(again, 255, wire, 255);
}

static int decode(const char *bytes, size_t size, size_t at, char *text)
{
  uint8_t *copy = malloc(size);
  REQUIRE(copy != NULL);
  memcpy(copy, bytes, size);
  int rc = qn_dns_name_decode(copy, size, &at, text);
  free(copy);
  return rc < 0 ? rc : (int)at;
}

TEST(pointers_go_backward_only)
{
  char text[QN_DNS_NAME_TEXT];
  CHECK_INT(decode("\3abc\0\1x\300\0", 9, 5, text), 9);
  CHECK_STR(text, "x.abc");
  CHECK_INT(decode("\3abc\0\300\0\1x\300\5", 11, 7, text), 11); /* a pointer to a pointer */
  CHECK_STR(text, "x.abc");
  CHECK_INT(decode("\300\0", 2, 0, text), QN_E_DNS_REPLY);      /* to itself */
  CHECK_INT(decode("\1a\300\0", 4, 0, text), QN_E_DNS_REPLY);   /* to its own beginning */
  CHECK_INT(decode("\1a\300\2", 4, 0, text), QN_E_DNS_REPLY);   /* to itself behind a label */
  CHECK_INT(decode("\300\2\1a\0", 5, 0, text), QN_E_DNS_REPLY); /* forward */
  CHECK_INT(decode("\1a\300\5\0\1b\300\0", 9, 5, text), QN_E_DNS_REPLY); /* back, then forth */
  CHECK_INT(decode("\377\377", 2, 0, text), QN_E_DNS_REPLY);
}

TEST(what_is_cut_off_or_of_another_form_is_refused)
{
  char text[QN_DNS_NAME_TEXT];
  CHECK_INT(decode("\3abc", 4, 0, text), QN_E_DNS_REPLY);
  CHECK_INT(decode("\3ab", 3, 0, text), QN_E_DNS_REPLY);
  CHECK_INT(decode("\1a\300", 3, 0, text), QN_E_DNS_REPLY);
  CHECK_INT(decode("\1a\0", 3, 3, text), QN_E_DNS_REPLY);
  CHECK_INT(decode("\100a\0", 3, 0, text), QN_E_DNS_REPLY);
  CHECK_INT(decode("\200a\0", 3, 0, text), QN_E_DNS_REPLY);
}

TEST(many_pointers_are_refused)
{
  uint8_t data[1000] = {0};
  char text[QN_DNS_NAME_TEXT];
  size_t n = 1;
  for (size_t i = 1; i < 200; i++, n += 2) { /* each points to the one before */
    data[n] = 0xc0 | (uint8_t)((i == 1 ? 0 : n - 2) >> 8);
    data[n + 1] = (uint8_t)(i == 1 ? 0 : n - 2);
  }
  size_t at = 1 + 2 * 127;
  CHECK_INT(qn_dns_name_decode(data, n, &at, text), 0);
  CHECK_STR(text, ".");
  at = 1 + 2 * 128;
  CHECK_INT(qn_dns_name_decode(data, n, &at, text), QN_E_DNS_REPLY);
}

TEST(a_name_that_pointers_make_too_long_is_refused)
{
  uint8_t data[400];
  char text[QN_DNS_NAME_TEXT];
  size_t n = 0;
  for (int i = 0; i < 4; i++) {
    data[n++] = 62;
    memset(data + n, 'x', 62);
    n += 62;
  }
  data[n++] = 0; /* 4 * 63 + 1 = 253 */
  size_t start = n;
  memcpy(data + n, "\1a\300\0", 4);
  size_t at = start;
  CHECK_INT(qn_dns_name_decode(data, n + 4, &at, text), 0); /* 255 */
  memcpy(data + n, "\2ab\300\0", 5);
  at = start;
  CHECK_INT(qn_dns_name_decode(data, n + 5, &at, text), QN_E_DNS_REPLY);
}

TEST(names_are_equal_without_case)
{
  CHECK(qn_dns_name_equal("WWW.example.COM", "www.EXAMPLE.com."));
  CHECK(qn_dns_name_equal("a\\046b", "A\\.B"));
  CHECK(qn_dns_name_equal(".", "."));
  CHECK(!qn_dns_name_equal("a.b", "a\\.b"));
  CHECK(!qn_dns_name_equal("a", "a.b"));
  CHECK(!qn_dns_name_equal("\303\244", "\303\204")); /* letters of ASCII only */
  CHECK(!qn_dns_name_equal("@", "`"));
  CHECK(!qn_dns_name_equal("", ""));
  CHECK(!qn_dns_name_equal("a..b", "a..b"));
}

TEST(reverse_names)
{
  char text[QN_DNS_NAME_TEXT];
  const uint8_t four[] = {1, 20, 0, 255};
  CHECK_UINT(qn_dns_reverse_name(four, 4, text), strlen("255.0.20.1.in-addr.arpa"));
  CHECK_STR(text, "255.0.20.1.in-addr.arpa");
  const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0xf1};
  const char *want = "1.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
  CHECK_UINT(qn_dns_reverse_name(six, 16, text), strlen(want));
  CHECK_STR(text, want);
}

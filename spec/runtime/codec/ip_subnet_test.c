/* ip_subnet_test.c: the forms of subnets, their limits, netmasks. */
#include "qn/ip.h"
#include "test.h"

#include <stdlib.h>

static const struct {
  const char *text, *net;
  int family, bits;
} good[] = {
    {"10.1.2.3/8", "10.0.0.0", 4, 8},
    {"10.1.2.3/0", "0.0.0.0", 4, 0},
    {"10.1.2.3/1", "0.0.0.0", 4, 1},
    {"200.1.2.3/1", "128.0.0.0", 4, 1},
    {"10.1.2.255/31", "10.1.2.254", 4, 31},
    {"10.1.2.3/32", "10.1.2.3", 4, 32},
    {"192.168.17.9/20", "192.168.16.0", 4, 20},
    {"1.2.3.4", "1.2.3.4", 4, 32},
    {"1.2.3", "1.2.3.0", 4, 24},
    {"1.2.3.", "1.2.3.0", 4, 24},
    {"1.2", "1.2.0.0", 4, 16},
    {"1.2.", "1.2.0.0", 4, 16},
    {"10", "10.0.0.0", 4, 8},
    {"10.", "10.0.0.0", 4, 8},
    {"0", "0.0.0.0", 4, 8},
    {"10/8", "10.0.0.0", 4, 8},
    {"172.16/12", "172.16.0.0", 4, 12},
    {"172.16./12", "172.16.0.0", 4, 12},
    {"1.2.3.4/255.255.255.0", "1.2.3.0", 4, 24},
    {"1.2.3.4/255.255.255.255", "1.2.3.4", 4, 32},
    {"1.2.3.4/0.0.0.0", "0.0.0.0", 4, 0},
    {"1.2.3.4/255.128.0.0", "1.0.0.0", 4, 9},
    {"10/255.0.0.0", "10.0.0.0", 4, 8},
    {"::1", "::1", 6, 128},
    {"::/0", "::", 6, 0},
    {"2001:db8:1:2::1/48", "2001:db8:1::", 6, 48},
    {"2001:db8:ffff::/33", "2001:db8:8000::", 6, 33},
    {"ffff::/128", "ffff::", 6, 128},
    {"::ffff:1.2.3.4/104", "::ffff:1.0.0.0", 6, 104},
    {"fe80::1/10", "fe80::", 6, 10},
};

static const char *bad[] = {"",
                            "/",
                            "/8",
                            "1.2.3.4/",
                            "1.2.3.4/33",
                            "1.2.3.4/-1",
                            "1.2.3.4/+1",
                            "1.2.3.4/a",
                            "1.2.3.4/8/8",
                            "1.2.3.4/ 8",
                            "1.2.3.4/8 ",
                            "1.2.3.4/08",
                            "1.2.3.4/255",
                            "1.2.3.4/1000",
                            "1.2.3.4/4294967304",
                            "1.2.3.4/255.0.255.0",
                            "1.2.3.4/0.255.255.255",
                            "1.2.3.4/0.0.0.255",
                            "1.2.3.4/255.255.0",
                            "1.2.3.4/1.2.3.4",
                            "1.2.3.4/255.255.255.256",
                            "1.2.3.4/ffff::",
                            "1.2.3.4.",
                            "1.2.3.4.5",
                            "1.2.3.4.5/8",
                            ".1.2",
                            ".",
                            "..",
                            "1..2",
                            "1...",
                            "256",
                            "1.256",
                            "01.2",
                            "a",
                            "a.b",
                            "1.2.3.4%lo",
                            "::1/129",
                            "ffff::/129",
                            "::1/",
                            "::1/255.255.255.0",
                            "::1/-1",
                            "::1/::1",
                            ":",
                            ":1/8",
                            "1:2/16",
                            "fe80::1%lo/64",
                            "[::1]/128",
                            "-1",
                            "+1",
                            "1 .2"};

TEST(forms_of_subnets)
{
  uint8_t out[16];
  char text[QN_IP_TEXT];
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    int bits = -7;
    TEST_ROUND("%s", good[i].text);
    CHECK_INT(qn_subnet_parse(good[i].text, strlen(good[i].text), out, &bits), good[i].family);
    CHECK_INT(bits, good[i].bits);
    if (good[i].family == 4) {
      qn_ip4_print(out, text);
    } else {
      qn_ip6_print(out, text, true);
    }
    CHECK_STR(text, good[i].net);
  }
}

TEST(what_is_no_subnet)
{
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    uint8_t out[16] = {7};
    int bits = -7;
    size_t size = strlen(bad[i]);
    char *exact = malloc(size > 0 ? size : 1);
    CHECK(exact != NULL);
    memcpy(exact, bad[i], size);
    TEST_ROUND("%s", bad[i]);
    CHECK_INT(qn_subnet_parse(exact, size, out, &bits), 0);
    CHECK_INT(bits, -7);
    CHECK_INT(out[0], 7);
    free(exact);
  }
  uint8_t out[16];
  int bits;
  CHECK_INT(qn_subnet_parse("10\0", 3, out, &bits), 0);
  CHECK_INT(qn_subnet_parse(NULL, 0, out, &bits), 0);
}

TEST(netmasks)
{
  uint8_t mask[16];
  for (int bits = 0; bits <= 128; bits++) {
    for (int i = 0; i < 16; i++) {
      int ones = bits - 8 * i;
      mask[i] = ones >= 8 ? 0xff : ones <= 0 ? 0 : (uint8_t)(0xff00 >> ones);
    }
    CHECK_INT(qn_ip_mask_bits(mask, 16), bits);
    if (bits < 127) { /* a one behind the zeros */
      mask[15] |= 1;
      CHECK_INT(qn_ip_mask_bits(mask, 16), -1);
    }
  }
  CHECK_INT(qn_ip_mask_bits((const uint8_t[]){255, 0, 255, 0}, 4), -1);
  CHECK_INT(qn_ip_mask_bits((const uint8_t[]){0x7f, 0, 0, 0}, 4), -1);
}

TEST(same_net)
{
  static const uint8_t a[4] = {10, 1, 0xf0, 0}, b[4] = {10, 1, 0xff, 0};
  CHECK(qn_ip_same_net(a, b, 0));
  CHECK(qn_ip_same_net(a, b, 20));
  CHECK(!qn_ip_same_net(a, b, 21));
  CHECK(!qn_ip_same_net(a, b, 32));
  CHECK(qn_ip_same_net(a, a, 32));
}

/* addr_test.c: text forms of addresses, both ways; equality; Unix names. */
#include "qn/addr.h"
#include "test.h"

#include <arpa/inet.h>
#include <net/if.h>

static const struct {
  const char *text;
  qn_family_t family;
  qn_family_t becomes;
  const char *host, *whole;
} good[] = {
    {"127.0.0.1", QN_FAMILY_ANY, QN_FAMILY_IPV4, "127.0.0.1", "127.0.0.1:80"},
    {"127.0.0.1", QN_FAMILY_IPV4, QN_FAMILY_IPV4, "127.0.0.1", "127.0.0.1:80"},
    {"255.255.255.255", QN_FAMILY_ANY, QN_FAMILY_IPV4, "255.255.255.255", "255.255.255.255:80"},
    {"::1", QN_FAMILY_ANY, QN_FAMILY_IPV6, "::1", "[::1]:80"},
    {"::1", QN_FAMILY_IPV6, QN_FAMILY_IPV6, "::1", "[::1]:80"},
    {"2001:DB8:0:0:0:0:0:1", QN_FAMILY_ANY, QN_FAMILY_IPV6, "2001:db8::1", "[2001:db8::1]:80"},
    {"::1.2.3.4", QN_FAMILY_ANY, QN_FAMILY_IPV6, "::102:304", "[::102:304]:80"},
    {"fe80::1%lo", QN_FAMILY_ANY, QN_FAMILY_IPV6, "fe80::1%lo", "[fe80::1%lo]:80"},
    {"fe80::1%4000000000", QN_FAMILY_ANY, QN_FAMILY_IPV6, "fe80::1%4000000000",
     "[fe80::1%4000000000]:80"},
    {"::ffff:1.2.3.4", QN_FAMILY_ANY, QN_FAMILY_IPV4, "1.2.3.4", "1.2.3.4:80"},
    {"::ffff:1.2.3.4", QN_FAMILY_IPV4, QN_FAMILY_IPV4, "1.2.3.4", "1.2.3.4:80"},
    {"::ffff:1.2.3.4", QN_FAMILY_IPV6, QN_FAMILY_IPV6, "1.2.3.4", "1.2.3.4:80"},
    {"", QN_FAMILY_ANY, QN_FAMILY_IPV6, "::", "[::]:80"},
    {"*", QN_FAMILY_ANY, QN_FAMILY_IPV6, "::", "[::]:80"},
    {"*", QN_FAMILY_IPV6, QN_FAMILY_IPV6, "::", "[::]:80"},
    {"", QN_FAMILY_IPV4, QN_FAMILY_IPV4, "0.0.0.0", "0.0.0.0:80"},
};

static const struct {
  const char *text;
  qn_family_t family;
} bad[] = {
    {"localhost", QN_FAMILY_ANY},
    {"127.0.0.1", QN_FAMILY_IPV6},
    {"::1", QN_FAMILY_IPV4},
    {"127.0.0.1", QN_FAMILY_UNIX},
    {"", QN_FAMILY_UNIX},
    {"1.2.3", QN_FAMILY_ANY},
    {"1.2.3.4.5", QN_FAMILY_ANY},
    {"1.2.3.256", QN_FAMILY_ANY},
    {"0x7f.0.0.1", QN_FAMILY_ANY},
    {"127.0.0.1 ", QN_FAMILY_ANY},
    {" ::1", QN_FAMILY_ANY},
    {"[::1]", QN_FAMILY_ANY},
    {"::1::", QN_FAMILY_ANY},
    {"fe80::1%", QN_FAMILY_ANY},
    {"fe80::1%no-such-if", QN_FAMILY_ANY},
    {"fe80::1%0", QN_FAMILY_ANY},
    {"fe80::1%4294967296", QN_FAMILY_ANY},
    {"fe80::1%99999999999999999999", QN_FAMILY_ANY},
    {"127.0.0.1%lo", QN_FAMILY_ANY},
    {"::ffff:1.2.3.4%lo", QN_FAMILY_ANY},
    {"::ffff:1.2.3.4%lo", QN_FAMILY_IPV4},
    {"::01.2.3.4", QN_FAMILY_ANY},
    {"%lo", QN_FAMILY_ANY},
    {"1:2:3:4:5:6:7:8:9", QN_FAMILY_ANY},
    {"11111111111111111111111111111111111111111111111111111111111111111111111", QN_FAMILY_ANY},
};

TEST(literals_are_parsed_and_printed)
{
  char text[QN_ADDR_TEXT];
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    qn_addr_t a;
    TEST_ROUND("%s", good[i].text);
    CHECK_INT(qn_addr_parse(&a, good[i].text, 80, good[i].family), 0);
    CHECK_INT(qn_addr_family(&a), good[i].becomes);
    CHECK_INT(qn_addr_port(&a), 80);
    CHECK_UINT(qn_addr_host(&a, text, sizeof text), strlen(good[i].host));
    CHECK_STR(text, good[i].host);
    CHECK_UINT(qn_addr_text(&a, text, sizeof text), strlen(good[i].whole));
    CHECK_STR(text, good[i].whole);
    qn_addr_set_port(&a, 65535);
    CHECK_INT(qn_addr_port(&a), 65535);
  }
}

TEST(what_is_no_literal_is_refused)
{
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    qn_addr_t a;
    TEST_ROUND("%s", bad[i].text);
    CHECK_INT(qn_addr_parse(&a, bad[i].text, 80, bad[i].family), QN_E_INVALID);
    CHECK_INT(a.size, 0);
  }
}

TEST(sizes_are_those_of_the_system)
{
  qn_addr_t a;
  qn_addr_parse(&a, "1.2.3.4", 5, QN_FAMILY_ANY);
  CHECK_UINT(a.size, sizeof(struct sockaddr_in));
  CHECK_INT(ntohs(a.u.in4.sin_port), 5);
  qn_addr_parse(&a, "fe80::2%lo", 5, QN_FAMILY_ANY);
  CHECK_UINT(a.size, sizeof(struct sockaddr_in6));
  CHECK_UINT(a.u.in6.sin6_scope_id, if_nametoindex("lo"));
}

TEST(short_buffers_cut_off)
{
  char text[6] = "xxxxx";
  qn_addr_t a;
  qn_addr_parse(&a, "127.0.0.1", 80, QN_FAMILY_ANY);
  CHECK_UINT(qn_addr_text(&a, text, sizeof text), 5);
  CHECK_STR(text, "127.0");
  CHECK_UINT(qn_addr_text(&a, text, 1), 0);
  CHECK_STR(text, "");
  CHECK_UINT(qn_addr_text(&a, NULL, 0), 0);
  qn_addr_parse(&a, "::1", 80, QN_FAMILY_ANY);
  CHECK_UINT(qn_addr_text(&a, text, 3), 2);
  CHECK_STR(text, "[:");
}

TEST(equality)
{
  static const struct {
    const char *a, *b;
    uint16_t port_a, port_b;
    bool equal;
  } rows[] = {
      {"1.2.3.4", "1.2.3.4", 1, 1, true},    {"1.2.3.4", "1.2.3.4", 1, 2, false},
      {"1.2.3.4", "1.2.3.5", 1, 1, false},   {"::1", "0:0::1", 1, 1, true},
      {"::1", "::1%lo", 1, 1, false},        {"::1%lo", "::1%lo", 1, 1, true},
      {"::1", "::2", 1, 1, false},           {"::", "0.0.0.0", 1, 1, false},
      {"::1.2.3.4", "1.2.3.4", 1, 1, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    qn_addr_t a, b;
    TEST_ROUND("%s %s", rows[i].a, rows[i].b);
    qn_addr_parse(&a, rows[i].a, rows[i].port_a, QN_FAMILY_ANY);
    qn_addr_parse(&b, rows[i].b, rows[i].port_b, QN_FAMILY_ANY);
    CHECK_INT(qn_addr_equal(&a, &b), rows[i].equal);
    CHECK_INT(qn_addr_equal(&b, &a), rows[i].equal);
  }
  qn_addr_t mapped, plain, none = {.size = 0};
  qn_addr_parse(&mapped, "::ffff:1.2.3.4", 7, QN_FAMILY_IPV6);
  qn_addr_parse(&plain, "1.2.3.4", 7, QN_FAMILY_ANY);
  CHECK(qn_addr_equal(&mapped, &plain));
  CHECK(!qn_addr_equal(&none, &plain));
  CHECK(qn_addr_equal(&none, &none));
  qn_addr_unmap(&mapped);
  CHECK_INT(qn_addr_family(&mapped), QN_FAMILY_IPV4);
  CHECK_INT(qn_addr_port(&mapped), 7);
}

TEST(any_addresses)
{
  qn_addr_t a;
  qn_addr_parse(&a, "*", 0, QN_FAMILY_IPV4);
  CHECK(qn_addr_is_any(&a));
  qn_addr_parse(&a, "*", 0, QN_FAMILY_IPV6);
  CHECK(qn_addr_is_any(&a));
  qn_addr_parse(&a, "::1", 0, QN_FAMILY_ANY);
  CHECK(!qn_addr_is_any(&a));
  qn_addr_unix(&a, "/x", 2);
  CHECK(!qn_addr_is_any(&a));
}

TEST(unix_names)
{
  static const struct {
    const char *name;
    size_t size;
    const char *shown;
    size_t shown_size;
  } rows[] = {
      {"/run/x.sock", 11, "/run/x.sock", 11}, {"relative", 8, "relative", 8},
      {"@abstract", 9, "@abstract", 9},       {"\0abstract", 9, "@abstract", 9},
      {"@a\0b\0", 5, "@a\0b\0", 5},           {"/with space", 11, "/with space", 11},
  };
  char text[QN_ADDR_TEXT];
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    qn_addr_t a, again;
    TEST_ROUND("%zu", i);
    CHECK_INT(qn_addr_unix(&a, rows[i].name, rows[i].size), 0);
    CHECK_INT(qn_addr_family(&a), QN_FAMILY_UNIX);
    CHECK_INT(qn_addr_port(&a), 0);
    size_t n = qn_addr_host(&a, text, sizeof text);
    CHECK_MEM(text, n, rows[i].shown, rows[i].shown_size);
    CHECK_INT(qn_addr_unix(&again, text, n), 0);
    CHECK(qn_addr_equal(&a, &again));
    n = qn_addr_text(&a, text, sizeof text);
    CHECK_MEM(text, n, rows[i].shown, rows[i].shown_size);
  }
}

TEST(unix_limits)
{
  char name[128], text[QN_ADDR_TEXT];
  qn_addr_t a, b;
  memset(name, 'x', sizeof name);
  CHECK_INT(qn_addr_unix(&a, name, 107), 0);
  CHECK_UINT(a.size, sizeof(struct sockaddr_un));
  CHECK_UINT(qn_addr_host(&a, text, sizeof text), 107);
  CHECK_INT(qn_addr_unix(&a, name, 108), QN_E_LIMIT);
  CHECK_INT(qn_addr_unix(&a, name, 128), QN_E_LIMIT);
  name[0] = '@';
  CHECK_INT(qn_addr_unix(&a, name, 108), 0);
  CHECK_UINT(qn_addr_host(&a, text, sizeof text), 108);
  CHECK_INT(qn_addr_unix(&a, name, 109), QN_E_LIMIT);
  CHECK_INT(qn_addr_unix(&a, "", 0), QN_E_INVALID);
  CHECK_INT(qn_addr_unix(&a, "@", 1), QN_E_INVALID);
  CHECK_INT(qn_addr_unix(&a, "/a\0b", 4), QN_E_INVALID);
  CHECK_INT(a.size, 0);
  qn_addr_unix(&a, "@ab", 3);
  qn_addr_unix(&b, "@a", 2);
  CHECK(!qn_addr_equal(&a, &b));
  qn_addr_unix(&b, "ab", 2);
  CHECK(!qn_addr_equal(&a, &b));
}

TEST(no_address)
{
  char text[QN_ADDR_TEXT] = "x";
  qn_addr_t a = {.size = 0};
  CHECK_INT(qn_addr_family(&a), QN_FAMILY_ANY);
  CHECK_INT(qn_addr_port(&a), 0);
  CHECK_UINT(qn_addr_host(&a, text, sizeof text), 0);
  CHECK_STR(text, "");
  CHECK_UINT(qn_addr_text(&a, text, sizeof text), 0);
  qn_addr_set_port(&a, 9);
  CHECK_INT(qn_addr_port(&a), 0);
  a.u.un.sun_family = AF_UNIX; /* what getsockname says of an unnamed Unix socket */
  a.size = offsetof(struct sockaddr_un, sun_path);
  CHECK_INT(qn_addr_family(&a), QN_FAMILY_UNIX);
  CHECK_UINT(qn_addr_text(&a, text, sizeof text), 0);
}

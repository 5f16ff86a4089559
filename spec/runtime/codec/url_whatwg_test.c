/* The basic URL parser of the URL Standard: each state by named cases, with and without a base.
 * covers: runtime/codec/url_whatwg_part.c, runtime/codec/url_whatwg_path.c
 */
#include "test.h"

#include "qn/url.h"

#include <errno.h>

static qn_url_t *parse(const char *text, size_t size, const char *base, qn_url_error_t *err)
{
  qn_url_t *b = NULL, *u = NULL;
  if (base != NULL) {
    REQUIRE_INT(qn_url_parse(base, strlen(base), QN_URL_WHATWG, NULL, &b, err), 0);
  }
  int rc = qn_url_parse(text, size, QN_URL_WHATWG, b, &u, err);
  CHECK_INT(rc, u != NULL ? 0 : QN_E_BAD_URL);
  qn_url_free(b);
  return u;
}

static void joins(const char *text, const char *base, const char *want)
{
  qn_url_error_t err;
  TEST_ROUND("%s", test_show(text, strlen(text)));
  qn_url_t *u = parse(text, strlen(text), base, &err);
  if (u == NULL) {
    CHECK_STR(err.text, want == NULL ? err.text : want);
    CHECK(err.at <= strlen(text));
  } else {
    CHECK_STR((const char *)qn_url_text(u).data, want);
  }
  qn_url_free(u);
}

static void is(const char *text, const char *want) { joins(text, NULL, want); }

/* Written as user|password|host|port|path|query|fragment; '-' is absent. */
static void has(const char *text, const char *want)
{
  static const qn_url_part_t order[] = {QN_URL_USER, QN_URL_PASSWORD, QN_URL_HOST,
                                        QN_URL_PATH, QN_URL_QUERY,    QN_URL_FRAGMENT};
  char out[512];
  size_t n = 0;
  qn_url_error_t err;
  TEST_ROUND("%s", text);
  qn_url_t *u = parse(text, strlen(text), NULL, &err);
  REQUIRE(u != NULL);
  for (int i = 0; i < 6; i++) {
    qn_slice_t s = qn_url_get(u, order[i]);
    n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", i > 0 ? "|" : "",
                          qn_url_has(u, order[i]) ? (int)s.size : 1,
                          qn_url_has(u, order[i]) ? (const char *)s.data : "-");
    if (order[i] == QN_URL_HOST) {
      n += (size_t)snprintf(out + n, sizeof out - n, "|%d", qn_url_port(u));
    }
  }
  CHECK_STR(out, want);
  qn_url_free(u);
}

TEST(components)
{
  has("https://user:pw@example.com:8080/p/q?x=y#f", "user|pw|example.com|8080|/p/q|x=y|f");
  has("https://example.com", "-|-|example.com|-1|/|-|-");
  has("https://example.com?#", "-|-|example.com|-1|/||");
  has("http://:pw@h", "|pw|h|-1|/|-|-");
  has("http://user:@h", "user|-|h|-1|/|-|-");
  has("http://@h", "-|-|h|-1|/|-|-");
  has("http://[::1]:81/", "-|-|::1|81|/|-|-");
  has("mailto:a@b?c", "-|-|-|-1|a@b|c|-");
  has("sc://h", "-|-|h|-1||-|-");
  has("file:///a", "-|-||-1|/a|-|-");
}

TEST(schemes)
{
  is("HTTP://h", "http://h/");
  is("a1+-.:x", "a1+-.:x");
  is("1a:x", "the URL is relative, and there is no base URL");
  is("", "the URL is relative, and there is no base URL");
  is(":x", "the URL is relative, and there is no base URL");
  is("a_b:x", "the URL is relative, and there is no base URL");
  is("sc:", "sc:");
}

TEST(what_surrounds_a_url_is_trimmed)
{
  is(" \x01\x1f http://h/ \t\n", "http://h/");
  is("ht\ntp:/\t/h\r/a\tb?c\nd#e\rf", "http://h/ab?cd#ef");
  is("http://h/\x7f", "http://h/%7F");
  is("  ", "the URL is relative, and there is no base URL");
}

TEST(slashes_of_special_schemes)
{
  is("http:h", "http://h/");
  is("http:/h", "http://h/");
  is("http:////h", "http://h/");
  is("http:\\\\h\\p", "http://h/p");
  is("http:/\\//h", "http://h/");
  is("sc:/h", "sc:/h");
  is("sc:h", "sc:h");
  is("sc:\\\\h", "sc:\\\\h");
  is("sc:////h", "sc:////h");
}

TEST(credentials)
{
  is("http://a@b@c@h", "http://a%40b%40c@h/");
  is("http://a:b:c@h", "http://a:b%3Ac@h/");
  is("http://a:b@c:d@h", "http://a:b%40c%3Ad@h/");
  is("http:// /;=[\\]^|@h", "the host has a character that is forbidden there");
  is("http://;=[]^|`{}\"<>'@h", "http://%3B%3D%5B%5D%5E%7C%60%7B%7D%22%3C%3E'@h/");
  is("http://u@", "the host is missing");
  is("http://u:p@/x", "the host is missing");
  is("sc://u@", "the host is missing");
  is("sc://u@/x", "the host is missing");
  is("http://a@b@", "the host is missing");
}

TEST(hosts_and_ports)
{
  is("http://", "the host is missing");
  is("http://?", "the host is missing");
  is("http://:80", "the host is missing");
  is("sc://:80", "the host is missing");
  is("sc://?q", "sc://?q");
  is("sc://#f", "sc://#f");
  is("sc://", "sc://");
  is("http://h:", "http://h/");
  is("http://h:80", "http://h/");
  is("https://h:443", "https://h/");
  is("ws://h:80", "ws://h/");
  is("wss://h:443", "wss://h/");
  is("ftp://h:21", "ftp://h/");
  is("http://h:443", "http://h:443/");
  is("sc://h:80", "sc://h:80");
  is("http://h:00081", "http://h:81/");
  is("http://h:0", "http://h:0/");
  is("http://h:65535", "http://h:65535/");
  is("http://h:65536", "the port is above 65535");
  is("http://h:99999999999999999999", "the port is above 65535");
  is("http://h:8x", "the port is not a number");
  is("http://h:-1", "the port is not a number");
  is("http://[::1", "the bracket of the IPv6 address is not closed");
  is("http://[::1]x", "the bracket of the IPv6 address is not closed");
  is("http://a[:1", "the host has a character that is forbidden there");
  is("http://%", "the host has a character that is forbidden there");
}

TEST(paths)
{
  is("http://h/a/./b/../c", "http://h/a/c");
  is("http://h/a/%2e/b/%2E%2e/c", "http://h/a/c");
  is("http://h/a/.%2e", "http://h/");
  is("http://h/a/b/..", "http://h/a/");
  is("http://h/a/.", "http://h/a/");
  is("http://h/../../a", "http://h/a");
  is("http://h/...", "http://h/...");
  is("http://h/.a/a./a.b", "http://h/.a/a./a.b");
  is("http://h/a//../b", "http://h/a/b");
  is("http://h/a\\b\\..\\c", "http://h/a/c");
  is("sc://h/a\\..\\c", "sc://h/a\\..\\c");
  is("http://h/ \"<>`{}^|", "http://h/%20%22%3C%3E%60%7B%7D%5E|");
  is("http://h/%zz%4%41%2f", "http://h/%zz%4%41%2f");
  is("http://h/\xc3\xa9", "http://h/%C3%A9");
  is("http://h/%2e%2e%2e", "http://h/%2e%2e%2e");
  is("sc://h/..", "sc://h/");
  is("sc://h/a/..?q", "sc://h/?q");
  is("sc:/..", "sc:/");
  is("sc:/a/..//b", "sc:/.//b");
  is("sc:/.//b", "sc:/.//b");
  is("sc:/.//b/../..", "sc:/");
}

TEST(opaque_paths)
{
  is("mailto:a b", "mailto:a b");
  is("sc:a  ?q", "sc:a %20?q");
  is("sc:a  #f", "sc:a %20#f");
  is("sc:a  ", "sc:a");
  is("sc:a \t?", "sc:a%20?");
  is("sc: ?", "sc:%20?");
  is("javascript:a\x01\"<>`\xc3\xa9", "javascript:a%01\"<>`%C3%A9");
  is("data:./..", "data:./..");
}

TEST(queries_and_fragments)
{
  is("http://h?a'b \"#<>", "http://h/?a%27b%20%22#%3C%3E");
  is("sc://h?a'b `", "sc://h?a'b%20`");
  is("http://h#a'b `\"<>{}|^#", "http://h/#a'b%20%60%22%3C%3E{}|^#");
  is("http://h/?a?b", "http://h/?a?b");
  is("http://h?\xc3\xa9#\xc3\xa9", "http://h/?%C3%A9#%C3%A9");
}

TEST(file_urls)
{
  is("file:", "file:///");
  is("file:a", "file:///a");
  is("file:/a", "file:///a");
  is("file://h/a", "file://h/a");
  is("file://LOCALHOST/a", "file:///a");
  is("file://loc%61lhost/", "file:///");
  is("file:\\\\h\\a", "file://h/a");
  is("file:////a", "file:////a");
  is("file:///C|/x", "file:///C:/x");
  is("file:c|", "file:///c:");
  is("file://c:/x", "file:///c:/x");
  is("file://c|", "file:///c:");
  is("file:///C:/..", "file:///C:/");
  is("file:///C:/../..", "file:///C:/");
  is("file:///C:x/..", "file:///");
  is("file:///a/C|/", "file:///a/C|/");
  is("file://h/C|/x", "file://h/C:/x");
  is("file://h:80/", "the host has a character that is forbidden there");
  is("file://u@h/", "the host has a character that is forbidden there");
  is("file:?q#f", "file:///?q#f");
}

TEST(relative_to_a_special_base)
{
  const char *base = "http://u:p@h:81/a/b/c?q#f";
  joins("", base, "http://u:p@h:81/a/b/c?q");
  joins("#g", base, "http://u:p@h:81/a/b/c?q#g");
  joins("?r", base, "http://u:p@h:81/a/b/c?r");
  joins("d", base, "http://u:p@h:81/a/b/d");
  joins("../d", base, "http://u:p@h:81/a/d");
  joins("../../../d", base, "http://u:p@h:81/d");
  joins("./", base, "http://u:p@h:81/a/b/");
  joins("/d", base, "http://u:p@h:81/d");
  joins("\\d", base, "http://u:p@h:81/d");
  joins("//i/d", base, "http://i/d");
  joins("\\/i", base, "http://i/");
  joins("///i", base, "http://i/");
  joins("http:d", base, "http://u:p@h:81/a/b/d");
  joins("http:/d", base, "http://u:p@h:81/d");
  joins("http://i", base, "http://i/");
  joins("https:d", base, "https://d/");
  joins("sc:d", base, "sc:d");
  joins("d:x", base, "d:x");
  joins("1:x", base, "http://u:p@h:81/a/b/1:x");
  joins("C|/x", base, "http://u:p@h:81/a/b/C|/x");
}

TEST(relative_to_other_bases)
{
  joins("x", "sc://h/a/b", "sc://h/a/x");
  joins("/x", "sc://h/a/b", "sc://h/x");
  joins("//i", "sc://h/a/b", "sc://i");
  joins("\\x", "sc://h/a/b", "sc://h/a/\\x");
  joins("x", "sc://h", "sc://h/x");
  joins("..", "sc://h", "sc://h/");
  joins("", "sc://h?q", "sc://h?q");
  joins("..//x", "sc:/a/b", "sc:/.//x");
  joins("#f", "mailto:a?q#g", "mailto:a?q#f");
  joins("x", "mailto:a", "the URL is relative, and the base URL has an opaque path");
  joins("", "mailto:a", "the URL is relative, and the base URL has an opaque path");
  joins("#x", "http://h/?", "http://h/?#x"); /* an empty query is one */
}

TEST(relative_to_a_file)
{
  const char *base = "file://h/C:/a/b?q#f";
  joins("x", base, "file://h/C:/a/x");
  joins("../../..", base, "file://h/C:/");
  joins("/x", base, "file://h/C:/x");
  joins("/D:/x", base, "file://h/D:/x");
  joins("D|/x", base, "file://h/D:/x");
  joins("D|x", base, "file://h/C:/a/D|x");
  joins("//i/x", base, "file://i/x");
  joins("///x", base, "file:///x");
  joins("?r", base, "file://h/C:/a/b?r");
  joins("#g", base, "file://h/C:/a/b?q#g");
  joins("", base, "file://h/C:/a/b?q");
  joins("file:x", base, "file://h/C:/a/x");
  joins("x", "file:///a:b", "file:///x"); /* no drive letter */
}

TEST(ill_formed_utf_8_becomes_a_replacement)
{
  is("http://h/\xff?\xe2\x98#\xc0\xaf", "http://h/%EF%BF%BD?%EF%BF%BD#%EF%BF%BD%EF%BF%BD");
  is("http://\xff/", "the host is not a valid international domain name");
  is("sc://\xff/", "sc://%EF%BF%BD/");
  qn_url_error_t err;
  qn_url_t *u = parse("http://h/\0x", 11, NULL, &err);
  REQUIRE(u != NULL);
  CHECK_STR((const char *)qn_url_text(u).data, "http://h/%00x");
  qn_url_free(u);
}

TEST(failures_say_where)
{
  qn_url_error_t err;
  CHECK_NULL(parse("  http://h:8x", 13, NULL, &err));
  CHECK_UINT(err.at, 12);
  CHECK_NULL(parse("ht\ttp://\xffu@h:\n8x", 16, NULL, &err));
  CHECK_UINT(err.at, 15);
  CHECK_NULL(parse("http://a b/", 11, NULL, &err));
  CHECK_UINT(err.at, 7);
}

TEST(a_base_of_another_mode_counts_as_its_text)
{
  qn_url_t *base = NULL, *u = NULL;
  qn_url_error_t err;
  REQUIRE_INT(qn_url_parse("HTTP://h:80/a/b", 15, QN_URL_STRICT, NULL, &base, &err), 0);
  CHECK_INT(qn_url_parse("c", 1, QN_URL_WHATWG, base, &u, &err), 0);
  CHECK_STR((const char *)qn_url_text(u).data, "http://h/a/c");
  qn_url_free(u);
  qn_url_free(base);
  REQUIRE_INT(qn_url_parse("a/b", 3, QN_URL_STRICT, NULL, &base, &err), 0);
  CHECK_INT(qn_url_parse("c", 1, QN_URL_WHATWG, base, &u, &err), QN_E_BAD_URL);
  CHECK_STR(err.text, "the base URL is no URL of the URL Standard");
  qn_url_free(base);
}

/* Bytes without their end, into the middle of others. */
static void put(char *to, const char *bytes, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    to[i] = bytes[i];
  }
}

TEST(long_urls_are_linear_and_bounded)
{
  size_t size = QN_URL_MAX - 16;
  char *text = malloc(size);
  qn_url_t *u = NULL;
  qn_url_error_t err;
  REQUIRE(text != NULL);
  memset(text, '/', size);
  put(text, "http://h/", 9);
  for (size_t i = 9; i + 5 < size; i += 5) {
    put(text + i, i < size / 2 ? "aaaa/" : "../a/", 5);
  }
  CHECK_INT(qn_url_parse(text, size, QN_URL_WHATWG, NULL, &u, &err), 0);
  qn_url_free(u);
  memset(text + 9, '"', size - 9); /* three times as long when encoded */
  CHECK_INT(qn_url_parse(text, size, QN_URL_WHATWG, NULL, &u, &err), QN_E_LIMIT);
  memset(text + 7, '@', size - 7);
  CHECK_INT(qn_url_parse(text, size, QN_URL_WHATWG, NULL, &u, &err), QN_E_BAD_URL);
  memset(text + 7, '\xff', size - 7);
  CHECK_INT(qn_url_parse(text, size, QN_URL_WHATWG, NULL, &u, &err), QN_E_BAD_URL);
  CHECK_INT(qn_url_parse(text, QN_URL_MAX + 1, QN_URL_WHATWG, NULL, &u, &err), QN_E_LIMIT);
  free(text);
}

TEST(memory_that_is_refused)
{
  char text[3000];
  qn_url_t *u = NULL;
  memset(text, 'a', sizeof text);
  put(text, "http://h/\xff", 10);
  int64_t before = qn_alloc_live();
  for (uint64_t nth = 1;; nth++) {
    qn_alloc_fail_at(nth);
    int rc = qn_url_parse(text, sizeof text, QN_URL_WHATWG, NULL, &u, NULL);
    if (!qn_alloc_failed()) {
      CHECK_INT(rc, 0);
      CHECK_UINT(nth, 3); /* scratch and the URL */
      break;
    }
    CHECK_INT(rc, -ENOMEM);
  }
  qn_url_free(u);
  CHECK_INT(qn_alloc_live(), before);
}

/* The setters of the URL class: what each changes, what it ignores, and what stays. */
#include "test.h"

#include "qn/url.h"

#include <errno.h>

static void set(const char *url, qn_url_setter_t setter, const char *value, const char *want)
{
  qn_url_t *u = NULL;
  qn_url_place_t place = {NULL, 0, NULL};
  qn_url_error_t err;
  TEST_ROUND("%s, %d: %s", url, (int)setter, test_show(value, strlen(value)));
  REQUIRE_INT(qn_url_parse(url, strlen(url), QN_URL_WHATWG, NULL, &u, &err), 0);
  int rc = qn_url_set(u, setter, value, strlen(value), &place, &err);
  if (rc == 0) {
    CHECK_STR((const char *)qn_url_text(place.url).data, want);
  } else {
    CHECK_INT(rc, QN_E_BAD_URL);
    CHECK_STR(err.text, want);
  }
  qn_url_free(place.url);
  qn_url_free(u);
}

TEST(protocol)
{
  set("a://h", QN_URL_SET_PROTOCOL, "B", "b://h");
  set("a://h", QN_URL_SET_PROTOCOL, "bC0+-.", "bc0+-.://h");
  set("http://h", QN_URL_SET_PROTOCOL, "https:foo : bar", "https://h/");
  set("http://h:443", QN_URL_SET_PROTOCOL, "https", "https://h/");
  set("http://h:81", QN_URL_SET_PROTOCOL, "ws\t", "ws://h:81/");
  set("http://h", QN_URL_SET_PROTOCOL, "file", "file://h/");
  set("http://u@h", QN_URL_SET_PROTOCOL, "file", "http://u@h/");
  set("http://h:81", QN_URL_SET_PROTOCOL, "file", "http://h:81/");
  set("file:///x", QN_URL_SET_PROTOCOL, "http", "file:///x");
  set("file://h/x", QN_URL_SET_PROTOCOL, "http", "http://h/x");
  set("http://h", QN_URL_SET_PROTOCOL, "sc", "http://h/");
  set("sc://h", QN_URL_SET_PROTOCOL, "http", "sc://h");
  set("mailto:x", QN_URL_SET_PROTOCOL, "data", "data:x");
  set("a://h", QN_URL_SET_PROTOCOL, "", "the scheme is empty");
  set("a://h", QN_URL_SET_PROTOCOL, ":x", "the scheme is empty");
  set("a://h", QN_URL_SET_PROTOCOL, "0b", "a scheme cannot have this character");
  set("a://h", QN_URL_SET_PROTOCOL, "b,c", "a scheme cannot have this character");
  set("a://h", QN_URL_SET_PROTOCOL, "b\xc3\xa9", "a scheme cannot have this character");
}

TEST(credentials)
{
  set("http://h", QN_URL_SET_USERNAME, "me", "http://me@h/");
  set("http://:pw@h", QN_URL_SET_USERNAME, "me", "http://me:pw@h/");
  set("http://me:pw@h", QN_URL_SET_USERNAME, "", "http://:pw@h/");
  set("http://me@h", QN_URL_SET_USERNAME, "", "http://h/");
  set("http://h", QN_URL_SET_PASSWORD, "pw", "http://:pw@h/");
  set("http://me:pw@h", QN_URL_SET_PASSWORD, "", "http://me@h/");
  set("http://:pw@h", QN_URL_SET_PASSWORD, "", "http://h/");
  set("http://h", QN_URL_SET_USERNAME, "\t a:b@/?#%41\xc3\xa9'",
      "http://%09%20a%3Ab%40%2F%3F%23%41%C3%A9'@h/");
  set("http://h", QN_URL_SET_PASSWORD, "\xff", "http://:%EF%BF%BD@h/");
  set("file://h/", QN_URL_SET_USERNAME, "me", "file://h/");
  set("sc:///", QN_URL_SET_PASSWORD, "pw", "sc:///");
  set("mailto:x", QN_URL_SET_USERNAME, "me", "mailto:x");
}

TEST(host)
{
  set("http://h", QN_URL_SET_HOST, "i:81", "http://i:81/");
  set("http://h:81", QN_URL_SET_HOST, "i", "http://i:81/");
  set("http://h:81", QN_URL_SET_HOST, "i:", "http://i:81/");
  set("http://h:81", QN_URL_SET_HOST, "i:80", "http://i/");
  set("http://h/p", QN_URL_SET_HOST, "i:82/x?y#z", "http://i:82/p");
  set("http://h/p", QN_URL_SET_HOST, "i\\x", "http://i/p");
  set("http://h", QN_URL_SET_HOST, "i:82x", "http://i:82/");
  set("http://h", QN_URL_SET_HOST, "i:65536", "http://i/");
  set("http://h", QN_URL_SET_HOST, "[::0:01]:2", "http://[::1]:2/");
  set("http://[::1]", QN_URL_SET_HOST, "0x7f.1", "http://127.0.0.1/");
  set("https://h", QN_URL_SET_HOST, "\xc3\x9f", "https://xn--zca/");
  set("sc://h", QN_URL_SET_HOST, "\xc3\x9f", "sc://%C3%9F");
  set("sc://h/", QN_URL_SET_HOST, "", "sc:///");
  set("sc://h/", QN_URL_SET_HOST, "\t", "sc:///");
  set("a:/p", QN_URL_SET_HOST, "h", "a://h/p");
  set("sc:/.//p", QN_URL_SET_HOST, "h", "sc://h//p");
  set("sc:/.//p", QN_URL_SET_HOST, "", "sc:////p");
  set("file:///x", QN_URL_SET_HOST, "h", "file://h/x");
  set("file://h/x", QN_URL_SET_HOST, "localhost", "file:///x");
  set("file://h/x", QN_URL_SET_HOST, "", "file:///x");
  set("file://[::1]/x", QN_URL_SET_HOST, "/", "file:///x");
  set("mailto:x", QN_URL_SET_HOST, "h", "mailto:x");
  set("http://h", QN_URL_SET_HOST, "", "the host is missing");
  set("http://h", QN_URL_SET_HOST, "///i", "the host is missing");
  set("http://h", QN_URL_SET_HOST, ":81", "the host is missing");
  set("sc://u@h", QN_URL_SET_HOST, "", "the host is missing");
  set("sc://h:1", QN_URL_SET_HOST, "", "the host is missing");
  set("http://h", QN_URL_SET_HOST, "a b", "the host has a character that is forbidden there");
  set("file://h/", QN_URL_SET_HOST, "i:80", "the host has a character that is forbidden there");
  set("sc://h", QN_URL_SET_HOST, "a\\b", "the host has a character that is forbidden there");
}

TEST(hostname)
{
  set("http://h:81/p", QN_URL_SET_HOSTNAME, "i", "http://i:81/p");
  set("http://h:81/p", QN_URL_SET_HOSTNAME, "i/x", "http://i:81/p");
  set("http://h", QN_URL_SET_HOSTNAME, "[::1]", "http://[::1]/");
  set("http://h", QN_URL_SET_HOSTNAME, "i:81", "the host has a port");
  set("http://h", QN_URL_SET_HOSTNAME, "i:", "the host has a port");
  set("sc:/.//p", QN_URL_SET_HOSTNAME, "h", "sc://h//p");
  set("mailto:x", QN_URL_SET_HOSTNAME, "h", "mailto:x");
}

TEST(port)
{
  set("http://h", QN_URL_SET_PORT, "81", "http://h:81/");
  set("http://h:81", QN_URL_SET_PORT, "", "http://h/");
  set("http://h:81", QN_URL_SET_PORT, "80", "http://h/");
  set("https://h", QN_URL_SET_PORT, "80", "https://h:80/");
  set("http://h", QN_URL_SET_PORT, "8\t1", "http://h:81/");
  set("http://h", QN_URL_SET_PORT, "81x", "http://h:81/");
  set("http://h", QN_URL_SET_PORT, "81/x", "http://h:81/");
  set("http://h", QN_URL_SET_PORT, "00081", "http://h:81/");
  set("http://h", QN_URL_SET_PORT, "65535", "http://h:65535/");
  set("sc://h", QN_URL_SET_PORT, "81", "sc://h:81");
  set("http://h:81", QN_URL_SET_PORT, "65536", "the port is above 65535");
  set("http://h:81", QN_URL_SET_PORT, "x", "the port is not a number");
  set("http://h:81", QN_URL_SET_PORT, "\t", "the port is not a number");
  set("http://h:81", QN_URL_SET_PORT, "-1", "the port is not a number");
  set("file://h/", QN_URL_SET_PORT, "81", "file://h/");
  set("sc:///", QN_URL_SET_PORT, "81", "sc:///");
  set("mailto:x", QN_URL_SET_PORT, "81", "mailto:x");
}

TEST(pathname)
{
  set("http://h/a?q#f", QN_URL_SET_PATHNAME, "b", "http://h/b?q#f");
  set("http://h/a", QN_URL_SET_PATHNAME, "", "http://h/");
  set("http://h/a", QN_URL_SET_PATHNAME, "../b", "http://h/b");
  set("http://h/a", QN_URL_SET_PATHNAME, "\\a\\%2E\\b\\%2e.\\c", "http://h/a/c");
  set("http://h/a", QN_URL_SET_PATHNAME, "?#", "http://h/%3F%23");
  set("http://h/a", QN_URL_SET_PATHNAME, "\xc3\xa9\t ", "http://h/%C3%A9%20");
  set("sc://h/a", QN_URL_SET_PATHNAME, "", "sc://h");
  set("sc:///a", QN_URL_SET_PATHNAME, "", "sc://");
  set("sc:/a", QN_URL_SET_PATHNAME, "", "sc:/");
  set("sc:/a", QN_URL_SET_PATHNAME, "b", "sc:/b");
  set("sc:/a?q#f", QN_URL_SET_PATHNAME, "//p", "sc:/.//p?q#f");
  set("sc:/a", QN_URL_SET_PATHNAME, "/..//p", "sc:/.//p");
  set("sc:/.//a", QN_URL_SET_PATHNAME, "p", "sc:/p");
  set("sc://h", QN_URL_SET_PATHNAME, "\\a", "sc://h/\\a");
  set("file:///x", QN_URL_SET_PATHNAME, "C|/y", "file:///C:/y");
  set("mailto:x", QN_URL_SET_PATHNAME, "y", "mailto:x");
}

TEST(search_and_hash)
{
  set("http://h/?a#f", QN_URL_SET_SEARCH, "b", "http://h/?b#f");
  set("http://h/?a#f", QN_URL_SET_SEARCH, "?b", "http://h/?b#f");
  set("http://h/", QN_URL_SET_SEARCH, "??b", "http://h/??b");
  set("http://h/?a#f", QN_URL_SET_SEARCH, "?", "http://h/?#f");
  set("http://h/?a#f", QN_URL_SET_SEARCH, "", "http://h/#f");
  set("http://h/", QN_URL_SET_SEARCH, "a#'\t ", "http://h/?a%23%27%20");
  set("sc://h", QN_URL_SET_SEARCH, "'`", "sc://h?'`");
  set("mailto:x%20?a#f", QN_URL_SET_SEARCH, "", "mailto:x%20#f");
  set("http://h/?a#f", QN_URL_SET_HASH, "g", "http://h/?a#g");
  set("http://h/#f", QN_URL_SET_HASH, "##g", "http://h/##g");
  set("http://h/#f", QN_URL_SET_HASH, "#", "http://h/#");
  set("http://h/#f", QN_URL_SET_HASH, "", "http://h/");
  set("http://h/", QN_URL_SET_HASH, " `\"<>\n{", "http://h/#%20%60%22%3C%3E{");
}

TEST(only_urls_of_this_mode)
{
  qn_url_t *u = NULL;
  qn_url_place_t place = {NULL, 0, NULL};
  qn_url_error_t err;
  REQUIRE_INT(qn_url_parse("http://h", 8, QN_URL_STRICT, NULL, &u, &err), 0);
  CHECK_INT(qn_url_set(u, QN_URL_SET_PORT, "81", 2, &place, &err), QN_E_INVALID);
  CHECK_NULL(place.url);
  qn_url_free(u);
}

TEST(memory_that_is_refused)
{
  qn_url_t *u = NULL;
  qn_url_place_t place = {NULL, 0, NULL};
  REQUIRE_INT(qn_url_parse("http://h", 8, QN_URL_WHATWG, NULL, &u, NULL), 0);
  int64_t before = qn_alloc_live();
  for (uint64_t nth = 1; nth <= 2; nth++) {
    qn_alloc_fail_at(nth);
    CHECK_INT(qn_url_set(u, QN_URL_SET_HASH, "x", 1, &place, NULL), -ENOMEM);
    CHECK(qn_alloc_failed());
    CHECK_NULL(place.url);
  }
  CHECK_INT(qn_alloc_live(), before);
  qn_url_free(u);
}

/* covers: runtime/codec/url.c runtime/codec/url_rfc.c runtime/codec/url_name.c
 *   runtime/codec/url_resolve.c runtime/codec/url_build.c runtime/codec/url_input.c
 */
#include "test.h"

#include "codec/url_i.h"
#include "qn/url.h"

static char shown[4096];

/* The text of a URL, or "!offset reason". */
static const char *parse(const char *text, qn_url_mode_t mode)
{
  qn_url_t *u = NULL;
  qn_url_error_t err = {0, NULL};
  int rc = qn_url_parse(text, strlen(text), mode, NULL, &u, &err);
  if (rc == 0) {
    snprintf(shown, sizeof shown, "%s", (const char *)qn_url_text(u).data);
  } else {
    snprintf(shown, sizeof shown, "!%zu %s", err.at, err.text);
  }
  qn_url_free(u);
  return shown;
}

static qn_url_t *made(const char *text, qn_url_mode_t mode)
{
  qn_url_t *u = NULL;
  qn_url_error_t err;
  if (qn_url_parse(text, strlen(text), mode, NULL, &u, &err) != 0) {
    printf("# %s: %s\n", text, err.text);
    abort();
  }
  return u;
}

static const char *part(const qn_url_t *u, qn_url_part_t which)
{
  qn_slice_t s = qn_url_get(u, which);
  snprintf(shown, sizeof shown, "%.*s", (int)s.size, (const char *)s.data);
  return qn_url_has(u, which) ? shown : "(none)";
}

TEST(components)
{
  qn_url_t *u = made("HTTP://us%65r:p%3Aw@Host.Example:0080/a/b;c?q=1?2#f/?", QN_URL_STRICT);
  CHECK_STR(part(u, QN_URL_SCHEME), "http");
  CHECK_STR(part(u, QN_URL_USER), "us%65r");
  CHECK_STR(part(u, QN_URL_PASSWORD), "p%3Aw");
  CHECK_STR(part(u, QN_URL_HOST), "host.example");
  CHECK_INT(qn_url_port(u), 80);
  CHECK_INT(qn_url_effective_port(u), 80);
  CHECK_STR(part(u, QN_URL_PATH), "/a/b;c");
  CHECK_STR(part(u, QN_URL_QUERY), "q=1?2");
  CHECK_STR(part(u, QN_URL_FRAGMENT), "f/?");
  CHECK_STR((const char *)qn_url_text(u).data,
            "http://us%65r:p%3Aw@host.example:80/a/b;c?q=1?2#f/?");
  CHECK(qn_url_bytes(u) == sizeof(qn_url_t) + qn_url_text(u).size + 1);
  CHECK_INT(qn_url_mode(u), QN_URL_STRICT);
  qn_url_free(u);

  u = made("x:?#", QN_URL_STRICT);
  CHECK(qn_url_has(u, QN_URL_QUERY) && qn_url_has(u, QN_URL_FRAGMENT));
  CHECK(!qn_url_has(u, QN_URL_HOST) && qn_url_has(u, QN_URL_PATH));
  CHECK_INT(qn_url_port(u), -1);
  CHECK_INT(qn_url_effective_port(u), -1);
  qn_url_free(u);
}

/* RFC 3986 section 1.1.2, and one of each production. */
TEST(strict_takes)
{
  static const char *const same[] = {"ftp://ftp.is.co.za/rfc/rfc1808.txt",
                                     "http://www.ietf.org/rfc/rfc2396.txt",
                                     "ldap://[2001:db8::7]/c=GB?objectClass?one",
                                     "mailto:John.Doe@example.com",
                                     "news:comp.infosystems.www.servers.unix",
                                     "tel:+1-816-555-1212",
                                     "telnet://192.0.2.16:80/",
                                     "urn:oasis:names:specification:docbook:dtd:xml:4.1.2",
                                     "",
                                     "?",
                                     "#",
                                     "a",
                                     "./a:b",
                                     "a/b:c",
                                     "//h",
                                     "/",
                                     "x:",
                                     "x:/",
                                     "x:///",
                                     "x:/a//b",
                                     "a+b-c.9:z",
                                     "x://u@h",
                                     "x://@h",
                                     "x://:@h",
                                     "x://u:@h",
                                     "x://u:a:b@h",
                                     "x://!$&'()*+,;=-._~%41/",
                                     "x:%00%ff",
                                     "x:?a?/:@",
                                     "x:#a?/:@",
                                     "x://[v1.a:b]",
                                     "x://[vAF.~]" /* lower-cased below */,
                                     "x://[::]",
                                     "x://[1:2:3:4:5:6:7:8]:1",
                                     "x://[::ffff:1.2.3.4]",
                                     "x://[1::8]",
                                     "x://1.2.3",
                                     "x://256.1.1.1",
                                     "x://a..b",
                                     "x://h:65535"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    TEST_ROUND("%s", same[i]);
    CHECK_STR(parse(same[i], QN_URL_STRICT), i == 31 ? "x://[vaf.~]" : same[i]);
  }
  TEST_ROUND("%s", "");
  CHECK_STR(parse("X://h:/", QN_URL_STRICT), "x://h/");
  CHECK_STR(parse("X://H%c3A:00080", QN_URL_STRICT), "x://h%C3a:80");
  CHECK_STR(parse("X://[ABCD::EF]", QN_URL_STRICT), "x://[abcd::ef]");
}

TEST(strict_refuses)
{
  static const struct {
    const char *text;
    size_t at;
  } wrong[] = {{"1a:b", 0},
               {":a", 0},
               {"a_b:c", 1},
               {"+a:b", 0},
               {"x:a b", 3},
               {"x:%", 2},
               {"x:%4", 2},
               {"x:%4g", 2},
               {"x:%g4", 2},
               {"x:a\"", 3},
               {"x:<", 2},
               {"x:>", 2},
               {"x:\\", 2},
               {"x:^", 2},
               {"x:`", 2},
               {"x:{", 2},
               {"x:|", 2},
               {"x:}", 2},
               {"x:[", 2},
               {"x:]", 2},
               {"x:\x7f", 2},
               {"x:\t", 2},
               {"x:\xc3\xbc", 2},
               {"x:?[", 3},
               {"x:?a^", 4},
               {"x:#a#", 4},
               {"x://h:a", 6},
               {"x://h:80a", 8},
               {"x://h:65536", 10},
               {"x://h:-1", 6},
               {"x://h:99999999999999999999", 10},
               {"x://a b", 5},
               {"x://a%4/", 5},
               {"x://u[@h", 5},
               {"x://u@v@h", 5},
               {"x://[::1", 4},
               {"x://[::1]a", 9},
               {"x://[::g]", 4},
               {"x://[1:2:3:4:5:6:7]", 4},
               {"x://[1:2:3:4:5:6:7:8:9]", 4},
               {"x://[1::2::3]", 4},
               {"x://[::1.2.3.256]", 4},
               {"x://[::01.2.3.4]", 4},
               {"x://[12345::]", 4},
               {"x://[]", 4},
               {"x://[v.a]", 4},
               {"x://[v1.]", 4},
               {"x://[v1a]", 4},
               {"x://[vg.a]", 4},
               {"x://[fe80::1%25eth0]", 4},
               {"x://[fe80::1%eth0]", 4},
               {"x://::1", 5},
               {"x://a]", 5}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    TEST_ROUND("%s", wrong[i].text);
    const char *got = parse(wrong[i].text, QN_URL_STRICT);
    CHECK(got[0] == '!');
    CHECK_INT(got[0] == '!' ? atoi(got + 1) : -1, (int)wrong[i].at);
  }
}

typedef struct pair {
  const char *from, *to;
} pair_t;

static void check_pairs(const pair_t *pairs, size_t n, qn_url_mode_t mode)
{
  for (size_t i = 0; i < n; i++) {
    TEST_ROUND("%s", pairs[i].from);
    const char *got = parse(pairs[i].from, mode);
    CHECK_STR(got[0] == '!' ? "!" : got, pairs[i].to);
  }
  TEST_ROUND("%s", "");
}

TEST(tolerant)
{
  static const pair_t pairs[] = {
      {"http://h/a b", "http://h/a%20b"},
      {"http://h/%zz%4", "http://h/%25zz%254"},
      {"http://h/%41%e4", "http://h/%41%e4"},
      {"http://h/\"<>\\^`{|}[]", "http://h/%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D"},
      {"http://h/\x01\x7f\xc3\xbc\xff", "http://h/%01%7F%C3%BC%FF"},
      {"http://h/?a b[]#c d#e", "http://h/?a%20b%5B%5D#c%20d%23e"},
      {"http://u v:p w@x@h/", "http://u%20v:p%20w%40x@h/"},
      {"http://H\xc3\x84.de/", "http://xn--h-0fa.de/"},
      {"http://%4D%C3%BCnchen.de/", "http://xn--mnchen-3ya.de/"},
      {"http://a_b.c/", "http://a_b.c/"},
      {"http://a.b./", "http://a.b./"},
      {"http://0x7f.1/", "http://127.0.0.1/"},
      {"http://017700000001", "http://127.0.0.1"},
      {"http://1.2.3", "http://1.2.0.3"},
      {"http://2130706433/", "http://127.0.0.1/"},
      {"http://1.2.3.4./", "http://1.2.3.4/"},
      {"http://%31.2.3.4", "http://1.2.3.4"},
      {"http://1.2.3.256/", "!"},
      {"http://1.2.3.4.5/", "!"},
      {"http://a.1.b/", "http://a.1.b/"},
      {"http://[2001:DB8:0:0::1]/", "http://[2001:db8::1]/"},
      {"http://[::FFFF:1.2.3.4]/", "http://[::ffff:1.2.3.4]/"},
      {"http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]/"},
      {"http://[fe80::1%eth0]/", "http://[fe80::1%25eth0]/"},
      {"http://[fe80::1%25]/", "http://[fe80::1%2525]/"},
      {"http://[fe80::1%]/", "!"},
      {"http://[fe80::1%25a b]/", "!"},
      {"http://[V1.X]/", "http://[v1.x]/"},
      {"http://a..b/", "!"},
      {"http://.a/", "!"},
      {"http://./", "!"},
      {"http://a b/", "!"},
      {"http://a%00b/", "!"},
      {"http://a%2Fb/", "!"},
      {"http://a<b/", "!"},
      {"http://xn--a/", "!"},
      {"http://h:/", "http://h/"},
      {"http://h:65536/", "!"},
      {"http://h:8 0/", "!"},
      {"mailto:a b@c", "mailto:a%20b@c"},
      {"file:///C:\\x", "file:///C:%5Cx"},
      {"1:2", "!"},
      {" http://h", "!"}};
  check_pairs(pairs, sizeof pairs / sizeof *pairs, QN_URL_TOLERANT);
}

TEST(user_input)
{
  static const pair_t pairs[] = {{"  http://h/a b\n", "http://h/a%20b"},
                                 {"example.com", "http://example.com"},
                                 {"example.com:80/x", "http://example.com:80/x"},
                                 {"localhost:8080", "http://localhost:8080"},
                                 {"FTP.example.com/x", "ftp://ftp.example.com/x"},
                                 {"ftpx.example.com", "http://ftpx.example.com"},
                                 {"/etc/pass wd", "file:///etc/pass%20wd"},
                                 {"//host/share", "file://host/share"},
                                 {"C:\\a b\\c", "file:///C:/a%20b/c"},
                                 {"c:/x", "file:///c:/x"},
                                 {"::1", "http://[::1]"},
                                 {"[::1]:80/x", "http://[::1]:80/x"},
                                 {"127.0.0.1", "http://127.0.0.1"},
                                 {"mailto:a@b.c", "mailto:a@b.c"},
                                 {"user@host", "http://user@host"},
                                 {"user:pw@host", "user:pw@host"},
                                 {"http:x", "http:x"},
                                 {"h:80:90", "h:80:90"},
                                 {"hello world", "!"},
                                 {"?x", "!"},
                                 {"", "!"},
                                 {" \t\n", "!"}};
  check_pairs(pairs, sizeof pairs / sizeof *pairs, QN_URL_USER_INPUT);
}

static const char *resolve(const char *base, const char *ref, bool strict)
{
  qn_url_t *b = made(base, QN_URL_STRICT), *r = made(ref, QN_URL_STRICT);
  qn_url_place_t place = {NULL, 0, NULL};
  CHECK_INT(qn_url_resolve(b, r, strict, &place), 0);
  snprintf(shown, sizeof shown, "%s", (const char *)qn_url_text(place.url).data);
  qn_url_free(place.url);
  qn_url_free(b);
  qn_url_free(r);
  return shown;
}

/* RFC 3986 section 5.4 */
TEST(resolve_rfc)
{
  static const pair_t pairs[] = {{"g:h", "g:h"},
                                 {"g", "http://a/b/c/g"},
                                 {"./g", "http://a/b/c/g"},
                                 {"g/", "http://a/b/c/g/"},
                                 {"/g", "http://a/g"},
                                 {"//g", "http://g"},
                                 {"?y", "http://a/b/c/d;p?y"},
                                 {"g?y", "http://a/b/c/g?y"},
                                 {"#s", "http://a/b/c/d;p?q#s"},
                                 {"g#s", "http://a/b/c/g#s"},
                                 {"g?y#s", "http://a/b/c/g?y#s"},
                                 {";x", "http://a/b/c/;x"},
                                 {"g;x", "http://a/b/c/g;x"},
                                 {"g;x?y#s", "http://a/b/c/g;x?y#s"},
                                 {"", "http://a/b/c/d;p?q"},
                                 {".", "http://a/b/c/"},
                                 {"./", "http://a/b/c/"},
                                 {"..", "http://a/b/"},
                                 {"../", "http://a/b/"},
                                 {"../g", "http://a/b/g"},
                                 {"../..", "http://a/"},
                                 {"../../", "http://a/"},
                                 {"../../g", "http://a/g"},
                                 {"../../../g", "http://a/g"},
                                 {"../../../../g", "http://a/g"},
                                 {"/./g", "http://a/g"},
                                 {"/../g", "http://a/g"},
                                 {"g.", "http://a/b/c/g."},
                                 {".g", "http://a/b/c/.g"},
                                 {"g..", "http://a/b/c/g.."},
                                 {"..g", "http://a/b/c/..g"},
                                 {"./../g", "http://a/b/g"},
                                 {"./g/.", "http://a/b/c/g/"},
                                 {"g/./h", "http://a/b/c/g/h"},
                                 {"g/../h", "http://a/b/c/h"},
                                 {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
                                 {"g;x=1/../y", "http://a/b/c/y"},
                                 {"g?y/./x", "http://a/b/c/g?y/./x"},
                                 {"g?y/../x", "http://a/b/c/g?y/../x"},
                                 {"g#s/./x", "http://a/b/c/g#s/./x"},
                                 {"g#s/../x", "http://a/b/c/g#s/../x"},
                                 {"http:g", "http:g"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    TEST_ROUND("%s", pairs[i].from);
    CHECK_STR(resolve("http://a/b/c/d;p?q", pairs[i].from, true), pairs[i].to);
  }
  TEST_ROUND("%s", "");
  CHECK_STR(resolve("http://a/b/c/d;p?q", "http:g", false), "http://a/b/c/g");
  CHECK_STR(resolve("http://a/b/c/d;p?q", "ftp:g", false), "ftp:g");
}

TEST(resolve_elsewhere)
{
  CHECK_STR(resolve("http://a", "g", true), "http://a/g");
  CHECK_STR(resolve("http://a?q", "g", true), "http://a/g");
  CHECK_STR(resolve("http://u:p@a:1/x", "/y?z", true), "http://u:p@a:1/y?z");
  CHECK_STR(resolve("mailto:x@y", "z", true), "mailto:z");
  CHECK_STR(resolve("a:b/c", "../d", true), "a:/d");
  CHECK_STR(resolve("a:/b", "/.//c", true), "a:/.//c"); /* no authority comes of it */
  CHECK_STR(resolve("a:/b", "..//c", true), "a:/.//c");
  CHECK_STR(resolve("file:///a/b", "../../../c", true), "file:///c");
  CHECK_STR(resolve("http://a/b", "//c/../d", true), "http://c/d");
  /* a relative base: the result stays one */
  CHECK_STR(resolve("a/b", "c", true), "a/c");
  CHECK_STR(resolve("a/b", "../c", true), "c");
  CHECK_STR(resolve("a/b", "../../c", true), "../c");
  CHECK_STR(resolve("a/b", "../../../c/..", true), "../../");
  CHECK_STR(resolve("a/b", "..", true), "./");
  CHECK_STR(resolve("a/b", "..//c", true), ".//c");
  CHECK_STR(resolve("a/b", "../c:d", true), "./c:d");
  CHECK_STR(resolve("/a/b", "../../c", true), "/c");
}

static const char *normal(const char *text)
{
  qn_url_t *u = made(text, QN_URL_TOLERANT);
  qn_url_place_t place = {NULL, 0, NULL};
  CHECK_INT(qn_url_normalize(u, &place), 0);
  snprintf(shown, sizeof shown, "%s", (const char *)qn_url_text(place.url).data);
  qn_url_free(place.url);
  qn_url_free(u);
  return shown;
}

TEST(normal_forms)
{
  static const pair_t pairs[] = {
      {"HTTP://User@Example.COM/%7Efoo", "http://User@example.com/~foo"},
      {"eXAMPLE://a/./b/../b/%63/%7bfoo%7d", "example://a/b/c/%7Bfoo%7D"},
      {"http://h", "http://h/"},
      {"http://h:80/", "http://h/"},
      {"https://h:443", "https://h/"},
      {"https://h:80", "https://h:80/"},
      {"foo://h:80", "foo://h:80/"},
      {"http://h/?%41%2f#%42%3a", "http://h/?A%2F#B%3A"},
      {"http://h/a/%2e%2E/b", "http://h/b"},
      {"http://h/..//a", "http://h//a"},
      {"http://h?", "http://h/?"},
      {"http://h/#", "http://h/#"},
      {"file://localhost/x", "file:///x"},
      {"a/../b", "a/../b"},
      {"../a", "../a"},
      {"urn:a/../B", "urn:a/../B"},
      {"a:/.//b", "a:/.//b"},
      {"a:/b/..//c", "a:/.//c"},
      {"%61%3Ab", "a%3Ab"},
      {"http://%75:%70@h/", "http://u:p@h/"},
      {"", ""}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    TEST_ROUND("%s", pairs[i].from);
    CHECK_STR(normal(pairs[i].from), pairs[i].to);
  }
}

TEST(equality)
{
  qn_url_t *a = made("http://H:80/a/../%62", QN_URL_STRICT),
           *b = made("HTTP://h/b", QN_URL_TOLERANT);
  qn_url_t *c = made("http://h/B", QN_URL_STRICT);
  CHECK_INT(qn_url_equal(a, b), 1);
  CHECK_INT(qn_url_equal(a, a), 1);
  CHECK_INT(qn_url_equal(a, c), 0);
  qn_url_free(a);
  qn_url_free(b);
  qn_url_free(c);
}

static qn_slice_t slice(const char *text)
{
  return (qn_slice_t){(const uint8_t *)text, strlen(text)};
}

static const char *build(qn_url_parts_t *p)
{
  qn_url_place_t place = {NULL, 0, NULL};
  qn_url_error_t err;
  int rc = qn_url_build(p, &place, &err);
  snprintf(shown, sizeof shown, "%s", rc == 0 ? (const char *)qn_url_text(place.url).data : "!");
  qn_url_free(place.url);
  return shown;
}

TEST(building)
{
  qn_url_parts_t p = {.port = 8080, .mode = QN_URL_STRICT};
  for (int i = 0; i < QN_URL_PARTS; i++) {
    p.has[i] = p.decoded[i] = true;
  }
  p.part[QN_URL_SCHEME] = slice("Http");
  p.part[QN_URL_USER] = slice("a:b@c%41");
  p.part[QN_URL_PASSWORD] = slice("d:e/\xc3\xbc");
  p.part[QN_URL_HOST] = slice("M\xc3\xbcnchen.de");
  p.part[QN_URL_PATH] = slice("x y/%?#;");
  p.part[QN_URL_QUERY] = slice("a=%26 b&c=%zz#");
  p.part[QN_URL_FRAGMENT] = slice("100% #");
  CHECK_STR(build(&p), "http://a%3Ab%40c%2541:d:e%2F%C3%BC@xn--mnchen-3ya.de:8080"
                       "/x%20y/%25%3F%23;?a=%26%20b&c=%25zz%23#100%25%20%23");
  p.part[QN_URL_HOST] = slice("fe80::1%eth0");
  CHECK_STR(build(&p), "!"); /* strict mode would not read it again */
  p.mode = QN_URL_TOLERANT;
  CHECK(strstr(build(&p), "@[fe80::1%25eth0]:8080/") != NULL);
  p.mode = QN_URL_STRICT;
  p.part[QN_URL_HOST] = slice("[::1]");
  CHECK(strstr(build(&p), "@[::1]:8080/") != NULL);
  p.part[QN_URL_HOST] = slice("a/b");
  CHECK_STR(build(&p), "!");
  p.part[QN_URL_HOST] = slice("a%41");
  CHECK_STR(build(&p), "!");
  p.part[QN_URL_HOST] = slice("h@i");
  CHECK_STR(build(&p), "!");
  p.part[QN_URL_HOST] = slice("h:80");
  CHECK_STR(build(&p), "!");
  p.has[QN_URL_HOST] = false;
  CHECK_STR(build(&p), "!"); /* a user without a host */
  p.port = -1;
  p.has[QN_URL_USER] = p.has[QN_URL_PASSWORD] = p.has[QN_URL_QUERY] = p.has[QN_URL_FRAGMENT] =
      false;
  p.part[QN_URL_PATH] = slice("//a");
  CHECK_STR(build(&p), "http:/.//a");
  p.has[QN_URL_SCHEME] = false;
  CHECK_STR(build(&p), "/.//a");
  p.part[QN_URL_PATH] = slice("a:b");
  CHECK_STR(build(&p), "./a:b");
  p.part[QN_URL_PATH] = slice("a\xff b");
  p.decoded[QN_URL_PATH] = false;
  CHECK_STR(build(&p), "!"); /* strict, as on the wire */
  p.mode = QN_URL_TOLERANT;
  CHECK_STR(build(&p), "a%FF%20b");
  p.has[QN_URL_SCHEME] = true;
  p.part[QN_URL_SCHEME] = slice("a b");
  CHECK_STR(build(&p), "!");
}

TEST(local_files)
{
  static const struct {
    const char *path, *url, *back;
  } files[] = {{"/a b", "file:///a%20b", NULL},
               {"//host/p", "file://host/p", NULL},
               {"C:/x", "file:///C:/x", NULL},
               {"c:\\x\\y z", "file:///c:/x/y%20z", "c:/x/y z"},
               {"\\\\host\\p", "file://host/p", "//host/p"},
               {"/", "file:///", NULL},
               {"//", "file:////", NULL},
               {"//host", "file://host", ""},
               {"/a\\b", "file:///a%5Cb", NULL},
               {"/%41?#\xc3\xbc\xff", "file:///%2541%3F%23%C3%BC%FF", NULL},
               {"//bad host/x", "file:////bad%20host/x", NULL},
               {"a/b", "file:a/b", NULL},
               {"C:", "file:///C:", NULL}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    qn_url_place_t place = {NULL, 0, NULL};
    qn_url_error_t err;
    char back[256];
    TEST_ROUND("%s", files[i].path);
    REQUIRE(qn_url_from_file(files[i].path, strlen(files[i].path), &place, &err) == 0);
    CHECK_STR((const char *)qn_url_text(place.url).data, files[i].url);
    size_t n = qn_url_to_file(place.url, back);
    back[n] = 0;
    CHECK_STR(back, files[i].back != NULL ? files[i].back : files[i].path);
    qn_url_free(place.url);
  }
  TEST_ROUND("%s", "");
  char out[64];
  qn_url_t *u = made("http://h/x", QN_URL_STRICT);
  CHECK_INT((int)qn_url_to_file(u, out), 0);
  qn_url_free(u);
  u = made("file:///a%00b", QN_URL_STRICT);
  CHECK_INT((int)qn_url_to_file(u, out), 0); /* no file has such a name */
  qn_url_free(u);
  u = made("file://localhost/x", QN_URL_STRICT);
  out[qn_url_to_file(u, out)] = 0;
  CHECK_STR(out, "/x");
  qn_url_free(u);
  qn_url_place_t place = {NULL, 0, NULL};
  qn_url_error_t err;
  CHECK_INT(qn_url_from_file("a\0b", 3, &place, &err), QN_E_BAD_URL);
}

TEST(in_place)
{
  _Alignas(16) char mem[256];
  qn_url_place_t place = {mem, sizeof mem, NULL};
  int64_t live = qn_alloc_live();
  CHECK_INT(qn_url_parse_at("http://h/x?y", 12, QN_URL_STRICT, NULL, &place, NULL), 0);
  CHECK((char *)place.url == mem);
  CHECK_INT(qn_alloc_live() - live, 0);
  char copy[256];
  memcpy(copy, mem, qn_url_bytes(place.url)); /* it holds no pointers */
  CHECK(memcmp(copy + qn_url_bytes(place.url) - 1, "", 1) == 0);
  place.room = 80;
  CHECK_INT(qn_url_parse_at("http://h/x?y", 12, QN_URL_STRICT, NULL, &place, NULL), 0);
  CHECK((char *)place.url != mem);
  qn_url_free(place.url);
}

TEST(limits)
{
  size_t size = QN_URL_MAX + 1;
  char *text = malloc(size);
  qn_url_t *u = NULL;
  qn_url_error_t err;
  memset(text, 'a', size);
  CHECK_INT(qn_url_parse(text, size, QN_URL_STRICT, NULL, &u, &err), QN_E_LIMIT);
  CHECK_INT(qn_url_parse(text, size - 1, QN_URL_STRICT, NULL, &u, &err), 0);
  qn_url_free(u);
  memset(text, ' ', size); /* what it becomes counts, too */
  u = NULL;
  CHECK_INT(qn_url_parse(text, size - 1, QN_URL_TOLERANT, NULL, &u, &err), QN_E_LIMIT);
  CHECK(u == NULL);
  memcpy(text, "http://", 7);
  memset(text + 7, 'a', 5000);
  CHECK_INT(qn_url_parse(text, 5007, QN_URL_TOLERANT, NULL, &u, &err), QN_E_BAD_URL);
  CHECK_STR(err.text, "the host is too long");
  CHECK_INT(qn_url_parse(text, 5007, QN_URL_STRICT, NULL, &u, &err), QN_E_BAD_URL);
  free(text);
}

/* Dot segments, colons, slashes, '@' in large numbers: twice the text may take no four times
 * longer.
 */
TEST(linear)
{
  static const char *const units[] = {"../", "a/../", "a/", "./", "%2e%2e/", "@", ":", "[", "%"};
  for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
    TEST_ROUND("%s", units[k]);
    size_t n = 1000u * 1000u, unit = strlen(units[k]);
    char *text = malloc(n + 16);
    memcpy(text, "http://h/", 9);
    for (size_t i = 9; i + unit < n; i += unit) {
      memcpy(text + i, units[k], unit + 1);
    }
    qn_url_t *u = NULL;
    qn_url_error_t err;
    qn_url_place_t place = {NULL, 0, NULL};
    if (qn_url_parse(text, strlen(text), QN_URL_TOLERANT, NULL, &u, &err) == 0) {
      CHECK_INT(qn_url_resolve(u, u, true, &place), 0);
      qn_url_free(place.url);
      CHECK_INT(qn_url_normalize(u, &place), 0);
      qn_url_free(place.url);
    }
    qn_url_free(u);
    free(text);
  }
}

/* Each allocation fails once: an error, nothing leaked. */
TEST(no_memory)
{
  static const char long_one[] =
      "http://\xc3\xbc"
      "ser:p w@H\xc3\x84:1/%zz \xc3\xbc/../x?a b c#d e f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
  int64_t live = qn_alloc_live();
  for (uint64_t nth = 1; nth < 40; nth++) {
    qn_url_t *u = NULL;
    qn_url_error_t err;
    qn_url_place_t place = {NULL, 0, NULL};
    TEST_ROUND("%d", (int)nth);
    qn_alloc_fail_at(nth);
    int rc = qn_url_parse(long_one, sizeof long_one - 1, QN_URL_TOLERANT, NULL, &u, &err);
    if (rc == 0) {
      rc = qn_url_resolve(u, u, true, &place);
      qn_url_free(place.url);
      place.url = NULL;
    }
    if (rc == 0) {
      rc = qn_url_normalize(u, &place);
      qn_url_free(place.url);
      place.url = NULL;
    }
    if (rc == 0) {
      rc = qn_url_from_file(long_one, sizeof long_one - 1, &place, &err);
      qn_url_free(place.url);
    }
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    CHECK(failed ? rc != 0 : rc == 0);
    qn_url_free(u);
    CHECK_INT(qn_alloc_live() - live, 0);
  }
}

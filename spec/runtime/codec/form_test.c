/* application/x-www-form-urlencoded: names and values, and the walk over pairs. */
#include "test.h"

#include "codec/form.h"

static void encodes(const char *text, const char *want)
{
  char out[256];
  CHECK_MEM(out, qn__form_encode(text, strlen(text), out), want, strlen(want));
}

static void decodes(const char *text, const char *want)
{
  char out[256];
  CHECK_MEM(out, qn__form_decode(text, strlen(text), out), want, strlen(want));
}

TEST(a_space_becomes_plus)
{
  encodes("a b+c", "a+b%2Bc");
  encodes("*-._~", "*-._%7E");
  encodes("\xc3\xa9&=", "%C3%A9%26%3D");
  encodes("\xff", "%EF%BF%BD");
  encodes("", "");
}

TEST(plus_becomes_a_space)
{
  decodes("a+b%2Bc", "a b+c");
  decodes("%C3%A9%zz%", "\xc3\xa9%zz%");
  decodes("%FFx", "\xef\xbf\xbdx");
  decodes("%ff%ff%ffabc%ff", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                             "abc\xef\xbf\xbd");
  decodes("\xff\xff\xff\xff", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  decodes("", "");
}

static void walks(const char *text, const char *want)
{
  char out[256];
  size_t n = 0;
  const char *at = text, *end = text + strlen(text);
  qn_slice_t name, value;
  while (qn__form_next(&at, end, &name, &value)) {
    n += (size_t)snprintf(out + n, sizeof out - n, "[%.*s|%.*s]", (int)name.size,
                          (const char *)name.data, (int)value.size, (const char *)value.data);
  }
  out[n] = 0;
  CHECK_STR(out, want);
  CHECK(at == end);
}

TEST(pairs_keep_their_order)
{
  walks("a=1&b=2&a=3", "[a|1][b|2][a|3]");
  walks("a=b=c", "[a|b=c]");
  walks("a", "[a|]");
  walks("=", "[|]");
  walks("=x", "[|x]");
  walks("&&a&&b&", "[a|][b|]");
  walks("&", "");
  walks("", "");
}

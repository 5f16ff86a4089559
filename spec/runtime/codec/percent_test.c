/* The byte sets against their definitions, encoding, decoding, UTF-8 as the Encoding Standard reads
 * it.
 * covers: runtime/codec/percent_utf8.c
 */
#include "test.h"

#include "codec/percent.h"

/* The bytes that a set has below 0x7f and above 0x1f, in order; controls and 0x7f.. are in all. */
typedef struct set_row {
  const char *name;
  unsigned set;
  const char *printable;
} set_row_t;

static const set_row_t url_sets[] = {
    {"C0 control", QN__PCT_C0, ""},
    {"fragment", QN__PCT_FRAGMENT, " \"<>`"},
    {"query", QN__PCT_QUERY, " \"#<>"},
    {"special-query", QN__PCT_SPECIAL_QUERY, " \"#'<>"},
    {"path", QN__PCT_PATH, " \"#<>?^`{}"},
    {"userinfo", QN__PCT_USERINFO, " \"#/:;<=>?@[\\]^`{|}"},
    {"component", QN__PCT_COMPONENT, " \"#$%&+,/:;<=>?@[\\]^`{|}"},
    {"form", QN__PCT_FORM, " !\"#$%&'()+,/:;<=>?@[\\]^`{|}~"},
};

TEST(the_sets_of_the_url_standard)
{
  for (size_t row = 0; row < sizeof url_sets / sizeof url_sets[0]; row++) {
    TEST_ROUND("%s", url_sets[row].name);
    for (int c = 0; c < 256; c++) {
      bool want = c < 0x20 || c > 0x7e || strchr(url_sets[row].printable, c) != NULL;
      CHECK_INT(qn__pct_in((uint8_t)c, url_sets[row].set), want);
    }
  }
}

static const set_row_t rfc_sets[] = {
    {"unreserved", QN__PCT_RFC_UNRESERVED, ""},
    {"user", QN__PCT_RFC_USER, "!$&'()*+,;="},
    {"password", QN__PCT_RFC_PASSWORD, "!$&'()*+,;=:"},
    {"host", QN__PCT_RFC_HOST, "!$&'()*+,;="},
    {"segment", QN__PCT_RFC_SEGMENT, "!$&'()*+,;=:@"},
    {"path", QN__PCT_RFC_PATH, "!$&'()*+,;=:@/"},
    {"query", QN__PCT_RFC_QUERY, "!$&'()*+,;=:@/?"},
};

TEST(the_sets_of_rfc_3986)
{
  const char *unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
  for (size_t row = 0; row < sizeof rfc_sets / sizeof rfc_sets[0]; row++) {
    TEST_ROUND("%s", rfc_sets[row].name);
    for (int c = 0; c < 256; c++) {
      bool kept =
          c != 0 && (strchr(unreserved, c) != NULL || strchr(rfc_sets[row].printable, c) != NULL);
      CHECK_INT(qn__pct_in((uint8_t)c, rfc_sets[row].set), !kept);
    }
  }
}

TEST(the_forbidden_code_points)
{
  for (int c = 0; c < 256; c++) {
    bool host = c == 0 || strchr("\t\n\r #/:<>?@[\\]^|", c) != NULL;
    bool domain = host || c < 0x20 || c == '%' || c == 0x7f;
    CHECK_INT(qn__pct_in((uint8_t)c, QN__PCT_FORBIDDEN_HOST), host);
    CHECK_INT(qn__pct_in((uint8_t)c, QN__PCT_FORBIDDEN_DOMAIN), domain);
    CHECK_INT(qn__pct_in((uint8_t)c, QN__PCT_PATH_CARE), c != 0 && strchr(".%\\", c) != NULL);
  }
}

static void encodes(const char *text, unsigned set, bool rest, const char *want)
{
  char out[256];
  size_t n = rest ? qn__pct_encode_rest(text, strlen(text), set, out)
                  : qn__pct_encode(text, strlen(text), set, out);
  CHECK_MEM(out, n, want, strlen(want));
}

TEST(encoding_writes_upper_case_digits)
{
  encodes("a b\x7f\xc3\xa9", QN__PCT_PATH, false, "a%20b%7F%C3%A9");
  encodes("100%", QN__PCT_PATH, false, "100%");
  encodes("100%", QN__PCT_COMPONENT, false, "100%25");
  encodes("", QN__PCT_PATH, false, "");
}

TEST(triplets_are_kept_where_asked)
{
  encodes("%41%zz%4%%2f", QN__PCT_RFC_PATH, true, "%41%25zz%254%25%2f");
  encodes("%41", QN__PCT_RFC_PATH, false, "%2541");
}

TEST(decoding_leaves_a_stray_percent_alone)
{
  char out[64];
  size_t n = qn__pct_decode("%41%2e%zz%4%%00%", 16, out);
  CHECK_MEM(out, n, "A.%zz%4%\0%", 10);
  char same[] = "%41b%43";
  n = qn__pct_decode(same, 7, same);
  CHECK_MEM(same, n, "AbC", 3);
}

TEST(clean_text_is_recognised)
{
  CHECK(qn__pct_clean("abc", 3, QN__PCT_PATH));
  CHECK(!qn__pct_clean("ab ", 3, QN__PCT_PATH));
  CHECK(qn__pct_clean("", 0, QN__PCT_PATH));
}

TEST(hexadecimal_digits)
{
  for (int c = 0; c < 256; c++) {
    const char *digits = "0123456789abcdef", *upper = "0123456789ABCDEF";
    const char *low = c != 0 ? strchr(digits, c) : NULL, *high = c != 0 ? strchr(upper, c) : NULL;
    int want = low != NULL ? (int)(low - digits) : high != NULL ? (int)(high - upper) : -1;
    CHECK_INT(qn__hex_digit((uint8_t)c), want);
  }
}

TEST(every_scalar_value_is_read_as_written)
{
  for (uint32_t c = 0; c < 0x110000; c++) {
    char out[4];
    const uint8_t *at = (const uint8_t *)out;
    if (c == 0xd800) {
      c = 0xe000;
    }
    size_t n = qn__utf8_put(c, out);
    if (qn__utf8_next(&at, (const uint8_t *)out + n) != (int32_t)c ||
        at != (const uint8_t *)out + n || !qn__utf8_valid(out, n)) {
      FAIL("U+%04X", (unsigned)c);
    }
  }
}

#define BAD "\xef\xbf\xbd"

static void repairs(const char *text, const char *want)
{
  char out[256];
  size_t n = qn__utf8_repair(text, strlen(text), out);
  TEST_ROUND("%s", test_show(text, strlen(text)));
  CHECK_MEM(out, n, want, strlen(want));
  CHECK_INT(qn__utf8_valid(text, strlen(text)), strcmp(text, want) == 0);
}

TEST(each_maximal_ill_formed_part_becomes_one_replacement)
{
  repairs("a\xc3\xa9", "a\xc3\xa9");
  repairs("\xef\xbb\xbfx", "\xef\xbb\xbfx");    /* a BOM stays */
  repairs("\x80x", BAD "x");                    /* a lone continuation */
  repairs("\xc0\xaf", BAD BAD);                 /* overlong */
  repairs("\xe0\x80\xaf", BAD BAD BAD);         /* overlong, three bytes */
  repairs("\xed\xa0\x80", BAD BAD BAD);         /* a surrogate */
  repairs("\xf4\x90\x80\x80", BAD BAD BAD BAD); /* above U+10FFFF */
  repairs("\xf5\xff", BAD BAD);                 /* never a lead */
  repairs("\xe2\x98", BAD);                     /* cut short at the end */
  repairs("\xe2\x98x", BAD "x");                /* cut short in the middle */
  repairs("\xf0\x9f\x8d\xf0\x9f\x8d\xa3", BAD "\xf0\x9f\x8d\xa3");
  repairs("\xf0\x80\x80\x80", BAD BAD BAD BAD);
  repairs("12345678\xff", "12345678" BAD);
}

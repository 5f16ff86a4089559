/* UTS 46: mapping, validity, Bidi, joiners, lengths, and what libidn2 alone would get wrong. The
 * results are those of UTS 46 on named cases of our own.
 * covers: runtime/codec/idna_check.c, runtime/codec/idna_table.c
 */
#include "test.h"

#include "codec/idna.h"
#include "codec/idna_table.h"
#include "qn/base.h"

static void ascii(const char *text, unsigned flags, const char *want)
{
  char out[QN__IDNA_OUT];
  int rc = qn__idna_to_ascii(text, strlen(text), flags, out);
  TEST_ROUND("%s, flags %u", test_show(text, strlen(text)), flags);
  if (want == NULL) {
    CHECK_INT(rc, QN_E_BAD_HOST);
  } else if (CHECK_INT(rc, 0)) {
    CHECK_STR(out, want);
  }
}

static void unicode(const char *text, unsigned flags, const char *want)
{
  char out[QN__IDNA_OUT];
  int rc = qn__idna_to_unicode(text, strlen(text), flags, out);
  TEST_ROUND("%s, flags %u", test_show(text, strlen(text)), flags);
  if (want == NULL) {
    CHECK_INT(rc, QN_E_BAD_HOST);
  } else if (CHECK_INT(rc, 0)) {
    CHECK_STR(out, want);
  }
}

/* Bytes without their end, into the middle of others. */
static void put(char *to, const char *bytes, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    to[i] = bytes[i];
  }
}

#define DNS (QN__IDNA_LENGTHS | QN__IDNA_STD3 | QN__IDNA_HYPHENS)

TEST(ascii_is_lower_cased)
{
  ascii("Example.COM", 0, "example.com");
  ascii("", 0, "");
  ascii("a..b.", 0, "a..b.");
  ascii("a_b c<>", 0, "a_b c<>");
  ascii("Example.COM.", DNS, "example.com.");
}

TEST(mapping_and_normalization)
{
  ascii("B\xc3\xbc"
        "cher.de",
        0, "xn--bcher-kva.de");
  ascii("bu\xcc\x88"
        "cher.de",
        0, "xn--bcher-kva.de"); /* NFC */
  ascii("\xef\xbd\x85\xef\xbd\x98\xef\xbc\x8e"
        "com",
        0, "ex.com"); /* full width */
  ascii("a\xe3\x80\x82"
        "b\xef\xbd\xa1"
        "c",
        0, "a.b.c"); /* dots */
  ascii("a\xc2\xad"
        "b",
        0, "ab");                                               /* ignored */
  ascii("\xef\xac\x83", 0, "ffi");                              /* ligature */
  ascii("\xc4\xb0", 0, "xn--i-9bb");                            /* dotted capital I */
  ascii("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", 0, "xn--p39a"); /* jamo compose */
  ascii("\xef\xbd\xb6\xef\xbe\x9e", 0, "xn--mck");              /* half width kana */
  ascii("\xe2\x98\x95.example", 0, "xn--53h.example");          /* IDNA2008 refuses */
  ascii("\xf0\x9f\x92\xa9.la", 0, "xn--ls8h.la");
  ascii("\xef\xbf\xbd.com", 0, NULL);
  ascii("\xff", 0, NULL);
  ascii("a\xe2\x92\x88"
        "b",
        0, NULL); /* "1." as one character */
}

TEST(deviations)
{
  ascii("fa\xc3\x9f.de", 0, "xn--fa-hia.de");
  ascii("fa\xc3\x9f.de", QN__IDNA_TRANSITIONAL, "fass.de");
  ascii("\xe1\xba\x9e", 0, "xn--zca"); /* capital sharp s */
  ascii("\xcf\x83\xcf\x82", 0, "xn--3xab");
  ascii("\xcf\x83\xcf\x82", QN__IDNA_TRANSITIONAL, "xn--4xaa");
  ascii("\xc3\x9f\xcc\x81", 0, "xn--zca60i");
  unicode("xn--fa-hia.de", 0, "fa\xc3\x9f.de");
}

TEST(what_is_newer_than_the_tables_of_libidn2)
{
  ascii("\xe1\x82\xa0", 0, "xn--rkj");                     /* U+10A0 is mapped */
  ascii("\xd3\x80", 0, "xn--s5a");                         /* U+04C0 */
  ascii("\xe2\x84\xb2", QN__IDNA_TRANSITIONAL, "xn--73g"); /* U+2132 */
  ascii("a\xe1\x85\x9f\xcc\x81", 0, "xn--1ca");            /* U+115F is ignored */
  ascii("a\xe3\x85\xa4.b", 0, "a.b");                      /* U+3164 */
  ascii("\xf0\xaf\xa1\xa8", 0, "xn--snl");                 /* U+2F868 */
  ascii("a\xe1\xa0\x86", 0, "xn--a-f3j");                  /* U+1806 is valid */
  ascii("\xf0\xb1\x8d\x90", 0, "xn--8o8n");                /* U+31350 is assigned */
  ascii("\xf0\xb3\x91\xba", 0, NULL);                      /* U+3347A is not */
  ascii("xn--7md", 0, NULL);                               /* nor is a mapped one in Punycode */
}

TEST(scripts_and_symbols_since_unicode_15)
{
  ascii("\xf0\x9f\xaa\xbb.b", 0, "xn--z19h.b");       /* U+1FABB, an emoji of 15.0 */
  ascii("\xe1\xb2\x89", 0, "xn--d4f");                /* U+1C89 is mapped to U+1C8A */
  ascii("xn--c4f", 0, NULL);                          /* U+1C89 itself, in Punycode */
  ascii("a\xf0\x9c\xb3\x96\xcc\x81", 0, "xn--a-ufa"); /* U+1CCD6 is "a", which composes */
  ascii("\xf0\x93\x91\xa0", 0, "xn--5l8d");           /* U+13460 */
  ascii("a\xe0\xa2\x97", 0, "xn--a-nnd");             /* a mark, U+0897 */
  ascii("\xe0\xa2\x97", 0, NULL);                     /* no label begins with one */
  ascii("\xf0\x90\xb6\x8e", 0, "xn--7h0d");           /* U+10D8E, from right to left: alone */
  ascii("a\xf0\x90\xb6\x8e", 0, NULL);                /* but not behind a letter */
  ascii("a\xe2\x81\xa1.b", 0, "a.b");                 /* U+2061 is ignored */
  unicode("xn--z19h", 0, "\xf0\x9f\xaa\xbb");
}

TEST(ascii_beside_solidus_overlay_composes)
{
  ascii("\xe2\x89\xa0", 0, "xn--1ch");
  ascii("=\xcc\xb8", 0, "xn--1ch");
  ascii("<\xcc\xb8", 0, "xn--gdh");
  ascii(">\xcc\xb8", DNS, "xn--hdh");
}

TEST(hyphens)
{
  ascii("-a-.b--c", 0, "-a-.b--c");
  ascii("-\xe2\x80\xa0", 0, "xn----xhn");
  ascii("a\xe2\x80\xa0--", 0, "xn--a---kp0a");
  ascii("-a", QN__IDNA_HYPHENS, NULL);
  ascii("a-.b", QN__IDNA_HYPHENS, NULL);
  ascii("ab--c", QN__IDNA_HYPHENS, NULL);
  ascii("\xc3\xa9-", QN__IDNA_HYPHENS, NULL);
  ascii("\xef\xbc\x8d"
        "a",
        0, "-a"); /* a full-width hyphen at the beginning */
}

TEST(std3)
{
  ascii("a_b", QN__IDNA_STD3, NULL);
  ascii("a_\xc3\xa9", QN__IDNA_STD3, NULL);
  ascii("a_\xc3\xa9", 0, "xn--a_-cja");
  ascii("a-b9.c", QN__IDNA_STD3, "a-b9.c");
}

TEST(labels_that_come_as_punycode)
{
  ascii("xn--bcher-kva", 0, "xn--bcher-kva");
  ascii("XN--BCHER-KVA", 0, "xn--bcher-kva");
  ascii("xn--a", 0, NULL);            /* U+0080 */
  ascii("xn--", 0, NULL);             /* empty */
  ascii("xn--a-", 0, NULL);           /* ASCII only */
  ascii("xn---o8c", 0, NULL);         /* a delimiter in front */
  ascii("xn--8i7caa", 0, NULL);       /* full-width letters: mapped characters */
  ascii("xn--te\xc5\xa1la", 0, NULL); /* not ASCII */
  ascii("xn--u-ccb", 0, NULL);        /* not NFC: u and U+0308 */
  ascii("xn--xn---epa", 0, NULL);     /* "xn--" inside */
  ascii("xn--zn7c.com", 0, NULL);     /* U+FFFD */
  ascii("\xef\xbd\x98\xef\xbd\x8e\xef\xbc\x8d\xef\xbc\x8d"
        "bcher-kva",
        0, "xn--bcher-kva");
}

TEST(a_mark_cannot_begin_a_label)
{
  ascii("\xcc\x81"
        "a",
        0, NULL);
  ascii("a.\xcc\x81", 0, NULL);
  ascii("xn--sy", 0, NULL);
  ascii("\xcd\x8f"
        "a",
        0, "a"); /* an ignored one can */
}

TEST(joiners)
{
  ascii("a\xe2\x80\x8d"
        "b",
        0, NULL);
  ascii("a\xe2\x80\x8d"
        "b",
        QN__IDNA_TRANSITIONAL, "ab");
  ascii("xn--1ug.example", 0, NULL);
  ascii("\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7", 0, "xn--11b2ezcw70k");
  ascii("\xd8\xa8\xe2\x80\x8c\xd8\xa8", 0, "xn--ngba799q");                     /* D ZWNJ D */
  ascii("\xd8\xa8\xd9\x8b\xe2\x80\x8c\xd9\x8b\xd8\xa7", 0, "xn--mgbb9ha8704a"); /* D T ZWNJ T R */
  ascii("\xd8\xa7\xe2\x80\x8c\xd8\xa8", 0, NULL);                               /* R ZWNJ D */
  ascii("\xd8\xa8\xe2\x80\x8c", 0, NULL);
  ascii("\xe2\x80\x8c\xd8\xa8", 0, NULL);
}

TEST(the_bidi_rule_is_for_the_whole_domain)
{
  ascii("\xd7\x90.com", 0, "xn--4db.com");
  ascii("\xd7\x90.1com", 0, NULL); /* begins with a digit */
  ascii("1com.de", 0, "1com.de");  /* no Bidi domain */
  ascii("\xd7\x90"
        "a",
        0, NULL);
  ascii("a\xd7\x90", 0, NULL);
  ascii("\xd9\x8a"
        "1",
        0, "xn--1-yoc");
  ascii("\xd9\xa1\xd9\xa2", 0, NULL); /* begins with an Arabic digit */
  ascii("\xd8\xa7\xd9\xa1"
        "2",
        0, NULL); /* both kinds of digits */
  ascii("\xd8\xa7\xd9\xa1", 0, "xn--mgb0j");
  ascii("\xd7\x90-", 0, NULL); /* ends in a neutral */
  ascii("xn--4db.\xd7\x90"
        "a",
        0, NULL);
  ascii("\xef\xb7\xba", 0, NULL); /* maps to words with spaces */
  ascii("\xd7\x90.", 0, "xn--4db.");
}

TEST(lengths)
{
  char label[80], name[400] = "";
  memset(label, 'a', 63);
  label[63] = 0;
  ascii(label, DNS, label);
  memset(label, 'a', 64);
  label[64] = 0;
  ascii(label, DNS, NULL);
  ascii(label, 0, label);
  for (int i = 0; i < 25; i++) {
    memcpy(name + 10 * i, "aaaaaaaaa.", 11);
  }
  memcpy(name + 250, "aaa", 4);
  ascii(name, DNS, name); /* 253 */
  memcpy(name + 253, ".", 2);
  ascii(name, DNS, name); /* and the root */
  memcpy(name + 253, "a", 2);
  ascii(name, DNS, NULL);
  ascii("", DNS, NULL);
  ascii(".", DNS, NULL);
  ascii("a..b", DNS, NULL);
  ascii("\xc2\xad", DNS, NULL);
  memset(label, 'x', 62);
  memcpy(label + 62, "\xe2\x80\xa0", 4);
  ascii(label, DNS, NULL);
}

TEST(a_long_label_is_no_problem_without_the_check)
{
  ascii("x01234567890123456789012345678901234567890123456789012345678901\xe2\x80\xa0", 0,
        "xn--x01234567890123456789012345678901234567890123456789012345678901-6963b");
}

TEST(to_unicode)
{
  unicode("xn--bcher-kva.DE", 0,
          "b\xc3\xbc"
          "cher.de");
  unicode("b\xc3\x9c"
          "cher",
          0,
          "b\xc3\xbc"
          "cher");
  unicode("xn--a.xn--4db", 0, NULL);
  unicode("xn--a.xn--4db", QN__IDNA_LENIENT, "xn--a.\xd7\x90");
  unicode("xn--4db.xn--a-zhc", QN__IDNA_LENIENT, "\xd7\x90.xn--a-zhc"); /* breaks the Bidi Rule */
  unicode("example.com", 0, "example.com");
  unicode("\xff", QN__IDNA_LENIENT, NULL);
}

TEST(bounds)
{
  static char text[4 * QN__IDNA_MAX], out[QN__IDNA_OUT];
  memset(text, 'a', sizeof text);
  CHECK_INT(qn__idna_to_ascii(text, QN__IDNA_MAX, 0, out), 0);
  CHECK_INT(qn__idna_to_ascii(text, QN__IDNA_MAX + 1, 0, out), QN_E_BAD_HOST);
  CHECK_INT(qn__idna_to_unicode(text, QN__IDNA_MAX + 1, 0, out), QN_E_BAD_HOST);
  for (size_t i = 0; i + 3 <= QN__IDNA_MAX; i += 3) {
    put(text + i, "\xef\xb7\xbb", 3); /* one character that maps to eight */
  }
  CHECK_INT(qn__idna_to_ascii(text, QN__IDNA_MAX - 1, 0, out), QN_E_BAD_HOST);
  put(text, "a", 1);
  for (size_t i = 1; i + 2 <= QN__IDNA_MAX; i += 2) {
    put(text + i, "\xcc\x81", 2); /* more marks than a character has */
  }
  CHECK_INT(qn__idna_to_ascii(text, 1 + 2 * 400, 0, out), QN_E_BAD_HOST);
  CHECK_INT(qn__idna_to_ascii("a\0b", 3, 0, out), QN_E_BAD_HOST);
}

TEST(ascii_takes_no_memory)
{
  char out[QN__IDNA_OUT];
  qn_alloc_fail_at(1);
  CHECK_INT(qn__idna_to_ascii("www.example.com", 15, DNS, out), 0);
  CHECK(!qn_alloc_failed());
}

TEST(properties_of_code_points)
{
  CHECK_INT(qn__idna_props('a').bidi, QN__BIDI_L);
  CHECK_INT(qn__idna_props('1').bidi, QN__BIDI_EN);
  CHECK_INT(qn__idna_props(' ').bidi, QN__BIDI_OTHER);
  CHECK_INT(qn__idna_props('-').bidi, QN__BIDI_NEUTRAL);
  CHECK_INT(qn__idna_props(0x5d0).bidi, QN__BIDI_R);
  CHECK_INT(qn__idna_props(0x661).bidi, QN__BIDI_AN);
  CHECK_INT(qn__idna_props(0x301).bidi, QN__BIDI_NSM);
  CHECK(qn__idna_props(0x301).mark && qn__idna_props(0x301).joins);
  CHECK(qn__idna_props(0x94d).virama);
  CHECK_INT(qn__idna_props(0x628).joining, QN__JOINING_DUAL);
  CHECK_INT(qn__idna_props(0x627).joining, QN__JOINING_RIGHT);
  CHECK_INT(qn__idna_props(0xa872).joining, QN__JOINING_LEFT);
  CHECK_INT(qn__idna_props(0x64b).joining, QN__JOINING_TRANSPARENT);
  CHECK_INT(qn__idna_props(0x10ffff).bidi, qn__idna_props(0x10fffd).bidi);
}

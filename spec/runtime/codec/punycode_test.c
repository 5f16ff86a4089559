/* RFC 3492: its samples, what is not well formed, and the bounds. */
#include "test.h"

#include "codec/percent.h"
#include "codec/punycode.h"

static size_t points(const char *text, uint32_t *out)
{
  const uint8_t *at = (const uint8_t *)text, *end = at + strlen(text);
  size_t n = 0;
  while (at < end) {
    out[n++] = (uint32_t)qn__utf8_next(&at, end);
  }
  return n;
}

static void both_ways(const char *text, const char *puny)
{
  uint32_t label[128], back[128];
  char out[256];
  size_t n = points(text, label);
  TEST_ROUND("%s", puny);
  CHECK_MEM(out, (size_t)qn__punycode_encode(label, n, out, sizeof out), puny, strlen(puny));
  REQUIRE_INT(qn__punycode_decode(puny, strlen(puny), back, 128), n);
  CHECK_MEM(back, n * sizeof *back, label, n * sizeof *label);
}

TEST(labels_go_both_ways)
{
  both_ways("b\xc3\xbc"
            "cher",
            "bcher-kva");
  both_ways("\xc3\x9f", "zca");
  both_ways(
      "\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88\xe4\xb8\x8d\xe8\xaf\xb4\xe4\xb8\xad\xe6\x96\x87",
      "ihqwcrb4cv8a8dqg056pqjye");
  both_ways("\xf0\x9f\x92\xa9", "ls8h");
  both_ways("a", "a-");
  both_ways("-> $1.00 <-", "-> $1.00 <--");
  both_ways("\xd7\x9c\xd7\x9e\xd7\x94", "8dbpg");
  both_ways("3\xe5\xb9\xb4"
            "B\xe7\xb5\x84\xe9\x87\x91\xe5\x85\xab\xe5\x85\x88\xe7\x94\x9f",
            "3B-ww4c5e180e575a65lsy2b");
}

TEST(digits_are_read_in_either_case)
{
  uint32_t label[8];
  CHECK_INT(qn__punycode_decode("BCHER-KVA", 9, label, 8), 6);
  CHECK_UINT(label[1], 0xfc);
  CHECK_UINT(label[0], 'B');
}

TEST(what_is_not_well_formed)
{
  static const char *const bad[] = {"a\x80-x", "-",         "-kva",       "kv!",
                                    "ls8h=",   "999999999", "0000000000", "\xc3\xa9"};
  uint32_t label[64];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    TEST_ROUND("%s", test_show(bad[i], strlen(bad[i])));
    CHECK_INT(qn__punycode_decode(bad[i], strlen(bad[i]), label, 64), -1);
  }
  CHECK_INT(qn__punycode_decode("", 0, label, 64), 0);
}

TEST(no_result_leaves_its_room)
{
  uint32_t label[1100];
  char out[64];
  for (size_t i = 0; i < 1100; i++) {
    label[i] = 0x4e00;
  }
  for (size_t room = 0; room < 12; room++) {
    CHECK(qn__punycode_encode(label, 6, out, room) <= (int)room);
    CHECK_INT(qn__punycode_decode("ihqwcrb4cv8a8dqg056pqjye", 24, label, room < 9 ? room : 8), -1);
  }
  static char large[8192];
  CHECK_INT(qn__punycode_encode(label, QN__PUNYCODE_MAX + 1, large, sizeof large), -1);
}

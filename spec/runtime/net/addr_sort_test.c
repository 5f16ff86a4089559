/* addr_sort_test.c: the examples of RFC 6724 section 10.2, each rule alone, and the kernel's view.
 */
#include "net/addr_sort.h"
#include "test.h"

#include <errno.h>
#include <unistd.h>

enum { DEPRECATED = 1, HOME = 2, TUNNEL = 4 };

typedef struct pair {
  const char *to, *from; /* from NULL: cannot be reached */
  int flags;
  unsigned prefix;
} pair_t;

#define MOST 8
typedef struct example {
  const char *rule;
  pair_t pairs[MOST]; /* in the order that is wanted */
} example_t;

static const example_t examples[] = {
    /* RFC 6724 section 10.2, in its order */
    {"2: matching scope",
     {{"2001:db8:1::1", "2001:db8:1::2", 0, 0}, {"198.51.100.121", "169.254.13.78", 0, 0}}},
    {"2: matching scope",
     {{"198.51.100.121", "198.51.100.117", 0, 0}, {"2001:db8:1::1", "fe80::1", 0, 0}}},
    {"6: precedence", {{"2001:db8:1::1", "2001:db8:1::2", 0, 0}, {"10.1.2.3", "10.1.2.4", 0, 0}}},
    {"8: smaller scope", {{"fe80::1", "fe80::2", 0, 0}, {"2001:db8:1::1", "2001:db8:1::2", 0, 0}}},
    {"4: home address",
     {{"2001:db8:1::1", "2001:db8:1::3", HOME, 0}, {"fe80::1", "fe80::2", 0, 0}}},
    {"3: not deprecated",
     {{"2001:db8:1::1", "2001:db8:1::2", 0, 0}, {"fe80::1", "fe80::2", DEPRECATED, 0}}},
    {"9: longest prefix",
     {{"2001:db8:1::1", "2001:db8:1::2", 0, 0}, {"2001:db8:3ffe::1", "2001:db8:3f44::2", 0, 0}}},
    {"5: matching label",
     {{"2002:c633:6401::1", "2002:c633:6401::2", 0, 0},
      {"2001:db8:1::1", "2002:c633:6401::2", 0, 0}}},
    {"6: precedence",
     {{"2001:db8:1::1", "2001:db8:1::2", 0, 0}, {"2002:c633:6401::1", "2002:c633:6401::2", 0, 0}}},
    /* each rule beside those */
    {"1: usable", {{"10.0.0.1", "10.0.0.9", 0, 0}, {"2001:db8::1", NULL, 0, 0}}},
    {"1: usable",
     {
         {"2001:db8::1", "2001:db8::9", 0, 0},
         {"::1", NULL, 0, 0},
     }},
    {"6: loopback first", {{"::1", "::1", 0, 0}, {"127.0.0.1", "127.0.0.1", 0, 0}}},
    {"6: unique local behind IPv4", {{"10.0.0.1", "10.0.0.9", 0, 0}, {"fd00::1", "fd00::2", 0, 0}}},
    {"6: Teredo behind IPv4", {{"10.0.0.1", "10.0.0.9", 0, 0}, {"2001::1", "2001::2", 0, 0}}},
    {"6: 6to4 behind IPv4",
     {{"10.0.0.1", "10.0.0.9", 0, 0}, {"2002:102:304::1", "2002:102:304::2", 0, 0}}},
    {"5: unique local with another label",
     {{"2001:db8::1", "2001:db8::2", 0, 0}, {"fd00::1", "2001:db8::2", 0, 0}}},
    {"7: native",
     {{"2001:db8:1::1", "2001:db8:9::1", 0, 0}, {"2001:db8:2::1", "2001:db8:2::9", TUNNEL, 0}}},
    {"3: before 6",
     {{"10.0.0.1", "10.0.0.2", 0, 0}, {"2001:db8::1", "2001:db8::2", DEPRECATED, 0}}},
    {"2: site-local", {{"fec0::1", "fec0::2", 0, 0}, {"2001:db8::1", "fec0::2", 0, 0}}},
    {"6: deprecated kinds last",
     {{"2001:db8::1", "2001:db8::2", 0, 0},
      {"2002::1", "2002::2", 0, 0},
      {"2001:0::1", "2001::2", 0, 0},
      {"fc00::1", "fc00::2", 0, 0}}},
    {"8: multicast scopes", {{"ff02::1", "fe80::2", 0, 0}, {"ff05::1", "fec0::2", DEPRECATED, 0}}},
    {"9: prefixes of any length",
     {{"2001:db8:0:1::ff", "2001:db8:0:1::fe", 0, 128},
      {"2001:db8:0:1::7f", "2001:db8:0:1::fe", 0, 128}}},
};

typedef struct oracle {
  const example_t *example;
  size_t n, asked;
} oracle_t;

static qn_addr_t address(const char *text)
{
  qn_addr_t a;
  REQUIRE_INT(qn_addr_parse(&a, text, 443, QN_FAMILY_ANY), 0);
  return a;
}

static void say(void *arg, const qn_addr_t *destination, qn__source_t *out)
{
  oracle_t *o = arg;
  o->asked++;
  CHECK_INT(out->addr.size, 0);
  for (size_t i = 0; i < o->n; i++) {
    const pair_t *p = &o->example->pairs[i];
    qn_addr_t to = address(p->to);
    if (qn_addr_equal(&to, destination) && p->from != NULL) {
      out->addr = address(p->from);
      qn_addr_set_port(&out->addr, 9999);
      out->deprecated = (p->flags & DEPRECATED) != 0;
      out->home = (p->flags & HOME) != 0;
      out->encapsulated = (p->flags & TUNNEL) != 0;
      out->prefix = p->prefix;
    }
  }
}

TEST(the_rules_in_every_order_of_the_list)
{
  for (size_t e = 0; e < sizeof examples / sizeof examples[0]; e++) {
    oracle_t o = {&examples[e], 0, 0};
    while (o.n < MOST && examples[e].pairs[o.n].to != NULL) {
      o.n++;
    }
    for (size_t turn = 0; turn < o.n * 2; turn++) { /* each rotation, both ways round */
      qn_addr_t v[MOST];
      for (size_t i = 0; i < o.n; i++) {
        size_t at = (i + turn) % o.n;
        v[i] = address(examples[e].pairs[turn < o.n ? at : o.n - 1 - at].to);
      }
      TEST_ROUND("example %zu (%s), turn %zu", e, examples[e].rule, turn);
      o.asked = 0;
      qn__addr_sort_with(v, o.n, say, &o);
      CHECK_UINT(o.asked, o.n);
      for (size_t i = 0; i < o.n; i++) {
        char text[QN_ADDR_TEXT];
        qn_addr_t want = address(examples[e].pairs[i].to);
        qn_addr_host(&v[i], text, sizeof text);
        if (!qn_addr_equal(&v[i], &want)) {
          FAIL("place %zu has %s, want %s", i, text, examples[e].pairs[i].to);
        }
        CHECK_INT(qn_addr_port(&v[i]), 443);
      }
    }
  }
}

static void same_source(void *arg, const qn_addr_t *destination, qn__source_t *out)
{
  (void)arg;
  bool four = qn_addr_family(destination) == QN_FAMILY_IPV4;
  out->addr = address(four ? "10.0.0.1" : "2001:db8::1");
}

TEST(equals_keep_their_order)
{
  qn_addr_t v[QN__ADDR_SORT_MAX];
  for (size_t i = 0; i < QN__ADDR_SORT_MAX; i++) {
    char text[32];
    if (i % 2 == 0) {
      snprintf(text, sizeof text, "192.0.2.%zu", QN__ADDR_SORT_MAX - i);
    } else {
      snprintf(text, sizeof text, "2001:db8:8000::%zx", QN__ADDR_SORT_MAX - i);
    }
    v[i] = address(text);
  }
  qn__addr_sort_with(v, QN__ADDR_SORT_MAX, same_source, NULL);
  for (size_t i = 0; i < QN__ADDR_SORT_MAX / 2; i++) {
    CHECK_INT(qn_addr_family(&v[i]), QN_FAMILY_IPV6);
    CHECK_INT(v[i].u.in6.sin6_addr.s6_addr[15], QN__ADDR_SORT_MAX - 1 - 2 * i);
    CHECK_INT(ntohl(v[QN__ADDR_SORT_MAX / 2 + i].u.in4.sin_addr.s_addr) & 0xff,
              QN__ADDR_SORT_MAX - 2 * i);
  }
}

static void nothing_reached(void *arg, const qn_addr_t *destination, qn__source_t *out)
{
  (void)destination;
  (void)out;
  ++*(size_t *)arg;
}

TEST(short_and_long_lists)
{
  size_t asked = 0;
  qn_addr_t *v = calloc(200, sizeof *v);
  REQUIRE(v != NULL);
  qn__addr_sort_with(v, 0, nothing_reached, &asked);
  qn__addr_sort_with(v, 1, nothing_reached, &asked);
  CHECK_UINT(asked, 0);
  for (int i = 0; i < 200; i++) {
    char text[32];
    snprintf(text, sizeof text, "192.0.2.%d", i);
    v[i] = address(text);
  }
  v[199] = address("::1"); /* would be first, but is behind the last that is looked at */
  qn__addr_sort_with(v, 200, nothing_reached, &asked);
  CHECK_UINT(asked, QN__ADDR_SORT_MAX);
  for (int i = 0; i < 199; i++) {
    CHECK_INT(ntohl(v[i].u.in4.sin_addr.s_addr) & 0xff, i);
  }
  CHECK_INT(qn_addr_family(&v[199]), QN_FAMILY_IPV6);
  free(v);
}

static uint32_t state = 1;
static uint32_t next_random(void)
{
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

static void random_source(void *arg, const qn_addr_t *destination, qn__source_t *out)
{
  static const char *const froms[] = {"10.0.0.1",    "169.254.0.1", "127.0.0.1", "fe80::1", "::1",
                                      "2001:db8::1", "2002::1",     "fd00::1",   "fec0::1"};
  (void)arg;
  uint32_t r = next_random();
  bool four = qn_addr_family(destination) == QN_FAMILY_IPV4;
  if (r % 5 != 0) {
    out->addr = address(froms[four ? r % 3 : 3 + r % 6]);
    out->deprecated = r & 0x100;
    out->home = r & 0x200;
    out->encapsulated = r & 0x400;
    out->prefix = (r >> 12) % 140;
  }
}

TEST(any_list_stays_a_permutation)
{
  for (int round = 0; round < 200; round++) {
    qn_addr_t v[20], before[20];
    size_t n = next_random() % 21;
    for (size_t i = 0; i < n; i++) {
      char text[64];
      uint32_t r = next_random();
      if (r % 2 == 0) {
        snprintf(text, sizeof text, "%u.%u.0.%zu", r % 200 + 1, r % 7, i + 1);
      } else {
        snprintf(text, sizeof text, "%x:%x::%zx", r % 0xffff, r % 9, i + 1);
      }
      v[i] = before[i] = address(text);
    }
    qn__addr_sort_with(v, n, random_source, NULL);
    for (size_t i = 0; i < n; i++) {
      size_t found = 0;
      for (size_t k = 0; k < n; k++) {
        found += qn_addr_equal(&before[i], &v[k]) ? 1 : 0;
      }
      CHECK_UINT(found, 1);
    }
  }
}

TEST(the_kernel_is_asked)
{
  static qn__local_addrs_t local;
  qn_addr_t v[4] = {address("127.0.0.1"), address("::1"), address("127.0.0.2"), {.size = 0}};
  int before = dup(0), after;
  qn__addr_sort(v, 3, &local, 1);
  CHECK(local.read);
  char text[QN_ADDR_TEXT];
  qn_addr_host(&v[0], text, sizeof text);
  bool has6 = false;
  for (size_t i = 0; i < local.n; i++) {
    static const uint8_t loopback[16] = {[15] = 1};
    has6 = has6 || memcmp(local.v[i].addr, loopback, 16) == 0;
    CHECK(local.v[i].prefix > 0 && local.v[i].prefix <= 128);
  }
  CHECK_STR(text, has6 ? "::1" : "127.0.0.1");
  v[0] = address("255.255.255.255"); /* connect refuses broadcast: not usable */
  v[1] = address("127.0.0.1");
  qn__addr_sort(v, 2, &local, 1);
  CHECK_STR((qn_addr_host(&v[0], text, sizeof text), text), "127.0.0.1");
  v[0] = (qn_addr_t){.size = 0};
  v[1] = address("127.0.0.1");
  REQUIRE_INT(qn_addr_unix(&v[2], "/x", 2), 0);
  qn__addr_sort(v, 3, &local, 1); /* what is no IP address comes last */
  CHECK_STR((qn_addr_host(&v[0], text, sizeof text), text), "127.0.0.1");
  after = dup(0);
  CHECK_INT(after, before + 1); /* no descriptor was left open */
  close(before);
  close(after);
}

TEST(source_addresses_do_not_stick)
{
  /* Each has its own source (127.0.0.1 for all but itself), so a socket that kept the first one
   * would fail for the address of another interface. */
  static qn__local_addrs_t local;
  qn_addr_t v[3] = {address("127.0.0.1"), address("127.8.8.8"), address("0.0.0.0")};
  qn__addr_sort(v, 3, &local, 5);
  CHECK_INT(ntohl(v[0].u.in4.sin_addr.s_addr), 0x7f000001);
}

TEST(families_are_kept_for_a_second)
{
  static qn__local_addrs_t local;
  unsigned families = qn__addr_families_present(&local, 1000);
  CHECK(families >= 1 && families <= 3);
  local.families = 77;
  CHECK_UINT(qn__addr_families_present(&local, 1000 + QN__LOCAL_ADDRS_MS - 1), 77);
  CHECK_UINT(qn__addr_families_present(&local, 1000 + QN__LOCAL_ADDRS_MS), families);
}

TEST(what_the_kernel_said_is_kept_for_a_second)
{
  static qn__local_addrs_t local;
  qn_addr_t v[2] = {address("127.0.0.1"), address("255.255.255.255")};
  qn__addr_sort(v, 2, &local, 10);
  size_t kept = 0;
  for (size_t i = 0; i < QN__REACH_KEPT; i++) {
    kept += local.kept[i].reading == local.reading ? 1 : 0;
    local.kept[i].reach.usable = !local.kept[i].reach.usable; /* the other way round */
  }
  CHECK_UINT(kept, 2);
  qn__addr_sort(v, 2, &local, 10 + QN__LOCAL_ADDRS_MS - 1);
  CHECK_UINT(ntohl(v[0].u.in4.sin_addr.s_addr), 0xffffffff);
  qn__addr_sort(v, 2, &local, 10 + QN__LOCAL_ADDRS_MS); /* asked anew */
  CHECK_UINT(ntohl(v[0].u.in4.sin_addr.s_addr), 0x7f000001);
}

TEST(more_addresses_than_are_kept)
{
  static qn__local_addrs_t local;
  for (int round = 0; round < 3; round++) {
    qn_addr_t v[QN__ADDR_SORT_MAX];
    for (int i = 0; i < QN__ADDR_SORT_MAX; i++) {
      char text[32];
      snprintf(text, sizeof text, "127.%d.0.%d", round, i + 1);
      v[i] = address(i % 4 == 0 ? "255.255.255.255" : text);
    }
    qn__addr_sort(v, QN__ADDR_SORT_MAX, &local, 10);
    for (int i = 0; i < QN__ADDR_SORT_MAX; i++) {
      bool broadcast = v[i].u.in4.sin_addr.s_addr == INADDR_BROADCAST;
      CHECK_INT(broadcast, i >= QN__ADDR_SORT_MAX * 3 / 4);
    }
  }
}

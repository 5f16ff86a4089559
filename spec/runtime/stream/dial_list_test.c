/* dial_list_test.c: the order of addresses, whole and coming late, and what their errors come to.
 */
#include "stream/dial_list.h"

#include "test.h"

#include <errno.h>

static qn__dial_list_t list_of(qn_addr_t *v, const char *const *texts)
{
  qn__dial_list_t l = {0};
  size_t n = 0;
  for (; texts[n] != NULL; n++) {
    REQUIRE_INT(qn_addr_parse(&v[n], texts[n], 80, QN_FAMILY_ANY), 0);
  }
  qn__dial_list_set(&l, v, n);
  return l;
}

/* Hands out up to `n` addresses: "::1 127.0.0.1 -" */
static const char *take(qn__dial_list_t *l, int n)
{
  static char text[512];
  size_t used = 0;
  text[0] = '\0';
  while (n-- > 0) {
    char host[QN_ADDR_TEXT] = "-";
    int i = qn__dial_list_next(l);
    if (i >= 0) {
      qn_addr_host(&l->v[i], host, sizeof host);
    }
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? " " : "", host);
  }
  return text;
}

TEST(families_take_turns)
{
  static const struct {
    const char *v[8], *turns, *in_order;
  } cases[] = {
      {{"::1", NULL}, "::1 - -", "::1 - -"},
      {{"::1", "::2", "1.1.1.1", "1.1.1.2", NULL},
       "::1 1.1.1.1 ::2 1.1.1.2 -",
       "::1 ::2 1.1.1.1 1.1.1.2 -"},
      {{"1.1.1.1", "::1", "::2", "::3", NULL}, "1.1.1.1 ::1 ::2 ::3 -", "1.1.1.1 ::1 ::2 ::3 -"},
      {{"::1", "::2", "::3", "1.1.1.1", NULL}, "::1 1.1.1.1 ::2 ::3 -", "::1 ::2 ::3 1.1.1.1 -"},
      {{"1.1.1.1", "1.1.1.2", NULL}, "1.1.1.1 1.1.1.2 -", "1.1.1.1 1.1.1.2 -"},
      {{NULL}, "-", "-"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    qn_addr_t v[8];
    TEST_ROUND("%zu", i);
    int n = 1;
    for (const char *p = cases[i].turns; *p != '\0'; p++) {
      n += *p == ' ';
    }
    qn__dial_list_t l = list_of(v, cases[i].v);
    CHECK_STR(take(&l, n), cases[i].turns);
    CHECK(!qn__dial_list_left(&l));
    l = list_of(v, cases[i].v);
    l.in_order = true;
    CHECK_STR(take(&l, n), cases[i].in_order);
  }
}

TEST(what_comes_late_is_put_in_its_place)
{
  static const char *const all[] = {"::1", "::2", "::3", "1.1.1.1", "1.1.1.2", NULL};
  for (size_t tried = 0; tried <= 3; tried++) {
    static const char *const rest[] = {"::1 1.1.1.1 ::2 1.1.1.2 ::3 -", "1.1.1.1 ::2 1.1.1.2 ::3 -",
                                       "1.1.1.1 ::3 1.1.1.2 -", "1.1.1.1 1.1.1.2 -"};
    static const int n[] = {6, 5, 4, 3};
    qn_addr_t v[8];
    TEST_ROUND("%zu", tried);
    qn__dial_list_t l = list_of(v, all);
    qn__dial_list_set(&l, v, 3);
    (void)take(&l, (int)tried);
    CHECK_INT(qn__dial_list_left(&l), tried < 3);
    qn__dial_list_set(&l, v, 5);
    CHECK(qn__dial_list_left(&l));
    CHECK_STR(take(&l, n[tried]), rest[tried]);
  }
}

TEST(one_that_is_taken_back_comes_again)
{
  static const char *const all[] = {"::1", "1.1.1.1", NULL};
  qn_addr_t v[8];
  qn__dial_list_t l = list_of(v, all);
  qn__dial_list_undo(&l);
  CHECK_STR(take(&l, 2), "::1 1.1.1.1");
  qn__dial_list_undo(&l);
  CHECK(qn__dial_list_left(&l));
  CHECK_STR(take(&l, 2), "1.1.1.1 -");
  CHECK_INT(l.given, 2);
}

TEST(no_more_than_the_limit)
{
  static qn_addr_t v[QN_RESOLVE_MAX + 5];
  qn__dial_list_t l = {0};
  for (int i = 0; i < QN_RESOLVE_MAX + 5; i++) {
    REQUIRE_INT(qn_addr_parse(&v[i], i % 3 == 0 ? "::1" : "1.1.1.1", 80, QN_FAMILY_ANY), 0);
  }
  qn__dial_list_set(&l, v, QN_RESOLVE_MAX + 5);
  bool seen[QN_RESOLVE_MAX] = {false};
  for (int n = 0; n < QN_RESOLVE_MAX; n++) {
    int i = qn__dial_list_next(&l);
    REQUIRE(i >= 0 && i < QN_RESOLVE_MAX && !seen[i]);
    seen[i] = true;
  }
  CHECK_INT(qn__dial_list_next(&l), -1);
}

TEST(the_most_telling_error)
{
  static const struct {
    int v[4], want;
  } cases[] = {
      {{0}, 0},
      {{-EAFNOSUPPORT, -EAFNOSUPPORT}, -EAFNOSUPPORT},
      {{-EAFNOSUPPORT, -ECONNREFUSED, -ENETUNREACH}, -ECONNREFUSED},
      {{-ENETUNREACH, -EAFNOSUPPORT, -EHOSTUNREACH}, -ENETUNREACH},
      {{-EADDRNOTAVAIL, -EMFILE}, -EMFILE},
      {{-ETIMEDOUT, -ECONNREFUSED}, -ETIMEDOUT},
      {{-ECONNREFUSED, QN_E_TIMEOUT}, -ECONNREFUSED},
  };
  static const char *const all[] = {"::1", "::2", "::3", "::4", NULL};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    qn_addr_t v[8];
    TEST_ROUND("%zu", i);
    qn__dial_list_t l = list_of(v, all);
    for (int k = 0; k < 4; k++) {
      l.errors[qn__dial_list_next(&l)] = cases[i].v[k];
    }
    CHECK_INT(qn__dial_list_error(&l), cases[i].want);
  }
}

/* hosts_file_test.c: the hosts file: what a line says, both ways of looking up, big and bad files.
 */
#include "net/hosts_file.h"
#include "test.h"

#include <errno.h>
#include <net/if.h>
#include <time.h>
#include <unistd.h>

#define MANY 100000

static qn__hosts_t *parse(const char *text)
{
  qn__hosts_t *h = NULL;
  REQUIRE_INT(qn__hosts_parse(text, strlen(text), &h), 0);
  REQUIRE(h != NULL);
  return h;
}

/* "1.2.3.4 ::1": the addresses of a name. */
static const char *find(const qn__hosts_t *h, const char *name, qn_family_t family)
{
  static char out[2048];
  qn_addr_t v[64];
  const char *canonical;
  size_t n = qn__hosts_find(h, name, family, v, 64, &canonical), used = 0;
  out[0] = '\0';
  CHECK((n > 0) == (canonical != NULL));
  for (size_t i = 0; i < n; i++) {
    char text[QN_ADDR_TEXT];
    qn_addr_host(&v[i], text, sizeof text);
    CHECK_INT(qn_addr_port(&v[i]), 0);
    used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", i > 0 ? " " : "", text);
  }
  return out;
}

static const char *names(const qn__hosts_t *h, const char *address, size_t max)
{
  static char out[2048];
  const char *v[64];
  qn_addr_t a;
  size_t used = 0;
  REQUIRE_INT(qn_addr_parse(&a, address, 80, QN_FAMILY_ANY), 0);
  size_t n = qn__hosts_names(h, &a, v, max);
  out[0] = '\0';
  for (size_t i = 0; i < n; i++) {
    used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", i > 0 ? " " : "", v[i]);
  }
  return out;
}

static const char usual[] = "127.0.0.1\tlocalhost\n"
                            "127.0.1.1\tMyHost.example.org MyHost\n"
                            "\n"
                            "# The following lines are desirable for IPv6 capable hosts\n"
                            "::1     localhost ip6-localhost ip6-loopback\n"
                            "ff02::1 ip6-allnodes\n"
                            "10.0.0.1 db db.internal # the primary\n"
                            "10.0.0.2 db\n"
                            "10.0.0.1 db again\n"
                            "fd00::1 db";

TEST(names_have_the_addresses_of_all_their_lines)
{
  qn__hosts_t *h = parse(usual);
  CHECK_STR(find(h, "localhost", QN_FAMILY_ANY), "127.0.0.1 ::1");
  CHECK_STR(find(h, "localhost", QN_FAMILY_IPV4), "127.0.0.1");
  CHECK_STR(find(h, "localhost", QN_FAMILY_IPV6), "::1");
  CHECK_STR(find(h, "db", QN_FAMILY_ANY), "10.0.0.1 10.0.0.2 fd00::1");
  CHECK_STR(find(h, "db", QN_FAMILY_IPV6), "fd00::1");
  CHECK_STR(find(h, "db.internal", QN_FAMILY_ANY), "10.0.0.1");
  CHECK_STR(find(h, "again", QN_FAMILY_ANY), "10.0.0.1");
  CHECK_STR(find(h, "ip6-allnodes", QN_FAMILY_IPV4), "");
  CHECK(qn__hosts_has(h, "ip6-allnodes"));
  CHECK_STR(find(h, "nobody", QN_FAMILY_ANY), "");
  CHECK(!qn__hosts_has(h, "nobody"));
  CHECK_STR(find(h, "primary", QN_FAMILY_ANY), "");
  CHECK_STR(find(h, "", QN_FAMILY_ANY), "");
  CHECK_STR(find(h, ".", QN_FAMILY_ANY), "");
  CHECK_UINT(qn__hosts_n_lines(h), 8);
  CHECK_UINT(qn__hosts_n_names(h), 13);
  qn__hosts_free(h);
}

TEST(names_compare_without_case_and_final_dot)
{
  qn__hosts_t *h = parse(usual);
  const char *canonical = NULL;
  qn_addr_t v[4];
  CHECK_STR(find(h, "myhost", QN_FAMILY_ANY), "127.0.1.1");
  CHECK_STR(find(h, "MYHOST.EXAMPLE.ORG.", QN_FAMILY_ANY), "127.0.1.1");
  CHECK_UINT(qn__hosts_find(h, "myhost", QN_FAMILY_ANY, v, 4, &canonical), 1);
  CHECK_STR(canonical, "MyHost.example.org");
  CHECK_UINT(qn__hosts_find(h, "myhost", QN_FAMILY_ANY, v, 0, NULL), 0);
  CHECK_UINT(qn__hosts_find(h, "db", QN_FAMILY_ANY, v, 2, NULL), 2);
  qn__hosts_free(h);
  h = parse("1.2.3.4 dotted. [x] @` . .. twice..\n");
  CHECK_STR(find(h, "dotted", QN_FAMILY_ANY), "1.2.3.4");
  CHECK(!qn__hosts_has(h, "dotted.."));
  CHECK(!qn__hosts_has(h, "twice."));
  CHECK(!qn__hosts_has(h, "."));
  CHECK(!qn__hosts_has(h, ".."));
  CHECK_STR(find(h, "{x}", QN_FAMILY_ANY), ""); /* not letters: not folded */
  CHECK_STR(find(h, "`@", QN_FAMILY_ANY), "");
  qn__hosts_free(h);
}

TEST(addresses_have_the_names_of_all_their_lines)
{
  qn__hosts_t *h = parse(usual);
  CHECK_STR(names(h, "127.0.0.1", 64), "localhost");
  CHECK_STR(names(h, "127.0.1.1", 64), "MyHost.example.org MyHost");
  CHECK_STR(names(h, "::1", 64), "localhost ip6-localhost ip6-loopback");
  CHECK_STR(names(h, "10.0.0.1", 64), "db db.internal again");
  CHECK_STR(names(h, "10.0.0.1", 2), "db db.internal");
  CHECK_STR(names(h, "::ffff:10.0.0.2", 64), "db");
  CHECK_STR(names(h, "10.9.9.9", 64), "");
  qn_addr_t path;
  const char *v[1];
  qn_addr_unix(&path, "/x", 2);
  CHECK_UINT(qn__hosts_names(h, &path, v, 1), 0);
  qn__hosts_free(h);
}

TEST(any_white_space_and_any_ends_of_lines)
{
  qn__hosts_t *h = parse(" \t1.1.1.1 \t a\tb  \r\n\r\n1.1.1.2 c\r\n1.1.1.3\vd\f\n1.1.1.4 e#f\n"
                         "#1.1.1.5 g\n  # x\n1.1.1.6 h # i\n1.1.1.7 j");
  CHECK_STR(find(h, "a", QN_FAMILY_ANY), "1.1.1.1");
  CHECK_STR(find(h, "b", QN_FAMILY_ANY), "1.1.1.1");
  CHECK_STR(find(h, "c", QN_FAMILY_ANY), "1.1.1.2");
  CHECK_STR(find(h, "d", QN_FAMILY_ANY), "1.1.1.3");
  CHECK_STR(find(h, "e", QN_FAMILY_ANY), "1.1.1.4");
  CHECK(!qn__hosts_has(h, "f"));
  CHECK(!qn__hosts_has(h, "g"));
  CHECK(!qn__hosts_has(h, "i"));
  CHECK_STR(find(h, "h", QN_FAMILY_ANY), "1.1.1.6");
  CHECK_STR(find(h, "j", QN_FAMILY_ANY), "1.1.1.7");
  qn__hosts_free(h);
}

TEST(bad_lines_are_skipped)
{
  static const char text[] =
      "localhost 127.0.0.1\n1.2.3 a\n1.2.3.256 b\n1.2.3.4.5 c\n01.2.3.4x d\n"
      "::1::2 e\n[::1] f\nfe80::1% g\n1.2.3.4\n::1 # h\n%lo i\n"
      "1111111111111111111111111111111111111111111111111111111111111111111 j\n"
      "1.2.3.4\0 k\n1.2.3.4 l\0l m\n9.9.9.9 good\n";
  qn__hosts_t *h = NULL;
  REQUIRE_INT(qn__hosts_parse(text, sizeof text - 1, &h), 0);
  for (char name[2] = "a"; name[0] <= 'l'; name[0]++) {
    TEST_ROUND("%s", name);
    CHECK(!qn__hosts_has(h, name));
  }
  CHECK(!qn__hosts_has(h, "127.0.0.1"));
  CHECK_STR(find(h, "m", QN_FAMILY_ANY), "1.2.3.4");
  CHECK_STR(find(h, "good", QN_FAMILY_ANY), "9.9.9.9");
  CHECK_UINT(qn__hosts_n_lines(h), 2);
  qn__hosts_free(h);
}

TEST(long_names_are_left_out)
{
  char text[700], name[300];
  memset(name, 'x', sizeof name);
  name[QN__HOSTS_NAME_MAX] = '\0';
  int n = snprintf(text, sizeof text, "1.1.1.1 %s %sy last\n", name, name);
  qn__hosts_t *h = NULL;
  REQUIRE_INT(qn__hosts_parse(text, (size_t)n, &h), 0);
  CHECK_STR(find(h, name, QN_FAMILY_ANY), "1.1.1.1");
  name[QN__HOSTS_NAME_MAX] = 'y';
  name[QN__HOSTS_NAME_MAX + 1] = '\0';
  CHECK(!qn__hosts_has(h, name));
  CHECK_STR(find(h, "last", QN_FAMILY_ANY), "1.1.1.1");
  qn__hosts_free(h);
}

TEST(mapped_and_loopback_addresses_as_glibc_has_them)
{
  qn__hosts_t *h = parse("::ffff:1.2.3.4 mapped\n::1 six\n::1 both\n127.0.0.9 both\n");
  CHECK_STR(find(h, "mapped", QN_FAMILY_ANY), "1.2.3.4");
  CHECK_STR(find(h, "mapped", QN_FAMILY_IPV4), "1.2.3.4");
  CHECK_STR(find(h, "mapped", QN_FAMILY_IPV6), "");
  CHECK_STR(find(h, "six", QN_FAMILY_ANY), "::1");
  CHECK_STR(find(h, "six", QN_FAMILY_IPV4), "127.0.0.1");
  CHECK_STR(find(h, "both", QN_FAMILY_IPV4), "127.0.0.9");
  CHECK_STR(names(h, "1.2.3.4", 9), "mapped");
  qn__hosts_free(h);
}

TEST(scoped_addresses)
{
  qn__hosts_t *h = parse("fe80::1%lo on-lo\nfe80::2%no-such-if nowhere\nfe80::3%7 seven\n"
                         "fe80::4 without\nfe80::2%lo nowhere\n");
  CHECK_STR(find(h, "on-lo", QN_FAMILY_ANY), "fe80::1%lo");
  CHECK_STR(find(h, "nowhere", QN_FAMILY_ANY), "fe80::2%lo");
  CHECK_STR(find(h, "without", QN_FAMILY_ANY), "fe80::4");
  qn_addr_t v[1];
  REQUIRE_INT(qn__hosts_find(h, "seven", QN_FAMILY_IPV6, v, 1, NULL), 1);
  CHECK_UINT(v[0].u.in6.sin6_scope_id, 7);
  CHECK_STR(names(h, "fe80::1%lo", 9), "on-lo");
  CHECK_STR(names(h, "fe80::1%99", 9), "");
  CHECK_STR(names(h, "fe80::4%99", 9), "without"); /* the file does not say where */
  qn__hosts_free(h);
}

TEST(one_name_with_too_many_lines_keeps_the_first)
{
  static char text[1 << 20];
  size_t used = 0;
  for (int i = 0; i < 1000; i++) {
    used +=
        (size_t)snprintf(text + used, sizeof text - used, "10.0.%d.%d same\n", i / 250, i % 250);
  }
  for (int i = 0; i < 1000; i++) {
    used += (size_t)snprintf(text + used, sizeof text - used, "0.0.0.0 name%d\n", i);
  }
  qn__hosts_t *h = NULL;
  qn_addr_t v[1000];
  const char *list[1000];
  REQUIRE_INT(qn__hosts_parse(text, used, &h), 0);
  CHECK_UINT(qn__hosts_find(h, "same", QN_FAMILY_ANY, v, 1000, NULL), QN__HOSTS_SAME_MAX);
  qn_addr_parse(&v[0], "0.0.0.0", 0, QN_FAMILY_ANY);
  CHECK_UINT(qn__hosts_names(h, &v[0], list, 1000), QN__HOSTS_SAME_MAX);
  CHECK_STR(find(h, "name999", QN_FAMILY_ANY), "0.0.0.0");
  qn__hosts_free(h);
}

TEST(empty_texts)
{
  static const char *const texts[] = {"", "\n", "#", "\n\n\n", " ", "1.2.3.4", "x", "\r\n"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    TEST_ROUND("%zu", i);
    qn__hosts_t *h = parse(texts[i]);
    CHECK_UINT(qn__hosts_n_lines(h), 0);
    CHECK(!qn__hosts_has(h, "x"));
    CHECK_STR(names(h, "1.2.3.4", 9), "");
    qn__hosts_free(h);
  }
  qn__hosts_free(NULL);
}

static double seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

TEST(a_hundred_thousand_lines)
{
  size_t room = (size_t)MANY * 64, used = 0;
  char *text = malloc(room), name[64];
  qn__hosts_t *h = NULL;
  REQUIRE(text != NULL);
  for (int i = 0; i < MANY; i++) {
    used += (size_t)snprintf(text + used, room - used, "0.0.0.0 ads%d.tracker.example.com\n", i);
  }
  used += (size_t)snprintf(text + used, room - used, "10.1.2.3 wanted.example\n");
  double start = seconds();
  REQUIRE_INT(qn__hosts_parse(text, used, &h), 0);
  double parsed = seconds();
  for (int i = 0; i < MANY; i++) {
    snprintf(name, sizeof name, "ads%d.tracker.example.com", i);
    REQUIRE(qn__hosts_has(h, name));
  }
  printf("# %d lines: %.1f ms, a find: %.0f ns\n", MANY, (parsed - start) * 1e3,
         (seconds() - parsed) * 1e9 / MANY);
  CHECK_STR(find(h, "wanted.example", QN_FAMILY_ANY), "10.1.2.3");
  CHECK_STR(names(h, "10.1.2.3", 9), "wanted.example");
  CHECK_UINT(qn__hosts_n_lines(h), MANY + 1);
  qn__hosts_free(h);
  free(text);
}

/* What a bad neighbour would write to make parsing slow: each in the size of the limit. The time is
 * printed; a quadratic step would take hours. */
TEST(hostile_files_of_the_largest_size)
{
  static const char *const units[] = {"1.1.1.1 a\n",   "\n",        "#",    "1.1.1.1 ", "a ",
                                      "::1 a a a a\n", "1.1.1.1\n", "\r\n", "x",        " "};
  char *text = malloc(QN__HOSTS_SIZE_MAX + 1);
  REQUIRE(text != NULL);
  for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
    size_t n = strlen(units[u]);
    for (size_t i = 0; i < QN__HOSTS_SIZE_MAX; i++) {
      text[i] = units[u][i % n];
    }
    memcpy(text, "2.2.2.2 first\n", 14);
    TEST_ROUND("%zu", u);
    qn__hosts_t *h = NULL;
    double start = seconds();
    REQUIRE_INT(qn__hosts_parse(text, QN__HOSTS_SIZE_MAX, &h), 0);
    CHECK_STR(find(h, "first", QN_FAMILY_ANY), "2.2.2.2");
    find(h, "a", QN_FAMILY_ANY);
    names(h, "1.1.1.1", 64);
    printf("# 8 MiB of %s: %.0f ms\n", test_show(units[u], n), (seconds() - start) * 1e3);
    qn__hosts_free(h);
    CHECK_INT(qn__hosts_parse(text, QN__HOSTS_SIZE_MAX + 1, &h), QN_E_LIMIT);
    CHECK_NULL(h);
  }
  free(text);
}

TEST(every_cut_of_a_file_is_a_file)
{
  for (size_t n = 0; n <= strlen(usual); n++) {
    char *exact = malloc(n + 1); /* so that a sanitizer sees the end */
    REQUIRE(exact != NULL);
    memcpy(exact, usual, n);
    qn__hosts_t *h = NULL;
    TEST_ROUND("%zu", n);
    REQUIRE_INT(qn__hosts_parse(exact, n, &h), 0);
    find(h, "db", QN_FAMILY_ANY);
    qn__hosts_free(h);
    free(exact);
  }
}

TEST(no_memory)
{
  for (uint64_t nth = 1;; nth++) {
    qn__hosts_t *h = NULL;
    int64_t live = qn_alloc_live();
    TEST_ROUND("allocation %d fails", (int)nth);
    qn_alloc_fail_at(nth);
    int rc = qn__hosts_parse(usual, strlen(usual), &h);
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    if (!failed) {
      CHECK_INT(rc, 0);
      CHECK(nth > 5);
      qn__hosts_free(h);
      break;
    }
    CHECK_INT(rc, -ENOMEM);
    CHECK_NULL(h);
    CHECK_INT(qn_alloc_live(), live);
  }
}

static void put(const char *path, const char *text)
{
  FILE *f = fopen(path, "wb");
  REQUIRE(f != NULL);
  fputs(text, f);
  fclose(f);
}

TEST(the_file_is_read_again_when_it_changes)
{
  char path[] = "/tmp/qn-hosts-XXXXXX";
  int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  close(fd);
  qn__hosts_file_t file = {.hosts = NULL};
  int64_t live = qn_alloc_live();
  put(path, "1.1.1.1 a\n");
  const qn__hosts_t *h = qn__hosts_file_get(&file, path);
  REQUIRE(h != NULL);
  CHECK_STR(find(h, "a", QN_FAMILY_ANY), "1.1.1.1");
  unsigned generation = file.generation;
  CHECK_PTR(qn__hosts_file_get(&file, path), h); /* the same text: the same table */
  CHECK_UINT(file.generation, generation);
  put(path, "2.2.2.2 a\n");
  h = qn__hosts_file_get(&file, path);
  REQUIRE(h != NULL);
  CHECK_STR(find(h, "a", QN_FAMILY_ANY), "2.2.2.2");
  CHECK_UINT(file.generation, generation + 1);
  put(path, "3.3.3.3 a\n");
  qn_alloc_fail_at(1);
  CHECK_PTR(qn__hosts_file_get(&file, path), h); /* no memory: the old one, and again next time */
  qn_alloc_fail_at(2);
  CHECK_PTR(qn__hosts_file_get(&file, path), h);
  qn_alloc_fail_at(0);
  h = qn__hosts_file_get(&file, path);
  REQUIRE(h != NULL);
  CHECK_STR(find(h, "a", QN_FAMILY_ANY), "3.3.3.3");
  unlink(path);
  CHECK_NULL(qn__hosts_file_get(&file, path));
  CHECK_NULL(qn__hosts_file_get(&file, path));
  CHECK_UINT(file.generation, generation + 3);
  put(path, "4.4.4.4 a\n");
  REQUIRE(qn__hosts_file_get(&file, path) != NULL);
  qn__hosts_file_drop(&file);
  qn__hosts_file_drop(&file);
  CHECK_INT(qn_alloc_live(), live);
  unlink(path);
}

TEST(a_file_that_is_too_large_counts_as_absent)
{
  char path[] = "/tmp/qn-hosts-XXXXXX";
  int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  REQUIRE_INT(write(fd, "1.1.1.1 a\n", 10), 10);
  qn__hosts_file_t file = {.hosts = NULL};
  CHECK(qn__hosts_file_get(&file, path) != NULL);
  REQUIRE_INT(ftruncate(fd, (off_t)QN__HOSTS_SIZE_MAX + 1), 0);
  CHECK_NULL(qn__hosts_file_get(&file, path));
  REQUIRE_INT(ftruncate(fd, 10), 0);
  CHECK(qn__hosts_file_get(&file, path) != NULL);
  qn__hosts_file_drop(&file);
  close(fd);
  unlink(path);
}

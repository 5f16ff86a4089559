/* resolv_conf_test.c: resolv.conf as glibc reads it: each line, the caps, the environment. */
#include "net/resolv_conf.h"
#include "test.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

static qn__resolv_conf_t conf;

static void parse(const char *text) { qn__resolv_conf_parse(&conf, text, strlen(text)); }

/* "1.2.3.4:53 [::1]:53" */
static const char *servers(void)
{
  static char out[512];
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < conf.n_servers; i++) {
    char text[QN_ADDR_TEXT];
    qn_addr_text(&conf.servers[i], text, sizeof text);
    used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", i > 0 ? " " : "", text);
  }
  return out;
}

static const char *search(void)
{
  static char out[QN__RESOLV_SEARCH_MAX * (QN_HOST_MAX + 2)];
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < conf.n_search; i++) {
    used +=
        (size_t)snprintf(out + used, sizeof out - used, "%s%s", i > 0 ? " " : "", conf.search[i]);
  }
  return out;
}

TEST(an_empty_file_gives_the_defaults)
{
  parse("");
  CHECK_STR(servers(), "");
  CHECK_STR(search(), "");
  CHECK_UINT(conf.ndots, 1);
  CHECK_UINT(conf.timeout, 5);
  CHECK_UINT(conf.attempts, 2);
  CHECK(!conf.rotate && !conf.use_tcp && !conf.edns0 && !conf.trust_ad && !conf.no_aaaa);
  qn__resolv_conf_finish(&conf, "host.example.org");
  CHECK_STR(servers(), "127.0.0.1:53");
  CHECK_STR(search(), "example.org");
  CHECK_STR(qn__resolv_conf_domain(&conf), "example.org");
}

TEST(the_domain_of_the_host_name)
{
  static const struct {
    const char *text, *host, *domain;
  } rows[] = {
      {"", "host", ""},
      {"", "host.", ""},
      {"", "", ""},
      {"", NULL, ""},
      {"", "a.b.c.", "b.c"},
      {"domain x.y\n", "a.b.c", "x.y"},
      {"search s1 s2\n", "a.b.c", "s1"},
      {"search .\n", "a.b.c", ""}, /* the root alone: no search */
      {"domain\n", "a.b.c", "b.c"},
      {"search \n", "a.b.c", "b.c"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    TEST_ROUND("%zu", i);
    parse(rows[i].text);
    qn__resolv_conf_finish(&conf, rows[i].host);
    CHECK_STR(qn__resolv_conf_domain(&conf), rows[i].domain);
  }
}

TEST(servers_of_both_families)
{
  parse("nameserver 192.0.2.1\nnameserver\t2001:db8::1  \r\nnameserver fe80::1%lo # local\n");
  CHECK_STR(servers(), "192.0.2.1:53 [2001:db8::1]:53 [fe80::1%lo]:53");
  parse("nameserver 127.1\nnameserver ::ffff:192.0.2.1\nnameserver 0.0.0.0");
  CHECK_STR(servers(), "127.0.0.1:53 192.0.2.1:53 0.0.0.0:53");
}

TEST(servers_behind_the_third_are_ignored)
{
  parse("nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4\n");
  CHECK_STR(servers(), "1.1.1.1:53 2.2.2.2:53 3.3.3.3:53");
}

TEST(what_is_no_server_is_skipped)
{
  static const char text[] =
      "nameserver\nnameserver \nnameserver host\nnameserver 1.2.3.256\nnameserver fe80::1%nosuchif\n"
      "nameserver 1.1.1.1x\nnameserverx 1.1.1.1\n nameserver 1.1.1.1\nNameserver 1.1.1.1\n"
      "#nameserver 1.1.1.1\n;nameserver 1.1.1.1\nnameserver [::1]\nnameserver 1.1.1.1:53\n"
      "nameserver "
      "1111111111111111111111111111111111111111111111111111111111111111111111111111111111\n"
      "nameserver 1.1.1.1\0\nnameserver *\n";
  qn__resolv_conf_parse(&conf, text, sizeof text - 1);
  CHECK_STR(servers(), "");
}

TEST(the_last_search_or_domain_line_counts)
{
  parse("search a.example b.example.\tc.example \n");
  CHECK_STR(search(), "a.example b.example c.example");
  parse("search a\nsearch b c\n");
  CHECK_STR(search(), "b c");
  parse("search a b\ndomain c\n");
  CHECK_STR(search(), "c");
  parse("domain c d\nsearch a b # comment\n");
  CHECK_STR(search(), "a b");
  parse("domain a b\n");
  CHECK_STR(search(), "a");
  parse("search a\nsearch\n");
  CHECK_STR(search(), "a");
  parse("search d1 d2 d3 d4 d5 d6 d7 d8\n");
  CHECK_STR(search(), "d1 d2 d3 d4 d5 d6 d7 d8");
  parse("search . a .b\n");
  CHECK_STR(search(), "a");
}

TEST(the_search_list_is_bounded)
{
  static char text[100000];
  size_t used = (size_t)snprintf(text, sizeof text, "search");
  for (int i = 0; i < 10000; i++) {
    used += (size_t)snprintf(text + used, sizeof text - used, " d%d", i);
  }
  qn__resolv_conf_parse(&conf, text, used);
  CHECK_UINT(conf.n_search, QN__RESOLV_SEARCH_MAX);
  CHECK_STR(conf.search[QN__RESOLV_SEARCH_MAX - 1], "d31");
  memset(text, 'x', sizeof text);
  memcpy(text, "search ", 7);
  memcpy(text + 7 + QN_HOST_MAX, " b", 2);
  qn__resolv_conf_parse(&conf, text, 7 + QN_HOST_MAX + 2);
  CHECK_UINT(conf.n_search, 2);
  memcpy(text + 7 + QN_HOST_MAX, "x b", 3);
  qn__resolv_conf_parse(&conf, text, 7 + QN_HOST_MAX + 3);
  CHECK_STR(search(), "b");
}

TEST(options)
{
  parse("options ndots:3 timeout:7\toptions attempts:4 rotate use-vc edns0 trust-ad no-aaaa\n");
  CHECK_UINT(conf.ndots, 3);
  CHECK_UINT(conf.timeout, 7);
  CHECK_UINT(conf.attempts, 4);
  CHECK(conf.rotate && conf.use_tcp && conf.edns0 && conf.trust_ad && conf.no_aaaa);
  parse("options ndots:2\noptions rotate\noptions ndots:0\n"); /* they add up */
  CHECK_UINT(conf.ndots, 0);
  CHECK(conf.rotate);
}

TEST(numbers_are_capped)
{
  parse("options ndots:16 timeout:31 attempts:6\n");
  CHECK_UINT(conf.ndots, 15);
  CHECK_UINT(conf.timeout, 30);
  CHECK_UINT(conf.attempts, 5);
  parse("options ndots:99999999999999999999 timeout:4294967297 attempts:18446744073709551617\n");
  CHECK_UINT(conf.ndots, 15);
  CHECK_UINT(conf.timeout, 30);
  CHECK_UINT(conf.attempts, 5);
  parse("options timeout:0 attempts:0\n");
  CHECK_UINT(conf.timeout, 1);
  CHECK_UINT(conf.attempts, 1);
  parse("options ndots: timeout:-1 attempts:x rotatex ROTATE xrotate use-vc: ndots\n");
  CHECK_UINT(conf.ndots, 1);
  CHECK_UINT(conf.timeout, 5);
  CHECK_UINT(conf.attempts, 2);
  CHECK(!conf.rotate && !conf.use_tcp);
  parse("options ndots:3x\n");
  CHECK_UINT(conf.ndots, 3);
}

TEST(what_has_no_effect_is_accepted)
{
  parse("sortlist 130.155.160.0/255.255.240.0 130.155.0.0\nlookup file bind\nfamily inet4\n"
        "options debug inet6 ip6-bytestring ip6-dotint no-check-names no-reload no-tld-query "
        "single-request single-request-reopen ndots:2\nnonsense\n\n\t\n");
  CHECK_UINT(conf.ndots, 2);
  CHECK_STR(servers(), "");
}

TEST(the_environment_comes_last)
{
  parse("search a b\noptions ndots:2 rotate\n");
  qn__resolv_conf_environ(&conf, NULL, NULL);
  CHECK_STR(search(), "a b");
  qn__resolv_conf_environ(&conf, "x.example y.example", "ndots:4 use-vc");
  CHECK_STR(search(), "x.example y.example");
  CHECK_UINT(conf.ndots, 4);
  CHECK(conf.rotate && conf.use_tcp);
  qn__resolv_conf_environ(&conf, "", "");
  CHECK_STR(search(), "");
  qn__resolv_conf_finish(&conf, "host.example.org");
  CHECK_STR(search(), ""); /* nothing was wanted, so nothing is guessed */
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
  char path[] = "/tmp/qn-resolv-XXXXXX";
  int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  close(fd);
  unsetenv("LOCALDOMAIN");
  unsetenv("RES_OPTIONS");
  qn__resolv_file_t file = {.generation = 0};
  put(path, "nameserver 1.1.1.1\nsearch a\n");
  const qn__resolv_conf_t *c = qn__resolv_file_get(&file, path);
  CHECK_UINT(file.generation, 1);
  CHECK_UINT(c->n_servers, 1);
  CHECK_STR(c->search[0], "a");
  CHECK_PTR(qn__resolv_file_get(&file, path), c);
  CHECK_UINT(file.generation, 1);
  put(path, "nameserver 1.1.1.1\nnameserver 2.2.2.2\n");
  qn_alloc_fail_at(1);
  c = qn__resolv_file_get(&file, path);
  qn_alloc_fail_at(0);
  CHECK_UINT(c->n_servers, 1); /* no memory: as before, and again next time */
  c = qn__resolv_file_get(&file, path);
  CHECK_UINT(c->n_servers, 2);
  CHECK_UINT(file.generation, 2);
  unlink(path);
  c = qn__resolv_file_get(&file, path);
  CHECK_UINT(c->n_servers, 1); /* absent: the defaults */
  CHECK_UINT(c->timeout, 5);
  CHECK_UINT(file.generation, 3);
  setenv("RES_OPTIONS", "ndots:9", 1);
  setenv("LOCALDOMAIN", "env.example", 1);
  put(path, "search file.example\n");
  c = qn__resolv_file_get(&file, path);
  CHECK_UINT(c->ndots, 9);
  CHECK_STR(qn__resolv_conf_domain(c), "env.example");
  unsetenv("LOCALDOMAIN");
  unsetenv("RES_OPTIONS");
  unlink(path);
}

TEST(no_memory_at_first_gives_the_defaults)
{
  qn__resolv_file_t file = {.generation = 0};
  qn_alloc_fail_at(1);
  const qn__resolv_conf_t *c = qn__resolv_file_get(&file, "/etc/resolv.conf");
  qn_alloc_fail_at(0);
  CHECK_UINT(c->n_servers, 1);
  CHECK(!file.stamp.known); /* so it is tried again */
}

static double seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

TEST(hostile_files_of_the_largest_size)
{
  static const char *const units[] = {"nameserver 1.1.1.1\n",
                                      "search a b c d e f\n",
                                      "options ndots:1 ",
                                      "search ",
                                      " ",
                                      "\n",
                                      "x",
                                      "options "};
  char *text = malloc(QN__RESOLV_SIZE_MAX);
  REQUIRE(text != NULL);
  for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
    size_t n = strlen(units[u]);
    for (size_t i = 0; i < QN__RESOLV_SIZE_MAX; i++) {
      text[i] = units[u][i % n];
    }
    double start = seconds();
    qn__resolv_conf_parse(&conf, text, QN__RESOLV_SIZE_MAX);
    printf("# 256 KiB of %s: %.1f ms\n", test_show(units[u], n), (seconds() - start) * 1e3);
    CHECK(conf.n_servers <= QN__RESOLV_SERVERS_MAX);
    CHECK(conf.n_search <= QN__RESOLV_SEARCH_MAX);
  }
  free(text);
}

TEST(every_cut_of_a_file_is_a_file)
{
  static const char text[] = "nameserver fe80::1%lo\nsearch a.b c.d\noptions ndots:12 rotate\n";
  for (size_t n = 0; n < sizeof text; n++) {
    char *exact = malloc(n + 1);
    REQUIRE(exact != NULL);
    memcpy(exact, text, n);
    qn__resolv_conf_parse(&conf, exact, n);
    qn__resolv_conf_finish(&conf, "a.b");
    CHECK(conf.n_servers == 1);
    free(exact);
  }
}

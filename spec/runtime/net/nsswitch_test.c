/* nsswitch_test.c: which hosts lines are ours, wholly, for some names, or not at all. */
#include "net/nsswitch.h"
#include "test.h"

#include <unistd.h>

static qn__nsswitch_t s;

static void parse(const char *text) { qn__nsswitch_parse(&s, text, strlen(text)); }

static const char *services(void)
{
  if (s.foreign) {
    return "foreign";
  }
  static char out[64];
  out[0] = '\0';
  for (size_t i = 0; i < s.n; i++) {
    size_t used = strlen(out);
    snprintf(out + used, sizeof out - used, "%s%s", i > 0 ? " " : "",
             s.v[i] == QN__NSS_FILES ? "files" : "dns");
  }
  return out;
}

static const struct {
  const char *text, *services;
} rows[] = {
    {"hosts: files dns\n", "files dns"},
    {"hosts:files dns", "files dns"},
    {"  hosts :\tfiles\tdns  # comment\r\n", "files dns"},
    {"hosts: dns files\n", "dns files"},
    {"hosts: files\n", "files"},
    {"hosts: dns\n", "dns"},
    {"hosts: files dns files\n", "files dns"},
    {"passwd: compat\nhosts: dns\nhosts: files\n", "dns"},
    {"# hosts: files\nhosts: dns\n", "dns"},
    {"", "files dns"},
    {"passwd: files\n", "files dns"},
    {"xhosts: files\nhostsx: files\nhost: files\n", "files dns"},
    {"hosts files\n", "files dns"},
    {"hosts:\n", "foreign"},
    {"hosts: # files\n", "foreign"},
    {"hosts: Files dns\n", "foreign"},
    {"hosts: files resolve dns\n", "foreign"},
    {"hosts: mymachines files dns\n", "foreign"},
    {"hosts: files nis dns\n", "foreign"},
    {"hosts: files mdns4 dns\n", "foreign"},
    {"hosts: files mdns4_minimal [NOTFOUND=return] dns\n", "files dns"},
    {"hosts: files mdns4_minimal[NOTFOUND=return]dns\n", "files dns"},
    {"hosts: files mdns_minimal dns\n", "files dns"},
    {"hosts: files mdns4_minimal [ notfound = Return ] dns myhostname\n", "files dns"},
    {"hosts: files dns [NOTFOUND=return]\n", "files dns"},
    {"hosts: files [NOTFOUND=return] dns\n", "foreign"},
    {"hosts: dns [!UNAVAIL=return] files\n", "foreign"},
    {"hosts: files [SUCCESS=merge] dns\n", "foreign"},
    {"hosts: files dns [SUCCESS=continue]\n", "foreign"},
    {"hosts: files mdns4_minimal [UNAVAIL=return] dns\n", "foreign"},
    {"hosts: files [NOTFOUND=return\n", "foreign"},
    {"hosts: [NOTFOUND=return] files dns\n", "foreign"},
    {"hosts: files myhostname\n", "files"},
    {"hosts: myhostname\n", "foreign"},
    {"hosts: files [NOTFOUND=returnx]\n", "foreign"},
    {"hosts: files [NOTFOUND=retur]\n", "foreign"},
    {"hosts: files []\n", "foreign"},
};

TEST(hosts_lines)
{
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    TEST_ROUND("%s", rows[i].text);
    parse(rows[i].text);
    CHECK_STR(services(), rows[i].services);
    CHECK_INT(qn__nsswitch_can_find(&s, "name.example", "host"), !s.foreign);
  }
}

TEST(names_that_mdns_answers_for)
{
  qn_addr_t a;
  parse("hosts: files mdns4_minimal [NOTFOUND=return] dns\n");
  CHECK(qn__nsswitch_can_find(&s, "example.org", NULL));
  CHECK(qn__nsswitch_can_find(&s, "localhost", NULL));
  CHECK(qn__nsswitch_can_find(&s, "notlocal", NULL));
  CHECK(!qn__nsswitch_can_find(&s, "printer.local", NULL));
  CHECK(!qn__nsswitch_can_find(&s, "a.b.LOCAL.", NULL));
  CHECK(!qn__nsswitch_can_find(&s, "local", NULL));
  CHECK(qn__nsswitch_can_find(&s, "", NULL));
  static const struct {
    const char *text;
    bool ours;
  } addresses[] = {{"10.0.0.1", true},    {"169.254.1.1", false}, {"::ffff:169.254.1.1", false},
                   {"169.253.1.1", true}, {"fe80::1", false},     {"2001:db8::1", true},
                   {"::1", true}};
  for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
    TEST_ROUND("%s", addresses[i].text);
    qn_addr_parse(&a, addresses[i].text, 0, QN_FAMILY_IPV6);
    if (a.size == 0) {
      qn_addr_parse(&a, addresses[i].text, 0, QN_FAMILY_ANY);
    }
    CHECK_INT(qn__nsswitch_can_reverse(&s, &a), addresses[i].ours);
  }
}

TEST(names_of_this_machine)
{
  qn_addr_t a;
  parse("hosts: files myhostname dns\n");
  CHECK(qn__nsswitch_can_find(&s, "example.org", "me.example.net"));
  CHECK(!qn__nsswitch_can_find(&s, "me", "me.example.net"));
  CHECK(!qn__nsswitch_can_find(&s, "ME.example.NET.", "me.example.net"));
  CHECK(qn__nsswitch_can_find(&s, "me.example", "me.example.net"));
  CHECK(qn__nsswitch_can_find(&s, "mex", "me"));
  CHECK(!qn__nsswitch_can_find(&s, "me", "me"));
  CHECK(!qn__nsswitch_can_find(&s, "localhost", "me"));
  CHECK(!qn__nsswitch_can_find(&s, "x.localhost", "me"));
  CHECK(!qn__nsswitch_can_find(&s, "localhost.localdomain", "me"));
  CHECK(!qn__nsswitch_can_find(&s, "_gateway", "me"));
  CHECK(!qn__nsswitch_can_find(&s, "_outbound", "me"));
  CHECK(!qn__nsswitch_can_find(&s, "example.org", NULL)); /* perhaps */
  qn_addr_parse(&a, "10.0.0.1", 0, QN_FAMILY_ANY);
  CHECK(!qn__nsswitch_can_reverse(&s, &a));
  parse("hosts: files dns\n");
  CHECK(qn__nsswitch_can_find(&s, "localhost", NULL));
  CHECK(qn__nsswitch_can_reverse(&s, &a));
  parse("hosts: files resolve\n");
  CHECK(!qn__nsswitch_can_reverse(&s, &a));
}

TEST(the_file_is_read_again_when_it_changes)
{
  char path[] = "/tmp/qn-nsswitch-XXXXXX";
  qn__nsswitch_file_t file;
  memset(&file, 0, sizeof file);
  int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  REQUIRE_INT(write(fd, "hosts: dns\n", 11), 11);
  CHECK_INT(qn__nsswitch_file_get(&file, path)->n, 1);
  CHECK_INT(qn__nsswitch_file_get(&file, path)->n, 1);
  REQUIRE_INT(ftruncate(fd, 0), 0);
  qn_alloc_fail_at(1);
  CHECK_INT(qn__nsswitch_file_get(&file, path)->n, 1);
  qn_alloc_fail_at(0);
  CHECK_INT(qn__nsswitch_file_get(&file, path)->n, 2);
  REQUIRE_INT(pwrite(fd, "hosts: nis", 10, 0), 10);
  CHECK(qn__nsswitch_file_get(&file, path)->foreign);
  close(fd);
  unlink(path);
  const qn__nsswitch_t *t = qn__nsswitch_file_get(&file, path);
  CHECK(t->n == 2 && !t->foreign && t->v[0] == QN__NSS_FILES);
}

TEST(every_cut_and_hostile_sizes)
{
  static const char text[] = "passwd: x\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n";
  for (size_t n = 0; n < sizeof text; n++) {
    char *exact = malloc(n + 1);
    REQUIRE(exact != NULL);
    memcpy(exact, text, n);
    qn__nsswitch_parse(&s, exact, n);
    CHECK(s.foreign || s.n > 0);
    free(exact);
  }
  static const char *const units[] = {"hosts: ", "[", "files ", "hosts", " ", "]", "[]", "dns["};
  char *big = malloc(QN__NSSWITCH_SIZE_MAX);
  REQUIRE(big != NULL);
  for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
    size_t n = strlen(units[u]);
    for (size_t i = 0; i < QN__NSSWITCH_SIZE_MAX; i++) {
      big[i] = units[u][i % n];
    }
    memcpy(big, "hosts: ", 7);
    qn__nsswitch_parse(&s, big, QN__NSSWITCH_SIZE_MAX);
    CHECK(s.n <= QN__NSSWITCH_SERVICES_MAX);
  }
  free(big);
}

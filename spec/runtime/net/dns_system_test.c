/* dns_system_test.c: what the system says about its name, its domain and its servers. */
#include "qn/dns_system.h"
#include "test.h"

#include <unistd.h>

TEST(the_host_has_its_name)
{
  char name[QN_SYSTEM_NAME], want[QN_SYSTEM_NAME];
  REQUIRE_INT(gethostname(want, sizeof want), 0);
  CHECK_UINT(qn_system_host_name(name), strlen(want));
  CHECK_STR(name, want);
}

TEST(the_domain_fits)
{
  char name[QN_SYSTEM_NAME];
  size_t n = qn_system_domain_name(name);
  CHECK_UINT(strlen(name), n);
}

TEST(the_servers_of_a_file)
{
  char path[] = "/tmp/qn-dns-system-XXXXXX", text[QN_ADDR_TEXT];
  static const char conf[] = "nameserver 192.0.2.1\nnameserver ::1\nsearch x.test\n";
  qn_addr_t v[QN_SYSTEM_SERVERS];
  int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  REQUIRE(write(fd, conf, sizeof conf - 1) == sizeof conf - 1);
  close(fd);
  CHECK_UINT(qn_system_dns_servers(path, v), 2);
  qn_addr_text(&v[0], text, sizeof text);
  CHECK_STR(text, "192.0.2.1:53");
  qn_addr_text(&v[1], text, sizeof text);
  CHECK_STR(text, "[::1]:53");
  unlink(path);
  CHECK_UINT(qn_system_dns_servers(path, v), 1); /* no file: the machine itself */
  CHECK(qn_system_dns_servers(NULL, v) >= 1);
}

/* netif_read_test.c: the interfaces of the machine that the test runs on, beside getifaddrs. */
#include "qn/netif.h"
#include "test.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>

static const qn_netif_t *find(const qn_netifs_t *list, const char *name)
{
  for (size_t i = 0; i < list->n; i++) {
    if (strcmp(list->v[i].name, name) == 0) {
      return &list->v[i];
    }
  }
  return NULL;
}

static bool same(const qn_addr_t *a, const struct sockaddr *b)
{
  qn_addr_t other = {0};
  if (b == NULL) {
    return a->size == 0;
  }
  other.size = b->sa_family == AF_INET ? sizeof other.u.in4 : sizeof other.u.in6;
  memcpy(&other.u, b, other.size);
  return qn_addr_equal(a, &other);
}

TEST(it_is_what_the_system_library_says)
{
  qn_netifs_t list;
  struct ifaddrs *all, *p;
  size_t addresses = 0;
  CHECK_INT(qn_netifs_read(&list), 0);
  CHECK_INT(getifaddrs(&all), 0);
  for (p = all; p != NULL; p = p->ifa_next) {
    const qn_netif_t *netif = find(&list, p->ifa_name);
    TEST_ROUND("%s", p->ifa_name);
    REQUIRE(netif != NULL);
    CHECK_UINT(netif->index, if_nametoindex(p->ifa_name));
    CHECK_INT((netif->flags & QN_NETIF_UP) != 0, (p->ifa_flags & IFF_UP) != 0);
    CHECK_INT((netif->flags & QN_NETIF_LOOPBACK) != 0, (p->ifa_flags & IFF_LOOPBACK) != 0);
    if (p->ifa_addr == NULL ||
        (p->ifa_addr->sa_family != AF_INET && p->ifa_addr->sa_family != AF_INET6)) {
      continue;
    }
    addresses++;
    bool found = false;
    for (size_t i = 0; i < netif->n_entries && !found; i++) {
      found = same(&netif->entries[i].ip, p->ifa_addr) &&
              same(&netif->entries[i].netmask, p->ifa_netmask);
    }
    CHECK(found);
  }
  CHECK_UINT(list.n_entries, addresses);
  for (size_t i = 1; i < list.n; i++) {
    CHECK(list.v[i - 1].index < list.v[i].index);
  }
  freeifaddrs(all);
  qn_netifs_free(&list);
}

TEST(loopback)
{
  qn_netifs_t list;
  CHECK_INT(qn_netifs_read(&list), 0);
  const qn_netif_t *lo = find(&list, "lo");
  REQUIRE(lo != NULL);
  CHECK_INT(lo->type, QN_NETIF_TYPE_LOOPBACK);
  CHECK(lo->mtu > 0);
  CHECK_INT((lo->flags & QN_NETIF_LOOPBACK) != 0, 1);
  CHECK_MEM(lo->hardware, lo->hardware_size, "\0\0\0\0\0\0", 6);
  REQUIRE(lo->n_entries > 0);
  CHECK_INT(lo->entries[0].prefix_length, 8);
  CHECK_UINT(lo->entries[0].valid, QN_NETIF_FOREVER);
  CHECK(!lo->entries[0].dns_eligible && !lo->entries[0].temporary);
  qn_netifs_free(&list);
}

TEST(names_and_indexes)
{
  char name[QN_NETIF_NAME];
  uint32_t index = 0;
  CHECK_INT(qn_netif_index("lo", &index), 0);
  CHECK_INT(qn_netif_name(index, name), 0);
  CHECK_STR(name, "lo");
  CHECK_INT(qn_netif_index("no-such-if", &index), -ENODEV);
  CHECK_INT(qn_netif_index("", &index), -ENODEV);
  CHECK_INT(qn_netif_index("a-name-of-more-than-16-bytes", &index), -ENODEV);
  CHECK_INT(qn_netif_name(0, name), -ENODEV);
  CHECK_INT(qn_netif_name(4000000000, name), -ENODEV);
}

TEST(no_memory)
{
  int64_t before = qn_alloc_live();
  for (uint64_t nth = 1;; nth++) {
    qn_netifs_t list;
    qn_alloc_fail_at(nth);
    int rc = qn_netifs_read(&list);
    bool failed = qn_alloc_failed();
    CHECK_INT(rc, failed ? -ENOMEM : 0);
    qn_netifs_free(&list);
    CHECK_INT(qn_alloc_live(), before);
    if (!failed) {
      qn_alloc_fail_at(0);
      break;
    }
  }
}

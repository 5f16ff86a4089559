/* netif_test.c: route messages of our own: order, flags, types, lifetimes, hostile lengths. */
#include "net/netif_i.h"
#include "qn/ip.h"
#include "test.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>

typedef struct message {
  union {
    struct nlmsghdr head;
    uint8_t bytes[1024];
  } u;
} message_t;

static void begin(message_t *m, uint16_t type, const void *body, size_t size)
{
  memset(m, 0, sizeof *m);
  m->u.head.nlmsg_type = type;
  m->u.head.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
  memcpy(NLMSG_DATA(&m->u.head), body, size);
}

static void add(message_t *m, unsigned short type, const void *data, size_t size)
{
  size_t at = NLMSG_ALIGN(m->u.head.nlmsg_len);
  struct rtattr a = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(size)};
  memcpy(m->u.bytes + at, &a, sizeof a);
  memcpy(m->u.bytes + at + RTA_LENGTH(0), data, size);
  m->u.head.nlmsg_len = (uint32_t)(at + RTA_LENGTH(size));
}

static void link_message(message_t *m, int index, const char *name, unsigned flags,
                         unsigned short type)
{
  struct ifinfomsg body = {.ifi_index = index, .ifi_flags = flags, .ifi_type = type};
  begin(m, RTM_NEWLINK, &body, sizeof body);
  add(m, IFLA_IFNAME, name, strlen(name) + 1);
}

static void address_message(message_t *m, uint32_t index, const char *ip, uint8_t prefix)
{
  uint8_t bytes[16];
  bool six = strchr(ip, ':') != NULL;
  struct ifaddrmsg body = {
      .ifa_family = six ? AF_INET6 : AF_INET, .ifa_index = index, .ifa_prefixlen = prefix};
  begin(m, RTM_NEWADDR, &body, sizeof body);
  CHECK_INT(inet_pton(body.ifa_family, ip, bytes), 1);
  add(m, IFA_ADDRESS, bytes, six ? 16 : 4);
}

static const char *shown(const qn_addr_t *a)
{
  static char text[QN_ADDR_TEXT];
  qn_addr_host(a, text, sizeof text);
  return text;
}

TEST(links_have_what_the_kernel_says)
{
  qn__netif_build_t b = {0};
  qn_netifs_t list;
  message_t m;
  uint32_t mtu = 1400;
  link_message(&m, 7, "eth0", IFF_UP | IFF_BROADCAST | IFF_RUNNING | IFF_MULTICAST | IFF_NOARP,
               ARPHRD_ETHER);
  add(&m, IFLA_MTU, &mtu, sizeof mtu);
  add(&m, IFLA_ADDRESS, "\x02\xfc\0\0\0\1", 6);
  add(&m, IFLA_IFALIAS, "up link", 8);
  CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  link_message(&m, 1, "lo", IFF_UP | IFF_LOOPBACK, ARPHRD_LOOPBACK);
  CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  link_message(&m, 3, "tun0", IFF_POINTOPOINT, ARPHRD_NONE);
  CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  m.u.head.nlmsg_type = RTM_NEWROUTE; /* not ours */
  CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  CHECK_INT(qn__netif_finish(&b, &list), 0);
  CHECK_UINT(list.n, 3);
  CHECK_STR(list.v[0].name, "lo");
  CHECK_UINT(list.v[0].index, 1);
  CHECK_INT(list.v[0].type, QN_NETIF_TYPE_LOOPBACK);
  CHECK_UINT(list.v[0].flags, QN_NETIF_UP | QN_NETIF_LOOPBACK);
  CHECK_UINT(list.v[0].mtu, 0);
  CHECK_UINT(list.v[0].hardware_size, 0);
  CHECK_UINT(list.v[0].n_entries, 0);
  CHECK_STR(list.v[1].name, "tun0");
  CHECK_UINT(list.v[1].flags, QN_NETIF_POINT_TO_POINT);
  CHECK_INT(list.v[1].type, QN_NETIF_TYPE_VIRTUAL);
  CHECK_STR(list.v[2].name, "eth0");
  CHECK_STR(list.v[2].alias, "up link");
  CHECK_UINT(list.v[2].mtu, 1400);
  CHECK_UINT(list.v[2].flags,
             QN_NETIF_UP | QN_NETIF_RUNNING | QN_NETIF_BROADCAST | QN_NETIF_MULTICAST);
  CHECK_MEM(list.v[2].hardware, list.v[2].hardware_size, "\x02\xfc\0\0\0\1", 6);
  qn_netifs_free(&list);
  CHECK_UINT(list.n, 0);
  qn_netifs_free(&list);
}

TEST(entries_lie_with_their_link_in_their_order)
{
  static const struct {
    uint32_t index;
    const char *ip;
    uint8_t prefix;
  } rows[] = {{1, "127.0.0.1", 8}, {5, "10.0.0.1", 24}, {5, "10.0.0.2", 32},   {4, "9.9.9.9", 0},
              {1, "::1", 128},     {5, "fe80::1", 64},  {9, "2001:db8::1", 33}};
  qn__netif_build_t b = {0};
  qn_netifs_t list;
  message_t m;
  for (int index = 9; index >= 1; index -= 4) {
    link_message(&m, index, "x", 0, ARPHRD_ETHER);
    CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  }
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    address_message(&m, rows[i].index, rows[i].ip, rows[i].prefix);
    CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  }
  CHECK_INT(qn__netif_finish(&b, &list), 0);
  CHECK_UINT(list.n, 3);
  CHECK_UINT(list.n_entries, 6); /* link 4 is gone */
  CHECK_UINT(list.v[0].n_entries, 2);
  CHECK_STR(shown(&list.v[0].entries[0].ip), "127.0.0.1");
  CHECK_STR(shown(&list.v[0].entries[0].netmask), "255.0.0.0");
  CHECK_STR(shown(&list.v[0].entries[1].ip), "::1");
  CHECK_STR(shown(&list.v[0].entries[1].netmask), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  CHECK_UINT(list.v[1].n_entries, 3);
  CHECK_STR(shown(&list.v[1].entries[0].ip), "10.0.0.1");
  CHECK_STR(shown(&list.v[1].entries[1].netmask), "255.255.255.255");
  CHECK_UINT(list.v[1].entries[2].ip.u.in6.sin6_scope_id, 5);
  CHECK_UINT(list.v[1].entries[2].netmask.u.in6.sin6_scope_id, 0);
  CHECK_UINT(list.v[2].n_entries, 1);
  CHECK_STR(shown(&list.v[2].entries[0].netmask), "ffff:ffff:8000::");
  CHECK_INT(list.v[2].entries[0].prefix_length, 33);
  qn_netifs_free(&list);
}

TEST(facts_of_entries)
{
  qn__netif_build_t b = {0};
  message_t m;
  struct ifa_cacheinfo life = {.ifa_prefered = 60, .ifa_valid = 3600};
  uint32_t flags = IFA_F_TEMPORARY | IFA_F_TENTATIVE | 0x100;
  address_message(&m, 1, "2001:db8::1", 64);
  add(&m, IFA_FLAGS, &flags, sizeof flags);
  add(&m, IFA_CACHEINFO, &life, sizeof life);
  CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  qn_netif_entry_t *e = &b.rows[0].entry;
  CHECK(e->temporary && e->tentative && !e->deprecated && !e->dns_eligible && e->lifetime_known);
  CHECK_UINT(e->valid, 3600);
  CHECK_UINT(e->preferred, 60);
  CHECK_UINT(e->broadcast.size, 0);

  address_message(&m, 1, "10.0.0.9", 30); /* ppp: the far end is the address, we are local */
  add(&m, IFA_LOCAL, "\x0a\0\0\1", 4);
  add(&m, IFA_BROADCAST, "\x0a\0\0\x0b", 4);
  ((struct ifaddrmsg *)NLMSG_DATA(&m.u.head))->ifa_flags = IFA_F_SECONDARY | IFA_F_PERMANENT;
  CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  e = &b.rows[1].entry;
  CHECK_STR(shown(&e->ip), "10.0.0.1");
  CHECK_STR(shown(&e->peer), "10.0.0.9");
  CHECK_STR(shown(&e->broadcast), "10.0.0.11");
  CHECK(!e->temporary); /* the same bit says secondary there */
  CHECK(e->dns_eligible && !e->lifetime_known);
  CHECK_UINT(e->valid, QN_NETIF_FOREVER);

  static const struct {
    const char *ip;
    uint8_t flags;
    bool eligible;
  } rows[] = {{"127.0.0.1", 0, false},
              {"169.254.3.4", 0, false},
              {"192.168.1.1", 0, true},
              {"::1", 0, false},
              {"fe80::1", 0, false},
              {"fd00::1", 0, true},
              {"2001:db8::1", 0, true},
              {"2001:db8::1", IFA_F_DEPRECATED, false},
              {"2001:db8::1", IFA_F_TEMPORARY, false}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    TEST_ROUND("%s %d", rows[i].ip, rows[i].flags);
    address_message(&m, 1, rows[i].ip, 24);
    ((struct ifaddrmsg *)NLMSG_DATA(&m.u.head))->ifa_flags = rows[i].flags;
    CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
    CHECK_INT(b.rows[b.n_rows - 1].entry.dns_eligible, rows[i].eligible);
  }
  qn__netif_drop(&b);
}

/* Each message cut at every byte, each byte of it replaced: nothing is read behind its end. */
TEST(hostile_messages)
{
  uint32_t mtu = 9000;
  struct ifa_cacheinfo life = {.ifa_valid = 1};
  for (int kind = 0; kind < 2; kind++) {
    message_t m;
    if (kind == 0) {
      link_message(&m, 7, "a-name-of-more-than-16-bytes", IFF_UP, ARPHRD_ETHER);
      add(&m, IFLA_MTU, &mtu, sizeof mtu);
      add(&m, IFLA_ADDRESS, "0123456789012345678901234567890123456789", 40);
    } else {
      address_message(&m, 7, "2001:db8::1", 64);
      add(&m, IFA_LOCAL, "0123456789012345", 16);
      add(&m, IFA_CACHEINFO, &life, sizeof life);
    }
    uint32_t size = m.u.head.nlmsg_len;
    for (uint32_t cut = NLMSG_HDRLEN; cut <= size; cut++) {
      for (uint32_t at = NLMSG_HDRLEN; at <= cut; at++) {
        qn__netif_build_t b = {0};
        struct nlmsghdr *exact = malloc(cut); /* so that sanitizers see the end */
        CHECK(exact != NULL);
        memcpy(exact, &m, cut);
        if (at < cut) {
          ((uint8_t *)exact)[at] ^= 0xff;
        }
        exact->nlmsg_len = cut;
        qn__netif_take(&b, exact);
        qn__netif_drop(&b);
        free(exact);
      }
    }
  }
  qn__netif_build_t b = {0};
  message_t m;
  link_message(&m, 7, "a-name-of-more-than-16-bytes", IFF_UP, ARPHRD_ETHER);
  add(&m, IFLA_ADDRESS, "0123456789012345678901234567890123456789", 40);
  CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  CHECK_STR(b.links[0].name, "a-name-of-more-");
  CHECK_UINT(b.links[0].hardware_size, 0);
  m.u.head.nlmsg_len = NLMSG_HDRLEN;
  CHECK_INT(qn__netif_take(&b, &m.u.head), QN_E_PROTOCOL);
  m.u.head.nlmsg_type = RTM_NEWADDR;
  CHECK_INT(qn__netif_take(&b, &m.u.head), QN_E_PROTOCOL);
  address_message(&m, 7, "1.2.3.4", 33);
  CHECK_INT(qn__netif_take(&b, &m.u.head), QN_E_PROTOCOL);
  address_message(&m, 7, "1.2.3.4", 32);
  m.u.head.nlmsg_len = (uint32_t)NLMSG_LENGTH(sizeof(struct ifaddrmsg)); /* no address in it */
  CHECK_INT(qn__netif_take(&b, &m.u.head), QN_E_PROTOCOL);
  address_message(&m, 7, "1.2.3.4", 32);
  ((struct ifaddrmsg *)NLMSG_DATA(&m.u.head))->ifa_family = AF_UNIX;
  CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  CHECK_UINT(b.n_rows, 0);
  qn__netif_drop(&b);
}

TEST(there_is_a_limit)
{
  qn__netif_build_t b = {0};
  qn_netifs_t list;
  message_t m;
  link_message(&m, 1, "x", 0, ARPHRD_ETHER);
  for (uint32_t i = 0; i < 100; i++) {
    CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  }
  b.n_links = QN_NETIF_MAX_LINKS;
  CHECK_INT(qn__netif_take(&b, &m.u.head), QN_E_LIMIT);
  b.n_links = 100;
  address_message(&m, 1, "1.2.3.4", 32);
  CHECK_INT(qn__netif_take(&b, &m.u.head), 0);
  b.n_rows = QN_NETIF_MAX_ENTRIES;
  CHECK_INT(qn__netif_take(&b, &m.u.head), QN_E_LIMIT);
  b.n_rows = 1;
  CHECK_INT(qn__netif_finish(&b, &list), 0);
  CHECK_UINT(list.n, 100);
  qn_netifs_free(&list);
}

TEST(types)
{
  static const struct {
    unsigned hardware;
    const char *name;
  } rows[] = {{ARPHRD_LOOPBACK, "loopback"}, {ARPHRD_ETHER, "ethernet"},
              {ARPHRD_NONE, "virtual"},      {ARPHRD_TUNNEL, "virtual"},
              {ARPHRD_TUNNEL6, "virtual"},   {ARPHRD_SIT, "virtual"},
              {ARPHRD_IPGRE, "virtual"},     {ARPHRD_IP6GRE, "virtual"},
              {ARPHRD_VOID, "virtual"},      {ARPHRD_SLIP, "slip"},
              {ARPHRD_CSLIP6, "slip"},       {ARPHRD_CAN, "can_bus"},
              {ARPHRD_PPP, "ppp"},           {ARPHRD_FDDI, "fddi"},
              {ARPHRD_IEEE80211, "wifi"},    {ARPHRD_IEEE80211_RADIOTAP, "wifi"},
              {ARPHRD_PHONET, "phonet"},     {ARPHRD_IEEE802154, "ieee802154"},
              {ARPHRD_6LOWPAN, "6lowpan"},   {ARPHRD_IEEE1394, "ieee1394"},
              {ARPHRD_INFINIBAND, "unknown"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    TEST_ROUND("%u", rows[i].hardware);
    CHECK_STR(qn_netif_type_name(qn__netif_type(rows[i].hardware)), rows[i].name);
  }
  CHECK_STR(qn_netif_type_name(QN_NETIF_TYPE_IEEE80216), "ieee80216");
  CHECK_STR(qn_netif_type_name((qn_netif_type_t)99), "unknown");
}

TEST(no_memory)
{
  for (uint64_t nth = 1; nth <= 3; nth++) {
    qn__netif_build_t b = {0};
    qn_netifs_t list = {0};
    message_t m;
    int64_t before = qn_alloc_live();
    qn_alloc_fail_at(nth);
    link_message(&m, 1, "x", 0, ARPHRD_ETHER);
    int rc = qn__netif_take(&b, &m.u.head);
    address_message(&m, 1, "1.2.3.4", 32);
    rc = rc == 0 ? qn__netif_take(&b, &m.u.head) : rc;
    rc = rc == 0 ? qn__netif_finish(&b, &list) : rc;
    CHECK(qn_alloc_failed());
    CHECK_INT(rc, -12); /* ENOMEM */
    qn__netif_drop(&b);
    CHECK_INT(qn_alloc_live(), before);
  }
}

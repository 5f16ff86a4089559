/* netif.c: interfaces and their addresses, made of the kernel's route messages.
 *
 * netif_read.c brings the messages. Must not open sockets itself. Lengths in messages are checked
 * although the kernel wrote them: tests write others. Invariant: links are in the order of their
 * index, each one's entries lie side by side, in the order in which the kernel gave them.
 */
#include "qn/netif.h"
#include "net/netif_i.h"
#include "qn/ip.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

qn_netif_type_t qn__netif_type(unsigned hardware)
{
  switch (hardware) {
  case ARPHRD_LOOPBACK: return QN_NETIF_TYPE_LOOPBACK;
  case ARPHRD_ETHER: return QN_NETIF_TYPE_ETHERNET;
  case ARPHRD_SLIP:
  case ARPHRD_CSLIP:
  case ARPHRD_SLIP6:
  case ARPHRD_CSLIP6: return QN_NETIF_TYPE_SLIP;
  case ARPHRD_CAN: return QN_NETIF_TYPE_CAN_BUS;
  case ARPHRD_PPP: return QN_NETIF_TYPE_PPP;
  case ARPHRD_FDDI: return QN_NETIF_TYPE_FDDI;
  case ARPHRD_IEEE80211:
  case ARPHRD_IEEE80211_PRISM:
  case ARPHRD_IEEE80211_RADIOTAP: return QN_NETIF_TYPE_WIFI;
  case ARPHRD_PHONET:
  case ARPHRD_PHONET_PIPE: return QN_NETIF_TYPE_PHONET;
  case ARPHRD_IEEE802154: return QN_NETIF_TYPE_IEEE802154;
  case ARPHRD_6LOWPAN: return QN_NETIF_TYPE_6LOWPAN;
  case ARPHRD_IEEE1394: return QN_NETIF_TYPE_IEEE1394;
  case ARPHRD_TUNNEL:
  case ARPHRD_TUNNEL6:
  case ARPHRD_SIT:
  case ARPHRD_IPGRE:
  case ARPHRD_IP6GRE:
  case ARPHRD_VOID:
  case ARPHRD_NONE: return QN_NETIF_TYPE_VIRTUAL;
  default: return QN_NETIF_TYPE_UNKNOWN;
  }
}

const char *qn_netif_type_name(qn_netif_type_t type)
{
  static const char *const names[] = {"unknown",    "loopback", "virtual",   "ethernet", "slip",
                                      "can_bus",    "ppp",      "fddi",      "wifi",     "phonet",
                                      "ieee802154", "6lowpan",  "ieee80216", "ieee1394"};
  return (size_t)type < sizeof names / sizeof *names ? names[type] : names[0];
}

/* --- messages -------------------------------------------------------------------------------- */

/* Makes room for one more; NULL when there is no memory. */
static void *grow(void *v, size_t n, size_t *max, size_t size)
{
  if (n < *max) {
    return v;
  }
  size_t wanted = *max == 0 ? 16 : 2 * *max;
  void *more = qn_realloc(v, wanted * size);
  if (more != NULL) {
    *max = wanted;
  }
  return more;
}

typedef struct attribute {
  unsigned type;
  const uint8_t *data;
  size_t size;
} attribute_t;

/* The next attribute of what is left; false at the end, also at one that does not fit. */
static bool next_attribute(const uint8_t **at, size_t *left, attribute_t *out)
{
  struct rtattr head;
  if (*left < sizeof head) {
    return false;
  }
  memcpy(&head, *at, sizeof head);
  if (head.rta_len < sizeof head || head.rta_len > *left) {
    return false;
  }
  *out = (attribute_t){.type = head.rta_type & NLA_TYPE_MASK,
                       .data = *at + sizeof head,
                       .size = head.rta_len - sizeof head};
  size_t step = RTA_ALIGN((size_t)head.rta_len);
  step = step < *left ? step : *left;
  *at += step;
  *left -= step;
  return true;
}

/* Text of an attribute, cut off where it does not fit. */
static void copy_text(char *out, size_t size, const attribute_t *a)
{
  size_t n = strnlen((const char *)a->data, a->size);
  n = n < size ? n : size - 1;
  memcpy(out, a->data, n);
  out[n] = '\0';
}

static uint32_t number_of(const attribute_t *a, uint32_t otherwise)
{
  uint32_t n = otherwise;
  if (a->size >= sizeof n) {
    memcpy(&n, a->data, sizeof n);
  }
  return n;
}

static unsigned flags_of(unsigned kernel)
{
  static const struct {
    unsigned from, to;
  } map[] = {{IFF_UP, QN_NETIF_UP},
             {IFF_RUNNING, QN_NETIF_RUNNING},
             {IFF_BROADCAST, QN_NETIF_BROADCAST},
             {IFF_LOOPBACK, QN_NETIF_LOOPBACK},
             {IFF_POINTOPOINT, QN_NETIF_POINT_TO_POINT},
             {IFF_MULTICAST, QN_NETIF_MULTICAST}};
  unsigned flags = 0;
  for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
    flags |= (kernel & map[i].from) != 0 ? map[i].to : 0;
  }
  return flags;
}

static int take_link(qn__netif_build_t *b, const uint8_t *at, size_t left)
{
  struct ifinfomsg head;
  attribute_t a;
  size_t skip = NLMSG_ALIGN(sizeof head);
  if (left < sizeof head) {
    return QN_E_PROTOCOL;
  }
  if (b->n_links == QN_NETIF_MAX_LINKS) {
    return QN_E_LIMIT;
  }
  memcpy(&head, at, sizeof head);
  skip = skip < left ? skip : left;
  at += skip;
  left -= skip;
  qn_netif_t *links = grow(b->links, b->n_links, &b->max_links, sizeof *links);
  if (links == NULL) {
    return -ENOMEM;
  }
  b->links = links;
  qn_netif_t *link = &links[b->n_links];
  *link = (qn_netif_t){.index = (uint32_t)head.ifi_index,
                       .flags = flags_of(head.ifi_flags),
                       .type = qn__netif_type(head.ifi_type)};
  while (next_attribute(&at, &left, &a)) {
    switch (a.type) {
    case IFLA_IFNAME: copy_text(link->name, sizeof link->name, &a); break;
    case IFLA_IFALIAS: copy_text(link->alias, sizeof link->alias, &a); break;
    case IFLA_MTU: link->mtu = number_of(&a, 0); break;
    case IFLA_ADDRESS:
      if (a.size <= sizeof link->hardware) {
        memcpy(link->hardware, a.data, a.size);
        link->hardware_size = (uint8_t)a.size;
      }
      break;
    default: break;
    }
  }
  b->n_links++;
  return 0;
}

static void set_address(qn_addr_t *out, const struct ifaddrmsg *head, const uint8_t *bytes)
{
  memset(out, 0, sizeof *out);
  if (head->ifa_family == AF_INET) {
    out->u.in4.sin_family = AF_INET;
    memcpy(&out->u.in4.sin_addr, bytes, 4);
    out->size = sizeof out->u.in4;
  } else {
    out->u.in6.sin6_family = AF_INET6;
    memcpy(&out->u.in6.sin6_addr, bytes, 16);
    if ((qn_ip6_class(bytes) & QN_IP_LINK_LOCAL) != 0) {
      out->u.in6.sin6_scope_id = head->ifa_index;
    }
    out->size = sizeof out->u.in6;
  }
}

static void set_netmask(qn_netif_entry_t *entry, const struct ifaddrmsg *head, size_t width)
{
  uint8_t mask[16];
  for (size_t i = 0; i < width; i++) {
    int ones = entry->prefix_length - 8 * (int)i;
    mask[i] = (uint8_t)(ones >= 8 ? 0xff : ones <= 0 ? 0 : 0xff00 >> ones);
  }
  set_address(&entry->netmask, head, mask);
  entry->netmask.u.in6.sin6_scope_id = 0;
}

static void set_flags(qn_netif_entry_t *entry, const struct ifaddrmsg *head, uint32_t flags)
{
  const uint8_t *ip = head->ifa_family == AF_INET ? (const uint8_t *)&entry->ip.u.in4.sin_addr
                                                  : entry->ip.u.in6.sin6_addr.s6_addr;
  unsigned class = head->ifa_family == AF_INET ? qn_ip4_class(ip) : qn_ip6_class(ip);
  entry->temporary = head->ifa_family == AF_INET6 && (flags & IFA_F_TEMPORARY) != 0;
  entry->deprecated = (flags & IFA_F_DEPRECATED) != 0;
  entry->tentative = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0;
  entry->dns_eligible =
      !entry->temporary && !entry->deprecated && (class & (QN_IP_LOOPBACK | QN_IP_LINK_LOCAL)) == 0;
}

static int take_address(qn__netif_build_t *b, const uint8_t *at, size_t left)
{
  struct ifaddrmsg head;
  attribute_t a;
  const uint8_t *address = NULL, *local = NULL, *broadcast = NULL;
  qn_netif_entry_t entry = {.valid = QN_NETIF_FOREVER, .preferred = QN_NETIF_FOREVER};
  size_t skip = NLMSG_ALIGN(sizeof head);
  if (left < sizeof head) {
    return QN_E_PROTOCOL;
  }
  memcpy(&head, at, sizeof head);
  skip = skip < left ? skip : left;
  at += skip;
  left -= skip;
  if (head.ifa_family != AF_INET && head.ifa_family != AF_INET6) {
    return 0;
  }
  size_t width = head.ifa_family == AF_INET ? 4 : 16;
  uint32_t flags = head.ifa_flags;
  while (next_attribute(&at, &left, &a)) {
    struct ifa_cacheinfo life;
    const uint8_t *ip = a.size >= width ? a.data : NULL;
    switch (a.type) {
    case IFA_ADDRESS: address = ip; break;
    case IFA_LOCAL: local = ip; break;
    case IFA_BROADCAST: broadcast = ip; break;
    case IFA_FLAGS: flags = number_of(&a, flags); break;
    case IFA_CACHEINFO:
      if (a.size >= sizeof life) {
        memcpy(&life, a.data, sizeof life);
        entry.valid = life.ifa_valid;
        entry.preferred = life.ifa_prefered;
        entry.lifetime_known = true;
      }
      break;
    default: break;
    }
  }
  if ((local == NULL && address == NULL) || head.ifa_prefixlen > 8 * width) {
    return QN_E_PROTOCOL;
  }
  if (b->n_rows == QN_NETIF_MAX_ENTRIES) {
    return QN_E_LIMIT;
  }
  entry.prefix_length = head.ifa_prefixlen;
  set_address(&entry.ip, &head, local != NULL ? local : address);
  set_netmask(&entry, &head, width);
  if (broadcast != NULL && width == 4) {
    set_address(&entry.broadcast, &head, broadcast);
  }
  if (local != NULL && address != NULL && memcmp(local, address, width) != 0) {
    set_address(&entry.peer, &head, address);
  }
  set_flags(&entry, &head, flags);
  struct qn__netif_row *rows = grow(b->rows, b->n_rows, &b->max_rows, sizeof *rows);
  if (rows == NULL) {
    return -ENOMEM;
  }
  b->rows = rows;
  rows[b->n_rows] =
      (struct qn__netif_row){.entry = entry, .index = head.ifa_index, .order = b->n_rows};
  b->n_rows++;
  return 0;
}

int qn__netif_take(qn__netif_build_t *b, const struct nlmsghdr *message)
{
  const uint8_t *data = (const uint8_t *)message + NLMSG_HDRLEN;
  size_t size = message->nlmsg_len >= NLMSG_HDRLEN ? message->nlmsg_len - NLMSG_HDRLEN : 0;
  switch (message->nlmsg_type) {
  case RTM_NEWLINK: return take_link(b, data, size);
  case RTM_NEWADDR: return take_address(b, data, size);
  default: return 0;
  }
}

/* --- order ----------------------------------------------------------------------------------- */

static int by_index(const void *a, const void *b)
{
  const qn_netif_t *x = a, *y = b;
  return (x->index > y->index) - (x->index < y->index);
}

static int by_link(const void *a, const void *b)
{
  const struct qn__netif_row *x = a, *y = b;
  int c = (x->index > y->index) - (x->index < y->index);
  return c != 0 ? c : (x->order > y->order) - (x->order < y->order);
}

int qn__netif_finish(qn__netif_build_t *b, qn_netifs_t *out)
{
  qn_netif_entry_t *entries = NULL;
  if (b->n_rows > 0) {
    entries = qn_malloc(b->n_rows * sizeof *entries);
    if (entries == NULL) {
      return -ENOMEM;
    }
    qsort(b->rows, b->n_rows, sizeof *b->rows, by_link);
  }
  if (b->n_links > 0) {
    qsort(b->links, b->n_links, sizeof *b->links, by_index);
  }
  size_t row = 0, n = 0;
  for (size_t i = 0; i < b->n_links; i++) {
    qn_netif_t *link = &b->links[i];
    while (row < b->n_rows && b->rows[row].index < link->index) {
      row++; /* of a link that came or went between the two questions */
    }
    link->entries = entries != NULL ? entries + n : NULL;
    for (; row < b->n_rows && b->rows[row].index == link->index; row++) {
      entries[n++] = b->rows[row].entry;
      link->n_entries++;
    }
  }
  *out = (qn_netifs_t){.v = b->links, .n = b->n_links, .entries = entries, .n_entries = n};
  b->links = NULL;
  qn__netif_drop(b);
  return 0;
}

void qn__netif_drop(qn__netif_build_t *b)
{
  qn_free(b->links);
  qn_free(b->rows);
  memset(b, 0, sizeof *b);
}

void qn_netifs_free(qn_netifs_t *list)
{
  qn_free(list->v);
  qn_free(list->entries);
  memset(list, 0, sizeof *list);
}

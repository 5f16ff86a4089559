/* qn/netif.h: the network interfaces of this machine and their addresses, as a snapshot.
 *
 * One call reads everything from the kernel, one call frees it. Nothing waits: the kernel answers
 * at once, from memory.
 */
#ifndef QN_NETIF_H
#define QN_NETIF_H

#include "qn/addr.h"

enum {
  QN_NETIF_UP = 1 << 0,      /* switched on */
  QN_NETIF_RUNNING = 1 << 1, /* and able to carry packets (cable, association) */
  QN_NETIF_BROADCAST = 1 << 2,
  QN_NETIF_LOOPBACK = 1 << 3,
  QN_NETIF_POINT_TO_POINT = 1 << 4,
  QN_NETIF_MULTICAST = 1 << 5
};

typedef enum qn_netif_type {
  QN_NETIF_TYPE_UNKNOWN,
  QN_NETIF_TYPE_LOOPBACK,
  QN_NETIF_TYPE_VIRTUAL, /* tunnels, TUN devices */
  QN_NETIF_TYPE_ETHERNET,
  QN_NETIF_TYPE_SLIP,
  QN_NETIF_TYPE_CAN_BUS,
  QN_NETIF_TYPE_PPP,
  QN_NETIF_TYPE_FDDI,
  QN_NETIF_TYPE_WIFI,
  QN_NETIF_TYPE_PHONET,
  QN_NETIF_TYPE_IEEE802154,
  QN_NETIF_TYPE_6LOWPAN,
  QN_NETIF_TYPE_IEEE80216,
  QN_NETIF_TYPE_IEEE1394
} qn_netif_type_t;

#define QN_NETIF_FOREVER UINT32_MAX

typedef struct qn_netif_entry {
  qn_addr_t ip; /* link-local ones with their scope; ports are 0 */
  qn_addr_t netmask;
  qn_addr_t broadcast; /* none for IPv6 and where there is none */
  qn_addr_t peer;      /* the other end of a point-to-point link, or none */
  int prefix_length;
  uint32_t valid, preferred; /* seconds left, or QN_NETIF_FOREVER */
  bool lifetime_known;
  bool temporary;    /* an IPv6 privacy address */
  bool deprecated;   /* its preferred lifetime is over */
  bool tentative;    /* not usable yet: the kernel looks for duplicates, or has found one */
  bool dns_eligible; /* worth publishing: lasting, and neither loopback nor link-local */
} qn_netif_entry_t;

#define QN_NETIF_NAME 16
#define QN_NETIF_HARDWARE 32 /* bytes of the longest hardware address (InfiniBand has 20) */
#define QN_NETIF_ALIAS 256
/* More than this and the answer is QN_E_LIMIT. */
#define QN_NETIF_MAX_LINKS 65536
#define QN_NETIF_MAX_ENTRIES 262144

typedef struct qn_netif {
  char name[QN_NETIF_NAME];
  char alias[QN_NETIF_ALIAS]; /* what an administrator called it, or "" */
  uint32_t index;
  unsigned flags; /* QN_NETIF_UP ... */
  uint32_t mtu;   /* 0 = unknown */
  qn_netif_type_t type;
  uint8_t hardware[QN_NETIF_HARDWARE];
  uint8_t hardware_size; /* 0 = none */
  const qn_netif_entry_t *entries;
  size_t n_entries;
} qn_netif_t;

typedef struct qn_netifs {
  qn_netif_t *v; /* by index */
  size_t n;
  qn_netif_entry_t *entries; /* what v[i].entries points into */
  size_t n_entries;
} qn_netifs_t;

/* Fills `out`, which qn_netifs_free empties again; on failure there is nothing to free. */
QN_API int qn_netifs_read(qn_netifs_t *out);
QN_API void qn_netifs_free(qn_netifs_t *list);
/* "ethernet", "wifi" ... */
QN_API const char *qn_netif_type_name(qn_netif_type_t type);
/* -ENODEV when there is none. `name` has room for QN_NETIF_NAME bytes. */
QN_API int qn_netif_name(uint32_t index, char *name);
QN_API int qn_netif_index(const char *name, uint32_t *index);

#endif

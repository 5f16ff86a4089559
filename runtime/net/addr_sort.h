/* addr_sort.h: the order in which the addresses of a name are tried: RFC 6724 section 6. Not
 * public.
 *
 * For the resolver, on the loop's thread. The policy table is that of RFC 6724 section 2.1;
 * gai.conf(5) is not read. Whether a destination can be reached, and from which source, is asked
 * from the kernel by connecting an UDP socket, which sends nothing. Invariant: the result is a
 * permutation of what was given, and the sort is stable (rule 10).
 *
 * Rule 9 (longest matching prefix) is for IPv6 alone: IPv4 prefixes say nothing about the way, and
 * preferring them would undo what name servers do by rotating addresses.
 */
#ifndef QN_NET_ADDR_SORT_H
#define QN_NET_ADDR_SORT_H

#include "qn/dns.h"

#define QN__ADDR_SORT_MAX QN_RESOLVE_MAX /* those behind the 64th stay where they are */

/* The source that the kernel would choose for a destination. */
typedef struct qn__source {
  qn_addr_t addr;    /* size 0: the destination cannot be reached (rule 1) */
  unsigned prefix;   /* IPv6: length of the prefix on its link; 0: unknown, counts as 64 */
  bool deprecated;   /* rule 3 */
  bool home;         /* rule 4 */
  bool encapsulated; /* rule 7: sent through a transition tunnel */
} qn__source_t;
/* Fills `out`, which is zero when it is called. */
typedef void (*qn__source_fn)(void *arg, const qn_addr_t *destination, qn__source_t *out);

enum { QN__HAS_IPV4 = 1, QN__HAS_IPV6 = 2 };

/* What the machine has; zero-initialise, one per resolver (no globals). */
#define QN__LOCAL_ADDRS_MAX 256
#define QN__LOCAL_ADDRS_MS 1000u /* how long a reading counts */
typedef struct qn__local_addr {
  uint8_t addr[16];
  uint8_t prefix;
  bool deprecated, home, encapsulated;
} qn__local_addr_t;
/* What the rules need to know of one destination, worked out once. */
typedef struct qn__reach {
  bool usable, deprecated, home, encapsulated;
  bool scope_matches, label_matches;
  uint8_t precedence, scope;
  uint8_t common; /* bits that destination and source share; IPv6 only */
} qn__reach_t;

/* Names share addresses, and asking the kernel takes half a dozen system calls: what it said of an
 * address counts as long as the rest of the reading. */
#define QN__REACH_KEPT 64
typedef struct qn__kept_reach {
  uint8_t addr[16]; /* IPv4 as mapped */
  uint32_t scope_id;
  uint32_t reading; /* which one; 0: empty */
  qn__reach_t reach;
} qn__kept_reach_t;

typedef struct qn__local_addrs {
  bool read;
  uint32_t reading; /* counts them */
  uint64_t read_at; /* ms */
  unsigned families;
  size_t n; /* IPv6 addresses */
  qn__local_addr_t v[QN__LOCAL_ADDRS_MAX];
  qn__kept_reach_t kept[QN__REACH_KEPT];
} qn__local_addrs_t;

/* QN__HAS_IPV4 | QN__HAS_IPV6: families of which some interface that is up has an address that is
 * not a loopback or link-local one (AI_ADDRCONFIG). When there is none at all (a machine without
 * network), and when the kernel does not say: both. `now` in ms, e.g. the loop's time. */
unsigned qn__addr_families_present(qn__local_addrs_t *local, uint64_t now);

/* Sorts in place by what the kernel says; with less than two addresses nothing is asked. */
void qn__addr_sort(qn_addr_t *v, size_t n, qn__local_addrs_t *local, uint64_t now);
/* The same with another oracle (tests). */
void qn__addr_sort_with(qn_addr_t *v, size_t n, qn__source_fn source, void *arg);

#endif

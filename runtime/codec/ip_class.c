/* ip_class.c: what an address is for: loopback, private, multicast, global ...
 *
 * The tables are the IANA registries of special-purpose addresses (RFC 6890 and what came after),
 * most special first: the first range that has the address decides. Called by address values and by
 * whoever must know whether an address leads out. Must not call the system. Invariant: GLOBAL is
 * never set together with a bit that keeps an address inside (private, link-local, loopback ...).
 */
#include "qn/ip.h"

#include <string.h>

typedef struct range {
  uint8_t prefix[16];
  uint8_t bits;
  unsigned class;
} range_t;

static const range_t ip4_ranges[] = {
    {{0, 0, 0, 0}, 32, QN_IP_UNSPECIFIED},
    {{255, 255, 255, 255}, 32, QN_IP_BROADCAST},
    {{0}, 8, QN_IP_RESERVED}, /* this network */
    {{10}, 8, QN_IP_PRIVATE},
    {{100, 64}, 10, QN_IP_SHARED},
    {{127}, 8, QN_IP_LOOPBACK},
    {{169, 254}, 16, QN_IP_LINK_LOCAL},
    {{172, 16}, 12, QN_IP_PRIVATE},
    {{192, 0, 0, 9}, 32, QN_IP_GLOBAL},  /* port control protocol */
    {{192, 0, 0, 10}, 32, QN_IP_GLOBAL}, /* TURN */
    {{192, 0, 0}, 24, QN_IP_RESERVED},   /* protocol assignments */
    {{192, 0, 2}, 24, QN_IP_DOCUMENTATION},
    {{192, 88, 99}, 24, QN_IP_RESERVED}, /* 6to4 relays, deprecated */
    {{192, 168}, 16, QN_IP_PRIVATE},
    {{198, 18}, 15, QN_IP_RESERVED}, /* benchmarks */
    {{198, 51, 100}, 24, QN_IP_DOCUMENTATION},
    {{203, 0, 113}, 24, QN_IP_DOCUMENTATION},
    {{224}, 4, QN_IP_MULTICAST},
    {{240}, 4, QN_IP_RESERVED},
};

static const range_t ip6_ranges[] = {
    {{0}, 128, QN_IP_UNSPECIFIED},
    {{[15] = 1}, 128, QN_IP_LOOPBACK},
    {{0x20, 1, 0, 1, [15] = 1}, 128, QN_IP_GLOBAL}, /* port control protocol */
    {{0x20, 1, 0, 1, [15] = 2}, 128, QN_IP_GLOBAL}, /* TURN */
    {{0x20, 1, 0, 1, [15] = 3}, 128, QN_IP_GLOBAL}, /* service registration */
    {{0x20, 1, 0, 3}, 32, QN_IP_GLOBAL},            /* AMT */
    {{0x20, 1, 0, 4, 1, 0x12}, 48, QN_IP_GLOBAL},   /* AS112 */
    {{0x20, 1, 0, 0x20}, 28, QN_IP_GLOBAL},         /* ORCHIDv2 */
    {{0x20, 1, 0, 0x30}, 28, QN_IP_GLOBAL},         /* drone remote ids */
    {{0x20, 1}, 23, QN_IP_RESERVED},                /* protocol assignments, Teredo, benchmarks */
    {{0x20, 1, 0x0d, 0xb8}, 32, QN_IP_DOCUMENTATION},
    {{0x3f, 0xff}, 20, QN_IP_DOCUMENTATION},
    {{0x20}, 3, QN_IP_GLOBAL},
    {{0xfc}, 7, QN_IP_UNIQUE_LOCAL | QN_IP_PRIVATE},
    {{0xfe, 0x80}, 10, QN_IP_LINK_LOCAL},
    {{0xfe, 0xc0}, 10, QN_IP_SITE_LOCAL},
    {{0xff}, 8, QN_IP_MULTICAST},
    {{0}, 0, QN_IP_RESERVED}, /* not given out */
};

bool qn_ip_same_net(const uint8_t *a, const uint8_t *b, int bits)
{
  size_t whole = (size_t)bits / 8;
  unsigned rest = (unsigned)bits % 8;
  return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

static unsigned look_up(const range_t *ranges, size_t n, const uint8_t *in, unsigned otherwise)
{
  for (size_t i = 0; i < n; i++) {
    if (qn_ip_same_net(ranges[i].prefix, in, ranges[i].bits)) {
      return ranges[i].class;
    }
  }
  return otherwise;
}

unsigned qn_ip4_class(const uint8_t in[4])
{
  return look_up(ip4_ranges, sizeof ip4_ranges / sizeof *ip4_ranges, in, QN_IP_GLOBAL);
}

unsigned qn_ip6_class(const uint8_t in[16])
{
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
  static const uint8_t sixtofour[2] = {0x20, 0x02};
  if (memcmp(in, mapped, sizeof mapped) == 0) {
    return QN_IP_MAPPED | qn_ip4_class(in + 12);
  }
  const uint8_t *inside = memcmp(in, nat64, sizeof nat64) == 0           ? in + 12
                          : memcmp(in, sixtofour, sizeof sixtofour) == 0 ? in + 2
                                                                         : NULL;
  if (inside != NULL) {
    return qn_ip4_class(inside) == QN_IP_GLOBAL ? QN_IP_GLOBAL : QN_IP_RESERVED;
  }
  return look_up(ip6_ranges, sizeof ip6_ranges / sizeof *ip6_ranges, in, QN_IP_RESERVED);
}

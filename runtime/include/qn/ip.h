/* qn/ip.h: IPv4 and IPv6 addresses as text: bytes in, bytes out; no sockets, no look-up.
 *
 * Strict forms only (RFC 3986 section 3.2.2, RFC 4291 section 2.2, RFC 5952); the looser forms of
 * inet_aton are apart. Nothing here allocates.
 */
#ifndef QN_IP_H
#define QN_IP_H

#include "qn/base.h"

/* "1.2.3.4": four decimal octets without leading zeros. */
QN_API bool qn_ip4_parse(const char *text, size_t size, uint8_t out[4]);
/* The forms of inet_aton(3): one to four parts, each decimal, octal (0...) or hexadecimal (0x...),
 * the last one fills the rest ("127.1", "0x7f000001"). */
QN_API bool qn_ip4_parse_loose(const char *text, size_t size, uint8_t out[4]);
/* Any form of RFC 4291 section 2.2, also with an embedded IPv4 tail; no brackets, no scope. */
QN_API bool qn_ip6_parse(const char *text, size_t size, uint8_t out[16]);

#define QN_IP_TEXT 46 /* the longest text with its NUL */
/* Return the length without NUL. */
QN_API size_t qn_ip4_print(const uint8_t in[4], char out[QN_IP_TEXT]);
/* RFC 5952; `mixed`: IPv4-mapped addresses end dotted (::ffff:1.2.3.4), else all in hexadecimal. */
QN_API size_t qn_ip6_print(const uint8_t in[16], char out[QN_IP_TEXT], bool mixed);

/* --- what an address is for (IANA special-purpose registries, RFC 6890) ------------------------
 */

enum {
  QN_IP_UNSPECIFIED = 1 << 0,
  QN_IP_LOOPBACK = 1 << 1,
  QN_IP_GLOBAL = 1 << 2, /* a host of the internet may have it: not private, not reserved */
  QN_IP_LINK_LOCAL = 1 << 3,
  QN_IP_SITE_LOCAL = 1 << 4,   /* fec0::/10, deprecated */
  QN_IP_UNIQUE_LOCAL = 1 << 5, /* fc00::/7 */
  QN_IP_PRIVATE = 1 << 6,      /* RFC 1918, and unique local */
  QN_IP_MULTICAST = 1 << 7,
  QN_IP_BROADCAST = 1 << 8, /* 255.255.255.255; those of networks cannot be told from the address */
  QN_IP_SHARED = 1 << 9,    /* 100.64.0.0/10, carrier-grade NAT */
  QN_IP_DOCUMENTATION = 1 << 10,
  QN_IP_RESERVED = 1 << 11, /* for protocols, benchmarks, or the future */
  QN_IP_MAPPED = 1 << 12    /* ::ffff:0:0/96; the other bits are those of the IPv4 address */
};

/* The bits above. NAT64 and 6to4 addresses are global when the IPv4 address inside is. */
QN_API unsigned qn_ip4_class(const uint8_t in[4]);
QN_API unsigned qn_ip6_class(const uint8_t in[16]);

/* --- subnets -----------------------------------------------------------------------------------
 */

/* "10.1.0.0/16", "10.1.0.0/255.255.0.0", "10.1", "10.1." and "10" (8 bits for each octet given),
 * "2001:db8::/32", or an address alone (all its bits). Writes the network's address, its other bits
 * cleared, to out (the first 4 bytes, or 16) and the number of bits. Returns 4, 6, or 0: invalid.
 */
QN_API int qn_subnet_parse(const char *text, size_t size, uint8_t out[16], int *bits);
/* Whether the first `bits` bits are the same. */
QN_API bool qn_ip_same_net(const uint8_t *a, const uint8_t *b, int bits);
/* How many leading ones a netmask of `size` bytes has; -1 when a one follows a zero. */
QN_API int qn_ip_mask_bits(const uint8_t *mask, size_t size);

#endif

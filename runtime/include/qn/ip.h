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

#endif

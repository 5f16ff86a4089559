/* qn/addr.h: a socket address value: IPv4, IPv6 (with scope), Unix path or abstract name.
 *
 * IPv4-mapped IPv6 addresses are shown as IPv4. Values only: no look-up happens here.
 */
#ifndef QN_ADDR_H
#define QN_ADDR_H

#include "qn/base.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef enum qn_family {
  QN_FAMILY_ANY,
  QN_FAMILY_IPV4,
  QN_FAMILY_IPV6,
  QN_FAMILY_UNIX
} qn_family_t;

typedef struct qn_addr {
  union {
    struct sockaddr sa;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage storage; /* the largest */
  } u;
  socklen_t size; /* 0 = no address */
} qn_addr_t;

/* "127.0.0.1", "::1", "fe80::1%eth0"; literals only, no look-up, no brackets. "" and "*" give the
 * any-address of `family` (`::`, which is dual stack, when QN_FAMILY_ANY). A mapped literal
 * ("::ffff:1.2.3.4") becomes the IPv4 address, unless QN_FAMILY_IPV6 is asked for. QN_E_INVALID
 * when it is no literal, not of this family, or names an interface that is not there. */
QN_API int qn_addr_parse(qn_addr_t *a, const char *text, uint16_t port, qn_family_t family);
/* The forms of inet_aton beside the strict one, which getaddrinfo takes: "127.1", "0x7f000001". */
QN_API int qn_addr_parse_loose(qn_addr_t *a, const char *text, uint16_t port);
/* A path, or an abstract name when `name` begins with '@' or NUL (the rest follows, may hold NULs).
 * QN_E_LIMIT (longer than 107 bytes), QN_E_INVALID (empty, or NUL inside a path). */
QN_API int qn_addr_unix(qn_addr_t *a, const char *name, size_t size);
/* QN_FAMILY_ANY when there is no address. */
QN_API qn_family_t qn_addr_family(const qn_addr_t *a);
/* 0 for Unix addresses and for none. */
QN_API uint16_t qn_addr_port(const qn_addr_t *a);
QN_API void qn_addr_set_port(qn_addr_t *a, uint16_t port);
/* Host part: "127.0.0.1", "fe80::1%eth0", "/run/x.sock", "@name" (abstract, NULs inside kept), ""
 * for none and for unnamed Unix sockets. Returns the length without NUL; what does not fit is cut
 * off; a `buf` of QN_ADDR_TEXT bytes always suffices. */
#define QN_ADDR_TEXT 128
QN_API size_t qn_addr_host(const qn_addr_t *a, char *buf, size_t size);
/* "127.0.0.1:80", "[::1]:80", "/run/x.sock". */
QN_API size_t qn_addr_text(const qn_addr_t *a, char *buf, size_t size);
/* Same endpoint: host, port and scope; a mapped address equals the IPv4 address. */
QN_API bool qn_addr_equal(const qn_addr_t *a, const qn_addr_t *b);
/* Turns an IPv4-mapped IPv6 address into the IPv4 address; others stay. */
QN_API void qn_addr_unmap(qn_addr_t *a);
/* "0.0.0.0" or "::". */
QN_API bool qn_addr_is_any(const qn_addr_t *a);

#endif

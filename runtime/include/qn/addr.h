/* qn/addr.h: a socket address value: IPv4, IPv6 (with scope), Unix path or abstract name.
 *
 * IPv4-mapped IPv6 addresses are shown as IPv4. Values only: no look-up happens here.
 */
#ifndef QN_ADDR_H
#define QN_ADDR_H

#include "qn/base.h"

#include <sys/socket.h>
#include <sys/un.h>

typedef enum qn_family { QN_FAMILY_ANY, QN_FAMILY_IPV4, QN_FAMILY_IPV6, QN_FAMILY_UNIX } qn_family_t;

typedef struct qn_addr {
  union {
    struct sockaddr sa;
    struct sockaddr_un un; /* the largest */
    struct sockaddr_storage storage;
  } u;
  socklen_t size; /* 0 = no address */
} qn_addr_t;

/* "127.0.0.1", "::1", "fe80::1%eth0"; literals only, no look-up. "" and "*" give the any-address of
 * `family` (dual stack when QN_FAMILY_ANY). QN_E_INVALID when it is no literal. */
QN_API int qn_addr_parse(qn_addr_t *a, const char *text, uint16_t port, qn_family_t family);
/* A path, or an abstract name when `name` begins with '@' or NUL (the rest follows, may hold NULs).
 * QN_E_LIMIT (path too long), QN_E_INVALID (empty, or NUL inside a path). */
QN_API int qn_addr_unix(qn_addr_t *a, const char *name, size_t size);
QN_API qn_family_t qn_addr_family(const qn_addr_t *a);
/* 0 for Unix addresses and for none. */
QN_API uint16_t qn_addr_port(const qn_addr_t *a);
QN_API void qn_addr_set_port(qn_addr_t *a, uint16_t port);
/* Host part: "127.0.0.1", "fe80::1%eth0", "/run/x.sock", "@name" (abstract), "" for none. Returns the
 * length without NUL; `buf` of QN_ADDR_TEXT bytes always suffices. */
#define QN_ADDR_TEXT 128
QN_API size_t qn_addr_host(const qn_addr_t *a, char *buf, size_t size);
/* "127.0.0.1:80", "[::1]:80", "/run/x.sock". */
QN_API size_t qn_addr_text(const qn_addr_t *a, char *buf, size_t size);
QN_API bool qn_addr_equal(const qn_addr_t *a, const qn_addr_t *b);

#endif

/* addr.c: socket addresses as values: text to sockaddr and back.
 *
 * Called by everything that names an endpoint. Must not look names up (hostinfo.c does) and must
 * not open sockets; the only system call is the interface name to index map of scoped literals.
 * Invariant: `size` is exactly what bind(2) and connect(2) want, 0 means that there is no address.
 */
#include "qn/addr.h"
#include "qn/ip.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#define UNIX_PATH_AT offsetof(struct sockaddr_un, sun_path)
#define UNIX_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static bool is_mapped(const qn_addr_t *a)
{
  return a->size != 0 && a->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr);
}

static void set_ipv4(qn_addr_t *a, const struct in_addr *in, uint16_t port)
{
  memset(a, 0, sizeof *a);
  a->u.in4.sin_family = AF_INET;
  a->u.in4.sin_addr = *in;
  a->u.in4.sin_port = htons(port);
  a->size = sizeof a->u.in4;
}

static void set_ipv6(qn_addr_t *a, const struct in6_addr *in6, uint32_t scope, uint16_t port)
{
  memset(a, 0, sizeof *a);
  a->u.in6.sin6_family = AF_INET6;
  a->u.in6.sin6_addr = *in6;
  a->u.in6.sin6_scope_id = scope;
  a->u.in6.sin6_port = htons(port);
  a->size = sizeof a->u.in6;
}

void qn_addr_unmap(qn_addr_t *a)
{
  if (is_mapped(a)) {
    struct in_addr in;
    uint16_t port = ntohs(a->u.in6.sin6_port);
    memcpy(&in, a->u.in6.sin6_addr.s6_addr + 12, sizeof in);
    set_ipv4(a, &in, port);
  }
}

bool qn_addr_is_any(const qn_addr_t *a)
{
  switch (qn_addr_family(a)) {
  case QN_FAMILY_IPV4: return a->u.in4.sin_addr.s_addr == htonl(INADDR_ANY);
  case QN_FAMILY_IPV6: return IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
  default: return false;
  }
}

/* "eth0" or "2" -> index. The kernel takes any number, a name must exist. */
static int parse_scope(const char *text, uint32_t *scope)
{
  size_t digits = strspn(text, "0123456789");
  if (digits > 0 && text[digits] == '\0') {
    uint64_t n = 0;
    if (digits > 10) {
      return QN_E_INVALID;
    }
    for (size_t i = 0; i < digits; i++) {
      n = n * 10 + (uint64_t)(text[i] - '0');
    }
    *scope = (uint32_t)n;
    return n > 0 && n <= UINT32_MAX ? 0 : QN_E_INVALID;
  }
  *scope = if_nametoindex(text);
  return *scope != 0 ? 0 : QN_E_INVALID;
}

static int parse_ipv6(qn_addr_t *a, const char *text, uint16_t port)
{
  struct in6_addr in6;
  uint32_t scope = 0;
  const char *percent = strchr(text, '%');
  size_t size = percent != NULL ? (size_t)(percent - text) : strlen(text);
  if (!qn_ip6_parse(text, size, in6.s6_addr)) {
    return QN_E_INVALID;
  }
  if (percent != NULL) {
    int rc = parse_scope(percent + 1, &scope);
    if (rc < 0) {
      return rc;
    }
  }
  set_ipv6(a, &in6, scope, port);
  return 0;
}

int qn_addr_parse_loose(qn_addr_t *a, const char *text, uint16_t port)
{
  struct in_addr in;
  a->size = 0;
  if (!qn_ip4_parse_loose(text, strlen(text), (uint8_t *)&in)) {
    return QN_E_INVALID;
  }
  set_ipv4(a, &in, port);
  return 0;
}

int qn_addr_parse(qn_addr_t *a, const char *text, uint16_t port, qn_family_t family)
{
  struct in_addr in;
  a->size = 0;
  if (family == QN_FAMILY_UNIX) {
    return QN_E_INVALID;
  }
  if (text[0] == '\0' || strcmp(text, "*") == 0) {
    if (family == QN_FAMILY_IPV4) {
      in.s_addr = htonl(INADDR_ANY);
      set_ipv4(a, &in, port);
    } else {
      set_ipv6(a, &in6addr_any, 0, port);
    }
    return 0;
  }
  if (qn_ip4_parse(text, strlen(text), (uint8_t *)&in)) {
    if (family == QN_FAMILY_IPV6) {
      return QN_E_INVALID;
    }
    set_ipv4(a, &in, port);
    return 0;
  }
  qn_addr_t parsed;
  int rc = parse_ipv6(&parsed, text, port);
  if (rc < 0) {
    return rc;
  }
  if (family != QN_FAMILY_IPV6 && is_mapped(&parsed)) {
    if (parsed.u.in6.sin6_scope_id != 0) { /* IPv4 addresses have none */
      return QN_E_INVALID;
    }
    qn_addr_unmap(&parsed);
  }
  if (family == QN_FAMILY_IPV4 && parsed.u.sa.sa_family != AF_INET) {
    return QN_E_INVALID;
  }
  *a = parsed;
  return 0;
}

int qn_addr_unix(qn_addr_t *a, const char *name, size_t size)
{
  a->size = 0;
  if (size == 0) {
    return QN_E_INVALID;
  }
  bool abstract = name[0] == '@' || name[0] == '\0';
  if (abstract && size == 1) {
    return QN_E_INVALID;
  }
  if (size > (abstract ? UNIX_MAX + 1 : UNIX_MAX)) {
    return QN_E_LIMIT;
  }
  if (!abstract && memchr(name, '\0', size) != NULL) {
    return QN_E_INVALID;
  }
  memset(a, 0, sizeof *a);
  a->u.un.sun_family = AF_UNIX;
  memcpy(a->u.un.sun_path, name, size);
  if (abstract) {
    a->u.un.sun_path[0] = '\0';
    a->size = (socklen_t)(UNIX_PATH_AT + size);
  } else {
    a->size = (socklen_t)(UNIX_PATH_AT + size + 1);
  }
  return 0;
}

qn_family_t qn_addr_family(const qn_addr_t *a)
{
  if (a->size == 0) {
    return QN_FAMILY_ANY;
  }
  switch (a->u.sa.sa_family) {
  case AF_INET: return QN_FAMILY_IPV4;
  case AF_INET6: return QN_FAMILY_IPV6;
  case AF_UNIX: return QN_FAMILY_UNIX;
  default: return QN_FAMILY_ANY;
  }
}

uint16_t qn_addr_port(const qn_addr_t *a)
{
  switch (qn_addr_family(a)) {
  case QN_FAMILY_IPV4: return ntohs(a->u.in4.sin_port);
  case QN_FAMILY_IPV6: return ntohs(a->u.in6.sin6_port);
  default: return 0;
  }
}

void qn_addr_set_port(qn_addr_t *a, uint16_t port)
{
  switch (qn_addr_family(a)) {
  case QN_FAMILY_IPV4: a->u.in4.sin_port = htons(port); break;
  case QN_FAMILY_IPV6: a->u.in6.sin6_port = htons(port); break;
  default: break;
  }
}

/* The bytes of a Unix name, without the NUL that ends a path. The kernel counts that NUL or not,
 * depending on who bound the socket. */
static qn_slice_t unix_name(const qn_addr_t *a)
{
  qn_slice_t name = {(const uint8_t *)a->u.un.sun_path, 0};
  if (a->size > UNIX_PATH_AT) {
    name.size = a->size - UNIX_PATH_AT;
    if (a->u.un.sun_path[0] != '\0') {
      name.size = strnlen(a->u.un.sun_path, name.size);
    }
  }
  return name;
}

/* Appends what fits and keeps room for the NUL. */
static size_t put(char *buf, size_t size, size_t used, const void *data, size_t n)
{
  size_t room = size > used ? size - used - 1 : 0;
  n = n < room ? n : room;
  if (n > 0) {
    memcpy(buf + used, data, n);
  }
  return used + n;
}

static size_t put_text(char *buf, size_t size, size_t used, const char *text)
{
  return put(buf, size, used, text, strlen(text));
}

static size_t put_number(char *buf, size_t size, size_t used, uint32_t n)
{
  char digits[10];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + n % 10);
    n /= 10;
  } while (n > 0);
  return put(buf, size, used, digits + at, sizeof digits - at);
}

static size_t put_ipv6(char *buf, size_t size, size_t used, const struct sockaddr_in6 *sin6)
{
  char text[QN_IP_TEXT], name[IF_NAMESIZE];
  used = put(buf, size, used, text, qn_ip6_print(sin6->sin6_addr.s6_addr, text, true));
  if (sin6->sin6_scope_id != 0) {
    used = put_text(buf, size, used, "%");
    if (if_indextoname(sin6->sin6_scope_id, name) != NULL) {
      used = put_text(buf, size, used, name);
    } else {
      used = put_number(buf, size, used, sin6->sin6_scope_id);
    }
  }
  return used;
}

static size_t put_host(const qn_addr_t *given, char *buf, size_t size, size_t used)
{
  char text[QN_IP_TEXT];
  qn_slice_t name;
  qn_addr_t a = *given;
  qn_addr_unmap(&a);
  switch (qn_addr_family(&a)) {
  case QN_FAMILY_IPV4:
    return put(buf, size, used, text, qn_ip4_print((const uint8_t *)&a.u.in4.sin_addr, text));
  case QN_FAMILY_IPV6: return put_ipv6(buf, size, used, &a.u.in6);
  case QN_FAMILY_UNIX:
    name = unix_name(&a);
    if (name.size > 0 && name.data[0] == '\0') {
      used = put_text(buf, size, used, "@");
      name.data++;
      name.size--;
    }
    return put(buf, size, used, name.data, name.size);
  default: return used;
  }
}

static size_t finish(char *buf, size_t size, size_t used)
{
  if (size > 0) {
    buf[used] = '\0';
  }
  return used;
}

size_t qn_addr_host(const qn_addr_t *a, char *buf, size_t size)
{
  return finish(buf, size, put_host(a, buf, size, 0));
}

size_t qn_addr_text(const qn_addr_t *a, char *buf, size_t size)
{
  bool brackets = qn_addr_family(a) == QN_FAMILY_IPV6 && !is_mapped(a);
  size_t used = brackets ? put_text(buf, size, 0, "[") : 0;
  used = put_host(a, buf, size, used);
  if (brackets) {
    used = put_text(buf, size, used, "]");
  }
  if (qn_addr_family(a) == QN_FAMILY_IPV4 || qn_addr_family(a) == QN_FAMILY_IPV6) {
    used = put_text(buf, size, used, ":");
    used = put_number(buf, size, used, qn_addr_port(a));
  }
  return finish(buf, size, used);
}

bool qn_addr_equal(const qn_addr_t *a, const qn_addr_t *b)
{
  qn_addr_t x = *a, y = *b;
  qn_addr_unmap(&x);
  qn_addr_unmap(&y);
  if (qn_addr_family(&x) != qn_addr_family(&y) || qn_addr_port(&x) != qn_addr_port(&y)) {
    return false;
  }
  switch (qn_addr_family(&x)) {
  case QN_FAMILY_IPV4: return x.u.in4.sin_addr.s_addr == y.u.in4.sin_addr.s_addr;
  case QN_FAMILY_IPV6:
    return IN6_ARE_ADDR_EQUAL(&x.u.in6.sin6_addr, &y.u.in6.sin6_addr) &&
           x.u.in6.sin6_scope_id == y.u.in6.sin6_scope_id;
  case QN_FAMILY_UNIX: {
    qn_slice_t m = unix_name(&x), n = unix_name(&y);
    return m.size == n.size && memcmp(m.data, n.data, m.size) == 0;
  }
  default: return true;
  }
}

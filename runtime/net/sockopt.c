/* sockopt.c: one table maps option names to levels, numbers and ranges; everything else reads it.
 *
 * Called with descriptors that others own. Must not remember a descriptor. Invariant: a name is in
 * the table once, at the place where a sorted list has it, and its index is what a stored list
 * keeps.
 */
#include "net/sockopt.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum {
  READ_ONLY = 1,
  SWITCH = 2, /* 0 or 1 */
  LINGER = 4, /* struct linger instead of an int */
  BOTH = 8,   /* an IPv6 socket that takes IPv4, too, has it once more for that */
  DATAGRAM = 16
};

#define NONE (-1)

/* `level` and `number` hold for every family unless the IPv6 pair says otherwise; TCP and IP levels
 * do not exist on Unix sockets. */
static const struct option {
  const char *name;
  int level, number;
  int level6, number6; /* NONE: the same */
  int min, max;
  unsigned flags;
} table[] = {
    {"broadcast", SOL_SOCKET, SO_BROADCAST, NONE, NONE, 0, 1, SWITCH},
    {"error", SOL_SOCKET, SO_ERROR, NONE, NONE, 0, 0, READ_ONLY},
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE, NONE, NONE, 0, 1, SWITCH},
    {"keepalive_count", IPPROTO_TCP, TCP_KEEPCNT, NONE, NONE, 1, 127, 0},
    {"keepalive_idle", IPPROTO_TCP, TCP_KEEPIDLE, NONE, NONE, 1, 32767, 0},
    {"keepalive_interval", IPPROTO_TCP, TCP_KEEPINTVL, NONE, NONE, 1, 32767, 0},
    {"linger", SOL_SOCKET, SO_LINGER, NONE, NONE, -1, 65535, LINGER},
    {"mtu_discover", IPPROTO_IP, IP_MTU_DISCOVER, IPPROTO_IPV6, IPV6_MTU_DISCOVER, 0, 3, BOTH},
    {"multicast_loopback", IPPROTO_IP, IP_MULTICAST_LOOP, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, 1,
     SWITCH | BOTH},
    {"multicast_ttl", IPPROTO_IP, IP_MULTICAST_TTL, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 0, 255,
     BOTH | DATAGRAM},
    {"nodelay", IPPROTO_TCP, TCP_NODELAY, NONE, NONE, 0, 1, SWITCH},
    {"only_v6", IPPROTO_IPV6, IPV6_V6ONLY, IPPROTO_IPV6, IPV6_V6ONLY, 0, 1, SWITCH | READ_ONLY},
    {"oob_inline", SOL_SOCKET, SO_OOBINLINE, NONE, NONE, 0, 1, SWITCH},
    {"path_mtu", IPPROTO_IP, IP_MTU, IPPROTO_IPV6, IPV6_MTU, 0, 0, READ_ONLY},
    {"receive_buffer", SOL_SOCKET, SO_RCVBUF, NONE, NONE, 0, INT_MAX / 2, 0},
    {"reuse_address", SOL_SOCKET, SO_REUSEADDR, NONE, NONE, 0, 1, SWITCH},
    {"reuse_port", SOL_SOCKET, SO_REUSEPORT, NONE, NONE, 0, 1, SWITCH},
    {"send_buffer", SOL_SOCKET, SO_SNDBUF, NONE, NONE, 0, INT_MAX / 2, 0},
    {"tos", IPPROTO_IP, IP_TOS, IPPROTO_IPV6, IPV6_TCLASS, 0, 255, BOTH},
    {"ttl", IPPROTO_IP, IP_TTL, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 1, 255, BOTH},
};

#define N_OPTIONS (sizeof table / sizeof table[0])

struct qn__sockopts {
  size_t n;
  struct {
    const struct option *option;
    int64_t value;
  } v[N_OPTIONS];
};

static const struct option *find(const char *name)
{
  for (size_t i = 0; i < N_OPTIONS; i++) {
    if (strcmp(table[i].name, name) == 0) {
      return &table[i];
    }
  }
  return NULL;
}

const char *const *qn_sockopt_names(void)
{
  static const char *const names[] = {"broadcast",
                                      "error",
                                      "keepalive",
                                      "keepalive_count",
                                      "keepalive_idle",
                                      "keepalive_interval",
                                      "linger",
                                      "mtu_discover",
                                      "multicast_loopback",
                                      "multicast_ttl",
                                      "nodelay",
                                      "only_v6",
                                      "oob_inline",
                                      "path_mtu",
                                      "receive_buffer",
                                      "reuse_address",
                                      "reuse_port",
                                      "send_buffer",
                                      "tos",
                                      "ttl",
                                      NULL};
  _Static_assert(sizeof names / sizeof names[0] == N_OPTIONS + 1, "one name per table row");
  return names;
}

qn_sockopt_kind_t qn_sockopt_kind(const char *name)
{
  const struct option *o = find(name);
  if (o == NULL) {
    return QN_SOCKOPT_UNKNOWN;
  }
  return o->flags & SWITCH ? QN_SOCKOPT_SWITCH : QN_SOCKOPT_NUMBER;
}

bool qn_sockopt_settable(const char *name)
{
  const struct option *o = find(name);
  return o != NULL && !(o->flags & READ_ONLY);
}

static int check(const struct option *o, int64_t value)
{
  if (o == NULL) {
    return QN_E_INVALID;
  }
  if (o->flags & READ_ONLY) {
    return QN_E_UNSUPPORTED;
  }
  return value >= o->min && value <= o->max ? 0 : QN_E_INVALID;
}

int qn__sockopt_check(const char *name, int64_t value) { return check(find(name), value); }

bool qn__sockopt_fits(const char *name, int type)
{
  const struct option *o = find(name);
  return o == NULL || (type == SOCK_STREAM ? !(o->flags & DATAGRAM) : o->level != IPPROTO_TCP);
}

/* Which level and number `o` has on this descriptor. */
static int place(const struct option *o, int fd, int *level, int *number)
{
  int domain = AF_UNSPEC;
  socklen_t size = sizeof domain;
  *level = o->level;
  *number = o->number;
  if (o->level == SOL_SOCKET) {
    return 0;
  }
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0) {
    return -errno;
  }
  if (domain == AF_INET6) {
    if (o->level6 != NONE) {
      *level = o->level6;
      *number = o->number6;
    }
    return 0;
  }
  return domain == AF_INET && o->level != IPPROTO_IPV6 ? 0 : QN_E_UNSUPPORTED;
}

static int set(int fd, const struct option *o, int64_t value)
{
  int level, number, rc;
  rc = place(o, fd, &level, &number);
  if (rc < 0) {
    return rc;
  }
  if (o->flags & LINGER) {
    struct linger linger = {.l_onoff = value >= 0, .l_linger = value >= 0 ? (int)value : 0};
    rc = setsockopt(fd, level, number, &linger, sizeof linger);
  } else {
    int n = (int)value;
    rc = setsockopt(fd, level, number, &n, sizeof n);
    if (rc == 0 && (o->flags & BOTH) && level == IPPROTO_IPV6) {
      (void)setsockopt(fd, o->level, o->number, &n,
                       sizeof n); /* one that takes IPv6 only refuses */
    }
  }
  return rc < 0 ? -errno : 0;
}

int qn__sockopt_set(int fd, const char *name, int64_t value)
{
  const struct option *o = find(name);
  int rc = check(o, value);
  return rc < 0 ? rc : set(fd, o, value);
}

int qn__sockopt_get(int fd, const char *name, int64_t *value)
{
  const struct option *o = find(name);
  int level, number, rc;
  if (o == NULL) {
    return QN_E_INVALID;
  }
  rc = place(o, fd, &level, &number);
  if (rc < 0) {
    return rc;
  }
  if (o->flags & LINGER) {
    struct linger linger = {0};
    socklen_t size = sizeof linger;
    rc = getsockopt(fd, level, number, &linger, &size);
    *value = linger.l_onoff ? linger.l_linger : -1;
  } else {
    int n = 0;
    socklen_t size = sizeof n;
    rc = getsockopt(fd, level, number, &n, &size);
    *value = o->flags & SWITCH ? n != 0 : n;
  }
  return rc < 0 ? -errno : 0;
}

int qn__sockopts_put(qn__sockopts_t **list, const char *name, int64_t value)
{
  const struct option *o = find(name);
  int rc = check(o, value);
  if (rc < 0) {
    return rc;
  }
  if (*list == NULL) {
    *list = qn_calloc(1, sizeof **list);
    if (*list == NULL) {
      return -ENOMEM;
    }
  }
  qn__sockopts_t *l = *list;
  size_t i = 0;
  while (i < l->n && l->v[i].option != o) {
    i++;
  }
  l->v[i].option = o;
  l->v[i].value = value;
  l->n = i == l->n ? i + 1 : l->n;
  return 0;
}

int qn__sockopts_get(const qn__sockopts_t *list, const char *name, int64_t *value)
{
  const struct option *o = find(name);
  if (o == NULL) {
    return QN_E_INVALID;
  }
  for (size_t i = 0; list != NULL && i < list->n; i++) {
    if (list->v[i].option == o) {
      *value = list->v[i].value;
      return 0;
    }
  }
  return QN_E_NOT_CONNECTED;
}

int qn__sockopts_apply(const qn__sockopts_t *list, int fd)
{
  for (size_t i = 0; list != NULL && i < list->n; i++) {
    int rc = set(fd, list->v[i].option, list->v[i].value);
    if (rc < 0) {
      return rc;
    }
  }
  return 0;
}

void qn__sockopts_free(qn__sockopts_t *list) { qn_free(list); }

/* addr_sort.c: the order in which the addresses of a name are tried: RFC 6724 section 6.
 *
 * Called by the resolver. Everything that a rule looks at is worked out once per address, then a
 * stable insertion sort compares (at most 64 addresses). The kernel is asked by connecting UDP
 * sockets, which sends nothing and cannot block. Must not read gai.conf or look names up.
 */
#include "net/addr_sort.h"

#include "net/sys_file.h"

#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <unistd.h>

#define IF_INET6_PATH "/proc/net/if_inet6"
#define IF_INET6_MAX ((size_t)64 << 10)
#define DISCARD_PORT 9
#define PREFIX_DEFAULT 64

/* Flags of IF_INET6_PATH (linux/if_addr.h, which does not go together with net/if.h everywhere). */
#define ADDR_HOME 0x10u
#define ADDR_DEPRECATED 0x20u

/* --- what RFC 6724 knows of an address -------------------------------------------------------- */

typedef struct policy {
  uint8_t prefix[16];
  uint8_t bits, precedence, label;
} policy_t;

/* Section 2.1, longest prefixes first. */
static const policy_t policies[] = {
    {{[15] = 1}, 128, 50, 0},                /* ::1 */
    {{[10] = 0xff, [11] = 0xff}, 96, 35, 4}, /* IPv4, as mapped addresses */
    {{0}, 96, 1, 3},                         /* IPv4-compatible, deprecated */
    {{0x20, 0x01}, 32, 5, 5},                /* Teredo */
    {{0x20, 0x02}, 16, 30, 2},               /* 6to4 */
    {{0x3f, 0xfe}, 16, 1, 12},               /* 6bone */
    {{0xfe, 0xc0}, 10, 1, 11},               /* site-local, deprecated */
    {{0xfc}, 7, 3, 13},                      /* unique local */
    {{0}, 0, 40, 1},
};

enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

static unsigned common_bits(const uint8_t *a, const uint8_t *b, unsigned most)
{
  unsigned n = 0;
  while (n < most && n % 8 == 0 && a[n / 8] == b[n / 8]) {
    n += 8;
  }
  while (n < most && ((a[n / 8] ^ b[n / 8]) & (0x80u >> n % 8)) == 0) {
    n++;
  }
  return n < most ? n : most;
}

/* IPv4 addresses as mapped ones. */
static void to_bytes(const qn_addr_t *a, uint8_t out[16])
{
  if (a->u.sa.sa_family == AF_INET) {
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, &a->u.in4.sin_addr, 4);
  } else {
    memcpy(out, &a->u.in6.sin6_addr, 16);
  }
}

static const policy_t *policy_of(const uint8_t addr[16])
{
  const policy_t *p = policies;
  while (common_bits(addr, p->prefix, p->bits) < p->bits) {
    p++; /* the last one matches everything */
  }
  return p;
}

static bool is_mapped(const uint8_t addr[16])
{
  static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
  return memcmp(addr, prefix, sizeof prefix) == 0;
}

/* Section 3.1 and 3.2: private IPv4 addresses are global. */
static uint8_t scope_of(const uint8_t addr[16])
{
  static const uint8_t loopback[16] = {[15] = 1};
  if (is_mapped(addr)) {
    bool link = addr[12] == 127 || (addr[12] == 169 && addr[13] == 254);
    return link ? SCOPE_LINK : SCOPE_GLOBAL;
  }
  if (addr[0] == 0xff) {
    return addr[1] & 0x0f;
  }
  if (memcmp(addr, loopback, 16) == 0 || (addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80)) {
    return SCOPE_LINK;
  }
  return addr[0] == 0xfe && (addr[1] & 0xc0) == 0xc0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

/* --- sorting ---------------------------------------------------------------------------------- */

static void examine(qn__reach_t *r, const uint8_t to[16], const qn__source_t *source)
{
  uint8_t from[16];
  const policy_t *policy = policy_of(to);
  memset(r, 0, sizeof *r);
  r->precedence = policy->precedence;
  r->scope = scope_of(to);
  qn_family_t family = qn_addr_family(&source->addr);
  if (family != QN_FAMILY_IPV4 && family != QN_FAMILY_IPV6) {
    return;
  }
  to_bytes(&source->addr, from);
  r->usable = true;
  r->deprecated = source->deprecated;
  r->home = source->home;
  r->encapsulated = source->encapsulated;
  r->scope_matches = scope_of(from) == r->scope;
  r->label_matches = policy_of(from)->label == policy->label;
  if (!is_mapped(to)) { /* rule 9 is for IPv6 alone */
    unsigned prefix = source->prefix > 0 && source->prefix <= 128 ? source->prefix : PREFIX_DEFAULT;
    r->common = (uint8_t)common_bits(to, from, prefix);
  }
}

/* Does `a` come before `b`? The rules of section 6 in their order; rule 10 is the stable sort. */
static bool is_before(const qn__reach_t *a, const qn__reach_t *b)
{
  if (a->usable != b->usable) {
    return a->usable;
  }
  if (a->scope_matches != b->scope_matches) {
    return a->scope_matches;
  }
  if (a->deprecated != b->deprecated) {
    return b->deprecated;
  }
  if (a->home != b->home) {
    return a->home;
  }
  if (a->label_matches != b->label_matches) {
    return a->label_matches;
  }
  if (a->precedence != b->precedence) {
    return a->precedence > b->precedence;
  }
  if (a->encapsulated != b->encapsulated) {
    return b->encapsulated;
  }
  if (a->scope != b->scope) {
    return a->scope < b->scope;
  }
  return a->common > b->common; /* no rule before has left IPv4 beside IPv6 */
}

/* Puts what reach[n] says into the order so far; insertion keeps equals as they are. */
static void place(uint8_t *order, const qn__reach_t *reach, size_t n)
{
  size_t at = n;
  while (at > 0 && is_before(&reach[n], &reach[order[at - 1]])) {
    order[at] = order[at - 1];
    at--;
  }
  order[at] = (uint8_t)n;
}

static void arrange(qn_addr_t *v, const uint8_t *order, size_t n)
{
  qn_addr_t sorted[QN__ADDR_SORT_MAX];
  for (size_t i = 0; i < n; i++) {
    sorted[i] = v[order[i]];
  }
  memcpy(v, sorted, n * sizeof *v);
}

void qn__addr_sort_with(qn_addr_t *v, size_t n, qn__source_fn source, void *arg)
{
  qn__reach_t reach[QN__ADDR_SORT_MAX];
  uint8_t order[QN__ADDR_SORT_MAX], to[16];
  n = n < QN__ADDR_SORT_MAX ? n : QN__ADDR_SORT_MAX;
  if (n < 2) {
    return;
  }
  for (size_t i = 0; i < n; i++) {
    qn__source_t from;
    memset(&from, 0, sizeof from);
    source(arg, &v[i], &from);
    to_bytes(&v[i], to);
    examine(&reach[i], to, &from);
    place(order, reach, i);
  }
  arrange(v, order, n);
}

/* --- what the kernel says --------------------------------------------------------------------- */

typedef struct kernel {
  int fd4, fd6; /* -1: not opened yet */
  qn__local_addrs_t *local;
} kernel_t;

static void add_facts(const qn__local_addrs_t *local, qn__source_t *out)
{
  for (size_t i = 0; i < local->n; i++) {
    const qn__local_addr_t *l = &local->v[i];
    if (memcmp(l->addr, &out->addr.u.in6.sin6_addr, 16) == 0) {
      out->prefix = l->prefix;
      out->deprecated = l->deprecated;
      out->home = l->home;
      out->encapsulated = l->encapsulated;
      return;
    }
  }
}

static void ask_kernel(kernel_t *k, const qn_addr_t *destination, qn__source_t *out)
{
  qn_addr_t to = *destination;
  struct sockaddr dissolve = {.sa_family = AF_UNSPEC};
  qn_family_t family = qn_addr_family(&to);
  if (family != QN_FAMILY_IPV4 && family != QN_FAMILY_IPV6) {
    return;
  }
  int *fd = family == QN_FAMILY_IPV4 ? &k->fd4 : &k->fd6;
  if (*fd < 0) {
    *fd = socket(to.u.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
      return; /* the kernel does not know the family at all */
    }
  } else if (connect(*fd, &dissolve, sizeof dissolve) != 0) {
    return; /* else the first source address would stay */
  }
  if (qn_addr_port(&to) == 0) {
    qn_addr_set_port(&to, DISCARD_PORT);
  }
  socklen_t size = sizeof out->addr.u;
  if (connect(*fd, &to.u.sa, to.size) != 0 || getsockname(*fd, &out->addr.u.sa, &size) != 0) {
    return;
  }
  out->addr.size = size;
  if (family == QN_FAMILY_IPV6) {
    add_facts(k->local, out);
  }
}

/* From what is kept, else from the kernel. */
static void find_reach(kernel_t *k, const qn_addr_t *destination, qn__reach_t *out)
{
  uint8_t to[16];
  qn_family_t family = qn_addr_family(destination);
  if (family != QN_FAMILY_IPV4 && family != QN_FAMILY_IPV6) {
    memset(out, 0, sizeof *out);
    return;
  }
  to_bytes(destination, to);
  uint32_t scope_id = family == QN_FAMILY_IPV6 ? destination->u.in6.sin6_scope_id : 0, word, h = 0;
  for (size_t i = 0; i < sizeof to; i += sizeof word) {
    memcpy(&word, to + i, sizeof word);
    h = (h ^ word) * 0x9e3779b1u;
    h ^= h >> 15;
  }
  qn__kept_reach_t *kept = &k->local->kept[h % QN__REACH_KEPT];
  if (kept->reading != k->local->reading || kept->scope_id != scope_id ||
      memcmp(kept->addr, to, sizeof to) != 0) {
    qn__source_t from;
    memset(&from, 0, sizeof from);
    ask_kernel(k, destination, &from);
    examine(&kept->reach, to, &from);
    memcpy(kept->addr, to, sizeof to);
    kept->scope_id = scope_id;
    kept->reading = k->local->reading;
  }
  *out = kept->reach;
}

/* --- what the machine has --------------------------------------------------------------------- */

static int hex_digit(char c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Two digits; false when they are none. */
static bool hex_byte(const char *text, uint8_t *out)
{
  int high = hex_digit(text[0]), low = high >= 0 ? hex_digit(text[1]) : -1;
  *out = (uint8_t)(high * 16 + low);
  return low >= 0;
}

/* "<32 digits of the address> <index> <prefix length> <scope> <flags> <name>"; numbers have two
 * digits, the index may have more. */
static bool read_local(const char *line, size_t size, qn__local_addr_t *out)
{
  uint8_t flags;
  memset(out, 0, sizeof *out);
  if (size < 46) {
    return false;
  }
  for (size_t i = 0; i < 16; i++) {
    if (!hex_byte(line + i * 2, &out->addr[i])) {
      return false;
    }
  }
  const char *index_end = memchr(line + 33, ' ', size - 33);
  if (line[32] != ' ' || index_end == NULL || (size_t)(line + size - index_end) < 9 ||
      !hex_byte(index_end + 1, &out->prefix) || !hex_byte(index_end + 7, &flags)) {
    return false;
  }
  out->deprecated = (flags & ADDR_DEPRECATED) != 0;
  out->home = (flags & ADDR_HOME) != 0;
  return true;
}

static void read_locals(qn__local_addrs_t *local)
{
  qn__stamp_t stamp = {.known = false};
  char *text;
  size_t size;
  local->n = 0;
  if (qn__sys_file_read(IF_INET6_PATH, IF_INET6_MAX, &stamp, &text, &size) != 0) {
    return; /* no IPv6, or no /proc: addresses are as good as any */
  }
  for (size_t at = 0; at < size && local->n < QN__LOCAL_ADDRS_MAX;) {
    const char *newline = memchr(text + at, '\n', size - at);
    size_t end = newline != NULL ? (size_t)(newline - text) : size;
    if (read_local(text + at, end - at, &local->v[local->n])) {
      local->n++;
    }
    at = end + 1;
  }
  qn_free(text);
}

static bool is_tunnel(const struct ifaddrs *list, const char *name)
{
  for (; list != NULL; list = list->ifa_next) {
    if (list->ifa_addr != NULL && list->ifa_addr->sa_family == AF_PACKET &&
        strcmp(list->ifa_name, name) == 0) {
      struct sockaddr_ll link;
      memcpy(&link, list->ifa_addr, sizeof link);
      return link.sll_hatype == ARPHRD_SIT || link.sll_hatype == ARPHRD_TUNNEL ||
             link.sll_hatype == ARPHRD_TUNNEL6;
    }
  }
  return false;
}

/* Notes one address of an interface: its family, and whether it is reached through a tunnel. */
static void note(qn__local_addrs_t *local, const struct ifaddrs *list, const struct ifaddrs *i)
{
  uint8_t bytes[16];
  qn_addr_t a = {.size = 0};
  int family = i->ifa_addr != NULL ? i->ifa_addr->sa_family : AF_UNSPEC;
  if (family != AF_INET && family != AF_INET6) {
    return;
  }
  a.size = family == AF_INET ? sizeof a.u.in4 : sizeof a.u.in6;
  memcpy(&a.u, i->ifa_addr, a.size);
  to_bytes(&a, bytes);
  if ((i->ifa_flags & IFF_UP) != 0 && (i->ifa_flags & IFF_LOOPBACK) == 0 &&
      scope_of(bytes) != SCOPE_LINK) {
    local->families |= family == AF_INET ? QN__HAS_IPV4 : QN__HAS_IPV6;
  }
  for (size_t k = 0; family == AF_INET6 && k < local->n; k++) {
    if (memcmp(local->v[k].addr, bytes, 16) == 0) {
      local->v[k].encapsulated = is_tunnel(list, i->ifa_name);
    }
  }
}

static void refresh(qn__local_addrs_t *local, uint64_t now)
{
  struct ifaddrs *list = NULL;
  if (local->read && now - local->read_at < QN__LOCAL_ADDRS_MS) {
    return;
  }
  local->read = true;
  local->read_at = now;
  local->reading += local->reading == UINT32_MAX ? 2 : 1; /* never 0 */
  local->families = 0;
  read_locals(local);
  if (getifaddrs(&list) == 0) {
    for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
      note(local, list, i);
    }
    freeifaddrs(list);
  }
  if (local->families == 0) {
    local->families = QN__HAS_IPV4 | QN__HAS_IPV6;
  }
}

unsigned qn__addr_families_present(qn__local_addrs_t *local, uint64_t now)
{
  refresh(local, now);
  return local->families;
}

void qn__addr_sort(qn_addr_t *v, size_t n, qn__local_addrs_t *local, uint64_t now)
{
  qn__reach_t reach[QN__ADDR_SORT_MAX];
  uint8_t order[QN__ADDR_SORT_MAX];
  kernel_t k = {.fd4 = -1, .fd6 = -1, .local = local};
  n = n < QN__ADDR_SORT_MAX ? n : QN__ADDR_SORT_MAX;
  if (n < 2) {
    return;
  }
  refresh(local, now);
  for (size_t i = 0; i < n; i++) {
    find_reach(&k, &v[i], &reach[i]);
    place(order, reach, i);
  }
  arrange(v, order, n);
  if (k.fd4 >= 0) {
    close(k.fd4);
  }
  if (k.fd6 >= 0) {
    close(k.fd6);
  }
}

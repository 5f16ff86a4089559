/* dns_peer.h: a DNS server for C unit tests, in a thread, on a free port of 127.0.0.1 (UDP and
 * TCP).
 *
 * #include it after wire.h. What it does is said by the first label of the name; anything else is
 * as v4. PTR questions: name.test and other.test. Counts what it was asked.
 *
 * - v4, v6, both, only: 127.0.0.2, fd00::2, both, only 127.0.0.2; none: no record of any type
 * - chain: CNAME to one.<rest>; ttlN: TTL N instead of 300; many: 400 records, by TCP
 * - late4, late6: that family's answer after LATE_MS, and not while they are held; no6: nothing for
 *   AAAA; drop: nothing
 * - crowdN: the answer after LATE_MS, REFUSED when 150 wait; flood: the answer after 2,000 others
 * - servfail, refused, notimp, formerr: that rcode; nx, nxraw: NXDOMAIN with and without SOA
 * - wrongid, wrongq, short, garbage, loop: lies; empty, echo: an empty datagram, the question first
 * - noedns: FORMERR for EDNS; mute: nothing for EDNS
 * - tc, tcsplit, tcone, tcfail, tcwait: TC; by TCP at once, byte by byte, then close, close
 *   unanswered, never
 */
#ifndef QN_SPEC_DNS_PEER_H
#define QN_SPEC_DNS_PEER_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>

#define DNS_PEER_LATE_MS 120
#define DNS_PEER_CONNS 32
#define DNS_PEER_PENDING 256

typedef struct dns_late {
  struct sockaddr_in to;
  long at;
  size_t size;
  uint8_t data[600];
} dns_late_t;

typedef struct dns_peer {
  int udp, tcp, stop[2];
  qn_addr_t at;
  char text[QN_ADDR_TEXT];
  pthread_t thread;
  atomic_int asked, asked_tcp, connections;
  atomic_int ports; /* different ones that asked, up to 64 */
  uint16_t port[64];
  atomic_bool deaf; /* reads and says nothing */
  atomic_bool held; /* nothing late goes out */
  atomic_int late_sent;
  atomic_int force; /* an rcode for everything; 0: none */
  atomic_int cuts;  /* so many questions over TCP are answered by a reset */
  int conns[DNS_PEER_CONNS];
  dns_late_t late[DNS_PEER_PENDING];
  size_t n_late;
  char last[256]; /* first label of the last question; for the test's thread when all is quiet */
} dns_peer_t;

typedef struct dns_asked {
  const uint8_t *data;
  size_t size, end; /* behind the question */
  char label[64];
  uint16_t type;
  bool edns, tcp;
} dns_asked_t;

static long dns_peer_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool dns_peer_read(const uint8_t *d, size_t size, bool tcp, dns_asked_t *q)
{
  size_t at = 12;
  *q = (dns_asked_t){.data = d, .size = size, .tcp = tcp};
  if (size < 17) {
    return false;
  }
  memcpy(q->label, d + 13, d[12] & 63);
  while (at < size && d[at] != 0) {
    at += (size_t)d[at] + 1;
  }
  if (at + 5 > size) {
    return false;
  }
  q->type = (uint16_t)(d[at + 1] << 8 | d[at + 2]);
  q->end = at + 5;
  q->edns = d[11] != 0;
  return true;
}

static size_t dns_peer_rr(uint8_t *o, unsigned owner, uint16_t type, uint32_t ttl, const void *data,
                          size_t size)
{
  uint8_t head[] = {(uint8_t)(0xc0 | owner >> 8),
                    (uint8_t)owner,
                    (uint8_t)(type >> 8),
                    (uint8_t)type,
                    0,
                    1,
                    (uint8_t)(ttl >> 24),
                    (uint8_t)(ttl >> 16),
                    (uint8_t)(ttl >> 8),
                    (uint8_t)ttl,
                    (uint8_t)(size >> 8),
                    (uint8_t)size};
  memcpy(o, head, sizeof head);
  memcpy(o + sizeof head, data, size);
  return sizeof head + size;
}

static bool dns_peer_is(const dns_asked_t *q, const char *label)
{
  return strcasecmp(q->label, label) == 0;
}

/* The reply; 0: none. */
static size_t dns_peer_reply(const dns_peer_t *p, const dns_asked_t *q, uint8_t *o)
{
  static const char *rcodes[] = {"", "formerr", "servfail", "", "notimp", "refused"};
  static const uint8_t v4[] = {127, 0, 0, 2}, v6[16] = {0xfd, [15] = 2};
  /* The root's; all its numbers are 60. */
  static const uint8_t soa[] = {0, 0,  6, 0, 1, 0,  0, 0, 60, 0,  26, 1, 'n', 0,  1, 'r', 0, 0, 0,
                                0, 60, 0, 0, 0, 60, 0, 0, 0,  60, 0,  0, 0,   60, 0, 0,   0, 60};
  uint32_t ttl = strncasecmp(q->label, "ttl", 3) == 0 ? (uint32_t)atoi(q->label + 3) : 300;
  size_t n = q->end;
  unsigned rcode = (unsigned)atomic_load(&p->force), answers = 0, authority = 0;
  unsigned owner = 12;
  memcpy(o, q->data, n);
  memset(o + 6, 0, 6);
  o[2] = 0x81;
  for (unsigned i = 0; i < 6; i++) {
    rcode = *rcodes[i] && dns_peer_is(q, rcodes[i]) ? i : rcode;
  }
  rcode = dns_peer_is(q, "nx") || dns_peer_is(q, "nxraw") ? 3 : rcode;
  rcode = dns_peer_is(q, "noedns") && q->edns ? 1 : rcode;
  o[3] = (uint8_t)(0x80 | rcode);
  if (dns_peer_is(q, "drop") || (dns_peer_is(q, "no6") && q->type == QN_DNS_AAAA) ||
      (dns_peer_is(q, "mute") && q->edns)) {
    return 0;
  }
  bool tc = strncasecmp(q->label, "tc", 2) == 0 || dns_peer_is(q, "many");
  if (tc && !q->tcp) {
    o[2] |= 2;
    return n;
  }
  o[0] ^= dns_peer_is(q, "wrongid");
  o[13] ^= dns_peer_is(q, "wrongq") ? 1 : 0;
  if (dns_peer_is(q, "short")) {
    return 14;
  }
  bool has4 = !dns_peer_is(q, "v6") && !dns_peer_is(q, "none") && rcode == 0;
  bool has6 = rcode == 0 && (dns_peer_is(q, "v6") || dns_peer_is(q, "both") ||
                             strncasecmp(q->label, "late", 4) == 0);
  if (dns_peer_is(q, "chain") || dns_peer_is(q, "loop")) {
    uint8_t target[] = {3, 'o', 'n', 'e', 0xc0, (uint8_t)(13 + q->data[12])};
    bool loop = dns_peer_is(q, "loop");
    owner = (unsigned)n + 12;
    n += loop ? dns_peer_rr(o + n, 12, QN_DNS_CNAME, ttl, "\xc0\x0c", 2)
              : dns_peer_rr(o + n, 12, QN_DNS_CNAME, ttl, target, sizeof target);
    answers++;
    has4 = !loop;
  }
  if (q->type == QN_DNS_PTR && rcode == 0 && !dns_peer_is(q, "9")) {
    n += dns_peer_rr(o + n, 12, q->type, ttl, "\4name\4test", 11);
    n += dns_peer_rr(o + n, 12, q->type, ttl, "\5other\4test", 12);
    answers += 2;
  }
  for (int i = 0; q->type == QN_DNS_A && has4 && i < (dns_peer_is(q, "many") ? 400 : 1); i++) {
    uint8_t a[] = {v4[0], (uint8_t)(i >> 8), (uint8_t)i, v4[3]};
    n += dns_peer_rr(o + n, owner, q->type, ttl, a, 4);
    answers++;
  }
  if (q->type == QN_DNS_AAAA && has6) {
    n += dns_peer_rr(o + n, owner, q->type, ttl, v6, 16);
    answers++;
  }
  if (q->type == QN_DNS_TXT && rcode == 0) {
    n += dns_peer_rr(o + n, owner, q->type, ttl, "\5hello", 6);
    answers++;
  }
  if (answers == 0 && (rcode == 0 || rcode == 3) && !dns_peer_is(q, "nxraw")) {
    memcpy(o + n, soa, sizeof soa);
    n += sizeof soa;
    authority = 1;
  }
  o[6] = (uint8_t)(answers >> 8);
  o[7] = (uint8_t)answers;
  o[9] = (uint8_t)authority;
  if (dns_peer_is(q, "garbage")) {
    o[7] = 77;
  }
  return n;
}

static void dns_peer_port(dns_peer_t *p, uint16_t port)
{
  int n = atomic_load(&p->ports), i = 0;
  while (i < n && p->port[i] != port) {
    i++;
  }
  if (i == n && n < 64) {
    p->port[i] = port;
    atomic_store(&p->ports, n + 1);
  }
}

/* Whether the socket with this port has read all that was sent to it. */
static bool dns_peer_read_all(unsigned port)
{
  FILE *f = fopen("/proc/net/udp", "r");
  char line[256];
  bool all = true;
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    /* "sl: address:PORT address:port state sent:RECEIVED" */
    const char *own = strchr(line, ':');
    own = own != NULL ? strchr(own + 1, ':') : NULL;
    const char *peer = own != NULL ? strchr(own + 1, ':') : NULL;
    const char *queues = peer != NULL ? strchr(peer + 1, ':') : NULL;
    if (queues != NULL && strtoul(own + 1, NULL, 16) == port) {
      all = strtoul(queues + 1, NULL, 16) == 0;
    }
  }
  if (f != NULL) {
    fclose(f);
  }
  return all;
}

static void dns_peer_udp(dns_peer_t *p)
{
  uint8_t in[1500], out[16384];
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  dns_asked_t q;
  ssize_t n = recvfrom(p->udp, in, sizeof in, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
  if (n <= 0 || !dns_peer_read(in, (size_t)n, false, &q)) {
    return;
  }
  atomic_fetch_add(&p->asked, 1);
  dns_peer_port(p, from.sin_port);
  if (atomic_load(&p->deaf)) {
    return;
  }
  size_t reply = dns_peer_reply(p, &q, out);
  if (dns_peer_is(&q, "echo")) {
    sendto(p->udp, in, (size_t)n, 0, (struct sockaddr *)&from, size);
  }
  if (dns_peer_is(&q, "empty")) {
    sendto(p->udp, out, 0, 0, (struct sockaddr *)&from, size);
  }
  for (int i = 0; dns_peer_is(&q, "flood") && i < 2000; i++) {
    sendto(p->udp, out, i % 3 ? 11 : 0, 0, (struct sockaddr *)&from, size);
    for (int k = 0; i % 100 == 99 && k < 10000 && !dns_peer_read_all(ntohs(from.sin_port)); k++) {
      usleep(500); /* there is room for 100 */
    }
  }
  bool crowd = strncasecmp(q.label, "crowd", 5) == 0;
  if (crowd && p->n_late >= 150) {
    reply = q.end;
    out[3] = 0x85;
    out[7] = 0;
    crowd = false;
  }
  bool late = crowd || (dns_peer_is(&q, "late4") && q.type == QN_DNS_A) ||
              (dns_peer_is(&q, "late6") && q.type == QN_DNS_AAAA);
  if (late && p->n_late < DNS_PEER_PENDING && reply <= sizeof p->late->data) {
    dns_late_t *l = &p->late[p->n_late++];
    *l = (dns_late_t){.to = from, .at = dns_peer_now() + DNS_PEER_LATE_MS, .size = reply};
    memcpy(l->data, out, reply);
  } else if (reply > 0) {
    sendto(p->udp, out, reply, 0, (struct sockaddr *)&from, size);
  }
}

static bool dns_peer_all(int fd, uint8_t *data, size_t size)
{
  return recv(fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

/* One question; false: the connection is over. */
static bool dns_peer_conn(dns_peer_t *p, int fd)
{
  uint8_t in[1500], out[16384], length[2];
  dns_asked_t q;
  if (!dns_peer_all(fd, length, 2) || (length[0] << 8 | length[1]) > (int)sizeof in) {
    return false;
  }
  size_t n = (size_t)(length[0] << 8 | length[1]);
  if (!dns_peer_all(fd, in, n) || !dns_peer_read(in, n, true, &q)) {
    return false;
  }
  atomic_fetch_add(&p->asked_tcp, 1);
  if (dns_peer_is(&q, "tcfail")) {
    return false;
  }
  if (atomic_load(&p->cuts) > 0) {
    struct linger reset = {.l_onoff = 1};
    atomic_fetch_sub(&p->cuts, 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return false;
  }
  if (dns_peer_is(&q, "tcwait")) {
    return true;
  }
  size_t reply = dns_peer_reply(p, &q, out + 2);
  out[0] = (uint8_t)(reply >> 8);
  out[1] = (uint8_t)reply;
  for (size_t i = 0, step = dns_peer_is(&q, "tcsplit") ? 1 : reply + 2; i < reply + 2; i += step) {
    send(fd, out + i, step, MSG_NOSIGNAL);
    if (step == 1) {
      usleep(200);
    }
  }
  return strncasecmp(q.label, "tcone", 5) != 0;
}

static int dns_peer_send_late(dns_peer_t *p)
{
  long now = dns_peer_now();
  for (size_t i = 0; i < p->n_late;) {
    dns_late_t *l = &p->late[i];
    if (l->at <= now && !atomic_load(&p->held)) {
      sendto(p->udp, l->data, l->size, 0, (struct sockaddr *)&l->to, sizeof l->to);
      atomic_fetch_add(&p->late_sent, 1);
      *l = p->late[--p->n_late];
    } else {
      i++;
    }
  }
  return p->n_late > 0 ? 5 : -1;
}

static void *dns_peer_run(void *arg)
{
  dns_peer_t *p = arg;
  for (;;) {
    struct pollfd fds[3 + DNS_PEER_CONNS] = {
        {p->udp, POLLIN, 0}, {p->tcp, POLLIN, 0}, {p->stop[0], POLLIN, 0}};
    for (int i = 0; i < DNS_PEER_CONNS; i++) {
      fds[3 + i] = (struct pollfd){p->conns[i], POLLIN, 0};
    }
    poll(fds, 3 + DNS_PEER_CONNS, dns_peer_send_late(p));
    if (fds[2].revents != 0) {
      return NULL;
    }
    if (fds[0].revents != 0) {
      dns_peer_udp(p);
    }
    for (int i = 0; i < DNS_PEER_CONNS; i++) {
      if (fds[3 + i].revents != 0 && !dns_peer_conn(p, p->conns[i])) {
        close(p->conns[i]);
        p->conns[i] = -1;
      }
    }
    if (fds[1].revents != 0) {
      int fd = accept4(p->tcp, NULL, NULL, SOCK_CLOEXEC), i = 0;
      for (; i < DNS_PEER_CONNS && p->conns[i] >= 0; i++) {
      }
      if (fd >= 0 && i < DNS_PEER_CONNS) {
        p->conns[i] = fd;
        peer_setup(fd);
        atomic_fetch_add(&p->connections, 1);
      } else if (fd >= 0) {
        close(fd);
      }
    }
  }
}

TEST_UNUSED static void dns_peer_begin(dns_peer_t *p)
{
  socklen_t size = sizeof p->at.u;
  memset(p, 0, sizeof *p);
  memset(p->conns, -1, sizeof p->conns);
  p->tcp = peer_listen(&p->at, 64);
  p->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (int i = 0; i < 50 && bind(p->udp, &p->at.u.sa, p->at.size) < 0; i++) { /* taken: another */
    close(p->tcp);
    p->tcp = peer_listen(&p->at, 64);
  }
  REQUIRE_INT(getsockname(p->udp, &p->at.u.sa, &size), 0);
  REQUIRE_INT(pipe2(p->stop, O_CLOEXEC), 0);
  qn_addr_text(&p->at, p->text, sizeof p->text);
  REQUIRE_INT(pthread_create(&p->thread, NULL, dns_peer_run, p), 0);
}

TEST_UNUSED static void dns_peer_end(dns_peer_t *p)
{
  REQUIRE_INT(write(p->stop[1], "", 1), 1);
  pthread_join(p->thread, NULL);
  for (int i = 0; i < DNS_PEER_CONNS; i++) {
    if (p->conns[i] >= 0) {
      close(p->conns[i]);
    }
  }
  close(p->udp);
  close(p->tcp);
  close(p->stop[0]);
  close(p->stop[1]);
}

#endif

/* resolver.c: messages to one DNS server through c-ares, watched by libuv: see dns_server.h.
 *
 * The only file that knows c-ares. Channels for UDP and others for TCP, because c-ares (1.18)
 * gives up all that is under way with a server, on either, when one connection ends. Each channel
 * makes one try; ids are ours (from the kernel), so is the socket: empty datagrams, which c-ares
 * takes for an error, and questions are passed over, and a datagram is handed on as it came, where
 * c-ares would cut it at 512 bytes. Two channels take turns for UDP, so that a busy server does not
 * see one port for ever, which would help to forge replies. Invariant: a channel has sockets, the
 * server has an armed timer, exactly while messages are under way.
 */
#define CARES_NO_DEPRECATED

#include "net/dns_server.h"

#include "loop/loop_i.h"

#include <ares.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#define TIMEOUT_MAX_MS 3600000u
#define TICK_MIN_MS 5u              /* between two looks at what has timed out */
#define DATAGRAM_MAX 4097           /* c-ares reads this much at once */
#define RECEIVE_BUFFER (512 * 1024) /* a window of replies must fit in */
#define DATAGRAMS_AT_ONCE 512       /* read beneath one event: a flood must not hold the loop */
#define MESSAGES_PER_PORT 500       /* sent from one port, if another can be had */
#define TCP_SILENT_MS 200           /* what is asked then goes over another connection */

typedef struct watch {
  uv_poll_t uv;
  struct channel *channel;
  struct watch *next;
  ares_socket_t fd;
  int events;
  bool closing;
} watch_t;

typedef struct channel {
  qn__dns_server_t *server;
  ares_channel ares;
  watch_t *watches;
  bool tcp;
  bool spoke;           /* something was sent on the connection */
  bool brought;         /* the connection has brought a reply */
  bool lost;            /* the one that was closed last had */
  bool cut;             /* that one had not, but was up */
  int error;            /* of the last call for a socket */
  size_t under_way;     /* messages */
  uint64_t heard;       /* the last reply; when the first message was sent */
  unsigned sent;        /* since the channel had its turn */
  unsigned budget;      /* datagrams that may still be read beneath this event */
  size_t datagram;      /* bytes in `bytes`; 0: none */
  const uint8_t *bytes; /* where c-ares has just read a datagram to; valid beneath its call */
} channel_t;

enum { UDP, UDP_TOO, TCP, CHANNELS = TCP + 3 };

struct qn__dns_server {
  qn_loop_t *loop;
  qn_addr_t address;
  uint64_t timeout;
  qn_timer_t timer;
  int cancelled;    /* why messages are being cancelled */
  size_t under_way; /* messages of all channels */
  int turn;         /* UDP or UDP_TOO */
  channel_t channels[CHANNELS];
};

typedef struct message {
  channel_t *channel;
  qn__dns_reply_fn reply;
  void *arg;
} message_t;

/* --- watching -------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *uv, int status, int events)
{
  watch_t *w = QN__CONTAINER(uv, watch_t, uv);
  ares_channel ares = w->channel->ares;
  ares_socket_t fd = w->fd;
  bool failed = status < 0; /* libuv has stopped the handle: the call below meets the error */
  w->channel->budget = DATAGRAMS_AT_ONCE;
  ares_process_fd(ares, failed || (events & UV_READABLE) != 0 ? fd : ARES_SOCKET_BAD,
                  failed || (events & UV_WRITABLE) != 0 ? fd : ARES_SOCKET_BAD);
  if (failed && !w->closing) {
    uv_poll_start(&w->uv, w->events, on_poll);
  }
}

static void on_closed(uv_handle_t *handle)
{
  watch_t *w = QN__CONTAINER(handle, watch_t, uv);
  qn__handle_closed(handle->data);
  qn_free(w);
}

static watch_t **watch_of(channel_t *c, ares_socket_t fd)
{
  watch_t **at = &c->watches;
  while (*at != NULL && (*at)->fd != fd) {
    at = &(*at)->next;
  }
  return at;
}

static void unwatch(channel_t *c, ares_socket_t fd)
{
  watch_t **at = watch_of(c, fd), *w = *at;
  if (w != NULL) {
    *at = w->next;
    w->closing = true;
    uv_close((uv_handle_t *)&w->uv, on_closed);
  }
}

static int watch(channel_t *c, ares_socket_t fd)
{
  qn_loop_t *loop = c->server->loop;
  if (*watch_of(c, fd) != NULL) {
    return 0;
  }
  watch_t *w = qn_calloc(1, sizeof *w);
  if (w == NULL) {
    return -ENOMEM;
  }
  *w = (watch_t){.channel = c, .fd = fd};
  int rc = uv_poll_init(qn_loop_uv(loop), &w->uv, fd);
  if (rc < 0) {
    qn_free(w);
    return rc;
  }
  w->uv.data = loop;
  qn__handle_opened(loop);
  w->next = c->watches;
  c->watches = w;
  return 0;
}

/* What c-ares wishes to know about a socket. 1.18 says it after the connect, in which the watch was
 * made, so that a lack of memory is told there. */
static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
  channel_t *c = arg;
  watch_t *w = *watch_of(c, fd);
  int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  if (w == NULL && events != 0 && watch(c, fd) == 0) {
    w = c->watches;
  }
  if (w != NULL && events == 0) {
    unwatch(c, fd);
  } else if (w != NULL && events != w->events) {
    w->events = events;
    uv_poll_start(&w->uv, events, on_poll);
  }
}

/* --- sockets: what c-ares calls --------------------------------------------------------------- */

static ares_socket_t open_socket(int family, int type, int protocol, void *arg)
{
  channel_t *c = arg;
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), size = RECEIVE_BUFFER;
  c->error = fd < 0 ? -errno : 0;
  c->spoke = c->brought = c->lost = c->cut = false;
  if (fd >= 0 && !c->tcp) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  } else if (fd >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  }
  return fd;
}

static int close_socket(ares_socket_t fd, void *arg)
{
  channel_t *c = arg;
  unwatch(c, fd);
  c->lost = c->tcp && c->brought;
  c->cut = c->tcp && c->spoke && !c->brought;
  return close(fd);
}

/* The address is the one that c-ares was told, but with its scope. */
static int connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t size,
                          void *arg)
{
  channel_t *c = arg;
  const qn_addr_t *a = &c->server->address;
  (void)to;
  (void)size;
  int rc = connect(fd, &a->u.sa, a->size);
  int error = errno;
  if (rc == 0 || error == EINPROGRESS) {
    c->error = watch(c, fd);
    if (c->error < 0) {
      errno = -c->error;
      return -1;
    }
  } else {
    c->error = QN_E_DNS_UNREACHABLE;
  }
  errno = error;
  return rc;
}

/* Not even a reply: somebody sends back what he gets, or guesses. */
static bool is_question(const uint8_t *message, ares_ssize_t size)
{
  return size > 2 && (message[2] & 0x80) == 0;
}

static ares_ssize_t receive(ares_socket_t fd, void *buffer, size_t size, int flags,
                            struct sockaddr *from, ares_socklen_t *from_size, void *arg)
{
  channel_t *c = arg;
  ares_ssize_t n = 0;
  bool again = true;
  while (again) {
    if (!c->tcp && c->budget == 0) { /* the poll will tell that there is more */
      errno = EAGAIN;
      return -1;
    }
    c->budget -= !c->tcp;
    n = recvfrom(fd, buffer, size, flags, from, from_size);
    again = !c->tcp && size > 0 && (n == 0 || is_question(buffer, n));
  }
  c->bytes = buffer;
  c->datagram = n > 0 && !c->tcp ? (size_t)n : 0;
  return n;
}

/* A datagram that the kernel has no room for is as good as lost: it is asked again in time. */
static ares_ssize_t send_socket(ares_socket_t fd, const struct iovec *v, int n, void *arg)
{
  channel_t *c = arg;
  struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n};
  ares_ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL);
  if (sent < 0 && !c->tcp && errno == ECONNREFUSED) {
    /* The refusal of an earlier message, which is told once only: this one is refused again, and
     * then c-ares reads it and gives up all of them; else the earlier one would wait for its time
     * limit. */
    sent = sendmsg(fd, &m, MSG_NOSIGNAL);
  }
  if (sent < 0 && !c->tcp && (errno == EAGAIN || errno == ENOBUFS)) {
    for (sent = 0; n > 0; n--) {
      sent += (ares_ssize_t)v[n - 1].iov_len;
    }
  }
  c->spoke |= sent > 0;
  return sent;
}

/* --- channels --------------------------------------------------------------------------------- */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void open_library(void) { library_status = ares_library_init(ARES_LIB_INIT_ALL); }

static int error_of(int status)
{
  switch (status) {
  case ARES_SUCCESS: return 0;
  case ARES_ENOMEM: return -ENOMEM;
  case ARES_ETIMEOUT: return QN_E_TIMEOUT;
  case ARES_ECANCELLED:
  case ARES_EDESTRUCTION: return QN_E_CANCELLED;
  case ARES_EBADRESP:
  case ARES_EFORMERR: return QN_E_DNS_REPLY;
  default: return QN_E_DNS_UNREACHABLE;
  }
}

/* Everything is said, so that c-ares reads no file of the system for itself. */
static int init(channel_t *c)
{
  const qn__dns_server_t *s = c->server;
  static char lookups[] = "b";
  char *none = NULL;
  struct in_addr any = {0};
  struct ares_options o = {
      .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP | ARES_FLAG_IGNTC |
               (c->tcp ? ARES_FLAG_USEVC : 0),
      .timeout = (int)s->timeout,
      .tries = 1,
      .ndots = 0,
      .servers = &any,
      .nservers = 1,
      .domains = &none,
      .lookups = lookups,
      .sock_state_cb = on_state,
      .sock_state_cb_data = c,
  };
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
             ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST |
             ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;
#ifdef ARES_OPT_QUERY_CACHE /* since 1.31 it has a cache of its own; 0 switches it off */
  mask |= ARES_OPT_QUERY_CACHE;
#endif
  pthread_once(&library_once, open_library);
  int status = library_status;
  return status == ARES_SUCCESS ? ares_init_options(&c->ares, &o, mask) : status;
}

static int open_channel(channel_t *c)
{
  static const struct ares_socket_functions functions = {
      .asocket = open_socket,
      .aclose = close_socket,
      .aconnect = connect_socket,
      .arecvfrom = receive,
      .asendv = send_socket,
  };
  const qn_addr_t *a = &c->server->address;
  struct ares_addr_port_node node = {
      .family = a->u.sa.sa_family,
      .udp_port = qn_addr_port(a),
      .tcp_port = qn_addr_port(a),
  };
  if (c->ares != NULL) {
    return 0;
  }
  if (node.family == AF_INET) {
    node.addr.addr4 = a->u.in4.sin_addr;
  } else {
    memcpy(&node.addr.addr6, &a->u.in6.sin6_addr, sizeof node.addr.addr6);
  }
  int status = init(c);
  if (status == ARES_SUCCESS) {
    ares_set_socket_functions(c->ares, &functions, c);
    status = ares_set_servers_ports(c->ares, &node);
  }
  if (status != ARES_SUCCESS && c->ares != NULL) {
    ares_destroy(c->ares);
  }
  if (status != ARES_SUCCESS) {
    c->ares = NULL;
  }
  return error_of(status);
}

/* --- time ------------------------------------------------------------------------------------- */

static void arm(qn__dns_server_t *s, uint64_t ms);

/* Beneath the ready phase; every try has the same limit, so the oldest message is the next one. */
static void on_timer(qn_timer_t *t)
{
  qn__dns_server_t *s = QN__CONTAINER(t, qn__dns_server_t, timer);
  uint64_t next = UINT64_MAX;
  for (int i = 0; i < CHANNELS; i++) {
    channel_t *c = &s->channels[i];
    struct timeval left, *found = NULL;
    if (c->under_way > 0) {
      ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    if (c->under_way > 0) {
      found = ares_timeout(c->ares, NULL, &left);
    }
    if (found != NULL) {
      uint64_t ms = (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1;
      next = ms < next ? ms : next;
    }
  }
  if (next != UINT64_MAX) {
    arm(s, next < TICK_MIN_MS ? TICK_MIN_MS : next);
  }
}

static void arm(qn__dns_server_t *s, uint64_t ms)
{
  int rc = qn_timer_start(s->loop, &s->timer, qn_loop_fresh(s->loop) + ms, on_timer);
  if (rc < 0) { /* without a clock nothing would end */
    s->cancelled = rc;
    qn__dns_server_cancel(s);
    s->cancelled = QN_E_CANCELLED;
  }
}

/* --- messages --------------------------------------------------------------------------------- */

static void on_reply(void *arg, int status, int timeouts, unsigned char *data, int size)
{
  message_t *m = arg;
  channel_t *c = m->channel;
  qn__dns_server_t *s = c->server;
  qn__dns_reply_fn reply = m->reply;
  void *to = m->arg;
  (void)timeouts;
  qn_free(m);
  c->under_way--;
  if (--s->under_way == 0) {
    qn_timer_stop(s->loop, &s->timer);
  }
  /* c-ares shows its own reading of an answer, or what is left of it; the datagram is still there.
   */
  bool raw = c->datagram >= 12 && data != NULL && size >= 2 && memcmp(data, c->bytes, 2) == 0;
  int rc = error_of(status);
  if (data != NULL && size > 0 && rc != QN_E_CANCELLED) {
    c->brought = true;
    c->heard = qn_loop_now(s->loop);
    reply(to, 0, raw ? c->bytes : data, raw ? c->datagram : (size_t)size);
    return;
  }
  if (rc == QN_E_CANCELLED) {
    rc = s->cancelled;
  } else if (rc == QN_E_DNS_UNREACHABLE) {
    rc = c->lost ? QN_AGAIN : c->cut ? -ECONNRESET : c->error != 0 ? c->error : rc;
  }
  reply(to, rc < 0 ? rc : QN_E_DNS_REPLY, NULL, 0);
}

/* A connection on which nothing waits for long, because a server may answer in order, and a stream
 * may be stuck in the middle of a reply. */
static channel_t *choose_tcp(qn__dns_server_t *s)
{
  channel_t *best = &s->channels[TCP];
  for (channel_t *c = best; c < s->channels + CHANNELS; c++) {
    if (c->under_way == 0 || c->heard + TCP_SILENT_MS > qn_loop_now(s->loop)) {
      return c;
    }
    best = c->under_way < best->under_way ? c : best;
  }
  return best;
}

/* The channel for the next message. */
static channel_t *choose(qn__dns_server_t *s, bool tcp)
{
  const channel_t *now = &s->channels[s->turn], *other = &s->channels[UDP + UDP_TOO - s->turn];
  if (tcp) {
    return choose_tcp(s);
  }
  if (now->sent >= MESSAGES_PER_PORT && other->under_way == 0) {
    s->turn = UDP + UDP_TOO - s->turn;
    s->channels[s->turn].sent = 0;
  }
  if (s->channels[s->turn].under_way == 0) { /* its socket is closed: another port anyway */
    s->channels[s->turn].sent = 0;
  }
  return &s->channels[s->turn];
}

void qn__dns_server_send(qn__dns_server_t *s, bool tcp, const uint8_t *message, size_t size,
                         qn__dns_reply_fn reply, void *arg)
{
  channel_t *c = choose(s, tcp);
  int rc = open_channel(c);
  message_t *m = rc == 0 ? qn_malloc(sizeof *m) : NULL;
  if (m == NULL) {
    reply(arg, rc < 0 ? rc : -ENOMEM, NULL, 0);
    return;
  }
  *m = (message_t){.channel = c, .reply = reply, .arg = arg};
  c->heard = c->under_way == 0 ? qn_loop_now(s->loop) : c->heard;
  c->under_way++;
  s->under_way++;
  c->sent++;
  c->datagram = 0;
  if (c->watches == NULL) {
    c->error = 0;
    c->lost = c->cut = false;
  }
  ares_send(c->ares, message, (int)size, on_reply, m);
  if (c->under_way > 0 && !qn_timer_armed(&s->timer)) {
    arm(s, s->timeout + 1);
  }
}

int qn__dns_server_new(qn_loop_t *loop, const qn_addr_t *address, uint64_t timeout,
                       qn__dns_server_t **out)
{
  qn__dns_server_t *s = qn_calloc(1, sizeof *s);
  *out = s;
  if (s == NULL) {
    return -ENOMEM;
  }
  s->loop = loop;
  s->address = *address;
  s->timeout = timeout < TIMEOUT_MAX_MS ? timeout : TIMEOUT_MAX_MS;
  s->timeout = s->timeout > 0 ? s->timeout : 1;
  s->cancelled = QN_E_CANCELLED;
  for (int i = 0; i < CHANNELS; i++) {
    s->channels[i].server = s;
    s->channels[i].tcp = i >= TCP;
  }
  return 0;
}

void qn__dns_server_cancel(qn__dns_server_t *s)
{
  for (int i = 0; i < CHANNELS; i++) {
    if (s->channels[i].under_way > 0) {
      ares_cancel(s->channels[i].ares);
    }
  }
}

void qn__dns_server_free(qn__dns_server_t *s)
{
  if (s != NULL) {
    for (int i = 0; i < CHANNELS; i++) {
      if (s->channels[i].ares != NULL) {
        ares_destroy(s->channels[i].ares);
      }
    }
    qn_timer_stop(s->loop, &s->timer);
    qn_free(s);
  }
}

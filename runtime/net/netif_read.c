/* netif_read.c: asks the kernel for its interfaces and addresses.
 *
 * A route socket of its own for each reading: two dumps, links and then addresses. The kernel
 * answers from memory, so nothing waits; a time limit on the socket is there for sandboxes that
 * swallow the question. A dump that something changed meanwhile is asked for again, a few times.
 */
#include "net/netif_i.h"
#include "qn/netif.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

_Static_assert(QN_NETIF_NAME == IF_NAMESIZE, "names of interfaces fit");

/* <linux/wireless.h> and <net/if.h> exclude each other; the question begins with the name. */
#define ASK_WIRELESS_MODE 0x8B07 /* SIOCGIWMODE */

enum { ANSWER_SIZE = 32 * 1024, MAX_TRIES = 5, PATIENCE = 2 /* seconds */ };

static int open_socket(void)
{
  struct timeval limit = {.tv_sec = PATIENCE};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) {
    return -errno;
  }
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

static int ask(int fd, uint16_t type, uint32_t number)
{
  struct {
    struct nlmsghdr head;
    struct rtgenmsg body;
  } question;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  memset(&question, 0, sizeof question);
  question.head.nlmsg_len = NLMSG_LENGTH(sizeof question.body);
  question.head.nlmsg_type = type;
  question.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  question.head.nlmsg_seq = number;
  question.body.rtgen_family = AF_UNSPEC;
  ssize_t n;
  do {
    n = sendto(fd, &question, question.head.nlmsg_len, 0, (struct sockaddr *)&kernel,
               sizeof kernel);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : 0;
}

/* One datagram of the kernel; anybody may send to a route socket, so the sender is looked at. */
static int receive(int fd, char *buf, size_t *size)
{
  for (;;) {
    struct sockaddr_nl from = {0};
    struct iovec part = {.iov_base = buf, .iov_len = ANSWER_SIZE};
    struct msghdr head = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
    ssize_t n = recvmsg(fd, &head, 0);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return errno == EAGAIN ? QN_E_TIMEOUT : -errno;
    }
    if ((head.msg_flags & MSG_TRUNC) != 0) {
      return -EMSGSIZE;
    }
    if (from.nl_pid == 0) {
      *size = (size_t)n;
      return 0;
    }
  }
}

/* 0, or an error; *changed: ask again. */
static int read_dump(int fd, char *buf, uint32_t number, qn__netif_build_t *b, bool *changed)
{
  for (;;) {
    size_t left = 0;
    int rc = receive(fd, buf, &left);
    if (rc < 0) {
      return rc;
    }
    const char *at = buf;
    while (left >= NLMSG_HDRLEN) {
      const struct nlmsghdr *message = (const void *)at;
      if (message->nlmsg_len < NLMSG_HDRLEN || message->nlmsg_len > left) {
        return QN_E_PROTOCOL;
      }
      if (message->nlmsg_seq == number) {
        *changed |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (message->nlmsg_type == NLMSG_DONE) {
          return 0;
        }
        if (message->nlmsg_type == NLMSG_ERROR) {
          const struct nlmsgerr *error = NLMSG_DATA(message);
          return message->nlmsg_len >= NLMSG_LENGTH(sizeof *error) && error->error < 0
                     ? error->error
                     : QN_E_PROTOCOL;
        }
        rc = qn__netif_take(b, message);
        if (rc < 0) {
          return rc;
        }
      }
      size_t step = NLMSG_ALIGN((size_t)message->nlmsg_len);
      step = step < left ? step : left;
      at += step;
      left -= step;
    }
  }
}

/* Wireless cards are Ethernet to everybody but those who ask. */
static void look_for_wireless(qn_netifs_t *list)
{
  int fd = -1;
  for (size_t i = 0; i < list->n; i++) {
    if (list->v[i].type == QN_NETIF_TYPE_ETHERNET) {
      struct ifreq request;
      memset(&request, 0, sizeof request);
      memcpy(request.ifr_name, list->v[i].name, sizeof list->v[i].name);
      if (fd < 0) {
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      }
      if (fd >= 0 && ioctl(fd, ASK_WIRELESS_MODE, &request) >= 0) {
        list->v[i].type = QN_NETIF_TYPE_WIFI;
      }
    }
  }
  if (fd >= 0) {
    close(fd);
  }
}

int qn_netifs_read(qn_netifs_t *out)
{
  qn__netif_build_t b = {0};
  bool changed;
  memset(out, 0, sizeof *out);
  int fd = open_socket();
  if (fd < 0) {
    return fd;
  }
  char *buf = qn_malloc(ANSWER_SIZE);
  int rc = buf != NULL ? 0 : -ENOMEM;
  for (uint32_t number = 1, tries = 0; rc == 0; number += 2) {
    changed = false;
    rc = ask(fd, RTM_GETLINK, number);
    rc = rc == 0 ? read_dump(fd, buf, number, &b, &changed) : rc;
    rc = rc == 0 ? ask(fd, RTM_GETADDR, number + 1) : rc;
    rc = rc == 0 ? read_dump(fd, buf, number + 1, &b, &changed) : rc;
    if (rc != 0 || !changed || ++tries == MAX_TRIES) {
      break;
    }
    qn__netif_drop(&b);
  }
  rc = rc == 0 ? qn__netif_finish(&b, out) : rc;
  qn__netif_drop(&b);
  qn_free(buf);
  close(fd);
  if (rc == 0) {
    look_for_wireless(out);
  }
  return rc;
}

int qn_netif_name(uint32_t index, char *name)
{
  return if_indextoname(index, name) != NULL ? 0 : -ENODEV;
}

int qn_netif_index(const char *name, uint32_t *index)
{
  *index = if_nametoindex(name);
  return *index != 0 ? 0 : -ENODEV;
}

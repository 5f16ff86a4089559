/* A name server that answers every question after a fixed time, as one that is some way off does:
 * dns_delay MILLISECONDS, on port 53 of 127.0.0.1. Every name has 127.0.0.9 and ::9.
 * Started by scripts/bench/run in a network namespace. It measures nothing.
 * Invariant: answers leave in the order in which their questions came. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 53, WAITING = 65536, MESSAGE = 512, HEADER = 12, TYPE_A = 1, TYPE_AAAA = 28 };

typedef struct answer {
  uint64_t due;
  struct sockaddr_in peer;
  uint8_t data[MESSAGE + 32];
  size_t size;
} answer_t;

static answer_t *waiting;
static size_t first, last; /* of a ring; equal = empty */

static uint64_t now_us(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Turns the question in `a` into its answer; false when it is none. */
static int answer(answer_t *a)
{
  size_t at = HEADER;
  while (at < a->size && a->data[at] != 0) {
    at += 1u + a->data[at];
  }
  if (at + 5 > a->size) {
    return 0;
  }
  uint8_t type = a->data[at + 2], *p = a->data + at + 5;
  size_t length = type == TYPE_A ? 4 : type == TYPE_AAAA ? 16 : 0;
  a->data[2] = 0x85; /* an authoritative answer */
  a->data[3] = 0x80;
  memset(a->data + 6, 0, 6);
  if (length > 0) {
    const uint8_t head[12] = {0xc0, 12, 0, type, 0, 1, 0, 0, 1, 44, 0, (uint8_t)length};
    memcpy(p, head, sizeof head);
    memset(p + 12, 0, length);
    p[12] = length == 4 ? 127 : 0;
    p[11 + length] = 9;
    p += 12 + length;
    a->data[7] = 1;
  }
  a->size = (size_t)(p - a->data);
  return 1;
}

static void serve(int fd, uint64_t delay)
{
  for (;;) {
    uint64_t now = now_us();
    while (first != last && waiting[first].due <= now) {
      answer_t *a = &waiting[first];
      sendto(fd, a->data, a->size, 0, (struct sockaddr *)&a->peer, sizeof a->peer);
      first = (first + 1) % WAITING;
    }
    struct timespec rest = {3600, 0};
    if (first != last) {
      uint64_t us = waiting[first].due - now;
      rest = (struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (ppoll(&p, 1, &rest, NULL) <= 0) {
      continue;
    }
    while ((last + 1) % WAITING != first) {
      answer_t *a = &waiting[last];
      socklen_t size = sizeof a->peer;
      ssize_t n = recvfrom(fd, a->data, MESSAGE, MSG_DONTWAIT, (struct sockaddr *)&a->peer, &size);
      if (n < 0) {
        break;
      }
      a->size = (size_t)n;
      a->due = now_us() + delay;
      if (answer(a)) {
        last = (last + 1) % WAITING;
      }
    }
  }
}

int main(int argc, char **argv)
{
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  int room = 8 << 20, fd = socket(AF_INET, SOCK_DGRAM, 0);
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  waiting = calloc(WAITING, sizeof *waiting);
  if (argc != 2 || waiting == NULL) {
    fprintf(stderr, "usage: dns_delay MILLISECONDS\n");
    return 2;
  }
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  }
  if (bind(fd, (struct sockaddr *)&here, sizeof here) != 0) {
    perror("dns_delay");
    return 1;
  }
  serve(fd, strtoull(argv[1], NULL, 10) * 1000);
  return 0;
}

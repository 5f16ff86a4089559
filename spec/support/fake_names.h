/* fake_names.h: a getaddrinfo for C unit tests, so that no query leaves the machine.
 *
 * #include it after wire.h: names_begin makes the loop's resolver ask the system for every name,
 * whatever nsswitch.conf says. A program that includes this file replaces the C library's function
 * by this one. Names: two.test     127.0.0.2 127.0.0.2 127.0.0.1        both.test   ::1 127.0.0.1
 *   many.test    200 addresses                        one.test    127.0.0.1
 *   none.test    EAI_NONAME (so has any other name)   again.test  EAI_AGAIN
 *   fail.test    EAI_FAIL                             system.test EAI_SYSTEM, ENFILE
 *   hidden.test  127.0.0.1, but not with AI_ADDRCONFIG
 *   hang.test    none, after names_release() was called
 * It runs in pool threads: the counters are guarded.
 */
#ifndef QN_SPEC_FAKE_NAMES_H
#define QN_SPEC_FAKE_NAMES_H

#include "net/resolver_i.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int asked, hanging;
  bool released;
} names = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

TEST_UNUSED static void names_release(void)
{
  pthread_mutex_lock(&names.mutex);
  names.released = true;
  pthread_cond_broadcast(&names.changed);
  pthread_mutex_unlock(&names.mutex);
}

TEST_UNUSED static void names_begin(void)
{
  pthread_mutex_lock(&names.mutex);
  names.asked = 0;
  names.released = false;
  pthread_mutex_unlock(&names.mutex);
  static const qn__nsswitch_t system = {.foreign = true};
  qn_resolver_t *r = qn_resolver_default(wire.loop);
  REQUIRE(r != NULL && qn__resolver_refresh(r) == 0);
  r->nsswitch = &system;
  r->conf_at = UINT64_MAX - QN__RESOLVER_CHECK_MS; /* not looked at again */
}

TEST_UNUSED static void names_end(void) { names_release(); }

static int names_read(const int *counter)
{
  pthread_mutex_lock(&names.mutex);
  int n = *counter;
  pthread_mutex_unlock(&names.mutex);
  return n;
}

TEST_UNUSED static int names_asked(void) { return names_read(&names.asked); }
TEST_UNUSED static int names_hanging(void) { return names_read(&names.hanging); }

static void names_note(bool hang)
{
  pthread_mutex_lock(&names.mutex);
  names.asked++;
  names.hanging += hang;
  while (hang && !names.released) {
    pthread_cond_wait(&names.changed, &names.mutex);
  }
  names.hanging -= hang;
  pthread_mutex_unlock(&names.mutex);
}

static struct addrinfo **names_add(struct addrinfo **at, const char *text, int family)
{
  struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in6));
  struct sockaddr_in *in4 = (struct sockaddr_in *)(info + 1);
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(info + 1);
  bool v6 = strchr(text, ':') != NULL;
  if (family != AF_UNSPEC && family != (v6 ? AF_INET6 : AF_INET)) {
    free(info);
    return at;
  }
  info->ai_family = v6 ? AF_INET6 : AF_INET;
  info->ai_addrlen = v6 ? sizeof *in6 : sizeof *in4;
  info->ai_addr = (struct sockaddr *)(info + 1);
  info->ai_addr->sa_family = (sa_family_t)info->ai_family;
  inet_pton(info->ai_family, text, v6 ? (void *)&in6->sin6_addr : (void *)&in4->sin_addr);
  *at = info;
  return &info->ai_next;
}

void freeaddrinfo(struct addrinfo *info)
{
  while (info != NULL) {
    struct addrinfo *next = info->ai_next;
    free(info);
    info = next;
  }
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
  static const struct {
    const char *name, *v[4];
    int error;
  } table[] = {
      {"one.test", {"127.0.0.1"}, 0},
      {"two.test", {"127.0.0.2", "127.0.0.2", "127.0.0.1"}, 0},
      {"both.test", {"::1", "127.0.0.1"}, 0},
      {"hidden.test", {"127.0.0.1"}, 0},
      {"again.test", {NULL}, EAI_AGAIN},
      {"fail.test", {NULL}, EAI_FAIL},
      {"system.test", {NULL}, EAI_SYSTEM},
  };
  struct addrinfo **at = out;
  (void)service;
  *out = NULL;
  names_note(strcmp(host, "hang.test") == 0);
  if (strcmp(host, "hidden.test") == 0 && (hints->ai_flags & AI_ADDRCONFIG)) {
    return EAI_NONAME;
  }
  for (int i = 0; strcmp(host, "many.test") == 0 && i < 200; i++) {
    char text[32];
    snprintf(text, sizeof text, "127.0.1.%d", i);
    at = names_add(at, text, hints->ai_family);
  }
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strcmp(host, table[i].name) == 0) {
      if (table[i].error != 0) {
        errno = ENFILE;
        return table[i].error;
      }
      for (int k = 0; table[i].v[k] != NULL; k++) {
        at = names_add(at, table[i].v[k], hints->ai_family);
      }
    }
  }
  return *out != NULL ? 0 : EAI_NONAME;
}

#endif

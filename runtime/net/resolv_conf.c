/* resolv_conf.c: resolv.conf(5): which servers to ask, and how.
 *
 * Called by the resolver. Read as glibc reads it: keywords stand at the beginning of their line,
 * the last `domain` or `search` line counts, options add up. Must not ask any server. Invariant:
 * every number of the result is within its named cap, every domain is at most QN_HOST_MAX bytes.
 */
#include "net/resolv_conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DNS_PORT 53
#define NDOTS_DEFAULT 1
#define TIMEOUT_DEFAULT 5
#define ATTEMPTS_DEFAULT 2
#define LITERAL_MAX (INET6_ADDRSTRLEN + IF_NAMESIZE)
#define HOST_NAME_BYTES 256

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The next word of `*rest`, which then begins behind it; size 0 when there is none. */
static qn_slice_t next_word(qn_slice_t *rest)
{
  size_t from = 0, to;
  while (from < rest->size && is_blank((char)rest->data[from])) {
    from++;
  }
  to = from;
  while (to < rest->size && !is_blank((char)rest->data[to])) {
    to++;
  }
  qn_slice_t word = {rest->data + from, to - from};
  rest->data += to;
  rest->size -= to;
  return word;
}

static bool is_word(qn_slice_t word, const char *text)
{
  return word.size == strlen(text) && memcmp(word.data, text, word.size) == 0;
}

/* "name:123" -> 123, at most `most`; false when it is another word or no number. */
static bool is_number(qn_slice_t word, const char *name, unsigned most, unsigned *out)
{
  size_t size = strlen(name);
  unsigned n = 0;
  if (word.size <= size || memcmp(word.data, name, size) != 0) {
    return false;
  }
  for (size_t i = size; i < word.size; i++) {
    if (word.data[i] < '0' || word.data[i] > '9') {
      if (i == size) {
        return false;
      }
      break; /* what follows the digits does not count */
    }
    n = n * 10 + (unsigned)(word.data[i] - '0');
    n = n < most ? n : most;
  }
  *out = n;
  return true;
}

static void read_options(qn__resolv_conf_t *conf, qn_slice_t rest)
{
  for (;;) {
    qn_slice_t word = next_word(&rest);
    if (word.size == 0) {
      return;
    }
    if (is_number(word, "ndots:", QN__RESOLV_NDOTS_MAX, &conf->ndots)) {
      continue;
    }
    if (is_number(word, "timeout:", QN__RESOLV_TIMEOUT_MAX, &conf->timeout)) {
      conf->timeout = conf->timeout > 0 ? conf->timeout : 1;
    } else if (is_number(word, "attempts:", QN__RESOLV_ATTEMPTS_MAX, &conf->attempts)) {
      conf->attempts = conf->attempts > 0 ? conf->attempts : 1;
    } else if (is_word(word, "rotate")) {
      conf->rotate = true;
    } else if (is_word(word, "use-vc")) {
      conf->use_tcp = true;
    } else if (is_word(word, "edns0")) {
      conf->edns0 = true;
    } else if (is_word(word, "trust-ad")) {
      conf->trust_ad = true;
    } else if (is_word(word, "no-aaaa")) {
      conf->no_aaaa = true;
    }
  }
}

/* A domain of the search list, without final dot; false when it is none (the root, too long). */
static bool read_domain(qn_slice_t word, char out[QN_HOST_MAX + 1])
{
  if (word.size > 0 && word.data[word.size - 1] == '.') {
    word.size--;
  }
  if (word.size == 0 || word.size > QN_HOST_MAX || word.data[0] == '.' ||
      memchr(word.data, '\0', word.size) != NULL) {
    return false;
  }
  memcpy(out, word.data, word.size);
  out[word.size] = '\0';
  return true;
}

/* Replaces the list. `most` is 1 for a domain line. */
static void read_search(qn__resolv_conf_t *conf, qn_slice_t rest, size_t most)
{
  conf->has_search = true;
  conf->n_search = 0;
  for (size_t taken = 0; taken < most; taken++) {
    qn_slice_t word = next_word(&rest);
    if (word.size == 0 || word.data[0] == '#' || word.data[0] == ';') {
      return;
    }
    if (conf->n_search < QN__RESOLV_SEARCH_MAX && read_domain(word, conf->search[conf->n_search])) {
      conf->n_search++;
    }
  }
}

static void read_server(qn__resolv_conf_t *conf, qn_slice_t rest)
{
  char text[LITERAL_MAX];
  struct in_addr in;
  qn_slice_t word = next_word(&rest);
  if (conf->n_servers == QN__RESOLV_SERVERS_MAX || word.size == 0 || word.size >= sizeof text ||
      memchr(word.data, '\0', word.size) != NULL) {
    return;
  }
  memcpy(text, word.data, word.size);
  text[word.size] = '\0';
  qn_addr_t *a = &conf->servers[conf->n_servers];
  if (inet_aton(text, &in) != 0) { /* takes "127.1", too */
    memset(a, 0, sizeof *a);
    a->u.in4.sin_family = AF_INET;
    a->u.in4.sin_addr = in;
    a->u.in4.sin_port = htons(DNS_PORT);
    a->size = sizeof a->u.in4;
    conf->n_servers++;
  } else if (strchr(text, ':') != NULL && qn_addr_parse(a, text, DNS_PORT, QN_FAMILY_ANY) == 0) {
    conf->n_servers++;
  }
}

static void read_line(qn__resolv_conf_t *conf, qn_slice_t line)
{
  if (line.size == 0 || is_blank((char)line.data[0])) {
    return;
  }
  qn_slice_t rest = line, keyword = next_word(&rest);
  if (is_word(keyword, "nameserver")) {
    read_server(conf, rest);
  } else if (is_word(keyword, "options")) {
    read_options(conf, rest);
  } else if (is_word(keyword, "search") || is_word(keyword, "domain")) {
    qn_slice_t look = rest;
    if (next_word(&look).size > 0) { /* without a word it changes nothing */
      read_search(conf, rest, keyword.data[0] == 'd' ? 1 : SIZE_MAX);
    }
  }
}

void qn__resolv_conf_parse(qn__resolv_conf_t *conf, const char *text, size_t size)
{
  memset(conf, 0, sizeof *conf);
  conf->ndots = NDOTS_DEFAULT;
  conf->timeout = TIMEOUT_DEFAULT;
  conf->attempts = ATTEMPTS_DEFAULT;
  for (size_t at = 0; at < size;) {
    const char *newline = memchr(text + at, '\n', size - at);
    size_t end = newline != NULL ? (size_t)(newline - text) : size;
    read_line(conf, (qn_slice_t){(const uint8_t *)text + at, end - at});
    at = end + 1;
  }
}

void qn__resolv_conf_environ(qn__resolv_conf_t *conf, const char *localdomain, const char *options)
{
  if (localdomain != NULL) {
    read_search(conf, (qn_slice_t){(const uint8_t *)localdomain, strlen(localdomain)}, SIZE_MAX);
  }
  if (options != NULL) {
    read_options(conf, (qn_slice_t){(const uint8_t *)options, strlen(options)});
  }
}

void qn__resolv_conf_finish(qn__resolv_conf_t *conf, const char *host_name)
{
  if (conf->n_servers == 0) {
    static const char loopback[] = "127.0.0.1";
    read_server(conf, (qn_slice_t){(const uint8_t *)loopback, sizeof loopback - 1});
  }
  const char *dot = host_name != NULL ? strchr(host_name, '.') : NULL;
  if (!conf->has_search && dot != NULL &&
      read_domain((qn_slice_t){(const uint8_t *)dot + 1, strlen(dot + 1)}, conf->search[0])) {
    conf->n_search = 1;
  }
}

const char *qn__resolv_conf_domain(const qn__resolv_conf_t *conf)
{
  return conf->n_search > 0 ? conf->search[0] : "";
}

const qn__resolv_conf_t *qn__resolv_file_get(qn__resolv_file_t *file, const char *path)
{
  char *text, host_name[HOST_NAME_BYTES];
  size_t size;
  bool first = file->generation == 0;
  if (!first && !qn__stamp_is_stale(&file->stamp, path)) {
    return &file->conf;
  }
  int rc = qn__sys_file_read(path, QN__RESOLV_SIZE_MAX, &file->stamp, &text, &size);
  if (!first && (rc == 1 || rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE)) {
    return &file->conf;
  }
  qn__resolv_conf_parse(&file->conf, text, size);
  qn_free(text);
  qn__resolv_conf_environ(&file->conf, getenv("LOCALDOMAIN"), getenv("RES_OPTIONS"));
  if (gethostname(host_name, sizeof host_name) != 0) {
    host_name[0] = '\0';
  }
  host_name[sizeof host_name - 1] = '\0';
  qn__resolv_conf_finish(&file->conf, host_name);
  file->generation++;
  return &file->conf;
}

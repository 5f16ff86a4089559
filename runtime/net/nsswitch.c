/* nsswitch.c: the `hosts` line of nsswitch.conf(5): who answers for names.
 *
 * Called by the resolver. Must not ask any service. Invariant: what is not understood in full makes
 * `foreign` true, so in doubt the system's own call decides.
 */
#include "net/nsswitch.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_word(qn_slice_t word, const char *text)
{
  return word.size == strlen(text) && memcmp(word.data, text, word.size) == 0;
}

/* A service, or an action group in brackets with what is in it. Size 0 at the end. */
static qn_slice_t next_token(qn_slice_t *rest)
{
  size_t from = 0, to;
  while (from < rest->size && is_blank((char)rest->data[from])) {
    from++;
  }
  to = from;
  if (to < rest->size && rest->data[to] == '[') {
    const uint8_t *close = memchr(rest->data + to, ']', rest->size - to);
    to = close != NULL ? (size_t)(close - rest->data) + 1 : rest->size;
  } else {
    while (to < rest->size && !is_blank((char)rest->data[to]) && rest->data[to] != '[') {
      to++;
    }
  }
  qn_slice_t token = {rest->data + from, to - from};
  rest->data += to;
  rest->size -= to;
  return token;
}

/* "[ notfound = RETURN ]" */
static bool is_notfound_return(qn_slice_t group)
{
  static const char want[] = "[notfound=return]";
  size_t at = 0;
  for (size_t i = 0; i < group.size; i++) {
    char c = (char)group.data[i];
    if (is_blank(c)) {
      continue;
    }
    c = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    if (at == sizeof want - 1 || c != want[at]) {
      return false;
    }
    at++;
  }
  return at == sizeof want - 1;
}

static void add(qn__nsswitch_t *s, qn__nss_service_t service)
{
  for (size_t i = 0; i < s->n; i++) {
    if (s->v[i] == service) {
      return; /* asking twice finds nothing new */
    }
  }
  s->v[s->n++] = service;
}

static void read_services(qn__nsswitch_t *s, qn_slice_t rest)
{
  bool after_mdns = false;
  for (;;) {
    qn_slice_t token = next_token(&rest);
    if (token.size == 0) {
      break;
    }
    bool minimal = false;
    if (token.data[0] == '[') {
      /* After mdns_minimal "not found" only comes for the names that we leave to it. Behind the
       * last service [NOTFOUND=return] says what happens anyhow. */
      qn_slice_t look = rest;
      bool last = next_token(&look).size == 0;
      if (!is_notfound_return(token) || (!after_mdns && !last)) {
        s->foreign = true;
      }
    } else if (is_word(token, "files")) {
      add(s, QN__NSS_FILES);
    } else if (is_word(token, "dns")) {
      add(s, QN__NSS_DNS);
    } else if (is_word(token, "mdns4_minimal") || is_word(token, "mdns6_minimal") ||
               is_word(token, "mdns_minimal")) {
      s->mdns = true;
      minimal = true;
    } else if (is_word(token, "myhostname")) {
      s->host_name = true;
    } else {
      s->foreign = true;
    }
    after_mdns = minimal;
  }
  s->foreign = s->foreign || s->n == 0;
}

/* What follows "hosts:" on this line; false when it is another line. */
static bool is_hosts_line(qn_slice_t *line)
{
  static const char key[] = "hosts";
  while (line->size > 0 && is_blank((char)line->data[0])) {
    line->data++;
    line->size--;
  }
  if (line->size < sizeof key - 1 || memcmp(line->data, key, sizeof key - 1) != 0) {
    return false;
  }
  size_t at = sizeof key - 1;
  while (at < line->size && is_blank((char)line->data[at])) {
    at++;
  }
  if (at == line->size || line->data[at] != ':') {
    return false;
  }
  line->data += at + 1;
  line->size -= at + 1;
  return true;
}

void qn__nsswitch_parse(qn__nsswitch_t *s, const char *text, size_t size)
{
  memset(s, 0, sizeof *s);
  for (size_t at = 0; at < size;) {
    const char *newline = memchr(text + at, '\n', size - at);
    size_t end = newline != NULL ? (size_t)(newline - text) : size;
    const char *comment = memchr(text + at, '#', end - at);
    size_t stop = comment != NULL ? (size_t)(comment - text) : end;
    qn_slice_t line = {(const uint8_t *)text + at, stop - at};
    if (is_hosts_line(&line)) {
      read_services(s, line);
      return;
    }
    at = end + 1;
  }
  add(s, QN__NSS_FILES);
  add(s, QN__NSS_DNS);
}

/* Is `name` (without its final dot: `size` bytes) `domain` or beneath it? */
static bool is_within(const char *name, size_t size, const char *domain)
{
  size_t n = strlen(domain);
  return size >= n && strncasecmp(name + size - n, domain, n) == 0 &&
         (size == n || name[size - n - 1] == '.');
}

/* The names that nss-myhostname answers for. */
static bool is_own_name(const char *name, size_t size, const char *host_name)
{
  static const char *const special[] = {"localhost", "localhost.localdomain", "_gateway",
                                        "_outbound", "gateway"};
  for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
    if (is_within(name, size, special[i])) {
      return true;
    }
  }
  if (host_name == NULL) {
    return true;
  }
  size_t n = strlen(host_name);
  const char *dot = strchr(host_name, '.');
  size_t label = dot != NULL ? (size_t)(dot - host_name) : n;
  return (size == n || size == label) && strncasecmp(name, host_name, size) == 0;
}

bool qn__nsswitch_can_find(const qn__nsswitch_t *s, const char *name, const char *host_name)
{
  size_t size = strlen(name);
  if (size > 0 && name[size - 1] == '.') {
    size--;
  }
  if (s->foreign || (s->mdns && is_within(name, size, "local"))) {
    return false;
  }
  return !s->host_name || !is_own_name(name, size, host_name);
}

bool qn__nsswitch_can_reverse(const qn__nsswitch_t *s, const qn_addr_t *given)
{
  qn_addr_t a = *given;
  qn_addr_unmap(&a);
  if (s->foreign || s->host_name) { /* myhostname knows all addresses of the machine */
    return false;
  }
  if (s->mdns && qn_addr_family(&a) == QN_FAMILY_IPV4) {
    return (ntohl(a.u.in4.sin_addr.s_addr) >> 16) != 0xa9fe; /* 169.254.0.0/16 */
  }
  return !(s->mdns && qn_addr_family(&a) == QN_FAMILY_IPV6 &&
           IN6_IS_ADDR_LINKLOCAL(&a.u.in6.sin6_addr));
}

const qn__nsswitch_t *qn__nsswitch_file_get(qn__nsswitch_file_t *file, const char *path)
{
  char *text;
  size_t size;
  bool first = file->s.n == 0 && !file->s.foreign;
  if (!first && !qn__stamp_is_stale(&file->stamp, path)) {
    return &file->s;
  }
  int rc = qn__sys_file_read(path, QN__NSSWITCH_SIZE_MAX, &file->stamp, &text, &size);
  if (!first && (rc == 1 || rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE)) {
    return &file->s;
  }
  qn__nsswitch_parse(&file->s, text, size);
  qn_free(text);
  return &file->s;
}

/* hosts_file.c: hosts(5) as a table: names to addresses and back.
 *
 * Called by the resolver. The table is four blocks: a copy of the text whose names are ended by
 * NULs, the lines, the mentions of names, and one array of hash buckets. Lines of one name (and of
 * one address) are chained in the order of the file. Must not look names up or open sockets.
 * Invariant: chains have at most QN__HOSTS_SAME_MAX links, hashes are keyed per table, so no file
 * makes parsing or finding slow.
 */
#include "net/hosts_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/random.h>

#define NONE UINT32_MAX
#define LITERAL_MAX (INET6_ADDRSTRLEN + IF_NAMESIZE) /* an address as text, with its scope */

typedef struct line {
  uint8_t addr[16];
  uint32_t scope;      /* where the text of the scope begins; NONE */
  uint32_t first_name; /* index of the mention; the line's names lie side by side */
  uint32_t n_names;
  uint32_t next;     /* line with the same address */
  uint8_t size;      /* of addr: 4 or 16 */
  uint8_t n_chained; /* on the head of a chain: its links */
} line_t;

typedef struct mention {
  uint32_t at; /* the name in the text */
  uint32_t line;
  uint32_t next; /* mention of the same name */
  uint32_t tail; /* on the head of a chain: its last link */
  uint8_t n_chained;
} mention_t;

struct qn__hosts {
  char *text;
  line_t *lines;
  mention_t *names;
  uint32_t *name_buckets, *line_buckets;
  uint32_t *line_tails; /* by line: the last link of the chain it heads */
  size_t n_lines, n_names, name_mask, line_mask;
  uint64_t key[2];
};

static uint64_t rotate(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

static void sip_round(uint64_t v[4])
{
  v[0] += v[1];
  v[1] = rotate(v[1], 13) ^ v[0];
  v[0] = rotate(v[0], 32);
  v[2] += v[3];
  v[3] = rotate(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotate(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotate(v[1], 17) ^ v[2];
  v[2] = rotate(v[2], 32);
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

/* SipHash-1-3 of bytes, ASCII letters taken as lower case when `blind`. */
static uint64_t hash(const uint64_t key[2], const void *data, size_t size, bool blind)
{
  const char *p = data;
  uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                   key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
  uint64_t word = 0;
  for (size_t i = 0; i < size; i++) {
    word |= (uint64_t)(uint8_t)(blind ? lower(p[i]) : p[i]) << (i % 8 * 8);
    if (i % 8 == 7) {
      v[3] ^= word;
      sip_round(v);
      v[0] ^= word;
      word = 0;
    }
  }
  word |= (uint64_t)size << 56;
  v[3] ^= word;
  sip_round(v);
  v[0] ^= word;
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++) {
    sip_round(v);
  }
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The size of a name without its final dot; 0 when nothing is left, or another dot. */
static size_t without_dot(const char *name, size_t size)
{
  size -= size > 0 && name[size - 1] == '.' ? 1 : 0;
  return size > 0 && name[size - 1] == '.' ? 0 : size;
}

/* `b` ends with NUL. */
static bool same_name(const char *a, size_t size, const char *b)
{
  for (size_t i = 0; i < size; i++) {
    if (lower(a[i]) != lower(b[i]) || b[i] == '\0') {
      return false;
    }
  }
  return b[size] == '\0';
}

/* The bucket of a name: it holds the head of its chain, or NONE. */
static uint32_t *name_bucket(const qn__hosts_t *h, const char *name, size_t size)
{
  size_t i = (size_t)hash(h->key, name, size, true) & h->name_mask;
  while (h->name_buckets[i] != NONE &&
         !same_name(name, size, h->text + h->names[h->name_buckets[i]].at)) {
    i = (i + 1) & h->name_mask;
  }
  return &h->name_buckets[i];
}

static uint32_t *line_bucket(const qn__hosts_t *h, const uint8_t *addr, size_t size)
{
  size_t i = (size_t)hash(h->key, addr, size, false) & h->line_mask;
  for (;;) {
    uint32_t at = h->line_buckets[i];
    if (at == NONE || (h->lines[at].size == size && memcmp(h->lines[at].addr, addr, size) == 0)) {
      return &h->line_buckets[i];
    }
    i = (i + 1) & h->line_mask;
  }
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* The next word before `end`, moving `*at` behind it; size 0 when there is none. */
static size_t next_word(const char *text, size_t end, size_t *at, size_t *start)
{
  size_t i = *at;
  while (i < end && is_blank(text[i])) {
    i++;
  }
  *start = i;
  while (i < end && !is_blank(text[i])) {
    i++;
  }
  *at = i;
  return i - *start;
}

/* The address of a line, mapped ones as IPv4. False: no address. */
static bool read_address(line_t *l, const char *text, size_t at, size_t size)
{
  char word[LITERAL_MAX];
  struct in6_addr in6;
  if (size >= sizeof word || memchr(text + at, '\0', size) != NULL) {
    return false;
  }
  memcpy(word, text + at, size);
  word[size] = '\0';
  l->scope = NONE;
  if (inet_pton(AF_INET, word, l->addr) == 1) {
    l->size = 4;
    return true;
  }
  char *percent = strchr(word, '%');
  if (percent != NULL) {
    if (percent[1] == '\0') {
      return false;
    }
    l->scope = (uint32_t)(at + (size_t)(percent - word) + 1);
    *percent = '\0';
  }
  if (inet_pton(AF_INET6, word, &in6) != 1) {
    return false;
  }
  if (IN6_IS_ADDR_V4MAPPED(&in6)) {
    memcpy(l->addr, in6.s6_addr + 12, 4);
    l->size = 4;
    l->scope = NONE;
  } else {
    memcpy(l->addr, in6.s6_addr, 16);
    l->size = 16;
  }
  return true;
}

static void chain_name(qn__hosts_t *h, uint32_t n)
{
  mention_t *m = &h->names[n];
  const char *name = h->text + m->at;
  uint32_t *bucket = name_bucket(h, name, strlen(name));
  if (*bucket == NONE) {
    *bucket = n;
    m->tail = n;
    m->n_chained = 1;
    return;
  }
  mention_t *head = &h->names[*bucket];
  if (head->n_chained < QN__HOSTS_SAME_MAX) {
    h->names[head->tail].next = n;
    head->tail = n;
    head->n_chained++;
  }
}

static void chain_line(qn__hosts_t *h, uint32_t n)
{
  line_t *l = &h->lines[n];
  uint32_t *bucket = line_bucket(h, l->addr, l->size);
  if (*bucket == NONE) {
    *bucket = n;
    h->line_tails[n] = n;
    l->n_chained = 1;
    return;
  }
  line_t *head = &h->lines[*bucket];
  if (head->n_chained < QN__HOSTS_SAME_MAX) {
    h->lines[h->line_tails[*bucket]].next = n;
    h->line_tails[*bucket] = n;
    head->n_chained++;
  }
}

/* The line in text[at, end); comments are cut off already. */
static void read_line(qn__hosts_t *h, size_t at, size_t end)
{
  size_t start, size = next_word(h->text, end, &at, &start);
  line_t *l = &h->lines[h->n_lines];
  uint32_t first = (uint32_t)h->n_names;
  if (size == 0 || !read_address(l, h->text, start, size)) {
    return;
  }
  h->text[start + size] = '\0'; /* ends the scope */
  at += at < end ? 1 : 0;
  while ((size = next_word(h->text, end, &at, &start)) > 0) {
    at += at < end ? 1 : 0; /* the blank that becomes NUL */
    size = without_dot(h->text + start, size);
    if (size == 0 || size > QN__HOSTS_NAME_MAX || memchr(h->text + start, '\0', size) != NULL) {
      continue;
    }
    h->text[start + size] = '\0';
    h->names[h->n_names++] =
        (mention_t){.at = (uint32_t)start, .line = (uint32_t)h->n_lines, .next = NONE};
  }
  l->first_name = first;
  l->n_names = (uint32_t)h->n_names - first;
  if (l->n_names > 0) {
    l->next = NONE;
    h->n_lines++;
  }
}

/* Upper bounds: lines, and words that are not the first of their line. */
static void count(const char *text, size_t size, size_t *lines, size_t *names)
{
  size_t words = 0, in_line = 0, ends = 1;
  bool word = false, comment = false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    if (c == '\n') {
      words += in_line > 1 ? in_line - 1 : 0;
      ends++;
      in_line = 0;
      word = comment = false;
    } else if (c == '#') {
      comment = true;
    } else if (!comment) {
      bool blank = is_blank(c);
      in_line += !blank && !word ? 1 : 0;
      word = !blank;
    }
  }
  words += in_line > 1 ? in_line - 1 : 0;
  *names = words;
  *lines = ends < words ? ends : words; /* a line that counts has a name */
}

static size_t buckets_for(size_t n)
{
  size_t size = 16;
  while (size < n + n / 2) {
    size *= 2;
  }
  return size;
}

static uint32_t *new_buckets(size_t size)
{
  uint32_t *v = qn_malloc(size * sizeof *v);
  if (v != NULL) {
    memset(v, 0xff, size * sizeof *v);
  }
  return v;
}

static void take_key(qn__hosts_t *h)
{
  if (getrandom(h->key, sizeof h->key, GRND_NONBLOCK) != (ssize_t)sizeof h->key) {
    h->key[0] = (uintptr_t)h; /* early at boot: the layout of memory must do */
    h->key[1] = (uintptr_t)h->text;
  }
}

/* Owns `text` (NUL behind `size` bytes) in any case. */
static int parse_owned(char *text, size_t size, qn__hosts_t **out)
{
  size_t lines, names;
  qn__hosts_t *h = qn_calloc(1, sizeof *h);
  if (h == NULL) {
    qn_free(text);
    return -ENOMEM;
  }
  h->text = text;
  count(text, size, &lines, &names);
  take_key(h);
  h->name_mask = buckets_for(names) - 1;
  h->line_mask = buckets_for(lines) - 1;
  h->lines = qn_malloc((lines + 1) * sizeof *h->lines); /* one more to try a line in */
  h->names = qn_malloc((names + 1) * sizeof *h->names);
  h->name_buckets = new_buckets(h->name_mask + 1);
  h->line_buckets = new_buckets(h->line_mask + 1);
  h->line_tails = qn_malloc((lines + 1) * sizeof *h->line_tails);
  if (h->lines == NULL || h->names == NULL || h->name_buckets == NULL || h->line_buckets == NULL ||
      h->line_tails == NULL) {
    qn__hosts_free(h);
    return -ENOMEM;
  }
  for (size_t at = 0; at < size;) {
    char *newline = memchr(text + at, '\n', size - at);
    size_t end = newline != NULL ? (size_t)(newline - text) : size;
    char *comment = memchr(text + at, '#', end - at);
    read_line(h, at, comment != NULL ? (size_t)(comment - text) : end);
    at = end + 1;
  }
  for (size_t i = 0; i < h->n_names; i++) {
    chain_name(h, (uint32_t)i);
  }
  for (size_t i = 0; i < h->n_lines; i++) {
    chain_line(h, (uint32_t)i);
  }
  qn_free(h->line_tails);
  h->line_tails = NULL;
  *out = h;
  return 0;
}

int qn__hosts_parse(const char *text, size_t size, qn__hosts_t **out)
{
  *out = NULL;
  if (size > QN__HOSTS_SIZE_MAX) {
    return QN_E_LIMIT;
  }
  char *copy = qn_malloc(size + 1);
  if (copy == NULL) {
    return -ENOMEM;
  }
  if (size > 0) {
    memcpy(copy, text, size);
  }
  copy[size] = '\0';
  return parse_owned(copy, size, out);
}

void qn__hosts_free(qn__hosts_t *h)
{
  if (h != NULL) {
    qn_free(h->text);
    qn_free(h->lines);
    qn_free(h->names);
    qn_free(h->name_buckets);
    qn_free(h->line_buckets);
    qn_free(h->line_tails);
    qn_free(h);
  }
}

size_t qn__hosts_n_lines(const qn__hosts_t *h) { return h->n_lines; }
size_t qn__hosts_n_names(const qn__hosts_t *h) { return h->n_names; }

/* --- finding ---------------------------------------------------------------------------------- */

/* False: of another family, or its interface is not there. */
static bool line_address(const qn__hosts_t *h, const line_t *l, qn_family_t family, qn_addr_t *a)
{
  char text[LITERAL_MAX + 1];
  if (family != QN_FAMILY_ANY && (family == QN_FAMILY_IPV4) != (l->size == 4)) {
    return false;
  }
  memset(a, 0, sizeof *a);
  if (l->size == 4) {
    a->u.in4.sin_family = AF_INET;
    memcpy(&a->u.in4.sin_addr, l->addr, 4);
    a->size = sizeof a->u.in4;
    return true;
  }
  if (l->scope != NONE) {
    if (inet_ntop(AF_INET6, l->addr, text, sizeof text) == NULL) {
      return false;
    }
    size_t used = strlen(text), scope = strnlen(h->text + l->scope, LITERAL_MAX);
    if (used + scope + 2 > sizeof text) {
      return false;
    }
    text[used] = '%';
    memcpy(text + used + 1, h->text + l->scope, scope);
    text[used + 1 + scope] = '\0';
    return qn_addr_parse(a, text, 0, QN_FAMILY_IPV6) == 0;
  }
  a->u.in6.sin6_family = AF_INET6;
  memcpy(&a->u.in6.sin6_addr, l->addr, 16);
  a->size = sizeof a->u.in6;
  return true;
}

static bool is_known(const qn_addr_t *v, size_t n, const qn_addr_t *a)
{
  for (size_t i = 0; i < n; i++) {
    if (qn_addr_equal(&v[i], a)) {
      return true;
    }
  }
  return false;
}

/* The first mention of a name; NONE. */
static uint32_t head_of(const qn__hosts_t *h, const char *name)
{
  size_t size = strnlen(name, QN__HOSTS_NAME_MAX + 2);
  size = without_dot(name, size);
  return size > 0 && size <= QN__HOSTS_NAME_MAX ? *name_bucket(h, name, size) : NONE;
}

bool qn__hosts_has(const qn__hosts_t *h, const char *name) { return head_of(h, name) != NONE; }

size_t qn__hosts_find(const qn__hosts_t *h, const char *name, qn_family_t family, qn_addr_t *v,
                      size_t max, const char **canonical)
{
  static const uint8_t loopback6[16] = {[15] = 1};
  size_t n = 0;
  const char *first = NULL, *of_loopback = NULL;
  for (uint32_t i = head_of(h, name); i != NONE && n < max; i = h->names[i].next) {
    const line_t *l = &h->lines[h->names[i].line];
    const char *line_name = h->text + h->names[l->first_name].at;
    qn_addr_t a;
    if (line_address(h, l, family, &a)) {
      if (!is_known(v, n, &a)) {
        v[n++] = a;
      }
      first = first != NULL ? first : line_name;
    } else if (l->size == 16 && memcmp(l->addr, loopback6, 16) == 0) {
      of_loopback = of_loopback != NULL ? of_loopback : line_name;
    }
  }
  if (n == 0 && max > 0 && of_loopback != NULL && family == QN_FAMILY_IPV4) {
    n = qn_addr_parse(&v[0], "127.0.0.1", 0, QN_FAMILY_IPV4) == 0 ? 1 : 0;
    first = of_loopback;
  }
  if (canonical != NULL) {
    *canonical = first;
  }
  return n;
}

static bool has_name(const char **v, size_t n, const char *name)
{
  for (size_t i = 0; i < n; i++) {
    if (same_name(v[i], strlen(v[i]), name)) {
      return true;
    }
  }
  return false;
}

size_t qn__hosts_names(const qn__hosts_t *h, const qn_addr_t *given, const char **v, size_t max)
{
  size_t n = 0;
  qn_addr_t a = *given, of_line;
  qn_addr_unmap(&a);
  qn_addr_set_port(&a, 0);
  qn_family_t family = qn_addr_family(&a);
  if (family != QN_FAMILY_IPV4 && family != QN_FAMILY_IPV6) {
    return 0;
  }
  bool is4 = family == QN_FAMILY_IPV4;
  const uint8_t *bytes =
      is4 ? (const uint8_t *)&a.u.in4.sin_addr : (const uint8_t *)&a.u.in6.sin6_addr;
  for (uint32_t i = *line_bucket(h, bytes, is4 ? 4 : 16); i != NONE; i = h->lines[i].next) {
    const line_t *l = &h->lines[i];
    if (l->scope != NONE &&
        (!line_address(h, l, family, &of_line) || !qn_addr_equal(&of_line, &a))) {
      continue;
    }
    for (uint32_t k = 0; k < l->n_names && n < max; k++) {
      const char *name = h->text + h->names[l->first_name + k].at;
      if (!has_name(v, n, name)) {
        v[n++] = name;
      }
    }
  }
  return n;
}

/* --- the file --------------------------------------------------------------------------------- */

const qn__hosts_t *qn__hosts_file_get(qn__hosts_file_t *file, const char *path)
{
  char *text;
  size_t size;
  qn__hosts_t *fresh = NULL;
  if (!qn__stamp_is_stale(&file->stamp, path)) {
    return file->hosts;
  }
  qn__stamp_t before = file->stamp;
  int rc = qn__sys_file_read(path, QN__HOSTS_SIZE_MAX, &file->stamp, &text, &size);
  if (rc == 0) {
    rc = parse_owned(text, size, &fresh);
  }
  if (rc == 1 || rc == -EMFILE || rc == -ENFILE) {
    return file->hosts;
  }
  if (rc == -ENOMEM) {
    file->stamp = before;
    return file->hosts;
  }
  if (fresh != NULL || file->hosts != NULL) {
    qn__hosts_free(file->hosts);
    file->hosts = fresh;
    file->generation++;
  }
  return file->hosts;
}

void qn__hosts_file_drop(qn__hosts_file_t *file)
{
  qn__hosts_free(file->hosts);
  *file = (qn__hosts_file_t){.generation = file->generation};
}

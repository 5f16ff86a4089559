/* url_whatwg_part.c: the steps of the URL Standard's parser that its setters run, too.
 *
 * Called by url_whatwg.c and url_whatwg_set.c: special schemes, the input made plain, components
 * encoded, the host, query and fragment. See url_whatwg.h for the invariants.
 */
#include "codec/percent.h"
#include "codec/url_whatwg.h"

#include <string.h>

qn__special_t qn__special_of(const char *scheme, size_t size)
{
  switch (size) {
  case 2: return memcmp(scheme, "ws", 2) == 0 ? QN__SPECIAL_WS : QN__SPECIAL_NOT;
  case 3:
    return memcmp(scheme, "ftp", 3) == 0   ? QN__SPECIAL_FTP
           : memcmp(scheme, "wss", 3) == 0 ? QN__SPECIAL_WSS
                                           : QN__SPECIAL_NOT;
  case 4:
    return memcmp(scheme, "http", 4) == 0   ? QN__SPECIAL_HTTP
           : memcmp(scheme, "file", 4) == 0 ? QN__SPECIAL_FILE
                                            : QN__SPECIAL_NOT;
  case 5: return memcmp(scheme, "https", 5) == 0 ? QN__SPECIAL_HTTPS : QN__SPECIAL_NOT;
  default: return QN__SPECIAL_NOT;
  }
}

int qn__special_port(qn__special_t special)
{
  switch (special) {
  case QN__SPECIAL_FTP: return 21;
  case QN__SPECIAL_HTTP:
  case QN__SPECIAL_WS: return 80;
  case QN__SPECIAL_HTTPS:
  case QN__SPECIAL_WSS: return 443;
  case QN__SPECIAL_FILE:
  case QN__SPECIAL_NOT: break;
  }
  return -1;
}

/* In each byte of the word: the high bit if the byte is zero (or, harmlessly, follows one). */
static uint64_t zeros(uint64_t word)
{
  const uint64_t ones = UINT64_C(0x0101010101010101);
  return (word - ones) & ~word;
}

/* The high bits are set if a byte may be tab, LF, CR or beyond ASCII. */
static uint64_t odd(uint64_t word)
{
  const uint64_t ones = UINT64_C(0x0101010101010101);
  return (word | zeros(word ^ '\t' * ones) | zeros(word ^ '\n' * ones) |
          zeros(word ^ '\r' * ones)) &
         UINT64_C(0x8080808080808080);
}

static bool is_plain_bytes(const char *text, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
      return false;
    }
  }
  return qn__utf8_valid(text, size);
}

bool qn__whatwg_is_plain(const char *text, size_t size)
{
  uint64_t word;
  size_t i = 0;
  for (; size - i >= sizeof word; i += sizeof word) {
    memcpy(&word, text + i, sizeof word);
    if (odd(word) != 0) {
      return is_plain_bytes(text + i, size - i);
    }
  }
  return is_plain_bytes(text + i, size - i);
}

size_t qn__whatwg_plain(const char *text, size_t size, char *out)
{
  size_t n = qn__utf8_repair(text, size, out), kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (out[i] != '\t' && out[i] != '\n' && out[i] != '\r') {
      out[kept++] = out[i];
    }
  }
  return kept;
}

int qn__whatwg_fail(qn__whatwg_t *w, const char *at, const char *why)
{
  w->at = at;
  w->why = why;
  return QN_E_BAD_URL;
}

void qn__whatwg_set(qn__whatwg_t *w, qn_url_part_t part, const char *text, size_t size)
{
  w->p.part[part] = qn__url_slice(text, size);
  w->p.has[part] = true;
}

void qn__whatwg_encode(qn__whatwg_t *w, qn_url_part_t part, const char *text, size_t size,
                       unsigned set)
{
  if (qn__pct_clean(text, size, set)) {
    qn__whatwg_set(w, part, text, size);
    return;
  }
  char *from = w->scratch;
  w->scratch += qn__pct_encode(text, size, set, from);
  qn__whatwg_set(w, part, from, (size_t)(w->scratch - from));
}

int qn__whatwg_host(qn__whatwg_t *w, const char *text, size_t size)
{
  bool literal;
  const char *why;
  int n =
      qn__url_host_whatwg(text, size, w->special != QN__SPECIAL_NOT, w->scratch, &literal, &why);
  if (n < 0) {
    return qn__whatwg_fail(w, text, why);
  }
  if (w->special == QN__SPECIAL_FILE && n == 9 && memcmp(w->scratch, "localhost", 9) == 0) {
    n = 0;
  }
  qn__whatwg_set(w, QN_URL_HOST, w->scratch, (size_t)n);
  w->scratch += n;
  w->p.ip_literal = literal;
  return 0;
}

void qn__whatwg_query(qn__whatwg_t *w, const char *text, size_t size)
{
  qn__whatwg_encode(w, QN_URL_QUERY, text, size,
                    w->special != QN__SPECIAL_NOT ? QN__PCT_SPECIAL_QUERY : QN__PCT_QUERY);
}

void qn__whatwg_fragment(qn__whatwg_t *w, const char *text, size_t size)
{
  qn__whatwg_encode(w, QN_URL_FRAGMENT, text, size, QN__PCT_FRAGMENT);
}

const char *qn__whatwg_host_end(const char *from, const char *end)
{
  bool inside = false;
  for (; from < end; from++) {
    if (*from == ':' && !inside) {
      break;
    }
    inside = *from == '[' || (inside && *from != ']');
  }
  return from;
}

/* dns_name.c: names of the DNS: text to wire, wire to text, comparison, names for reverse look-ups.
 *
 * Called for every question and for each name of an answer. Hostile input: a compression pointer
 * must point before the part that it ends (so following them ends), and their number is limited
 * (so that it ends soon). Text has the form of zone files (RFC 1035 section 5.1, RFC 4343).
 */
#include "dns_i.h"

#include <string.h>

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c; }

int qn__dns_name_read(const uint8_t *data, size_t size, size_t *at, uint8_t out[QN__DNS_WIRE])
{
  size_t pos = *at, part = *at, behind = 0, n = 0;
  unsigned pointers = 0;
  for (;;) {
    if (pos >= size) {
      return QN_E_DNS_REPLY;
    }
    uint8_t c = data[pos];
    if (c == 0) {
      out[n++] = 0;
      *at = pointers > 0 ? behind : pos + 1;
      return (int)n;
    }
    if ((c & 0xc0) == 0xc0) {
      if (size - pos < 2) {
        return QN_E_DNS_REPLY;
      }
      size_t target = (size_t)qn__dns_u16(data + pos) & 0x3fff;
      if (target >= part || pointers == QN__DNS_POINTERS) {
        return QN_E_DNS_REPLY;
      }
      if (pointers++ == 0) {
        behind = pos + 2;
      }
      pos = part = target;
      continue;
    }
    if (c > QN__DNS_LABEL || size - pos <= c || n + c + 2 > QN__DNS_WIRE) {
      return QN_E_DNS_REPLY; /* 01 and 10 in front: forms that nobody uses (RFC 6891 section 5) */
    }
    memcpy(out + n, data + pos, (size_t)c + 1);
    n += (size_t)c + 1;
    pos += (size_t)c + 1;
  }
}

bool qn__dns_wire_equal(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
  if (a_size != b_size) {
    return false;
  }
  if (memcmp(a, b, a_size) == 0) {
    return true;
  }
  /* Lengths are below the letters: they compare as they are. */
  for (size_t i = 0; i < a_size; i++) {
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) {
      return false;
    }
  }
  return true;
}

/* Letters, digits, hyphens, underscores: what nearly all names are made of. */
static bool is_usual(uint8_t c)
{
  return (uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' || c == '_';
}

/* Bytes with a meaning of their own in zone files. */
static bool is_special(uint8_t c)
{
  return c == '"' || c == '$' || c == '(' || c == ')' || c == '.' || c == ';' || c == '@' ||
         c == '\\';
}

/* One byte of a label, as zone files have it; returns how many characters. */
static size_t print_byte(uint8_t c, char *out)
{
  if (c <= 0x20 || c >= 0x7f) {
    if (out != NULL) {
      out[0] = '\\';
      out[1] = (char)('0' + c / 100);
      out[2] = (char)('0' + c / 10 % 10);
      out[3] = (char)('0' + c % 10);
    }
    return 4;
  }
  if (is_special(c)) {
    if (out != NULL) {
      out[0] = '\\';
      out[1] = (char)c;
    }
    return 2;
  }
  if (out != NULL) {
    out[0] = (char)c;
  }
  return 1;
}

size_t qn__dns_name_print(const uint8_t *wire, char *out)
{
  size_t n = 0;
  if (*wire == 0) {
    if (out != NULL) {
      out[0] = '.';
    }
    n = 1;
  }
  while (*wire != 0) {
    if (n > 0) {
      if (out != NULL) {
        out[n] = '.';
      }
      n++;
    }
    for (uint8_t left = *wire++; left > 0; left--) {
      uint8_t c = *wire++;
      if (!is_usual(c)) {
        n += print_byte(c, out != NULL ? out + n : NULL);
        continue;
      }
      if (out != NULL) {
        out[n] = (char)c;
      }
      n++;
    }
  }
  if (out != NULL) {
    out[n] = 0;
  }
  return n;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The byte that an escape means; moves `*text` behind it. -1 when it is none. */
static int read_escape(const char **text)
{
  const char *s = *text; /* behind the backslash */
  if (*s == 0) {
    return -1;
  }
  if (!is_digit(*s)) {
    *text = s + 1;
    return (uint8_t)*s;
  }
  if (!is_digit(s[1]) || !is_digit(s[2])) {
    return -1;
  }
  int value = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
  *text = s + 3;
  return value <= 255 ? value : -1;
}

int qn_dns_name_encode(const char *text, uint8_t out[255])
{
  if (text[0] == '.' && text[1] == 0) {
    out[0] = 0;
    return 1;
  }
  size_t start = 0, n = 1; /* the running label's length is at `start` */
  for (;;) {
    char c = *text;
    if (c == 0 || c == '.') {
      if (n - start == 1) {
        return QN_E_BAD_HOST; /* an empty label */
      }
      out[start] = (uint8_t)(n - start - 1);
      start = n++;
      if (c == 0 || text[1] == 0) {
        out[start] = 0;
        return (int)n;
      }
      text++;
      continue;
    }
    int byte = (uint8_t)c;
    text++;
    if (c == '\\') {
      byte = read_escape(&text);
    }
    if (byte < 0 || n - start > QN__DNS_LABEL || n + 1 >= QN__DNS_WIRE) {
      return QN_E_BAD_HOST;
    }
    out[n++] = (uint8_t)byte;
  }
}

int qn_dns_name_decode(const uint8_t *data, size_t size, size_t *at, char out[QN_DNS_NAME_TEXT])
{
  uint8_t wire[QN__DNS_WIRE];
  int n = qn__dns_name_read(data, size, at, wire);
  if (n < 0) {
    return n;
  }
  qn__dns_name_print(wire, out);
  return 0;
}

bool qn_dns_name_equal(const char *a, const char *b)
{
  uint8_t wire_a[QN__DNS_WIRE], wire_b[QN__DNS_WIRE];
  int n_a = qn_dns_name_encode(a, wire_a), n_b = qn_dns_name_encode(b, wire_b);
  return n_a > 0 && n_b > 0 && qn__dns_wire_equal(wire_a, (size_t)n_a, wire_b, (size_t)n_b);
}

size_t qn_dns_reverse_name(const uint8_t *address, size_t size, char out[QN_DNS_NAME_TEXT])
{
  static const char hex[] = "0123456789abcdef";
  size_t n = 0;
  for (size_t i = size; i-- > 0;) {
    uint8_t b = address[i];
    if (size == 16) {
      out[n++] = hex[b & 15];
      out[n++] = '.';
      out[n++] = hex[b >> 4];
    } else {
      if (b >= 100) {
        out[n++] = (char)('0' + b / 100);
      }
      if (b >= 10) {
        out[n++] = (char)('0' + b / 10 % 10);
      }
      out[n++] = (char)('0' + b % 10);
    }
    out[n++] = '.';
  }
  const char *zone = size == 16 ? "ip6.arpa" : "in-addr.arpa";
  size_t zone_size = strlen(zone);
  memcpy(out + n, zone, zone_size + 1);
  return n + zone_size;
}

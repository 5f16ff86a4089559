/* unpack.c: how many bytes an item needs: string.unpack formats and numbers. No I/O, no Lua.
 *
 * Used as scanners of wants (qn/stream.h). The walk over a format follows Lua's own rules (sizes,
 * alignment, endianness) but only adds up; the values themselves are made by string.unpack afterwards.
 * Lengths come from the peer: they are compared with the limit before anything is reserved.
 */
#include "b_stream.h"

#include <string.h>

typedef struct cursor {
  const char *p, *end;
  bool little;
  size_t max_align;
  const char *error;
} cursor_t;

static bool native_little(void)
{
  const uint16_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  return first == 1;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The optional number behind an option; SIZE_MAX/10 and more saturate. */
static size_t number(cursor_t *c, size_t def)
{
  size_t n = 0;
  if (c->p >= c->end || !is_digit(*c->p)) {
    return def;
  }
  while (c->p < c->end && is_digit(*c->p)) {
    n = n > SIZE_MAX / 20 ? n : n * 10 + (size_t)(*c->p - '0');
    c->p++;
  }
  return n;
}

static size_t int_size(cursor_t *c, size_t def)
{
  size_t n = number(c, def);
  if (n < 1 || n > 16) {
    c->error = "integral size out of limits [1,16]";
    return 1;
  }
  return n;
}

typedef enum item_kind { IT_NONE, IT_FIXED, IT_STRING, IT_ZERO, IT_ALIGN } item_kind_t;

/* Reads one option. *size: bytes of the item (or of the length prefix); *align: its natural alignment. */
static item_kind_t next_option(cursor_t *c, size_t *size, size_t *align)
{
  char opt = *c->p++;
  *align = 0;
  switch (opt) {
  case 'b':
  case 'B':
    *size = 1;
    return IT_FIXED;
  case 'h':
  case 'H':
    *size = *align = sizeof(short);
    return IT_FIXED;
  case 'i':
  case 'I':
    *size = *align = int_size(c, sizeof(int));
    return IT_FIXED;
  case 'l':
  case 'L':
    *size = *align = sizeof(long);
    return IT_FIXED;
  case 'j':
  case 'J':
    *size = *align = sizeof(lua_Integer);
    return IT_FIXED;
  case 'T':
    *size = *align = sizeof(size_t);
    return IT_FIXED;
  case 'f':
    *size = *align = sizeof(float);
    return IT_FIXED;
  case 'd':
    *size = *align = sizeof(double);
    return IT_FIXED;
  case 'n':
    *size = *align = sizeof(lua_Number);
    return IT_FIXED;
  case 's':
    *size = *align = int_size(c, sizeof(size_t));
    return IT_STRING;
  case 'c':
    if (c->p >= c->end || !is_digit(*c->p)) {
      c->error = "missing size for format option 'c'";
      return IT_NONE;
    }
    *size = number(c, 0);
    return IT_FIXED;
  case 'z':
    return IT_ZERO;
  case 'x':
    *size = 1;
    return IT_FIXED;
  case 'X':
    return IT_ALIGN;
  case ' ':
    return IT_NONE;
  case '<':
    c->little = true;
    return IT_NONE;
  case '>':
    c->little = false;
    return IT_NONE;
  case '=':
    c->little = native_little();
    return IT_NONE;
  case '!': {
    size_t n = number(c, 8);
    if (n < 1 || n > 16) {
      c->error = "integral size out of limits [1,16]";
    }
    c->max_align = n;
    return IT_NONE;
  }
  default:
    c->error = "invalid format option";
    return IT_NONE;
  }
}

static size_t padding(cursor_t *c, size_t pos, size_t align)
{
  if (align > c->max_align) {
    align = c->max_align;
  }
  if (align <= 1) {
    return 0;
  }
  if ((align & (align - 1)) != 0) {
    c->error = "format asks for alignment not power of 2";
    return 0;
  }
  return (align - (pos & (align - 1))) & (align - 1);
}

static uint64_t read_length(const uint8_t *p, size_t size, bool little)
{
  uint64_t n = 0;
  for (size_t i = 0; i < size; i++) {
    uint8_t byte = little ? p[size - 1 - i] : p[i];
    if (n >> 56 != 0) {
      return UINT64_MAX;
    }
    n = n << 8 | byte;
  }
  return n;
}

int64_t qnl_scan_unpack(const uint8_t *data, size_t size, bool ended, size_t *need, void *arg)
{
  qnl_unpack_scan_t *scan = arg;
  cursor_t c = {scan->fmt, scan->fmt + scan->fmt_size, native_little(), 1, NULL};
  size_t pos = 0;
  bool short_of = false; /* the rest is only checked for validity */
  (void)ended;
  *need = 0;
  while (c.p < c.end) {
    size_t item = 0, align = 0;
    item_kind_t kind = next_option(&c, &item, &align);
    if (kind == IT_ALIGN) {
      size_t ignored = 0;
      item_kind_t next = c.p < c.end && *c.p != 'c' ? next_option(&c, &ignored, &align) : IT_NONE;
      if (c.error == NULL && (next == IT_NONE || (align == 0 && ignored == 0))) {
        c.error = "invalid next option for option 'X'";
      }
      align = align == 0 ? 1 : align;
      item = 0;
      kind = IT_FIXED;
    }
    if (c.error == NULL && kind != IT_NONE && kind != IT_ZERO) {
      pos += padding(&c, pos, align);
    }
    if (c.error != NULL) {
      scan->error = c.error;
      return QN_E_INVALID;
    }
    if (kind == IT_NONE || short_of) {
      continue;
    }
    if (kind == IT_ZERO) {
      const uint8_t *zero = pos < size ? memchr(data + pos, 0, size - pos) : NULL;
      if (zero == NULL) {
        *need = (size > pos ? size : pos) + 1;
        short_of = true;
      } else {
        pos = (size_t)(zero - data) + 1;
      }
    } else {
      if (kind == IT_STRING) {
        if (pos + item > size) {
          *need = pos + item;
          short_of = true;
          continue;
        }
        uint64_t length = read_length(data + pos, item, c.little);
        pos += item;
        if (length > scan->max) {
          return QN_E_LIMIT;
        }
        item = (size_t)length;
      }
      if (item > scan->max) {
        return QN_E_LIMIT;
      }
      pos += item;
      if (pos > size) {
        *need = pos;
        short_of = true;
      }
    }
    if (pos > scan->max || *need > scan->max) {
      return QN_E_LIMIT;
    }
  }
  return short_of ? 0 : (int64_t)pos;
}

bool qnl_unpack_is_empty(const char *fmt) { return strspn(fmt, " <>=!0123456789") == strlen(fmt); }

/* --- numbers --------------------------------------------------------------------------------- */

static bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/* Follows io.read("n"): white space, sign, digits, fraction, exponent; at most 200 characters. */
int64_t qnl_scan_number(const uint8_t *data, size_t size, bool ended, size_t *need, void *arg)
{
  const char *p = (const char *)data;
  size_t i = 0, start, digits = 0;
  bool hex = false;
  (void)arg;
  *need = 0;
  while (i < size && strchr(" \f\n\r\t\v", p[i]) != NULL && p[i] != 0) {
    i++;
  }
  start = i;
  if (i < size && (p[i] == '-' || p[i] == '+')) {
    i++;
  }
  if (i + 1 < size && p[i] == '0' && (p[i + 1] == 'x' || p[i + 1] == 'X')) {
    hex = true;
    i += 2;
  } else if (i + 1 == size && p[i] == '0' && !ended) {
    return 0;
  }
  while (i < size && (hex ? is_hex(p[i]) : is_digit(p[i]))) {
    i++;
    digits++;
  }
  if (i < size && p[i] == '.') {
    i++;
    while (i < size && (hex ? is_hex(p[i]) : is_digit(p[i]))) {
      i++;
      digits++;
    }
  }
  if (digits > 0 && i < size && (hex ? p[i] == 'p' || p[i] == 'P' : p[i] == 'e' || p[i] == 'E')) {
    i++;
    if (i < size && (p[i] == '-' || p[i] == '+')) {
      i++;
    }
    while (i < size && is_digit(p[i])) {
      i++;
    }
  }
  if (i - start > 200) {
    return (int64_t)(start + 200);
  }
  if (i < size || ended) {
    return i > 0 ? (int64_t)i : ended ? 0 : QN_E_INVALID;
  }
  return 0;
}

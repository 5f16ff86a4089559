/* unpack.c: how many bytes an item needs: string.unpack formats and numbers. No I/O, no Lua.
 *
 * Used as scanners of wants (qn/stream.h). The walk over a format follows Lua's own rules (sizes,
 * alignment, endianness, even its limits of numbers) but only adds up; the values themselves are
 * made by string.unpack afterwards. Lengths come from the peer: they are compared with the limit
 * before anything is reserved. Invariant: what is called complete is accepted by string.unpack and
 * used up to its last byte, and no byte is looked at twice however the bytes arrive.
 */
#include "b_stream.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* --- formats --------------------------------------------------------------------------------- */

#define MAX_INT_SIZE 16
#define NATIVE_ALIGN 8

typedef enum item_kind {
  IT_NONE,
  IT_INT,
  IT_UINT,
  IT_OTHER,
  IT_CHARS,
  IT_STRING,
  IT_ZERO,
  IT_ALIGN
} item_kind_t;

typedef struct item {
  item_kind_t kind;
  size_t size; /* bytes of the item, or of a string's length */
  size_t pad;  /* bytes before it */
} item_t;

static bool native_little(void)
{
  const uint16_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  return first == 1;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static void bad_size(qnl_unpack_scan_t *s, int n)
{
  snprintf(s->error, sizeof s->error, "integral size (%d) out of limits [1,%d]", n, MAX_INT_SIZE);
}

/* The optional number behind an option. A digit too many is left for the next option, as in Lua. */
static int number(qnl_unpack_scan_t *s, int def)
{
  int n = 0;
  if (!is_digit(s->fmt[s->at])) {
    return def;
  }
  do {
    n = n * 10 + (s->fmt[s->at++] - '0');
  } while (is_digit(s->fmt[s->at]) && n <= (INT_MAX - 9) / 10);
  return n;
}

static size_t int_size(qnl_unpack_scan_t *s, size_t def)
{
  int n = number(s, (int)def);
  if (n < 1 || n > MAX_INT_SIZE) {
    bad_size(s, n);
    return 1;
  }
  return (size_t)n;
}

/* Reads one option and its size; s->error tells about a bad one. */
static item_kind_t next_option(qnl_unpack_scan_t *s, size_t *size)
{
  char opt = s->fmt[s->at++];
  *size = 0;
  switch (opt) {
  case 'b':
  case 'B': *size = 1; return IT_OTHER;
  case 'h':
  case 'H': *size = sizeof(short); return IT_OTHER;
  case 'i': *size = int_size(s, sizeof(int)); return IT_INT;
  case 'I': *size = int_size(s, sizeof(int)); return IT_UINT;
  case 'l':
  case 'L': *size = sizeof(long); return IT_OTHER;
  case 'j':
  case 'J': *size = sizeof(lua_Integer); return IT_OTHER;
  case 'T': *size = sizeof(size_t); return IT_OTHER;
  case 'f': *size = sizeof(float); return IT_OTHER;
  case 'd': *size = sizeof(double); return IT_OTHER;
  case 'n': *size = sizeof(lua_Number); return IT_OTHER;
  case 's': *size = int_size(s, sizeof(size_t)); return IT_STRING;
  case 'c': {
    int n = number(s, -1);
    if (n < 0) {
      snprintf(s->error, sizeof s->error, "missing size for format option 'c'");
      return IT_NONE;
    }
    *size = (size_t)n;
    return IT_CHARS;
  }
  case 'z': return IT_ZERO;
  case 'x': *size = 1; return IT_OTHER;
  case 'X': return IT_ALIGN;
  case ' ': return IT_NONE;
  case '<': s->little = true; return IT_NONE;
  case '>': s->little = false; return IT_NONE;
  case '=': s->little = native_little(); return IT_NONE;
  case '!': s->max_align = int_size(s, NATIVE_ALIGN); return IT_NONE;
  default: snprintf(s->error, sizeof s->error, "invalid format option '%c'", opt); return IT_NONE;
  }
}

/* The next item with the padding before it; false for a bad format. */
static bool next_item(qnl_unpack_scan_t *s, item_t *it)
{
  it->pad = 0;
  it->kind = next_option(s, &it->size);
  size_t align = it->size;
  if (it->kind == IT_ALIGN &&
      s->error[0] == 0) { /* takes its alignment from the option behind it */
    it->size = 0;
    if (s->fmt[s->at] == 0 || next_option(s, &align) == IT_CHARS || align == 0) {
      snprintf(s->error, sizeof s->error, "invalid next option for option 'X'");
    }
  }
  if (align > s->max_align) {
    align = s->max_align;
  }
  if (s->error[0] == 0 && align > 1 && it->kind != IT_CHARS) {
    if ((align & (align - 1)) != 0) {
      snprintf(s->error, sizeof s->error, "format asks for alignment not power of 2");
    } else {
      it->pad = (align - ((s->first + s->pos) & (align - 1))) & (align - 1);
    }
  }
  return s->error[0] == 0;
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

/* Whether an integer of more than 8 bytes is one of Lua's: the rest is a copy of the sign. */
static bool fits(const uint8_t *p, const item_t *it, bool little)
{
  const size_t own = sizeof(lua_Integer);
  if (it->size <= own || (it->kind != IT_INT && it->kind != IT_UINT)) {
    return true;
  }
  uint8_t top = little ? p[own - 1] : p[it->size - own];
  uint8_t fill = it->kind == IT_INT && (top & 0x80) != 0 ? 0xff : 0;
  for (size_t i = own; i < it->size; i++) {
    if (p[little ? i : it->size - 1 - i] != fill) {
      return false;
    }
  }
  return true;
}

/* 1: the item is complete and s->pos behind it; 0: *need; or an error. */
static int measure(qnl_unpack_scan_t *s, const item_t *it, const uint8_t *data, size_t size,
                   size_t *need)
{
  size_t begin = s->pos + it->pad, end = begin + it->size;
  if (it->kind == IT_ZERO) {
    size_t from = s->searched > begin ? s->searched : begin;
    const uint8_t *zero = from < size ? memchr(data + from, 0, size - from) : NULL;
    s->searched = size;
    end = zero != NULL ? (size_t)(zero - data) + 1 : (size > begin ? size : begin) + 1;
  } else if (it->kind == IT_STRING && end <= size) {
    uint64_t length = read_length(data + begin, it->size, s->little);
    if (length > s->max || end > s->max - length) {
      return QN_E_LIMIT;
    }
    end += (size_t)length;
  }
  if (end > s->max) {
    return QN_E_LIMIT;
  }
  if (end > size) {
    *need = end;
    return 0;
  }
  if (!fits(data + begin, it, s->little)) {
    return QN_E_PROTOCOL;
  }
  s->searched = 0;
  s->pos = end;
  return 1;
}

/* The part of the format that no byte has reached yet. */
static bool rest_is_valid(qnl_unpack_scan_t *s)
{
  qnl_unpack_scan_t rest = *s;
  item_t it;
  while (rest.fmt[rest.at] != 0) {
    if (!next_item(&rest, &it)) {
      memcpy(s->error, rest.error, sizeof s->error);
      return false;
    }
  }
  return true;
}

int64_t qnl_scan_unpack(const uint8_t *data, size_t size, bool ended, size_t *need, void *arg)
{
  qnl_unpack_scan_t *s = arg;
  bool first_look = *need == 0;
  (void)ended;
  *need = 0;
  if (first_look) {
    s->at = s->pos = s->searched = 0;
    s->max_align = 1;
    s->little = native_little();
    s->error[0] = 0;
    if (!rest_is_valid(s)) {
      return QN_E_INVALID;
    }
  }
  while (s->fmt[s->at] != 0) {
    qnl_unpack_scan_t before = *s;
    item_t it;
    if (!next_item(s, &it)) {
      return QN_E_INVALID;
    }
    if (it.kind == IT_NONE) {
      continue;
    }
    int rc = measure(s, &it, data, size, need);
    if (rc <= 0) { /* looked at again from here when there is more */
      before.searched = s->searched;
      *s = before;
      return rc;
    }
  }
  return (int64_t)s->pos;
}

/* --- numbers --------------------------------------------------------------------------------- */

#define NUMERAL_MAX 200 /* Lua's L_MAXLENNUM */

static bool is_hex(char c)
{
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_one_of(const char *p, size_t i, size_t size, char a, char b)
{
  return i < size && (p[i] == a || p[i] == b);
}

static size_t skip_digits(const char *p, size_t i, size_t size, bool hex)
{
  while (i < size && (hex ? is_hex(p[i]) : is_digit(p[i]))) {
    i++;
  }
  return i;
}

/* Follows io.read("n"): white space, sign, digits, fraction, exponent. */
int64_t qnl_scan_number(const uint8_t *data, size_t size, bool ended, size_t *need, void *arg)
{
  const char *p = (const char *)data;
  size_t *skipped = arg, i = *need != 0 ? *skipped : 0;
  bool hex = false;
  *need = 0;
  while (i < size && is_space(p[i])) {
    i++;
  }
  size_t start = *skipped = i, digits = 0;
  size_t last = size - start > NUMERAL_MAX ? start + NUMERAL_MAX + 1 : size;
  i += is_one_of(p, i, last, '-', '+');
  if (is_one_of(p, i, last, '0', '0')) {
    hex = is_one_of(p, i + 1, last, 'x', 'X');
    i += hex ? 2 : 0;
  }
  size_t from = i;
  i = skip_digits(p, i, last, hex);
  digits = i - from;
  if (is_one_of(p, i, last, '.', '.')) {
    from = ++i;
    i = skip_digits(p, i, last, hex);
    digits += i - from;
  }
  if (digits > 0 && (hex ? is_one_of(p, i, last, 'p', 'P') : is_one_of(p, i, last, 'e', 'E'))) {
    i++;
    i += is_one_of(p, i, last, '-', '+');
    i = skip_digits(p, i, last, false);
  }
  if (i - start > NUMERAL_MAX) {
    return QN_E_LIMIT;
  }
  if (i == size && !ended) {
    return 0;
  }
  return i > 0 ? (int64_t)i : QN_E_INVALID;
}

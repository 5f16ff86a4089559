/* unpack_fuzz.c: the scanners of bindings/unpack.c against Lua itself.
 *
 * Input: one byte (which scanner, and the limit), a format that ends with a zero, then what a peer
 * sends. Whatever the scanner calls complete, string.unpack must accept and use up to the last
 * byte; what it calls a bad format, string.unpack must refuse whatever the bytes are. The answer
 * must be the same when the bytes come one at a time. For numbers the model is lua_stringtonumber.
 */
#include "b_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require_that(bool ok, const char *what)
{
  if (!ok) {
    fprintf(stderr, "unpack_fuzz: %s\n", what);
    abort();
  }
}

/* As the stream asks: more bytes each time, the scanner's own need respected. */
static int64_t feed(qn_scan_fn scan, void *arg, const uint8_t *data, size_t size, bool ended,
                    size_t step)
{
  size_t need = 0, have = 0;
  for (;;) {
    have = size - have < step ? size : have + step;
    bool last = have == size;
    if (have < need && !last) {
      continue;
    }
    uint8_t *copy =
        malloc(have + 1); /* its exact size, so that a sanitizer sees the byte behind it */
    uint8_t *exact = have > 0 ? realloc(copy, have) : copy;
    memcpy(exact, data, have);
    int64_t rc = scan(exact, have, ended && last, &need, arg);
    free(exact);
    if (rc != 0 || last) {
      return rc;
    }
    need = need > have ? need : have + 1;
  }
}

static lua_State *model(void)
{
  static lua_State *L;
  if (L == NULL) {
    L = luaL_newstate();
    luaL_openlibs(L);
  }
  lua_settop(L, 0);
  return L;
}

/* string.unpack: the position behind the last byte - 1, or -1 when it raises. */
static int64_t unpack(const char *format, const void *data, size_t size)
{
  lua_State *L = model();
  lua_getglobal(L, "string");
  lua_getfield(L, -1, "unpack");
  lua_pushstring(L, format);
  lua_pushlstring(L, data, size);
  return lua_pcall(L, 2, LUA_MULTRET, 0) == LUA_OK ? lua_tointeger(L, -1) - 1 : -1;
}

static void check_unpack(const char *format, const uint8_t *data, size_t size, size_t max)
{
  qnl_unpack_scan_t one = {.fmt = format, .max = max}, many = {.fmt = format, .max = max};
  size_t need = 0;
  int64_t probe = qnl_scan_unpack((const uint8_t *)"", 0, false, &need, &one);
  if (probe == QN_E_INVALID) {
    static const char zeros[4096];
    require_that(one.error[0] != 0, "a bad format without a message");
    require_that(unpack(format, zeros, sizeof zeros) < 0, "a good format was refused");
    return;
  }
  bool empty = probe == 0 && need == 0;
  int64_t whole = feed(qnl_scan_unpack, &one, data, size, true, size > 0 ? size : 1);
  int64_t pieces = feed(qnl_scan_unpack, &many, data, size, true, 1);
  require_that(whole == pieces, "the answer depends on how the bytes arrive");
  int64_t used = unpack(format, data, size);
  if (whole > 0 || empty) {
    require_that((size_t)whole <= size && (size_t)whole <= max, "more than there is");
    require_that(unpack(format, data, (size_t)whole) == whole, "string.unpack wants other bytes");
    require_that(whole == 0 || unpack(format, data, (size_t)whole - 1) < 0,
                 "fewer bytes were enough");
  } else if (whole == 0 || whole == QN_E_PROTOCOL) {
    require_that(used < 0, "string.unpack is content with what is there");
  } else {
    require_that(whole == QN_E_LIMIT, "an unknown answer");
    require_that(used < 0 || (size_t)used > max, "what keeps the limit was refused");
  }
}

static void check_number(const uint8_t *data, size_t size)
{
  size_t notes = 0;
  int64_t whole = feed(qnl_scan_number, &notes, data, size, true, size > 0 ? size : 1);
  int64_t pieces = feed(qnl_scan_number, &notes, data, size, true, 1);
  require_that(whole == pieces, "the number depends on how the bytes arrive");
  if (whole <= 0) {
    require_that(whole == QN_E_LIMIT || whole == QN_E_INVALID, "an unknown answer");
    return;
  }
  require_that((size_t)whole <= size, "more than there is");
  char text[256];
  size_t start = 0;
  while (start < (size_t)whole && memchr(" \f\n\r\t\v", data[start], 6) != NULL) {
    start++;
  }
  size_t n = (size_t)whole - start;
  require_that(n <= 200, "a numeral without limit");
  memcpy(text, data + start, n);
  text[n] = 0;
  lua_State *L = model();
  if (lua_stringtonumber(L, text) != 0 && (size_t)whole < size) {
    char next = (char)data[whole]; /* what follows can not have belonged to it */
    require_that(!(next >= '0' && next <= '9') || n == 200, "the number was cut");
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1) {
    return 0;
  }
  uint8_t mode = data[0];
  if ((mode & 1) != 0) {
    check_number(data + 1, size - 1);
    return 0;
  }
  const uint8_t *end = memchr(data + 1, 0, size - 1);
  if (end == NULL || end - data > 200) {
    return 0;
  }
  const uint8_t *peer = end + 1;
  check_unpack((const char *)data + 1, peer, size - (size_t)(peer - data),
               (mode & 2) != 0 ? 32 : (size_t)1 << 26);
  return 0;
}

/* b_url_text.c: core.url_* functions on text: percent-encoding, query items, international names.
 *
 * Called by lua/qn/url.lua and the files of lua/qn/url, which check and document. Bytes in, bytes
 * out; sizes are bounded by QN_URL_MAX where a text is kept. Must not wait.
 */
#include "b_url.h"

#include <string.h>

/* core.url_encode(text, exclude, include) */
static int url_encode(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  const char *exclude = luaL_optstring(L, 2, ""), *include = luaL_optstring(L, 3, "");
  luaL_argcheck(L, size <= SIZE_MAX / 8, 1, "too long");
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, 3 * size + 1);
  luaL_pushresultsize(&b, qn_url_encode(text, size, exclude, include, to));
  return 1;
}

static void replace(char *text, size_t size, char from, char to)
{
  for (size_t i = 0; i < size; i++) {
    text[i] = text[i] == from ? to : text[i];
  }
}

/* Pushes a piece of a query, decoded; `form`: '+' is a space. */
static void push_decoded(lua_State *L, const char *text, size_t size, bool form)
{
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, size + 1);
  if (size > 0) {
    memcpy(to, text, size);
  }
  if (form) {
    replace(to, size, '+', ' ');
  }
  luaL_pushresultsize(&b, qn_url_decode(to, size, to));
}

/* core.url_decode(text [, form]) */
static int url_decode(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  push_decoded(L, text, size, lua_toboolean(L, 2));
  return 1;
}

static void push_piece(lua_State *L, const char *text, size_t size, bool encoded, bool form)
{
  if (encoded) {
    lua_pushlstring(L, text, size);
  } else {
    push_decoded(L, text, size, form);
  }
}

/* core.url_query_split(text, value delimiter, pair delimiter, form, encoded, mark) -> list of
 * {name, value}; an item without the delimiter has the value "", and `bare` if it is to be marked.
 */
static int query_split(lua_State *L)
{
  size_t size;
  const char *at = luaL_checklstring(L, 1, &size), *end = at + size;
  char value = *luaL_checkstring(L, 2), pair = *luaL_checkstring(L, 3);
  bool form = lua_toboolean(L, 4), encoded = lua_toboolean(L, 5), mark = lua_toboolean(L, 6);
  lua_Integer n = 0;
  lua_newtable(L);
  while (at < end) {
    const char *stop = memchr(at, pair, (size_t)(end - at));
    stop = stop != NULL ? stop : end;
    if (stop > at) { /* nothing between two delimiters is no item */
      const char *mid = memchr(at, value, (size_t)(stop - at));
      lua_createtable(L, 2, mid == NULL && mark);
      push_piece(L, at, (size_t)((mid != NULL ? mid : stop) - at), encoded, form);
      lua_rawseti(L, -2, 1);
      if (mid != NULL) {
        push_piece(L, mid + 1, (size_t)(stop - mid - 1), encoded, form);
      } else {
        lua_pushliteral(L, "");
      }
      lua_rawseti(L, -2, 2);
      if (mid == NULL && mark) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "bare");
      }
      lua_rawseti(L, -2, ++n);
    }
    at = stop + 1;
  }
  return 1;
}

/* core.url_query_encode(text, value delimiter, pair delimiter, form): a name or a value. */
static int query_encode(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  /* what a delimiter means must not depend on who reads it; forms keep "*-._" only */
  char include[] = {*luaL_checkstring(L, 2), *luaL_checkstring(L, 3), '~', 0};
  bool form = lua_toboolean(L, 4), plus = form && strchr(include, '+') == NULL;
  include[2] = (char)(form ? '~' : 0);
  luaL_argcheck(L, size <= SIZE_MAX / 8, 1, "too long");
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, 3 * size + 1);
  const char *exclude = plus ? "* " : form ? "*" : "/?:@!$'()*,";
  size_t n = qn_url_encode(text, size, exclude, include, to);
  if (plus) {
    replace(to, n, ' ', '+');
  }
  luaL_pushresultsize(&b, n);
  return 1;
}

/* --- international names --------------------------------------------------------------------- */

static int fail_host(lua_State *L, const char *message)
{
  return qnl_fail_info(L, &(qnl_errinfo_t){.code = QN_E_BAD_HOST, .op = "url", .message = message});
}

/* core.idn_to_ascii(text, flags), core.idn_to_unicode: the flags of qn/url.h. */
static int idn(lua_State *L)
{
  char out[QN_IDN_OUT];
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  unsigned flags = (unsigned)luaL_checkinteger(L, 2);
  int rc = qnl_magic(L) ? qn_idn_to_ascii(text, size, flags, out)
                        : qn_idn_to_unicode(text, size, flags, out);
  if (rc != 0) {
    return fail_host(L, "not a domain name by UTS 46");
  }
  lua_pushstring(L, out);
  return 1;
}

/* core.punycode_encode(label), core.punycode_decode(label) */
static int punycode(lua_State *L)
{
  char out[QN_IDN_OUT];
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  int rc = qnl_magic(L) ? qn_punycode_encode(text, size, out) : qn_punycode_decode(text, size, out);
  if (rc < 0) {
    return fail_host(L, qnl_magic(L) ? "not UTF-8, or too long" : "not Punycode");
  }
  lua_pushlstring(L, out, (size_t)rc);
  return 1;
}

/* core.idn_whitelist(set | nil): top-level domains whose names are shown in Unicode; nil = all. */
static int idn_whitelist(lua_State *L)
{
  lua_settop(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "qn.idn_whitelist");
  return 0;
}

const qnl_method_t qnl_url_text_functions[] = {{"url_with", qnl_url_with, 0},
                                               {"url_encode", url_encode, 0},
                                               {"url_decode", url_decode, 0},
                                               {"url_query_split", query_split, 0},
                                               {"url_query_encode", query_encode, 0},
                                               {"idn_to_ascii", idn, 1},
                                               {"idn_to_unicode", idn, 0},
                                               {"punycode_encode", punycode, 1},
                                               {"punycode_decode", punycode, 0},
                                               {"idn_whitelist", idn_whitelist, 0},
                                               {NULL, NULL, 0}};

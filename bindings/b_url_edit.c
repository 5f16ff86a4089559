/* b_url_edit.c: what makes another URL or a text of a qn.Url: resolving, normal forms, formats.
 *
 * Called from Lua as methods; `with` is in b_url_with.c. A value is never changed. Must not wait.
 * Invariant: what is left out of a text never shows in it, not even encoded.
 */
#include "b_url.h"

#include <string.h>

static int url_normalized(lua_State *L)
{
  const qn_url_t *u = qnl_url_check(L, 1);
  QNL_URL_PLACE(place);
  int rc = qn_url_normalize(u, &place);
  return rc == 0 ? qnl_url_take(L, &place) : qnl_fail(L, rc, "url");
}

/* url:resolve(reference [, opts]) */
static int url_resolve(lua_State *L)
{
  static const qnl_opt_t desc[] = {{.name = "strict", .type = QNL_OPT_BOOL}};
  qnl_opt_value_t strict;
  const qn_url_t *u = qnl_url_check(L, 1), *ref = qnl_test(L, 2, &qnl_class_url);
  qn_url_mode_t mode = qn_url_mode(u);
  qnl_opts(L, 3, "url:resolve", desc, 1, &strict);
  QNL_URL_PLACE(place);
  if (ref == NULL) {
    size_t size;
    qn_url_error_t err;
    const char *text = luaL_checklstring(L, 2, &size);
    bool standard = mode == QN_URL_WHATWG;
    int rc = qn_url_parse_at(text, size, mode, standard ? u : NULL, &place, &err);
    if (rc != 0) {
      return qnl_url_fail(L, rc, &err, "the reference");
    }
    qnl_url_take(L, &place);
    if (standard) {
      return 1;
    }
    ref = qnl_url_check(L, -1);
    place = (qn_url_place_t){place_mem, sizeof place_mem, NULL};
  }
  int rc = qn_url_resolve(u, ref, !strict.set || strict.i != 0, &place);
  return rc == 0 ? qnl_url_take(L, &place)
         : rc == QN_E_BAD_URL
             ? qnl_url_fail(L, rc, &(qn_url_error_t){0, "not valid there"}, "the reference")
             : qnl_fail(L, rc, "url");
}

static int url_local_file(lua_State *L)
{
  const qn_url_t *u = qnl_url_check(L, 1);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, qn_url_text(u).size + 2);
  size_t n = qn_url_to_file(u, to);
  if (n == 0) {
    return qnl_fail_info(L, &(qnl_errinfo_t){.code = QN_E_BAD_URL,
                                             .op = "url",
                                             .message = "the URL names no local file"});
  }
  luaL_pushresultsize(&b, n);
  return 1;
}

/* --- formats --------------------------------------------------------------------------------- */

enum {
  R_SCHEME,
  R_PASSWORD,
  R_USER_INFO,
  R_PORT,
  R_AUTHORITY,
  R_PATH,
  R_QUERY,
  R_FRAGMENT,
  R_FILENAME,
  STRIP_SLASH,
  CLEAN_PATH,
  LOCAL_FILE,
  E_SPACES,
  E_UNICODE,
  E_DELIMITERS,
  E_RESERVED,
  D_RESERVED,
  N_FORMAT
};

static const qnl_opt_t format_desc[N_FORMAT] = {
    [R_SCHEME] = {.name = "remove_scheme", .type = QNL_OPT_BOOL},
    [R_PASSWORD] = {.name = "remove_password", .type = QNL_OPT_BOOL},
    [R_USER_INFO] = {.name = "remove_user_info", .type = QNL_OPT_BOOL},
    [R_PORT] = {.name = "remove_port", .type = QNL_OPT_BOOL},
    [R_AUTHORITY] = {.name = "remove_authority", .type = QNL_OPT_BOOL},
    [R_PATH] = {.name = "remove_path", .type = QNL_OPT_BOOL},
    [R_QUERY] = {.name = "remove_query", .type = QNL_OPT_BOOL},
    [R_FRAGMENT] = {.name = "remove_fragment", .type = QNL_OPT_BOOL},
    [R_FILENAME] = {.name = "remove_filename", .type = QNL_OPT_BOOL},
    [STRIP_SLASH] = {.name = "strip_trailing_slash", .type = QNL_OPT_BOOL},
    [CLEAN_PATH] = {.name = "normalize_path", .type = QNL_OPT_BOOL},
    [LOCAL_FILE] = {.name = "prefer_local_file", .type = QNL_OPT_BOOL},
    [E_SPACES] = {.name = "encode_spaces", .type = QNL_OPT_BOOL},
    [E_UNICODE] = {.name = "encode_unicode", .type = QNL_OPT_BOOL},
    [E_DELIMITERS] = {.name = "encode_delimiters", .type = QNL_OPT_BOOL},
    [E_RESERVED] = {.name = "encode_reserved", .type = QNL_OPT_BOOL},
    [D_RESERVED] = {.name = "decode_reserved", .type = QNL_OPT_BOOL}};

static bool on(const qnl_opt_value_t *o, int i) { return o[i].set && o[i].i != 0; }

static void cut(qn_url_parts_t *p, qn_url_part_t part)
{
  p->has[part] = false;
  p->part[part].size = 0;
}

/* The path as the options want it; a cleaned copy is pushed to keep it alive. */
static void change_path(lua_State *L, qn_url_parts_t *p, const qnl_opt_value_t *o)
{
  qn_slice_t *path = &p->part[QN_URL_PATH];
  if (on(o, R_PATH)) {
    path->size = 0;
  }
  if (on(o, CLEAN_PATH) && !p->opaque) {
    luaL_Buffer b;
    char *to = luaL_buffinitsize(L, &b, path->size + 1);
    size_t n = qn_url_clean_path((const char *)path->data, path->size, to);
    luaL_pushresultsize(&b, n);
    path->data = (const uint8_t *)lua_tolstring(L, -1, &path->size);
  }
  while (on(o, R_FILENAME) && path->size > 0 && path->data[path->size - 1] != '/') {
    path->size--;
  }
  while (on(o, STRIP_SLASH) && path->size > 1 && path->data[path->size - 1] == '/') {
    path->size--;
  }
  if (path->size == 0 && p->mode == QN_URL_WHATWG && p->has[QN_URL_HOST]) {
    *path = (qn_slice_t){(const uint8_t *)"/", 1}; /* the standard knows no empty one there */
  }
}

/* Pushes the URL that the options leave. A whatwg one without its scheme is a tolerant one, which
 * may be relative; `any`: one to be printed or compared, when tolerant mode does not take it. */
static int adjust(lua_State *L, const qn_url_t *u, const qnl_opt_value_t *o, bool any,
                  const qn_url_t **result)
{
  qn_url_parts_t p;
  qn_url_error_t err;
  qn_url_split(u, &p);
  bool standard = p.mode == QN_URL_WHATWG;
  if (on(o, R_SCHEME)) {
    cut(&p, QN_URL_SCHEME);
    p.mode = standard ? QN_URL_TOLERANT : p.mode;
  }
  if (on(o, R_PASSWORD) || on(o, R_USER_INFO) || on(o, R_AUTHORITY)) {
    cut(&p, QN_URL_PASSWORD);
  }
  if (on(o, R_USER_INFO) || on(o, R_AUTHORITY)) {
    cut(&p, QN_URL_USER);
  }
  if (on(o, R_PORT) || on(o, R_AUTHORITY)) {
    p.port = -1;
  }
  if (on(o, R_AUTHORITY)) {
    cut(&p, QN_URL_HOST);
  }
  if (on(o, R_QUERY)) {
    cut(&p, QN_URL_QUERY);
  }
  if (on(o, R_FRAGMENT)) {
    cut(&p, QN_URL_FRAGMENT);
  }
  change_path(L, &p, o);
  QNL_URL_PLACE(place);
  int rc = qn_url_build(&p, &place, &err);
  if (rc == QN_E_BAD_URL && any && standard) {
    p.mode = QN_URL_WHATWG;
    rc = qn_url_build(&p, &place, &err);
  }
  if (rc != 0) {
    return qnl_url_fail(L, rc, &err, "what is left");
  }
  qnl_url_take(L, &place);
  *result = qnl_url_check(L, -1);
  return 0;
}

/* The same for a text: fails for nothing but its size and memory. */
static const qn_url_t *adjust_text(lua_State *L, const qn_url_t *u, const qnl_opt_value_t *o)
{
  const qn_url_t *v = NULL;
  if (adjust(L, u, o, true, &v) != 0) {
    lua_error(L);
  }
  return v;
}

static void add_human(luaL_Buffer *b, const qn_url_t *u, unsigned flags)
{
  qn_slice_t path = qn_url_get(u, QN_URL_PATH);
  if (qn_url_has(u, QN_URL_SCHEME)) {
    qnl_url_add_part(b, u, QN_URL_SCHEME, true, 0);
    luaL_addchar(b, ':');
  }
  if (qn_url_has(u, QN_URL_HOST)) {
    luaL_addstring(b, "//");
    if (qn_url_has(u, QN_URL_USER)) {
      qnl_url_add_part(b, u, QN_URL_USER, false, flags);
      if (qn_url_has(u, QN_URL_PASSWORD)) {
        luaL_addchar(b, ':');
        qnl_url_add_part(b, u, QN_URL_PASSWORD, false, flags);
      }
      luaL_addchar(b, '@');
    }
    qnl_url_add_host(b, u);
    if (qn_url_port(u) >= 0) {
      lua_pushfstring(b->L, ":%d", qn_url_port(u));
      luaL_addvalue(b);
    }
  } else if (path.size >= 2 && path.data[0] == '/' && path.data[1] == '/') {
    luaL_addstring(b, "/.");
  }
  qnl_url_add_part(b, u, QN_URL_PATH, false, flags & ~(unsigned)QN_URL_ENCODE_DELIMITERS);
  if (qn_url_has(u, QN_URL_QUERY)) {
    luaL_addchar(b, '?');
    qnl_url_add_part(b, u, QN_URL_QUERY, false, flags & ~(unsigned)QN_URL_ENCODE_DELIMITERS);
  }
  if (qn_url_has(u, QN_URL_FRAGMENT)) {
    luaL_addchar(b, '#');
    qnl_url_add_part(b, u, QN_URL_FRAGMENT, false, flags);
  }
}

static unsigned pretty_flags(const qnl_opt_value_t *o)
{
  return (on(o, E_SPACES) ? (unsigned)QN_URL_ENCODE_SPACES : 0u) |
         (on(o, E_UNICODE) ? (unsigned)QN_URL_ENCODE_UNICODE : 0u) |
         (on(o, E_DELIMITERS) ? (unsigned)QN_URL_ENCODE_DELIMITERS : 0u) |
         (on(o, D_RESERVED) && !on(o, E_RESERVED) ? (unsigned)QN_URL_DECODE_RESERVED : 0u);
}

enum { F_FULL, F_ENCODED, F_HUMAN, F_DISPLAY };

/* url:to_string([format] [, opts]) */
static int url_to_string(lua_State *L)
{
  static const char *const formats[] = {"full", "encoded", "human", "display", NULL};
  qnl_opt_value_t o[N_FORMAT];
  const qn_url_t *u = qnl_url_check(L, 1);
  int opts = lua_istable(L, 2) ? 2 : 3, format = F_FULL;
  if (opts == 3) {
    format = luaL_checkoption(L, 2, "full", formats);
  }
  bool plain = lua_isnoneornil(L, opts) && format != F_DISPLAY;
  qnl_opts(L, opts, "url:to_string", format_desc, N_FORMAT, o);
  lua_settop(L, 3);
  if (format == F_DISPLAY) {
    o[R_PASSWORD].set = true;
    o[R_PASSWORD].i = 1;
  }
  if (!plain) {
    u = adjust_text(L, u, o);
    if (on(o, LOCAL_FILE) && !qn_url_has(u, QN_URL_QUERY) && !qn_url_has(u, QN_URL_FRAGMENT)) {
      luaL_Buffer b;
      char *to = luaL_buffinitsize(L, &b, qn_url_text(u).size + 2);
      size_t n = qn_url_to_file(u, to);
      luaL_pushresultsize(&b, n);
      if (n > 0) {
        return 1;
      }
    }
  }
  if (format <= F_ENCODED) {
    qn_slice_t text = qn_url_text(u);
    lua_pushlstring(L, (const char *)text.data, text.size);
    return 1;
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  add_human(&b, u, pretty_flags(o));
  luaL_pushresult(&b);
  return 1;
}

/* url:adjusted(opts) */
static int url_adjusted(lua_State *L)
{
  qnl_opt_value_t o[N_FORMAT];
  const qn_url_t *u = qnl_url_check(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  qnl_opts(L, 2, "url:adjusted", format_desc, LOCAL_FILE, o);
  int failed = adjust(L, u, o, false, &u);
  return failed != 0 ? failed : 1;
}

/* url:matches(other, opts) */
static int url_matches(lua_State *L)
{
  qnl_opt_value_t o[N_FORMAT];
  const qn_url_t *u = qnl_url_check(L, 1), *v = qnl_url_check(L, 2);
  qnl_opts(L, 3, "url:matches", format_desc, LOCAL_FILE, o);
  u = adjust_text(L, u, o);
  v = adjust_text(L, v, o);
  int rc = qn_url_equal(u, v);
  if (rc < 0) {
    return luaL_error(L, "not enough memory");
  }
  lua_pushboolean(L, rc);
  return 1;
}

const qnl_method_t qnl_url_edit_methods[] = {{"normalized", url_normalized, 0},
                                             {"resolve", url_resolve, 0},
                                             {"local_file", url_local_file, 0},
                                             {"to_string", url_to_string, 0},
                                             {"adjusted", url_adjusted, 0},
                                             {"matches", url_matches, 0},
                                             {NULL, NULL, 0}};

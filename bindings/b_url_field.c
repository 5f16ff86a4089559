/* b_url_field.c: the fields of qn.Url, made when they are asked for.
 *
 * Called by b_url.c's index. Plain names are for people (decoded), `encoded_` ones as on the wire,
 * the names of the URL Standard (`pathname`, `search` ...) as that says. Must not change anything.
 */
#include "b_url.h"

#include <string.h>

enum {
  SCHEME = 1,
  USER,
  PASSWORD,
  HOST,
  PATH,
  QUERY,
  FRAGMENT,
  E_USER,
  E_PASSWORD,
  E_HOST,
  E_PATH,
  E_QUERY,
  E_FRAGMENT,
  PORT,
  EFFECTIVE_PORT,
  AUTHORITY,
  E_AUTHORITY,
  USER_INFO,
  E_USER_INFO,
  FILE_NAME,
  MODE,
  IS_EMPTY,
  IS_RELATIVE,
  IS_LOCAL_FILE,
  IS_OPAQUE,
  IS_IP_LITERAL,
  HAS_QUERY,
  HAS_FRAGMENT,
  HAS_AUTHORITY,
  KEY,
  HREF,
  ORIGIN,
  PROTOCOL,
  USERNAME,
  HOSTNAME,
  PATHNAME,
  SEARCH,
  HASH
};

const qnl_url_field_t qnl_url_fields[] = {{"scheme", SCHEME},
                                          {"user", USER},
                                          {"password", PASSWORD},
                                          {"host", HOST},
                                          {"path", PATH},
                                          {"query", QUERY},
                                          {"fragment", FRAGMENT},
                                          {"encoded_user", E_USER},
                                          {"encoded_password", E_PASSWORD},
                                          {"encoded_host", E_HOST},
                                          {"encoded_path", E_PATH},
                                          {"encoded_query", E_QUERY},
                                          {"encoded_fragment", E_FRAGMENT},
                                          {"port", PORT},
                                          {"effective_port", EFFECTIVE_PORT},
                                          {"authority", AUTHORITY},
                                          {"encoded_authority", E_AUTHORITY},
                                          {"user_info", USER_INFO},
                                          {"encoded_user_info", E_USER_INFO},
                                          {"file_name", FILE_NAME},
                                          {"mode", MODE},
                                          {"is_empty", IS_EMPTY},
                                          {"is_relative", IS_RELATIVE},
                                          {"is_local_file", IS_LOCAL_FILE},
                                          {"is_opaque", IS_OPAQUE},
                                          {"is_ip_literal", IS_IP_LITERAL},
                                          {"has_query", HAS_QUERY},
                                          {"has_fragment", HAS_FRAGMENT},
                                          {"has_authority", HAS_AUTHORITY},
                                          {"key", KEY},
                                          {"href", HREF},
                                          {"origin", ORIGIN},
                                          {"protocol", PROTOCOL},
                                          {"username", USERNAME},
                                          {"hostname", HOSTNAME},
                                          {"pathname", PATHNAME},
                                          {"search", SEARCH},
                                          {"hash", HASH},
                                          {NULL, 0}};

static void push_slice(lua_State *L, qn_slice_t s)
{
  lua_pushlstring(L, s.data != NULL ? (const char *)s.data : "", s.size);
}

static int push_boolean(lua_State *L, bool b)
{
  lua_pushboolean(L, b);
  return 1;
}

static bool is_slice(qn_slice_t s, const char *text)
{
  return s.size == strlen(text) && memcmp(s.data, text, s.size) == 0;
}

void qnl_url_add_part(luaL_Buffer *b, const qn_url_t *u, qn_url_part_t part, bool wire,
                      unsigned flags)
{
  qn_slice_t s = qn_url_get(u, part);
  if (s.size == 0) {
    return;
  }
  if (wire) {
    luaL_addlstring(b, (const char *)s.data, s.size);
    return;
  }
  char *to = luaL_prepbuffsize(b, (flags & QN_URL_ENCODE_DELIMITERS) != 0 ? 3 * s.size : s.size);
  luaL_addsize(b, qn_url_pretty((const char *)s.data, s.size, flags, to));
}

/* Whether the top-level domain of an ASCII name is in the list that was set (all are without one).
 */
static bool is_shown(lua_State *L, const char *host, size_t size)
{
  bool shown = true;
  if (lua_getfield(L, LUA_REGISTRYINDEX, "qn.idn_whitelist") == LUA_TTABLE) {
    size_t from = size > 0 && host[size - 1] == '.' ? --size : size;
    while (from > 0 && host[from - 1] != '.') {
      from--;
    }
    lua_pushlstring(L, host + from, size - from);
    shown = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return shown;
}

static bool has_ace(qn_slice_t host)
{
  for (size_t i = 0; i + 4 <= host.size; i++) {
    if ((i == 0 || host.data[i - 1] == '.') && memcmp(host.data + i, "xn--", 4) == 0) {
      return true;
    }
  }
  return false;
}

/* Pushes the host: for people unless `wire`; an IP literal in brackets if asked. */
static void push_host(lua_State *L, const qn_url_t *u, bool wire, bool brackets)
{
  qn_slice_t host = qn_url_get(u, QN_URL_HOST);
  const char *text = (const char *)host.data;
  char out[QN_IDN_OUT];
  if (qn_url_is_ip_literal(u)) {
    if (brackets) {
      lua_pushlstring(L, text - 1, host.size + 2);
    } else if (!wire) { /* "%25" before a zone */
      size_t n = host.size < sizeof out ? qn_url_decode(text, host.size, out) : 0;
      lua_pushlstring(L, out, n);
    } else {
      lua_pushlstring(L, text, host.size);
    }
  } else if (!wire && host.size < QN_IDN_LABEL * 2 && memchr(text, '%', host.size) != NULL) {
    lua_pushlstring(L, out, qn_url_pretty(text, host.size, 0, out));
  } else if (!wire && has_ace(host) && is_shown(L, text, host.size) &&
             qn_idn_to_unicode(text, host.size, QN_IDN_LENIENT, out) == 0) {
    lua_pushstring(L, out);
  } else {
    lua_pushlstring(L, text, host.size);
  }
}

void qnl_url_add_host(luaL_Buffer *b, const qn_url_t *u)
{
  push_host(b->L, u, false, true);
  luaL_addvalue(b);
}

static int push_part(lua_State *L, const qn_url_t *u, qn_url_part_t part, unsigned flags)
{
  if (!qn_url_has(u, part)) {
    return 0;
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  qnl_url_add_part(&b, u, part, false, flags);
  luaL_pushresult(&b);
  return 1;
}

static int push_wire(lua_State *L, const qn_url_t *u, qn_url_part_t part)
{
  if (!qn_url_has(u, part)) {
    return 0;
  }
  push_slice(L, qn_url_get(u, part));
  return 1;
}

static int push_port(lua_State *L, int port)
{
  if (port < 0) {
    return 0;
  }
  lua_pushinteger(L, port);
  return 1;
}

static int push_user_info(lua_State *L, const qn_url_t *u, bool wire)
{
  luaL_Buffer b;
  if (!qn_url_has(u, QN_URL_USER)) {
    return 0;
  }
  luaL_buffinit(L, &b);
  qnl_url_add_part(&b, u, QN_URL_USER, wire, 0);
  if (qn_url_has(u, QN_URL_PASSWORD)) {
    luaL_addchar(&b, ':');
    qnl_url_add_part(&b, u, QN_URL_PASSWORD, wire, 0);
  }
  luaL_pushresult(&b);
  return 1;
}

static int push_authority(lua_State *L, const qn_url_t *u, bool wire)
{
  if (!qn_url_has(u, QN_URL_HOST)) {
    return 0;
  }
  int n = push_user_info(L, u, wire);
  if (n > 0) {
    lua_pushliteral(L, "@");
    n++;
  }
  push_host(L, u, wire, true);
  n++;
  if (qn_url_port(u) >= 0) {
    lua_pushfstring(L, ":%d", qn_url_port(u));
    n++;
  }
  lua_concat(L, n);
  return 1;
}

static int push_file_name(lua_State *L, const qn_url_t *u)
{
  qn_slice_t path = qn_url_get(u, QN_URL_PATH);
  size_t from = path.size;
  while (from > 0 && path.data[from - 1] != '/') {
    from--;
  }
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, path.size - from + 1);
  luaL_pushresultsize(&b, qn_url_decode((const char *)path.data + from, path.size - from, to));
  return 1;
}

/* URL Standard section 4.7. */
static int push_origin(lua_State *L, const qn_url_t *u)
{
  static const char *const tuple[] = {"http", "https", "ws", "wss", "ftp", NULL};
  qn_slice_t scheme = qn_url_get(u, QN_URL_SCHEME);
  for (int i = 0; tuple[i] != NULL; i++) {
    if (!is_slice(scheme, tuple[i])) {
      continue;
    }
    int port = qn_url_port(u), n = 4;
    push_slice(L, scheme);
    lua_pushliteral(L, "://");
    push_host(L, u, true, true);
    lua_pushliteral(L, "");
    if (port >= 0 && port != qn_url_default_port(scheme)) {
      lua_pushfstring(L, ":%d", port);
      n++;
    }
    lua_concat(L, n);
    return 1;
  }
  if (is_slice(scheme, "blob")) {
    qn_slice_t path = qn_url_get(u, QN_URL_PATH);
    QNL_URL_PLACE(place);
    if (qn_url_parse_at((const char *)path.data, path.size, QN_URL_WHATWG, NULL, &place, NULL) ==
        0) {
      qnl_url_take(L, &place);
      const qn_url_t *inner = qnl_url_check(L, -1);
      qn_slice_t of = qn_url_get(inner, QN_URL_SCHEME);
      if (is_slice(of, "http") || is_slice(of, "https")) {
        return push_origin(L, inner);
      }
    }
  }
  lua_pushliteral(L, "null");
  return 1;
}

static int push_key(lua_State *L, const qn_url_t *u)
{
  QNL_URL_PLACE(place);
  int rc = qn_url_normalize(u, &place);
  if (rc != 0) {
    return luaL_error(L, "%s", qn_err_text(rc));
  }
  qnl_url_take(L, &place);
  push_slice(L, qn_url_text(qnl_url_check(L, -1)));
  return 1;
}

/* "?x": the mark and the component; "" when that is absent or empty. */
static int push_marked(lua_State *L, const qn_url_t *u, qn_url_part_t part, const char *mark)
{
  qn_slice_t s = qn_url_get(u, part);
  lua_pushstring(L, s.size > 0 ? mark : "");
  push_slice(L, s);
  lua_concat(L, 2);
  return 1;
}

/* The names of the URL Standard's class: strings, "" for what is absent. */
static int push_standard(lua_State *L, const qn_url_t *u, int id)
{
  switch (id) {
  case ORIGIN: return push_origin(L, u);
  case PROTOCOL:
    push_slice(L, qn_url_get(u, QN_URL_SCHEME));
    lua_pushstring(L, qn_url_has(u, QN_URL_SCHEME) ? ":" : "");
    lua_concat(L, 2);
    return 1;
  case USERNAME: push_slice(L, qn_url_get(u, QN_URL_USER)); return 1;
  case HOSTNAME: push_host(L, u, true, true); return 1;
  case PATHNAME: push_slice(L, qn_url_get(u, QN_URL_PATH)); return 1;
  case SEARCH: return push_marked(L, u, QN_URL_QUERY, "?");
  case HASH: return push_marked(L, u, QN_URL_FRAGMENT, "#");
  default: push_slice(L, qn_url_text(u)); return 1; /* HREF */
  }
}

static int push_fact(lua_State *L, const qn_url_t *u, int id)
{
  static const char *const modes[] = {"tolerant", "strict", "user_input", "whatwg"};
  switch (id) {
  case MODE: lua_pushstring(L, modes[qn_url_mode(u)]); return 1;
  case IS_EMPTY: return push_boolean(L, qn_url_text(u).size == 0);
  case IS_RELATIVE: return push_boolean(L, !qn_url_has(u, QN_URL_SCHEME));
  case IS_LOCAL_FILE: return push_boolean(L, is_slice(qn_url_get(u, QN_URL_SCHEME), "file"));
  case IS_OPAQUE: return push_boolean(L, qn_url_is_opaque(u));
  case IS_IP_LITERAL: return push_boolean(L, qn_url_is_ip_literal(u));
  case HAS_QUERY: return push_boolean(L, qn_url_has(u, QN_URL_QUERY));
  case HAS_FRAGMENT: return push_boolean(L, qn_url_has(u, QN_URL_FRAGMENT));
  case HAS_AUTHORITY: return push_boolean(L, qn_url_has(u, QN_URL_HOST));
  default: return push_key(L, u);
  }
}

int qnl_url_push_field(lua_State *L, const qn_url_t *u, int id)
{
  if (id >= HREF) {
    return push_standard(L, u, id);
  }
  if (id >= MODE) {
    return push_fact(L, u, id);
  }
  switch (id) {
  case SCHEME: return push_wire(L, u, QN_URL_SCHEME);
  case USER: return push_part(L, u, QN_URL_USER, QN_URL_DECODE_ALL);
  case PASSWORD: return push_part(L, u, QN_URL_PASSWORD, QN_URL_DECODE_ALL);
  case HOST:
    if (!qn_url_has(u, QN_URL_HOST)) {
      return 0;
    }
    push_host(L, u, qn_url_mode(u) == QN_URL_WHATWG, false);
    return 1;
  case PATH: return push_part(L, u, QN_URL_PATH, QN_URL_DECODE_ALL);
  case QUERY: return push_part(L, u, QN_URL_QUERY, QN_URL_DECODE_RESERVED);
  case FRAGMENT: return push_part(L, u, QN_URL_FRAGMENT, QN_URL_DECODE_ALL);
  case E_USER: return push_wire(L, u, QN_URL_USER);
  case E_PASSWORD: return push_wire(L, u, QN_URL_PASSWORD);
  case E_HOST: return push_wire(L, u, QN_URL_HOST);
  case E_PATH: return push_wire(L, u, QN_URL_PATH);
  case E_QUERY: return push_wire(L, u, QN_URL_QUERY);
  case E_FRAGMENT: return push_wire(L, u, QN_URL_FRAGMENT);
  case PORT: return push_port(L, qn_url_port(u));
  case EFFECTIVE_PORT: return push_port(L, qn_url_effective_port(u));
  case AUTHORITY: return push_authority(L, u, false);
  case E_AUTHORITY: return push_authority(L, u, true);
  case USER_INFO: return push_user_info(L, u, false);
  case E_USER_INFO: return push_user_info(L, u, true);
  default: return push_file_name(L, u);
  }
}

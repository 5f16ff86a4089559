/* b_dns.c: look-ups, questions to the DNS, resolver handles: the waiting half of qn.dns.
 *
 * lua/qn/dns.lua checks options and makes values of what comes from here. Each wait holds what the
 * runtime has for it until the end function is called: in the push function, or when the wait is
 * abandoned. Invariant: results are built in a protected call, so nothing is kept when memory runs
 * out.
 */
#include "b_dns.h"

#include "qn/dns_system.h"

#include <errno.h>
#include <string.h>

typedef struct resolver_box {
  qnl_box_t box; /* obj = this struct */
  qn_resolver_t *r;
  bool closed;
  bool shared; /* kept by the library, not by a user: the collector may have it */
} resolver_box_t;

qn_resolver_t *qnl_test_resolver(lua_State *L, int idx)
{
  const resolver_box_t *u = qnl_test(L, idx, &qnl_class_resolver);
  return u != NULL ? u->r : NULL;
}

/* The resolver at `idx`, or the loop's own one for nil. NULL: out of memory. */
static qn_resolver_t *resolver_at(lua_State *L, qnl_state_t *G, int idx)
{
  if (lua_isnoneornil(L, idx)) {
    return qn_resolver_default(G->loop);
  }
  const resolver_box_t *u = qnl_check(L, idx, &qnl_class_resolver);
  return u->r;
}

/* --- results --------------------------------------------------------------------------------- */

static int fail(lua_State *L, int code, const char *op, const char *name)
{
  qnl_errinfo_t e = {.code = code, .op = op, .peer = name, .phase = "dns"};
  if (code == QN_E_INVALID) {
    e.code = QN_E_BAD_HOST;
    e.message = *name == 0 ? "no host name given" : NULL;
  }
  return qnl_fail_info(L, &e);
}

/* The builder is on top of the stack since before the wait; calls it with the operation. */
static int build(lua_State *L, qnl_task_t *t, void (*end)(qn_op_t *op))
{
  lua_pushlightuserdata(L, &t->op);
  int status = lua_pcall(L, 1, 1, 0);
  end(&t->op);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* Upvalue 1: the state. Argument: the operation. */
static int build_host(lua_State *L)
{
  const qn_op_t *op = lua_touserdata(L, 1);
  const qn_addr_list_t *found = qn_resolved(op);
  lua_createtable(L, 0, 4);
  lua_createtable(L, found != NULL ? (int)found->n : 0, 0);
  for (size_t i = 0; found != NULL && i < found->n; i++) {
    qnl_push_address(L, qnl_G(L), &found->v[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "addresses");
  lua_pushstring(L, qn_resolved_name(op));
  lua_setfield(L, -2, "name");
  lua_pushinteger(L, qn_resolved_ttl(op));
  lua_setfield(L, -2, "ttl");
  return 1;
}

static int build_names(lua_State *L)
{
  const qn_op_t *op = lua_touserdata(L, 1);
  const char *name;
  lua_newtable(L);
  for (size_t i = 0; (name = qn_reversed(op, i)) != NULL; i++) {
    lua_pushstring(L, name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int build_answer(lua_State *L)
{
  qnl_push_dns_answer(L, qnl_G(L), qn_dns_answer(lua_touserdata(L, 1)));
  return 1;
}

/* --- waiting --------------------------------------------------------------------------------- */

/* What the three kinds of wait do alike. */
typedef struct kind {
  const char *op;
  lua_CFunction build;
  void (*end)(qn_op_t *op);
} kind_t;

static const kind_t lookup_kind = {"lookup", build_host, qn_resolve_end},
                    reverse_kind = {"reverse", build_names, qn_reverse_end},
                    query_kind = {"query", build_answer, qn_dns_query_end};

static void abandon(qnl_task_t *t) { ((const kind_t *)t->wait.obj)->end(&t->op); }

static int push_result(lua_State *L, qnl_task_t *t, int64_t result)
{
  const kind_t *kind = t->wait.obj;
  if (result >= 0) {
    return build(L, t, kind->end);
  }
  kind->end(&t->op);
  return fail(L, (int)result, kind->op, lua_tostring(L, 2));
}

/* `rc` is what starting the operation gave; argument 2 is the name for errors. */
static int wait(lua_State *L, qnl_state_t *G, qnl_task_t *t, int rc, const kind_t *kind,
                uint64_t timeout)
{
  if (rc != QN_AGAIN) {
    return fail(L, rc < 0 ? rc : QN_E_INVALID, kind->op, lua_tostring(L, 2));
  }
  t->wait.abandon = abandon;
  t->wait.obj = (void *)kind;
  t->wait.phase = "dns";
  lua_pushlightuserdata(L, G);
  lua_pushcclosure(L, kind->build, 1);
  qnl_wait_for(t, timeout);
  return qnl_wait(L, t, push_result);
}

/* Names come from users and peers: a bad one is an expected failure. */
static bool is_name(const char *name, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c <= ' ' || c == 0x7f) {
      return false;
    }
  }
  return size > 0;
}

/* core.dns_lookup(resolver | nil, name, family, timeout) ! -> {name, addresses, ttl} | nil, err */
static int core_dns_lookup(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  size_t size;
  const char *name = luaL_checklstring(L, 2, &size);
  lua_Integer family = luaL_checkinteger(L, 3);
  uint64_t timeout = qnl_seconds(L, 4, QN_DNS_TIMEOUT_DEFAULT_MS);
  qn_addr_t literal;
  qn_resolve_opts_t opts = {.host = name, .family = (qn_family_t)family};
  if (!is_name(name, size)) {
    return fail(L, QN_E_INVALID, "lookup", name);
  }
  QNL_ENTER(L, G, t, core_dns_lookup, "lookup");
  opts.resolver = resolver_at(L, G, 1);
  int rc = opts.resolver != NULL ? qn_resolve(G->loop, &opts, &t->op, &literal) : -ENOMEM;
  return wait(L, G, t, rc, &lookup_kind, timeout);
}

/* core.dns_reverse(resolver | nil, literal, timeout) ! -> list of names | nil, err */
static int core_dns_reverse(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  const char *text = luaL_checkstring(L, 2);
  uint64_t timeout = qnl_seconds(L, 3, QN_DNS_TIMEOUT_DEFAULT_MS);
  qn_addr_t address;
  luaL_argcheck(L, qn_addr_parse(&address, text, 0, QN_FAMILY_ANY) == 0, 2,
                "an address literal is expected");
  QNL_ENTER(L, G, t, core_dns_reverse, "reverse");
  qn_resolver_t *r = resolver_at(L, G, 1);
  int rc = r != NULL ? qn_reverse(G->loop, r, &address, &t->op) : -ENOMEM;
  return wait(L, G, t, rc, &reverse_kind, timeout);
}

/* core.dns_query(resolver | nil, name, type, timeout) ! -> list of record tables | nil, err */
static int core_dns_query(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  char ascii[QN_DNS_NAME_TEXT];
  size_t size;
  const char *name = luaL_checklstring(L, 2, &size);
  lua_Integer type = luaL_checkinteger(L, 3);
  uint64_t timeout = qnl_seconds(L, 4, QN_DNS_TIMEOUT_DEFAULT_MS);
  int rc = is_name(name, size) ? qn_dns_name_ascii(name, ascii) : QN_E_INVALID;
  if (rc < 0) {
    return fail(L, rc, "query", name);
  }
  QNL_ENTER(L, G, t, core_dns_query, "query");
  qn_resolver_t *r = resolver_at(L, G, 1);
  rc = r != NULL ? qn_dns_query(G->loop, r, ascii, (uint16_t)type, &t->op) : -ENOMEM;
  return wait(L, G, t, rc, &query_kind, timeout);
}

/* core.dns_literal(value, loose) -> the address when it is a qn.Address or the literal of an IP
 * address; `loose`: also in the forms of inet_aton, which the system's look-up takes */
static int core_dns_literal(lua_State *L)
{
  qn_addr_t a;
  size_t size;
  if (qnl_test(L, 1, &qnl_class_address) != NULL) {
    lua_settop(L, 1);
    return 1;
  }
  if (lua_type(L, 1) != LUA_TSTRING) {
    return 0;
  }
  const char *text = lua_tolstring(L, 1, &size);
  bool empty = size == 0 || strcmp(text, "*") == 0 || strlen(text) != size;
  if (empty || (qn_addr_parse(&a, text, 0, QN_FAMILY_ANY) != 0 &&
                (!lua_toboolean(L, 2) || qn_addr_parse_loose(&a, text, 0) != 0))) {
    return 0;
  }
  qnl_push_address(L, qnl_G(L), &a);
  return 1;
}

/* --- resolver handles ------------------------------------------------------------------------ */

static void resolver_class_close(qnl_state_t *G, lua_State *L, void *obj)
{
  resolver_box_t *u = obj;
  (void)G, (void)L;
  u->closed = true;
  qn_resolver_close(u->r);
}

static int resolver_close(lua_State *L)
{
  resolver_class_close(qnl_G(L), L, qnl_check(L, 1, &qnl_class_resolver));
  return 0;
}

static int resolver_clear_cache(lua_State *L)
{
  const resolver_box_t *u = qnl_check(L, 1, &qnl_class_resolver);
  if (!u->closed) {
    qn_resolver_clear_cache(u->r);
  }
  return 0;
}

static int resolver_is_closed(lua_State *L)
{
  lua_pushboolean(L, ((resolver_box_t *)qnl_check(L, 1, &qnl_class_resolver))->closed);
  return 1;
}

static void resolver_collect(qnl_state_t *G, void *obj)
{
  resolver_box_t *u = obj;
  (void)G;
  qn_resolver_close(u->r);
  qn_resolver_release(u->r);
}

static bool resolver_is_open(void *obj)
{
  const resolver_box_t *u = obj;
  return !u->closed && !u->shared;
}

/* The strings of the list in field `name` of the table at 1, NULL when there is no such field. */
static const char *const *strings(lua_State *L, const char *name, size_t *n)
{
  if (lua_getfield(L, 1, name) != LUA_TTABLE) {
    return NULL;
  }
  *n = lua_rawlen(L, -1);
  const char **v = lua_newuserdatauv(L, (*n + 1) * sizeof *v, 0);
  for (size_t i = 0; i < *n; i++) {
    lua_rawgeti(L, -2, (lua_Integer)i + 1);
    v[i] = luaL_checkstring(L, -1); /* held by the list */
    lua_pop(L, 1);
  }
  return v;
}

static const char *string(lua_State *L, const char *name)
{
  lua_getfield(L, 1, name);
  return lua_tostring(L, -1); /* held by the table */
}

static lua_Integer integer(lua_State *L, const char *name)
{
  lua_getfield(L, 1, name);
  lua_Integer value = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return value;
}

static bool boolean(lua_State *L, const char *name)
{
  lua_getfield(L, 1, name);
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* core.dns_resolver(fields) -> resolver | nil, err: fields as lua/qn/dns.lua has checked them. */
static int core_dns_resolver(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qn_resolver_opts_t o = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkstack(L, 16, NULL);
  o.servers = strings(L, "servers", &o.n_servers);
  o.search = strings(L, "search", &o.n_search);
  o.hosts_path = string(L, "hosts");
  o.resolv_path = string(L, "resolv_conf");
  o.nsswitch_path = string(L, "nsswitch");
  o.cache_size = (size_t)integer(L, "cache");
  o.no_cache = boolean(L, "no_cache");
  o.try_timeout = (uint64_t)integer(L, "try_timeout");
  o.tries = (unsigned)integer(L, "tries");
  o.ndots = (unsigned)integer(L, "ndots");
  o.uncounted = boolean(L, "shared");
  resolver_box_t *u = lua_newuserdatauv(L, sizeof *u, 0);
  *u = (resolver_box_t){.box.cls = &qnl_class_resolver, .shared = o.uncounted};
  qnl_set_metatable(L, &qnl_class_resolver);
  if (!u->shared) {
    qnl_note_site(L);
  }
  int rc = qn_resolver_new(G->loop, &o, &u->r);
  if (rc < 0) {
    return qnl_fail(L, rc, "resolver");
  }
  u->box.obj = u;
  return 1;
}

static const qnl_method_t resolver_methods[] = {{"close", resolver_close, 0},
                                                {"clear_cache", resolver_clear_cache, 0},
                                                {"is_closed", resolver_is_closed, 0},
                                                {NULL, NULL, 0}};
qnl_class_t qnl_class_resolver = {.name = "qn.Resolver",
                                  .methods = resolver_methods,
                                  .collect = resolver_collect,
                                  .is_open = resolver_is_open,
                                  .close = resolver_class_close};

/* --- the system ------------------------------------------------------------------------------ */

/* core.host_name() -> string */
static int core_host_name(lua_State *L)
{
  char name[QN_SYSTEM_NAME];
  lua_pushlstring(L, name, qn_system_host_name(name));
  return 1;
}

/* core.domain_name() -> string, "" when there is none */
static int core_domain_name(lua_State *L)
{
  char name[QN_SYSTEM_NAME];
  lua_pushlstring(L, name, qn_system_domain_name(name));
  return 1;
}

/* core.dns_servers([path]) -> list of "address:port": those of resolv.conf */
static int core_dns_servers(lua_State *L)
{
  qn_addr_t v[QN_SYSTEM_SERVERS];
  char text[QN_ADDR_TEXT];
  size_t n = qn_system_dns_servers(luaL_optstring(L, 1, NULL), v);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushlstring(L, text, qn_addr_text(&v[i], text, sizeof text));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

void qnl_open_dns(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"dns_lookup", core_dns_lookup, 0},
                                           {"dns_reverse", core_dns_reverse, 0},
                                           {"dns_query", core_dns_query, 0},
                                           {"dns_literal", core_dns_literal, 0},
                                           {"dns_type", qnl_dns_type, 0},
                                           {"dns_order", qnl_dns_order, 0},
                                           {"dns_resolver", core_dns_resolver, 0},
                                           {"dns_servers", core_dns_servers, 0},
                                           {"host_name", core_host_name, 0},
                                           {"domain_name", core_domain_name, 0},
                                           {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_resolver);
  qnl_setfuncs(L, G, functions);
}

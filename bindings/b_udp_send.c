/* b_udp_send.c: sending datagrams: send, try_send, reply, send_batch.
 *
 * The kernel is asked at once, so the result is the kernel's. A call waits only for a name to be
 * looked up and while the send buffer is full; what it needs then stays on its Lua stack. Must not
 * send a part of a batch before all of it was checked.
 */
#include "b_stream.h"
#include "b_udp.h"

#include "qn/dns.h"

#include <errno.h>
#include <string.h>

#define BATCH_MAX 65536 /* entries of a list for send_batch */

/* The bytes of a string or buffer; false for anything else. */
static bool get_data(lua_State *L, int idx, qn_slice_t *out)
{
  if (lua_type(L, idx) == LUA_TSTRING) {
    out->data = (const uint8_t *)lua_tolstring(L, idx, &out->size);
    return true;
  }
  const qnl_buffer_t *b = qnl_test_buffer(L, idx);
  if (b != NULL) {
    *out = (qn_slice_t){qn_buf_data(&b->b), qn_buf_size(&b->b)};
  }
  return b != NULL;
}

/* A destination in one value (a datagram to be answered, or nothing) or two (address, port). False:
 * the host is a name. */
static bool get_destination(lua_State *L, int host, int port, qn_udp_out_t *o)
{
  qn_addr_t a;
  memset(&o->to, 0, sizeof o->to);
  o->answer = NULL;
  if (lua_isnoneornil(L, host)) {
    luaL_argcheck(L, lua_isnoneornil(L, port), host, "a host expected before the port");
    return true;
  }
  const qnl_datagram_t *from = qnl_test(L, host, &qnl_class_datagram);
  if (from != NULL) {
    luaL_argcheck(L, lua_isnoneornil(L, port), port, "a datagram brings its own port");
    o->to = from->info.from;
    o->answer = &from->info;
    return true;
  }
  uint16_t number = qnl_port(L, port);
  luaL_argcheck(L, number != 0, port, "port 0 cannot be sent to");
  /* "" would be the address "any", which is this machine. */
  if (lua_rawlen(L, host) == 0 || !qnl_to_address(L, host, number, QN_FAMILY_ANY, &a)) {
    return false;
  }
  qn_udp_out_to(o, &a);
  return true;
}

static int send_failed(lua_State *L, const qnl_udp_t *u, int rc, const qn_udp_out_t *o)
{
  qn_addr_t peer = {0};
  qn_udp_end_addr(&o->to, &peer);
  return qnl_udp_fail(L, u, rc, "send", &peer);
}

/* --- one ------------------------------------------------------------------------------------- */

/* What a waiting send keeps, as a userdata on top of its stack. */
typedef struct waiting {
  qn_udp_out_t o;
  qnl_buffer_t *buffer; /* pinned */
} waiting_t;

static void unpin(qnl_task_t *t)
{
  waiting_t *w = (waiting_t *)t->wait.b;
  if (w->buffer != NULL) {
    w->buffer->pins--;
    w->buffer = NULL;
  }
}

static int send_again(lua_State *L, qnl_task_t *t, int64_t result)
{
  const qnl_udp_t *u = t->wait.obj;
  const waiting_t *w = (const waiting_t *)t->wait.b;
  int rc = result < 0 ? (int)result : qn_udp_send(u->u, &w->o);
  if (rc == QN_AGAIN) {
    rc = qn_udp_wait_writable(u->u, &t->op);
    if (rc == QN_AGAIN) {
      t->wait.abandon = unpin;
      return qnl_wait_again(L, t, send_again);
    }
  }
  unpin(t);
  if (rc < 0) {
    return send_failed(L, u, rc, &w->o);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static waiting_t *push_waiting(lua_State *L, qnl_task_t *t, const qn_udp_out_t *o, int data)
{
  waiting_t *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (waiting_t){.o = *o, .buffer = qnl_test_buffer(L, data)};
  if (w->buffer != NULL) {
    w->buffer->pins++; /* nobody moves its memory meanwhile */
  }
  t->wait.b = (intptr_t)w;
  return w;
}

static void end_lookup(qnl_task_t *t)
{
  qn_resolve_end(&t->op);
  unpin(t);
}

static int push_looked_up(lua_State *L, qnl_task_t *t, int64_t result)
{
  waiting_t *w = (waiting_t *)t->wait.b;
  const qn_addr_list_t *list = result < 0 ? NULL : qn_resolved(&t->op);
  int rc = list == NULL || list->n == 0 ? result < 0 ? (int)result : QN_E_HOST_NOT_FOUND : 0;
  if (rc == 0) {
    qn_udp_out_to(&w->o, &list->v[0]);
  }
  qn_resolve_end(&t->op);
  t->wait.phase = NULL;
  t->wait.at = QNL_NEVER;
  if (rc < 0) {
    unpin(t);
    const char *host = lua_tostring(L, (int)t->wait.c);
    return qnl_fail_info(L,
                         &(qnl_errinfo_t){.code = rc, .op = "send", .peer = host, .phase = "dns"});
  }
  return send_again(L, t, 0);
}

static int look_up(lua_State *L, qnl_task_t *t, const qnl_udp_t *u, qn_udp_out_t *o, int data,
                   int host)
{
  qn_addr_t a = {0};
  qn_resolve_opts_t ask = {
      .host = qnl_host(L, host), .port = qnl_port(L, host + 1), .family = qn_udp_family(u->u)};
  waiting_t *w = push_waiting(L, t, o, data);
  t->wait.c = host;
  int rc = qn_resolve(t->G->loop, &ask, &t->op, &a);
  if (rc == QN_AGAIN) {
    t->wait.abandon = end_lookup;
    t->wait.phase = "dns";
    qnl_wait_for(t, QN_DNS_TIMEOUT_DEFAULT_MS);
    return qnl_wait(L, t, push_looked_up);
  }
  if (rc < 0) {
    unpin(t);
    return qnl_fail_info(
        L, &(qnl_errinfo_t){.code = rc, .op = "send", .peer = ask.host, .phase = "dns"});
  }
  qn_udp_out_to(&w->o, &a);
  return send_again(L, t, 0);
}

/* data at 2, destination from 3 on. */
static int send_to(lua_State *L, lua_CFunction fn, qnl_udp_t *u, int host)
{
  qnl_state_t *G = qnl_G(L);
  qn_udp_out_t o;
  if (!get_data(L, 2, &o.data)) {
    return luaL_typeerror(L, 2, "string or qn.Buffer");
  }
  bool known = get_destination(L, host, 4, &o);
  if (!known) {
    (void)qnl_host(L, host);
  }
  QNL_ENTER(L, G, t, fn, "send");
  t->wait.obj = u;
  if (QN_UNLIKELY(!known)) {
    return look_up(L, t, u, &o, 2, host);
  }
  int rc = qn_udp_send(u->u, &o);
  if (QN_LIKELY(rc == 0)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (rc != QN_AGAIN) {
    return send_failed(L, u, rc, &o);
  }
  push_waiting(L, t, &o, 2);
  return send_again(L, t, 0);
}

/* send(data [, host, port] | [, datagram]) ! -> true | nil, err */
static int udp_send(lua_State *L) { return send_to(L, udp_send, qnl_check_udp(L, 1), 3); }

/* datagram:reply(data) ! -> true | nil, err: from where it came to, to where it came from */
int qnl_datagram_reply(lua_State *L)
{
  qnl_check(L, 1, &qnl_class_datagram);
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, QNL_DATAGRAM_SOCKET);
  qnl_udp_t *u = qnl_check_udp(L, 3);
  lua_pop(L, 1);
  return send_to(L, qnl_datagram_reply, u, 1);
}

/* try_send(data [, host, port] | [, datagram]) -> true | nil, err: never waits */
static int udp_try_send(lua_State *L)
{
  qnl_udp_t *u = qnl_check_udp(L, 1);
  qn_udp_out_t o;
  if (!get_data(L, 2, &o.data)) {
    return luaL_typeerror(L, 2, "string or qn.Buffer");
  }
  luaL_argcheck(L, get_destination(L, 3, 4, &o), 3, "an address is expected: names need send");
  int rc = qn_udp_send(u->u, &o);
  if (rc < 0) {
    return send_failed(L, u, rc == QN_AGAIN ? -EAGAIN : rc, &o);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* --- many ------------------------------------------------------------------------------------ */

static int bad_entry(lua_State *L, lua_Integer i, const char *what)
{
  return luaL_argerror(L, 2, lua_pushfstring(L, "entry %I: %s", (LUAI_UACINT)i, what));
}

/* Where the names of fields are while a list is read. */
enum { K_DATA = 5, K_HOST, K_TO, K_PORT };

static void push_keys(lua_State *L)
{
  lua_pushliteral(L, "data");
  lua_pushliteral(L, "host");
  lua_pushliteral(L, "to");
  lua_pushliteral(L, "port");
}

/* Field `key` of the table at `idx`, or its element `i`. Raw: a metamethod could make values that
 * nobody holds, or change buffers that were read already. */
static int get_either(lua_State *L, int idx, int key, lua_Integer i)
{
  lua_pushvalue(L, key);
  if (lua_rawget(L, idx) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_rawgeti(L, idx, i);
  }
  return lua_gettop(L);
}

/* {data, host, port}, {data, datagram}, or the same by names: data, to or host, port. */
static void read_table(lua_State *L, lua_Integer i, int entry, qn_udp_out_t *o,
                       const qn_udp_out_t *def)
{
  int data = get_either(L, entry, K_DATA, 1);
  if (!get_data(L, data, &o->data)) {
    bad_entry(L, i, "string or qn.Buffer expected as data");
  }
  int host = get_either(L, entry, K_HOST, 2);
  if (lua_isnil(L, host)) {
    lua_pushvalue(L, K_TO);
    lua_rawget(L, entry);
    lua_replace(L, host);
  }
  int port = get_either(L, entry, K_PORT, 3);
  if (lua_isnil(L, host)) {
    o->to = def->to;
    o->answer = def->answer;
  } else if (qnl_test(L, host, &qnl_class_datagram) == NULL &&
             (!lua_isinteger(L, port) || lua_tointeger(L, port) < 1 ||
              lua_tointeger(L, port) > 65535)) {
    bad_entry(L, i, "a port from 1 to 65535 expected");
  } else if (!get_destination(L, host, port, o)) {
    bad_entry(L, i, "an address or a datagram expected");
  }
}

/* Fills `o` from list[i]. The stack grows by what must live as long as `o`. Runs no user code, not
 * even a finalizer: what was read before stays where it is. */
static void read_entry(lua_State *L, lua_Integer i, qn_udp_out_t *o, const qn_udp_out_t *def)
{
  lua_rawgeti(L, 2, i);
  int entry = lua_gettop(L);
  const qnl_datagram_t *d;
  if (get_data(L, entry, &o->data)) {
    o->to = def->to;
    o->answer = def->answer;
  } else if ((d = qnl_test(L, entry, &qnl_class_datagram)) != NULL) {
    lua_getiuservalue(L, entry, QNL_DATAGRAM_DATA);
    if (!get_data(L, -1, &o->data)) {
      bad_entry(L, i, "the datagram has no data (only those of recv_batch have)");
    }
    o->to = d->info.from;
    o->answer = &d->info;
  } else if (lua_istable(L, entry)) {
    read_table(L, i, entry, o, def);
  } else {
    bad_entry(L, i, "string, qn.Buffer, qn.Datagram or table expected");
  }
}

typedef struct batch {
  size_t n, done;
  qn_udp_out_t v[];
} batch_t;

/* Sends until the kernel refuses: 0 all gone, QN_AGAIN or an error. */
static int send_some(qn_udp_t *s, const qn_udp_out_t *v, size_t n, size_t *done)
{
  while (*done < n) {
    int rc = qn_udp_send_many(s, v + *done, n - *done);
    if (rc < 0) {
      return rc;
    }
    *done += (size_t)rc;
  }
  return 0;
}

static int batch_result(lua_State *L, const qnl_udp_t *u, int rc, const qn_udp_out_t *failed,
                        size_t done)
{
  if (rc < 0) {
    qn_addr_t peer;
    qn_udp_end_addr(&failed->to, &peer);
    lua_pushnil(L);
    qnl_udp_push_error(L, u, rc, "send", &peer);
    lua_pushinteger(L, (lua_Integer)done);
    qnl_error_set(L, "partial");
    return 2;
  }
  lua_pushinteger(L, (lua_Integer)done);
  return 1;
}

static int batch_again(lua_State *L, qnl_task_t *t, int64_t result)
{
  const qnl_udp_t *u = t->wait.obj;
  batch_t *b = (batch_t *)t->wait.b;
  int rc = result < 0 ? (int)result : send_some(u->u, b->v, b->n, &b->done);
  if (rc == QN_AGAIN) {
    rc = qn_udp_wait_writable(u->u, &t->op);
    if (rc == QN_AGAIN) {
      return qnl_wait_again(L, t, batch_again);
    }
  }
  return batch_result(L, u, rc, &b->v[b->done], (size_t)t->wait.a + b->done);
}

/* The caller may change its list while the call waits: what is left is read once more, and its
 * values are kept in a table of ours. */
static int batch_wait(lua_State *L, qnl_task_t *t, const qn_udp_out_t *def, size_t n, size_t done)
{
  batch_t *b = lua_newuserdatauv(L, sizeof *b + (n - done) * sizeof b->v[0], 0);
  b->n = n - done;
  b->done = 0;
  lua_newtable(L);
  int keep = lua_gettop(L);
  lua_Integer kept = 0;
  for (size_t i = 0; i < b->n; i++) {
    read_entry(L, (lua_Integer)(done + i) + 1, &b->v[i], def);
    lua_pushlstring(L, (const char *)b->v[i].data.data, b->v[i].data.size);
    (void)get_data(L, -1, &b->v[i].data);
    while (lua_gettop(L) > keep) {
      lua_rawseti(L, keep, ++kept);
    }
  }
  t->wait.b = (intptr_t)b;
  t->wait.a = (intptr_t)done;
  return batch_again(L, t, 0);
}

/* send_batch(list [, host, port] | [, datagram]) ! -> number sent | nil, err (err.partial) */
static int udp_send_batch(lua_State *L)
{
  qn_udp_out_t small[QN_UDP_SEND_BATCH], def, *v = small;
  qnl_state_t *G = qnl_G(L);
  qnl_udp_t *u = qnl_check_udp(L, 1);
  size_t done = 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  luaL_argcheck(L, n <= BATCH_MAX, 2, "a batch has at most 65536 entries");
  lua_settop(L, 4);
  luaL_argcheck(L, get_destination(L, 3, 4, &def), 3, "an address or a datagram expected");
  QNL_ENTER(L, G, t, udp_send_batch, "send");
  t->wait.obj = u;
  push_keys(L);
  if (n > (lua_Integer)QN_UDP_SEND_BATCH) {
    v = lua_newuserdatauv(L, (size_t)n * sizeof *v, 0);
  }
  int top = lua_gettop(L);
  for (lua_Integer i = 1; i <= n; i++) {
    read_entry(L, i, &v[i - 1], &def);
    lua_settop(L, top); /* the list holds it until we wait */
  }
  int rc = send_some(u->u, v, (size_t)n, &done);
  if (rc == QN_AGAIN) {
    return batch_wait(L, t, &def, (size_t)n, done);
  }
  return batch_result(L, u, rc, rc < 0 ? &v[done] : NULL, done);
}

const qnl_method_t qnl_udp_send_methods[] = {{"send", udp_send, 0},
                                             {"try_send", udp_try_send, 0},
                                             {"send_batch", udp_send_batch, 0},
                                             {NULL, NULL, 0}};

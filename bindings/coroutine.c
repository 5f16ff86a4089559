/* coroutine.c: pass-through versions of the coroutine library.
 *
 * When a coroutine inside a task waits for I/O, our resume does not return: it suspends the resumer
 * with it, up to the task, and goes on when the task is woken. Otherwise stock semantics.
 * Invariant: while a coroutine runs beneath our resume, state->running names it and its parent
 * links lead to the task.
 */
#include "sched.h"

static int co_gc(lua_State *L)
{
  qnl_co_t **box = lua_touserdata(L, 1), *co = *box;
  *box = NULL;
  if (co != NULL) {
    qnl_co_forget_scopes(co);
    qnl_co_move(co, NULL);
    if (!co->in_wait) { /* else the state is being closed, and its task still knows it */
      qn_free(co);
    }
  }
  return 0;
}

/* During lua_close nothing that is made has its finalizer run: the memory is Lua's then. */
static qnl_co_t *last_record(lua_State *L, lua_State *co)
{
  struct {
    qnl_co_t *record, co;
  } *u = lua_newuserdatauv(L, sizeof *u, 0);
  u->co = (qnl_co_t){.L = co};
  u->record = &u->co;
  return u->record;
}

/* Pushes a new record of the coroutine `co`. */
static qnl_co_t *new_record(lua_State *L, lua_State *co)
{
  if (qnl_state_of(L)->closing) {
    return last_record(L, co);
  }
  qnl_co_t **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, co_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  qnl_co_t *c = qn_calloc(1, sizeof *c);
  if (c == NULL) {
    luaL_error(L, "out of memory");
    return NULL;
  }
  c->L = co;
  *box = c;
  return c;
}

static void push_thread(lua_State *L, lua_State *co)
{
  lua_pushthread(co);
  if (co != L) {
    lua_xmove(co, L, 1);
  }
}

static bool is_task(const qnl_co_t *c) { return c->task != NULL && c == &c->task->co; }

/* The book-keeping of `co`: a task's own, or a userdata in a weak table keyed by the thread. */
qnl_co_t *qnl_co_of(lua_State *L, lua_State *co, bool create)
{
  qnl_state_t *G = qnl_state_of(L);
  if (G->running != NULL) {
    for (qnl_co_t *c = G->running; c != NULL; c = c->parent) {
      if (c->L == co) {
        return c;
      }
    }
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_coroutines);
  push_thread(L, co);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  void *found = lua_touserdata(L, -1); /* of a task: itself */
  qnl_co_t *c = found == NULL || lua_islightuserdata(L, -1) ? found : *(qnl_co_t **)found;
  if (c == NULL && create) {
    lua_pop(L, 1);
    c = new_record(L, co);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return c;
  }
  lua_pop(L, 3);
  return c;
}

/* User code asks for the thread of a task: from now on it is known for what it is. */
static void know_thread(lua_State *L, qnl_task_t *t)
{
  t->known_thread = true;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_coroutines);
  push_thread(L, t->co.L);
  lua_pushlightuserdata(L, &t->co);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void qnl_co_task_ended(lua_State *L, qnl_task_t *t)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_coroutines);
  push_thread(L, t->co.L);
  new_record(L, t->co.L)->dead = true;
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void qnl_co_close_inner(lua_State *L, qnl_task_t *t, qnl_co_t *until)
{
  qnl_co_t *c = t->wait_co;
  t->wait_co = NULL;
  while (c != NULL && c != until) {
    qnl_co_t *parent = c->parent;
    c->in_wait = false;
    c->parent = NULL;
    qnl_close_thread(c->L, L);
    lua_settop(c->L, 0);
    qnl_co_forget_scopes(c);
    c = parent;
  }
}

static lua_State *check_co(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

/* Magic of resume: 0 = resume (status first), 1 = wrap. The coroutine is argument 1 for resume and
 * upvalue 3 for wrap. */
static lua_State *target(lua_State *L)
{
  return qnl_magic(L) == 1 ? lua_tothread(L, lua_upvalueindex(3)) : lua_tothread(L, 1);
}

static int fail(lua_State *L, lua_State *co, int status)
{
  bool wrap = qnl_magic(L) == 1;
  if (wrap && status != LUA_OK && status != LUA_YIELD) { /* an error inside: close what is open */
    qnl_close_thread(co, L);
    lua_xmove(co, L, 1);
  }
  if (!wrap) {
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int resume_k(lua_State *L, int status, lua_KContext ctx);

/* Runs `co` with nargs values on its stack until it yields, ends, or waits for I/O. */
static int go(lua_State *L, qnl_co_t *c, int nargs)
{
  qnl_state_t *G = qnl_G(L);
  lua_State *co = c->L;
  qnl_co_t *outer = G->running;
  int nres;
  c->parent = outer != NULL && outer->L == L ? outer : qnl_co_of(L, L, true);
  if (c->task != c->parent->task) {
    qnl_co_move(c, c->parent->task);
  }
  c->in_wait = false;
  G->running = c;
  if (QN_UNLIKELY(G->interrupt == QNL_INT_PENDING)) {
    qnl_interrupt_arm(c);
  }
  int status = lua_resume(co, L, nargs, &nres);
  G->running = outer;
  if (status == LUA_YIELD && c->in_wait) {
    if (QN_LIKELY(outer != NULL && outer->L == L)) {
      outer->in_wait = true;
      outer->top = lua_gettop(L);
    }
    return lua_yieldk(L, 0, (lua_KContext)c, resume_k);
  }
  c->parent = NULL;
  if (status == LUA_OK || status == LUA_YIELD) {
    if (!lua_checkstack(L, nres + 1)) {
      lua_pop(co, nres);
      lua_pushliteral(L, "too many results to resume");
      return fail(L, co, LUA_OK);
    }
    if (status == LUA_OK) {
      qnl_co_forget_scopes(c);
    }
    if (qnl_magic(L) == 0) {
      lua_pushboolean(L, 1);
    }
    lua_xmove(co, L, nres);
    return nres + (qnl_magic(L) == 0 ? 1 : 0);
  }
  if (qnl_magic(L) == 0) {
    lua_xmove(co, L, 1);
  }
  qnl_co_forget_scopes(c);
  return fail(L, co, status);
}

static int resume_k(lua_State *L, int status, lua_KContext ctx)
{
  qnl_co_t *c = (qnl_co_t *)ctx;
  (void)status;
  qnl_state_t *G = qnl_G(L);
  if (QN_UNLIKELY(!qnl_resumed_by_us(L, G)) && c->parent != NULL) {
    return qnl_wait_on(L, c->parent, ctx, resume_k);
  }
  if (!c->in_wait || lua_status(c->L) != LUA_YIELD) { /* closed from outside while it waited */
    c->in_wait = false;
    c->parent = NULL;
    lua_pushliteral(L, "the coroutine was closed while it waited");
    return fail(L, c->L, LUA_OK);
  }
  return go(L, c, 0);
}

/* Lua allows 200 C calls, one inside the other: a coroutine is one, its protected body is another.
 */
#define PROTECTED_DEPTH 32

/* A wrapped coroutine that begins deep inside of others runs without protection: recursion that
 * makes one for each level gets nearly as deep as it does with the stock library. */
static void begin_wrapped(const qnl_state_t *G, lua_State *co)
{
  int depth = 0;
  for (const qnl_co_t *c = G->running; c != NULL && depth < PROTECTED_DEPTH; c = c->parent) {
    depth++;
  }
  if (depth == PROTECTED_DEPTH && lua_getupvalue(co, 1, 1) != NULL) {
    lua_replace(co, 1);
  }
}

static int co_resume(lua_State *L)
{
  if (qnl_magic(L) == 0) {
    check_co(L);
  }
  lua_State *co = target(L);
  int nargs = lua_gettop(L) - (qnl_magic(L) == 0 ? 1 : 0);
  if (!lua_checkstack(co, nargs)) {
    lua_pushliteral(L, "too many arguments to resume");
    return fail(L, co, LUA_OK);
  }
  qnl_co_t *c = qnl_co_of(L, co, true);
  bool dead = lua_status(co) == LUA_OK && lua_gettop(co) == 0;
  lua_Debug ar;
  bool active = (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar) != 0) || is_task(c);
  dead = dead || c->dead;
  if (dead || active || c->in_wait || (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD)) {
    bool normal = co != L && (active || c->in_wait);
    lua_pushstring(L, co == L  ? "cannot resume non-suspended coroutine"
                      : normal ? "cannot resume non-suspended coroutine"
                               : "cannot resume dead coroutine");
    return fail(L, co, LUA_OK);
  }
  const qnl_task_t *resumer = qnl_running_task(qnl_G(L));
  if (QN_UNLIKELY(c->scopes != NULL && c->task != resumer && resumer != NULL) &&
      qnl_co_is_awaited_by(c, resumer)) {
    lua_pushliteral(L, "cannot resume a coroutine whose group waits for the task that does it");
    return fail(L, co, LUA_OK);
  }
  if (qnl_magic(L) == 1 && lua_status(co) == LUA_OK) {
    begin_wrapped(qnl_G(L), co);
  }
  lua_xmove(L, co, nargs);
  return go(L, c, nargs);
}

static int co_create(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int wrapped_k(lua_State *L, int status, lua_KContext ctx)
{
  (void)ctx;
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) : lua_error(L);
}

/* The body of a wrapped coroutine, protected: when it fails, its <close> variables are closed on
 * the coroutine itself and may wait. Behind lua_resume they could not. */
static int wrapped(lua_State *L)
{
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  return wrapped_k(L, lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, 0, wrapped_k), 0);
}

static int co_wrap(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushcclosure(L, wrapped, 1);
  co_create(L);
  lua_pushlightuserdata(L, G);
  lua_pushinteger(L, 1);
  lua_rotate(L, -3, 2);
  lua_pushcclosure(L, co_resume, 3);
  return 1;
}

static int co_yield (lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_task_t *t = qnl_running_task(G);
  if (t != NULL && t->co.L == L) {
    return luaL_error(L,
                      "attempt to yield from outside a coroutine (a task gives way with qn.yield)");
  }
  return lua_yield(L, lua_gettop(L));
}

static int co_isyieldable(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  qnl_co_t *c = co == L ? G->running : qnl_co_of(L, co, false);
  lua_pushboolean(L, lua_isyieldable(co) && !(c != NULL && c->L == co && is_task(c)));
  return 1;
}

static const char *co_status_name(lua_State *L, lua_State *co)
{
  lua_Debug ar;
  if (co == L) {
    return "running";
  }
  qnl_co_t *c = qnl_co_of(L, co, false);
  if (c != NULL && (c->dead || is_task(c))) {
    return c->dead ? "dead" : "normal";
  }
  switch (lua_status(co)) {
  case LUA_YIELD: return c != NULL && c->in_wait ? "normal" : "suspended";
  case LUA_OK:
    if (lua_getstack(co, 0, &ar) != 0) {
      return "normal";
    }
    return lua_gettop(co) == 0 ? "dead" : "suspended";
  default: return "dead";
  }
}

static int co_status(lua_State *L)
{
  lua_pushstring(L, co_status_name(L, check_co(L)));
  return 1;
}

static int co_close(lua_State *L)
{
  lua_State *co = check_co(L);
  qnl_co_t *c = qnl_co_of(L, co, false);
  if (c != NULL && c->dead) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (c != NULL && c->in_wait && c->task != NULL && !is_task(c)) {
    /* It waits inside some task: that wait ends first. What it had resumed in turn dies with it. */
    qnl_task_t *t = c->task;
    qnl_co_t *resumer = c->parent;
    qn_op_cancel(&t->op, QN_E_CANCELLED);
    qnl_abandon(t);
    qnl_co_close_inner(L, t, c);
    t->wait_co = resumer;
    c->in_wait = false;
  }
  const char *status = co_status_name(L, co);
  if (status[0] != 's' && status[0] != 'd') {
    return luaL_error(L, "cannot close a %s coroutine", status);
  }
  int failed;
#if LUA_VERSION_RELEASE_NUM >= 50406
  failed = lua_closethread(co, L);
#elif LUA_VERSION_RELEASE_NUM >= 50405
  failed = lua_resetthread(co, L);
#else
  failed = lua_resetthread(co);
#endif
  if (c != NULL) {
    qnl_co_forget_scopes(c);
    c->parent = NULL;
  }
  if (failed == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

static int co_running(lua_State *L)
{
  qnl_task_t *t = qnl_running_task(qnl_G(L));
  if (t != NULL && t->co.L == L && !t->known_thread) {
    know_thread(L, t);
  }
  int is_main = lua_pushthread(L);
  lua_pushboolean(L, is_main);
  return 2;
}

/* core.coroutine: the library that qn.install puts in place of the stock one. */
void qnl_open_coroutine(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {
      {"create", co_create, 0},   {"resume", co_resume, 0},           {"wrap", co_wrap, 0},
      {"yield", co_yield, 0},     {"status", co_status, 0},           {"close", co_close, 0},
      {"running", co_running, 0}, {"isyieldable", co_isyieldable, 0}, {NULL, NULL, 0}};
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &qnl_key_coroutines);
  lua_createtable(L, 0, 8);
  qnl_setfuncs(L, G, functions);
  lua_setfield(L, -2, "coroutine");
}

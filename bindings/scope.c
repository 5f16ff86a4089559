/* scope.c: deadline scopes and shields, and the one question that every wait asks: until when?
 *
 * Scopes belong to the coroutine that opened them and cover what runs beneath it. Going from the
 * task inward, a deadline or a cancelled nursery may bring the limit forward, a shield moves it
 * back to its grace after the moment at which the outside wanted to stop. Used by await.c,
 * nursery.c and Lua.
 */
#include "sched.h"

#include <math.h>

static uint64_t add_ms(uint64_t at, uint64_t ms)
{
  return ms >= QNL_NEVER - at ? QNL_NEVER : at + ms;
}

uint64_t qnl_limit(qnl_task_t *t, qnl_co_t *co, qnl_scope_t **cause)
{
  uint64_t limit;
  if (co == &t->co || co->parent == NULL) {
    limit = t->cancel_at;
    *cause = NULL;
  } else {
    limit = qnl_limit(t, co->parent, cause);
  }
  qnl_scope_t *s = co->scopes;
  while (s != NULL && s->outer != NULL) {
    s = s->outer;
  }
  for (; s != NULL; s = s->inner) {
    if (s->kind == QNL_SCOPE_SHIELD) {
      if (limit != QNL_NEVER) {
        limit = add_ms(limit > s->at ? limit : s->at, s->grace);
      }
    } else if (s->at < limit) {
      limit = s->at;
      *cause = s;
    }
  }
  return limit;
}

void qnl_scope_enter(qnl_scope_t *s, qnl_co_t *co, qnl_scope_kind_t kind)
{
  s->kind = (uint8_t)kind;
  s->co = co;
  s->inner = NULL;
  s->outer = co->scopes;
  if (s->outer != NULL) {
    s->outer->inner = s;
  }
  co->scopes = s;
  if (co->task != NULL) {
    co->task->n_scopes++;
  }
}

void qnl_scope_leave(qnl_scope_t *s)
{
  qnl_co_t *co = s->co;
  if (co == NULL) {
    return;
  }
  if (s->inner != NULL) {
    s->inner->outer = s->outer;
  } else {
    co->scopes = s->outer;
  }
  if (s->outer != NULL) {
    s->outer->inner = s->inner;
  }
  if (co->task != NULL && co->task->n_scopes > 0) {
    co->task->n_scopes--;
  }
  s->co = NULL;
}

void qnl_co_forget_scopes(qnl_co_t *co)
{
  while (co->scopes != NULL) {
    if (co->scopes->kind == QNL_SCOPE_NURSERY) {
      qnl_nursery_abandon(co->scopes->G->L, co->scopes);
    } else {
      qnl_scope_leave(co->scopes);
    }
  }
}

void qnl_co_move(qnl_co_t *co, qnl_task_t *to)
{
  qnl_task_t *from = co->task;
  uint32_t n = 0;
  if (from == to) {
    return;
  }
  for (qnl_scope_t *s = co->scopes; s != NULL; s = s->outer) {
    n++;
    if (s->kind == QNL_SCOPE_NURSERY) {
      qnl_nursery_set_owner(s, to);
    }
  }
  if (from != NULL) {
    from->n_scopes -= n < from->n_scopes ? n : from->n_scopes;
    co->link.prev->next = co->link.next;
    co->link.next->prev = co->link.prev;
    co->link.next = co->link.prev = NULL;
  }
  co->task = to;
  if (to != NULL) {
    to->n_scopes += n;
    co->link.prev = to->cos.prev;
    co->link.next = &to->cos;
    to->cos.prev->next = &co->link;
    to->cos.prev = &co->link;
  }
}

/* The values that a stopped task or scope raises are kept in a registry table, keyed by its
 * address. */
int qnl_raise_cause(lua_State *L, qnl_task_t *t, qnl_scope_t *cause)
{
  const void *key = cause != NULL ? (const void *)cause : (const void *)t;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
  if (lua_rawgetp(L, -1, key) == LUA_TNIL) {
    lua_pop(L, 1);
    if (cause != NULL && cause->kind == QNL_SCOPE_DEADLINE) {
      qnl_push_error(L, &(qnl_errinfo_t){.code = QN_E_TIMEOUT,
                                         .op = t->wait.op,
                                         .phase = t->wait.phase,
                                         .message = "the deadline has passed"});
    } else {
      qnl_push_cancelled(L, 0);
    }
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, key);
  } else if (cause == NULL && qnl_is_error(L, -1)) {
    /* A deadlock is told once: who catches it may do something about it. */
    t->cancel_at = QNL_NEVER;
    lua_pushnil(L);
    lua_rawsetp(L, -3, key);
  }
  return lua_error(L);
}

static void forget_value(lua_State *L, const void *key)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
  lua_pushnil(L);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

/* --- Lua ------------------------------------------------------------------------------------- */

static qnl_scope_t *new_scope(lua_State *L, qnl_state_t *G)
{
  qnl_co_t *co = G->running;
  if (qnl_is_blocking(L, G)) {
    co = &G->blocker->co; /* the main thread without a task: its blocking waits look here */
  } else if (co == NULL || co->L != L) {
    co = qnl_co_of(L, L, true);
    if (co->task == NULL) {
      qnl_throw(L, QN_KIND_INVALID, "NO_TASK", "scopes can only be opened inside a task");
    }
  }
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_scope);
  qnl_scope_t *s = qn_calloc(1, sizeof *s);
  if (s == NULL) {
    luaL_error(L, "out of memory");
    return NULL;
  }
  box->obj = s;
  s->G = G;
  s->co = co; /* for the caller, who enters it */
  return s;
}

static void enter(qnl_scope_t *s, qnl_scope_kind_t kind)
{
  qnl_co_t *co = s->co;
  s->co = NULL;
  qnl_scope_enter(s, co, kind);
}

/* core.deadline(seconds) -> scope */
static int core_deadline(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  uint64_t ms = qnl_seconds_required(L, 1);
  qnl_scope_t *s = new_scope(L, G);
  s->at = qnl_from_now(G, ms);
  enter(s, QNL_SCOPE_DEADLINE);
  return 1;
}

/* core.shield(grace) -> scope */
static int core_shield(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  uint64_t grace = qnl_seconds(L, 1, 5000);
  qnl_scope_t *s = new_scope(L, G);
  s->at = qn_loop_fresh(G->loop);
  s->grace = grace;
  enter(s, QNL_SCOPE_SHIELD);
  return 1;
}

static qnl_scope_t *check_scope(lua_State *L) { return qnl_check(L, 1, &qnl_class_scope); }

static void scope_end(lua_State *L, qnl_scope_t *s)
{
  qnl_co_t *co = s->co;
  if (co != NULL) {
    qnl_scope_leave(s);
    forget_value(L, s);
    if (co->task != NULL) {
      qnl_reconsider(co->task); /* closed by another task while something beneath waits */
    }
  }
}

static int scope_close(lua_State *L)
{
  scope_end(L, check_scope(L));
  return 0;
}

/* Whether `e` is the timeout that this scope has thrown. */
static int scope_owns(lua_State *L)
{
  qnl_scope_t *s = check_scope(L);
  luaL_checkany(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
  lua_rawgetp(L, -1, s);
  lua_pushboolean(L, !lua_isnil(L, -1) && lua_rawequal(L, -1, 2));
  return 1;
}

static int scope_remaining(lua_State *L)
{
  qnl_scope_t *s = check_scope(L);
  if (s->kind != QNL_SCOPE_DEADLINE || s->at == QNL_NEVER) {
    lua_pushnumber(L, HUGE_VAL);
  } else {
    uint64_t now = qn_loop_fresh(s->G->loop);
    lua_pushnumber(L, s->at > now ? (lua_Number)(s->at - now) / 1000.0 : 0);
  }
  return 1;
}

static void scope_class_close(qnl_state_t *G, lua_State *L, void *obj)
{
  (void)G;
  scope_end(L, obj);
}

static void scope_collect(qnl_state_t *G, void *obj)
{
  qnl_scope_t *s = obj;
  qnl_scope_leave(s);
  if (!G->closing) {
    forget_value(G->L, s);
  }
  qn_free(s);
}

static const qnl_method_t scope_methods[] = {{"close", scope_close, 0},
                                             {"owns", scope_owns, 0},
                                             {"remaining", scope_remaining, 0},
                                             {NULL, NULL, 0}};
qnl_class_t qnl_class_scope = {.name = "qn.Deadline",
                               .methods = scope_methods,
                               .collect = scope_collect,
                               .close = scope_class_close};

void qnl_open_scope(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {
      {"deadline", core_deadline, 0}, {"shield", core_shield, 0}, {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_scope);
  qnl_setfuncs(L, G, functions);
}

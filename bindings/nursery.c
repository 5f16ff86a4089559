/* nursery.c: who owns which task, what a child's end means to its owner.
 *
 * Each task has an implicit nursery (failures nobody joins are reported), the state has a root one
 * for detached tasks, qn.group opens explicit ones (the first failure cancels the siblings and the
 * body). An explicit nursery is also a scope of the coroutine that opened it. Invariant: a live
 * task is in the children list of exactly one nursery, or its nursery pointer is NULL.
 */
#include "sched.h"

#include <string.h>

#define TASK_OF(node, member) ((qnl_task_t *)(void *)((char *)(node)-offsetof(qnl_task_t, member)))
#define GROUP_OF(s) ((qnl_group_t *)(void *)((char *)(s)-offsetof(qnl_group_t, scope)))

void qnl_nursery_init(qnl_nursery_t *n, qnl_task_t *owner)
{
  memset(n, 0, sizeof *n);
  n->owner = owner;
  qnl_list_init(&n->children);
  qnl_list_init(&n->failed);
}

qnl_nursery_t *qnl_innermost_nursery(qnl_state_t *G)
{
  for (qnl_co_t *co = G->running; co != NULL; co = co->parent) {
    for (qnl_scope_t *s = co->scopes; s != NULL; s = s->outer) {
      if (s->kind == QNL_SCOPE_NURSERY) {
        return &GROUP_OF(s)->n;
      }
    }
  }
  qnl_task_t *t = qnl_running_task(G);
  return t != NULL ? &t->own : &G->root;
}

/* --- failures that nobody has looked at ------------------------------------------------------ */

void qnl_claim(qnl_task_t *t)
{
  t->claimed = true;
  if (t->failure != NULL) {
    qnl_list_remove(&t->failure->link);
    qn_free(t->failure);
    t->failure = NULL;
  }
  if (qnl_task_ended(t)) {
    qnl_list_remove(&t->sibling);
  }
}

/* Queues {error, task} for qn.on_unhandled. The task userdata is on top of L's stack and stays. */
static void queue_unhandled(lua_State *L, qnl_task_t *t)
{
  qnl_claim(t);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_unhandled);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
  qn_ready_queue(t->G->loop, &t->G->unhandled_ready);
}

/* The weak table of failed tasks that are still reachable by their handles. */
static void remember_handle(lua_State *L, qnl_task_t *t)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_anchors);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, t);
  lua_pop(L, 1);
}

/* The owner has ended, or the handle was collected: now it is certain that nobody will join. */
void qnl_report_failed(qnl_state_t *G, qn_list_t *failed)
{
  lua_State *L = G->L;
  while (failed->next != failed) {
    qnl_failure_t *f = (qnl_failure_t *)(void *)failed->next;
    qnl_task_t *t = f->t;
    qnl_list_remove(&f->link);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_anchors);
    if (lua_rawgetp(L, -1, t) == LUA_TUSERDATA && t->failure == f) {
      t->failure = NULL;
      queue_unhandled(L, t);
    }
    qn_free(f);
    lua_pop(L, 2);
  }
}

static void start_next(qnl_nursery_t *n)
{
  for (qn_list_t *node = n->children.next; node != &n->children; node = node->next) {
    if (n->limit != 0 && n->n_running >= n->limit) {
      return;
    }
    qnl_task_t *t = TASK_OF(node, sibling);
    if (t->status == QNL_TASK_NEW) {
      n->n_running++;
      qnl_task_schedule(t);
    }
  }
}

/* The failure stays with the nursery until somebody joins the child or nobody can. */
static void await_claim(lua_State *L, qnl_nursery_t *n, qnl_task_t *child)
{
  qnl_failure_t *f = qn_calloc(1, sizeof *f);
  if (f == NULL) {
    queue_unhandled(L, child);
    return;
  }
  f->t = child;
  child->failure = f;
  qnl_list_append(&n->failed, &f->link);
  remember_handle(L, child);
}

/* The child's userdata is on top of L's stack. */
void qnl_nursery_child_ended(lua_State *L, qnl_nursery_t *n, qnl_task_t *child)
{
  qnl_state_t *G = child->G;
  bool failed = child->status == QNL_TASK_FAILED;
  qnl_list_remove(&child->sibling);
  child->nursery = NULL;
  if (child->own.failed.next != &child->own.failed) {
    qnl_report_failed(G, &child->own.failed);
  }
  if (n == NULL) { /* its nursery was torn down */
    return;
  }
  n->n_children--;
  n->n_running--;
  if (failed) {
    if (child->detached || (n->is_explicit && n->policy == QNL_REPORT)) {
      queue_unhandled(L, child);
    } else if (n->is_explicit) {
      qnl_list_append(&n->failed, &child->sibling);
      remember_handle(L, child);
      qnl_task_anchor(L, child, -1); /* until the group has looked */
      if (n->policy == QNL_CANCEL_SIBLINGS) {
        qnl_nursery_cancel(L, n, 0);
      }
    } else if (!child->claimed) {
      await_claim(L, n, child);
      qn_ready_queue(G->loop, &G->collect_ready);
    }
  }
  if (n->limit != 0) {
    start_next(n);
  }
  if (n->n_children == 0 && n->draining && n->owner != NULL) {
    n->draining = false;
    qn_op_settle(&n->owner->op, 0);
  }
}

static qnl_scope_t *scope_of(qnl_nursery_t *n) { return &((qnl_group_t *)n)->scope; }

bool qnl_nursery_is_cancelled(const qnl_nursery_t *n)
{
  return n->is_explicit && ((const qnl_group_t *)n)->scope.at != QNL_NEVER;
}

void qnl_nursery_cancel(lua_State *L, qnl_nursery_t *n, int reason_idx)
{
  if (n->is_explicit && !qnl_nursery_is_cancelled(n)) {
    scope_of(n)->at = qn_loop_fresh(scope_of(n)->G->loop);
    qnl_push_cancelled(L, reason_idx);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
    lua_insert(L, -2);
    lua_rawsetp(L, -2, scope_of(n));
    lua_pop(L, 1);
    if (n->owner != NULL) {
      qnl_reconsider(n->owner);
    }
  }
  for (qn_list_t *node = n->children.next, *next; node != &n->children; node = next) {
    next = node->next;
    qnl_task_cancel(L, TASK_OF(node, sibling), reason_idx);
  }
}

static void forget_value(lua_State *L, const void *table, const void *key)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, table);
  lua_pushnil(L);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

void qnl_nursery_adopt(lua_State *L, qnl_nursery_t *from, qnl_nursery_t *to)
{
  while (from->children.next != &from->children) {
    qnl_task_t *t = TASK_OF(from->children.next, sibling);
    uint32_t counted = t->status != QNL_TASK_NEW;
    qnl_list_remove(&t->sibling);
    from->n_children--;
    from->n_running -= counted;
    t->nursery = to;
    qnl_list_append(&to->children, &t->sibling);
    to->n_children++;
    to->n_running += counted;
    qnl_task_cancel(L, t, 0);
  }
}

bool qnl_co_is_awaited_by(const qnl_co_t *co, const qnl_task_t *t)
{
  for (const qnl_scope_t *s = co->scopes; s != NULL; s = s->outer) {
    for (const qnl_task_t *up = t;
         s->kind == QNL_SCOPE_NURSERY && up != NULL && up->nursery != NULL;
         up = up->nursery->owner) {
      if (up->nursery == &GROUP_OF(s)->n) {
        return true;
      }
    }
  }
  return false;
}

void qnl_nursery_set_owner(qnl_scope_t *s, qnl_task_t *owner) { GROUP_OF(s)->n.owner = owner; }

void qnl_nursery_abandon(lua_State *L, qnl_scope_t *s)
{
  qnl_nursery_t *n = &GROUP_OF(s)->n;
  qnl_state_t *G = s->G;
  qnl_task_t *owner = s->co != NULL ? n->owner : NULL; /* left already: the owner may be gone */
  qnl_scope_leave(s);
  if (n->draining && n->owner != NULL) { /* its operation goes later, and must not look here */
    n->owner->wait.obj = NULL;
  }
  n->owner = NULL;
  n->draining = false;
  if (G->closing) { /* everything goes: only cut the ties */
    while (n->children.next != &n->children) {
      qnl_task_t *t = TASK_OF(n->children.next, sibling);
      qnl_list_remove(&t->sibling);
      t->nursery = NULL;
    }
    while (n->failed.next != &n->failed) {
      qnl_list_remove(n->failed.next);
    }
    n->n_children = n->n_running = 0;
    return;
  }
  lua_checkstack(L, 12);
  forget_value(L, &qnl_key_traces, s);
  qnl_nursery_adopt(L, n, owner != NULL && !qnl_task_ended(owner) ? &owner->own : &G->root);
  while (n->failed.next != &n->failed) {
    qnl_task_t *t = TASK_OF(n->failed.next, sibling);
    qnl_push_task(L, t); /* anchored since it failed */
    queue_unhandled(L, t);
    qnl_task_unanchor(L, t);
    lua_pop(L, 1);
  }
}

/* --- explicit nurseries for Lua -------------------------------------------------------------- */

static qnl_nursery_t *check(lua_State *L) { return qnl_check(L, 1, &qnl_class_nursery); }

/* core.nursery(limit, on_error) -> nursery: opens one in the running coroutine. */
static int core_nursery(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  static const char *const policies[] = {"supervise", "cancel", "collect",
                                         NULL}; /* as qnl_policy_t */
  lua_Integer limit = luaL_optinteger(L, 1, 0);
  int policy = luaL_checkoption(L, 2, "cancel", policies);
  qnl_co_t *co = G->running;
  if (co == NULL) {
    return qnl_throw(L, QN_KIND_INVALID, "NO_TASK",
                     "a group can only be opened inside a task (see qn.run)");
  }
  qnl_check_yieldable(L, G, "group"); /* its end waits */
  qnl_box_t *box = qnl_push_empty(L, &qnl_class_nursery);
  qnl_group_t *group = qn_calloc(1, sizeof *group);
  if (group == NULL) {
    return luaL_error(L, "out of memory");
  }
  qnl_nursery_t *n = &group->n;
  qnl_nursery_init(n, co->task);
  group->scope = (qnl_scope_t){.G = G, .at = QNL_NEVER};
  box->obj = n;
  n->is_explicit = true;
  n->limit = limit > UINT32_MAX ? UINT32_MAX : limit > 0 ? (uint32_t)limit : 0;
  n->policy = (uint8_t)policy;
  qnl_scope_enter(scope_of(n), co, QNL_SCOPE_NURSERY);
  return 1;
}

static int nursery_spawn(lua_State *L)
{
  qnl_nursery_t *n = check(L);
  luaL_checkany(L, 2);
  if (scope_of(n)->co == NULL) {
    return luaL_error(L, "the group has ended: it takes no more tasks");
  }
  qnl_spawn(L, qnl_G(L), n, lua_gettop(L) - 2);
  return 1;
}

static void stop_draining(qn_op_t *op)
{
  qnl_task_t *t = (qnl_task_t *)(void *)((char *)op - offsetof(qnl_task_t, op));
  qnl_nursery_t *n = t->wait.obj;
  if (n != NULL) {
    n->draining = false;
  }
}

static int push_nothing(lua_State *L, qnl_task_t *t, int64_t result)
{
  (void)L, (void)t, (void)result;
  return 0;
}

/* Magic 0: an ordinary wait for all children. Magic 1: waits whatever happens (they were
 * cancelled). Magic 2: core.children(), an ordinary wait for those of the running task. */
static int nursery_wait(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_task_t *running = qnl_running_task(G);
  bool own = qnl_magic(L) == 2 && running != NULL, deaf = qnl_magic(L) == 1;
  qnl_nursery_t *n = own ? &running->own : check(L);
  if (n->n_children == 0) {
    return 0;
  }
  if (G->running == NULL || G->running->L != L || n->owner != G->running->task) {
    return luaL_error(L, "only the task that opened a group can wait for it");
  }
  qnl_task_t *t = n->owner;
  if (deaf) {
    qnl_check_yieldable(L, G, "group");
  } else if (qnl_enter(L, G, "group") == NULL) {
    return qnl_requeue(L, nursery_wait);
  }
  t->wait = (qnl_wait_t){.op = "group", .at = QNL_NEVER, .obj = n, .deaf = deaf};
  n->draining = true;
  qn_op_begin(&t->op, n, stop_draining);
  return qnl_wait(L, t, push_nothing);
}

static int nursery_cancel(lua_State *L)
{
  qnl_nursery_cancel(L, check(L), lua_isnoneornil(L, 2) ? 0 : 2);
  return 0;
}

/* Leaves the scope; returns the list of errors of failed children, in order. */
static int nursery_leave(lua_State *L)
{
  qnl_nursery_t *n = check(L);
  qnl_scope_leave(scope_of(n));
  n->owner = NULL; /* a coroutine that dies behind this keeps its <close> variables for later */
  forget_value(L, &qnl_key_traces, scope_of(n));
  lua_newtable(L);
  for (lua_Integer i = 1; n->failed.next != &n->failed; i++) {
    qnl_task_t *t = TASK_OF(n->failed.next, sibling);
    qnl_claim(t);
    lua_pushvalue(t->co.L, -1);
    lua_xmove(t->co.L, L, 1);
    if (lua_isnil(L, -1)) { /* a hole would hide the failure */
      lua_pop(L, 1);
      lua_pushliteral(L, "(error object is a nil value)");
    }
    lua_rawseti(L, -2, i);
    qnl_task_unanchor(L, t);
  }
  return 1;
}

/* Whether `e` is what this nursery has thrown into its body. */
static int nursery_owns(lua_State *L)
{
  qnl_nursery_t *n = check(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
  lua_rawgetp(L, -1, scope_of(n));
  lua_pushboolean(L, !lua_isnil(L, -1) && lua_rawequal(L, -1, 2));
  return 1;
}

/* Whether a child has failed. */
static int nursery_has_failed(lua_State *L)
{
  qnl_nursery_t *n = check(L);
  lua_pushboolean(L, n->failed.next != &n->failed);
  return 1;
}

static int nursery_count(lua_State *L)
{
  lua_pushinteger(L, check(L)->n_children);
  return 1;
}

/* The coroutine died in the middle of the group. */
static void nursery_collect(qnl_state_t *G, void *obj)
{
  qnl_nursery_abandon(G->L, scope_of(obj));
  qn_free(obj);
}

/* Nothing is left to do when the group ended by itself. */
static void nursery_class_close(qnl_state_t *G, lua_State *L, void *obj)
{
  (void)G;
  qnl_nursery_abandon(L, scope_of(obj));
}

static const qnl_method_t nursery_methods[] = {{"spawn", nursery_spawn, 0},
                                               {"wait", nursery_wait, 0},
                                               {"drain", nursery_wait, 1},
                                               {"cancel", nursery_cancel, 0},
                                               {"leave", nursery_leave, 0},
                                               {"owns", nursery_owns, 0},
                                               {"count", nursery_count, 0},
                                               {"has_failed", nursery_has_failed, 0},
                                               {NULL, NULL, 0}};
qnl_class_t qnl_class_nursery = {.name = "qn.Nursery",
                                 .methods = nursery_methods,
                                 .collect = nursery_collect,
                                 .close = nursery_class_close};

void qnl_open_nursery(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {
      {"nursery", core_nursery, 0}, {"children", nursery_wait, 2}, {NULL, NULL, 0}};
  qnl_class_register(L, G, &qnl_class_nursery);
  qnl_setfuncs(L, G, functions);
}

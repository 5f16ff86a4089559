/* park.c: what Lua files build waiting objects from: park names this wait, unpark ends it.
 *
 * A waiter is {task, number}: core.ticket gives the running task and the number of its next wait;
 * core.unpark(task, number, code) ends exactly that wait and says whether it still was there. A
 * late unpark is false by construction. Values travel in Lua tables of the caller.
 */
#include "sched.h"

static void nothing_to_cancel(qn_op_t *op) { (void)op; }

/* core.ticket(op, timeout) -> task, number. Raises where waiting is impossible, and for a bad
 * timeout, so call it before you queue. The number is good for one park of this task, and for no
 * other wait. */
static int core_ticket(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  static const char *const ops[] = {"wait",      "recv", "send",  "lock",    "acquire", "event",
                                    "condition", "join", "group", "require", "handler", NULL};
  const char *op = ops[luaL_checkoption(L, 1, "wait", ops)];
  qnl_seconds(L, 2, QNL_NEVER);
  QNL_ENTER(L, G, t, core_ticket, op);
  t->ticket = ++t->seq;
  if (t->blocking) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, G);
  } else {
    qnl_push_task(L, t);
  }
  lua_pushinteger(L, (lua_Integer)t->ticket);
  return 2;
}

static int push_code(lua_State *L, qnl_task_t *t, int64_t result)
{
  if (result < 0) {
    return qnl_fail_info(
        L, &(qnl_errinfo_t){.code = (int)result, .op = t->wait.op, .phase = t->wait.op});
  }
  lua_pushinteger(L, (lua_Integer)result);
  return 1;
}

/* core.park(timeout [, returnable]) -> code | nil, err: waits under the ticket that was drawn last.
 * Returnable: who was woken and then cancelled gets the cancellation, and the caller's <close>
 * gives back what it was woken with. */
static int core_park(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  qnl_task_t *t = G->running != NULL ? G->running->task : G->blocker;
  const char *op = t != NULL ? t->wait.op : NULL;
  uint64_t timeout = qnl_seconds(L, 1, QNL_NEVER);
  if (t == NULL || (G->running != NULL && G->running->L != L) || t->ticket == 0) {
    return luaL_error(L, "park without a ticket");
  }
  if (!t->blocking) {
    qnl_check_yieldable(L, G, op);
  }
  t->wait = (qnl_wait_t){.op = op,
                         .at = QNL_NEVER,
                         .code = QN_E_TIMEOUT,
                         .ticket = t->ticket,
                         .returnable = lua_toboolean(L, 2)};
  t->ticket = 0;
  qnl_wait_for(t, timeout);
  qn_op_begin(&t->op, NULL, nothing_to_cancel);
  return qnl_wait(L, t, push_code);
}

static bool waits_under(const qnl_task_t *t, lua_Integer ticket)
{
  return t->status == QNL_TASK_WAITING && ticket != 0 && t->wait.ticket == (uint64_t)ticket &&
         qn_op_pending(&t->op);
}

static int core_unpark(lua_State *L)
{
  qnl_task_t *t = qnl_check(L, 1, &qnl_class_task);
  lua_Integer ticket = luaL_checkinteger(L, 2), code = luaL_optinteger(L, 3, 0);
  bool there = waits_under(t, ticket);
  if (there) {
    qn_op_settle(&t->op, code);
  }
  lua_pushboolean(L, there);
  return 1;
}

static int core_is_parked(lua_State *L)
{
  qnl_task_t *t = qnl_check(L, 1, &qnl_class_task);
  lua_pushboolean(L, waits_under(t, luaL_checkinteger(L, 2)));
  return 1;
}

/* --- sleep, yield ---------------------------------------------------------------------------- */

static int push_slept(lua_State *L, qnl_task_t *t, int64_t result)
{
  (void)L, (void)t, (void)result;
  return 0;
}

static int core_sleep(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  luaL_checknumber(L, 1);
  uint64_t ms = qnl_seconds(L, 1, 0);
  QNL_ENTER(L, G, t, core_sleep, "sleep");
  qn_op_begin(&t->op, NULL, nothing_to_cancel);
  if (ms == 0) { /* behind all that is ready: timers come first in a phase */
    qn_op_settle(&t->op, 0);
  } else {
    qnl_wait_for(t, ms);
    t->wait.code = QNL_R_SLEPT;
  }
  return qnl_wait(L, t, push_slept);
}

static int core_yield(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  QNL_ENTER(L, G, t, core_yield, "yield");
  qn_op_begin(&t->op, NULL, nothing_to_cancel);
  qn_op_settle(&t->op, 0);
  return qnl_wait(L, t, push_slept);
}

void qnl_open_park(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"ticket", core_ticket, 0},
                                           {"park", core_park, 0},
                                           {"unpark", core_unpark, 0},
                                           {"is_parked", core_is_parked, 0},
                                           {"sleep", core_sleep, 0},
                                           {"yield", core_yield, 0},
                                           {NULL, NULL, 0}};
  qnl_setfuncs(L, G, functions);
}

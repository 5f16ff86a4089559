/* exit.c: qn.exit and os.exit: the program ends, but in order.
 *
 * The first call decides the status. The caller is parked for good, so that no pcall around it goes
 * on; qnl_stop closes it from outside, which runs its <close> variables. Where it cannot be parked
 * (a sort comparator, a finalizer) it is cancelled instead. Only a standalone state ends the
 * process itself: a host and the program qnlua do that when they see that the state is exiting.
 */
#include "sched.h"

#include <stdio.h>
#include <stdlib.h>

static const char op_exit[] = "exit";

bool qnl_is_parked(const qnl_task_t *t)
{
  return t->status == QNL_TASK_WAITING && t->wait.op == op_exit;
}

static const char key_os_exit = 0;

static void keep_os_exit(lua_State *L)
{
  lua_getglobal(L, LUA_OSLIBNAME);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "exit");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_os_exit);
  }
  lua_pop(L, 1);
}

/* By the interpreter's own os.exit: closing its state unloads this very code. */
int qnl_exit_process(qnl_state_t *G)
{
  lua_State *L = G->L;
  int status = G->exit_status;
  qnl_stop(G, QNL_GRACE);
  G->closing = true;
  fflush(NULL);
  if (lua_checkstack(L, 4) && lua_rawgetp(L, LUA_REGISTRYINDEX, &key_os_exit) == LUA_TFUNCTION) {
    lua_pushinteger(L, status);
    lua_pushboolean(L, 1); /* close the state */
    lua_call(L, 2, 0);
  }
  exit(status);
}

/* --- where the caller cannot be parked ------------------------------------------------------- */

static int raise_cancelled(lua_State *L, qnl_state_t *G)
{
  qnl_task_t *t = qnl_running_task(G);
  lua_pushliteral(L, "the program is ending");
  if (t != NULL) {
    qnl_task_cancel(L, t, -1); /* who catches the error does not wait any more */
  }
  qnl_push_cancelled(L, -1);
  return lua_error(L);
}

/* In a finalizer an error becomes a warning: the code that was interrupted by it must not go on. */
static void exit_hook(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  qnl_state_t *G = qnl_state_of(L);
  lua_sethook(L, NULL, 0, 0);
  if (G != NULL && G->exiting) {
    raise_cancelled(L, G);
  }
}

/* --- exit ------------------------------------------------------------------------------------ */

static int exit_status(lua_State *L)
{
  if (lua_isboolean(L, 1)) {
    return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  return (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
}

static bool can_park(lua_State *L, const qnl_state_t *G)
{
  qnl_co_t *co = G->running;
  if (co == NULL || co->L != L || co->task == NULL) {
    return false;
  }
  for (qnl_co_t *c = co; c != NULL; c = c->parent) {
    if (!lua_isyieldable(c->L) || (c->parent == NULL && c != &co->task->co)) {
      return false;
    }
  }
  return true;
}

static int never(lua_State *L, qnl_task_t *t, int64_t result)
{
  (void)result;
  return raise_cancelled(L, t->G);
}

static void nothing_to_cancel(qn_op_t *op) { (void)op; }

/* core.exit([status [, close]]): true or nothing = 0, false = 1; does not return. */
static int core_exit(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  int status = exit_status(L);
  if (!G->exiting) {
    G->exit_status = status;
    G->exiting = true;
    qn_loop_stop(G->loop);
  }
  if (G->stock && G->running == NULL && !G->stopping && !qn_loop_in_turn(G->loop)) {
    return qnl_exit_process(G);
  }
  if (G->running != NULL && can_park(L, G)) {
    qnl_task_t *t = G->running->task;
    t->wait = (qnl_wait_t){.op = op_exit, .at = QNL_NEVER, .code = QN_E_TIMEOUT, .deaf = true};
    qn_op_begin(&t->op, NULL, nothing_to_cancel);
    return qnl_wait(L, t, never);
  }
  if (G->running != NULL && qnl_in_finalizer(L)) {
    lua_sethook(G->running->L, exit_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  }
  return raise_cancelled(L, G);
}

void qnl_open_exit(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"exit", core_exit, 0}, {NULL, NULL, 0}};
  keep_os_exit(L);
  qnl_setfuncs(L, G, functions);
}

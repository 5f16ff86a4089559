/* run.c: turning the loop on behalf of Lua: until a task has ended, and the orderly end of everything.
 *
 * Used by qn.run, by the program and by C hosts. Must not be called from inside a task.
 */
#include "sched.h"

#include <stdio.h>
#include <stdlib.h>

#define TASK_OF(node, member) ((qnl_task_t *)(void *)((char *)(node)-offsetof(qnl_task_t, member)))

static int push_deadlock(lua_State *L)
{
  qnl_task_t *t = lua_touserdata(L, 1);
  qnl_push_error(L, &(qnl_errinfo_t){.code = QN_E_DEADLOCK, .op = t->wait.op});
  qnl_task_stop(L, t, -1);
  return 0;
}

static int cancel_main(lua_State *L)
{
  qnl_state_t *G = lua_touserdata(L, 1);
  lua_pushliteral(L, "interrupted");
  qnl_task_cancel(L, G->main_task, -1);
  return 0;
}

static void interrupt_main(qnl_state_t *G)
{
  G->interrupted = false;
  if (G->main_task != NULL && !qnl_task_ended(G->main_task)) {
    lua_pushcfunction(G->L, cancel_main);
    lua_pushlightuserdata(G->L, G);
    if (lua_pcall(G->L, 1, 0, 0) != LUA_OK) {
      lua_pop(G->L, 1);
    }
  }
}

void qnl_run_until(qnl_state_t *G, qnl_task_t *t)
{
  bool warned = false;
  qnl_task_t *outer = G->until;
  G->until = t;
  while (!qnl_task_ended(t) && !G->exiting) {
    if (!qn_loop_turn(G->loop, QN_TURN_ONCE) && !qnl_task_ended(t) && !G->exiting) {
      if (warned) {
        break;
      }
      warned = true;
      lua_pushcfunction(G->L, push_deadlock);
      lua_pushlightuserdata(G->L, t);
      if (lua_pcall(G->L, 1, 0, 0) != LUA_OK) {
        lua_pop(G->L, 1);
        break;
      }
    }
    if (G->interrupted) { /* a signal came while no Lua code ran */
      interrupt_main(G);
    }
  }
  G->until = outer;
}

static const char key_os_exit = 0;

void qnl_keep_os_exit(lua_State *L)
{
  lua_getglobal(L, LUA_OSLIBNAME);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "exit");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key_os_exit);
  }
  lua_pop(L, 1);
}

void qnl_end_process(qnl_state_t *G)
{
  lua_State *L = G->L;
  int status = G->exit_status;
  fflush(NULL);
  if (lua_checkstack(L, 4) && lua_rawgetp(L, LUA_REGISTRYINDEX, &key_os_exit) == LUA_TFUNCTION) {
    lua_pushinteger(L, status);
    lua_pushboolean(L, 1); /* close the state */
    lua_call(L, 2, 0);
  }
  exit(status);
}

void qnl_exit_now(qnl_state_t *G)
{
  qnl_shutdown(G, 5000);
  qnl_end_process(G);
}

/* --- the end --------------------------------------------------------------------------------- */

static int cancel_all(lua_State *L)
{
  qnl_state_t *G = lua_touserdata(L, 1);
  qnl_push_cancelled(L, 0);
  /* parents come before their children in the list, so one pass reaches everybody */
  for (qn_list_t *node = G->tasks.next, *next; node != &G->tasks; node = next) {
    next = node->next;
    qnl_task_t *t = TASK_OF(node, all);
    if (!t->is_handler) { /* whoever reports a failure may finish */
      qnl_task_stop(L, t, -1);
    }
  }
  return 0;
}

static void cancel_everything(qnl_state_t *G)
{
  lua_pushcfunction(G->L, cancel_all);
  lua_pushlightuserdata(G->L, G);
  if (lua_pcall(G->L, 1, 0, 0) != LUA_OK) {
    lua_pop(G->L, 1);
  }
}

/* The coroutine of a task that does not end: its pending <close> variables run without being able to
 * wait, then it is gone. */
static void close_task(qnl_state_t *G, qnl_task_t *t)
{
  qn_op_forget(&t->op);
  qnl_abandon(t);
  t->co.in_wait = false;
  t->status = QNL_TASK_CANCELLED;
  t->own.draining = false;
  if (t->started) {
    qnl_co_close_inner(G->L, t, &t->co);
    qnl_close_thread(t->co.L, G->L);
  }
  lua_settop(t->co.L, 0);
  t->nargs = 0;
}

void qnl_shutdown(qnl_state_t *G, uint64_t grace_ms)
{
  uint64_t end = qn_loop_fresh(G->loop) + grace_ms;
  int spins = 0;
  G->stopping = true;
  cancel_everything(G);
  qn_timer_start(G->loop, &G->grace_timer, end, G->grace_timer.fire);
  while (G->n_tasks > 0 && qn_loop_fresh(G->loop) < end) {
    int64_t before = G->n_tasks;
    bool alive = qn_loop_turn(G->loop, QN_TURN_ONCE);
    cancel_everything(G); /* those that were spawned meanwhile */
    if (!alive && G->n_tasks == before && ++spins > 3) {
      break;
    }
  }
  /* what was written is still sent */
  qn_streams_close(G->loop);
  while (qn_loop_fresh(G->loop) < end && qn_streams_closing(G->loop)) {
    if (!qn_loop_turn(G->loop, QN_TURN_ONCE)) {
      break;
    }
  }
  qn_streams_abort(G->loop);
  qn_timer_stop(G->loop, &G->grace_timer);
  qnl_flush_unhandled(G);
  while (G->tasks.next != &G->tasks) {
    qnl_task_t *t = TASK_OF(G->tasks.next, all);
    qn_list_t *node = &t->all;
    close_task(G, t);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
    G->n_tasks--;
  }
}

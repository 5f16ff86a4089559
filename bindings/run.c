/* run.c: turning the loop on behalf of Lua: until a task has ended, and the orderly end of
 * everything.
 *
 * Used by qn.run, by the program and by C hosts. Must not be called from inside a task. Invariant:
 * after qnl_stop no task is alive and no stream holds bytes that it would still send.
 */
#include "sched.h"

#include <limits.h>
#include <poll.h>

#define TASK_OF(node, member) ((qnl_task_t *)(void *)((char *)(node)-offsetof(qnl_task_t, member)))

static int push_deadlock(lua_State *L)
{
  qnl_task_t *t = lua_touserdata(L, 1);
  qnl_push_error(L, &(qnl_errinfo_t){.code = QN_E_DEADLOCK, .op = t->wait.op});
  qnl_task_stop(L, t, -1);
  return 0;
}

/* A script may catch a deadlock and go on; one that only ever waits again is ended. */
enum { DEADLOCKS_MAX = 1000 };

void qnl_run_until(qnl_state_t *G, qnl_task_t *t)
{
  qnl_task_t *outer = G->until;
  int deadlocks = 0;
  G->until = t;
  while (!qnl_task_ended(t) && !G->exiting) {
    if (!qn_loop_turn(G->loop, QN_TURN_ONCE) && !qnl_task_ended(t) && !G->exiting) {
      if (deadlocks++ == DEADLOCKS_MAX) {
        break;
      }
      lua_pushcfunction(G->L, push_deadlock);
      lua_pushlightuserdata(G->L, t);
      if (lua_pcall(G->L, 1, 0, 0) != LUA_OK) {
        lua_pop(G->L, 1);
        break;
      }
    }
  }
  G->until = outer;
}

/* --- the end --------------------------------------------------------------------------------- */

bool qnl_step(qnl_state_t *G, uint64_t until)
{
  int ms = qn_loop_timeout(G->loop);
  if (!qn_loop_alive(G->loop)) {
    return false;
  }
  uint64_t now = qn_loop_fresh(G->loop), left = until > now ? until - now : 0;
  if (ms != 0 && left != 0) {
    struct pollfd p = {.fd = qn_loop_fd(G->loop), .events = POLLIN};
    if (ms < 0 || (uint64_t)ms > left) {
      ms = left > INT_MAX ? INT_MAX : (int)left;
    }
    poll(&p, 1, ms);
  }
  return qn_loop_turn(G->loop, QN_TURN_NOWAIT);
}

/* Handlers of unhandled errors may finish: they are not what is being stopped. */
static int cancel_all(lua_State *L)
{
  qnl_state_t *G = lua_touserdata(L, 1);
  qnl_push_cancelled(L, 0);
  /* parents come before their children in the list, so one pass reaches everybody */
  for (qn_list_t *node = G->tasks.next, *next; node != &G->tasks; node = next) {
    next = node->next;
    qnl_task_t *t = TASK_OF(node, all);
    if (!t->is_handler) {
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

/* A signal during the end is impatience. */
static bool patient(qnl_state_t *G)
{
  if (G->interrupt == QNL_INT_PENDING) {
    G->interrupted_main = true;
    return false;
  }
  return qn_loop_fresh(G->loop) < G->grace_end;
}

/* Errors that wait for their report get it. */
static void finish_reports(qnl_state_t *G)
{
  while ((G->n_handlers > 0 || qn_ready_queued(&G->unhandled_ready)) && patient(G)) {
    if (!qnl_step(G, G->grace_end)) {
      return;
    }
  }
}

/* What was written is still sent. */
static void finish_streams(qnl_state_t *G)
{
  qn_streams_close(G->loop);
  if (!G->own_loop) { /* there, only a turn tells the kernel of new watchers (see qn_loop_timeout)
                       */
    qn_loop_turn(G->loop, QN_TURN_NOWAIT);
  }
  while (qn_streams_closing(G->loop) && patient(G)) {
    if (!qnl_step(G, G->grace_end)) {
      break;
    }
  }
  qn_streams_abort(G->loop);
}

/* A coroutine that is closed from outside can wait in its <close> variables all the same: nobody
 * turns the loop now, so it does that itself, as the main thread of a stock interpreter would. */
static void close_task(qnl_state_t *G, qnl_task_t *t)
{
  G->blocker->cancel_at = G->grace_end;
  G->closing_task = t;
  qnl_task_close(t);
  G->closing_task = NULL;
  G->blocker->cancel_at = QNL_NEVER;
}

/* Those that have called exit do not go on. */
static bool close_parked(qnl_state_t *G)
{
  for (qn_list_t *node = G->tasks.next; node != &G->tasks; node = node->next) {
    if (qnl_is_parked(TASK_OF(node, all))) {
      close_task(G, TASK_OF(node, all));
      return true;
    }
  }
  return false;
}

static void finish_tasks(qnl_state_t *G)
{
  int idle = 0;
  cancel_everything(G);
  while (G->n_tasks > 0 && patient(G)) {
    int64_t before = G->n_tasks;
    while (close_parked(G)) {
    }
    bool alive = qnl_step(G, G->grace_end);
    cancel_everything(G); /* those that were spawned meanwhile */
    idle = !alive && G->n_tasks == before ? idle + 1 : 0;
    if (idle > 3) {
      break;
    }
  }
}

/* What does not end by itself. The last born go first: parents wait for their children. */
static void close_tasks(qnl_state_t *G)
{
  for (int64_t n = G->n_tasks; n > 0 && G->tasks.prev != &G->tasks; n--) {
    close_task(G, TASK_OF(G->tasks.prev, all));
  }
  qnl_step(G, 0); /* parents whose last child has ended */
}

void qnl_stop(qnl_state_t *G, uint64_t grace_ms)
{
  if (G->stopping || G->loop == NULL) {
    return;
  }
  G->grace_end = qn_loop_fresh(G->loop) + grace_ms;
  finish_reports(G);
  G->stopping = true;
  finish_tasks(G);
  finish_reports(G);
  qnl_flush_unhandled(G);
  close_tasks(G);
  finish_streams(G);
}

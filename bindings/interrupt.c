/* interrupt.c: SIGINT becomes a cancellation: of task 0, or of the line that a REPL runs.
 *
 * The signal handler only sets a flag, a hook on the coroutine that runs, and wakes the loop.
 * Whoever comes first, the hook or the loop, delivers it on the loop's thread. Invariant: the
 * handler's part is async-signal-safe, and between two deliveries at most one signal is taken.
 */
#include "sched.h"

#include <errno.h>

/* --- delivery -------------------------------------------------------------------------------- */

/* Ends the waits beneath the scope as if its deadline had come, with a cancellation as the value.
 */
static void stop_line(lua_State *L, qnl_state_t *G)
{
  qnl_scope_t *s = G->line;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &qnl_key_traces);
  lua_pushliteral(L, "interrupted");
  qnl_push_cancelled(L, -1);
  lua_rawsetp(L, -3, s);
  lua_pop(L, 2);
  s->at = qn_loop_fresh(G->loop);
  if (s->co->task != NULL) {
    qnl_reconsider(s->co->task);
  }
}

/* Every task that no other one owns. */
static void stop_roots(lua_State *L, qnl_state_t *G)
{
  for (qn_list_t *node = G->root.children.next, *next; node != &G->root.children; node = next) {
    next = node->next;
    qnl_task_cancel(L, (qnl_task_t *)(void *)((char *)node - offsetof(qnl_task_t, sibling)), -1);
  }
}

static void deliver(lua_State *L, qnl_state_t *G)
{
  G->interrupt = QNL_INT_DELIVERED;
  if (G->line != NULL && G->line->co != NULL) {
    stop_line(L, G);
    return;
  }
  G->interrupted_main = true;
  lua_pushliteral(L, "interrupted");
  if (G->main_task != NULL && !qnl_task_ended(G->main_task)) {
    qnl_task_cancel(L, G->main_task, -1);
  } else {
    stop_roots(L, G);
  }
  lua_pop(L, 1);
}

/* --- while Lua runs -------------------------------------------------------------------------- */

/* Is the task, or one that waits for it, what the interrupt was meant for? */
static bool is_reached(const qnl_state_t *G, const qnl_task_t *t)
{
  return t->cancel_at != QNL_NEVER ||
         (G->line != NULL && G->line->co != NULL && G->line->co->task == t);
}

static void interrupt_hook(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  qnl_state_t *G = qnl_state_of(L);
  if (G == NULL || G->interrupt != QNL_INT_PENDING ||
      G->stopping) { /* the end sees it: no more patience */
    return;
  }
  deliver(L, G);
  qnl_task_t *t = qnl_running_task(G);
  if (t == NULL || G->running->L != L) { /* code that the scheduler knows nothing of */
    lua_pushliteral(L, "interrupted");
    qnl_push_cancelled(L, -1);
    lua_error(L);
    return;
  }
  if (!is_reached(
          G, t)) { /* a task beside it that does not let go: it is what keeps the program busy */
    lua_pushliteral(L, "interrupted");
    qnl_task_cancel(L, t, -1);
    lua_pop(L, 1);
  }
  qnl_check_stop(L, t);
}

void qnl_interrupt_arm(qnl_co_t *co)
{
  lua_sethook(co->L, interrupt_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

bool qnl_interrupt(qnl_state_t *G)
{
  if (G->interrupt != QNL_INT_NONE) {
    return false;
  }
  int saved = errno;
  G->interrupt = QNL_INT_PENDING;
  qnl_co_t *co = G->running;
  if (co != NULL) {
    qnl_interrupt_arm(co);
  }
  qn_loop_wakeup(G->loop);
  errno = saved;
  return true;
}

/* --- while nothing runs ---------------------------------------------------------------------- */

static int deliver_protected(lua_State *L)
{
  deliver(L, lua_touserdata(L, 1));
  return 0;
}

static void run_interrupt(qn_ready_t *r)
{
  qnl_state_t *G = (qnl_state_t *)(void *)((char *)r - offsetof(qnl_state_t, interrupt_ready));
  if (G->interrupt == QNL_INT_PENDING && !G->stopping) {
    lua_pushcfunction(G->L, deliver_protected);
    lua_pushlightuserdata(G->L, G);
    if (lua_pcall(G->L, 1, 0, 0) != LUA_OK) {
      lua_pop(G->L, 1);
    }
  }
}

/* core.line(scope): from now on an interrupt ends this deadline scope instead of task 0.
 * core.line(): no more; the next interrupt is taken again. The scope must be closed after that. */
static int core_line(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  G->line = lua_isnoneornil(L, 1) ? NULL : qnl_check(L, 1, &qnl_class_scope);
  G->interrupt = QNL_INT_NONE;
  return 0;
}

void qnl_open_interrupt(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {{"line", core_line, 0}, {NULL, NULL, 0}};
  qn_ready_init(&G->interrupt_ready, run_interrupt);
  qn_loop_on_wakeup(G->loop, &G->interrupt_ready);
  qnl_setfuncs(L, G, functions);
}

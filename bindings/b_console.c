/* b_console.c: standard input for a REPL: waiting for it does not stop the loop.
 *
 * A thread of the pool polls the descriptor (which may be a terminal, a pipe or a file: epoll does
 * not take all of them, and its flags are shared with other processes, so they are not changed);
 * the bytes are read on the loop's thread, one by one up to the end of a line, so that what follows
 * is left to io.read. Invariant: a wait that ends early wakes its thread, so no call is left behind
 * in the pool.
 */
#include "qn/work.h"

#include "sched.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct poll_call {
  qn_work_t work; /* first */
  int wake;       /* readable: give up */
  bool wanted;    /* the task still waits, and will let go */
  bool back;      /* the thread has returned */
} poll_call_t;

static int64_t run_poll(qn_work_t *w)
{
  struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                        {.fd = ((poll_call_t *)w)->wake, .events = POLLIN}};
  while (poll(p, 2, -1) < 0) {
    if (errno != EINTR) {
      return -errno;
    }
  }
  return 0;
}

/* Both the thread and the task must be done with it. */
static void end_call(poll_call_t *c)
{
  if (c->back && !c->wanted) {
    close(c->wake);
    qn_free(c);
  }
}

static void free_poll(qn_work_t *w)
{
  poll_call_t *c = (poll_call_t *)w;
  c->back = true;
  end_call(c);
}

/* --- waiting --------------------------------------------------------------------------------- */

/* The wait ends without its result: the thread is told. */
static void abandon(qnl_task_t *t)
{
  poll_call_t *c = t->wait.obj;
  if (c != NULL) {
    t->wait.obj = NULL;
    eventfd_write(c->wake, 1);
    qn_work_end(t->op.owner); /* when it had settled already */
    t->op.owner = NULL;
    c->wanted = false;
    end_call(c);
  }
}

/* Pushes the bytes up to the end of the line, as far as they are there now; nil at the end of
 * input. */
static int push_input(lua_State *L, qnl_task_t *t, int64_t result)
{
  luaL_Buffer b;
  char c;
  if (t != NULL) {
    abandon(t);
  }
  if (result < 0) {
    return qnl_fail(L, (int)result, "read");
  }
  luaL_buffinit(L, &b);
  for (size_t n = 0;; n++) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    if (n > 0 && poll(&p, 1, 0) <= 0) {
      break; /* the line goes on later */
    }
    ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0 && n == 0 && errno != EAGAIN) {
      return qnl_fail(L, -errno, "read");
    }
    if (got <= 0) {
      if (n == 0 && got == 0) {
        lua_pushnil(L);
        return 1;
      }
      break;
    }
    luaL_addchar(&b, c);
    if (c == '\n') {
      break;
    }
  }
  luaL_pushresult(&b);
  return 1;
}

static int wait_for_input(lua_State *L, qnl_task_t *t)
{
  poll_call_t *c = qn_calloc(1, sizeof *c);
  if (c == NULL) {
    return luaL_error(L, "out of memory");
  }
  c->work = (qn_work_t){.run = run_poll, .free = free_poll};
  c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int rc = c->wake < 0 ? -errno : qn_work_start(t->G->loop, &c->work, &t->op);
  if (rc < 0) {
    if (c->wake >= 0) {
      close(c->wake);
    }
    qn_free(c);
    return qnl_fail(L, rc, "read");
  }
  c->wanted = true;
  t->wait.obj = c;
  t->wait.abandon = abandon;
  return qnl_wait(L, t, push_input);
}

/* core.read_input() ! -> part of a line, or all of it with its end | nil at the end of input | nil,
 * err */
static int core_read_input(lua_State *L)
{
  qnl_state_t *G = qnl_G(L);
  QNL_ENTER(L, G, t, core_read_input, "read");
  return wait_for_input(L, t);
}

/* core.is_terminal() -> whether standard input is one */
static int core_is_terminal(lua_State *L)
{
  lua_pushboolean(L, isatty(STDIN_FILENO));
  return 1;
}

void qnl_open_console(lua_State *L, qnl_state_t *G)
{
  static const qnl_method_t functions[] = {
      {"read_input", core_read_input, 0}, {"is_terminal", core_is_terminal, 0}, {NULL, NULL, 0}};
  qnl_setfuncs(L, G, functions);
}

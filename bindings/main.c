/* main.c: the program qnlua: a runtime, the signals that end it, and lua/qn/cli.lua as task 0.
 *
 * Exit status: 0, 1 after an error, 2 for wrong usage, 130 when interrupted. The first SIGINT cancels
 * task 0 (its <close> handlers run), the second one kills.
 */
#include "qn/lua.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static qn_runtime_t *runtime;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signum)
{
  signal(signum, SIG_DFL);
  interrupted = 1;
  qn_runtime_interrupt(runtime);
}

static void watch_interrupt(void)
{
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

/* Standard output may be a pipe whose reader has gone: say so instead of losing output silently. */
static int flush_output(int status)
{
  if (fflush(stdout) != 0 && status == 0) {
    perror("qnlua: standard output");
    return 1;
  }
  return status;
}

static int run(int argc, char **argv)
{
  lua_State *L = qn_runtime_state(runtime);
  int status;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "qn.cli");
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    fprintf(stderr, "qnlua: %s\n", lua_tostring(L, -1));
    return 1;
  }
  lua_getfield(L, -1, "main");
  lua_createtable(L, argc, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  if (qn_runtime_call(runtime, 1, 1) == LUA_OK) {
    status = lua_type(L, -1) == LUA_TNUMBER ? (int)lua_tointeger(L, -1) : 0;
  } else if (interrupted) {
    status = 130;
  } else if (qn_runtime_exiting(runtime, &status)) {
    return status;
  } else {
    fprintf(stderr, "qnlua: %s\n", luaL_tolstring(L, -1, NULL));
    status = 1;
  }
  if (interrupted) {
    return 130;
  }
  if (qn_runtime_exiting(runtime, &status)) {
    return status;
  }
  return status == 0 && qn_runtime_failed(runtime) ? 1 : status;
}

int main(int argc, char **argv)
{
  runtime = qn_runtime_new(NULL);
  if (runtime == NULL) {
    fputs("qnlua: out of memory\n", stderr);
    return 1;
  }
  watch_interrupt();
  int status = flush_output(run(argc, argv));
  bool told = qn_runtime_exiting(runtime, NULL); /* qn.exit decides, whatever happens behind it */
  if (!qn_runtime_shutdown(runtime, 5) && !told && status == 0) {
    status = 1;
  }
  return flush_output(status);
}

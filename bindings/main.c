/* main.c: the program qnlua: a runtime, the signal that ends it, and lua/qn/cli.lua as task 0.
 *
 * Exit status: 0, 1 after an error, 2 for wrong usage, 130 when interrupted, or what the script
 * said. The first SIGINT cancels task 0 (its <close> variables run), the second one kills. Must not
 * decide anything that a script could see: that is cli.lua's.
 */
#include "qn/lua.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_SECONDS 5.0 /* clean-up and unsent bytes are waited for so long at the end */

static qn_runtime_t *volatile runtime;

/* Async-signal-safe. Threads of the pool hand the signal on: the runtime belongs to the main
 * thread. */
static void on_interrupt(int signum)
{
  int saved = errno;
  if (gettid() != getpid()) {
    tgkill(getpid(), getpid(), signum);
  } else if (runtime == NULL || !qn_runtime_interrupt(runtime)) {
    signal(signum, SIG_DFL);
    raise(signum);
  }
  errno = saved;
}

static void watch_interrupt(void)
{
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler =
      on_interrupt; /* without SA_RESTART: a blocking read of the script ends, too */
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

/* A descriptor that was closed before the program began would be given to the next thing that is
 * opened: a print would go into a socket. Reading gives the end, writing an error. */
static void hold_standard_descriptors(void)
{
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd) {
      break;
    }
  }
}

/* Standard output may be a pipe whose reader has gone: say so instead of losing output silently. */
static int flush_output(int status)
{
  if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
    fprintf(stderr, "qnlua: standard output: %s\n", strerror(errno));
    return 1;
  }
  return status;
}

/* --- errors ---------------------------------------------------------------------------------- */

/* Protected: any error value -> text, as the stock interpreter would say it. */
static int error_text(lua_State *L)
{
  if (lua_tostring(L, 1) == NULL &&
      (!luaL_callmeta(L, 1, "__tostring") || lua_type(L, -1) != LUA_TSTRING)) {
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  return 1;
}

/* How much of it to show: not the frames of cli.lua, which are beneath those of the script, nor the
 * C function by which it calls. 0 when there is nothing else. */
static int script_trace(const char *trace)
{
  const char *end = strstr(trace, "\n\tqn/cli.lua:"), *first = strchr(trace, '\n');
  if (end == NULL) {
    end = trace + strlen(trace);
  }
  const char *line = end;
  while (line > trace && *--line != '\n') {
  }
  if (strncmp(line, "\n\t[C]: ", 7) == 0) {
    end = line;
  }
  return end <= first ? 0 : (int)(end - trace);
}

static void report(lua_State *L)
{
  const char *trace = qn_runtime_traceback(runtime);
  lua_pushcfunction(L, error_text);
  lua_insert(L, -2);
  const char *text = lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_tostring(L, -1) : NULL;
  fprintf(stderr, "qnlua: %s\n", text != NULL ? text : "an error that cannot be shown");
  if (trace != NULL && script_trace(trace) > 0) {
    fprintf(stderr, "%.*s\n\t[C]: in ?\n", script_trace(trace), trace);
  }
  fflush(stderr);
}

/* --- running --------------------------------------------------------------------------------- */

/* -E counts before Lua's libraries look at the environment, so before cli.lua reads the options. */
static bool ignores_environment(char **argv)
{
  for (int i = 1; argv[i] != NULL && argv[i][0] == '-'; i++) {
    const char *arg = argv[i];
    if (strcmp(arg, "-E") == 0) {
      return true;
    }
    if (strcmp(arg, "-") == 0 || strcmp(arg, "--") == 0) {
      return false;
    }
    if ((strcmp(arg, "-e") == 0 || strcmp(arg, "-l") == 0) && argv[++i] == NULL) {
      return false;
    }
  }
  return false;
}

/* Protected: light userdata argv -> cli.main, args. */
static int prepare(lua_State *L)
{
  char **argv = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "qn.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_newtable(L);
  for (int i = 0; argv[i] != NULL; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  return 2;
}

/* 0, 1, 2: what task 0 came to. */
static int run(char **argv)
{
  lua_State *L = qn_runtime_state(runtime);
  lua_pushcfunction(L, prepare);
  lua_pushlightuserdata(L, argv);
  int rc = lua_pcall(L, 1, 2, 0);
  if (rc == LUA_OK) {
    rc = qn_runtime_call(runtime, 1, 1);
  }
  if (rc == LUA_OK) {
    return (int)lua_tointeger(L, -1);
  }
  if (qn_runtime_interrupted(runtime)) {
    fputs("qnlua: interrupted\n", stderr);
  } else if (!qn_runtime_exiting(runtime, NULL)) {
    report(L);
  }
  return 1;
}

/* An exit counts most, then an interrupt, then errors. */
static int final_status(int status)
{
  if (qn_runtime_exiting(runtime, &status)) {
    return status;
  }
  if (qn_runtime_interrupted(runtime)) {
    return 130;
  }
  return status == 0 && qn_runtime_failed(runtime) ? 1 : status;
}

int main(int argc, char **argv)
{
  (void)argc;
  hold_standard_descriptors();
  watch_interrupt();
  qn_runtime_t *rt = qn_runtime_new(&(qn_runtime_opts_t){.ignore_env = ignores_environment(argv)});
  if (rt == NULL) {
    return 1;
  }
  runtime = rt;
  int status = run(argv);
  qn_runtime_stop(rt, GRACE_SECONDS);
  status = final_status(status);
  runtime = NULL;
  bool whole = qn_runtime_shutdown(rt, 0);
  status = flush_output(status);
  if (!whole) { /* a thread of the pool still runs; exit would wait for it */
    fflush(NULL);
    _exit(status);
  }
  return status;
}

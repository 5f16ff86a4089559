/*
 * host_loop: Lua tasks inside the loop of a C program, which stays the master.
 *
 * Shows both ways. With poll(2): the runtime's descriptor is one among those of the host, its
 * timeout bounds the wait, a step runs what is ready; a timer of the host runs beside. With libuv:
 * the runtime hangs on the host's own uv_loop_t, beside a uv_timer_t.
 *
 *   host_loop [poll | uv]     default: both
 *
 *     poll: host ticks 3, Lua echoed "hello"
 *     uv: host ticks 3, Lua echoed "hello"
 */
#include <qn/lua.h>

#include <lauxlib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum { TICKS = 3, TICK_MS = 5 };

/* A server and a client in two tasks; what came back is left in a global. */
static const char script[] =
    "local server <close> = assert(qn.tcp.listen('127.0.0.1', 0))\n"
    "qn.spawn(function()\n"
    "  local peer <close> = assert(server:accept())\n"
    "  peer:write(assert(peer:read('L')))\n"
    "end)\n"
    "local socket <close> = assert(qn.tcp.connect('127.0.0.1', server:port()))\n"
    "socket:write('hello\\n')\n"
    "qn.sleep(0.01)\n"
    "echoed = assert(socket:read('l'))\n";

static int start(qn_runtime_t *rt)
{
  lua_State *L = qn_runtime_state(rt);
  if (luaL_loadstring(L, script) != LUA_OK || qn_runtime_spawn(rt, 0) != LUA_OK) {
    fprintf(stderr, "host_loop: %s\n", lua_tostring(L, -1));
    return -1;
  }
  return 0;
}

static int finish(qn_runtime_t *rt, const char *how, int ticks)
{
  lua_State *L = qn_runtime_state(rt);
  bool failed = qn_runtime_failed(rt);
  lua_getglobal(L, "echoed");
  printf("%s: host ticks %d, Lua echoed \"%s\"\n", how, ticks, failed ? "" : lua_tostring(L, -1));
  fflush(stdout);
  qn_runtime_shutdown(rt, 5);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* --- poll(2) --------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int with_poll(void)
{
  qn_runtime_t *rt = qn_runtime_new(NULL);
  if (rt == NULL || start(rt) < 0) {
    return EXIT_FAILURE;
  }
  int ticks = 0;
  int64_t next_tick = now_ms() + TICK_MS;
  for (bool alive = true; alive || ticks < TICKS;) {
    struct pollfd fds[1] = {{.fd = qn_runtime_fd(rt), .events = POLLIN}};
    int wait = qn_runtime_timeout(rt); /* before each wait: -1 = nothing to wait for but the fd */
    if (ticks < TICKS) {
      int64_t left = next_tick - now_ms();
      left = left > 0 ? left : 0;
      wait = wait < 0 || left < wait ? (int)left : wait;
    }
    poll(fds, 1, wait);
    alive = qn_runtime_step(rt);
    if (ticks < TICKS && now_ms() >= next_tick) {
      ticks++;
      next_tick += TICK_MS;
    }
  }
  return finish(rt, "poll", ticks);
}

/* --- libuv ----------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
  int *ticks = timer->data;
  if (++*ticks == TICKS) {
    uv_close((uv_handle_t *)timer, NULL);
  }
}

static int with_uv(void)
{
  int ticks = 0;
  uv_loop_t loop;
  uv_timer_t timer;
  uv_loop_init(&loop);
  qn_runtime_t *rt = qn_runtime_new(&(qn_runtime_opts_t){.uv = &loop});
  if (rt == NULL || start(rt) < 0) {
    return EXIT_FAILURE;
  }
  uv_timer_init(&loop, &timer);
  timer.data = &ticks;
  uv_timer_start(&timer, on_tick, TICK_MS, TICK_MS);
  uv_run(&loop, UV_RUN_DEFAULT); /* until the timer is closed and no task is alive */
  int status = finish(rt, "uv", ticks);
  return uv_loop_close(&loop) == 0 ? status : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
  const char *how = argc > 1 ? argv[1] : "";
  if (strcmp(how, "uv") != 0 && with_poll() != EXIT_SUCCESS) {
    return EXIT_FAILURE;
  }
  return strcmp(how, "poll") != 0 ? with_uv() : EXIT_SUCCESS;
}

/* embed.c, state.c: runtimes in C programs: own and given states and loops, every order of ending.
 * covers: bindings/state.c
 */
#include "test.h"

#include <qn/lua.h>

#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

static qn_runtime_t *rt_new(const qn_runtime_opts_t *opts)
{
  qn_runtime_t *rt = qn_runtime_new(opts);
  REQUIRE(rt != NULL);
  return rt;
}

/* Runs code that must succeed. */
static void run(qn_runtime_t *rt, const char *code)
{
  if (qn_runtime_dostring(rt, code) != LUA_OK) {
    lua_State *L = qn_runtime_state(rt);
    FAIL("%s", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
  }
}

/* The same with plain Lua, on a host's state. */
static void plain(lua_State *L, const char *code)
{
  if (luaL_dostring(L, code) != LUA_OK) {
    FAIL("%s", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
  }
}

static const char *global(lua_State *L, const char *name)
{
  static char text[256];
  lua_getglobal(L, name);
  snprintf(text, sizeof text, "%s", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 2);
  return text;
}

static void start(qn_runtime_t *rt, const char *code)
{
  lua_State *L = qn_runtime_state(rt);
  REQUIRE_INT(luaL_loadstring(L, code), LUA_OK);
  REQUIRE_INT(qn_runtime_spawn(rt, 0), LUA_OK);
}

/* Leaves tasks that wait and handles that are open. */
static const char *const busy =
    "server = assert(qn.tcp.listen('127.0.0.1', 0))\n"
    "client = assert(qn.tcp.connect('127.0.0.1', server:port()))\n"
    "pair = { qn.pair() }\n"
    "watch = qn.signal('usr1')\n"
    "buffer = qn.buffer('bytes')\n"
    "client:on('ready_read', function() end)\n"
    "qn.detach(function() server:accept() server:accept() end)\n"
    "qn.detach(function() qn.sleep(60) end)\n"
    "qn.detach(function() qn.group(function(g) g:spawn(qn.sleep, 60) end) end)\n"
    "qn.detach(function() local _ <close> = setmetatable({}, { __close = function() closed = 'yes' end })\n"
    "  pair[1]:read(1) end)\n"
    "qn.sleep(0)\n";

/* --- own state, own loop ---------------------------------------------------------------------- */

TEST(code_runs_in_a_task_and_may_wait)
{
  int64_t live = qn_alloc_live();
  qn_runtime_t *rt = rt_new(NULL);
  lua_State *L = qn_runtime_state(rt);
  int top = lua_gettop(L);
  run(rt, "qn.sleep(0.001) qn.spawn(function() qn.sleep(0.001) x = 5 end)");
  CHECK_STR(global(L, "x"), "5"); /* children have ended, too */
  run(rt,
      "function add(...) qn.sleep(0) local s = 0 for _, v in ipairs{...} do s = s + v end return s, 'b' end");
  lua_getglobal(L, "add");
  lua_pushinteger(L, 2);
  lua_pushinteger(L, 3);
  REQUIRE_INT(qn_runtime_call(rt, 2, LUA_MULTRET), LUA_OK);
  CHECK_INT(lua_gettop(L), top + 2);
  CHECK_INT(lua_tointeger(L, -2), 5);
  CHECK_STR(lua_tostring(L, -1), "b");
  lua_settop(L, top);
  lua_getglobal(L, "add");
  REQUIRE_INT(qn_runtime_call(rt, 0, 3), LUA_OK);
  CHECK_INT(lua_gettop(L), top + 3);
  CHECK(lua_isnil(L, -1));
  lua_settop(L, top);
  CHECK(qn_runtime_shutdown(rt, 20));
  CHECK_INT(qn_alloc_live(), live);
}

TEST(errors_come_back_with_their_value_and_traceback)
{
  qn_runtime_t *rt = rt_new(NULL);
  lua_State *L = qn_runtime_state(rt);
  int top = lua_gettop(L);
  CHECK_INT(qn_runtime_dostring(rt, "local function f() qn.sleep(0) error('boom') end f()"),
            LUA_ERRRUN);
  CHECK(strstr(lua_tostring(L, -1), "boom") != NULL && strchr(lua_tostring(L, -1), '\n') == NULL);
  const char *trace = qn_runtime_traceback(rt);
  REQUIRE(trace != NULL);
  CHECK(strstr(trace, "stack traceback:") == trace && strstr(trace, "in local 'f'") != NULL);
  lua_settop(L, top);
  CHECK_INT(qn_runtime_dostring(rt, "error({ code = 7 })"), LUA_ERRRUN);
  CHECK(lua_istable(L, -1)); /* the very value */
  lua_settop(L, top);
  CHECK(qn_runtime_traceback(rt) != NULL);
  CHECK_INT(qn_runtime_dostring(rt, "x x"), LUA_ERRSYNTAX);
  CHECK_NULL(qn_runtime_traceback(rt)); /* not that of the call before */
  lua_settop(L, top);
  CHECK_INT(qn_runtime_dostring(rt, "error('again')"), LUA_ERRRUN);
  lua_settop(L, top);
  CHECK(qn_runtime_dofile(rt, "/nowhere/at/all.lua") != LUA_OK);
  CHECK_NULL(qn_runtime_traceback(rt));
  lua_settop(L, top);
  CHECK_INT(qn_runtime_dostring(rt, "qn.event():wait()"), LUA_ERRRUN); /* nothing can wake it */
  CHECK(strstr(luaL_tolstring(L, -1, NULL), "DEADLOCK") != NULL);
  lua_settop(L, top);
  run(rt, "return 1");
  CHECK_NULL(qn_runtime_traceback(rt));
  CHECK(!qn_runtime_failed(rt)); /* none of them went unhandled */
  CHECK(qn_runtime_shutdown(rt, 20));
}

static int call_inside(lua_State *L)
{
  qn_runtime_t *rt = lua_touserdata(L, lua_upvalueindex(1));
  lua_State *main_L = qn_runtime_state(rt);
  lua_pushcfunction(main_L, call_inside);
  lua_pushinteger(L, qn_runtime_call(rt, 0, 0));
  lua_pushstring(L, lua_tostring(main_L, -1));
  lua_pop(main_L, 1);
  return 2;
}

TEST(a_call_inside_a_task_is_refused)
{
  qn_runtime_t *rt = rt_new(NULL);
  lua_State *L = qn_runtime_state(rt);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, call_inside, 1);
  lua_setglobal(L, "inside");
  run(rt, "local status, why = inside() assert(status == 2 and why:find 'inside a task')");
  CHECK(qn_runtime_shutdown(rt, 20));
}

TEST(everything_is_freed_whatever_is_open)
{
  int64_t live = qn_alloc_live();
  for (int i = 0; i < 2; i++) { /* one after the other */
    qn_runtime_t *rt = rt_new(NULL);
    run(rt, busy);
    CHECK(qn_runtime_shutdown(rt, 20));
    CHECK_INT(qn_alloc_live(), live);
  }
  qn_runtime_t *a = rt_new(NULL), *b = rt_new(NULL); /* two at once know nothing of each other */
  run(a, busy);
  run(b, busy);
  run(a, "x = 'a'");
  CHECK_STR(global(qn_runtime_state(b), "x"), "nil");
  CHECK(qn_runtime_shutdown(a, 20));
  run(b, "qn.sleep(0.001)");
  CHECK(qn_runtime_shutdown(b, 20));
  CHECK_INT(qn_alloc_live(), live);
}

TEST(stop_ends_tasks_and_leaves_the_state)
{
  qn_runtime_t *rt = rt_new(NULL);
  lua_State *L = qn_runtime_state(rt);
  run(rt, busy);
  qn_runtime_stop(rt, 1);
  qn_runtime_stop(rt, 1);
  CHECK_STR(global(L, "closed"), "yes");
  int top = lua_gettop(L);
  CHECK(qn_runtime_dostring(rt, "x = 1") != LUA_OK);
  CHECK(strstr(lua_tostring(L, -1), "stopped") != NULL);
  lua_settop(L, top);
  lua_pushcfunction(L, luaopen_base);
  CHECK(qn_runtime_spawn(rt, 0) != LUA_OK);
  lua_settop(L, top);
  CHECK(qn_runtime_shutdown(rt, 20));
}

TEST(globals_of_an_own_state_stay_when_asked)
{
  qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.keep_globals = true});
  run(rt, "assert(qn and os.exit ~= qn.exit) "
          "assert(coroutine.wrap ~= require 'qn.core'.coroutine.wrap)");
  CHECK(qn_runtime_shutdown(rt, 20));
  rt = rt_new(NULL);
  run(rt, "assert(os.exit == qn.exit) assert(coroutine.wrap == require 'qn.core'.coroutine.wrap)");
  CHECK(qn_runtime_shutdown(rt, 20));
}

/* --- exit, failures ----------------------------------------------------------------------------
 */

TEST(exit_ends_the_call_and_tells_the_status)
{
  static const char *const codes[] = {"os.exit(7)", "pcall(os.exit, 7) x = 'no'",
                                      "qn.spawn(function() os.exit(7) end) qn.sleep(60)",
                                      "coroutine.wrap(function() os.exit(7) end)()",
                                      "table.sort({ 2, 1 }, function() os.exit(7) end) x = 'no'"};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    TEST_ROUND("%s", codes[i]);
    qn_runtime_t *rt = rt_new(NULL);
    lua_State *L = qn_runtime_state(rt);
    int status = 5;
    CHECK(!qn_runtime_exiting(rt, NULL));
    CHECK(qn_runtime_dostring(rt, codes[i]) != LUA_OK);
    CHECK(qn_runtime_exiting(rt, &status));
    CHECK_INT(status, 7);
    CHECK(qn_runtime_dostring(rt, "x = 'no'") != LUA_OK); /* nothing runs any more */
    CHECK_STR(global(L, "x"), "nil");
    CHECK_INT(luaL_loadstring(L, "x = 'no'"), LUA_OK);
    CHECK_INT(qn_runtime_spawn(rt, 0), LUA_ERRRUN);
    qn_runtime_stop(rt, 20);
    CHECK_STR(global(L, "x"), "nil");
    CHECK(qn_runtime_shutdown(rt, 20));
  }
}

TEST(failures_of_tasks_are_told)
{
  qn_runtime_t *rt = rt_new(NULL);
  run(rt, "qn.on_unhandled(function(e) seen = e end) qn.detach(error, 'x') qn.sleep(0.001)");
  CHECK(!qn_runtime_failed(rt));
  CHECK_STR(global(qn_runtime_state(rt), "seen"), "x");
  CHECK(qn_runtime_shutdown(rt, 20));
}

/* --- interrupts --------------------------------------------------------------------------------
 */

static qn_runtime_t *signalled;
static volatile sig_atomic_t taken;

static void on_signal(int signum)
{
  (void)signum;
  taken += qn_runtime_interrupt(signalled);
}

static int raise_signal(lua_State *L)
{
  (void)L;
  raise(SIGUSR2);
  return 0;
}

TEST(an_interrupt_comes_from_a_signal_handler)
{
  static const char *const codes[] = {
      "signal() while true do end",
      "signal() qn.sleep(60)",
      "pcall(function() signal() qn.sleep(60) end) qn.sleep(60)",
      "coroutine.wrap(function() signal() while true do end end)()",
      "qn.spawn(function() signal() while true do end end) qn.sleep(60)",
      "qn.spawn(function() qn.sleep(0.001) signal() end) qn.event():wait() qn.sleep(60)"};
  signal(SIGUSR2, on_signal);
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    TEST_ROUND("%s", codes[i]);
    signalled = rt_new(NULL);
    taken = 0;
    lua_State *L = qn_runtime_state(signalled);
    lua_register(L, "signal", raise_signal);
    CHECK(!qn_runtime_interrupted(signalled));
    CHECK(qn_runtime_dostring(signalled, codes[i]) != LUA_OK);
    CHECK_STR(luaL_tolstring(L, -1, NULL), "cancelled: interrupted");
    CHECK(qn_runtime_interrupted(signalled));
    CHECK_INT(taken, 1);
    raise(SIGUSR2); /* the second one is for the host */
    CHECK_INT(taken, 1);
    CHECK(qn_runtime_shutdown(signalled, 20));
  }
  signal(SIGUSR2, SIG_DFL);
}

TEST(an_interrupt_reaches_tasks_that_a_host_drives)
{
  qn_runtime_t *rt = rt_new(NULL);
  start(rt, "qn.sleep(60)");
  start(rt, "qn.sleep(60)");
  CHECK(qn_runtime_step(rt));
  CHECK(qn_runtime_interrupt(rt));
  int turns = 0;
  while (qn_runtime_run(rt, QN_RUN_ONCE) && ++turns < 100) {
  }
  CHECK(turns < 100);
  CHECK(qn_runtime_shutdown(rt, 20));
}

/* --- a host's state ----------------------------------------------------------------------------
 */

static const char *const snapshot =
    "before = {} for k, v in pairs(_G) do before[k] = v end\n"
    "for _, l in ipairs{ 'coroutine', 'os', 'table', 'string' } do\n"
    "  for k, v in pairs(_G[l]) do before[l .. '.' .. k] = v end end\n"
    "n_searchers = #package.searchers\n"
    "function changes()\n"
    "  local list = {}\n"
    "  for k, v in pairs(_G) do if k ~= 'before' and before[k] ~= v and k ~= 'changes' and k ~= 'n_searchers'\n"
    "    then list[#list + 1] = k end end\n"
    "  for k, v in pairs(before) do local l, n = k:match '(.+)%.(.+)'\n"
    "    if l and _G[l][n] ~= v then list[#list + 1] = k end end\n"
    "  table.sort(list)\n"
    "  return table.concat(list, ' ')\n"
    "end\n";

static lua_State *host_state(void)
{
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  luaL_openlibs(L);
  plain(L, snapshot);
  return L;
}

TEST(a_host_state_keeps_its_globals)
{
  int64_t live = qn_alloc_live();
  lua_State *L = host_state();
  qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.L = L});
  CHECK_PTR(qn_runtime_state(rt), L);
  CHECK_INT(lua_gettop(L), 0);
  plain(
      L,
      "assert(changes() == '', changes()) local qn = require 'qn' assert(qn.tcp) assert(changes() == '')");
  run(rt, "local qn = require 'qn' qn.sleep(0.001) assert(changes() == '')");
  CHECK(qn_runtime_shutdown(rt, 20));
  plain(L, "assert(changes() == '') assert(#package.searchers == n_searchers)");
  plain(L, "assert(package.loaded.qn == nil and package.loaded['qn.core'] == nil)");
  lua_close(L);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(a_host_state_gets_its_globals_back)
{
  lua_State *L = host_state();
  qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.L = L, .install = true});
  plain(
      L,
      "local c = changes() assert(c:find 'coroutine.wrap' and c:find 'os.exit' and c:find 'require', c)");
  run(rt, "coroutine.wrap(function() require 'qn'.sleep(0.001) end)()");
  CHECK(qn_runtime_shutdown(rt, 20));
  plain(L, "assert(changes() == '', changes())");
  plain(
      L,
      "local co = coroutine.wrap(function() coroutine.yield(1) return 2 end) assert(co() == 1 and co() == 2)");
  lua_close(L);
}

TEST(handles_of_a_runtime_that_is_over_are_dead_and_harmless)
{
  int64_t live = qn_alloc_live();
  lua_State *L = host_state();
  qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.L = L});
  plain(L, "qn = require 'qn' sleep = qn.sleep");
  run(rt, busy);
  plain(L, "d = qn.deadline(60)");
  CHECK(qn_runtime_shutdown(rt, 20));
  CHECK_STR(global(L, "closed"), "yes");
  CHECK_INT(qn_alloc_live(), live); /* although Lua still has the objects */
  plain(L, "for _, c in ipairs{ { sleep, 1 }, { qn.spawn, print }, { qn.stats }, { qn.pair },\n"
           "  { qn.run, print }, { qn.exit }, { qn.deadline, 1 }, { qn.signal, 'usr1' },\n"
           "  { qn.tcp.listen, '127.0.0.1', 0 }, { qn.tcp.connect, '127.0.0.1', 1 } } do\n"
           "  local ok, e = pcall(table.unpack(c))\n"
           "  assert(not ok and tostring(e):find('qn has been shut down', 1, true), e)\n"
           "end\n"
           "for _, c in ipairs{ { server.port, server }, { client.read, client, 1 },\n"
           "  { client.write, client, 'x' }, { client.close, client }, { watch.wait, watch },\n"
           "  { pair[1].state, pair[1] } } do\n"
           "  assert(not pcall(table.unpack(c)))\n"
           "end\n"
           "do local s <close> = server end collectgarbage() collectgarbage()");
  lua_close(L);
}

TEST(a_host_state_can_have_one_runtime_after_the_other)
{
  int64_t live = qn_alloc_live();
  lua_State *L = host_state();
  for (int i = 0; i < 3; i++) {
    qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.L = L, .install = i == 1});
    CHECK_NULL(qn_runtime_new(&(qn_runtime_opts_t){.L = L})); /* but not two at once */
    plain(L, "qn = require 'qn'");
    run(rt, busy);
    run(rt, "local a, b = qn.pair() a:write('x') assert(b:read(1) == 'x')");
    CHECK(qn_runtime_shutdown(rt, 20));
  }
  lua_close(L);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(the_host_may_close_its_state_first)
{
  int64_t live = qn_alloc_live();
  lua_State *L = host_state();
  qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.L = L});
  plain(L, "qn = require 'qn'");
  run(rt, busy);
  lua_close(L);
  CHECK_NULL(qn_runtime_state(rt));
  qn_runtime_stop(rt, 1);
  CHECK(qn_runtime_shutdown(rt, 20));
  CHECK_INT(qn_alloc_live(), live);
}

TEST(a_state_without_libraries_is_refused)
{
  int64_t live = qn_alloc_live();
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  CHECK_NULL(qn_runtime_new(&(qn_runtime_opts_t){.L = L}));
  CHECK_INT(lua_gettop(L), 0);
  luaL_openlibs(L);
  qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.L = L}); /* the failure has left nothing behind */
  run(rt, "require 'qn'.sleep(0)");
  CHECK(qn_runtime_shutdown(rt, 20));
  lua_close(L);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(the_module_alone_in_a_host_state)
{
  int64_t live = qn_alloc_live();
  lua_State *L = host_state();
  luaL_requiref(L, "qn", luaopen_qn, 0);
  lua_pop(L, 1);
  plain(L, "assert(changes() == '') qn = require 'qn'");
  plain(
      L,
      "qn.spawn(function() local _ <close> = setmetatable({}, { __close = function() closed = 1 end })\n"
      "  qn.sleep(60) end) qn.sleep(0.001)\n"
      "server = qn.tcp.listen('127.0.0.1', 0) a, b = qn.pair()");
  lua_close(L);
  CHECK_INT(qn_alloc_live(), live);
}

/* --- a host's loop -----------------------------------------------------------------------------
 */

TEST(a_host_loop_runs_tasks)
{
  int64_t live = qn_alloc_live();
  for (int given = 0; given < 2; given++) {
    TEST_ROUND("given state: %d", given);
    uv_loop_t loop;
    uv_loop_init(&loop);
    lua_State *host = given ? host_state() : NULL;
    qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.uv = &loop, .L = host});
    lua_State *L = qn_runtime_state(rt);
    CHECK(qn_runtime_dostring(rt, "x = 1") != LUA_OK); /* who would turn the loop? */
    CHECK(strstr(lua_tostring(L, -1), "qn_runtime_spawn") != NULL);
    lua_pop(L, 1);
    plain(
        L,
        "qn = require 'qn' ok, e = pcall(qn.sleep, 1) assert(not ok and e.kind == 'not_yieldable')\n"
        "assert(not pcall(qn.run, print))");
    start(rt, "qn.sleep(0.001) x = 'done'");
    CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0); /* ends with the task */
    CHECK_STR(global(L, "x"), "done");
    start(rt, busy);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_ONCE);
    CHECK(qn_runtime_shutdown(rt, 20)); /* with tasks and handles in every state */
    CHECK_INT(uv_loop_close(&loop), 0);
    if (host != NULL) {
      CHECK_STR(global(host, "closed"), "yes");
      lua_close(host);
    }
    CHECK_INT(qn_alloc_live(), live);
  }
}

TEST(a_host_loop_may_be_interrupted)
{
  uv_loop_t loop;
  uv_loop_init(&loop);
  qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.uv = &loop});
  start(rt, "qn.sleep(60)");
  uv_run(&loop, UV_RUN_NOWAIT);
  CHECK(qn_runtime_interrupt(rt));
  CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
  CHECK(qn_runtime_shutdown(rt, 20));
  CHECK_INT(uv_loop_close(&loop), 0);
}

TEST(a_foreign_poll_loop_drives_it)
{
  qn_runtime_t *rt = rt_new(NULL);
  start(
      rt,
      "local s <close> = assert(qn.tcp.listen('127.0.0.1', 0))\n"
      "local t = qn.spawn(function() local c = s:accept() local l = c:read('l') c:close() return l end)\n"
      "local c <close> = assert(qn.tcp.connect('127.0.0.1', s:port()))\n"
      "qn.sleep(0.005) c:write('hello\\n') x = select(2, t:join())");
  int waits = 0;
  bool alive = true;
  while (alive && waits++ < 10000) {
    struct pollfd p = {.fd = qn_runtime_fd(rt), .events = POLLIN};
    int timeout = qn_runtime_timeout(rt);
    REQUIRE(timeout != -1 || alive);
    poll(&p, 1, timeout < 0 ? 1000 : timeout);
    alive = qn_runtime_step(rt);
  }
  CHECK(!alive);
  CHECK_STR(global(qn_runtime_state(rt), "x"), "hello");
  CHECK(qn_runtime_shutdown(rt, 20));
}

TEST(run_until_done)
{
  qn_runtime_t *rt = rt_new(NULL);
  CHECK(!qn_runtime_run(rt, QN_RUN_UNTIL_DONE)); /* nothing to do */
  start(rt, "qn.sleep(0.002) x = 1");
  start(rt, "qn.sleep(0.001)");
  CHECK(!qn_runtime_run(rt, QN_RUN_UNTIL_DONE));
  CHECK_STR(global(qn_runtime_state(rt), "x"), "1");
  start(rt, "qn.spawn(function() qn.exit(4) end) qn.sleep(60)");
  CHECK(!qn_runtime_run(rt, QN_RUN_UNTIL_DONE));
  CHECK(qn_runtime_exiting(rt, NULL));
  CHECK(qn_runtime_shutdown(rt, 20));
}

/* --- unsent bytes ------------------------------------------------------------------------------
 */

typedef struct drain {
  int fd;
  size_t got;
} drain_t;

static void *read_all(void *arg)
{
  drain_t *d = arg;
  static char block[1 << 16];
  ssize_t n;
  while ((n = read(d->fd, block, sizeof block)) > 0) {
    d->got += (size_t)n;
  }
  close(d->fd);
  return NULL;
}

TEST(shutdown_sends_what_was_written)
{
  for (int host = 0; host < 2; host++) {
    TEST_ROUND("host's loop: %d", host);
    int fds[2];
    pthread_t thread;
    uv_loop_t loop;
    uv_loop_init(&loop);
    qn_runtime_t *rt = rt_new(&(qn_runtime_opts_t){.uv = host ? &loop : NULL});
    lua_State *L = qn_runtime_state(rt);
    REQUIRE_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    drain_t d = {.fd = fds[1]};
    lua_pushinteger(L, fds[0]);
    lua_setglobal(L, "fd");
    plain(L, "s = assert(qn.tcp.adopt(fd)) s:set_write_mark(1 << 30)");
    start(rt, "s:write(('x'):rep(8 << 20)) written = 'yes'");
    for (int i = 0; i < 10; i++) {
      if (host) {
        uv_run(&loop, UV_RUN_NOWAIT);
      } else {
        qn_runtime_step(rt);
      }
    }
    CHECK_STR(global(L, "written"), "yes");
    pthread_create(&thread, NULL, read_all, &d);
    CHECK(qn_runtime_shutdown(rt, 60)); /* at once, when all is sent */
    pthread_join(thread, NULL);
    CHECK_UINT(d.got, 8 << 20);
    CHECK_INT(uv_loop_close(&loop), 0);
  }
}

/* --- two threads -------------------------------------------------------------------------------
 */

static void *work(void *arg)
{
  bool *fine = arg;
  for (int i = 0; i < 5; i++) {
    qn_runtime_t *rt = qn_runtime_new(NULL);
    if (rt == NULL || qn_runtime_dostring(rt, busy) != LUA_OK ||
        qn_runtime_dostring(
            rt, "local s <close> = assert(qn.tcp.listen('127.0.0.1', 0))\n"
                "qn.spawn(function() local c <close> = s:accept() c:write(c:read('L')) end)\n"
                "local c <close> = assert(qn.tcp.connect('127.0.0.1', s:port()))\n"
                "c:write('x\\n') assert(c:read('l') == 'x') qn.sleep(0.001)") != LUA_OK) {
      return NULL;
    }
    if (!qn_runtime_shutdown(rt, 20)) {
      return NULL;
    }
  }
  *fine = qn_alloc_live() == 0;
  return NULL;
}

TEST(two_threads_have_a_runtime_each)
{
  pthread_t threads[2];
  bool fine[2] = {false, false};
  for (int i = 0; i < 2; i++) {
    REQUIRE_INT(pthread_create(&threads[i], NULL, work, &fine[i]), 0);
  }
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    CHECK(fine[i]);
  }
}

/* --- memory ------------------------------------------------------------------------------------
 */

TEST(any_allocation_may_fail)
{
  int64_t live = qn_alloc_live();
  bool failed = true;
  for (uint64_t n = 1; failed && n < 2000; n++) {
    TEST_ROUND("allocation %llu fails", (unsigned long long)n);
    qn_alloc_fail_at(n);
    qn_runtime_t *rt = qn_runtime_new(NULL);
    if (rt != NULL) {
      if (qn_runtime_dostring(rt, busy) != LUA_OK) {
        lua_pop(qn_runtime_state(rt), 1);
      }
      qn_runtime_shutdown(rt, 0.01);
    }
    failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    REQUIRE_INT(qn_alloc_live(), live);
  }
  CHECK(!failed); /* the whole length was walked */
}

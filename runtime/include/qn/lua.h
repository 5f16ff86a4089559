/* qn/lua.h: the runtime with Lua inside a C program.
 *
 * One runtime belongs to one thread. It makes its own Lua state and loop, or takes the host's. With an
 * own loop the calls that run code (dofile, dostring, call) turn the loop until that code is done; with
 * a host's uv loop, or a foreign poll loop, use spawn and let the host turn it.
 */
#ifndef QN_LUA_H
#define QN_LUA_H

#include "qn/base.h"

#include <lua.h>

struct uv_loop_s;
typedef struct qn_runtime qn_runtime_t;

typedef struct qn_runtime_opts {
  struct uv_loop_s *uv;  /* the host's loop, which the host runs; NULL = an own one */
  lua_State *L;          /* the host's state (its main thread), which the host closes; NULL = an own one */
  bool keep_globals;     /* do not replace coroutine, require and os.exit (see qn.install) */
} qn_runtime_opts_t;

typedef enum qn_run_mode {
  QN_RUN_UNTIL_DONE, /* until every task has ended or qn.exit was called */
  QN_RUN_ONCE,       /* one turn, which may wait for events */
  QN_RUN_NOWAIT      /* one turn, which does not wait */
} qn_run_mode_t;

/* `opts` may be NULL. NULL when out of memory. */
QN_API qn_runtime_t *qn_runtime_new(const qn_runtime_opts_t *opts);
/* The state: push functions and values, register C functions, read globals. `qn` is loaded, and is a
 * global of own states. */
QN_API lua_State *qn_runtime_state(qn_runtime_t *rt);

/* Load and run as a task until it and its children have ended. LUA_OK (0), or a Lua status with the
 * error value on top of the state's stack. Only with an own loop (else LUA_ERRRUN). */
QN_API int qn_runtime_dofile(qn_runtime_t *rt, const char *path);
QN_API int qn_runtime_dostring(qn_runtime_t *rt, const char *code);
/* Calls the function below `nargs` arguments on the stack, in a task, so it may wait; leaves `nres`
 * results (LUA_MULTRET: all). Errors as above. Must not be called from inside a task. */
QN_API int qn_runtime_call(qn_runtime_t *rt, int nargs, int nres);
/* The same without turning the loop: starts the task and returns; its errors go to qn.on_unhandled. */
QN_API int qn_runtime_spawn(qn_runtime_t *rt, int nargs);

/* Turns the loop; true while tasks are alive. */
QN_API bool qn_runtime_run(qn_runtime_t *rt, qn_run_mode_t mode);
/* For a foreign poll loop: wait until _fd is readable or _timeout ms have passed (-1 = no limit), then
 * _step. Ask _timeout before each wait. */
QN_API int qn_runtime_fd(qn_runtime_t *rt);
QN_API int qn_runtime_timeout(qn_runtime_t *rt);
QN_API bool qn_runtime_step(qn_runtime_t *rt);

/* True when the script has called qn.exit (or os.exit); then its status is in *status. */
QN_API bool qn_runtime_exiting(qn_runtime_t *rt, int *status);
/* Whether an error went to the default handler. */
QN_API bool qn_runtime_failed(qn_runtime_t *rt);
/* Interrupts the main task from a signal handler (async-signal-safe): it is cancelled. */
QN_API void qn_runtime_interrupt(qn_runtime_t *rt);
/* Cancels all tasks, waits at most `grace` seconds for them and for what is still to be sent, closes
 * everything, closes an own state and loop, frees the runtime. A host's state must not be used with qn
 * afterwards. False when a failure has gone to the default report, then or before. */
QN_API bool qn_runtime_shutdown(qn_runtime_t *rt, double grace);

/* `require "qn.core"` and `require "qn"` for states that the host sets up itself. */
QN_API int luaopen_qn_core(lua_State *L);
QN_API int luaopen_qn(lua_State *L);

#endif

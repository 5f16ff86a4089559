/* qn/lua.h: the runtime with Lua inside a C program.
 *
 * One runtime belongs to one thread. It makes its own Lua state and loop, or takes the host's. With
 * an own loop the calls that run code (dofile, dostring, call) turn the loop until that code is
 * done; on a host's uv loop, or driven by a foreign poll loop, use spawn and let the host turn it.
 */
#ifndef QN_LUA_H
#define QN_LUA_H

#include "qn/base.h"

#include <lua.h>

struct uv_loop_s;
typedef struct qn_runtime qn_runtime_t;

typedef struct qn_runtime_opts {
  struct uv_loop_s *uv; /* the host's loop, which the host runs; NULL = an own one */
  lua_State *L; /* the host's state (its main thread), which the host closes; NULL = an own one */
  bool keep_globals; /* own states: leave coroutine, require and os.exit as they are (see
                        qn.install) */
  bool install;      /* a host's state: replace them; without it no global changes */
  bool ignore_env;   /* own states: LUA_PATH, LUA_CPATH and their kin count for nothing */
} qn_runtime_opts_t;

typedef enum qn_run_mode {
  QN_RUN_UNTIL_DONE, /* until every task has ended or qn.exit was called */
  QN_RUN_ONCE,       /* one turn, which may wait for events */
  QN_RUN_NOWAIT      /* one turn, which does not wait */
} qn_run_mode_t;

/* `opts` may be NULL. NULL when out of memory or when the state is of no use (no standard
 * libraries; said on stderr). In a host's state `require "qn"` works from now on. */
QN_API qn_runtime_t *qn_runtime_new(const qn_runtime_opts_t *opts);
/* The state: push functions and values, register C functions, read globals. `qn` is a global of own
 * states, and their math.random is seeded by the kernel. NULL when the host has closed its state.
 */
QN_API lua_State *qn_runtime_state(qn_runtime_t *rt);

/* Load and run as a task until it and its children have ended. LUA_OK (0), or a Lua status with the
 * error value on top of the state's stack. Only with an own loop (else LUA_ERRRUN). After qn.exit
 * they give LUA_ERRRUN as well: see qn_runtime_exiting. */
QN_API int qn_runtime_dofile(qn_runtime_t *rt, const char *path); /* NULL: standard input */
QN_API int qn_runtime_dostring(qn_runtime_t *rt, const char *code);
/* Calls the function below `nargs` arguments on the stack, in a task, so it may wait; leaves `nres`
 * results (LUA_MULTRET: all). Errors as above. Must not be called from inside a task. */
QN_API int qn_runtime_call(qn_runtime_t *rt, int nargs, int nres);
/* Where the error of the last call was raised, in lines; NULL when that is not known. Valid until
 * the next call. */
QN_API const char *qn_runtime_traceback(qn_runtime_t *rt);
/* The same without turning the loop: starts the task and returns; its errors go to qn.on_unhandled.
 * LUA_ERRRUN after qn.exit or qn_runtime_stop. */
QN_API int qn_runtime_spawn(qn_runtime_t *rt, int nargs);

/* Turns the loop; true while tasks are alive. */
QN_API bool qn_runtime_run(qn_runtime_t *rt, qn_run_mode_t mode);
/* For a foreign poll loop: wait until _fd is readable or _timeout ms have passed (-1 = no limit),
 * then _step. Ask _timeout before each wait. */
QN_API int qn_runtime_fd(qn_runtime_t *rt);
QN_API int qn_runtime_timeout(qn_runtime_t *rt);
QN_API bool qn_runtime_step(qn_runtime_t *rt);

/* True when the script has called qn.exit (or os.exit); its status in *status (may be NULL). */
QN_API bool qn_runtime_exiting(qn_runtime_t *rt, int *status);
/* Whether an error went to the default handler. */
QN_API bool qn_runtime_failed(qn_runtime_t *rt);
/* Async-signal-safe: cancels the task of the call under way, or every task when there is none, and
 * whatever Lua code is running now. False when an earlier interrupt has had no effect yet, or has
 * had it: the caller may use force then. */
QN_API bool qn_runtime_interrupt(qn_runtime_t *rt);
/* Whether an interrupt has ended a call. */
QN_API bool qn_runtime_interrupted(qn_runtime_t *rt);

/* Cancels all tasks, closes all streams, and waits at most `grace` seconds for clean-up and for
 * what is still to be sent. The state can be looked at afterwards, but nothing runs in it any more.
 * Call it (and shutdown) outside of the loop; it turns the host's loop where that was given. */
QN_API void qn_runtime_stop(qn_runtime_t *rt, double grace);
/* Stops, then closes every handle, an own state and the loop, and frees the runtime. In a host's
 * state the functions of qn raise from now on, and globals that were replaced are as before. False:
 * a call in the thread pool (a name look-up) was still running; the loop's memory was left to it.
 */
QN_API bool qn_runtime_shutdown(qn_runtime_t *rt, double grace);

/* `require "qn.core"` and `require "qn"` for states that the host sets up itself. */
QN_API int luaopen_qn_core(lua_State *L);
QN_API int luaopen_qn(lua_State *L);

#endif

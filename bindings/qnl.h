/* qnl.h: the whole binding contract: what every file in bindings/ may use of the others.
 *
 * One qnl_state_t per Lua state; every C function of ours carries it as its first upvalue. A
 * waiting method is: check arguments -> QNL_ENTER -> start the operation on t->op -> return
 * qnl_wait(...). Tasks, scopes and nurseries are in sched.h. Nothing here knows libuv or OpenSSL.
 */
#ifndef QNL_H
#define QNL_H

#include "qn/addr.h"
#include "qn/base.h"
#include "qn/dns.h"
#include "qn/loop.h"
#include "qn/lua.h"
#include "qn/stream.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

typedef struct qnl_state qnl_state_t;
typedef struct qnl_task qnl_task_t;

#define qnl_G_raw(L) ((qnl_state_t *)lua_touserdata((L), lua_upvalueindex(1)))
/* Raises: the runtime of this Lua state has been shut down. */
int qnl_raise_over(lua_State *L);
/* The state, in a function that cannot work without its loop (the first member, NULL after the
 * end). */
static inline qnl_state_t *qnl_G(lua_State *L)
{
  qnl_state_t *G = qnl_G_raw(L);
  if (QN_UNLIKELY(*(qn_loop_t *const *)(const void *)G == NULL)) {
    qnl_raise_over(L);
  }
  return G;
}
#define qnl_magic(L) ((int)lua_tointeger((L), lua_upvalueindex(2)))
/* The state of a Lua state, from the registry (error paths, main thread); NULL when there is none.
 */
qnl_state_t *qnl_state_of(lua_State *L);
qn_loop_t *qnl_loop(qnl_state_t *G);
lua_State *qnl_main(qnl_state_t *G);

/* --- classes (class.c) ----------------------------------------------------------------------- */

typedef struct qnl_method {
  const char *name;
  lua_CFunction fn;
  int magic;
} qnl_method_t;

#define QNL_MAX_DERIVED 8
typedef struct qnl_class qnl_class_t;
struct qnl_class {
  const char *name;  /* "qn.Stream" */
  qnl_class_t *base; /* gives the functions below that are NULL here, too */
  const qnl_method_t *methods;
  const qnl_method_t *meta;                   /* metamethods beside __index, __name, __gc */
  void (*collect)(qnl_state_t *G, void *obj); /* last chance: the userdata goes away */
  bool (*is_open)(void *obj);                 /* collected while open = a leak; NULL = never */
  void (*close)(qnl_state_t *G, lua_State *L, void *obj); /* what <close> does; never raises */
  int (*index)(lua_State *L); /* value classes: fields not found in methods */
  int weight;                 /* KiB that one usually has beside its userdata, for the collector */
};

/* Every userdata of ours begins with this. */
typedef struct qnl_box {
  const qnl_class_t *cls;
  void *obj;
} qnl_box_t;

/* Creates the metatable in the registry (once per state). Base classes first. The class itself is
 * not changed: states in other threads read it at the same time. */
void qnl_class_register(lua_State *L, qnl_state_t *G, const qnl_class_t *cls);
/* Tells the collector of the weight of a value that will be made. Raises nothing. */
void qnl_weigh(lua_State *L, const qnl_class_t *cls);
/* Pushes a new userdata for `obj`. Raises on out of memory before it owns `obj`: call qnl_prealloc
 * first where that matters. */
qnl_box_t *qnl_push(lua_State *L, const qnl_class_t *cls, void *obj);
/* Pushes an empty userdata (obj = NULL) which the caller fills: nothing can fail between making the
 * object and owning it. */
#define qnl_push_empty(L, cls) qnl_push((L), (cls), NULL)
void *qnl_test(lua_State *L, int idx, const qnl_class_t *cls);
void *qnl_check(lua_State *L, int idx, const qnl_class_t *cls) __attribute__((returns_nonnull));
void qnl_set_metatable(lua_State *L, const qnl_class_t *cls);
/* Notes which line made the userdata on top, for the report of a leak; in debug builds only. */
void qnl_note_site(lua_State *L);
/* Pushes the method table of a class, so that Lua files can add methods. */
void qnl_push_methods(lua_State *L, const qnl_class_t *cls);
/* Copies what `cls` has not from the method table of its base, as it is now. */
void qnl_inherit(lua_State *L, const qnl_class_t *cls, const qnl_class_t *base);
void qnl_setfuncs(lua_State *L, qnl_state_t *G, const qnl_method_t *methods);

/* --- arguments and options (opts.c) ---------------------------------------------------------- */

typedef enum qnl_opt_type {
  QNL_OPT_BOOL,
  QNL_OPT_INTEGER,
  QNL_OPT_SECONDS, /* number >= 0, or false = none; read as milliseconds */
  QNL_OPT_STRING,
  QNL_OPT_ENUM, /* `names`: NULL-terminated list; read as its index */
  QNL_OPT_ANY
} qnl_opt_type_t;

typedef struct qnl_opt {
  const char *name;
  qnl_opt_type_t type;
  int64_t min, max;         /* INTEGER */
  const char *const *names; /* ENUM */
} qnl_opt_t;

typedef struct qnl_opt_value {
  bool set;
  int64_t i;     /* BOOL, INTEGER, SECONDS (ms, QNL_NEVER for false), ENUM */
  const char *s; /* STRING; stays valid while the options table is on the stack */
  size_t size;
} qnl_opt_value_t;

#define QNL_NEVER UINT64_MAX

/* Reads the options table at `idx` (nil or none = all unset) into values[n_desc]. Unknown keys and
 * wrong types raise and name the key, and the nearest known one. */
void qnl_opts(lua_State *L, int idx, const char *where, const qnl_opt_t *desc, int n_desc,
              qnl_opt_value_t *values);
/* A duration argument in seconds: nil/none -> `def`; false -> QNL_NEVER; negative, NaN or huge
 * raise. Result in ms, rounded up. */
uint64_t qnl_seconds(lua_State *L, int idx, uint64_t def);
uint64_t qnl_seconds_of(lua_State *L, int idx, const char *what);
/* The same as an argument that must be there: a number, or false. */
uint64_t qnl_seconds_required(lua_State *L, int idx);
size_t qnl_size(lua_State *L, int idx, const char *what, size_t def, size_t max);
uint16_t qnl_port(lua_State *L, int idx);
/* A host name without embedded zeros, control characters or blanks. */
const char *qnl_host(lua_State *L, int idx);
/* The name in `names` (n of them) that is nearest to `key`, or NULL when none is near. */
const char *qnl_nearest(const char *key, const char *const *names, int n);
/* Raises about argument 2, which is no name of a socket option; names the nearest one. */
int qnl_unknown_sockopt(lua_State *L, const char *name);

/* --- addresses (b_address.c) ------------------------------------------------------------------ */

/* Pushes the qn.Address of an IP endpoint's host part (its port is not part of it); equal addresses
 * are the same userdata. No address pushes nil, a Unix address its name as a string. */
void qnl_push_address(lua_State *L, qnl_state_t *G, const qn_addr_t *a);
/* The argument or stack slot as an address with `port`: a qn.Address or a literal (also "" and
 * "*"). False when it is neither. */
bool qnl_to_address(lua_State *L, int idx, uint16_t port, qn_family_t family, qn_addr_t *out);
/* The same, but raises, naming the argument. */
void qnl_check_address(lua_State *L, int idx, uint16_t port, qn_family_t family, qn_addr_t *out);

/* The resolver of a qn.Resolver (b_dns.c); NULL when the value is none. */
qn_resolver_t *qnl_test_resolver(lua_State *L, int idx);

/* --- errors (error.c) ------------------------------------------------------------------------ */

typedef struct qnl_errinfo {
  int code;            /* negative result of the runtime */
  const char *op;      /* "connect", "read" ... */
  const char *peer;    /* or NULL */
  const char *phase;   /* for timeouts, or NULL */
  const char *message; /* NULL = the code's text */
} qnl_errinfo_t;

/* Pushes an error object; returns 1. */
int qnl_push_error(lua_State *L, const qnl_errinfo_t *e);
/* nil, err: returns 2. */
int qnl_fail(lua_State *L, int code, const char *op);
int qnl_fail_info(lua_State *L, const qnl_errinfo_t *e);
/* Pops the value on top of the stack and makes it a field of the error object below. */
void qnl_error_set(lua_State *L, const char *field);
/* Raises an error object of a kind (misuse that has a kind, such as not_yieldable). */
int qnl_throw(lua_State *L, qn_kind_t kind, const char *code, const char *fmt, ...) QN_PRINTF(4, 5);
/* Makes the error carry its kind only (qn.error): kind name, message, fields table or 0. */
int qnl_push_user_error(lua_State *L, qn_kind_t kind, int message_idx, int fields_idx);
bool qnl_is_error(lua_State *L, int idx);
/* Cancellation values. */
int qnl_push_cancelled(lua_State *L, int reason_idx);
bool qnl_is_cancelled(lua_State *L, int idx);

/* --- waiting (await.c) ----------------------------------------------------------------------- */

/* Turns the settled operation's result into the method's results. Runs on the task itself, with the
 * method's own stack; may wait again or raise. */
typedef int (*qnl_push_fn)(lua_State *L, qnl_task_t *t, int64_t result);

typedef struct qnl_wait {
  qnl_push_fn push;
  void (*abandon)(qnl_task_t *t); /* the wait ends by a raise: clean up; NULL = nothing to do */
  void *obj;                      /* for push */
  intptr_t a, b, c;               /* for push */
  uint64_t until;                 /* reads: their own deadline */
  size_t max;                     /* reads: the option */
  size_t note;                    /* reads: the scanner's */
  int n_formats;
  const char *op;    /* "read", "connect" ...: shown by tasks(), errors */
  const char *phase; /* phase of a timeout; NULL = op */
  uint64_t at;       /* the wait's own deadline, ms on the loop's clock */
  int code;          /* what the result is when that passes */
  bool deaf;         /* neither cancellation nor scopes end it (waiting for children) */
  bool returnable;   /* what it got goes back when the task was cancelled before it went on */
  uint64_t ticket;   /* the number that core.unpark must name; 0 = none */
} qnl_wait_t;

/* Private results. */
enum { QNL_R_SCOPE = -5900, QNL_R_CANCEL = -5901, QNL_R_SLEPT = -5902 };

/* The task that may wait now. Raises when it cannot (not_yieldable), was cancelled, or a scope has
 * expired. NULL: enough was done in this turn, `return qnl_requeue(L, fn)`. */
qnl_task_t *qnl_enter(lua_State *L, qnl_state_t *G, const char *op);
int qnl_requeue(lua_State *L, lua_CFunction fn);
#define QNL_ENTER(L, G, t, fn, op)           \
  qnl_task_t *t = qnl_enter((L), (G), (op)); \
  if (t == NULL) {                           \
    return qnl_requeue((L), (fn));           \
  }
qn_op_t *qnl_op(qnl_task_t *t);
qnl_wait_t *qnl_waiting(qnl_task_t *t); /* cleared by qnl_enter; fill it before qnl_wait */
/* `ms` from now as the deadline of the wait that is being prepared; QNL_NEVER = none. */
void qnl_wait_for(qnl_task_t *t, uint64_t ms);
/* The operation on qnl_op(t) has returned QN_AGAIN: sleep until it settles. */
int qnl_wait(lua_State *L, qnl_task_t *t, qnl_push_fn push);
/* Inside a push function that starts another operation: qnl_wait again, same deadline. */
#define qnl_wait_again qnl_wait

/* --- class list ------------------------------------------------------------------------------ */

extern qnl_class_t qnl_class_stream, qnl_class_socket, qnl_class_file, qnl_class_listener,
    qnl_class_buffer, qnl_class_task, qnl_class_scope, qnl_class_nursery, qnl_class_error,
    qnl_class_cancelled, qnl_class_signal, qnl_class_address, qnl_class_resolver, qnl_class_udp,
    qnl_class_datagram, qnl_class_notifier, qnl_class_url, qnl_class_certificate, qnl_class_key,
    qnl_class_csr, qnl_class_tls_config, qnl_class_tls_session, qnl_class_dtls,
    qnl_class_dtls_server, qnl_class_dtls_verifier;

void qnl_open_error(lua_State *L, qnl_state_t *G);
void qnl_open_sched(lua_State *L, qnl_state_t *G);
void qnl_open_scope(lua_State *L, qnl_state_t *G);
void qnl_open_nursery(lua_State *L, qnl_state_t *G);
void qnl_open_coroutine(lua_State *L, qnl_state_t *G);
void qnl_open_park(lua_State *L, qnl_state_t *G);
void qnl_open_loop(lua_State *L, qnl_state_t *G);
void qnl_open_exit(lua_State *L, qnl_state_t *G);
void qnl_open_interrupt(lua_State *L, qnl_state_t *G);
void qnl_open_console(lua_State *L, qnl_state_t *G);
void qnl_open_trace(lua_State *L, qnl_state_t *G);
void qnl_open_stream(lua_State *L, qnl_state_t *G);
void qnl_open_bulk(lua_State *L, qnl_state_t *G);
void qnl_open_socket(lua_State *L, qnl_state_t *G);
void qnl_open_listen(lua_State *L, qnl_state_t *G);
void qnl_open_buffer(lua_State *L, qnl_state_t *G);
void qnl_open_file(lua_State *L, qnl_state_t *G);
void qnl_open_signal(lua_State *L, qnl_state_t *G);
void qnl_open_events(lua_State *L, qnl_state_t *G);
void qnl_open_address(lua_State *L, qnl_state_t *G);
void qnl_open_netif(lua_State *L, qnl_state_t *G);
void qnl_open_dns(lua_State *L, qnl_state_t *G);
void qnl_open_udp(lua_State *L, qnl_state_t *G);
void qnl_open_notifier(lua_State *L, qnl_state_t *G);
void qnl_open_url(lua_State *L, qnl_state_t *G);
void qnl_open_certificate(lua_State *L, qnl_state_t *G);
void qnl_open_cert_make(lua_State *L, qnl_state_t *G);
void qnl_open_pkcs12(lua_State *L, qnl_state_t *G);
void qnl_open_key(lua_State *L, qnl_state_t *G);
void qnl_open_crypto(lua_State *L, qnl_state_t *G);
void qnl_open_tls(lua_State *L, qnl_state_t *G);
void qnl_open_dtls(lua_State *L, qnl_state_t *G);

#endif

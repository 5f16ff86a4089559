/* qn/filter.h: how a transport layer plugs into a stream. Read this first to add one.
 *
 * A stream is a stack of filters; the stream talks to the top one, each filter talks to the one
 * below and to nobody else. Nothing calls upward, but the bottom filter, which wakes the stream
 * (qn_stream_wake); the stream then pulls from the top. Filters have no timers: deadlines live in
 * operations. `fill`, `write` and `finish` are called only once the filter is up: the stream itself
 * keeps what is written before.
 */
#ifndef QN_FILTER_H
#define QN_FILTER_H

#include "qn/buf.h"
#include "qn/stream.h"

typedef enum qn_query {
  QN_QUERY_FD,         /* int */
  QN_QUERY_LOCAL_ADDR, /* qn_addr_t */
  QN_QUERY_PEER_ADDR,  /* qn_addr_t */
  QN_QUERY_QUEUED,     /* size_t: bytes in write queues, this filter's and those below */
  QN_QUERY_OPTION,     /* qn_option_t: get or set a socket option */
  QN_QUERY_PAUSE_READ, /* int: 1 = do not watch for readability, 0 = watch and wake; begins paused
                        */
  QN_QUERY_LOOK,       /* the next fill asks the kernel, even when nothing was announced */
  QN_QUERY_FIRST_OWN = 100 /* filters outside the runtime number theirs from here */
} qn_query_t;

/* What QN_QUERY_OPTION asks (names as in qn_stream_set_option). */
typedef struct qn_option {
  const char *name;
  int64_t value;
  bool set; /* false: get */
} qn_option_t;

typedef struct qn_filter_ops {
  const char *name; /* trace name: "socket" "tls" "trace" */
  unsigned flags;   /* QN_FILTER_... */
  /* 0 up, QN_AGAIN (the stream calls again after the next wake), or a negative error. Starts the
   * one below first: qn_filter_start_below. */
  int (*start)(qn_filter_t *f);
  /* Grow f->rd by at most about f->room: > 0 bytes added, 0 end of stream, QN_AGAIN (the wake
   * comes), or < 0. Must not touch what rd holds already. */
  int64_t (*fill)(qn_filter_t *f);
  /* Takes every slice (0) or fails (< 0). */
  int (*write)(qn_filter_t *f, const qn_slice_t *v, int n);
  /* Pushes what this filter and those below hold towards the kernel: 0 all gone, QN_AGAIN, or < 0.
   * Also called while not up. NULL: nothing is held here, ask below. */
  int (*flush)(qn_filter_t *f);
  /* Ends our writing side: close_notify, FIN. 0, QN_AGAIN (called again after a wake) or < 0. Ends
   * the one below too. NULL: only below. */
  int (*finish)(qn_filter_t *f);
  /* 0, QN_E_UNSUPPORTED, or another error. Not mine: qn_filter_query_below (NULL does that). */
  int (*query)(qn_filter_t *f, int what, void *out);
  /* The stream ends (abort: drop what is queued; else nothing is queued any more). Closes the one
   * below (NULL: only that). The bottom filter calls qn_filter_gone, now or later; those above are
   * destroyed as soon as close returns. */
  void (*close)(qn_filter_t *f, bool abort);
  /* My memory only; never touches below. */
  void (*destroy)(qn_filter_t *f);
} qn_filter_ops_t;

enum {
  QN_FILTER_HANDSHAKE = 1, /* is taken out of the stack once it is up; surplus stays in below->rd */
  QN_FILTER_INTO = 2,    /* bottom filters: fill receives into rd.base whenever the stream has put a
                            foreign block there (rd.lent, empty, rd.cap bytes of room) */
  QN_FILTER_MEMORY = 4,  /* bottom filters: there is no wire below, so no wire trace */
  QN_FILTER_APART = 8,   /* bottom filters: a failed fill ends the reading side only */
  QN_FILTER_LINGERS = 16 /* finish is called at the close even when the writing side has ended */
};

struct qn_filter {
  const qn_filter_ops_t *ops;
  qn_filter_t *below;
  qn_stream_t *stream;
  qn_buf_t rd;  /* what the one above may consume */
  size_t room;  /* the most that the next fill should add; set by the one above before each fill */
  bool up;      /* start has succeeded */
  bool leaving; /* qn_filter_leave was called */
  bool takes_rest; /* set before a push: what is buffered belongs to this layer already */
};

/* Puts `f` on top; `f` is the stream's from success (0 or QN_AGAIN) on. On a live stream it is
 * started at once: 0 up, QN_AGAIN (`op`, which may be NULL, settles when it is up or has failed; a
 * failure ends the connection). Before qn__stream_start it is only put there. QN_E_PLAINTEXT when
 * bytes are buffered that belong to the layer below (STARTTLS injection), QN_E_BUSY while a reader,
 * a writer or another start waits, QN_E_LIMIT above QN_FILTERS_MAX layers. */
#define QN_FILTERS_MAX 16
QN_API int qn_stream_push(qn_stream_t *s, qn_filter_t *f, qn_op_t *op);
/* The top filter, or NULL. */
QN_API qn_filter_t *qn_stream_top(const qn_stream_t *s);
/* Wakes the stream; what: bits below. Callable from anywhere on the loop's thread, does nothing but
 * queue. */
enum { QN_WAKE_READ = 1, QN_WAKE_WRITE = 2, QN_WAKE_START = 4 };
QN_API void qn_stream_wake(qn_stream_t *s, unsigned what);
/* For `finish` of a closing stream, which then gives QN_AGAIN: all is with the kernel, only the
 * peer's end is awaited. Reads are announced, each calls finish again; after QN_LINGER_MS the
 * stream is closed as if the end had come. */
#define QN_LINGER_MS 5000u
QN_API void qn_stream_linger(qn_stream_t *s);
/* A bottom filter whose resources are gone after `close`; it may be called from inside `close`. The
 * filter is destroyed, at once or when `close` has returned. */
QN_API void qn_filter_gone(qn_filter_t *f);

/* For use inside filters. `fill_below` may take a filter that left out of the stack: look at
 * f->below again afterwards. It uses below->room, which the caller sets (SIZE_MAX: no bound). */
QN_API int qn_filter_start_below(qn_filter_t *f);
QN_API int64_t qn_filter_fill_below(qn_filter_t *f);
QN_API int qn_filter_write_below(qn_filter_t *f, const qn_slice_t *v, int n);
QN_API int qn_filter_flush_below(qn_filter_t *f);
QN_API int qn_filter_finish_below(qn_filter_t *f);
QN_API int qn_filter_query_below(qn_filter_t *f, int what, void *out);
QN_API void qn_filter_close_below(qn_filter_t *f, bool abort);
/* The same question to `f` itself. */
QN_API int qn_filter_query(qn_filter_t *f, int what, void *out);
/* Takes n bytes from the front of f->rd, which may be lent memory (usually f is the one below). */
QN_API void qn_filter_consume(qn_filter_t *f, size_t n);
/* This layer has ended while the connection goes on: what f->rd holds is still delivered, then f is
 * taken out and destroyed. Writes bypass it from now on. */
QN_API void qn_filter_leave(qn_filter_t *f);

/* Wire trace: puts a filter on top of the stack that reports what passes. One trace function per
 * loop is set by qn_loop_set_trace (qn/trace.h). */

#endif

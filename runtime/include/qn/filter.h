/* qn/filter.h: how a transport layer plugs into a stream. Read this first to add one.
 *
 * A stream is a stack of filters; the stream talks to the top one, each filter talks to the one below
 * and to nobody else. Nothing calls upward, but the bottom filter, which wakes the stream
 * (qn_stream_wake); the stream then pulls from the top. Filters have no timers: deadlines live in
 * operations.
 */
#ifndef QN_FILTER_H
#define QN_FILTER_H

#include "qn/stream.h"

/* A growable queue of bytes: what is readable lies contiguously at base + head. */
typedef struct qn_buf {
  uint8_t *base;
  size_t head, tail, cap;
  bool lent; /* base belongs to the loop and must be given back before anything else runs */
} qn_buf_t;

typedef enum qn_query {
  QN_QUERY_FD,         /* int */
  QN_QUERY_LOCAL_ADDR, /* qn_addr_t */
  QN_QUERY_PEER_ADDR,  /* qn_addr_t */
  QN_QUERY_QUEUED,     /* size_t: bytes in write queues, this filter's and those below */
  QN_QUERY_OPTION,     /* qn_option_t: get or set a socket option */
  QN_QUERY_FIRST_OWN = 100 /* filters outside the runtime number theirs from here */
} qn_query_t;

typedef struct qn_filter_ops {
  const char *name; /* trace name: "socket" "tls" "trace" */
  unsigned flags;   /* QN_FILTER_... */
  /* 0 up, QN_AGAIN (the stream calls again after the next wake), or a negative error. Starts the one
   * below first: qn_filter_start_below. */
  int (*start)(qn_filter_t *f);
  /* Grow f->rd: > 0 bytes added, 0 end of stream, QN_AGAIN, or < 0. */
  int64_t (*fill)(qn_filter_t *f);
  /* Takes every slice (0) or fails (< 0). */
  int (*write)(qn_filter_t *f, const qn_slice_t *v, int n);
  /* Pushes what this filter and those below hold towards the kernel: 0 all gone, QN_AGAIN, or < 0. */
  int (*flush)(qn_filter_t *f);
  /* Ends our writing side: close_notify, FIN. 0, QN_AGAIN or < 0. */
  int (*finish)(qn_filter_t *f);
  /* 0, QN_E_UNSUPPORTED, or another error. Not mine: qn_filter_query_below. */
  int (*query)(qn_filter_t *f, int what, void *out);
  /* The stream ends (abort: drop what is queued). Asynchronous ends call qn_filter_gone later. */
  void (*close)(qn_filter_t *f, bool abort);
  /* My memory only; never touches below. */
  void (*destroy)(qn_filter_t *f);
} qn_filter_ops_t;

enum {
  QN_FILTER_HANDSHAKE = 1 /* removes itself from the stack once it is up */
};

struct qn_filter {
  const qn_filter_ops_t *ops;
  qn_filter_t *below;
  qn_stream_t *stream;
  qn_buf_t rd;  /* what the one above may consume */
  bool up;      /* start has succeeded */
};

/* Puts `f` on top. QN_E_PLAINTEXT when bytes are buffered that belong to the layer below (STARTTLS
 * injection); the stream owns `f` from success on. `op` (may be NULL) settles when the stack is up. */
QN_API int qn_stream_push(qn_stream_t *s, qn_filter_t *f, qn_op_t *op);
/* The top filter, or NULL. */
QN_API qn_filter_t *qn_stream_top(const qn_stream_t *s);
/* Wakes the stream; what: bits below. Callable from anywhere on the loop's thread, does nothing but
 * queue. */
enum { QN_WAKE_READ = 1, QN_WAKE_WRITE = 2, QN_WAKE_START = 4 };
QN_API void qn_stream_wake(qn_stream_t *s, unsigned what);
/* A bottom filter whose resources are gone after `close`. */
QN_API void qn_filter_gone(qn_filter_t *f);

/* For use inside filters. */
QN_API int qn_filter_start_below(qn_filter_t *f);
QN_API int64_t qn_filter_fill_below(qn_filter_t *f);
QN_API int qn_filter_write_below(qn_filter_t *f, const qn_slice_t *v, int n);
QN_API int qn_filter_flush_below(qn_filter_t *f);
QN_API int qn_filter_finish_below(qn_filter_t *f);
QN_API int qn_filter_query_below(qn_filter_t *f, int what, void *out);
QN_API void qn_filter_close_below(qn_filter_t *f, bool abort);

/* The byte queue. */
static inline size_t qn_buf_size(const qn_buf_t *b) { return b->tail - b->head; }
static inline uint8_t *qn_buf_data(const qn_buf_t *b) { return b->base + b->head; }
QN_API int qn_buf_reserve(qn_buf_t *b, size_t room); /* at least `room` free bytes behind tail */
QN_API int qn_buf_append(qn_buf_t *b, const void *data, size_t size);
QN_API int qn_buf_prepend(qn_buf_t *b, const void *data, size_t size);
QN_API void qn_buf_consume(qn_buf_t *b, size_t n);   /* frees large blocks when it becomes empty */
QN_API void qn_buf_free(qn_buf_t *b);

/* Wire trace: puts a filter on top of the stack that reports what passes. One trace function per loop
 * is set by qn_loop_set_trace (qn/trace.h). */

#endif

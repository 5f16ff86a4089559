/* stream_p.h: the inside of a stream, shared by the files that make up its heart (stream, events,
 * close, filter, reader, writer, stall, pump, f_mem, f_trace) and by nobody else.
 *
 * Two rules keep it simple. User code runs from qn_op_complete only, so every caller of that reads
 * the stream again afterwards. Everything that user code may call (close, cancel, write ...)
 * settles operations with qn_op_settle, so it never runs user code itself. Invariant: top is NULL
 * exactly when there is no connection; bytes that were read before that lie in `rest` then, in
 * top->rd otherwise.
 */
#ifndef QN_STREAM_P_H
#define QN_STREAM_P_H

#include "base/assert.h"
#include "loop/loop_i.h"
#include "stream/stream_i.h"

enum {
  QN__PIECE = 64 * 1024,    /* the most that is handed down between two looks at the queue */
  QN__FILLS_PER_RUN = 16,   /* then the other streams have their turn */
  QN__UNREAD_MAX = 64 << 20 /* unread gives QN_E_LIMIT above this */
};

/* --- holding a side --------------------------------------------------------------------------- */

/* A pump holds the reading side of one stream and the writing side of another; others get
 * QN_E_BUSY. The holder keeps a reference to the stream. */
typedef struct qn__hold qn__hold_t;
struct qn__hold {
  /* Ready phase: the stream was woken for this side (writer: after a flush). */
  void (*wake)(qn__hold_t *h);
  /* The side is over and let go already. Must not run user code. */
  void (*fail)(qn__hold_t *h, int err);
  bool waits; /* reader: wants bytes; writer: waits for room, so the stall clock runs */
};
/* 0, QN_E_BUSY, QN_E_CLOSED, QN_E_NOT_CONNECTED, QN_E_SHUTDOWN (writer) or the side's error. */
int qn__hold_reader(qn_stream_t *s, qn__hold_t *h);
int qn__hold_writer(qn_stream_t *s, qn__hold_t *h);
void qn__let_reader(qn_stream_t *s);
void qn__let_writer(qn_stream_t *s);

/* --- the stream ------------------------------------------------------------------------------- */

/* Where an unsatisfied want has got to, so that nothing is looked at twice. */
typedef struct qn__scan {
  size_t searched; /* DELIM: no delimiter starts before this offset */
  size_t need;     /* SCAN: fewer bytes than this cannot help */
} qn__scan_t;

/* QN_WANT_SCAN + 1: readability only, for qn_stream_read_into. */
#define QN__WANT_READY ((qn_want_kind_t)(QN_WANT_SCAN + 1))

typedef enum qn__fin { QN__FIN_NONE, QN__FIN_WANTED, QN__FIN_DONE } qn__fin_t;
typedef enum qn__close { QN__CLOSE_NONE, QN__CLOSE_GRACEFUL, QN__CLOSE_ABORT } qn__close_t;

typedef struct qn__addrs {
  qn_addr_t local, peer;
} qn__addrs_t;

/* What few streams need; made on first use, lives as long as the stream. */
typedef struct qn__extra {
  qn_stream_t *stream;
  qn_timer_t stall;
  uint64_t stall_seen; /* qn_stream_sent when the stall timer was armed */
  qn_observer_fn observer;
  void *observer_data;
  uint64_t noted;     /* qn_stream_sent at the last WRITTEN event */
  uint64_t arrival;   /* turn of the last READY_READ event */
  qn_op_t *closer;    /* who waits in qn_stream_closed */
  qn_buf_t pre;       /* written before the stack was up */
  qn_buf_t written;   /* memory streams: what was written */
  qn__addrs_t *addrs; /* of a connection that has ended by itself */
  struct {
    void *p;
    void (*free_fn)(void *p);
  } slots[QN__SLOT_COUNT];
} qn__extra_t;

struct qn_stream {
  qn_ready_t ready; /* the one wake-up */
  qn_ready_t flush; /* at the end of the ready phase, when something was handed down */
  qn_list_t live;   /* in the loop's list of all streams */
  qn_loop_t *loop;
  qn_filter_t *top;
  qn__extra_t *extra;
  qn_op_t *starter; /* waits until the stack is up */
  void *dial;       /* what is connecting this stream, and how to stop it */
  void (*dial_stop)(void *dial);
  qn_filter_t *closing_bottom; /* set while its close runs */
  uint64_t id;
  uint32_t refs;
  uint32_t stall_ms; /* UINT32_MAX: none */
  uint16_t events;   /* what the observer wants */
  uint16_t dying;    /* closed bottom filters whose qn_filter_gone has not come */
  uint8_t state, wakes, fin, want_close;
  uint8_t in_filter;    /* depth of calls into the top filter: a close waits until it is 0 */
  bool started : 1;     /* start was called on this stack */
  bool starting : 1;    /* ... and the top is not up yet */
  bool established : 1; /* the first start of this connection has succeeded */
  bool paused : 1;      /* the bottom filter does not watch for readability */
  bool reading : 1;     /* somebody has wanted bytes of this connection */
  bool ahead : 1;       /* qn_stream_read_ahead */
  bool ended : 1;       /* the peer's end of the stream was read */
  bool end_noted : 1;   /* READ_ENDED was emitted */
  bool blocked : 1;     /* a flush was refused; QN_WAKE_WRITE is to come */
  bool torn : 1;        /* write_error is of our own making (cancelled, stalled) */
  bool closed : 1;      /* close or abort was called */
  bool closing : 1;     /* a graceful close waits for the queue */
  bool self_ref : 1;    /* ... and keeps the stream alive */
  bool dial_failed : 1;
  bool over : 1; /* the connection was torn down: CLOSED is to come */
  bool gone_early : 1;
  bool lingers : 1;    /* closing, and only the peer's end is awaited */
  bool no_reading : 1; /* there is no reading side at all */
  bool held : 1;       /* nothing passes until a layer has been pushed */
  int error, read_error, write_error;

  qn_op_t *reader;
  qn__hold_t *read_hold;
  qn_want_t want;
  qn__scan_t scan;
  qn_got_t got;
  qn_buf_t rest;
  size_t read_limit; /* 0 = unlimited */
  uint64_t received;

  qn_list_t writers; /* op->link; op->owner is the qn_writer_t */
  qn__hold_t *write_hold;
  size_t mark;
  uint64_t accepted, sent;
};

static inline bool qn__is_up(const qn_stream_t *s)
{
  return s->top != NULL && s->top->up && !s->held;
}
/* A layer is about to be pushed, or is making its handshake. */
static inline bool qn__awaits_layer(const qn_stream_t *s)
{
  return s->held || (s->starting && s->established);
}
static inline bool qn__connecting(const qn_stream_t *s)
{
  return s->state == QN_STATE_HOST_LOOKUP || s->state == QN_STATE_CONNECTING;
}
static inline qn_buf_t *qn__rd(qn_stream_t *s) { return s->top != NULL ? &s->top->rd : &s->rest; }

/* stream.c */
qn_stream_t *qn__stream_make(qn_loop_t *loop);
qn__extra_t *qn__extra(qn_stream_t *s); /* NULL when out of memory */
/* Forgets the connection before: called when the next one begins. */
void qn__stream_reset(qn_stream_t *s);

/* events.c */
void qn__note_arrival(qn_stream_t *s);
void qn__note_progress(qn_stream_t *s);
void qn__note_read_end(qn_stream_t *s);

/* close.c */
/* Ends the connection: unread bytes go to `rest` (unless we closed), the stack is closed, events.
 */
void qn__teardown(qn_stream_t *s, bool abort);
/* Both sides are over because of `err`. */
void qn__connection_failed(qn_stream_t *s, int err);
/* Called when one side has ended: tears down when the other one has, too. */
void qn__check_over(qn_stream_t *s);
void qn__close_step(qn_stream_t *s);
/* Closes and destroys the stack and nothing else. */
void qn__stack_close(qn_stream_t *s, bool abort);
/* A dial has given up: waiting readers and writers settle. */
void qn__dial_over(qn_stream_t *s);
void qn__close_later(qn_stream_t *s);

/* filter.c: calls on one filter. `slot` is where the pointer to it is kept: start and fill may take
 * filters out of the stack. */
int qn__filter_start(qn_filter_t **slot);
int64_t qn__filter_fill(qn_filter_t **slot);
int qn__filter_write(qn_filter_t *f, const qn_slice_t *v, int n);
int qn__filter_flush(qn_filter_t *f);
int qn__filter_finish(qn_filter_t *f);
void qn__filter_close(qn_filter_t *f, bool abort);
void qn__filter_destroy(qn_filter_t *f);
/* Gives lent memory back, from `f` down. */
void qn__settle_lent(qn_loop_t *loop, qn_filter_t *f);
/* Calls start on a stack that is not up and does what follows from its success. */
int qn__start_step(qn_stream_t *s);
/* In the ready phase: the same, and settles the starter. */
void qn__start_run(qn_stream_t *s);
/* Puts the bottom filter in and connects at once: pairs and memory streams. Frees f on failure. */
int qn__stream_plug(qn_stream_t *s, qn_filter_t *f);

/* want.c */
int qn__want_check(const qn_want_t *w);
/* 0: satisfied; QN_AGAIN; or an error. `ended`, `err`: what has become of the stream. */
int qn__want_eval(const qn_want_t *w, qn__scan_t *scan, qn_slice_t bytes, bool ended, int err,
                  qn_got_t *got);
/* The most bytes that the want may have to see. */
size_t qn__want_bound(const qn_want_t *w);

/* reader.c */
void qn__reader_run(qn_stream_t *s);
/* Settles the waiting reader (and the holder) with an error. */
void qn__reader_fail(qn_stream_t *s, int err);
/* > 0 bytes came into the buffer, 0 end, QN_AGAIN, or an error (both have been noted). */
int64_t qn__stream_fill(qn_stream_t *s, size_t room);
void qn__update_pause(qn_stream_t *s);

/* writer.c */
void qn__writer_run(qn_stream_t *s);
void qn__flush_run(qn_ready_t *r);
/* Settles all waiting writers and the holder; the side itself is not marked. */
void qn__writers_settle(qn_stream_t *s, int err);
/* The writing side is over. `torn`: by our own doing. */
void qn__writing_failed(qn_stream_t *s, int err, bool torn);
/* Flush, then finish the top filter: 0, QN_AGAIN, or an error that has failed the side. */
int qn__finish_step(qn_stream_t *s);
/* Writes what was kept while the stack was not up. */
int qn__send_pre(qn_stream_t *s);
void qn__dirty(qn_stream_t *s);

/* stall.c: arms or stops the stall timer, whichever is right now. An error: it could not be armed.
 */
int qn__stall_check(qn_stream_t *s);

#endif

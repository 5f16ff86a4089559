/* stream_i.h: what dial.c, listen.c and bottom filters may ask of a stream (stream.c implements
 * it).
 *
 * Not public. The order of calls for one connection attempt is: qn__stream_set_bottom ->
 * qn__stream_start (settles the op when the whole stack is up) -> on failure
 * qn__stream_drop_filters, then the next attempt builds a new stack. A filter is never reset.
 */
#ifndef QN_STREAM_I_H
#define QN_STREAM_I_H

#include "loop/chunk_i.h"
#include "qn/filter.h"
#include "qn/stream.h"

/* Changes the state and notes the event; setting the same state again does nothing. */
void qn__stream_set_state(qn_stream_t *s, qn_state_t state);
void qn__stream_emit(qn_stream_t *s, qn_event_t event, int64_t arg);
/* Notes `err` as the stream's error and emits QN_EVENT_ERROR; the reading and writing sides are not
 * touched (they carry their own sticky errors). */
void qn__stream_set_error(qn_stream_t *s, int err);
/* Gives a stream without filters its bottom filter; takes ownership, also on failure. When the loop
 * traces, the trace filter is put on top of it. */
int qn__stream_set_bottom(qn_stream_t *s, qn_filter_t *f);
/* Starts the stack: 0 up (state connected was set, events emitted), QN_AGAIN (`op` settles later),
 * or an error. One starter at a time. Cancelling `op` only stops waiting. */
int qn__stream_start(qn_stream_t *s, qn_op_t *op);
/* Closes and destroys all filters (asynchronously where they need it) without closing the stream.
 */
void qn__stream_drop_filters(qn_stream_t *s);
/* What close/abort must also stop while a dial is under way; NULL clears it. When bytes were
 * written before, a graceful close does not call `stop`: it happens as soon as the stack is up. A
 * dial that gives up sets the state unconnected first, then the error; waiting readers and writers
 * settle in the next ready phase. */
void qn__stream_set_dial(qn_stream_t *s, void *dial, void (*stop)(void *dial));
void *qn__stream_dial(const qn_stream_t *s);
/* Private slots that other files of this floor hang on a stream; freed with it by `free_fn`. */
typedef enum qn__slot {
  QN__SLOT_OPTIONS,
  QN__SLOT_BIND,
  QN__SLOT_DIAL,
  QN__SLOT_FAILURES, /* of the last dial, by address */
  QN__SLOT_FILE,
  QN__SLOT_COUNT
} qn__slot_t;
int qn__stream_set_slot(qn_stream_t *s, qn__slot_t slot, void *p, void (*free_fn)(void *p));
void *qn__stream_slot(const qn_stream_t *s, qn__slot_t slot);

/* --- writing in steps (send_file) ------------------------------------------------------------- */

/* `step` is called in the ready phase when its turn in the queue of writers has come: at first,
 * after each QN_WAKE_WRITE and when a flush has made room. >= 0: finished, op settles with it.
 * QN_AGAIN: call again after the next wake (step may call qn_stream_wake itself to go on in the
 * next turn). < 0: the writing side has failed with it. After a cancellation or a failure it is not
 * called again. */
typedef struct qn__steps {
  int64_t (*step)(qn_stream_t *s, void *arg);
  void *arg;
} qn__steps_t;
/* Queues behind earlier writers: QN_AGAIN or an error. `w` and `steps` live until op settles. */
int qn__stream_steps(qn_stream_t *s, qn_op_t *op, qn_writer_t *w, const qn__steps_t *steps);
/* Inside step: hands bytes to the top filter whatever the mark says (compare qn_stream_queued); 0
 * or an error, which step returns. */
int qn__stream_put(qn_stream_t *s, const qn_slice_t *v, int n);
/* Inside step: 0 nothing is queued, QN_AGAIN a wake comes, or an error, which step returns. */
int qn__stream_try_flush(qn_stream_t *s);
/* Inside step: bytes went to the kernel past the queue (sendfile): counts as progress. */
void qn__stream_note_sent(qn_stream_t *s, size_t n);

/* --- bottom filters -------------------------------------------------------------------------- */

/* f_socket.c. A connected, non-blocking socket; takes the descriptor (also on failure: it is
 * closed). */
int qn__f_socket_adopt(qn_loop_t *loop, int fd, qn_filter_t **out);
/* A socket that start() connects to `peer`, bound to `local` first when it is not NULL; options are
 * those that were stored for `s` (sockopt.h). */
int qn__f_socket_dial(qn_stream_t *s, const qn_addr_t *peer, const qn_addr_t *local,
                      unsigned bind_mode, qn_filter_t **out);
/* Waits until the descriptor may take more: for send_file. 0 = now, QN_AGAIN = QN_WAKE_WRITE comes.
 */
int qn__f_socket_want_write(qn_filter_t *f);
bool qn__filter_is_socket(const qn_filter_t *f);

/* f_trace.c */
int qn__f_trace_new(qn_loop_t *loop, qn_filter_t **out);

/* --- lent memory -----------------------------------------------------------------------------
 *
 * fill() may use the loop's one scratch chunk (loop/chunk_i.h) as rd.base (rd.lent = true) when rd
 * is empty. The stream gives it back after use: qn__buf_settle copies a small rest into a block of
 * its own, takes the chunk over when the rest is 8 KiB or more. */
#define QN__KEEP_CHUNK (8u * 1024u)
void qn__buf_settle(qn_loop_t *loop, qn_buf_t *b);

#endif

/* stream_i.h: what dial.c, listen.c and bottom filters may ask of a stream (stream.c implements it).
 *
 * Not public. The order of calls for one connection attempt is: qn__stream_set_bottom ->
 * qn__stream_start (settles the op when the whole stack is up) -> on failure qn__stream_drop_filters,
 * then the next attempt builds a new stack. A filter is never reset.
 */
#ifndef QN_STREAM_I_H
#define QN_STREAM_I_H

#include "qn/filter.h"
#include "qn/stream.h"

/* Changes the state and notes the event; setting the same state again does nothing. */
void qn__stream_set_state(qn_stream_t *s, qn_state_t state);
void qn__stream_emit(qn_stream_t *s, qn_event_t event, int64_t arg);
/* Notes `err` as the stream's error and emits QN_EVENT_ERROR; the reading and writing sides are not
 * touched (they carry their own sticky errors). */
void qn__stream_set_error(qn_stream_t *s, int err);
/* Gives an unconnected stream (no filters) its bottom filter; takes ownership. When the loop traces,
 * the trace filter is put on top of it. */
int qn__stream_set_bottom(qn_stream_t *s, qn_filter_t *f);
/* Starts the stack: 0 up (state connected was set, events emitted), QN_AGAIN (`op` settles later), or
 * an error. One starter at a time. */
int qn__stream_start(qn_stream_t *s, qn_op_t *op);
/* Closes and destroys all filters (asynchronously where they need it) without closing the stream. */
void qn__stream_drop_filters(qn_stream_t *s);
/* What close/abort must also stop while a dial is under way; NULL clears it. */
void qn__stream_set_dial(qn_stream_t *s, void *dial, void (*stop)(void *dial));
void *qn__stream_dial(const qn_stream_t *s);
/* Private slots that other files of this floor hang on a stream; freed with it by `free_fn`. */
typedef enum qn__slot { QN__SLOT_OPTIONS, QN__SLOT_BIND, QN__SLOT_DIAL, QN__SLOT_COUNT } qn__slot_t;
int qn__stream_set_slot(qn_stream_t *s, qn__slot_t slot, void *p, void (*free_fn)(void *p));
void *qn__stream_slot(const qn_stream_t *s, qn__slot_t slot);

/* --- bottom filters -------------------------------------------------------------------------- */

/* f_socket.c. A connected, non-blocking socket; takes the descriptor (also on failure: it is closed). */
int qn__f_socket_adopt(qn_loop_t *loop, int fd, qn_filter_t **out);
/* A socket that start() connects to `peer`, bound to `local` first when it is not NULL; options are
 * those that were stored for `s` (sockopt.h). */
int qn__f_socket_dial(qn_stream_t *s, const qn_addr_t *peer, const qn_addr_t *local, unsigned bind_mode,
                      qn_filter_t **out);
/* Waits until the descriptor may take more: for send_file. 0 = now, QN_AGAIN = QN_WAKE_WRITE comes. */
int qn__f_socket_want_write(qn_filter_t *f);
bool qn__filter_is_socket(const qn_filter_t *f);

/* f_trace.c */
int qn__f_trace_new(qn_loop_t *loop, qn_filter_t **out);

/* --- lent memory ----------------------------------------------------------------------------- */

/* The loop's one scratch chunk of QN__CHUNK bytes: fill() may use it as rd.base (rd.lent = true) when
 * rd is empty; qn_stream_keep / qn_stream_consume give it back (copying the rest, or taking the chunk
 * over when the rest is 8 KiB or more). NULL when it is lent already. (loop/chunk.c) */
#define QN__CHUNK (64u * 1024u)
uint8_t *qn__chunk_lend(qn_loop_t *loop);
void qn__chunk_back(qn_loop_t *loop, uint8_t *chunk);
/* The borrower keeps the block for good (it is freed by qn_free); the loop makes itself a new one. */
void qn__chunk_keep(qn_loop_t *loop, uint8_t *chunk);

#endif

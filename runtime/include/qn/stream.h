/* qn/stream.h: a byte stream over a stack of filters: what sockets, files, pairs and tunnels share.
 *
 * One reader and any number of writers (served in order) may wait at a time. Reading is pull: a
 * want says what is needed, the stream answers how many bytes of its buffer satisfy it, the caller
 * looks at them (qn_stream_data) and takes them (qn_stream_consume). Errors are sticky per
 * direction, the first one wins, and buffered bytes are delivered before them. Reference-counted;
 * freed by the last release.
 */
#ifndef QN_STREAM_H
#define QN_STREAM_H

#include "qn/addr.h"
#include "qn/loop.h"

typedef struct qn_stream qn_stream_t;
typedef struct qn_filter qn_filter_t;

typedef enum qn_state {
  QN_STATE_UNCONNECTED,
  QN_STATE_HOST_LOOKUP,
  QN_STATE_CONNECTING,
  QN_STATE_CONNECTED,
  QN_STATE_BOUND,
  QN_STATE_LISTENING,
  QN_STATE_CLOSING,
  QN_STATE_COUNT
} qn_state_t;
QN_API const char *qn_state_name(qn_state_t state);

#define QN_READ_LIMIT_DEFAULT (256u * 1024u)  /* read-ahead; a pending want may ask for more */
#define QN_WRITE_MARK_DEFAULT (1024u * 1024u) /* above it writers wait */
#define QN_LINE_MAX_DEFAULT (64u * 1024u)
#define QN_ALL_MAX_DEFAULT (64u * 1024u * 1024u)
#define QN_STALL_DEFAULT_MS 60000u /* no progress on a blocked write or a closing stream */

/* --- life ------------------------------------------------------------------------------------ */

/* A stream without filters: unconnected. See qn/dial.h to connect it. */
QN_API qn_stream_t *qn_stream_new(qn_loop_t *loop);
QN_API void qn_stream_retain(qn_stream_t *s);
/* The last release aborts what is still open. */
QN_API void qn_stream_release(qn_stream_t *s);
QN_API qn_loop_t *qn_stream_loop(const qn_stream_t *s);

/* A connected socket of which the stream becomes the owner (also on failure: it is closed). */
QN_API int qn_stream_adopt(qn_loop_t *loop, int fd, qn_stream_t **out);
/* Two streams in memory, each reads what the other writes (bounded like sockets). */
QN_API int qn_stream_pair(qn_loop_t *loop, qn_stream_t **a, qn_stream_t **b);
/* Reads `bytes` (copied), then the end of the stream; what is written is kept up to `limit` bytes
 * and can be looked at with qn_stream_written. */
QN_API int qn_stream_memory(qn_loop_t *loop, qn_slice_t bytes, size_t limit, qn_stream_t **out);
QN_API qn_slice_t qn_stream_written(const qn_stream_t *s);

/* Graceful: readers settle with QN_E_CLOSED, waiting writers too; what the queue holds is still
 * sent (for at most the stall time without progress), then the descriptor is closed. While a dial
 * is under way: with bytes written it is remembered until they are sent, else the dial is stopped.
 * Unread bytes are dropped. The handle is of no further use. Idempotent. */
QN_API void qn_stream_close(qn_stream_t *s);
/* Immediate: the queue is dropped, TCP peers see a reset. Idempotent. */
QN_API void qn_stream_abort(qn_stream_t *s);
/* Waits until the descriptor is gone: 0 at once when there is none (any more), QN_AGAIN: `op`
 * settles with 0. One waiter per stream (QN_E_BUSY). */
QN_API int qn_stream_closed(qn_stream_t *s, qn_op_t *op);

/* The end of a program. _close closes every stream of the loop gracefully, _closing tells whether
 * one still holds bytes that it is sending, _abort ends them all at once. References stay. */
QN_API void qn_streams_close(qn_loop_t *loop);
QN_API bool qn_streams_closing(qn_loop_t *loop);
QN_API void qn_streams_abort(qn_loop_t *loop);

/* on, before the stream is connected: once it is, nothing passes (what is written is kept, reads
 * wait) until a layer has been pushed and is up, so that nothing goes out below it. The push may
 * find waiting readers and writers then. off: no layer comes. */
QN_API void qn_stream_hold(qn_stream_t *s, bool on);

/* --- reading --------------------------------------------------------------------------------- */

typedef enum qn_want_kind {
  QN_WANT_SOME,  /* at least one byte, at most n */
  QN_WANT_UPTO,  /* n bytes, fewer only at the end of the stream */
  QN_WANT_EXACT, /* n bytes, else QN_E_EOF */
  QN_WANT_DELIM, /* up to and including the delimiter; at the end of the stream what is left */
  QN_WANT_ALL,   /* everything until the end of the stream */
  QN_WANT_SCAN   /* a scanner decides (numbers, unpack formats, user framing) */
} qn_want_kind_t;

/* Looks at the bytes so far: > 0 = this many bytes are the item; 0 = more is needed (*need is set
 * to the least total that can help, 0 = one more); negative = error. `ended`: no more will come.
 * *need is 0 at the first look at an item: what the scanner noted in `arg` is void then, else all
 * bytes that it has seen are still there and it may go on where it was. */
typedef int64_t (*qn_scan_fn)(const uint8_t *data, size_t size, bool ended, size_t *need,
                              void *arg);

typedef struct qn_want {
  qn_want_kind_t kind;
  size_t n;          /* SOME (0 = whatever there is), UPTO, EXACT */
  size_t max;        /* the largest item (DELIM: without its delimiter; ALL, SCAN), a larger one is
                        QN_E_LIMIT; 0 = QN_LINE_MAX_DEFAULT (DELIM) or QN_ALL_MAX_DEFAULT */
  const char *delim; /* DELIM: stays valid while the op is pending; 1..64 bytes */
  size_t delim_size;
  qn_scan_fn scan;
  void *arg;
} qn_want_t;

/* What satisfied a want. */
typedef struct qn_got {
  size_t size; /* bytes at the front of the buffer that belong to it (delimiter included) */
  size_t
      delim_size; /* how many of them at the end are the delimiter; 0 when the stream ended first */
  bool ended;     /* the stream ended and these are its last bytes (or none: size == 0) */
} qn_got_t;

/* 0: *got is set now. QN_AGAIN: `op` waits (NULL: nobody does); in `done` a result of 0 means that
 * qn_stream_got(s) is set, negative results are errors (QN_E_EOF for EXACT cut short, with the
 * bytes still in the buffer; QN_E_LIMIT; QN_E_CLOSED; the stream's own error; QN_E_EOF for a SCAN
 * cut short). QN_E_BUSY: another reader waits; it is not disturbed. Tries to fill before it waits.
 * Bytes stay in the buffer until they are consumed: a cancelled or timed-out want loses nothing.
 * The want is copied. */
QN_API int qn_stream_want(qn_stream_t *s, qn_op_t *op, const qn_want_t *want, qn_got_t *got);
QN_API qn_got_t qn_stream_got(const qn_stream_t *s);
/* The buffered bytes, contiguous; valid until the next call on the stream. */
QN_API qn_slice_t qn_stream_data(const qn_stream_t *s);
QN_API void qn_stream_consume(qn_stream_t *s, size_t n);
/* Must follow the use of a satisfied want before anything else runs (the bytes may lie in memory
 * that the loop lends to every stream); qn_stream_consume does it too. */
QN_API void qn_stream_keep(qn_stream_t *s);
/* Puts bytes back in front (they count against no limit but QN_E_LIMIT at 64 MiB). */
QN_API int qn_stream_unread(qn_stream_t *s, qn_slice_t bytes);
/* Receives straight into the caller's memory when the buffer is empty: > 0 bytes, 0 end, QN_AGAIN
 * (op waits for readability: call again in `done`), or an error. */
QN_API int64_t qn_stream_read_into(qn_stream_t *s, qn_op_t *op, uint8_t *data, size_t size);

QN_API bool qn_stream_at_end(const qn_stream_t *s); /* ended and nothing buffered */
QN_API size_t qn_stream_available(const qn_stream_t *s);
QN_API void qn_stream_set_read_limit(qn_stream_t *s, size_t limit); /* 0 = unlimited */
QN_API size_t qn_stream_read_limit(const qn_stream_t *s);
/* Begins reading ahead although nobody wants anything (event listeners); `on` = false stops it. */
QN_API void qn_stream_read_ahead(qn_stream_t *s, bool on);

/* --- writing --------------------------------------------------------------------------------- */

/* Storage of a waiting writer; the caller keeps it and the bytes alive until `op` settles. */
typedef struct qn_writer {
  const qn_slice_t *v;
  int n, i;            /* slices, the current one */
  size_t off;          /* bytes of the current one that were taken */
  size_t taken;        /* bytes taken in all: err.partial after a failure */
  size_t left;         /* private: bytes not yet taken */
  qn_stream_t *stream; /* private */
  const void *steps;   /* private */
  qn_op_t *op;         /* private: who waits */
  uint8_t what;        /* private: write, flush or finish */
} qn_writer_t;

/* 0: everything was taken (sent or copied into the queue). QN_AGAIN: `op` waits for room with `w`
 * as its storage (w == NULL or op == NULL: QN_AGAIN is returned without waiting and nothing was
 * taken; it is accepted when all of it fits below the mark and nobody waits). Negative: error;
 * w->taken says how much was taken. QN_E_BUSY while a pump or a file sender holds the
 * writing side. A writer that is cancelled after a partial hand-over fails the writing side for
 * good (the peer would see a torn message). */
QN_API int qn_stream_write(qn_stream_t *s, qn_op_t *op, qn_writer_t *w, const qn_slice_t *v, int n);
/* Waits until the queue is empty. */
QN_API int qn_stream_flush(qn_stream_t *s, qn_op_t *op, qn_writer_t *w);
/* Flushes, then ends our writing side (FIN; close_notify first where there is TLS). Later writes
 * give QN_E_SHUTDOWN from now on. It goes on when nobody waits for it (op == NULL, or cancelled). 0
 * when it is done, also when it was done before. */
QN_API int qn_stream_finish(qn_stream_t *s, qn_op_t *op, qn_writer_t *w);
/* Tries to send what is queued now, without waiting: bytes sent, or an error. */
QN_API int64_t qn_stream_push_out(qn_stream_t *s);
QN_API size_t qn_stream_queued(const qn_stream_t *s); /* bytes taken but not given to the kernel */
QN_API void qn_stream_set_write_mark(qn_stream_t *s, size_t mark);
QN_API size_t qn_stream_write_mark(const qn_stream_t *s);
/* Counts progress of the writing side: lets callers restart a stall deadline. */
QN_API uint64_t qn_stream_sent(const qn_stream_t *s);
QN_API uint64_t qn_stream_received(const qn_stream_t *s);
/* No progress for this long while somebody waits for the writing side: it has failed with
 * QN_E_TIMEOUT, a closing stream is aborted. 0 = no limit; default 60 s. */
QN_API void qn_stream_set_stall(qn_stream_t *s, uint64_t ms);

/* --- bulk ------------------------------------------------------------------------------------ */

/* Moves bytes from `src` to `dst` in C until `src` ends, `limit` bytes have passed (0 = all) or one
 * side fails. Holds src's reader and dst's writer. src == dst is an echo. */
typedef struct qn_pump qn_pump_t;
typedef struct qn_pump_opts {
  uint64_t limit;
  bool keep_open; /* do not end dst's writing side when src ends */
} qn_pump_opts_t;
/* QN_AGAIN or an error. Result in `done`: bytes moved, or an error; in both cases
 * qn_pump_moved / qn_pump_failed(op) tell how much and which side failed ('r', 'w' or 0). */
QN_API int qn_pump_start(qn_stream_t *src, qn_stream_t *dst, const qn_pump_opts_t *opts,
                         qn_op_t *op);
QN_API uint64_t qn_pump_moved(const qn_op_t *op);
QN_API char qn_pump_failed(const qn_op_t *op);
QN_API void qn_pump_end(
    qn_op_t *op); /* frees the pump; every `done` (or who forgets op) must call it */

/* Sends `count` bytes (UINT64_MAX = to the end) of the descriptor from `offset`, by sendfile(2)
 * when the stack is a bare socket. The descriptor must stay open until `op` settles. Result: bytes.
 */
QN_API int qn_send_file(qn_stream_t *s, int fd, uint64_t offset, uint64_t count, qn_op_t *op);
/* The same for a file by its path, which is opened in the thread pool while the operation keeps its
 * place among the writers. qn_send_file_opened: false in `done` = opening it has failed. */
QN_API int qn_send_file_path(qn_stream_t *s, const char *path, uint64_t offset, uint64_t count,
                             qn_op_t *op);
QN_API bool qn_send_file_opened(const qn_op_t *op);
QN_API uint64_t qn_send_file_sent(const qn_op_t *op);
QN_API void qn_send_file_end(qn_op_t *op);

/* --- files ----------------------------------------------------------------------------------- */

/* A stream over an open file (qn/file.h), of which it becomes the owner (also on failure: it is
 * closed). `offset` >= 0: the file has a position, which begins there and is shared by reading and
 * writing as in C stdio; a write drops what was read ahead. -1, or a descriptor that cannot seek:
 * bytes go to and come from the descriptor's own position, and the two directions know nothing of
 * each other. Files opened to append write at the end. Directions that are not there fail with
 * -EBADF; a failure is one direction's only. A directory gives -EISDIR. Unlike others, such a
 * stream stays open when both directions are over, unless it is only written. */
struct qn_file;
QN_API int qn_stream_file(qn_loop_t *loop, struct qn_file *file, bool readable, bool writable,
                          int64_t offset, qn_stream_t **out);
/* Why bytes that were accepted did not get into the file, or the error of closing it; 0 = none.
 * Known for certain after qn_stream_closed. */
QN_API int qn_stream_file_error(const qn_stream_t *s);

/* The calls below wait for the queue of the writing side first, then for the thread pool. QN_AGAIN:
 * `op` settles, and its `done` (or who forgets it) calls qn_stream_file_end. QN_E_UNSUPPORTED: the
 * stream is no file; QN_E_CLOSED, or what had failed before. */
typedef enum qn_whence { QN_SEEK_SET, QN_SEEK_CUR, QN_SEEK_END } qn_whence_t;
/* The new position (>= 0, also as the op's result). QN_SEEK_CUR with 0 moves nothing; else what was
 * read ahead is dropped, and the end of the file and a failed read are forgotten. -ESPIPE: there is
 * no position. QN_E_BUSY while a reader waits. */
QN_API int64_t qn_stream_seek(qn_stream_t *s, qn_op_t *op, qn_whence_t whence, int64_t offset);
QN_API int qn_stream_truncate(qn_stream_t *s, qn_op_t *op, uint64_t size);
QN_API int qn_stream_sync(qn_stream_t *s, qn_op_t *op); /* fsync(2) */
QN_API int qn_stream_stat(qn_stream_t *s, qn_op_t *op);
struct qn_file_stat;
QN_API const struct qn_file_stat *qn_stream_stat_result(const qn_op_t *op); /* in `done` */
QN_API void qn_stream_file_end(qn_op_t *op);

/* --- facts ----------------------------------------------------------------------------------- */

QN_API qn_state_t qn_stream_state(const qn_stream_t *s);
QN_API bool qn_stream_is_closed(const qn_stream_t *s); /* close or abort was called */
QN_API bool qn_stream_readable(const qn_stream_t *s); /* our reading side has not ended or failed */
QN_API bool qn_stream_writable(const qn_stream_t *s);
/* The last error (sticky), 0 = none. */
QN_API int qn_stream_error(const qn_stream_t *s);
/* QN_E_NOT_CONNECTED when there is none; known until close, also after the peer has ended it. */
QN_API int qn_stream_local_addr(const qn_stream_t *s, qn_addr_t *out);
QN_API int qn_stream_peer_addr(const qn_stream_t *s, qn_addr_t *out);
QN_API int qn_stream_fd(const qn_stream_t *s); /* -1 when there is none */
/* "socket", "trace>socket" ...: the filters from top to bottom. */
QN_API size_t qn_stream_describe(const qn_stream_t *s, char *buf, size_t size);
QN_API uint64_t qn_stream_id(const qn_stream_t *s); /* per loop, from 1; what traces show */

/* Socket options by name: nodelay keepalive keepalive_idle keepalive_interval keepalive_count
 * send_buffer receive_buffer linger tos ttl reuse_address path_mtu(read only) error(read only) ...
 * Set before connect: stored, applied to each descriptor that is made. */
QN_API int qn_stream_set_option(qn_stream_t *s, const char *name, int64_t value);
QN_API int qn_stream_get_option(qn_stream_t *s, const char *name, int64_t *value);

/* --- events ----------------------------------------------------------------------------------
 *
 * Orders. Connecting: STATE(host_lookup) STATE(connecting) HOST_FOUND STATE(connected) CONNECTED.
 * The peer ends its side: READ_ENDED; that is no error. Once both sides have ended, the stream
 * becomes unconnected by itself: STATE(unconnected) DISCONNECTED CLOSED. A reset ends both sides at
 * once: ERROR STATE(unconnected) READ_ENDED DISCONNECTED CLOSED. Our close: STATE(closing)
 * STATE(unconnected) READ_ENDED DISCONNECTED CLOSED. READ_ENDED comes once, DISCONNECTED only after
 * connected or closing. */

typedef enum qn_event {
  QN_EVENT_STATE = 1 << 0, /* arg: the new state */
  QN_EVENT_HOST_FOUND = 1 << 1,
  QN_EVENT_CONNECTED = 1 << 2,
  QN_EVENT_READY_READ =
      1 << 3, /* new bytes in the buffer, or the end of the stream; once per arrival */
  QN_EVENT_WRITTEN = 1 << 4, /* arg: bytes that went to the kernel since the last such event */
  QN_EVENT_ERROR = 1 << 5,   /* arg: the error */
  QN_EVENT_DISCONNECTED = 1 << 6,
  QN_EVENT_READ_ENDED = 1 << 7,
  QN_EVENT_CLOSED = 1 << 8 /* the descriptor is gone (always the last one) */
} qn_event_t;

/* The observer only takes notes: it must not call back into the stream. `mask` says what it wants;
 * 0 and NULL switch it off. */
typedef void (*qn_observer_fn)(qn_stream_t *s, qn_event_t event, int64_t arg, void *data);
QN_API void qn_stream_observe(qn_stream_t *s, unsigned mask, qn_observer_fn fn, void *data);

#endif

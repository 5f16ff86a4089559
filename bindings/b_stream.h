/* b_stream.h: what the stream bindings share: the userdata of a stream and how errors name its
 * peer.
 *
 * Private to b_stream.c, b_read.c, b_write.c, b_bulk.c, b_socket.c, b_listen.c, b_file.c,
 * b_events.c.
 */
#ifndef QNL_B_STREAM_H
#define QNL_B_STREAM_H

#include "qn/buf.h"
#include "qnl.h"
#include "sched.h"

typedef struct qnl_emitter qnl_emitter_t;

typedef struct qnl_timeouts {
  uint64_t connect, read, idle; /* ms; QNL_NEVER = none */
  uint64_t traffic;             /* bytes that had passed when the waiting read began */
  qn_want_t want;               /* what it waits for, to ask once more */
} qnl_timeouts_t;

/* Bytes that were read and may have to go back: since begin(), or by one read of several formats.
 */
typedef struct qnl_txn {
  qn_buf_t taken;
} qnl_txn_t;

typedef struct qnl_stream {
  qnl_box_t box; /* obj = this struct while it is alive */
  qn_stream_t *s;
  qnl_timeouts_t *timeouts; /* NULL = defaults */
  qnl_txn_t *txn;           /* NULL = no transaction */
  qnl_txn_t *items;         /* of a read of several formats that is under way, or NULL */
  qnl_emitter_t *emitter;   /* NULL = no listener yet */
  struct qnl_tls_conn *tls; /* the topmost TLS layer (b_tls.c), NULL = none */
  char *name;               /* host or path as given to connect */
} qnl_stream_t;

/* Pushes an empty userdata of a stream class; fill in u->s (one reference) before anything can
 * fail. */
qnl_stream_t *qnl_push_stream(lua_State *L, qnl_state_t *G, const qnl_class_t *cls);
qnl_stream_t *qnl_check_stream(lua_State *L, int idx);
/* nil, err with op and the peer's address. */
int qnl_stream_fail(lua_State *L, qnl_stream_t *u, int code, const char *op, const char *phase);
void qnl_push_stream_error(lua_State *L, qnl_stream_t *u, int code, const char *op,
                           const char *phase);
const char *qnl_peer_text(qnl_stream_t *u, char *buf, size_t size);
uint64_t qnl_read_timeout(const qnl_stream_t *u);
/* Keeps the raw bytes of an item that is about to be taken while others are to follow. */
int qnl_items_keep(qnl_stream_t *u, size_t size, bool first);
/* The wait for a later item is raised out of: the next read sees the earlier ones again. */
void qnl_items_give_back(qnl_task_t *t);
void qnl_items_forget(qnl_stream_t *u);
/* b_read.c, b_write.c, b_bulk.c: their methods are added to the stream class. */
extern const qnl_method_t qnl_read_methods[], qnl_write_methods[], qnl_bulk_methods[];

/* b_buffer.c: reusable bytes. */
typedef struct qnl_buffer {
  qn_buf_t b;
  size_t capacity; /* what the user asked for: the default size of one read */
  int pins;        /* waiting writes that look at the bytes */
} qnl_buffer_t;
qnl_buffer_t *qnl_test_buffer(lua_State *L, int idx);
qnl_buffer_t *qnl_check_buffer(lua_State *L, int idx);
/* The same, and it may be changed now; raises while a write waits on it. */
qnl_buffer_t *qnl_check_free_buffer(lua_State *L, int idx);

/* unpack.c: how many bytes a string.unpack format needs. */
typedef struct qnl_unpack_scan {
  const char *fmt; /* as for string.unpack: ends at the first zero */
  size_t max;      /* the largest item in all that is believed */
  size_t first;    /* position of the first byte, for alignment (0 for streams) */
  char error[64];  /* why QN_E_INVALID was returned: a bad format */
  /* private: the items before `at` are complete and end at `pos` */
  size_t at, pos, max_align, searched;
  bool little;
} qnl_unpack_scan_t;
/* A qn_scan_fn: > 0 complete (this many bytes), 0 more (*need; a format that needs no bytes at all
 * leaves it 0), QN_E_INVALID bad format, QN_E_LIMIT, QN_E_PROTOCOL (an integer that no Lua integer
 * can hold). *need must be 0 at the first look at an item. */
int64_t qnl_scan_unpack(const uint8_t *data, size_t size, bool ended, size_t *need, void *arg);
/* A qn_scan_fn: the text of a number as io.read("n") takes it (with leading white space);
 * QN_E_LIMIT for a numeral of more than 200 characters, QN_E_INVALID when no numeral can begin
 * here. `arg` is a size_t for its notes. */
int64_t qnl_scan_number(const uint8_t *data, size_t size, bool ended, size_t *need, void *arg);

/* b_events.c */
void qnl_emitter_free(qnl_stream_t *u);
/* A socket with listeners is about to have events: the collector leaves it alone. */
void qnl_anchor_observed(lua_State *L, qnl_stream_t *u, int idx);
void qnl_unanchor(lua_State *L, qnl_emitter_t *e); /* NULL is fine */

#endif

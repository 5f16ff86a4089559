/* qn/file.h: files without blocking the loop: every call runs in the thread pool as an operation.
 *
 * A file has no position of its own here: reads and writes name their offset (-1 = the descriptor's
 * own position, for pipes and devices). One object may have several operations under way; buffers
 * of a running call belong to the request, so cancellation never leaves a thread writing into freed
 * memory.
 */
#ifndef QN_FILE_H
#define QN_FILE_H

#include "qn/work.h"

typedef struct qn_file qn_file_t;

typedef struct qn_file_stat {
  uint64_t size;
  double modified, accessed, changed; /* seconds since the epoch */
  uint32_t mode, uid, gid;
  uint64_t inode, device;
  char type; /* 'f' file 'd' directory 'l' link 'p' pipe 's' socket 'c' device 'b' block '?' */
} qn_file_stat_t;

/* `mode` as in fopen: r r+ w w+ a a+ (a "b" is allowed and means nothing), plus "x" = must not
 * exist. Always QN_AGAIN or an error; the op's result is 0 and qn_file_opened(op) gives it. */
QN_API int qn_file_open(qn_loop_t *loop, qn_op_t *op, const char *path, const char *mode);
QN_API qn_file_t *qn_file_opened(qn_op_t *op); /* in `done`, once: the caller owns it */
/* Takes over an open descriptor. */
QN_API int qn_file_adopt(qn_loop_t *loop, int fd, qn_file_t **out);
/* Reads up to `size` bytes at `offset` into memory of the request; op->result = bytes, 0 at the
 * end. In `done`: qn_file_bytes(op) points at them until qn_file_end(op). */
QN_API int qn_file_read(qn_file_t *f, qn_op_t *op, size_t size, int64_t offset);
QN_API const uint8_t *qn_file_bytes(qn_op_t *op);
/* Writes all of it (copied before the call returns); op->result = bytes. */
QN_API int qn_file_write(qn_file_t *f, qn_op_t *op, const qn_slice_t *v, int n, int64_t offset);
/* Writes as much as a descriptor that is ready (a pipe, a terminal) takes without waiting, perhaps
 * nothing; op->result = bytes. */
QN_API int qn_file_write_some(qn_file_t *f, qn_op_t *op, qn_slice_t bytes);
QN_API int qn_file_sync(qn_file_t *f, qn_op_t *op);
QN_API int qn_file_truncate(qn_file_t *f, qn_op_t *op, uint64_t size);
QN_API int qn_file_fstat(qn_file_t *f, qn_op_t *op);
QN_API int qn_file_stat(qn_loop_t *loop, qn_op_t *op, const char *path, bool follow);
QN_API const qn_file_stat_t *qn_file_stat_result(qn_op_t *op); /* in `done`, until qn_file_end */
/* Frees the request behind a settled op (a no-op when it was cancelled). Every `done` must call it,
 * and so must who forgets the op. */
QN_API void qn_file_end(qn_op_t *op);
QN_API int qn_file_fd(const qn_file_t *f);
/* Closes the descriptor (in the pool, waiting for running calls) and frees the object. Idempotent
 * through NULL. */
QN_API void qn_file_close(qn_file_t *f);
/* What to call when the descriptor is gone, with 0 or the error of close(2), after which the object
 * is no more. May come beneath a libuv callback: it may queue and settle, nothing else. */
QN_API void qn_file_on_close(qn_file_t *f, void (*fn)(void *arg, int result), void *arg);

/* --- names ----------------------------------------------------------------------------------- */

/* QN_AGAIN or an error; the op's result is 0 or an error. End each with qn_file_end_names. */
QN_API int qn_file_remove(qn_loop_t *loop, qn_op_t *op, const char *path); /* or empty directory */
QN_API int qn_file_rename(qn_loop_t *loop, qn_op_t *op, const char *from, const char *to);
QN_API int qn_file_mkdir(qn_loop_t *loop, qn_op_t *op, const char *path, uint32_t mode);
QN_API int qn_file_chmod(qn_loop_t *loop, qn_op_t *op, const char *path, uint32_t mode);
/* Every name in a directory but "." and "..". The result is the bytes that they need: more than
 * `room` means that some are missing, ask again. */
QN_API int qn_file_list(qn_loop_t *loop, qn_op_t *op, const char *path, size_t room);
/* In `done`: the names that fitted, behind each other, each ended by a zero byte. */
QN_API qn_slice_t qn_file_names(qn_op_t *op);
QN_API void qn_file_end_names(qn_op_t *op);

#endif

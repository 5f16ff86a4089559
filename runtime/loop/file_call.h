/* file_call.h: one file operation as the pool thread sees it. Private to file.c and file_call.c.
 *
 * A call owns everything it touches, so that a cancelled one may finish in its own time.
 */
#ifndef QN_FILE_CALL_H
#define QN_FILE_CALL_H

#include "qn/file.h"

#include "loop/work_i.h"

struct qn_file {
  qn_work_t closer;
  qn__job_t *closer_job; /* taken in advance: closing cannot fail */
  qn_loop_t *loop;
  int fd;
  int users; /* calls that hold the descriptor */
  bool closing;
  int close_rc; /* set by the pool thread that closes */
  void (*on_close)(void *arg, int result);
  void *on_close_arg;
};

typedef struct qn__file_call {
  qn_work_t work;
  qn_loop_t *loop;
  qn_file_t *file; /* the one it works on, or (open) the one it makes */
  bool opens;
  int fd;
  int flags;
  bool follow;
  char *path;
  uint8_t *bytes;
  size_t size;
  int64_t offset;
  qn_file_stat_t stat;
} qn__file_call_t;

/* The functions for qn_work_t.run. */
int64_t qn__call_open(qn_work_t *w);
int64_t qn__call_read(qn_work_t *w);
int64_t qn__call_write(qn_work_t *w);
int64_t qn__call_write_some(qn_work_t *w);
int64_t qn__call_sync(qn_work_t *w);
int64_t qn__call_truncate(qn_work_t *w);
int64_t qn__call_fstat(qn_work_t *w);
int64_t qn__call_stat(qn_work_t *w);

#endif

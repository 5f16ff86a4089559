/* What the tests of file streams share: a temporary file, a stream over it, reads and writes that
 * wait for the thread pool. */
#ifndef QN_SPEC_FILE_RIG_H
#define QN_SPEC_FILE_RIG_H

#include "runtime/stream/rig.h"

#include "qn/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct files {
  rig_t rig;
  qn_loop_t *loop;
  char path[64];
  qn_stream_t *s;
} files_t;

/* A new file with these bytes; no stream yet. */
TEST_UNUSED static void files_open(files_t *x, const void *data, size_t size)
{
  memset(x, 0, sizeof *x);
  rig_open(&x->rig);
  x->loop = x->rig.loop;
  snprintf(x->path, sizeof x->path, "/tmp/qn-f-file-XXXXXX");
  int fd = mkstemp(x->path);
  REQUIRE(fd >= 0);
  CHECK_INT(write(fd, data, size), size);
  close(fd);
}

/* Ends the stream, whatever state it is in, and waits until its descriptor is gone. */
TEST_UNUSED static void drop_stream(files_t *x)
{
  if (x->s != NULL) {
    qn_stream_close(x->s);
    TURN_UNTIL(x->loop, x->s->top == NULL && x->s->dying == 0);
    qn_stream_release(x->s);
    x->s = NULL;
  }
}

TEST_UNUSED static void files_close(files_t *x)
{
  drop_stream(x);
  unlink(x->path);
  rig_close(&x->rig);
}

TEST_UNUSED static int stream_over(files_t *x, int fd, int64_t offset)
{
  qn_file_t *f;
  int how = fcntl(fd, F_GETFL) & O_ACCMODE;
  int rc = qn_file_adopt(x->loop, fd, &f);
  if (rc < 0) {
    close(fd);
    return rc;
  }
  return qn_stream_file(x->loop, f, how != O_WRONLY, how != O_RDONLY, offset, &x->s);
}

/* A stream over the temporary file. */
TEST_UNUSED static void over(files_t *x, int flags)
{
  int fd = open(x->path, flags | O_CLOEXEC);
  REQUIRE(fd >= 0);
  REQUIRE_INT(stream_over(x, fd, 0), 0);
}

/* What lies on the disk now. */
TEST_UNUSED static size_t on_disk(const files_t *x, void *data, size_t size)
{
  int fd = open(x->path, O_RDONLY);
  ssize_t n = read(fd, data, size);
  close(fd);
  return n < 0 ? 0 : (size_t)n;
}

#define CHECK_DISK(x, text)                     \
  do {                                          \
    char disk[4096];                            \
    size_t n = on_disk((x), disk, sizeof disk); \
    CHECK_MEM(disk, n, (text), strlen(text));   \
  } while (0)

/* Reads, waiting for the pool: 0 or an error. */
TEST_UNUSED static int64_t get(files_t *x, reading_t *r, qn_want_t want)
{
  int rc = start_read(r, x->s, want);
  if (rc != QN_AGAIN) {
    return rc;
  }
  TURN_UNTIL(x->loop, r->note.done);
  return r->note.result;
}

TEST_UNUSED static int64_t flush(files_t *x)
{
  note_t note;
  qn_writer_t w;
  note_init(&note, x->loop);
  int rc = qn_stream_flush(x->s, &note.op, &w);
  if (rc != QN_AGAIN) {
    return rc;
  }
  TURN_UNTIL(x->loop, note.done);
  return note.result;
}

TEST_UNUSED static void note_file_done(qn_op_t *op)
{
  note_done(op);
  qn_stream_file_end(op);
}

TEST_UNUSED static int64_t seek(files_t *x, qn_whence_t whence, int64_t offset)
{
  note_t note;
  note_init(&note, x->loop);
  note.op.done = note_file_done;
  int64_t rc = qn_stream_seek(x->s, &note.op, whence, offset);
  if (rc != QN_AGAIN) {
    return rc;
  }
  TURN_UNTIL(x->loop, note.done);
  return note.result;
}
TEST_UNUSED static int64_t tell(files_t *x) { return seek(x, QN_SEEK_CUR, 0); }

#endif

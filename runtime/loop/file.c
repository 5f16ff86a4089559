/* file.c: files as operations: makes the requests that file_call.c runs in the pool.
 *
 * Called by send_file and the bindings. Arguments are checked and memory is taken before anything
 * is started. Must not touch a descriptor on the loop's thread except to adopt or report it.
 * Invariant: a descriptor is closed exactly once, after the last call that uses it has been ended.
 */
#include "loop/file_call.h"

#include "loop/loop_core.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* --- objects --------------------------------------------------------------------------------- */

static int64_t run_close(qn_work_t *w)
{
  qn_file_t *f = QN__CONTAINER(w, qn_file_t, closer);
  /* Not repeated when interrupted: on Linux the descriptor is gone all the same. */
  f->close_rc = close(f->fd) < 0 && errno != EINTR ? -errno : 0;
  return f->close_rc;
}

static void free_closed(qn_work_t *w)
{
  qn_file_t *f = QN__CONTAINER(w, qn_file_t, closer);
  void (*on_close)(void *arg, int result) = f->on_close;
  void *arg = f->on_close_arg;
  int rc = f->close_rc;
  qn__object_gone(f->loop, "file");
  qn_free(f);
  if (on_close != NULL) {
    on_close(arg, rc);
  }
}

static qn_file_t *file_new(qn_loop_t *loop)
{
  qn_file_t *f = qn_calloc(1, sizeof *f);
  if (f == NULL) {
    return NULL;
  }
  f->closer_job = qn__job_new();
  if (f->closer_job == NULL) {
    qn_free(f);
    return NULL;
  }
  f->closer = (qn_work_t){.run = run_close, .free = free_closed};
  f->loop = loop;
  f->fd = -1;
  return f;
}

static void close_if_unused(qn_file_t *f)
{
  if (f->closing && f->users == 0) {
    qn__work_detach(f->loop, &f->closer, f->closer_job);
  }
}

void qn_file_on_close(qn_file_t *f, void (*fn)(void *arg, int result), void *arg)
{
  f->on_close = fn;
  f->on_close_arg = arg;
}

void qn_file_close(qn_file_t *f)
{
  if (f != NULL && !f->closing) {
    f->closing = true;
    close_if_unused(f);
  }
}

int qn_file_adopt(qn_loop_t *loop, int fd, qn_file_t **out)
{
  *out = NULL;
  if (fcntl(fd, F_GETFD) < 0) {
    return -errno;
  }
  qn_file_t *f = file_new(loop);
  if (f == NULL) {
    return -ENOMEM;
  }
  f->fd = fd;
  qn__object_born(loop, "file");
  *out = f;
  return 0;
}

int qn_file_fd(const qn_file_t *f) { return f->fd; }

/* --- calls ----------------------------------------------------------------------------------- */

static qn__file_call_t *call_behind(qn_op_t *op)
{
  return op->owner != NULL ? QN__CONTAINER(op->owner, qn__file_call_t, work) : NULL;
}

static void free_call(qn_work_t *w)
{
  qn__file_call_t *c = QN__CONTAINER(w, qn__file_call_t, work);
  if (c->opens && c->file != NULL) { /* nobody took the new file */
    if (c->fd >= 0) {
      close(c->fd);
    }
    qn__job_free(c->file->closer_job);
    qn_free(c->file);
  } else if (c->file != NULL) {
    c->file->users--;
    close_if_unused(c->file);
  }
  qn_free(c->path);
  qn_free(c->bytes);
  qn_free(c);
}

static qn__file_call_t *call_new(qn_loop_t *loop, int64_t (*run)(qn_work_t *w))
{
  qn__file_call_t *c = qn_calloc(1, sizeof *c);
  if (c != NULL) {
    c->work = (qn_work_t){.run = run, .free = free_call};
    c->loop = loop;
    c->fd = -1;
  }
  return c;
}

/* A call on an open file, with room for `size` bytes. */
static int call_on_file(qn_file_t *f, size_t size, int64_t (*run)(qn_work_t *w),
                        qn__file_call_t **out)
{
  if (f->closing) {
    return QN_E_CLOSED;
  }
  qn__file_call_t *c = call_new(f->loop, run);
  if (c == NULL) {
    return -ENOMEM;
  }
  if (size != 0 && (c->bytes = qn_malloc(size)) == NULL) {
    free_call(&c->work);
    return -ENOMEM;
  }
  c->file = f;
  c->fd = f->fd;
  c->size = size;
  f->users++;
  *out = c;
  return 0;
}

static int start(qn__file_call_t *c, qn_op_t *op)
{
  int rc = qn_work_start(c->loop, &c->work, op);
  if (rc < 0) {
    free_call(&c->work);
    return rc;
  }
  return QN_AGAIN;
}

/* -1 for a mode that fopen would not know. */
static int open_flags(const char *mode)
{
  int flags, more = 0;
  switch (mode[0]) {
  case 'r': flags = O_RDONLY; break;
  case 'w':
    flags = O_WRONLY;
    more = O_CREAT | O_TRUNC;
    break;
  case 'a':
    flags = O_WRONLY;
    more = O_CREAT | O_APPEND;
    break;
  default: return -1;
  }
  bool plus = false, binary = false, exclusive = false;
  for (const char *p = mode + 1; *p != '\0'; p++) {
    bool *seen = *p == '+' ? &plus : *p == 'b' ? &binary : *p == 'x' ? &exclusive : NULL;
    if (seen == NULL || *seen) {
      return -1;
    }
    *seen = true;
  }
  if (exclusive && mode[0] == 'r') {
    return -1;
  }
  return (plus ? O_RDWR : flags) | more | (exclusive ? O_EXCL : 0) | O_CLOEXEC;
}

int qn_file_open(qn_loop_t *loop, qn_op_t *op, const char *path, const char *mode)
{
  int flags = open_flags(mode);
  if (flags < 0) {
    return QN_E_INVALID;
  }
  qn__file_call_t *c = call_new(loop, qn__call_open);
  if (c == NULL) {
    return -ENOMEM;
  }
  c->opens = true;
  c->flags = flags;
  c->path = qn_strdup(path);
  c->file = file_new(loop);
  if (c->path == NULL || c->file == NULL) {
    free_call(&c->work);
    return -ENOMEM;
  }
  return start(c, op);
}

qn_file_t *qn_file_opened(qn_op_t *op)
{
  qn__file_call_t *c = call_behind(op);
  if (c == NULL || !c->opens || c->fd < 0 || c->file == NULL) {
    return NULL;
  }
  qn_file_t *f = c->file;
  f->fd = c->fd;
  c->file = NULL;
  c->fd = -1;
  qn__object_born(f->loop, "file");
  return f;
}

int qn_file_read(qn_file_t *f, qn_op_t *op, size_t size, int64_t offset)
{
  qn__file_call_t *c;
  if (size > INT32_MAX || offset < -1) {
    return QN_E_INVALID;
  }
  int rc = call_on_file(f, size, qn__call_read, &c);
  if (rc < 0) {
    return rc;
  }
  c->offset = offset;
  return start(c, op);
}

const uint8_t *qn_file_bytes(qn_op_t *op)
{
  qn__file_call_t *c = call_behind(op);
  return c != NULL ? c->bytes : NULL;
}

int qn_file_write(qn_file_t *f, qn_op_t *op, const qn_slice_t *v, int n, int64_t offset)
{
  size_t size = 0;
  for (int i = 0; i < n; i++) {
    if (v[i].size > INT32_MAX - size) {
      return QN_E_INVALID;
    }
    size += v[i].size;
  }
  if (offset < -1 || offset > INT64_MAX - (int64_t)size) {
    return QN_E_INVALID;
  }
  qn__file_call_t *c;
  int rc = call_on_file(f, size, qn__call_write, &c);
  if (rc < 0) {
    return rc;
  }
  size_t at = 0;
  for (int i = 0; i < n; i++) {
    if (v[i].size != 0) {
      memcpy(c->bytes + at, v[i].data, v[i].size);
      at += v[i].size;
    }
  }
  c->offset = offset;
  return start(c, op);
}

int qn_file_write_some(qn_file_t *f, qn_op_t *op, qn_slice_t bytes)
{
  qn__file_call_t *c;
  if (bytes.size == 0 || bytes.size > INT32_MAX) {
    return QN_E_INVALID;
  }
  int rc = call_on_file(f, bytes.size, qn__call_write_some, &c);
  if (rc < 0) {
    return rc;
  }
  memcpy(c->bytes, bytes.data, bytes.size);
  return start(c, op);
}

static int simple_call(qn_file_t *f, qn_op_t *op, int64_t (*run)(qn_work_t *w), int64_t number)
{
  qn__file_call_t *c;
  int rc = call_on_file(f, 0, run, &c);
  if (rc < 0) {
    return rc;
  }
  c->offset = number;
  return start(c, op);
}

int qn_file_sync(qn_file_t *f, qn_op_t *op) { return simple_call(f, op, qn__call_sync, 0); }

int qn_file_truncate(qn_file_t *f, qn_op_t *op, uint64_t size)
{
  if (size > INT64_MAX) {
    return QN_E_INVALID;
  }
  return simple_call(f, op, qn__call_truncate, (int64_t)size);
}

int qn_file_fstat(qn_file_t *f, qn_op_t *op) { return simple_call(f, op, qn__call_fstat, 0); }

int qn_file_stat(qn_loop_t *loop, qn_op_t *op, const char *path, bool follow)
{
  qn__file_call_t *c = call_new(loop, qn__call_stat);
  if (c == NULL) {
    return -ENOMEM;
  }
  c->follow = follow;
  c->path = qn_strdup(path);
  if (c->path == NULL) {
    free_call(&c->work);
    return -ENOMEM;
  }
  return start(c, op);
}

const qn_file_stat_t *qn_file_stat_result(qn_op_t *op)
{
  qn__file_call_t *c = call_behind(op);
  return c != NULL && op->result >= 0 ? &c->stat : NULL;
}

void qn_file_end(qn_op_t *op)
{
  if (op->owner != NULL) {
    qn_work_t *w = op->owner;
    op->owner = NULL;
    qn_work_end(w);
  }
}

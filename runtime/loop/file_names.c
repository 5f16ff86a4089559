/* file_names.c: calls on names in the file system: remove, rename, make and list directories.
 *
 * Called by the bindings; each runs in the thread pool as an operation and owns what it touches, so
 * a cancelled one may finish in its own time. Must not follow up: what a name means may change
 * between two calls. Invariant: a result is >= 0 or -errno.
 */
#include "loop/loop_i.h"

#include "qn/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct name_call {
  qn_work_t work;
  char *path, *to;
  uint32_t mode;
  char *names;
  size_t room, size;
} name_call_t;

static name_call_t *call_of(qn_work_t *w) { return QN__CONTAINER(w, name_call_t, work); }

static int64_t result_of(int rc) { return rc < 0 ? -errno : 0; }

static int64_t run_remove(qn_work_t *w) { return result_of(remove(call_of(w)->path)); }

static int64_t run_rename(qn_work_t *w)
{
  return result_of(rename(call_of(w)->path, call_of(w)->to));
}

static int64_t run_mkdir(qn_work_t *w)
{
  return result_of(mkdir(call_of(w)->path, (mode_t)call_of(w)->mode));
}

static int64_t run_chmod(qn_work_t *w)
{
  return result_of(chmod(call_of(w)->path, (mode_t)call_of(w)->mode));
}

/* Memory belongs to the loop's thread, so the room is given and the whole size is told. */
static int64_t run_list(qn_work_t *w)
{
  name_call_t *c = call_of(w);
  const struct dirent *e;
  size_t size = 0;
  DIR *dir = opendir(c->path);
  if (dir == NULL) {
    return -errno;
  }
  errno = 0;
  while ((e = readdir(dir)) != NULL) {
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
      size_t n = strlen(e->d_name) + 1;
      if (size <= c->room && n <= c->room - size) {
        memcpy(c->names + size, e->d_name, n);
        c->size = size + n;
      }
      size += n;
    }
    errno = 0;
  }
  int err = errno;
  closedir(dir);
  return err != 0 ? -err : (int64_t)size;
}

static void free_call(qn_work_t *w)
{
  name_call_t *c = call_of(w);
  qn_free(c->path);
  qn_free(c->to);
  qn_free(c->names);
  qn_free(c);
}

static int start(qn_loop_t *loop, qn_op_t *op, int64_t (*run)(qn_work_t *w),
                 const name_call_t *what)
{
  name_call_t *c = qn_calloc(1, sizeof *c);
  if (c == NULL) {
    return -ENOMEM;
  }
  int rc = -ENOMEM;
  c->work = (qn_work_t){.run = run, .free = free_call};
  c->mode = what->mode;
  c->room = what->room;
  c->path = qn_strdup(what->path);
  c->to = what->to != NULL ? qn_strdup(what->to) : NULL;
  c->names = what->room != 0 ? qn_malloc(what->room) : NULL;
  if (c->path != NULL && (c->to != NULL || what->to == NULL) &&
      (c->names != NULL || what->room == 0)) {
    rc = qn_work_start(loop, &c->work, op);
  }
  if (rc < 0) {
    free_call(&c->work);
    return rc;
  }
  return QN_AGAIN;
}

int qn_file_remove(qn_loop_t *loop, qn_op_t *op, const char *path)
{
  return start(loop, op, run_remove, &(name_call_t){.path = (char *)(uintptr_t)path});
}

int qn_file_rename(qn_loop_t *loop, qn_op_t *op, const char *from, const char *to)
{
  return start(loop, op, run_rename,
               &(name_call_t){.path = (char *)(uintptr_t)from, .to = (char *)(uintptr_t)to});
}

int qn_file_mkdir(qn_loop_t *loop, qn_op_t *op, const char *path, uint32_t mode)
{
  return start(loop, op, run_mkdir, &(name_call_t){.path = (char *)(uintptr_t)path, .mode = mode});
}

int qn_file_chmod(qn_loop_t *loop, qn_op_t *op, const char *path, uint32_t mode)
{
  return start(loop, op, run_chmod, &(name_call_t){.path = (char *)(uintptr_t)path, .mode = mode});
}

int qn_file_list(qn_loop_t *loop, qn_op_t *op, const char *path, size_t room)
{
  return start(loop, op, run_list, &(name_call_t){.path = (char *)(uintptr_t)path, .room = room});
}

qn_slice_t qn_file_names(qn_op_t *op)
{
  qn_slice_t none = {NULL, 0};
  if (op->owner == NULL) {
    return none;
  }
  const name_call_t *c = call_of(op->owner);
  return (qn_slice_t){(const uint8_t *)c->names, c->size};
}

void qn_file_end_names(qn_op_t *op)
{
  if (op->owner != NULL) {
    qn_work_t *w = op->owner;
    op->owner = NULL;
    qn_work_end(w);
  }
}

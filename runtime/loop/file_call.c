/* file_call.c: the system calls behind qn/file.h, one function per operation.
 *
 * Run by pool threads: they may block, and touch nothing but their own request. Interrupted calls
 * are repeated, partial writes continued, and a non-blocking descriptor is waited for. Invariant: a
 * result is >= 0 or -errno, and no function changes errno's meaning for another.
 */
#include "loop/file_call.h"

#include "loop/loop_i.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static qn__file_call_t *call_of(qn_work_t *w) { return QN__CONTAINER(w, qn__file_call_t, work); }

/* Whether the call that has just failed should be made again. */
static bool again(int fd, short events)
{
  if (errno == EINTR) {
    return true;
  }
  if (errno != EAGAIN) {
    return false;
  }
  struct pollfd p = {.fd = fd, .events = events};
  while (poll(&p, 1, -1) < 0) {
    if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

int64_t qn__call_open(qn_work_t *w)
{
  qn__file_call_t *c = call_of(w);
  do {
    c->fd = open(c->path, c->flags, 0666);
  } while (c->fd < 0 && errno == EINTR);
  return c->fd < 0 ? -errno : 0;
}

int64_t qn__call_read(qn_work_t *w)
{
  qn__file_call_t *c = call_of(w);
  for (;;) {
    ssize_t n = c->offset < 0 ? read(c->fd, c->bytes, c->size)
                              : pread(c->fd, c->bytes, c->size, (off_t)c->offset);
    if (n >= 0) {
      return n;
    }
    if (!again(c->fd, POLLIN)) {
      return -errno;
    }
  }
}

/* write(2) without the signal that a pipe without a reader brings: EPIPE says enough. */
static ssize_t write_quietly(int fd, const uint8_t *bytes, size_t size)
{
  sigset_t sigpipe, pending, before;
  struct timespec no_time = {0};
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
  ssize_t n = write(fd, bytes, size);
  int err = n < 0 ? errno : 0;
  if (err == EPIPE && !sigismember(&pending, SIGPIPE)) {
    sigtimedwait(&sigpipe, NULL, &no_time);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = err;
  return n;
}

int64_t qn__call_write(qn_work_t *w)
{
  qn__file_call_t *c = call_of(w);
  size_t sent = 0;
  while (sent < c->size) {
    ssize_t n = c->offset < 0
                    ? write_quietly(c->fd, c->bytes + sent, c->size - sent)
                    : pwrite(c->fd, c->bytes + sent, c->size - sent, (off_t)(c->offset + sent));
    if (n > 0) {
      sent += (size_t)n;
    } else if (n == 0) {
      return -EIO; /* a device that takes nothing and says nothing */
    } else if (!again(c->fd, POLLOUT)) {
      return -errno;
    }
  }
  return (int64_t)sent;
}

/* What a descriptor that is ready takes without waiting. */
int64_t qn__call_write_some(qn_work_t *w)
{
  qn__file_call_t *c = call_of(w);
  struct pollfd p = {.fd = c->fd, .events = POLLOUT};
  size_t sent = 0;
  do {
    /* A pipe that is ready has room for this much. */
    size_t size = c->size - sent < PIPE_BUF ? c->size - sent : PIPE_BUF;
    ssize_t n = write_quietly(c->fd, c->bytes + sent, size);
    if (n < 0 && errno != EINTR && errno != EAGAIN) {
      return sent > 0 ? (int64_t)sent : -errno;
    }
    sent += n > 0 ? (size_t)n : 0;
  } while (sent < c->size && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0);
  return (int64_t)sent;
}

int64_t qn__call_sync(qn_work_t *w)
{
  qn__file_call_t *c = call_of(w);
  int rc;
  do {
    rc = fsync(c->fd);
  } while (rc < 0 && errno == EINTR);
  return rc < 0 ? -errno : 0;
}

int64_t qn__call_truncate(qn_work_t *w)
{
  qn__file_call_t *c = call_of(w);
  int rc;
  do {
    rc = ftruncate(c->fd, (off_t)c->offset);
  } while (rc < 0 && errno == EINTR);
  return rc < 0 ? -errno : 0;
}

static char type_of(mode_t mode)
{
  switch (mode & S_IFMT) {
  case S_IFREG: return 'f';
  case S_IFDIR: return 'd';
  case S_IFLNK: return 'l';
  case S_IFIFO: return 'p';
  case S_IFSOCK: return 's';
  case S_IFCHR: return 'c';
  case S_IFBLK: return 'b';
  default: return '?';
  }
}

static double seconds(struct timespec t) { return (double)t.tv_sec + (double)t.tv_nsec / 1e9; }

static void translate(const struct stat *st, qn_file_stat_t *out)
{
  *out = (qn_file_stat_t){
      .size = (uint64_t)st->st_size,
      .modified = seconds(st->st_mtim),
      .accessed = seconds(st->st_atim),
      .changed = seconds(st->st_ctim),
      .mode = st->st_mode & 07777,
      .uid = st->st_uid,
      .gid = st->st_gid,
      .inode = st->st_ino,
      .device = st->st_dev,
      .type = type_of(st->st_mode),
  };
}

int64_t qn__call_fstat(qn_work_t *w)
{
  qn__file_call_t *c = call_of(w);
  struct stat st;
  if (fstat(c->fd, &st) < 0) {
    return -errno;
  }
  translate(&st, &c->stat);
  return 0;
}

int64_t qn__call_stat(qn_work_t *w)
{
  qn__file_call_t *c = call_of(w);
  struct stat st;
  if ((c->follow ? stat(c->path, &st) : lstat(c->path, &st)) < 0) {
    return -errno;
  }
  translate(&st, &c->stat);
  return 0;
}

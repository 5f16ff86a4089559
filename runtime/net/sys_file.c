/* sys_file.c: small configuration files of the system: read whole, and noticed when they change.
 *
 * Called by hosts_file.c, resolv_conf.c and nsswitch.c on the loop's thread: such files are small,
 * local and nearly always in the page cache. Must not read anything but regular files (a FIFO would
 * block). Invariant: the stamp describes the descriptor that was read, not what the path means now.
 */
#include "net/sys_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* File times advance in steps of the kernel's clock tick, 10 ms at most: a file younger than this
 * when it was read may change once more without a new time. */
#define YOUNG_NS ((int64_t)20000000)

static int64_t nanoseconds(const struct timespec *t)
{
  return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static void take_stamp(qn__stamp_t *stamp, const struct stat *st)
{
  struct timespec now;
  stamp->known = true;
  stamp->there = true;
  stamp->mtime = nanoseconds(&st->st_mtim);
  stamp->ctime = nanoseconds(&st->st_ctim);
  stamp->size = (uint64_t)st->st_size;
  stamp->inode = (uint64_t)st->st_ino;
  stamp->device = (uint64_t)st->st_dev;
  int64_t youngest = stamp->mtime > stamp->ctime ? stamp->mtime : stamp->ctime;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t age = nanoseconds(&now) - youngest;
  stamp->unsure = age >= 0 && age < YOUNG_NS; /* files of the future are no reason to hurry */
}

bool qn__stamp_is_stale(const qn__stamp_t *stamp, const char *path)
{
  struct stat st;
  if (!stamp->known || stamp->unsure) {
    return true;
  }
  if (stat(path, &st) != 0) {
    return stamp->there;
  }
  return !stamp->there || stamp->mtime != nanoseconds(&st.st_mtim) ||
         stamp->ctime != nanoseconds(&st.st_ctim) || stamp->size != (uint64_t)st.st_size ||
         stamp->inode != (uint64_t)st.st_ino || stamp->device != (uint64_t)st.st_dev;
}

/* Up to `most` bytes; the file may have grown or shrunk since it was looked at. */
static int read_whole(int fd, size_t guess, size_t most, char **text, size_t *size)
{
  size_t room = (guess < most ? guess : most) + 2, used = 0; /* one more byte shows the end */
  char *buf = qn_malloc(room);
  if (buf == NULL) {
    return -ENOMEM;
  }
  for (;;) {
    ssize_t n = read(fd, buf + used, room - 1 - used);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      int rc = -errno;
      qn_free(buf);
      return rc;
    }
    used += (size_t)n;
    if (n == 0) {
      break;
    }
    if (used > most) {
      qn_free(buf);
      return QN_E_LIMIT;
    }
    if (used == room - 1) {
      size_t larger = room * 2 < most + 2 ? room * 2 : most + 2;
      char *grown = qn_realloc(buf, larger);
      if (grown == NULL) {
        qn_free(buf);
        return -ENOMEM;
      }
      buf = grown;
      room = larger;
    }
  }
  buf[used] = '\0';
  *text = buf;
  *size = used;
  return 0;
}

/* Tells texts apart, nothing more: nobody gains by making two alike. */
static uint64_t digest_of(const char *text, size_t size)
{
  uint64_t h = 0x9e3779b97f4a7c15u ^ size, word;
  size_t i = 0;
  for (; i + sizeof word <= size; i += sizeof word) {
    memcpy(&word, text + i, sizeof word);
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  for (; i < size; i++) {
    h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
  }
  return h != 0 ? h : 1;
}

static int open_and_read(const char *path, size_t most, qn__stamp_t *stamp, char **text,
                         size_t *size)
{
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;
  if (fd < 0) {
    rc = -errno;
    if (stat(path, &st) == 0) { /* there, but not for us: until it changes */
      take_stamp(stamp, &st);
    }
    return rc;
  }
  if (fstat(fd, &st) != 0) {
    rc = -errno;
  } else {
    take_stamp(stamp, &st);
    if (!S_ISREG(st.st_mode)) {
      rc = -EINVAL;
    } else if ((uint64_t)st.st_size > most) {
      rc = QN_E_LIMIT;
    } else {
      rc = read_whole(fd, (size_t)st.st_size, most, text, size);
    }
  }
  close(fd);
  return rc;
}

int qn__sys_file_read(const char *path, size_t most, qn__stamp_t *stamp, char **text, size_t *size)
{
  qn__stamp_t fresh = {.known = true};
  *text = NULL;
  *size = 0;
  int rc = open_and_read(path, most, &fresh, text, size);
  if (rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE) {
    return rc;
  }
  if (rc == 0) {
    fresh.digest = digest_of(*text, *size);
    if (fresh.digest == stamp->digest && fresh.size == stamp->size) {
      qn_free(*text);
      *text = NULL;
      rc = 1;
    }
  }
  *stamp = fresh;
  return rc;
}

/* Files through the pool: modes, offsets, partial and blocked writes, closing under a running call.
 * covers: runtime/loop/file_call.c
 */
#include "rig.h"

#include "qn/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char dir[64];
static char path[128];

static void in_new_dir(void)
{
  snprintf(dir, sizeof dir, "/tmp/qn-file-test-XXXXXX");
  REQUIRE(mkdtemp(dir) != NULL);
  snprintf(path, sizeof path, "%s/f", dir);
}

static void remove_dir(void)
{
  unlink(path);
  CHECK_INT(rmdir(dir), 0);
}

/* --- one call, waited for -------------------------------------------------------------------- */

typedef struct wait {
  note_t note;
  qn_file_t *file;
  uint8_t bytes[256];
  qn_file_stat_t stat;
} wait_t;

static wait_t w;

static void collect(qn_op_t *op)
{
  note_done(op);
  w.file = qn_file_opened(op);
  CHECK_NULL(qn_file_opened(op)); /* only once */
  if (op->result > 0 && op->result <= (int64_t)sizeof w.bytes && qn_file_bytes(op) != NULL) {
    memcpy(w.bytes, qn_file_bytes(op), (size_t)op->result);
  }
  if (qn_file_stat_result(op) != NULL) {
    w.stat = *qn_file_stat_result(op);
  }
  qn_file_end(op);
  qn_file_end(op);
}

static qn_op_t *fresh(rig_t *rig)
{
  memset(&w, 0, sizeof w);
  note_init(&w.note, rig->loop);
  w.note.op.done = collect;
  return &w.note.op;
}

static int64_t await(rig_t *rig, int rc)
{
  if (rc != QN_AGAIN) {
    CHECK(rc < 0);
    return rc;
  }
  TURN_UNTIL(rig->loop, w.note.done);
  CHECK_INT(w.note.done, 1);
  return w.note.result;
}

static qn_file_t *open_file(rig_t *rig, const char *mode)
{
  int64_t rc = await(rig, qn_file_open(rig->loop, fresh(rig), path, mode));
  CHECK_INT(rc, 0);
  REQUIRE(w.file != NULL);
  return w.file;
}

static int64_t write_text(rig_t *rig, qn_file_t *f, const char *text, int64_t offset)
{
  qn_slice_t v = {(const uint8_t *)text, strlen(text)};
  return await(rig, qn_file_write(f, fresh(rig), &v, 1, offset));
}

static int64_t read_some(rig_t *rig, qn_file_t *f, size_t size, int64_t offset)
{
  return await(rig, qn_file_read(f, fresh(rig), size, offset));
}

/* --- reading and writing --------------------------------------------------------------------- */

TEST(write_then_read_at_offsets)
{
  rig_t rig;
  rig_open(&rig);
  in_new_dir();
  qn_file_t *f = open_file(&rig, "w+");
  qn_slice_t v[3] = {{(const uint8_t *)"hel", 3}, {NULL, 0}, {(const uint8_t *)"lo world", 8}};
  CHECK_INT(await(&rig, qn_file_write(f, fresh(&rig), v, 3, 0)), 11);
  CHECK_INT(write_text(&rig, f, "W", 6), 1);
  CHECK_INT(read_some(&rig, f, 100, 0), 11);
  CHECK_MEM(w.bytes, 11, "hello World", 11);
  CHECK_INT(read_some(&rig, f, 5, 6), 5);
  CHECK_MEM(w.bytes, 5, "World", 5);
  CHECK_INT(read_some(&rig, f, 5, 11), 0);
  CHECK_INT(read_some(&rig, f, 0, 0), 0);
  CHECK_INT(await(&rig, qn_file_write(f, fresh(&rig), NULL, 0, 0)), 0);
  CHECK_INT(await(&rig, qn_file_sync(f, fresh(&rig))), 0);
  CHECK_INT(await(&rig, qn_file_truncate(f, fresh(&rig), 4)), 0);
  CHECK_INT(read_some(&rig, f, 100, 0), 4);
  qn_file_close(f);
  qn_file_close(NULL);
  rig_close(&rig);
  remove_dir();
}

TEST(the_descriptors_own_position)
{
  rig_t rig;
  rig_open(&rig);
  in_new_dir();
  qn_file_t *f = open_file(&rig, "w");
  CHECK_INT(write_text(&rig, f, "abc", -1), 3);
  CHECK_INT(write_text(&rig, f, "def", -1), 3);
  qn_file_close(f);
  f = open_file(&rig, "r");
  CHECK_INT(read_some(&rig, f, 4, -1), 4);
  CHECK_MEM(w.bytes, 4, "abcd", 4);
  CHECK_INT(read_some(&rig, f, 4, -1), 2);
  CHECK_INT(read_some(&rig, f, 4, -1), 0);
  qn_file_close(f);
  rig_close(&rig);
  remove_dir();
}

TEST(modes)
{
  rig_t rig;
  rig_open(&rig);
  in_new_dir();
  CHECK_INT(await(&rig, qn_file_open(rig.loop, fresh(&rig), path, "r")), -ENOENT);
  CHECK_NULL(w.file);
  CHECK_INT(await(&rig, qn_file_open(rig.loop, fresh(&rig), path, "r+")), -ENOENT);
  qn_file_t *f = open_file(&rig, "wx");
  CHECK_INT(write_text(&rig, f, "one", 0), 3);
  CHECK_INT(read_some(&rig, f, 3, 0), -EBADF);
  qn_file_close(f);
  CHECK_INT(await(&rig, qn_file_open(rig.loop, fresh(&rig), path, "w+x")), -EEXIST);
  f = open_file(&rig, "ab");
  CHECK_INT(write_text(&rig, f, "two", 0), 3); /* at the end, whatever the offset says */
  qn_file_close(f);
  f = open_file(&rig, "r+b");
  CHECK_INT(read_some(&rig, f, 10, 0), 6);
  CHECK_MEM(w.bytes, 6, "onetwo", 6);
  CHECK_INT(write_text(&rig, f, "ONE", 0), 3);
  qn_file_close(f);
  f = open_file(&rig, "rb");
  CHECK_INT(write_text(&rig, f, "x", 0), -EBADF);
  CHECK_INT(read_some(&rig, f, 10, 0), 6);
  CHECK_MEM(w.bytes, 6, "ONEtwo", 6);
  qn_file_close(f);
  f = open_file(&rig, "w");
  CHECK_INT(await(&rig, qn_file_fstat(f, fresh(&rig))), 0);
  CHECK_UINT(w.stat.size, 0);
  CHECK(fcntl(qn_file_fd(f), F_GETFD) & FD_CLOEXEC);
  qn_file_close(f);
  rig_close(&rig);
  remove_dir();
}

TEST(bad_arguments_start_nothing)
{
  static const char *const bad[] = {"", "x", "rw", "r++", "rbb", "rx", "R", "wxx", "r ", "b", "+"};
  rig_t rig;
  rig_open(&rig);
  in_new_dir();
  int64_t live = qn_alloc_live();
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    TEST_ROUND("%s", bad[i]);
    CHECK_INT(qn_file_open(rig.loop, fresh(&rig), path, bad[i]), QN_E_INVALID);
  }
  TEST_ROUND("%s", "");
  CHECK_INT(qn_alloc_live(), live);
  qn_file_t *f = open_file(&rig, "w+");
  qn_slice_t huge[2] = {{(const uint8_t *)"", SIZE_MAX}, {(const uint8_t *)"", 5}};
  qn_slice_t one = {(const uint8_t *)"x", 1};
  CHECK_INT(qn_file_write(f, fresh(&rig), huge, 2, 0), QN_E_INVALID);
  CHECK_INT(qn_file_write(f, fresh(&rig), &one, 1, -2), QN_E_INVALID);
  CHECK_INT(qn_file_write(f, fresh(&rig), &one, 1, INT64_MAX), QN_E_INVALID);
  CHECK_INT(qn_file_read(f, fresh(&rig), SIZE_MAX, 0), QN_E_INVALID);
  CHECK_INT(qn_file_read(f, fresh(&rig), 1, -2), QN_E_INVALID);
  CHECK_INT(qn_file_truncate(f, fresh(&rig), UINT64_MAX), QN_E_INVALID);
  qn_file_t *none = f;
  CHECK_INT(qn_file_adopt(rig.loop, -1, &none), -EBADF);
  CHECK_NULL(none);
  CHECK_INT(stats_of(rig.loop).ops, 0);
  qn_file_close(f);
  rig_close(&rig);
  remove_dir();
}

TEST(stat_follows_links_or_not)
{
  rig_t rig;
  char link_path[140];
  rig_open(&rig);
  in_new_dir();
  snprintf(link_path, sizeof link_path, "%s.link", path);
  REQUIRE_INT(symlink(path, link_path), 0);
  CHECK_INT(await(&rig, qn_file_stat(rig.loop, fresh(&rig), link_path, true)), -ENOENT);
  CHECK_INT(await(&rig, qn_file_stat(rig.loop, fresh(&rig), link_path, false)), 0);
  CHECK_INT(w.stat.type, 'l');
  qn_file_t *f = open_file(&rig, "w");
  CHECK_INT(write_text(&rig, f, "12345", 0), 5);
  CHECK_INT(chmod(path, 0640), 0);
  qn_file_close(f);
  struct stat st;
  REQUIRE_INT(stat(path, &st), 0);
  CHECK_INT(await(&rig, qn_file_stat(rig.loop, fresh(&rig), link_path, true)), 0);
  CHECK_INT(w.stat.type, 'f');
  CHECK_UINT(w.stat.size, 5);
  CHECK_UINT(w.stat.mode, 0640);
  CHECK_UINT(w.stat.uid, st.st_uid);
  CHECK_UINT(w.stat.gid, st.st_gid);
  CHECK_UINT(w.stat.inode, st.st_ino);
  CHECK_UINT(w.stat.device, st.st_dev);
  CHECK_INT((int64_t)w.stat.modified, st.st_mtim.tv_sec);
  CHECK(w.stat.accessed > 0 && w.stat.changed > 0);
  CHECK_INT(await(&rig, qn_file_stat(rig.loop, fresh(&rig), dir, true)), 0);
  CHECK_INT(w.stat.type, 'd');
  CHECK_INT(await(&rig, qn_file_stat(rig.loop, fresh(&rig), "/dev/null", true)), 0);
  CHECK_INT(w.stat.type, 'c');
  unlink(link_path);
  rig_close(&rig);
  remove_dir();
}

TEST(a_directory_opens_but_does_not_read)
{
  rig_t rig;
  rig_open(&rig);
  in_new_dir();
  CHECK_INT(await(&rig, qn_file_open(rig.loop, fresh(&rig), dir, "r")), 0);
  qn_file_t *f = w.file;
  CHECK_INT(read_some(&rig, f, 10, 0), -EISDIR);
  qn_file_close(f);
  CHECK_INT(await(&rig, qn_file_open(rig.loop, fresh(&rig), dir, "w")), -EISDIR);
  rig_close(&rig);
  remove_dir();
}

/* --- calls that the system cuts short --------------------------------------------------------- */

static int short_calls; /* while > 0 the calls below are interrupted or cut, by turns */

/* These take the place of the C library's, for the pool thread that calls them. */
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
  if (short_calls > 0 && --short_calls % 2 != 0) {
    errno = EINTR;
    return -1;
  }
  return syscall(SYS_pwrite64, fd, data, short_calls > 0 && size > 3 ? 3 : size, offset);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
  if (short_calls > 0 && --short_calls % 2 != 0) {
    errno = EINTR;
    return -1;
  }
  return syscall(SYS_pread64, fd, data, size, offset);
}

TEST(interrupted_calls_are_repeated_and_short_ones_continued)
{
  rig_t rig;
  rig_open(&rig);
  in_new_dir();
  qn_file_t *f = open_file(&rig, "w+");
  short_calls = 6;
  CHECK_INT(write_text(&rig, f, "0123456789abcdef", 4), 16);
  CHECK_INT(short_calls, 0);
  short_calls = 2;
  CHECK_INT(read_some(&rig, f, 100, 0), 20);
  CHECK_MEM(w.bytes, 20,
            "\0\0\0\0"
            "0123456789abcdef",
            20);
  short_calls = 0;
  qn_file_close(f);
  rig_close(&rig);
  remove_dir();
}

/* --- pipes ----------------------------------------------------------------------------------- */

enum { MUCH = 1 << 20 };

static void *drain_pipe(void *arg)
{
  int fd = *(int *)arg;
  static uint8_t bytes[5000];
  intptr_t total = 0;
  ssize_t n;
  while ((n = read(fd, bytes, sizeof bytes)) > 0) {
    for (ssize_t i = 0; i < n; i++) {
      if (bytes[i] != (uint8_t)((total + i) % 251)) {
        return (void *)-1;
      }
    }
    total += n;
  }
  return (void *)total;
}

TEST(partial_writes_are_continued_also_on_a_non_blocking_pipe)
{
  for (int non_blocking = 0; non_blocking < 2; non_blocking++) {
    rig_t rig;
    int fds[2];
    qn_file_t *f;
    pthread_t thread;
    void *total;
    rig_open(&rig);
    REQUIRE_INT(pipe2(fds, non_blocking ? O_NONBLOCK : 0), 0);
    fcntl(fds[0], F_SETFL, 0);
    uint8_t *bytes = malloc(MUCH);
    REQUIRE(bytes != NULL);
    for (int i = 0; i < MUCH; i++) {
      bytes[i] = (uint8_t)(i % 251);
    }
    REQUIRE_INT(qn_file_adopt(rig.loop, fds[1], &f), 0);
    CHECK_INT(qn_file_fd(f), fds[1]);
    REQUIRE_INT(pthread_create(&thread, NULL, drain_pipe, &fds[0]), 0);
    qn_slice_t v = {bytes, MUCH};
    int rc = qn_file_write(f, fresh(&rig), &v, 1, -1);
    memset(bytes, 0, MUCH); /* it was copied */
    CHECK_INT(await(&rig, rc), MUCH);
    qn_file_close(f);
    rig_close(&rig); /* the descriptor is closed now, so the reader ends */
    pthread_join(thread, &total);
    CHECK_INT((intptr_t)total, MUCH);
    close(fds[0]);
    free(bytes);
  }
}

TEST(close_waits_for_a_running_call)
{
  rig_t rig;
  int fds[2];
  qn_file_t *f;
  rig_open(&rig);
  REQUIRE_INT(pipe(fds), 0);
  REQUIRE_INT(qn_file_adopt(rig.loop, fds[0], &f), 0);
  int rc = qn_file_read(f, fresh(&rig), 100, -1);
  CHECK_INT(rc, QN_AGAIN);
  qn_file_close(f);
  CHECK_INT(stats_of(rig.loop).objects, 1);
  note_t late;
  note_init(&late, rig.loop);
  CHECK_INT(qn_file_read(f, &late.op, 1, -1), QN_E_CLOSED);
  for (int i = 0; i < 10; i++) {
    qn_loop_turn(rig.loop, QN_TURN_NOWAIT);
  }
  CHECK(fcntl(fds[0], F_GETFD) >= 0); /* still open: the call may be using it */
  CHECK_INT(write(fds[1], "late", 4), 4);
  CHECK_INT(await(&rig, rc), 4);
  CHECK_MEM(w.bytes, 4, "late", 4);
  qn_loop_run(rig.loop);
  CHECK_INT(stats_of(rig.loop).objects, 0);
  CHECK(fcntl(fds[0], F_GETFD) < 0);
  close(fds[1]);
  rig_close(&rig);
}

TEST(a_cancelled_read_owns_its_memory)
{
  rig_t rig;
  int fds[2];
  qn_file_t *f;
  rig_open(&rig);
  REQUIRE_INT(pipe(fds), 0);
  REQUIRE_INT(qn_file_adopt(rig.loop, fds[0], &f), 0);
  int rc = qn_file_read(f, fresh(&rig), 100, -1);
  qn_op_cancel(&w.note.op, QN_E_CANCELLED);
  qn_file_close(f);
  CHECK_INT(write(fds[1], "x", 1), 1);
  CHECK_INT(await(&rig, rc), QN_E_CANCELLED);
  rig_close(&rig);
  CHECK(fcntl(fds[0], F_GETFD) < 0);
  close(fds[1]);
}

/* --- opening that nobody takes --------------------------------------------------------------- */

static int open_descriptors(void)
{
  int n = 0;
  for (int fd = 0; fd < 256; fd++) {
    n += fcntl(fd, F_GETFD) >= 0;
  }
  return n;
}

static void ignore(qn_op_t *op)
{
  note_done(op);
  qn_file_end(op);
}

TEST(a_file_that_was_opened_for_nobody_is_closed)
{
  rig_t rig;
  rig_open(&rig);
  in_new_dir();
  qn_file_close(open_file(&rig, "w")); /* the pool's threads and their descriptors exist now */
  qn_loop_run(rig.loop);
  int before = open_descriptors();
  for (int how = 0; how < 4; how++) {
    TEST_ROUND("how %d", how);
    qn_op_t *op = fresh(&rig);
    op->done = ignore;
    REQUIRE_INT(qn_file_open(rig.loop, op, path, "r"), QN_AGAIN);
    if (how == 1) {
      qn_op_cancel(op, QN_E_CANCELLED);
    } else if (how == 2) {
      qn_op_forget(op);
      qn_file_end(op);
    } else if (how == 3) {
      while (qn_op_pending(op)) {
        qn_loop_turn(rig.loop, QN_TURN_ONCE);
      }
      qn_op_forget(op);
      qn_file_end(op);
    }
    qn_loop_run(rig.loop);
    CHECK_INT(w.note.done, how < 2);
    CHECK_INT(open_descriptors(), before);
    CHECK_INT(stats_of(rig.loop).objects, 0);
  }
  rig_close(&rig);
  remove_dir();
}

/* --- memory ---------------------------------------------------------------------------------- */

static int64_t whole_story(rig_t *rig)
{
  int64_t rc = await(rig, qn_file_open(rig->loop, fresh(rig), path, "w+"));
  if (rc < 0) {
    return rc;
  }
  qn_file_t *f = w.file;
  rc = write_text(rig, f, "text", 0);
  rc = rc < 0 ? rc : read_some(rig, f, 10, 0);
  rc = rc < 0 ? rc : await(rig, qn_file_fstat(f, fresh(rig)));
  rc = rc < 0 ? rc : await(rig, qn_file_stat(rig->loop, fresh(rig), path, true));
  qn_file_close(f);
  return rc;
}

TEST(every_allocation_may_fail)
{
  in_new_dir();
  bool failed = true;
  for (uint64_t nth = 1; failed; nth++) {
    TEST_ROUND("nth %d", (int)nth);
    rig_t rig;
    rig_open(&rig);
    qn_alloc_fail_at(nth);
    int64_t rc = whole_story(&rig);
    failed = qn_alloc_failed();
    CHECK_INT(rc, failed ? -ENOMEM : 0);
    rig_close(&rig);
    REQUIRE(nth < 100);
  }
  remove_dir();
}

/* --- pipes and the end ------------------------------------------------------------------------ */

TEST(a_pipe_without_a_reader_gives_an_error_and_no_signal)
{
  rig_t rig;
  int fds[2];
  qn_file_t *f;
  rig_open(&rig);
  REQUIRE_INT(pipe(fds), 0);
  REQUIRE_INT(qn_file_adopt(rig.loop, fds[1], &f), 0);
  close(fds[0]);
  CHECK_INT(write_text(&rig, f, "x", -1), -EPIPE);
  CHECK_INT(await(&rig, qn_file_write_some(f, fresh(&rig), (qn_slice_t){(uint8_t *)"x", 1})),
            -EPIPE);
  CHECK_INT(qn_file_write_some(f, fresh(&rig), (qn_slice_t){NULL, 0}), QN_E_INVALID);
  qn_file_close(f);
  rig_close(&rig);
}

TEST(write_some_stops_where_it_would_wait)
{
  static uint8_t much[1 << 20];
  rig_t rig;
  int fds[2];
  qn_file_t *f;
  rig_open(&rig);
  REQUIRE_INT(pipe(fds), 0);
  REQUIRE_INT(qn_file_adopt(rig.loop, fds[1], &f), 0);
  int64_t n = await(&rig, qn_file_write_some(f, fresh(&rig), (qn_slice_t){much, sizeof much}));
  CHECK(n >= 4096 && n < (int64_t)sizeof much);
  CHECK_INT(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
  int64_t got = 0;
  for (ssize_t m; (m = read(fds[0], much, sizeof much)) > 0;) {
    got += m;
  }
  CHECK_INT(got, n);
  close(fds[0]);
  qn_file_close(f);
  rig_close(&rig);
}

static void note_close(void *arg, int result) { *(int *)arg = result; }

TEST(who_wants_to_know_learns_that_it_is_closed)
{
  rig_t rig;
  int result = 1, fds[2];
  qn_file_t *f;
  rig_open(&rig);
  REQUIRE_INT(pipe(fds), 0);
  REQUIRE_INT(qn_file_adopt(rig.loop, fds[0], &f), 0);
  qn_file_on_close(f, note_close, &result);
  qn_file_close(f);
  CHECK_INT(result, 1);
  TURN_UNTIL(rig.loop, result != 1);
  CHECK_INT(result, 0);
  CHECK_INT(fcntl(fds[0], F_GETFD), -1);
  REQUIRE_INT(qn_file_adopt(rig.loop, fds[1], &f), 0);
  close(fds[1]); /* behind its back */
  qn_file_on_close(f, note_close, &result);
  qn_file_close(f);
  TURN_UNTIL(rig.loop, result != 0);
  CHECK_INT(result, -EBADF);
  rig_close(&rig);
}

/* sys_file_test.c: configuration files are read whole, and changes are noticed, however quick. */
#include "net/sys_file.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static char folder[64], path[96];

static void begin(void)
{
  snprintf(folder, sizeof folder, "/tmp/qn-sys-file-XXXXXX");
  REQUIRE(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/file", folder);
}

static void end(void)
{
  unlink(path);
  rmdir(folder);
}

static void put(const char *text)
{
  FILE *f = fopen(path, "wb");
  REQUIRE(f != NULL);
  fputs(text, f);
  fclose(f);
}

/* Makes the file look as if it had been written long ago, so that its stamp is sure. */
static void age(int seconds)
{
  struct timeval times[2];
  gettimeofday(&times[0], NULL);
  times[0].tv_sec -= seconds;
  times[1] = times[0];
  REQUIRE_INT(utimes(path, times), 0);
}

static void wait_until_settled(qn__stamp_t *stamp)
{
  char *text;
  size_t size;
  for (int i = 0; i < 2000 && stamp->unsure; i++) {
    usleep(1000);
    int rc = qn__sys_file_read(path, 1000, stamp, &text, &size);
    CHECK(rc == 1);
  }
  CHECK(!stamp->unsure);
}

TEST(a_file_is_read_whole_and_once)
{
  qn__stamp_t stamp = {.known = false};
  char *text = NULL;
  size_t size = 0;
  begin();
  put("hello\n");
  CHECK(qn__stamp_is_stale(&stamp, path));
  REQUIRE_INT(qn__sys_file_read(path, 100, &stamp, &text, &size), 0);
  CHECK_MEM(text, size + 1, "hello\n", 7);
  qn_free(text);
  CHECK(stamp.known && stamp.there);
  CHECK_INT(qn__sys_file_read(path, 100, &stamp, &text, &size), 1);
  CHECK_NULL(text);
  wait_until_settled(&stamp);
  CHECK(!qn__stamp_is_stale(&stamp, path));
  end();
}

TEST(a_change_at_once_is_noticed)
{
  begin();
  for (int i = 0; i < 50; i++) {
    qn__stamp_t stamp = {.known = false};
    char *text = NULL;
    size_t size = 0;
    TEST_ROUND("round %d", i);
    put("one");
    REQUIRE_INT(qn__sys_file_read(path, 100, &stamp, &text, &size), 0);
    qn_free(text);
    put("two"); /* same size, same inode, perhaps the same tick of the clock */
    REQUIRE(qn__stamp_is_stale(&stamp, path));
    REQUIRE_INT(qn__sys_file_read(path, 100, &stamp, &text, &size), 0);
    CHECK_MEM(text, size, "two", 3);
    qn_free(text);
  }
  end();
}

TEST(old_files_whose_facts_change_are_stale)
{
  qn__stamp_t stamp = {.known = false};
  char *text = NULL, other[128];
  size_t size = 0;
  begin();
  put("one");
  age(100);
  REQUIRE_INT(qn__sys_file_read(path, 100, &stamp, &text, &size), 0);
  qn_free(text);
  wait_until_settled(&stamp);
  CHECK(!qn__stamp_is_stale(&stamp, path));
  put("two");
  age(100); /* the time is back, the change of the inode shows */
  CHECK(qn__stamp_is_stale(&stamp, path));
  REQUIRE_INT(qn__sys_file_read(path, 100, &stamp, &text, &size), 0);
  qn_free(text);
  wait_until_settled(&stamp);
  snprintf(other, sizeof other, "%s.new", path);
  REQUIRE_INT(rename(path, other), 0);
  CHECK(qn__stamp_is_stale(&stamp, path));
  CHECK_INT(qn__sys_file_read(path, 100, &stamp, &text, &size), -ENOENT);
  CHECK(!qn__stamp_is_stale(&stamp, path)); /* absent and known to be */
  REQUIRE_INT(rename(other, path), 0);
  CHECK(qn__stamp_is_stale(&stamp, path));
  end();
}

TEST(what_is_no_file_of_ours_is_refused)
{
  qn__stamp_t stamp = {.known = false};
  char *text = NULL;
  size_t size = 0;
  begin();
  CHECK_INT(qn__sys_file_read(path, 100, &stamp, &text, &size), -ENOENT);
  CHECK(stamp.known && !stamp.there);
  CHECK_INT(qn__sys_file_read(folder, 100, &stamp, &text, &size), -EINVAL);
  CHECK_INT(qn__sys_file_read("/dev/zero", 100, &stamp, &text, &size), -EINVAL);
  REQUIRE_INT(mkfifo(path, 0600), 0); /* opening it must not wait for a writer */
  CHECK_INT(qn__sys_file_read(path, 100, &stamp, &text, &size), -EINVAL);
  CHECK_NULL(text);
  CHECK_INT(size, 0);
  end();
}

TEST(the_limit_is_exact)
{
  qn__stamp_t stamp = {.known = false};
  char *text = NULL;
  size_t size = 0;
  begin();
  put("123456");
  CHECK_INT(qn__sys_file_read(path, 5, &stamp, &text, &size), QN_E_LIMIT);
  CHECK_NULL(text);
  CHECK(stamp.known && stamp.there);
  CHECK_INT(qn__sys_file_read(path, 6, &stamp, &text, &size), 0);
  CHECK_INT(size, 6);
  qn_free(text);
  put("");
  CHECK_INT(qn__sys_file_read(path, 0, &stamp, &text, &size), 0);
  CHECK_MEM(text, size + 1, "", 1);
  qn_free(text);
  end();
}

TEST(files_that_do_not_know_their_size_are_read)
{
  qn__stamp_t stamp = {.known = false};
  char *text = NULL;
  size_t size = 0;
  REQUIRE_INT(qn__sys_file_read("/proc/self/status", 100000, &stamp, &text, &size), 0);
  CHECK(size > 100 && strlen(text) == size);
  qn_free(text);
  CHECK_INT(qn__sys_file_read("/proc/self/status", 100, &stamp, &text, &size), QN_E_LIMIT);
  CHECK_NULL(text);
}

TEST(no_memory_teaches_nothing)
{
  begin();
  put("text");
  for (uint64_t nth = 1;; nth++) {
    qn__stamp_t stamp = {.known = false};
    char *text = NULL;
    size_t size = 0;
    int64_t live = qn_alloc_live();
    TEST_ROUND("allocation %d fails", (int)nth);
    qn_alloc_fail_at(nth);
    int rc = qn__sys_file_read(path, 100, &stamp, &text, &size);
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    if (!failed) {
      CHECK_INT(rc, 0);
      qn_free(text);
      break;
    }
    CHECK_INT(rc, -ENOMEM);
    CHECK(!stamp.known && text == NULL);
    CHECK_INT(qn_alloc_live(), live);
  }
  end();
}

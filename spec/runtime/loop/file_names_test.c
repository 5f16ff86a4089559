/* Names: remove, rename, make, list; errors, memory, cancellation. */
#include "rig.h"

#include "qn/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static char paths[4][128];

static void in_new_dir(void)
{
  snprintf(dir, sizeof dir, "/tmp/qn-names-test-XXXXXX");
  REQUIRE(mkdtemp(dir) != NULL);
  for (int i = 0; i < 4; i++) {
    snprintf(paths[i], sizeof paths[i], "%s/%c", dir, 'a' + i);
  }
}

static void touch(const char *path)
{
  int fd = open(path, O_CREAT | O_WRONLY, 0600);
  REQUIRE(fd >= 0);
  close(fd);
}

typedef struct names {
  note_t note;
  char bytes[1024];
  size_t size;
} names_t;

static names_t x;

static void collect(qn_op_t *op)
{
  note_done(op);
  qn_slice_t names = qn_file_names(op);
  x.size = names.size;
  REQUIRE(names.size <= sizeof x.bytes);
  if (names.size != 0) {
    memcpy(x.bytes, names.data, names.size);
  }
  qn_file_end_names(op);
  qn_file_end_names(op);
  CHECK_UINT(qn_file_names(op).size, 0);
}

static qn_op_t *fresh(rig_t *rig)
{
  memset(&x, 0, sizeof x);
  note_init(&x.note, rig->loop);
  x.note.op.done = collect;
  return &x.note.op;
}

static int64_t await(rig_t *rig, int rc)
{
  if (rc != QN_AGAIN) {
    return rc;
  }
  TURN_UNTIL(rig->loop, x.note.done);
  return x.note.result;
}

TEST(make_rename_chmod_remove)
{
  rig_t rig;
  struct stat st;
  rig_open(&rig);
  in_new_dir();
  CHECK_INT(await(&rig, qn_file_mkdir(rig.loop, fresh(&rig), paths[0], 0700)), 0);
  CHECK_INT(await(&rig, qn_file_mkdir(rig.loop, fresh(&rig), paths[0], 0700)), -EEXIST);
  touch(paths[1]);
  CHECK_INT(await(&rig, qn_file_chmod(rig.loop, fresh(&rig), paths[1], 0640)), 0);
  CHECK_INT(stat(paths[1], &st), 0);
  CHECK_UINT(st.st_mode & 07777, 0640);
  CHECK_INT(await(&rig, qn_file_chmod(rig.loop, fresh(&rig), paths[3], 0640)), -ENOENT);
  CHECK_INT(await(&rig, qn_file_rename(rig.loop, fresh(&rig), paths[1], paths[2])), 0);
  CHECK_INT(stat(paths[1], &st), -1);
  CHECK_INT(stat(paths[2], &st), 0);
  CHECK_INT(await(&rig, qn_file_rename(rig.loop, fresh(&rig), paths[1], paths[2])), -ENOENT);
  CHECK_INT(await(&rig, qn_file_remove(rig.loop, fresh(&rig), paths[1])), -ENOENT);
  CHECK_INT(await(&rig, qn_file_remove(rig.loop, fresh(&rig), dir)), -ENOTEMPTY);
  CHECK_INT(await(&rig, qn_file_remove(rig.loop, fresh(&rig), paths[2])), 0);
  CHECK_INT(await(&rig, qn_file_remove(rig.loop, fresh(&rig), paths[0])), 0);
  CHECK_INT(await(&rig, qn_file_remove(rig.loop, fresh(&rig), dir)), 0);
  rig_close(&rig);
}

static bool has(const char *name)
{
  for (size_t at = 0; at < x.size; at += strlen(x.bytes + at) + 1) {
    if (strcmp(x.bytes + at, name) == 0) {
      return true;
    }
  }
  return false;
}

TEST(list_tells_how_much_room_it_needs)
{
  rig_t rig;
  rig_open(&rig);
  in_new_dir();
  CHECK_INT(await(&rig, qn_file_list(rig.loop, fresh(&rig), dir, 0)), 0);
  CHECK_UINT(x.size, 0);
  for (int i = 0; i < 4; i++) {
    touch(paths[i]);
  }
  for (size_t room = 0; room <= 9; room++) {
    CHECK_INT(await(&rig, qn_file_list(rig.loop, fresh(&rig), dir, room)), 8);
    CHECK(x.size <= room);
    CHECK_UINT(x.size, room >= 8 ? 8 : room / 2 * 2);
  }
  CHECK(has("a") && has("b") && has("c") && has("d") && !has("."));
  CHECK_INT(await(&rig, qn_file_list(rig.loop, fresh(&rig), paths[0], 100)), -ENOTDIR);
  for (int i = 0; i < 4; i++) {
    unlink(paths[i]);
  }
  CHECK_INT(await(&rig, qn_file_list(rig.loop, fresh(&rig), paths[0], 100)), -ENOENT);
  CHECK_INT(rmdir(dir), 0);
  rig_close(&rig);
}

TEST(cancelled_calls_free_themselves)
{
  rig_t rig;
  rig_open(&rig);
  in_new_dir();
  REQUIRE_INT(qn_file_mkdir(rig.loop, fresh(&rig), paths[0], 0700), QN_AGAIN);
  CHECK(qn_op_cancel(&x.note.op, QN_E_CANCELLED));
  TURN_UNTIL(rig.loop, x.note.done);
  CHECK_INT(x.note.result, QN_E_CANCELLED);
  rig_close(&rig); /* waits for the orphan */
  rmdir(paths[0]);
  CHECK_INT(rmdir(dir), 0);
}

TEST(without_memory_nothing_starts)
{
  rig_t rig;
  rig_open(&rig);
  for (uint64_t nth = 1; nth <= 4; nth++) {
    qn_alloc_fail_at(nth);
    CHECK_INT(qn_file_rename(rig.loop, fresh(&rig), "/nowhere/a", "/nowhere/b"), -ENOMEM);
    qn_alloc_fail_at(nth);
    CHECK_INT(qn_file_list(rig.loop, fresh(&rig), "/nowhere", 10), -ENOMEM);
  }
  qn_alloc_fail_at(0);
  rig_close(&rig);
}

/* What only files can do: seek, truncate, sync, stat; in which order they see what was written, who
 * may not, cancellation and memory that runs out.
 */
#include "runtime/stream/file_rig.h"

typedef struct asked {
  note_t note;
  qn_file_stat_t stat;
  bool has_stat;
} asked_t;

static void asked_done(qn_op_t *op)
{
  asked_t *a = (asked_t *)(void *)((char *)op - offsetof(asked_t, note.op));
  note_done(op);
  const qn_file_stat_t *stat = qn_stream_stat_result(op);
  a->has_stat = stat != NULL;
  if (stat != NULL) {
    a->stat = *stat;
  }
  qn_stream_file_end(op);
  qn_stream_file_end(op);
  CHECK_NULL(qn_stream_stat_result(op));
}

static qn_op_t *fresh(files_t *x, asked_t *a)
{
  memset(a, 0, sizeof *a);
  note_init(&a->note, x->loop);
  a->note.op.done = asked_done;
  return &a->note.op;
}

static int64_t await(files_t *x, asked_t *a, int64_t rc)
{
  if (rc != QN_AGAIN) {
    return rc;
  }
  TURN_UNTIL(x->loop, a->note.done);
  return a->note.result;
}

/* --- seek ------------------------------------------------------------------------------------- */

TEST(three_ways_to_seek)
{
  files_t x;
  reading_t r;
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  CHECK_INT(tell(&x), 0);
  CHECK_INT(seek(&x, QN_SEEK_SET, 4), 4);
  CHECK_INT(get(&x, &r, exact(2)), 0);
  CHECK_READ(r, "45");
  CHECK_INT(tell(&x), 6);
  CHECK_INT(seek(&x, QN_SEEK_CUR, -3), 3);
  CHECK_INT(get(&x, &r, exact(2)), 0);
  CHECK_READ(r, "34");
  CHECK_INT(seek(&x, QN_SEEK_CUR, 2), 7);
  CHECK_INT(get(&x, &r, exact(1)), 0);
  CHECK_READ(r, "7");
  CHECK_INT(seek(&x, QN_SEEK_END, -1), 9);
  CHECK_INT(get(&x, &r, upto(9)), 0);
  CHECK_READ(r, "9");
  CHECK_INT(seek(&x, QN_SEEK_END, 0), 10);
  CHECK_INT(seek(&x, QN_SEEK_END, 5), 15);
  CHECK_INT(get(&x, &r, upto(9)), 0);
  CHECK(r.got.ended);
  CHECK_INT(seek(&x, QN_SEEK_SET, 0), 0); /* the end is forgotten */
  CHECK(!qn_stream_at_end(x.s));
  CHECK_INT(get(&x, &r, exact(10)), 0);
  files_close(&x);
}

TEST(a_gap_is_filled_with_zeros)
{
  files_t x;
  char disk[10];
  files_open(&x, "ab", 2);
  over(&x, O_RDWR);
  CHECK_INT(seek(&x, QN_SEEK_END, 2), 4);
  CHECK_INT(put_text(x.s, "c"), 0);
  CHECK_INT(flush(&x), 0);
  CHECK_UINT(on_disk(&x, disk, sizeof disk), 5);
  CHECK_MEM(disk, 5, "ab\0\0c", 5);
  files_close(&x);
}

TEST(places_that_there_are_not)
{
  files_t x;
  reading_t r;
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  CHECK_INT(get(&x, &r, exact(2)), 0);
  CHECK_INT(seek(&x, QN_SEEK_SET, -1), -EINVAL);
  CHECK_INT(seek(&x, QN_SEEK_CUR, -3), -EINVAL);
  CHECK_INT(seek(&x, QN_SEEK_CUR, INT64_MAX), -EOVERFLOW);
  CHECK_INT(seek(&x, QN_SEEK_CUR, INT64_MIN), -EINVAL);
  CHECK_INT(seek(&x, QN_SEEK_END, -11), -EINVAL);
  CHECK_INT(seek(&x, QN_SEEK_END, INT64_MAX), -EOVERFLOW);
  CHECK_INT(tell(&x), 2); /* nothing has moved */
  CHECK_INT(get(&x, &r, exact(2)), 0);
  CHECK_READ(r, "23");
  CHECK_INT(seek(&x, QN_SEEK_SET, INT64_MAX), INT64_MAX);
  CHECK_INT(put_text(x.s, "xy"), -EFBIG);
  files_close(&x);
}

TEST(what_was_written_goes_where_it_was_written)
{
  files_t x;
  reading_t r;
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  CHECK_INT(put_text(x.s, "ab"), 0);
  CHECK_INT(seek(&x, QN_SEEK_SET, 8), 8);
  CHECK_INT(put_text(x.s, "cd"), 0);
  CHECK_INT(seek(&x, QN_SEEK_CUR, -6), 4);
  CHECK_INT(put_text(x.s, "e"), 0);
  CHECK_INT(put_text(x.s, "f"), 0);
  CHECK_INT(seek(&x, QN_SEEK_END, -2), 8);
  CHECK_INT(get(&x, &r, upto(5)), 0);
  CHECK_READ(r, "cd");
  CHECK_DISK(&x, "ab23ef67cd");
  files_close(&x);
}

TEST(the_end_counts_what_is_still_queued)
{
  files_t x;
  files_open(&x, "", 0);
  over(&x, O_RDWR);
  CHECK_INT(put_text(x.s, "abcdef"), 0);
  CHECK_INT(seek(&x, QN_SEEK_END, 0), 6);
  CHECK_INT(seek(&x, QN_SEEK_SET, 0), 0);
  files_close(&x);
}

TEST(a_waiting_reader_is_in_the_way)
{
  files_t x;
  int fds[2];
  reading_t r;
  asked_t a;
  qn_want_t want = exact(20);
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  REQUIRE_INT(start_read(&r, x.s, want), QN_AGAIN);
  CHECK_INT(qn_stream_seek(x.s, fresh(&x, &a), QN_SEEK_SET, 3), QN_E_BUSY);
  CHECK_INT(qn_stream_seek(x.s, fresh(&x, &a), QN_SEEK_CUR, 0), 0); /* only asks */
  TURN_UNTIL(x.loop, r.note.done);
  drop_stream(&x);
  REQUIRE_INT(pipe(fds), 0);
  REQUIRE_INT(stream_over(&x, fds[0], 0), 0);
  CHECK_INT(qn_stream_seek(x.s, fresh(&x, &a), QN_SEEK_SET, 3), -ESPIPE);
  close(fds[1]);
  files_close(&x);
}

/* --- truncate, sync, stat --------------------------------------------------------------------- */

TEST(truncate)
{
  files_t x;
  reading_t r;
  asked_t a;
  files_open(&x, "0123456789", 10);
  over(&x, O_RDWR);
  CHECK_INT(get(&x, &r, exact(2)), 0);
  CHECK_UINT(qn_stream_available(x.s), 8);
  CHECK_INT(await(&x, &a, qn_stream_truncate(x.s, fresh(&x, &a), 4)), 0);
  CHECK_INT(tell(&x), 2);
  CHECK_INT(get(&x, &r, upto(50)), 0); /* what was read ahead is not believed */
  CHECK_READ(r, "23");
  CHECK_INT(put_text(x.s, "ab"), 0);
  CHECK_INT(await(&x, &a, qn_stream_truncate(x.s, fresh(&x, &a), 5)), 0); /* after the write */
  CHECK_DISK(&x, "0123a");
  CHECK_INT(qn_stream_truncate(x.s, fresh(&x, &a), UINT64_MAX), QN_E_INVALID);
  drop_stream(&x);
  over(&x, O_RDONLY);
  CHECK_INT(await(&x, &a, qn_stream_truncate(x.s, fresh(&x, &a), 1)), -EINVAL);
  files_close(&x);
}

TEST(stat_sees_what_was_written)
{
  files_t x;
  asked_t a;
  struct stat st;
  files_open(&x, "", 0);
  over(&x, O_RDWR);
  CHECK_INT(put_text(x.s, "12345"), 0);
  CHECK_INT(await(&x, &a, qn_stream_stat(x.s, fresh(&x, &a))), 0);
  REQUIRE(a.has_stat);
  CHECK_UINT(a.stat.size, 5);
  CHECK_INT(a.stat.type, 'f');
  REQUIRE_INT(stat(x.path, &st), 0);
  CHECK_UINT(a.stat.inode, st.st_ino);
  CHECK_INT(await(&x, &a, qn_stream_sync(x.s, fresh(&x, &a))), 0);
  CHECK(!a.has_stat);
  files_close(&x);
}

TEST(what_cannot_be_synced)
{
  files_t x;
  asked_t a;
  int fds[2];
  files_open(&x, "", 0);
  REQUIRE_INT(pipe(fds), 0);
  REQUIRE_INT(stream_over(&x, fds[1], 0), 0);
  CHECK_INT(await(&x, &a, qn_stream_sync(x.s, fresh(&x, &a))), -EINVAL);
  CHECK_INT(await(&x, &a, qn_stream_stat(x.s, fresh(&x, &a))), 0);
  CHECK_INT(a.stat.type, 'p');
  close(fds[0]);
  files_close(&x);
}

/* --- who may not ------------------------------------------------------------------------------ */

TEST(failed_bytes_are_told_again)
{
  files_t x;
  asked_t a;
  files_open(&x, "", 0);
  REQUIRE_INT(stream_over(&x, open("/dev/full", O_RDWR), 0), 0);
  CHECK_INT(put_text(x.s, "text"), 0);
  CHECK_INT(await(&x, &a, qn_stream_sync(x.s, fresh(&x, &a))), -ENOSPC);
  CHECK_INT(qn_stream_sync(x.s, fresh(&x, &a)), -ENOSPC);
  CHECK_INT(qn_stream_truncate(x.s, fresh(&x, &a), 0), -ENOSPC);
  CHECK_INT(await(&x, &a, qn_stream_stat(x.s, fresh(&x, &a))), 0); /* has lost nothing */
  CHECK_INT(seek(&x, QN_SEEK_SET, 0), 0);
  files_close(&x);
}

TEST(closed_files_and_other_streams)
{
  files_t x;
  asked_t a;
  pair_t p;
  files_open(&x, "", 0);
  over(&x, O_RDWR);
  qn_stream_close(x.s);
  CHECK_INT(qn_stream_seek(x.s, fresh(&x, &a), QN_SEEK_CUR, 0), QN_E_CLOSED);
  CHECK_INT(qn_stream_sync(x.s, fresh(&x, &a)), QN_E_CLOSED);
  CHECK_INT(qn_stream_stat(x.s, fresh(&x, &a)), QN_E_CLOSED);
  CHECK_INT(qn_stream_truncate(x.s, fresh(&x, &a), 1), QN_E_CLOSED);
  files_close(&x);
  pair_open(&p);
  x.loop = p.loop;
  CHECK_INT(qn_stream_seek(p.a, fresh(&x, &a), QN_SEEK_CUR, 0), QN_E_UNSUPPORTED);
  CHECK_INT(qn_stream_stat(p.a, fresh(&x, &a)), QN_E_UNSUPPORTED);
  CHECK_INT(qn_stream_file_error(p.a), 0);
  qn_stream_close(p.a);
  CHECK_INT(qn_stream_sync(p.a, fresh(&x, &a)), QN_E_UNSUPPORTED);
  pair_close(&p);
}

TEST(closed_meanwhile)
{
  for (int turns = 0; turns < 6; turns++) {
    TEST_ROUND("after %d turns", turns);
    files_t x;
    asked_t a;
    files_open(&x, "0123456789", 10);
    over(&x, O_RDWR);
    CHECK_INT(put_text(x.s, "ab"), 0);
    REQUIRE_INT(qn_stream_seek(x.s, fresh(&x, &a), QN_SEEK_END, -1), QN_AGAIN);
    for (int i = 0; i < turns; i++) {
      qn_loop_turn(x.loop, QN_TURN_NOWAIT);
    }
    bool before = a.note.done != 0;
    qn_stream_close(x.s);
    TURN_UNTIL(x.loop, a.note.done);
    CHECK(before ? a.note.result == 9 : a.note.result == QN_E_CLOSED || a.note.result == 9);
    files_close(&x);
  }
}

TEST(cancelled_at_any_point)
{
  for (int what = 0; what < 3; what++) {
    for (int turns = 0; turns < 6; turns++) {
      TEST_ROUND("what %d after %d turns", what, turns);
      files_t x;
      asked_t a;
      files_open(&x, "0123456789", 10);
      over(&x, O_RDWR);
      CHECK_INT(put_text(x.s, "ab"), 0);
      qn_op_t *op = fresh(&x, &a);
      int64_t rc = what == 0   ? qn_stream_seek(x.s, op, QN_SEEK_END, -1)
                   : what == 1 ? qn_stream_sync(x.s, op)
                               : qn_stream_stat(x.s, op);
      REQUIRE_INT(rc, QN_AGAIN);
      for (int i = 0; i < turns; i++) {
        qn_loop_turn(x.loop, QN_TURN_NOWAIT);
      }
      if (turns % 2 == 0) {
        qn_op_cancel(op, QN_E_CANCELLED);
        TURN_UNTIL(x.loop, a.note.done);
      } else {
        qn_op_forget(op);
        qn_stream_file_end(op);
      }
      CHECK_INT(flush(&x), 0);
      CHECK_DISK(&x, "ab23456789");
      files_close(&x);
    }
  }
}

TEST(whichever_allocation_fails)
{
  for (uint64_t nth = 1; nth < 40; nth++) {
    TEST_ROUND("allocation %d", (int)nth);
    files_t x;
    asked_t a;
    files_open(&x, "0123456789", 10);
    over(&x, O_RDWR);
    CHECK_INT(put_text(x.s, "ab"), 0);
    qn_alloc_fail_at(nth);
    int64_t rc = await(&x, &a, qn_stream_seek(x.s, fresh(&x, &a), QN_SEEK_END, -1));
    bool failed = qn_alloc_failed();
    qn_alloc_fail_at(0);
    CHECK(rc == 9 || (failed && rc == -ENOMEM));
    files_close(&x);
    if (!failed) {
      CHECK(nth > 3);
      return;
    }
  }
  CHECK(!"never got through");
}

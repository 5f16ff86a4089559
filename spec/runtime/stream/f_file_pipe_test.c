/* File streams over what has no position: pipes and their waiting, shared descriptors, devices.
 * covers: runtime/stream/f_file.c
 */
#include "runtime/stream/file_rig.h"

static void over_pipe(files_t *x, int end, int *other)
{
  int fds[2];
  files_open(x, "", 0);
  REQUIRE_INT(pipe(fds), 0);
  *other = fds[1 - end];
  REQUIRE_INT(stream_over(x, fds[end], 0), 0);
}

TEST(an_idle_pipe_keeps_no_thread)
{
  files_t x;
  reading_t r;
  int other;
  over_pipe(&x, 0, &other);
  REQUIRE_INT(start_read(&r, x.s, exact(5)), QN_AGAIN);
  settle_all(x.loop);
  CHECK_INT(stats_of(x.loop).ops, 1); /* the reader's; no call is in the pool */
  CHECK_INT(write(other, "hel", 3), 3);
  TURN_UNTIL(x.loop, qn_stream_available(x.s) == 3);
  CHECK_INT(write(other, "lo, you", 7), 7);
  TURN_UNTIL(x.loop, r.note.done);
  CHECK_READ(r, "hello");
  CHECK_INT(tell(&x), -ESPIPE);
  CHECK_INT(seek(&x, QN_SEEK_END, 0), -ESPIPE);
  close(other);
  CHECK_INT(get(&x, &r, all(0)), 0);
  CHECK_READ(r, ", you");
  files_close(&x);
}

TEST(closed_while_a_reader_waits_on_a_pipe)
{
  files_t x;
  reading_t r;
  int other;
  over_pipe(&x, 0, &other);
  REQUIRE_INT(start_read(&r, x.s, exact(5)), QN_AGAIN);
  settle_all(x.loop);
  drop_stream(&x); /* ends although nothing ever comes */
  settle_all(x.loop);
  CHECK_INT(r.note.result, QN_E_CLOSED);
  close(other);
  files_close(&x);
}

TEST(a_full_pipe_makes_the_writer_wait)
{
  files_t x;
  writing_t w;
  int other;
  static uint8_t much[1 << 20], back[1 << 20];
  for (size_t i = 0; i < sizeof much; i++) {
    much[i] = (uint8_t)(i * 13 + i / 127);
  }
  over_pipe(&x, 1, &other);
  qn_stream_set_write_mark(x.s, 4096);
  CHECK_INT(fcntl(other, F_SETFL, O_NONBLOCK), 0);
  REQUIRE_INT(start_write(&w, x.s, much, sizeof much), QN_AGAIN);
  size_t got = 0;
  TURN_UNTIL(x.loop, qn_stream_sent(x.s) >= 4096);
  for (int rounds = 0; rounds < 100000 && got < sizeof back; rounds++) {
    ssize_t n = read(other, back + got, sizeof back - got);
    got += n > 0 ? (size_t)n : 0;
    wait_readable(x.loop, n > 0 ? 0 : 1);
    qn_loop_turn(x.loop, QN_TURN_NOWAIT);
  }
  CHECK_UINT(got, sizeof back);
  CHECK_INT(memcmp(much, back, sizeof back), 0);
  TURN_UNTIL(x.loop, w.note.done);
  close(other);
  files_close(&x);
}

TEST(a_pipe_whose_reader_leaves)
{
  files_t x;
  int other;
  over_pipe(&x, 1, &other);
  close(other);
  CHECK_INT(put_text(x.s, "text"), 0);
  CHECK_INT(flush(&x), -EPIPE);
  CHECK_INT(qn_stream_file_error(x.s), -EPIPE);
  files_close(&x);
}

TEST(the_end_of_writing_reaches_the_reader_of_a_pipe)
{
  files_t x;
  int other;
  char back[10];
  over_pipe(&x, 1, &other);
  CHECK_INT(put_text(x.s, "text"), 0);
  CHECK_INT(qn_stream_finish(x.s, NULL, NULL), QN_AGAIN);
  TURN_UNTIL(x.loop, x.s->top == NULL && x.s->dying == 0);
  CHECK_INT(read(other, back, sizeof back), 4);
  CHECK_INT(read(other, back, sizeof back), 0);
  close(other);
  files_close(&x);
}

TEST(the_descriptors_own_position_is_left_to_those_who_share_it)
{
  files_t x;
  files_open(&x, "", 0);
  int fd = open(x.path, O_WRONLY), mine = dup(fd);
  REQUIRE_INT(stream_over(&x, mine, -1), 0);
  CHECK_INT(write(fd, "one ", 4), 4);
  CHECK_INT(put_text(x.s, "two "), 0);
  CHECK_INT(flush(&x), 0);
  CHECK_INT(write(fd, "three", 5), 5);
  CHECK_DISK(&x, "one two three");
  CHECK_INT(tell(&x), -ESPIPE);
  close(fd);
  files_close(&x);
}

TEST(an_endless_device)
{
  files_t x;
  reading_t r;
  files_open(&x, "", 0);
  REQUIRE_INT(stream_over(&x, open("/dev/zero", O_RDONLY), 0), 0);
  CHECK_INT(get(&x, &r, all(100000)), QN_E_LIMIT);
  CHECK_INT(get(&x, &r, exact(4000)), 0);
  CHECK_INT(r.data[3999], 0);
  files_close(&x);
}

/* What the loop's tests share: a loop that must be clean at the end, an op that notes its result, a
 * bounded way to turn until something has happened. Each test opens its own rig. */
#ifndef QN_SPEC_LOOP_RIG_H
#define QN_SPEC_LOOP_RIG_H

#include "test.h"

#include "qn/loop.h"

#include <poll.h>
#include <unistd.h>

typedef struct rig {
  qn_loop_t *loop;
  int64_t live;
} rig_t;

TEST_UNUSED static void rig_open(rig_t *rig)
{
  rig->live = qn_alloc_live();
  rig->loop = qn_loop_new(NULL);
  REQUIRE(rig->loop != NULL);
}

TEST_UNUSED static void rig_close(rig_t *rig)
{
  CHECK_INT(qn_loop_free(rig->loop), 0);
  CHECK_INT(qn_alloc_live(), rig->live);
}

typedef struct note {
  qn_op_t op;
  int done;
  int64_t result;
  uint64_t turn; /* in which done ran */
} note_t;

TEST_UNUSED static void note_done(qn_op_t *op)
{
  note_t *note = (note_t *)(void *)((char *)op - offsetof(note_t, op));
  note->done++;
  note->result = op->result;
  note->turn = qn_loop_turns(op->loop);
}

TEST_UNUSED static void note_init(note_t *note, qn_loop_t *loop)
{
  memset(note, 0, sizeof *note);
  qn_op_init(&note->op, loop, note_done);
}

TEST_UNUSED static void wait_readable(qn_loop_t *loop, int timeout)
{
  struct pollfd p = {.fd = qn_loop_fd(loop), .events = POLLIN};
  poll(&p, 1, timeout < 0 || timeout > 10000 ? 10000 : timeout);
}

/* Turns until cond holds; a loop that dies or turns for ever fails the test. Steps as a foreign
 * poll loop does, with a look at cond before each wait: a turn that waits by itself would go on to
 * wait for the next event although cond holds by now. */
#define TURN_UNTIL(loop, cond)                       \
  do {                                               \
    int turns_left = 100000;                         \
    while (!(cond) && --turns_left > 0) {            \
      int wait_ms = qn_loop_timeout(loop);           \
      if (!(cond)) {                                 \
        wait_readable((loop), wait_ms);              \
        if (!qn_loop_turn((loop), QN_TURN_NOWAIT)) { \
          break;                                     \
        }                                            \
      }                                              \
    }                                                \
    REQUIRE(cond);                                   \
  } while (0)

TEST_UNUSED static qn_loop_stats_t stats_of(const qn_loop_t *loop)
{
  qn_loop_stats_t stats;
  qn_loop_stats(loop, &stats);
  return stats;
}

#endif

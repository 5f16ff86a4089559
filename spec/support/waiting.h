/*
 * An operation that a C test waits for: what it is given to say that it is done, and turning the
 * loop until it is. For tests of what the pool does; the operation and the loop are the test's.
 */
#ifndef QN_SPEC_WAITING_H
#define QN_SPEC_WAITING_H

#include "qn/loop.h"

#include <stdbool.h>

typedef struct waiting {
  qn_op_t op;
  bool done;
} waiting_t;

static void on_done(qn_op_t *op) { ((waiting_t *)(void *)op)->done = true; }

static void wait_for(qn_loop_t *loop, waiting_t *w)
{
  while (!w->done) {
    qn_loop_turn(loop, QN_TURN_ONCE);
  }
}

#endif

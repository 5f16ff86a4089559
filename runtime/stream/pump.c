/* pump.c: moves bytes from one stream to another in C, straight from the buffer that they were
 * received into.
 *
 * Runs when the source is woken for reading and when the destination is woken for writing: no turn
 * of its own, and a full chunk is sent from the memory that the loop lent for receiving; only what
 * the kernel refuses is copied. Must not hold bytes: what is not handed over stays in the source's
 * buffer. Invariant: each side's hold is set exactly while `src` / `dst` is not NULL; once both are
 * let go the pump waits for qn_pump_end.
 */
#include "stream/stream_p.h"

#include <errno.h>

enum {
  QUEUE_MAX = 16 * 1024
}; /* with more than this refused, reading on would only mean copying */

struct qn_pump {
  qn__hold_t read_hold, write_hold;
  qn_stream_t *src, *dst; /* NULL: let go */
  qn_op_t *op;
  uint64_t limit, moved;
  bool keep_open;
  bool finishing; /* all is handed over, dst ends its writing side */
  bool settled;
  bool running; /* keeps src == dst from entering twice */
  bool filling; /* a failure now is the reading side's, also when src == dst */
  char failed;
};

static void let_go(qn_pump_t *p)
{
  qn_stream_t *src = p->src, *dst = p->dst;
  p->src = p->dst = NULL;
  if (src != NULL) {
    if (src->read_hold == &p->read_hold) {
      qn__let_reader(src);
    }
    qn_stream_release(src);
  }
  if (dst != NULL) {
    if (dst->write_hold == &p->write_hold) {
      qn__let_writer(dst);
    }
    qn_stream_release(dst);
  }
}

/* Settles once; `done` runs later, so callers may go on reading the pump. */
static void settle(qn_pump_t *p, int err, char failed)
{
  if (p->settled) {
    return;
  }
  p->settled = true;
  p->failed = failed;
  qn_op_settle(p->op, err < 0 ? err : (int64_t)p->moved);
  if (!p->running) {
    let_go(p);
  }
}

/* --- moving ----------------------------------------------------------------------------------- */

static uint64_t left(const qn_pump_t *p) { return p->limit - p->moved; }

/* Hands what src has read to dst. 0: src's buffer is empty (or the limit is reached); QN_AGAIN: dst
 * has no room; or an error of dst. */
static int hand_over(qn_pump_t *p)
{
  while (qn_stream_available(p->src) != 0 && left(p) != 0) {
    size_t room = p->dst->mark < QUEUE_MAX ? p->dst->mark : QUEUE_MAX;
    size_t queued = qn_stream_queued(p->dst);
    if (!qn__is_up(p->dst) || (queued != 0 && queued >= room)) {
      return QN_AGAIN;
    }
    qn_slice_t v = qn_stream_data(p->src);
    v.size = v.size < QN__PIECE ? v.size : QN__PIECE;
    v.size = v.size < left(p) ? v.size : (size_t)left(p);
    int rc = qn__stream_put(p->dst, &v, 1);
    if (rc < 0) {
      return rc;
    }
    p->moved += v.size;
    qn_stream_consume(p->src, v.size);
  }
  return 0;
}

static void dst_failed(qn_pump_t *p, int err)
{
  qn_stream_t *dst = p->dst; /* held until the run is over */
  settle(p, err, 'w');       /* before the side settles us with the same error */
  if (dst->write_hold == &p->write_hold) {
    dst->write_hold = NULL;
  }
  qn__writing_failed(dst, err, false);
}

static void finish(qn_pump_t *p)
{
  int rc;
  if (p->keep_open) {
    settle(p, 0, 0);
    return;
  }
  p->finishing = true;
  if (p->dst->fin == QN__FIN_NONE) { /* the stream itself may have ended it since we asked */
    p->dst->fin = QN__FIN_WANTED;
  }
  rc = qn__finish_step(p->dst); /* a failure has called hold_failed */
  if (rc == 0) {
    settle(p, 0, 0);
  }
  p->write_hold.waits = rc == QN_AGAIN;
}

/* Hands over what is there: true = all of it, so more may be read. */
static bool pass_on(qn_pump_t *p)
{
  int rc = hand_over(p);
  p->write_hold.waits = rc == QN_AGAIN;
  p->read_hold.waits = rc == 0;
  if (rc < 0 && rc != QN_AGAIN) {
    dst_failed(p, rc);
  } else if (rc == 0 && left(p) == 0) {
    finish(p);
  }
  return rc == 0 && left(p) != 0;
}

/* One receive call: the bytes that came; 0 = none, or it is over. */
static size_t fill(qn_pump_t *p)
{
  p->filling = true;
  int64_t n = qn__stream_fill(p->src, left(p) < SIZE_MAX ? (size_t)left(p) : SIZE_MAX);
  p->filling = false;
  if (p->settled || n == QN_AGAIN) {
    return 0;
  }
  if (n < 0) {
    settle(p, (int)n, 'r');
  } else if (n == 0) {
    finish(p);
  }
  return n > 0 ? (size_t)n : 0;
}

static void run(qn_pump_t *p)
{
  if (p->running || p->settled) {
    return;
  }
  p->running = true;
  if (p->finishing) {
    finish(p);
  } else {
    /* Until there is nothing more. After a full chunk others have their turn first: by then the
     * next bytes are often there, while a second look at once would mostly find nothing. */
    bool more = pass_on(p);
    for (int fills = 1; more; fills++) {
      size_t n = fill(p);
      more = n != 0 && pass_on(p);
      if (more && (n >= QN__CHUNK || fills == QN__FILLS_PER_RUN)) {
        qn_stream_wake(p->src, QN_WAKE_READ);
        break;
      }
    }
  }
  p->running = false;
  qn_stream_keep(p->src); /* dst was full, or failed: the lent chunk goes back */
  if (p->settled) {
    let_go(p);
    return;
  }
  qn__update_pause(p->src);
  if (qn__stall_check(p->dst) < 0) {
    settle(p, -ENOMEM, 'w');
  }
}

static void read_wake(qn__hold_t *h) { run(QN__CONTAINER(h, qn_pump_t, read_hold)); }
static void write_wake(qn__hold_t *h) { run(QN__CONTAINER(h, qn_pump_t, write_hold)); }

static void read_failed(qn__hold_t *h, int err)
{
  settle(QN__CONTAINER(h, qn_pump_t, read_hold), err, 'r');
}

static void write_failed(qn__hold_t *h, int err)
{
  qn_pump_t *p = QN__CONTAINER(h, qn_pump_t, write_hold);
  settle(p, err, p->filling && p->src == p->dst ? 'r' : 'w');
}

/* --- for callers ------------------------------------------------------------------------------ */

static void cancel_pump(qn_op_t *op)
{
  qn_pump_t *p = op->owner;
  p->settled = true; /* the canceller settles the op */
  if (!p->running) {
    let_go(p);
  }
}

int qn_pump_start(qn_stream_t *src, qn_stream_t *dst, const qn_pump_opts_t *opts, qn_op_t *op)
{
  qn_pump_t *p = qn_calloc(1, sizeof *p);
  if (p == NULL) {
    return -ENOMEM;
  }
  p->read_hold = (qn__hold_t){.wake = read_wake, .fail = read_failed, .waits = true};
  p->write_hold = (qn__hold_t){.wake = write_wake, .fail = write_failed};
  int rc = qn__hold_reader(src, &p->read_hold);
  if (rc == 0) {
    rc = qn__hold_writer(dst, &p->write_hold);
    if (rc < 0) {
      qn__let_reader(src);
    }
  }
  if (rc < 0) {
    qn_free(p);
    return rc;
  }
  qn_stream_retain(src);
  qn_stream_retain(dst);
  p->src = src;
  p->dst = dst;
  p->op = op;
  p->limit = opts != NULL && opts->limit != 0 ? opts->limit : UINT64_MAX;
  p->keep_open = opts != NULL && opts->keep_open;
  qn_op_begin(op, p, cancel_pump);
  qn__update_pause(src);
  qn_stream_wake(src, QN_WAKE_READ); /* the first look is in the next ready phase */
  return QN_AGAIN;
}

uint64_t qn_pump_moved(const qn_op_t *op)
{
  const qn_pump_t *p = op->owner;
  return p->moved;
}

char qn_pump_failed(const qn_op_t *op)
{
  const qn_pump_t *p = op->owner;
  return p->failed;
}

void qn_pump_end(qn_op_t *op)
{
  qn_pump_t *p = op->owner;
  op->owner = NULL;
  if (p != NULL) {
    QN__ASSERT(p->settled && p->src == NULL && p->dst == NULL);
    qn_free(p);
  }
}

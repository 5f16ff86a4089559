/* dial.c: look-up, then one connection attempt after the other until one is up.
 *
 * Called by embedders; ends by settling the caller's operation. Knows neither sockets nor filters:
 * bind.c makes the bottom filter, the stream starts the stack. Must not settle inside qn_dial.
 * Invariant: a dial exists from qn_dial until exactly one of finish (it is over), cancelled (the
 * caller gave up) or stopped (the stream was closed) has freed it; until then it holds the stream.
 */
#include "qn/dial.h"

#include "loop/loop_i.h"
#include "stream/dial_i.h"
#include "stream/stream_i.h"

#include <errno.h>

#define ATTEMPT_MIN_MS 2000u
#define RETRY_FIRST_MS 5u
#define RETRY_MOST_MS 100u
#define NEVER UINT64_MAX

typedef struct dial {
  qn_stream_t *s;
  qn_op_t *op; /* the caller's */
  qn_op_t lookup;
  qn_op_t attempt;
  const qn_addr_t *v;
  size_t n, i;     /* addresses, the next one */
  qn_addr_t one;   /* when there was nothing to look up */
  qn_addr_t local; /* size 0: none given */
  uint64_t deadline;
  qn_timer_t retry; /* a Unix server whose backlog is full is asked again */
  uint64_t retry_ms;
  int error;    /* of the last attempt */
  bool in_call; /* qn_dial has not returned yet: the caller's op may settle, but not complete */
} dial_t;

static void set_phase(qn_stream_t *s, const char *phase)
{
  qn__stream_set_slot(s, QN__SLOT_DIAL, (void *)(uintptr_t)phase, NULL);
}

const char *qn_dial_phase(const qn_stream_t *s)
{
  const char *phase = qn__stream_slot(s, QN__SLOT_DIAL);
  return phase != NULL ? phase : "";
}

/* --- the end --------------------------------------------------------------------------------- */

/* Frees the dial but for its reference to the stream. */
static qn_stream_t *dissolve(dial_t *d)
{
  qn_stream_t *s = d->s;
  qn__stream_set_dial(s, NULL, NULL);
  qn_op_forget(&d->attempt);
  qn_op_forget(&d->lookup);
  qn_timer_stop(qn_stream_loop(s), &d->retry);
  qn_resolve_end(&d->lookup);
  qn__dial_unbind(s);
  qn_free(d);
  return s;
}

static void finish(dial_t *d, int rc)
{
  qn_op_t *op = d->op;
  bool in_call = d->in_call;
  qn_stream_t *s = dissolve(d);
  if (rc < 0) {
    qn__stream_drop_filters(s);
    qn__stream_set_state(s, QN_STATE_UNCONNECTED);
    qn__stream_set_error(s, rc);
  }
  if (in_call) {
    qn_op_settle(op, rc);
  } else {
    qn_op_complete(op, rc);
  }
  qn_stream_release(s);
}

static void cancelled(qn_op_t *op)
{
  qn_stream_t *s = dissolve(op->owner);
  qn__stream_drop_filters(s);
  qn__stream_set_state(s, QN_STATE_UNCONNECTED);
  qn_stream_release(s);
}

/* The stream is being closed and sees to its filters and its state itself. */
static void stopped(void *dial)
{
  dial_t *d = dial;
  qn_op_t *op = d->op;
  qn_stream_t *s = dissolve(d);
  qn_op_settle(op, QN_E_CLOSED);
  qn_stream_release(s);
}

/* --- the walk -------------------------------------------------------------------------------- */

static int start_attempt(dial_t *d, const qn_addr_t *peer)
{
  qn_filter_t *f;
  int rc = qn__f_socket_dial(d->s, peer, d->local.size != 0 ? &d->local : NULL, 0, &f);
  if (rc == 0) {
    rc = qn__stream_set_bottom(d->s, f);
  }
  return rc == 0 ? qn__stream_start(d->s, &d->attempt) : rc;
}

/* The end of the running attempt: an equal share of what is left, but not too little to succeed. */
static uint64_t attempt_deadline(const dial_t *d, uint64_t now)
{
  if (d->deadline == NEVER) {
    return NEVER;
  }
  uint64_t left = d->deadline - now;
  uint64_t share = left / (d->n - d->i + 1);
  uint64_t least = left < ATTEMPT_MIN_MS ? left : ATTEMPT_MIN_MS;
  return now + (share > least ? share : least);
}

static void walk(dial_t *d);

static void on_retry(qn_timer_t *t)
{
  dial_t *d = QN__CONTAINER(t, dial_t, retry);
  d->i--; /* the same address */
  walk(d);
}

/* connect(2) does not wait for room in the backlog of a Unix socket: it says EAGAIN. */
static void try_later(dial_t *d)
{
  qn_loop_t *loop = qn_stream_loop(d->s);
  d->retry_ms = d->retry_ms == 0 ? RETRY_FIRST_MS : d->retry_ms * 2;
  if (d->retry_ms > RETRY_MOST_MS) {
    d->retry_ms = RETRY_MOST_MS;
  }
  uint64_t at = qn_loop_fresh(loop) + d->retry_ms;
  int rc = qn_timer_start(loop, &d->retry, at < d->deadline ? at : d->deadline, on_retry);
  if (rc < 0) {
    finish(d, rc);
    return;
  }
  d->in_call = false;
}

static void walk(dial_t *d)
{
  const qn_addr_t *local = d->local.size != 0 ? &d->local : NULL;
  while (d->i < d->n) {
    uint64_t now = qn_loop_fresh(qn_stream_loop(d->s));
    const qn_addr_t *peer = &d->v[d->i++];
    if (now >= d->deadline) {
      d->error = QN_E_TIMEOUT;
      break;
    }
    if (!qn__dial_can_reach(d->s, local, peer)) {
      d->error = d->error != 0 ? d->error : -EAFNOSUPPORT;
      continue;
    }
    int rc = start_attempt(d, peer);
    if (rc == QN_AGAIN) {
      uint64_t at = attempt_deadline(d, now);
      d->in_call = false;
      if (at != NEVER) {
        qn_op_deadline(&d->attempt, at, QN_E_TIMEOUT);
      }
      return;
    }
    if (rc == 0) {
      finish(d, 0);
      return;
    }
    qn__stream_drop_filters(d->s);
    if (rc == -EAGAIN) {
      try_later(d);
      return;
    }
    d->error = rc;
  }
  finish(d, d->error);
}

static void on_attempt(qn_op_t *op)
{
  dial_t *d = QN__CONTAINER(op, dial_t, attempt);
  if (op->result >= 0) {
    finish(d, 0);
    return;
  }
  qn__stream_drop_filters(d->s);
  if (op->result == -EAGAIN) {
    try_later(d);
    return;
  }
  d->error = (int)op->result;
  walk(d);
}

static void begin_walk(dial_t *d)
{
  set_phase(d->s, "connect");
  qn__stream_set_state(d->s, QN_STATE_CONNECTING);
  if (qn_addr_family(&d->v[0]) != QN_FAMILY_UNIX) {
    qn__stream_emit(d->s, QN_EVENT_HOST_FOUND, 0);
  }
  walk(d);
}

static void on_lookup(qn_op_t *op)
{
  dial_t *d = QN__CONTAINER(op, dial_t, lookup);
  const qn_addr_list_t *list = qn_resolved(op);
  if (list == NULL) {
    finish(d, (int)op->result);
    return;
  }
  d->v = list->v;
  d->n = list->n;
  begin_walk(d);
}

/* --- the beginning --------------------------------------------------------------------------- */

static int check(const qn_stream_t *s, const qn_dial_opts_t *opts)
{
  qn_state_t state = qn_stream_state(s);
  if (qn_stream_is_closed(s)) {
    return QN_E_CLOSED;
  }
  if ((state != QN_STATE_UNCONNECTED && state != QN_STATE_BOUND) || qn_stream_top(s) != NULL ||
      qn__stream_dial(s) != NULL) {
    return QN_E_IS_CONNECTED;
  }
  if (opts->address != NULL ? opts->address->size == 0 : opts->host == NULL) {
    return QN_E_INVALID;
  }
  return opts->bind != NULL && opts->bind->size == 0 ? QN_E_INVALID : 0;
}

static int find_addresses(dial_t *d, const qn_dial_opts_t *opts)
{
  qn_loop_t *loop = qn_stream_loop(d->s);
  if (opts->address != NULL) {
    d->one = *opts->address;
    return 0;
  }
  qn_resolve_opts_t ask = {.host = opts->host, .port = opts->port, .family = opts->family};
  return qn_resolve(loop, &ask, &d->lookup, &d->one);
}

int qn_dial(qn_stream_t *s, const qn_dial_opts_t *opts, qn_op_t *op)
{
  qn_loop_t *loop = qn_stream_loop(s);
  int rc = check(s, opts);
  if (rc < 0) {
    return rc;
  }
  dial_t *d = qn_calloc(1, sizeof *d);
  if (d == NULL) {
    return -ENOMEM;
  }
  d->s = s;
  d->op = op;
  d->in_call = true;
  d->deadline = opts->timeout != 0 ? qn_loop_fresh(loop) + opts->timeout : NEVER;
  if (opts->bind != NULL) {
    d->local = *opts->bind;
  }
  qn_op_init(&d->lookup, loop, on_lookup);
  qn_op_init(&d->attempt, loop, on_attempt);
  rc = find_addresses(d, opts);
  if (rc < 0 && rc != QN_AGAIN) {
    qn_free(d);
    return rc;
  }
  qn_stream_retain(s);
  qn__stream_set_dial(s, d, stopped);
  qn_op_begin(op, d, cancelled);
  set_phase(s, "dns");
  if (opts->address == NULL || qn_addr_family(opts->address) != QN_FAMILY_UNIX) {
    qn__stream_set_state(s, QN_STATE_HOST_LOOKUP);
  }
  if (rc == QN_AGAIN) {
    d->in_call = false;
    if (d->deadline != NEVER) {
      qn_op_deadline(&d->lookup, d->deadline, QN_E_TIMEOUT);
    }
    return QN_AGAIN;
  }
  d->v = &d->one;
  d->n = 1;
  begin_walk(d); /* which may have freed it */
  return QN_AGAIN;
}

/* dial.c: look-up, then connection attempts until one is up: a race, or one after the other.
 *
 * Called by embedders; ends by settling the caller's operation. Knows no sockets: bind.c makes the
 * bottom filter, f_happy.c races several, the stream starts the stack. A single address is not
 * raced. Must not settle inside qn_dial. Invariant: a dial exists from qn_dial until exactly one of
 * finish (it is over), cancelled (the caller gave up) or stopped (the stream was closed) has freed
 * it; until then it holds the stream.
 */
#include "qn/dial.h"

#include "loop/loop_i.h"
#include "stream/dial_i.h"
#include "stream/f_happy.h"

#include <errno.h>
#include <string.h>

#define ATTEMPT_MIN_MS 2000u
#define RETRY_FIRST_MS 5u
#define RETRY_MOST_MS 100u
#define NEVER UINT64_MAX

typedef struct dial {
  qn_stream_t *s;
  qn_op_t *op; /* the caller's */
  qn_op_t lookup;
  qn_op_t attempt; /* the one that runs in a walk; the whole race */
  qn__dial_list_t list;
  qn__race_t race;
  qn_addr_t *own;  /* a copy of addresses that the caller gave */
  qn_addr_t one;   /* when there was nothing to look up */
  qn_addr_t local; /* size 0: none given */
  uint64_t deadline;
  qn_timer_t timer; /* race: the delay; walk: a Unix server with a full backlog is asked again */
  uint64_t delay;
  uint64_t retry_ms;
  int place;    /* of the address that a walk is trying, or -1 */
  bool racing;  /* the race has begun */
  bool in_call; /* qn_dial has not returned yet: the caller's op may settle, but not complete */
} dial_t;

/* What is kept of a dial that has failed with several addresses. */
typedef struct failures {
  size_t n;
  qn_dial_failure_t v[];
} failures_t;

static void set_phase(qn_stream_t *s, const char *phase)
{
  qn__stream_set_slot(s, QN__SLOT_DIAL, (void *)(uintptr_t)phase, NULL);
}

const char *qn_dial_phase(const qn_stream_t *s)
{
  const char *phase = qn__stream_slot(s, QN__SLOT_DIAL);
  return phase != NULL ? phase : "";
}

/* --- failures -------------------------------------------------------------------------------- */

static void free_failures(void *p) { qn_free(p); }

static void forget_failures(qn_stream_t *s)
{
  if (qn__stream_slot(s, QN__SLOT_FAILURES) != NULL) {
    qn__stream_set_slot(s, QN__SLOT_FAILURES, NULL, NULL);
  }
}

/* Without memory there is only the error of the whole. `rc` is what ended attempts that ran. */
static void keep_failures(const dial_t *d, int rc)
{
  const qn__dial_list_t *l = &d->list;
  failures_t *kept = l->given > 1 ? qn_malloc(sizeof *kept + l->given * sizeof kept->v[0]) : NULL;
  if (kept == NULL) {
    return;
  }
  kept->n = l->given;
  for (size_t k = 0; k < l->given; k++) {
    int error = l->errors[l->order[k]];
    kept->v[k] =
        (qn_dial_failure_t){.address = l->v[l->order[k]], .error = error != 0 ? error : rc};
  }
  if (qn__stream_set_slot(d->s, QN__SLOT_FAILURES, kept, free_failures) < 0) {
    qn_free(kept);
  }
}

size_t qn_dial_failures(const qn_stream_t *s, const qn_dial_failure_t **out)
{
  const failures_t *kept = qn__stream_slot(s, QN__SLOT_FAILURES);
  *out = kept != NULL ? kept->v : NULL;
  return kept != NULL ? kept->n : 0;
}

/* --- the end --------------------------------------------------------------------------------- */

/* Frees the dial but for its reference to the stream. A racing filter that is still there does not
 * look at us while it is closed. */
static qn_stream_t *dissolve(dial_t *d)
{
  qn_stream_t *s = d->s;
  qn__stream_set_dial(s, NULL, NULL);
  qn_op_forget(&d->attempt);
  qn_op_forget(&d->lookup);
  qn_timer_stop(qn_stream_loop(s), &d->timer);
  qn_resolve_end(&d->lookup);
  qn__dial_unbind(s);
  qn_free(d->own);
  qn_free(d);
  return s;
}

static void finish(dial_t *d, int rc)
{
  qn_op_t *op = d->op;
  bool in_call = d->in_call;
  if (rc < 0) {
    keep_failures(d, rc);
  }
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

/* --- the race -------------------------------------------------------------------------------- */

static void on_delay(qn_timer_t *t)
{
  dial_t *d = QN__CONTAINER(t, dial_t, timer);
  d->race.due = true;
  qn_stream_wake(d->s, QN_WAKE_START);
}

static int on_begun(qn__race_t *r)
{
  dial_t *d = QN__CONTAINER(r, dial_t, race);
  qn_loop_t *loop = qn_stream_loop(d->s);
  return qn_timer_start(loop, &d->timer, qn_loop_fresh(loop) + d->delay, on_delay);
}

static void begin_race(dial_t *d)
{
  qn_filter_t *f;
  d->racing = true;
  d->race.list = &d->list;
  d->race.local = d->local.size != 0 ? &d->local : NULL;
  d->race.begun = on_begun;
  int rc = qn__f_happy_new(&d->race, &f);
  if (rc == 0) {
    rc = qn__stream_set_bottom(d->s, f);
  }
  if (rc == 0) {
    rc = qn__stream_start(d->s, &d->attempt);
  }
  if (rc != QN_AGAIN) {
    finish(d, rc);
    return;
  }
  d->in_call = false;
  if (d->deadline != NEVER) {
    qn_op_deadline(&d->attempt, d->deadline, QN_E_TIMEOUT);
  }
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
  uint64_t share = left / (d->list.n - d->list.given + 1);
  uint64_t least = left < ATTEMPT_MIN_MS ? left : ATTEMPT_MIN_MS;
  return now + (share > least ? share : least);
}

static void walk(dial_t *d);

static void on_retry(qn_timer_t *t)
{
  dial_t *d = QN__CONTAINER(t, dial_t, timer);
  qn__dial_list_undo(&d->list); /* the same address */
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
  int rc = qn_timer_start(loop, &d->timer, at < d->deadline ? at : d->deadline, on_retry);
  if (rc < 0) {
    finish(d, rc);
    return;
  }
  d->in_call = false;
}

static void walk(dial_t *d)
{
  const qn_addr_t *local = d->local.size != 0 ? &d->local : NULL;
  while ((d->place = qn__dial_list_next(&d->list)) >= 0) {
    uint64_t now = qn_loop_fresh(qn_stream_loop(d->s));
    const qn_addr_t *peer = &d->list.v[d->place];
    int *error = &d->list.errors[d->place];
    if (now >= d->deadline) {
      *error = QN_E_TIMEOUT;
      break;
    }
    if (!qn__dial_can_reach(d->s, local, peer)) {
      *error = -EAFNOSUPPORT;
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
    *error = rc;
  }
  bool late = qn_loop_fresh(qn_stream_loop(d->s)) >= d->deadline;
  finish(d, late ? QN_E_TIMEOUT : qn__dial_list_error(&d->list));
}

static void on_attempt(qn_op_t *op)
{
  dial_t *d = QN__CONTAINER(op, dial_t, attempt);
  if (op->result >= 0 || d->racing) {
    finish(d, (int)op->result);
    return;
  }
  qn__stream_drop_filters(d->s);
  if (op->result == -EAGAIN) {
    try_later(d);
    return;
  }
  d->list.errors[d->place] = (int)op->result;
  walk(d);
}

/* --- addresses ------------------------------------------------------------------------------- */

static void begin(dial_t *d)
{
  set_phase(d->s, "connect");
  qn__stream_set_state(d->s, QN_STATE_CONNECTING);
  if (qn_addr_family(&d->list.v[0]) != QN_FAMILY_UNIX) {
    qn__stream_emit(d->s, QN_EVENT_HOST_FOUND, 0);
  }
  if (!d->list.in_order && (d->list.n > 1 || d->race.more)) {
    begin_race(d);
  } else {
    walk(d);
  }
}

/* At first, and again for each answer that comes later. */
static void on_lookup(qn_op_t *op)
{
  dial_t *d = QN__CONTAINER(op, dial_t, lookup);
  const qn_addr_list_t *found = qn_resolved(op);
  d->race.more = false;
  if (found != NULL) {
    qn__dial_list_set(&d->list, found->v, found->n);
    d->race.more = !d->list.in_order && qn_resolve_more(op) == QN_AGAIN;
  } else if (!d->racing) {
    finish(d, (int)op->result);
    return;
  }
  if (d->racing) {
    qn_stream_wake(d->s, QN_WAKE_START);
  } else {
    begin(d);
  }
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
  if (opts->n_addresses != 0) {
    for (size_t i = 0; i < opts->n_addresses; i++) {
      if (opts->addresses[i].size == 0) {
        return QN_E_INVALID;
      }
    }
  } else if (opts->address != NULL ? opts->address->size == 0 : opts->host == NULL) {
    return QN_E_INVALID;
  }
  return opts->bind != NULL && opts->bind->size == 0 ? QN_E_INVALID : 0;
}

/* Names are looked up for the family that the local address can reach. A literal of the other one
 * fails later, for what it is. */
static qn_family_t wanted_family(const dial_t *d, const qn_dial_opts_t *opts)
{
  qn_addr_t literal;
  if (opts->family != QN_FAMILY_ANY || d->local.size == 0 || qn_addr_is_any(&d->local) ||
      qn_addr_parse(&literal, opts->host, opts->port, QN_FAMILY_ANY) == 0) {
    return opts->family;
  }
  return qn_addr_family(&d->local);
}

/* 0: they are in the list. QN_AGAIN: they come. */
static int find_addresses(dial_t *d, const qn_dial_opts_t *opts)
{
  qn_loop_t *loop = qn_stream_loop(d->s);
  size_t n = opts->n_addresses < QN_RESOLVE_MAX ? opts->n_addresses : QN_RESOLVE_MAX;
  if (n != 0) {
    d->own = qn_malloc(n * sizeof *d->own);
    if (d->own == NULL) {
      return -ENOMEM;
    }
    memcpy(d->own, opts->addresses, n * sizeof *d->own);
    qn__dial_list_set(&d->list, d->own, n);
    return 0;
  }
  qn__dial_list_set(&d->list, &d->one, 1);
  if (opts->address != NULL) {
    d->one = *opts->address;
    return 0;
  }
  qn_resolve_opts_t ask = {.host = opts->host,
                           .port = opts->port,
                           .family = wanted_family(d, opts),
                           .resolver = opts->resolver,
                           .stepwise = !d->list.in_order};
  return qn_resolve(loop, &ask, &d->lookup, &d->one);
}

static uint64_t delay_of(const qn_dial_opts_t *opts)
{
  uint64_t ms = opts->attempt_delay != 0 ? opts->attempt_delay : QN_DIAL_DELAY_MS;
  ms = ms < QN_DIAL_DELAY_MIN_MS ? QN_DIAL_DELAY_MIN_MS : ms;
  return ms > QN_DIAL_DELAY_MAX_MS ? QN_DIAL_DELAY_MAX_MS : ms;
}

static bool is_unix(const qn_dial_opts_t *opts)
{
  return opts->n_addresses != 0
             ? qn_addr_family(&opts->addresses[0]) == QN_FAMILY_UNIX
             : opts->address != NULL && qn_addr_family(opts->address) == QN_FAMILY_UNIX;
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
  d->delay = delay_of(opts);
  /* A socket that is bound already is good for one attempt at a time. */
  d->list.in_order =
      opts->in_order || is_unix(opts) || (opts->bind == NULL && qn__dial_bound_fd(s) >= 0);
  if (opts->bind != NULL) {
    d->local = *opts->bind;
  }
  qn_op_init(&d->lookup, loop, on_lookup);
  qn_op_init(&d->attempt, loop, on_attempt);
  rc = find_addresses(d, opts);
  if (rc < 0 && rc != QN_AGAIN) {
    qn_free(d->own);
    qn_free(d);
    return rc;
  }
  qn_stream_retain(s);
  forget_failures(s);
  qn__stream_set_dial(s, d, stopped);
  qn_op_begin(op, d, cancelled);
  set_phase(s, "dns");
  if (!is_unix(opts)) {
    qn__stream_set_state(s, QN_STATE_HOST_LOOKUP);
  }
  if (rc == QN_AGAIN) {
    d->in_call = false;
    if (d->deadline != NEVER) {
      qn_op_deadline(&d->lookup, d->deadline, QN_E_TIMEOUT);
    }
    return QN_AGAIN;
  }
  begin(d); /* which may have freed it */
  return QN_AGAIN;
}

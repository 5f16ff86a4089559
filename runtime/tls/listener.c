/* listener.c: takes connections of a listener, shakes hands with all of them at once, queues them.
 *
 * One operation waits on the listener below; each connection has one for its handshake, with the
 * deadline. No user code runs here: the hooks take notes. Must not let slow peers keep others out:
 * when too many handshakes are under way the oldest makes room, unless it is young itself; then,
 * and when too many are ready, one connection is held back, and the rest waits below. Invariant:
 * nobody waits while one is ready; while one is held, no other is taken from below.
 */
#include "qn/tls_listen.h"

#include "loop/loop_i.h"

#include <errno.h>

typedef struct shaking {
  qn_tls_incoming_t in; /* first */
  qn_list_t link;       /* in l->shaking, oldest first, or l->ready */
  qn_op_t op;
  qn_tls_listener_t *l;
  uint64_t since; /* when it began, ms */
  bool held;
} shaking_t;

struct qn_tls_listener {
  qn_loop_t *loop;
  size_t refs;
  qn_listener_t *below;
  qn_tls_config_t *config;
  qn_tls_listen_opts_t opts;
  qn_op_t op; /* on `below` */
  qn_list_t shaking, ready;
  qn_list_t waiters; /* of qn_op_t */
  qn_stream_t *held; /* came when too many were under way, or ready */
  qn_timer_t room;   /* when the oldest is old enough to go */
  int error;         /* of `below`, for the next who accepts */
  bool closed, pumping;
  qn_tls_listen_stats_t stats;
};

#define SHAKING(node) QN__CONTAINER(node, shaking_t, link)

static void pump(qn_tls_listener_t *l);

/* --- the end of one --------------------------------------------------------------------------- */

/* What a failed handshake still has to say leaves at once or not at all: a stream that waits for a
 * peer would not count as a handshake any more. */
static void let_go(qn_stream_t *s, int err)
{
  if (err == QN_E_TIMEOUT || err == QN_E_LIMIT || err == QN_E_CLOSED || qn_stream_push_out(s) < 0 ||
      qn_stream_queued(s) != 0) {
    qn_stream_abort(s);
  } else {
    qn_stream_close(s);
  }
  qn_stream_release(s);
}

/* It is in no list. */
static void lose(shaking_t *h, int err)
{
  qn_tls_listener_t *l = h->l;
  qn_op_forget(&h->op);
  if (l->opts.hooks.lost != NULL) {
    l->opts.hooks.lost(l->opts.hooks.arg, &h->in, err);
  }
  let_go(h->in.s, err);
  qn_tls_release(h->in.t);
  qn_free(h);
}

static void remove_shaking(shaking_t *h)
{
  qn__list_remove(&h->link);
  h->l->stats.handshaking--;
}

static void fail(shaking_t *h, int err)
{
  qn_tls_listener_t *l = h->l;
  remove_shaking(h);
  l->stats.failed++;
  l->stats.timed_out += err == QN_E_TIMEOUT;
  l->stats.dropped += err == QN_E_LIMIT;
  lose(h, err);
}

/* --- handing out ------------------------------------------------------------------------------ */

static qn_op_t *first_waiter(qn_tls_listener_t *l)
{
  if (qn__list_empty(&l->waiters)) {
    return NULL;
  }
  qn_op_t *op = QN__CONTAINER(l->waiters.next, qn_op_t, link);
  qn__list_remove(&op->link);
  return op;
}

static void fail_waiters(qn_tls_listener_t *l, int err)
{
  for (qn_op_t *op; (op = first_waiter(l)) != NULL;) {
    op->owner = NULL;
    qn_op_settle(op, err);
  }
}

static void enqueue(shaking_t *h, bool first)
{
  qn_tls_listener_t *l = h->l;
  if (first) {
    qn__list_prepend(&l->ready, &h->link);
  } else {
    qn__list_append(&l->ready, &h->link);
  }
  l->stats.pending++;
}

static shaking_t *dequeue(qn_tls_listener_t *l)
{
  shaking_t *h = SHAKING(l->ready.next);
  qn__list_remove(&h->link);
  l->stats.pending--;
  return h;
}

/* The waiter that got the connection, or NULL: it is queued. */
static qn_op_t *hand_out(shaking_t *h)
{
  qn_op_t *op = first_waiter(h->l);
  if (op == NULL) {
    enqueue(h, false);
    return NULL;
  }
  op->owner = h;
  return op;
}

/* --- handshakes ------------------------------------------------------------------------------- */

static void on_shaken(qn_op_t *op)
{
  shaking_t *h = QN__CONTAINER(op, shaking_t, op);
  qn_tls_listener_t *l = h->l;
  if (op->result < 0) {
    fail(h, (int)op->result);
    pump(l);
    return;
  }
  remove_shaking(h);
  l->stats.up++;
  if (l->opts.hooks.ready != NULL) {
    l->opts.hooks.ready(l->opts.hooks.arg, &h->in);
  }
  qn_op_t *waiter = hand_out(h);
  pump(l);
  if (waiter != NULL) {
    qn_op_complete(waiter, 0); /* last: anything may happen in there */
  }
}

static void nothing_to_cancel(qn_op_t *op) { (void)op; }

static void arm(shaking_t *h)
{
  uint64_t ms = h->l->opts.handshake_ms;
  if (ms < UINT64_MAX - h->since) {
    qn_op_deadline(&h->op, h->since + ms, QN_E_TIMEOUT);
  }
}

static void start(shaking_t *h)
{
  int rc = qn_tls_start(h->in.t, h->in.s, &h->op);
  if (rc != QN_AGAIN) { /* garbage that was there already, say */
    qn_op_begin(&h->op, h, nothing_to_cancel);
    qn_op_settle(&h->op, rc);
    return;
  }
  arm(h);
}

void qn_tls_listener_go(qn_tls_incoming_t *in)
{
  shaking_t *h = (shaking_t *)(void *)in;
  if (h->held) {
    h->held = false;
    qn_op_forget(&h->op);
    start(h);
  }
}

/* Takes over the stream. */
static void begin(qn_tls_listener_t *l, qn_stream_t *s)
{
  shaking_t *h = qn_calloc(1, sizeof *h);
  if (h == NULL) {
    l->stats.failed++;
    let_go(s, QN_E_LIMIT);
    return;
  }
  qn_tls_opts_t opts = {.server = true};
  h->in.s = s;
  h->l = l;
  h->since = qn_loop_now(l->loop);
  qn_op_init(&h->op, l->loop, on_shaken);
  qn__list_append(&l->shaking, &h->link);
  l->stats.handshaking++;
  l->stats.begun++;
  int rc = l->opts.hooks.begin != NULL ? l->opts.hooks.begin(l->opts.hooks.arg, &h->in, &opts) : 0;
  h->held = rc == QN_AGAIN;
  rc = rc == 0 || rc == QN_AGAIN ? qn_tls_new(l->config, &opts, &h->in.t) : rc;
  if (rc < 0) {
    fail(h, rc);
  } else if (h->held) {
    qn_op_begin(&h->op, h, nothing_to_cancel);
    arm(h);
  } else {
    start(h);
  }
}

/* --- taking from below ------------------------------------------------------------------------ */

static void on_room(qn_timer_t *t) { pump(QN__CONTAINER(t, qn_tls_listener_t, room)); }

/* Whether one more may begin now; if not, `room` says when to ask again. */
static bool make_room(qn_tls_listener_t *l)
{
  if (l->stats.handshaking < l->opts.max_handshakes) {
    return true;
  }
  shaking_t *oldest = SHAKING(l->shaking.next);
  uint64_t at = oldest->since + QN_TLS_HANDSHAKE_YOUNG_MS;
  if (at <= qn_loop_now(l->loop)) {
    fail(oldest, QN_E_LIMIT);
    return true;
  }
  if (!qn_timer_armed(&l->room)) {
    (void)qn_timer_start(l->loop, &l->room, at, on_room); /* else: when one of them ends */
  }
  return false;
}

static void take(qn_tls_listener_t *l, qn_stream_t *s)
{
  if (l->stats.pending < l->opts.max_pending && make_room(l)) {
    begin(l, s);
  } else {
    l->held = s;
  }
}

static void note_error(qn_tls_listener_t *l, int err)
{
  qn_op_t *op = first_waiter(l);
  if (op != NULL) {
    op->owner = NULL;
    qn_op_settle(op, err);
  } else {
    l->error = err;
  }
}

static void take_held(qn_tls_listener_t *l)
{
  qn_stream_t *s = l->held;
  if (s != NULL) {
    l->held = NULL;
    qn_timer_stop(l->loop, &l->room);
    take(l, s);
  }
}

static void pump(qn_tls_listener_t *l)
{
  if (l->pumping || l->closed) {
    return;
  }
  l->pumping = true;
  take_held(l);
  while (l->held == NULL && l->stats.pending < l->opts.max_pending && qn_op_idle(&l->op) &&
         l->error == 0) {
    qn_stream_t *s = NULL;
    int rc = qn_listener_accept(l->below, &l->op, &s);
    if (rc == 0) {
      take(l, s);
    } else if (rc != QN_AGAIN) {
      note_error(l, rc);
    }
  }
  l->pumping = false;
}

static void on_accepted(qn_op_t *op)
{
  qn_tls_listener_t *l = QN__CONTAINER(op, qn_tls_listener_t, op);
  qn_stream_t *s = qn_listener_taken(op);
  if (op->result == QN_E_CLOSED) {
    qn_tls_listener_close(l);
    return;
  }
  if (s != NULL) {
    take(l, s);
  } else {
    note_error(l, (int)op->result);
  }
  pump(l);
}

/* --- accepting -------------------------------------------------------------------------------- */

static void cancel_accept(qn_op_t *op)
{
  qn__list_remove(&op->link);
  op->owner = NULL;
}

static void give(shaking_t *h, qn_tls_incoming_t *out)
{
  *out = h->in;
  qn_free(h);
}

int qn_tls_listener_accept(qn_tls_listener_t *l, qn_op_t *op, qn_tls_incoming_t *out)
{
  *out = (qn_tls_incoming_t){0};
  if (l->closed) {
    return QN_E_CLOSED;
  }
  if (!qn__list_empty(&l->ready)) {
    give(dequeue(l), out);
    pump(l);
    return 0;
  }
  if (l->error != 0) {
    int err = l->error;
    l->error = 0;
    pump(l);
    return err;
  }
  qn_op_begin(op, l, cancel_accept);
  qn__list_append(&l->waiters, &op->link);
  pump(l);
  return QN_AGAIN;
}

static shaking_t *held_by(qn_op_t *op)
{
  shaking_t *h = op->state != QN_OP_PENDING && op->result == 0 ? op->owner : NULL;
  op->owner = NULL;
  return h;
}

bool qn_tls_listener_taken(qn_op_t *op, qn_tls_incoming_t *out)
{
  shaking_t *h = held_by(op);
  *out = (qn_tls_incoming_t){0};
  if (h == NULL) {
    return false;
  }
  give(h, out);
  return true;
}

void qn_tls_listener_untake(qn_op_t *op)
{
  shaking_t *h = held_by(op);
  if (h == NULL) {
    return;
  }
  qn_op_t *waiter = h->l->closed ? NULL : first_waiter(h->l);
  if (h->l->closed) {
    lose(h, QN_E_CLOSED);
  } else if (waiter != NULL) {
    waiter->owner = h;
    qn_op_settle(waiter, 0);
  } else {
    enqueue(h, true);
  }
}

/* --- life ------------------------------------------------------------------------------------- */

void qn_tls_listen_opts_init(qn_tls_listen_opts_t *o, const qn_listener_t *below)
{
  size_t pending = qn_listener_max_pending(below);
  *o = (qn_tls_listen_opts_t){.handshake_ms = QN_TLS_HANDSHAKE_MS,
                              .max_handshakes = QN_TLS_HANDSHAKES_MAX,
                              .max_pending = pending != 0 ? pending : 1};
}

int qn_tls_listener_new(qn_listener_t *below, qn_tls_config_t *c, const qn_tls_listen_opts_t *opts,
                        qn_tls_listener_t **out)
{
  qn_tls_listen_opts_t usual;
  *out = NULL;
  if (opts == NULL) {
    qn_tls_listen_opts_init(&usual, below);
    opts = &usual;
  }
  if (opts->max_handshakes == 0 || opts->max_pending == 0) {
    return QN_E_INVALID;
  }
  int rc = qn_listener_is_closed(below) ? QN_E_CLOSED : qn_tls_config_prepare(c, true);
  qn_tls_listener_t *l = rc == 0 ? qn_calloc(1, sizeof *l) : NULL;
  if (l == NULL) {
    return rc < 0 ? rc : -ENOMEM;
  }
  l->loop = qn_listener_loop(below);
  l->refs = 1;
  l->below = below;
  l->config = c;
  l->opts = *opts;
  qn_listener_retain(below);
  qn_tls_config_retain(c);
  qn_op_init(&l->op, l->loop, on_accepted);
  qn__list_init(&l->shaking);
  qn__list_init(&l->ready);
  qn__list_init(&l->waiters);
  qn__object_born(l->loop, "tls listener");
  pump(l);
  *out = l;
  return 0;
}

void qn_tls_listener_retain(qn_tls_listener_t *l) { l->refs++; }

void qn_tls_listener_release(qn_tls_listener_t *l)
{
  if (--l->refs > 0) {
    return;
  }
  qn_tls_listener_close(l);
  qn_listener_release(l->below);
  qn_tls_config_release(l->config);
  qn__object_gone(l->loop, "tls listener");
  qn_free(l);
}

void qn_tls_listener_close(qn_tls_listener_t *l)
{
  if (l->closed) {
    return;
  }
  l->closed = true;
  qn_op_forget(&l->op);
  qn_timer_stop(l->loop, &l->room);
  qn_stream_t *s = qn_listener_taken(&l->op); /* it had just come */
  if (s != NULL) {
    let_go(s, QN_E_CLOSED);
  }
  qn_listener_close(l->below);
  if (l->held != NULL) {
    let_go(l->held, QN_E_CLOSED);
    l->held = NULL;
  }
  while (!qn__list_empty(&l->shaking)) {
    shaking_t *h = SHAKING(l->shaking.next);
    remove_shaking(h);
    lose(h, QN_E_CLOSED);
  }
  while (!qn__list_empty(&l->ready)) {
    lose(dequeue(l), QN_E_CLOSED);
  }
  fail_waiters(l, QN_E_CLOSED);
}

int qn_tls_listener_configure(qn_tls_listener_t *l, qn_tls_config_t *c)
{
  int rc = qn_tls_config_prepare(c, true);
  if (rc == 0) {
    qn_tls_config_retain(c);
    qn_tls_config_release(l->config);
    l->config = c;
  }
  return rc;
}

/* --- facts ------------------------------------------------------------------------------------ */

void qn_tls_listener_set_max_pending(qn_tls_listener_t *l, size_t n)
{
  l->opts.max_pending = n != 0 ? n : 1;
  pump(l);
}

size_t qn_tls_listener_max_pending(const qn_tls_listener_t *l) { return l->opts.max_pending; }

void qn_tls_listener_stats(const qn_tls_listener_t *l, qn_tls_listen_stats_t *out)
{
  *out = l->stats;
}

/* dtls.c: an association: begun, waited for, messages in and out, the end.
 *
 * Called by embedders and by the other files of DTLS. Received messages wait in a bounded queue;
 * nothing waits to be sent. Must not run user code: whoever waits is settled, which runs later.
 * Invariant: a closed association has no timer, is in no list but the server's of those to be
 * accepted, and `error` says why it is closed.
 */
#include "tls/dtls_i.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

/* --- making ----------------------------------------------------------------------------------- */

static void run_resume(qn_ready_t *r)
{
  qn__dtls_step(QN__CONTAINER(r, qn_dtls_t, resume), (qn_slice_t){0}, false);
}

static void go_on(qn_tls_t *t)
{
  qn_dtls_t *a = t->owner;
  if (a != NULL && a->state != QN_DTLS_CLOSED) {
    qn_ready_queue(a->loop, &a->resume);
  }
}

static void settle(qn_op_t **slot, int64_t result)
{
  qn_op_t *op = *slot;
  *slot = NULL;
  if (op != NULL) {
    qn_op_settle(op, result);
  }
}

void qn__dtls_event(qn_tls_t *t, int event, int value, void *arg)
{
  qn_dtls_t *a = arg;
  (void)t;
  if (a->observed && a->event_count < QN_DTLS_EVENTS_MAX) {
    unsigned at = (a->event_at + a->event_count++) % QN_DTLS_EVENTS_MAX;
    a->events[at] = (uint8_t)event;
    a->values[at] = (int16_t)value;
    settle(&a->watcher, 0);
  }
}

int qn__dtls_make(qn_dtls_endpoint_t *e, qn_tls_config_t *c, const qn_tls_opts_t *opts,
                  const qn_addr_t *peer, unsigned mtu, unsigned retransmit_ms, qn_dtls_t **out)
{
  qn_dtls_t *a = qn_calloc(1, sizeof *a);
  if (a == NULL) {
    return -ENOMEM;
  }
  a->refs = 1;
  a->id = qn_udp_id(e->u);
  a->peer = *peer;
  a->mtu = qn__dtls_first_mtu(mtu, peer);
  a->retransmit_ms = retransmit_ms != 0 ? retransmit_ms : QN_DTLS_RETRANSMIT_FIRST_MS;
  a->loop = e->loop;
  a->idle_ms = a->deadline = UINT64_MAX;
  a->no_cookie = e->opts.no_cookies;
  qn_ready_init(&a->resume, run_resume);
  qn__dtls_key(&a->key, peer);
  int rc = qn__tls_make(c, opts, true, qn__dtls_bio, a, &a->t);
  if (rc < 0) {
    qn_free(a);
    return rc;
  }
  a->t->go_on = go_on;
  a->t->hooks.arg = a;
  qn__dtls_engine(a);
  qn_udp_out_to(&a->out, peer);
  a->began = a->heard = qn_loop_now(e->loop);
  a->e = e;
  qn__object_born(e->loop, "DTLS association");
  *out = a;
  return 0;
}

bool qn__dtls_in_range(unsigned mtu, unsigned retransmit_ms)
{
  return (mtu == 0 || (mtu >= QN_DTLS_MTU_MIN && mtu <= QN_DTLS_MTU_MAX)) &&
         (retransmit_ms == 0 || (retransmit_ms >= QN_DTLS_RETRANSMIT_MIN_MS &&
                                 retransmit_ms <= QN_DTLS_RETRANSMIT_MAX_MS));
}

static void on_verify(qn_tls_t *t, void *arg)
{
  (void)t;
  qn__dtls_wake_up(arg, 1);
}

int qn_dtls_connect(qn_dtls_endpoint_t *e, qn_tls_config_t *c, const qn_dtls_connect_t *opts,
                    qn_dtls_t **out)
{
  qn_addr_t peer;
  qn_tls_opts_t tls = opts->tls;
  qn__dtls_key_t key;
  if (e->u == NULL || !e->held) {
    return QN_E_CLOSED;
  }
  if (opts->peer == NULL) {
    int rc = qn_udp_peer_addr(e->u, &peer);
    if (rc < 0) {
      return rc;
    }
  } else {
    peer = *opts->peer;
  }
  qn__dtls_key(&key, &peer);
  if (qn__dtls_find(e, &key) != NULL) {
    return QN_E_IS_CONNECTED;
  }
  if (!qn__dtls_in_range(opts->mtu, opts->retransmit_ms)) {
    return QN_E_INVALID;
  }
  tls.server = false;
  tls.hooks =
      (qn_tls_hooks_t){.event = qn__dtls_event, .verify = opts->ask_verify ? on_verify : NULL};
  qn_dtls_t *a;
  int rc = qn__dtls_make(e, c, &tls, &peer, opts->mtu, opts->retransmit_ms, &a);
  if (rc < 0) {
    return rc;
  }
  if (opts->idle_timeout_ms != 0) {
    a->idle_ms = opts->idle_timeout_ms;
  }
  if (opts->peer == NULL) {
    memset(&a->out.to, 0, sizeof a->out.to);
  }
  rc = qn__dtls_insert(e, a);
  if (rc < 0) {
    a->state = QN_DTLS_CLOSED;
    qn_dtls_release(a);
    return rc;
  }
  qn_dtls_retain(a);
  *out = a;
  qn__dtls_step(a, (qn_slice_t){0}, false);
  return 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

void qn_dtls_retain(qn_dtls_t *a) { a->refs++; }

static void free_messages(qn_dtls_t *a)
{
  while (a->first != NULL) {
    qn__dtls_message_t *m = a->first;
    a->first = m->next;
    qn_free(m);
  }
}

void qn_dtls_release(qn_dtls_t *a)
{
  if (a == NULL || --a->refs != 0) {
    return;
  }
  a->t->owner = NULL;
  a->t->go_on = NULL;
  BIO_set_data(SSL_get_rbio(a->t->ssl), NULL);
  qn_tls_unhook(a->t);
  qn_tls_release(a->t);
  free_messages(a);
  qn__object_gone(a->loop, "DTLS association");
  qn_free(a);
}

/* Out of the table; its heir, if any, is the one for this peer now. */
static void leave_table(qn_dtls_endpoint_t *e, qn_dtls_t *a)
{
  if (a->elder != NULL) {
    a->elder->heir = NULL;
    a->elder = NULL;
  } else if (a->heir != NULL) {
    qn__dtls_replace(e, a, a->heir);
    a->heir->elder = NULL;
    a->heir = NULL;
  } else {
    qn__dtls_remove(e, a);
  }
}

void qn__dtls_end(qn_dtls_t *a, int err)
{
  qn_dtls_endpoint_t *e = a->e;
  if (a->state == QN_DTLS_CLOSED) {
    return;
  }
  bool shaking = a->state == QN_DTLS_HANDSHAKE;
  if (a->t->trace != NULL && err != QN_E_CLOSED && err != QN_E_EOF) {
    qn__tls_trace_say(a->t, "%s failed: %s: %s", shaking ? "handshake" : "connection",
                      qn_err_name(err), qn_tls_problem(a->t));
  }
  e->n_up -= a->state == QN_DTLS_UP;
  a->state = QN_DTLS_CLOSED;
  a->error = err;
  qn_timer_stop(a->loop, &a->timer);
  qn_ready_drop(&a->resume);
  leave_table(e, a);
  if (a->t->server) {
    qn__dtls_server_unlink(a);
    if (shaking) {
      qn__dtls_server_failed(a);
    }
  }
  a->e = NULL;
  settle(&a->up, err);
  settle(&a->reader, 0);
  settle(&a->onlooker, 0);
  settle(&a->watcher, 0);
  qn_dtls_release(a);
  qn__dtls_endpoint_check(e);
}

void qn__dtls_finish(qn_dtls_t *a, int err)
{
  if (a->state == QN_DTLS_CLOSED) {
    return;
  }
  qn_dtls_retain(a);
  if (a->t->shaken && !a->t->said_close) {
    a->t->said_close = true;
    ERR_clear_error();
    if (qn__dtls_wake_engine(a)) {
      (void)SSL_shutdown(a->t->ssl); /* if it is lost, the peer has time limits of its own */
    }
    ERR_clear_error();
  }
  qn__dtls_end(a, err);
  qn_dtls_release(a);
}

void qn_dtls_close(qn_dtls_t *a) { qn__dtls_finish(a, QN_E_CLOSED); }
void qn_dtls_abort(qn_dtls_t *a) { qn__dtls_end(a, QN_E_CLOSED); }

/* --- waiting ---------------------------------------------------------------------------------- */

static void cancel_up(qn_op_t *op) { ((qn_dtls_t *)op->owner)->up = NULL; }
static void cancel_reader(qn_op_t *op) { ((qn_dtls_t *)op->owner)->reader = NULL; }
static void cancel_onlooker(qn_op_t *op) { ((qn_dtls_t *)op->owner)->onlooker = NULL; }
static void cancel_watcher(qn_op_t *op) { ((qn_dtls_t *)op->owner)->watcher = NULL; }

static int begin(qn_dtls_t *a, qn_op_t **slot, qn_op_t *op, void (*cancel)(qn_op_t *op))
{
  if (*slot != NULL) {
    return QN_E_BUSY;
  }
  *slot = op;
  qn_op_begin(op, a, cancel);
  return QN_AGAIN;
}

int qn_dtls_wait_up(qn_dtls_t *a, qn_op_t *op)
{
  switch (a->state) {
  case QN_DTLS_UP: return 0;
  case QN_DTLS_CLOSED: return a->error;
  default: return a->t->wait == QN__TLS_WAIT_VERIFY ? 1 : begin(a, &a->up, op, cancel_up);
  }
}

void qn__dtls_wake_up(qn_dtls_t *a, int result) { settle(&a->up, result); }

int qn_dtls_wait(qn_dtls_t *a, qn_op_t *op)
{
  if (a->first != NULL || a->state == QN_DTLS_CLOSED) {
    return 0;
  }
  return a->state == QN_DTLS_UP ? begin(a, &a->reader, op, cancel_reader) : QN_E_NOT_CONNECTED;
}

int qn_dtls_watch(qn_dtls_t *a, uint64_t mark, qn_op_t *op)
{
  if (a->state == QN_DTLS_CLOSED || (a->first != NULL && a->taken != mark)) {
    return a->state == QN_DTLS_CLOSED && a->first == NULL ? a->error : 0;
  }
  a->mark = mark;
  return begin(a, &a->onlooker, op, cancel_onlooker);
}

uint64_t qn_dtls_taken(const qn_dtls_t *a) { return a->taken; }

int qn_dtls_wait_event(qn_dtls_t *a, qn_op_t *op)
{
  a->observed = true;
  if (a->event_count != 0) {
    return 0;
  }
  return a->state == QN_DTLS_CLOSED ? QN_E_CLOSED : begin(a, &a->watcher, op, cancel_watcher);
}

bool qn_dtls_take_event(qn_dtls_t *a, int *event, int *value)
{
  if (a->event_count == 0) {
    return false;
  }
  *event = a->events[a->event_at];
  *value = a->values[a->event_at];
  a->event_at = (a->event_at + 1) % QN_DTLS_EVENTS_MAX;
  a->event_count--;
  return true;
}

/* --- messages --------------------------------------------------------------------------------- */

void qn__dtls_deliver(qn_dtls_t *a, const uint8_t *data, size_t size)
{
  bool full = a->queued >= QN_DTLS_QUEUE_MAX || a->queued_bytes + size > QN_DTLS_QUEUE_BYTES;
  qn__dtls_message_t *m = full ? NULL : qn_malloc(sizeof *m + size);
  if (m == NULL) {
    a->stats.dropped++;
    return;
  }
  m->next = NULL;
  m->size = size;
  memcpy(m->data, data, size);
  if (a->first == NULL) {
    a->first = m;
  } else {
    a->last->next = m;
  }
  a->last = m;
  a->queued++;
  a->queued_bytes += size;
  settle(&a->reader, 0);
  if (a->onlooker != NULL && a->mark != a->taken) {
    settle(&a->onlooker, 0);
  }
}

int qn_dtls_peek(const qn_dtls_t *a, qn_slice_t *data)
{
  if (a->first != NULL) {
    *data = (qn_slice_t){a->first->data, a->first->size};
    return 0;
  }
  return a->state == QN_DTLS_CLOSED ? a->error : QN_AGAIN;
}

void qn_dtls_take(qn_dtls_t *a)
{
  qn__dtls_message_t *m = a->first;
  if (m == NULL) {
    return;
  }
  a->first = m->next;
  a->queued--;
  a->queued_bytes -= m->size;
  a->stats.received++;
  a->stats.received_bytes += m->size;
  a->taken++;
  qn_free(m);
  if (a->first != NULL) {
    settle(&a->onlooker, 0); /* it was waiting for this one to be looked at */
  }
}

size_t qn_dtls_max_size(const qn_dtls_t *a)
{
  size_t n = a->t->shaken ? DTLS_get_data_mtu(a->t->ssl) : 0;
  return n < SSL3_RT_MAX_PLAIN_LENGTH ? n : SSL3_RT_MAX_PLAIN_LENGTH;
}

int qn_dtls_send(qn_dtls_t *a, qn_slice_t data)
{
  size_t n = 0;
  if (a->state != QN_DTLS_UP) {
    return a->state == QN_DTLS_CLOSED ? a->error : QN_E_NOT_CONNECTED;
  }
  if (data.size == 0 || data.size > qn_dtls_max_size(a)) {
    return data.size == 0 ? QN_E_INVALID : QN_E_DGRAM_SIZE;
  }
  ERR_clear_error();
  a->sent = 0;
  if (!qn__dtls_wake_engine(a)) {
    return -ENOMEM;
  }
  int ok = SSL_write_ex(a->t->ssl, data.data, data.size, &n);
  int rc = a->sent;
  a->sent = 0;
  if (ok != 1) {
    rc = qn__tls_failure(a->t, false);
    qn__dtls_end(a, rc);
    return rc;
  }
  if (rc == QN_E_DGRAM_SIZE) {
    qn__dtls_lower_mtu(a);
  }
  if (rc == 0) {
    a->stats.sent++;
    a->stats.sent_bytes += data.size;
  }
  return rc;
}

/* --- facts ------------------------------------------------------------------------------------ */

qn_dtls_state_t qn_dtls_state(const qn_dtls_t *a) { return a->state; }
int qn_dtls_error(const qn_dtls_t *a) { return a->error; }
uint64_t qn_dtls_id(const qn_dtls_t *a) { return a->id; }
qn_tls_t *qn_dtls_tls(const qn_dtls_t *a) { return a->t; }
qn_tls_config_t *qn_dtls_config(const qn_dtls_t *a) { return qn__tls_effective(a->t); }
qn_udp_t *qn_dtls_socket(const qn_dtls_t *a) { return a->e != NULL ? a->e->u : NULL; }
void qn_dtls_peer(const qn_dtls_t *a, qn_addr_t *out) { *out = a->peer; }

void qn_dtls_get_stats(const qn_dtls_t *a, qn_dtls_stats_t *out)
{
  *out = a->stats;
  out->queued = (uint32_t)a->queued;
}

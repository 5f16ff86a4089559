/* dtls_server.c: a server: ClientHellos, handshakes under way, who waits to be accepted.
 *
 * Called for ClientHellos of unknown peers, and of known ones that begin anew (RFC 6347, 4.2.8):
 * the established association stays until the new one has completed its handshake. Must not keep
 * anything for a peer that has not sent its cookie back. Invariant: n_shaking and n_ready are the
 * lengths of their lists; both are limited, and an association is in one of them at most.
 */
#include "tls/dtls_i.h"

#include <errno.h>
#include <string.h>

#define YOUNG_MS 1000u /* a handshake this young is not pushed out by others */

int qn_dtls_serve(qn_dtls_endpoint_t *e, qn_tls_config_t *c, const qn_dtls_serve_t *opts)
{
  SSL_CTX *ctx;
  if (e->u == NULL) {
    return QN_E_CLOSED;
  }
  if (!qn__dtls_in_range(opts->mtu, opts->retransmit_ms) ||
      (opts->verifier == NULL && !opts->no_cookies)) {
    return QN_E_INVALID;
  }
  int rc = qn__tls_ctx(c, true, true, &ctx);
  if (rc < 0) {
    return rc;
  }
  qn_tls_config_retain(c);
  qn_tls_config_release(e->config);
  e->config = c;
  e->opts = *opts;
  qn_dtls_serve_t *o = &e->opts;
  o->max_connections = o->max_connections != 0 ? o->max_connections : QN_DTLS_CONNECTIONS_MAX;
  o->max_handshakes = o->max_handshakes != 0 ? o->max_handshakes : QN_DTLS_HANDSHAKES_MAX;
  o->handshake_timeout_ms =
      o->handshake_timeout_ms != 0 ? o->handshake_timeout_ms : QN_DTLS_HANDSHAKE_TIMEOUT_MS;
  o->idle_timeout_ms = o->idle_timeout_ms != 0 ? o->idle_timeout_ms : QN_DTLS_IDLE_TIMEOUT_MS;
  e->listening = true;
  return 0;
}

int qn_dtls_configure(qn_dtls_endpoint_t *e, qn_tls_config_t *c, bool ask_sni, bool ask_verify)
{
  SSL_CTX *ctx;
  int rc = e->listening ? qn__tls_ctx(c, true, true, &ctx) : QN_E_CLOSED;
  if (rc == 0) {
    qn_tls_config_retain(c);
    qn_tls_config_release(e->config);
    e->config = c;
    e->opts.ask_sni = ask_sni;
    e->opts.ask_verify = ask_verify;
  }
  return rc;
}

void qn_dtls_set_notes(qn_dtls_endpoint_t *e, bool on) { e->opts.notes = on; }
bool qn_dtls_is_listening(const qn_dtls_endpoint_t *e) { return e->listening; }

static void wake(qn_op_t **slot, int64_t result)
{
  qn_op_t *op = *slot;
  *slot = NULL;
  if (op != NULL) {
    qn_op_settle(op, result);
  }
}

static void wake_acceptor(qn_dtls_endpoint_t *e, int64_t result)
{
  if (!qn__list_empty(&e->acceptors)) {
    qn_list_t *node = e->acceptors.next;
    qn__list_remove(node);
    qn_op_settle(QN__CONTAINER(node, qn_op_t, link), result);
  }
}

void qn__dtls_wake_asker(qn_dtls_endpoint_t *e) { wake(&e->asker, 0); }

/* --- notes ------------------------------------------------------------------------------------ */

static void drop_note(qn_dtls_endpoint_t *e, qn_dtls_t *a)
{
  if (a->in_notes) {
    a->in_notes = false;
    qn__list_remove(&a->note_link);
    e->n_failed -= a->note == QN_DTLS_NOTE_FAILED;
    qn_dtls_release(a);
  }
}

void qn__dtls_server_asks(qn_dtls_t *a, qn_dtls_note_t note)
{
  qn_dtls_endpoint_t *e = a->e;
  qn_dtls_retain(a);
  drop_note(e, a);
  a->note = (uint8_t)note;
  a->in_notes = true;
  e->n_failed += note == QN_DTLS_NOTE_FAILED;
  qn__list_append(&e->notes, &a->note_link);
  wake(&e->asker, 0);
}

static void on_sni(qn_tls_t *t, const char *name, void *arg)
{
  (void)t, (void)name;
  qn__dtls_server_asks(arg, QN_DTLS_NOTE_SNI);
}

static void on_verify(qn_tls_t *t, void *arg)
{
  (void)t;
  qn__dtls_server_asks(arg, QN_DTLS_NOTE_VERIFY);
}

qn_dtls_note_t qn_dtls_take_note(qn_dtls_endpoint_t *e, qn_dtls_t **out)
{
  if (qn__list_empty(&e->notes)) {
    return QN_DTLS_NOTE_NONE;
  }
  qn_dtls_t *a = QN__CONTAINER(e->notes.next, qn_dtls_t, note_link);
  qn_dtls_note_t note = a->note;
  qn_dtls_retain(a);
  drop_note(e, a);
  *out = a;
  return note;
}

/* --- a ClientHello ---------------------------------------------------------------------------- */

/* 1: its sender is where it says. */
static int check_cookie(qn_dtls_endpoint_t *e, const qn__dtls_hello_t *h, const qn_addr_t *peer,
                        const qn_udp_info_t *info)
{
  uint8_t reply[QN_DTLS_REPLY_MAX];
  size_t size = 0;
  if (e->opts.no_cookies) {
    return h->message == 0;
  }
  int rc = qn__dtls_check_hello(e->opts.verifier, h, peer, reply, &size);
  if (rc == 0) {
    qn_udp_out_t o = {.data = {reply, size}, .to = info->from, .answer = info};
    e->stats.cookies_sent++;
    (void)e->send(e->u, &o); /* lost: the client asks again */
    qn__tls_trace_sent(e->loop, qn_udp_id(e->u), peer, "hello verify request");
  }
  /* OpenSSL takes the second message only: a client whose first cookie was too old begins anew. */
  return rc == 1 && h->message == 1;
}

/* Room for one more handshake, if need be by ending the oldest. */
static bool make_room_for_one(qn_dtls_endpoint_t *e)
{
  if (e->count >= e->opts.max_connections || e->n_ready >= e->opts.max_connections) {
    return false;
  }
  if (e->n_shaking < e->opts.max_handshakes) {
    return true;
  }
  qn_dtls_t *oldest = QN__CONTAINER(e->shaking.next, qn_dtls_t, link);
  if (qn_loop_now(e->loop) - oldest->began < YOUNG_MS) {
    return false;
  }
  qn__tls_say(oldest->t, "pushed out: too many handshakes are under way");
  qn__dtls_end(oldest, QN_E_LIMIT);
  return true;
}

void qn__dtls_hello(qn_dtls_endpoint_t *e, qn_slice_t d, const qn__dtls_hello_t *h,
                    const qn_addr_t *peer, const qn_udp_info_t *info, qn_dtls_t *elder)
{
  qn_dtls_t *a;
  if (check_cookie(e, h, peer, info) != 1) {
    e->stats.invalid += e->opts.no_cookies;
    return;
  }
  if (elder != NULL && elder->state == QN_DTLS_HANDSHAKE) {
    qn__tls_say(elder->t, "the peer has begun anew");
    qn__dtls_end(elder, -ECONNRESET);
    elder = NULL;
  } else if (elder != NULL && elder->heir != NULL) {
    qn__dtls_end(elder->heir, -ECONNRESET); /* the last one to ask counts */
  }
  if (e->u == NULL || !make_room_for_one(e)) {
    e->stats.refused++;
    return;
  }
  qn_tls_opts_t opts = {.server = true,
                        .hooks = {.event = qn__dtls_event,
                                  .sni = e->opts.ask_sni ? on_sni : NULL,
                                  .verify = e->opts.ask_verify ? on_verify : NULL}};
  if (qn__dtls_make(e, e->config, &opts, peer, e->opts.mtu, e->opts.retransmit_ms, &a) < 0) {
    e->stats.refused++;
    return;
  }
  a->info = *info;
  a->out.to = info->from;
  a->out.answer = &a->info;
  memcpy(a->random, h->random, sizeof a->random);
  a->idle_ms = e->opts.idle_timeout_ms;
  if (e->opts.handshake_timeout_ms != UINT64_MAX) {
    a->deadline = a->began + e->opts.handshake_timeout_ms;
  }
  if (elder != NULL) {
    elder->heir = a;
    a->elder = elder;
  } else if (qn__dtls_insert(e, a) < 0) {
    a->state = QN_DTLS_CLOSED;
    qn_dtls_release(a);
    e->stats.refused++;
    return;
  }
  a->in_shaking = true;
  qn__list_append(&e->shaking, &a->link);
  e->n_shaking++;
  qn__dtls_step(a, d, !e->opts.no_cookies);
}

/* --- how handshakes end ----------------------------------------------------------------------- */

void qn__dtls_server_unlink(qn_dtls_t *a)
{
  if (a->in_shaking) {
    a->in_shaking = false;
    qn__list_remove(&a->link);
    a->e->n_shaking--;
  }
}

void qn__dtls_server_up(qn_dtls_t *a)
{
  qn_dtls_endpoint_t *e = a->e;
  qn__dtls_server_unlink(a);
  if (a->elder != NULL) {
    qn__tls_say(a->elder->t, "the peer has begun anew");
    qn__dtls_end(a->elder, -ECONNRESET); /* which puts `a` in its place */
  }
  e->stats.accepted++;
  a->in_ready = true;
  qn_dtls_retain(a);
  qn__list_append(&e->ready, &a->link);
  e->n_ready++;
  wake_acceptor(e, 0);
}

void qn__dtls_server_failed(qn_dtls_t *a)
{
  qn_dtls_endpoint_t *e = a->e;
  e->stats.failed++;
  if (e->opts.notes && e->listening && e->n_failed < QN_DTLS_NOTES_MAX) {
    qn__dtls_server_asks(a, QN_DTLS_NOTE_FAILED);
  } else {
    drop_note(e, a);
  }
}

/* --- accepting -------------------------------------------------------------------------------- */

static void cancel_acceptor(qn_op_t *op) { qn__list_remove(&op->link); }
static void cancel_asker(qn_op_t *op) { ((qn_dtls_endpoint_t *)op->owner)->asker = NULL; }

static int not_listening(const qn_dtls_endpoint_t *e)
{
  return e->config == NULL ? QN_E_NOT_CONNECTED : QN_E_CLOSED;
}

int qn_dtls_accept(qn_dtls_endpoint_t *e, qn_op_t *op)
{
  if (e->n_ready != 0) {
    return 0;
  }
  if (!e->listening) {
    return not_listening(e);
  }
  qn_op_begin(op, e, cancel_acceptor);
  qn__list_append(&e->acceptors, &op->link);
  return QN_AGAIN;
}

int qn_dtls_wait_note(qn_dtls_endpoint_t *e, qn_op_t *op)
{
  if (!qn__list_empty(&e->notes) || e->first != NULL) {
    return 0;
  }
  if (!e->held || e->asker != NULL) {
    return e->held ? QN_E_BUSY : QN_E_CLOSED;
  }
  e->asker = op;
  qn_op_begin(op, e, cancel_asker);
  return QN_AGAIN;
}

qn_dtls_t *qn_dtls_accepted(qn_dtls_endpoint_t *e)
{
  if (e->n_ready == 0) {
    return NULL;
  }
  qn_dtls_t *a = QN__CONTAINER(e->ready.next, qn_dtls_t, link);
  qn__list_remove(&a->link);
  a->in_ready = false;
  e->n_ready--;
  return a; /* with the list's reference */
}

void qn_dtls_stop(qn_dtls_endpoint_t *e)
{
  e->listening = false;
  e->held = false;
  e->refs++;
  qn_dtls_t *a;
  while (!qn__list_empty(&e->shaking)) {
    qn__dtls_end(QN__CONTAINER(e->shaking.next, qn_dtls_t, link), QN_E_CLOSED);
  }
  while ((a = qn_dtls_accepted(e)) != NULL) { /* nobody will have them */
    qn_dtls_close(a);
    qn_dtls_release(a);
  }
  while (qn_dtls_take_note(e, &a) != QN_DTLS_NOTE_NONE) {
    qn_dtls_release(a);
  }
  qn_dtls_set_others(e, false);
  while (!qn__list_empty(&e->acceptors)) {
    wake_acceptor(e, QN_E_CLOSED);
  }
  wake(&e->asker, QN_E_CLOSED);
  qn__dtls_endpoint_check(e);
  qn_dtls_endpoint_release(e);
}

void qn_dtls_endpoint_get_stats(const qn_dtls_endpoint_t *e, qn_dtls_endpoint_stats_t *out)
{
  *out = e->stats;
  out->connections = e->n_up;
  out->handshakes = e->n_shaking;
  out->waiting = e->n_ready;
}

/* dtls_shake.c: an association and OpenSSL: handshake, records in, the timer that repeats flights.
 *
 * Called with each datagram of the peer, by the timer, and when a question was answered. What is
 * not authentic is dropped by OpenSSL without a word and counted here. Must not call OpenSSL with
 * an error in its queue, nor while a question waits: datagrams that come then are lost, and the
 * peer repeats them. Invariant: after each step the timer is armed for what comes next.
 */
#include "tls/dtls_i.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/time.h>

#define RECORD_MAX 16384u
#define REST_MS 1000u        /* idle for so long: buffers are given back */
#define TIMEOUTS_FALLBACK 2u /* then the flight may be too large for the path */

/* --- memory ----------------------------------------------------------------------------------- */

/* OpenSSL keeps 33 KiB per connection for records on their way in and out; one that is idle gives
 * them back. With datagrams OpenSSL does not get them again by itself. */
bool qn__dtls_wake_engine(qn_dtls_t *a)
{
  a->used = qn_loop_now(a->loop);
  if (a->rests) {
    if (SSL_alloc_buffers(a->t->ssl) != 1) {
      ERR_clear_error();
      return false;
    }
    a->rests = false;
    qn__dtls_arm(a);
  }
  return true;
}

static void rest(qn_dtls_t *a)
{
  a->rests = SSL_free_buffers(a->t->ssl) == 1; /* not while something waits in them */
  if (!a->rests) {
    a->used = qn_loop_now(a->loop);
  }
}

/* --- the timer -------------------------------------------------------------------------------- */

static uint64_t nearer(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* A timer that is due earlier stays: it looks again. */
void qn__dtls_arm(qn_dtls_t *a)
{
  uint64_t now = qn_loop_now(a->loop), at = UINT64_MAX;
  struct timeval left;
  if (a->state == QN_DTLS_CLOSED) {
    return;
  }
  if (a->t->wait == QN__TLS_WAIT_NONE && DTLSv1_get_timeout(a->t->ssl, &left)) {
    at = now + (uint64_t)left.tv_sec * 1000 + ((uint64_t)left.tv_usec + 999) / 1000;
  }
  if (a->state == QN_DTLS_HANDSHAKE) {
    at = nearer(at, a->deadline);
  } else {
    at = a->idle_ms != UINT64_MAX ? nearer(at, a->heard + a->idle_ms) : at;
    at = a->rests ? at : nearer(at, a->used + REST_MS);
  }
  if (at == UINT64_MAX) {
    qn_timer_stop(a->loop, &a->timer);
  } else if (qn_timer_armed(&a->timer) && a->timer.at <= at) {
    return;
  } else if (qn_timer_start(a->loop, &a->timer, at, qn__dtls_on_timer) < 0) {
    qn__dtls_end(a, -ENOMEM);
  }
}

static unsigned next_timeout(SSL *ssl, unsigned before_us)
{
  const qn_dtls_t *a = qn__tls_of_ssl(ssl)->owner;
  uint64_t us = before_us == 0 ? a->retransmit_ms * UINT64_C(1000) : 2 * (uint64_t)before_us;
  return (unsigned)nearer(us, QN_DTLS_RETRANSMIT_MAX_MS * 1000u);
}

void qn__dtls_engine(qn_dtls_t *a)
{
  SSL_set_options(a->t->ssl, SSL_OP_NO_QUERY_MTU |
                                 (a->t->server && !a->no_cookie ? SSL_OP_COOKIE_EXCHANGE : 0));
  SSL_set_mtu(a->t->ssl, (long)a->mtu);
  DTLS_set_timer_cb(a->t->ssl, next_timeout);
}

/* Errors that only say something of one datagram. */
static bool is_loss(int rc)
{
  return rc == QN_AGAIN || rc == -ENOBUFS || rc == -EPERM || rc == QN_E_DGRAM_SIZE;
}

/* After a step that may have sent: what the kernel said of it counts while a client begins. */
static int look_at_sent(qn_dtls_t *a)
{
  int rc = a->sent;
  a->sent = 0;
  if (rc == QN_E_DGRAM_SIZE) {
    qn__dtls_lower_mtu(a);
  }
  return rc < 0 && !is_loss(rc) && !a->t->server && a->state == QN_DTLS_HANDSHAKE ? rc : 0;
}

static void on_time(qn_dtls_t *a)
{
  uint64_t now = qn_loop_now(a->loop);
  if (a->state == QN_DTLS_HANDSHAKE && now >= a->deadline) {
    qn__tls_say(a->t, "the handshake was not completed in time");
    qn__dtls_end(a, QN_E_TIMEOUT);
    return;
  }
  if (a->state == QN_DTLS_UP && a->idle_ms != UINT64_MAX && now >= a->heard + a->idle_ms) {
    qn__tls_say(a->t, "nothing was heard of the peer for too long");
    qn__dtls_finish(a, QN_E_TIMEOUT);
    return;
  }
  if (a->state == QN_DTLS_UP && !a->rests && now >= a->used + REST_MS) {
    rest(a);
  }
  struct timeval left;
  if (a->t->wait == QN__TLS_WAIT_NONE && DTLSv1_get_timeout(a->t->ssl, &left) && left.tv_sec == 0 &&
      left.tv_usec == 0) {
    a->stats.retransmissions++;
    if (++a->timeouts == TIMEOUTS_FALLBACK && a->mtu > QN_DTLS_MTU_FALLBACK) {
      (void)qn_dtls_set_mtu(a, QN_DTLS_MTU_FALLBACK);
    }
    ERR_clear_error();
    int rc = qn__dtls_wake_engine(a) ? DTLSv1_handle_timeout(a->t->ssl) : -1;
    ERR_clear_error();
    int sent = look_at_sent(a);
    if (rc < 0 || sent < 0) {
      qn__tls_say(a->t, rc < 0 ? "the peer does not answer" : qn_err_text(sent));
      qn__dtls_end(a, rc < 0 ? QN_E_TIMEOUT : sent);
      return;
    }
  }
  qn__dtls_arm(a);
}

void qn__dtls_on_timer(qn_timer_t *timer)
{
  qn_dtls_t *a = QN__CONTAINER(timer, qn_dtls_t, timer);
  qn_dtls_retain(a);
  on_time(a);
  qn_dtls_release(a);
}

/* --- the handshake ---------------------------------------------------------------------------- */

static void fail(qn_dtls_t *a, int err)
{
  qn__tls_say(a->t, qn_err_text(err));
  if (a->t->shaken && !a->t->up) {
    qn__dtls_finish(a, err); /* the peer does not know: its side of the handshake went well */
  } else {
    qn__dtls_end(a, err); /* an alert was sent, if there was a reason to */
  }
}

static void up(qn_dtls_t *a)
{
  a->t->up = true;
  a->state = QN_DTLS_UP;
  a->e->n_up++;
  a->heard = qn_loop_now(a->loop);
  if (a->t->trace != NULL) {
    qn__tls_trace_up(a->t);
  }
  qn__tls_event(a->t, QN_TLS_EVENT_UP, 0);
  if (a->t->server) {
    qn__dtls_server_up(a);
  } else {
    qn__dtls_wake_up(a, 0);
  }
}

static void shake(qn_dtls_t *a)
{
  qn_tls_t *t = a->t;
  int rc = 0;
  if (!t->shaken && t->verify_answer < 0 && t->held_late && !t->server) {
    fail(a, qn__tls_decide(t)); /* the answer to a staple, which is not asked for again */
    return;
  }
  if (!t->shaken) {
    if (t->server && t->verify_answer < 0) {
      qn__tls_refuse_held(t); /* the client's next flight is answered by an alert */
    }
    ERR_clear_error();
    int ok = SSL_do_handshake(t->ssl);
    int why = ok == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, ok);
    if (ok == 1) {
      t->shaken = true;
    } else if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_CLIENT_HELLO_CB ||
               why == SSL_ERROR_WANT_RETRY_VERIFY) {
      rc = look_at_sent(a);
      rc = rc < 0 ? rc : QN_AGAIN;
    } else {
      rc = qn__tls_failure(t, true);
    }
    ERR_clear_error();
  }
  if (a->state != QN_DTLS_HANDSHAKE) {
    return; /* a function that the handshake has called has ended it */
  }
  if (rc == 0) {
    qn__tls_psk_up(t);
    rc = qn__tls_verify_late(t);
  }
  (void)look_at_sent(a);
  if (rc == 0) {
    up(a);
  } else if (rc != QN_AGAIN) {
    fail(a, rc);
  }
}

/* --- records ---------------------------------------------------------------------------------- */

static void over(qn_dtls_t *a)
{
  qn_tls_t *t = a->t;
  if (t->alert_in == SSL_AD_CLOSE_NOTIFY) {
    qn__tls_say(t, "the peer has closed the connection");
    qn__dtls_finish(a, QN_E_EOF); /* answers it */
  } else {
    fail(a, qn__tls_failure(t, false));
  }
}

static void receive(qn_dtls_t *a)
{
  uint8_t data[RECORD_MAX];
  bool useful = false;
  int alert = a->t->alert_in;
  while (a->state == QN_DTLS_UP) {
    size_t n = 0;
    ERR_clear_error();
    int ok = SSL_read_ex(a->t->ssl, data, sizeof data, &n);
    if (ok != 1) {
      int why = SSL_get_error(a->t->ssl, ok);
      if (why != SSL_ERROR_WANT_READ) {
        over(a);
        useful = true;
      } else {
        (void)look_at_sent(a);
      }
      ERR_clear_error();
      break;
    }
    useful = true;
    a->heard = qn_loop_now(a->loop);
    qn__dtls_deliver(a, data, n);
  }
  a->stats.discarded += !useful && alert == a->t->alert_in;
}

/* OpenSSL takes the ClientHello as the second of its handshake: the first had no cookie. */
static bool listen_first(qn_dtls_t *a)
{
  BIO_ADDR *peer = BIO_ADDR_new();
  ERR_clear_error();
  int rc = peer != NULL ? DTLSv1_listen(a->t->ssl, peer) : -1;
  BIO_ADDR_free(peer);
  ERR_clear_error();
  return rc == 1;
}

static void begin_trace(qn_dtls_t *a)
{
  qn_addr_t *peer = a->t->trace == NULL ? qn__tls_trace_begin(a->t, a->loop, a->id) : NULL;
  if (peer != NULL) {
    *peer = a->peer;
  }
}

void qn__dtls_step(qn_dtls_t *a, qn_slice_t d, bool listen)
{
  if (a->state == QN_DTLS_CLOSED || a->busy || a->t->wait != QN__TLS_WAIT_NONE) {
    a->stats.discarded += d.size != 0;
    return;
  }
  qn_dtls_retain(a);
  a->busy = true;
  a->in = d;
  if (listen && !listen_first(a)) {
    qn__dtls_end(a, QN_E_TLS_DATA);
  }
  if (a->state == QN_DTLS_HANDSHAKE) {
    begin_trace(a); /* not before: what listens sees the ClientHello, too */
    shake(a);
  }
  if (a->state == QN_DTLS_UP && !qn__dtls_wake_engine(a)) {
    fail(a, -ENOMEM);
  }
  if (a->state == QN_DTLS_UP) {
    receive(a);
  }
  a->in.size = 0;
  a->busy = false;
  qn__dtls_arm(a);
  qn_dtls_release(a);
}

/* f_tls.c: the filter: handshake, records in and out, close_notify.
 *
 * Called by the stream and the layer above. One step of the handshake per wake; what OpenSSL wants
 * to read comes through bio.c. Bytes are decrypted straight into the buffer of the layer above, and
 * never more than it has room for. Must not call OpenSSL with an error in its queue.
 * Invariant: once `failed` is set, nothing more is sent or received.
 */
#include "tls/f_tls_i.h"

#include "qn/loop.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#define RECORD_MAX 16384u
#define RECORD_SMALL 1369u /* with what is around it, one segment of TCP over IPv6 */
#define BURST_SMALL 16384u /* so much goes in small records after a pause */
#define PAUSE_MS 1000u
#define READ_LEAST 512u
#define READ_MOST 65536u          /* of one fill: what is lent to the layer below */
#define DRAIN_MOST (256u * 1024u) /* unread bytes that a close takes away */

static qn_tls_t *tls_of(qn_filter_t *f) { return (qn_tls_t *)(void *)f; }

static int fail(qn_tls_t *t, int err)
{
  if (t->failed == 0) {
    t->failed = err;
    t->said_close = true;
    if (t->problem == NULL) {
      qn__tls_say(t, qn_err_text(err));
    }
    if (t->trace != NULL) {
      qn__tls_trace_say(t, "%s failed: %s: %s", t->up ? "connection" : "handshake",
                        qn_err_name(err), qn_tls_problem(t));
    }
  }
  return t->failed;
}

/* What OpenSSL wrote by itself (alerts, answers) leaves before the connection is torn down. */
static void push_out(qn_tls_t *t)
{
  if (t->wrote) {
    t->wrote = false;
    (void)qn_filter_flush_below(&t->filter); /* an error is the writing side's */
  }
}

/* --- the handshake ---------------------------------------------------------------------------- */

static int shake(qn_tls_t *t)
{
  if (t->wait == QN__TLS_WAIT_CONFIG || t->wait == QN__TLS_WAIT_VERIFY) {
    return QN_AGAIN;
  }
  if ((t->server || t->held_late) && t->verify_answer < 0) {
    qn__tls_refuse_held(t);
  }
  ERR_clear_error();
  int rc = SSL_do_handshake(t->ssl);
  if (rc == 1) {
    ERR_clear_error();
    return 0;
  }
  switch (SSL_get_error(t->ssl, rc)) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_CLIENT_HELLO_CB:
  case SSL_ERROR_WANT_RETRY_VERIFY: ERR_clear_error(); return QN_AGAIN;
  default: return qn__tls_failure(t, true);
  }
}

static void begin_trace(qn_tls_t *t)
{
  const qn_stream_t *s = t->filter.stream;
  qn_addr_t *peer = qn__tls_trace_begin(t, qn_stream_loop(s), qn_stream_id(s));
  if (peer != NULL && qn_filter_query_below(&t->filter, QN_QUERY_PEER_ADDR, peer) < 0) {
    peer->size = 0;
  }
}

static int tls_start(qn_filter_t *f)
{
  qn_tls_t *t = tls_of(f);
  int rc = qn_filter_start_below(f);
  if (rc < 0 || t->failed != 0) {
    return rc < 0 ? rc : t->failed;
  }
  if (!t->begun) {
    t->begun = true;
    begin_trace(t);
  }
  if (!t->shaken) {
    rc = shake(t);
    t->shaken = rc == 0;
  }
  if (rc == 0) {
    qn__tls_psk_up(t);
    rc = qn__tls_verify_late(t);
  }
  if (rc < 0) {
    if (rc != QN_AGAIN) {
      push_out(t);
      (void)fail(t, rc);
    }
    return rc;
  }
  t->up = true;
  if (t->trace != NULL) {
    qn__tls_trace_up(t);
  }
  qn__tls_event(t, QN_TLS_EVENT_UP, 0);
  return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int write_late(qn_tls_t *t);

/* Room for what is there already, so that neither short records cost 16 KiB nor many of them one
 * block each. */
static size_t next_size(const qn_tls_t *t, size_t room)
{
  size_t most = (size_t)SSL_pending(t->ssl) + qn_buf_size(&t->filter.below->rd);
  most = most > READ_MOST ? READ_MOST : most < READ_LEAST ? READ_LEAST : most;
  return most < room ? most : room;
}

static int64_t read_failed(qn_tls_t *t, int rc)
{
  switch (SSL_get_error(t->ssl, rc)) {
  case SSL_ERROR_WANT_READ: ERR_clear_error(); return QN_AGAIN;
  case SSL_ERROR_ZERO_RETURN:
    ERR_clear_error();
    if (t->alert_in != SSL_AD_CLOSE_NOTIFY) {
      qn__tls_say(t, qn_err_text(QN_E_TLS_TRUNCATED));
      return fail(t, QN_E_TLS_TRUNCATED);
    }
    return 0;
  default: return fail(t, qn__tls_failure(t, false));
  }
}

static int64_t tls_fill(qn_filter_t *f)
{
  qn_tls_t *t = tls_of(f);
  size_t added = 0, most = f->room < READ_MOST ? f->room : READ_MOST;
  int64_t rc = 1;
  if (t->failed != 0) {
    return t->failed;
  }
  if (f->room == 0) {
    return QN_AGAIN;
  }
  ERR_clear_error();
  while (added < most) {
    size_t n = 0, space = f->rd.cap - f->rd.tail;
    if (space < READ_LEAST || (SSL_pending(t->ssl) == 0 && space < RECORD_MAX)) {
      rc = qn_buf_reserve(&f->rd, next_size(t, most - added));
      if (rc < 0) {
        break;
      }
      space = f->rd.cap - f->rd.tail;
    }
    space = space < most - added ? space : most - added;
    t->filling = true;
    int ok = SSL_read_ex(t->ssl, f->rd.base + f->rd.tail, space, &n);
    t->filling = false;
    if (ok != 1) {
      rc = read_failed(t, ok);
      break;
    }
    t->quiet = 0;
    f->rd.tail += n;
    added += n;
  }
  if (qn_buf_size(&t->late) != 0 && t->failed == 0 && write_late(t) != QN_AGAIN) {
    qn_stream_wake(f->stream, QN_WAKE_WRITE);
  }
  push_out(t);
  if (added != 0) {
    return (int64_t)added; /* the end or the error comes again with the next fill */
  }
  if (rc < 0 && qn_buf_size(&f->rd) == 0) {
    qn_buf_free(&f->rd); /* nothing came: idle connections hold no block */
  }
  return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* QN_AGAIN: OpenSSL writes nothing before it has the rest of a message of the peer's (a ticket in
 * several records, say). */
static int write_some(qn_tls_t *t, const uint8_t *data, size_t size, size_t *written)
{
  int ok = SSL_write_ex(t->ssl, data, size, written);
  if (ok == 1) {
    return 0;
  }
  switch (SSL_get_error(t->ssl, ok)) {
  case SSL_ERROR_WANT_READ: ERR_clear_error(); return QN_AGAIN;
  case SSL_ERROR_WANT_WRITE: return fail(t, QN_E_TLS_DATA); /* the BIO takes everything */
  default: return fail(t, qn__tls_failure(t, false));
  }
}

static int write_record(qn_tls_t *t, const uint8_t *data, size_t size)
{
  while (size != 0) {
    size_t n = 0;
    int rc = qn_buf_size(&t->late) == 0 ? write_some(t, data, size, &n) : QN_AGAIN;
    if (rc == QN_AGAIN) {
      return qn_buf_append(&t->late, data, size);
    }
    if (rc < 0) {
      return rc;
    }
    data += n;
    size -= n;
  }
  return 0;
}

static int write_late(qn_tls_t *t)
{
  int rc = 0;
  ERR_clear_error();
  for (size_t left; rc == 0 && (left = qn_buf_size(&t->late)) != 0;) {
    size_t n = 0;
    rc = write_some(t, qn_buf_data(&t->late), left < RECORD_MAX ? left : RECORD_MAX, &n);
    qn_buf_consume(&t->late, n);
  }
  return rc;
}

static int tls_flush(qn_filter_t *f)
{
  qn_tls_t *t = tls_of(f);
  int rc = t->failed == 0 ? write_late(t) : t->failed;
  if (rc < 0 && rc != QN_AGAIN && qn_buf_size(&t->late) != 0) {
    return rc;
  }
  int below = qn_filter_flush_below(f);
  return below < 0 || rc != QN_AGAIN ? below : rc;
}

static int tls_query(qn_filter_t *f, int what, void *out)
{
  int rc = qn_filter_query_below(f, what, out);
  if (rc == 0 && what == QN_QUERY_QUEUED) {
    *(size_t *)out += qn_buf_size(&tls_of(f)->late);
  }
  return rc;
}

static size_t record_size(qn_tls_t *t, size_t left)
{
  if (t->burst >= BURST_SMALL || left <= RECORD_SMALL) {
    return RECORD_MAX;
  }
  return RECORD_SMALL;
}

/* Small pieces share records; large ones are encrypted where they are. */
static int write_all(qn_tls_t *t, const qn_slice_t *v, int n, size_t left)
{
  uint8_t gathered[RECORD_MAX];
  size_t off = 0;
  for (int i = 0; left != 0;) {
    size_t most = record_size(t, left), size = 0;
    const uint8_t *data = gathered;
    if (v[i].size - off >= most || v[i].size - off == left) {
      data = v[i].data + off;
      size = v[i].size - off < most ? v[i].size - off : most;
      off += size;
    } else {
      while (i < n && size < most) {
        size_t part = v[i].size - off < most - size ? v[i].size - off : most - size;
        if (part != 0) {
          memcpy(gathered + size, v[i].data + off, part);
        }
        size += part;
        off += part;
        if (off == v[i].size) {
          i++;
          off = 0;
        }
      }
    }
    while (i < n && off == v[i].size) {
      i++;
      off = 0;
    }
    int rc = write_record(t, data, size);
    if (rc < 0) {
      return rc;
    }
    left -= size;
    t->burst += t->burst < BURST_SMALL ? (uint32_t)size : 0;
  }
  return 0;
}

/* Several records leave with one call of the layer below: one system call instead of one each. */
static int write_batch(qn_tls_t *t, const qn_slice_t *v, int n, size_t left)
{
  qn_buf_t batch = {0};
  int rc = qn_buf_reserve(&batch, left + left / 32 + 64); /* with what is around small records */
  if (rc < 0) {
    return rc;
  }
  t->batch = &batch;
  rc = write_all(t, v, n, left);
  t->batch = NULL;
  if (qn_buf_size(&batch) != 0 && (rc == 0 || t->io_error == 0)) {
    qn_slice_t all = {qn_buf_data(&batch), qn_buf_size(&batch)};
    int below = qn_filter_write_below(&t->filter, &all, 1);
    rc = rc == 0 && below < 0 ? fail(t, below) : rc;
  }
  qn_buf_free(&batch);
  return rc;
}

static int tls_write(qn_filter_t *f, const qn_slice_t *v, int n)
{
  qn_tls_t *t = tls_of(f);
  size_t left = 0;
  if (t->failed != 0 || t->said_close) {
    return t->failed != 0 ? t->failed : QN_E_SHUTDOWN;
  }
  for (int i = 0; i < n; i++) {
    left += v[i].size;
  }
  uint64_t now = qn_loop_now(f->stream != NULL ? qn_stream_loop(f->stream) : NULL);
  if (now - t->sent_at > PAUSE_MS) {
    t->burst = 0;
  }
  t->sent_at = now;
  ERR_clear_error();
  return left > RECORD_MAX ? write_batch(t, v, n, left) : write_all(t, v, n, left);
}

/* Takes away what came and nobody asked for. true: the end has come, or so much that it must do. */
static bool drain(qn_filter_t *f)
{
  qn_tls_t *t = tls_of(f);
  size_t left = DRAIN_MOST;
  while (!t->ended && left != 0) {
    size_t size = qn_buf_size(&f->below->rd);
    qn_filter_consume(f->below, size);
    left -= size < left ? size : left;
    f->below->room = DRAIN_MOST;
    int64_t n = left != 0 ? qn_filter_fill_below(f) : 0;
    if (n == QN_AGAIN) {
      return false;
    }
    t->ended = n <= 0;
  }
  return true;
}

/* The tickets of TLS 1.3 come when the handshake is over for the client. One that only writes and
 * closes must wait for them, and best for the server's end: bytes that come to a closed socket make
 * the kernel reset the connection, with all that it has not sent yet. */
static int linger(qn_tls_t *t)
{
  qn_filter_t *f = &t->filter;
  if (t->server || !t->up || t->heard || SSL_version(t->ssl) != TLS1_3_VERSION ||
      f->stream == NULL || qn_stream_state(f->stream) != QN_STATE_CLOSING ||
      qn_filter_query_below(f, QN_QUERY_LOOK, NULL) != 0 || drain(f)) {
    return 0;
  }
  qn_stream_linger(f->stream);
  return QN_AGAIN;
}

/* The peer has said its last word and everything of ours but the farewell has left: when that is
 * refused, nothing is lost. */
static bool only_farewell(qn_tls_t *t)
{
  size_t queued = 0;
  return (t->alert_in == SSL_AD_CLOSE_NOTIFY || t->ended) && qn_buf_size(&t->late) == 0 &&
         qn_filter_query_below(&t->filter, QN_QUERY_QUEUED, &queued) == 0 && queued == 0;
}

static bool is_gone(int err) { return err == -EPIPE || err == -ECONNRESET; }

static int tls_finish(qn_filter_t *f)
{
  qn_tls_t *t = tls_of(f);
  if (t->failed != 0 && t->failed != QN_E_TLS_TRUNCATED) {
    return t->failed;
  }
  if (!t->said_close) {
    t->said_close = true;
    t->farewell = only_farewell(t);
    ERR_clear_error();
    if (SSL_shutdown(t->ssl) < 0 && t->io_error < 0 && !(t->farewell && is_gone(t->io_error))) {
      return fail(t, t->io_error);
    }
    ERR_clear_error();
  }
  int rc = qn_filter_finish_below(f);
  if (t->farewell && is_gone(rc)) {
    return 0;
  }
  return rc == 0 ? linger(t) : rc;
}

int qn_tls_key_update(qn_tls_t *t, bool request)
{
  if (!t->up || !t->attached || t->failed != 0 || t->said_close) {
    return QN_E_NOT_CONNECTED;
  }
  ERR_clear_error();
  if (SSL_version(t->ssl) != TLS1_3_VERSION ||
      !SSL_key_update(t->ssl, request ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED)) {
    ERR_clear_error();
    return QN_E_UNSUPPORTED;
  }
  t->quiet = request ? 0 : t->quiet; /* each is answered by one */
  int rc = SSL_do_handshake(t->ssl);
  if (rc != 1 && SSL_get_error(t->ssl, rc) != SSL_ERROR_WANT_READ) {
    return fail(t, qn__tls_failure(t, false));
  }
  push_out(t);
  return 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* What came and was never asked for must not stay unread: the kernel would answer our close with a
 * reset. */
static void tls_close(qn_filter_t *f, bool abort)
{
  const qn_tls_t *t = tls_of(f);
  if (!abort && t->up && !t->ended && f->below != NULL &&
      qn_filter_query_below(f, QN_QUERY_LOOK, NULL) == 0) {
    (void)drain(f);
  }
  qn_filter_close_below(f, abort);
}

static void tls_destroy(qn_filter_t *f)
{
  qn_tls_t *t = tls_of(f);
  t->attached = false;
  t->filter.rd = (qn_buf_t){0}; /* the stream has freed it */
  t->filter.below = NULL;
  t->filter.stream = NULL;
  qn_tls_release(t);
}

const qn_filter_ops_t qn__tls_ops = {
    .name = "tls",
    .flags = QN_FILTER_LINGERS,
    .start = tls_start,
    .fill = tls_fill,
    .write = tls_write,
    .flush = tls_flush,
    .finish = tls_finish,
    .query = tls_query,
    .close = tls_close,
    .destroy = tls_destroy,
};

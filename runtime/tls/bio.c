/* bio.c: the BIO between OpenSSL and the layer below.
 *
 * Reading takes from the bytes that the layer below holds and asks it for more when they are used
 * up; writing hands over and never waits, the layers below keep what the kernel refuses. Must not
 * keep bytes of its own. Invariant: an error of the layer below is kept in the connection, since
 * OpenSSL only knows that reading or writing failed.
 */
#include "tls/f_tls_i.h"
#include "tls/ossl.h"

#include "qn/loop.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>

#define FILL_LEAST (17u * 1024u) /* a record with all that may be around it */
#define FILL_MOST (64u * 1024u)
#define QUIET_MS 60000u
#define ANSWERS_MOST (64u * 1024u) /* bytes that OpenSSL writes by itself, not sent yet */

/* Bytes below, filled when there are none: > 0, 0 = the end, or an error. */
static int64_t available(qn_tls_t *t)
{
  qn_filter_t *below = t->filter.below;
  size_t size = qn_buf_size(&below->rd);
  if (size != 0) {
    return (int64_t)size;
  }
  if (t->ended) {
    return 0;
  }
  size_t room = t->filter.room < FILL_MOST ? t->filter.room : FILL_MOST;
  below->room = room < FILL_LEAST || !t->up ? FILL_LEAST : room;
  int64_t n = qn_filter_fill_below(&t->filter);
  if (n == 0) {
    t->ended = true;
  }
  return n <= 0 ? n : (int64_t)qn_buf_size(&t->filter.below->rd); /* `below` may have changed */
}

/* A peer may change its keys now and then for days, with nothing else to say. */
static unsigned one_more(qn_tls_t *t)
{
  uint64_t now = t->filter.stream != NULL ? qn_loop_now(qn_stream_loop(t->filter.stream)) : 0;
  if (now - t->quiet_at > QUIET_MS) {
    t->quiet = 0;
    t->quiet_at = now;
  }
  return ++t->quiet;
}

static int on_read(BIO *bio, char *out, int size)
{
  qn_tls_t *t = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (t == NULL || !t->attached || size <= 0) {
    return -1;
  }
  if (t->poison) {
    static const char huge[SSL3_RT_HEADER_LENGTH] = "\x17\x03\x03\xff\xff";
    memcpy(out, huge, size < (int)sizeof huge ? (size_t)size : sizeof huge);
    return size < (int)sizeof huge ? size : (int)sizeof huge;
  }
  if (t->wait == QN__TLS_WAIT_VERIFY) { /* verify_peer.c */
    BIO_set_retry_read(bio);
    return -1;
  }
  if (t->up && size == SSL3_RT_HEADER_LENGTH && one_more(t) > QN_TLS_KEY_UPDATES_MAX) {
    t->io_error = QN_E_TLS_DATA;
    qn__tls_say(t, "the peer sends too many records without data");
    return -1;
  }
  if (!t->up && t->shake_bytes > QN_TLS_HANDSHAKE_MAX) {
    t->io_error = QN_E_TLS_DATA;
    qn__tls_say(t, "the peer's part of the handshake is too long");
    return -1;
  }
  int64_t n = available(t);
  if (n <= 0) {
    if (n == QN_AGAIN) {
      t->quiet -= t->up && size == SSL3_RT_HEADER_LENGTH;
      BIO_set_retry_read(bio);
      return -1;
    }
    t->io_error = n < 0 ? (int)n : t->io_error;
    return n < 0 ? -1 : 0;
  }
  size_t take = (size_t)n < (size_t)size ? (size_t)n : (size_t)size;
  qn_filter_t *below = t->filter.below;
  memcpy(out, qn_buf_data(&below->rd), take);
  qn_filter_consume(below, take);
  t->shake_bytes += t->up ? 0 : (uint32_t)take;
  t->heard = t->heard || t->up;
  return (int)take;
}

/* Answers to the peer's wishes for new keys pile up when it does not read. They are counted until
 * what was queued before the first of them has left. */
static bool too_many_answers(qn_tls_t *t, BIO *bio, size_t size)
{
  size_t queued = 0;
  uint64_t written = BIO_number_written(bio);
  if (qn_filter_query_below(&t->filter, QN_QUERY_QUEUED, &queued) < 0) {
    queued = 0;
  }
  if (queued <= written && written - queued >= t->answers_end) {
    t->answers = 0;
    t->answers_end = written + size;
  }
  t->answers += (uint32_t)size;
  return t->answers > ANSWERS_MOST;
}

static int on_write(BIO *bio, const char *data, int size)
{
  qn_tls_t *t = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (t == NULL || !t->attached || size < 0) {
    return -1;
  }
  if (t->filling && too_many_answers(t, bio, (size_t)size)) {
    t->io_error = QN_E_TLS_DATA;
    qn__tls_say(t, "the peer asks for new keys and does not take them");
    return -1;
  }
  qn_slice_t v = {(const uint8_t *)data, (size_t)size};
  int rc = t->batch != NULL ? qn_buf_append(t->batch, data, (size_t)size)
                            : qn_filter_write_below(&t->filter, &v, 1);
  if (rc < 0) {
    t->io_error = rc;
    return -1;
  }
  t->wrote = true;
  return size;
}

static long on_ctrl(BIO *bio, int what, long number, void *p)
{
  const qn_tls_t *t = BIO_get_data(bio);
  (void)number;
  (void)p;
  switch (what) {
  case BIO_CTRL_FLUSH: return 1; /* at the end of the turn, or when the stream says so */
  case BIO_CTRL_EOF: return t == NULL || (t->ended && t->io_error == 0);
  default: return 0;
  }
}

static BIO_METHOD *method;

static void make_method(void) { method = qn__ossl_bio_method("qn", on_read, on_write, on_ctrl); }

BIO *qn__tls_bio(qn_tls_t *t)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_method);
  return qn__ossl_bio(method, t);
}

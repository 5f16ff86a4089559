/* dtls_bio.c: the BIO of an association: one datagram in, each record flight out as it is.
 *
 * Reading gives the one datagram that is being looked at, once; writing sends at once. A datagram
 * that cannot be sent counts as lost on the way, since a handshake repeats what was lost; the
 * result is kept for qn_dtls_send. Must not keep bytes. Invariant: writing never asks OpenSSL to
 * try again.
 */
#include "tls/dtls_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <string.h>

#define OVERHEAD_IPV4 28
#define OVERHEAD_IPV6 48

static int on_read(BIO *bio, char *out, int size)
{
  qn_tls_t *t = BIO_get_data(bio);
  qn_dtls_t *a = t != NULL ? t->owner : NULL;
  BIO_clear_retry_flags(bio);
  if (a == NULL || size <= 0) {
    return -1;
  }
  if (a->in.size == 0 || t->wait == QN__TLS_WAIT_VERIFY) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t n = a->in.size < (size_t)size ? a->in.size : (size_t)size;
  memcpy(out, a->in.data, n);
  a->in.size = 0;
  return (int)n;
}

static int on_write(BIO *bio, const char *data, int size)
{
  qn_tls_t *t = BIO_get_data(bio);
  qn_dtls_t *a = t != NULL ? t->owner : NULL;
  BIO_clear_retry_flags(bio);
  if (a == NULL || a->e == NULL || size < 0) {
    return size;
  }
  a->out.data = (qn_slice_t){(const uint8_t *)data, (size_t)size};
  int rc = a->e->send(a->e->u, &a->out);
  a->sent = a->sent < 0 ? a->sent : rc; /* the first failure of a flight counts */
  return size;
}

static long on_ctrl(BIO *bio, int what, long number, void *p)
{
  const qn_tls_t *t = BIO_get_data(bio);
  const qn_dtls_t *a = t != NULL ? t->owner : NULL;
  (void)number;
  (void)p;
  switch (what) {
  case BIO_CTRL_FLUSH:
  case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT: return 1; /* the runtime has timers */
  case BIO_CTRL_DGRAM_QUERY_MTU: return a != NULL ? (long)a->mtu : 0;
  case BIO_CTRL_DGRAM_GET_FALLBACK_MTU: return (long)QN_DTLS_MTU_FALLBACK;
  case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
    return a != NULL && qn_addr_family(&a->peer) == QN_FAMILY_IPV6 ? OVERHEAD_IPV6 : OVERHEAD_IPV4;
  default: return 0;
  }
}

static BIO_METHOD *method;

static void make_method(void)
{
  method = qn__ossl_bio_method("qn datagrams", on_read, on_write, on_ctrl);
}

BIO *qn__dtls_bio(qn_tls_t *t)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_method);
  return qn__ossl_bio(method, t);
}

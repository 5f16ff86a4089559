/* dtls_cookie.c: is the sender of a ClientHello where it says it is (RFC 6347, 4.2.1)?
 *
 * Called for every first datagram of a peer, so also in a flood of spoofed ones: nothing is
 * allocated or kept, and the answer is shorter than the question. A cookie is the number of its
 * period and an HMAC over period, address, port and what must not change in the ClientHello. Must
 * not trust a length. Invariant: the same secret, digest and clock give the same cookie anywhere.
 */
#include "tls/dtls_i.h"

#include "qn/crypto.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define RECORD_HEADER 13u
#define MESSAGE_HEADER 12u
#define COOKIE_MAX 32u /* all that DTLS 1.0 takes */

struct qn_dtls_verifier {
  const char *digest;
  size_t size; /* of a cookie */
  size_t secret_size;
  uint8_t secret[QN_DTLS_SECRET_MAX];
};

int qn_dtls_verifier_new(const char *digest, qn_slice_t secret, qn_dtls_verifier_t **out)
{
  const qn_digest_info_t *info = qn_digest_find(digest != NULL ? digest : "sha256");
  if (info == NULL) {
    return QN_E_UNSUPPORTED;
  }
  if (secret.size != 0 && (secret.size < QN_DTLS_SECRET_MIN || secret.size > QN_DTLS_SECRET_MAX)) {
    return QN_E_LIMIT;
  }
  qn_dtls_verifier_t *v = qn_calloc(1, sizeof *v);
  if (v == NULL) {
    return -ENOMEM;
  }
  v->digest = info->name;
  v->size = (size_t)info->size + 1 < COOKIE_MAX ? (size_t)info->size + 1 : COOKIE_MAX;
  v->secret_size = secret.size != 0 ? secret.size : 32;
  if (secret.size != 0) {
    memcpy(v->secret, secret.data, secret.size);
  } else {
    int rc = qn_random(v->secret, v->secret_size);
    if (rc < 0) {
      qn_dtls_verifier_free(v);
      return rc;
    }
  }
  *out = v;
  return 0;
}

void qn_dtls_verifier_free(qn_dtls_verifier_t *v)
{
  if (v != NULL) {
    explicit_bzero(v, sizeof *v);
    qn_free(v);
  }
}

/* --- a ClientHello ---------------------------------------------------------------------------- */

static size_t number(const uint8_t *p, int n)
{
  size_t v = 0;
  for (int i = 0; i < n; i++) {
    v = v << 8 | p[i];
  }
  return v;
}

bool qn__dtls_record(qn_slice_t d)
{
  return d.size >= RECORD_HEADER && d.data[0] >= 20 && d.data[0] <= 25 && d.data[1] == 0xfe &&
         number(d.data + 11, 2) <= d.size - RECORD_HEADER;
}

bool qn__dtls_parse_hello(qn_slice_t d, qn__dtls_hello_t *out)
{
  const uint8_t *p = d.data;
  if (!qn__dtls_record(d) || p[0] != 22 || number(p + 3, 2) != 0) {
    return false;
  }
  size_t left = number(p + 11, 2);
  const uint8_t *m = p + RECORD_HEADER;
  if (left < MESSAGE_HEADER || m[0] != 1 || number(m + 6, 3) != 0 ||
      number(m + 9, 3) > left - MESSAGE_HEADER || number(m + 9, 3) > number(m + 1, 3)) {
    return false;
  }
  left = number(m + 9, 3); /* its first fragment has to hold all up to the cookie */
  const uint8_t *b = m + MESSAGE_HEADER;
  if (left < 35 || b[0] != 0xfe || b[34] > 32 || left < 36u + b[34]) {
    return false;
  }
  size_t session = b[34], cookie = b[35 + session];
  if (left < 36 + session + cookie) {
    return false;
  }
  out->sequence = p + 3;
  out->message = (unsigned)number(m + 4, 2);
  out->random = b + 2;
  out->fixed = (qn_slice_t){b, 35 + session};
  out->cookie = (qn_slice_t){b + 36 + session, cookie};
  return true;
}

/* --- the cookie ------------------------------------------------------------------------------- */

static int make(const qn_dtls_verifier_t *v, uint64_t period, const qn_addr_t *peer,
                const qn__dtls_hello_t *h, uint8_t out[COOKIE_MAX])
{
  uint8_t data[8 + 18 + 35 + 32], full[QN_DIGEST_MAX];
  size_t n = 0;
  for (int i = 7; i >= 0; i--) {
    data[n++] = (uint8_t)(period >> (8 * i));
  }
  qn__dtls_key_t key;
  qn__dtls_key(&key, peer);
  memcpy(data + n, key.ip, 16);
  memcpy(data + n + 16, &key.port, 2); /* network order */
  memcpy(data + n + 18, h->fixed.data, h->fixed.size);
  n += 18 + h->fixed.size;
  int rc = qn_hmac(v->digest, v->secret, v->secret_size, data, n, full);
  if (rc < 0) {
    return rc;
  }
  out[0] = (uint8_t)period;
  memcpy(out + 1, full, v->size - 1);
  return 0;
}

static bool is_right(const qn_dtls_verifier_t *v, uint64_t now, const qn_addr_t *peer,
                     const qn__dtls_hello_t *h)
{
  uint8_t want[COOKIE_MAX];
  if (h->cookie.size != v->size) {
    return false;
  }
  uint64_t period = h->cookie.data[0] == (uint8_t)now ? now : now - 1;
  return make(v, period, peer, h, want) == 0 && CRYPTO_memcmp(want, h->cookie.data, v->size) == 0;
}

static void put(uint8_t *p, size_t value, int n)
{
  for (int i = n - 1; i >= 0; i--) {
    p[i] = (uint8_t)value;
    value >>= 8;
  }
}

/* The version says nothing (RFC 6347, 4.2.1); sequence numbers are the ClientHello's. */
static size_t build(const qn__dtls_hello_t *h, const uint8_t *cookie, size_t size, uint8_t *out)
{
  uint8_t *m = out + RECORD_HEADER, *b = m + MESSAGE_HEADER;
  size_t body = 3 + size;
  out[0] = 22;
  put(out + 1, 0xfeff, 2);
  memcpy(out + 3, h->sequence, 8);
  put(out + 11, MESSAGE_HEADER + body, 2);
  m[0] = 3;
  put(m + 1, body, 3);
  put(m + 4, h->message, 2);
  put(m + 6, 0, 3);
  put(m + 9, body, 3);
  put(b, 0xfeff, 2);
  b[2] = (uint8_t)size;
  memcpy(b + 3, cookie, size);
  return RECORD_HEADER + MESSAGE_HEADER + body;
}

int qn__dtls_check_hello(const qn_dtls_verifier_t *v, const qn__dtls_hello_t *h,
                         const qn_addr_t *peer, uint8_t reply[QN_DTLS_REPLY_MAX], size_t *size)
{
  uint8_t cookie[COOKIE_MAX];
  uint64_t now = (uint64_t)time(NULL) / QN_DTLS_COOKIE_LIFE_S;
  if (is_right(v, now, peer, h)) {
    return 1;
  }
  int rc = make(v, now, peer, h, cookie);
  if (rc < 0) {
    return rc;
  }
  *size = build(h, cookie, v->size, reply);
  return 0;
}

int qn_dtls_verify_hello(const qn_dtls_verifier_t *v, qn_slice_t datagram, const qn_addr_t *peer,
                         uint8_t reply[QN_DTLS_REPLY_MAX], size_t *size)
{
  qn__dtls_hello_t h;
  return qn__dtls_parse_hello(datagram, &h) ? qn__dtls_check_hello(v, &h, peer, reply, size)
                                            : QN_E_INVALID;
}

/* --- what OpenSSL asks ------------------------------------------------------------------------ */

static int no_cookie(SSL *ssl, unsigned char *cookie, unsigned *size)
{
  (void)ssl, (void)cookie, (void)size;
  return 0; /* it is not needed: a ClientHello without one does not get that far */
}

/* The ClientHello was checked before there was a connection. */
static int has_cookie(SSL *ssl, const unsigned char *cookie, unsigned size)
{
  (void)ssl, (void)cookie, (void)size;
  return 1;
}

void qn__dtls_cookie_setup(SSL_CTX *ctx)
{
  SSL_CTX_set_cookie_generate_cb(ctx, no_cookie);
  SSL_CTX_set_cookie_verify_cb(ctx, has_cookie);
}

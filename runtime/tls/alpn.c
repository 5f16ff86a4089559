/* alpn.c: which protocol is spoken on top (RFC 7301): lists, the server's choice.
 *
 * The list is kept as it goes over the wire. The server's choice is made inside of the handshake
 * and cannot wait. Must not trust the client's list: OpenSSL has checked its lengths, which are
 * checked again here. Invariant: names are 1 to QN_TLS_ALPN_MAX bytes.
 */
#include "tls/f_tls_i.h"

#include <errno.h>
#include <string.h>

static int frozen(qn_tls_config_t *c)
{
  c->problem[0] = 0;
  return c->frozen ? qn__tls_config_fail(c, QN_E_BUSY,
                                         "the TLS configuration is in use: copy it to change it")
                   : 0;
}

int qn_tls_config_set_alpn(qn_tls_config_t *c, const qn_slice_t *names, size_t n)
{
  size_t size = 0;
  uint8_t *list = NULL;
  int rc = frozen(c);
  if (rc < 0) {
    return rc;
  }
  if (n > QN_TLS_ALPN_NAMES_MAX) {
    return qn__tls_config_fail(c, QN_E_INVALID, "more than %u ALPN names", QN_TLS_ALPN_NAMES_MAX);
  }
  for (size_t i = 0; i < n; i++) {
    if (names[i].size == 0 || names[i].size > QN_TLS_ALPN_MAX) {
      return qn__tls_config_fail(c, QN_E_INVALID, "an ALPN name has 1 to %u bytes",
                                 QN_TLS_ALPN_MAX);
    }
    size += names[i].size + 1;
  }
  if (size != 0) {
    list = qn_malloc(size);
    if (list == NULL) {
      return -ENOMEM;
    }
    uint8_t *p = list;
    for (size_t i = 0; i < n; i++) {
      *p++ = (uint8_t)names[i].size;
      memcpy(p, names[i].data, names[i].size);
      p += names[i].size;
    }
  }
  qn_free(c->alpn);
  c->alpn = list;
  c->alpn_size = size;
  return 0;
}

int qn_tls_config_set_alpn_choice(qn_tls_config_t *c, qn_tls_alpn_fn fn, void *arg)
{
  int rc = frozen(c);
  if (rc == 0) {
    c->alpn_fn = fn;
    c->alpn_arg = arg;
  }
  return rc;
}

static size_t split(const unsigned char *in, unsigned size, qn_slice_t *names)
{
  size_t n = 0;
  for (unsigned at = 0; at < size && n < QN_TLS_ALPN_NAMES_MAX; at += in[at] + 1u) {
    if (in[at] == 0 || in[at] > size - at - 1) {
      break;
    }
    names[n++] = (qn_slice_t){in + at + 1, in[at]};
  }
  return n;
}

/* Our best name that the client has too. */
static int choose(const qn_tls_config_t *c, const qn_slice_t *names, size_t n)
{
  for (const uint8_t *p = c->alpn; p < c->alpn + c->alpn_size; p += *p + 1) {
    for (size_t i = 0; i < n; i++) {
      if (names[i].size == *p && memcmp(names[i].data, p + 1, *p) == 0) {
        return (int)i;
      }
    }
  }
  return -1;
}

static int select_name(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                       const unsigned char *in, unsigned size, void *arg)
{
  qn_tls_t *t = qn__tls_of_ssl(ssl);
  const qn_tls_config_t *c = qn__tls_effective(t);
  qn_slice_t names[QN_TLS_ALPN_NAMES_MAX];
  (void)arg;
  if (c->alpn == NULL && c->alpn_fn == NULL) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  size_t n = split(in, size, names);
  int at = c->alpn_fn != NULL ? c->alpn_fn(t, names, n, c->alpn_arg) : choose(c, names, n);
  if (at < 0 || (size_t)at >= n) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = names[at].data;
  *out_size = (unsigned char)names[at].size;
  return SSL_TLSEXT_ERR_OK;
}

void qn__tls_alpn_setup(SSL_CTX *ctx) { SSL_CTX_set_alpn_select_cb(ctx, select_name, NULL); }

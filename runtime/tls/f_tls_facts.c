/* f_tls_facts.c: what is known of a connection: version, cipher, names, the peer's certificates.
 *
 * Called by embedders at any time, also after the end. Nothing here changes the connection. Must
 * not hand out what OpenSSL frees by itself but as long as the connection lives.
 */
#include "tls/f_tls_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/objects.h>

const char *qn_tls_version_name(int version)
{
  switch (version) {
  case QN_TLS_1_0: return "TLSv1";
  case QN_TLS_1_1: return "TLSv1.1";
  case QN_TLS_1_2: return "TLSv1.2";
  case QN_TLS_1_3: return "TLSv1.3";
  case DTLS1_VERSION: return "DTLSv1";
  case DTLS1_2_VERSION: return "DTLSv1.2";
  default: return "unknown";
  }
}

bool qn_tls_is_up(const qn_tls_t *t) { return t->up; }
bool qn_tls_is_server(const qn_tls_t *t) { return t->server; }
const char *qn_tls_problem(const qn_tls_t *t) { return t->problem != NULL ? t->problem : ""; }

int qn_tls_version(const qn_tls_t *t) { return t->shaken ? SSL_version(t->ssl) : 0; }

const char *qn_tls_cipher(const qn_tls_t *t)
{
  const SSL_CIPHER *c = SSL_get_current_cipher(t->ssl);
  return c != NULL ? SSL_CIPHER_get_name(c) : NULL;
}

int qn_tls_cipher_bits(const qn_tls_t *t)
{
  const SSL_CIPHER *c = SSL_get_current_cipher(t->ssl);
  return c != NULL ? SSL_CIPHER_get_bits(c, NULL) : 0;
}

qn_slice_t qn_tls_alpn(const qn_tls_t *t)
{
  const unsigned char *p = NULL;
  unsigned size = 0;
  SSL_get0_alpn_selected(t->ssl, &p, &size);
  return (qn_slice_t){p, size};
}

bool qn_tls_resumed(const qn_tls_t *t)
{
  return t->shaken && SSL_session_reused(t->ssl) &&
         !(t->psk_state == QN__TLS_PSK_USED && SSL_version(t->ssl) == TLS1_3_VERSION);
}
const char *qn_tls_server_name(const qn_tls_t *t) { return t->server_name; }

const char *qn_tls_ephemeral_key(const qn_tls_t *t, int *bits)
{
  EVP_PKEY *key = NULL;
  const char *name = NULL;
  ERR_clear_error();
  int group = t->shaken ? SSL_get_negotiated_group(t->ssl) : 0;
  if (t->shaken && SSL_get_peer_tmp_key(t->ssl, &key) && key != NULL) {
    *bits = EVP_PKEY_get_bits(key);
    name = EVP_PKEY_get0_type_name(key);
    if (group > 0 && EVP_PKEY_is_a(key, "EC")) {
      name = OBJ_nid2sn(group & 0xffff);
    }
    name = name != NULL && EVP_PKEY_is_a(key, "DH") ? "DH" : name;
    EVP_PKEY_free(key);
  }
  ERR_clear_error();
  return name;
}

qn_slice_t qn_tls_ocsp(const qn_tls_t *t)
{
  const unsigned char *p = NULL;
  long size = t->server ? 0 : SSL_get_tlsext_status_ocsp_resp(t->ssl, &p);
  return size > 0 ? (qn_slice_t){p, (size_t)size} : (qn_slice_t){0};
}

/* Clients: OpenSSL's chain has the leaf; servers: it has not. After a resumption only the leaf may
 * be known. */
static X509 *peer_at(const qn_tls_t *t, size_t i)
{
  STACK_OF(X509) *chain = SSL_get_peer_cert_chain(t->ssl);
  if (t->server || sk_X509_num(chain) <= 0) {
    if (i == 0) {
      return SSL_get0_peer_certificate(t->ssl);
    }
    i--;
  }
  return i < (size_t)(sk_X509_num(chain) > 0 ? sk_X509_num(chain) : 0)
             ? sk_X509_value(chain, (int)i)
             : NULL;
}

size_t qn_tls_peer_count(const qn_tls_t *t)
{
  size_t n = 0;
  while (peer_at(t, n) != NULL) {
    n++;
  }
  return n;
}

int qn_tls_peer_cert(const qn_tls_t *t, size_t i, qn_cert_t **out)
{
  X509 *x509 = peer_at(t, i);
  if (x509 == NULL) {
    return QN_E_INVALID;
  }
  X509_up_ref(x509);
  *out = qn__cert_wrap(x509);
  return *out != NULL ? 0 : -ENOMEM;
}

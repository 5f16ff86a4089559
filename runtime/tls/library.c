/* library.c: which cryptographic library this is, what it can speak, and what passed on the wire.
 *
 * Called by embedders. Looks only: the first two initialise nothing, so they may be asked before
 * TLS is used.
 */
#include "tls/f_tls_i.h"

#include <openssl/crypto.h>
#include <openssl/opensslconf.h>

const char *qn_tls_library(void) { return OpenSSL_version(OPENSSL_VERSION); }

const int *qn_tls_protocols(void)
{
  static const int versions[] = {
#ifndef OPENSSL_NO_TLS1
      QN_TLS_1_0,
#endif
#ifndef OPENSSL_NO_TLS1_1
      QN_TLS_1_1,
#endif
#ifndef OPENSSL_NO_TLS1_2
      QN_TLS_1_2,
#endif
#ifndef OPENSSL_NO_TLS1_3
      QN_TLS_1_3,
#endif
      0};
  return versions;
}

void qn_tls_wire(const qn_tls_t *t, uint64_t *received, uint64_t *sent)
{
  *received = BIO_number_read(SSL_get_rbio(t->ssl));
  *sent = BIO_number_written(SSL_get_wbio(t->ssl));
}

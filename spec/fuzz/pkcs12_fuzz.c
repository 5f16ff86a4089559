/* PKCS#12 files from hostile data, with a small budget of work: once as they are, and once with a
 * MAC that is good, so that what is behind the MAC is reached. */
#include "tls/pkcs12_i.h"

#include <openssl/err.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORK = 3000 };

static void try(const uint8_t *data, size_t size)
{
  qn__pkcs12_t out;
  qn_cert_why_t why;
  int rc = qn__pkcs12_open(data, size, "x", 1, WORK, &out, &why);
  if (rc == 0 && out.cert != NULL && X509_check_private_key(out.cert, out.key) != 1) {
    abort();
  }
  if (rc < 0 && (out.cert != NULL || out.key != NULL || out.chain != NULL || out.name != NULL)) {
    abort();
  }
  if (ERR_peek_error() != 0) {
    abort();
  }
  qn__pkcs12_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const uint8_t *p = data;
  uint8_t *der = NULL;
  try(data, size);
  PKCS12 *p12 = size < 1 << 16 ? d2i_PKCS12(NULL, &p, (long)size) : NULL;
  if (p12 != NULL && PKCS12_set_mac(p12, "x", 1, NULL, 0, 1, EVP_sha256()) == 1) {
    int n = i2d_PKCS12(p12, &der);
    ERR_clear_error();
    if (n > 0) {
      try(der, (size_t)n);
    }
  }
  PKCS12_free(p12);
  OPENSSL_free(der);
  ERR_clear_error();
  return 0;
}

/* ocsp_fuzz.c: OCSP answers from hostile data: read, and checked against a certificate. Nobody can
 * make a good one without the key of the CA, so none may count.
 */
#include "qn/cert.h"
#include "tls/cert_i.h"
#include "tls/ocsp_i.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#define TEST_UNUSED __attribute__((unused))
#include "runtime/tls/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static qn_cert_t *leaf, *issuer;
  qn_ocsp_t read, checked;
  const char *problem = NULL;
  if (leaf == NULL && (qn_cert_parse(pem_server, strlen(pem_server), &leaf) < 0 ||
                       qn_cert_parse(pem_ca, strlen(pem_ca), &issuer) < 0)) {
    abort();
  }
  qn_slice_t der = {data, size};
  int rc = qn_ocsp_read(der, &read);
  int code = qn__ocsp_check(der, leaf->x509, issuer->x509, 1800000000, &checked, &problem);
  if (code == 0 || code == 23 || code == 75) { /* signed by a key that is not there */
    abort();
  }
  if (problem == NULL || checked.status != QN_OCSP_INVALID) {
    abort();
  }
  if (rc == 0 && (read.status == QN_OCSP_INVALID || read.reason < -1)) {
    abort();
  }
  char text[64];
  qn__ocsp_text(&read, 23, NULL, text, sizeof text);
  ERR_clear_error();
  return 0;
}

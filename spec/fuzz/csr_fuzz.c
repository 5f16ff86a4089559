/* Requests from hostile data: whatever parses can be listed, checked and written the same again. */
#include "qn/cert_make.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  qn_csr_t *csr = NULL, *again = NULL;
  qn_cert_bytes_t der = {NULL, 0}, text = {NULL, 0};
  qn_cert_list_t list = {0};
  qn_key_t *key = NULL;
  if (qn_csr_parse(data, size, &csr) < 0) {
    return 0;
  }
  if (qn_csr_subject(csr, &list) == 0) {
    qn_cert_list_free(&list);
  }
  if (qn_csr_names(csr, &list) == 0) {
    qn_cert_list_free(&list);
  }
  if (qn_csr_extensions(csr, &list) == 0) {
    qn_cert_list_free(&list);
  }
  if (qn_csr_usages(csr, &list) == 0) {
    qn_cert_list_free(&list);
  }
  (void)qn_csr_key_usage(csr);
  if (qn_csr_public_key(csr, &key) == 0) {
    qn_key_release(key);
    (void)qn_csr_verify(csr);
  }
  if (qn_csr_to_text(csr, &text) == 0) {
    qn_free(text.data);
  }
  if (qn_csr_to_der(csr, &der) == 0) {
    if (qn_csr_parse(der.data, der.size, &again) < 0 || !qn_csr_equal(csr, again)) {
      abort();
    }
    qn_csr_release(again);
    qn_free(der.data);
  }
  qn_csr_release(csr);
  return 0;
}

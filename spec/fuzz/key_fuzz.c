/* Keys from hostile data: whatever parses can be described, written and read again. */
#include "qn/key.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  qn_key_t *k = NULL, *again = NULL;
  char *der;
  size_t n;
  if (qn_key_parse(data, size, "x", 1, &k) < 0) {
    return 0;
  }
  if (strlen(qn_key_type(k)) == 0 || qn_key_bits(k) > QN_KEY_MAX_BITS) {
    abort();
  }
  (void)qn_key_curve(k);
  if (qn_key_to_der(k, &der, &n) == 0) {
    if (qn_key_parse(der, n, NULL, 0, &again) == 0 &&
        qn_key_is_private(again) != qn_key_is_private(k)) {
      abort();
    }
    qn_secret_free(der, n);
  }
  qn_key_release(again);
  qn_key_release(k);
  return 0;
}

/* tls/key_i.h: what is inside of a key, for the other files of this floor.
 *
 * The wrapped EVP_PKEY is never changed after it was made. A new one is adopted with qn__key_adopt,
 * which takes the reference also when it fails.
 */
#ifndef QN_TLS_KEY_I_H
#define QN_TLS_KEY_I_H

#include "qn/key.h"

#include <openssl/evp.h>

struct qn_key {
  unsigned refs;
  EVP_PKEY *pkey;
  bool is_private;
};

/* Takes `pkey` (freed on failure). */
int qn__key_adopt(EVP_PKEY *pkey, bool is_private, qn_key_t **out);

#endif

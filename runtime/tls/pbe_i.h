/* pbe_i.h: what a file asks for before it can be decrypted with a passphrase.
 *
 * Whoever decrypts asks first: the numbers are in the file, and a hostile one names any.
 */
#ifndef QN_TLS_PBE_I_H
#define QN_TLS_PBE_I_H

#include "qn/base.h"

#include <openssl/x509.h>

/* The iterations that an encryption with a passphrase costs (PBES1, PKCS#12's, PBES2 with PBKDF2 or
 * scrypt). QN_E_KEY_FORMAT; QN_E_UNSUPPORTED; QN_E_LIMIT: more than QN_KEY_MAX_ITERATIONS, `work`
 * is the number then, too. */
int qn__pbe_work(const X509_ALGOR *algorithm, uint64_t *work);

/* The same of one number. */
int qn__pbe_count(const ASN1_INTEGER *n, uint64_t *work);

#endif

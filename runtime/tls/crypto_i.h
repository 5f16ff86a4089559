/* tls/crypto_i.h: small things that the files about keys and digests share.
 *
 * Every entry point that uses OpenSSL calls qn__crypto_begin first: the library is initialised on
 * first use and never tears itself down at exit, since a thread of the pool may still be in it.
 * OpenSSL's error queue is empty before and after each of our calls.
 */
#ifndef QN_TLS_CRYPTO_I_H
#define QN_TLS_CRYPTO_I_H

#include "qn/crypto.h"
#include "qn/key.h"

#include <openssl/evp.h>

void qn__crypto_begin(void);
/* The code for what failed just now, from the error queue, which is cleared; `otherwise` where it
 * says nothing that has a code of its own. */
int qn__crypto_failed(int otherwise);
/* The digest of a name that qn_digest_find knows (fetched once per process); NULL: unknown, or this
 * OpenSSL has it not. */
const EVP_MD *qn__digest_md(const char *name);
/* A copy in memory for qn_secret_free, with a zero behind it; NULL: out of memory. */
char *qn__secret_copy(const void *data, size_t size);

#endif

/* ossl.h: small helpers of all files that call OpenSSL: errors, memory, text in and out.
 *
 * OpenSSL's error queue is per thread: whoever calls OpenSSL and fails takes what is there with
 * qn__ossl_fail, whoever expects failures clears it. Nothing here may be called before it is
 * needed: the first call of OpenSSL initialises it.
 */
#ifndef QN_TLS_OSSL_H
#define QN_TLS_OSSL_H

#include "qn/base.h"

#include <openssl/bio.h>

/* Clears the queue and says what happened: -ENOMEM, or `code`. */
int qn__ossl_fail(int code);
/* The reason of the newest error in the queue as text ("" when it is empty); the queue stays. */
void qn__ossl_reason(char *buf, size_t size);
/* A source that reads `data`, which must stay; NULL when out of memory. `size` is at most INT_MAX.
 */
BIO *qn__ossl_source(const void *data, size_t size);
/* A method of BIO for the life of the process; NULL when out of memory. */
BIO_METHOD *qn__ossl_bio_method(const char *name, int (*read)(BIO *, char *, int),
                                int (*write)(BIO *, const char *, int),
                                long (*ctrl)(BIO *, int, long, void *));
/* A BIO of it with this data; NULL when out of memory, also for the method. */
BIO *qn__ossl_bio(const BIO_METHOD *method, void *data);
/* Copies what was written to a memory BIO into memory of qn_malloc and frees the BIO; `ok` says
 * whether writing went well, `code` is the result when not. */
int qn__ossl_take(BIO *bio, bool ok, int code, uint8_t **data, size_t *size);

#endif

/* qn/pkcs12.h: PKCS#12 files (.p12, .pfx): a key, its certificate and the chain, behind a
 * passphrase.
 *
 * Reading and writing take as long as the passphrase is made to cost, so both run in the thread
 * pool. What a file may ask for is limited below. Failures: QN_E_CERT_FORMAT, QN_E_KEY_PASSPHRASE,
 * QN_E_UNSUPPORTED, QN_E_LIMIT, -ENOMEM, each with the reason in words. No OpenSSL here.
 */
#ifndef QN_PKCS12_H
#define QN_PKCS12_H

#include "qn/cert_make.h"
#include "qn/op.h"

#define QN_PKCS12_MAX_INPUT (4u << 20) /* bytes of a file */
#define QN_PKCS12_MAX_BAGS 1000        /* keys, certificates and other things in it */
#define QN_PKCS12_MAX_DEPTH 8          /* of bags in bags */
#define QN_PKCS12_MAX_WORK                                                                  \
  UINT64_C(6000000)                  /* iterations of all its passphrases together; of one: \
                                        QN_KEY_MAX_ITERATIONS */
#define QN_PKCS12_ITERATIONS 100000u /* written when nobody says */

typedef struct qn_pkcs12 {
  qn_cert_t *cert;  /* that of the key; NULL = none */
  qn_key_t *key;    /* NULL = none */
  qn_certs_t chain; /* all other certificates, in their order */
  char *name;       /* the "friendly name", UTF-8; NULL = none */
} qn_pkcs12_t;
QN_API void qn_pkcs12_free(qn_pkcs12_t *p); /* what it holds, not itself */

/* DER, or PEM text with a block PKCS12. `pass` NULL: the file must do without one. Blocks. */
QN_API int qn_pkcs12_read(const void *data, size_t size, const char *pass, size_t pass_size,
                          qn_pkcs12_t *out, qn_cert_why_t *why);
/* The same in the thread pool, with copies of what it is given: settles `op` with 0 or the failure;
 * then qn_pkcs12_result takes what came out, once. */
QN_API int qn_pkcs12_start_read(qn_loop_t *loop, qn_op_t *op, const void *data, size_t size,
                                const char *pass, size_t pass_size);
QN_API int qn_pkcs12_result(qn_op_t *op, qn_pkcs12_t *out, qn_cert_why_t *why);

/* Encrypts with AES-256 and PBKDF2 (HMAC-SHA256), MAC with SHA-256. `iterations` 0: the usual. In
 * the pool; qn_pkcs12_written takes the bytes, which are for qn_secret_free. */
QN_API int qn_pkcs12_start_write(qn_loop_t *loop, qn_op_t *op, const qn_pkcs12_t *from,
                                 const char *pass, size_t pass_size, uint32_t iterations);
QN_API int qn_pkcs12_written(qn_op_t *op, char **out, size_t *size);

#endif

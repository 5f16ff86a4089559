/* ocsp_i.h: checking OCSP answers, for the files of runtime/tls only.
 *
 * qn__ocsp_check says X509_V_OK or the number of a verification error, and a problem in words when
 * the answer does not count. It touches nothing but what it is given.
 */
#ifndef QN_TLS_OCSP_I_H
#define QN_TLS_OCSP_I_H

#include "qn/tls.h"

#include <openssl/ocsp.h>

/* Numbers of newer versions of OpenSSL. */
#define QN__OCSP_NOT_YET 98
#define QN__OCSP_EXPIRED 99

/* `issuer` NULL: not known. The error queue may hold something afterwards. */
int qn__ocsp_check(qn_slice_t der, X509 *leaf, X509 *issuer, int64_t now, qn_ocsp_t *out,
                   const char **problem);
/* RFC 7633: the certificate demands that an answer is stapled. */
bool qn__ocsp_must_staple(X509 *leaf);
void qn__ocsp_text(const qn_ocsp_t *o, int code, const char *problem, char *out, size_t size);

#endif

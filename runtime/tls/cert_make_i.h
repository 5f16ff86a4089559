/* cert_make_i.h: what the files that make certificates and requests share.
 *
 * Nothing here may be called before qn__crypto_begin. OpenSSL's error queue is empty after each of
 * these.
 */
#ifndef QN_TLS_CERT_MAKE_I_H
#define QN_TLS_CERT_MAKE_I_H

#include "qn/cert_make.h"
#include "tls/cert_i.h"

struct qn_csr {
  unsigned refs;
  X509_REQ *req;
};

/* Writes the reason and returns `code`. */
int qn__cert_refuse(qn_cert_why_t *why, int code, const char *format, ...) QN_PRINTF(3, 4);

/* The attributes of a plan; *out is NULL when it says none. */
int qn__cert_subject_of(const qn_cert_plan_t *plan, X509_NAME **out);

/* What a plan says in extensions, without those that identify keys. `for_request`: nothing that was
 * not said. *out is for sk_X509_EXTENSION_pop_free. */
int qn__cert_extensions_of(const qn_cert_plan_t *plan, EVP_PKEY *key, const X509_NAME *subject,
                           bool for_request, STACK_OF(X509_EXTENSION) * *out);

/* Adds one extension; `value` is what OpenSSL has for the number `nid`. */
bool qn__cert_extend(STACK_OF(X509_EXTENSION) * *list, int nid, void *value, bool critical);

/* Whether the parts of a plan fit each other; an issuer has a subject. */
int qn__cert_check_plan(qn_cert_plan_t *plan, int attributes, bool is_issuer);

/* A context that signs with `key` as the plan wants it; NULL and `rc` otherwise. */
EVP_MD_CTX *qn__cert_signer(qn_cert_plan_t *plan, const qn_key_t *key, int *rc);

#endif

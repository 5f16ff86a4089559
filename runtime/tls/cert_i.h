/* cert_i.h: what the files of runtime/tls know of certificates beyond qn/cert.h.
 *
 * Invariant: `x509` is never changed after the struct was made, so that it may be shared.
 */
#ifndef QN_TLS_CERT_I_H
#define QN_TLS_CERT_I_H

#include "qn/cert.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

struct qn_cert {
  unsigned refs;
  X509 *x509;
};

struct qn_trust {
  unsigned refs;
  X509_STORE *store;
};

/* trust.c: the system's, made by the first call and never freed; a result of qn/base.h. */
int qn__trust_system_store(X509_STORE **out);
/* What is in it goes into `store`, too. */
int qn__trust_add_system(X509_STORE *store);

/* trust_lazy.c: takes the certificates of PEM text into the process's index, which is not decoded
 * before it is needed. Only while no other thread can know. */
int qn__trust_lazy_read(const char *pem, size_t size);
/* The subject of a certificate in DER, without decoding the rest of it; the caller frees it. */
X509_NAME *qn__trust_lazy_subject(const uint8_t *der, long size);
/* `store` finds them from now on. */
void qn__trust_lazy_attach(X509_STORE *store);

/* verify_path.c: X509_verify_cert, whose errors `found` hears of only when no path is without any;
 * 1: the context's chain is the good one. For stores that qn__path_store was told of. */
int qn__path_verify(X509_STORE_CTX *ctx, X509_STORE_CTX_verify_cb found);
void qn__path_store(X509_STORE *store);

/* Takes over one reference of `x509`, also when it fails (NULL: out of memory). */
qn_cert_t *qn__cert_wrap(X509 *x509);

/* Of text that may hold anything: what would steer a terminal or is no UTF-8 becomes dots. */
void qn__cert_harmless(uint8_t *text, size_t size);

/* cert_list.c */
int qn__list_name(const X509_NAME *name, qn_cert_list_t *out);
int qn__list_general(const GENERAL_NAMES *names, qn_cert_list_t *out);
int qn__list_extension(X509_EXTENSION *ext, qn_cert_list_t *out);
int qn__list_add(qn_cert_list_t *list, qn_cert_entry_type_t type, const ASN1_OBJECT *object,
                 const void *value, size_t size);

/* cert_host.c: whether `pattern` of a certificate covers `host`, which is lower-case ASCII without
 * a dot at the end. */
bool qn__cert_covers(const char *pattern, size_t pattern_size, const char *host, size_t size);

#endif

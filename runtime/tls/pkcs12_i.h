/* pkcs12_i.h: what the files about PKCS#12 share.
 *
 * All of it may run in a thread of the pool: memory is OpenSSL's, nothing of the loop is touched.
 * OpenSSL's error queue is empty after each of these.
 */
#ifndef QN_TLS_PKCS12_I_H
#define QN_TLS_PKCS12_I_H

#include "qn/pkcs12.h"

#include <openssl/pkcs12.h>

typedef struct qn__pkcs12 {
  EVP_PKEY *key; /* or NULL */
  X509 *cert;    /* that of the key, or NULL; not in `chain` */
  STACK_OF(X509) * chain;
  char *name; /* or NULL */
} qn__pkcs12_t;
void qn__pkcs12_free(qn__pkcs12_t *p);

/* What a file may still cost. */
typedef struct qn__pkcs12_budget {
  uint64_t work; /* iterations */
  int bags;
} qn__pkcs12_budget_t;
/* Takes `work` iterations away; QN_E_LIMIT and the reason when there are not as many. */
int qn__pkcs12_spend(qn__pkcs12_budget_t *budget, uint64_t work, qn_cert_why_t *why);

/* Opens the file in DER. `most` iterations may be spent on it. */
int qn__pkcs12_open(const uint8_t *data, size_t size, const char *pass, size_t pass_size,
                    uint64_t most, qn__pkcs12_t *out, qn_cert_why_t *why);

/* pkcs12_mac.c: whether the file is as it was written, with this passphrase. There are two forms of
 * none, NULL and "": *pass becomes the one that is meant. */
int qn__pkcs12_check_mac(const uint8_t *data, size_t size, PKCS12 *p12, const char **pass,
                         size_t pass_size, qn__pkcs12_budget_t *budget, qn_cert_why_t *why);

#endif

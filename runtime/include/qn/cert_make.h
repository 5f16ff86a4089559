/* qn/cert_make.h: making certificates, requests for them, and PKCS#12 files.
 *
 * What a certificate shall say is collected in a plan and then signed. Requests are immutable
 * values with a reference count. Texts become what RFC 5280 wants: international names in ASCII,
 * UTF8String, GeneralizedTime from 2050 on. Failures: QN_E_INVALID and QN_E_VERIFY with the reason
 * in words, QN_E_KEY_MISMATCH, QN_E_UNSUPPORTED, QN_E_LIMIT, QN_E_CRYPTO, -ENOMEM. No OpenSSL here.
 */
#ifndef QN_CERT_MAKE_H
#define QN_CERT_MAKE_H

#include "qn/cert.h"
#include "qn/key.h"

#define QN_CERT_MAX_SAID 1000                   /* names, attributes and so on of one plan */
#define QN_CERT_MAX_TEXT 4096u                  /* bytes of one of them */
#define QN_CERT_MAX_SERIAL 20                   /* bytes of a serial number (RFC 5280) */
#define QN_CERT_BACKDATE 3600                   /* seconds that a new one begins before now */
#define QN_CERT_LIFETIME (INT64_C(365) * 86400) /* seconds from now when nobody says */
#define QN_CERT_MIN_TIME                                                                         \
  (-INT64_C(631152000))                        /* 1950-01-01: the first date that can be written \
                                                */
#define QN_CERT_MAX_TIME INT64_C(253402300799) /* 9999-12-31 23:59:59: the last one */
#define QN_CSR_MAX_INPUT (1u << 20)            /* bytes that are read as a request */

/* Why something was refused, in words. */
typedef struct qn_cert_why {
  char text[240];
} qn_cert_why_t;

typedef struct qn_csr qn_csr_t; /* a request for a certificate (PKCS#10) */

/* --- what it shall say ------------------------------------------------------------------------ */

/* Adds an attribute of the subject: `id` is a short name, long name or number ("CN",
 * "commonName", "2.5.4.3"), the text is UTF-8. `joined`: one multi-valued part with the one before.
 */
QN_API int qn_cert_say_attribute(qn_cert_list_t *list, const char *id, const void *text,
                                 size_t size, bool joined, qn_cert_why_t *why);
typedef enum qn_cert_form {
  QN_CERT_FORM_ANY, /* told apart by its form: address literal, URI, mail address, DNS name */
  QN_CERT_FORM_DNS,
  QN_CERT_FORM_IP,
  QN_CERT_FORM_EMAIL,
  QN_CERT_FORM_URI
} qn_cert_form_t;
/* Adds an alternative name; equal ones are added once. */
QN_API int qn_cert_say_name(qn_cert_list_t *list, qn_cert_form_t form, const char *text,
                            size_t size, qn_cert_why_t *why);
/* Adds an extended key usage: one of qn_cert_usage_names, or a number. */
QN_API int qn_cert_say_usage(qn_cert_list_t *list, const char *id, qn_cert_why_t *why);
QN_API extern const char *const qn_cert_usage_names[]; /* "server", "client", ..., NULL */
/* Adds an address where more is found: `type` is QN_CERT_OCSP, _ISSUERS or _CRL. */
QN_API int qn_cert_say_url(qn_cert_list_t *list, qn_cert_entry_type_t type, const char *text,
                           size_t size, qn_cert_why_t *why);

/* Names of the bits of the extension "key usage", in their order. */
#define QN_CERT_KEY_USAGES 9
QN_API extern const char *const qn_cert_key_usage_names[QN_CERT_KEY_USAGES + 1];

typedef struct qn_cert_plan {
  qn_cert_list_t says;           /* of the functions above; the caller frees it */
  int64_t not_before, not_after; /* QN_CERT_NO_TIME: the usual ones, within those of the issuer */
  int64_t lifetime;      /* seconds instead of not_after, from not_before or now; 0: not given */
  const uint8_t *serial; /* big-endian; NULL = at random, 158 bits */
  size_t serial_size;
  bool ca;
  int path_length;    /* -1 = no limit */
  uint32_t key_usage; /* bits; 0 = what fits the type of the key */
  const char *digest; /* "sha256" "sha384" "sha512"; NULL = what fits the key that signs */
  bool pss, pkcs1;    /* RSA keys: sign with this padding and no other; neither: the usual one */
  qn_cert_why_t why;  /* set when it is refused */
} qn_cert_plan_t;
QN_API void qn_cert_plan_init(qn_cert_plan_t *plan);

/* Signs what the plan says about `subject`, a key of either half. `issuer` NULL: self-signed, then
 * `issuer_key` is the private half of `subject`, and the plan has an attribute of the subject at
 * least; else names are enough. */
QN_API int qn_cert_make(qn_cert_plan_t *plan, const qn_key_t *subject, const qn_cert_t *issuer,
                        const qn_key_t *issuer_key, qn_cert_t **out);
/* The same for a request, whose signature is checked. Its subject is taken when the plan says none;
 * nothing else of it is. */
QN_API int qn_cert_make_for(qn_cert_plan_t *plan, const qn_csr_t *request, const qn_cert_t *issuer,
                            const qn_key_t *issuer_key, qn_cert_t **out);

/* --- requests --------------------------------------------------------------------------------- */

/* Of a plan: what it says, ca, path_length, key_usage (0: not asked for), digest, pss, pkcs1. */
QN_API int qn_csr_make(qn_cert_plan_t *plan, const qn_key_t *key, qn_csr_t **out);
/* The first request of PEM text, or one in DER with nothing behind it. QN_E_CERT_FORMAT, _LIMIT. */
QN_API int qn_csr_parse(const void *data, size_t size, qn_csr_t **out);
QN_API qn_csr_t *qn_csr_retain(qn_csr_t *csr);
QN_API void qn_csr_release(qn_csr_t *csr); /* NULL is fine */
QN_API bool qn_csr_equal(const qn_csr_t *a, const qn_csr_t *b);
/* Whether it is signed with the key that it names: 0, or QN_E_VERIFY of the signature. */
QN_API int qn_csr_verify(const qn_csr_t *csr);
QN_API int qn_csr_to_der(const qn_csr_t *csr, qn_cert_bytes_t *out);
QN_API int qn_csr_to_pem(const qn_csr_t *csr, qn_cert_bytes_t *out);
QN_API int qn_csr_to_text(const qn_csr_t *csr, qn_cert_bytes_t *out);
QN_API int qn_csr_public_key(const qn_csr_t *csr, qn_key_t **out);
/* As those of certificates; of the extensions that it asks for. */
QN_API int qn_csr_subject(const qn_csr_t *csr, qn_cert_list_t *out);
QN_API int qn_csr_names(const qn_csr_t *csr, qn_cert_list_t *out);
QN_API int qn_csr_extensions(const qn_csr_t *csr, qn_cert_list_t *out);
QN_API int qn_csr_usages(const qn_csr_t *csr, qn_cert_list_t *out); /* extended key usage */
/* Bits of the key usage that it asks for; UINT32_MAX when it asks for none. */
QN_API uint32_t qn_csr_key_usage(const qn_csr_t *csr);

#endif

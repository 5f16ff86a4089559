/* qn/cert.h: X.509 certificates and chains of them: read, ask, check.
 *
 * A certificate is an immutable value with a reference count. What comes out is copied into lists
 * or bytes that the caller frees. Everything from a peer is bounded by the limits below. Results
 * are 0 or a code of qn/base.h; what is wrong with a chain are codes of QN_E_VERIFY. No OpenSSL
 * here.
 */
#ifndef QN_CERT_H
#define QN_CERT_H

#include "qn/base.h"

typedef struct qn_key qn_key_t;     /* qn/key.h */
typedef struct qn_cert qn_cert_t;   /* one certificate */
typedef struct qn_trust qn_trust_t; /* certificates that are believed */

#define QN_CERT_MAX_INPUT (16u << 20) /* bytes that are read as certificates: QN_E_LIMIT above */
#define QN_CERT_MAX_SIZE (1u << 20)   /* bytes of one certificate */
#define QN_CERT_MAX_BUNDLE 4096       /* certificates of one bundle */
#define QN_CERT_MAX_CHAIN 100         /* certificates that a chain is made of */
#define QN_CERT_MAX_NAMES 10000 /* names, attributes, extensions of a list; more are left out */
#define QN_CERT_MAX_ERRORS 128  /* findings of one verification; more are left out */

/* --- reading --------------------------------------------------------------------------------- */

/* The first certificate of PEM or DER text. QN_E_CERT_FORMAT, QN_E_LIMIT. */
QN_API int qn_cert_parse(const void *data, size_t size, qn_cert_t **out);
QN_API qn_cert_t *qn_cert_retain(qn_cert_t *cert);
QN_API void qn_cert_release(qn_cert_t *cert); /* NULL is fine */
/* The same bytes. */
QN_API bool qn_cert_equal(const qn_cert_t *a, const qn_cert_t *b);

/* A list that holds references. */
typedef struct qn_certs {
  qn_cert_t **items;
  size_t count, room;
} qn_certs_t;
/* All of a PEM bundle (other blocks and text between are skipped), DER ones back to back, or those
 * of a PKCS#7 structure; adds to `list`. QN_E_CERT_FORMAT when there is none or one of them is
 * broken, QN_E_LIMIT. */
QN_API int qn_certs_parse(const void *data, size_t size, qn_certs_t *list);

/* Where and why reading has failed. */
typedef struct qn_cert_fault {
  size_t index;   /* how many certificates were read before */
  size_t line;    /* PEM: where the block begins, from 1; 0 = it is not PEM */
  size_t offset;  /* the same in bytes, from 0 */
  char text[192]; /* "certificate 2 (line 21): bad base64 decode" */
} qn_cert_fault_t;
/* The same, or only the first one; what is behind it is not looked at. `fault` may be NULL. */
QN_API int qn_certs_read(const void *data, size_t size, bool first, qn_certs_t *list,
                         qn_cert_fault_t *fault);
QN_API int qn_certs_add(qn_certs_t *list, qn_cert_t *cert); /* retains */
QN_API void qn_certs_free(qn_certs_t *list);                /* its references and its memory */

/* Bytes that the caller frees with qn_free. */
typedef struct qn_cert_bytes {
  uint8_t *data;
  size_t size;
} qn_cert_bytes_t;
QN_API int qn_cert_to_der(const qn_cert_t *cert, qn_cert_bytes_t *out);
QN_API int qn_cert_to_pem(const qn_cert_t *cert, qn_cert_bytes_t *out);
/* For people: what openssl x509 -text shows, as valid UTF-8 without control characters. */
QN_API int qn_cert_to_text(const qn_cert_t *cert, qn_cert_bytes_t *out);
/* For who shows a text that a certificate holds: the bytes of its next character; negative when it
 * should not be shown: it steers a terminal, the lines or direction of text, or is no UTF-8. */
QN_API int qn_cert_next_shown(const void *text, size_t size);

/* --- what it says ---------------------------------------------------------------------------- */

#define QN_CERT_NO_TIME INT64_MIN                         /* a date that cannot be read */
QN_API int qn_cert_version(const qn_cert_t *cert);        /* 1, 2, 3 */
QN_API int64_t qn_cert_not_before(const qn_cert_t *cert); /* seconds since 1970 */
QN_API int64_t qn_cert_not_after(const qn_cert_t *cert);
/* "ecdsa-with-SHA256"; its number when it has no name. Returns the length, cut to size - 1. */
QN_API size_t qn_cert_signature_algorithm(const qn_cert_t *cert, char *buf, size_t size);
/* Big-endian, without leading zeros, "-" in `negative`. */
QN_API int qn_cert_serial(const qn_cert_t *cert, qn_cert_bytes_t *out, bool *negative);
/* Subject and issuer are the same, and the signature is of its own key. */
QN_API bool qn_cert_self_signed(const qn_cert_t *cert);
QN_API bool qn_cert_is_ca(const qn_cert_t *cert);
QN_API int qn_cert_public_key(const qn_cert_t *cert, qn_key_t **out);
/* Whether `key` is the private or public key of it. */
QN_API bool qn_cert_has_key(const qn_cert_t *cert, const qn_key_t *key);

#define QN_CERT_DIGEST_SIZE 64
/* `algorithm` is one of qn_cert_digest_names. The number of bytes, or QN_E_UNSUPPORTED. */
QN_API int qn_cert_digest(const qn_cert_t *cert, const char *algorithm,
                          uint8_t out[QN_CERT_DIGEST_SIZE]);
QN_API extern const char *const qn_cert_digest_names[]; /* "sha256", ..., NULL */

typedef enum qn_cert_entry_type {
  QN_CERT_ATTRIBUTE, /* of a subject or issuer: id, name, value in UTF-8 */
  QN_CERT_DNS,       /* alternative names: value as it is in the certificate, may hold anything */
  QN_CERT_IP,        /* 4 or 16 bytes */
  QN_CERT_EMAIL,
  QN_CERT_URI,
  QN_CERT_DIRECTORY, /* as text */
  QN_CERT_OTHER,     /* as text */
  QN_CERT_EXTENSION, /* id, name, value in DER, text, critical, supported */
  QN_CERT_USAGE,     /* id, name */
  QN_CERT_KEY_ID,    /* value: bytes */
  QN_CERT_OCSP,      /* value: URI of a responder */
  QN_CERT_ISSUERS,   /* value: URI of the issuer's certificate */
  QN_CERT_CRL        /* value: URI of a revocation list */
} qn_cert_entry_type_t;

typedef struct qn_cert_entry {
  qn_cert_entry_type_t type;
  bool critical, supported;
  const char *id;   /* "2.5.4.3"; "" when there is none */
  const char *name; /* "CN"; the number again when it has no short name */
  qn_slice_t value, text;
  int set; /* ATTRIBUTE: equal in those of one multi-valued RDN */
} qn_cert_entry_t;

typedef struct qn_cert_list {
  qn_cert_entry_t *items; /* what they point to is the list's */
  size_t count, room;
  bool cut; /* there are more */
} qn_cert_list_t;
QN_API void qn_cert_list_free(qn_cert_list_t *list);
QN_API int qn_cert_subject(const qn_cert_t *cert, qn_cert_list_t *out);
QN_API int qn_cert_issuer(const qn_cert_t *cert, qn_cert_list_t *out);
QN_API int qn_cert_names(const qn_cert_t *cert, qn_cert_list_t *out);
QN_API int qn_cert_extensions(const qn_cert_t *cert, qn_cert_list_t *out);
/* What the extended key usage, the authority's information access, the points where revocation
 * lists are and the authority's and subject's key identifiers say, by the number of the extension.
 * Nothing when it is not there, is broken, or there are two. */
QN_API int qn_cert_extension_values(const qn_cert_t *cert, const char *id, qn_cert_list_t *out);
/* The number of an attribute: of "CN", "commonName" or "2.5.4.3"; 0 = there is no such one. */
QN_API size_t qn_cert_attribute_id(const char *name, char *buf, size_t size);
QN_API int qn_cert_path_length(const qn_cert_t *cert); /* -1 = no limit is given */
/* Bits of the extension "key usage", 0 = digital signature; UINT32_MAX when it has none. */
QN_API uint32_t qn_cert_key_usage(const qn_cert_t *cert);

/* --- names of hosts (RFC 6125, RFC 9525) ------------------------------------------------------ */

/* `host`: name (also IDN) or address literal. 0, QN_E_VERIFY(62) (names),
 * QN_E_VERIFY(64) (addresses), or QN_E_BAD_HOST.
 * Alternative names only; "*" is one whole left-most label above two others. */
QN_API int qn_cert_match_host(const qn_cert_t *cert, const char *host, size_t size);

/* --- in words --------------------------------------------------------------------------------- */

/* Common name, else organization, else its unit, else (subject only) the first alternative name;
 * "" when there is none. As it is in the certificate: it may hold anything. */
QN_API int qn_cert_display_name(const qn_cert_t *cert, bool of_issuer, qn_cert_bytes_t *out);
/* `"leaf", issued by "mid", valid until 2026-01-02 03:04:05 UTC`: one line of UTF-8. Returns the
 * length, cut to size - 1. */
QN_API size_t qn_cert_summary(const qn_cert_t *cert, char *buf, size_t size);
/* `certificate for *.example.org does not match host "h"`; returns the length, cut to size - 1. */
QN_API size_t qn_cert_mismatch_text(const qn_cert_t *cert, const char *host, size_t host_size,
                                    char *buf, size_t size);
/* What is wrong: `code` is one of QN_E_VERIFY, `cert` (or NULL) the certificate, `host` (or NULL)
 * whom it should be for. One line of UTF-8: `the certificate of "h" has expired: it was valid until
 * 2026-01-02 03:04:05 UTC`. Returns the length, cut to size - 1. */
QN_API size_t qn_cert_error_text(int code, const qn_cert_t *cert, const char *host,
                                 size_t host_size, char *buf, size_t size);

/* --- trust ----------------------------------------------------------------------------------- */

/* The certificates of the system: the file SSL_CERT_FILE and the folders SSL_CERT_DIR when one of
 * them is set, else its usual file and folder. One store for the process, made by the first call,
 * which reads the file; each certificate is decoded when it is needed. Retained. A negative errno
 * when what a variable names cannot be read. */
QN_API int qn_trust_system(qn_trust_t **out);
QN_API int qn_trust_new(qn_trust_t **out); /* trusts nobody */
QN_API int qn_trust_add(qn_trust_t *trust, const qn_cert_t *cert);
QN_API int qn_trust_add_system(qn_trust_t *trust); /* the system's as well */
QN_API qn_trust_t *qn_trust_retain(qn_trust_t *trust);
QN_API void qn_trust_release(qn_trust_t *trust);
/* All of them; reads files. */
QN_API int qn_trust_system_list(qn_certs_t *out);

typedef enum qn_purpose { QN_PURPOSE_ANY, QN_PURPOSE_SERVER, QN_PURPOSE_CLIENT } qn_purpose_t;

typedef struct qn_verify {
  qn_cert_t *const *chain; /* the certificate in question first; any order behind it */
  size_t count;
  qn_trust_t *trust; /* NULL = the system's */
  const char *host;  /* NULL = any */
  size_t host_size;
  qn_purpose_t purpose;
  int64_t time; /* QN_CERT_NO_TIME = now */
  int depth;    /* the most certificates between the first and the trusted one; -1 = any */
  bool partial; /* a trusted certificate need not be self-signed */
} qn_verify_t;

typedef struct qn_finding {
  int code;        /* QN_E_VERIFY(n) */
  int depth;       /* 0 = the first certificate */
  qn_cert_t *cert; /* or NULL */
} qn_finding_t;

typedef struct qn_findings {
  qn_finding_t *items;
  size_t count, room;
  qn_certs_t chain; /* as it was built, from the first one to the trusted one */
} qn_findings_t;
/* 0: it was checked, and good when `out` has no findings. Else why it could not be checked. */
QN_API int qn_cert_verify(const qn_verify_t *in, qn_findings_t *out);
QN_API void qn_findings_free(qn_findings_t *findings);

#endif

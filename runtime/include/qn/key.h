/* qn/key.h: asymmetric keys: parsed, made, written, and used to sign and verify.
 *
 * A key is immutable and reference-counted (one loop's thread; not atomic). Text and bytes that
 * hold a private key are given out in memory that qn_secret_free overwrites before it gives it
 * back. Everything that a file can ask for (size, bits, work to derive its key) has a limit here.
 * Functions return 0 or an error (QN_E_KEY_*, QN_E_LIMIT, QN_E_UNSUPPORTED, QN_E_CRYPTO, -ENOMEM).
 */
#ifndef QN_KEY_H
#define QN_KEY_H

#include "qn/base.h"
#include "qn/op.h"

#define QN_KEY_MAX_DATA (1024u * 1024u) /* bytes of PEM or DER */
#define QN_KEY_MAX_BITS 16384           /* of a modulus, read or made */
#define QN_KEY_MIN_RSA_BITS 1024        /* made; smaller ones can be read */
#define QN_KEY_MAX_ITERATIONS 2000000u  /* of the passphrase, in a file that is read or written */
#define QN_KEY_ITERATIONS 100000u       /* written when nobody says */
#define QN_KEY_MAX_PASSPHRASE 1024u     /* bytes */

typedef struct qn_key qn_key_t;

/* Memory of a secret: overwritten, then freed. A no-op for NULL. */
QN_API void qn_secret_free(void *p, size_t size);

/* The first key in PEM text (other blocks are passed over), or one key in DER with nothing behind
 * it: PKCS#8 plain or encrypted, SubjectPublicKeyInfo, and the older forms of RSA, EC and DSA.
 * `pass` may be NULL; it is read only when the key is encrypted. Missing or wrong:
 * QN_E_KEY_PASSPHRASE. */
QN_API int qn_key_parse(const void *data, size_t size, const char *pass, size_t pass_size,
                        qn_key_t **out);
QN_API qn_key_t *qn_key_retain(qn_key_t *k); /* returns it; NULL stays NULL */
QN_API void qn_key_release(qn_key_t *k);     /* a no-op for NULL */
/* The same key, and both private or both public. */
QN_API bool qn_key_equal(const qn_key_t *a, const qn_key_t *b);
/* Whether both belong to one pair. */
QN_API bool qn_key_matches(const qn_key_t *a, const qn_key_t *b);

/* "rsa" "rsa_pss" "dsa" "dh" "ec" "ed25519" "ed448" "x25519" "x448", else "unknown". Static. */
QN_API const char *qn_key_type(const qn_key_t *k);
QN_API int qn_key_bits(const qn_key_t *k);
/* "P-256", or the short name of the curve ("secp256k1"); NULL for keys without a named curve. */
QN_API const char *qn_key_curve(const qn_key_t *k);
QN_API bool qn_key_is_private(const qn_key_t *k);
QN_API int qn_key_public(qn_key_t *k, qn_key_t **out); /* of a public one: itself */

/* How a private key is encrypted in PEM (PKCS#8, PBES2, PBKDF2 with HMAC-SHA256). */
typedef struct qn_key_seal {
  const char *pass; /* NULL = plain */
  size_t pass_size;
  const char *cipher;  /* one of qn_key_ciphers; NULL = the first */
  uint32_t iterations; /* 0 = QN_KEY_ITERATIONS */
} qn_key_seal_t;
extern QN_API const char *const qn_key_ciphers[]; /* "aes-256-cbc" ..., NULL at the end */

/* PKCS#8 of a private key, SubjectPublicKeyInfo of a public one. *out ends with a zero that is not
 * counted; the caller gives it to qn_secret_free with *size. */
QN_API int qn_key_to_pem(const qn_key_t *k, const qn_key_seal_t *seal, char **out, size_t *size);
QN_API int qn_key_to_der(const qn_key_t *k, char **out, size_t *size);
/* SubjectPublicKeyInfo of either: what fingerprints and pins are made of. */
QN_API int qn_key_spki(const qn_key_t *k, char **out, size_t *size);

typedef enum qn_key_padding { QN_KEY_PADDING_DEFAULT, QN_KEY_PKCS1, QN_KEY_PSS } qn_key_padding_t;

/* Whether keys of this type hash what they sign with a digest that can be chosen. */
QN_API bool qn_key_has_digest(const qn_key_t *k);
/* `digest` NULL = SHA-256 where the type has one. *out is for qn_secret_free. */
QN_API int qn_key_sign(const qn_key_t *k, const void *data, size_t size, const char *digest,
                       qn_key_padding_t padding, char **out, size_t *out_size);
/* 1 = good, 0 = not, or an error. */
QN_API int qn_key_verify(const qn_key_t *k, const void *signature, size_t signature_size,
                         const void *data, size_t size, const char *digest,
                         qn_key_padding_t padding);

/* The names that can be made, NULL at the end. */
extern QN_API const char *const qn_key_types[];

/* Makes a key in the thread pool: settles `op` with 0, then qn_key_made takes the result. `curve`
 * is for "ec", `bits` for "rsa" and "rsa_pss". A cancelled one stops searching soon. Failure: as
 * with qn_work_start; QN_E_UNSUPPORTED for a type or curve that is not there. */
QN_API int qn_key_make(qn_loop_t *loop, qn_op_t *op, const char *type, const char *curve, int bits);
/* Of an op that has settled: the key (NULL when it failed); ends the request, once. */
QN_API qn_key_t *qn_key_made(qn_op_t *op);

/* A named curve of this OpenSSL. */
typedef struct qn_curve {
  const char *name;       /* "P-256" where there is such a name, else the short one */
  const char *short_name; /* "prime256v1" */
  const char *long_name;  /* "X9.62/SECG curve over a 256 bit prime field" */
  int bits;
  bool is_tls; /* has a number in TLS */
} qn_curve_t;
/* Fills up to `room` and returns how many there are, or an error. */
QN_API int qn_curves(qn_curve_t *list, int room);

/* A cipher suite; all texts are static. */
typedef struct qn_cipher {
  const char *name;                          /* OpenSSL's: "ECDHE-RSA-AES256-GCM-SHA384" */
  const char *standard_name;                 /* "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" */
  const char *protocol;                      /* the oldest that has it: "TLSv1.2" */
  const char *key_exchange, *authentication; /* "ECDHE", "RSA"; "any" in TLS 1.3 */
  const char *encryption;                    /* "AES-256-GCM" */
  const char *mac;                           /* "AEAD", or the digest: "SHA256" */
  uint16_t id;                               /* its number in TLS */
  int bits, strength;                        /* of the algorithm's key; what it is worth */
  bool aead;
} qn_cipher_t;
/* The suites that `filter` (OpenSSL's cipher list; NULL = all with encryption and authentication)
 * names, best first; those of TLS 1.3 are always among them. Fills up to `room` and returns how
 * many there are; QN_E_INVALID: the filter names none. */
QN_API int qn_ciphers(const char *filter, qn_cipher_t *list, int room);
/* The facts of the suite with this number; QN_E_UNSUPPORTED: it is not there. */
QN_API int qn_cipher_find(uint16_t id, qn_cipher_t *out);

#endif

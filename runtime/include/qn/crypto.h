/* qn/crypto.h: digests, message authentication, random bytes, keys from passwords, text forms.
 *
 * Names of digests are taken in any case, with or without '-', '_', '/' ("SHA-256" is "sha256").
 * Functions return 0 (or a size) or an error: QN_E_UNSUPPORTED for a digest that is not there,
 * QN_E_LIMIT, QN_E_INVALID, QN_E_CRYPTO, -ENOMEM. What holds a secret is overwritten before it is
 * freed. Invariant: nothing here waits but what takes a loop and an op.
 */
#ifndef QN_CRYPTO_H
#define QN_CRYPTO_H

#include "qn/base.h"
#include "qn/op.h"

#define QN_DIGEST_MAX 64                  /* bytes of the largest digest */
#define QN_RANDOM_MAX (16u * 1024 * 1024) /* bytes in one call */
#define QN_DERIVE_MAX 65536u              /* bytes derived from a password in one call */
#define QN_PBKDF_MAX_ITERATIONS 16777216u
#define QN_PBKDF_MAX_WORK 33554432u /* iterations times blocks */
#define QN_SCRYPT_MAX_MEMORY (256u * 1024 * 1024)
#define QN_SCRYPT_MAX_WORK 16777216u /* n times r times p */

/* --- digests and HMAC ------------------------------------------------------------------------- */

typedef struct qn_digest_info {
  const char *name; /* "sha256" */
  int size;         /* bytes of the digest */
  int block;        /* bytes of the block, what HMAC pads to */
} qn_digest_info_t;

/* The list of all that are known, and how many. Whether OpenSSL has one: qn_digest_find. */
extern QN_API const qn_digest_info_t qn_digests[];
extern QN_API const int qn_digest_count;
/* The entry of a name; NULL when it is unknown or not there. */
QN_API const qn_digest_info_t *qn_digest_find(const char *name);

typedef struct qn_hasher qn_hasher_t; /* a digest, or an HMAC, in the making */

QN_API int qn_hasher_new(const char *name, qn_hasher_t **out);
QN_API int qn_hasher_new_hmac(const char *name, const void *key, size_t size, qn_hasher_t **out);
QN_API int qn_hasher_update(qn_hasher_t *h, const void *data, size_t size);
/* The result (its size is returned); until qn_hasher_reset nothing else can be done. */
QN_API int qn_hasher_final(qn_hasher_t *h, uint8_t out[QN_DIGEST_MAX]);
/* As it was when it was new, with the same key. */
QN_API int qn_hasher_reset(qn_hasher_t *h);
QN_API int qn_hasher_copy(const qn_hasher_t *h, qn_hasher_t **out);
QN_API const qn_digest_info_t *qn_hasher_info(const qn_hasher_t *h);
QN_API void qn_hasher_free(qn_hasher_t *h); /* a no-op for NULL */

/* In one call; the size is returned. */
QN_API int qn_digest(const char *name, const void *data, size_t size, uint8_t out[QN_DIGEST_MAX]);
QN_API int qn_hmac(const char *name, const void *key, size_t key_size, const void *data,
                   size_t size, uint8_t out[QN_DIGEST_MAX]);

/* --- random, comparing -------------------------------------------------------------------------
 */

QN_API int qn_random(void *out, size_t size);
/* lo <= *out <= hi, each as likely as the others. */
QN_API int qn_random_integer(int64_t lo, int64_t hi, int64_t *out);
/* In a time that depends on the size only. */
QN_API bool qn_secret_equal(const void *a, const void *b, size_t size);
QN_API void qn_secret_clean(void *p, size_t size);

/* --- keys from passwords and secrets ---------------------------------------------------------- */

/* HKDF (RFC 5869), both steps. size <= 255 times the digest's. */
QN_API int qn_hkdf(const char *name, qn_slice_t key, qn_slice_t salt, qn_slice_t info, void *out,
                   size_t size);

typedef enum qn_derive_kind { QN_PBKDF1, QN_PBKDF2, QN_SCRYPT } qn_derive_kind_t;

typedef struct qn_derive {
  qn_derive_kind_t kind;
  const char *digest; /* PBKDF1 (md5, sha1), PBKDF2 */
  qn_slice_t password, salt;
  uint64_t iterations; /* PBKDF1, PBKDF2 */
  uint64_t n;          /* scrypt: cost, a power of two above 1 */
  uint32_t r, p;       /* scrypt: block size, parallelization */
  size_t size;         /* bytes wanted */
} qn_derive_t;

/* NULL, or what is wrong with these numbers (static); *code then says whether it is a limit. */
QN_API const char *qn_derive_check(const qn_derive_t *d, int *code);
/* Derives in the thread pool (all is copied): settles `op` with 0, then qn_derived has the bytes,
 * until qn_derive_end, which ends the request of a settled op. A call that runs is not stopped by a
 * cancellation, it ends unheard; the limits above bound it. Failure: as with qn_work_start. */
QN_API int qn_derive_start(qn_loop_t *loop, qn_op_t *op, const qn_derive_t *d);
QN_API qn_slice_t qn_derived(const qn_op_t *op);
QN_API void qn_derive_end(qn_op_t *op);

/* --- text forms --------------------------------------------------------------------------------
 */

/* Sizes of what the encoders write, without a closing zero. */
QN_API size_t qn_hex_size(size_t size);
QN_API size_t qn_base64_size(size_t size, bool url);
QN_API void qn_hex_encode(const void *data, size_t size, char *out);
/* `url`: the alphabet of RFC 4648, section 5, without padding. */
QN_API void qn_base64_encode(const void *data, size_t size, bool url, char *out);
/* Strict: no blanks, no missing or wrong padding, no bits left over. `out` has room for
 * size / 2 or size / 4 * 3 + 3 bytes. Returns how many were written, or -1 - p where the text goes
 * wrong at its byte p (counted from 0; p == size: it ends too early). */
QN_API int64_t qn_hex_decode(const char *text, size_t size, void *out);
QN_API int64_t qn_base64_decode(const char *text, size_t size, bool url, void *out);

#endif

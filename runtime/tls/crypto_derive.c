/* crypto_derive.c: keys from passwords (PBKDF1, PBKDF2, scrypt) and from secrets (HKDF).
 *
 * Called by the bindings. What is slow on purpose runs in a thread of the pool on a copy of its
 * arguments; the copy and the result are overwritten before they are freed, also when nobody waits
 * any more. The thread must not use qn_malloc. Invariant: nothing starts that qn_derive_check has
 * not let pass, so no call runs for much longer than the limits of crypto.h allow.
 */
#include "loop/loop_i.h"
#include "qn/work.h"
#include "tls/crypto_i.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <string.h>

typedef struct request {
  qn_work_t work;
  qn_derive_t d; /* its slices are in `bytes` */
  const EVP_MD *md;
  size_t size; /* of `bytes`: result, password, salt */
  uint8_t bytes[];
} request_t;

/* --- what may be asked -------------------------------------------------------------------------
 */

static const char *check_scrypt(const qn_derive_t *d, int *code)
{
  *code = QN_E_INVALID;
  if (d->n < 2 || (d->n & (d->n - 1)) != 0) {
    return "n must be a power of two above 1";
  }
  if (d->r < 1 || d->p < 1) {
    return "r and p must be at least 1";
  }
  *code = QN_E_LIMIT;
  if (d->n > QN_SCRYPT_MAX_WORK || (uint64_t)d->r * d->p > QN_SCRYPT_MAX_WORK / d->n) {
    return "n times r times p is above 16777216";
  }
  if (128 * (d->n * d->r + (uint64_t)d->r * d->p + d->r) > QN_SCRYPT_MAX_MEMORY) {
    return "more than 256 MiB of memory would be needed";
  }
  return NULL;
}

const char *qn_derive_check(const qn_derive_t *d, int *code)
{
  *code = QN_E_LIMIT;
  if (d->size > QN_DERIVE_MAX) {
    return "more than 65536 bytes are wanted";
  }
  *code = QN_E_INVALID;
  if (d->size < 1) {
    return "at least one byte must be wanted";
  }
  if (d->password.size > INT32_MAX || d->salt.size > INT32_MAX) {
    return "password and salt must be below 2 GiB";
  }
  if (d->kind == QN_SCRYPT) {
    return check_scrypt(d, code);
  }
  const qn_digest_info_t *info = qn_digest_find(d->digest);
  if (info == NULL) {
    *code = QN_E_UNSUPPORTED;
    return "the digest is unknown";
  }
  if (d->iterations < 1) {
    return "at least one iteration is needed";
  }
  size_t digest = (size_t)info->size;
  if (d->kind == QN_PBKDF1) {
    if (strcmp(info->name, "sha1") != 0 && strcmp(info->name, "md5") != 0) {
      *code = QN_E_UNSUPPORTED;
      return "PBKDF1 is defined for md5 and sha1 only";
    }
    if (d->size > digest) {
      return "PBKDF1 gives at most as many bytes as the digest has";
    }
  }
  *code = QN_E_LIMIT;
  if (d->iterations > QN_PBKDF_MAX_ITERATIONS) {
    return "more than 16777216 iterations";
  }
  return d->iterations * ((d->size + digest - 1) / digest) > QN_PBKDF_MAX_WORK
             ? "iterations times blocks is above 33554432"
             : NULL;
}

/* --- in the thread -----------------------------------------------------------------------------
 */

static bool run_pbkdf1(request_t *r)
{
  uint8_t t[QN_DIGEST_MAX];
  unsigned n = 0;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool good = ctx != NULL && EVP_DigestInit_ex2(ctx, r->md, NULL) == 1 &&
              EVP_DigestUpdate(ctx, r->d.password.data, r->d.password.size) == 1 &&
              EVP_DigestUpdate(ctx, r->d.salt.data, r->d.salt.size) == 1 &&
              EVP_DigestFinal_ex(ctx, t, &n) == 1;
  for (uint64_t i = 1; good && i < r->d.iterations; i++) {
    good = EVP_DigestInit_ex2(ctx, NULL, NULL) == 1 && EVP_DigestUpdate(ctx, t, n) == 1 &&
           EVP_DigestFinal_ex(ctx, t, &n) == 1;
  }
  EVP_MD_CTX_free(ctx);
  if (good) {
    memcpy(r->bytes, t, r->d.size);
  }
  qn_secret_clean(t, sizeof t);
  return good;
}

static int64_t run(qn_work_t *work)
{
  request_t *r = QN__CONTAINER(work, request_t, work);
  const qn_derive_t *d = &r->d;
  const char *password = (const char *)d->password.data;
  bool good = false;
  qn__crypto_begin();
  switch (d->kind) {
  case QN_PBKDF1: good = run_pbkdf1(r); break;
  case QN_PBKDF2:
    good = PKCS5_PBKDF2_HMAC(password, (int)d->password.size, d->salt.data, (int)d->salt.size,
                             (int)d->iterations, r->md, (int)d->size, r->bytes) == 1;
    break;
  case QN_SCRYPT:
    good = EVP_PBE_scrypt(password, d->password.size, d->salt.data, d->salt.size, d->n, d->r, d->p,
                          2 * (uint64_t)QN_SCRYPT_MAX_MEMORY, r->bytes, d->size) == 1;
    break;
  }
  return good ? 0 : qn__crypto_failed(QN_E_CRYPTO);
}

/* --- on the loop's thread ----------------------------------------------------------------------
 */

static void free_request(qn_work_t *work)
{
  request_t *r = QN__CONTAINER(work, request_t, work);
  qn_secret_free(r, sizeof *r + r->size);
}

static void put(qn_slice_t *s, uint8_t *to)
{
  if (s->size > 0) {
    memcpy(to, s->data, s->size);
  }
  s->data = to;
}

int qn_derive_start(qn_loop_t *loop, qn_op_t *op, const qn_derive_t *d)
{
  int code;
  if (qn_derive_check(d, &code) != NULL) {
    return code;
  }
  size_t size = d->size + d->password.size + d->salt.size;
  request_t *r = qn_calloc(1, sizeof *r + size);
  if (r == NULL) {
    return -ENOMEM;
  }
  r->work = (qn_work_t){.run = run, .free = free_request};
  r->d = *d;
  r->md = d->kind == QN_SCRYPT ? NULL : qn__digest_md(d->digest);
  r->d.digest = NULL;
  r->size = size;
  put(&r->d.password, r->bytes + d->size);
  put(&r->d.salt, r->bytes + d->size + d->password.size);
  int rc = qn_work_start(loop, &r->work, op);
  if (rc < 0) {
    free_request(&r->work);
    return rc;
  }
  return QN_AGAIN;
}

qn_slice_t qn_derived(const qn_op_t *op)
{
  const request_t *r = QN__CONTAINER(op->owner, request_t, work);
  return (qn_slice_t){r->bytes, r->d.size};
}

void qn_derive_end(qn_op_t *op)
{
  qn_work_t *work = op->owner;
  op->owner = NULL;
  qn_work_end(work);
}

/* --- HKDF --------------------------------------------------------------------------------------
 */

/* One block of the second step: HMAC(prk, before || info || number). Returns its size. */
static int expand(qn_hasher_t *h, const uint8_t *before, size_t before_size, qn_slice_t info,
                  uint8_t number, uint8_t out[QN_DIGEST_MAX])
{
  int rc = qn_hasher_reset(h);
  rc = rc < 0 ? rc : qn_hasher_update(h, before, before_size);
  rc = rc < 0 ? rc : qn_hasher_update(h, info.data, info.size);
  rc = rc < 0 ? rc : qn_hasher_update(h, &number, 1);
  return rc < 0 ? rc : qn_hasher_final(h, out);
}

int qn_hkdf(const char *name, qn_slice_t key, qn_slice_t salt, qn_slice_t info, void *out,
            size_t size)
{
  const qn_digest_info_t *digest = qn_digest_find(name);
  if (digest == NULL) {
    return QN_E_UNSUPPORTED;
  }
  if (size < 1 || size > 255 * (size_t)digest->size) {
    return QN_E_LIMIT;
  }
  uint8_t prk[QN_DIGEST_MAX], block[QN_DIGEST_MAX], *p = out;
  size_t done = 0, before = 0;
  qn_hasher_t *h = NULL;
  int rc = qn_hmac(name, salt.data, salt.size, key.data, key.size, prk);
  rc = rc < 0 ? rc : qn_hasher_new_hmac(name, prk, (size_t)rc, &h);
  for (uint8_t number = 1; rc >= 0 && done < size; number++) {
    rc = expand(h, block, before, info, number, block);
    if (rc > 0) {
      before = (size_t)rc;
      size_t n = size - done < before ? size - done : before;
      memcpy(p + done, block, n);
      done += n;
    }
  }
  qn_hasher_free(h);
  qn_secret_clean(prk, sizeof prk);
  qn_secret_clean(block, sizeof block);
  return rc < 0 ? rc : 0;
}

/* key_make.c: new keys, made in a thread of the pool, and the curves that there are.
 *
 * Called by the bindings. A search for primes can take minutes: its callback looks at a flag that
 * the cancellation of the operation sets, so the thread is free again soon. The thread must not use
 * qn_malloc; what it leaves behind is an EVP_PKEY, which qn_key_made adopts on the loop's thread.
 */
#include "tls/crypto_i.h"
#include "tls/key_i.h"

#include "loop/loop_i.h"
#include "qn/work.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <stdatomic.h>
#include <string.h>

const char *const qn_key_types[] = {"ec",    "rsa",    "rsa_pss", "ed25519",
                                    "ed448", "x25519", "x448",    NULL};

static const int ids[] = {EVP_PKEY_EC,    EVP_PKEY_RSA,    EVP_PKEY_RSA_PSS, EVP_PKEY_ED25519,
                          EVP_PKEY_ED448, EVP_PKEY_X25519, EVP_PKEY_X448};

typedef struct request {
  qn_work_t work;
  int id, bits, curve;
  EVP_PKEY *made;
  void (*cancel)(qn_op_t *op); /* of the pool */
  atomic_bool stop;
} request_t;

/* In a pool thread. */
static int on_step(EVP_PKEY_CTX *ctx)
{
  request_t *r = EVP_PKEY_CTX_get_app_data(ctx);
  return !atomic_load(&r->stop);
}

/* In a pool thread. */
static int64_t run(qn_work_t *work)
{
  request_t *r = QN__CONTAINER(work, request_t, work);
  qn__crypto_begin();
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(r->id, NULL);
  bool good = ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1;
  if (good && r->bits != 0) {
    good = EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, r->bits) == 1;
  }
  if (good && r->curve != 0) {
    good = EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, r->curve) == 1;
  }
  if (good) {
    EVP_PKEY_CTX_set_app_data(ctx, r);
    EVP_PKEY_CTX_set_cb(ctx, on_step);
    good = EVP_PKEY_generate(ctx, &r->made) == 1;
  }
  EVP_PKEY_CTX_free(ctx);
  return good ? 0 : qn__crypto_failed(QN_E_CRYPTO);
}

static void free_request(qn_work_t *work)
{
  request_t *r = QN__CONTAINER(work, request_t, work);
  EVP_PKEY_free(r->made);
  qn_free(r);
}

static void cancel(qn_op_t *op)
{
  request_t *r = QN__CONTAINER(op->owner, request_t, work);
  atomic_store(&r->stop, true);
  r->cancel(op);
}

/* The number of a curve by any of its names; 0: there is none that keys can have. */
static int find_curve(const char *name)
{
  int nid = EC_curve_nist2nid(name);
  if (nid == NID_undef) {
    nid = OBJ_txt2nid(name);
  }
  EC_GROUP *group = nid != NID_undef ? EC_GROUP_new_by_curve_name(nid) : NULL;
  EC_GROUP_free(group);
  ERR_clear_error();
  return group != NULL ? nid : 0;
}

int qn_key_make(qn_loop_t *loop, qn_op_t *op, const char *type, const char *curve, int bits)
{
  qn__crypto_begin();
  int at = 0;
  while (qn_key_types[at] != NULL && strcmp(qn_key_types[at], type) != 0) {
    at++;
  }
  bool rsa = qn_key_types[at] != NULL && (ids[at] == EVP_PKEY_RSA || ids[at] == EVP_PKEY_RSA_PSS);
  int nid = at == 0 ? find_curve(curve != NULL ? curve : "P-256") : 0;
  if (qn_key_types[at] == NULL || (at == 0 && nid == 0)) {
    return QN_E_UNSUPPORTED;
  }
  if (rsa && (bits < QN_KEY_MIN_RSA_BITS || bits > QN_KEY_MAX_BITS)) {
    return QN_E_LIMIT;
  }
  request_t *r = qn_calloc(1, sizeof *r);
  if (r == NULL) {
    return -ENOMEM;
  }
  r->work = (qn_work_t){.run = run, .free = free_request};
  r->id = ids[at];
  r->bits = rsa ? bits : 0;
  r->curve = nid;
  atomic_init(&r->stop, false);
  int rc = qn_work_start(loop, &r->work, op);
  if (rc < 0) {
    free_request(&r->work);
    return rc;
  }
  r->cancel = op->cancel;
  op->cancel = cancel;
  return QN_AGAIN;
}

qn_key_t *qn_key_made(qn_op_t *op)
{
  qn_work_t *work = op->owner;
  qn_key_t *k = NULL;
  op->owner = NULL;
  if (work != NULL) {
    request_t *r = QN__CONTAINER(work, request_t, work);
    EVP_PKEY *pkey = r->made;
    r->made = NULL;
    if (pkey != NULL && qn__key_adopt(pkey, true, &k) < 0) {
      k = NULL;
    }
  }
  qn_work_end(work);
  return k;
}

/* --- curves ------------------------------------------------------------------------------------
 */

/* The curves that have a number in TLS (RFC 8422, RFC 7027). */
static bool is_tls(int nid)
{
  static const int with_number[] = {
      NID_X9_62_prime256v1, NID_secp384r1,        NID_secp521r1,      NID_secp256k1, NID_secp224r1,
      NID_secp224k1,        NID_X9_62_prime192v1, NID_secp192k1,      NID_secp160k1, NID_secp160r1,
      NID_secp160r2,        NID_sect163k1,        NID_sect163r1,      NID_sect163r2, NID_sect193r1,
      NID_sect193r2,        NID_sect233k1,        NID_sect233r1,      NID_sect239k1, NID_sect283k1,
      NID_sect283r1,        NID_sect409k1,        NID_sect409r1,      NID_sect571k1, NID_sect571r1,
      NID_brainpoolP256r1,  NID_brainpoolP384r1,  NID_brainpoolP512r1};
  for (size_t i = 0; i < sizeof with_number / sizeof *with_number; i++) {
    if (with_number[i] == nid) {
      return true;
    }
  }
  return false;
}

static int curve_bits(int nid)
{
  EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
  int bits = group != NULL ? EC_GROUP_get_degree(group) : 0;
  EC_GROUP_free(group);
  return bits;
}

int qn_curves(qn_curve_t *list, int room)
{
  EC_builtin_curve found[128];
  qn__crypto_begin();
  size_t n = EC_get_builtin_curves(found, sizeof found / sizeof *found);
  n = n < sizeof found / sizeof *found ? n : sizeof found / sizeof *found;
  int count = 0;
  for (size_t i = 0; i < n; i++) {
    const char *nist = EC_curve_nid2nist(found[i].nid), *name = OBJ_nid2sn(found[i].nid);
    int bits = name != NULL ? curve_bits(found[i].nid) : 0;
    if (bits > 0) {
      if (count < room) {
        list[count] = (qn_curve_t){nist != NULL ? nist : name, name, found[i].comment, bits,
                                   is_tls(found[i].nid)};
      }
      count++;
    }
  }
  ERR_clear_error();
  static const qn_curve_t modern[] = {
      {"X25519", "X25519", "Montgomery curve of RFC 7748", 255, true},
      {"X448", "X448", "Montgomery curve of RFC 7748", 448, true}};
  for (size_t i = 0; i < 2; i++, count++) {
    if (count < room) {
      list[count] = modern[i];
    }
  }
  return count;
}

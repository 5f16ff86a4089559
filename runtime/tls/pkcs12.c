/* pkcs12.c: PKCS#12 files are read and written in the thread pool; what comes out becomes ours.
 *
 * Called by the bindings. The thread works on copies and on references of its own (keys and
 * certificates of OpenSSL are counted atomically), uses OpenSSL's memory only, and what it made is
 * taken on the loop's thread. Every copy of a passphrase is overwritten.
 */
#include "qn/pkcs12.h"

#include "loop/loop_i.h"
#include "qn/work.h"
#include "tls/cert_i.h"
#include "tls/crypto_i.h"
#include "tls/key_i.h"
#include "tls/ossl.h"
#include "tls/pkcs12_i.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

void qn_pkcs12_free(qn_pkcs12_t *p)
{
  qn_cert_release(p->cert);
  qn_key_release(p->key);
  qn_certs_free(&p->chain);
  qn_free(p->name);
  *p = (qn_pkcs12_t){NULL, NULL, {NULL, 0, 0}, NULL};
}

/* Wraps one more reference. */
static qn_cert_t *wrap(X509 *x) { return X509_up_ref(x) == 1 ? qn__cert_wrap(x) : NULL; }

static int take_chain(const qn__pkcs12_t *in, qn_certs_t *out)
{
  int rc = 0;
  for (int i = 0; rc == 0 && i < sk_X509_num(in->chain); i++) {
    qn_cert_t *cert = wrap(sk_X509_value(in->chain, i));
    rc = cert != NULL ? qn_certs_add(out, cert) : -ENOMEM;
    qn_cert_release(cert);
  }
  return rc;
}

/* What was opened becomes ours; frees `in`. */
static int take(qn__pkcs12_t *in, qn_pkcs12_t *out)
{
  int rc = take_chain(in, &out->chain);
  if (rc == 0 && in->name != NULL) {
    size_t size = strlen(in->name) + 1;
    out->name = qn_malloc(size);
    rc = out->name != NULL ? 0 : -ENOMEM;
    if (rc == 0) {
      memcpy(out->name, in->name, size);
    }
  }
  if (rc == 0 && in->cert != NULL) {
    out->cert = wrap(in->cert);
    rc = out->cert != NULL ? 0 : -ENOMEM;
  }
  if (rc == 0 && in->key != NULL) {
    EVP_PKEY *key = in->key;
    in->key = NULL;
    rc = qn__key_adopt(key, true, &out->key);
  }
  qn__pkcs12_free(in);
  if (rc < 0) {
    qn_pkcs12_free(out);
  }
  return rc;
}

int qn_pkcs12_read(const void *data, size_t size, const char *pass, size_t pass_size,
                   qn_pkcs12_t *out, qn_cert_why_t *why)
{
  qn__pkcs12_t opened;
  *out = (qn_pkcs12_t){NULL, NULL, {NULL, 0, 0}, NULL};
  int rc = qn__pkcs12_open(data, size, pass, pass_size, QN_PKCS12_MAX_WORK, &opened, why);
  return rc < 0 ? rc : take(&opened, out);
}

/* --- in the pool ------------------------------------------------------------------------------ */

typedef struct request {
  qn_work_t work;
  uint8_t *data; /* of the file; or what was written: OpenSSL's */
  size_t size;
  char *pass; /* with a zero behind it; NULL = none */
  size_t pass_size;
  int iterations;
  qn__pkcs12_t parts;
  qn_cert_why_t why;
} request_t;

static void free_request(qn_work_t *work)
{
  request_t *r = QN__CONTAINER(work, request_t, work);
  qn__pkcs12_free(&r->parts);
  OPENSSL_clear_free(r->data, r->size);
  qn_secret_free(r->pass, r->pass_size + 1);
  qn_free(r);
}

static request_t *new_request(int64_t (*run)(qn_work_t *w), const char *pass, size_t pass_size)
{
  request_t *r = qn_calloc(1, sizeof *r);
  if (r == NULL) {
    return NULL;
  }
  r->work = (qn_work_t){.run = run, .free = free_request};
  r->pass_size = pass != NULL ? pass_size : 0;
  r->pass = pass != NULL ? qn_calloc(1, pass_size + 1) : NULL;
  if (pass != NULL && r->pass == NULL) {
    qn_free(r);
    return NULL;
  }
  if (r->pass != NULL && pass_size > 0) {
    memcpy(r->pass, pass, pass_size);
  }
  return r;
}

/* Takes `r`, also when it fails. */
static int start(qn_loop_t *loop, qn_op_t *op, request_t *r)
{
  int rc = qn_work_start(loop, &r->work, op);
  if (rc < 0) {
    free_request(&r->work);
  }
  return rc < 0 ? rc : QN_AGAIN;
}

/* In a pool thread. */
static int64_t run_read(qn_work_t *work)
{
  request_t *r = QN__CONTAINER(work, request_t, work);
  return qn__pkcs12_open(r->data, r->size, r->pass, r->pass_size, QN_PKCS12_MAX_WORK, &r->parts,
                         &r->why);
}

int qn_pkcs12_start_read(qn_loop_t *loop, qn_op_t *op, const void *data, size_t size,
                         const char *pass, size_t pass_size)
{
  if (size > QN_PKCS12_MAX_INPUT || pass_size > QN_KEY_MAX_PASSPHRASE) {
    return QN_E_LIMIT;
  }
  qn__crypto_begin();
  request_t *r = new_request(run_read, pass, pass_size);
  if (r == NULL) {
    return -ENOMEM;
  }
  r->size = size;
  r->data = OPENSSL_malloc(size + 1);
  if (r->data == NULL) {
    free_request(&r->work);
    return -ENOMEM;
  }
  if (size > 0) {
    memcpy(r->data, data, size);
  }
  return start(loop, op, r);
}

int qn_pkcs12_result(qn_op_t *op, qn_pkcs12_t *out, qn_cert_why_t *why)
{
  qn_work_t *work = op->owner;
  int rc = (int)op->result;
  op->owner = NULL;
  *out = (qn_pkcs12_t){NULL, NULL, {NULL, 0, 0}, NULL};
  why->text[0] = '\0';
  if (work != NULL) {
    request_t *r = QN__CONTAINER(work, request_t, work);
    *why = r->why;
    rc = rc < 0 ? rc : take(&r->parts, out);
  }
  qn_work_end(work);
  return rc;
}

/* In a pool thread. */
static int64_t run_write(qn_work_t *work)
{
  request_t *r = QN__CONTAINER(work, request_t, work);
  qn__crypto_begin();
  unsigned char *der = NULL;
  PKCS12 *p12 = PKCS12_create(r->pass, r->parts.name, r->parts.key, r->parts.cert, r->parts.chain,
                              NID_aes_256_cbc, NID_aes_256_cbc, r->iterations, r->iterations, 0);
  int n = p12 != NULL ? i2d_PKCS12(p12, &der) : -1;
  PKCS12_free(p12);
  if (n <= 0) {
    return qn__crypto_failed(QN_E_CRYPTO);
  }
  r->data = der;
  r->size = (size_t)n;
  return 0;
}

static int give_parts(const qn_pkcs12_t *from, qn__pkcs12_t *to)
{
  to->chain = sk_X509_new_null();
  bool ok = to->chain != NULL;
  for (size_t i = 0; ok && i < from->chain.count; i++) {
    X509 *x = from->chain.items[i]->x509;
    ok = X509_up_ref(x) == 1;
    if (ok && sk_X509_push(to->chain, x) == 0) {
      X509_free(x);
      ok = false;
    }
  }
  if (ok && from->cert != NULL) {
    ok = X509_up_ref(from->cert->x509) == 1;
    to->cert = ok ? from->cert->x509 : NULL;
  }
  if (ok && from->key != NULL) {
    ok = EVP_PKEY_up_ref(from->key->pkey) == 1;
    to->key = ok ? from->key->pkey : NULL;
  }
  if (ok && from->name != NULL) {
    to->name = OPENSSL_strdup(from->name);
    ok = to->name != NULL;
  }
  return ok ? 0 : qn__ossl_fail(-ENOMEM);
}

int qn_pkcs12_start_write(qn_loop_t *loop, qn_op_t *op, const qn_pkcs12_t *from, const char *pass,
                          size_t pass_size, uint32_t iterations)
{
  if (iterations > QN_KEY_MAX_ITERATIONS || pass_size > QN_KEY_MAX_PASSPHRASE ||
      from->chain.count > QN_PKCS12_MAX_BAGS - 2) {
    return QN_E_LIMIT;
  }
  if (pass == NULL || memchr(pass, '\0', pass_size) != NULL ||
      (from->key != NULL && !from->key->is_private)) {
    return QN_E_INVALID;
  }
  if (from->key != NULL && from->cert != NULL && !qn_cert_has_key(from->cert, from->key)) {
    return QN_E_KEY_MISMATCH;
  }
  qn__crypto_begin();
  request_t *r = new_request(run_write, pass, pass_size);
  if (r == NULL) {
    return -ENOMEM;
  }
  r->iterations = (int)(iterations != 0 ? iterations : QN_PKCS12_ITERATIONS);
  int rc = give_parts(from, &r->parts);
  if (rc < 0) {
    free_request(&r->work);
    return rc;
  }
  return start(loop, op, r);
}

int qn_pkcs12_written(qn_op_t *op, char **out, size_t *size)
{
  qn_work_t *work = op->owner;
  int rc = (int)op->result;
  op->owner = NULL;
  if (work != NULL && rc == 0) {
    const request_t *r = QN__CONTAINER(work, request_t, work);
    *out = qn__secret_copy(r->data, r->size);
    *size = r->size;
    rc = *out != NULL ? 0 : -ENOMEM;
  }
  qn_work_end(work);
  return rc;
}

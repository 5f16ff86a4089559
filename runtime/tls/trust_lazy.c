/* trust_lazy.c: the certificates of the system's one big file, decoded when they are needed.
 *
 * OpenSSL takes 20 to 40 ms for the some 140 certificates of such a file, and a connection needs
 * one of them. Here the file is only cut into pieces; a piece is found by the hash of its subject,
 * decoded once, and put into the store that asks. Called by trust.c and, through the stores, by
 * verification in any thread. Must not free anything: the index is the process's. Invariant: after
 * reading only `x509` and `broken` of an item change, under the lock.
 */
#include "tls/cert_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <string.h>

typedef struct item {
  unsigned long hash; /* of the subject, as OpenSSL compares names */
  uint8_t *der;
  long size;
  bool aux; /* with settings of trust behind it */
  bool broken;
  X509 *x509; /* or NULL: not decoded yet */
} item_t;

/* OpenSSL's memory: what the process keeps is no leak of ours. */
static item_t *items;
static size_t count, room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* --- reading -----------------------------------------------------------------------------------
 */

/* Goes into (or over) one value; false when it is not there. */
static bool step(const uint8_t **p, const uint8_t *end, int want, bool into)
{
  long n = 0;
  int tag = 0, class = 0;
  if (*p >= end) {
    return false;
  }
  int flags = ASN1_get_object(p, &n, &tag, &class, end - *p);
  if ((flags & 0x81) != 0 || n > end - *p || (want >= 0 && tag != want)) {
    return false; /* 0x80: an error, 0x01: a length that is not told */
  }
  *p += into ? 0 : n;
  return true;
}

/* What is encoded in a strange way is decoded whole. */
static X509_NAME *slow_subject(const uint8_t *der, long size)
{
  X509 *x509 = d2i_X509(NULL, &der, size);
  X509_NAME *name = x509 != NULL ? X509_NAME_dup(X509_get_subject_name(x509)) : NULL;
  X509_free(x509);
  return name;
}

X509_NAME *qn__trust_lazy_subject(const uint8_t *der, long size)
{
  const uint8_t *p = der, *end = der + size;
  bool ok = step(&p, end, V_ASN1_SEQUENCE, true);
  ok = ok && step(&p, end, V_ASN1_SEQUENCE, true);
  if (ok && p < end && *p == 0xa0) { /* the version */
    ok = step(&p, end, 0, false);
  }
  ok = ok && step(&p, end, V_ASN1_INTEGER, false);
  for (int i = 0; i < 3; i++) { /* algorithm, issuer, validity */
    ok = ok && step(&p, end, V_ASN1_SEQUENCE, false);
  }
  X509_NAME *name = ok ? d2i_X509_NAME(NULL, &p, end - p) : NULL;
  return name != NULL ? name : slow_subject(der, size);
}

static int add(uint8_t *der, long size, bool aux)
{
  int ok = 0;
  X509_NAME *name = qn__trust_lazy_subject(der, size);
  unsigned long hash = name != NULL ? X509_NAME_hash_ex(name, NULL, NULL, &ok) : 0;
  X509_NAME_free(name);
  ERR_clear_error();
  if (!ok) { /* not a certificate: one must not cost the others */
    OPENSSL_free(der);
    return 0;
  }
  if (count == room) {
    size_t more = room > 0 ? room * 2 : 256;
    item_t *grown = OPENSSL_realloc(items, more * sizeof *grown);
    if (grown == NULL) {
      OPENSSL_free(der);
      return -ENOMEM;
    }
    items = grown;
    room = more;
  }
  items[count++] = (item_t){.hash = hash, .der = der, .size = size, .aux = aux};
  return 0;
}

int qn__trust_lazy_read(const char *pem, size_t size)
{
  BIO *bio = qn__ossl_source(pem, size);
  size_t left = size;
  int rc = bio == NULL ? -ENOMEM : 0;
  while (rc == 0 && left > 0) {
    char *name = NULL, *header = NULL;
    uint8_t *der = NULL;
    long n = 0;
    bool found = PEM_read_bio(bio, &name, &header, &der, &n) == 1;
    size_t now = (size_t)BIO_ctrl_pending(bio);
    bool aux = found && strcmp(name, PEM_STRING_X509_TRUSTED) == 0;
    ERR_clear_error();
    left = found || now < left ? now : 0; /* a broken one, or the end */
    if (found &&
        (aux || strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)) {
      rc = add(der, n, aux);
    } else {
      OPENSSL_clear_free(der, found ? (size_t)n : 0);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
  }
  BIO_free(bio);
  return rc;
}

/* --- finding -----------------------------------------------------------------------------------
 */

static X509 *decoded(item_t *item)
{
  pthread_mutex_lock(&lock);
  if (item->x509 == NULL && !item->broken) {
    const uint8_t *p = item->der;
    item->x509 = item->aux ? d2i_X509_AUX(NULL, &p, item->size) : d2i_X509(NULL, &p, item->size);
    item->broken = item->x509 == NULL;
  }
  pthread_mutex_unlock(&lock);
  return item->x509;
}

/* Puts those with this subject into the store; one that is there stays alone. */
static void bring(const X509_STORE_CTX *ctx, const X509_NAME *name)
{
  int ok = 0;
  unsigned long hash = X509_NAME_hash_ex(name, NULL, NULL, &ok);
  ERR_set_mark();
  for (size_t i = 0; ok && i < count; i++) {
    X509 *x509 = items[i].hash == hash ? decoded(&items[i]) : NULL;
    if (x509 != NULL) {
      (void)X509_STORE_add_cert(X509_STORE_CTX_get0_store(ctx), x509);
    }
  }
  ERR_pop_to_mark();
}

static int get_issuer(X509 **issuer, X509_STORE_CTX *ctx, X509 *x509)
{
  bring(ctx, X509_get_issuer_name(x509));
  return X509_STORE_CTX_get1_issuer(issuer, ctx, x509);
}

static STACK_OF(X509) * get_certs(X509_STORE_CTX *ctx, const X509_NAME *name)
{
  bring(ctx, name);
  return X509_STORE_CTX_get1_certs(ctx, name);
}

void qn__trust_lazy_attach(X509_STORE *store)
{
  if (count > 0) {
    X509_STORE_set_get_issuer(store, get_issuer);
    X509_STORE_set_lookup_certs(store, get_certs);
  }
}

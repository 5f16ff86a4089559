/* verify_path.c: another path to a trusted certificate, when the first one is no good.
 *
 * OpenSSL takes the first issuer whose name and key identifier fit and never comes back to the
 * others: with authorities that are cross-signed, or several of one name, the order of what was
 * sent would decide. Called by verify_chain.c and verify_peer.c, which hear of errors only when no
 * path is without any. Issuers that led nowhere are left out, one after the other, TRIES at most.
 * Must not judge by itself: a path counts when OpenSSL finds nothing wrong with it.
 */
#include "tls/cert_i.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>

#define TRIES 8 /* a hostile peer may send a hundred of one name */

typedef struct path {
  X509_STORE_CTX_verify_cb found;
  STACK_OF(X509) * without; /* issuers that are left out; borrowed certificates */
  STACK_OF(X509) * other;   /* a path without errors */
  bool looked;
} path_t;

static int slot = -1; /* of a context: its path_t */
static X509_STORE_CTX_check_issued_fn usual;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(void)
{
  X509_STORE_CTX *ctx = X509_STORE_CTX_new();
  if (ctx != NULL && X509_STORE_CTX_init(ctx, NULL, NULL, NULL) == 1) {
    usual = X509_STORE_CTX_get_check_issued(ctx);
    slot = X509_STORE_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
  }
  X509_STORE_CTX_free(ctx);
}

static bool contains(STACK_OF(X509) * list, const X509 *x509)
{
  for (int i = 0; i < sk_X509_num(list); i++) {
    if (X509_cmp(sk_X509_value(list, i), x509) == 0) {
      return true;
    }
  }
  return false;
}

/* OpenSSL: whether this one may be taken for the issuer. */
static int check_issued(X509_STORE_CTX *ctx, X509 *x509, X509 *issuer)
{
  const path_t *p = X509_STORE_CTX_get_ex_data(ctx, slot);
  return (p == NULL || !contains(p->without, issuer)) && usual(ctx, x509, issuer);
}

void qn__path_store(X509_STORE *store)
{
  pthread_once(&once, begin);
  if (slot >= 0) {
    X509_STORE_set_check_issued(store, check_issued);
  }
}

static bool is_rival(STACK_OF(X509) * list, const X509 *x509, STACK_OF(X509) * without)
{
  for (int i = 0; i < sk_X509_num(list); i++) {
    X509 *other = sk_X509_value(list, i);
    if (X509_NAME_cmp(X509_get_subject_name(other), X509_get_subject_name(x509)) == 0 &&
        X509_cmp(other, x509) != 0 && !contains(without, other)) {
      return true;
    }
  }
  return false;
}

/* The issuer next to the top in whose place another one could be; NULL: none. */
static X509 *doubtful(X509_STORE_CTX *ctx, STACK_OF(X509) * chain, STACK_OF(X509) * without)
{
  for (int i = sk_X509_num(chain) - 1; i > 0; i--) {
    X509 *x509 = sk_X509_value(chain, i);
    bool rival = is_rival(X509_STORE_CTX_get0_untrusted(ctx), x509, without);
    if (!rival) {
      STACK_OF(X509) *stored = X509_STORE_CTX_get1_certs(ctx, X509_get_subject_name(x509));
      rival = is_rival(stored, x509, without);
      sk_X509_pop_free(stored, X509_free);
    }
    if (rival && !contains(without, x509)) {
      return x509;
    }
  }
  return NULL;
}

/* The path without errors that there is when these issuers are left out; `built`: how far it came.
 */
static STACK_OF(X509) * attempt(X509_STORE_CTX *ctx, path_t *p, STACK_OF(X509) * *built)
{
  STACK_OF(X509) *good = NULL;
  X509_STORE_CTX *next = X509_STORE_CTX_new();
  *built = NULL;
  if (next != NULL &&
      X509_STORE_CTX_init(next, X509_STORE_CTX_get0_store(ctx), X509_STORE_CTX_get0_cert(ctx),
                          X509_STORE_CTX_get0_untrusted(ctx)) == 1 &&
      X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(next), X509_STORE_CTX_get0_param(ctx)) &&
      X509_STORE_CTX_set_ex_data(next, slot, p)) {
    if (X509_verify_cert(next) == 1) {
      good = X509_STORE_CTX_get1_chain(next);
    } else {
      *built = X509_STORE_CTX_get1_chain(next);
    }
  }
  X509_STORE_CTX_free(next);
  return good;
}

static STACK_OF(X509) * another(X509_STORE_CTX *ctx)
{
  path_t p = {.without = sk_X509_new_null()};
  STACK_OF(X509) *chain = X509_STORE_CTX_get1_chain(ctx), *kept[TRIES] = {NULL};
  for (int i = 0; p.without != NULL && p.other == NULL && chain != NULL && i < TRIES; i++) {
    X509 *x509 = doubtful(ctx, chain, p.without);
    kept[i] = chain; /* what is left out is borrowed from it */
    chain = NULL;
    if (x509 == NULL || sk_X509_push(p.without, x509) <= 0) {
      break;
    }
    p.other = attempt(ctx, &p, &chain);
  }
  sk_X509_free(p.without);
  sk_X509_pop_free(chain, X509_free);
  for (int i = 0; i < TRIES; i++) {
    sk_X509_pop_free(kept[i], X509_free);
  }
  return p.other;
}

static int on_step(int ok, X509_STORE_CTX *ctx)
{
  path_t *p = X509_STORE_CTX_get_ex_data(ctx, slot);
  if (!ok && !p->looked) {
    p->looked = true;
    int error = X509_STORE_CTX_get_error(ctx);
    p->other = another(ctx);
    X509_STORE_CTX_set_error(ctx, error);
  }
  return p->other == NULL ? p->found(ok, ctx) : 0;
}

int qn__path_verify(X509_STORE_CTX *ctx, X509_STORE_CTX_verify_cb found)
{
  path_t p = {.found = found};
  X509_STORE *store = X509_STORE_CTX_get0_store(ctx);
  if (slot < 0 || X509_STORE_get_check_issued(store) != check_issued ||
      !X509_STORE_CTX_set_ex_data(ctx, slot, &p)) {
    X509_STORE_CTX_set_verify_cb(ctx, found);
    return X509_verify_cert(ctx);
  }
  X509_STORE_CTX_set_verify_cb(ctx, on_step);
  int rc = X509_verify_cert(ctx);
  X509_STORE_CTX_set_ex_data(ctx, slot, NULL);
  if (p.other != NULL) {
    X509_STORE_CTX_set0_verified_chain(ctx, p.other);
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    rc = 1;
  }
  return rc;
}

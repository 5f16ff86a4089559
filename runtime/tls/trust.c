/* trust.c: the certificates that are believed: the system's, or those that somebody added.
 *
 * The system's store is made once per process and looks certificates up by the hash of their
 * subject as they are needed, so that nothing is read before. It is never freed: other threads may
 * use it. Called by verify_chain.c and the TLS layer. SSL_CERT_FILE and SSL_CERT_DIR are obeyed.
 */
#include "tls/cert_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Where systems keep one file with all of them; the first one that is there counts. */
static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                      "/etc/pki/tls/certs/ca-bundle.crt",
                                      "/etc/ssl/ca-bundle.pem",
                                      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                                      "/etc/ssl/cert.pem",
                                      NULL};

static const char *bundle_path(void)
{
  const char *path = getenv(X509_get_default_cert_file_env());
  if (path != NULL) {
    return path;
  }
  path = X509_get_default_cert_file();
  for (int i = 0; access(path, R_OK) != 0 && bundles[i] != NULL; i++) {
    path = bundles[i];
  }
  return path;
}

int qn_trust_new(qn_trust_t **out)
{
  qn_trust_t *trust = qn_malloc(sizeof *trust);
  X509_STORE *store = trust != NULL ? X509_STORE_new() : NULL;
  if (store == NULL) {
    qn_free(trust);
    return -ENOMEM;
  }
  *trust = (qn_trust_t){1, store};
  *out = trust;
  return 0;
}

qn_trust_t *qn_trust_retain(qn_trust_t *trust)
{
  trust->refs++;
  return trust;
}

void qn_trust_release(qn_trust_t *trust)
{
  if (trust != NULL && --trust->refs == 0) {
    X509_STORE_free(trust->store);
    qn_free(trust);
  }
}

int qn_trust_add(qn_trust_t *trust, const qn_cert_t *cert)
{
  return X509_STORE_add_cert(trust->store, cert->x509) == 1 ? 0 : qn__ossl_fail(-ENOMEM);
}

static X509_STORE *system_store;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_system_store(void)
{
  const char *dir_env = getenv(X509_get_default_cert_dir_env());
  const char *dir = dir_env != NULL ? dir_env : X509_get_default_cert_dir();
  bool named = getenv(X509_get_default_cert_file_env()) != NULL;
  system_store = X509_STORE_new();
  if (system_store == NULL) {
    return;
  }
  if (access(dir, R_OK) == 0 && (!named || dir_env != NULL)) {
    X509_STORE_load_path(system_store, dir);
  }
  if (named || access(dir, R_OK) != 0) {
    X509_STORE_load_file(system_store, bundle_path());
  }
  ERR_clear_error();
}

int qn_trust_system(qn_trust_t **out)
{
  pthread_once(&once, make_system_store);
  qn_trust_t *trust = system_store != NULL ? qn_malloc(sizeof *trust) : NULL;
  if (trust == NULL) {
    return -ENOMEM;
  }
  X509_STORE_up_ref(system_store);
  *trust = (qn_trust_t){1, system_store};
  *out = trust;
  return 0;
}

int qn_trust_system_list(qn_certs_t *out)
{
  FILE *file = fopen(bundle_path(), "rbe");
  if (file == NULL) {
    return -errno;
  }
  char *data = NULL;
  size_t size = 0, room = 0;
  int rc = 0;
  for (;;) {
    if (size == room) {
      room = room > 0 ? room * 2 : 1U << 18;
      char *more = room <= 2 * (size_t)QN_CERT_MAX_INPUT ? qn_realloc(data, room) : NULL;
      if (more == NULL) {
        rc = room <= 2 * (size_t)QN_CERT_MAX_INPUT ? -ENOMEM : QN_E_LIMIT;
        break;
      }
      data = more;
    }
    size_t n = fread(data + size, 1, room - size, file);
    if (n == 0) {
      rc = ferror(file) ? -EIO : qn_certs_parse(data, size, out);
      break;
    }
    size += n;
  }
  fclose(file);
  qn_free(data);
  return rc;
}

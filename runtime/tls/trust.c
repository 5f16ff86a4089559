/* trust.c: the certificates that are believed: the system's, or those that somebody added.
 *
 * The system's store is made once per process and never freed: all configurations, loops and
 * threads use it. Decoding a whole file of some 140 certificates takes 30 ms and more, so a folder
 * in OpenSSL's hashed form is preferred where it has all of them: then a certificate is read when
 * it is needed. Called by verify_chain.c and ctx.c. Must not change the store after it was made.
 */
#include "tls/cert_i.h"
#include "tls/crypto_i.h"
#include "tls/ossl.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where systems keep one file with all of them; the first one that is there counts. */
static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                      "/etc/pki/tls/certs/ca-bundle.crt",
                                      "/etc/ssl/ca-bundle.pem",
                                      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                                      "/etc/ssl/cert.pem",
                                      "/usr/local/share/certs/ca-root-nss.crt",
                                      NULL};

/* An empty variable is none. */
static const char *variable(const char *name)
{
  const char *value = secure_getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Where they are: what a variable names, and nothing else then; else the usual places. */
typedef struct places {
  const char *file, *folder; /* NULL = none; `folder`: several, ":" between */
  bool named;
} places_t;

static places_t find_places(void)
{
  places_t p = {variable(X509_get_default_cert_file_env()),
                variable(X509_get_default_cert_dir_env()), true};
  if (p.file != NULL || p.folder != NULL) {
    return p;
  }
  p = (places_t){X509_get_default_cert_file(), X509_get_default_cert_dir(), false};
  for (int i = 0; access(p.file, R_OK) != 0 && bundles[i] != NULL; i++) {
    p.file = bundles[i];
  }
  p.file = access(p.file, R_OK) == 0 ? p.file : NULL;
  return p;
}

/* --- files ------------------------------------------------------------------------------------ */

#define FIRST_ROOM (1U << 18)

/* The whole file, which the caller frees; at most QN_CERT_MAX_INPUT + 1 bytes of it. */
static int read_file(const char *path, char **out, size_t *out_size)
{
  FILE *file = fopen(path, "rbe");
  if (file == NULL) {
    return -errno;
  }
  char *data = NULL;
  size_t size = 0, room = 0;
  int rc = 0;
  while (size <= QN_CERT_MAX_INPUT) {
    if (size == room) {
      room = room > 0 ? room * 2 : FIRST_ROOM;
      char *more = qn_realloc(data, room);
      if (more == NULL) {
        rc = -ENOMEM;
        break;
      }
      data = more;
    }
    errno = 0;
    size_t n = fread(data + size, 1, room - size, file);
    size += n;
    if (n == 0) {
      rc = ferror(file) ? (errno != 0 ? -errno : -EIO) : 0;
      break;
    }
  }
  fclose(file);
  if (rc != 0) {
    qn_free(data);
    return rc;
  }
  *out = data;
  *out_size = size;
  return 0;
}

/* "9d04f354.0": how OpenSSL finds a certificate by its subject. */
static bool is_hashed(const char *name)
{
  size_t hex = strspn(name, "0123456789abcdefABCDEF");
  size_t digits = name[hex] == '.' ? strspn(name + hex + 1, "0123456789") : 0;
  return hex == 8 && digits > 0 && name[hex + 1 + digits] == '\0';
}

/* Goes through the hashed names of a list of folders; `use` may be NULL. The number of them. */
static size_t each_hashed(const char *folders, int (*use)(void *arg, const char *path), void *arg,
                          int *rc)
{
  size_t n = 0;
  while (*folders != '\0' && *rc == 0) {
    char path[4096];
    size_t size = strcspn(folders, ":");
    DIR *dir = NULL;
    if (size > 0 && size + 1 < sizeof path) {
      snprintf(path, sizeof path, "%.*s", (int)size, folders);
      dir = opendir(path);
    }
    for (struct dirent *e; dir != NULL && *rc == 0 && (e = readdir(dir)) != NULL;) {
      if (is_hashed(e->d_name)) {
        n++;
        snprintf(path, sizeof path, "%.*s/%s", (int)size, folders, e->d_name);
        *rc = use != NULL ? use(arg, path) : 0;
      }
    }
    if (dir != NULL) {
      closedir(dir);
    }
    folders += size + (folders[size] == ':');
  }
  return n;
}

static size_t count_blocks(const char *data, size_t size)
{
  static const char mark[] = "-----BEGIN";
  size_t n = 0;
  for (const char *p = data, *end = data + size; size > 0 && p != NULL; n += p != NULL) {
    p = memmem(p, (size_t)(end - p), mark, sizeof mark - 1);
    p = p != NULL ? p + sizeof mark - 1 : NULL;
  }
  return n;
}

/* Those that cannot be read are left out, as OpenSSL does: one must not cost the others. */
static int each_cert(const char *data, size_t size, int (*use)(void *arg, X509 *x509), void *arg)
{
  size_t n = size < QN_CERT_MAX_INPUT ? size : QN_CERT_MAX_INPUT, left = n;
  BIO *bio = qn__ossl_source(data, n);
  int rc = bio == NULL ? -ENOMEM : 0;
  while (rc == 0 && left > 0) {
    X509 *x509 = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    size_t now = (size_t)BIO_ctrl_pending(bio);
    ERR_clear_error();
    if (x509 != NULL) {
      rc = use(arg, x509);
    }
    left = x509 != NULL || now < left ? now : 0; /* a broken one, or the end */
    X509_free(x509);
  }
  BIO_free(bio);
  return rc;
}

/* --- trust ------------------------------------------------------------------------------------ */

int qn_trust_new(qn_trust_t **out)
{
  qn__crypto_begin();
  qn_trust_t *trust = qn_malloc(sizeof *trust);
  X509_STORE *store = trust != NULL ? X509_STORE_new() : NULL;
  if (store == NULL) {
    qn_free(trust);
    return -ENOMEM;
  }
  qn__path_store(store);
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

/* --- the system's ----------------------------------------------------------------------------- */

static X509_STORE *system_store;
static char *system_folder; /* its lookup reads from there; or NULL */
static int system_rc;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Reads the file, which the caller frees, and counts what is in the folders. What a variable names
 * must be there. */
static int look(const places_t *p, char **data, size_t *size, size_t *hashed)
{
  int rc = p->file != NULL ? read_file(p->file, data, size) : 0;
  bool one = p->folder != NULL && strchr(p->folder, ':') == NULL;
  if (rc == 0 && p->named && one && access(p->folder, R_OK | X_OK) != 0) {
    rc = -errno;
  }
  *hashed = rc == 0 && p->folder != NULL ? each_hashed(p->folder, NULL, NULL, &rc) : 0;
  return rc;
}

static int fill(X509_STORE *store)
{
  places_t p = find_places();
  char *data = NULL;
  size_t size = 0, hashed = 0;
  int rc = look(&p, &data, &size, &hashed);
  if (rc == 0 && hashed > 0) {
    system_folder = OPENSSL_strdup(p.folder); /* the variable may be changed later */
    rc = system_folder != NULL && X509_STORE_load_path(store, p.folder) == 1 ? 0 : -ENOMEM;
  }
  if (rc == 0 && data != NULL && (p.named || hashed < count_blocks(data, size))) {
    rc = qn__trust_lazy_read(data, size < QN_CERT_MAX_INPUT ? size : QN_CERT_MAX_INPUT);
    qn__trust_lazy_attach(store);
  }
  qn_free(data);
  return rc;
}

static void make_system_store(void)
{
  qn__crypto_begin();
  system_store = X509_STORE_new();
  system_rc = system_store != NULL ? fill(system_store) : -ENOMEM;
  if (system_store != NULL) {
    qn__path_store(system_store);
  }
  ERR_clear_error();
}

int qn__trust_system_store(X509_STORE **out)
{
  pthread_once(&once, make_system_store);
  *out = system_store;
  return system_rc;
}

int qn__trust_add_system(X509_STORE *store)
{
  X509_STORE *from = NULL;
  int rc = qn__trust_system_store(&from);
  if (rc == 0 && system_folder != NULL && X509_STORE_load_path(store, system_folder) != 1) {
    rc = qn__ossl_fail(-ENOMEM);
  }
  if (rc == 0) {
    qn__trust_lazy_attach(store);
  }
  return rc;
}

int qn_trust_add_system(qn_trust_t *trust) { return qn__trust_add_system(trust->store); }

int qn_trust_system(qn_trust_t **out)
{
  X509_STORE *store = NULL;
  int rc = qn__trust_system_store(&store);
  qn_trust_t *trust = rc == 0 ? qn_malloc(sizeof *trust) : NULL;
  if (trust == NULL) {
    return rc != 0 ? rc : -ENOMEM;
  }
  X509_STORE_up_ref(store);
  *trust = (qn_trust_t){1, store};
  *out = trust;
  return 0;
}

/* --- all of them ------------------------------------------------------------------------------ */

typedef struct listing {
  qn_certs_t *list;
  bool once; /* what is there already is not taken again */
} listing_t;

static int add_to_list(void *arg, X509 *x509)
{
  const listing_t *to = arg;
  X509_up_ref(x509);
  qn_cert_t *cert = qn__cert_wrap(x509);
  bool there = false;
  for (size_t i = 0; cert != NULL && to->once && !there && i < to->list->count; i++) {
    there = qn_cert_equal(to->list->items[i], cert);
  }
  int rc = cert == NULL                           ? -ENOMEM
           : there                                ? 0
           : to->list->count < QN_CERT_MAX_BUNDLE ? qn_certs_add(to->list, cert)
                                                  : QN_E_LIMIT;
  qn_cert_release(cert);
  return rc;
}

static int list_file(void *arg, const char *path)
{
  char *data = NULL;
  size_t size = 0;
  int rc = read_file(path, &data, &size);
  if (rc != 0) {
    return rc == -ENOMEM ? rc : 0; /* a link that leads nowhere */
  }
  rc = each_cert(data, size, add_to_list, arg);
  qn_free(data);
  return rc;
}

int qn_trust_system_list(qn_certs_t *out)
{
  places_t p = find_places();
  qn_certs_t found = {NULL, 0, 0};
  listing_t to = {&found, false};
  char *data = NULL;
  size_t size = 0, hashed = 0;
  qn__crypto_begin();
  int rc = look(&p, &data, &size, &hashed);
  size_t blocks = data != NULL ? count_blocks(data, size) : 0;
  if (rc == 0 && data != NULL) {
    rc = each_cert(data, size, add_to_list, &to);
  }
  qn_free(data);
  if (rc == 0 && (p.named || hashed > blocks) && p.folder != NULL) {
    to.once = true;
    each_hashed(p.folder, list_file, &to, &rc);
  }
  for (size_t i = 0; rc == 0 && i < found.count; i++) {
    rc = qn_certs_add(out, found.items[i]);
  }
  qn_certs_free(&found);
  return rc;
}

/* config.c: the settings of a TLS configuration: taken, copied, freed.
 *
 * Called by embedders before connections are made. Touches no OpenSSL object but the certificates
 * and keys that it is given; what only OpenSSL can judge is judged when the context is built
 * (ctx.c). Must not change what a context was built from: setters refuse once it is frozen.
 */
#include "tls/config_i.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int qn__tls_config_fail(qn_tls_config_t *c, int err, const char *format, ...)
{
  va_list ap;
  va_start(ap, format);
  vsnprintf(c->problem, sizeof c->problem, format, ap);
  va_end(ap);
  return err;
}

/* --- life ------------------------------------------------------------------------------------- */

qn_tls_config_t *qn_tls_config_new(void)
{
  qn_tls_config_t *c = qn_calloc(1, sizeof *c);
  if (c != NULL) {
    c->refs = 1;
    c->keylog_fd = -1;
    c->depth = -1;
  }
  return c;
}

static void free_own(qn_tls_config_t *c)
{
  for (size_t i = 0; i < c->own_count; i++) {
    qn_cert_release(c->own[i].cert);
    qn_certs_free(&c->own[i].chain);
    qn_key_release(c->own[i].key);
  }
  qn_free(c->own);
  c->own = NULL;
  c->own_count = 0;
}

static void free_ca_paths(qn_tls_config_t *c)
{
  for (size_t i = 0; i < c->ca_path_count; i++) {
    qn_free(c->ca_paths[i]);
  }
  qn_free(c->ca_paths);
}

void qn_tls_config_retain(qn_tls_config_t *c) { c->refs++; }

void qn_tls_config_release(qn_tls_config_t *c)
{
  if (c == NULL || --c->refs != 0) {
    return;
  }
  qn_tls_config_forget(c, NULL);
  qn_free(c->remembered);
  qn__tls_sni_free(c);
  for (size_t i = 0; i < sizeof c->ctx / sizeof *c->ctx; i++) {
    if (c->ctx[i] != NULL) {
      SSL_CTX_free(c->ctx[i]);
    }
  }
  qn_free(c->ciphers);
  qn_free(c->suites);
  qn_free(c->curves);
  qn_free(c->keylog);
  if (c->keylog_fd >= 0) {
    close(c->keylog_fd);
  }
  qn_certs_free(&c->ca);
  free_ca_paths(c);
  qn__tls_ignores_free(&c->ignore);
  qn_free(c->pins);
  free_own(c);
  qn_certs_free(&c->client_ca);
  qn_free(c->alpn);
  qn_free(c->staple);
  qn__tls_psk_free(c);
  qn__tls_conf_free(c);
  explicit_bzero(c->keys, sizeof c->keys);
  qn_free(c);
}

bool qn_tls_config_frozen(const qn_tls_config_t *c) { return c->frozen; }
const char *qn_tls_config_problem(const qn_tls_config_t *c) { return c->problem; }

int qn_tls_config_prepare(qn_tls_config_t *c, bool server)
{
  SSL_CTX *ctx;
  c->problem[0] = 0;
  return qn__tls_ctx(c, server, false, &ctx);
}

static int begin_set(qn_tls_config_t *c)
{
  c->problem[0] = 0;
  return c->frozen ? qn__tls_config_fail(c, QN_E_BUSY,
                                         "the TLS configuration is in use: copy it to change it")
                   : 0;
}

/* --- simple settings -------------------------------------------------------------------------- */

static int set_text(qn_tls_config_t *c, char **slot, const char *text)
{
  int rc = begin_set(c);
  if (rc < 0) {
    return rc;
  }
  char *copy = text != NULL ? qn_strdup(text) : NULL;
  if (text != NULL && copy == NULL) {
    return -ENOMEM;
  }
  qn_free(*slot);
  *slot = copy;
  return 0;
}

int qn_tls_config_set_versions(qn_tls_config_t *c, int min, int max)
{
  int rc = begin_set(c);
  if (rc < 0) {
    return rc;
  }
  if ((min != 0 && (min < QN_TLS_1_0 || min > QN_TLS_1_3)) ||
      (max != 0 && (max < QN_TLS_1_0 || max > QN_TLS_1_3)) ||
      (max != 0 && max < (min != 0 ? min : QN_TLS_1_2))) {
    return qn__tls_config_fail(c, QN_E_INVALID, "no TLS version lies between these");
  }
  c->min = min;
  c->max = max;
  return 0;
}

static int set_list(qn_tls_config_t *c, qn__tls_list_t which, char **slot, const char *list)
{
  int rc = begin_set(c);
  rc = rc == 0 && list != NULL ? qn__tls_try_list(c, which, list) : rc;
  return rc == 0 ? set_text(c, slot, list) : rc;
}

int qn_tls_config_set_ciphers(qn_tls_config_t *c, const char *list)
{
  return set_list(c, QN__TLS_CIPHERS, &c->ciphers, list);
}

int qn_tls_config_set_ciphersuites(qn_tls_config_t *c, const char *list)
{
  return set_list(c, QN__TLS_SUITES, &c->suites, list);
}

int qn_tls_config_set_curves(qn_tls_config_t *c, const char *list)
{
  return set_list(c, QN__TLS_CURVES, &c->curves, list);
}

int qn_tls_config_set_keylog(qn_tls_config_t *c, const char *path)
{
  return set_text(c, &c->keylog, path);
}

static int set_flag(qn_tls_config_t *c, bool *flag, bool on)
{
  int rc = begin_set(c);
  if (rc == 0) {
    *flag = on;
  }
  return rc;
}

int qn_tls_config_set_sessions(qn_tls_config_t *c, bool on)
{
  return set_flag(c, &c->no_sessions, !on);
}

int qn_tls_config_set_tickets(qn_tls_config_t *c, bool on)
{
  return set_flag(c, &c->no_tickets, !on);
}

int qn_tls_config_set_client_order(qn_tls_config_t *c, bool on)
{
  return set_flag(c, &c->client_order, on);
}

int qn_tls_config_set_ocsp(qn_tls_config_t *c, qn_tls_ocsp_t mode)
{
  int rc = begin_set(c);
  if (rc == 0) {
    c->ocsp = mode;
  }
  return rc;
}

int qn_tls_config_set_ocsp_staple(qn_tls_config_t *c, qn_slice_t der)
{
  c->problem[0] = 0;
  uint8_t *copy = der.size != 0 ? qn_malloc(der.size) : NULL;
  if (der.size != 0 && copy == NULL) {
    return -ENOMEM;
  }
  if (der.size != 0) {
    memcpy(copy, der.data, der.size);
  }
  qn_free(c->staple);
  c->staple = copy;
  c->staple_size = der.size;
  return 0;
}

/* --- whom to trust ---------------------------------------------------------------------------- */

int qn_tls_config_add_ca(qn_tls_config_t *c, qn_cert_t *cert)
{
  int rc = begin_set(c);
  if (rc == 0) {
    rc = qn_certs_add(&c->ca, cert);
  }
  c->own_ca = c->own_ca || rc == 0;
  return rc;
}

int qn_tls_config_add_ca_path(qn_tls_config_t *c, const char *path)
{
  int rc = begin_set(c);
  if (rc < 0) {
    return rc;
  }
  char *copy = qn_strdup(path);
  char **list =
      copy != NULL ? qn_realloc(c->ca_paths, (c->ca_path_count + 1) * sizeof *list) : NULL;
  if (list == NULL) {
    qn_free(copy);
    return -ENOMEM;
  }
  c->ca_paths = list;
  list[c->ca_path_count++] = copy;
  c->own_ca = true;
  return 0;
}

int qn_tls_config_set_system_ca(qn_tls_config_t *c, bool on)
{
  int rc = set_flag(c, &c->system_ca, on);
  c->own_ca = rc == 0 ? c->own_ca || !on : c->own_ca;
  return rc;
}

int qn_tls_config_set_verify(qn_tls_config_t *c, qn_tls_verify_t mode)
{
  int rc = begin_set(c);
  if (rc == 0) {
    c->verify = mode;
  }
  return rc;
}

qn_tls_verify_t qn__tls_config_mode(const qn_tls_config_t *c, bool server)
{
  return c->verify != QN_TLS_VERIFY_AUTO ? c->verify
         : server                        ? QN_TLS_VERIFY_NONE
                                         : QN_TLS_VERIFY_PEER;
}

int qn_tls_config_set_depth(qn_tls_config_t *c, int depth)
{
  int rc = begin_set(c);
  if (rc < 0) {
    return rc;
  }
  if (depth > (int)QN_TLS_DEPTH_MAX) {
    return qn__tls_config_fail(c, QN_E_INVALID, "the depth is above %u", QN_TLS_DEPTH_MAX);
  }
  c->depth = depth;
  return 0;
}

void qn__tls_ignores_free(qn__tls_ignores_t *l)
{
  for (size_t i = 0; i < l->count; i++) {
    qn_cert_release(l->items[i].cert);
  }
  qn_free(l->items);
  *l = (qn__tls_ignores_t){0};
}

int qn__tls_ignores_set(qn__tls_ignores_t *l, const qn_tls_ignore_t *list, size_t n, bool add)
{
  size_t old = add ? l->count : 0;
  qn_tls_ignore_t *items = NULL;
  if (old + n != 0) {
    items = qn_calloc(old + n, sizeof *items);
    if (items == NULL) {
      return -ENOMEM;
    }
    for (size_t i = 0; i < old + n; i++) {
      items[i] = i < old ? l->items[i] : list[i - old];
      if (items[i].cert != NULL) {
        (void)qn_cert_retain(items[i].cert);
      }
    }
  }
  qn__tls_ignores_free(l);
  *l = (qn__tls_ignores_t){items, old + n};
  return 0;
}

bool qn__tls_ignores_has(const qn__tls_ignores_t *l, int err, const qn_cert_t *cert)
{
  for (size_t i = 0; i < l->count; i++) {
    const qn_tls_ignore_t *g = &l->items[i];
    if (g->err == err && (g->cert == NULL || (cert != NULL && qn_cert_equal(g->cert, cert)))) {
      return true;
    }
  }
  return false;
}

int qn_tls_config_set_ignore(qn_tls_config_t *c, const qn_tls_ignore_t *list, size_t n)
{
  int rc = begin_set(c);
  return rc < 0 ? rc : qn__tls_ignores_set(&c->ignore, list, n, false);
}

int qn_tls_config_set_ignore_all(qn_tls_config_t *c, bool on)
{
  return set_flag(c, &c->ignore_all, on);
}

int qn_tls_config_set_pins(qn_tls_config_t *c, const uint8_t (*pins)[32], size_t n)
{
  int rc = begin_set(c);
  uint8_t(*copy)[32] = NULL;
  if (rc < 0) {
    return rc;
  }
  if (n != 0) {
    copy = qn_malloc(n * 32);
    if (copy == NULL) {
      return -ENOMEM;
    }
    memcpy(copy, pins, n * 32);
  }
  qn_free(c->pins);
  c->pins = copy;
  c->pin_count = n;
  return 0;
}

/* --- who we are ------------------------------------------------------------------------------- */

static int copy_certs(qn_certs_t *to, qn_cert_t *const *certs, size_t n)
{
  *to = (qn_certs_t){0};
  for (size_t i = 0; i < n; i++) {
    int rc = qn_certs_add(to, certs[i]);
    if (rc < 0) {
      qn_certs_free(to);
      return rc;
    }
  }
  return 0;
}

static int add_own(qn_tls_config_t *c, qn_cert_t *cert, qn_cert_t *const *chain, size_t n,
                   qn_key_t *key)
{
  qn__tls_own_t own = {0};
  int rc = copy_certs(&own.chain, chain, n);
  if (rc < 0) {
    return rc;
  }
  qn__tls_own_t *list = qn_realloc(c->own, (c->own_count + 1) * sizeof *list);
  if (list == NULL) {
    qn_certs_free(&own.chain);
    return -ENOMEM;
  }
  own.cert = qn_cert_retain(cert);
  own.key = qn_key_retain(key);
  c->own = list;
  list[c->own_count++] = own;
  return 0;
}

int qn_tls_config_add_cert(qn_tls_config_t *c, qn_cert_t *cert, qn_cert_t *const *chain, size_t n,
                           qn_key_t *key)
{
  int rc = begin_set(c);
  if (rc < 0) {
    return rc;
  }
  if (cert == NULL) {
    free_own(c);
    return 0;
  }
  if (key == NULL || !key->is_private) {
    return qn__tls_config_fail(c, QN_E_INVALID, "a certificate needs its private key");
  }
  if (!qn_cert_has_key(cert, key)) {
    return qn__tls_config_fail(c, QN_E_KEY_MISMATCH, "%s", qn_err_text(QN_E_KEY_MISMATCH));
  }
  return add_own(c, cert, chain, n, key);
}

int qn_tls_config_set_client_ca(qn_tls_config_t *c, qn_cert_t *const *certs, size_t n)
{
  qn_certs_t list;
  int rc = begin_set(c);
  if (rc == 0) {
    rc = copy_certs(&list, certs, n);
  }
  if (rc == 0) {
    qn_certs_free(&c->client_ca);
    c->client_ca = list;
  }
  return rc;
}

/* --- a copy ----------------------------------------------------------------------------------- */

static int copy_texts(qn_tls_config_t *to, const qn_tls_config_t *from)
{
  int rc = set_text(to, &to->ciphers, from->ciphers);
  rc = rc == 0 ? set_text(to, &to->suites, from->suites) : rc;
  rc = rc == 0 ? set_text(to, &to->curves, from->curves) : rc;
  rc = rc == 0 ? set_text(to, &to->keylog, from->keylog) : rc;
  for (size_t i = 0; rc == 0 && i < from->ca_path_count; i++) {
    rc = qn_tls_config_add_ca_path(to, from->ca_paths[i]);
  }
  if (rc == 0 && from->alpn != NULL) {
    to->alpn = qn_malloc(from->alpn_size);
    if (to->alpn == NULL) {
      return -ENOMEM;
    }
    memcpy(to->alpn, from->alpn, from->alpn_size);
    to->alpn_size = from->alpn_size;
  }
  return rc;
}

static int copy_lists(qn_tls_config_t *to, const qn_tls_config_t *from)
{
  int rc = copy_certs(&to->ca, from->ca.items, from->ca.count);
  rc = rc == 0 ? copy_certs(&to->client_ca, from->client_ca.items, from->client_ca.count) : rc;
  rc = rc == 0 ? qn__tls_ignores_set(&to->ignore, from->ignore.items, from->ignore.count, false)
               : rc;
  rc = rc == 0 ? qn_tls_config_set_pins(to, (const uint8_t(*)[32])from->pins, from->pin_count) : rc;
  for (size_t i = 0; rc == 0 && i < from->own_count; i++) {
    const qn__tls_own_t *o = &from->own[i];
    rc = add_own(to, o->cert, o->chain.items, o->chain.count, o->key);
  }
  rc = rc == 0 ? qn_tls_config_set_ocsp_staple(to, (qn_slice_t){from->staple, from->staple_size})
               : rc;
  rc = rc == 0 ? qn__tls_psk_copy(to, from) : rc;
  rc = rc == 0 ? qn__tls_conf_copy(to, from) : rc;
  return rc == 0 ? qn__tls_sni_copy(to, from) : rc;
}

qn_tls_config_t *qn_tls_config_copy(const qn_tls_config_t *c)
{
  qn_tls_config_t *to = qn_tls_config_new();
  if (to == NULL) {
    return NULL;
  }
  to->min = c->min;
  to->max = c->max;
  to->depth = c->depth;
  to->verify = c->verify;
  to->no_sessions = c->no_sessions;
  to->no_tickets = c->no_tickets;
  to->ocsp = c->ocsp;
  to->client_order = c->client_order;
  to->ignore_all = c->ignore_all;
  to->alpn_fn = c->alpn_fn;
  to->alpn_arg = c->alpn_arg;
  memcpy(to->keys, c->keys, sizeof to->keys);
  to->key_count = c->key_count;
  to->keys_given = c->keys_given;
  if (copy_texts(to, c) < 0 || copy_lists(to, c) < 0) {
    qn_tls_config_release(to);
    return NULL;
  }
  to->own_ca = c->own_ca;
  to->system_ca = c->system_ca;
  return to;
}

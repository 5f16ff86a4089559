/* conf.c: settings by OpenSSL's own names (SSL_CONF_cmd(3)), for what has no setter of ours.
 *
 * Names and values are tried when they are given, on a context of their own, and used when the real
 * ones are built, before everything that keeps a connection safe: what is off in every context
 * (compression, renegotiation) and how peers are verified cannot be changed by them. Certificates,
 * keys and files of trusted ones are refused: they have setters. Must not keep OpenSSL's errors.
 */
#include "tls/config_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <string.h>
#include <strings.h>

typedef struct pair {
  char *name, *value;
} pair_t;

struct qn__tls_conf {
  size_t count;
  pair_t items[QN_TLS_CONF_MAX];
};

/* On one of both. 1, 2 used; -2 no such command; -3 no value; 0 the value is wrong. */
static int run(SSL_CTX *ctx, SSL *ssl, const char *name, const char *value)
{
  SSL_CONF_CTX *conf = SSL_CONF_CTX_new();
  if (conf == NULL) {
    return -ENOMEM;
  }
  SSL_CONF_CTX_set_flags(conf, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SHOW_ERRORS |
                                   SSL_CONF_FLAG_CLIENT | SSL_CONF_FLAG_SERVER);
  if (ssl != NULL) {
    SSL_CONF_CTX_set_ssl(conf, ssl);
  } else {
    SSL_CONF_CTX_set_ssl_ctx(conf, ctx);
  }
  int rc = SSL_CONF_cmd(conf, name, value);
  if (rc > 0 && !SSL_CONF_CTX_finish(conf)) {
    rc = 0;
  }
  SSL_CONF_CTX_free(conf);
  return rc;
}

static int try_out(qn_tls_config_t *c, const char *name, const char *value)
{
  ERR_clear_error();
  SSL_CTX *ctx = SSL_CTX_new(TLS_method());
  if (ctx == NULL) {
    return qn__ossl_fail(-ENOMEM);
  }
  /* How to verify has options of its own. */
  bool ours = strcasecmp(name, "VerifyMode") == 0;
  int rc = ours ? -2 : run(ctx, NULL, name, value);
  SSL_CTX_free(ctx);
  ERR_clear_error();
  switch (rc) {
  case 1:
  case 2: return 0;
  case -ENOMEM: return -ENOMEM;
  case -2:
    return qn__tls_config_fail(c, QN_E_INVALID, "OpenSSL has no command \"%s\" for this", name);
  default:
    return qn__tls_config_fail(c, QN_E_INVALID, "OpenSSL refuses \"%s\" for the command \"%s\"",
                               value, name);
  }
}

int qn_tls_config_add_openssl(qn_tls_config_t *c, const char *name, const char *value)
{
  c->problem[0] = 0;
  if (c->frozen) {
    return qn__tls_config_fail(c, QN_E_BUSY,
                               "the TLS configuration is in use: copy it to change it");
  }
  if (strlen(name) > QN_TLS_CONF_NAME_MAX || strlen(value) > QN_TLS_CONF_VALUE_MAX) {
    return qn__tls_config_fail(c, QN_E_LIMIT, "a command of OpenSSL or its value is too long");
  }
  if (c->conf != NULL && c->conf->count >= QN_TLS_CONF_MAX) {
    return qn__tls_config_fail(c, QN_E_LIMIT, "more than %d commands of OpenSSL", QN_TLS_CONF_MAX);
  }
  int rc = try_out(c, name, value);
  if (rc < 0) {
    return rc;
  }
  if (c->conf == NULL) {
    c->conf = qn_calloc(1, sizeof *c->conf);
  }
  pair_t pair = {qn_strdup(name), qn_strdup(value)};
  if (c->conf == NULL || pair.name == NULL || pair.value == NULL) {
    qn_free(pair.name);
    qn_free(pair.value);
    return -ENOMEM;
  }
  c->conf->items[c->conf->count++] = pair;
  return 0;
}

int qn__tls_conf_use(qn_tls_config_t *c, SSL_CTX *ctx, SSL *ssl)
{
  for (size_t i = 0; c->conf != NULL && i < c->conf->count; i++) {
    const pair_t *p = &c->conf->items[i];
    if (run(ctx, ssl, p->name, p->value) <= 0) {
      return qn__tls_config_fail(c, qn__ossl_fail(QN_E_TLS_CONFIG),
                                 "OpenSSL refuses \"%s\" for the command \"%s\"", p->value,
                                 p->name);
    }
  }
  ERR_clear_error();
  return 0;
}

void qn__tls_conf_free(qn_tls_config_t *c)
{
  for (size_t i = 0; c->conf != NULL && i < c->conf->count; i++) {
    qn_free(c->conf->items[i].name);
    qn_free(c->conf->items[i].value);
  }
  qn_free(c->conf);
  c->conf = NULL;
}

int qn__tls_conf_copy(qn_tls_config_t *to, const qn_tls_config_t *from)
{
  int rc = 0;
  for (size_t i = 0; rc == 0 && from->conf != NULL && i < from->conf->count; i++) {
    rc = qn_tls_config_add_openssl(to, from->conf->items[i].name, from->conf->items[i].value);
  }
  return rc;
}

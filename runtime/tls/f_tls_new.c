/* f_tls_new.c: a connection: made from a configuration, put on a stream, freed.
 *
 * Called by embedders. A connection is used once. Must not be freed while the stream has its
 * filter: the stream's reference goes with the filter's destruction.
 * Invariant: `ssl` lives as long as the connection, so that its facts can be asked for afterwards.
 */
#include "tls/f_tls_i.h"
#include "tls/ossl.h"

#include "codec/idna.h"
#include "qn/addr.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

void qn__tls_say(qn_tls_t *t, const char *text)
{
  if (t->problem == NULL) {
    t->problem = qn_strdup(text); /* without memory the code has to do */
  }
}

void qn__tls_event(qn_tls_t *t, int event, int value)
{
  if (t->hooks.event != NULL) {
    t->hooks.event(t, event, value, t->hooks.arg);
  }
}

static void free_faults(qn_tls_t *t)
{
  for (size_t i = 0; i < t->fault_count; i++) {
    qn_cert_release(t->faults[i].cert);
    qn_free(t->faults[i].text);
  }
  qn_free(t->faults);
}

void qn_tls_retain(qn_tls_t *t) { t->refs++; }

void qn_tls_release(qn_tls_t *t)
{
  if (t == NULL || --t->refs != 0) {
    return;
  }
  if (t->ssl != NULL) {
    SSL_set_app_data(t->ssl, NULL);
    /* An end without close_notify is no reason to forget the session (RFC 8446, 6.1). */
    SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
  }
  if (t->session != NULL) {
    SSL_SESSION_free(t->session);
  }
  qn_buf_free(&t->late);
  X509_free(t->issuer);
  free_faults(t);
  qn__tls_ignores_free(&t->ignore);
  qn_free(t->server_name);
  qn_free(t->verify_name);
  qn_free(t->peer);
  qn_free(t->problem);
  qn_free(t->trace);
  qn_free(t->psk_identity);
  qn_tls_config_release(t->chosen);
  qn_tls_config_release(t->config);
  qn_free(t);
}

void qn_tls_unhook(qn_tls_t *t) { t->hooks = (qn_tls_hooks_t){0}; }

/* --- names ------------------------------------------------------------------------------------ */

static bool is_address(const char *name)
{
  qn_addr_t a;
  return qn_addr_parse(&a, name, 0, QN_FAMILY_ANY) == 0;
}

/* As it goes over the wire: ASCII, without the dot at the end. */
static int set_name(char **slot, const char *name)
{
  char ascii[QN__IDNA_OUT];
  if (!is_address(name)) {
    int rc = qn__idna_to_ascii(name, strlen(name), 0, ascii);
    if (rc < 0) {
      return rc;
    }
    size_t n = strlen(ascii);
    if (n > 1 && ascii[n - 1] == '.') {
      ascii[n - 1] = 0;
    }
    name = ascii;
  }
  *slot = qn_strdup(name);
  return *slot != NULL ? 0 : -ENOMEM;
}

static int set_names(qn_tls_t *t, const qn_tls_opts_t *o)
{
  int rc = 0;
  const char *check = o->verify_name != NULL ? o->verify_name : o->server_name;
  if (o->server_name != NULL && o->server_name[0] != 0) {
    rc = set_name(&t->server_name, o->server_name);
  }
  if (rc == 0 && check != NULL && check[0] != 0) {
    rc = set_name(&t->verify_name, check);
  }
  if (rc == 0 && check == NULL && qn__tls_config_mode(t->config, false) == QN_TLS_VERIFY_PEER) {
    return QN_E_INVALID;
  }
  if (rc == 0 && o->peer != NULL) {
    t->peer = qn_strdup(o->peer);
    rc = t->peer != NULL ? 0 : -ENOMEM;
  }
  return rc;
}

/* --- making ----------------------------------------------------------------------------------- */

static int set_client(qn_tls_t *t, const qn_tls_opts_t *o)
{
  int rc = set_names(t, o);
  if (rc < 0) {
    return rc;
  }
  SSL_set_connect_state(t->ssl);
  if (t->server_name != NULL && !o->no_sni && !is_address(t->server_name) &&
      !SSL_set_tlsext_host_name(t->ssl, t->server_name)) {
    return QN_E_BAD_HOST;
  }
  if (o->session != NULL) {
    SSL_SESSION *session = qn__tls_session_peek(o->session);
    if (qn__tls_memo_fits(session, t->config, false)) { /* else a full handshake */
      (void)SSL_set_session(t->ssl, session);
    }
  } else if (t->peer != NULL && !t->config->no_sessions && !qn__tls_psk_any(t->config)) {
    SSL_SESSION *session = qn__tls_recall(t->config, t->peer);
    if (session != NULL) {
      (void)SSL_set_session(t->ssl, session);
      SSL_SESSION_free(session);
    }
  }
  return 0;
}

static int set_up(qn_tls_t *t, SSL_CTX *ctx, const qn_tls_opts_t *o, BIO *(*make)(qn_tls_t *t))
{
  ERR_clear_error();
  t->ssl = SSL_new(ctx);
  BIO *bio = t->ssl != NULL ? make(t) : NULL;
  if (bio == NULL || !SSL_set_app_data(t->ssl, t)) {
    BIO_free(bio);
    return qn__ossl_fail(-ENOMEM);
  }
  SSL_set_bio(t->ssl, bio, bio);
  int rc = 0;
  if (t->server) {
    SSL_set_accept_state(t->ssl);
  } else {
    rc = set_client(t, o);
  }
  ERR_clear_error();
  return rc;
}

int qn__tls_make(qn_tls_config_t *c, const qn_tls_opts_t *opts, bool dtls, BIO *(*bio)(qn_tls_t *t),
                 void *owner, qn_tls_t **out)
{
  SSL_CTX *ctx;
  c->problem[0] = 0;
  int rc = qn__tls_ctx(c, opts->server, dtls, &ctx);
  qn_tls_t *t = rc == 0 ? qn_calloc(1, sizeof *t) : NULL;
  if (t == NULL) {
    return rc < 0 ? rc : -ENOMEM;
  }
  t->filter.ops = &qn__tls_ops;
  t->refs = 1;
  t->is_dtls = dtls;
  t->owner = owner;
  t->server = opts->server;
  t->hooks = opts->hooks;
  t->alert_in = t->alert_out = -1;
  t->config = c;
  qn_tls_config_retain(c);
  rc = set_up(t, ctx, opts, bio);
  if (rc < 0) {
    if (rc == QN_E_INVALID) {
      (void)qn__tls_config_fail(c, rc, "no name to verify the peer's certificate against");
    }
    qn_tls_release(t);
    return rc;
  }
  *out = t;
  return 0;
}

int qn_tls_new(qn_tls_config_t *c, const qn_tls_opts_t *opts, qn_tls_t **out)
{
  return qn__tls_make(c, opts, false, qn__tls_bio, NULL, out);
}

void qn__tls_go_on(qn_tls_t *t)
{
  if (t->go_on != NULL) {
    t->go_on(t);
  } else if (t->attached) {
    qn_stream_wake(t->filter.stream, QN_WAKE_START);
  }
}

int qn_tls_start(qn_tls_t *t, qn_stream_t *s, qn_op_t *op)
{
  if (t->used) {
    return QN_E_BUSY;
  }
  /* A ClientHello that was read ahead is no plaintext that somebody has put in front. */
  qn_slice_t rest = qn_stream_data(s);
  t->filter.takes_rest = t->server && rest.size != 0 && rest.data[0] == SSL3_RT_HANDSHAKE;
  t->attached = true; /* it is started inside of the push */
  t->used = true;
  qn_tls_retain(t); /* the stream's */
  int rc = qn_stream_push(s, &t->filter, op);
  if (rc < 0 && rc != QN_AGAIN) { /* the filter is ours still */
    bool begun = t->failed != 0 || t->filter.stream != NULL;
    qn_buf_free(&t->filter.rd);
    t->attached = false;
    t->filter.stream = NULL;
    t->filter.below = NULL;
    t->used = begun; /* refused before anything happened: may be tried again */
    qn_tls_release(t);
  }
  return rc;
}

qn_tls_t *qn_tls_of(const qn_stream_t *s)
{
  for (qn_filter_t *f = qn_stream_top(s); f != NULL; f = f->below) {
    if (f->ops == &qn__tls_ops) {
      return (qn_tls_t *)(void *)f;
    }
  }
  return NULL;
}

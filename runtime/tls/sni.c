/* sni.c: servers of several names: the ClientHello's name, the table, the hook that may wait.
 *
 * OpenSSL calls `hello` before it has decided anything, so that versions and ciphers of the chosen
 * configuration count. Must not trust the ClientHello: every length is checked, a name that is none
 * counts as absent. Invariant: a table never holds configurations that have a table of their own,
 * so no chain of references comes back to where it began.
 */
#include "codec/idna.h"
#include "tls/f_tls_i.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_SIZE 253

/* --- the table -------------------------------------------------------------------------------- */

/* Lower case into `out`; false: not a host name. */
static bool host_name(const char *name, size_t size, char out[NAME_MAX_SIZE + 1])
{
  if (size != 0 && name[size - 1] == '.') {
    size--;
  }
  if (size == 0 || size > NAME_MAX_SIZE || name[0] == '.') {
    return false;
  }
  for (size_t i = 0; i < size; i++) {
    unsigned char ch = (unsigned char)name[i];
    if (!(isalnum(ch) || ch == '-' || ch == '_' || ch == '.') || ch >= 0x80 ||
        (ch == '.' && name[i + 1] == '.')) {
      return false;
    }
    out[i] = (char)tolower(ch);
  }
  out[size] = 0;
  return true;
}

static qn__tls_sni_t *find(const qn_tls_config_t *c, const char *name, bool wild)
{
  for (size_t i = 0; i < c->sni_count; i++) {
    if (c->sni[i].wild == wild && strcmp(c->sni[i].name, name) == 0) {
      return &c->sni[i];
    }
  }
  return NULL;
}

static void let_go(qn_tls_config_t *other)
{
  other->in_tables--;
  qn_tls_config_release(other);
}

static void remove_entry(qn_tls_config_t *c, qn__tls_sni_t *e)
{
  qn_tls_config_t *other = e->config;
  qn_free(e->name);
  *e = c->sni[--c->sni_count];
  let_go(other);
}

static int add_entry(qn_tls_config_t *c, const char *name, bool wild, qn_tls_config_t *other)
{
  char *copy = qn_strdup(name);
  qn__tls_sni_t *list = copy != NULL ? qn_realloc(c->sni, (c->sni_count + 1) * sizeof *list) : NULL;
  if (list == NULL) {
    qn_free(copy);
    return -ENOMEM;
  }
  qn_tls_config_retain(other);
  other->in_tables++;
  c->sni = list;
  list[c->sni_count++] = (qn__tls_sni_t){copy, wild, other};
  return 0;
}

int qn_tls_config_set_sni(qn_tls_config_t *c, const char *name, qn_tls_config_t *other)
{
  char ascii[QN__IDNA_OUT], host[NAME_MAX_SIZE + 1];
  bool wild = name[0] == '*' && name[1] == '.';
  c->problem[0] = 0;
  name += wild ? 2 : 0;
  if (qn__idna_to_ascii(name, strlen(name), 0, ascii) != 0 ||
      !host_name(ascii, strlen(ascii), host)) {
    return qn__tls_config_fail(c, QN_E_INVALID, "not the name of a host");
  }
  if (other == c || (other != NULL && other->sni_count != 0) || c->in_tables != 0) {
    return qn__tls_config_fail(c, QN_E_INVALID, "tables of names cannot be nested");
  }
  qn__tls_sni_t *old = find(c, host, wild);
  if (other == NULL || old != NULL) {
    if (old != NULL && other != NULL) {
      qn_tls_config_t *before = old->config;
      qn_tls_config_retain(other);
      other->in_tables++;
      old->config = other;
      let_go(before);
    } else if (old != NULL) {
      remove_entry(c, old);
    }
    return 0;
  }
  return add_entry(c, host, wild, other);
}

void qn__tls_sni_free(qn_tls_config_t *c)
{
  while (c->sni_count != 0) {
    remove_entry(c, &c->sni[c->sni_count - 1]);
  }
  qn_free(c->sni);
  c->sni = NULL;
}

int qn__tls_sni_copy(qn_tls_config_t *to, const qn_tls_config_t *from)
{
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < from->sni_count; i++) {
    rc = add_entry(to, from->sni[i].name, from->sni[i].wild, from->sni[i].config);
  }
  return rc;
}

static qn_tls_config_t *look_up(const qn_tls_config_t *c, const char *name)
{
  qn__tls_sni_t *e = find(c, name, false);
  const char *dot = strchr(name, '.');
  if (e == NULL && dot != NULL && dot[1] != 0) {
    e = find(c, dot + 1, true);
  }
  return e != NULL ? e->config : NULL;
}

/* --- a ClientHello ---------------------------------------------------------------------------- */

/* The first host name of the extension server_name (RFC 6066, 3). */
static bool hello_name(SSL *ssl, char out[NAME_MAX_SIZE + 1])
{
  const unsigned char *p;
  size_t n;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) || n < 5) {
    return false;
  }
  size_t list = (size_t)p[0] << 8 | p[1], size = (size_t)p[3] << 8 | p[4];
  return list + 2 == n && p[2] == TLSEXT_NAMETYPE_host_name && size + 5 <= n &&
         memchr(p + 5, 0, size) == NULL && host_name((const char *)p + 5, size, out);
}

/* What SSL_set_SSL_CTX leaves as it was. `old`: the options of the context before. */
static bool switch_rest(qn_tls_t *t, qn_tls_config_t *c, SSL_CTX *ctx, uint64_t old)
{
  uint64_t own = SSL_get_options(t->ssl) & ~old; /* of DTLS */
  bool ok = SSL_set_min_proto_version(t->ssl, (int)SSL_CTX_get_min_proto_version(ctx)) &&
            SSL_set_max_proto_version(t->ssl, (int)SSL_CTX_get_max_proto_version(ctx)) &&
            (c->ciphers == NULL || SSL_set_cipher_list(t->ssl, c->ciphers)) &&
            (c->suites == NULL || SSL_set_ciphersuites(t->ssl, c->suites)) &&
            (c->curves == NULL || SSL_set1_groups_list(t->ssl, c->curves)) &&
            qn__tls_conf_use(c, NULL, t->ssl) == 0;
  SSL_clear_options(t->ssl, SSL_get_options(t->ssl));
  SSL_set_options(t->ssl, own | SSL_CTX_get_options(ctx));
  return ok && SSL_set_num_tickets(t->ssl, SSL_CTX_get_num_tickets(ctx));
}

int qn__tls_switch(qn_tls_t *t, qn_tls_config_t *c)
{
  SSL_CTX *ctx;
  if (c == qn__tls_effective(t)) {
    return 0;
  }
  int rc = qn__tls_ctx(c, true, t->is_dtls, &ctx);
  if (rc < 0) {
    qn__tls_say(t, c->problem);
    return rc;
  }
  STACK_OF(X509_NAME) *names = SSL_dup_CA_list(SSL_CTX_get_client_CA_list(ctx));
  uint64_t old = SSL_CTX_get_options(SSL_get_SSL_CTX(t->ssl));
  bool ok = SSL_set_SSL_CTX(t->ssl, ctx) != NULL &&
            SSL_set1_verify_cert_store(t->ssl, SSL_CTX_get_cert_store(ctx)) &&
            switch_rest(t, c, ctx, old) && qn__tls_psk_switch(t, c);
  SSL_set_verify(t->ssl, SSL_CTX_get_verify_mode(ctx), NULL);
  SSL_set_verify_depth(t->ssl, SSL_CTX_get_verify_depth(ctx));
  SSL_set_client_CA_list(t->ssl, names); /* takes it over; NULL: none */
  if (!ok) {
    return QN_E_TLS_CONFIG;
  }
  if (t->config->keylog_fd >= 0) {
    qn__tls_keylog_setup(ctx);
  }
  qn_tls_config_retain(c);
  qn_tls_config_release(t->chosen);
  t->chosen = c;
  return 0;
}

void qn_tls_answer_config(qn_tls_t *t, qn_tls_config_t *c, int err)
{
  if (!t->hello_asked || t->config_answered) {
    return;
  }
  t->config_answered = true;
  t->config_err = err;
  if (err >= 0 && c != NULL) {
    t->config_err = qn__tls_switch(t, c);
  }
  if (t->wait == QN__TLS_WAIT_CONFIG) {
    t->wait = QN__TLS_WAIT_NONE;
    qn__tls_go_on(t);
  }
}

static int keep_name(qn_tls_t *t, const char *name)
{
  if (t->server_name == NULL) {
    t->server_name = qn_strdup(name);
  }
  return t->server_name != NULL ? 0 : -ENOMEM;
}

static void say_refused(qn_tls_t *t)
{
  char text[NAME_MAX_SIZE + 64];
  if (t->server_name != NULL) {
    snprintf(text, sizeof text, "the server name \"%s\" is not served here", t->server_name);
  }
  qn__tls_say(t,
              t->server_name != NULL ? text : "the client has named no server, which is refused");
}

static int hello(SSL *ssl, int *alert, void *arg)
{
  qn_tls_t *t = qn__tls_of_ssl(ssl);
  char name[NAME_MAX_SIZE + 1];
  bool named = hello_name(ssl, name);
  (void)arg;
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  if (named && keep_name(t, name) < 0) {
    *alert = SSL_AD_INTERNAL_ERROR;
    t->io_error = -ENOMEM;
    return SSL_CLIENT_HELLO_ERROR;
  }
  if (t->hooks.sni != NULL && !t->hello_asked) {
    t->hello_asked = true;
    t->hooks.sni(t, named ? name : NULL, t->hooks.arg);
  }
  if (t->hello_asked && !t->config_answered) {
    t->wait = QN__TLS_WAIT_CONFIG;
    return SSL_CLIENT_HELLO_RETRY;
  }
  int rc = t->config_err < 0 ? t->config_err : 0;
  if (rc == QN_E_TLS) {
    say_refused(t);
  }
  qn_tls_config_t *other = named && t->chosen == NULL ? look_up(t->config, name) : NULL;
  if (rc == 0 && other != NULL) {
    rc = qn__tls_switch(t, other);
  }
  if (rc < 0) {
    t->io_error = rc;
    return SSL_CLIENT_HELLO_ERROR;
  }
  return SSL_CLIENT_HELLO_SUCCESS;
}

/* The name is acknowledged (RFC 6066) when there was one. */
static int acknowledge(SSL *ssl, int *alert, void *arg)
{
  (void)alert;
  (void)arg;
  return qn__tls_of_ssl(ssl)->server_name != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int staple(SSL *ssl, void *arg)
{
  const qn_tls_config_t *c = qn__tls_effective(qn__tls_of_ssl(ssl));
  (void)arg;
  if (c->staple_size == 0) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  uint8_t *copy = OPENSSL_memdup(c->staple, c->staple_size);
  if (copy == NULL) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)c->staple_size); /* takes it over */
  return SSL_TLSEXT_ERR_OK;
}

void qn__tls_sni_setup(SSL_CTX *ctx)
{
  SSL_CTX_set_client_hello_cb(ctx, hello, NULL);
  SSL_CTX_set_tlsext_servername_callback(ctx, acknowledge);
  SSL_CTX_set_tlsext_status_cb(ctx, staple);
}

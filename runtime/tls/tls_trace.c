/* tls_trace.c: what happens in a TLS or DTLS connection, in words, for the loop's trace function.
 *
 * Each message of the handshake, each alert and the outcome is one event of layer "tls". Looked for
 * once, when a connection starts: without a trace function nothing is installed and nothing is
 * paid. Must not show secrets: keys, random numbers and tickets never, identities of shared keys by
 * their length. Invariant: every length of a message is checked, since these are the peer's bytes.
 */
#include "tls/f_tls_i.h"

#include "net/trace.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 1024u

struct qn__tls_trace {
  qn_loop_t *loop;
  uint64_t id;
  qn_addr_t peer; /* size 0: not known */
};

typedef struct text {
  char bytes[TEXT_MAX];
  size_t size;
} text_t;

/* What is left of a message. */
typedef struct part {
  const uint8_t *p;
  size_t size;
  bool bad;
} part_t;

static void add(text_t *x, const char *format, ...) QN_PRINTF(2, 3);
static void add(text_t *x, const char *format, ...)
{
  va_list ap;
  va_start(ap, format);
  int n = vsnprintf(x->bytes + x->size, sizeof x->bytes - x->size, format, ap);
  va_end(ap);
  x->size += n > 0 ? (size_t)n : 0;
  x->size = x->size < sizeof x->bytes ? x->size : sizeof x->bytes - 1;
}

/* The peer's bytes: what is not printable ASCII becomes "?". */
static void add_bytes(text_t *x, const uint8_t *p, size_t size)
{
  for (size_t i = 0; i < size && i < 255; i++) {
    add(x, "%c", p[i] > 0x20 && p[i] < 0x7f ? p[i] : '?');
  }
}

static void report(const qn_tls_t *t, qn_trace_what_t what, const char *text, size_t size)
{
  const struct qn__tls_trace *to = t->trace;
  qn_trace_event_t e = {
      .what = what,
      .id = to->id,
      .layer = "tls",
      .bytes = {(const uint8_t *)text, size},
      .peer = to->peer.size != 0 ? &to->peer : NULL,
  };
  qn__trace(to->loop, &e);
}

void qn__tls_trace_say(const qn_tls_t *t, const char *format, ...)
{
  text_t x = {.size = 0};
  va_list ap;
  va_start(ap, format);
  int n = vsnprintf(x.bytes, sizeof x.bytes, format, ap);
  va_end(ap);
  x.size = n < 0 ? 0 : (size_t)n < sizeof x.bytes ? (size_t)n : sizeof x.bytes - 1;
  report(t, QN_TRACE_NOTE, x.bytes, x.size);
}

/* --- messages --------------------------------------------------------------------------------- */

static size_t number(part_t *m, size_t bytes)
{
  size_t n = 0;
  if (m->size < bytes) {
    m->bad = true;
    m->size = 0;
    return 0;
  }
  for (size_t i = 0; i < bytes; i++) {
    n = n << 8 | m->p[i];
  }
  m->p += bytes;
  m->size -= bytes;
  return n;
}

static part_t take(part_t *m, size_t size)
{
  if (m->bad || m->size < size) {
    m->bad = true;
    m->size = 0;
    return (part_t){m->p, 0, true};
  }
  part_t part = {m->p, size, false};
  m->p += size;
  m->size -= size;
  return part;
}

/* A part behind its length of `bytes` bytes. */
static part_t take_vector(part_t *m, size_t bytes)
{
  size_t size = number(m, bytes);
  return take(m, size);
}

static void add_version(text_t *x, size_t version)
{
  switch (version) {
  case QN_TLS_1_3: add(x, "TLS 1.3"); break;
  case QN_TLS_1_2: add(x, "TLS 1.2"); break;
  case QN_TLS_1_1: add(x, "TLS 1.1"); break;
  case QN_TLS_1_0: add(x, "TLS 1.0"); break;
  case DTLS1_2_VERSION: add(x, "DTLS 1.2"); break;
  case DTLS1_VERSION: add(x, "DTLS 1.0"); break;
  default: add(x, "version 0x%04x", (unsigned)version);
  }
}

static void add_alpn(text_t *x, part_t e)
{
  part_t names = take_vector(&e, 2);
  add(x, ", ALPN");
  for (bool first = true; names.size != 0; first = false) {
    part_t name = take_vector(&names, 1);
    add(x, first ? " " : ", ");
    add_bytes(x, name.p, name.size);
  }
}

static void add_sni(text_t *x, part_t e)
{
  part_t list = take_vector(&e, 2);
  size_t type = number(&list, 1);
  part_t name = take_vector(&list, 2);
  if (type == TLSEXT_NAMETYPE_host_name && name.size != 0) {
    add(x, ", SNI ");
    add_bytes(x, name.p, name.size);
  }
}

static void add_psk(text_t *x, part_t e, bool hello)
{
  if (!hello) {
    add(x, ", key %u accepted", (unsigned)number(&e, 2));
    return;
  }
  for (part_t ids = take_vector(&e, 2); ids.size != 0;) {
    part_t id = take_vector(&ids, 2);
    (void)number(&ids, 4);
    add(x, ", ticket or shared key (%zu bytes)", id.size);
  }
}

/* Newest version of a ClientHello, or the chosen one. 0: the extension is not there. */
static size_t version_of(part_t exts, bool hello)
{
  while (exts.size != 0) {
    size_t type = number(&exts, 2);
    part_t e = take_vector(&exts, 2);
    if (type != TLSEXT_TYPE_supported_versions) {
      continue;
    }
    size_t best = 0;
    if (!hello) {
      return number(&e, 2);
    }
    for (part_t list = take_vector(&e, 1); list.size != 0;) {
      size_t v = number(&list, 2);
      best = v > best && v <= QN_TLS_1_3 ? v : best; /* above: reserved, GREASE */
    }
    return best;
  }
  return 0;
}

static void add_extensions(text_t *x, part_t exts, bool hello)
{
  while (exts.size != 0) {
    size_t type = number(&exts, 2);
    part_t e = take_vector(&exts, 2);
    switch (type) {
    case TLSEXT_TYPE_server_name:
      if (hello) {
        add_sni(x, e);
      }
      break;
    case TLSEXT_TYPE_application_layer_protocol_negotiation: add_alpn(x, e); break;
    case TLSEXT_TYPE_session_ticket:
      if (e.size != 0) {
        add(x, ", ticket (%zu bytes)", e.size);
      }
      break;
    case TLSEXT_TYPE_psk: add_psk(x, e, hello); break;
    case TLSEXT_TYPE_early_data: add(x, ", early data"); break;
    case TLSEXT_TYPE_status_request:
      if (hello) {
        add(x, ", OCSP wanted");
      }
      break;
    default: break;
    }
  }
}

static void add_client_hello(text_t *x, part_t m, bool dtls)
{
  size_t legacy = number(&m, 2);
  (void)take(&m, 32);
  part_t id = take_vector(&m, 1);
  part_t cookie = dtls ? take_vector(&m, 1) : (part_t){.size = 0};
  part_t suites = take_vector(&m, 2);
  (void)take_vector(&m, 1);
  part_t exts = m.size != 0 ? take_vector(&m, 2) : m;
  size_t newest = version_of(exts, true);
  add(x, ": ");
  add_version(x, newest != 0 ? newest : legacy);
  add(x, ", %zu cipher suites", suites.size / 2);
  if (id.size != 0 && newest < QN_TLS_1_3) {
    add(x, ", session (%zu bytes)", id.size);
  }
  if (cookie.size != 0) {
    add(x, ", cookie");
  }
  add_extensions(x, exts, true);
}

static void add_server_hello(text_t *x, part_t m, SSL *ssl)
{
  size_t legacy = number(&m, 2);
  (void)take(&m, 32);
  (void)take_vector(&m, 1);
  part_t suite = take(&m, 2);
  (void)number(&m, 1);
  part_t exts = m.size != 0 ? take_vector(&m, 2) : m;
  size_t chosen = version_of(exts, false);
  const SSL_CIPHER *c = suite.size == 2 ? SSL_CIPHER_find(ssl, suite.p) : NULL;
  add(x, ": ");
  add_version(x, chosen != 0 ? chosen : legacy);
  add(x, ", %s", c != NULL ? SSL_CIPHER_get_name(c) : "unknown cipher suite");
  add_extensions(x, exts, false);
}

static void add_name(text_t *x, const X509_NAME *name)
{
  char line[256];
  BIO *bio = BIO_new(BIO_s_mem());
  int n = -1;
  if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
    n = BIO_read(bio, line, sizeof line);
  }
  for (int i = 0; i < n; i++) {
    add(x, "%c", line[i] >= 0x20 && line[i] < 0x7f ? line[i] : '?');
  }
  BIO_free(bio);
}

static void add_certificates(text_t *x, part_t m, bool with_context)
{
  if (with_context) {
    (void)take_vector(&m, 1);
  }
  part_t list = take_vector(&m, 3);
  if (list.size == 0) {
    add(x, ": none");
  }
  for (size_t i = 0; list.size != 0; i++) {
    part_t der = take_vector(&list, 3);
    const unsigned char *p = der.p;
    X509 *x509 = der.size != 0 ? d2i_X509(NULL, &p, (long)der.size) : NULL;
    add(x, i == 0 ? ": " : "; ");
    if (x509 != NULL) {
      add_name(x, X509_get_subject_name(x509));
      add(x, " (issuer ");
      add_name(x, X509_get_issuer_name(x509));
      add(x, ")");
      X509_free(x509);
    } else {
      add(x, "unreadable");
    }
    if (with_context) {
      part_t exts = take_vector(&list, 2);
      if (number(&exts, 2) == TLSEXT_TYPE_status_request) {
        add(x, ", OCSP response");
      }
    }
  }
}

static void add_ticket(text_t *x, part_t m, bool newer)
{
  size_t life = number(&m, 4);
  if (newer) {
    (void)number(&m, 4);
    (void)take_vector(&m, 1);
  }
  part_t ticket = take_vector(&m, 2);
  add(x, ": %zu bytes, for %zu seconds", ticket.size, life);
}

static void add_encrypted(text_t *x, part_t m)
{
  part_t exts = take_vector(&m, 2);
  text_t all = {.size = 0};
  add_extensions(&all, exts, false);
  if (all.size > 2) {
    add(x, ": %s", all.bytes + 2);
  }
}

static const char *const message_names[] = {
    [SSL3_MT_HELLO_REQUEST] = "hello request",
    [SSL3_MT_CLIENT_HELLO] = "client hello",
    [SSL3_MT_SERVER_HELLO] = "server hello",
    [DTLS1_MT_HELLO_VERIFY_REQUEST] = "hello verify request",
    [SSL3_MT_NEWSESSION_TICKET] = "session ticket",
    [SSL3_MT_END_OF_EARLY_DATA] = "end of early data",
    [SSL3_MT_ENCRYPTED_EXTENSIONS] = "encrypted extensions",
    [SSL3_MT_CERTIFICATE] = "certificate",
    [SSL3_MT_SERVER_KEY_EXCHANGE] = "server key exchange",
    [SSL3_MT_CERTIFICATE_REQUEST] = "certificate request",
    [SSL3_MT_SERVER_DONE] = "server hello done",
    [SSL3_MT_CERTIFICATE_VERIFY] = "certificate signature",
    [SSL3_MT_CLIENT_KEY_EXCHANGE] = "client key exchange",
    [SSL3_MT_FINISHED] = "finished",
    [SSL3_MT_CERTIFICATE_STATUS] = "certificate status",
    [SSL3_MT_KEY_UPDATE] = "key update",
};

static bool is_retry(part_t m)
{
  static const uint8_t retry[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11,
                                  0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91};
  return m.size >= 34 && memcmp(m.p + 2, retry, sizeof retry) == 0;
}

static void add_message(text_t *x, SSL *ssl, part_t m, bool sent)
{
  size_t type = number(&m, 1);
  bool dtls = SSL_is_dtls(ssl);
  if (dtls) { /* whole messages have the header of a fragment, too (RFC 6347 section 4.2.2) */
    size_t size = number(&m, 3);
    (void)take(&m, 8);
    m = take(&m, size);
  } else {
    m = take_vector(&m, 3);
  }
  const char *name =
      type < sizeof message_names / sizeof message_names[0] ? message_names[type] : NULL;
  bool newer = SSL_version(ssl) == TLS1_3_VERSION;
  if (name == NULL) {
    add(x, "message %zu", type);
  } else {
    add(x, "%s", type == SSL3_MT_SERVER_HELLO && is_retry(m) ? "hello retry request" : name);
  }
  add(x, sent ? " sent" : " received");
  switch (type) {
  case SSL3_MT_CLIENT_HELLO: add_client_hello(x, m, dtls); break;
  case SSL3_MT_SERVER_HELLO: add_server_hello(x, m, ssl); break;
  case SSL3_MT_ENCRYPTED_EXTENSIONS: add_encrypted(x, m); break;
  case SSL3_MT_CERTIFICATE: add_certificates(x, m, newer); break;
  case SSL3_MT_NEWSESSION_TICKET: add_ticket(x, m, newer); break;
  case SSL3_MT_KEY_UPDATE:
    add(x, number(&m, 1) == 1 ? ": answer wanted" : ": no answer wanted");
    break;
  case SSL3_MT_CERTIFICATE_STATUS: add(x, ": OCSP response"); break;
  default: break;
  }
}

static void on_message(int sent, int version, int type, const void *data, size_t size, SSL *ssl,
                       void *arg)
{
  const qn_tls_t *t = qn__tls_of_ssl(ssl);
  text_t x = {.size = 0};
  const uint8_t *p = data;
  (void)version;
  (void)arg;
  if (t == NULL || t->trace == NULL) {
    return;
  }
  if (type == SSL3_RT_HANDSHAKE && size >= 4) {
    ERR_set_mark();
    add_message(&x, ssl, (part_t){p, size, false}, sent != 0);
    ERR_pop_to_mark();
  } else if (type == SSL3_RT_ALERT && size == 2) {
    bool mild = p[1] == SSL_AD_CLOSE_NOTIFY;
    add(&x, "%s%s %s",
        mild                    ? ""
        : p[0] == SSL3_AL_FATAL ? "fatal alert "
                                : "alert ",
        qn_tls_alert_name(p[1]), sent != 0 ? "sent" : "received");
  } else {
    return;
  }
  report(t, sent != 0 ? QN_TRACE_NOTE_OUT : QN_TRACE_NOTE_IN, x.bytes, x.size);
}

/* --- the connection --------------------------------------------------------------------------- */

qn_addr_t *qn__tls_trace_begin(qn_tls_t *t, qn_loop_t *loop, uint64_t id)
{
  t->trace = qn__traced(loop) ? qn_calloc(1, sizeof *t->trace) : NULL;
  if (t->trace == NULL) { /* also without memory */
    return NULL;
  }
  t->trace->loop = loop;
  t->trace->id = id;
  SSL_set_msg_callback(t->ssl, on_message);
  return &t->trace->peer;
}

void qn__tls_trace_up(const qn_tls_t *t)
{
  int bits = 0;
  const char *key = qn_tls_ephemeral_key(t, &bits);
  qn_slice_t alpn = qn_tls_alpn(t);
  text_t x = {.size = 0};
  add(&x, "handshake done: %s, %s", qn_tls_version_name(qn_tls_version(t)), qn_tls_cipher(t));
  if (key != NULL) {
    add(&x, ", %s", key);
  }
  if (alpn.size != 0) {
    add(&x, ", ALPN ");
    add_bytes(&x, alpn.data, alpn.size);
  }
  add(&x, "%s",
      qn_tls_psk_identity(t) != NULL ? ", shared key"
      : qn_tls_resumed(t)            ? ", session resumed"
                                     : ", new session");
  report(t, QN_TRACE_NOTE, x.bytes, x.size);
}

void qn__tls_trace_sent(qn_loop_t *loop, uint64_t id, const qn_addr_t *peer, const char *what)
{
  text_t x = {.size = 0};
  if (qn__traced(loop)) {
    add(&x, "%s sent", what);
    qn__trace(loop, &(qn_trace_event_t){.what = QN_TRACE_NOTE_OUT,
                                        .id = id,
                                        .layer = "tls",
                                        .bytes = {(const uint8_t *)x.bytes, x.size},
                                        .peer = peer});
  }
}

void qn__tls_trace_verified(const qn_tls_t *t)
{
  if (t->fault_count == 0) {
    qn__tls_trace_say(t, "certificate verified%s%s", t->verify_name != NULL ? " for " : "",
                      t->verify_name != NULL ? t->verify_name : "");
  }
  for (size_t i = 0; i < t->fault_count; i++) {
    qn_tls_error_t e = qn_tls_error_at(t, i);
    qn__tls_trace_say(t, "certificate %d is not good: %s: %s", e.depth, qn_err_name(e.err), e.text);
  }
}

/* error.c: from a negative number to its name, text, kind and whether it may pass.
 *
 * Called wherever an error is shown or sorted. The families share the numbers: errno (negated),
 * look-up errors with libuv's numbers, ours (QN_ERRORS), those of certificates. Must not know uv.h:
 * the test compares. Invariant: every number has exactly one entry, else the switch does not
 * compile.
 */
#include "qn/base.h"

#include "base/error_table.h"
#include "base/verify_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* <stdio.h> defines EOF, which must not replace the kind of that name below. */
#undef EOF

typedef struct entry {
  const char *name, *text;
  qn_kind_t kind;
  bool temporary;
} entry_t;

static bool own_is_temporary(int err, qn_kind_t kind)
{
  return kind == QN_KIND_TIMEOUT || kind == QN_KIND_BUSY || err == QN_E_DNS_SERVFAIL ||
         err == QN_E_DNS_UNREACHABLE;
}

static bool find(int err, entry_t *out)
{
  switch (err) {
#define X(code, kind, temporary, text) \
  case -(code): *out = (entry_t){#code, text, QN_KIND_##kind, temporary}; return true;
    QN__SYSTEM_ERRORS(X)
#undef X
#define X(number, name, kind, temporary, text) \
  case number: *out = (entry_t){name, text, QN_KIND_##kind, temporary}; return true;
    QN__LOOKUP_ERRORS(X)
#undef X
#define X(id, number, name, kind, text) \
  case number: *out = (entry_t){name, text, kind, own_is_temporary(number, kind)}; return true;
    QN_ERRORS(X)
#undef X
#define X(number, name, text) \
  case QN_E_ALERT(number): *out = (entry_t){name, text, QN_KIND_TLS, false}; return true;
    QN__ALERTS(X)
#undef X
#define X(number, name, text) \
  case QN_E_VERIFY(number): *out = (entry_t){name, text, QN_KIND_TLS, false}; return true;
    QN__VERIFY_ERRORS(X)
#undef X
  default: break;
  }
  if (err <= QN_E_ALERT(0) && err >= QN_E_ALERT(255)) {
    *out = (entry_t){"ALERT_UNKNOWN", "the peer sent TLS alert: unknown", QN_KIND_TLS, false};
    return true;
  }
  *out = (entry_t){"CERT_ERROR", "the certificate cannot be verified", QN_KIND_TLS, false};
  return QN_E_IS_VERIFY(err); /* of a newer library */
}

const char *qn_err_name(int err)
{
  entry_t e;
  return find(err, &e) ? e.name : "UNKNOWN";
}

const char *qn_err_text(int err)
{
  static _Thread_local char unknown[40];
  entry_t e;
  if (find(err, &e)) {
    return e.text;
  }
  snprintf(unknown, sizeof unknown, "unknown error %d", err);
  return unknown;
}

qn_kind_t qn_err_kind(int err)
{
  entry_t e;
  return find(err, &e) ? e.kind : QN_KIND_IO;
}

bool qn_err_temporary(int err)
{
  entry_t e;
  return find(err, &e) && e.temporary;
}

static const char *const kind_names[QN_KIND_COUNT] = {
    [QN_KIND_IO] = "io",
    [QN_KIND_TIMEOUT] = "timeout",
    [QN_KIND_REFUSED] = "refused",
    [QN_KIND_RESET] = "reset",
    [QN_KIND_UNREACHABLE] = "unreachable",
    [QN_KIND_CLOSED] = "closed",
    [QN_KIND_EOF] = "eof",
    [QN_KIND_DNS] = "dns",
    [QN_KIND_TLS] = "tls",
    [QN_KIND_PROTOCOL] = "protocol",
    [QN_KIND_HTTP] = "http",
    [QN_KIND_LIMIT] = "limit",
    [QN_KIND_DENIED] = "denied",
    [QN_KIND_BUSY] = "busy",
    [QN_KIND_EXISTS] = "exists",
    [QN_KIND_PROXY] = "proxy",
    [QN_KIND_AUTH] = "auth",
    [QN_KIND_INVALID] = "invalid",
    [QN_KIND_UNSUPPORTED] = "unsupported",
    [QN_KIND_NOT_YIELDABLE] = "not_yieldable",
};

const char *qn_kind_name(qn_kind_t kind)
{
  return (unsigned)kind < QN_KIND_COUNT ? kind_names[kind] : "io";
}

int qn_kind_from_name(const char *name)
{
  for (int i = 0; i < QN_KIND_COUNT; i++) {
    if (strcmp(kind_names[i], name) == 0) {
      return i;
    }
  }
  return -1;
}

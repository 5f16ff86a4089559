/* qn/base.h: the vocabulary that every other header uses: results, slices, memory hooks, errors.
 *
 * Results are `int` (or `int64_t` where a size is returned): >= 0 is success, negative is an error.
 * System errors are `-errno`, as in libuv; name look-up errors and ours have their own ranges (see
 * QN_ERRORS). Nothing here allocates behind the caller's back, nothing here knows a socket.
 */
#ifndef QN_BASE_H
#define QN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define QN_API __attribute__((visibility("default")))
#define QN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define QN_LIKELY(x) __builtin_expect(!!(x), 1)
#define QN_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define QN_API
#define QN_PRINTF(fmt, args)
#define QN_LIKELY(x) (x)
#define QN_UNLIKELY(x) (x)
#endif

#define QN_VERSION_MAJOR 0
#define QN_VERSION_MINOR 1
#define QN_VERSION_PATCH 0
#define QN_VERSION "0.1.0"

/* Bytes that someone else owns. */
typedef struct qn_slice {
  const uint8_t *data;
  size_t size;
} qn_slice_t;

/* --- errors ---------------------------------------------------------------------------------- */

/* The closed set of kinds that the Lua API shows as `err.kind`. */
typedef enum qn_kind {
  QN_KIND_IO,
  QN_KIND_TIMEOUT,
  QN_KIND_REFUSED,
  QN_KIND_RESET,
  QN_KIND_UNREACHABLE,
  QN_KIND_CLOSED,
  QN_KIND_EOF,
  QN_KIND_DNS,
  QN_KIND_TLS,
  QN_KIND_PROTOCOL,
  QN_KIND_HTTP,
  QN_KIND_LIMIT,
  QN_KIND_DENIED,
  QN_KIND_BUSY,
  QN_KIND_EXISTS,
  QN_KIND_PROXY,
  QN_KIND_AUTH,
  QN_KIND_INVALID,
  QN_KIND_UNSUPPORTED,
  QN_KIND_NOT_YIELDABLE,
  QN_KIND_COUNT
} qn_kind_t;

/* Our own codes: X(enumerator, number, "CODE", kind, "text"). System and look-up errors are in
 * runtime/base/error.c; all three share one name space of negative numbers. */
#define QN_ERRORS(X)                                                                               \
  X(QN_AGAIN, -5000, "AGAIN", QN_KIND_BUSY, "the operation is pending")                            \
  X(QN_E_EOF, -5001, "EOF", QN_KIND_EOF, "the stream ended too early")                             \
  X(QN_E_CLOSED, -5002, "CLOSED", QN_KIND_CLOSED, "the handle is closed")                          \
  X(QN_E_CANCELLED, -5003, "CANCELLED", QN_KIND_CLOSED, "the operation was cancelled")             \
  X(QN_E_TIMEOUT, -5004, "TIMEOUT", QN_KIND_TIMEOUT, "timed out")                                  \
  X(QN_E_BUSY, -5005, "BUSY", QN_KIND_BUSY, "another operation of this kind is waiting")           \
  X(QN_E_LIMIT, -5006, "LIMIT", QN_KIND_LIMIT, "a limit was exceeded")                             \
  X(QN_E_NOT_CONNECTED, -5007, "NOT_CONNECTED", QN_KIND_CLOSED, "the socket is not connected")     \
  X(QN_E_IS_CONNECTED, -5008, "IS_CONNECTED", QN_KIND_INVALID, "the socket is already in use")     \
  X(QN_E_INVALID, -5009, "INVALID", QN_KIND_INVALID, "invalid argument or data")                   \
  X(QN_E_UNSUPPORTED, -5010, "UNSUPPORTED", QN_KIND_UNSUPPORTED, "the operation is not supported") \
  X(QN_E_PLAINTEXT, -5011, "PLAINTEXT_BUFFERED", QN_KIND_PROTOCOL,                                 \
    "unread bytes are buffered: they must not cross into the new layer")                           \
  X(QN_E_PROTOCOL, -5012, "PROTOCOL", QN_KIND_PROTOCOL, "protocol error")                          \
  X(QN_E_HOST_NOT_FOUND, -5013, "HOST_NOT_FOUND", QN_KIND_DNS, "host not found")                   \
  X(QN_E_SHUTDOWN, -5014, "SHUTDOWN", QN_KIND_CLOSED, "the writing side is already shut down")     \
  X(QN_E_DEADLOCK, -5015, "DEADLOCK", QN_KIND_INVALID,                                             \
    "every task waits and nothing can wake one")                                                   \
  X(QN_E_BAD_ADDRESS, -5016, "INVALID_ADDRESS", QN_KIND_INVALID, "not an address literal")         \
  X(QN_E_BAD_URL, -5017, "INVALID_URL", QN_KIND_INVALID, "not a valid URL")                        \
  X(QN_E_BAD_HOST, -5018, "INVALID_HOST", QN_KIND_INVALID, "not a valid host name")                \
  X(QN_E_NO_DATA, -5019, "NO_DATA", QN_KIND_DNS, "the name has no record of this type")            \
  X(QN_E_DNS_FORMERR, -5020, "DNS_FORMERR", QN_KIND_DNS,                                           \
    "the name server could not read the question")                                                 \
  X(QN_E_DNS_SERVFAIL, -5021, "DNS_SERVFAIL", QN_KIND_DNS, "the name server failed")               \
  X(QN_E_DNS_NOTIMP, -5022, "DNS_NOTIMP", QN_KIND_DNS,                                             \
    "the name server does not know this kind of question")                                         \
  X(QN_E_DNS_REFUSED, -5023, "DNS_REFUSED", QN_KIND_DNS, "the name server refused to answer")      \
  X(QN_E_DNS_REPLY, -5024, "DNS_BAD_REPLY", QN_KIND_DNS,                                           \
    "the answer of the name server is not well formed")                                            \
  X(QN_E_DNS_UNREACHABLE, -5025, "DNS_UNREACHABLE", QN_KIND_DNS, "no name server can be reached")  \
  X(QN_E_DGRAM_SIZE, -5026, "DATAGRAM_TOO_LARGE", QN_KIND_LIMIT, "the datagram is too large")      \
  X(QN_E_TLS, -5030, "TLS_HANDSHAKE", QN_KIND_TLS, "the TLS handshake failed")                     \
  X(QN_E_TLS_DATA, -5031, "TLS_PROTOCOL", QN_KIND_TLS, "the peer broke the TLS protocol")          \
  X(QN_E_TLS_TRUNCATED, -5032, "TLS_TRUNCATED", QN_KIND_TLS,                                       \
    "the connection ended without a close_notify")                                                 \
  X(QN_E_TLS_CONFIG, -5033, "TLS_CONFIGURATION", QN_KIND_INVALID,                                  \
    "the TLS configuration is not usable")                                                         \
  X(QN_E_CERT_FORMAT, -5034, "CERT_FORMAT", QN_KIND_INVALID, "not a certificate")                  \
  X(QN_E_KEY_FORMAT, -5035, "KEY_FORMAT", QN_KIND_INVALID, "not a key")                            \
  X(QN_E_KEY_PASSPHRASE, -5036, "KEY_PASSPHRASE", QN_KIND_AUTH,                                    \
    "the passphrase is missing or wrong")                                                          \
  X(QN_E_KEY_MISMATCH, -5037, "KEY_MISMATCH", QN_KIND_INVALID,                                     \
    "the key does not belong to the certificate")                                                  \
  X(QN_E_CRYPTO, -5038, "CRYPTO", QN_KIND_IO, "the cryptographic operation failed")

enum {
#define QN_X(id, number, name, kind, text) id = (number),
  QN_ERRORS(QN_X)
#undef QN_X
};

/* Alerts of TLS that the peer has sent, by their number 0..255: "ALERT_HANDSHAKE_FAILURE" ... */
#define QN_E_ALERT(n) (-(5400 + (n)))
/* What is wrong with a certificate, OpenSSL's X509_V_ERR number 1..199: "CERT_HAS_EXPIRED" ... */
#define QN_E_VERIFY(n) (-(5200 + (n)))
#define QN_E_IS_VERIFY(err) ((err) < -5200 && (err) > -5400)

/* "ECONNREFUSED", "EAI_AGAIN", "EOF" ...; "UNKNOWN" for a number that nobody defined. Static. */
QN_API const char *qn_err_name(int err);
/* A short lower-case sentence without a full stop. Static or thread-local, valid until the next
 * call. */
QN_API const char *qn_err_text(int err);
QN_API qn_kind_t qn_err_kind(int err);
QN_API const char *qn_kind_name(qn_kind_t kind);
/* -1 when the name is not in the set. */
QN_API int qn_kind_from_name(const char *name);
/* Whether trying the same thing later may succeed (ECONNREFUSED, EMFILE, EAI_AGAIN ...). */
QN_API bool qn_err_temporary(int err);

/* --- memory ---------------------------------------------------------------------------------- */

/* All memory of the runtime comes from here: tests can count it and fail the Nth request. */
QN_API void *qn_malloc(size_t size);
QN_API void *qn_calloc(size_t count, size_t size);
QN_API void *qn_realloc(void *p, size_t size);
QN_API char *qn_strdup(const char *s);
QN_API void qn_free(void *p);
/* Test hook, per thread: the Nth allocation from now fails (once), 0 switches it off. */
QN_API void qn_alloc_fail_at(uint64_t nth);
/* Whether the armed failure has happened, which also disarms it. */
QN_API bool qn_alloc_failed(void);
/* Blocks allocated by this thread minus those freed: equal before and after = no leak. */
QN_API int64_t qn_alloc_live(void);

#endif

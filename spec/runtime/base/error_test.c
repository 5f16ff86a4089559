/* Names, texts and kinds of errors; names and numbers agree with libuv's. */
#include "test.h"

#include "qn/base.h"

#include <ctype.h>
#include <errno.h>
#include <uv.h>

static void check_text(int err)
{
  const char *text = qn_err_text(err);
  TEST_ROUND("%d %s", err, qn_err_name(err));
  CHECK(strlen(text) > 3 && strlen(text) < 80);
  CHECK(!isupper((unsigned char)text[0]));
  CHECK(text[strlen(text) - 1] != '.');
}

TEST(every_number_of_libuv_is_known)
{
#define X(code, text)                       \
  CHECK_STR(qn_err_name(UV_##code), #code); \
  check_text(UV_##code);                    \
  CHECK(strncmp(qn_err_text(UV_##code), "unknown error", 13) != 0 || UV_##code == UV_UNKNOWN);
  UV_ERRNO_MAP(X)
#undef X
}

TEST(ours_are_known)
{
#define X(id, number, name, kind, text) \
  CHECK_INT(id, number);                \
  CHECK_STR(qn_err_name(id), name);     \
  CHECK_STR(qn_err_text(id), text);     \
  CHECK_INT(qn_err_kind(id), kind);     \
  check_text(id);
  QN_ERRORS(X)
#undef X
}

TEST(certificates)
{
  char name[80], text[80];
  for (int n = 1; n <= 94; n++) { /* all that X.509 libraries have numbers for */
    int err = QN_E_VERIFY(n);
    TEST_ROUND("%d", err);
    CHECK(QN_E_IS_VERIFY(err));
    snprintf(name, sizeof name, "%s", qn_err_name(err));
    snprintf(text, sizeof text, "%s", qn_err_text(err));
    CHECK(strncmp(name, "CERT_", 5) == 0 && strcmp(name, "CERT_ERROR") != 0);
    CHECK(strlen(text) > 10 && text[strlen(text) - 1] != '.');
    CHECK_INT(qn_err_kind(err), QN_KIND_TLS);
    CHECK(!qn_err_temporary(err));
    for (int other = 1; other < n; other++) {
      CHECK(strcmp(qn_err_name(QN_E_VERIFY(other)), name) != 0);
    }
  }
  CHECK_STR(qn_err_name(QN_E_VERIFY(10)), "CERT_HAS_EXPIRED");
  CHECK_STR(qn_err_name(QN_E_VERIFY(62)), "CERT_HOSTNAME_MISMATCH");
  CHECK_STR(qn_err_name(QN_E_VERIFY(150)), "CERT_ERROR"); /* of a newer library */
  CHECK_STR(qn_err_name(QN_E_VERIFY(199)), "CERT_NOT_PINNED");
  CHECK_STR(qn_err_name(QN_E_VERIFY(0)), "UNKNOWN");
}

TEST(kinds)
{
  static const struct {
    int err;
    qn_kind_t kind;
  } cases[] = {
      {-ECONNREFUSED, QN_KIND_REFUSED},
      {-ENOENT, QN_KIND_IO},
      {-ECONNRESET, QN_KIND_RESET},
      {-EPIPE, QN_KIND_RESET},
      {-ECONNABORTED, QN_KIND_RESET},
      {-EHOSTUNREACH, QN_KIND_UNREACHABLE},
      {-ENETUNREACH, QN_KIND_UNREACHABLE},
      {-ENETDOWN, QN_KIND_UNREACHABLE},
      {-EADDRNOTAVAIL, QN_KIND_UNREACHABLE},
      {-ETIMEDOUT, QN_KIND_TIMEOUT},
      {-EACCES, QN_KIND_DENIED},
      {-EPERM, QN_KIND_DENIED},
      {-EEXIST, QN_KIND_EXISTS},
      {-EADDRINUSE, QN_KIND_EXISTS},
      {-EMFILE, QN_KIND_LIMIT},
      {-ENFILE, QN_KIND_LIMIT},
      {-ENOBUFS, QN_KIND_LIMIT},
      {-ENOMEM, QN_KIND_LIMIT},
      {-EMSGSIZE, QN_KIND_LIMIT},
      {-EINVAL, QN_KIND_INVALID},
      {-EBADF, QN_KIND_INVALID},
      {-EAFNOSUPPORT, QN_KIND_INVALID},
      {UV_EAI_NONAME, QN_KIND_DNS},
      {UV_EAI_AGAIN, QN_KIND_DNS},
      {-ENOTCONN, QN_KIND_CLOSED},
      {-EOPNOTSUPP, QN_KIND_UNSUPPORTED},
      {-ENOSYS, QN_KIND_UNSUPPORTED},
      {UV_EOF, QN_KIND_EOF},
      {QN_E_TIMEOUT, QN_KIND_TIMEOUT},
      {QN_E_HOST_NOT_FOUND, QN_KIND_DNS},
      {-12345, QN_KIND_IO},
      {0, QN_KIND_IO},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    TEST_ROUND("%d %s", cases[i].err, qn_err_name(cases[i].err));
    CHECK_STR(qn_kind_name(qn_err_kind(cases[i].err)), qn_kind_name(cases[i].kind));
  }
}

TEST(temporary_errors)
{
  static const int yes[] = {-ECONNREFUSED, -ETIMEDOUT, -EMFILE, UV_EAI_AGAIN, QN_E_TIMEOUT,
                            QN_E_BUSY,     -ENOBUFS,   -EAGAIN, -EADDRINUSE};
  static const int no[] = {-ENOENT, -EACCES, UV_EAI_NONAME, QN_E_EOF, QN_E_CLOSED, -12345, 0, 7};
  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
    TEST_ROUND("%s", qn_err_name(yes[i]));
    CHECK(qn_err_temporary(yes[i]));
  }
  for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
    TEST_ROUND("%s", qn_err_name(no[i]));
    CHECK(!qn_err_temporary(no[i]));
  }
}

TEST(texts_that_users_see)
{
  CHECK_STR(qn_err_text(-ECONNREFUSED), "connection refused");
  CHECK_STR(qn_err_text(-ECONNRESET), "connection reset by peer");
  CHECK_STR(qn_err_text(-EPIPE), "the peer closed the connection");
  CHECK_STR(qn_err_text(-ETIMEDOUT), "the connection timed out");
  CHECK_STR(qn_err_text(-EMFILE), "too many open files");
}

TEST(unknown_numbers)
{
  CHECK_STR(qn_err_name(-9999), "UNKNOWN");
  CHECK_STR(qn_err_text(-9999), "unknown error -9999");
  CHECK_STR(qn_err_name(0), "UNKNOWN");
  CHECK_STR(qn_err_name(INT32_MIN), "UNKNOWN");
  CHECK_STR(qn_err_text(INT32_MIN), "unknown error -2147483648");
}

TEST(kind_names_form_a_closed_set)
{
  static const char *const names[] = {
      "timeout", "refused",  "reset", "unreachable", "closed",      "eof",          "dns",
      "tls",     "protocol", "http",  "limit",       "denied",      "busy",         "exists",
      "proxy",   "auth",     "io",    "invalid",     "unsupported", "not_yieldable"};
  CHECK_UINT(sizeof names / sizeof names[0], QN_KIND_COUNT);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    int kind = qn_kind_from_name(names[i]);
    TEST_ROUND("%s", names[i]);
    REQUIRE(kind >= 0);
    CHECK_STR(qn_kind_name((qn_kind_t)kind), names[i]);
  }
  CHECK_INT(qn_kind_from_name("nonsense"), -1);
  CHECK_INT(qn_kind_from_name(""), -1);
  CHECK_STR(qn_kind_name(QN_KIND_COUNT), "io");
}

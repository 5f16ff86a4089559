/* want.c: each kind against each way of splitting the bytes; limits, ends and errors; and that a
 * delimiter is searched once. */
#include "runtime/stream/rig.h"

static qn_slice_t text(const char *s) { return (qn_slice_t){(const uint8_t *)s, strlen(s)}; }

typedef struct row {
  const char *name;
  qn_want_t want;
  const char *bytes;
  bool ended;
  int err;
  int rc;
  size_t size, delim_size;
  bool last;
} row_t;

/* A one-byte length, then as many bytes. */
static int64_t scan_counted(const uint8_t *data, size_t size, bool ended, size_t *need, void *arg)
{
  int *calls = arg;
  if (calls != NULL) {
    ++*calls;
  }
  (void)ended;
  if (data[0] == 'x') {
    return QN_E_PROTOCOL;
  }
  size_t total = (size_t)(data[0] - '0') + 1;
  if (size < total) {
    *need = total;
    return 0;
  }
  return (int64_t)total;
}

/* Digits; only the end or another character completes them. */
static int64_t scan_digits(const uint8_t *data, size_t size, bool ended, size_t *need, void *arg)
{
  size_t n = 0;
  (void)need, (void)arg;
  while (n < size && data[n] >= '0' && data[n] <= '9') {
    n++;
  }
  return n < size || ended ? (int64_t)n : 0;
}

#define SCAN(fn, limit)                                \
  {                                                    \
    .kind = QN_WANT_SCAN, .scan = (fn), .max = (limit) \
  }
#define DELIM(d, limit)                                                              \
  {                                                                                  \
    .kind = QN_WANT_DELIM, .delim = (d), .delim_size = sizeof(d) - 1, .max = (limit) \
  }

static const row_t rows[] = {
    {"some: nothing yet", {.kind = QN_WANT_SOME, .n = 9}, "", .rc = QN_AGAIN},
    {"some: at end", {.kind = QN_WANT_SOME, .n = 9}, "", .ended = true, .last = true},
    {"some: error", {.kind = QN_WANT_SOME, .n = 9}, "", .err = -ECONNRESET, .rc = -ECONNRESET},
    {"upto: short", {.kind = QN_WANT_UPTO, .n = 4}, "abc", .rc = QN_AGAIN},
    {"upto: full", {.kind = QN_WANT_UPTO, .n = 4}, "abcde", .size = 4},
    {"upto: full at end",
     {.kind = QN_WANT_UPTO, .n = 3},
     "abc",
     .ended = true,
     .size = 3,
     .last = true},
    {"upto: more than enough at end",
     {.kind = QN_WANT_UPTO, .n = 2},
     "abc",
     .ended = true,
     .size = 2},
    {"upto: end", {.kind = QN_WANT_UPTO, .n = 4}, "abc", .ended = true, .size = 3, .last = true},
    {"upto: error", {.kind = QN_WANT_UPTO, .n = 4}, "abc", .err = -EPIPE, .rc = -EPIPE},
    {"upto: enough before the error",
     {.kind = QN_WANT_UPTO, .n = 3},
     "abc",
     .err = -EPIPE,
     .size = 3},
    {"upto: none", {.kind = QN_WANT_UPTO, .n = 0}, "abc", .size = 0},
    {"exact: short", {.kind = QN_WANT_EXACT, .n = 4}, "abc", .rc = QN_AGAIN},
    {"exact: full", {.kind = QN_WANT_EXACT, .n = 3}, "abc", .size = 3},
    {"exact: end", {.kind = QN_WANT_EXACT, .n = 4}, "abc", .ended = true, .rc = QN_E_EOF},
    {"exact: empty end", {.kind = QN_WANT_EXACT, .n = 1}, "", .ended = true, .rc = QN_E_EOF},
    {"exact: error", {.kind = QN_WANT_EXACT, .n = 4}, "abc", .err = -EPIPE, .rc = -EPIPE},
    {"delim: none yet", DELIM("\n", 10), "abc", .rc = QN_AGAIN},
    {"delim: found", DELIM("\n", 10), "ab\ncd\n", .size = 3, .delim_size = 1},
    {"delim: found last", DELIM("\n", 10), "ab\n", .ended = true, .size = 3, .delim_size = 1,
     .last = true},
    {"delim: first", DELIM("\n", 10), "\nab", .size = 1, .delim_size = 1},
    {"delim: long", DELIM("\r\n\r\n", 20), "a\r\nb\r\n\r\nc", .size = 8, .delim_size = 4},
    {"delim: half", DELIM("\r\n", 20), "ab\r", .rc = QN_AGAIN},
    {"delim: half at end", DELIM("\r\n", 20), "ab\r", .ended = true, .size = 3, .last = true},
    {"delim: end", DELIM("\n", 10), "abc", .ended = true, .size = 3, .last = true},
    {"delim: empty end", DELIM("\n", 10), "", .ended = true, .last = true},
    {"delim: error", DELIM("\n", 10), "abc", .err = -EPIPE, .rc = -EPIPE},
    {"delim: just fits", DELIM("\r\n", 4), "abcd\r\n", .size = 6, .delim_size = 2},
    {"delim: one too long", DELIM("\r\n", 4), "abcde\r\n", .rc = QN_E_LIMIT},
    {"delim: no delimiter in time", DELIM("\n", 4), "abcde", .rc = QN_E_LIMIT},
    {"delim: at the limit, more may come", DELIM("\n", 4), "abcd", .rc = QN_AGAIN},
    {"delim: at the limit, ended", DELIM("\n", 4), "abcd", .ended = true, .size = 4, .last = true},
    {"delim: beyond the limit, ended", DELIM("\r\n", 4), "abcde", .ended = true, .rc = QN_E_LIMIT},
    {"all: not ended", {.kind = QN_WANT_ALL, .max = 5}, "abc", .rc = QN_AGAIN},
    {"all: ended", {.kind = QN_WANT_ALL, .max = 5}, "abc", .ended = true, .size = 3, .last = true},
    {"all: empty", {.kind = QN_WANT_ALL, .max = 5}, "", .ended = true, .last = true},
    {"all: fits", {.kind = QN_WANT_ALL, .max = 3}, "abc", .ended = true, .size = 3, .last = true},
    {"all: too much", {.kind = QN_WANT_ALL, .max = 2}, "abc", .rc = QN_E_LIMIT},
    {"all: error", {.kind = QN_WANT_ALL, .max = 5}, "abc", .err = -EPIPE, .rc = -EPIPE},
    {"scan: short", SCAN(scan_counted, 9), "3ab", .rc = QN_AGAIN},
    {"scan: full", SCAN(scan_counted, 9), "3abcd", .size = 4},
    {"scan: cut", SCAN(scan_counted, 9), "3ab", .ended = true, .rc = QN_E_EOF},
    {"scan: empty end", SCAN(scan_counted, 9), "", .ended = true, .last = true},
    {"scan: its own error", SCAN(scan_counted, 9), "xab", .rc = QN_E_PROTOCOL},
    {"scan: needs more than allowed", SCAN(scan_counted, 4), "5", .rc = QN_E_LIMIT},
    {"scan: larger than allowed", SCAN(scan_counted, 3), "3abc", .rc = QN_E_LIMIT},
    {"scan: end completes", SCAN(scan_digits, 9), "123", .ended = true, .size = 3, .last = true},
    {"scan: open", SCAN(scan_digits, 9), "123", .rc = QN_AGAIN},
    {"scan: error", SCAN(scan_counted, 9), "3ab", .err = -EPIPE, .rc = -EPIPE},
};

/* The bytes in two arrivals, cut at each place, and one by one: the answer is the same. Early
 * answers (an error, or an item that is complete already) must be the final ones. */
TEST(splits)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const row_t *r = &rows[i];
    qn_slice_t bytes = text(r->bytes);
    for (size_t cut = 0; cut <= bytes.size; cut++) {
      TEST_ROUND("%s, cut at %zu", r->name, cut);
      qn__scan_t scan = {0};
      qn_got_t got;
      int rc = QN_AGAIN;
      if (cut < bytes.size) {
        rc = qn__want_eval(&r->want, &scan, (qn_slice_t){bytes.data, cut}, false, 0, &got);
      }
      if (rc == QN_AGAIN) {
        rc = qn__want_eval(&r->want, &scan, bytes, r->ended, r->err, &got);
        CHECK_INT(got.ended, r->last);
      }
      CHECK_INT(rc, r->rc);
      CHECK_UINT(got.size, r->size);
      CHECK_UINT(got.delim_size, r->delim_size);
    }
    TEST_ROUND("%s, one by one", r->name);
    qn__scan_t scan = {0};
    qn_got_t got;
    int rc = QN_AGAIN;
    for (size_t n = 0; n <= bytes.size && rc == QN_AGAIN; n++) {
      bool last = n == bytes.size;
      rc = qn__want_eval(&r->want, &scan, (qn_slice_t){bytes.data, n}, last && r->ended,
                         last ? r->err : 0, &got);
    }
    CHECK_INT(rc, r->rc);
    CHECK_UINT(got.size, r->size);
  }
}

TEST(some_takes_what_there_is)
{
  qn__scan_t scan = {0};
  qn_got_t got;
  qn_want_t w = {.kind = QN_WANT_SOME, .n = 4};
  CHECK_INT(qn__want_eval(&w, &scan, text("abc"), false, 0, &got), 0);
  CHECK_UINT(got.size, 3);
  CHECK_INT(got.ended, false);
  CHECK_INT(qn__want_eval(&w, &scan, text("abcde"), true, 0, &got), 0);
  CHECK_UINT(got.size, 4);
  CHECK_INT(got.ended, false);
  CHECK_INT(qn__want_eval(&w, &scan, text("abcd"), false, -ECONNRESET, &got), 0);
  CHECK_UINT(got.size, 4);
  w.n = 0;
  CHECK_INT(qn__want_eval(&w, &scan, text("abcde"), false, 0, &got), 0);
  CHECK_UINT(got.size, 5);
}

TEST(delimiters_are_searched_once)
{
  qn__scan_t scan = {0};
  qn_got_t got;
  qn_want_t w = DELIM("\r\n", 1000);
  char bytes[600];
  memset(bytes, 'a', sizeof bytes);
  for (size_t n = 2; n <= sizeof bytes; n++) {
    CHECK_INT(qn__want_eval(&w, &scan, (qn_slice_t){(uint8_t *)bytes, n}, false, 0, &got),
              QN_AGAIN);
    CHECK_UINT(scan.searched, n - 1); /* all but what may be the first half */
  }
  /* What was searched is not looked at again: a delimiter there stays unseen. */
  bytes[10] = '\r';
  bytes[11] = '\n';
  CHECK_INT(qn__want_eval(&w, &scan, (qn_slice_t){(uint8_t *)bytes, sizeof bytes}, false, 0, &got),
            QN_AGAIN);
}

TEST(scanners_are_asked_only_when_it_helps)
{
  qn__scan_t scan = {0};
  qn_got_t got;
  int calls = 0;
  qn_want_t w = {.kind = QN_WANT_SCAN, .scan = scan_counted, .arg = &calls};
  const char *bytes = "9abcdefghi";
  for (size_t n = 0; n < 10; n++) {
    CHECK_INT(qn__want_eval(&w, &scan, (qn_slice_t){(const uint8_t *)bytes, n}, false, 0, &got),
              QN_AGAIN);
  }
  CHECK_INT(calls, 1);
  CHECK_INT(qn__want_eval(&w, &scan, text(bytes), false, 0, &got), 0);
  CHECK_INT(calls, 2);
  CHECK_UINT(got.size, 10);
}

TEST(checks)
{
  qn_want_t w = {.kind = QN_WANT_DELIM, .delim = "x", .delim_size = 0};
  char long_delim[65] = {0};
  CHECK_INT(qn__want_check(&w), QN_E_INVALID);
  w.delim_size = 1;
  CHECK_INT(qn__want_check(&w), 0);
  w = (qn_want_t){.kind = QN_WANT_DELIM, .delim = long_delim, .delim_size = 65};
  CHECK_INT(qn__want_check(&w), QN_E_INVALID);
  w.delim_size = 64;
  CHECK_INT(qn__want_check(&w), 0);
  w.delim = NULL;
  CHECK_INT(qn__want_check(&w), QN_E_INVALID);
  w = (qn_want_t){.kind = QN_WANT_SCAN};
  CHECK_INT(qn__want_check(&w), QN_E_INVALID);
  w = (qn_want_t){.kind = QN__WANT_READY};
  CHECK_INT(qn__want_check(&w), QN_E_INVALID);
}

TEST(bounds)
{
  qn_want_t w = DELIM("\r\n", 0);
  CHECK_UINT(qn__want_bound(&w), QN_LINE_MAX_DEFAULT + 2);
  w.max = SIZE_MAX;
  CHECK_UINT(qn__want_bound(&w), SIZE_MAX);
  w = (qn_want_t){.kind = QN_WANT_ALL};
  CHECK_UINT(qn__want_bound(&w), (size_t)QN_ALL_MAX_DEFAULT + 1);
  w = (qn_want_t){.kind = QN_WANT_EXACT, .n = 77};
  CHECK_UINT(qn__want_bound(&w), 77);
  w = (qn_want_t){.kind = QN_WANT_SOME, .n = 77};
  CHECK_UINT(qn__want_bound(&w), 1);
}

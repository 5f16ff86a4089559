/*
 * The test frame of the C unit tests. One x_test.c is one program: #include "test.h" once, write
 *
 *   TEST(name) { CHECK(x > 0); CHECK_INT(got, 3); CHECK_STR(got, "abc"); }
 *
 * and nothing else; main is here. CHECK* note a failure and go on, REQUIRE* leave the test.
 * Arguments are (got, want). `x_test part` runs the tests whose name contains part.
 * Loops (the Nth allocation fails, a split at every byte) name their round with TEST_ROUND, which
 * a failure then shows. Invariant: the last line is "# N passed, N failed"; scripts/test sums it.
 */
#ifndef QN_SPEC_TEST_H
#define QN_SPEC_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct test_case {
  const char *name;
  void (*run)(void);
  struct test_case *next;
} test_case_t;

#define TEST_MAX_REPORTS 20 /* failures printed per test: a bad loop must not fill the disk */

static test_case_t *test_first;
static test_case_t **test_last = &test_first;
static jmp_buf test_exit;
static unsigned test_failures; /* in the running test */
static char test_round[128];

#define TEST_UNUSED __attribute__((unused))

#define TEST(id)                                                  \
  static void test_run_##id(void);                                \
  static test_case_t test_case_##id = {#id, test_run_##id, NULL}; \
  __attribute__((constructor)) static void test_add_##id(void)    \
  {                                                               \
    *test_last = &test_case_##id;                                 \
    test_last = &test_case_##id.next;                             \
  }                                                               \
  static void test_run_##id(void)

TEST_UNUSED __attribute__((format(printf, 3, 4))) static int test_fail(const char *file, int line,
                                                                       const char *format, ...)
{
  if (test_failures++ < TEST_MAX_REPORTS) {
    va_list args;
    va_start(args, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, args);
    printf("%s%s%s\n", test_round[0] ? " [" : "", test_round, test_round[0] ? "]" : "");
    va_end(args);
    fflush(stdout);
  }
  return 0;
}

TEST_UNUSED __attribute__((format(printf, 1, 2))) static void test_set_round(const char *format,
                                                                             ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(test_round, sizeof test_round, format, args);
  va_end(args);
}

/* Bytes in a readable form; two calls may be alive at once. */
TEST_UNUSED static const char *test_show(const void *data, size_t size)
{
  static char buffers[2][512];
  static unsigned turn;
  char *out = buffers[turn++ % 2];
  if (data == NULL) {
    return "NULL";
  }
  size_t used = 0;
  for (size_t i = 0; i < size; i++) {
    if (used > sizeof buffers[0] - 16) {
      memcpy(out + used, "...", 3);
      used += 3;
      break;
    }
    unsigned char c = ((const unsigned char *)data)[i];
    if (c >= 0x20 && c < 0x7f && c != '\\') {
      out[used++] = (char)c;
    } else {
      used += (size_t)snprintf(out + used, 5, "\\x%02x", c);
    }
  }
  out[used] = '\0';
  return out;
}

TEST_UNUSED static int test_true(const char *file, int line, const char *text, int got)
{
  return got || test_fail(file, line, "not true: %s", text);
}

TEST_UNUSED static int test_int(const char *file, int line, const char *text, intmax_t got,
                                intmax_t want)
{
  return got == want ||
         test_fail(file, line, "%s is %" PRIdMAX ", want %" PRIdMAX, text, got, want);
}

TEST_UNUSED static int test_uint(const char *file, int line, const char *text, uintmax_t got,
                                 uintmax_t want)
{
  return got == want ||
         test_fail(file, line, "%s is %" PRIuMAX ", want %" PRIuMAX, text, got, want);
}

TEST_UNUSED static int test_mem(const char *file, int line, const char *text, const void *got,
                                size_t got_size, const void *want, size_t want_size)
{
  if (got_size == want_size &&
      (got_size == 0 || (got != NULL && want != NULL && memcmp(got, want, got_size) == 0))) {
    return 1;
  }
  return test_fail(file, line, "%s is \"%s\" (%zu bytes), want \"%s\" (%zu bytes)", text,
                   test_show(got, got_size), got_size, test_show(want, want_size), want_size);
}

TEST_UNUSED static int test_str(const char *file, int line, const char *text, const char *got,
                                const char *want)
{
  if (got == NULL || want == NULL) {
    return got == want || test_fail(file, line, "%s is %s, want %s", text, got ? got : "NULL",
                                    want ? want : "NULL");
  }
  return test_mem(file, line, text, got, strlen(got), want, strlen(want));
}

TEST_UNUSED static int test_ptr(const char *file, int line, const char *text, const void *got,
                                const void *want)
{
  return got == want || test_fail(file, line, "%s is %p, want %p", text, got, want);
}

#define CHECK(cond) test_true(__FILE__, __LINE__, #cond, (cond) ? 1 : 0)
#define CHECK_INT(got, want) test_int(__FILE__, __LINE__, #got, (intmax_t)(got), (intmax_t)(want))
#define CHECK_UINT(got, want) \
  test_uint(__FILE__, __LINE__, #got, (uintmax_t)(got), (uintmax_t)(want))
#define CHECK_STR(got, want) test_str(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_MEM(got, got_size, want, want_size) \
  test_mem(__FILE__, __LINE__, #got, (got), (got_size), (want), (want_size))
#define CHECK_PTR(got, want) test_ptr(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_NULL(got) test_ptr(__FILE__, __LINE__, #got, (got), NULL)
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* The same, leaving the test when it does not hold. */
#define REQUIRE_(expr) ((expr) ? (void)0 : longjmp(test_exit, 1))
#define REQUIRE(cond) REQUIRE_(CHECK(cond))
#define REQUIRE_INT(got, want) REQUIRE_(CHECK_INT(got, want))

#define TEST_ROUND(...) test_set_round(__VA_ARGS__)
#define TEST_FAILED() (test_failures != 0)

int main(int argc, char **argv)
{
  static test_case_t *volatile test; /* survives longjmp */
  static unsigned passed, failed;
  for (test = test_first; test != NULL; test = test->next) {
    int wanted = argc < 2;
    for (int i = 1; i < argc && !wanted; i++) {
      wanted = strstr(test->name, argv[i]) != NULL;
    }
    if (!wanted) {
      continue;
    }
    test_failures = 0;
    test_round[0] = '\0';
    if (setjmp(test_exit) == 0) {
      test->run();
    }
    if (test_failures == 0) {
      passed++;
      printf("ok %s\n", test->name);
    } else {
      failed++;
      printf("not ok %s (%u)\n", test->name, test_failures);
    }
    fflush(stdout);
  }
  if (passed + failed == 0) {
    printf("# no such test\n");
    failed = 1;
  }
  printf("# %u passed, %u failed\n", passed, failed);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif

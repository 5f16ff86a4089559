/* Keys: read, written, made, used; each allocation fails once.
 * covers: runtime/tls/key_parse.c runtime/tls/key_write.c runtime/tls/key_sign.c
 *   runtime/tls/key_make.c runtime/tls/crypto_derive.c
 */
#include "qn/crypto.h"
#include "qn/key.h"
#include "qn/loop.h"

#include "support/test.h"
#include "support/waiting.h"

#include <errno.h>

static qn_key_t *make(qn_loop_t *loop)
{
  waiting_t w = {.done = false};
  qn_op_init(&w.op, loop, on_done);
  REQUIRE(qn_key_make(loop, &w.op, "ec", "P-256", 0) == QN_AGAIN);
  wait_for(loop, &w);
  CHECK_INT(w.op.result, 0);
  return qn_key_made(&w.op);
}

TEST(a_key_from_c)
{
  int64_t live = qn_alloc_live();
  qn_loop_t *loop = qn_loop_new(NULL);
  REQUIRE(loop != NULL);
  qn_key_t *k = make(loop), *again = NULL;
  REQUIRE(k != NULL);
  CHECK_STR(qn_key_type(k), "ec");
  CHECK_STR(qn_key_curve(k), "P-256");
  for (uint64_t nth = 1;; nth++) { /* every allocation of ours fails once */
    char *pem = NULL, *signature = NULL;
    size_t size = 0, n = 0;
    TEST_ROUND("allocation %d", (int)nth);
    qn_alloc_fail_at(nth);
    const qn_key_seal_t seal = {.pass = "x", .pass_size = 1, .iterations = 1};
    int rc = qn_key_to_pem(k, &seal, &pem, &size);
    rc = rc < 0 ? rc : qn_key_parse(pem, size, "x", 1, &again);
    rc = rc < 0 ? rc : qn_key_sign(again, "data", 4, NULL, QN_KEY_PADDING_DEFAULT, &signature, &n);
    bool failed = qn_alloc_failed();
    CHECK_INT(rc, failed ? -ENOMEM : 0);
    if (!failed) {
      CHECK(qn_key_equal(k, again));
      CHECK_INT(qn_key_verify(k, signature, n, "data", 4, NULL, QN_KEY_PADDING_DEFAULT), 1);
      CHECK_INT(qn_key_verify(k, signature, n, "dat", 3, NULL, QN_KEY_PADDING_DEFAULT), 0);
    }
    qn_secret_free(pem, size);
    qn_secret_free(signature, n);
    qn_key_release(again);
    again = NULL;
    if (!failed) {
      break;
    }
  }
  CHECK_INT(qn_key_make(loop, NULL, "dsa", NULL, 0), QN_E_UNSUPPORTED);
  CHECK_INT(qn_key_make(loop, NULL, "ec", "P-1", 0), QN_E_UNSUPPORTED);
  CHECK_INT(qn_key_make(loop, NULL, "rsa", NULL, QN_KEY_MAX_BITS + 1), QN_E_LIMIT);
  qn_key_release(k);
  qn_loop_free(loop);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(a_derivation_that_nobody_waits_for)
{
  int64_t live = qn_alloc_live();
  qn_loop_t *loop = qn_loop_new(NULL);
  REQUIRE(loop != NULL);
  const qn_derive_t d = {.kind = QN_PBKDF2,
                         .digest = "sha1",
                         .password = {(const uint8_t *)"password", 8},
                         .salt = {(const uint8_t *)"salt", 4},
                         .iterations = 2,
                         .size = 4};
  waiting_t w = {.done = false};
  qn_op_init(&w.op, loop, on_done);
  REQUIRE(qn_derive_start(loop, &w.op, &d) == QN_AGAIN);
  wait_for(loop, &w);
  CHECK_INT(qn_derived(&w.op).size, 4);
  CHECK(memcmp(qn_derived(&w.op).data, "\xea\x6c\x01\x4d", 4) == 0);
  qn_derive_end(&w.op);
  w.done = false;
  REQUIRE(qn_derive_start(loop, &w.op, &d) == QN_AGAIN);
  CHECK(qn_op_cancel(&w.op, QN_E_CANCELLED));
  wait_for(loop, &w);
  qn_derive_end(&w.op);
  qn_loop_free(loop);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(more_than_a_limit_is_not_started)
{
  qn_derive_t d = {.kind = QN_PBKDF2, .digest = "sha256", .iterations = 1, .size = 1};
  int code = 0;
  CHECK(qn_derive_check(&d, &code) == NULL);
  d.iterations = QN_PBKDF_MAX_ITERATIONS + 1;
  CHECK(qn_derive_check(&d, &code) != NULL);
  CHECK_INT(code, QN_E_LIMIT);
  CHECK_INT(qn_derive_start(NULL, NULL, &d), QN_E_LIMIT);
  int64_t n;
  CHECK_INT(qn_random(NULL, QN_RANDOM_MAX + 1u), QN_E_LIMIT);
  CHECK_INT(qn_random_integer(2, 1, &n), QN_E_INVALID);
}

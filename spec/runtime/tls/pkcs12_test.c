// PKCS#12 files from C: written and read in the pool and without it, and what reading may cost.
#include "tls/pkcs12_i.h"

#include "qn/loop.h"

#include "support/test.h"
#include "support/waiting.h"

#include <errno.h>
#include <string.h>

static qn_loop_t *loop;
static qn_pkcs12_t parts;

static void open_parts(void)
{
  waiting_t w = {.done = false};
  qn_cert_plan_t plan;
  loop = qn_loop_new(NULL);
  REQUIRE(loop != NULL);
  qn_op_init(&w.op, loop, on_done);
  REQUIRE(qn_key_make(loop, &w.op, "ec", NULL, 0) == QN_AGAIN);
  wait_for(loop, &w);
  parts = (qn_pkcs12_t){.key = qn_key_made(&w.op), .name = (char *)"me"};
  qn_cert_plan_init(&plan);
  REQUIRE(qn_cert_say_attribute(&plan.says, "CN", "x", 1, false, &plan.why) == 0);
  REQUIRE(qn_cert_make(&plan, parts.key, NULL, parts.key, &parts.cert) == 0);
  qn_cert_list_free(&plan.says);
  REQUIRE(qn_certs_add(&parts.chain, parts.cert) == 0);
}

static void close_parts(void)
{
  parts.name = NULL;
  qn_pkcs12_free(&parts);
  qn_loop_free(loop);
}

/* A file with three passphrases of `iterations` each. */
static int write_file(uint32_t iterations, char **out, size_t *size)
{
  waiting_t w = {.done = false};
  qn_op_init(&w.op, loop, on_done);
  int rc = qn_pkcs12_start_write(loop, &w.op, &parts, "secret", 6, iterations);
  if (rc != QN_AGAIN) {
    return rc;
  }
  wait_for(loop, &w);
  return qn_pkcs12_written(&w.op, out, size);
}

static int read_file(const char *data, size_t size, const char *pass, qn_pkcs12_t *out)
{
  waiting_t w = {.done = false};
  qn_cert_why_t why;
  qn_op_init(&w.op, loop, on_done);
  int rc = qn_pkcs12_start_read(loop, &w.op, data, size, pass, strlen(pass));
  if (rc != QN_AGAIN) {
    return rc;
  }
  wait_for(loop, &w);
  return qn_pkcs12_result(&w.op, out, &why);
}

TEST(every_allocation_may_fail)
{
  int64_t live = qn_alloc_live();
  open_parts();
  for (uint64_t nth = 1;; nth++) {
    char *data = NULL;
    size_t size = 0;
    qn_pkcs12_t out = {.cert = NULL};
    TEST_ROUND("allocation %d", (int)nth);
    qn_alloc_fail_at(nth);
    int rc = write_file(1, &data, &size);
    rc = rc < 0 ? rc : read_file(data, size, "secret", &out);
    bool failed = qn_alloc_failed();
    CHECK_INT(rc, failed ? -ENOMEM : 0);
    if (!failed) {
      CHECK(qn_key_equal(out.key, parts.key));
      CHECK(qn_cert_equal(out.cert, parts.cert));
      CHECK_INT(out.chain.count, 1);
      CHECK_STR(out.name, "me");
    }
    qn_pkcs12_free(&out);
    qn_secret_free(data, size);
    if (!failed) {
      break;
    }
  }
  close_parts();
  CHECK_INT(qn_alloc_live(), live);
}

static int open_with(const char *data, size_t size, uint64_t work, qn_cert_why_t *why)
{
  qn__pkcs12_t out;
  int rc = qn__pkcs12_open((const uint8_t *)data, size, "secret", 6, work, &out, why);
  qn__pkcs12_free(&out);
  return rc;
}

TEST(all_passphrases_together_have_a_limit)
{
  int64_t live = qn_alloc_live();
  char *data = NULL;
  size_t size = 0;
  qn_cert_why_t why;
  open_parts();
  CHECK_INT(write_file(1000, &data, &size), 0);
  CHECK_INT(open_with(data, size, 3000, &why), 0);
  CHECK_STR(why.text, "");
  CHECK_INT(open_with(data, size, 2999, &why), QN_E_LIMIT);
  CHECK_STR(why.text, "the passphrase of the file costs too much: 1000 iterations");
  CHECK_INT(open_with(data, size, 999, &why), QN_E_LIMIT);
  qn_secret_free(data, size);
  close_parts();
  CHECK_INT(qn_alloc_live(), live);
}

TEST(without_the_pool)
{
  int64_t live = qn_alloc_live();
  char *data = NULL;
  size_t size = 0;
  qn_cert_why_t why;
  qn_pkcs12_t out;
  open_parts();
  CHECK_INT(write_file(1, &data, &size), 0);
  CHECK_INT(qn_pkcs12_read(data, size, "secret", 6, &out, &why), 0);
  CHECK(qn_key_equal(out.key, parts.key));
  qn_pkcs12_free(&out);
  CHECK_INT(qn_pkcs12_read(data, size, "other", 5, &out, &why), QN_E_KEY_PASSPHRASE);
  CHECK_STR(why.text, "the passphrase is wrong");
  CHECK_INT(qn_pkcs12_read(data, size, NULL, 0, &out, &why), QN_E_KEY_PASSPHRASE);
  CHECK_STR(why.text, "a passphrase is needed");
  CHECK(out.key == NULL && out.cert == NULL && out.name == NULL && out.chain.count == 0);
  qn_secret_free(data, size);
  close_parts();
  CHECK_INT(qn_alloc_live(), live);
}

TEST(what_cannot_be_written_is_refused)
{
  int64_t live = qn_alloc_live();
  waiting_t w = {.done = false};
  qn_key_t *public = NULL;
  open_parts();
  qn_op_init(&w.op, loop, on_done);
  CHECK_INT(qn_pkcs12_start_write(loop, &w.op, &parts, NULL, 0, 1), QN_E_INVALID);
  CHECK_INT(qn_pkcs12_start_write(loop, &w.op, &parts, "a\0b", 3, 1), QN_E_INVALID);
  CHECK_INT(qn_pkcs12_start_write(loop, &w.op, &parts, "a", 1, QN_KEY_MAX_ITERATIONS + 1),
            QN_E_LIMIT);
  CHECK_INT(qn_pkcs12_start_write(loop, &w.op, &parts, "a", QN_KEY_MAX_PASSPHRASE + 1, 1),
            QN_E_LIMIT);
  CHECK_INT(qn_key_public(parts.key, &public), 0);
  qn_pkcs12_t of_public = {.key = public};
  CHECK_INT(qn_pkcs12_start_write(loop, &w.op, &of_public, "a", 1, 1), QN_E_INVALID);
  qn_key_release(public);
  close_parts();
  CHECK_INT(qn_alloc_live(), live);
}

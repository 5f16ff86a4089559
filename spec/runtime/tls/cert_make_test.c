// Certificates and requests made from C, as the head of qn/cert_make.h says.
#include "qn/cert_make.h"
#include "qn/loop.h"

#include "support/test.h"
#include "support/waiting.h"

#include <errno.h>
#include <string.h>

static qn_key_t *make_key(const char *type)
{
  qn_loop_t *loop = qn_loop_new(NULL);
  waiting_t w = {.done = false};
  qn_op_init(&w.op, loop, on_done);
  REQUIRE(qn_key_make(loop, &w.op, type, NULL, 0) == QN_AGAIN);
  wait_for(loop, &w);
  qn_key_t *k = qn_key_made(&w.op);
  qn_loop_free(loop);
  REQUIRE(k != NULL);
  return k;
}

static int say(qn_cert_plan_t *plan, const char *cn, const char *name)
{
  int rc = qn_cert_say_attribute(&plan->says, "CN", cn, strlen(cn), false, &plan->why);
  return rc < 0 || name == NULL
             ? rc
             : qn_cert_say_name(&plan->says, QN_CERT_FORM_ANY, name, strlen(name), &plan->why);
}

/* A root, a request, and what the root makes of it. */
static int make_all(const qn_key_t *root_key, const qn_key_t *key, qn_cert_t **root,
                    qn_csr_t **request, qn_cert_t **leaf)
{
  qn_cert_plan_t plan;
  qn_cert_plan_init(&plan);
  plan.ca = true;
  int rc = say(&plan, "root", NULL);
  rc = rc < 0 ? rc : qn_cert_make(&plan, root_key, NULL, root_key, root);
  qn_cert_list_free(&plan.says);
  qn_cert_plan_init(&plan);
  rc = rc < 0 ? rc : say(&plan, "leaf", "h.example");
  rc = rc < 0 ? rc : qn_csr_make(&plan, key, request);
  rc = rc < 0 ? rc : qn_cert_say_usage(&plan.says, "server", &plan.why);
  rc = rc < 0
           ? rc
           : qn_cert_say_url(&plan.says, QN_CERT_CRL, "http://x/", strlen("http://x/"), &plan.why);
  rc = rc < 0 ? rc : qn_cert_make_for(&plan, *request, *root, root_key, leaf);
  qn_cert_list_free(&plan.says);
  return rc;
}

TEST(every_allocation_may_fail)
{
  int64_t live = qn_alloc_live();
  qn_key_t *root_key = make_key("ec"), *key = make_key("ed25519");
  for (uint64_t nth = 1;; nth++) {
    qn_cert_t *root = NULL, *leaf = NULL;
    qn_csr_t *request = NULL;
    TEST_ROUND("allocation %d", (int)nth);
    qn_alloc_fail_at(nth);
    int rc = make_all(root_key, key, &root, &request, &leaf);
    bool failed = qn_alloc_failed();
    CHECK_INT(rc, failed ? -ENOMEM : 0);
    if (!failed) {
      CHECK(qn_cert_is_ca(root));
      CHECK(!qn_cert_is_ca(leaf));
      CHECK(qn_cert_has_key(leaf, key));
      CHECK_INT(qn_csr_verify(request), 0);
      CHECK_INT(qn_cert_match_host(leaf, "h.example", strlen("h.example")), 0);
    }
    qn_cert_release(root);
    qn_cert_release(leaf);
    qn_csr_release(request);
    if (!failed) {
      break;
    }
  }
  qn_key_release(root_key);
  qn_key_release(key);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(a_request_may_fail_anywhere)
{
  int64_t live = qn_alloc_live();
  qn_key_t *key = make_key("ed25519");
  for (uint64_t nth = 1;; nth++) {
    qn_cert_plan_t plan;
    qn_csr_t *csr = NULL, *again = NULL;
    qn_cert_bytes_t pem = {NULL, 0}, der = {NULL, 0}, text = {NULL, 0};
    qn_cert_list_t names = {0};
    qn_cert_plan_init(&plan);
    TEST_ROUND("allocation %d", (int)nth);
    qn_alloc_fail_at(nth);
    int rc = say(&plan, "x", "h.example");
    rc = rc < 0 ? rc : qn_csr_make(&plan, key, &csr);
    rc = rc < 0 ? rc : qn_csr_to_pem(csr, &pem);
    rc = rc < 0 ? rc : qn_csr_parse(pem.data, pem.size, &again);
    rc = rc < 0 ? rc : qn_csr_to_der(again, &der);
    rc = rc < 0 ? rc : qn_csr_to_text(again, &text);
    rc = rc < 0 ? rc : qn_csr_names(again, &names);
    bool failed = qn_alloc_failed();
    CHECK_INT(rc, failed ? -ENOMEM : 0);
    if (!failed) {
      CHECK(qn_csr_equal(csr, again));
      CHECK_INT(names.count, 1);
    }
    qn_cert_list_free(&names);
    qn_cert_list_free(&plan.says);
    qn_free(pem.data);
    qn_free(der.data);
    qn_free(text.data);
    qn_csr_release(csr);
    qn_csr_release(again);
    if (!failed) {
      break;
    }
  }
  qn_key_release(key);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(what_does_not_fit_is_refused_in_words)
{
  int64_t live = qn_alloc_live();
  qn_key_t *key = make_key("ec"), *other = make_key("ec");
  qn_cert_t *cert = NULL;
  qn_cert_plan_t plan;
  qn_cert_plan_init(&plan);
  CHECK_INT(qn_cert_make(&plan, key, NULL, key, &cert), QN_E_INVALID);
  CHECK_STR(plan.why.text, "an issuer needs a subject");
  CHECK_INT(say(&plan, "x", NULL), 0);
  CHECK_INT(qn_cert_make(&plan, key, NULL, other, &cert), QN_E_KEY_MISMATCH);
  plan.key_usage = 1U << 20;
  CHECK_INT(qn_cert_make(&plan, key, NULL, key, &cert), QN_E_INVALID);
  plan.key_usage = 0;
  plan.not_before = QN_CERT_MIN_TIME - 1;
  CHECK_INT(qn_cert_make(&plan, key, NULL, key, &cert), QN_E_INVALID);
  CHECK_STR(plan.why.text, "dates are from 1950 to 9999");
  plan.not_before = QN_CERT_NO_TIME;
  plan.path_length = 0;
  CHECK_INT(qn_cert_make(&plan, key, NULL, key, &cert), QN_E_INVALID);
  CHECK_STR(plan.why.text, "a path length is for authorities only");
  plan.path_length = -1;
  CHECK_INT(qn_cert_make(&plan, key, NULL, key, &cert), 0);
  CHECK_STR(plan.why.text, "");
  qn_cert_release(cert);
  qn_cert_list_free(&plan.says);
  qn_key_release(key);
  qn_key_release(other);
  CHECK_INT(qn_alloc_live(), live);
}

/* hostinfo_test.c: look-ups through a getaddrinfo of our own (fake_names.h): literals, bounds,
 * errors. */
#include "qn/dns.h"
#include "test.h"
#include "wire.h"

#include "fake_names.h"

static int ask(const char *host, qn_family_t family, qn_op_t *op, qn_addr_t *one)
{
  qn_resolve_opts_t opts = {.host = host, .port = 80, .family = family};
  return qn_resolve(wire.loop, &opts, op, one);
}

static int64_t resolve(const char *host, qn_family_t family, wire_op_t *w, qn_addr_t *one)
{
  int rc = ask(host, family, op_new(w), one);
  if (rc != QN_AGAIN) {
    return rc;
  }
  WAIT_UNTIL(w->done);
  return w->result;
}

TEST(literals_need_no_thread)
{
  wire_op_t w;
  qn_addr_t a, expected;
  loop_begin();
  names_begin();
  CHECK_INT(ask("127.0.0.1", QN_FAMILY_ANY, op_new(&w), &a), 0);
  expected = loopback(80);
  CHECK(qn_addr_equal(&a, &expected));
  CHECK_INT(ask("::1", QN_FAMILY_ANY, op_new(&w), &a), 0);
  CHECK_INT(qn_addr_family(&a), QN_FAMILY_IPV6);
  CHECK_INT(ask("::1", QN_FAMILY_IPV4, &w.op, &a), QN_E_HOST_NOT_FOUND);
  CHECK_INT(ask("1.2.3.4", QN_FAMILY_IPV6, &w.op, &a), QN_E_HOST_NOT_FOUND);
  CHECK(qn_op_idle(&w.op));
  CHECK_INT(names_asked(), 0);
  names_end();
  loop_end();
}

TEST(bad_names)
{
  char name[300];
  wire_op_t w;
  qn_addr_t a;
  loop_begin();
  names_begin();
  op_new(&w);
  CHECK_INT(ask("", QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK_INT(ask("*", QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK_INT(ask("fe80::1%nowhere", QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK_INT(ask("[::1]", QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK_INT(ask("two.test", QN_FAMILY_UNIX, &w.op, &a), QN_E_INVALID);
  memset(name, 'a', sizeof name);
  name[254] = '\0';
  CHECK_INT(ask(name, QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  name[255] = 'a';
  name[299] = '\0';
  CHECK_INT(ask(name, QN_FAMILY_ANY, &w.op, &a), QN_E_INVALID);
  CHECK_INT(names_asked(), 0);
  name[253] = '\0';
  CHECK_INT(resolve(name, QN_FAMILY_ANY, &w, &a), QN_E_HOST_NOT_FOUND); /* long, but a name */
  qn_resolve_end(&w.op);
  name[253] = '.';
  name[254] = '\0';
  CHECK_INT(resolve(name, QN_FAMILY_ANY, &w, &a), QN_E_HOST_NOT_FOUND);
  qn_resolve_end(&w.op);
  names_end();
  loop_end();
}

TEST(the_list_is_in_order_and_without_repetition)
{
  char text[QN_ADDR_TEXT];
  wire_op_t w;
  qn_addr_t a;
  loop_begin();
  names_begin();
  CHECK_INT(resolve("two.test", QN_FAMILY_ANY, &w, &a), 0);
  const qn_addr_list_t *list = qn_resolved(&w.op);
  REQUIRE(list != NULL);
  REQUIRE_INT(list->n, 2);
  qn_addr_text(&list->v[0], text, sizeof text);
  CHECK_STR(text, "127.0.0.2:80");
  qn_addr_text(&list->v[1], text, sizeof text);
  CHECK_STR(text, "127.0.0.1:80");
  qn_resolve_end(&w.op);
  qn_resolve_end(&w.op);
  CHECK_NULL(qn_resolved(&w.op));
  names_end();
  loop_end();
}

TEST(the_list_is_bounded)
{
  wire_op_t w;
  qn_addr_t a;
  loop_begin();
  names_begin();
  CHECK_INT(resolve("many.test", QN_FAMILY_ANY, &w, &a), 0);
  REQUIRE(qn_resolved(&w.op) != NULL);
  CHECK_UINT(qn_resolved(&w.op)->n, QN_RESOLVE_MAX);
  qn_resolve_end(&w.op);
  names_end();
  loop_end();
}

TEST(the_family_reaches_the_system)
{
  wire_op_t w;
  qn_addr_t a;
  loop_begin();
  names_begin();
  CHECK_INT(resolve("both.test", QN_FAMILY_IPV6, &w, &a), 0);
  REQUIRE(qn_resolved(&w.op) != NULL);
  CHECK_UINT(qn_resolved(&w.op)->n, 1);
  CHECK_INT(qn_addr_family(&qn_resolved(&w.op)->v[0]), QN_FAMILY_IPV6);
  qn_resolve_end(&w.op);
  CHECK_INT(resolve("two.test", QN_FAMILY_IPV6, &w, &a), QN_E_HOST_NOT_FOUND);
  CHECK_NULL(qn_resolved(&w.op));
  qn_resolve_end(&w.op);
  names_end();
  loop_end();
}

/* AI_ADDRCONFIG hides addresses on a machine that has only its loopback interface. */
TEST(asks_again_without_address_configuration)
{
  wire_op_t w;
  qn_addr_t a;
  loop_begin();
  names_begin();
  CHECK_INT(resolve("hidden.test", QN_FAMILY_ANY, &w, &a), 0);
  CHECK_INT(names_asked(), 2);
  qn_resolve_end(&w.op);
  names_end();
  loop_end();
}

TEST(errors)
{
  wire_op_t w;
  qn_addr_t a;
  loop_begin();
  names_begin();
  CHECK_INT(resolve("none.test", QN_FAMILY_ANY, &w, &a), QN_E_HOST_NOT_FOUND);
  qn_resolve_end(&w.op);
  int64_t rc = resolve("again.test", QN_FAMILY_ANY, &w, &a);
  CHECK_STR(qn_err_name((int)rc), "EAI_AGAIN");
  CHECK(qn_err_temporary((int)rc));
  CHECK_INT(qn_err_kind((int)rc), QN_KIND_DNS);
  qn_resolve_end(&w.op);
  rc = resolve("fail.test", QN_FAMILY_ANY, &w, &a);
  CHECK_STR(qn_err_name((int)rc), "EAI_FAIL");
  qn_resolve_end(&w.op);
  CHECK_INT(resolve("system.test", QN_FAMILY_ANY, &w, &a), -ENFILE);
  qn_resolve_end(&w.op);
  names_end();
  loop_end();
}

TEST(a_look_up_that_hangs_can_be_left)
{
  wire_op_t w;
  qn_addr_t a;
  qn_loop_stats_t stats;
  loop_begin();
  names_begin();
  REQUIRE_INT(ask("hang.test", QN_FAMILY_ANY, op_new(&w), &a), QN_AGAIN);
  WAIT_UNTIL(names_hanging() == 1);
  CHECK(qn_op_cancel(&w.op, QN_E_CANCELLED));
  WAIT_UNTIL(w.done);
  CHECK_INT(w.result, QN_E_CANCELLED);
  CHECK_NULL(qn_resolved(&w.op));
  qn_resolve_end(&w.op);
  qn_loop_stats(wire.loop, &stats);
  CHECK_INT(stats.orphans, 1);
  names_release();
  do {
    turn();
    qn_loop_stats(wire.loop, &stats);
  } while (stats.orphans != 0);
  names_end();
  loop_end();
}

TEST(no_memory)
{
  for (uint64_t nth = 1; nth <= 2; nth++) {
    wire_op_t w;
    qn_addr_t a;
    loop_begin();
    names_begin();
    op_new(&w);
    qn_alloc_fail_at(nth);
    CHECK_INT(ask("two.test", QN_FAMILY_ANY, &w.op, &a), -ENOMEM);
    CHECK(qn_alloc_failed());
    CHECK(qn_op_idle(&w.op));
    names_end();
    loop_end();
  }
}

/* cert_parse.c, and the C interface of certificates as a whole: reading, facts, verification,
 * texts. covers: runtime/tls/cert_parse.c, runtime/tls/cert_text.c, runtime/tls/verify_chain.c
 */
#include "qn/cert.h"
#include "qn/key.h"

#include "support/test.h"

#include "runtime/tls/pem.h"

#include <stdio.h>
#include <string.h>

#define WHEN 1800000000 /* 2027: all of pem.h but `expired` are valid */

static qn_cert_t *parse(const char *pem)
{
  qn_cert_t *cert = NULL;
  REQUIRE(qn_cert_parse(pem, strlen(pem), &cert) == 0);
  return cert;
}

TEST(a_bundle_is_read_whole_or_not_at_all)
{
  char text[8192];
  qn_certs_t list = {NULL, 0, 0};
  qn_cert_fault_t fault;
  int64_t live = qn_alloc_live();
  snprintf(text, sizeof text, "words\n%s%s%s", pem_ca, pem_server_key, pem_server);
  CHECK_INT(qn_certs_parse(text, strlen(text), &list), 0);
  CHECK_UINT(list.count, 2);
  CHECK_INT(qn_certs_read(text, strlen(text), true, &list, &fault), 0);
  CHECK_UINT(list.count, 3);
  CHECK(qn_cert_equal(list.items[0], list.items[2]));
  CHECK(!qn_cert_equal(list.items[0], list.items[1]));
  CHECK_STR(fault.text, "");
  char *last = strstr(text, "words\n") + strlen(text) - 60;
  *last = '!';
  CHECK_INT(qn_certs_read(text, strlen(text), false, &list, &fault), QN_E_CERT_FORMAT);
  CHECK_UINT(list.count, 3);
  CHECK_UINT(fault.index, 1);
  CHECK(strncmp(text + fault.offset, "-----BEGIN CERTIFICATE", 22) == 0);
  CHECK(fault.line > 10);
  CHECK(strstr(fault.text, "certificate 2 (line ") == fault.text);
  CHECK_INT(qn_certs_parse(text, strlen(text), &list), QN_E_CERT_FORMAT);
  qn_certs_free(&list);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(nothing_is_no_certificate)
{
  qn_cert_t *cert = NULL;
  qn_certs_t list = {NULL, 0, 0};
  qn_cert_fault_t fault;
  static const char *const none[] = {"",
                                     "\n",
                                     "0",
                                     "00",
                                     "\x30",
                                     "\x30\x80",
                                     "\x30\x82\xff\xff",
                                     "\xef\xbb\xbf",
                                     "-----BEGIN CERTIFICATE-----\n",
                                     "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
                                     "-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    TEST_ROUND("%zu", i);
    CHECK_INT(qn_cert_parse(none[i], strlen(none[i]), &cert), QN_E_CERT_FORMAT);
    CHECK_INT(qn_certs_read(none[i], strlen(none[i]), false, &list, &fault), QN_E_CERT_FORMAT);
    CHECK(fault.text[0] != '\0');
  }
  CHECK_NULL(cert);
  CHECK_NULL(list.items);
}

TEST(what_is_read_can_be_written)
{
  qn_cert_t *cert = parse(pem_server), *again = NULL;
  qn_cert_bytes_t pem = {NULL, 0}, der = {NULL, 0};
  REQUIRE(qn_cert_to_pem(cert, &pem) == 0 && qn_cert_to_der(cert, &der) == 0);
  CHECK_MEM(pem.data, pem.size, pem_server, strlen(pem_server));
  REQUIRE(qn_cert_parse(der.data, der.size, &again) == 0);
  CHECK(qn_cert_equal(cert, again));
  qn_free(pem.data);
  qn_free(der.data);
  qn_cert_release(again);
  CHECK_INT(qn_cert_version(cert), 3);
  CHECK(!qn_cert_is_ca(cert) && !qn_cert_self_signed(cert));
  CHECK_INT(qn_cert_match_host(cert, "a.example.org", 13), 0);
  CHECK_INT(qn_cert_match_host(cert, "example.org", 11), QN_E_VERIFY(62));
  CHECK_INT(qn_cert_match_host(cert, "127.0.0.1", 9), 0);
  CHECK_INT(qn_cert_match_host(cert, "127.0.0.2", 9), QN_E_VERIFY(64));
  CHECK_INT(qn_cert_match_host(cert, "", 0), QN_E_BAD_HOST);
  qn_cert_release(cert);
  qn_cert_release(NULL);
}

static void verify(qn_cert_t *const *chain, size_t count, qn_trust_t *trust, int *code, int *depth)
{
  qn_findings_t found;
  qn_verify_t in = {.chain = chain, .count = count, .trust = trust, .time = WHEN, .depth = -1};
  REQUIRE(qn_cert_verify(&in, &found) == 0);
  *code = found.count > 0 ? found.items[0].code : 0;
  *depth = found.count > 0 ? found.items[0].depth : (int)found.chain.count;
  qn_findings_free(&found);
}

TEST(chains_are_verified)
{
  int64_t live = qn_alloc_live();
  qn_cert_t *ca = parse(pem_ca), *inter = parse(pem_inter), *chained = parse(pem_chained);
  qn_cert_t *const chain[] = {chained, inter};
  qn_trust_t *trust = NULL;
  qn_findings_t found;
  int code = 0, depth = 0;
  REQUIRE(qn_trust_new(&trust) == 0 && qn_trust_add(trust, ca) == 0);
  CHECK_INT(qn_trust_add(trust, ca), 0); /* twice is once */
  verify(chain, 2, trust, &code, &depth);
  CHECK_INT(code, 0);
  CHECK_INT(depth, 3);
  verify(chain, 1, trust, &code, &depth);
  CHECK_INT(code, QN_E_VERIFY(20));
  CHECK_INT(depth, 0);
  verify(chain, 2, NULL, &code, &depth); /* the system does not know it */
  CHECK(code == QN_E_VERIFY(20) && depth == 1);
  qn_verify_t none = {.chain = chain, .count = 0, .trust = trust};
  CHECK_INT(qn_cert_verify(&none, &found), QN_E_INVALID);
  none.count = QN_CERT_MAX_CHAIN + 1;
  CHECK_INT(qn_cert_verify(&none, &found), QN_E_LIMIT);
  none = (qn_verify_t){.chain = chain, .count = 2, .trust = trust, .host = "a b", .host_size = 3};
  CHECK_INT(qn_cert_verify(&none, &found), QN_E_BAD_HOST);
  qn_trust_release(qn_trust_retain(trust));
  qn_trust_release(trust);
  qn_trust_release(NULL);
  qn_cert_release(ca);
  qn_cert_release(inter);
  qn_cert_release(chained);
  CHECK_INT(qn_alloc_live(), live);
}

TEST(texts_are_cut_to_the_room_there_is)
{
  qn_cert_t *cert = parse(pem_expired);
  char text[200], some[200];
  size_t n = qn_cert_error_text(QN_E_VERIFY(10), cert, NULL, 0, text, sizeof text);
  CHECK(strstr(text, "has expired: it was valid until 20") != NULL);
  CHECK_UINT(n, strlen(text));
  for (size_t room = 1; room <= n; room++) {
    CHECK_UINT(qn_cert_error_text(QN_E_VERIFY(10), cert, NULL, 0, some, room), room - 1);
    CHECK(strncmp(some, text, room - 1) == 0 && some[room - 1] == '\0');
  }
  CHECK_UINT(qn_cert_error_text(QN_E_VERIFY(10), cert, NULL, 0, NULL, 0), 0);
  CHECK_UINT(qn_cert_error_text(QN_E_VERIFY(10), NULL, NULL, 0, text, sizeof text),
             strlen("the certificate has expired"));
  CHECK(qn_cert_summary(cert, text, sizeof text) > 20);
  qn_cert_release(cert);
}

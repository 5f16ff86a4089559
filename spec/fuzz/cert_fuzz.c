/* Certificates from hostile data: whatever parses can be asked everything, shown, compared with
 * hosts, verified and read again. Text for people is one line of UTF-8, or lines of it. */
#include "codec/percent.h"
#include "tls/cert_i.h"

#include "qn/key.h"

#include <openssl/err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
  if (!ok) {
    abort();
  }
}

static void check_text(const char *text, size_t size, bool lines)
{
  need(qn__utf8_valid(text, size));
  for (size_t i = 0; i < size; i++) {
    need((unsigned char)text[i] >= ' ' || (lines && text[i] == '\n'));
  }
}

static void ask_lists(const qn_cert_t *c)
{
  static const char *const ids[] = {"2.5.29.37", "1.3.6.1.5.5.7.1.1", "2.5.29.31",
                                    "2.5.29.14", "2.5.29.35",         "1.2.3"};
  int (*const lists[])(const qn_cert_t *, qn_cert_list_t *) = {qn_cert_subject, qn_cert_issuer,
                                                               qn_cert_names, qn_cert_extensions};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    qn_cert_list_t list = {NULL, 0, 0, false};
    need(lists[i](c, &list) == 0 && list.count <= QN_CERT_MAX_NAMES);
    for (size_t k = 0; k < list.count; k++) {
      const qn_cert_entry_t *e = &list.items[k];
      need(e->value.data[e->value.size] == 0 && e->text.data[e->text.size] == 0);
      need(strlen(e->id) < 200 && strlen(e->name) < 200);
    }
    qn_cert_list_free(&list);
  }
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    qn_cert_list_t list = {NULL, 0, 0, false};
    need(qn_cert_extension_values(c, ids[i], &list) == 0);
    qn_cert_list_free(&list);
  }
}

static void ask_facts(const qn_cert_t *c)
{
  uint8_t digest[QN_CERT_DIGEST_SIZE];
  qn_cert_bytes_t bytes;
  bool negative;
  char text[200];
  qn_key_t *key = NULL;
  (void)qn_cert_version(c);
  (void)qn_cert_not_before(c);
  (void)qn_cert_not_after(c);
  (void)qn_cert_self_signed(c);
  (void)qn_cert_is_ca(c);
  (void)qn_cert_key_usage(c);
  (void)qn_cert_path_length(c);
  need(qn_cert_serial(c, &bytes, &negative) == 0 && bytes.size > 0);
  qn_free(bytes.data);
  need(qn_cert_digest(c, "sha256", digest) == 32);
  need(qn_cert_signature_algorithm(c, text, sizeof text) < sizeof text);
  if (qn_cert_public_key(c, &key) == 0) {
    need(qn_cert_has_key(c, key));
    qn_key_release(key);
  }
  for (int i = 0; i < 2; i++) {
    need(qn_cert_display_name(c, i == 1, &bytes) == 0);
    qn_free(bytes.data);
  }
}

static void show(const qn_cert_t *c)
{
  static const int codes[] = {1, 9, 10, 18, 19, 20, 62, 64, 66, 67, 68};
  qn_cert_bytes_t bytes;
  char text[256];
  if (qn_cert_to_text(c, &bytes) == 0) {
    check_text((const char *)bytes.data, bytes.size, true);
    qn_free(bytes.data);
  }
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    size_t n = qn_cert_error_text(QN_E_VERIFY(codes[i]), c, "h.example", 9, text,
                                  i % 2 == 0 ? sizeof text : 20);
    need(n == strlen(text));
    check_text(text, n, false);
  }
  check_text(text, qn_cert_summary(c, text, sizeof text), false);
}

static void match(const qn_cert_t *c)
{
  static const char *const hosts[] = {"a.example.org", "127.0.0.1", "::1", "b\xc3\xbc.example"};
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    int rc = qn_cert_match_host(c, hosts[i], strlen(hosts[i]));
    need(rc == 0 || QN_E_IS_VERIFY(rc));
  }
}

static void verify(const qn_certs_t *list)
{
  qn_trust_t *trust = NULL;
  qn_findings_t found;
  need(qn_trust_new(&trust) == 0);
  (void)qn_trust_add(trust, list->items[list->count - 1]);
  qn_verify_t in = {.chain = list->items,
                    .count = list->count < QN_CERT_MAX_CHAIN ? list->count : QN_CERT_MAX_CHAIN,
                    .trust = trust,
                    .host = "a.example.org",
                    .host_size = 13,
                    .purpose = QN_PURPOSE_SERVER,
                    .time = 1800000000,
                    .depth = -1,
                    .partial = list->count % 2 == 0};
  if (qn_cert_verify(&in, &found) == 0) {
    need(found.count <= QN_CERT_MAX_ERRORS);
    qn_findings_free(&found);
  }
  qn_trust_release(trust);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  int64_t live = qn_alloc_live();
  qn_certs_t list = {NULL, 0, 0};
  qn_cert_fault_t fault;
  int rc = qn_certs_read(data, size, false, &list, &fault);
  if (rc != 0) {
    need(list.count == 0);
    check_text(fault.text, strlen(fault.text), false);
  }
  for (size_t i = 0; i < list.count && i < 4; i++) {
    qn_cert_bytes_t der;
    qn_cert_t *again = NULL;
    ask_lists(list.items[i]);
    ask_facts(list.items[i]);
    show(list.items[i]);
    match(list.items[i]);
    if (qn_cert_to_der(list.items[i], &der) == 0) {
      X509_NAME *name = qn__trust_lazy_subject(der.data, (long)der.size);
      X509 *x509 = list.items[i]->x509;
      need(name == NULL || X509_NAME_cmp(name, X509_get_subject_name(x509)) == 0);
      X509_NAME_free(name);
      ERR_clear_error();
      if (qn_cert_parse(der.data, der.size, &again) == 0) {
        need(qn_cert_equal(again, list.items[i]));
        qn_cert_release(again);
      }
      qn_free(der.data);
    }
  }
  if (list.count > 0) {
    verify(&list);
  }
  qn_certs_free(&list);
  need(qn_alloc_live() == live);
  return 0;
}

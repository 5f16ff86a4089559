/* ocsp.c: answers of every kind, made here: who signed them, what they are about, when, what they
 * say; and what clients of each mode make of them, in TLS 1.2 and 1.3.
 * covers: runtime/tls/verify_staple.c
 */
#include "runtime/tls/tls_rig.h"
#include "tls/ocsp_i.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

typedef struct who {
  X509 *x509;
  EVP_PKEY *key;
} who_t;

static who_t ca, leaf, second, must, responder, impostor, stranger;

static void add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
  X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
  X509_add_ext(x, e, -1);
  X509_EXTENSION_free(e);
}

static who_t make(const char *name, const who_t *issuer, long serial, int nid, const char *value)
{
  who_t w = {X509_new(), EVP_EC_gen("P-256")};
  X509_NAME *subject = X509_NAME_new();
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
  X509_set_version(w.x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(w.x509), serial);
  X509_set_subject_name(w.x509, subject);
  X509_NAME_free(subject);
  X509_set_issuer_name(w.x509, X509_get_subject_name(issuer != NULL ? issuer->x509 : w.x509));
  X509_gmtime_adj(X509_getm_notBefore(w.x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(w.x509), 86400);
  X509_set_pubkey(w.x509, w.key);
  if (issuer == NULL) {
    add_ext(w.x509, w.x509, NID_basic_constraints, "critical,CA:TRUE");
  } else {
    add_ext(w.x509, issuer->x509, NID_subject_alt_name, "DNS:localhost");
  }
  if (value != NULL) {
    add_ext(w.x509, issuer->x509, nid, value);
  }
  X509_sign(w.x509, issuer != NULL ? issuer->key : w.key, EVP_sha256());
  return w;
}

static void make_all(void)
{
  if (ca.x509 == NULL) {
    ca = make("Answer CA", NULL, 1, 0, NULL);
    leaf = make("leaf", &ca, 2, 0, NULL);
    second = make("second", &ca, 3, 0, NULL);
    must = make("must", &ca, 4, NID_tlsfeature, "status_request");
    responder = make("responder", &ca, 5, NID_ext_key_usage, "OCSPSigning");
    impostor = make("impostor", &ca, 6, 0, NULL); /* has no such purpose */
    stranger = make("Other CA", NULL, 1, 0, NULL);
  }
}

typedef struct answer {
  who_t *about, *by;
  int status, reason;
  long from, until; /* seconds from now; until 0: not said */
  bool no_certs, sha256;
} answer_t;

static qn_slice_t answer_of(const answer_t *a)
{
  OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
  OCSP_CERTID *id = OCSP_cert_to_id(a->sha256 ? EVP_sha256() : NULL, a->about->x509, ca.x509);
  ASN1_TIME *from = X509_gmtime_adj(NULL, a->from);
  ASN1_TIME *until = a->until != 0 ? X509_gmtime_adj(NULL, a->until) : NULL;
  ASN1_TIME *revoked = ASN1_TIME_set(NULL, 1700000000);
  OCSP_basic_add1_status(basic, id, a->status, a->reason, revoked, from, until);
  OCSP_basic_sign(basic, a->by->x509, a->by->key, EVP_sha256(), NULL,
                  a->no_certs ? OCSP_NOCERTS : 0);
  OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
  static unsigned char *der;
  OPENSSL_free(der);
  der = NULL;
  int n = i2d_OCSP_RESPONSE(r, &der);
  OCSP_RESPONSE_free(r);
  OCSP_BASICRESP_free(basic);
  OCSP_CERTID_free(id);
  ASN1_TIME_free(from);
  ASN1_TIME_free(until);
  ASN1_TIME_free(revoked);
  return (qn_slice_t){der, (size_t)n};
}

#define GOOD V_OCSP_CERTSTATUS_GOOD
#define REVOKED V_OCSP_CERTSTATUS_REVOKED
#define UNKNOWN V_OCSP_CERTSTATUS_UNKNOWN

TEST(each_answer_is_what_it_is)
{
  make_all();
  const struct {
    answer_t a;
    int code;
    qn_ocsp_status_t status;
    const char *problem;
  } cases[] = {
      {{&leaf, &ca, GOOD, -1, -60, 3600}, 0, QN_OCSP_GOOD, NULL},
      {{&leaf, &ca, GOOD, -1, -60, 3600, .sha256 = true}, 0, QN_OCSP_GOOD, NULL},
      {{&leaf, &ca, GOOD, -1, -60, 3600, .no_certs = true}, 0, QN_OCSP_GOOD, NULL},
      {{&leaf, &responder, GOOD, -1, -60, 3600}, 0, QN_OCSP_GOOD, NULL},
      {{&leaf, &ca, GOOD, -1, -60, 0}, 0, QN_OCSP_GOOD, NULL},
      {{&leaf, &ca, GOOD, -1, 120, 3600}, 0, QN_OCSP_GOOD, NULL}, /* clocks differ */
      {{&leaf, &ca, GOOD, -1, -600, -120}, 0, QN_OCSP_GOOD, NULL},
      {{&leaf, &ca, REVOKED, OCSP_REVOKED_STATUS_KEYCOMPROMISE, -60, 3600},
       23,
       QN_OCSP_REVOKED,
       NULL},
      {{&leaf, &ca, REVOKED, -1, -9999, -5000}, 23, QN_OCSP_REVOKED, NULL},
      {{&leaf, &ca, UNKNOWN, -1, -60, 3600}, 75, QN_OCSP_UNKNOWN, NULL},
      {{&leaf, &ca, GOOD, -1, 400, 3600}, 98, QN_OCSP_INVALID, "it is not valid yet"},
      {{&leaf, &ca, GOOD, -1, -9999, -400}, 99, QN_OCSP_INVALID, "it is too old"},
      {{&leaf, &ca, GOOD, -1, -QN_OCSP_AGE_MAX_S - 400, 0}, 99, QN_OCSP_INVALID, "it is too old"},
      {{&second, &ca, GOOD, -1, -60, 3600}, 74, QN_OCSP_INVALID, "it is about other certificates"},
      {{&leaf, &impostor, GOOD, -1, -60, 3600},
       74,
       QN_OCSP_INVALID,
       "nobody who may has signed it"},
      {{&leaf, &stranger, GOOD, -1, -60, 3600},
       74,
       QN_OCSP_INVALID,
       "nobody who may has signed it"},
      {{&leaf, &leaf, GOOD, -1, -60, 3600}, 74, QN_OCSP_INVALID, "nobody who may has signed it"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    TEST_ROUND("case %zu", i);
    qn_ocsp_t o, read;
    const char *problem = NULL;
    qn_slice_t der = answer_of(&cases[i].a);
    CHECK_INT(qn__ocsp_check(der, leaf.x509, ca.x509, time(NULL), &o, &problem), cases[i].code);
    CHECK_INT(o.status, cases[i].status);
    CHECK_STR(problem, cases[i].problem);
    CHECK_INT(qn_ocsp_read(der, &read), 0);
    CHECK_INT(read.status, cases[i].a.status == GOOD      ? QN_OCSP_GOOD
                           : cases[i].a.status == REVOKED ? QN_OCSP_REVOKED
                                                          : QN_OCSP_UNKNOWN);
    CHECK_INT(read.reason, cases[i].a.status == REVOKED ? cases[i].a.reason : -1);
    CHECK_INT(read.revoked_at, cases[i].a.status == REVOKED ? 1700000000 : 0);
    CHECK(llabs((long long)read.this_update - time(NULL) - cases[i].a.from) <= 2);
    CHECK(cases[i].a.until != 0 || read.next_update == 0);
    CHECK(llabs((long long)read.produced_at - time(NULL)) <= 2);
  }
  ERR_clear_error();
}

TEST(nonsense_is_no_answer)
{
  static const uint8_t later[] = {0x30, 0x03, 0x0a, 0x01, 0x03};
  make_all();
  qn_ocsp_t o;
  const char *problem = NULL;
  CHECK_INT(qn__ocsp_check((qn_slice_t){later, sizeof later}, leaf.x509, ca.x509, 0, &o, &problem),
            74);
  CHECK_STR(problem, "the responder says: try later");
  CHECK_INT(qn_ocsp_read((qn_slice_t){later, sizeof later}, &o), QN_E_INVALID);
  CHECK_INT(qn_ocsp_read((qn_slice_t){NULL, 0}, &o), QN_E_INVALID);
  CHECK_INT(qn_ocsp_read((qn_slice_t){later, QN_OCSP_MAX + 1}, &o), QN_E_LIMIT);
  answer_t a = {&leaf, &ca, GOOD, -1, -60, 3600};
  qn_slice_t der = answer_of(&a);
  uint8_t copy[2048];
  REQUIRE(der.size < sizeof copy);
  for (size_t size = 0; size < der.size; size++) { /* cut at every byte */
    memcpy(copy, der.data, size);
    CHECK_INT(
        qn__ocsp_check((qn_slice_t){copy, size}, leaf.x509, ca.x509, time(NULL), &o, &problem), 74);
  }
  int64_t now = time(NULL);
  for (size_t at = 0; at < der.size; at++) { /* every byte changed: never good */
    memcpy(copy, der.data, der.size);
    copy[at] ^= 0x01;
    int code = qn__ocsp_check((qn_slice_t){copy, der.size}, leaf.x509, ca.x509, now, &o, &problem);
    if (code == 0) {
      memcpy(copy, der.data, der.size); /* only what nobody signs may: the certificates beside it */
      CHECK(der.size - at < 300);
    }
  }
  CHECK_INT(qn__ocsp_check(der, leaf.x509, NULL, now, &o, &problem), 74);
  CHECK_STR(problem, "the certificate's issuer is not known");
  ERR_clear_error();
}

/* --- clients ---------------------------------------------------------------------------------- */

static qn_tls_config_t *server_of(const who_t *w, qn_slice_t der)
{
  char *pem;
  BIO *bio = BIO_new(BIO_s_mem());
  qn_tls_config_t *c = new_config();
  PEM_write_bio_X509(bio, w->x509);
  BIO_write(bio, "", 1);
  BIO_get_mem_data(bio, &pem);
  BIO *key = BIO_new(BIO_s_mem());
  char *key_pem;
  PEM_write_bio_PrivateKey(key, w->key, NULL, NULL, 0, NULL, NULL);
  BIO_write(key, "", 1);
  BIO_get_mem_data(key, &key_pem);
  add_cert(c, pem, NULL, key_pem);
  CHECK_INT(qn_tls_config_set_ocsp_staple(c, der), 0);
  BIO_free(bio);
  BIO_free(key);
  return c;
}

static void trust(qn_tls_config_t *c)
{
  char *pem;
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, ca.x509);
  BIO_write(bio, "", 1);
  BIO_get_mem_data(bio, &pem);
  add_ca(c, pem);
  BIO_free(bio);
}

static void ask_later(qn_tls_t *t, void *arg)
{
  (void)t;
  ((heard_t *)arg)->faults += 100;
}

static void staple_duo(duo_t *d, const who_t *w, const answer_t *a, int mode, int version)
{
  make_all();
  duo_init(d);
  d->cc = new_config();
  trust(d->cc);
  d->sc = server_of(w, a != NULL ? answer_of(a) : (qn_slice_t){NULL, 0});
  CHECK_INT(qn_tls_config_set_versions(d->cc, version, version), 0);
  CHECK_INT(qn_tls_config_set_ocsp(d->cc, (qn_tls_ocsp_t)mode), 0);
}

TEST(clients_mind_what_they_are_told_to)
{
  make_all();
  const answer_t good = {&leaf, &ca, GOOD, -1, -60, 3600},
                 revoked = {&leaf, &ca, REVOKED, OCSP_REVOKED_STATUS_KEYCOMPROMISE, -60, 3600},
                 unknown = {&leaf, &ca, UNKNOWN, -1, -60, 3600},
                 old = {&leaf, &ca, GOOD, -1, -9999, -5000},
                 forged = {&leaf, &impostor, GOOD, -1, -60, 3600},
                 for_must = {&must, &ca, GOOD, -1, -60, 3600};
  const struct {
    who_t *w;
    const answer_t *a;
    int code[3]; /* off, request, require */
  } cases[] = {
      {&leaf, &good, {0, 0, 0}},     {&leaf, NULL, {0, 0, 73}},   {&leaf, &revoked, {0, 23, 23}},
      {&leaf, &unknown, {0, 0, 75}}, {&leaf, &old, {0, 0, 99}},   {&leaf, &forged, {0, 0, 74}},
      {&must, NULL, {0, 73, 73}},    {&must, &good, {0, 74, 74}}, {&must, &for_must, {0, 0, 0}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (int mode = 0; mode < 3; mode++) {
      for (int v = QN_TLS_1_2; v <= QN_TLS_1_3; v++) {
        TEST_ROUND("case %zu, mode %d, version %x", i, mode, v);
        duo_t d;
        qn_ocsp_t o;
        const char *problem;
        int code = cases[i].code[mode];
        staple_duo(&d, cases[i].w, cases[i].a, mode, v);
        duo_shake(&d);
        CHECK_INT(d.up_c.result, code != 0 ? QN_E_VERIFY(code) : 0);
        CHECK_INT(qn_tls_ocsp_info(d.c, &o, &problem), mode != 0 && cases[i].a != NULL);
        CHECK_UINT(qn_tls_error_count(d.c), code != 0);
        if (code == 0) {
          duo_require_up(&d);
          duo_talk(&d);
        } else {
          settle_all(d.p.loop);
          CHECK(qn_tls_alert_sent(d.c) > 0);
          CHECK_INT(d.hs.in, qn_tls_alert_sent(d.c));
        }
        if (code == 23) {
          CHECK_STR(qn_tls_problem(d.c), "the certificate was revoked on 2023-11-14 22:13:20 UTC "
                                         "(key_compromise)");
          CHECK_INT(qn_tls_alert_sent(d.c), v == QN_TLS_1_3 ? 44 : 113);
          CHECK_INT(o.revoked_at, 1700000000);
          CHECK_STR(qn_ocsp_reason_name(o.reason), "key_compromise");
        }
        duo_close(&d);
      }
    }
  }
}

TEST(who_is_asked_may_go_on_or_not)
{
  make_all();
  const answer_t revoked = {&leaf, &ca, REVOKED, -1, -60, 3600};
  for (int yes = 0; yes < 2; yes++) {
    for (int v = QN_TLS_1_2; v <= QN_TLS_1_3; v++) {
      TEST_ROUND("yes %d, version %x", yes, v);
      duo_t d;
      reading_t r;
      staple_duo(&d, &leaf, &revoked, QN_TLS_OCSP_REQUEST, v);
      d.co.hooks.verify = ask_later;
      duo_configs(&d);
      duo_begin(&d);
      settle_all(d.p.loop);
      CHECK_INT(d.hc.faults, 101);
      CHECK_INT(d.up_c.done, 0);
      qn_tls_answer_verify(d.c, yes);
      duo_finish(&d);
      CHECK_INT(d.up_c.result, yes ? 0 : QN_E_VERIFY(23));
      if (yes) {
        duo_talk(&d);
      } else {
        settle_all(d.p.loop);
        CHECK_INT(qn_tls_alert_sent(d.c), v == QN_TLS_1_3 ? 44 : 22);
        CHECK(read_now(&r, d.p.b, some(1)) < 0);
      }
      duo_close(&d);
    }
  }
}

/* Accepting one error says nothing of the one that comes later. */
TEST(a_revoked_certificate_is_asked_about_again)
{
  make_all();
  const answer_t revoked = {&leaf, &ca, REVOKED, -1, -60, 3600};
  duo_t d;
  staple_duo(&d, &leaf, &revoked, QN_TLS_OCSP_REQUEST, QN_TLS_1_2);
  d.co.server_name = "other.test";
  d.co.hooks.verify = ask_later;
  duo_configs(&d);
  duo_begin(&d);
  settle_all(d.p.loop);
  CHECK_UINT(qn_tls_error_count(d.c), 1);
  qn_tls_answer_verify(d.c, true);
  settle_all(d.p.loop);
  CHECK_UINT(qn_tls_error_count(d.c), 2);
  CHECK_INT(d.up_c.done, 0);
  qn_tls_answer_verify(d.c, false);
  duo_finish(&d);
  CHECK_INT(d.up_c.done, 1);
  CHECK(d.up_c.result < 0);
  duo_close(&d);
}

TEST(resumed_sessions_were_checked_before)
{
  make_all();
  const answer_t good = {&leaf, &ca, GOOD, -1, -60, 3600};
  for (int v = QN_TLS_1_2; v <= QN_TLS_1_3; v++) {
    TEST_ROUND("version %x", v);
    duo_t d;
    staple_duo(&d, &leaf, &good, QN_TLS_OCSP_REQUIRE, v);
    d.co.peer = "localhost:1";
    duo_shake(&d);
    duo_require_up(&d);
    duo_talk(&d);
    duo_again(&d);
    duo_require_up(&d);
    CHECK(qn_tls_resumed(d.c));
    duo_close(&d);
  }
}

/* cert_make_ext.c: what a plan says becomes a subject and extensions.
 *
 * Called by cert_make.c and csr.c. The texts were checked by cert_name.c when they came into the
 * plan; what can fail here is memory. Criticality as in RFC 5280: basic constraints and key usage
 * always, alternative names when there is no subject, time stamping as its RFC wants it.
 */
#include "tls/cert_make_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

int qn__cert_subject_of(const qn_cert_plan_t *plan, X509_NAME **out)
{
  const qn_cert_list_t *list = &plan->says;
  X509_NAME *name = NULL;
  int set = 0;
  bool ok = true;
  *out = NULL;
  for (size_t i = 0; ok && i < list->count; i++) {
    const qn_cert_entry_t *e = &list->items[i];
    if (e->type != QN_CERT_ATTRIBUTE) {
      continue;
    }
    name = name != NULL ? name : X509_NAME_new();
    ASN1_OBJECT *object = OBJ_txt2obj(e->id, 1);
    ok = name != NULL && object != NULL &&
         X509_NAME_add_entry_by_OBJ(name, object, MBSTRING_UTF8, e->value.data, (int)e->value.size,
                                    -1, e->set == set ? -1 : 0) == 1;
    ASN1_OBJECT_free(object);
    set = e->set;
  }
  if (!ok) {
    X509_NAME_free(name);
    return qn__ossl_fail(-ENOMEM);
  }
  *out = name;
  return 0;
}

bool qn__cert_extend(STACK_OF(X509_EXTENSION) * *list, int nid, void *value, bool critical)
{
  return value != NULL && X509V3_add1_i2d(list, nid, value, critical, X509V3_ADD_APPEND) == 1;
}

/* --- the parts -------------------------------------------------------------------------------- */

static const struct {
  qn_cert_entry_type_t said;
  int type, string;
} names[] = {
    {QN_CERT_DNS, GEN_DNS, V_ASN1_IA5STRING},     {QN_CERT_IP, GEN_IPADD, V_ASN1_OCTET_STRING},
    {QN_CERT_EMAIL, GEN_EMAIL, V_ASN1_IA5STRING}, {QN_CERT_URI, GEN_URI, V_ASN1_IA5STRING},
    {QN_CERT_OCSP, GEN_URI, V_ASN1_IA5STRING},    {QN_CERT_ISSUERS, GEN_URI, V_ASN1_IA5STRING},
    {QN_CERT_CRL, GEN_URI, V_ASN1_IA5STRING}};

/* NULL: out of memory. */
static GENERAL_NAME *general_of(const qn_cert_entry_t *e)
{
  size_t i = 0;
  while (names[i].said != e->type) {
    i++;
  }
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_STRING *value = ASN1_STRING_type_new(names[i].string);
  if (name == NULL || value == NULL ||
      ASN1_STRING_set(value, e->value.data, (int)e->value.size) != 1) {
    ASN1_STRING_free(value);
    GENERAL_NAME_free(name);
    return NULL;
  }
  GENERAL_NAME_set0_value(name, names[i].type, value);
  return name;
}

static bool is_name(const qn_cert_entry_t *e)
{
  return e->type == QN_CERT_DNS || e->type == QN_CERT_IP || e->type == QN_CERT_EMAIL ||
         e->type == QN_CERT_URI;
}

/* What is of `type`, or all alternative names (`type` DNS). NULL: out of memory. */
static GENERAL_NAMES *generals_of(const qn_cert_list_t *list, qn_cert_entry_type_t type)
{
  GENERAL_NAMES *out = GENERAL_NAMES_new();
  for (size_t i = 0; out != NULL && i < list->count; i++) {
    const qn_cert_entry_t *e = &list->items[i];
    if (type == QN_CERT_DNS ? is_name(e) : e->type == type) {
      GENERAL_NAME *name = general_of(e);
      if (name == NULL || sk_GENERAL_NAME_push(out, name) == 0) {
        GENERAL_NAME_free(name);
        GENERAL_NAMES_free(out);
        return NULL;
      }
    }
  }
  return out;
}

static bool says(const qn_cert_list_t *list, qn_cert_entry_type_t type)
{
  for (size_t i = 0; i < list->count; i++) {
    if (list->items[i].type == type) {
      return true;
    }
  }
  return false;
}

static bool add_names(const qn_cert_list_t *list, bool critical, STACK_OF(X509_EXTENSION) * *out)
{
  GENERAL_NAMES *all = generals_of(list, QN_CERT_DNS);
  bool ok = all != NULL && (sk_GENERAL_NAME_num(all) == 0 ||
                            qn__cert_extend(out, NID_subject_alt_name, all, critical));
  GENERAL_NAMES_free(all);
  return ok;
}

static bool add_constraints(const qn_cert_plan_t *plan, STACK_OF(X509_EXTENSION) * *out)
{
  BASIC_CONSTRAINTS *value = BASIC_CONSTRAINTS_new();
  bool ok = value != NULL;
  if (ok && plan->ca) {
    value->ca = 0xff;
    if (plan->path_length >= 0) {
      value->pathlen = ASN1_INTEGER_new();
      ok = value->pathlen != NULL && ASN1_INTEGER_set(value->pathlen, plan->path_length) == 1;
    }
  }
  ok = ok && qn__cert_extend(out, NID_basic_constraints, value, true);
  BASIC_CONSTRAINTS_free(value);
  return ok;
}

enum { SIGNATURE = 1, ENCIPHERMENT = 1 << 2, AGREEMENT = 1 << 4, CERT_SIGN = 3 << 5 };

/* What fits a key when nobody says. */
static uint32_t usual_bits(const qn_cert_plan_t *plan, EVP_PKEY *key)
{
  if (plan->ca) {
    return CERT_SIGN;
  }
  switch (EVP_PKEY_get_base_id(key)) {
  case EVP_PKEY_RSA: return SIGNATURE | ENCIPHERMENT;
  case EVP_PKEY_X25519:
  case EVP_PKEY_X448:
  case EVP_PKEY_DH:
  case EVP_PKEY_DHX: return AGREEMENT;
  default: return SIGNATURE;
  }
}

static bool add_key_usage(uint32_t bits, STACK_OF(X509_EXTENSION) * *out)
{
  ASN1_BIT_STRING *value = ASN1_BIT_STRING_new();
  bool ok = value != NULL;
  for (int i = 0; ok && i < QN_CERT_KEY_USAGES; i++) {
    ok = (bits & 1U << i) == 0 || ASN1_BIT_STRING_set_bit(value, i, 1) == 1;
  }
  ok = ok && qn__cert_extend(out, NID_key_usage, value, true);
  ASN1_BIT_STRING_free(value);
  return ok;
}

static bool add_usages(const qn_cert_list_t *list, STACK_OF(X509_EXTENSION) * *out)
{
  EXTENDED_KEY_USAGE *value = EXTENDED_KEY_USAGE_new();
  bool ok = value != NULL, critical = false;
  for (size_t i = 0; ok && i < list->count; i++) {
    if (list->items[i].type == QN_CERT_USAGE) {
      ASN1_OBJECT *object = OBJ_txt2obj(list->items[i].id, 1);
      ok = object != NULL && sk_ASN1_OBJECT_push(value, object) > 0;
      critical = OBJ_obj2nid(object) == NID_time_stamp && sk_ASN1_OBJECT_num(value) == 1;
      if (!ok) {
        ASN1_OBJECT_free(object);
      }
    }
  }
  ok = ok &&
       (sk_ASN1_OBJECT_num(value) == 0 || qn__cert_extend(out, NID_ext_key_usage, value, critical));
  EXTENDED_KEY_USAGE_free(value);
  return ok;
}

static bool add_access(const qn_cert_list_t *list, STACK_OF(X509_EXTENSION) * *out)
{
  AUTHORITY_INFO_ACCESS *value = AUTHORITY_INFO_ACCESS_new();
  bool ok = value != NULL;
  for (size_t i = 0; ok && i < list->count; i++) {
    const qn_cert_entry_t *e = &list->items[i];
    if (e->type != QN_CERT_OCSP && e->type != QN_CERT_ISSUERS) {
      continue;
    }
    ACCESS_DESCRIPTION *item = ACCESS_DESCRIPTION_new();
    GENERAL_NAME *location = item != NULL ? general_of(e) : NULL;
    if (location == NULL || sk_ACCESS_DESCRIPTION_push(value, item) == 0) {
      GENERAL_NAME_free(location);
      ACCESS_DESCRIPTION_free(item);
      ok = false;
      break;
    }
    GENERAL_NAME_free(item->location);
    item->location = location;
    ASN1_OBJECT_free(item->method);
    item->method = OBJ_nid2obj(e->type == QN_CERT_OCSP ? NID_ad_OCSP : NID_ad_ca_issuers);
  }
  ok = ok && (sk_ACCESS_DESCRIPTION_num(value) == 0 ||
              qn__cert_extend(out, NID_info_access, value, false));
  AUTHORITY_INFO_ACCESS_free(value);
  return ok;
}

/* One point of distribution with all addresses: they lead to the same list. */
static bool add_crl(const qn_cert_list_t *list, STACK_OF(X509_EXTENSION) * *out)
{
  if (!says(list, QN_CERT_CRL)) {
    return true;
  }
  CRL_DIST_POINTS *value = CRL_DIST_POINTS_new();
  DIST_POINT *point = DIST_POINT_new();
  DIST_POINT_NAME *name = DIST_POINT_NAME_new();
  GENERAL_NAMES *urls = generals_of(list, QN_CERT_CRL);
  bool ok = value != NULL && point != NULL && name != NULL && urls != NULL &&
            sk_DIST_POINT_push(value, point) > 0;
  if (ok) {
    name->type = 0;
    name->name.fullname = urls;
    point->distpoint = name;
    ok = qn__cert_extend(out, NID_crl_distribution_points, value, false);
  } else {
    GENERAL_NAMES_free(urls);
    DIST_POINT_NAME_free(name);
    DIST_POINT_free(point);
  }
  CRL_DIST_POINTS_free(value);
  return ok;
}

int qn__cert_extensions_of(const qn_cert_plan_t *plan, EVP_PKEY *key, const X509_NAME *subject,
                           bool for_request, STACK_OF(X509_EXTENSION) * *out)
{
  const qn_cert_list_t *list = &plan->says;
  STACK_OF(X509_EXTENSION) *all = sk_X509_EXTENSION_new_null();
  uint32_t bits =
      plan->key_usage != 0 || (for_request && !plan->ca) ? plan->key_usage : usual_bits(plan, key);
  bool ok = all != NULL && ((for_request && !plan->ca) || add_constraints(plan, &all)) &&
            (bits == 0 || add_key_usage(bits, &all)) && add_usages(list, &all) &&
            add_names(list, X509_NAME_entry_count(subject) == 0, &all) && add_access(list, &all) &&
            add_crl(list, &all);
  if (!ok) {
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    return qn__ossl_fail(-ENOMEM);
  }
  *out = all;
  return 0;
}

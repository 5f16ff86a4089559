/* cert_list.c: what a certificate lists: attributes, alternative names, extensions.
 *
 * Everything is copied out as bytes; nothing is interpreted that need not be. Values may hold
 * anything a hostile issuer wrote, NUL included; whoever shows them must know. Bounded by
 * QN_CERT_MAX_NAMES: what is beyond is left out, and the list says so. Called by cert.h's users;
 * must not keep pointers into OpenSSL's structures.
 */
#include "tls/cert_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

/* Every entry owns one block: id, NUL, name, NUL, value, NUL, text, NUL; `id` is its start. */
void qn_cert_list_free(qn_cert_list_t *list)
{
  for (size_t i = 0; i < list->count; i++) {
    qn_free((char *)list->items[i].id);
  }
  qn_free(list->items);
  *list = (qn_cert_list_t){NULL, 0, 0, false};
}

static int add(qn_cert_list_t *list, const qn_cert_entry_t *e)
{
  if (list->count >= QN_CERT_MAX_NAMES) {
    list->cut = true;
    return 0;
  }
  if (list->count == list->room) {
    size_t room = list->room > 0 ? list->room * 2 : 8;
    qn_cert_entry_t *items = qn_realloc(list->items, room * sizeof *items);
    if (items == NULL) {
      return -ENOMEM;
    }
    list->items = items;
    list->room = room;
  }
  size_t id = strlen(e->id) + 1, name = strlen(e->name) + 1;
  char *p = qn_calloc(1, id + name + e->value.size + 1 + e->text.size + 1);
  if (p == NULL) {
    return -ENOMEM;
  }
  qn_cert_entry_t *to = &list->items[list->count++];
  *to = *e;
  to->id = memcpy(p, e->id, id);
  to->name = memcpy(p + id, e->name, name);
  uint8_t *value = (uint8_t *)p + id + name, *text = value + e->value.size + 1;
  if (e->value.size > 0) {
    memcpy(value, e->value.data, e->value.size);
  }
  if (e->text.size > 0) {
    memcpy(text, e->text.data, e->text.size);
  }
  to->value.data = value;
  to->text.data = text;
  return 0;
}

typedef struct names {
  char id[160], name[160];
} names_t;

/* Number and short name of an object; the number again when it has no name. */
static void name_object(const ASN1_OBJECT *object, names_t *out)
{
  out->id[0] = out->name[0] = '\0';
  if (object == NULL) {
    return;
  }
  OBJ_obj2txt(out->id, sizeof out->id, object, 1);
  int nid = OBJ_obj2nid(object);
  const char *sn = nid != NID_undef ? OBJ_nid2sn(nid) : out->id;
  size_t n = strlen(sn);
  n = n < sizeof out->name ? n : sizeof out->name - 1;
  memcpy(out->name, sn, n);
  out->name[n] = '\0';
}

static int add_named(qn_cert_list_t *list, const qn_cert_entry_t *e, const ASN1_OBJECT *object)
{
  names_t names;
  qn_cert_entry_t named = *e;
  name_object(object, &names);
  named.id = names.id;
  named.name = names.name;
  return add(list, &named);
}

int qn__list_add(qn_cert_list_t *list, qn_cert_entry_type_t type, const ASN1_OBJECT *object,
                 const void *value, size_t size)
{
  qn_cert_entry_t e = {.type = type, .value = {value, size}};
  return add_named(list, &e, object);
}

static int add_string(qn_cert_list_t *list, qn_cert_entry_type_t type, const ASN1_STRING *s)
{
  return qn__list_add(list, type, NULL, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

int qn__list_name(const X509_NAME *name, qn_cert_list_t *out)
{
  int rc = 0, n = X509_NAME_entry_count(name);
  for (int i = 0; rc == 0 && !out->cut && i < n; i++) {
    X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
    uint8_t *text = NULL;
    const ASN1_STRING *s = X509_NAME_ENTRY_get_data(entry);
    int size = ASN1_STRING_to_UTF8(&text, s);
    qn_cert_entry_t e = {.type = QN_CERT_ATTRIBUTE, .set = X509_NAME_ENTRY_set(entry)};
    e.value = size >= 0 ? (qn_slice_t){text, (size_t)size} /* else no text: its bytes */
                        : (qn_slice_t){ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
    rc = add_named(out, &e, X509_NAME_ENTRY_get_object(entry));
    OPENSSL_free(text);
  }
  ERR_clear_error();
  return rc;
}

/* What has no plain value, as text. */
static int add_printed(qn_cert_list_t *list, qn_cert_entry_type_t type, GENERAL_NAME *name)
{
  BIO *bio = BIO_new(BIO_s_mem());
  bool ok = bio != NULL;
  if (ok && type == QN_CERT_DIRECTORY) {
    ok = X509_NAME_print_ex(bio, name->d.directoryName, 0,
                            XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0;
  } else if (ok) {
    ok = GENERAL_NAME_print(bio, name) == 1;
  }
  uint8_t *data = NULL;
  size_t size = 0;
  int rc = qn__ossl_take(bio, ok, -ENOMEM, &data, &size);
  if (rc == 0) {
    rc = qn__list_add(list, type, NULL, data, size);
  }
  qn_free(data);
  return rc;
}

int qn__list_general(const GENERAL_NAMES *names, qn_cert_list_t *out)
{
  int rc = 0, n = names != NULL ? sk_GENERAL_NAME_num(names) : 0;
  for (int i = 0; rc == 0 && !out->cut && i < n; i++) {
    GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    switch (name->type) {
    case GEN_DNS: rc = add_string(out, QN_CERT_DNS, name->d.dNSName); break;
    case GEN_EMAIL: rc = add_string(out, QN_CERT_EMAIL, name->d.rfc822Name); break;
    case GEN_URI: rc = add_string(out, QN_CERT_URI, name->d.uniformResourceIdentifier); break;
    case GEN_DIRNAME: rc = add_printed(out, QN_CERT_DIRECTORY, name); break;
    case GEN_IPADD: {
      int size = ASN1_STRING_length(name->d.iPAddress);
      rc = size == 4 || size == 16 ? add_string(out, QN_CERT_IP, name->d.iPAddress)
                                   : add_printed(out, QN_CERT_OTHER, name);
      break;
    }
    default: rc = add_printed(out, QN_CERT_OTHER, name); break;
    }
  }
  ERR_clear_error();
  return rc;
}

size_t qn_cert_attribute_id(const char *name, char *buf, size_t size)
{
  ASN1_OBJECT *object = OBJ_txt2obj(name, 0);
  int n = object != NULL ? OBJ_obj2txt(buf, (int)size, object, 1) : 0;
  ASN1_OBJECT_free(object);
  ERR_clear_error();
  return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

static int undo(int rc, qn_cert_list_t *out)
{
  if (rc != 0) {
    qn_cert_list_free(out);
  }
  return rc;
}

int qn_cert_subject(const qn_cert_t *cert, qn_cert_list_t *out)
{
  return undo(qn__list_name(X509_get_subject_name(cert->x509), out), out);
}

int qn_cert_issuer(const qn_cert_t *cert, qn_cert_list_t *out)
{
  return undo(qn__list_name(X509_get_issuer_name(cert->x509), out), out);
}

int qn_cert_names(const qn_cert_t *cert, qn_cert_list_t *out)
{
  GENERAL_NAMES *names = X509_get_ext_d2i(cert->x509, NID_subject_alt_name, NULL, NULL);
  int rc = qn__list_general(names, out);
  GENERAL_NAMES_free(names);
  ERR_clear_error();
  return undo(rc, out);
}

/* Those whose content we can tell. */
static const int known[] = {NID_basic_constraints,
                            NID_key_usage,
                            NID_ext_key_usage,
                            NID_subject_key_identifier,
                            NID_authority_key_identifier,
                            NID_subject_alt_name,
                            NID_info_access,
                            NID_crl_distribution_points};
#define KNOWN (sizeof known / sizeof *known)

/* The index of it in `known`, or KNOWN. */
static size_t known_at(X509_EXTENSION *ext)
{
  int nid = OBJ_obj2nid(X509_EXTENSION_get_object(ext));
  size_t i = 0;
  while (i < KNOWN && known[i] != nid) {
    i++;
  }
  return i;
}

static bool is_supported(X509_EXTENSION *ext)
{
  if (known_at(ext) == KNOWN) {
    return false;
  }
  void *value = X509V3_EXT_d2i(ext); /* what cannot be read has no value */
  const X509V3_EXT_METHOD *method = X509V3_EXT_get(ext);
  if (value == NULL || method == NULL) {
    ERR_clear_error();
    return false;
  }
  ASN1_item_free(value, ASN1_ITEM_ptr(method->it));
  return true;
}

int qn__list_extension(X509_EXTENSION *ext, qn_cert_list_t *out)
{
  const ASN1_OCTET_STRING *der = X509_EXTENSION_get_data(ext);
  BIO *bio = BIO_new(BIO_s_mem());
  qn_cert_entry_t e = {.type = QN_CERT_EXTENSION,
                       .critical = X509_EXTENSION_get_critical(ext) != 0,
                       .supported = is_supported(ext),
                       .value = {ASN1_STRING_get0_data(der), (size_t)ASN1_STRING_length(der)}};
  uint8_t *text = NULL;
  size_t size = 0;
  if (bio != NULL && X509V3_EXT_print(bio, ext, 0, 0) != 1) {
    BIO_reset(bio); /* unknown, or broken: no text */
    ERR_clear_error();
  }
  int rc = qn__ossl_take(bio, bio != NULL, -ENOMEM, &text, &size);
  if (rc == 0) {
    e.text = (qn_slice_t){text, size};
    rc = add_named(out, &e, X509_EXTENSION_get_object(ext));
  }
  qn_free(text);
  return rc;
}

int qn_cert_extensions(const qn_cert_t *cert, qn_cert_list_t *out)
{
  int rc = 0, n = X509_get_ext_count(cert->x509);
  unsigned times[KNOWN + 1] = {0};
  for (int i = 0; i < n; i++) {
    times[known_at(X509_get_ext(cert->x509, i))]++;
  }
  for (int i = 0; rc == 0 && !out->cut && i < n; i++) {
    X509_EXTENSION *ext = X509_get_ext(cert->x509, i);
    rc = qn__list_extension(ext, out);
    if (rc == 0 && !out->cut && times[known_at(ext)] > 1) { /* given twice: neither counts */
      out->items[out->count - 1].supported = false;
    }
  }
  ERR_clear_error();
  return undo(rc, out);
}

static int add_usages(X509 *x509, qn_cert_list_t *out)
{
  EXTENDED_KEY_USAGE *list = X509_get_ext_d2i(x509, NID_ext_key_usage, NULL, NULL);
  int rc = 0, n = list != NULL ? sk_ASN1_OBJECT_num(list) : 0;
  for (int i = 0; rc == 0 && !out->cut && i < n; i++) {
    rc = qn__list_add(out, QN_CERT_USAGE, sk_ASN1_OBJECT_value(list, i), NULL, 0);
  }
  EXTENDED_KEY_USAGE_free(list);
  return rc;
}

static int add_access(X509 *x509, qn_cert_list_t *out)
{
  AUTHORITY_INFO_ACCESS *list = X509_get_ext_d2i(x509, NID_info_access, NULL, NULL);
  int rc = 0, n = list != NULL ? sk_ACCESS_DESCRIPTION_num(list) : 0;
  for (int i = 0; rc == 0 && !out->cut && i < n; i++) {
    ACCESS_DESCRIPTION *item = sk_ACCESS_DESCRIPTION_value(list, i);
    int nid = OBJ_obj2nid(item->method);
    if (item->location->type == GEN_URI && (nid == NID_ad_OCSP || nid == NID_ad_ca_issuers)) {
      rc = add_string(out, nid == NID_ad_OCSP ? QN_CERT_OCSP : QN_CERT_ISSUERS,
                      item->location->d.uniformResourceIdentifier);
    }
  }
  AUTHORITY_INFO_ACCESS_free(list);
  return rc;
}

static int add_crls(X509 *x509, qn_cert_list_t *out)
{
  CRL_DIST_POINTS *list = X509_get_ext_d2i(x509, NID_crl_distribution_points, NULL, NULL);
  int rc = 0, n = list != NULL ? sk_DIST_POINT_num(list) : 0;
  for (int i = 0; rc == 0 && !out->cut && i < n; i++) {
    const DIST_POINT_NAME *point = sk_DIST_POINT_value(list, i)->distpoint;
    GENERAL_NAMES *names = point != NULL && point->type == 0 ? point->name.fullname : NULL;
    for (int k = 0; rc == 0 && names != NULL && k < sk_GENERAL_NAME_num(names); k++) {
      const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, k);
      rc = name->type == GEN_URI ? add_string(out, QN_CERT_CRL, name->d.uniformResourceIdentifier)
                                 : 0;
    }
  }
  CRL_DIST_POINTS_free(list);
  return rc;
}

int qn_cert_extension_values(const qn_cert_t *cert, const char *id, qn_cert_list_t *out)
{
  const ASN1_OCTET_STRING *key_id = NULL;
  int rc = 0;
  switch (OBJ_txt2nid(id)) {
  case NID_ext_key_usage: rc = add_usages(cert->x509, out); break;
  case NID_info_access: rc = add_access(cert->x509, out); break;
  case NID_crl_distribution_points: rc = add_crls(cert->x509, out); break;
  case NID_subject_key_identifier: key_id = X509_get0_subject_key_id(cert->x509); break;
  case NID_authority_key_identifier: key_id = X509_get0_authority_key_id(cert->x509); break;
  default: break;
  }
  if (key_id != NULL) {
    rc = add_string(out, QN_CERT_KEY_ID, key_id);
  }
  ERR_clear_error();
  return undo(rc, out);
}

/* cert_name.c: texts of people become attributes, alternative names and usages of a plan.
 *
 * Called by the bindings before a certificate or request is made. Everything is checked and brought
 * into the form of RFC 5280 here: what is in the list can be written. What is refused is explained
 * in `why`. Must not change the list when it refuses.
 */
#include "codec/idna.h"
#include "qn/ip.h"
#include "qn/url.h"
#include "tls/cert_i.h"
#include "tls/cert_make_i.h"
#include "tls/crypto_i.h"
#include "tls/ossl.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 80 /* bytes of a text in a message */

int qn__cert_refuse(qn_cert_why_t *why, int code, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why->text, sizeof why->text, format, arguments);
  va_end(arguments);
  qn__cert_harmless((uint8_t *)why->text, strlen(why->text));
  for (char *p = why->text; (p = strchr(p, '\n')) != NULL;) {
    *p = '.'; /* a message is one line */
  }
  return code;
}

/* "what 'text' reason" */
static int refuse(qn_cert_why_t *why, const char *what, const char *text, size_t size,
                  const char *reason)
{
  return qn__cert_refuse(why, QN_E_INVALID, "%s '%.*s%s' %s", what,
                         (int)(size < SHOWN ? size : SHOWN), text, size > SHOWN ? "..." : "",
                         reason);
}

static int check_room(const qn_cert_list_t *list, size_t size, qn_cert_why_t *why)
{
  if (list->count >= QN_CERT_MAX_SAID) {
    return qn__cert_refuse(why, QN_E_LIMIT, "more than %d names and attributes", QN_CERT_MAX_SAID);
  }
  return size > QN_CERT_MAX_TEXT
             ? qn__cert_refuse(why, QN_E_LIMIT, "a text of more than %u bytes", QN_CERT_MAX_TEXT)
             : 0;
}

/* --- attributes ------------------------------------------------------------------------------- */

int qn_cert_say_attribute(qn_cert_list_t *list, const char *id, const void *text, size_t size,
                          bool joined, qn_cert_why_t *why)
{
  char reason[120];
  qn__crypto_begin();
  int rc = check_room(list, size, why);
  if (rc < 0) {
    return rc;
  }
  ASN1_OBJECT *object = OBJ_txt2obj(id, 0);
  if (object == NULL) {
    ERR_clear_error();
    return refuse(why, "subject: attribute", id, strlen(id), "is not known");
  }
  X509_NAME_ENTRY *entry =
      memchr(text, '\0', size) == NULL
          ? X509_NAME_ENTRY_create_by_OBJ(NULL, object, MBSTRING_UTF8, text, (int)size)
          : NULL;
  if (entry == NULL) {
    qn__ossl_reason(reason, sizeof reason);
    rc = qn__ossl_fail(QN_E_INVALID);
    if (rc == QN_E_INVALID) {
      rc = qn__cert_refuse(why, rc, "subject: %.40s '%.*s' cannot be written (%s)", id,
                           (int)(size < SHOWN ? size : SHOWN), (const char *)text,
                           reason[0] != '\0' ? reason : "a zero byte in it");
    }
  } else {
    int set = 0;
    for (size_t i = 0; i < list->count; i++) {
      if (list->items[i].type == QN_CERT_ATTRIBUTE) {
        set = list->items[i].set + (joined ? 0 : 1);
      }
    }
    rc = qn__list_add(list, QN_CERT_ATTRIBUTE, object, text, size);
    if (rc == 0) {
      list->items[list->count - 1].set = set;
    }
  }
  X509_NAME_ENTRY_free(entry);
  ASN1_OBJECT_free(object);
  ERR_clear_error();
  return rc;
}

/* --- alternative names ------------------------------------------------------------------------ */

static int add_once(qn_cert_list_t *list, qn_cert_entry_type_t type, const void *value, size_t size)
{
  for (size_t i = 0; i < list->count; i++) {
    const qn_cert_entry_t *e = &list->items[i];
    if (e->type == type && e->value.size == size && memcmp(e->value.data, value, size) == 0) {
      return 0;
    }
  }
  return qn__list_add(list, type, NULL, value, size);
}

static bool is_label_char(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of 1 to 63 letters, digits, "-" within, "_"; the last one is no number. */
static bool is_host(const char *name)
{
  const char *label = name;
  bool number = true;
  size_t size = strlen(name);
  if (size == 0 || size > 253) {
    return false;
  }
  for (const char *p = name;; p++) {
    if (*p == '.' || *p == '\0') {
      if (p == label || p - label > 63 || *label == '-' || p[-1] == '-') {
        return false;
      }
      if (*p == '\0') {
        return !number;
      }
      label = p + 1;
      number = true;
    } else if (!is_label_char(*p)) {
      return false;
    } else {
      number = number && *p >= '0' && *p <= '9';
    }
  }
}

/* The name in ASCII and lower case, without a dot at its end. */
static bool to_host(const char *text, size_t size, char out[QN__IDNA_OUT])
{
  if (size > 0 && text[size - 1] == '.') {
    size--;
  }
  return memchr(text, '\0', size) == NULL && qn__idna_to_ascii(text, size, 0, out) == 0 &&
         is_host(out);
}

static int say_dns(qn_cert_list_t *list, const char *text, size_t size, qn_cert_why_t *why)
{
  char name[QN__IDNA_OUT + 2];
  size_t prefix = size > 2 && text[0] == '*' && text[1] == '.' ? 2 : 0;
  if (!to_host(text + prefix, size - prefix, name + prefix)) {
    return refuse(why, "names:", text, size, "is not a DNS name");
  }
  memcpy(name, "*.", prefix);
  if (prefix > 0 && strchr(name + prefix, '.') == NULL) {
    return refuse(why, "names:", text, size, "stands for all of a top-level domain");
  }
  return add_once(list, QN_CERT_DNS, name, strlen(name));
}

static int say_email(qn_cert_list_t *list, const char *text, size_t size, qn_cert_why_t *why)
{
  char domain[QN__IDNA_OUT], whole[QN_CERT_MAX_TEXT + QN__IDNA_OUT];
  const char *at = memchr(text, '@', size);
  bool good = at != NULL && at > text && at - text <= 64;
  for (const char *p = text; good && p < at; p++) {
    good = *p > ' ' && *p < 0x7f && strchr("<>()[],;:\\\"", *p) == NULL;
  }
  if (!good || !to_host(at + 1, size - (size_t)(at + 1 - text), domain)) {
    return refuse(why, "names:", text, size, "is not a mail address that can be written (ASCII)");
  }
  int n = snprintf(whole, sizeof whole, "%.*s@%s", (int)(at - text), text, domain);
  return add_once(list, QN_CERT_EMAIL, whole, (size_t)n);
}

/* Takes the form in ASCII of any URI with a scheme. */
static int say_uri(qn_cert_list_t *list, qn_cert_entry_type_t type, const char *text, size_t size,
                   const char *what, qn_cert_why_t *why)
{
  qn_url_t *url = NULL;
  qn_url_error_t error;
  int rc = qn_url_parse(text, size, QN_URL_TOLERANT, NULL, &url, &error);
  if (rc == -ENOMEM) {
    return rc;
  }
  if (rc < 0 || !qn_url_has(url, QN_URL_SCHEME)) {
    rc = refuse(why, what, text, size, "is not a URI");
  } else {
    qn_slice_t whole = qn_url_text(url);
    rc = whole.size > QN_CERT_MAX_TEXT ? check_room(list, whole.size, why)
                                       : add_once(list, type, whole.data, whole.size);
  }
  qn_url_free(url);
  return rc;
}

static bool is_ip(const char *text, size_t size, uint8_t ip[16], size_t *ip_size)
{
  if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
    text++;
    size -= 2;
  }
  const char *zone = memchr(text, '%', size); /* says the way, not who */
  size = zone != NULL ? (size_t)(zone - text) : size;
  *ip_size = zone == NULL && qn_ip4_parse(text, size, ip) ? 4
             : qn_ip6_parse(text, size, ip)               ? 16
                                                          : 0;
  return *ip_size != 0;
}

/* "scheme:" with something behind it that is no port. */
static bool looks_like_uri(const char *text, size_t size)
{
  const char *colon = memchr(text, ':', size);
  if (colon == NULL || colon == text) {
    return false;
  }
  for (const char *p = colon + 1; p < text + size; p++) {
    if (*p < '0' || *p > '9') {
      return true;
    }
  }
  return false;
}

static qn_cert_form_t form_of(const char *text, size_t size)
{
  return looks_like_uri(text, size)        ? QN_CERT_FORM_URI
         : memchr(text, '@', size) != NULL ? QN_CERT_FORM_EMAIL
                                           : QN_CERT_FORM_DNS;
}

int qn_cert_say_name(qn_cert_list_t *list, qn_cert_form_t form, const char *text, size_t size,
                     qn_cert_why_t *why)
{
  uint8_t ip[16];
  size_t ip_size;
  int rc = check_room(list, size, why);
  if (rc < 0) {
    return rc;
  }
  if ((form == QN_CERT_FORM_ANY || form == QN_CERT_FORM_IP) && is_ip(text, size, ip, &ip_size)) {
    return add_once(list, QN_CERT_IP, ip, ip_size);
  }
  switch (form == QN_CERT_FORM_ANY ? form_of(text, size) : form) {
  case QN_CERT_FORM_IP: return refuse(why, "names:", text, size, "is not an IP address");
  case QN_CERT_FORM_EMAIL: return say_email(list, text, size, why);
  case QN_CERT_FORM_URI: return say_uri(list, QN_CERT_URI, text, size, "names:", why);
  default: return say_dns(list, text, size, why);
  }
}

int qn_cert_say_url(qn_cert_list_t *list, qn_cert_entry_type_t type, const char *text, size_t size,
                    qn_cert_why_t *why)
{
  int rc = check_room(list, size, why);
  return rc < 0 ? rc
                : say_uri(list, type, text, size,
                          type == QN_CERT_OCSP      ? "ocsp:"
                          : type == QN_CERT_ISSUERS ? "issuers:"
                                                    : "crl:",
                          why);
}

/* --- usages ----------------------------------------------------------------------------------- */

const char *const qn_cert_usage_names[] = {"server", "client", "code", "email",
                                           "time",   "ocsp",   "any",  NULL};
static const int usage_nids[] = {NID_server_auth,        NID_client_auth, NID_code_sign,
                                 NID_email_protect,      NID_time_stamp,  NID_OCSP_sign,
                                 NID_anyExtendedKeyUsage};

const char *const qn_cert_key_usage_names[QN_CERT_KEY_USAGES + 1] = {
    "digital_signature", "non_repudiation",
    "key_encipherment",  "data_encipherment",
    "key_agreement",     "key_cert_sign",
    "crl_sign",          "encipher_only",
    "decipher_only",     NULL};

int qn_cert_say_usage(qn_cert_list_t *list, const char *id, qn_cert_why_t *why)
{
  qn__crypto_begin();
  ASN1_OBJECT *object = NULL;
  int rc = check_room(list, strlen(id), why);
  for (size_t i = 0; rc == 0 && object == NULL && qn_cert_usage_names[i] != NULL; i++) {
    object = strcmp(qn_cert_usage_names[i], id) == 0 ? OBJ_nid2obj(usage_nids[i]) : NULL;
  }
  if (rc == 0 && object == NULL) {
    object = OBJ_txt2obj(id, 1);
  }
  if (rc == 0) {
    rc = object == NULL ? refuse(why, "usage:", id, strlen(id), "is neither a name nor a number")
                        : qn__list_add(list, QN_CERT_USAGE, object, NULL, 0);
  }
  ASN1_OBJECT_free(object);
  ERR_clear_error();
  return rc;
}

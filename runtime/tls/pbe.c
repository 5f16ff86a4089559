/* pbe.c: how much work a passphrase costs, as the file says that it protects.
 *
 * Called before anything is decrypted: keys (key_parse.c) and PKCS#12 files (pkcs12_read.c). Must
 * not derive anything itself. What is more than QN_KEY_MAX_ITERATIONS is refused, so that a small
 * file cannot keep a thread busy for hours.
 */
#include "tls/pbe_i.h"

#include "qn/key.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>

int qn__pbe_count(const ASN1_INTEGER *n, uint64_t *work)
{
  *work = 0;
  if (n == NULL || ASN1_INTEGER_get_uint64(work, n) != 1) {
    bool big = n != NULL && n->type == V_ASN1_INTEGER && n->length > (int)sizeof *work;
    *work = big ? UINT64_MAX : 0;
    ERR_clear_error();
    return big ? QN_E_LIMIT : QN_E_KEY_FORMAT;
  }
  return *work > QN_KEY_MAX_ITERATIONS ? QN_E_LIMIT : 0;
}

static int work_of_pbkdf2(const ASN1_TYPE *parameter, uint64_t *work)
{
  PBKDF2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), parameter);
  int rc = p != NULL ? qn__pbe_count(p->iter, work) : QN_E_KEY_FORMAT;
  PBKDF2PARAM_free(p);
  return rc;
}

static int work_of_scrypt(const ASN1_TYPE *parameter, uint64_t *work)
{
  SCRYPT_PARAMS *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), parameter);
  uint64_t n = 0, r = 0, parallel = 0;
  int rc = QN_E_KEY_FORMAT;
  if (p != NULL && ASN1_INTEGER_get_uint64(&n, p->costParameter) == 1 &&
      ASN1_INTEGER_get_uint64(&r, p->blockSize) == 1 &&
      ASN1_INTEGER_get_uint64(&parallel, p->parallelizationParameter) == 1) {
    const uint64_t most = QN_KEY_MAX_ITERATIONS;
    rc = n > most || r > most || parallel > most || n * r > most || n * r * parallel > most
             ? QN_E_LIMIT
             : 0;
    *work = rc == 0 ? n * r * parallel : UINT64_MAX;
  }
  SCRYPT_PARAMS_free(p);
  return rc;
}

int qn__pbe_work(const X509_ALGOR *algorithm, uint64_t *work)
{
  int rc = QN_E_KEY_FORMAT;
  *work = 0;
  if (OBJ_obj2nid(algorithm->algorithm) == NID_pbes2) {
    PBE2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter);
    if (p != NULL) {
      int kdf = OBJ_obj2nid(p->keyfunc->algorithm);
      rc = kdf == NID_id_pbkdf2   ? work_of_pbkdf2(p->keyfunc->parameter, work)
           : kdf == NID_id_scrypt ? work_of_scrypt(p->keyfunc->parameter, work)
                                  : QN_E_UNSUPPORTED;
    }
    PBE2PARAM_free(p);
  } else {
    PBEPARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), algorithm->parameter);
    rc = p != NULL ? qn__pbe_count(p->iter, work) : QN_E_UNSUPPORTED;
    PBEPARAM_free(p);
  }
  ERR_clear_error();
  return rc;
}

/* ossl.c: see ossl.h. */
#include "tls/ossl.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

int qn__ossl_fail(int code)
{
  unsigned long e = ERR_peek_last_error();
  bool memory = e != 0 && ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE;
  ERR_clear_error();
  return memory ? -ENOMEM : code;
}

void qn__ossl_reason(char *buf, size_t size)
{
  unsigned long e = ERR_peek_last_error();
  const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;
  snprintf(buf, size, "%s", reason != NULL ? reason : "");
}

BIO *qn__ossl_source(const void *data, size_t size)
{
  return size > INT_MAX ? NULL : BIO_new_mem_buf(size > 0 ? data : "", (int)size);
}

int qn__ossl_take(BIO *bio, bool ok, int code, uint8_t **data, size_t *size)
{
  char *from = NULL;
  int rc = ok ? 0 : qn__ossl_fail(code);
  long n = bio != NULL ? BIO_get_mem_data(bio, &from) : 0;
  if (rc == 0) {
    *data = qn_malloc(n > 0 ? (size_t)n : 1);
    if (*data == NULL) {
      rc = -ENOMEM;
    } else {
      if (n > 0) {
        memcpy(*data, from, (size_t)n);
      }
      *size = (size_t)n;
    }
  }
  BIO_free(bio);
  return rc;
}

/* --- methods of BIO --------------------------------------------------------------------------- */

static int on_create(BIO *bio)
{
  BIO_set_init(bio, 1);
  return 1;
}

BIO_METHOD *qn__ossl_bio_method(const char *name, int (*read)(BIO *, char *, int),
                                int (*write)(BIO *, const char *, int),
                                long (*ctrl)(BIO *, int, long, void *))
{
  BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, name);
  if (m == NULL || !BIO_meth_set_read(m, read) || !BIO_meth_set_write(m, write) ||
      !BIO_meth_set_ctrl(m, ctrl) || !BIO_meth_set_create(m, on_create)) {
    BIO_meth_free(m);
    return NULL;
  }
  return m;
}

BIO *qn__ossl_bio(const BIO_METHOD *method, void *data)
{
  BIO *bio = method != NULL ? BIO_new(method) : NULL;
  if (bio != NULL) {
    BIO_set_data(bio, data);
  }
  return bio;
}

/* dns_idn.c: names of questions in other scripts. Names of ASCII stay as they are, with their case,
 * their underscores and their escapes.
 */
#include "codec/dns_i.h"
#include "codec/idna.h"

#include <string.h>

int qn_dns_name_ascii(const char *text, char out[QN_DNS_NAME_TEXT])
{
  char ace[QN__IDNA_OUT];
  size_t size = strnlen(text, QN_DNS_NAME_TEXT), at = 0;
  while (at < size && (unsigned char)text[at] < 0x80) {
    at++;
  }
  if (size == QN_DNS_NAME_TEXT) {
    return QN_E_BAD_HOST;
  }
  if (at < size) {
    int rc = qn__idna_to_ascii(text, size, 0, ace);
    if (rc < 0) {
      return rc;
    }
    text = ace;
    size = strnlen(ace, sizeof ace);
    for (size_t i = 0; i < size; i++) {
      if (ace[i] <= ' ' || ace[i] == 0x7f || ace[i] == '\\') {
        return QN_E_BAD_HOST; /* some characters are mapped to these, as U+00A0 and U+FF3C */
      }
    }
  }
  uint8_t wire[QN__DNS_WIRE];
  if (size >= QN_DNS_NAME_TEXT || qn_dns_name_encode(text, wire) < 0) {
    return QN_E_BAD_HOST;
  }
  memcpy(out, text, size + 1);
  return 0;
}

/* Fuzz target of qn_addr_parse and qn_addr_unix: text from anywhere.
 *
 * What is accepted must print as text that is accepted again and means the same endpoint; nothing
 * may read beyond the text. covers: runtime/net/addr.c
 */
#include "qn/addr.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const qn_addr_t *a)
{
  char text[QN_ADDR_TEXT];
  qn_addr_t again;
  size_t n = qn_addr_host(a, text, sizeof text);
  if (n >= sizeof text) {
    __builtin_trap();
  }
  if (qn_addr_parse(&again, text, qn_addr_port(a), QN_FAMILY_ANY) != 0 ||
      !qn_addr_equal(a, &again)) {
    __builtin_trap();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const qn_family_t families[] = {QN_FAMILY_ANY, QN_FAMILY_IPV4, QN_FAMILY_IPV6};
  qn_addr_t a;
  char *text = malloc(size + 1); /* exactly as long as it is, so that a sanitizer sees the end */
  if (text == NULL) {
    return 0;
  }
  if (size > 0) {
    memcpy(text, data, size);
  }
  text[size] = 0;
  for (int i = 0; i < 3; i++) {
    if (qn_addr_parse(&a, text, 80, families[i]) == 0 && !qn_addr_is_any(&a)) {
      round_trip(&a);
    }
  }
  if (qn_addr_unix(&a, text, size) == 0) {
    char host[QN_ADDR_TEXT];
    if (qn_addr_host(&a, host, sizeof host) >= sizeof host) {
      __builtin_trap();
    }
  }
  free(text);
  return 0;
}

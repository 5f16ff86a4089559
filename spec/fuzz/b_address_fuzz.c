/* Fuzz target of the text that qn.address takes: blanks, special names, literals with zones.
 *
 * What is accepted must print as text that is accepted again and is the same value, whatever the
 * interfaces of the machine are. covers: bindings/b_address.c
 */
#include "b_address.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *exact = malloc(size > 0 ? size : 1);
  if (exact == NULL) {
    return 0;
  }
  if (size > 0) {
    memcpy(exact, data, size);
  }
  for (int loose = 0; loose < 2; loose++) {
    qnl_address_t a, again;
    char text[QNL_ADDRESS_TEXT];
    if (!qnl_address_parse(&a, exact, size, loose != 0)) {
      continue;
    }
    size_t n = qnl_address_text(&a, text);
    if (n >= sizeof text || n != strlen(text)) {
      __builtin_trap();
    }
    if (a.family == QNL_ADDRESS_NULL || a.family == QNL_ADDRESS_ANY) {
      continue;
    }
    if (!qnl_address_parse(&again, text, n, false) || memcmp(&a, &again, sizeof a) != 0 ||
        (qnl_address_class(&a) == 0)) {
      __builtin_trap();
    }
  }
  free(exact);
  return 0;
}

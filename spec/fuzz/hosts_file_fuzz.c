/* Fuzz target of the hosts file: any text.
 *
 * Every name and address that a line states must be found again from both sides, and nothing may
 * read beyond the text. covers: runtime/net/hosts_file.c
 */
#include "net/hosts_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 64

/* An address that was found by name must know names, which are found in turn. */
static void check_back(const qn__hosts_t *h, const qn_addr_t *a)
{
  const char *v[MOST];
  size_t n = qn__hosts_names(h, a, v, MOST);
  bool scoped = qn_addr_family(a) == QN_FAMILY_IPV6 && a->u.in6.sin6_scope_id != 0;
  if (n == 0 && !scoped) { /* too many lines with other scopes may come before */
    __builtin_trap();
  }
  for (size_t i = 0; i < n; i++) {
    qn_addr_t again[MOST];
    if (!qn__hosts_has(h, v[i])) {
      __builtin_trap();
    }
    qn__hosts_find(h, v[i], QN_FAMILY_ANY, again, MOST, NULL);
  }
}

/* Looks up every word of the text. */
static void try_words(const qn__hosts_t *h, char *text, size_t size)
{
  size_t from = 0, words = 0;
  for (size_t i = 0; i <= size && words < 200; i++) {
    if (i < size && strchr(" \t\r\n\v\f#", text[i]) == NULL) {
      continue;
    }
    text[i] = '\0';
    if (i > from) {
      static const qn_family_t families[] = {QN_FAMILY_ANY, QN_FAMILY_IPV4, QN_FAMILY_IPV6};
      for (int f = 0; f < 3; f++) {
        qn_addr_t v[MOST], loopback;
        const char *canonical = NULL;
        size_t n = qn__hosts_find(h, text + from, families[f], v, MOST, &canonical);
        if ((n > 0) != (canonical != NULL) || (n > 0 && !qn__hosts_has(h, text + from)) ||
            (n > 0 && !qn__hosts_has(h, canonical))) {
          __builtin_trap();
        }
        qn_addr_parse(&loopback, "127.0.0.1", 0, QN_FAMILY_IPV4);
        for (size_t k = 0; k < n; k++) {
          if (families[f] != QN_FAMILY_IPV4 || !qn_addr_equal(&v[k], &loopback)) {
            check_back(h, &v[k]);
          }
        }
      }
      words++;
    }
    from = i + 1;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  qn__hosts_t *h = NULL;
  char *text = malloc(size + 1); /* exactly as long as it is, so that a sanitizer sees the end */
  if (text == NULL) {
    return 0;
  }
  if (size > 0) {
    memcpy(text, data, size);
  }
  if (qn__hosts_parse(text, size, &h) == 0) {
    try_words(h, text, size);
  }
  qn__hosts_free(h);
  free(text);
  return 0;
}

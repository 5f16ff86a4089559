/* codec/url_rfc.h: what the files of the RFC modes share: scratch memory and checked components.
 *
 * Called by the parser (url_rfc.c) and by what makes URLs of components (url_build.c, url_input.c).
 * Components are checked the same way wherever they come from. Scratch memory lives until
 * qn__url_scratch_end; short pieces cost no allocation.
 */
#ifndef QN_CODEC_URL_RFC_H
#define QN_CODEC_URL_RFC_H

#include "codec/url_i.h"

typedef struct qn__url_block {
  struct qn__url_block *next;
  char text[];
} qn__url_block_t;

typedef struct qn__url_scratch {
  size_t used;
  qn__url_block_t *blocks;
  char stack[768];
} qn__url_scratch_t;

static inline void qn__url_scratch_begin(qn__url_scratch_t *s)
{
  s->used = 0;
  s->blocks = NULL;
}
char *qn__url_scratch(qn__url_scratch_t *s, size_t size);
void qn__url_scratch_end(qn__url_scratch_t *s);

/* Copies a short text without its NUL; returns what is behind it. */
static inline char *qn__url_put(char *to, const char *text)
{
  while (*text != 0) {
    *to++ = *text++;
  }
  return to;
}

/* A component as it stands in a URL: strict refuses, tolerant repairs. */
int qn__url_component(qn_url_part_t part, const char *text, size_t size, bool strict,
                      qn__url_scratch_t *scratch, qn_slice_t *out, qn_url_error_t *err);
/* A component from plain text: whatever is not allowed there is encoded, '%' too. */
int qn__url_plain(qn_url_part_t part, const char *text, size_t size, qn__url_scratch_t *scratch,
                  qn_slice_t *out);
int qn__url_scheme(const char *text, size_t size, qn__url_scratch_t *scratch, qn_slice_t *out,
                   qn_url_error_t *err);
/* Sets host and ip_literal of `parts`. */
int qn__url_host(const char *text, size_t size, bool strict, qn__url_scratch_t *scratch,
                 qn__url_parts_t *parts, qn_url_error_t *err);

/* url_resolve.c: RFC 3986 section 5.2.4, in place; returns the new size. */
size_t qn__url_remove_dots(char *path, size_t size);
/* url_resolve.c: changes a path that would be misread where it stands: "//x" without an authority,
 * "x:y" without a scheme, "x" behind an authority. */
int qn__url_guard_path(qn__url_parts_t *parts, qn__url_scratch_t *scratch);

/* url_name.c: whether a host is its own normal form in every mode: labels of lower-case letters,
 * digits, '-' and '_' which are neither ACE nor look like an address. */
bool qn__url_host_is_plain(const char *text, size_t size);

#endif

/* codec/form.h: application/x-www-form-urlencoded (URL Standard, section 5), one name or value at a
 * time.
 *
 * Called by the URL classes and whoever sends forms. Pure functions, linear; the caller provides
 * the room. Order and duplicates are the caller's.
 */
#ifndef QN_CODEC_FORM_H
#define QN_CODEC_FORM_H

#include "qn/base.h"

/* A space becomes '+', all but letters, digits, "*-._" is percent-encoded; ill-formed UTF-8 becomes
 * an encoded U+FFFD. `out` has 9 * size bytes. Returns the size written. */
size_t qn__form_encode(const char *text, size_t size, char *out);
/* '+' becomes a space, "%41" is decoded, ill-formed UTF-8 becomes U+FFFD. `out` has 3 * size
 * bytes. */
size_t qn__form_decode(const char *text, size_t size, char *out);

/* The next pair, still encoded; empty pieces between '&' are left out. `*at` moves on; false at the
 * end. */
bool qn__form_next(const char **at, const char *end, qn_slice_t *name, qn_slice_t *value);

#endif

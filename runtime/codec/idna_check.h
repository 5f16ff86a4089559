/* codec/idna_check.h: the validity criteria of UTS 46 section 4.1 that need no mapping.
 *
 * Called by idna.c on labels of code points in their mapped form. Pure functions.
 */
#ifndef QN_CODEC_IDNA_CHECK_H
#define QN_CODEC_IDNA_CHECK_H

#include "qn/base.h"

/* Hyphens and STD3 as `flags` (idna.h) ask, no leading mark, ContextJ. */
bool qn__idna_label_ok(const uint32_t *label, size_t size, unsigned flags);
/* Whether a label makes its domain a Bidi domain name. */
bool qn__idna_is_rtl(const uint32_t *label, size_t size);
/* The Bidi Rule (RFC 5893 section 2). */
bool qn__idna_bidi_ok(const uint32_t *label, size_t size);

#endif

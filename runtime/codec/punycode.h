/* codec/punycode.h: Punycode (RFC 3492) of one label, without the "xn--".
 *
 * Called by IDNA, and by the bindings for the single steps. Bounded: a label has at most
 * QN__PUNYCODE_MAX code points. Nothing allocates.
 */
#ifndef QN_CODEC_PUNYCODE_H
#define QN_CODEC_PUNYCODE_H

#include "qn/base.h"

#define QN__PUNYCODE_MAX 1024 /* code points */

/* Both return the size written, or -1: no room, overflow, or not well formed. ASCII keeps its case;
 * digits are written in lower case and read in either. */
int qn__punycode_encode(const uint32_t *label, size_t size, char *out, size_t room);
int qn__punycode_decode(const char *text, size_t size, uint32_t *out, size_t room);

#endif

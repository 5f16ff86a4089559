/* codec/idna.h: UTS 46 over libidn2: domains to ASCII and to Unicode.
 *
 * Called by the URL codec and the resolver. Bounded: input over 1,024 bytes is refused, a domain
 * over 253 bytes or a label over 63 too where `QN__IDNA_LENGTHS` asks for it.
 */
#ifndef QN_CODEC_IDNA_H
#define QN_CODEC_IDNA_H

#include "qn/base.h"

enum {
  QN__IDNA_LENGTHS = 1,      /* VerifyDnsLength */
  QN__IDNA_STD3 = 2,         /* UseSTD3ASCIIRules: letters, digits, hyphen only */
  QN__IDNA_HYPHENS = 4,      /* CheckHyphens */
  QN__IDNA_TRANSITIONAL = 8, /* IDNA2003's deviations */
  QN__IDNA_LENIENT = 16      /* ToUnicode only: keep labels that cannot be decoded */
};

#define QN__IDNA_MAX 1024
#define QN__IDNA_OUT 4096 /* bytes that always suffice for a result, with its NUL */

/* UTF-8 to lower-case ASCII (ACE). 0 and `out` NUL-terminated, or QN_E_BAD_HOST. Always CheckBidi,
 * CheckJoiners; never allocates for pure ASCII without "xn--". */
int qn__idna_to_ascii(const char *text, size_t size, unsigned flags, char out[QN__IDNA_OUT]);
int qn__idna_to_unicode(const char *text, size_t size, unsigned flags, char out[QN__IDNA_OUT]);

#endif

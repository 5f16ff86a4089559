/* codec/idna_table.h: the properties of code points that the rules of UTS 46 and RFC 5893 ask for.
 *
 * Included by idna.c and idna_check.c. Constant data; what Unicode 17 does not assign has the
 * properties of its neighbour (the mapping refuses it anyway).
 */
#ifndef QN_CODEC_IDNA_TABLE_H
#define QN_CODEC_IDNA_TABLE_H

#include "qn/base.h"

typedef enum qn__bidi { /* Bidi_Class, as far as RFC 5893 tells classes apart */
                        QN__BIDI_L,
                        QN__BIDI_R, /* and AL */
                        QN__BIDI_AN,
                        QN__BIDI_EN,
                        QN__BIDI_NEUTRAL, /* ES, CS, ET, ON, BN */
                        QN__BIDI_NSM,
                        QN__BIDI_OTHER /* WS, S, B and controls: in no label of a Bidi domain */
} qn__bidi_t;

typedef enum qn__joining { /* Joining_Type; U and C are NONE */
                           QN__JOINING_NONE,
                           QN__JOINING_DUAL,
                           QN__JOINING_RIGHT,
                           QN__JOINING_LEFT,
                           QN__JOINING_TRANSPARENT
} qn__joining_t;

typedef struct qn__idna_props {
  qn__bidi_t bidi;
  qn__joining_t joining;
  bool mark;   /* General_Category M */
  bool virama; /* Canonical_Combining_Class 9 */
  bool joins;  /* normalization may join it with what is before it */
} qn__idna_props_t;

qn__idna_props_t qn__idna_props(uint32_t c);

/* What UTS 46 says otherwise since the version of libidn2's tables (Unicode 14): true, and `*to` is
 * the mapping, the code point itself where it became valid, 0 where it became ignored. */
bool qn__idna_newer(uint32_t c, uint32_t *to);

#endif

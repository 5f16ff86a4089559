/* idna_check.c: hyphens, marks, joiners and the Bidi Rule of one label.
 *
 * See idna_check.h. Linear: a search for joining neighbours stops at the next joiner.
 */
#include "codec/idna_check.h"

#include "codec/idna.h"
#include "codec/idna_table.h"

enum { ZWNJ = 0x200c, ZWJ = 0x200d };

static bool is_std3(uint32_t c)
{
  return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* RFC 5892 appendix A.1: (L|D) T* ZWNJ T* (R|D) */
static bool joins_both(const uint32_t *label, size_t size, size_t at)
{
  size_t i = at;
  qn__joining_t before = QN__JOINING_TRANSPARENT, after = QN__JOINING_TRANSPARENT;
  while (i > 0 && before == QN__JOINING_TRANSPARENT) {
    before = qn__idna_props(label[--i]).joining;
  }
  for (i = at + 1; i < size && after == QN__JOINING_TRANSPARENT; i++) {
    after = qn__idna_props(label[i]).joining;
  }
  return (before == QN__JOINING_LEFT || before == QN__JOINING_DUAL) &&
         (after == QN__JOINING_RIGHT || after == QN__JOINING_DUAL);
}

bool qn__idna_label_ok(const uint32_t *label, size_t size, unsigned flags)
{
  if (size == 0) {
    return true;
  }
  if ((flags & QN__IDNA_HYPHENS) != 0 && (label[0] == '-' || label[size - 1] == '-' ||
                                          (size >= 4 && label[2] == '-' && label[3] == '-'))) {
    return false;
  }
  if (qn__idna_props(label[0]).mark) {
    return false;
  }
  for (size_t i = 0; i < size; i++) {
    if ((flags & QN__IDNA_STD3) != 0 && !is_std3(label[i])) {
      return false;
    }
    bool joiner = label[i] == ZWNJ || label[i] == ZWJ;
    if (joiner && !(i > 0 && qn__idna_props(label[i - 1]).virama) &&
        !(label[i] == ZWNJ && joins_both(label, size, i))) {
      return false;
    }
  }
  return true;
}

bool qn__idna_is_rtl(const uint32_t *label, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    qn__bidi_t bidi = qn__idna_props(label[i]).bidi;
    if (bidi == QN__BIDI_R || bidi == QN__BIDI_AN) {
      return true;
    }
  }
  return false;
}

bool qn__idna_bidi_ok(const uint32_t *label, size_t size)
{
  if (size == 0) {
    return true;
  }
  qn__bidi_t first = qn__idna_props(label[0]).bidi, last = first;
  bool rtl = first == QN__BIDI_R, en = false, an = false;
  if (!rtl && first != QN__BIDI_L) {
    return false;
  }
  for (size_t i = 0; i < size; i++) {
    qn__bidi_t bidi = qn__idna_props(label[i]).bidi;
    if (bidi == QN__BIDI_OTHER ||
        (rtl ? bidi == QN__BIDI_L : bidi == QN__BIDI_R || bidi == QN__BIDI_AN)) {
      return false;
    }
    en = en || bidi == QN__BIDI_EN;
    an = an || bidi == QN__BIDI_AN;
    last = bidi == QN__BIDI_NSM ? last : bidi;
  }
  if (rtl) {
    return !(en && an) && last != QN__BIDI_NEUTRAL;
  }
  return last == QN__BIDI_L || last == QN__BIDI_EN;
}

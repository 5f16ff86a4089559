/* idna.c: UTS 46 processing: mapping by libidn2, everything else here.
 *
 * libidn2 maps and normalizes one short run of code points at a time (in its transitional mode,
 * which is the one that maps without the rules of IDNA2008 that UTS 46 does not have); Punycode,
 * the validity criteria and lengths are ours. The deviation characters never reach libidn2 unless
 * they are to be mapped. Invariants: see idna.h; memory is only what libidn2 takes.
 */
#include "codec/idna.h"

#include "codec/idna_check.h"
#include "codec/idna_table.h"
#include "codec/percent.h"
#include "codec/punycode.h"

#include <idn2.h>
#include <string.h>

#define MAPPED_MAX 2048 /* code points of a mapped domain */
#define RUN_MAX 256     /* bytes of a character with its combining marks */

typedef struct points {
  uint32_t at[MAPPED_MAX];
  size_t size;
} points_t;

static bool append(points_t *to, uint32_t c)
{
  if (to->size == MAPPED_MAX) {
    return false;
  }
  to->at[to->size++] = c;
  return true;
}

static bool has_prefix(const uint32_t *label, size_t size)
{
  return size >= 4 && label[0] == 'x' && label[1] == 'n' && label[2] == '-' && label[3] == '-';
}

/* Appends what libidn2 made: labels in ASCII, those beyond it as Punycode. */
static bool append_ace(points_t *to, const char *text)
{
  for (;;) {
    size_t size = strcspn(text, ".");
    if (size >= 4 && memcmp(text, "xn--", 4) == 0) {
      int n = qn__punycode_decode(text + 4, size - 4, to->at + to->size, MAPPED_MAX - to->size);
      if (n < 0) {
        return false;
      }
      to->size += (size_t)n;
    } else {
      for (size_t i = 0; i < size; i++) {
        if (!append(to, (uint8_t)text[i])) {
          return false;
        }
      }
    }
    text += size;
    if (*text == 0) {
      return true;
    }
    text++;
    if (!append(to, '.')) {
      return false;
    }
  }
}

/* Maps and normalizes one character with its marks. Between digits, which compose with nothing:
 * libidn2 refuses marks and hyphens at the ends of a label, which is not its business here. */
static bool map_run(points_t *to, const uint8_t *from, const uint8_t *end)
{
  uint8_t run[RUN_MAX + 3], *ace = NULL;
  size_t size = (size_t)(end - from), start = to->size;
  if (size == 0 || size > RUN_MAX) {
    return size == 0;
  }
  run[0] = '1';
  memcpy(run + 1, from, size);
  memcpy(run + 1 + size, "1", 2);
  int rc = idn2_lookup_u8(run, &ace, IDN2_TRANSITIONAL | IDN2_NO_ALABEL_ROUNDTRIP);
  bool ok = rc == IDN2_OK && append_ace(to, (const char *)ace);
  idn2_free(ace);
  if (ok) {
    to->size -= 2;
    memmove(to->at + start, to->at + start + 1, (to->size - start) * sizeof *to->at);
  }
  return ok;
}

/* What nontransitional processing keeps and libidn2 would map; 0 for everything else. */
static uint32_t deviation(uint32_t c)
{
  switch (c) {
  case 0x00df:
  case 0x1e9e: return 0x00df; /* capital sharp s: since Unicode 15.1 */
  case 0x03c2:
  case 0x200c:
  case 0x200d: return c;
  default: return 0;
  }
}

/* Whether what stands at `at` is for libidn2 together with what is before it; marks that it does
 * not know are not. */
static bool joins(const uint8_t *at, const uint8_t *end, bool transitional)
{
  uint32_t newer;
  int32_t c = qn__utf8_next(&at, end);
  if (c < 0x80 || (!transitional && deviation((uint32_t)c) != 0)) {
    return false;
  }
  qn__idna_props_t props = qn__idna_props((uint32_t)c);
  return (props.joins || props.mark) && !qn__idna_newer((uint32_t)c, &newer);
}

/* Applies what is newer than libidn2's tables; what became valid stays. Never longer. */
static size_t renew(const char *text, size_t size, char *out)
{
  const uint8_t *at = (const uint8_t *)text, *end = at + size;
  size_t n = 0;
  while (at < end) {
    const uint8_t *from = at;
    int32_t c = qn__utf8_next(&at, end);
    uint32_t newer;
    if (c < 0 || !qn__idna_newer((uint32_t)c, &newer)) {
      memcpy(out + n, from, (size_t)(at - from));
      n += (size_t)(at - from);
    } else if (newer != 0) {
      n += qn__utf8_put(newer, out + n);
    }
  }
  return n;
}

/* What libidn2 is not asked about: 0, or the code point that it becomes. */
static uint32_t kept_point(uint32_t c, bool transitional)
{
  uint32_t newer, kept = transitional ? 0 : deviation(c);
  return kept == 0 && qn__idna_newer(c, &newer) ? newer : kept;
}

/* Steps 1 and 2 of UTS 46 section 4: map and normalize. */
static bool map(const char *text, size_t size, bool transitional, points_t *to)
{
  char renewed[4 * QN__PUNYCODE_MAX]; /* the longest text: a label that came as Punycode */
  const uint8_t *at = (const uint8_t *)renewed, *end = at + renew(text, size, renewed);
  to->size = 0;
  while (at < end) {
    const uint8_t *from = at;
    int32_t c = qn__utf8_next(&at, end);
    if (c <= 0) {
      return false;
    }
    uint32_t kept = kept_point((uint32_t)c, transitional);
    bool joined = at < end && joins(at, end, transitional);
    if (kept == 0 && (c == '.' || (c < 0x80 && !joined))) {
      kept = (uint32_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    if (kept != 0) {
      if (!append(to, kept)) {
        return false;
      }
      from = at;
    }
    while (at < end && joins(at, end, transitional)) {
      qn__utf8_next(&at, end);
    }
    if (!map_run(to, from, at)) {
      return false;
    }
  }
  return true;
}

/* Whether a label that came as Punycode is what mapping would have left. */
static bool is_mapped(const uint32_t *label, size_t size, points_t *work)
{
  char text[4 * QN__PUNYCODE_MAX];
  size_t n = 0;
  for (size_t i = 0; i < size; i++) {
    n += qn__utf8_put(label[i], text + n);
  }
  return map(text, n, false, work) && work->size == size &&
         memcmp(work->at, label, size * sizeof *label) == 0;
}

static bool is_ascii(const uint32_t *label, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    if (label[i] >= 0x80) {
      return false;
    }
  }
  return true;
}

/* Decodes an "xn--" label behind `to`; false when it is not valid. */
static bool decode(const uint32_t *label, size_t size, unsigned flags, points_t *to, points_t *work)
{
  char text[MAPPED_MAX];
  uint32_t *out = to->at + to->size;
  for (size_t i = 4; i < size; i++) {
    if (label[i] >= 0x80) {
      return false;
    }
    text[i - 4] = (char)label[i];
  }
  int n = qn__punycode_decode(text, size - 4, out, MAPPED_MAX - to->size);
  if (n <= 0 || is_ascii(out, (size_t)n) || has_prefix(out, (size_t)n)) {
    return false;
  }
  for (int i = 0; i < n; i++) {
    if (out[i] == '.') {
      return false;
    }
  }
  if (!qn__idna_label_ok(out, (size_t)n, flags) || !is_mapped(out, (size_t)n, work)) {
    return false;
  }
  to->size += (size_t)n;
  return true;
}

static size_t label_size(const points_t *p, size_t from)
{
  size_t end = from;
  while (end < p->size && p->at[end] != '.') {
    end++;
  }
  return end - from;
}

/* The labels of `from`, decoded and checked, in `to`. Lenient: a bad "xn--" label is kept. */
static bool decode_labels(const points_t *from, unsigned flags, points_t *to, points_t *work)
{
  to->size = 0;
  for (size_t at = 0;;) {
    size_t size = label_size(from, at);
    const uint32_t *label = from->at + at;
    bool ace = has_prefix(label, size);
    if (!ace && !qn__idna_label_ok(label, size, flags)) {
      return false;
    }
    if (!(ace && decode(label, size, flags, to, work))) {
      if (ace && (flags & QN__IDNA_LENIENT) == 0) {
        return false;
      }
      for (size_t i = 0; i < size; i++) {
        if (!append(to, label[i])) {
          return false;
        }
      }
    }
    at += size;
    if (at == from->size) {
      return true;
    }
    if (!append(to, from->at[at++])) {
      return false;
    }
  }
}

/* The Bidi Rule over the domain. Lenient: what breaks it stays "xn--". Needs the labels as they
 * were before decoding. */
static bool check_bidi(const points_t *before, points_t *domain, unsigned flags, points_t *work)
{
  if (!qn__idna_is_rtl(domain->at, domain->size)) {
    return true;
  }
  work->size = 0;
  for (size_t at = 0, was = 0;; at++, was++) {
    size_t size = label_size(domain, at), old = label_size(before, was);
    const uint32_t *label = domain->at + at;
    if (!qn__idna_bidi_ok(label, size)) {
      if ((flags & QN__IDNA_LENIENT) == 0 || !has_prefix(before->at + was, old)) {
        return false;
      }
      label = before->at + was;
    }
    size_t n = label == domain->at + at ? size : old;
    for (size_t i = 0; i < n; i++) {
      if (!append(work, label[i])) {
        return false;
      }
    }
    at += size;
    was += old;
    if (at == domain->size) {
      memcpy(domain, work, sizeof *domain);
      return true;
    }
    if (!append(work, '.')) {
      return false;
    }
  }
}

/* VerifyDnsLength, on ASCII. */
static bool lengths_ok(const char *text, size_t size)
{
  if (size > 0 && text[size - 1] == '.') {
    size--;
  }
  if (size == 0 || size > 253) {
    return false;
  }
  for (size_t at = 0; at <= size;) {
    const char *dot = memchr(text + at, '.', size - at);
    size_t label = dot != NULL ? (size_t)(dot - text) - at : size - at;
    if (label == 0 || label > 63) {
      return false;
    }
    at += label + 1;
  }
  return true;
}

static int print_ascii(const points_t *domain, unsigned flags, char out[QN__IDNA_OUT])
{
  size_t n = 0;
  for (size_t at = 0;; at++) {
    size_t size = label_size(domain, at);
    const uint32_t *label = domain->at + at;
    if (n + size + 8 > QN__IDNA_OUT) {
      return QN_E_BAD_HOST;
    }
    if (is_ascii(label, size)) {
      for (size_t i = 0; i < size; i++) {
        out[n++] = (char)label[i];
      }
    } else {
      memcpy(out + n, "xn--", 4);
      int more = qn__punycode_encode(label, size, out + n + 4, QN__IDNA_OUT - n - 8);
      if (more < 0) {
        return QN_E_BAD_HOST;
      }
      n += 4 + (size_t)more;
    }
    at += size;
    if (at == domain->size) {
      break;
    }
    out[n++] = '.';
  }
  out[n] = 0;
  return (flags & QN__IDNA_LENGTHS) != 0 && !lengths_ok(out, n) ? QN_E_BAD_HOST : 0;
}

/* ASCII without "xn--" maps to its lower case. 1: done, 0: not of that kind, or an error. */
static int try_ascii(const char *text, size_t size, unsigned flags, char out[QN__IDNA_OUT])
{
  bool plain = true;
  for (size_t i = 0; i < size; i++) {
    uint8_t c = (uint8_t)text[i];
    if (c >= 0x80 || c == 0) {
      return c == 0 ? QN_E_BAD_HOST : 0;
    }
    out[i] = (char)((unsigned)(c - 'A') < 26 ? c | 0x20 : c);
    plain = plain &&
            ((unsigned)((c | 0x20) - 'a') < 26 || (unsigned)(c - '0') < 10 || c == '-' || c == '.');
  }
  out[size] = 0;
  if ((flags & QN__IDNA_STD3) != 0 && !plain) {
    return QN_E_BAD_HOST;
  }
  if ((flags & QN__IDNA_LENGTHS) != 0 && !lengths_ok(out, size)) {
    return QN_E_BAD_HOST;
  }
  for (const char *label = out;;) {
    size_t n = strcspn(label, ".");
    bool dashes = n >= 4 && label[2] == '-' && label[3] == '-';
    if (dashes && label[0] == 'x' && label[1] == 'n') {
      return 0;
    }
    if ((flags & QN__IDNA_HYPHENS) != 0 &&
        (dashes || (n > 0 && (label[0] == '-' || label[n - 1] == '-')))) {
      return QN_E_BAD_HOST;
    }
    if (label[n] == 0) {
      return 1;
    }
    label += n + 1;
  }
}

/* The processing of UTS 46 section 4. */
static int process(const char *text, size_t size, unsigned flags, points_t *domain)
{
  points_t mapped = {.size = 0}, work;
  if (!map(text, size, (flags & QN__IDNA_TRANSITIONAL) != 0, &mapped) ||
      !decode_labels(&mapped, flags, domain, &work) || !check_bidi(&mapped, domain, flags, &work)) {
    return QN_E_BAD_HOST;
  }
  return 0;
}

int qn__idna_to_ascii(const char *text, size_t size, unsigned flags, char out[QN__IDNA_OUT])
{
  points_t domain;
  flags &= ~(unsigned)QN__IDNA_LENIENT;
  out[0] = 0;
  if (size > QN__IDNA_MAX) {
    return QN_E_BAD_HOST;
  }
  int rc = try_ascii(text, size, flags, out);
  if (rc != 0) {
    return rc > 0 ? 0 : rc;
  }
  rc = process(text, size, flags, &domain);
  return rc != 0 ? rc : print_ascii(&domain, flags, out);
}

int qn__idna_to_unicode(const char *text, size_t size, unsigned flags, char out[QN__IDNA_OUT])
{
  points_t domain;
  out[0] = 0;
  if (size > QN__IDNA_MAX) {
    return QN_E_BAD_HOST;
  }
  int rc = try_ascii(text, size, flags & ~(unsigned)QN__IDNA_LENGTHS, out);
  if (rc != 0) {
    return rc > 0 ? 0 : rc;
  }
  rc = process(text, size, flags, &domain);
  size_t n = 0;
  for (size_t i = 0; rc == 0 && i < domain.size; i++) {
    if (n + 5 > QN__IDNA_OUT) {
      return QN_E_BAD_HOST;
    }
    n += qn__utf8_put(domain.at[i], out + n);
  }
  out[n] = 0;
  return rc;
}

/* want.c: decides whether the bytes so far satisfy a want. Pure: no stream, no I/O.
 *
 * Called by reader.c with all buffered bytes each time more have come. The scan state keeps every
 * kind linear: a delimiter is searched once per byte, a scanner is asked again only when its own
 * `need` is met.
 * Invariant: the answer does not depend on how the bytes were split into arrivals.
 */
#include "stream/stream_p.h"

#include <string.h>

enum { DELIM_MAX = 64 };

static size_t want_max(const qn_want_t *w)
{
  if (w->max != 0) {
    return w->max;
  }
  return w->kind == QN_WANT_DELIM ? QN_LINE_MAX_DEFAULT : QN_ALL_MAX_DEFAULT;
}

static size_t add_saturated(size_t a, size_t b) { return a > SIZE_MAX - b ? SIZE_MAX : a + b; }

int qn__want_check(const qn_want_t *w)
{
  switch (w->kind) {
  case QN_WANT_SOME:
  case QN_WANT_UPTO:
  case QN_WANT_EXACT:
  case QN_WANT_ALL: return 0;
  case QN_WANT_DELIM:
    return w->delim != NULL && w->delim_size >= 1 && w->delim_size <= DELIM_MAX ? 0 : QN_E_INVALID;
  case QN_WANT_SCAN: return w->scan != NULL ? 0 : QN_E_INVALID;
  default: return QN_E_INVALID;
  }
}

size_t qn__want_bound(const qn_want_t *w)
{
  switch (w->kind) {
  case QN_WANT_UPTO:
  case QN_WANT_EXACT: return w->n;
  case QN_WANT_DELIM: return add_saturated(want_max(w), w->delim_size);
  case QN_WANT_ALL:
  case QN_WANT_SCAN: return add_saturated(want_max(w), 1);
  default: return 1;
  }
}

static int satisfied(qn_got_t *got, size_t size, size_t delim_size, qn_slice_t bytes, bool ended)
{
  *got = (qn_got_t){.size = size, .delim_size = delim_size, .ended = ended && size == bytes.size};
  return 0;
}

/* What an item that needs more bytes than there are gets: the rest, an error, or patience. */
static int at_end(qn_got_t *got, qn_slice_t bytes, bool ended, int err)
{
  if (err < 0) {
    return err;
  }
  return ended ? satisfied(got, bytes.size, 0, bytes, true) : QN_AGAIN;
}

static int eval_delim(const qn_want_t *w, qn__scan_t *scan, qn_slice_t bytes, bool ended, int err,
                      qn_got_t *got)
{
  size_t max = want_max(w);
  size_t window = add_saturated(max, w->delim_size); /* a delimiter behind it comes too late */
  size_t size = bytes.size < window ? bytes.size : window;
  if (size >= w->delim_size && scan->searched <= size - w->delim_size) {
    const uint8_t *from = bytes.data + scan->searched;
    const uint8_t *hit = w->delim_size == 1
                             ? memchr(from, (uint8_t)w->delim[0], size - scan->searched)
                             : memmem(from, size - scan->searched, w->delim, w->delim_size);
    if (hit != NULL) {
      size_t end = (size_t)(hit - bytes.data) + w->delim_size;
      return satisfied(got, end, w->delim_size, bytes, ended);
    }
    scan->searched = size - w->delim_size + 1;
  }
  if (bytes.size >= window || ((ended || err < 0) && bytes.size > max)) {
    return QN_E_LIMIT;
  }
  return at_end(got, bytes, ended, err);
}

static int eval_scan(const qn_want_t *w, qn__scan_t *scan, qn_slice_t bytes, bool ended, int err,
                     qn_got_t *got)
{
  size_t max = want_max(w);
  if (bytes.size == 0 && (ended || err < 0)) {
    return at_end(got, bytes, ended, err);
  }
  if (bytes.size == 0 || (bytes.size < scan->need && !ended)) {
    return err < 0 ? err : QN_AGAIN;
  }
  size_t need = scan->need; /* 0: the item begins (anew) */
  /* behind an error there may have been more: what only the end completes is cut short */
  int64_t n = w->scan(bytes.data, bytes.size, ended, &need, w->arg);
  if (n < 0) {
    return (int)n;
  }
  if (n > 0) {
    QN__ASSERT((uint64_t)n <= bytes.size);
    if ((uint64_t)n > bytes.size) {
      return QN_E_INVALID;
    }
    return (uint64_t)n > max ? QN_E_LIMIT : satisfied(got, (size_t)n, 0, bytes, ended);
  }
  if (err < 0) {
    return err;
  }
  if (ended) {
    return QN_E_EOF;
  }
  scan->need = need > bytes.size ? need : bytes.size + 1;
  return scan->need > max ? QN_E_LIMIT : QN_AGAIN;
}

int qn__want_eval(const qn_want_t *w, qn__scan_t *scan, qn_slice_t bytes, bool ended, int err,
                  qn_got_t *got)
{
  *got = (qn_got_t){0};
  switch (w->kind) {
  case QN_WANT_SOME:
    if (bytes.size == 0) {
      return at_end(got, bytes, ended, err);
    }
    return satisfied(got, w->n == 0 || bytes.size < w->n ? bytes.size : w->n, 0, bytes, ended);
  case QN_WANT_UPTO:
    if (bytes.size >= w->n) {
      return satisfied(got, w->n, 0, bytes, ended);
    }
    return at_end(got, bytes, ended, err);
  case QN_WANT_EXACT:
    if (bytes.size >= w->n) {
      return satisfied(got, w->n, 0, bytes, ended);
    }
    return err < 0 ? err : ended ? QN_E_EOF : QN_AGAIN;
  case QN_WANT_DELIM: return eval_delim(w, scan, bytes, ended, err, got);
  case QN_WANT_ALL:
    if (bytes.size > want_max(w)) {
      return QN_E_LIMIT;
    }
    return at_end(got, bytes, ended, err);
  case QN_WANT_SCAN: return eval_scan(w, scan, bytes, ended, err, got);
  default:
    if (bytes.size != 0) {
      return satisfied(got, bytes.size, 0, bytes, ended);
    }
    return at_end(got, bytes, ended, err);
  }
}

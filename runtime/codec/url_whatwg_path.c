/* url_whatwg_path.c: the path state of the URL Standard: segments, dot segments, drive letters.
 *
 * Called by the parser and the pathname setter, for a path that is not its own result. The path is
 * built in scratch as it is serialized: each segment behind a '/'. Shortening it moves the end back
 * over bytes that are not looked at again, so the work is linear.
 */
#include "codec/percent.h"
#include "codec/url_whatwg.h"

#include <string.h>

bool qn__whatwg_has_drive(const char *text, const char *end)
{
  return end - text >= 2 && qn__is_alpha(text[0]) && (text[1] == ':' || text[1] == '|') &&
         (end - text == 2 || text[2] == '/' || text[2] == '\\' || text[2] == '?' || text[2] == '#');
}

bool qn__whatwg_path_has_drive(qn_slice_t path)
{
  const char *text = (const char *)path.data;
  return path.size >= 3 && qn__is_alpha(text[1]) && text[2] == ':' &&
         (path.size == 3 || text[3] == '/');
}

qn_slice_t qn__whatwg_shorten(qn_slice_t path, qn__special_t special)
{
  if (special == QN__SPECIAL_FILE && path.size == 3 && qn__whatwg_path_has_drive(path)) {
    return path;
  }
  while (path.size > 0 && path.data[--path.size] != '/') {
  }
  return path;
}

/* How many dots a segment is: 1 or 2, "%2e" counting as one; else 0. */
static int dots(const char *p, const char *end)
{
  int n = 0;
  while (p < end && n < 3) {
    if (*p == '.') {
      p++;
    } else if (end - p >= 3 && p[0] == '%' && p[1] == '2' && (p[2] | 0x20) == 'e') {
      p += 3;
    } else {
      return 0;
    }
    n++;
  }
  return n < 3 && p == end ? n : 0;
}

void qn__whatwg_path(qn__whatwg_t *w, qn_slice_t prefix, const char *text, const char *end)
{
  bool special = w->special != QN__SPECIAL_NOT;
  char *from = w->scratch, *to = from;
  if (prefix.size > 0) {
    memcpy(to, prefix.data, prefix.size);
    to += prefix.size;
  }
  for (bool last = false; !last;) {
    const char *stop = text;
    while (stop < end && *stop != '/' && !(special && *stop == '\\')) {
      stop++;
    }
    last = stop == end;
    int n = dots(text, stop);
    if (n == 2) {
      to = from + qn__whatwg_shorten(qn__url_slice(from, (size_t)(to - from)), w->special).size;
    }
    if (n == 0) {
      bool drive = w->special == QN__SPECIAL_FILE && to == from && stop - text == 2 &&
                   qn__whatwg_has_drive(text, stop);
      *to++ = '/';
      to += qn__pct_encode(text, (size_t)(stop - text), QN__PCT_PATH, to);
      if (drive) {
        to[-1] = ':';
      }
    } else if (last) {
      *to++ = '/';
    }
    text = stop + 1;
  }
  w->scratch = to;
  qn__whatwg_set(w, QN_URL_PATH, from, (size_t)(to - from));
}

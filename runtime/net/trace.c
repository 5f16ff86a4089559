/* trace.c: events for a loop's trace function, and the ready-made function that writes a hex dump.
 *
 * Called by the trace filter, datagram sockets and TLS. Must not fail, nor call back into what it
 * reports about.
 */
#include "net/trace.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void qn__trace(const qn_loop_t *loop, const qn_trace_event_t *e)
{
  void *arg = NULL;
  qn__trace_fn fn = qn__loop_trace_get(loop, &arg);
  if (fn != NULL) {
    fn(e, arg);
  }
}

/* --- hex dump --------------------------------------------------------------------------------- */

static void dump(FILE *file, qn_slice_t bytes)
{
  static const char digits[] = "0123456789abcdef";
  for (size_t at = 0; at < bytes.size; at += 16) {
    char hex[16 * 3 + 2], text[17];
    size_t n = bytes.size - at < 16 ? bytes.size - at : 16, h = 0;
    for (size_t i = 0; i < 16; i++) {
      uint8_t c = i < n ? bytes.data[at + i] : 0;
      hex[h++] = i < n ? digits[c >> 4] : ' ';
      hex[h++] = i < n ? digits[c & 15] : ' ';
      hex[h++] = ' ';
      if (i == 7) {
        hex[h++] = ' ';
      }
      if (i < n) {
        text[i] = c >= 0x20 && c < 0x7f ? (char)c : '.';
      }
    }
    hex[h] = '\0';
    text[n] = '\0';
    fprintf(file, "  %06zx  %s |%s|\n", at, hex, text);
  }
}

static char mark_of(qn_trace_what_t what)
{
  switch (what) {
  case QN_TRACE_WRITE:
  case QN_TRACE_FINISH:
  case QN_TRACE_NOTE_OUT: return '>';
  case QN_TRACE_READ:
  case QN_TRACE_END:
  case QN_TRACE_NOTE_IN: return '<';
  default: return '*';
  }
}

void qn_trace_hexdump(const qn_trace_event_t *e, void *arg)
{
  static const char *const words[] = {"open", "", "", "end", "finish", "close", "error"};
  FILE *file = arg;
  char peer[QN_ADDR_TEXT] = "-", clock[16] = "";
  struct timespec now;
  struct tm tm;
  char mark = mark_of(e->what);
  clock_gettime(CLOCK_REALTIME, &now);
  if (localtime_r(&now.tv_sec, &tm) != NULL) {
    strftime(clock, sizeof clock, "%H:%M:%S", &tm);
  }
  if (e->peer != NULL) {
    qn_addr_text(e->peer, peer, sizeof peer);
  }
  fprintf(file, "%c #%llu %s.%03d %s ", mark, (unsigned long long)e->id, clock,
          (int)(now.tv_nsec / 1000000), peer);
  switch (e->what) {
  case QN_TRACE_READ:
  case QN_TRACE_WRITE:
    fprintf(file, "%zu bytes\n", e->bytes.size);
    dump(file, e->bytes);
    return;
  case QN_TRACE_NOTE:
  case QN_TRACE_NOTE_IN:
  case QN_TRACE_NOTE_OUT:
    fprintf(file, "%s: %.*s\n", e->layer, (int)e->bytes.size, (const char *)e->bytes.data);
    return;
  case QN_TRACE_ERROR: fprintf(file, "error %s\n", qn_err_name(e->error)); return;
  default: fprintf(file, "%s\n", words[e->what]);
  }
}

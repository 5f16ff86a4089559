/* trace_test.c: the hex dump is readable; without a trace function nothing is told. */
#include "net/trace.h"

#include "test.h"
#include "wire.h"

#include <stdio.h>

static void dump_to(char *out, size_t size, const qn_trace_event_t *e)
{
  FILE *file = fmemopen(out, size, "w");
  REQUIRE(file != NULL);
  qn_trace_hexdump(e, file);
  fclose(file);
}

/* `> #3 12:34:56.789 rest`: the time is checked for its form only. */
static const char *behind_time(const char *line, const char *head)
{
  if (strncmp(line, head, strlen(head)) != 0) {
    return "wrong head";
  }
  const char *t = line + strlen(head);
  static const char form[] = "dd:dd:dd.ddd ";
  for (size_t i = 0; i < sizeof form - 1; i++) {
    bool fits = form[i] == 'd' ? t[i] >= '0' && t[i] <= '9' : t[i] == form[i];
    if (!fits) {
      return "wrong time";
    }
  }
  return t + sizeof form - 1;
}

TEST(hexdump)
{
  char out[2000] = "";
  qn_addr_t peer;
  REQUIRE_INT(qn_addr_parse(&peer, "127.0.0.1", 80, QN_FAMILY_ANY), 0);
  uint8_t data[20] = "GET / HTTP/1.1\r\n\x00\x7f\xff~";
  qn_trace_event_t e = {
      .what = QN_TRACE_WRITE, .id = 3, .layer = "socket", .bytes = {data, 20}, .peer = &peer};
  dump_to(out, sizeof out, &e);
  CHECK_STR(behind_time(out, "> #3 "),
            "127.0.0.1:80 20 bytes\n"
            "  000000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|\n"
            "  000010  00 7f ff 7e                                       |...~|\n");
  e.what = QN_TRACE_READ;
  e.bytes = (qn_slice_t){data, 1};
  dump_to(out, sizeof out, &e);
  CHECK_STR(behind_time(out, "< #3 "),
            "127.0.0.1:80 1 bytes\n"
            "  000000  47                                                |G|\n");
  e = (qn_trace_event_t){.what = QN_TRACE_ERROR, .id = 12, .error = -ECONNRESET};
  dump_to(out, sizeof out, &e);
  CHECK_STR(behind_time(out, "* #12 "), "- error ECONNRESET\n");
  e = (qn_trace_event_t){.what = QN_TRACE_END, .id = 12};
  dump_to(out, sizeof out, &e);
  CHECK_STR(behind_time(out, "< #12 "), "- end\n");
}

static void count(const qn_trace_event_t *e, void *data)
{
  CHECK_INT(e->id, 7);
  ++*(int *)data;
}

TEST(told_while_somebody_listens)
{
  int n = 0;
  loop_begin();
  qn_trace_event_t e = {.what = QN_TRACE_OPEN, .id = 7, .layer = "x"};
  CHECK(!qn__traced(wire.loop));
  qn__trace(wire.loop, &e);
  qn_loop_set_trace(wire.loop, count, &n);
  CHECK(qn__traced(wire.loop));
  qn__trace(wire.loop, &e);
  CHECK_INT(n, 1);
  qn_loop_set_trace(wire.loop, NULL, NULL);
  qn__trace(wire.loop, &e);
  CHECK_INT(n, 1);
  loop_end();
}

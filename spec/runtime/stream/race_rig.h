/* race_rig.h: what the tests of races share: look-ups that are answered by the test, servers that
 * answer, refuse or are silent, and one stream that is dialled.
 *
 * #include it first. The program has a dial.c of its own whose look-ups come from the script below,
 * so that answers come when the test says. Invariant: as for wire.h, end_stream fails the test when
 * something is left.
 */
#ifndef QN_SPEC_RACE_RIG_H
#define QN_SPEC_RACE_RIG_H

#define qn_resolve script_resolve
#define qn_resolved script_resolved
#define qn_resolve_more script_more
#define qn_resolve_end script_end
#include "stream/dial.c"

#include "test.h"
#include "wire.h"

#include <dirent.h>
#include <sys/resource.h>

/* --- look-ups by script ---------------------------------------------------------------------- */

static struct {
  qn_addr_t v[8];
  qn_addr_list_t list; /* what is known so far */
  bool stepwise, asked, ended, more;
  qn_family_t family;
  qn_op_t *op;
} script;

TEST_UNUSED static void script_cancel(qn_op_t *op)
{
  (void)op;
  script.op = NULL;
}

int qn_resolve(qn_loop_t *loop, const qn_resolve_opts_t *opts, qn_op_t *op, qn_addr_t *out)
{
  (void)loop, (void)out;
  script.stepwise = opts->stepwise;
  script.family = opts->family;
  script.asked = true;
  script.op = op;
  qn_op_begin(op, &script, script_cancel);
  return QN_AGAIN;
}

const qn_addr_list_t *qn_resolved(const qn_op_t *op)
{
  return op->result == 0 ? &script.list : NULL;
}

int qn_resolve_more(qn_op_t *op)
{
  if (!script.more) {
    return 0;
  }
  script.op = op;
  qn_op_begin(op, &script, script_cancel);
  return QN_AGAIN;
}

void qn_resolve_end(qn_op_t *op)
{
  (void)op;
  script.ended = true;
}

/* Settles the look-up with `n` addresses in all; `more`: another answer is to come. */
TEST_UNUSED static void answer(size_t n, bool more)
{
  REQUIRE(script.op != NULL);
  qn_op_t *op = script.op;
  script.op = NULL;
  script.list = (qn_addr_list_t){.n = n, .v = script.v};
  script.more = more;
  qn_op_settle(op, 0);
}

/* --- servers --------------------------------------------------------------------------------- */

#define N_SITES 6
typedef enum what { GOOD, SILENT, DEAD, NO_ROUTE } what_t;

/* An address where a server listens, one whose backlog is full (SYNs are dropped), one where nobody
 * listens, or one of a family or range that cannot be reached. */
typedef struct site {
  int fd, fill[16], n;
  qn_addr_t at;
} site_t;

static site_t sites[N_SITES];
static int n_sites;

TEST_UNUSED static void site_open(const char *text, what_t what)
{
  site_t *s = &sites[n_sites];
  *s = (site_t){.fd = -1};
  REQUIRE_INT(qn_addr_parse(&s->at, text, 0, QN_FAMILY_ANY), 0);
  script.v[n_sites++] = s->at;
  if (what == NO_ROUTE) {
    qn_addr_set_port(&s->at, 9);
    script.v[n_sites - 1] = s->at;
    return;
  }
  s->fd = socket(s->at.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(s->fd >= 0);
  peer_setup(s->fd);
  REQUIRE_INT(bind(s->fd, &s->at.u.sa, s->at.size), 0);
  s->at.size = sizeof s->at.u;
  REQUIRE_INT(getsockname(s->fd, &s->at.u.sa, &s->at.size), 0);
  script.v[n_sites - 1] = s->at;
  if (what == DEAD) { /* bound, so that nobody else gets the port, but not listening */
    return;
  }
  REQUIRE_INT(listen(s->fd, what == GOOD ? 8 : 0), 0);
  if (what == SILENT) {
    s->n = peer_fill(s->fd, &s->at, s->fill, 16);
  }
}

TEST_UNUSED static void sites_begin(void)
{
  n_sites = 0;
  memset(&script, 0, sizeof script);
}

TEST_UNUSED static void sites_end(void)
{
  while (n_sites > 0) {
    site_t *s = &sites[--n_sites];
    while (s->n > 0) {
      close(s->fill[--s->n]);
    }
    if (s->fd >= 0) {
      close(s->fd);
    }
  }
}

/* Whether site i has a connection; with `fd` it is taken. */
TEST_UNUSED static bool came(int i)
{
  fd_set set;
  struct timeval now = {0};
  FD_ZERO(&set);
  FD_SET(sites[i].fd, &set);
  return select(sites[i].fd + 1, &set, NULL, NULL, &now) > 0;
}

TEST_UNUSED static int open_fds(void)
{
  int n = 0;
  DIR *dir = opendir("/proc/self/fd");
  REQUIRE(dir != NULL);
  while (readdir(dir) != NULL) {
    n++;
  }
  closedir(dir);
  return n;
}

/* --- dialling -------------------------------------------------------------------------------- */

#define SOON 10u /* the delay where it must pass */

static qn_stream_t *stream;
static wire_op_t dialled;
static char events[256];

TEST_UNUSED static void observe(qn_stream_t *s, qn_event_t event, int64_t arg, void *data)
{
  (void)s, (void)data;
  size_t used = strlen(events);
  const char *text = event == QN_EVENT_STATE        ? qn_state_name((qn_state_t)arg)
                     : event == QN_EVENT_HOST_FOUND ? "HOST_FOUND"
                     : event == QN_EVENT_CONNECTED  ? "CONNECTED"
                     : event == QN_EVENT_ERROR      ? qn_err_name((int)arg)
                                                    : NULL;
  if (text != NULL) {
    snprintf(events + used, sizeof events - used, "%s%s", used > 0 ? " " : "", text);
  }
}

TEST_UNUSED static void begin_stream(void)
{
  loop_begin();
  sites_begin();
  events[0] = '\0';
  stream = qn_stream_new(wire.loop);
  REQUIRE(stream != NULL);
  qn_stream_observe(stream, UINT32_MAX, observe, NULL);
}

TEST_UNUSED static void end_stream(void)
{
  stream_end(stream);
  sites_end();
  loop_end();
}

TEST_UNUSED static void start_with(qn_dial_opts_t opts)
{
  if (opts.host == NULL && opts.n_addresses == 0) {
    opts.addresses = script.v;
    opts.n_addresses = (size_t)n_sites;
  }
  REQUIRE_INT(qn_dial(stream, &opts, op_new(&dialled)), QN_AGAIN);
  CHECK(!dialled.done);
}

TEST_UNUSED static int64_t finish_dial(void)
{
  WAIT_UNTIL(dialled.done);
  return dialled.result;
}

TEST_UNUSED static int64_t race(uint64_t delay)
{
  start_with((qn_dial_opts_t){.attempt_delay = delay, .timeout = 15000});
  return finish_dial();
}

TEST_UNUSED static bool peer_is(int i)
{
  qn_addr_t seen;
  return qn_stream_peer_addr(stream, &seen) == 0 && qn_addr_equal(&seen, &sites[i].at);
}

TEST_UNUSED static const char *failures_text(void)
{
  static char text[512];
  const qn_dial_failure_t *v;
  size_t n = qn_dial_failures(stream, &v), used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < n; i++) {
    char host[QN_ADDR_TEXT];
    qn_addr_host(&v[i].address, host, sizeof host);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %s", i > 0 ? ", " : "", host,
                             qn_err_name(v[i].error));
  }
  return text;
}

TEST_UNUSED static bool after_fired;
TEST_UNUSED static void on_after(qn_timer_t *t)
{
  (void)t;
  after_fired = true;
}

#endif

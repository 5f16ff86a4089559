/* stall.c: the stall timer: a writing side on which somebody waits must make progress.
 *
 * Checked after everything that changes who waits. Armed only while somebody does, so a stream that
 * is never blocked has no timer. Progress is qn_stream_sent; deadlines of single operations are not
 * its business.
 * Invariant: armed exactly while a writer, a finish, a holder or a closing stream waits on a stack
 * that is up.
 */
#include "stream/stream_p.h"

#include <errno.h>

static bool somebody_waits(const qn_stream_t *s)
{
  if (s->top == NULL || (s->stall_ms == UINT32_MAX && !s->lingers)) {
    return false;
  }
  if (s->closed) {
    return s->closing;
  }
  return s->top->up && (!qn__list_empty(&s->writers) || s->fin == QN__FIN_WANTED ||
                        (s->write_hold != NULL && s->write_hold->waits));
}

static void stalled(qn_stream_t *s)
{
  if (s->closed && s->lingers) {
    qn__teardown(s, false); /* all was sent long ago */
    return;
  }
  if (s->closed) {
    qn__stream_set_error(s, QN_E_TIMEOUT);
    qn__teardown(s, true);
    return;
  }
  /* The queue does not move: whatever was handed down before may be cut anywhere. */
  qn__writing_failed(s, QN_E_TIMEOUT, true);
}

static void fire(qn_timer_t *t)
{
  qn_stream_t *s = QN__CONTAINER(t, qn__extra_t, stall)->stream;
  if (!somebody_waits(s)) {
    return;
  }
  qn_stream_retain(s);
  if (qn_stream_sent(s) == s->extra->stall_seen) {
    stalled(s);
  } else if (qn__stall_check(s) < 0) {
    stalled(s); /* unwatched it might wait for ever */
  }
  qn_stream_release(s);
}

int qn__stall_check(qn_stream_t *s)
{
  bool armed = s->extra != NULL && qn_timer_armed(&s->extra->stall);
  bool wanted = somebody_waits(s);
  if (wanted == armed) {
    return 0;
  }
  if (!wanted) {
    qn_timer_stop(s->loop, &s->extra->stall);
    return 0;
  }
  if (qn__extra(s) == NULL) {
    return -ENOMEM;
  }
  s->extra->stall_seen = qn_stream_sent(s);
  uint32_t ms = s->lingers && s->stall_ms > QN_LINGER_MS ? QN_LINGER_MS : s->stall_ms;
  return qn_timer_start(s->loop, &s->extra->stall, qn_loop_now(s->loop) + ms, fire);
}

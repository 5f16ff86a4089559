/* events.c: state, error and the events that the observer notes. The orders are in qn/stream.h.
 *
 * Called by the other files of the heart and by dial.c (through stream_i.h). Nothing here runs user
 * code beyond the observer, which only takes notes, and nothing costs more than one test of the
 * mask when nobody observes. Invariant: READ_ENDED comes once per connection, READY_READ at most
 * once per turn.
 */
#include "stream/stream_p.h"

const char *qn_state_name(qn_state_t state)
{
  static const char *const names[QN_STATE_COUNT] = {
      "unconnected", "host_lookup", "connecting", "connected", "bound", "listening", "closing",
  };
  return (unsigned)state < QN_STATE_COUNT ? names[state] : "unknown";
}

void qn__stream_emit(qn_stream_t *s, qn_event_t event, int64_t arg)
{
  if ((s->events & event) != 0) {
    s->extra->observer(s, event, arg, s->extra->observer_data);
  }
}

void qn_stream_observe(qn_stream_t *s, unsigned mask, qn_observer_fn fn, void *data)
{
  qn__extra_t *x = mask != 0 && fn != NULL ? qn__extra(s) : NULL;
  if (x == NULL) { /* switched off; or out of memory, which costs the caller its events */
    s->events = 0;
    return;
  }
  if ((s->events & QN_EVENT_WRITTEN) == 0) {
    x->noted = qn_stream_sent(s);
  }
  x->observer = fn;
  x->observer_data = data;
  s->events = (uint16_t)mask;
}

void qn__stream_set_state(qn_stream_t *s, qn_state_t state)
{
  if (s->state == state) {
    return;
  }
  bool was_connecting = qn__connecting(s);
  bool was_idle = s->state == QN_STATE_UNCONNECTED || s->state == QN_STATE_BOUND;
  if (was_idle && (state == QN_STATE_HOST_LOOKUP || state == QN_STATE_CONNECTING)) {
    qn__stream_reset(s);
  }
  s->state = (uint8_t)state;
  qn__stream_emit(s, QN_EVENT_STATE, state);
  if (was_connecting && state == QN_STATE_UNCONNECTED) {
    s->dial_failed = true; /* the error comes next: waiters settle in the ready phase */
    qn_stream_wake(s, 0);
  }
}

void qn__stream_set_error(qn_stream_t *s, int err)
{
  s->error = err;
  qn__stream_emit(s, QN_EVENT_ERROR, err);
}

void qn__note_arrival(qn_stream_t *s)
{
  if ((s->events & QN_EVENT_READY_READ) == 0) {
    return;
  }
  uint64_t turn = qn_loop_turns(s->loop) + 1; /* 0 = never */
  if (s->extra->arrival != turn) {
    s->extra->arrival = turn;
    qn__stream_emit(s, QN_EVENT_READY_READ, 0);
  }
}

void qn__note_read_end(qn_stream_t *s)
{
  if (!s->end_noted) {
    s->end_noted = true;
    qn__stream_emit(s, QN_EVENT_READ_ENDED, 0);
  }
}

void qn__note_progress(qn_stream_t *s)
{
  if ((s->events & QN_EVENT_WRITTEN) == 0) {
    return;
  }
  uint64_t sent = qn_stream_sent(s), before = s->extra->noted;
  if (sent > before) {
    s->extra->noted = sent;
    qn__stream_emit(s, QN_EVENT_WRITTEN, (int64_t)(sent - before));
  }
}

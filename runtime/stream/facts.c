/* facts.c: what can be asked of a stream at any time: state, limits, counters, addresses.
 *
 * Called by users of the stream. Only looks: nothing here changes what the stream does next, but
 * the setters of its limits. Invariant: every question has an answer in every state, also after the
 * end.
 */
#include "stream/dial_i.h"
#include "stream/stream_p.h"

#include <string.h>

qn_loop_t *qn_stream_loop(const qn_stream_t *s) { return s->loop; }
qn_state_t qn_stream_state(const qn_stream_t *s) { return (qn_state_t)s->state; }
bool qn_stream_is_closed(const qn_stream_t *s) { return s->closed; }
int qn_stream_error(const qn_stream_t *s) { return s->error; }
uint64_t qn_stream_id(const qn_stream_t *s) { return s->id; }
qn_filter_t *qn_stream_top(const qn_stream_t *s) { return s->top; }
size_t qn_stream_read_limit(const qn_stream_t *s) { return s->read_limit; }
size_t qn_stream_write_mark(const qn_stream_t *s) { return s->mark; }
uint64_t qn_stream_received(const qn_stream_t *s) { return s->received; }

bool qn_stream_readable(const qn_stream_t *s)
{
  return s->top != NULL && !s->closed && !s->ended && s->read_error == 0;
}

bool qn_stream_writable(const qn_stream_t *s)
{
  return s->top != NULL && !s->closed && s->fin == QN__FIN_NONE && s->write_error == 0;
}

size_t qn_stream_queued(const qn_stream_t *s)
{
  size_t queued = 0;
  if (s->top != NULL && qn_filter_query(s->top, QN_QUERY_QUEUED, &queued) < 0) {
    queued = 0;
  }
  return queued + (s->extra != NULL ? qn_buf_size(&s->extra->pre) : 0);
}

/* A layer that adds bytes of its own makes the difference shrink now and then: the answer does not.
 */
uint64_t qn_stream_sent(const qn_stream_t *s)
{
  qn_stream_t *self = (qn_stream_t *)(uintptr_t)s; /* remembers the answer, which nobody sees */
  size_t queued = qn_stream_queued(s);
  uint64_t sent = s->accepted > queued ? s->accepted - queued : 0;
  if (sent > s->sent) {
    self->sent = sent;
  }
  return s->sent;
}

qn_slice_t qn_stream_written(const qn_stream_t *s)
{
  qn_slice_t none = {NULL, 0};
  if (s->extra == NULL || s->extra->written.base == NULL) {
    return none;
  }
  return (qn_slice_t){qn_buf_data(&s->extra->written), qn_buf_size(&s->extra->written)};
}

void qn_stream_set_write_mark(qn_stream_t *s, size_t mark)
{
  s->mark = mark;
  if (!qn__list_empty(&s->writers)) {
    qn_stream_wake(s, QN_WAKE_WRITE);
  }
}

void qn_stream_set_stall(qn_stream_t *s, uint64_t ms)
{
  s->stall_ms = ms == 0 || ms >= UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
  if (s->extra != NULL && qn_timer_armed(&s->extra->stall)) {
    qn_timer_stop(s->loop, &s->extra->stall);
    if (qn__stall_check(s) < 0) { /* the heap had room for it a moment ago */
      qn_stream_wake(s, QN_WAKE_WRITE);
    }
  }
}

/* --- addresses -------------------------------------------------------------------------------- */

int qn_stream_local_addr(const qn_stream_t *s, qn_addr_t *out)
{
  out->size = 0;
  if (s->top != NULL) {
    return qn_filter_query(s->top, QN_QUERY_LOCAL_ADDR, out);
  }
  if (s->extra != NULL && s->extra->addrs != NULL && s->extra->addrs->local.size != 0) {
    *out = s->extra->addrs->local;
    return 0;
  }
  return s->state == QN_STATE_BOUND ? qn__dial_bound_addr(s, out) : QN_E_NOT_CONNECTED;
}

int qn_stream_peer_addr(const qn_stream_t *s, qn_addr_t *out)
{
  out->size = 0;
  if (s->top != NULL) {
    return qn_filter_query(s->top, QN_QUERY_PEER_ADDR, out);
  }
  if (s->extra != NULL && s->extra->addrs != NULL && s->extra->addrs->peer.size != 0) {
    *out = s->extra->addrs->peer;
    return 0;
  }
  return QN_E_NOT_CONNECTED;
}

int qn_stream_fd(const qn_stream_t *s)
{
  int fd = -1;
  return s->top != NULL && qn_filter_query(s->top, QN_QUERY_FD, &fd) == 0 ? fd : -1;
}

size_t qn_stream_describe(const qn_stream_t *s, char *buf, size_t size)
{
  size_t used = 0;
  for (const qn_filter_t *f = s->top; f != NULL; f = f->below) {
    const char *parts[2] = {f->ops->name, f->below != NULL ? ">" : ""};
    for (int i = 0; i < 2; i++) {
      size_t n = strlen(parts[i]);
      for (size_t k = 0; k < n; k++, used++) {
        if (used + 1 < size) {
          buf[used] = parts[i][k];
        }
      }
    }
  }
  if (size != 0) {
    buf[used < size ? used : size - 1] = '\0';
  }
  return used;
}

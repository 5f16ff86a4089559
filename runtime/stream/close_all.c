/* close_all.c: the end of a program: every stream of a loop at once.
 *
 * Called by embedders when their own work is over: close all, turn the loop while some are closing
 * (for as long as their patience lasts), abort the rest. Must not run user code, as no close does.
 * Invariant: a stream that is closed here stays in the list until its last reference is gone.
 */
#include "stream/stream_p.h"

static void end_all(qn_loop_t *loop, void (*end)(qn_stream_t *s))
{
  qn_list_t *head = qn__loop_streams(loop), *node = head->next;
  while (node != head) {
    qn_stream_t *s = QN__CONTAINER(node, qn_stream_t, live);
    qn_stream_retain(s); /* its end may release others, but not this one */
    end(s);
    node = node->next;
    qn_stream_release(s);
  }
}

void qn_streams_close(qn_loop_t *loop) { end_all(loop, qn_stream_close); }

void qn_streams_abort(qn_loop_t *loop) { end_all(loop, qn_stream_abort); }

bool qn_streams_closing(qn_loop_t *loop)
{
  qn_list_t *head = qn__loop_streams(loop);
  for (qn_list_t *node = head->next; node != head; node = node->next) {
    qn_stream_t *s = QN__CONTAINER(node, qn_stream_t, live);
    if (s->self_ref || s->want_close != QN__CLOSE_NONE) {
      return true;
    }
  }
  return false;
}

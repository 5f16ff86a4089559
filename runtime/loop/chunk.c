/* chunk.c: lends the loop's one 64 KiB read chunk.
 *
 * Called by bottom filters (lend) and by the stream (back, keep). Must not be held across turns by
 * anyone who does not keep it.
 * Invariant: at most one chunk is lent; it is allocated on first use and replaced when it was kept.
 */
#include "loop/chunk_i.h"

#include "loop/loop_core.h"

uint8_t *qn__chunk_lend(qn_loop_t *loop)
{
  if (loop->chunk_lent) {
    return NULL;
  }
  if (loop->chunk == NULL) {
    loop->chunk = qn_malloc(QN__CHUNK);
    if (loop->chunk == NULL) {
      return NULL;
    }
  }
  loop->chunk_lent = true;
  return loop->chunk;
}

void qn__chunk_back(qn_loop_t *loop, uint8_t *chunk)
{
  QN__ASSERT(loop->chunk_lent && chunk == loop->chunk);
  (void)chunk;
  loop->chunk_lent = false;
}

void qn__chunk_keep(qn_loop_t *loop, uint8_t *chunk)
{
  QN__ASSERT(loop->chunk_lent && chunk == loop->chunk);
  (void)chunk;
  loop->chunk_lent = false;
  loop->chunk = NULL;
}

void **qn__loop_area(qn_loop_t *loop) { return &loop->area; }

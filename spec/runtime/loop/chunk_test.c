/* The loop's read chunk: one at a time, kept or given back. */
#include "loop/chunk_i.h"
#include "rig.h"

TEST(one_chunk_is_lent_at_a_time)
{
  rig_t rig;
  rig_open(&rig);
  uint8_t *chunk = qn__chunk_lend(rig.loop);
  REQUIRE(chunk != NULL);
  memset(chunk, 1, QN__CHUNK);
  CHECK_INT(stats_of(rig.loop).chunks, 1);
  CHECK_NULL(qn__chunk_lend(rig.loop));
  qn__chunk_back(rig.loop, chunk);
  CHECK_INT(stats_of(rig.loop).chunks, 0);
  CHECK_PTR(qn__chunk_lend(rig.loop), chunk);
  qn__chunk_back(rig.loop, chunk);
  rig_close(&rig);
}

TEST(a_kept_chunk_is_replaced)
{
  rig_t rig;
  rig_open(&rig);
  uint8_t *kept = qn__chunk_lend(rig.loop);
  REQUIRE(kept != NULL);
  qn__chunk_keep(rig.loop, kept);
  CHECK_INT(stats_of(rig.loop).chunks, 0);
  uint8_t *next = qn__chunk_lend(rig.loop);
  CHECK(next != NULL && next != kept);
  memset(next, 2, QN__CHUNK);
  qn__chunk_back(rig.loop, next);
  qn_free(kept);
  rig_close(&rig);
}

TEST(without_memory_there_is_no_chunk)
{
  rig_t rig;
  rig_open(&rig);
  qn_alloc_fail_at(1);
  CHECK_NULL(qn__chunk_lend(rig.loop));
  CHECK(qn_alloc_failed());
  CHECK_INT(stats_of(rig.loop).chunks, 0);
  uint8_t *chunk = qn__chunk_lend(rig.loop);
  CHECK(chunk != NULL);
  qn__chunk_back(rig.loop, chunk);
  rig_close(&rig);
}

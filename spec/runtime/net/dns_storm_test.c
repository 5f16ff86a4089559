/* dns_storm_test.c: hundreds of look-ups and questions at once that are left, closed, answered late
 * or never, in an order that a seed decides: nothing may be left behind, whatever happens when.
 * `QN_SEED=n` repeats one round. */
#include "net/resolver_i.h"
#include "test.h"
#include "wire.h"

#include "dns_peer.h"
#include "resolver_rig.h"

enum { OPS = 60, STEPS = 400, ROUNDS = 6 };

typedef enum kind { NONE, RESOLVE, REVERSE, QUERY } kind_t;

typedef struct job {
  wire_op_t w; /* first */
  kind_t kind;
  bool ended;
} job_t;

static job_t jobs[OPS];
static uint64_t state;

static unsigned random_below(unsigned n)
{
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(state >> 33) % n;
}

static void end(job_t *j)
{
  qn_op_forget(&j->w.op);
  switch (j->kind) {
  case RESOLVE: qn_resolve_end(&j->w.op); break;
  case REVERSE: qn_reverse_end(&j->w.op); break;
  case QUERY: qn_dns_query_end(&j->w.op); break;
  default: break;
  }
  j->kind = NONE;
}

/* `done` of a job: sometimes waits for more, sometimes ends it here, sometimes leaves that to
 * others. */
static void on_done(qn_op_t *op)
{
  job_t *j = (job_t *)(void *)op;
  unsigned what = random_below(4);
  if (what == 0 && j->kind == RESOLVE && op->result == 0 && qn_resolve_more(op) == QN_AGAIN) {
    return;
  }
  if (what == 1) {
    end(j);
  }
}

static void begin(job_t *j)
{
  static const char *const names[] = {"v4",      "both",     "late4", "late6",     "drop",
                                      "nx",      "none",     "tc",    "many",      "tcone",
                                      "tcfail",  "chain",    "loop",  "empty",     "here",
                                      "garbage", "servfail", "mute",  "localhost", "127.1"};
  char name[64];
  qn_addr_t a;
  kind_t kind = (kind_t)(1 + random_below(3));
  int rc;
  end(j);
  qn_op_init(&j->w.op, wire.loop, on_done);
  snprintf(name, sizeof name, "%s%s", names[random_below(sizeof names / sizeof *names)],
           random_below(2) ? ".test" : "");
  if (kind == RESOLVE) {
    qn_resolve_opts_t o = {.host = name,
                           .port = 80,
                           .family = (qn_family_t)random_below(3),
                           .resolver = rig.resolver,
                           .stepwise = random_below(2)};
    rc = qn_resolve(wire.loop, &o, &j->w.op, &a);
  } else if (kind == REVERSE) {
    snprintf(name, sizeof name, "192.0.2.%u", random_below(20));
    REQUIRE_INT(qn_addr_parse(&a, name, 0, QN_FAMILY_ANY), 0);
    rc = qn_reverse(wire.loop, rig.resolver, &a, &j->w.op);
  } else {
    uint16_t type = random_below(2) ? QN_DNS_A : QN_DNS_TXT;
    rc = qn_dns_query(wire.loop, rig.resolver, name, type, &j->w.op);
  }
  if (rc == QN_AGAIN) {
    j->kind = kind;
    if (random_below(3) == 0) {
      qn_op_deadline(&j->w.op, qn_loop_fresh(wire.loop) + random_below(40), QN_E_TIMEOUT);
    }
  }
}

static void renew(void)
{
  qn_resolver_opts_t o = rig_opts();
  static const char *const search[] = {"nx", "test"};
  o.search = search;
  o.n_search = random_below(3);
  o.try_timeout = 20 + random_below(60);
  o.tries = 1 + random_below(2);
  o.no_cache = random_below(2);
  o.cache_size = 1 + random_below(8);
  if (random_below(2)) {
    qn_resolver_close(rig.resolver);
  }
  qn_resolver_release(rig.resolver); /* perhaps still in use */
  rig.resolver = NULL;
  rig_resolver(&o);
}

static void step(void)
{
  job_t *j = &jobs[random_below(OPS)];
  switch (random_below(16)) {
  case 0: qn_op_cancel(&j->w.op, QN_E_CANCELLED); break;
  case 1: end(j); break;
  case 2: qn_resolver_clear_cache(rig.resolver); break;
  case 3:
    if (random_below(6) == 0) {
      renew();
    }
    break;
  case 4:
    if (random_below(4) == 0 && qn__resolver_refresh(rig.resolver) == 0) {
      qn__dns_ways_t ways = rig.resolver->dns.ways;
      CHECK_INT(qn__dns_set_servers(&rig.resolver->dns, &rig.peer.at, 1, &ways), 0);
    }
    break;
  case 5: turn(); break;
  case 6: turns(3); break;
  default: begin(j); break;
  }
}

TEST(storm)
{
  const char *only = getenv("QN_SEED");
  for (int round = 0; round < (only != NULL ? 1 : ROUNDS); round++) {
    state = only != NULL ? strtoull(only, NULL, 10) : (uint64_t)round + 1;
    TEST_ROUND("seed %d", (int)state);
    rig_begin();
    rig_write(rig.hosts, "192.0.2.1 here\n::1 here\n192.0.2.5 here.test\n");
    for (int i = 0; i < OPS; i++) {
      op_new(&jobs[i].w);
    }
    for (int i = 0; i < STEPS && !TEST_FAILED(); i++) {
      step();
    }
    for (int i = 0; i < OPS; i++) {
      end(&jobs[i]);
    }
    WAIT_UNTIL(!qn_loop_alive(wire.loop));
    rig_end();
  }
}

/* The same with memory that is short now and then. */
TEST(storm_without_memory)
{
  for (int round = 0; round < ROUNDS; round++) {
    state = (uint64_t)round + 100;
    TEST_ROUND("seed %d", (int)state);
    rig_begin();
    for (int i = 0; i < OPS; i++) {
      op_new(&jobs[i].w);
    }
    for (int i = 0; i < STEPS && !TEST_FAILED(); i++) {
      job_t *j = &jobs[random_below(OPS)];
      qn_alloc_fail_at(1 + random_below(30));
      switch (random_below(4)) {
      case 0: turns(2); break;
      case 1: qn_op_cancel(&j->w.op, QN_E_CANCELLED); break;
      default: begin(j); break;
      }
      (void)qn_alloc_failed();
      qn_alloc_fail_at(0);
    }
    for (int i = 0; i < OPS; i++) {
      end(&jobs[i]);
    }
    WAIT_UNTIL(!qn_loop_alive(wire.loop));
    rig_end();
  }
}

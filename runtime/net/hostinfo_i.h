/* hostinfo_i.h: one look-up of a name, as its parts share it. Not public.
 *
 * hostinfo.c makes it, tells its asker and ends it; hostinfo_dns.c walks through the hosts file and
 * the DNS, hostinfo_system.c asks the system in a pool thread. Both end by qn__lookup_found or
 * qn__lookup_failed, which settle the asker's operation and run nothing.
 */
#ifndef QN_NET_HOSTINFO_I_H
#define QN_NET_HOSTINFO_I_H

#include "net/resolver_i.h"

#define QN__RESOLUTION_DELAY_MS 50u /* RFC 8305 section 8 */
/* How long addresses of one family wait at most for a server that says nothing of the other. */
#define QN__FAMILY_WAIT_MS 2000u

/* The question of one family. */
typedef struct qn__lookup_part {
  qn__dns_ask_t ask;
  int rc;
  qn__dns_result_t *result;
} qn__lookup_part_t;

enum { QN__PART_IPV4, QN__PART_IPV6, QN__PARTS };

typedef struct qn__lookup {
  qn_op_t *op; /* pending; NULL once it was told */
  qn_loop_t *loop;
  qn_resolver_t *resolver;
  qn_family_t family;
  uint16_t port;
  bool stepwise, absolute; /* absolute: the name had a final dot */
  bool returned;           /* qn_resolve has, so that the time limit of the asker is known */
  bool found;              /* the list counts */
  bool late;               /* the other family's answer is not in the list yet */
  /* The walk. */
  size_t service;                /* of nsswitch.conf: the next one */
  size_t candidate;              /* names that were tried */
  unsigned asked, rest, pending; /* families: QN__HAS_* */
  bool saw_no_data;
  int error; /* of a name server, which a later candidate may make good */
  qn__lookup_part_t part[QN__PARTS];
  qn_timer_t delay;
  struct qn__system_lookup *system; /* the system's call; NULL: none */
  /* What was found. */
  qn_addr_list_t list;
  char *canonical;  /* ours */
  uint64_t expires; /* ms on the loop's clock; 0: unknown */
  size_t size;
  char host[]; /* without the final dot */
} qn__lookup_t;

/* The end: the list is in `l->list`. Settles the operation if one is waiting. */
void qn__lookup_found(qn__lookup_t *l);
void qn__lookup_failed(qn__lookup_t *l, int rc);
/* A list of `n` more addresses, which keep their places; only the first call makes the block. The
 * place for the new ones, or NULL. */
qn_addr_t *qn__lookup_room(qn__lookup_t *l, size_t n);
/* Takes `n` addresses that were put there: sets the port, drops what is known already. */
void qn__lookup_take(qn__lookup_t *l, size_t n);
int qn__lookup_name(qn__lookup_t *l, const char *canonical);

/* By the services of nsswitch.conf. (hostinfo_dns.c) */
void qn__lookup_walk(qn__lookup_t *l);
/* Takes what is there by now into the list: for answers that came late. */
void qn__lookup_add_late(qn__lookup_t *l);
void qn__lookup_walk_end(qn__lookup_t *l);

/* In a pool thread. (hostinfo_system.c) */
void qn__lookup_system(qn__lookup_t *l);
void qn__lookup_system_end(qn__lookup_t *l);
/* The name of an address, by the system: starts on `op`; its `done` gives the name (NULL: failed)
 * until qn__system_name_end. */
int qn__system_name(qn_loop_t *loop, const qn_addr_t *a, qn_op_t *op);
const char *qn__system_name_got(const qn_op_t *op);
void qn__system_name_end(qn_op_t *op);

#endif

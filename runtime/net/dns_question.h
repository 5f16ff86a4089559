/* dns_question.h: questions to the DNS: asked once for all who ask, over the servers, answers kept.
 * Not public.
 *
 * One qn__dns_t per resolver. Who asks embeds a qn__dns_ask_t; leaving is unlinking. A question
 * whose last asker has left is not sent any more; one that was sent may still end up in the cache,
 * but when nobody asks anything all sockets are closed. Bounded: the named limits below.
 */
#ifndef QN_NET_DNS_QUESTION_H
#define QN_NET_DNS_QUESTION_H

#include "net/dns_cache.h"
#include "net/dns_server.h"

#define QN__DNS_SERVERS_MAX 8
#define QN__DNS_TRIES_MAX 100
#define QN__DNS_QUESTIONS_MAX 32768u /* waiting or under way; more: QN_E_LIMIT */
/* Sent and young. A receive buffer of the usual size has room for 256 datagrams, but gives room
 * back in quarters: with more than 192 a burst loses some, and each waits seconds for its next try.
 */
#define QN__DNS_WINDOW 128u
#define QN__DNS_YOUNG_MS 100u /* an older one is not in a server's socket any more */
/* Who refuses while this many are under way may merely be busy (dnsmasq takes 150): then no more
 * than these are under way, young or not, until QN__DNS_CALM answers have come, and the question is
 * asked again later, QN__DNS_PUT_OFF times at most. */
#define QN__DNS_CROWD 64u
#define QN__DNS_CALM 1000u
#define QN__DNS_PUT_OFF 3u
/* A server that closes a connection with questions in it may reset it, and the reply is lost with
 * it: the questions go over another one (RFC 7766 section 6.2.4), so often at most. */
#define QN__DNS_CUTS 4u
#define QN__DNS_PAYLOAD 1232u  /* EDNS: what does not get fragmented */
#define QN__DNS_FAILURES 3u    /* tries in a row without a reply: other servers are asked first */
#define QN__DNS_PROBE_MS 2000u /* and how often such a server is asked all the same */

typedef struct qn__dns qn__dns_t;
typedef struct qn__dns_ask qn__dns_ask_t;
struct qn__dns_ask {
  qn_list_t link;
  struct qn__question *question; /* NULL: nothing is asked */
  /* Runs once, in the ready phase (or in qn__dns_close), with the asker unlinked. rc is 0,
   * QN_E_HOST_NOT_FOUND or QN_E_NO_DATA, each with `result` (retain it to keep it), or another
   * error without. It may ask and unask, but must not run user code. */
  void (*answered)(qn__dns_ask_t *ask, int rc, qn__dns_result_t *result);
};

/* How servers are asked. */
typedef struct qn__dns_ways {
  uint64_t try_timeout; /* ms */
  unsigned tries;       /* rounds over all servers */
  bool rotate, use_tcp, trust_ad;
} qn__dns_ways_t;

typedef struct qn__dns_peer {
  qn__dns_server_t *server;
  uint64_t probe_at;
  unsigned failures; /* in a row */
  bool plain;        /* does not know EDNS */
} qn__dns_peer_t;

struct qn__dns {
  qn_loop_t *loop;
  uint64_t seed;
  qn__dns_table_t table;
  qn__dns_cache_t cache;
  qn_list_t waiting, young, old, arrived; /* a question is in one of these */
  size_t crowded;                  /* so many answers until the window is the usual one again */
  bool newest;                     /* whose turn it is, of those that wait */
  size_t n_young, n_sent, n_asked; /* n_sent: young and old; n_asked: questions with askers */
  qn_ready_t ready;
  qn_timer_t aging;
  qn__dns_ways_t ways;
  qn__dns_peer_t peers[QN__DNS_SERVERS_MAX];
  size_t n_peers, turn;
  uint16_t ids[32]; /* from the kernel, in advance */
  size_t n_ids;
  uint64_t messages; /* sent so far */
};

void qn__dns_init(qn__dns_t *d, qn_loop_t *loop, size_t cache);
/* Other servers from now on; what is under way is asked again. 0 or -ENOMEM (nothing changes). */
int qn__dns_set_servers(qn__dns_t *d, const qn_addr_t *v, size_t n, const qn__dns_ways_t *ways);
/* Answers all askers with QN_E_CLOSED and frees everything; qn__dns_ask refuses afterwards. */
void qn__dns_close(qn__dns_t *d);

/* QN_AGAIN: `ask` is linked. Otherwise the answer is in the cache (`*result`, retained, and what it
 * means is returned) or there is an error (`*result` NULL): QN_E_BAD_HOST, QN_E_LIMIT, -ENOMEM,
 * QN_E_CLOSED. */
int qn__dns_ask(qn__dns_t *d, const char *name, uint16_t type, qn__dns_ask_t *ask,
                qn__dns_result_t **result);
void qn__dns_unask(qn__dns_ask_t *ask);

#endif

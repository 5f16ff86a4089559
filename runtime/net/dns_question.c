/* dns_question.c: the life of a question: asked, sent, tried elsewhere, answered: see the header.
 *
 * Called by hostinfo and its kin in the ready phase, by resolver.c (reply functions) beneath libuv.
 * A reply is read at once but dealt with in the ready phase only. Must not run user code: askers
 * settle operations.
 * Invariant: a question is in the table and in exactly one list from ask to drop; c-ares holds it
 * exactly while it is in `young` or `old`.
 */
#include "net/dns_question.h"

#include "base/assert.h"
#include "loop/loop_i.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define HEAD 12
#define MESSAGE_MAX (HEAD + QN__DNS_WIRE_MAX + 4 + 11)
#define TRUNCATED 1 /* beside the errors of a reply */

typedef enum place { WAITING, YOUNG, OLD, ARRIVED } place_t;

typedef struct qn__question {
  qn__dns_node_t node;
  qn_list_t link, askers;
  qn__dns_t *dns;
  uint64_t sent_at;
  qn_dns_answer_t *answer; /* of a reply that arrived */
  size_t wire;             /* its size */
  int rc;                  /* what arrived */
  int error;               /* what it ends with when no server is left */
  uint16_t bad;            /* servers whose reply was an error */
  uint8_t place;
  uint8_t first, server; /* where it began; where it is */
  uint16_t attempt;
  bool tcp, plain;
  bool no_edns;    /* the server could not read EDNS */
  uint8_t put_off; /* how often, because the server was busy */
  uint8_t cut;     /* how often a connection ended before any reply */
  uint8_t name[];
} question_t;

/* --- lists ------------------------------------------------------------------------------------ */

static void leave(question_t *q)
{
  qn__dns_t *d = q->dns;
  qn__list_remove(&q->link);
  d->n_young -= q->place == YOUNG;
  d->n_sent -= q->place == YOUNG || q->place == OLD;
}

static void move(question_t *q, place_t place)
{
  qn__dns_t *d = q->dns;
  qn_list_t *lists[] = {&d->waiting, &d->young, &d->old, &d->arrived};
  leave(q);
  q->place = (uint8_t)place;
  d->n_young += place == YOUNG;
  d->n_sent += place == YOUNG || place == OLD;
  qn__list_append(lists[place], &q->link);
}

static question_t *first(const qn_list_t *list)
{
  return QN__CONTAINER(list->next, question_t, link);
}

static question_t *last(const qn_list_t *list)
{
  return QN__CONTAINER(list->prev, question_t, link);
}

static void drop(question_t *q)
{
  QN__ASSERT(q->place != YOUNG && q->place != OLD);
  leave(q);
  qn__dns_table_remove(&q->dns->table, &q->node);
  qn_dns_answer_free(q->answer);
  qn_free(q);
}

/* Tells all askers and frees the question, which cannot be joined any more. */
static void finish(question_t *q, int rc, qn__dns_result_t *result)
{
  qn__dns_t *d = q->dns;
  qn_list_t askers;
  qn__list_init(&askers);
  if (!qn__list_empty(&q->askers)) {
    askers = q->askers;
    askers.next->prev = askers.prev->next = &askers;
    qn__list_init(&q->askers);
    d->n_asked--;
  }
  for (qn_list_t *l = askers.next; l != &askers; l = l->next) {
    QN__CONTAINER(l, qn__dns_ask_t, link)->question = NULL; /* linked, but to nothing of ours */
  }
  drop(q);
  while (!qn__list_empty(&askers)) {
    qn__dns_ask_t *ask = QN__CONTAINER(askers.next, qn__dns_ask_t, link);
    qn__list_remove(&ask->link);
    ask->answered(ask, rc, result);
  }
}

/* --- sending ---------------------------------------------------------------------------------- */

static uint16_t next_id(qn__dns_t *d)
{
  if (d->n_ids == 0) {
    ssize_t n = getrandom(d->ids, sizeof d->ids, 0);
    d->n_ids = n > 0 ? (size_t)n / sizeof *d->ids : 0;
    if (d->n_ids == 0) { /* no kernel of today; better than none */
      return (uint16_t)((d->seed += 0x9e3779b97f4a7c15u) >> 48);
    }
  }
  return d->ids[--d->n_ids];
}

static size_t put16(uint8_t *p, unsigned v)
{
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
  return 2;
}

/* Recursion desired; AD asks whether the answer is authentic (RFC 6840 section 5.7). */
static size_t build(const question_t *q, uint16_t id, uint8_t m[MESSAGE_MAX])
{
  static const uint8_t opt[] = {0, 0, 41, QN__DNS_PAYLOAD >> 8, QN__DNS_PAYLOAD & 255, 0, 0, 0,
                                0, 0, 0};
  size_t n = HEAD;
  memset(m, 0, HEAD);
  put16(m, id);
  put16(m + 2, 0x0120);
  put16(m + 4, 1);
  memcpy(m + n, q->node.name, q->node.size);
  n += q->node.size;
  n += put16(m + n, q->node.type);
  n += put16(m + n, 1);
  if (!q->plain) {
    put16(m + 10, 1);
    memcpy(m + n, opt, sizeof opt);
    n += sizeof opt;
  }
  return n;
}

static void on_reply(void *arg, int rc, const uint8_t *data, size_t size)
{
  question_t *q = arg;
  qn__dns_t *d = q->dns;
  if (rc == 0 && size >= HEAD && (data[2] & 2) != 0 && !q->tcp) {
    rc = TRUNCATED;
  } else if (rc == 0) {
    rc = qn_dns_parse_wire(data, size, q->node.name, q->node.size, q->node.type, &q->answer);
  }
  q->rc = rc;
  q->wire = size;
  move(q, ARRIVED);
  qn_ready_queue(d->loop, &d->ready);
}

/* On its way to the server that it names; may have arrived again when this returns. */
static void send_again(question_t *q)
{
  qn__dns_t *d = q->dns;
  uint8_t message[MESSAGE_MAX];
  size_t size = build(q, next_id(d), message);
  q->sent_at = qn_loop_now(d->loop);
  d->messages++;
  move(q, YOUNG);
  qn__dns_server_send(d->peers[q->server].server, q->tcp, message, size, on_reply, q);
}

/* The server that new questions go to first: that of the configuration, unless it is mute. */
static size_t choose(qn__dns_t *d)
{
  uint64_t now = qn_loop_now(d->loop);
  size_t base = d->ways.rotate ? d->turn++ % d->n_peers : 0, best = base;
  for (size_t i = 0; i < d->n_peers; i++) {
    size_t k = (base + i) % d->n_peers;
    if (d->peers[k].failures < QN__DNS_FAILURES) {
      best = k;
      break;
    }
  }
  for (size_t k = 0; k < d->n_peers; k++) {
    qn__dns_peer_t *p = &d->peers[k];
    if (k != best && p->failures >= QN__DNS_FAILURES && now >= p->probe_at) {
      p->probe_at = now + QN__DNS_PROBE_MS;
      return k;
    }
  }
  return best;
}

/* Sends the attempt that is next, or ends the question when there is none. */
static void try_next(question_t *q)
{
  qn__dns_t *d = q->dns;
  size_t most = d->ways.tries * d->n_peers;
  while (q->attempt < most && (q->bad >> (q->first + q->attempt) % d->n_peers & 1) != 0) {
    q->attempt++;
  }
  if (q->attempt >= most) {
    finish(q, q->error, NULL);
    return;
  }
  q->server = (uint8_t)((q->first + q->attempt) % d->n_peers);
  q->tcp = d->ways.use_tcp;
  /* Some old servers do not even answer what they cannot read. */
  q->plain = d->peers[q->server].plain || q->attempt >= d->n_peers;
  q->no_edns = false;
  send_again(q);
}

static void begin(question_t *q)
{
  q->first = (uint8_t)choose(q->dns);
  q->attempt = 0;
  q->bad = 0;
  q->error = QN_E_DNS_UNREACHABLE;
  try_next(q);
}

static void pump(qn__dns_t *d);

static void on_aging(qn_timer_t *t) { pump(QN__CONTAINER(t, qn__dns_t, aging)); }

/* Lets waiting questions go as far as the window permits. The oldest and the newest take turns: a
 * newcomer must not stand behind all those whom a server does not answer. */
static void pump(qn__dns_t *d)
{
  uint64_t now = qn_loop_now(d->loop);
  if (qn__list_empty(&d->waiting)) {
    qn_timer_stop(d->loop, &d->aging);
    return;
  }
  while (!qn__list_empty(&d->young) && first(&d->young)->sent_at + QN__DNS_YOUNG_MS <= now) {
    move(first(&d->young), OLD);
  }
  while (!qn__list_empty(&d->waiting) &&
         (d->crowded > 0 ? d->n_sent < QN__DNS_CROWD : d->n_young < QN__DNS_WINDOW)) {
    d->newest = !d->newest;
    begin(d->newest ? last(&d->waiting) : first(&d->waiting));
  }
  if (!qn__list_empty(&d->waiting) && !qn__list_empty(&d->young)) {
    uint64_t at = first(&d->young)->sent_at + QN__DNS_YOUNG_MS;
    /* Out of memory: the next reply, or the time limit of a try, comes here too. */
    (void)qn_timer_start(d->loop, &d->aging, at, on_aging);
  }
}

/* --- arriving --------------------------------------------------------------------------------- */

static void key_of(const question_t *q, qn__dns_key_t *key)
{
  key->hash = q->node.hash;
  key->type = q->node.type;
  key->size = q->node.size;
  memcpy(key->name, q->node.name, q->node.size);
}

static void answered(question_t *q)
{
  qn__dns_t *d = q->dns;
  qn__dns_key_t key;
  qn_dns_answer_t *answer = q->answer;
  q->answer = NULL;
  answer->authentic = answer->authentic && d->ways.trust_ad;
  qn__dns_result_t *r = qn__dns_result_new(q->rc, answer, q->wire, qn_loop_now(d->loop));
  if (r == NULL) {
    finish(q, -ENOMEM, NULL);
    return;
  }
  key_of(q, &key);
  qn__dns_cache_put(&d->cache, &key, r);
  finish(q, q->rc, r);
  qn__dns_result_release(r);
}

/* The server has not answered, or not usefully. */
static void failed(question_t *q)
{
  qn__dns_peer_t *p = &q->dns->peers[q->server];
  q->rc = q->rc == -ECONNRESET ? QN_E_DNS_UNREACHABLE : q->rc;
  switch (q->rc) {
  case QN_E_TIMEOUT:
  case QN_E_DNS_UNREACHABLE:
    p->failures += p->failures < QN__DNS_FAILURES;
    q->error = q->bad != 0 ? q->error : q->rc; /* what another server said tells more */
    break;
  case QN_E_DNS_FORMERR:
  case QN_E_DNS_SERVFAIL:
  case QN_E_DNS_NOTIMP:
  case QN_E_DNS_REFUSED:
  case QN_E_DNS_REPLY:
    p->failures = 0;
    q->bad |= (uint16_t)(1u << q->server);
    q->error = q->rc;
    break;
  default: /* it is our own: no memory, no descriptors */ finish(q, q->rc, NULL); return;
  }
  q->attempt++;
  try_next(q);
}

static void deal_with(question_t *q)
{
  qn__dns_t *d = q->dns;
  qn__dns_peer_t *p = &d->peers[q->server];
  if (q->rc == 0 || q->rc == QN_E_HOST_NOT_FOUND || q->rc == QN_E_NO_DATA) {
    p->failures = 0;
    p->plain |= q->no_edns;
    d->crowded -= d->crowded > 0;
    answered(q);
  } else if (qn__list_empty(&q->askers)) {
    drop(q);
  } else if (q->rc == TRUNCATED) {
    p->failures = 0;
    q->tcp = true;
    send_again(q);
  } else if (q->rc == QN_AGAIN) {
    send_again(q);
  } else if (q->rc == -ECONNRESET && q->cut < QN__DNS_CUTS) {
    q->cut++;
    send_again(q);
  } else if (q->rc == QN_E_CANCELLED) { /* other servers */
    begin(q);
  } else if (q->rc == QN_E_DNS_REFUSED && d->n_sent >= QN__DNS_CROWD &&
             q->put_off < QN__DNS_PUT_OFF) {
    q->put_off++;
    d->crowded = QN__DNS_CALM;
    move(q, WAITING);
  } else if (q->rc == QN_E_DNS_FORMERR && !q->plain) { /* RFC 6891 section 7 */
    q->plain = q->no_edns = true;
    send_again(q);
  } else {
    failed(q);
  }
}

static void drain(qn__dns_t *d)
{
  while (!qn__list_empty(&d->arrived)) {
    question_t *q = first(&d->arrived);
    /* What is sent from here may arrive at once: behind what is there already, and bounded by the
     * number of attempts. */
    deal_with(q);
  }
}

static void run(qn_ready_t *ready)
{
  qn__dns_t *d = QN__CONTAINER(ready, qn__dns_t, ready);
  drain(d);
  pump(d);
  if (d->n_asked == 0 && d->n_sent > 0) {
    for (size_t i = 0; i < d->n_peers; i++) {
      qn__dns_server_cancel(d->peers[i].server);
    }
    drain(d);
  }
}

/* --- asking ----------------------------------------------------------------------------------- */

static question_t *question_new(qn__dns_t *d, const qn__dns_key_t *key)
{
  question_t *q = qn_calloc(1, sizeof *q + key->size);
  if (q == NULL) {
    return NULL;
  }
  memcpy(q->name, key->name, key->size);
  if (qn__dns_table_add(&d->table, &q->node, key, q->name) < 0) {
    qn_free(q);
    return NULL;
  }
  q->dns = d;
  qn__list_init(&q->askers);
  q->place = WAITING;
  qn__list_append(&d->waiting, &q->link);
  return q;
}

int qn__dns_ask(qn__dns_t *d, const char *name, uint16_t type, qn__dns_ask_t *ask,
                qn__dns_result_t **result)
{
  qn__dns_key_t key;
  *result = NULL;
  ask->question = NULL;
  if (d->n_peers == 0) {
    return QN_E_CLOSED;
  }
  int rc = qn__dns_key_make(&key, name, type, d->seed);
  if (rc < 0) {
    return rc;
  }
  qn__dns_result_t *kept = qn__dns_cache_find(&d->cache, &key, qn_loop_now(d->loop));
  if (kept != NULL) {
    *result = qn__dns_result_retain(kept);
    return kept->rc;
  }
  qn__dns_node_t *node = qn__dns_table_find(&d->table, &key);
  question_t *q = node != NULL ? QN__CONTAINER(node, question_t, node) : NULL;
  if (q == NULL && d->table.n >= QN__DNS_QUESTIONS_MAX) {
    return QN_E_LIMIT;
  }
  q = q == NULL ? question_new(d, &key) : q;
  if (q == NULL) {
    return -ENOMEM;
  }
  d->n_asked += qn__list_empty(&q->askers);
  qn__list_append(&q->askers, &ask->link);
  ask->question = q;
  if (node == NULL) {
    /* Sending may find out that it cannot be sent, and finish the question: only in the phase. */
    qn_ready_queue(d->loop, &d->ready);
  }
  return QN_AGAIN;
}

void qn__dns_unask(qn__dns_ask_t *ask)
{
  question_t *q = ask->question;
  if (ask->link.next == NULL) {
    return;
  }
  qn__list_remove(&ask->link);
  ask->question = NULL;
  if (q == NULL || !qn__list_empty(&q->askers)) {
    return;
  }
  qn__dns_t *d = q->dns;
  d->n_asked--;
  if (q->place == WAITING) {
    drop(q);
  }
  if (d->n_asked == 0 && d->n_sent > 0) {
    qn_ready_queue(d->loop, &d->ready);
  }
}

/* --- life ------------------------------------------------------------------------------------- */

void qn__dns_init(qn__dns_t *d, qn_loop_t *loop, size_t cache)
{
  *d = (qn__dns_t){.loop = loop};
  qn_list_t *lists[] = {&d->waiting, &d->young, &d->old, &d->arrived};
  for (int i = 0; i < 4; i++) {
    qn__list_init(lists[i]);
  }
  if (getrandom(&d->seed, sizeof d->seed, GRND_NONBLOCK) < 0) {
    d->seed = (uint64_t)(uintptr_t)d;
  }
  qn_ready_init(&d->ready, run);
  qn__dns_cache_init(&d->cache, cache);
}

static void free_peers(qn__dns_t *d)
{
  for (size_t i = 0; i < d->n_peers; i++) {
    qn__dns_server_free(d->peers[i].server);
  }
  d->n_peers = 0;
}

/* A reply of a server that is not asked any more: as if it had not come. */
static void discard(question_t *q)
{
  qn_dns_answer_free(q->answer);
  q->answer = NULL;
  q->rc = QN_E_CANCELLED;
}

int qn__dns_set_servers(qn__dns_t *d, const qn_addr_t *v, size_t n, const qn__dns_ways_t *ways)
{
  qn__dns_peer_t peers[QN__DNS_SERVERS_MAX] = {{0}};
  int rc = 0;
  n = n < QN__DNS_SERVERS_MAX ? n : QN__DNS_SERVERS_MAX;
  for (size_t i = 0; i < n && rc == 0; i++) {
    rc = qn__dns_server_new(d->loop, &v[i], ways->try_timeout, &peers[i].server);
  }
  if (rc < 0) {
    for (size_t i = 0; i < n; i++) {
      qn__dns_server_free(peers[i].server);
    }
    return rc;
  }
  free_peers(d);
  for (qn_list_t *l = d->arrived.next; l != &d->arrived; l = l->next) {
    discard(QN__CONTAINER(l, question_t, link));
  }
  memcpy(d->peers, peers, sizeof peers);
  d->n_peers = n;
  d->crowded = 0;
  d->ways = *ways;
  d->ways.tries = ways->tries == 0 ? 1 : ways->tries;
  d->ways.tries = d->ways.tries < QN__DNS_TRIES_MAX ? d->ways.tries : QN__DNS_TRIES_MAX;
  return 0;
}

void qn__dns_close(qn__dns_t *d)
{
  qn_list_t *lists[] = {&d->waiting, &d->arrived};
  free_peers(d); /* all that was sent has arrived */
  QN__ASSERT(d->n_sent == 0);
  for (int i = 0; i < 2; i++) {
    while (!qn__list_empty(lists[i])) {
      finish(first(lists[i]), QN_E_CLOSED, NULL);
    }
  }
  qn_ready_drop(&d->ready);
  qn_timer_stop(d->loop, &d->aging);
  qn__dns_cache_clear(&d->cache);
  qn__dns_table_drop(&d->table);
}

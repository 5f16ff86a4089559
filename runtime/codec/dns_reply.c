/* dns_reply.c: a whole reply: head, question, records, the chain of aliases, what may be kept.
 *
 * Called by the resolver with what a server sent, which may be anything. Every record of the three
 * sections is walked (counts must be true); data is read only of those that belong to the answer.
 * Work is bounded: one walk per link of the chain, at most QN__DNS_LINKS of them. The invariant:
 * the block that is filled has the size that was counted.
 */
#include "dns_i.h"

#include <errno.h>
#include <string.h>

#define QN__DNS_LINKS 16        /* of a CNAME chain */
#define QN__DNS_HEAD 12         /* bytes before the question */
#define QN__DNS_RECORD_LEAST 11 /* bytes of the smallest record */
#define QN__DNS_OPT 41

typedef struct entry {
  size_t owner, data; /* where in the message */
  uint32_t ttl;
  uint16_t type, class, size;
  bool of_question; /* the owner is a pointer to the question, as servers write it */
} entry_t;

typedef struct reply {
  qn__dns_message_t m;
  entry_t few[24], *v; /* the answer section; `v` is `few` unless there are more */
  size_t n, room;
  uint8_t names[QN__DNS_LINKS + 1][QN__DNS_WIRE]; /* the question, then the target of each link */
  int name_size[QN__DNS_LINKS + 1];
  size_t links[QN__DNS_LINKS], n_links; /* entries */
  entry_t soa;                          /* of the authority section; type 0 = none */
  int rcode;
  bool truncated, any;
  uint16_t type;
} reply_t;

/* RFC 2181 section 8. */
static uint32_t ttl_of(uint32_t raw) { return raw > INT32_MAX ? 0 : raw; }

static int read_entry(const qn__dns_message_t *m, size_t *at, entry_t *e)
{
  uint8_t wire[QN__DNS_WIRE];
  e->owner = *at;
  /* The question has been read, and compared with ours. */
  e->of_question = m->size - *at >= 2 && qn__dns_u16(m->data + *at) == (0xc000 | QN__DNS_HEAD);
  if (e->of_question) {
    *at += 2;
  } else if (qn__dns_name_read(m->data, m->size, at, wire) < 0) {
    return QN_E_DNS_REPLY;
  }
  if (m->size - *at < 10) {
    return QN_E_DNS_REPLY;
  }
  const uint8_t *p = m->data + *at;
  e->type = qn__dns_u16(p);
  e->class = qn__dns_u16(p + 2);
  e->ttl = qn__dns_u32(p + 4);
  e->size = qn__dns_u16(p + 8);
  *at += 10;
  if (m->size - *at < e->size) {
    return QN_E_DNS_REPLY;
  }
  e->data = *at;
  *at += e->size;
  return 0;
}

static bool owned_by(const reply_t *r, const entry_t *e, size_t name)
{
  uint8_t wire[QN__DNS_WIRE];
  size_t at = e->owner;
  if (e->of_question && name == 0) {
    return true;
  }
  int n = qn__dns_name_read(r->m.data, r->m.size, &at, wire);
  return n > 0 && qn__dns_wire_equal(wire, (size_t)n, r->names[name], (size_t)r->name_size[name]);
}

/* Whether the owner of `e` is `name` or a parent of it. */
static bool covers(const reply_t *r, const entry_t *e, size_t name)
{
  uint8_t wire[QN__DNS_WIRE];
  size_t at = e->owner, size = (size_t)r->name_size[name];
  int n = qn__dns_name_read(r->m.data, r->m.size, &at, wire);
  const uint8_t *p = r->names[name];
  while (n > 0 && size > (size_t)n) {
    size -= (size_t)*p + 1;
    p += *p + 1;
  }
  return n > 0 && qn__dns_wire_equal(wire, (size_t)n, p, size);
}

/* --- reading --------------------------------------------------------------------------------- */

static int error_of(int rcode)
{
  switch (rcode) {
  case 0: return 0;
  case 1: return QN_E_DNS_FORMERR;
  case 3: return QN_E_HOST_NOT_FOUND;
  case 4:
  case 16: return QN_E_DNS_NOTIMP; /* 16: another version of EDNS */
  case 5: return QN_E_DNS_REFUSED;
  default: return QN_E_DNS_SERVFAIL;
  }
}

/* Head and question; moves `*at` behind them. 0, or the error that the whole reply is. */
static int read_question(reply_t *r, size_t *at)
{
  const uint8_t *d = r->m.data;
  if (r->m.size < QN__DNS_HEAD || (d[2] & 0x80) == 0 || (d[2] & 0x78) != 0) {
    return QN_E_DNS_REPLY; /* no reply, or to something else than a question */
  }
  r->truncated = (d[2] & 2) != 0;
  r->rcode = d[3] & 15;
  unsigned questions = qn__dns_u16(d + 4);
  bool failed = r->rcode != 0 && r->rcode != 3;
  if (questions == 0 && failed) {
    return error_of(r->rcode); /* some servers do not repeat what they could not read */
  }
  uint8_t wire[QN__DNS_WIRE];
  *at = QN__DNS_HEAD;
  int n = questions == 1 ? qn__dns_name_read(d, r->m.size, at, wire) : -1;
  if (n < 0 || r->m.size - *at < 4 || qn__dns_u16(d + *at) != r->type ||
      qn__dns_u16(d + *at + 2) != 1 ||
      !qn__dns_wire_equal(wire, (size_t)n, r->names[0], (size_t)r->name_size[0])) {
    return QN_E_DNS_REPLY;
  }
  *at += 4;
  return failed ? error_of(r->rcode) : 0;
}

/* What the sections after the answer tell: the SOA of a negative answer, more bits of the rcode. */
static void note(reply_t *r, const entry_t *e, bool authority)
{
  if (authority && e->type == QN_DNS_SOA && e->class == 1 && r->soa.type == 0) {
    r->soa = *e;
  } else if (!authority && e->type == QN__DNS_OPT) {
    r->rcode |= (int)(e->ttl >> 24) << 4; /* RFC 6891 section 6.1.3 */
  }
}

static int read_sections(reply_t *r, size_t at)
{
  const uint8_t *d = r->m.data;
  size_t answers = qn__dns_u16(d + 6), authority = qn__dns_u16(d + 8);
  size_t all = answers + authority + qn__dns_u16(d + 10);
  if (all > (r->m.size - at) / QN__DNS_RECORD_LEAST && !r->truncated) {
    return QN_E_DNS_REPLY; /* a lie, which must not make us allocate */
  }
  if (answers > (r->m.size - at) / QN__DNS_RECORD_LEAST) {
    answers = (r->m.size - at) / QN__DNS_RECORD_LEAST;
  }
  if (answers > sizeof r->few / sizeof *r->few) {
    r->v = qn_malloc(answers * sizeof *r->v);
    if (r->v == NULL) {
      r->v = r->few;
      return -ENOMEM;
    }
  }
  for (size_t i = 0; i < all; i++) {
    entry_t e;
    if (read_entry(&r->m, &at, &e) < 0) {
      return r->truncated ? 0 : QN_E_DNS_REPLY; /* cut off in the middle: what is there counts */
    }
    if (i < answers) {
      r->v[r->n++] = e;
    } else {
      note(r, &e, i < answers + authority);
    }
  }
  return 0;
}

/* --- the chain ------------------------------------------------------------------------------- */

static bool wanted(const reply_t *r, const entry_t *e, size_t name)
{
  return e->class == 1 && (r->any || e->type == r->type) && owned_by(r, e, name);
}

/* The alias of the name number `name`, when it has no record of the type asked for; NULL: none. */
static const entry_t *alias_of(const reply_t *r, size_t name)
{
  const entry_t *alias = NULL;
  for (size_t i = 0; i < r->n; i++) {
    const entry_t *e = &r->v[i];
    if (alias == NULL && e->class == 1 && e->type == QN_DNS_CNAME && owned_by(r, e, name)) {
      alias = e;
    } else if (wanted(r, e, name)) {
      return NULL;
    }
  }
  return alias;
}

static int follow(reply_t *r)
{
  if (r->any || r->type == QN_DNS_CNAME) {
    return 0;
  }
  const entry_t *e;
  while ((e = alias_of(r, r->n_links)) != NULL) {
    if (r->n_links == QN__DNS_LINKS) {
      return QN_E_DNS_REPLY; /* a circle, or as good as one */
    }
    size_t at = e->data, next = r->n_links + 1;
    r->links[r->n_links] = (size_t)(e - r->v);
    r->name_size[next] = qn__dns_name_read(r->m.data, r->m.size, &at, r->names[next]);
    if (r->name_size[next] < 0 || at != e->data + e->size) {
      return QN_E_DNS_REPLY;
    }
    r->n_links = next;
  }
  return 0;
}

/* --- building -------------------------------------------------------------------------------- */

/* The time a negative answer may be kept (RFC 2308 section 5). */
static uint32_t negative_ttl(const reply_t *r)
{
  const entry_t *e = &r->soa;
  if (e->type == 0 || e->size < 22 || !covers(r, e, r->n_links)) {
    return 0;
  }
  uint32_t ttl = ttl_of(e->ttl), minimum = ttl_of(qn__dns_u32(r->m.data + e->data + e->size - 4));
  return ttl < minimum ? ttl : minimum;
}

static int add(const reply_t *r, const entry_t *e, const char *name, qn__dns_arena_t *a,
               qn_dns_record_t *out)
{
  *out = (qn_dns_record_t){.name = name, .type = e->type, .ttl = ttl_of(e->ttl)};
  return qn__dns_rdata(&r->m, e->data, e->size, e->type, a, out);
}

/* Fills the block, or counts it (`a->base` NULL: `n` and `ttl` of `head` are the result, too). */
static int build(const reply_t *r, qn__dns_arena_t *a, qn_dns_answer_t *head)
{
  qn_dns_answer_t *answer = qn__dns_take(a, sizeof *answer, _Alignof(qn_dns_answer_t));
  qn_dns_record_t *chain = qn__dns_take(a, r->n_links * sizeof *chain, _Alignof(qn_dns_record_t));
  qn_dns_record_t *v = qn__dns_take(a, head->n * sizeof *v, _Alignof(qn_dns_record_t));
  const char *name = qn__dns_take_name(a, r->names[0]);
  uint32_t ttl = UINT32_MAX;
  size_t n = 0;
  for (size_t i = 0; i < r->n_links; i++) {
    const entry_t *e = &r->v[r->links[i]];
    qn_dns_record_t link = {.name = name, .type = e->type, .ttl = ttl_of(e->ttl)};
    name = link.u.target = qn__dns_take_name(a, r->names[i + 1]);
    ttl = link.ttl < ttl ? link.ttl : ttl;
    if (chain != NULL) {
      chain[i] = link;
    }
  }
  for (size_t i = 0; i < r->n && r->rcode == 0; i++) {
    qn_dns_record_t one;
    if (!wanted(r, &r->v[i], r->n_links)) {
      continue;
    }
    int rc = add(r, &r->v[i], name, a, &one);
    if (rc < 0) {
      return rc;
    }
    ttl = one.ttl < ttl ? one.ttl : ttl;
    if (v != NULL) {
      v[n] = one;
    }
    if (++n > QN_DNS_RECORDS_MAX || a->used > QN_DNS_ANSWER_MAX) {
      return QN_E_LIMIT;
    }
  }
  if (n == 0) {
    uint32_t negative = negative_ttl(r);
    ttl = negative < ttl ? negative : ttl;
  }
  head->n = n;
  head->ttl = ttl;
  if (answer != NULL) {
    head->n_chain = r->n_links;
    head->canonical = name;
    head->v = v;
    head->chain = chain;
    *answer = *head;
  }
  return 0;
}

/* The records in front of the texts: how many there are must be known before anything is placed. */
static size_t count(const reply_t *r)
{
  size_t n = 0;
  for (size_t i = 0; i < r->n && r->rcode == 0; i++) {
    n += wanted(r, &r->v[i], r->n_links);
  }
  return n;
}

static int make(const reply_t *r, qn_dns_answer_t **out)
{
  const uint8_t *d = r->m.data;
  qn_dns_answer_t head = {.rcode = r->rcode,
                          .authoritative = (d[2] & 4) != 0,
                          .truncated = r->truncated,
                          .authentic = (d[3] & 0x20) != 0,
                          .n = count(r)};
  qn__dns_arena_t counting = {0};
  int rc = head.n > QN_DNS_RECORDS_MAX ? QN_E_LIMIT : build(r, &counting, &head);
  if (rc < 0) {
    return rc;
  }
  qn__dns_arena_t filling = {.base = qn_malloc(counting.used)};
  if (filling.base == NULL) {
    return -ENOMEM;
  }
  build(r, &filling, &head);
  *out = (qn_dns_answer_t *)(void *)filling.base;
  if (r->rcode == 3) {
    return QN_E_HOST_NOT_FOUND;
  }
  return head.n > 0 ? 0 : QN_E_NO_DATA;
}

int qn_dns_parse_wire(const uint8_t *data, size_t size, const uint8_t *name, size_t name_size,
                      uint16_t type, qn_dns_answer_t **out)
{
  reply_t r; /* large: only what is read before it is written is set */
  *out = NULL;
  if (size > 65535 || name_size > QN__DNS_WIRE) {
    return QN_E_LIMIT;
  }
  r.m = (qn__dns_message_t){data, size};
  r.v = r.few;
  r.n = r.n_links = 0;
  r.soa.type = 0;
  r.type = type;
  r.any = type == QN_DNS_ANY;
  memcpy(r.names[0], name, name_size);
  r.name_size[0] = (int)name_size;
  size_t at = 0;
  int rc = read_question(&r, &at);
  if (rc == 0) {
    rc = read_sections(&r, at);
  }
  if (rc == 0 && r.rcode != 0 && r.rcode != 3) {
    rc = error_of(r.rcode);
  }
  if (rc == 0) {
    rc = follow(&r);
  }
  if (rc == 0) {
    rc = make(&r, out);
  }
  if (r.v != r.few) {
    qn_free(r.v);
  }
  return rc;
}

int qn_dns_parse(const uint8_t *data, size_t size, const char *name, uint16_t type,
                 qn_dns_answer_t **out)
{
  uint8_t wire[QN__DNS_WIRE];
  *out = NULL;
  int n = qn_dns_name_encode(name, wire);
  return n < 0 ? n : qn_dns_parse_wire(data, size, wire, (size_t)n, type, out);
}

void qn_dns_answer_free(qn_dns_answer_t *answer) { qn_free(answer); }

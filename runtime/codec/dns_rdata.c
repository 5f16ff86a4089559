/* dns_rdata.c: the data of one record, by its type.
 *
 * Called by dns_reply.c twice for each record that is kept: to count, then to fill. The data must
 * end exactly where its length says; a name may be compressed wherever RFC 3597 section 4 tells
 * receivers to bear it. What is no type of ours is given raw.
 */
#include "dns_i.h"

#include <string.h>

void *qn__dns_take(qn__dns_arena_t *a, size_t size, size_t align)
{
  a->used = (a->used + align - 1) / align * align;
  uint8_t *p = a->base != NULL ? a->base + a->used : NULL;
  a->used += size;
  return p;
}

const char *qn__dns_take_name(qn__dns_arena_t *a, const uint8_t *wire)
{
  char *text = a->base != NULL ? (char *)a->base + a->used : NULL;
  a->used += qn__dns_name_print(wire, text) + 1;
  return text;
}

/* What is left of a record's data. */
typedef struct cursor {
  const qn__dns_message_t *m;
  qn__dns_arena_t *a;
  size_t at, end;
} cursor_t;

static const uint8_t *take(cursor_t *c, size_t size)
{
  if (c->end - c->at < size) {
    return NULL;
  }
  const uint8_t *p = c->m->data + c->at;
  c->at += size;
  return p;
}

static bool u16(cursor_t *c, uint16_t *out)
{
  const uint8_t *p = take(c, 2);
  if (p != NULL) {
    *out = qn__dns_u16(p);
  }
  return p != NULL;
}

static bool u32(cursor_t *c, uint32_t *out)
{
  const uint8_t *p = take(c, 4);
  if (p != NULL) {
    *out = qn__dns_u32(p);
  }
  return p != NULL;
}

/* A copy of the next `size` bytes. */
static bool bytes(cursor_t *c, size_t size, qn_slice_t *out)
{
  const uint8_t *p = take(c, size);
  if (p == NULL) {
    return false;
  }
  uint8_t *copy = qn__dns_take(c->a, size, 1);
  if (copy != NULL && size > 0) {
    memcpy(copy, p, size);
  }
  *out = (qn_slice_t){copy, size};
  return true;
}

static bool rest(cursor_t *c, qn_slice_t *out) { return bytes(c, c->end - c->at, out); }

/* A <character-string>. */
static bool string(cursor_t *c, qn_slice_t *out)
{
  const uint8_t *size = take(c, 1);
  return size != NULL && bytes(c, *size, out);
}

static bool name(cursor_t *c, const char **out)
{
  uint8_t wire[QN__DNS_WIRE];
  if (qn__dns_name_read(c->m->data, c->m->size, &c->at, wire) < 0 || c->at > c->end) {
    return false;
  }
  *out = qn__dns_take_name(c->a, wire);
  return true;
}

/* Data without any string is not allowed, but counts as one empty string (RFC 6763 section 6.1). */
static bool txt(cursor_t *c, qn_dns_record_t *out)
{
  size_t n = 0;
  for (size_t at = c->at; at < c->end; n++) {
    at += (size_t)c->m->data[at] + 1;
    if (at > c->end) {
      return false;
    }
  }
  size_t strings = n > 0 ? n : 1;
  qn_slice_t *v = qn__dns_take(c->a, strings * sizeof *v, _Alignof(qn_slice_t));
  qn_slice_t one = {(const uint8_t *)"", 0};
  for (size_t i = 0; i < strings; i++) {
    if (i < n && !string(c, &one)) {
      return false;
    }
    if (v != NULL) {
      v[i] = one;
    }
  }
  out->u.txt.n = strings;
  out->u.txt.v = v;
  return true;
}

static bool fixed(cursor_t *c, uint8_t *out, size_t size)
{
  const uint8_t *p = take(c, size);
  if (p != NULL) {
    memcpy(out, p, size);
  }
  return p != NULL;
}

static bool soa(cursor_t *c, qn_dns_record_t *out)
{
  return name(c, &out->u.soa.mname) && name(c, &out->u.soa.rname) && u32(c, &out->u.soa.serial) &&
         u32(c, &out->u.soa.refresh) && u32(c, &out->u.soa.retry) && u32(c, &out->u.soa.expire) &&
         u32(c, &out->u.soa.minimum);
}

static bool tlsa(cursor_t *c, qn_dns_record_t *out)
{
  const uint8_t *p = take(c, 3);
  if (p == NULL) {
    return false;
  }
  out->u.tlsa.usage = p[0];
  out->u.tlsa.selector = p[1];
  out->u.tlsa.matching = p[2];
  return rest(c, &out->u.tlsa.data);
}

static bool caa(cursor_t *c, qn_dns_record_t *out)
{
  const uint8_t *flags = take(c, 1);
  if (flags == NULL) {
    return false;
  }
  out->u.caa.flags = *flags;
  return string(c, &out->u.caa.tag) && out->u.caa.tag.size > 0 && rest(c, &out->u.caa.value);
}

static bool naptr(cursor_t *c, qn_dns_record_t *out)
{
  return u16(c, &out->u.naptr.order) && u16(c, &out->u.naptr.preference) &&
         string(c, &out->u.naptr.flags) && string(c, &out->u.naptr.services) &&
         string(c, &out->u.naptr.regexp) && name(c, &out->u.naptr.replacement);
}

static bool read_data(cursor_t *c, uint16_t type, qn_dns_record_t *out)
{
  switch (type) {
  case QN_DNS_A: return fixed(c, out->u.a, sizeof out->u.a);
  case QN_DNS_AAAA: return fixed(c, out->u.aaaa, sizeof out->u.aaaa);
  case QN_DNS_NS:
  case QN_DNS_CNAME:
  case QN_DNS_PTR: return name(c, &out->u.target);
  case QN_DNS_SOA: return soa(c, out);
  case QN_DNS_MX: return u16(c, &out->u.mx.preference) && name(c, &out->u.mx.exchange);
  case QN_DNS_TXT: return txt(c, out);
  case QN_DNS_SRV:
    return u16(c, &out->u.srv.priority) && u16(c, &out->u.srv.weight) && u16(c, &out->u.srv.port) &&
           name(c, &out->u.srv.target);
  case QN_DNS_NAPTR: return naptr(c, out);
  case QN_DNS_TLSA: return tlsa(c, out);
  case QN_DNS_CAA: return caa(c, out);
  default: return rest(c, &out->u.other);
  }
}

int qn__dns_rdata(const qn__dns_message_t *m, size_t at, size_t size, uint16_t type,
                  qn__dns_arena_t *a, qn_dns_record_t *out)
{
  if (type == QN_DNS_SVCB || type == QN_DNS_HTTPS) {
    return qn__dns_svcb(m, at, size, a, out);
  }
  cursor_t c = {.m = m, .a = a, .at = at, .end = at + size};
  return read_data(&c, type, out) && c.at == c.end ? 0 : QN_E_DNS_REPLY;
}

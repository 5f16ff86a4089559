/* dns_svcb.c: the data of SVCB and HTTPS records (RFC 9460), and the values of the known keys.
 *
 * One malformed record spoils its whole set (section 2.2), so this is strict: keys strictly
 * ascending, values of known keys in their format, nothing left over. Unknown keys are kept raw.
 */
#include "dns_i.h"

#include <string.h>

enum {
  KEY_MANDATORY = 0,
  KEY_ALPN = 1,
  KEY_NO_DEFAULT_ALPN = 2,
  KEY_PORT = 3,
  KEY_IPV4HINT = 4,
  KEY_ECH = 5,
  KEY_IPV6HINT = 6,
  KEY_DOHPATH = 7, /* RFC 9461 */
  KEY_OHTTP = 8,   /* RFC 9540 */
  KEY_INVALID = 65535
};

/* Walks the parameters; the size of one with its head, 0 when it does not fit. */
static size_t param_size(const uint8_t *p, size_t left)
{
  if (left < 4) {
    return 0;
  }
  size_t size = (size_t)qn__dns_u16(p + 2) + 4;
  return size <= left ? size : 0;
}

/* Ascending, without itself, all of them there (section 8). The keys ascend in both lists. */
static bool mandatory_ok(const uint8_t *v, size_t size, const uint8_t *params, size_t left)
{
  if (size == 0 || size % 2 != 0) {
    return false;
  }
  uint16_t last = KEY_MANDATORY;
  for (size_t i = 0; i < size; i += 2) {
    uint16_t key = qn__dns_u16(v + i);
    size_t step;
    if (key <= last) {
      return false;
    }
    last = key;
    while ((step = param_size(params, left)) != 0 && qn__dns_u16(params) < key) {
      params += step;
      left -= step;
    }
    if (step == 0 || qn__dns_u16(params) != key) {
      return false;
    }
  }
  return true;
}

/* Names with a length in front, none of them empty (section 7.1.1). */
static bool alpn_ok(const uint8_t *v, size_t size)
{
  if (size == 0) {
    return false;
  }
  for (size_t at = 0; at < size; at += (size_t)v[at] + 1) {
    if (v[at] == 0 || size - at <= v[at]) {
      return false;
    }
  }
  return true;
}

static bool value_ok(uint16_t key, const uint8_t *v, size_t size, const uint8_t *params,
                     size_t params_size)
{
  switch (key) {
  case KEY_MANDATORY: return mandatory_ok(v, size, params, params_size);
  case KEY_ALPN: return alpn_ok(v, size);
  case KEY_NO_DEFAULT_ALPN:
  case KEY_OHTTP: return size == 0;
  case KEY_PORT: return size == 2;
  case KEY_IPV4HINT: return size > 0 && size % 4 == 0;
  case KEY_IPV6HINT: return size > 0 && size % 16 == 0;
  case KEY_ECH:
  case KEY_DOHPATH: return size > 0;
  case KEY_INVALID: return false;
  default: return true;
  }
}

int qn__dns_svcb(const qn__dns_message_t *m, size_t at, size_t size, qn__dns_arena_t *a,
                 qn_dns_record_t *out)
{
  uint8_t wire[QN__DNS_WIRE];
  size_t end = at + size, start = at + 2;
  if (size < 3) {
    return QN_E_DNS_REPLY;
  }
  out->u.svcb.priority = qn__dns_u16(m->data + at);
  at += 2;
  int n_wire = qn__dns_name_read(m->data, end, &at, wire);
  if (n_wire < 0 || at - start != (size_t)n_wire) {
    return QN_E_DNS_REPLY; /* the name must not be compressed */
  }
  out->u.svcb.target = qn__dns_take_name(a, wire);
  out->u.svcb.n = 0;
  out->u.svcb.v = NULL;
  if (out->u.svcb.priority == 0) {
    return 0; /* parameters of the alias form are to be ignored (section 2.4.2) */
  }
  const uint8_t *params = m->data + at;
  size_t params_size = end - at, n = 0, step;
  int32_t last = -1;
  for (size_t pos = 0; pos < params_size; pos += step, n++) {
    step = param_size(params + pos, params_size - pos);
    if (step == 0) {
      return QN_E_DNS_REPLY;
    }
    uint16_t key = qn__dns_u16(params + pos);
    if (key <= last ||
        !value_ok(key, params + pos + 4, step - 4, params + pos, params_size - pos)) {
      return QN_E_DNS_REPLY;
    }
    last = key;
  }
  qn_dns_param_t *v = qn__dns_take(a, n * sizeof *v, _Alignof(qn_dns_param_t));
  uint8_t *copy = qn__dns_take(a, params_size, 1);
  if (copy != NULL && v != NULL && params_size > 0) {
    memcpy(copy, params, params_size);
    for (size_t i = 0, pos = 0; i < n; i++, pos += step) {
      step = param_size(copy + pos, params_size - pos);
      v[i] = (qn_dns_param_t){qn__dns_u16(copy + pos), {copy + pos + 4, step - 4}};
    }
  }
  out->u.svcb.n = n;
  out->u.svcb.v = n > 0 ? v : NULL;
  return 0;
}

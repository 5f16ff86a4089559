/* dtls_other.c: datagrams of other protocols on the socket of an endpoint (RFC 7983).
 *
 * Called by dtls_endpoint.c with what cannot be DTLS, and by embedders who asked for it. Kept until
 * it is taken, at most QN_DTLS_OTHERS_MAX of QN_DTLS_MTU_MAX bytes; the rest counts as invalid.
 * Must not look into them. Invariant: n_others is the length of the list.
 */
#include "tls/dtls_i.h"

#include <string.h>

void qn_dtls_set_others(qn_dtls_endpoint_t *e, bool on)
{
  e->wants_others = on;
  if (!on) {
    qn__dtls_drop_others(e);
  }
}

void qn__dtls_keep_other(qn_dtls_endpoint_t *e, qn_slice_t d, const qn_udp_info_t *info)
{
  bool keep = e->wants_others && e->n_others < QN_DTLS_OTHERS_MAX && d.size <= QN_DTLS_MTU_MAX;
  qn__dtls_other_t *o = keep ? qn_malloc(sizeof *o + d.size) : NULL;
  if (o == NULL) {
    e->stats.invalid++;
    return;
  }
  o->next = NULL;
  o->info = *info;
  o->size = d.size;
  if (d.size != 0) {
    memcpy(o->data, d.data, d.size);
  }
  if (e->first == NULL) {
    e->first = o;
  } else {
    e->last->next = o;
  }
  e->last = o;
  e->n_others++;
  qn__dtls_wake_asker(e);
}

bool qn_dtls_other(const qn_dtls_endpoint_t *e, qn_slice_t *data, qn_udp_info_t *info)
{
  if (e->first == NULL) {
    return false;
  }
  *data = (qn_slice_t){e->first->data, e->first->size};
  *info = e->first->info;
  return true;
}

void qn_dtls_drop_other(qn_dtls_endpoint_t *e)
{
  qn__dtls_other_t *o = e->first;
  if (o != NULL) {
    e->first = o->next;
    e->n_others--;
    qn_free(o);
  }
}

void qn__dtls_drop_others(qn_dtls_endpoint_t *e)
{
  while (e->first != NULL) {
    qn_dtls_drop_other(e);
  }
}

/* netif_i.h: what the kernel's answers become, apart from the socket that brings them.
 *
 * netif_read.c feeds each message to the functions of netif.c; so do tests, with messages of their
 * own. Lists grow up to their limits and are put in order once at the end.
 */
#ifndef QN_NETIF_I_H
#define QN_NETIF_I_H

#include "qn/netif.h"

#include <linux/netlink.h>

typedef struct qn__netif_build {
  qn_netif_t *links;
  size_t n_links, max_links;
  struct qn__netif_row {
    qn_netif_entry_t entry;
    uint32_t index;
    size_t order;
  } * rows;
  size_t n_rows, max_rows;
} qn__netif_build_t;

/* One RTM_NEWLINK or RTM_NEWADDR message (others are ignored); the whole of it is within
 * `nlmsg_len`. 0 or an error. */
int qn__netif_take(qn__netif_build_t *b, const struct nlmsghdr *message);
/* Moves what was taken into `out`, in order. */
int qn__netif_finish(qn__netif_build_t *b, qn_netifs_t *out);
void qn__netif_drop(qn__netif_build_t *b);
/* The type of a kind of hardware (ARPHRD_...). */
qn_netif_type_t qn__netif_type(unsigned hardware);

#endif

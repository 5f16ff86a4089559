/* sockopt.h: socket options by name on a descriptor, and a list of options to be applied later.
 *
 * Not public. Used by f_socket.c, listen.c, sock_options.c and udp.c.
 */
#ifndef QN_NET_SOCKOPT_H
#define QN_NET_SOCKOPT_H

#include "qn/sockopt.h"

/* 0; QN_E_INVALID (unknown name, value out of range); QN_E_UNSUPPORTED (read only, or not of this
 * family of sockets); or what the kernel says. */
int qn__sockopt_set(int fd, const char *name, int64_t value);
int qn__sockopt_get(int fd, const char *name, int64_t *value);
/* What can be said about a value without a descriptor: 0, QN_E_INVALID or QN_E_UNSUPPORTED. */
int qn__sockopt_check(const char *name, int64_t value);
/* Whether sockets of this type (SOCK_STREAM, SOCK_DGRAM) have it; asked before an option is kept
 * for later, or it would spoil every descriptor to come. */
bool qn__sockopt_fits(const char *name, int type);

/* Options that wait for a descriptor, in the order in which they were first set. */
typedef struct qn__sockopts qn__sockopts_t;
/* Makes the list when *list is NULL. A second value for a name replaces the first. */
int qn__sockopts_put(qn__sockopts_t **list, const char *name, int64_t value);
/* QN_E_INVALID for unknown names, QN_E_NOT_CONNECTED when the name is not in the list. */
int qn__sockopts_get(const qn__sockopts_t *list, const char *name, int64_t *value);
/* Sets all of them; NULL is an empty list. The first failure ends it. */
int qn__sockopts_apply(const qn__sockopts_t *list, int fd);
void qn__sockopts_free(qn__sockopts_t *list);

#endif

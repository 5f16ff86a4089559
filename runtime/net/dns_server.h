/* dns_server.h: one DNS server: messages to it, its replies back. Not public.
 *
 * Implemented by resolver.c over c-ares, which keeps the sockets, the TCP framing, the matching of
 * replies (id and question) and the time limit of a try. Which question goes where and when, and
 * what a reply means, is dns_question.c's. Nothing is opened before the first message, and nothing
 * stays open when the last one has ended.
 */
#ifndef QN_NET_DNS_SERVER_H
#define QN_NET_DNS_SERVER_H

#include "qn/addr.h"
#include "qn/loop.h"

typedef struct qn__dns_server qn__dns_server_t;

/* Called once for each message, perhaps before qn__dns_server_send returns, perhaps beneath libuv:
 * it may store and queue, nothing else. rc 0: `data` is the reply. QN_E_TIMEOUT: none came in time;
 * QN_E_DNS_UNREACHABLE: refused, no route, connection lost; QN_AGAIN: the connection was lost
 * after it had brought other replies, so the same message may be sent again; -ECONNRESET: before it
 * had brought any; QN_E_CANCELLED: by
 * qn__dns_server_cancel or _free; -ENOMEM, -EMFILE and their kin: nothing could be sent. */
typedef void (*qn__dns_reply_fn)(void *arg, int rc, const uint8_t *data, size_t size);

/* Cheap: the channel is made when it is used first. `timeout`: ms for one message. */
int qn__dns_server_new(qn_loop_t *loop, const qn_addr_t *address, uint64_t timeout,
                       qn__dns_server_t **out);
void qn__dns_server_send(qn__dns_server_t *s, bool tcp, const uint8_t *message, size_t size,
                         qn__dns_reply_fn reply, void *arg);
/* Ends all messages and closes the sockets. Not from a reply function. */
void qn__dns_server_cancel(qn__dns_server_t *s);
void qn__dns_server_free(qn__dns_server_t *s);

#endif

/* f_socket.h: what listen.c, dial.c and send_file.c may ask of the socket filter beyond stream_i.h.
 *
 * Not public.
 */
#ifndef QN_STREAM_F_SOCKET_H
#define QN_STREAM_F_SOCKET_H

#include "stream/stream_i.h"

#include <sys/types.h>

/* A descriptor that accept4(2) has just made non-blocking: no checks. Takes it on success only. */
int qn__f_socket_accepted(qn_loop_t *loop, int fd, const qn_addr_t *peer, qn_filter_t **out);
/* start() connects `fd` (made and bound by the caller) to `peer`. Takes it, also on failure. */
int qn__f_socket_connect(qn_loop_t *loop, int fd, const qn_addr_t *peer, qn_filter_t **out);
/* One bounded sendfile(2) behind what is queued. > 0 bytes that went, 0 = the file ended, QN_AGAIN
 * = QN_WAKE_WRITE comes, QN_E_UNSUPPORTED = the kernel cannot do it with this file, or < 0. */
int64_t qn__f_socket_send_file(qn_filter_t *f, int fd, off_t *offset, size_t count);

#endif

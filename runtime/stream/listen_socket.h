/* listen_socket.h: making and unmaking the descriptor of a listener. Not public. */
#ifndef QN_STREAM_LISTEN_SOCKET_H
#define QN_STREAM_LISTEN_SOCKET_H

#include "qn/listen.h"

#include <sys/types.h>

typedef struct qn__listen_socket {
  int fd;         /* -1: none */
  qn_addr_t addr; /* as bound */
  bool own_file;  /* addr is a path, and the socket file there was made by us */
  dev_t device;   /* ... and is this one */
  ino_t inode;
} qn__listen_socket_t;

/* 0, or an error (then nothing is left behind). A given descriptor is taken over on success only.
 */
int qn__listen_socket_open(qn__listen_socket_t *ls, const qn_addr_t *addr,
                           const qn_listen_opts_t *opts);
/* Closes, and removes the socket file if it is still the one that we made. Idempotent. */
void qn__listen_socket_close(qn__listen_socket_t *ls);

#endif

/* qn/notifier.h: when any descriptor can be read, can be written, or has something exceptional
 * (QSocketNotifier).
 *
 * For descriptors that somebody else owns: they are neither closed nor changed here (blocking ones
 * stay blocking), and pipes, sockets, terminals, event descriptors and the descriptors of our own
 * streams will do. Level-triggered, but no condition is reported again before the last report was
 * dealt with, so nothing spins. One notifier for each descriptor and type; the types of one
 * descriptor are independent. A descriptor should be closed after its notifier: the kernel does not
 * tell when it is closed before; the next wait then gives EBADF.
 */
#ifndef QN_NOTIFIER_H
#define QN_NOTIFIER_H

#include "qn/loop.h"

typedef struct qn_notifier qn_notifier_t;

typedef enum qn_notify {
  QN_NOTIFY_READ,      /* bytes, a connection to accept, or the end */
  QN_NOTIFY_WRITE,     /* room */
  QN_NOTIFY_EXCEPTION, /* urgent data of TCP, changes on a pseudo terminal and the like (POLLPRI) */
  QN_NOTIFY_COUNT
} qn_notify_t; /* a hang-up and an error of the descriptor are reported to all of them */

/* -EBADF, -EPERM (files and directories cannot be watched), -EEXIST (there is one already), or an
 * error of the system. It is enabled. */
QN_API int qn_notifier_open(qn_loop_t *loop, int fd, qn_notify_t type, qn_notifier_t **out);
/* Waits for the condition: 0 it is there already, QN_AGAIN (`op` settles with 0 or an error).
 * QN_E_BUSY: another operation waits; QN_E_CLOSED; -EBADF: the descriptor is not open any more.
 * While disabled it waits until it is enabled again, then for the condition. */
QN_API int qn_notifier_wait(qn_notifier_t *n, qn_op_t *op);
/* Calls `notify` in the ready phase: with 0 when the condition is there, then not again before
 * qn_notifier_resume; with an error when the descriptor cannot be watched any longer, which is then
 * disabled. NULL: no more. Independent of qn_notifier_wait. */
typedef void (*qn_notify_fn)(qn_notifier_t *n, int err, void *data);
QN_API void qn_notifier_observe(qn_notifier_t *n, qn_notify_fn notify, void *data);
QN_API void qn_notifier_resume(qn_notifier_t *n);

/* -EBADF when it was to be enabled and the descriptor is not open any more. */
QN_API int qn_notifier_set_enabled(qn_notifier_t *n, bool on);
QN_API bool qn_notifier_is_enabled(const qn_notifier_t *n);
QN_API int qn_notifier_fd(const qn_notifier_t *n);
QN_API qn_notify_t qn_notifier_type(const qn_notifier_t *n);
QN_API bool qn_notifier_is_closed(const qn_notifier_t *n);

/* A waiting operation settles with QN_E_CLOSED. Idempotent; the descriptor stays open. */
QN_API void qn_notifier_close(qn_notifier_t *n);
/* Closes it, too. NULL is fine. */
QN_API void qn_notifier_release(qn_notifier_t *n);

#endif

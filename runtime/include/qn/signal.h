/* qn/signal.h: operating-system signals as operations. One object watches one signal number. */
#ifndef QN_SIGNAL_H
#define QN_SIGNAL_H

#include "qn/loop.h"

typedef struct qn_signal qn_signal_t;

/* SIGKILL, SIGSTOP and numbers out of range give QN_E_INVALID. */
QN_API int qn_signal_open(qn_loop_t *loop, int signum, qn_signal_t **out);
/* Waits for the next delivery; result = number of deliveries since the last one was taken (>= 1).
 * Returns that number at once when some are pending, QN_AGAIN when `op` waits, QN_E_BUSY for a
 * second waiter. `notify` (may be NULL) runs in the ready phase at each delivery, waiter or not. */
QN_API int64_t qn_signal_wait(qn_signal_t *s, qn_op_t *op);
QN_API void qn_signal_on_delivery(qn_signal_t *s, void (*notify)(void *data), void *data);
/* Whether the watcher keeps the loop alive (default yes). */
QN_API void qn_signal_ref(qn_signal_t *s, bool on);
/* Idempotent; a waiting op settles with QN_E_CLOSED. The object is freed by release. */
QN_API void qn_signal_close(qn_signal_t *s);
QN_API void qn_signal_release(qn_signal_t *s);
/* "int" "INT" "SIGINT" -> number, or 0; and back ("SIGINT"), or NULL. */
QN_API int qn_signal_number(const char *name);
QN_API const char *qn_signal_name(int signum);

#endif

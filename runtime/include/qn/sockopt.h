/* qn/sockopt.h: the names of socket options, for those who check or list them.
 *
 * Reading and setting go through the owner of the descriptor: qn_stream_set_option,
 * qn_listener_set_option. Values are integers: switches are 0 or 1, `linger` is seconds or -1
 * (off), the keepalive times are seconds, buffer sizes are bytes (Linux reports twice what was
 * set).
 */
#ifndef QN_SOCKOPT_H
#define QN_SOCKOPT_H

#include "qn/base.h"

typedef enum qn_sockopt_kind {
  QN_SOCKOPT_UNKNOWN, /* no such name */
  QN_SOCKOPT_SWITCH,
  QN_SOCKOPT_NUMBER
} qn_sockopt_kind_t;

/* All names, sorted, NULL at the end. Static. */
QN_API const char *const *qn_sockopt_names(void);
QN_API qn_sockopt_kind_t qn_sockopt_kind(const char *name);
/* false for those that can only be read (and for unknown names). */
QN_API bool qn_sockopt_settable(const char *name);

#endif

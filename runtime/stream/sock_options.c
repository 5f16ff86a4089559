/* sock_options.c: socket options of a stream, by name, whether there is a descriptor already or
 * not.
 *
 * Called by embedders. What an option is stands in net/sockopt.c. Invariant: an option that was set
 * before the stream is connected reaches every descriptor that a dial makes for it.
 */
#include "net/sockopt.h"
#include "stream/dial_i.h"
#include "stream/stream_i.h"

#include <errno.h>
#include <sys/socket.h>

static void free_list(void *p) { qn__sockopts_free(p); }

static int store(qn_stream_t *s, const char *name, int64_t value)
{
  qn__sockopts_t *list = qn__stream_slot(s, QN__SLOT_OPTIONS);
  bool fresh = list == NULL;
  int rc = qn__sockopts_put(&list, name, value);
  if (rc == 0 && fresh) {
    rc = qn__stream_set_slot(s, QN__SLOT_OPTIONS, list, free_list);
    if (rc < 0) {
      free_list(list);
    }
  }
  return rc;
}

int qn_stream_set_option(qn_stream_t *s, const char *name, int64_t value)
{
  qn_filter_t *top = qn_stream_top(s);
  int fd = qn__dial_bound_fd(s), rc = qn__sockopt_check(name, value);
  if (rc < 0) {
    return rc;
  }
  if (qn_stream_is_closed(s)) {
    return QN_E_CLOSED;
  }
  if (!qn__sockopt_fits(name, SOCK_STREAM)) {
    return QN_E_UNSUPPORTED;
  }
  if (top != NULL) {
    qn_option_t option = {.name = name, .value = value, .set = true};
    rc = qn_filter_query(top, QN_QUERY_OPTION, &option);
  } else if (fd >= 0) {
    rc = qn__sockopt_set(fd, name, value);
  }
  if (rc == 0 && qn_stream_state(s) != QN_STATE_CONNECTED) {
    rc = store(s, name, value);
  }
  return rc;
}

int qn_stream_get_option(qn_stream_t *s, const char *name, int64_t *value)
{
  qn_filter_t *top = qn_stream_top(s);
  int fd = qn__dial_bound_fd(s);
  if (qn_sockopt_kind(name) == QN_SOCKOPT_UNKNOWN) {
    return QN_E_INVALID;
  }
  if (qn_stream_is_closed(s)) {
    return QN_E_CLOSED;
  }
  if (!qn__sockopt_fits(name, SOCK_STREAM)) {
    return QN_E_UNSUPPORTED;
  }
  if (top != NULL) {
    qn_option_t option = {.name = name};
    int rc = qn_filter_query(top, QN_QUERY_OPTION, &option);
    *value = option.value;
    return rc;
  }
  return fd >= 0 ? qn__sockopt_get(fd, name, value)
                 : qn__sockopts_get(qn__stream_slot(s, QN__SLOT_OPTIONS), name, value);
}

/* nsswitch.h: the `hosts` line of nsswitch.conf(5): who answers for names. Not public.
 *
 * For the resolver: it does the services `files` and `dns` itself, in the order of the line;
 * anything else on the line means that the system's own call must be asked. Decided conservatively
 * and per name: `mdns*_minimal [NOTFOUND=return]` only matters for *.local and link-local
 * addresses, `myhostname` only for the names of this machine; any other service, and any action
 * that is not without effect, makes every look-up the system's.
 */
#ifndef QN_NET_NSSWITCH_H
#define QN_NET_NSSWITCH_H

#include "net/sys_file.h"
#include "qn/addr.h"

#define QN__NSSWITCH_SIZE_MAX ((size_t)256 << 10) /* bytes: a larger file counts as absent */
#define QN__NSSWITCH_SERVICES_MAX 2               /* those that are ours, each once */

typedef enum qn__nss_service { QN__NSS_FILES, QN__NSS_DNS } qn__nss_service_t;

typedef struct qn__nsswitch {
  size_t n;                                       /* 0: nothing here is ours */
  qn__nss_service_t v[QN__NSSWITCH_SERVICES_MAX]; /* in order */
  bool foreign;                                   /* always ask the system */
  bool mdns;                                      /* ask it for *.local */
  bool host_name;                                 /* ask it for the names of this machine */
} qn__nsswitch_t;

/* The first `hosts:` line. Without one `files dns`, as musl and Go have it: glibc would ask the DNS
 * first, even for localhost. */
void qn__nsswitch_parse(qn__nsswitch_t *s, const char *text, size_t size);
/* May the services in `v` answer for this name? False: ask the system's own call. `host_name` is
 * that of this machine (read only when `s->host_name` is set; NULL: every name may be it). */
bool qn__nsswitch_can_find(const qn__nsswitch_t *s, const char *name, const char *host_name);
/* The same for the names of an address. */
bool qn__nsswitch_can_reverse(const qn__nsswitch_t *s, const qn_addr_t *a);

/* The file, read again when it has changed. Zero-initialise. */
typedef struct qn__nsswitch_file {
  qn__stamp_t stamp;
  qn__nsswitch_t s;
} qn__nsswitch_file_t;

/* Never NULL; an absent or unreadable file gives the default. Valid until the next call. */
const qn__nsswitch_t *qn__nsswitch_file_get(qn__nsswitch_file_t *file, const char *path);

#endif

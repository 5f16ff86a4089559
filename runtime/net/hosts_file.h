/* hosts_file.h: hosts(5): names to addresses and back, from a text or the file itself. Not public.
 *
 * For the resolver, on the loop's thread. A table never changes once it is made; a find is one
 * hash look-up however many lines there are (lists of 100,000 lines are usual). Names compare
 * without ASCII case. Bad lines are skipped, as glibc does.
 *
 * A line is: address, white space, name, aliases; '#' begins a comment. Bounded: what is over a
 * limit below is left out, the rest of the file still counts.
 */
#ifndef QN_NET_HOSTS_FILE_H
#define QN_NET_HOSTS_FILE_H

#include "net/sys_file.h"
#include "qn/addr.h"

#define QN__HOSTS_SIZE_MAX ((size_t)8 << 20) /* bytes; a larger file counts as absent */
#define QN__HOSTS_SAME_MAX 128               /* lines that count for one name or one address */
#define QN__HOSTS_NAME_MAX 255               /* bytes of a name */

typedef struct qn__hosts qn__hosts_t;

/* Copies `text`. 0, -ENOMEM, or QN_E_LIMIT when `size` is over QN__HOSTS_SIZE_MAX. */
int qn__hosts_parse(const char *text, size_t size, qn__hosts_t **out);
void qn__hosts_free(qn__hosts_t *hosts);

/* Addresses of `name` (a final dot is ignored) in the order of the file, each once, port 0. Returns
 * how many, at most `max`, were put into `v`; 0: the file does not know it. `*canonical` (may be
 * NULL) is set to the first name of the first line that counted, owned by the table.
 * As in glibc: mapped addresses (::ffff:1.2.3.4) are IPv4, and QN_FAMILY_IPV4 takes a `::1` line as
 * 127.0.0.1 when the name has no IPv4 line. Scoped addresses whose interface is absent do not
 * count. When there is no address of `family`, glibc goes on to the next service. */
size_t qn__hosts_find(const qn__hosts_t *hosts, const char *name, qn_family_t family, qn_addr_t *v,
                      size_t max, const char **canonical);
/* Is the name there, whatever its families? */
bool qn__hosts_has(const qn__hosts_t *hosts, const char *name);
/* Names of an address (its port does not matter; scope does, when the file gives one), first the
 * canonical name and aliases of the first line, then those of further lines; each once (no case).
 * Returns how many were put into `v`, at most `max`. They are owned by the table. */
size_t qn__hosts_names(const qn__hosts_t *hosts, const qn_addr_t *given, const char **v,
                       size_t max);
/* For tests and reports: lines and names that count. */
size_t qn__hosts_n_lines(const qn__hosts_t *hosts);
size_t qn__hosts_n_names(const qn__hosts_t *hosts);

/* The file, read again when it has changed (mtime in ns, ctime, size, inode). Zero-initialise. */
typedef struct qn__hosts_file {
  qn__stamp_t stamp;
  qn__hosts_t *hosts;
  unsigned generation; /* counts every change: caches may compare it */
} qn__hosts_file_t;

/* The table as the file is now; NULL when it is absent, unreadable or too large. One stat call when
 * nothing has changed. Valid until the next call or qn__hosts_file_drop. Out of memory keeps the
 * old table and tries again at the next call. */
const qn__hosts_t *qn__hosts_file_get(qn__hosts_file_t *file, const char *path);
void qn__hosts_file_drop(qn__hosts_file_t *file);

#endif

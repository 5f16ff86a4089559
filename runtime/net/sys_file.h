/* sys_file.h: small configuration files of the system: read whole, and noticed when they change.
 *
 * For hosts_file, resolv_conf and nsswitch. One stat call when nothing has changed. Invariant: only
 * regular files are read, never more than the caller's limit.
 */
#ifndef QN_NET_SYS_FILE_H
#define QN_NET_SYS_FILE_H

#include "qn/base.h"

/* What a file looked like when it was read. Zero-initialise: never read. */
typedef struct qn__stamp {
  bool known;
  bool there;           /* it could be read */
  bool unsure;          /* it was so young that a later change need not show: read it again */
  int64_t mtime, ctime; /* ns */
  uint64_t size, inode, device;
  uint64_t digest; /* of the text; 0: none was read */
} qn__stamp_t;

/* Has the file changed since `stamp` was taken (true when it was never taken)? */
bool qn__stamp_is_stale(const qn__stamp_t *stamp, const char *path);
/* Reads the file and takes its stamp. 0: `*text` (NUL behind the last byte; caller frees) and
 * `*size`. 1: the text is the one that `stamp` was taken of, none is given. -ENOENT and other
 * system errors, -EINVAL (no regular file), QN_E_LIMIT (larger than `most`): the stamp is taken all
 * the same. -ENOMEM, -EMFILE, -ENFILE: nothing was learnt, `stamp` stays as it is. */
int qn__sys_file_read(const char *path, size_t most, qn__stamp_t *stamp, char **text, size_t *size);

#endif

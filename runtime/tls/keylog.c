/* keylog.c: the keys of connections in a file, in the format of SSLKEYLOGFILE.
 *
 * For looking into recorded traffic with other programs. Only when a configuration asks for it: the
 * environment is never read here. Must not fail a handshake: what cannot be written is left out.
 * Invariant: each line is one write, so that several processes may share the file.
 */
#include "tls/f_tls_i.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

int qn__tls_keylog_open(qn_tls_config_t *c)
{
  if (c->keylog_fd >= 0) {
    return 0;
  }
  c->keylog_fd = open(c->keylog, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (c->keylog_fd < 0) {
    int err = -errno;
    return qn__tls_config_fail(c, err, "%s: %s", c->keylog, qn_err_text(err));
  }
  return 0;
}

static void write_line(const SSL *ssl, const char *line)
{
  const qn_tls_t *t = qn__tls_of_ssl(ssl);
  const qn_tls_config_t *c = qn__tls_effective(t);
  int fd = c->keylog_fd >= 0 ? c->keylog_fd : t->config->keylog_fd;
  struct iovec v[2] = {{(void *)(uintptr_t)line, strlen(line)}, {(void *)(uintptr_t) "\n", 1}};
  if (fd >= 0) {
    ssize_t n = writev(fd, v, 2);
    (void)n;
  }
}

void qn__tls_keylog_setup(SSL_CTX *ctx) { SSL_CTX_set_keylog_callback(ctx, write_line); }

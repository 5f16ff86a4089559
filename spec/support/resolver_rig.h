/* resolver_rig.h: a resolver for C unit tests: its own files, its own server (dns_peer.h).
 *
 * #include it after dns_peer.h. Files are written to a folder that the program removes at its end.
 * Invariant: rig_end leaves no object, handle or block of memory.
 */
#ifndef QN_SPEC_RESOLVER_RIG_H
#define QN_SPEC_RESOLVER_RIG_H

#include "qn/dns.h"

static struct {
  dns_peer_t peer;
  qn_resolver_t *resolver;
  char folder[64], hosts[96], resolv[96], nsswitch[96];
} rig;

TEST_UNUSED static void rig_remove(void)
{
  unlink(rig.hosts);
  unlink(rig.resolv);
  unlink(rig.nsswitch);
  rmdir(rig.folder);
}

TEST_UNUSED static void rig_write(const char *path, const char *text)
{
  FILE *f = fopen(path, "w");
  REQUIRE(f != NULL);
  fputs(text, f);
  REQUIRE_INT(fclose(f), 0);
}

static void rig_folder(void)
{
  if (rig.folder[0] == '\0') {
    snprintf(rig.folder, sizeof rig.folder, "/tmp/qn-resolver-XXXXXX");
    REQUIRE(mkdtemp(rig.folder) != NULL);
    snprintf(rig.hosts, sizeof rig.hosts, "%s/hosts", rig.folder);
    snprintf(rig.resolv, sizeof rig.resolv, "%s/resolv.conf", rig.folder);
    snprintf(rig.nsswitch, sizeof rig.nsswitch, "%s/nsswitch.conf", rig.folder);
    atexit(rig_remove);
  }
  rig_write(rig.hosts, "");
  rig_write(rig.resolv, "options timeout:1 attempts:1\n");
  rig_write(rig.nsswitch, "hosts: files dns\n");
}

#define RIG_PATIENT_MS 10000u /* only what is never answered takes that long */
#define RIG_SHORT_MS 200u     /* for what is never answered */

/* Options with the rig's files and its server. */
static qn_resolver_opts_t rig_opts(void)
{
  static const char *servers[1];
  servers[0] = rig.peer.text;
  return (qn_resolver_opts_t){.servers = servers,
                              .n_servers = 1,
                              .hosts_path = rig.hosts,
                              .resolv_path = rig.resolv,
                              .nsswitch_path = rig.nsswitch,
                              .try_timeout = RIG_PATIENT_MS,
                              .tries = 1};
}

TEST_UNUSED static void rig_resolver(const qn_resolver_opts_t *opts)
{
  if (rig.resolver != NULL) {
    qn_resolver_close(rig.resolver);
    qn_resolver_release(rig.resolver);
  }
  REQUIRE_INT(qn_resolver_new(wire.loop, opts, &rig.resolver), 0);
}

TEST_UNUSED static void rig_begin(void)
{
  loop_begin();
  dns_peer_begin(&rig.peer);
  rig_folder();
  qn_resolver_opts_t o = rig_opts();
  rig_resolver(&o);
}

TEST_UNUSED static void rig_end(void)
{
  qn_resolver_close(rig.resolver);
  qn_resolver_release(rig.resolver);
  rig.resolver = NULL;
  dns_peer_end(&rig.peer);
  loop_end();
}

TEST_UNUSED static int rig_ask(const char *host, qn_family_t family, bool stepwise, wire_op_t *w)
{
  qn_addr_t literal;
  qn_resolve_opts_t o = {
      .host = host, .port = 80, .family = family, .resolver = rig.resolver, .stepwise = stepwise};
  return qn_resolve(wire.loop, &o, op_new(w), &literal);
}

/* The addresses as one text, "127.0.0.2 fd00::2", or the name of the error. */
TEST_UNUSED static const char *rig_list(const wire_op_t *w)
{
  static char out[4096];
  char one[QN_ADDR_TEXT];
  const qn_addr_list_t *list = qn_resolved(&w->op);
  out[0] = '\0';
  for (size_t i = 0; list != NULL && i < list->n; i++) {
    qn_addr_host(&list->v[i], one, sizeof one);
    CHECK_INT(qn_addr_port(&list->v[i]), 80);
    size_t used = strlen(out);
    snprintf(out + used, sizeof out - used, "%s%s", i > 0 ? " " : "", one);
  }
  return list != NULL ? out : qn_err_name((int)w->result);
}

TEST_UNUSED static const char *rig_find(const char *host, qn_family_t family)
{
  wire_op_t w;
  int rc = rig_ask(host, family, false, &w);
  if (rc != QN_AGAIN) {
    return qn_err_name(rc);
  }
  WAIT_UNTIL(w.done);
  const char *text = rig_list(&w);
  qn_resolve_end(&w.op);
  return text;
}

#endif

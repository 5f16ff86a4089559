/* tls_trace.c: the steps of a handshake, alerts, tickets, ends and failures in words, in order,
 * from both sides; nothing secret in them; nothing at all without a trace function.
 */
#include "runtime/tls/tls_rig.h"

#include "qn/trace.h"

typedef struct lines {
  char text[32768];
  size_t size;
  uint64_t only; /* of this stream; 0: all */
  int others;
} lines_t;

static void take_line(const qn_trace_event_t *e, void *arg)
{
  lines_t *x = arg;
  if (strcmp(e->layer, "tls") != 0) {
    x->others++;
    return;
  }
  if (x->only != 0 && e->id != x->only) {
    return;
  }
  char mark = e->what == QN_TRACE_NOTE_OUT ? '>' : e->what == QN_TRACE_NOTE_IN ? '<' : '*';
  x->size += (size_t)snprintf(x->text + x->size, sizeof x->text - x->size, "%c %.*s\n", mark,
                              (int)e->bytes.size, (const char *)e->bytes.data);
}

/* Sizes become "#". */
static const char *blurred(lines_t *x)
{
  static const char *const units[] = {" cipher suites", " bytes", " seconds"};
  size_t n = 0;
  x->text[x->size] = 0;
  for (const char *p = x->text; *p != 0;) {
    size_t digits = strspn(p, "0123456789");
    bool unit = false;
    for (int i = 0; i < 3; i++) {
      unit = unit || (digits != 0 && strncmp(p + digits, units[i], strlen(units[i])) == 0);
    }
    x->text[n++] = unit ? '#' : *p;
    p += unit ? digits : 1;
  }
  x->text[n] = 0;
  return x->text;
}

static void traced(duo_t *d, lines_t *x, bool server, int version)
{
  qn_slice_t names[] = {slice_of("h2"), slice_of("http/1.1")};
  duo_init(d);
  *x = (lines_t){.only = qn_stream_id(server ? d->p.b : d->p.a)};
  qn_loop_set_trace(d->p.loop, take_line, x);
  d->cc = d->cc != NULL ? d->cc : client_config();
  d->sc = server_config();
  CHECK_INT(qn_tls_config_set_alpn(d->cc, names, 2), 0);
  CHECK_INT(qn_tls_config_set_alpn(d->sc, names, 1), 0);
  CHECK_INT(qn_tls_config_set_versions(d->cc, version, version), 0);
  d->co.peer = "localhost:1";
  duo_shake(d);
}

TEST(a_client_of_tls_1_3)
{
  static lines_t x;
  duo_t d;
  traced(&d, &x, false, QN_TLS_1_3);
  duo_require_up(&d);
  duo_talk(&d);
  CHECK_INT(qn_tls_key_update(d.c, true), 0);
  duo_talk(&d);
  qn_stream_finish(d.p.a, NULL, NULL);
  qn_stream_finish(d.p.b, NULL, NULL);
  reading_t r;
  CHECK_INT(read_now(&r, d.p.a, all(0)), 0);
  CHECK_STR(blurred(&x),
            "> client hello sent: TLS 1.3, # cipher suites, SNI localhost, ALPN h2, http/1.1\n"
            "< server hello received: TLS 1.3, TLS_AES_256_GCM_SHA384\n"
            "< encrypted extensions received: ALPN h2\n"
            "< certificate received: CN=server (issuer CN=Spec CA)\n"
            "* certificate verified for localhost\n"
            "< certificate signature received\n"
            "< finished received\n"
            "> finished sent\n"
            "* handshake done: TLSv1.3, TLS_AES_256_GCM_SHA384, X25519, ALPN h2, new session\n"
            "< session ticket received: # bytes, for # seconds\n"
            "< session ticket received: # bytes, for # seconds\n"
            "> key update sent: answer wanted\n"
            "< key update received: no answer wanted\n"
            "> close_notify sent\n"
            "< close_notify received\n");
  CHECK_INT(x.others, 0);
  x.size = 0;
  x.only = 0;
  duo_again(&d);
  duo_require_up(&d);
  CHECK(strstr(x.text, ", ticket or shared key (") != NULL);
  CHECK(strstr(x.text, ", session resumed\n") != NULL);
  CHECK(strstr(x.text, ", key 0 accepted\n") != NULL);
  duo_close(&d);
}

TEST(a_server_of_tls_1_2)
{
  static lines_t x;
  duo_t d;
  traced(&d, &x, true, QN_TLS_1_2);
  duo_require_up(&d);
  qn_stream_abort(d.p.a);
  settle_all(d.p.loop);
  CHECK_STR(blurred(&x),
            "< client hello received: TLS 1.2, # cipher suites, SNI localhost, ALPN h2, http/1.1\n"
            "> server hello sent: TLS 1.2, ECDHE-ECDSA-AES256-GCM-SHA384, ALPN h2\n"
            "> certificate sent: CN=server (issuer CN=Spec CA)\n"
            "> server key exchange sent\n"
            "> server hello done sent\n"
            "< client key exchange received\n"
            "< finished received\n"
            "> session ticket sent: # bytes, for # seconds\n"
            "> finished sent\n"
            "* handshake done: TLSv1.2, ECDHE-ECDSA-AES256-GCM-SHA384, ALPN h2, new session\n");
  duo_close(&d);
}

TEST(failures)
{
  static lines_t x;
  duo_t d;
  memset(&d, 0, sizeof d);
  for (int server = 0; server < 2; server++) {
    duo_init(&d);
    x = (lines_t){.only = qn_stream_id(server ? d.p.b : d.p.a)};
    qn_loop_set_trace(d.p.loop, take_line, &x);
    d.cc = new_config();
    add_ca(d.cc, pem_other);
    CHECK_INT(qn_tls_config_set_versions(d.cc, QN_TLS_1_2, QN_TLS_1_2), 0);
    d.co.server_name = "other.test";
    duo_shake(&d);
    if (server) {
      CHECK(strstr(x.text, "< fatal alert unknown_ca received\n") != NULL);
      CHECK(strstr(x.text, "* handshake failed: ALERT_UNKNOWN_CA: the peer sent TLS alert: "
                           "unknown_ca\n") != NULL);
    } else {
      CHECK(strstr(x.text, "* certificate 0 is not good: CERT_") != NULL);
      CHECK(strstr(x.text, "does not match host \"other.test\"\n") != NULL);
      CHECK(strstr(x.text, "> fatal alert unknown_ca sent\n") != NULL);
      CHECK(strstr(x.text, "* handshake failed: CERT_") != NULL);
    }
    duo_close(&d);
    memset(&d, 0, sizeof d);
  }
}

TEST(odd_bytes_of_a_peer_are_no_lines_of_ours)
{
  static lines_t x;
  duo_t d;
  qn_slice_t names[] = {slice_of("a\nb\x1b[0m")};
  duo_init(&d);
  x = (lines_t){.only = 0};
  qn_loop_set_trace(d.p.loop, take_line, &x);
  d.cc = client_config();
  CHECK_INT(qn_tls_config_set_alpn(d.cc, names, 1), 0);
  duo_shake(&d);
  CHECK(strstr(x.text, ", ALPN a?b?[0m\n") != NULL);
  duo_close(&d);
}

TEST(nothing_without_a_trace_function)
{
  static lines_t x;
  duo_t d;
  duo_init(&d);
  x = (lines_t){.only = 0};
  duo_shake(&d);
  duo_require_up(&d);
  qn_loop_set_trace(d.p.loop, take_line, &x); /* too late for this one */
  CHECK_INT(qn_tls_key_update(d.c, false), 0);
  duo_talk(&d);
  CHECK_UINT(x.size, 0);
  qn_loop_set_trace(d.p.loop, NULL, NULL);
  duo_close(&d);
}

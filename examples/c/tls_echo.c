/*
 * tls_echo: a TLS echo server and its client on the C core, without Lua.
 *
 * Shows: a key and a certificate made on the spot, a configuration for each side, a listener that
 * hands out connections whose handshake is done, a client that dials and then puts TLS on its
 * stream, what is known of a connection, and a pump that echoes what was decrypted.
 *
 *   tls_echo        serves one connection that it makes itself, and prints
 *
 *     client: TLSv1.3, ALPN "echo", the certificate is good for localhost
 *     server: 5 bytes echoed
 *     client: got "hello"
 */
#include <qn/qn.h>

#include <stdio.h>
#include <stdlib.h>

typedef struct side {
  qn_op_t op; /* first: `done` gets a pointer to it */
  qn_tls_config_t *config;
  qn_tls_incoming_t at;  /* the connection: stream and TLS */
  qn_tls_listener_t *in; /* of the server */
} side_t;

/* `why`: in words, with names and hosts; "" when nothing is known but the error. */
static void check(const char *what, int64_t rc, const char *why)
{
  if (rc < 0 && rc != QN_AGAIN) {
    fprintf(stderr, "tls_echo: %s: %s (%s)\n", what, *why != 0 ? why : qn_err_text((int)rc),
            qn_err_name((int)rc));
    exit(EXIT_FAILURE);
  }
}

/* --- a key, its certificate, and a configuration for each side -------------------------------- */

static qn_key_t *make_key(qn_loop_t *loop)
{
  qn_op_t op;
  qn_op_init(&op, loop, NULL);
  check("key", qn_key_make(loop, &op, "ec", "P-256", 0), "");
  qn_loop_run(loop); /* it is made in the thread pool */
  check("key", op.result, "");
  return qn_key_made(&op);
}

static qn_cert_t *make_cert(const qn_key_t *key)
{
  qn_cert_t *cert = NULL;
  qn_cert_plan_t plan;
  qn_cert_plan_init(&plan);
  check("subject", qn_cert_say_attribute(&plan.says, "CN", "tls_echo", 8, false, &plan.why),
        plan.why.text);
  check("name", qn_cert_say_name(&plan.says, QN_CERT_FORM_DNS, "localhost", 9, &plan.why),
        plan.why.text);
  check("certificate", qn_cert_make(&plan, key, NULL, key, &cert), plan.why.text);
  qn_cert_list_free(&plan.says);
  return cert;
}

/* Servers show the certificate, clients trust it and nothing else. */
static qn_tls_config_t *make_config(qn_cert_t *cert, qn_key_t *key, bool server)
{
  qn_slice_t echo = {(const uint8_t *)"echo", 4};
  qn_tls_config_t *c = qn_tls_config_new();
  check("configuration", c == NULL ? QN_E_LIMIT : 0, "");
  check("ALPN", qn_tls_config_set_alpn(c, &echo, 1), qn_tls_config_problem(c));
  check("certificate",
        server ? qn_tls_config_add_cert(c, cert, NULL, 0, key) : qn_tls_config_add_ca(c, cert),
        qn_tls_config_problem(c));
  return c;
}

/* --- server ----------------------------------------------------------------------------------- */

static void on_echoed(qn_op_t *op)
{
  side_t *server = (side_t *)op;
  printf("server: %d bytes echoed\n", (int)qn_pump_moved(op));
  qn_pump_end(op);
  qn_stream_close(server->at.s);
}

static void on_accepted(qn_op_t *op)
{
  side_t *server = (side_t *)op;
  check("accept", op->result, "");
  qn_tls_listener_taken(op, &server->at);
  qn_tls_listener_close(server->in); /* one connection is enough */
  op->done = on_echoed;
  check("echo", qn_pump_start(server->at.s, server->at.s, &(qn_pump_opts_t){0}, op), "");
}

/* --- client ----------------------------------------------------------------------------------- */

static void on_answer(qn_op_t *op)
{
  side_t *client = (side_t *)op;
  check("read", op->result, "");
  qn_slice_t data = qn_stream_data(client->at.s);
  printf("client: got \"%.*s\"\n", (int)data.size, (const char *)data.data);
  qn_stream_consume(client->at.s, data.size);
  qn_stream_close(client->at.s);
}

static void on_secure(qn_op_t *op)
{
  side_t *client = (side_t *)op;
  qn_tls_t *t = client->at.t;
  qn_slice_t hello = {(const uint8_t *)"hello", 5}, alpn = qn_tls_alpn(t);
  qn_got_t got;
  check("handshake", op->result, qn_tls_problem(t));
  printf("client: %s, ALPN \"%.*s\", the certificate is good for %s\n",
         qn_tls_version_name(qn_tls_version(t)), (int)alpn.size, (const char *)alpn.data,
         qn_tls_server_name(t));
  check("write", qn_stream_write(client->at.s, NULL, NULL, &hello, 1), "");
  qn_stream_finish(client->at.s, NULL, NULL); /* says close_notify: the server's pump ends */
  op->done = on_answer;
  qn_stream_want(client->at.s, op, &(qn_want_t){.kind = QN_WANT_ALL}, &got); /* must wait */
}

static void on_connected(qn_op_t *op)
{
  side_t *client = (side_t *)op;
  check("connect", op->result, "");
  int rc = qn_tls_new(client->config, &(qn_tls_opts_t){.server_name = "localhost"}, &client->at.t);
  check("client", rc, qn_tls_config_problem(client->config));
  op->done = on_secure;
  check("client", qn_tls_start(client->at.t, client->at.s, op), qn_tls_problem(client->at.t));
}

/* --- the program ------------------------------------------------------------------------------ */

int main(void)
{
  side_t server = {0}, client = {0};
  qn_listener_t *below;
  qn_addr_t at;
  qn_loop_t *loop = qn_loop_new(NULL);
  if (loop == NULL) {
    return EXIT_FAILURE;
  }
  qn_key_t *key = make_key(loop);
  qn_cert_t *cert = make_cert(key);
  server.config = make_config(cert, key, true);
  client.config = make_config(cert, key, false);

  qn_addr_parse(&at, "127.0.0.1", 0, QN_FAMILY_ANY);
  check("listen", qn_listener_open(loop, &at, NULL, &below), "");
  qn_listener_addr(below, &at); /* with the port that was free */
  check("listen", qn_tls_listener_new(below, server.config, NULL, &server.in),
        qn_tls_config_problem(server.config));
  qn_op_init(&server.op, loop, on_accepted);
  check("accept", qn_tls_listener_accept(server.in, &server.op, &server.at), "");

  client.at.s = qn_stream_new(loop);
  qn_op_init(&client.op, loop, on_connected);
  qn_dial_opts_t to = {.address = &at, .timeout = 5000};
  check("connect", qn_dial(client.at.s, &to, &client.op), "");
  qn_loop_run(loop); /* ends when nothing is left to wait for */

  side_t *both[] = {&client, &server};
  for (int i = 0; i < 2; i++) {
    qn_tls_release(both[i]->at.t);
    qn_stream_release(both[i]->at.s);
    qn_tls_config_release(both[i]->config);
  }
  qn_tls_listener_release(server.in);
  qn_listener_release(below);
  qn_cert_release(cert);
  qn_key_release(key);
  return qn_loop_free(loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * echo: a TCP echo server on the C core, without Lua.
 *
 * Shows: a loop, a listener whose connections are accepted by one operation that is started again
 * and again, a pump per connection (src == dst echoes), clean-up when a signal or the end of the
 * test stops the loop.
 *
 *   echo [port]     serves on 127.0.0.1 (default: a free port, which is printed) until interrupted
 *   echo --once     serves one connection that it makes itself, and prints
 *
 *     server: 5 bytes echoed
 *     client: got "hello"
 */
#include <qn/qn.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct connection connection_t;
struct connection {
  qn_op_t pump; /* first: `done` gets a pointer to it */
  qn_stream_t *stream;
  connection_t *next, **here; /* all of them, for the end */
};

typedef struct server {
  qn_loop_t *loop;
  qn_listener_t *listener;
  qn_op_t accept;
  connection_t *connections;
  bool once;
} server_t;

static int failed(const char *what, int err)
{
  fprintf(stderr, "echo: %s: %s (%s)\n", what, qn_err_text(err), qn_err_name(err));
  return EXIT_FAILURE;
}

/* --- connections ----------------------------------------------------------------------------- */

static void connection_new(server_t *server, qn_stream_t *stream, connection_t *c)
{
  c->stream = stream;
  c->next = server->connections;
  c->here = &server->connections;
  if (c->next != NULL) {
    c->next->here = &c->next;
  }
  server->connections = c;
}

static void connection_free(connection_t *c)
{
  *c->here = c->next;
  if (c->next != NULL) {
    c->next->here = c->here;
  }
  qn_stream_close(c->stream);
  qn_stream_release(c->stream);
  free(c);
}

static void on_echoed(qn_op_t *op)
{
  printf("server: %" PRIu64 " bytes echoed\n", qn_pump_moved(op));
  fflush(stdout);
  qn_pump_end(op);
  connection_free((connection_t *)op);
}

/* Takes over the stream. */
static void serve(server_t *server, qn_stream_t *stream)
{
  connection_t *c = calloc(1, sizeof *c);
  if (c == NULL) {
    qn_stream_release(stream);
    return;
  }
  connection_new(server, stream, c);
  qn_op_init(&c->pump, server->loop, on_echoed);
  int rc = qn_pump_start(stream, stream, &(qn_pump_opts_t){0}, &c->pump);
  if (rc != QN_AGAIN) {
    failed("pump", rc);
    connection_free(c);
  }
}

static void accept_all(server_t *server)
{
  qn_stream_t *stream;
  int rc;
  while ((rc = qn_listener_accept(server->listener, &server->accept, &stream)) == 0) {
    serve(server, stream);
  }
  if (rc != QN_AGAIN) {
    failed("accept", rc);
    qn_loop_stop(server->loop);
  }
}

static void on_accepted(qn_op_t *op)
{
  server_t *server = qn_loop_data(op->loop);
  if (op->result < 0) { /* QN_E_CLOSED is our own doing */
    if (op->result != QN_E_CLOSED) {
      failed("accept", (int)op->result);
      qn_loop_stop(op->loop);
    }
    return;
  }
  serve(server, qn_listener_taken(op));
  if (server->once) {
    qn_listener_close(server->listener);
  } else {
    accept_all(server);
  }
}

/* --- a client for --once --------------------------------------------------------------------- */

typedef struct client {
  qn_op_t op; /* first */
  qn_stream_t *stream;
} client_t;

static void show(client_t *c)
{
  qn_slice_t data = qn_stream_data(c->stream);
  printf("client: got \"%.*s\"\n", (int)data.size, (const char *)data.data);
  qn_stream_consume(c->stream, data.size);
  qn_stream_close(c->stream);
}

static void on_answer(qn_op_t *op)
{
  if (op->result < 0) {
    failed("read", (int)op->result);
    return;
  }
  show((client_t *)op);
}

static void on_connected(qn_op_t *op)
{
  client_t *c = (client_t *)op;
  qn_slice_t hello = {(const uint8_t *)"hello", 5};
  qn_want_t everything = {.kind = QN_WANT_ALL};
  qn_got_t got;
  if (op->result < 0) {
    failed("connect", (int)op->result);
    return;
  }
  qn_stream_write(c->stream, NULL, NULL, &hello, 1);
  qn_stream_finish(c->stream, NULL, NULL);
  op->done = on_answer;
  if (qn_stream_want(c->stream, op, &everything, &got) == 0) {
    show(c);
  }
}

static int start_client(server_t *server, client_t *c)
{
  qn_addr_t at;
  qn_listener_addr(server->listener, &at);
  c->stream = qn_stream_new(server->loop);
  if (c->stream == NULL) {
    return -1;
  }
  qn_op_init(&c->op, server->loop, on_connected);
  return qn_dial(c->stream, &(qn_dial_opts_t){.address = &at, .timeout = 5000}, &c->op);
}

/* --- the program ----------------------------------------------------------------------------- */

static void on_interrupt(qn_op_t *op) { qn_loop_stop(op->loop); }

/* Serves until interrupted. */
static int run_forever(server_t *server)
{
  qn_signal_t *interrupt;
  qn_op_t op;
  char text[QN_ADDR_TEXT];
  qn_addr_t at;
  int rc = qn_signal_open(server->loop, SIGINT, &interrupt);
  if (rc < 0) {
    return failed("signal", rc);
  }
  qn_op_init(&op, server->loop, on_interrupt);
  qn_signal_wait(interrupt, &op);
  qn_listener_addr(server->listener, &at);
  qn_addr_text(&at, text, sizeof text);
  printf("listening on %s\n", text);
  fflush(stdout);
  qn_loop_run(server->loop);
  qn_op_forget(&op);
  qn_signal_close(interrupt);
  qn_signal_release(interrupt);
  return EXIT_SUCCESS;
}

static int run_once(server_t *server)
{
  client_t client = {.stream = NULL};
  int rc = start_client(server, &client);
  if (rc == QN_AGAIN) {
    qn_loop_run(server->loop); /* ends when nothing is left to wait for */
  }
  if (client.stream != NULL) {
    qn_stream_release(client.stream);
  }
  return rc == QN_AGAIN ? EXIT_SUCCESS : failed("connect", rc);
}

/* -1 when it is none. */
static long port_number(const char *text)
{
  char *end;
  long port = strtol(text, &end, 10);
  return *text != '\0' && *end == '\0' && port >= 0 && port <= 65535 ? port : -1;
}

int main(int argc, char **argv)
{
  server_t server = {.once = argc > 1 && strcmp(argv[1], "--once") == 0};
  qn_addr_t at;
  long port = argc > 1 && !server.once ? port_number(argv[1]) : 0;
  if (port < 0) {
    fprintf(stderr, "usage: echo [port | --once]\n");
    return 2;
  }
  server.loop = qn_loop_new(NULL);
  if (server.loop == NULL) {
    return EXIT_FAILURE;
  }
  qn_loop_set_data(server.loop, &server);
  qn_addr_parse(&at, "127.0.0.1", (uint16_t)port, QN_FAMILY_ANY);
  int status, rc = qn_listener_open(server.loop, &at, NULL, &server.listener);
  if (rc < 0) {
    status = failed("listen", rc);
  } else {
    qn_op_init(&server.accept, server.loop, on_accepted);
    accept_all(&server);
    status = server.once ? run_once(&server) : run_forever(&server);
    qn_listener_close(server.listener);
    qn_listener_release(server.listener);
  }
  for (connection_t *c = server.connections; c != NULL; c = c->next) {
    qn_stream_abort(c->stream); /* its pump fails, and qn_loop_free runs the rest */
  }
  return qn_loop_free(server.loop) == 0 ? status : EXIT_FAILURE;
}

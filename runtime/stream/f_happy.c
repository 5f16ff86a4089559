/* f_happy.c: happy eyeballs: the bottom filter while several addresses of a host are being tried.
 *
 * Made by dial.c, which owns the addresses and the clock (filters have no timers). start() looks at
 * the running attempts, starts the next one when the delay is over or one has failed, and puts the
 * first that connects below itself: the stream then takes this filter out. A delay never ends an
 * earlier attempt. Must not call upward. Invariant: every attempt that was started is in `v` until
 * it has won or is destroyed, and destroying it closes its descriptor at once.
 */
#include "stream/f_happy.h"

#include "loop/loop_i.h"
#include "qn/dial.h"
#include "stream/dial_i.h"

#include <errno.h>
#include <string.h>

typedef struct f_happy {
  qn_filter_t filter; /* first */
  qn__race_t *race;
  int pause; /* what the stream has said last about reading: the winner is told */
  size_t n;  /* attempts that run, the earliest first */
  uint8_t place[QN_DIAL_RACE_MAX]; /* of their addresses in the list */
  qn_filter_t *v[QN_DIAL_RACE_MAX];
} f_happy_t;

static f_happy_t *self(qn_filter_t *f) { return QN__CONTAINER(f, f_happy_t, filter); }

static void remove_attempt(f_happy_t *h, size_t i)
{
  h->n--;
  memmove(&h->v[i], &h->v[i + 1], (h->n - i) * sizeof h->v[0]);
  memmove(&h->place[i], &h->place[i + 1], h->n - i);
}

static void end_all(f_happy_t *h)
{
  while (h->n > 0) {
    qn_filter_t *f = h->v[--h->n];
    f->ops->destroy(f);
  }
}

/* The i-th attempt is up: it becomes the bottom of the stack, the others are closed. */
static int win(f_happy_t *h, size_t i)
{
  qn_filter_t *winner = h->v[i];
  remove_attempt(h, i);
  end_all(h);
  h->filter.below = winner;
  if (h->pause == 0) {
    (void)qn_filter_query(winner, QN_QUERY_PAUSE_READ, &h->pause);
  }
  return 0;
}

/* Our own side is short of something, which says nothing about the address. */
static bool is_scarcity(int error)
{
  return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM ||
         error == -EAGAIN;
}

/* 0: one is up. QN_AGAIN: look again after the next wake. */
static int look_at_running(f_happy_t *h)
{
  qn__race_t *r = h->race;
  for (size_t i = 0; i < h->n;) {
    qn_filter_t *f = h->v[i];
    int rc = f->ops->start(f);
    if (rc == 0) {
      return win(h, i);
    }
    if (rc == QN_AGAIN) {
      i++;
      continue;
    }
    r->list->errors[h->place[i]] = rc;
    remove_attempt(h, i);
    f->ops->destroy(f);
    r->due = true; /* the next one need not wait any longer */
  }
  return QN_AGAIN;
}

/* Starts an attempt at v[place]: 0 up, QN_AGAIN running, or its error. */
static int start_attempt(f_happy_t *h, int place)
{
  qn__race_t *r = h->race;
  qn_stream_t *s = h->filter.stream;
  qn_filter_t *f;
  int rc = qn__f_socket_dial(s, &r->list->v[place], r->local, 0, &f);
  if (rc < 0) {
    return rc;
  }
  f->stream = s;
  rc = f->ops->start(f);
  if (rc < 0 && rc != QN_AGAIN) {
    f->ops->destroy(f);
    return rc;
  }
  h->place[h->n] = (uint8_t)place;
  h->v[h->n++] = f;
  return rc == 0 ? win(h, h->n - 1) : QN_AGAIN;
}

/* The next address that a socket of this dial can connect to, or -1. */
static int next_place(f_happy_t *h)
{
  qn__race_t *r = h->race;
  for (;;) {
    int place = qn__dial_list_next(r->list);
    if (place < 0 || qn__dial_can_reach(h->filter.stream, r->local, &r->list->v[place])) {
      return place;
    }
    r->list->errors[place] = -EAFNOSUPPORT;
  }
}

/* 0: one is up at once. QN_AGAIN: nothing more to start now. Else the race cannot go on. */
static int start_next(f_happy_t *h)
{
  qn__race_t *r = h->race;
  while ((r->due || h->n == 0) && h->n < QN_DIAL_RACE_MAX) {
    int place = next_place(h);
    if (place < 0) {
      return QN_AGAIN; /* `due` stays: an address that comes late is tried at once */
    }
    int rc = start_attempt(h, place);
    if (rc == 0) {
      return 0;
    }
    if (rc != QN_AGAIN) {
      if (!is_scarcity(rc) || h->n == 0) {
        r->list->errors[place] = rc;
        continue;
      }
      qn__dial_list_undo(r->list); /* later: one of those that run may end and make room */
    }
    r->due = false;
    if (qn__dial_list_left(r->list) || r->more) {
      rc = r->begun(r);
      if (rc < 0) {
        return rc;
      }
    }
  }
  return QN_AGAIN;
}

static int happy_start(qn_filter_t *f)
{
  f_happy_t *h = self(f);
  int rc = look_at_running(h);
  if (rc == QN_AGAIN) {
    rc = start_next(h);
  }
  if (rc == QN_AGAIN && h->n == 0 && !h->race->more) {
    rc = qn__dial_list_error(h->race->list);
  }
  return rc;
}

/* An option that is set now reaches the attempts that run (those to come get it as every dial
 * does); one that is read comes from the earliest. */
static int query_option(f_happy_t *h, qn_option_t *option)
{
  int rc = h->n > 0 || option->set ? 0 : QN_E_NOT_CONNECTED;
  for (size_t i = 0; i < h->n && rc == 0; i++) {
    rc = qn_filter_query(h->v[i], QN_QUERY_OPTION, option);
    if (!option->set) {
      break;
    }
  }
  return rc;
}

static int happy_query(qn_filter_t *f, int what, void *out)
{
  f_happy_t *h = self(f);
  switch (what) {
  case QN_QUERY_PAUSE_READ: h->pause = *(const int *)out; return 0;
  case QN_QUERY_QUEUED: *(size_t *)out = 0; return 0;
  case QN_QUERY_OPTION: return query_option(h, out);
  case QN_QUERY_FD:
  case QN_QUERY_LOCAL_ADDR:
  case QN_QUERY_PEER_ADDR: return QN_E_NOT_CONNECTED;
  default: return QN_E_UNSUPPORTED;
  }
}

static void happy_close(qn_filter_t *f, bool abort)
{
  (void)abort;
  end_all(self(f));
  qn_filter_gone(f);
}

static void happy_destroy(qn_filter_t *f)
{
  end_all(self(f));
  qn_free(self(f));
}

static const qn_filter_ops_t happy_ops = {
    .name = "happy",
    .flags = QN_FILTER_HANDSHAKE,
    .start = happy_start,
    .query = happy_query,
    .close = happy_close,
    .destroy = happy_destroy,
};

int qn__f_happy_new(qn__race_t *race, qn_filter_t **out)
{
  f_happy_t *h = qn_calloc(1, sizeof *h);
  *out = NULL;
  if (h == NULL) {
    return -ENOMEM;
  }
  h->filter.ops = &happy_ops;
  h->race = race;
  h->pause = 1;
  *out = &h->filter;
  return 0;
}

/* loop_i.h: the loop's books, for the floors above it. Not public.
 *
 * Everything with a life of its own is counted here, so that a leak has a name.
 */
#ifndef QN_LOOP_I_H
#define QN_LOOP_I_H

#include "qn/loop.h"

/* Live objects by type name (static string), for leak checks. */
void qn__object_born(qn_loop_t *loop, const char *type);
void qn__object_gone(qn_loop_t *loop, const char *type);
void qn__handle_opened(qn_loop_t *loop);
void qn__handle_closed(qn_loop_t *loop);

/* What lives as long as the loop: `run` is called once, when qn_loop_free begins and the loop still
 * turns, and may free the node. Found again by its function. */
typedef struct qn__at_close qn__at_close_t;
struct qn__at_close {
  qn_list_t link;
  void (*run)(qn__at_close_t *a);
};
void qn__loop_at_close(qn_loop_t *loop, qn__at_close_t *a);
/* The first one with this function, or NULL. */
qn__at_close_t *qn__loop_at_close_find(const qn_loop_t *loop, void (*run)(qn__at_close_t *a));

/* The head of the list of live streams, which the stream floor keeps. */
qn_list_t *qn__loop_streams(qn_loop_t *loop);

/* A block of qn_malloc that the loop keeps for the net floor and frees at its end; NULL at first.
 */
void **qn__loop_area(qn_loop_t *loop);

/* Where net/notifier.c keeps what it watches; NULL while there is nothing. */
void **qn__loop_notifiers(qn_loop_t *loop);

/* Intrusive lists. */
static inline void qn__list_init(qn_list_t *l) { l->next = l->prev = l; }
static inline bool qn__list_empty(const qn_list_t *l) { return l->next == l || l->next == NULL; }
static inline bool qn__list_linked(const qn_list_t *l) { return l->next != NULL && l->next != l; }
static inline void qn__list_append(qn_list_t *head, qn_list_t *node)
{
  node->prev = head->prev;
  node->next = head;
  head->prev->next = node;
  head->prev = node;
}
static inline void qn__list_prepend(qn_list_t *head, qn_list_t *node)
{
  node->next = head->next;
  node->prev = head;
  head->next->prev = node;
  head->next = node;
}
static inline void qn__list_remove(qn_list_t *node)
{
  if (node->next != NULL) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
  }
  node->next = node->prev = NULL;
}
#define QN__CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Trace function of the loop (qn/trace.h), NULL when there is none. */
struct qn_trace_event;
typedef void (*qn__trace_fn)(const struct qn_trace_event *e, void *data);
void qn__loop_trace_set(qn_loop_t *loop, qn__trace_fn fn, void *data);
qn__trace_fn qn__loop_trace_get(const qn_loop_t *loop, void **data);
/* Serial numbers for traces: 1, 2, 3 ... */
uint64_t qn__loop_next_id(qn_loop_t *loop);

#endif

/* b_url.h: what the files of qn.Url share: making values, failing.
 *
 * A qn.Url is a userdata with the whole value inside: one block of Lua's memory, no finalizer.
 */
#ifndef B_URL_H
#define B_URL_H

#include "qn/url.h"
#include "qnl.h"

#define QNL_URL_ROOM 1024 /* bytes on the C stack: URLs of usual size are made without malloc */

#define QNL_URL_PLACE(place)                   \
  _Alignas(16) char place##_mem[QNL_URL_ROOM]; \
  qn_url_place_t place = {place##_mem, sizeof place##_mem, NULL}

/* Pushes the result in `place` as a value and frees what was allocated for it. */
int qnl_url_take(lua_State *L, qn_url_place_t *place);
void qnl_url_drop(qn_url_place_t *place);
/* Pushes a copy of `u` as a value. */
int qnl_url_push(lua_State *L, const qn_url_t *u);
/* nil, err for a result of qn_url_*: pushes nothing that was part of the text. */
int qnl_url_fail(lua_State *L, int rc, const qn_url_error_t *err, const char *what);
static inline const qn_url_t *qnl_url_check(lua_State *L, int idx)
{
  return qnl_check(L, idx, &qnl_class_url);
}

/* b_url_field.c: the fields by number, see `names`. */
typedef struct qnl_url_field {
  const char *name;
  int id;
} qnl_url_field_t;
extern const qnl_url_field_t qnl_url_fields[];
int qnl_url_push_field(lua_State *L, const qn_url_t *u, int id);
/* The host for people, by the list of top-level domains that was set. */
void qnl_url_add_host(luaL_Buffer *b, const qn_url_t *u);
/* Adds a component, shown by `flags` of qn_url_pretty; or as on the wire when `wire`. */
void qnl_url_add_part(luaL_Buffer *b, const qn_url_t *u, qn_url_part_t part, bool wire,
                      unsigned flags);

int qnl_url_with(lua_State *L); /* b_url_with.c */
/* b_url_edit.c, b_url_text.c */
extern const qnl_method_t qnl_url_edit_methods[], qnl_url_text_functions[];

#endif

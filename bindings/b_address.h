/* b_address.h: an IP address as the Lua side keeps it, for the two files that make its class.
 *
 * Values are interned (b_address.c): equal addresses are one userdata, so that == and table keys
 * work by identity. Nothing may write to one after it was made.
 */
#ifndef QNL_B_ADDRESS_H
#define QNL_B_ADDRESS_H

#include "qn/ip.h"
#include "qnl.h"

/* In the order that `<` has. */
typedef enum qnl_address_family {
  QNL_ADDRESS_NULL,
  QNL_ADDRESS_ANY, /* both families: to listen on, or to compare with */
  QNL_ADDRESS_IPV4,
  QNL_ADDRESS_IPV6
} qnl_address_family_t;

/* Longest name of a zone that names an interface which is not there (yet), with its NUL. */
enum { QNL_ZONE_SIZE = 16 };
enum { QNL_ADDRESS_TEXT = QN_IP_TEXT + 1 + QNL_ZONE_SIZE };

/* The userdata; its box is there only then. */
typedef struct qnl_address {
  qnl_box_t box;
  uint8_t family; /* qnl_address_family_t */
  uint8_t bytes[16];
  uint32_t index;           /* zone: index of the interface, 0 = none */
  char zone[QNL_ZONE_SIZE]; /* or its name when there is no such interface, else all zeros */
} qnl_address_t;

/* Pushes the one userdata of this value. */
void qnl_address_push(lua_State *L, const qnl_address_t *value);
/* Literals, special names, with blanks around. False when it is neither. */
bool qnl_address_parse(qnl_address_t *out, const char *text, size_t size, bool loose);
/* The zone in text form, or none when it is empty. */
bool qnl_address_set_zone(qnl_address_t *a, const char *text, size_t size);
/* A qn.Address or a text in the stack; raises, naming the argument, when it is neither. */
void qnl_address_arg(lua_State *L, int idx, qnl_address_t *out);
/* Length without NUL. */
size_t qnl_address_zone(const qnl_address_t *a, char buf[QNL_ZONE_SIZE]);
size_t qnl_address_text(const qnl_address_t *a, char buf[QNL_ADDRESS_TEXT]);
unsigned qnl_address_class(const qnl_address_t *a);

extern const qnl_method_t qnl_address_methods[], qnl_address_meta[];
/* Makes the metatable on top read fields, too. */
void qnl_address_set_index(lua_State *L, qnl_state_t *G);

#endif

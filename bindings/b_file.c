#include "b_stream.h"
qnl_class_t qnl_class_file = {.name = "qn.File", .base = &qnl_class_stream};
void qnl_open_file(lua_State *L, qnl_state_t *G)
{
  qnl_class_register(L, G, &qnl_class_file);
  qnl_inherit(L, &qnl_class_file, &qnl_class_stream);
}

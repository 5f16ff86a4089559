/*
 * What the binding is loaded by: its entry points, the only symbols that the Lua module exports,
 * and the Lua modules of lua/qn as bytes. The table is written at build time by scripts/embed.lua
 * and read by the module searcher of the binding (and by nobody else). `data` is Lua source text,
 * not bytecode, and is not zero-terminated. Invariant: the table ends with an entry whose name is
 * NULL and is sorted by name.
 */
#ifndef QNL_EMBEDDED_H
#define QNL_EMBEDDED_H

#include <lua.h>
#include <qn/base.h>
#include <stddef.h>

QN_API int luaopen_qn_core(lua_State *L); /* require "qn.core" */
QN_API int luaopen_qn(lua_State *L);      /* require "qn" of an interpreter that finds qn.so */

struct qnl_embedded {
  const char *name;          /* "qn", "qn.task", "qn.stream.text" */
  const char *chunkname;     /* "@qn/task.lua" */
  const unsigned char *data; /* source text */
  size_t size;
};

extern const struct qnl_embedded qnl_embedded_modules[];

#endif

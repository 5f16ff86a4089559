/*
 * The Lua modules of lua/qn as bytes. The table is written at build time by scripts/embed.lua and
 * read by the module searcher of the binding (and by nobody else). `data` is Lua source text, not
 * bytecode, and is not zero-terminated. Invariant: the table ends with an entry whose name is NULL
 * and is sorted by name.
 */
#ifndef QNL_EMBEDDED_H
#define QNL_EMBEDDED_H

#include <stddef.h>

struct qnl_embedded {
  const char *name;          /* "qn", "qn.task", "qn.stream.text" */
  const char *chunkname;     /* "@qn/task.lua" */
  const unsigned char *data; /* source text */
  size_t size;
};

extern const struct qnl_embedded qnl_embedded_modules[];

#endif

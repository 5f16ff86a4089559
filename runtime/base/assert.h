/* assert.h: assertions of the runtime, active in debug builds (QN_DEBUG).
 *
 * For our own mistakes only: what a caller or a peer can cause is an error code. In other builds
 * the condition is not evaluated, so it must have no side effects.
 */
#ifndef QN_BASE_ASSERT_H
#define QN_BASE_ASSERT_H

#ifdef QN_DEBUG
#include <stdio.h>
#include <stdlib.h>
#define QN__ASSERT(cond)                                                                  \
  ((cond) ? (void)0                                                                       \
          : (fprintf(stderr, "qn: %s:%d: %s: assertion failed: %s\n", __FILE__, __LINE__, \
                     __func__, #cond),                                                    \
             abort()))
#else
#define QN__ASSERT(cond) ((void)sizeof(!(cond)))
#endif

#endif

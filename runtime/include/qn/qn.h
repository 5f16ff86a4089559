/* qn/qn.h: everything of the runtime without Lua. */
#ifndef QN_QN_H
#define QN_QN_H

#include "qn/addr.h"
#include "qn/base.h"
#include "qn/dial.h"
#include "qn/file.h"
#include "qn/filter.h"
#include "qn/listen.h"
#include "qn/loop.h"
#include "qn/notifier.h"
#include "qn/op.h"
#include "qn/signal.h"
#include "qn/stream.h"
#include "qn/trace.h"
#include "qn/udp.h"
#include "qn/work.h"

#endif

---@meta

---The module `qn`: `local qn = require "qn"`. In the program qnlua and in C hosts with their own state it
---is a global as well. All of it is loaded on first use.
---
---Expected failures return `nil, err` (an `qn.Error`), misuse and cancellation throw. Times are seconds,
---sizes are bytes. A function that "may wait" suspends the running task; other tasks go on.
---@class qn
---@field version string "0.1.0"
---@field tcp qn.tcp
---@field unix qn.unix
---@field udp qn.udp
---@field tls qn.tls
---@field dtls qn.dtls
---@field dns qn.dns
---@field address qn.address
---@field interfaces qn.interfaces
---@field url qn.url
---@field crypto qn.crypto
---@field file qn.file
---@field host_name fun(): string `qn.dns.host_name`: the name of this machine
---@field domain_name fun(): string `qn.dns.domain_name`: the domain of this machine, "" when there is none
local qn = {}

---@class qn.CopyOptions
---@field finish? boolean shut the writing side of `dst` down at the end (default true)
---@field limit? integer stop after this many bytes
---@field timeout? number|false seconds for all of it (default: none)

---@class qn.Stats
---@field tasks integer tasks that have not ended
---@field spawned integer tasks so far
---@field switches integer times that a task was resumed
---@field leaked integer handles that the collector found open
---@field handles integer open handles of the event loop
---@field ops integer operations that are pending
---@field objects integer live objects of the C core
---@field orphans integer calls in the thread pool that nobody waits for any more
---@field timers integer armed timers
---@field turns integer turns of the loop so far
---@field allocations integer blocks of memory that the C core holds

---Starts `f(...)` as a task, a child of the running task (of its innermost open group). It begins when
---the caller next waits. The caller ends only when it has ended; cancelling the caller cancels it.
---@param f function or a value that can be called
---@param ... any its arguments
---@return qn.Task
function qn.spawn(f, ...) end

---Starts `f(...)` as a task that belongs to nobody: it may outlive the caller, ends with the program,
---and its errors go to `qn.on_unhandled`.
---@param f function or a value that can be called
---@param ... any its arguments
---@return qn.Task
function qn.detach(f, ...) end

---Sets who gets the errors that nobody can look at any more: of detached tasks, event handlers,
---connection handlers, and of children that nobody joined. `f(err, task)` runs as a task. Without one
---(nil), they are printed with their traceback and the exit status becomes 1.
---@param f? fun(err: any, task: qn.Task)
---@return function? before what was set before
function qn.on_unhandled(f) end

---The running task; nil on the main thread of a stock interpreter outside `qn.run`.
---@return qn.Task?
function qn.current() end

---Sleeps. It always gives way, also for 0.
---@async
---@param seconds number
function qn.sleep(seconds) end

---Lets all others that are ready run once.
---@async
function qn.yield() end

---The monotonic clock: for durations.
---@return number seconds
function qn.now() end

---The wall clock.
---@return number seconds since 1970-01-01 00:00 UTC
function qn.time() end

---Counters of the runtime.
---@return qn.Stats
function qn.stats() end

---Ends the program in order: tasks are cancelled (their `<close>` variables run), what was written is
---sent, at most five seconds. Does not return. In qnlua `os.exit` is the same.
---@async
---@param status? integer|boolean default 0; true = 0, false = 1
function qn.exit(status) end

---For a stock interpreter or a C host: runs `f(...)` as a task and turns the loop until it and its
---children have ended. In qnlua the script is such a task already.
---@param f function
---@param ... any its arguments
---@return any ... its results; its error is thrown
function qn.run(f, ...) end

---A time limit for the rest of the block: `local limit <close> = qn.deadline(5)`. When it expires, every
---wait in the block throws an error of kind `timeout`. See `qn.timeout` for the form that returns it.
---@param seconds number|false false = none
---@return qn.Deadline
function qn.deadline(seconds) end

---A new error object, for protocols written in Lua.
---@param kind qn.ErrorKind
---@param message string
---@param fields? table<string, any> more fields, such as `code`, `op`, `peer`, `partial`
---@return qn.Error
function qn.error(kind, message, fields) end

---Whether a value is an error object (of this kind).
---@param value any
---@param kind? qn.ErrorKind
---@return boolean
function qn.is_error(value, kind) end

---Whether a value is what cancellation throws.
---@param value any
---@return boolean
function qn.is_cancelled(value) end

---A new buffer: empty with room for `size` bytes (default 64 KiB), or with a string in it.
---@param content? integer|string
---@return qn.Buffer
function qn.buffer(content) end

---Copies from one stream to another, in C, until `src` ends. Holds the reading side of `src` and the
---writing side of `dst`. A stream may be copied to itself: an echo.
---
---Errors: those of either side, `err.side` is "read" or "write", `err.partial` = bytes that had passed;
---`busy`, `timeout`.
---@async
---@param src qn.Stream
---@param dst qn.Stream
---@param opts? qn.CopyOptions
---@return integer? bytes
---@return qn.Error? err
function qn.copy(src, dst, opts) end

---Two streams in memory: each reads what the other writes. They behave like sockets, limits included.
---@return qn.Stream
---@return qn.Stream
function qn.pair() end

---Watches a signal of the operating system from now on.
---
---Errors: those of the system. Unknown names and signals that cannot be watched are thrown.
---@param name string|integer "int", "SIGTERM", 10 ...
---@return qn.Signal? signal
---@return qn.Error? err
function qn.signal(name) end

---@meta

---A running function: made by `qn.spawn`, `qn.detach` and `group:spawn`. It ends when its function has
---returned and all tasks that it spawned have ended.
---
---A failed task that nobody joins is reported to `qn.on_unhandled` once nobody can join it any more: when
---its parent ends, or when its handle is collected.
---@class qn.Task
local Task = {}

---@alias qn.TaskStatus
---| "new" # held back by the limit of its group
---| "ready" # will run in this turn or the next
---| "running"
---| "waiting" # for I/O, a timer, another task
---| "draining" # its function has returned, tasks that it spawned have not ended
---| "done"
---| "failed"
---| "cancelled"

---Waits for its end. Joining itself, or a task that waits for it, throws.
---
---Errors: `timeout`.
---@async
---@param timeout? number|false seconds
---@return boolean? ok true, then its results; false, then its error; nil and a timeout error
---@return any ...
function Task:join(timeout) end

---Cancels it and everything it has spawned: its pending call throws a value for which
---`qn.is_cancelled` is true, and so does every later wait, except inside `qn.shield`. A task that has
---ended is not affected.
---@param reason? any shown in the message; also as field `reason` of the thrown value
function Task:cancel(reason) end

---What it does now.
---@return qn.TaskStatus
function Task:status() end

---Where it is now, or for a failed task where the error came from.
---@return string
function Task:traceback() end

---Its name: "task 7", or what was set.
---@param name? string sets it
---@return string
function Task:name(name) end

---Where it was spawned: "file.lua:12".
---@return string
function Task:site() end

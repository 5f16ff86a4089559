---@meta

---A time limit for everything that its coroutine does while it is open; made by `qn.deadline`, meant for
---a `<close>` variable. When it expires, every wait beneath throws an error of kind `timeout` whose
---`phase` says what was being waited for. Of nested ones the nearest wins.
---@class qn.Deadline
local Deadline = {}

---Ends the limit before it expires. Idempotent.
function Deadline:close() end

---Whether an error is the one that this limit has thrown.
---@param err any
---@return boolean
function Deadline:owns(err) end

---How much time is left.
---@return number seconds 0 when it has expired, `math.huge` without a limit
function Deadline:remaining() end

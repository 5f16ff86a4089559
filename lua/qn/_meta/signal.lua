---@meta

---A watched signal of the operating system: made by `qn.signal`. Watching replaces the default action of
---the signal until it is closed.
---@class qn.Signal
local Signal = {}

---Waits for the signal.
---
---Errors: `timeout`, `closed`, `busy` (another task waits on it).
---@async
---@param timeout? number|false seconds
---@return integer? count deliveries since the last wait
---@return qn.Error? err
function Signal:wait(timeout) end

---Stops watching; a waiting task gets kind `closed`. Idempotent.
function Signal:close() end

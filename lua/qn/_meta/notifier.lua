---@meta

---Tells when a descriptor that somebody else owns can be read, can be written, or has something
---exceptional (QSocketNotifier): pipes, sockets, terminals, event descriptors. Made by `qn.notifier`,
---enabled at first. Close it before the descriptor: when the descriptor is closed first the kernel says
---nothing, and the next wait gives kind `invalid` (EBADF).
---
---Events: `activated` (with the descriptor), `error` (the descriptor cannot be watched any more; the
---notifier is disabled), `closed`. The condition is looked at again when the handlers have returned: a
---handler that deals with it runs once, and nothing spins.
---Qt rows: NOT-01, NOT-02, NOT-03, NOT-04.
---@class qn.Notifier
local Notifier = {}

---Waits until the condition is there; at once when it is. Disabled ones wait until they are enabled. A hang-up
---or an error of the descriptor counts for every type. With a name it waits for that event instead.
---
---Errors: `timeout`, `closed` (closed meanwhile), `busy` (another task waits), `invalid` (the descriptor
---is not open).
---Qt rows: NOT-02.
---@async
---@param timeout? number|false|"activated"|"error"|"closed" seconds, or an event
---@param event_timeout? number|false seconds, behind the name of an event
---@return any ok true; the value of the event when it has one
---@return qn.Error? err
function Notifier:wait(timeout, event_timeout) end

---Switches it on or off. While it is off nothing is reported.
---
---Errors: `invalid` (to be enabled, but the descriptor is not open), `closed`.
---Qt rows: NOT-03.
---@param on boolean
---@return true? ok
---@return qn.Error? err
function Notifier:set_enabled(on) end

---Whether it is enabled; a closed one is not.
---
---Qt rows: NOT-03.
---@return boolean
function Notifier:is_enabled() end

---The number of the descriptor.
---
---Qt rows: NOT-03.
---@return integer
function Notifier:descriptor() end

---What it tells.
---
---Qt rows: NOT-03.
---@return "read"|"write"|"exception"
function Notifier:type() end

---Whether it was closed.
---@return boolean
function Notifier:is_closed() end

---@alias qn.NotifierEvent
---| "activated" # handler(fd: integer): the condition is there
---| "error" # handler(err: qn.Error): the descriptor cannot be watched any more
---| "closed" # handler()

---Calls `f` at each event of this name: from the loop, as a task, one at a time and in order; it may
---wait. A notifier with listeners stays alive until it is closed. Unknown names are thrown.
---
---Qt rows: NOT-02.
---@param name qn.NotifierEvent
---@param f fun(value?: any)
---@return self
function Notifier:on(name, f) end

---Like `on`, for the next event only.
---@param name qn.NotifierEvent
---@param f fun(value?: any)
---@return self
function Notifier:once(name, f) end

---Removes one listener, all of one event, or all.
---@param name? qn.NotifierEvent
---@param f? fun(value?: any)
---@return self
function Notifier:off(name, f) end

---Stops watching; a waiting task gets kind `closed`. The descriptor stays open. Idempotent.
function Notifier:close() end

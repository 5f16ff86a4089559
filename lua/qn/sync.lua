---Mutex, semaphore, event, condition: what tasks wait for among each other.
---
---Hand-over is direct: who releases gives the lock to the first waiter that is still there, so nobody can
---slip in between and no wake-up is lost when a waiter was cancelled in the same moment.

local core = require "qn.core"

---@class qn
local M = {}

local ticket, park, unpark, is_parked = core.ticket, core.park, core.unpark, core.is_parked

-- Waiters in order; those that are gone are skipped.
local function add_waiter(list, task, number)
  if #list > 32 and #list > 2 * (list.swept or 0) then
    local live = {}
    for _, w in ipairs(list) do
      if is_parked(w[1], w[2]) then
        live[#live + 1] = w
      end
    end
    for i = 1, #list do
      list[i] = live[i]
    end
    list.swept = #live
  end
  local waiter = { task, number }
  list[#list + 1] = waiter
  return waiter
end

local function wake_first(list, code)
  while list[1] do
    local w = table.remove(list, 1)
    if unpark(w[1], w[2], code or 1) then
      w.given = true
      return true
    end
  end
  return false
end

-- Wakes those that wait now; one that is woken cannot wait again before this returns.
local function wake_all(list)
  local waiting = table.move(list, 1, #list, 1, {})
  for i = 1, #list do
    list[i] = nil
  end
  for _, w in ipairs(waiting) do
    unpark(w[1], w[2], 1)
  end
end

-- A guard releases once, by <close> or by hand.
local Guard = {}
Guard.__index = Guard
Guard.__name = "qn.Guard"

---Releases what the guard stands for; idempotent.
function Guard:release()
  local owner = self.owner
  if owner then
    self.owner = nil
    owner:give_back(self)
  end
end
Guard.__close = Guard.release
Guard.unlock = Guard.release

local function guard(owner)
  return setmetatable({ owner = owner }, Guard)
end

-- The guard of a mutex stands for one hold: after unlock() it must not release somebody else's.
local function hold(mutex, holder)
  mutex.holder = holder
  mutex.hold = guard(mutex)
  return mutex.hold
end

---A number of units that tasks take and give back.
---@class qn.Semaphore
local Semaphore = {}
Semaphore.__index = Semaphore
Semaphore.__name = "qn.Semaphore"

---A semaphore with `n` units.
---@param n integer how many may hold it at a time
---@return qn.Semaphore
function M.semaphore(n)
  if math.type(n) ~= "integer" or n < 0 then
    error("bad argument #1 to 'semaphore' (an integer of at least 0 expected)", 2)
  end
  return setmetatable({ free = n, waiters = {} }, Semaphore)
end

-- A waiter that is cancelled (or whose coroutine is closed from outside) after it was given a unit, and
-- before it could take it, passes it on.
local Taker = {
  __close = function(w)
    local owner = w.owner
    if owner and w.given then
      owner:give_back()
    end
  end,
}

-- Takes one unit: true, or nil and the timeout error.
local function take(self, op, timeout)
  local task, number = ticket(op, timeout)
  if self.free > 0 then
    self.free = self.free - 1
    return true
  end
  local w <close> = setmetatable(add_waiter(self.waiters, task, number), Taker)
  w.owner = self
  local code, err = park(timeout, true)
  w.owner = nil
  return code and true, err
end

---Takes one unit; waits while there is none. The guard gives it back at `<close>`.
---@async
---@param timeout? number|false
---@return table? guard
---@return qn.Error? err
function Semaphore:acquire(timeout)
  local ok, err = take(self, "acquire", timeout)
  if not ok then
    return nil, err
  end
  return guard(self)
end

---Takes one unit without a guard.
---@async
---@param timeout? number|false
---@return boolean? ok
---@return qn.Error? err
function Semaphore:take(timeout)
  return take(self, "acquire", timeout)
end

---A guard for a unit that was taken before.
---@return table
function Semaphore:guard()
  return guard(self)
end

---Takes one unit if there is one.
---@return table|false guard
function Semaphore:try_acquire()
  if self.free == 0 then
    return false
  end
  self.free = self.free - 1
  return guard(self)
end

---@private
function Semaphore:give_back()
  if not wake_first(self.waiters) then
    self.free = self.free + 1
  end
end

---Gives one unit back without a guard (also one that was never taken: the semaphore grows).
function Semaphore:release()
  self:give_back()
end

---How many units are free.
---@return integer
function Semaphore:available()
  return self.free
end

---A lock that one task holds at a time; who waits is served in order.
---@class qn.Mutex
local Mutex = {}
Mutex.__index = Mutex
Mutex.__name = "qn.Mutex"

---An unlocked mutex.
---@return qn.Mutex
function M.mutex()
  return setmetatable({ free = 1, waiters = {} }, Mutex)
end

---Locks; waits while another holds it. Not recursive: locking twice in one task is an error.
---@async
---@param timeout? number|false
---@return table? guard
---@return qn.Error? err
function Mutex:lock(timeout)
  local me = core.current()
  if self.holder ~= nil and self.holder == me then
    error("the task holds this mutex already", 2)
  end
  local ok, err = take(self, "lock", timeout)
  if not ok then
    return nil, err
  end
  return hold(self, me)
end

---Locks if nobody holds it.
---@return table|false guard
function Mutex:try_lock()
  if self.free == 0 then
    return false
  end
  self.free = 0
  return hold(self, core.current())
end

---@private
function Mutex:give_back(by)
  if by and by ~= self.hold then
    return
  end
  self.holder, self.hold = nil, nil
  if not wake_first(self.waiters) then
    self.free = 1
  end
end

---Unlocks without the guard.
function Mutex:unlock()
  if self.free == 1 then
    error("the mutex is not locked", 2)
  end
  self:give_back()
end

---Whether somebody holds it.
---@return boolean
function Mutex:is_locked()
  return self.free == 0
end

---A flag that tasks wait for.
---@class qn.Event
local Event = {}
Event.__index = Event
Event.__name = "qn.Event"

---An event that is not set.
---@return qn.Event
function M.event()
  return setmetatable({ on = false, waiters = {} }, Event)
end

---Wakes all who wait; later waits return at once until `clear`.
function Event:set()
  self.on = true
  wake_all(self.waiters)
end

---Later waits wait again.
function Event:clear()
  self.on = false
end

---Whether it is set.
---@return boolean
function Event:is_set()
  return self.on
end

---Waits until it is set.
---@async
---@param timeout? number|false
---@return boolean? ok
---@return qn.Error? err kind `timeout`
function Event:wait(timeout)
  local task, number = ticket("event", timeout)
  if self.on then
    return true
  end
  add_waiter(self.waiters, task, number)
  local code, err = park(timeout)
  if code then
    return true
  end
  return nil, err
end

---A condition variable: tasks wait for a notification while they give a mutex away.
---@class qn.Condition
local Condition = {}
Condition.__index = Condition
Condition.__name = "qn.Condition"

---A condition that nobody waits for.
---@return qn.Condition
function M.condition()
  return setmetatable({ waiters = {} }, Condition)
end

---Unlocks the mutex, waits for a notification, locks the mutex again (also after a timeout, and before a
---cancellation is thrown).
---@async
---@param mutex qn.Mutex locked by the caller
---@param timeout? number|false
---@return boolean? ok
---@return qn.Error? err
function Condition:wait(mutex, timeout)
  if getmetatable(mutex) ~= Mutex or mutex.free == 1 then
    error("bad argument #1 to 'wait' (a locked mutex expected)", 2)
  end
  local task, number = ticket("condition", timeout)
  add_waiter(self.waiters, task, number)
  local kept = mutex.hold
  mutex:give_back()
  local relock <close> = setmetatable({}, { __close = function()
    require "qn.task".shield({ grace = false }, function()
      take(mutex, "lock")
      mutex.holder, mutex.hold = core.current(), kept
    end)
  end })
  local code, err = park(timeout)
  if code then
    return true
  end
  return nil, err
end

---Wakes one waiter; false when there is none.
---@return boolean
function Condition:notify()
  return wake_first(self.waiters)
end

---Wakes all waiters.
function Condition:notify_all()
  wake_all(self.waiters)
end

return M

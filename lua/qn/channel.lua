---Channels: bounded queues between tasks.

local core = require "qn.core"

---@class qn
local M = {}

---A bounded queue of values between tasks, in order; several may send and receive.
---@class qn.Channel
---@operator len: integer
local Channel = {}
Channel.__index = Channel
Channel.__name = "qn.Channel"

local ticket, park, unpark, is_parked = core.ticket, core.park, core.unpark, core.is_parked

-- A queue of waiters {task, number, value}; those that are gone (cancelled, timed out) are skipped when
-- they come to the front, and swept out when they are the majority.
local function push(q, w)
  if q.last - q.first > 32 and q.last - q.first > 2 * q.swept then
    local live = {}
    for i = q.first, q.last do
      local each = q[i]
      q[i] = nil
      if is_parked(each.task, each.number) then
        live[#live + 1] = each
      end
    end
    table.move(live, 1, #live, 1, q)
    q.first, q.last, q.swept = 1, #live, #live
  end
  q.last = q.last + 1
  q[q.last] = w
end

local function pop(q)
  local w = q[q.first]
  if w then
    q[q.first] = nil
    q.first = q.first + 1
  end
  return w
end

local function new_queue()
  return { first = 1, last = 0, swept = 0 }
end

-- To the next receiver that waits, or to the front: behind what was handed over earlier and came back, too.
local function put_back(self, value, order)
  for w in pop, self.receivers do
    w.value, w.order = value, order
    if unpark(w.task, w.number, 1) then
      return
    end
    w.value = nil
  end
  local values, orders, at = self.values, self.orders or {}, self.first - 1
  self.first, self.orders = at, orders
  while orders[at + 1] and orders[at + 1] < order do
    values[at], orders[at] = values[at + 1], orders[at + 1]
    at = at + 1
  end
  values[at], orders[at] = value, order
end

---A channel that holds up to `capacity` values; 0 = each send meets a recv.
---@param capacity? integer default 0
---@return qn.Channel
function M.channel(capacity)
  capacity = capacity or 0
  if math.type(capacity) ~= "integer" or capacity < 0 then
    error("bad argument #1 to 'channel' (capacity must be an integer of at least 0)", 2)
  end
  return setmetatable({
    capacity = capacity, first = 1, last = 0, values = {}, closed = false, handed = 0,
    receivers = new_queue(), senders = new_queue(),
  }, Channel)
end

-- A receiver that is cancelled (or whose coroutine is closed from outside) after it was given a value, and
-- before it could take it, gives the value back.
local Receiver = {}
Receiver.__close = function(w)
  local channel, value = w.channel, w.value
  if channel and value ~= nil then
    put_back(channel, value, w.order)
  end
end

local function closed_error(op)
  return core.error("closed", "the channel is closed", { op = op, code = "CLOSED" })
end

-- Hands the value to a waiting receiver or puts it into the buffer; false when there is no room.
local function offer(self, value)
  while true do
    local w = pop(self.receivers)
    if not w then
      break
    end
    w.value = value
    if unpark(w.task, w.number, 1) then
      w.order, self.handed = self.handed, self.handed + 1
      return true
    end
    w.value = nil
  end
  if self.last - self.first + 1 < self.capacity then
    self.last = self.last + 1
    self.values[self.last] = value
    return true
  end
  return false
end

-- Takes a value; the room it leaves is given to a waiting sender.
local function take(self)
  if self.first <= self.last then
    local value = self.values[self.first]
    self.values[self.first] = nil
    if self.orders then
      self.orders[self.first] = nil
    end
    self.first = self.first + 1
    while self.last - self.first + 1 < self.capacity do -- not what came back beyond it
      local w = pop(self.senders)
      if not w then
        break
      end
      if unpark(w.task, w.number, 1) then
        self.last = self.last + 1
        self.values[self.last] = w.value
        break
      end
    end
    return true, value
  end
  while true do -- no buffer: straight from a sender
    local w = pop(self.senders)
    if not w then
      return false
    end
    if unpark(w.task, w.number, 1) then
      return true, w.value
    end
  end
end

local function check_value(value, name)
  if value == nil then
    error(("bad argument #1 to '%s' (nil cannot be sent: it means closed)"):format(name), 3)
  end
end

---Sends a value (not nil); waits while the channel is full.
---@async
---@param value any
---@param timeout? number|false seconds
---@return boolean? ok
---@return qn.Error? err kind `closed` or `timeout`; the value was not sent then
function Channel:send(value, timeout)
  check_value(value, "send")
  local task, number = ticket("send", timeout)
  if self.closed then
    return nil, closed_error("send")
  end
  if offer(self, value) then
    return true
  end
  local w = { task = task, number = number, value = value }
  push(self.senders, w)
  local code, err = park(timeout)
  if code == 1 then
    return true
  end
  return nil, err or closed_error("send")
end

---Receives the next value; waits while there is none. A closed and empty channel gives a lone nil.
---@async
---@param timeout? number|false seconds
---@return any value
---@return qn.Error? err kind `timeout`
function Channel:recv(timeout)
  local task, number = ticket("recv", timeout)
  local ok, value = take(self)
  if ok then
    return value
  elseif self.closed then
    return nil
  end
  local w <close> = setmetatable({ task = task, number = number, channel = self }, Receiver)
  push(self.receivers, w)
  local code, err = park(timeout, true)
  w.channel = nil
  if code == 1 then
    return w.value
  elseif code == 0 then
    return nil
  end
  return nil, err
end

---Sends without waiting.
---@param value any
---@return boolean sent
---@return qn.Error? err kind `closed`
function Channel:try_send(value)
  check_value(value, "try_send")
  if self.closed then
    return false, closed_error("send")
  end
  return offer(self, value)
end

---Receives without waiting.
---@return boolean received
---@return any value
function Channel:try_recv()
  local ok, value = take(self)
  if ok then
    return true, value
  end
  return false
end

---No more sends; what is buffered can still be received. Waiting receivers get nil, waiting senders
---kind `closed`. Idempotent.
function Channel:close()
  if self.closed then
    return
  end
  self.closed = true
  for _, q in ipairs { self.receivers, self.senders } do
    for w in pop, q do
      unpark(w.task, w.number, 0)
    end
  end
end
Channel.__close = Channel.close

---Whether `close` was called.
---@return boolean
function Channel:is_closed()
  return self.closed
end

---Values until the channel is closed and empty.
---@async
---@return fun(): any
function Channel:each()
  return function()
    local value, err = self:recv()
    if err then
      error(err, 0)
    end
    return value
  end
end

---How many values are buffered.
function Channel:__len()
  return self.last - self.first + 1
end

return M

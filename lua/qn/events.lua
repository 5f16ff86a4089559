---Events of handles: on, once, off, wait.
---
---C takes notes of what happened and hands them to `dispatch` from the loop. Handlers run as tasks, one
---at a time and in order per object; they may wait. The error of a handler goes to `qn.on_unhandled` and
---does not stop the events behind it.

local core = require "qn.core"

local M = {}

-- object -> {handlers = {name -> list of {f, once}}, waiters = {name -> list}, queue, head, tail}
local states = setmetatable({}, { __mode = "k" })

-- object -> who makes its events, for those that C does not make: check_event, observe and is_over as in
-- the core.
local sources = setmetatable({}, { __mode = "k" })

local function source_of(object)
  return sources[object] or core
end

-- Which states make a wait for an event return at once: the event has happened already.
local reached = {
  connected = { connected = true },
  disconnected = { unconnected = true },
}

local function names_of(state)
  local names, seen = {}, {}
  for _, source in ipairs { state.handlers, state.waiters } do
    for name, list in pairs(source) do
      if #list > 0 and not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  return names
end

local function observe(object, state)
  local names = names_of(state)
  table.sort(names)
  local key = table.concat(names, " ")
  if key ~= state.observed then
    state.observed = key
    source_of(object).observe(object, names)
  end
end

local function state_of(object)
  local state = states[object]
  if not state then
    state = { handlers = {}, waiters = {}, queue = {}, head = 1, tail = 0, observed = "" }
    states[object] = state
  end
  return state
end

local function call_handlers(object, state, item)
  local list = state.handlers[item.name] or {}
  for _, entry in ipairs(table.move(list, 1, #list, 1, {})) do
    if entry.active then
      if entry.once then
        M.remove(object, state, item.name, entry)
      end
      local ok, err = xpcall(entry.f, core.stash, table.unpack(item, 1, item.n))
      if not ok then
        if core.is_cancelled(err) then
          error(err, 0)
        end
        -- reported as the failure of a detached task, so that the events behind it still come
        core.report(err, item.name .. " of " .. tostring(object))
      end
    end
  end
end

local start_pump

-- However a pump ends (a handler may have cancelled it), another one does what it has left.
local pump_end = { __close = function(end_of)
  local state = end_of.state
  state.pumping = false
  if state.head <= state.tail then
    start_pump(end_of.object, state)
  elseif state.settled then
    local waiter = state.settled
    state.settled = nil
    core.unpark(waiter.task, waiter.number, 1)
  end
end }

-- One task per object drains its queue, so handlers of one object never overlap.
local function pump(object, state)
  local _ <close> = setmetatable({ object = object, state = state }, pump_end)
  while state.head <= state.tail do
    local item = state.queue[state.head]
    state.queue[state.head] = nil
    state.head = state.head + 1
    if item.asked then
      local _ <close> = item.asked
      call_handlers(object, state, item)
    else
      call_handlers(object, state, item)
    end
  end
end

function start_pump(object, state)
  state.pumping = true
  core.detach(pump, object, state):name("events of " .. tostring(object))
end

-- Events that a slow handler may see as one: else a peer could make the queue as long as it likes.
local merged = { ready_read = true, bytes_written = true }

local function enqueue(state, name, value, more)
  local last = state.queue[state.tail]
  if last and last.name == name and merged[name] then
    last[1] = value and last[1] + value
    return
  end
  state.tail = state.tail + 1
  local n = more ~= nil and 2 or value ~= nil and 1 or 0
  state.queue[state.tail] = { name = name, n = n, value, more }
end

function M.remove(object, state, name, entry)
  local list = state.handlers[name]
  entry.active = false
  for i, e in ipairs(list) do
    if e == entry then
      table.remove(list, i)
      break
    end
  end
  observe(object, state)
end

-- A connect has failed: these will not come.
local function fail_waiters(object, state, err)
  for _, name in ipairs { "host_found", "connected" } do
    local waiters = state.waiters[name] or {}
    state.waiters[name] = nil
    for _, w in ipairs(waiters) do
      w.failure = err
      core.unpark(w.task, w.number, 0)
    end
  end
  observe(object, state)
end

-- Called by C, on the loop, for each event; and by Lua files whose objects have events of their own.
local function dispatch(object, name, value, more)
  local state = states[object]
  if not state then
    return
  end
  if name == "failed" then
    return fail_waiters(object, state, value)
  end
  -- handlers first: whoever waits for the event finds that they have begun
  local list = state.handlers[name]
  if list and #list > 0 then
    enqueue(state, name, value, more)
    if not state.pumping then
      start_pump(object, state)
    end
  end
  local waiters = state.waiters[name]
  if waiters then
    state.waiters[name] = nil
    for _, w in ipairs(waiters) do
      w.value = value
      core.unpark(w.task, w.number, 1)
    end
    observe(object, state)
  end
  if name == "closed" then -- what else is waited for will not come
    for other, list_of_others in pairs(state.waiters) do
      state.waiters[other] = nil
      for _, w in ipairs(list_of_others) do
        core.unpark(w.task, w.number, 0)
      end
    end
  end
end
core.set_dispatcher(dispatch)
M.dispatch = dispatch

local asked = { __close = function(self)
  self.done()
end }

---Dispatches a question event: `done` is called once its handlers have returned, also when they failed or
---there are none.
---@param object any
---@param name string
---@param done fun()
---@param value any
---@param more? any
function M.ask(object, name, done, value, more)
  local state = states[object]
  local before = state and state.tail
  dispatch(object, name, value, more)
  if state and state.tail > before then
    state.queue[state.tail].asked = setmetatable({ done = done }, asked)
  else
    done()
  end
end

---How many events of an object wait for its handlers.
---@param object any
---@return integer
function M.backlog(object)
  local state = states[object]
  return state and state.tail - state.head + 1 or 0
end

---Waits until the handlers have seen every event of an object. Only for the one task that makes them.
---@async
---@param object any
function M.settle(object)
  local state = states[object]
  if state and state.pumping then
    local task, number = core.ticket "event"
    if state.pumping then -- drawing it may let others run
      state.settled = { task = task, number = number }
      core.park()
    end
  end
end

local function check_event(object, name, method, level)
  local message = source_of(object).check_event(object, name)
  if message then
    error(("bad argument #1 to '%s' (%s)"):format(method, message), level + 1)
  end
end

local function add(object, name, f, once, level)
  check_event(object, name, once and "once" or "on", level + 1)
  if type(f) ~= "function" then
    local method = once and "once" or "on"
    local message = "bad argument #2 to '%s' (function expected, got %s)"
    error(message:format(method, type(f)), level + 1)
  end
  local state = state_of(object)
  local list = state.handlers[name]
  if not list then
    list = {}
    state.handlers[name] = list
  end
  list[#list + 1] = { f = f, once = once, active = true }
  observe(object, state)
  return object
end

---Calls `f` (as a task, from the loop) at each event of this name. An object with listeners stays alive
---until it is closed or the listeners are removed.
---@param name string
---@param f function
---@return any self
local function on(self, name, f)
  return add(self, name, f, false, 2)
end

---Like `on`, for the next event only.
---@param name string
---@param f function
---@return any self
local function once(self, name, f)
  return add(self, name, f, true, 2)
end

---Removes one listener, or all of an event, or all.
---@param name? string
---@param f? function
---@return any self
local function off(self, name, f)
  local state = states[self]
  if name ~= nil then
    check_event(self, name, "off", 2)
  end
  if state then
    for event, list in pairs(state.handlers) do
      if name == nil or event == name then
        for i = #list, 1, -1 do
          if f == nil or list[i].f == f then
            list[i].active = false
            table.remove(list, i)
          end
        end
      end
    end
    observe(self, state)
  end
  return self
end

local function closed_error()
  return core.error("closed", "the handle was closed", { op = "wait", code = "CLOSED" })
end

---Waits for the next event of this name; `connected` and `disconnected` are there at once when the
---object is in that state already.
---@async
---@param name string
---@param timeout? number|false seconds
---@return any value the event's value, or true when it has none; nil and the error when it timed out
---@return qn.Error? err kind `timeout`; `closed` when the object is closed without that event; of `connected`
---  and `host_found` also why the connect has failed
local function wait(self, name, timeout)
  check_event(self, name, "wait", 2)
  local task, number = core.ticket("event", timeout) -- first: others may run, and change the state
  local now = reached[name]
  if now and now[self:state()] then
    return true
  end
  if source_of(self).is_over(self) then
    if name == "closed" then
      return true
    end
    return nil, closed_error()
  end
  local state = state_of(self)
  local list = state.waiters[name]
  if not list then
    list = {}
    state.waiters[name] = list
  end
  local waiter <close> = setmetatable({ task = task, number = number }, { __close = function(w)
    local mine = state.waiters[name]
    for i, other in ipairs(mine or {}) do
      if other == w then
        table.remove(mine, i)
        if #mine == 0 then
          state.waiters[name] = nil
        end
        observe(self, state)
        break
      end
    end
  end })
  list[#list + 1] = waiter
  observe(self, state)
  local code, err = core.park(timeout)
  if code ~= 1 then
    return nil, err or waiter.failure or closed_error()
  end
  if waiter.value == nil then
    return true
  end
  return waiter.value
end

---Adds the event methods to a class of the core.
---@param class string
---@param source? table makes the events of its objects instead of C: check_event, observe, is_over
function M.extend(class, source)
  local methods = core.methods(class)
  for name, method in pairs { on = on, once = once, off = off, wait = wait } do
    methods[name] = source and function(self, ...)
      sources[self] = source
      return method(self, ...)
    end or method
  end
end

return M
